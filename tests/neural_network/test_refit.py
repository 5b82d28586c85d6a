"""`refit_on_all`: the second training, and the attributes of the first."""

import copy
import math
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.datasets import load_digits

from skmnist import KerasMLPClassifier
from skmnist.neural_network._data import Rows

# With this high learning rate, validation stops the training after a few epochs.
STOPPING = {
    "depth": 1,
    "widths": 16,
    "batch_size": 32,
    "epochs": 30,
    "learning_rate": 0.1,
    "learning_rate_schedule": "constant",
    "patience": 1,
    "early_stopping": True,
    "min_train_loss": None,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32)[:200], y[:200]


@pytest.fixture(scope="module")
def more_digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32)[200:300], y[200:300]


@pytest.fixture(scope="module")
def first(digits):
    """The first training alone; no test changes it."""
    return KerasMLPClassifier(**STOPPING).fit(*digits)


@pytest.fixture(scope="module")
def refitted(digits):
    """Trained again on all rows; no test changes it."""
    return KerasMLPClassifier(**STOPPING, refit_on_all=True).fit(*digits)


def assert_equal_weights(one, two):
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(one, name), getattr(two, name), strict=True):
            np.testing.assert_array_equal(a, b)


def by_hand(classifier, *data):
    """Train fresh weights for `best_iter_` epochs."""
    again = clone(classifier).set_params(
        early_stopping=False, refit_on_all=False, epochs=classifier.best_iter_
    )
    return again.fit(*data)


def test_it_equals_a_second_fit_made_by_hand(digits, refitted):
    again = by_hand(refitted, *digits)
    assert_equal_weights(refitted, again)
    assert refitted.refit_history_ == again.history_


def test_a_validation_set_of_the_callers_is_trained_on_too(digits, more_digits):
    X_val, y_val = more_digits
    refitted = KerasMLPClassifier(**STOPPING, refit_on_all=True)
    refitted.fit(*digits, X_val=X_val, y_val=y_val)
    both = [np.concatenate(pair) for pair in zip(digits, more_digits, strict=True)]
    assert_equal_weights(refitted, by_hand(refitted, *both))


def test_weights_of_training_and_validation_rows_are_joined(digits, more_digits):
    (X, y), (X_val, y_val) = digits, more_digits
    weights = np.linspace(0.5, 2, len(y))
    refitted = KerasMLPClassifier(**STOPPING, refit_on_all=True)
    refitted.fit(X, y, weights, X_val=X_val, y_val=y_val)
    all_weights = np.concatenate([weights, np.ones(len(y_val))])
    both = np.concatenate([X, X_val]), np.concatenate([y, y_val])
    assert_equal_weights(refitted, by_hand(refitted, *both, all_weights))


def test_rows_without_weights_stay_so():
    rows = Rows(np.zeros((2, 3)), np.zeros(2, np.int32), None)
    assert rows.and_also(rows).sample_weight is None


def test_joined_rows_have_the_type_of_the_first():
    single = Rows(np.zeros((2, 3), np.float32), np.zeros(2, np.int32), None)
    double = Rows(np.ones((1, 3)), np.ones(1, np.int32), np.full(1, 2.0))
    joined = single.and_also(double)
    assert joined.X.dtype == joined.sample_weight.dtype == np.float32
    np.testing.assert_array_equal(joined.sample_weight, [1, 1, 2])
    np.testing.assert_array_equal(joined.X.sum(axis=1), [0, 0, 3])


def test_what_is_said_about_validation_is_that_of_the_first_training(first, refitted):
    assert refitted.history_ == first.history_
    for name in ("n_iter_", "best_iter_", "best_validation_score_", "stop_reason_"):
        assert getattr(refitted, name) == getattr(first, name)
    assert first.refit_history_ is None
    assert refitted.n_iter_ > refitted.best_iter_


def test_the_second_training_lasts_as_long_as_the_best_epoch(refitted):
    assert list(refitted.refit_history_) == ["accuracy", "loss"]
    assert len(refitted.refit_history_["loss"]) == refitted.best_iter_


# A tenth of 200 rows is held out in the first training, none in the second.
def test_the_rows_of_both_trainings_are_counted(refitted):
    assert refitted.t_ == 180 * refitted.n_iter_ + 200 * refitted.best_iter_


# 180 rows are 6 updates per epoch, 200 rows are 7. The schedule spans 30 epochs in both
# trainings.
def test_the_schedule_spans_the_same_epochs(digits):
    schedule = {"learning_rate_schedule": "linear", "warmup_epochs": 2}
    scheduled = KerasMLPClassifier(**STOPPING | schedule, refit_on_all=True)
    optimizer = scheduled.fit(*digits)._network.optimizer
    rate = optimizer.learning_rate
    peak, progress = 0.1, (scheduled.best_iter_ - 2) / 28
    assert int(optimizer.iterations) == 7 * scheduled.best_iter_
    assert float(rate) == pytest.approx(peak * (1 - progress), rel=1e-5)


def test_without_early_stopping_it_changes_nothing(digits):
    settings = {**STOPPING, "early_stopping": False, "epochs": 2}
    plain = KerasMLPClassifier(**settings).fit(*digits)
    asked = KerasMLPClassifier(**settings, refit_on_all=True).fit(*digits)
    assert_equal_weights(plain, asked)
    assert asked.refit_history_ is None


@pytest.mark.parametrize("way", ["pickle", "save"])
def test_training_goes_on_from_the_second_weights(digits, refitted, tmp_path, way):
    if way == "save":
        refitted.save(tmp_path / "model")
        twin = KerasMLPClassifier.load(tmp_path / "model")
    else:
        twin = pickle.loads(pickle.dumps(refitted))
    assert_equal_weights(twin, refitted)
    original = copy.deepcopy(refitted)
    assert_equal_weights(original.partial_fit(*digits), twin.partial_fit(*digits))
    assert original.history_ == twin.history_
    assert original.n_iter_ == refitted.n_iter_ + 1
    assert original.history_["val_loss"][-1] is not None
    assert math.isnan(original.history_["val_loss"][-1])


def test_a_kept_fit_knows_whether_it_was_trained_again(digits, refitted, tmp_path):
    keeping = KerasMLPClassifier(**STOPPING, memory=tmp_path).fit(*digits)
    asked = clone(keeping).set_params(refit_on_all=True)
    assert_equal_weights(asked.fit(*digits), refitted)
    assert_equal_weights(clone(asked).fit(*digits), refitted)
    assert len(list(tmp_path.rglob("*.skmnist"))) == 2


def test_scikit_learns_progress_bar_follows_both_trainings(digits, refitted, capsys):
    watched = clone(refitted).set_callbacks(ProgressBar())
    assert_equal_weights(watched.fit(*digits), refitted)


def test_fresh_weights_and_earlier_weights_exclude_each_other(digits):
    with pytest.raises(ValueError, match="only one of them can be true"):
        KerasMLPClassifier(refit_on_all=True, warm_start=True).fit(*digits)
