"""The JSON form of an optimizer, as Keras writes it; but Keras is not needed.

What a name means stands here. So a network is trained in the same way by NumPy and by
TensorFlow, and by every version of Keras.
"""

# SPDX-License-Identifier: BSD-3-Clause

import copy
from collections.abc import Mapping
from typing import Any

# What each name means: the class in Keras, and the defaults of its own arguments.
_LIKE_ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
_NAMED: dict[str, tuple[str, dict[str, Any]]] = {
    "adadelta": ("Adadelta", {"rho": 0.95, "epsilon": 1e-7}),
    "adagrad": ("Adagrad", {"initial_accumulator_value": 0.1, "epsilon": 1e-7}),
    "adam": ("Adam", {**_LIKE_ADAM, "amsgrad": False}),
    "adamax": ("Adamax", _LIKE_ADAM),
    "adamw": ("AdamW", {"weight_decay": 0.004, **_LIKE_ADAM, "amsgrad": False}),
    "ftrl": (
        "Ftrl",
        {
            "learning_rate_power": -0.5,
            "initial_accumulator_value": 0.1,
            "l1_regularization_strength": 0.0,
            "l2_regularization_strength": 0.0,
            "l2_shrinkage_regularization_strength": 0.0,
            "beta": 0.0,
        },
    ),
    "lion": ("Lion", {"beta_1": 0.9, "beta_2": 0.99}),
    "nadam": ("Nadam", _LIKE_ADAM),
    "rmsprop": (
        "RMSprop",
        {"rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False},
    ),
    "sgd": ("SGD", {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}),
}
# Arguments that all have, and their defaults.
_COMMON = {
    "learning_rate": 0.001,
    "weight_decay": None,
    "clipnorm": None,
    "global_clipnorm": None,
    "clipvalue": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}
# With these, an optimizer does not treat each number alone, or keeps more of them.
_NOT_ELEMENTWISE = (
    "clipnorm",
    "global_clipnorm",
    "use_ema",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)


def serialized(
    optimizer: str | Mapping[str, Any],
    *,
    learning_rate: float | None = None,
    weight_decay: float = 0.0,
) -> dict[str, Any]:
    """Return the JSON form of an optimizer, with other numbers in it.

    Parameters
    ----------
    optimizer : str or dict
        A name in `OPTIMIZERS`, or the JSON form of a Keras optimizer.
    learning_rate, weight_decay
        As for `build_optimizer`.

    Returns
    -------
    serialized : dict
        A copy; the learning rate may be the description of a schedule.

    Raises
    ------
    ValueError
        If the optimizer has no such number.

    Examples
    --------
    >>> from skmnist.neural_network._optimizer_forms import serialized
    >>> serialized("sgd", learning_rate=0.1)["config"]["learning_rate"]
    0.1
    """
    named = isinstance(optimizer, str)
    described = _of_name(optimizer) if named else copy.deepcopy(dict(optimizer))
    # Keras numbers the names of its objects; equal fits should be equal.
    described["config"]["name"] = "optimizer"
    if learning_rate is not None:
        _set(described, "learning_rate", float(learning_rate))
    if weight_decay:
        _set(described, "weight_decay", float(weight_decay))
    return described


def _of_name(name):
    class_name, own = _NAMED[name]
    return {
        "module": "keras.optimizers",
        "class_name": class_name,
        "config": {**_COMMON, **own},
        "registered_name": None,
    }


def innermost(described: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON form of the optimizer inside others, which scale its loss."""
    inner = described["config"].get("inner_optimizer")
    return described if inner is None else innermost(inner)


def _set(described, name, value):
    inner = innermost(described)
    if name not in inner["config"]:
        raise ValueError(
            f"{inner['class_name']} has no {name!r}; set it in the optimizer itself, "
            f"and {name}={None if name == 'learning_rate' else 0!r} in the classifier."
        )
    inner["config"][name] = value


def treats_each_alone(config: Mapping[str, Any]) -> bool:
    """Return whether an optimizer of a configuration treats each number alone.

    Parameters
    ----------
    config : dict
        Of one of the `OPTIMIZERS`, as Keras' `get_config` returns it.
    """
    return not any(map(config.get, _NOT_ELEMENTWISE))
