"""Optimizers and learning-rate schedules: names in, Keras objects out."""

# SPDX-License-Identifier: BSD-3-Clause

import keras

OPTIMIZERS = (
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "ftrl",
    "lion",
    "nadam",
    "rmsprop",
    "sgd",
)


SCHEDULES = ("constant", "linear", "cosine")


def build_optimizer(
    optimizer="adam",
    *,
    learning_rate=None,
    schedule="constant",
    n_steps=1,
    n_warmup=0,
    weight_decay=0.0,
):
    """Build a fresh Keras optimizer from a name or from another optimizer.

    Parameters
    ----------
    optimizer : str or keras.optimizers.Optimizer, default="adam"
        A name in `OPTIMIZERS`, or an optimizer whose configuration is used; the
        object itself is left alone, because it can serve one network only.
    learning_rate : float, default=None
        The highest learning rate; None for the optimizer's own.
    schedule : {"constant", "linear", "cosine"}, default="constant"
        How the learning rate falls, to zero at the last of `n_steps` updates.
    n_steps : int, default=1
        Number of updates the schedule spans, those of the warm-up among them.
    n_warmup : int, default=0
        Number of updates over which the learning rate rises before the schedule
        begins, see `WarmUp`.
    weight_decay : float, default=0.0
        Fraction of each weight that is taken off it at every update, times the
        learning rate (decoupled, as in AdamW [1]_).

    Returns
    -------
    optimizer : keras.optimizers.Optimizer
        An optimizer that no network has used yet.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization",
       ICLR 2019.
    """
    if isinstance(optimizer, str):
        described = {"class_name": optimizer, "config": {}}
    else:
        described = keras.optimizers.serialize(optimizer)
    config = described["config"]
    # Keras numbers the names of its objects; equal fits should be equal.
    config["name"] = "optimizer"
    if learning_rate is not None:
        config["learning_rate"] = float(learning_rate)
    if weight_decay:
        config["weight_decay"] = float(weight_decay)
    built = keras.optimizers.deserialize(described)
    if schedule != "constant" or n_warmup:
        start = float(built.learning_rate)
        rate = _schedule(schedule, start, n_steps - n_warmup)
        built.learning_rate = WarmUp(start, n_warmup, rate) if n_warmup else rate
    return built


@keras.saving.register_keras_serializable(package="skmnist")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises along a line, then follows a schedule.

    Update k of n, counted from 1, has k/n of the peak [1]_.

    Parameters
    ----------
    peak : float
        Learning rate of the last update of the warm-up.
    n_warmup : int
        Updates of the warm-up, at least 1.
    after : keras.optimizers.schedules.LearningRateSchedule, default=None
        What follows, from its own first step; None for the peak.

    References
    ----------
    .. [1] P. Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1
       Hour", 2017, section 2.2.
    """

    def __init__(self, peak, n_warmup, after=None):
        super().__init__()
        self.peak = peak
        self.n_warmup = n_warmup
        self.after = after

    def __call__(self, step):
        """Return the learning rate of an update, counted from 0."""
        step = keras.ops.cast(step, "float32")
        rising = self.peak * (step + 1) / self.n_warmup
        # Never asked for a step before its first, where a power may be NaN.
        later = keras.ops.maximum(step - self.n_warmup, 0.0)
        after = self.peak if self.after is None else self.after(later)
        return keras.ops.where(step < self.n_warmup, rising, after)

    def get_config(self):
        """Return the arguments that make an equal schedule."""
        after = self.after and keras.optimizers.schedules.serialize(self.after)
        return {"peak": self.peak, "n_warmup": self.n_warmup, "after": after}

    @classmethod
    def from_config(cls, config):
        """Return the schedule that `get_config` described."""
        after = config["after"]
        after = after and keras.optimizers.schedules.deserialize(after)
        return cls(**{**config, "after": after})


def _schedule(schedule, start, n_steps):
    """Return a learning rate that falls from `start` to zero in `n_steps`."""
    schedules = keras.optimizers.schedules
    if schedule == "constant":
        return None
    if schedule == "linear":
        return schedules.PolynomialDecay(start, n_steps, end_learning_rate=0.0)
    return schedules.CosineDecay(start, n_steps)
