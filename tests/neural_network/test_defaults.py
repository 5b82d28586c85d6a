"""A classifier with nothing set: "auto" values, scaled inputs, schedules."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_circles, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmnist import KerasMLPClassifier
from skmnist.neural_network._data import Rows, center_and_scale
from skmnist.neural_network._spec import (
    auto_batch_size,
    auto_epochs,
    auto_width,
    with_numbers,
)

SMALL = {"widths": 16, "epochs": 3, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    """Columns of very different scales, far from zero, with a constant one."""
    X, y = make_classification(
        300, 6, n_informative=4, n_classes=3, n_clusters_per_class=1, random_state=0
    )
    X = X * [1e-3, 1, 10, 1e3, 1e5, 0] + [0, -3, 50, 1e4, -1e6, 7]
    return X, y


@pytest.fixture(scope="module")
def fitted(table):
    """Nothing is set but the size; no test changes it."""
    return KerasMLPClassifier(**SMALL).fit(*table)


def silu(z):
    return z / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# ---- "auto" ------------------------------------------------------------------------


# scikit-learn's check of sample weights compares rows of weight 2 with repeated rows:
# few rows must be trained alike, whatever their number.
def test_few_rows_have_the_same_settings_whatever_their_number():
    for auto in (auto_batch_size, auto_width, lambda n: auto_epochs(n, 64)):
        assert len({auto(n) for n in range(1, 65)}) == 1


def test_more_rows_never_mean_smaller_batches_networks_or_fewer_updates():
    rows = np.unique(np.geomspace(1, 1e6, 500).astype(int))
    for auto in (auto_batch_size, auto_width):
        assert np.all(np.diff([auto(n) for n in rows]) >= 0)
    for n in rows:
        batch_size = auto_batch_size(n)
        n_updates = auto_epochs(n, batch_size) * -(-n // batch_size)
        assert n_updates >= min(2500, 400 * -(-n // batch_size))


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        ({"widths": 8}, 0.008),
        ({"widths": 128}, 1 / 128),
        ({"widths": (8, 512)}, 1 / 512),
        ({"widths": 8, "optimizer": "sgd"}, None),
    ],
    ids=str,
)
def test_the_learning_rate_falls_with_the_width(given, rate):
    params = {**KerasMLPClassifier().get_params(), **given}
    assert with_numbers(params, 50)["learning_rate"] == rate


def test_numbers_that_are_given_hold():
    X, y = make_circles(100, random_state=0)
    given = {"batch_size": 7, "epochs": 2, "learning_rate": 0.5}
    found = KerasMLPClassifier(widths=4, **given).fit(X, y)
    assert {name: getattr(found, f"{name}_") for name in given} == given


def warned_of(classifier, X, y, **more):
    """Fit, and return the texts of the warnings that the training may be too short."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", ConvergenceWarning)
        classifier.fit(X, y, **more)
    return [str(one.message) for one in found if one.category is ConvergenceWarning]


def test_few_epochs_are_warned_of(table):
    needed = auto_epochs(300, 64)
    network = KerasMLPClassifier(**SMALL | {"batch_size": 64})
    with pytest.warns(ConvergenceWarning) as found:
        network.fit(*table)
    assert found[0].filename == __file__
    message = str(found[0].message)
    assert "3 epochs made 15 updates" in message
    assert f"epochs='auto' would train {needed} epochs" in message


# The warning tells of the fit, wherever its weights come from.
def test_few_epochs_are_warned_of_in_a_kept_fit_too(table, tmp_path):
    network = KerasMLPClassifier(**SMALL, memory=tmp_path)
    assert warned_of(network, *table) == warned_of(network, *table) != []


def test_epochs_of_a_training_that_goes_on_are_counted_together(table):
    network = KerasMLPClassifier(**SMALL | {"epochs": 30}, warm_start=True)
    assert warned_of(network, *table) != []
    assert warned_of(network, *table) == []


@pytest.mark.parametrize(
    "enough",
    [{"epochs": "auto"}, {"early_stopping": True, "min_train_loss": 10.0}],
    ids=["auto", "stopped"],
)
def test_a_training_that_ended_by_itself_is_not_warned_of(table, enough):
    X, y = table
    network = KerasMLPClassifier(**SMALL | {"batch_size": 300} | enough)
    assert warned_of(network, X, y) == []


def test_two_circles_are_told_apart_with_nothing_set():
    X, y = make_circles(600, noise=0.12, factor=0.5, random_state=0)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    found = KerasMLPClassifier(random_state=0).fit(X, y)
    # No classifier gets much more: the circles overlap.
    assert found.score(X_test, y_test) > 0.9
    # What "auto" meant: 450 rows in batches of 64 are 8 updates, 313 epochs 2,504.
    assert (found.batch_size_, found.epochs_, found.n_iter_) == (64, 313, 313)
    assert found.learning_rate_ == 1 / 128


# ---- scaled inputs -----------------------------------------------------------------


def test_center_and_scale_count_a_weight_as_rows():
    rng = np.random.default_rng(0)
    X, weights = rng.normal(5, [1, 1e4], (20, 2)), rng.integers(1, 4, 20)
    y = np.zeros(20, np.int32)
    weighted = center_and_scale(Rows(X, y, weights.astype(float)))
    repeated = center_and_scale(Rows(np.repeat(X, weights, axis=0), y, None))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-12)
    np.testing.assert_allclose(repeated[0], np.average(X, axis=0, weights=weights))


def test_weights_and_biases_give_the_probabilities_from_the_raw_input(table, fitted):
    X, _ = table
    hidden = X
    for weights, biases in zip(
        fitted.coefs_[:-1], fitted.intercepts_[:-1], strict=True
    ):
        hidden = silu(hidden @ weights + biases)
    by_hand = softmax(hidden @ fitted.coefs_[-1] + fitted.intercepts_[-1])
    np.testing.assert_allclose(fitted.predict_proba(X), by_hand, rtol=1e-9)


def test_the_keras_network_takes_the_raw_input(table, fitted):
    X, _ = table
    expected = copy.deepcopy(fitted).model_.predict(X, verbose=0)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-6)


@pytest.mark.parametrize("input_scaling", ["standard", "learned"])
def test_the_scale_of_a_column_does_not_matter(table, input_scaling):
    X, y = table
    settings = {**SMALL, "input_scaling": input_scaling}
    raw = KerasMLPClassifier(**settings).fit(X, y)
    moved = KerasMLPClassifier(**settings).fit(X * 1024 + 2.0**20, y)
    np.testing.assert_allclose(
        raw.predict_proba(X), moved.predict_proba(X * 1024 + 2.0**20), atol=1e-6
    )


def test_standard_scaling_equals_a_scaler_before_it(table):
    X, y = table
    inside = KerasMLPClassifier(**SMALL, input_scaling="standard").fit(X, y)
    before = make_pipeline(
        StandardScaler(), KerasMLPClassifier(**SMALL, input_scaling=None)
    ).fit(X, y)
    np.testing.assert_allclose(
        inside.predict_proba(X), before.predict_proba(X), atol=1e-6
    )


def test_pixels_are_left_as_they_are():
    X, y = load_digits(return_X_y=True)
    X = X[:200] / 16
    auto = KerasMLPClassifier(**SMALL).fit(X, y[:200])
    off = KerasMLPClassifier(**SMALL, input_scaling=None).fit(X, y[:200])
    np.testing.assert_array_equal(auto.predict_proba(X), off.predict_proba(X))
    assert auto.n_parameters_ == off.n_parameters_


def test_a_feature_of_no_use_loses_its_influence():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 8))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    learned = KerasMLPClassifier(widths=32, epochs=60, random_state=0).fit(X, y)
    influence = np.abs(learned.coefs_[0]).sum(axis=1)
    assert influence[:2].min() > 3 * influence[2:].max()


def test_sparse_rows_give_what_dense_ones_give(table):
    from scipy.sparse import csr_array

    X, y = table
    sparse = KerasMLPClassifier(**SMALL).fit(csr_array(X), y)
    dense = KerasMLPClassifier(**SMALL).fit(X, y)
    np.testing.assert_array_equal(
        sparse.predict_proba(csr_array(X)), dense.predict_proba(X)
    )


@pytest.mark.parametrize("way", ["pickle", "copy", "save"])
def test_a_copy_scales_too_and_trains_on_alike(table, fitted, way, tmp_path):
    X, y = table
    original = copy.deepcopy(fitted)
    if way == "pickle":
        again = pickle.loads(pickle.dumps(fitted))
    elif way == "copy":
        again = copy.deepcopy(fitted)
    else:
        fitted.save(tmp_path / "m.skmnist")
        again = KerasMLPClassifier.load(tmp_path / "m.skmnist")
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    for one in (original, again):
        one.partial_fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), original.predict_proba(X))


# ---- dropout -----------------------------------------------------------------------


# Twelve rows are one update, as are the rows when some of them are repeated.
def test_a_weight_is_a_repeated_row_with_dropout_too(table):
    X, y = table[0][:12], np.arange(12) % 3
    weights = np.arange(12) % 4
    settings = {"widths": 8, "epochs": 20, "dropout": 0.5, "random_state": 0}
    weighted, repeated = (
        KerasMLPClassifier(**settings, dropout_mask="update") for _ in range(2)
    )
    weighted.fit(X, y, sample_weight=weights)
    repeated.fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(
        weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-6
    )
    plain = KerasMLPClassifier(**{**settings, "dropout": 0.0})
    plain.fit(X, y, sample_weight=weights)
    assert not np.allclose(plain.predict_proba(X), weighted.predict_proba(X), atol=1e-3)


# ---- going on under a schedule -----------------------------------------------------


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_second_warm_fit_trains(table, schedule):
    X, y = table
    settings = {**SMALL, "learning_rate_schedule": schedule, "warm_start": True}
    warm = KerasMLPClassifier(**settings).fit(X, y)
    first, before = warm.loss_, warm.coefs_
    warm.fit(X, y)
    assert warm.n_iter_ == 6
    assert warm.loss_ < first
    assert not np.allclose(warm.coefs_[0], before[0])


def test_a_warm_fit_has_the_schedule_and_the_rate_that_are_set_now(table):
    X, y = table
    warm = KerasMLPClassifier(**SMALL, warm_start=True).fit(X, y)
    warm.set_params(learning_rate=0.01, epochs=5).fit(X, y)
    # 300 rows in batches of 64 are 5 updates an epoch.
    optimizer = warm._network.optimizer
    assert int(optimizer.iterations) == 5 * 5
    assert warm._spec["optimizer"]["learning_rate"] == 0.01
    assert float(optimizer.learning_rate) == pytest.approx(0, abs=1e-9)


def test_partial_fit_never_stands_still(table):
    X, y = table
    classifier = KerasMLPClassifier(**{**SMALL, "epochs": 2}).fit(X, y)
    for _ in range(4):
        before = classifier.coefs_[0]
        classifier.partial_fit(X, y)
        assert not np.allclose(classifier.coefs_[0], before, rtol=1e-3, atol=0)
    assert classifier.n_iter_ == 6


def test_partial_fit_alone_has_a_constant_rate(table):
    X, y = table
    classifier = KerasMLPClassifier(**SMALL)
    for _ in range(5):
        classifier.partial_fit(X, y)
    assert float(classifier._network.optimizer.learning_rate) == pytest.approx(0.008)


def test_keras_own_fit_on_the_network_trains(table):
    X, y = table
    classifier = KerasMLPClassifier(**SMALL).fit(X, y)
    before = classifier.predict_proba(X)
    network = classifier.model_
    np.testing.assert_array_equal(classifier.predict_proba(X), before)
    network.fit(X, y, verbose=0)
    assert not np.allclose(classifier.predict_proba(X), before, atol=1e-4)
