"""What the rows of a search say about gains: who is better by more than chance."""

# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np

from ..stats._compare import holm
from ..stats._tests import (
    corrected_resampled_t_test,
    mcnemar_test,
    two_proportions_test,
)
from ._results import (
    Words,
    highest,
    lowest,
    mean_scores,
    n_judging,
    numbers,
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
    >>> from skmnist.model_selection._significance import significant_gain
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


def stage_significance(accuracies, reference, *, n_test, right=None):
    """Tell of each candidate of a stage whether it differs from the winner.

    Parameters
    ----------
    accuracies : array-like of float of shape (n_candidates,)
        Accuracies on the rows that judged; NaN for a candidate that failed.
    reference : int
        Position of the candidate to compare with, say the winner.
    n_test : int
        Number of rows that judged.
    right : array-like of bool of shape (n_candidates, n_test), default=None
        Whether each candidate read each row right: then `mcnemar_test` compares,
        else `two_proportions_test`.

    Returns
    -------
    columns : list of dict
        For each candidate ``standard_error`` of its accuracy, the binomial one
        ``sqrt(p * (1 - p) / n_test)``, and ``p_value``, two-sided and adjusted after
        Holm over the stage's comparisons; None for the reference itself and for what
        failed.

    Notes
    -----
    The winner was chosen because it came out best, so even an adjusted p-value
    against it is somewhat too small where the candidates are many and equal. Read it
    the other way round: a candidate with a large one is as good as the winner as far
    as these rows can tell.

    Examples
    --------
    >>> from skmnist.model_selection._significance import stage_significance
    >>> columns = stage_significance([0.9814, 0.9791, 0.9667], 0, n_test=10_000)
    >>> [column["p_value"] for column in columns]  # doctest: +ELLIPSIS
    [None, 0.24..., 1.2...e-10]
    """
    accuracies = np.asarray(accuracies, dtype=float)
    p_values = np.full(len(accuracies), np.nan)
    for i, accuracy in enumerate(accuracies):
        if i == reference or np.isnan([accuracy, accuracies[reference]]).any():
            continue
        if right is None:
            counts = np.array([accuracy, accuracies[reference]]) * n_test
            p_values[i] = two_proportions_test(*counts, n=n_test).p_value
        else:
            p_values[i] = mcnemar_test(right[i], right[reference]).p_value
    errors = np.sqrt(accuracies * (1 - accuracies) / n_test)
    return [
        {
            "standard_error": None if np.isnan(error) else float(error),
            "p_value": None if np.isnan(p) else float(p),
        }
        for error, p in zip(errors, holm(p_values), strict=True)
    ]
