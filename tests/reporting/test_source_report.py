"""The source report's figures, and a study's beside them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from skmnist.reporting._source_report import (
    describe_distances,
    reported_columns,
    reported_rows,
    reproduction_table,
    to_reproduction,
)
from skmnist.study import read_study

RESULTS = Path(__file__).parents[2] / "docs" / "results"


@pytest.fixture(scope="module")
def followed():
    """The committed study of the report's own candidates."""
    return read_study(RESULTS / "as-reported")


@pytest.fixture(scope="module")
def searched():
    """The committed study by the rules, whose later candidates are others."""
    return read_study(RESULTS / "report")


def test_reported_rows_are_those_of_the_source():
    rows = reported_rows()
    assert Counter(row.stage for row in rows) == {
        "depth_width": 13,
        "activations": 9,
        "node_distribution": 7,
        "batch_size": 5,
        "validation_split": 7,
        "initializers": 2,
        "optimizer": 4,
        "epochs": 1,
    }
    assert max(row.reported_test_accuracy for row in rows) == 0.9824


def test_reproduction_sets_reported_beside_measured(followed):
    stage = next(s for s in followed.stages if s.name == "batch_size")
    rows = [row for row in followed.rows if row.stage == "batch_size"]
    reported = [row for row in reported_rows() if row.stage == "batch_size"]
    rows[1] = replace(rows[1], validation_accuracy=0.9885, accuracy=0.98, n_iter=4.0)
    table = reproduction_table(stage, rows, reported)
    assert table.rows[1] == [
        *("64", "98.85 %", "98.85 %", "98.08 %", "98.00 %", "-0.08", "7", "4")
    ]
    assert table.winner == 1


def test_reproduction_of_other_candidates_is_refused(followed):
    other = replace(followed, rows=followed.rows[1:])
    with pytest.raises(ValueError, match="--preset as-reported"):
        to_reproduction(other)


def test_every_candidate_of_the_report_is_found(followed):
    # In the report's order, so that row by row the two are the same.
    theirs = iter(reported_rows())
    for stage in followed.stages:
        columns = reported_columns(followed, stage)
        for text in columns["reported test accuracy"]:
            assert text == f"{100 * next(theirs).reported_test_accuracy:.2f} %"
    assert next(theirs, None) is None


def test_difference_is_measured_minus_reported(followed):
    stage = followed.stages[0]
    rows = [replace(row, accuracy=0.97) for row in followed.rows]
    columns = reported_columns(replace(followed, rows=rows), stage)
    # The report has 96.67 % for two layers of 50.
    assert columns["difference"][0] == "+0.33 pp"


def test_candidates_that_the_report_lacks_have_no_figures(searched):
    # The search by the rules went on with other widths than the report did.
    assert "reported test accuracy" in reported_columns(searched, searched.stages[2])
    assert reported_columns(searched, searched.stages[3]) == {}


def test_other_data_are_not_set_beside_the_report(followed):
    data = replace(followed.header.data, name="digits")
    other = replace(followed, header=replace(followed.header, data=data))
    assert reported_columns(other, other.stages[0]) == {}
    assert describe_distances(other) == ""


def test_distances_are_those_of_the_reproduction(followed, searched):
    assert to_reproduction(followed).endswith(describe_distances(followed) + "\n")
    assert describe_distances(searched) == ""
