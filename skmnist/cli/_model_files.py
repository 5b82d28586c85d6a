"""Find the file of a model, and what it reads."""

# SPDX-License-Identifier: BSD-3-Clause

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..neural_network._inference import SavedNetwork
    from ..study._forms import DataForms


def open_model(model: Path) -> "tuple[Path, SavedNetwork]":
    """Read a model, or a study's model, if it reads digits.

    Parameters
    ----------
    model : pathlib.Path
        See `find_model`.

    Returns
    -------
    path : pathlib.Path
        The file.
    network : SavedNetwork
        What it holds.

    Raises
    ------
    click.ClickException
        If there is none, or one that reads no pictures of digits.
    """
    path, network = find_model(model)
    _check_digits(path, network, read_forms(path, network))
    return path, network


def read_forms(path: Path, network: "SavedNetwork") -> "DataForms":
    """Return how data are read for a model.

    Parameters
    ----------
    path : pathlib.Path
        Its file, for errors.
    network : SavedNetwork
        From `find_model`.

    Returns
    -------
    forms : DataForms
    """
    from ..neural_network._inference import error_of_file
    from ..study._forms import forms_of

    with error_of_file(path):
        return forms_of(network.learned)


def check_reads(
    path: Path, network: "SavedNetwork", forms: "DataForms", several: bool
) -> None:
    """Raise an error if a model reads no pictures, or not several digits in one.

    Parameters
    ----------
    path : pathlib.Path
        Its file, for errors.
    network : SavedNetwork
        From `find_model`.
    forms : DataForms
        From `read_forms`.
    several : bool
        Whether each picture has several digits.
    """
    if forms.pictures is None:
        _check_digits(path, network, forms)
    elif several:
        raise click.ClickException(f"{path} reads pictures, and no digits in them")


def _check_digits(path: Path, network: "SavedNetwork", forms: "DataForms") -> None:
    """Raise an error if a model reads no pictures of digits."""
    from ..preprocessing._digit import check_reads_digits

    if forms.encoder is not None and not forms.encoder.all_pixels:
        raise click.ClickException(
            f"{path} was trained with a table and reads no pictures: skmnist predict "
            f"{path} TABLE labels the rows of a .csv or .parquet file with the same "
            "columns"
        )
    try:
        check_reads_digits(network.n_features_in_, path)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def find_model(model: Path) -> "tuple[Path, SavedNetwork]":
    """Read a model, or a study's model.

    Parameters
    ----------
    model : pathlib.Path
        A file that `KerasMLPClassifier.save` wrote, or the folder of a study.

    Returns
    -------
    path : pathlib.Path
        The file.
    network : SavedNetwork
        What it holds. It predicts at once: to import scikit-learn and TensorFlow would
        take seconds.

    Raises
    ------
    click.ClickException
        If there is none, or it is no model.
    """
    from .._io import ModelFileError
    from ..neural_network._inference import SavedNetwork

    path = model / "model.skmnist" if model.is_dir() else model
    if model.is_dir() and not path.exists():
        unfinished = (model / "study.json").exists()
        what = "a study that is not finished; give its command again"
        raise click.ClickException(
            f"{model} holds {what if unfinished else 'no model.skmnist'}"
        )
    try:
        return path, SavedNetwork(path)
    except FileNotFoundError:
        raise click.ClickException(
            f"{model}: no such file; skmnist fit --out {model} makes one"
        ) from None
    except ModelFileError as error:
        raise click.ClickException(str(error)) from error
