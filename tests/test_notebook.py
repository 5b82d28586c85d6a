"""What a notebook shows, cell by cell, in a real kernel: the tutorial, then a study."""

# SPDX-License-Identifier: BSD-3-Clause

import os
import re
from html import escape
from pathlib import Path

import pytest

from skmnist.study import read_study

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorials" / "read_digits.ipynb"
STUDY = ROOT / "docs" / "results" / "report"
SETTINGS = "N_ROWS, EPOCHS = 1797, 30"
SMALL = "N_ROWS, EPOCHS = 200, 1"
MORE_CELLS = [
    "from skmnist.study import Study\n"
    f"study = Study.from_folder({str(STUDY)!r})\n"
    "study",
    "study.frame()",
    "import os\nos.write(2, b'the kernel shows this\\n');",
]
TOO_SHORT = "ConvergenceWarning: The training may be too short"

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """The cells of code after a run, each with what it shows."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    book = nbformat.read(TUTORIAL, as_version=4)
    assert sum(SETTINGS in cell.source for cell in book.cells) == 1
    for cell in book.cells:
        cell.source = cell.source.replace(SETTINGS, SMALL)
    book.cells += map(nbformat.v4.new_code_cell, MORE_CELLS)
    folder = tmp_path_factory.mktemp("notebook")
    work = folder / "work"
    work.mkdir()
    # As a user starts it: TensorFlow may speak, and what the cells' C++ code writes is
    # shown below them, which a kernel that is tested leaves out.
    unset = {"TF_CPP_MIN_LOG_LEVEL", "PYTEST_CURRENT_TEST", "MPLBACKEND"}
    env = {name: value for name, value in os.environ.items() if name not in unset}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        nbclient.NotebookClient(
            book, timeout=300, resources={"metadata": {"path": str(work)}}
        ).execute(env={**env, "IPYTHONDIR": str(folder / "ipython")})
    assert list(work.iterdir()) == []
    return [cell for cell in book.cells if cell.cell_type == "code"]


def printed(cell, name="stdout"):
    """Return what a cell wrote to a stream."""
    return "".join(
        output.text
        for output in cell.outputs
        if output.output_type == "stream" and output.name == name
    )


def shown(cell, kind="text/html"):
    """List what a cell displays, of one MIME type."""
    data = [output.data for output in cell.outputs if "data" in output]
    return [bundle[kind] for bundle in data if kind in bundle]


def the_cell(cells, words):
    (cell,) = [cell for cell in cells if words in cell.source]
    return cell


def test_tensorflow_starts_quietly(cells):
    assert printed(the_cell(cells, "os.write"), "stderr") == "the kernel shows this\n"
    for cell in cells[:-1]:
        for line in printed(cell, "stderr").splitlines():
            # A warning of this package, and below it the line that it is about.
            assert TOO_SHORT in line or line.startswith("  "), line


def test_an_epoch_is_one_line(cells):
    said = printed(the_cell(cells, "verbose=1"))
    assert re.match(r"epoch 1/1  loss [\d.]+  accuracy +[\d.]+ %", said)
    assert len(said.splitlines()) == 2


def test_a_search_tells_its_progress_and_shows_its_stages(cells):
    cell = the_cell(cells, "SearchProgress()")
    told = re.findall(r"stage ([a-z ]+) \(. of 2\) chose (\w+)=", printed(cell))
    assert told == [("width", "widths"), ("batch size", "batch_size")]
    (html,) = shown(cell)
    assert "2 stages, " in html and html.count("is the highest score") == 2
    (plain,) = shown(cell, "text/plain")
    assert plain.startswith("StagedSearchCV(")


def test_a_study_shows_its_stages_and_its_table(cells):
    study = read_study(STUDY)
    (html,) = shown(the_cell(cells, "from_folder"))
    for stage in study.stages:
        assert escape(stage.reason) in html
    (table,) = shown(the_cell(cells, "study.frame()"))
    assert table.count("<tr") == 1 + len(study.rows)
    assert "<th>stage</th>" in table


def test_each_figure_is_a_picture(cells):
    drawing = [cell for cell in cells if "plt.show()" in cell.source]
    assert len(drawing) == 5
    for cell in drawing:
        assert len(shown(cell, "image/png")) == 1


def test_classifiers_are_compared(cells):
    assert "".join(map(printed, cells)).count(" chance: p ") == 5
