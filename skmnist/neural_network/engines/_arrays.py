"""The training of small networks by NumPy: one network, or several side by side.

A small network keeps a computer busy with all but its arithmetic: to start an operation
of TensorFlow takes longer than the operation, and to compile a program of them takes
longer than all updates. NumPy starts quicker, and has nothing to compile.

Networks of one structure take each step together, see `_gradients` and `_updates`: so
the time to start operations is shared. The results are those of each network alone,
bit by bit.
"""

# SPDX-License-Identifier: BSD-3-Clause

import copy
import itertools
import math
import time
from typing import NamedTuple

import numpy as np

from .._inference import STATE, layer_variables
from ._gradients import Gradients, loss_of
from ._updates import Update, apply_update, step_sizes

# Outputs of a network in one round, or inputs that are made for it: they limit memory.
MOST_VALUES = 2**20
# Inputs of all networks that are gathered at once: they stay in the cache.
VALUES_AT_ONCE = 2**17
# Values of the rows of a fit that another process keeps.
MOST_KEPT = 2**26  # 47 million are MNIST
# Updates of a round, and products of a weight and a row. With more updates, to begin
# and end a round no longer counts. A round takes some tenths of a second at most: so
# long can it take to interrupt a block of lanes.
MOST_STEPS, MOST_PRODUCTS = 192, 2**29

_NOT_TRAINED = (STATE, "centre", "scale")


class Form:
    """How the variables of a network and its optimizer lie in vectors.

    Parameters
    ----------
    network : dict
        The network's part of a spec, see `describe`.
    optimizer : Described
        What is known of its optimizer.
    """

    def __init__(self, network, optimizer):
        self._named = layer_variables(network)
        self._dtype = np.dtype(network["dtype"])
        self._optimizer = optimizer
        kept = [shape for name, shape in self._named if name not in _NOT_TRAINED]
        self._shapes = kept
        self._ends = np.cumsum([math.prod(shape) for shape in kept])

    def vector(self, arrays):
        """Return all trained weights as one new vector."""
        named = zip(self._named, arrays, strict=False)
        kept = [array for (name, _), array in named if name not in _NOT_TRAINED]
        flat = [np.asarray(array, self._dtype).reshape(-1) for array in kept]
        return np.concatenate(flat)

    def seeds(self, arrays):
        """Return the seed of each dropout, and how often it has drawn."""
        named = zip(self._named, arrays, strict=False)
        return [tuple(map(int, array)) for (name, _), array in named if name == STATE]

    def scaling(self, arrays):
        """Return center and scale of the inputs; None if they are not scaled."""
        named = zip(self._named, arrays, strict=False)
        found = [array for (name, _), array in named if name in ("centre", "scale")]
        return [np.asarray(array, self._dtype) for array in found] or None

    def layer_arrays(self, first, training):
        """Return the variables of the layers as they are now, in Keras' order."""
        parts, found = iter(self._parts(training.weights)), []
        states = zip(training.seeds, training.draws, strict=True)
        for (name, _), array in zip(self._named, first, strict=False):
            if name == STATE:
                array = np.array(next(states))
            elif name in _NOT_TRAINED:
                array = np.asarray(array, self._dtype)
            else:
                array = next(parts)
            found.append(array)
        return found

    def optimizer_arrays(self, training):
        """Return the variables of the optimizer as they are now, in Keras' order."""
        optimizer, states = self._optimizer, iter(training.states)
        found = [np.array(training.n_updates, np.int64)]
        if optimizer.rate is not None:
            found.append(optimizer.rate)
        for n_kinds in optimizer.groups:
            kinds = [self._parts(next(states)) for _ in range(n_kinds)]
            found += [part for parts in zip(*kinds, strict=True) for part in parts]
        if optimizer.has_product:
            found.append(training.product.reshape(()).copy())
        return found

    def read_optimizer(self, arrays, training):
        """Give a training what the optimizer of an earlier one knew.

        Parameters
        ----------
        arrays : list of ndarray
            All variables of the earlier training, in Keras' order.
        training : Training
            Changed in place. Its learning rate stays.
        """
        optimizer, found = self._optimizer, iter(arrays[len(self._named) :])
        training.n_updates = int(next(found))
        if optimizer.rate is not None:
            next(found)
        states = iter(training.states)
        for n_kinds in optimizer.groups:
            kinds = [[] for _ in range(n_kinds)]
            for _ in self._shapes:
                for kind in kinds:
                    kind.append(np.asarray(next(found)).reshape(-1))
            for kind in kinds:
                next(states)[:] = np.concatenate(kind)
        if optimizer.has_product:
            training.product[:] = next(found)

    def _parts(self, vector):
        """Return copies of a vector's parts, in the shapes of the variables."""
        parts = np.split(vector.copy(), self._ends[:-1])
        return [p.reshape(s) for p, s in zip(parts, self._shapes, strict=True)]


class ArrayRows:
    """Training rows as a network sees them, in its own type, and a one behind each.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Type of the network.
    rows : Rows
        The rows, dense or sparse.
    scaling : (ndarray, ndarray) or None
        Center and scale of the inputs.

    Attributes
    ----------
    are_sparse : bool
        Whether they are made dense when they are needed.
    are_kept : bool
        Whether another process may keep all of them, until the fit ends.
    """

    def __init__(self, dtype, rows, scaling):
        # A worker needs no SciPy, which takes longer to load than all else.
        self.are_sparse = not isinstance(rows.X, np.ndarray)
        self._scaling, self._has_ones = scaling, False
        if self.are_sparse:
            self._x = rows.X.astype(dtype, copy=False)
        else:
            self._x = np.ascontiguousarray(rows.X, dtype)
            if scaling is not None:
                self._x = _scaled(self._x, *scaling)
            self._has_ones = self._x.size <= MOST_VALUES
            if self._has_ones:
                self._x = _with_ones(self._x)
        self.are_kept = not self.are_sparse and self._x.size <= MOST_KEPT
        self._y = np.asarray(rows.y).reshape(-1).astype(np.intp)
        weights = rows.sample_weight
        self._weights = None if weights is None else np.asarray(weights, dtype)

    def __len__(self):
        return len(self._y)

    def n_dense(self, batch_size):
        """Return how many rows may be dense at once."""
        if not self.are_sparse:
            return len(self)
        from .._data import dense_rows

        most = max(batch_size, MOST_VALUES // max(1, self._x.shape[1]))
        return min(most, dense_rows(self._x, batch_size))

    def inputs(self, numbers, x):
        """Write the inputs of some rows, and their ones, into an array."""
        if self._has_ones:
            # "clip" lets NumPy write into the array itself; no index is out of range.
            np.take(self._x, numbers, axis=0, out=x, mode="clip")
        else:
            x[:, :-1], x[:, -1] = self._dense(numbers), 1

    def labels(self, numbers, y, weights):
        """Write the class numbers and the weights of some rows into arrays."""
        y[:] = self._y[numbers]
        weights[:] = 1 if self._weights is None else self._weights[numbers]

    def _dense(self, numbers):
        if not self.are_sparse:
            return self._x[numbers]
        x = self._x[numbers].toarray()
        return x if self._scaling is None else _scaled(x, *self._scaling)


def _with_ones(x):
    """Return a copy of rows with a one behind each."""
    rows = np.ones((len(x), x.shape[1] + 1), x.dtype)
    rows[:, :-1] = x
    return rows


def _scaled(x, centre, scale):
    # The difference first: it is exact where the data are far from zero.
    return (x - centre) / scale


class Training:
    """One network in training.

    Parameters
    ----------
    spec : dict
        From `describe`.
    optimizer : Described
        What is known of its optimizer.
    weights : ndarray of shape (n_weights,)
        The weights, which are changed in place.
    seeds : list of (int, int)
        Seed of each dropout, and how often it has drawn.
    batch_size : int
        Rows per update.

    Attributes
    ----------
    states : list of ndarray of shape (n_weights,)
        What the optimizer keeps for each weight.
    product : ndarray of shape (1,)
        What it keeps for the whole network.
    n_updates : int
        Updates so far.
    losses, hits : ndarray of float and of int
        For each part of the last round: the sum of the losses, and the rows that were
        classified correctly.
    seconds : float
        Its share of the last round's time.
    n_rows, n_steps : int
        Rows and updates of the next round.
    first_steps : list of int
        The step with which each part of the next round begins, and where all end.
    """

    def __init__(self, spec, optimizer, weights, seeds, batch_size):
        self.network, self.smoothing = spec["network"], spec["loss"]["label_smoothing"]
        self.optimizer, self.batch_size = optimizer, batch_size
        self.weights = weights
        self.states = [np.full_like(weights, first) for first in optimizer.fills]
        self.product = np.ones(1, weights.dtype)
        self.n_updates = 0
        self.seeds, self.draws = np.array(seeds, np.int64).reshape(-1, 2).T.copy()
        rates = self.network["input_dropout"], *self.network["dropout"]
        self.dropout = [rate for rate in rates if rate]
        self.put(None, ())
        self.losses = self.hits = ()
        self.seconds = 0.0

    def put(self, rows, parts):
        """Choose what the next round trains on.

        Parameters
        ----------
        rows : ArrayRows
            The rows.
        parts : list of ndarray of int
            Numbers of rows, in the order to visit: of an epoch each, or of a part of
            one. A part begins with a new batch.
        """
        self.rows, self.parts = rows, parts
        self.n_rows = sum(map(len, parts))
        sizes = [-(-len(part) // self.batch_size) for part in parts]
        self.first_steps = list(itertools.accumulate(sizes, initial=0))
        self.n_steps = self.first_steps[-1]

    def round_size(self, n_rows, n_dense):
        """Return how many rows to put at once, to train on all in parts alike.

        Parameters
        ----------
        n_rows : int
            Rows of an epoch.
        n_dense : int
            Rows that may be dense at once.

        Returns
        -------
        size : int
            A multiple of the batch size.
        """
        n_steps = -(-n_rows // self.batch_size)
        most = -(-min(n_dense, self._most_rows) // self.batch_size)
        n_parts = -(-n_steps // min(most, self._most_steps))
        return -(-n_steps // n_parts) * self.batch_size

    def epochs_at_once(self, n_rows):
        """Return how many epochs of some rows a round may have; one if in doubt."""
        n_steps = -(-n_rows // self.batch_size)
        n_padded = n_steps * self.batch_size
        return max(1, min(self._most_steps // n_steps, self._most_rows // n_padded))

    @property
    def _most_rows(self):
        """The most rows of a round."""
        return max(1, MOST_VALUES // self.network["n_outputs"])

    @property
    def _most_steps(self):
        """The most updates of a round."""
        n_products = len(self.weights) * self.batch_size
        return max(1, min(MOST_STEPS, MOST_PRODUCTS // n_products))

    @property
    def n_values_to_send(self):
        """The values of the rows that another process needs for the next round."""
        n_rows = len(self.rows) if self.rows.are_kept else self.n_rows
        return n_rows * self.network["n_features"]

    def parcel(self):
        """Return a copy that has what the next round needs, and no more, as plain data.

        Returns
        -------
        parcel : Training
            It trains in another process like this one.
        """
        numbers = self.n_updates + np.arange(self.n_steps)
        parcel = copy.copy(self)
        parcel.optimizer = _KnownRates.of(self.optimizer, numbers)
        if not self.rows.are_kept:
            parcel.rows = _TakenRows(self)
            ends = np.cumsum([0, *map(len, self.parts)]).tolist()
            parcel.parts = list(map(range, ends, ends[1:]))
        return parcel

    def changes(self):
        """Return what a round has changed."""
        numbers = self.n_updates, self.losses, self.hits, self.seconds
        return self._arrays(), numbers

    def take_over(self, changes):
        """Take what a round has changed in the copy of another process.

        Parameters
        ----------
        changes : tuple
            From `changes`, of a `parcel`.
        """
        arrays, numbers = changes
        for own, trained in zip(self._arrays(), arrays, strict=True):
            own[:] = trained
        self.n_updates, self.losses, self.hits, self.seconds = numbers

    def _arrays(self):
        """List the arrays that a round changes."""
        return [self.weights, self.product, self.draws, *self.states]


class _KnownRates(NamedTuple):
    """The optimizer of a parcel."""

    config: dict
    decay: float | None
    known: np.ndarray

    @classmethod
    def of(cls, optimizer, updates):
        """Return what the next updates need of an optimizer."""
        # The rate may be a schedule in there.
        config = {k: v for k, v in optimizer.config.items() if k != "learning_rate"}
        return cls(config, optimizer.decay, optimizer.rates(updates))

    def rates(self, updates):
        """Return the learning rates of these updates, and any rates after them."""
        return np.resize(self.known, len(updates))


class _TakenRows:
    """The rows of a parcel: those of one round, in the order to visit."""

    are_sparse = are_kept = False

    def __init__(self, training):
        n_rows, dtype = training.n_rows, training.weights.dtype
        self._x = np.empty((n_rows, training.network["n_features"] + 1), dtype)
        self._y, self._weights = np.empty(n_rows, np.intp), np.empty(n_rows, dtype)
        numbers = np.concatenate(training.parts)
        training.rows.inputs(numbers, self._x)
        training.rows.labels(numbers, self._y, self._weights)

    def inputs(self, numbers, x):
        """Write the inputs of some of them into an array."""
        np.take(self._x, numbers, axis=0, out=x, mode="clip")

    def labels(self, numbers, y, weights):
        """Write the class numbers and the weights of some of them into arrays."""
        y[:], weights[:] = self._y[numbers], self._weights[numbers]


def train_round(trainings):
    """Train networks of one structure on the rows that were put.

    Parameters
    ----------
    trainings : list of Training
        All of one structure and batch size. Each is changed in place.
    """
    began = time.perf_counter()
    # Those with most updates first: then those that still train are always the first.
    trainings = sorted(trainings, key=lambda one: -one.n_steps)
    batches = _Batches(trainings)
    state = _State(trainings, batches)
    masks = _Masks(trainings)
    n_networks = 0
    with np.errstate(all="ignore"):
        for step in range(trainings[0].n_steps):
            if n_networks != batches.n_networks[step]:
                n_networks = batches.n_networks[step]
                state.keep(n_networks)
            if step % batches.n_at_once == 0:
                batches.gather(step, n_networks)
            state.gradients(step, masks(step, n_networks))
            state.update(step)
        state.write_back(trainings)
        batches.write_back(trainings)
    for one in trainings:
        one.seconds = (time.perf_counter() - began) / len(trainings)


class _Batches:
    """The batches of a round, filled up with rows that do not count.

    Attributes
    ----------
    n_networks : list of int
        How many networks train in each step: the first ones.
    n_at_once : int
        The inputs of so many steps are in memory at once.
    x : ndarray of shape (n_networks, n_at_once, batch_size, n_features + 1)
        Those inputs; in the first of these steps, call `gather`.
    loss : Softmax or Logistic
        What the outputs are compared with.
    """

    def __init__(self, trainings):
        first, n = trainings[0], len(trainings)
        n_steps, size = first.n_steps, first.batch_size
        dtype = first.weights.dtype
        shape = n, n_steps, size
        self._rows = [one.rows for one in trainings]
        self._n_steps = [one.n_steps for one in trainings]
        # Rows that do not count are the first one again.
        self._numbers, true = np.zeros(shape, np.intp), np.zeros(shape, np.intp)
        weights, self._counts = np.zeros(shape, dtype), np.zeros(shape, bool)
        arrays = self._numbers, true, weights, self._counts
        for i, one in enumerate(trainings):
            self._fill(one, *(array[i].reshape(-1) for array in arrays))
        sums = weights.sum(axis=2, keepdims=True)
        weights /= np.where(sums == 0, 1, sums)
        self.loss = loss_of(first.network, first.smoothing, true, weights)
        steps = np.array(self._n_steps)[:, None]
        self.n_networks = np.sum(steps > np.arange(n_steps), axis=0).tolist()
        row = first.network["n_features"] + 1
        self.n_at_once = max(1, VALUES_AT_ONCE // (n * size * row))
        # To take some rows of a sparse matrix takes as long as to take many.
        if self.n_at_once > n_steps or any(rows.are_sparse for rows in self._rows):
            self.n_at_once = n_steps
        self.x = np.empty((n, self.n_at_once, size, row), dtype)

    @staticmethod
    def _fill(one, numbers, true, weights, counts):
        """Write which rows a network visits, and their labels."""
        for step, part in zip(one.first_steps, one.parts, strict=False):
            begin = step * one.batch_size
            own = slice(begin, begin + len(part))
            numbers[own], counts[own] = part, True
            one.rows.labels(part, true[own], weights[own])

    def gather(self, step, n):
        """Put the inputs of a step and of the next ones into memory.

        Parameters
        ----------
        step : int
            Number of the step in the round.
        n : int
            How many networks still train.
        """
        for i in range(n):
            n_steps = min(self.n_at_once, self._n_steps[i] - step)
            numbers = self._numbers[i, step : step + n_steps].reshape(-1)
            x = self.x[i, :n_steps].reshape(len(numbers), -1)
            self._rows[i].inputs(numbers, x)

    def write_back(self, trainings):
        """Give each network its results."""
        losses, right = self.loss.results()
        losses = losses * self._counts.sum(axis=2)
        hits = np.sum(right & self._counts, axis=2)
        for i, one in enumerate(trainings):
            *first, n_steps = one.first_steps
            one.losses = np.add.reduceat(losses[i, :n_steps], first)
            one.hits = np.add.reduceat(hits[i, :n_steps], first)
            one.n_updates += n_steps
            one.draws += n_steps


class _State:
    """Weights and optimizers of a round, a row for each network."""

    def __init__(self, trainings, batches):
        first, n_steps = trainings[0], trainings[0].n_steps
        dtype = first.weights.dtype
        self._config = first.optimizer.config
        self._weights = _stacked([one.weights for one in trainings])
        self._slopes = np.empty_like(self._weights)
        self._work = np.empty_like(self._weights), np.empty_like(self._weights)
        states = zip(*[one.states for one in trainings], strict=True)
        self._states = [_stacked(rows) for rows in states]
        self._product = _stacked([one.product for one in trainings])
        begin = np.array([one.n_updates for one in trainings])
        numbers = begin[:, None] + np.arange(n_steps)
        rates = [o.optimizer.rates(t) for o, t in zip(trainings, numbers, strict=True)]
        rates = np.array(rates, dtype)[:, :, None]
        numbers = (numbers + 1).astype(dtype)[:, :, None]
        sizes = step_sizes(self._config, rates, numbers)
        self._numbers = rates, sizes, numbers, _parts_kept(trainings, rates)
        self._all_gradients = Gradients(
            first.network, self._weights, self._slopes, batches.x, batches.loss
        )

    def keep(self, n):
        """Keep only the first networks from now on."""
        self.gradients = self._all_gradients.first(n)
        arrays = self._weights, self._slopes, self._product, *self._work
        weights, slopes, product, *work = (array[:n] for array in arrays)
        states = [state[:n] for state in self._states]
        kept = weights, slopes, states, product, tuple(work)
        by_step = (a[:n].swapaxes(0, 1) for a in self._numbers if a is not None)
        self._updates = [Update(*kept, *own) for own in zip(*by_step, strict=True)]

    def update(self, step):
        """Apply the gradients of a step."""
        apply_update(self._config, self._updates[step])

    def write_back(self, trainings):
        for i, one in enumerate(trainings):
            one.weights[:] = self._weights[i]
            one.product[:] = self._product[i]
            for own, rows in zip(one.states, self._states, strict=True):
                own[:] = rows[i]


def _parts_kept(trainings, rates):
    """Return the part of each weight that weight decay leaves, or None."""
    decays = [one.optimizer.decay for one in trainings]
    if decays[0] is None:
        return None
    return 1 - np.array(decays, rates.dtype)[:, None, None] * rates


def _stacked(rows):
    """Return rows as a matrix; a single one is not copied."""
    return rows[0][None] if len(rows) == 1 else np.stack(rows)


class _Masks:
    """What dropout multiplies with, in each step of a round."""

    def __init__(self, trainings):
        first = trainings[0]
        network = first.network
        self._dtype, self._size = first.weights.dtype, first.batch_size
        rates = [network["input_dropout"], *network["dropout"]]
        widths = [network["n_features"], *network["widths"]]
        self._none = [None] * len(rates)
        self._widths = [
            (i, width)
            for i, (rate, width) in enumerate(zip(rates, widths, strict=True))
            if rate
        ]
        if not self._widths:
            return
        self._rates = np.array([one.dropout for one in trainings]).T[:, :, None]
        self._seeds = np.stack([one.seeds for one in trainings], axis=1)[:, :, None]
        self._draws = np.stack([one.draws for one in trainings], axis=1)[:, :, None]
        # A mask for all rows of a batch is short: those of all steps are drawn at once.
        self._of_all_steps = {
            number: self._shared(number, width, first.n_steps)
            for number, (i, width) in enumerate(self._widths)
            if i and network["shared_dropout"]
        }

    def __call__(self, step, n):
        """Return a mask for the inputs, and one for each hidden layer, or None.

        The rows are the last axis of those of hidden layers, see `_gradients`.
        """
        if not self._widths:
            return self._none
        masks = list(self._none)
        for number, (i, width) in enumerate(self._widths):
            if number in self._of_all_steps:
                masks[i] = self._of_all_steps[number][:n, step]
            else:
                shape = n, self._size, width
                n_numbers = self._size * width
                mask = self._drawn(number, slice(n), step, n_numbers, shape)
                masks[i] = mask.swapaxes(1, 2) if i else mask
        return masks

    def _shared(self, number, width, n_steps):
        """Return the masks of all steps, of shape (n_networks, n_steps, width, 1)."""
        n = self._seeds.shape[1]
        steps = np.tile(np.arange(n_steps), n)[:, None]
        every = np.repeat(np.arange(n), n_steps)
        return self._drawn(number, every, steps, width, (n, n_steps, width, 1))

    def _drawn(self, number, networks, steps, n_numbers, shape):
        seeds, draws = self._seeds[number, networks], self._draws[number, networks]
        drawn = uniform(seeds, draws + steps, n_numbers, self._dtype)
        rates = self._rates[number, networks]
        kept = drawn >= (2 * rates - 1).astype(self._dtype)
        mask = kept * (1 / (1 - rates).astype(self._dtype))
        return mask.reshape(shape)


def uniform(seeds, draws, n_numbers, dtype):
    """Draw the numbers of `draw_uniform`, by NumPy.

    Parameters
    ----------
    seeds, draws : ndarray of int of shape (n_draws, 1)
        The seed, and the number of the draw.
    n_numbers : int
        Numbers of each draw.
    dtype : dtype
        Their type.

    Returns
    -------
    numbers : ndarray of shape (n_draws, n_numbers)
        At least -1, and below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist.neural_network.engines._arrays import uniform
    >>> from skmnist.neural_network.keras_side._layers import draw_uniform
    >>> ours = uniform(np.array([[3]]), np.array([[7]]), 5, "float32")
    >>> bool(np.all(ours == np.asarray(draw_uniform([3, 7], [5]))))
    True
    """
    seeds, draws = (np.asarray(a).astype(np.uint32) for a in (seeds, draws))
    start = _hashed(_hashed(draws) ^ seeds)
    key = _hashed(start + np.uint32(0x9E3779B9))
    hashes = _hashed(np.arange(n_numbers, dtype=np.uint32) + start)
    hashes = _hashed(hashes ^ key)
    # The upper 24 bits: a float32 holds them exactly.
    hashes >>= np.uint32(8)
    return hashes.astype(dtype) * 2.0**-23 - 1


def _hashed(bits):
    """Hash 32-bit numbers in place; different numbers have different hashes."""
    bits = bits.copy()
    for distance, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, None)):
        bits ^= bits >> np.uint32(distance)
        if factor is not None:
            bits *= np.uint32(factor)
    return bits
