"""Load what a path leads to: a file of any common form, or a folder of them."""

# SPDX-License-Identifier: BSD-3-Clause

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from .._io import may_access, user_path
from ._columns import join_tables
from ._families import (
    FAMILIES,
    family_of,
    family_of_set,
    read_mat,
    with_picture_form,
)
from ._files import DataError, DataNotFoundError, StrPath, check_file, require
from ._idx import find_sets, read_set
from ._loaders import join_pictures, load_own
from ._openml import PREFIX, fetch_table
from ._pictures import (
    TEST_NAMES,
    TRAIN_NAMES,
    PictureForm,
    find_class_folders,
    read_class_folders,
)
from ._suffixes import SUFFIXES, is_table
from ._tables import Table, read_table

LOOKED_FOR = (
    "four IDX files (train-images-idx3-ubyte.gz, ...), train.csv and test.csv or "
    ".parquet, a folder of pictures for each class, or one .npz, .mat, .csv, .parquet"
)
_PART = re.compile(
    rf"(?:.*[^a-z])?(?P<part>{'|'.join((*TRAIN_NAMES, *TEST_NAMES))})(?:[^a-z].*)?"
)


def load_path(
    path: StrPath, *, pixels: object = "auto", label: str | None = None
) -> tuple[Bunch, str]:
    """Load the data that a path leads to.

    Parameters
    ----------
    path : str or path-like
        A file or a folder; see `load_dataset`.
    pixels : str or pair of numbers, default="auto"
        See `load_npz`.
    label : str, default=None
        The column of the labels in a table.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        See `load_dataset`.
    said : str
        What was done, in a sentence or more.

    Raises
    ------
    DataError
        If there are no data (DataNotFoundError) or they cannot be used.
    """
    place = user_path(path)
    if place.is_dir() and place.suffix.casefold() != ".npz":
        require(may_access(place, os.R_OK | os.X_OK), place, "may not be read")
        return _load_folder(place, pixels, label)
    name = place.name.casefold()
    check_file(place, DataNotFoundError)
    if is_table(place):
        return join_tables(place, [read_table(place)], label=label, pixels=pixels)
    require(label is None, place, "is no table; leave out the label column")
    if name.endswith(".npz"):
        return load_own(place, pixels)
    if name.endswith(".mat"):
        arrays, names = read_mat(place)
        bunch, said = join_pictures(place, arrays, pixels, names)
        return with_picture_form(bunch, family_of(place.stem)), said
    forms = ", ".join(SUFFIXES)
    raise DataError(f"{place}: no known form of data; known are {forms}, or a folder")


def load_openml(
    name: str,
    data_home: StrPath | None = None,
    *,
    pixels: object = "auto",
    label: str | None = None,
) -> tuple[Bunch, str]:
    """Load a data set of OpenML, see `fetch_table` and `join_tables`."""
    table, found = fetch_table(name, data_home)
    return join_tables(f"{PREFIX}{name}", [table], label=label or found, pixels=pixels)


def _load_folder(place: Path, pixels: object, label: str | None) -> tuple[Bunch, str]:
    """Load what is in a folder: the first known form of data."""
    sets = find_sets(place)
    if sets:
        require(label is None, place, "holds no table; leave out the label column")
        if len(sets) > 1:
            names = ", ".join(found.name or "one without a name" for found in sets)
            raise DataError(
                f"{place}: holds several data sets ({names}); say which, as in "
                f"--dataset {sets[-1].name} --data {place}"
            )
        family = family_of_set(sets[0])
        names_of_classes = FAMILIES[family].class_names if family else _listed(place)
        arrays = read_set(sets[0])
        bunch, said = join_pictures(place, arrays, pixels, names_of_classes)
        return with_picture_form(bunch, family), said
    tables = _tables_in(place)
    if tables:
        return join_tables(place, tables, label=label, pixels=pixels)
    parts = find_class_folders(place)
    if parts:
        require(label is None, place, "holds no table; leave out the label column")
        return _load_pictures(place, parts, pixels)
    files = [p for p in _files(place) if p.name.casefold().endswith(SUFFIXES)]
    if len(files) == 1:
        return load_path(files[0], pixels=pixels, label=label)
    held = sorted(os.listdir(place))
    few = ", ".join([*held[:5], *(["..."] if len(held) > 5 else [])]) or "nothing"
    kind = DataError if files else DataNotFoundError
    several = "; several files: name one of them" if files else ""
    raise kind(f"{place}: looked for {LOOKED_FOR}; it holds {few}{several}")


def _files(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_file())


def _tables_in(place: Path) -> list[Table]:
    """Read a table to train and one to test; [] if a folder does not have both.

    A table may be in several files, as Hugging Face cuts them.
    """
    by_part: dict[str, list[Path]] = {}
    for path in _files(place):
        match = _PART.fullmatch(path.name.casefold())
        if match and is_table(path):
            train = match["part"] in TRAIN_NAMES
            # Where there is a test part, the validation part is left out.
            part = "train" if train else match["part"]
            by_part.setdefault(part, []).append(path)
    test = next((by_part[name] for name in TEST_NAMES if name in by_part), None)
    if "train" not in by_part or test is None:
        return []
    return [
        _joined([read_table(p) for p in paths]) for paths in (by_part["train"], test)
    ]


def _joined(tables: Sequence[Table]) -> Table:
    first = tables[0]
    if len(tables) == 1:
        return first
    require(
        all(table.keys() == first.keys() for table in tables),
        "the parts of a table",
        "have different columns",
    )
    return {name: np.concatenate([table[name] for table in tables]) for name in first}


def _listed(place: Path) -> dict[int, str]:
    """Return the names of classes in ``classes.txt`` or ``labels.txt``, one a line."""
    for name in ("classes.txt", "labels.txt", "class_names.txt"):
        path = place / name
        if path.is_file():
            check_file(path)
            try:
                lines = path.read_text("utf-8-sig")[:100_000].split("\n")
            except UnicodeDecodeError as error:
                raise DataError(f"{path}: is no text in UTF-8") from error
            return dict(enumerate(line.strip() for line in lines if line.strip()))
    return {}


def _load_pictures(
    place: Path, parts: list[list[Path]], pixels: object
) -> tuple[Bunch, str]:
    arrays = read_class_folders(place, parts)
    bunch, said = join_pictures(place, arrays, "0..255" if pixels == "auto" else pixels)
    digits = set(bunch.target.tolist()) <= set(range(10))
    size = arrays[0].shape[1:]
    if not (digits and size == (28, 28)):
        bunch.pictures = PictureForm.of(bunch.data.reshape(-1, *size))
    return bunch, said
