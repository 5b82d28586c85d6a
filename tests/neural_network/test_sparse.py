"""Sparse data: equal to dense ones, with few rows dense at a time."""

import subprocess
import sys
from collections import OrderedDict

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skmnist import (
    AugmentedPredictionClassifier,
    KerasMLPClassifier,
    Stage,
    StagedSearchCV,
)
from skmnist.neural_network import _data
from skmnist.neural_network._cache import digest
from skmnist.neural_network._data import (
    Rows,
    center_and_scale,
    check_data,
    dense_if_small,
    multiply,
)
from skmnist.neural_network._inference import forward
from skmnist.neural_network.keras_side import _compiled, _programs
from skmnist.neural_network.keras_side._compiled import clear_engines
from skmnist.neural_network.keras_side._network import network_layers

N_ROWS, N_FEATURES, BATCH = 100, 25, 8
SMALL = {"depth": 1, "widths": 4, "batch_size": BATCH, "epochs": 2, "random_state": 0}
# With these, all but tiny data stay sparse, and two batches at a time are dense.
MOST_DENSE = 2 * BATCH
KINDS = [
    getattr(sparse, f"{form}_{kind}")
    for form in ("csr", "csc", "coo")
    for kind in ("array", "matrix")
]


def name_of(kind):
    return kind.__name__


@pytest.fixture
def bounded(monkeypatch):
    """Bound the dense rows, and record how many were dense at once."""
    made_dense = []
    whole = sparse.csr_array.toarray

    def recorded(self, *args, **kwargs):
        made_dense.append(self.shape[0])
        return whole(self, *args, **kwargs)

    monkeypatch.setattr(_data, "DENSE_BYTES", 0)
    monkeypatch.setattr(_data, "CHUNK_BYTES", MOST_DENSE * N_FEATURES * 8)
    monkeypatch.setattr(sparse.csr_array, "toarray", recorded)
    return made_dense


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = sparse.random_array((N_ROWS, N_FEATURES), density=0.3, rng=rng).toarray()
    y = np.digitize(X[:, 0] + X[:, 1], [0.1, 0.6])
    return X, y


def make_sparse(X):
    return sparse.csr_array(X)


def same(X):
    return X


class SeesBatches(keras.callbacks.Callback):
    """A callback with a hook for batches, for which Keras' own loop trains."""

    def on_train_batch_end(self, batch, logs=None):
        pass


WEIGHTS = np.arange(N_ROWS) % 3


def plain(classifier, X, y, form):
    return classifier.fit(form(X), y)


def with_validation(classifier, X, y, form):
    return classifier.fit(form(X[20:]), y[20:], X_val=form(X[:20]), y_val=y[:20])


def with_weights(classifier, X, y, form):
    return classifier.fit(form(X), y, sample_weight=WEIGHTS)


def in_parts(classifier, X, y, form):
    classifier.partial_fit(form(X[:50]), y[:50], classes=[0, 1, 2])
    return classifier.partial_fit(form(X[50:]), y[50:])


def warm(classifier, X, y, form):
    return classifier.fit(form(X), y).fit(form(X), y)


def two_classes(classifier, X, y, form):
    return classifier.fit(form(X), y > 0)


@pytest.mark.parametrize(
    ("params", "fit"),
    [
        ({}, plain),
        ({}, two_classes),
        ({"batch_size": 7, "dropout": 0.3, "input_dropout": 0.1}, plain),
        ({"early_stopping": True, "refit_on_all": True}, plain),
        ({"early_stopping": True, "input_scaling": "standard"}, with_weights),
        ({"refit_on_all": True, "class_weight": "balanced"}, with_validation),
        ({"input_scaling": "learned", "class_weight": {0: 2.0}}, with_weights),
        ({"augmentation": "affine"}, plain),
        ({"batch_normalization": True}, plain),
        ({"optimizer": "sgd", "learning_rate_schedule": "linear"}, in_parts),
        ({"warm_start": True}, warm),
        ({"callbacks": [SeesBatches()]}, with_validation),
    ],
)
@pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
def test_a_fit_in_chunks_is_that_of_dense_rows(
    data, bounded, params, fit, engine, request
):
    if engine == "tensorflow":
        request.getfixturevalue("by_tensorflow")
    X, y = data
    dense, chunked = (
        fit(KerasMLPClassifier(**{**SMALL, **params}), X, y, form)
        for form in (same, make_sparse)
    )
    for name in dense.history_:
        # Keras' own loop averages in float32.
        assert_allclose(chunked.history_[name], dense.history_[name], rtol=1e-6)
    assert (chunked.t_, chunked.best_iter_) == (dense.t_, dense.best_iter_)
    assert chunked.input_range_ == dense.input_range_
    assert_allclose(
        chunked.predict_proba(make_sparse(X)), dense.predict_proba(X), atol=1e-9
    )
    assert 0 < max(bounded) <= MOST_DENSE


@pytest.mark.parametrize(
    "params", [{"early_stopping": True}, {"batch_normalization": True}], ids=str
)
@pytest.mark.usefixtures("by_tensorflow")
def test_compiled_programs_train_alike_in_chunks(data, bounded, params, monkeypatch):
    monkeypatch.setattr(_programs, "pays_to_compile", lambda *_: True)
    X, y = data
    dense, chunked = (
        KerasMLPClassifier(**SMALL, **params).fit(form(X), y)
        for form in (same, make_sparse)
    )
    assert_allclose(chunked.loss_curve_, dense.loss_curve_, atol=1e-9)
    assert_allclose(chunked.predict_proba(X), dense.predict_proba(X), atol=1e-9)
    assert 0 < max(bounded) <= MOST_DENSE


# The second fit is wrong if a program has a number of the first one as a constant.
@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "XLA"])
@pytest.mark.usefixtures("by_tensorflow")
def test_fits_in_chunks_share_programs(data, bounded, compiled, monkeypatch):
    engines = OrderedDict()
    monkeypatch.setattr(_compiled, "_engines", engines)
    X, y = data
    first, second = (
        KerasMLPClassifier(
            **{**SMALL, "epochs": epochs},
            learning_rate_schedule="cosine",
            warmup_epochs=1,
            learning_rate=rate,
            weight_decay=rate,
            dropout=10 * rate,
            input_dropout=5 * rate,
        )
        for epochs, rate in [(2, 0.02), (3, 0.04)]
    )
    dense = second.fit(X[:90], y[:90]).predict_proba(X)
    clear_engines()
    monkeypatch.setattr(_programs, "pays_to_compile", lambda *_: compiled)
    first.fit(make_sparse(X), y)
    (engine,) = engines.values()
    programs = dict(engine._programs)
    assert set(programs) == {"static_chunk" if compiled else "any_epoch"}
    chunked = second.fit(make_sparse(X[:90]), y[:90]).predict_proba(X)
    assert list(engines.values()) == [engine]
    assert engine._programs == programs
    assert_allclose(chunked, dense, atol=1e-9)
    assert 0 < max(bounded) <= MOST_DENSE


def test_float32_stays_float32(data, bounded):
    X, y = data[0].astype(np.float32), data[1]
    dense, chunked = (
        KerasMLPClassifier(**SMALL).fit(form(X), y) for form in (same, make_sparse)
    )
    found = chunked.predict_proba(make_sparse(X))
    assert chunked.coefs_[0].dtype == found.dtype == np.float32
    assert_allclose(found, dense.predict_proba(X), atol=1e-5)


def test_a_batch_may_be_larger_than_a_chunk(data, bounded):
    X, y = data
    params = {**SMALL, "batch_size": 60}
    dense, chunked = (
        KerasMLPClassifier(**params).fit(form(X), y) for form in (same, make_sparse)
    )
    assert_allclose(chunked.predict_proba(X), dense.predict_proba(X), atol=1e-9)
    assert max(bounded) == 60


def test_a_kept_fit_is_found_in_any_form_of_the_data(data, bounded, tmp_path):
    X, y = data
    classifier = KerasMLPClassifier(**SMALL, memory=tmp_path)
    fitted = classifier.fit(sparse.csr_array(X), y)
    expected = fitted.predict_proba(X)
    bounded.clear()
    again = classifier.fit(sparse.csc_matrix(X), y)
    assert not bounded
    assert_array_equal(again.predict_proba(X), expected)
    other = X.copy()
    other[3, 4] += 1
    classifier.fit(sparse.csr_array(other), y)
    assert bounded


def test_a_search_chooses_alike(data, bounded):
    X, y = data
    stages = [Stage("widths", {"widths": [2, 6]})]
    dense, chunked = (
        StagedSearchCV(KerasMLPClassifier(**SMALL), stages, cv=2).fit(form(X), y)
        for form in (same, make_sparse)
    )
    assert chunked.best_params_ == dense.best_params_
    assert_array_equal(
        chunked.cv_results_["mean_test_score"], dense.cv_results_["mean_test_score"]
    )
    assert max(bounded) <= MOST_DENSE


def test_predictions_from_views_of_sparse_images(data, bounded):
    X, y = data
    averaged = AugmentedPredictionClassifier(
        KerasMLPClassifier(**SMALL), n_views=2, random_state=0
    )
    dense = averaged.fit(X, y).predict_proba(X)
    chunked = averaged.fit(make_sparse(X), y).predict_proba(make_sparse(X))
    assert_allclose(chunked, dense, atol=1e-9)
    assert max(bounded) <= MOST_DENSE


# ---- the parts -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS, ids=name_of)
@pytest.mark.parametrize("small", [True, False])
def test_every_form_of_sparse_data(kind, dtype, small, monkeypatch):
    monkeypatch.setattr(_data, "DENSE_BYTES", 10**6 if small else 0)
    X = np.array([[0, 1, 0], [1, 0, 1]], dtype)
    checked = check_data(KerasMLPClassifier(), kind(X), reset=True)
    found = dense_if_small(checked)
    expected = check_data(KerasMLPClassifier(), X, reset=True)
    assert sparse.issparse(found) != small
    assert found.dtype == expected.dtype
    assert_array_equal(found if small else found.toarray(), expected)


@pytest.fixture
def untidy():
    """Sparse data with a place named twice, stored zeros, and columns out of order."""
    return sparse.csr_array(
        ([3.0, 0.0, 1.0, 2.0, 5.0], [2, 1, 0, 2, 1], [0, 4, 5]), shape=(2, 3)
    )


def test_data_are_tidied_in_a_copy(untidy, bounded):
    before = untidy.copy()
    tidy = dense_if_small(untidy)
    assert_array_equal(tidy.toarray(), [[1, 0, 5], [0, 5, 0]])
    assert tidy.nnz == 3
    assert digest(tidy) == digest(dense_if_small(sparse.csr_array(tidy.toarray())))
    for name in ("data", "indices", "indptr"):
        assert_array_equal(getattr(untidy, name), getattr(before, name))


@pytest.mark.parametrize(
    "other",
    [
        sparse.csr_array([[1.0, 0], [0, 2]], dtype=np.float32),
        sparse.csr_array([[1.0, 0], [2, 0]]),
        sparse.csr_array([[1.0, 0], [0, 3]]),
        sparse.csr_array([[1.0, 0, 0], [0, 2, 0]]),
    ],
    ids=["type", "place", "value", "shape"],
)
def test_the_digest_tells_sparse_data_apart(other):
    X = sparse.csr_array([[1.0, 0], [0, 2]])
    wide = sparse.csr_array((X.data, X.indices.astype(np.int64), X.indptr))
    assert digest(X) == digest(wide) != digest(other)


@pytest.mark.parametrize("weights", [None, np.array([0.5, 2, 1, 3, 1])], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_scaling_of_sparse_data_is_that_of_dense_ones(dtype, weights):
    X = np.zeros((5, 5), dtype)
    X[:, 0], X[1:3, 1], X[:, 2] = [-1, 0, 2, 0, 5], [1e4, 1e4 + 1], 7
    X[4, 3] = -3  # the last column stays empty
    y = np.zeros(5, int)
    dense = center_and_scale(Rows(X, y, weights))
    found = center_and_scale(Rows(sparse.csr_array(X), y, weights))
    for part, expected in zip(found, dense, strict=True):
        assert_allclose(part, expected, rtol=1e-6 if dtype is np.float32 else 1e-13)


@pytest.mark.parametrize("values", [[[1, 2], [3, 4]], [[1, 0], [3, 4]], [[-1, 0]]])
def test_the_range_of_sparse_data_counts_their_zeros(values):
    X = np.array(values, float)
    rows = (Rows(form(X), None, None) for form in (same, make_sparse))
    assert len({part.input_range() for part in rows}) == 1


@pytest.mark.parametrize("forms", [(make_sparse, same), (same, make_sparse)])
def test_sparse_and_dense_rows_are_joined(forms):
    X = np.arange(6.0).reshape(3, 2)
    one, other = (
        Rows(form(part), np.zeros(len(part), int), None)
        for form, part in zip(forms, (X[:1], X[1:].astype(np.float32)), strict=True)
    )
    joined = one.and_also(other).X
    assert joined.dtype == np.float64
    assert_array_equal(joined.toarray(), X)


@pytest.mark.parametrize("density", [0.005, 0.5])
def test_a_product_with_sparse_rows(density, bounded):
    rng = np.random.default_rng(0)
    X = sparse.random_array((50, N_FEATURES), density=density, format="csr", rng=rng)
    weights = rng.normal(size=(N_FEATURES, 3))
    found = multiply(X, weights, np.empty((50, 3)))
    assert max(bounded, default=0) == (MOST_DENSE if density == 0.5 else 0)
    assert_allclose(found, X.todense() @ weights, atol=1e-12)


@pytest.mark.parametrize("density", [0.005, 0.5])
def test_outputs_for_sparse_rows_in_several_parts(density, monkeypatch):
    monkeypatch.setattr("skmnist.neural_network._inference.CHUNK_ROWS", 7)
    rng = np.random.default_rng(0)
    X = sparse.random_array((30, 12), density=density, format="csr", rng=rng)
    network = keras.Sequential(
        [keras.Input((12,)), *(keras.layers.Dense(n, "tanh") for n in (5, 3))]
    )
    layers = network_layers(network)
    assert_allclose(forward(layers, X), forward(layers, X.toarray()), atol=1e-6)


# The largest size of this program: of ru_maxrss, a child inherits that of its parent.
MEMORY = """
import tensorflow  # half a GiB, whatever the data are
import numpy as np, scipy.sparse as sp
from skmnist import KerasMLPClassifier

def peak():
    lines = open("/proc/self/status").read().splitlines()
    (size,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(size) / 2**20

rng = np.random.default_rng(0)
X = sp.random_array((6000, 40000), density=.002, format="csr", dtype="f", rng=rng)
y = np.arange(6000) % 4
before = peak()
fitted = KerasMLPClassifier(1, 16, epochs=1, early_stopping=True, random_state=0)
fitted.fit(X, y).predict(X)
print(peak() - before)
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_wide_sparse_data_take_little_memory():
    command = [sys.executable, "-W", "ignore", "-c", MEMORY]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    # Dense rows of these data would be 0.9 GiB.
    assert 0 < float(result.stdout) < 0.5
