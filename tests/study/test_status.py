"""How far a study is, read from a folder that another process may be writing."""

import json

import pytest

from skmnist.model_selection import Trial
from skmnist.study import (
    Candidate,
    FinalModel,
    StudyConfig,
    StudyData,
    StudyHeader,
    StudyStage,
    StudySummary,
)
from skmnist.study._columns import PARAMETERS
from skmnist.study._status import describe_status, study_status
from skmnist.study._storage import (
    StudyFolderError,
    hold_folder,
    write_json,
    write_rows,
)
from skmnist.study._trials import FILE, TrialFile

DATA = StudyData("digits", "", "abc", n_train=1437, n_test=360, n_features=784)
HEADER = StudyHeader(
    schema=1,
    config=StudyConfig(dataset="digits", preset="report"),
    data=DATA,
    stages=["width", "batch"],
    optimistic=False,
    threads_per_fit=1,
    versions={},
)
SUMMARY = StudySummary(
    data=DATA,
    protocol="holdout",
    best_params={},
    winners={},
    final=FinalModel(0.97, 0.01, None, 3, 2, "over", 100, 1.0),
    not_tried=["batch"],
    n_candidates=1,
    n_fits=2,
    seconds=3.0,
)


def winner(stage):
    """Return the only candidate of a stage."""
    return Candidate(
        dataset="digits",
        stage=stage,
        params={column.name: None for column in PARAMETERS},
        validation_accuracy=0.5,
        accuracy=0.5,
        n_iter=1,
        best_iter=1,
        seconds=1,
        n_parameters=1,
        gap=0,
        winner=True,
        incumbent=False,
    )


def make_study(folder, scores, *, stages=(), summary=None, n_together=4):
    """Write a study's folder with a trial for each score; None is a failure."""
    write_json(folder / "study.json", HEADER)
    done = [StudyStage(name, "best_score", "best", ["widths"], {}) for name in stages]
    write_json(folder / "stages.json", done)
    if stages:
        write_rows(folder / "results.csv", list(map(winner, stages)))
    if summary:
        write_json(folder / "summary.json", summary)
    with TrialFile(folder / FILE) as file:
        for candidate, score in enumerate(scores):
            failed = score is None
            file.add(
                Trial(
                    stage="width",
                    candidate=candidate,
                    split=0,
                    first=0,
                    n_together=n_together,
                    params={"widths": 2**candidate},
                    scores={"accuracy": float("nan") if failed else score},
                    fit_seconds=1.0,
                    score_seconds=0.1,
                    error="ValueError: no" if failed else None,
                    host="here",
                    pid=1,
                    versions={},
                )
            )


def test_a_study_that_was_stopped_in_a_stage(tmp_path):
    make_study(tmp_path, [0.5, 0.75, None])
    found = study_status(tmp_path)
    assert found.state == "stopped"
    assert (found.n_trials, found.n_failed, found.n_stages_done) == (3, 1, 0)
    assert found.current.n_done == 3
    assert found.best.params == {"widths": 2}
    text = describe_status(found)
    assert "Stage width: 3 of 4 fits" in text
    assert "Best so far: 75.00 % with widths=2" in text.replace("75.00%", "75.00 %")
    assert "1 of them failed" in text


def test_a_study_that_runs_names_its_process(tmp_path):
    make_study(tmp_path, [0.5])
    with hold_folder(tmp_path):
        found = study_status(tmp_path)
    assert found.state == "running"
    assert "process" in found.holder
    assert study_status(tmp_path).state == "stopped"


def test_a_finished_study_tells_its_result(tmp_path):
    make_study(tmp_path, [0.5], stages=["width"], summary=SUMMARY)
    found = study_status(tmp_path)
    assert (found.state, found.current) == ("finished", None)
    text = describe_status(found)
    assert "Test accuracy of the final model: 97.00" in text
    assert "Not tried for want of time: batch" in text


def test_between_two_stages_there_is_no_current_one(tmp_path):
    make_study(tmp_path, [0.5, 0.6, 0.7, 0.8], stages=["width"])
    assert study_status(tmp_path).current is None


def test_time_left_goes_by_the_pace_of_the_stage(tmp_path):
    make_study(tmp_path, [0.5, 0.6, 0.7], n_together=8)
    lines = (tmp_path / FILE).read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    for row, minute in zip(rows, (0, 1, 4), strict=True):
        row["finished"] = f"2026-01-01T12:{minute:02}:00+00:00"
    (tmp_path / FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    # Two more trials took four minutes; five are left.
    assert study_status(tmp_path).current.seconds_left == 5 * 120
    assert "about 10 min 0 s left" in describe_status(study_status(tmp_path))


def test_a_study_without_a_trial_has_no_best(tmp_path):
    make_study(tmp_path, [])
    found = study_status(tmp_path)
    assert found.best is None
    assert "0 trials" in describe_status(found)


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(StudyFolderError, match="no study"):
        study_status(tmp_path)
