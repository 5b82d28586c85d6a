"""The staged search: each stage starts from the winner of the stage before."""

# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone, is_classifier
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
)
from ._evaluation import BudgetSpentError, Evaluation, Trial
from ._notebook import search_html
from ._race import Race
from ._racing import RaceTooLongError
from ._runner import SearchRun
from ._scoring import deciding_metric
from ._stage import Stage, StageResult

if TYPE_CHECKING:
    import joblib
    from scipy.sparse import sparray, spmatrix
    from sklearn.callback import CallbackContext
    from sklearn.model_selection import BaseCrossValidator

    Matrix = ArrayLike | sparray | spmatrix


class StagedSearchCV(BaseSearchCV):
    """Search over parameters in stages, a few parameters at a time.

    Each stage is a grid or a number of samples. Its candidates have the parameters
    that the stages before it chose, and are evaluated by cross-validation. The rule of
    the stage chooses the winner, which is the incumbent of the next stage. From the
    second stage on the incumbent takes part, so with the rule `best_score` no stage
    can make the model worse. With one stage the search is a `GridSearchCV` or a
    `RandomizedSearchCV`.

    Parameters
    ----------
    estimator : estimator object
        The estimator to search. The first stage starts from its parameters.
    stages : list of Stage
        What to search, in order.
    scoring : str, callable, list, tuple or dict, default=None
        As for `GridSearchCV`. `record_scoring` adds columns that rules can read.
    n_jobs : int, default=None
        Number of fits that run in parallel. None for one after the other, where joblib
        is not told otherwise; but small networks train side by side in this process,
        see `lanes`. That changes no result.
    refit : bool or str, default=True
        Whether to fit the winner of the last stage on all data at the end. With
        several metrics a text names the one that the rules read. Otherwise they read
        ``"score"`` or ``"accuracy"``, or the only metric.
    cv : int, splitter or iterable, default=None
        As for `GridSearchCV`. The folds are drawn once, so all stages are judged on
        the same ones.
    verbose : int, default=0
        As for `GridSearchCV`.
    pre_dispatch : int or str, default="2*n_jobs"
        As for `GridSearchCV`.
    random_state : int, RandomState instance or None, default=None
        Source of the samples of stages with `n_iter`.
    error_score : "raise" or numeric, default=np.nan
        The score of a fit that fails. A NaN never wins.
    return_train_score : bool, default=False
        Whether to compute training scores.
    memory : str, path-like or joblib.Memory, default=None
        Folder in which every `KerasMLPClassifier` of the search keeps its finished
        fits, also inside a pipeline; see its `memory`. If a search was interrupted,
        run it again: it reads the finished fits and goes on.
    time_budget : float, default=None
        Seconds after which no fit starts. The search then ends with the winner of the
        last finished stage; an unfinished stage does not count. The time to fit the
        winner on all data comes on top.
    race : Race, default=None
        How the candidates of every stage race over replicates, which then chooses in
        place of the stage's rule; see Notes. None tries every candidate on every split.
    inspect : callable, default=None
        ``inspect(fitted_estimator, X_test, y_test)``, called after the scoring in the
        process that fitted, which must be able to import it. What it returns is the
        `inspected` of the `skmnist.model_selection.Trial`. On a single split it can
        return a dict with ``right``: an array with a bool for each row of `X_test`,
        whether it was classified correctly. Then candidates are compared row by row,
        see Notes.
    on_stage_end : callable, default=None
        ``on_stage_end(stage_result, cv_results)``, called in the main process after
        each stage with its `StageResult` and all rows so far. It can hold an open
        file, because it is left out when the search is pickled.
    on_trial_end : callable, default=None
        ``on_trial_end(trial)``, called in the main process after each fit and its
        scores, in the order in which they finish, with a
        `skmnist.model_selection.Trial`. It is left out when the search is pickled.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        The rows of all stages, as `GridSearchCV` has them, and a column ``stage``.
        ``params`` also contains what earlier stages chose. There is a column ``right``
        if `inspect` returned it. A race adds columns, see Notes.
    stages_ : list of StageResult
        What each stage found, and the reason of its choice.
    not_tried_ : list of str
        Names of the stages that were not finished within `time_budget`.
    best_index_ : int
        Row of the last stage's winner.
    best_params_ : dict
        Its searched parameters, of all stages.
    best_score_ : float
        Its mean score; after a race, that of the replicates that did not choose it.
    best_estimator_ : estimator
        The winner, fitted on all data; if `refit`.
    refit_time_ : float
        Seconds that this fit took; if `refit`.
    metric_ : str
        Name of the metric that the rules read.
    scorer_ : callable or dict
        The scorers in use.
    multimetric_ : bool
        Whether there are several metrics.
    n_splits_ : int
        Number of folds.
    split_sizes_ : tuple of two float
        Mean number of rows that fitted, and of rows that judged, in a fold.
    classes_ : ndarray
        Class labels; if `refit` and for classifiers.
    n_features_in_ : int
        Number of features; if `refit`.
    feature_names_in_ : ndarray of str
        Names of the features, if `X` has names and the winner learns them; if `refit`.

    See Also
    --------
    Stage : What a stage is made of.
    sklearn.model_selection.GridSearchCV : All combinations at once.

    Notes
    -----
    Fits run where joblib's configuration says: in this process, in other processes
    (the default with `n_jobs`), or on a Dask cluster under
    ``joblib.parallel_config("dask")``. If a process is killed, its fit is tried again,
    alone; after three deaths it counts as a fit that failed. The other fits go on.

    Two candidates are the same if all parameters of the estimator are equal. If a
    stage tries its incumbent anyway, the incumbent is not evaluated twice. Otherwise
    the incumbent is added as the first candidate, so it also wins ties.

    Rules and growing stages that ask whether one candidate is better than another use
    the test of `compare_candidates`: over several splits the corrected resampled
    t-test, which is paired by split; on a single split McNemar's test, which is paired
    by row, if `inspect` returns ``right`` and the score is the accuracy; otherwise the
    test of two proportions, which is not paired and misses small differences.

    In a race (`Race`) ``split0_test_score`` and so on are the replicates; they are NaN
    from where a candidate has left, and the means are over those that it ran. More
    columns tell how it ended: ``race_replicates``, how many it ran; ``race_finish``,
    one of "worse", "idle", "failed", "stood" and "won"; ``race_behind``, how far it was
    behind the leader then, with ``race_standard_error`` and ``race_p_value``;
    ``race_part``, less than 1 if it left at a rung, after so much of its training;
    ``mean_fresh_score`` and ``std_fresh_score``, the winner's score on replicates that
    did not choose it. With several metrics the names end with the metric's.

    A fit that fails or is interrupted leaves the search as it was before.

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
        "race": [Race, None],
        "inspect": [callable, None],
        "on_stage_end": [callable, None],
        "on_trial_end": [callable, None],
    }

    cv_results_: dict[str, Any]
    stages_: list[StageResult]
    not_tried_: list[str]
    best_index_: int
    best_params_: dict[str, Any]
    best_score_: float
    best_estimator_: BaseEstimator
    refit_time_: float
    metric_: str
    scorer_: Callable | dict[str, Callable]
    multimetric_: bool
    n_splits_: int
    split_sizes_: tuple[float, float]
    feature_names_in_: NDArray[np.object_]

    def __init__(  # noqa: PLR0913
        self,
        estimator: BaseEstimator,
        stages: Sequence[Stage],
        *,
        scoring: (
            str | Callable | Sequence[str] | Mapping[str, str | Callable] | None
        ) = None,
        n_jobs: int | None = None,
        refit: bool | str = True,
        cv: int | BaseCrossValidator | Iterable | None = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: int | np.random.RandomState | None = None,
        error_score: Literal["raise"] | float = np.nan,
        return_train_score: bool = False,
        memory: str | os.PathLike[str] | joblib.Memory | None = None,
        time_budget: float | None = None,
        race: Race | None = None,
        inspect: Callable[[Any, Any, Any], object] | None = None,
        on_stage_end: Callable[[StageResult, dict[str, Any]], object] | None = None,
        on_trial_end: Callable[[Trial], object] | None = None,
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
        self.race = race
        self.inspect = inspect
        self.on_stage_end = on_stage_end
        self.on_trial_end = on_trial_end

    def __getstate__(self) -> dict[str, Any]:
        # scikit-learn sends the search itself to every process that fits.
        told = {"on_stage_end": None, "on_trial_end": None}
        return {**super().__getstate__(), **told}

    @_fit_context(
        # The estimator that is searched is not validated yet.
        prefer_skip_nested_validation=False
    )
    def fit(self, X: Matrix, y: ArrayLike | None = None, **params: Any) -> Self:
        """Run the stages, and fit the winner of the last one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,), default=None
            Targets of the training data.
        **params : dict
            As for `GridSearchCV.fit`.

        Returns
        -------
        self : StagedSearchCV
            The fitted search.

        Raises
        ------
        ValueError
            If a stage or a race is not valid, if all candidates of a stage fail, or if
            `memory` is given and the estimator contains no `KerasMLPClassifier`.
        TimeoutError
            If `time_budget` is over before the first stage is finished.
        """
        estimator = _with_memory(self.estimator, self.memory)
        scorers, _ = self._get_scorers()
        X, y = indexable(X, y)
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        weights = params.get("sample_weight")
        metadata = None if weights is None else {"sample_weight": weights}
        shown = {"estimator": self, "X": X, "y": y, "metadata": metadata}
        context = self._init_callback_context(
            max_subtasks=1 + bool(self.refit)
        ).call_on_fit_task_begin(**shown)
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        evaluation = Evaluation(
            self, estimator, (X, y), cv=cv, scorers=scorers, routed=routed
        )
        with evaluation:
            run = SearchRun(self, evaluation)
            not_tried = self._run_stages(run, context)
        refitted = None
        if self.refit:
            refitted = self._refit(run, shown, routed.estimator.fit, context)
        self._learn(run, not_tried, refitted)
        context.call_on_fit_task_end(**shown)
        return self

    def _run_stages(self, run: SearchRun, callback_ctx: CallbackContext) -> list[str]:
        """Run the stages; return the names of those that there was no time for."""
        context = callback_ctx.subcontext(
            task_name="search", max_subtasks=len(self.stages)
        ).call_on_fit_task_begin(estimator=self)
        not_tried: list[str] = []
        for number, stage in enumerate(self.stages):
            if run.passes_over(self.stages[number:]):
                not_tried.append(stage.name)
                continue
            if self.verbose > 0:
                print(f"Stage {number + 1} of {len(self.stages)}: {stage.name}")
            try:
                result = run.run(stage, context)
            except BudgetSpentError as spent:
                not_tried += [stage.name for stage in self.stages[number:]]
                self._report_spent(spent, stage.name, not_tried)
                break
            if self.on_stage_end is not None:
                self.on_stage_end(result, run.results)
        else:
            if not_tried:
                warnings.warn(
                    f"time_budget of {self.time_budget:g} s is too short for all "
                    f"stages; not tried: {', '.join(not_tried)}",
                    ConvergenceWarning,
                    stacklevel=2,
                )
        context.call_on_fit_task_end(estimator=self)
        return not_tried

    def _report_spent(
        self, spent: BudgetSpentError, name: str, not_tried: list[str]
    ) -> None:
        """Warn that the time is over; an error if no stage is finished."""
        message = f"stage {name!r}: {spent}"
        if not isinstance(spent, RaceTooLongError):
            message = (
                f"time_budget of {self.time_budget:g} s is spent: {spent} in stage "
                f"{name!r}"
            )
        if len(not_tried) == len(self.stages):
            raise TimeoutError(f"{message}, the first one, so that nothing is chosen")
        warnings.warn(
            f"{message}; not tried: {', '.join(not_tried)}",
            ConvergenceWarning,
            stacklevel=2,
        )

    def _refit(
        self,
        run: SearchRun,
        shown: dict[str, Any],
        fit_params: dict[str, Any],
        callback_ctx: CallbackContext,
    ) -> tuple[BaseEstimator, float]:
        """Fit the winner on all data; return it, and the seconds that this took."""
        context = callback_ctx.subcontext(task_name="refit-with-best-params")
        # The parameters are cloned too: they can be estimators themselves.
        params = clone(run.done[-1].best_params, safe=False)
        best = clone(run.evaluation.estimator).set_params(**params)
        given = [shown["X"]] if shown["y"] is None else [shown["X"], shown["y"]]
        with context.propagate_callback_context(best):
            context.call_on_fit_task_begin(**shown)
            started = time.time()
            best.fit(*given, **fit_params)
            seconds = time.time() - started
        context.call_on_fit_task_end(**shown)
        return best, seconds

    def _learn(
        self,
        run: SearchRun,
        not_tried: list[str],
        refitted: tuple[BaseEstimator, float] | None,
    ) -> None:
        """Set all learned attributes: at the end of a fit, and nowhere else."""
        evaluation, winner = run.evaluation, run.done[-1].winner
        self.cv_results_ = run.results
        self.stages_ = run.done
        self.not_tried_ = not_tried
        self.metric_ = run.metric
        self.best_index_ = winner
        self.best_params_ = run.results["params"][winner]
        self.best_score_ = run.results[f"mean_test_{run.metric}"][winner]
        fresh = run.results.get(f"mean_fresh_{run.metric}")
        if fresh is not None and np.isfinite(fresh[winner]):
            self.best_score_ = fresh[winner]
        self.n_splits_ = evaluation.n_splits
        n_train, n_test = evaluation.folds.sizes
        self.split_sizes_ = float(n_train), float(n_test)
        # A function may return one score or several: its first result shows which.
        self.multimetric_ = isinstance(evaluation.first_scores, dict)
        self.scorer_ = getattr(evaluation.scorers, "_scorers", evaluation.scorers)
        for name in ("best_estimator_", "refit_time_", "feature_names_in_"):
            vars(self).pop(name, None)  # of an earlier fit
        if refitted is not None:
            self.best_estimator_, self.refit_time_ = refitted
            if hasattr(self.best_estimator_, "feature_names_in_"):
                self.feature_names_in_ = self.best_estimator_.feature_names_in_

    @property
    def _repr_html_(self) -> Callable[[], str]:
        """What a notebook shows: stages, winners and reasons, once it is fitted."""
        diagram = super()._repr_html_  # an error where the user wants no diagrams
        if not hasattr(self, "stages_"):
            return diagram
        return lambda: search_html(self, diagram())

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle and hasattr(self, "stages_"):
            bundle["text/html"] = search_html(self, bundle["text/html"])
        return bundle

    def _get_scorers(self) -> tuple[Callable, str]:
        scorers, metric = super()._get_scorers()
        if isinstance(scorers, _MultimetricScorer):
            metric = deciding_metric(list(scorers._scorers), self.scoring, self.refit)
        return scorers, metric

    def _check_refit_for_multimetric(self, scores: Iterable[str]) -> None:
        deciding_metric(list(scores), self.scoring, self.refit)

    def score(self, X: Matrix, y: ArrayLike | None = None, **params: Any) -> float:
        """Score the best estimator on the given data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Input data.
        y : array-like of shape (n_samples,), default=None
            Targets of the data.
        **params : dict
            Passed to the scorer, with metadata routing.

        Returns
        -------
        score : float
            The metric that the rules read.
        """
        if self.refit is True and getattr(self, "multimetric_", False):
            # scikit-learn looks the scorer up under the name that `refit` is.
            named = copy.copy(self)
            named.refit = self.metric_
            return named.score(X, y, **params)
        return super().score(X, y, **params)


def _with_memory(
    estimator: BaseEstimator, memory: str | os.PathLike[str] | joblib.Memory | None
) -> BaseEstimator:
    """Return an unfitted copy whose classifiers keep their fits in `memory`."""
    if memory is None:
        return estimator
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
