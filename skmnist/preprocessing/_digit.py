"""Read a picture of one digit as an array like those of MNIST."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from .._io import check_readable_file
from ._binarize import (
    NOTHING,
    Grey,
    PictureError,
    darkness_of,
    ink_is_dark,
    otsu_threshold,
    resized,
    shape_within,
    without_specks,
)
from ._components import digit_mask, is_sheet, lines_of_digits
from ._cut_out import with_paper

if TYPE_CHECKING:
    from PIL.Image import Image

# MNIST: the digit fits a square of 20 pixels, and its centre of mass is in the middle
# of a square of 28.
SIDE, BOX = 28, 20
# Pictures of MNIST's form, and of the form of scikit-learn's digits.
N_PIXELS = (784, 64)

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP")
# A digit is at least as large as a twentieth of a photograph's side. 50 pixels are
# enough to see it well, and half as many to find it.
_WORKING_SIDE, _COARSE_SIDE = 1024, 512
# Most edges that a line across a picture of many digits meets.
_EDGES_OF_MANY = 60
# No digit can be seen in fewer pixels.
_SMALLEST_SIDE = 5
# If the opaque pixels have a wider range than this, they show paper and ink.
_BIMODAL = 0.25
# Mean widths of strokes in pixels. In MNIST no stroke is finer than the first, and 98 %
# are wider than the second. Strokes finer than the first get the second.
_FINEST, _FINE = 1.5, 1.8


def read_digit(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Read a photograph or scan of one digit as a picture like those of MNIST.

    Pillow reads the file and turns it as its EXIF data say. Then
    :func:`normalize_digit` finds and places the digit. Transparent pixels are paper.

    Parameters
    ----------
    path : str or path-like
        A PNG, JPEG, TIFF, WebP, GIF or BMP file with at most 89 million pixels, in
        grey or colour, with 1 to 16 bits. If it has several pages, the first is read.

    Returns
    -------
    digit : float32 ndarray of shape (28, 28)
        Grey values from 0 (background) to 1 (ink). A classifier that was trained on
        :func:`fetch_mnist` takes it as ``digit.reshape(1, -1)``.

    Raises
    ------
    PictureError
        If the file is missing, no picture, damaged or too large, or if the picture
        shows no digit or several. The message is one line that begins with the path.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image, ImageDraw
    >>> from skmnist import read_digit
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     picture = Image.new("L", (200, 150), "white")
    ...     ImageDraw.Draw(picture).line((120, 30, 110, 110), "black", width=12)
    ...     picture.save(f"{folder}/one.png")
    ...     digit = read_digit(f"{folder}/one.png")
    >>> digit.shape, round(float(digit[14].max()), 1)
    ((28, 28), 1.0)
    """
    path = os.fspath(path)
    try:
        return _normalized(_read_grey(path))
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from error


def normalize_digit(picture: ArrayLike) -> NDArray[np.float32]:
    """Convert grey values that show one digit to a picture like those of MNIST.

    - The light is estimated and divided out.
    - Otsu's threshold separates ink from paper.
    - Specks, frames and marks at the edge are removed.
    - Strokes that are finer than those of MNIST are made wider.
    - The digit is scaled to fit a square of 20 pixels; its proportions are kept.
    - It is placed in a square of 28 pixels, with its centre of mass in the middle.

    Parameters
    ----------
    picture : array-like of shape (height, width)
        Grey values of any scale. The ink may be dark on light or light on dark.

    Returns
    -------
    digit : float32 ndarray of shape (28, 28)
        Grey values from 0 (background) to 1 (ink).

    Raises
    ------
    PictureError
        If no digit is found, or several.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
    recognition", Proc. IEEE 86(11), 2278-2324, 1998, section III A: the form of MNIST.
    Otsu, "A threshold selection method from gray-level histograms", IEEE Trans.
    Systems, Man and Cybernetics 9(1), 62-66, 1979.

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist import normalize_digit
    >>> paper = np.full((60, 90), 200)
    >>> paper[10:40, 50:58] = 30
    >>> round(float(normalize_digit(paper)[5:23, 13:16].min()), 1)
    1.0
    """
    return _normalized(_scaled(picture))


def read_digits(path: str | os.PathLike[str]) -> list[list[NDArray[np.float32]]]:
    """Read a photograph or scan of several digits as pictures like those of MNIST.

    Parameters
    ----------
    path : str or path-like
        A picture as :func:`read_digit` takes it, with digits of about the same size
        that do not touch.

    Returns
    -------
    lines : list of list of float32 ndarray of shape (28, 28)
        The digits: line by line from the top, each from left to right.

    Raises
    ------
    PictureError
        If the file cannot be read, or the picture shows no digit.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image, ImageDraw, ImageFont
    >>> from skmnist import read_digits
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     picture = Image.new("L", (200, 100), "white")
    ...     draw = ImageDraw.Draw(picture)
    ...     draw.text((20, 10), "1 7 4", "black", ImageFont.load_default(60))
    ...     picture.save(f"{folder}/number.png")
    ...     lines = read_digits(f"{folder}/number.png")
    >>> [len(line) for line in lines]
    [3]
    """
    path = os.fspath(path)
    try:
        grey = _read_grey(path)
        framed = with_paper(grey, _EDGES_OF_MANY)
        for candidate in [framed] if framed is not None else []:
            with contextlib.suppress(PictureError):
                return _lines(candidate)
        return _lines(grey)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from error


def _lines(grey: Grey) -> list[list[NDArray[np.float32]]]:
    """Convert a picture of several digits to pictures like those of MNIST."""
    grey = without_specks(_large_enough(grey))
    if not ink_is_dark(grey):
        grey = 1 - grey
    darkness = darkness_of(grey)
    lines = lines_of_digits(darkness)
    return [[_cut(darkness, mask) for mask in line] for line in lines]


def _cut(darkness: Grey, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Cut out one of several digits, and place it."""
    box = _box(mask, mask.shape, 0.2)
    # What belongs to its neighbours is paper.
    own = np.where(ndimage.binary_dilation(mask, iterations=2), darkness, 0)
    return _placed(_fitted(_ink(own[box], mask[box])))


def place_digit(ink: Grey) -> NDArray[np.float32]:
    """Scale and place a digit as in MNIST; all of the picture is the digit.

    Parameters
    ----------
    ink : ndarray of shape (height, width)
        Grey values from 0 (background) to 1 (ink) of one digit and nothing else.

    Returns
    -------
    digit : float32 ndarray of shape (28, 28)
        The digit as :func:`normalize_digit` places it: it fits a square of 20, and its
        centre of mass is in the middle.

    Examples
    --------
    >>> from skmnist import load_digits_28x28
    >>> from skmnist.preprocessing._digit import place_digit
    >>> place_digit(load_digits_28x28().data[0].reshape(28, 28)).shape
    (28, 28)
    """
    return _placed(_fitted(_ink(ink, ink > otsu_threshold(ink))))


def reduce_to_8x8(digit: Grey) -> Grey:
    """Reduce a picture to the 8 x 8 pixels of scikit-learn's digits.

    This is the inverse of :func:`load_digits_28x28`: the square of 20 pixels around
    the digit is averaged over 8 x 8 equal areas.

    Parameters
    ----------
    digit : ndarray of shape (28, 28)
        Grey values from 0 to 1 of a digit that fits a square of 20.

    Returns
    -------
    small : float32 ndarray of shape (8, 8)
        Grey values from 0 to 1. Those of `load_digits` are 16 times as large.

    Examples
    --------
    >>> from skmnist import load_digits_28x28
    >>> from skmnist.preprocessing._digit import reduce_to_8x8
    >>> reduce_to_8x8(load_digits_28x28().data[0].reshape(28, 28)).shape
    (8, 8)
    """
    for axis in (0, 1):
        filled = np.flatnonzero(digit.any(axis=1 - axis))
        # The square of 20 with the digit in its middle, if the picture has room for it.
        first = (filled[0] + filled[-1] + 1 - BOX) // 2
        square = range(np.clip(first, 0, SIDE - BOX), SIDE)[:BOX]
        digit = digit.take(square, axis)
    return resized(digit, (8, 8))


def check_reads_digits(n_features: int, name: object = "the classifier") -> None:
    """Raise ValueError unless a model of so many features can read digits.

    Parameters
    ----------
    n_features : int
        Number of features of the model.
    name : object, default="the classifier"
        What the message calls it.

    Raises
    ------
    ValueError
        If pictures have another number of pixels.
    """
    if n_features not in N_PIXELS:
        raise ValueError(
            f"{name} takes {n_features} features; pictures are read by models of 784 "
            "(28 x 28 pixels) or 64 (8 x 8)"
        )


def _normalized(grey: Grey) -> NDArray[np.float32]:
    """Convert grey values from 0 to 1 to a picture like those of MNIST."""
    # Ink that fills a picture looks like paper.
    framed = with_paper(grey)
    if framed is not None:
        with contextlib.suppress(PictureError):
            return _with_room(framed)
    return _with_room(grey)


def _with_room(grey: Grey) -> NDArray[np.float32]:
    """Convert a picture in which there is more paper than ink."""
    grey = without_specks(_large_enough(grey))
    if not ink_is_dark(grey):
        grey = 1 - grey
    # A digit may be small in its picture: it is found first, then cut out and taken
    # from the pixels around it.
    found = _found(grey)
    if is_sheet(found):  # a light sheet on a dark table, or the other way round
        grey = 1 - grey[_box(found, grey.shape, -0.03)]
        found = _found(grey)
    grey = grey[_box(found, grey.shape, 0.4)]
    darkness = darkness_of(grey)
    return _placed(_fitted(_ink(darkness, digit_mask(darkness))))


def _large_enough(grey: Grey) -> Grey:
    """Raise PictureError for a picture in which no digit can be seen."""
    if min(grey.shape) < _SMALLEST_SIDE:
        raise PictureError(f"{grey.shape[1]} x {grey.shape[0]} pixels show no digit")
    return grey


def _found(grey: Grey) -> NDArray[np.bool_]:
    """Find the digit in a coarse copy of a picture of dark ink; return its mask."""
    coarse = resized(grey, shape_within(grey.shape, _COARSE_SIDE))
    return digit_mask(darkness_of(coarse))


def _read_grey(path: str) -> Grey:
    """Read a file's grey values, from 0 to 1, in as many pixels as are needed."""
    from PIL import Image, UnidentifiedImageError

    path = os.path.expanduser(path)
    _check_file(path)
    try:
        with warnings.catch_warnings():
            # Pillow warns above 89 million pixels, and refuses above twice as many.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                return _to_grey(image)
    except PermissionError:
        raise PictureError("may not be read: permission denied") from None
    except UnidentifiedImageError:
        raise PictureError(
            "no picture that can be read; PNG, JPEG, TIFF, WebP, GIF and BMP can"
        ) from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise PictureError(
            "more than 89 million pixels; scale the picture down"
        ) from error
    except PictureError:
        raise
    except Exception as error:  # each codec has its own errors
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"damaged picture ({reason})") from error


def _check_file(path: str) -> None:
    """Raise PictureError unless a path is a file that may be read."""
    try:
        check_readable_file(path)
    except IsADirectoryError:
        raise PictureError("is a folder; name the pictures in it") from None
    except OSError as error:
        raise PictureError(error.strerror) from None


def _to_grey(image: "Image") -> Grey:
    """Convert a Pillow image to grey values from 0 to 1."""
    from PIL import Image, ImageOps

    # Decode a JPEG no larger than needed.
    image.draft("L", (_WORKING_SIDE, _WORKING_SIDE))
    image = ImageOps.exif_transpose(image)
    if image.mode == "F" or image.mode.startswith("I"):
        # Pillow returns 10, 12 and 16 bits all as 16: take the largest value as scale.
        image = image.convert("F")
        image.thumbnail((_WORKING_SIDE, _WORKING_SIDE), Image.Resampling.BOX)
        return _scaled(np.asarray(image))
    transparent = image.has_transparency_data
    if image.mode in ("1", "P", "PA"):  # these cannot be averaged
        image = image.convert("RGBA" if transparent else "RGB")
    image.thumbnail((_WORKING_SIDE, _WORKING_SIDE), Image.Resampling.BOX)
    if not transparent:
        return np.asarray(image.convert("L"), np.float32) / 255
    grey, alpha = np.moveaxis(np.asarray(image.convert("LA"), np.float32) / 255, 2, 0)
    return _on_paper(grey, alpha)


def _on_paper(grey: Grey, alpha: Grey) -> Grey:
    """Put paper behind transparent pixels, such that the ink stands out from it."""
    opaque = grey[alpha > 0.5]
    if not opaque.size:
        raise PictureError(NOTHING)
    if np.ptp(np.quantile(opaque, (0.02, 0.98))) > _BIMODAL:
        paper = np.median(opaque)  # the paper is in the picture
    else:
        paper = 1.0 if np.median(opaque) < 0.5 else 0.0
    return grey * alpha + paper * (1 - alpha)


def _scaled(picture: ArrayLike) -> Grey:
    """Scale grey values of any range to values from 0 to 1."""
    grey = np.asarray(picture, np.float32)
    if grey.ndim != 2 or not grey.size:
        raise PictureError(f"grey values of shape {grey.shape}, not (height, width)")
    if not np.isfinite(grey).all():
        raise PictureError("grey values that are not finite")
    grey = grey - min(grey.min(), 0)
    top = grey.max()
    return grey / next((full for full in (1, 255) if top <= full), top)


def _box(
    mask: NDArray[np.bool_], shape: tuple[int, ...], margin: float
) -> tuple[slice, ...]:
    """Return the slices of a picture that a mask's box and a margin around it cover.

    The mask may be of a copy of the picture in another size. The margin is a fraction
    of the mask's extent.
    """
    margin = margin * max(_extents(mask))
    slices = []
    for axis in (0, 1):
        filled = np.flatnonzero(mask.any(axis=1 - axis))
        scale = shape[axis] / mask.shape[axis]
        first = int((filled[0] - margin) * scale)
        last = int((filled[-1] + 1 + margin) * scale)
        slices.append(slice(max(first, 0), last))
    return tuple(slices)


def _extents(mask: NDArray[np.bool_]) -> NDArray[np.int_]:
    """Return the height and width of the box around what is true."""
    return np.ptp(np.argwhere(mask), axis=0) + 1


def _ink(darkness: Grey, mask: NDArray[np.bool_]) -> Grey:
    """Cut out the digit's ink, from 0 to 1, with its soft edges."""
    outside = ndimage.distance_transform_edt(~mask)
    ink = np.clip(darkness / np.quantile(darkness[mask], 0.75), 0, 1)
    ink[(outside > max(1, 0.05 * max(_extents(mask)))) | (ink < 0.1)] = 0
    ink = _with_usual_strokes(ink, mask)
    rows, columns = (np.flatnonzero((ink > 0.3).any(axis=axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _with_usual_strokes(ink: Grey, mask: NDArray[np.bool_]) -> Grey:
    """Make strokes wider if they are finer than those of MNIST."""
    inside = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    pixel = max(_extents(mask)) / BOX
    # In a bar of width w the mean distance to the edge is w / 4.
    width = 4 * inside[mask].mean() / pixel
    if width >= _FINEST:
        return ink
    by = (_FINE - width) / 2 * pixel
    room = int(by) + 1
    outside = ndimage.distance_transform_edt(~np.pad(mask, room))
    return np.maximum(np.pad(ink, room), np.clip(1 + by - outside, 0, 1))


def _fitted(ink: Grey) -> Grey:
    """Scale ink to fit a square of 20; its proportions are kept."""
    scale = BOX / max(ink.shape)
    return resized(ink, tuple(max(1, round(n * scale)) for n in ink.shape))


def _placed(small: Grey) -> NDArray[np.float32]:
    """Place a digit in a square of 28, with its centre of mass in the middle."""
    total = small.sum()
    digit = np.zeros((SIDE, SIDE), np.float32)
    corner = []
    for axis in (0, 1):
        centres = np.arange(small.shape[axis]) + 0.5
        mean = (small.sum(axis=1 - axis) * centres).sum() / total
        room = SIDE - small.shape[axis]
        # In MNIST it lies in the pixel below and to the right of the middle. The tiny
        # number is for rounding errors: they must not move a symmetrical digit.
        corner.append(int(np.clip(np.ceil(SIDE / 2 - mean - 1e-5), 0, room)))
    top, left = corner
    # Rounding may have made the averages of ones a little larger than one.
    small = np.minimum(small, 1)
    digit[top : top + small.shape[0], left : left + small.shape[1]] = small
    return digit
