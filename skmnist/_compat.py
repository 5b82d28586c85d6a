"""Private names of scikit-learn and Keras: no other file uses any."""

# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sklearn.base import _fit_context as _untyped_fit_context
from sklearn.callback._transport import close_listener, open_listener, send
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _fit_and_score,
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params, _check_sample_weight

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

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
    "call_callbacks",
    "cause_of_failure",
    "close_listener",
    "last_step",
    "metric_names",
    "named_error",
    "open_listener",
    "schedule_of",
    "send",
    "standing_in",
    "sum_gradients_nowhere",
    "validate_parameter_constraints",
]


Method = TypeVar("Method", bound=Callable[..., Any])


def _fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Return scikit-learn's decorator for `fit`; the method keeps its types."""
    return _untyped_fit_context(
        prefer_skip_nested_validation=prefer_skip_nested_validation
    )


def sum_gradients_nowhere(optimizer: keras.optimizers.Optimizer) -> None:
    """Let a Keras optimizer use its gradients as they are.

    It would sum them over the replicas of a distribution. TensorFlow stores forever how
    to differentiate that sum, even with a single replica, and with it every tensor of
    the program that is being traced: several MB for each program.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        An optimizer that nothing else uses.
    """
    optimizer._all_reduce_sum_gradients = list


def schedule_of(
    optimizer: keras.optimizers.Optimizer,
) -> keras.optimizers.schedules.LearningRateSchedule | None:
    """Return the schedule of an optimizer's learning rate, or None.

    Its public `learning_rate` is the number that the schedule gives now.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        The optimizer.

    Returns
    -------
    schedule : keras.optimizers.schedules.LearningRateSchedule or None
        None for a constant learning rate.
    """
    rate = getattr(optimizer, "_learning_rate", None)
    # Only training loads Keras.
    from keras.optimizers.schedules import LearningRateSchedule

    return rate if isinstance(rate, LearningRateSchedule) else None


@contextmanager
def standing_in(
    variables: Sequence[keras.Variable], others: Sequence[tf.Variable | tf.Tensor]
) -> Iterator[None]:
    """Let Keras variables read and write others, while a program is traced.

    Keras' layers and optimizers use the variables that they made, so a program of
    theirs works for one network only. With other variables in their place, which are
    arguments of the program, it works for every network of the same structure.

    Parameters
    ----------
    variables : list of keras.Variable
        The variables of layers and optimizer.
    others : list of tf.Variable or tf.Tensor
        What to use in their place inside the ``with`` block, of the same shapes and
        types.
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
    """A scorer that accepts sample weights and ignores them.

    scikit-learn asks each scorer of a search with several metrics whether it accepts
    weights. A plain function cannot answer, and makes ``fit`` fail.
    """

    def _accept_sample_weight(self) -> bool:
        return True


def last_step(estimator: Any) -> Any:
    """Return the estimator inside searches and pipelines.

    Parameters
    ----------
    estimator : estimator object or None
        Any estimator.

    Returns
    -------
    estimator : estimator object or None
        The best estimator of a fitted search, the last step of a pipeline, and so on
        inside these; else the estimator itself.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.svm import LinearSVC
    >>> from skmnist._compat import last_step
    >>> last_step(make_pipeline(StandardScaler(), LinearSVC()))
    LinearSVC()
    """
    if hasattr(estimator, "best_estimator_"):
        return last_step(estimator.best_estimator_)
    return (
        last_step(estimator.steps[-1][1]) if hasattr(estimator, "steps") else estimator
    )


def call_callbacks(estimator: Any, hook: str, *facts: Any) -> None:
    """Call a hook of our own of those callbacks of an estimator that have it.

    Parameters
    ----------
    estimator : estimator object
        The estimator that `set_callbacks` has given its callbacks.
    hook : str
        Name of the method.
    *facts : object
        Its arguments.
    """
    for callback in getattr(estimator, "_skl_callbacks", ()):
        if hasattr(callback, hook):
            getattr(callback, hook)(*facts)


def metric_names(scorers: object) -> list[str] | None:
    """Return the metrics that scorers compute; None if only a fit can show them."""
    return list(getattr(scorers, "_scorers", ())) or None


def cause_of_failure(error: ValueError) -> str | None:
    """Return why all fits of a search failed.

    Parameters
    ----------
    error : ValueError
        What scikit-learn raised.

    Returns
    -------
    cause : str or None
        The line of the traceback that names the exception; None if `error` is about
        something else.
    """
    text = str(error)
    if not re.match(r"\s*All the \d+ fits failed", text):
        return None
    return named_error(text.split("fits failed with the following error:")[1])


def named_error(traceback: str) -> str:
    """Return the line of a traceback that names the exception."""
    named = re.findall(r"^\w[\w.]*(?:Error|Exception|Warning)\b.*$", traceback, re.M)
    return named[-1] if named else traceback.strip().splitlines()[-1]
