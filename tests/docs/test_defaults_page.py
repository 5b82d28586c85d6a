"""benchmarks/defaults.py, its data sets, and the page that its results give."""

import importlib
import math
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(monkeypatch):
    """Import modules of benchmarks/, as its scripts do."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


def results_of(load, accuracies, seeds=5):
    """Return results in which each peer has one accuracy on all sets."""
    tables, page = load("tables"), load("defaults_page")
    runs = [
        {"peer": peer, "set": table.name, "seed": seed, "params": {}}
        | {"accuracy": accuracy, "log_loss": 1 - accuracy, "seconds": 10 * accuracy}
        | {"n_train": table.rows, "n_test": 9, "n_classes": 2, "n_features": 3}
        | {"date": "2026-01-01", "version": "1", "cores": 2, "threads": 1, "load": 0.1}
        for peer, accuracy in accuracies.items()
        for table in tables.TABLES
        for seed in range(seeds)
    ]
    return page.Results(runs, [])


def test_at_least_half_of_the_sets_choose_and_the_others_judge(load):
    tables = load("tables")
    roles = [table.role for table in tables.TABLES]
    assert roles.count(tables.CHOOSE) >= roles.count(tables.JUDGE) == 20
    assert len(roles) == roles.count(tables.CHOOSE) + roles.count(tables.JUDGE)
    assert len({table.name for table in tables.TABLES}) == len(roles)


def test_every_family_has_sets_of_both_roles(load):
    families = {}
    for table in load("tables").TABLES:
        families.setdefault(table.family, set()).add(table.role)
    assert all(roles == {"choose", "judge"} for roles in families.values())


def test_the_sets_are_finite_complete_and_always_the_same(load):
    tables = load("tables")
    for table in tables.TABLES:
        if not table.present or table.family == tables.MNIST:
            continue
        tables.load.cache_clear()
        X, y = tables.load(table)
        tables.load.cache_clear()
        again = tables.load(table)
        assert X.shape[0] == len(y) == table.rows, table.name
        assert np.isfinite(X).all(), table.name
        assert np.unique(y).tolist() == list(range(y.max() + 1)) != [0], table.name
        assert X.dtype == (np.float32 if table.image else np.float64)
        assert np.array_equal(X, again[0]) and np.array_equal(y, again[1])


def test_a_seed_draws_other_rows_but_all_classes(load):
    tables = load("tables")
    iris = tables.TABLES[0]
    one, same, other = (tables.split(iris, seed) for seed in (0, 0, 1))
    assert np.array_equal(one[0], same[0]) and not np.array_equal(one[0], other[0])
    assert len(one[3]) == 38 and set(one[3]) == {0, 1, 2}


def test_mnist_is_tested_on_its_test_rows(load, mnist_home, monkeypatch):
    monkeypatch.setenv("SKMNIST_DATA", str(mnist_home))
    tables = load("tables")
    table = next(t for t in tables.TABLES if t.name == "mnist_1000")
    X, X_test, y, y_test = tables.split(table, 0)
    assert X.shape == (1000, 784) and X_test.shape == (10_000, 784)
    assert np.array_equal(X_test, tables.split(table, 1)[1])
    assert len(np.unique(y)) == 10 and X.max() == 1


def test_runs_give_records_and_are_not_repeated(load, tmp_path, monkeypatch):
    defaults = load("defaults")
    monkeypatch.setattr(defaults, "RESULTS", tmp_path)
    common = ["--sets", "iris", "--seeds", "1"]
    quick = ["--params", '{"epochs": 1, "early_stopping": false}']
    for _ in range(2):
        defaults.main([*common, "--only", "mlp", "--here"])
        out = ["--out", str(tmp_path / "tried.jsonl")]
        defaults.main([*common, "--only", "ours", *quick, *out, "--here"])
    (mlp,) = defaults.records(tmp_path / "mlp.jsonl")
    (ours,) = defaults.records(tmp_path / "tried.jsonl")
    for found in (mlp, ours):
        assert 0 < found["accuracy"] <= 1 and 0 < found["log_loss"] < 16
        assert found["seconds"] > 0 and found["n_train"] == 112
    assert ours["params"] == {"epochs": 1, "early_stopping": False}
    assert not (tmp_path / "ours.jsonl").exists()


def test_each_classifier_gets_a_process_with_its_threads(load, tmp_path):
    defaults = load("defaults")
    path = tmp_path / "all.jsonl"
    options = ["--only", "mlp", "logistic", "--sets", "iris", "--seeds", "1"]
    assert defaults.main([*options, "--threads", "1", "--out", str(path)]) == 0
    found = defaults.records(path)
    assert [one["peer"] for one in found] == ["mlp", "logistic"]
    assert {one["threads"] for one in found} == {1}


def test_tried_settings_never_go_to_the_documentation(load, capsys):
    with pytest.raises(SystemExit):
        load("defaults").main(["--only", "ours", "--params", "{}"])
    assert "--out" in capsys.readouterr().err


def test_the_log_loss_of_a_wrong_certainty_is_finite(load):
    judged = load("defaults").judged
    found = judged([[1.0, 0.0], [np.nan, np.nan]], np.array([1, 0]))
    assert found["log_loss"] == pytest.approx(23 * math.log(2), abs=1e-5)


def test_the_committed_page_is_made_from_the_committed_results(load):
    page = load("defaults_page")
    written = (ROOT / "docs" / "defaults.md").read_text(encoding="utf-8")
    assert written == page.page(page.read())


def test_targets_are_met_or_not(load):
    page = load("defaults_page")
    good = {"ours": 0.99, "ours_scaled": 0.99, "mlp": 0.9, "skorch": 0.8}
    good |= {"realmlp": 0.992}
    verdicts = [met for *_, met in page.targets(results_of(load, good))]
    # Not met: a third of RealMLP's time, its log loss, 3 s, half of the time.
    assert verdicts == [
        *(True, False, True, True, True, True),
        *(False, False, True, False, True),
    ]
    without = {name: good[name] for name in ("mlp", "skorch", "realmlp")}
    found = page.targets(results_of(load, without))
    assert {met for *_, met in found} == {None}


def test_ranks_and_cliques(load):
    page = load("defaults_page")
    results = results_of(load, {"ours": 0.9, "mlp": 0.8, "skorch": 0.8, "boosting": 1})
    ranks, p_value = page.mean_ranks(results)
    assert ranks == {"ours": 1, "mlp": 2.5, "skorch": 2.5} and p_value < 1e-6
    # Demsar 2006, table 5: q is 2.343 for 3 classifiers.
    assert page.critical_difference(3, 20) == pytest.approx(2.343 / 10**0.5, rel=1e-3)
    assert page.cliques(ranks, 0.5) == [["mlp", "skorch"]]
    assert page.cliques(ranks, 2) == [["ours", "mlp", "skorch"]]
    assert page.cliques({"a": 1, "b": 1.5, "c": 2}, 0.6) == [["a", "b"], ["b", "c"]]


def test_the_page_names_winners_missing_fits_and_repeated_seconds(load, tmp_path):
    page = load("defaults_page")
    runs = results_of(load, {"ours": 0.9, "mlp": 0.91, "skorch": 0.5}, 4).runs
    timing = {**runs[0], "seconds": 1.25}
    results = page.Results(runs, [timing])
    text = page.page(results)
    assert "- moons_700: MLPClassifier (+1.00)" in text
    assert "90.00 (4)" in text and "| 1.25 |" in text
    assert "- RealMLP-TD-S: all" in text and "- KerasMLPClassifier: iris, wine" in text
    page.plot(results, tmp_path / "ranks.svg")
    assert (tmp_path / "ranks.svg").stat().st_size > 1000


def test_a_tried_setting_is_compared_on_the_fits_that_both_have(load):
    def fit(name, seed, accuracy, params):
        run = {"set": name, "seed": seed, "params": params}
        return run | {"accuracy": accuracy, "log_loss": 1 - accuracy}

    first, second = {"dropout": 0.1}, {"dropout": 0.2}
    runs = [fit("a", 0, 0.5, first), fit("b", 0, 0.7, first), fit("b", 1, 0.9, first)]
    runs += [fit("a", 0, 0.6, second), fit("b", 0, 0.9, second), fit("c", 0, 0, second)]
    table = load("defaults_page").tried_table([runs])
    # (0.1 + 0.2) / 2 is 15 points; the fit of "c" has no counterpart.
    assert "| `{'dropout': 0.2}` | 2 | +15.00 | -0.150 |" in table
    assert "| `{'dropout': 0.1}` | 3 | reference |  |" in table
