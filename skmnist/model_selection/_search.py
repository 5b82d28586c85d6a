"""The staged search: each stage starts from what the stages before it chose."""

# SPDX-License-Identifier: BSD-3-Clause

import copy
import os
import time
import warnings
from numbers import Real

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import check_cv
from sklearn.utils import indexable

from .._compat import (
    BaseSearchCV,
    HasMethods,
    Interval,
    _check_method_params,
    _fit_context,
    _MultimetricScorer,
    named_error,
)
from ._evaluation import BudgetSpentError, Evaluation
from ._runner import SearchRun
from ._scoring import Recorder
from ._stage import Stage, StageResult

__all__ = ["Stage", "StageResult", "StagedSearchCV"]


class ChoosingSearchCV(BaseSearchCV):
    """A `BaseSearchCV` that chooses its winner while it searches.

    A subclass evaluates its candidates itself: ``_search_stages(X, y, scorers,
    fit_params, score_params, callback_ctx)`` returns ``cv_results_`` and the scores
    of the first fit, and sets ``best_index_``, ``best_params_`` and ``best_score_``.
    It says in ``choose_metric(names)`` which of several metrics decides.
    """

    @_fit_context(
        # The estimator that is searched is not validated yet.
        prefer_skip_nested_validation=False
    )
    def fit(self, X, y=None, **params):
        """Search, and fit the winner; in scikit-learn's order of things."""
        scorers, _ = self._get_scorers()
        X, y = indexable(X, y)
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        weights = params.get("sample_weight")
        metadata = None if weights is None else {"sample_weight": weights}
        shown = {"estimator": self, "X": X, "y": y, "metadata": metadata}
        context = self._init_callback_context(
            max_subtasks=1 + (self.refit is not False)
        ).call_on_fit_task_begin(**shown)
        self._checked_cv_orig = check_cv(
            self.cv, y, classifier=is_classifier(self.estimator)
        )
        split_params = routed.splitter.split
        self._check_input_parameters(X=X, y=y, split_params=split_params)
        self.n_splits_ = self.checked_cv.get_n_splits(X, y, **split_params)
        self.cv_results_, scores = self._search_stages(
            X,
            y,
            scorers,
            fit_params=routed.estimator.fit,
            score_params=routed.scorer.score,
            split_params=split_params,
            callback_ctx=context,
        )
        # Of a callable only its first result tells.
        self.multimetric_ = isinstance(scores, dict)
        if self.refit:
            refit = context.subcontext(task_name="refit-with-best-params")
            self._refit(shown, routed.estimator.fit, refit)
        self.scorer_ = getattr(scorers, "_scorers", scorers)
        context.call_on_fit_task_end(**shown)
        return self

    def _refit(self, shown, fit_params, context):
        """Fit the winner on all data."""
        # The parameters too: they may be estimators themselves.
        best = clone(self.best_params_, safe=False)
        self.best_estimator_ = clone(self.estimator).set_params(**best)
        given = [shown["X"]] if shown["y"] is None else [shown["X"], shown["y"]]
        with context.propagate_callback_context(self.best_estimator_):
            context.call_on_fit_task_begin(**shown)
            started = time.time()
            self.best_estimator_.fit(*given, **fit_params)
            self.refit_time_ = time.time() - started
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_
        context.call_on_fit_task_end(**shown)

    def _run_search(self, evaluate_candidates, *, callback_ctx=None):
        raise NotImplementedError("_search_stages takes its place")

    @property
    def checked_cv(self):
        """The splitter in use, made by ``check_cv``; only during ``fit``."""
        return self._checked_cv_orig

    def _get_scorers(self):
        scorers, metric = super()._get_scorers()
        if isinstance(scorers, _MultimetricScorer):
            metric = self.choose_metric(list(scorers._scorers))
        return scorers, metric

    def _check_refit_for_multimetric(self, scores):
        self.choose_metric(list(scores))

    def _format_results(self, candidate_params, n_splits, out, more_results=None):
        errors = [row["fit_error"] for row in out if row["fit_error"]]
        self._last_failure = named_error(errors[-1]) if errors else None
        # scikit-learn warns of NaN once per column and per call, about all rows
        # so far; the subclass warns once, about the new rows.
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", r"One or more of the (test|train) scores are non-finite"
            )
            return super()._format_results(
                candidate_params, n_splits, out, more_results
            )

    @property
    def last_failure(self):
        """What the last fit that failed raised, in one line, or None."""
        return getattr(self, "_last_failure", None)


class StagedSearchCV(ChoosingSearchCV):
    """Search over parameters in stages, a few parameters at a time.

    Each stage is a grid, or a number of samples, whose candidates are evaluated
    by cross-validation with all that the stages before it chose. The winner,
    chosen by the rule of the stage, is the incumbent of the next stage. From the
    second stage on the incumbent takes part, so that under `best_score` no stage
    can make the model worse. A search of one stage is a `GridSearchCV`, or a
    `RandomizedSearchCV`.

    Parameters
    ----------
    estimator : estimator object
        The estimator to search; its parameters are what the first stage starts
        from.
    stages : list of Stage
        What to search, in order.
    scoring : str, callable, list, tuple or dict, default=None
        As for `GridSearchCV`. `record_scoring` adds columns that rules can read.
    n_jobs : int, default=None
        Number of fits that run in parallel.
    refit : bool or str, default=True
        Whether to fit the winner of the last stage on all data at the end. A
        text also names the metric that the rules read, where there are several;
        it is otherwise ``"score"`` or ``"accuracy"``, or the only one.
    cv : int, splitter or iterable, default=None
        As for `GridSearchCV`. The folds are drawn once: all stages are judged on
        the same ones.
    verbose : int, default=0
        As for `GridSearchCV`.
    pre_dispatch : int or str, default="2*n_jobs"
        As for `GridSearchCV`.
    random_state : int, RandomState instance or None, default=None
        Where the stages with `n_iter` take their samples from, one after the
        other.
    error_score : "raise" or numeric, default=np.nan
        The score of a fit that fails. A NaN never wins.
    return_train_score : bool, default=False
        Whether to compute training scores.
    memory : str, path-like or joblib.Memory, default=None
        Folder in which every `KerasMLPClassifier` of the search, also inside a
        pipeline, keeps its finished fits; see its `memory`. A search that was cut
        off then goes on where it was, when it is run again.
    time_budget : float, default=None
        Seconds after which no fit starts. The stages that are finished then stand:
        the winner of the last one is the search's; a stage that is not finished
        does not count. Fitting the winner on all data comes on top.
    inspect : callable, default=None
        ``inspect(fitted_estimator, X_test, y_test)``, called in the process that
        fitted, after the scores; what it returns is the trial's ``inspected``. It
        must be importable there.
    on_stage_end : callable, default=None
        ``on_stage_end(stage_result, cv_results)``, called in the main process
        after each stage with its `StageResult` and all rows so far. It is left
        out when the search is pickled, and so may hold an open file.
    on_trial_end : callable, default=None
        ``on_trial_end(trial)``, called in the main process after each fit and its
        scores, in the order in which they finish, with a
        `skmnist.model_selection.Trial`. Left out when the search is pickled.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        The rows of all stages, as `GridSearchCV` has them, and a column
        ``stage``. ``params`` is complete: it has what earlier stages chose.
    stages_ : list of StageResult
        What each stage found, and why it chose so.
    not_tried_ : list of str
        Names of the stages that `time_budget` left no time for.
    best_index_ : int
        Row of the last stage's winner.
    best_params_ : dict
        Its parameters, of all stages.
    best_score_ : float
        Its mean score.
    best_estimator_ : estimator
        The winner, fitted on all data; if `refit`.
    refit_time_ : float
        Seconds that this took.
    metric_ : str
        Name of the metric that the rules read.
    scorer_ : callable or dict
        The scorers in use.
    multimetric_ : bool
        Whether there are several.
    n_splits_ : int
        Number of folds.
    classes_ : ndarray
        Class labels; if `refit` and for classifiers.
    n_features_in_ : int
        Number of features; if `refit`.
    feature_names_in_ : ndarray of str
        Their names, where `X` had any; if `refit`.

    See Also
    --------
    Stage : What a stage is made of.
    sklearn.model_selection.GridSearchCV : All combinations at once.

    Notes
    -----
    Fits run where joblib's configuration says: in this process, in processes (the
    default with `n_jobs`), or on a Dask cluster under
    ``joblib.parallel_config("dask")``. A process that is killed takes no other fit
    with it: what it fitted is tried again, alone, and after three deaths it is a fit
    that failed.

    Two candidates are the same where all parameters of the estimator are equal;
    an incumbent that a stage tries anyway is not evaluated twice. An incumbent
    that is added comes first, so that it also wins ties.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skmnist import Stage, StagedSearchCV
    >>> search = StagedSearchCV(
    ...     DecisionTreeClassifier(random_state=0),
    ...     [Stage("depth", {"max_depth": [1, 2, 3]}),
    ...      Stage("leaves", {"min_samples_leaf": [1, 5]})])
    >>> search.fit(*load_iris(return_X_y=True)).best_params_
    {'max_depth': 3, 'min_samples_leaf': 1}
    >>> search.stages_[0].reason
    '96.00 % is the highest score of 3 candidates'
    >>> [str(name) for name in search.cv_results_["stage"]]
    ['depth', 'depth', 'depth', 'leaves', 'leaves']
    """

    _parameter_constraints: dict = {
        **BaseSearchCV._parameter_constraints,
        "stages": [list, tuple],
        "refit": ["boolean", str],
        "random_state": ["random_state"],
        "memory": [str, os.PathLike, HasMethods(["cache"]), None],
        "time_budget": [Interval(Real, 0, None, closed="neither"), None],
        "inspect": [callable, None],
        "on_stage_end": [callable, None],
        "on_trial_end": [callable, None],
    }

    def __init__(  # noqa: PLR0913
        self,
        estimator,
        stages,
        *,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        pre_dispatch="2*n_jobs",
        random_state=None,
        error_score=np.nan,
        return_train_score=False,
        memory=None,
        time_budget=None,
        inspect=None,
        on_stage_end=None,
        on_trial_end=None,
    ):
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.stages = stages
        self.random_state = random_state
        self.memory = memory
        self.time_budget = time_budget
        self.inspect = inspect
        self.on_stage_end = on_stage_end
        self.on_trial_end = on_trial_end

    def __getstate__(self):
        # scikit-learn sends the search itself to every process that fits.
        told = {"on_stage_end": None, "on_trial_end": None}
        return {**super().__getstate__(), **told}

    def fit(self, X, y=None, **params):
        """Run the stages, and fit the winner of the last one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,), default=None
            Their targets.
        **params : dict
            As for `GridSearchCV.fit`.

        Returns
        -------
        self : StagedSearchCV
            The fitted search.

        Raises
        ------
        ValueError
            If no candidate of a stage can be fitted, or if nothing in the estimator
            knows what to do with `memory`.
        TimeoutError
            If `time_budget` is spent before the first stage is finished.
        """
        if self.memory is None:
            return super().fit(X, y, **params)
        # The estimator as it was given stays as it is.
        search = copy.copy(self)
        search.estimator = _with_memory(self.estimator, self.memory)
        search.memory = None
        search.fit(X, y, **params)
        own = {"estimator": self.estimator, "memory": self.memory}
        vars(self).update({**vars(search), **own})
        return self

    def choose_metric(self, names):
        """Name the metric that decides.

        Parameters
        ----------
        names : list of str
            The metrics that are computed.

        Returns
        -------
        name : str
            The metric that the rules read.
        """
        if isinstance(self.refit, str) and self.refit in names:
            return self.refit
        if names == ["score"]:
            return "score"
        judging = [name for name in names if name not in self.recorded_metrics]
        if isinstance(self.refit, str):
            raise ValueError(f"refit={self.refit!r} is none of the metrics {judging}")
        if callable(self.scoring) and self.refit:
            raise ValueError(
                "scoring is a function of several metrics; name the one that "
                f"decides, as in refit={judging[0]!r}"
            )
        for name in ("score", "accuracy", *judging[: len(judging) == 1]):
            if name in judging:
                return name
        raise ValueError(f"refit must name the metric that decides, one of {judging}")

    def score(self, X, y=None, **params):
        """Score the best estimator on the given data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Input data.
        y : array-like of shape (n_samples,), default=None
            Its targets.
        **params : dict
            Passed to the scorer, with metadata routing.

        Returns
        -------
        score : float
            By the metric that decided.
        """
        if self.refit is True and getattr(self, "multimetric_", False):
            # scikit-learn looks the scorer up under the name that `refit` is.
            named = copy.copy(self)
            named.refit = self.metric_
            return named.score(X, y, **params)
        return super().score(X, y, **params)

    @property
    def recorded_metrics(self):
        """Names of the metrics that record something and do not judge."""
        scoring = self.scoring if isinstance(self.scoring, dict) else {}
        return {name for name, s in scoring.items() if isinstance(s, Recorder)}

    def _search_stages(self, X, y, scorers, *, callback_ctx, **given):
        """Run the stages; see `ChoosingSearchCV`."""
        deadline = self.time_budget and time.time() + self.time_budget
        with Evaluation(self, X, y, scorers, given, deadline) as evaluation:
            run = SearchRun(self, evaluation)
            self._run_stages(run, callback_ctx)
        self.stages_ = run.done
        self.metric_ = run.metric
        self.best_index_ = run.done[-1].winner
        self.best_params_ = run.results["params"][self.best_index_]
        means = run.results[f"mean_test_{run.metric}"]
        self.best_score_ = means[self.best_index_]
        return run.results, evaluation.outcomes[0]["test_scores"]

    def _run_stages(self, run, callback_ctx):
        context = callback_ctx.subcontext(
            task_name="search", max_subtasks=len(self.stages)
        ).call_on_fit_task_begin(estimator=self)
        self.not_tried_ = []
        for number, stage in enumerate(self.stages):
            if self.verbose > 0:
                print(f"Stage {number + 1} of {len(self.stages)}: {stage.name}")
            try:
                result = run.run(stage, context)
            except BudgetSpentError as spent:
                self._stop(number, spent)
                break
            if self.on_stage_end is not None:
                self.on_stage_end(result, run.results)
        context.call_on_fit_task_end(estimator=self)

    def _stop(self, number, spent):
        """Leave the stage that was not finished, and those behind it."""
        self.not_tried_ = [stage.name for stage in self.stages[number:]]
        message = (
            f"time_budget of {self.time_budget:g} s is spent: {spent} in stage "
            f"{self.not_tried_[0]!r}"
        )
        if number == 0:
            raise TimeoutError(f"{message}, the first one, so that nothing is chosen")
        warnings.warn(
            f"{message}; not tried: {', '.join(self.not_tried_)}",
            ConvergenceWarning,
            stacklevel=2,
        )


def _with_memory(estimator, memory):
    """Return an unfitted copy of which every part that keeps fits does so there."""
    copied = clone(estimator)
    parts = {"": copied, **copied.get_params()}
    keeping = [name for name, p in parts.items() if getattr(p, "keeps_fits", False)]
    if not keeping:
        raise ValueError(
            "memory keeps the fits of KerasMLPClassifier, and there is none in "
            f"{estimator!r}."
        )
    names = [f"{name}__memory" if name else "memory" for name in keeping]
    return copied.set_params(**dict.fromkeys(names, memory))
