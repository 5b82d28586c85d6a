"""The distributions are complete: the package has its data, the sources all tests."""

# SPDX-License-Identifier: BSD-3-Clause

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# For the checkout only.
NOT_IN_IT = {".gitignore"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tracked():
    """The files of the checkout, without what was built there."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"git cannot list the files: {error}")
    names = set(os.fsdecode(listed.stdout).split("\0")) - {""}
    return {name for name in names if (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def built(tracked, tmp_path_factory):
    """A folder with both distributions, made from a copy of the checkout."""
    pytest.importorskip("build.__main__")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in tracked:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    # In a folder of its own: beside a package, a folder "build" would be taken for it.
    command = [sys.executable, "-m", "build", "--outdir", out, source]
    made = subprocess.run(command, capture_output=True, text=True, cwd=out)
    if made.returncode and "No matching distribution" in made.stdout + made.stderr:
        pytest.skip("setuptools cannot be downloaded")
    assert made.returncode == 0, made.stdout + made.stderr
    return out


@pytest.fixture(scope="module")
def unpacked(built, tmp_path_factory):
    """The folder that the source distribution unpacks to."""
    folder = tmp_path_factory.mktemp("unpacked")
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (unpacked,) = folder.iterdir()
    return unpacked


def test_the_sources_are_all_there(unpacked, tracked):
    held = {
        path.relative_to(unpacked).as_posix()
        for path in unpacked.rglob("*")
        if path.is_file()
    }
    assert tracked - NOT_IN_IT - held == set()
    # Nothing that was built or cached came along.
    others = held - tracked - {"PKG-INFO"}
    assert {name.split("/")[0] for name in others} <= {"skmnist.egg-info"}


def test_the_package_has_its_types_and_data(built, tracked):
    (archive,) = built.glob("*.whl")
    with zipfile.ZipFile(archive) as wheel:
        held = {name for name in wheel.namelist() if name.startswith("skmnist/")}
    assert held == {name for name in tracked if name.startswith("skmnist/")}
    assert {Path(name).suffix for name in held} >= {".pyi", ".typed", ".csv", ".jinja"}


def test_the_tests_run_in_the_unpacked_sources(unpacked):
    few = ["tests/test_versions.py", "tests/docs/test_reproduction.py"]
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *few],
        cwd=unpacked,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout[-2000:]
    assert " passed" in finished.stdout
