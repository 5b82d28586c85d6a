"""Make a data set of a table: find the labels, tell pixels from other columns."""

# SPDX-License-Identifier: BSD-3-Clause

import math
import re
from collections.abc import Sequence

import numpy as np
from sklearn.utils import Bunch

from ._encoder import TableEncoder
from ._files import Array, DataError, StrPath, require
from ._labels import plain_labels
from ._loaders import SPLIT, check_parts, join_pictures, make_bunch, split_stratified
from ._pictures import open_grey, stack_pictures
from ._pixels import find_scale
from ._tables import LABEL_NAMES, Table

# "pixel0", "1x1", "px_3_4"; "0" is one only beside others that make a square.
_PIXEL = re.compile(r"(?:pixel|px|p)[-_ ]?\d+(?:[-_x]\d+)?|\d+x\d+|\d+_\d+", re.I)
_NUMBER = re.compile(r"(?:column_|attr|v|col)?\d+", re.I)
_FEWEST_PIXELS = 16


def join_tables(
    where: StrPath,
    tables: Sequence[Table],
    *,
    label: str | None = None,
    pixels: object = "auto",
) -> tuple[Bunch, str]:
    """Make a data set of a table, or of one to train and one to test.

    Parameters
    ----------
    where : str or path-like
        Where they come from, for errors.
    tables : sequence of dict of str to ndarray
        One or two tables, from `read_table`.
    label : str, default=None
        The column of the labels; None finds it.
    pixels : str or pair of numbers, default="auto"
        See `load_npz`; for columns that are pixels.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        See `load_dataset`. Its `encoder` is None if the pictures come as files in a
        column.
    said : str
        What was done, in a sentence or more.

    Raises
    ------
    DataError
        If they cannot be used.
    """
    name = find_label(where, tables[0], label)
    labels = [_labels(where, table, name) for table in tables]
    features = [{n: c for n, c in t.items() if n != name} for t in tables]
    said = f"Labels from the column {name!r}"
    pictures = [_decoded(table) for table in features]
    if all(x is not None for x in pictures):
        arrays = [a for x, y in zip(pictures, labels, strict=True) for a in (x, y)]
        bunch, scaled = join_pictures(where, arrays, pixels)
        return Bunch(**bunch, encoder=None), f"{said}. {scaled}"
    for table in features[1:]:
        absent = [repr(n) for n in features[0] if n not in table]
        require(not absent, where, f"the test table lacks {', '.join(absent[:5])}")
    if are_pixels(features[0]):
        bunch, more = _of_pixels(where, features, labels, pixels)
    else:
        require(pixels == "auto", where, "has no pixels; leave out the scale")
        bunch, more = _of_columns(where, features, labels)
    return Bunch(**bunch, label=name), f"{said}. {more}"


def find_label(where: StrPath, table: Table, label: str | None = None) -> str:
    """Return the name of the column of the labels.

    Parameters
    ----------
    where : str or path-like
        Where the table comes from, for errors.
    table : dict of str to ndarray
        The table.
    label : str, default=None
        The name that was asked for.

    Returns
    -------
    name : str
        A column with that name; or with a name in `LABEL_NAMES`. In a table without a
        head, the only column of text if it is the first or last one, or the first
        column if the others are the pixels of a square.

    Raises
    ------
    DataError
        If there is none. The message names the columns.
    """
    names = list(table)
    few = [*map(repr, names[:8]), *(["..."] if len(names) > 8 else [])]
    plural = "" if len(names) == 1 else "s"
    held = f"it has {len(names)} column{plural}: {', '.join(few)}"
    if label is not None:
        require(label in table, where, f"no column {label!r}; {held}")
        return label
    folded: dict[str, str] = {}
    for name in names:
        folded.setdefault(name.casefold(), name)
    found = next((folded[n] for n in LABEL_NAMES if n in folded), None)
    if found is None and all(re.fullmatch(r"column_\d+", name) for name in names):
        texts = [name for name in names if table[name].dtype.kind == "O"]
        if len(texts) == 1 and texts[0] in (names[0], names[-1]):
            return texts[0]
        if are_pixels({name: table[name] for name in names[1:]}):
            return names[0]
    if found is None:
        raise DataError(
            f"{where}: no column of labels, looked for {', '.join(LABEL_NAMES)}; "
            f"{held}. Name it: --label COLUMN, or label= in Python"
        )
    return found


def are_pixels(table: Table) -> bool:
    """Return whether the columns of a table are the pixels of pictures."""
    names = list(table)
    if len(names) < _FEWEST_PIXELS or any(c.dtype.kind != "f" for c in table.values()):
        return False
    if all(_PIXEL.fullmatch(name) for name in names):
        return True
    if not all(_NUMBER.fullmatch(n) for n in names) or _side(len(names)) is None:
        return False
    lowest = min(float(column.min()) for column in table.values())
    highest = max(float(column.max()) for column in table.values())
    return lowest >= 0 and highest <= 255


def _side(n: int) -> int | None:
    side = math.isqrt(n)
    return side if side * side == n else None


def _labels(where: StrPath, table: Table, name: str) -> Array:
    """Return the labels in a column as whole numbers or text."""
    require(name in table, where, f"the test table has no column {name!r}")
    column = table[name]
    if column.dtype.kind == "f":
        missing = int(np.isnan(column).sum())
    else:
        missing = sum(value is None for value in column.tolist())
    require(
        not missing,
        where,
        f"{missing} of {len(column)} labels are missing in the column {name!r}; leave "
        "out these rows",
    )
    try:
        return plain_labels(column)
    except ValueError as error:
        raise DataError(
            f"{where}: the column {name!r} has {error}; classes are needed. Name "
            "another column with --label COLUMN, or label= in Python"
        ) from error


def _decoded(table: Table) -> Array | None:
    """Return pictures that are in a column as files; None if no column has some."""
    for column in table.values():
        files = column.tolist() if column.dtype.kind == "O" else []
        if files and all(isinstance(file, bytes) for file in files):
            return stack_pictures(open_grey(file) for file in files)
    return None


def _of_pixels(
    where: StrPath, tables: list[Table], labels: list[Array], pixels: object
) -> tuple[Bunch, str]:
    names = list(tables[0])
    side = _side(len(names))
    arrays = []
    for table, y in zip(tables, labels, strict=True):
        for name in names:
            missing = np.isnan(table[name]).any()
            require(not missing, where, f"the pixels in {name!r} are not all there")
        x = np.stack([table[name] for name in names], axis=1)
        x = x.astype(np.int64) if (x == np.floor(x)).all() else x
        arrays += [x if side is None else x.reshape(-1, side, side), y]
    bunch, said = join_pictures(where, arrays, pixels)
    low, high = find_scale(arrays[::2], pixels)[0] or (0.0, 1.0)
    return Bunch(**bunch, encoder=TableEncoder.of_pixels(names, low, high)), said


def _of_columns(
    where: StrPath, tables: list[Table], labels: list[Array]
) -> tuple[Bunch, str]:
    """Encode columns; what is learned of them is learned from the training part."""
    rows = [np.arange(len(y)) for y in labels]
    arrays = [array for pair in zip(rows, labels, strict=True) for array in pair]
    # The rows stand for the columns, which cannot be compared before they are encoded.
    check_parts(where, arrays)
    if len(tables) == 1:
        arrays = split_stratified(*arrays, test_size=1 / 6)
    train, test = arrays[0], arrays[2]
    last = tables[-1]
    try:
        encoder = TableEncoder.fit({n: c[train] for n, c in tables[0].items()})
        parts = [
            encoder.transform({n: c[rows] for n, c in table.items()})
            for table, rows in ((tables[0], train), (last, test))
        ]
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error
    said = _describe(encoder, tables)
    said = f"{said}. {SPLIT}" if len(tables) == 1 else said
    bunch = make_bunch(
        [parts[0], arrays[1], parts[1], arrays[3]], f"Loaded from {where}. {said}"
    )
    bunch.feature_names = encoder.feature_names
    return Bunch(**bunch, encoder=encoder), said


def _describe(encoder: TableEncoder, tables: list[Table]) -> str:
    """Say what becomes of the columns."""
    said = []
    if encoder.numbers:
        said.append(f"{len(encoder.numbers)} columns of numbers, standardized")
    if encoder.texts:
        said.append(f"{len(encoder.texts)} of text, one feature for each category")
    gaps = [n for n in encoder.numbers if any(np.isnan(t[n]).any() for t in tables)]
    if gaps:
        said.append(f"medians where numbers are missing ({_few(gaps)})")
    left_out = [f"{name} {why}" for name, why in encoder.left_out.items()]
    if left_out:
        said.append(f"left out: {'; '.join(left_out[:3])}")
    return ", ".join(said)


def _few(names: list[str]) -> str:
    return ", ".join([*names[:5], *(["..."] if len(names) > 5 else [])])
