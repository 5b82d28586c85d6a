"""The scikeras classifier inside ours: made from plain data, and converted to them.

The only module that imports scikeras. A spec (see `_spec`) describes a network, its
loss and its optimizer; a list of arrays holds their numbers. Together they are a fitted
network, which can be copied, pickled and saved without Keras' archive format.
"""

# SPDX-License-Identifier: BSD-3-Clause

import os
from collections import defaultdict
from functools import partial

import numpy as np
from scikeras.wrappers import KerasClassifier
from sklearn import config_context

from ._compiled import pays_to_compile
from ._epochs import EpochNetwork, EpochOrder
from ._network import build_loss, build_network
from ._optimizers import build_optimizer

# The process in which TensorFlow has started.
_STARTED_IN = []


def refuse_fork():
    """Raise RuntimeError in a process that was forked after TensorFlow had started.

    Its threads are not forked, and TensorFlow would wait for them for ever.
    """
    if _STARTED_IN and _STARTED_IN[0] != os.getpid():
        raise RuntimeError(
            "this process was forked from one in which TensorFlow has started, and "
            "would wait for its threads for ever; start processes with 'loky', the "
            "default of joblib, or with the method 'spawn' of multiprocessing"
        )


def make_wrapper(spec, *, scaling=None, verbose=0):
    """Build a scikeras classifier from a spec; do not train it.

    Parameters
    ----------
    spec : dict
        ``network``, ``loss`` and ``optimizer``: the arguments of
        `build_network`, `build_loss` and `build_optimizer`; ``batch_size`` and
        ``epochs``.
    scaling : (ndarray, ndarray), default=None
        Center and scale of the inputs, from `center_and_scale`, if the network scales
        them.
    verbose : int, default=0
        Keras' verbosity.

    Returns
    -------
    wrapper : scikeras.wrappers.KerasClassifier
        A classifier of class numbers.

    Raises
    ------
    RuntimeError
        In a process that was forked after TensorFlow had started.
    """
    refuse_fork()
    _STARTED_IN[:] = [os.getpid()]
    wrapper = KerasClassifier(
        model=partial(build_network, network_class=EpochNetwork, **spec["network"]),
        loss=build_loss(**spec["loss"]),
        optimizer=build_optimizer(**spec["optimizer"]),
        metrics=["accuracy"],
        batch_size=spec["batch_size"],
        epochs=spec["epochs"],
        verbose=verbose,
    )
    # scikeras learns the classes from the training rows, which may lack some. Show it
    # all of them first.
    network = spec["network"]
    classes = np.arange(max(network["n_outputs"], 2))
    X = np.zeros((len(classes), network["n_features"]), dtype=network["dtype"])
    wrapper.initialize(X, classes)
    wrapper._ensure_compiled_model()
    if scaling is not None:
        layer = wrapper.model_.get_layer("scaling")
        for variable, values in zip((layer.centre, layer.scale), scaling, strict=True):
            variable.assign(values)
    return wrapper


def renew_optimizer(wrapper, described):
    """Give a network a new optimizer; its weights stay as they are.

    Parameters
    ----------
    wrapper : scikeras.wrappers.KerasClassifier
        The classifier, changed in place.
    described : dict
        The arguments of `build_optimizer`.
    """
    network = wrapper.model_
    wrapper.optimizer = build_optimizer(**described)
    network.compile(wrapper.optimizer, loss=network.loss, metrics=["accuracy"])


def train_wrapper(
    wrapper, rows, held_out=None, *, callbacks, batch_size, epochs, random_state
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
    callbacks : list of keras.callbacks.Callback
        Keras callbacks of this training.
    batch_size : int
        Rows per update.
    epochs : int
        Number of epochs.
    random_state : int
        Seed of the order of the rows.
    """
    n_weights = wrapper.model_.count_params()
    wrapper.callbacks = wrapper._fit_callbacks = callbacks
    # The data are checked already; scikeras would check them twice more.
    with config_context(assume_finite=True):
        # Weights go straight to the network: scikeras would round them to float32.
        wrapper._fit(
            rows.X.astype(wrapper.X_dtype_, copy=False),
            rows.y,
            sample_weight=None,
            row_weight=rows.sample_weight,
            warm_start=True,
            initial_epoch=wrapper.current_epoch,
            batch_size=batch_size,
            epochs=epochs,
            order=EpochOrder(random_state),
            compiled=pays_to_compile(n_weights, len(rows.y), batch_size),
            validation_data=held_out,
        )
    # Callbacks hold the network and whatever their user gave them. Neither belongs
    # into a copy or a pickle of the fitted classifier.
    wrapper.callbacks = None
    wrapper._fit_callbacks = wrapper._predict_callbacks = []


def wrapper_arrays(wrapper):
    """Return the weights of a network and the state of its optimizer, as arrays."""
    return [np.asarray(variable) for variable in _variables(wrapper.model_)]


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
    variables = _variables(wrapper.model_)
    if [v.shape for v in variables] != [a.shape for a in arrays]:
        raise ValueError("the stored arrays do not fit the network they describe")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    wrapper.history_ = defaultdict(list, {k: list(v) for k, v in history.items()})
    return wrapper


def _variables(model):
    layers = [variable for layer in model.layers for variable in layer.variables]
    return [*layers, *model.optimizer.variables]
