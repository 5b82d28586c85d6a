"""``skmnist predict MODEL TABLE``: label the rows of tables."""

# SPDX-License-Identifier: BSD-3-Clause

import csv
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..datasets._suffixes import TABLES, is_table
from ._model_files import find_model, read_forms
from ._terminal import echo, echo_json, echo_text, library_noise_apart

if TYPE_CHECKING:
    from ..study._forms import DataForms


def predict_tables(model: Path, files: tuple[str, ...], as_json: bool) -> int:
    """Print the label and the probability of each row of tables.

    Parameters
    ----------
    model : pathlib.Path
        The file of the model, or the folder of a study.
    files : tuple of str
        The tables.
    as_json : bool
        Print JSON in the place of CSV.

    Returns
    -------
    status : int
        1 if some tables cannot be read, else 0.

    Raises
    ------
    click.ClickException
        If the model was not trained with a table, or other files are among the tables.
    """
    others = [file for file in files if not is_table(file)]
    if others:
        raise click.ClickException(
            f"{others[0]} is no table ({', '.join(TABLES)}); give either pictures or "
            "tables"
        )
    with library_noise_apart():
        path, network = find_model(model)
        forms = read_forms(path, network)
        results, failed = _label_all(path, forms, files)
    if as_json:
        echo_json({"model": str(path), "tables": results, "errors": failed})
    elif results:
        echo_text(_as_csv(results, forms.label or "label"))
    for result in results:
        if result["accuracy"] is not None:
            said = f"{100 * result['accuracy']:.2f} % of {len(result['rows'])} rows"
            echo(f"Accuracy on {result['file']}: {said}", err=True)
    for reason in failed:
        echo(f"Error: {reason}", err=True)
    return 1 if failed else 0


def _label_all(
    path: Path, forms: "DataForms", files: tuple[str, ...]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the predictions for tables, and why some cannot be read."""
    from ..neural_network._classifier import KerasMLPClassifier

    if forms.encoder is None:
        raise click.ClickException(
            f"{path} was not trained with a table: give it pictures"
        )
    classifier = KerasMLPClassifier.load(path)
    results, failed = [], []
    for file in dict.fromkeys(files):
        try:
            results.append(_labelled(classifier, forms, file))
        except ValueError as error:  # DataError is one
            said = str(error)
            failed.append(said if said.startswith(file) else f"{file}: {said}")
    return results, failed


def _labelled(classifier: Any, forms: "DataForms", file: str) -> dict[str, Any]:
    """Return the predictions for a table, and their accuracy if it has labels."""
    from ..datasets._tables import read_table

    table = read_table(os.path.expanduser(file))
    assert forms.encoder is not None
    probabilities = classifier.predict_proba(forms.encoder.transform(table))
    labels = classifier.classes_.tolist()
    best = probabilities.argmax(axis=1)
    rows = [
        {"row": i, "label": labels[k], "probability": float(row[k])}
        for i, (k, row) in enumerate(zip(best, probabilities, strict=True))
    ]
    true = _true_labels(table, forms.label)
    accuracy = None
    if true is not None:
        right = [row["label"] == label for row, label in zip(rows, true, strict=True)]
        accuracy = sum(right) / len(right)
    return {"file": file, "accuracy": accuracy, "rows": rows}


def _true_labels(table: dict[str, Any], label: str | None) -> list[Any] | None:
    """Return the labels that a table has; None if it has none, or not all."""
    from ..datasets._labels import plain_labels

    try:
        return None if label is None else plain_labels(table[label]).tolist()
    except (KeyError, ValueError):
        return None


def _as_csv(results: list[dict[str, Any]], label: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    several = len(results) > 1
    writer.writerow([*(["file"] if several else []), "row", label, "probability"])
    for result in results:
        for row in result["rows"]:
            name = [result["file"]] if several else []
            probability = f"{row['probability']:.4f}"
            writer.writerow([*name, row["row"], row["label"], probability])
    return text.getvalue().rstrip("\n")
