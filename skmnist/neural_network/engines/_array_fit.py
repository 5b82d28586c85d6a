"""A fit as arrays: what a fit expects of a network, for one that NumPy trains."""

# SPDX-License-Identifier: BSD-3-Clause

import threading
import time
from collections import deque
from contextlib import contextmanager

import numpy as np
from scipy.sparse import issparse
from threadpoolctl import ThreadpoolController

from .._data import dense_rows
from .._inference import (
    CHUNK_ROWS,
    STATE,
    described_layers,
    forward,
    layer_variables,
)
from .._optimizer_params import begins_anew
from ._arrays import ArrayRows, Form, Training, train_round
from ._epochs import run_epochs
from ._first_values import initial_values
from ._hooks import Hooks
from ._lanes import lane_for
from ._optimizer_facts import described_optimizer
from ._plain import PlainNetwork, structure_key

# Larger networks, and larger batches, are trained by TensorFlow: it shares products
# among threads, and XLA passes fewer times over many weights.
MOST_WEIGHTS = 2**17
# Weights times rows of a batch: a third of the multiplications of an update.
MOST_PRODUCTS = 2**25
# With more of them, networks side by side take as long as one after the other. Twelve
# networks of one layer on one core: 50 units and 64 inputs gained 2.0 with batches of
# 32, and 1.3 with 200; 784 inputs and batches of 32 gained 1.4 with 16 units, 1.1 with
# 40, and lost with 150.
MOST_GAINING = 2**20


def trains_as_arrays(spec, n_samples):
    """Return whether NumPy trains a network.

    The answer depends on parameters and data only.

    Parameters
    ----------
    spec : dict
        From `describe`.
    n_samples : int
        Number of training rows.

    Returns
    -------
    as_arrays : bool
        Whether the network is small, without layers that mix rows or distort images,
        and the optimizer is one of Keras' own that treats each number alone.
    """
    network = spec["network"]
    if network["augmentation"] is not None or network["batch_normalization"]:
        return False
    small = _n_weights(network) <= MOST_WEIGHTS
    small = small and _n_products(spec, n_samples) <= MOST_PRODUCTS
    return small and described_optimizer(spec["optimizer"]).has_update


def gains_in_company(spec, n_samples):
    """Return whether fits that NumPy trains gain time side by side on one core.

    Parameters
    ----------
    spec, n_samples
        As for `trains_as_arrays`.

    Returns
    -------
    gains : bool
        Whether the time to start operations is most of an update.
    """
    return _n_products(spec, n_samples) <= MOST_GAINING


def _n_weights(network):
    widths = [network["n_features"], *network["widths"], network["n_outputs"]]
    return sum((a + 1) * b for a, b in zip(widths, widths[1:], strict=False))


def _n_products(spec, n_samples):
    return _n_weights(spec["network"]) * min(spec["batch_size"], n_samples)


class ArrayNetwork(PlainNetwork):
    """A network that NumPy trains.

    Parameters
    ----------
    spec, scaling
        As for `PlainNetwork`; such that `trains_as_arrays`.
    """

    _training = _earlier = None
    _keeps_optimizer = False

    @classmethod
    def after(cls, old, new, arrays, history):
        """Return the network of an earlier training, to train it on.

        Parameters
        ----------
        old, new : dict
            The specs of the earlier training, and of the one that follows. Their
            networks have weights of the same shapes.
        arrays : list of ndarray
            All variables of the earlier one, those of the optimizer too.
        history : dict of str to list of float
            Its curves.

        Returns
        -------
        network : ArrayNetwork
            It has the state of the optimizer, if that is the same and its learning
            rate is constant.
        """
        network = cls(new)
        network.history_ = {name: list(curve) for name, curve in history.items()}
        network._keeps_optimizer = not begins_anew(old["optimizer"], new["optimizer"])
        network._earlier = list(arrays)
        if old["network"] != new["network"]:
            network._earlier = _with_other_draws(old, new, arrays)
        return network

    def fit(self, rows, held_out, *, callbacks, order, batch_size, epochs):
        """Train for some epochs, see `ProgramNetwork.fit`."""
        self._begin(batch_size)
        network, training = self.spec["network"], self._training
        begin = len(self.history_.get("loss", ()))
        callbacks = Hooks(callbacks, self, begin + epochs)
        callbacks.on_train_begin()
        key = structure_key(self.spec), batch_size
        if not gains_in_company(self.spec, len(rows.y)):
            key = None
        n_products = len(rows.y) * len(training.weights) * epochs
        asked = time.perf_counter()
        with one_blas_thread(), lane_for(key, train_round, n_products) as lane:
            self.waited += time.perf_counter() - asked
            # Not earlier: fits that wait for a lane need no copies.
            data = ArrayRows(network["dtype"], rows, self._form.scaling(self._first))
            engine = _Engine(training, lane, order)
            if held_out is None and not callbacks.watch:
                engine.n_epochs = begin + epochs
            logs = run_epochs(
                self,
                engine,
                None,
                data,
                held_out,
                order=engine.order,
                batch_size=batch_size,
                epochs=range(begin, begin + epochs),
                callbacks=callbacks,
            )
        callbacks.on_train_end(logs)
        self.waited += engine.waited
        self._arrays, self._training = self.arrays(), None

    def _begin(self, batch_size):
        """Make what is trained, with its first values."""
        described = described_optimizer(self.spec["optimizer"])
        first, network = self._earlier, self.spec["network"]
        if first is None:
            first = initial_values(network, self._scaling)
        self._first = [np.asarray(value) for value in first]
        self._form = form = Form(network, described)
        begin = form.vector(self._first), form.seeds(self._first)
        training = Training(self.spec, described, *begin, batch_size)
        if self._keeps_optimizer:
            form.read_optimizer(self._earlier, training)
        self._training = training

    @property
    def learning_rate(self):
        """The learning rate of the next update, in training."""
        training = self._training
        return training.optimizer.rates(np.array([training.n_updates]))[0]

    def arrays(self):
        """Return the variables as arrays, see `PlainNetwork.arrays`."""
        if self._training is None:
            known = self._arrays is not None or self._earlier is None
            return super().arrays() if known else self._earlier
        own = self._form.layer_arrays(self._first, self._training)
        return [*own, *self._form.optimizer_arrays(self._training)]

    def current(self):
        """Return the layers as arrays, as they are now."""
        if self._training is None:
            return super().current()
        own = self._form.layer_arrays(self._first, self._training)
        return described_layers(self.spec["network"], own)

    def set_weights(self, weights):
        """Give the network other weights."""
        if self._training is None:
            super().set_weights(weights)
            return
        given = iter(weights)
        named = zip(self._named, self._first, strict=False)
        arrays = [value if name == STATE else next(given) for (name, _), value in named]
        self._training.weights[:] = self._form.vector(arrays)


def _with_other_draws(old, new, arrays):
    """Return the variables of a network whose dropout is now that of another spec.

    Parameters
    ----------
    old, new : dict
        The specs of the earlier training, and of the one that follows.
    arrays : list of ndarray
        All variables of the earlier one.

    Returns
    -------
    arrays : list of ndarray
        Those of the new one: seeds that have not drawn yet, and all else of the old.
    """
    before = layer_variables(old["network"])
    named = zip(before, arrays, strict=False)
    kept = iter([array for (name, _), array in named if name != STATE])
    first = initial_values(new["network"])
    named = zip(layer_variables(new["network"]), first, strict=True)
    own = [value if name == STATE else next(kept) for (name, _), value in named]
    return [*own, *arrays[len(before) :]]


class _Engine:
    """What `run_epochs` expects of an engine, for one fit.

    Attributes
    ----------
    n_epochs : int
        The number of the epoch before which nobody looks at the network. So the epochs
        until then may be trained together, in one round: a round takes as long to
        begin and to end as some updates.
    waited : float
        Seconds that were spent for other fits, or in waiting for them.
    """

    n_epochs = 0
    waited = 0.0

    def __init__(self, training, lane, order):
        self._training, self._lane, self._order = training, lane, order
        self._epoch, self._done = 0, deque()

    def order(self, epoch, n_samples):
        """Return the order of the rows in an epoch, see `EpochOrder`."""
        self._epoch = epoch
        # One that is trained already needs none.
        return None if self._done else self._order(epoch, n_samples)

    def train_epoch(self, network, vectors, rows, order, batch_size):
        """Train for one epoch, see `Engine.train_epoch`."""
        if not self._done:
            self._train(rows, order, batch_size)
        loss, hits = self._done.popleft()
        return {"accuracy": hits / len(rows), "loss": loss / len(rows)}

    def _train(self, rows, order, batch_size):
        """Train for one epoch in some rounds, or for several in one."""
        training = self._training
        n_dense = rows.n_dense(batch_size)
        size = training.round_size(len(order), n_dense)
        if len(order) <= size and n_dense == len(rows):
            n_together = training.epochs_at_once(len(order))
            later = range(self._epoch + 1, min(self._epoch + n_together, self.n_epochs))
            orders = [order, *(self._order(epoch, len(rows)) for epoch in later)]
            self._done.extend(self._round(rows, orders))
            return
        starts = range(0, len(order), size)
        parts = [self._round(rows, [order[i : i + size]])[0] for i in starts]
        self._done.append(tuple(map(sum, zip(*parts, strict=True))))

    def _round(self, rows, parts):
        """Train on parts; return the loss and the hits of each."""
        training = self._training
        training.put(rows, parts)
        began = time.perf_counter()
        self._lane.train(training)
        self.waited += time.perf_counter() - began - training.seconds
        return list(zip(training.losses.tolist(), training.hits.tolist(), strict=True))

    def evaluate(self, network, rows):
        """Return the mean loss and the accuracy of the network, as it is now."""
        return evaluated(network, rows)


def evaluated(network, rows):
    """Return the mean loss and the accuracy of a network, as it is now.

    Parameters
    ----------
    network : PlainNetwork
        The network, which may be in training.
    rows : Rows
        The rows.

    Returns
    -------
    scores : dict of str to float
        ``accuracy`` and ``loss``.
    """
    *hidden, last = network.current()
    layers = [*hidden, last._replace(activation="linear")]
    # Sparse rows give what dense ones give, bit by bit.
    parts = [rows.X]
    if issparse(rows.X):
        n_dense = min(CHUNK_ROWS, dense_rows(rows.X))
        starts = range(0, len(rows.y), n_dense)
        parts = (rows.X[start : start + n_dense].toarray() for start in starts)
    outputs = np.concatenate([forward(layers, part) for part in parts])
    y = np.asarray(rows.y).reshape(-1)
    weights = rows.sample_weight
    weights = np.ones(len(y)) if weights is None else np.asarray(weights)
    losses = cross_entropy(outputs, y, network.spec["loss"]["label_smoothing"])
    binary = outputs.shape[1] == 1
    found = outputs[:, 0] > 0 if binary else outputs.argmax(axis=1)
    hits = np.count_nonzero(found == y)
    loss = float(np.sum(losses * weights) / np.sum(weights))
    return {"accuracy": hits / len(y), "loss": loss}


def cross_entropy(outputs, y, smoothing):
    """Return the loss of each row.

    Parameters
    ----------
    outputs : ndarray of shape (n_samples, n_outputs)
        Outputs of the last layer, before its activation.
    y : ndarray of int of shape (n_samples,)
        Class numbers.
    smoothing : float
        Part of the target probability to move from the true class to all classes alike.

    Returns
    -------
    losses : ndarray of shape (n_samples,)
        The cross-entropy.

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist.neural_network.engines._array_fit import cross_entropy
    >>> cross_entropy(np.zeros((1, 4)), np.array([2]), 0.0) == np.log(4)
    array([ True])
    """
    outputs = outputs.astype(np.float64)
    if outputs.shape[1] == 1:
        z, target = outputs[:, 0], y * (1 - smoothing) + smoothing / 2
        return np.logaddexp(0, z) - z * target
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    true = logs[np.arange(len(y)), y]
    return -(1 - smoothing) * true - smoothing * logs.mean(axis=1)


# ---- one thread for each product ----------------------------------------------------

_blas_lock = threading.Lock()
_n_fits = 0
_controller, _n_threads_before = None, ()


@contextmanager
def one_blas_thread():
    """Let BLAS compute each product in the thread that asks for it.

    To share so small a product takes longer than to compute it, and threads that wait
    keep a core busy. Besides, the result must not depend on the number of threads.
    The limit is the process's own; it ends with the last of the fits that need it.
    """
    global _n_fits
    with _blas_lock:
        _n_fits += 1
        if _n_fits == 1:
            _limit_blas()
    try:
        yield
    finally:
        with _blas_lock:
            _n_fits -= 1
            if not _n_fits:
                for library, n in _n_threads_before:
                    _set_threads(library, n)


def _limit_blas():
    """Give each library of BLAS one thread, and note how many it had."""
    global _controller, _n_threads_before
    _controller = _controller or ThreadpoolController()
    libraries = [one for one in _controller.lib_controllers if one.user_api == "blas"]
    _n_threads_before = [(library, library.num_threads) for library in libraries]
    for library in libraries:
        _set_threads(library, 1)


def _set_threads(library, n):
    """Set the number of threads of a library, from any thread.

    threadpoolctl 3.8 heeds only the first thread that has set the number
    for OpenBLAS, as long as it lives. It says nothing to the others. But our limit
    counts the fits of all threads, and the first and the last one may be any.
    """
    getattr(library, "_real_set_num_threads", library.set_num_threads)(n)
