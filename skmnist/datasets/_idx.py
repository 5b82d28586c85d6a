"""Read sets in the form of MNIST: its IDX files, and the same as NumPy's arrays."""

# SPDX-License-Identifier: BSD-3-Clause

import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._files import Array, DataError, StrPath, check_file, read_npz, require
from ._mnist_files import (
    STEMS,
    _entries as files_of,
    _folders as folders_below,
    _open as open_plain_or_gzip,
)

# The types of values in IDX files.
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_BYTES = 2**33
# "emnist-letters-train-images-idx3-ubyte.gz", "qmnist-test-labels-idx2-int.gz",
# "kmnist-train-imgs.npz", "x_train.npy"
_NAME = re.compile(
    r"(?:(?P<set>.*?)[-_. ]+)??(?:(?P<first>[xy])[-_ ]?)?"
    r"(?P<part>train(?:ing)?|t10k|test(?:ing)?)"
    r"(?:[-_. ]?(?P<what>image|img|label|lbl)s?)?"
    r"(?:\.np[yz]|(?:[-_. ]?(?:idx[1-4]?|u?byte|int|bin|raw|data|gz(?:ip)?|\(\d+\)))*)"
)


class IdxSet(NamedTuple):
    """The four files of a set.

    Parameters
    ----------
    name : str
        What their names begin with, such as "emnist-letters"; "" for nothing.
    folder : Path
        Where they are.
    files : sequence of Path
        Training pictures and labels, test pictures and labels.
    """

    name: str
    folder: Path
    files: Sequence[Path]


def find_sets(place: Path) -> list[IdxSet]:
    """Find sets of four files in a folder, or in the nearest one below that has some.

    Parameters
    ----------
    place : Path
        A folder.

    Returns
    -------
    found : list of IdxSet
        All sets of that folder, by their names.
    """
    for folder in folders_below(place):
        sets: dict[str, dict[str, Path]] = {}
        for path in files_of(folder):
            match = _NAME.fullmatch(path.name.casefold())
            if not match or not (match["first"] or match["what"]) or path.is_dir():
                continue
            part = "train" if match["part"].startswith("train") else "t10k"
            labels = match["first"] == "y" or (match["what"] or "i")[0] == "l"
            role = f"{part}-{'labels' if labels else 'images'}"
            sets.setdefault(match["set"] or "", {}).setdefault(role, path)
        found = [
            IdxSet(name, folder, [files[stem] for stem in STEMS])
            for name, files in sorted(sets.items())
            if all(stem in files for stem in STEMS)
        ]
        if found:
            return found
    return []


def read_set(found: IdxSet) -> list[Array]:
    """Read the four files of a set.

    Parameters
    ----------
    found : IdxSet
        The set.

    Returns
    -------
    arrays : list of ndarray
        x_train, y_train, x_test and y_test. The pictures of EMNIST, which are stored on
        their sides, are upright. Of QMNIST's labels the classes are kept.

    Raises
    ------
    DataError
        If a file is damaged.
    """
    arrays = [_read(path) for path in found.files]
    for i in (1, 3):
        if arrays[i].ndim == 2 and arrays[i].shape[1] == 8:  # QMNIST
            arrays[i] = arrays[i][:, 0]
    if is_emnist(found.name):
        for i in (0, 2):
            require(arrays[i].ndim == 3, found.files[i], "no pictures")
            arrays[i] = arrays[i].transpose(0, 2, 1)
    return arrays


def is_emnist(name: str) -> bool:
    """Return whether the name of a set or file is one of EMNIST."""
    return name.casefold().startswith("emnist")


def _read(path: Path) -> Array:
    suffix = path.suffix.casefold()
    if suffix == ".npz":
        return read_npz(path, [("arr_0",), ("data",), ("images",), ("labels",)])[0]
    if suffix != ".npy":
        return read_idx(path)
    check_file(path)
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:
        raise DataError(f"{path}: cannot be read, {error!r}") from error


def read_idx(path: StrPath) -> Array:
    """Read an IDX file of any type and size, plain or gzip.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    array : ndarray

    Raises
    ------
    DataError
        If the file is no IDX file, or is not as long as its head says.
    """
    check_file(path)
    try:
        with open_plain_or_gzip(Path(path)) as file:
            magic = file.read(4)
            known = len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _TYPES
            require(known and 0 < magic[3] < 6, path, "is no IDX file")
            head = file.read(4 * magic[3])
            require(len(head) == 4 * magic[3], path, "truncated in its head")
            shape = tuple(int(n) for n in np.frombuffer(head, ">u4"))
            dtype = np.dtype(_TYPES[magic[2]])
            size = dtype.itemsize
            for n in shape:  # Python's numbers do not overflow
                size *= n
            require(size <= _MOST_BYTES, path, f"{shape} values, which are too many")
            content = file.read(size + 1)  # one more byte shows trailing garbage
    except (OSError, EOFError, zlib.error) as error:
        what = "truncated" if isinstance(error, EOFError) else "cannot be read"
        raise DataError(f"{path}: {what}, {error!r}") from error
    n = len(content)
    require(n >= size, path, f"truncated, {n} bytes of values instead of {size}")
    require(n <= size, path, f"trailing garbage after {size} bytes of values")
    array = np.frombuffer(content, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)
