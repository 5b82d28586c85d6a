"""What is called after each epoch: rules, records, lines; none of it needs Keras.

They have the methods of a Keras callback, as far as a training by whole epochs calls
them. `keras_side` wraps them where Keras itself trains.
"""

# SPDX-License-Identifier: BSD-3-Clause

import hashlib
import math
import time

import numpy as np

from .._early_stopping import StopsEarly
from .._tensors import read_variables


class Hook:
    """What a training calls, with Keras' names; each method may be left as it is.

    Attributes
    ----------
    model : object
        The network in training.
    params : dict
        ``epochs``: the number of the epoch to stop before.
    watches : bool
        Whether it looks at the network after each epoch, or may stop it there. If no
        hook does, several epochs are trained at once before their ends are told.
    """

    model = None
    watches = True

    def set_params(self, params):
        """Remember the parameters of the training."""
        self.params = params

    def set_model(self, model):
        """Remember the network."""
        self.model = model

    def on_train_begin(self, logs=None):
        """Begin."""

    def on_epoch_begin(self, epoch, logs=None):
        """Begin an epoch, counted from 0."""

    def on_epoch_end(self, epoch, logs=None):
        """End an epoch, with its losses and accuracies."""

    def on_train_end(self, logs=None):
        """End."""


class Hooks:
    """Call hooks, and keep the curves; what Keras' `CallbackList` does.

    Parameters
    ----------
    hooks : list of Hook
        The hooks.
    network : PlainNetwork
        What is trained.
    epochs : int
        Number of the epoch to stop before.

    Attributes
    ----------
    watch : bool
        Whether one of the hooks watches.
    """

    def __init__(self, hooks, network, epochs):
        self._hooks = hooks
        self._history = network.history_
        self.watch = any(hook.watches for hook in hooks)
        for hook in hooks:
            hook.set_params({"epochs": epochs})
            hook.set_model(network)

    def on_train_begin(self):
        for hook in self._hooks:
            hook.on_train_begin()

    def on_epoch_begin(self, epoch):
        for hook in self._hooks:
            hook.on_epoch_begin(epoch)

    def on_epoch_end(self, epoch, logs):
        for hook in self._hooks:
            hook.on_epoch_end(epoch, logs)
        for name, value in logs.items():
            self._history.setdefault(name, []).append(value)

    def on_train_end(self, logs):
        for hook in self._hooks:
            hook.on_train_end(logs)


class FiniteLoss(Hook):
    """End a fit with an error when its loss is infinite or NaN."""

    watches = False

    def on_epoch_end(self, epoch, logs=None):
        """Raise `FloatingPointError` if the training loss is not finite."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The training loss became {loss} in epoch {epoch + 1}; a smaller "
                "learning_rate or inputs scaled to [0, 1] usually help."
            )


class EpochLines(Hook):
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
    >>> from skmnist.neural_network.engines._hooks import epoch_line
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


class EpochTicks(Hook):
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
        self.watches = bool(getattr(estimator, "_skl_callbacks", ()))

    def on_epoch_begin(self, epoch, logs=None):
        """Open the epoch's context."""
        if not self.watches:
            return
        self._epoch = self._context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def on_epoch_end(self, epoch, logs=None):
        """Close the epoch's context."""
        if not self.watches:
            return
        stop = self._epoch.call_on_fit_task_end(
            estimator=self._estimator,
            reconstruction_attributes=self._snapshot,
            **self._data,
        )
        if stop:
            self.stopped_ = True
            self.model.stop_training = True


class EarlyStopping(StopsEarly, Hook):
    """`ValidationEarlyStopping` for a training without Keras; same parameters."""


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


class WeightsSeen(Hook):
    """Remember the weights after each epoch, to find out which ones are kept.

    Another callback may put weights back, and an optimizer may average them. Only where
    that is possible, digests of the weights are taken.

    Parameters
    ----------
    others : bool
        Whether there are callbacks of the user's.
    """

    def __init__(self, others):
        self._others = self.watches = others

    def on_train_begin(self, logs=None):
        """Forget an earlier training."""
        self.watches = self._others or _averages(self.model.optimizer)
        self._digests = []

    def on_epoch_end(self, epoch, logs=None):
        """Remember the weights to which the curves of this epoch belong."""
        if self.watches:
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
        if not self.watches:
            return expected
        now = _digest(self.model)
        same = [epoch for epoch, seen in enumerate(self._digests) if seen == now]
        return expected if expected in same else (same or [None])[-1]


def _averages(optimizer):
    """Return whether an optimizer changes the weights when a training ends."""
    if optimizer is None:  # of a network without Keras' objects
        return False
    import keras

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
