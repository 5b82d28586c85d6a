"""Fetch data sets from OpenML, through scikit-learn."""

# SPDX-License-Identifier: BSD-3-Clause

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.datasets import fetch_openml

from ._encoder import as_column
from ._files import Array, DataError, DataNotFoundError, StrPath
from ._tables import Table

PREFIX = "openml:"
# Time for an answer. A large data set takes minutes to arrive.
_SECONDS = 600


def fetch_table(
    name: str, data_home: StrPath | None = None
) -> tuple[Table, str | None]:
    """Return a data set of OpenML as a table, and the name of its label column.

    Parameters
    ----------
    name : str
        Its name there, its number, or ``NAME/VERSION``.
    data_home : str or path-like, default=None
        Folder of scikit-learn's cache; None for the usual one.

    Returns
    -------
    table : dict of str to ndarray
        See `read_table`.
    label : str or None
        Its label column; None if OpenML names none.

    Raises
    ------
    DataNotFoundError
        If it cannot be fetched.
    """
    from ._loaders import _within

    asked = _asked(name)
    home = None if data_home is None else str(data_home)
    frame = find_spec("pandas") is not None

    def fetch() -> Any:
        return fetch_openml(
            **asked,
            data_home=home,
            as_frame=frame,
            parser="auto" if frame else "liac-arff",
            n_retries=0,
        )

    try:
        found = _within(_SECONDS, fetch)
    except Exception as error:  # urllib, OpenML and the cache have their own
        raise DataNotFoundError(
            f"{PREFIX}{name} cannot be fetched, {error!r}; is the name right, and is "
            "there a network?"
        ) from error
    return _table(name, found, frame)


def _asked(name: str) -> dict[str, Any]:
    """Return the arguments of fetch_openml for a name."""
    if re.fullmatch(r"\d{1,9}", name):
        return {"data_id": int(name)}
    plain, _, version = name.rpartition("/")
    if plain and re.fullmatch(r"\d{1,4}", version):
        return {"name": plain, "version": int(version)}
    if not name:
        raise DataError(f"{PREFIX} needs a name, as in {PREFIX}mnist_784")
    return {"name": name, "version": "active"}


def _table(name: str, found: Any, frame: bool) -> tuple[Table, str | None]:
    targets = list(found.target_names or [])
    if frame:
        columns = {str(n): found.frame[n] for n in found.frame}
    else:
        if not isinstance(found.data, np.ndarray):
            raise DataError(f"{PREFIX}{name}: sparse, which needs the package pandas")
        columns = dict(zip(found.feature_names, found.data.T, strict=True))
        if len(targets) == 1:
            columns[targets[0]] = found.target
        columns = {n: _decoded(c, found.categories, n) for n, c in columns.items()}
    try:
        table = {str(n): as_column(n, column) for n, column in columns.items()}
    except ValueError as error:
        raise DataError(f"{PREFIX}{name}: {error}") from error
    label = str(targets[0]) if len(targets) == 1 else None
    if label is not None:
        table[label] = _whole(table[label])
    return table, label


def _decoded(column: Any, categories: Mapping[str, Any] | None, name: str) -> Any:
    """Return the categories in the place of their numbers."""
    names = (categories or {}).get(name)
    column = np.asarray(column)
    if names is None or column.dtype.kind != "f":
        return column
    return np.array([None if v != v else names[int(v)] for v in column], object)


def _whole(column: Array) -> Array:
    """Return labels such as "3", which are categories at OpenML, as numbers."""
    values = column.tolist()
    if column.dtype.kind != "O" or not all(
        isinstance(value, str) and re.fullmatch(r"\d{1,9}", value) for value in values
    ):
        return column
    return np.array(values).astype(float)


def fetch_pictures(name: str) -> tuple[Array, Array]:
    """Return the pictures and the labels of a set of OpenML that is like MNIST.

    Parameters
    ----------
    name : str
        Its name there.

    Returns
    -------
    x : ndarray of shape (n, 28, 28)
    y : ndarray of shape (n,)

    Raises
    ------
    DataError
        If it cannot be fetched (DataNotFoundError), or has another form.
    """
    table, label = fetch_table(f"{name}/1")
    if label is None or len(table) != 785:
        raise DataError(f"{PREFIX}{name}: has another form now")
    y = table.pop(label)
    x = np.stack(list(table.values()), axis=1).astype(np.uint8)
    return x.reshape(-1, 28, 28), y.astype(np.int64)
