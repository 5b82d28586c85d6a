"""The data sets that have a name, for `load_dataset` and for the command line.

What has no name, a file or a folder, is loaded by ``_own``.

To add a data set, add an entry to `DATASETS`. Its name then works in `load_dataset`
and in ``--dataset``, and stands in their documentation, in the help and in the shell's
completion. Help and completion read this module, so it must load nothing heavy: a
loader imports what it needs when it is called.
"""

# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ._suffixes import SUFFIXES

if TYPE_CHECKING:
    from sklearn.utils import Bunch

AUTO, OPENML = "auto", "openml:"
StrPath: TypeAlias = str | os.PathLike[str]
Function = TypeVar("Function", bound=Callable[..., object])


@dataclass(frozen=True)
class NamedDataset:
    """A data set that can be asked for by name.

    Parameters
    ----------
    load : callable
        ``load(data_home)`` returns a :class:`~sklearn.utils.Bunch` like that of
        :func:`~skmnist.fetch_mnist`. It raises `DataNotFoundError` if the data are not
        there. `split_stratified` and `make_bunch` of ``_loaders`` help to make it.
    description : str
        What it is, in a few words, for the help.
    auto : bool, default=False
        Whether "auto" tries it, after those before it.
    note : str, default=""
        What to say, before the reason, if "auto" takes it because the first data set
        is not there.
    takes_folder : bool, default=True
        Whether `load` looks into the folder ``data_home``. If not, to name one is an
        error.
    like_mnist : bool, default=True
        False for digits that are placed in their square in another way than those of
        MNIST. ``skmnist fit`` then places them like MNIST, as ``skmnist predict`` does
        with the digits of photographs.
    """

    load: Callable[[StrPath | None], "Bunch"]
    description: str
    auto: bool = False
    note: str = ""
    takes_folder: bool = True
    like_mnist: bool = True


def _mnist(data_home: StrPath | None) -> "Bunch":
    from ._loaders import fetch_mnist

    return fetch_mnist(data_home)


def _digits(data_home: StrPath | None) -> "Bunch":
    from ._loaders import load_digits_28x28

    return load_digits_28x28()


def _kin(name: str, data_home: StrPath | None) -> "Bunch":
    from ._families import load_family

    return load_family(name, data_home)


# Sets like MNIST, for `_families`. Those that OpenML has are fetched from there; of the
# others the files must be in a folder.
KIN = {
    "fashion-mnist": "70,000 pictures of clothes",
    "kmnist": "70,000 Japanese letters",
    "qmnist": "the digits of MNIST, with 60,000 to test; from your files",
    "emnist-letters": "145,600 letters, in 26 classes; from your files",
    "emnist-balanced": "131,600 digits and letters, in 47 classes; from your files",
    "emnist-byclass": "814,255 digits and letters, in 62 classes; from your files",
    "emnist-bymerge": "814,255 digits and letters, in 47 classes; from your files",
    "emnist-digits": "280,000 digits; from your files",
}

DATASETS = {
    "mnist": NamedDataset(
        _mnist,
        "the 70,000 digits of MNIST, from your files or a download",
        auto=True,
    ),
    "digits": NamedDataset(
        _digits,
        "the 1,797 digits that ship with scikit-learn, at 28 x 28",
        auto=True,
        note="The digits that ship with scikit-learn stand in for MNIST",
        takes_folder=False,
        like_mnist=False,
    ),
    **{name: NamedDataset(partial(_kin, name), what) for name, what in KIN.items()},
}
AUTO_NAMES = [name for name, dataset in DATASETS.items() if dataset.auto]


def describe_names() -> dict[str, str]:
    """Return what each name that `load_dataset` knows stands for.

    Returns
    -------
    described : dict of str to str
        The name "auto" first, then those in `DATASETS`.

    Examples
    --------
    >>> from skmnist.datasets._registry import describe_names
    >>> describe_names()["auto"]
    'mnist if it is there or can be downloaded, else digits'
    """
    auto = f"{', else '.join(AUTO_NAMES[:-1])} if it is there or can be downloaded"
    auto += f", else {AUTO_NAMES[-1]}"
    described = {name: dataset.description for name, dataset in DATASETS.items()}
    return {AUTO: auto, **described}


def _with_names(function: Function) -> Function:
    """Put the names of the data sets into a docstring, before its examples."""
    lines = [f'    - "{name}": {what}' for name, what in describe_names().items()]
    notes = "\n".join(["Notes\n    -----\n    The names are:\n", *lines])
    before, examples, after = (function.__doc__ or "").partition("Examples\n")
    function.__doc__ = f"{before}{notes}\n\n    {examples}{after}"
    return function


@_with_names
def load_dataset(
    name: StrPath,
    data_home: StrPath | None = None,
    pixels: object = "auto",
    label: str | None = None,
) -> "Bunch":
    """Load any data: a data set with a name, a file, a folder, or one of OpenML.

    Parameters
    ----------
    name : str or path-like
        One of the names below; ``"openml:NAME"``, with the name or the number of a data
        set at OpenML; or a path:

        - an ``.npz`` file, see `load_npz`;
        - a table, ``.csv``, ``.tsv`` or ``.parquet``, with a row for each sample and a
          column of labels. Columns of text are encoded, and numbers standardized, see
          `TableEncoder`; columns such as "pixel0" are the pixels of pictures;
        - a ``.mat`` file of EMNIST, or with arrays that are named as in an ``.npz``
          file;
        - a folder with four IDX files in the form of MNIST; with a table to train and
          one to test, such as ``train.csv`` and ``test.csv``; with a folder of pictures
          for each class, or such folders in ``train`` and ``test``; or with one file.

        With "auto", a data set that is not there is a reason to try the next one;
        damaged files are an error.
    data_home : str or path-like, default=None
        The folder of a data set with a name. No other place is searched then, and
        "auto" tries no other data set. For OpenML it is the folder of scikit-learn's
        cache. Data sets that are in no folder refuse one.
    pixels : str or pair of numbers, default="auto"
        The scale of the pixels in files of your own, see `load_npz`.
    label : str, default=None
        The column of the labels in a table. None takes the column named "label",
        "labels", "class", "target", "y", "species" or "category", or what OpenML names.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        As from :func:`~skmnist.fetch_mnist`, with these fields besides:

        - name : str, the name of the data set, or that of the file or folder
        - note : str, how pixels or columns were scaled and the rows split, or why
          "auto" took another data set than the first
        - encoder : `TableEncoder` for more rows of the same table, else None
        - label : str, the column of the labels in a table, else None
        - pictures : how other pictures are read in the same way, or None

    Raises
    ------
    DataError
        If the name is unknown, the data are missing (DataNotFoundError), or they
        cannot be used. The message is one line. It names the file, and says what was
        looked for.

    Examples
    --------
    >>> from skmnist.datasets import load_dataset
    >>> load_dataset("digits").name
    'digits'
    >>> import tempfile
    >>> from pathlib import Path
    >>> rows = ["kind,weight,colour", *["cat,4,black", "dog,,brown"] * 6]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = Path(folder, "pets.csv")
    ...     _ = table.write_text(chr(10).join(rows))
    ...     pets = load_dataset(table, label="kind")
    >>> pets.feature_names, pets.target_names.tolist()
    (['weight', 'weight is missing', 'colour=black', 'colour=brown'], ['cat', 'dog'])
    """
    from ._loaders import DataError

    name = os.fspath(name)
    openml = name.startswith(OPENML)
    if name not in (AUTO, *DATASETS) and not openml:
        return _load_path(name, data_home, pixels, label)
    takes_folder = openml or name == AUTO or DATASETS[name].takes_folder
    if data_home is not None and not takes_folder:
        raise DataError(f"{name}: is not in a folder; leave out {os.fspath(data_home)}")
    if openml:
        from ._own import load_openml

        number = name.removeprefix(OPENML)
        bunch, note = load_openml(number, data_home, pixels=pixels, label=label)
        return _named(bunch, number, note)
    if pixels != "auto":
        raise DataError(f"{name}: has a known scale; pixels are for your own files")
    if label is not None:
        raise DataError(f"{name}: is no table; leave out the label column")
    if name == AUTO:
        return _load_first(data_home)
    return _named(DATASETS[name].load(data_home), name)


def _load_path(
    name: str, data_home: StrPath | None, pixels: object, label: str | None
) -> "Bunch":
    """Load the data that a path leads to; an unknown name is an error."""
    from ._loaders import DataError

    path = Path(os.path.expanduser(name))
    if not is_path(name):
        known = ", ".join([AUTO, *DATASETS])
        raise DataError(
            f"{name}: unknown data set, and no such file or folder; use {known}, "
            f"{OPENML}NAME, a folder, or a file that ends in {', '.join(SUFFIXES)}"
        )
    if data_home is not None:
        raise DataError(f"{name}: is not in a folder; leave out {os.fspath(data_home)}")
    from ._own import load_path

    bunch, note = load_path(path, pixels=pixels, label=label)
    return _named(bunch, _stem(path), note)


def _stem(path: Path) -> str:
    """Return the name of a file or folder without its suffix."""
    name = path.name or path.resolve().name
    found = [end for end in SUFFIXES if name.casefold().endswith(end)]
    return name[: -max(map(len, found))] if found else name


def is_like_mnist(asked: StrPath, name: str) -> bool:
    """Return whether the digits of a data set are placed like those of MNIST.

    Parameters
    ----------
    asked : str or path-like
        What was asked for. Data of your own are taken as they are.
    name : str
        The name of the data set that was found.
    """
    return os.fspath(asked) not in (AUTO, *DATASETS) or DATASETS[name].like_mnist


def is_path(name: StrPath) -> bool:
    """Return whether a data set is named by a path, and not by a name of its own."""
    name = os.fspath(name)
    if name in (AUTO, *DATASETS) or name.startswith(OPENML):
        return False
    seems = name.casefold().endswith(SUFFIXES) or os.sep in name
    return seems or os.path.lexists(os.path.expanduser(name))


def _load_first(data_home: StrPath | None) -> "Bunch":
    """Load the first data set of "auto" that is there; note why it is not the first."""
    from ._loaders import DataNotFoundError

    *others, last = AUTO_NAMES
    note = ""
    if data_home is not None:  # nothing stands in for what is in a folder
        return _named(DATASETS[AUTO_NAMES[0]].load(data_home), AUTO_NAMES[0])
    for name, following in zip(others, AUTO_NAMES[1:], strict=True):
        try:
            return _named(DATASETS[name].load(data_home), name, note)
        except DataNotFoundError as error:
            note = f"{DATASETS[following].note}: {error}"
    return _named(DATASETS[last].load(data_home), last, note)


def _named(bunch: "Bunch", name: str, note: str = "") -> "Bunch":
    defaults = {"note": note, "encoder": None, "label": None, "pictures": None}
    return type(bunch)(**{**defaults, **bunch, "name": name})
