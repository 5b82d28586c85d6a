"""Fits without Keras' objects: a network as the variables of its program.

Keras' objects of one *structure* are built once, to trace its program. A fit that
nobody watches gets variables with the values that Keras would give them.

The results are those of a fit with Keras' objects, bit by bit.
"""

# SPDX-License-Identifier: BSD-3-Clause

import functools
import json
import threading
from collections import OrderedDict
from contextlib import contextmanager

import numpy as np
import tensorflow as tf
from scipy.sparse import issparse

from .._early_stopping import StopsEarly
from .._inference import STATE
from .._tensors import read_tensors
from ..engines._epochs import run_epochs
from ..engines._first_values import initial_values
from ..engines._hooks import Hooks
from ..engines._optimizer_facts import described_optimizer
from ..engines._plain import PlainNetwork, as_key, structure_of
from ._compiled import (
    USUAL_EPOCHS,
    engine_for,
    engine_key,
    engine_of,
    pays_to_compile,
    shape_of,
    tensor_rows,
)
from ._epoch_network import EpochNetwork
from ._network import build_loss, build_network, seeded
from ._optimizers import build_optimizer
from ._traced import optimizer_numbers, state_of

# The variables of larger networks are made anew for each fit, so that they take no
# memory between two fits; then to make them is a small part of a fit.
MOST_KEPT_WEIGHTS = 2**14
# As many sets of variables of one structure wait for the next fits, which may come at
# once, in threads.
MOST_KEPT_SETS = 8

# Keras' name of the variable that has a constant learning rate.
RATE = "learning_rate"

# The keys of engines, by what a spec tells. To find the key of a network's engine takes
# the network; so these keys are kept, more of them than engines.
MOST_KEYS = 512
_keys = OrderedDict()
_keys_lock = threading.Lock()


def _draw_by_keras(initializer, seed, shape, dtype):
    """Draw a kernel; for a large one quicker than `draw_kernel`."""
    return seeded(initializer, seed)(shape, dtype=dtype)


class ProgramNetwork(PlainNetwork):
    """A network that a program of TensorFlow trains, and Keras does not know.

    Parameters
    ----------
    spec, scaling
        As for `PlainNetwork`; such that `trains_plainly`.
    """

    # What an engine reads, while the network is in training.
    program_variables = program_numbers = None

    def fit(self, rows, held_out, *, callbacks, order, batch_size, epochs):
        """Train for some epochs.

        Parameters
        ----------
        rows : Rows
            Training rows.
        held_out : Rows or None
            Rows that the network is evaluated on after each epoch.
        callbacks : list of Hook
            What to call.
        order : EpochOrder
            Gives the order of the rows in each epoch.
        batch_size : int
            Rows per update.
        epochs : int
            Number of epochs.
        """
        weighted = rows.sample_weight is not None
        compiled = is_compiled(self, callbacks, len(rows.y), batch_size, epochs)
        shape = shape_of(rows.X, batch_size) if compiled else None
        structure, engine = structure_for(self.spec, weighted, shape)
        engine.prepare(issparse(rows.X))
        dtype = self.spec["network"]["dtype"]
        data = tensor_rows(dtype, *rows, batch_size, compiled)
        evaluated = held_out and tensor_rows(dtype, *held_out)
        with structure.variables(engine) as (variables, vectors):
            described = described_optimizer(self.spec["optimizer"])
            states = structure.states(described.rate)
            _assign(variables, [*self._first_values(), *states])
            self.program_variables = variables
            self.program_numbers = self._numbers()
            callbacks = Hooks(callbacks, self, epochs)
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
        """Return the variables as arrays, see `PlainNetwork.arrays`."""
        if self.program_variables is not None:
            return read_tensors(self.program_variables)
        if self._arrays is not None:
            return self._arrays
        return [np.asarray(value) for value in self._first_values()]

    def get_weights(self):
        """Return the weights as they are now; the arrays never change."""
        if self.program_variables is None:
            return super().get_weights()
        return read_tensors(self._weights())

    def set_weights(self, weights):
        """Give the network other weights."""
        if self.program_variables is None:
            super().set_weights(weights)
        else:
            _assign(self._weights(), weights)

    def _first_values(self):
        network = self.spec["network"]
        return initial_values(network, self._scaling, draw=_draw_by_keras)

    def _weights(self):
        named = zip(self._named, self.program_variables, strict=False)
        return [variable for (name, _), variable in named if name != STATE]

    def _numbers(self):
        """Return what `numbers_of` lists of the network with Keras' objects."""
        network = self.spec["network"]
        rates = [r for r in (network["input_dropout"], *network["dropout"]) if r]
        numbers = _numbers_of_optimizer(as_key(self.spec["optimizer"]))
        return np.array([*rates, *numbers], np.float64)


@functools.lru_cache(MOST_KEYS)
def _numbers_of_optimizer(described):
    """Return the numbers of an optimizer; to build one takes a millisecond."""
    numbers = optimizer_numbers(build_optimizer(**json.loads(described)))
    return [getattr(owner, name) for owner, name, _ in numbers]


def is_compiled(network, callbacks, n_samples, batch_size, epochs):
    """Return whether XLA compiles the program of a fit.

    Parameters
    ----------
    network : ProgramNetwork or KerasClassifier
        What is trained.
    callbacks : list
        Hooks and callbacks of the fit.
    n_samples, batch_size, epochs : int
        Of the training.

    Returns
    -------
    compiled : bool
        See `pays_to_compile`.
    """
    n_weights = network.model_.count_params()
    # After one epoch more calls may follow, see `partial_fit`. The second training of a
    # fit may have fewer epochs than the first; the kind of program stays.
    planned = network.epochs if epochs > 1 else USUAL_EPOCHS
    stopping = [c for c in callbacks if isinstance(c, StopsEarly)]
    if stopping:
        planned = min(planned, max(USUAL_EPOCHS, *(c.patience for c in stopping)))
    return pays_to_compile(n_weights, planned * -(-n_samples // batch_size))


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
    key = as_key([structure_of(spec), weighted, shape])
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
