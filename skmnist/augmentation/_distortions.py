"""Distortions of images as plain data: their strengths, and the fields they combine."""

# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from numbers import Integral, Real
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Fraction of an elastic field's variance that its few smooth fields must keep.
KEPT_VARIANCE = 0.99

# How many numbers an affine map is drawn from, and how many fields it combines.
N_AFFINE, N_AFFINE_FIELDS = 6, 3


@dataclass(frozen=True)
class Distortions:
    """Strengths of random distortions, for the parameter `augmentation`.

    In each epoch, each training image gets its own distortions. Its pixels are taken,
    by bilinear interpolation, from places that are moved by an affine map and by a
    smooth random field of displacements [1]_. Lengths are fractions of the image's
    shorter side, so the same strengths suit images of any size. The default of each
    strength is 0: no distortion.

    Parameters
    ----------
    rotation : float, default=0.0
        Largest rotation in either direction, in degrees.
    shift : float, default=0.0
        Largest shift along each axis, as a fraction of the shorter side.
    scale : float, default=0.0
        Largest change of size, drawn for each axis. With 0.1, the places lie 0.9 to 1.1
        pixels apart.
    shear : float, default=0.0
        Largest slant in either direction, as the tangent of its angle.
    elastic_strength : float, default=0.0
        Standard deviation of the elastic displacements along each axis, as a fraction
        of the shorter side.
    elastic_smoothness : float, default=0.15
        Standard deviation of the Gaussian that smooths the elastic field, as a
        fraction of the shorter side. Small values take more time.

    Raises
    ------
    ValueError
        If a value is not a number in its range.

    Notes
    -----
    All but the elastic displacements are drawn uniformly between plus and minus their
    largest value. Let ``(y, x)`` be a pixel's distance from the centre, in pixels. Its
    new value is the old one at ``(y', x')``::

        y' = (y cos a - x sin a) s_y       + t_y + e_y(y, x)
        x' = (y sin a + x cos a) s_x + h y + t_x + e_x(y, x)

    where ``a`` is the rotation, ``s`` are the changes of size, ``h`` is the shear,
    ``t`` are the shifts and ``e`` the elastic displacements. Places beyond the border
    have the value of the nearest pixel, so values stay in their range.

    References
    ----------
    .. [1] P. Y. Simard, D. Steinkraus, J. C. Platt, "Best Practices for
       Convolutional Neural Networks Applied to Visual Document Analysis",
       ICDAR 2003.

    Examples
    --------
    >>> from skmnist import Distortions, KerasMLPClassifier
    >>> light = Distortions(rotation=5, shift=0.04)
    >>> KerasMLPClassifier(augmentation=light).augmentation.rotation
    5
    """

    rotation: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic_strength: float = 0.0
    elastic_smoothness: float = 0.15

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not _is_number(value) or value < 0:
                raise ValueError(
                    f"{field.name} must be a number of at least 0; got {value!r}"
                )
        if self.rotation > 180 or self.scale >= 1 or self.elastic_smoothness == 0:
            raise ValueError(
                "rotation must be at most 180 degrees, scale below 1 and "
                f"elastic_smoothness above 0; got {self!r}"
            )


def _is_number(value: object) -> TypeGuard[Real]:
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


_AFFINE = Distortions(rotation=10.0, shift=0.04, scale=0.1, shear=0.1)

# The strengths that the names stand for; they suit handwritten digits.
AUGMENTATIONS = {
    "affine": _AFFINE,
    "affine+elastic": replace(_AFFINE, elastic_strength=0.03),
}


def describe_augmentation(
    augmentation: str | Distortions | None,
    image_shape: ArrayLike | None,
    n_features: int,
) -> dict[str, Any] | None:
    """Check `augmentation` and `image_shape`, and return them as plain data.

    Parameters
    ----------
    augmentation : None, str or Distortions
        A name in `AUGMENTATIONS`, or strengths.
    image_shape : None or sequence of two int
        Height and width; None for square images.
    n_features : int
        Number of pixels of an image.

    Returns
    -------
    described : dict or None
        The strengths by their names, and ``image_shape``; None without augmentation.

    Raises
    ------
    ValueError
        If the features are not the pixels of such an image.

    Examples
    --------
    >>> from skmnist.augmentation._distortions import describe_augmentation
    >>> describe_augmentation("affine", None, 784)["image_shape"]
    [28, 28]
    """
    if augmentation is None:
        return None
    named = isinstance(augmentation, str)
    strengths = AUGMENTATIONS[augmentation] if named else augmentation
    plain = {name: float(value) for name, value in asdict(strengths).items()}
    return {**plain, "image_shape": _check_shape(image_shape, n_features)}


def square_side(n_features: int) -> int | None:
    """Return the side of a square image, or None if the image cannot be square.

    Parameters
    ----------
    n_features : int
        Number of pixels of the image.

    Returns
    -------
    side : int or None
        Its side in pixels, at least 2.

    Examples
    --------
    >>> from skmnist.augmentation._distortions import square_side
    >>> square_side(784), square_side(785)
    (28, None)
    """
    side = math.isqrt(n_features)
    return side if side >= 2 and side * side == n_features else None


def _check_shape(image_shape: Any, n_features: int) -> list[int]:
    """Return the height and width of images; raise unless they fit the features."""
    if image_shape is None:
        side = square_side(n_features)
        if side is None:
            raise ValueError(
                f"augmentation distorts images, and {n_features} features are not the "
                "pixels of a square one; give image_shape=(height, width), or "
                "augmentation=None for data that are no images."
            )
        return [side, side]
    shape = list(image_shape)
    if len(shape) != 2 or not all(isinstance(n, Integral) and n >= 2 for n in shape):
        raise ValueError(
            "The 'image_shape' parameter of KerasMLPClassifier must hold height and "
            f"width, whole numbers of at least 2. Got {image_shape!r}."
        )
    if math.prod(shape) != n_features:
        raise ValueError(
            f"image_shape={tuple(shape)} means {math.prod(shape)} pixels, but X has "
            f"{n_features} features."
        )
    return [int(n) for n in shape]


def displacement_fields(
    image_shape: Sequence[int], elastic_strength: float, elastic_smoothness: float
) -> NDArray[np.float64]:
    """Return the fields, in pixels, that the displacements combine.

    Parameters
    ----------
    image_shape : sequence of two int
        Height and width.
    elastic_strength, elastic_smoothness : float
        As for `Distortions`.

    Returns
    -------
    fields : ndarray of shape (3 + n_elastic, n_pixels)
        The `affine_fields`, then the `elastic_fields` times their strength. Without
        strength there are no elastic fields.
    """
    fields = affine_fields(image_shape)
    if not elastic_strength:
        return fields
    side = min(image_shape)
    elastic = elastic_fields(image_shape, elastic_smoothness * side)
    return np.concatenate([fields, elastic_strength * side * elastic])


def largest_affine(strengths: Any, image_shape: Sequence[int]) -> list[float]:
    """Return the largest values of the numbers that an affine map is drawn from.

    Parameters
    ----------
    strengths : Distortions, or an object with its attributes
        The strengths.
    image_shape : sequence of two int
        Height and width.

    Returns
    -------
    largest : list of six float
        Angle in radians, changes of the two steps, slant, and two shifts in pixels.
    """
    shift = strengths.shift * min(image_shape)
    angle = np.deg2rad(strengths.rotation)
    return [angle, strengths.scale, strengths.scale, strengths.shear, shift, shift]


def affine_coefficients(
    numbers: Any, cos: Callable[[Any], Any], sin: Callable[[Any], Any]
) -> list[list[Any]]:
    """Return the coefficients with which the `affine_fields` make affine maps.

    Parameters
    ----------
    numbers : sequence of six arrays or tensors
        In the order of `largest_affine`.
    cos, sin : callable
        The functions for such arrays or tensors.

    Returns
    -------
    rows : list of two lists of three
        Coefficients of the three fields: for the way down, and to the right.
    """
    angle, scale_y, scale_x, shear, down, right = numbers
    cos, sin = cos(angle), sin(angle)
    step_y, step_x = 1 + scale_y, 1 + scale_x
    return [
        [down, cos * step_y, -sin * step_y],
        [right, sin * step_x + shear, cos * step_x],
    ]


def affine_fields(image_shape: Sequence[int]) -> NDArray[np.float64]:
    """Return the fields that an affine map combines.

    Parameters
    ----------
    image_shape : sequence of two int
        Height and width.

    Returns
    -------
    fields : ndarray of shape (3, n_pixels)
        Ones, then the distances from the centre: down, and to the right.
    """
    y, x = np.indices(image_shape).reshape(2, -1)
    height, width = image_shape
    return np.stack([np.ones(len(y)), y - (height - 1) / 2, x - (width - 1) / 2])


def elastic_fields(
    image_shape: Sequence[int], smoothness: float
) -> NDArray[np.float64]:
    """Return the fields that a smooth random field combines.

    White noise that is smoothed by a Gaussian is a Gaussian field with a known
    covariance. The largest terms of its Karhunen-Loeve expansion are a few smooth
    fields. Their sum with independent random coefficients of variance one has nearly
    that covariance.

    Parameters
    ----------
    image_shape : sequence of two int
        Height and width.
    smoothness : float
        Standard deviation of the Gaussian, in pixels.

    Returns
    -------
    fields : ndarray of shape (n_fields, n_pixels)
        At each pixel the squares of the fields sum to one.
    """
    (variances_y, modes_y), (variances_x, modes_x) = (
        np.linalg.eigh(_covariance(n, smoothness)) for n in image_shape
    )
    variances = np.outer(variances_y, variances_x).ravel()
    largest = np.argsort(-variances)
    kept = np.cumsum(variances[largest]) < KEPT_VARIANCE * variances.sum()
    largest = largest[: np.count_nonzero(kept) + 1]
    i, j = np.unravel_index(largest, (len(variances_y), len(variances_x)))
    modes = modes_y.T[i][:, :, None] * modes_x.T[j][:, None, :]
    fields = np.sqrt(variances[largest])[:, None] * modes.reshape(len(largest), -1)
    return fields / np.sqrt(np.sum(fields**2, axis=0))


def _covariance(n: int, smoothness: float) -> NDArray[np.float64]:
    """Return the covariance of smoothed white noise along a line of n pixels."""
    # The convolution of a Gaussian with itself has twice its variance.
    distances = np.subtract.outer(np.arange(n), np.arange(n))
    return np.exp(-(distances**2) / (4 * smoothness**2))
