"""docs/study.py: its page, and which runs it makes."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def study():
    sys.path.insert(0, str(DOCS))
    spec = importlib.util.spec_from_file_location("docs_study", DOCS / "study.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_study"] = module
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(DOCS))


def made(name, seed, study=0.9, untuned=0.88, grid=0.89):
    """Return a run."""
    return {
        "set": name,
        "seed": seed,
        "n_train": 525,
        "n_test": 175,
        "budget": 90.0,
        "study": study + seed / 1000,
        "seconds": 80.0,
        "final_epochs": 10,
        "n_parameters": 1000,
        "n_candidates": 40,
        "n_fits": 180,
        "not_tried": [],
        "best_params": {"widths": 64, "learning_rate": 0.00123456},
        "untuned": untuned + seed / 1000,
        "grid": grid + seed / 1000,
        "load": 0.5,
        "cores": 2,
        "date": "2026-01-01",
        "versions": {"skmnist": "0.1"},
    }


def write(folder, runs):
    folder.mkdir(parents=True)
    for one in runs:
        path = folder / f"{one['set']}-{one['seed']}.json"
        path.write_text(json.dumps(one))


def test_a_page_tells_means_differences_and_targets(study, tmp_path):
    runs = [made("moons_700", seed) for seed in range(5)]
    runs += [made("parity_3of8", seed, study=0.8) for seed in range(5)]
    runs += [made("mnist", seed, study=0.9943) for seed in range(3)]
    write(tmp_path / "results" / "study", runs)
    study.main(["--out", str(tmp_path)])
    page = (tmp_path / "study.md").read_text()
    assert "| two moons | 525 | 5 | 90 | 80 | 40 | 180 | **90.20 ± 0.16** |" in page
    assert "| two moons | +2.00 (*p* = " in page
    assert "| MNIST | +11.43 | +10.43 |" in page  # a seed is no new sample
    assert "| MNIST: mean accuracy, % | 99.53 | ≥ 99.45 | met |" in page
    assert "| MNIST: slowest study, s | 80.00 | ≤ 90 | met |" in page
    assert (
        "| sets significantly worse than the grid search | 1.00 | ≤ 0 | **not" in page
    )
    assert "| mean difference to no search, points | -3.00 | ≥ 0 | **not" in page
    assert "`learning_rate=0.00123`" in page


def test_finished_runs_are_not_made_again(study, tmp_path, monkeypatch):
    asked = []

    def run_one(name, seed, options):
        asked.append((name, seed))
        return made(name, seed)

    monkeypatch.setattr(study, "run_one", run_one)
    arguments = ["--run", "--only", "moons_700", "--out", str(tmp_path)]
    study.main([*arguments, "--seeds", "1"])
    study.main(arguments)
    assert asked == [("moons_700", seed) for seed in (1, 0, 2, 3, 4)]
    study.main(arguments)
    assert len(asked) == 5


def test_at_least_eight_sets_judge_and_every_set_is_there(study):
    tables = study.benchmark_tables()
    judging = {table.name for table in tables.TABLES if table.role == tables.JUDGE}
    assert len(judging & study.DATA.keys() - {"digits_28x28"}) >= 8
    assert study.DATA.keys() - judging == {"mnist"}
    assert study.DATA["mnist"].seconds <= 8 * 60


def test_small_runs_never_write_into_the_documentation(study, capsys):
    for options in (["--quick"], ["--seconds", "5"]):
        with pytest.raises(SystemExit):
            study.main(["--run", *options])
        assert "--out" in capsys.readouterr().err


def test_without_results_it_says_so(study, tmp_path):
    with pytest.raises(SystemExit, match="no results"):
        study.main(["--out", str(tmp_path)])


# All stages, with a tenth of the epochs. The time is for a machine that has other
# things to do.
@pytest.mark.long
def test_a_run_in_small(study, tmp_path, monkeypatch):
    monkeypatch.setattr("skmnist.study.presets._full_study.MOST_EPOCHS", 13)
    arguments = ["--run", "--quick", "--only", "moons_700", "--seeds", "0"]
    study.main([*arguments, "--seconds", "600", "--out", str(tmp_path)])
    (path,) = (tmp_path / "results" / "study").iterdir()
    found = json.loads(path.read_text())
    assert min(found[name] for name in ("study", "untuned", "grid")) > 0.7
    assert found["grid_n_candidates"] == 2
