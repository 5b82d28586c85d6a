"""Tests of the difference between two classifiers, each with its source."""

# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from .._format import as_p_value

# McNemar's test is exact below this number of rows that only one of the two
# classifiers gets right.
EXACT_BELOW = 25

TWO_PROPORTIONS = "test of two proportions"
RESAMPLED_T = "corrected resampled t-test"


@dataclass(frozen=True)
class Comparison:
    """What a test found about the difference between two classifiers.

    Parameters
    ----------
    test : str
        Name of the test.
    difference : float
        Score of the first classifier minus score of the second. For accuracies this
        is a fraction: 0.01 is one percentage point.
    standard_error : float
        Standard error of the difference, in the same unit.
    interval : tuple of two float
        Confidence interval of the difference, in the same unit.
    p_value : float
        Two-sided p-value: the probability of a difference at least this large if the
        two are equally good.
    counts : dict of str to int
        What the test counted: rows, splits or runs.
    confidence : float, default=0.95
        Level of `interval`.
    names : tuple of two str, default=("the first", "the second")
        What `sentence` calls the two.
    is_fraction : bool, default=True
        Whether the scores are fractions, so that `sentence` writes their difference in
        percentage points.

    Examples
    --------
    >>> from skmnist.stats import two_proportions_test
    >>> found = two_proportions_test(9814, 9791, n=10_000)
    >>> found.significant(), round(found.p_value, 2)
    (False, 0.24)
    >>> print(found)  # doctest: +NORMALIZE_WHITESPACE
    difference +0.0023 (standard error 0.0020, 95 % confidence interval -0.0016
    to +0.0062), p = 0.24 by the test of two proportions (n_rows=10,000): not
    significant at 0.05
    >>> print(found.sentence)  # doctest: +NORMALIZE_WHITESPACE
    The first scores 0.23 pp more than the second (95 % confidence interval -0.16 to
    +0.62 pp). That can be chance: p = 0.24, test of two proportions on 10,000 rows.
    """

    test: str
    difference: float
    standard_error: float
    interval: tuple[float, float]
    p_value: float
    counts: dict[str, int]
    confidence: float = 0.95
    # What is found is the same, whatever it is called.
    names: tuple[str, str] = field(default=("the first", "the second"), compare=False)
    is_fraction: bool = field(default=True, compare=False)

    def significant(self, alpha: float = 0.05) -> bool:
        """Return whether the two differ by more than chance.

        Parameters
        ----------
        alpha : float, default=0.05
            Level of the test, for a single comparison. For several comparisons see
            `holm`.

        Returns
        -------
        significant : bool
            Whether the p-value is below the level.
        """
        return bool(self.p_value < alpha)

    @property
    def p_better(self) -> float:
        """One-sided p-value: small if the first classifier is better."""
        half = self.p_value / 2
        return half if self.difference > 0 else 1 - half

    @property
    def n(self) -> int:
        """What the test is made on: the number of rows, splits or replicates."""
        return next(iter(self.counts.values()))

    @property
    def sentence(self) -> str:
        """What was found, in plain words."""
        first, second = self.names
        scale, unit, form = (100, " pp", ".2f") if self.is_fraction else (1, "", ".3g")
        size = f"{scale * abs(self.difference):{form}}{unit}"
        how = f"{size} {'more' if self.difference > 0 else 'less'} than"
        if self.difference == 0:
            how = "the same as"
        low, high = (f"{scale * bound:+{form}}" for bound in self.interval)
        chance = "is more than" if self.significant() else "can be"
        p = as_p_value(self.p_value, "= ")
        counted = next(iter(self.counts)).removeprefix("n_")
        return (
            f"{first[:1].upper()}{first[1:]} scores {how} {second} "
            f"({100 * self.confidence:g} % confidence interval {low} to {high}{unit}). "
            f"That {chance} chance: p {p}, {self.test} on {self.n:,} {counted}."
        )

    def __str__(self) -> str:
        low, high = self.interval
        counted = ", ".join(f"{name}={n:,}" for name, n in self.counts.items())
        verdict = "significant" if self.significant() else "not significant"
        return (
            f"difference {self.difference:+.4f} (standard error "
            f"{self.standard_error:.4f}, {100 * self.confidence:g} % confidence "
            f"interval {low:+.4f} to {high:+.4f}), p = {self.p_value:.2g} by the "
            f"{self.test} ({counted}): {verdict} at 0.05"
        )


def mcnemar_test(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> Comparison:
    """Compare two classifiers on the same rows by McNemar's test [1]_.

    Only rows that one classifier gets right and the other gets wrong say anything
    about the difference. If both are equally good, each of the two is as likely to be
    the one that is right there. The answer holds for these two fitted classifiers. It
    does not say what another seed would give; `compare` does.

    Parameters
    ----------
    a, b : array-like of bool of shape (n_rows,)
        Whether each row was classified correctly.
    confidence : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    found : Comparison
        Its counts are ``n_rows``, ``only_first`` and ``only_second``: all rows, and
        the rows that only one of the two classified correctly.

    Raises
    ------
    ValueError
        If `a` and `b` are not booleans, or not equally long.

    See Also
    --------
    skmnist.stats.mcnemar_test_from_counts : The same test, for counts.

    Notes
    -----
    With ``k`` the smaller of the two counts and ``m`` their sum, the exact p-value
    is ``2 P(X <= k)`` for a binomial ``X`` of ``m`` trials with probability 1/2. It
    is never too small, but often too large. So from 25 such rows on the mid-p value
    is used: it is smaller by ``P(X = k)``, and its error rate was at most the nominal
    one in each of 9595 cases [2]_. The standard error is ``sqrt(m - d**2 / n) / n``
    with ``d`` the difference of the counts and ``n`` the number of rows [3]_. The
    interval is the one of Bonett and Price [4]_: Wald's, after one row is added to
    each of the two counts. Interval and test can disagree if the p-value is very near
    the level.

    References
    ----------
    .. [1] Q. McNemar, "Note on the sampling error of the difference between
       correlated proportions or percentages", Psychometrika 12, 153-157, 1947.
    .. [2] M. Fagerland, S. Lydersen, P. Laake, "The McNemar test for binary
       matched-pairs data: mid-p and asymptotic are better than exact conditional",
       BMC Medical Research Methodology 13:91, 2013.
       https://doi.org/10.1186/1471-2288-13-91
    .. [3] A. Agresti, "Categorical Data Analysis", 3rd ed., 2013, section 11.1.
    .. [4] D. Bonett, R. Price, "Adjusted Wald confidence interval for a difference
       of binomial proportions based on paired data", Journal of Educational and
       Behavioral Statistics 37, 479-488, 2012.

    Examples
    --------
    The airway hyper-responsiveness of 21 children before and after a
    transplantation, the example of [2]_: p = 0.070.

    >>> from skmnist import mcnemar_test
    >>> before = [1] * 2 + [0] * 19
    >>> after = [1, 0] + [1] * 7 + [0] * 12
    >>> round(mcnemar_test(after, before).p_value, 3)
    0.07
    """
    a, b = as_bools(a), as_bools(b)
    require(
        a.ndim == 1 and a.shape == b.shape, "give two rows of booleans, equally long"
    )
    return mcnemar_test_from_counts(
        int((a & ~b).sum()), int((b & ~a).sum()), len(a), confidence=confidence
    )


def mcnemar_test_from_counts(
    only_first: int, only_second: int, n_rows: int, *, confidence: float = 0.95
) -> Comparison:
    """Compare two classifiers by McNemar's test, from the counts alone.

    Parameters
    ----------
    only_first, only_second : int
        Number of rows that only the first, and only the second, classified correctly.
    n_rows : int
        Number of all rows.
    confidence : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    found : Comparison
        The same as `mcnemar_test` returns; see there for the formulas.

    Raises
    ------
    ValueError
        If a count is negative, or if the two are more than all rows.

    Examples
    --------
    >>> from skmnist.stats import mcnemar_test_from_counts
    >>> found = mcnemar_test_from_counts(7, 1, 21)
    >>> round(found.difference, 3), round(found.p_value, 3), found.test
    (0.286, 0.07, 'exact McNemar test')
    """
    only, difference, n = only_first + only_second, only_first - only_second, n_rows
    require(
        min(only_first, only_second) >= 0 and n > 0 and only <= n,
        f"{only_first} and {only_second} rows cannot be parts of {n_rows} rows",
    )
    test, p_value = _mcnemar_p_value(min(only_first, only_second), only)
    # Bonett and Price: one row more in each of the two counts.
    center = difference / (n + 2)
    spread = math.sqrt(only + 2 - difference**2 / (n + 2)) / (n + 2)
    return Comparison(
        test=test,
        difference=difference / n,
        standard_error=math.sqrt(only - difference**2 / n) / n,
        interval=_clipped(center, _quantile(confidence) * spread),
        p_value=p_value,
        counts={"n_rows": n, "only_first": only_first, "only_second": only_second},
        confidence=confidence,
    )


def _mcnemar_p_value(fewer: int, only: int) -> tuple[str, float]:
    """Return the name of the test and its p-value, from two of the counts."""
    tail = _coin_tail(fewer, only)
    if only < EXACT_BELOW:
        return "exact McNemar test", min(1.0, 2 * tail)
    before = _coin_tail(fewer - 1, only)
    if 2 * fewer < only:
        # Twice the tail, less P(X = fewer), without a difference of small numbers.
        return "McNemar mid-p test", tail + before
    # With equal counts both tails contain the middle: 1 - P(X = fewer) / 2.
    return "McNemar mid-p test", 1 - (tail - before) / 2


def _coin_tail(k: int, m: int) -> float:
    """Return the probability of at most `k` heads in `m` throws of a fair coin."""
    if not 0 <= k < m:
        return float(k >= m)
    return float(special.betainc(m - k, k + 1, 0.5))


def two_proportions_test(
    a: float, b: float, *, n: float, confidence: float = 0.95
) -> Comparison:
    """Compare two accuracies that may come from different rows.

    If both come from the same rows, as in a search with one split, prefer
    `mcnemar_test`. This test ignores that the rows are the same, so it misses
    differences that McNemar's test finds.

    Parameters
    ----------
    a, b : float
        Number of rows that each classified correctly.
    n : float
        Number of rows that each was judged on.
    confidence : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    found : Comparison
        Its count is ``n_rows``.

    Raises
    ------
    ValueError
        If a number of rows is negative, or larger than `n`.

    Notes
    -----
    This is the z-test with the pooled proportion [1]_. The standard error is not
    pooled. The interval is the one of Agresti and Caffo [2]_: Wald's, after each
    classifier gets one more correct row and one more wrong row.

    References
    ----------
    .. [1] A. Agresti, "Categorical Data Analysis", 3rd ed., 2013, section 3.1.
    .. [2] A. Agresti, B. Caffo, "Simple and effective confidence intervals for
       proportions and differences of proportions result from adding two successes
       and two failures", The American Statistician 54, 280-288, 2000.

    Examples
    --------
    >>> from skmnist.stats import two_proportions_test
    >>> round(two_proportions_test(9814, 9783, n=10_000).p_value, 3)
    0.119
    """
    a, b, n = float(a), float(b), float(n)
    require(n > 0, f"n={n:g} must be positive")
    require(
        0 <= a <= n and 0 <= b <= n,
        f"{a:g} and {b:g} correct rows must be between 0 and {n:g}",
    )
    difference, pooled = (a - b) / n, (a + b) / (2 * n)
    null_error = math.sqrt(2 * pooled * (1 - pooled) / n)
    z = difference / null_error if difference else 0.0

    def error(a, b, n):
        return math.sqrt(a / n * (1 - a / n) / n + b / n * (1 - b / n) / n)

    reach = _quantile(confidence) * error(a + 1, b + 1, n + 2)
    return Comparison(
        test=TWO_PROPORTIONS,
        difference=difference,
        standard_error=error(a, b, n),
        interval=_clipped((a - b) / (n + 2), reach),
        p_value=float(2 * special.ndtr(-abs(z))),
        counts={"n_rows": round(n)},
        confidence=confidence,
    )


def corrected_resampled_t_test(
    a: ArrayLike,
    b: ArrayLike,
    *,
    n_train: float,
    n_test: float,
    confidence: float = 0.95,
) -> Comparison:
    """Compare the scores of two models on the same splits, as Nadeau and Bengio [1]_.

    The training sets of cross-validation overlap. So the scores of its splits vary
    less than scores on independent data would, and the plain t-test finds far too
    many differences.

    Parameters
    ----------
    a, b : array-like of float of shape (n_splits,)
        Scores of any metric, split by split.
    n_train, n_test : float
        Number of rows in the training and in the test part of a split. Only their
        ratio counts.
    confidence : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    found : Comparison
        Its count is ``n_splits``.

    Raises
    ------
    ValueError
        If there are fewer than two splits, or a score is not finite.

    Notes
    -----
    With the mean ``m`` and the variance ``s**2`` (``ddof=1``) of the differences over
    ``k`` splits, ``m / sqrt(s**2 * (1 / k + n_test / n_train))`` is taken to have
    Student's t-distribution with ``k - 1`` degrees of freedom [1]_.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the Generalization Error",
       Machine Learning 52, 239-281, 2003. https://doi.org/10.1023/A:1024068626366

    Examples
    --------
    >>> from skmnist import corrected_resampled_t_test
    >>> a, b = [0.91, 0.92, 0.93], [0.90, 0.90, 0.90]
    >>> round(corrected_resampled_t_test(a, b, n_train=100, n_test=50).p_value, 3)
    0.16
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    require(
        a.ndim == 1 and a.shape == b.shape and len(a) > 1,
        f"give the scores of two models on the same two or more splits; got shapes "
        f"{a.shape} and {b.shape}",
    )
    require(np.isfinite(a).all() and np.isfinite(b).all(), "a score is not finite")
    require(
        n_train > 0 and n_test > 0,
        f"n_train={n_train} and n_test={n_test} must be positive",
    )
    gains, k = a - b, len(a)
    variance = gains.var(ddof=1) * (1 / k + n_test / n_train)
    return comparison_by_t(
        RESAMPLED_T,
        gains.mean(),
        math.sqrt(variance),
        k - 1,
        {"n_splits": k},
        confidence,
    )


def runs_test(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> Comparison:
    """Compare two kinds of network by several runs of each on the same rows.

    Other seeds change the result, and other test rows change it by about as much
    [1]_. A significant difference here is one that neither is likely to reverse. More
    runs on the same test set do not help against its accidents.

    Parameters
    ----------
    a, b : array-like of bool of shape (n_runs, n_rows)
        Whether each run classified each row correctly; at least two runs of each. The
        two may have different numbers of runs, and their runs need not be paired.
    confidence : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    found : Comparison
        Its counts are ``n_rows``, ``runs_first`` and ``runs_second``.

    Raises
    ------
    ValueError
        If there are fewer than two runs of one kind, or if the two were not judged on
        the same rows.

    Notes
    -----
    Runs and rows are two crossed random factors [2]_. The variance of the difference
    is estimated without bias as a sum of two parts, less the residual mean square,
    which both parts contain:

    - for each of the two kinds, the variance of the runs' mean accuracies over the
      number of runs;
    - the variance over rows of the difference between the two mean columns, over the
      number of rows.

    The degrees of freedom are Satterthwaite's [3]_.

    References
    ----------
    .. [1] X. Bouthillier et al., "Accounting for Variance in Machine Learning
       Benchmarks", MLSys 2021. https://arxiv.org/abs/2103.03098
    .. [2] S. Searle, G. Casella, C. McCulloch, "Variance Components", 1992, ch. 4.
    .. [3] F. Satterthwaite, "An approximate distribution of estimates of variance
       components", Biometrics Bulletin 2, 110-114, 1946.

    Examples
    --------
    >>> from skmnist.stats import runs_test
    >>> found = runs_test([[1, 1, 1, 1], [1, 1, 0, 1]], [[1, 0, 1, 0], [0, 1, 0, 0]])
    >>> found.difference, round(found.standard_error, 3)
    (0.5, 0.177)
    """
    a, b = as_bools(a), as_bools(b)
    require(
        a.ndim == b.ndim == 2 and min(len(a), len(b)) > 1,
        "give two or more runs of each: one run does not show what a seed changes",
    )
    require(a.shape[1] == b.shape[1], "both must be judged on the same rows")
    n = a.shape[1]
    of_runs = [one.mean(axis=1).var(ddof=1) / len(one) for one in (a, b)]
    residual = sum(_residual(one) / len(one) / n for one in (a, b))
    of_rows = (a.mean(axis=0) - b.mean(axis=0)).var(ddof=1) / n
    # A variance below nothing is an accident of the estimate.
    of_rows_alone = max(of_rows - residual, 0.0)
    variance = sum(of_runs) + of_rows_alone
    parts = [*zip(of_runs, (len(a) - 1, len(b) - 1), strict=True), (of_rows, n - 1)]
    inverse = sum(part**2 / df for part, df in parts)
    return comparison_by_t(
        "test over runs and rows",
        a.mean() - b.mean(),
        math.sqrt(variance),
        variance**2 / inverse if inverse else n - 1,
        {"n_rows": n, "runs_first": len(a), "runs_second": len(b)},
        confidence,
    )


def _residual(right: NDArray[np.bool_]) -> float:
    """Return the mean square that neither runs nor rows explain."""
    runs, rows = right.mean(axis=1, keepdims=True), right.mean(axis=0, keepdims=True)
    rest = right - runs - rows + right.mean()
    return np.square(rest).sum() / ((len(right) - 1) * (right.shape[1] - 1))


def comparison_by_t(
    test: str,
    difference: float,
    error: float,
    df: float,
    counts: dict[str, int],
    confidence: float,
) -> Comparison:
    """Compare a difference with its standard error of `df` degrees of freedom."""
    # The same difference each time leaves nothing to chance.
    t = abs(difference) / error if error else np.inf if difference else 0.0
    reach = -special.stdtrit(df, (1 - confidence) / 2) * error
    return Comparison(
        test=test,
        difference=float(difference),
        standard_error=float(error),
        interval=(float(difference - reach), float(difference + reach)),
        p_value=float(2 * special.stdtr(df, -t)),
        counts=counts,
        confidence=confidence,
    )


def _quantile(confidence: float) -> float:
    """Return how many standard errors a normal interval reaches to each side."""
    return float(special.ndtri((1 + confidence) / 2))


def _clipped(center: float, reach: float) -> tuple[float, float]:
    """Return an interval of differences of accuracies, which are at most 1."""
    return max(-1.0, center - reach), min(1.0, center + reach)


def as_bools(given: ArrayLike) -> NDArray[np.bool_]:
    """Convert correctness to an array of bool: one row, or one row for each run."""
    given = np.asarray(given)
    require(
        given.dtype == bool or np.isin(given, (0, 1)).all(),
        "without y, give booleans: whether each row was classified correctly",
    )
    require(
        given.ndim in (1, 2) and given.size, "give one row of booleans for each run"
    )
    return given.astype(bool)


def require(condition: object, message: str) -> None:
    """Raise ValueError with a message unless a condition holds."""
    if not condition:
        raise ValueError(message)
