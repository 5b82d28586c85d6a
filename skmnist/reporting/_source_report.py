"""The source report's figures, and a study's beside them."""

# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from .._format import as_percent, as_points, as_text
from ..study._checks import Parameter
from ..study._columns import BY_NAME, Candidate, Column, read_table
from ..study._records import StudyStage
from ..study._storage import Study
from ._text import (
    Extra,
    Table,
    describe_data,
    describe_versions,
    in_markdown,
    markdown_table,
)

# Parameters of the report's rows that have the same names as ours.
_SHARED = (
    "depth",
    "widths",
    "activations",
    "batch_size",
    "validation_split",
    "optimizer",
)
# The report's "none" is the default of Keras.
_INITIALIZERS = {
    "none": "glorot_uniform",
    "he_normal": "he_normal",
    "glorot_uniform": "glorot_uniform",
}


@dataclass(frozen=True)
class ReportedRow:
    """A row of the source report, as published.

    Parameters
    ----------
    stage : str
        Name of the stage, as in ours.
    depth : int or None
        Hidden layers; like every other parameter None where the report gives none.
    widths : int, list of int or None
        Units of the hidden layers.
    activations : str, list of str or None
        Their activations.
    batch_size : int or None
        Rows of a batch.
    validation_split : float or None
        Fraction of the training rows that stop the training.
    initializer_hidden, initializer_output : str or None
        Initializers; "none" where the report left them to Keras.
    optimizer : str or None
        Name of the optimizer.
    reported_stop_epoch : int or None
        The epoch at which the training stopped.
    reported_validation_accuracy, reported_test_accuracy : float or None
        Fractions.
    """

    stage: str
    depth: int | None
    widths: Parameter
    activations: Parameter
    batch_size: int | None
    validation_split: float | None
    initializer_hidden: str | None
    initializer_output: str | None
    optimizer: str | None
    reported_stop_epoch: int | None
    reported_validation_accuracy: float | None
    reported_test_accuracy: float | None


_COLUMNS = (
    BY_NAME["stage"],
    *(BY_NAME[name] for name in _SHARED),
    *(
        Column(name, kind, "parameter", name)
        for name, kind in {
            "initializer_hidden": str,
            "initializer_output": str,
            "reported_stop_epoch": int,
            "reported_validation_accuracy": float,
            "reported_test_accuracy": float,
        }.items()
    ),
)


@cache
def _published() -> tuple[ReportedRow, ...]:
    text = files("skmnist.reporting").joinpath("source_report.csv").read_text("utf-8")
    return tuple(ReportedRow(**row) for _, row in read_table(text, _COLUMNS))


def reported_rows() -> list[ReportedRow]:
    """Return the 48 rows of the source report, as published.

    Returns
    -------
    rows : list of ReportedRow
        In the report's order.

    Examples
    --------
    >>> from skmnist.reporting import reported_rows
    >>> max(row.reported_test_accuracy for row in reported_rows())
    0.9824
    """
    return list(_published())


def to_reproduction(study: Study) -> str:
    """Write a study of the report's own candidates beside the report's figures.

    Parameters
    ----------
    study : Study
        A study with the preset ``as-reported``.

    Returns
    -------
    page : str
        Markdown: a table for each stage, and the average differences.

    Raises
    ------
    ValueError
        If the study's candidates are not the report's.
    """
    reported = reported_rows()
    if not _are_reported(study):
        raise ValueError(
            "the study has other candidates than the source report; run one with "
            "--preset as-reported"
        )
    header = study.header
    parts = [
        in_markdown(describe_data(header.data)),
        in_markdown(describe_versions(header)),
    ]
    for number, stage in enumerate(study.stages, 1):
        theirs = [row for row in reported if row.stage == stage.name]
        parts += [
            f"## {number}. {in_markdown(stage.title)}",
            markdown_table(reproduction_table(stage, study.rows_of(stage), theirs)),
        ]
    return "\n\n".join([*parts, _distances(study.rows, reported)]) + "\n"


def _are_reported(study):
    """Return whether a study's candidates are the report's, row by row."""
    return [row.stage for row in study.rows] == [row.stage for row in reported_rows()]


def describe_distances(study: Study) -> str:
    """Say how far a study is from the report.

    Parameters
    ----------
    study : Study

    Returns
    -------
    sentence : str
        Empty for a study that did not follow the report.
    """
    same = study.header.data.name == "mnist" and _are_reported(study)
    followed = study.header.config.preset == "as-reported"
    return _distances(study.rows, reported_rows()) if same and followed else ""


def reproduction_table(
    stage: StudyStage, rows: Sequence[Candidate], reported: Sequence[ReportedRow]
) -> Table:
    """Show in Markdown a stage's measured accuracies beside the reported ones.

    Parameters
    ----------
    stage : StudyStage
        A stage of a study whose candidates are the report's.
    rows : list of Candidate
        Its candidates, in the report's order.
    reported : list of ReportedRow
        The report's rows of the same stage.

    Returns
    -------
    table : Table
        Parameters, then reported and measured accuracies in percent, and epochs.
    """
    columns = [
        *map(in_markdown, stage.tried),
        "reported validation",
        "measured validation",
        "reported test",
        "measured test",
        "difference",
        "reported epochs",
        "measured epochs",
    ]
    cells = [
        [
            *(in_markdown(as_text(row.params[name])) for name in stage.tried),
            as_percent(theirs.reported_validation_accuracy),
            as_percent(row.validation_accuracy),
            as_percent(theirs.reported_test_accuracy),
            as_percent(row.accuracy),
            f"{100 * (row.accuracy - theirs.reported_test_accuracy):+.2f}",
            as_text(theirs.reported_stop_epoch),
            f"{row.n_iter:.0f}",
        ]
        for row, theirs in zip(rows, reported, strict=True)
    ]
    return Table(columns, cells, [row.winner for row in rows].index(True))


def _distances(rows, reported):
    """Say how far measured accuracies are from the reported ones, on average."""
    pairs = list(zip(rows, reported, strict=True))
    test = [r.accuracy - t.reported_test_accuracy for r, t in pairs]
    gaps = [
        (r.gap, t.reported_validation_accuracy - t.reported_test_accuracy)
        for r, t in pairs
        if t.reported_validation_accuracy is not None
    ]
    ours, theirs = (sum(column) / len(gaps) for column in zip(*gaps, strict=True))
    return (
        f"Over all {len(test)} rows the measured test accuracy is "
        f"{100 * sum(test) / len(test):+.2f} pp from the reported one on average "
        f"(from {100 * min(test):+.2f} to {100 * max(test):+.2f} pp). Validation "
        f"accuracy exceeds test accuracy by {as_points(ours)} measured, "
        f"{as_points(theirs)} reported, on average of the {len(gaps)} rows where the "
        "report gives both."
    )


def reported_columns(study: Study, stage: StudyStage) -> Extra:
    """Return the report's figures for a stage's candidates, for `stage_table`.

    Parameters
    ----------
    study : Study
    stage : StudyStage
        One of its stages.

    Returns
    -------
    columns : dict of str to list of str
        The reported test accuracy, and the difference from it. A cell is empty if the
        report has no such candidate. There are no columns if the report has no
        candidate of the stage, or if the data are not MNIST.
    """
    if study.header.data.name != "mnist":
        return {}
    rows = study.rows_of(stage)
    found = [_reported_as(row) for row in rows]
    if not any(found):
        return {}
    theirs = [one and one.reported_test_accuracy for one in found]
    differences = [
        "" if accuracy is None else f"{100 * (row.accuracy - accuracy):+.2f} pp"
        for row, accuracy in zip(rows, theirs, strict=True)
    ]
    return {
        "reported test accuracy": [as_percent(accuracy) for accuracy in theirs],
        "difference": differences,
    }


def _reported_as(row):
    """Return the report's row of a candidate in the same stage; else None."""
    for theirs in reported_rows():
        wanted = {
            **{name: getattr(theirs, name) for name in _SHARED},
            "initializers": _INITIALIZERS.get(theirs.initializer_hidden),
            "output_initializer": _INITIALIZERS.get(theirs.initializer_output),
        }
        same = all(
            value is None or _layers(value) == _layers(row.params[name])
            for name, value in wanted.items()
        )
        if same and theirs.stage == row.stage:
            return theirs
    return None


def _layers(value):
    """Return a single value for equal layers, 400 for 400 and 400."""
    values = set(value) if isinstance(value, list) else {value}
    return value if len(values) > 1 else values.pop()
