"""Tables on a terminal of any width: no cell is cut, and no column is lost."""

# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.table import Table as RichTable

from .._format import visible

if TYPE_CHECKING:
    from rich.console import Console

    from ..reporting._text import Table

# Where no terminal says how wide it is, and no COLUMNS.
PIPE_WIDTH = 100
# Characters beside the text of a column.
COLUMN_GAP = 2
# Cells with spaces are wrapped to no less than this.
NARROW = 12
NUMBER = "#"


def print_table(screen: "Console", table: "Table", heading: str) -> None:
    """Print a table, in several parts below each other if it is too wide.

    Parameters
    ----------
    screen : rich.console.Console
        Where to print. If it is no terminal, a line has 100 characters, or as many as
        the environment variable ``COLUMNS`` says.
    table : Table
        The table.
    heading : str
        What stands above it.
    """
    columns = [visible(column) for column in table.columns]
    rows = [[visible(cell) for cell in row] for row in table.rows]
    widths = list(map(_width, columns, _turned(rows, len(columns))))
    if not screen.is_terminal and "COLUMNS" not in os.environ:
        screen.width = PIPE_WIDTH
    parts = split_columns(widths, screen.width)
    for i, part in enumerate(parts):
        names = [columns[j] for j in part]
        cells = [[row[j] for j in part] for row in rows]
        if len(parts) > 1:
            # The number of a row says which lines belong together.
            names = [NUMBER, *names]
            cells = [[str(n), *row] for n, row in enumerate(cells, 1)]
        title = visible(heading) if i == 0 else None
        screen.print(_drawn(names, cells, title, table.winner, screen.width))


def split_columns(widths: Sequence[int], width: int) -> list[list[int]]:
    """Divide columns into parts that fit a width.

    Parameters
    ----------
    widths : sequence of int
        Characters that each column needs.
    width : int
        Characters of a line.

    Returns
    -------
    parts : list of list of int
        The columns of each part, in their order. A column that is wider than a line
        has a part of its own.

    Examples
    --------
    >>> from skmnist.cli._tables import split_columns
    >>> split_columns([10, 10, 10], 80)
    [[0, 1, 2]]
    >>> split_columns([10, 10, 10], 32)
    [[0, 1], [2]]
    """
    needed = [w + COLUMN_GAP for w in widths]
    if sum(needed) <= width:
        return [list(range(len(widths)))]
    # A part begins with the number of the row: two digits.
    used, parts = width, []
    for column, need in enumerate(needed):
        if used + need > width:
            used = 2 + COLUMN_GAP
            parts.append([])
        used += need
        parts[-1].append(column)
    return parts


def _turned(rows, n_columns):
    return [[row[j] for row in rows] for j in range(n_columns)]


def _heading_lines(name):
    """Return a heading, one word a line: eight columns fit a line of 80 characters."""
    return name.replace("_", "_ ").split() or [""]


def _width(name, cells):
    """Return the fewest characters in which a column cuts no word."""
    words = [word for cell in cells for word in cell.split()]
    longest = max(map(cell_len, [*_heading_lines(name), *words]))
    return max(longest, min(NARROW, max(map(cell_len, cells), default=0)))


def _drawn(names, rows, title, winner, width):
    drawn = RichTable(
        title=title,
        box=box.SIMPLE,
        title_justify="left",
        pad_edge=False,
        collapse_padding=True,
    )
    for name, cells in zip(names, _turned(rows, len(names)), strict=True):
        drawn.add_column(
            "\n".join(_heading_lines(name)),
            justify="right",
            min_width=min(_width(name, cells), width - COLUMN_GAP),
            # A word that is longer than a line goes on in the next line.
            overflow="fold",
        )
    for i, row in enumerate(rows):
        drawn.add_row(*row, style="bold green" if i == winner else None)
    return drawn
