"""What a caller gives, as the network wants it: rows, class numbers, layers, seeds."""

# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import numpy as np
from numpy.random import SeedSequence
from sklearn.utils import check_random_state

from ._early_stopping import split_validation
from ._tensors import aligned_empty

# The first is the one other types are brought to, as in MLPClassifier.
DTYPES = (np.float64, np.float32)


class Rows(NamedTuple):
    """Checked rows: data, class numbers, and weights where there are any.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
        Data, float32 or float64.
    y : ndarray of int32 of shape (n_samples,)
        Class numbers.
    sample_weight : ndarray of shape (n_samples,) or None
        Positive weights.
    """

    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None

    def take(self, indices):
        """Return some of the rows, copied to where tensors may lie."""
        weights = None if self.sample_weight is None else self.sample_weight[indices]
        X = aligned_empty((len(indices), *self.X.shape[1:]), self.X.dtype)
        # "clip" lets NumPy write into the array itself; no index is out of range.
        np.take(self.X, indices, axis=0, out=X, mode="clip")
        return Rows(X, self.y[indices], weights)

    def and_also(self, other):
        """Return these rows followed by others, in these rows' type."""
        weights = None
        if self.sample_weight is not None or other.sample_weight is not None:
            weights = np.concatenate([self._weights(), other._weights()])
            weights = weights.astype(self.X.dtype, copy=False)
        X = np.concatenate([self.X, other.X.astype(self.X.dtype, copy=False)])
        return Rows(X, np.concatenate([self.y, other.y]), weights)

    def _weights(self):
        given = self.sample_weight is not None
        return self.sample_weight if given else np.ones(len(self.y), self.X.dtype)

    def without_weightless(self):
        """Return the rows without those of weight zero, which count as absent."""
        if self.sample_weight is None or np.all(self.sample_weight > 0):
            return self
        if np.any(self.sample_weight < 0):
            raise ValueError("sample_weight must not be negative.")
        return self.take(np.flatnonzero(self.sample_weight))

    def hold_out(self, validation_split, random_state):
        """Return training rows and validation rows, see `split_validation`."""
        parts = split_validation(self.y, validation_split, random_state=random_state)
        return tuple(self.take(part) for part in parts)


def encode_labels(y, classes):
    """Return the position of each label in `classes`.

    Raises
    ------
    ValueError
        If a label is not among the classes.
    """
    positions = np.searchsorted(classes, y)
    positions[positions == len(classes)] = 0
    known = classes[positions] == y
    if not np.all(known):
        unknown = sorted({str(label) for label in y[~known]})
        raise ValueError(
            f"y contains labels that are not among the classes: {', '.join(unknown)}"
        )
    return positions.astype(np.int32)


def draw_seeds(random_state):
    """Derive a seed for each purpose.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        None draws fresh entropy from the system, not from NumPy's global
        generator, which stays as it was.

    Returns
    -------
    seeds : dict of str to int
        ``layers``, ``split`` and ``order``.
    """
    entropy = random_state
    if isinstance(random_state, np.random.RandomState):
        entropy = int(check_random_state(random_state).randint(2**31 - 1))
    state = SeedSequence(entropy).generate_state(3)
    return dict(zip(("layers", "split", "order"), map(int, state), strict=True))
