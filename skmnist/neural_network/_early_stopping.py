"""The validation split, and the rule that stops training."""

# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import train_test_split

# Parameters of KerasMLPClassifier that are those of ValidationEarlyStopping.
STOPPING_PARAMETERS = (
    "monitor",
    "patience",
    "min_delta",
    "min_train_loss",
    "max_gap",
    "restore_best_weights",
)


def split_validation(
    y: ArrayLike, validation_split: float, *, random_state: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw the rows that are held out for validation.

    Draw them once, before training starts. The split is stratified: each class has
    the same proportion in both parts, for any number of classes. If that is not
    possible (a class with one row only, or fewer held-out rows than classes), the
    split is random.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Class of each row.
    validation_split : float
        Fraction of the rows to hold out, between 0 and 1.
    random_state : int
        Seed of the draw.

    Returns
    -------
    train : ndarray of int of shape (n_train,)
        Row numbers to train on, ascending.
    validation : ndarray of int of shape (n_validation,)
        Row numbers to validate on, ascending. Each row is in exactly one of the two
        parts.

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
    y = np.asarray(y)
    n_samples = len(y)
    n_held_out = math.ceil(validation_split * n_samples)
    if not 0 < n_held_out < n_samples:
        raise ValueError(
            f"validation_split={validation_split!r} of {n_samples} samples leaves "
            f"{n_samples - n_held_out} to train on and {n_held_out} to validate on; "
            "both must be at least 1."
        )
    counts = np.unique(y, return_counts=True)[1]
    smaller_part = min(n_held_out, n_samples - n_held_out)
    can_stratify = counts.min() >= 2 and smaller_part >= len(counts)
    train, validation = train_test_split(
        np.arange(n_samples),
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
        The best epoch so far, counted from 0; None if no epoch had a finite monitored
        value.
    """

    reason: str | None
    best_epoch: int | None


def decide_stop(
    history: Mapping[str, Sequence[float]],
    *,
    monitor: str = "val_loss",
    patience: int = 1,
    min_delta: float = 0.0,
    min_train_loss: float | None = 1e-3,
    max_gap: float | None = None,
) -> StopDecision:
    """Decide from the curves so far whether training should stop.

    Training stops in three cases: the monitored value has not improved for `patience`
    epochs; the training loss is very small; or training accuracy is much higher than
    validation accuracy. `history` is only read.

    Parameters
    ----------
    history : dict of str to list of float
        One value per epoch for each curve, under Keras' names: ``loss``,
        ``accuracy``, ``val_loss``, ``val_accuracy``.
    monitor : str, default="val_loss"
        The curve that decides which epoch is best. Larger is better if its name
        contains ``acc`` or ``auc``; otherwise smaller is better.
    patience : int, default=1
        Stop after this number of epochs without improvement. With 1, training stops
        at the first epoch that does not improve.
    min_delta : float, default=0.0
        Smallest change that counts as an improvement, in units of the curve.
    min_train_loss : float or None, default=1e-3
        Stop once the training loss is below this; None to ignore it.
    max_gap : float or None, default=None
        Stop once the training accuracy exceeds the validation accuracy by more than
        this fraction; None to ignore it.

    Returns
    -------
    decision : StopDecision
        The reason to stop, if any, and the best epoch so far.

    Raises
    ------
    KeyError
        If `history` lacks the monitored curve, or a curve that `max_gap` needs.

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
    """Return 1 for curves to maximize, -1 for curves to minimize."""
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


class StopsEarly:
    """The methods of `ValidationEarlyStopping`, for a callback or a hook."""

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
