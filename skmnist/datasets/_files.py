"""Files of data: errors that name them, NumPy's archives."""

# SPDX-License-Identifier: BSD-3-Clause

import os
import zipfile
from collections.abc import Sequence
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._format import OneLineError
from .._io import check_readable_file
from ._labels import read_plain_objects

StrPath: TypeAlias = str | os.PathLike[str]
Array: TypeAlias = NDArray[Any]

# How archives name pictures and labels of the training part and the test part, or of
# all rows: Keras, MedMNIST, Kaggle and others. Case and "-" for "_" do not matter.
FOUR_KEYS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("train_x", "train_y", "test_x", "test_y"),
    ("training_images", "training_labels", "test_images", "test_labels"),
    ("train_data", "train_labels", "test_data", "test_labels"),
)
TWO_KEYS = (("x", "y"), ("data", "target"), ("images", "labels"), ("data", "labels"))
# Arrays that were saved without names; the archive says their order only.
NUMBERED_KEYS = (("arr_0", "arr_1", "arr_2", "arr_3"), ("arr_0", "arr_1"))
CLASS_NAMES_KEYS = ("class_names", "target_names", "label_names", "classes")


class DataError(OneLineError):
    """Data cannot be used. The message is one line and names the file.

    Parameters
    ----------
    message : str
        What is wrong, in one line.
    """


class DataNotFoundError(DataError, FileNotFoundError):
    """The data are not there, nor in any of the places where they may be.

    Parameters
    ----------
    message : str
        What is wrong, in one line.
    """

    # That of ValueError makes no object which is an OSError too; pickles call it.
    def __new__(cls, message: str = "") -> Self:
        """Make the error."""
        return FileNotFoundError.__new__(cls, message)


def require(condition: bool, where: object, what: str) -> None:
    """Raise DataError with a place and a reason unless a condition holds."""
    if not condition:
        raise DataError(f"{where}: {what}")


def check_file(path: StrPath, missing: type[DataError] = DataError) -> None:
    """Raise DataError unless a path is a file that may be read; see `_io`."""
    try:
        check_readable_file(path)
    except OSError as error:
        kind = missing if isinstance(error, FileNotFoundError) else DataError
        raise kind(f"{path}: {error.strerror}") from error


def read_npz(path: StrPath, layouts: Sequence[tuple[str, ...]]) -> list[Array]:
    """Return the arrays of the first of `layouts` (tuples of keys) that is found."""
    check_file(path)
    # np.load would also accept a file with a single array.
    require(zipfile.is_zipfile(path), path, "cannot be read, no NumPy archive")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            found = archive.files
            by_name = {key.casefold().replace("-", "_"): key for key in found}
            keys = next((keys for keys in layouts if by_name.keys() >= set(keys)), ())
            arrays = [_array(archive, by_name[key]) for key in keys]
    except Exception as error:  # zipfile, zlib and NumPy have their own errors
        raise DataError(f"{path}: cannot be read, {error!r}") from error
    named = ["X, y" if keys == ("x", "y") else ", ".join(keys) for keys in layouts]
    lacks = " or ".join(named[:: len(FOUR_KEYS)])
    require(bool(keys), path, f"lacks {lacks}; holds {found or 'nothing'}")
    return arrays


def _array(archive: Any, key: str) -> Array:
    """Return an array; one of Python objects if it holds plain values only."""
    with archive.zip.open(f"{key}.npy") as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0) and np.lib.format.read_array_header_1_0(file)[2].hasobject:
            file.seek(0)
            return read_plain_objects(file)
    return np.asarray(archive[key])
