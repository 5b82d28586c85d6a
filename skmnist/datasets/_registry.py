"""The data sets that have a name, for `load_dataset` and for the command line.

To add a data set, add an entry to `DATASETS`. Its name then works in `load_dataset`
and in ``--dataset``, and stands in their documentation, in the help and in the shell's
completion. Help and completion read this module, so it must load nothing heavy: a
loader imports what it needs when it is called.
"""

# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from sklearn.utils import Bunch

AUTO = "auto"
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
    'the first of mnist, digits that is there or can be downloaded'
    """
    auto = f"the first of {', '.join(AUTO_NAMES)} that is there or can be downloaded"
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
    name: StrPath, data_home: StrPath | None = None, pixels: object = "auto"
) -> "Bunch":
    """Load a data set by the name that the command line takes.

    Parameters
    ----------
    name : str or path-like
        One of the names below, or a path that ends in ".npz", which is loaded by
        `load_npz`. With "auto", a data set that is not there is a reason to try the
        next one; damaged files are an error.
    data_home : str or path-like, default=None
        The folder with MNIST. No other place is searched then, and "auto" tries no
        other data set. Data sets that are in no folder refuse one.
    pixels : str or pair of numbers, default="auto"
        The scale of the pixels of an ``.npz`` file, see `load_npz`.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        What the loader returns, with two more fields: `name`, the name of the data set
        or the file's name without ".npz", and `note`: how the pixels of a file were
        scaled, or a sentence if "auto" took another data set than the first.

    Raises
    ------
    DataError
        If the name is unknown, the data are missing (DataNotFoundError), or they
        cannot be used.

    Examples
    --------
    >>> from skmnist.datasets import load_dataset
    >>> load_dataset("digits").name
    'digits'
    """
    from ._loaders import DataError, load_own

    name = os.fspath(name)
    is_file = is_npz(name)
    if not is_file and name not in (AUTO, *DATASETS):
        known = ", ".join([AUTO, *DATASETS])
        raise DataError(f"{name}: unknown data set; use {known}, or a path to an .npz")
    takes_folder = not is_file and (name == AUTO or DATASETS[name].takes_folder)
    if data_home is not None and not takes_folder:
        raise DataError(f"{name}: is not in a folder; leave out {os.fspath(data_home)}")
    if is_file:
        bunch, note = load_own(name, pixels)
        return _named(bunch, Path(name).stem, note)
    if pixels != "auto":
        raise DataError(f"{name}: has a known scale; pixels are for .npz files")
    if name == AUTO:
        return _load_first(data_home)
    return _named(DATASETS[name].load(data_home), name)


def is_npz(name: StrPath) -> bool:
    """Return whether a data set is named by the path of an ``.npz`` file."""
    return os.fspath(name).casefold().endswith(".npz")


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
    return type(bunch)(**bunch, name=name, note=note)
