"""Find the file of a model, and what it reads."""

# SPDX-License-Identifier: BSD-3-Clause

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..study._forms import DataForms


def model_file(model: Path) -> Path:
    """Return the file of a model, or of a study's model, if it reads digits.

    Parameters
    ----------
    model : pathlib.Path
        See `find_model`.

    Returns
    -------
    path : pathlib.Path
        The file.

    Raises
    ------
    click.ClickException
        If there is none, or one that reads no pictures of digits.
    """
    path, described = find_model(model)
    _check_digits(path, described, read_forms(path, described))
    return path


def read_forms(path: Path, described: dict[str, Any]) -> "DataForms":
    """Return how data are read for a model.

    Parameters
    ----------
    path : pathlib.Path
        Its file, for errors.
    described : dict
        From `find_model`.

    Returns
    -------
    forms : DataForms
    """
    from ..neural_network._persistence import error_of_file
    from ..study._forms import forms_of

    with error_of_file(path):
        return forms_of(described["learned"])


def check_reads(
    path: Path, described: dict[str, Any], forms: "DataForms", several: bool
) -> None:
    """Raise an error if a model reads no pictures, or not several digits in one.

    Parameters
    ----------
    path : pathlib.Path
        Its file, for errors.
    described : dict
        From `find_model`.
    forms : DataForms
        From `read_forms`.
    several : bool
        Whether each picture has several digits.
    """
    if forms.pictures is None:
        _check_digits(path, described, forms)
    elif several:
        raise click.ClickException(f"{path} reads pictures, and no digits in them")


def _check_digits(path: Path, described: dict[str, Any], forms: "DataForms") -> None:
    """Raise an error if a model reads no pictures of digits."""
    from ..reporting._drawing import check_reads_digits

    n_features = described["learned"]["n_features_in_"]
    if forms.encoder is not None and not forms.encoder.all_pixels:
        raise click.ClickException(
            f"{path} was trained with a table: give it .csv or .parquet files with "
            "the same columns"
        )
    try:
        check_reads_digits(n_features, path)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def find_model(model: Path) -> tuple[Path, dict[str, Any]]:
    """Return the file of a model, or of a study's model, and its description.

    Parameters
    ----------
    model : pathlib.Path
        A file that `KerasMLPClassifier.save` wrote, or the folder of a study.

    Returns
    -------
    path : pathlib.Path
        The file.
    described : dict
        What `read_archive` reads of it.

    Raises
    ------
    click.ClickException
        If there is none, or it is no model.
    """
    from .._io import ModelFileError, read_archive

    path = model / "model.skmnist" if model.is_dir() else model
    if model.is_dir() and not path.exists():
        unfinished = (model / "study.json").exists()
        what = "a study that is not finished; give its command again"
        raise click.ClickException(
            f"{model} holds {what if unfinished else 'no model.skmnist'}"
        )
    try:
        described, _ = read_archive(path)
        described["learned"]["n_features_in_"] + 0
    except FileNotFoundError:
        raise click.ClickException(
            f"{model}: no such file; skmnist fit --out {model} makes one"
        ) from None
    except (ModelFileError, KeyError, TypeError) as error:
        raise click.ClickException(str(error)) from error
    return path, described
