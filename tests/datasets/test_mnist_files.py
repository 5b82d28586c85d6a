"""MNIST under the names and in the forms of common downloads.

The content is a small stand-in, so that a test writes and reads it at once.
"""

# SPDX-License-Identifier: BSD-3-Clause

import gzip
import hashlib
import os
import shutil
import sys
import types

import numpy as np
import pytest

from skmnist.datasets import DataError, DataNotFoundError, _mnist_files
from skmnist.datasets._loaders import fetch_mnist

DASHES = [
    f"{stem}-idx{3 - i % 2 * 2}-ubyte" for i, stem in enumerate(_mnist_files.STEMS)
]
DOTS = [name.replace("-idx", ".idx") for name in DASHES]


def idx(array):
    return _mnist_files._header(array.shape) + array.tobytes()


def made(seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((12, 28, 28), (12,), (4, 28, 28), (4,))
    tops = (256, 10, 256, 10)
    return [rng.integers(0, t, s, np.uint8) for s, t in zip(shapes, tops, strict=True)]


@pytest.fixture
def four(monkeypatch, tmp_path):
    """The four arrays of what stands in for MNIST; no other place has it."""
    arrays = made()
    monkeypatch.setattr(_mnist_files, "SHAPES", tuple(x.shape for x in arrays))
    sums = tuple(hashlib.sha256(idx(x)).hexdigest() for x in arrays)
    monkeypatch.setattr(_mnist_files, "_SHA256", sums)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("SKMNIST_DATA", raising=False)
    return arrays


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def put(folder, names, arrays, packed=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(names, arrays, strict=True):
        content = gzip.compress(idx(array)) if packed else idx(array)
        (folder / name).write_bytes(content)


def table(x, y, label_last=False):
    columns = [x.reshape(len(x), -1), y[:, None]]
    return np.hstack(columns if label_last else columns[::-1])


def csv(path, x, y, head="", **options):
    np.savetxt(path, table(x, y, **options), "%d", ",", header=head, comments="")


def is_read(place, four):
    found = fetch_mnist(place, download_if_missing=False)
    pixels = np.concatenate([x.reshape(len(x), -1) for x in four[::2]])
    np.testing.assert_array_equal(found.data, pixels.astype(np.float32) / 255)
    np.testing.assert_array_equal(found.target, np.concatenate(four[1::2]))
    assert found.train.stop == len(four[1])


NAMES = {
    "dashes": DASHES,
    "dots": DOTS,
    "capitals": [name.upper() for name in DASHES],
    "short": list(_mnist_files.STEMS),
    "underscores": [name.replace("-", "_") for name in DASHES],
    "EMNIST": [f"emnist-mnist-{n.replace('t10k', 'test')}" for n in DASHES],
    "prefix": [f"mnist_{name}" for name in DOTS],
    "singular": [name.replace("s-idx", "-idx") for name in DASHES],
    "suffix": [f"{stem}.idx" for stem in _mnist_files.STEMS],
    "copies": [f"{name} (1)" for name in DASHES],
    "mixed": [DASHES[0], DOTS[1], DASHES[2].upper(), DOTS[3]],
}


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_names_of_idx_files(names, packed, four, home):
    suffix = ".gz" if packed else ""
    put(home, [f"{name}{suffix}" for name in NAMES[names]], four, packed)
    is_read(home, four)


@pytest.mark.parametrize(
    "below",
    ["raw", "MNIST/raw", "mnist", "data/mnist_dataset/raw"],
)
def test_folders_below(below, four, home):
    put(home / below, DASHES, four)
    is_read(home, four)


@pytest.mark.parametrize("beside", [True, False], ids=["beside files", "alone"])
def test_each_file_in_a_folder_of_its_name(beside, four, home):
    for name, array in zip(DASHES, four, strict=True):
        put(home / name, [name], [array])
    if beside:
        put(home, DOTS, four)
    is_read(home, four)


def test_folders_of_the_names_beside_the_files(four, home):
    put(home, DOTS, four)
    for name in DASHES:
        (home / name).mkdir()
    is_read(home, four)


def test_mnist_beside_its_kin(four, home):
    put(home / "FashionMNIST" / "raw", DASHES, made(1))
    put(home / "KMNIST" / "raw", DASHES, made(2))
    put(home / "MNIST" / "raw", DASHES, four)
    is_read(home, four)


def test_a_whole_file_beside_a_damaged_one(four, home):
    put(home, DASHES, four)
    (home / DASHES[0]).write_bytes(b"half")
    put(home, [f"{name}.gz" for name in DASHES], four, packed=True)
    is_read(home, four)


@pytest.mark.parametrize("name", ["mnist.npz", "MNIST.NPZ", "mnist (1).npz"])
@pytest.mark.parametrize(
    "keys",
    [
        "x_train y_train x_test y_test",
        "train_images train_labels test_images test_labels",
    ],
)
def test_archives_of_numpy(name, keys, four, home):
    with open(home / name, "wb") as file:
        np.savez(file, **dict(zip(keys.split(), four, strict=True)))
    is_read(home, four)


def test_the_path_of_an_archive_of_numpy(four, home):
    np.savez(
        home / "mnist.npz",
        **dict(zip(["x_train", "y_train", "x_test", "y_test"], four, strict=True)),
    )
    is_read(home / "mnist.npz", four)


def test_rows_and_wider_types_in_an_archive(four, home):
    x, y, x_test, y_test = four
    np.savez(
        home / "mnist.npz",
        x_train=x.reshape(12, 784).astype(int),
        y_train=y[:, None].astype(np.int64),
        x_test=x_test[..., None],
        y_test=y_test,
    )
    is_read(home, four)


def test_files_of_numpy(four, home):
    for name, array in zip(
        ("x_train", "y_train", "x_test", "y_test"), four, strict=True
    ):
        np.save(home / f"{name}.npy", array)
    is_read(home, four)


HEAD = ",".join(["label", *(f"{i}x{j}" for i in range(28) for j in range(28))])


@pytest.mark.parametrize(
    ("train", "test", "head", "last"),
    [
        ("mnist_train.csv", "mnist_test.csv", HEAD, False),
        ("mnist_train.csv", "mnist_test.csv", "", False),
        ("train.csv", "test.csv", HEAD.removeprefix("label,") + ",label", True),
        ("mnist_train.csv.gz", "mnist_test.csv.gz", HEAD, False),
        ("mnist_train.csv/mnist_train.csv", "mnist_test.csv/mnist_test.csv", HEAD, 0),
    ],
    ids=["Kaggle", "no head", "label last", "gzip", "folders"],
)
def test_tables_of_text(train, test, head, last, four, home):
    for name, x, y in ((train, *four[:2]), (test, *four[2:])):
        (home / name).parent.mkdir(exist_ok=True)
        csv(home / name, x, y, head, label_last=last)
    is_read(home, four)


@pytest.mark.parametrize(
    "name",
    [
        "openml/openml.org/data/v1/download/52667/mnist_784.arff.gz",
        "mnist_784.arff",
        "openml/openml.org/data/v1/download/52667.gz",
    ],
)
def test_openml(name, four, home):
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    attributes = [f"@ATTRIBUTE pixel{i} real" for i in range(784)]
    head = "\n".join(
        [
            "% MNIST",
            "@RELATION mnist_784",
            *attributes,
            "@ATTRIBUTE class {0,1}",
            "",
            "@DATA",
        ]
    )
    x, y = np.concatenate(four[::2]), np.concatenate(four[1::2])
    csv(path, x, y, head, label_last=True)
    is_read(home, four)


def test_hugging_face(four, home, monkeypatch):
    import io

    from PIL import Image

    def png(picture):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        return {"bytes": file.getvalue(), "path": None}

    tables = {
        "train": {"image": list(map(png, four[0])), "label": four[1].tolist()},
        "test": {"image": list(map(png, four[2])), "label": four[3].tolist()},
    }
    folder = home / "datasets--ylecun--mnist" / "snapshots" / "77f3" / "mnist"
    folder.mkdir(parents=True)
    for part in tables:
        (folder / f"{part}-00000-of-00001.parquet").touch()

    def read_table(path, columns):
        found = tables[path.name.split("-")[0]]
        return types.SimpleNamespace(to_pydict=lambda: {n: found[n] for n in columns})

    parquet = types.SimpleNamespace(read_table=read_table)
    # Not a dependency: what is missing is said.
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="install it with 'pip install pyarrow'"):
        fetch_mnist(home)
    arrow = types.SimpleNamespace(parquet=parquet)
    monkeypatch.setitem(sys.modules, "pyarrow", arrow)
    is_read(home, four)


# What is not MNIST


@pytest.mark.parametrize(
    "names",
    [DASHES, [f"emnist-digits-{name}" for name in DASHES]],
    ids=["Fashion", "EMNIST"],
)
def test_other_content_is_named(names, four, home):
    put(home, names, made(1))
    with pytest.raises(DataError, match=f"{names[0]}: wrong checksum, not MNIST"):
        fetch_mnist(home)


def test_other_sizes_of_a_table(four, home):
    csv(home / "train.csv", four[0][:3], four[1][:3], HEAD)
    (home / "test.csv").write_text(HEAD.removeprefix("label,") + "\n")
    with pytest.raises(
        DataError, match=r"train\.csv: size mismatch, uint8 \(3, 28, 28\)"
    ):
        fetch_mnist(home)


@pytest.mark.parametrize("name", ["train_images", "mnist_train.csv", "mnist.npz.d"])
def test_folders_that_only_have_such_names(name, four, home):
    (home / name).mkdir()
    with pytest.raises(DataNotFoundError, match="no MNIST in this folder"):
        fetch_mnist(home)


def test_fifos_of_all_names_do_not_hang(four, home):
    names = [
        "mnist_train.csv",
        "mnist_test.csv",
        "mnist (1).npz",
        "mnist_784.arff",
        *DASHES,
        "x_train.npy",
        "y_train.npy",
        "x_test.npy",
        "y_test.npy",
        "train.parquet",
        "test.parquet",
    ]
    for name in names:
        os.mkfifo(home / name)
    with pytest.raises(DataError, match="FIFO"):
        fetch_mnist(home)


def test_a_variable_names_a_folder_of_many_data_sets(four, home, monkeypatch):
    put(home / "FashionMNIST" / "raw", DASHES, made(1))
    monkeypatch.setenv("SKMNIST_DATA", str(home))
    with pytest.raises(DataNotFoundError, match="MNIST is in none of"):
        fetch_mnist(download_if_missing=False)
    put(home / "MNIST" / "raw", DASHES, four)
    is_read(None, four)


def test_the_cache_of_keras_may_hold_other_data(four, home, tmp_path):
    cache = tmp_path / "keras" / "datasets"
    put(cache / "fashion-mnist", DASHES, made(1))
    with pytest.raises(DataNotFoundError):
        fetch_mnist(download_if_missing=False)
    put(home, DASHES, four)
    shutil.copytree(home, cache, dirs_exist_ok=True)
    is_read(None, four)
