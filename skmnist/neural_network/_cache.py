"""Finished fits on disk: found by all that they depend on, and trained only once."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import hashlib
import json
import os
import warnings
from numbers import Integral
from pathlib import Path

import numpy as np
from scipy.sparse import issparse

from .._io import (
    ModelFileError,
    sweep_temporary_files,
    to_json,
    user_path,
    write_archive,
)
from .._versions import installed_versions
from ._model_file import read_kept

FOLDER = "skmnist-fits"
# The form of the files. Those of another form are never looked for.
_FORM = 2
# The last bits of a weight depend on these, besides the data and the parameters.
_PACKAGES = ("skmnist", "keras", "tensorflow", "numpy")


class FitCache:
    """The fits that one folder keeps.

    A fit is a file of plain data with checksums, see `skmnist._io.write_archive`. Its
    name is the digest of all that the fit depends on. A file is complete or absent, so
    that processes can share a folder without a lock.

    Parameters
    ----------
    location : path-like
        The folder; created with the first fit.
    """

    def __init__(self, location):
        self.folder = Path(location) / FOLDER

    def path(self, key):
        """Return the file of a key."""
        return self.folder / key[:2] / f"{key}.skmnist"

    def read(self, key, spec):
        """Return a kept fit, or None if there is none, or its file is not that fit.

        Parameters
        ----------
        key : str
            From `fit_key`.
        spec : dict
            What the fit is going to train, see `describe`.

        Returns
        -------
        fit : (dict, list of ndarray) or None
            Description and numbers, as passed to `write`.
        """
        path = self.path(key)
        try:
            return read_kept(path, key, spec["network"])
        except FileNotFoundError:
            return None
        except (ModelFileError, OSError) as error:
            warnings.warn(f"A kept fit is trained again: {error}", stacklevel=2)
            return None

    def write(self, key, description, arrays):
        """Keep a fit. If that fails, warn: the fit itself is not lost.

        Parameters
        ----------
        key : str
            From `fit_key`.
        description : dict
            Plain data.
        arrays : list of ndarray
            Numbers.
        """
        path = self.path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Left by processes that were killed while they wrote.
            with contextlib.suppress(OSError):
                sweep_temporary_files(path.parent)
            write_archive(path, {"key": key, **description}, arrays)
        except (OSError, TypeError) as error:
            warnings.warn(f"A fit could not be kept: {error}", stacklevel=2)


def open_cache(memory, callbacks=None, random_state=0):
    """Return the cache for a fit, if such a fit can be kept.

    Parameters
    ----------
    memory : None, path-like or joblib.Memory
        As in scikit-learn's `Pipeline`. Only the location of a `joblib.Memory` is
        used.
    callbacks : object, default=None
        Keras callbacks of the caller. A fit with any is not kept, because what they do
        cannot be kept.
    random_state : object, default=0
        Seed of the fit. Only an int makes the same fit twice; anything else gives a
        warning.

    Returns
    -------
    cache : FitCache or None
        None if the fit is not to be kept.
    """
    if not isinstance(memory, str | os.PathLike):
        memory = getattr(memory, "location", None)
    if memory is None or callbacks is not None:
        return None
    if not isinstance(random_state, Integral):
        warnings.warn(
            "memory keeps a fit only if random_state is an int; otherwise the same fit "
            "never comes again.",
            stacklevel=6,
        )
        return None
    return FitCache(user_path(memory))


def fit_key(parts, arrays, n_threads):
    """Return the name of a fit, made of all that the fit depends on.

    Parameters
    ----------
    parts : dict
        Plain data, see `skmnist._io.to_json`.
    arrays : list of ndarray, csr_array or None
        The data. Their content counts, not their order in memory.
    n_threads : int
        Number of threads of the fit: another number adds in another order, and the
        last bits differ.

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
        "form": _FORM,
        "parts": to_json(parts),
        "arrays": [None if array is None else digest(array) for array in arrays],
        "versions": installed_versions(_PACKAGES),
        "threads": n_threads,
    }
    text = json.dumps(described, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def digest(array):
    """Return a digest of an array's type, shape and content.

    A sparse array names each place once, in order, and no zeros.
    """
    if issparse(array):
        places = [part.astype(np.int64) for part in (array.indptr, array.indices)]
        parts = [digest(part) for part in (*places, array.data)]
        return hashlib.sha256(f"csr{array.shape}{parts}".encode()).hexdigest()
    array = np.ascontiguousarray(array)
    hashed = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    hashed.update(array.view(np.uint8).reshape(-1) if array.size else b"")
    return hashed.hexdigest()
