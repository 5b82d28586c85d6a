"""The number of hidden layers follows from the values per layer."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skmnist import KerasMLPClassifier, Stage, StagedSearchCV, smallest
from skmnist.neural_network._spec import PER_LAYER, n_hidden_layers, settled

# A constant rate: the programs of a schedule are made for one number of updates.
SMALL = {"epochs": 1, "learning_rate_schedule": "constant", "random_state": 0}
# Its programs are the smallest.
SMALL |= {"optimizer": "sgd", "weight_decay": 0.0, "label_smoothing": 0.0}
# What every user of hidden_layer_sizes writes.
GRID = {"widths": [(100,), (100, 50)]}
VALUES = {"widths": 8, "activations": "tanh", "initializers": "he_normal"}
VALUES["dropout"] = 0.25
assert set(VALUES) == set(PER_LAYER)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X[:200] / 16).astype(np.float32), y[:200]


def units(classifier):
    """Return the units of each hidden layer."""
    return tuple(weights.shape[1] for weights in classifier.coefs_[:-1])


def params(**given):
    return {**KerasMLPClassifier().get_params(deep=False), **given}


# ---- which number ------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [tuple, list, np.array], ids=lambda make: make.__name__
)
@pytest.mark.parametrize("length", [0, 1, 2, 5])
@pytest.mark.parametrize("name", PER_LAYER)
def test_there_are_as_many_layers_as_a_sequence_has_values(name, length, make):
    depth = n_hidden_layers(params(**{name: make([VALUES[name]] * length)}))
    assert (depth, type(depth)) == (length, int)


@pytest.mark.parametrize("length", [0, 1, 3])
def test_all_sequences_may_have_the_same_length(length):
    given = {name: [value] * length for name, value in VALUES.items()}
    assert n_hidden_layers(params(**given)) == length


@pytest.mark.parametrize(
    "given",
    [{}, VALUES, {"widths": np.int64(8)}, {"dropout": np.array(0.1)}],
    ids=["defaults", "others", "numpy", "no dimension"],
)
def test_single_values_make_two_layers(given):
    assert n_hidden_layers(params(**given)) == 2


@pytest.mark.parametrize("depth", [0, 1, 4, np.int64(3)])
def test_a_given_depth_holds(depth):
    found = n_hidden_layers(params(depth=depth))
    assert (found, type(found)) == (depth, int)


def test_settled_parameters_have_the_number_and_are_a_copy():
    given = params(widths=(3, 2, 1))
    assert settled(given) == {**given, "depth": 3}
    assert given["depth"] == "auto"


# A search asks before the fit, whose error it then shows.
def test_parameters_that_contradict_each_other_settle_nothing():
    given = params(widths=(3, 2, 1), dropout=[0.1])
    assert settled(given) == given


# ---- contradictions ----------------------------------------------------------------

PAIRS = [(a, b) for a in PER_LAYER for b in PER_LAYER if a < b]


@pytest.mark.parametrize("lengths", [(1, 2), (3, 2), (0, 1)])
@pytest.mark.parametrize("pair", PAIRS)
def test_sequences_of_different_lengths_are_an_error_that_names_both(
    digits, pair, lengths
):
    given = {n: (VALUES[n],) * k for n, k in zip(pair, lengths, strict=True)}
    with pytest.raises(ValueError) as error:
        KerasMLPClassifier(**given, **SMALL).fit(*digits)
    for name, value in given.items():
        assert f"{name!r} parameter" in str(error.value)
        assert f"{name}={value!r}" in str(error.value)
    for length in lengths:
        assert f"has {length}" in str(error.value)


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("name", PER_LAYER)
def test_a_sequence_against_a_given_depth_is_an_error_that_names_both(
    digits, name, depth
):
    given = {name: (VALUES[name],) * 2}
    with pytest.raises(ValueError, match=f"{name!r} .* 2 values for depth={depth} "):
        KerasMLPClassifier(depth, **given, **SMALL).fit(*digits)


# ---- networks ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"widths": (7,)}, (7,)),
        ({"widths": [7, 6, 5]}, (7, 6, 5)),
        ({"widths": np.array([7, 6])}, (7, 6)),
        ({"widths": (np.int32(7), np.int64(6))}, (7, 6)),
        ({"widths": 7, "activations": ("relu", "tanh", "relu")}, (7, 7, 7)),
        ({"widths": np.int64(7), "initializers": ["he_normal"]}, (7,)),
        ({"widths": 7, "depth": 1}, (7,)),
        ({"widths": (7, 6), "depth": np.int64(2)}, (7, 6)),
        ({"widths": ()}, ()),
        ({"activations": []}, ()),
    ],
    ids=repr,
)
def test_the_network_has_the_layers(digits, given, expected):
    fitted = KerasMLPClassifier(**given, **SMALL).fit(*digits)
    assert units(fitted) == expected
    assert fitted.n_layers_ == len(expected) + 2


@pytest.mark.parametrize(
    ("given", "depth"),
    [({"widths": 9}, 2), ({"widths": (7, 6)}, 2), ({"widths": ()}, 0)],
    ids=repr,
)
def test_a_depth_that_is_given_makes_the_same_weights(digits, given, depth):
    X, y = digits
    ours = KerasMLPClassifier(**given, **SMALL).fit(X, y)
    same = KerasMLPClassifier(depth=depth, **given, **SMALL).fit(X, y)
    np.testing.assert_array_equal(ours.predict_proba(X), same.predict_proba(X))


def test_a_saved_and_a_partly_fitted_one_know_their_layers(digits, tmp_path):
    fitted = KerasMLPClassifier(widths=(7, 6, 5), **SMALL).partial_fit(*digits)
    fitted.save(tmp_path / "m.skmnist")
    again = KerasMLPClassifier.load(tmp_path / "m.skmnist")
    assert (again.depth, again.n_layers_, units(again)) == ("auto", 5, (7, 6, 5))
    np.testing.assert_array_equal(
        again.predict_proba(digits[0]), fitted.predict_proba(digits[0])
    )


def test_another_fit_follows_what_is_set_between(digits):
    classifier = KerasMLPClassifier(widths=(7, 6), **SMALL).fit(*digits)
    assert classifier.set_params(widths=(5,)).fit(*digits).n_layers_ == 3


def test_a_clone_has_no_number_yet():
    classifier = KerasMLPClassifier(widths=(7, 6))
    assert clone(classifier).get_params() == classifier.get_params()
    assert classifier.get_params()["depth"] == "auto"


# ---- searches ----------------------------------------------------------------------


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_a_grid_of_widths_of_different_lengths_has_all_scores(digits, in_pipeline):
    classifier, grid = KerasMLPClassifier(**SMALL), GRID
    if in_pipeline:
        classifier = make_pipeline(MinMaxScaler(), classifier)
        grid = {"kerasmlpclassifier__widths": GRID["widths"]}
    search = GridSearchCV(classifier, grid, cv=2, error_score="raise").fit(*digits)
    scores = [search.cv_results_[f"split{i}_test_score"] for i in (0, 1)]
    assert np.isfinite(scores).all() and np.size(scores) == 4
    best = search.best_estimator_
    best = best[-1] if in_pipeline else best
    assert units(best) == next(iter(search.best_params_.values()))


def test_depth_can_still_be_searched(digits):
    grid = {"depth": [0, 1], "widths": [8]}
    search = GridSearchCV(
        KerasMLPClassifier(**SMALL), grid, cv=2, refit=smallest("depth", tolerance=1)
    ).fit(*digits)
    assert search.best_estimator_.n_layers_ == 2


def test_stages_search_widths_of_different_lengths(digits):
    stages = [Stage("shape", GRID), Stage("more", {"activations": ["relu", "tanh"]})]
    search = StagedSearchCV(
        KerasMLPClassifier(**SMALL, activations="relu"),
        stages,
        cv=2,
        error_score="raise",
    ).fit(*digits)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.cv_results_["params"]) == 4
    assert units(search.best_estimator_) == search.best_params_["widths"]


def staged(stages, digits, start="", **given):
    """Search stages after one that tries nothing new."""
    classifier = KerasMLPClassifier(**SMALL, **given)
    if start:
        classifier = make_pipeline(MinMaxScaler(), classifier)
    stages = [Stage("epochs", {f"{start}epochs": [1]}), *stages]
    return StagedSearchCV(classifier, stages, cv=2, error_score="raise").fit(*digits)


# Otherwise the incumbent would be fitted twice, and no rule could compare "auto".
@pytest.mark.parametrize("start", ["", "kerasmlpclassifier__"])
@pytest.mark.parametrize(
    ("depths", "tried"), [([2, 3], [2, 3]), ([1, 3], [2, 1, 3])], ids=str
)
def test_a_stage_sees_the_number_of_layers_that_it_starts_from(
    digits, start, depths, tried
):
    name = f"{start}depth"
    stage = Stage("depth", {name: depths}, rule=smallest(name, tolerance=1))
    search = staged([stage], digits, start, widths=8)
    assert list(search.cv_results_[f"param_{name}"][1:]) == tried
    assert search.stages_[1].incumbent == 1
    assert search.best_params_[name] == min(tried)


def test_a_stage_that_is_a_function_is_given_the_number(digits):
    seen = []

    def deeper(chosen):
        seen.append(chosen["depth"])
        return {"depth": [chosen["depth"] + 1], "widths": [8]}

    search = staged([Stage("deeper", deeper)], digits, widths=(8,))
    assert seen == [1]
    assert [p.get("depth") for p in search.cv_results_["params"]] == [None, 1, 2]


# The incumbent has the words of the stage before, and the number for the rule.
def test_auto_itself_can_be_searched_before(digits):
    stages = [
        Stage("auto", {"depth": ["auto"], "widths": [(8,)]}),
        Stage("depth", {"depth": [2, 3], "widths": [8]}, rule=smallest("depth", 1)),
    ]
    search = StagedSearchCV(KerasMLPClassifier(**SMALL), stages, cv=2)
    search.fit(*digits)
    assert list(search.cv_results_["param_depth"]) == ["auto", 1, 2, 3]
    assert search.best_params_["depth"] == 1


def test_a_candidate_that_contradicts_itself_fails_alone(digits):
    stage = Stage("layers", {"activations": ["relu", ("relu", "tanh", "relu")]})
    with warnings.catch_warnings(action="ignore"):
        search = StagedSearchCV(
            KerasMLPClassifier(widths=(8, 7), **SMALL), [stage], cv=2
        ).fit(*digits)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
