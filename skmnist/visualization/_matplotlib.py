"""What all displays share: colours, axes and the import of matplotlib.

A display computes arrays first, which its `frame` returns, and draws when you call its
`plot`. Only then matplotlib is imported. So the ``from_*`` constructors do not draw,
other than in scikit-learn.
"""

# SPDX-License-Identifier: BSD-3-Clause

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Blue and orange, since some readers do not distinguish red and green. The contrast of
# all three with white and with black is more than 3 to 1.
BLUE, VERMILION, GREY = "#2487c7", "#d55e00", "#808080"


class NoMatplotlibError(ImportError):
    """matplotlib is needed to draw, and is not installed."""


def axes_of(ax: "Axes | None") -> "tuple[Figure, Axes]":
    """Return the figure and the axes to draw in; new ones for None."""
    if ax is None:
        _, ax = import_matplotlib("pyplot").subplots()
    return ax.figure, ax


def import_matplotlib(module: str) -> ModuleType:
    """Import a module of matplotlib, or say what to install."""
    try:
        return import_module(f"matplotlib.{module}")
    except ImportError as error:
        raise NoMatplotlibError(
            'drawing needs matplotlib: pip install "skmnist[plots]"'
        ) from error


def legend_above(ax: "Axes", n_columns: int = 3) -> None:
    """Put the legend above the axes, where it hides no point."""
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=n_columns,
        frameon=False,
        borderaxespad=0.2,
        columnspacing=1.2,
        handlelength=1.6,
    )
