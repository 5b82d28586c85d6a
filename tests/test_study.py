"""A study and its folder: what is written, read back, and refused."""

import json

import numpy as np
import pytest

from skmnist import KerasMLPClassifier, Stage, best_score, load_digits_28x28
from skmnist.datasets import DataError
from skmnist.study import (
    PRESETS,
    StudyConfig,
    StudyFolderError,
    claim_folder,
    pin_threads,
    read_rows,
    read_study,
    run_study,
    write_rows,
)


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
    return StudyConfig(dataset="digits", preset="tiny", epochs=3, seed=1)


@pytest.fixture(scope="module")
def finished(config, tiny_preset, tmp_path_factory):
    out = tmp_path_factory.mktemp("studies") / "study"
    return out, run_study(config, out)


def test_folder_holds_what_the_readme_says(finished):
    out, _ = finished
    assert {path.name for path in out.iterdir()} == {
        "model.skmnist",
        "results.csv",
        "stages.json",
        "study.json",
        "summary.json",
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
        assert sum(row["winner"] for row in rows if row["stage"] == stage) == 1


def test_gap_is_validation_minus_judged_accuracy(finished):
    for row in finished[1].rows:
        assert row["gap"] == row["validation_accuracy"] - row["accuracy"]


def test_saved_model_has_the_accuracy_of_the_summary(finished):
    out, study = finished
    model = KerasMLPClassifier.load(out / "model.skmnist")
    digits = load_digits_28x28()
    accuracy = model.score(digits.data[digits.test], digits.target[digits.test])
    assert accuracy == study.summary["final"]["test_accuracy"]


def test_final_model_has_the_best_parameters(finished):
    out, study = finished
    params = KerasMLPClassifier.load(out / "model.skmnist").get_params()
    for name, value in study.summary["best_params"].items():
        assert params[name] == (tuple(value) if isinstance(value, list) else value)


def test_number_of_fits_counts_the_final_one(finished):
    _, study = finished
    assert study.summary["n_fits"] == len(study.rows) + 1


def test_holdout_never_shows_the_test_set_to_the_search(config, tmp_path, monkeypatch):
    # If the test rows were seen by the search, changing them would change it.
    first = run_study(config, tmp_path / "a")
    digits = load_digits_28x28()
    digits.data[digits.test] = 0.0
    monkeypatch.setattr(
        "skmnist.study.load_dataset",
        lambda *_: type(digits)(**digits, name="digits", note=""),
    )
    second = run_study(config, tmp_path / "b")
    accuracies = [[row["accuracy"] for row in s.rows] for s in (first, second)]
    assert accuracies[0] == accuracies[1]
    final = [s.summary["final"]["test_accuracy"] for s in (first, second)]
    assert final[0] != final[1]


def test_report_protocol_judges_by_the_test_set(tmp_path):
    config = StudyConfig(dataset="digits", preset="tiny", protocol="report", epochs=3)
    study = run_study(config, tmp_path / "study")
    # The last stage's winner is trained on the training data and judged by the
    # test data with the same seed, and so is the final model.
    winner = next(row for row in study.rows[::-1] if row["winner"])
    assert winner["accuracy"] == study.summary["final"]["test_accuracy"]
    assert study.header["optimistic"]


def test_folder_with_another_study_is_refused(finished, config):
    before = (finished[0] / "results.csv").read_bytes()
    with pytest.raises(StudyFolderError, match="holds another study"):
        run_study(config, finished[0])
    assert (finished[0] / "results.csv").read_bytes() == before


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


def test_rows_survive_writing_and_reading(finished, tmp_path):
    rows = finished[1].rows
    write_rows(tmp_path / "rows.csv", rows)
    assert read_rows(tmp_path / "rows.csv") == rows


def test_threads_set_by_the_caller_stay(monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    assert pin_threads(1) == 3
