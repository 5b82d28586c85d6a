"""docs/architecture.md lists the packages and modules that there are."""

# SPDX-License-Identifier: BSD-3-Clause

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
FOLDER = ROOT / "skmnist"


def table_after(heading):
    """Return the rows of the first table after a heading of the page, cell by cell."""
    lines = PAGE.partition(heading)[2].partition("|---")[2].splitlines()[1:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def names_in(cell):
    """Return what a cell has between backticks."""
    return re.findall(r"`([^`]+)`", cell)


PACKAGES = {
    names_in(name)[0]: names_in(modules)
    for name, _, modules in table_after("# How the code is laid out")
}


def modules_of(folder):
    """Return the modules in a folder that are not special to Python."""
    return sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("__"))


def test_every_package_has_a_line():
    folders = {path.parent for path in FOLDER.rglob("__init__.py")} - {FOLDER}
    dotted = {".".join(folder.relative_to(FOLDER).parts) for folder in folders}
    assert set(PACKAGES) == {"skmnist"} | dotted


@pytest.mark.parametrize("package", PACKAGES)
def test_the_line_of_a_package_names_its_modules(package):
    folder = FOLDER if package == "skmnist" else FOLDER / package.replace(".", "/")
    assert PACKAGES[package] == modules_of(folder)


def test_packages_are_listed_in_the_order_of_their_imports():
    # The test of the order itself reads ORDER in tests/test_architecture.py.
    tree = ast.parse((ROOT / "tests" / "test_architecture.py").read_text())
    order = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ORDER"
    )
    numbered = re.findall(r"^\d\. (.*)$", PAGE.partition("## Where to look")[0], re.M)
    assert [set(names_in(line)) for line in numbered[1:]] == list(order)


@pytest.mark.parametrize(
    "module",
    [name for _, cell in table_after("## Where to look") for name in names_in(cell)],
)
def test_a_module_to_look_in_exists(module):
    assert (FOLDER / f"{module.replace('.', '/')}.py").is_file()


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`([\w./]+\.(?:py|md|cfg|txt|pyi))`", PAGE)))
)
def test_a_file_that_is_named_exists(path):
    # A page names a file within the folder that it has just named, too.
    folders = [ROOT / name for name in ("skmnist", "tests", "benchmarks", "docs")]
    assert (ROOT / path).is_file() or any(
        found.is_file() for folder in folders for found in folder.rglob(path)
    )
