"""Training by whole epochs: their order, their loop, and their curves."""

# SPDX-License-Identifier: BSD-3-Clause

import functools
import math

import numpy as np


class EpochOrder:
    """The order in which each epoch visits the training rows.

    Parameters
    ----------
    random_state : int
        Seed. The order depends only on the seed and on the number of the epoch. So
        a training that is continued later sees the same orders.
    shuffle : bool, default=True
        Whether to shuffle. Otherwise each epoch visits the rows as they are.

    Examples
    --------
    >>> from skmnist.neural_network.engines._epochs import EpochOrder
    >>> order = EpochOrder(random_state=0)
    >>> sorted(int(i) for i in order(epoch=3, n_samples=4))
    [0, 1, 2, 3]
    """

    def __init__(self, random_state, shuffle=True):
        self.random_state = random_state
        self.shuffle = shuffle

    def __call__(self, epoch, n_samples):
        """Return the row numbers of one epoch, of shape (n_samples,)."""
        if not self.shuffle:
            return np.arange(n_samples, dtype=np.int32)
        draw = _kept_permutation if n_samples <= FEW_ROWS else _permutation
        return draw(self.random_state, epoch, n_samples)


# Orders of so few rows are kept for a while: the fits of a search have the same ones,
# and to draw one takes as long as two updates of a small network.
FEW_ROWS = 5000


def _permutation(random_state, epoch, n_samples):
    generator = np.random.default_rng([random_state, epoch])
    order = generator.permutation(n_samples).astype(np.int32)
    order.setflags(write=False)
    return order


_kept_permutation = functools.lru_cache(maxsize=256)(_permutation)


def run_epochs(  # noqa: PLR0913
    network,
    engine,
    vectors,
    rows,
    held_out,
    *,
    order,
    batch_size,
    epochs,
    callbacks,
):
    """Train epoch after epoch, until all are trained or a callback asks to stop.

    Parameters
    ----------
    network : EpochNetwork or PlainNetwork
        The network, trained in place.
    engine : Engine
        Its programs.
    vectors : list of tf.Variable
        From the engine.
    rows, held_out : TensorRows, ChunkedRows or None
        Rows to train on, and to evaluate the network on after each epoch.
    order : EpochOrder
        Gives the order of the rows in each epoch.
    batch_size : int
        Rows per update.
    epochs : range
        Numbers of the epochs.
    callbacks : object
        Has `on_epoch_begin` and `on_epoch_end`, as Keras' `CallbackList`.

    Returns
    -------
    logs : dict of str to float
        The values of the last epoch.
    """
    network.stop_training = False
    logs = {}
    for epoch in epochs:
        callbacks.on_epoch_begin(epoch)
        visited = order(epoch, len(rows))
        logs = engine.train_epoch(network, vectors, rows, visited, batch_size)
        if held_out:
            scores = engine.evaluate(network, held_out).items()
            logs |= {f"val_{name}": value for name, value in scores}
        callbacks.on_epoch_end(epoch, logs)
        if network.stop_training:
            break
    return logs


def fill_curves(curves, known):
    """Give each curve one value per epoch, NaN for an epoch without one.

    Parameters
    ----------
    curves : dict of str to list of float
        Curves of a training that may have continued an earlier one. ``loss`` is
        complete; a curve of validation may lack epochs.
    known : collection of str
        Names of the curves that the earlier training had.

    Returns
    -------
    filled : dict of str to list of float
        Curves of one length.

    Examples
    --------
    >>> from skmnist.neural_network.engines._epochs import fill_curves
    >>> fill_curves({"loss": [0.5, 0.4], "val_loss": [0.6]}, known=["loss"])
    {'loss': [0.5, 0.4], 'val_loss': [nan, 0.6]}
    """
    filled = {}
    for name, curve in curves.items():
        gap = [math.nan] * (len(curves["loss"]) - len(curve))
        filled[name] = curve + gap if name in known else gap + curve
    return filled
