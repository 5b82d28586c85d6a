"""What a study found, as tables and sentences; no Keras, no drawing."""

# SPDX-License-Identifier: BSD-3-Clause

import math
import re
from collections import Counter
from typing import NamedTuple

from .study import JUDGING_PART

TITLES = {
    "depth_width": "Depth and width",
    "activations": "Activation functions",
    "node_distribution": "Distribution of nodes",
    "batch_size": "Batch size",
    "validation_split": "Validation split",
    "initializers": "Initializers",
    "optimizer": "Optimizer",
    "epochs": "Epochs under early stopping",
}
OPTIMISTIC = (
    "Candidates were judged by the test set, as the source report did; its "
    "accuracies are therefore optimistic."
)


_MARKUP = re.compile(r"[\\`*_{}\[\]<>#|]")
# Two-sided, at the level of 5 %.
SIGNIFICANT = 1.96


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


class Lead(NamedTuple):
    """How far a stage's winner is before the best of the other candidates.

    Attributes
    ----------
    winner, rival : dict
        Their rows; no rival (None) where there is no other candidate with a score.
    difference : float
        Accuracy of the winner minus that of the rival; negative where the rule has
        chosen a less accurate one.
    error : float
        Standard error of the difference, as if the two had read different samples;
        they have read the same ones, so it errs on the side of "noise".
    """

    winner: dict
    rival: dict | None
    difference: float
    error: float

    @property
    def is_noise(self):
        """Whether the difference is none that could be told from chance."""
        return not abs(self.difference) > SIGNIFICANT * self.error


def lead_of(study, stage):
    """Compare a stage's winner with the best of the other candidates.

    Parameters
    ----------
    study : Study
    stage : dict
        One of its stages.

    Returns
    -------
    lead : Lead
    """
    rows = rows_of(study, stage)
    winner = next(row for row in rows if row["winner"])
    others = [r for r in rows if not r["winner"] and not math.isnan(r["accuracy"])]
    rival = max(others, key=lambda row: row["accuracy"], default=None)
    if rival is None:
        return Lead(winner, None, math.nan, math.nan)
    errors = (standard_error(study, row) for row in (winner, rival))
    return Lead(
        winner, rival, winner["accuracy"] - rival["accuracy"], math.hypot(*errors)
    )


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


def standard_error(study, row):
    """Estimate the standard error of the accuracy that judged a candidate.

    Parameters
    ----------
    study : Study
    row : dict
        A row of the study.

    Returns
    -------
    standard_error : float
        That of a proportion, ``sqrt(p * (1 - p) / n)`` over the `n` samples that
        judged; NaN where there is no accuracy.
    """
    p = row["accuracy"]
    return math.sqrt(p * (1 - p) / n_judging(study.header))


def n_judging(header):
    """Count the samples that judged each candidate of a study."""
    if header["config"]["protocol"] == "report":
        return header["data"]["n_test"]
    return math.ceil(header["data"]["n_train"] * JUDGING_PART)


def judged_by(protocol):
    """Name the samples that judged the candidates."""
    return "test" if protocol == "report" else "held-out"


def candidate_name(params):
    """Write parameters in a line, as in ``depth=2, widths=600 200``."""
    return ", ".join(f"{name}={as_text(value)}" for name, value in params.items())


def candidate_names(candidates):
    """Name candidates by what differs among them, as short as can be.

    Parameters
    ----------
    candidates : list of dict
        Their parameters, the same names in each.

    Returns
    -------
    names : list of str
        ``name=value, ...``; the value alone where a single parameter differs.
    common : str
        The name of that parameter, or nothing.

    Examples
    --------
    >>> from skmnist.report import candidate_names
    >>> candidate_names([{"a": 1, "b": [2, 3]}, {"a": 1, "b": [3, 2]}])
    (['2 3', '3 2'], 'b')
    >>> candidate_names([{"a": 1, "b": 2}])
    (['a=1, b=2'], '')
    """
    first = candidates[0]
    differing = [n for n in first if any(c[n] != first[n] for c in candidates)]
    if len(differing) == 1:
        return [as_text(c[differing[0]]) for c in candidates], differing[0]
    names = differing or list(first)
    return [candidate_name({n: c[n] for n in names}) for c in candidates], ""


def error_column(study, stage):
    """Return the column of standard errors, for `stage_table`."""
    errors = [standard_error(study, row) for row in rows_of(study, stage)]
    return {"standard error": [as_points(error) for error in errors]}


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
        f"{as_percent(final['test_accuracy'])} on the test set "
        f"(standard error {as_points(final['standard_error'])}), "
        f"{final['n_parameters']:,} parameters, epoch {final['best_iter']} of "
        f"{final['n_iter']} ({final['stop_reason']}), {final['seconds']:.1f} s; "
        f"the study: {summary['n_fits']} fits in {summary['seconds']:.0f} s"
    )


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
        table = stage_table(
            stage,
            rows_of(study, stage),
            study.header["config"]["protocol"],
            error_column(study, stage),
        )
        parts += [
            f"## {number}. {title(stage)}",
            markdown_table(table),
            f"Chosen by `{stage['rule']}`: {stage['reason']}. "
            + describe_lead(study, stage),
        ]
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


def describe_noise(header):
    """Say what the standard errors of a study are."""
    judges = judged_by(header["config"]["protocol"])
    return (
        f"Each candidate was judged by {n_judging(header):,} {judges} samples; the "
        "standard errors are those of a proportion of so many. What another seed "
        "would change comes on top."
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


def as_text(value):
    """Write a parameter; values of several layers are separated by spaces."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def as_number(value, form):
    """Write a number in a format; nothing where there is none."""
    return "" if value != value else format(value, form)


def as_percent(value):
    """Write an accuracy in percent; nothing where there is none."""
    return "" if value is None or value != value else f"{100 * value:.2f} %"


def as_points(value):
    """Write a difference of accuracies in percentage points, likewise."""
    return "" if value != value else f"{100 * value:.2f} pp"


def with_error(text, error, unit):
    """Write a number in percent with its standard error; nothing where there is none.

    Examples
    --------
    >>> from skmnist.report import with_error
    >>> with_error("98.07", 0.0014, "%")
    '98.07 ± 0.14 %'
    """
    return "" if error != error else f"{text} ± {100 * error:.2f} {unit}"
