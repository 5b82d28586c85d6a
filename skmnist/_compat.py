"""The only file that names what scikit-learn and Keras keep private."""

# SPDX-License-Identifier: BSD-3-Clause

import re
import warnings
from contextlib import contextmanager

from sklearn.base import _fit_context
from sklearn.callback._transport import close_listener, open_listener, send
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "BaseSearchCV",
    "ChoosingSearchCV",
    "HasMethods",
    "Interval",
    "StrOptions",
    "WeightBlindScorer",
    "_check_sample_weight",
    "_fit_context",
    "cause_of_failure",
    "close_listener",
    "open_listener",
    "send",
    "standing_in",
]


@contextmanager
def standing_in(variables, others):
    """Let Keras variables read and write others, while a program is traced.

    Keras' layers and optimizers use the variables they made; so a program of
    theirs serves one network. With stand-ins, which are arguments of the program,
    it serves every network of that structure.

    Parameters
    ----------
    variables : list of keras.Variable
        The variables of layers and optimizer.
    others : list of tf.Variable or tf.Tensor
        What they shall mean for now, of the same shapes and types.
    """
    own = [variable.value for variable in variables]
    for variable, mine, other in zip(variables, own, others, strict=True):
        if hasattr(other, "_unique_id"):
            # Keras' optimizers find their state by the weight's identity.
            other._unique_id = mine._unique_id
        variable._value = other
    try:
        yield
    finally:
        for variable, mine in zip(variables, own, strict=True):
            variable._value = mine


class WeightBlindScorer:
    """A scorer that may be handed sample weights and has no use for them.

    scikit-learn asks each scorer of a multi-metric search whether it takes
    weights; a plain function cannot answer and makes ``fit`` fail.
    """

    def _accept_sample_weight(self):
        return True


class ChoosingSearchCV(BaseSearchCV):
    """A `BaseSearchCV` that chooses its winner while it searches.

    A subclass sets ``best_index_`` in ``_run_search`` and says in
    ``choose_metric(names)`` which of several metrics decides.
    """

    @property
    def checked_cv(self):
        """The splitter in use, made by ``check_cv``; only during ``fit``."""
        return self._checked_cv_orig

    def _get_scorers(self):
        scorers, metric = super()._get_scorers()
        if isinstance(scorers, _MultimetricScorer):
            metric = self.choose_metric(list(scorers._scorers))
        return scorers, metric

    def _check_refit_for_multimetric(self, scores):
        self.choose_metric(list(scores))

    def _select_best_index(self, refit, refit_metric, results):
        return self.best_index_

    def _format_results(self, candidate_params, n_splits, out, more_results=None):
        errors = [row["fit_error"] for row in out if row["fit_error"]]
        self._last_failure = _named_error(errors[-1]) if errors else None
        # scikit-learn warns of NaN once per column and per call, about all rows
        # so far; the subclass warns once, about the new rows.
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", r"One or more of the (test|train) scores are non-finite"
            )
            return super()._format_results(
                candidate_params, n_splits, out, more_results
            )

    @property
    def last_failure(self):
        """What the last fit that failed raised, in one line, or None."""
        return getattr(self, "_last_failure", None)


def cause_of_failure(error):
    """Find what made all fits of a search fail.

    Parameters
    ----------
    error : ValueError
        What the search raised.

    Returns
    -------
    cause : str or None
        The line of the traceback that names the exception; None where `error`
        is something else.
    """
    text = str(error)
    if not re.match(r"\s*All the \d+ fits failed", text):
        return None
    return _named_error(text.split("fits failed with the following error:")[1])


def _named_error(traceback):
    """Find the line of a traceback that names the exception."""
    named = re.findall(r"^\w[\w.]*(?:Error|Exception|Warning)\b.*$", traceback, re.M)
    return named[-1] if named else traceback.strip().splitlines()[-1]
