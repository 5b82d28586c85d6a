"""The content of a program: an epoch of updates, or an evaluation.

A program is traced from Keras' layers, loss and optimizer, so that it does what Keras
would do. But the variables that it reads and writes are its arguments.

An update of a small network is about a hundred operations of a few microseconds. Most
are the optimizer's, which works on each weight matrix and each bias. If the optimizer
treats all numbers alike, the program of a small network keeps all weights in one vector
during the epoch. Then the optimizer works once per update.

The numbers of a training are arguments, too: those of the learning rate's schedule, the
decay of the weights and the rates of dropout. So a search over them needs one program.
"""

# SPDX-License-Identifier: BSD-3-Clause

import math
from contextlib import contextmanager
from numbers import Real
from typing import NamedTuple

import keras
import tensorflow as tf

from ..._compat import schedule_of, standing_in, sum_gradients_nowhere
from .._optimizer_forms import treats_each_alone
from .._optimizer_params import OPTIMIZERS
from .._tensors import empty_variables
from ._layers import CheapDropout
from ._optimizers import WarmUp, deserialize_optimizer

# With more weights, copying them into one vector takes longer than the operations that
# it saves.
MAX_FLAT = 2**17

# Attributes that are arguments of a program, and not part of it.
_NUMBERS = {
    CheapDropout: ("rate",),
    WarmUp: ("peak", "n_warmup"),
    keras.optimizers.schedules.CosineDecay: ("initial_learning_rate", "decay_steps"),
    keras.optimizers.schedules.PolynomialDecay: (
        "initial_learning_rate",
        "decay_steps",
    ),
}


class FlatLayout(NamedTuple):
    """How the weights, and the states of the optimizer, lie in vectors.

    Attributes
    ----------
    shapes : tuple of tuple of int
        Shape of each trainable variable.
    first : int
        Position of the first state among the optimizer's variables.
    n_states : int
        Number of states that the optimizer keeps for each variable; 2 for Adam.
    """

    shapes: tuple
    first: int
    n_states: int

    @property
    def sizes(self):
        """Number of elements of each variable."""
        return [math.prod(shape) for shape in self.shapes]

    @property
    def states(self):
        """Where the states lie among the optimizer's variables."""
        return slice(self.first, self.first + self.n_states * len(self.shapes))

    def pack(self, variables):
        """Return variables as one vector."""
        return tf.concat([tf.reshape(v, [-1]) for v in variables], axis=0)

    def unpack(self, vector):
        """Return a vector's parts, in the shapes of the variables."""
        parts = tf.split(vector, self.sizes)
        return [tf.reshape(p, s) for p, s in zip(parts, self.shapes, strict=True)]


def flat_layout(network, optimizer):
    """Return how a network's weights lie in one vector, if that changes no result.

    Parameters
    ----------
    network : keras.Sequential
        A built network.
    optimizer : keras.optimizers.Optimizer
        Its optimizer, built.

    Returns
    -------
    layout : FlatLayout or None
        None for a large network, or for an optimizer that does not treat all numbers
        alike.
    """
    shapes = tuple(tuple(v.shape) for v in network.trainable_variables)
    if sum(map(math.prod, shapes)) > MAX_FLAT or not is_elementwise(optimizer):
        return None
    kernel = network.trainable_variables[0].path.replace("/", "_") + "_"
    found = [v.name.startswith(kernel) for v in optimizer.variables]
    n_states = sum(found)
    first = found.index(True) if n_states else len(found)
    layout = FlatLayout(shapes, first, n_states)
    expected = [shape for shape in shapes for _ in range(n_states)]
    states = [tuple(v.shape) for v in optimizer.variables[layout.states]]
    return layout if states == expected else None


def is_elementwise(optimizer):
    """Return whether an optimizer treats all numbers alike, one by one."""
    return _is_known(optimizer) and treats_each_alone(optimizer.get_config())


def _is_known(optimizer):
    # A class derived from one of Keras may do anything.
    own = type(optimizer) is getattr(keras.optimizers, type(optimizer).__name__, None)
    return own and type(optimizer).__name__.lower() in OPTIMIZERS


class Number(NamedTuple):
    """A number that is an argument of a program.

    Attributes
    ----------
    owner : object
        A layer, an optimizer or a schedule of the learning rate.
    name : str
        The attribute that has the number.
    place : tuple of str or int
        The keys that lead to the owner's configuration: the position of a layer, or
        "optimizer" and the keys inside.
    """

    owner: object
    name: str
    place: tuple


def numbers_of(network, optimizer):
    """List the numbers of a network and an optimizer that are arguments of a program.

    Parameters
    ----------
    network : keras.Sequential
        A built network.
    optimizer : keras.optimizers.Optimizer
        Its optimizer, or one of equal structure.

    Returns
    -------
    numbers : list of Number
        The same for networks and optimizers of one structure, but for the owners.
    """
    layers = [(layer, (i,)) for i, layer in enumerate(network.layers)]
    return [*_numbers_among(layers), *optimizer_numbers(optimizer)]


def optimizer_numbers(optimizer):
    """List the last numbers of `numbers_of`: those of the optimizer."""
    return _numbers_among(_with_schedules(optimizer))


def _numbers_among(owners):
    return [
        Number(owner, name, place)
        for owner, place in owners
        for name in _number_names(owner)
        # None is not a number: then the program has no such part.
        if isinstance(getattr(owner, name), Real)
    ]


def _number_names(owner):
    if isinstance(owner, keras.optimizers.Optimizer):
        return ("weight_decay",) if _is_known(owner) else ()
    return _NUMBERS.get(type(owner), ())


def _with_schedules(optimizer, place=("optimizer",)):
    """Yield an optimizer, the optimizer inside and schedules, each with its place."""
    yield optimizer, place
    schedule, there = schedule_of(optimizer), (*place, "learning_rate")
    while schedule is not None:
        yield schedule, there
        schedule = schedule.after if isinstance(schedule, WarmUp) else None
        there = (*there, "after")
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        yield from _with_schedules(inner, (*place, "inner_optimizer"))


class Programs:
    """The programs of one network, one optimizer and one loss, for tracing.

    Parameters
    ----------
    network : keras.Sequential
        A built network. Only its layers are used.
    optimizer : dict
        A Keras optimizer, serialized.
    loss : keras.losses.Loss
        The loss.
    weighted : bool
        Whether training rows have weights.
    """

    def __init__(self, network, optimizer, loss, weighted):
        self.network = network
        self.loss = loss
        self.weighted = weighted
        self.optimizer = optimizer_for(network.trainable_variables, optimizer)
        self.layout = flat_layout(network, self.optimizer)
        if self.layout is not None:
            zeros = tf.zeros([sum(self.layout.sizes)], dtype_of(network))
            self.vector = keras.Variable(zeros, name="flat", dtype=dtype_of(network))
            self.flat_optimizer = optimizer_for([self.vector], optimizer)
        used = self.optimizer if self.layout is None else self.flat_optimizer
        self.numbers = numbers_of(network, used)

    @property
    def variables(self):
        """The variables of a program: those of the layers, then of the optimizer."""
        return [*state_of(self.network), *self.optimizer.variables]

    def release(self):
        """Free the memory of layers and optimizers, after a program is traced."""
        lent = self.variables
        if self.layout is not None:
            lent += [self.vector, *self.flat_optimizer.variables]
        empty_variables([variable.value for variable in lent])

    def any_epoch(  # noqa: PLR0913
        self, variables, vectors, numbers, x, y, weights, order, batch_size
    ):
        """Train an epoch, for any number of rows and any batch size."""
        n_rows = tf.size(order)

        def body(start, loss, hits):
            batch = order[start : start + batch_size]
            batch_loss, batch_hits = self._update(x, y, weights, batch)
            return start + batch_size, loss + batch_loss, hits + batch_hits

        def in_range(start, *_):
            return start < n_rows

        return self._loop(variables, vectors, numbers, in_range, body)

    def static_epoch(  # noqa: PLR0913
        self, variables, vectors, numbers, x, y, weights, order, n_rows, batch_size
    ):
        """Train an epoch, for arrays of shapes and a batch size that XLA knows.

        Only the first `n_rows` of the order count. If rows are normalized together,
        the rows that fill no batch are left out.
        """
        fills_up = not mixes_rows(self.network)
        n_steps = (n_rows + (batch_size - 1 if fills_up else 0)) // batch_size

        def body(step, loss, hits):
            start = step * batch_size
            batch = tf.slice(order, [start], [batch_size])
            counts = tf.range(batch_size) < n_rows - start if fills_up else None
            batch_loss, batch_hits = self._update(x, y, weights, batch, counts)
            return step + 1, loss + batch_loss, hits + batch_hits

        def in_range(step, *_):
            return step < n_steps

        return self._loop(variables, vectors, numbers, in_range, body)

    def static_chunk(  # noqa: PLR0913
        self, variables, vectors, numbers, x, y, weights, n_rows, batch_size
    ):
        """Train on the first rows of a chunk, one after the other, compiled by XLA.

        XLA knows the size of a chunk and the batch size, but not the number of rows. If
        that is no multiple of the batch size, the rest of the last batch does not
        count.
        """
        places = tf.range(batch_size)

        def body(start, loss, hits):
            counts = None if mixes_rows(self.network) else places < n_rows - start
            batch = start + places
            batch_loss, batch_hits = self._update(x, y, weights, batch, counts)
            return start + batch_size, loss + batch_loss, hits + batch_hits

        def in_range(start, *_):
            return start < n_rows

        return self._loop(variables, vectors, numbers, in_range, body)

    def evaluation(self, variables, x, y, weights):
        """Return the sum of losses, the sum of weights, and the number of hits."""
        with standing_in(self.variables, variables):
            outputs = self.network(x, training=False)
            # Always weighted: validation rows may have weights if training rows have
            # none, and the other way round.
            loss = self.loss(_targets(y, outputs), outputs, sample_weight=weights)
        total = tf.reduce_sum(weights)
        return loss * total, total, _hits(y, outputs)

    def _loop(self, variables, vectors, numbers, condition, body):
        """Run a loop from step 0; return the sum of losses and the number of hits."""
        zero = tf.zeros([], dtype_of(self.network))
        start = (tf.constant(0), zero, tf.constant(0))
        values = tf.unstack(numbers, len(self.numbers))
        numbers = numbers_set(self.numbers, values)
        with standing_in(self.variables, variables), numbers:
            self._pack(vectors)
            with standing_in(*self._flat(vectors)):
                # Each update depends on the one before: do not look for parallel ones.
                sums = tf.while_loop(condition, body, start, parallel_iterations=1)
            self._unpack(vectors)
        return sums[1:]

    def _flat(self, vectors):
        """Return the variables of the flat optimizer, and their stand-ins."""
        if self.layout is None:
            return [], []
        own = [v.value for v in self.optimizer.variables]
        own[self.layout.states] = vectors[1:]
        return [self.vector, *self.flat_optimizer.variables], [vectors[0], *own]

    def _groups(self):
        """List the variables of each vector: weights, then each kind of state."""
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
        """Update the weights on some rows; return sum of losses and number of hits.

        If not all rows count, `counts` is true for the rows that do.
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


@contextmanager
def numbers_set(numbers, values):
    """Let layers and optimizer use tensors in place of their numbers.

    Parameters
    ----------
    numbers : list of Number
        From `numbers_of`.
    values : list of tensor
        What to use inside the ``with`` block.
    """
    own = [getattr(owner, name) for owner, name, _ in numbers]
    for (owner, name, _), value in zip(numbers, values, strict=True):
        if isinstance(owner, keras.optimizers.schedules.LearningRateSchedule):
            # Keras computes a schedule in the type of its numbers.
            value = tf.cast(value, keras.config.floatx())
        setattr(owner, name, value)
    try:
        yield
    finally:
        for (owner, name, _), value in zip(numbers, own, strict=True):
            setattr(owner, name, value)


def optimizer_for(variables, described):
    """Build a serialized optimizer for some variables, for tracing."""
    optimizer = deserialize_optimizer(described)
    optimizer.build(variables)
    sum_gradients_nowhere(optimizer)
    return optimizer


def dtype_of(network):
    """Return the type of a network's arithmetic."""
    # A Sequential itself has Keras' default type, not the type of its layers.
    return network.layers[-1].compute_dtype


def mixes_rows(network):
    """Return whether the outputs for a row, in training, depend on other rows.

    Parameters
    ----------
    network : keras.Sequential
        From `build_network`.

    Returns
    -------
    mixes : bool
        True if the network normalizes over the batch.
    """
    kinds = keras.layers.BatchNormalization
    return any(isinstance(layer, kinds) for layer in network.layers)


def state_of(network):
    """Return the variables of all layers: weights, and seeds of random layers."""
    return [variable for layer in network.layers for variable in layer.variables]


def _targets(y, outputs):
    """Convert class numbers to the form that the loss expects."""
    if outputs.shape[-1] == 1:
        return tf.cast(y[:, None], outputs.dtype)
    return y


def _hits(y, outputs, counts=None):
    """Count the rows that are classified correctly."""
    if outputs.shape[-1] == 1:
        predicted = tf.cast(outputs[:, 0] > 0.5, tf.int32)
    else:
        predicted = tf.argmax(outputs, axis=1, output_type=tf.int32)
    right = tf.equal(predicted, y)
    if counts is not None:
        right = tf.logical_and(right, counts)
    return tf.reduce_sum(tf.cast(right, tf.int32))
