"""HTML for notebooks: tables and boxes in the colours of the page around them."""

# SPDX-License-Identifier: BSD-3-Clause

import re
from collections.abc import Iterable, Sequence
from html import escape

from ._format import visible

# Nobody reads more rows in a notebook.
MOST_ROWS = 100

_IS_NUMBER = re.compile(r"(?:[-+]|< )?\d")

# Colours are those of the notebook, light or dark: all tints let the ground through.
_STYLE = """
.skmnist-display { max-width: 75rem; line-height: 1.45; margin: .3rem 0; }
.skmnist-display .title { font-weight: 600; font-size: 1.1em; }
.skmnist-display p { margin: .3rem 0; max-width: 60rem; }
.skmnist-display .scroll { overflow-x: auto; margin: .5rem 0; }
.skmnist-display table { border-collapse: collapse; margin: 0; font-size: .92em;
  font-variant-numeric: tabular-nums; border: 0; width: auto; }
.skmnist-display caption { text-align: left; opacity: .8; padding: .2rem 0;
  caption-side: top; color: inherit; }
.skmnist-display th, .skmnist-display td { text-align: left; vertical-align: top;
  padding: .25rem .7rem .25rem .3rem; border: 0;
  border-bottom: 1px solid rgba(128, 128, 128, .4); background: none;
  white-space: normal; max-width: none; color: inherit; }
.skmnist-display th { font-weight: 600; }
.skmnist-display .number { text-align: right; white-space: nowrap; }
.skmnist-display .long { min-width: 14rem; }
.skmnist-display tr.winner > * { background: rgba(230, 120, 40, .2); font-weight: 600; }
.skmnist-display details { margin: .35rem 0; }
.skmnist-display summary { cursor: pointer; }
"""


def html_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    winner: int | None = None,
    caption: str = "",
    long: Sequence[str] = (),
) -> str:
    """Write a table; its texts are escaped.

    Parameters
    ----------
    columns : list of str
        Headings.
    rows : list of list of str
        Cells. Those that begin with a digit or a sign are numbers, and stand on the
        right.
    winner : int, default=None
        The row that was chosen.
    caption : str, default=""
        What stands above it.
    long : list of str, default=()
        Headings of columns with sentences, which need room.

    Returns
    -------
    html : str
        At most `MOST_ROWS` rows; a last one says how many are left out.

    Examples
    --------
    >>> from skmnist._display import html_table
    >>> "<td>&lt;b&gt;</td>" in html_table(["name"], [["<b>"]])
    True
    """
    kinds = [
        ' class="long"' if name in long else _number([row[i] for row in rows])
        for i, name in enumerate(columns)
    ]
    lines = [_row("th", columns, kinds, "")]
    for i, row in enumerate(rows[:MOST_ROWS]):
        lines.append(_row("td", row, kinds, ' class="winner"' if i == winner else ""))
    if len(rows) > MOST_ROWS:
        more = f"and {len(rows) - MOST_ROWS} more"
        lines.append(f'<tr><td colspan="{len(columns)}">{more}</td></tr>')
    head, *body = lines
    above = f"<caption>{text(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table>{above}<thead>{head}</thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _number(cells: Sequence[str]) -> str:
    known = [cell for cell in cells if cell]
    numbers = all(_IS_NUMBER.match(cell) for cell in known)
    return ' class="number"' if known and numbers else ""


def _row(tag: str, cells: Iterable[str], kinds: Sequence[str], about: str) -> str:
    written = (
        f"<{tag}{kind}>{text(cell)}</{tag}>"
        for cell, kind in zip(cells, kinds, strict=True)
    )
    return f"<tr{about}>{''.join(written)}</tr>"


def html_fold(summary: str, content: str) -> str:
    """Write what is shown only when somebody opens it.

    Parameters
    ----------
    summary : str
        What is always there; it is escaped.
    content : str
        HTML.

    Returns
    -------
    html : str
    """
    return f"<details><summary>{text(summary)}</summary>{content}</details>"


def html_box(title: str, sentences: Iterable[str], parts: Iterable[str]) -> str:
    """Write all that a notebook shows of an object.

    Parameters
    ----------
    title : str
        Its heading.
    sentences : list of str
        A paragraph each; empty ones are left out. They are escaped, as the title is.
    parts : list of str
        HTML.

    Returns
    -------
    html : str
        It brings its own style, which nothing else on the page takes.
    """
    said = "".join(f"<p>{text(one)}</p>" for one in sentences if one)
    return (
        f'<div class="skmnist-display"><style>{_STYLE}</style>'
        f'<div class="title">{text(title)}</div>{said}{"".join(parts)}</div>'
    )


def text(given: str) -> str:
    """Escape text for HTML; control characters too."""
    return escape(visible(given))
