"""Keras' callbacks: those of the user, and ours for Keras' own training."""

# SPDX-License-Identifier: BSD-3-Clause

import copy
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import keras

from .._early_stopping import StopsEarly

# What the parameter `callbacks` may be.
Callbacks: TypeAlias = (
    keras.callbacks.Callback
    | Callable[[], keras.callbacks.Callback]
    | Sequence[keras.callbacks.Callback | Callable[[], keras.callbacks.Callback]]
    | None
)


class ValidationEarlyStopping(StopsEarly, keras.callbacks.Callback):
    """Stop training when validation stops improving, and keep the best weights.

    A Keras callback for any Keras model. It passes the curves of each epoch to
    `decide_stop` and does what that function decides.

    Parameters
    ----------
    monitor : str, default="val_loss"
        The curve that decides which epoch is best.
    patience : int, default=1
        Stop after this number of epochs without improvement.
    min_delta : float, default=0.0
        Smallest change that counts as an improvement, in units of the curve.
    min_train_loss : float or None, default=1e-3
        Stop once the training loss is below this; None to ignore it.
    max_gap : float or None, default=None
        Stop once training accuracy exceeds validation accuracy by more than this
        fraction; None to ignore it.
    restore_best_weights : bool, default=True
        Whether the network gets the weights of its best epoch back when training
        ends, for whatever reason it ends. Otherwise it keeps the weights of the last
        epoch.

    Attributes
    ----------
    best_epoch_ : int or None
        The best epoch, counted from 0; None if no epoch had a finite monitored value.
    stop_reason_ : str or None
        Why training was stopped; None if it ran to its last epoch.

    See Also
    --------
    keras.callbacks.EarlyStopping : Keras' own callback, which has `patience` only.

    Examples
    --------
    >>> import keras
    >>> from skmnist import ValidationEarlyStopping, load_digits_28x28
    >>> X, y = load_digits_28x28(return_X_y=True)
    >>> network = keras.Sequential([
    ...     keras.Input((784,)), keras.layers.Dense(10, activation="softmax")])
    >>> network.compile("adam", "sparse_categorical_crossentropy")
    >>> stopping = ValidationEarlyStopping(patience=2)
    >>> history = network.fit(
    ...     X, y, epochs=2, validation_split=0.2, callbacks=[stopping], verbose=0)
    >>> stopping.best_epoch_, stopping.stop_reason_
    (1, None)
    """


class KerasHook(keras.callbacks.Callback):
    """A hook of ours, where Keras trains.

    Parameters
    ----------
    hook : Hook
        The hook.
    """

    def __init__(self, hook):
        super().__init__()
        self._hook = hook

    def set_params(self, params):
        """Pass on the parameters."""
        super().set_params(params)
        self._hook.set_params(params)

    def set_model(self, model):
        """Pass on the network."""
        super().set_model(model)
        self._hook.set_model(model)

    def on_train_begin(self, logs=None):
        """Pass on the call, like the methods below."""
        self._hook.on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None):
        self._hook.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._hook.on_epoch_end(epoch, logs)

    def on_train_end(self, logs=None):
        self._hook.on_train_end(logs)


@contextmanager
def lent_callbacks(callbacks):
    """Lend a user's Keras callbacks to one training.

    A callback keeps the network of its last training, and often some state. Clones of
    one estimator must not share them. So a training gets copies, and the callback
    itself only where it cannot be copied.

    Parameters
    ----------
    callbacks : None, callback, class or function, or list of these
        As given by the user.

    Yields
    ------
    callbacks : list of keras.callbacks.Callback
        Copies without a network. For a class or a function, what it returns.

    Raises
    ------
    TypeError
        If an element is not a Keras callback.
    RuntimeError
        If a callback that cannot be copied is in use by another training.
    """
    taken = []
    try:
        yield [_lend(callback, taken) for callback in _as_list(callbacks)]
        for callback in taken:
            # Its user has the network now, too, and may change it.
            callback.model.is_lent = True
    finally:
        for callback in taken:
            _in_use.pop(id(callback), None)


# Callbacks that cannot be copied, while they serve a training.
_in_use: dict[int, keras.callbacks.Callback] = {}
_in_use_lock = threading.Lock()


def _as_list(callbacks):
    if callbacks is None:
        return []
    return callbacks if isinstance(callbacks, list | tuple) else [callbacks]


def _lend(callback, taken):
    made = callback
    if callable(callback) and not isinstance(callback, keras.callbacks.Callback):
        made = callback()
    if not isinstance(made, keras.callbacks.Callback):
        raise TypeError(
            "The 'callbacks' parameter of KerasMLPClassifier must hold Keras "
            f"callbacks, or classes or functions that make them. Got {callback!r} "
            "instead."
        )
    if made is not callback:
        return made
    copied, reason = _copy(callback)
    if copied is not None:
        return copied
    with _in_use_lock:
        if id(callback) in _in_use:
            raise RuntimeError(
                f"The callback {callback!r} serves another fit. It cannot be copied "
                f"({reason}), so it serves one fit at a time. {_advice(callback)}"
            )
        taken.append(callback)
        _in_use[id(callback)] = callback
    return callback


def _copy(callback):
    """Return a copy and None, or None and why the callback cannot be copied."""
    blank = copy.copy(callback)
    # Not the callback's own method: it may want a network.
    keras.callbacks.Callback.set_model(blank, None)
    try:
        return copy.deepcopy(blank), None
    except Exception as error:  # a user's object may raise anything
        return None, f"{type(error).__name__}: {error}"


def _advice(callback):
    name = type(callback).__name__
    return (
        f"Give a class or a function that makes a callback, such as "
        f"functools.partial({name}, ...); then each fit has one of its own."
    )


def refuse_uncopied(callbacks):
    """Raise TypeError if a callback cannot be copied, which a clone needs.

    Parameters
    ----------
    callbacks : None, callback, class or function, or list of these
        As given by the user.

    Raises
    ------
    TypeError
        With the callback, the reason, and what to give in its place.
    """
    for callback in _as_list(callbacks):
        if not isinstance(callback, keras.callbacks.Callback):
            continue
        _, reason = _copy(callback)
        if reason is not None:
            raise TypeError(
                f"The callback {callback!r} cannot be copied ({reason}), and a clone "
                f"of the classifier needs a copy. {_advice(callback)}"
            )
