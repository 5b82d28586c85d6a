# SPDX-License-Identifier: BSD-3-Clause

import pickle

import numpy as np
import pytest
import sklearn
from scipy.stats import randint
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedKFold,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

from skmnist import prefer, record_scoring, smallest
from skmnist.model_selection import Stage, StagedSearchCV, StageResult
from skmnist.model_selection._stage import overlay

X, Y = load_iris(return_X_y=True)
TREE = DecisionTreeClassifier(random_state=0)
DEPTHS = {"max_depth": [1, 2, 3]}
LEAVES = {"min_samples_leaf": [1, 5]}


class Formula(ClassifierMixin, BaseEstimator):
    """A classifier whose score is a formula of its parameters."""

    def __init__(self, a=0, b=0, depth=1, formula=None):
        self.a = a
        self.b = b
        self.depth = depth
        self.formula = formula

    def fit(self, X, y):
        if isinstance(self.a, str) and self.a == "bad":
            raise RuntimeError("a is bad")
        self.classes_ = np.unique(y)
        return self

    def score(self, X, y):
        return self.formula(self)

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def chance(model):
    """Draw a score; the same parameters always have the same one."""
    return np.random.default_rng([3, model.a, model.b, model.depth]).random()


def search(stages, formula=chance, **params):
    """Fit a search over formulas, on one split: a formula has the same score on all."""
    cv = params.pop("cv", [(np.arange(100), np.arange(100, 150))])
    return StagedSearchCV(Formula(formula=formula), stages, cv=cv, **params).fit(X, Y)


def assert_same_results(results, expected):
    """Compare two tables, without their times."""
    names = {name for name in expected if "time" not in name and name != "stage"}
    assert {name for name in results if "time" not in name} - {"stage"} == names
    for name in names:
        np.testing.assert_array_equal(results[name], expected[name], err_msg=name)
        assert np.array_equal(
            np.ma.getmaskarray(np.ma.asarray(results[name])),
            np.ma.getmaskarray(np.ma.asarray(expected[name])),
        )


# With one stage the search gives the results of scikit-learn's searches.


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_train_score": True},
        {"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro"},
        {"cv": ShuffleSplit(3, random_state=0), "scoring": "f1_macro"},
    ],
    ids=str,
)
def test_one_stage_is_grid_search(options):
    grid = [{"max_depth": [1, 2, 3]}, {"criterion": ["entropy"], "max_depth": [2]}]
    expected = GridSearchCV(TREE, grid, **options).fit(X, Y)
    staged = StagedSearchCV(TREE, [Stage("all", grid)], **options).fit(X, Y)
    assert_same_results(staged.cv_results_, expected.cv_results_)
    assert staged.best_index_ == expected.best_index_
    assert staged.best_params_ == expected.best_params_
    assert staged.best_score_ == expected.best_score_
    assert staged.score(X, Y) == expected.score(X, Y)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "space",
    [
        {"max_depth": [1, 2, 3], "min_samples_leaf": [1, 5]},
        {"max_depth": randint(1, 9), "min_samples_leaf": [1, 5]},
        [{"max_depth": randint(1, 9)}, {"min_samples_leaf": randint(1, 9)}],
    ],
    ids=["lists", "distribution", "several"],
)
def test_one_sampled_stage_is_randomized_search(space, seed):
    expected = RandomizedSearchCV(TREE, space, n_iter=4, random_state=seed).fit(X, Y)
    stages = [Stage("some", space, n_iter=4)]
    staged = StagedSearchCV(TREE, stages, random_state=seed).fit(X, Y)
    assert_same_results(staged.cv_results_, expected.cv_results_)


# What is carried from stage to stage.


def test_the_winner_is_carried_into_the_next_stage():
    staged = search(
        [Stage("a", {"a": [1, 2]}), Stage("b", {"b": [0, 5, 6]})],
        lambda model: (model.a + model.b) / 100,
    )
    assert staged.cv_results_["params"] == [
        {"a": 1},
        {"a": 2},
        {"a": 2, "b": 0},
        {"a": 2, "b": 5},
        {"a": 2, "b": 6},
    ]
    assert staged.cv_results_["stage"].tolist() == ["a", "a", "b", "b", "b"]
    assert staged.best_params_ == {"a": 2, "b": 6}
    assert staged.best_score_ == 0.08
    assert staged.best_index_ == 4


def test_the_incumbent_takes_part_with_the_values_it_has():
    # b is 0 before it is searched.
    staged = search(
        [Stage("a", {"a": [1, 2]}), Stage("b", {"b": [5, 6]})],
        lambda model: (model.a - model.b + 50) / 100,
    )
    assert staged.cv_results_["params"][2:] == [
        {"a": 2, "b": 0},
        {"a": 2, "b": 5},
        {"a": 2, "b": 6},
    ]
    assert staged.stages_[1].incumbent == staged.stages_[1].winner == 2
    assert staged.best_params_ == {"a": 2, "b": 0}


def test_the_incumbent_wins_ties():
    staged = search([Stage("a", {"a": [1]}), Stage("b", {"b": [5]})], lambda model: 0.5)
    assert staged.best_params_ == {"a": 1, "b": 0}


@pytest.mark.parametrize(
    "current, tried",
    [
        (4, 4),
        (4, np.int64(4)),
        ((3, 4), [3, 4]),
        ((3, 4), np.array([3, 4])),
        ({"x": [1]}, {"x": (1,)}),
        (float("nan"), float("nan")),
        (GaussianNB(), GaussianNB()),
        (len, len),
    ],
    ids=str,
)
def test_the_same_parameters_are_not_evaluated_twice(current, tried):
    stages = [Stage("b", {"b": [1]}), Stage("a", {"a": [7, tried]})]
    estimator = Formula(a=current, formula=lambda model: 0.5)
    staged = StagedSearchCV(estimator, stages, cv=2, refit=False).fit(X, Y)
    assert len(staged.cv_results_["params"]) == 3
    assert staged.stages_[1].incumbent == 2


@pytest.mark.parametrize(
    "current, tried",
    [
        (1, 1.0),
        (True, 1),
        (400, (400, 400)),
        ("4", 4),
        (GaussianNB(), GaussianNB(var_smoothing=0.1)),
        (None, 0),
    ],
    ids=str,
)
def test_parameters_that_differ_are_all_evaluated(current, tried):
    # max_features=1 and max_features=1.0 are one feature and all features.
    stages = [Stage("b", {"b": [1]}), Stage("a", {"a": [tried]})]
    estimator = Formula(a=current, formula=lambda model: 0.5)
    staged = StagedSearchCV(estimator, stages, cv=2, refit=False).fit(X, Y)
    assert len(staged.cv_results_["params"]) == 3


def test_a_further_stage_never_makes_the_model_worse():
    # Under best_score the incumbent takes part in each stage and can be kept.
    for seed in range(20):
        rng = np.random.default_rng(seed)
        stages = [
            Stage(f"{name} {i}", {name: rng.permutation(50)[:3].tolist()})
            for i, name in enumerate(["a", "b", "depth", "a", "b"])
        ]
        scores = [search(stages[: n + 1]).best_score_ for n in range(5)]
        assert scores == sorted(scores)


def test_the_order_of_the_candidates_does_not_matter():
    # Random scores have no ties, so only the set of candidates counts.
    for seed in range(20):
        rng = np.random.default_rng(seed)
        a, b = rng.permutation(50)[:5].tolist(), rng.permutation(50)[:5].tolist()
        forth = search([Stage("a", {"a": a}), Stage("b", {"b": b})])
        back = search([Stage("a", {"a": a[::-1]}), Stage("b", {"b": b[::-1]})])
        assert forth.best_params_ == back.best_params_


def test_a_function_is_given_all_parameters_chosen_so_far():
    seen = []

    def around(chosen):
        seen.append(chosen)
        return {"b": [chosen["a"] + 1]}

    staged = search([Stage("a", {"a": [4]}), Stage("b", around)])
    assert {name: seen[0][name] for name in ("a", "b", "depth")} == {
        "a": 4,
        "b": 0,
        "depth": 1,
    }
    assert {"a": 4, "b": 5} in staged.cv_results_["params"]


def test_a_function_in_the_first_stage_is_given_the_estimators_parameters():
    staged = search([Stage("a", lambda chosen: {"a": [chosen["depth"] + 1]})])
    assert staged.best_params_ == {"a": 2}


def test_the_rule_of_a_stage_sees_the_rows_of_that_stage_only():
    staged = search(
        [
            Stage("a", {"a": [1, 2, 9]}),
            Stage("b", {"b": [3, 2, 0]}, rule=smallest("b", tolerance=0.05)),
        ],
        lambda model: (model.a + model.b) / 100,
    )
    assert staged.best_params_ == {"a": 9, "b": 0}


def test_folds_are_drawn_once():
    # The splitter has no seed and would draw others in each stage. Both stages
    # evaluate the same parameters and so must find the same scores.
    stages = [Stage("1", {"max_depth": [2]}), Stage("2", {"max_depth": [2]})]
    staged = StagedSearchCV(TREE, stages, cv=ShuffleSplit(5)).fit(X, Y)
    scores = [staged.cv_results_[f"split{i}_test_score"] for i in range(5)]
    assert all(first == second for first, second in scores)


def test_samples_of_two_stages_are_different_draws():
    space = {"a": randint(0, 10**6)}
    staged = search(
        [Stage("1", space, n_iter=1), Stage("2", space, n_iter=1)], random_state=0
    )
    assert len({params["a"] for params in staged.cv_results_["params"]}) == 2


# Components of a pipeline.

STUMP = DecisionTreeClassifier(max_depth=1, random_state=0)
PIPELINE = Pipeline([("scale", StandardScaler()), ("clf", STUMP)])


def test_stages_search_the_steps_of_a_pipeline():
    stages = [
        Stage("scale", {"scale": ["passthrough"]}),
        Stage("d", {"clf__max_depth": [1, 3]}),
    ]
    staged = StagedSearchCV(PIPELINE, stages).fit(X, Y)
    assert staged.best_params_["clf__max_depth"] == 3
    assert staged.best_params_["scale"] == "passthrough"


def test_what_was_chosen_for_a_component_goes_when_it_is_replaced():
    stages = [
        Stage("d", {"clf__max_depth": [3]}),
        Stage("clf", {"clf": [GaussianNB()]}),
    ]
    staged = StagedSearchCV(PIPELINE, stages).fit(X, Y)
    incumbent, other = staged.cv_results_["params"][1:]
    assert (incumbent["clf"], incumbent["clf__max_depth"]) == (STUMP, 3)
    assert list(other) == ["clf"]


def test_a_component_brings_its_own_parameters():
    before = PIPELINE.get_params()
    after = overlay(before, {"clf__var_smoothing": 0.5, "clf": GaussianNB()})
    assert after["clf__var_smoothing"] == 0.5
    assert "clf__max_depth" not in after


def test_a_grid_may_search_the_parameters_of_what_it_puts_in():
    stages = [
        Stage("d", {"clf__max_depth": [3]}),
        Stage("clf", {"clf": [GaussianNB()], "clf__var_smoothing": [1e-9, 1e-3]}),
        Stage("more", {"clf__var_smoothing": [1e-2]}),
    ]
    nb = Stage("clf", stages[1].params, rule=prefer("clf", GaussianNB(), 1.0))
    staged = StagedSearchCV(PIPELINE, [stages[0], nb, stages[2]]).fit(X, Y)
    assert staged.best_params_["clf"] == nb.params["clf"][0]


# Growth.


def depths(staged):
    return staged.cv_results_["param_depth"].tolist()


def test_a_stage_grows_while_the_gain_is_significant():
    # One split of 50 rows: from 0.1 to 0.4 to 0.7 to 0.9 are significant gains,
    # from 0.9 to 0.91 is not.
    scores = {1: 0.1, 2: 0.4, 3: 0.7, 4: 0.9, 5: 0.91, 6: 1.0}
    staged = search(
        [Stage("depth", {"depth": [1, 2]}, grow="depth")],
        lambda model: scores[model.depth],
    )
    assert depths(staged) == [1, 2, 3, 4, 5]
    assert staged.best_params_ == {"depth": 5}
    assert staged.stages_[0].indices == (0, 1, 2, 3, 4)
    assert staged.stages_[0].reason.endswith("; depth=5 is no significant gain over 4")


def test_a_stage_does_not_grow_without_a_gain_in_its_grid():
    staged = search(
        [Stage("depth", {"depth": [1, 2]}, grow="depth")], lambda model: 0.5
    )
    assert depths(staged) == [1, 2]


def test_growth_compares_the_best_at_each_value():
    # The worst and the last candidate of depth 2 are no gain.
    scores = {(1, 1): 0.3, (1, 2): 0.1, (2, 1): 0.9, (2, 2): 0.1}
    staged = search(
        [Stage("depth", {"depth": [1, 2], "a": [1, 2]}, grow="depth")],
        lambda model: scores.get((model.depth, model.a), 0.0),
    )
    assert depths(staged) == [1, 2, 1, 2, 3, 3]


def test_growth_keeps_the_other_parameters_of_the_largest_value():
    grid = [{"depth": [1], "a": [1, 2, 3]}, {"depth": [3], "a": [5, 6]}]
    staged = search(
        [Stage("depth", grid, grow="depth")],
        lambda model: 0.1 if model.depth == 1 else 0.9,
    )
    assert staged.cv_results_["params"][-2:] == [
        {"a": 5, "depth": 4},
        {"a": 6, "depth": 4},
    ]


def test_growth_ends_after_max_grow_values():
    staged = search(
        [Stage("depth", {"depth": [1, 2]}, grow="depth", max_grow=2)],
        lambda model: model.depth / 5,
    )
    assert depths(staged) == [1, 2, 3, 4]
    assert staged.stages_[0].reason.endswith("growth ended after max_grow=2 values")


def test_growth_carries_what_was_chosen_before():
    staged = search(
        [
            Stage("a", {"a": [7]}),
            Stage("depth", {"depth": [1, 2]}, grow="depth", max_grow=1),
        ],
        lambda model: model.depth / 5,
    )
    assert staged.best_params_ == {"a": 7, "depth": 3}


def test_growth_on_several_splits_is_judged_by_the_paired_test():
    # The gain is the same in each split, so it is significant however small.
    staged = search(
        [Stage("depth", {"depth": [1, 2]}, grow="depth", max_grow=1)],
        lambda model: model.depth / 2**10,
        cv=4,
    )
    assert depths(staged) == [1, 2, 3]


def test_a_value_at_which_all_fits_fail_ends_growth():
    def fragile(model):
        return {1: 0.1, 2: 0.9}[model.depth]

    class Shallow(Formula):
        def fit(self, X, y):
            if self.depth > 2:
                raise RuntimeError("too deep")
            return super().fit(X, y)

    staged = StagedSearchCV(
        Shallow(formula=fragile),
        [Stage("depth", {"depth": [1, 2]}, grow="depth")],
        cv=[(np.arange(100), np.arange(100, 150))],
    )
    with pytest.warns(FitFailedWarning, match="too deep; growth ends at depth=2"):
        staged.fit(X, Y)
    assert depths(staged) == [1, 2]
    assert staged.best_params_ == {"depth": 2}


def test_growth_that_cannot_be_judged_is_reported_and_ends():
    stages = [Stage("depth", {"depth": [1, 2]}, grow="depth")]
    with pytest.warns(UserWarning, match="stage 'depth' cannot grow: one split"):
        staged = search(stages, lambda model: model.depth - 10)
    assert depths(staged) == [1, 2]


# Failures.


def test_a_candidate_that_fails_does_not_win():
    with pytest.warns() as caught:
        staged = search([Stage("a", {"a": ["bad", 1]})], lambda model: 0.1)
    assert staged.best_params_ == {"a": 1}
    assert {w.category for w in caught} == {FitFailedWarning, UserWarning}
    assert "in stage 'a': [nan 0.1]" in str(caught[-1].message)


def test_a_stage_in_which_all_fail_is_named_with_the_cause():
    stages = [Stage("good", {"b": [1]}), Stage("worse", {"a": ["bad"], "b": [2]})]
    estimator = Formula(a="bad")
    with pytest.raises(ValueError, match="^stage 'good': all 1 candidates failed: R"):
        StagedSearchCV(estimator, stages).fit(X, Y)


def test_the_cause_of_a_failure_is_one_line_of_the_traceback():
    with pytest.raises(ValueError) as error:
        search([Stage("a", {"a": ["bad"]})])
    assert str(error.value) == (
        "stage 'a': all 1 candidates failed: RuntimeError: a is bad"
    )
    assert "Traceback" in str(error.value.__cause__)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_a_stage_of_which_no_candidate_has_a_score_is_named_with_the_cause():
    # Each candidate fails in one fold of two, so no candidate has a mean score.
    class Fickle(Formula):
        def fit(self, X, y):
            if X[0, 0] == 0:
                raise RuntimeError("unlucky")
            return super().fit(X, y)

    folds = [(np.arange(100), np.arange(50)), (np.arange(1, 100), np.arange(50))]
    broken = np.where(np.arange(150)[:, None] == 0, 0, X)
    staged = StagedSearchCV(
        Fickle(formula=chance), [Stage("a", {"a": [1, 2]})], cv=folds
    )
    with pytest.raises(ValueError, match="^stage 'a': every candidate .* unlucky$"):
        staged.fit(broken, Y)


@pytest.mark.filterwarnings(r"ignore:\s*1 fits failed out of")
@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_the_incumbent_survives_a_stage_in_which_all_others_fail():
    stages = [Stage("b", {"b": [1]}), Stage("a", {"a": ["bad"]})]
    with pytest.warns(FitFailedWarning, match="stage 'a': only the incumbent"):
        staged = search(stages, lambda model: 0.5)
    assert staged.best_params_ == {"b": 1, "a": 0}


def test_error_score_raise_passes_the_error_on():
    with pytest.raises(RuntimeError, match="a is bad"):
        search([Stage("a", {"a": ["bad"]})], error_score="raise")


@pytest.mark.parametrize(
    "rule, message",
    [
        (lambda table: 7, "stage 'a': the rule chose row 7"),
        (lambda table: "best", "stage 'a': the rule chose row 'best'"),
        (lambda table: None, "stage 'a': the rule chose row None"),
        (smallest("formula"), "stage 'a': 'formula' is neither a searched"),
    ],
)
def test_a_rule_that_fails_is_named_with_its_stage(rule, message):
    with pytest.raises(ValueError, match=message):
        search([Stage("a", {"a": [1]}, rule=rule)], lambda model: 0.5)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_a_rule_that_chooses_a_nan_is_refused():
    # NumPy's argmax returns the position of a NaN.
    stage = Stage("a", {"a": [1, "bad"]}, rule=lambda t: t["mean_test_score"].argmax())
    with pytest.raises(
        ValueError, match="stage 'a': the rule chose a row of score NaN"
    ):
        search([stage], lambda model: 0.5)


class Fragile(Formula):
    """A classifier that fits on folds; with b=9 it does not on all data."""

    def fit(self, X, y):
        if self.b == 9 and len(X) == 150:
            raise RuntimeError("not on all data")
        return super().fit(X, y)


def interrupted(trial):
    raise KeyboardInterrupt


def full(result, table):
    raise OSError("no space left")


@pytest.mark.parametrize(
    "changes, error",
    [
        ({"stages": [Stage("a", {"a": ["bad"]})]}, "all 1 candidates failed"),
        ({"stages": [Stage("b", {"b": [9]})]}, "not on all data"),
        ({"stages": [Stage("a", {"z": [1]})]}, "no parameter 'z'"),
        ({"on_trial_end": interrupted}, None),
        ({"on_stage_end": full}, "no space left"),
        ({"time_budget": 1e-9}, "nothing is chosen"),
        ({"memory": "nowhere"}, "memory keeps the fits of KerasMLPClassifier"),
        ({"scoring": ["f1_macro", "f1_micro"]}, "refit must name the metric"),
    ],
    ids=["fit", "refit", "stage", "Ctrl-C", "disk", "time", "memory", "metric"],
)
def test_a_fit_that_fails_leaves_the_search_as_it_was(changes, error):
    stages = [Stage("a", {"a": [1, 2]})]
    given = {"cv": [(np.arange(100), np.arange(50))], "error_score": np.nan}
    fitted = StagedSearchCV(Fragile(formula=chance), stages, **given).fit(X, Y)
    for search in (fitted, clone(fitted)):
        search.set_params(**changes)
        before = dict(vars(search))
        with pytest.raises((Exception, KeyboardInterrupt), match=error):
            search.fit(X, Y)
        assert vars(search) == before
        if search is not fitted:
            with pytest.raises(NotFittedError):
                search.predict(X)


def test_a_search_that_is_fitted_again_forgets_what_it_had_learned():
    staged = StagedSearchCV(TREE, [Stage("d", DEPTHS)]).fit(X, Y)
    staged.set_params(refit=False).fit(X, Y)
    assert not hasattr(staged, "best_estimator_")
    assert not hasattr(staged, "refit_time_")


def test_a_fit_changes_no_parameter():
    staged = StagedSearchCV(TREE, [Stage("d", DEPTHS)], random_state=0)
    before = dict(vars(staged))
    staged.fit(X, Y)
    assert {name: vars(staged)[name] for name in before} == before


# What is refused before anything is fitted.


class Unfittable(Formula):
    def fit(self, X, y):
        raise AssertionError("the search has started")


GOOD = Stage("good", {"a": [1, 2]})


@pytest.mark.parametrize(
    "stages, message",
    [
        ([], "stages is empty"),
        ([GOOD, {"b": [1]}], "stages must hold Stage objects only; got {'b'"),
        ([GOOD, Stage("good", {"b": [1]})], "two stages have the name 'good'"),
        ([GOOD, Stage("", {"b": [1]})], "the name of a stage must be a text; got ''"),
        ([GOOD, Stage("s", {})], "stage 's': the grid is empty"),
        ([GOOD, Stage("s", [])], "stage 's': the grid is empty"),
        ([GOOD, Stage("s", {"b": []})], "stage 's': .* non-empty sequence"),
        ([GOOD, Stage("s", {"b": "auto"})], "stage 's': .* needs to be a list"),
        ([GOOD, Stage("s", 3)], "stage 's': params must be a dict, .* got 3"),
        ([GOOD, Stage("s", {"dept": [1]})], "stage 's': .* 'dept'; did you mean 'dep"),
        ([GOOD, Stage("s", {"qqq": [1]})], "stage 's': .* no parameter 'qqq'$"),
        ([GOOD, Stage("s", {"b": randint(0, 3)})], "stage 's': .* needs n_iter"),
        (
            [GOOD, Stage("s", {"b": randint(0, 3), "a": []}, n_iter=3)],
            "stage 's': .* non-empty sequence",
        ),
        ([GOOD, Stage("s", {"b": [1]}, n_iter=0)], "stage 's': n_iter must be a posi"),
        ([GOOD, Stage("s", {"b": [1]}, rule=3)], "stage 's': rule must be a function"),
        ([GOOD, Stage("s", {"b": [1]}, grow="a")], "stage 's': grow='a' needs two or"),
        ([GOOD, Stage("s", {"b": [1]}, grow="b")], "stage 's': grow='b' needs two or"),
        (
            [GOOD, Stage("s", {"b": [0.5, 1.5]}, grow="b")],
            "stage 's': grow='b' needs two or more whole numbers",
        ),
        (
            [GOOD, Stage("s", {"b": [1, 2]}, grow="b", max_grow=0)],
            "stage 's': max_grow must be a positive number; got 0",
        ),
        (
            [GOOD, Stage("s", {"b": [1, 2]}, grow="b", n_iter=2)],
            "stage 's': grow needs a grid",
        ),
    ],
)
def test_a_wrong_stage_is_refused_before_the_first_fit(stages, message):
    staged = StagedSearchCV(Unfittable(), stages, error_score="raise")
    with pytest.raises(ValueError, match=message) as error:
        staged.fit(X, Y)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda chosen: {}, "stage 's': the grid is empty"),
        (lambda chosen: {"bb": [1]}, "stage 's': .* 'bb'; did you mean 'b'"),
        (lambda chosen: None, "stage 's': params must be .* got None"),
        (
            lambda chosen: {"b": [chosen["depths"]]},
            "stage 's': its function failed, .* 'depths'; did you mean 'depth'",
        ),
    ],
)
def test_what_a_function_returns_is_checked_at_once(function, message):
    with pytest.raises(ValueError, match=message):
        search([GOOD, Stage("s", function)])


def test_an_unknown_parameter_of_a_step_is_refused_before_the_first_fit():
    estimator = Pipeline([("scale", StandardScaler()), ("clf", Unfittable())])
    stages = [
        Stage("a", lambda chosen: {"clf__a": [1]}),
        Stage("b", {"clf__dept": [1]}),
    ]
    with pytest.raises(ValueError, match="did you mean 'clf__depth'"):
        StagedSearchCV(estimator, stages, error_score="raise").fit(X, Y)


# Several metrics.


def test_records_become_columns_and_accuracy_decides():
    staged = StagedSearchCV(
        TREE, [Stage("d", DEPTHS), Stage("l", LEAVES)], scoring=record_scoring()
    ).fit(X, Y)
    assert staged.metric_ == "accuracy"
    assert staged.cv_results_["mean_test_n_test"].tolist() == [30] * 5
    assert staged.best_score_ == staged.cv_results_["mean_test_accuracy"].max()
    assert staged.score(X, Y) == staged.best_estimator_.score(X, Y)


def test_a_record_that_is_nan_is_no_warning():
    # A tree has none of the recorded attributes; warnings are errors here.
    staged = StagedSearchCV(TREE, [Stage("d", DEPTHS)], scoring=record_scoring())
    assert np.isnan(staged.fit(X, Y).cv_results_["mean_test_n_parameters"]).all()


def test_a_metric_that_is_nan_is_a_warning():
    scoring = {**record_scoring(), "other": lambda model, X, y: float("nan")}
    staged = StagedSearchCV(TREE, [Stage("d", {"max_depth": [1]})], scoring=scoring)
    with pytest.warns(UserWarning, match="scores are non-finite in stage 'd'") as seen:
        staged.fit(X, Y)
    assert len(seen) == 1


def test_a_rule_reads_the_recorded_validation_accuracy():
    network = MLPClassifier(
        3, early_stopping=True, max_iter=400, n_iter_no_change=1, random_state=0
    )
    rule = smallest("validation_accuracy", tolerance=1.0)
    stages = [Stage("lr", {"learning_rate_init": [0.1, 0.05, 1e-5]}, rule=rule)]
    staged = StagedSearchCV(network, stages, scoring=record_scoring(), cv=2).fit(X, Y)
    accuracies = staged.cv_results_["mean_test_validation_accuracy"]
    assert accuracies[staged.best_index_] == accuracies.min() < accuracies.max()


@pytest.mark.parametrize("refit", [True, False])
def test_the_best_score_is_always_set(refit):
    staged = StagedSearchCV(
        TREE, [Stage("d", DEPTHS)], scoring=record_scoring(), refit=refit
    ).fit(X, Y)
    best = staged.cv_results_["mean_test_accuracy"][staged.best_index_]
    assert staged.best_score_ == best
    assert hasattr(staged, "best_estimator_") is refit


def test_refit_names_the_metric_that_decides():
    scoring = {
        "accuracy": lambda model, X, y: -model.max_depth,
        "other": lambda model, X, y: model.max_depth,
    }
    staged = StagedSearchCV(TREE, [Stage("d", DEPTHS)], scoring=scoring, refit="other")
    assert staged.fit(X, Y).best_params_ == {"max_depth": 3}
    assert staged.score(X, Y) == 3


def test_the_only_metric_decides_whatever_its_name():
    staged = StagedSearchCV(
        TREE, [Stage("d", DEPTHS)], scoring=record_scoring("f1_macro")
    )
    assert staged.fit(X, Y).metric_ == "f1_macro"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"scoring": ["f1_macro", "f1_micro"]}, "refit must name the metric"),
        ({"scoring": record_scoring(), "refit": "f1"}, "refit='f1' is none of the"),
        (
            {"scoring": lambda model, X, y: {"one": 1, "two": 2}},
            "a function of several metrics; .* refit='one'",
        ),
    ],
)
def test_a_metric_that_is_not_clear_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        StagedSearchCV(TREE, [Stage("d", DEPTHS)], **options).fit(X, Y)


def test_scoring_may_be_a_function_of_several_metrics():
    staged = StagedSearchCV(
        TREE,
        [Stage("d", DEPTHS)],
        scoring=lambda model, X, y: {"up": model.max_depth, "down": -model.max_depth},
        refit="down",
    ).fit(X, Y)
    assert staged.best_params_ == {"max_depth": 1}


# As a scikit-learn estimator.


@parametrize_with_checks(
    [StagedSearchCV(LogisticRegression(), [Stage("C", {"C": [0.1, 1]})])]
)
# The checks fit on data with NaN, and with too few iterations.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores")
@pytest.mark.filterwarnings("ignore:Scoring failed")
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_scikit_learns_checks(estimator, check):
    with threadpool_limits(1):  # more threads are slower on such small data
        check(estimator)


def test_two_processes_find_the_same():
    stages = [Stage("d", DEPTHS, grow="max_depth"), Stage("l", LEAVES)]
    one = StagedSearchCV(TREE, stages, scoring=record_scoring()).fit(X, Y)
    two = clone(one).set_params(n_jobs=2).fit(X, Y)
    assert_same_results(two.cv_results_, one.cv_results_)
    assert two.stages_ == one.stages_


def test_a_search_survives_pickling():
    staged = StagedSearchCV(TREE, [Stage("d", DEPTHS), Stage("l", LEAVES)]).fit(X, Y)
    again = pickle.loads(pickle.dumps(staged))
    assert again.stages_ == staged.stages_
    assert (again.predict(X) == staged.predict(X)).all()


def test_a_search_can_be_cloned():
    stages = [Stage("d", DEPTHS), Stage("l", LEAVES, rule=smallest("min_samples_leaf"))]
    copy = clone(StagedSearchCV(TREE, stages, random_state=3))
    assert copy.stages == stages
    assert copy.random_state == 3


def test_the_parameters_of_the_estimator_are_parameters_of_the_search():
    staged = StagedSearchCV(clone(TREE), [Stage("d", DEPTHS)])
    assert staged.set_params(estimator__max_leaf_nodes=4).estimator.max_leaf_nodes == 4


def test_a_search_can_be_searched():
    inner = StagedSearchCV(TREE, [Stage("d", DEPTHS)], cv=2)
    outer = GridSearchCV(inner, {"estimator__criterion": ["gini", "entropy"]}, cv=2)
    assert outer.fit(X, Y).best_score_ > 0.9


def test_metadata_is_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = get_scorer("accuracy").set_score_request(sample_weight=False)
        staged = StagedSearchCV(
            clone(TREE).set_fit_request(sample_weight=True),
            [Stage("d", DEPTHS)],
            scoring=record_scoring({"accuracy": scorer}),
        ).fit(X, Y, sample_weight=np.where(Y == 0, 0.0, 1.0))
    assert 0 not in staged.predict(X)  # the class that has no weight


def test_sample_weights_reach_the_fits():
    stages = [Stage("d", DEPTHS), Stage("l", LEAVES)]
    staged = StagedSearchCV(TREE, stages, scoring=record_scoring())
    staged.fit(X, Y, sample_weight=np.where(Y == 0, 0.0, 1.0))
    assert 0 not in staged.predict(X)


def test_groups_reach_the_splitter():
    groups = np.random.default_rng(0).integers(0, 3, 150)
    stages = [Stage("d", DEPTHS), Stage("l", LEAVES)]
    staged = StagedSearchCV(TREE, stages, cv=GroupKFold(3), scoring=record_scoring())
    staged.fit(X, Y, groups=groups)
    sizes = {staged.cv_results_[f"split{i}_test_n_test"][-1] for i in range(3)}
    assert sizes == set(np.bincount(groups))


# What a search reports while it runs, and when it is finished.


def test_each_stage_says_what_it_found():
    staged = search(
        [Stage("a", {"a": [1, 2]}), Stage("b", {"b": [5]}, rule=prefer("b", 5, 1.0))],
        lambda model: (model.a - model.b + 50) / 100,
    )
    assert staged.stages_ == [
        StageResult(
            name="a",
            rule="best_score",
            reason="52.00 % is the highest score of 2 candidates",
            indices=(0, 1),
            winner=1,
            incumbent=None,
            params={"a": 2},
            best_params={"a": 2},
        ),
        StageResult(
            name="b",
            rule="prefer(param='b', value=5, tolerance=1.0)",
            reason="b=5 is recommended, and its score of 47.00 % is at most 100 % "
            "below the best (52.00 %)",
            indices=(2, 3),
            winner=3,
            incumbent=2,
            params={"b": 5},
            best_params={"a": 2, "b": 5},
        ),
    ]


def test_a_stage_is_reported_when_it_ends():
    told = []
    staged = search(
        [Stage("a", {"a": [1, 2]}), Stage("b", {"b": [0, 5]})],
        on_stage_end=lambda result, table: told.append((result, len(table["params"]))),
    )
    assert told == [(staged.stages_[0], 2), (staged.stages_[1], 4)]


def test_what_is_told_stays_in_the_main_process(tmp_path):
    # The search is sent to other processes, and an open file cannot be.
    with open(tmp_path / "log", "w") as log:
        StagedSearchCV(
            TREE,
            [Stage("d", DEPTHS)],
            n_jobs=2,
            on_stage_end=lambda result, table: log.write(result.name),
        ).fit(X, Y)
    assert (tmp_path / "log").read_text() == "d"


def test_callbacks_see_each_stage_and_each_fit():
    class Spy:
        def __init__(self):
            self.began, self.ended, self.sizes = [], 0, {}

        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            self.began.append(context.task_name)
            self.sizes[context.task_name] = context.max_subtasks

        def on_fit_task_end(self, estimator, context):
            self.ended += 1

        def teardown(self, estimator, context):
            pass

    spy = Spy()
    stages = [Stage("d", {"max_depth": [1, 2]}, grow="max_depth", max_grow=1)]
    staged = StagedSearchCV(TREE, [*stages, Stage("l", LEAVES)], cv=2)
    staged.set_callbacks(spy).fit(X, Y)
    assert [name for name in spy.began if name != "candidate-split-evaluation"] == [
        "fit",
        "search",
        "stage d",
        "grid",
        "max_depth=3",
        "stage l",
        "refit-with-best-params",
    ]
    assert spy.began.count("candidate-split-evaluation") == 5 * 2
    assert spy.ended == len(spy.began)
    assert (spy.sizes["search"], spy.sizes["grid"], spy.sizes["stage l"]) == (2, 4, 4)


def test_verbose_names_the_stages(capsys):
    StagedSearchCV(TREE, [Stage("d", DEPTHS)], verbose=1).fit(X, Y)
    assert "Stage 1 of 1: d" in capsys.readouterr().out


@pytest.mark.parametrize(
    "stage, text",
    [
        (Stage("d", DEPTHS), "Stage('d', {'max_depth': [1, 2, 3]})"),
        (
            Stage("d", len, rule=max, grow="a", n_iter=3),
            "Stage('d', len, n_iter=3, rule=max, grow='a')",
        ),
    ],
)
def test_a_stage_is_written_without_its_defaults(stage, text):
    assert repr(stage) == text


def test_the_same_splits_serve_a_splitter_with_a_seed():
    # The stages do what GridSearchCV does if you search stage by stage by hand.
    cv = StratifiedKFold(3, shuffle=True, random_state=1)
    staged = StagedSearchCV(TREE, [Stage("d", DEPTHS), Stage("l", LEAVES)], cv=cv)
    staged.fit(X, Y)
    first = GridSearchCV(TREE, DEPTHS, cv=cv).fit(X, Y)
    grid = {**LEAVES, **{name: [v] for name, v in first.best_params_.items()}}
    second = GridSearchCV(TREE, grid, cv=cv).fit(X, Y)
    assert staged.best_score_ == second.best_score_
    assert staged.best_params_ == second.best_params_
