"""Rows that are in two data sets."""

# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.model_selection import train_test_split

from skmnist import fetch_mnist, find_overlap, load_digits_28x28

NAN = float("nan")


def shared(train, validation):
    found = find_overlap(train, validation)
    return found.train_rows.tolist(), found.validation_rows.tolist()


def test_shared_rows_are_found_in_both():
    assert shared([[1, 2], [3, 4], [5, 6]], [[5, 6], [7, 8], [1, 2]]) == (
        [0, 2],
        [0, 2],
    )


def test_repeated_rows_are_all_named():
    assert shared([[1, 2], [1, 2], [0, 0]], [[1, 2]]) == ([0, 1], [0])


def test_order_within_a_row_counts():
    assert not find_overlap([[1, 2]], [[2, 1]])


def test_it_finds_what_a_comparison_of_all_pairs_finds():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        a, b = rng.integers(0, 3, (40, 3)), rng.integers(0, 3, (30, 3))
        same = (a[:, None] == b[None]).all(axis=2)
        assert shared(a, b) == (
            np.flatnonzero(same.any(axis=1)).tolist(),
            np.flatnonzero(same.any(axis=0)).tolist(),
        )


def test_more_rows_than_are_compared_at_a_time():
    X = np.arange(10_000.0).reshape(-1, 1)
    assert shared(X, [[9999.0], [-1.0], [5000.0]]) == ([5000, 9999], [0, 2])


def test_missing_values_at_the_same_places_are_the_same():
    # NaN has many forms in bytes; one of them has its sign set.
    negative_nan = np.copysign(NAN, -1.0)
    assert shared([[NAN, 1.0], [1.0, NAN]], [[negative_nan, 1.0]]) == ([0], [0])


def test_zero_is_zero_with_either_sign():
    assert find_overlap([[0.0, 1.0]], [[-0.0, 1.0]])
    assert find_overlap(sparse.csr_array([[0.0, 1.0]]), [[-0.0, 1.0]])


@pytest.mark.parametrize(
    "train, validation", [("u1", "i8"), ("u1", "f4"), ("i8", "f4"), ("?", "f8")]
)
def test_types_do_not_count(train, validation):
    rows = np.array([[0, 1], [1, 1]])
    found = shared(rows.astype(train), rows[1:].astype(validation))
    assert found == ([1], [0])


@pytest.mark.parametrize(
    "train, validation", [("f8", "f4"), ("f4", "f8"), ("f2", "f8")]
)
def test_the_more_precise_side_is_rounded(train, validation):
    X = np.random.default_rng(0).random((50, 4))
    found = find_overlap(X.astype(train), X[:10].astype(validation))
    assert len(found.validation_rows) == 10


def test_what_is_too_large_for_the_less_precise_side_is_no_error():
    assert not find_overlap(np.array([[1e300, 1.0]]), np.float32([[1.0, 1.0]]))


@pytest.mark.parametrize(
    "kind", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array]
)
def test_sparse_rows_are_found_in_dense_and_sparse_ones(kind):
    X = np.random.default_rng(0).integers(0, 2, (20, 30)).astype(float)
    assert shared(kind(X), X[[3, 7]]) == ([3, 7], [0, 1])
    assert shared(X, kind(X[[3, 7]])) == ([3, 7], [0, 1])
    assert shared(kind(X), kind(X[[3, 7]])) == ([3, 7], [0, 1])


def test_zeros_that_a_sparse_matrix_stores_are_zeros():
    stored = sparse.csr_array(([0.0, 1.0], [0, 1], [0, 2]), shape=(1, 2))
    assert find_overlap(stored, [[0.0, 1.0]])
    assert stored.nnz == 2  # the caller's matrix stays as it was


def test_arrays_are_left_as_they_were():
    X = np.array([[-0.0, NAN]])
    find_overlap(X, X)
    assert np.signbit(X[0, 0])


def test_tables_of_mixed_types():
    train = pd.DataFrame(
        {"size": [1, 2, 3], "color": ["red", None, "blue"], "when": pd.NaT}
    )
    validation = pd.DataFrame(
        {"size": [2.0, 3.0], "color": [np.nan, "red"], "when": pd.NaT}
    )
    assert shared(train, validation) == ([1], [0])


def test_missing_values_of_pandas_own_types():
    train = pd.DataFrame({"a": pd.array([1, None], dtype="Int64")})
    assert shared(train, pd.DataFrame({"a": [NAN]})) == ([1], [0])


def test_text_is_no_number():
    assert not find_overlap(np.array([["1"]]), np.array([[1]]))


def test_tables_of_numbers_and_arrays():
    train = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    assert shared(train, np.array([[2.0, 4.0]])) == ([1], [0])


def test_tables_with_other_columns_are_refused():
    train = pd.DataFrame({"a": [1], "b": [2]})
    with pytest.raises(ValueError, match="same names in the same order"):
        find_overlap(train, train[["b", "a"]])


def test_pictures_are_rows():
    pictures = np.random.default_rng(0).integers(0, 255, (5, 4, 4), dtype=np.uint8)
    assert shared(pictures, pictures[2:3].reshape(1, 16)) == ([2], [0])


def test_other_numbers_of_features_are_refused():
    with pytest.raises(ValueError, match="rows of 2 and of 3 features"):
        find_overlap([[1, 2]], [[1, 2, 3]])


def test_data_without_features_are_refused():
    with pytest.raises(ValueError, match=r"got the shape \(2,\)"):
        find_overlap([1, 2], [[1, 2]])


def test_nothing_is_in_nothing():
    assert str(find_overlap(np.zeros((0, 2)), np.zeros((0, 2)))) == (
        "0 of 0 validation rows (0 %) are among the 0 training rows"
    )


def test_the_sentence_counts():
    found = find_overlap(np.arange(2000.0).reshape(-1, 1), [[0.0], [1.0], [-1.0]])
    assert str(found) == (
        "2 of 3 validation rows (66.7 %) are among the 2,000 training rows"
    )


def test_a_split_of_the_digits_has_no_overlap_but_what_the_data_repeat():
    X = load_digits_28x28().data
    train, validation = train_test_split(X, random_state=0)
    assert len(np.unique(X, axis=0)) == len(X)
    assert not find_overlap(train, validation)
    assert len(find_overlap(X, validation).validation_rows) == len(validation)


def test_mnist_shares_no_picture_between_training_and_test(mnist_home):
    mnist = fetch_mnist(mnist_home)
    assert not find_overlap(mnist.data[mnist.train], mnist.data[mnist.test])
