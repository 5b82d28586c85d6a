"""What the rows of a search say about gains: who is better by more than chance."""

# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from ..stats._tests import (
    corrected_resampled_t_test,
    two_proportions_test,
)
from ._results import (
    mean_scores,
    n_judging,
    split_scores,
)


def compare_candidates(cv_results, a, b, *, test_size=None, confidence=0.95):
    """Tell whether two candidates of a search differ by more than chance.

    Parameters
    ----------
    cv_results : dict
        A table as in ``GridSearchCV.cv_results_``. The score is the column
        ``mean_test_score`` or, where several metrics were computed,
        ``mean_test_accuracy``.
    a, b : int
        Rows of the table.
    test_size : float, default=None
        Part of the data, between 0 and 1, that judged in each split. None takes it
        from the columns ``n_train`` and ``n_test``, which `StagedSearchCV` shows its
        rules, or else as ``1 / n_splits``, as k-fold cross-validation has it: give it
        for other splits, such as repeated ones.
    confidence : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    found : Comparison
        With two or more splits that of `corrected_resampled_t_test`. With a single
        one that of two proportions, from the accuracies alone: it does not use that
        both saw the same rows, and so errs on the side of no difference.

    Raises
    ------
    ValueError
        If a candidate failed; or if a single split has no column ``n_test``, as
        `record_scoring` gives it, or a score that is no accuracy.

    Examples
    --------
    >>> from skmnist import compare_candidates
    >>> table = {"mean_test_score": [0.9814, 0.9791], "mean_test_n_test": [1e4, 1e4]}
    >>> compare_candidates(table, 0, 1).significant()
    False
    """
    means = mean_scores(cv_results)
    scores = [split_scores(cv_results, i) or [means[i]] for i in (a, b)]
    for row, values in zip((a, b), scores, strict=True):
        if not np.isfinite(values).all():
            raise ValueError(f"candidate {row} failed: its scores are {values}")
    if len(scores[0]) == 1:
        n_test = n_judging(cv_results, a)
        return _compare_one_split(*scores, n_test=n_test, confidence=confidence)
    share = _test_share(cv_results, a, len(scores[0]), test_size)
    return corrected_resampled_t_test(
        *scores, n_train=1 - share, n_test=share, confidence=confidence
    )


def _test_share(cv_results, index, n_splits, test_size):
    """Tell which part of the data judged in each split."""
    if test_size is not None:
        if not 0 < test_size < 1:
            raise ValueError(f"test_size must be between 0 and 1; got {test_size!r}")
        return test_size
    if "n_train" in cv_results and "n_test" in cv_results:
        n_train, n_test = (cv_results[name][index] for name in ("n_train", "n_test"))
        return n_test / (n_train + n_test)
    return 1 / n_splits


def _compare_one_split(a, b, *, n_test, confidence=0.95):
    (p,), (q,) = a, b
    if not (min(p, q) >= 0 and max(p, q) <= 1):
        raise ValueError(
            f"one split can only be tested on accuracies between 0 and 1; "
            f"got {p:g} and {q:g}"
        )
    right = p * n_test, q * n_test
    return two_proportions_test(*right, n=n_test, confidence=confidence)


def significant_gain(scores, baseline, *, n_train, n_test, alpha=0.05):
    """Tell whether scores are better than a baseline by more than chance.

    With two or more splits this is `corrected_resampled_t_test`, with one split
    `two_proportions_test` on accuracies.

    Parameters
    ----------
    scores, baseline : float or array-like of shape (n_splits,)
        Scores of the two models, split by split.
    n_train, n_test : float
        Rows in the training and in the test part of a split.
    alpha : float, default=0.05
        Level of the one-sided test.

    Returns
    -------
    significant : bool
        Never true where a score is NaN.

    Examples
    --------
    >>> from skmnist.model_selection import significant_gain
    >>> significant_gain(0.9814, 0.9753, n_train=60_000, n_test=10_000)
    True
    >>> significant_gain(0.9814, 0.9783, n_train=60_000, n_test=10_000)
    False
    """
    scores, baseline = np.atleast_1d(scores), np.atleast_1d(baseline)
    if scores.shape != baseline.shape:
        raise ValueError(
            f"scores and baseline must have one value per split each; "
            f"got {len(scores)} and {len(baseline)}"
        )
    if not (n_train > 0 and n_test > 0):
        raise ValueError(f"n_train={n_train} and n_test={n_test} must be positive")
    if not (scores - baseline).mean() > 0:
        return False
    if len(scores) == 1:
        found = _compare_one_split(scores, baseline, n_test=n_test)
    else:
        found = corrected_resampled_t_test(
            scores, baseline, n_train=n_train, n_test=n_test
        )
    return bool(found.p_better < alpha)
