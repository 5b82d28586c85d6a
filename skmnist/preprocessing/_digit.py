"""A picture of one digit in, an array like those of MNIST out."""

# SPDX-License-Identifier: BSD-3-Clause

import os
import warnings

import numpy as np
from scipy import ndimage

from ._binarize import (
    NOTHING,
    PictureError,
    darkness_of,
    ink_is_dark,
    otsu_threshold,
    resized,
    shape_within,
    without_specks,
)
from ._components import digit_mask, is_sheet

# MNIST: the digit fits a square of 20, its centre of mass is that of a square of 28.
SIDE, BOX = 28, 20

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP")
# A digit takes a twentieth of a photograph's side at least, and 50 pixels are enough;
# half as many show where it is.
_WORKING_SIDE, _COARSE_SIDE = 1024, 512
# No digit is recognized in fewer pixels.
_SMALLEST_SIDE = 5
# Opaque pixels of a wider range than this are of paper and of ink.
_BIMODAL = 0.25
# Mean widths of strokes in pixels: in MNIST none is finer than the first and 98 % are
# wider than the second, which finer ones get.
_FINEST, _FINE = 1.5, 1.8


def read_digit(path):
    """Read a photograph or scan of one digit as a picture like those of MNIST.

    The file is read by Pillow, turned as its EXIF data say, and goes through
    :func:`normalize_digit`. Transparent pixels count as paper.

    Parameters
    ----------
    path : str or path-like
        A PNG, JPEG, TIFF, WebP, GIF or BMP file of any size up to 89 million pixels,
        in grey or colour, of 1 to 16 bits. Of several pages, the first is read.

    Returns
    -------
    digit : float32 ndarray of shape (28, 28)
        Grey values from 0 (background) to 1 (ink). ``digit.reshape(1, -1)`` is a row
        as a classifier trained on :func:`fetch_mnist` takes it.

    Raises
    ------
    PictureError
        If the file is missing, no picture, damaged or too large, or if the picture
        shows no digit or several. One line, which begins with the path.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image, ImageDraw
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


def normalize_digit(picture):
    """Bring grey values with one digit among them to the form of MNIST.

    The lighting is estimated and divided out, the ink told from the paper by Otsu's
    threshold, specks, frames and what touches the edge are removed, and the digit is
    cut out, scaled to fit a square of 20 pixels with its proportions kept, and
    placed in a square of 28 with its centre of mass in the middle. Strokes finer
    than those of MNIST are made wider.

    Parameters
    ----------
    picture : array-like of shape (height, width)
        Grey values of any scale, ink dark on light or light on dark.

    Returns
    -------
    digit : float32 ndarray of shape (28, 28)
        Grey values from 0 (background) to 1 (ink).

    Raises
    ------
    PictureError
        If there is no digit to be found, or several.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
    recognition", Proc. IEEE 86(11), 2278-2324, 1998, section III A: the form of MNIST.
    Otsu, "A threshold selection method from gray-level histograms", IEEE Trans.
    Systems, Man and Cybernetics 9(1), 62-66, 1979.

    Examples
    --------
    >>> import numpy as np
    >>> paper = np.full((60, 90), 200)
    >>> paper[10:40, 50:58] = 30
    >>> round(float(normalize_digit(paper)[5:23, 13:16].min()), 1)
    1.0
    """
    return _normalized(_scaled(picture))


def place_digit(ink):
    """Scale and place a digit as MNIST has it, without looking for it.

    Parameters
    ----------
    ink : ndarray of shape (height, width)
        Grey values from 0 (background) to 1 (ink) of one digit and nothing else.

    Returns
    -------
    digit : float32 ndarray of shape (28, 28)
        The digit in a square of 20, its centre of mass in the middle, as
        :func:`normalize_digit` gives it.

    Examples
    --------
    >>> from skmnist import load_digits_28x28
    >>> place_digit(load_digits_28x28().data[0].reshape(28, 28)).shape
    (28, 28)
    """
    return _placed(_fitted(_ink(ink, ink > otsu_threshold(ink))))


def reduce_to_8x8(digit):
    """Reduce a picture to the 8 x 8 pixels of scikit-learn's digits.

    This reverses :func:`load_digits_28x28`: the digit, in the middle of its square
    of 20 pixels, is averaged over 8 x 8 equal areas.

    Parameters
    ----------
    digit : ndarray of shape (28, 28)
        Grey values from 0 to 1 of a digit that fits a square of 20.

    Returns
    -------
    small : float32 ndarray of shape (8, 8)
        Grey values from 0 to 1; those of `load_digits` are 16 times as large.

    Examples
    --------
    >>> from skmnist import load_digits_28x28
    >>> reduce_to_8x8(load_digits_28x28().data[0].reshape(28, 28)).shape
    (8, 8)
    """
    for axis in (0, 1):
        filled = np.flatnonzero(digit.any(axis=1 - axis))
        # The square of 20 with the digit in its middle, as far as there is room.
        first = (filled[0] + filled[-1] + 1 - BOX) // 2
        square = range(np.clip(first, 0, SIDE - BOX), SIDE)[:BOX]
        digit = digit.take(square, axis)
    return resized(digit, (8, 8))


def _normalized(grey):
    """Bring grey values from 0 to 1 to the form of MNIST."""
    if min(grey.shape) < _SMALLEST_SIDE:
        raise PictureError(f"{grey.shape[1]} x {grey.shape[0]} pixels show no digit")
    grey = without_specks(grey)
    if not ink_is_dark(grey):
        grey = 1 - grey
    # A digit that is small in its picture is found first, then looked at closely.
    found = _found(grey)
    if is_sheet(found):  # on a table of the other brightness
        grey = 1 - grey[_box(found, grey.shape, -0.03)]
        found = _found(grey)
    grey = grey[_box(found, grey.shape, 0.4)]
    darkness = darkness_of(grey)
    return _placed(_fitted(_ink(darkness, digit_mask(darkness))))


def _found(grey):
    """Find the digit in a coarse copy of a picture of dark ink; return its mask."""
    coarse = resized(grey, shape_within(grey.shape, _COARSE_SIDE))
    return digit_mask(darkness_of(coarse))


def _read_grey(path):
    """Read a file's grey values, from 0 to 1, reduced to what is needed of them."""
    from PIL import Image

    if os.path.isdir(path):
        raise PictureError("is a folder; name the pictures in it")
    try:
        with warnings.catch_warnings():
            # What Pillow warns of at 89 million pixels, it refuses at twice that.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                return _to_grey(image)
    except FileNotFoundError:
        raise PictureError("no such file") from None
    except PermissionError:
        raise PictureError("may not be read: permission denied") from None
    except Image.UnidentifiedImageError:
        raise PictureError(
            "no picture that can be read; PNG, JPEG, TIFF, WebP, GIF and BMP can"
        ) from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise PictureError(
            "more than 89 million pixels; scale the picture down"
        ) from error
    except PictureError:
        raise
    except Exception as error:  # each codec has errors of its own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"damaged picture ({reason})") from error


def _to_grey(image):
    """Bring a Pillow image to grey values from 0 to 1."""
    from PIL import Image, ImageOps

    # A JPEG is decoded no larger than it has to be.
    image.draft("L", (_WORKING_SIDE, _WORKING_SIDE))
    image = ImageOps.exif_transpose(image)
    if image.mode == "F" or image.mode.startswith("I"):
        # 10, 12 and 16 bits all come as 16: the scale is the picture's own.
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


def _on_paper(grey, alpha):
    """Lay a picture with transparent parts on paper that its ink stands out from."""
    opaque = grey[alpha > 0.5]
    if not opaque.size:
        raise PictureError(NOTHING)
    if np.ptp(np.quantile(opaque, (0.02, 0.98))) > _BIMODAL:
        paper = np.median(opaque)  # the paper is in the picture
    else:
        paper = 1.0 if np.median(opaque) < 0.5 else 0.0
    return grey * alpha + paper * (1 - alpha)


def _scaled(picture):
    """Bring grey values of any scale to 0 to 1."""
    grey = np.asarray(picture, np.float32)
    if grey.ndim != 2 or not grey.size:
        raise PictureError(f"grey values of shape {grey.shape}, not (height, width)")
    if not np.isfinite(grey).all():
        raise PictureError("grey values that are not finite")
    grey = grey - min(grey.min(), 0)
    top = grey.max()
    return grey / next((full for full in (1, 255) if top <= full), top)


def _box(mask, shape, margin):
    """Return the slices, for a picture of that shape, of a mask's box with a margin.

    The margin is a fraction of the mask's extent.
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


def _extents(mask):
    """Return height and width of what is true."""
    return np.ptp(np.argwhere(mask), axis=0) + 1


def _ink(darkness, mask):
    """Return the digit's ink from 0 to 1, with its soft edges, cut out."""
    outside = ndimage.distance_transform_edt(~mask)
    ink = np.clip(darkness / np.quantile(darkness[mask], 0.75), 0, 1)
    ink[(outside > max(1, 0.05 * max(_extents(mask)))) | (ink < 0.1)] = 0
    ink = _with_usual_strokes(ink, mask)
    rows, columns = (np.flatnonzero((ink > 0.3).any(axis=axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _with_usual_strokes(ink, mask):
    """Make strokes wider that are finer than those of MNIST."""
    inside = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    pixel = max(_extents(mask)) / BOX
    # In a bar of width w the distance to its edge is w / 4 on average.
    width = 4 * inside[mask].mean() / pixel
    if width >= _FINEST:
        return ink
    by = (_FINE - width) / 2 * pixel
    room = int(by) + 1
    outside = ndimage.distance_transform_edt(~np.pad(mask, room))
    return np.maximum(np.pad(ink, room), np.clip(1 + by - outside, 0, 1))


def _fitted(ink):
    """Scale ink to fit a square of 20, its proportions kept."""
    scale = BOX / max(ink.shape)
    return resized(ink, tuple(max(1, round(n * scale)) for n in ink.shape))


def _placed(small):
    """Place a digit in the square of 28, its centre of mass in the middle."""
    total = small.sum()
    digit = np.zeros((SIDE, SIDE), np.float32)
    corner = []
    for axis in (0, 1):
        centres = np.arange(small.shape[axis]) + 0.5
        mean = (small.sum(axis=1 - axis) * centres).sum() / total
        room = SIDE - small.shape[axis]
        # In MNIST it is in the pixel below and to the right of the middle.
        corner.append(int(np.clip(np.ceil(SIDE / 2 - mean), 0, room)))
    top, left = corner
    # The averages of ones may be a rounding error above one.
    small = np.minimum(small, 1)
    digit[top : top + small.shape[0], left : left + small.shape[1]] = small
    return digit
