"""A fitted classifier as plain data and arrays: saved, copied, kept, and read again."""

# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from .._io import ModelFileError as ModelFileError
from ..augmentation._distortions import Distortions
from ._inference import KeptLayers
from ._optimizers import deserialize_optimizer, serialize_optimizer
from ._scikeras import restore_wrapper, wrapper_arrays

# Learned from the form of the data, not from their numbers: a kept fit leaves these
# attributes out, and each fit that takes it over sets its own.
OF_THE_DATA = ("classes_", "feature_names_in_", "n_features_in_")


@contextmanager
def error_of_file(path: str | os.PathLike) -> Iterator[None]:
    """Raise ModelFileError if the content of a file makes no classifier.

    Parameters
    ----------
    path : path-like
        The file that was read.

    Raises
    ------
    ModelFileError
        Instead of the errors that missing or wrong content causes.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path}: damaged, or of another version ({error})"
        ) from error


def to_plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Convert parameters to plain data, see `skmnist._io.to_json`.

    Parameters
    ----------
    params : dict
        All parameters of a `KerasMLPClassifier`.

    Returns
    -------
    plain : dict
        The optimizer and the distortions are described. `memory` is None, because a
        folder of this machine means nothing elsewhere.
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


def from_plain(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that `to_plain` converted."""
    distortions = plain.get("augmentation")
    if isinstance(distortions, dict):
        distortions = Distortions(**distortions)
    optimizer = deserialize_optimizer(plain["optimizer"])
    return {**plain, "optimizer": optimizer, "augmentation": distortions}


def take_apart(classifier, without: Collection[str] = ()):
    """Return what makes a classifier a fitted one.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A fitted classifier.
    without : collection of str, default=()
        Learned attributes to leave out.

    Returns
    -------
    described : dict
        Plain data: learned attributes, the spec of the network, the seeds.
    arrays : list of ndarray
        Weights, and the state of the optimizer.
    """
    learned = {
        name: value
        for name, value in vars(classifier).items()
        if name.endswith("_") and name not in without
    }
    described = {
        "learned": learned,
        "spec": classifier._spec,
        "seeds": classifier._seeds,
    }
    return described, wrapper_arrays(classifier._wrapper)


def put_together(classifier, described, arrays):
    """Give a classifier what `take_apart` returned of a fitted one."""
    vars(classifier).update(described["learned"])
    classifier._spec, classifier._seeds = described["spec"], described["seeds"]
    restore_network(classifier, arrays)


def restore_network(classifier, arrays):
    """Build the network that a classifier describes, with the numbers of a fit."""
    spec, history = classifier._spec, classifier.history_
    classifier._wrapper = restore_wrapper(spec, arrays, history)
    classifier._kept_layers = KeptLayers(classifier._wrapper.model_)
