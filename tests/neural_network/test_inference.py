"""Networks as arrays: Keras' activations in NumPy, and layers from plain data."""

import functools
import inspect
import warnings

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from training import SMALL

from skmnist import KerasMLPClassifier
from skmnist._archive import read_archive
from skmnist._io import ModelFileError, write_archive
from skmnist.neural_network._inference import (
    ACTIVATION_FUNCTIONS,
    SavedNetwork,
    described_layers,
    forward,
)
from skmnist.neural_network.keras_side._network import network_layers
from skmnist.neural_network.keras_side._scikeras import make_wrapper, wrapper_arrays

# ---- activations -------------------------------------------------------------------


def offered_by_keras():
    """Return the names that a Dense layer of Keras takes for its activation."""
    found = set()
    for name, function in inspect.getmembers(keras.activations, inspect.isfunction):
        first, *others = inspect.signature(function).parameters.values()
        needs_more = any(p.default is p.empty for p in others)
        if first.name == "x" and not needs_more:
            found.add(name)
    return found


def test_numpy_has_every_activation_that_keras_offers_by_name():
    assert offered_by_keras() == set(ACTIVATION_FUNCTIONS)
    assert len(ACTIVATION_FUNCTIONS) > 30


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-12)]
)
@pytest.mark.parametrize("name", sorted(ACTIVATION_FUNCTIONS))
def test_an_activation_is_that_of_keras(name, dtype, tolerance):
    generator = np.random.default_rng(0)
    spreads = np.repeat([0.01, 1, 5, 30], 20)[:, None]
    z = (spreads * generator.normal(size=(80, 12))).astype(dtype)
    z[0, :6] = [0, -1, 1, 3, -3, 0.5]  # where pieces meet
    expected = np.asarray(keras.activations.get(name)(z))
    found = ACTIVATION_FUNCTIONS[name](z.copy())
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


# With infinity, NumPy would warn where TensorFlow is silent.
@pytest.mark.parametrize("name", sorted(ACTIVATION_FUNCTIONS))
def test_an_activation_of_large_numbers_warns_no_more_than_keras(name):
    z = np.array([[1e4, -1e4, 3e38, -3e38]], np.float32)
    expected = np.asarray(keras.activations.get(name)(z))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ACTIVATION_FUNCTIONS[name](z.copy())
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def double(z):
    return 2 * z


@pytest.mark.parametrize(
    "activation",
    [
        double,
        lambda z: 2 * z,
        functools.partial(keras.activations.leaky_relu, negative_slope=0.3),
    ],
    ids=["function", "lambda", "partial"],
)
def test_a_function_of_the_users_is_computed_as_it_is(digits, fitted, activation):
    X, _ = digits
    network = fitted.model_
    usual = network.layers[0].activation
    network.layers[0].activation = activation
    try:
        expected = np.asarray(network(X))
        np.testing.assert_allclose(fitted.predict_proba(X), expected, atol=1e-6)
    finally:
        network.layers[0].activation = usual


# ---- layers from plain data --------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32)[:100], y[:100]


@pytest.fixture(scope="module")
def fitted(digits):
    return KerasMLPClassifier(**SMALL).fit(*digits)


PLAIN = {
    "n_features": 4,
    "n_outputs": 3,
    "widths": [5, 6],
    "activations": ["gelu", "swish"],
    "initializers": ["he_normal", "he_normal"],
    "dropout": [0.0, 0.0],
    "input_dropout": 0.0,
    "input_scaling": None,
    "augmentation": None,
    "batch_normalization": False,
    "dtype": "float32",
}
IMAGES = {"image_shape": [2, 2], "rotation": 5.0}
KINDS = {
    "plain": {},
    "linear": {"widths": [], "activations": [], "initializers": [], "dropout": []},
    "two classes": {"n_outputs": 1},
    "float64": {"dtype": "float64"},
    "dropout": {"dropout": [0.5, 0.0], "input_dropout": 0.1},
    "shared dropout": {"dropout": [0.1, 0.2], "shared_dropout": True},
    "standard": {"input_scaling": "standard"},
    "learned": {"input_scaling": "learned", "input_dropout": 0.1},
    "normalized": {"batch_normalization": True, "dropout": [0.1, 0.1]},
    "distorted": {"augmentation": IMAGES},
    "all": {
        "augmentation": IMAGES,
        "input_scaling": "learned",
        "batch_normalization": True,
        "dropout": [0.1, 0.0],
        "input_dropout": 0.1,
        "dtype": "float64",
    },
}


def built(network, frozen=()):
    """Return a spec, a network with random numbers in all places, and its arrays."""
    dtype, n_outputs = network["dtype"], network["n_outputs"]
    spec = {
        "network": network,
        "loss": {"n_outputs": n_outputs, "dtype": dtype},
        "optimizer": {"optimizer": "adam"},
        "batch_size": 8,
        "epochs": 1,
        "frozen": list(frozen),
    }
    wrapper = make_wrapper(spec)
    generator = np.random.default_rng(0)
    for layer in wrapper.model_.layers:
        numbers = [generator.uniform(0.5, 2, w.shape) for w in layer.weights]
        layer.set_weights(numbers)
    return spec, wrapper.model_, wrapper_arrays(wrapper, spec)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_layers_of_plain_data_are_those_of_the_network(kind):
    spec, network, arrays = built({**PLAIN, **kind})
    found = described_layers(spec["network"], arrays)
    for a, b in zip(found, network_layers(network), strict=True):
        np.testing.assert_array_equal(a.weights, b.weights)
        np.testing.assert_array_equal(a.biases, b.biases)
        assert a.weights.dtype == b.weights.dtype == spec["network"]["dtype"]
        assert {a.activation, b.activation} - {"swish"} == {b.activation}
    X = np.random.default_rng(1).random((7, 4)).astype(spec["network"]["dtype"])
    np.testing.assert_allclose(forward(found, X), network(X), rtol=1e-4, atol=1e-7)


# Keras lists variables that are not trained after those that are.
def test_frozen_layers_stay_in_their_places():
    kind = {"batch_normalization": True, "input_scaling": "learned"}
    names = ["scaling", "hidden_1", "hidden_2_normalization"]
    spec, network, arrays = built({**PLAIN, **kind}, frozen=names)
    for a, b in zip(
        described_layers(spec["network"], arrays), network_layers(network), strict=True
    ):
        np.testing.assert_array_equal(a.weights, b.weights)
        np.testing.assert_array_equal(a.biases, b.biases)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda network, arrays: arrays.pop(),
        lambda network, arrays: arrays.pop(0),
        lambda network, arrays: network.update(widths=[5, 7]),
        lambda network, arrays: network.update(dtype="float64"),
        lambda network, arrays: network.update(activations=["relu"]),
        lambda network, arrays: network.update(activations=["relu", "os.mkdir"]),
        lambda network, arrays: network.update(batch_normalization=True),
    ],
    ids=["last", "first", "width", "type", "activation", "unknown", "normalization"],
)
def test_arrays_that_do_not_fit_are_refused(spoil):
    spec, _, arrays = built(PLAIN)
    network, arrays = dict(spec["network"]), arrays[:6]  # without the optimizer's
    spoil(network, arrays)
    with pytest.raises(ValueError, match=r"do not fit|shorter|longer|no activation"):
        described_layers(network, arrays)


# ---- saved networks ----------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 10])
def test_a_saved_network_predicts_as_its_classifier(digits, tmp_path, n_classes):
    X, y = digits
    some = y < n_classes
    classifier = KerasMLPClassifier(**SMALL).fit(X[some], y[some])
    classifier.save(tmp_path / "model")
    saved = SavedNetwork(tmp_path / "model")
    np.testing.assert_array_equal(saved.predict_proba(X), classifier.predict_proba(X))
    np.testing.assert_array_equal(saved.classes_, classifier.classes_)
    assert saved.n_features_in_ == 64
    assert saved.input_range_ == classifier.input_range_


def test_a_saved_network_has_finite_numbers(fitted, tmp_path):
    # NaN would be read as "0, nan %" without a word.
    fitted.save(tmp_path / "model")
    description, arrays = read_archive(tmp_path / "model")
    for i, wrong in enumerate((np.nan, np.inf)):
        changed = [array.copy() for array in arrays]
        changed[i].flat[-1] = wrong
        write_archive(tmp_path / "odd", description, changed)
        with pytest.raises(ModelFileError, match=r"odd: damaged.* not finite"):
            SavedNetwork(tmp_path / "odd")


def test_a_file_without_a_network_is_named(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    description, arrays = read_archive(tmp_path / "model")
    del description["spec"]["network"]["widths"]
    write_archive(tmp_path / "model", description, arrays)
    with pytest.raises(ModelFileError, match="model: damaged"):
        SavedNetwork(tmp_path / "model")
