"""Whether the candidates in a table of results differ by more than chance.

The tests themselves are in `skmnist.stats`; here are the ways from a table to them.
"""

# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..stats._compare import StageVerdict, compare_scores, stage_verdict
from ..stats._tests import Comparison, runs_test
from ._results import (
    RACE_REPLICATES,
    ROUNDING,
    CVResults,
    mean_scores,
    n_judging,
    split_scores,
)

RACE_TEST = "race over replicates"


def compare_candidates(
    cv_results: CVResults,
    a: int,
    b: int,
    *,
    test_size: float | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """Test whether two candidates of a search differ by more than chance.

    Parameters
    ----------
    cv_results : dict
        A table as in ``GridSearchCV.cv_results_``. The score is the column
        ``mean_test_score`` or, with several metrics, ``mean_test_accuracy``.
    a, b : int
        Rows of the table.
    test_size : float, default=None
        Part of the data, between 0 and 1, that judged in each split. None takes it
        from the columns ``n_train`` and ``n_test``, which the rule of a `Stage` sees,
        or else as ``1 / n_splits``, which is right for k-fold cross-validation. Give
        it for other splits, for example repeated ones.
    confidence : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    found : Comparison
        Score of `a` minus score of `b`, by the test that
        `skmnist.stats.compare_scores` chooses:

        - two or more splits: `corrected_resampled_t_test`. Of a race, these are the
          replicates that both ran;
        - a race on one split: `skmnist.stats.runs_test`;
        - one split, and the table has a column ``right`` for both rows:
          `mcnemar_test`. `StagedSearchCV` makes that column if its `inspect` returns
          ``right``; it is used where its share of correct rows is the score;
        - one split otherwise: `two_proportions_test` on the accuracies. It does not
          use that both were judged by the same rows, so it misses small differences.

    Raises
    ------
    ValueError
        If a candidate failed; or if a single split has no column ``n_test``, which
        `record_scoring` makes, or a score that is not an accuracy.

    Examples
    --------
    >>> from skmnist import compare_candidates
    >>> table = {"mean_test_score": [0.9814, 0.9791], "mean_test_n_test": [1e4, 1e4]}
    >>> compare_candidates(table, 0, 1).significant()
    False
    """
    scores = _scores(cv_results)
    pair = scores[[a, b]]
    if RACE_REPLICATES in cv_results:
        # Both have run the first replicates; then one may have left.
        pair = pair[:, : min(int(cv_results[RACE_REPLICATES][i]) for i in (a, b))]
    for row, its in zip((a, b), pair, strict=True):
        if not np.isfinite(its).all():
            raise ValueError(f"candidate {row} failed: its scores are {its.tolist()}")
    right = correct_rows(cv_results, [a, b])
    if right is not None and pair.shape[1] > 1:  # replicates on one split
        runs = (np.asarray(right[i])[: pair.shape[1]] for i in (a, b))
        return runs_test(*runs, confidence=confidence)
    return compare_scores(
        *pair,
        **_sizes(cv_results, a, pair.shape[1], test_size, right),
        right=None if right is None else (right[a], right[b]),
        confidence=confidence,
    )


def table_verdict(
    cv_results: CVResults,
    winner: int,
    *,
    test_size: float | None = None,
    alpha: float = 0.05,
) -> StageVerdict:
    """Find out which candidates in a table differ from one of them.

    Parameters
    ----------
    cv_results : dict
        A table as for `compare_candidates`, with the candidates of one stage.
    winner : int
        Row of the candidate that all others are compared with.
    test_size : float, default=None
        As for `compare_candidates`.
    alpha : float, default=0.05
        Level of the verdict.

    Returns
    -------
    verdict : StageVerdict
        By the test that `compare_candidates` uses for this table, the same one for
        all pairs. Candidates that failed are left out. If the candidates raced, the
        race has compared them: those that left as worse differ from the winner.

    Raises
    ------
    ValueError
        As for `compare_candidates`; or if the candidates raced, and `winner` has not
        won.

    Examples
    --------
    >>> from skmnist.model_selection import table_verdict
    >>> table = {"mean_test_score": [0.9814, 0.9791, 0.9667],
    ...          "mean_test_n_test": [1e4, 1e4, 1e4]}
    >>> verdict = table_verdict(table, 0)
    >>> verdict.tied, verdict.differ
    ((1,), (2,))
    """
    if RACE_REPLICATES in cv_results and any(
        finish is not None for finish in cv_results["race_finish"]
    ):
        return _race_verdict(cv_results, winner, alpha)
    scores = _scores(cv_results)
    known = np.flatnonzero(np.isfinite(scores).all(axis=1)).tolist()
    right = correct_rows(cv_results, known)
    sizes = {"n_test": math.nan}  # without two candidates nothing is compared
    if len(known) > 1:
        sizes = _sizes(cv_results, known[0], scores.shape[1], test_size, right)
    return stage_verdict(scores, winner, **sizes, right=right, alpha=alpha)


def _race_verdict(cv_results: CVResults, winner: int, alpha: float) -> StageVerdict:
    """Return what a race has found, as the verdict on its stage."""
    if cv_results["race_finish"][winner] != "won":
        raise ValueError(
            f"candidate {winner} did not win its race; compare it with each other "
            "candidate by compare_candidates"
        )
    scores, own = mean_scores(cv_results), split_scores(cv_results, winner)
    failed = np.array([finish == "failed" for finish in cv_results["race_finish"]])
    scores = np.where(failed, np.nan, scores)
    differences: list[float | None] = []
    for i, mean in enumerate(scores):
        its = split_scores(cv_results, i)
        known = i != winner and bool(np.isfinite(mean))
        gap = float(np.mean(its) - np.mean(own[: len(its)])) if known else None
        differences.append(gap)
    # The winner is tied with the leader, so what is worse than the leader differs. The
    # leader itself has no value: what is known of it and the winner is the winner's.
    p_values, errors = (
        tuple(
            None if difference is None else _known(value, cv_results[name][winner], no)
            for value, difference in zip(cv_results[name], differences, strict=True)
        )
        for name, no in (("race_p_value", 1.0), ("race_standard_error", 0.0))
    )
    return StageVerdict(
        winner=winner,
        scores=tuple(float(s) if np.isfinite(s) else None for s in scores),
        differences=tuple(differences),
        standard_errors=errors,
        p_values=p_values,
        adjusted=p_values,
        test=RACE_TEST,
        alpha=alpha,
    )


def _known(value: float | None, of_winner: float | None, no: float) -> float:
    """Return a value, or that of the winner, or `no` if the two were not compared."""
    found = of_winner if value is None else value
    return no if found is None else float(found)


def significant_gain(
    scores: ArrayLike,
    baseline: ArrayLike,
    *,
    n_train: float,
    n_test: float,
    alpha: float = 0.05,
    right: tuple[ArrayLike, ArrayLike] | None = None,
) -> bool:
    """Return whether scores are better than a baseline by more than chance.

    Parameters
    ----------
    scores, baseline : float or array-like of float of shape (n_splits,)
        Scores of the two models, split by split.
    n_train, n_test : float
        Number of rows in the training and in the test part of a split.
    alpha : float, default=0.05
        Level of the one-sided test.
    right : pair of array-like of bool of shape (n_test,), default=None
        For one split: whether the model, and the baseline, classified each row
        correctly.

    Returns
    -------
    significant : bool
        Whether the one-sided p-value is below `alpha`; False if a score is NaN.

    Raises
    ------
    ValueError
        If the numbers of splits differ, or if a number of rows is not positive; or if
        a single split has scores that are not accuracies, and `right` is None.

    See Also
    --------
    skmnist.stats.compare_scores : The test, and how it is chosen.

    Notes
    -----
    The test is `corrected_resampled_t_test` for several splits, `mcnemar_test` for one
    split with `right`, and else `two_proportions_test`. It is one-sided and asks about
    one pair only, so it finds a gain in every pair in which a `StageVerdict` by the
    same test finds one: "no significant gain" here means that the pair is tied there,
    or that the baseline is better.

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
    found = compare_scores(
        scores, baseline, n_train=n_train, n_test=n_test, right=right
    )
    return bool(found.p_better < alpha)


def _scores(cv_results: CVResults) -> NDArray[np.float64]:
    """Return the scores of all rows, of shape (n_candidates, n_splits).

    They are NaN where a candidate has left a race.
    """
    means = mean_scores(cv_results)
    lists = [split_scores(cv_results, i) or [m] for i, m in enumerate(means)]
    scores = np.full((len(lists), max(map(len, lists))), np.nan)
    for row, its in zip(scores, lists, strict=True):
        row[: len(its)] = its
    return scores


def correct_rows(
    cv_results: CVResults, candidates: Sequence[int]
) -> Sequence[ArrayLike | None] | None:
    """Return the column ``right`` if it belongs to the scores, else None.

    Parameters
    ----------
    cv_results : dict
        A table.
    candidates : sequence of int
        Rows of the table that are to be compared.

    Returns
    -------
    right : sequence of (array-like of bool or None), or None
        The column. None if there is no such column, if it is empty for one of the
        candidates, or if its share of correct rows is not the score of one of them:
        then the score is another metric, or an accuracy with sample weights.
    """
    right = cv_results.get("right")
    if right is None:
        return None
    scores = mean_scores(cv_results)
    for i in candidates:
        if right[i] is None or abs(np.mean(right[i]) - scores[i]) > ROUNDING:
            return None
    return right


def _sizes(
    cv_results: CVResults,
    row: int,
    n_splits: int,
    test_size: float | None,
    right: Sequence[ArrayLike | None] | None,
) -> dict[str, float]:
    """Return the sizes of the parts of a split, as the tests take them."""
    if n_splits > 1:  # only their ratio counts
        share = _test_share(cv_results, row, n_splits, test_size)
        return {"n_train": 1 - share, "n_test": share}
    return {"n_test": n_judging(cv_results, row) if right is None else len(right[row])}


def _test_share(
    cv_results: CVResults, row: int, n_splits: int, test_size: float | None
) -> float:
    """Return which part of the data judged in each split."""
    if test_size is not None:
        if not 0 < test_size < 1:
            raise ValueError(f"test_size must be between 0 and 1; got {test_size!r}")
        return test_size
    if "n_train" in cv_results and "n_test" in cv_results:
        n_train, n_test = (cv_results[name][row] for name in ("n_train", "n_test"))
        return n_test / (n_train + n_test)
    return 1 / n_splits
