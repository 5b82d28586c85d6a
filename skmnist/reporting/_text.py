"""What a study found, as tables and sentences; no Keras, no drawing."""

# SPDX-License-Identifier: BSD-3-Clause

import re
from collections import Counter
from typing import NamedTuple

from .._format import (
    as_number,
    as_percent,
    as_points,
    as_text,
    candidate_name,
    with_error,
)
from ..study._config import judged_by, n_judging
from ..study._presets import TITLES, title
from ..study._uncertainty import lead_of, rows_of, standard_error

OPTIMISTIC = (
    "Candidates were judged by the test set, as the source report did; its "
    "accuracies are therefore optimistic."
)
_MARKUP = re.compile(r"[\\`*_{}\[\]<>#|]")

WHAT_P_IS = (
    "*p* tells of each candidate whether it differs from the stage's winner by more "
    "than other images would make it: McNemar's test on the images that judged, "
    "adjusted after Holm for the stage's comparisons. What another seed would change "
    "is not part of it."
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


def stage_table(stage, rows, protocol, extra=None):
    """Show a stage as the source report shows its own.

    Parameters
    ----------
    stage : dict
        Its name, rule and reason.
    rows : list of dict
        Its candidates.
    protocol : {"holdout", "report"}
        Names the accuracy that judged.
    extra : dict of str to list of str, default=None
        Further columns, each with a cell for each row; they come after the accuracy
        that judged.

    Returns
    -------
    table : Table
        Parameters that the stage tried, accuracies in percent, epochs trained,
        seconds, and number of parameters.
    """
    extra = extra or {}
    columns = [
        *stage["tried"],
        "validation accuracy",
        f"{judged_by(protocol)} accuracy",
        *extra,
        "gap",
        "epochs trained",
        "seconds",
        "parameters",
    ]
    cells = [
        [
            *(as_text(row[name]) for name in stage["tried"]),
            as_percent(row["validation_accuracy"]),
            as_percent(row["accuracy"]),
            *(column[i] for column in extra.values()),
            as_points(row["gap"]),
            as_number(row["n_iter"], ".0f"),
            as_number(row["seconds"], ".1f"),
            as_number(row["n_parameters"], ",.0f"),
        ]
        for i, row in enumerate(rows)
    ]
    return Table(columns, cells, [row["winner"] for row in rows].index(True))


def p_column(rows):
    """Show which candidates of a stage differ from its winner by more than chance.

    Parameters
    ----------
    rows : list of dict
        The stage's candidates.

    Returns
    -------
    column : dict of str to list of str
        The p-value of the difference from the winner (McNemar's test on the rows
        that judged, adjusted after Holm). Empty for a study from before these were
        kept.
    """
    if "p_value" not in rows[0]:
        return {}
    return {"p": ["" if row["p_value"] is None else _p(row["p_value"]) for row in rows]}


def overview_table(study):
    """Show all stages at a glance: the winner of each and its accuracy."""
    rows = []
    for stage in study.stages:
        lead = lead_of(study, stage)
        chosen = {name: lead.winner[name] for name in stage["tried"]}
        rows.append(
            [
                title(stage),
                str(len(rows_of(study, stage))),
                candidate_name(chosen),
                as_percent(lead.winner["accuracy"]),
                as_points(standard_error(study, lead.winner)),
                with_error(f"{100 * lead.difference:+.2f}", lead.error, "pp"),
            ]
        )
    columns = ["stage", "candidates", "chosen", "accuracy", "standard error"]
    return Table([*columns, "before the best other"], rows, None)


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
    line = (
        f"Final model on {summary['data']['name']}: "
        f"{as_percent(final['test_accuracy'])} on the test set "
        f"(standard error {as_points(final['standard_error'])}), "
        f"{final['n_parameters']:,} parameters, epoch {final['best_iter']} of "
        f"{final['n_iter']} ({final['stop_reason']}), {final['seconds']:.1f} s; "
        f"the study: {summary['n_fits']} fits in {summary['seconds']:.0f} s"
    )
    left = [TITLES.get(name, name) for name in summary.get("not_tried", ())]
    return f"{line}; not tried for want of time: {', '.join(left)}" if left else line


def to_markdown(study, evidence=None):
    """Write a study as a Markdown page.

    Parameters
    ----------
    study : Study
        A study, finished or not.
    evidence : Evidence, default=None
        What its folder has besides; adds what the final model misreads.

    Returns
    -------
    page : str
        Markdown with a table for each stage.
    """
    parts = [
        "# A staged search of a multilayer perceptron",
        _MARKUP.sub(r"\\\g<0>", describe_data(study.header)),
        describe_config(study.header),
    ]
    if study.header["optimistic"]:
        parts.append(f"**{OPTIMISTIC}**")
    for number, stage in enumerate(study.stages, 1):
        rows = rows_of(study, stage)
        extra = {**error_column(study, stage), **p_column(rows)}
        table = stage_table(stage, rows, study.header["config"]["protocol"], extra)
        parts += [
            f"## {number}. {title(stage)}",
            markdown_table(table),
            f"Chosen by `{stage['rule']}`: {stage['reason']}. "
            + describe_lead(study, stage),
        ]
    if any("p_value" in row for row in study.rows):
        parts.append(WHAT_P_IS)
    parts += ["## All stages", markdown_table(overview_table(study))]
    parts.append(f"{describe_noise(study.header)} ± is one standard error.")
    if study.summary is None:
        parts.append("The study is not finished.")
    else:
        parts.append(f"**{describe_final(study.summary)}.**")
    if evidence is not None and evidence.predictions is not None:
        parts.append(describe_misread(evidence.predictions))
    return "\n\n".join(parts) + "\n"


def describe_config(header):
    """Say in a line how a study was run."""
    config = header["config"]
    return (
        f"Preset `{config['preset']}`, protocol `{config['protocol']}`, seed "
        f"{config['seed']}, {header['threads_per_fit']} threads per fit. "
        + describe_versions(header)
    )


def describe_misread(predictions, most=5):
    """Say in a line how many test samples were misread, and as what."""
    wrong = predictions.true != predictions.predicted
    pairs = zip(predictions.true[wrong], predictions.predicted[wrong], strict=True)
    frequent = Counter((str(a), str(b)) for a, b in pairs).most_common(most)
    named = ", ".join(f"{a} as {b} ({count})" for (a, b), count in frequent)
    line = f"It misreads {int(wrong.sum()):,} of {len(wrong):,} test samples"
    return f"{line}; most often {named}." if frequent else f"{line}."


def markdown_table(table):
    """Write a table in Markdown, its winner in bold."""
    lines = [table.columns, ["---"] * len(table.columns)]
    for i, row in enumerate(table.rows):
        mark = "**" if i == table.winner else ""
        lines.append([f"{mark}{cell}{mark}" if cell else cell for cell in row])
    escaped = [[cell.replace("|", "\\|") for cell in cells] for cells in lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in escaped)


def describe_versions(header):
    """Name the versions that a study was run with."""
    versions = header["versions"]
    named = ", ".join(f"{name} {number}" for name, number in versions.items())
    return f"Versions: {named}."


def _p(value):
    return f"{value:.2g}" if value >= 0.001 else "< 0.001"


def describe_lead(study, stage):
    """Say in one sentence whether a stage's winner differs from the best other."""
    lead = lead_of(study, stage)
    if lead.rival is None:
        return "There was no other candidate."
    name = candidate_name({n: lead.rival[n] for n in stage["tried"]})
    verdict = "no more than noise" if lead.is_noise else "more than noise (5 % level)"
    return (
        f"The best other candidate ({name}) has {as_percent(lead.rival['accuracy'])}: "
        f"the winner differs from it by {100 * lead.difference:+.2f} pp, with a "
        f"standard error of {as_points(lead.error)}: {verdict}."
    )


def describe_noise(header):
    """Say what the standard errors of a study are."""
    judges = judged_by(header["config"]["protocol"])
    return (
        f"Each candidate was judged by {n_judging(header):,} {judges} samples; the "
        "standard errors are those of a proportion of so many. What another seed "
        "would change comes on top."
    )


def error_column(study, stage):
    """Return the column of standard errors, for `stage_table`."""
    errors = [standard_error(study, row) for row in rows_of(study, stage)]
    return {"standard error": [as_points(error) for error in errors]}
