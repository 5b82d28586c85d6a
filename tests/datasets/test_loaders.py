"""Loaders: real MNIST, damaged MNIST, the digits, a user's own file."""

# SPDX-License-Identifier: BSD-3-Clause

import gzip
import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from skmnist.datasets import _loaders as datasets
from skmnist.datasets._loaders import (
    DataError,
    DataNotFoundError,
    check_digits,
    fetch_mnist,
    load_digits_28x28,
    load_npz,
)
from skmnist.datasets._registry import load_dataset

IDX_NAMES = {
    "train-images-idx3-ubyte": 16,
    "train-labels-idx1-ubyte": 8,
    "t10k-images-idx3-ubyte": 16,
    "t10k-labels-idx1-ubyte": 8,
}
real_urlopen = urllib.request.urlopen


def no_network(*args, **kwargs):
    raise urllib.error.URLError("no network in the tests")


@pytest.fixture(autouse=True)
def keras_cache(tmp_path, monkeypatch):
    """An empty Keras cache, no SKMNIST_DATA and no network."""
    cache = tmp_path / "keras" / "datasets"
    cache.mkdir(parents=True)
    monkeypatch.setenv("KERAS_HOME", str(cache.parent))
    monkeypatch.delenv("SKMNIST_DATA", raising=False)
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    return cache


@pytest.fixture(scope="module")
def mnist(mnist_home):
    return fetch_mnist(mnist_home, download_if_missing=False)


@pytest.fixture(scope="module")
def raw(mnist):
    """The four arrays as Keras gives them, under its keys."""
    pictures = (mnist.data * 255).round().astype(np.uint8).reshape(-1, 28, 28)
    labels = mnist.target.astype(np.uint8)
    return {
        "x_train": pictures[:60000],
        "y_train": labels[:60000],
        "x_test": pictures[60000:],
        "y_test": labels[60000:],
    }


@pytest.fixture
def copy(mnist_home, tmp_path):
    """A folder that links to the real files."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in IDX_NAMES:
        (folder / f"{name}.gz").symlink_to(mnist_home / f"{name}.gz")
    return folder


def content_of(folder, name):
    return gzip.decompress((folder / f"{name}.gz").read_bytes())


def put(folder, name, content):
    """Replace a compressed file in a folder by a plain one."""
    (folder / f"{name}.gz").unlink()
    (folder / name).write_bytes(content)


def error_of(function, *args, **kwargs):
    """Return the message of the DataError; check that it is one line."""
    with pytest.raises(DataError) as caught:
        function(*args, **kwargs)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_import_starts_no_keras():
    code = (
        "import sys, skmnist.datasets;"
        "print([m for m in ('keras', 'tensorflow') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert answer.stdout.decode().strip() == "[]"


# MNIST, as it should be


def test_mnist_shapes_and_types(mnist):
    assert (mnist.data.shape, mnist.data.dtype) == ((70000, 784), np.float32)
    assert (mnist.target.shape, mnist.target.dtype) == ((70000,), np.int64)


def test_mnist_is_scaled_to_one(mnist):
    assert (mnist.data.min(), mnist.data.max()) == (0.0, 1.0)


def test_mnist_keeps_the_published_order(mnist):
    assert mnist.target[mnist.train][:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.target[mnist.test][:5].tolist() == [7, 2, 1, 0, 4]


def test_mnist_parts_are_slices(mnist):
    assert (mnist.train, mnist.test) == (slice(0, 60000), slice(60000, 70000))


def test_mnist_names(mnist):
    assert isinstance(mnist, Bunch)
    assert mnist.feature_names[0] == "pixel_0_0"
    assert mnist.feature_names[29] == "pixel_1_1"
    assert len(mnist.feature_names) == 784
    assert mnist.target_names.tolist() == list("0123456789")
    assert "MNIST" in mnist.DESCR


def test_mnist_as_a_pair(mnist, mnist_home):
    X, y = fetch_mnist(mnist_home, return_X_y=True)
    assert X.shape == mnist.data.shape
    np.testing.assert_array_equal(y, mnist.target)


@pytest.mark.parametrize("dot", [False, True], ids=["dash", "dot"])
def test_plain_files_give_the_same(mnist, mnist_home, tmp_path, dot):
    for name in IDX_NAMES:
        path = tmp_path / (name.replace("-idx", ".idx") if dot else name)
        path.write_bytes(content_of(mnist_home, name))
    plain = fetch_mnist(tmp_path)
    assert np.array_equal(plain.data, mnist.data)
    assert plain.fingerprint == mnist.fingerprint


def test_gzip_that_lost_its_suffix_is_read(mnist, copy):
    for name in IDX_NAMES:
        (copy / f"{name}.gz").rename(copy / name)
    assert fetch_mnist(copy).fingerprint == mnist.fingerprint


def test_npz_in_the_keras_cache_gives_the_same(mnist, raw, keras_cache):
    np.savez(keras_cache / "mnist.npz", **raw)
    cached = fetch_mnist()
    assert np.array_equal(cached.data, mnist.data)
    assert np.array_equal(cached.target, mnist.target)
    assert cached.fingerprint == mnist.fingerprint


# Places and their order. A damaged file in each: the error says which one was used.


@pytest.fixture
def places(tmp_path, keras_cache, monkeypatch):
    """Three folders with a damaged file each, in the order of the search."""
    folders = [tmp_path / "argument", tmp_path / "variable", keras_cache]
    for folder in folders:
        folder.mkdir(exist_ok=True)
        (folder / "mnist.npz").write_bytes(b"damaged")
    monkeypatch.setenv("SKMNIST_DATA", str(folders[1]))
    return folders


@pytest.mark.parametrize("first", [0, 1, 2], ids=["argument", "variable", "keras"])
def test_the_first_place_with_files_is_taken(places, first):
    for folder in places[:first]:
        (folder / "mnist.npz").unlink()
    named = places[0] if first == 0 else None
    assert error_of(fetch_mnist, named).startswith(str(places[first]))


@pytest.mark.parametrize("name", ["mnist", "auto"])
def test_a_folder_that_is_named_is_the_only_place(
    name, mnist_home, tmp_path, monkeypatch
):
    monkeypatch.setenv("SKMNIST_DATA", str(mnist_home))
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "thesis.pdf").touch()
    with pytest.raises(DataNotFoundError):
        load_dataset(name, empty)
    message = error_of(load_dataset, name, empty)
    assert message.startswith(f"{empty}: no MNIST in this folder")
    assert message.endswith("it holds thesis.pdf")
    absent = tmp_path / "absent"
    assert error_of(load_dataset, name, absent) == f"{absent}: no such folder"
    message = error_of(load_dataset, name, "")
    assert message == "the folder of MNIST: has an empty name"


def test_a_named_folder_is_a_reason_for_no_download(tmp_path, monkeypatch):
    requests = []
    monkeypatch.setattr(urllib.request, "urlopen", requests.append)
    error_of(fetch_mnist, tmp_path / "absent")
    assert requests == []


def test_data_that_are_in_no_folder_refuse_one(save, four):
    assert "digits: is not in a folder" in error_of(load_dataset, "digits", "/tmp")
    path = save(**four)
    message = error_of(load_dataset, path, "/tmp")
    assert message == f"{path}: is not in a folder; leave out /tmp"


def test_folder_in_the_home_directory(places, monkeypatch):
    monkeypatch.setenv("HOME", str(places[0].parent))
    assert error_of(fetch_mnist, "~/argument").startswith(str(places[0]))


def test_keras_cache_in_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_HOME")
    cache = tmp_path / ".keras" / "datasets"
    cache.mkdir(parents=True)
    (cache / "mnist.npz").write_bytes(b"damaged")
    assert error_of(fetch_mnist).startswith(str(cache))


def test_keras_cache_where_home_is_not_writable(keras_cache, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    folders = [str(folder) for folder in datasets._keras_folders()]
    assert folders == [str(keras_cache), "/tmp/.keras/datasets"]


# Damaged files


@pytest.mark.parametrize("length", [0, 3, 10, 1000], ids="{}_bytes".format)
def test_truncated_plain_file(copy, mnist_home, length):
    name = "train-labels-idx1-ubyte"
    put(copy, name, content_of(mnist_home, name)[:length])
    message = error_of(fetch_mnist, copy)
    assert message.startswith(f"{copy / name}: truncated, {length} bytes")


def test_truncated_gzip_file(copy, mnist_home):
    path = copy / "train-images-idx3-ubyte.gz"
    packed = path.read_bytes()
    path.unlink()
    path.write_bytes(packed[: len(packed) // 2])
    assert error_of(fetch_mnist, copy).startswith(f"{path}: truncated")


def test_corrupt_gzip_file(copy):
    path = copy / "train-images-idx3-ubyte.gz"
    packed = bytearray(path.read_bytes())
    packed[-8] ^= 1  # in the checksum of gzip
    path.unlink()
    path.write_bytes(packed)
    message = error_of(fetch_mnist, copy)
    assert message.startswith(f"{path}: cannot be read, BadGzipFile")


def test_trailing_garbage(copy, mnist_home):
    name = "train-labels-idx1-ubyte"
    put(copy, name, content_of(mnist_home, name) + b"\0")
    assert "trailing garbage" in error_of(fetch_mnist, copy)


def test_foreign_magic_number(copy, mnist_home):
    name = "train-images-idx3-ubyte"
    put(copy, name, content_of(mnist_home, "train-labels-idx1-ubyte"))
    message = error_of(fetch_mnist, copy)
    assert message == f"{copy / name}: foreign magic number 0x00000801"


def test_test_images_in_the_place_of_training_images(copy, mnist_home):
    name = "train-images-idx3-ubyte"
    put(copy, name, content_of(mnist_home, "t10k-images-idx3-ubyte"))
    assert "size mismatch, not (60000, 28, 28)" in error_of(fetch_mnist, copy)


def test_one_other_pixel_is_a_wrong_checksum(copy, mnist_home):
    name = "t10k-images-idx3-ubyte"
    content = bytearray(content_of(mnist_home, name))
    content[400_000] ^= 1
    put(copy, name, content)
    assert error_of(fetch_mnist, copy).startswith(f"{copy / name}: wrong checksum")


def test_label_above_nine(copy, mnist_home):
    name = "t10k-labels-idx1-ubyte"
    content = bytearray(content_of(mnist_home, name))
    content[8] = 10
    put(copy, name, content)
    assert error_of(fetch_mnist, copy) == f"{copy / name}: labels outside 0-9"


@pytest.mark.parametrize("name", IDX_NAMES)
def test_one_of_four_missing_is_no_reason_to_look_on(copy, places, name):
    (copy / f"{name}.gz").unlink()
    message = error_of(fetch_mnist, copy)
    assert message == f"{copy}: incomplete, lacks {name.split('-idx')[0]}"


def test_npz_with_other_sizes(tmp_path):
    small = np.zeros((10, 28, 28), np.uint8)
    labels = np.zeros(10, np.uint8)
    np.savez(
        tmp_path / "mnist.npz",
        x_train=small,
        y_train=labels,
        x_test=small,
        y_test=labels,
    )
    message = error_of(fetch_mnist, tmp_path)
    assert "size mismatch, uint8 (10, 28, 28) instead of" in message


def test_npz_with_another_pixel(raw, tmp_path):
    other = raw["x_test"].copy()
    other[5, 14, 14] ^= 1
    np.savez(tmp_path / "mnist.npz", **{**raw, "x_test": other})
    assert "wrong checksum" in error_of(fetch_mnist, tmp_path)


# What is no file. Nothing writes to the FIFO: to open it would hang.


def make_fifo(path):
    os.mkfifo(path)


def make_folder(path):
    path.mkdir()


def make_device(path):
    path.symlink_to("/dev/zero")


NO_FILES = {
    "fifo": (make_fifo, "is a pipe (FIFO), not a file"),
    "folder": (make_folder, "is a folder, not a file"),
    "device": (make_device, "is a device, not a file"),
}


@pytest.mark.parametrize("kind", NO_FILES)
def test_npz_that_is_no_file(tmp_path, kind):
    make, reason = NO_FILES[kind]
    make(tmp_path / "own.npz")
    assert error_of(load_npz, tmp_path / "own.npz") == f"{tmp_path}/own.npz: {reason}"
    assert error_of(load_dataset, f"{tmp_path}/own.npz").endswith(reason)


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("name", ["mnist.npz", "train-images-idx3-ubyte"])
def test_mnist_that_is_no_file(tmp_path, kind, name):
    make, reason = NO_FILES[kind]
    for other in IDX_NAMES:
        if name in IDX_NAMES and other != name:
            (tmp_path / other).touch()
    make(tmp_path / name)
    assert error_of(fetch_mnist, tmp_path) == f"{tmp_path / name}: {reason}"


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_a_folder_that_is_none(tmp_path, monkeypatch, how):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    for name in ("file", "fifo"):
        monkeypatch.setenv("SKMNIST_DATA", str(tmp_path / name))
        given = (tmp_path / name,) if how == "argument" else ()
        expected = f"{tmp_path / name}: is no folder; name the one with MNIST"
        assert error_of(fetch_mnist, *given) == expected


def test_a_folder_that_may_not_be_read(monkeypatch):
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else and come back")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0)
        os.seteuid(65534)
        try:
            assert error_of(fetch_mnist, folder) == f"{folder}: may not be read"
        finally:
            os.seteuid(0)


def test_a_file_that_may_not_be_read():
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else and come back")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "own.npz")
        path.touch(mode=0)
        os.chmod(folder, 0o755)
        os.seteuid(65534)
        try:
            message = error_of(load_npz, path)
        finally:
            os.seteuid(0)
    assert message == f"{path}: may not be read: permission denied"


def test_a_link_to_nothing_among_the_files_is_no_reason_to_look_on(copy):
    (copy / "train-images-idx3-ubyte.gz").unlink()
    (copy / "train-images-idx3-ubyte.gz").symlink_to("absent")
    message = error_of(load_dataset, "auto", copy)
    assert message == f"{copy}/train-images-idx3-ubyte.gz: no such file"


# Nothing found; the download


def test_not_found_names_places_and_remedy(tmp_path, keras_cache, monkeypatch):
    monkeypatch.setenv("SKMNIST_DATA", str(tmp_path / "variable"))
    message = error_of(fetch_mnist)
    named = [str(tmp_path / "variable"), str(keras_cache)]
    assert all(place in message for place in named)
    assert "no network in the tests" in message
    assert "put its files there or set SKMNIST_DATA" in message


def test_not_found_is_a_file_not_found_error():
    with pytest.raises(FileNotFoundError):
        fetch_mnist()


def test_no_request_when_no_download_is_wanted(monkeypatch):
    requests = []
    monkeypatch.setattr(urllib.request, "urlopen", requests.append)
    with pytest.raises(DataNotFoundError, match="no download was asked for"):
        fetch_mnist(download_if_missing=False)
    assert requests == []


def test_name_look_up_that_hangs_costs_less_than_ten_seconds(monkeypatch):
    released = threading.Event()

    def hang(*args, **kwargs):
        released.wait(60)
        raise socket.gaierror("released")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(urllib.request, "urlopen", real_urlopen)
    start = time.monotonic()
    with pytest.raises(DataNotFoundError, match="TimeoutError"):
        fetch_mnist()
    assert time.monotonic() - start < 10
    released.set()


@pytest.fixture
def fake_keras(monkeypatch):
    """A network that answers, and a Keras with the `load_data` of the test."""

    def install(load_data):
        config = SimpleNamespace(disable_interactive_logging=lambda: None)
        mnist = SimpleNamespace(load_data=load_data)
        keras = SimpleNamespace(config=config, datasets=SimpleNamespace(mnist=mnist))
        monkeypatch.setitem(sys.modules, "keras", keras)
        monkeypatch.setattr(urllib.request, "urlopen", lambda request: io.BytesIO())

    return install


def test_download_gives_the_same_and_stays_in_the_cache(
    mnist, raw, keras_cache, fake_keras
):
    def load_data(path):
        with (keras_cache / path).open("wb") as file:
            np.savez(file, **raw)
        return (raw["x_train"], raw["y_train"]), (raw["x_test"], raw["y_test"])

    fake_keras(load_data)
    assert fetch_mnist().fingerprint == mnist.fingerprint
    assert [path.name for path in keras_cache.iterdir()] == ["mnist.npz"]


def test_download_that_is_not_mnist_leaves_no_file(keras_cache, fake_keras):
    def load_data(path):
        (keras_cache / path).write_bytes(b"other")
        other = np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.uint8)
        return other, other

    fake_keras(load_data)
    with pytest.raises(DataNotFoundError, match="size mismatch"):
        fetch_mnist()
    assert list(keras_cache.iterdir()) == []


def test_download_that_stops_leaves_no_file(keras_cache, fake_keras, monkeypatch):
    started, released = threading.Event(), threading.Event()

    def load_data(path):
        (keras_cache / path).write_bytes(b"half")
        started.set()
        released.wait(60)

    fake_keras(load_data)
    monkeypatch.setattr(datasets, "_DOWNLOAD_SECONDS", 0.5)
    with pytest.raises(DataNotFoundError, match="TimeoutError"):
        fetch_mnist()
    assert started.is_set()
    assert list(keras_cache.iterdir()) == []
    released.set()


def test_real_keras_is_quiet_and_leaves_no_file(keras_cache):
    code = """
import email.message, io, urllib.request, urllib.response
from skmnist.datasets import DataNotFoundError, fetch_mnist

def answer(request, *args):
    return urllib.response.addinfourl(
        io.BytesIO(b"not the file"), email.message.Message(), "https://example.org"
    )

urllib.request.urlopen = answer
try:
    fetch_mnist()
except DataNotFoundError as error:
    print("hash" in str(error), len(str(error).splitlines()))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert answer.stdout.decode() == "True 1\n"
    assert list(keras_cache.iterdir()) == []


# The digits that ship with scikit-learn


@pytest.fixture(scope="module")
def digits():
    return load_digits_28x28()


def test_digits_shapes_and_types(digits):
    assert (digits.data.shape, digits.data.dtype) == ((1797, 784), np.float32)
    assert (digits.target.shape, digits.target.dtype) == ((1797,), np.int64)


def test_digits_have_the_fields_of_mnist(digits, mnist):
    assert digits.keys() == mnist.keys()
    assert digits.feature_names == mnist.feature_names
    assert digits.target_names.tolist() == mnist.target_names.tolist()


def test_digits_are_scaled_to_one(digits):
    assert (digits.data.min(), digits.data.max()) == (0.0, 1.0)


def test_digits_have_a_margin_of_four(digits):
    pictures = digits.data.reshape(-1, 28, 28).copy()
    inked = pictures.any(axis=0)
    assert inked[4].any() and inked[23].any()
    assert inked[:, 4].any() and inked[:, 23].any()
    pictures[:, 4:24, 4:24] = 0
    assert not pictures.any()


def test_digits_show_what_the_originals_show(digits):
    original = load_digits()
    inner = digits.data.reshape(-1, 28, 28)[:, 4:24, 4:24]
    doubled = inner.repeat(2, axis=1).repeat(2, axis=2)
    pooled = doubled.reshape(-1, 8, 5, 8, 5).mean(axis=(2, 4)).reshape(-1, 64)
    n = len(pooled)
    correlations = np.corrcoef(pooled, original.data)[:n, n:]
    # The best assignment of all rows, since two of the originals nearly agree.
    row, source = linear_sum_assignment(correlations, maximize=True)
    assert correlations[row, source].min() > 0.9
    np.testing.assert_array_equal(digits.target, original.target[source])


def test_digits_parts_are_stratified(digits):
    assert (digits.train, digits.test) == (slice(0, 1437), slice(1437, 1797))
    share = np.bincount(digits.target) * 360 / 1797
    assert np.abs(np.bincount(digits.target[digits.test]) - share).max() < 1


def test_digits_come_in_a_fixed_order(digits):
    assert digits.target[:8].tolist() == [3, 9, 1, 3, 1, 9, 4, 4]
    assert load_digits_28x28().fingerprint == digits.fingerprint


def test_digits_as_a_pair(digits):
    X, y = load_digits_28x28(return_X_y=True)
    np.testing.assert_array_equal(X, digits.data)
    np.testing.assert_array_equal(y, digits.target)


# A user's own file


def rows(n, *shape, dtype=np.uint8, seed=0):
    """Return pictures that all differ; the first pixel is the picture's number."""
    pictures = np.random.default_rng(seed).integers(0, 256, (n, *shape))
    pictures.reshape(n, -1)[:, 0] = np.arange(n)
    return pictures.astype(dtype)


@pytest.fixture
def save(tmp_path):
    def save(**arrays):
        path = tmp_path / "own.npz"
        np.savez(path, **arrays)
        return path

    return save


@pytest.fixture
def four():
    return {
        "x_train": rows(6, 4, 5),
        "y_train": np.array([3, 7] * 3),
        "x_test": rows(2, 4, 5, seed=1),
        "y_test": np.array([7, 3]),
    }


def test_npz_keeps_given_parts_in_their_order(save, four):
    own = load_npz(save(**four))
    assert (own.train, own.test) == (slice(0, 6), slice(6, 8))
    np.testing.assert_array_equal(own.target, [3, 7, 3, 7, 3, 7, 7, 3])
    pictures = np.concatenate([four["x_train"], four["x_test"]]).reshape(8, 20)
    np.testing.assert_array_equal(own.data, pictures / np.float32(255))


def test_npz_has_the_fields_of_the_digits(save, four, digits):
    own = load_npz(save(**four))
    assert own.keys() == digits.keys()
    assert own.feature_names[-1] == "pixel_3_4"
    assert own.target_names.tolist() == ["3", "7"]


def test_npz_without_parts_gets_a_stratified_sixth(save):
    labels = np.array([0, 0, 1] * 20)
    own = load_npz(save(X=rows(60, 4, 4), y=labels))
    assert (own.train, own.test) == (slice(0, 50), slice(50, 60))
    assert np.bincount(own.target[own.test]).tolist() in ([7, 3], [6, 4])


def test_npz_rows_keep_their_labels_when_split(save):
    labels = np.arange(60) % 3
    own = load_npz(save(X=rows(60, 16), y=labels))
    numbers = (own.data[:, 0] * 255).round().astype(int)
    assert sorted(numbers) == list(range(60))
    np.testing.assert_array_equal(own.target, labels[numbers])


def test_npz_is_split_the_same_each_time(save):
    path = save(X=rows(60, 16), y=np.arange(60) % 3)
    assert load_npz(path).fingerprint == load_npz(path).fingerprint


def test_npz_with_mnist_has_the_fingerprint_of_mnist(save, raw, mnist):
    assert load_npz(save(**raw)).fingerprint == mnist.fingerprint


@pytest.mark.parametrize("change", ["picture", "label", "part"])
def test_fingerprint_tells_data_sets_apart(save, four, change):
    before = load_npz(save(**four)).fingerprint
    if change == "picture":
        four["x_test"][1, 3, 4] ^= 1
    elif change == "label":
        four["y_test"] = four["y_test"][::-1]
    else:
        four = {
            "x_train": np.concatenate([four["x_train"], four["x_test"][:1]]),
            "y_train": np.append(four["y_train"], four["y_test"][:1]),
            "x_test": four["x_test"][1:],
            "y_test": four["y_test"][1:],
        }
    assert load_npz(save(**four)).fingerprint != before


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, ">i2"])
def test_npz_divides_whole_numbers(save, dtype):
    X = rows(12, 16, dtype=dtype)
    own = load_npz(save(X=X, y=[0, 1] * 6))
    expected = np.sort(X[:, 1].astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(np.sort(own.data[:, 1]), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_npz_keeps_floats_up_to_1(save, dtype):
    X = (rows(12, 16) / 255).astype(dtype)
    own = load_npz(save(X=X, y=[0, 1] * 6))
    assert own.data.dtype == np.float32
    expected = np.sort(X[:, 1]).astype(np.float32)
    np.testing.assert_array_equal(np.sort(own.data[:, 1]), expected)


def test_npz_with_text_labels(save):
    own = load_npz(save(X=rows(12, 16), y=["cat", "snail"] * 6))
    assert own.target.dtype.kind == "U"
    assert own.target_names.tolist() == ["cat", "snail"]


def test_npz_with_small_label_type(save):
    own = load_npz(save(X=rows(12, 16), y=np.array([-1, 1] * 6, np.int8)))
    assert own.target.dtype == np.int64
    assert own.target_names.tolist() == ["-1", "1"]


def test_npz_not_there(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"none\.npz: no such file"):
        load_npz(tmp_path / "none.npz")


def test_npz_lacking_arrays_names_those_it_has(save):
    message = error_of(load_npz, save(images=rows(2, 4), y=[0, 1]))
    assert "lacks x_train, y_train, x_test, y_test or X, y" in message
    assert "holds ['images', 'y']" in message


@pytest.mark.parametrize(
    "content",
    [b"", b"plain text", b"PK\x03\x04 cut off"],
    ids=["empty", "text", "cut off"],
)
def test_npz_that_is_none(tmp_path, content):
    path = tmp_path / "own.npz"
    path.write_bytes(content)
    assert error_of(load_npz, path) == f"{path}: cannot be read, no NumPy archive"


def test_npz_that_is_one_array(tmp_path):
    path = tmp_path / "own.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    assert "no NumPy archive" in error_of(load_npz, path)


def test_npz_with_a_damaged_array(save):
    path = save(X=np.zeros((12, 16), np.uint8), y=[0, 1] * 6)
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    assert error_of(load_npz, path).startswith(f"{path}: cannot be read, BadZipFile")


class Trap:
    """An object that notes when it is unpickled."""

    sprung = []

    def __reduce__(self):
        return self.sprung.append, (True,)


@pytest.mark.parametrize("key", ["X", "y"])
def test_npz_never_unpickles(save, key):
    arrays = {"X": rows(2, 4), "y": np.array([0, 1])}
    arrays[key] = np.array([Trap(), Trap()], dtype=object)
    assert "which are not loaded" in error_of(load_npz, save(**arrays))
    assert Trap.sprung == []


BAD_ARRAYS = {
    "no_rows": ({"X": np.zeros((0, 4)), "y": np.zeros(0, int)}, "needed are"),
    "no_pixels": ({"X": np.zeros((12, 0))}, "needed are"),
    "one_row": ({"X": np.zeros(12)}, "needed are"),
    "colour": ({"X": np.zeros((12, 4, 4, 3))}, "needed are"),
    "text_pixels": ({"X": np.full((12, 4), "a")}, "needed are"),
    "complex_pixels": ({"X": np.zeros((12, 4), complex)}, "needed are"),
    "lengths": ({"y": np.array([0, 1])}, "pictures uint8 (12, 16), labels int64 (2,)"),
    "two_columns": ({"y": np.zeros((12, 2), int)}, "needed are"),
    "halves": ({"y": np.arange(12) / 2}, "labels that are no whole numbers, such as"),
    "no_label": ({"y": np.array([np.nan] + [0, 1] * 5 + [0])}, "missing (NaN)"),
    "nan": ({"X": np.full((12, 4), np.nan)}, "not finite"),
    "float64_too_large": ({"X": np.full((12, 4), 1e300)}, "not finite"),
    "one_class": ({"y": np.ones(12, int)}, "one class"),
    "one_row_of_a_class": ({"y": np.array([0, 1] + [0] * 10)}, "too few rows"),
    "too_many_classes": ({"y": np.arange(12) // 2}, "too few rows"),
}


@pytest.mark.parametrize("bad", BAD_ARRAYS)
def test_npz_with_bad_arrays(save, bad):
    arrays, reason = BAD_ARRAYS[bad]
    path = save(**{"X": rows(12, 16), "y": np.array([0, 1] * 6), **arrays})
    message = error_of(load_npz, path)
    assert message.startswith(f"{path}: ")
    assert reason in message


BAD_PARTS = {
    "no_test_rows": (
        {"x_test": np.zeros((0, 4, 5)), "y_test": np.zeros(0, int)},
        "needed are",
    ),
    "other_size": (
        {"x_test": rows(2, 5, 4)},
        "numbers (4, 5) to train, whole numbers (5, 4)",
    ),
    "other_scale": ({"x_test": np.zeros((2, 4, 5))}, "numbers (4, 5) to train, floats"),
    "unknown_class": ({"y_test": np.array([7, 8])}, "unknown in training: [8]"),
    "text_and_numbers": ({"y_test": np.array(["3", "x"])}, "unknown in training"),
    "one_class": ({"y_train": np.full(6, 3)}, "one class to train with"),
}


@pytest.mark.parametrize("bad", BAD_PARTS)
def test_npz_with_parts_that_do_not_fit(save, four, bad):
    arrays, reason = BAD_PARTS[bad]
    assert reason in error_of(load_npz, save(**{**four, **arrays}))


# Digits asked for


def test_check_digits_accepts_digits(digits):
    assert check_digits(digits) is None


@pytest.mark.parametrize("labels", [[0, 10], [-1, 3], ["0", "1"]])
def test_check_digits_refuses_others(labels):
    message = error_of(check_digits, Bunch(target=np.array(labels), name="own"))
    assert message.startswith("own: labels outside 0-9 where digits are asked for")


# The names of the command line


@pytest.mark.parametrize("name", ["mnist", "auto"])
def test_load_dataset_mnist(mnist, monkeypatch, name):
    homes = {"a folder": mnist}
    monkeypatch.setattr(datasets, "fetch_mnist", homes.__getitem__)
    dataset = load_dataset(name, "a folder")
    assert (dataset.name, dataset.note) == ("mnist", "")
    assert dataset.fingerprint == mnist.fingerprint


def test_load_dataset_digits(digits):
    dataset = load_dataset("digits")
    assert (dataset.name, dataset.note) == ("digits", "")
    assert dataset.fingerprint == digits.fingerprint


def test_load_dataset_file(save, four):
    dataset = load_dataset(str(save(**four)))
    said = "Pixels from 0 to 255, scaled from 0..255 to 0..1"
    assert (dataset.name, dataset.note) == ("own", said)
    assert dataset.data.shape == (8, 20)


def test_load_dataset_auto_falls_back_and_says_so(digits):
    dataset = load_dataset("auto")
    assert (dataset.name, dataset.fingerprint) == ("digits", digits.fingerprint)
    assert "digits that ship with scikit-learn stand in for MNIST" in dataset.note
    assert "no network in the tests" in dataset.note


def test_load_dataset_auto_does_not_hide_damage(places):
    assert "cannot be read" in error_of(load_dataset, "auto")


def test_load_dataset_mnist_does_not_fall_back():
    with pytest.raises(DataNotFoundError):
        load_dataset("mnist")


def test_load_dataset_unknown_name():
    message = error_of(load_dataset, "emnist")
    assert message.startswith(
        "emnist: unknown data set, and no such file or folder; use auto, mnist, "
    )
