"""Networks side by side as arrays: their outputs, losses and gradients.

Several networks of one structure are arrays whose first axis counts the networks. A
product of their matrices is one call of BLAS for each network. All else works number by
number, or along the rows or columns of one network. So what a network computes does not
depend on the networks beside it, nor on how many there are.
"""

# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import numpy as np
from scipy.special import erf

from .._inference import (
    _LEAK,
    _ROOT_OF_HALF,
    _SELU_ALPHA,
    _SELU_SCALE,
    ACTIVATION_FUNCTIONS,
    SCALE_SPEED,
)

# ---- activations and their slopes ---------------------------------------------------

# Each function changes its argument to the outputs, and returns them with the slopes,
# which are TensorFlow's also where there are none: at the kinks.


def _sigmoid(z):
    """Return new values; unlike SciPy's function, many at once."""
    part = np.negative(z)
    np.exp(part, out=part)
    part += 1
    return np.divide(1, part, out=part)


def _logistic(z):
    a = _sigmoid(z)
    slope = np.subtract(1, a, out=z)
    slope *= a
    return a, slope


def _silu(z):
    part = _sigmoid(z)
    z *= part
    slope = np.subtract(1, part)
    slope *= z
    slope += part
    return z, slope


def _gelu(z):
    # The output is z times the normal distribution; its density is the rest.
    density = np.exp(-0.5 * z * z)
    density *= (2 * np.pi) ** -0.5
    density *= z
    below = erf(z * _ROOT_OF_HALF)
    below += 1
    below *= 0.5
    z *= below
    density += below
    return z, density


def _mish(z):
    tanh = np.tanh(np.logaddexp(z, 0))
    slope = (1 - tanh * tanh) * z * _sigmoid(z)
    slope += tanh
    z *= tanh
    return z, slope


def _tanh(z):
    np.tanh(z, out=z)
    slope = np.square(z)
    return z, np.subtract(1, slope, out=slope)


def _from_outputs(name, slope):
    """Take an activation whose outputs tell the slopes."""
    function = ACTIVATION_FUNCTIONS[name]

    def both(z):
        a = function(z)
        return a, slope(a)

    return both


_SELU = _SELU_SCALE * _SELU_ALPHA

# None: the activation does nothing.
ACTIVATIONS_AND_SLOPES = {
    "elu": _from_outputs("elu", lambda a: np.where(a > 0, a.dtype.type(1), a + 1)),
    "exponential": _from_outputs("exponential", lambda a: a),
    "gelu": _gelu,
    "hard_sigmoid": _from_outputs(
        "hard_sigmoid", lambda a: ((a > 0) & (a < 1)) * a.dtype.type(1 / 6)
    ),
    "leaky_relu": _from_outputs(
        "leaky_relu", lambda a: np.where(a > 0, a.dtype.type(1), a.dtype.type(_LEAK))
    ),
    "linear": None,
    "mish": _mish,
    "relu": _from_outputs("relu", lambda a: a > 0),
    "relu6": _from_outputs("relu6", lambda a: (a > 0) & (a < 6)),
    "selu": _from_outputs(
        "selu", lambda a: np.where(a > 0, a.dtype.type(_SELU_SCALE), a + _SELU)
    ),
    "sigmoid": _logistic,
    "silu": _silu,
    "softplus": _from_outputs("softplus", lambda a: -np.expm1(-a)),
    "softsign": _from_outputs("softsign", lambda a: np.square(1 - np.abs(a))),
    "swish": _silu,
    "tanh": _tanh,
}


# ---- one layer, and all of them ----------------------------------------------------


class _Dense(NamedTuple):
    """A layer of all networks: views of their weights, and memory for a batch."""

    kernel: np.ndarray
    bias: np.ndarray
    kernel_slope: np.ndarray
    bias_slope: np.ndarray
    # For the inputs if some are dropped, the outputs, and the slopes of the inputs.
    changed: np.ndarray
    outputs: np.ndarray
    back: np.ndarray


class Gradients:
    """Losses and gradients of some networks of one structure.

    Parameters
    ----------
    network : dict
        The network's part of a spec, see `describe`.
    smoothing : float
        Label smoothing of the loss.
    weights : ndarray of shape (n_networks, n_weights)
        All weights, in the order of the layers.
    slopes : ndarray of shape (n_networks, n_weights)
        Receives the gradients.
    batch_size : int
        Rows of each network in a call.
    """

    def __init__(self, network, smoothing, weights, slopes, batch_size):
        self._activations = [ACTIVATIONS_AND_SLOPES[n] for n in network["activations"]]
        self._smoothing = smoothing
        self._factor = self._factor_slope = None
        place, n_features = 0, network["n_features"]
        if network["input_scaling"] == "learned":
            place = n_features
            self._factor = weights[:, :place, None]
            self._factor_slope = slopes[:, :place, None]
        widths = [n_features, *network["widths"], network["n_outputs"]]
        self._layers = []
        size, dtype = (len(weights), batch_size), weights.dtype
        for n_in, n_out in zip(widths, widths[1:], strict=False):
            middle, end = place + n_in * n_out, place + (n_in + 1) * n_out
            parts = []
            for array in (weights, slopes):
                kernel = array[:, place:middle].reshape(len(array), n_in, n_out)
                parts += [kernel, array[:, None, middle:end]]
            memory = [np.empty((*size, n), dtype) for n in (n_in, n_out, n_in)]
            self._layers.append(_Dense(*parts, *memory))
            place = end

    def first(self, n_networks):
        """Return the same for the first networks only."""
        part = object.__new__(Gradients)
        part.__dict__.update(self.__dict__)
        part._layers = [
            _Dense(*(array[:n_networks] for array in layer)) for layer in self._layers
        ]
        if self._factor is not None:
            part._factor = self._factor[:n_networks]
            part._factor_slope = self._factor_slope[:n_networks]
        return part

    def __call__(self, x, true, weights, masks):
        """Compute losses, hits and gradients of a batch.

        Parameters
        ----------
        x : ndarray of shape (n_networks, batch_size, n_features)
            Inputs, centered and scaled if the network does that.
        true : ndarray of int of shape (n_networks, batch_size)
            Class numbers.
        weights : ndarray of shape (n_networks, batch_size)
            Weights of the rows; their sum is 1, or 0 if no row counts.
        masks : list of ndarray or None
            What dropout multiplies with: the inputs, then the outputs of each hidden
            layer.

        Returns
        -------
        losses : ndarray of shape (n_networks,)
            The weighted mean of the losses.
        right : ndarray of bool of shape (n_networks, batch_size)
            Which rows are classified correctly.
        """
        outputs, steps = self._forward(x, masks)
        if outputs.shape[2] == 1:
            losses, right = _binary_loss(outputs[:, :, 0], true, self._smoothing)
        else:
            losses, right = _loss(outputs, true, self._smoothing)
        losses *= weights
        # The outputs are now the slopes of the losses.
        outputs *= weights[:, :, None]
        self._backward(outputs, steps, masks)
        return np.add.reduce(losses, axis=1), right

    def _forward(self, x, masks):
        """Return the outputs, and inputs and slope of each layer."""
        *hidden, last = self._layers
        inputs, kernel, steps = x, self._layers[0].kernel, []
        if masks[0] is not None:
            inputs = np.multiply(x, masks[0], out=self._layers[0].changed)
        if self._factor is not None:
            # The same as to scale the inputs.
            kernel = kernel * (SCALE_SPEED * self._factor)
        for number, layer in enumerate(hidden):
            z = np.matmul(inputs, layer.kernel if number else kernel, out=layer.outputs)
            z += layer.bias
            activation = self._activations[number]
            a, slope = activation(z) if activation else (z, None)
            steps.append((inputs, slope))
            mask, later = masks[number + 1], self._layers[number + 1]
            inputs = a if mask is None else np.multiply(a, mask, out=later.changed)
        outputs = np.matmul(inputs, last.kernel if hidden else kernel, out=last.outputs)
        outputs += last.bias
        steps.append((inputs, None))
        return outputs, steps

    def _backward(self, slopes, steps, masks):
        """Write the gradients of all weights."""
        for number in reversed(range(len(self._layers))):
            layer, (inputs, _) = self._layers[number], steps[number]
            np.matmul(inputs.swapaxes(1, 2), slopes, out=layer.kernel_slope)
            np.add.reduce(slopes, axis=1, keepdims=True, out=layer.bias_slope)
            if number:
                slopes = np.matmul(slopes, layer.kernel.swapaxes(1, 2), out=layer.back)
                if masks[number] is not None:
                    slopes *= masks[number]
                if steps[number - 1][1] is not None:
                    slopes *= steps[number - 1][1]
        if self._factor is not None:
            self._scale_slopes(self._layers[0])

    def _scale_slopes(self, layer):
        """Turn the gradient of the scaled kernel into those of kernel and factors."""
        of_kernel, of_factor = layer.kernel_slope, self._factor_slope
        np.add.reduce(of_kernel * layer.kernel, axis=2, keepdims=True, out=of_factor)
        of_factor *= SCALE_SPEED
        of_kernel *= SCALE_SPEED * self._factor


# ---- losses ------------------------------------------------------------------------


def _loss(outputs, true, smoothing):
    """Return losses and hits; the outputs become the slopes of the losses."""
    n_outputs = outputs.shape[2]
    flat = outputs.reshape(-1)
    place = np.arange(0, flat.size, n_outputs)
    place += true.reshape(-1)
    outputs -= np.maximum.reduce(outputs, axis=2, keepdims=True)
    of_true = flat[place].reshape(true.shape)
    right = of_true == 0
    total = np.add.reduce(outputs, axis=2) if smoothing else 0
    np.exp(outputs, out=outputs)
    sums = np.add.reduce(outputs, axis=2, keepdims=True)
    outputs /= sums
    losses = np.log(sums[:, :, 0])
    off = smoothing / n_outputs
    losses -= (1 - smoothing) * of_true + off * total
    if smoothing:
        outputs -= off
    flat[place] -= 1 - smoothing
    return losses, right


def _binary_loss(outputs, true, smoothing):
    """Do the same with one output, for two classes."""
    right = (outputs > 0) == (true > 0)
    target = (true * (1 - smoothing) + smoothing / 2).astype(outputs.dtype)
    losses = np.logaddexp(outputs, 0)
    losses -= outputs * target
    np.subtract(_sigmoid(outputs), target, out=outputs)
    return losses, right
