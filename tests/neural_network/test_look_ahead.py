"""The look ahead: for how long a classifier trains if nothing is set."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss

import skmnist
from skmnist import KerasMLPClassifier
from skmnist.neural_network import _training
from skmnist.neural_network._data import Rows
from skmnist.neural_network._spec import auto_epochs
from skmnist.neural_network.engines._epochs import EpochOrder
from skmnist.neural_network.engines._look_ahead import (
    HeldOutLosses,
    OrderOfOthers,
    epochs_before,
    held_out_rows,
    turning_point,
)

SMALL = {"widths": (32,), "batch_size": 32, "random_state": 0}
N_ROWS = 240


def table(flipped):
    """Two classes; a part of the labels follows from nothing."""
    return make_classification(
        2 * N_ROWS, 20, n_informative=4, flip_y=flipped, class_sep=2, random_state=0
    )


@pytest.fixture(scope="module")
def noisy():
    X, y = table(0.5)
    return X[:N_ROWS], y[:N_ROWS], X[N_ROWS:], y[N_ROWS:]


@pytest.fixture(scope="module")
def fitted(noisy):
    """Nothing is set but the size; no test changes it."""
    X, y, *_ = noisy
    return KerasMLPClassifier(**SMALL).fit(X, y)


def bits(classifier):
    return [array.tobytes() for array in classifier.coefs_ + classifier.intercepts_]


# ---- what it brings ----------------------------------------------------------------


def test_noisy_labels_are_trained_on_for_few_epochs(noisy, fitted):
    X, y, X_test, y_test = noisy
    assert fitted.epochs_ == fitted.n_iter_ == 2 * fitted.overfits_after_
    assert fitted.epochs_ < auto_epochs(N_ROWS, 32) / 4
    by_heart = KerasMLPClassifier(**SMALL, early_stopping=False).fit(X, y)
    assert (by_heart.epochs_, by_heart.overfits_after_) == (313, None)
    found, worse = (
        log_loss(y_test, one.predict_proba(X_test)) for one in (fitted, by_heart)
    )
    assert found < 0.8 * worse


def test_clean_labels_are_trained_on_as_without_a_look():
    X, y = (part[:N_ROWS] for part in table(0.0))
    looked = KerasMLPClassifier(**SMALL).fit(X, y)
    assert (looked.overfits_after_, looked.epochs_) == (None, auto_epochs(N_ROWS, 32))
    assert bits(looked) == bits(
        KerasMLPClassifier(**SMALL, early_stopping=False).fit(X, y)
    )


# ---- who looks ahead ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "n_rows", "validation"),
    [
        ({"epochs": 40}, N_ROWS, False),
        ({"early_stopping": False}, N_ROWS, False),
        ({}, N_ROWS, True),
        ({}, 199, False),
        ({}, 5001, False),
    ],
    ids=["epochs", "not_wanted", "validation", "few", "many"],
)
def test_who_does_not_look_ahead(params, n_rows, validation, noisy, monkeypatch):
    def look(*_):
        raise AssertionError

    monkeypatch.setattr(_training, "_look_ahead", look)
    X, y, X_val, y_val = noisy
    X, y = np.resize(X, (n_rows, X.shape[1])), np.resize(y, n_rows)
    more = {"X_val": X_val, "y_val": y_val} if validation else {}
    found = KerasMLPClassifier(**{"widths": (2,), "batch_size": 5001, **params})
    assert found.fit(X, y, **more).overfits_after_ is None


def test_partial_fit_does_not_look_ahead(noisy):
    X, y, *_ = noisy
    assert KerasMLPClassifier(**SMALL).partial_fit(X, y).overfits_after_ is None


def test_a_training_that_goes_on_is_as_long_as_the_first(noisy):
    X, y, *_ = noisy
    network = KerasMLPClassifier(**SMALL, warm_start=True).fit(X, y)
    before = network.epochs_
    assert network.fit(X, y).epochs_ == before
    assert network.n_iter_ == 2 * before


# ---- the same, however it is asked for ---------------------------------------------


def test_callbacks_change_nothing(noisy, fitted):
    X, y, *_ = noisy
    calls = []
    from keras.callbacks import LambdaCallback

    watching = LambdaCallback(on_epoch_end=lambda epoch, logs: calls.append(epoch))
    watched = KerasMLPClassifier(**SMALL, callbacks=[watching]).fit(X, y)
    # TensorFlow trains what somebody watches, and rounds differently.
    for ours, theirs in zip(fitted.coefs_, watched.coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert watched.overfits_after_ == fitted.overfits_after_
    # They see the training, and not the look.
    assert calls == list(range(fitted.epochs_))


def test_sparse_data_give_the_same_number_of_epochs(noisy, fitted):
    X, y, *_ = noisy
    sparse = KerasMLPClassifier(**SMALL).fit(csr_array(X), y)
    assert sparse.epochs_ == fitted.epochs_


def test_a_kept_fit_does_not_look_again(noisy, fitted, tmp_path, monkeypatch):
    X, y, *_ = noisy
    KerasMLPClassifier(**SMALL, memory=tmp_path).fit(X, y)
    monkeypatch.delattr(_training, "_plain_network")
    kept = KerasMLPClassifier(**SMALL, memory=tmp_path).fit(X, y)
    assert bits(kept) == bits(fitted)
    assert (kept.epochs_, kept.overfits_after_) == (
        fitted.epochs_,
        fitted.overfits_after_,
    )


def test_a_saved_classifier_knows_what_was_found(fitted, tmp_path):
    fitted.save(tmp_path / "model.skmnist")
    loaded = KerasMLPClassifier.load(tmp_path / "model.skmnist")
    assert loaded.overfits_after_ == fitted.overfits_after_


def test_in_lanes_company_does_not_matter(noisy):
    from sklearn.model_selection import GridSearchCV

    X, y, *_ = noisy
    small = KerasMLPClassifier(widths=(8,), random_state=0)
    with skmnist.lanes(n=3):
        small.fit(X, y)
        grid = {"learning_rate": [0.008, 0.004, 0.002]}
        search = GridSearchCV(small, grid, cv=[(np.arange(N_ROWS), np.arange(9))])
        search.fit(X, y)
        beside = search.best_estimator_
        again = KerasMLPClassifier(**beside.get_params()).fit(X, y)
    assert bits(beside) == bits(again)
    assert beside.epochs_ == again.epochs_


# ---- its parts ---------------------------------------------------------------------


def test_equal_rows_are_held_out_together_dense_or_sparse():
    rng = np.random.default_rng(0)
    X = np.repeat(rng.integers(0, 3, (300, 4)).astype(float), 2, axis=0)
    y = np.tile([0, 1], 300)
    for seed in range(5):
        held_out = held_out_rows(Rows(X, y, None), seed)
        of_content = dict(zip(map(bytes, X), held_out, strict=True))
        assert [of_content[bytes(row)] for row in X] == held_out.tolist()
        sparse = held_out_rows(Rows(csr_array(X), y, None), seed)
        np.testing.assert_array_equal(sparse, held_out)


def test_another_seed_holds_out_others_and_a_fifth_on_average():
    rows = Rows(np.arange(1000.0).reshape(-1, 1), np.zeros(1000, int), None)
    drawn = np.array([held_out_rows(rows, seed) for seed in range(20)])
    # 20,000 draws with a probability of a fifth: five standard errors are 1.4 points.
    assert abs(drawn.mean() - 0.2) < 0.015
    assert len({row.tobytes() for row in drawn}) == 20


def test_a_class_that_is_not_trained_is_not_held_out():
    X, y = np.arange(400.0).reshape(-1, 1), np.zeros(400, int)
    first = np.flatnonzero(held_out_rows(Rows(X, y, None), 0))[0]
    y[first] = 1
    assert not held_out_rows(Rows(X, y, None), 0)[first]


def test_too_few_held_out_rows_say_nothing():
    # All rows are equal: they are held out together, or not at all.
    rows = Rows(np.ones((300, 2)), np.zeros(300, int), None)
    assert {str(held_out_rows(rows, seed)) for seed in range(20)} == {"None"}


def test_the_order_is_that_of_the_fit_without_the_rows_held_out():
    held_out = np.arange(50) % 5 == 0
    order = OrderOfOthers(7, held_out)(3, 50)
    everything = EpochOrder(7)(3, 50)
    assert order.tolist() == [i for i in everything if i % 5]


def test_a_weight_of_two_is_two_rows(fitted, noisy):
    X, y = noisy[0][:6], noisy[1][:6]
    weights = np.array([1, 2, 1, 3, 1, 1])
    losses = []
    for rows in (
        Rows(X, y, weights),
        Rows(np.repeat(X, weights, axis=0), np.repeat(y, weights), None),
    ):
        callback = HeldOutLosses(rows)
        callback.set_model(Reading(fitted))
        callback.on_epoch_end(0)
        losses += callback.losses_
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


class Reading:
    """What the callback reads of a network in training."""

    def __init__(self, classifier):
        self.current, self.spec = classifier._current_layers, classifier._spec


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [
        # Means of five from 0.5 on; the last is 0.6 and 0.66, so +20 and +32 %.
        ([0.5] * 5 + [0.6] * 5, None),
        ([0.5] * 5 + [0.66] * 5, 3),
        ([0.9, 0.8, 0.5, 0.5, 0.5, 0.5, 0.5, 1, 1, 1, 1, 1], 5),
        ([0.5] * 5 + [np.nan] * 5, None),
        ([0.5] * 5 + [np.inf] * 5, 3),
        (np.linspace(1, 0, 50), None),
        ([0.1, 9.0], None),
    ],
    ids=["a_fifth", "a_third", "middle", "nan", "infinite", "falls", "short"],
)
def test_where_the_loss_turns(losses, epoch):
    assert turning_point(losses) == epoch


def test_epochs_are_never_more_than_all():
    assert [epochs_before(turning, 50) for turning in (None, 3, 25, 40)] == [
        50,
        6,
        50,
        50,
    ]
