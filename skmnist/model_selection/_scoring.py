"""Metrics of a search: the one that decides, and what else is recorded of each fit."""

# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._compat import WeightBlindScorer, last_step

Scorer = Callable[..., float]


class Recorder(WeightBlindScorer):
    """A scorer that records something about a fit and does not judge it."""


@dataclass(frozen=True)
class FittedAttribute(Recorder):
    """Records a learned number of the classifier, which may end a pipeline."""

    attribute: str

    def __call__(
        self, estimator: object, X: ArrayLike, y: ArrayLike | None = None, **params: Any
    ) -> float:
        """Return the attribute; NaN if it is missing or None."""
        value = getattr(last_step(estimator), self.attribute, None)
        # scikit-learn's n_iter_ can hold one count per class.
        return np.nan if value is None else float(np.max(value))


@dataclass(frozen=True)
class RowCount(Recorder):
    """Records the number of rows that a score was computed on."""

    def __call__(
        self, estimator: object, X: ArrayLike, y: ArrayLike | None = None, **params: Any
    ) -> float:
        """Return the number of rows."""
        return float(len(X) if y is None else len(y))


def record_scoring(
    scoring: str | Scorer | Mapping[str, str | Scorer] = "accuracy",
) -> dict[str, str | Scorer]:
    """Return a `scoring` that also records other numbers of each fit.

    Parameters
    ----------
    scoring : str, callable or dict, default="accuracy"
        The metric, or several by name. A callable is named ``"score"``.

    Returns
    -------
    scoring : dict
        For the `scoring` parameter of a search: the metric and the columns
        ``validation_accuracy``, ``n_iter``, ``best_iter``, ``fit_seconds``,
        ``n_parameters`` and ``n_test``. A column is NaN if the classifier has no such
        attribute.

    Notes
    -----
    In scikit-learn's own searches also set ``refit="accuracy"`` or a rule; they warn
    of each NaN. `StagedSearchCV` needs no `refit` and does not warn of these columns.

    Examples
    --------
    >>> from skmnist import record_scoring
    >>> list(record_scoring())  # doctest: +NORMALIZE_WHITESPACE
    ['accuracy', 'validation_accuracy', 'n_iter', 'best_iter', 'fit_seconds',
     'n_parameters', 'n_test']
    """
    if isinstance(scoring, str):
        scoring = {scoring: scoring}
    elif callable(scoring):
        scoring = {"score": scoring}
    return {
        **scoring,
        "validation_accuracy": FittedAttribute("best_validation_score_"),
        "n_iter": FittedAttribute("n_iter_"),
        "best_iter": FittedAttribute("best_iter_"),
        "fit_seconds": FittedAttribute("fit_time_"),
        "n_parameters": FittedAttribute("n_parameters_"),
        "n_test": RowCount(),
    }


def recorded_metrics(scoring: object) -> set[str]:
    """Return the names of the metrics that record something and do not judge.

    Parameters
    ----------
    scoring : str, callable, list, tuple, dict or None
        The `scoring` of a search.

    Returns
    -------
    names : set of str
    """
    scoring = scoring if isinstance(scoring, dict) else {}
    return {name for name, one in scoring.items() if isinstance(one, Recorder)}


def deciding_metric(names: Sequence[str], scoring: object, refit: bool | str) -> str:
    """Return the name of the metric that the rules read.

    Parameters
    ----------
    names : list of str
        The metrics that are computed.
    scoring, refit
        Parameters of the search.

    Returns
    -------
    name : str
        The metric that `refit` names; else ``"score"`` or ``"accuracy"``, or the only
        metric that judges.

    Raises
    ------
    ValueError
        If `refit` names no metric, or if it has to name one and does not.
    """
    if isinstance(refit, str) and refit in names:
        return refit
    if names == ["score"]:
        return "score"
    recorded = recorded_metrics(scoring)
    judging = [name for name in names if name not in recorded]
    if isinstance(refit, str):
        raise ValueError(f"refit={refit!r} is none of the metrics {judging}")
    if callable(scoring) and refit:
        raise ValueError(
            "scoring is a function of several metrics; name the one that "
            f"decides, as in refit={judging[0]!r}"
        )
    for name in ("score", "accuracy", *judging[: len(judging) == 1]):
        if name in judging:
            return name
    raise ValueError(f"refit must name the metric that decides, one of {judging}")
