"""The report page: one HTML file that needs no other files."""

# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from .._format import as_percent, as_text, visible, with_error
from .._io import atomic_write, user_path
from ..study._artifacts import Evidence, Predictions, read_evidence
from ..study._columns import MEASURED, Candidate, is_failed
from ..study._records import StudyHeader, StudyStage
from ..study._storage import Study, holder, read_study
from ..study.presets._source_experiment import MAX_GAP
from ..visualization._digits import MisreadDigitsDisplay
from ..visualization._matplotlib import NoMatplotlibError
from . import _svg
from ._drawing import DRAWING, PAGE, study_drawing_page
from ._source_report import describe_distances, reported_columns
from ._templates import load_template
from ._text import (
    OPTIMISTIC,
    describe_data,
    describe_errors,
    describe_final,
    describe_lead,
    describe_misread,
    describe_versions,
    overview_table,
    page_table,
    to_markdown,
    what_p_is,
)
from ._verdict import GLOSSARY, describe_command, describe_verdict

MARKDOWN = "report.md"
# Nobody can read a larger matrix; the most frequent mistakes are listed anyway.
MOST_CLASSES = 30
MOST_MISREAD = 100
# Seconds until the page of a running study loads itself again.
RENEWAL = 10

_JUDGES = {
    "folds": "parts of the training data in turn, {n:,} samples in all, by networks "
    "that were trained on the others. The test set was used once, for the final model",
    "holdout": "a sixth of the training data: {n:,} samples that took no part in the "
    "training. The test set is for the final model, and for what it is compared with",
    "report": "the test set, {n:,} samples, as in the source report",
}


def write_report(
    folder: str | os.PathLike[str], html: str | os.PathLike[str] | None = None
) -> tuple[str, list[Path]]:
    """Write a study's report, as an HTML page and as Markdown.

    If the study's model reads digits, a page to draw on is written too. While the
    study runs, the page in its folder loads itself again every few seconds.

    Parameters
    ----------
    folder : path-like
        The folder of a study, finished or not.
    html : path-like, default=None
        Write only the report page, to this file, and nothing into the folder.

    Returns
    -------
    markdown : str
        The content of ``report.md``.
    paths : list of pathlib.Path
        The written files: in the folder ``report.md``, ``report.html`` and, if the
        final model reads pictures of digits, ``draw.html``; or `html`.

    Raises
    ------
    StudyFolderError
        If there is no study, or a damaged one.
    OSError
        If a file cannot be written; what was there before is as it was.
    """
    study, evidence = read_study(folder), read_evidence(folder)
    markdown = to_markdown(study, evidence)
    if html is None:
        folder = user_path(folder)
        drawing = study_drawing_page(folder, study, evidence)
        running = holder(folder) is not None
        link = DRAWING if drawing else ""
        page = to_html(study, evidence, drawing=link, running=running)
        texts = {folder / MARKDOWN: markdown, folder / PAGE: page}
        texts |= {folder / DRAWING: drawing} if drawing else {}
    else:
        texts = {user_path(html): to_html(study, evidence)}
    for path, text in texts.items():
        write_page(path, text)
    return markdown, list(texts)


def write_page(path: Path, text: str) -> None:
    """Write a page whole; no file can hold a lone surrogate."""
    with atomic_write(path) as file:
        file.write(text.encode(errors="backslashreplace").decode())


def to_html(
    study: Study,
    evidence: Evidence,
    *,
    drawing: str = "",
    running: bool = False,
    figures: bool = True,
) -> str:
    """Write a study as an HTML page.

    Parameters
    ----------
    study : Study
        A study, finished or not.
    evidence : Evidence
        What its folder has besides.
    drawing : str, default=""
        Where the page to draw on is, relative to this page; empty for no link to it.
    running : bool, default=False
        Whether the study runs now. Then the page loads itself again every few seconds.
    figures : bool, default=True
        Whether to draw figures, which take most of the time.

    Returns
    -------
    page : str
        HTML that contains all styles, scripts and figures. Without matplotlib the
        page has no figures, and says so.
    """
    draw = _Drawer(figures)
    content = {
        "study": study,
        "header": study.header,
        "summary": study.summary,
        "data": describe_data(study.header.data).removeprefix("Data: "),
        "judges": _judges(study.header),
        "optimistic": OPTIMISTIC if study.header.optimistic else "",
        "errors": describe_errors(study.header),
        "what_p_is": what_p_is(study),
        "versions": describe_versions(study.header),
        "verdict": describe_verdict(study),
        "command": describe_command(study.header),
        "glossary": GLOSSARY,
        "running": _now() if running else "",
        "renewal": RENEWAL,
        "figures": figures,
        "judged": study.header.judged_by,
        "overview": overview_table(study),
        "searched": [_searched(study, stage) for stage in study.stages],
        "stages": _stages(study, evidence, draw),
        "distances": describe_distances(study),
        "final": _final(study, evidence, draw),
        "misread": _misread(evidence.predictions, draw),
        "missing": [] if running else _missing(study, evidence),
        "draw_page": drawing,
        **_figures_of_all(study, draw),
        "no_drawing": draw.hint,
    }
    return load_template("report.html.jinja").render(content) + "\n"


def _now() -> str:
    return datetime.now(UTC).strftime("%H:%M:%S UTC")


def _judges(header: StudyHeader) -> str:
    """Say what judged the candidates."""
    judging, kind = header.judging, header.config.protocol
    if judging is not None and judging.n_folds is not None:
        kind = "folds"
    return _JUDGES[kind].format(n=header.n_judging)


class _Drawer:
    """Calls functions that draw; without matplotlib the result is empty."""

    def __init__(self, wanted: bool):
        self.wanted, self.hint = wanted, ""

    def __call__(self, function: Callable[..., str], *args: Any) -> Markup:
        if not self.wanted:
            return Markup("")
        try:
            # Our own SVG: the template must not escape it.
            return Markup(function(*args))
        except NoMatplotlibError as error:
            self.hint = str(error)
            return Markup("")


def _stages(study: Study, evidence: Evidence, draw: _Drawer) -> list[dict[str, Any]]:
    """Return what the page shows of each stage."""
    shown, drawn = [], {}
    for number, stage in enumerate(study.stages, 1):
        rows = study.rows_of(stage)
        curve = evidence.curves.get(stage.name)
        key = repr(curve)
        shown.append(
            {
                "name": stage.title,
                "table": page_table(study, stage, reported_columns(study, stage)),
                "incumbents": [row.incumbent for row in rows],
                "rule": stage.rule,
                "reason": stage.reason,
                "lead": describe_lead(study, stage),
                "heat": _heat_map(stage, rows),
                "figure": draw(_svg.stage_figure, study, stage)
                if len(rows) > 1
                else "",
                "same_curve_as": drawn.get(key),
                "curve": draw(_svg.curve_figure, curve, f"stage {number}'s winner")
                if curve and key not in drawn
                else "",
                "stop_reason": curve.stop_reason if curve else "",
            }
        )
        if curve:
            drawn.setdefault(key, number)
    return shown


def _figures_of_all(study: Study, draw: _Drawer) -> dict[str, Any]:
    """Return the figures that show the candidates of all stages."""
    if not study.stages:
        return {"path": "", "gap": "", "costs": []}
    validated = not all(np.isnan(row.validation_accuracy) for row in study.rows)
    return {
        "path": draw(_svg.path_figure, study),
        "gap": draw(_svg.gap_figure, study, MAX_GAP) if validated else "",
        "costs": [
            (column.axis, draw(_svg.cost_figure, study, column))
            for column in sorted(MEASURED, key=lambda column: column.axis)
            if column.axis and _has_numbers(study, column)
        ],
    }


def _has_numbers(study, column):
    values = [column.of(row) for row in study.rows]
    return any(value is not None and value == value for value in values)


def _searched(study: Study, stage: StudyStage) -> str:
    """List the values that a stage tried, in one line."""
    rows = study.rows_of(stage)
    parts = []
    for name in stage.tried:
        values = dict.fromkeys(as_text(row.params[name]) for row in rows)
        parts.append(f"{name}: {', '.join(values)}")
    return "; ".join(parts)


def _heat_map(stage: StudyStage, rows: list[Candidate]) -> dict[str, Any] | None:
    """Return the accuracies of a stage with two parameters as a matrix; else None.

    Each cell has a text, a share between 0 for the lowest and 1 for the highest
    accuracy, and whether the stage chose it.
    """
    if len(stage.tried) != 2:
        return None
    down, across = stage.tried
    cells = {
        (as_text(row.params[down]), as_text(row.params[across])): row for row in rows
    }
    lines, columns = (list(dict.fromkeys(keys)) for keys in zip(*cells, strict=True))
    if len(cells) < len(rows) or min(len(lines), len(columns)) < 2:
        return None
    scores = [row.accuracy for row in rows]
    lowest = np.nanmin(scores)
    span = np.nanmax(scores) - lowest or 1.0

    def cell(line, column):
        row = cells.get((line, column))
        if row is None or is_failed(row):
            return {"text": "", "share": 0.0, "winner": False}
        share = (row.accuracy - lowest) / span
        text = as_percent(row.accuracy)
        return {"text": text, "share": round(share, 3), "winner": row.winner}

    return {
        "down": down,
        "across": across,
        "columns": columns,
        "lines": [(line, [cell(line, c) for c in columns]) for line in lines],
    }


def _final(study: Study, evidence: Evidence, draw: _Drawer) -> dict[str, Any] | None:
    """Return what the page shows of the final model; None for an unfinished study."""
    if study.summary is None:
        return None
    summary, final = study.summary, study.summary.final
    accuracy = f"{100 * final.test_accuracy:.2f}"
    curve = evidence.final_curve
    return {
        "sentence": describe_final(summary),
        "facts": {
            "test accuracy": with_error(accuracy, final.standard_error, "%"),
            "parameters": f"{final.n_parameters:,}",
            "best epoch": f"{final.best_iter} of {final.n_iter}",
            "candidates": f"{summary.n_candidates:,}",
            "fits": f"{summary.n_fits:,}",
            "seconds": f"{summary.seconds:,.0f}",
        },
        "params": {n: as_text(v) for n, v in summary.best_params.items()},
        "curve": draw(_svg.curve_figure, curve, "the final model") if curve else "",
        "stop_reason": final.stop_reason,
        "confusion": _confusion(evidence.predictions),
    }


def _confusion(predictions: Predictions | None) -> dict[str, Any] | None:
    """Return the confusion matrix, with the shade of each cell as a share."""
    if predictions is None:
        return None
    both = np.concatenate([predictions.true, predictions.predicted])
    labels, codes = np.unique(both, return_inverse=True)
    if len(labels) > MOST_CLASSES:
        return None
    true, predicted = np.split(codes, 2)
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(counts, (true, predicted), 1)
    mistakes = counts - np.diag(counts.diagonal())
    shares = mistakes / max(mistakes.max(), 1)
    return {
        "labels": [visible(str(label)) for label in labels],
        "lines": [
            {
                "label": visible(str(labels[i])),
                "cells": [
                    {"n": int(n), "share": round(float(shares[i, j]), 3), "hit": i == j}
                    for j, n in enumerate(line)
                ],
                "recall": as_percent(line[i] / line.sum()) if line.sum() else "",
            }
            for i, line in enumerate(counts)
        ],
    }


def _misread(predictions: Predictions | None, draw: _Drawer) -> dict[str, Any] | None:
    """Return the misread pictures, the highest probability first."""
    if predictions is None:
        return None
    frame = MisreadDigitsDisplay.from_predictions(predictions).frame()
    names = ("row", "true", "predicted", "probability", "picture")
    rows = zip(*(frame[name][:MOST_MISREAD] for name in names), strict=True)
    pictures = [
        {
            "row": int(row),
            "true": visible(str(true)),
            "predicted": visible(str(predicted)),
            "probability": f"{100 * probability:.0f} %",
            "uri": draw(_svg.png_uri, picture),
        }
        for row, true, predicted, probability, picture in rows
    ]
    return {"sentence": describe_misread(predictions), "pictures": pictures}


def _missing(study: Study, evidence: Evidence) -> list[str]:
    """List what a folder does not have."""
    absent = []
    if study.summary is None:
        n_stages = len(study.header.stages) or "all"
        absent.append(
            f"the study is not finished and does not run now: {len(study.stages)} of "
            f"{n_stages} stages are done"
        )
    if not evidence.curves:
        absent.append("there are no learning curves (no curves.json)")
    if evidence.predictions is None and study.summary is not None:
        absent.append(
            "there are no predictions of the test set (no predictions.npz), so there "
            "is no confusion matrix, and there are no misread digits"
        )
    return absent
