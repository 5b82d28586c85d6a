"""Keras callbacks of every fit: progress for scikit-learn, and a guard against NaN."""

# SPDX-License-Identifier: BSD-3-Clause

import copy
import math

import keras


class FiniteLoss(keras.callbacks.Callback):
    """End a fit whose loss is not a number any more, with an error."""

    def on_epoch_end(self, epoch, logs=None):
        """Raise `FloatingPointError` if the training loss is not finite."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The training loss became {loss} in epoch {epoch + 1}; a smaller "
                "learning_rate or inputs scaled to [0, 1] usually help."
            )


class EpochTicks(keras.callbacks.Callback):
    """Pass each epoch on to scikit-learn's callbacks, and their wish to stop.

    Parameters
    ----------
    estimator : estimator
        The estimator in whose fit this happens.
    context : sklearn.callback.CallbackContext
        The context of that fit.
    snapshot : callable
        Gives the attributes that make the estimator a fitted one as of now.
    data : dict
        ``X``, ``y`` and ``metadata`` for the hooks.

    Attributes
    ----------
    stopped_ : bool
        Whether one of the callbacks asked to stop.
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


def fresh_callbacks(callbacks):
    """Return unused copies of a user's Keras callbacks.

    A callback keeps the network it served and often some state; clones of one
    estimator must not share either.

    Parameters
    ----------
    callbacks : None, callback, callback class, or list of these
        As given by the user.

    Returns
    -------
    callbacks : list of keras.callbacks.Callback
        Copies without a network; classes are instantiated.

    Raises
    ------
    TypeError
        If something in the list is no Keras callback.
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
