"""Tables and sentences of a study, from plain data."""

import math
from dataclasses import replace

import numpy as np
import pytest

from skmnist.reporting._text import (
    Table,
    describe_data,
    describe_final,
    describe_lead,
    describe_misread,
    markdown_table,
    overview_table,
    page_table,
    stage_table,
    to_markdown,
)
from skmnist.study import (
    Candidate,
    FinalModel,
    Study,
    StudyConfig,
    StudyData,
    StudyHeader,
    StudyStage,
    StudySummary,
)
from skmnist.study._artifacts import Predictions
from skmnist.study._uncertainty import lead_of, n_tied, standard_error

PARAMS = {
    "depth": 2,
    "widths": [600, 200],
    "activations": "relu",
    "batch_size": 64,
    "validation_split": 0.1,
    "initializers": "he_normal",
    "output_initializer": "glorot_uniform",
    "optimizer": "adam",
    "epochs": 20,
}
ROW = Candidate(
    dataset="digits",
    stage="batch_size",
    params=PARAMS,
    validation_accuracy=0.9885,
    accuracy=0.9808,
    n_iter=7.0,
    best_iter=6.0,
    seconds=12.34,
    n_parameters=593210.0,
    gap=0.0077,
    winner=False,
    incumbent=False,
)
STAGE = StudyStage(
    name="batch_size",
    rule="smallest(key='batch_size', tolerance=0.001)",
    reason="64 is the smallest",
    tried=["batch_size"],
    best_params={"batch_size": 64},
)
DATA = StudyData("digits", "", "abc", n_train=1437, n_test=360, n_features=784)
HEADER = StudyHeader(
    schema=1,
    config=StudyConfig(dataset="digits", preset="report"),
    data=DATA,
    stages=["batch_size"],
    optimistic=False,
    threads_per_fit=2,
    versions={"keras": "3.15.1"},
)
SUMMARY = StudySummary(
    data=DATA,
    protocol="holdout",
    best_params={"batch_size": 64},
    winners={"batch_size": "64 is the smallest"},
    final=FinalModel(
        test_accuracy=0.9814,
        standard_error=0.00135,
        validation_accuracy=0.98,
        n_iter=7,
        best_iter=6,
        stop_reason="val_loss has not improved for 1 epoch",
        n_parameters=593210,
        seconds=9.96,
    ),
    n_candidates=48,
    n_fits=49,
    seconds=512.4,
)


def a_row(batch_size=64, **changes):
    return replace(ROW, params={**PARAMS, "batch_size": batch_size}, **changes)


def a_study(**changes):
    rows = [a_row(32, accuracy=0.9788), a_row(winner=True)]
    given = {"header": HEADER, "rows": rows, "stages": [STAGE], "summary": None}
    return Study(**{**given, **changes})


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


def test_stage_table_shows_which_candidates_differ_from_the_winner():
    rows = [
        a_row(standard_error=0.00135, p_value=None, winner=True),
        a_row(standard_error=0.00143, p_value=0.2424),
        a_row(standard_error=0.00143, p_value=0.00024),
        a_row(accuracy=math.nan, standard_error=None, p_value=None),
    ]
    table = page_table(a_study(rows=rows), STAGE)
    assert table.columns[3:5] == ["standard error", "p"]
    assert [row[4] for row in table.rows] == ["", "0.24", "< 0.001", ""]
    # 0.0089 = sqrt(0.9808 * 0.0192 / 240), see below.
    assert [row[3] for row in table.rows] == [*["0.89 pp"] * 3, ""]


def test_page_says_what_p_is_where_there_is_any():
    rows = [a_row(winner=True, standard_error=0.001, p_value=None)]
    assert "McNemar's test" in to_markdown(a_study(rows=rows))
    assert "McNemar's test" not in to_markdown(a_study())


def test_accuracy_of_the_holdout_protocol_is_called_held_out():
    columns = stage_table(STAGE, [a_row(winner=True)], "holdout").columns
    assert "held-out accuracy" in columns
    assert "test accuracy" not in columns


def test_missing_validation_accuracy_is_left_empty():
    rows = [a_row(winner=True, validation_accuracy=math.nan, gap=math.nan), a_row()]
    assert stage_table(STAGE, rows, "holdout").rows[0][1:4] == ["", "98.08 %", ""]


def test_where_nothing_is_held_out_there_are_no_columns_for_it():
    row = a_row(winner=True, validation_accuracy=math.nan, gap=math.nan)
    gone = {"validation accuracy", "gap"}
    assert not gone & set(stage_table(STAGE, [row], "holdout").columns)
    study = a_study(rows=[row])
    assert not gone & set(page_table(study, STAGE).columns)
    # Files for machines are whole.
    assert {"validation_accuracy", "gap"} <= set(study.columns())


def test_overview_names_what_each_stage_chose():
    assert overview_table(a_study()).rows == [
        [
            *("Batch size", "2", "98.08 %", "0.89 pp"),
            *("+0.20 pp", "batch_size=64"),
        ]
    ]


def test_overview_has_the_paired_error_and_p_of_the_best_other():
    other = a_row(32, accuracy=0.9788, p_value=0.3, difference_error=0.0012)
    table = overview_table(a_study(rows=[other, a_row(winner=True)]))
    assert table.columns[-3:-1] == ["lead over the next", "p"]
    assert table.rows[0][-3:-1] == ["+0.20 ± 0.12 pp", "0.3"]


def test_standard_error_is_that_of_a_proportion_of_the_samples_that_judged():
    # 1,437 training samples, of which a sixth judges: 240. sqrt(0.9 * 0.1 / 240).
    study = a_study()
    assert study.header.n_judging == 240
    error = standard_error(study, a_row(accuracy=0.9))
    assert error == pytest.approx(0.0193649, abs=1e-7)


def test_report_protocol_judges_by_the_whole_test_set():
    header = replace(HEADER, config=StudyConfig(preset="report", protocol="report"))
    assert header.n_judging == 360


@pytest.mark.parametrize(
    ("p_value", "verdict"),
    [
        # 0.05 itself is a tie, as for `StageVerdict.tied`.
        (0.05, "That can be chance (p = 0.05): the other candidate is tied with"),
        (0.0499, "That is more than chance (p = 0.05)."),
        (0.019, "That is more than chance (p = 0.019)."),
        (0.0001, "That is more than chance (p < 0.001)."),
        (None, "This study has not kept whether the two differ"),
    ],
)
def test_the_sentence_says_what_the_p_value_of_the_table_says(p_value, verdict):
    # An unpaired error of this difference would be 0.023, "no more than noise".
    other = a_row(32, accuracy=0.9773, p_value=p_value, difference_error=0.0014)
    sentence = describe_lead(a_study(rows=[other, a_row(winner=True)]), STAGE)
    assert verdict in sentence
    assert "(batch_size=32) has 97.73 %; the winner has +0.35 ± 0.14 pp." in sentence


def test_the_number_of_ties_is_that_of_the_table():
    others = [a_row(32, p_value=p, difference_error=0.001) for p in (0.01, 0.3, 1.0)]
    study = a_study(rows=[*others, a_row(winner=True)])
    assert n_tied(study, STAGE) == 2
    # The first of the best others differs by its p-value, so no tie is named.
    assert describe_lead(study, STAGE).endswith("more than chance (p = 0.01).")


def test_lead_of_a_less_accurate_winner_is_negative():
    rows = [a_row(32, winner=True, accuracy=0.97), a_row(accuracy=0.99)]
    assert lead_of(a_study(rows=rows), STAGE).difference == pytest.approx(-0.02)


def test_failed_candidates_are_no_rivals():
    rows = [a_row(winner=True), a_row(32, accuracy=math.nan)]
    assert describe_lead(a_study(rows=rows), STAGE) == "There was no other candidate."
    assert overview_table(a_study(rows=rows)).rows[0][-2] == ""


def test_extra_columns_follow_the_accuracy_that_judged():
    extra = {"reported": ["98.00 %"], "difference": ["+0.08"]}
    table = stage_table(STAGE, [a_row(winner=True)], "holdout", extra)
    assert table.columns[2:6] == ["held-out accuracy", "reported", "difference", "gap"]
    assert table.rows[0][2:6] == ["98.08 %", "98.00 %", "+0.08", "0.77 pp"]


def test_misread_are_counted_and_the_most_frequent_named():
    true, predicted = np.array([4, 4, 4, 7, 1]), np.array([9, 9, 4, 1, 1])
    kept = Predictions(true, predicted, np.ones(5), np.array([]), np.array([]))
    assert describe_misread(kept) == (
        "It misreads 3 of 5 test samples; most often 4 as 9 (2), 7 as 1 (1)."
    )


def test_a_name_cannot_write_markdown():
    header = replace(HEADER, data=replace(DATA, name="<b>|*x*"))
    assert r"Data: \<b\>\|\*x\*, 1,437" in to_markdown(a_study(header=header))


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
    header = replace(HEADER, optimistic=True)
    assert "optimistic" in to_markdown(a_study(header=header))


def test_note_on_stand_in_data_is_on_the_first_line():
    header = replace(HEADER, data=replace(DATA, note="The digits stand in."))
    assert describe_data(header.data).endswith("The digits stand in.")


def test_final_line_names_the_data():
    assert describe_final(SUMMARY).startswith("Final model on digits: 98.14 %")
