"""The tutorial and its notebook are the same; tests/test_notebook.py runs it."""

# SPDX-License-Identifier: BSD-3-Clause

import json
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "tutorials"
SCRIPT, NOTEBOOK = FOLDER / "plot_read_digits.py", FOLDER / "read_digits.ipynb"


def code_cells():
    """Return the code of the notebook's cells."""
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    return ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]


def test_the_notebook_has_the_code_of_the_page():
    code = [line for line in SCRIPT.read_text().splitlines() if line[:1] != "#"]
    page = "\n".join(code).split('"""')[2]
    mine = [line for line in page.splitlines() if line]
    theirs = [line for cell in code_cells() for line in cell.splitlines() if line]
    assert theirs == mine


def test_each_exercise_has_a_solution():
    text = SCRIPT.read_text()
    exercises, solutions = text.split("# Solutions\n")
    for number in range(1, 7):
        assert exercises.count(f"**Exercise {number}.**") == 1
        assert solutions.count(f"**Exercise {number}.**") == 1
