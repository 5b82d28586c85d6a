"""A staged search lets small networks train side by side, by itself."""

import threading
import time

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skmnist
from skmnist import KerasMLPClassifier, Race, Stage, StagedSearchCV
from skmnist.model_selection import _executors
from skmnist.model_selection._executors import SideBySide
from skmnist.neural_network.engines import _array_fit, _places

X, y = make_classification(150, 6, n_classes=3, n_informative=4, random_state=0)
X = X.astype(np.float32)
SMALL = {"depth": 1, "widths": 9, "epochs": 5, "early_stopping": True, "patience": 5}
STAGES = [
    Stage("rate", {"learning_rate": [0.003, 0.01, 0.03]}),
    Stage("activation", {"activations": ["relu", "tanh"]}),
]


def searched(estimator=None, **settings):
    """Search in two stages; return the search."""
    estimator = estimator or KerasMLPClassifier(**SMALL, random_state=0)
    search = StagedSearchCV(estimator, STAGES, cv=3, random_state=0, **settings)
    return search.fit(X, y)


@pytest.fixture
def together(monkeypatch):
    """List how many networks each round has trained."""
    found, train = [], _array_fit.train_round

    def listed(trainings):
        found.append(len(trainings))
        train(trainings)

    monkeypatch.setattr(_array_fit, "train_round", listed)
    return found


def scores(search):
    """Return what the splits gave each candidate."""
    names = [n for n in search.cv_results_ if n.startswith("split")]
    return {name: search.cv_results_[name].tolist() for name in names}


@pytest.mark.parametrize("race", [None, Race(max_replicates=4)])
def test_fits_train_side_by_side_and_give_the_same_results(together, race):
    alone = searched(race=race, n_jobs=1)
    assert set(together) == {1}
    together.clear()
    beside = searched(race=race)
    assert max(together) >= 6
    np.testing.assert_equal(scores(beside), scores(alone))
    assert beside.best_params_ == alone.best_params_


def test_steps_of_a_pipeline_do_so_too(together):
    network = KerasMLPClassifier(**SMALL, random_state=0)
    stage = Stage("rate", {"kerasmlpclassifier__learning_rate": [0.003, 0.01]})
    pipeline = make_pipeline(StandardScaler(), network)
    StagedSearchCV(pipeline, [stage], cv=3).fit(X, y)
    assert max(together) >= 6


def test_results_come_in_the_order_of_the_candidates():
    told = []
    searched(on_trial_end=told.append)
    order = [(trial.candidate, trial.split) for trial in told]
    assert order == sorted(order)


# A search that someone has told where to run stays there.
@pytest.mark.parametrize("asked", [{"n_jobs": 1}, {"n_jobs": 2}])
def test_a_search_with_n_jobs_has_no_threads(asked):
    network = KerasMLPClassifier(**SMALL)
    assert SideBySide(network, asked["n_jobs"], X, y).n_together([{}] * 6) == 1


def test_a_search_in_a_context_of_joblib_has_no_threads_of_its_own():
    network = KerasMLPClassifier(**SMALL)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert SideBySide(network, None, X, y).n_together([{}] * 6) == 1
    assert SideBySide(network, None, X, y).n_together([{}] * 6) == 6


LARGE = KerasMLPClassifier(widths=(400, 400))


@pytest.mark.parametrize(
    ("estimator", "params"),
    {
        "another estimator": (LogisticRegression(), {}),
        "a large network": (LARGE, {}),
        "one that is large": (KerasMLPClassifier(**SMALL), {"widths": 100_000}),
        "one that is wrong": (KerasMLPClassifier(**SMALL), {"widths": -1}),
        "no parameter": (KerasMLPClassifier(**SMALL), {"nothing": 1}),
        "lines of keras": (KerasMLPClassifier(**SMALL), {"verbose": 2}),
    }.values(),
)
def test_fits_that_gain_nothing_run_one_after_the_other(estimator, params):
    side_by_side = SideBySide(estimator, None, X, y)
    assert side_by_side.n_together([{}, params, {}]) == 1


def test_data_are_a_list_or_text():
    network = KerasMLPClassifier(**SMALL)
    assert SideBySide(network, None, X.tolist(), y).n_together([{}] * 6) == 1


def test_few_copies_of_large_data_are_made(monkeypatch):
    monkeypatch.setattr(_executors, "DATA_AT_ONCE", 2 * X.nbytes)
    side_by_side = SideBySide(KerasMLPClassifier(**SMALL), None, X, y)
    assert side_by_side.n_together([{}] * 6) == 2


class Configured(KerasMLPClassifier):
    """Remembers the configuration of scikit-learn, and the thread, of each fit."""

    seen = []

    def fit(self, X, y):
        config = sklearn.get_config()["assume_finite"]
        self.seen.append((config, threading.current_thread()))
        return super().fit(X, y)


def test_threads_have_the_configuration_of_scikit_learn():
    Configured.seen.clear()
    with sklearn.config_context(assume_finite=True):
        searched(Configured(**SMALL), refit=False)
    assert {config for config, _ in Configured.seen} == {True}
    assert threading.main_thread() not in {thread for _, thread in Configured.seen}


def test_an_error_ends_the_search_and_leaves_no_fit_behind():
    def stop(trial):
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        searched(on_trial_end=stop)
    assert skmnist.neural_network.engines._lanes._meeting is None
    assert searched().best_score_ > 0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:.*non-finite")
def test_one_fit_that_fails_leaves_the_others_alone():
    stage = Stage("rate", {"learning_rate": [0.01, 1e30]})
    network = KerasMLPClassifier(**SMALL, optimizer="sgd", random_state=0)
    search = StagedSearchCV(network, [stage], cv=3).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).tolist() == [True, False]


# Each of six fits in six threads takes about as long as all. Their own parts add up to
# what all take, or to twice that where two processes train.
def test_the_time_of_a_fit_is_its_own_part():
    seconds = []
    stage = Stage("rate", {"learning_rate": [0.01, 0.02]})
    network = KerasMLPClassifier(**SMALL | {"epochs": 300, "patience": 300})
    search = StagedSearchCV(
        network,
        [stage],
        cv=3,
        refit=False,
        on_trial_end=lambda trial: seconds.append(trial.fit_seconds),
    )
    began = time.perf_counter()
    search.fit(X, y)
    assert 0 < sum(seconds) < 4 * (time.perf_counter() - began)


# A network with many products keeps a core busy: there is one for each place.
MIDDLE = KerasMLPClassifier(widths=(250, 200), batch_size=64, epochs=2, random_state=0)


@pytest.mark.parametrize("n_workers", [0, 1, 3])
def test_of_larger_networks_there_are_as_many_as_places(n_workers, monkeypatch):
    monkeypatch.setattr(_places, "most_workers", lambda: n_workers)
    side_by_side = SideBySide(MIDDLE, None, X, y)
    assert side_by_side.n_together([{}] * 6) == 1 + n_workers
    assert side_by_side.n_together([{}] * 2) == min(2, 1 + n_workers)


def test_larger_networks_train_at_once_and_alone_with_the_same_results(
    together, monkeypatch
):
    monkeypatch.setattr(_places, "most_workers", lambda: 1)
    stage = [Stage("rate", {"learning_rate": [0.001, 0.003, 0.01]})]
    beside = StagedSearchCV(MIDDLE, stage, cv=2, random_state=0).fit(X, y)
    assert set(together) == {1}  # none is beside another one
    alone = StagedSearchCV(MIDDLE, stage, cv=2, random_state=0, n_jobs=1).fit(X, y)
    np.testing.assert_equal(scores(beside), scores(alone))


def test_tasks_that_gain_and_others_are_divided_in_their_order():
    side_by_side = SideBySide(KerasMLPClassifier(**SMALL), None, X, y)
    wide, deep = {"widths": 20_000}, {"depth": 2}
    groups = side_by_side.groups([{}, deep, wide, wide, {}])
    assert groups == [range(2), range(2, 4), range(4, 5)]
    assert side_by_side.groups([wide, wide]) == [range(2)]
    asked = SideBySide(KerasMLPClassifier(**SMALL), 1, X, y)
    assert asked.groups([{}, wide, {}]) == [range(3)]


def test_a_stage_with_a_large_network_trains_the_small_ones_side_by_side(together):
    stages = [Stage("width", {"widths": [8, 9, 20_000]})]
    network = KerasMLPClassifier(**{**SMALL, "epochs": 2}, random_state=0)
    told = []
    search = StagedSearchCV(network, stages, cv=3, refit=False, random_state=0)
    beside = clone(search).set_params(on_trial_end=told.append).fit(X, y)
    assert max(together) == 3
    np.testing.assert_equal(
        scores(beside), scores(search.set_params(n_jobs=1).fit(X, y))
    )
    assert [trial.candidate for trial in told] == [0] * 3 + [1] * 3 + [2] * 3
