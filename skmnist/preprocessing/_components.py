"""Marks of ink: find those that are the one digit in a picture."""

# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ._binarize import NOTHING, Grey, PictureError, ink_threshold

# Pixels that touch at a corner belong to one mark.
_TOUCHING = np.ones((3, 3), bool)
# Smallest extent of a digit, in pixels and as a fraction of the picture's shorter side.
_FEWEST, _PART = 5, 0.03
# In extents of the digit: two marks nearer than the first are one; a small mark above
# or below the digit belongs to it if it is nearer than the second.
_GAP, _NEAR = 0.08, 0.25
# A sheet of paper fills more of its box than this; no digit of MNIST with a hole does.
_RECTANGLE = 0.88
# No digit of MNIST is wider than its height times this.
_WIDEST = 2.0


def digit_mask(darkness: Grey) -> NDArray[np.bool_]:
    """Find the pixels of the one digit in a picture.

    Parameters
    ----------
    darkness : ndarray of shape (height, width)
        From `darkness_of`.

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


def is_sheet(mask: NDArray[np.bool_]) -> bool:
    """Return whether a mask is a sheet of paper with something on it, not a digit.

    Parameters
    ----------
    mask : bool ndarray of shape (height, width)
        From `digit_mask`.

    Returns
    -------
    sheet : bool
        Whether it fills a rectangle, with some holes that could be a digit.
    """
    filled = ndimage.binary_fill_holes(mask)
    box = np.ptp(np.argwhere(mask), axis=0) + 1
    holes = (filled & ~mask).sum() / filled.sum()
    return bool(filled.sum() > _RECTANGLE * box.prod() and 0.005 < holes < 0.25)


class _Marks(NamedTuple):
    """Connected marks of ink; each array has an entry for each mark."""

    ids: NDArray[np.int_]
    areas: NDArray[np.int_]
    tops: NDArray[np.int_]
    lefts: NDArray[np.int_]
    bottoms: NDArray[np.int_]
    rights: NDArray[np.int_]

    @classmethod
    def of(cls, labels: NDArray[np.integer]) -> Self:
        """Measure marks whose pixels have their numbers."""
        boxes = ndimage.find_objects(labels)
        ids = np.array([i for i, box in enumerate(boxes, 1) if box], int)
        corners = [
            [box[0].start, box[1].start, box[0].stop, box[1].stop]
            for box in boxes
            if box
        ]
        edges = np.array(corners, int).reshape(-1, 4)
        return cls(ids, np.bincount(labels.ravel())[ids], *edges.T)

    @property
    def heights(self) -> NDArray[np.int_]:
        """Heights in pixels."""
        return self.bottoms - self.tops

    @property
    def widths(self) -> NDArray[np.int_]:
        """Widths in pixels."""
        return self.rights - self.lefts

    @property
    def extents(self) -> NDArray[np.int_]:
        """The larger of height and width."""
        return np.maximum(self.heights, self.widths)

    def where(self, condition: NDArray[np.bool_]) -> "_Marks":
        """Return the marks for which a condition is true."""
        return _Marks(*(column[condition] for column in self))


def _off_the_edge(marks: _Marks, shape: tuple[int, ...]) -> _Marks:
    """Drop marks that touch the edge, such as a table, if there are others."""
    touches = (marks.tops == 0) | (marks.lefts == 0)
    touches |= (marks.bottoms == shape[0]) | (marks.rights == shape[1])
    inner, outer = marks.where(~touches), marks.where(touches)
    if not inner.ids.size or not outer.ids.size:
        return marks
    large = inner.extents.max() >= 0.15 * min(shape)
    return inner if large or inner.areas.max() >= outer.areas.max() / 4 else marks


def _without_frames(marks: _Marks) -> _Marks:
    """Drop thin frames drawn around other marks."""
    thin = marks.areas < 0.25 * marks.heights * marks.widths
    frames = np.zeros(len(thin), bool)
    for i in np.flatnonzero(thin):
        inside = (marks.tops > marks.tops[i]) & (marks.bottoms < marks.bottoms[i])
        inside &= (marks.lefts > marks.lefts[i]) & (marks.rights < marks.rights[i])
        inside &= marks.extents >= 0.3 * marks.extents[i]
        frames[i] = inside.any()
    return marks.where(~frames)


def _one_digit(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Join the parts of the digit and drop small marks; raise if there is another."""
    ink = labels > 0
    extent = _Marks.of(labels).extents.max()
    # The gaps in a broken stroke are narrower than those between digits.
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


def _parts(marks: _Marks, main: np.intp) -> NDArray[np.bool_]:
    """Return which marks belong to the main one, such as the loose bar of a 5."""
    across = np.minimum(marks.rights, marks.rights[main]) - np.maximum(
        marks.lefts, marks.lefts[main]
    )
    down = np.minimum(marks.bottoms, marks.bottoms[main]) - np.maximum(
        marks.tops, marks.tops[main]
    )
    near = np.minimum(across, down) >= -_NEAR * marks.extents[main]
    # A mark to the left or right is another digit, or a full stop.
    beside = (across < 0) & (down >= np.minimum(marks.heights, marks.heights[main]) / 2)
    return near & ~beside


def lines_of_digits(darkness: Grey) -> list[list[NDArray[np.bool_]]]:
    """Find the pixels of each digit in a picture of several.

    Parameters
    ----------
    darkness : ndarray of shape (height, width)
        From `darkness_of`.

    Returns
    -------
    lines : list of list of bool ndarray of shape (height, width)
        Masks of the digits: line by line from the top, each from left to right.

    Raises
    ------
    PictureError
        If there is no digit.
    """
    labels, _ = ndimage.label(darkness > ink_threshold(darkness), _TOUCHING)
    marks = _Marks.of(labels)
    marks = marks.where(marks.extents >= max(_FEWEST, _PART * min(darkness.shape) / 2))
    if not marks.ids.size:
        raise PictureError(NOTHING)
    marks = _without_frames(_off_the_edge(marks, darkness.shape))
    labels = np.where(np.isin(labels, marks.ids), labels, 0)
    # Most of the tall marks are digits; the others are their parts, or no digits.
    tall = marks.heights >= 0.5 * marks.heights.max()
    height = float(np.median(marks.heights[tall]))
    ink = labels > 0
    near = ndimage.distance_transform_edt(~ink) <= _GAP * height / 2
    labels = np.where(ink, ndimage.label(near, _TOUCHING)[0], 0)
    digits = _joined(_Marks.of(labels), height)
    return [
        [np.isin(labels, digit.ids) for digit in line] for line in _in_lines(digits)
    ]


def _joined(marks: _Marks, height: float) -> list[_Marks]:
    """Join small marks to the digits that they are parts of; drop the other ones."""
    large = marks.heights >= 0.5 * height
    members = {main: [main] for main in np.flatnonzero(large)}
    for small in np.flatnonzero(~large & (marks.extents >= 0.25 * height)):
        for main in members:
            pair = _Marks(*(column[[main, small]] for column in marks))
            if _parts(pair, np.intp(0)).all():
                members[main].append(small)
                break
    return [
        _Marks(*(column[chosen] for column in marks)) for chosen in members.values()
    ]


def _in_lines(digits: list[_Marks]) -> list[list[_Marks]]:
    """Sort digits: the middle of each is above the lower end of its line."""
    lines: list[list[_Marks]] = []
    for digit in sorted(digits, key=lambda d: d.tops.min() + d.bottoms.max()):
        middle = (digit.tops.min() + digit.bottoms.max()) / 2
        if lines and middle < np.mean([other.bottoms.max() for other in lines[-1]]):
            lines[-1].append(digit)
        else:
            lines.append([digit])
    return [sorted(line, key=lambda digit: digit.lefts.min()) for line in lines]
