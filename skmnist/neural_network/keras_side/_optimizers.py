"""The optimizer as a Keras object, built from its description.

What its parameters may be, and the description itself, are in `_optimizer_params`.
"""

# SPDX-License-Identifier: BSD-3-Clause

import copy

import keras

from ..._compat import schedule_of
from .._optimizer_forms import innermost, serialized


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
    optimizer : str, dict or keras.optimizers.Optimizer, default="adam"
        A name in `OPTIMIZERS`, or an optimizer whose configuration is copied, or the
        JSON form of one. An optimizer object is not used itself, because it can
        serve only one network.
    learning_rate : float, default=None
        The highest learning rate; None for the optimizer's own.
    schedule : {"constant", "linear", "cosine"}, default="constant"
        How the learning rate falls. "linear" and "cosine" reach zero at the last of
        `n_steps` updates. An optimizer that has a schedule of its own keeps that.
    n_steps : int, default=1
        Number of updates in the whole training, warm-up included.
    n_warmup : int, default=0
        Number of updates in which the learning rate rises, before the schedule
        begins; see `WarmUp`.
    weight_decay : float, default=0.0
        Each update takes this fraction, times the learning rate, off each weight
        (decoupled weight decay, as in AdamW [1]_).

    Returns
    -------
    optimizer : keras.optimizers.Optimizer
        A new optimizer.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization",
       ICLR 2019.
    """
    if not isinstance(optimizer, str | dict):
        optimizer = keras.optimizers.serialize(optimizer)
    described = serialized(
        optimizer, learning_rate=learning_rate, weight_decay=weight_decay
    )
    config = innermost(described)["config"]
    is_own = not isinstance(config.get("learning_rate", {}), dict)
    if (schedule != "constant" or n_warmup) and is_own:
        start = config["learning_rate"]
        rate = _schedule(schedule, start, n_steps - n_warmup)
        rate = WarmUp(start, n_warmup, rate) if n_warmup else rate
        config["learning_rate"] = keras.optimizers.schedules.serialize(rate)
    return deserialize_optimizer(described)


def schedule_function(described):
    """Return what gives the learning rates of a described optimizer with a schedule.

    Parameters
    ----------
    described : dict
        The arguments of `build_optimizer`.

    Returns
    -------
    rates : callable
        Takes numbers of updates, counted from 0, and returns a tensor.
    """
    return schedule_of(build_optimizer(**described))


def deserialize_optimizer(described: str | dict) -> str | keras.optimizers.Optimizer:
    """Return the optimizer that `serialize_optimizer` described."""
    if isinstance(described, str):
        return described
    # As Keras reads its own files: `keras.optimizers.deserialize` does not know all.
    return keras.saving.deserialize_keras_object(copy.deepcopy(described))


@keras.saving.register_keras_serializable(package="skmnist")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises along a line, then follows a schedule.

    In a warm-up of n updates, update k (counted from 1) has k/n of the peak [1]_.

    Parameters
    ----------
    peak : float
        Learning rate at the end of the warm-up.
    n_warmup : int
        Number of updates in the warm-up, at least 1.
    after : keras.optimizers.schedules.LearningRateSchedule, default=None
        The schedule that follows, from its own step 0; None to stay at the peak.

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
        # Not below step 0: a power in the schedule could give NaN there.
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
    """Return a learning rate that falls from `start` to zero in `n_steps` updates.

    Return None for "constant".
    """
    schedules = keras.optimizers.schedules
    if schedule == "constant":
        return None
    if schedule == "linear":
        return schedules.PolynomialDecay(start, n_steps, end_learning_rate=0.0)
    return schedules.CosineDecay(start, n_steps)
