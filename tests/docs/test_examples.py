"""The examples run as they stand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
# Drawn, and shown to nobody.
HEADLESS = {n: v for n, v in os.environ.items() if n != "DISPLAY"} | {
    "MPLBACKEND": "Agg"
}


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_prints(path, tmp_path):
    finished = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", path],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env=HEADLESS,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip()
    # Nothing is left lying about where it ran.
    assert not list(tmp_path.iterdir())


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
