"""Candidates on the splits of the data: fitted, scored, and told of one by one."""

# SPDX-License-Identifier: BSD-3-Clause

import os
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from platform import node
from typing import Any

from sklearn.base import clone

from .._compat import (
    _fit_and_score,
    _insert_error_scores,
    _safe_split,
    _warn_or_raise_about_fit_failures,
    metric_names,
)
from .._versions import installed_versions
from ._executors import TRIES, GivenUp, open_workers

_PACKAGES = ("skmnist", "scikit-learn", "keras", "tensorflow", "numpy")


@dataclass(frozen=True)
class Trial:
    """One candidate on one split, finished: what a search tells as soon as it can.

    Parameters
    ----------
    stage : str
        Name of the stage.
    candidate : int
        Row in ``cv_results_``.
    split : int
        Number of the split.
    first : int
        Row of the first candidate of those that are evaluated together: all of a
        stage, or those by which it grows.
    n_together : int
        Trials of all of them.
    params : dict
        Parameters of the candidate, with what earlier stages chose.
    scores : dict of str to float
        Test scores by metric; those of a fit that failed are `error_score`.
    fit_seconds : float
        Seconds that fitting took there and then; little for a fit that was kept.
    score_seconds : float
        Seconds that scoring took.
    error : str or None
        What a fit that failed raised: the traceback.
    host : str or None
        Name of the machine; None where no process came back to tell.
    pid : int or None
        Its process.
    versions : dict of str to str
        Python and the packages there.
    inspected : object
        What `inspect` of the search returned for the fit; None where it failed or
        nothing was to be inspected.
    """

    stage: str
    candidate: int
    split: int
    first: int
    n_together: int
    params: dict
    scores: dict
    fit_seconds: float
    score_seconds: float
    error: str | None
    host: str | None
    pid: int | None
    versions: dict
    inspected: Any = None


@dataclass(frozen=True)
class Task:
    """One fit to do: what differs from task to task."""

    estimator: Any
    params: dict
    candidate: tuple  # number and how many, as scikit-learn prints them
    split: tuple
    context: Any
    deadline: float | None  # no fit starts after this, in seconds since the epoch


class BudgetSpentError(Exception):
    """The time of a search is over.

    Parameters
    ----------
    n_done, n_tasks : int
        Fits that were finished, and all that the stage had.
    """

    def __init__(self, n_done, n_tasks):
        super().__init__(f"{n_done} of {n_tasks} fits are done")
        self.n_done, self.n_tasks = n_done, n_tasks


class Evaluation:
    """Everything that a search evaluates: the data, and all results so far.

    A context manager: its processes end with it.

    Parameters
    ----------
    search : StagedSearchCV
        The search; its parameters say how to run and what to do about failures.
    X, y : array-like
        The data of the whole search.
    scorers : callable
        As scikit-learn's searches check them.
    given : dict
        ``fit_params``, ``score_params`` and ``split_params``.
    deadline : float, default=None
        Time after which no fit starts, in seconds since the epoch.
    """

    def __init__(self, search, X, y, scorers, given, deadline=None):
        self.search, self.X, self.y = search, X, y
        self.split_params = given["split_params"]
        self.deadline = deadline
        self.scorers = scorers
        self.common = {
            "inspect": search.inspect,
            "scorer": scorers,
            "fit_params": given["fit_params"],
            "score_params": given["score_params"],
            "return_train_score": search.return_train_score,
            "return_n_test_samples": True,
            "return_times": True,
            "error_score": search.error_score,
            "verbose": search.verbose,
            "caller": search,
        }
        self.candidates, self.outcomes = [], []
        self.more = defaultdict(list)
        self.results = {"params": []}

    def __enter__(self):
        self.workers = open_workers(self.search.n_jobs, self.search.pre_dispatch)
        return self

    def __exit__(self, *exception):
        self.workers.close()

    def evaluate(self, candidates, *, cv, stage, callback_ctx):
        """Fit and score candidates on all splits.

        Parameters
        ----------
        candidates : list of dict
            Parameters of the estimator.
        cv : FixedFolds
            Gives the same list of splits each time.
        stage : str
            Name of the stage.
        callback_ctx : CallbackContext
            The task of scikit-learn's callbacks that these fits are parts of.

        Returns
        -------
        results : dict of ndarray
            ``cv_results_`` of all candidates so far.

        Raises
        ------
        BudgetSpentError
            If the time is over before all are fitted.
        ValueError
            If all of them fail.
        """
        folds = cv.split(self.X, self.y, **self.split_params)
        if len(folds) != self.search.n_splits_:
            raise ValueError(
                "cv.split and cv.get_n_splits return inconsistent results. Expected "
                f"{self.search.n_splits_} splits, got {len(folds)}"
            )
        self._announce(len(candidates), len(folds))
        pairs = list(product(range(len(candidates)), range(len(folds))))
        contexts = [
            callback_ctx.subcontext(task_name="candidate-split-evaluation", task_id=i)
            for i in range(len(pairs))
        ]
        tasks = [
            Task(
                estimator=clone(self.search.estimator),
                params=candidates[candidate],
                candidate=(candidate, len(candidates)),
                split=(split, len(folds)),
                context=context,
                deadline=self.deadline,
            )
            for (candidate, split), context in zip(pairs, contexts, strict=True)
        ]
        outcomes = self._run(tasks, folds, stage)
        return self._collect(candidates, outcomes, stage)

    def _announce(self, n_candidates, n_splits):
        if self.search.verbose > 0:
            print(
                f"Fitting {n_splits} folds for each of {n_candidates} candidates, "
                f"totalling {n_candidates * n_splits} fits"
            )

    def _run(self, tasks, folds, stage):
        """Run tasks wherever the workers are; tell of each as it finishes."""
        outcomes = {}
        shared = (self.X, self.y, folds, self.common)
        for number, answer in self.workers.run(fit_and_score, shared, tasks):
            if answer is None:  # it came too late
                continue
            if isinstance(answer, GivenUp):
                answer = self._given_up(answer, folds[tasks[number].split[0]][1])
            outcomes[number], where = answer
            if self.search.on_trial_end is not None:
                self.search.on_trial_end(
                    self._trial(tasks[number], outcomes[number], where, stage)
                )
        if len(outcomes) < len(tasks):
            raise BudgetSpentError(len(outcomes), len(tasks))
        return [outcomes[number] for number in range(len(tasks))]

    def _given_up(self, answer, test):
        """Make the outcome of a fit that never comes back."""
        message = (
            f"WorkerDiedError: the process that fitted this candidate ended without "
            f"a word {TRIES} times ({answer.reason}); it may have run out of memory"
        )
        if self.search.error_score == "raise":
            raise RuntimeError(message)
        names, error_score = metric_names(self.scorers), self.search.error_score
        scores = dict.fromkeys(names, error_score) if names else error_score
        outcome = {
            "fit_error": message,
            "test_scores": scores,
            "n_test_samples": len(test),
            "fit_time": 0.0,
            "score_time": 0.0,
        }
        if self.search.return_train_score:
            outcome["train_scores"] = scores
        return outcome, {"host": None, "pid": None, "versions": {}}

    def _trial(self, task, outcome, where, stage):
        scores = outcome["test_scores"]
        return Trial(
            stage=stage,
            candidate=len(self.candidates) + task.candidate[0],
            split=task.split[0],
            first=len(self.candidates),
            n_together=task.candidate[1] * task.split[1],
            params=task.params,
            scores=dict(scores) if isinstance(scores, dict) else {"score": scores},
            fit_seconds=outcome["fit_time"],
            score_seconds=outcome["score_time"],
            error=outcome["fit_error"],
            **where,
        )

    def _collect(self, candidates, outcomes, stage):
        """Add a stage's rows to the results, as scikit-learn's searches do."""
        _warn_or_raise_about_fit_failures(outcomes, self.search.error_score)
        if callable(self.search.scoring):
            # Whether it returns several metrics is known only now.
            _insert_error_scores(outcomes, self.search.error_score)
        self.candidates.extend(candidates)
        self.outcomes.extend(outcomes)
        self.more["stage"].extend([stage] * len(candidates))
        self.results = self.search._format_results(
            self.candidates, self.search.n_splits_, self.outcomes, self.more
        )
        return self.results


def fit_and_score(X, y, folds, common, task):
    """Fit and score one candidate on one split; runs in a worker.

    Parameters
    ----------
    X, y : array-like
        The data of the whole search.
    folds : list of (ndarray, ndarray)
        Rows to fit and rows to score, for each split.
    common : dict
        What all tasks share, for scikit-learn's ``_fit_and_score``.
    task : Task
        What to do.

    Returns
    -------
    answer : (dict, dict) or None
        What scikit-learn makes of the fit, and where it ran; None if its time was
        over before it began.
    """
    if task.deadline is not None and time.time() >= task.deadline:
        return None
    train, test = folds[task.split[0]]
    inspect, common = common["inspect"], {**common, "return_estimator": True}
    del common["inspect"]
    outcome = _fit_and_score(
        task.estimator,
        X,
        y,
        train=train,
        test=test,
        parameters=task.params,
        split_progress=task.split,
        candidate_progress=task.candidate,
        callback_ctx=task.context,
        **common,
    )
    where = {"host": node(), "pid": os.getpid(), "versions": versions()}
    fitted = outcome.pop("estimator")
    if inspect is not None and outcome["fit_error"] is None:
        where["inspected"] = inspect(fitted, *_safe_split(fitted, X, y, test, train))
    return outcome, where


@lru_cache(maxsize=1)
def versions():
    """Return the versions that a fit in this process depends on.

    Returns
    -------
    versions : dict of str to str
        Python and packages; one that is not installed is left out.
    """
    return installed_versions(_PACKAGES)
