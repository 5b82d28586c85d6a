"""What all displays share: what they draw with, and what they look into.

Each display computes first, plain arrays that its `frame` returns, and draws when its
`plot` is called; only then matplotlib is imported. The ``from_*`` constructors
therefore do not draw, as those of scikit-learn do.
"""

# SPDX-License-Identifier: BSD-3-Clause

from importlib import import_module

# Blue and orange, for readers who cannot tell red from green; all three stand out from
# white and from black by more than 3 to 1.
BLUE, VERMILION, GREY = "#2487c7", "#d55e00", "#808080"


class NoMatplotlibError(ImportError):
    """Something is to be drawn, and there is nothing to draw with."""


def axes_of(ax):
    """Return the figure and the axes to draw in; new ones for None."""
    if ax is None:
        _, ax = import_matplotlib("pyplot").subplots()
    return ax.figure, ax


def import_matplotlib(module):
    """Import a module of matplotlib; say what to install where there is none."""
    try:
        return import_module(f"matplotlib.{module}")
    except ImportError as error:
        raise NoMatplotlibError(
            'drawing needs matplotlib: pip install "skmnist[plots]"'
        ) from error


def legend_above(ax, n_columns=3):
    """Put the legend above the axes, where it covers no point."""
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=n_columns,
        frameon=False,
        borderaxespad=0.2,
        columnspacing=1.2,
        handlelength=1.6,
    )
