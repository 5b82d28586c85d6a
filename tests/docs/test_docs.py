"""The documentation is complete, and works in a browser once `make docs` built it."""

# SPDX-License-Identifier: BSD-3-Clause

import inspect
import os
import re
from pathlib import Path

import pytest

import skmnist
from skmnist.cli import _commands

DOCS = Path(__file__).parents[2] / "docs"


def listed(page):
    """Return the entries of the tables of contents or summaries on a page."""
    fence = r"```\{(?:toctree|eval-rst)\}\n(.*?)```"
    blocks = re.findall(fence, page.read_text(), re.DOTALL)
    lines = (line.strip() for block in blocks for line in block.splitlines())
    return {line for line in lines if line and line[0] not in ":."}


def test_every_public_name_is_in_the_api_reference():
    names = {n for n in skmnist.__all__ if not inspect.ismodule(getattr(skmnist, n))}
    assert names <= listed(DOCS / "api.md")


@pytest.mark.parametrize("command", _commands.commands)
def test_every_command_is_described(command):
    page = (DOCS / "guide" / "command_line.md").read_text()
    assert f"## `skmnist {command}`" in page


def test_every_page_is_in_one_table_of_contents():
    pages = {page.relative_to(DOCS) for page in pages_of_the_documentation()}
    tables = [
        Path(os.path.normpath(page.parent / f"{entry}.md"))
        for page in pages
        for entry in entries(DOCS / page)
    ]
    written = [page for page in tables if not page.parts[0].startswith("auto_")]
    assert sorted(written) == sorted(pages - {Path("index.md")})


def pages_of_the_documentation():
    """Return the pages in Markdown, without those that were built."""
    built = {"_build", "auto_examples", "auto_tutorials", "generated", "results"}
    return [
        page
        for page in DOCS.rglob("*.md")
        if not built & set(page.relative_to(DOCS).parts)
    ]


def entries(page):
    """Return what the tables of contents of a page name."""
    blocks = re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(), re.DOTALL)
    lines = (line.strip() for block in blocks for line in block.splitlines())
    return [line for line in lines if line and line[0] != ":"]


@pytest.mark.long
def test_every_page_opens_without_errors_and_without_a_network(browser):
    built = DOCS / "_build" / "html"
    # The theme keeps a template, which is no page, among the static files.
    pages = sorted(set(built.rglob("*.html")) - set(built.glob("_static/**/*")))
    if not pages:
        pytest.skip("`make docs` has not been run")
    tab = browser.new_page()
    # Beside other work, a page can take longer than the usual half a minute.
    tab.set_default_timeout(180_000)
    complaints, elsewhere = [], set()
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on(
        "console",
        lambda said: complaints.append(said.text) if said.type == "error" else None,
    )
    tab.on("request", lambda request: elsewhere.add(request.url.split(":")[0]))
    for page in pages:
        tab.goto(page.as_uri())
        broken = "[...document.images].filter(i => !i.naturalWidth).map(i => i.src)"
        complaints += tab.evaluate(broken)
    assert complaints == []
    assert elsewhere <= {"file", "data"}
