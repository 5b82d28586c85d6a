"""Fits without Keras' objects: a network in training as the variables of its program.

To build Keras' network and optimizer takes longer than a small training. A program
needs their variables only, and these begin in a way that the spec of the network tells.
So a fit that nobody watches gets variables with the values that Keras would give them.
Keras' objects of one *structure* are built once, to trace its program.

The results are those of a fit with Keras' objects, bit by bit.
"""

# SPDX-License-Identifier: BSD-3-Clause

import functools
import json
import math
import threading
from collections import OrderedDict
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf
from scipy.sparse import issparse

from ..._compat import schedule_of
from .._inference import STATE, described_layers, layer_variables
from .._layers import first_factors
from .._network import build_loss, build_network, layer_seeds, seeded
from .._optimizers import build_optimizer
from .._tensors import read_tensors
from ._compiled import engine_for, engine_key, engine_of, tensor_rows
from ._epochs import EpochNetwork, run_epochs
from ._traced import is_elementwise, optimizer_numbers, state_of

# The variables of larger networks are made anew for each fit, so that they take no
# memory between two fits; then to make them is a small part of a fit.
MOST_KEPT_WEIGHTS = 2**14
# As many sets of variables of one structure wait for the next fits, which may come at
# once, in threads.
MOST_KEPT_SETS = 8

# How variables begin that are neither drawn nor found from the data.
_BEGIN = {
    "bias": 0.0,
    "beta": 0.0,
    "mean": 0.0,
    "gamma": 1.0,
    "variance": 1.0,
    "centre": 0.0,
    "scale": 1.0,
}

# Variables of layers that no training changes, or not by the optimizer.
_FIXED = (STATE, "centre", "scale", "mean", "variance")

# Learning rates of a schedule that are found and kept at once.
RATES_AT_ONCE = 2**13

# Keras' name of the variable that has a constant learning rate.
RATE = "learning_rate"

# The keys of engines, by what a spec tells. To find the key of a network's engine takes
# the network; so these keys are kept, more of them than engines.
MOST_KEYS = 512
_keys = OrderedDict()
# What is known of optimizers, by their descriptions; to build one takes a millisecond.
_optimizers = OrderedDict()
_keys_lock = threading.Lock()


def initial_values(network, scaling=None):
    """Return the values with which the variables of a network's layers begin.

    Parameters
    ----------
    network : dict
        The network's part of a spec, see `describe`.
    scaling : (ndarray, ndarray), default=None
        Center and scale of the inputs, if the network scales them.

    Returns
    -------
    values : list of ndarray or tensor
        In Keras' order, the same that `build_network` gives its variables.
    """
    depth, dtype = len(network["widths"]), network["dtype"]
    seeds = layer_seeds(network["random_state"], 2 * depth + 3)
    *hidden, output_seed, mask_seed, image_seed = seeds
    names = [*network["initializers"], network["output_initializer"]]
    kernels = iter(zip(names, [*hidden[::2], output_seed], strict=True))
    draws = [image_seed] if network["augmentation"] is not None else []
    draws += [mask_seed] if network["input_dropout"] else []
    dropout = zip(network["dropout"], hidden[1::2], strict=True)
    draws = iter([*draws, *(seed for rate, seed in dropout if rate)])
    scaled = dict(zip(("centre", "scale"), scaling or (), strict=False))
    values = []
    for name, shape in layer_variables(network):
        if name == STATE:
            values.append(np.array([next(draws), 0]))
        elif name == "kernel":
            initializer = seeded(*next(kernels))
            values.append(initializer(shape, dtype=dtype))
        elif name == "factor":
            values.append(first_factors(shape, dtype=dtype))
        elif name in scaled:
            values.append(np.asarray(scaled[name], dtype))
        else:
            values.append(np.full(shape, _BEGIN[name], dtype))
    return values


def trains_plainly(spec):
    """Return whether a network can be trained without Keras' objects.

    Parameters
    ----------
    spec : dict
        From `describe`.

    Returns
    -------
    plainly : bool
        Whether the optimizer is one of Keras' own that treats all numbers alike, so
        that its state is known before it has made an update.
    """
    described = spec["optimizer"]
    return _is_of_keras(described) and described_optimizer(described).elementwise


def _is_of_keras(described):
    """Return whether all objects in a description are of Keras' own classes."""
    if isinstance(described, dict):
        own = str(described.get("module", "keras")).split(".")[0] == "keras"
        return own and all(map(_is_of_keras, described.values()))
    return not isinstance(described, list) or all(map(_is_of_keras, described))


class Described:
    """What a fit needs to know of a described optimizer.

    Parameters
    ----------
    described : dict
        The arguments of `build_optimizer`.

    Attributes
    ----------
    elementwise : bool
        Whether it treats all numbers alike, one by one.
    numbers : list of float
        Its numbers that are arguments of a program.
    rate : ndarray of shape () or None
        The learning rate, if it is constant.
    schedule : keras.optimizers.schedules.LearningRateSchedule or None
        Its schedule, if it is not.
    config : dict
        Its configuration, and the name of its class as ``"class_name"``.
    decay : float or None
        Weight decay.
    fills : list of float
        How each kind of state begins.
    groups : list of int
        How many kinds of states lie beside each other for each variable.
    has_product : bool
        Whether it keeps a product for the whole network.
    has_update : bool
        Whether `apply_update` does what it does.
    """

    def __init__(self, described):
        optimizer = build_optimizer(**described)
        self.elementwise = is_elementwise(optimizer)
        numbers = optimizer_numbers(optimizer)
        self.numbers = [getattr(owner, name) for owner, name, _ in numbers]
        rates = [np.asarray(v) for v in optimizer.variables if v.name == RATE]
        self.rate = rates[0] if rates else None
        self.schedule = schedule_of(optimizer)
        self._known_rates = 0, ()
        self.config = {
            **optimizer.get_config(),
            "class_name": type(optimizer).__name__,
        }
        self.decay = self.config.get("weight_decay")
        self.has_update = self.elementwise and self._knows_rates()
        self.fills, self.groups, self.has_product = [], [], False
        if self.has_update:
            # Neither number changes what is kept.
            apart = {"learning_rate": 0.001}
            apart |= {} if self.decay is None else {"weight_decay": 0.001}
            states = states_of(_as_key({**self.config, **apart}))
            self.fills, self.groups, self.has_product = states

    def _knows_rates(self):
        """Return whether the learning rates of several updates are found at once."""
        try:
            return self.rates(np.arange(2)).shape == (2,)
        except (ValueError, TypeError, tf.errors.InvalidArgumentError):
            return False

    def rates(self, updates):
        """Return the learning rates of some updates, counted from 0.

        Parameters
        ----------
        updates : ndarray of int
            Their numbers, one after the other.

        Returns
        -------
        rates : ndarray of float32
            One for each.
        """
        if self.schedule is None:
            return np.full(len(updates), self.rate)
        # To ask Keras takes a millisecond, for one update or for thousands. Threads
        # share this object: so read and write both in one step.
        first, known = self._known_rates
        if not first <= updates[0] <= updates[-1] < first + len(known):
            first = updates[0]
            known = np.asarray(self.schedule(first + np.arange(RATES_AT_ONCE)))
            self._known_rates = first, known
        return known[updates - first]


@functools.lru_cache(MOST_KEYS)
def states_of(config):
    """Return what an optimizer of Keras keeps; to build one takes milliseconds.

    Parameters
    ----------
    config : str
        As `Described.config`, in JSON, with a constant learning rate.

    Returns
    -------
    fills : list of float
        How each kind of state begins.
    groups : list of int
        How many kinds lie beside each other for each variable.
    has_product : bool
        Whether there is a number for the whole network: a product, of Nadam.

    Examples
    --------
    >>> from keras.optimizers import Adam
    >>> from skmnist.neural_network.engines._plain import _as_key, states_of
    >>> states_of(_as_key({**Adam(amsgrad=True).get_config(), "class_name": "Adam"}))
    ([0.0, 0.0, 0.0], [2, 1], False)
    """
    config = json.loads(config)
    optimizer = getattr(keras.optimizers, config.pop("class_name")).from_config(config)
    optimizer.build([keras.Variable(np.zeros(1, "float32"), name=n) for n in "ab"])
    fills, groups, n_scalars, before = [], [], 0, "b"
    for variable in optimizer.variables:
        if not len(variable.shape):
            n_scalars += 1
            continue
        owner = variable.name[0]
        if owner == "a":
            groups += [0] * (before == "b")
            groups[-1] += 1
            fills.append(float(np.asarray(variable)[0]))
        before = owner
    # Two others are the number of updates and the learning rate.
    return fills, groups, n_scalars > 2


def described_optimizer(described):
    """Return what a fit needs to know of a described optimizer; found out once."""
    key = _as_key(described)
    with _keys_lock:
        if key not in _optimizers:
            _optimizers[key] = Described(described)
        while len(_optimizers) > MOST_KEYS:
            _optimizers.popitem(last=False)
        return _optimizers[key]


def _as_key(plain):
    return json.dumps(plain, sort_keys=True)


class PlainNetwork:
    """A fresh network in training, without Keras.

    It has what `Engine` and our own callbacks expect of a network, and what a fit
    expects of scikeras' wrapper around it.

    Parameters
    ----------
    spec : dict
        From `describe`, such that `trains_plainly`.
    scaling : (ndarray, ndarray), default=None
        Center and scale of the inputs, if the network scales them.

    Attributes
    ----------
    history_ : dict of str to list of float
        The curves of the training.
    stop_training : bool
        A callback sets it to end the training.
    """

    # Our callbacks ask whether an optimizer averages weights. None of these does.
    optimizer = None

    def __init__(self, spec, scaling=None):
        self.spec = spec
        self.epochs = spec["epochs"]
        self.history_ = {}
        self.stop_training = False
        self._scaling = scaling
        self._named = layer_variables(spec["network"])
        self._arrays = None
        # What an engine reads, while the network is in training.
        self.program_variables = self.program_numbers = None

    @property
    def model_(self):
        """The network itself."""
        return self

    @property
    def trainable_weights(self):
        """The arrays that the training changes."""
        named = zip(self._named, self.arrays(), strict=False)
        return [array for (name, _), array in named if name not in _FIXED]

    def count_params(self):
        """Return the number of weights, trained or not."""
        return sum(math.prod(shape) for name, shape in self._named if name != STATE)

    def fit(self, rows, held_out, *, callbacks, order, batch_size, epochs, shape):
        """Train for some epochs, see `EpochNetwork.fit_epochs`.

        Parameters
        ----------
        rows : Rows
            Training rows.
        held_out : Rows or None
            Rows that the network is evaluated on after each epoch.
        callbacks : list of keras.callbacks.Callback
            Our own callbacks.
        order : EpochOrder
            Gives the order of the rows in each epoch.
        batch_size : int
            Rows per update.
        epochs : int
            Number of epochs.
        shape : (int, int) or None
            As for `Engine`.
        """
        weighted = rows.sample_weight is not None
        structure, engine = structure_for(self.spec, weighted, shape)
        engine.prepare(issparse(rows.X))
        dtype = self.spec["network"]["dtype"]
        data = tensor_rows(dtype, *rows, batch_size, shape is not None)
        evaluated = held_out and tensor_rows(dtype, *held_out)
        with structure.variables(engine) as (variables, vectors):
            described = described_optimizer(self.spec["optimizer"])
            states = structure.states(described.rate)
            first = initial_values(self.spec["network"], self._scaling)
            _assign(variables, [*first, *states])
            self.program_variables = variables
            self.program_numbers = self._numbers(described)
            callbacks = Callbacks(callbacks, self, epochs)
            callbacks.on_train_begin()
            logs = run_epochs(
                self,
                engine,
                vectors,
                data,
                evaluated,
                order=order,
                batch_size=batch_size,
                epochs=range(epochs),
                callbacks=callbacks,
            )
            callbacks.on_train_end(logs)
            # They stay as they are when others get the variables.
            self._arrays = read_tensors(variables)
            self.program_variables = None

    def arrays(self):
        """Return the variables as arrays, in the order of `wrapper_arrays`.

        Returns
        -------
        arrays : list of ndarray
            Those of now, if the network is in training; before it, those of the layers.
        """
        if self._arrays is not None:
            return self._arrays
        if self.program_variables is not None:
            return read_tensors(self.program_variables)
        first = initial_values(self.spec["network"], self._scaling)
        return [np.asarray(value) for value in first]

    def current(self):
        """Return the layers as arrays, as they are now."""
        return described_layers(self.spec["network"], self.arrays())

    def get_weights(self):
        """Return the weights as they are now; the arrays never change."""
        if self.program_variables is not None:
            return read_tensors(self._weights())
        named = zip(self._named, self.arrays(), strict=False)
        return [array for (name, _), array in named if name != STATE]

    def set_weights(self, weights):
        """Give the network other weights."""
        if self.program_variables is not None:
            _assign(self._weights(), weights)
            return
        places = [i for i, (name, _) in enumerate(self._named) if name != STATE]
        arrays = list(self.arrays())
        for i, array in zip(places, weights, strict=True):
            arrays[i] = array
        self._arrays = arrays

    def _weights(self):
        named = zip(self._named, self.program_variables, strict=False)
        return [variable for (name, _), variable in named if name != STATE]

    def _numbers(self, described):
        """Return what `numbers_of` lists of the network with Keras' objects."""
        network = self.spec["network"]
        rates = [r for r in (network["input_dropout"], *network["dropout"]) if r]
        return np.array([*rates, *described.numbers], np.float64)


class Callbacks:
    """Call callbacks, and keep the curves; what Keras' `CallbackList` does.

    Parameters
    ----------
    callbacks : list of keras.callbacks.Callback
        The callbacks.
    network : PlainNetwork
        What is trained.
    epochs : int
        Number of the epoch to stop before.
    """

    def __init__(self, callbacks, network, epochs):
        self._callbacks = callbacks
        self._history = network.history_
        for callback in callbacks:
            callback.set_params({"epochs": epochs})
            callback.set_model(network)

    def on_train_begin(self):
        for callback in self._callbacks:
            callback.on_train_begin()

    def on_epoch_begin(self, epoch):
        for callback in self._callbacks:
            callback.on_epoch_begin(epoch)

    def on_epoch_end(self, epoch, logs):
        for callback in self._callbacks:
            callback.on_epoch_end(epoch, logs)
        for name, value in logs.items():
            self._history.setdefault(name, []).append(value)

    def on_train_end(self, logs):
        for callback in self._callbacks:
            callback.on_train_end(logs)


# ---- what fits of one structure share ----------------------------------------------


class Structure:
    """What fits of one structure share, beside the programs of their engine.

    Parameters
    ----------
    network : EpochNetwork
        One of these networks, compiled, that has made no update.
    """

    def __init__(self, network):
        own, states = state_of(network), network.optimizer.variables
        names = [v.name for v in states]
        variables = [v.value for v in (*own, *states)]
        self._forms = [(v.shape, v.dtype, v.trainable) for v in variables]
        self._rate = names.index(RATE) if RATE in names else None
        self._is_small = network.count_params() <= MOST_KEPT_WEIGHTS
        # Variables share the memory of a tensor until they change.
        keep = tf.constant if self._is_small else _compact
        self._states = [keep(np.asarray(v).copy()) for v in states]
        self._free = []

    def states(self, rate):
        """Return the values with which the variables of the optimizer begin.

        Parameters
        ----------
        rate : ndarray of shape () or None
            The learning rate, if it is one of them.

        Returns
        -------
        values : list of ndarray or tensor
            In the order of Keras.
        """
        values = list(self._states)
        if self._rate is not None:
            values[self._rate] = rate
        return values

    @contextmanager
    def variables(self, engine):
        """Lend variables to one training.

        Parameters
        ----------
        engine : Engine
            The programs.

        Yields
        ------
        variables, vectors : list of tf.Variable
            Variables of layers and optimizer, of any values; and those that
            `Engine.vectors` makes.
        """
        try:
            lent = self._free.pop()
        except IndexError:
            made = [
                tf.Variable(tf.zeros(shape, dtype), trainable=trainable)
                for shape, dtype, trainable in self._forms
            ]
            lent = made, engine.vectors()
        yield lent
        # After an error nobody knows who still uses them: then they do not come back.
        if self._is_small and len(self._free) < MOST_KEPT_SETS:
            self._free.append(lent)


def _keras_network(spec):
    """Build the network, compiled, with an optimizer that is built."""
    plain = {**spec["network"], "output_initializer": "zeros"}
    plain["initializers"] = ["zeros"] * len(plain["widths"])
    network = build_network(network_class=EpochNetwork, **plain)
    optimizer = build_optimizer(**spec["optimizer"])
    network.compile(optimizer, loss=build_loss(**spec["loss"]))
    optimizer.build(network.trainable_variables)
    return network


def _compact(array):
    """Return the array; if it has one value everywhere, one that takes no memory."""
    if array.size and np.all(array == array.flat[0]):
        return np.broadcast_to(array.flat[0], array.shape)
    return array


def _assign(variables, values):
    """Give variables other values; the raw operation saves half of the time."""
    for variable, value in zip(variables, values, strict=True):
        value = tf.convert_to_tensor(value, variable.dtype)
        tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)


def structure_key(spec):
    """Return a key that networks of one structure have in common.

    Parameters
    ----------
    spec : dict
        From `describe`.

    Returns
    -------
    key : str
        It leaves out seeds, and what is an argument of the programs.
    """
    return _as_key(_structure_of(spec))


def structure_for(spec, weighted, shape):
    """Return what fits of the structure of a network share; make it the first time.

    Parameters
    ----------
    spec : dict
        From `describe`.
    weighted, shape
        As for `Engine`.

    Returns
    -------
    structure : Structure
        It ends with its engine.
    engine : Engine
        The programs, which fits with Keras' objects use, too.
    """
    key = _as_key([_structure_of(spec), weighted, shape])
    with _keys_lock:
        engine = engine_of(_keys.get(key))
        if engine is None or engine.structure is None:
            network = _keras_network(spec)
            _keys[key] = engine_key(network, weighted, shape)
            engine = engine_for(network, weighted, shape)
            engine.structure = engine.structure or Structure(network)
        _keys.move_to_end(key)
        while len(_keys) > MOST_KEYS:
            _keys.popitem(last=False)
        return engine.structure, engine


def _structure_of(spec):
    """Return a spec without seeds and without what is an argument of the programs."""
    own = ("random_state", "initializers", "output_initializer")
    network = {k: v for k, v in spec["network"].items() if k not in own}
    network["dropout"] = [bool(rate) for rate in network["dropout"]]
    network["input_dropout"] = bool(network["input_dropout"])
    described = spec["optimizer"]
    optimizer = {
        "optimizer": described["optimizer"],
        "schedule": described["schedule"],
        "n_warmup": described["n_warmup"] > 0,
        "weight_decay": described["weight_decay"] > 0,
    }
    return [network, optimizer, spec["loss"]]
