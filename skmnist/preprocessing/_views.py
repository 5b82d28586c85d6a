"""How sure a model is of a digit: it must hold out against small changes."""

# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# Shifts in pixels (down, right), and turns in degrees.
_SHIFTS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
_TURNS = (-10, 10)
# In smaller pictures a pixel is no small change.
_COARSE = 20


def mean_over_views(
    classifier: Any, rows: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Return the mean probabilities of digits that are shifted and turned a little.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A classifier of square pictures.
    rows : ndarray of shape (n_samples, n_features)
        Digits, as the classifier takes them.

    Returns
    -------
    probabilities : ndarray of shape (n_samples, n_classes)
        A picture that is no digit often looks like one, but like another one when it is
        moved.
    """
    side = int(np.sqrt(rows.shape[1]))
    pictures = rows.reshape(-1, side, side)
    paper = float(rows.min()) if rows.size else 0.0
    if side < _COARSE:
        return classifier.predict_proba(rows)
    views = [
        ndimage.shift(pictures, (0, *by), order=0, cval=paper) for by in _SHIFTS
    ] + [
        ndimage.rotate(pictures, turn, axes=(1, 2), reshape=False, order=1, cval=paper)
        for turn in _TURNS
    ]
    return np.mean(
        [classifier.predict_proba(view.reshape(rows.shape)) for view in views], axis=0
    )
