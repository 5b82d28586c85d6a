"""A training that goes on: which parameter takes effect, which one is refused.

A new parameter needs a line in `KINDS`, and a line in the table of the guide.
"""

import copy
import pickle
import re
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from training import SMALL

from skmnist import KerasMLPClassifier
from skmnist.neural_network.keras_side._scikeras import renew_optimizer

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "classifier.md"
STOPPING = {"early_stopping": True, "epochs": 4, "learning_rate": 0.1, "patience": 1}
IMAGES = {"augmentation": "affine"}


class Kind(NamedTuple):
    """What another value of a parameter does: in a second `fit`, in `partial_fit`.

    value: another value than in `SMALL`. given: parameters without which it has no
    effect.
    """

    fit: str
    partial_fit: str
    value: object
    given: dict = {}


EFFECT, REFUSED, NONE = "takes effect", "error", "no effect"

KINDS = {
    "depth": Kind(REFUSED, REFUSED, 2),
    "widths": Kind(REFUSED, REFUSED, 9),
    "activations": Kind(REFUSED, REFUSED, "tanh"),
    "initializers": Kind(REFUSED, REFUSED, "he_uniform"),
    "output_initializer": Kind(REFUSED, REFUSED, "he_normal"),
    "optimizer": Kind(EFFECT, EFFECT, "sgd"),
    "learning_rate": Kind(EFFECT, EFFECT, 0.1),
    "learning_rate_schedule": Kind(EFFECT, NONE, "linear"),
    "warmup_epochs": Kind(EFFECT, NONE, 0.5),
    "batch_size": Kind(EFFECT, EFFECT, 20),
    "epochs": Kind(EFFECT, NONE, 3),
    "validation_split": Kind(EFFECT, NONE, 0.3, STOPPING),
    "early_stopping": Kind(EFFECT, NONE, True),
    "monitor": Kind(EFFECT, NONE, "loss", STOPPING | {"epochs": 9, "patience": 9}),
    "patience": Kind(EFFECT, NONE, 4, STOPPING | {"min_delta": 0.9}),
    "min_delta": Kind(EFFECT, NONE, 9.0, STOPPING),
    "min_train_loss": Kind(EFFECT, NONE, 100.0, STOPPING | {"patience": 4}),
    "max_gap": Kind(EFFECT, NONE, 0.0, STOPPING | {"patience": 4}),
    "restore_best_weights": Kind(EFFECT, NONE, False, STOPPING | {"min_delta": 9.0}),
    "refit_on_all": Kind(REFUSED, NONE, True, STOPPING),
    "dropout": Kind(EFFECT, EFFECT, 0.5),
    "dropout_mask": Kind(EFFECT, EFFECT, "update", {"dropout": 0.5}),
    "input_dropout": Kind(EFFECT, EFFECT, 0.5),
    "input_scaling": Kind(REFUSED, REFUSED, "standard"),
    "batch_normalization": Kind(REFUSED, REFUSED, True),
    "weight_decay": Kind(EFFECT, EFFECT, 0.5),
    "label_smoothing": Kind(EFFECT, EFFECT, 0.3),
    "augmentation": Kind(EFFECT, EFFECT, "affine"),
    "image_shape": Kind(EFFECT, EFFECT, (4, 16), IMAGES),
    "class_weight": Kind(EFFECT, EFFECT, {0: 9.0}),
    "callbacks": Kind(EFFECT, EFFECT, None),
    "memory": Kind(NONE, NONE, Path("elsewhere")),
    "warm_start": Kind("begins anew", NONE, False),
    "random_state": Kind(EFFECT, EFFECT, 1),
    "verbose": Kind(EFFECT, EFFECT, 1),
}
# What they do shows elsewhere than in the weights.
BESIDE_THE_WEIGHTS = {"callbacks", "verbose"}
METHODS = ("fit", "partial_fit")


def cases(kind, without=()):
    return [
        (name, method)
        for name in KINDS
        for method in METHODS
        if getattr(KINDS[name], method) == kind and name not in without
    ]


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32)[:100], y[:100]


@pytest.fixture(scope="module")
def fitted(digits):
    """Return a classifier that is fitted with some parameters, the same each time."""
    made = {}

    def fitted(given=()):
        key = repr(given)
        if key not in made:
            settings = {**SMALL, "widths": 8, "warm_start": True, **dict(given)}
            made[key] = KerasMLPClassifier(**settings).fit(*digits)
        return copy.deepcopy(made[key])

    return fitted


@pytest.fixture(scope="module")
def unchanged(digits, fitted):
    """Return what a training that goes on ends with, if nothing is set before it."""
    made = {}

    def unchanged(method, given=()):
        key = method, repr(given)
        if key not in made:
            made[key] = outcome(getattr(fitted(given), method)(*digits))
        return made[key]

    return unchanged


def outcome(classifier):
    """Return all that a training leaves: weights and curves."""
    return [w.tobytes() for w in classifier.coefs_], classifier.history_


def test_every_parameter_is_of_one_kind():
    assert set(KINDS) == set(KerasMLPClassifier().get_params())


@pytest.mark.parametrize(("name", "method"), cases(EFFECT, BESIDE_THE_WEIGHTS))
def test_a_parameter_takes_effect(digits, fitted, unchanged, name, method):
    kind = KINDS[name]
    classifier = fitted(kind.given).set_params(**{name: kind.value})
    found = outcome(getattr(classifier, method)(*digits))
    assert found != unchanged(method, kind.given)


@pytest.mark.parametrize(("name", "method"), cases(NONE))
def test_a_parameter_without_effect(digits, fitted, unchanged, tmp_path, name, method):
    kind = KINDS[name]
    value = tmp_path if name == "memory" else kind.value
    classifier = fitted(kind.given).set_params(**{name: value})
    found = outcome(getattr(classifier, method)(*digits))
    assert found == unchanged(method, kind.given)
    assert not list(tmp_path.rglob("*.skmnist"))


@pytest.mark.parametrize(("name", "method"), cases(REFUSED))
def test_a_parameter_is_refused_and_set_back(digits, fitted, unchanged, name, method):
    kind = KINDS[name]
    classifier = fitted(kind.given)
    before = classifier.get_params()[name]
    with pytest.raises(ValueError, match=name):
        getattr(classifier.set_params(**{name: kind.value}), method)(*digits)
    classifier.set_params(**{name: before})
    found = outcome(getattr(classifier, method)(*digits))
    assert found == unchanged(method, kind.given)


def test_without_a_warm_start_another_network_is_fitted(digits, fitted):
    again = fitted().set_params(warm_start=False, widths=9).fit(*digits)
    assert (again.coefs_[0].shape, again.n_iter_) == ((64, 9), 2)


@pytest.mark.parametrize("method", METHODS)
def test_callbacks_and_verbosity_take_effect(digits, fitted, method, capfd):
    seen = []
    note = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: seen.append(1))
    classifier = fitted().set_params(callbacks=[note], verbose=2)
    getattr(classifier, method)(*digits)
    assert seen == [1]
    assert "Epoch 3/" in capfd.readouterr().out


def test_the_guide_has_a_table_of_the_kinds():
    rows = re.findall(r"^\| (`.*) \| (.*) \| (.*) \|$", GUIDE.read_text(), re.M)
    found = {
        name: (fit, partial)
        for names, fit, partial in rows
        for name in re.findall(r"`(\w+)`", names)
        if {fit, partial} <= {EFFECT, REFUSED, NONE, "begins anew"}
    }
    expected = {n: (kind.fit, kind.partial_fit) for n, kind in KINDS.items()}
    assert found == expected


# ---- what goes on ------------------------------------------------------------------


def test_another_rate_leaves_the_moments_of_the_optimizer(digits, fitted):
    classifier = fitted().set_params(learning_rate=0.1).partial_fit(*digits)
    optimizer = classifier._network.optimizer
    # 100 rows in batches of 32 are 4 updates an epoch.
    assert int(optimizer.iterations) == 3 * 4
    assert float(optimizer.learning_rate) == pytest.approx(0.1)
    # An optimizer without moments would make other steps.
    anew = fitted().set_params(learning_rate=0.1)
    renew_optimizer(anew._wrapper, anew._spec["optimizer"] | {"learning_rate": 0.1})
    assert outcome(anew.partial_fit(*digits)) != outcome(classifier)


def test_another_dropout_keeps_weights_and_moments(digits, fitted):
    settings = {"dropout": 0.5, "learning_rate": 1e-9}
    classifier = fitted()
    before = classifier.coefs_[0]
    classifier.set_params(**settings).partial_fit(*digits)
    np.testing.assert_allclose(classifier.coefs_[0], before, atol=1e-6)
    assert int(classifier._network.optimizer.iterations) == 3 * 4
    assert classifier.n_iter_ == 3


@pytest.mark.parametrize("method", METHODS)
def test_auto_means_what_the_network_has(digits, method):
    X, y = digits
    settings = {"epochs": 1, "batch_size": 2000, "warm_start": True}
    classifier = KerasMLPClassifier(1, 8, input_scaling="standard", **settings)
    classifier.fit(X, y)
    classifier.set_params(depth="auto", widths="auto", input_scaling="auto")
    # For so many rows, a new network would be wider.
    getattr(classifier, method)(np.tile(X[:, :64], (60, 1)), np.tile(y, 60))
    assert [w.shape for w in classifier.coefs_] == [(64, 8), (8, 10)]


def test_parameters_are_checked_in_every_partial_fit(digits, fitted):
    classifier = fitted().set_params(learning_rate=-1.0)
    with pytest.raises(ValueError, match="'learning_rate' parameter"):
        classifier.partial_fit(*digits)


@pytest.mark.parametrize("classes", [np.arange(9), np.arange(11), list("0123456789")])
def test_other_classes_than_in_the_first_call_are_refused(digits, fitted, classes):
    with pytest.raises(ValueError, match="are not those of the first call"):
        fitted().partial_fit(*digits, classes=classes)


def test_the_same_classes_can_be_repeated(digits, fitted, unchanged):
    again = fitted().partial_fit(*digits, classes=np.arange(10)[::-1])
    assert outcome(again) == unchanged("partial_fit")


# ---- layers that the user froze, networks that the user compiled ------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_frozen_layers_stay_and_the_others_train_on(digits, fitted, method, schedule):
    classifier = fitted({"learning_rate_schedule": schedule})
    classifier.model_.get_layer("hidden_1").trainable = False
    first, last = classifier.coefs_
    for copied in (classifier, pickle.loads(pickle.dumps(classifier))):
        getattr(copied, method)(*digits)
        np.testing.assert_array_equal(copied.coefs_[0], first)
        assert not np.allclose(copied.coefs_[1], last)
        assert copied._spec["frozen"] == ["hidden_1"]
        twin = pickle.loads(pickle.dumps(copied))
        assert outcome(twin.partial_fit(*digits)) == outcome(
            copied.partial_fit(*digits)
        )


def test_layers_that_are_no_longer_frozen_train_again(digits, fitted):
    classifier = fitted()
    layer = classifier.model_.get_layer("hidden_1")
    layer.trainable = False
    classifier.partial_fit(*digits)
    layer.trainable = True
    first = classifier.coefs_[0]
    assert not np.allclose(classifier.partial_fit(*digits).coefs_[0], first)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "own"])
def test_a_network_that_its_user_compiled_trains_on(digits, fitted, method, loss):
    classifier = fitted({"learning_rate_schedule": "cosine"})
    if loss == "own":
        loss = keras.losses.SparseCategoricalCrossentropy(reduction="sum")
    classifier.model_.compile(keras.optimizers.SGD(0.0), loss=loss)
    before = classifier.coefs_[0]
    getattr(classifier, method)(*digits)
    # It still has the optimizer of its user, who set the rate to zero.
    np.testing.assert_array_equal(classifier.coefs_[0], before)
    twin = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(twin.coefs_[0], before)
    # What is set later holds.
    getattr(classifier.set_params(learning_rate=0.1), method)(*digits)
    assert not np.allclose(classifier.coefs_[0], before)
