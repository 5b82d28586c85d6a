"""Selection rules: which row of ``cv_results_`` wins, and why, in one sentence."""

# SPDX-License-Identifier: BSD-3-Clause

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import numpy as np

from ..stats._compare import StageVerdict
from ._results import (
    ROUNDING,
    Bools,
    CVResults,
    Floats,
    Words,
    as_good,
    column,
    gaps,
    highest,
    lowest,
    mean_scores,
    numbers,
    same_value,
    standard_error,
    written,
)
from ._significance import table_verdict

Rule = Callable[[CVResults], int]


def best_score(cv_results: CVResults) -> int:
    """Choose the candidate with the highest mean test score.

    Parameters
    ----------
    cv_results : dict
        A table as in ``GridSearchCV.cv_results_``. The score is the column
        ``mean_test_score`` or, with several metrics, ``mean_test_accuracy``.

    Returns
    -------
    index : int
        Row of the winner, the first one on ties. A NaN never wins.

    Raises
    ------
    ValueError
        If there is no score column, or if every score is NaN.

    Examples
    --------
    >>> from skmnist import best_score
    >>> best_score({"mean_test_score": [0.91, float("nan"), 0.95, 0.95]})
    2
    """
    scores = mean_scores(cv_results)
    return highest(scores)


@dataclass(frozen=True)
class within_gap:
    """Choose the highest score among the candidates that do not overfit.

    A candidate overfits if its validation accuracy is higher than its test score by
    more than `max_gap`. If all candidates overfit, the one with the smallest gap wins.

    Parameters
    ----------
    max_gap : float, default=0.01
        Largest allowed gap: validation accuracy minus test score.

    Raises
    ------
    ValueError
        If `max_gap` is negative; when the rule is used, if the table has no
        validation accuracy.

    Notes
    -----
    The validation accuracy is ``mean_test_validation_accuracy``, which
    `record_scoring` makes, or else ``mean_train_score``, which any search has with
    ``return_train_score=True``. A row without it never wins. Ties go to the first
    row. If two candidates have the same smallest gap, the higher score wins.

    Examples
    --------
    >>> from skmnist import within_gap
    >>> rule = within_gap(0.01)
    >>> rule({"mean_test_score": [0.98, 0.97], "mean_train_score": [1.0, 0.975]})
    1
    """

    max_gap: float = 0.01

    def __post_init__(self):
        _check(self, bound="max_gap")

    def __call__(self, cv_results: CVResults) -> int:
        """Return the row of the winner."""
        scores = mean_scores(cv_results)
        excess = gaps(cv_results)
        inside = excess <= self.max_gap + ROUNDING
        if (inside & ~np.isnan(scores)).any():
            return highest(scores, inside)
        return lowest(excess, scores)

    def explain(self, cv_results: CVResults, index: int) -> str:
        """Return one sentence that says why row `index` won."""
        table = Words(cv_results)
        excess, limit = gaps(cv_results), table.difference(self.max_gap)
        if excess[index] > self.max_gap + ROUNDING:
            return (
                f"{table.score(index)} has the smallest gap "
                f"({table.difference(excess[index])}) of {table.rows} candidates; the "
                f"validation accuracy of each exceeds it by more than {limit}"
            )
        inside = (excess <= self.max_gap + ROUNDING) & ~np.isnan(table.scores)
        return (
            f"{table.score(index)} {table.among(inside, f'highest {table.noun}')} "
            f"whose validation accuracy exceeds it by at most {limit}"
        )


@dataclass(frozen=True)
class smallest:
    """Choose the smallest value of a column among the candidates with a good score.

    Parameters
    ----------
    key : str
        A searched parameter (``"batch_size"``), a column of the table with or
        without its prefix (``"mean_fit_time"``, ``"n_parameters"``), or
        ``"gap"``: validation accuracy minus score.
    tolerance : float, default=0.0
        How far below the best score a good score may be, in the unit of the score.

    Raises
    ------
    ValueError
        If `tolerance` is negative; when the rule is used, if there is no such column.
    TypeError
        When the rule is used, if the column does not hold numbers.

    Notes
    -----
    Ties go to the higher score, then to the first row. A NaN never wins.

    Examples
    --------
    >>> from skmnist import smallest
    >>> rule = smallest("batch_size", tolerance=0.001)
    >>> rule({"mean_test_score": [0.96, 0.9795, 0.98],
    ...       "param_batch_size": [32, 64, 128]})
    1
    """

    key: str
    tolerance: float = 0.0

    def __post_init__(self):
        _check(self, name="key", bound="tolerance")

    def __call__(self, cv_results: CVResults) -> int:
        """Return the row of the winner."""
        values = numbers(cv_results, self.key)
        scores = mean_scores(cv_results)
        return lowest(values, scores, as_good(scores, self.tolerance))

    def explain(self, cv_results: CVResults, index: int) -> str:
        """Return one sentence that says why row `index` won."""
        table = Words(cv_results)
        good = as_good(table.scores, self.tolerance)
        return (
            f"{table.value(self.key, index)} {table.among(good, 'smallest')} "
            f"whose {table.noun} is at most {table.difference(self.tolerance)} "
            f"below the best ({table.best})"
        )


@dataclass(frozen=True)
class one_standard_error:
    """Choose the simplest candidate within one standard error of the best [1]_.

    Parameters
    ----------
    complexity : str
        What should be small: a searched parameter or a column, as in `smallest`.

    Raises
    ------
    ValueError
        If `complexity` is not a name; when the rule is used, if the standard error
        is not known.

    Notes
    -----
    The standard error is the one of the best candidate. For ``k`` splits it is
    ``std(ddof=1) / sqrt(k)``. For one split it is the
    `skmnist.stats.binomial_standard_error` of an accuracy, ``sqrt(p * (1 - p) /
    n_test)``, which needs the column ``n_test`` of `record_scoring`. Ties go to the
    higher score, then to the first row.

    References
    ----------
    .. [1] L. Breiman, J. Friedman, R. Olshen, C. Stone, "Classification and
       Regression Trees", 1984, section 3.4.3.

    Examples
    --------
    >>> from skmnist import one_standard_error
    >>> rule = one_standard_error("depth")
    >>> rule({"mean_test_score": [0.90, 0.94, 0.95], "param_depth": [1, 2, 3],
    ...       "split0_test_score": [0.90, 0.94, 0.94],
    ...       "split1_test_score": [0.90, 0.94, 0.96]})
    1
    """

    complexity: str

    def __post_init__(self):
        _check(self, name="complexity")

    def __call__(self, cv_results: CVResults) -> int:
        """Return the row of the winner."""
        values = numbers(cv_results, self.complexity)
        scores = mean_scores(cv_results)
        return lowest(values, scores, as_good(scores, standard_error(cv_results)))

    def explain(self, cv_results: CVResults, index: int) -> str:
        """Return one sentence that says why row `index` won."""
        table = Words(cv_results)
        error = standard_error(cv_results)
        good = as_good(table.scores, error)
        return (
            f"{table.value(self.complexity, index)} {table.among(good, 'smallest')} "
            f"within one standard error ({table.difference(error)}) of the best "
            f"{table.noun} ({table.best})"
        )


@dataclass(frozen=True, repr=False)
class prefer:
    """Choose a recommended value unless its score is too low.

    Parameters
    ----------
    param : str
        A searched parameter.
    value : object
        The recommended value; or a function that takes a value and returns whether it
        is recommended.
    tolerance : float, default=0.0
        How far below the best score the recommended value may be, in the unit of the
        score.

    Raises
    ------
    ValueError
        If `tolerance` is negative, or if `param` is not a name.

    Notes
    -----
    If several candidates have a recommended value, the best score of them counts. If
    none is good enough, the rule chooses as `best_score` does.

    Examples
    --------
    >>> from skmnist import prefer
    >>> rule = prefer("solver", "lbfgs", tolerance=0.01)
    >>> rule({"mean_test_score": [0.97, 0.965], "param_solver": ["sag", "lbfgs"]})
    1
    """

    param: str
    value: object
    tolerance: float = 0.0

    def __post_init__(self):
        _check(self, name="param", bound="tolerance")

    def __repr__(self) -> str:
        return written(self)

    def __call__(self, cv_results: CVResults) -> int:
        """Return the row of the winner."""
        scores = mean_scores(cv_results)
        wanted = self._recommended(cv_results) & as_good(scores, self.tolerance)
        return highest(scores, wanted) if wanted.any() else best_score(cv_results)

    def explain(self, cv_results: CVResults, index: int) -> str:
        """Return one sentence that says why row `index` won."""
        table = Words(cv_results)
        if not self._recommended(cv_results)[index]:
            return (
                f"{table.score(index)} is the highest {table.noun}, and no candidate "
                f"with the recommended {self.param} comes within "
                f"{table.difference(self.tolerance)} of it"
            )
        return (
            f"{table.value(self.param, index)} is recommended, and its {table.noun} "
            f"of {table.score(index)} is at most {table.difference(self.tolerance)} "
            f"below the best ({table.best})"
        )

    def _recommended(self, cv_results: CVResults) -> Bools:
        def is_equal(value):
            # NumPy turns a column of whole numbers and floats into floats.
            both = isinstance(value, Real) and isinstance(self.value, Real)
            return value == self.value if both else same_value(value, self.value)

        is_recommended = self.value if inspect.isfunction(self.value) else is_equal
        values = column(cv_results, self.param)
        return np.array(
            [v is not np.ma.masked and bool(is_recommended(v)) for v in values]
        )


def explain(rule: Rule, cv_results: CVResults, index: int) -> str:
    """Explain in one sentence, with the numbers, why a rule chose a row.

    Parameters
    ----------
    rule : callable
        One of the rules of this package, or any function ``cv_results -> index``.
    cv_results : dict
        The table that the rule read.
    index : int
        The row that it chose.

    Returns
    -------
    reason : str
        A sentence without a full stop.

    Examples
    --------
    >>> from skmnist.model_selection import best_score, explain
    >>> explain(best_score, {"mean_test_score": [0.91, 0.95]}, 1)
    '95.00 % is the highest score of 2 candidates'
    """
    table = Words(cv_results)
    if table.rows == 1:
        return f"{table.score(index)} is the {table.noun} of the only candidate"
    if hasattr(rule, "explain"):
        return rule.explain(cv_results, index)
    if rule is best_score:
        highest_of = f"is the highest {table.noun} of {table.rows} candidates"
        return f"{table.score(index)} {highest_of}"
    return (
        f"{written(rule)} chose candidate {index + 1} of {table.rows}, whose "
        f"{table.noun} is {table.score(index)}; the best is {table.best}"
    )


def _check(rule: object, *, name: str | None = None, bound: str | None = None) -> None:
    """Raise ValueError unless a name is a text and a bound is 0 or more."""
    if name and not (isinstance(getattr(rule, name), str) and getattr(rule, name)):
        raise ValueError(f"{name} must be a name; got {getattr(rule, name)!r}")
    if bound and not getattr(rule, bound) >= 0:
        raise ValueError(f"{bound} must not be negative; got {getattr(rule, bound)!r}")


@dataclass(frozen=True)
class significantly_better:
    """Choose another candidate than the incumbent only if it is really better.

    The baseline is the incumbent of a stage or, with `complexity`, the simplest
    candidate. The other candidates that are significantly better compete: the highest
    score wins. Without any, the baseline stays.

    Parameters
    ----------
    complexity : str, default=None
        What should be small: a searched parameter or a column, as in `smallest`. None
        makes the incumbent of a `StagedSearchCV` the baseline. Without an incumbent,
        or if it failed, the baseline is the first candidate that did not fail.
    alpha : float, default=0.05
        Level of the test, over all pairs of candidates.
    test_size : float, default=None
        Part of the data that judged in each split, as for `compare_candidates`.

    Raises
    ------
    ValueError
        If `alpha` is not between 0 and 1; when the rule is used, as
        `compare_candidates` does.

    Notes
    -----
    A candidate is significantly better if its score is higher and the adjusted p-value
    of the pair, in the `skmnist.stats.StageVerdict` of the table, is below `alpha`. A
    pair has the same p-value whichever of the two wins. So what this rule says is what
    a table of the stage shows afterwards.

    The test is the one of `compare_candidates`: over several splits
    `corrected_resampled_t_test`; on one split `mcnemar_test` if the table has the
    column ``right``, which `StagedSearchCV` makes if its `inspect` returns it; and else
    the test of two proportions with the column ``n_test`` (see `record_scoring`). The
    last one does not use that all candidates were judged by the same rows, so the
    baseline stays more often than it had to; the reason names the test. A candidate
    that failed is not tested and never wins.

    Examples
    --------
    >>> from skmnist import significantly_better
    >>> rule = significantly_better("depth")
    >>> rule({"mean_test_score": [0.9753, 0.9783, 0.9814], "param_depth": [1, 2, 3],
    ...       "mean_test_n_test": [10_000, 10_000, 10_000]})
    2
    >>> rule({"mean_test_score": [0.9791, 0.9783, 0.9814], "param_depth": [1, 2, 3],
    ...       "mean_test_n_test": [10_000, 10_000, 10_000]})
    0
    """

    complexity: str | None = None
    alpha: float = 0.05
    test_size: float | None = None

    def __post_init__(self):
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must be between 0 and 1; got {self.alpha!r}")

    def __call__(self, cv_results: CVResults) -> int:
        """Return the row of the winner."""
        verdict = self._verdict(cv_results)
        better = _significantly_better(verdict)
        if not better.any():
            return verdict.winner
        return highest(mean_scores(cv_results), better)

    def explain(self, cv_results: CVResults, index: int) -> str:
        """Return one sentence that says why row `index` won."""
        table = Words(cv_results)
        verdict = self._verdict(cv_results)
        baseline, n_others = verdict.winner, len(verdict.tied + verdict.differ)
        if not n_others:
            return f"{table.score(index)} is all there is: the other candidates failed"
        one_split = "" if verdict.paired else " on one split"
        how = (
            f"at level {self.alpha:g} ({verdict.test}{one_split}, adjusted after Holm)"
        )
        whose = f"{self._name(cv_results, baseline)} with {table.score(baseline)}"
        if index == baseline:
            return (
                f"{whose} stays: none of the {n_others} others is significantly better "
                f"{how}; {_nearest(table, verdict)}"
            )
        among = table.among(_significantly_better(verdict), f"highest {table.noun}")
        return (
            f"{table.score(index)} {among} significantly better than {whose} {how}; "
            f"p = {verdict.adjusted[index]:.2g}"
        )

    def _verdict(self, cv_results: CVResults) -> StageVerdict:
        """Compare all candidates with the baseline."""
        baseline = self._baseline(cv_results, mean_scores(cv_results))
        return table_verdict(
            cv_results, baseline, test_size=self.test_size, alpha=self.alpha
        )

    def _baseline(self, cv_results: CVResults, scores: Floats) -> int:
        if self.complexity is not None:
            return lowest(numbers(cv_results, self.complexity), scores)
        known = ~np.isnan(scores)
        incumbent = np.asarray(cv_results.get("incumbent", False)) & known
        return int(np.flatnonzero(incumbent if incumbent.any() else known)[0])

    def _name(self, cv_results: CVResults, baseline: int) -> str:
        if self.complexity is not None:
            value = Words(cv_results).value(self.complexity, baseline)
            return f"the simplest candidate, {value},"
        if "incumbent" in cv_results and cv_results["incumbent"][baseline]:
            return "the incumbent"
        return "the first candidate"


def _significantly_better(verdict: StageVerdict) -> Bools:
    """Return which candidates have a higher score, by more than chance."""
    better = np.zeros(len(verdict.scores), dtype=bool)
    better[[i for i in verdict.differ if verdict.differences[i] > 0]] = True
    return better


def _nearest(table: Words, verdict: StageVerdict) -> str:
    """Write how near the others come to being significantly better."""
    higher = [i for i, d in enumerate(verdict.differences) if d is not None and d > 0]
    if not higher:
        return f"none has a higher {table.noun}"
    nearest = min(higher, key=lambda i: verdict.adjusted[i])
    return (
        f"the nearest, {table.score(nearest)}, has p = {verdict.adjusted[nearest]:.2g}"
    )
