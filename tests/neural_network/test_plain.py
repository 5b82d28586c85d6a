"""Fits without Keras' objects give what fits with them give, bit by bit."""

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_digits

from skmnist import KerasMLPClassifier
from skmnist.neural_network import _training
from skmnist.neural_network._optimizer_params import OPTIMIZERS
from skmnist.neural_network._persistence import spec_and_arrays
from skmnist.neural_network._spec import INITIALIZERS, describe, fitted_to
from skmnist.neural_network.engines._first_values import initial_values
from skmnist.neural_network.engines._optimizer_facts import (
    described_optimizer,
    trains_plainly,
)
from skmnist.neural_network.keras_side import _compiled, _programs, _scikeras
from skmnist.neural_network.keras_side._network import build_network, network_layers
from skmnist.neural_network.keras_side._optimizers import build_optimizer
from skmnist.neural_network.keras_side._programs import ProgramNetwork, Structure

pytestmark = pytest.mark.usefixtures("by_tensorflow")
SMALL = {"widths": (6, 5), "epochs": 2, "batch_size": 32, "random_state": 0}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X[:100] / 16).astype(np.float32), y[:100]


def spec_of(X, **params):
    """Describe what a classifier with some parameters would train."""
    params = KerasMLPClassifier(**SMALL | params).get_params(deep=False)
    return describe(fitted_to(params, X), X, n_classes=10, random_state=3)


def state_of(classifier):
    """Return all that a fit has learned, but for its duration."""
    learned = {k: v for k, v in vars(classifier).items() if k.endswith("_")}
    return {**learned, "fit_time_": 0}, *spec_and_arrays(classifier)


# ---- how variables begin -----------------------------------------------------------

NETWORKS = {
    **{name: {"initializers": name} for name in INITIALIZERS},
    "output": {"output_initializer": "orthogonal", "depth": 0, "widths": "auto"},
    "dropout": {"dropout": (0.0, 0.5), "input_dropout": 0.1},
    "normalized": {"batch_normalization": True, "dropout": 0.1},
    "scaled": {"input_scaling": "standard", "input_dropout": 0.1},
    "learned": {"input_scaling": "learned", "augmentation": "affine"},
}
DTYPES = ("float32", "float64")


@pytest.mark.parametrize("params", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_variables_of_layers_begin_as_keras_begins_them(digits, params, dtype):
    network = spec_of(digits[0].astype(dtype), **params)["network"]
    built = build_network(**network)
    expected = [v for layer in built.layers for v in layer.variables]
    by_keras = ProgramNetwork({**spec_of(digits[0]), "network": network}).arrays()
    for own, exact in ((by_keras, True), (initial_values(network), False)):
        for one, other in zip(own, expected, strict=True):
            # Functions of NumPy and of C round differently.
            size = np.abs(np.asarray(other)).max(initial=0)
            rounding = 0 if exact else 8 * np.finfo(dtype).eps * size
            np.testing.assert_allclose(one, other, rtol=0, atol=rounding)
            assert one.dtype == np.asarray(other).dtype


def test_scales_of_the_inputs_are_in_the_type_of_the_network(digits):
    network = spec_of(digits[0], input_scaling="standard")["network"]
    scaling = np.linspace(0, 1, 64), np.linspace(1, 2, 64)
    found = initial_values(network, scaling)[:2]
    for one, other in zip(found, scaling, strict=True):
        np.testing.assert_array_equal(one, other.astype(np.float32))
        assert one.dtype == np.float32


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("rate", [0.3, None])
def test_variables_of_an_optimizer_begin_as_keras_begins_them(digits, name, rate):
    params = {"learning_rate_schedule": "constant", "optimizer": name}
    spec = spec_of(digits[0], **params, learning_rate=0.1)
    structure = Structure(_programs._keras_network(spec))
    spec = spec_of(digits[0], **params, learning_rate=rate)
    network = build_network(**spec["network"])
    optimizer = build_optimizer(**spec["optimizer"])
    optimizer.build(network.trainable_variables)
    described = described_optimizer(spec["optimizer"])
    found = structure.states(described.rate)
    for one, other in zip(found, optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, other)


# ---- the same results --------------------------------------------------------------


@pytest.fixture
def with_keras(monkeypatch):
    """Return a function that fits with Keras' objects."""

    def fit(classifier, *data, **options):
        with monkeypatch.context() as patch:
            patch.setattr(_training, "trains_plainly", lambda spec: False)
            return classifier.fit(*data, **options)

    return fit


FITS = {
    "refit": {"early_stopping": True, "refit_on_all": True, "patience": 1},
    "normalized": {
        "batch_normalization": True,
        "input_scaling": "standard",
        "input_dropout": 0.1,
        "learning_rate_schedule": "linear",
        "warmup_epochs": 1,
    },
    "layer by layer": {"widths": 1200, "optimizer": "sgd", "learning_rate": 0.1},
}


@pytest.mark.parametrize("params", FITS.values(), ids=FITS)
def test_a_fit_gives_what_it_gives_with_keras(digits, with_keras, params):
    settings = SMALL | params
    plain = KerasMLPClassifier(**settings).fit(*digits)
    assert "_wrapper" not in vars(plain)
    expected = with_keras(KerasMLPClassifier(**settings), *digits)
    assert "_wrapper" in vars(expected)
    np.testing.assert_equal(state_of(plain), state_of(expected))
    for one, other in zip(plain.coefs_, expected.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_weighted_rows_compiled_give_what_they_give_with_keras(
    digits, with_keras, monkeypatch
):
    monkeypatch.setattr(_programs, "pays_to_compile", lambda *sizes: True)
    weights = np.linspace(0.5, 2, 100)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    settings = SMALL | {"optimizer": optimizer, "class_weight": "balanced"}
    plain = KerasMLPClassifier(**settings).fit(*digits, weights)
    expected = with_keras(KerasMLPClassifier(**settings), *digits, weights)
    np.testing.assert_equal(state_of(plain), state_of(expected))
    # Another fit with the same variables leaves the arrays of the first one alone.
    KerasMLPClassifier(**settings | {"random_state": 1}).fit(*digits, weights)
    np.testing.assert_equal(state_of(plain), state_of(expected))


def test_training_goes_on_as_after_a_fit_with_keras(digits, with_keras):
    plain = KerasMLPClassifier(**SMALL).fit(*digits)
    expected = with_keras(KerasMLPClassifier(**SMALL), *digits)
    for one in (plain, expected):
        one.partial_fit(*digits)
    np.testing.assert_equal(state_of(plain), state_of(expected))


def test_a_monitor_of_scikit_learn_sees_the_weights_of_each_epoch(digits, with_keras):
    # In a second training, too, the fit is copied for it.
    settings = SMALL | FITS["refit"]
    seen = []
    for fit in (KerasMLPClassifier.fit, with_keras):
        monitor = ScoringMonitor(scoring="neg_log_loss")
        fit(KerasMLPClassifier(**settings).set_callbacks(monitor), *digits)
        seen.append(monitor.get_logs().data)
    assert seen[0] == seen[1]
    assert len(seen[0]) > SMALL["epochs"]


# ---- what is built, and for whom ---------------------------------------------------


def test_fits_that_differ_in_numbers_build_one_network_of_keras(digits, monkeypatch):
    monkeypatch.setattr(_compiled, "_engines", OrderedDict())
    build, built = _programs.build_network, []

    def count(*args, **kwargs):
        built.append(kwargs)
        return build(*args, **kwargs)

    def refuse(*args, **kwargs):
        raise AssertionError("scikeras was asked for a network")

    monkeypatch.setattr(_programs, "build_network", count)
    monkeypatch.setattr(_scikeras, "KerasClassifier", refuse)
    numbers = {"learning_rate": 0.1, "weight_decay": 0.3, "dropout": 0.4}
    starts = {"initializers": "lecun_normal", "random_state": 5, "epochs": 3}
    for params in ({"dropout_mask": "update"}, numbers | {"dropout_mask": "update"}):
        KerasMLPClassifier(**SMALL | params).fit(*digits)
        KerasMLPClassifier(**SMALL | params | starts).fit(
            digits[0][:90], digits[1][:90]
        )
    assert len(built) == 1


class Watches(keras.callbacks.Callback):
    """Remembers what it is told to watch."""

    seen = None

    def on_epoch_end(self, epoch, logs=None):
        Watches.seen = self.model


def test_a_callback_of_the_users_gets_keras_network(digits):
    watched = KerasMLPClassifier(**SMALL, callbacks=[Watches]).fit(*digits)
    assert isinstance(Watches.seen, keras.Model)
    plain = KerasMLPClassifier(**SMALL).fit(*digits)
    np.testing.assert_equal(state_of(plain), state_of(watched))


@keras.saving.register_keras_serializable("tests")
class Own(keras.optimizers.Adam):
    """An optimizer of the user's."""


@keras.saving.register_keras_serializable("tests")
class OwnRate(keras.optimizers.schedules.ExponentialDecay):
    """A learning rate of the user's."""


SPECIAL = {
    "own": Own(),
    "own rate": keras.optimizers.Adam(OwnRate(0.1, 10, 0.9)),
    "averages": keras.optimizers.Adam(use_ema=True),
    "clips": keras.optimizers.SGD(clipnorm=1.0),
}


@pytest.mark.parametrize("optimizer", SPECIAL.values(), ids=SPECIAL)
def test_an_optimizer_that_may_do_anything_trains_with_keras(digits, optimizer):
    given = {"optimizer": optimizer, "learning_rate": None}
    assert not trains_plainly(spec_of(digits[0], **given))


def test_an_optimizer_of_keras_own_trains_without(digits):
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    given = {"optimizer": keras.optimizers.Adam(rate), "learning_rate": None}
    assert trains_plainly(spec_of(digits[0], **given))


def test_before_its_training_a_network_has_its_first_layers(digits):
    spec = spec_of(digits[0])
    found = ProgramNetwork(spec).current()
    expected = network_layers(build_network(**spec["network"]))
    np.testing.assert_equal(found, expected)


def test_threads_learn_what_each_learns_alone(digits):
    def fit(seed):
        settings = SMALL | {"random_state": seed, "learning_rate": 0.01 * (seed + 1)}
        return state_of(KerasMLPClassifier(**settings).fit(*digits))

    seeds = range(4)
    alone = [fit(seed) for seed in seeds]
    with ThreadPoolExecutor(4) as pool:
        np.testing.assert_equal(list(pool.map(fit, seeds)), alone)


def test_a_fit_that_failed_leaves_nothing_to_the_next(digits):
    plain = KerasMLPClassifier(**SMALL)
    expected = state_of(plain.fit(*digits))
    with pytest.raises(FloatingPointError):
        plain.set_params(learning_rate=1e30).fit(*digits)
    plain.set_params(learning_rate="auto")
    np.testing.assert_equal(state_of(plain.fit(*digits)), expected)


def test_large_networks_leave_no_variables_behind(digits, monkeypatch):
    monkeypatch.setattr(_programs, "MOST_KEPT_WEIGHTS", 10)
    spec = spec_of(digits[0])
    _, engine = _programs.structure_for(spec, False, None)
    structure = Structure(_programs._keras_network(spec))
    with structure.variables(engine):
        pass
    assert structure._free == []
