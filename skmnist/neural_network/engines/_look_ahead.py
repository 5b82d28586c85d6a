"""A look ahead: a short training that tells whether a long one learns noise by heart.

Where many labels follow from nothing in the data, a network learns them by heart after
a few epochs, and then gets worse on new rows. Where they do not, it gets better to the
end, and every row that is held out from training costs accuracy. So a part of the rows
is held out for a short training only, and the network is then trained on all of them:
for a few epochs in the first case, for all in the second.

The look trains the same program as the fit that follows, so nothing is compiled for it.
"""

# SPDX-License-Identifier: BSD-3-Clause

import hashlib
import math

import numpy as np
from scipy.sparse import issparse

from ._array_fit import evaluated
from ._epochs import EpochOrder
from ._hooks import Hook

# Numbers of training rows for which it pays: of fewer rows too few are held out, and
# more rows are hardly learned by heart in the epochs that "auto" means.
LOOK_ROWS = (200, 5000)
# One row in so many is held out; with fewer of them the losses say nothing.
HELD_OUT = 5
FEWEST_HELD_OUT = 20
# The part of all epochs that the look takes. Noise is learned within a few epochs.
LOOK_EPOCHS = 0.25
# The losses of so many epochs are averaged.
WINDOW = 5
# The loss at the end, over the lowest one, from which on more epochs are too many. See
# docs/defaults.md.
RISE = 1.25
# A schedule that falls to zero moves the weights about half as far as a constant rate.
EPOCHS_PER_EPOCH = 2


def held_out_rows(rows, random_state):
    """Choose the rows to hold out; equal rows stay together.

    So a row of weight 2 is treated as two equal rows, and no copy of a row that is
    trained on is held out.

    Parameters
    ----------
    rows : Rows
        Training rows.
    random_state : int
        Seed.

    Returns
    -------
    held_out : ndarray of bool of shape (n_samples,) or None
        About a fifth of the rows, without those of a class that no other row has. None
        if they are too few to tell anything.

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist.neural_network._data import Rows
    >>> from skmnist.neural_network.engines._look_ahead import held_out_rows
    >>> X, y = np.repeat(np.arange(200.0), 2).reshape(-1, 1), np.zeros(400, int)
    >>> held_out = held_out_rows(Rows(X, y, None), random_state=0)
    >>> bool(np.all(held_out[::2] == held_out[1::2])), float(round(held_out.mean(), 1))
    (True, 0.2)
    """
    salt = random_state.to_bytes(8, "little")
    digests = [
        hashlib.blake2b(content, digest_size=8, salt=salt).digest()
        for content in _contents(rows.X)
    ]
    held_out = np.frombuffer(b"".join(digests), "<u8") % HELD_OUT == 0
    held_out &= np.isin(rows.y, rows.y[~held_out])
    return held_out if held_out.sum() >= FEWEST_HELD_OUT else None


def _contents(X):
    """Yield the bytes of each row, the same for dense and for sparse data."""
    if issparse(X):
        parts = map(slice, X.indptr, X.indptr[1:])
        found = ((X.indices[part], X.data[part]) for part in parts)
    else:
        found = ((places := np.flatnonzero(row), row[places]) for row in X)
    for places, values in found:
        yield places.astype(np.int64).tobytes() + values.tobytes()


class OrderOfOthers(EpochOrder):
    """The order of an epoch without the rows that are held out.

    Parameters
    ----------
    random_state : int
        As for `EpochOrder`.
    held_out : ndarray of bool of shape (n_samples,)
        The rows to leave out.
    """

    def __init__(self, random_state, held_out):
        super().__init__(random_state)
        self._held_out = held_out

    def __call__(self, epoch, n_samples):
        """Return the row numbers of one epoch."""
        order = super().__call__(epoch, n_samples)
        return order[~self._held_out[order]]


class HeldOutLosses(Hook):
    """Compute the mean loss of some rows after each epoch.

    Parameters
    ----------
    rows : Rows
        The rows.

    Attributes
    ----------
    losses_ : list of float
        One for each epoch.
    """

    def __init__(self, rows):
        self._rows = rows
        self.losses_ = []

    def on_epoch_end(self, epoch, logs=None):
        """Compute the loss of the network as it is now."""
        self.losses_.append(evaluated(self.model, self._rows)["loss"])


def turning_point(losses):
    """Return after which epoch the loss of held-out rows rises for good.

    Parameters
    ----------
    losses : array-like of float of shape (n_epochs,)
        The loss after each epoch.

    Returns
    -------
    epoch : int or None
        The middle of the five epochs of the lowest mean loss, counted from 1. None if
        the last five have a mean that is less than a quarter higher.

    Examples
    --------
    >>> from skmnist.neural_network.engines._look_ahead import turning_point
    >>> turning_point([0.9, 0.7, 0.6, 0.6, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1])
    4
    >>> turning_point([0.9, 0.7, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.7, 0.6])
    """
    if len(losses) < 2 * WINDOW:
        return None
    means = np.convolve(losses, np.full(WINDOW, 1 / WINDOW), mode="valid")
    lowest = int(np.argmin(means))
    if not means[-1] >= RISE * means[lowest]:  # also where they are not finite
        return None
    return lowest + (WINDOW + 1) // 2


def epochs_of_look(epochs):
    """Return how many of the epochs of a fit the look ahead takes."""
    return math.ceil(LOOK_EPOCHS * epochs)


def epochs_before(turning, epochs):
    """Return for how many epochs to train, of those that "auto" means.

    Parameters
    ----------
    turning : int or None
        From `turning_point`.
    epochs : int
        The epochs that "auto" means.

    Returns
    -------
    epochs : int
        All of them if there is no turning point.
    """
    return epochs if turning is None else min(EPOCHS_PER_EPOCH * turning, epochs)
