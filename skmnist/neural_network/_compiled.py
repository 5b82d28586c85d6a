"""Engines: the programs that train a whole epoch, shared by equal networks.

Keras' own loop spends most of the time of a small network outside the matrix
products. Here an epoch is one program: a loop over shuffled rows that updates the
weights batch by batch. Making it takes about a second, so the program belongs to
an *engine* that stays in the process and serves every fit of the same
architecture and optimizer. An engine holds no weights: a network's variables are
arguments of its programs, so that fits can share one, in threads too.

There are two kinds. XLA compiles a program for one number of rows and one batch
size; it is the fastest, and pays where there is enough to train. Otherwise a
TensorFlow graph, made in a fraction of the time, serves any. The last batch of an
epoch, where it is smaller than the others, is filled up for XLA with rows that do not
count; where rows are normalized together, so that all of them do, it is the graph's.
"""

# SPDX-License-Identifier: BSD-3-Clause

import json
import os
import threading
from collections import OrderedDict

import joblib
import keras
import numpy as np
import tensorflow as tf

from ._tensors import as_tensor, empty_variables
from ._traced import Programs, dtype_of, flat_layout, mixes_rows, state_of

# An engine holds two or three programs and no weights: some 8 MB that come back.
MAX_ENGINES = 64

# A rough model of what XLA gains, in seconds, measured on two cores: for each
# update, and for each weight in it (the optimizer's arithmetic is fused); against
# the time it takes to compile. A wrong guess costs a second or two, never a result.
GAIN_PER_STEP = 1e-4
GAIN_PER_WEIGHT = 6e-9
COMPILING = 1.5
USUAL_EPOCHS = 10

# Rows that are evaluated at once: bounds the memory of the hidden layers.
EVALUATION_ROWS = 8192

_engines = OrderedDict()
_engines_lock = threading.Lock()


class TensorRows:
    """Rows as tensors, in the types the programs expect.

    Parameters
    ----------
    network : EpochNetwork
        The network they are for.
    x : array-like of shape (n_samples, n_features)
        Data.
    y : array-like of shape (n_samples,) or (n_samples, 1)
        Class numbers.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    """

    def __init__(self, network, x, y, sample_weight=None):
        dtype = dtype_of(network)
        y = np.asarray(y).reshape(-1)
        self.weighted = sample_weight is not None
        weights = sample_weight if self.weighted else np.ones(len(y))
        self.data = (
            as_tensor(x, dtype),
            tf.convert_to_tensor(y.astype(np.int32)),
            tf.convert_to_tensor(np.asarray(weights), dtype=dtype),
        )

    def __len__(self):
        return int(self.data[0].shape[0])

    def parts(self, n_rows):
        """Yield the rows in parts of at most so many."""
        for start in range(0, len(self), n_rows):
            yield tuple(tensor[start : start + n_rows] for tensor in self.data)


class Engine:
    """The programs of one architecture.

    Parameters
    ----------
    network : EpochNetwork
        A compiled network; the engine takes its structure, not its weights.
    weighted : bool
        Whether rows carry weights.
    shape : (int, int) or None
        Rows of the training data and rows per update, for which XLA compiles;
        None for a graph that serves any.
    """

    def __init__(self, network, weighted, shape):
        self.config = network.get_config()
        self.optimizer = keras.optimizers.serialize(network.optimizer)
        self.loss = network.loss
        self.weighted = weighted
        self.shape = shape
        self.dtype = dtype_of(network)
        self.layout = flat_layout(network, network.optimizer)
        self.fills_up = not mixes_rows(network)
        self._programs = {}
        self._lock = threading.Lock()

    def prepare(self):
        """Trace the training's program, if it is not yet.

        Raises
        ------
        Exception
            Whatever the optimizer raises in a program.
        """
        self._program("any_epoch" if self.shape is None else "static_epoch")

    def vectors(self):
        """Make the vectors a training works in; see `FlatLayout`.

        Returns
        -------
        vectors : list of tf.Variable
            For one training alone; empty where there is no such layout.
        """
        if self.layout is None:
            return []
        zeros = np.zeros(sum(self.layout.sizes), self.dtype)
        n_vectors = 1 + self.layout.n_states
        return [tf.Variable(zeros, trainable=not i) for i in range(n_vectors)]

    def train_epoch(self, network, vectors, rows, order, batch_size):
        """Train a network for one epoch.

        Parameters
        ----------
        network : EpochNetwork
            The network, with a built optimizer; trained in place.
        vectors : list of tf.Variable
            What `vectors` made for this training.
        rows : TensorRows
            Training data.
        order : ndarray of int32 of shape (n_samples,)
            Row numbers in the order to visit.
        batch_size : int
            Rows per update; the last update takes what is left.

        Returns
        -------
        logs : dict of str to float
            ``accuracy`` and ``loss`` over the rows, as training went.
        """
        data = _variables(network), vectors, *rows.data
        sums = []
        if self.shape is not None and self._n_visited(len(order), batch_size):
            visited, rest = self._divided(order, batch_size)
            try:
                program = self._program("static_epoch")
                sums.append(program(*data, visited, batch_size))
                order = rest
            except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
                # XLA refuses a program as a whole, before anything has run.
                self.shape = None
        if len(order):
            program = self._program("any_epoch")
            sums.append(program(*data, order, np.int32(batch_size)))
        loss = sum(float(loss) for loss, _ in sums)
        hits = sum(int(hits) for _, hits in sums)
        # Keras' names and its order: the history of its own loop is the same.
        return {"accuracy": hits / len(rows), "loss": loss / len(rows)}

    def _n_visited(self, n_rows, batch_size):
        """Return how many rows XLA's program visits, in whole batches."""
        n_batches = -(-n_rows // batch_size) if self.fills_up else n_rows // batch_size
        return n_batches * batch_size

    def _divided(self, order, batch_size):
        """Divide an order into what XLA's program visits and the rest."""
        n_visited = self._n_visited(len(order), batch_size)
        # Any row can fill up the last batch: it does not count.
        visited = np.pad(order[:n_visited], (0, max(0, n_visited - len(order))))
        return visited, order[n_visited:]

    def evaluate(self, network, rows):
        """Return a network's mean loss and accuracy on some rows.

        Parameters
        ----------
        network : EpochNetwork
            The network.
        rows : TensorRows
            Data to evaluate on.

        Returns
        -------
        scores : dict of str to float
            ``accuracy`` and ``loss``.
        """
        variables = _variables(network)
        losses, weight, hits = 0.0, 0.0, 0
        for part in rows.parts(EVALUATION_ROWS):
            chunk = self._program("evaluation")(variables, *part)
            losses += float(chunk[0])
            weight += float(chunk[1])
            hits += int(chunk[2])
        return {"accuracy": hits / len(rows), "loss": losses / weight}

    def _program(self, name):
        """Return a program, made when it is asked for first."""
        with self._lock:
            if name not in self._programs:
                self._programs[name] = self._make(name)
            return self._programs[name]

    def _make(self, name):
        """Trace a program; a network that nobody else knows lends its layers."""
        network = keras.Sequential.from_config(self.config)
        programs = Programs(network, self.optimizer, self.loss, self.weighted)
        n_rows, batch_size = self.shape if name == "static_epoch" else (None, None)
        n_visited = n_rows and self._n_visited(n_rows, batch_size)
        data = [
            tf.TensorSpec([n_rows, network.inputs[0].shape[-1]], dtype_of(network)),
            tf.TensorSpec([n_rows], tf.int32),
            tf.TensorSpec([n_rows], dtype_of(network)),
        ]
        rest = [
            tf.TensorSpec([n_visited], tf.int32),
            batch_size or tf.TensorSpec([], tf.int32),
        ]
        variables = [v.value for v in programs.variables]
        vectors = self.vectors()
        arguments = [variables, vectors, *data, *rest]
        if name == "evaluation":
            arguments = [variables, *data]
        # A concrete function skips the search for one that fits.
        program = tf.function(
            getattr(programs, name), jit_compile=n_rows is not None, autograph=False
        ).get_concrete_function(*arguments)
        programs.release()
        empty_variables(vectors)
        return program


def pays_to_compile(n_parameters, n_rows, batch_size):
    """Tell whether XLA gains more time than compiling costs.

    A function of network and data alone. The two kinds of program round
    differently, so neither what is compiled already nor the number of epochs may
    decide: training that goes on later, or again for another number of epochs,
    must see the same arithmetic.

    Parameters
    ----------
    n_parameters : int
        Weights and biases of the network.
    n_rows, batch_size : int
        Rows of the training data, and rows per update.

    Returns
    -------
    pays : bool
    """
    n_steps = USUAL_EPOCHS * -(-n_rows // batch_size)
    return n_steps * (GAIN_PER_STEP + n_parameters * GAIN_PER_WEIGHT) > COMPILING


def n_threads():
    """Return the threads that share the sums of a fit in this process.

    Returns
    -------
    n_threads : int
        As set in TensorFlow or the environment; else all cores.
    """
    chosen = tf.config.threading.get_intra_op_parallelism_threads()
    chosen = chosen or int(os.environ.get("TF_NUM_INTRAOP_THREADS", "0"))
    return chosen or joblib.cpu_count()


def engine_for(network, weighted, shape):
    """Return the engine that serves such a network, made when it is new.

    The least recently used of more than `MAX_ENGINES` engines is dropped.

    Parameters
    ----------
    network, weighted, shape
        As for `Engine`.

    Returns
    -------
    engine : Engine
    """
    key = _engine_key(network, weighted, shape)
    with _engines_lock:
        if key not in _engines:
            _engines[key] = Engine(network, weighted, shape)
        _engines.move_to_end(key)
        while len(_engines) > MAX_ENGINES:
            _engines.popitem(last=False)
        return _engines[key]


def clear_engines():
    """Drop all engines of this process and the memory they hold."""
    with _engines_lock:
        _engines.clear()


def _engine_key(network, weighted, shape):
    """Describe all that a compiled epoch depends on.

    Initial weights, seeds and a constant learning rate are left out: they are
    variables, copied in for every fit.
    """
    layers = [layer["config"] for layer in network.get_config()["layers"]]
    optimizer = keras.optimizers.serialize(network.optimizer)
    optimizer["config"].pop("name", None)
    if isinstance(optimizer["config"]["learning_rate"], float):
        optimizer["config"].pop("learning_rate")
    loss = keras.losses.serialize(network.loss)
    described = {
        "layers": [_without(layer, "kernel_initializer", "seed") for layer in layers],
        "optimizer": optimizer,
        "loss": loss,
        "rows": [weighted, shape],
    }
    return json.dumps(described, sort_keys=True, default=str)


def _without(config, *names):
    return {name: value for name, value in config.items() if name not in names}


def _variables(network):
    """Return TensorFlow's variables behind a network and its optimizer."""
    return [v.value for v in (*state_of(network), *network.optimizer.variables)]
