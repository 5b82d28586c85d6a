"""What a notebook shows of a fitted search: stages, winners, reasons."""

# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._display import html_box, html_fold, html_table
from .._format import as_score, as_text, candidate_name
from ._results import RACE_COLUMNS, RACE_REPLICATES

if TYPE_CHECKING:
    from . import StagedSearchCV, StageResult


def search_html(search: StagedSearchCV, diagram: str) -> str:
    """Write what a notebook shows of a fitted search.

    Parameters
    ----------
    search : StagedSearchCV
        A fitted one.
    diagram : str
        scikit-learn's HTML of its estimators and parameters, which is folded away.

    Returns
    -------
    html : str
        The winner and the reason of each stage; folded, the candidates.
    """
    table = search.cv_results_
    n_candidates, n_stages = len(table["params"]), len(search.stages_)
    left = ", ".join(search.not_tried_)
    sentences = [
        f"{_many(n_stages, 'stage')}, {_many(n_candidates, 'candidate')}. Best "
        f"{search.metric_}: {as_score(search.best_score_)} with "
        f"{candidate_name(_plain(search.best_params_))}.",
        f"Not tried for want of time: {left}." if left else "",
    ]
    scores = table[f"mean_test_{search.metric_}"]
    rows = [
        [
            stage.name,
            str(len(stage.indices)),
            candidate_name(_plain(stage.params)),
            as_score(scores[stage.winner]),
            stage.reason,
        ]
        for stage in search.stages_
    ]
    columns = ["stage", "candidates", "chosen", search.metric_, "why"]
    parts = [html_table(columns, rows, long=["chosen", "why"])]
    for stage in search.stages_:
        heading = f"Candidates of stage {stage.name}"
        parts.append(html_fold(heading, _candidates(search, stage)))
    parts.append(html_fold("Estimator and parameters", diagram))
    return html_box("StagedSearchCV", sentences, parts)


def _candidates(search: StagedSearchCV, stage: StageResult) -> str:
    """Write the candidates of a stage: what it tried, and their scores."""
    table, metric = search.cv_results_, search.metric_
    columns = {
        name: [_value(table["params"][i], name, search) for i in stage.indices]
        for name in stage.params
    }
    columns[metric] = [as_score(table[f"mean_test_{metric}"][i]) for i in stage.indices]
    if search.n_splits_ > 1 or stage.race is not None:
        deviations = table[f"std_test_{metric}"]
        columns["std"] = [as_score(deviations[i]) for i in stage.indices]
    if stage.race is not None:
        for title, name in (
            ("replicates", RACE_REPLICATES),
            ("race", RACE_COLUMNS[0]),
        ):
            columns[title] = [str(table[name][i]) for i in stage.indices]
    marks = {stage.incumbent: "carried in", stage.winner: "chosen"}
    columns[""] = [marks.get(i, "") for i in stage.indices]
    rows = [list(cells) for cells in zip(*columns.values(), strict=True)]
    winner = stage.indices.index(stage.winner)
    return html_table(list(columns), rows, winner=winner)


def _value(params: dict[str, Any], name: str, search: StagedSearchCV) -> str:
    """Write a parameter; one that a candidate lacks is that of the estimator."""
    if name in params:
        return as_text(_plain(params)[name])
    return as_text(search.estimator.get_params().get(name))


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    return {n: list(v) if isinstance(v, tuple) else v for n, v in params.items()}


def _many(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
