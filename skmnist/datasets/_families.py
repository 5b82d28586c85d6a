"""The kin of MNIST by their names: Fashion-MNIST, KMNIST, EMNIST, QMNIST."""

# SPDX-License-Identifier: BSD-3-Clause

import os
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from .._io import user_path
from ._files import (
    FOUR_KEYS,
    TWO_KEYS,
    Array,
    DataError,
    DataNotFoundError,
    StrPath,
    check_file,
    require,
)
from ._idx import IdxSet, find_sets, is_emnist, read_set
from ._loaders import _keras_folders as keras_folders, join_pictures
from ._pictures import PictureForm

_FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_SIGNS = string.digits + string.ascii_uppercase
# In these, lower-case letters that look like their capitals are one class with them.
_MERGED = _SIGNS + "abdefghnqrt"


@dataclass(frozen=True)
class Family:
    """A set of pictures like MNIST.

    Parameters
    ----------
    pattern : str
        Matches names of files or folders that are its own, in lower case.
    class_names : dict of int to str, default={}
        The names of its classes; empty for digits.
    openml : str, default=""
        Its name at OpenML, if it is there in its published order.
    handwriting : bool, default=True
        Whether its pictures are written signs in the middle, like MNIST's digits.
    """

    pattern: str
    class_names: Mapping[int, str] = field(default_factory=dict)
    openml: str = ""
    handwriting: bool = True


def _emnist(part: str, names: str = "", first: int = 0) -> Family:
    return Family(rf"emnist[-_. ]?{part}", dict(enumerate(names, first)))


FAMILIES = {
    "fashion-mnist": Family(
        r"fashion([-_. ]?mnist)?",
        dict(enumerate(_FASHION)),
        "Fashion-MNIST",
        handwriting=False,
    ),
    "kmnist": Family(
        r"kmnist|kuzushiji([-_. ]?mnist)?", dict(enumerate(_KANA)), "Kuzushiji-MNIST"
    ),
    "qmnist": Family(r"qmnist"),
    "emnist-letters": _emnist("letters", string.ascii_uppercase, 1),
    "emnist-balanced": _emnist("balanced", _MERGED),
    "emnist-byclass": _emnist("byclass", _SIGNS + string.ascii_lowercase),
    "emnist-bymerge": _emnist("bymerge", _MERGED),
    "emnist-digits": _emnist("digits"),
}


def family_of(*names: str) -> str | None:
    """Return the family that names of files or folders speak of.

    Parameters
    ----------
    *names : str
        The most telling first.

    Examples
    --------
    >>> from skmnist.datasets._families import family_of
    >>> family_of("emnist-letters"), family_of("", "raw", "FashionMNIST")
    ('emnist-letters', 'fashion-mnist')
    """
    for name in names:
        for family, about in FAMILIES.items():
            pattern = rf"(.*[^a-z])?({about.pattern})([^a-z].*)?"
            if re.fullmatch(pattern, name.casefold()):
                return family
    return None


def family_of_set(found: IdxSet) -> str | None:
    """Return the family of a set of files, as its name and its folders say."""
    folder = found.folder.resolve()
    return family_of(found.name, folder.name, folder.parent.name)


def load_family(name: str, data_home: StrPath | None = None) -> Bunch:
    """Load a data set like MNIST from a folder or, where it is there, from OpenML.

    Parameters
    ----------
    name : str
        A name in `FAMILIES`.
    data_home : str or path-like, default=None
        The folder with its files, or one above it. Without it, ``$SKMNIST_DATA`` and
        Keras' cache are searched.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        See `load_dataset`. The labels are the names of the classes.

    Raises
    ------
    DataNotFoundError
        If its files are not there.
    DataError
        If they are damaged.
    """
    family, places = FAMILIES[name], _places(data_home)
    for place in places:
        arrays = _find(name, place, named=data_home is not None)
        if arrays is not None:
            return _bunch(name, place, arrays)
    why = ""
    if family.openml and data_home is None:
        from ._openml import fetch_pictures

        try:
            x, y = fetch_pictures(family.openml)
            require(len(y) == 70_000, family.openml, f"{len(y)} rows instead of 70000")
            return _bunch(
                name, "OpenML", [x[:60_000], y[:60_000], x[60_000:], y[60_000:]]
            )
        except DataError as error:
            why = f", and {error}".rstrip("?")
    looked = ", ".join(map(str, places)) or "no folder"
    stem = f"{name}-" if is_emnist(name) or name == "qmnist" else ""
    raise DataNotFoundError(
        f"{name} is not there: looked into {looked}{why}. Put its four files "
        f"{stem}train-images-idx3-ubyte.gz, ... into a folder and name it with --data "
        "DIR, or data_home= in Python"
    )


def _places(data_home: StrPath | None) -> list[Path]:
    if data_home is not None:
        place = user_path(data_home)
        if not place.is_dir():
            raise DataNotFoundError(f"{place}: no such folder")
        return [place]
    variable = os.environ.get("SKMNIST_DATA")
    return [*([user_path(variable)] if variable else []), *keras_folders()]


def _find(name: str, place: Path, named: bool) -> list[Array] | None:
    """Return the arrays of a family in a folder; None if it is not there."""
    mat = next(_mats(place, name), None)
    if mat is not None:
        return read_mat(mat)[0]
    sets = find_sets(place)
    ours = [found for found in sets if family_of_set(found) == name]
    if not ours:
        # The folder may have Keras' data sets, each in a folder of its own.
        below = sorted(place.iterdir()) if place.is_dir() else []
        for folder in below:
            if folder.is_dir() and family_of(folder.name) == name:
                ours += find_sets(folder)
    if ours:
        return read_set(ours[0])
    # A folder that the user names may have any name, and so may its files.
    if not named or len(sets) != 1 or family_of_set(sets[0]) is not None:
        return None
    arrays = read_set(sets[0])
    require(not _is_mnist(arrays), sets[0].folder, f"holds MNIST itself, not {name}")
    return arrays


def _mats(place: Path, name: str) -> Iterator[Path]:
    if is_emnist(name) and place.is_dir():
        for path in sorted(place.rglob("*.mat")):
            if family_of(path.stem) == name:
                yield path


# The first digits of MNIST's test part; those of no other set.
_FIRST_OF_MNIST = (7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6, 9, 0, 1, 5, 9, 7, 3, 4)


def _is_mnist(arrays: list[Array]) -> bool:
    return tuple(arrays[3][: len(_FIRST_OF_MNIST)].tolist()) == _FIRST_OF_MNIST


def _bunch(name: str, where: object, arrays: list[Array]) -> Bunch:
    names = FAMILIES[name].class_names
    bunch, said = join_pictures(f"{where}", arrays, "0..255", names)
    return with_picture_form(Bunch(**bunch, note=said), name)


def with_picture_form(bunch: Bunch, family: str | None) -> Bunch:
    """Say how pictures are read for a model of a family, if not as handwriting."""
    if family and not FAMILIES[family].handwriting:
        bunch.pictures = PictureForm.of(bunch.data.reshape(-1, 28, 28))
    return bunch


def read_mat(path: StrPath) -> tuple[list[Array], dict[int, str]]:
    """Read pictures and labels from a file of MATLAB, such as those of EMNIST.

    Parameters
    ----------
    path : str or path-like
        A ``.mat`` file: EMNIST's own, or one with arrays of the names that `load_npz`
        knows.

    Returns
    -------
    arrays : list of ndarray
        x_train, y_train, x_test and y_test, or pictures and labels. The pictures of
        EMNIST are upright.
    names : dict of int to str
        The names of the classes, as EMNIST has them.

    Raises
    ------
    DataError
        If the file cannot be read, or holds something else.
    """
    from scipy.io import loadmat

    check_file(path)
    try:
        with open(path, "rb") as file:
            content = loadmat(file)
    except NotImplementedError as error:
        raise DataError(f"{path}: of MATLAB 7.3; save it with '-v7'") from error
    except Exception as error:  # SciPy has many
        raise DataError(f"{path}: cannot be read, {error}") from error
    by_name = {name.casefold(): value for name, value in content.items()}
    try:
        if "dataset" in by_name:
            return _of_emnist(by_name["dataset"])
        for keys in (*FOUR_KEYS, *TWO_KEYS):
            if by_name.keys() >= set(keys):
                arrays = [np.asarray(by_name[key]) for key in keys]
                return [_flat(a) if i % 2 else a for i, a in enumerate(arrays)], {}
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not as EMNIST has it, {error!r}") from error
    held = ", ".join(name for name in content if not name.startswith("__"))
    raise DataError(f"{path}: neither EMNIST's 'dataset' nor X, y; holds {held}")


def _flat(labels: Array) -> Array:
    """Return labels in one dimension; MATLAB has two at least."""
    return labels.ravel() if 1 in labels.shape else labels


def _of_emnist(dataset: Array) -> tuple[list[Array], dict[int, str]]:
    content = dataset[0, 0]
    arrays = []
    for part in ("train", "test"):
        images, labels = (content[part][0, 0][name] for name in ("images", "labels"))
        # MATLAB writes column by column.
        arrays += [images.reshape(-1, 28, 28).transpose(0, 2, 1), labels.ravel()]
    mapping = np.asarray(content["mapping"])
    names = {int(row[0]): chr(int(row[1])) for row in mapping}
    # Digits stay numbers.
    digits = all(name == str(label) for label, name in names.items())
    return arrays, {} if digits else names
