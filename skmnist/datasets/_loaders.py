"""Load MNIST, the digits that ship with scikit-learn, or your own file."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import hashlib
import os
import shutil
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from .._io import atomic_write, may_access, temporary_path, user_path
from .._startup import quiet_import
from ._files import (
    CLASS_NAMES_KEYS,
    FOUR_KEYS,
    NUMBERED_KEYS,
    TWO_KEYS,
    Array,
    DataError as DataError,
    DataNotFoundError as DataNotFoundError,
    StrPath,
    check_file,
    read_npz,
    require,
)
from ._labels import join_labels, plain_labels
from ._mnist_files import check_mnist, find_mnist
from ._pixels import find_scale, rescaled

Answer = TypeVar("Answer")

_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
_ANSWER_SECONDS, _DOWNLOAD_SECONDS = 4, 300
# What is said of data that come in one part.
SPLIT = "A sixth of each class is the test part"


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

    If you name a folder, MNIST must be there. Else the folder ``$SKMNIST_DATA`` and the
    Keras cache are searched; the first with MNIST is used. A folder holds the four IDX
    files, plain or gzip, or Keras' ``mnist.npz``. A folder that you name may also hold
    another common form of MNIST (the guide lists them), or have it in a folder below,
    such as ``MNIST/raw``.
    Source: LeCun, Bottou, Bengio and Haffner, Proc. IEEE 86(11), 2278-2324, 1998.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder with MNIST. No other place is searched then, and nothing is
        downloaded. It may also be the path of ``mnist.npz``.
    download_if_missing : bool, default=True
        Let Keras download 11 MB, unless `data_home` is given. Without a network this
        fails within ten seconds.
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
    arrays, places = _read_first(data_home)
    reason = "no download was asked for"
    try:
        arrays = arrays or (_download() if download_if_missing else None)
    except Exception as error:  # Keras raises bare exceptions
        reason = f"{_URL} cannot be downloaded, {error!r}"
    if not arrays:
        where = f"MNIST is in none of {', '.join(map(str, places))}, and {reason}"
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


def load_npz(path: StrPath, pixels: object = "auto") -> Bunch:
    """Load pictures and labels from a NumPy archive. No code in it is run.

    Parameters
    ----------
    path : str or path-like
        An ``.npz`` file with ``x_train``, ``y_train``, ``x_test`` and ``y_test``, or
        with ``X`` and ``y``. Of the latter, a sixth of each class becomes the test
        part; it is always the same one. Other common names work too, such as
        ``train_images``, or ``data`` and ``target``, or ``arr_0`` and ``arr_1``, as
        :func:`numpy.savez` calls arrays without names. The names of the classes may
        stand in ``class_names``, if the labels count them from 0.
        Pictures have the shape (n, height, width) or (n, n_features); they may have
        one channel. Labels are whole numbers of any type, text, bytes, True and False,
        or such Python objects. They have the shape (n,) or (n, 1), or a column for
        each class with a single 1 in each row.
    pixels : str or pair of numbers, default="auto"
        The values of paper and of full ink, as in ``"0..255"``. "auto" tells them from
        the training part: 0 to 1, 16, 255, 1023, 4095, 16383 or 65535, -1 to 1, -0.5
        to 0.5, or -128 to 127. "keep" leaves the pixels as they are, as "auto" does
        with values in no such range, for example standardized ones.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        As from :func:`fetch_mnist`, with data of shape (n_samples, n_features), the
        training part first, and an int64, uint64 or str target of shape (n_samples,).
        `DESCR` says how the pixels were scaled.

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
    return load_own(path, pixels)[0]


def load_own(path: StrPath, pixels: object) -> tuple[Bunch, str]:
    """Return what `load_npz` returns, and a sentence on its scale and its parts."""
    path = os.path.expanduser(path)
    check_file(path, DataNotFoundError)
    arrays = in_pairs(read_npz(path, [*FOUR_KEYS, *TWO_KEYS, *NUMBERED_KEYS]))
    return join_pictures(path, arrays, pixels, read_class_names(path))


def in_pairs(arrays: list[Array]) -> list[Array]:
    """Order four arrays without names: each part's pictures before its labels.

    They may come as ``train_test_split`` returns them, with both parts of the pictures
    first.
    """
    if len(arrays) != 4:
        return arrays
    sizes = [len(array) if array.ndim else 0 for array in arrays]
    paired = sizes[0] == sizes[1] and sizes[2] == sizes[3] and arrays[1].ndim < 3
    if paired and arrays[1].shape[1:] != arrays[0].shape[1:]:
        return arrays
    split = sizes[0] == sizes[2] and sizes[1] == sizes[3]
    return [arrays[i] for i in (0, 2, 1, 3)] if split else arrays


def join_pictures(
    where: StrPath,
    arrays: Sequence[Array],
    pixels: object = "auto",
    class_names: Mapping[int, str] | None = None,
) -> tuple[Bunch, str]:
    """Check, scale and split pictures and labels, and join them to a data set.

    Parameters
    ----------
    where : str or path-like
        Where they come from, for errors and `DESCR`.
    arrays : sequence of ndarray
        x_train, y_train, x_test and y_test, or pictures and labels. Of the latter, a
        sixth of each class becomes the test part.
    pixels : str or pair of numbers, default="auto"
        See `load_npz`.
    class_names : dict of int to str, default=None
        Names that take the place of numbers as labels, if it has one for each.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        See `load_npz`.
    said : str
        A sentence that says how pixels were scaled and the rows split.

    Raises
    ------
    DataError
        If they cannot be used.
    """
    arrays = list(arrays)
    try:
        for i in range(0, len(arrays), 2):
            arrays[i] = _check_shapes(where, *arrays[i : i + 2])
            arrays[i + 1] = plain_labels(arrays[i + 1])
        if len(arrays) == 4:
            arrays[1::2] = join_labels(*arrays[1::2])
        check_parts(where, arrays)
        scale, said = find_scale(arrays[::2], pixels)
        arrays[::2] = [rescaled(x, scale) for x in arrays[::2]]
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error
    arrays[1::2] = name_classes(arrays[1::2], class_names or {})
    if len(arrays) == 2:
        arrays, said = split_stratified(*arrays, test_size=1 / 6), f"{said}. {SPLIT}"
    return make_bunch(arrays, f"Loaded from {where}. {said}"), said


def name_classes(labels: list[Array], names: Mapping[int, str]) -> list[Array]:
    """Put names in the place of numbers, if there is one for each."""
    if not all(
        y.dtype.kind in "iu" and set(y.tolist()) <= names.keys() for y in labels
    ):
        return labels
    return [np.array([names[label] for label in y.tolist()]) for y in labels]


def read_class_names(path: StrPath) -> dict[int, str]:
    """Return the names of classes that an archive has beside its arrays; may be {}."""
    with contextlib.suppress(DataError):
        names = read_npz(path, [(key,) for key in CLASS_NAMES_KEYS])[0]
        if names.ndim == 1:
            return dict(enumerate(map(str, plain_labels(names).tolist())))
    return {}


def check_parts(path: StrPath, arrays: list[Array]) -> None:
    """Raise DataError unless data can train a classifier, and judge it."""
    counts = np.unique(arrays[1], return_counts=True)[1]
    require(len(counts) > 1, path, "one class to train with, at least 2 are needed")
    if len(arrays) == 2:
        enough = counts.min() > 1 and counts.sum() >= 6 * len(counts)
        require(enough, path, "too few rows of a class for a stratified test part")
        return
    train, test = (
        f"{'floats' if x.dtype.kind == 'f' else 'whole numbers'} {x.shape[1:]}"
        for x in arrays[::2]
    )
    require(train == test, path, f"pictures of {train} to train, {test} to test")
    known = set(arrays[1].tolist())
    unknown = [label for label in np.unique(arrays[3]).tolist() if label not in known]
    require(not unknown, path, f"test labels unknown in training: {unknown[:5]}")


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
    require(not others, bunch.get("name", "data set"), what)


def _keras_folders() -> list[Path]:
    """Return where Keras keeps data: at home, or in /tmp if home is not writable."""
    home = user_path(os.environ.get("KERAS_HOME") or "~/.keras")
    homes = [home] if os.access(home, os.W_OK) else [home, Path("/tmp/.keras")]
    return [home / "datasets" for home in homes]


def _check_place(place: StrPath) -> Path:
    """Return a place that the user names, which may be missing, if it can be read."""
    require(os.fspath(place) != "", "the folder of MNIST", "has an empty name")
    folder = user_path(place)
    missing = not folder.exists()
    archive = folder.is_file() and folder.suffix.casefold() in (".npz", ".arff")
    usable = missing or archive or folder.is_dir()
    require(usable, folder, "is no folder; name the one with MNIST")
    readable = missing or archive or may_access(folder, os.R_OK | os.X_OK)
    require(readable, folder, "may not be read")
    return folder


def _read_first(named: StrPath | None) -> tuple[list[Array] | None, list[Path]]:
    """Return MNIST from the first place that has it, and the places searched."""
    if named is not None:
        place = _check_place(named)
        arrays, errors = find_mnist(place)
        if arrays is None:
            raise errors[0][1] if errors else _holds_none(place)
        return arrays, [place]
    places = [(folder, False) for folder in _keras_folders()]
    if variable := os.environ.get("SKMNIST_DATA"):
        places.insert(0, (_check_place(variable), True))
    for folder, deep in places:
        arrays, errors = find_mnist(folder, deep=deep)
        if arrays is not None:
            return arrays, [folder]
        # Files with the names of MNIST in the folder itself are no reason to look on.
        for error in (error for strict, error in errors if strict):
            raise error
    return None, [folder for folder, _ in places]


def _holds_none(place: Path) -> DataNotFoundError:
    """Return the error about a folder without MNIST."""
    if not place.exists():
        return DataNotFoundError(f"{place}: no such folder")
    names = sorted(os.listdir(place)) if place.is_dir() else []
    held = ", ".join([*names[:5], *(["..."] if len(names) > 5 else [])]) or "nothing"
    return DataNotFoundError(
        f"{place}: no MNIST in this folder, neither the four IDX files nor mnist.npz "
        f"nor another known form; it holds {held}"
    )


def _download() -> list[Array]:
    """Let Keras download MNIST into its cache, and return the four arrays."""
    # Keras and urllib have no limit for the time of a name's look-up, or of an answer
    # that comes byte by byte. So ask first, in a thread that can be left alone, before
    # TensorFlow starts, and through the same proxies.
    probe = urllib.request.Request(_URL, method="HEAD")
    _within(_ANSWER_SECONDS, lambda: urllib.request.urlopen(probe).close())
    with quiet_import():
        import keras

    def download():
        keras.config.disable_interactive_logging()  # for this thread alone
        return keras.datasets.mnist.load_data(partial.name)

    # Keras writes in place; under this name half a file is not taken for MNIST.
    final = _keras_folders()[-1] / "mnist.npz"
    partial = temporary_path(final)
    try:
        train, test = _within(_DOWNLOAD_SECONDS, download)
        arrays = check_mnist(_URL, (*train, *test))
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


def _check_shapes(path: StrPath, x: Array, y: Array) -> Array:
    """Check that there is a label for each picture; return pictures without channel."""
    if x.ndim == 4 and 1 in (x.shape[1], x.shape[3]):
        x = x[..., 0] if x.shape[3] == 1 else x[:, 0]
    shaped = x.ndim in (2, 3) and y.ndim in (1, 2) and x.size > 0 and len(x) == len(y)
    typed = x.dtype.kind in "biuf"
    found = f"pictures {x.dtype} {x.shape}, labels {y.dtype} {y.shape}"
    due = "(n, h, w) or (n, d) numbers, and n labels"
    require(shaped and typed, path, f"{found}; needed are {due}")
    with np.errstate(over="ignore"):  # becomes infinite in float32
        finite = np.isfinite(x.astype(np.float32)) if x.dtype.kind == "f" else True
    require(bool(np.all(finite)), path, "pixels that are not finite in float32")
    return x.astype(np.uint8) if x.dtype.kind == "b" else x


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
    if target.dtype.kind != "U" and target.dtype != np.uint64:
        target = target.astype(np.int64)
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
