"""Keras as its users know it: optimizers, saved models, backends."""

import copy
import os
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from training import SMALL

from skmnist import KerasMLPClassifier
from skmnist.neural_network.keras_side._network import plain_network
from skmnist.neural_network.keras_side._optimizers import build_optimizer

OWN = keras.optimizers


def every_optimizer():
    """Return one of each kind of optimizer that Keras has."""
    made = {
        "LossScaleOptimizer": OWN.LossScaleOptimizer(OWN.SGD(0.1)),
        "Optimizer": None,
    }
    if hasattr(OWN, "MultiOptimizer"):  # the oldest Keras that we support has none
        parts = OWN.OptimizerMap(OWN.Adam(), {".*output.*": OWN.SGD(0.05)})
        made["MultiOptimizer"] = OWN.MultiOptimizer(parts)
    for name, kind in vars(OWN).items():
        if isinstance(kind, type) and issubclass(kind, OWN.Optimizer):
            made.setdefault(name, None if name in made else kind(0.01))
    return {name: optimizer for name, optimizer in made.items() if optimizer}


OPTIMIZERS = every_optimizer()
EVERY = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
UNUSUAL = {"Adafactor", "Lamb", "LossScaleOptimizer", "MultiOptimizer", "Muon"}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32)[:100], y[:100]


@pytest.fixture(scope="module")
def table():
    """No column is constant, and the columns have very different scales."""
    X, y = make_classification(200, 6, n_informative=4, n_classes=3, random_state=0)
    return X * [1e-9, 1, 1, 1, 1e3, 1e6] + [0, 0, 0, 3, 1e4, 1e7], y


# ---- optimizers --------------------------------------------------------------------


@EVERY
def test_an_optimizer_is_built_again_as_it_was(optimizer):
    expected = optimizer.get_config()
    for again in (
        build_optimizer(optimizer),
        build_optimizer(keras.optimizers.serialize(optimizer)),
        copy.deepcopy(optimizer),
        pickle.loads(pickle.dumps(optimizer)),
        clone(KerasMLPClassifier(optimizer=optimizer)).optimizer,
    ):
        assert type(again) is type(optimizer)
        assert {**again.get_config(), "name": ""} == {**expected, "name": ""}


@pytest.mark.parametrize("name", sorted(UNUSUAL & set(OPTIMIZERS)))
def test_an_unusual_optimizer_trains_and_goes_on(table, tmp_path, name):
    # Adafactor of Keras cannot train a float64 network.
    X, y = table[0][:, 1:4].astype(np.float32), table[1]
    settings = {"epochs": 10, "optimizer": OPTIMIZERS[name], "random_state": 0}
    classifier = KerasMLPClassifier(1, 8, **settings)
    classifier.fit(X, y).save(tmp_path / "model")
    assert classifier.loss_ < classifier.loss_curve_[0]
    pickled = pickle.loads(pickle.dumps(classifier))
    loaded = KerasMLPClassifier.load(tmp_path / "model")
    classifier.partial_fit(X, y)
    for twin in (pickled, loaded):
        twin.partial_fit(X, y)
        np.testing.assert_array_equal(
            twin.predict_proba(X), classifier.predict_proba(X)
        )


@EVERY
def test_rate_and_decay_reach_the_optimizer_or_are_refused(optimizer):
    if type(optimizer).__name__ == "MultiOptimizer":
        with pytest.raises(ValueError, match="MultiOptimizer has no 'learning_rate'"):
            build_optimizer(optimizer, learning_rate=0.5)
        return
    built = build_optimizer(optimizer, learning_rate=0.5, weight_decay=0.25)
    inner = getattr(built, "inner_optimizer", built)
    assert float(built.learning_rate) == 0.5
    assert inner.weight_decay == 0.25


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_schedule_reaches_an_optimizer_that_has_none(schedule):
    plain = build_optimizer(OWN.Lamb(0.5), schedule=schedule, n_steps=10, n_warmup=2)
    rate = keras.optimizers.schedules.deserialize(plain.get_config()["learning_rate"])
    np.testing.assert_allclose([rate(0), rate(1), rate(10)], [0.25, 0.5, 0], atol=1e-7)
    own = OWN.SGD(keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.5))
    kept = build_optimizer(own, schedule=schedule, n_steps=10)
    assert kept.get_config()["learning_rate"] == own.get_config()["learning_rate"]


# Columns of zeros make the factors of Adafactor underflow: its weights are NaN.
def test_an_optimizer_that_makes_weights_nan_is_an_error(digits):
    broken = KerasMLPClassifier(**SMALL, optimizer=OWN.Adafactor())
    with pytest.raises(FloatingPointError):
        broken.fit(*digits)


# ---- batches -----------------------------------------------------------------------


def test_a_batch_of_more_rows_than_there_are_is_all_rows(digits):
    all_rows, more = (
        KerasMLPClassifier(**{**SMALL, "batch_size": size}).fit(*digits)
        for size in (100, 10**12)
    )
    for a, b in zip(all_rows.coefs_, more.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert more.batch_size_ == 10**12


# ---- saved models ------------------------------------------------------------------

SAVED = {
    "as it comes": {},
    "scaled and normalized": {
        "input_scaling": "standard",
        "batch_normalization": True,
        "dropout_mask": "row",
        "input_dropout": 0.1,
    },
    "distorted": {"augmentation": "affine", "image_shape": (2, 3), "warmup_epochs": 1},
}

READ = """
import sys
sys.modules["skmnist"] = None
import keras, numpy as np
X, y = np.load("X.npy"), np.load("y.npy")
for name in sys.argv[1:]:
    network = keras.models.load_model(name + ".keras")
    expected = np.load(name + ".npy")
    # To compile each of them takes seconds.
    network.run_eagerly = name != "0"
    found = network.predict(X, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)  # read as float32
    loss = network.fit(X, y, epochs=3, verbose=0).history["loss"]
    assert max(loss) < 2, loss
print("read", len(sys.argv) - 1)
"""


# Keras reads variables in a way that NumPy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_plain_keras_reads_what_a_network_writes(table, tmp_path):
    X, y = table
    np.save(tmp_path / "X", X)
    np.save(tmp_path / "y", y)
    for number, settings in enumerate(SAVED.values()):
        classifier = KerasMLPClassifier(1, 8, epochs=2, random_state=0, **settings)
        classifier.fit(X, y).model_.save(tmp_path / f"{number}.keras")
        np.save(tmp_path / f"{number}.npy", classifier.predict_proba(X))
    names = [str(number) for number in range(len(SAVED))]
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", READ, *names],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == f"read {len(SAVED)}", done.stderr[-2000:]


def test_a_plain_copy_keeps_what_its_user_compiled_and_froze(digits):
    network = KerasMLPClassifier(**SMALL).fit(*digits).model_
    network.layers[0].trainable = False
    network.compile(OWN.RMSprop(0.3), "sparse_categorical_crossentropy")
    plain = plain_network(network)
    assert type(plain) is keras.Sequential
    assert [layer.trainable for layer in plain.layers] == [False, True]
    assert plain.loss == "sparse_categorical_crossentropy"
    assert isinstance(plain.optimizer, OWN.RMSprop)


def test_a_plain_copy_goes_on_where_training_was(digits):
    network = KerasMLPClassifier(**SMALL).fit(*digits).model_
    plain = plain_network(network)
    for a, b in zip(
        plain.optimizer.variables, network.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(a, b)


# ---- other backends ----------------------------------------------------------------


def test_another_backend_is_one_line_before_a_training():
    code = (
        "import skmnist; small = skmnist.KerasMLPClassifier(epochs=1, widths=9)\n"
        "small.fit([[0], [1]], [0, 1])  # by NumPy\n"
        "small.set_params(widths=999).fit([[0], [1]], [0, 1])"
    )
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("ImportError: ") and "'numpy'" in last
    assert "KERAS_BACKEND=tensorflow" in last


# Keras reads it from a file, too.
def test_another_backend_is_one_line_at_fit(digits, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    network = KerasMLPClassifier(**SMALL, callbacks=keras.callbacks.Callback())
    with pytest.raises(RuntimeError, match="'jax'.*KERAS_BACKEND=tensorflow"):
        network.fit(*digits)
