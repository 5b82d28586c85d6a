"""Rows, class numbers, layers and seeds."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from skmnist import KerasMLPClassifier
from skmnist.neural_network._data import (
    Rows,
    check_training,
    check_validation,
    draw_seeds,
    encode_labels,
)
from skmnist.neural_network._spec import Allowed, per_layer

ANYTHING = Allowed("anything", lambda _: True)


@pytest.mark.parametrize(
    ("y", "classes", "expected"),
    [
        (np.array([5, 3, 5]), np.array([3, 5, 9]), [1, 0, 1]),
        (np.array([1, -1]), np.array([-1, 1]), [1, 0]),
        (np.array(["b", "a"]), np.array(["a", "b"]), [1, 0]),
        (
            np.array(["b", "a"], dtype=object),
            np.array(["a", "b"], dtype=object),
            [1, 0],
        ),
        (np.array([True, False]), np.array([False, True]), [1, 0]),
    ],
    ids=["int", "negative", "str", "object", "bool"],
)
def test_labels_become_their_positions_among_the_classes(y, classes, expected):
    encoded = encode_labels(y, classes)
    np.testing.assert_array_equal(encoded, expected)
    assert encoded.dtype == np.int32


def test_the_classes_bring_the_labels_back():
    y = np.random.default_rng(0).choice(["six", "seven", "eight"], size=50)
    classes = np.unique(y)
    np.testing.assert_array_equal(classes[encode_labels(y, classes)], y)


# Below, between and above the classes: searchsorted places each elsewhere.
@pytest.mark.parametrize("unknown", [1, 4, 10])
def test_an_unknown_label_is_named(unknown):
    with pytest.raises(ValueError, match=f"not among the classes: {unknown}$"):
        encode_labels(np.array([3, unknown]), np.array([3, 5, 9]))


def test_labels_of_another_kind_are_unknown():
    with pytest.raises(ValueError, match="not among the classes: 3"):
        encode_labels(np.array(["3"]), np.array([3, 5, 9]))


@pytest.mark.parametrize("value", ["relu", 400, 0.5, np.int64(400)])
def test_one_value_is_repeated_for_every_layer(value):
    assert per_layer("p", value, 3, ANYTHING) == [value] * 3


@pytest.mark.parametrize("value", [(30, 20), [30, 20], np.array([30, 20])])
def test_one_value_per_layer_is_passed_on(value):
    assert per_layer("widths", value, 2, ANYTHING) == [30, 20]


@pytest.mark.parametrize(
    "value", [np.int64(400), np.array([30, 20]), np.array(["relu", "tanh"])]
)
def test_the_values_are_plain_python(value):
    kinds = {type(v) for v in per_layer("p", value, 2, ANYTHING)}
    assert kinds <= {int, str}


def test_no_hidden_layer_takes_any_single_value():
    assert per_layer("widths", 400, 0, ANYTHING) == []


@pytest.mark.parametrize("value", [(30,), (30, 20, 10)])
def test_a_wrong_number_of_values_names_parameter_depth_and_value(value):
    with pytest.raises(ValueError) as error:
        per_layer("widths", value, 2, ANYTHING)
    for said in ("'widths'", f"{len(value)} values", "depth=2", repr(value)):
        assert said in str(error.value)


def test_a_value_that_is_not_allowed_is_named():
    positive = Allowed("a positive number", lambda width: width > 0)
    with pytest.raises(ValueError, match=r"'widths'.*positive.*Got 0 in \(30, 0\)"):
        per_layer("widths", (30, 0), 2, positive)


def test_seeds_differ_between_purposes():
    seeds = draw_seeds(0)
    assert set(seeds) == {"layers", "split", "order"}
    assert len(set(seeds.values())) == 3


def test_the_same_integer_gives_the_same_seeds():
    assert draw_seeds(42) == draw_seeds(42)


def test_neighbouring_integers_give_other_seeds():
    assert not set(draw_seeds(0).values()) & set(draw_seeds(1).values())


def test_no_seed_gives_fresh_ones():
    assert draw_seeds(None) != draw_seeds(None)


@pytest.mark.parametrize("random_state", [None, 0])
def test_the_global_generator_of_numpy_stays_as_it_is(random_state):
    before = np.random.get_state()[1].copy()
    position = np.random.get_state()[2]
    draw_seeds(random_state)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert np.random.get_state()[2] == position


def test_a_generator_gives_the_seeds_of_its_state():
    one, two = (np.random.RandomState(3) for _ in range(2))
    assert draw_seeds(one) == draw_seeds(two)


def test_a_generator_moves_on_between_two_draws():
    generator = np.random.RandomState(3)
    assert draw_seeds(generator) != draw_seeds(generator)


def test_rows_of_weight_zero_are_taken_out():
    rows = Rows(np.eye(3), np.arange(3), np.array([1.0, 0.0, 2.0]))
    kept = rows.without_weightless()
    np.testing.assert_array_equal(kept.y, [0, 2])
    np.testing.assert_array_equal(kept.X, np.eye(3)[[0, 2]])
    np.testing.assert_array_equal(kept.sample_weight, [1.0, 2.0])


def test_rows_without_weights_stay_the_same_object():
    rows = Rows(np.eye(3), np.arange(3), None)
    assert rows.without_weightless() is rows


def test_negative_weights_are_refused():
    rows = Rows(np.eye(2), np.arange(2), np.array([1.0, -1.0]))
    with pytest.raises(ValueError, match="negative"):
        rows.without_weightless()


def test_held_out_rows_keep_their_labels_and_weights():
    X, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    for part in Rows(X, y, np.arange(20.0)).hold_out(0.25, random_state=0):
        numbers = (part.X[:, 0] / 2).astype(int)
        np.testing.assert_array_equal(part.y, y[numbers])
        np.testing.assert_array_equal(part.sample_weight, numbers)


# ---- weights of classes ------------------------------------------------------------


@pytest.fixture
def weighted():
    """Rows of three classes, with weights that are whole numbers."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [20, 5, 3])
    return rng.random((28, 2)), y, rng.integers(1, 4, 28)


def balanced(X, y, sample_weight=None):
    classifier = KerasMLPClassifier(class_weight="balanced")
    rows, weights = check_training(classifier, X, y, sample_weight, reset=True)
    return classifier, rows, weights


def test_balanced_classes_have_the_same_total_weight(weighted):
    X, y, weights = weighted
    _, rows, _ = balanced(X, y, weights)
    totals = np.bincount(rows.y, rows.sample_weight)
    np.testing.assert_allclose(totals, totals.sum() / 3)


def test_balanced_weights_count_a_weight_as_rows(weighted):
    X, y, weights = weighted
    _, _, of_weights = balanced(X, y, weights)
    _, _, of_rows = balanced(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(of_weights, of_rows, rtol=1e-12)
    expected = compute_class_weight(
        "balanced", classes=np.arange(3), y=np.repeat(y, weights)
    )
    np.testing.assert_allclose(of_rows, expected)


def test_balanced_weights_count_a_weight_of_zero_as_no_row(weighted):
    X, y, weights = weighted
    weights[::2] = 0
    _, _, of_weights = balanced(X, y, weights)
    _, _, of_rows = balanced(X[weights > 0], y[weights > 0], weights[weights > 0])
    np.testing.assert_array_equal(of_weights, of_rows)


def test_validation_rows_get_the_class_weights_of_the_training(weighted):
    X, y, _ = weighted
    classifier, _, weights = balanced(X, y)
    for part in (slice(None), y > 0):
        twos = np.full(len(y[part]), 2)
        held_out = check_validation(classifier, X[part], y[part], twos, weights)
        np.testing.assert_allclose(held_out.sample_weight, 2 * weights[y[part]])


def test_a_class_that_a_dict_does_not_name_has_weight_one(weighted):
    X, y, _ = weighted
    classifier = KerasMLPClassifier(class_weight={2: 3.0})
    rows, weights = check_training(classifier, X, y, None, reset=True)
    np.testing.assert_array_equal(weights, [1, 1, 3])
    # Neither the rows to validate on nor those to train on need to have the class.
    held_out = check_validation(classifier, X[y < 2], y[y < 2], None, weights)
    np.testing.assert_array_equal(held_out.sample_weight, np.ones(25))
    rows, _ = check_training(classifier, X[y < 2], y[y < 2], None, reset=False)
    np.testing.assert_array_equal(rows.sample_weight, np.ones(25))


def test_a_class_of_weight_zero_is_left_out(weighted):
    X, y, _ = weighted
    classifier = KerasMLPClassifier(class_weight={0: 0})
    rows, _ = check_training(classifier, X, y, None, reset=True)
    assert set(rows.y) == {1, 2}


def test_a_label_that_is_not_among_the_classes_is_named(weighted):
    X, y, _ = weighted
    classifier = KerasMLPClassifier(class_weight={2: 3.0, "2": 3.0})
    with pytest.warns(UserWarning, match=r"not among the classes: \['2'\]"):
        check_training(classifier, X, y, None, reset=True)


def test_negative_class_weights_are_refused(weighted):
    X, y, _ = weighted
    classifier = KerasMLPClassifier(class_weight={2: -3.0})
    with pytest.raises(ValueError, match="class_weight must not be negative"):
        check_training(classifier, X, y, None, reset=True)


def test_partial_fit_cannot_balance_classes(weighted):
    X, y, _ = weighted
    classifier = KerasMLPClassifier(class_weight="balanced")
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        classifier.partial_fit(X, y)
