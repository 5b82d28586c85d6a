"""Ink and paper: divide the light out of grey values, and find a threshold."""

# SPDX-License-Identifier: BSD-3-Clause

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .._format import OneLineError

Grey: TypeAlias = NDArray[np.floating]

# Largest sides of the coarse copies in which the light, and the paper, are estimated.
_LIGHT_SIDE, _PAPER_SIDE = 64, 32
# Marks fainter than this fraction of the paper's brightness belong to the paper.
_FAINTEST = 0.08
_NEIGHBOURS = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)


class PictureError(OneLineError):
    """A picture cannot be read as one digit. The message is one line."""


NOTHING = "shows no digit: it is blank or too faint"


def ink_is_dark(grey: Grey) -> bool:
    """Return whether the ink is darker than the paper, under any light.

    Most of a large neighbourhood is paper. What differs from that is ink.

    Parameters
    ----------
    grey : ndarray of shape (height, width)
        Grey values from 0 to 1.

    Returns
    -------
    dark : bool
        Whether the ink is darker than the paper.
    """
    small = resized(grey, shape_within(grey.shape, _PAPER_SIDE))
    window = [n // 2 | 1 for n in small.shape]
    difference = small - ndimage.median_filter(small, window, mode="reflect")
    return bool((difference**3).sum() < 0)


def without_specks(grey: Grey) -> Grey:
    """Replace single pixels that differ from all their neighbours.

    Parameters
    ----------
    grey : ndarray of shape (height, width)
        Grey values.

    Returns
    -------
    clean : ndarray of shape (height, width)
        The same grey values, but for lonely pixels: those whose distance to the
        nearest of their neighbours is more than half of their distance to the median
        around them. They get the median. A line of one pixel stays, because each of
        its pixels has neighbours like itself.
    """
    median = ndimage.median_filter(grey, 3, mode="nearest")
    brightest = ndimage.maximum_filter(grey, footprint=_NEIGHBOURS, mode="nearest")
    darkest = ndimage.minimum_filter(grey, footprint=_NEIGHBOURS, mode="nearest")
    lonely = np.maximum(grey - brightest, darkest - grey)
    return np.where(lonely > np.abs(grey - median) / 2, median, grey)


def darkness_of(grey: Grey) -> Grey:
    """Divide the light out of a picture of dark ink on light paper.

    Parameters
    ----------
    grey : ndarray of shape (height, width)
        Grey values from 0 to 1.

    Returns
    -------
    darkness : ndarray of shape (height, width)
        0 for paper (the median) and 1 for black, wherever the light comes from.
    """
    darkness = 1 - grey / _light(grey)
    # Smooth as little as possible: until the ink stands out from the paper's noise.
    for finest in (400, 200, 100, 50):
        smooth = ndimage.gaussian_filter(darkness, min(grey.shape) / finest)
        smooth -= np.median(smooth)
        if 5 * _noise(smooth) < smooth.max():
            break
    return smooth


def _light(grey: Grey) -> Grey:
    """Estimate how bright the paper is in each pixel."""
    small = resized(grey, shape_within(grey.shape, _LIGHT_SIDE))
    # The closing removes what is dark and narrower than half of the picture. Beyond
    # the edge the light is assumed to fall or rise as it does inside.
    half = max(1, min(small.shape) // 4)
    around = np.pad(small, half, mode="reflect", reflect_type="odd")
    window = (2 * half + 1, 2 * half + 1)
    light = ndimage.grey_closing(around, window)[half:-half, half:-half]
    factors = [n / m for n, m in zip(grey.shape, light.shape, strict=True)]
    light = ndimage.zoom(light, factors, order=1, mode="nearest", grid_mode=True)
    return np.maximum(light, max(0.2 * light.max(), 1 / 255))


def _noise(darkness: Grey) -> np.floating:
    """Estimate the standard deviation of the paper, whose median is 0."""
    return 1.4826 * np.median(np.abs(darkness))


def ink_threshold(darkness: Grey) -> float:
    """Return the darkness above which a pixel is ink; it is above the paper's noise.

    Parameters
    ----------
    darkness : ndarray of shape (height, width)
        From `darkness_of`.

    Returns
    -------
    threshold : float
        Otsu's threshold, but at least three standard deviations of the paper's noise.

    Raises
    ------
    PictureError
        If nothing stands out from the paper.
    """
    floor = max(3 * _noise(darkness), _FAINTEST)
    if darkness.max() <= floor:
        raise PictureError(NOTHING)
    return max(otsu_threshold(darkness), floor)


def otsu_threshold(values: NDArray[np.number], n_bins: int = 256) -> float:
    """Return the threshold that makes the two most distinct classes of values.

    It has the largest variance between the classes, see Otsu, IEEE Trans. Systems, Man
    and Cybernetics 9(1), 62-66, 1979.

    Parameters
    ----------
    values : ndarray
        Numbers, of any shape, not all equal.
    n_bins : int, default=256
        Bins of the histogram, from the lowest value to the highest.

    Returns
    -------
    threshold : float
        An edge between two bins; the mean of the edges if several are equally good.

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist.preprocessing._binarize import otsu_threshold
    >>> float(otsu_threshold(np.array([0.0, 0.0, 0.0, 1.0]), n_bins=4))
    0.5
    """
    counts, edges = np.histogram(values, n_bins)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)
    means_apart = sums[:-1] / below - (sums[-1] - sums[:-1]) / above
    between = below * above * means_apart**2
    best = np.flatnonzero(between >= between.max() * (1 - 1e-12))
    return edges[1:-1][best].mean()


def shape_within(shape: tuple[int, ...], side: int) -> tuple[int, ...]:
    """Scale a shape down until its larger side is at most `side`."""
    scale = min(1, side / max(shape))
    return tuple(max(1, round(n * scale)) for n in shape)


def resized(array: Grey, shape: tuple[int, ...]) -> Grey:
    """Scale an array to a shape; each new pixel is the mean of the area it covers."""
    weights = [_overlaps(n, m) for n, m in zip(array.shape, shape, strict=True)]
    return weights[0] @ array @ weights[1].T


def _overlaps(n_old: int, n_new: int) -> NDArray[np.float32]:
    """Return which part of each of `n_new` pixels each of `n_old` pixels covers."""
    edges = np.linspace(0, n_old, n_new + 1)[:, None]
    old = np.arange(n_old)
    shared = np.minimum(edges[1:], old + 1) - np.maximum(edges[:-1], old)
    return (np.clip(shared, 0, None) * n_new / n_old).astype(np.float32)
