"""The validation split, the rule that stops training, and the callback behind it."""

# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass

import keras
import numpy as np
from sklearn.model_selection import train_test_split


def split_validation(y, validation_split, *, random_state):
    """Draw the rows that only watch training, once and before it starts.

    The split is stratified for any number of classes, so that a small
    validation set has every class in its proportion. Where that cannot be done
    (a class with a single member, fewer held-out rows than classes), it is a
    plain random split.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Class of each row.
    validation_split : float
        Fraction of the rows to hold out, between 0 and 1.
    random_state : int
        Seed of the draw.

    Returns
    -------
    train, validation : ndarray of int
        Row numbers, ascending; together they are all rows, and no row is in
        both.

    Raises
    ------
    ValueError
        If one of the two parts would be empty.

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist.neural_network import split_validation
    >>> y = np.repeat([0, 1], 10)
    >>> train, validation = split_validation(y, 0.2, random_state=0)
    >>> np.bincount(y[validation])
    array([2, 2])
    """
    n_held_out = math.ceil(validation_split * len(y))
    if not 0 < n_held_out < len(y):
        raise ValueError(
            f"validation_split={validation_split!r} of {len(y)} samples leaves "
            f"{len(y) - n_held_out} to train on and {n_held_out} to validate on; "
            "both must be at least 1."
        )
    counts = np.unique(y, return_counts=True)[1]
    can_stratify = counts.min() >= 2 and min(n_held_out, len(y) - n_held_out) >= len(
        counts
    )
    train, validation = train_test_split(
        np.arange(len(y)),
        test_size=n_held_out,
        stratify=y if can_stratify else None,
        random_state=random_state,
    )
    return np.sort(train), np.sort(validation)


@dataclass(frozen=True)
class StopDecision:
    """Whether to stop after an epoch, why, and which epoch was the best.

    Parameters
    ----------
    reason : str or None
        Why training should stop now; None to go on.
    best_epoch : int or None
        The best epoch so far, counted from 0; None while no epoch had a finite
        monitored value.
    """

    reason: str | None
    best_epoch: int | None


def decide_stop(
    history,
    *,
    monitor="val_loss",
    patience=1,
    min_delta=0.0,
    min_train_loss=1e-3,
    max_gap=None,
):
    """Decide from the curves so far whether training should stop.

    A pure function of plain lists. Training stops when the monitored value has
    not improved for `patience` epochs ("the validation loss starts increasing"
    is `patience=1`), when the training loss has become very small, or when
    training and validation accuracy have parted.

    Parameters
    ----------
    history : dict of str to list of float
        The curves as Keras names them: ``loss``, ``accuracy``, ``val_loss``,
        ``val_accuracy``; one value per epoch.
    monitor : str, default="val_loss"
        The curve that says which epoch is best: the largest value for names
        with ``acc`` or ``auc`` in them, otherwise the smallest.
    patience : int, default=1
        Number of epochs without improvement that stop training.
    min_delta : float, default=0.0
        Smallest change that counts as an improvement, in units of the curve.
    min_train_loss : float or None, default=1e-3
        Stop once the training loss is below it; None for never.
    max_gap : float or None, default=None
        Stop once the training accuracy exceeds the validation accuracy by more
        than this fraction; None for never.

    Returns
    -------
    decision : StopDecision
        The reason to stop, if any, and the best epoch so far.

    Raises
    ------
    KeyError
        If the history has no curve of the monitored name.

    Examples
    --------
    >>> from skmnist.neural_network import decide_stop
    >>> decide_stop({"loss": [0.5, 0.3, 0.2], "val_loss": [0.4, 0.3, 0.35]})
    StopDecision(reason='val_loss has not improved for 1 epoch', best_epoch=1)
    """
    if monitor not in history:
        known = ", ".join(sorted(history))
        raise KeyError(f"monitor={monitor!r} is not recorded; there are: {known}")
    best = _best_epoch(history[monitor], _sign(monitor), min_delta)
    n_epochs = len(history[monitor])
    waited = n_epochs - 1 - best if best is not None else n_epochs
    reason = None
    if waited >= patience:
        epochs = "epoch" if patience == 1 else "epochs"
        reason = f"{monitor} has not improved for {patience} {epochs}"
    elif min_train_loss is not None and history["loss"][-1] < min_train_loss:
        reason = f"the training loss is below {min_train_loss:g}"
    elif max_gap is not None and _gap(history) > max_gap:
        reason = f"training and validation accuracy differ by more than {max_gap:g}"
    return StopDecision(reason, best)


def _sign(monitor):
    """Return 1 for curves to maximize, -1 for those to minimize."""
    return 1 if "acc" in monitor or "auc" in monitor else -1


def _best_epoch(curve, sign, min_delta):
    """Return the last epoch that improved on all before it; NaN never does."""
    best, best_value = None, -math.inf
    for epoch, value in enumerate(curve):
        margin = min_delta if best is not None else 0.0
        if sign * value > best_value + margin:
            best, best_value = epoch, sign * value
    return best


def _gap(history):
    if "accuracy" not in history or "val_accuracy" not in history:
        raise KeyError("max_gap needs the curves accuracy and val_accuracy")
    return history["accuracy"][-1] - history["val_accuracy"][-1]


class ValidationEarlyStopping(keras.callbacks.Callback):
    """Stop when validation says so, and keep the best epoch's weights.

    Usable with any Keras model: `decide_stop` takes the decision, this callback
    feeds it the curves and carries it out.

    Parameters
    ----------
    monitor : str, default="val_loss"
        The curve that says which epoch is best.
    patience : int, default=1
        Number of epochs without improvement that stop training.
    min_delta : float, default=0.0
        Smallest change that counts as an improvement.
    min_train_loss : float or None, default=1e-3
        Stop once the training loss is below it.
    max_gap : float or None, default=None
        Stop once training accuracy exceeds validation accuracy by more.
    restore_best_weights : bool, default=True
        Whether the network gets the best epoch's weights back at the end of
        training, also when training was not stopped early. Otherwise it keeps
        those of the last epoch.

    Attributes
    ----------
    best_epoch_ : int or None
        The best epoch, counted from 0.
    stop_reason_ : str or None
        Why training was stopped; None if it ran to its last epoch.

    See Also
    --------
    keras.callbacks.EarlyStopping : Keras' own, which knows a patience only.

    Examples
    --------
    >>> from skmnist import ValidationEarlyStopping
    >>> ValidationEarlyStopping(patience=2).patience
    2
    """

    def __init__(
        self,
        monitor="val_loss",
        *,
        patience=1,
        min_delta=0.0,
        min_train_loss=1e-3,
        max_gap=None,
        restore_best_weights=True,
    ):
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.min_train_loss = min_train_loss
        self.max_gap = max_gap
        self.restore_best_weights = restore_best_weights

    def on_train_begin(self, logs=None):
        """Forget what an earlier training has left."""
        self.best_epoch_ = None
        self.stop_reason_ = None
        self._history = {}
        self._best_weights = None

    def on_epoch_end(self, epoch, logs=None):
        """Feed the decision; keep the weights of an epoch that is the best so far."""
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
                self._best_weights = self.model.get_weights()
        if decision.reason is not None:
            self.stop_reason_ = decision.reason
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        """Give the network its best weights back, and let the copy go."""
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)
        self._best_weights = None
