"""Marks of ink: which of them are the one digit in a picture."""

# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ._binarize import NOTHING, PictureError, ink_threshold

# Pixels that touch by a corner are of one mark.
_TOUCHING = np.ones((3, 3), bool)
# Smallest extent of a digit, in pixels and as a part of the picture's shorter side.
_FEWEST, _PART = 5, 0.03
# Marks nearer than this, in extents of the digit, are one; and small ones above or
# below it that are nearer than that, too.
_GAP, _NEAR = 0.08, 0.25
# A sheet of paper fills its box to more than this; no digit of MNIST with a hole does.
_RECTANGLE = 0.88
# No digit of MNIST is wider than this many of its heights.
_WIDEST = 2.0


def digit_mask(darkness):
    """Find the pixels of the one digit in a picture.

    Parameters
    ----------
    darkness : ndarray of shape (height, width)
        As `skmnist.preprocessing.darkness_of` gives it.

    Returns
    -------
    mask : bool ndarray of shape (height, width)
        Where the digit's ink is.

    Raises
    ------
    PictureError
        If there is no digit, or more than one.
    """
    labels, _ = ndimage.label(darkness > ink_threshold(darkness), _TOUCHING)
    marks = _Marks.of(labels)
    marks = marks.where(marks.extents >= max(_FEWEST, _PART * min(darkness.shape)))
    if not marks.ids.size:
        raise PictureError(NOTHING)
    marks = _without_frames(_off_the_edge(marks, darkness.shape))
    marks = marks.where(marks.areas >= 0.03 * marks.areas.max())
    return _one_digit(np.where(np.isin(labels, marks.ids), labels, 0))


def is_sheet(mask):
    """Tell a sheet of paper with something on it from a digit.

    Parameters
    ----------
    mask : bool ndarray of shape (height, width)
        As `digit_mask` gives it.

    Returns
    -------
    sheet : bool
        Whether it is a rectangle but for a few holes, larger than a digit would be.
    """
    filled = ndimage.binary_fill_holes(mask)
    box = np.ptp(np.argwhere(mask), axis=0) + 1
    holes = (filled & ~mask).sum() / filled.sum()
    return bool(filled.sum() > _RECTANGLE * box.prod() and 0.005 < holes < 0.25)


class _Marks(NamedTuple):
    """Connected marks of ink, one entry each."""

    ids: np.ndarray
    areas: np.ndarray
    tops: np.ndarray
    lefts: np.ndarray
    bottoms: np.ndarray
    rights: np.ndarray

    @classmethod
    def of(cls, labels):
        """Measure labelled marks."""
        boxes = ndimage.find_objects(labels)
        ids = np.array([i for i, box in enumerate(boxes, 1) if box], int)
        edges = [
            [box[0].start, box[1].start, box[0].stop, box[1].stop]
            for box in boxes
            if box
        ]
        edges = np.array(edges, int).reshape(-1, 4)
        return cls(ids, np.bincount(labels.ravel())[ids], *edges.T)

    @property
    def heights(self):
        """Heights in pixels."""
        return self.bottoms - self.tops

    @property
    def widths(self):
        """Widths in pixels."""
        return self.rights - self.lefts

    @property
    def extents(self):
        """The larger of height and width."""
        return np.maximum(self.heights, self.widths)

    def where(self, condition):
        """Return the marks of which a condition holds."""
        return _Marks(*(column[condition] for column in self))


def _off_the_edge(marks, shape):
    """Drop what touches the edge, such as a table, beside other marks."""
    touches = (marks.tops == 0) | (marks.lefts == 0)
    touches |= (marks.bottoms == shape[0]) | (marks.rights == shape[1])
    inner, outer = marks.where(~touches), marks.where(touches)
    if not inner.ids.size or not outer.ids.size:
        return marks
    large = inner.extents.max() >= 0.15 * min(shape)
    return inner if large or inner.areas.max() >= outer.areas.max() / 4 else marks


def _without_frames(marks):
    """Drop thin frames drawn around other marks."""
    thin = marks.areas < 0.25 * marks.heights * marks.widths
    frames = np.zeros(len(thin), bool)
    for i in np.flatnonzero(thin):
        inside = (marks.tops > marks.tops[i]) & (marks.bottoms < marks.bottoms[i])
        inside &= (marks.lefts > marks.lefts[i]) & (marks.rights < marks.rights[i])
        inside &= marks.extents >= 0.3 * marks.extents[i]
        frames[i] = inside.any()
    return marks.where(~frames)


def _one_digit(labels):
    """Join the parts of the digit; drop small marks, refuse large ones beside it."""
    ink = labels > 0
    extent = _Marks.of(labels).extents.max()
    # A stroke that broke apart has gaps narrower than those between digits.
    near = ndimage.distance_transform_edt(~ink) <= _GAP * extent / 2
    labels = np.where(ink, ndimage.label(near, _TOUCHING)[0], 0)
    marks = _Marks.of(labels)
    large = marks.heights >= 0.5 * marks.heights.max()
    main = np.argmax(np.where(large, marks.areas, 0))
    large &= marks.areas >= 0.2 * marks.areas[main]
    if large.sum() > 1:
        raise PictureError(
            f"shows {large.sum()} digits or other marks; cut out the one to be read"
        )
    digit = marks.where(_parts(marks, main))
    height = digit.bottoms.max() - digit.tops.min()
    if digit.rights.max() - digit.lefts.min() > _WIDEST * height:
        raise PictureError(
            "shows several digits, or a mark that is none; cut out the one to be read"
        )
    return np.isin(labels, digit.ids)


def _parts(marks, main):
    """Tell which marks belong to the main one, such as the detached bar of a 5."""
    across = np.minimum(marks.rights, marks.rights[main]) - np.maximum(
        marks.lefts, marks.lefts[main]
    )
    down = np.minimum(marks.bottoms, marks.bottoms[main]) - np.maximum(
        marks.tops, marks.tops[main]
    )
    near = np.minimum(across, down) >= -_NEAR * marks.extents[main]
    # What stands side by side is another digit, or the dot behind this one.
    beside = (across < 0) & (down >= np.minimum(marks.heights, marks.heights[main]) / 2)
    return near & ~beside
