"""What a study found, as tables and sentences; no Keras, no drawing."""

# SPDX-License-Identifier: BSD-3-Clause

from importlib.resources import files
from typing import NamedTuple

from .folder import read_rows

TITLES = {
    "depth_width": "Depth and width",
    "activations": "Activation functions",
    "node_distribution": "Distribution of nodes",
    "batch_size": "Batch size",
    "validation_split": "Validation split",
    "initializers": "Initializers",
    "optimizer": "Optimizer",
    "epochs": "Epochs under early stopping",
    "learning_rate": "Learning rate and its schedule",
    "normalization": "Batch normalization",
    "regularization": "Regularization",
    "augmentation": "Distorted images",
    "fine_tuning": "Learning rate, once more",
    "duration": "Epochs",
}
OPTIMISTIC = (
    "Candidates were judged by the test set, as the source report did; its "
    "accuracies are therefore optimistic."
)


class Table(NamedTuple):
    """A table ready to be drawn.

    Attributes
    ----------
    columns : list of str
        Headings.
    rows : list of list of str
        Cells.
    winner : int or None
        The row that was chosen.
    """

    columns: list
    rows: list
    winner: int | None


def stage_table(stage, rows, protocol):
    """Show a stage as the source report shows its own.

    Parameters
    ----------
    stage : dict
        Its name, rule and reason.
    rows : list of dict
        Its candidates.
    protocol : {"holdout", "report"}
        Names the accuracy that judged.

    Returns
    -------
    table : Table
        Parameters that the stage tried, accuracies in percent, epochs trained,
        seconds, and number of parameters.
    """
    judged = "test" if protocol == "report" else "held-out"
    columns = [
        *stage["tried"],
        "validation accuracy",
        f"{judged} accuracy",
        "gap",
        "epochs trained",
        "seconds",
        "parameters",
    ]
    cells = [
        [
            *(_text(row[name]) for name in stage["tried"]),
            _percent(row["validation_accuracy"]),
            _percent(row["accuracy"]),
            _points(row["gap"]),
            f"{row['n_iter']:.0f}",
            f"{row['seconds']:.1f}",
            f"{row['n_parameters']:,.0f}",
        ]
        for row in rows
    ]
    return Table(columns, cells, [row["winner"] for row in rows].index(True))


def overview_table(study):
    """Show all stages at a glance: the winner of each and its accuracy."""
    rows = []
    for stage in study.stages:
        winner = next(row for row in rows_of(study, stage) if row["winner"])
        chosen = ", ".join(f"{n}={_text(winner[n])}" for n in stage["tried"])
        n_candidates = len(rows_of(study, stage))
        rows.append(
            [title(stage), str(n_candidates), chosen, _percent(winner["accuracy"])]
        )
    return Table(["stage", "candidates", "chosen", "accuracy"], rows, None)


def rows_of(study, stage):
    """Return the rows of one stage."""
    return [row for row in study.rows if row["stage"] == stage["name"]]


def title(stage):
    """Return a stage's heading."""
    return TITLES.get(stage["name"], stage["name"])


def describe_data(header):
    """Say in one line which data a study is about."""
    data = header["data"]
    line = (
        f"Data: {data['name']}, {data['n_train']:,} training and "
        f"{data['n_test']:,} test samples of {data['n_features']} features"
    )
    return f"{line}. {data['note']}" if data["note"] else line


def describe_final(summary):
    """Say in one line what the final model reached."""
    final = summary["final"]
    return (
        f"Final model on {summary['data']['name']}: "
        f"{_percent(final['test_accuracy'])} on the test set "
        f"(standard error {_points(final['standard_error'])}), "
        f"{final['n_parameters']:,} parameters, epoch {final['best_iter']} of "
        f"{final['n_iter']} ({final['stop_reason']}), {final['seconds']:.1f} s; "
        f"the study: {summary['n_fits']} fits in {summary['seconds']:.0f} s"
    )


def to_markdown(study):
    """Write a study as a Markdown page.

    Parameters
    ----------
    study : Study
        A study, finished or not.

    Returns
    -------
    page : str
        Markdown with a table for each stage.
    """
    config = study.header["config"]
    parts = [
        "# A staged search of a multilayer perceptron",
        describe_data(study.header),
    ]
    parts.append(
        f"Preset `{config['preset']}`, protocol `{config['protocol']}`, seed "
        f"{config['seed']}, {study.header['threads_per_fit']} threads per fit. "
        + _versions(study.header)
    )
    if study.header["optimistic"]:
        parts.append(f"**{OPTIMISTIC}**")
    for number, stage in enumerate(study.stages, 1):
        table = stage_table(stage, rows_of(study, stage), config["protocol"])
        parts += [
            f"## {number}. {title(stage)}",
            markdown_table(table),
            f"Chosen by `{stage['rule']}`: {stage['reason']}.",
        ]
    parts += ["## All stages", markdown_table(overview_table(study))]
    if study.summary is None:
        parts.append("The study is not finished.")
    else:
        parts.append(f"**{describe_final(study.summary)}.**")
    return "\n\n".join(parts) + "\n"


def reported_rows():
    """Return the 48 rows of the source report, as published.

    Returns
    -------
    rows : list of dict
        ``stage``, the candidate's parameters where the report gives them, and
        ``reported_validation_accuracy``, ``reported_test_accuracy`` and
        ``reported_stop_epoch``, None where it gives none.
    """
    rows = read_rows(files("skmnist") / "reported.csv")
    accuracies = ("reported_validation_accuracy", "reported_test_accuracy")
    for row in rows:
        for name in accuracies:
            row[name] = None if row[name] is None else float(row[name])
    return rows


def to_reproduction(study):
    """Write a study of the report's own candidates beside the report's figures.

    Parameters
    ----------
    study : Study
        A study with the preset ``as-reported``.

    Returns
    -------
    page : str
        Markdown: a table for each stage, and how far the two are apart.

    Raises
    ------
    ValueError
        If the study's candidates are not the report's.
    """
    reported = reported_rows()
    if [row["stage"] for row in study.rows] != [row["stage"] for row in reported]:
        raise ValueError(
            "the study's candidates are not those of the source report; run one "
            "with --preset as-reported"
        )
    parts = [describe_data(study.header), _versions(study.header)]
    for number, stage in enumerate(study.stages, 1):
        theirs = [row for row in reported if row["stage"] == stage["name"]]
        parts += [
            f"## {number}. {title(stage)}",
            markdown_table(reproduction_table(stage, rows_of(study, stage), theirs)),
        ]
    return "\n\n".join([*parts, _distances(study.rows, reported)]) + "\n"


def _distances(rows, reported):
    """Say how far measured and reported accuracies are apart, on average."""
    pairs = list(zip(rows, reported, strict=True))
    test = [r["accuracy"] - t["reported_test_accuracy"] for r, t in pairs]
    gaps = [
        (r["gap"], t["reported_validation_accuracy"] - t["reported_test_accuracy"])
        for r, t in pairs
        if t["reported_validation_accuracy"] is not None
    ]
    ours, theirs = (sum(column) / len(gaps) for column in zip(*gaps, strict=True))
    return (
        f"Over all {len(test)} rows the measured test accuracy is "
        f"{100 * sum(test) / len(test):+.2f} pp from the reported one on average "
        f"(from {100 * min(test):+.2f} to {100 * max(test):+.2f} pp). Validation "
        f"accuracy exceeds test accuracy by {_points(ours)} measured, "
        f"{_points(theirs)} reported, on average of the {len(gaps)} rows where the "
        "report gives both."
    )


def reproduction_table(stage, rows, reported):
    """Show a stage's measured accuracies beside the reported ones, row by row.

    Parameters
    ----------
    stage : dict
        A stage of a study whose candidates are the report's.
    rows : list of dict
        Its candidates, in the report's order.
    reported : list of dict
        The report's rows of the same stage.

    Returns
    -------
    table : Table
        Parameters, then reported and measured accuracies in percent.
    """
    columns = [
        *stage["tried"],
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
            *(_text(row[name]) for name in stage["tried"]),
            _percent(theirs["reported_validation_accuracy"]),
            _percent(row["validation_accuracy"]),
            _percent(theirs["reported_test_accuracy"]),
            _percent(row["accuracy"]),
            f"{100 * (row['accuracy'] - theirs['reported_test_accuracy']):+.2f}",
            _text(theirs["reported_stop_epoch"]),
            f"{row['n_iter']:.0f}",
        ]
        for row, theirs in zip(rows, reported, strict=True)
    ]
    return Table(columns, cells, [row["winner"] for row in rows].index(True))


def markdown_table(table):
    """Write a table in Markdown, its winner in bold."""
    lines = [table.columns, ["---"] * len(table.columns)]
    for i, row in enumerate(table.rows):
        mark = "**" if i == table.winner else ""
        lines.append([f"{mark}{cell}{mark}" if cell else cell for cell in row])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _versions(header):
    versions = header["versions"]
    named = ", ".join(f"{name} {number}" for name, number in versions.items())
    return f"Versions: {named}."


def _text(value):
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)


def _percent(value):
    return "" if value is None or value != value else f"{100 * value:.2f} %"


def _points(value):
    return "" if value != value else f"{100 * value:.2f} pp"
