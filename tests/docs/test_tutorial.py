"""The tutorial runs from its first cell to its last, and its notebook is the same."""

# SPDX-License-Identifier: BSD-3-Clause

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "tutorials"
SCRIPT, NOTEBOOK = FOLDER / "plot_read_digits.py", FOLDER / "read_digits.ipynb"
SETTINGS = "N_ROWS, EPOCHS = 1797, 30"
SMALL = "N_ROWS, EPOCHS = 200, 1"

# Runs cells one after the other in one namespace, as a notebook does; the value of the
# last line is shown. Prints what was shown, by cell.
RUNNER = """
import ast, json, sys
cells, shown, names = json.load(sys.stdin), [], {}
for cell in cells:
    lines = ast.parse(cell).body
    last = None
    if lines and isinstance(lines[-1], ast.Expr):
        last = ast.Expression(lines.pop().value)
    exec(compile(ast.Module(lines, []), "cell", "exec"), names)
    value = None if last is None else eval(compile(last, "cell", "eval"), names)
    if hasattr(value, "_repr_html_"):
        shown.append(value._repr_html_())
json.dump(shown, sys.stderr)
"""


def code_cells():
    """Return the code of the notebook's cells."""
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    return ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]


def run(cells, folder):
    """Run cells in a Python of their own."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUNNER],
        input=json.dumps(cells),
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "Agg"},
    )


def test_the_notebook_has_the_code_of_the_page():
    code = [line for line in SCRIPT.read_text().splitlines() if line[:1] != "#"]
    page = "\n".join(code).split('"""')[2]
    mine = [line for line in page.splitlines() if line]
    theirs = [line for cell in code_cells() for line in cell.splitlines() if line]
    assert theirs == mine


def test_a_cell_that_fails_fails_the_run(tmp_path):
    assert run(["a = 1", "a"], tmp_path).returncode == 0
    failed = run(["a = 1", "a + b"], tmp_path)
    assert failed.returncode == 1 and "NameError" in failed.stderr


def test_each_exercise_has_a_solution():
    text = SCRIPT.read_text()
    exercises, solutions = text.split("# Solutions\n")
    for number in range(1, 7):
        assert exercises.count(f"**Exercise {number}.**") == 1
        assert solutions.count(f"**Exercise {number}.**") == 1


@pytest.mark.long
def test_the_tutorial_runs(tmp_path):
    cells = code_cells()
    assert sum(SETTINGS in cell for cell in cells) == 1
    finished = run([cell.replace(SETTINGS, SMALL) for cell in cells], tmp_path)
    assert finished.returncode == 0, finished.stderr
    (search,) = json.loads(finished.stderr.splitlines()[-1])
    assert "2 stages, " in search and "is the highest score" in search
    said = finished.stdout
    assert "epoch 1/1  loss" in said
    assert "stage width (1 of 2) chose widths=" in said
    assert said.count(" chance: p ") == 5
    assert list(tmp_path.iterdir()) == []
