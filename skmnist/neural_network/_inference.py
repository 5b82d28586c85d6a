"""A fitted network's outputs without Keras' cost per call: plain matrix products."""

# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import keras
import numpy as np
from scipy.special import expit, softmax

# Rows that pass through the network at once, in buffers that all chunks share: fresh
# memory for each layer of all rows takes longer than the products.
CHUNK_ROWS = 2048

# Activations worth more than a call into TensorFlow, which takes longer for one
# row than the rest of the network. The array is the layer's own: changed in place.
_ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0, out=z),
    "sigmoid": lambda z: expit(z, out=z),
    "softmax": lambda z: softmax(z, axis=1),
    "tanh": lambda z: np.tanh(z, out=z),
}


class Layer(NamedTuple):
    """One layer as arrays: ``activation(X @ weights + biases)``.

    Attributes
    ----------
    weights : ndarray of shape (n_in, n_out)
        Weights; a batch normalization is folded in.
    biases : ndarray of shape (n_out,)
        Biases, likewise.
    activation : str
        Name of the activation.
    """

    weights: np.ndarray
    biases: np.ndarray
    activation: str


def network_layers(network):
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
    layers = []
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dense):
            weights = np.asarray(layer.kernel).copy()
            biases = layer.bias if layer.use_bias else np.zeros(weights.shape[1])
            layers.append(Layer(weights, np.asarray(biases).copy(), _name(layer)))
        elif isinstance(layer, keras.layers.BatchNormalization):
            layers[-1] = _normalized(layer, *layers[-1])
        elif isinstance(layer, keras.layers.Activation):
            layers[-1] = layers[-1]._replace(activation=_name(layer))
    return layers


def forward(layers, X):
    """Pass data through layers.

    Parameters
    ----------
    layers : list of Layer
        From input to output.
    X : ndarray of shape (n_samples, n_features)
        Data.

    Returns
    -------
    outputs : ndarray of shape (n_samples, n_outputs)
        What the last layer gives, in the type of the weights.
    """
    dtype = layers[0].weights.dtype
    X = np.asarray(X, dtype=dtype)
    widths = [layer.weights.shape[1] for layer in layers]
    outputs = np.empty((len(X), widths[-1]), dtype)
    n_rows = min(len(X), CHUNK_ROWS)
    buffers = [np.empty((n_rows, width), dtype) for width in widths]
    for start in range(0, len(X), CHUNK_ROWS):
        chunk = slice(start, start + CHUNK_ROWS)
        outputs[chunk] = _forward_chunk(layers, X[chunk], buffers)
    return outputs


def _forward_chunk(layers, X, buffers):
    for (weights, biases, activation), buffer in zip(layers, buffers, strict=True):
        X = np.matmul(X, weights, out=buffer[: len(X)])
        X += biases
        if activation in _ACTIVATIONS:
            X = _ACTIVATIONS[activation](X)
        else:
            X = np.asarray(keras.activations.get(activation)(X))
    return X


def _name(layer):
    return layer.activation.__name__


def _normalized(layer, weights, biases, activation):
    """Fold a batch normalization into the layer before it."""
    mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    scale = np.asarray(layer.gamma) / np.sqrt(variance + layer.epsilon)
    shift = np.asarray(layer.beta) + (biases - mean) * scale
    return Layer(weights * scale, shift.astype(weights.dtype), activation)
