"""The committed page is the one that the committed results give."""

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_reproduction_page_is_made_from_the_committed_results():
    spec = importlib.util.spec_from_file_location("page", DOCS / "reproduction.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (DOCS / "reproduction.md").read_text(encoding="utf-8") == module.page()
