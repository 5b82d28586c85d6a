"""Tests of a difference between two classifiers, each with the source it is from."""

# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

# Below this many rows that only one of two classifiers reads right, McNemar's test
# is the exact binomial one.
EXACT_BELOW = 25


@dataclass(frozen=True)
class Comparison:
    """What a test found about the difference of two classifiers.

    Parameters
    ----------
    test : str
        Which test it was.
    difference : float
        Score of the first minus that of the second: a fraction, for accuracies.
    standard_error : float
        Of the difference, in the same unit.
    interval : tuple of two float
        Confidence interval of the difference, in the same unit.
    p_value : float
        Two-sided: how probable a difference at least this large is where there is
        none.
    counts : dict of str to int
        What the test counted: rows, splits or runs.
    confidence : float, default=0.95
        Level of `interval`.

    Examples
    --------
    >>> from skmnist.stats._tests import two_proportions_test
    >>> found = two_proportions_test(9814, 9791, n=10_000)
    >>> found.significant(), round(found.p_value, 2)
    (False, 0.24)
    >>> print(found)  # doctest: +NORMALIZE_WHITESPACE
    difference +0.0023 (standard error 0.0020, 95 % confidence interval -0.0016
    to +0.0062), p = 0.24 by the test of two proportions (n_rows=10,000): not
    significant at 0.05
    """

    test: str
    difference: float
    standard_error: float
    interval: tuple
    p_value: float
    counts: dict
    confidence: float = 0.95

    def significant(self, alpha=0.05):
        """Tell whether the two differ by more than chance.

        Parameters
        ----------
        alpha : float, default=0.05
            Level of the test, of a single comparison; for several see `holm`.

        Returns
        -------
        significant : bool
            Whether the p-value is below the level.
        """
        return bool(self.p_value < alpha)

    @property
    def p_better(self):
        """One-sided p-value: that the first is no better than the second."""
        half = self.p_value / 2
        return half if self.difference > 0 else 1 - half

    def __str__(self):
        low, high = self.interval
        counted = ", ".join(f"{name}={n:,}" for name, n in self.counts.items())
        verdict = "significant" if self.significant() else "not significant"
        return (
            f"difference {self.difference:+.4f} (standard error "
            f"{self.standard_error:.4f}, {100 * self.confidence:g} % confidence "
            f"interval {low:+.4f} to {high:+.4f}), p = {self.p_value:.2g} by the "
            f"{self.test} ({counted}): {verdict} at 0.05"
        )


def mcnemar_test(a, b, *, confidence=0.95):
    """Compare two classifiers on the same rows by McNemar's test [1]_.

    Only rows that one reads right and the other wrong say anything about the
    difference; where both are equally good, each is as likely to be right there.
    This holds for the two fitted networks; what another seed would give is not
    part of it, see `compare`.

    Parameters
    ----------
    a, b : array-like of bool of shape (n_rows,)
        Whether each row was read right.
    confidence : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    found : Comparison
        With the counts ``n_rows``, ``only_first`` and ``only_second``: rows that
        one alone read right.

    Notes
    -----
    With ``k`` the smaller of the two counts and ``m`` their sum, the exact p-value
    is ``2 P(X <= k)`` for a binomial ``X`` of ``m`` trials with probability 1/2. It
    never rejects too often, but too rarely; so from 25 such rows on the mid-p value
    is used, which is less by ``P(X = k)`` and kept the level in each of 9595 cases
    [2]_. The standard error is ``sqrt(m - d**2 / n) / n`` with ``d`` the difference
    of the counts [3]_, the interval that of Bonett and Price [4]_: Wald's, after one
    row is added to each of the two counts. Interval and test may therefore disagree
    where p is very near the level.

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
    n = len(a)
    first, second = int((a & ~b).sum()), int((b & ~a).sum())
    only, difference = first + second, first - second
    tail = stats.binom.cdf(min(first, second), only, 0.5)
    if only < EXACT_BELOW:
        test, p_value = "exact McNemar test", min(1.0, 2 * tail)
    else:
        test = "McNemar mid-p test"
        # With equal counts both tails have the middle in common: 1 - P(X = k) / 2.
        middle = stats.binom.pmf(min(first, second), only, 0.5)
        p_value = 2 * tail - middle if difference else 1 - middle / 2
    # With one row more in each of the two counts.
    center = difference / (n + 2)
    spread = math.sqrt(only + 2 - difference**2 / (n + 2)) / (n + 2)
    reach = stats.norm.ppf((1 + confidence) / 2) * spread
    return Comparison(
        test=test,
        difference=difference / n,
        standard_error=math.sqrt(only - difference**2 / n) / n,
        interval=(max(-1.0, center - reach), min(1.0, center + reach)),
        p_value=float(p_value),
        counts={"n_rows": n, "only_first": first, "only_second": second},
        confidence=confidence,
    )


def two_proportions_test(a, b, *, n, confidence=0.95):
    """Compare two accuracies on rows that need not be the same.

    Where they are the same rows, as in a search with one split, the test does not
    use it and errs on the side of no difference; `mcnemar_test` is then better.

    Parameters
    ----------
    a, b : float
        Numbers of rows read right.
    n : float
        Number of rows that each was judged on.
    confidence : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    found : Comparison
        With the count ``n_rows``.

    Notes
    -----
    The z-test with the pooled proportion [1]_. The standard error is that without
    pooling, and the interval that of Agresti and Caffo [2]_: Wald's, after one row
    read right and one read wrong are added to each.

    References
    ----------
    .. [1] A. Agresti, "Categorical Data Analysis", 3rd ed., 2013, section 3.1.
    .. [2] A. Agresti, B. Caffo, "Simple and effective confidence intervals for
       proportions and differences of proportions result from adding two successes
       and two failures", The American Statistician 54, 280-288, 2000.
    """
    require(n > 0, f"n={n} must be positive")
    require(
        0 <= a <= n and 0 <= b <= n,
        f"{a:g} and {b:g} rows read right must be between 0 and {n:g}",
    )
    difference, pooled = (a - b) / n, (a + b) / (2 * n)
    null_error = math.sqrt(2 * pooled * (1 - pooled) / n)
    z = difference / null_error if difference else 0.0

    def error(a, b, n):
        return math.sqrt(a / n * (1 - a / n) / n + b / n * (1 - b / n) / n)

    center = (a - b) / (n + 2)
    reach = stats.norm.ppf((1 + confidence) / 2) * error(a + 1, b + 1, n + 2)
    return Comparison(
        test="test of two proportions",
        difference=difference,
        standard_error=error(a, b, n),
        interval=(max(-1.0, center - reach), min(1.0, center + reach)),
        p_value=float(2 * stats.norm.sf(abs(z))),
        counts={"n_rows": round(n)},
        confidence=confidence,
    )


def corrected_resampled_t_test(a, b, *, n_train, n_test, confidence=0.95):
    """Compare the scores of two models on the same splits, as Nadeau and Bengio [1]_.

    The training sets of cross-validation overlap, so the scores of its splits vary
    less than those of independent data would, and the plain t-test finds far too
    many differences.

    Parameters
    ----------
    a, b : array-like of float of shape (n_splits,)
        Scores, split by split; of any metric.
    n_train, n_test : float
        Rows in the training and in the test part of a split; only their ratio
        counts.
    confidence : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    found : Comparison
        With the count ``n_splits``.

    Notes
    -----
    With the differences' mean ``m`` and variance ``s**2`` (``ddof=1``) over ``k``
    splits, ``m / sqrt(s**2 * (1 / k + n_test / n_train))`` is taken to have
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
    return _by_t(
        "corrected resampled t-test",
        gains.mean(),
        math.sqrt(variance),
        k - 1,
        {"n_splits": k},
        confidence,
    )


def runs_test(a, b, *, confidence=0.95):
    """Compare two kinds of network by several runs of each on the same rows.

    A difference counts where neither other seeds nor other test rows are likely to
    turn it round: both vary the result by about as much [1]_, and runs on one test
    set repeat the accidents of its rows however many they are.

    Parameters
    ----------
    a, b : array-like of bool of shape (n_runs, n_rows)
        Whether each run read each row right; at least two runs of each. The runs of
        the two need not be paired, nor as many.
    confidence : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    found : Comparison
        With the counts ``n_rows``, ``runs_first`` and ``runs_second``.

    Notes
    -----
    Runs and rows are two crossed random factors [2]_. The variance of the runs'
    mean accuracies over the number of runs, for each of the two, holds what the
    seeds and the residual vary; the variance over rows of the difference of the two
    mean columns, over the number of rows, what the rows and the residual vary. The
    sum, less the residual mean square that it counts twice, estimates the variance
    of the difference without bias. Its degrees of freedom are Satterthwaite's [3]_.

    References
    ----------
    .. [1] X. Bouthillier et al., "Accounting for Variance in Machine Learning
       Benchmarks", MLSys 2021. https://arxiv.org/abs/2103.03098
    .. [2] S. Searle, G. Casella, C. McCulloch, "Variance Components", 1992, ch. 4.
    .. [3] F. Satterthwaite, "An approximate distribution of estimates of variance
       components", Biometrics Bulletin 2, 110-114, 1946.
    """
    a, b = as_bools(a), as_bools(b)
    require(
        a.ndim == b.ndim == 2 and min(len(a), len(b)) > 1,
        "give two or more runs of each: without, nobody knows what a seed changes",
    )
    require(a.shape[1] == b.shape[1], "both must be judged on the same rows")
    n = a.shape[1]
    of_runs = [one.mean(axis=1).var(ddof=1) / len(one) for one in (a, b)]
    residual = sum(_residual(one) / len(one) / n for one in (a, b))
    of_rows = (a.mean(axis=0) - b.mean(axis=0)).var(ddof=1) / n
    # The rows alone vary by less than nothing only by chance.
    of_rows_alone = max(of_rows - residual, 0.0)
    variance = sum(of_runs) + of_rows_alone
    parts = [*zip(of_runs, (len(a) - 1, len(b) - 1), strict=True), (of_rows, n - 1)]
    inverse = sum(part**2 / df for part, df in parts)
    return _by_t(
        "test over runs and rows",
        a.mean() - b.mean(),
        math.sqrt(variance),
        variance**2 / inverse if inverse else n - 1,
        {"n_rows": n, "runs_first": len(a), "runs_second": len(b)},
        confidence,
    )


def _residual(right):
    """Return the mean square that neither runs nor rows explain."""
    runs, rows = right.mean(axis=1, keepdims=True), right.mean(axis=0, keepdims=True)
    rest = right - runs - rows + right.mean()
    return np.square(rest).sum() / ((len(right) - 1) * (right.shape[1] - 1))


def _by_t(test, difference, error, df, counts, confidence):
    """Compare a difference with its error, of `df` degrees of freedom."""
    # Without any spread, the same difference each time, nothing is left to chance.
    t = abs(difference) / error if error else np.inf if difference else 0.0
    reach = stats.t.ppf((1 + confidence) / 2, df) * error
    return Comparison(
        test=test,
        difference=float(difference),
        standard_error=float(error),
        interval=(float(difference - reach), float(difference + reach)),
        p_value=float(2 * stats.t.sf(t, df)),
        counts=counts,
        confidence=confidence,
    )


def as_bools(given):
    """Bring correctness to bools, a row for each run or a single one."""
    given = np.asarray(given)
    require(
        given.dtype == bool or np.isin(given, (0, 1)).all(),
        "without y, give whether each row was read right: booleans",
    )
    require(
        given.ndim in (1, 2) and given.size, "give one row of booleans for each run"
    )
    return given.astype(bool)


def require(condition, message):
    """Refuse with a message what does not meet a condition."""
    if not condition:
        raise ValueError(message)
