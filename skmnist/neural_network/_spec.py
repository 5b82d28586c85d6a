"""The parameters of `KerasMLPClassifier`: what each may be, alone and together."""

# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Callable
from dataclasses import asdict
from numbers import Integral, Real
from typing import NamedTuple

import keras
import numpy as np

from .._compat import HasMethods, Interval, StrOptions
from ..augmentation._distortions import (
    AUGMENTATIONS,
    Distortions,
    describe_augmentation,
)
from ._network import ACTIVATIONS, INITIALIZERS
from ._optimizers import OPTIMIZERS, SCHEDULES

# From this many samples on, early_stopping="auto" stops early, as in
# scikit-learn's HistGradientBoostingClassifier.
EARLY_STOPPING_FROM = 10_000

CONSTRAINTS = {
    "depth": [Interval(Integral, 0, None, closed="left")],
    "widths": [Interval(Integral, 1, None, closed="left"), "array-like"],
    "activations": [StrOptions(set(ACTIVATIONS)), "array-like"],
    "initializers": [StrOptions(set(INITIALIZERS)), "array-like"],
    "output_initializer": [StrOptions(set(INITIALIZERS))],
    "optimizer": [StrOptions(set(OPTIMIZERS)), keras.optimizers.Optimizer],
    "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
    "learning_rate_schedule": [StrOptions(set(SCHEDULES))],
    "warmup_epochs": [Interval(Real, 0, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "epochs": [Interval(Integral, 1, None, closed="left")],
    "validation_split": [Interval(Real, 0, 1, closed="neither")],
    "early_stopping": ["boolean", StrOptions({"auto"})],
    "monitor": [StrOptions({"val_loss", "val_accuracy", "loss", "accuracy"})],
    "patience": [Interval(Integral, 1, None, closed="left")],
    "min_delta": [Interval(Real, 0, None, closed="left")],
    "min_train_loss": [Interval(Real, 0, None, closed="left"), None],
    "max_gap": [Interval(Real, 0, 1, closed="both"), None],
    "restore_best_weights": ["boolean"],
    "refit_on_all": ["boolean"],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "input_dropout": [Interval(Real, 0, 1, closed="left")],
    "batch_normalization": ["boolean"],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    "augmentation": [StrOptions(set(AUGMENTATIONS)), Distortions, None],
    "image_shape": ["array-like", None],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "callbacks": [list, tuple, keras.callbacks.Callback, type, None],
    "memory": [str, os.PathLike, HasMethods(["cache"]), None],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


def check_together(params):
    """Refuse values that are fine by themselves and not with one another.

    Parameters
    ----------
    params : dict
        All parameters of a `KerasMLPClassifier`.

    Raises
    ------
    ValueError
        In one line that names the parameters.
    """
    if params["warmup_epochs"] >= params["epochs"]:
        raise ValueError(
            f"warmup_epochs={params['warmup_epochs']!r} leaves no epoch for the "
            f"learning rate's schedule; it must be less than "
            f"epochs={params['epochs']!r}."
        )
    if params["refit_on_all"] and params["warm_start"]:
        raise ValueError(
            "refit_on_all trains from fresh weights and warm_start from those there "
            "are; only one of them can be true."
        )


def to_plain(params):
    """Bring parameters to plain data, see `skmnist._io.to_json`.

    Parameters
    ----------
    params : dict
        All parameters of a `KerasMLPClassifier`.

    Returns
    -------
    plain : dict
        With the optimizer and the distortions described. `memory` is None: a folder
        of this machine's means nothing elsewhere.
    """
    distortions = params["augmentation"]
    if isinstance(distortions, Distortions):
        distortions = asdict(distortions)
    return {
        **params,
        "optimizer": serialize_optimizer(params["optimizer"]),
        "augmentation": distortions,
        "memory": None,
    }


def from_plain(plain):
    """Return the parameters that `to_plain` described."""
    distortions = plain.get("augmentation")
    if isinstance(distortions, dict):
        distortions = Distortions(**distortions)
    optimizer = deserialize_optimizer(plain["optimizer"])
    return {**plain, "optimizer": optimizer, "augmentation": distortions}


class Allowed(NamedTuple):
    """Which values one layer may have.

    Attributes
    ----------
    what : str
        In words.
    test : callable
        Tells of a value whether it is allowed.
    """

    what: str
    test: Callable


def per_layer(name, value, depth, allowed):
    """Bring a parameter that is one value or one per layer to a list.

    Parameters
    ----------
    name : str
        The parameter's name, for messages.
    value : scalar or array-like of shape (depth,)
        Its value.
    depth : int
        Number of hidden layers.
    allowed : Allowed
        Which values a layer may have.

    Returns
    -------
    values : list of length depth
        Plain Python values, one for each layer.

    Raises
    ------
    ValueError
        If the number of values is not the depth, or one is not allowed.
    """
    if isinstance(value, str) or np.ndim(value) == 0:
        values = [value] * depth
    else:
        values = list(value)
    if len(values) != depth:
        raise ValueError(
            f"The {name!r} parameter of KerasMLPClassifier has {len(values)} values "
            f"for depth={depth} hidden layers. Got {value!r}."
        )
    values = [v.item() if isinstance(v, np.generic) else v for v in values]
    for v in values:
        if not allowed.test(v):
            raise ValueError(
                f"The {name!r} parameter of KerasMLPClassifier must hold "
                f"{allowed.what} for each layer. Got {v!r} in {value!r}."
            )
    return values


def describe(params, *, n_features, n_classes, n_samples, dtype, random_state):
    """Bring a classifier's parameters to the spec of its network.

    Parameters
    ----------
    params : dict
        The parameters of a `KerasMLPClassifier`.
    n_features, n_classes, n_samples : int
        Sizes of the training data.
    dtype : {"float32", "float64"}
        Their type.
    random_state : int
        Seed of the layers.

    Returns
    -------
    spec : dict
        JSON values, see `make_wrapper`.

    Raises
    ------
    ValueError
        If a parameter with one value per layer does not match the depth, or
        holds something that is no layer's; or if the data are no images and are to
        be distorted.
    """

    def layers(name, allowed):
        return per_layer(name, params[name], params["depth"], allowed)

    n_outputs = 1 if n_classes == 2 else n_classes
    steps_per_epoch = -(-n_samples // params["batch_size"])
    learning_rate = params["learning_rate"]
    augmentation = describe_augmentation(
        params["augmentation"], params["image_shape"], n_features
    )
    return {
        "network": {
            "n_features": int(n_features),
            "n_outputs": n_outputs,
            "widths": layers("widths", _WIDTH),
            "activations": layers("activations", _ACTIVATION),
            "initializers": layers("initializers", _INITIALIZER),
            "output_initializer": params["output_initializer"],
            "dropout": layers("dropout", _RATE),
            "input_dropout": float(params["input_dropout"]),
            "augmentation": augmentation,
            "batch_normalization": bool(params["batch_normalization"]),
            "dtype": dtype,
            "random_state": random_state,
        },
        "loss": {
            "n_outputs": n_outputs,
            "label_smoothing": float(params["label_smoothing"]),
            "dtype": dtype,
        },
        "optimizer": {
            "optimizer": serialize_optimizer(params["optimizer"]),
            "learning_rate": None if learning_rate is None else float(learning_rate),
            "schedule": params["learning_rate_schedule"],
            "n_steps": int(params["epochs"]) * steps_per_epoch,
            "n_warmup": round(params["warmup_epochs"] * steps_per_epoch),
            "weight_decay": float(params["weight_decay"]),
        },
        "batch_size": int(params["batch_size"]),
        "epochs": int(params["epochs"]),
    }


def _is_width(width):
    return isinstance(width, int) and not isinstance(width, bool) and width >= 1


def _is_rate(rate):
    return isinstance(rate, int | float) and 0 <= rate < 1


def _one_of(names):
    return Allowed(f"one of {', '.join(names)}", names.__contains__)


_WIDTH = Allowed("a whole number of at least 1", _is_width)


_RATE = Allowed("a number from 0 to below 1", _is_rate)


_ACTIVATION = _one_of(ACTIVATIONS)


_INITIALIZER = _one_of(INITIALIZERS)


def serialize_optimizer(optimizer):
    """Return an optimizer's name, or the JSON form of an optimizer object."""
    if isinstance(optimizer, str):
        return optimizer
    return keras.optimizers.serialize(optimizer)


def deserialize_optimizer(described):
    """Return what `serialize_optimizer` was given."""
    if isinstance(described, str):
        return described
    return keras.optimizers.deserialize(described)
