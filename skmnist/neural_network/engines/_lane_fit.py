"""A fit in a lane: a network in training as a row of a pack's variables."""

# SPDX-License-Identifier: BSD-3-Clause

import threading
from functools import partial

import numpy as np
from scipy.sparse import issparse

from .._inference import forward
from ._epochs import run_epochs
from ._lane_program import LaneForm, LanePack, LaneProgram
from ._lanes import seat
from ._plain import (
    Callbacks,
    PlainNetwork,
    described_optimizer,
    initial_values,
    structure_for,
    structure_key,
)

# Networks with more weights gain nothing: their products keep the computer busy.
MOST_WEIGHTS = 2**14

_programs_lock = threading.Lock()


def fits_a_lane(spec, X):
    """Return whether a network can be trained in a lane.

    The answer depends on parameters and data only.

    Parameters
    ----------
    spec : dict
        From `describe`, such that `trains_plainly`.
    X : ndarray or csr_array
        Training data.

    Returns
    -------
    fits : bool
        Whether the data are dense and the network is small, without what a program of
        lanes does not have.
    """
    network = spec["network"]
    widths = [network["n_features"], *network["widths"], network["n_outputs"]]
    n_weights = sum((a + 1) * b for a, b in zip(widths, widths[1:], strict=False))
    simple = network["augmentation"] is None and not network["batch_normalization"]
    return simple and n_weights <= MOST_WEIGHTS and not issparse(X)


class LaneNetwork(PlainNetwork):
    """A fresh network that trains in a lane, see `_lanes`.

    Parameters
    ----------
    spec, scaling
        As for `PlainNetwork`; such that `fits_a_lane`.
    """

    # How to read the network's arrays after a round, if nobody has yet.
    _read = None

    def fit(self, rows, held_out, *, callbacks, order, batch_size, epochs, shape):
        """Train for some epochs, see `PlainNetwork.fit`."""
        structure, engine = structure_for(self.spec, False, None)
        form = LaneForm(self.spec["network"], engine.layout)
        described = described_optimizer(self.spec["optimizer"])
        first = initial_values(self.spec["network"], self._scaling)
        first = structure.typed([*first, *structure.states(described.rate)])
        self._arrays = first
        callbacks = Callbacks(callbacks, self)
        callbacks.on_train_begin()
        # XLA compiles if it would outside of lanes.
        kind = batch_size, shape is not None

        def make_pack():
            return LanePack(_program(engine, self.spec, *kind))

        with seat((structure_key(self.spec), *kind), make_pack) as own:
            numbers = self._numbers(described)
            own.pack.begin(own.lane, *form.begin(first), numbers)
            lane = _Lane(self, own, form, first)
            logs = run_epochs(
                self,
                lane,
                None,
                LaneRows(self.spec["network"]["dtype"], rows),
                held_out,
                order=order,
                batch_size=batch_size,
                epochs=range(epochs),
                callbacks=callbacks,
            )
        callbacks.on_train_end(logs)

    def follow(self, read):
        """Have the arrays that a function returns, which is called when they are asked.

        Parameters
        ----------
        read : callable
            Returns arrays as `arrays` does.
        """
        self._read = read

    def arrays(self):
        """Return the variables as arrays, see `PlainNetwork.arrays`."""
        if self._read is not None:
            self._arrays, self._read = self._read(), None
        return super().arrays()


def _program(engine, spec, *kind):
    """Return the program of a structure; it ends with the engine."""
    with _programs_lock:
        if kind not in engine.lane_programs:
            engine.lane_programs[kind] = LaneProgram(spec, engine, *kind)
        return engine.lane_programs[kind]


class LaneRows:
    """Training rows as arrays, in the types of the program.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Type of the network.
    rows : Rows
        The rows.
    """

    def __init__(self, dtype, rows):
        self.x = np.ascontiguousarray(rows.X, dtype)
        self.y = np.asarray(rows.y).reshape(-1).astype(np.int32)
        weights = rows.sample_weight
        self.weights = None if weights is None else np.asarray(weights, dtype)

    def __len__(self):
        return len(self.y)


class _Lane:
    """What `run_epochs` expects of an engine, for one fit."""

    def __init__(self, network, own, form, first):
        self._network, self._seat = network, own
        self._form, self._first = form, first

    def train_epoch(self, network, vectors, rows, order, batch_size):
        """Train for one epoch, see `Engine.train_epoch`."""
        pack, lane = self._seat.pack, self._seat.lane
        # Parts of equal length: so lanes with as many rows end together.
        n_steps = -(-len(order) // batch_size)
        n_parts = -(-n_steps // (pack.program.n_rows // batch_size))
        size = -(-n_steps // n_parts) * batch_size
        loss, hits = 0.0, 0
        for start in range(0, len(order), size):
            pack.put(lane, rows, order[start : start + size])
            losses, rights, values = self._seat.train()
            loss, hits = loss + float(losses[lane]), hits + int(rights[lane])
        network.follow(partial(self._form.arrays, self._first, values, lane))
        return {"accuracy": hits / len(rows), "loss": loss / len(rows)}

    def evaluate(self, network, rows):
        """Return the mean loss and the accuracy of the network, as it is now."""
        return evaluated(network, rows)


def evaluated(network, rows):
    """Return the mean loss and the accuracy of a network, as it is now.

    NumPy computes them: so no other program is needed, and in lanes none of the others
    has to wait.

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
    outputs = forward([*hidden, last._replace(activation="linear")], rows.X)
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
    >>> from skmnist.neural_network.engines._lane_fit import cross_entropy
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
