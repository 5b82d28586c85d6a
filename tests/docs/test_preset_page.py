"""docs/preset.py: the page, and its studies in small."""

import importlib.util
import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def preset():
    spec = importlib.util.spec_from_file_location("preset", DOCS / "preset.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_page_is_made_from_the_committed_results(preset):
    page = (DOCS / "preset.md").read_text(encoding="utf-8")
    assert page == preset.page(DOCS / "results" / "preset")


@pytest.mark.slow
def test_a_study_in_small_gives_a_page_and_is_not_run_again(preset, tmp_path):
    arguments = ["--run", "--quick", "--only", "breast_cancer", "--out", str(tmp_path)]
    preset.main(arguments)
    path = tmp_path / "results" / "preset" / "breast_cancer.json"
    found = json.loads(path.read_text())
    assert 0.5 < found["preset"] <= 1 and 0.5 < found["start"] <= 1
    assert 0 <= found["p_value"] <= 1 and found["n_features"] == 30
    before = path.stat().st_mtime_ns
    preset.main(arguments)
    assert path.stat().st_mtime_ns == before
    assert f"{100 * found['preset']:.2f}" in (tmp_path / "preset.md").read_text()


def test_the_small_form_never_writes_into_the_documentation(preset, capsys):
    with pytest.raises(SystemExit):
        preset.main(["--run", "--quick"])
    assert "--out" in capsys.readouterr().err


def test_without_results_it_says_so(preset, tmp_path):
    with pytest.raises(SystemExit, match="no results"):
        preset.main(["--out", str(tmp_path)])
