"""The optimizer's parameters: what they may be, and their description as plain data.

`_optimizer_forms` puts their numbers into the JSON form of an optimizer, and
`keras_side._optimizers` builds the Keras object of that.
"""

# SPDX-License-Identifier: BSD-3-Clause

import sys
from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from .._compat import HasMethods, Interval, StrOptions
from ._door import load_keras

if TYPE_CHECKING:
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


class KerasInstance(HasMethods):
    """Which values a parameter may have: instances of a class of Keras.

    Keras is not imported for that: while nobody has, there is no such instance.

    Parameters
    ----------
    name : str
        The class in Keras, such as "optimizers.Optimizer".
    """

    def __init__(self, name):
        super().__init__(name)
        self.name = name

    def is_satisfied_by(self, val):
        """Return whether a value is such an instance."""
        found = sys.modules.get("keras")
        for part in self.name.split("."):
            found = getattr(found, part, None)
        return found is not None and isinstance(val, found)

    def __str__(self):
        return f"an instance of 'keras.{self.name}'"


# Parameters of KerasMLPClassifier, and which values each may have.
CONSTRAINTS = {
    "optimizer": [StrOptions(set(OPTIMIZERS)), KerasInstance("optimizers.Optimizer")],
    "learning_rate": [
        Interval(Real, 0, None, closed="neither"),
        StrOptions({"auto"}),
        None,
    ],
    "learning_rate_schedule": [StrOptions(set(SCHEDULES))],
    "warmup_epochs": [Interval(Real, 0, None, closed="left")],
    "weight_decay": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
}


def check_optimizer(params: Mapping[str, Any]) -> None:
    """Raise ValueError if parameters of the optimizer contradict each other.

    Parameters
    ----------
    params : dict
        All parameters of a `KerasMLPClassifier`.

    Raises
    ------
    ValueError
        If the warm-up is not shorter than the training.
    """
    epochs = params["epochs"]
    # "auto" is many epochs.
    if not isinstance(epochs, str) and params["warmup_epochs"] >= epochs:
        raise ValueError(
            f"warmup_epochs={params['warmup_epochs']!r} leaves no epoch for the "
            f"learning rate's schedule; it must be less than "
            f"epochs={epochs!r}."
        )


def describe_optimizer(params: Mapping[str, Any], n_samples: int) -> dict[str, Any]:
    """Describe the optimizer as plain data.

    Parameters
    ----------
    params : dict
        All parameters of a `KerasMLPClassifier`, none of them "auto".
    n_samples : int
        Number of training rows.

    Returns
    -------
    described : dict
        The arguments of `build_optimizer`, as JSON values.
    """
    steps_per_epoch = -(-n_samples // params["batch_size"])
    learning_rate = params["learning_rate"]
    n_steps = int(params["epochs"]) * steps_per_epoch
    n_warmup = round(params["warmup_epochs"] * steps_per_epoch)
    return {
        "optimizer": serialize_optimizer(params["optimizer"]),
        "learning_rate": None if learning_rate is None else float(learning_rate),
        "schedule": params["learning_rate_schedule"],
        "n_steps": n_steps,
        # The schedule that follows takes one update at least.
        "n_warmup": min(n_warmup, n_steps - 1),
        "weight_decay": float(params["weight_decay"]),
    }


# The part of a described optimizer that makes its learning rate constant.
STEADY = {"schedule": "constant", "n_warmup": 0}


def is_scheduled(described: Mapping[str, Any]) -> bool:
    """Return whether a described optimizer's learning rate depends on the update."""
    return described["schedule"] != "constant" or described["n_warmup"] > 0


def begins_anew(before: Mapping[str, Any], described: Mapping[str, Any]) -> bool:
    """Return whether a training that goes on begins with a fresh optimizer.

    Parameters
    ----------
    before, described : dict
        The described optimizers of the earlier training, and of the one that follows.

    Returns
    -------
    begins : bool
        Whether they are different ones, or one has a schedule: that begins again.
    """
    other = before["optimizer"] != described["optimizer"]
    return other or is_scheduled(before) or is_scheduled(described)


def serialize_optimizer(optimizer: Any) -> str | dict:
    """Return the name of an optimizer, or the JSON form of an optimizer object."""
    if isinstance(optimizer, str):
        return optimizer
    if isinstance(optimizer, DescribedOptimizer):
        return optimizer.described
    import keras

    return keras.optimizers.serialize(optimizer)


class DescribedOptimizer:
    """A Keras optimizer of a file or a pickle, which nobody has asked for yet.

    Parameters
    ----------
    described : dict
        Its JSON form.
    """

    def __init__(self, described: dict):
        self.described = described

    def build(self) -> "keras.optimizers.Optimizer":
        """Return the optimizer."""
        load_keras()
        from .keras_side._optimizers import deserialize_optimizer

        return deserialize_optimizer(self.described)


def without_keras(optimizer: Any) -> Any:
    """Return an optimizer in a form that pickles into a process without Keras."""
    is_ours = KerasInstance("optimizers.Optimizer").is_satisfied_by(optimizer)
    return DescribedOptimizer(serialize_optimizer(optimizer)) if is_ours else optimizer


class OptimizerParameter:
    """The parameter `optimizer`: one that is described is built when it is read.

    So a classifier that was loaded or unpickled predicts without Keras.
    """

    def __get__(self, classifier, owner=None):
        if classifier is None:
            return self
        state = vars(classifier)
        if "optimizer" not in state:
            raise AttributeError("optimizer")
        if isinstance(state["optimizer"], DescribedOptimizer):
            state["optimizer"] = state["optimizer"].build()
        return state["optimizer"]

    def __set__(self, classifier, optimizer):
        vars(classifier)["optimizer"] = optimizer
