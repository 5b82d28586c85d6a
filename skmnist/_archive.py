"""Read archives of JSON and plain arrays; nothing in them is believed."""

# SPDX-License-Identifier: BSD-3-Clause

import json
import os
import re
import stat
import struct
import zipfile
from collections.abc import Callable
from typing import IO, Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from ._format import visible
from ._io import (
    DESCRIPTION,
    FORMAT,
    LARGEST_DESCRIPTION,
    VERSION,
    ModelFileError,
    array_entry,
    check_readable_file,
    user_path,
)

StrPath: TypeAlias = str | os.PathLike[str]
_T = TypeVar("_T")
Check: TypeAlias = Callable[[dict[str, Any], list[_T]], object]

# Limits of what is read. No classifier comes near them.
_LARGEST_DIRECTORY = 4 << 20  # bytes of the archive's list of entries
_MOST_ARRAYS = 20_000
_MOST_DIMENSIONS = 4
_DEEPEST = 40
_LARGEST_LABELS = 64 << 20  # bytes
_LONGEST_REASON = 300

# The last bytes of an archive without a comment: the number of entries, and the size
# of their list. An archive above 2 GiB has another such record before it.
_END = struct.Struct("<4s4H2LH")
_END_64 = b"PK\x06\x07"
_SIZE_OF_END_64 = 20
_SMALLEST_64 = 1 << 31

# How NumPy writes the head of an array.
_HEAD = re.compile(
    rb"\{'descr': '([<>|][biuf][1248])', 'fortran_order': (False|True), "
    rb"'shape': \(((?:\d{1,18}, ?)*(?:\d{1,18})?)\), \} *\n"
)
_MAGIC = b"\x93NUMPY\x01\x00"
_LONGEST_HEAD = 1000

_PLAIN_DTYPE = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)|object|[<>]U\d{1,7}")


class Form(NamedTuple):
    """What an archive says of one of its arrays.

    Attributes
    ----------
    dtype : dtype
        Its type, numbers or booleans, in the order of bytes of the file.
    shape : tuple of int
        Its shape.
    in_columns : bool
        Whether the numbers stand column by column.
    start : int
        Where they begin in the entry.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    in_columns: bool
    start: int


def read_archive(
    path: StrPath,
    check: Check[Form] | None = None,
    check_values: Check[NDArray[Any]] | None = None,
) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Read what `skmnist._io.write_archive` wrote.

    Sizes are compared with limits, and with the size of the file, before anything is
    unpacked. So an archive never takes much more memory than its file has bytes.

    Parameters
    ----------
    path : str or path-like
        The file.
    check : callable, default=None
        ``check(description, forms)`` raises ValueError unless the description is right
        and arrays of these forms belong to it. It is called before they are read.
    check_values : callable, default=None
        ``check_values(description, arrays)`` does so with the arrays.

    Returns
    -------
    description : dict
        Plain data.
    arrays : list of ndarray
        Numbers, in their order.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If the file may not be read, is something else, is damaged, or has a newer
        format.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skmnist._archive import read_archive
    >>> from skmnist._io import write_archive
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_archive(f"{folder}/file", {"a": (1, 2)}, [np.eye(2)])
    ...     read_archive(f"{folder}/file")
    ({'a': (1, 2)}, [array([[1., 0.],
           [0., 1.]])])
    """
    path = user_path(path)
    try:
        with _open(path) as file:
            content, arrays = _read(path, file, check)
            if check_values is not None:
                check_values(content, arrays)
            return content, arrays
    except (FileNotFoundError, ModelFileError):
        raise
    except Exception as error:
        # zipfile, zlib, json and NumPy each have their own errors for wrong bytes.
        # Some of them quote the file.
        reason = visible(str(error) or type(error).__name__)
        if len(reason) > _LONGEST_REASON:
            reason = f"{reason[:_LONGEST_REASON]}..."
        raise ModelFileError(
            f"{path}: not a saved skmnist classifier, a damaged one, or one of another "
            f"version ({reason})"
        ) from error


def _open(path: StrPath) -> IO[bytes]:
    try:
        check_readable_file(path)
        file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError(0, "is not a file", os.fspath(path))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ModelFileError(f"{path}: {error.strerror}") from error
    return file


def _without_waiting(path: str, flags: int) -> int:
    # Something else may have taken the place of the file in between.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _read(
    path: StrPath, file: IO[bytes], check: Check[Form] | None
) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    size = _check_end(file)
    with zipfile.ZipFile(file) as zip_:
        entries = _entries(zip_, size)
        # Each entry has a checksum, which is compared when all of it is read.
        header = json.loads(zip_.read(entries.pop(DESCRIPTION)))
        _check_header(path, header, len(entries))
        content = from_json(header["content"])
        require(isinstance(content, dict), "the description is no record")
        forms = [_form(zip_, entry) for entry in entries.values()]
        if check is not None:
            check(content, forms)
        arrays = [
            _array(zip_.read(entry), form)
            for entry, form in zip(entries.values(), forms, strict=True)
        ]
        return content, arrays


def require(condition: bool, what: str) -> None:
    """Raise ValueError with a reason unless a condition holds."""
    if not condition:
        raise ValueError(what)


def _check_end(file: IO[bytes]) -> int:
    """Return the size of a file; raise unless it ends as an archive of few entries."""
    size = file.seek(0, os.SEEK_END)
    before = min(size, _END.size + _SIZE_OF_END_64)
    file.seek(size - before)
    last = file.read(before)
    require(len(last) > _END.size, "it is too short")
    signature, *_, listed, _, comment = _END.unpack(last[-_END.size :])
    require(signature == b"PK\x05\x06" and comment == 0, "it does not end as it should")
    require(listed <= _LARGEST_DIRECTORY, "it lists too many entries")
    large = last[: -_END.size].endswith(_END_64) or _END_64 in last[:4]
    require(not large or size >= _SMALLEST_64, "its end is odd")
    return size


def _entries(zip_: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the entries of an archive by name: the description, then the arrays."""
    found = {entry.filename: entry for entry in zip_.infolist()}
    n_arrays = len(found) - 1
    require(0 <= n_arrays <= _MOST_ARRAYS, "it holds too many arrays")
    names = [DESCRIPTION, *map(array_entry, range(n_arrays))]
    require(
        found.keys() == set(names) and len(zip_.infolist()) == len(names),
        "it holds other entries than a description and arrays",
    )
    entries = {name: found[name] for name in names}
    described = entries[DESCRIPTION]
    require(
        described.compress_type in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED)
        and described.file_size <= LARGEST_DESCRIPTION,
        "its description is too large",
    )
    stored = [entries[name] for name in names[1:]]
    require(
        all(
            entry.compress_type == zipfile.ZIP_STORED
            and entry.file_size == entry.compress_size
            for entry in stored
        )
        and sum(entry.compress_size for entry in entries.values()) <= size,
        "its arrays are packed, or have other sizes than it says",
    )
    require(not any(e.flag_bits & 0x1 for e in entries.values()), "it is encrypted")
    return entries


def _check_header(path: StrPath, header: Any, n_arrays: int) -> None:
    """Raise ModelFileError unless this version can read a file with such a header."""
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ModelFileError(f"{path}: not a saved skmnist classifier")
    version = header.get("version")
    require(type(version) is int and version >= 1, "its version is odd")
    if version > VERSION:
        raise ModelFileError(
            f"{path}: written by a newer skmnist (format {version:.6g}, this one reads "
            f"{VERSION})"
        )
    require(header.get("n_arrays") == n_arrays, "it lacks arrays, or has too many")


def _form(zip_: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Form:
    """Read the head of an array, and compare it with the size of its entry."""
    with zip_.open(entry) as file:
        head = file.read(len(_MAGIC) + 2)
        length = int.from_bytes(head[-2:], "little")
        require(
            head.startswith(_MAGIC) and length <= _LONGEST_HEAD,
            f"{entry.filename} is no array",
        )
        found = _HEAD.fullmatch(file.read(length))
    require(found is not None, f"{entry.filename} is no array of numbers")
    assert found is not None  # for type checkers
    descr, in_columns, sizes = (part.decode() for part in found.groups())
    shape = tuple(int(n) for n in sizes.split(",") if n.strip())
    dtype, start = np.dtype(descr), len(head) + length
    n_bytes = dtype.itemsize
    for n in shape:
        n_bytes *= n
    require(
        len(shape) <= _MOST_DIMENSIONS and start + n_bytes == entry.file_size,
        f"{entry.filename} has another size than it says",
    )
    return Form(dtype, shape, in_columns == "True", start)


def _array(content: bytes, form: Form) -> NDArray[Any]:
    """Return an array of its own memory."""
    values = np.frombuffer(content, form.dtype, offset=form.start)
    values = values.reshape(form.shape, order="F" if form.in_columns else "C")
    return values.astype(form.dtype.newbyteorder("="))


def from_json(encoded: Any) -> Any:
    """Return the value that `skmnist._io.to_json` encoded.

    Parameters
    ----------
    encoded : JSON value
        What was encoded; from a file, it may be anything.

    Returns
    -------
    value : None, bool, number, str, tuple, list, dict or ndarray
        The value.

    Raises
    ------
    ValueError, TypeError
        If `to_json` does not encode so.

    Examples
    --------
    >>> from skmnist._archive import from_json
    >>> from_json({"dict": [[3, {"tuple": [1, None]}]]})
    {3: (1, None)}
    """
    return _decode(encoded, 0)


def _decode(encoded: Any, depth: int) -> Any:
    require(depth <= _DEEPEST, "its description is too deep")
    if isinstance(encoded, list):
        return [_decode(v, depth + 1) for v in encoded]
    if not isinstance(encoded, dict):
        return encoded
    kind = set(encoded)
    if kind == {"tuple"} and isinstance(encoded["tuple"], list):
        return tuple(_decode(v, depth + 1) for v in encoded["tuple"])
    if kind == {"array", "dtype"}:
        return _plain_array(_decode(encoded["array"], depth + 1), encoded["dtype"])
    require(kind == {"dict"} and isinstance(encoded["dict"], list), "a value is odd")
    pairs = [_decode(pair, depth + 1) for pair in encoded["dict"]]
    decoded = dict(pairs)
    require(len(decoded) == len(pairs), "a key is there twice")
    return decoded


def _plain_array(values: Any, dtype: Any) -> NDArray[Any]:
    """Return an array of labels; raise unless its values are those of the list."""
    known = isinstance(dtype, str) and _PLAIN_DTYPE.fullmatch(dtype)
    require(bool(known) and isinstance(values, list), "an array is odd")
    kind = np.dtype(dtype)
    require(len(values) * kind.itemsize <= _LARGEST_LABELS, "an array is too large")
    require(kind.kind != "O" or all(map(_is_scalar, values)), "an array is odd")
    array = np.array(values, dtype=kind)
    require(_is_same(array.tolist(), values), "an array is of another type")
    return array


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _is_same(a: Any, b: Any) -> bool:
    """Return whether two lists hold equal values; NaN equals NaN."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_is_same, a, b))
    return bool(a == b) or bool(a != a and b != b)
