"""Finished fits on disk: found by what they were made of, and never made twice."""

# SPDX-License-Identifier: BSD-3-Clause

import hashlib
import json
import os
import warnings
from pathlib import Path

import numpy as np

from .._io import ModelFileError, read_archive, to_json, write_archive
from .._versions import installed_versions

FOLDER = "skmnist-fits"
# What decides about a weight's last bits, besides the data and the parameters.
_PACKAGES = ("skmnist", "keras", "tensorflow", "numpy")


class FitCache:
    """The fits kept in one folder.

    A fit is a file, named by the digest of all that it depends on. A file is
    complete or not there: it is written under another name, brought to the disk and
    renamed; so processes can share a folder without a lock. Its content is plain
    data with checksums (see `skmnist._io`).

    Parameters
    ----------
    location : path-like
        The folder; made when the first fit is kept.
    """

    def __init__(self, location):
        self.folder = Path(location) / FOLDER

    def path(self, key):
        """Return the file of a key."""
        return self.folder / key[:2] / f"{key}.skmnist"

    def read(self, key):
        """Return a fit, or None if there is none; a damaged one is as none.

        Parameters
        ----------
        key : str
            From `fit_key`.

        Returns
        -------
        fit : (dict, list of ndarray) or None
            Description and numbers, as `write` was given them.
        """
        path = self.path(key)
        try:
            return read_archive(path) if path.is_file() else None
        except (ModelFileError, OSError) as error:
            warnings.warn(f"A kept fit is trained again: {error}", stacklevel=2)
            return None

    def write(self, key, description, arrays):
        """Keep a fit; one that cannot be kept is worth a warning, not its loss."""
        path = self.path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_archive(path, description, arrays)
        except (OSError, TypeError) as error:
            warnings.warn(f"A fit could not be kept: {error}", stacklevel=2)


def open_cache(memory):
    """Return the cache that a `memory` parameter names.

    Parameters
    ----------
    memory : None, path-like or joblib.Memory
        As in scikit-learn's `Pipeline`. Of a `joblib.Memory` only the location is
        used.

    Returns
    -------
    cache : FitCache or None
        None where nothing is to be kept.
    """
    if not isinstance(memory, str | os.PathLike):
        memory = getattr(memory, "location", None)
    return None if memory is None else FitCache(memory)


def fit_key(parts, arrays, n_threads):
    """Name a fit by all that it depends on.

    Parameters
    ----------
    parts : dict
        Plain data, see `skmnist._io.to_json`.
    arrays : list of ndarray or None
        The data: their content counts, their order in memory does not.
    n_threads : int
        Threads of the fit: sums in another order differ in their last bits.

    Returns
    -------
    key : str
        64 hexadecimal digits.

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist.neural_network._cache import fit_key
    >>> key = fit_key({"epochs": 3}, [np.arange(6)], n_threads=2)
    >>> key == fit_key({"epochs": 3}, [np.arange(6)], n_threads=2)
    True
    >>> key == fit_key({"epochs": 3}, [np.arange(6.0)], n_threads=2)
    False
    """
    described = {
        "parts": to_json(parts),
        "arrays": [None if array is None else digest(array) for array in arrays],
        "versions": installed_versions(_PACKAGES),
        "threads": n_threads,
    }
    text = json.dumps(described, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def digest(array):
    """Return a digest of an array's type, shape and content."""
    array = np.ascontiguousarray(array)
    hashed = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    hashed.update(array.view(np.uint8).reshape(-1) if array.size else b"")
    return hashed.hexdigest()
