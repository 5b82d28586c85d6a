"""A fitted classifier as plain data and arrays: saved, copied, kept, and read again."""

# SPDX-License-Identifier: BSD-3-Clause

import functools
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from typing import Any, TypeVar, cast

from sklearn import get_config
from sklearn.callback import with_callbacks

from .._compat import _fit_context
from .._io import ModelFileError as ModelFileError
from ..augmentation._distortions import Distortions
from ._inference import FixedLayers, described_layers, error_of_file
from ._model_file import check_optimizer, read_model
from ._optimizer_params import (
    DescribedOptimizer,
    serialize_optimizer,
    without_keras,
)
from ._spec import PER_LAYER, is_auto, is_per_layer, n_hidden_layers

# What has no network needs no Keras. So Keras' side (`_scikeras`, `_network`) is
# imported only in functions that have a network.

_Classifier = TypeVar("_Classifier")
_Method = TypeVar("_Method", bound=Callable)

# Learned from the form of the data, not from their numbers: a kept fit leaves these
# attributes out, and each fit that takes it over sets its own.
OF_THE_DATA = ("classes_", "feature_names_in_", "n_features_in_")


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

    Raises
    ------
    TypeError
        If the optimizer is of a class that is not Keras' own: a file must not name one.
    """
    optimizer = serialize_optimizer(params["optimizer"])
    try:
        check_optimizer(optimizer)
    except ValueError as error:
        raise TypeError(f"'optimizer' cannot be saved as plain data: {error}") from None
    distortions = params["augmentation"]
    if isinstance(distortions, Distortions):
        distortions = asdict(distortions)
    return {
        **params,
        "optimizer": optimizer,
        "augmentation": distortions,
        "memory": None,
    }


def from_plain(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that `to_plain` converted."""
    distortions = plain.get("augmentation")
    if isinstance(distortions, dict):
        distortions = Distortions(**distortions)
    optimizer = plain["optimizer"]
    if not isinstance(optimizer, str):
        optimizer = DescribedOptimizer(optimizer)
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
        Plain data: learned attributes, the spec of the network, the seeds, and the
        shapes of the arrays.
    arrays : list of ndarray
        Weights, and the state of the optimizer.
    """
    learned = {
        name: value
        for name, value in vars(classifier).items()
        if name.endswith("_") and name not in without
    }
    spec, arrays = spec_and_arrays(classifier)
    return {
        "learned": learned,
        "spec": spec,
        "seeds": classifier._seeds,
        "shapes": [list(array.shape) for array in arrays],
    }, arrays


def spec_and_arrays(classifier):
    """Return what describes the network as it is now, and its numbers."""
    state = vars(classifier)
    if "_wrapper" not in state:
        kept = state["_kept_layers"]
        # In training without Keras' objects, the layers know the arrays of now.
        arrays = kept.arrays() if hasattr(kept, "arrays") else state["_arrays"]
        return state["_spec"], arrays
    from .keras_side._scikeras import live_spec, wrapper_arrays

    wrapper, spec = state["_wrapper"], state["_spec"]
    return live_spec(wrapper, spec), wrapper_arrays(wrapper, spec)


def picklable(classifier, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a classifier without Keras objects.

    Keras networks do not pickle; plain arrays do, into any process.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        The classifier.
    state : dict
        Its attributes.

    Returns
    -------
    state : dict
        A copy, with the network as its spec and arrays.
    """
    # The arrays come last, also if they are there: equal classifiers, equal pickles.
    left_out = ("_wrapper", "_kept_layers", "_origin", "_taken", "_waited", "_arrays")
    state = {name: value for name, value in state.items() if name not in left_out}
    state["optimizer"] = without_keras(state["optimizer"])
    # A network in its first training stays behind.
    if classifier.__sklearn_is_fitted__() and classifier.n_iter_:
        state["_spec"], state["_arrays"] = spec_and_arrays(classifier)
    return state


def put_together(classifier, described, arrays):
    """Give a classifier what `take_apart` returned of a fitted one.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        The classifier.
    described : dict
        Plain data.
    arrays : list of ndarray
        Weights, and the state of the optimizer.

    Raises
    ------
    KeyError, ValueError
        If they are not those of a fitted classifier.
    """
    # Files of older versions do not have the shapes.
    shapes = described.get("shapes", [array.shape for array in arrays])
    if [tuple(shape) for shape in shapes] != [array.shape for array in arrays]:
        raise ValueError("the stored arrays are not those that were written")
    learned, spec = described["learned"], described["spec"]
    for name in ("history_", "n_iter_", "n_outputs_"):
        learned[name]  # needed later
    kept = FixedLayers(described_layers(spec["network"], arrays))
    vars(classifier).update(learned)
    changes = {"_spec": spec, "_seeds": described["seeds"], "_arrays": arrays}
    replace(classifier, {**changes, "_kept_layers": kept}, ["_wrapper"])


def loaded(cls: type[_Classifier], path: str | os.PathLike) -> _Classifier:
    """Return the classifier in a file, see `KerasMLPClassifier.load`."""
    described, arrays = read_model(path)
    with error_of_file(path):
        classifier = cls(**from_plain(described["params"]))
        put_together(classifier, described, arrays)
    return classifier


def unpickled(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a classifier from what `picklable` returned."""
    state = dict(state)
    if "_arrays" in state:
        layers = described_layers(state["_spec"]["network"], state["_arrays"])
        state["_kept_layers"] = FixedLayers(layers)
    return state


def restore_network(classifier):
    """Build the network of a classifier that has arrays only.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A fitted classifier. Its predictions stay as they are.
    """
    from .keras_side._network import KeptLayers
    from .keras_side._scikeras import restore_wrapper

    spec, arrays = spec_and_arrays(classifier)
    wrapper = restore_wrapper(spec, arrays, classifier.history_)
    kept = KeptLayers(wrapper.model_)
    replace(classifier, {"_wrapper": wrapper, "_kept_layers": kept}, ["_arrays"])


# ---- training goes on ----------------------------------------------------------------

# A fitted network cannot change them: they decide the shapes of its weights, what its
# layers compute, or how its weights begin.
OF_THE_NETWORK = (
    "widths",
    "activations",
    "initializers",
    "output_initializer",
    "input_scaling",
    "batch_normalization",
)
_BEGIN_ANEW = (
    "A network that trains on cannot change this. Set it back, or begin anew: with "
    "sklearn.base.clone(classifier), or with fit and warm_start=False."
)


def with_network(
    params: Mapping[str, Any], network: Mapping[str, Any]
) -> dict[str, Any]:
    """Return parameters with what a fitted network has in place of "auto".

    Parameters
    ----------
    params : dict
        All parameters of a `KerasMLPClassifier`.
    network : dict
        The network's part of a spec.

    Returns
    -------
    params : dict
        A copy, with the depth, the widths and the scaling of the network where they are
        "auto".

    Raises
    ------
    ValueError
        If the parameters say another number of hidden layers.
    """
    found, depth = dict(params), len(network["widths"])
    one_value = not any(is_per_layer(params[name]) for name in PER_LAYER)
    if not (is_auto(params["depth"]) and one_value):
        given = n_hidden_layers(params)
        if given != depth:
            raise ValueError(
                f"The parameters mean {given} hidden layers (depth="
                f"{params['depth']!r}), and the fitted network has {depth}. "
                f"{_BEGIN_ANEW}"
            )
    found["depth"] = depth
    for name in ("widths", "input_scaling"):
        if is_auto(found[name]):
            found[name] = network[name]
    return found


def resumed_spec(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec of a training that goes on.

    Parameters
    ----------
    old : dict
        The spec of the earlier training.
    new : dict
        The spec that follows from parameters and data of now.

    Returns
    -------
    spec : dict
        The new one, with the type of the earlier network.

    Raises
    ------
    ValueError
        If that needs another network. The message names the parameter.
    """
    before, after = old["network"], new["network"]
    for name in OF_THE_NETWORK:
        if before[name] != after[name]:
            raise ValueError(
                f"The {name!r} parameter of KerasMLPClassifier is {after[name]!r}, and "
                f"the fitted network has {before[name]!r}. {_BEGIN_ANEW}"
            )
    dtype = {"dtype": before["dtype"]}
    return {**new, "network": {**after, **dtype}, "loss": {**new["loss"], **dtype}}


def go_on(twin, spec: Mapping[str, Any]) -> None:
    """Let the twin of a fitted classifier train its network on, for another spec.

    Parameters
    ----------
    twin : KerasMLPClassifier
        From `unpublished`. Its network has the weights of the earlier fit.
    spec : dict
        The spec that follows from parameters and data of now.

    Raises
    ------
    ValueError
        If that needs another network.
    """
    from .keras_side._scikeras import live_spec, renew_wrapper

    old = twin._spec
    new = resumed_spec(old, spec)
    wrapper = twin._wrapper
    set_aside(twin)
    twin._wrapper = renew_wrapper(wrapper, old, new)
    twin._spec = live_spec(twin._wrapper, new)


# ---- a fit changes the classifier when it is certain -------------------------------


def fit_method(method: _Method) -> _Method:
    """Check parameters before a method that fits, end callbacks after it, then publish.

    The method works on a twin of the classifier. Only when all has succeeded, the
    classifier gets the twin's state, in one step. So an exception leaves what was
    there.

    Parameters
    ----------
    method : callable
        A method that fits.

    Returns
    -------
    method : callable
        It takes the same arguments and returns the classifier. scikit-learn's
        decorators have no types, which would hide the method's own.
    """
    nested = _fit_context(prefer_skip_nested_validation=True)
    managed = with_callbacks(nested(method))
    # scikit-learn checks the parameters in the first call only.
    checks_again = method.__name__ == "partial_fit"

    @functools.wraps(method)
    def fit(self, *args, **kwargs):
        twin = unpublished(self)
        if checks_again and not get_config()["skip_parameter_validation"]:
            self._validate_params()
        try:
            managed(twin, *args, **kwargs)
        except BaseException:
            give_back(self)
            raise
        publish(self, twin)
        return self

    return cast(_Method, fit)


def unpublished(classifier: _Classifier) -> _Classifier:
    """Return a twin of a classifier, for a fit to work on.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        The classifier.

    Returns
    -------
    twin : KerasMLPClassifier
        It shares all that the classifier has. A fit replaces attributes of the twin,
        and changes none in place. Before it trains the network, it calls `set_aside`.
    """
    twin = object.__new__(type(classifier))
    vars(twin).update(vars(classifier), _origin=classifier)
    return twin


def publish(classifier: _Classifier, twin: _Classifier) -> None:
    """Give a classifier all that a fit of its twin learned, in one step.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        The classifier; its parameters stay.
    twin : KerasMLPClassifier
        From `unpublished`.
    """
    learned = {k: v for k, v in vars(twin).items() if k not in ("_origin", "_taken")}
    classifier.__dict__ = {**learned, **classifier.get_params(deep=False)}


def set_aside(twin: _Classifier) -> None:
    """Let the classifier go on with arrays, while its twin trains the network.

    Parameters
    ----------
    twin : KerasMLPClassifier
        From `unpublished`, with a network.
    """
    classifier = twin._origin
    if "_wrapper" not in vars(classifier):
        return
    from .keras_side._scikeras import Checkpoint

    spec, arrays = spec_and_arrays(classifier)
    wrapper = classifier._wrapper
    changes = {
        "_spec": spec,
        "_arrays": arrays,
        "_kept_layers": FixedLayers(classifier._current_layers()),
    }
    if wrapper.model_.is_lent:
        changes["_taken"] = Checkpoint(wrapper)
    replace(classifier, changes, ["_wrapper"])


def give_back(classifier: _Classifier) -> None:
    """Give a classifier its network back, as it was, if its user has it, too.

    Otherwise the network is built again when somebody asks for it.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A classifier whose fit failed.
    """
    taken = vars(classifier).get("_taken")
    if taken is not None:
        from .keras_side._network import KeptLayers

        wrapper = taken.restore()
        kept = KeptLayers(wrapper.model_)
        changes = {"_wrapper": wrapper, "_kept_layers": kept}
        replace(classifier, changes, ["_arrays", "_taken"])


def replace(classifier, changes, removed=()):
    """Change and remove attributes in one step."""
    state = {k: v for k, v in vars(classifier).items() if k not in removed}
    classifier.__dict__ = {**state, **changes}
