"""What surrounds every fit: scikit-learn's callbacks, Keras' callbacks, NaN."""

# SPDX-License-Identifier: BSD-3-Clause

import copy
import functools
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar, cast

import keras
from sklearn import get_config
from sklearn.callback import with_callbacks

from .._compat import _fit_context
from ._persistence import give_back, publish, unpublished

_Method = TypeVar("_Method", bound=Callable)

# What the parameter `callbacks` may be.
Callbacks: TypeAlias = (
    keras.callbacks.Callback
    | type[keras.callbacks.Callback]
    | Sequence[keras.callbacks.Callback | type[keras.callbacks.Callback]]
    | None
)


def fit_method(method: _Method) -> _Method:
    """Check parameters before a method that fits, end callbacks after it, then publish.

    The method works on a twin of the classifier. Only when all has succeeded, the
    classifier gets the twin's state, in one step. So an exception leaves what was
    there.

    Parameters
    ----------
    method : callable
        A method that fits.

    Returns
    -------
    method : callable
        It takes the same arguments and returns the classifier. scikit-learn's
        decorators have no types, which would hide the method's own.
    """
    nested = _fit_context(prefer_skip_nested_validation=True)
    managed = with_callbacks(nested(method))
    # scikit-learn checks the parameters in the first call only.
    checks_again = method.__name__ == "partial_fit"

    @functools.wraps(method)
    def fit(self, *args, **kwargs):
        twin = unpublished(self)
        if checks_again and not get_config()["skip_parameter_validation"]:
            self._validate_params()
        try:
            managed(twin, *args, **kwargs)
        except BaseException:
            give_back(self)
            raise
        publish(self, twin)
        return self

    return cast(_Method, fit)


class FiniteLoss(keras.callbacks.Callback):
    """End a fit with an error when its loss is infinite or NaN."""

    def on_epoch_end(self, epoch, logs=None):
        """Raise `FloatingPointError` if the training loss is not finite."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The training loss became {loss} in epoch {epoch + 1}; a smaller "
                "learning_rate or inputs scaled to [0, 1] usually help."
            )


class EpochTicks(keras.callbacks.Callback):
    """Report each epoch to scikit-learn's callbacks, and stop if one asks to.

    Parameters
    ----------
    estimator : estimator
        The estimator that is fitted.
    context : sklearn.callback.CallbackContext
        The context of that fit.
    snapshot : callable
        Returns the attributes that make a copy of the estimator a fitted one.
    data : dict
        From `hook_data`.

    Attributes
    ----------
    stopped_ : bool
        Whether a callback asked to stop.
    """

    def __init__(self, estimator, context, snapshot, data):
        super().__init__()
        self._estimator = estimator
        self._context = context
        self._snapshot = snapshot
        self._data = data
        self.stopped_ = False

    def on_epoch_begin(self, epoch, logs=None):
        """Open the epoch's context."""
        self._epoch = self._context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def on_epoch_end(self, epoch, logs=None):
        """Close the epoch's context."""
        stop = self._epoch.call_on_fit_task_end(
            estimator=self._estimator,
            reconstruction_attributes=self._snapshot,
            **self._data,
        )
        if stop:
            self.stopped_ = True
            self.model.stop_training = True


def hook_data(rows, classes):
    """Return the training data that scikit-learn's callbacks can ask for.

    Parameters
    ----------
    rows : Rows
        Training rows.
    classes : ndarray of shape (n_classes,)
        Class labels.

    Returns
    -------
    data : dict
        ``X``, ``y`` and ``metadata``. Labels are looked up only when asked for.
    """
    return {
        "X": rows.X,
        "y": lambda: classes[rows.y],
        "metadata": {"sample_weight": rows.sample_weight},
    }


def stop_reason(stopping, ticks, epochs):
    """Return why a training ended, in words.

    Parameters
    ----------
    stopping : ValidationEarlyStopping or None
        The callback that may have stopped the training.
    ticks : EpochTicks
        A callback that knows the network.
    epochs : int
        The number of epochs to train.

    Returns
    -------
    reason : str
        One line.
    """
    if stopping and stopping.stop_reason_:
        return stopping.stop_reason_
    if ticks.stopped_ or ticks.model.stop_training:
        return "a callback asked to stop"
    return all_trained(epochs)


def all_trained(epochs):
    """Return the reason to stop that no one has asked for."""
    return f"all {epochs} epochs are trained"


def fresh_callbacks(callbacks):
    """Return unused copies of a user's Keras callbacks.

    A callback keeps the network of its last training, and often some state. Clones of
    one estimator must not share them.

    Parameters
    ----------
    callbacks : None, callback, callback class, or list of these
        As given by the user.

    Returns
    -------
    callbacks : list of keras.callbacks.Callback
        Copies without a network. For a class, a new object of it.

    Raises
    ------
    TypeError
        If an element is not a Keras callback.
    """
    if callbacks is None:
        return []
    if not isinstance(callbacks, list | tuple):
        callbacks = [callbacks]
    return [_fresh(callback) for callback in callbacks]


def _fresh(callback):
    if isinstance(callback, type) and issubclass(callback, keras.callbacks.Callback):
        return callback()
    if not isinstance(callback, keras.callbacks.Callback):
        raise TypeError(
            "The 'callbacks' parameter of KerasMLPClassifier must hold Keras "
            f"callbacks or classes of them. Got {callback!r} instead."
        )
    blank = copy.copy(callback)
    blank.set_model(None)
    return copy.deepcopy(blank)
