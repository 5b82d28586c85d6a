"""The page about ways of searching: its methods, its page, and when there is none."""

# SPDX-License-Identifier: BSD-3-Clause

import functools
import importlib.util
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from skmnist import compare

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "search_methods.py"
PAGE = ROOT / "docs" / "search_methods.md"


@pytest.fixture(scope="module")
def modules():
    """The script and the page's generator, as they find each other when they run."""
    loaded = {}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("search_methods", "search_methods_page"):
            path = SCRIPT.with_name(f"{name}.py")
            spec = importlib.util.spec_from_file_location(name, path)
            loaded[name] = importlib.util.module_from_spec(spec)
            patch.setitem(sys.modules, name, loaded[name])
            spec.loader.exec_module(loaded[name])
    return loaded


@pytest.fixture(scope="module")
def script(modules):
    return modules["search_methods"]


@pytest.fixture(scope="module")
def pages(modules):
    return modules["search_methods_page"]


def test_there_is_a_page_in_the_list_only_if_there_are_runs(script, pages):
    listed = "search_methods" in (ROOT / "docs" / "results.md").read_text().split()
    there = bool(script.read_runs(script.RESULTS))
    assert PAGE.exists() == listed == there
    if there:
        assert PAGE.read_text() == pages.page(pages.Results(script.RESULTS))


METHODS = {"staged", "staged_race", "grid", "randomized", "halving", "tpe"}


class Clock:
    now = 0


class Ticking(ClassifierMixin, BaseEstimator):
    """A classifier whose fits take a second, and are better with more units."""

    def __init__(
        self,
        depth=1,
        widths=64,
        learning_rate=0.001,
        batch_size=32,
        dropout=0.0,
        weight_decay=0.0,
        epochs=9,
        random_state=0,
    ):
        self.depth, self.widths, self.learning_rate = depth, widths, learning_rate
        self.batch_size, self.dropout = batch_size, dropout
        self.weight_decay, self.epochs = weight_decay, epochs
        self.random_state = random_state

    def fit(self, X, y):
        Clock.now += 1
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        share = 0.5 + self.depth * self.widths / 4000 + self.epochs / 100
        right = np.random.default_rng(self.random_state).random(len(X)) < share
        return np.where(right, X[:, 0], 1 - X[:, 0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("method", sorted(METHODS))
def test_each_method_searches_the_space_until_the_time_is_up(script, method):
    pytest.importorskip("optuna")
    y = np.arange(500) % 2
    search = script.Search(Ticking(epochs=script.EPOCHS), y[:, None], y, seed=0)
    recorder = script.Recorder(40, clock=lambda: Clock.now)
    # The stages are done before that; all other methods go on for ever.
    try:
        script.METHODS[method](search, recorder, seed=0)
    except script.TimeIsUp:
        assert recorder.n_fits == 40
    else:
        assert method == "staged" and recorder.n_fits <= 40
    times = [one["elapsed"] for one in recorder.incumbents]
    assert times == sorted(times) and times[0] >= 1 and times[-1] <= 40
    for one in recorder.incumbents:
        assert one["params"].keys() == script.SPACE.keys()
        assert all(v in script.SPACE[n] for n, v in one["params"].items())
    first, last = (recorder.incumbents[i]["params"] for i in (0, -1))
    assert last["depth"] * last["widths"] >= first["depth"] * first["widths"]


def params(script, epochs=9, **chosen):
    return {**script.MIDDLE, **chosen, "epochs": epochs}


def test_the_choice_has_the_most_epochs_then_replicates_then_the_best_mean(script):
    times = iter(range(100))
    recorder = script.Recorder(100, clock=lambda: next(times))
    for chosen, epochs, score in (
        (64, 1, 0.9),  # the first one
        (128, 1, 0.8),  # worse
        (256, 3, 0.7),  # trained for longer
        (512, 3, 0.75),  # better
        (256, 3, 0.6),  # two replicates
    ):
        recorder.add(params(script, epochs, widths=chosen), score)
    chosen = [one["params"]["widths"] for one in recorder.incumbents]
    assert chosen == [64, 256, 512, 256]
    assert [one["elapsed"] for one in recorder.incumbents] == [1, 3, 4, 5]


def test_a_fit_that_ends_too_late_does_not_count(script):
    times = iter([0, 5, 11])
    recorder = script.Recorder(10, clock=lambda: next(times))
    recorder.add(params(script), 0.5)
    with pytest.raises(script.TimeIsUp):
        recorder.add(params(script, widths=64), 0.9)
    assert (recorder.n_fits, len(recorder.incumbents)) == (1, 1)


def test_after_a_stage_only_stages_choose(script):
    recorder = script.Recorder(10, clock=lambda: 0)
    recorder.add(params(script), 0.5)
    recorder.stages_end = True
    recorder.choose(params(script, widths=128))
    recorder.add(params(script, widths=64), 0.9)
    assert [one["params"]["widths"] for one in recorder.incumbents] == [256, 128]


def test_all_methods_are_tested(script):
    assert set(script.METHODS) == METHODS


def test_the_grid_is_part_of_the_space(script):
    assert script.GRID.keys() == script.MIDDLE.keys() == script.SPACE.keys()
    for name, values in script.SPACE.items():
        assert {*script.GRID[name], script.MIDDLE[name]} <= {*values}
    searched = [name for _, tried in script.STAGES for name in tried]
    assert sorted(searched) == sorted(script.SPACE)


def test_each_seed_begins_with_another_method(script):
    runs = script.planned(3, ["a", "b"])
    assert runs == [("a", 0), ("b", 0), ("b", 1), ("a", 1), ("a", 2), ("b", 2)]


@pytest.fixture
def results(script, pages, tmp_path):
    """Made-up runs of three seeds: TPE is the best, as good as halving."""
    setup = {**script.FULL, "seconds": 10.0}
    about = {**script.describe(setup), "n_test": 1000}
    (tmp_path / script.ABOUT).write_text(json.dumps(about))
    lines = []
    for method, share in (("halving", 0.97), ("tpe", 0.971), ("grid", 0.9)):
        for seed in range(3):
            draws = np.random.default_rng([seed, round(1000 * share)]).random(1000)
            misread = np.flatnonzero(draws > share).tolist()
            last = 1 - len(misread) / 1000
            made = [
                {"elapsed": 1.0 + seed, "params": {}, "test": [0.5]},
                {"elapsed": 6.0, "params": {}, "test": [last, last]},
            ]
            run = {"method": method, "seed": seed, "n_fits": 7, "incumbents": made}
            lines.append(json.dumps({**run, "misread": misread}) + "\n")
    (tmp_path / script.RUNS).write_text("".join(lines) + '{"method": "gr')
    return pages.Results(tmp_path)


def test_the_winner_is_judged_over_seeds_and_rows(pages, results):
    found = pages.comparisons(results)
    raw = compare(results.right("tpe"), results.right("grid"))
    assert found["grid"][0] == raw
    assert found["grid"][1] == pytest.approx(2 * raw.p_value)
    mean = 100 * results.final("tpe").mean()
    assert pages.verdict(results) == (
        f"**Optuna's TPE ends with the highest accuracy, {mean:.2f} %.** By more than "
        "chance it is better than grid. It is tied with halving: with other seeds, "
        "another of these may be the first."
    )
    table = pages.results_table(results)
    assert [row[0] for row in table.rows] == ["Optuna's TPE", "halving", "grid"]
    assert table.rows[0][-1] == "" and table.rows[2][-1] == "< 0.001"


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ("grid", "Neither difference is more than chance."),
        ("tpe", "So the way of searching makes a difference."),
    ],
)
def test_the_question_of_the_report_is_answered(pages, results, stages, said):
    assert pages.answer(results) == ""
    for seed in range(3):
        results.runs["staged", seed] = results.runs[stages, seed]
        results.runs["randomized", seed] = results.runs["grid", seed]
    points = 100 * (results.final("grid") - results.final("staged")).mean()
    answer = pages.answer(results)
    assert f"`GridSearchCV` ends {abs(points):.2f} points below the stages" in answer
    assert answer.endswith(said)


def test_a_line_begins_when_all_seeds_have_a_candidate(pages, results):
    times, means = results.curve("grid")
    assert times == [3.0, 6.0]
    assert means == [0.5, pytest.approx(results.final("grid").mean())]


def test_a_small_run_says_so(pages, results):
    page = pages.page(results)
    assert "**This is a small run**: 10 seconds, 3 seeds, nothing of staged" in page
    assert "planned are 60 seconds, 2,000 rows and 5 seeds of all methods" in page
    assert "same time: 10 seconds on 2,000 training rows of MNIST, 3 seeds." in page
    results.about.update(seconds=60.0)
    results.runs = {
        (method, seed): results.runs["tpe", seed % 3]
        for method in (*pages.METHODS, pages.UNTUNED)
        for seed in range(5)
    }
    assert "small run" not in pages.page(results)


def test_the_plot_is_the_same_for_the_same_results(pages, results, tmp_path):
    drawn = []
    for name in ("one.svg", "other.svg"):
        pages.plot(results, tmp_path / name)
        drawn.append((tmp_path / name).read_bytes())
    assert drawn[0] == drawn[1]
    assert b"<svg" in drawn[0]


def test_the_page_is_listed_once(pages, tmp_path):
    index = tmp_path / "results.md"
    index.write_text((ROOT / "docs" / "results.md").read_text())
    pages.link(index)
    once = index.read_text()
    assert once.split().count("search_methods") == 1
    pages.link(index)
    assert index.read_text() == once


def test_without_runs_there_is_no_page(pages, tmp_path, monkeypatch):
    command = ["search_methods_page.py", "--results", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match="has no runs"):
        pages.main()
    assert list(tmp_path.iterdir()) == []


def test_runs_of_other_times_are_not_mixed(script, tmp_path):
    (tmp_path / script.ABOUT).write_text("{}")
    with pytest.raises(SystemExit, match="runs of other data, times or versions"):
        script.run_missing(tmp_path, 1, ["grid"], script.FULL)


# By a clock that counts fits: the third one comes too late.
@pytest.mark.long
def test_real_networks_are_searched_by_each_method(
    script, pages, tmp_path, monkeypatch
):
    pytest.importorskip("optuna")
    # Its fits do not take the seconds of the clock.
    monkeypatch.setattr(script, "time_budget", lambda recorder: None)
    few = {**script.QUICK, "seconds": 2, "n_train": 300}
    about, recorder, lines = script.describe(few), script.Recorder, []
    for method in (*script.METHODS, script.UNTUNED):
        clock = functools.partial(next, itertools.count())
        counting = functools.partial(recorder, clock=clock)
        monkeypatch.setattr(script, "Recorder", counting)
        run = script.run_one(method, 0, **few)
        assert run["n_fits"] == (0 if method == script.UNTUNED else 2), method
        last = run["incumbents"][-1]["test"][0]
        assert len(run["misread"]) / about["n_test"] == pytest.approx(1 - last), method
        lines.append(json.dumps(run) + "\n")
    (tmp_path / script.ABOUT).write_text(json.dumps(about))
    (tmp_path / script.RUNS).write_text("".join(lines))
    command = ["search_methods_page.py", "--results", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", command)
    pages.main()
    page = (tmp_path / "search_methods.md").read_text().replace("*", "")
    assert "This is a small run" in page
    assert all(f"| {name} | 1 |" in page for name in pages.NAMES.values())
    assert (tmp_path / "search-methods.svg").exists()


@pytest.mark.long
def test_a_quick_version_runs_and_goes_on_where_it_was(script, tmp_path):
    command = [sys.executable, SCRIPT, "--quick", "--results", tmp_path]
    command += ["--only", "untuned"]
    for number in (0, 1):
        options = ["--seeds", str(number + 1)]
        made = subprocess.run([*command, *options], capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        assert made.stdout.count("\n") == 1
        assert made.stdout.startswith(f"untuned, seed {number}: ")
    assert set(script.read_runs(tmp_path)) == {("untuned", 0), ("untuned", 1)}
