"""The scale of pixels: told from their values, or asked for by name."""

# SPDX-License-Identifier: BSD-3-Clause

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

AUTO, KEEP = "auto", "keep"
# Values of full ink: black and white, scikit-learn's digits, and 8 to 16 bits.
FULL = (1, 16, 255, 1023, 4095, 16383, 65535)
# Pixels that are centred at 0; the last are signed bytes.
CENTRED = ((-0.5, 0.5), (-1, 1), (-128, 127))
# Interpolation goes beyond the scale by a part of its width.
_BEYOND = 0.1
_RANGE = re.compile(r"\s*([-+.\deE]+)\s*\.\.\s*([-+.\deE]+)\s*")


class PixelScale(NamedTuple):
    """The values of paper and of full ink.

    Parameters
    ----------
    low, high : float
        The values that become 0 and 1.
    """

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}"


def parse_pixels(pixels: object) -> PixelScale | str:
    """Read the name of a scale.

    Parameters
    ----------
    pixels : str or pair of numbers
        "auto", "keep", ``"LOW..HIGH"`` or ``(low, high)``.

    Returns
    -------
    scale : PixelScale or str
        The scale, or "auto" or "keep".

    Raises
    ------
    ValueError
        If it is something else.

    Examples
    --------
    >>> from skmnist.datasets._pixels import parse_pixels
    >>> parse_pixels("0..255")
    PixelScale(low=0.0, high=255.0)
    """
    if isinstance(pixels, str) and pixels in (AUTO, KEEP):
        return pixels
    found = _RANGE.fullmatch(pixels) if isinstance(pixels, str) else None
    given: Any = found.groups() if found else pixels
    try:
        low, high = map(float, () if isinstance(given, str) else given)
    except (TypeError, ValueError):
        low = high = np.nan
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(
            f"pixels must be 'auto', 'keep' or a range such as 0..255; got {pixels!r}"
        )
    return PixelScale(low, high)


def tell_scale(lowest: float, highest: float, whole: bool) -> PixelScale | None:
    """Tell the scale of pixels from the lowest and the highest of them.

    Parameters
    ----------
    lowest, highest : float
        The values of the palest and the darkest pixel.
    whole : bool
        Whether the pixels have an integer type. Others may go a little beyond their
        scale, because they were interpolated.

    Returns
    -------
    scale : PixelScale or None
        The narrowest common scale that holds the pixels, if they fill half of it. If
        they do not, but none is negative, the largest value is full ink. None for
        others, such as standardized pixels.

    Examples
    --------
    >>> from skmnist.datasets._pixels import tell_scale
    >>> print(tell_scale(0, 15, whole=True), tell_scale(-1, 0.9, whole=False))
    0..16 -1..1
    """
    beyond = 0 if whole else _BEYOND
    if lowest < -beyond * max(highest, 0):
        for low, high in CENTRED:
            if low <= lowest and highest <= high and (low > -2 or 2 * lowest < low):
                return PixelScale(low, high)
        return None
    if highest <= 1 + beyond:
        return PixelScale(0, 1)
    full = next((full for full in FULL if highest <= full * (1 + beyond)), highest)
    return PixelScale(0, full if 2 * highest >= full else highest)


def paper_and_ink(classifier: object) -> tuple[float, float]:
    """Return the values of paper and of full ink in a classifier's training data.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A fitted classifier, with `input_range_`. Models that an older version saved
        do not have it; they were trained with values from 0 to 1.

    Returns
    -------
    paper, ink : float
        The ends of the scale that `tell_scale` tells, or else the lowest and the
        highest value of the training data.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from skmnist.datasets._pixels import paper_and_ink
    >>> paper, ink = paper_and_ink(SimpleNamespace(input_range_=(0.0, 15.0)))
    >>> paper, ink
    (0, 16)
    """
    lowest, highest = getattr(classifier, "input_range_", (0.0, 1.0))
    return tell_scale(lowest, highest, whole=False) or (lowest, highest)


def find_scale(
    parts: Sequence[Array], pixels: object = AUTO
) -> tuple[PixelScale | None, str]:
    """Find one scale for all parts of a data set.

    Parameters
    ----------
    parts : sequence of ndarray
        Pictures, the training part first. The scale is told from the training part;
        the others must fit it.
    pixels : str or pair of numbers, default="auto"
        See `parse_pixels`.

    Returns
    -------
    scale : PixelScale or None
        The scale; None to keep the pixels as they are.
    said : str
        A sentence that says what is done.

    Raises
    ------
    ValueError
        If the parts have different scales, or `pixels` names none.
    """
    asked = parse_pixels(pixels)
    ranges = [(float(x.min()), float(x.max())) for x in parts]
    lowest, highest = ranges[0]
    scale: PixelScale | None
    if isinstance(asked, PixelScale):
        scale = asked
    else:
        scale = None if asked == KEEP else _common_scale(parts, ranges)
    said = f"Pixels from {lowest:g} to {highest:g}"
    if scale is None:
        return None, f"{said}, kept as they are"
    return scale, f"{said}, scaled from {scale} to 0..1"


def scale_pixels(
    parts: Sequence[Array], pixels: object = AUTO
) -> tuple[list[NDArray[np.float32]], str]:
    """Scale the parts of a data set alike.

    Parameters
    ----------
    parts : sequence of ndarray
        Pictures, the training part first.
    pixels : str or pair of numbers, default="auto"
        See `find_scale`.

    Returns
    -------
    scaled : list of ndarray of float32
        Pictures whose paper is 0 and whose full ink is 1, unless they are kept.
    said : str
        A sentence that says what was done.

    Raises
    ------
    ValueError
        If the parts have different scales, or `pixels` names none.
    """
    scale, said = find_scale(parts, pixels)
    return [rescaled(x, scale) for x in parts], said


def _common_scale(
    parts: Sequence[Array], ranges: list[tuple[float, float]]
) -> PixelScale | None:
    """Tell one scale for all parts from the first, or from all if they go beyond it."""
    whole = parts[0].dtype.kind != "f"
    scale = tell_scale(*ranges[0], whole)
    lowest, highest = min(r[0] for r in ranges), max(r[1] for r in ranges)
    together = tell_scale(lowest, highest, whole)
    if together == scale or scale is None or _holds(scale, lowest, highest, whole):
        return scale
    if together and 4 * ranges[0][1] >= together.high and together.low == scale.low:
        return together
    said = ", ".join(f"from {low:g} to {high:g}" for low, high in ranges)
    raise ValueError(
        f"pixels of different scales in training and test part ({said}); name the "
        "scale, for example --pixels 0..255"
    )


def _holds(scale: PixelScale, lowest: float, highest: float, whole: bool) -> bool:
    beyond = 0 if whole else _BEYOND * (scale.high - scale.low)
    return scale.low - beyond <= lowest and highest <= scale.high + beyond


def rescaled(x: Array, scale: PixelScale | None) -> NDArray[np.float32]:
    """Scale pixels, in float32 if it holds them exactly; None keeps them."""
    if scale is None:
        return x.astype(np.float32)
    exact = x.dtype.kind != "f" and x.dtype.itemsize > 2
    scaled = x.astype(np.float64 if exact else np.float32)
    if scale.low:
        scaled -= scale.low
    if scale.high - scale.low != 1:
        scaled /= scale.high - scale.low
    return scaled.astype(np.float32, copy=False)
