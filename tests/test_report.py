"""Tables and sentences of a study, from plain data."""

import math
from collections import Counter

import pytest

from skmnist.folder import Study
from skmnist.report import (
    Table,
    describe_data,
    describe_final,
    markdown_table,
    overview_table,
    reported_rows,
    reproduction_table,
    significance_columns,
    stage_table,
    to_markdown,
    to_reproduction,
)


def a_row(stage="batch_size", winner=False, **changes):
    row = {
        "dataset": "digits",
        "stage": stage,
        "depth": 2,
        "widths": [600, 200],
        "activations": "relu",
        "batch_size": 64,
        "validation_split": 0.1,
        "initializers": "he_normal",
        "output_initializer": "glorot_uniform",
        "optimizer": "adam",
        "epochs": 20,
        "validation_accuracy": 0.9885,
        "accuracy": 0.9808,
        "n_iter": 7.0,
        "best_iter": 6.0,
        "seconds": 12.34,
        "n_parameters": 593210.0,
        "gap": 0.0077,
        "winner": winner,
        "incumbent": False,
    }
    return row | changes


STAGE = {
    "name": "batch_size",
    "rule": "smallest(key='batch_size', tolerance=0.001)",
    "reason": "64 is the smallest",
    "tried": ["batch_size"],
    "best_params": {"batch_size": 64},
}


def a_study(**changes):
    header = {
        "config": {"preset": "report", "protocol": "holdout", "seed": 0},
        "data": {
            "name": "digits",
            "note": "",
            "n_train": 1437,
            "n_test": 360,
            "n_features": 784,
        },
        "optimistic": False,
        "threads_per_fit": 2,
        "versions": {"keras": "3.15.1"},
    }
    rows = [a_row(batch_size=32, accuracy=0.9788), a_row(winner=True)]
    return Study(
        **(
            {"header": header, "rows": rows, "stages": [STAGE], "summary": None}
            | changes
        )
    )


SUMMARY = {
    "data": {"name": "digits"},
    "final": {
        "test_accuracy": 0.9814,
        "standard_error": 0.00135,
        "n_parameters": 593210,
        "best_iter": 6,
        "n_iter": 7,
        "stop_reason": "val_loss has not improved for 1 epoch",
        "seconds": 9.96,
    },
    "n_fits": 49,
    "seconds": 512.4,
}


def test_stage_table_has_the_columns_of_the_report():
    table = stage_table(STAGE, [a_row(winner=True)], "report")
    assert table == Table(
        [
            "batch_size",
            "validation accuracy",
            "test accuracy",
            "gap",
            "epochs trained",
            "seconds",
            "parameters",
        ],
        [["64", "98.85 %", "98.08 %", "0.77 pp", "7", "12.3", "593,210"]],
        0,
    )


def test_stage_table_shows_how_sure_the_accuracies_are():
    rows = [
        a_row(standard_error=0.00135, p_value=None, winner=True),
        a_row(standard_error=0.00143, p_value=0.2424),
        a_row(standard_error=0.00143, p_value=0.00024),
        a_row(accuracy=math.nan, standard_error=None, p_value=None),
    ]
    table = stage_table(STAGE, rows, "holdout", significance_columns(rows))
    assert table.columns[3:5] == ["standard error", "p"]
    assert [row[3:5] for row in table.rows] == [
        ["0.14 pp", ""],
        ["0.14 pp", "0.24"],
        ["0.14 pp", "< 0.001"],
        ["", ""],
    ]


def test_page_says_what_p_is_where_there_is_any():
    rows = [a_row(winner=True, standard_error=0.001, p_value=None)]
    assert "McNemar's test" in to_markdown(a_study(rows=rows))
    assert "McNemar's test" not in to_markdown(a_study())


def test_accuracy_of_the_holdout_protocol_is_called_held_out():
    columns = stage_table(STAGE, [a_row(winner=True)], "holdout").columns
    assert "held-out accuracy" in columns
    assert "test accuracy" not in columns


def test_missing_validation_accuracy_is_left_empty():
    row = a_row(winner=True, validation_accuracy=math.nan, gap=math.nan)
    assert stage_table(STAGE, [row], "holdout").rows[0][1:4] == ["", "98.08 %", ""]


def test_overview_names_what_each_stage_chose():
    assert overview_table(a_study()).rows == [
        ["Batch size", "2", "batch_size=64", "98.08 %"]
    ]


def test_markdown_marks_the_winner_only():
    page = markdown_table(Table(["a", "b"], [["1", "2"], ["3", ""]], 1))
    assert page.splitlines() == [
        "| a | b |",
        "| --- | --- |",
        "| 1 | 2 |",
        "| **3** |  |",
    ]


def test_page_of_an_unfinished_study_says_so():
    assert "not finished" in to_markdown(a_study())


def test_page_has_the_reason_and_the_final_accuracy():
    page = to_markdown(a_study(summary=SUMMARY))
    assert "64 is the smallest." in page
    assert "98.14 %" in page
    assert "optimistic" not in page


def test_page_of_the_report_protocol_says_that_it_is_optimistic():
    study = a_study()
    assert "optimistic" in to_markdown(
        a_study(header=study.header | {"optimistic": True})
    )


def test_note_on_stand_in_data_is_on_the_first_line():
    header = a_study().header
    header["data"]["note"] = "The digits stand in."
    assert describe_data(header).endswith("The digits stand in.")


def test_final_line_names_the_data():
    assert describe_final(SUMMARY).startswith("Final model on digits: 98.14 %")


def test_reported_rows_are_those_of_the_source():
    rows = reported_rows()
    assert Counter(row["stage"] for row in rows) == {
        "depth_width": 13,
        "activations": 9,
        "node_distribution": 7,
        "batch_size": 5,
        "validation_split": 7,
        "initializers": 2,
        "optimizer": 4,
        "epochs": 1,
    }
    assert max(row["reported_test_accuracy"] for row in rows) == 0.9824


def test_reproduction_sets_reported_beside_measured():
    reported = [row for row in reported_rows() if row["stage"] == "batch_size"][1:2]
    table = reproduction_table(STAGE, [a_row(winner=True, accuracy=0.9800)], reported)
    assert table.rows == [
        ["64", "98.85 %", "98.85 %", "98.08 %", "98.00 %", "-0.08", "7", "7"]
    ]


def test_reproduction_of_other_candidates_is_refused():
    with pytest.raises(ValueError, match="--preset as-reported"):
        to_reproduction(a_study())
