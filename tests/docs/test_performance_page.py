"""The committed performance page is the one that the committed results give."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(monkeypatch):
    """Import modules of benchmarks/, as its scripts do."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


def fit_samples():
    """Return a fit of three: ours takes 1 s an epoch, scikeras 6, the products 2."""
    seconds = {"skmnist": 1.0, "scikeras": 6.0, "matrix products": 2.0}
    return {
        "n_rows": 54_000,
        "skipped": ["skorch"],
        "fits": [
            {
                "peer": name,
                "batch_size": 64,
                "round": 0,
                "epochs": 10,
                "seconds": 10 * epoch + 5,
                "epoch_seconds": [epoch] * 9,
                "accuracy": None if name == "matrix products" else 0.98,
            }
            for name, epoch in seconds.items()
        ],
    }


def result_of(module, samples):
    """Return a result as its file holds it."""
    environment = {"date": "2026-01-01", "python": "3", "versions": {"torch": None}}
    environment |= {"cpu": "some", "cores": 2, "threads": {}}
    environment["load"] = {"before": 0.1, "after": 0.2}
    head = {"benchmark": module.__name__, "title": module.TITLE, "quick": False}
    return {
        **head,
        "environment": environment,
        **module.summarize(samples),
        "samples": samples,
    }


def test_the_page_is_made_from_the_committed_results(load):
    written = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert written == load("page").page()


def test_the_page_about_clusters_has_the_tables_of_the_committed_result(load):
    page = load("page")
    written = (ROOT / "docs" / "clusters.md").read_text(encoding="utf-8")
    assert written == page.with_tables(page.read_results()["cluster"])


def test_no_quick_run_is_committed(load):
    assert not any(result["quick"] for result in load("page").read_results().values())


def test_targets_are_met_or_not(load):
    targets = load("fit").summarize(fit_samples())["targets"]
    assert [(t["measured"], t["met"]) for t in targets] == [
        ("6.00x", True),
        ("not measured", None),
        ("200%", True),
        ("4.33x", True),
        ("not measured", None),
    ]


def test_a_fit_that_ended_early_is_filled_up_with_its_median_epoch(load):
    fits = [{"round": 0, "epochs": 3, "seconds": 5.0, "epoch_seconds": [1.0, 2.0]}]
    assert load("fit").whole_fits(fits) == {0: 5.0 + 7 * 1.5}


def test_the_page_names_the_peers_that_win(load):
    samples = {"seconds": {"1": {"skmnist": [2.0, 2.0], "MLPClassifier": [1.0, 1.0]}}}
    result = result_of(load("predict"), samples)
    text = load("page").page({"predict": result})
    assert "In 1 of 1 comparisons the peer is faster" in text
    assert "- predict, 1 row: MLPClassifier, 2.00x faster" in text


def test_the_matrix_products_are_no_peer_and_missing_ones_are_named(load):
    text = load("page").page({"fit": result_of(load("fit"), fit_samples())})
    assert "In 0 of 2 comparisons the peer is faster than ours." in text
    assert "Not installed, so not measured: skorch." in text
    assert "Without a result so far: distortions, grid, narrow, study" in text


def test_ratios_are_of_measurements_in_the_same_turn(load):
    # The machine became three times slower in the second round, for both.
    compared = load("timing").compare(
        "", "", {0: 1.0, 1: 3.0}, {0: 2.0, 1: 6.0, 2: 9.0}
    )
    assert (compared["ratio"], compared["n"]) == (2.0, 2)


def test_distortions_are_set_against_the_plain_epoch_of_the_same_turn(load):
    # Ratios of 1.5, 3 and 2.5; the last epoch met a machine that was twice as slow.
    seconds = {"none": [1.0, 1.0, 2.0], "affine": [1.5, 3.0, 5.0]}
    fits = [
        {"augmentation": kind, "batch_size": 64, "epoch_seconds": epochs}
        for kind, epochs in seconds.items()
    ]
    found = load("distortions").summarize({"fits": fits, "n_rows": 1000})
    assert [(t["measured"], t["met"]) for t in found["targets"]] == [("2.50x", False)]
    assert [row[-1] for row in found["tables"][0]["rows"]] == ["", "2.50x"]


def test_multiply_adds_count_all_products_but_the_first_layers_input(load):
    assert load("peers").multiply_adds(5, (3,), 2) == 3 * (15 + 6) - 15


def test_slope_is_that_of_the_upper_half(load):
    assert load("growth").slope([1, 2, 4, 8], [9, 9, 6, 12]) == pytest.approx(1)


def test_settings_use_every_core_and_one_thread(load):
    assert load("jobs").settings(4) == [(1, 4), (2, 2), (4, 1), (1, 1)]


def test_the_two_grids_have_sixty_candidates(load):
    grid = load("grid")
    for groups in (grid.grid_groups(), grid.architecture_groups()):
        assert sum(len(rates) for _, rates in groups) == 60
    assert len({setting.widths for setting, _ in grid.architecture_groups()}) == 60


def test_missing_candidates_of_the_study_count_as_the_mean(load):
    study = load("study")
    candidates = [{"stage": "a"}, {"stage": "b"}, {"stage": "final"}]
    timed = {
        study.key_of(0, candidates[0]): {"seconds": 4.0},
        study.key_of(2, candidates[2]): {"seconds": 1.0},
    }
    samples = {"candidates": candidates, "scikeras": timed}
    assert study.scikeras_total(samples) == (9.0, 1)


def test_narrow_networks_are_compared_by_their_medians(load):
    module = load("narrow")

    def runs(*seconds):
        return [{"seconds": s, "memory": 100 * s} for s in seconds]

    pair = {module.BESIDE: runs(1, 2, 9), module.AFTER: runs(4, 4, 4)}
    found = module.summarize(dict.fromkeys(module.STAGES, pair))["targets"]
    values = [(one["measured"], one["met"]) for one in found]
    assert values == [("2.00x", True), ("0.50x", True)] * 2
