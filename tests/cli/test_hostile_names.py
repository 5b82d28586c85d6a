"""Names, labels and values that would act on a terminal: nothing of them does."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import csv
import json
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw, ImageFont

from skmnist import KerasMLPClassifier
from skmnist._format import visible
from skmnist._io import ModelFileError
from skmnist.cli import main
from skmnist.cli._tables import print_table
from skmnist.cli._terminal import console
from skmnist.datasets import DataError, DataNotFoundError
from skmnist.preprocessing._binarize import PictureError
from skmnist.reporting._text import Table
from skmnist.study import read_study
from skmnist.study._artifacts import read_evidence
from skmnist.study._status import study_status

# Clears the screen, turns the direction of writing, begins a line, cannot be encoded,
# and what rich, click and Python's formats would take for markup.
PARTS = [
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x9b31m",
    "\u202e",
    "\u2066",
    "\u2028",
    "\n",
    "\r",
    "\b\b\b",
    "\t",
    "\udcff",
    "[red]",
    "[/]",
    ":smile:",
    "{0}",
    "%s",
    "\\",
    "'",
    '"',
    "=",
    ",",
    "é",
    "数",
    "a b",
]

QUIET = ["fit", "--dataset", "tiny.npz", "--quiet"]

# What a user may mistype: each ends in an error that says what was given.
COMMANDS = {
    "no such command": lambda text: [text],
    "option": lambda text: ["study", f"--{text}"],
    "choice": lambda text: ["study", "--preset", text],
    "number": lambda text: ["study", "--seed", text],
    "limit": lambda text: ["study", "--n-iter", text],
    "limit of a stage": lambda text: ["study", "--n-iter", f"{text}=3"],
    "time": lambda text: ["study", "--time-budget", text],
    "data set": lambda text: ["study", "--dataset", text],
    "file of a data set": lambda text: ["fit", "--dataset", f"{text}.npz"],
    "widths": lambda text: ["fit", "--widths", text],
    "pair": lambda text: ["fit", "--set", text.replace("=", "")],
    "parameter": lambda text: [*QUIET, "--set", f"{text}a=1"],
    "value": lambda text: [*QUIET, "--set", f"optimizer=a{text}"],
    "model to write": lambda text: ["fit", "--out", f"absent/{text}"],
    "model": lambda text: ["predict", text, "picture.png"],
    "model to draw for": lambda text: ["draw", text],
    "page to draw on": lambda text: ["draw", "tiny.npz", "--out", f"absent/{text}"],
    "study": lambda text: ["report", text],
    "studies": lambda text: ["report", text, text],
    "study's status": lambda text: ["status", text],
    "study for TensorBoard": lambda text: ["tensorboard", text, text],
    "shell": lambda text: ["completion", text],
}


def hostile(seed, n=3):
    generator = random.Random(seed)
    return "".join(generator.choice(PARTS) for _ in range(n)) + str(seed)


def run(*arguments):
    """Run a command; return its status and the lines of both streams."""
    with CliRunner().isolation() as streams:
        status = main([*arguments])
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        out, err = (stream.getvalue().decode() for stream in streams[:2])
    return status, out.split("\n"), err.split("\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_error_is_one_line_on_which_nothing_acts(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SKMNIST_DATA", raising=False)
    np.savez("tiny.npz", X=np.eye(12), y=[0, 1] * 6)
    for seed in range(5):
        status, out, err = run(*COMMANDS[command](hostile(seed)))
        assert (status, out) == (2, [""]), err
        line, end = err
        assert line.startswith("Error: ") and line.isprintable(), ascii(line)
        assert end == ""


@pytest.fixture(scope="module")
def labels():
    return [hostile(seed) for seed in range(4)]


@pytest.fixture(scope="module")
def model(tmp_path_factory, labels):
    """A model of pictures whose labels are hostile."""
    # An archive of text that cannot be encoded cannot be made.
    labels = [label.replace("\udcff", "") for label in labels]
    path = tmp_path_factory.mktemp("hostile") / "model.skmnist"
    X = np.random.default_rng(0).random((40, 784))
    classifier = KerasMLPClassifier(1, 4, epochs=1, random_state=0)
    classifier.fit(X, np.array(labels * 10)).save(path)
    return path


@pytest.fixture
def pictures(tmp_path):
    """Pictures of a digit in files with hostile names."""
    image = Image.new("L", (120, 90), 230)
    font = ImageFont.load_default(60)
    ImageDraw.Draw(image).text((60, 45), "3", 20, font, anchor="mm")
    names = [f"{hostile(seed).replace('/', '')}.png" for seed in range(6)]
    for name in names:
        with open(tmp_path / name, "wb") as file:
            image.save(file, "PNG")
    return [str(tmp_path / name) for name in names]


def test_the_table_of_predictions_has_a_line_for_each_picture(model, pictures):
    absent = f"{pictures[0]}-absent"
    status, out, err = run("predict", str(model), *pictures, absent, "--show")
    table, drawn = out[: len(pictures) + 1], out[len(pictures) + 1 :]
    assert status == 1
    for line, picture in zip(table[1:], pictures, strict=True):
        assert line.startswith(visible(picture)), ascii(line)
    assert all(line.isprintable() for line in [*table, *drawn])
    assert [visible(picture) for picture in pictures] == [
        line for line in drawn if line.endswith(".png")
    ]
    assert err == [f"Error: {visible(absent)}: no such file", ""]


def test_json_keeps_names_and_labels_as_they_are(model, pictures, labels):
    status, out, _ = run("predict", str(model), *pictures, "--json")
    document = json.loads("\n".join(out))
    assert status == 0
    assert [entry["file"] for entry in document["pictures"]] == pictures
    assert all(line.isprintable() and line.isascii() for line in out)


def test_a_real_process_with_a_name_that_is_no_text(model, tmp_path):
    absent = os.path.join(os.fsencode(tmp_path), b"\x1b[2J\xff\n.png")
    command = [sys.executable, "-m", "skmnist", "predict", str(model), absent]
    finished = subprocess.run(command, capture_output=True)
    assert (finished.returncode, finished.stdout) == (1, b"")
    expected = f"Error: {tmp_path}/\\x1b[2J\\udcff\\n.png: no such file\n"
    assert finished.stderr.decode() == expected


def test_the_status_of_a_study_with_a_hostile_name(tiny_study, tmp_path):
    folder = tmp_path / hostile(3)
    folder.mkdir()
    for name in ("study.json", "results.csv", "stages.json", "trials.jsonl"):
        (folder / name).write_bytes((tiny_study / name).read_bytes())
    study = json.loads((folder / "study.json").read_text())
    study["data"]["name"] = "\x1b[2Jdigits[red]"
    (folder / "study.json").write_text(json.dumps(study))
    status, out, err = run("status", str(folder))
    assert (status, err) == (0, [""])
    assert all(line.isprintable() for line in out)
    assert any(re.match(r"Data: \\x1b\[2Jdigits\[red\]; 2 of 2", line) for line in out)


# What would be an element of a page, markup, a second line, a link that runs code.
HARMFUL = (
    "\x1b[2J<zz onx=1>&\u202e\n# h\n| a | *b* `c` [l](javascript:x)\r</td></script>"
)


def places(value, way=()):
    """Yield the way to each text in a JSON value."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from places(inner, (*way, key))
    elif isinstance(value, str):
        yield way


def with_more(value, way, text):
    """Return a JSON value with a text added at one place."""
    changed = json.loads(json.dumps(value))
    *before, last = way
    holder = changed
    for key in before:
        holder = holder[key]
    holder[last] += text
    return changed


def make_harmful(folder):
    """Add a harmful text wherever a study still takes it; return in how many places."""
    n_taken = 0
    for name in ("study.json", "stages.json", "summary.json", "curves.json"):
        document = json.loads((folder / name).read_text())
        for way in list(places(document)):
            changed = with_more(document, way, HARMFUL)
            (folder / name).write_text(json.dumps(changed))
            with contextlib.suppress(ValueError):
                read_study(folder), read_evidence(folder), study_status(folder)
                document, n_taken = changed, n_taken + 1
        (folder / name).write_text(json.dumps(document))
    rows = list(csv.reader((folder / "results.csv").read_text().splitlines()))
    for column in range(len(rows[0])):
        before, rows[1][column] = rows[1][column], rows[1][column] + HARMFUL
        write_rows(folder, rows)
        try:
            read_study(folder)
            n_taken += 1
        except ValueError:
            rows[1][column] = before
    write_rows(folder, rows)
    return n_taken


def write_rows(folder, rows):
    with open(folder / "results.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)


class Elements(HTMLParser):
    """The elements of a page that a harmful text would make."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        acts = any("javascript:" in (value or "") for _, value in attrs)
        if tag == "zz" or "onx" in dict(attrs) or (acts and tag == "a"):
            self.found.append((tag, attrs))


def test_no_text_in_the_files_of_a_study_acts_anywhere(tiny_study, tmp_path):
    markdown_it = pytest.importorskip("markdown_it")
    markdown = markdown_it.MarkdownIt("commonmark").enable("table")
    folder = tmp_path / "study"
    # The model has a test of its own, and takes long to load.
    left_out = shutil.ignore_patterns("skmnist-fits", "model.skmnist")
    shutil.copytree(tiny_study, folder, ignore=left_out)
    assert make_harmful(folder) > 10
    for arguments in (
        ["status", folder],
        ["report", folder],
        ["report", folder, "--json"],
        ["report", folder, tiny_study],
        ["report", tiny_study, folder],
        ["report", folder, "--reported"],
    ):
        status, out, err = run(*map(str, arguments))
        assert status in (0, 2), err
        assert all(line.isprintable() for line in [*out, *err])
        assert status == 0 or (out == [""] and len(err) == 2)
        # A report is printed as Markdown.
        if arguments[0] == "report" and "--json" not in arguments:
            assert Elements(markdown.render("\n".join(out))).found == []
    page = (folder / "report.html").read_text()
    assert "zz onx" in page and Elements(page).found == []
    report = (folder / "report.md").read_text()
    assert Elements(markdown.render(report)).found == []


def test_errors_of_files_are_one_visible_line():
    for kind in (DataError, DataNotFoundError, ModelFileError, PictureError):
        for seed in range(20):
            error = kind(f"{hostile(seed)}: {HARMFUL}")
            assert str(error).isprintable() and len(error.args) == 1
            assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_tables_of_a_study_show_text_as_it_is(capsys):
    cells = ["[red]x[/red]", ":smile:", "\x1b[2J", "\u202e"]
    table = Table(
        columns=["[b]name", "score"], rows=[[c, "1"] for c in cells], winner=0
    )
    print_table(console(), table, "[i]heading\x1b[2J")
    printed = capsys.readouterr().out
    assert all(line.isprintable() for line in printed.split("\n"))
    for text in ("[i]heading\\x1b[2J", "[b]name", *map(visible, cells)):
        assert text in printed


def test_what_fit_says_is_visible(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = f"own\x1b[2J\u202e{hostile(1)}"
    np.savez(f"{name}.npz", X=np.random.default_rng(0).random((40, 4)), y=[0, 1] * 20)
    quick = ["--widths", "4", "--epochs", "1", "--out", f"{name}.skmnist"]
    status, out, err = run("fit", "--dataset", f"{name}.npz", *quick)
    assert (status, err) == (0, [""])
    assert len(out) == 4 and all(line.isprintable() for line in out)
    assert f"{visible(name)}.skmnist TABLE" in out[2]
