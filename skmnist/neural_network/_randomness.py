"""Random numbers that are cheap, and the same in every kind of program; dropout."""

# SPDX-License-Identifier: BSD-3-Clause

import keras
import tensorflow as tf


def draw_uniform(seeds, shape, dtype="float32"):
    """Draw uniform numbers from -1 to 1, the same ones for the same seeds.

    TensorFlow's own generators draw other numbers in a program that XLA compiles than
    outside of it, and take up to 200 nanoseconds for each there. Here numbers are
    hashes of their positions [1]_, which is integer arithmetic: exact everywhere, and
    done for many positions at once. Good enough for distortions; not for secrets.

    Parameters
    ----------
    seeds : integer tensor of shape (2,)
        A seed and the number of the draw, as `keras.random.SeedGenerator` gives.
    shape : sequence of int or scalar tensor
        How many numbers.
    dtype : {"float32", "float64"}, default="float32"
        Their type. They are multiples of ``2 ** -23``.

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
    >>> from skmnist.neural_network._randomness import draw_uniform
    >>> draw_uniform([3, 0], [2, 5]).shape
    TensorShape([2, 5])
    """
    seed, draw = tf.unstack(tf.cast(seeds, tf.uint32))
    start = _hashed(tf.bitwise.bitwise_xor(_hashed(draw), seed))
    # Neighbouring starts would share most positions; a second key tells them apart.
    key = _hashed(start + tf.constant(0x9E3779B9, tf.uint32))
    positions = tf.range(tf.reduce_prod(tf.stack(shape)))
    hashes = _hashed(tf.cast(positions, tf.uint32) + start)
    hashes = _hashed(tf.bitwise.bitwise_xor(hashes, key))
    # The upper 24 bits: a float32 holds them exactly.
    upper = tf.cast(tf.bitwise.right_shift(hashes, tf.constant(8, tf.uint32)), tf.int32)
    return tf.reshape(tf.cast(upper, dtype) * 2.0**-23 - 1, shape)


def _hashed(bits):
    """Hash 32-bit numbers, one to one."""
    bits = _folded(bits, 16) * tf.constant(0x7FEB352D, tf.uint32)
    bits = _folded(bits, 15) * tf.constant(0x846CA68B, tf.uint32)
    return _folded(bits, 16)


def _folded(bits, distance):
    shifted = tf.bitwise.right_shift(bits, tf.constant(distance, tf.uint32))
    return tf.bitwise.bitwise_xor(bits, shifted)


@keras.saving.register_keras_serializable(package="skmnist")
class CheapDropout(keras.layers.Dropout):
    """Keras' dropout, with masks from `draw_uniform`.

    Drawing Keras' own takes hundreds of times as long in a program that XLA compiles,
    where it would be most of an epoch.
    """

    def call(self, inputs, training=False):
        """Return the inputs; in training some are zero and the others scaled up.

        Parameters
        ----------
        inputs : tensor of shape (n_samples, n_features)
            What to drop from.
        training : bool, default=False
            Whether to drop.

        Returns
        -------
        outputs : tensor of shape (n_samples, n_features)
        """
        if not training or not self.rate:
            return inputs
        inputs = tf.convert_to_tensor(inputs)
        shape = [tf.shape(inputs)[0], inputs.shape[1]]
        drawn = draw_uniform(self.seed_generator.next(), shape, inputs.dtype)
        # Uniform from -1 to 1: below this with the probability of being dropped.
        kept = drawn >= 2 * self.rate - 1
        return tf.where(kept, inputs / (1 - self.rate), tf.zeros_like(inputs))
