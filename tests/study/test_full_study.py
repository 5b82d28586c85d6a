"""The default study: its stages, its judges, its time, and its races on the page."""

import json
import math
import time
from dataclasses import replace

import numpy as np
import pytest

from skmnist import KerasMLPClassifier, Stage
from skmnist.model_selection._stage import candidates_of
from skmnist.reporting import to_markdown
from skmnist.study import PRESETS, StudyConfig, read_study, run_study, study_status
from skmnist.study._budget import StudyClock, longest_won
from skmnist.study._judging import Judging, race_splits, some_rows
from skmnist.study._status import describe_status
from skmnist.study._trials import read_trials
from skmnist.study.presets._full_study import (
    SHALLOW,
    full_base_params,
    full_stages,
    rates,
    scaled_up,
)
from skmnist.study.presets._presets import stages_for
from skmnist.study.presets._source_experiment import report_stages

SMALL, LARGE = Judging.of(1347), Judging.of(60_000)


def test_it_begins_with_the_reports_stages_in_their_order():
    names = [stage.name for stage in full_stages()]
    assert names[:8] == [stage.name for stage in report_stages()]
    learning = ["learning_rate", "regularization", "augmentation"]
    assert names[8:] == [*learning, "normalization", "duration"]
    assert "augmentation" not in [s.name for s in stages_for("full", 30)]
    assert StudyConfig().preset == "full"


@pytest.mark.parametrize("judging", [SMALL, LARGE], ids=["small", "large"])
def test_every_candidate_is_allowed_after_any_choice(judging):
    chosen = KerasMLPClassifier(**full_base_params(judging)).get_params()
    generator = np.random.RandomState(0)
    for stage in full_stages(sampled=judging.samples):
        candidates, _ = candidates_of(stage, chosen, generator)
        assert len(candidates) > 1
        for candidate in candidates:
            KerasMLPClassifier(**{**chosen, **candidate})._validate_params()
        chosen = {**chosen, **candidates[-1]}


@pytest.mark.parametrize(("judging", "keeps"), [(SMALL, False), (LARGE, True)])
def test_ties_stay_with_the_incumbent_where_candidates_train_on_a_part(judging, keeps):
    races = [stage.race for stage in stages_for("full", 784, judging=judging)]
    races = [judging.race, *(race for race in races if race is not None)]
    assert len(races) > 3
    assert {"incumbent" in race.ties for race in races} == {keeps}


def test_no_stage_tries_higher_rates_where_candidates_train_on_a_part():
    chosen = KerasMLPClassifier(**full_base_params(LARGE)).get_params()
    for stage in stages_for("full", 784, judging=LARGE)[8:]:
        candidates, _ = candidates_of(stage, chosen, np.random.RandomState(0))
        found = [one.get("learning_rate", 0) for one in candidates]
        assert max(found) <= chosen["learning_rate"]
    assert max(rates(chosen)[0]["learning_rate"]) == 2 * chosen["learning_rate"]


def test_it_starts_from_the_classifiers_defaults_with_a_third_of_the_epochs():
    from skmnist.neural_network._spec import with_numbers

    plain = with_numbers(KerasMLPClassifier().get_params(), SMALL.n_train)
    base = full_base_params(SMALL)
    own = {"epochs", "depth", "early_stopping", "monitor", "patience", "min_train_loss"}
    assert {n: base[n] for n in base if n not in own} == {
        n: plain[n] for n in base if n not in own
    }
    assert base["epochs"] == pytest.approx(plain["epochs"] / 3, rel=0.1)
    assert full_base_params(SMALL, epochs=2)["epochs"] == 2


def test_few_rows_judge_in_turn_and_many_once():
    assert (SMALL.n_folds, LARGE.n_folds) == (5, None)
    y = np.arange(1347) % 10
    folds = race_splits(SMALL, y, seed=0)
    assert len(folds) == 5
    assert sum(len(test) for _, test in folds[:4]) == pytest.approx(1078, abs=2)
    y = np.arange(60_000) % 10
    ((train, test),) = race_splits(LARGE, y, seed=0)
    assert (len(train), len(test)) == (8_000, 10_000)
    assert not set(train) & set(test)
    assert np.bincount(y[train]).min() == pytest.approx(800, abs=2)
    ((train, test),) = race_splits(Judging.of(90, 10), y[:100], 0, n_test=10)
    assert (train.tolist(), test.tolist()) == (list(range(90)), list(range(90, 100)))


def test_rare_classes_are_among_a_part_of_the_rows():
    y = np.r_[np.zeros(9_000), np.ones(2), np.full(998, 2)]
    rows = some_rows(y, 100, seed=1)
    assert set(y[rows]) == {0, 1, 2} and len(rows) <= 103
    assert np.array_equal(rows, some_rows(y, 100, seed=1))
    assert not np.array_equal(rows, some_rows(y, 100, seed=2))


def test_the_final_network_grows_with_its_rows():
    best = {"widths": (300, 200), "learning_rate": 0.004, "epochs": 126}
    best |= {"batch_size": 64}
    large = scaled_up(best, LARGE)
    assert large["widths"] == (600, 400)
    # "auto" is 128 rows for a candidate, and 256 for the final network.
    assert large["batch_size"] == 128
    assert large["learning_rate"] == pytest.approx(0.002 * math.sqrt(2))
    assert large["epochs"] == round(126 * math.sqrt(8 / 60))
    assert scaled_up(best, SMALL) == best


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        (256, 512),
        (128, 256),
        (512, 512),
        (400, 512),
        (640, 640),
        ((600, 424), (600, 424)),
    ],
)
def test_layers_that_the_search_has_made_wide_stay_so(widths, expected):
    best = {"widths": widths, "learning_rate": 0.004, "epochs": 8, "batch_size": 64}
    large = scaled_up(best, LARGE)
    assert large["widths"] == expected
    times = np.mean(expected) / np.mean(widths)
    assert large["learning_rate"] == pytest.approx(0.004 * math.sqrt(2) / times)


def clock(seconds, spent):
    return StudyClock(seconds, time.perf_counter() - spent)


@pytest.mark.parametrize(
    ("seconds", "spent", "each", "more", "expected"),
    [
        (None, 500, 1.0, True, 40),
        (480, 300, 1.0, False, 40),  # enough time
        (480, 350, 1.0, True, 110),  # time for more: (0.97 * 480 - 350) / 1.05
        (480, 300, 0.1, True, 160),  # at most four times as many
        (480, 430, 1.0, True, 33),  # less time
        (480, 600, 1.0, True, 20),  # none: half as many, and the study ends late
    ],
)
def test_the_final_network_takes_the_time_that_is_left(
    seconds, spent, each, more, expected
):
    found = clock(seconds, spent).final_epochs(40, each, more=more)
    assert found == pytest.approx(expected, abs=1)


def test_distorted_pictures_are_trained_on_for_longer_than_a_sample_can_show():
    long = {"more": True, "distorted": True}
    assert clock(10_000, 300).final_epochs(10, 1.0, **long) == 40
    many = StudyClock(10_000, time.perf_counter() - 300, more_rows=True)
    assert many.final_epochs(10, 1.0, **long) == 120
    assert many.final_epochs(10, 1.0, more=True) == 40
    assert many.final_epochs(10, 1.0, more=False, distorted=True) == 10


def test_a_search_leaves_a_part_of_the_time():
    assert clock(100, 10).of_search == pytest.approx(75, abs=0.1)
    many = StudyClock(100, time.perf_counter(), more_rows=True)
    assert many.of_search == pytest.approx(40, abs=0.1)
    pictures = StudyClock(100, time.perf_counter(), pictures=True)
    assert pictures.of_search == pytest.approx(78, abs=0.1)
    assert 0 < clock(100, 90).of_search < 1
    assert clock(None, 10).of_search is None
    tried = [{"epochs": 2}, {"epochs": 4}]
    assert longest_won({"epochs": 4}, tried) and not longest_won({"epochs": 2}, tried)
    assert not longest_won({"epochs": 4}, tried[1:])


def test_a_study_that_goes_on_keeps_the_epochs_of_its_candidates(monkeypatch, tmp_path):
    monkeypatch.setitem(PRESETS, "full", few_stages)
    config = StudyConfig(npz(tmp_path), epochs=4, time_budget=1e-3)
    for wanted in (3, 2):  # the second run finds a slower machine
        monkeypatch.setattr(
            "skmnist.study._run.affordable_epochs", lambda *_, n=wanted: n
        )
        with pytest.raises(TimeoutError):
            run_study(config, tmp_path / "study")
        assert read_study(tmp_path / "study").header.candidate_epochs == 3


def few_stages():
    """Three of the stages, small."""
    shapes = {"depth": [1, 2], "widths": [4, 8], "learning_rate": [0.01]}
    by_name = {stage.name: stage for stage in full_stages()}
    return [
        Stage("depth_width", shapes, grow="depth", max_grow=1, race=SHALLOW),
        replace(by_name["augmentation"], params={"augmentation": ["affine"]}),
        replace(by_name["duration"], params={"epochs": [1, 3]}),
    ]


def npz(tmp_path):
    generator = np.random.default_rng(0)
    y = np.arange(240) % 2
    X = generator.normal(size=(240, 16)) + y[:, None]
    pictures = X.reshape(-1, 4, 4).astype(np.float32)
    np.savez(tmp_path / "data.npz", X=pictures, y=y)
    return str(tmp_path / "data.npz")


@pytest.fixture(scope="module")
def raced(tmp_path_factory):
    """A study of three stages that raced, the same once more, and its folder."""
    folder = tmp_path_factory.mktemp("full")
    patched = pytest.MonkeyPatch()
    patched.setitem(PRESETS, "full", few_stages)
    try:
        config = StudyConfig(npz(folder), epochs=1)
        study = run_study(config, folder / "study")
        again = run_study(config, folder / "study")
    finally:
        patched.undo()
    return study, again, folder / "study"


def test_a_study_that_raced_is_read_as_it_was_and_goes_on_to_the_same(raced):
    study, again, folder = raced
    # As text: there is no validation accuracy, and a NaN is not equal to itself.
    assert repr(read_study(folder)) == repr(again)
    assert repr(again.rows) == repr(study.rows) and again.stages == study.stages
    # A trial is a fit on a replicate; each is written once.
    trials = read_trials(folder / "trials.jsonl")
    assert len({(t.stage, t.candidate, t.split) for t in trials}) == len(trials)
    assert study.summary.n_fits == len(trials) + 1
    assert study.header.n_judging == SMALL.of(200).n_judging == 160


def test_its_rows_tell_which_candidate_left_when(raced):
    study, _, folder = raced
    trials = read_trials(folder / "trials.jsonl")
    for number, row in enumerate(study.rows):
        own = [t for t in trials if t.candidate == number]
        chose = [t.scores["accuracy"] for t in own if t.split < t.max_replicates]
        assert row.replicates == len(chose)
        assert row.accuracy == pytest.approx(np.mean(chose))
        assert (row.race == "won") == row.winner == (row.fresh_accuracy is not None)
        assert (row.p_value is None) == row.winner
    page = to_markdown(study)
    assert "| replicates | race | fresh accuracy |" in page
    assert "raced: all were fitted on one replicate" in page
    assert "Candidates trained on 160 samples, the final model on all 200." in page


def test_the_final_network_trains_on_all_rows(raced):
    study, _, folder = raced
    model = KerasMLPClassifier.load(folder / "model.skmnist")
    assert model.t_ == 200 * study.summary.final.n_iter
    assert model.learning_rate_schedule == "cosine"


@pytest.mark.parametrize(
    ("n_trials", "said"),
    [
        (5, "4 of 4 candidates stand, replicate 2 of at most 8; 5 fits are done"),
        (16, "4 of 4 candidates stand, replicate 4 of at most 8; 16 fits are done"),
    ],
)
def test_status_says_how_many_stand(raced, tmp_path, n_trials, said):
    _, _, folder = raced
    lines = (folder / "trials.jsonl").read_text().splitlines(keepends=True)
    # One replicate after another, as many workers finish them.
    lines = sorted(lines[:16], key=lambda line: json.loads(line)["split"])
    moments = [f"2026-01-01T00:00:{i:02d}+00:00" for i in range(len(lines))]
    plain = [
        {**json.loads(line), "finished": moment}
        for line, moment in zip(lines, moments, strict=True)
    ]
    for name in ("study.json",):
        (tmp_path / name).write_text((folder / name).read_text())
    text = "".join(json.dumps(one) + "\n" for one in plain[:n_trials])
    (tmp_path / "trials.jsonl").write_text(text)
    status = study_status(tmp_path)
    assert said in describe_status(status)
    # One fit a second: the others of this replicate, and four for each of the rest.
    assert status.current.seconds_left == 8 * 4 - n_trials
    assert "at most" in describe_status(status)


def test_a_budget_too_short_for_a_race_is_one_line_and_keeps_the_fits(
    monkeypatch, tmp_path
):
    monkeypatch.setitem(PRESETS, "full", few_stages)
    config = StudyConfig(npz(tmp_path), epochs=4, time_budget=1e-3)
    with pytest.raises(TimeoutError) as caught:
        run_study(config, tmp_path / "study")
    # Its candidates would have trained for as few epochs as are allowed, a quarter.
    assert read_study(tmp_path / "study").header.candidate_epochs == 1
    message = str(caught.value)
    assert message.startswith(
        "time_budget of 0.001 s is too short for the first race: "
    )
    assert "\n" not in message
    assert read_study(tmp_path / "study").stages == []
