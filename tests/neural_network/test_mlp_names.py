"""The parameters of scikit-learn's MLPClassifier, given to ours."""

import copy
import inspect
import pickle

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skmnist import KerasMLPClassifier, Stage, StagedSearchCV
from skmnist.neural_network._spec import OUR_NAMES

X, Y = np.eye(6), np.arange(6) % 2
OURS = set(KerasMLPClassifier().get_params())
THEIRS = set(inspect.signature(MLPClassifier).parameters)
# What the answer must name, for each parameter that only MLPClassifier has.
ANSWERS = {
    "hidden_layer_sizes": "calls this 'widths'",
    "activation": "calls this 'activations'",
    "solver": "calls this 'optimizer'.*no 'lbfgs'",
    "alpha": "calls this 'weight_decay'.*no L2 penalty",
    "learning_rate_init": "calls this 'learning_rate'",
    "max_iter": "calls this 'epochs'",
    "tol": "calls this 'min_delta'.*early stopping",
    "validation_fraction": "calls this 'validation_split'",
    "n_iter_no_change": "calls this 'patience'.*early stopping",
    "power_t": "learning_rate_schedule",
    "shuffle": "always shuffles",
    "momentum": r"optimizer=keras.optimizers.SGD\(momentum=0.9\)",
    "nesterovs_momentum": r"keras.optimizers.SGD\(momentum=0.9, nesterov=True\)",
    "beta_1": r"optimizer=keras.optimizers.Adam\(beta_1=0.9\)",
    "beta_2": r"optimizer=keras.optimizers.Adam\(beta_2=0.999\)",
    "epsilon": r"optimizer=keras.optimizers.Adam\(epsilon=1e-8\)",
    "max_fun": "no 'lbfgs'.*epochs",
}
EACH = pytest.mark.parametrize(("name", "said"), ANSWERS.items(), ids=ANSWERS)


# A new parameter of MLPClassifier needs an answer.
def test_every_parameter_that_only_mlp_classifier_has_is_answered():
    assert set(ANSWERS) == THEIRS - OURS
    assert set(OUR_NAMES) < set(ANSWERS)
    assert set(OUR_NAMES.values()) < OURS


@EACH
def test_the_constructor_answers(name, said):
    with pytest.raises(TypeError, match=f"keyword argument '{name}'. .*{said}"):
        KerasMLPClassifier(epochs=1, **{name: 1})


@EACH
def test_set_params_answers(name, said):
    with pytest.raises(ValueError, match=f"parameter '{name}' .*{said}"):
        KerasMLPClassifier().set_params(epochs=1, **{name: 1})


@EACH
@pytest.mark.parametrize("function", [False, True], ids=["grid", "function"])
@pytest.mark.parametrize("step", ["", "kerasmlpclassifier__"], ids=["alone", "step"])
def test_a_stage_answers_in_one_line(name, said, function, step):
    estimator = KerasMLPClassifier(widths=2, epochs=1)
    if step:
        estimator = make_pipeline(MinMaxScaler(), estimator)
    grid = {f"{step}{name}": [1]}
    stage = Stage("s", (lambda chosen: grid) if function else grid)
    with pytest.raises(ValueError, match=f"stage 's': .*'{step}{name}'; .*{said}") as e:
        StagedSearchCV(estimator, [stage], cv=2).fit(X, Y)
    assert "\n" not in str(e.value)


def test_a_grid_answers_in_a_pipeline_too():
    pipeline = make_pipeline(MinMaxScaler(), KerasMLPClassifier())
    grid = {"kerasmlpclassifier__hidden_layer_sizes": [(100,)]}
    with pytest.raises(ValueError, match="KerasMLPClassifier calls this 'widths'"):
        GridSearchCV(pipeline, grid, cv=2).fit(X, Y)


@pytest.mark.parametrize("name", ["momentum", "nesterovs_momentum", "beta_1", "beta_2"])
def test_the_optimizer_that_is_advised_is_one(name):
    with pytest.raises(TypeError) as error:
        KerasMLPClassifier(**{name: 1})
    code = str(error.value).partition("optimizer=")[2].removesuffix(".")
    assert isinstance(eval(code, {"keras": keras}), keras.optimizers.Optimizer)


# Names that both have, with values that only MLPClassifier takes.
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("learning_rate", "constant", "learning_rate_schedule"),
        ("learning_rate", "invscaling", "learning_rate_schedule"),
        ("learning_rate", "adaptive", "learning_rate_schedule"),
    ],
)
def test_a_value_of_theirs_is_answered_at_fit(name, value, said):
    wrong = KerasMLPClassifier(**{name: value})
    with pytest.raises(ValueError, match=f"'{name}' .* Got '{value}' .*{said}"):
        wrong.fit(X, Y)
    with pytest.raises(TypeError, match=said):  # scikit-learn's error is both
        wrong.partial_fit(X, Y)


# scikit-learn names the first wrong parameter: depth, in the last case.
@pytest.mark.parametrize(
    "params",
    [
        {"learning_rate": "fast"},
        {"batch_size": 0},
        {"depth": -1, "learning_rate": "adaptive"},
    ],
    ids=repr,
)
def test_other_wrong_values_have_scikit_learns_own_message(params):
    with pytest.raises(ValueError, match=r"Got \S+ instead\.$"):
        KerasMLPClassifier(**params).fit(X, Y)


# ---- the constructor is the one that is written ------------------------------------


def test_a_misspelt_name_is_suggested_right_by_the_constructor():
    with pytest.raises(TypeError, match="'dept'. Did you mean 'depth'"):
        KerasMLPClassifier(dept=3)


def test_a_name_like_no_parameter_gets_pythons_own_message():
    with pytest.raises(TypeError, match="unexpected keyword argument 'xyz'$"):
        KerasMLPClassifier(xyz=3)


def test_the_signature_is_that_of_the_parameters():
    parameters = inspect.signature(KerasMLPClassifier).parameters
    assert set(parameters) == OURS
    assert list(parameters)[:2] == ["depth", "widths"]
    assert not any(p.kind is p.VAR_KEYWORD for p in parameters.values())


@pytest.mark.parametrize(
    "copied",
    [clone, copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))],
    ids=["clone", "copy", "deepcopy", "pickle"],
)
def test_copies_have_the_same_parameters(copied):
    classifier = KerasMLPClassifier(3, (30, 20, 10), epochs=2)
    assert copied(classifier).get_params() == classifier.get_params()


def test_a_subclass_may_have_such_a_name():
    class Named(KerasMLPClassifier):
        def __init__(self, hidden_layer_sizes=(3,)):
            super().__init__(widths=hidden_layer_sizes)
            self.hidden_layer_sizes = hidden_layer_sizes

    assert Named(hidden_layer_sizes=(4,)).hidden_layer_sizes == (4,)
