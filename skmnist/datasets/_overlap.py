"""Find rows that two data sets share: a leak, if one of them judges the other."""

# SPDX-License-Identifier: BSD-3-Clause

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

# Rows that are converted at a time, so that the copies need little memory.
_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Overlap:
    """Rows that two data sets share.

    Parameters
    ----------
    train_rows : ndarray of int
        Rows of the first data set that are also in the second, in rising order.
    validation_rows : ndarray of int
        Rows of the second that are also in the first, in rising order.
    n_train, n_validation : int
        Numbers of rows.

    Examples
    --------
    >>> from skmnist import find_overlap
    >>> print(find_overlap([[1, 2], [3, 4]], [[5, 6], [1, 2]]))
    1 of 2 validation rows (50 %) is among the 2 training rows
    >>> bool(find_overlap([[1, 2]], [[2, 1]]))
    False
    """

    train_rows: NDArray[np.intp]
    validation_rows: NDArray[np.intp]
    n_train: int
    n_validation: int

    def __bool__(self) -> bool:
        return len(self.validation_rows) > 0

    def __str__(self) -> str:
        n = len(self.validation_rows)
        share = n / self.n_validation if self.n_validation else 0.0
        return (
            f"{n:,} of {self.n_validation:,} validation rows ({100 * share:.3g} %) "
            f"{'is' if n == 1 else 'are'} among the {self.n_train:,} training rows"
        )


def find_overlap(
    train: ArrayLike | sparse.sparray | sparse.spmatrix,
    validation: ArrayLike | sparse.sparray | sparse.spmatrix,
) -> Overlap:
    """Find the rows that two data sets share.

    Data that trained a model cannot judge it. Rows are compared value by value, at
    whatever position they are. Labels are not compared.

    Parameters
    ----------
    train, validation : array-like, sparse matrix or DataFrame
        Data of shape (n_samples, n_features) or (n_samples, ...), such as pictures.
        One may be sparse and the other dense.

    Returns
    -------
    overlap : Overlap
        The shared rows of both. It is true if there are any, and ``str(overlap)`` says
        how many.

    Raises
    ------
    ValueError
        If the two have different numbers of features, or different names of features.

    Notes
    -----
    Two rows are the same if all values are equal, and missing values (NaN) are at the
    same places. Types do not count: 3 equals 3.0. If one side has less precision, such
    as float32 beside float64, the other side is rounded to it first. Rows are compared
    by digests of 128 bits: these need little memory, and a false alarm is practically
    impossible.

    The 70,000 pictures of MNIST are all different. So if its training and test data
    share a row, a program has put it there. To search for the 10,000 test pictures
    among the 60,000 training pictures takes about a second.

    Near duplicates are not found, such as the same picture shifted or saved again, or
    two pictures of one writer or patient.

    Examples
    --------
    Here the validation set is a copy of training data, not a part split off:

    >>> import numpy as np
    >>> from skmnist import find_overlap
    >>> X = np.random.default_rng(0).random((100, 4))
    >>> leak = find_overlap(X, X[90:])
    >>> leak.train_rows.tolist()
    [90, 91, 92, 93, 94, 95, 96, 97, 98, 99]
    >>> bool(find_overlap(X[:90], X[90:]))
    False
    """
    _check_names(train, validation)
    both = [_rows(given) for given in (train, validation)]
    widths = [rows.shape[1] for rows in both]
    if widths[0] != widths[1]:
        raise ValueError(
            f"rows of {widths[0]} and of {widths[1]} features cannot be the same"
        )
    as_sparse = any(sparse.issparse(rows) for rows in both)
    dtype = _common_dtype(*(rows.dtype for rows in both))
    digests = [_digests(rows, dtype, as_sparse) for rows in both]
    shared = [
        np.flatnonzero([digest in other for digest in own])
        for own, other in zip(digests, map(set, digests[::-1]), strict=True)
    ]
    return Overlap(*shared, *(rows.shape[0] for rows in both))


def _check_names(train: Any, validation: Any) -> None:
    """Raise ValueError if two tables have different names of columns, or orders."""
    names = [getattr(given, "columns", None) for given in (train, validation)]
    if all(one is not None for one in names) and list(names[0]) != list(names[1]):
        raise ValueError(
            "the columns of the two tables must have the same names in the same order"
        )


def _rows(given: Any) -> Any:
    """Convert data to a matrix, sparse or dense, with a row for each sample."""
    if sparse.issparse(given):
        return sparse.csr_array(given)
    rows = np.asarray(given)
    if rows.ndim < 2:
        raise ValueError(f"data need rows and features; got the shape {rows.shape}")
    return rows.reshape(len(rows), math.prod(rows.shape[1:]))


def _common_dtype(a: np.dtype, b: np.dtype) -> np.dtype:
    """Return the type in which values are compared; object if some are no numbers."""
    if any(dtype.kind not in "biuf" for dtype in (a, b)):
        return np.dtype(object)
    if a.kind == b.kind == "f":
        return min(a, b, key=lambda dtype: dtype.itemsize)
    return np.result_type(a, b)


def _digests(rows: Any, dtype: np.dtype, as_sparse: bool) -> list[bytes]:
    """Return a digest of each row's values."""
    if dtype.kind == "O":
        rows = rows.toarray() if sparse.issparse(rows) else rows
        return [_digest(repr([_plain(v) for v in row]).encode()) for row in rows]
    with np.errstate(over="ignore"):  # too large for the type: infinite
        if as_sparse:
            return _sparse_digests(sparse.csr_array(rows).astype(dtype))
        found = []
        for start in range(0, len(rows), _BLOCK):
            block = _one_form(rows[start : start + _BLOCK].astype(dtype, order="C"))
            found += map(_digest, block)
        return found


def _sparse_digests(rows: sparse.csr_array) -> list[bytes]:
    rows.sum_duplicates()
    rows.eliminate_zeros()
    rows.sort_indices()
    indices, data = rows.indices.astype(np.int64), _one_form(rows.data)
    parts = [slice(*ends) for ends in zip(rows.indptr, rows.indptr[1:], strict=False)]
    return [_digest(indices[part].tobytes() + data[part].tobytes()) for part in parts]


def _one_form(values: NDArray[Any]) -> NDArray[Any]:
    """Give equal numbers equal bytes: zero and NaN have several forms."""
    if values.dtype.kind == "f":
        values += 0.0  # -0.0 becomes 0.0
        values[np.isnan(values)] = np.nan
    return values


def _plain(value: Any) -> float | str | None:
    """Give equal values in a table of mixed types one form."""
    value = value.item() if isinstance(value, np.generic) else value
    try:
        missing = value is None or bool(value != value)
    except TypeError:  # the NA of pandas is neither equal nor unequal
        missing = True
    if missing:
        return None
    if isinstance(value, bool | int | float):
        return float(value) + 0.0
    return str(value)


def _digest(row: Any) -> bytes:
    return hashlib.blake2b(row, digest_size=16).digest()
