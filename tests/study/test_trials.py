"""The file of trials: whole lines only, each trial once, whatever cut it off."""

import json
import os

import numpy as np
import pytest

from skmnist.model_selection import Trial
from skmnist.study._trials import FILE, TrialFile, read_trials


def trial(candidate=0, **changes):
    fields = {
        "stage": "width",
        "candidate": candidate,
        "split": 0,
        "first": 0,
        "n_together": 4,
        "params": {"widths": (16, np.int64(8)), "optimizer": "adam"},
        "scores": {"accuracy": np.float64(0.1) + 0.2},
        "fit_seconds": 1.5,
        "score_seconds": 0.1,
        "error": None,
        "host": "here",
        "pid": 1,
        "versions": {"numpy": np.__version__},
    }
    return Trial(**{**fields, **changes})


def write(path, *trials):
    with TrialFile(path) as file:
        for one in trials:
            file.add(one)


def test_a_line_says_what_was_fitted_where_and_how_well(tmp_path):
    write(tmp_path / FILE, trial())
    (row,) = (json.loads(line) for line in (tmp_path / FILE).read_text().splitlines())
    assert row["params"] == {"widths": [16, 8], "optimizer": "adam"}
    assert row["versions"] == {"numpy": np.__version__}
    assert (row["host"], row["error"]) == ("here", None)


def test_scores_survive_bit_for_bit(tmp_path):
    write(tmp_path / FILE, trial())
    assert read_trials(tmp_path / FILE)[0].scores["accuracy"] == 0.1 + 0.2


def test_a_score_that_is_no_number_is_none(tmp_path):
    # NaN is not JSON: other programs could not read the line.
    write(tmp_path / FILE, trial(scores={"accuracy": np.nan, "loss": np.inf}))
    text = (tmp_path / FILE).read_text()
    assert json.loads(text)["scores"] == {"accuracy": None, "loss": None}


def test_an_error_is_its_last_line(tmp_path):
    traceback = "Traceback (most recent call last):\n  ...\nValueError: too wide\n"
    write(tmp_path / FILE, trial(error=traceback))
    assert read_trials(tmp_path / FILE)[0].error == "ValueError: too wide"


def test_lines_are_added_behind_those_that_are_there(tmp_path):
    write(tmp_path / FILE, trial(0))
    before = (tmp_path / FILE).read_bytes()
    write(tmp_path / FILE, trial(1))
    assert (tmp_path / FILE).read_bytes().startswith(before)
    assert [row.candidate for row in read_trials(tmp_path / FILE)] == [0, 1]


def test_a_trial_that_is_there_is_not_added_again(tmp_path):
    write(tmp_path / FILE, trial(0), trial(1))
    write(tmp_path / FILE, trial(1, fit_seconds=0.01), trial(2))
    assert [row.candidate for row in read_trials(tmp_path / FILE)] == [0, 1, 2]


def test_a_trial_that_failed_may_succeed_later(tmp_path):
    write(tmp_path / FILE, trial(error="OSError: disk"))
    write(tmp_path / FILE, trial())
    errors = [row.error for row in read_trials(tmp_path / FILE)]
    assert errors == ["OSError: disk", None]


def test_a_torn_last_line_is_healed_wherever_it_was_torn(tmp_path):
    path = tmp_path / FILE
    write(path, trial(0), trial(1))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    # Cuts from nothing of the second line to all of it but its end.
    for cut in [*range(first, len(whole), 29), len(whole) - 1]:
        path.write_bytes(whole[:cut])
        assert [row.candidate for row in read_trials(path)] == [0]
        write(path, trial(1))
        assert [row.candidate for row in read_trials(path)] == [0, 1]


def test_a_damaged_line_in_between_is_left_out_with_a_warning(tmp_path):
    path = tmp_path / FILE
    write(path, trial(0), trial(1), trial(2))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\x00\x00\n" + lines[2])
    with pytest.warns(UserWarning, match="1 damaged lines"):
        rows = read_trials(path)
    assert [row.candidate for row in rows] == [0, 2]


def test_a_missing_file_has_no_trials(tmp_path):
    assert read_trials(tmp_path / FILE) == []


def test_a_full_disk_names_the_file(tmp_path):
    with TrialFile(tmp_path / FILE) as file:
        file.add(trial(0))
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, file._file)
        os.close(full)
        with pytest.raises(OSError, match=r"No space left.*trials\.jsonl"):
            file.add(trial(1))
    assert [row.candidate for row in read_trials(tmp_path / FILE)] == [0]
