"""The validation split, the decision to stop, and the callback for it."""

import math

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from skmnist import KerasMLPClassifier, ValidationEarlyStopping
from skmnist.neural_network._data import draw_seeds
from skmnist.neural_network._early_stopping import (
    StopDecision,
    decide_stop,
    split_validation,
)

NAN = math.nan


def reason(loss, val_loss, **rule):
    return decide_stop({"loss": loss, "val_loss": val_loss}, **rule).reason


def best_epoch(val_loss, **rule):
    loss = [1.0] * len(val_loss)
    return decide_stop({"loss": loss, "val_loss": val_loss}, **rule).best_epoch


@pytest.mark.parametrize(
    ("val_loss", "rule", "stops"),
    [
        ([0.5], {}, False),
        ([0.5, 0.4], {}, False),
        ([0.5, 0.6], {}, True),
        ([0.5, 0.5], {}, True),
        ([0.5, 0.6], {"patience": 2}, False),
        ([0.5, 0.6, 0.6], {"patience": 2}, True),
        # After an improvement, counting starts again.
        ([0.5, 0.6, 0.4, 0.6], {"patience": 2}, False),
        # An epoch can be better than the one before, but not better than the best.
        ([0.5, 0.7, 0.6], {"patience": 2}, True),
        ([0.5, 0.45], {"min_delta": 0.1}, True),
        ([0.5, 0.35], {"min_delta": 0.1}, False),
        # The margin counts from the best epoch, not from the one before.
        ([0.5, 0.45, 0.38], {"min_delta": 0.1, "patience": 2}, False),
        ([NAN], {}, True),
        ([NAN], {"patience": 2}, False),
        ([0.5, NAN], {}, True),
        ([NAN, 0.5], {"patience": 2}, False),
        ([math.inf], {}, True),
    ],
)
def test_patience_decides_from_the_validation_loss(val_loss, rule, stops):
    stopped = reason([1.0] * len(val_loss), val_loss, **rule) is not None
    assert stopped == stops


@pytest.mark.parametrize(
    ("val_loss", "rule", "best"),
    [
        ([0.5, 0.4, 0.6], {}, 1),
        ([0.5, 0.5], {}, 0),
        ([0.5, 0.45], {"min_delta": 0.1}, 0),
        ([NAN, NAN], {}, None),
        ([NAN, 0.5, NAN], {}, 1),
        ([NAN, 0.5], {"min_delta": 0.1}, 1),
    ],
)
def test_the_best_epoch_is_the_last_that_improved(val_loss, rule, best):
    assert best_epoch(val_loss, **rule) == best


def test_the_reason_names_the_curve_and_the_patience():
    assert reason([1, 1], [0.5, 0.6]) == "val_loss has not improved for 1 epoch"
    assert "2 epochs" in reason([1, 1, 1], [0.5, 0.6, 0.7], patience=2)


@pytest.mark.parametrize(
    ("loss", "rule", "stops"),
    [
        (5e-4, {}, True),
        (2e-3, {}, False),
        (2e-3, {"min_train_loss": 1e-2}, True),
        (1e-9, {"min_train_loss": None}, False),
        (NAN, {}, False),
    ],
)
def test_a_very_small_training_loss_stops(loss, rule, stops):
    said = reason([loss], [0.5], **rule)
    assert (said is not None and "training loss" in said) == stops


@pytest.mark.parametrize(
    ("accuracy", "max_gap", "stops"),
    [
        (0.96, 0.05, True),
        (0.94, 0.05, False),
        (0.99, None, False),
        (0.80, 0.05, False),
    ],
)
def test_accuracies_that_part_stop(accuracy, max_gap, stops):
    history = {
        "loss": [0.1],
        "val_loss": [0.1],
        "accuracy": [accuracy],
        "val_accuracy": [0.9],
    }
    said = decide_stop(history, max_gap=max_gap).reason
    assert (said is not None and "accuracy differ" in said) == stops


def test_accuracy_is_maximized():
    history = {"loss": [1, 1, 1], "val_accuracy": [0.5, 0.7, 0.6]}
    decision = decide_stop(history, monitor="val_accuracy")
    assert decision == StopDecision("val_accuracy has not improved for 1 epoch", 1)


def test_an_unknown_curve_is_named_with_those_there_are():
    with pytest.raises(KeyError, match=r"'val_acuracy'.*loss, val_loss"):
        decide_stop({"loss": [1], "val_loss": [1]}, monitor="val_acuracy")


def test_a_gap_without_accuracies_is_an_error():
    with pytest.raises(KeyError, match="max_gap needs"):
        decide_stop({"loss": [1], "val_loss": [1]}, max_gap=0.1)


def test_the_decision_leaves_the_history_alone():
    history = {"loss": [1, 1], "val_loss": [0.5, 0.6]}
    decide_stop(history)
    assert history == {"loss": [1, 1], "val_loss": [0.5, 0.6]}


@pytest.fixture(scope="module")
def labels():
    return np.random.default_rng(0).choice(4, size=203, p=[0.5, 0.3, 0.15, 0.05])


@pytest.mark.parametrize("seed", range(5))
def test_the_parts_are_disjoint_and_together_all_rows(labels, seed):
    parts = split_validation(labels, 0.2, random_state=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(203))


# A stratified draw rounds the share of each class up or down.
@pytest.mark.parametrize("seed", range(5))
def test_every_class_is_held_out_in_its_proportion(labels, seed):
    _, held_out = split_validation(labels, 0.2, random_state=seed)
    counts = np.bincount(labels[held_out], minlength=4)
    assert np.all(np.abs(counts - 0.2 * np.bincount(labels)) <= 1)


def test_the_held_out_part_has_the_size_asked_for(labels):
    _, held_out = split_validation(labels, 0.2, random_state=0)
    assert len(held_out) == 41  # 0.2 * 203, rounded up


def test_the_same_seed_draws_the_same_rows(labels):
    one, two = (split_validation(labels, 0.2, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(one[1], two[1])


def test_another_seed_draws_other_rows(labels):
    one, two = (split_validation(labels, 0.2, random_state=s) for s in (3, 4))
    assert np.any(one[1] != two[1])


def test_the_row_numbers_are_ascending(labels):
    for part in split_validation(labels, 0.2, random_state=0):
        assert np.all(np.diff(part) > 0)


def test_a_class_with_a_single_member_is_split_without_strata():
    y = np.array([0] * 20 + [1])
    train, held_out = split_validation(y, 0.2, random_state=0)
    assert (len(train), len(held_out)) == (16, 5)


def test_fewer_held_out_rows_than_classes_are_drawn_without_strata():
    y = np.repeat(np.arange(10), 2)
    train, held_out = split_validation(y, 0.1, random_state=0)
    assert (len(train), len(held_out)) == (18, 2)


def test_too_few_rows_to_split_is_an_error():
    with pytest.raises(ValueError, match="validation_split=0.1 of 1 samples"):
        split_validation(np.array([0]), 0.1, random_state=0)


class Scripted:
    """A model whose weights are the number of the epoch it is in."""

    def __init__(self):
        self.stop_training = False
        self.weights = None

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


def run(callback, val_losses, losses=None):
    """Call the callback as in a training with these curves; return the model."""
    model = Scripted()
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, val_loss in enumerate(val_losses):
        model.weights = epoch
        loss = 1.0 if losses is None else losses[epoch]
        callback.on_epoch_end(epoch, {"loss": loss, "val_loss": val_loss})
        if model.stop_training:
            break
    callback.on_train_end()
    return model


def test_the_callback_stops_the_model():
    callback = ValidationEarlyStopping()
    assert run(callback, [0.5, 0.6, 0.1]).stop_training
    assert callback.stop_reason_ == "val_loss has not improved for 1 epoch"


def test_the_callback_gives_the_best_weights_back():
    callback = ValidationEarlyStopping(patience=2)
    assert run(callback, [0.5, 0.4, 0.6, 0.7]).weights == 1
    assert callback.best_epoch_ == 1


def test_the_callback_restores_also_when_nothing_stopped_the_training():
    callback = ValidationEarlyStopping(patience=3)
    model = run(callback, [0.5, 0.4, 0.6])
    assert (model.stop_training, model.weights) == (False, 1)


def test_the_callback_keeps_the_last_weights_where_told_so():
    callback = ValidationEarlyStopping(restore_best_weights=False)
    assert run(callback, [0.5, 0.6]).weights == 1


def test_the_callback_keeps_the_last_weights_where_no_epoch_was_finite():
    callback = ValidationEarlyStopping(patience=2)
    assert run(callback, [NAN, NAN]).weights == 1
    assert callback.best_epoch_ is None


def test_the_callback_stops_by_the_training_loss():
    callback = ValidationEarlyStopping(min_train_loss=0.1)
    run(callback, [0.5, 0.4, 0.3], losses=[1.0, 0.05, 0.01])
    assert callback.stop_reason_ == "the training loss is below 0.1"


def test_the_callback_forgets_an_earlier_training():
    callback = ValidationEarlyStopping()
    run(callback, [0.1, 0.2])
    assert not run(callback, [0.5, 0.4]).stop_training
    assert (callback.best_epoch_, callback.stop_reason_) == (1, None)


def test_the_callback_works_with_any_keras_model():
    X = np.random.default_rng(0).random((20, 2), dtype=np.float32)
    y = np.arange(20) % 2
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    # No change counts as an improvement: the first epoch stays the best.
    callback = ValidationEarlyStopping(min_delta=10.0, patience=2)
    seen = []
    spy = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(model.get_weights())
    )
    model.fit(X, y, 20, 9, 0, [callback, spy], validation_data=(X, y))
    assert len(seen) == 3
    for kept, first in zip(model.get_weights(), seen[0], strict=True):
        np.testing.assert_array_equal(kept, first)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32)[:300], y[:300]


# With this learning rate the validation loss soon rises.
RISING = {
    "depth": 1,
    "widths": 16,
    "batch_size": 32,
    "learning_rate": 0.05,
    "learning_rate_schedule": "constant",
    "min_train_loss": None,
    "batch_normalization": True,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def stopped(digits):
    """A classifier that was stopped by a validation set from the caller."""
    X, y = digits
    classifier = KerasMLPClassifier(
        **RISING, epochs=30, early_stopping=True, patience=3
    )
    return classifier.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])


def assert_equal_networks(one, two):
    for a, b in zip(one.model_.weights, two.model_.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_the_stopped_classifier_trained_beyond_its_best_epoch(stopped):
    assert stopped.best_iter_ == stopped.n_iter_ - 3 < 27


def test_restore_equals_rerun(digits, stopped):
    X, y = digits
    rerun = KerasMLPClassifier(
        **RISING, epochs=stopped.best_iter_, early_stopping=False
    )
    assert_equal_networks(stopped, rerun.fit(X[:200], y[:200]))


def test_watching_a_validation_set_does_not_change_the_training(digits, stopped):
    X, y = digits
    watched = KerasMLPClassifier(
        **RISING, epochs=stopped.best_iter_, early_stopping=False
    )
    watched.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    assert_equal_networks(stopped, watched)


def test_the_split_inside_equals_a_validation_set_of_the_same_rows(digits):
    X, y = digits
    settings = {**RISING, "epochs": 3, "early_stopping": True}
    inside = KerasMLPClassifier(**settings, validation_split=1 / 3).fit(X, y)
    train, held_out = split_validation(y, 1 / 3, random_state=draw_seeds(0)["split"])
    outside = KerasMLPClassifier(**settings)
    outside.fit(X[train], y[train], X_val=X[held_out], y_val=y[held_out])
    assert_equal_networks(inside, outside)
