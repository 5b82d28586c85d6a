"""A fitted network's outputs by plain matrix products, which cost less than Keras."""

# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import keras
import numpy as np
from scipy.sparse import csr_array, issparse
from scipy.special import expit, softmax

from ._data import multiply
from ._layers import ScaleInputs
from ._tensors import addresses, read_variables

# Rows that pass through the network at once. All chunks share the buffers of their
# layers: fresh memory for each layer of all rows takes longer than the products.
CHUNK_ROWS = 2048

# NumPy's own functions for common activations. For one row, a call into TensorFlow
# takes longer than the rest of the network. They change the layer's own array.
_ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0, out=z),
    "sigmoid": lambda z: expit(z, out=z),
    "silu": lambda z: np.multiply(z, expit(z), out=z),
    "softmax": lambda z: softmax(z, axis=1),
    "tanh": lambda z: np.tanh(z, out=z),
}


class Layer(NamedTuple):
    """One layer as arrays: ``activation(X @ weights + biases)``.

    Scaled inputs and a batch normalization are included in weights and biases.

    Attributes
    ----------
    weights : ndarray of shape (n_in, n_out)
        Weights.
    biases : ndarray of shape (n_out,)
        Biases.
    activation : str
        Name of the activation.
    """

    weights: np.ndarray
    biases: np.ndarray
    activation: str


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


class KeptLayers:
    """A network's layers as arrays, copied again only when the network has changed.

    Copying the weights takes longer than predicting a few rows. A network that nobody
    else has cannot change, so that looking for changes is not needed.

    Parameters
    ----------
    network : EpochNetwork
        A network that is not in training.
    """

    def __init__(self, network):
        self._network = network
        self._kept = self._copy()

    def current(self) -> list[Layer]:
        """Return the layers as they are now."""
        if self._network.is_lent and self._has_changed():
            self._kept = self._copy()
        return self._kept[0]

    def _copy(self):
        # Look first: a change while the layers are copied is then found next time.
        weights = read_variables(self._weights())
        seen = self._activations(), addresses(weights)
        # With `weights` held, no other values can come to these addresses.
        return network_layers(self._network), seen, weights

    def _has_changed(self):
        weights = read_variables(self._weights())
        return (self._activations(), addresses(weights)) != self._kept[1]

    def _weights(self):
        kinds = keras.layers.Dense | keras.layers.BatchNormalization | ScaleInputs
        layers = [x for x in self._network.layers if isinstance(x, kinds)]
        return [variable for layer in layers for variable in layer.variables]

    def _activations(self):
        return [getattr(layer, "activation", None) for layer in self._network.layers]


def network_layers(network: keras.Sequential) -> list[Layer]:
    """Copy a network's layers to arrays.

    Parameters
    ----------
    network : keras.Sequential
        A network as `build_network` makes it.

    Returns
    -------
    layers : list of Layer
        From input to output.
    """
    layers, scaling = [], None
    for layer in network.layers:
        if isinstance(layer, ScaleInputs):
            scaling = layer
        elif isinstance(layer, keras.layers.Dense):
            weights = np.asarray(layer.kernel).copy()
            biases = layer.bias if layer.use_bias else np.zeros(weights.shape[1])
            layers.append(Layer(weights, np.asarray(biases).copy(), _name(layer)))
        elif isinstance(layer, keras.layers.BatchNormalization):
            layers[-1] = _normalized(layer, *layers[-1])
        elif isinstance(layer, keras.layers.Activation):
            layers[-1] = layers[-1]._replace(activation=_name(layer))
    if scaling is not None:
        layers[0] = _scaled(scaling, layers[0])
    return layers


def forward(layers: list[Layer], X: np.ndarray | csr_array) -> np.ndarray:
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
    dtype = layers[0].weights.dtype
    X = X.astype(dtype, copy=False) if issparse(X) else np.asarray(X, dtype=dtype)
    widths = [layer.weights.shape[1] for layer in layers]
    n_samples = X.shape[0]
    outputs = np.empty((n_samples, widths[-1]), dtype)
    n_rows = min(n_samples, CHUNK_ROWS)
    buffers = [np.empty((n_rows, width), dtype) for width in widths]
    for start in range(0, n_samples, CHUNK_ROWS):
        chunk = slice(start, start + CHUNK_ROWS)
        outputs[chunk] = _forward_chunk(layers, X[chunk], buffers)
    return outputs


def _forward_chunk(layers, X, buffers):
    for (weights, biases, activation), buffer in zip(layers, buffers, strict=True):
        X = multiply(X, weights, out=buffer[: X.shape[0]])
        X += biases
        if activation in _ACTIVATIONS:
            X = _ACTIVATIONS[activation](X)
        else:
            X = np.asarray(keras.activations.get(activation)(X))
    return X


def _name(layer):
    return layer.activation.__name__


def _normalized(layer, weights, biases, activation):
    """Include a batch normalization in the layer before it."""
    mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    scale = np.asarray(layer.gamma) / np.sqrt(variance + layer.epsilon)
    shift = np.asarray(layer.beta) + (biases - mean) * scale
    return Layer(weights * scale, shift.astype(weights.dtype), activation)


def _scaled(scaling, layer):
    """Include the scaling of the inputs in the first layer."""
    factors, shifts = scaling.affine()
    biases = layer.biases - shifts @ layer.weights
    return layer._replace(weights=layer.weights * factors[:, None], biases=biases)
