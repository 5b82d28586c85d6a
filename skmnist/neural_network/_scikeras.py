"""The scikeras classifier inside ours: made from plain data, and taken apart to it.

The only module that imports scikeras. A *spec* is a dict of JSON values that says
everything about a network, its loss and its optimizer but their numbers; the
numbers are a list of arrays. Together they are a fitted network that can be
copied, pickled and saved without Keras' archive format.
"""

# SPDX-License-Identifier: BSD-3-Clause

import os
from collections import defaultdict
from functools import partial

import numpy as np
from scikeras.wrappers import KerasClassifier
from sklearn import config_context

from ._epochs import EpochNetwork
from ._network import build_loss, build_network
from ._optimizers import build_optimizer

# The process in which TensorFlow has started.
_STARTED_IN = []


def refuse_fork():
    """Raise an error where TensorFlow would wait for threads that were not forked."""
    if _STARTED_IN and _STARTED_IN[0] != os.getpid():
        raise RuntimeError(
            "this process was forked from one in which TensorFlow has started, and "
            "would wait for its threads for ever; start processes by 'loky', joblib's "
            "own choice, or by the method 'spawn' of multiprocessing"
        )


def make_wrapper(spec, *, verbose=0):
    """Make a scikeras classifier from a spec, built but not trained.

    Parameters
    ----------
    spec : dict
        ``network``, ``loss`` and ``optimizer``: the arguments of
        `build_network`, `build_loss` and `build_optimizer`; ``batch_size`` and
        ``epochs``.
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
    # From the training rows alone scikeras would number anew the classes that
    # are among them, and know no others.
    network = spec["network"]
    classes = np.arange(max(network["n_outputs"], 2))
    X = np.zeros((len(classes), network["n_features"]), dtype=network["dtype"])
    wrapper.initialize(X, classes)
    wrapper._ensure_compiled_model()
    return wrapper


def train_wrapper(wrapper, X, y, sample_weight, *, callbacks, **fit_params):
    """Train the wrapped network, from its present weights and optimizer state on.

    Parameters
    ----------
    wrapper : scikeras.wrappers.KerasClassifier
        The classifier to train, in place.
    X : ndarray of shape (n_samples, n_features)
        Checked data.
    y : ndarray of shape (n_samples,)
        Class numbers.
    sample_weight : ndarray of shape (n_samples,) or None
        Positive weights.
    callbacks : list of keras.callbacks.Callback
        Keras callbacks of this training.
    **fit_params : dict
        Arguments of `EpochNetwork.fit`, ``epochs`` among them.
    """
    wrapper.callbacks = wrapper._fit_callbacks = callbacks
    # The data are checked already; scikeras would check them twice more.
    with config_context(assume_finite=True):
        # Weights go straight to the network: scikeras would round them to float32.
        wrapper._fit(
            X.astype(wrapper.X_dtype_, copy=False),
            y,
            sample_weight=None,
            row_weight=sample_weight,
            warm_start=True,
            initial_epoch=wrapper.current_epoch,
            **fit_params,
        )
    # Callbacks hold the network and whatever their user gave them: neither
    # belongs into a copy or a pickle of the fitted classifier.
    wrapper.callbacks = None
    wrapper._fit_callbacks = wrapper._predict_callbacks = []


def wrapper_arrays(wrapper):
    """Return the numbers of a fitted network and its optimizer, as arrays."""
    return [np.asarray(variable) for variable in _variables(wrapper.model_)]


def restore_wrapper(spec, arrays, history):
    """Make a fitted scikeras classifier again.

    Parameters
    ----------
    spec : dict
        As for `make_wrapper`.
    arrays : list of ndarray
        As `wrapper_arrays` gave them.
    history : dict of str to list of float
        The curves of the training.

    Returns
    -------
    wrapper : scikeras.wrappers.KerasClassifier
        A classifier equal to the one taken apart; training can go on.

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
