"""benchmarks/race.py: its page, and what the page promises."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def race(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("race")


def test_the_committed_page_is_made_from_the_committed_results(race):
    assert race.PAGE.read_text() == race.page(race.read_results())


def test_the_committed_results_keep_what_the_guide_promises(race):
    results = race.read_results()
    rows = results["simulated"] + [results["real"]["equal"], results["real"]["lead"]]
    for row in rows:
        # A lead that is as small as can be found is worth more replicates.
        is_hard = row.get("seed_sd", 0) > 0.001 or row.get("kind") == "folds lead"
        if row.get("kind") == "noisy last":
            assert row["not_simplest"] <= 0.12  # the page says that it is above 5 %
        elif row["found"] is None:
            assert row["not_simplest"] <= 0.05
            assert row["fits"] <= 0.5
        else:
            assert row["fits"] <= (0.65 if is_hard else 0.5)
    leads = [row for row in results["simulated"] if row["kind"] == "lead"]
    assert leads
    assert all(row["found"] >= 0.9 for row in leads if row["seed_sd"] <= 0.001)
    assert results["real"]["lead"]["found"] >= 0.9


def test_the_stand_ins_and_small_networks_race_in_small(race, monkeypatch):
    monkeypatch.setattr(race, "SIZES", (2,))
    monkeypatch.setattr(race, "SEED_SDS", (0.001,))
    rows = race.simulate_all(quick=True)
    kinds = {row["kind"] for row in rows}
    assert kinds == {"equal", "lead", *race.OTHER, "folds equal", "folds lead"}
    assert all(0 < row["fits"] <= 1 for row in rows)
