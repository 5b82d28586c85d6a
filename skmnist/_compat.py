"""The only file that names what scikit-learn and Keras keep private."""

# SPDX-License-Identifier: BSD-3-Clause

import re
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, TypeVar

from sklearn.base import _fit_context as _untyped_fit_context
from sklearn.callback._transport import close_listener, open_listener, send
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _fit_and_score,
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params, _check_sample_weight

__all__ = [
    "BaseSearchCV",
    "HasMethods",
    "Interval",
    "StrOptions",
    "WeightBlindScorer",
    "_MultimetricScorer",
    "_check_method_params",
    "_check_sample_weight",
    "_fit_and_score",
    "_fit_context",
    "_insert_error_scores",
    "_safe_split",
    "_warn_or_raise_about_fit_failures",
    "cause_of_failure",
    "close_listener",
    "last_step",
    "metric_names",
    "named_error",
    "open_listener",
    "send",
    "standing_in",
    "sum_gradients_nowhere",
]


Method = TypeVar("Method", bound=Callable[..., Any])


def _fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Return scikit-learn's decorator for `fit`; the method keeps its types."""
    return _untyped_fit_context(
        prefer_skip_nested_validation=prefer_skip_nested_validation
    )


def sum_gradients_nowhere(optimizer):
    """Have a Keras optimizer take its gradients as they are.

    It would sum them over the replicas of a distribution. Even where there is one,
    TensorFlow notes for ever how to differentiate that sum, and with it every tensor
    of the program that is being traced: several MB for each program.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        An optimizer that nobody else uses.
    """
    optimizer._all_reduce_sum_gradients = list


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


def last_step(estimator):
    """Return the estimator inside: the best one of a search, the last of a pipeline."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    return estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator


def metric_names(scorers):
    """List the metrics that scorers compute; None where only a fit will tell."""
    return list(getattr(scorers, "_scorers", ())) or None


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
    return named_error(text.split("fits failed with the following error:")[1])


def named_error(traceback):
    """Find the line of a traceback that names the exception."""
    named = re.findall(r"^\w[\w.]*(?:Error|Exception|Warning)\b.*$", traceback, re.M)
    return named[-1] if named else traceback.strip().splitlines()[-1]
