"""Pictures that were cut out close to their ink: put paper around them."""

# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from numpy.typing import NDArray

from ._binarize import Grey, otsu_threshold

# A picture is cut out if on every side the ink ends within so many pixels of the edge,
# or within that part of the side.
_MARGIN, _MARGIN_PART = 4, 0.15
# Digits of MNIST, cut out: Otsu's two classes explain more than the first part of the
# variance; fewer pixels than the second part are between the classes; a line across
# meets fewer edges than the third. Noise, blank paper under uneven light and blobs are
# beyond.
_TWO_TONED, _BETWEEN, _EDGES = 0.75, 0.3, 6.5
# Of the four corners, at most this part is ink.
_CORNERS = 0.4
_FAINTEST = 0.08


def with_paper(grey: Grey, edges: float = _EDGES) -> Grey | None:
    """Put paper around a digit that was cut out close to its ink.

    What is ink and what is paper is told from the corners: no digit fills them. Other
    estimates need more paper than ink.

    Parameters
    ----------
    grey : ndarray of shape (height, width)
        Grey values from 0 to 1.
    edges : float
        Most edges that a line across the picture meets, on average.

    Returns
    -------
    framed : ndarray of shape (height + 2 * n, width + 2 * n) or None
        The picture in the middle of as much paper as it needs. None if it does not
        look like a cut-out of something drawn.
    """
    if np.ptp(grey) < _FAINTEST:
        return None
    ink = grey > otsu_threshold(grey)
    if not _is_drawn(grey, ink, edges):
        return None
    corners = _corners(ink)
    if corners > 0.5:
        ink, corners = ~ink, 1 - corners
    if corners > _CORNERS or not _fills(ink):
        return None
    room = max(4, max(grey.shape) // 2)
    return np.pad(grey, room, constant_values=np.median(grey[~ink]))


def _is_drawn(grey: Grey, high: NDArray[np.bool_], most: float) -> bool:
    """Return whether a picture has two tones, and few edges between them."""
    top, low = grey[high].mean(), grey[~high].mean()
    part = high.mean()
    explained = part * (1 - part) * (top - low) ** 2 / grey.var()
    relative = (grey - low) / (top - low)
    between = ((relative > 0.25) & (relative < 0.75)).mean()
    edges = max(
        (high[1:] != high[:-1]).sum(0).mean(), (np.diff(high) != 0).sum(1).mean()
    )
    return bool(explained > _TWO_TONED and between < _BETWEEN and edges < most)


def _corners(mask: NDArray[np.bool_]) -> float:
    """Return which part of the four corners a mask covers."""
    n = max(1, min(mask.shape) // 10)
    parts = [mask[rows, columns] for rows in _ends(n) for columns in _ends(n)]
    return float(np.mean([part.mean() for part in parts]))


def _ends(n: int) -> tuple[slice, slice]:
    return slice(0, n), slice(-n, None)


def _fills(ink: NDArray[np.bool_]) -> bool:
    """Return whether the ink reaches near all sides of a picture."""
    for axis in (0, 1):
        filled = np.flatnonzero(ink.any(axis=1 - axis))
        n = ink.shape[axis]
        most = max(_MARGIN, _MARGIN_PART * n)
        if filled[0] > most or n - 1 - filled[-1] > most:
            return False
    return True
