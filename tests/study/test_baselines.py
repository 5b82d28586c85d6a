"""Classifiers that nobody tuned: as they come, fitted once, never in the way."""

import json

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import Bunch

from skmnist import KerasMLPClassifier
from skmnist.study import StudyFolderError, _baselines
from skmnist.study._baselines import (
    BASELINES,
    FILE,
    NO_TIME,
    fit_baselines,
    needs_scaling,
    read_baselines,
    right_rows,
)

N_TEST = 40


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    X, y = generator.random((100, 4)), np.arange(100) % 2
    return Bunch(data=X, target=y, train=slice(0, 60), test=slice(60, None))


@pytest.fixture
def trees(monkeypatch):
    """Baselines that take no time; returns the seeds of those that were made."""
    made = []

    def tree(seed):
        made.append(seed)
        return DecisionTreeClassifier(random_state=seed)

    monkeypatch.setattr(_baselines, "BASELINES", {"one()": tree, "two()": tree})
    return made


def fit(out, data, has_time=lambda: True, **more):
    return fit_baselines(out, data, seed=3, n_threads=1, has_time=has_time, **more)


def test_the_baselines_are_the_classifiers_as_they_come():
    for name, default in (
        ("KerasMLPClassifier()", KerasMLPClassifier(random_state=3)),
        ("MLPClassifier()", MLPClassifier(random_state=3)),
    ):
        made = BASELINES[name](3)
        assert type(made) is type(default)
        assert made.get_params() == default.get_params()


def test_each_is_fitted_once_and_kept(data, trees, tmp_path):
    said = []
    first = fit(tmp_path, data, on_baseline=said.append)
    assert (said, trees, first.left_out) == (["one()", "two()"], [3, 3], "")
    assert fit(tmp_path, data) == first
    assert len(trees) == 2
    assert read_baselines(tmp_path, N_TEST) == first.fits
    tree = DecisionTreeClassifier(random_state=3)
    tree.fit(data.data[:60], data.target[:60])
    right = tree.predict(data.data[60:]) == data.target[60:]
    assert right_rows(first.fits[0], N_TEST).tolist() == right.tolist()


def test_without_time_no_other_one_is_fitted(data, trees, tmp_path):
    left = iter([True, False])
    found = fit(tmp_path, data, has_time=lambda: next(left))
    assert ([one.name for one in found.fits], found.left_out) == (["one()"], NO_TIME)
    # What is kept needs no time.
    again = fit(tmp_path, data, has_time=lambda: False)
    assert [one.name for one in again.fits] == ["one()"]


def test_one_that_cannot_take_the_data_does_not_end_the_study(
    data, trees, tmp_path, monkeypatch
):
    deep = {"deep()": lambda seed: DecisionTreeClassifier(max_depth=-1)}
    monkeypatch.setattr(_baselines, "BASELINES", {**deep, **_baselines.BASELINES})
    found = fit(tmp_path, data)
    assert [one.name for one in found.fits] == ["one()", "two()"]
    assert found.left_out.startswith("deep() could not be fitted (The 'max_depth'")


def test_only_a_classifier_that_does_not_scale_gets_scaled_columns():
    X = np.random.default_rng(0).random((5, 3))
    assert needs_scaling("MLPClassifier()", 20 * X)
    assert needs_scaling("MLPClassifier()", X - 1)
    assert not needs_scaling("MLPClassifier()", X)
    assert not needs_scaling("KerasMLPClassifier()", 20 * X)


def test_columns_of_any_scale_do_no_harm(data, tmp_path, monkeypatch):
    # Without a scaler the large column would drown the one that tells the classes.
    data.data[:, 0] = data.target
    data.data[:, 1] *= 1e4
    only = {"MLPClassifier()": lambda seed: MLPClassifier(8, random_state=seed)}
    monkeypatch.setattr(_baselines, "BASELINES", only)
    assert fit(tmp_path, data).fits[0].misread == []


@pytest.mark.parametrize("misread", [[N_TEST], [3, 3], [5, 2]])
def test_rows_that_are_no_test_rows_are_refused(misread, tmp_path):
    one = {"name": "a()", "n_iter": 1, "seconds": 1.0, "misread": misread}
    (tmp_path / FILE).write_text(json.dumps({"fits": [one]}))
    with pytest.raises(StudyFolderError, match=r"fits\[0\].misread is .*, below 40"):
        read_baselines(tmp_path, N_TEST)
