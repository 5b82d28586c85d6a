"""Engines: the programs that train a whole epoch, shared by equal networks.

Keras' own loop spends most of the time of a small network outside the matrix
products. Here an epoch is one program: a loop over shuffled row numbers that
gathers each batch from data in memory. Making it takes a second or two, so the
program belongs to an *engine* that stays in the process and serves every fit of
the same architecture and optimizer: a fit copies its weights and its optimizer's
state in, runs epochs, and copies them out.

There are two kinds. XLA compiles a program for one number of rows and one batch
size; it is the fastest, and pays where there is enough to train. Otherwise a
TensorFlow graph, made in a fraction of the time, serves any number of rows.
"""

# SPDX-License-Identifier: BSD-3-Clause

import json
import threading
from collections import OrderedDict
from functools import cached_property

import keras
import numpy as np
import tensorflow as tf

# An engine holds a network, an optimizer and two programs: some 10 MB at the
# sizes of MNIST.
MAX_ENGINES = 16

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
    """Arrays as tensors, in the types the network's programs expect."""

    def __init__(self, network, x, y, sample_weight=None):
        dtype = _dtype(network)
        y = np.asarray(y).reshape(-1)
        self.weighted = sample_weight is not None
        weights = sample_weight if self.weighted else np.ones(len(y))
        self.x = tf.convert_to_tensor(x, dtype=dtype)
        self.y = tf.convert_to_tensor(y.astype(np.int32))
        self.weights = tf.convert_to_tensor(np.asarray(weights), dtype=dtype)

    def __len__(self):
        return int(self.x.shape[0])


class Engine:
    """The programs of one architecture and the variables they run on.

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
        self.network = keras.Sequential.from_config(network.get_config())
        self.optimizer = keras.optimizers.deserialize(
            keras.optimizers.serialize(network.optimizer)
        )
        self.optimizer.build(self.network.trainable_variables)
        self.loss = network.loss
        self.weighted = weighted
        self.shape = shape
        self.lock = threading.Lock()

    # Called as concrete functions, which skip the search for one that fits.

    @cached_property
    def _epoch(self):
        X, y, weights, rows = self._signature()
        run = self._run_any_epoch if self.shape is None else self._run_static_epoch
        return tf.function(
            run,
            input_signature=[X, y, weights, rows, tf.TensorSpec([], tf.int32)],
            jit_compile=self.shape is not None,
            autograph=False,
        ).get_concrete_function()

    @cached_property
    def _evaluate(self):
        return tf.function(
            self._run_evaluation, input_signature=self._signature()[:3], autograph=False
        ).get_concrete_function()

    def _signature(self):
        """Describe data, class numbers, weights and row numbers of any length."""
        n_features = self.network.inputs[0].shape[-1]
        dtype = _dtype(self.network)
        return (
            tf.TensorSpec([None, n_features], dtype),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None], dtype),
            tf.TensorSpec([None], tf.int32),
        )

    def train_epoch(self, network, rows, order, batch_size):
        """Train a network for one epoch; return its mean loss and accuracy."""
        order = tf.convert_to_tensor(order)
        batch_size = tf.convert_to_tensor(batch_size, tf.int32)
        with self.lock:
            _copy(_state(network), _state(self.network))
            _copy(network.optimizer.variables, self.optimizer.variables)
            loss, hits = self._epoch(rows.x, rows.y, rows.weights, order, batch_size)
            _copy(_state(self.network), _state(network))
            _copy(self.optimizer.variables, network.optimizer.variables)
        # Keras' names and its order: the history of its own loop is the same.
        return {"accuracy": int(hits) / len(rows), "loss": float(loss)}

    def evaluate(self, network, rows):
        """Return a network's mean loss and accuracy on some rows."""
        with self.lock:
            _copy(_state(network), _state(self.network))
            losses, weight, hits = 0.0, 0.0, 0
            for start in range(0, len(rows), EVALUATION_ROWS):
                part = slice(start, start + EVALUATION_ROWS)
                chunk = self._evaluate(rows.x[part], rows.y[part], rows.weights[part])
                losses += float(chunk[0])
                weight += float(chunk[1])
                hits += int(chunk[2])
        return {"accuracy": hits / len(rows), "loss": losses / weight}

    def _run_any_epoch(self, x, y, weights, order, batch_size):
        """Loop over the batches of one epoch, whatever their number and size."""

        def body(start, loss, hits):
            batch = order[start : start + batch_size]
            batch_loss, batch_hits = self._train_step(x, y, weights, batch)
            return start + batch_size, loss + batch_loss, hits + batch_hits

        n_rows = tf.size(order)
        sums = (tf.constant(0), tf.constant(0, x.dtype), tf.constant(0))
        # Updates depend on one another; looking for parallel ones costs time.
        _, loss, hits = tf.while_loop(
            lambda start, *_: start < n_rows, body, sums, parallel_iterations=1
        )
        return loss / tf.cast(n_rows, x.dtype), hits

    def _run_static_epoch(self, x, y, weights, order, batch_size):
        """Loop over the batches of one epoch; the last, smaller one comes apart.

        XLA wants static shapes: the loop's batches all have the same size, and
        the remainder is a step of its own. So the size of a batch is the one
        compiled for, a number and not the tensor that is passed.
        """
        n_rows, batch_size = self.shape
        n_steps, n_rest = divmod(n_rows, batch_size)

        def body(step, loss, hits):
            batch = tf.slice(order, [step * batch_size], [batch_size])
            batch_loss, batch_hits = self._train_step(x, y, weights, batch)
            return step + 1, loss + batch_loss, hits + batch_hits

        sums = (tf.constant(0), tf.constant(0, x.dtype), tf.constant(0))
        if n_steps:
            sums = tf.while_loop(lambda step, *_: step < n_steps, body, sums)
        _, loss, hits = sums
        if n_rest:
            rest = tf.slice(order, [n_steps * batch_size], [n_rest])
            batch_loss, batch_hits = self._train_step(x, y, weights, rest)
            loss, hits = loss + batch_loss, hits + batch_hits
        return loss / n_rows, hits

    def _train_step(self, x, y, weights, batch):
        """Update on one batch; return its summed loss and its hits."""
        x, y = tf.gather(x, batch), tf.gather(y, batch)
        weights = tf.gather(weights, batch) if self.weighted else None
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self.network(x, training=True)
            loss = self.loss(_targets(y, outputs), outputs, sample_weight=weights)
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss * tf.cast(tf.size(batch), loss.dtype), _hits(y, outputs)

    def _run_evaluation(self, x, y, weights):
        """Return the summed loss, the summed weights and the hits of some rows."""
        # Always weighted: validation rows may carry weights where training rows
        # carry none, and the other way round.
        outputs = self.network(x, training=False)
        loss = self.loss(_targets(y, outputs), outputs, sample_weight=weights)
        total = tf.reduce_sum(weights)
        return loss * total, total, _hits(y, outputs)


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


def _copy(sources, targets):
    """Assign variables to others, by the bare operations.

    The methods of a variable take ten times as long, which a small network feels:
    it has some twenty variables, copied twice an epoch.
    """
    for source, target in zip(sources, targets, strict=True):
        variable = source.value
        value = tf.raw_ops.ReadVariableOp(
            resource=variable.handle, dtype=variable.dtype
        )
        tf.raw_ops.AssignVariableOp(resource=target.value.handle, value=value)


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
