"""The one list of columns: results.csv, and what other forms take from it."""

import math
from dataclasses import fields, replace

import pytest

from skmnist.study import Candidate, Study, StudyStage
from skmnist.study._checks import MisfitError
from skmnist.study._columns import (
    COLUMNS,
    MEASURED,
    PARAMETERS,
    frame_of,
    read_csv,
    shown_columns,
    write_csv,
)

PARAMS = {
    "depth": 2,
    "widths": [600, 200],
    "activations": ["relu", "tanh"],
    "batch_size": 64,
    "validation_split": 0.1,
    "initializers": "he_normal",
    "output_initializer": "glorot_uniform",
    "optimizer": "adam",
    "epochs": 20,
}
ROW = Candidate(
    dataset="digits",
    stage='a, "quoted" stage',
    params=PARAMS,
    validation_accuracy=0.9885,
    accuracy=1 / 3,
    n_iter=7.0,
    best_iter=6.0,
    seconds=12.34,
    n_parameters=593210.0,
    gap=0.0077,
    winner=True,
    incumbent=False,
    standard_error=0.001,
)
# Columns that a file may lack are None for a candidate that failed, the others NaN.
NOTHING = dict.fromkeys(c.name for c in MEASURED if not c.needed)
FAILED = replace(ROW, winner=False, **{c.name: math.nan for c in MEASURED} | NOTHING)


def same(one, other):
    """Compare with NaN equal to itself."""
    return repr(one) == repr(other)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"learning_rate": 1e-300, "learning_rate_schedule": "linear"},
        {"augmentation": "Distortions(rotation=5.0, shift=0.02)"},
        {"batch_normalization": True, "dropout": [0.1, 0.25], "augmentation": None},
        # Nobody knows these.
        {"patience": 3, "min_delta": 0.5, "monitor": "val_loss", "warm_start": False},
        {"class_weight": None, "image_shape": [28, 28], "restore": "if 2 are better"},
    ],
    ids=lambda params: " ".join(params) or "none",
)
def test_rows_come_back_as_they_were(params):
    rows = [replace(row, params={**PARAMS, **params}) for row in (ROW, FAILED)]
    assert same(read_csv(write_csv(rows)), rows)


def test_columns_are_those_that_files_always_had():
    assert write_csv([ROW]).splitlines()[0] == (
        "dataset,stage,depth,widths,activations,batch_size,validation_split,"
        "initializers,output_initializer,optimizer,epochs,validation_accuracy,accuracy,"
        "n_iter,best_iter,seconds,n_parameters,gap,winner,incumbent,standard_error,"
        "p_value,difference_error,replicates,race,fresh_accuracy"
    )
    assert (
        write_csv([ROW])
        .splitlines()[1]
        .startswith(
            'digits,"a, ""quoted"" stage",2,600 200,relu tanh,64,0.1,he_normal,'
        )
    )


def test_a_file_of_an_earlier_version_lacks_the_last_columns():
    lines = [line.rsplit(",", 6)[0] for line in write_csv([ROW]).splitlines()]
    (row,) = read_csv("\n".join(lines))
    assert row == replace(ROW, standard_error=None)


def test_every_field_of_a_candidate_is_a_column():
    names = [column.name for column in COLUMNS if column.role != "parameter"]
    assert names == [f.name for f in fields(Candidate) if f.name != "params"]
    assert all(column.title for column in COLUMNS)
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)


def test_tables_show_the_columns_by_their_rank():
    titles = [column.heading("held-out") for column in shown_columns()]
    assert titles == [
        "validation accuracy",
        "held-out accuracy",
        "standard error",
        "p",
        "replicates",
        "race",
        "fresh accuracy",
        "gap",
        "epochs trained",
        "seconds",
        "parameters",
    ]
    assert [c.name for c in shown_columns(on_terminal=True)] == [
        "validation_accuracy",
        "accuracy",
        "replicates",
        "race",
        "gap",
        "n_iter",
        "seconds",
        "n_parameters",
    ]


def test_a_study_is_a_frame_as_it_is():
    stage = StudyStage(ROW.stage, "best_score", "best", ["widths"], {})
    study = Study(None, [ROW, FAILED], [stage], None)
    frame = study.frame()
    assert list(frame.columns[:3]) == ["dataset", "stage", "depth"]
    assert frame[frame.winner].accuracy.tolist() == [1 / 3]
    assert frame.widths.tolist() == [[600, 200]] * 2
    assert study.rows_of(stage) == study.rows
    assert study.winner_of(stage) is ROW


def test_a_parameter_that_some_candidates_lack_is_none_there():
    frame = frame_of([ROW, replace(ROW, params={**PARAMS, "patience": 3})])
    assert frame["patience"] == [None, 3]
    names = list(frame)
    assert names.index("patience") == names.index("epochs") + 1


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("depth", "two", "line 2: depth is 'two'; expected a whole number"),
        ("widths", "600 x", "line 2: widths is '600 x'; expected a whole number"),
        ("winner", "yes", "line 2: winner is 'yes'; expected True or False"),
        ("seconds", "-1", "line 2: seconds is -1.0; expected a number from 0, or nan"),
        ("seconds", "", "line 2: seconds is None; expected a number from 0, or nan"),
        (
            "p_value",
            "2",
            "line 2: p_value is 2.0; expected a number from 0 to 1 or None",
        ),
    ],
)
def test_a_cell_that_does_not_fit_is_named(column, cell, message):
    row = {**ROW.as_dict(), "widths": "600 200", "activations": "relu tanh"}
    row[column] = cell
    row["stage"] = "width"
    text = "\n".join(
        ",".join("" if c is None else str(c) for c in line)
        for line in (row, row.values())
    )
    with pytest.raises(MisfitError) as error:
        read_csv(text)
    assert str(error.value) == message


def test_parameters_are_said_once():
    assert len({column.name for column in PARAMETERS}) == len(PARAMETERS)
