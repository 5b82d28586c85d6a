"""The names of data sets: what `load_dataset` and the command line offer."""

# SPDX-License-Identifier: BSD-3-Clause

import subprocess
import sys

import numpy as np
import pytest
from sklearn.utils import Bunch

from skmnist.cli import main
from skmnist.cli._options import complete_dataset
from skmnist.datasets import DataNotFoundError
from skmnist.datasets._families import FAMILIES
from skmnist.datasets._registry import (
    AUTO_NAMES,
    DATASETS,
    KIN,
    NamedDataset,
    describe_names,
    load_dataset,
)
from skmnist.datasets._suffixes import SUFFIXES


@pytest.fixture
def stars(monkeypatch):
    """A data set that somebody added, and where it was looked for."""
    asked = []

    def load(data_home):
        asked.append(data_home)
        return Bunch(data=np.zeros((2, 4)), target=np.array([0, 1]))

    monkeypatch.setitem(DATASETS, "stars", NamedDataset(load, "stars of the sky"))
    return asked


def test_a_new_data_set_is_loaded_by_its_name(stars):
    dataset = load_dataset("stars", "a folder")
    assert (dataset.name, dataset.note, dataset.data.shape) == ("stars", "", (2, 4))
    assert stars == ["a folder"]


def test_a_new_data_set_is_named_in_the_help_and_completed(stars, capsys):
    assert describe_names()["stars"] == "stars of the sky"
    completed = [item.value for item in complete_dataset(None, None, "s")]
    assert completed == ["stars"]


@pytest.mark.parametrize("command", ["study", "fit"])
def test_the_help_says_what_each_name_stands_for(command, capsys):
    assert main([command, "--help"]) == 0
    # Lines are wrapped, after a hyphen too.
    page = "".join(capsys.readouterr().out.split())
    for name, what in describe_names().items():
        assert f"{name}({what})".replace(" ", "") in page
    assert "--datasetNAME|PATH|openml:NAME" in page


def test_the_documentation_says_what_each_name_stands_for():
    for name, what in describe_names().items():
        assert f'- "{name}": {what}' in load_dataset.__doc__


def test_an_unknown_name_is_an_error_that_names_the_known(stars, capsys):
    assert main(["fit", "--dataset", "star"]) == 2
    known = ", ".join(describe_names())
    error = capsys.readouterr().err
    assert error == (
        f"Error: star: unknown data set, and no such file or folder; use {known}, "
        f"openml:NAME, a folder, or a file that ends in {', '.join(SUFFIXES)}\n"
    )


def test_the_kin_of_mnist_are_those_that_can_be_loaded():
    assert KIN.keys() == FAMILIES.keys()


def test_auto_takes_the_first_that_is_there_and_says_why(stars, monkeypatch):
    def missing(data_home):
        raise DataNotFoundError("no telescope")

    for name in AUTO_NAMES[:-1]:
        monkeypatch.setitem(DATASETS, name, NamedDataset(missing, "", auto=True))
    last = AUTO_NAMES[-1]
    dataset = load_dataset("auto")
    assert dataset.name == last
    assert dataset.note == f"{DATASETS[last].note}: no telescope"


def test_no_data_set_is_named_like_a_file_or_like_auto():
    assert "auto" not in DATASETS
    assert not any(name.endswith(".npz") for name in DATASETS)


# The shell's completion asks it at every press of a key.
def test_the_names_load_nothing_heavy():
    heavy = {"numpy", "scipy", "sklearn", "keras", "tensorflow"}
    code = (
        "import sys; from skmnist.datasets._registry import DATASETS; "
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert answer.stdout.decode().strip() == "[]"
