"""What a compiled program computes: an epoch of updates, or an evaluation.

A program is traced from Keras' layers, loss and optimizer, so that it does what
Keras would do; but the variables it reads and writes are its arguments.

An update of a small network is a hundred operations of a few microseconds, most of
them the optimizer's, once for each weight matrix and bias. Where the optimizer
treats every number alike, a program of a small network keeps all weights in one
vector for the epoch, and the optimizer works once.
"""

# SPDX-License-Identifier: BSD-3-Clause

import math
from typing import NamedTuple

import keras
import tensorflow as tf

from .._compat import standing_in, sum_gradients_nowhere
from ._optimizers import OPTIMIZERS
from ._tensors import empty_variables

# Above this number of weights the copies that one vector needs cost more than the
# operations it saves.
MAX_FLAT = 2**17

# Options of Keras' optimizers that look at a variable as a whole, or keep something
# besides what `FlatLayout` knows.
_NOT_ELEMENTWISE = (
    "clipnorm",
    "global_clipnorm",
    "use_ema",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)


class FlatLayout(NamedTuple):
    """How weights and an optimizer's state lie in vectors.

    Attributes
    ----------
    shapes : tuple of tuple of int
        Shape of each trainable variable.
    first : int
        Position of the first state of a variable among the optimizer's variables.
    n_states : int
        How many states the optimizer keeps for a variable, 2 for Adam.
    """

    shapes: tuple
    first: int
    n_states: int

    @property
    def sizes(self):
        """Numbers in each variable."""
        return [math.prod(shape) for shape in self.shapes]

    @property
    def states(self):
        """Where the optimizer's states lie: variable by variable."""
        return slice(self.first, self.first + self.n_states * len(self.shapes))

    def pack(self, variables):
        """Return variables as one vector."""
        return tf.concat([tf.reshape(v, [-1]) for v in variables], axis=0)

    def unpack(self, vector):
        """Return the parts of a vector in the shapes of the variables."""
        parts = tf.split(vector, self.sizes)
        return [tf.reshape(p, s) for p, s in zip(parts, self.shapes, strict=True)]


def flat_layout(network, optimizer):
    """Lay out a network's weights in one vector, where that gives the same result.

    Parameters
    ----------
    network : keras.Sequential
        A built network.
    optimizer : keras.optimizers.Optimizer
        Its optimizer, built.

    Returns
    -------
    layout : FlatLayout or None
        None for a large network, or for an optimizer that does not treat every
        number alike.
    """
    shapes = tuple(tuple(v.shape) for v in network.trainable_variables)
    if sum(map(math.prod, shapes)) > MAX_FLAT or not _is_elementwise(optimizer):
        return None
    kernel = network.trainable_variables[0].path.replace("/", "_") + "_"
    found = [v.name.startswith(kernel) for v in optimizer.variables]
    n_states = sum(found)
    first = found.index(True) if n_states else len(found)
    layout = FlatLayout(shapes, first, n_states)
    expected = [shape for shape in shapes for _ in range(n_states)]
    states = [tuple(v.shape) for v in optimizer.variables[layout.states]]
    return layout if states == expected else None


def _is_elementwise(optimizer):
    config = optimizer.get_config()
    # A class derived from Keras' own might do anything.
    own = type(optimizer) is getattr(keras.optimizers, type(optimizer).__name__, None)
    known = own and type(optimizer).__name__.lower() in OPTIMIZERS
    return known and not any(config.get(option) for option in _NOT_ELEMENTWISE)


class Programs:
    """The programs of one network, one optimizer and one loss, to be traced.

    Parameters
    ----------
    network : keras.Sequential
        A built network that lends its layers, and is of no other use.
    optimizer : dict
        A Keras optimizer, serialized.
    loss : keras.losses.Loss
        The loss.
    weighted : bool
        Whether rows carry weights in training.
    """

    def __init__(self, network, optimizer, loss, weighted):
        self.network = network
        self.loss = loss
        self.weighted = weighted
        self.optimizer = _optimizer_for(network.trainable_variables, optimizer)
        self.layout = flat_layout(network, self.optimizer)
        if self.layout is not None:
            zeros = tf.zeros([sum(self.layout.sizes)], dtype_of(network))
            self.vector = keras.Variable(zeros, name="flat", dtype=dtype_of(network))
            self.flat_optimizer = _optimizer_for([self.vector], optimizer)

    @property
    def variables(self):
        """What a program reads and writes: layers' variables, then the optimizer's."""
        return [*state_of(self.network), *self.optimizer.variables]

    def release(self):
        """Give back the memory of layers and optimizers, once a program is traced."""
        lent = self.variables
        if self.layout is not None:
            lent += [self.vector, *self.flat_optimizer.variables]
        empty_variables([variable.value for variable in lent])

    def any_epoch(self, variables, vectors, x, y, weights, order, batch_size):
        """Visit rows in batches, whatever their number and size."""
        n_rows = tf.size(order)

        def body(start, loss, hits):
            batch = order[start : start + batch_size]
            batch_loss, batch_hits = self._update(x, y, weights, batch)
            return start + batch_size, loss + batch_loss, hits + batch_hits

        def in_range(start, *_):
            return start < n_rows

        return self._loop(variables, vectors, in_range, body)

    def static_epoch(self, variables, vectors, x, y, weights, order, batch_size):
        """Visit rows in batches of one size: numbers that XLA knows beforehand.

        An order that is longer than the data ends in rows that do not count.
        """
        n_steps, n_rows = order.shape[0] // batch_size, y.shape[0]
        is_padded = order.shape[0] > n_rows

        def body(step, loss, hits):
            start = step * batch_size
            batch = tf.slice(order, [start], [batch_size])
            counts = tf.range(batch_size) < n_rows - start if is_padded else None
            batch_loss, batch_hits = self._update(x, y, weights, batch, counts)
            return step + 1, loss + batch_loss, hits + batch_hits

        def in_range(step, *_):
            return step < n_steps

        return self._loop(variables, vectors, in_range, body)

    def evaluation(self, variables, x, y, weights):
        """Return the summed loss, the summed weights and the hits of some rows."""
        with standing_in(self.variables, variables):
            outputs = self.network(x, training=False)
            # Always weighted: validation rows may carry weights where training
            # rows carry none, and the other way round.
            loss = self.loss(_targets(y, outputs), outputs, sample_weight=weights)
        total = tf.reduce_sum(weights)
        return loss * total, total, _hits(y, outputs)

    def _loop(self, variables, vectors, condition, body):
        """Run a loop from zero; return the sums of loss and hits."""
        zero = tf.zeros([], dtype_of(self.network))
        start = (tf.constant(0), zero, tf.constant(0))
        with standing_in(self.variables, variables):
            self._pack(vectors)
            with standing_in(*self._flat(vectors)):
                # Updates depend on one another; looking for parallel ones costs time.
                sums = tf.while_loop(condition, body, start, parallel_iterations=1)
            self._unpack(vectors)
        return sums[1:]

    def _flat(self, vectors):
        """Return the variables of the flat optimizer, and what stands in for them."""
        if self.layout is None:
            return [], []
        own = [v.value for v in self.optimizer.variables]
        own[self.layout.states] = vectors[1:]
        return [self.vector, *self.flat_optimizer.variables], [vectors[0], *own]

    def _groups(self):
        """List the variables that lie in each vector: weights, then states."""
        if self.layout is None:
            return []
        states = self.optimizer.variables[self.layout.states]
        n_states = self.layout.n_states
        groups = [states[i::n_states] for i in range(n_states)]
        return [self.network.trainable_variables, *groups]

    def _pack(self, vectors):
        for vector, group in zip(vectors, self._groups(), strict=True):
            vector.assign(self.layout.pack([v.value for v in group]))

    def _unpack(self, vectors):
        for vector, group in zip(vectors, self._groups(), strict=True):
            parts = self.layout.unpack(vector)
            for variable, part in zip(group, parts, strict=True):
                variable.value.assign(part)

    def _update(self, x, y, weights, batch, counts=None):
        """Update on some rows; return their summed loss and their hits.

        Where not all of them count, `counts` tells which.
        """
        x, y = tf.gather(x, batch), tf.gather(y, batch)
        weights = tf.gather(weights, batch) if self.weighted else None
        if counts is not None:
            ones = tf.cast(counts, dtype_of(self.network))
            weights = ones if weights is None else weights * ones
        flat = self.layout is not None
        trained = [self.vector] if flat else self.network.trainable_variables
        with tf.GradientTape() as tape:
            parts = self.layout.unpack(self.vector.value) if flat else []
            lent = self.network.trainable_variables if flat else []
            with standing_in(lent, parts):
                outputs = self.network(x, training=True)
            loss = self.loss(_targets(y, outputs), outputs, sample_weight=weights)
        gradients = tape.gradient(loss, [v.value for v in trained])
        optimizer = self.flat_optimizer if flat else self.optimizer
        optimizer.apply(gradients, trained)
        n_rows = tf.size(batch) if counts is None else tf.reduce_sum(ones)
        return loss * tf.cast(n_rows, loss.dtype), _hits(y, outputs, counts)


def _optimizer_for(variables, described):
    """Build a serialized optimizer for some variables, to be traced."""
    optimizer = keras.optimizers.deserialize(described)
    optimizer.build(variables)
    sum_gradients_nowhere(optimizer)
    return optimizer


def dtype_of(network):
    """Return the type of a network's arithmetic."""
    # A Sequential itself has Keras' default type, whatever its layers have.
    return network.layers[-1].compute_dtype


def mixes_rows(network):
    """Tell whether a row's outputs in training depend on the rows beside it.

    Parameters
    ----------
    network : keras.Sequential
        A network as `build_network` makes it.

    Returns
    -------
    mixes : bool
        True where it normalizes over the batch.
    """
    kinds = keras.layers.BatchNormalization
    return any(isinstance(layer, kinds) for layer in network.layers)


def state_of(network):
    """Return a network's weights and the state of its random layers."""
    return [variable for layer in network.layers for variable in layer.variables]


def _targets(y, outputs):
    """Bring class numbers to the form the loss expects."""
    if outputs.shape[-1] == 1:
        return tf.cast(y[:, None], outputs.dtype)
    return y


def _hits(y, outputs, counts=None):
    """Count the rows whose most probable class is the right one."""
    if outputs.shape[-1] == 1:
        predicted = tf.cast(outputs[:, 0] > 0.5, tf.int32)
    else:
        predicted = tf.argmax(outputs, axis=1, output_type=tf.int32)
    right = tf.equal(predicted, y)
    if counts is not None:
        right = tf.logical_and(right, counts)
    return tf.reduce_sum(tf.cast(right, tf.int32))
