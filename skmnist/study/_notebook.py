"""What a notebook shows of a study: stages, winners, reasons, and what it found."""

# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import TYPE_CHECKING

from .._display import html_box, html_fold, html_table
from .._format import as_percent, as_text, candidate_name, with_error
from ._columns import UNITS, shown_columns

if TYPE_CHECKING:
    from . import Study, StudyStage


def study_html(study: Study) -> str:
    """Write what a notebook shows of a study.

    Parameters
    ----------
    study : Study
        A study, finished or not.

    Returns
    -------
    html : str
        The winner and the reason of each stage, the final model beside classifiers
        that nobody tuned; folded, the candidates.
    """
    rows = []
    for stage in study.stages:
        winner = study.winner_of(stage)
        chosen = {name: winner.params[name] for name in stage.tried}
        rows.append(
            [
                stage.title,
                str(len(study.rows_of(stage))),
                candidate_name(chosen),
                as_percent(winner.accuracy),
                stage.reason,
            ]
        )
    judged = f"{study.header.judged_by} accuracy"
    columns = ["stage", "candidates", "chosen", judged, "why"]
    parts = [html_table(columns, rows, long=["chosen", "why"])] if rows else []
    for stage in study.stages:
        heading = f"Candidates of stage {stage.title}"
        parts.append(html_fold(heading, _candidates(study, stage)))
    data = study.header.data
    title = f"Study of {data.name}"
    return html_box(title, _sentences(study), [*_final(study), *parts])


def _sentences(study: Study) -> list[str]:
    """Say what the study is about, and how far it is."""
    header, data, n_done = study.header, study.header.data, len(study.stages)
    stages = f"{n_done} stages"
    if study.summary is None:
        stages = f"not finished: {n_done} of {len(header.stages) or 'all'} stages"
    left = ", ".join(study.summary.not_tried) if study.summary else ""
    where = f" Folder: {study.folder}." if study.folder else ""
    return [
        f"{data.n_train:,} training and {data.n_test:,} test samples of "
        f"{data.n_features} features. Preset {header.config.preset}, seed "
        f"{header.config.seed}; {stages}, {len(study.rows)} candidates.{where}",
        f"Not tried for want of time: {left}." if left else "",
        "The test set judged the candidates, so the accuracies are optimistic."
        if header.optimistic
        else "",
    ]


def _final(study: Study) -> list[str]:
    """Write the final model and the baselines as a table; nothing before there is."""
    summary = study.summary
    if summary is None:
        return []
    final = summary.final
    accuracy = f"{100 * final.test_accuracy:.2f}"
    rows = [["final model", with_error(accuracy, final.standard_error, "%"), "", ""]]
    for one in summary.verdict.baselines if summary.verdict else ():
        gain = with_error(f"{100 * one.gain:+.2f}", one.gain_error, "pp")
        p = UNITS["p"](one.p_value)
        rows.append([f"untuned {one.name}", as_percent(one.test_accuracy), gain, p])
    columns = ["model", "test accuracy", "gain of the final model", "p"]
    if len(rows) == 1:
        columns, rows = columns[:2], [row[:2] for row in rows]
    return [html_table(columns, rows, winner=0)]


def _candidates(study: Study, stage: StudyStage) -> str:
    """Write the candidates of a stage: what it tried, and what was measured."""
    rows, judges = study.rows_of(stage), study.header.judged_by
    shown = [c for c in shown_columns() if any(map(c.text, rows))]
    marks = [
        "chosen" if row.winner else "carried in" if row.incumbent else ""
        for row in rows
    ]
    cells = [
        [*(as_text(row.params[n]) for n in stage.tried), *(c.text(row) for c in shown)]
        for row in rows
    ]
    lines = [[*line, mark] for line, mark in zip(cells, marks, strict=True)]
    columns = [*stage.tried, *(c.heading(judges) for c in shown), ""]
    return html_table(columns, lines, winner=marks.index("chosen"))
