"""Labels in all their forms; Python objects without the code that is in pickles."""

# SPDX-License-Identifier: BSD-3-Clause

import io
import os
import pickle

import numpy as np
import pytest

from skmnist.datasets import DataError, load_npz
from skmnist.datasets._labels import join_labels, plain_labels, read_plain_objects

NUMBERS = [3, 0, 1, 2, 0]
ONE_HOT = np.eye(4)[NUMBERS]


@pytest.mark.parametrize(
    "labels",
    [
        *(
            np.array(NUMBERS, t)
            for t in ("i1", "u1", ">i4", "i8", "u8", "f4", "f8", "f2")
        ),
        np.array(NUMBERS)[:, None],
        np.array(NUMBERS, float)[:, None],
        *(ONE_HOT.astype(t) for t in (bool, "u1", "i8", "f4")),
        np.array(NUMBERS, object),
        np.array([np.int64(n) for n in NUMBERS], object),
        np.array([float(n) for n in NUMBERS], object),
    ],
    ids=lambda labels: f"{labels.dtype.name} {labels.shape}",
)
def test_whole_numbers(labels):
    found = plain_labels(labels)
    assert (found.dtype, found.tolist()) == (np.int64, NUMBERS)


WORDS = ["Käse", "a b", "", "7", "a b"]


@pytest.mark.parametrize(
    "labels",
    [
        np.array(WORDS),
        np.array(WORDS)[:, None],
        np.array(WORDS, object),
        np.array([w.encode() for w in WORDS]),
        np.array([w.encode() for w in WORDS], object),
        np.array([np.str_(w) for w in WORDS], object),
    ],
    ids=["str", "column", "objects", "bytes", "objects of bytes", "of NumPy's str"],
)
def test_text(labels):
    found = plain_labels(labels)
    assert (found.dtype.kind, found.tolist()) == ("U", WORDS)


def test_true_and_false():
    for labels in (np.array([True, False]), np.array([True, False], object)):
        assert plain_labels(labels).tolist() == [1, 0]


def test_bytes_that_are_no_utf8_stay_apart():
    labels = np.array([b"\xff", b"\xfe", b"a"])
    assert len(set(plain_labels(labels).tolist())) == 3


def test_dates():
    labels = np.array(["2026-01-31", "2026-02-01"], "M8[D]")
    assert plain_labels(labels).tolist() == ["2026-01-31", "2026-02-01"]


@pytest.mark.parametrize("kind", [np.uint64, object])
def test_numbers_beyond_int64(kind):
    labels = [2**63, 2**64 - 1, 0]
    found = plain_labels(np.array(labels, kind))
    assert (found.dtype, found.tolist()) == (np.uint64, labels)


@pytest.mark.parametrize(
    ("train", "test", "dtype"),
    [
        ([1, 2], [2, 1], np.int64),
        ([2**63, 1], [1, 1], np.uint64),
        ([1, 1], [2**64 - 1, 1], np.uint64),
    ],
)
def test_two_parts_get_one_type_and_keep_their_numbers(train, test, dtype):
    parts = [plain_labels(np.array(labels, object)) for labels in (train, test)]
    found = join_labels(*parts)
    assert [part.dtype for part in found] == [dtype, dtype]
    assert [part.tolist() for part in found] == [train, test]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([0.5, 1], r"no whole numbers, such as \[0.5\]"),
        ([np.inf, 1], "no whole numbers"),
        ([np.nan, 1], r"missing \(NaN\)"),
        (np.array([None, "a"], object), r"missing \(None or NaN\)"),
        (np.array([float("nan"), 1], object), "missing"),
        (np.array(["NaT", "2026-01-01"], "M8[D]"), r"missing \(NaT\)"),
        (np.array(["a", 1], object), r"different or other types \(int, str\)"),
        (np.array([(1, 2), None], object)[:1], r"other types \(tuple\)"),
        (np.array([2**64, 1], object), "beyond 64 bits"),
        (np.array([2**63, -1], object), "beyond 64 bits"),
        ([1j, 0], "complex"),
        (np.ones((3, 2)), "one for each row, or a column for each class"),
        (np.zeros((3, 2)), "a single 1 in each row"),
        ([[0.2, 0.8], [0.7, 0.3]], "a single 1 in each row"),
        (np.zeros((3, 2, 1)), "one for each row"),
        (np.array(3), "one for each row"),
    ],
)
def test_what_is_no_label(labels, reason):
    with pytest.raises(ValueError, match=reason):
        plain_labels(np.asarray(labels))


# Python objects


def kept(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    file.seek(0)
    return file


@pytest.mark.parametrize(
    "values",
    [
        ["a", "b", "a"],
        [1, 2**70, -5],
        [b"a", None, 1.5],
        [True, False, "x"],
        [np.int32(4), np.str_("é"), np.float64(0.5)],
        [np.bytes_(b"ab"), np.bool_(True), np.uint8(255)],
    ],
    ids=repr,
)
def test_objects_are_read_as_numpy_reads_them(values):
    array = np.array(values, object)
    found = read_plain_objects(kept(array))
    assert found.tolist() == np.load(kept(array), allow_pickle=True).tolist()


@pytest.mark.parametrize("order", "CF")
def test_objects_in_columns(order):
    array = np.array([["a", "b", "c"], ["d", "e", "f"]], object, order=order)
    assert read_plain_objects(kept(array)).tolist() == array.tolist()


class Call:
    """What a pickle turns into the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "trap",
    [
        Call(os.mkdir, "sprung"),
        Call(eval, "1"),
        Call(np.ndarray, (3,)),
        Call(np.fromfile, "setup.cfg"),
        np.dtype(int),
        np.array([1, 2]),
        {"a"},
        1j,
        range(3),
        np.datetime64("2026-01-01"),
        os,
    ][:-1],
    ids=lambda trap: type(trap).__name__,
)
def test_no_code_is_run(trap, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    array = np.empty(2, object)
    array[:] = [trap, "a"]
    try:
        found = plain_labels(read_plain_objects(kept(array)))
    except (ValueError, pickle.UnpicklingError):
        found = None
    assert found is None
    assert list(tmp_path.iterdir()) == []


def test_npz_with_labels_of_objects(tmp_path):
    y = np.array(["cat", "dog"] * 6, object)
    np.savez(tmp_path / "own.npz", X=np.eye(12), y=y)
    assert load_npz(tmp_path / "own.npz").target_names.tolist() == ["cat", "dog"]


@pytest.mark.parametrize(
    "names",
    [
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("X_train", "Y_train", "X_test", "Y_test"),
        ("train-images", "train-labels", "test-images", "test-labels"),
        ("images", "labels"),
        ("data", "target"),
        ("x", "Y"),
    ],
    ids=" ".join,
)
def test_names_of_the_arrays(names, tmp_path):
    arrays = [np.eye(12), np.array([0, 1] * 6)] * 2
    np.savez(tmp_path / "own.npz", **dict(zip(names, arrays, strict=False)))
    own = load_npz(tmp_path / "own.npz")
    assert own.data.shape == (24 if len(names) == 4 else 12, 12)


def test_npz_with_large_labels_in_one_part_only(tmp_path):
    large = np.array([2**63 + 5, 7] * 6, np.uint64)
    arrays = {"x_train": np.eye(12), "y_train": large}
    arrays |= {"x_test": np.eye(12)[:2], "y_test": np.array([7, 7], np.int8)}
    np.savez(tmp_path / "own.npz", **arrays)
    own = load_npz(tmp_path / "own.npz")
    assert own.target.tolist() == [*large.tolist(), 7, 7]
    assert own.target_names.tolist() == ["7", "9223372036854775813"]


def test_an_error_of_labels_names_the_file(tmp_path):
    np.savez(tmp_path / "own.npz", X=np.eye(12), y=np.arange(12) / 2)
    with pytest.raises(DataError, match=r"own\.npz: labels that are no whole numbers"):
        load_npz(tmp_path / "own.npz")
