"""The figures of the report page as SVG, which needs no other files."""

# SPDX-License-Identifier: BSD-3-Clause

import base64
import io
import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._format import visible
from ..study._columns import Column
from ..study._records import FitCurve, StudyStage
from ..study._storage import Study
from ..study._uncertainty import standard_error
from ..visualization._fit_curve import FitCurveDisplay
from ..visualization._matplotlib import (
    BLUE,
    GREY,
    VERMILION,
    import_matplotlib,
    legend_above,
)
from ..visualization._search import GapDisplay, StageScoresDisplay

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Replaced by the colour of the page's text, which is dark or light.
_INK = "#010203"
# In inches. A phone shows 72 pixels of an inch, a desktop half as many more.
_WIDTH = 5.0
_STYLE = {
    "axes.edgecolor": _INK,
    "axes.grid": True,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": _INK,
    "font.size": 10.0,
    "grid.alpha": 0.25,
    "grid.color": GREY,
    "legend.fontsize": 9.0,
    "svg.fonttype": "none",
    "text.color": _INK,
    # A data set may be called $x$.
    "text.parse_math": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def stage_figure(study: Study, stage: StudyStage) -> str:
    """Draw the scores of a stage's candidates.

    Parameters
    ----------
    study : Study
    stage : StudyStage
        One of its stages.

    Returns
    -------
    svg : str
    """
    display = StageScoresDisplay.from_study(study, stage)

    def draw(figure):
        display.plot(figure.add_subplot())
        display.ax_.set_title("", loc="left")
        display.ax_.grid(axis="y", visible=False)
        _in_percent(display.ax_.xaxis)

    said = f"Accuracies of the candidates of the stage {stage.title}"
    return _svg(draw, said, 1.3 + 0.3 * max(4, len(display.candidates)))


def curve_figure(curve: FitCurve, name: str) -> str:
    """Draw the learning curve of a fit: the accuracy, and the loss below it.

    Parameters
    ----------
    curve : FitCurve
        The curve.
    name : str
        Whose curve it is.

    Returns
    -------
    svg : str
    """
    history = curve.history
    display = FitCurveDisplay(history=history, best_iter=curve.best_iter)

    def draw(figure):
        accuracy, loss = figure.subplots(2, sharex=True)
        if "accuracy" in history:
            display.plot(accuracy)
            _in_percent(accuracy.yaxis)
        accuracy.set_xlabel("")
        display.plot(loss, metric="loss").ax_.get_legend().remove()

    return _svg(draw, f"Learning curve of {name}, best epoch marked", 3.9)


def gap_figure(study: Study, max_gap: float) -> str:
    """Draw validation accuracy against accuracy, with a line for the largest gap.

    Parameters
    ----------
    study : Study
    max_gap : float

    Returns
    -------
    svg : str
    """
    display = GapDisplay.from_study(study, max_gap=max_gap)
    frame = display.frame()

    def draw(figure):
        display.plot(figure.add_subplot())
        x, y = frame["score"], frame["validation_score"]
        low, high = _focus(np.concatenate([x, y]), _typical_error(study))
        display.ax_.set(xlim=(low, high), ylim=(low, high))
        _in_percent(display.ax_.xaxis)
        _in_percent(display.ax_.yaxis)
        _note_outside(display.ax_, (x < low) | (y < low) | (x > high) | (y > high))

    return _svg(draw, "Validation accuracy against the accuracy that judged", 3.9)


def cost_figure(study: Study, column: Column) -> str:
    """Draw the accuracy of all candidates against a cost.

    Parameters
    ----------
    study : Study
    column : Column
        The cost on the other axis; a column with an `axis`.

    Returns
    -------
    svg : str
    """
    cost = np.array([column.of(row) for row in study.rows], dtype=float)
    scores = np.array([row.accuracy for row in study.rows])
    winners = np.array([row.winner for row in study.rows])

    def draw(figure):
        ax = figure.add_subplot()
        for among, color, marker, label in (
            (~winners, BLUE, "o", "candidate"),
            (winners, VERMILION, "D", "chosen in its stage"),
        ):
            points = (cost[among], scores[among])
            ax.scatter(*points, c=color, marker=marker, alpha=0.8, label=label)
        low, high = _focus(scores, _typical_error(study))
        ax.set(xlabel=column.axis, ylabel="accuracy", ylim=(low, high))
        _in_percent(ax.yaxis)
        _cost_axis(ax, cost)
        _note_outside(ax, (scores < low) | (scores > high))
        legend_above(ax)

    return _svg(draw, f"Accuracy against {column.axis}", 3.6)


def path_figure(study: Study) -> str:
    """Draw the path of the search: candidates and winner of each stage.

    Parameters
    ----------
    study : Study

    Returns
    -------
    svg : str
    """
    winners = [study.winner_of(stage) for stage in study.stages]
    scores = np.array([row.accuracy for row in winners])
    errors = np.array([standard_error(study, row) for row in winners])
    places = np.arange(len(winners))

    def draw(figure):
        ax = figure.add_subplot()
        tried = [
            (row.accuracy, place)
            for place, stage in enumerate(study.stages)
            for row in study.rows_of(stage)
        ]
        x, y = np.array(tried).T
        ax.scatter(x, y, c=BLUE, s=20, alpha=0.8, label="candidate")
        path = {"color": VERMILION, "marker": "D", "capsize": 3}
        ax.errorbar(scores, places, xerr=errors, label="chosen", **path)
        shown = np.concatenate([scores - errors, scores + errors])
        low, high = _focus(x, _typical_error(study), least=shown)
        ax.set(xlim=(low, high), xlabel="accuracy, ± one standard error")
        ax.set_yticks(
            places,
            [f"{i}. {visible(s.title)}" for i, s in enumerate(study.stages, 1)],
        )
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
        _in_percent(ax.xaxis)
        _note_outside(ax, (x < low) | (x > high))
        legend_above(ax)

    return _svg(
        draw, "The path of the search, stage by stage", 1.3 + 0.3 * len(winners)
    )


def png_uri(picture: NDArray[np.uint8]) -> str:
    """Return a picture as the data URI of a PNG: 255 is black, 0 is white.

    Parameters
    ----------
    picture : uint8 ndarray of shape (height, width)

    Returns
    -------
    uri : str
    """
    buffer = io.BytesIO()
    import_matplotlib("image").imsave(
        buffer, picture, format="png", cmap="gray_r", vmin=0, vmax=255
    )
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _svg(draw: Callable[["Figure"], None], said: str, height: float) -> str:
    """Draw a figure and return its SVG, for a page with several of them."""
    style, said = import_matplotlib("style"), visible(said)
    new_figure = import_matplotlib("figure").Figure
    # With a salt, two figures of a page share no names, and two runs give the same.
    with style.context(["default", {**_STYLE, "svg.hashsalt": said}]):
        figure = new_figure(figsize=(_WIDTH, height), layout="constrained")
        draw(figure)
        text = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    # Groups have the same names in every figure. Nothing refers to them.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", svg, count=1)
    svg = svg.replace(_INK, "currentColor")
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(said)}"', 1)


def _focus(
    values: NDArray[np.floating], error: float, least: ArrayLike = ()
) -> tuple[float, float]:
    """Return limits of an axis that leave out a few values far from the others.

    Parameters
    ----------
    values : ndarray of float
        All values.
    error : float
        A standard error; a value within a few of them is not left out.
    least : array-like of float, default=()
        Values that are always inside.
    """
    values = values[~np.isnan(values)]
    low, high = np.quantile(values, [0.25, 0.75])
    reach = 3 * max(high - low, error)
    inside = values[(values >= low - reach) & (values <= high + reach)]
    shown = np.concatenate([inside, np.asarray(least, dtype=float)])
    margin = max(0.08 * np.ptp(shown), 0.5 * error, 1e-4)
    return shown.min() - margin, shown.max() + margin


def _typical_error(study):
    return float(np.nanmedian([standard_error(study, row) for row in study.rows]))


def _note_outside(ax, outside):
    """Write in a corner how many points lie outside the axes."""
    count = int(np.count_nonzero(outside))
    if count:
        text = f"{count} outside"
        place = {"xy": (0.02, 0.02), "xycoords": "axes fraction"}
        ax.annotate(text, **place, fontsize=9)


def _in_percent(axis):
    """Label an axis of accuracies in percent, with as few decimals as possible."""
    ticker = import_matplotlib("ticker")
    axis.set_major_locator(ticker.MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]))
    form = ticker.FuncFormatter(lambda value, _: f"{round(100 * value, 6):g} %")
    axis.set_major_formatter(form)


def _cost_axis(ax, cost):
    """Label an axis with numbers such as 5,000; logarithmic for a wide range."""
    ticker = import_matplotlib("ticker")

    def plain(value, _):
        return f"{value:,.0f}" if value >= 10 else f"{value:g}"

    if np.nanmax(cost) > 10 * np.nanmin(cost) > 0:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5), numticks=6))
        ax.xaxis.set_minor_formatter(ticker.NullFormatter())
    else:
        ax.xaxis.set_major_locator(ticker.MaxNLocator(nbins=5))
    ax.xaxis.set_major_formatter(ticker.FuncFormatter(plain))
