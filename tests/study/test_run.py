"""A study and its folder: what is written, read back, and refused."""

import json
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from processes import leave_half_a_file
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedShuffleSplit

from skmnist import (
    KerasMLPClassifier,
    Stage,
    best_score,
    load_digits_28x28,
    mcnemar_test,
)
from skmnist.datasets import DataError
from skmnist.neural_network import _training
from skmnist.neural_network._spec import advice_on_epochs
from skmnist.reporting._text import describe_final
from skmnist.study import PRESETS
from skmnist.study._artifacts import FitCurve, InspectedFit
from skmnist.study._baselines import FILE as BASELINES, NO_TIME, NOT_WANTED
from skmnist.study._columns import Candidate, read_csv, write_csv
from skmnist.study._config import StudyConfig
from skmnist.study._judging import JUDGING_PART
from skmnist.study._run import (
    _short_trainings,
    pin_threads,
    run_study,
    with_significance,
)
from skmnist.study._storage import (
    StudyFolderError,
    claim_folder,
    fresh_folder,
    hold_folder,
    holder,
    read_study,
)
from skmnist.study._trials import FILE, read_trials


def tiny_stages():
    """Return two stages of two small candidates each."""
    return [
        Stage("width", {"widths": [16, (16, 8)]}, rule=best_score),
        Stage("batch", {"batch_size": [64, 128]}, rule=best_score),
    ]


@pytest.fixture(scope="module", autouse=True)
def tiny_preset():
    PRESETS["tiny"] = tiny_stages
    yield
    del PRESETS["tiny"]


@pytest.fixture(scope="module")
def config():
    return StudyConfig(
        dataset="digits", preset="tiny", epochs=3, seed=1, baselines=False
    )


@pytest.fixture(scope="module")
def finished(config, tiny_preset, tmp_path_factory):
    out = tmp_path_factory.mktemp("studies") / "study"
    return out, run_study(config, out)


def test_folder_holds_what_the_readme_says(finished):
    out, _ = finished
    assert {path.name for path in out.iterdir()} == {
        ".lock",
        "curves.json",
        "model.skmnist",
        "predictions.npz",
        "skmnist-fits",
        "results.csv",
        "stages.json",
        "study.json",
        "summary.json",
        "trials.jsonl",
    }


def test_study_read_back_equals_the_one_written(finished):
    out, study = finished
    assert read_study(out) == study


def test_header_records_configuration_data_versions_and_threads(finished, config):
    header = json.loads((finished[0] / "study.json").read_text())
    assert header["config"]["seed"] == config.seed
    assert header["data"]["fingerprint"] == load_digits_28x28().fingerprint
    assert header["versions"]["scikit-learn"].startswith("1.")
    assert header["threads_per_fit"] >= 1
    assert not header["optimistic"]


def test_rows_have_one_winner_a_stage(finished):
    rows = finished[1].rows
    for stage in ("width", "batch"):
        assert sum(row.winner for row in rows if row.stage == stage) == 1


def test_gap_is_validation_minus_judged_accuracy(finished):
    for row in finished[1].rows:
        assert row.gap == row.validation_accuracy - row.accuracy


def test_rows_have_the_significance_of_what_the_kept_fits_predict(finished, config):
    # The fits are trained again here, by hand, on the study's own split.
    out, study = finished
    digits = load_digits_28x28()
    X, y = digits.data[digits.train], digits.target[digits.train]
    split = StratifiedShuffleSplit(1, test_size=JUDGING_PART, random_state=config.seed)
    train, judging = next(split.split(X, y))
    rows = [row for row in study.rows if row.stage == "batch"]
    right = []
    for row in rows:
        network = KerasMLPClassifier(
            **{**row.params, "early_stopping": True}, random_state=config.seed
        )
        right.append(network.fit(X[train], y[train]).predict(X[judging]) == y[judging])
    assert [np.mean(one) for one in right] == [row.accuracy for row in rows]
    winner = [row.winner for row in rows].index(True)
    (other,) = {0, 1} - {winner}
    assert rows[winner].p_value is None
    found = mcnemar_test(right[other], right[winner])
    assert rows[other].p_value == found.p_value
    accuracy = rows[other].accuracy
    error = np.sqrt(accuracy * (1 - accuracy) / len(judging))
    assert rows[other].standard_error == pytest.approx(error)


def test_a_failed_candidate_has_no_significance():
    nan = float("nan")
    measured = dict.fromkeys(
        ("validation_accuracy", "n_iter", "best_iter", "seconds", "n_parameters"), nan
    )
    rows = [
        Candidate(
            dataset="digits",
            stage="width",
            params={},
            accuracy=accuracy,
            gap=nan,
            winner=accuracy == 0.5,
            incumbent=False,
            **measured,
        )
        for accuracy in (0.5, nan)
    ]
    curve = FitCurve(loss=[1.0], best_iter=1, stop_reason="over")
    inspected = [InspectedFit(np.array([True, False]), curve), None]
    rows = with_significance(rows, inspected)
    assert rows[1].p_value is rows[1].standard_error is None


def test_saved_model_has_the_accuracy_of_the_summary(finished):
    out, study = finished
    model = KerasMLPClassifier.load(out / "model.skmnist")
    digits = load_digits_28x28()
    accuracy = model.score(digits.data[digits.test], digits.target[digits.test])
    assert accuracy == study.summary.final.test_accuracy


def test_final_model_has_the_best_parameters(finished):
    out, study = finished
    params = KerasMLPClassifier.load(out / "model.skmnist").get_params()
    for name, value in study.summary.best_params.items():
        assert params[name] == (tuple(value) if isinstance(value, list) else value)


def test_the_table_has_the_number_of_layers_in_place_of_auto(tmp_path, monkeypatch):
    shapes = {"depth": ["auto"], "widths": [(8,), (8, 6, 4)]}
    stages = [Stage("shape", shapes), Stage("batch_size", {"batch_size": [64]})]
    monkeypatch.setitem(PRESETS, "shapes", lambda: stages)
    config = StudyConfig(dataset="digits", preset="shapes", epochs=1, baselines=False)
    run_study(config, tmp_path / "s")
    study = read_study(tmp_path / "s")
    depths = [row.params["depth"] for row in study.rows]
    assert depths[:2] == [1, 3] and set(depths[2:]) < {1, 3}
    for row in study.rows:
        assert len(np.atleast_1d(row.params["widths"])) == row.params["depth"]


def test_number_of_fits_counts_the_final_one(finished):
    _, study = finished
    assert study.summary.n_fits == len(study.rows) + 1


def test_holdout_never_shows_the_test_set_to_the_search(config, tmp_path, monkeypatch):
    # If the test rows were seen by the search, changing them would change it.
    first = run_study(config, tmp_path / "a")
    digits = load_digits_28x28()
    digits.data[digits.test] = 0.0
    monkeypatch.setattr(
        "skmnist.study._run.load_dataset",
        lambda *_: type(digits)(**digits, name="digits", note=""),
    )
    second = run_study(config, tmp_path / "b")
    accuracies = [[row.accuracy for row in s.rows] for s in (first, second)]
    assert accuracies[0] == accuracies[1]
    final = [s.summary.final.test_accuracy for s in (first, second)]
    assert final[0] != final[1]


def test_report_protocol_judges_by_the_test_set(tmp_path):
    judged = {"protocol": "report", "baselines": False}
    config = StudyConfig(dataset="digits", preset="tiny", epochs=3, **judged)
    study = run_study(config, tmp_path / "study")
    # The last stage's winner is trained on the training data and judged by the
    # test data with the same seed, and so is the final model.
    winner = next(row for row in study.rows[::-1] if row.winner)
    assert winner.accuracy == study.summary.final.test_accuracy
    assert study.header.optimistic


def test_the_same_study_goes_on_and_trains_nothing_twice(finished, config, monkeypatch):
    out, study = finished

    def train(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr("skmnist.neural_network._training._run_epochs", train)
    again = run_study(config, out)
    assert again.rows == study.rows
    assert again.stages == study.stages
    assert replace(again.summary, seconds=0) == replace(study.summary, seconds=0)


class Stopped(BaseException):
    """Somebody pulls the plug: no failure of a fit that a search could score."""


@pytest.mark.parametrize("n_fits", [1, 3])  # in the first stage, in the second
def test_a_study_that_was_stopped_ends_as_one_that_was_not(
    finished, config, tmp_path, monkeypatch, n_fits
):
    train, n_trained = _training._run_epochs, []

    def train_some(*args, **kwargs):
        if len(n_trained) == n_fits:
            raise Stopped
        n_trained.append(1)
        return train(*args, **kwargs)

    def train_counted(*args, **kwargs):
        n_trained.append(1)
        return train(*args, **kwargs)

    monkeypatch.setattr(_training, "_run_epochs", train_some)
    with pytest.raises(Stopped):
        run_study(config, tmp_path / "study")
    monkeypatch.setattr(_training, "_run_epochs", train_counted)
    resumed = run_study(config, tmp_path / "study")
    assert [replace(row, seconds=0) for row in resumed.rows] == [
        replace(row, seconds=0) for row in finished[1].rows
    ]
    # The second stage has the first one's winner in it, which is not trained again.
    assert len(list((finished[0] / "skmnist-fits").rglob("*.*"))) == 4
    # A fit that ran beside the one that was stopped may have been given up.
    assert len(n_trained) in (4, 5)


def test_a_study_out_of_time_ends_with_the_stages_done(config, tmp_path, monkeypatch):
    def time_is_over(stage, rows):
        late = SimpleNamespace(time=lambda: float("inf"))
        monkeypatch.setattr("skmnist.model_selection._evaluation.time", late)

    timed = replace(config, time_budget=1000.0, baselines=True)
    with pytest.warns(ConvergenceWarning, match="0 of 2 fits are done in stage"):
        study = run_study(timed, tmp_path / "study", on_stage=time_is_over)
    assert study.summary.not_tried == ["batch"]
    assert [stage.name for stage in study.stages] == ["width"]
    assert describe_final(study.summary).endswith("not tried for want of time: batch")
    assert (study.summary.verdict.left_out, study.summary.verdict.baselines) == (
        NO_TIME,
        [],
    )
    # With more time the same study goes on.
    monkeypatch.undo()
    timed = replace(config, time_budget=2000.0)
    whole = run_study(timed, tmp_path / "study")
    assert whole.summary.not_tried == []
    assert len(whole.stages) == 2


def test_a_study_that_goes_on_fits_no_baseline_twice(
    finished, config, tmp_path, small_baselines
):
    out = shutil.copytree(finished[0], tmp_path / "study")
    judged, fitted = replace(config, baselines=True), []
    before = finished[1].summary.verdict
    assert (before.baselines, before.left_out) == ([], NOT_WANTED)
    first = run_study(judged, out, on_baseline=fitted.append).summary
    again = run_study(judged, out, on_baseline=fitted.append).summary
    assert fitted == ["KerasMLPClassifier()", "MLPClassifier()"]
    assert again.verdict == first.verdict == read_study(out).summary.verdict
    # The difference is that of the accuracies on the same test rows.
    for one in first.verdict.baselines:
        gain = first.final.test_accuracy - one.test_accuracy
        assert one.gain == pytest.approx(gain)
    assert replace(first, seconds=0, verdict=before) == replace(
        finished[1].summary, seconds=0
    )


def test_the_baselines_are_fitted_before_the_final_network(
    config, tmp_path, small_baselines
):
    judged, there = replace(config, baselines=True), []
    out = tmp_path / "study"

    def on_baseline(name):
        there.append((out / "model.skmnist").exists())

    run_study(judged, out, on_baseline=on_baseline)
    assert there == [False, False] and (out / "model.skmnist").exists()


def test_a_damaged_file_of_baselines_is_an_error_before_the_search(
    finished, config, tmp_path
):
    out = shutil.copytree(finished[0], tmp_path / "study")
    (out / BASELINES).write_text("[]")
    with pytest.raises(StudyFolderError, match=f"{BASELINES}: the content is"):
        run_study(config, out, on_data=lambda header: pytest.fail("it began"))


def test_another_study_is_refused_with_what_differs(finished, config):
    out, _ = finished
    before = (out / "results.csv").read_bytes()
    other = replace(config, seed=7, epochs=4)
    with pytest.raises(
        StudyFolderError, match=r"config.seed is 1 there and 7 now; config.epochs is 3"
    ):
        run_study(other, out)
    assert (out / "results.csv").read_bytes() == before


def test_a_study_goes_on_with_another_number_of_jobs(finished, config, tmp_path):
    out = shutil.copytree(finished[0], tmp_path / "study")
    header = json.loads((out / "study.json").read_text())
    header["config"]["n_jobs"] = 2
    (out / "study.json").write_text(json.dumps(header))
    assert run_study(config, out).rows == finished[1].rows


def test_a_study_that_runs_elsewhere_is_refused(finished, config):
    out = finished[0]
    held = "from skmnist.study._storage import hold_folder"
    imports = f"import sys; from pathlib import Path; {held}"
    code = f"{imports}\nwith hold_folder(Path(sys.argv[1])): print('held'); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, out],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StudyFolderError, match="another process"):
            run_study(config, out)
        process.kill()
    with hold_folder(out):
        pass


@pytest.mark.parametrize("change", ["rename", "remove", "unlock"])
def test_a_study_ends_when_its_folder_is_gone(config, tmp_path, change):
    out = tmp_path / "study"

    def lose(stage, rows):
        if change == "rename":
            out.rename(tmp_path / "moved")
        elif change == "remove":
            shutil.rmtree(out)
        else:
            (out / ".lock").unlink()

    with pytest.raises(StudyFolderError, match="was removed or renamed while"):
        run_study(config, out, on_stage=lose)
    assert len(read_trials(tmp_path / "moved" / FILE)) in (0, 2)
    # The same command goes on, or begins anew with the fit that ran meanwhile.
    assert claim_folder(out) == out


@pytest.mark.filterwarnings("ignore:A fit could not be kept")
def test_a_file_system_that_becomes_read_only_is_named(config, tmp_path):
    def mount(*options):
        command = ["mount", *options, tmp_path]
        return subprocess.run(command, capture_output=True).returncode

    if mount("-t", "tmpfs", "-o", "size=2m", "tmpfs"):
        pytest.skip("only root may mount a file system")

    def make_read_only(*_):
        # Files are open there, so it cannot become read-only itself: it is mounted
        # over itself, without the right to write.
        assert mount("--bind", tmp_path) == 0
        assert mount("-o", "remount,bind,ro") == 0

    try:
        out = tmp_path / "study"
        with pytest.raises(OSError, match=r"may not be written to: .*results\.csv"):
            run_study(config, out, on_stage=make_read_only)
        assert len(read_trials(out / FILE)) >= 2
    finally:
        command = ["umount", "-l", tmp_path]
        while not subprocess.run(command, capture_output=True).returncode:
            pass


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / ".lock").symlink_to(tmp_path / "thesis.txt")
    for look in (holder, lambda out: hold_folder(out).__enter__()):
        with pytest.raises(StudyFolderError, match=r"\.lock: is a link, .*; remove it"):
            look(tmp_path / "study")
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_what_killed_processes_left_is_removed(tmp_path):
    leave_half_a_file(tmp_path / "results.csv")
    with hold_folder(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_fresh_folder_is_one_that_does_not_exist(tmp_path):
    out = tmp_path / "study"
    assert fresh_folder(out) == out
    out.mkdir()
    (tmp_path / "study-2").mkdir()
    assert fresh_folder(out) == tmp_path / "study-3"


def test_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StudyFolderError, match="not empty"):
        claim_folder(tmp_path)


def test_bad_data_leave_no_folder(tmp_path):
    np.savez(tmp_path / "bad.npz", a=np.zeros(3))
    config = StudyConfig(dataset=str(tmp_path / "bad.npz"), preset="tiny")
    with pytest.raises(DataError):
        run_study(config, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_reading_a_folder_without_a_study(tmp_path):
    with pytest.raises(StudyFolderError, match="no study"):
        read_study(tmp_path)


def test_reading_a_damaged_study(tmp_path):
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(StudyFolderError, match="damaged"):
        read_study(tmp_path)


def test_unfinished_study_has_no_summary(finished, tmp_path):
    for name in ("study.json", "stages.json", "results.csv"):
        (tmp_path / name).write_bytes((finished[0] / name).read_bytes())
    assert read_study(tmp_path).summary is None


def test_rows_survive_writing_and_reading(finished):
    rows = finished[1].rows
    assert read_csv(write_csv(rows)) == rows


def test_threads_set_by_the_caller_stay(monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    assert pin_threads(1) == 3


def test_a_study_says_nothing_of_few_epochs():
    # Warnings are errors in the tests; this one is ignored there, too.
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with _short_trainings():
            few = advice_on_epochs(1, 1000, 64)
            warnings.warn(few, ConvergenceWarning, stacklevel=1)
            with pytest.raises(ConvergenceWarning, match="another"):
                warnings.warn("another one", ConvergenceWarning, stacklevel=1)
