"""`KerasMLPClassifier`, as scikit-learn and its users see it."""

import copy
import inspect
import math
import pickle
import random
import re
from typing import get_type_hints

import joblib
import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import csr_matrix
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold, check_cv
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from training import SMALL

from skmnist import KerasMLPClassifier
from skmnist._archive import read_archive
from skmnist.neural_network import split_validation
from skmnist.neural_network._data import draw_seeds
from skmnist.neural_network._inference import forward
from skmnist.neural_network.keras_side import _network
from skmnist.neural_network.keras_side._network import network_layers


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32)[:200], y[:200]


@pytest.fixture(scope="module")
def more_digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32)[200:500], y[200:500]


@pytest.fixture(scope="module")
def fitted(digits):
    """A fitted classifier that no test changes."""
    return KerasMLPClassifier(**SMALL).fit(*digits)


@pytest.fixture(scope="module")
def binary(digits):
    """A classifier of even and odd digits that no test changes."""
    X, y = digits
    return KerasMLPClassifier(**SMALL).fit(X, np.where(y % 2, "odd", "even"))


@pytest.fixture(scope="module")
def validated(digits, more_digits):
    """A classifier that was stopped by a validation set; no test changes it."""
    settings = {**SMALL, "epochs": 40, "learning_rate": 0.1, "min_train_loss": None}
    X_val, y_val = more_digits
    return KerasMLPClassifier(**settings, patience=2).fit(
        *digits, X_val=X_val, y_val=y_val
    )


def assert_equal_weights(one, two):
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(one, name), getattr(two, name), strict=True):
            np.testing.assert_array_equal(a, b)


def assert_close_weights(one, two, **tolerance):
    for a, b in zip(one.coefs_, two.coefs_, strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


# ---- what a fitted classifier gives ------------------------------------------------


def test_it_learns(digits, more_digits):
    learned = KerasMLPClassifier(**{**SMALL, "epochs": 40, "learning_rate": 0.01})
    assert learned.fit(*digits).score(*more_digits) > 0.85


def test_fit_returns_the_classifier(digits):
    unfitted = KerasMLPClassifier(**SMALL)
    assert unfitted.fit(*digits) is unfitted


def test_shapes_of_the_predictions(digits, fitted):
    X, _ = digits
    assert fitted.predict(X).shape == (200,)
    assert fitted.predict_proba(X).shape == (200, 10)
    assert fitted.predict_log_proba(X).shape == (200, 10)


def test_one_row_keeps_its_dimension(digits, fitted):
    assert fitted.predict_proba(digits[0][:1]).shape == (1, 10)


def test_probabilities_of_a_row_sum_to_one(digits, fitted):
    np.testing.assert_allclose(fitted.predict_proba(digits[0]).sum(axis=1), 1, 1e-6)


def test_log_probabilities_are_their_logarithms(digits, fitted):
    X, _ = digits
    np.testing.assert_allclose(
        fitted.predict_log_proba(X), np.log(fitted.predict_proba(X)), rtol=1e-6
    )


def test_the_logarithm_of_a_probability_of_zero_is_finite(fitted):
    far = np.full((1, 64), 1e6, dtype=np.float32)
    assert fitted.predict_proba(far).min() == 0
    assert np.all(np.isfinite(fitted.predict_log_proba(far)))


def test_predictions_are_the_most_probable_classes(digits, fitted):
    X, _ = digits
    expected = fitted.classes_[fitted.predict_proba(X).argmax(axis=1)]
    np.testing.assert_array_equal(fitted.predict(X), expected)


def test_probabilities_follow_from_coefs_and_intercepts(digits, fitted):
    X, _ = digits
    (W1, W2), (b1, b2) = fitted.coefs_, fitted.intercepts_
    scores = np.exp(np.maximum(X @ W1 + b1, 0) @ W2 + b2)
    expected = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-4)


def test_two_classes_have_two_columns_that_sum_to_one(digits, binary):
    probabilities = binary.predict_proba(digits[0])
    assert probabilities.shape == (200, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, 1e-6)


# The one output unit is the probability of the second class.
def test_two_classes_are_told_apart_in_their_order(digits, binary):
    X, _ = digits
    (W1, W2), (b1, b2) = binary.coefs_, binary.intercepts_
    z = np.maximum(X @ W1 + b1, 0) @ W2 + b2
    expected = np.where(z[:, 0] > 0, "odd", "even")
    np.testing.assert_array_equal(binary.predict(X), expected)
    assert len(set(expected)) == 2


def test_what_is_learned_about_the_network(fitted, binary):
    assert (fitted.n_outputs_, fitted.out_activation_) == (10, "softmax")
    assert (binary.n_outputs_, binary.out_activation_) == (1, "logistic")
    assert fitted.n_layers_ == 3
    assert fitted.n_parameters_ == 64 * 16 + 16 + 16 * 10 + 10


def test_what_is_learned_about_the_data(digits, fitted):
    np.testing.assert_array_equal(fitted.classes_, np.arange(10))
    assert fitted.n_features_in_ == 64


def attributes_in_docstring():
    doc = inspect.cleandoc(KerasMLPClassifier.__doc__)
    section = doc.partition("Attributes\n----------\n")[2].partition("\n\n")[0]
    return re.findall(r"^(\w+) : ", section, re.MULTILINE)


# Type checkers and editors know what a fit learns only if it is declared.
def test_all_that_is_learned_is_declared_and_documented(fitted):
    declared = {n for n in get_type_hints(KerasMLPClassifier) if n.endswith("_")}
    properties = {"coefs_", "intercepts_", "keras_classifier_", "model_"}
    assert declared | properties == set(attributes_in_docstring())
    learned = {name for name in vars(fitted) if name.endswith("_")}
    assert declared == learned | {"feature_names_in_"}
    assert all(hasattr(fitted, name) for name in properties)
    assert not any(hasattr(KerasMLPClassifier(), name) for name in declared)


METHODS = [
    "__init__",
    "fit",
    "load",
    "partial_fit",
    "predict",
    "predict_log_proba",
    "predict_proba",
    "save",
    "set_params",
]


@pytest.mark.parametrize("name", METHODS)
def test_every_parameter_of_a_method_has_a_type(name):
    method = getattr(KerasMLPClassifier, name)
    names = set(inspect.signature(method).parameters) - {"self"}
    returned = set() if name == "__init__" else {"return"}
    assert set(method.__annotations__) == names | returned


def test_feature_names_are_kept(digits):
    pandas = pytest.importorskip("pandas")
    X, y = digits
    names = [f"pixel{i}" for i in range(64)]
    named = KerasMLPClassifier(**SMALL).fit(pandas.DataFrame(X, columns=names), y)
    assert list(named.feature_names_in_) == names


def test_depth_zero_is_a_linear_classifier(digits):
    linear = KerasMLPClassifier(**{**SMALL, "depth": 0, "optimizer": "sgd"})
    assert [W.shape for W in linear.fit(*digits).coefs_] == [(64, 10)]


# ---- labels ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rename",
    [
        lambda y: np.array([f"digit {i}" for i in y]),
        lambda y: np.array([f"digit {i}" for i in y], dtype=object),
        lambda y: y.astype(np.int64) * 3 - 20,
        lambda y: y.astype(np.float64),
        lambda y: y.astype(np.uint8),
    ],
    ids=["str", "object", "negative", "float", "uint8"],
)
def test_labels_of_any_type_come_back(digits, fitted, rename):
    X, y = digits
    renamed = KerasMLPClassifier(**SMALL).fit(X, rename(y))
    assert renamed.classes_.dtype == rename(y).dtype
    np.testing.assert_array_equal(renamed.predict(X), rename(fitted.predict(X)))


def test_bool_labels_come_back(digits, binary):
    X, y = digits
    odd = KerasMLPClassifier(**SMALL).fit(X, y % 2 == 1)
    assert odd.classes_.dtype == bool
    np.testing.assert_array_equal(odd.predict(X), binary.predict(X) == "odd")


# ---- types and sparse data ---------------------------------------------------------


def test_float32_gives_a_float32_network(digits, fitted):
    assert {W.dtype for W in fitted.coefs_} == {np.dtype(np.float32)}
    assert fitted.predict_proba(digits[0]).dtype == np.float32


def test_float64_gives_a_float64_network(digits):
    X, y = digits
    double = KerasMLPClassifier(**SMALL).fit(X.astype(np.float64), y)
    assert {W.dtype for W in double.coefs_} == {np.dtype(np.float64)}
    assert double.predict_proba(X).dtype == np.float64


# Differences below the resolution of float32 must not be rounded away.
def test_float64_data_are_not_rounded_to_float32():
    X = 1 + np.array([[-1e-9], [1e-9]] * 10)
    y = np.tile([0, 1], 10)
    fine = KerasMLPClassifier(0, optimizer="sgd", learning_rate=1, epochs=1).fit(X, y)
    first, second = fine.predict_proba(X[:2])[:, 1]
    assert first != second


def test_integers_become_float64(digits):
    X, y = digits
    pixels = (X * 16).astype(np.uint8)
    assert KerasMLPClassifier(**SMALL).fit(pixels, y).coefs_[0].dtype == np.float64


def test_sparse_equals_dense(digits, fitted):
    X, y = digits
    sparse = KerasMLPClassifier(**SMALL).fit(csr_matrix(X), y)
    assert_equal_weights(sparse, fitted)
    np.testing.assert_array_equal(
        sparse.predict_proba(csr_matrix(X)), fitted.predict_proba(X)
    )


# ---- weights of samples and classes ------------------------------------------------


@pytest.fixture(scope="module")
def full_batch():
    """Data in a single batch, so that the order of the rows changes nothing."""
    X, y = load_digits(return_X_y=True)
    unfitted = KerasMLPClassifier(
        1,
        6,
        optimizer="sgd",
        learning_rate=0.5,
        batch_size=100,
        epochs=5,
        random_state=0,
    )
    return X[:49] / 16, y[:49], unfitted


def test_a_weight_of_two_is_a_repeated_row(full_batch):
    X, y, unfitted = full_batch
    weights = np.ones(49)
    weights[7] = 2
    weighted = clone(unfitted).fit(X, y, weights)
    repeated = clone(unfitted).fit(np.vstack([X, X[7]]), np.append(y, y[7]))
    assert_close_weights(weighted, repeated, rtol=1e-6, atol=1e-9)


def test_weights_keep_the_precision_of_float64(full_batch):
    # float32 cannot hold 1/3. With rounded weights, one row and three rows of a third
    # each would differ in the eighth digit.
    X, y, unfitted = full_batch
    one = clone(unfitted).fit(X[:33], y[:33], np.append(1.0, np.full(32, 1 / 3)))
    rows = np.append([0, 0, 0], np.arange(1, 33))
    three = clone(unfitted).fit(X[rows], y[rows], np.full(35, 1 / 3))
    assert_close_weights(one, three, rtol=1e-11, atol=1e-13)


def test_a_weight_of_zero_is_an_absent_row(full_batch):
    X, y, unfitted = full_batch
    weights = np.append(np.ones(49), 0)
    # Without its weight of 0, this row would change the result.
    weighted = clone(unfitted).fit(np.vstack([X, 1 - X[7]]), np.append(y, 0), weights)
    absent = clone(unfitted).fit(X, y)
    assert_close_weights(weighted, absent, rtol=1e-6, atol=1e-9)


def test_all_weights_times_a_constant_change_nothing(full_batch):
    X, y, unfitted = full_batch
    weights = np.random.default_rng(0).uniform(0.5, 2, 49)
    one = clone(unfitted).fit(X, y, weights)
    four = clone(unfitted).fit(X, y, 4 * weights)
    assert_close_weights(one, four, rtol=1e-6, atol=1e-9)


def test_a_class_without_weight_is_never_predicted(digits):
    X, y = digits
    weights = (y != 4).astype(float)
    settings = {**SMALL, "epochs": 40, "learning_rate": 0.01}
    learned = KerasMLPClassifier(**settings).fit(X, y, weights)
    rest = y != 4
    assert 4 not in learned.predict(X)
    assert learned.score(X[rest], y[rest]) > 0.95


def test_class_weights_are_sample_weights(digits):
    X, y = digits
    by_class = KerasMLPClassifier(**SMALL, class_weight={3: 5.0}).fit(X, y)
    by_sample = KerasMLPClassifier(**SMALL).fit(X, y, np.where(y == 3, 5.0, 1.0))
    assert_equal_weights(by_class, by_sample)


def test_class_and_sample_weights_multiply(digits):
    X, y = digits
    weights = np.linspace(0.5, 2, 200)
    both = KerasMLPClassifier(**SMALL, class_weight={3: 5.0}).fit(X, y, weights)
    product = KerasMLPClassifier(**SMALL)
    product.fit(X, y, weights * np.where(y == 3, 5.0, 1.0))
    assert_close_weights(both, product, rtol=1e-4, atol=1e-6)


def test_balanced_class_weights_even_out_the_classes(digits):
    X, y = digits
    balanced = KerasMLPClassifier(**SMALL, class_weight="balanced").fit(X, y)
    by_sample = KerasMLPClassifier(**SMALL)
    by_sample.fit(X, y, compute_sample_weight("balanced", y))
    assert_equal_weights(balanced, by_sample)


def test_class_weights_name_the_callers_labels(digits):
    X, y = digits
    names = np.array([f"digit {i}" for i in y])
    by_name = KerasMLPClassifier(**SMALL, class_weight={"digit 3": 5.0}).fit(X, names)
    by_sample = KerasMLPClassifier(**SMALL).fit(X, y, np.where(y == 3, 5.0, 1.0))
    assert_equal_weights(by_name, by_sample)


def test_fitting_changes_nothing_of_the_callers(digits):
    X, y = (array.copy() for array in digits)
    weights, class_weight = np.ones(200), {3: 5.0}
    KerasMLPClassifier(**SMALL, class_weight=class_weight).fit(X, y, weights)
    np.testing.assert_array_equal(X, digits[0])
    np.testing.assert_array_equal(y, digits[1])
    np.testing.assert_array_equal(weights, np.ones(200))
    assert class_weight == {3: 5.0}


# ---- seeds -------------------------------------------------------------------------


def test_the_same_seed_gives_equal_weights(digits, fitted):
    assert_equal_weights(KerasMLPClassifier(**SMALL).fit(*digits), fitted)


def test_another_fit_between_changes_nothing(digits, fitted):
    X, y = digits
    KerasMLPClassifier(**{**SMALL, "random_state": 1}).fit(X[::-1], y)
    assert_equal_weights(KerasMLPClassifier(**SMALL).fit(X, y), fitted)


def test_another_seed_gives_other_weights(digits, fitted):
    other = KerasMLPClassifier(**{**SMALL, "random_state": 1}).fit(*digits)
    assert np.all(other.coefs_[0] != fitted.coefs_[0])


def test_a_generator_is_accepted_as_seed(digits):
    one, two = (
        KerasMLPClassifier(**{**SMALL, "random_state": np.random.RandomState(3)})
        for _ in range(2)
    )
    assert_equal_weights(one.fit(*digits), two.fit(*digits))


def test_without_a_seed_every_fit_is_another(digits):
    unseeded = KerasMLPClassifier(**{**SMALL, "random_state": None})
    first = unseeded.fit(*digits).coefs_[0]
    assert np.all(first != unseeded.fit(*digits).coefs_[0])


@pytest.fixture
def global_seeds():
    """Let a test seed the global generators; put Python's and NumPy's back."""
    states = random.getstate(), np.random.get_state()
    yield keras.utils.set_random_seed
    random.setstate(states[0])
    np.random.set_state(states[1])


def draws():
    """Draw once from every global generator."""
    return (
        random.random(),
        np.random.random(),
        float(tf.random.uniform([])),
        float(keras.random.uniform(())),
    )


@pytest.mark.parametrize("random_state", [0, None])
def test_fitting_leaves_all_global_generators_alone(digits, global_seeds, random_state):
    settings = {**SMALL, "dropout": 0.5, "random_state": random_state}
    global_seeds(3)
    expected = draws()
    global_seeds(3)
    KerasMLPClassifier(**settings).fit(*digits).predict(digits[0])
    assert draws() == expected


# ---- validation and stopping -------------------------------------------------------


def test_curves_have_one_value_per_epoch(fitted, validated):
    assert len(fitted.loss_curve_) == fitted.n_iter_ == 2
    for curve in (validated.validation_loss_curve_, validated.validation_scores_):
        assert len(curve) == validated.n_iter_


def test_without_validation_there_are_no_validation_curves(fitted):
    assert fitted.validation_loss_curve_ is None
    assert fitted.validation_scores_ is None
    assert fitted.best_validation_score_ is None


def test_a_validation_set_stops_the_training(validated):
    assert validated.n_iter_ < 40
    assert validated.stop_reason_ == "val_loss has not improved for 2 epochs"


def test_the_best_epoch_has_the_lowest_validation_loss(validated):
    best = int(np.argmin(validated.validation_loss_curve_))
    assert validated.best_iter_ == best + 1 == validated.n_iter_ - 2


def test_the_best_validation_score_is_that_of_the_weights_kept(validated, more_digits):
    assert validated.best_validation_score_ == pytest.approx(
        validated.score(*more_digits)
    )
    assert (
        validated.best_validation_score_
        == validated.validation_scores_[validated.best_iter_ - 1]
    )


def test_the_last_weights_are_kept_where_told_so(digits, more_digits, validated):
    settings = {**validated.get_params(), "restore_best_weights": False}
    X_val, y_val = more_digits
    last = KerasMLPClassifier(**settings).fit(*digits, X_val=X_val, y_val=y_val)
    assert last.best_iter_ == last.n_iter_ == validated.n_iter_
    assert last.best_validation_score_ == pytest.approx(last.score(X_val, y_val))


def test_without_stopping_all_epochs_are_trained(fitted):
    assert fitted.stop_reason_ == "all 2 epochs are trained"
    assert fitted.best_iter_ == fitted.n_iter_ == 2
    assert fitted.best_loss_ == min(fitted.loss_curve_)
    assert fitted.loss_ == fitted.loss_curve_[-1]


def test_a_very_small_training_loss_stops(digits, more_digits):
    X_val, y_val = more_digits
    small = KerasMLPClassifier(**{**SMALL, "epochs": 40, "min_train_loss": 100.0})
    small.fit(*digits, X_val=X_val, y_val=y_val)
    assert (small.n_iter_, small.stop_reason_) == (1, "the training loss is below 100")


def test_validation_rows_are_held_out_of_the_training(digits):
    held_out = KerasMLPClassifier(**SMALL, early_stopping=True, validation_split=0.5)
    assert held_out.fit(*digits).t_ == 100 * held_out.n_iter_


def test_a_validation_set_is_watched_without_stopping(digits, more_digits, fitted):
    X_val, y_val = more_digits
    watched = KerasMLPClassifier(**SMALL, early_stopping=False)
    watched.fit(*digits, X_val=X_val, y_val=y_val)
    assert_equal_weights(watched, fitted)
    assert watched.validation_scores_[-1] == pytest.approx(fitted.score(X_val, y_val))


# A validation row of weight 2 counts as two equal rows.
def test_validation_rows_can_carry_weights(digits, more_digits):
    X_val, y_val = more_digits
    weights = np.ones(300)
    weights[:50] = 2
    weighted, repeated = (
        KerasMLPClassifier(**SMALL, early_stopping=False) for _ in range(2)
    )
    weighted.fit(*digits, X_val=X_val, y_val=y_val, sample_weight_val=weights)
    twice = np.r_[0:50, 0:300]
    repeated.fit(*digits, X_val=X_val[twice], y_val=y_val[twice])
    np.testing.assert_allclose(
        weighted.validation_loss_curve_, repeated.validation_loss_curve_, rtol=1e-5
    )


def test_auto_stops_early_only_with_validation_data_of_the_caller():
    X = np.random.default_rng(0).random((20_000, 2), dtype=np.float32)
    y = (X[:, 0] > 0.5).astype(int)
    auto = KerasMLPClassifier(0, optimizer="sgd", batch_size=5000, epochs=1).fit(X, y)
    assert auto.validation_scores_ is None
    auto.fit(X, y, X_val=X[:10], y_val=y[:10])
    assert len(auto.validation_scores_) == 1


# Then a class is missing in the training rows. The others must keep their numbers.
def test_a_class_that_is_held_out_as_a_whole_is_no_trouble(digits):
    X, y = digits
    only = np.flatnonzero(y == 1)[0]
    alone = np.where(np.arange(200) == only, 1, y * (y != 1))
    split = draw_seeds(1)["split"]
    assert only in split_validation(alone, 0.5, random_state=split)[1]
    settings = {**SMALL, "epochs": 30, "learning_rate": 0.01, "random_state": 1}
    learned = KerasMLPClassifier(
        **settings, early_stopping=True, validation_split=0.5, patience=30
    ).fit(X, alone)
    rest = alone != 1
    assert learned.score(X[rest], alone[rest]) > 0.8


# ---- going on ----------------------------------------------------------------------


def test_partial_fit_equals_fit_epoch_by_epoch(digits, fitted):
    in_parts = KerasMLPClassifier(**SMALL)
    for _ in range(2):
        in_parts.partial_fit(*digits)
    assert_equal_weights(in_parts, fitted)
    assert in_parts.history_ == fitted.history_
    assert (in_parts.n_iter_, in_parts.t_) == (2, fitted.t_) == (2, 400)


def test_a_warm_start_goes_on(digits):
    warm = KerasMLPClassifier(**SMALL, warm_start=True)
    warm.fit(*digits).fit(*digits)
    at_once = KerasMLPClassifier(**{**SMALL, "epochs": 4}).fit(*digits)
    assert warm.n_iter_ == 4
    assert_equal_weights(warm, at_once)


def test_without_a_warm_start_fit_begins_anew(digits, fitted):
    again = copy.deepcopy(fitted).fit(*digits)
    assert (again.n_iter_, again.t_) == (2, 400)
    assert_equal_weights(again, fitted)


def test_partial_fit_learns_classes_that_come_later(digits):
    X, y = digits
    first = y < 5
    settings = {**SMALL, "learning_rate": 0.01}
    learned = KerasMLPClassifier(**settings)
    learned.partial_fit(X[first], y[first], classes=np.arange(10))
    for _ in range(40):
        learned.partial_fit(X, y)
    assert learned.score(X, y) > 0.95


def test_partial_fit_refuses_classes_it_was_not_told_of(digits, fitted):
    X, y = digits
    with pytest.raises(ValueError, match="not among the classes: 10"):
        copy.deepcopy(fitted).partial_fit(X, y + 1)


# Each curve has one value per epoch, with and without validation data.
def test_epochs_without_validation_leave_gaps_in_its_curves(digits, more_digits):
    X_val, y_val = more_digits
    warm = KerasMLPClassifier(**SMALL, warm_start=True, early_stopping=False)
    warm.fit(*digits)
    warm.fit(*digits, X_val=X_val, y_val=y_val)
    warm.partial_fit(*digits)
    known = ~np.isnan(warm.validation_scores_)
    np.testing.assert_array_equal(known, [False, False, True, True, False])
    assert math.isnan(warm.best_validation_score_)


def test_the_best_epoch_counts_from_the_first_fit(digits, more_digits):
    X_val, y_val = more_digits
    warm = KerasMLPClassifier(**SMALL, warm_start=True)
    warm.fit(*digits)
    warm.set_params(epochs=30, learning_rate=0.1, min_train_loss=None)
    warm.fit(*digits, X_val=X_val, y_val=y_val)
    best = int(np.nanargmin(warm.validation_loss_curve_))
    assert warm.best_iter_ == best + 1 > 2
    assert warm.best_validation_score_ == pytest.approx(warm.score(X_val, y_val))


def test_a_float32_network_goes_on_with_float64_data(digits):
    X, y = digits
    single, mixed = (KerasMLPClassifier(**SMALL).fit(X, y) for _ in range(2))
    single.partial_fit(X, y)
    mixed.partial_fit(X.astype(np.float64), y)
    assert_equal_weights(single, mixed)


# ---- copies ------------------------------------------------------------------------


def through_pickle(estimator, path):
    return pickle.loads(pickle.dumps(estimator))


def through_joblib(estimator, path):
    joblib.dump(estimator, path)
    return joblib.load(path)


def through_deepcopy(estimator, path):
    return copy.deepcopy(estimator)


COPIES = pytest.mark.parametrize(
    "duplicate", [through_pickle, through_joblib, through_deepcopy]
)


@COPIES
def test_a_copy_predicts_the_same(digits, fitted, tmp_path, duplicate):
    twin = duplicate(fitted, tmp_path / "dump")
    np.testing.assert_array_equal(
        twin.predict_proba(digits[0]), fitted.predict_proba(digits[0])
    )


@COPIES
def test_a_copy_goes_on_by_itself(digits, fitted, tmp_path, duplicate):
    twin = duplicate(fitted, tmp_path / "dump")
    before = fitted.coefs_[0].copy()
    twin.partial_fit(*digits)
    at_once = KerasMLPClassifier(**{**SMALL, "epochs": 3}).fit(*digits)
    assert_equal_weights(twin, at_once)
    np.testing.assert_array_equal(fitted.coefs_[0], before)


def test_a_clone_is_unfitted(digits, fitted):
    unfitted = clone(fitted)
    assert unfitted.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        unfitted.predict(digits[0])


def test_a_classifier_whose_fit_failed_can_be_pickled(digits):
    failed = KerasMLPClassifier(**SMALL | {"learning_rate": 1e30})
    with pytest.raises(FloatingPointError):
        failed.fit(*digits)
    again = pickle.loads(pickle.dumps(failed)).set_params(learning_rate=None)
    assert_equal_weights(again.fit(*digits), KerasMLPClassifier(**SMALL).fit(*digits))


# ---- callbacks ---------------------------------------------------------------------

SEEN = []


class Notes(keras.callbacks.Callback):
    """Adds itself, and what it kept from earlier fits, to a global list."""

    def on_train_begin(self, logs=None):
        SEEN.append((self, list(vars(self).get("kept", []))))
        self.kept = ["something"]


@pytest.fixture
def notes():
    SEEN.clear()
    yield SEEN
    SEEN.clear()


def test_every_fit_works_on_copies_of_the_callbacks(digits, notes):
    given = Notes()
    noted = KerasMLPClassifier(**SMALL, callbacks=[given])
    noted.fit(*digits).fit(*digits)
    (first, _), (second, kept) = notes
    assert first is not second and given not in (first, second)
    assert kept == [] and given.model is None


def test_a_callback_that_has_served_before_comes_without_its_network(digits, notes):
    given = Notes()
    given.set_model(keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]))
    KerasMLPClassifier(**SMALL, callbacks=[given]).fit(*digits)
    assert given.model is not None
    assert notes[0][0].model is not given.model


@pytest.mark.parametrize(
    "given",
    [Notes, [Notes], (Notes(),), Notes()],
    ids=["class", "list of classes", "tuple of objects", "object"],
)
def test_callbacks_come_as_classes_objects_or_lists(digits, notes, given):
    KerasMLPClassifier(**SMALL, callbacks=given).fit(*digits)
    assert [type(callback) for callback, _ in notes] == [Notes]


def test_something_else_than_a_callback_is_refused(digits):
    with pytest.raises(TypeError, match="'callbacks' parameter.*Got 'tensorboard'"):
        KerasMLPClassifier(**SMALL, callbacks=["tensorboard"]).fit(*digits)


class StopAtOnce(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


def test_a_keras_callback_can_stop_the_training(digits):
    stopped = KerasMLPClassifier(**SMALL, callbacks=[StopAtOnce]).fit(*digits)
    assert (stopped.n_iter_, stopped.stop_reason_) == (1, "a callback asked to stop")


class Ticks:
    """A scikit-learn callback that notes the tasks and can stop the training."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.tasks = []
        self.scores = []

    def setup(self, estimator, context):
        self.tasks.append("setup")

    def teardown(self, estimator, context):
        self.tasks.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.tasks.append((context.task_name, context.task_id))
        self.scores.append(fitted_estimator.score(X, y))
        return context.task_name == "epoch" and context.task_id == self.stop_at


def test_scikit_learns_callbacks_get_one_tick_per_epoch(digits):
    ticks = Ticks()
    KerasMLPClassifier(**SMALL).set_callbacks(ticks).fit(*digits)
    assert ticks.tasks == ["setup", ("epoch", 0), ("epoch", 1), ("fit", 0), "teardown"]


def test_scikit_learns_callbacks_can_stop_the_training(digits):
    ticks = Ticks(stop_at=1)
    stopped = KerasMLPClassifier(**{**SMALL, "epochs": 9}).set_callbacks(ticks)
    stopped.fit(*digits)
    assert (stopped.n_iter_, stopped.stop_reason_) == (2, "a callback asked to stop")


# After each epoch they get the classifier as if training had ended there.
def test_scikit_learns_callbacks_see_a_classifier_that_predicts(digits):
    X, y = digits
    ticks = Ticks()
    names = np.array([f"digit {i}" for i in y])
    KerasMLPClassifier(**SMALL).set_callbacks(ticks).fit(X, names)
    expected = [
        KerasMLPClassifier(**{**SMALL, "epochs": epochs}).fit(X, y).score(X, y)
        for epochs in (1, 2, 2)
    ]
    assert ticks.scores == pytest.approx(expected)


class Predicts(Ticks):
    """A callback that calls `predict_proba` of the classifier during its fit."""

    def on_fit_task_end(self, estimator, context, *, X):
        self.scores.append(estimator.predict_proba(X))


# Arrays kept for predictions must not be used after the weights have changed.
def test_predicting_during_a_fit_changes_no_later_prediction(digits):
    X, _ = digits
    curious = KerasMLPClassifier(**SMALL).set_callbacks(Predicts()).fit(*digits)
    # TensorFlow trains both, because nobody knows what their callbacks ask for.
    other = KerasMLPClassifier(**SMALL, callbacks=[keras.callbacks.Callback()])
    other.fit(*digits)
    np.testing.assert_array_equal(curious.predict_proba(X), other.predict_proba(X))


@pytest.fixture
def no_copying(monkeypatch):
    """Make every copy of weights for predictions fail from now on."""

    def forbid():
        def refuse(network):
            raise AssertionError("the weights were copied again")

        monkeypatch.setattr(_network, "network_layers", refuse)

    return forbid


# Copying the weights out of Keras takes longer than predicting a few rows.
def test_predicting_does_not_copy_the_weights_again(digits, no_copying):
    X, _ = digits
    learned = KerasMLPClassifier(**SMALL).fit(*digits)
    copied = copy.deepcopy(learned)
    no_copying()
    np.testing.assert_array_equal(copied.predict(X), learned.predict(X))


@pytest.mark.parametrize("name", ["model_", "keras_classifier_"])
def test_reading_an_attribute_changes_nothing(
    digits, fitted, tmp_path, no_copying, name
):
    X, _ = digits
    read = copy.deepcopy(fitted)
    probabilities, pickled = read.predict_proba(X), pickle.dumps(read)
    read.save(tmp_path / "before")
    getattr(read, name)
    no_copying()
    np.testing.assert_array_equal(read.predict_proba(X), probabilities)
    assert pickle.dumps(read) == pickled
    read.save(tmp_path / "after")
    before, after = (read_archive(tmp_path / when) for when in ("before", "after"))
    np.testing.assert_equal(after, before)


def test_a_training_that_goes_on_does_not_forget_that_an_attribute_was_read(
    digits, fitted, no_copying
):
    X, y = digits
    trained = copy.deepcopy(fitted)
    network = trained.model_
    trained.partial_fit(X, y)
    np.testing.assert_allclose(trained.predict_proba(X), network(X), rtol=1e-4)
    network.set_weights([0 * w for w in network.get_weights()])
    np.testing.assert_allclose(trained.predict_proba(X), 0.1, rtol=1e-6)
    no_copying()
    np.testing.assert_allclose(trained.predict_proba(X), 0.1, rtol=1e-6)


def by_set_weights(network, X, y):
    network.set_weights([2 * w for w in network.get_weights()])


def by_assigning_to_one_layer(network, X, y):
    network.layers[0].kernel.assign(2 * network.layers[0].kernel)


def by_adding_in_place(network, X, y):
    network.layers[1].bias.value.assign_add(tf.range(10.0))


def by_fitting(network, X, y):
    network.fit(X, y, batch_size=32, verbose=0)


def by_fitting_with_xla(network, X, y):
    if not network.jit_compile:
        network.compile("sgd", "sparse_categorical_crossentropy", jit_compile=True)
    network.fit(X[:32], y[:32], batch_size=32, verbose=0)


def by_a_program_of_ones_own(network, X, y):
    @tf.function
    def program():
        for variable in network.trainable_variables:
            variable.value.assign_add(0.1 * variable.value)

    program()
    program()


def by_another_activation(network, X, y):
    network.layers[0].activation = keras.activations.tanh


@pytest.mark.parametrize(
    "change",
    [
        by_set_weights,
        by_assigning_to_one_layer,
        by_adding_in_place,
        by_fitting,
        by_fitting_with_xla,
        by_a_program_of_ones_own,
        by_another_activation,
    ],
    ids=lambda change: change.__name__,
)
def test_predictions_follow_the_network(digits, fitted, change):
    X, y = digits
    changed = copy.deepcopy(fitted)
    network = changed.model_
    for _ in range(2):
        before = changed.predict_proba(X)
        change(network, X, y)
        after = changed.predict_proba(X)
        np.testing.assert_allclose(after, network(X), rtol=1e-4, atol=1e-7)
        np.testing.assert_array_equal(after, forward(network_layers(network), X))
        if change is not by_another_activation:
            assert not np.allclose(after, before)


def test_the_network_trains_as_any_keras_model(digits):
    X, y = digits
    classifier = KerasMLPClassifier(**SMALL).fit(X, y)
    before = classifier.predict_proba(X)
    history = classifier.model_.fit(X, y, batch_size=32, epochs=1, verbose=0)
    assert len(history.history["loss"]) == 1
    assert not np.array_equal(classifier.predict_proba(X), before)


def test_predictions_follow_a_training_that_goes_on(digits, fitted):
    X, y = digits
    trained = copy.deepcopy(fitted)
    trained.predict(X)
    trained.partial_fit(X, y)
    at_once = KerasMLPClassifier(**{**SMALL, "epochs": 3}).fit(X, y)
    np.testing.assert_array_equal(trained.predict_proba(X), at_once.predict_proba(X))


def test_scikit_learns_callbacks_end_with_a_fit_that_fails(digits):
    ticks = Ticks()
    failing = KerasMLPClassifier(**SMALL | {"learning_rate": 1e30}).set_callbacks(ticks)
    with pytest.raises(FloatingPointError):
        failing.fit(*digits)
    assert ticks.tasks[-1] == "teardown"


# ---- optimizers --------------------------------------------------------------------


def test_an_optimizer_object_is_built_anew_for_every_fit(digits, fitted):
    given = keras.optimizers.Adam()
    same = KerasMLPClassifier(**SMALL, optimizer=given)
    assert_equal_weights(same.fit(*digits), fitted)
    assert_equal_weights(same.fit(*digits), fitted)
    assert not given.built


def test_the_learning_rate_overrides_that_of_an_optimizer_object(digits):
    settings = {**SMALL, "learning_rate": 0.01}
    by_object = KerasMLPClassifier(**settings, optimizer=keras.optimizers.Adam(0.5))
    by_name = KerasMLPClassifier(**settings)
    assert_equal_weights(by_object.fit(*digits), by_name.fit(*digits))


# ---- errors ------------------------------------------------------------------------


def test_a_loss_that_is_no_number_names_the_epoch(digits):
    with pytest.raises(FloatingPointError, match="in epoch 1; a smaller learning_rate"):
        KerasMLPClassifier(**SMALL | {"learning_rate": 1e30}).fit(*digits)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("widths", (16, 8)),
        ("activations", ("relu", "tanh")),
        ("initializers", ("zeros", "zeros")),
        ("dropout", (0.1, 0.2)),
    ],
)
def test_values_that_do_not_match_the_depth_are_refused(digits, name, value):
    wrong = KerasMLPClassifier(**{**SMALL, name: value})
    with pytest.raises(ValueError, match=f"{name!r} parameter.*2 values.*depth=1"):
        wrong.fit(*digits)


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("widths", (16, 0), "0"),
        ("widths", (16, 2.5), "2.5"),
        ("widths", (16, True), "True"),
        ("activations", ("relu", "relv"), "'relv'"),
        ("initializers", ("zeros", "he"), "'he'"),
        ("dropout", (0.1, 1.0), "1.0"),
        ("dropout", (0.1, "half"), "'half'"),
    ],
)
def test_a_wrong_value_for_one_layer_is_named(digits, name, value, named):
    wrong = KerasMLPClassifier(**{**SMALL, "depth": 2, name: value})
    with pytest.raises(ValueError, match=f"{name!r} parameter.*Got {named} in"):
        wrong.fit(*digits)


def test_a_warm_up_that_leaves_no_epoch_is_refused(digits):
    wrong = KerasMLPClassifier(**SMALL, warmup_epochs=2)
    with pytest.raises(ValueError, match="warmup_epochs=2 leaves no epoch .* epochs=2"):
        wrong.fit(*digits)


# 200 rows in batches of 32 are 7 updates, and 0.95 epochs are rounded to all of them.
def test_a_warm_up_leaves_an_update_to_the_schedule(digits):
    warm = KerasMLPClassifier(**SMALL | {"epochs": 1}, warmup_epochs=0.95)
    assert warm.fit(*digits)._spec["optimizer"]["n_warmup"] == 6


# 200 rows in batches of 32 are 7 updates per epoch. Half an epoch is 4 updates (3.5 is
# rounded to the even number). After them the rate falls linearly to zero at update 14.
def test_the_warm_up_is_a_part_of_the_schedule(digits):
    rates = {"learning_rate": 0.1, "learning_rate_schedule": "linear"}
    warm = KerasMLPClassifier(**SMALL | rates, warmup_epochs=0.5).fit(*digits)
    # Not `model_`, whose learning rate no longer falls.
    described = warm._network.optimizer.get_config()["learning_rate"]
    schedule = keras.optimizers.schedules.deserialize(described)
    rates = [float(schedule(step)) for step in (0, 3, 4, 9, 14)]
    np.testing.assert_allclose(rates, [0.025, 0.1, 0.1, 0.05, 0], atol=1e-8)


def test_a_single_class_is_refused(digits):
    with pytest.raises(ValueError, match="only one class: .*7"):
        KerasMLPClassifier(**SMALL).fit(digits[0], np.full(200, 7))


def test_continuous_targets_are_refused(digits):
    with pytest.raises(ValueError, match="Unknown label type"):
        KerasMLPClassifier(**SMALL).fit(digits[0], np.linspace(0, 1, 200))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_data_that_are_not_finite_are_refused(digits, fitted, value):
    X, y = digits
    broken = X.copy()
    broken[3, 4] = value
    with pytest.raises(ValueError, match="NaN|infinity"):
        KerasMLPClassifier(**SMALL).fit(broken, y)
    with pytest.raises(ValueError, match="NaN|infinity"):
        fitted.predict(broken)


def test_another_number_of_features_is_refused(digits, fitted):
    with pytest.raises(ValueError, match="has 63 features.*expecting 64"):
        fitted.predict(digits[0][:, 1:])


def test_validation_data_of_another_number_of_features_are_refused(digits):
    X, y = digits
    with pytest.raises(ValueError, match="has 63 features.*expecting 64"):
        KerasMLPClassifier(**SMALL).fit(X, y, X_val=X[:, 1:], y_val=y)


@pytest.mark.parametrize("name", ["X_val", "y_val"])
def test_half_a_validation_set_is_refused(digits, name):
    X, y = digits
    half = {name: X if name == "X_val" else y}
    with pytest.raises(ValueError, match="X_val and y_val must be given together"):
        KerasMLPClassifier(**SMALL).fit(X, y, **half)


def test_a_label_of_the_validation_set_that_is_not_trained_is_named(digits):
    X, y = digits
    with pytest.raises(ValueError, match="not among the classes: 9"):
        KerasMLPClassifier(**SMALL).fit(X, np.minimum(y, 8), X_val=X, y_val=y)


def test_negative_sample_weights_are_refused(digits):
    with pytest.raises(ValueError, match="negative"):
        KerasMLPClassifier(**SMALL).fit(*digits, -np.ones(200))


def test_too_few_samples_to_hold_some_out_are_refused(digits):
    X, y = digits
    few = KerasMLPClassifier(**SMALL, early_stopping=True, validation_split=0.9)
    with pytest.raises(ValueError, match=r"validation_split=0\.9 of 2 samples"):
        few.fit(X[:2], y[:2])


def test_predicting_before_fitting_is_refused(digits):
    with pytest.raises(NotFittedError):
        KerasMLPClassifier(**SMALL).predict_proba(digits[0])


# ---- inside scikit-learn's tools ---------------------------------------------------


def test_scikit_learn_takes_it_for_a_classifier(digits):
    unfitted = KerasMLPClassifier()
    assert is_classifier(unfitted)
    cv = check_cv(5, digits[1], classifier=is_classifier(unfitted))
    assert isinstance(cv, StratifiedKFold)


def test_init_only_stores_its_parameters():
    sentinels = {name: object() for name in KerasMLPClassifier().get_params()}
    stored = KerasMLPClassifier(**sentinels).get_params(deep=False)
    assert all(stored[name] is value for name, value in sentinels.items())


def test_a_grid_search_finds_depth_and_widths_together(digits):
    grid = [
        {"depth": [1], "widths": [1, 16]},
        {"depth": [2], "widths": [(16, 8)]},
    ]
    settings = {**SMALL, "epochs": 20, "learning_rate": 0.01}
    search = GridSearchCV(
        KerasMLPClassifier(**settings), grid, cv=2, n_jobs=1, error_score="raise"
    )
    search.fit(*digits)
    assert search.best_params_ != {"depth": 1, "widths": 1}
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))
    assert search.best_estimator_.n_layers_ == search.best_params_["depth"] + 2


def test_a_pipeline_hands_scaled_data_on(digits, more_digits):
    X, y = digits
    pipeline = make_pipeline(StandardScaler(), KerasMLPClassifier(**SMALL)).fit(X, y)
    by_hand = KerasMLPClassifier(**SMALL).fit(StandardScaler().fit_transform(X), y)
    assert_equal_weights(pipeline[-1], by_hand)
