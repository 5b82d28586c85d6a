"""The parameters of `KerasMLPClassifier`: what each may be, alone and together."""

# SPDX-License-Identifier: BSD-3-Clause

import os
from dataclasses import asdict
from numbers import Integral, Real

import keras

from .._compat import HasMethods, Interval, StrOptions
from ..augmentation._distortions import AUGMENTATIONS, Distortions
from ._network import ACTIVATIONS, INITIALIZERS, OPTIMIZERS, SCHEDULES
from ._scikeras import deserialize_optimizer, serialize_optimizer

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
