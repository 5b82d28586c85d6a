"""Selection rules: which row of ``cv_results_`` wins, and the reason in words."""

# SPDX-License-Identifier: BSD-3-Clause

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from ..stats._compare import holm
from ._results import (
    ROUNDING,
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
from ._scoring import record_scoring as record_scoring
from ._significance import compare_candidates, significant_gain as significant_gain


def best_score(cv_results):
    """Choose the candidate with the highest mean test score.

    Parameters
    ----------
    cv_results : dict
        A table as in ``GridSearchCV.cv_results_``. The score is the column
        ``mean_test_score`` or, where several metrics were computed,
        ``mean_test_accuracy``.

    Returns
    -------
    index : int
        Row of the winner: the first one on ties. A NaN never wins.

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

    A candidate overfits where its validation accuracy exceeds its test score by
    more than `max_gap`; a validation accuracy below the score is no overfitting.
    If all candidates overfit, the one with the smallest gap is chosen.

    Parameters
    ----------
    max_gap : float, default=0.01
        Largest allowed validation accuracy minus test score.

    Notes
    -----
    The validation accuracy is ``mean_test_validation_accuracy``, which
    `record_scoring` provides, or else ``mean_train_score``, which any search
    has after ``return_train_score=True``. A row without it cannot be chosen.
    Ties go to the first row; among equal smallest gaps to the higher score.

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

    def __call__(self, cv_results):
        """Choose a row."""
        scores = mean_scores(cv_results)
        excess = gaps(cv_results)
        inside = excess <= self.max_gap + ROUNDING
        if (inside & ~np.isnan(scores)).any():
            return highest(scores, inside)
        return lowest(excess, scores)

    def explain(self, cv_results, index):
        """Say in one sentence why row `index` was chosen."""
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
    """Choose the smallest value of a column among the candidates as good as the best.

    Parameters
    ----------
    key : str
        A searched parameter (``"batch_size"``), a column of the table with or
        without its prefix (``"mean_fit_time"``, ``"n_parameters"``), or
        ``"gap"``: how far the validation accuracy exceeds the score.
    tolerance : float, default=0.0
        How far below the best a score may lie, in units of the score.

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

    def __call__(self, cv_results):
        """Choose a row."""
        values = numbers(cv_results, self.key)
        scores = mean_scores(cv_results)
        return lowest(values, scores, as_good(scores, self.tolerance))

    def explain(self, cv_results, index):
        """Say in one sentence why row `index` was chosen."""
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
        What is to be small: a searched parameter or a column, as in `smallest`.

    Notes
    -----
    The standard error is that of the best candidate's mean over its `k` splits,
    ``std(ddof=1) / sqrt(k)``. For one split it is the binomial one of an
    accuracy, ``sqrt(p * (1 - p) / n_test)``, which needs the column ``n_test``
    of `record_scoring`. Ties go to the higher score, then to the first row.

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

    def __call__(self, cv_results):
        """Choose a row."""
        values = numbers(cv_results, self.complexity)
        scores = mean_scores(cv_results)
        return lowest(values, scores, as_good(scores, standard_error(cv_results)))

    def explain(self, cv_results, index):
        """Say in one sentence why row `index` was chosen."""
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
    """Choose a recommended value unless it is clearly worse.

    Parameters
    ----------
    param : str
        A searched parameter.
    value : object
        Its recommended value, or a function that tells of a value whether it is
        recommended.
    tolerance : float, default=0.0
        How far below the best score the recommended value may lie.

    Notes
    -----
    Among several candidates with a recommended value the best score counts.
    Without any, or where it is worse, the rule is `best_score`.

    Examples
    --------
    >>> from skmnist import prefer
    >>> rule = prefer("solver", "lbfgs", tolerance=0.01)
    >>> rule({"mean_test_score": [0.97, 0.965], "param_solver": ["sag", "lbfgs"]})
    1
    """

    param: str
    value: Any
    tolerance: float = 0.0

    def __post_init__(self):
        _check(self, name="param", bound="tolerance")

    def __repr__(self):
        return written(self)

    def __call__(self, cv_results):
        """Choose a row."""
        scores = mean_scores(cv_results)
        wanted = self._recommended(cv_results) & as_good(scores, self.tolerance)
        return highest(scores, wanted) if wanted.any() else best_score(cv_results)

    def explain(self, cv_results, index):
        """Say in one sentence why row `index` was chosen."""
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

    def _recommended(self, cv_results):
        def is_equal(value):
            # A column of whole numbers and floats holds floats only.
            both = isinstance(value, Real) and isinstance(self.value, Real)
            return value == self.value if both else same_value(value, self.value)

        is_recommended = self.value if inspect.isfunction(self.value) else is_equal
        values = column(cv_results, self.param)
        return np.array(
            [v is not np.ma.masked and bool(is_recommended(v)) for v in values]
        )


def explain(rule: Callable, cv_results: Mapping, index: int) -> str:
    """Say in one sentence, with the numbers, why a rule chose a row.

    Parameters
    ----------
    rule : callable
        One of this module's rules, or any other ``cv_results -> index``.
    cv_results : dict
        The table that the rule read.
    index : int
        The row that it chose.

    Returns
    -------
    reason : str
        Without a full stop.

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


def _check(rule, *, name=None, bound=None):
    """Refuse a `name` that is no text and a `bound` that is negative or NaN."""
    if name and not (isinstance(getattr(rule, name), str) and getattr(rule, name)):
        raise ValueError(f"{name} must be a name; got {getattr(rule, name)!r}")
    if bound and not getattr(rule, bound) >= 0:
        raise ValueError(f"{bound} must not be negative; got {getattr(rule, bound)!r}")


@dataclass(frozen=True)
class significantly_better:
    """Choose another candidate than the incumbent only if it is really better.

    The baseline is the incumbent of a stage or, with `complexity`, the simplest
    candidate. Each other candidate is tested against it, one-sided, and the
    p-values are adjusted after Holm for being several. Among the candidates that
    are significantly better the highest score wins; without any the baseline stays.

    Parameters
    ----------
    complexity : str, default=None
        What is to be small: a searched parameter or a column, as in `smallest`. None
        makes the incumbent of a `StagedSearchCV` the baseline or, where there is
        none or it failed, the first candidate that did not.
    alpha : float, default=0.05
        Level of the test over all candidates.
    test_size : float, default=None
        Part of the data that judged in each split, see `compare_candidates`.

    Notes
    -----
    With two or more splits the test is `corrected_resampled_t_test`. With one split
    a table has only accuracies, and the test is that of two proportions with the
    column ``n_test`` (see `record_scoring`), which does not use that all candidates
    saw the same rows: it lets the baseline stay more often than it had to, and the
    reason says that it was used. A candidate that failed is not tested and never
    wins.

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

    def __call__(self, cv_results):
        """Choose a row."""
        baseline, p_values, _ = self._test(cv_results)
        better = p_values < self.alpha
        if not better.any():
            return baseline
        return highest(mean_scores(cv_results), better)

    def explain(self, cv_results, index):
        """Say in one sentence why row `index` was chosen."""
        table = Words(cv_results)
        baseline, p_values, test = self._test(cv_results)
        if test is None:
            return f"{table.score(index)} is all there is: the other candidates failed"
        how = f"at level {self.alpha:g} after Holm, by the {test}"
        if test == "test of two proportions":
            how += " on one split"
        nearest = int(np.nanargmin(p_values))
        whose = f"{self._name(cv_results, baseline)} with {table.score(baseline)}"
        if index == baseline:
            n_tested = np.count_nonzero(~np.isnan(p_values))
            return (
                f"{whose} stays: none of the {n_tested} others is significantly better "
                f"{how}; the nearest, {table.score(nearest)}, has "
                f"p = {p_values[nearest]:.2g}"
            )
        among = table.among(p_values < self.alpha, f"highest {table.noun}")
        return (
            f"{table.score(index)} {among} significantly better than {whose} {how}; "
            f"p = {p_values[index]:.2g}"
        )

    def _test(self, cv_results):
        """Test each row against the baseline: its row, p-values, name of the test."""
        scores = mean_scores(cv_results)
        baseline = self._baseline(cv_results, scores)
        p_values, test = np.full(len(scores), np.nan), None
        for i in np.flatnonzero(~np.isnan(scores)):
            if i != baseline:
                found = compare_candidates(
                    cv_results, i, baseline, test_size=self.test_size
                )
                p_values[i], test = found.p_better, found.test
        return baseline, holm(p_values), test

    def _baseline(self, cv_results, scores):
        if self.complexity is not None:
            return lowest(numbers(cv_results, self.complexity), scores)
        known = ~np.isnan(scores)
        incumbent = np.asarray(cv_results.get("incumbent", False)) & known
        return int(np.flatnonzero(incumbent if incumbent.any() else known)[0])

    def _name(self, cv_results, baseline):
        if self.complexity is not None:
            value = Words(cv_results).value(self.complexity, baseline)
            return f"the simplest candidate, {value},"
        if "incumbent" in cv_results and cv_results["incumbent"][baseline]:
            return "the incumbent"
        return "the first candidate"
