"""Tables and sentences about a study."""

# SPDX-License-Identifier: BSD-3-Clause

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from .._format import (
    as_percent,
    as_points,
    as_text,
    candidate_name,
    escape_markdown,
    visible,
    with_error,
)
from ..study._artifacts import Evidence, Predictions
from ..study._columns import BY_NAME, UNITS, Candidate, Column, shown_columns
from ..study._config import judged_by
from ..study._records import StudyData, StudyHeader, StudyStage, StudySummary
from ..study._storage import Study
from ..study._uncertainty import Lead, lead_of, n_tied, standard_error
from ..study.presets._presets import title_of
from ._verdict import GLOSSARY, describe_command, describe_verdict

# Names of classes in the line about the data; more would fill the screen.
MOST_CLASSES = 12
OPTIMISTIC = (
    "The test set judged the candidates, as in the source report. So the accuracies "
    "are optimistic."
)

WHAT_P_IS = (
    "p answers: if a candidate and the stage's winner were equally good, how often "
    "would chance alone make a difference at least this large? Below 0.05 the two "
    "differ; else they are tied. It is from McNemar's test on the samples that judged "
    "both, adjusted after Holm for all pairs of the stage. Another seed can change "
    "the results too; p does not include that."
)

WHAT_P_OF_A_RACE_IS = (
    "The candidates of a stage raced: all were fitted on one replicate (a seed, or a "
    "part of the data with a seed) after another, and those that were significantly "
    "worse than the leader left. p is from the paired test of the race, adjusted for "
    "candidates and looks: if a candidate and the leader were equally good, how often "
    "would chance alone make a lead at least this large? An accuracy is the mean over "
    "the replicates that a candidate ran. The fresh accuracy is from replicates that "
    "did not choose the winner."
)

# Text without a meaning in Markdown, or in the HTML in it.
_HARMLESS = re.compile(r"(?:[^\\`*_{}\[\]<>#|~&]|(?<=\w)_(?=\w))*")


class Table(NamedTuple):
    """A table ready to be drawn.

    Parameters
    ----------
    columns : list of str
        Headings.
    rows : list of list of str
        Cells.
    winner : int or None
        The chosen row.
    """

    columns: list[str]
    rows: list[list[str]]
    winner: int | None


# Extra columns of a table: the cells of each by its heading.
Extra = dict[str, list[str]]


def in_markdown(text: str) -> str:
    r"""Escape text if Markdown would not show it as it is.

    Parameters
    ----------
    text : str
        Text from files or data.

    Returns
    -------
    text : str

    Examples
    --------
    >>> from skmnist.reporting._text import in_markdown
    >>> print(in_markdown("batch_size=64"), in_markdown("<b>_*"))
    batch_size=64 \<b\>\_\*
    """
    text = visible(text)
    return text if _HARMLESS.fullmatch(text) else escape_markdown(text)


def as_code(text: str) -> str:
    """Write text as code in Markdown, or escape it if it could break out of it."""
    text = visible(text)
    return escape_markdown(text) if re.search(r"[`<>&|]", text) else f"`{text}`"


def stage_table(
    stage: StudyStage,
    rows: Sequence[Candidate],
    protocol: str,
    extra: Extra | None = None,
    *,
    columns: Sequence[Column] | None = None,
    write: Callable[[str], str] = visible,
) -> Table:
    """Show a stage in a table, as the source report does.

    Parameters
    ----------
    stage : StudyStage
        The stage.
    rows : list of Candidate
        Its candidates.
    protocol : {"holdout", "report"}
        What judged the candidates; names the accuracy.
    extra : dict of str to list of str, default=None
        More columns, with a cell for each row. They come before the gap.
    columns : list of Column, default=None
        The measured columns to show; None for the ones that fit on a terminal.
    write : callable, default=visible
        Function that makes text from files or data safe to show; `in_markdown` for
        Markdown.

    Returns
    -------
    table : Table
        The parameters that the stage tried, then what was measured.
    """
    if columns is None:
        columns = _known(shown_columns(on_terminal=True), rows)
    judges = judged_by(protocol)
    before = [c for c in columns if c.rank < BY_NAME["gap"].rank]
    after = [c for c in columns if c not in before]

    def cells(some):
        found = {}
        for c in some:
            # Numbers have no text that comes from a file.
            safe = write if c.unit == "text" else str
            found[c.heading(judges)] = [safe(c.text(row)) for row in rows]
        return found

    tried = {
        write(name): [write(as_text(row.params[name])) for row in rows]
        for name in stage.tried
    }
    shown = [*tried.items(), *cells(before).items()]
    shown += [*(extra or {}).items(), *cells(after).items()]
    lines = [[column[i] for _, column in shown] for i in range(len(rows))]
    winner = [row.winner for row in rows].index(True)
    return Table([heading for heading, _ in shown], lines, winner)


def page_columns(study: Study) -> list[Column]:
    """List the measured columns that a study's page shows.

    Parameters
    ----------
    study : Study

    Returns
    -------
    columns : list of Column
        Columns that an older study does not have are left out.
    """
    there = {"standard_error", *(["p_value"] if has_p_values(study) else [])}
    return _known(shown_columns(), study.rows, there)


def _known(
    columns: Sequence[Column], rows: Sequence[Candidate], there: Collection[str] = ()
) -> list[Column]:
    """Leave out columns without a cell, such as the gap where nothing is held out."""
    return [c for c in columns if c.name in there or any(map(c.text, rows))]


def page_rows(study: Study, stage: StudyStage) -> list[Candidate]:
    """Return the candidates of a stage with their standard errors.

    Parameters
    ----------
    study : Study
    stage : StudyStage
        One of its stages.

    Returns
    -------
    rows : list of Candidate
        Older studies have kept no standard errors: they are computed.
    """
    return [
        replace(row, standard_error=standard_error(study, row))
        for row in study.rows_of(stage)
    ]


def has_p_values(study: Study) -> bool:
    """Return whether a study has kept p-values; it then has standard errors too."""
    return any(row.standard_error is not None for row in study.rows)


def what_p_is(study: Study) -> str:
    """Say what the p-values of a study answer; nothing if it has none."""
    if not has_p_values(study):
        return ""
    raced = any(row.race is not None for row in study.rows)
    return WHAT_P_OF_A_RACE_IS if raced else WHAT_P_IS


def overview_table(study: Study, write: Callable[[str], str] = visible) -> Table:
    """Show all stages at a glance: the winner of each and its accuracy.

    Parameters
    ----------
    study : Study
        A study, finished or not.
    write : callable, default=visible
        Function that makes text from files or data safe to show; `in_markdown` for
        Markdown.

    Returns
    -------
    table : Table
        A row for each stage.
    """
    rows = []
    for stage in study.stages:
        lead = lead_of(study, stage)
        chosen = {name: lead.winner.params[name] for name in stage.tried}
        rows.append(
            [
                write(stage.title),
                str(len(study.rows_of(stage))),
                as_percent(lead.winner.accuracy),
                as_points(standard_error(study, lead.winner)),
                _difference(lead),
                "" if lead.p_value is None else UNITS["p"](lead.p_value),
                # Last, because it can be long.
                write(candidate_name(chosen)),
            ]
        )
    columns = ["stage", "candidates", "accuracy", "standard error"]
    columns += ["lead over the next", "p", "chosen"]
    p = columns.index("p")
    if not any(row[p] for row in rows):  # a study from before p was kept
        columns.pop(p)
        rows = [row[:p] + row[p + 1 :] for row in rows]
    return Table(columns, rows, None)


def _difference(lead: Lead) -> str:
    """Write the lead of a winner over the best other candidate."""
    text = f"{100 * lead.difference:+.2f}"
    if lead.rival is None:
        return ""
    if math.isnan(lead.error):
        return f"{text} pp"
    return with_error(text, lead.error, "pp")


def describe_data(data: StudyData) -> str:
    """Say in one line which data a study, or a fit, is about."""
    line = (
        f"Data: {data.name}, {data.n_train:,} training and {data.n_test:,} test "
        f"samples of {data.n_features} features"
    )
    if data.classes:
        more = len(data.classes) - MOST_CLASSES
        named = ", ".join(data.classes[:MOST_CLASSES])
        named = f"{named} and {more} more" if more > 0 else named
        line = f"{line}, {len(data.classes)} classes ({named})"
    return visible(f"{line}. {data.note}" if data.note else line)


def describe_final(summary: StudySummary) -> str:
    """Say in one line what the final model reached.

    Parameters
    ----------
    summary : StudySummary
        The summary of a finished study.

    Returns
    -------
    line : str
        Data, test accuracy, size, epochs and time, without a full stop.
    """
    final = summary.final
    line = (
        f"Final model on {summary.data.name}: {as_percent(final.test_accuracy)} on the "
        f"test set (standard error {as_points(final.standard_error)}), "
        f"{final.n_parameters:,} parameters, epoch {final.best_iter} of "
        f"{final.n_iter} ({final.stop_reason}), {final.seconds:.1f} s; "
        f"the study: {summary.n_fits} fits in {summary.seconds:.0f} s"
    )
    left = ", ".join(map(title_of, summary.not_tried))
    return visible(f"{line}; not tried for want of time: {left}" if left else line)


def to_markdown(study: Study, evidence: Evidence | None = None) -> str:
    """Write a study as a Markdown page.

    Parameters
    ----------
    study : Study
        A study, finished or not.
    evidence : Evidence, default=None
        What its folder has besides, from `skmnist.study.read_evidence`. It adds what
        the final model misreads.

    Returns
    -------
    page : str
        Markdown with a table for each stage. Text from files and data is escaped.
    """
    parts = [
        "# A staged search of a multilayer perceptron",
        in_markdown(" ".join(describe_verdict(study))),
        _run_again(study.header),
        escape_markdown(describe_data(study.header.data)),
        describe_config(study.header),
    ]
    if study.header.optimistic:
        parts.append(f"**{OPTIMISTIC}**")
    for number, stage in enumerate(study.stages, 1):
        parts += [
            f"## {number}. {in_markdown(stage.title)}",
            markdown_table(page_table(study, stage, write=in_markdown)),
            f"Chosen by {as_code(stage.rule)}: {in_markdown(stage.reason)}. "
            + in_markdown(describe_lead(study, stage)),
        ]
    if has_p_values(study):
        parts.append(what_p_is(study))
    parts += ["## All stages", markdown_table(overview_table(study, in_markdown))]
    parts.append(f"{describe_errors(study.header)} ± is one standard error.")
    if study.summary is None:
        parts.append("The study is not finished.")
    else:
        parts.append(f"**{in_markdown(describe_final(study.summary))}.**")
    if evidence is not None and evidence.predictions is not None:
        parts.append(in_markdown(describe_misread(evidence.predictions)))
    words = [f"- **{word}**: {meaning}" for word, meaning in GLOSSARY.items()]
    parts += ["## Words", "\n".join(words)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _run_again(header: StudyHeader) -> str:
    """Say in Markdown how to run a study again."""
    command = describe_command(header)
    return f"To run it again: {as_code(command)}" if command else ""


def page_table(
    study: Study,
    stage: StudyStage,
    extra: Extra | None = None,
    write: Callable[[str], str] = visible,
) -> Table:
    """Show a stage with all columns of a page, see `stage_table`."""
    rows, protocol = page_rows(study, stage), study.header.config.protocol
    columns = page_columns(study)
    return stage_table(stage, rows, protocol, extra, columns=columns, write=write)


def describe_config(header: StudyHeader) -> str:
    """Say in a line of Markdown how a study was run."""
    config = header.config
    return (
        f"Preset {as_code(config.preset)}, protocol `{config.protocol}`, seed "
        f"{config.seed}, {header.threads_per_fit} threads per fit. "
        + in_markdown(describe_versions(header))
    )


def describe_misread(predictions: Predictions, most: int = 5) -> str:
    """Say in a line how many test samples were misread, and how."""
    wrong = predictions.true != predictions.predicted
    pairs = zip(predictions.true[wrong], predictions.predicted[wrong], strict=True)
    frequent = Counter((str(a), str(b)) for a, b in pairs).most_common(most)
    named = ", ".join(f"{a} as {b} ({count})" for (a, b), count in frequent)
    line = f"It misreads {int(wrong.sum()):,} of {len(wrong):,} test samples"
    return visible(f"{line}; most often {named}." if frequent else f"{line}.")


def markdown_table(table: Table) -> str:
    """Write a table in Markdown, its winner in bold.

    Parameters
    ----------
    table : Table
        Its cells are Markdown.

    Returns
    -------
    text : str
        A line for the headings, one for the rule below them, and one for each row.
    """
    lines = [table.columns, ["---"] * len(table.columns)]
    for i, row in enumerate(table.rows):
        mark = "**" if i == table.winner else ""
        lines.append([f"{mark}{cell}{mark}" if cell else cell for cell in row])
    escaped = [
        [re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in cells] for cells in lines
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in escaped)


def describe_versions(header: StudyHeader) -> str:
    """Name the versions that a study was run with."""
    named = ", ".join(f"{name} {number}" for name, number in header.versions.items())
    return visible(f"Versions: {named}.")


def describe_lead(study: Study, stage: StudyStage) -> str:
    """Say in two sentences whether a stage's winner differs from the best other."""
    lead = lead_of(study, stage)
    if lead.rival is None:
        return "There was no other candidate."
    name = candidate_name({n: lead.rival.params[n] for n in stage.tried})
    line = (
        f"The best other candidate ({name}) has {as_percent(lead.rival.accuracy)}; the "
        f"winner has {_difference(lead)}"
    )
    return visible(f"{line}. {_verdict(study, stage, lead)}")


def _verdict(study: Study, stage: StudyStage, lead: Lead) -> str:
    """Say whether the winner and the others are tied, as the table's p-values do."""
    if lead.p_value is None:
        return "This study has not kept whether the two differ by more than chance."
    p = UNITS["p"](lead.p_value)
    p = f"p {p}" if p.startswith("<") else f"p = {p}"
    if lead.is_significant:
        return f"That is more than chance ({p})."
    tied = n_tied(study, stage)
    others = "the other candidate is" if tied == 1 else f"{tied} candidates are"
    return f"That can be chance ({p}): {others} tied with the winner."


def describe_errors(header: StudyHeader) -> str:
    """Say what the standard errors of a study are."""
    line = (
        f"{header.n_judging:,} {header.judged_by} samples judged each candidate, and "
        "the standard errors are for so many samples. They do not include what another "
        "seed would change."
    )
    judging = header.judging
    if judging is None:
        return line
    return (
        f"{line} Candidates trained on {judging.n_train:,} samples, the final model on "
        f"all {header.data.n_train:,}."
    )
