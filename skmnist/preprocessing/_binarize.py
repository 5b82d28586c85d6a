"""Ink told from paper: the light divided out of grey values, and a threshold."""

# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from scipy import ndimage

# How coarse a grid follows the light, and how coarse a one says what is paper.
_LIGHT_SIDE, _PAPER_SIDE = 64, 32
# Marks fainter than this, as a fraction of the paper's brightness, are the paper's own.
_FAINTEST = 0.08
_NEIGHBOURS = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)


class PictureError(ValueError):
    """A picture without one digit to be read; the message is one line."""


NOTHING = "shows no digit: it is blank or too faint"


def ink_is_dark(grey):
    """Tell dark ink on light paper from light ink on dark, under any light.

    Paper is what most of a large neighbourhood is; what differs from it is ink.

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
    return (difference**3).sum() < 0


def without_specks(grey):
    """Replace single pixels that are like none of their neighbours.

    Parameters
    ----------
    grey : ndarray of shape (height, width)
        Grey values.

    Returns
    -------
    clean : ndarray of shape (height, width)
        The same, but the median of its neighbourhood where a pixel is farther from
        that than from the nearest of its neighbours, by half. A line of one pixel
        stays: each of its pixels has neighbours like itself.
    """
    median = ndimage.median_filter(grey, 3, mode="nearest")
    brightest = ndimage.maximum_filter(grey, footprint=_NEIGHBOURS, mode="nearest")
    darkest = ndimage.minimum_filter(grey, footprint=_NEIGHBOURS, mode="nearest")
    lonely = np.maximum(grey - brightest, darkest - grey)
    return np.where(lonely > np.abs(grey - median) / 2, median, grey)


def darkness_of(grey):
    """Divide the light out of dark ink on light paper.

    Parameters
    ----------
    grey : ndarray of shape (height, width)
        Grey values from 0 to 1.

    Returns
    -------
    darkness : ndarray of shape (height, width)
        0 for paper, in the median, and 1 for black, however the paper is lit.
    """
    darkness = 1 - grey / _light(grey)
    # Smoothed no more than it takes to tell the ink from the paper's noise.
    for finest in (400, 200, 100, 50):
        smooth = ndimage.gaussian_filter(darkness, min(grey.shape) / finest)
        smooth -= np.median(smooth)
        if 5 * _noise(smooth) < smooth.max():
            break
    return smooth


def _light(grey):
    """Estimate how bright the paper is in each pixel."""
    small = resized(grey, shape_within(grey.shape, _LIGHT_SIDE))
    # What is narrower than half of the picture, and darker, is not the light. Beyond
    # the edge the light goes on falling or rising as it does before.
    half = max(1, min(small.shape) // 4)
    around = np.pad(small, half, mode="reflect", reflect_type="odd")
    window = (2 * half + 1, 2 * half + 1)
    light = ndimage.grey_closing(around, window)[half:-half, half:-half]
    factors = [n / m for n, m in zip(grey.shape, light.shape, strict=True)]
    light = ndimage.zoom(light, factors, order=1, mode="nearest", grid_mode=True)
    return np.maximum(light, max(0.2 * light.max(), 1 / 255))


def _noise(darkness):
    """Estimate the standard deviation of the paper, whose median is 0."""
    return 1.4826 * np.median(np.abs(darkness))


def ink_threshold(darkness):
    """Find the darkness that parts ink from paper and is above the paper's noise.

    Parameters
    ----------
    darkness : ndarray of shape (height, width)
        As `darkness_of` gives it.

    Returns
    -------
    threshold : float
        Otsu's threshold, or what the paper's noise hardly reaches.

    Raises
    ------
    PictureError
        If nothing stands out from the paper.
    """
    floor = max(3 * _noise(darkness), _FAINTEST)
    if darkness.max() <= floor:
        raise PictureError(NOTHING)
    return max(otsu_threshold(darkness), floor)


def otsu_threshold(values, n_bins=256):
    """Find the threshold that parts values into the two most distinct classes.

    Parameters
    ----------
    values : ndarray
        Numbers, of any shape, not all equal.
    n_bins : int, default=256
        Bins of the histogram, from the lowest value to the highest.

    Returns
    -------
    threshold : float
        The edge between two bins with the largest variance between the classes;
        the middle of them where several are equal.

    Examples
    --------
    >>> import numpy as np
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


def shape_within(shape, side):
    """Scale a shape down such that its larger side is at most `side`."""
    scale = min(1, side / max(shape))
    return tuple(max(1, round(n * scale)) for n in shape)


def resized(array, shape):
    """Scale an array to a shape; each new pixel is the mean of the area it covers."""
    weights = [_overlaps(n, m) for n, m in zip(array.shape, shape, strict=True)]
    return weights[0] @ array @ weights[1].T


def _overlaps(n_old, n_new):
    """Return the share that each of `n_old` pixels has in each of `n_new`."""
    edges = np.linspace(0, n_old, n_new + 1)[:, None]
    old = np.arange(n_old)
    shared = np.minimum(edges[1:], old + 1) - np.maximum(edges[:-1], old)
    return (np.clip(shared, 0, None) * n_new / n_old).astype(np.float32)
