"""Every parameter: what it refuses, and whether it makes another fit.

A new parameter needs a line in `CASES`, and no other line in the tests of this folder.
"""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from skmnist import Distortions, KerasMLPClassifier
from skmnist._archive import from_json
from skmnist._io import to_json
from skmnist.neural_network import _training
from skmnist.neural_network._cache import FitCache
from skmnist.neural_network._persistence import from_plain, to_plain
from skmnist.neural_network._spec import CONSTRAINTS

SMALL = {"depth": 1, "widths": 8, "epochs": 2, "dropout": 0.0, "random_state": 0}
STOPPING = {"early_stopping": True}
IMAGES = {"augmentation": "affine"}


class Case(NamedTuple):
    """What the tests know about a parameter.

    wrong: a value that `fit` refuses; said: part of the message, which says what is
    allowed. value: another value than in `SMALL` or the default; made: the fit that it
    makes; given: parameters without which it has no effect.
    """

    wrong: object
    said: str
    value: object
    made: str = "another fit"
    given: dict = {}


CASES = {
    "depth": Case(-1, "range [0, inf)", 2),
    "widths": Case(0, "range [1, inf)", 9),
    "activations": Case("relv", "'relu'", "tanh"),
    "initializers": Case("he", "'he_normal'", "he_uniform"),
    "output_initializer": Case("he", "'he_normal'", "he_normal"),
    "optimizer": Case("adamm", "'adam'", "sgd"),
    "learning_rate": Case(0, "range (0.0, inf)", 0.1),
    "learning_rate_schedule": Case("step", "'cosine'", "constant"),
    "warmup_epochs": Case(-1, "range [0.0, inf)", 0.5),
    "batch_size": Case(0, "range [1, inf)", 32),
    "epochs": Case(0, "range [1, inf)", 3),
    "validation_split": Case(1.0, "range (0.0, 1.0)", 0.3, given=STOPPING),
    "early_stopping": Case("yes", "'auto'", True),
    "monitor": Case("val_auc", "'val_loss'", "loss", given=STOPPING),
    "patience": Case(0, "range [1, inf)", 3, given=STOPPING),
    "min_delta": Case(-0.1, "range [0.0, inf)", 0.1, given=STOPPING),
    "min_train_loss": Case(-0.1, "range [0.0, inf)", None, given=STOPPING),
    "max_gap": Case(1.5, "range [0.0, 1.0]", 0.1, given=STOPPING),
    "restore_best_weights": Case("no", "bool", False, given=STOPPING),
    "refit_on_all": Case("no", "bool", True, given=STOPPING),
    "dropout": Case(1.0, "range [0.0, 1.0)", 0.1),
    "dropout_mask": Case("cell", "'row'", "update", given={"dropout": 0.1}),
    "input_dropout": Case(1.0, "range [0.0, 1.0)", 0.1),
    "input_scaling": Case("minmax", "'standard'", "standard"),
    "batch_normalization": Case("no", "bool", True),
    "weight_decay": Case(-0.1, "range [0.0, inf)", 0.1),
    "label_smoothing": Case(1.0, "range [0.0, 1.0)", 0.2),
    "augmentation": Case("elastic", "'affine'", "affine"),
    "image_shape": Case(8, "array-like", (4, 16), given=IMAGES),
    "class_weight": Case("even", "'balanced'", {0: 2.0}),
    "callbacks": Case(3, "list", [keras.callbacks.TerminateOnNaN], "no kept fit"),
    "memory": Case(3, "'cache'", Path("elsewhere"), "the same fit"),
    # Only a second fit would go on from the first.
    "warm_start": Case("no", "bool", True, "the same fit"),
    "random_state": Case("seed", "RandomState", 1),
    "verbose": Case("loud", "range [0, inf)", 1, "the same fit"),
}
EVERY = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X[:100] / 16).astype(np.float32), y[:100]


class Asked(Exception):
    """The fit got as far as asking for a kept one."""


class Unkept(Exception):
    """The fit got as far as building a network, without asking for a kept one."""


@pytest.fixture
def key_of(digits, tmp_path, monkeypatch):
    """Return the key of a fit with some parameters, or None if it is not kept."""

    def ask(cache, key, spec):
        raise Asked(key)

    def build(*args, **kwargs):
        raise Unkept

    monkeypatch.setattr(FitCache, "read", ask)
    monkeypatch.setattr(_training, "_build", build)

    def key_of(**params):
        settings = {**SMALL, "memory": tmp_path, **params}
        try:
            KerasMLPClassifier(**settings).fit(*digits)
        except Asked as asked:
            return asked.args[0]
        except Unkept:
            return None

    return key_of


def test_all_parameters_have_a_case_and_constraints():
    assert set(CASES) == set(CONSTRAINTS) == set(KerasMLPClassifier().get_params())


# ---- wrong values ------------------------------------------------------------------

WRONG = {name: (name, case.wrong, case.said) for name, case in CASES.items()}
WRONG["depth, no int"] = ("depth", 1.5, "an int")
WRONG["depth, no auto"] = ("depth", "deep", "'auto'")


@pytest.mark.parametrize(("name", "value", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_refused_at_fit(digits, name, value, said):
    wrong = KerasMLPClassifier(**{**SMALL, name: value})
    with pytest.raises(ValueError) as error:
        wrong.fit(*digits)
    for part in (f"{name!r} parameter", f"Got {value!r}", said):
        assert part in str(error.value)


# ---- what makes another fit --------------------------------------------------------


@EVERY
def test_another_value_makes_the_fit_that_is_said(key_of, name):
    case = CASES[name]
    first = key_of(**case.given)
    second = key_of(**{**case.given, name: case.value})
    made = {first: "the same fit", None: "no kept fit"}.get(second, "another fit")
    assert first is not None
    assert made == case.made


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if case.given])
def test_without_effect_another_value_makes_the_same_fit(key_of, name):
    assert key_of(**{name: CASES[name].value}) == key_of()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("depth", np.int64(1)),
        ("widths", (8,)),
        ("widths", np.int64(8)),
        ("activations", ["silu"]),
        ("initializers", np.array(["he_normal"])),
        ("dropout", [0.0]),
        ("early_stopping", False),
        ("epochs", np.int32(2)),
        # What "auto" means for these data.
        ("batch_size", 64),
        ("learning_rate", 0.008),
        ("weight_decay", 0.02),
        ("input_scaling", None),
    ],
    ids=lambda value: repr(value),
)
def test_other_words_for_a_value_make_the_same_fit(key_of, name, value):
    assert key_of(**{name: value}) == key_of()


def test_a_depth_that_follows_from_the_widths_makes_the_same_fit(key_of):
    assert key_of(depth="auto", widths=(8,)) == key_of(depth=1)


def test_the_settings_of_an_optimizer_are_part_of_a_fit(key_of):
    optimizers = ["adam", keras.optimizers.Adam(), keras.optimizers.Adam(beta_1=0.8)]
    assert len({key_of(optimizer=optimizer) for optimizer in optimizers}) == 3


# ---- as plain data -----------------------------------------------------------------

PLAIN = {
    name: (name, case.value)
    for name, case in CASES.items()
    if name not in ("callbacks", "memory")
}
PLAIN["augmentation, strengths"] = ("augmentation", Distortions(rotation=5))


@pytest.mark.parametrize(("name", "value"), PLAIN.values(), ids=PLAIN)
def test_a_value_comes_back_from_plain_data(name, value):
    params = KerasMLPClassifier(**{name: value}).get_params(deep=False)
    again = from_plain(from_json(to_json(to_plain(params))))
    assert again == params
    assert type(again[name]) is type(value)
