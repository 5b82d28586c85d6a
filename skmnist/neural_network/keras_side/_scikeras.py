"""The scikeras classifier inside ours: made from plain data, and converted to them.

The only module that imports scikeras. A spec (see `_spec`) describes a network, its
loss and its optimizer; a list of arrays holds their numbers. Together they are a fitted
network, which can be copied, pickled and saved without Keras' archive format.
"""

# SPDX-License-Identifier: BSD-3-Clause

from collections import defaultdict
from functools import partial

import keras
import numpy as np
from scikeras.wrappers import KerasClassifier
from scipy.sparse import issparse
from sklearn import config_context

from .._optimizer_params import begins_anew
from .._tensors import read_variables
from ..engines._hooks import Hook
from ._callbacks import KerasHook
from ._epoch_network import EpochNetwork
from ._layers import DistortImages
from ._network import build_loss, build_network
from ._optimizers import build_optimizer
from ._programs import is_compiled
from ._start import start


def _reduce_optimizer(optimizer):
    described = keras.optimizers.serialize(optimizer)
    return keras.saving.deserialize_keras_object, (described,)


# In place of scikeras' own, which does not know all optimizers of Keras: a copy of Lamb
# becomes a string.
keras.optimizers.Optimizer.__reduce__ = _reduce_optimizer


def make_wrapper(spec, *, scaling=None):
    """Build a scikeras classifier from a spec; do not train it.

    Parameters
    ----------
    spec : dict
        ``network``, ``loss`` and ``optimizer``: the arguments of
        `build_network`, `build_loss` and `build_optimizer`; ``batch_size`` and
        ``epochs``; if some layers are not trained, their names as ``frozen``.
    scaling : (ndarray, ndarray), default=None
        Center and scale of the inputs, from `center_and_scale`, if the network scales
        them.

    Returns
    -------
    wrapper : scikeras.wrappers.KerasClassifier
        A classifier of class numbers.

    Raises
    ------
    RuntimeError
        In a process that was forked after TensorFlow had started.
    """
    start()
    wrapper = KerasClassifier(
        model=partial(build_network, network_class=EpochNetwork, **spec["network"]),
        loss=build_loss(**spec["loss"]),
        optimizer=build_optimizer(**spec["optimizer"]),
        metrics=["accuracy"],
        batch_size=spec["batch_size"],
        epochs=spec["epochs"],
        verbose=0,
    )
    # scikeras learns the classes from the training rows, which may lack some. Show it
    # all of them first.
    network = spec["network"]
    classes = np.arange(max(network["n_outputs"], 2))
    X = np.zeros((len(classes), network["n_features"]), dtype=network["dtype"])
    wrapper.initialize(X, classes)
    wrapper._ensure_compiled_model()
    for name in spec.get("frozen", []):
        wrapper.model_.get_layer(name).trainable = False
    _remember_compiled(wrapper)
    if scaling is not None:
        layer = wrapper.model_.get_layer("scaling")
        for variable, values in zip((layer.centre, layer.scale), scaling, strict=True):
            variable.assign(values)
    return wrapper


def renew_optimizer(wrapper, described, earlier=None):
    """Give a network a new optimizer; its weights stay as they are.

    Parameters
    ----------
    wrapper : scikeras.wrappers.KerasClassifier
        The classifier, changed in place.
    described : dict
        The arguments of `build_optimizer`.
    earlier : keras.optimizers.Optimizer, default=None
        An optimizer of the same kind. The new one takes over what it knows: moments,
        and the number of updates, but not the learning rate.
    """
    network, wrapper.optimizer = wrapper.model_, build_optimizer(**described)
    wrapper.optimizer.build(network.trainable_variables)
    if earlier is not None:
        _take_over_state(earlier, wrapper.optimizer)
    network.compile(wrapper.optimizer, loss=wrapper.loss, metrics=["accuracy"])
    _remember_compiled(wrapper)


def _take_over_state(earlier, optimizer):
    """Copy all variables of an optimizer but the learning rate, if they fit."""
    old, new = earlier.variables, optimizer.variables
    if [v.shape for v in old] == [v.shape for v in new]:
        for variable, value in zip(new, old, strict=True):
            if variable.name != "learning_rate":
                variable.assign(value)


def renew_wrapper(wrapper, old, new):
    """Return the classifier for a training that goes on, with other parameters.

    Parameters
    ----------
    wrapper : scikeras.wrappers.KerasClassifier
        The classifier; changed in place where the network stays.
    old, new : dict
        The specs of the earlier training, and of the one that follows. Their networks
        have weights of the same shapes.

    Returns
    -------
    wrapper : scikeras.wrappers.KerasClassifier
        Another one if the layers differ, such as their dropout. Weights are kept. So is
        the state of the optimizer, if it is the same and its rate is constant.
    """
    before, described = old["optimizer"], new["optimizer"]
    changed = {k for k in described if described[k] != before[k]} - {"n_steps"}
    if is_recompiled(wrapper):
        # What its user compiled stays until a parameter is set to something else.
        changed -= {"schedule", "n_warmup"}
    theirs = is_recompiled(wrapper) and not changed and old["loss"] == new["loss"]
    earlier, begins = wrapper.model_.optimizer, is_recompiled(wrapper)
    begins |= begins_anew(before, described)
    begins |= frozen_layers(wrapper.model_) != old.get("frozen", [])
    if old["network"] != new["network"]:
        wrapper = _with_other_layers(wrapper, new, recompile=theirs)
    elif not (begins or changed or old["loss"] != new["loss"]):
        theirs = True
    if not theirs:
        wrapper.loss = build_loss(**new["loss"])
        renew_optimizer(wrapper, described, None if begins else earlier)
    wrapper.batch_size, wrapper.epochs = new["batch_size"], new["epochs"]
    return wrapper


# Layers without weights: their variables are the state of a random generator.
_DRAWING = keras.layers.Dropout | DistortImages


def _with_other_layers(wrapper, spec, *, recompile):
    """Return a new classifier with the weights and the curves of another."""
    new, network = make_wrapper(spec), wrapper.model_
    known = {layer.name: layer for layer in network.layers}
    for layer in new.model_.layers:
        if layer.name in known:
            layer.trainable = known[layer.name].trainable
            if not isinstance(layer, _DRAWING):
                pairs = zip(layer.variables, known[layer.name].variables, strict=True)
                for variable, value in pairs:
                    variable.assign(value)
    if recompile:
        new.model_.compile_from_config(network.get_compile_config())
    new.history_ = defaultdict(list, {k: list(v) for k, v in wrapper.history_.items()})
    return new


def _remember_compiled(wrapper):
    wrapper._compiled_with = wrapper.model_.optimizer, wrapper.model_.loss


def is_recompiled(wrapper):
    """Return whether the user has compiled the network with something else."""
    now = wrapper.model_.optimizer, wrapper.model_.loss
    return any(a is not b for a, b in zip(now, wrapper._compiled_with, strict=True))


def frozen_layers(network):
    """Return the names of the layers that are not trained."""
    return [layer.name for layer in network.layers if not layer.trainable]


def live_spec(wrapper, spec):
    """Return the spec of a network as it is now, with the layers that are frozen."""
    frozen = frozen_layers(wrapper.model_)
    rest = {name: value for name, value in spec.items() if name != "frozen"}
    return {**rest, "frozen": frozen} if frozen else rest


class Checkpoint:
    """A network before a training, which can put it back.

    Parameters
    ----------
    wrapper : scikeras.wrappers.KerasClassifier
        The classifier. Its user has the network, too.
    """

    def __init__(self, wrapper):
        self._wrapper = wrapper
        self._compiled = wrapper.optimizer, wrapper.loss, wrapper._compiled_with
        self._history = wrapper.history_
        wrapper.history_ = defaultdict(
            list, {name: list(curve) for name, curve in wrapper.history_.items()}
        )
        self._optimizer = wrapper.model_.optimizer
        self._variables = _variables(wrapper.model_)
        self._values = read_variables(self._variables)

    def restore(self):
        """Put the network back, and return the classifier."""
        wrapper, network = self._wrapper, self._wrapper.model_
        if network.optimizer is not self._optimizer or network.loss is not self._loss():
            network.compile(self._optimizer, loss=self._loss(), metrics=["accuracy"])
        for variable, value in zip(self._variables, self._values, strict=True):
            variable.assign(value)
        wrapper.history_ = self._history
        wrapper.optimizer, wrapper.loss, wrapper._compiled_with = self._compiled
        return wrapper

    def _loss(self):
        return self._compiled[2][1]


def train_wrapper(  # noqa: PLR0913
    wrapper,
    rows,
    held_out=None,
    *,
    callbacks,
    batch_size,
    epochs,
    order,
    verbose=0,
):
    """Train the network inside, from its present weights and optimizer state.

    Parameters
    ----------
    wrapper : scikeras.wrappers.KerasClassifier
        The classifier to train, in place.
    rows : Rows
        Training rows.
    held_out : Rows, default=None
        Rows that the network is evaluated on after each epoch.
    callbacks : list of Hook and keras.callbacks.Callback
        Hooks, and callbacks of the user's.
    batch_size : int
        Rows per update; at most all rows. More would make the same updates, and would
        have to be filled up.
    epochs : int
        Number of epochs.
    order : EpochOrder
        Gives the order of the rows in each epoch.
    verbose : int, default=0
        Keras' verbosity.
    """
    compiled = is_compiled(wrapper, callbacks, len(rows.y), batch_size, epochs)
    X = rows.X.astype(wrapper.X_dtype_, copy=False)
    hooked = [KerasHook(c) if isinstance(c, Hook) else c for c in callbacks]
    wrapper.callbacks = wrapper._fit_callbacks = hooked
    try:
        # The data are checked already; scikeras would check them twice more.
        with config_context(assume_finite=True):
            # Weights go straight to the network: scikeras would round them to float32.
            # scikeras would round sparse rows, too. In their place it gets zeros that
            # take no memory.
            wrapper._fit(
                np.broadcast_to(X.dtype.type(0), X.shape) if issparse(X) else X,
                rows.y,
                sparse_x=X if issparse(X) else None,
                sample_weight=None,
                row_weight=rows.sample_weight,
                warm_start=True,
                initial_epoch=wrapper.current_epoch,
                batch_size=batch_size,
                epochs=epochs,
                order=order,
                compiled=compiled,
                validation_data=held_out,
                verbose=verbose,
                own_loop=is_recompiled(wrapper),
            )
    finally:
        # Callbacks hold the network and whatever their user gave them. Neither belongs
        # into a copy or a pickle of the fitted classifier.
        wrapper.callbacks = None
        wrapper._fit_callbacks = wrapper._predict_callbacks = []


def wrapper_arrays(wrapper, spec):
    """Return the weights of a network and the state of its optimizer, as arrays.

    Parameters
    ----------
    wrapper : scikeras.wrappers.KerasClassifier
        The classifier.
    spec : dict
        What it was made from.

    Returns
    -------
    arrays : list of ndarray
        Read-only. Without the state of the optimizer if it is no longer the one that
        the spec describes: its user has compiled the network, or frozen a layer.
    """
    network = wrapper.model_
    same = frozen_layers(network) == spec.get("frozen", [])
    if same and network.optimizer.built and not is_recompiled(wrapper):
        return read_variables(_variables(network))
    return read_variables(_layer_variables(network))


def restore_wrapper(spec, arrays, history):
    """Build a scikeras classifier that is already fitted.

    Parameters
    ----------
    spec : dict
        As for `make_wrapper`.
    arrays : list of ndarray
        From `wrapper_arrays`.
    history : dict of str to list of float
        The curves of the training.

    Returns
    -------
    wrapper : scikeras.wrappers.KerasClassifier
        A classifier equal to the original. Its training can continue.

    Raises
    ------
    ValueError
        If the arrays do not fit the spec.
    """
    wrapper = make_wrapper(spec)
    wrapper.model_.optimizer.build(wrapper.model_.trainable_variables)
    variables = _layer_variables(wrapper.model_)
    if len(arrays) > len(variables):
        variables = _variables(wrapper.model_)
    if [v.shape for v in variables] != [a.shape for a in arrays]:
        raise ValueError("the stored arrays do not fit the network they describe")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    wrapper.history_ = defaultdict(list, {k: list(v) for k, v in history.items()})
    return wrapper


def _layer_variables(model):
    return [variable for layer in model.layers for variable in layer.variables]


def _variables(model):
    return [*_layer_variables(model), *model.optimizer.variables]
