"""Tables on terminals of several widths."""

# SPDX-License-Identifier: BSD-3-Clause

import io

import numpy as np
import pytest
from rich.console import Console

from skmnist.cli._tables import COLUMN_GAP, print_table, split_columns
from skmnist.reporting._text import Table

COLUMNS = ["depth", "activations", "validation accuracy", "standard error", "p", "gap"]
ROWS = [
    ["2", "('relu', 'tanh')", "97.65 %", "0.12 pp", "1", "-0.3 pp"],
    ["4", "softsign", "97.60 %", "0.13 pp", "0.062", "+0.12 ± 0.23 pp"],
]
TABLE = Table(COLUMNS, ROWS, 0)


def printed(table, width, terminal=True):
    screen = Console(
        file=io.StringIO(), width=width, force_terminal=terminal, color_system=None
    )
    print_table(screen, table, "3. Activations")
    return screen.file.getvalue()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 140])
def test_all_words_of_all_cells_are_there_and_no_line_is_too_long(width):
    text = printed(TABLE, width)
    assert max(map(len, text.split("\n"))) <= width
    assert "…" not in text
    words = text.split()
    for cell in [*COLUMNS, *(cell for row in ROWS for cell in row)]:
        assert set(cell.split()) <= set(words)


def test_a_table_that_fits_is_one():
    assert "#" not in printed(TABLE, 80)
    assert printed(TABLE, 80).count("standard") == 1


def test_parts_of_a_table_have_the_numbers_of_the_rows():
    lines = [line.split() for line in printed(TABLE, 40).splitlines()]
    n_parts = sum(line[:1] == ["#"] for line in lines)
    assert n_parts > 1
    # Each row begins with its number, in each part.
    assert sum(line[:1] == ["1"] for line in lines) == n_parts
    assert sum(line[:1] == ["2"] for line in lines) == n_parts


def test_a_word_longer_than_a_line_goes_on_in_the_next():
    table = Table(["chosen"], [["x" * 50]], None)
    assert printed(table, 30).count("x") == 50


@pytest.mark.parametrize(("columns", "width"), [(None, 100), ("60", 60), ("200", 200)])
def test_where_no_terminal_is_a_table_is_no_wider_than_on_one(
    monkeypatch, columns, width
):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    strengths = "Distortions(rotation=12, shift=0.08, zoom=0.1, shear=0.12, elastic=4)"
    names = ["augmentation", *(f"column {i}" for i in range(12))]
    wide = Table(names, [[strengths, *["some text"] * 12]], None)
    screen = Console(file=io.StringIO())
    print_table(screen, wide, "9. Distortions")
    text = screen.file.getvalue()
    assert max(map(len, text.split("\n"))) <= width
    assert "…" not in text
    words = text.split()
    assert words.count("some") == words.count("text") == 12
    assert set(strengths.split()) <= set(words)


@pytest.mark.parametrize("seed", range(20))
def test_parts_keep_all_columns_in_order_and_fit(seed):
    rng = np.random.default_rng(seed)
    widths, width = rng.integers(1, 30, rng.integers(1, 15)).tolist(), 40
    parts = split_columns(widths, width)
    assert [column for part in parts for column in part] == list(range(len(widths)))
    number = 2 + COLUMN_GAP if len(parts) > 1 else 0
    for part in parts:
        used = number + sum(widths[i] + COLUMN_GAP for i in part)
        assert used <= width or len(part) == 1
