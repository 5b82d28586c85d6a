"""Networks side by side as arrays: their outputs, losses and gradients.

Several networks of one structure are arrays whose first axis counts the networks. A
product of their matrices is one call of BLAS for each network. All else works number by
number, or along the rows or columns of one network. So what a network computes does not
depend on the networks beside it, nor on how many there are.

To call NumPy takes longer than to compute with so few numbers, so there are few calls.
The rows of a batch are the last axis: then sums over classes run along contiguous
memory. A bias is one more row of its layer's matrix, for an input that is 1: BLAS adds
it sooner than NumPy. What only the curves need waits until the end of a round.
"""

# SPDX-License-Identifier: BSD-3-Clause

import copy
from typing import NamedTuple

import numpy as np

from .._inference import (
    _LEAK,
    _ROOT_OF_HALF,
    _SELU_ALPHA,
    _SELU_SCALE,
    ACTIVATION_FUNCTIONS,
    SCALE_SPEED,
    erf,
)

# ---- activations and their slopes ---------------------------------------------------

# Each function returns outputs and slopes, and may change its argument to the outputs.
# The slopes have memory of their own. They are TensorFlow's, also at the kinks.


def _sigmoid(z):
    """Return new values; unlike SciPy's function, many at once."""
    part = np.negative(z)
    np.exp(part, out=part)
    part += 1
    return np.divide(1, part, out=part)


def _logistic(z):
    a = _sigmoid(z)
    slope = np.subtract(1, a)
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
    "exponential": _from_outputs("exponential", np.copy),
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
    """A layer of all networks: views of their numbers, and memory for a batch.

    Attributes
    ----------
    kernel : ndarray of shape (n_networks, n_in, n_out)
        Weights.
    matrix : ndarray of shape (n_networks, n_in + 1, n_out)
        The same, and the biases below them.
    kernel_slope, matrix_slope : ndarray
        Gradients, of the same shapes.
    values : ndarray of shape (n_networks, n_out + 1, batch_size)
        What the layer above gets: the outputs, and a row of ones.
    outputs : ndarray of shape (n_networks, n_out, batch_size)
        The outputs alone.
    back : ndarray of shape (n_networks, n_out, batch_size)
        The slopes of the losses along the outputs, before the activation.
    turned_matrix, turned_back : ndarray
        The same numbers, with the last two axes exchanged.
    """

    kernel: np.ndarray
    matrix: np.ndarray
    kernel_slope: np.ndarray
    matrix_slope: np.ndarray
    values: np.ndarray
    outputs: np.ndarray
    back: np.ndarray
    turned_matrix: np.ndarray
    turned_back: np.ndarray


def _dense(weights, slopes, place, shape, batch_size, *, is_last):
    """Return the layer of some inputs and outputs whose weights begin at a place."""
    views, n, (n_in, n_out) = [], len(weights), shape
    end = place + (n_in + 1) * n_out
    for array in (weights, slopes):
        matrix = array[:, place:end].reshape(n, n_in + 1, n_out)
        views += [matrix[:, :n_in], matrix]
    values = np.ones((n, n_out + 1, batch_size), weights.dtype)
    outputs = values[:, :n_out]
    back = np.empty((n, n_out, batch_size), weights.dtype)
    if is_last:
        # The outputs of the last layer become the slopes of the losses.
        outputs = back
    return _Dense(*views, values, outputs, back, _turned(views[1]), _turned(back))


def _turned(array):
    return array.swapaxes(-1, -2)


class Gradients:
    """Losses and gradients of some networks of one structure, in one round.

    Parameters
    ----------
    network : dict
        The network's part of a spec, see `describe`.
    weights : ndarray of shape (n_networks, n_weights)
        All weights, in the order of the layers.
    slopes : ndarray of shape (n_networks, n_weights)
        Receives the gradients.
    x : ndarray of shape (n_networks, n_at_once, batch_size, n_features + 1)
        The inputs of some steps, centered and scaled if the network does that. The last
        one is 1, for the biases. Others take their place when they have been used.
    loss : Softmax or Logistic
        What the outputs are compared with.
    """

    def __init__(self, network, weights, slopes, x, loss):
        self._activations = [ACTIVATIONS_AND_SLOPES[n] for n in network["activations"]]
        self._x, self._loss = x, loss
        batch_size, n_features = x.shape[2], x.shape[3] - 1
        self._factor = self._factor_slope = None
        place = 0
        if network["input_scaling"] == "learned":
            place = n_features
            self._factor = weights[:, :place, None]
            self._factor_slope = slopes[:, :place, None]
        widths = [n_features, *network["widths"], network["n_outputs"]]
        self._layers = []
        shapes = list(zip(widths, widths[1:], strict=False))
        for number, shape in enumerate(shapes):
            is_last = number + 1 == len(shapes)
            arrays = weights, slopes, place, shape, batch_size
            self._layers.append(_dense(*arrays, is_last=is_last))
            place += (shape[0] + 1) * shape[1]

    def first(self, n_networks):
        """Return the same for the first networks only."""
        part = copy.copy(self)
        part._layers = [
            _Dense(*(array[:n_networks] for array in layer)) for layer in self._layers
        ]
        # The views of each step are made at once.
        part._of_steps = list(self._x[:n_networks].swapaxes(0, 1))
        part._loss = self._loss.first(n_networks)
        if self._factor is not None:
            part._factor = self._factor[:n_networks]
            part._factor_slope = self._factor_slope[:n_networks]
        return part

    def __call__(self, step, masks):
        """Compute the gradients of the batch of a step.

        Parameters
        ----------
        step : int
            Number of the step in the round.
        masks : list of ndarray or None
            What dropout multiplies with: the inputs, then the outputs of each hidden
            layer.
        """
        x = self._of_steps[step % len(self._of_steps)]
        if masks[0] is not None:
            x = x.copy()
            x[..., :-1] *= masks[0]
        x = _turned(x)
        slopes = self._forward(x, masks)
        self._loss.to_slopes(step, self._layers[-1].outputs)
        self._backward(x, slopes, masks)

    def _forward(self, x, masks):
        """Compute the outputs; return the slopes of each activation."""
        below, *others = self._layers
        matrix = below.turned_matrix
        if self._factor is not None:
            # The same as to scale the inputs.
            scaled = below.matrix.copy()
            scaled[:, :-1] *= SCALE_SPEED * self._factor
            matrix = _turned(scaled)
        np.matmul(matrix, x, out=below.outputs)
        slopes = []
        for number, layer in enumerate(others):
            slopes.append(self._activate(number, below.outputs, masks[number + 1]))
            np.matmul(layer.turned_matrix, below.values, out=layer.outputs)
            below = layer
        return slopes

    def _activate(self, number, outputs, mask):
        """Change the outputs of a hidden layer in place; return the slopes."""
        activation, slope = self._activations[number], None
        if activation is not None:
            changed, slope = activation(outputs)
            if changed is not outputs:
                outputs[...] = changed
        if mask is not None:
            np.multiply(outputs, mask, out=outputs)
        return slope

    def _backward(self, x, slopes, masks):
        """Write the gradients of all weights."""
        for number in reversed(range(1, len(self._layers))):
            below, layer = self._layers[number - 1], self._layers[number]
            np.matmul(below.values, layer.turned_back, out=layer.matrix_slope)
            np.matmul(layer.kernel, layer.back, out=below.back)
            if masks[number] is not None:
                np.multiply(below.back, masks[number], out=below.back)
            if slopes[number - 1] is not None:
                np.multiply(below.back, slopes[number - 1], out=below.back)
        first = self._layers[0]
        np.matmul(x, first.turned_back, out=first.matrix_slope)
        if self._factor is not None:
            self._scale_slopes(first)

    def _scale_slopes(self, layer):
        """Turn the gradient of the scaled kernel into those of kernel and factors."""
        of_kernel, of_factor = layer.kernel_slope, self._factor_slope
        np.add.reduce(of_kernel * layer.kernel, axis=2, keepdims=True, out=of_factor)
        of_factor *= SCALE_SPEED
        of_kernel *= SCALE_SPEED * self._factor


# ---- losses ------------------------------------------------------------------------


def loss_of(network, smoothing, true, weights):
    """Return the loss of a round: `Logistic` with one output, else `Softmax`.

    Parameters
    ----------
    network : dict
        The network's part of a spec, see `describe`.
    smoothing : float
        Label smoothing.
    true : ndarray of int of shape (n_networks, n_steps, batch_size)
        Class numbers.
    weights : ndarray of shape (n_networks, n_steps, batch_size)
        Weights of the rows; their sum in a batch is 1, or 0 if no row counts.
    """
    arrays = [np.ascontiguousarray(a.swapaxes(0, 1)) for a in (true, weights)]
    if network["n_outputs"] == 1:
        return Logistic(smoothing, *arrays)
    return Softmax(network["n_outputs"], smoothing, *arrays)


class Softmax:
    """Cross-entropy of some networks in one round.

    Parameters
    ----------
    n_outputs : int
        Number of classes.
    smoothing : float
        Part of the target probability to move from the true class to all classes alike.
    true, weights : ndarray of shape (n_steps, n_networks, batch_size)
        As for `loss_of`.
    """

    def __init__(self, n_outputs, smoothing, true, weights):
        self._smoothing, self._weights = smoothing, weights[:, :, None]
        n_steps, n_networks, size = true.shape
        self._size, self._off = size, smoothing / n_outputs
        # Where the outputs of the true classes lie among all of a step.
        first = np.arange(n_networks)[:, None] * (n_outputs * size) + np.arange(size)
        self._places = (first + true * size).reshape(n_steps, -1)
        shape = n_steps, n_networks, n_outputs, size
        self._targets = np.full(shape, self._off, weights.dtype)
        by_step = self._targets.reshape(n_steps, -1)
        np.put_along_axis(by_step, self._places, 1 - smoothing + self._off, axis=1)
        # For the losses: they wait until the end of the round.
        self._of_true = np.zeros(self._places.shape, weights.dtype)
        self._sums = np.ones((n_steps, n_networks, 1, size), weights.dtype)
        self._totals = np.zeros_like(self._sums) if smoothing else None

    def first(self, n_networks):
        """Return the same for the first networks only; its views are made at once."""
        part = copy.copy(self)
        n_rows = n_networks * self._size
        parts = self._sums, self._targets, self._weights
        totals = [None] * len(self._sums)
        part._of_steps = list(
            zip(
                self._places[:, :n_rows],
                self._of_true[:, :n_rows],
                totals if self._totals is None else self._totals[:, :n_networks],
                *(array[:, :n_networks] for array in parts),
                strict=True,
            )
        )
        return part

    def to_slopes(self, step, outputs):
        """Change outputs to the slopes of the losses along them, times the weights.

        Parameters
        ----------
        step : int
            Number of the step in the round.
        outputs : ndarray of shape (n_networks, n_outputs, batch_size)
            Changed in place; of the first networks.
        """
        places, of_true, totals, sums, targets, weights = self._of_steps[step]
        highest = np.maximum.reduce(outputs, axis=1, keepdims=True)
        np.subtract(outputs, highest, out=outputs)
        # "clip" lets NumPy write into the array itself; no place is out of range.
        outputs.take(places, out=of_true, mode="clip")
        if totals is not None:
            np.add.reduce(outputs, axis=1, keepdims=True, out=totals)
        np.exp(outputs, out=outputs)
        np.add.reduce(outputs, axis=1, keepdims=True, out=sums)
        np.divide(outputs, sums, out=outputs)
        np.subtract(outputs, targets, out=outputs)
        np.multiply(outputs, weights, out=outputs)

    def results(self):
        """Return the results of a round.

        Returns
        -------
        losses : ndarray of shape (n_networks, n_steps)
            The weighted mean of the losses in each batch.
        right : ndarray of bool of shape (n_networks, n_steps, batch_size)
            Which rows are classified correctly.
        """
        of_true = self._of_true.reshape(self._sums.shape)
        losses = np.log(self._sums) - (1 - self._smoothing) * of_true
        if self._totals is not None:
            losses -= self._off * self._totals
        # The highest output is zero now.
        return _summed(losses, self._weights, of_true == 0)


class Logistic:
    """Cross-entropy with one output, for two classes; see `Softmax`."""

    def __init__(self, smoothing, true, weights):
        self._true, self._weights = true[:, :, None], weights[:, :, None]
        targets = self._true * (1 - smoothing) + smoothing / 2
        self._targets = targets.astype(weights.dtype)
        self._outputs = np.zeros_like(self._targets)

    def first(self, n_networks):
        """Return the same for the first networks only, see `Softmax.first`."""
        part = copy.copy(self)
        arrays = self._outputs, self._targets, self._weights
        parts = (array[:, :n_networks] for array in arrays)
        part._of_steps = list(zip(*parts, strict=True))
        return part

    def to_slopes(self, step, outputs):
        """Change outputs to the slopes of the losses, see `Softmax.to_slopes`."""
        kept, targets, weights = self._of_steps[step]
        kept[...] = outputs
        np.subtract(_sigmoid(outputs), targets, out=outputs)
        np.multiply(outputs, weights, out=outputs)

    def results(self):
        """Return the results of a round, see `Softmax.results`."""
        losses = np.logaddexp(self._outputs, 0) - self._outputs * self._targets
        right = (self._outputs > 0) == (self._true > 0)
        return _summed(losses, self._weights, right)


def _summed(losses, weights, right):
    """Return the sums of losses over the rows, and which rows are right, by network."""
    sums = np.sum(losses * weights, axis=(2, 3))
    return sums.T, right[:, :, 0].swapaxes(0, 1)
