"""A fitted network as arrays: its outputs by matrix products, without Keras.

It imports neither Keras nor scikit-learn: what reads a saved model starts at once, and
works where TensorFlow is not installed.
"""

# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._archive import read_archive, require
from .._io import ModelFileError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array: TypeAlias = NDArray[np.floating]

# Rows that pass through the network at once. All chunks share the buffers of their
# layers: fresh memory for each layer of all rows takes longer than the products.
CHUNK_ROWS = 2048

# Keras' default; a normalized layer adds it to the variance.
NORMALIZATION_EPSILON = 1e-3
# Steps of a learned factor relative to those of a weight. It starts at 1, and a weight
# of the first layer far below that; so it needs larger steps to reach zero in time.
SCALE_SPEED = 6.0


# ---- activations: all that Keras offers by name ------------------------------------

# The names a search may use. Keras has more activations. They are left out because
# they need more than one input, or make no sense in a hidden layer.
ACTIVATIONS = (
    "elu",
    "exponential",
    "gelu",
    "hard_sigmoid",
    "leaky_relu",
    "linear",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "swish",
    "tanh",
)

# Each function may change its argument, which is a layer's own array. It has the values
# that Keras has with TensorFlow, in the type of the argument.

# TensorFlow holds them in float32, also where it computes in float64.
_ROOT_OF_HALF, _LEAK = float(np.float32(0.5**0.5)), float(np.float32(0.2))
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def erf(z, out=None):
    """Return SciPy's error function, which takes longer to load than all else here."""
    from scipy.special import erf

    return erf(z, out=out)


def _expit(z, out=None):
    from scipy.special import expit

    return expit(z, out=out)


def _elu(z):
    negative = _exp_of_negative(z)
    np.maximum(z, 0, out=z)
    return np.add(z, negative, out=z)


def _exp_of_negative(z):
    """Return ``exp(z) - 1`` where z is negative, else 0."""
    negative = np.minimum(z, 0)
    np.exp(negative, out=negative)
    return np.subtract(negative, 1, out=negative)


def _gelu(z):
    if z.dtype == np.float32:
        return _gelu_in_float32(z)
    part = z * _ROOT_OF_HALF
    erf(part, out=part)
    part += 1
    part *= 0.5
    return np.multiply(z, part, out=z)


# The upper tail of a normal distribution, above x >= 0, to 1e-7: a polynomial in
# 1 / (1 + p x / sqrt(2)) times exp(-x^2 / 2). Abramowitz and Stegun, Handbook of
# Mathematical Functions (1964), formula 7.1.26, halved.
_TAIL_P = 0.3275911 * _ROOT_OF_HALF
_TAIL = (0.5307027145, -0.7265760135, 0.7107068705, -0.142248368, 0.127414796)
# Numbers that pass through all steps of a formula at once: they stay in the cache.
_BLOCK = 1 << 14


def _gelu_in_float32(z):
    """Return ``max(z, 0) - |z| tail(|z|)``: SciPy's erf takes four times as long."""
    n_rows = max(1, _BLOCK // max(1, z[:1].size))
    for start in range(0, len(z), n_rows):
        x = z[start : start + n_rows]
        # So far out the tail is 0, also where infinity would make it NaN.
        size = np.minimum(np.abs(x), 100)
        part = 1 / (1 + _TAIL_P * size)
        tail = _TAIL[0] * part
        for factor in _TAIL[1:]:
            tail += factor
            tail *= part
        np.multiply(size, size, out=part)
        part *= -0.5
        tail *= np.exp(part, out=part)
        tail *= size
        np.maximum(x, 0, out=x)
        x -= tail
    return z


def _glu(z):
    first, second = np.split(z, 2, axis=1)
    return first * _expit(second)


def _hard_sigmoid(z):
    z += 3
    np.clip(z, 0, 6, out=z)
    z /= 6
    return z


def _hard_silu(z):
    return z * _hard_sigmoid(z.copy())


def _log_softmax(z):
    z -= z.max(axis=1, keepdims=True)
    z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
    return z


def _mish(z):
    # The hyperbolic tangent of a softplus is a fraction of exponentials.
    part = _exp_of_minus(np.abs(z))
    square = part * part
    positive = z >= 0
    top = np.where(positive, 1 + 2 * part, square + 2 * part)
    bottom = top + 2 * np.where(positive, square, 1)
    z *= top / bottom
    return z


def _exp_of_minus(z):
    np.negative(z, out=z)
    return np.exp(z, out=z)


def _selu(z):
    negative = _exp_of_negative(z)
    negative *= _SELU_ALPHA
    np.maximum(z, 0, out=z)
    z += negative
    z *= _SELU_SCALE
    return z


def _silu(z):
    return np.multiply(z, _expit(z), out=z)


def _softmax(z):
    z -= z.max(axis=1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(axis=1, keepdims=True)
    return z


def _softplus(z):
    # The exponential of a positive number could overflow.
    part = _exp_of_minus(np.abs(z))
    part += 1
    np.log(part, out=part)
    np.maximum(z, 0, out=z)
    return np.add(z, part, out=z)


def _sparse_plus(z):
    return np.where(z <= -1, 0, np.where(z < 1, (z + 1) ** 2 / 4, z))


def _sparsemax(z):
    """Turn each row into probabilities of which many are zero."""
    falling = -np.sort(-z, axis=1)
    sums = np.cumsum(falling, axis=1)
    kept = falling - (sums - 1) / np.arange(1, z.shape[1] + 1, dtype=z.dtype) > 0
    # Keras takes the sum of all these sums, where the last one would do.
    total = np.sum(np.where(kept, sums, 0), axis=1, keepdims=True)
    n_kept = np.sum(kept, axis=1, keepdims=True, dtype=z.dtype)
    return np.maximum(z - (total - 1) / n_kept, 0)


_USUAL = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0, out=z),
    "sigmoid": lambda z: _expit(z, out=z),
    "silu": _silu,
    "tanh": lambda z: np.tanh(z, out=z),
}
_OTHERS = {
    "celu": _elu,  # the same, with Keras' alpha of 1
    "elu": _elu,
    "exponential": lambda z: np.exp(z, out=z),
    "gelu": _gelu,
    "glu": _glu,
    "hard_shrink": lambda z: np.where(np.abs(z) > 0.5, z, 0),
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _hard_silu,
    "hard_swish": _hard_silu,
    "hard_tanh": lambda z: np.clip(z, -1, 1, out=z),
    "leaky_relu": lambda z: np.maximum(z, _LEAK * z, out=z),
    "log_sigmoid": lambda z: -_softplus(-z),
    "log_softmax": _log_softmax,
    "mish": _mish,
    "relu6": lambda z: np.clip(z, 0, 6, out=z),
    "selu": _selu,
    "soft_shrink": lambda z: z - np.clip(z, -0.5, 0.5),
    "softmax": _softmax,
    "softplus": _softplus,
    "softsign": lambda z: np.divide(z, 1 + np.abs(z), out=z),
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": lambda z: np.clip((z + 1) / 2, 0, 1),
    "sparsemax": _sparsemax,
    "squareplus": lambda z: (z + np.sqrt(z * z + 4)) / 2,
    "swish": _silu,
    "tanh_shrink": lambda z: z - np.tanh(z),
}


def _without_warnings(function):
    """Let a function return infinity as TensorFlow does, without a word."""

    def quiet(z):
        with np.errstate(all="ignore"):
            return function(z)

    return quiet


ACTIVATION_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    **_USUAL,
    **{name: _without_warnings(function) for name, function in _OTHERS.items()},
}


# ---- layers ------------------------------------------------------------------------


class Layer(NamedTuple):
    """One layer as arrays: ``activation(X @ weights + biases)``.

    Scaled inputs and a batch normalization are included in weights and biases.

    Attributes
    ----------
    weights : ndarray of shape (n_in, n_out)
        Weights.
    biases : ndarray of shape (n_out,)
        Biases.
    activation : str or callable
        Name of the activation, see `ACTIVATION_FUNCTIONS`; or a function that a user
        has put into the network, which Keras computes.
    """

    weights: Array
    biases: Array
    activation: str | Callable[[Array], Any]


class FixedLayers:
    """A network's layers as arrays, whatever becomes of the network.

    Parameters
    ----------
    layers : list of Layer
        From input to output.
    """

    def __init__(self, layers):
        self._layers = layers

    def current(self) -> list[Layer]:
        """Return the layers."""
        return self._layers


def described_layers(
    network: Mapping[str, Any], arrays: Sequence[NDArray[Any]]
) -> list[Layer]:
    """Return the layers of a network that is kept as plain data and arrays.

    Parameters
    ----------
    network : dict
        The network's part of a spec, see `describe`.
    arrays : list of ndarray
        The variables of its layers, in Keras' order, and any others after them.

    Returns
    -------
    layers : list of Layer
        From input to output. They share the memory of the arrays where they can.

    Raises
    ------
    ValueError
        If the arrays do not fit the description, or an activation is unknown.
    """
    expected = layer_variables(network)
    if len(arrays) < len(expected):
        raise ValueError(_WRONG_ARRAYS)
    found: list[dict[str, Array]] = [{}]
    for (name, shape), array in zip(expected, arrays, strict=False):
        if array.shape != shape or (name != STATE and array.dtype != network["dtype"]):
            raise ValueError(_WRONG_ARRAYS)
        if name == "kernel":
            found.append({})
        found[-1][name] = array
    inputs, *numbers = found
    names = [*network["activations"], output_activation(network["n_outputs"])]
    unknown = [name for name in names if name not in ACTIVATION_FUNCTIONS]
    if unknown:
        raise ValueError(f"there is no activation {unknown[0]!r}")
    layers = [_layer(*parts) for parts in zip(numbers, names, strict=True)]
    if "scale" in inputs:
        layers[0] = scaled(layers[0], **inputs)
    return layers


_WRONG_ARRAYS = "the stored arrays do not fit the network they describe"
STATE = "state"


def layer_variables(network: Mapping[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    """List the variables of a network's layers: the name and the shape of each."""
    state, n_in = (STATE, (2,)), network["n_features"]
    found = [state] if network.get("augmentation") is not None else []
    scaling = network.get("input_scaling")
    names = ["factor"] if scaling == "learned" else []
    names += ["centre", "scale"] if scaling is not None else []
    found += [(name, (n_in,)) for name in names]
    found += [state] if network["input_dropout"] else []
    normal = ["gamma", "beta", "mean", "variance"]
    names = normal if network["batch_normalization"] else ["bias"]
    for width, rate in zip(network["widths"], network["dropout"], strict=True):
        found.append(("kernel", (n_in, width)))
        found += [(name, (width,)) for name in names]
        found += [state] if rate else []
        n_in = width
    n_outputs = network["n_outputs"]
    return [*found, ("kernel", (n_in, n_outputs)), ("bias", (n_outputs,))]


def check_numbers(network: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> None:
    """Raise ValueError if an array has numbers that no training leaves.

    Parameters
    ----------
    network : dict
        The network's part of a spec, see `describe`.
    arrays : list of ndarray
        The variables of its layers, in Keras' order, and any others after them.

    Raises
    ------
    ValueError
        If a number is not finite, a scale is not above 0, or a variance is below 0.
    """
    for array in arrays:
        require(bool(np.isfinite(array).all()), "an array has numbers not finite")
    for (name, _), array in zip(layer_variables(network), arrays, strict=False):
        require(name != "scale" or bool((array > 0).all()), "a scale is not above 0")
        require(name != "variance" or bool((array >= 0).all()), "a variance is below 0")


def _layer(numbers, activation):
    numbers = {name: array for name, array in numbers.items() if name != STATE}
    if "bias" in numbers:
        return Layer(numbers["kernel"], numbers["bias"], activation)
    weights = numbers.pop("kernel")
    plain = Layer(weights, np.zeros(weights.shape[1]), activation)
    return normalized(plain, epsilon=NORMALIZATION_EPSILON, **numbers)


def output_activation(n_outputs: int) -> str:
    """Return the activation of an output layer; with one unit, of two classes."""
    return "sigmoid" if n_outputs == 1 else "softmax"


def normalized(layer: Layer, gamma, beta, mean, variance, epsilon) -> Layer:
    """Include a batch normalization in the layer before it."""
    scale = gamma / np.sqrt(variance + epsilon)
    shift = beta + (layer.biases - mean) * scale
    weights = layer.weights
    return layer._replace(weights=weights * scale, biases=shift.astype(weights.dtype))


def scaled(layer: Layer, centre, scale, factor=None, **state) -> Layer:
    """Include the scaling of the inputs in the first layer."""
    factors, shifts = scaling(centre, scale, factor)
    biases = layer.biases - shifts @ layer.weights
    return layer._replace(weights=layer.weights * factors[:, None], biases=biases)


def scaling(centre: Array, scale: Array, factor: Array | None = None):
    """Return what scaling inputs does: ``inputs * factors - shifts``.

    Parameters
    ----------
    centre, scale : ndarray of shape (n_features,)
        What is taken off each input, and what it is divided by.
    factor : ndarray of shape (n_features,), default=None
        Learned factors, divided by `SCALE_SPEED`.

    Returns
    -------
    factors, shifts : ndarray of shape (n_features,)
        What each input is multiplied with, and what is then taken off.
    """
    factors = 1 / scale
    if factor is not None:
        factors = factors * (SCALE_SPEED * factor)
    return factors, centre * factors


# ---- outputs -----------------------------------------------------------------------


def forward(layers: list[Layer], X: "np.ndarray | csr_array") -> np.ndarray:
    """Compute a network's outputs.

    Parameters
    ----------
    layers : list of Layer
        From input to output.
    X : ndarray or csr_array of shape (n_samples, n_features)
        Data.

    Returns
    -------
    outputs : ndarray of shape (n_samples, n_outputs)
        Outputs of the last layer, in the type of the weights.
    """
    dtype, multiply = layers[0].weights.dtype, np.matmul
    if hasattr(X, "indptr"):
        # Not at import: it brings scikit-learn, which whoever has sparse rows has.
        from ._data import multiply

        X = X.astype(dtype, copy=False)
    else:
        X = np.asarray(X, dtype=dtype)
    widths = [layer.weights.shape[1] for layer in layers]
    n_samples = X.shape[0]
    outputs = np.empty((n_samples, widths[-1]), dtype)
    n_rows = min(n_samples, CHUNK_ROWS)
    buffers = [np.empty((n_rows, width), dtype) for width in widths]
    for start in range(0, n_samples, CHUNK_ROWS):
        chunk = slice(start, start + CHUNK_ROWS)
        outputs[chunk] = _forward_chunk(layers, X[chunk], buffers, multiply)
    return outputs


def _forward_chunk(layers, X, buffers, multiply):
    for (weights, biases, activation), buffer in zip(layers, buffers, strict=True):
        X = multiply(X, weights, out=buffer[: X.shape[0]])
        # The next layers have dense rows.
        multiply = np.matmul
        X += biases
        if callable(activation):
            X = np.asarray(activation(X))
        else:
            X = ACTIVATION_FUNCTIONS[activation](X)
    return X


def class_probabilities(layers: list[Layer], X: np.ndarray) -> np.ndarray:
    """Compute the probability of each class.

    Parameters
    ----------
    layers : list of Layer
        From input to output.
    X : ndarray of shape (n_samples, n_features)
        Data.

    Returns
    -------
    probabilities : ndarray of shape (n_samples, n_classes)
        Two columns where the network has one output.
    """
    outputs = forward(layers, X)
    return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs


# ---- saved models ------------------------------------------------------------------


@contextmanager
def error_of_file(path: str | os.PathLike) -> Iterator[None]:
    """Raise ModelFileError if the content of a file makes no classifier.

    Parameters
    ----------
    path : path-like
        The file that was read.

    Raises
    ------
    ModelFileError
        Instead of the errors that missing or wrong content causes.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path}: damaged, or of another version ({error})"
        ) from error


class SavedNetwork:
    """A saved classifier that only predicts; to read it takes no scikit-learn.

    Parameters
    ----------
    path : path-like
        A file that `KerasMLPClassifier.save` wrote.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    n_features_in_ : int
        Number of features.
    input_range_ : tuple of two floats
        The lowest and the highest value of the training data; from 0 to 1 in a file
        that does not say.
    learned : dict
        All that the classifier has learned but the weights, by the names of attributes.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If the file is damaged, or not a saved classifier.
    """

    def __init__(self, path: str | os.PathLike):
        description, arrays = read_archive(path)
        with error_of_file(path):
            check_numbers(description["spec"]["network"], arrays)
            network, learned = description["spec"]["network"], description["learned"]
            self._layers = described_layers(network, arrays)
            self.learned = learned
            self.classes_ = learned["classes_"]
            self.n_features_in_ = learned["n_features_in_"]
            self.input_range_ = learned.get("input_range_", (0.0, 1.0))
            if self.n_features_in_ != network["n_features"]:
                raise ValueError("its numbers of features differ")
            if len(self.classes_) != max(2, network["n_outputs"]):
                raise ValueError("its numbers of classes differ")

    def _current_layers(self) -> list[Layer]:
        return self._layers

    def predict_proba(self, X: Array) -> Array:
        """Predict the probability of each class.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Data; they are not checked.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            As those of the classifier that was saved.
        """
        return class_probabilities(self._layers, X)
