"""Distortions of images as plain data: how strong, and what fields they are made of."""

# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import asdict, dataclass, fields, replace
from numbers import Integral, Real

import numpy as np

# Part of an elastic field's variance that its few smooth fields must keep.
KEPT_VARIANCE = 0.99

# Numbers that an affine map is drawn from, and fields that it is combined of.
N_AFFINE, N_AFFINE_FIELDS = 6, 3


@dataclass(frozen=True)
class Distortions:
    """How strongly training images are distorted at random, for `augmentation`.

    Every image of every epoch gets distortions of its own: it is sampled, by
    bilinear interpolation, at places that an affine map and a smooth random field
    of displacements [1]_ move. Lengths are fractions of the image's shorter side,
    so that the same strengths suit images of any size. What is not given is not
    distorted.

    Parameters
    ----------
    rotation : float, default=0.0
        Largest rotation either way, in degrees.
    shift : float, default=0.0
        Largest shift along each axis, as a fraction of the side.
    scale : float, default=0.0
        Largest change of size, drawn for each axis: 0.1 samples the image in steps
        of 0.9 to 1.1 pixels.
    shear : float, default=0.0
        Largest slant either way: the tangent of its angle.
    elastic_strength : float, default=0.0
        Standard deviation of the elastic displacements along each axis, as a
        fraction of the side.
    elastic_smoothness : float, default=0.15
        Standard deviation of the Gaussian that smooths the elastic field, as a
        fraction of the side. Small values need more arithmetic.

    Raises
    ------
    ValueError
        If a value is not a number in its range.

    Notes
    -----
    All but the elastic displacements are uniform between plus and minus their
    largest value. For an image in which ``(y, x)`` is the distance from the centre in
    pixels, the value there is taken from ``(y', x')``::

        y' = (y cos a - x sin a) s_y       + t_y + e_y(y, x)
        x' = (y sin a + x cos a) s_x + h y + t_x + e_x(y, x)

    with the rotation ``a``, the steps ``s``, the shear ``h``, the shifts ``t`` and the
    elastic displacements ``e``. Places beyond the border have the value of the nearest
    pixel, so values stay in their range.

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

    def __post_init__(self):
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


def _is_number(value):
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


_AFFINE = Distortions(rotation=10.0, shift=0.04, scale=0.1, shear=0.1)

# What the names mean; strengths that suit handwritten digits.
AUGMENTATIONS = {
    "affine": _AFFINE,
    "affine+elastic": replace(_AFFINE, elastic_strength=0.03),
}


def describe_augmentation(augmentation, image_shape, n_features):
    """Bring `augmentation` and `image_shape` to plain data, checked.

    Parameters
    ----------
    augmentation : None, str or Distortions
        A name in `AUGMENTATIONS`, or strengths.
    image_shape : None or sequence of two int
        Height and width; None for square images.
    n_features : int
        Pixels of an image, row by row.

    Returns
    -------
    described : dict or None
        The strengths and ``image_shape``; None without augmentation.

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
    strengths = AUGMENTATIONS.get(augmentation, augmentation)
    plain = {name: float(value) for name, value in asdict(strengths).items()}
    return {**plain, "image_shape": _check_shape(image_shape, n_features)}


def square_side(n_features: int) -> int | None:
    """Return the side of a square image of so many pixels; None if there is none.

    Examples
    --------
    >>> from skmnist.augmentation._distortions import square_side
    >>> square_side(784), square_side(785)
    (28, None)
    """
    side = math.isqrt(n_features)
    return side if side >= 2 and side * side == n_features else None


def _check_shape(image_shape, n_features):
    """Return height and width of images of so many pixels."""
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


def displacement_fields(image_shape, elastic_strength, elastic_smoothness):
    """Return the fields that displacements are combinations of, in pixels.

    Parameters
    ----------
    image_shape : sequence of two int
        Height and width.
    elastic_strength, elastic_smoothness : float
        As for `Distortions`.

    Returns
    -------
    fields : ndarray of shape (3 + n_elastic, n_pixels)
        The `affine_fields`, and if there is any strength the `elastic_fields` times it.
    """
    fields = affine_fields(image_shape)
    if not elastic_strength:
        return fields
    side = min(image_shape)
    elastic = elastic_fields(image_shape, elastic_smoothness * side)
    return np.concatenate([fields, elastic_strength * side * elastic])


def largest_affine(strengths, image_shape):
    """List the largest values of the numbers that an affine map is drawn from.

    Parameters
    ----------
    strengths : Distortions, or what has its attributes
        How strong.
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


def affine_coefficients(numbers, cos, sin):
    """Combine the `affine_fields` to affine maps.

    Parameters
    ----------
    numbers : sequence of six arrays or tensors
        As `largest_affine` lists them.
    cos, sin : callable
        For such numbers.

    Returns
    -------
    rows : list of two lists of three
        Coefficients of the three fields, for the way down and to the right.
    """
    angle, scale_y, scale_x, shear, down, right = numbers
    cos, sin = cos(angle), sin(angle)
    step_y, step_x = 1 + scale_y, 1 + scale_x
    return [
        [down, cos * step_y, -sin * step_y],
        [right, sin * step_x + shear, cos * step_x],
    ]


def affine_fields(image_shape):
    """Return the fields that an affine map is a combination of.

    Parameters
    ----------
    image_shape : sequence of two int
        Height and width.

    Returns
    -------
    fields : ndarray of shape (3, n_pixels)
        One, and the distances from the centre, down and to the right.
    """
    y, x = np.indices(image_shape).reshape(2, -1)
    height, width = image_shape
    return np.stack([np.ones(len(y)), y - (height - 1) / 2, x - (width - 1) / 2])


def elastic_fields(image_shape, smoothness):
    """Return the fields that a smooth random field is a combination of.

    White noise smoothed by a Gaussian is a Gaussian field whose covariance is known;
    the largest terms of its Karhunen-Loeve expansion are a few smooth fields, whose
    combinations with independent coefficients of variance one have that covariance.

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


def _covariance(n, smoothness):
    """Return the covariance of smoothed white noise along a line of n pixels."""
    # A Gaussian with itself gives one of twice the variance.
    distances = np.subtract.outer(np.arange(n), np.arange(n))
    return np.exp(-(distances**2) / (4 * smoothness**2))
