"""A staged search lets small networks train side by side, by itself."""

import threading
import time

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skmnist
from skmnist import KerasMLPClassifier, Race, Stage, StagedSearchCV
from skmnist.model_selection import _executors
from skmnist.model_selection._executors import SideBySide
from skmnist.neural_network.engines import _array_fit

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
        "many products": (KerasMLPClassifier(widths=(250, 200)), {}),
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


def test_fits_on_many_values_run_one_after_the_other():
    many = np.zeros((2**18 + 1, 4), np.float32)
    classes = np.arange(len(many)) % 3
    network = KerasMLPClassifier(**SMALL)
    assert SideBySide(network, None, many, classes).n_together([{}] * 6) == 1
    few = SideBySide(network, None, many[: 2**18], classes[: 2**18])
    assert few.n_together([{}] * 6) == 6
