"""A saved classifier: one zip archive of JSON and plain arrays, nothing executable."""

# SPDX-License-Identifier: BSD-3-Clause

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np

FORMAT = "skmnist classifier"
VERSION = 1


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
    path = Path(path)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "n_arrays": len(arrays),
        "content": to_json(description),
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            _write_zip(file, header, arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
