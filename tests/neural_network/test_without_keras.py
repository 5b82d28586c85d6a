"""Arrays are enough: in processes without TensorFlow, and after a fork."""

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from training import SMALL

from skmnist import AugmentedPredictionClassifier, KerasMLPClassifier

# TensorFlow computes these on its threads, for so many rows of so wide a layer.
WIDE = {**SMALL, "widths": 600, "activations": "gelu", "epochs": 1}
N_ROWS = 4096


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32)[:100], y[:100]


@pytest.fixture(scope="module")
def fitted(digits):
    """A classifier with an optimizer object, which is no plain data."""
    settings = {**SMALL, "optimizer": keras.optimizers.Adam(0.01)}
    return KerasMLPClassifier(**settings).fit(*digits)


@pytest.fixture(scope="module")
def wide(digits):
    """A classifier whose activation is not one of the usual ones."""
    return KerasMLPClassifier(**WIDE).fit(*digits)


@pytest.fixture(scope="module")
def many_rows(digits):
    return np.resize(digits[0], (N_ROWS, 64))


# ---- a process without Keras -------------------------------------------------------

WITHOUT = """
import pickle, sys
import numpy as np
for name in ("keras", "tensorflow", "scikeras"):
    sys.modules[name] = None  # as if it were not installed
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils import get_tags
from skmnist import AugmentedPredictionClassifier, KerasMLPClassifier

X, expected = np.load("X.npy"), np.load("expected.npy")
loaded = KerasMLPClassifier.load("model.skmnist")
with open("models.pickle", "rb") as file:
    pickled, pipeline, averaged = pickle.load(file)
again = pickle.loads(pickle.dumps(pickled))
loaded.save("again.skmnist")
for classifier in (loaded, pickled, again, KerasMLPClassifier.load("again.skmnist")):
    np.testing.assert_array_equal(classifier.predict_proba(X), expected)
    assert [w.shape for w in classifier.coefs_] == [(64, 16), (16, 10)]
    assert get_tags(classifier).input_tags.sparse
np.testing.assert_array_equal(pipeline.predict_proba(X), np.load("pipeline.npy"))
np.testing.assert_array_equal(averaged.predict_proba(X), np.load("averaged.npy"))
plain = clone(KerasMLPClassifier(widths=16, optimizer="adamw"))
assert plain.get_params()["optimizer"] == "adamw" and "adamw" in repr(plain)
search = clone(GridSearchCV(plain, {"widths": [8, 16]}))
assert search.set_params(estimator__depth=1).estimator.depth == 1
y = X[:, 20] > 0.5
trained = plain.set_params(widths=8, epochs=20, random_state=0).fit(X, y)
np.testing.assert_array_equal(trained.predict(X), np.load("trained.npy"))
trained.save("trained.skmnist")
KerasMLPClassifier.load("trained.skmnist").partial_fit(X, y).predict(X)
large = KerasMLPClassifier(widths=(900, 900))
for ask in (lambda: loaded.model_, lambda: large.fit(X, y)):
    try:
        ask()
    except ImportError as error:
        print(error)
"""


def run(code, folder, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(digits, fitted, tmp_path_factory):
    """A folder with saved and pickled models, and what they predict."""
    folder = tmp_path_factory.mktemp("models")
    X, y = digits
    # Refitted by its `fit`, a pipeline would train again.
    pipeline = make_pipeline(StandardScaler(), FrozenEstimator(fitted)).fit(X, y)
    averaged = AugmentedPredictionClassifier(
        FrozenEstimator(fitted), n_views=2, random_state=0
    ).fit(X, y)
    fitted.save(folder / "model.skmnist")
    (folder / "models.pickle").write_bytes(pickle.dumps((fitted, pipeline, averaged)))
    np.save(folder / "X", X)
    trained = KerasMLPClassifier(
        widths=8, optimizer="adamw", epochs=20, random_state=0
    ).fit(X, X[:, 20] > 0.5)
    np.save(folder / "trained", trained.predict(X))
    for name, classifier in (
        ("expected", fitted),
        ("pipeline", pipeline),
        ("averaged", averaged),
    ):
        np.save(folder / name, classifier.predict_proba(X))
    return folder


def test_a_process_without_keras_trains_predicts_and_says_what_it_cannot(folder):
    done = run(WITHOUT, folder)
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stderr[-2000:]
    for line in lines:
        assert "model_" in line and "'keras' is not installed" in line


def test_a_described_optimizer_is_built_when_it_is_read(fitted, folder):
    loaded = KerasMLPClassifier.load(folder / "model.skmnist")
    for twin in (loaded, pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert type(twin.optimizer) is keras.optimizers.Adam
        assert twin.optimizer is twin.get_params()["optimizer"]
        assert twin.optimizer.get_config() == fitted.optimizer.get_config()
    assert type(clone(loaded).optimizer) is keras.optimizers.Adam


# Predicting is for any backend; only training needs TensorFlow.
def test_another_backend_does_not_hinder_predictions(folder):
    code = (
        "import numpy as np, skmnist\n"
        "loaded = skmnist.KerasMLPClassifier.load('model.skmnist')\n"
        "X, expected = np.load('X.npy'), np.load('expected.npy')\n"
        "assert (loaded.predict_proba(X) == expected).all()"
    )
    done = run(code, folder, KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stderr[-2000:]


# ---- the network, when somebody asks for it ----------------------------------------


def test_asking_for_the_network_changes_no_prediction(digits, fitted, folder):
    X, _ = digits
    expected = fitted.predict_proba(X)
    for loaded in (
        KerasMLPClassifier.load(folder / "model.skmnist"),
        pickle.loads(pickle.dumps(fitted)),
    ):
        np.testing.assert_array_equal(loaded.predict_proba(X), expected)
        network = loaded.model_
        np.testing.assert_array_equal(loaded.predict_proba(X), expected)
        assert loaded.model_ is network
        network.set_weights([0 * w for w in network.get_weights()])
        np.testing.assert_allclose(loaded.predict_proba(X), 0.1, rtol=1e-6)


def test_changing_what_coefs_returns_changes_no_prediction(digits, folder):
    X, _ = digits
    loaded = KerasMLPClassifier.load(folder / "model.skmnist")
    expected = loaded.predict_proba(X)
    for array in loaded.coefs_ + loaded.intercepts_:
        array[:] = 0
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)


# ---- after a fork ------------------------------------------------------------------

fork = multiprocessing.get_context("fork")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
# A thread of TensorFlow's in the parent is what makes a fork dangerous.
quietly = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def in_a_fork(function, seconds=60):
    """Call a function in a forked process; return what it returns."""
    reader, writer = fork.Pipe(duplex=False)
    process = fork.Process(target=lambda: writer.send(function()))
    process.start()
    try:
        assert reader.poll(seconds), "the forked process waits for ever"
        return reader.recv()
    finally:
        process.kill()
        process.join()


@needs_fork
@quietly
def test_a_fork_of_a_process_that_has_trained_predicts(wide, many_rows):
    wide.model_.predict(many_rows, verbose=0)  # starts TensorFlow's threads
    expected = wide.predict_proba(many_rows)
    for twin in (wide, pickle.loads(pickle.dumps(wide))):
        found = in_a_fork(lambda twin=twin: twin.predict_proba(many_rows))
        np.testing.assert_array_equal(found, expected)


@needs_fork
@quietly
def test_a_fork_of_a_process_that_has_trained_trains_small_networks(wide, digits):
    wide.model_.predict(digits[0], verbose=0)  # starts TensorFlow's threads
    small = KerasMLPClassifier(**SMALL)
    expected = small.fit(*digits).predict_proba(digits[0])
    found = in_a_fork(lambda: small.fit(*digits).predict_proba(digits[0]))
    np.testing.assert_array_equal(found, expected)


@needs_fork
@quietly
def test_a_fork_predicts_with_the_weights_of_the_network(digits, many_rows):
    changed = KerasMLPClassifier(**WIDE | {"activations": "elu"}).fit(*digits)
    network = changed.model_
    network.predict(many_rows, verbose=0)
    network.set_weights([2 * w for w in network.get_weights()])
    found = in_a_fork(lambda: changed.predict_proba(many_rows))
    expected = changed.predict_proba(many_rows)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(found, network(many_rows), rtol=1e-3, atol=1e-5)


@needs_fork
@quietly
def test_a_pool_of_forked_processes_predicts(wide, many_rows):
    parts = np.array_split(many_rows, 4)
    with fork.Pool(2) as pool:
        found = pool.map_async(wide.predict, parts).get(60)
    np.testing.assert_array_equal(np.concatenate(found), wide.predict(many_rows))


# As gunicorn's workers do with --preload.
PRELOADED = """
import os, sys, time
import numpy as np
from skmnist import KerasMLPClassifier
X, expected = np.load("X.npy"), np.load("expected.npy")
loaded = KerasMLPClassifier.load("model.skmnist")
assert (loaded.predict_proba(X) == expected).all()
workers = []
for number in range(2):
    worker = os.fork()
    if not worker:
        same = (loaded.predict_proba(X) == expected).all()
        unneeded = {"keras", "tensorflow", "scikeras"} & set(sys.modules)
        os._exit(0 if same and not unneeded else 1)
    workers.append(worker)
deadline = time.monotonic() + 60
while workers and time.monotonic() < deadline:
    ended, status = os.waitpid(-1, os.WNOHANG)
    if ended:
        print(status)
        workers.remove(ended)
    time.sleep(0.01)
"""


@needs_fork
def test_workers_forked_from_a_process_that_predicts(folder):
    done = run(PRELOADED, folder)
    assert done.stdout.split() == ["0", "0"], done.stderr[-2000:]
