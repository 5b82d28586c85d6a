"""The examples run: here with little training, as they stand in the documentation."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# Drawn, and shown to nobody.
HEADLESS = {n: v for n, v in os.environ.items() if n != "DISPLAY"} | {
    "MPLBACKEND": "Agg"
}

# How to train less: `make docs` runs each example as it stands, and the test of its
# pages reads what came of it.
LESS = {
    r"\bepochs(=|\": )\d+": r"epochs\g<1>2",
    r"\bmax_iter=\d+": "max_iter=2",
    r"\bseeds = 30, \[0, 1, 2\]": "seeds = 2, [0]",
    r"\brange\(1, 31\)": "range(1, 3)",
}


# Runs each example in a folder of its own, one after the other in one process: loading
# TensorFlow takes longer than most of them. Prints what became of each as JSON.
RUNNER = """
import contextlib, io, json, os, pathlib, runpy, sys, traceback
outcomes, home = {}, pathlib.Path(sys.argv[1])
for path in map(pathlib.Path, sys.argv[2:]):
    (home / path.stem).mkdir()
    os.chdir(home / path.stem)
    printed, error = io.StringIO(), ""
    with contextlib.redirect_stdout(printed):
        try:
            runpy.run_path(str(path), run_name="__main__")
        except BaseException:
            error = traceback.format_exc()
    pyplot = sys.modules.get("matplotlib.pyplot")
    outcomes[path.stem] = {
        "printed": printed.getvalue(),
        "error": error,
        "left": os.listdir(),
        "n_figures": len(pyplot.get_fignums()) if pyplot else 0,
    }
    pyplot and pyplot.close("all")
print(json.dumps(outcomes))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What each example prints, raises and leaves."""
    home, small = map(tmp_path_factory.mktemp, ("examples", "small"))
    for path in EXAMPLES:
        text, n_changes = path.read_text(), 0
        for pattern, less in LESS.items():
            text, n = re.subn(pattern, less, text)
            n_changes += n
        assert n_changes, f"{path.name} trains as long as ever"
        (small / path.name).write_text(text)
    warned = ["-W", "error::UserWarning"]
    warned += ["-W", "ignore:The training may be too short:UserWarning"]
    finished = subprocess.run(
        [sys.executable, *warned, "-c", RUNNER, home, *sorted(small.iterdir())],
        capture_output=True,
        text=True,
        timeout=600,
        env=HEADLESS,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.splitlines()[-1])


@pytest.mark.long
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_prints(path, outcomes):
    outcome = outcomes[path.stem]
    assert outcome["error"] == ""
    assert outcome["printed"].strip()
    # Nothing is left lying about where it ran.
    assert outcome["left"] == []
    # The first figure is its card in the gallery.
    assert outcome["n_figures"] >= 1


def test_as_they_stand_they_warn_of_nothing():
    pages = sorted((ROOT / "docs" / "auto_examples").glob("*.rst"))
    if not pages:
        pytest.skip("`make docs` has not been run")
    for page in pages:
        complaint = re.search(r"\w*(Warning|Error): .*|Traceback.*", page.read_text())
        assert complaint is None, f"{page.name}: {complaint[0]}"


def test_every_example_has_its_place_in_the_gallery(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    gallery = importlib.import_module("gallery")
    assert sorted(gallery.LESSONS) == [path.name for path in EXAMPLES]


@pytest.mark.parametrize(
    ("name", "extra", "package"),
    [
        ("dask_cluster.py", "dask", "distributed"),
        ("tensorboard_search.py", "tensorboard", "tensorboard"),
    ],
)
def test_an_example_skips_where_its_package_is_missing(name, extra, package, tmp_path):
    # Python runs this at its start; None says that there is no such package.
    hidden = f"import sys; sys.modules[{package!r}] = None"
    (tmp_path / "sitecustomize.py").write_text(hidden)
    path = next(path for path in EXAMPLES if path.name == name)
    home = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    finished = subprocess.run(
        [sys.executable, path],
        capture_output=True,
        text=True,
        env=HEADLESS | {"PYTHONPATH": home},
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("\n") == 1
    assert f'pip install "skmnist[{extra}]"' in finished.stdout
