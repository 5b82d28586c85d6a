"""The figures that README.md and the landing page open with."""

# SPDX-License-Identifier: BSD-3-Clause

import importlib
import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def at_a_glance(monkeypatch):
    """The script as a module."""
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("at_a_glance")


def test_both_pages_have_the_committed_figures(at_a_glance):
    found = at_a_glance.read()
    for path, docs in at_a_glance.PAGES.items():
        assert at_a_glance.block(found, docs) in path.read_text(encoding="utf-8"), path


def test_the_picture_shows_the_committed_figures_and_is_small(at_a_glance):
    from PIL import Image

    with Image.open(at_a_glance.PICTURE) as picture:
        assert json.loads(picture.text["Description"]) == at_a_glance.read()
    assert at_a_glance.PICTURE.stat().st_size < 100_000


def test_figures_follow_their_sources(at_a_glance):
    found = at_a_glance.read() | {"study": 0.5, "untuned": 0.45, "gain": 3.26}
    text = at_a_glance.block(found, "")
    assert "50.00 %" in text and "+5.00" in text and "3.3 points" in text
    assert "skmnist study 5000" in text


def test_a_row_is_read_below_its_heading(at_a_glance):
    table = "| a | b |\n|---|---|\n| x | {} |\n"
    page = f"{table.format(1)}\n## Here\n\n{table.format(2)}"
    assert at_a_glance.cells(page, "## Here", "x") == {"a": "x", "b": "2"}


def test_a_page_without_a_place_for_figures_is_an_error(at_a_glance):
    with pytest.raises(ValueError, match="the page has no"):
        at_a_glance.replaced("# skmnist\n", "new")
