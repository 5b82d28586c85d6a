"""What a staged search reports of its fits, and what it survives."""

import os
import signal
import socket
import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from skmnist import Stage, StagedSearchCV
from skmnist.model_selection._executors import GivenUp, JoblibWorkers

X, Y = load_iris(return_X_y=True)

# A failure makes two warnings, as in scikit-learn: of the fit, and of its score.
pytestmark = pytest.mark.filterwarnings("ignore:One or more of the test scores are")


def search(estimator=None, stages=None, **params):
    stages = stages or [Stage("depth", {"max_depth": [1, 2, 3]})]
    return StagedSearchCV(
        estimator or DecisionTreeClassifier(random_state=0),
        stages,
        **{"cv": 2, **params},
    )


def local_tree():
    """Return a class that is sent to other processes: they cannot import the tests."""

    class Tree(ClassifierMixin, BaseEstimator):
        def __init__(self, max_depth=1, deadly=0, failing=0):
            self.max_depth = max_depth
            self.deadly = deadly
            self.failing = failing

        def fit(self, X, y):
            if self.max_depth == self.deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.max_depth == self.failing:
                raise ValueError("too deep")
            tree = DecisionTreeClassifier(max_depth=self.max_depth, random_state=0)
            self.tree_ = tree.fit(X, y)
            self.classes_ = np.unique(y)
            return self

        def predict(self, X):
            return self.tree_.predict(X)

    return Tree


# ---- told of one by one ------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_every_trial_is_told_once_with_its_scores(n_jobs):
    told = []
    found = search(n_jobs=n_jobs, on_trial_end=told.append).fit(X, Y)
    scores = {(t.candidate, t.split): t.scores["score"] for t in told}
    assert len(told) == len(scores) == 6
    for (candidate, split), score in scores.items():
        assert found.cv_results_[f"split{split}_test_score"][candidate] == score


def test_a_trial_knows_its_place_and_where_it_ran():
    told = []
    stages = [
        Stage("depth", {"max_depth": [1, 2]}),
        Stage("leaves", {"min_samples_leaf": [3, 4]}),
    ]
    search(stages=stages, on_trial_end=told.append).fit(X, Y)
    first, last = told[0], told[-1]
    assert (first.stage, first.first, first.n_together) == ("depth", 0, 4)
    # The incumbent is the first candidate of the second stage.
    assert (last.stage, last.first, last.n_together) == ("leaves", 2, 6)
    assert last.candidate == 4
    assert (first.host, first.pid) == (socket.gethostname(), os.getpid())
    assert first.versions["numpy"] == np.__version__
    assert last.params["max_depth"] == 2


def test_a_trial_of_several_metrics_has_them_all():
    told = []
    metrics = {"accuracy": "accuracy", "f1": "f1_macro"}
    search(scoring=metrics, on_trial_end=told.append).fit(X, Y)
    assert {frozenset(t.scores) for t in told} == {frozenset(metrics)}


def test_a_fit_that_fails_is_told_with_its_error():
    told = []
    tree = local_tree()(failing=2)
    with pytest.warns(FitFailedWarning):
        search(tree, on_trial_end=told.append).fit(X, Y)
    errors = {t.params["max_depth"]: t.error for t in told}
    assert errors[1] is None
    assert "ValueError: too deep" in errors[2]


def test_what_the_listener_raises_ends_the_search():
    def full(trial):
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        search(on_trial_end=full).fit(X, Y)


# ---- failures ----------------------------------------------------------------------


def test_a_candidate_that_fails_never_wins():
    with pytest.warns(FitFailedWarning):
        found = search(local_tree()(failing=3)).fit(X, Y)
    assert found.best_params_ == {"max_depth": 2}


def test_a_stage_in_which_all_fail_says_which_and_why():
    stages = [Stage("depth", {"max_depth": [2]})]
    with pytest.raises(ValueError, match="stage 'depth': all 1 candidates failed: Val"):
        search(local_tree()(failing=2), stages).fit(X, Y)


def test_a_candidate_that_kills_its_process_is_given_up():
    told, metrics = [], {"accuracy": "accuracy", "f1": "f1_macro"}
    # After each death all processes are started again, which takes a second for each.
    one_split = [(np.arange(0, len(X), 2), np.arange(1, len(X), 2))]
    options = {"cv": one_split, "scoring": metrics}
    with pytest.warns() as caught:
        found = search(
            local_tree()(deadly=3), n_jobs=2, on_trial_end=told.append, **options
        ).fit(X, Y)
    assert found.best_params_ == {"max_depth": 2}
    (named,) = [t for t in told if t.error]
    assert named.params["max_depth"] == 3
    assert "WorkerDiedError" in named.error and named.host is None
    kinds = {warning.category for warning in caught}
    assert {RuntimeWarning, FitFailedWarning} <= kinds
    # The other candidates have the same scores as without it.
    stages = [Stage("depth", {"max_depth": [1, 2]})]
    expected = search(local_tree()(), stages, **options).fit(X, Y)
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_f1"][:2], expected.cv_results_["mean_test_f1"]
    )


@pytest.fixture
def deadly_depth(monkeypatch):
    """A depth whose fits every worker gives up, as one does that was killed."""

    def run(self, function, shared, tasks):
        for number, task in enumerate(tasks):
            deadly = task.params["max_depth"] == 3
            yield number, GivenUp("killed") if deadly else function(*shared, task)

    monkeypatch.setattr(JoblibWorkers, "run", run)
    return 3


def test_a_fit_that_is_given_up_is_told_with_the_score_of_an_error(deadly_depth):
    told = []
    with pytest.warns(FitFailedWarning):
        found = search(on_trial_end=told.append, error_score=-1.0).fit(X, Y)
    given_up = [t for t in told if t.params["max_depth"] == deadly_depth]
    assert [t.scores for t in given_up] == [{"score": -1.0}] * 2
    assert all("WorkerDiedError" in t.error for t in given_up)
    assert found.cv_results_["mean_test_score"][2] == -1.0
    assert found.best_params_ == {"max_depth": 2}


def test_a_deadly_candidate_is_an_error_where_errors_are_to_be_raised(deadly_depth):
    with pytest.raises(RuntimeError, match="was killed 3 times"):
        search(error_score="raise").fit(X, Y)


# ---- budgets -----------------------------------------------------------------------


def slow_after(n_fits, seconds=1.0):
    """Make a listener that waits, until the time is over, after some fits."""
    told = []

    def wait(trial):
        import time

        told.append(trial)
        if len(told) == n_fits:
            time.sleep(seconds)

    return told, wait


def two_stages():
    return [
        Stage("depth", {"max_depth": [1, 2]}),
        Stage("leaves", {"min_samples_leaf": [1, 5]}),
    ]


def test_the_stages_done_stand_when_the_time_is_over():
    told, wait = slow_after(5)
    timed = search(stages=two_stages(), time_budget=0.9, on_trial_end=wait)
    with pytest.warns(ConvergenceWarning, match=r"1 of 4 fits .* 'leaves'; not tried"):
        timed.fit(X, Y)
    assert len(told) == 5
    assert timed.not_tried_ == ["leaves"]
    assert timed.best_params_ == {"max_depth": 2}
    assert set(timed.cv_results_["stage"]) == {"depth"}
    assert timed.predict(X).shape == Y.shape


def test_no_finished_stage_is_an_error():
    _, wait = slow_after(1)
    timed = search(time_budget=0.5, on_trial_end=wait)
    with pytest.raises(TimeoutError, match="1 of 6 fits are done in stage 'depth'"):
        timed.fit(X, Y)


def test_time_enough_leaves_nothing_out():
    timed = search(stages=two_stages(), time_budget=1000).fit(X, Y)
    assert timed.not_tried_ == []


@pytest.mark.parametrize("time_budget", [0, -1, "1h"])
def test_a_time_budget_is_a_positive_number(time_budget):
    with pytest.raises(ValueError, match="time_budget"):
        search(time_budget=time_budget).fit(X, Y)


def test_a_stage_says_what_part_of_its_grid_was_tried():
    stages = [Stage("depth", {"max_depth": [1, 2, 3, 4, 5]}, n_iter=2)]
    found = search(stages=stages, random_state=0).fit(X, Y)
    assert found.stages_[0].reason.endswith("; 2 of 5 points of the grid were tried")


def test_more_samples_than_points_try_the_whole_grid_in_its_order():
    stages = [Stage("depth", {"max_depth": [3, 1, 2]}, n_iter=10)]
    found = search(stages=stages).fit(X, Y)
    assert [p["max_depth"] for p in found.cv_results_["params"]] == [3, 1, 2]
    assert "points" not in found.stages_[0].reason


def test_a_search_of_another_estimator_is_told_of_too():
    told = []
    stages = [Stage("smoothing", {"var_smoothing": [1e-9, 1e-3]})]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search(GaussianNB(), stages, on_trial_end=told.append).fit(X, Y)
    assert len(told) == 4
