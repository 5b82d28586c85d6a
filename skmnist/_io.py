"""Files: written whole or not at all; archives of JSON and plain arrays."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import errno
import io
import json
import os
import platform
import re
import stat
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import psutil

FORMAT = "skmnist classifier"
VERSION = 1

# A temporary file's name ends with the machine and the process that write it.
_TEMPORARY = re.compile(r"\..+\.(?P<host>[^.]*)-(?P<pid>\d+)-\w+\.tmp")


@contextlib.contextmanager
def atomic_write(path, mode="w"):
    """Open a file for writing such that it appears whole or not at all.

    The content goes to a temporary file beside it, is brought to the disk, and takes
    the place of an older file, whose permissions it keeps. A link is followed. What is
    no ordinary file is never replaced: a device is written to.

    Parameters
    ----------
    path : path-like
        The file to write.
    mode : {"w", "wb"}, default="w"
        Text, in UTF-8, or bytes.

    Yields
    ------
    file : file object
        What to write to.

    Raises
    ------
    OSError
        If the file cannot be written, or `path` is a folder, a FIFO or a socket; an
        older file is then as it was.
    """
    path = Path(os.path.realpath(path))
    how = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    kind = stat.S_IFMT(os.stat(path).st_mode) if path.exists() else stat.S_IFREG
    if kind == stat.S_IFCHR:
        with open(path, mode, **how) as file:
            yield file
        return
    if kind != stat.S_IFREG:
        raise OSError(errno.EINVAL, "not an ordinary file", str(path))
    prefix = f".{path.name}.{_host()}-{os.getpid()}-"
    descriptor, temporary = tempfile.mkstemp(".tmp", prefix, path.parent)
    try:
        with open(descriptor, mode, **how) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _permissions(path))
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _host():
    """Return this machine's name as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9_]", "_", platform.node())


def _permissions(path):
    """Return the permissions of a file, or those that a new one would get."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask


def _sync_folder(folder):
    """Bring a folder's list of names to the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sweep_temporary_files(folder):
    """Remove what killed processes of this machine left of `atomic_write`.

    Parameters
    ----------
    folder : path-like
        The folder to sweep, and all folders in it.
    """
    for path in Path(folder).rglob(".*.tmp"):
        found = _TEMPORARY.fullmatch(path.name)
        if (
            found
            and found["host"] == _host()
            and not psutil.pid_exists(int(found["pid"]))
        ):
            path.unlink(missing_ok=True)


def to_json(value, name="it"):
    """Bring a value to JSON such that `from_json` gives an equal one.

    Parameters
    ----------
    value : None, bool, number, str, tuple, list, dict or ndarray
        The value, nested as deep as it is.
    name : str, default="it"
        What to call the value in an error; inside a dict, its key.

    Returns
    -------
    encoded : JSON value
        Tuples, dicts and arrays become objects that name their type.

    Raises
    ------
    TypeError
        If the value, or one inside it, is of another type.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [to_json(v, name) for v in value]
    if isinstance(value, tuple):
        return {"tuple": [to_json(v, name) for v in value]}
    if isinstance(value, dict):
        return {"dict": [[to_json(k), to_json(v, k)] for k, v in value.items()]}
    if isinstance(value, np.ndarray):
        return {"array": to_json(value.tolist(), name), "dtype": str(value.dtype)}
    raise TypeError(f"{name!r} cannot be saved as plain data. Got {value!r}.")


def from_json(encoded):
    """Return the value that `to_json` encoded."""
    if isinstance(encoded, list):
        return [from_json(v) for v in encoded]
    if not isinstance(encoded, dict):
        return encoded
    if "tuple" in encoded:
        return tuple(from_json(v) for v in encoded["tuple"])
    if "array" in encoded:
        return np.array(from_json(encoded["array"]), dtype=encoded["dtype"])
    return {from_json(k): from_json(v) for k, v in encoded["dict"]}


class ModelFileError(ValueError):
    """A file is no saved classifier, or a damaged one."""


def write_archive(path, description, arrays):
    """Write a description and arrays; the file appears whole or not at all.

    Parameters
    ----------
    path : path-like
        The file to write; an existing one is replaced.
    description : dict
        Plain data, see `to_json`.
    arrays : list of ndarray
        Numbers; their order is kept.

    Raises
    ------
    TypeError
        If the description holds something else than plain data.
    """
    header = {
        "format": FORMAT,
        "version": VERSION,
        "n_arrays": len(arrays),
        "content": to_json(description),
    }
    with atomic_write(path, "wb") as file:
        _write_zip(file, header, arrays)


def _write_zip(file, header, arrays):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zip_:
        zip_.writestr("description.json", json.dumps(header, indent=1))
        for i, array in enumerate(arrays):
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            # Weights hardly shrink, and trying takes longer than an epoch.
            zip_.writestr(_entry(i), buffer.getvalue(), zipfile.ZIP_STORED)


def _entry(i):
    return f"arrays/{i:04d}.npy"


def read_archive(path):
    """Read what `write_archive` wrote.

    Parameters
    ----------
    path : path-like
        The file.

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
        If the file is foreign, damaged, or of a newer format.
    """
    try:
        with zipfile.ZipFile(path) as zip_:
            # Each entry carries a checksum, which reading verifies.
            header = json.loads(zip_.read("description.json"))
            if header.get("format") != FORMAT:
                raise ModelFileError(f"{path}: not a saved skmnist classifier")
            if header["version"] > VERSION:
                raise ModelFileError(
                    f"{path}: written by a newer skmnist (format "
                    f"{header['version']}, this one reads {VERSION})"
                )
            entries = [zip_.read(_entry(i)) for i in range(header["n_arrays"])]
            arrays = [np.load(io.BytesIO(e), allow_pickle=False) for e in entries]
            return from_json(header["content"]), arrays
    except (FileNotFoundError, ModelFileError):
        raise
    except Exception as error:
        # zipfile, zlib, json and NumPy each have errors of their own for bytes
        # that are not what they should be.
        raise ModelFileError(
            f"{path}: not a saved skmnist classifier, or a damaged one ({error})"
        ) from error
