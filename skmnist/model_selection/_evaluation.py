"""Fit and score candidates on the splits of the data, and report each fit."""

# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
import os
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from platform import node
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

from .._compat import (
    _fit_and_score,
    _insert_error_scores,
    _safe_split,
    _warn_or_raise_about_fit_failures,
    call_callbacks,
    last_step,
    metric_names,
    named_error,
)
from .._memory import TooLittleMemoryError
from .._versions import installed_versions
from ._executors import TRIES, GivenUp, SideBySide, open_workers
from ._results import objects, pad_outcomes, race_columns
from ._scoring import FittedAttribute, deciding_metric
from ._stage import overlay, random_states

if TYPE_CHECKING:
    from sklearn.callback import CallbackContext
    from sklearn.model_selection import BaseCrossValidator

# What an evaluation knows of the candidates so far.
_OF_CANDIDATES = ("candidates", "right", "by_candidate", "raced", "more", "results")
_PACKAGES = ("skmnist", "scikit-learn", "keras", "tensorflow", "numpy")


@dataclass(frozen=True)
class Trial:
    """One finished fit of a search: one candidate on one split.

    A search passes it to `on_trial_end` as soon as the fit is scored.

    Parameters
    ----------
    stage : str
        Name of the stage.
    candidate : int
        Row of the candidate in ``cv_results_``.
    split : int
        Number of the split, from 0; in a race the number of the replicate.
    first : int
        Row of the first candidate that is evaluated together with this one. All
        candidates of a stage are evaluated together; those that it grows by later are
        another group, and so is each replicate of a race.
    n_together : int
        Number of trials of that group.
    params : dict
        Parameters of the candidate, with those that earlier stages chose.
    scores : dict of str to float
        Test scores by metric; `error_score` if the fit failed.
    fit_seconds : float
        Duration of the fit in seconds; short if the fit was read from `memory`.
    score_seconds : float
        Duration of the scoring in seconds.
    error : str or None
        Traceback of a fit that failed.
    host : str or None
        Name of the machine that fitted; None if its process was killed.
    pid : int or None
        Process that fitted.
    versions : dict of str to str
        Versions of Python and of the packages in that process.
    inspected : object, default=None
        What `inspect` of the search returned for the fit; None if the fit failed or
        the search has no `inspect`.
    n_standing : int or None, default=None
        In a race, the number of candidates that stand: those that run this replicate.
        1 for a replicate that only gives the winner's score.
    max_replicates : int or None, default=None
        In a race, the most replicates that choose. Those with a number from here on
        only give the winner's score.
    """

    stage: str
    candidate: int
    split: int
    first: int
    n_together: int
    params: dict[str, Any]
    scores: dict[str, float]
    fit_seconds: float
    score_seconds: float
    error: str | None
    host: str | None
    pid: int | None
    versions: dict[str, str]
    inspected: Any = None
    n_standing: int | None = None
    max_replicates: int | None = None


@dataclass(frozen=True)
class Task:
    """One fit that a worker has to make."""

    estimator: BaseEstimator
    params: dict[str, Any]
    candidate: tuple[int, int]  # number, and how many; scikit-learn prints them
    split: tuple[int, int]
    context: CallbackContext
    deadline: float | None  # no fit starts after this, in seconds since the epoch
    replicate: Replicate


@dataclass(frozen=True)
class Replicate:
    """What the fits of several candidates have in common, so that they compare.

    Parameters
    ----------
    number : int
        Its number.
    fold : int
        Number of the split that fits and judges.
    seed : int or None, default=None
        Value of every ``random_state``; None leaves them as they are.
    measured : tuple of str, default=()
        Learned numbers of the classifier to return, without the underscore.
    keeps_rows : bool, default=False
        Whether to return which rows were classified correctly.
    n_standing : int or None, default=None
        Number of candidates that stand; None without a race.
    n_most : int or None, default=None
        Most replicates that choose; None without a race.
    """

    number: int
    fold: int
    seed: int | None = None
    measured: tuple[str, ...] = ()
    keeps_rows: bool = False
    n_standing: int | None = None
    n_most: int | None = None


@dataclass(frozen=True)
class Raced:
    """What the results of a search tell of a candidate that has raced.

    Parameters
    ----------
    outcomes : list of dict
        What scikit-learn returns for its fits, replicate by replicate.
    fresh : list of dict
        The same for replicates that did not choose it; the winner has some.
    columns : dict
        Values of more columns.
    right : ndarray of bool of shape (n_replicates, n_rows) or None
        Which rows it classified correctly, on one split.
    """

    outcomes: list[dict]
    fresh: list[dict]
    columns: dict[str, Any]
    right: NDArray[np.bool_] | None = None


class FixedFolds:
    """The folds of a splitter, drawn once so that all stages have the same."""

    def __init__(self, cv: BaseCrossValidator):
        self.cv = cv
        self.folds: list[tuple[NDArray, NDArray]] | None = None

    def split(self, X, y=None, **params) -> list[tuple[NDArray, NDArray]]:
        """Return the pairs of training rows and test rows."""
        if self.folds is None:
            self.folds = list(self.cv.split(X, y, **params))
        return self.folds

    @property
    def sizes(self) -> tuple[np.float64, np.float64]:
        """Mean number of training rows, and of test rows."""
        train, test = zip(*self.folds, strict=True)
        return np.mean([len(rows) for rows in train]), np.mean([len(r) for r in test])


class BudgetSpentError(Exception):
    """The time of a search is over.

    Parameters
    ----------
    n_done, n_tasks : int
        Number of fits of the stage that are finished, and of all its fits.
    """

    def __init__(self, n_done: int, n_tasks: int):
        super().__init__(f"{n_done} of {n_tasks} fits are done")
        self.n_done, self.n_tasks = n_done, n_tasks


class Evaluation:
    """What a search fits and scores, and all results so far.

    Use it as a context manager: its processes end with it.

    Parameters
    ----------
    search : StagedSearchCV
        The search. Its parameters say how to run, and what to do about failures.
    estimator : estimator object
        What to fit: the estimator of the search, with the search's `memory`.
    data : tuple of (array-like, array-like or None)
        ``X`` and ``y`` of the whole search.
    cv : cross-validation splitter
        Makes the folds, once.
    scorers : callable
        The scorers, as scikit-learn's searches make them.
    routed : Bunch
        Metadata for the estimator, the scorer and the splitter, as scikit-learn's
        searches route them.
    """

    def __init__(
        self,
        search,
        estimator: BaseEstimator,
        data: tuple[Any, Any],
        *,
        cv: BaseCrossValidator,
        scorers: Callable,
        routed: Any,
    ):
        self.search, self.estimator = search, estimator
        self.X, self.y = data
        self.split_params = routed.splitter.split
        self.n_splits = cv.get_n_splits(self.X, self.y, **self.split_params)
        self.folds = FixedFolds(cv)
        self.deadline = None
        if search.time_budget is not None:
            self.deadline = time.time() + search.time_budget
        self.scorers = scorers
        self.common = {
            "inspect": search.inspect,
            "scorer": scorers,
            "fit_params": routed.estimator.fit,
            "score_params": routed.scorer.score,
            "return_train_score": search.return_train_score,
            "return_n_test_samples": True,
            "return_times": True,
            "error_score": search.error_score,
            "verbose": search.verbose,
            "caller": search,
        }
        self.candidates, self.right = [], []
        self.by_candidate: list[list[dict]] = []  # outcomes of its fits
        self.raced: list[Raced | None] = []
        self.more = defaultdict(list)
        self.results = {"params": []}
        self.best: float | None = None  # mean score of the best candidate so far

    def __enter__(self) -> Self:
        n_jobs = self.search.n_jobs
        self.workers = open_workers(n_jobs, self.search.pre_dispatch)
        self.side_by_side = SideBySide(self.estimator, n_jobs, self.X, self.y)
        self._stack = ExitStack()
        self._stack.callback(self.workers.close)
        self._stack.enter_context(self.side_by_side.meeting())
        return self

    def __exit__(self, *exception) -> None:
        self._stack.__exit__(*exception)

    def _workers_for(self, tasks: Sequence[Task]) -> AbstractContextManager:
        """Return threads for small networks, else the workers of the whole search."""
        n = self.side_by_side.n_together([task.params for task in tasks])
        if n < 2:
            return nullcontext(self.workers)
        return self.side_by_side.workers(n, self.search.pre_dispatch)

    @property
    def first_scores(self) -> dict | float:
        """Test scores of the first fit: one, or several by their names."""
        return self.by_candidate[0][0]["test_scores"]

    @property
    def last_failure(self) -> str | None:
        """What the last fit that failed raised, in one line; None without one."""
        fits = [fit for outcomes in self.by_candidate for fit in outcomes]
        errors = [fit["fit_error"] for fit in fits if fit["fit_error"]]
        return named_error(errors[-1]) if errors else None

    def evaluate(
        self,
        candidates: Sequence[dict[str, Any]],
        *,
        stage: str,
        callback_ctx: CallbackContext,
    ) -> dict[str, Any]:
        """Fit and score candidates on all splits.

        Parameters
        ----------
        candidates : list of dict
            Parameters of the estimator.
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
            If all fits fail.
        """
        n_splits = len(self._folds())
        self._announce(len(candidates), n_splits)
        pairs = [
            (candidate, Replicate(fold, fold))
            for candidate, fold in product(range(len(candidates)), range(n_splits))
        ]
        answers = self._fit(candidates, pairs, n_splits, stage, callback_ctx)
        outcomes = [outcome for outcome, _ in answers]
        right = []
        if self.n_splits == 1:
            right = [_right_of(where.get("inspected")) for _, where in answers]
        return self._collect(candidates, outcomes, right, stage)

    def replicate(
        self,
        candidates: Sequence[dict[str, Any]],
        running: Sequence[int],
        replicates: Sequence[Replicate],
        *,
        stage: str,
        callback_ctx: CallbackContext,
    ) -> list[list[tuple[dict, dict]]]:
        """Fit and score some candidates of a stage that races, on some replicates.

        Parameters
        ----------
        candidates : list of dict
            Parameters of all candidates of the stage.
        running : list of int
            Positions of those to fit.
        replicates : list of Replicate
            The replicates, for each of them.
        stage : str
            Name of the stage.
        callback_ctx : CallbackContext
            The task of scikit-learn's callbacks that these fits are parts of.

        Returns
        -------
        answers : list of list of (dict, dict)
            For each of them, and each replicate, what `fit_and_score` returns.

        Raises
        ------
        BudgetSpentError
            If the time is over before all are fitted.
        """
        self._folds()
        pairs = list(product(running, replicates))
        n_numbers = max(replicate.number for replicate in replicates) + 1
        answers = self._fit(candidates, pairs, n_numbers, stage, callback_ctx)
        n = len(replicates)
        return [answers[i * n : (i + 1) * n] for i in range(len(running))]

    def _folds(self) -> list[tuple[NDArray, NDArray]]:
        folds = self.folds.split(self.X, self.y, **self.split_params)
        if len(folds) != self.n_splits:
            raise ValueError(
                "cv.split and cv.get_n_splits return inconsistent results. Expected "
                f"{self.n_splits} splits, got {len(folds)}"
            )
        return folds

    def _fit(
        self,
        candidates: Sequence[dict[str, Any]],
        pairs: Sequence[tuple[int, Replicate]],
        n_numbers: int,
        stage: str,
        callback_ctx: CallbackContext,
    ) -> list[tuple[dict, dict]]:
        """Run pairs of candidate and replicate, wherever the workers are."""
        contexts = [
            callback_ctx.subcontext(task_name="candidate-split-evaluation", task_id=i)
            for i in range(len(pairs))
        ]
        tasks = [
            Task(
                estimator=clone(self.estimator),
                params=candidates[candidate],
                candidate=(candidate, len(candidates)),
                split=(replicate.number, n_numbers),
                context=context,
                deadline=self.deadline,
                replicate=replicate,
            )
            for (candidate, replicate), context in zip(pairs, contexts, strict=True)
        ]
        return self._run(tasks, self._folds(), stage)

    def _announce(self, n_candidates: int, n_splits: int) -> None:
        if self.search.verbose > 0:
            print(
                f"Fitting {n_splits} folds for each of {n_candidates} candidates, "
                f"totalling {n_candidates * n_splits} fits"
            )

    def _run(
        self, tasks: list[Task], folds: list, stage: str
    ) -> list[tuple[dict, dict]]:
        """Run tasks wherever the workers are, and report each as it finishes."""
        answers = {}
        shared = (self.X, self.y, folds, self.common)
        with closing(self._run_groups(shared, tasks)) as finished:
            for number, answer in finished:
                if answer is None:  # the time was over before the fit began
                    continue
                task = tasks[number]
                if isinstance(answer, GivenUp):
                    answer = self._given_up(answer, folds[task.replicate.fold][1])
                answers[number] = answer
                self._take_score(task, tasks, answers)
                if self.search.on_trial_end is not None:
                    trial = self._trial(task, *answer, len(tasks), stage)
                    self.search.on_trial_end(trial)
        if len(answers) < len(tasks):
            raise BudgetSpentError(len(answers), len(tasks))
        return [answers[number] for number in sorted(answers)]

    def _run_groups(
        self, shared: tuple, tasks: list[Task]
    ) -> Iterator[tuple[int, Any]]:
        """Run tasks; those that gain side by side, the others one after the other."""
        for group in self.side_by_side.groups([task.params for task in tasks]):
            own = [tasks[number] for number in group]
            with self._workers_for(own) as workers:
                for number, answer in workers.run(fit_and_score, shared, own):
                    yield group[number], answer

    def _take_score(
        self, task: Task, tasks: list[Task], answers: dict[int, tuple[dict, dict]]
    ) -> None:
        """Tell the best score, if all splits have judged the candidate of a task."""
        if task.replicate.n_standing is not None:
            return  # the race tells who leads
        own = [i for i, one in enumerate(tasks) if one.candidate == task.candidate]
        if all(i in answers for i in own):
            self.tell_best(
                np.mean([self.deciding_score(answers[i][0]) for i in own]), self.best
            )

    def tell_best(self, score: float, other: float | None = None) -> None:
        """Tell callbacks the mean score of the best candidate so far.

        Parameters
        ----------
        score : float
            A mean of scores that judge; nothing is told of NaN.
        other : float, default=None
            Another one. Nothing is told if it is as good.
        """
        if np.isfinite(score) and (other is None or score > other):
            self.best = float(score)
            call_callbacks(self.search, "on_best_score", self.best)

    def deciding_score(self, outcome: dict) -> float:
        """Return the score of a fit that decides; NaN for a fit that failed."""
        scores = outcome["test_scores"]
        if outcome["fit_error"] is not None:
            return np.nan
        if isinstance(scores, dict):
            search = self.search
            scores = scores[deciding_metric(list(scores), search.scoring, search.refit)]
        return float(scores)

    def _given_up(self, answer: GivenUp, test: NDArray) -> tuple[dict, dict]:
        """Make the outcome of a fit whose process was killed too often."""
        message = (
            f"WorkerDiedError: the process that fitted this candidate was killed "
            f"{TRIES} times ({answer.reason}); it may have run out of memory"
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

    def _trial(
        self, task: Task, outcome: dict, where: dict, n_together: int, stage: str
    ) -> Trial:
        scores = outcome["test_scores"]
        told = {n: v for n, v in where.items() if n not in ("measured", "right")}
        return Trial(
            stage=stage,
            candidate=len(self.candidates) + task.candidate[0],
            split=task.split[0],
            first=len(self.candidates),
            n_together=n_together,
            params=task.params,
            scores=dict(scores) if isinstance(scores, dict) else {"score": scores},
            fit_seconds=outcome["fit_time"],
            score_seconds=outcome["score_time"],
            error=outcome["fit_error"],
            n_standing=task.replicate.n_standing,
            max_replicates=task.replicate.n_most,
            **told,
        )

    def _collect(
        self, candidates: Sequence[dict], outcomes: list, right: list, stage: str
    ) -> dict[str, Any]:
        """Add a stage's rows to the results, as scikit-learn's searches do."""
        self._check_failures(outcomes)
        n = self.n_splits
        self.by_candidate.extend(
            outcomes[i * n : (i + 1) * n] for i in range(len(candidates))
        )
        self.raced.extend([None] * len(candidates))
        self.right.extend(right or [None] * len(candidates))
        return self._tabulate(candidates, stage)

    def collect_race(
        self, candidates: Sequence[dict], raced: Sequence[Raced], stage: str
    ) -> dict[str, Any]:
        """Add the rows of a stage that has raced to the results.

        Parameters
        ----------
        candidates : list of dict
            Parameters of the estimator.
        raced : list of Raced
            What each candidate has done.
        stage : str
            Name of the stage.

        Returns
        -------
        results : dict of ndarray
            ``cv_results_`` of all candidates so far.

        Raises
        ------
        ValueError
            If all fits fail.
        """
        self._check_failures([fit for one in raced for fit in one.outcomes + one.fresh])
        return self._add_raced(candidates, raced, stage)

    def preview_race(
        self, candidates: Sequence[dict], raced: Sequence[Raced], stage: str
    ) -> dict[str, Any]:
        """Return what `collect_race` would, and keep nothing.

        Parameters
        ----------
        candidates, raced, stage
            As for `collect_race`.

        Returns
        -------
        results : dict of ndarray
            ``cv_results_`` with these candidates at its end.
        """
        kept = {name: getattr(self, name) for name in _OF_CANDIDATES}
        try:
            for name, values in kept.items():
                setattr(self, name, copy.copy(values))
            self.more = defaultdict(list, {n: [*v] for n, v in self.more.items()})
            return self._add_raced(candidates, raced, stage)
        finally:
            for name, values in kept.items():
                setattr(self, name, values)

    def _add_raced(
        self, candidates: Sequence[dict], raced: Sequence[Raced], stage: str
    ) -> dict[str, Any]:
        self.by_candidate.extend(one.outcomes for one in raced)
        self.raced.extend(raced)
        self.right.extend(one.right for one in raced)
        return self._tabulate(candidates, stage)

    def _check_failures(self, outcomes: list[dict]) -> None:
        _warn_or_raise_about_fit_failures(outcomes, self.search.error_score)
        if callable(self.search.scoring):
            # Whether it returns several metrics is known only now.
            _insert_error_scores(outcomes, self.search.error_score)

    def _tabulate(self, candidates: Sequence[dict], stage: str) -> dict[str, Any]:
        self.candidates.extend(candidates)
        self.more["stage"].extend([stage] * len(candidates))
        any_raced = any(self.raced)
        rows, width = self.by_candidate, self.n_splits
        if any_raced:
            width = max(map(len, rows))
            rows = [pad_outcomes(outcomes, width) for outcomes in rows]
        with warnings.catch_warnings():
            # scikit-learn warns of NaN once per column and per call, about all rows
            # so far. The search itself warns once, about the new rows.
            warnings.filterwarnings(
                "ignore", r"One or more of the (test|train) scores are non-finite"
            )
            self.results = self.search._format_results(
                self.candidates, width, [fit for row in rows for fit in row], self.more
            )
        if any_raced:
            self.results |= race_columns(self.results, self.by_candidate, self.raced)
        if any(one is not None for one in self.right):
            self.results["right"] = objects(self.right)
        return self.results


def _right_of(inspected: object) -> NDArray[np.bool_] | None:
    """Return which rows a fit classified correctly, if `inspect` has returned it."""
    right = inspected.get("right") if isinstance(inspected, Mapping) else None
    is_row = isinstance(right, np.ndarray) and right.dtype == bool and right.ndim == 1
    return right if is_row else None


def fit_and_score(
    X: Any, y: Any, folds: list, common: dict[str, Any], task: Task
) -> tuple[dict, dict] | None:
    """Fit and score one candidate on one split; this runs in a worker.

    Parameters
    ----------
    X, y : array-like
        The data of the whole search.
    folds : list of (ndarray, ndarray)
        Rows to fit and rows to score, for each split.
    common : dict
        Arguments of scikit-learn's ``_fit_and_score`` that are the same for all tasks,
        and ``inspect``.
    task : Task
        The fit to make.

    Returns
    -------
    answer : (dict, dict) or None
        What scikit-learn returns for the fit, and where it ran; None if the time of
        the search was over before the fit began.
    """
    if task.deadline is not None and time.time() >= task.deadline:
        return None
    replicate = task.replicate
    train, test = folds[replicate.fold]
    inspect, common = common["inspect"], {**common, "return_estimator": True}
    del common["inspect"]
    outcome = _fit_and_score(
        task.estimator,
        X,
        y,
        train=train,
        test=test,
        parameters=seeded(task.estimator, task.params, replicate.seed),
        split_progress=task.split,
        candidate_progress=task.candidate,
        callback_ctx=task.context,
        **common,
    )
    where = {"host": node(), "pid": os.getpid(), "versions": versions()}
    fitted = outcome.pop("estimator")
    # What it has waited for fits beside it is no part of it.
    outcome["fit_time"] -= getattr(last_step(fitted), "_waited", 0.0)
    if outcome["fit_error"] is not None:
        _raise_of_memory(outcome["fit_error"])
        return outcome, where
    if inspect is not None:
        where["inspected"] = inspect(fitted, *_safe_split(fitted, X, y, test, train))
    where["measured"] = {
        name: FittedAttribute(f"{name}_")(fitted, X) for name in replicate.measured
    }
    if replicate.keeps_rows:
        X_test, y_test = _safe_split(fitted, X, y, test, train)
        where["right"] = np.asarray(fitted.predict(X_test) == np.asarray(y_test))
    return outcome, where


def _raise_of_memory(traceback: str) -> None:
    """End the search if no fit can be made in this process, whatever its parameters."""
    name, _, message = named_error(traceback).partition(": ")
    if name.rpartition(".")[2] == TooLittleMemoryError.__name__:
        raise TooLittleMemoryError(message)


def seeded(
    estimator: BaseEstimator, params: Mapping[str, Any], seed: int | None
) -> dict[str, Any]:
    """Return parameters with a seed for every ``random_state``.

    Parameters
    ----------
    estimator : estimator object
        The estimator that takes the parameters.
    params : dict
        The parameters of a candidate.
    seed : int or None
        The seed; None returns the parameters as they are.

    Returns
    -------
    params : dict
        A copy.
    """
    if seed is None:
        return dict(params)
    everything = overlay(estimator.get_params(), params)
    return {**params, **dict.fromkeys(random_states(everything), seed)}


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Return the versions that a fit in this process depends on.

    Returns
    -------
    versions : dict of str to str
        Versions of Python and of the packages that are installed.
    """
    return installed_versions(_PACKAGES)
