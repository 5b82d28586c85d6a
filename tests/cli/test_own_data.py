"""Commands on tables and pictures of one's own, and what is predicted for them."""

# SPDX-License-Identifier: BSD-3-Clause

import csv
import json

import numpy as np
import pytest
from PIL import Image

from skmnist.cli import main

QUICK = ["--widths", "16", "--epochs", "25", "--batch-size", "8", "--quiet"]


@pytest.fixture(scope="module")
def table_model(tmp_path_factory):
    """A table whose text tells the class, and the model that fit saves."""
    folder = tmp_path_factory.mktemp("table")
    rows = [["sound", "weight", "kind"]]
    rows += [
        [("miaow", "wuff")[i % 2], i % 7, ("cat", "dog")[i % 2]] for i in range(48)
    ]
    with open(folder / "pets.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    out = folder / "pets.skmnist"
    data = ["--dataset", str(folder / "pets.csv"), "--label", "kind"]
    assert main(["fit", *data, "--out", str(out), *QUICK]) == 0
    return folder / "pets.csv", out


@pytest.fixture(scope="module")
def picture_model(tmp_path_factory):
    """Pictures of 9 x 12 pixels, bright or dark at the left, and a model of them."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, value in (("left", 0), ("none", 255)):
        (folder / "data" / name).mkdir(parents=True)
        for i in range(24):
            picture = np.full((9, 12), 255 - i % 3, np.uint8)
            picture[2:7, 2:6] = value
            Image.fromarray(picture).save(folder / "data" / name / f"{i}.png")
    out = folder / "bars.skmnist"
    data = ["--dataset", str(folder / "data")]
    assert main(["fit", *data, "--out", str(out), *QUICK]) == 0
    return folder / "data", out


def test_predict_takes_the_table_that_fit_took(table_model, capsys):
    table, model = table_model
    assert main(["predict", str(model), str(table)]) == 0
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(out.splitlines()))
    assert [row["kind"] for row in rows] == ["cat", "dog"] * 24
    assert err == f"Accuracy on {table}: 100.00 % of 48 rows\n"


def test_predict_takes_a_table_without_labels(table_model, tmp_path, capsys):
    (tmp_path / "new.csv").write_text("weight,sound\n,wuff\n3,miaow\n2,moo\n")
    assert (
        main(["predict", str(table_model[1]), str(tmp_path / "new.csv"), "--json"]) == 0
    )
    (found,) = json.loads(capsys.readouterr().out)["tables"]
    assert found["accuracy"] is None
    assert [row["label"] for row in found["rows"][:2]] == ["dog", "cat"]


def test_tables_that_cannot_be_read_are_named(table_model, tmp_path, capsys):
    (tmp_path / "other.csv").write_text("weight\n1\n")
    names = [str(tmp_path / "other.csv"), str(tmp_path / "absent.csv")]
    assert main(["predict", str(table_model[1]), *names]) == 1
    assert capsys.readouterr().err == (
        f"Error: {names[0]}: lacks columns of the training: 'sound'\n"
        f"Error: {names[1]}: no such file\n"
    )


def test_a_model_of_tables_reads_no_pictures(table_model, tmp_path, capsys):
    table, model = table_model
    assert main(["predict", str(model), "seven.png"]) == 2
    reason = f"{model} was trained with a table and reads no pictures: skmnist predict"
    assert reason in capsys.readouterr().err
    assert main(["predict", str(model), "seven.png", str(table)]) == 2
    assert "seven.png is no table" in capsys.readouterr().err
    assert main(["draw", str(model), "--out", str(tmp_path / "d.html")]) == 2
    assert reason in capsys.readouterr().err


def test_predict_reads_pictures_as_fit_read_them(picture_model, capsys):
    folder, model = picture_model
    files = [str(folder / "left" / "7.png"), str(folder / "none" / "7.png")]
    assert main(["predict", str(model), *files, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["pictures"]
    assert [entry["digit"] for entry in found] == ["left", "none"]
    assert main(["predict", str(model), *files]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == [
        "file",
        "class",
        "probability",
    ]
    assert main(["predict", str(model), *files, "--digits"]) == 2


def test_a_model_of_pictures_takes_no_table(picture_model, table_model, capsys):
    assert main(["predict", str(picture_model[1]), str(table_model[0])]) == 2
    reason = "was not trained with a table: give it pictures\n"
    assert capsys.readouterr().err.endswith(reason)
