"""Read tables: CSV in its dialects, and Parquet."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ._files import Array, DataError, StrPath, check_file, require
from ._mnist_files import _open as open_plain_or_gzip

# The columns by their names: float64, with NaN for what is missing; or str objects,
# with None.
Table: TypeAlias = dict[str, Array]

# Names that the column of the labels often has, the most telling first.
LABEL_NAMES = ("label", "labels", "class", "target", "y", "species", "category")
MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?"))
# Larger tables do not fit into the memory of most machines.
MOST_BYTES = 2**32
_DELIMITERS = ",;\t|"


def read_table(path: StrPath) -> Table:
    """Read a table with a column for each feature, and perhaps one of labels.

    Parameters
    ----------
    path : str or path-like
        A ``.csv`` or ``.tsv`` file, also packed by gzip, or a ``.parquet`` file.

    Returns
    -------
    table : dict of str to ndarray
        The columns. Numbers are float64, and NaN where they are missing; all else is
        str, and None where it is missing. Columns without a head are "column_0",
        "column_1", ...

    Raises
    ------
    DataError
        If the file cannot be read as a table.
    """
    check_file(path)
    path = Path(path)
    size = path.stat().st_size
    require(size <= MOST_BYTES, path, "larger than 4 GiB; take a sample of its rows")
    try:
        if path.name.casefold().endswith(".parquet"):
            table = _read_parquet(path)
        else:
            table = _read_csv(path)
    except DataError:
        raise
    except Exception as error:  # gzip, csv, NumPy and Arrow have their own
        raise DataError(f"{path}: cannot be read as a table, {error}") from error
    require(bool(table), path, "has no columns")
    require(len(next(iter(table.values()))) > 0, path, "has no rows")
    return table


# ---- CSV -----------------------------------------------------------------------------


def _read_csv(path: Path) -> Table:
    with _lines(path) as lines:
        first = next(lines, "")
        require(first != "", path, "is empty")
        delimiter = max(_DELIMITERS, key=first.count)
        cells = [cell.strip() for cell in next(_rows([first], delimiter), [])]
        has_head = _is_head(cells)
        require(not has_head or next(lines, "") != "", path, "has a head and no rows")
    names = cells if has_head else [f"column_{i}" for i in range(len(cells))]
    twice = sorted({name for name in names if names.count(name) > 1})
    require(not twice, path, f"columns of one name: {', '.join(map(repr, twice[:5]))}")
    with _lines(path) as lines:
        next(lines if has_head else iter(()), None)
        columns = _numbers(lines, delimiter, len(names))
    if columns is None:
        with _lines(path) as lines:
            next(lines if has_head else iter(()), None)
            columns = _cells(path, lines, delimiter, len(names))
    return dict(zip(names, columns, strict=True))


@contextlib.contextmanager
def _lines(path: Path) -> Iterator[Iterator[str]]:
    """Open a file, and return its lines that are not blank."""
    with open_plain_or_gzip(path) as raw:
        limited = io.BufferedReader(_Limited(raw, path))
        text = io.TextIOWrapper(limited, "utf-8-sig", newline="")
        try:
            yield (line for line in text if line.strip())
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: is no text in UTF-8; save it as such") from error


def _numbers(lines: Iterable[str], delimiter: str, count: int) -> list[Array] | None:
    """Return the columns if all cells are numbers, as NumPy reads them at once."""
    try:
        found = np.loadtxt(
            lines, float, delimiter=delimiter, quotechar='"', comments=None, ndmin=2
        )
    except UnicodeDecodeError:
        raise
    except ValueError:
        return None
    return list(found.T) if found.shape[1] == count else None


def _cells(path: Path, lines: Iterable[str], delimiter: str, count: int) -> list[Array]:
    """Return the columns of lines with text or missing values."""
    columns: list[list[str]] = [[] for _ in range(count)]
    for number, row in enumerate(_rows(lines, delimiter), 1):
        if len(row) != count:
            raise DataError(
                f"{path}: row {number} has {len(row)} cells, and the first line {count}"
            )
        for column, cell in zip(columns, row, strict=True):
            column.append(cell)
    return [_typed(column) for column in columns]


class _Limited(io.RawIOBase):
    """Bytes of a file; more than `MOST_BYTES` are an error. Gzip hides its size."""

    def __init__(self, file: Any, path: Path) -> None:
        self.file, self.path, self.left = file, path, MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self.file.read(len(buffer))
        self.left -= len(found)
        require(self.left >= 0, self.path, "larger than 4 GiB when it is unpacked")
        buffer[: len(found)] = found
        return len(found)


def _is_head(cells: list[str]) -> bool:
    """Return whether the cells of the first line are names, and no data."""
    if any(cell.casefold() in LABEL_NAMES for cell in cells):
        return True
    return not any(_is_number(cell) for cell in cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _rows(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)


def _typed(column: list[str]) -> Array:
    """Return cells as numbers if all of them are, else as text."""
    cells = [cell.strip() for cell in column]
    present = [cell for cell in cells if cell.casefold() not in MISSING]
    if present and all(map(_is_number, present)):
        # "nan" and "inf" are numbers for Python.
        missing = [cell.casefold() in MISSING for cell in cells]
        numbers = ["nan" if m else c for c, m in zip(cells, missing, strict=True)]
        return np.array(numbers).astype(float)
    return _texts(None if cell.casefold() in MISSING else cell for cell in cells)


def _texts(values: Iterable[str | None]) -> Array:
    values = list(values)
    column = np.empty(len(values), object)
    column[:] = values
    return column


# ---- Parquet -------------------------------------------------------------------------


def _read_parquet(path: Path) -> Table:
    try:
        from pyarrow import parquet
    except ImportError:
        raise DataError(
            f"{path}: needs the package pyarrow; install it with "
            "'pip install skmnist[parquet]'"
        ) from None
    with open(path, "rb") as file:
        content = parquet.ParquetFile(file)
        groups = range(content.metadata.num_row_groups)
        size = sum(content.metadata.row_group(i).total_byte_size for i in groups)
        require(size <= MOST_BYTES, path, "larger than 4 GiB when it is unpacked")
        found = content.read()
    names = _names_of_classes(found.schema.metadata or {})
    table = {}
    for name in found.column_names:
        if name.startswith("__index_level_"):  # of pandas
            continue
        column = _of_arrow(path, name, found.column(name))
        table[name] = _renamed(column, names[name]) if name in names else column
    return table


def _of_arrow(path: Path, name: str, column: Any) -> Array:
    """Return a column of Arrow."""
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    if number:
        values = [np.nan if v is None else float(v) for v in column.to_pylist()]
        return np.array(values, float)
    if types.is_boolean(kind) or types.is_string(kind) or types.is_large_string(kind):
        return _texts(None if v is None else str(v) for v in column.to_pylist())
    if types.is_struct(kind) and "bytes" in [field.name for field in kind]:
        return _texts(None if v is None else v["bytes"] for v in column.to_pylist())
    raise DataError(
        f"{path}: the column {name!r} holds {kind}; needed are numbers or text. Leave "
        "the column out, or write it as one of these"
    )


def _names_of_classes(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Return the names of classes that Hugging Face writes beside a table."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {
            column: [str(name) for name in about["names"]]
            for column, about in features.items()
            if isinstance(about, dict) and isinstance(about.get("names"), list)
        }
    except (KeyError, TypeError, AttributeError, ValueError):
        return {}


def _renamed(column: Array, names: list[str]) -> Array:
    whole = column.dtype.kind == "f" and np.isin(column, np.arange(len(names))).all()
    return _texts(names[int(value)] for value in column) if whole else column
