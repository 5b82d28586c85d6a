"""The columns of ``cv_results_``: how they are read, and put in words."""

# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..stats._standard_error import binomial_standard_error

# A table as in ``GridSearchCV.cv_results_``: columns by name, one entry per candidate.
CVResults = Mapping[str, Any]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Decimal numbers are not exact in binary: 0.9819 - 0.0015 is a little over 0.9804.
ROUNDING = 1e-9

SCORE_COLUMNS = ("mean_test_score", "mean_test_accuracy")
VALIDATION_COLUMNS = (
    "mean_test_validation_accuracy",
    "mean_train_score",
    "mean_train_accuracy",
)


# What a search with a race adds to its table.
RACE_REPLICATES = "race_replicates"
RACE_COLUMNS = (
    "race_finish",
    "race_behind",
    "race_standard_error",
    "race_p_value",
    "race_part",
)


def take_rows(
    cv_results: CVResults, rows: Sequence[int], metric: str = "score"
) -> dict[str, Any]:
    """Return some rows of a table, with one metric under the name "score".

    Parameters
    ----------
    cv_results : dict
        The table.
    rows : list of int
        Which rows to take.
    metric : str, default="score"
        The metric to copy: its columns, such as ``mean_test_<metric>``, are also
        there as ``mean_test_score`` and so on.

    Returns
    -------
    table : dict
        All columns, with these rows only.
    """
    table = {}
    for name, values in cv_results.items():
        part = [values[row] for row in rows] if name == "params" else values[list(rows)]
        table[name] = part
        if name.endswith((f"_test_{metric}", f"_train_{metric}")):
            table[name.removesuffix(metric) + "score"] = part
    return table


def mean_scores(cv_results: CVResults) -> Floats:
    """Return the mean test scores; raise ValueError if there are none but NaN."""
    for name in SCORE_COLUMNS:
        if name in cv_results:
            scores = np.asarray(cv_results[name], dtype=float)
            if np.isnan(scores).all():
                raise ValueError("all candidates failed: every score is NaN")
            return scores
    raise ValueError(
        f"a selection rule reads the column {' or '.join(SCORE_COLUMNS)}; "
        f"the columns are {_names(cv_results)}"
    )


def highest(scores: Floats, among: Bools | bool = True) -> int:
    """Return the row of the highest score: the first on ties, never a NaN."""
    rows = np.flatnonzero(among & ~np.isnan(scores))
    return int(rows[np.argmax(scores[rows])])


def lowest(values: Floats, scores: Floats, among: Bools | bool = True) -> int:
    """Return the row of the lowest value; on ties the higher score, then the first."""
    rows = np.flatnonzero(among & ~np.isnan(values) & ~np.isnan(scores))
    if not len(rows):
        raise ValueError("no candidate with a good enough score has a value to compare")
    return int(rows[np.lexsort((-scores[rows], values[rows]))[0]])


def as_good(scores: Floats, tolerance: float) -> Bools:
    """Return which scores are at most `tolerance` below the best one."""
    return scores >= np.nanmax(scores) - tolerance - ROUNDING


def gaps(cv_results: CVResults) -> Floats:
    """Return the validation accuracy minus the score of each row, at least 0."""
    scores = mean_scores(cv_results)
    for name in VALIDATION_COLUMNS:
        if name in cv_results:
            validation = np.asarray(cv_results[name], dtype=float)
            if np.isnan(validation).all():
                raise ValueError(
                    f"the gap needs a validation accuracy, but {name} is NaN in each "
                    f"row: fit with early_stopping=True"
                )
            return np.maximum(validation - scores, 0.0)
    raise ValueError(
        "the gap needs a validation accuracy: pass scoring=record_scoring() or "
        f"return_train_score=True to the search; the columns are {_names(cv_results)}"
    )


def split_scores(cv_results: CVResults, index: int) -> list[float]:
    """Return the scores of a row, one per split; none if the table has means only.

    A candidate that has left a race has a score for each replicate that it ran.
    """
    column = next(name for name in SCORE_COLUMNS if name in cv_results)
    suffix, scores = column.removeprefix("mean_"), []
    while (name := f"split{len(scores)}_{suffix}") in cv_results:
        scores.append(float(cv_results[name][index]))
    if RACE_REPLICATES in cv_results:
        return scores[: int(cv_results[RACE_REPLICATES][index])]
    return scores


def pad_outcomes(outcomes: Sequence[dict], n_fits: int) -> list[dict]:
    """Return a candidate's outcomes, with NaN for the fits that were not made."""

    def nothing(value: object) -> object:
        return dict.fromkeys(value, np.nan) if isinstance(value, dict) else np.nan

    missing = {name: nothing(value) for name, value in outcomes[0].items()}
    return [*outcomes, *[missing] * (n_fits - len(outcomes))]


def race_columns(
    results: CVResults, by_candidate: Sequence[list[dict]], raced: Sequence[Any]
) -> dict[str, Any]:
    """Return the columns of a table that a race changes, or adds.

    Parameters
    ----------
    results : dict
        The table, with NaN where a candidate had left.
    by_candidate : list of list of dict
        The outcomes of the fits of each candidate.
    raced : list of (Raced or None)
        What is known of each; None for a stage without a race.

    Returns
    -------
    columns : dict
        Means, standard deviations and ranks over the fits that were made; numbers of
        replicates; what the races say; and scores that did not choose.
    """
    n_fits = np.array([len(outcomes) for outcomes in by_candidate])
    columns: dict[str, Any] = {RACE_REPLICATES: n_fits}
    for name in [n.removeprefix("mean_") for n in results if n.startswith("mean_")]:
        columns |= _over_fits(results, name, by_candidate)
    for name in RACE_COLUMNS:
        columns[name] = objects(
            [None if one is None else one.columns[name] for one in raced]
        )
    metrics = [n.removeprefix("mean_test_") for n in results if "mean_test_" in n]
    for metric in metrics:
        fresh = [
            [_score(fit, metric) for fit in ([] if one is None else one.fresh)]
            for one in raced
        ]
        columns[f"mean_fresh_{metric}"] = _each(np.mean, fresh)
        columns[f"std_fresh_{metric}"] = _each(np.std, fresh)
    return columns


def _over_fits(
    results: CVResults, name: str, by_candidate: Sequence[list[dict]]
) -> dict[str, Floats]:
    """Return mean, deviation and rank of a column over the fits that were made."""
    part, _, metric = name.partition("_")
    values = [
        [fit[name] if name in fit else _score(fit, metric, part) for fit in outcomes]
        for outcomes in by_candidate
    ]
    means = _each(np.mean, values)
    found = {f"mean_{name}": means, f"std_{name}": _each(np.std, values)}
    if f"rank_{name}" in results:
        worst = np.nanmin(means) - 1 if np.isfinite(means).any() else 0.0
        filled = np.where(np.isnan(means), worst, means)
        ranks = (filled[None, :] > filled[:, None]).sum(axis=1) + 1
        found[f"rank_{name}"] = ranks.astype(np.int32)
    return found


def _score(fit: dict, metric: str, part: str = "test") -> float:
    scores = fit[f"{part}_scores"]
    return float(scores[metric] if isinstance(scores, dict) else scores)


def _each(function: Callable, lists: Sequence[list[float]]) -> Floats:
    """Apply a function to each list; NaN for one that is empty."""
    return np.array([function(one) if one else np.nan for one in lists], dtype=float)


def objects(values: Sequence[object]) -> NDArray[np.object_]:
    """Make a column of objects, also of arrays that are equally long."""
    column = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        column[i] = value
    return column


def standard_error(cv_results: CVResults) -> float:
    """Return the standard error of the best mean score, in the unit of the score."""
    scores = mean_scores(cv_results)
    best = highest(scores)
    splits = split_scores(cv_results, best)
    if len(splits) > 1:
        return float(np.std(splits, ddof=1) / np.sqrt(len(splits)))
    n_test = n_judging(cv_results, best)
    p = scores[best]
    if not 0 <= p <= 1:
        raise ValueError(
            f"a single split has a standard error only for an accuracy, not for {p:g}"
        )
    return float(binomial_standard_error(p, n_test))


def n_judging(cv_results: CVResults, index: int) -> float:
    """Return how many rows judged a candidate in a split."""
    for name in ("mean_test_n_test", "n_test"):
        if name in cv_results:
            return float(cv_results[name][index])
    raise ValueError(
        "the standard error of a single split needs the column "
        "mean_test_n_test: pass scoring=record_scoring() to the search"
    )


def column(cv_results: CVResults, key: str) -> Sequence[Any]:
    """Return the values of a searched parameter, or of another column."""
    for name in (f"param_{key}", key, f"mean_test_{key}", f"mean_{key}"):
        if name in cv_results:
            return cv_results[name]
    raise ValueError(
        f"{key!r} is neither a searched parameter nor a column; "
        f"the columns are {_names(cv_results)}"
    )


def numbers(cv_results: CVResults, key: str) -> Floats:
    """Return a column as an array of float; NaN if a row has no value."""
    if key == "gap" and "param_gap" not in cv_results:
        return gaps(cv_results)
    values = column(cv_results, key)
    if not all(np.ma.is_masked(v) or isinstance(v, Real | np.bool) for v in values):
        raise TypeError(
            f"only numbers can be compared for size; {key!r} has the values "
            f"{', '.join(map(repr, _distinct(values)))}"
        )
    return np.array([np.nan if np.ma.is_masked(v) else float(v) for v in values])


def written(value: object) -> str:
    """Return a rule, or another value, as you write it in code."""
    if is_dataclass(value):
        given = (f"{f.name}={written(getattr(value, f.name))}" for f in fields(value))
        return f"{type(value).__name__}({', '.join(given)})"
    # A function by its name: its repr has an address. A partial has a function too.
    function = getattr(value, "func", value)
    return getattr(function, "__name__", None) or repr(value)


class Words:
    """Writes the numbers of a table into sentences.

    Scores are written in per cent if all of them are between 0 and 1.

    Parameters
    ----------
    cv_results : dict
        The table.
    """

    def __init__(self, cv_results: CVResults):
        self.cv_results = cv_results
        self.scores = mean_scores(cv_results)
        self.rows = len(self.scores)
        named = np.asarray(cv_results.get("mean_test_accuracy", np.nan), dtype=float)
        same = np.array_equal(named, self.scores, equal_nan=True)
        self.noun = "accuracy" if same else "score"
        self.percent = np.nanmin(self.scores) >= 0 and np.nanmax(self.scores) <= 1
        self.best = self.score(highest(self.scores))

    def score(self, index: int) -> str:
        """Write the score of a row."""
        score = self.scores[index]
        return f"{100 * score:.2f} %" if self.percent else f"{score:.5g}"

    def difference(self, value: float) -> str:
        """Write the difference between two scores."""
        return f"{100 * value:.3g} %" if self.percent else f"{value:.3g}"

    def among(self, considered: Bools, superlative: str) -> str:
        """Write that the winner is the best one of the rows that a rule considers."""
        n = np.count_nonzero(considered)
        if n == 1:
            return f"is the only one of {self.rows} candidates"
        return f"is the {superlative} among the {n} of {self.rows} candidates"

    def value(self, key: str, index: int) -> str:
        """Write the value of a row in a column."""
        if key == "gap" and "param_gap" not in self.cv_results:
            return f"a gap of {self.difference(gaps(self.cv_results)[index])}"
        value = column(self.cv_results, key)[index]
        value = value.item() if isinstance(value, np.generic) else value
        return f"{key}={value:g}" if isinstance(value, float) else f"{key}={value!r}"


def same_value(a: object, b: object) -> bool:
    """Return whether two parameter values mean the same.

    ``[1, 2]``, ``(1, 2)`` and an array of these numbers do. ``1`` and ``1.0`` do not:
    ``max_features=1`` is one feature, and ``max_features=1.0`` is all features.
    ``1`` and ``True`` do not either.
    """
    return a is b or _plain(a) == _plain(b)


def _plain(value: object) -> object:
    """Return something that is equal for values that mean the same."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return ("sequence", *map(_plain, value))
    if isinstance(value, Mapping):
        return ("mapping", *sorted((repr(k), _plain(v)) for k, v in value.items()))
    if hasattr(value, "get_params") and not isinstance(value, type):
        return (type(value), _plain(value.get_params(deep=False)))
    if isinstance(value, Real) and value != value:
        return "nan"
    try:
        hash(value)
    except TypeError:
        return ("object", id(value))
    return (type(value), value)


def _distinct(values: Iterable[object], most: int = 3) -> list[object]:
    """Return a few different values, for a message."""
    found = []
    for value in values:
        if not any(same_value(value, other) for other in found):
            found.append(value)
    return found[:most]


def _names(cv_results: CVResults) -> str:
    """Return the names of the columns that a rule may read, for a message."""
    return ", ".join(n for n in cv_results if not n.startswith(("split", "std_")))
