"""Engines: the programs that train a whole epoch, shared by equal networks.

With a small network, Keras' own loop spends most of its time outside the matrix
products. Here an epoch is one program: a loop over shuffled rows that updates the
weights batch by batch. To make a program takes about a second. So it belongs to an
*engine*, which stays in the process and serves all fits of the same architecture and
optimizer. An engine holds no weights: a network's variables are arguments of its
programs. So several fits can share an engine, also in threads.

There are two kinds of programs. XLA compiles one for arrays of a given shape and a
given batch size; it is the fastest, and pays if there is enough to train. Otherwise a
TensorFlow graph serves any numbers; it is made in a fraction of the time. So that folds
with a few rows more or less share a program of XLA, small data are filled up with rows
that no batch has, see `n_filled_up`. The last batch of an epoch may be smaller than the
others. For XLA it is filled up with rows that do not count. If rows are normalized
together, so that each of them counts, a graph trains the last batch.
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
from scipy.sparse import issparse

from .._data import dense_rows
from .._tensors import aligned_empty, as_tensor, empty_variables
from ._traced import (
    Programs,
    dtype_of,
    flat_layout,
    mixes_rows,
    numbers_of,
    state_of,
)

# An engine holds two or three programs and no weights: about 8 MB, freed with it.
MAX_ENGINES = 64

# A rough model of the seconds that XLA gains: for each update, and for each weight in
# an update (XLA fuses the optimizer's arithmetic). They are compared with the seconds
# to compile. Measured in processor seconds of one thread, 128 x 128 units, float64: an
# update took 0.4 ms with XLA and 2.0 ms in a graph, and XLA's program took 1.1 s more
# to make. A wrong guess costs a second or two.
GAIN_PER_STEP = 1e-3
GAIN_PER_WEIGHT = 6e-9
COMPILING = 1.5
# Epochs to expect where nobody knows how many there will be.
USUAL_EPOCHS = 10

# Rows that are evaluated at once; this limits the memory of the hidden layers.
EVALUATION_ROWS = 8192

# Data of more values are not filled up, which would copy them.
MAX_FILLED_UP = 2**22

_engines = OrderedDict()
_engines_lock = threading.Lock()


def shape_of(x, batch_size):
    """Return the shape of the tensors that a program of XLA trains on.

    Parameters
    ----------
    x : ndarray or csr_array of shape (n_samples, n_features)
        Training data.
    batch_size : int
        Rows per update.

    Returns
    -------
    shape : (int, int)
        Number of rows, and rows per update. Of dense data, as many rows as
        `n_filled_up` says; of sparse data, as many as are dense at once.
    """
    n_rows = dense_rows(x, batch_size) if issparse(x) else n_filled_up(*x.shape)
    return n_rows, batch_size


def tensor_rows(dtype, x, y, sample_weight=None, batch_size=1, compiled=False):
    """Return rows for the programs: `TensorRows`, or `ChunkedRows` of sparse data.

    With `compiled`, they have the shape for XLA; see `shape_of`.
    """
    if issparse(x):
        return ChunkedRows(dtype, x, y, sample_weight, batch_size)
    n_tensor = shape_of(x, batch_size)[0] if compiled else None
    return TensorRows(dtype, x, y, sample_weight, n_tensor)


class TensorRows:
    """Rows as tensors, in the types that the programs expect.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Type of the network they are for.
    x : array-like of shape (n_samples, n_features)
        Data.
    y : array-like of shape (n_samples,) or (n_samples, 1)
        Class numbers.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    n_tensor : int, default=None
        Number of rows of the tensors: at least the rows that there are. None for as
        many.
    """

    def __init__(self, dtype, x, y, sample_weight=None, n_tensor=None):
        y = np.asarray(y).reshape(-1)
        self.weighted = sample_weight is not None
        weights = sample_weight if self.weighted else np.ones(len(y))
        self.n_rows = len(y)
        n_tensor = n_tensor or len(y)
        self.data = (
            as_tensor(_filled_up(np.asarray(x, dtype), n_tensor), dtype),
            tf.convert_to_tensor(_filled_up(y.astype(np.int32), n_tensor)),
            tf.convert_to_tensor(_filled_up(np.asarray(weights, dtype), n_tensor)),
        )

    def __len__(self):
        return self.n_rows

    def parts(self, n_rows):
        """Yield the rows in parts of at most `n_rows`."""
        for start in range(0, len(self), n_rows):
            end = min(start + n_rows, len(self))
            yield tuple(tensor[start:end] for tensor in self.data)


def _filled_up(array, n_rows):
    """Return an array with rows of zeros at its end, so that it has so many."""
    if len(array) == n_rows:
        return array
    filled = aligned_empty((n_rows, *array.shape[1:]), array.dtype)
    filled[: len(array)], filled[len(array) :] = array, 0
    return filled


def n_filled_up(n_rows, n_features):
    """Return how many rows a program of XLA has for so many training rows.

    Parameters
    ----------
    n_rows : int
        Number of training rows.
    n_features : int
        Number of features.

    Returns
    -------
    n_filled : int
        At least `n_rows`, and at most an eighth more or 8. The results of a training do
        not depend on it.

    Examples
    --------
    >>> from skmnist.neural_network.keras_side._compiled import n_filled_up
    >>> [n_filled_up(n, 64) for n in (1197, 1198, 1280, 1281)]
    [1280, 1280, 1280, 1408]
    >>> n_filled_up(60_000, 784)
    60000
    """
    if n_rows * n_features > MAX_FILLED_UP:
        return n_rows
    step = 2 ** max(0, (n_rows - 1).bit_length() - 4)
    return -(-n_rows // step) * step


class ChunkedRows:
    """Sparse rows, of which one chunk at a time is dense.

    All chunks share the memory of the first one: a chunk is over when the next begins.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Type of the network they are for.
    x : csr_array of shape (n_samples, n_features)
        Data.
    y : array-like of shape (n_samples,) or (n_samples, 1)
        Class numbers.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    batch_size : int, default=1
        The number of rows in a chunk is a multiple of this.
    """

    def __init__(self, dtype, x, y, sample_weight=None, batch_size=1):
        self.weighted = sample_weight is not None
        self._x = x.astype(dtype, copy=False)
        self._y = np.asarray(y).reshape(-1).astype(np.int32)
        weights = sample_weight if self.weighted else np.ones(len(self._y))
        self._weights = np.asarray(weights, dtype)
        n_dense = dense_rows(self._x, batch_size)
        self._dense = aligned_empty((n_dense, x.shape[1]), dtype)
        self._dense[:] = 0

    def __len__(self):
        return len(self._y)

    @property
    def n_dense(self):
        """Number of rows in a chunk."""
        return len(self._dense)

    def chunk(self, numbers):
        """Return rows as tensors, filled up to `n_dense` with rows of any content.

        Parameters
        ----------
        numbers : slice, or ndarray of int
            At most `n_dense` row numbers.

        Returns
        -------
        x, y, weights : tensor
            The rows.
        """
        found = self._x[numbers]
        found.toarray(out=self._dense[: found.shape[0]])
        missing = self.n_dense - found.shape[0]
        # A new tensor for each chunk: of an old one, a GPU may keep a copy.
        return (
            as_tensor(self._dense, self._dense.dtype),
            tf.convert_to_tensor(np.pad(self._y[numbers], (0, missing))),
            tf.convert_to_tensor(np.pad(self._weights[numbers], (0, missing))),
        )

    def parts(self, n_rows):
        """Yield the rows in parts of at most `n_rows`."""
        n_rows = min(n_rows, self.n_dense)
        for start in range(0, len(self), n_rows):
            part = slice(start, min(start + n_rows, len(self)))
            tensors = self.chunk(part)
            yield tuple(tensor[: part.stop - start] for tensor in tensors)


class Engine:
    """The programs of one architecture.

    Parameters
    ----------
    network : EpochNetwork
        A compiled network. The engine takes its structure, not its weights.
    weighted : bool
        Whether rows have weights.
    shape : (int, int) or None
        Number of rows and rows per update, from `shape_of`, for which XLA compiles;
        None for a graph that serves any numbers.
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
        # What fits without Keras' objects share, see `_plain`.
        self.structure = None
        self._programs = {}
        self._lock = threading.Lock()

    def prepare(self, in_chunks=False):
        """Make the program for training, unless it is there already.

        Parameters
        ----------
        in_chunks : bool, default=False
            Whether it trains on `ChunkedRows`.

        Raises
        ------
        Exception
            Anything that the optimizer raises in a program.
        """
        static = "static_chunk" if in_chunks else "static_epoch"
        self._program("any_epoch" if self.shape is None else static)

    def vectors(self):
        """Return new vectors for one training; see `FlatLayout`.

        Returns
        -------
        vectors : list of tf.Variable
            The weights in one vector, and each state of the optimizer in one; empty
            if the network has no such layout.
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
            The network, with a built optimizer. It is trained in place.
        vectors : list of tf.Variable
            From `vectors`, made for this training.
        rows : TensorRows or ChunkedRows
            Training data.
        order : ndarray of int32 of shape (n_samples,)
            Row numbers in the order to visit.
        batch_size : int
            Rows per update. The last update has the rows that are left.

        Returns
        -------
        logs : dict of str to float
            ``accuracy`` and ``loss``, averaged over the rows while the weights change.
        """
        if isinstance(rows, ChunkedRows):
            sums = self._train_in_chunks(network, vectors, rows, order, batch_size)
        else:
            sums = self._train_at_once(network, vectors, rows, order, batch_size)
        loss = sum(float(loss) for loss, _ in sums)
        hits = sum(int(hits) for _, hits in sums)
        # Names and order as in the history of Keras' own loop.
        return {"accuracy": hits / len(rows), "loss": loss / len(rows)}

    def _train_at_once(self, network, vectors, rows, order, batch_size):
        data = _variables(network), vectors, _numbers(network), *rows.data
        sums = []
        n_visited = self._n_visited(len(order), batch_size)
        if self.shape is not None and n_visited:
            visited = _filled_up(order, self._order_length())
            try:
                program = self._program("static_epoch")
                sums.append(program(*data, visited, np.int32(len(order)), batch_size))
                order = order[n_visited:]
            except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
                # XLA refuses a whole program, before any of it has run.
                self.shape = None
        if len(order):
            program = self._program("any_epoch")
            sums.append(program(*data, order, np.int32(batch_size)))
        return sums

    def _train_in_chunks(self, network, vectors, rows, order, batch_size):
        state = _variables(network), vectors, _numbers(network)
        sums = []
        for start in range(0, len(order), rows.n_dense):
            numbers = order[start : start + rows.n_dense]
            data = *state, *rows.chunk(numbers)
            rest = np.arange(len(numbers), dtype=np.int32)
            n_visited = self._n_visited(len(rest), batch_size)
            if self.shape is not None and n_visited:
                try:
                    program = self._program("static_chunk")
                    n_rows = np.int32(n_visited)
                    sums.append(_as_numbers(program(*data, n_rows, batch_size)))
                    rest = rest[n_visited:]
                except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
                    # As for a whole epoch: XLA refuses before anything has run.
                    self.shape = None
            if len(rest):
                program = self._program("any_epoch")
                sums.append(_as_numbers(program(*data, rest, np.int32(batch_size))))
        return sums

    def _n_visited(self, n_rows, batch_size):
        """Return the number of rows that XLA's program trains."""
        return n_rows if self.fills_up else n_rows // batch_size * batch_size

    def _order_length(self):
        """Return the length of an order of rows for XLA's program."""
        n_rows, batch_size = self.shape
        return -(-n_rows // batch_size) * batch_size

    def evaluate(self, network, rows):
        """Return the mean loss and the accuracy of a network.

        Parameters
        ----------
        network : EpochNetwork
            The network.
        rows : TensorRows
            Data to evaluate it on.

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
        """Return a program; make it the first time."""
        with self._lock:
            if name not in self._programs:
                self._programs[name] = self._make(name)
            return self._programs[name]

    def _make(self, name):
        """Trace a program with the layers of a network that nobody else has."""
        network = keras.Sequential.from_config(self.config)
        programs = Programs(network, self.optimizer, self.loss, self.weighted)
        static = name.startswith("static")
        n_rows, batch_size = self.shape if static else (None, None)
        data = [
            tf.TensorSpec([n_rows, network.inputs[0].shape[-1]], dtype_of(network)),
            tf.TensorSpec([n_rows], tf.int32),
            tf.TensorSpec([n_rows], dtype_of(network)),
        ]
        number = tf.TensorSpec([], tf.int32)
        rest = [tf.TensorSpec([None], tf.int32), number]
        if n_rows is not None:
            order = tf.TensorSpec([self._order_length()], tf.int32)
            rest = [order, number, batch_size]
        if name == "static_chunk":
            rest = [number, batch_size]
        variables = [v.value for v in programs.variables]
        vectors = self.vectors()
        numbers = tf.TensorSpec([len(programs.numbers)], tf.float64)
        arguments = [variables, vectors, numbers, *data, *rest]
        if name == "evaluation":
            arguments = [variables, *data]
        # A concrete function saves the search for a trace that fits the arguments.
        program = tf.function(
            getattr(programs, name), jit_compile=n_rows is not None, autograph=False
        ).get_concrete_function(*arguments)
        programs.release()
        empty_variables(vectors)
        return program


def pays_to_compile(n_parameters, n_updates):
    """Return whether XLA saves more time than compiling takes.

    The answer depends only on parameters and data, and not on what is compiled already:
    the two kinds of programs round differently, and a fit must give the same numbers
    whatever ran before it.

    Parameters
    ----------
    n_parameters : int
        Number of weights and biases of the network.
    n_updates : int
        Number of updates that the training is likely to make.

    Returns
    -------
    pays : bool
        Whether to compile.
    """
    return n_updates * (GAIN_PER_STEP + n_parameters * GAIN_PER_WEIGHT) > COMPILING


def n_threads():
    """Return the number of threads of a fit in this process.

    Returns
    -------
    n_threads : int
        The number set in TensorFlow, or in the environment variable
        ``TF_NUM_INTRAOP_THREADS``; otherwise the number of cores.
    """
    chosen = tf.config.threading.get_intra_op_parallelism_threads()
    chosen = chosen or int(os.environ.get("TF_NUM_INTRAOP_THREADS", "0"))
    return chosen or joblib.cpu_count()


def engine_for(network, weighted, shape):
    """Return the engine for a network; make it if there is none.

    At most `MAX_ENGINES` are kept. The least recently used one is dropped.

    Parameters
    ----------
    network, weighted, shape
        As for `Engine`.

    Returns
    -------
    engine : Engine
        An engine that all such networks share.
    """
    key = engine_key(network, weighted, shape)
    with _engines_lock:
        if key not in _engines:
            _engines[key] = Engine(network, weighted, shape)
        _engines.move_to_end(key)
        while len(_engines) > MAX_ENGINES:
            _engines.popitem(last=False)
        return _engines[key]


def engine_of(key):
    """Return the engine of a key, or None if there is none any more.

    Parameters
    ----------
    key : str
        From `engine_key`.

    Returns
    -------
    engine : Engine or None
        The engine; it counts as just used.
    """
    with _engines_lock:
        if key in _engines:
            _engines.move_to_end(key)
        return _engines.get(key)


def clear_engines() -> None:
    """Drop all compiled programs of this process, and free their memory.

    Later fits work as before; each kind of fit makes its program again, which takes
    about a second. Without a call of this function, a process keeps the programs of the
    last 64 kinds of fits: networks of one architecture, optimizer, loss and data shape.

    Examples
    --------
    >>> from skmnist.neural_network import clear_engines
    >>> clear_engines()
    """
    with _engines_lock:
        _engines.clear()


def engine_key(network, weighted, shape):
    """Describe all that the program of an epoch depends on.

    Initial weights, seeds, a constant learning rate and `numbers_of` are left out. They
    are arguments, which each fit brings along.

    Parameters
    ----------
    network, weighted, shape
        As for `Engine`.

    Returns
    -------
    key : str
        The same for all networks that can share an engine.
    """
    optimizer = keras.optimizers.serialize(network.optimizer)
    optimizer["config"].pop("name", None)
    if isinstance(optimizer["config"].get("learning_rate"), float):
        optimizer["config"].pop("learning_rate")
    layers = [{"config": layer.get_config()} for layer in network.layers]
    parts = {**dict(enumerate(layers)), "optimizer": optimizer}
    for _, name, place in numbers_of(network, network.optimizer):
        part = {"config": parts}
        for key in place:
            part = part["config"][key]
        part["config"][name] = "a number"
    layers = [
        _without(layer["config"], "kernel_initializer", "seed") for layer in layers
    ]
    loss = keras.losses.serialize(network.loss)
    described = {
        "inputs": [network.inputs[0].shape[-1], network.inputs[0].dtype],
        "layers": layers,
        "optimizer": optimizer,
        "loss": loss,
        "rows": [weighted, shape],
    }
    return json.dumps(described, sort_keys=True, default=str)


def _as_numbers(sums):
    """Return the results of a program as numbers, when it has ended."""
    return [tensor.numpy() for tensor in sums]


def _without(config, *names):
    return {name: value for name, value in config.items() if name not in names}


def _numbers(network):
    """Return the numbers of a network and its optimizer, as they are now."""
    if hasattr(network, "program_numbers"):  # without Keras' objects
        return network.program_numbers
    numbers = numbers_of(network, network.optimizer)
    return np.array([getattr(owner, name) for owner, name, _ in numbers], np.float64)


def _variables(network):
    """Return the TensorFlow variables of a network and its optimizer."""
    if hasattr(network, "program_variables"):
        return network.program_variables
    return [v.value for v in (*state_of(network), *network.optimizer.variables)]
