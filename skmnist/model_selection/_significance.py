"""Whether the candidates in a table of results differ by more than chance.

The tests themselves are in `skmnist.stats`; here are the ways from a table to them.
"""

# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._format import candidate_name, visible
from ..stats._compare import StageVerdict, compare_scores, stage_verdict
from ..stats._replicates import ReplicateComparison, compare_on_replicates
from ..stats._tests import Comparison
from ._results import (
    RACE_COLUMNS,
    RACE_REPLICATES,
    ROUNDING,
    CVResults,
    mean_scores,
    n_judging,
    same_value,
    split_scores,
    take_rows,
)

if TYPE_CHECKING:
    from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

    from . import StagedSearchCV

    Search = StagedSearchCV | GridSearchCV | RandomizedSearchCV

RACE_TEST = "race over replicates"


def compare_candidates(
    search: "Search | CVResults",
    a: int,
    b: int,
    *,
    test_size: float | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """Test whether two candidates of a search differ by more than chance.

    Parameters
    ----------
    search : StagedSearchCV, another search of scikit-learn, or dict
        A fitted search; or a table as in ``GridSearchCV.cv_results_``. The score of a
        table is the column ``mean_test_score`` or, with several metrics,
        ``mean_test_accuracy``; that of a search is the metric that decided.
    a, b : int
        Rows of the table.
    test_size : float, default=None
        Part of the data, between 0 and 1, that judged in each split. None takes it
        from a `StagedSearchCV`; from the columns ``n_train`` and ``n_test``, which the
        rule of a `Stage` sees; or else as ``1 / n_splits``, which is right for k-fold
        cross-validation. Give it for other splits, for example repeated ones.
    confidence : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    found : Comparison
        Score of `a` minus score of `b`, with its interval, its p-value, the number
        of rows, splits or replicates, and a sentence. It is from the test that the
        search itself uses:

        - candidates that raced: `skmnist.stats.compare_on_replicates`, on the
          replicates that both ran. The p-value is of this pair alone; that of the
          race is adjusted for all candidates and looks;
        - two or more splits: `corrected_resampled_t_test`;
        - one split, and the table has a column ``right`` for both rows:
          `mcnemar_test`. `StagedSearchCV` makes that column if its `inspect` returns
          ``right``; it is used where its share of correct rows is the score;
        - one split otherwise: `two_proportions_test` on the accuracies. It does not
          use that both were judged by the same rows, so it misses small differences.

    Raises
    ------
    ValueError
        If a candidate failed; if two candidates raced in different stages, with
        different seeds; or if a single split has no column ``n_test``, which
        `record_scoring` makes, or a score that is not an accuracy.

    Examples
    --------
    >>> from skmnist import compare_candidates
    >>> table = {"mean_test_score": [0.9814, 0.9791], "mean_test_n_test": [1e4, 1e4]}
    >>> compare_candidates(table, 0, 1).significant()
    False

    A search names its candidates:

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skmnist import Stage, StagedSearchCV
    >>> search = StagedSearchCV(
    ...     DecisionTreeClassifier(random_state=0),
    ...     [Stage("depth", {"max_depth": [1, 3]})],
    ... ).fit(*load_iris(return_X_y=True))
    >>> print(compare_candidates(search, 1, 0).sentence)
    ... # doctest: +NORMALIZE_WHITESPACE
    Candidate 1 (max_depth=3) scores 29.33 pp more than candidate 0 (max_depth=1) (95 %
    confidence interval +24.14 to +34.53 pp). That is more than chance: p < 0.001,
    corrected resampled t-test on 5 splits.
    """
    table = _table_of(search)
    found = _compared(table, a, b, test_size, confidence)
    scores = mean_scores(table)
    return replace(
        found,
        names=tuple(_name(table, i) for i in (a, b)),
        is_fraction=bool(np.nanmin(scores) >= 0 and np.nanmax(scores) <= 1),
    )


def _compared(
    cv_results: CVResults, a: int, b: int, test_size: float | None, confidence: float
) -> Comparison:
    """Compare two rows of a table."""
    scores = _scores(cv_results)
    pair = scores[[a, b]]
    raced = _has_raced(cv_results, a, b)
    _check_parts(cv_results, a, b)
    if RACE_REPLICATES in cv_results:
        # Both have run the first replicates; then one may have left.
        pair = pair[:, : min(int(cv_results[RACE_REPLICATES][i]) for i in (a, b))]
    for row, its in zip((a, b), pair, strict=True):
        if not np.isfinite(its).all():
            raise ValueError(f"candidate {row} failed: its scores are {its.tolist()}")
    if raced and pair.shape[1] > 1:
        found = _on_replicates(cv_results, scores, a, b, test_size)
        return found.comparison(1, confidence=confidence)
    right = correct_rows(cv_results, [a, b])
    return compare_scores(
        *pair,
        **_sizes(cv_results, a, pair.shape[1], test_size, right),
        right=None if right is None else (right[a], right[b]),
        confidence=confidence,
    )


def metric_of(search: Any) -> str:
    """Return the name of the metric that decided in a fitted search."""
    refit = search.refit if isinstance(search.refit, str) else "score"
    return getattr(search, "metric_", refit)


def _table_of(search: Any) -> CVResults:
    """Return the table of a search, with the deciding metric as its score."""
    if isinstance(search, Mapping):
        return search
    results = search.cv_results_
    rows = range(len(results["params"]))
    table = take_rows(results, rows, metric_of(search))
    if hasattr(search, "split_sizes_"):
        sizes = zip(("n_train", "n_test"), search.split_sizes_, strict=True)
        table |= {name: np.full(len(rows), size) for name, size in sizes}
    return table


def _name(cv_results: CVResults, row: int) -> str:
    """Return a name for a row, with what its stage, or the search, varied."""
    if "params" not in cv_results:
        return f"candidate {row}"
    candidates = cv_results["params"]
    if "stage" in cv_results:
        stages = cv_results["stage"]
        candidates = [
            p
            for p, stage in zip(candidates, stages, strict=True)
            if stage == stages[row]
        ]
    own = cv_results["params"][row]
    varied = {
        n: v
        for n, v in own.items()
        if any(n not in one or not same_value(one[n], v) for one in candidates)
    }
    return f"candidate {row} ({visible(candidate_name(varied or own))})"


def _has_raced(cv_results: CVResults, *rows: int) -> bool:
    """Return whether candidates raced, and all in one race."""
    finishes = cv_results.get(RACE_COLUMNS[0])
    if finishes is None or all(finishes[i] is None for i in rows):
        return False
    stages = {str(cv_results["stage"][i]) for i in rows if "stage" in cv_results}
    if len(stages) > 1:
        raise ValueError(
            f"the candidates {' and '.join(map(str, rows))} are of the stages "
            f"{' and '.join(sorted(stages))}, which raced with different seeds; "
            "compare candidates of one stage: it has the winner of the stage before"
        )
    return True


def _check_parts(cv_results: CVResults, *rows: int) -> None:
    """Raise ValueError unless candidates trained for the same part of their epochs."""
    parts = _parts(cv_results)
    some = {parts[i] for i in rows}
    if len(some) > 1:
        raise ValueError(
            f"the candidates {' and '.join(map(str, rows))} cannot be compared: one "
            f"left its race after {min(some):.0%} of the training (race_part); its "
            "race_p_value compares it with the leader there"
        )


def _parts(cv_results: CVResults) -> list[float]:
    """Return for which part of its epochs each candidate trained, see `Race.rungs`."""
    none = [None] * len(mean_scores(cv_results))
    parts = cv_results.get("race_part", none)
    return [1.0 if part is None else float(part) for part in parts]


def _on_replicates(
    cv_results: CVResults,
    scores: NDArray[np.float64],
    a: int,
    b: int,
    test_size: float | None,
) -> ReplicateComparison:
    """Compare the first of two candidates with the second, as their race does."""
    n = min(int(cv_results[RACE_REPLICATES][i]) for i in (a, b))
    stages = cv_results.get("stage", [""] * len(scores))
    # Scores of shorter trainings cannot stand beside these.
    parts = np.array(_parts(cv_results))
    alike = parts == parts[a]
    scores = np.where(alike[:, None], scores, np.nan)
    known = np.isfinite(scores[:, :n]).all(axis=1)
    stage = [i for i in range(len(scores)) if stages[i] == stages[a]]
    both = [a, b, *(i for i in stage if known[i] and i not in (a, b))]
    right = correct_rows(cv_results, both)
    ratio = None
    if right is not None:
        right = np.array([np.asarray(right[i])[:n] for i in both])
    else:
        share = _test_share(cv_results, a, n, test_size)
        ratio = share / (1 - share)
    left = scores[[i for i in stage if i not in both]][:, :n]
    return compare_on_replicates(
        scores[both][:, :n], 0, right=right, ratio=ratio, departed=left
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
    parts = _parts(cv_results)
    differences: list[float | None] = []
    for i, mean in enumerate(scores):
        its = split_scores(cv_results, i)
        if i == winner or not np.isfinite(mean):
            differences.append(None)
        elif parts[i] < 1:
            # The winner's shorter trainings are not in the table.
            differences.append(-float(cv_results["race_behind"][i]))
        else:
            differences.append(float(np.mean(its) - np.mean(own[: len(its)])))
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
