"""Callbacks of a training: Keras', scikit-learn's, our own; and what they record."""

# SPDX-License-Identifier: BSD-3-Clause

import copy
import hashlib
import math
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import keras
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ._early_stopping import decide_stop
from ._inference import forward
from ._network import network_layers
from ._spec import advice_on_epochs
from ._tensors import read_variables
from .engines._epochs import fill_curves

# A warning in a fit is told of the line that calls it, above the method and its four
# decorators.
_TO_THE_CALLER = 7

# What the parameter `callbacks` may be.
Callbacks: TypeAlias = (
    keras.callbacks.Callback
    | Callable[[], keras.callbacks.Callback]
    | Sequence[keras.callbacks.Callback | Callable[[], keras.callbacks.Callback]]
    | None
)


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


class EpochLines(keras.callbacks.Callback):
    """Print a line for each epoch: its curves, its learning rate, its duration.

    Keras' own lines count the batches, and there is only one where a program trains a
    whole epoch.

    Parameters
    ----------
    title : str, default="epoch"
        How each line begins.
    """

    def __init__(self, title="epoch"):
        super().__init__()
        self._title = title

    def on_epoch_begin(self, epoch, logs=None):
        """Remember when the epoch began, and with which learning rate."""
        self._began = time.perf_counter()
        # A network without Keras' objects has no optimizer.
        owner = self.model.optimizer or self.model
        self._rate = float(owner.learning_rate)

    def on_epoch_end(self, epoch, logs=None):
        """Print the line."""
        seconds = time.perf_counter() - self._began
        number = epoch + 1, self.params["epochs"]
        line = epoch_line(*number, logs or {}, self._rate, seconds, title=self._title)
        print(line, flush=True)


# Characters of a terminal's line.
_LINE = 80


def epoch_line(number, n_epochs, logs, rate, seconds, *, title="epoch"):
    """Put an epoch into a line of at most 80 characters.

    Parameters
    ----------
    number, n_epochs : int
        Which epoch it was, counted from 1, and how many there are.
    logs : dict of str to float
        ``loss`` and ``accuracy`` and, with validation data, ``val_loss`` and
        ``val_accuracy``.
    rate : float
        Learning rate at the beginning of the epoch.
    seconds : float
        Its duration.
    title : str, default="epoch"
        How the line begins.

    Returns
    -------
    line : str
        The lines of a training stand one below the other. The learning rate is left out
        where there is no room for it.

    Examples
    --------
    >>> from skmnist.neural_network._callbacks import epoch_line
    >>> logs = {"loss": 0.4321, "accuracy": 0.8765}
    >>> epoch_line(7, 120, logs, 0.0008, 0.312)
    'epoch   7/120  loss 0.432  accuracy  87.65 %  rate 0.0008  0.31 s'
    """
    parts = [f"{title} {number:{len(str(n_epochs))}}/{n_epochs}"]
    parts += _curve("loss", "accuracy", "", logs)
    parts += _curve("val_loss", "val_accuracy", "validation ", logs)
    last = f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    line = "  ".join([*parts, f"rate {rate:.2g}", last])
    if len(line) > _LINE:
        line = "  ".join([*parts, last])
    return line if len(line) <= _LINE else line.replace("validation", "val")


def _curve(loss, accuracy, name, logs):
    """Write a loss and an accuracy; a network that its user compiled may lack them."""
    written = []
    if loss in logs:
        value = float(logs[loss])
        small = 0 < abs(value) < 0.001
        written.append(f"{name or 'loss '}{value:{'.0e' if small else '.3f'}}")
    if accuracy in logs:
        word = "" if name else "accuracy "
        written.append(f"{word}{100 * float(logs[accuracy]):6.2f} %")
    return written


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


class ValidationEarlyStopping(keras.callbacks.Callback):
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

    best_epoch_: int | None
    stop_reason_: str | None

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        patience: int = 1,
        min_delta: float = 0.0,
        min_train_loss: float | None = 1e-3,
        max_gap: float | None = None,
        restore_best_weights: bool = True,
    ):
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.min_train_loss = min_train_loss
        self.max_gap = max_gap
        self.restore_best_weights = restore_best_weights

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Forget an earlier training."""
        self.best_epoch_ = None
        self.stop_reason_ = None
        self._history = {}
        self._best_weights = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Decide whether to stop; copy the weights if this epoch is the best so far."""
        for name, value in (logs or {}).items():
            self._history.setdefault(name, []).append(float(value))
        decision = decide_stop(
            self._history,
            monitor=self.monitor,
            patience=self.patience,
            min_delta=self.min_delta,
            min_train_loss=self.min_train_loss,
            max_gap=self.max_gap,
        )
        if decision.best_epoch != self.best_epoch_:
            self.best_epoch_ = decision.best_epoch
            if self.restore_best_weights:
                # Free the earlier copy first: the weights can be most of the memory.
                self._best_weights = None
                self._best_weights = self.model.get_weights()
        if decision.reason is not None:
            self.stop_reason_ = decision.reason
            self.model.stop_training = True

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Give the network its best weights back, and drop the copy."""
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)
        self._best_weights = None


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


class WeightsSeen(keras.callbacks.Callback):
    """Remember the weights after each epoch, to find out which ones are kept.

    Another callback may put weights back, and an optimizer may average them. Only where
    that is possible, digests of the weights are taken.

    Parameters
    ----------
    others : bool
        Whether there are callbacks of the user's.
    """

    def __init__(self, others):
        super().__init__()
        self._others = others

    def on_train_begin(self, logs=None):
        """Forget an earlier training."""
        self._watches = self._others or _averages(self.model.optimizer)
        self._digests = []

    def on_epoch_end(self, epoch, logs=None):
        """Remember the weights to which the curves of this epoch belong."""
        if self._watches:
            self._digests.append(_digest(self.model))

    def kept_epoch(self, expected):
        """Return the epoch whose weights the network has, counted from 0.

        Parameters
        ----------
        expected : int
            The epoch whose weights it should have.

        Returns
        -------
        epoch : int or None
            None if the weights are of no epoch.
        """
        if not self._watches:
            return expected
        now = _digest(self.model)
        same = [epoch for epoch, seen in enumerate(self._digests) if seen == now]
        return expected if expected in same else (same or [None])[-1]


def _averages(optimizer):
    """Return whether an optimizer changes the weights when a training ends."""
    if optimizer is None:  # of a network without Keras' objects
        return False
    plain = keras.optimizers.Optimizer.finalize_variable_values
    own = type(optimizer).finalize_variable_values
    return own is not plain or bool(getattr(optimizer, "use_ema", False))


def _digest(network):
    digest = hashlib.blake2b()
    for array in read_variables(network.weights):
        digest.update(np.ascontiguousarray(array))
    return digest.digest()


def check_finite(weights):
    """Raise FloatingPointError if a weight of a network is infinite or NaN.

    The loss can be finite all the same: Keras clips probabilities before it takes
    logarithms.

    Parameters
    ----------
    weights : list of ndarray
        Of a trained network.
    """
    if not all(np.isfinite(array).all() for array in weights):
        raise FloatingPointError(
            "Weights of the network became infinite or NaN. A smaller learning_rate, "
            "another optimizer or inputs scaled to [0, 1] usually help."
        )


def record(classifier, trained, callbacks, epochs, held_out):
    """Record the curves, the epoch whose weights are kept, and why training ended.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A classifier that was just trained; changed in place.
    trained : KerasClassifier or PlainNetwork
        What was trained.
    callbacks : list of keras.callbacks.Callback
        Our own callbacks of this training.
    epochs : int
        The number of epochs to train.
    held_out : Rows or None
        Rows that the network was evaluated on.
    """
    seen, *_, ticks = callbacks
    stopping = next((c for c in callbacks if hasattr(c, "best_epoch_")), None)
    before, curves = classifier.n_iter_, trained.history_
    curves.update(fill_curves(curves, known=classifier.history_))
    history = {name: list(map(float, curve)) for name, curve in curves.items()}
    classifier.history_, classifier.loss_curve_ = history, history["loss"]
    classifier.validation_loss_curve_ = history.get("val_loss")
    scores = classifier.validation_scores_ = history.get("val_accuracy")
    n_epochs = classifier.n_iter_ = len(classifier.loss_curve_)
    expected = n_epochs - before - 1
    if stopping and stopping.best_epoch_ is not None and stopping.restore_best_weights:
        expected = stopping.best_epoch_
    kept = seen.kept_epoch(expected)
    classifier.best_iter_ = n_epochs if kept is None else before + kept + 1
    classifier.loss_ = classifier.loss_curve_[-1]
    classifier.best_loss_ = None if stopping else min(classifier.loss_curve_)
    score = scores and scores[classifier.best_iter_ - 1]
    if kept is None and held_out is not None:
        score = _accuracy(trained.model_, held_out)
    classifier.best_validation_score_ = score
    weights = trained.model_.trainable_weights
    classifier.n_parameters_ = sum(math.prod(w.shape) for w in weights)
    classifier.stop_reason_ = stop_reason(stopping, ticks, epochs)


def _accuracy(network, rows):
    """Return the part of rows that a network classifies correctly."""
    outputs = forward(network_layers(network), rows.X)
    single = outputs.shape[1] == 1
    predicted = outputs[:, 0] > 0.5 if single else np.argmax(outputs, axis=1)
    return float(np.mean(predicted == rows.y))


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


def warn_if_short(classifier, n_samples):
    """Warn if a classifier trained all epochs, and they were few.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A classifier at the end of its `fit`. With "auto" it trained long enough.
    n_samples : int
        Number of training rows.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If the training is too short, see `advice_on_epochs`.
    """
    ended = classifier.stop_reason_ == all_trained(classifier.epochs_)
    if ended and classifier.epochs != "auto":
        # Earlier calls of a training that goes on count, too.
        n_epochs, batch_size = classifier.n_iter_, classifier.batch_size_
        advice = advice_on_epochs(n_epochs, n_samples, batch_size)
        if advice:
            warnings.warn(advice, ConvergenceWarning, stacklevel=_TO_THE_CALLER)


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
