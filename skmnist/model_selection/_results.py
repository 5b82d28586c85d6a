"""The columns of ``cv_results_``: how they are recorded, read and put in words."""

# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from numbers import Real

import numpy as np

from ..stats._standard_error import binomial_standard_error

# What decimal numbers lose in binary: 0.9819 - 0.0015 is a little over 0.9804.
ROUNDING = 1e-9

SCORE_COLUMNS = ("mean_test_score", "mean_test_accuracy")
VALIDATION_COLUMNS = (
    "mean_test_validation_accuracy",
    "mean_train_score",
    "mean_train_accuracy",
)


def take_rows(cv_results, rows, metric="score"):
    """Take some rows of a table, the scores of one metric under the usual names.

    Parameters
    ----------
    cv_results : dict
    rows : list of int
    metric : str, default="score"
        The metric whose columns, such as ``mean_test_<metric>``, are to be
        ``mean_test_score`` and so on.

    Returns
    -------
    cv_results : dict
    """
    table = {}
    for name, values in cv_results.items():
        part = [values[row] for row in rows] if name == "params" else values[list(rows)]
        table[name] = part
        if name.endswith((f"_test_{metric}", f"_train_{metric}")):
            table[name.removesuffix(metric) + "score"] = part
    return table


def mean_scores(cv_results):
    """Find the mean test scores, an array; an error where all are NaN or absent."""
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


def highest(scores, among=True):
    """Find the row of the highest score, the first on ties, never a NaN."""
    rows = np.flatnonzero(among & ~np.isnan(scores))
    return int(rows[np.argmax(scores[rows])])


def lowest(values, scores, among=True):
    """Find the row of the lowest value; on ties the higher score, then the first."""
    rows = np.flatnonzero(among & ~np.isnan(values) & ~np.isnan(scores))
    if not len(rows):
        raise ValueError("no candidate with a good enough score has a value to compare")
    return int(rows[np.lexsort((-scores[rows], values[rows]))[0]])


def as_good(scores, tolerance):
    """Tell of each score whether it is at most `tolerance` below the best."""
    return scores >= np.nanmax(scores) - tolerance - ROUNDING


def gaps(cv_results):
    """Compute how far each validation accuracy exceeds the score, at least 0."""
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


def split_scores(cv_results, index):
    """List the scores of a row, one per split."""
    column = next(name for name in SCORE_COLUMNS if name in cv_results)
    suffix, scores = column.removeprefix("mean_"), []
    while (name := f"split{len(scores)}_{suffix}") in cv_results:
        scores.append(float(cv_results[name][index]))
    return scores


def standard_error(cv_results):
    """Estimate the standard error of the best mean score."""
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


def n_judging(cv_results, index):
    """Look up how many rows judged a candidate in a split."""
    for name in ("mean_test_n_test", "n_test"):
        if name in cv_results:
            return float(cv_results[name][index])
    raise ValueError(
        "the standard error of a single split needs the column "
        "mean_test_n_test: pass scoring=record_scoring() to the search"
    )


def column(cv_results, key):
    """Look up the values of a searched parameter or of another column."""
    for name in (f"param_{key}", key, f"mean_test_{key}", f"mean_{key}"):
        if name in cv_results:
            return cv_results[name]
    raise ValueError(
        f"{key!r} is neither a searched parameter nor a column; "
        f"the columns are {_names(cv_results)}"
    )


def numbers(cv_results, key):
    """Look up a column as an array of float; NaN where a row has no value."""
    if key == "gap" and "param_gap" not in cv_results:
        return gaps(cv_results)
    values = column(cv_results, key)
    if not all(np.ma.is_masked(v) or isinstance(v, Real | np.bool) for v in values):
        raise TypeError(
            f"only numbers can be compared for size; {key!r} has the values "
            f"{', '.join(map(repr, _distinct(values)))}"
        )
    return np.array([np.nan if np.ma.is_masked(v) else float(v) for v in values])


def written(value):
    """Write a rule, or another value, as in code and without addresses."""
    if is_dataclass(value):
        given = (f"{f.name}={written(getattr(value, f.name))}" for f in fields(value))
        return f"{type(value).__name__}({', '.join(given)})"
    function = getattr(value, "func", value)  # of a partial
    return getattr(function, "__name__", None) or repr(value)


class Words:
    """The numbers of a table as they stand in a sentence.

    Scores between 0 and 1 are given in per cent.
    """

    def __init__(self, cv_results):
        self.cv_results = cv_results
        self.scores = mean_scores(cv_results)
        self.rows = len(self.scores)
        named = np.asarray(cv_results.get("mean_test_accuracy", np.nan), dtype=float)
        same = np.array_equal(named, self.scores, equal_nan=True)
        self.noun = "accuracy" if same else "score"
        self.percent = np.nanmin(self.scores) >= 0 and np.nanmax(self.scores) <= 1
        self.best = self.score(highest(self.scores))

    def score(self, index):
        """Write the score of a row."""
        score = self.scores[index]
        return f"{100 * score:.2f} %" if self.percent else f"{score:.5g}"

    def difference(self, value):
        """Write the difference of two scores."""
        return f"{100 * value:.3g} %" if self.percent else f"{value:.3g}"

    def among(self, considered, superlative):
        """Write how the winner stands among the rows that a rule considers."""
        n = np.count_nonzero(considered)
        if n == 1:
            return f"is the only one of {self.rows} candidates"
        return f"is the {superlative} among the {n} of {self.rows} candidates"

    def value(self, key, index):
        """Write what a row has in a column."""
        if key == "gap" and "param_gap" not in self.cv_results:
            return f"a gap of {self.difference(gaps(self.cv_results)[index])}"
        value = column(self.cv_results, key)[index]
        value = value.item() if isinstance(value, np.generic) else value
        return f"{key}={value:g}" if isinstance(value, float) else f"{key}={value!r}"


def same_value(a, b):
    """Compare two parameter values: ``[1, 2]``, ``(1, 2)`` and an array are equal.

    A whole number and a float are not, as ``max_features=1`` and
    ``max_features=1.0`` show, and neither are ``True`` and ``1``.
    """
    return a is b or _plain(a) == _plain(b)


def _plain(value):
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


def _distinct(values, most=3):
    """List a few different values, for a message."""
    found = []
    for value in values:
        if not any(same_value(value, other) for other in found):
            found.append(value)
    return found[:most]


def _names(cv_results):
    """List the columns that mean something, for a message."""
    return ", ".join(n for n in cv_results if not n.startswith(("split", "std_")))
