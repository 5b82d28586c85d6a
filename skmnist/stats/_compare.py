"""Is the difference real? One answer for two classifiers, and one for many."""

# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._standard_error import binomial_standard_error
from ._tests import (
    RESAMPLED_T,
    TWO_PROPORTIONS,
    Comparison,
    as_bools,
    corrected_resampled_t_test,
    mcnemar_test,
    mcnemar_test_from_counts,
    require,
    runs_test,
    two_proportions_test,
)

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

MCNEMAR = "McNemar's test"
# Two candidates differ where the adjusted p-value is below this level.
ALPHA = 0.05


def compare(
    a: ClassifierMixin | Sequence[ClassifierMixin] | ArrayLike,
    b: ClassifierMixin | Sequence[ClassifierMixin] | ArrayLike,
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
) -> Comparison:
    """Test whether two classifiers differ by more than chance on the same rows.

    Give one fitted classifier of each kind to ask whether other test rows could
    reverse the difference; the answer is from `mcnemar_test`. Give several runs of
    each, fitted with different seeds, to ask whether other seeds could reverse it too;
    the answer is from `runs_test`. Only several runs show that one *choice* of
    parameters is better than another, and not just one network than another.

    Parameters
    ----------
    a, b : fitted classifier, list of them, or array-like
        Fitted classifiers, one or several runs of each. Or their predictions, if you
        give `y` and no `X`. Or whether each row was classified correctly, if you give
        neither. An array has the shape (n_rows,) for one run and (n_runs, n_rows) for
        several.
    X : array-like of shape (n_rows, n_features), default=None
        The rows that judge fitted classifiers. They should be used neither for
        training nor for choosing between the two.
    y : array-like of shape (n_rows,), default=None
        True classes, for fitted classifiers and for predictions.
    confidence : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    found : Comparison
        The difference, its standard error, its p-value, and the test.

    Raises
    ------
    ValueError
        If the two were not judged on the same rows, or if `X` or `y` is missing.

    See Also
    --------
    skmnist.compare_candidates : Compare two candidates of a search.
    holm : Adjust the p-values of several comparisons.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skmnist import compare
    >>> X, y = load_digits(return_X_y=True)
    >>> small, large = (
    ...     DecisionTreeClassifier(max_depth=depth, random_state=0).fit(X[::2], y[::2])
    ...     for depth in (4, 8)
    ... )
    >>> compare(large, small, X[1::2], y[1::2]).significant()
    True
    """
    right_a, right_b = (_right(one, X, y) for one in (a, b))
    if right_a.shape[-1] != right_b.shape[-1]:
        raise ValueError(
            "both must be judged on the same rows; "
            f"got {right_a.shape[-1]} and {right_b.shape[-1]}"
        )
    if right_a.ndim == right_b.ndim == 1:
        return mcnemar_test(right_a, right_b, confidence=confidence)
    return runs_test(right_a, right_b, confidence=confidence)


def _right(given: Any, X: ArrayLike | None, y: ArrayLike | None) -> NDArray[np.bool_]:
    """Return whether each row was classified correctly, by one run or by several."""
    if hasattr(given, "predict"):
        require(X is not None and y is not None, "fitted classifiers need X and y")
        return np.asarray(given.predict(X) == np.asarray(y))
    several = isinstance(given, list | tuple) and len(given) > 0
    if several and all(hasattr(one, "predict") for one in given):
        return np.stack([_right(one, X, y) for one in given])
    require(X is None, "X is for fitted classifiers; predictions need y alone")
    given = np.asarray(given)
    if y is not None:
        require(
            given.shape[-1:] == np.shape(y),
            f"predictions of shape {given.shape} do not fit y of shape {np.shape(y)}",
        )
        return given == np.asarray(y)
    return as_bools(given)


def compare_scores(
    a: ArrayLike,
    b: ArrayLike,
    *,
    n_test: float,
    n_train: float | None = None,
    right: tuple[ArrayLike, ArrayLike] | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """Compare the scores of two candidates by the test that fits what is known.

    All comparisons of candidates in this package are made here, so a rule, a table
    and a sentence about the same pair agree.

    Parameters
    ----------
    a, b : float or array-like of float of shape (n_splits,)
        Scores of the two, on the same splits.
    n_test : float
        Number of rows that judged in each split.
    n_train : float, default=None
        Number of training rows in each split; needed for two or more splits.
    right : pair of array-like of bool of shape (n_test,), default=None
        For one split: whether the first and the second candidate classified each row
        correctly.
    confidence : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    found : Comparison
        From the first of these tests that is possible:

        1. `corrected_resampled_t_test`, for two or more splits. It is paired by
           split, and also measures what another training set would change.
        2. `mcnemar_test`, for one split with `right`. It is paired by row.
        3. `two_proportions_test`, for one split without `right`. It cannot use that
           both were judged by the same rows, so it misses small differences.

    Raises
    ------
    ValueError
        If the numbers of splits differ, if `n_train` is missing, or if a score of a
        single split without `right` is not an accuracy.

    Examples
    --------
    >>> from skmnist.stats import compare_scores
    >>> compare_scores(0.9814, 0.9783, n_test=10_000).test
    'test of two proportions'
    >>> compare_scores([0.93, 0.95], [0.91, 0.92], n_train=100, n_test=50).test
    'corrected resampled t-test'
    """
    a, b = np.atleast_1d(a).astype(float), np.atleast_1d(b).astype(float)
    test = _choose_test(len(a), right)
    if test == RESAMPLED_T:
        require(n_train is not None, "two or more splits need n_train")
        return corrected_resampled_t_test(
            a, b, n_train=n_train, n_test=n_test, confidence=confidence
        )
    if test == MCNEMAR:
        return mcnemar_test(*right, confidence=confidence)
    ((p,), (q,)) = a, b
    if not (min(p, q) >= 0 and max(p, q) <= 1):
        raise ValueError(
            f"one split can only be tested on accuracies between 0 and 1; "
            f"got {p:g} and {q:g}"
        )
    return two_proportions_test(p * n_test, q * n_test, n=n_test, confidence=confidence)


def _choose_test(n_splits: int, right: object) -> str:
    """Name the test that uses most of what is known."""
    if n_splits > 1:
        return RESAMPLED_T
    return TWO_PROPORTIONS if right is None else MCNEMAR


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust the p-values of several comparisons, after Holm [1]_.

    If you make twenty comparisons, one of them has a p-value below 0.05 by chance
    alone. If you call the adjusted p-values below 0.05 significant, the probability of
    even one mistake is at most 0.05. This holds however the comparisons depend on each
    other.

    Parameters
    ----------
    p_values : array-like of float
        One for each comparison; NaN for one that was not made.

    Returns
    -------
    adjusted : ndarray of float
        In the same order; NaN where the p-value is NaN.

    Raises
    ------
    ValueError
        If a p-value is below 0 or above 1.

    Notes
    -----
    In rising order the smallest of ``m`` p-values is multiplied by ``m``, the next by
    ``m - 1``, and so on. Each is then raised to the one before it, where that is
    larger, and cut at 1.

    References
    ----------
    .. [1] S. Holm, "A simple sequentially rejective multiple test procedure",
       Scandinavian Journal of Statistics 6, 65-70, 1979.

    Examples
    --------
    >>> from skmnist import holm
    >>> holm([0.01, 0.04, 0.03, 0.005]).round(2).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    p_values = np.asarray(p_values, dtype=float)
    made = np.flatnonzero(~np.isnan(p_values))
    require(
        ((p_values[made] >= 0) & (p_values[made] <= 1)).all(),
        "p-values are between 0 and 1",
    )
    order = made[np.argsort(p_values[made], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted = np.full(p_values.shape, np.nan)
    rising = np.maximum.accumulate(p_values[order] * factors)
    adjusted[order] = np.minimum(rising, 1.0)
    return adjusted


@dataclass(frozen=True)
class StageVerdict:
    """Which candidates of a stage differ from the winner by more than chance.

    Rules, tables, sentences and pages read this answer; none of them tests again. It
    holds plain numbers only, so it can be stored and made again from what was stored.

    Parameters
    ----------
    winner : int
        Position of the candidate that all others are compared with.
    scores : tuple of (float or None)
        Mean score of each candidate; None for a candidate that failed.
    differences : tuple of (float or None)
        Score of each candidate minus score of the winner, in the unit of the score.
        None for the winner and for what failed; the same in the next three.
    standard_errors : tuple of (float or None)
        Standard errors of the differences, by `test`, in the same unit.
    p_values : tuple of (float or None)
        Two-sided p-values, before they are adjusted.
    adjusted : tuple of (float or None)
        The same, adjusted after Holm over all pairs of the stage's candidates.
    test : str
        Which test compared: ``"McNemar's test"``, ``"corrected resampled t-test"`` or
        ``"test of two proportions"``. Only the last one is not paired.
    alpha : float, default=0.05
        Level that `tied`, `differ` and `lead_is_significant` use.

    See Also
    --------
    stage_verdict : Make a verdict from scores.

    Notes
    -----
    The p-values are adjusted over all pairs of candidates, and not only over the pairs
    with the winner, for two reasons. The winner usually is the candidate that came out
    best. So its largest lead is the largest difference of all pairs, and is often large
    by chance. And each pair has one adjusted p-value, whichever of the two wins. So
    what a rule says about a pair before it chooses is true in the table afterwards.

    Examples
    --------
    >>> from skmnist.stats import stage_verdict
    >>> verdict = stage_verdict([0.9814, 0.9791, 0.9667], 0, n_test=10_000)
    >>> verdict.tied, verdict.differ, verdict.test
    ((1,), (2,), 'test of two proportions')
    >>> round(verdict.lead, 4), verdict.lead_is_significant
    (0.0023, False)
    """

    winner: int
    scores: tuple[float | None, ...]
    differences: tuple[float | None, ...]
    standard_errors: tuple[float | None, ...]
    p_values: tuple[float | None, ...]
    adjusted: tuple[float | None, ...]
    test: str
    alpha: float = ALPHA

    @property
    def paired(self) -> bool:
        """Whether the test used that all candidates were judged by the same data."""
        return self.test != TWO_PROPORTIONS

    @property
    def tied(self) -> tuple[int, ...]:
        """Positions of the candidates that do not differ from the winner."""
        return tuple(
            i for i, p in enumerate(self.adjusted) if p is not None and p >= self.alpha
        )

    @property
    def differ(self) -> tuple[int, ...]:
        """Positions of the candidates that are better or worse than the winner."""
        return tuple(
            i for i, p in enumerate(self.adjusted) if p is not None and p < self.alpha
        )

    @property
    def n_pairs(self) -> int:
        """Number of pairs of candidates, which the p-values are adjusted for."""
        n = sum(score is not None for score in self.scores)
        return n * (n - 1) // 2

    @property
    def rival(self) -> int | None:
        """Position of the best other candidate, the first on ties; None without one."""
        others = [
            i
            for i, score in enumerate(self.scores)
            if score is not None and i != self.winner
        ]
        return max(others, key=lambda i: self.scores[i], default=None)

    @property
    def lead(self) -> float | None:
        """Score of the winner minus score of the best other candidate.

        It is negative if a rule chose a candidate with a lower score. It is None if
        there is no other candidate, or if the winner failed.
        """
        difference = None if self.rival is None else self.differences[self.rival]
        return None if difference is None else _opposite(difference)

    @property
    def lead_is_significant(self) -> bool:
        """Whether winner and best other candidate differ by more than chance."""
        return self.rival in self.differ


def stage_verdict(
    scores: ArrayLike,
    winner: int,
    *,
    n_test: float,
    n_train: float | None = None,
    right: Sequence[ArrayLike | None] | NDArray[np.bool_] | None = None,
    alpha: float = 0.05,
) -> StageVerdict:
    """Find out which candidates of a stage differ from the winner.

    Parameters
    ----------
    scores : array-like of float of shape (n_candidates,) or (n_candidates, n_splits)
        Scores of the candidates on the same splits; NaN for a candidate that failed.
    winner : int
        Position of the candidate that all others are compared with.
    n_test : float
        Number of rows that judged in each split.
    n_train : float, default=None
        Number of training rows in each split; needed for two or more splits.
    right : sequence of array-like of bool of shape (n_test,), default=None
        For one split: whether each candidate classified each row correctly. The entry
        of a candidate that failed is not read, and can be None. None if this is not
        known.
    alpha : float, default=0.05
        Level of the verdict.

    Returns
    -------
    verdict : StageVerdict
        By the test that `compare_scores` chooses: with `right` it is McNemar's. The
        p-values are adjusted after Holm over all pairs of candidates that did not
        fail.

    Raises
    ------
    ValueError
        If `winner` is not the position of a candidate, if `right` does not fit, or as
        for `compare_scores`.

    Notes
    -----
    If all candidates are equally good, the verdict finds a difference with a
    probability of about `alpha` at most. This is also true if the winner was chosen
    because it has the highest score.

    Examples
    --------
    Both classify 97 of 100 rows correctly. Of the other three rows, the first
    candidate gets two right, and the second gets one right.

    >>> import numpy as np
    >>> from skmnist.stats import stage_verdict
    >>> right = np.ones((2, 100), dtype=bool)
    >>> right[0, 0] = right[1, 1] = right[1, 2] = False
    >>> verdict = stage_verdict(right.mean(axis=1), 0, n_test=100, right=right)
    >>> verdict.test, verdict.p_values
    ("McNemar's test", (None, 1.0))
    """
    scores = np.asarray(scores, dtype=float)
    scores = scores[:, np.newaxis] if scores.ndim == 1 else scores
    n = len(scores)
    require(0 <= winner < n, f"winner={winner} is not the position of a candidate")
    require(
        right is None or len(right) == n,
        f"right must have one entry for each of {n} candidates",
    )
    known = np.flatnonzero(np.isfinite(scores).all(axis=1)).tolist()
    if _choose_test(scores.shape[1], right) == MCNEMAR:
        found = _mcnemar_pairs(right, known)
    else:
        sizes = {"n_train": n_train, "n_test": n_test}
        found = {
            (i, j): compare_scores(scores[i], scores[j], **sizes)
            for i, j in combinations(known, 2)
        }
    p_values = holm([one.p_value for one in found.values()]).tolist()
    adjusted = dict(zip(found, p_values, strict=True))
    rows = [_against(i, int(winner), found, adjusted) for i in range(n)]
    means = scores.mean(axis=1).tolist()
    return StageVerdict(
        int(winner),
        tuple(means[i] if i in known else None for i in range(n)),
        *zip(*rows, strict=True),
        test=_choose_test(scores.shape[1], right),
        alpha=alpha,
    )


def _against(i: int, winner: int, found: dict, adjusted: dict) -> tuple:
    """Return difference, standard error and p-values of a candidate, or Nones."""
    pair = min(i, winner), max(i, winner)
    if pair not in found:
        return None, None, None, None
    one = found[pair]
    difference = one.difference if i < winner else _opposite(one.difference)
    return difference, one.standard_error, one.p_value, adjusted[pair]


def _opposite(difference: float) -> float:
    # No difference stays 0.0: -0.0 would be written as "-0.00".
    return 0.0 - difference


def _mcnemar_pairs(
    right: Sequence[ArrayLike | None] | NDArray[np.bool_], known: Sequence[int]
) -> dict[tuple[int, int], Comparison]:
    """Compare all pairs by McNemar's test; the counts of all are one product."""
    for i in known:
        require(right[i] is not None, f"right is missing for candidate {i}")
    lengths = {len(right[i]) for i in known}
    require(len(lengths) < 2, "all candidates must be judged on the same rows")
    # Whole numbers up to 2**53 are exact in float64, whose product is fast.
    rows = np.array([as_bools(right[i]) for i in known], dtype=float)
    both = (rows @ rows.T).astype(int) if known else rows
    return {
        (known[i], known[j]): mcnemar_test_from_counts(
            int(both[i, i] - both[i, j]), int(both[j, j] - both[i, j]), *lengths
        )
        for i, j in combinations(range(len(known)), 2)
    }


def stage_significance(
    accuracies: ArrayLike,
    reference: int,
    *,
    n_test: int,
    right: Sequence[ArrayLike | None] | NDArray[np.bool_] | None = None,
) -> list[dict[str, float | None]]:
    """Return two columns for a table of a stage: standard errors and p-values.

    Parameters
    ----------
    accuracies : array-like of float of shape (n_candidates,)
        Accuracies on the rows that judged; NaN for a candidate that failed.
    reference : int
        Position of the candidate to compare with, usually the winner.
    n_test : int
        Number of rows that judged.
    right : array-like of bool of shape (n_candidates, n_test), default=None
        Whether each candidate classified each row correctly. With it `mcnemar_test`
        compares, without it `two_proportions_test`.

    Returns
    -------
    columns : list of dict
        For each candidate ``standard_error``, the `binomial_standard_error` of its
        accuracy, and ``p_value``, the adjusted p-value of its `StageVerdict`. Both are
        None for a candidate that failed; ``p_value`` is None for the reference.

    See Also
    --------
    stage_verdict : The same comparisons, with differences and a verdict.

    Notes
    -----
    A candidate with a large p-value is as good as the reference as far as these rows
    can tell.

    Examples
    --------
    >>> from skmnist.stats import stage_significance
    >>> columns = stage_significance([0.9814, 0.9791, 0.9667], 0, n_test=10_000)
    >>> [column["p_value"] for column in columns]  # doctest: +ELLIPSIS
    [None, 0.24..., 1.8...e-10]
    """
    verdict = stage_verdict(accuracies, reference, n_test=n_test, right=right)
    errors = binomial_standard_error(accuracies, n_test)
    return [
        {"standard_error": None if np.isnan(error) else float(error), "p_value": p}
        for error, p in zip(errors, verdict.adjusted, strict=True)
    ]
