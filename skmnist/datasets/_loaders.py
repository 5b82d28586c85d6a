"""Load MNIST, the digits that ship with scikit-learn, or your own file."""

# SPDX-License-Identifier: BSD-3-Clause

import gzip
import hashlib
import os
import shutil
import threading
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from .._io import atomic_write, check_readable_file, may_access, temporary_path

StrPath: TypeAlias = str | os.PathLike[str]
Array: TypeAlias = NDArray[Any]
Answer = TypeVar("Answer")

# Keras' keys, the names and shapes of the IDX files, the checksums of their content.
_KEYS = ("x_train", "y_train", "x_test", "y_test")
_STEMS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
_SHAPES = ((60000, 28, 28), (60000,), (10000, 28, 28), (10000,))
_SHA256 = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
_ANSWER_SECONDS, _DOWNLOAD_SECONDS = 4, 300


class DataError(ValueError):
    """Data cannot be used. The message is one line and names the file."""


class DataNotFoundError(DataError, FileNotFoundError):
    """The data are not there, nor in any of the places where they may be."""


@overload
def fetch_mnist(
    data_home: StrPath | None = None,
    *,
    download_if_missing: bool = True,
    return_X_y: Literal[False] = False,
) -> Bunch: ...


@overload
def fetch_mnist(
    data_home: StrPath | None = None,
    *,
    download_if_missing: bool = True,
    return_X_y: Literal[True],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]: ...


def fetch_mnist(
    data_home: StrPath | None = None,
    *,
    download_if_missing: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Load MNIST from a folder, the Keras cache or the network.

    Three folders are searched, in this order: `data_home`, ``$SKMNIST_DATA`` and the
    Keras cache. The first one with data is used. It holds the four IDX files, plain or
    gzip, or Keras' ``mnist.npz``.
    Source: LeCun, Bottou, Bengio and Haffner, Proc. IEEE 86(11), 2278-2324, 1998.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder to search first.
    download_if_missing : bool, default=True
        Let Keras download 11 MB. Without a network this fails within ten seconds.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    mnist : :class:`~sklearn.utils.Bunch` or tuple ``(data, target)``
        - data : float32 ndarray of shape (70000, 784), one picture per row, grey
          values from 0 (background) to 1 (ink), in the published order
        - target : int64 ndarray of shape (70000,), the digits
        - train, test : slice, the first 60,000 and the last 10,000 rows
        - feature_names, target_names : ``pixel_<row>_<column>``; the classes, as str
        - DESCR : str, where the data come from
        - fingerprint : str, SHA-256 of the content; the form of the files does not
          change it

    Raises
    ------
    DataError
        If there are no data (DataNotFoundError), if they are not MNIST as published,
        or if one of the four files is damaged or missing.

    Examples
    --------
    >>> X, y = fetch_mnist(return_X_y=True)  # doctest: +SKIP
    """
    named = filter(None, (data_home, os.environ.get("SKMNIST_DATA")))
    folders = [_check_folder(Path(os.path.expanduser(folder))) for folder in named]
    folders += _keras_folders()
    arrays = next(filter(None, map(_read_folder, folders)), None)
    reason = "no download was asked for"
    try:
        arrays = arrays or (_download() if download_if_missing else None)
    except Exception as error:  # Keras raises bare exceptions
        reason = f"{_URL} cannot be downloaded, {error!r}"
    if not arrays:
        where = f"MNIST is in none of {', '.join(map(str, folders))}, and {reason}"
        raise DataNotFoundError(f"{where}; put its files there or set SKMNIST_DATA")
    bunch = make_bunch(
        arrays, "MNIST (LeCun, Cortes and Burges; CC BY-SA 3.0) in [0, 1]"
    )
    return (bunch.data, bunch.target) if return_X_y else bunch


@overload
def load_digits_28x28(*, return_X_y: Literal[False] = False) -> Bunch: ...


@overload
def load_digits_28x28(
    *, return_X_y: Literal[True]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]: ...


def load_digits_28x28(
    *, return_X_y: bool = False
) -> Bunch | tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Load the digits that ship with scikit-learn, in the format of MNIST.

    The pictures of 8 x 8 pixels are enlarged to 20 x 20 by linear interpolation and
    get the margin of MNIST, 4 pixels. The rows come in a shuffled order that is always
    the same, and the test part has the same share of each digit.
    Source: Alpaydin and Kaynak, UCI, 1998, https://doi.org/10.24432/C50P49

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    digits : :class:`~sklearn.utils.Bunch` or tuple ``(data, target)``
        As from :func:`fetch_mnist`, with data of shape (1797, 784) and target of shape
        (1797,). The first 1,437 rows are `train`, the last 360 `test`.

    Examples
    --------
    >>> load_digits_28x28().data.shape
    (1797, 784)
    """
    digits = load_digits()
    large = zoom(digits.images, (1, 2.5, 2.5), order=1, mode="nearest", grid_mode=True)
    pictures = np.pad(large / 16, ((0, 0), (4, 4), (4, 4)))
    arrays = split_stratified(pictures, digits.target, test_size=360)
    bunch = make_bunch(arrays, "The digits of scikit-learn, at 28 x 28, in [0, 1]")
    return (bunch.data, bunch.target) if return_X_y else bunch


def load_npz(path: StrPath) -> Bunch:
    """Load pictures and labels from a NumPy archive. Pickles are refused.

    Parameters
    ----------
    path : str or path-like
        An ``.npz`` file with ``x_train``, ``y_train``, ``x_test`` and ``y_test``, or
        with ``X`` and ``y``. Of the latter, a sixth of each class becomes the test
        part; it is always the same one.
        Pictures have the shape (n, height, width) or (n, n_features). Whole numbers
        must be from 0 to 255 and are divided by 255. Floating-point numbers are kept.
        Labels have the shape (n,) and are whole numbers or text.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        As from :func:`fetch_mnist`, with data of shape (n_samples, n_features), the
        training part first, and an int64 or str target of shape (n_samples,).

    Raises
    ------
    DataError
        If the file is missing (DataNotFoundError), or its content cannot be used.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/own.npz", X=np.eye(12), y=["cat", "dog"] * 6)
    ...     load_npz(f"{folder}/own.npz").target_names.tolist()
    ['cat', 'dog']
    """
    _check_file(path, DataNotFoundError)
    arrays = _read_npz(path, _KEYS, ("X", "y"))
    for i in range(0, len(arrays), 2):
        arrays[i] = _check_pair(path, *arrays[i : i + 2])
    counts = np.unique(arrays[1], return_counts=True)[1]
    _require(len(counts) > 1, path, "one class to train with, at least 2 are needed")
    if len(arrays) == 2:
        enough = counts.min() > 1 and counts.sum() >= 6 * len(counts)
        _require(enough, path, "too few rows of a class for a stratified test part")
        arrays = split_stratified(*arrays, test_size=1 / 6)
    train, test = (f"{x.dtype} {x.shape[1:]}" for x in arrays[::2])
    _require(train == test, path, f"pictures {train} to train, {test} to test")
    unknown = np.setdiff1d(arrays[3], arrays[1]).tolist()
    _require(not unknown, path, f"test labels unknown in training: {unknown[:5]}")
    return make_bunch(arrays, f"Loaded from {path}")


def check_digits(bunch: Bunch) -> None:
    """Raise DataError unless all labels of a data set are digits from 0 to 9.

    Parameters
    ----------
    bunch : :class:`~sklearn.utils.Bunch`
        A data set with a `target` of shape (n_samples,).

    Raises
    ------
    DataError
        If a label is text, or a number outside 0-9.

    Examples
    --------
    >>> check_digits(load_digits_28x28())
    """
    others = sorted(set(bunch.target.tolist()) - set(range(10)))
    what = f"labels outside 0-9 where digits are asked for: {others[:5]}"
    _require(not others, bunch.get("name", "data set"), what)


def _keras_folders() -> list[Path]:
    """Return where Keras keeps data: at home, or in /tmp if home is not writable."""
    home = Path(os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras"))
    homes = [home] if os.access(home, os.W_OK) else [home, Path("/tmp/.keras")]
    return [home / "datasets" for home in homes]


def _check_folder(folder: Path) -> Path:
    """Return a folder that the user names, which may be missing, if it can be read."""
    missing = not folder.exists()
    _require(
        missing or folder.is_dir(), folder, "is no folder; name the one with MNIST"
    )
    readable = missing or may_access(folder, os.R_OK | os.X_OK)
    _require(readable, folder, "may not be read")
    return folder


def _check_file(path: StrPath, missing: type["DataError"] = DataError) -> None:
    """Raise DataError unless a path is a file that may be read; see `_io`."""
    try:
        check_readable_file(path)
    except OSError as error:
        kind = missing if isinstance(error, FileNotFoundError) else DataError
        raise kind(f"{path}: {error.strerror}") from error


def _read_folder(folder: Path) -> list[Array] | None:
    """Return the four checked arrays in a folder (plain before gzip), or None."""
    paths = [min(folder.glob(f"{s}[-.]idx?-ubyte*"), default=None) for s in _STEMS]
    found = [path for path in paths if path]
    if len(found) == len(_STEMS):
        return _check_mnist(found, map(_read_idx, found, _SHAPES))
    if (npz := folder / "mnist.npz").exists():
        return _check_mnist([npz] * 4, _read_npz(npz, _KEYS))
    lacks = [stem for stem, path in zip(_STEMS, paths, strict=True) if not path]
    _require(not found, folder, f"incomplete, lacks {', '.join(lacks)}")
    return None


def _header(shape: tuple[int, ...]) -> bytes:
    """Return the first bytes of an IDX file: its type, dimensions and sizes."""
    return bytes((0, 0, 8, len(shape))) + np.array(shape, ">u4").tobytes()


def _read_idx(path: Path, shape: tuple[int, ...]) -> Array:
    """Read an IDX file, plain or gzip; its content says which."""
    _check_file(path)
    header = _header(shape)
    size = len(header) + int(np.prod(shape))
    try:
        with open(path, "rb") as file:
            opener = gzip.open if file.read(2) == b"\x1f\x8b" else open
        with opener(path, "rb") as file:
            content = file.read(size + 1)  # one more byte shows trailing garbage
    except (OSError, EOFError, zlib.error) as error:
        what = "truncated" if isinstance(error, EOFError) else "cannot be read"
        raise DataError(f"{path}: {what}, {error!r}") from error
    start, magic, n = content[: len(header)], content[:4], len(content)
    _require(header.startswith(magic), path, f"foreign magic number 0x{magic.hex()}")
    _require(header.startswith(start), path, f"size mismatch, not {shape}")
    _require(n >= size, path, f"truncated, {n} bytes instead of {size}")
    _require(n <= size, path, f"trailing garbage after {size} bytes")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def _check_mnist(places: Sequence[StrPath], arrays: Iterable[Array]) -> list[Array]:
    """Return the four arrays if they are MNIST as published."""
    arrays = list(arrays)
    for where, x, shape, sha256 in zip(places, arrays, _SHAPES, _SHA256, strict=True):
        found, due = f"{x.dtype} {x.shape}", f"uint8 {shape}"
        _require(found == due, where, f"size mismatch, {found} instead of {due}")
        _require(x.ndim > 1 or x.max() <= 9, where, "labels outside 0-9")
        # The digest of the IDX file's bytes, also if the array comes from an npz file.
        digest = hashlib.sha256(_header(shape))
        digest.update(np.ascontiguousarray(x))
        _require(digest.hexdigest() == sha256, where, "wrong checksum, not MNIST")
    return arrays


def _download() -> list[Array]:
    """Let Keras download MNIST into its cache, and return the four arrays."""
    # Keras and urllib have no limit for the time of a name's look-up, or of an answer
    # that comes byte by byte. So ask first, in a thread that can be left alone, before
    # TensorFlow starts, and through the same proxies.
    probe = urllib.request.Request(_URL, method="HEAD")
    _within(_ANSWER_SECONDS, lambda: urllib.request.urlopen(probe).close())
    import keras

    def download():
        keras.config.disable_interactive_logging()  # for this thread alone
        return keras.datasets.mnist.load_data(partial.name)

    # Keras writes in place; under this name half a file is not taken for MNIST.
    final = _keras_folders()[-1] / "mnist.npz"
    partial = temporary_path(final)
    try:
        train, test = _within(_DOWNLOAD_SECONDS, download)
        arrays = _check_mnist([_URL] * 4, (*train, *test))
        if partial.exists():
            with open(partial, "rb") as source, atomic_write(final, "wb") as file:
                shutil.copyfileobj(source, file)
        return arrays
    finally:  # a thread that is left alone goes on with a file that has no name
        partial.unlink(missing_ok=True)


def _within(seconds: float, work: Callable[[], Answer]) -> Answer:
    """Return the result of `work`; after some seconds raise TimeoutError.

    The work then goes on in its thread, which does not keep the process alive.
    """
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result(seconds)


def _read_npz(path: StrPath, *layouts: tuple[str, ...]) -> list[Array]:
    """Return the arrays of the first of `layouts` (tuples of keys) found."""
    _check_file(path)
    # np.load would also accept a file with a single array.
    _require(zipfile.is_zipfile(path), path, "cannot be read, no NumPy archive")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            found = archive.files
            keys = next((keys for keys in layouts if set(keys) <= set(found)), ())
            arrays = [np.asarray(archive[key]) for key in keys]
    except Exception as error:  # zipfile, zlib and NumPy have their own errors
        raise DataError(f"{path}: cannot be read, {error!r}") from error
    lacks = " or ".join(map(", ".join, layouts))
    _require(bool(keys), path, f"lacks {lacks}; holds {found or 'nothing'}")
    return arrays


def _check_pair(path: StrPath, x: Array, y: Array) -> Array:
    """Check pictures and labels; return the pictures as uint8 or float32."""
    shaped = x.ndim in (2, 3) and y.ndim == 1 and x.size > 0 and len(x) == len(y)
    typed = x.dtype.kind in "biuf" and y.dtype.kind in "biuU"
    found = f"pictures {x.dtype} {x.shape}, labels {y.dtype} {y.shape}"
    due = "(n, h, w) or (n, d) numbers, (n,) whole numbers or text"
    _require(shaped and typed, path, f"{found}; needed are {due}")
    if x.dtype.kind in "iu":
        _require(x.min() >= 0 and x.max() <= 255, path, "pixels outside 0-255")
        return x.astype(np.uint8, copy=False)
    with np.errstate(over="ignore"):  # becomes infinite, which is checked below
        x = x.astype(np.float32, copy=False)
    _require(np.isfinite(x).all(), path, "pixels that are not finite in float32")
    return x


def split_stratified(X: Array, y: Array, test_size: float | int) -> list[Array]:
    """Split rows, with the same share of each class in both parts.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
        Pictures or other rows.
    y : ndarray of shape (n_samples,)
        Labels.
    test_size : float or int
        Size of the test part: a fraction, or a number of rows.

    Returns
    -------
    arrays : list of ndarray
        x_train, y_train, x_test and y_test; they are always the same.
    """
    rows = np.arange(len(y))
    parts = train_test_split(rows, test_size=test_size, stratify=y, random_state=0)
    return [array[part] for part in parts for array in (X, y)]


def make_bunch(arrays: Sequence[Array], descr: str) -> Bunch:
    """Join the arrays of a data set into the Bunch that loaders return.

    Parameters
    ----------
    arrays : sequence of four ndarrays
        x_train, y_train, x_test and y_test. Rows of type uint8 are divided by 255.
    descr : str
        Where the data come from.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        See :func:`fetch_mnist`.
    """
    pictures, labels = arrays[::2], arrays[1::2]
    data = np.concatenate([x.reshape(len(x), -1) for x in pictures], dtype=np.float32)
    if pictures[0].dtype == np.uint8:
        data /= 255
    target = np.concatenate(labels)
    target = target if target.dtype.kind == "U" else target.astype(np.int64)
    n_train, n = len(labels[0]), len(target)
    # Labels as Python values: NumPy's type has the length of the longest text.
    digest = hashlib.sha256(repr((n_train, data.shape, target.tolist())).encode())
    digest.update(data)
    pixels = np.ndindex(pictures[0].shape[1:])
    return Bunch(
        data=data,
        target=target,
        train=slice(0, n_train),
        test=slice(n_train, n),
        feature_names=["_".join(("pixel", *map(str, pixel))) for pixel in pixels],
        target_names=np.unique(target).astype(np.str_),
        fingerprint=digest.hexdigest(),
        DESCR=descr,
    )


def _require(condition: bool, where: object, what: str) -> None:
    """Raise DataError with a place and a reason unless a condition holds."""
    if not condition:
        raise DataError(f"{where}: {what}")
