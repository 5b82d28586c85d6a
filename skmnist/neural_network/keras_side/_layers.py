"""Our own layers: scaled inputs, dropout, and distorted images."""

# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import tensorflow as tf

from ...augmentation._distortions import (
    N_AFFINE,
    N_AFFINE_FIELDS,
    affine_coefficients,
    displacement_fields,
    largest_affine,
)
from .._inference import SCALE_SPEED, scaling


def draw_uniform(seeds, shape, dtype="float32"):
    """Draw uniform numbers from -1 to 1; the same seeds give the same numbers.

    TensorFlow's own generators give other numbers in a program that XLA compiles, and
    take up to 200 nanoseconds for each of them there. Here, each number is a hash of
    its position [1]_. That is integer arithmetic: exact everywhere, and done for many
    positions at once. The numbers are good enough for training, but not for secrets.

    Parameters
    ----------
    seeds : integer tensor of shape (2,)
        A seed and the number of the draw, from `keras.random.SeedGenerator`.
    shape : sequence of int or scalar tensor
        Shape of the result.
    dtype : {"float32", "float64"}, default="float32"
        Type of the numbers, which are multiples of ``2 ** -23``.

    Returns
    -------
    numbers : tensor of shape `shape`
        At least -1, and below 1.

    References
    ----------
    .. [1] C. Wellons, "Prospecting for Hash Functions", 2018; its 32-bit hash of the
       lowest bias.

    Examples
    --------
    >>> from skmnist.neural_network.keras_side._layers import draw_uniform
    >>> draw_uniform([3, 0], [2, 5]).shape
    TensorShape([2, 5])
    """
    seed, draw = tf.unstack(tf.cast(seeds, tf.uint32))
    start = _hashed(tf.bitwise.bitwise_xor(_hashed(draw), seed))
    # Neighbouring starts share most positions. A second key makes the draws differ.
    key = _hashed(start + tf.constant(0x9E3779B9, tf.uint32))
    positions = tf.range(tf.reduce_prod(tf.stack(shape)))
    hashes = _hashed(tf.cast(positions, tf.uint32) + start)
    hashes = _hashed(tf.bitwise.bitwise_xor(hashes, key))
    # The upper 24 bits: a float32 holds them exactly.
    upper = tf.cast(tf.bitwise.right_shift(hashes, tf.constant(8, tf.uint32)), tf.int32)
    return tf.reshape(tf.cast(upper, dtype) * 2.0**-23 - 1, shape)


def _hashed(bits):
    """Hash 32-bit numbers; different numbers have different hashes."""
    bits = _folded(bits, 16) * tf.constant(0x7FEB352D, tf.uint32)
    bits = _folded(bits, 15) * tf.constant(0x846CA68B, tf.uint32)
    return _folded(bits, 16)


def _folded(bits, distance):
    shifted = tf.bitwise.right_shift(bits, tf.constant(distance, tf.uint32))
    return tf.bitwise.bitwise_xor(bits, shifted)


def first_factors(shape, dtype):
    """Return the factors with which `ScaleInputs` begins to learn."""
    return keras.initializers.Constant(1 / SCALE_SPEED)(shape, dtype=dtype)


@keras.saving.register_keras_serializable(package="skmnist")
class ScaleInputs(keras.layers.Layer):
    """Center and scale each input; learn a factor for each, if asked to.

    The factor starts at 1. Inputs that are of no use get a small one, so that the
    network does not fit their noise. The layer treats each row by itself.

    Parameters
    ----------
    learned : bool, default=True
        Whether training changes the factors.
    **kwargs : dict
        Arguments of `keras.layers.Layer`.

    Notes
    -----
    The factors, and their larger steps, are those of RealMLP [1]_.

    References
    ----------
    .. [1] D. Holzmueller, L. Grinsztajn and I. Steinwart, "Better by Default: Strong
       Pre-Tuned MLPs and Boosted Trees on Tabular Data", NeurIPS 2024, section 3.
    """

    def __init__(self, learned=True, **kwargs):
        super().__init__(**kwargs)
        self.learned = learned

    def build(self, input_shape):
        """Make the variables, which leave the inputs as they are."""
        shape = (input_shape[-1],)
        self.centre = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="centre"
        )
        self.scale = self.add_weight(
            shape=shape, initializer="ones", trainable=False, name="scale"
        )
        if self.learned:
            # An optimizer such as Adam moves all numbers alike. Multiplied by the
            # speed, this one moves faster.
            self.factor = self.add_weight(
                shape=shape, initializer=first_factors, name="factor"
            )

    def call(self, inputs):
        """Return ``(inputs - centre) / scale``, times the factors."""
        # The difference first: it is exact where the data are far from zero.
        scaled = (inputs - self.centre) / self.scale
        return scaled * (SCALE_SPEED * self.factor) if self.learned else scaled

    def affine(self):
        """Return what the layer does, as arrays.

        Returns
        -------
        factors, shifts : ndarray of shape (n_features,)
            The layer returns ``inputs * factors - shifts``.
        """
        factor = np.asarray(self.factor) if self.learned else None
        return scaling(np.asarray(self.centre), np.asarray(self.scale), factor)

    def get_config(self):
        """Return the arguments that make an equal layer."""
        return {**super().get_config(), "learned": self.learned}


@keras.saving.register_keras_serializable(package="skmnist")
class CheapDropout(keras.layers.Dropout):
    """Keras' dropout, with random numbers from `draw_uniform`.

    In a program that XLA compiles, Keras' own numbers take hundreds of times as long,
    which would be most of an epoch.

    Parameters
    ----------
    rate : float
        Fraction of the inputs to set to zero.
    shared : bool, default=False
        Whether all rows of a batch have the same mask. Then a row is trained in the
        same way wherever it stands, and a row of weight 2 is the same as two rows.
    **kwargs : dict
        Arguments of `keras.layers.Dropout`.
    """

    def __init__(self, rate, shared=False, **kwargs):
        super().__init__(rate, **kwargs)
        self.shared = shared

    def call(self, inputs, training=False):
        """Return the inputs; in training, set some to zero and scale up the others.

        Parameters
        ----------
        inputs : tensor of shape (n_samples, n_features)
            Outputs of the layer before.
        training : bool, default=False
            Whether to drop.

        Returns
        -------
        outputs : tensor of shape (n_samples, n_features)
            With the same mean as the inputs, on average.
        """
        # In a program the rate is a tensor.
        if not training or (not tf.is_tensor(self.rate) and not self.rate):
            return inputs
        inputs = tf.convert_to_tensor(inputs)
        shape = [1 if self.shared else tf.shape(inputs)[0], inputs.shape[1]]
        drawn = draw_uniform(self.seed_generator.next(), shape, inputs.dtype)
        # A uniform number from -1 to 1 is below 2 * rate - 1 with probability rate.
        rate = tf.cast(self.rate, "float64")
        kept = drawn >= tf.cast(2 * rate - 1, inputs.dtype)
        factor = 1 / tf.cast(1 - rate, inputs.dtype)
        return tf.where(kept, inputs * factor, tf.zeros_like(inputs))

    def get_config(self):
        """Return the arguments that make an equal layer."""
        return {**super().get_config(), "shared": self.shared}


@keras.saving.register_keras_serializable(package="skmnist")
class DistortImages(keras.layers.Layer):
    """Distort each image differently in training; otherwise pass images on unchanged.

    It is a layer, like dropout. So compiled programs, graphs and Keras' own loop draw
    the same distortions from the same seed. The state of the draw is copied and saved
    with the network.

    Parameters
    ----------
    image_shape : sequence of two int
        Height and width. The inputs are the pixels, row by row.
    rotation, shift, scale, shear, elastic_strength, elastic_smoothness : float
        As for `Distortions`.
    seed : int, default=0
        Seed of the draws.
    **kwargs : dict
        Arguments of `keras.layers.Layer`.
    """

    def __init__(  # noqa: PLR0913
        self,
        image_shape,
        *,
        rotation=0.0,
        shift=0.0,
        scale=0.0,
        shear=0.0,
        elastic_strength=0.0,
        elastic_smoothness=0.15,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self.rotation = rotation
        self.shift = shift
        self.scale = scale
        self.shear = shear
        self.elastic_strength = elastic_strength
        self.elastic_smoothness = elastic_smoothness
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self._fields = displacement_fields(
            self.image_shape, elastic_strength, elastic_smoothness
        )
        self.built = True

    def call(self, inputs, training=False):
        """Return the inputs; in training, distort them.

        Parameters
        ----------
        inputs : tensor of shape (n_samples, n_pixels)
            Images, their pixels row by row.
        training : bool, default=False
            Whether to distort them.

        Returns
        -------
        outputs : tensor of shape (n_samples, n_pixels)
            Images in the same form.
        """
        if not training:
            return inputs
        inputs = tf.convert_to_tensor(inputs)
        return sample_images(inputs, self.image_shape, self._draw_places(inputs))

    def _draw_places(self, inputs):
        """Draw the place in the input from which each output pixel is taken."""
        n_images, n_fields = tf.shape(inputs)[0], len(self._fields)
        n_elastic = n_fields - N_AFFINE_FIELDS
        shape = [n_images, N_AFFINE + 2 * n_elastic]
        drawn = draw_uniform(self.seed_generator.next(), shape, self.compute_dtype)
        coefficients = self._affine_coefficients(drawn[:, :N_AFFINE])
        # Numbers of variance one. The sum of many is nearly normal, and bounded.
        elastic = 3**0.5 * tf.reshape(drawn[:, N_AFFINE:], [n_images, 2, n_elastic])
        coefficients = tf.concat([coefficients, elastic], axis=2)
        # A displacement is a combination of fixed fields: one product for all images.
        fields = tf.constant(self._fields, self.compute_dtype)
        flat = tf.reshape(coefficients, [2 * n_images, n_fields])
        moved = tf.reshape(flat @ fields, [n_images, 2, self._fields.shape[1]])
        centre = (np.array(self.image_shape) - 1) / 2
        return moved + tf.constant(centre[:, None], self.compute_dtype)

    def _affine_coefficients(self, drawn):
        """Convert numbers from -1 to 1 to affine maps, of shape (n_images, 2, 3)."""
        largest = largest_affine(self, self.image_shape)
        drawn *= tf.constant(largest, self.compute_dtype)
        rows = affine_coefficients(tf.unstack(drawn, axis=1), tf.cos, tf.sin)
        return tf.stack([tf.stack(row, axis=1) for row in rows], axis=1)

    def get_config(self):
        """Return the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "image_shape": list(self.image_shape),
            "rotation": self.rotation,
            "shift": self.shift,
            "scale": self.scale,
            "shear": self.shear,
            "elastic_strength": self.elastic_strength,
            "elastic_smoothness": self.elastic_smoothness,
            "seed": self.seed,
        }

    def compute_output_shape(self, input_shape):
        """Return the shape of the inputs."""
        return input_shape


def sample_images(images, image_shape, places):
    """Return the values of images between their pixels, by bilinear interpolation.

    Parameters
    ----------
    images : tensor of shape (n_images, height * width)
        Images, their pixels row by row.
    image_shape : (int, int)
        Height and width, at least 2 each.
    places : tensor of shape (n_images, 2, n_places)
        Row and column of each place, counted from the centre of the first pixel. A
        place outside the image has the value of the nearest pixel.

    Returns
    -------
    values : tensor of shape (n_images, n_places)
        One value for each place.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from skmnist.neural_network.keras_side._layers import sample_images
    >>> image = tf.constant([[0.0, 1.0, 2.0, 3.0]])  # 0 1
    >>> places = tf.constant([[[0.5], [0.25]]])      # 2 3
    >>> sample_images(image, (2, 2), places).numpy()
    array([[1.25]], dtype=float32)
    """
    height, width = image_shape
    last = tf.constant([[height - 1], [width - 1]], places.dtype)
    places = tf.clip_by_value(places, tf.zeros_like(last), last)
    # The pixel above and to the left; for the last row or column, the one before it.
    corner = tf.minimum(tf.floor(places), last - 1)
    below, right = tf.unstack(places - corner, axis=1)
    row, column = tf.unstack(tf.cast(corner, tf.int32), axis=1)
    first = tf.range(tf.shape(images)[0])[:, None] * (height * width)
    index, pixels = first + row * width + column, tf.reshape(images, [-1])
    top = _between(pixels, index, index + 1, right)
    bottom = _between(pixels, index + width, index + width + 1, right)
    return top + below * (bottom - top)


def _between(pixels, one, other, part):
    """Interpolate between pairs of pixels, given by their numbers."""
    start, end = tf.gather(pixels, one), tf.gather(pixels, other)
    return start + part * (end - start)
