"""Compare candidates that were fitted several times, on the same replicates."""

# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ._tests import Comparison, comparison_by_t, require

REPLICATES = "paired test over replicates"

# A pair of candidates counts for at most so many times the typical variance where the
# variances of all pairs are pooled: one candidate that diverges must not hide others.
MOST_OF_TYPICAL = 3.0


@dataclass(frozen=True)
class ReplicateComparison:
    """One candidate compared with all candidates, on the same replicates.

    Parameters
    ----------
    differences : ndarray of float of shape (n_candidates,)
        Mean score of the candidate minus mean score of each.
    seed_variances : ndarray of float of shape (n_candidates,)
        Variance of that difference in one replicate.
    row_variances : ndarray of float of shape (n_candidates,)
        Variance over rows of the mean difference, over the number of rows.
    residual_variances : ndarray of float of shape (n_candidates,)
        The part of `row_variances` that one replicate alone causes. `seed_variances`
        contain it too.
    df : float
        Degrees of freedom of `seed_variances`.
    ratio : float or None
        ``n_test / n_train`` of a split; None if all replicates have one split.
    n_replicates : int
        Number of replicates.
    n_rows : int
        Number of rows that `row_variances` are from; 0 if rows are not known.

    See Also
    --------
    compare_on_replicates : Make it from scores.
    """

    differences: NDArray[np.float64]
    seed_variances: NDArray[np.float64]
    row_variances: NDArray[np.float64]
    residual_variances: NDArray[np.float64]
    df: float
    ratio: float | None
    n_replicates: int
    n_rows: int

    def variances(self, n_replicates: int | None = None) -> NDArray[np.float64]:
        """Return the variances of the differences.

        Parameters
        ----------
        n_replicates : int, default=None
            Number of replicates, if it were not the number of this comparison.

        Returns
        -------
        variances : ndarray of float of shape (n_candidates,)
            Squares of the standard errors.
        """
        r = n_replicates or self.n_replicates
        if self.ratio is not None:
            # The training sets of the splits overlap: corrected_resampled_t_test.
            return self.seed_variances * (1 / r + self.ratio)
        # What more replicates do not reduce; an estimate below nothing is chance.
        of_rows = self.row_variances - self.residual_variances / self.n_replicates
        summed = self.seed_variances / r + np.maximum(of_rows, 0)
        return np.maximum(summed, self.row_variances * (self.n_replicates / r))

    def degrees_of_freedom(self, n_replicates: int | None = None) -> NDArray:
        """Return Satterthwaite's degrees of freedom of the variances.

        Parameters
        ----------
        n_replicates : int, default=None
            As for `variances`.

        Returns
        -------
        df : ndarray of float of shape (n_candidates,)
            One number for each variance; fractions are possible.
        """
        r = n_replicates or self.n_replicates
        df = self.df + (len(self.differences) - 1) * (r - self.n_replicates)
        if self.ratio is not None:
            return np.full(len(self.differences), df)
        of_seeds = (self.seed_variances / r) ** 2 / df
        of_rows = self.row_variances**2 / max(self.n_rows - 1, 1)
        whole, inverse = self.variances(r) ** 2, of_seeds + of_rows
        return np.divide(whole, inverse, out=np.full(len(whole), df), where=inverse > 0)

    def p_better(self) -> NDArray[np.float64]:
        """Return the one-sided p-values that the candidate is better than each.

        Returns
        -------
        p_values : ndarray of float of shape (n_candidates,)
            Before any adjustment; 0.5 for the candidate itself.
        """
        return special.stdtr(self.degrees_of_freedom(), -self._t(self.variances()))

    def comparison(self, other: int, *, confidence: float = 0.95) -> Comparison:
        """Return what is known of one pair.

        Parameters
        ----------
        other : int
            The candidate to compare with.
        confidence : float, default=0.95
            Level of the confidence interval.

        Returns
        -------
        found : Comparison
            Its counts are ``n_replicates`` and, on one split, ``rows``. The p-value is
            two-sided, and not adjusted for other pairs.
        """
        counts = {"n_replicates": self.n_replicates}
        return comparison_by_t(
            REPLICATES,
            float(self.differences[other]),
            float(np.sqrt(self.variances()[other])),
            float(self.degrees_of_freedom()[other]),
            counts | ({"rows": self.n_rows} if self.n_rows else {}),
            confidence,
        )

    def chance_to_be_better(self, n_replicates: int, level: float) -> NDArray:
        """Return the predictive probability of a p-value below a level, later on.

        Parameters
        ----------
        n_replicates : int
            Number of replicates at the end; more than there are now.
        level : float
            Level of the test at the end.

        Returns
        -------
        probabilities : ndarray of float of shape (n_candidates,)
            Given the replicates so far, and nothing else: without knowledge of the
            difference before them.
        """
        quantiles = -special.stdtrit(self.degrees_of_freedom(n_replicates), level)
        needed = quantiles * np.sqrt(self.variances(n_replicates))
        still = self.seed_variances * (1 / self.n_replicates - 1 / n_replicates)
        return special.ndtr(_ratio(self.differences - needed, np.sqrt(still)))

    def _t(self, variances: NDArray) -> NDArray:
        return _ratio(self.differences, np.sqrt(variances))


def _ratio(numerator: NDArray, denominator: NDArray) -> NDArray:
    """Divide; a difference without any variance is infinitely large."""
    at_zero = np.where(numerator == 0, 0.0, np.copysign(np.inf, numerator))
    return np.divide(numerator, denominator, out=at_zero, where=denominator > 0)


def compare_on_replicates(
    scores: ArrayLike,
    candidate: int,
    *,
    right: ArrayLike | None = None,
    ratio: float | None = None,
    departed: ArrayLike | None = None,
) -> ReplicateComparison:
    """Compare one candidate with all others that ran on the same replicates.

    A replicate is one fit of each candidate with the same split of the data and the
    same seed. The comparison counts what other seeds change, and what other rows
    change.

    Parameters
    ----------
    scores : array-like of float of shape (n_candidates, n_replicates)
        Score of each candidate on each replicate; at least two of both.
    candidate : int
        The candidate that is compared with all.
    right : array-like of bool of shape (n_candidates, n_replicates, n_rows), \
            default=None
        For one split: whether each candidate classified each row correctly.
    ratio : float, default=None
        Number of judging rows over number of training rows, if replicates have
        several splits. None if they are seeds on one split; `right` is then needed.
    departed : array-like of float of shape (n_departed, n_replicates), default=None
        Scores of candidates that are not compared, because they ran the first
        replicates only; NaN from then on. They help to find the variance.

    Returns
    -------
    found : ReplicateComparison
        Differences and their variances.

    Raises
    ------
    ValueError
        If there are fewer than two candidates or replicates; or on one split without
        `right`, because then nothing shows what other rows would change.

    Notes
    -----
    Let ``s**2`` be the variance of a pair's difference over the ``r`` replicates, or
    the mean of these variances over all pairs, whichever is larger. (A pair counts
    for at most three times the typical variance in that mean.) A few replicates alone
    often have a small variance by chance; the mean has ``(n_candidates - 1) * (r -
    1)`` degrees of freedom, and more with candidates that have departed.

    On one split seeds and rows are two crossed random factors [1]_. The variance of
    the mean difference is ``s**2 / r + v / n - e / (n * r)``, with ``v`` the variance
    over the ``n`` rows of the difference between the two mean columns of `right`, and
    ``e`` the residual mean square, which both other parts contain. It is taken to be
    at least ``v / n``. More replicates do not reduce what the choice of the rows
    changes. On several splits the variance is ``s**2 * (1 / r + n_test / n_train)``
    [2]_.

    References
    ----------
    .. [1] S. Searle, G. Casella, C. McCulloch, "Variance Components", 1992, ch. 4.
    .. [2] C. Nadeau, Y. Bengio, "Inference for the Generalization Error",
       Machine Learning 52, 239-281, 2003. https://doi.org/10.1023/A:1024068626366

    Examples
    --------
    >>> from skmnist.stats import compare_on_replicates
    >>> scores = [[0.95, 0.96, 0.95], [0.91, 0.93, 0.92], [0.95, 0.95, 0.96]]
    >>> compare_on_replicates(scores, 0, ratio=0.25).p_better().round(3).tolist()
    [0.5, 0.005, 0.5]
    """
    scores = np.asarray(scores, dtype=float)
    require(
        scores.ndim == 2 and min(scores.shape) > 1 and np.isfinite(scores).all(),
        "give scores of two or more candidates on two or more replicates, all finite",
    )
    require(
        right is not None or ratio is not None,
        "replicates on one split need the rows that were classified correctly: "
        "nothing else shows what other rows would change",
    )
    of_rows, residual, n_rows = np.zeros(len(scores)), np.zeros(len(scores)), 0
    if ratio is None:
        right = np.asarray(right, dtype=np.int8)
        require(
            right.shape[:2] == scores.shape and right.ndim == 3,
            f"right has the shape {right.shape}; it must have rows for each candidate "
            "and replicate",
        )
        n_rows = right.shape[2]
        of_rows, residual = _row_variances(right[candidate] - right)
    more = np.empty((0, scores.shape[1])) if departed is None else departed
    seed_variances, df = _seed_variances(scores, candidate, np.asarray(more, float))
    means = scores.mean(axis=1)
    # Equal scores can have means that differ in the last bit.
    differences = means[candidate] - means
    differences[np.abs(differences) < 1e-12] = 0.0
    return ReplicateComparison(
        differences=differences,
        seed_variances=seed_variances,
        row_variances=of_rows,
        residual_variances=residual,
        df=df,
        ratio=ratio,
        n_replicates=scores.shape[1],
        n_rows=n_rows,
    )


def _row_variances(differences: NDArray) -> tuple[NDArray, NDArray]:
    """Return variances over rows, and of the residual, both over the number of rows.

    `differences` has the shape (n_candidates, n_replicates, n_rows).
    """
    _, r, n = differences.shape
    sums = differences.sum(axis=1, dtype=np.int16).astype(np.float32)
    of_rows = (sums / r).var(axis=1, ddof=1).astype(float)
    squares = np.count_nonzero(differences, axis=(1, 2))  # of -1, 0 and 1
    of_replicates = n * differences.mean(axis=2).var(axis=1) * r
    total = squares - n * r * differences.mean(axis=(1, 2)) ** 2
    residual = (total - r * (n - 1) * of_rows - of_replicates) / ((r - 1) * (n - 1))
    return of_rows / n, np.maximum(residual, 0.0) / n


def _seed_variances(
    scores: NDArray, candidate: int, departed: NDArray
) -> tuple[NDArray, float]:
    """Return each pair's variance, at least that of all pairs, and its df."""
    own = (scores[candidate] - scores).var(axis=1, ddof=1)
    enough = np.isfinite(departed[:, :2]).all(axis=1)
    everyone = np.concatenate([scores, departed[enough]])
    # The first replicates of each, before it left or failed.
    known = np.logical_and.accumulate(np.isfinite(everyone), axis=1)
    first, second = np.triu_indices(len(everyone), 1)
    both = known[first] & known[second]
    n_both = both.sum(axis=1)
    gaps = np.where(both, everyone[first] - everyone[second], 0.0)
    centered = np.where(both, gaps - (gaps.sum(axis=1) / n_both)[:, None], 0.0)
    of_pairs = n_both - 1
    pairs = np.square(centered).sum(axis=1) / of_pairs
    # The median of a chi-squared variable over its degrees of freedom, after Wilson
    # and Hilferty.
    typical = np.median(pairs / (1 - 2 / (9 * of_pairs)) ** 3)
    capped = np.minimum(pairs, MOST_OF_TYPICAL * typical)
    pooled = np.average(capped, weights=of_pairs)
    df = (known.sum(axis=1) - 1).sum() - (scores.shape[1] - 1)
    return np.maximum(own, pooled), float(df)
