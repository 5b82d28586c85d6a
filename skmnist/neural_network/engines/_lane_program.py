"""The program of eight networks side by side.

It is written on arrays, and not traced from Keras' layers, which expect one network.
All weights of a network are a row of a matrix, and so is each state of the optimizer.
Keras' optimizer updates the matrix: only such optimizers are used that treat each
number alone. What it keeps as one number, such as the learning rate, is a column here.
"""

# SPDX-License-Identifier: BSD-3-Clause

import threading

import keras
import numpy as np
import tensorflow as tf

from ..._compat import reshape_variable, standing_in
from .._inference import SCALE_SPEED, STATE, layer_variables
from .._layers import draw_uniform
from .._tensors import aligned_empty, as_tensor, empty_variables, read_tensors
from ._lanes import N_LANES
from ._traced import numbers_set, optimizer_for, optimizer_numbers

# Values of the rows of one round, which limit its memory, and updates in it.
MOST_VALUES = 2**21
MOST_STEPS = 64


class LaneProgram:
    """The program of one structure and batch size.

    Parameters
    ----------
    spec : dict
        From `describe`, of one of the networks.
    engine : Engine
        Of the structure: its optimizer, and how its weights lie in a vector.
    batch_size : int
        Rows per update.
    compiled : bool
        Whether XLA compiles it, which takes a second or two; otherwise it is a
        TensorFlow graph. These two round differently.

    Attributes
    ----------
    n_rows : int
        Rows of a lane in a round, a multiple of the batch size.
    n_rates : int
        How many dropouts each network has.
    """

    def __init__(self, spec, engine, batch_size, compiled):
        self.network, self.batch_size = spec["network"], batch_size
        self.smoothing = spec["loss"]["label_smoothing"]
        self.layout = engine.layout
        self.dtype = self.network["dtype"]
        per_step = N_LANES * batch_size * self.network["n_features"]
        n_steps = min(max(MOST_VALUES // per_step, 1), MOST_STEPS)
        self.n_rows = n_steps * batch_size
        rates = self.network["input_dropout"], *self.network["dropout"]
        self.n_rates = sum(map(bool, rates))
        self._described = engine.optimizer
        self._compiled = compiled
        self._program = None
        self._lock = threading.Lock()

    def __call__(self, *arguments):
        """Train a round, see `_round`."""
        try:
            return self._made()(*arguments)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            if not self._compiled:
                raise
            # XLA refuses a whole program, before any of it has run.
            with self._lock:
                self._compiled, self._program = False, None
            return self._made()(*arguments)

    def variables(self):
        """Return new variables for a pack: the weights, then those of the optimizer.

        Returns
        -------
        variables : list of tf.Variable of shape (N_LANES, n)
            A row for each lane.
        """
        vector, optimizer = self._vector_and_optimizer()
        known = [vector, *optimizer.variables]
        forms = [(v.shape if len(v.shape) else (N_LANES, 1), v.dtype) for v in known]
        return [tf.Variable(tf.zeros(*form)) for form in forms]

    def _vector_and_optimizer(self):
        """Return a Keras variable of all weights, and the optimizer that updates it."""
        zeros = tf.zeros([N_LANES, sum(self.layout.sizes)], self.dtype)
        vector = keras.Variable(zeros, name="flat", dtype=self.dtype)
        return vector, optimizer_for([vector], self._described)

    def _made(self):
        with self._lock:
            if self._program is None:
                self._program = self._make()
            return self._program

    def _make(self):
        network, lanes = self.network, (N_LANES,)
        self._vector, self._optimizer = self._vector_and_optimizer()
        own = [self._vector, *self._optimizer.variables]
        for variable in own:
            if not len(variable.shape):
                reshape_variable(variable, (N_LANES, 1))
        numbers = optimizer_numbers(self._optimizer)
        n_fixed = 0 if network["input_scaling"] is None else 2
        fixed = tf.TensorSpec([N_LANES, 1, network["n_features"]], self.dtype)
        variables = self.variables()
        rows = (*lanes, self.n_rows)
        program = tf.function(
            self._round, jit_compile=self._compiled, autograph=False
        ).get_concrete_function(
            variables,
            tf.TensorSpec([N_LANES, self.n_rates + len(numbers)], tf.float64),
            [fixed] * n_fixed,
            tf.TensorSpec([N_LANES, self.n_rates], tf.int64),
            tf.TensorSpec([*rows, network["n_features"]], self.dtype),
            tf.TensorSpec(rows, tf.int32),
            tf.TensorSpec(rows, self.dtype),
            tf.TensorSpec(lanes, tf.int32),
        )
        empty_variables([*variables, *(variable.value for variable in own)])
        return program

    def _round(self, variables, numbers, fixed, seeds, x, y, weights, n_rows):  # noqa: PLR0913
        """Train on the first rows of each lane; return sums of losses, and hits."""
        own = [self._vector, *self._optimizer.variables]
        zeros = tf.zeros([N_LANES], self.dtype), tf.zeros([N_LANES], tf.int32)
        n_rates = seeds.shape[1]
        rates = tf.unstack(numbers[:, :n_rates, None, None], axis=1)
        of_optimizer = tf.unstack(numbers[:, n_rates:, None], axis=1)
        last = tf.reduce_max(n_rows)

        def body(start, losses, hits):
            size = N_LANES, self.batch_size
            rows = [
                tf.slice(x, [0, start, 0], [*size, x.shape[2]]),
                tf.slice(y, [0, start], size),
                tf.slice(weights, [0, start], size),
            ]
            left = (n_rows - start)[:, None]
            loss, hit = self._update(own, rows, left, fixed, seeds, rates)
            return start + self.batch_size, losses + loss, hits + hit

        def in_range(start, *_):
            return start < last

        owners = optimizer_numbers(self._optimizer)
        with standing_in(own, variables), numbers_set(owners, of_optimizer):
            start = (tf.constant(0), *zeros)
            return tf.while_loop(in_range, body, start, parallel_iterations=1)[1:]

    def _update(self, own, rows, left, fixed, seeds, rates):
        """Update the lanes that have rows left."""
        x, y, weights = rows
        counts = tf.range(self.batch_size)[None] < left
        weights = tf.where(counts, weights, tf.zeros_like(weights))
        before = [tf.identity(variable.value) for variable in own]
        draws = tf.cast(self._optimizer.iterations.value, seeds.dtype)
        seeds = tf.stack([seeds, tf.broadcast_to(draws, seeds.shape)], axis=2)
        draws = zip(tf.unstack(seeds, axis=1), rates, strict=True)
        with tf.GradientTape() as tape:
            outputs = self._outputs(self._vector.value, x, fixed, draws)
            losses = self._losses(y, outputs)
            means = tf.math.divide_no_nan(
                tf.reduce_sum(losses * weights, axis=1), tf.reduce_sum(weights, axis=1)
            )
            # The gradient of each lane is that of its own loss.
            total = tf.reduce_sum(means)
        gradient = tape.gradient(total, self._vector.value)
        self._optimizer.apply([gradient], [self._vector])
        trains = left > 0
        for variable, old in zip(own, before, strict=True):
            variable.value.assign(tf.where(trains, variable.value, old))
        n_rows = tf.reduce_sum(tf.cast(counts, means.dtype), axis=1)
        # The rest of a lane may be anything.
        losses = tf.where(trains[:, 0], means * n_rows, tf.zeros_like(means))
        right = tf.logical_and(self._right(y, outputs), counts)
        return losses, tf.reduce_sum(tf.cast(right, tf.int32), axis=1)

    def _outputs(self, vectors, x, fixed, draws):
        """Return the outputs of each lane's network, before the last activation."""
        parts = tf.split(vectors, self.layout.sizes, axis=1)
        shapes = [s if len(s) == 2 else (1, *s) for s in self.layout.shapes]
        parts = zip(parts, shapes, strict=True)
        parts = iter([tf.reshape(part, (N_LANES, *shape)) for part, shape in parts])
        if fixed:
            x = (x - fixed[0]) / fixed[1]
        if self.network["input_scaling"] == "learned":
            x *= SCALE_SPEED * next(parts)
        if self.network["input_dropout"]:
            x = _dropped(x, *next(draws))
        layers = zip(self.network["activations"], self.network["dropout"], strict=True)
        for name, rate in layers:
            x = keras.activations.get(name)(x @ next(parts) + next(parts))
            if rate:
                x = _dropped(x, *next(draws), self.network["shared_dropout"])
        return x @ next(parts) + next(parts)

    def _losses(self, y, outputs):
        """Return the loss of each row: the cross-entropy, with smoothed labels."""
        smoothing = self.smoothing
        if outputs.shape[2] == 1:
            targets = tf.cast(y, self.dtype) * (1 - smoothing) + smoothing / 2
            return tf.nn.sigmoid_cross_entropy_with_logits(targets, outputs[:, :, 0])
        if not smoothing:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(y, outputs)
        n_outputs = outputs.shape[2]
        off = smoothing / n_outputs
        targets = tf.one_hot(y, n_outputs, 1 - smoothing + off, off, dtype=self.dtype)
        return tf.nn.softmax_cross_entropy_with_logits(targets, outputs)

    def _right(self, y, outputs):
        if outputs.shape[2] == 1:
            return tf.equal(outputs[:, :, 0] > 0, y > 0)
        return tf.equal(tf.argmax(outputs, axis=2, output_type=tf.int32), y)


def _dropped(x, seeds, rate, shared=False):
    """Set some inputs to zero, as `CheapDropout` does, in each lane by itself."""
    drawn = draw_uniform(seeds, [1 if shared else x.shape[1], x.shape[2]], x.dtype)
    kept = drawn >= tf.cast(2 * rate - 1, x.dtype)
    return tf.where(kept, x / tf.cast(1 - rate, x.dtype), tf.zeros_like(x))


class LanePack:
    """Eight lanes that train together: their variables, and the rows of a round.

    Parameters
    ----------
    program : LaneProgram
        The program.

    Attributes
    ----------
    free : list of int
        Lanes without a fit.
    seats : list of Seat
        The fits. Like `free` and `is_running`, they belong to the meeting.
    is_running : bool
        Whether a round runs, or somebody is called to run it.
    """

    def __init__(self, program):
        self.program = program
        self.free, self.seats, self.is_running = list(range(N_LANES)), [], False
        network, n_rows = program.network, program.n_rows
        self._variables = program.variables()
        n_features = network["n_features"]
        self._x = aligned_empty((N_LANES, n_rows, n_features), program.dtype)
        self._x[:] = 0
        self._y = np.zeros((N_LANES, n_rows), np.int32)
        self._weights = np.ones((N_LANES, n_rows), program.dtype)
        self._n_rows = np.zeros(N_LANES, np.int32)
        self._seeds = np.zeros((N_LANES, program.n_rates), np.int64)
        self._numbers = [None] * N_LANES
        self._fixed = [
            np.ones((N_LANES, 1, n_features), program.dtype)
            for name, _ in layer_variables(network)
            if name in ("centre", "scale")
        ]
        self._begin = {}

    def begin(self, lane, rows, fixed, seeds, numbers):
        """Let a lane begin anew.

        Parameters
        ----------
        lane : int
            The lane.
        rows : list of ndarray
            Its row of each variable.
        fixed : list of ndarray of shape (n_features,)
            Center and scale of the inputs, if there are any.
        seeds : list of int
            Seed of each dropout.
        numbers : ndarray
            Rates of dropout, then the numbers of the optimizer.
        """
        self._begin[lane] = rows
        self._seeds[lane], self._numbers[lane] = seeds, numbers
        for whole, own in zip(self._fixed, fixed, strict=True):
            whole[lane, 0] = own

    def put(self, lane, rows, numbers):
        """Put rows into a lane for the next round.

        Parameters
        ----------
        lane : int
            The lane.
        rows : LaneRows
            Training data.
        numbers : ndarray of int
            Which of them, at most `LaneProgram.n_rows`.
        """
        n_rows = self._n_rows[lane] = len(numbers)
        np.take(rows.x, numbers, axis=0, out=self._x[lane, :n_rows], mode="clip")
        np.take(rows.y, numbers, out=self._y[lane, :n_rows], mode="clip")
        if rows.weights is None:
            self._weights[lane, :n_rows] = 1
        else:
            np.take(
                rows.weights, numbers, out=self._weights[lane, :n_rows], mode="clip"
            )

    def run(self, lanes):
        """Train a round.

        Parameters
        ----------
        lanes : list of int
            The lanes that take part.

        Returns
        -------
        losses, hits : ndarray of shape (N_LANES,)
            Sum of the losses, and rows classified correctly.
        values : list of ndarray of shape (N_LANES, n)
            The variables; the arrays never change.
        """
        self._assign_first_values()
        n_rows = np.zeros(N_LANES, np.int32)
        n_rows[lanes] = self._n_rows[lanes]
        known = next(n for n in self._numbers if n is not None)
        numbers = [known if n is None else n for n in self._numbers]
        losses, hits = self.program(
            self._variables,
            tf.constant(np.stack(numbers)),
            [tf.constant(whole) for whole in self._fixed],
            tf.constant(self._seeds),
            as_tensor(self._x, self.program.dtype),
            tf.constant(self._y),
            tf.constant(self._weights),
            tf.constant(n_rows),
        )
        return losses.numpy(), hits.numpy(), read_tensors(self._variables)

    def _assign_first_values(self):
        """Give lanes that begin their first values."""
        begin, self._begin = self._begin, {}
        if not begin:
            return
        for i, variable in enumerate(self._variables):
            values = read_tensors([variable])[0].copy()
            for lane, rows in begin.items():
                values[lane] = rows[i]
            variable.assign(values)


class LaneForm:
    """How the arrays of a network lie in a lane.

    Parameters
    ----------
    network : dict
        The network's part of a spec.
    layout : FlatLayout
        How its weights lie in a vector.
    """

    def __init__(self, network, layout):
        names = [name for name, _ in layer_variables(network)]
        self._layout, self._n_layers = layout, len(names)
        other = (STATE, "centre", "scale")
        self._trained = [i for i, name in enumerate(names) if name not in other]
        self._states = [i for i, name in enumerate(names) if name == STATE]
        self._fixed = [i for i, n in enumerate(names) if n in ("centre", "scale")]

    def begin(self, arrays):
        """Return what `LanePack.begin` needs.

        Parameters
        ----------
        arrays : list of ndarray
            Variables of the layers, then of the optimizer, in Keras' order.

        Returns
        -------
        rows, fixed, seeds : list
            See there.
        """
        arrays = [np.asarray(array) for array in arrays]
        own, others = arrays[: self._n_layers], arrays[self._n_layers :]
        where, n_states = self._layout.states, self._layout.n_states
        states = others[where]
        vectors = [_flat(states[i::n_states]) for i in range(n_states)]
        rows = [*others[: where.start], *vectors, *others[where.stop :]]
        weights = _flat([own[i] for i in self._trained])
        seeds = [own[i][0] for i in self._states]
        return [weights, *rows], [own[i] for i in self._fixed], seeds

    def arrays(self, first, values, lane):
        """Return the variables of a lane's network, in Keras' order.

        Parameters
        ----------
        first : list of ndarray
            What it began with.
        values : list of ndarray of shape (N_LANES, n)
            The variables of the pack.
        lane : int
            The lane.

        Returns
        -------
        arrays : list of ndarray
            Copies.
        """
        layout = self._layout
        weights, *others = [value[lane].copy() for value in values]
        own = [np.asarray(array) for array in first[: self._n_layers]]
        for i, part in zip(self._trained, self._parts(weights), strict=True):
            own[i] = part
        begin, n_states = layout.first, layout.n_states
        vectors = [self._parts(v) for v in others[begin : begin + n_states]]
        states = [part for parts in zip(*vectors, strict=True) for part in parts]
        scalars = [other.reshape(()) for other in others if other.shape == (1,)]
        iterations = scalars[0]
        for i in self._states:
            own[i] = np.array([own[i][0], iterations], own[i].dtype)
        return [*own, *scalars[:begin], *states, *scalars[begin:]]

    def _parts(self, vector):
        ends = np.cumsum(self._layout.sizes)[:-1]
        parts = zip(np.split(vector, ends), self._layout.shapes, strict=True)
        return [part.reshape(shape) for part, shape in parts]


def _flat(arrays):
    return np.concatenate([np.asarray(array).reshape(-1) for array in arrays])
