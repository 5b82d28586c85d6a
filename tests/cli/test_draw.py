"""``skmnist draw``, with real models and files."""

# SPDX-License-Identifier: BSD-3-Clause

import json
import re
import shutil

import numpy as np
import pytest

from skmnist import KerasMLPClassifier
from skmnist.cli import main
from skmnist.reporting._drawing import MOST_TO_EDIT, is_drawing_page


def tiny_model(path, n_features, labels=("no", "yes")):
    X = np.random.default_rng(0).random((20, n_features))
    classifier = KerasMLPClassifier(1, 4, epochs=1, batch_size=10, random_state=0)
    classifier.fit(X, np.resize(labels, 20)).save(path)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a model of 8 x 8 pixels, and one of no pictures."""
    folder = tmp_path_factory.mktemp("models")
    tiny_model(folder / "model.skmnist", 64)
    tiny_model(folder / "table.skmnist", 5)
    return folder


@pytest.fixture
def here(models, tmp_path, monkeypatch):
    """The current folder, with these models and a file that is no page."""
    shutil.copytree(models, tmp_path, dirs_exist_ok=True)
    (tmp_path / "thesis.html").write_text("four years of work")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def data_of(path):
    """Return the data that a page holds for its script."""
    found = re.search(r'<script type="application/json".*?>(.*?)</s', path.read_text())
    return json.loads(found[1])


def test_draw_writes_a_page_beside_the_model(here, capsys):
    assert main(["draw", "model.skmnist"]) == 0
    page = here / "draw.html"
    assert is_drawing_page(page)
    assert capsys.readouterr() == (
        "Written to draw.html (0.0 MB). Open it in a browser.\n",
        "",
    )
    data = data_of(page)
    assert data["classes"] == ["no", "yes"] and data["side"] == 8
    assert data["misread"] == [] and 'href="report.html"' not in page.read_text()


def test_draw_replaces_its_own_page_and_says_it_as_json(here, capsys):
    (here / "pages").mkdir()
    out = "pages/own.html"
    assert main(["draw", "model.skmnist", "--out", out]) == 0
    capsys.readouterr()
    command = ["draw", "model.skmnist", "--out", out, "--ink", "16", "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == {
        "model": "model.skmnist",
        "page": out,
        "bytes": (here / out).stat().st_size,
        "classes": ["no", "yes"],
    }
    assert data_of(here / out)["ink"] == 16


def test_a_study_s_page_has_misread_pictures_and_a_way_back(
    tiny_study, tmp_path, capsys
):
    left_out = shutil.ignore_patterns("skmnist-fits")
    study = shutil.copytree(tiny_study, tmp_path / "study", ignore=left_out)
    (study / "report.html").touch()
    assert main(["draw", str(study)]) == 0
    page = study / "draw.html"
    assert len(data_of(page)["misread"]) == MOST_TO_EDIT
    assert 'href="report.html"' in page.read_text()
    # Elsewhere, the report is not beside it.
    assert main(["draw", str(study), "--out", str(tmp_path / "own.html")]) == 0
    assert 'href="report.html"' not in (tmp_path / "own.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["absent"], "absent: no such file; skmnist fit --out absent makes one"),
        (["thesis.html"], "thesis.html: not a saved skmnist classifier"),
        (["table.skmnist"], "table.skmnist takes 5 features; pictures are read by"),
        (["empty"], "empty holds no model.skmnist"),
        (["model.skmnist", "--out", "thesis.html"], "is there and no page to draw on"),
        (["model.skmnist", "--out", "empty"], "empty is a folder; name a file"),
        (["model.skmnist", "--out", "no/draw.html"], "no is no folder; make it first"),
        (["model.skmnist", "--ink", "0"], "--ink"),
        ([], "MODEL"),
    ],
)
def test_draw_refuses_in_one_line_and_writes_nothing(
    arguments, complaint, here, capsys
):
    (here / "empty").mkdir()
    before = sorted(path.name for path in here.rglob("*"))
    assert main(["draw", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("Error: ") and complaint in captured.err
    assert sorted(path.name for path in here.rglob("*")) == before
    assert (here / "thesis.html").read_text() == "four years of work"
