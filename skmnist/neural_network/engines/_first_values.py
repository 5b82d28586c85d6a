"""The values with which a network begins, without TensorFlow.

The kernels are those of Keras' initializers with TensorFlow's generator: the same to
the last bit where numbers are uniform, and but for rounding where they are normal. To
draw them with TensorFlow takes longer than to draw them here, and to load it takes
seconds, which is longer than most small trainings.

TensorFlow draws with the counter-based generator Philox-4x32-10 [1]_, and makes normal
numbers of uniform ones after Box and Muller [2]_.

References
----------
.. [1] J. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
.. [2] G. Box and M. Muller, "A Note on the Generation of Random Normal Deviates",
   Annals of Mathematical Statistics 29, 1958.
"""

# SPDX-License-Identifier: BSD-3-Clause

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.random import SeedSequence

from .._inference import SCALE_SPEED, STATE, layer_variables

# How variables begin that are neither drawn nor found from the data. A learned factor
# counts times its speed; Keras rounds it to single precision, whatever the type.
_BEGIN = {
    "bias": 0.0,
    "beta": 0.0,
    "mean": 0.0,
    "gamma": 1.0,
    "variance": 1.0,
    "centre": 0.0,
    "scale": 1.0,
    "factor": float(np.float32(1 / SCALE_SPEED)),
}


def layer_seeds(random_state, n_seeds):
    """Derive one seed for each layer and purpose from a single seed."""
    # NumPy's SeedSequence gives unrelated numbers for neighbouring seeds, too.
    return [int(s) for s in SeedSequence(random_state).generate_state(n_seeds)]


def initial_values(network, scaling=None, *, draw=None):
    """Return the values with which the variables of a network's layers begin.

    Parameters
    ----------
    network : dict
        The network's part of a spec, see `describe`.
    scaling : (ndarray, ndarray), default=None
        Center and scale of the inputs, if the network scales them.
    draw : callable, default=None
        Draws a kernel, as `draw_kernel`, which is the default.

    Returns
    -------
    values : list of array
        In Keras' order, those that `build_network` gives its variables. The kernels
        are not to be changed.
    """
    depth, dtype = len(network["widths"]), network["dtype"]
    seeds = layer_seeds(network["random_state"], 2 * depth + 3)
    *hidden, output_seed, mask_seed, image_seed = seeds
    names = [*network["initializers"], network["output_initializer"]]
    kernels = iter(zip(names, [*hidden[::2], output_seed], strict=True))
    draws = [image_seed] if network["augmentation"] is not None else []
    draws += [mask_seed] if network["input_dropout"] else []
    dropout = zip(network["dropout"], hidden[1::2], strict=True)
    draws = iter([*draws, *(seed for rate, seed in dropout if rate)])
    scaled = dict(zip(("centre", "scale"), scaling or (), strict=False))
    values = []
    for name, shape in layer_variables(network):
        if name == STATE:
            values.append(np.array([next(draws), 0]))
        elif name == "kernel":
            values.append((draw or _kept_kernel)(*next(kernels), shape, dtype))
        elif name in scaled:
            values.append(np.asarray(scaled[name], dtype))
        else:
            values.append(np.full(shape, _BEGIN[name], dtype))
    return values


# ---- initializers ------------------------------------------------------------------


class _Scaled(NamedTuple):
    """A variance that follows from the numbers of inputs and outputs of a layer.

    Attributes
    ----------
    scale : float
        What is divided by the number.
    of : {"inputs", "both"}
        By the number of inputs, or by the mean of both numbers.
    """

    scale: float
    of: str


# As in Keras: Glorot and Bengio 2010, He et al. 2015, LeCun et al. 1998.
_SCALED = {
    "glorot": _Scaled(1.0, "both"),
    "he": _Scaled(2.0, "inputs"),
    "lecun": _Scaled(1.0, "inputs"),
}
# Standard deviation of normal numbers from -2 to 2.
_TRUNCATED = 0.87962566103423978
# Standard deviation, or largest value, of Keras' initializers without a scale.
_SMALL = 0.05


def draw_kernel(initializer, seed, shape, dtype):
    """Draw a kernel, as Keras' initializer of that name does.

    Parameters
    ----------
    initializer : str
        A name in `INITIALIZERS`.
    seed : int
        Seed of the layer.
    shape : (int, int)
        Numbers of inputs and of outputs.
    dtype : {"float32", "float64"}
        Type of the numbers.

    Returns
    -------
    kernel : ndarray of shape `shape`
        The numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from keras.initializers import GlorotUniform
    >>> from skmnist.neural_network.engines._first_values import draw_kernel
    >>> ours = draw_kernel("glorot_uniform", 3, (4, 2), "float32")
    >>> bool(np.all(ours == np.asarray(GlorotUniform(seed=3)((4, 2)))))
    True
    """
    dtype = np.dtype(dtype)
    if initializer == "zeros":
        return np.zeros(shape, dtype)
    if initializer == "orthogonal":
        return _orthogonal(seed, shape, dtype)
    family, _, kind = initializer.rpartition("_")
    if initializer == "variance_scaling":
        family, kind = "lecun", "normal"
    if family in _SCALED:
        scale, of = _SCALED[family]
        number = shape[0] if of == "inputs" else sum(shape) / 2
        variance = scale / max(1.0, number)
        if kind == "uniform":
            return _between(seed, shape, dtype, math.sqrt(3 * variance))
        drawn = truncated_normal(seed, shape, dtype)
        return drawn * dtype.type(math.sqrt(variance) / _TRUNCATED)
    if kind == "uniform":
        return _between(seed, shape, dtype, _SMALL)
    draw = normal if family == "random" else truncated_normal
    return draw(seed, shape, dtype) * dtype.type(_SMALL)


@functools.lru_cache(maxsize=16)
def _kept_kernel(initializer, seed, shape, dtype):
    """Return what `draw_kernel` draws; read-only, and kept for a while.

    Most fits of a search begin with the same kernels: those of its ``random_state``.
    """
    kernel = draw_kernel(initializer, seed, shape, dtype)
    kernel.setflags(write=False)
    return kernel


def _between(seed, shape, dtype, limit):
    """Draw numbers from minus the limit to the limit."""
    # Keras rounds the limit to single precision, whatever the type.
    high = dtype.type(np.float32(limit))
    return uniform(seed, shape, dtype) * (2 * high) - high


def _orthogonal(seed, shape, dtype):
    """Draw a matrix with orthogonal columns, or rows if these are fewer."""
    columns, signs = np.linalg.qr(normal(seed, sorted(shape)[::-1], dtype))
    columns *= np.sign(np.diagonal(signs))
    return np.ascontiguousarray(columns.T if shape[0] < shape[1] else columns)


# ---- TensorFlow's random numbers ---------------------------------------------------

_LOW, _HALF = 2**32 - 1, 32
_FACTORS = 0xD2511F53, 0xCD9E8D57
_KEY_STEPS = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10
# The key with which TensorFlow makes a key of a seed.
_FIRST_KEY = 0x3EC8F720, 0x02461E29
# Keras takes seeds modulo this.
_SEEDS = 2**31 - 2
# Normal numbers beyond this are drawn again. Each group of numbers has so many counters
# of its own for that.
_LIMIT = 2.0
_COUNTERS = 64
# TensorFlow takes the logarithm of no smaller number.
_SMALLEST = 1e-7


def _philox(counters, key):
    """Return four hashes of each counter: numbers below 2**32.

    Parameters
    ----------
    counters : sequence of 4 (ndarray of uint64 or int)
        The words of the counters, each below 2**32.
    key : (int, int)
        The words of the key.
    """
    a, b, c, d = counters
    for i in range(_ROUNDS):
        left, right = (
            (word + i * step) % 2**32
            for word, step in zip(key, _KEY_STEPS, strict=True)
        )
        first, second = a * _FACTORS[0], c * _FACTORS[1]
        a, b = (second >> _HALF) ^ b ^ left, second & _LOW
        c, d = (first >> _HALF) ^ d ^ right, first & _LOW
    return a, b, c, d


def _bits(seed, counters):
    """Return the random bits of a seed, of shape (*counters.shape, 4)."""
    *key, third, fourth = _philox((seed % _SEEDS, 0, 0, 0), _FIRST_KEY)
    counters = counters.astype(np.uint64)
    words = counters & _LOW, counters >> _HALF, third, fourth
    hashes = _philox(words, key)
    return np.stack(np.broadcast_arrays(*hashes), axis=-1)


def _from_bits(bits, dtype):
    """Return numbers from 0 to below 1: bits as the mantissa of numbers from 1 to 2."""
    if dtype == np.float32:
        mantissa = bits.astype(np.uint32) & np.uint32(0x7FFFFF)
        return (mantissa | np.uint32(0x3F800000)).view(dtype) - dtype.type(1)
    mantissa = (bits[..., ::2] & np.uint64(0xFFFFF)) << _HALF | bits[..., 1::2]
    return (mantissa | np.uint64(0x3FF0000000000000)).view(dtype) - 1


def _normal_of(numbers):
    """Return normal numbers, two for each two uniform ones beside each other."""
    dtype = numbers.dtype.type
    exact = numbers.astype(np.float64)
    logs = np.log(np.maximum(exact[..., ::2], dtype(_SMALLEST)))
    lengths = np.sqrt(dtype(-2) * logs.astype(dtype))
    angles = (2 * np.pi * exact[..., 1::2]).astype(dtype).astype(np.float64)
    # In double precision, then rounded: as near as C's functions for single precision.
    parts = [f(angles).astype(dtype) * lengths for f in (np.sin, np.cos)]
    return np.stack(parts, axis=-1).reshape(numbers.shape)


def _groups(shape, dtype):
    """Return how many numbers a counter gives, and the counters for all numbers."""
    size = 16 // dtype.itemsize
    return size, np.arange(-(-math.prod(shape) // size))


def _shaped(numbers, shape):
    return numbers.reshape(-1)[: math.prod(shape)].reshape(shape)


def uniform(seed, shape, dtype):
    """Draw the numbers of `keras.random.uniform`: at least 0, and below 1."""
    _, counters = _groups(shape, dtype)
    return _shaped(_from_bits(_bits(seed, counters), dtype), shape)


def normal(seed, shape, dtype):
    """Draw the numbers of `keras.random.normal`, of mean 0 and variance 1."""
    _, counters = _groups(shape, dtype)
    return _shaped(_normal_of(_from_bits(_bits(seed, counters), dtype)), shape)


def truncated_normal(seed, shape, dtype):
    """Draw the numbers of `keras.random.truncated_normal`, from -2 to 2."""
    size, groups = _groups(shape, dtype)
    found = np.empty((len(groups), size), dtype)
    n_counters = 1
    while len(groups):
        own = groups[:, None] * (_COUNTERS * size) + np.arange(n_counters)
        drawn = _normal_of(_from_bits(_bits(seed, own), dtype))
        drawn = drawn.reshape(len(groups), -1)
        inside = np.abs(drawn) < _LIMIT
        # The first ones inside, in the order in which they were drawn.
        order = np.argsort(~inside, axis=1, kind="stable")[:, :size]
        found[groups] = np.take_along_axis(drawn, order, axis=1)
        # Most groups need one counter; the others begin again with more of them.
        groups = groups[inside.sum(axis=1) < size]
        n_counters *= 4
    return _shaped(found, shape)
