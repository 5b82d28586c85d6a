"""What a search records of each fit, beside the score that judges it."""

# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np

from .._compat import WeightBlindScorer, last_step


class Recorder(WeightBlindScorer):
    """A scorer that records something about a fit instead of judging it."""


@dataclass(frozen=True)
class FittedAttribute(Recorder):
    """Read a number off the fitted classifier, the last step of a pipeline."""

    attribute: str

    def __call__(self, estimator, X, y=None, **params):
        """Read the attribute; NaN where it is missing or None."""
        value = getattr(last_step(estimator), self.attribute, None)
        # scikit-learn's n_iter_ may hold one count per class.
        return np.nan if value is None else float(np.max(value))


@dataclass(frozen=True)
class RowCount(Recorder):
    """Count the rows that a score was computed on."""

    def __call__(self, estimator, X, y=None, **params):
        """Count the rows."""
        return float(len(X) if y is None else len(y))


def record_scoring(scoring="accuracy"):
    """Score a search and record what else is worth knowing about each fit.

    Parameters
    ----------
    scoring : str, callable or dict, default="accuracy"
        The metric, or several by name. A callable is named ``"score"``.

    Returns
    -------
    scoring : dict
        For the `scoring` parameter of a search: the metric and the recorded
        columns ``validation_accuracy``, ``n_iter``, ``best_iter``,
        ``fit_seconds``, ``n_parameters`` and ``n_test``. A column is NaN where
        the classifier has no such attribute.

    Notes
    -----
    scikit-learn's own searches need ``refit="accuracy"`` or a rule with it and
    warn of each NaN; `StagedSearchCV` needs neither and does not.

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
