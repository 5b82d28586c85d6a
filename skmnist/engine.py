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
epoch, where it is smaller than the others, is always the graph's.
"""

# SPDX-License-Identifier: BSD-3-Clause

import json
import threading
from collections import OrderedDict

import keras
import numpy as np
import tensorflow as tf

from ._compat import standing_in

# An engine holds two or three programs and no weights: a few MB.
MAX_ENGINES = 64

# A rough model of what XLA gains, in seconds, measured on two cores: for each
# update, and for each weight in it (the optimizer's arithmetic is fused); against
# the time it takes to compile. A wrong guess costs a second or two, never a result.
GAIN_PER_STEP = 3e-4
GAIN_PER_WEIGHT = 3e-9
COMPILING = 2.0
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
        dtype = _dtype(network)
        y = np.asarray(y).reshape(-1)
        self.weighted = sample_weight is not None
        weights = sample_weight if self.weighted else np.ones(len(y))
        self.data = (
            tf.convert_to_tensor(x, dtype=dtype),
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
        self._programs = {}
        self._lock = threading.Lock()

    def train_epoch(self, network, rows, order, batch_size):
        """Train a network for one epoch.

        Parameters
        ----------
        network : EpochNetwork
            The network, with a built optimizer; trained in place.
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
        data = _variables(network), *rows.data
        sums, rest = [], order
        if self.shape is not None:
            full, rest = np.split(order, [len(order) // batch_size * batch_size])
            if len(full):
                sums.append(self._program("static_epoch")(*data, full, batch_size))
        if len(rest):
            program = self._program("any_epoch")
            sums.append(program(*data, rest, np.int32(batch_size)))
        loss = sum(float(loss) for loss, _ in sums)
        hits = sum(int(hits) for _, hits in sums)
        # Keras' names and its order: the history of its own loop is the same.
        return {"accuracy": hits / len(rows), "loss": loss / len(rows)}

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
        optimizer = keras.optimizers.deserialize(self.optimizer)
        optimizer.build(network.trainable_variables)
        step = _Step(network, optimizer, self.loss, self.weighted)
        own = [*_state(network), *optimizer.variables]

        def program(variables, *data):
            with standing_in(own, variables):
                return getattr(step, name)(*data)

        n_rows, batch_size = self.shape if name == "static_epoch" else (None, None)
        n_visited = n_rows and n_rows // batch_size * batch_size
        signature = [
            tf.TensorSpec([n_rows, network.inputs[0].shape[-1]], _dtype(network)),
            tf.TensorSpec([n_rows], tf.int32),
            tf.TensorSpec([n_rows], _dtype(network)),
            tf.TensorSpec([n_visited], tf.int32),
            batch_size or tf.TensorSpec([], tf.int32),
        ]
        if name == "evaluation":
            del signature[3:]
        # A concrete function skips the search for one that fits.
        return tf.function(
            program, jit_compile=name == "static_epoch", autograph=False
        ).get_concrete_function([v.value for v in own], *signature)


class _Step:
    """What the programs are made of: one update, epochs of it, an evaluation."""

    def __init__(self, network, optimizer, loss, weighted):
        self.network = network
        self.optimizer = optimizer
        self.loss = loss
        self.weighted = weighted

    def any_epoch(self, x, y, weights, order, batch_size):
        """Visit rows in batches, whatever their number and size."""
        n_rows = tf.size(order)

        def body(start, loss, hits):
            batch = order[start : start + batch_size]
            batch_loss, batch_hits = self.update(x, y, weights, batch)
            return start + batch_size, loss + batch_loss, hits + batch_hits

        return _loop(lambda start, *_: start < n_rows, body, x.dtype)

    def static_epoch(self, x, y, weights, order, batch_size):
        """Visit rows in batches of one size: numbers that XLA knows beforehand."""
        n_steps = order.shape[0] // batch_size

        def body(step, loss, hits):
            batch = tf.slice(order, [step * batch_size], [batch_size])
            batch_loss, batch_hits = self.update(x, y, weights, batch)
            return step + 1, loss + batch_loss, hits + batch_hits

        return _loop(lambda step, *_: step < n_steps, body, x.dtype)

    def update(self, x, y, weights, batch):
        """Update on some rows; return their summed loss and their hits."""
        x, y = tf.gather(x, batch), tf.gather(y, batch)
        weights = tf.gather(weights, batch) if self.weighted else None
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self.network(x, training=True)
            loss = self.loss(_targets(y, outputs), outputs, sample_weight=weights)
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss * tf.cast(tf.size(batch), loss.dtype), _hits(y, outputs)

    def evaluation(self, x, y, weights):
        """Return the summed loss, the summed weights and the hits of some rows."""
        # Always weighted: validation rows may carry weights where training rows
        # carry none, and the other way round.
        outputs = self.network(x, training=False)
        loss = self.loss(_targets(y, outputs), outputs, sample_weight=weights)
        total = tf.reduce_sum(weights)
        return loss * total, total, _hits(y, outputs)


def _loop(condition, body, dtype):
    """Run a loop from zero; return the sums of loss and hits."""
    start = (tf.constant(0), tf.constant(0, dtype), tf.constant(0))
    # Updates depend on one another; looking for parallel ones costs time.
    return tf.while_loop(condition, body, start, parallel_iterations=1)[1:]


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


def _dtype(network):
    """Return the type of a network's arithmetic."""
    # A Sequential itself has Keras' default type, whatever its layers have.
    return network.layers[-1].compute_dtype


def _state(network):
    """Return a network's weights and the state of its random layers."""
    return [variable for layer in network.layers for variable in layer.variables]


def _variables(network):
    """Return TensorFlow's variables behind a network and its optimizer."""
    return [v.value for v in (*_state(network), *network.optimizer.variables)]


def _targets(y, outputs):
    """Bring class numbers to the form the loss expects."""
    if outputs.shape[-1] == 1:
        return tf.cast(y[:, None], outputs.dtype)
    return y


def _hits(y, outputs):
    """Count the rows whose most probable class is the right one."""
    if outputs.shape[-1] == 1:
        predicted = tf.cast(outputs[:, 0] > 0.5, tf.int32)
    else:
        predicted = tf.argmax(outputs, axis=1, output_type=tf.int32)
    return tf.reduce_sum(tf.cast(tf.equal(predicted, y), tf.int32))
