"""The distributions are complete: the package has its data, the sources all tests."""

# SPDX-License-Identifier: BSD-3-Clause

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# For the checkout only.
NOT_IN_IT = {".gitignore"}
URL = "https://example.org/team/skmnist"

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
    """A folder with both distributions, as a release makes them."""
    pytest.importorskip("build.__main__")
    pytest.importorskip("twine")
    out = tmp_path_factory.mktemp("built")
    command = [sys.executable, ROOT / ".ci" / "dist.py", URL, out]
    made = subprocess.run(command, capture_output=True, text=True, cwd=out)
    if made.returncode and "No matching distribution" in made.stdout + made.stderr:
        pytest.skip("setuptools cannot be downloaded")
    assert made.returncode == 0, made.stdout + made.stderr
    assert made.stdout.count("PASSED") == 2, made.stdout
    return out


@pytest.fixture(scope="module")
def metadata(built):
    """What a package index reads of the wheel."""
    (archive,) = built.glob("*.whl")
    with zipfile.ZipFile(archive) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
        return message_from_bytes(wheel.read(name))


@pytest.fixture(scope="module")
def unpacked(built, tmp_path_factory):
    """The folder that the source distribution unpacks to."""
    folder = tmp_path_factory.mktemp("unpacked")
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        # Python 3.11.0 to 3.11.3 have no filters.
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(folder, **safe)
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


def test_links_on_an_index_lead_to_files_of_the_repository(metadata, tracked):
    text = metadata.get_payload()
    links = re.findall(r"\]\(([^)#]+)\)", text)
    own = [link for link in links if link.startswith(URL)]
    # An index has no files beside the text.
    assert [link for link in links if not link.startswith("https://")] == []
    assert len(own) > 10
    version = metadata["Version"]
    paths = [re.sub(rf"{URL}/(blob|raw)/v{version}/", "", link) for link in own]
    folders = {str(parent) for name in tracked for parent in Path(name).parents}
    assert set(paths) - tracked - folders == set()


def test_an_index_shows_where_the_project_is(metadata):
    addresses = dict(line.split(", ") for line in metadata.get_all("Project-URL"))
    assert set(addresses) == {"Changes", "Documentation", "Issues", "Source"}
    assert all(address.startswith(URL) for address in addresses.values())


def test_the_citation_names_this_version(metadata):
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {metadata['Version']}\n" in citation


@pytest.mark.parametrize("arguments", [[], ["ftp://example.org"], [URL, "a", "b"]])
def test_a_release_without_an_address_says_what_is_wanted(arguments):
    command = [sys.executable, ROOT / ".ci" / "dist.py", *arguments]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 1
    assert "dist.py URL [OUT]" in made.stderr


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
