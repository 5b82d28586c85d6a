"""Build the Keras network, not compiled, and its loss; read it as arrays."""

# SPDX-License-Identifier: BSD-3-Clause

import copy

import keras
import numpy as np

from .._inference import (
    ACTIVATION_FUNCTIONS,
    NORMALIZATION_EPSILON,
    Layer,
    normalized,
    output_activation,
    scaled,
)
from .._spec import per_layer
from .._tensors import addresses, read_variables
from ..engines._first_values import layer_seeds
from ._layers import CheapDropout, DistortImages, ScaleInputs


def build_network(  # noqa: PLR0913
    n_features,
    n_outputs,
    *,
    widths=(400, 400),
    activations="relu",
    initializers="he_normal",
    output_initializer="glorot_uniform",
    dropout=0.0,
    shared_dropout=False,
    input_dropout=0.0,
    input_scaling=None,
    augmentation=None,
    batch_normalization=False,
    dtype="float32",
    random_state=0,
    network_class=keras.Sequential,
):
    """Build a multilayer perceptron; do not compile or train it.

    The same arguments give the same initial weights. Global random generators are
    neither used nor changed. Each layer has a generator of its own: two layers of equal
    shape that share an initializer would get the same weights.

    Parameters
    ----------
    n_features : int
        Number of input features.
    n_outputs : int
        Number of output units: 1 for two classes (a logistic unit), otherwise the
        number of classes (a softmax).
    widths : sequence of int, default=(400, 400)
        Units of each hidden layer, from input to output; empty for a linear model.
    activations : str or sequence of str of length ``len(widths)``, default="relu"
        Activation of each hidden layer.
    initializers : str or sequence of str of length ``len(widths)``, \
            default="he_normal"
        Initializer of each hidden layer's kernel; biases start at zero.
    output_initializer : str, default="glorot_uniform"
        Initializer of the output layer's kernel.
    dropout : float or sequence of float of length ``len(widths)``, default=0.0
        Fraction of each hidden layer's outputs that training sets to zero.
    shared_dropout : bool, default=False
        Whether all rows of a batch lose the same outputs of the hidden layers.
    input_dropout : float, default=0.0
        Fraction of the inputs that training sets to zero.
    input_scaling : {"standard", "learned"}, default=None
        Whether a `ScaleInputs` layer stands before the first hidden layer, and whether
        it learns. Its center and scale are for the caller to set.
    augmentation : dict, default=None
        Arguments of `DistortImages`, which distorts the inputs in training; None for
        no distortion.
    batch_normalization : bool, default=False
        Whether to normalize the outputs of each hidden layer over the rows of a batch,
        before the activation [1]_. Such layers have no bias: the normalization would
        cancel it.
    dtype : {"float32", "float64"}, default="float32"
        Type of all weights and of all arithmetic.
    random_state : int, default=0
        Seed of the initial weights, the dropout masks and the distortions.
    network_class : type, default=keras.Sequential
        `keras.Sequential`, or a class derived from it.

    Returns
    -------
    network : keras.Sequential
        The network. Its weights exist; it is not compiled. Its layers are named
        ``hidden_1``, ..., ``output``.

    Raises
    ------
    ValueError
        If the number of values per layer is not the number of widths.

    References
    ----------
    .. [1] S. Ioffe and C. Szegedy, "Batch Normalization: Accelerating Deep
       Network Training by Reducing Internal Covariate Shift", ICML 2015.

    Examples
    --------
    >>> from skmnist.neural_network.keras_side._network import build_network
    >>> network = build_network(784, 10, widths=(600, 200))
    >>> network.count_params()  # 784*600 + 600 + 600*200 + 200 + 200*10 + 10
    593210
    """
    depth = len(widths)
    *seeds, output_seed, mask_seed, image_seed = layer_seeds(
        random_state, 2 * depth + 3
    )
    layers = [keras.Input((n_features,), dtype=dtype, name="inputs")]
    if augmentation is not None:
        layers.append(
            DistortImages(**augmentation, seed=image_seed, name="images", dtype=dtype)
        )
    if input_scaling is not None:
        learned = input_scaling == "learned"
        layers.append(ScaleInputs(learned, name="scaling", dtype=dtype))
    layers += _dropout(input_dropout, mask_seed, "inputs", dtype)
    hidden = zip(
        widths,
        per_layer("activations", activations, depth),
        per_layer("initializers", initializers, depth),
        per_layer("dropout", dropout, depth),
        strict=True,
    )
    for i, (width, activation, initializer, rate) in enumerate(hidden):
        kernel = seeded(initializer, seeds[2 * i])
        name = f"hidden_{i + 1}"
        layers += _hidden_layer(
            name, width, activation, kernel, batch_normalization, dtype
        )
        layers += _dropout(rate, seeds[2 * i + 1], name, dtype, shared_dropout)
    layers.append(
        keras.layers.Dense(
            n_outputs,
            activation=output_activation(n_outputs),
            kernel_initializer=seeded(output_initializer, output_seed),
            name="output",
            dtype=dtype,
        )
    )
    return network_class(layers, name="mlp")


@keras.saving.register_keras_serializable(package="skmnist")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy between class numbers and a softmax, with smoothed labels.

    Parameters
    ----------
    label_smoothing : float
        Part of the target probability to move from the true class to all classes
        alike [1]_.
    **kwargs : dict
        Arguments of `keras.losses.Loss`.

    References
    ----------
    .. [1] C. Szegedy et al., "Rethinking the Inception Architecture for
       Computer Vision", CVPR 2016, section 7.
    """

    def __init__(self, label_smoothing, **kwargs):
        super().__init__(**kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        """Return the loss of each row, of shape (n_samples,)."""
        one_hot = keras.ops.one_hot(
            keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32"),
            y_pred.shape[-1],
            dtype=y_pred.dtype,
        )
        return keras.losses.categorical_crossentropy(
            one_hot, y_pred, label_smoothing=self.label_smoothing
        )

    def get_config(self):
        """Return the arguments that make an equal loss."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


# `keras.layers.Normalization` divides by nothing below 1e-7.
SMALLEST_SCALE = 1e-6


def plain_network(network):
    """Return a network of Keras' own layers that computes the same.

    Parameters
    ----------
    network : keras.Sequential
        A network as `build_network` makes it.

    Returns
    -------
    plain : keras.Sequential
        A copy, compiled with what Keras has itself: without label smoothing and
        warm-up. It scales inputs as part of its first layer, and does not distort
        images.
    """
    pairs = [(layer, _plain_layer(layer)) for layer in network.layers]
    pairs = [(layer, plain) for layer, plain in pairs if plain is not None]
    inputs = keras.Input(network.input_shape[1:], dtype=network.inputs[0].dtype)
    twin = keras.Sequential([inputs, *(plain for _, plain in pairs)], name=network.name)
    factors = None
    for layer, plain in pairs:
        if isinstance(layer, ScaleInputs):
            factors = layer.affine()[0] * np.sqrt(plain.input_variance)
        elif layer.weights:
            weights = layer.get_weights()
            if factors is not None:
                weights[0], factors = weights[0] * factors[:, None], None
            plain.set_weights(weights)
    if network.get_compile_config() is not None:
        _compile_plainly(twin, network)
    return twin


def _plain_layer(layer):
    """Return a new layer of Keras in place of one of ours; None for no layer."""
    if isinstance(layer, DistortImages):
        return None
    common = {"name": layer.name, "dtype": layer.dtype}
    if isinstance(layer, ScaleInputs):
        # The factors, and what Keras does not divide by, go to the next layer.
        scale = np.maximum(np.asarray(layer.scale), SMALLEST_SCALE)
        return keras.layers.Normalization(
            mean=np.asarray(layer.centre), variance=scale**2, **common
        )
    if isinstance(layer, CheapDropout):
        noise_shape = (1, layer.input.shape[-1]) if layer.shared else None
        return keras.layers.Dropout(
            layer.rate, noise_shape=noise_shape, seed=layer.seed, **common
        )
    return type(layer).from_config(layer.get_config())


def _compile_plainly(twin, network):
    """Compile a plain copy of a network as the network is, but without our classes."""
    config = copy.deepcopy(network.get_compile_config())
    if isinstance(network.loss, SmoothedCrossentropy):
        config["loss"] = keras.losses.serialize(
            keras.losses.SparseCategoricalCrossentropy(
                reduction=network.loss.reduction, dtype=network.loss.dtype
            )
        )
    optimizer = config["optimizer"]["config"]
    rate = optimizer.get("learning_rate")
    if isinstance(rate, dict) and rate["class_name"] == "WarmUp":
        optimizer["learning_rate"] = rate["config"]["peak"]
    twin.compile_from_config(config)
    old, new = network.optimizer.variables, twin.optimizer.variables
    if [v.shape for v in old] == [v.shape for v in new]:
        for variable, value in zip(new, old, strict=True):
            variable.assign(value)


def build_loss(n_outputs, *, label_smoothing=0.0, dtype="float32"):
    """Build the cross-entropy for a network's output layer.

    The sum over a batch is divided by the sum of the sample weights, not by the number
    of rows. So a row of weight 2 counts as two equal rows.

    Parameters
    ----------
    n_outputs : int
        Units of the output layer; 1 for two classes.
    label_smoothing : float, default=0.0
        Part of the target probability to move from the true class to all classes
        alike.
    dtype : {"float32", "float64"}, default="float32"
        Type of the arithmetic.

    Returns
    -------
    loss : keras.losses.Loss
        A loss between class numbers and probabilities.
    """
    common = {"reduction": "mean_with_sample_weight", "dtype": dtype, "name": "loss"}
    if n_outputs == 1:
        return keras.losses.BinaryCrossentropy(
            label_smoothing=label_smoothing, **common
        )
    if label_smoothing:
        return SmoothedCrossentropy(label_smoothing, **common)
    return keras.losses.SparseCategoricalCrossentropy(**common)


def _hidden_layer(name, width, activation, kernel, batch_normalization, dtype):
    """Return the Keras layers of one hidden layer, without its dropout."""
    if not batch_normalization:
        return [
            keras.layers.Dense(
                width,
                activation=activation,
                kernel_initializer=kernel,
                name=name,
                dtype=dtype,
            )
        ]
    return [
        keras.layers.Dense(
            width, use_bias=False, kernel_initializer=kernel, name=name, dtype=dtype
        ),
        keras.layers.BatchNormalization(
            epsilon=NORMALIZATION_EPSILON, name=f"{name}_normalization", dtype=dtype
        ),
        keras.layers.Activation(activation, name=f"{name}_activation", dtype=dtype),
    ]


def _dropout(rate, seed, name, dtype, shared=False):
    """Return the dropout after a layer of that name; no layer for a rate of zero."""
    if not rate:
        return []
    name = f"{name}_dropout"
    return [CheapDropout(rate, shared, seed=seed, name=name, dtype=dtype)]


def seeded(initializer, seed):
    """Return a new initializer of that name, with its own seed."""
    # Without a seed it would draw one from Python's global generator.
    config = {} if initializer == "zeros" else {"seed": seed}
    return keras.initializers.deserialize({"class_name": initializer, "config": config})


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
        From input to output; the same as `described_layers` returns for its spec and
        its arrays.
    """
    layers, inputs = [], None
    for layer in network.layers:
        if isinstance(layer, ScaleInputs):
            inputs = layer
        elif isinstance(layer, keras.layers.Dense):
            weights = np.asarray(layer.kernel).copy()
            biases = layer.bias if layer.use_bias else np.zeros(weights.shape[1])
            layers.append(Layer(weights, np.asarray(biases).copy(), _activation(layer)))
        elif isinstance(layer, keras.layers.BatchNormalization):
            numbers = layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance
            layers[-1] = normalized(
                layers[-1], *map(np.asarray, numbers), epsilon=layer.epsilon
            )
        elif isinstance(layer, keras.layers.Activation):
            layers[-1] = layers[-1]._replace(activation=_activation(layer))
    if inputs is not None:
        factor = np.asarray(inputs.factor) if inputs.learned else None
        centre, scale = np.asarray(inputs.centre), np.asarray(inputs.scale)
        layers[0] = scaled(layers[0], centre, scale, factor)
    return layers


def _activation(layer):
    """Return the name of a layer's activation; a function of the user's as it is."""
    name = getattr(layer.activation, "__name__", "")
    known = name in ACTIVATION_FUNCTIONS
    return (
        name
        if known and keras.activations.get(name) is layer.activation
        else (layer.activation)
    )
