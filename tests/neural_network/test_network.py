"""Networks, losses and optimizers, compared with NumPy and worked by hand."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from skmnist.neural_network._optimizer_params import OPTIMIZERS, SCHEDULES
from skmnist.neural_network._spec import ACTIVATIONS, INITIALIZERS
from skmnist.neural_network.keras_side._network import (
    SmoothedCrossentropy,
    build_loss,
    build_network,
)
from skmnist.neural_network.keras_side._optimizers import build_optimizer

NUMPY_ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
}


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def with_random_weights(network, seed=0):
    """Give all weights and biases random values."""
    generator = np.random.default_rng(seed)
    network.set_weights([generator.normal(size=w.shape) for w in network.weights])
    return network


def kernels(network):
    return [np.asarray(w) for w in network.weights if w.name == "kernel"]


def draws():
    """Draw once from every global generator."""
    return (
        random.random(),
        np.random.random(),
        float(tf.random.uniform([])),
        float(keras.random.uniform(())),
    )


@pytest.fixture
def global_seeds():
    """Let a test seed the global generators; put Python's and NumPy's back."""
    states = random.getstate(), np.random.get_state()
    yield keras.utils.set_random_seed
    random.setstate(states[0])
    np.random.set_state(states[1])


@pytest.mark.parametrize("widths", [(), (5,), (7, 5), (4, 4, 4)])
def test_number_of_parameters_follows_the_formula(widths):
    sizes = [6, *widths, 3]
    expected = sum((a + 1) * b for a, b in zip(sizes, sizes[1:], strict=False))
    assert build_network(6, 3, widths=widths).count_params() == expected


@pytest.mark.parametrize("activation", sorted(NUMPY_ACTIVATIONS))
def test_forward_pass_equals_numpy(activation):
    network = build_network(
        6, 3, widths=(7, 5), activations=activation, dtype="float64"
    )
    W1, b1, W2, b2, W3, b3 = with_random_weights(network).get_weights()
    f = NUMPY_ACTIVATIONS[activation]
    X = np.random.default_rng(1).normal(size=(4, 6))
    expected = softmax(f(f(X @ W1 + b1) @ W2 + b2) @ W3 + b3)
    np.testing.assert_allclose(network(X), expected, rtol=1e-12)


def test_forward_pass_for_two_classes_is_a_logistic_unit():
    network = build_network(6, 1, widths=(5,), dtype="float64")
    W1, b1, W2, b2 = with_random_weights(network).get_weights()
    X = np.random.default_rng(1).normal(size=(4, 6))
    z = np.maximum(X @ W1 + b1, 0) @ W2 + b2
    np.testing.assert_allclose(network(X), 1 / (1 + np.exp(-z)), rtol=1e-12)


def test_without_hidden_layers_the_network_is_linear_before_the_softmax():
    network = build_network(6, 3, widths=(), dtype="float64")
    W, b = with_random_weights(network).get_weights()
    X = np.random.default_rng(1).normal(size=(4, 6))
    np.testing.assert_allclose(network(X), softmax(X @ W + b), rtol=1e-12)


def test_each_layer_takes_its_own_activation():
    network = build_network(
        6, 3, widths=(7, 5), activations=("relu", "tanh"), dtype="float64"
    )
    W1, b1, W2, b2, W3, b3 = with_random_weights(network).get_weights()
    X = np.random.default_rng(1).normal(size=(4, 6))
    expected = softmax(np.tanh(np.maximum(X @ W1 + b1, 0) @ W2 + b2) @ W3 + b3)
    np.testing.assert_allclose(network(X), expected, rtol=1e-12)


def test_each_layer_takes_its_own_initializer():
    network = build_network(6, 3, widths=(5, 4), initializers=("zeros", "he_normal"))
    first, second, _ = kernels(network)
    assert not first.any() and second.all()


def test_each_layer_takes_its_own_dropout():
    network = build_network(6, 3, widths=(5, 4, 4), dropout=(0.0, 0.5, 0.25))
    rates = {
        layer.name: layer.rate
        for layer in network.layers
        if isinstance(layer, keras.layers.Dropout)
    }
    assert rates == {"hidden_2_dropout": 0.5, "hidden_3_dropout": 0.25}


def test_values_that_do_not_match_the_depth_are_refused():
    with pytest.raises(ValueError, match="'activations' parameter .* has 1 values"):
        build_network(6, 3, widths=(5, 4), activations=("relu",))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_name_builds_a_network_with_probabilities(activation):
    network = build_network(6, 3, widths=(5,), activations=activation)
    outputs = network(np.random.default_rng(0).random((4, 6), dtype=np.float32))
    np.testing.assert_allclose(np.sum(outputs, axis=1), 1, rtol=1e-6)


def test_the_same_seed_gives_the_same_weights():
    one, two = (build_network(6, 3, widths=(5, 4), random_state=7) for _ in range(2))
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_seed_gives_every_layer_other_weights():
    one, two = (build_network(6, 3, widths=(5, 4), random_state=s) for s in (7, 8))
    for a, b in zip(kernels(one), kernels(two), strict=True):
        assert np.all(a != b)


# Layers of equal shape that share one initializer object get the same numbers. They
# would compute the same features for ever.
@pytest.mark.parametrize("initializer", sorted(set(INITIALIZERS) - {"zeros"}))
def test_layers_of_equal_shape_get_different_weights(initializer):
    network = build_network(
        6, 6, widths=(6, 6), initializers=initializer, output_initializer=initializer
    )
    first, second, output = kernels(network)
    assert np.all(first != second) and np.all(second != output)


def test_biases_start_at_zero():
    network = build_network(6, 3, widths=(5, 4))
    assert not any(np.any(w) for w in network.weights if w.name == "bias")


def test_normalized_layers_carry_no_bias():
    network = build_network(6, 3, widths=(5, 4), batch_normalization=True)
    with_bias = [x.name for x in network.layers if getattr(x, "use_bias", False)]
    assert with_bias == ["output"]


def test_normalization_stands_between_the_weights_and_the_activation():
    network = build_network(
        6, 3, widths=(5,), activations="tanh", batch_normalization=True, dtype="float64"
    )
    X = np.random.default_rng(1).normal(size=(50, 6))
    W, gamma, beta, _, _, W2, b2 = network.get_weights()
    Z = X @ W
    normalized = (Z - Z.mean(axis=0)) / np.sqrt(Z.var(axis=0) + 1e-3)
    expected = softmax(np.tanh(normalized * gamma + beta) @ W2 + b2)
    np.testing.assert_allclose(network(X, training=True), expected, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_type_reaches_all_weights_and_the_outputs(dtype):
    network = build_network(
        6, 3, widths=(5,), dropout=0.5, batch_normalization=True, dtype=dtype
    )
    assert {w.dtype for w in network.weights} == {dtype}
    assert network(np.ones((2, 6), dtype), training=True).dtype == dtype


# The other inputs are doubled, so that the mean does not change.
def test_input_dropout_drops_inputs_in_training_only():
    network = build_network(1000, 3, widths=(), input_dropout=0.5)
    inputs = np.ones((2, 1000), np.float32)
    dropped = network.layers[0](inputs, training=True).numpy()
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert 0.4 < dropped.mean() / 2 < 0.6
    np.testing.assert_array_equal(network.layers[0](inputs, training=False), inputs)


# Dropping or distorting inputs does not change the initial weights.
@pytest.mark.parametrize(
    "what", [{"input_dropout": 0.5}, {"augmentation": {"image_shape": [2, 3]}}], ids=str
)
def test_what_happens_to_the_inputs_leaves_the_initial_weights(what):
    plain = build_network(6, 3, widths=(5, 4), dropout=0.5)
    other = build_network(6, 3, widths=(5, 4), dropout=0.5, **what)
    for a, b in zip(plain.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_building_leaves_all_global_generators_alone(global_seeds):
    global_seeds(3)
    expected = draws()
    global_seeds(3)
    build_network(6, 3, widths=(5, 4), dropout=0.5, batch_normalization=True)
    assert draws() == expected


def test_weights_do_not_depend_on_the_global_generators(global_seeds):
    global_seeds(3)
    one = build_network(6, 3, widths=(5, 4))
    global_seeds(4)
    two = build_network(6, 3, widths=(5, 4))
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_name_builds_its_optimizer(name):
    assert type(build_optimizer(name)).__name__.lower() == name


def test_an_optimizer_object_is_copied_not_returned():
    given = keras.optimizers.SGD(0.25, momentum=0.5)
    built = build_optimizer(given)
    assert built is not given
    assert (built.momentum, float(built.learning_rate)) == (0.5, 0.25)


def test_an_optimizer_object_keeps_its_own_settings():
    given = keras.optimizers.SGD(0.25, momentum=0.5)
    before = given.get_config()
    build_optimizer(given, learning_rate=1.0, schedule="cosine", weight_decay=0.1)
    assert given.get_config() == before


def test_no_learning_rate_means_the_optimizers_own():
    own = float(keras.optimizers.Adagrad().learning_rate)
    assert float(build_optimizer("adagrad").learning_rate) == own


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_learning_rate_arrives(name):
    built = build_optimizer(name, learning_rate=0.125)
    assert float(built.learning_rate) == 0.125


# After half of the steps, both a line and half a cosine wave are at half of the start.
# After a quarter, the line is at 3/4 and the wave at (1 + cos(pi/4)) / 2.
@pytest.mark.parametrize(
    ("schedule", "quarter"), [("linear", 0.75), ("cosine", (1 + 0.5**0.5) / 2)]
)
def test_a_schedule_falls_to_zero_at_its_last_step(schedule, quarter):
    built = build_optimizer("sgd", learning_rate=0.5, schedule=schedule, n_steps=8)
    rates = []
    for step in (0, 2, 4, 8):
        built.iterations.assign(step)
        rates.append(float(built.learning_rate))
    np.testing.assert_allclose(rates, [0.5, 0.5 * quarter, 0.25, 0], atol=1e-7)


def test_a_schedule_starts_at_the_optimizers_own_rate():
    built = build_optimizer("adam", schedule="linear", n_steps=8)
    assert float(built.learning_rate) == pytest.approx(0.001)


# Update k of the four in the warm-up has k/4 of the peak. Eight updates follow.
@pytest.mark.parametrize(
    ("schedule", "after"),
    [
        ("constant", [0.5, 0.5, 0.5]),
        ("linear", [0.5, 0.25, 0]),
        ("cosine", [0.5, 0.25, 0]),
    ],
)
def test_a_warm_up_rises_along_a_line(schedule, after):
    built = build_optimizer(
        "sgd", learning_rate=0.5, schedule=schedule, n_steps=12, n_warmup=4
    )
    rates = []
    for step in (0, 1, 2, 3, 4, 8, 12):
        built.iterations.assign(step)
        rates.append(float(built.learning_rate))
    np.testing.assert_allclose(rates, [0.125, 0.25, 0.375, 0.5, *after], atol=1e-7)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_warm_up_survives_its_configuration(schedule):
    built = build_optimizer("adam", schedule=schedule, n_steps=12, n_warmup=4)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(built))
    for step in (0, 5, 9):
        built.iterations.assign(step)
        again.iterations.assign(step)
        assert float(again.learning_rate) == float(built.learning_rate)


# The gradient is zero, so only decoupled decay changes a weight: by the learning rate
# times the decay, 0.5 * 0.25 of its value.
def test_weight_decay_takes_its_fraction_off_each_weight():
    weight = keras.Variable([1.0, -2.0])
    built = build_optimizer("sgd", learning_rate=0.5, weight_decay=0.25)
    built.build([weight])
    built.apply([np.zeros(2, np.float32)])
    np.testing.assert_allclose(np.asarray(weight), [0.875, -1.75])


def test_a_weighted_loss_is_the_weighted_mean():
    probabilities = np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]])
    loss = build_loss(3, dtype="float64")
    value = loss(np.array([0, 1]), probabilities, sample_weight=np.array([1.0, 3.0]))
    expected = (-np.log(0.5) - 3 * np.log(0.8)) / 4
    assert float(value) == pytest.approx(expected, rel=1e-6)


def test_a_weighted_loss_for_two_classes_is_the_weighted_mean():
    probabilities = np.array([[0.75], [0.75]])
    loss = build_loss(1, dtype="float64")
    value = loss(
        np.array([[1.0], [0.0]]), probabilities, sample_weight=np.array([1.0, 3.0])
    )
    expected = (-np.log(0.75) - 3 * np.log(0.25)) / 4
    assert float(value) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_a_weight_of_two_is_a_repeated_row(label_smoothing):
    probabilities = np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]])
    y = np.array([0, 1])
    loss = build_loss(3, label_smoothing=label_smoothing, dtype="float64")
    weighted = loss(y, probabilities, sample_weight=np.array([2.0, 1.0]))
    repeated = loss(y[[0, 0, 1]], probabilities[[0, 0, 1]])
    assert float(weighted) == pytest.approx(float(repeated), rel=1e-12)


@pytest.mark.parametrize("sample_weight", [None, np.array([1.0, 3.0, 0.5])])
def test_smoothed_crossentropy_equals_keras_on_one_hot_labels(sample_weight):
    probabilities = softmax(np.random.default_rng(0).normal(size=(3, 4)))
    y = np.array([2, 0, 3])
    expected = keras.losses.CategoricalCrossentropy(
        label_smoothing=0.2, reduction="mean_with_sample_weight", dtype="float64"
    )(np.eye(4)[y], probabilities, sample_weight=sample_weight)
    loss = build_loss(4, label_smoothing=0.2, dtype="float64")
    value = loss(y, probabilities, sample_weight=sample_weight)
    assert float(value) == pytest.approx(float(expected), rel=1e-12)


# With smoothing of 0.2, the target is 0.9 for the true class and 0.1 for the other.
def test_smoothing_for_two_classes_worked_by_hand():
    loss = build_loss(1, label_smoothing=0.2, dtype="float64")
    value = loss(np.array([[1.0]]), np.array([[0.75]]))
    expected = -0.9 * np.log(0.75) - 0.1 * np.log(0.25)
    assert float(value) == pytest.approx(expected, rel=1e-6)


def test_smoothed_crossentropy_survives_its_configuration():
    loss = build_loss(4, label_smoothing=0.2)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert isinstance(again, SmoothedCrossentropy)
    assert again.get_config() == loss.get_config()
