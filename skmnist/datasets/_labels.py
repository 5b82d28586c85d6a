"""Labels in all their forms, as whole numbers or text."""

# SPDX-License-Identifier: BSD-3-Clause

import pickle
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

_MODULES = ("numpy._core.multiarray", "numpy.core.multiarray")
_INT64 = np.iinfo(np.int64)
_UINT64 = np.iinfo(np.uint64)


def plain_labels(labels: Array) -> Array:
    """Convert labels to whole numbers or text, one for each row.

    Parameters
    ----------
    labels : ndarray of shape (n,), (n, 1) or (n, n_classes)
        Numbers that are whole, True and False, text, bytes or dates; an array of
        Python objects may hold these too. With a column for each class, each row has
        a single 1 in the column of its class (one-hot).

    Returns
    -------
    labels : ndarray of shape (n,)
        int64 or str; uint64 if there are numbers from 2**63 on.

    Raises
    ------
    ValueError
        If they are something else.

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist.datasets._labels import plain_labels
    >>> plain_labels(np.array([[0, 1], [1, 0]])).tolist()
    [1, 0]
    >>> plain_labels(np.array([b"cat", b"dog"])).tolist()
    ['cat', 'dog']
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and _is_one_hot(labels):
        return labels.argmax(axis=1).astype(np.int64)
    if labels.ndim != 1:
        raise ValueError(
            f"labels {labels.dtype} {labels.shape}; needed are one for each row, or "
            "a column for each class with a single 1 in each row"
        )
    kind = labels.dtype.kind
    if kind == "O":
        return _of_objects(labels.tolist())
    if kind == "S":
        return _text(labels.tolist())
    if kind == "f":
        return _of_floats(labels)
    if kind in "mM":
        _require(not np.isnat(labels).any(), "labels that are missing (NaT)")
        return labels.astype(np.str_)
    _require(kind in "biuU", f"labels {labels.dtype}; needed are whole numbers or text")
    if kind == "U":
        return labels
    large = kind == "u" and labels.size and int(labels.max()) > _INT64.max
    return labels.astype(np.uint64 if large else np.int64)


def _is_one_hot(labels: Array) -> bool:
    if labels.dtype.kind not in "biuf" or not labels.size:
        return False
    binary = ((labels == 0) | (labels == 1)).all()
    return bool(binary and (labels.sum(axis=1) == 1).all())


def _of_floats(labels: Array) -> Array:
    _require(not np.isnan(labels).any(), "labels that are missing (NaN)")
    with np.errstate(invalid="ignore"):
        others = labels[~np.isfinite(labels) | (labels != np.floor(labels))]
    if others.size:
        shown = [float(label) for label in np.unique(others)[:3]]
        raise ValueError(f"labels that are no whole numbers, such as {shown}")
    return _of_ints([int(label) for label in labels.tolist()])


def _of_ints(labels: list[int]) -> Array:
    if not labels or (min(labels) >= _INT64.min and max(labels) <= _INT64.max):
        return np.array(labels, np.int64)
    _require(
        min(labels) >= 0 and max(labels) <= _UINT64.max,
        "labels beyond 64 bits; save them as text",
    )
    return np.array(labels, np.uint64)


def _text(labels: list[bytes]) -> Array:
    """Decode bytes; two that differ stay different."""
    try:
        return np.array([label.decode() for label in labels])
    except UnicodeDecodeError:
        return np.array([label.decode("latin-1") for label in labels])


def _of_objects(labels: list[Any]) -> Array:
    """Convert Python objects that are all of one kind."""
    labels = [one.item() if isinstance(one, np.generic) else one for one in labels]
    missing = any(label is None or label != label for label in labels)
    _require(not missing, "labels that are missing (None or NaN)")
    kinds = {type(label) for label in labels}
    if kinds <= {str}:
        return np.array(labels, np.str_)
    if kinds <= {bytes}:
        return _text(labels)
    if kinds <= {bool, int}:
        return _of_ints([int(label) for label in labels])
    if kinds <= {bool, int, float}:
        _require(
            all(float(label).is_integer() for label in labels),
            "labels that are no whole numbers",
        )
        return _of_ints([int(label) for label in labels])
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise ValueError(f"labels of different or other types ({names}); save them as text")


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)


def join_labels(train: Array, test: Array) -> list[Array]:
    """Give the labels of two parts one type, such that no number changes."""
    if train.dtype.kind == "U" or test.dtype.kind == "U" or train.dtype == test.dtype:
        return [train, test]
    joined = _of_ints(train.tolist() + test.tolist())
    return [joined[: len(train)], joined[len(train) :]]


def read_plain_objects(file: IO[bytes]) -> Array:
    """Read an array of Python's own values from an ``.npy`` file, running no code.

    NumPy writes such arrays as a pickle, which can run any code. This reads only
    pickles that hold an array with numbers, text, bytes, True, False and None, and
    puts stand-ins in the place of NumPy's functions.

    Parameters
    ----------
    file : file object
        The file, at its beginning.

    Returns
    -------
    array : ndarray of object

    Raises
    ------
    pickle.UnpicklingError
        If there is anything else in the file.
    """
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise pickle.UnpicklingError(f"an array in version {version}")
    shape, _, _ = np.lib.format.read_array_header_1_0(file)
    found = _PlainUnpickler(file).load()
    values = getattr(found, "values", None)
    if not isinstance(values, list) or len(values) != int(np.prod(shape)):
        raise pickle.UnpicklingError("an array of other objects")
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)  # NumPy lists the values row by row


class _PlainUnpickler(pickle.Unpickler):
    """An unpickler that calls nothing but what stands here."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a function of NumPy."""
        if module in _MODULES and name in ("_reconstruct", "scalar"):
            return _Array if name == "_reconstruct" else _Scalar
        if module == "numpy" and name in ("ndarray", "dtype"):
            return _Array if name == "ndarray" else _Type
        raise pickle.UnpicklingError(
            f"Python objects ({module}.{name}), which are not loaded"
        )


class _Array:
    """Stands in for an array while a pickle is read."""

    values: Any = None

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.values = state[-1]


class _Type:
    """Stands in for a NumPy type while a pickle is read."""

    def __init__(self, code: Any, *args: Any) -> None:
        self.code = str(code)

    def __setstate__(self, state: Any) -> None:
        if state[1] in ("<", ">"):
            self.code = state[1] + self.code


class _Scalar:
    """Makes a number or text that is kept as NumPy's own, while a pickle is read."""

    def __new__(cls, kind: Any, content: Any) -> Any:
        if not isinstance(kind, _Type) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("an array of other objects")
        dtype = np.dtype(kind.code)
        if dtype.kind not in "biufSU":
            raise pickle.UnpicklingError(f"values of type {dtype}")
        return np.frombuffer(content, dtype)[0].item()

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("an array of other objects")
