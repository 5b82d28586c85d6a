"""Lanes: the same bits alone and in company, in searches, after errors."""

import threading

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV

import skmnist
from skmnist import KerasMLPClassifier, Stage, StagedSearchCV
from skmnist.neural_network import _scikeras
from skmnist.neural_network._optimizer_params import OPTIMIZERS
from skmnist.neural_network._spec import ACTIVATIONS
from skmnist.neural_network.engines import _lanes

X, Y = load_digits(return_X_y=True)
X = X[:150] / 16
Y = Y[:150]
FOUR = Y % 4
TWO = Y % 2

# Every activation, optimizer, schedule and loss that a lane has, in few programs.
MIXES = [
    {"activations": ("relu", "tanh"), "optimizer": "adam", "dropout": 0.2},
    {
        "activations": ("sigmoid", "silu"),
        "optimizer": "nadam",
        "n_classes": 2,
        "input_scaling": "learned",
        "weight_decay": 0.01,
    },
    {"activations": ("elu", "gelu", "selu"), "optimizer": "sgd", "dtype": "float64"},
    {"activations": ("softplus", "softsign"), "optimizer": "rmsprop", "n_classes": 2},
    {
        "activations": ("leaky_relu", "mish"),
        "optimizer": "lion",
        "label_smoothing": 0.1,
        "learning_rate_schedule": "linear",
    },
    {
        "activations": ("exponential", "swish"),
        "optimizer": "adamax",
        "input_dropout": 0.1,
        "warmup_epochs": 0.5,
    },
    {
        "activations": ("hard_sigmoid",),
        "optimizer": "adagrad",
        "input_scaling": "standard",
    },
    {
        "activations": ("relu6", "linear"),
        "optimizer": "adadelta",
        "dropout": 0.3,
        "dropout_mask": "update",
    },
    {
        "activations": ("tanh",),
        "optimizer": "ftrl",
        "learning_rate_schedule": "linear",
        "warmup_epochs": 0.5,
    },
    {"activations": (), "optimizer": "adamw", "weight_decay": 0.1},
]


def make(**params):
    """Return a classifier with small layers, one for each activation."""
    params = {"activations": ("tanh",), "epochs": 2, "random_state": 0, **params}
    widths = tuple(range(9, 9 + len(params["activations"])))
    common = {"widths": widths, "batch_size": 15, "early_stopping": False}
    return KerasMLPClassifier(len(widths), **{**common, **params})


def company(**params):
    """Return seven fits of one structure that differ in all else."""
    fitted = [make(**{**params, "random_state": seed}) for seed in range(1, 8)]
    fitted[0].set_params(learning_rate=0.1, epochs=1)
    fitted[1].set_params(early_stopping=True, patience=1, epochs=3)
    fitted[2].set_params(class_weight="balanced")
    if params.get("dropout"):
        fitted[3].set_params(dropout=0.6)
    return fitted


def fit_together(classifiers, data):
    """Fit in threads, on the same data or on those of each."""
    data = data if isinstance(data, list) else [data] * len(classifiers)
    fits = zip(classifiers, data, strict=True)
    return Parallel()(delayed(classifier.fit)(*own) for classifier, own in fits)


def the_pack():
    """Return the only pack."""
    (pack,) = _lanes._meeting._all_packs()
    return pack


def bits(classifier):
    """Return all numbers of a fitted classifier."""
    arrays = [*classifier.coefs_, *classifier.intercepts_]
    curves = [np.array(curve) for curve in classifier.history_.values()]
    return [array.tobytes() for array in (*arrays, *curves)]


# A graph takes a fraction of the time to make; XLA compiles for seconds.
FORMS = [(mix, False) for mix in MIXES[:4]]
FORMS += [pytest.param(m, False, marks=pytest.mark.long) for m in MIXES[4:]]
FORMS += [pytest.param(m, True, marks=pytest.mark.long) for m in MIXES[:4]]


@pytest.mark.parametrize(("mix", "compiled"), FORMS)
def test_a_fit_has_the_same_bits_alone_and_in_company_in_every_lane(
    mix, compiled, monkeypatch
):
    monkeypatch.setattr(_scikeras, "pays_to_compile", lambda *_: compiled)
    params = dict(mix)
    y = TWO if params.pop("n_classes", 4) == 2 else FOUR
    rows = X.astype(params.pop("dtype", "float32"))
    with skmnist.lanes(n=8):
        alone = make(**params).fit(rows, y)
        the_pack().free = [7]
        last = make(**params).fit(rows, y)
        the_pack().free = list(range(8))
        others = company(**params)
        half = (rows[:70], y[:70])
        data = [(rows, y)] * 5 + [half] * 3
        beside, *_ = fit_together([make(**params), *others], data)
        *_, after = fit_together([*others, make(**params)], data[::-1])
    assert alone.n_lanes_ == beside.n_lanes_ == 8
    assert bits(alone) == bits(last) == bits(beside) == bits(after)


def test_the_mixes_have_everything():
    assert {mix["optimizer"] for mix in MIXES} == set(OPTIMIZERS)
    activations = {name for mix in MIXES for name in mix["activations"]}
    assert activations == set(ACTIVATIONS)


@pytest.fixture(scope="module")
def rows():
    return X.astype("float32")


@pytest.fixture(scope="module")
def outside(rows):
    return make(epochs=3).fit(rows, FOUR)


@pytest.fixture(scope="module")
def inside(rows):
    with skmnist.lanes():
        return make(epochs=3).fit(rows, FOUR)


def test_a_lane_computes_what_a_fit_outside_does(outside, inside):
    assert outside.n_lanes_ == 1
    for ours, theirs in zip(inside.coefs_, outside.coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    for name, curve in outside.history_.items():
        np.testing.assert_allclose(inside.history_[name], curve, rtol=1e-4)
    forms = [(array.shape, array.dtype) for array in inside._arrays]
    assert forms == [(array.shape, array.dtype) for array in outside._arrays]


@pytest.mark.parametrize("n", [2, 5, 16])
def test_a_grid_search_has_the_results_of_single_fits(n, rows):
    grid = {"learning_rate": [0.003, 0.01, 0.03], "random_state": [0, 1]}
    folds = [(np.arange(k, 100), np.arange(100, 150)) for k in range(3)]
    with skmnist.lanes(n=n):
        search = GridSearchCV(make(), grid, cv=folds).fit(rows, FOUR)
        for params, score in zip(
            search.cv_results_["params"],
            search.cv_results_["split1_test_score"],
            strict=True,
        ):
            single = clone(make()).set_params(**params).fit(rows[1:100], FOUR[1:100])
            assert single.score(rows[100:], FOUR[100:]) == score
        refitted = clone(search.best_estimator_).fit(rows, FOUR)
    assert bits(refitted) == bits(search.best_estimator_)


def test_an_ensemble_has_the_same_networks_for_any_number_of_fits(rows):
    ensembles = []
    for n in (2, 5):
        with skmnist.lanes(n=n):
            bagging = BaggingClassifier(make(), n_estimators=5, random_state=0)
            ensembles.append(bagging.fit(rows, FOUR).estimators_)
    for one, other in zip(*ensembles, strict=True):
        assert one.n_lanes_ == 8
        assert bits(one) == bits(other)


def test_a_staged_search_follows_the_block(rows):
    stages = [Stage("rate", {"learning_rate": [0.003, 0.01]})]
    with skmnist.lanes(n=4):
        search = StagedSearchCV(make(), stages, cv=2).fit(rows, FOUR)
        again = clone(search.best_estimator_).fit(rows, FOUR)
    assert search.best_estimator_.n_lanes_ == 8
    assert bits(again) == bits(search.best_estimator_)


def test_an_error_of_one_fit_leaves_the_others_alone(rows, inside):
    bad = make(learning_rate=1e30, optimizer="sgd")
    good = [make(optimizer="sgd", random_state=seed) for seed in range(4)]

    def outcome(classifier):
        try:
            return classifier.fit(rows, FOUR)
        except FloatingPointError as error:
            return error

    with skmnist.lanes(n=5):
        error, *fitted = Parallel()(delayed(outcome)(c) for c in [bad, *good])
        alone = clone(good[2]).fit(rows, FOUR)
    assert isinstance(error, FloatingPointError)
    assert bits(fitted[2]) == bits(alone)


def test_fits_that_wait_end_with_the_block(rows, inside):
    errors = []

    def fit(classifier):
        try:
            classifier.fit(rows, FOUR)
        except RuntimeError as error:
            errors.append(error)

    class Interrupted(Exception):
        """What Ctrl-C does."""

    with pytest.raises(Interrupted), skmnist.lanes():
        make(epochs=1).fit(rows, FOUR)
        pack = the_pack()
        pack.seats.append(_lanes.Seat(_lanes._meeting, pack, pack.free.pop()))
        thread = threading.Thread(target=fit, args=[make()])
        thread.start()
        while not any(seat.asks for seat in pack.seats):
            thread.join(0.01)
        raise Interrupted
    thread.join(30)
    assert "has ended" in str(errors[0])


def test_who_cannot_share_trains_as_outside(rows):
    params = {"epochs": 1, "batch_normalization": True}
    with skmnist.lanes():
        assert make(**params).fit(rows, FOUR).n_lanes_ == 1
        first = make(epochs=1).fit(rows, FOUR)
        again = first.set_params(warm_start=True).fit(rows, FOUR)
    assert again.n_iter_ == 2


def test_kept_fits_know_their_form(tmp_path, rows, outside, inside):
    kept = make(epochs=3, memory=tmp_path)
    with skmnist.lanes():
        first = clone(kept).fit(rows, FOUR)
        assert bits(clone(kept).fit(rows, FOUR)) == bits(first) == bits(inside)
    fitted = clone(kept).fit(rows, FOUR)
    assert (fitted.n_lanes_, bits(fitted)) == (1, bits(outside))


@pytest.mark.parametrize("n", [0, -1, 1.5, None])
def test_the_number_of_fits_is_checked(n):
    match = "n must be a positive integer"
    with pytest.raises(ValueError, match=match), skmnist.lanes(n):
        pass
