"""Lanes: the same bits alone and in company, in searches, after errors."""

import threading
from contextlib import ExitStack

import keras
import numpy as np
import pytest
from joblib import Parallel, delayed
from lane_fits import (
    ALL,
    FOUR,
    MIXES,
    X,
    bits,
    company,
    fit_together,
    make,
    taken_apart,
)
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info, threadpool_limits

import skmnist
from skmnist import Stage, StagedSearchCV
from skmnist.neural_network import _training
from skmnist.neural_network._optimizer_params import OPTIMIZERS
from skmnist.neural_network._spec import ACTIVATIONS
from skmnist.neural_network.engines import _array_fit, _arrays, _lanes


@pytest.mark.parametrize("mix", ALL)
def test_a_fit_has_the_same_bits_alone_and_in_company_in_every_lane(mix):
    params, rows, y = taken_apart(mix)
    outside = make(**params).fit(rows, y)
    others = company(**params)
    half = (rows[:70], y[:70])
    data = [(rows, y)] * 5 + [half] * 3
    with skmnist.lanes(n=8):
        alone = make(**params).fit(rows, y)
        beside, *_ = fit_together([make(**params), *others], data)
        *_, after = fit_together([*others, make(**params)], data[::-1])
    with skmnist.lanes(n=3):
        few, *_ = fit_together([make(**params), *others[:2]], data[:3])
    assert bits(outside) == bits(alone) == bits(beside) == bits(after) == bits(few)


@pytest.mark.parametrize("mix", ALL)
def test_numpy_trains_as_tensorflow_does(mix, monkeypatch):
    params, rows, y = taken_apart(mix)
    ours = make(**params).fit(rows, y)
    monkeypatch.setattr(_training, "trains_as_arrays", lambda *_: False)
    theirs = make(**params).fit(rows, y)
    # Sums are rounded in another order; TensorFlow has some constants in float32.
    for one, other in zip(ours._arrays, theirs._arrays, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        size = np.abs(other).max()
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * max(size, 1e-6))
    for name, curve in theirs.history_.items():
        # One of the 150 rows may lie on the border between two classes.
        atol = 0.007 if name == "accuracy" else 0
        np.testing.assert_allclose(ours.history_[name], curve, rtol=1e-5, atol=atol)


def test_the_mixes_have_everything():
    assert {mix["optimizer"] for mix in MIXES} == set(OPTIMIZERS)
    activations = {name for mix in MIXES for name in mix["activations"]}
    assert activations == set(ACTIVATIONS)


@pytest.fixture(scope="module")
def rows():
    return X.astype("float32")


@pytest.fixture(scope="module")
def fitted(rows):
    return make(epochs=3).fit(rows, FOUR)


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
        assert bits(one) == bits(other)


def test_a_staged_search_follows_the_block(rows):
    stages = [Stage("rate", {"learning_rate": [0.003, 0.01]})]
    with skmnist.lanes(n=4):
        search = StagedSearchCV(make(), stages, cv=2).fit(rows, FOUR)
        again = clone(search.best_estimator_).fit(rows, FOUR)
    assert bits(again) == bits(search.best_estimator_)


def test_an_error_of_one_fit_leaves_the_others_alone(rows):
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


def test_fits_that_wait_end_with_the_block(rows):
    errors = []

    def fit(classifier):
        try:
            classifier.fit(rows, FOUR)
        except RuntimeError as error:
            errors.append(error)

    class Interrupted(Exception):
        """What Ctrl-C does."""

    with pytest.raises(Interrupted), skmnist.lanes():
        meeting = _lanes._meeting
        # Somebody is expected who does not come.
        meeting.expect(1)
        thread = threading.Thread(target=fit, args=[make()])
        thread.start()
        while not any(seat.asks for seat in meeting._all_seats()):
            thread.join(0.01)
        raise Interrupted
    thread.join(30)
    assert "has ended" in str(errors[0])


def blas_threads():
    """Return how many threads each BLAS library of this process may use."""
    return [i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"]


def test_the_number_of_threads_changes_nothing(rows, fitted):
    # Large enough that BLAS would share the products.
    params = {"widths": 300, "batch_size": 150, "epochs": 2}
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        two = make(**params).fit(rows, FOUR)
        assert blas_threads() == before
    with threadpool_limits(1, user_api="blas"):
        one = make(**params).fit(rows, FOUR)
    assert bits(one) == bits(two)


def test_fits_in_threads_have_one_thread_of_blas_after_a_fit_elsewhere(rows):
    found = []

    def fit(classifier):
        with _array_fit.one_blas_thread():
            found.append(blas_threads())
        return classifier.fit(rows, FOUR)

    with threadpool_limits(2, user_api="blas"):  # this thread sets it, and lives
        before = blas_threads()
        with skmnist.lanes(n=3):
            Parallel()(delayed(fit)(make(random_state=seed)) for seed in range(3))
        assert blas_threads() == before
    assert {n for threads in found for n in threads} == {1}


def test_a_fit_that_fails_gives_blas_its_threads_back(rows):
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with pytest.raises(FloatingPointError):
            make(learning_rate=1e30, optimizer="sgd").fit(rows, FOUR)
        assert blas_threads() == before


def test_verbose_1_prints_lines_and_changes_nothing(rows, fitted, capsys):
    loud = make(epochs=3, verbose=1).fit(rows, FOUR)
    lines = capsys.readouterr().out.splitlines()
    assert bits(loud) == bits(fitted)
    begins = [line.split()[:2] for line in lines]
    assert begins == [["epoch", f"{number}/3"] for number in (1, 2, 3)]


def test_who_cannot_share_trains_as_outside(rows):
    params = {"epochs": 1, "batch_normalization": True}
    outside = make(**params).fit(rows, FOUR)
    with skmnist.lanes():
        assert bits(make(**params).fit(rows, FOUR)) == bits(outside)
        first = make(epochs=1).fit(rows, FOUR)
        again = first.set_params(warm_start=True).fit(rows, FOUR)
    assert again.n_iter_ == 2


def test_fits_without_a_lane_train_one_after_the_other(rows):
    running, most = [], []

    class Counts(keras.callbacks.Callback):
        """Counts the fits that run at once."""

        def on_train_begin(self, logs=None):
            running.append(self)

        def on_epoch_end(self, epoch, logs=None):
            most.append(len(running))

        def on_train_end(self, logs=None):
            running.pop()

    fits = [make(random_state=seed, callbacks=[Counts()]) for seed in range(3)]
    with skmnist.lanes():
        fit_together([*fits, make()], (rows, FOUR))
    assert most == [1] * 6


@pytest.fixture
def at_once(monkeypatch):
    """List how many fits train at the same time, again and again."""
    running, found, train = [], [], _array_fit.run_epochs

    def counted(network, *args, **options):
        running.append(network)
        try:
            found.append(len(running))
            return train(network, *args, **options)
        finally:
            running.remove(network)

    monkeypatch.setattr(_array_fit, "run_epochs", counted)
    return found


@pytest.mark.parametrize("n_processes", [0, 1])
def test_larger_networks_train_one_in_each_place(rows, at_once, n_processes):
    params = {"widths": 800, "batch_size": 150, "epochs": 2}
    fits = [make(**params, random_state=seed) for seed in range(5)]
    assert _array_fit.MOST_GAINING < 800 * 14 * 150
    outside = [bits(fit.fit(rows, FOUR)) for fit in fits]
    at_once.clear()
    with skmnist.lanes(n_processes=n_processes):
        inside = fit_together(fits, (rows, FOUR))
    assert [bits(fit) for fit in inside] == outside
    assert max(at_once) == 1 + n_processes


@pytest.mark.parametrize("n_data", [0.5, 1, 2])
def test_fits_whose_data_are_many_wait_for_each_other(
    rows, at_once, monkeypatch, n_data
):
    fits = [make(epochs=3, random_state=seed) for seed in range(6)]
    outside = [bits(fit.fit(rows, FOUR)) for fit in fits]
    at_once.clear()
    monkeypatch.setattr(_lanes, "DATA_AT_ONCE", int(n_data * rows.nbytes))
    with skmnist.lanes():
        inside = fit_together(fits, (rows, FOUR))
    assert [bits(fit) for fit in inside] == outside
    # One always trains, however large its data are.
    assert max(at_once) <= max(1, n_data)


def test_fits_that_wait_for_memory_end_with_the_block(rows, monkeypatch):
    monkeypatch.setattr(_lanes, "DATA_AT_ONCE", 0)
    monkeypatch.setattr(_lanes, "END_WITHIN", 0.1)
    errors = []

    def fit():
        try:
            make().fit(rows, FOUR)
        except RuntimeError as error:
            errors.append(str(error))

    with ExitStack() as holder, pytest.raises(KeyError), skmnist.lanes():
        meeting = _lanes._meeting
        holder.enter_context(_lanes.arriving(8))  # has the memory, also afterwards
        thread = threading.Thread(target=fit)
        thread.start()
        while len(meeting._visits) < 2:
            thread.join(0.01)
        raise KeyError
    thread.join(30)
    assert "has ended" in errors[0]


@pytest.mark.parametrize(
    ("n_products", "n_places", "sizes"),
    {
        "short ones keep together": (2**28 - 1, 2, [3]),
        "long ones use two places": (2**28, 2, [2, 1]),
        "long ones have one place": (2**28, 1, [3]),
    }.values(),
)
def test_a_place_is_not_left_idle(n_products, n_places, sizes):
    meeting = _lanes._Meeting(n_places - 1)
    for _ in range(3):
        meeting.take("key", None, n_products)
    assert [len(pack.seats) for pack in meeting._all_packs()] == sizes


def test_kept_fits_are_the_same_inside_and_outside(tmp_path, rows, fitted):
    kept = make(epochs=3, memory=tmp_path)
    with skmnist.lanes():
        assert bits(clone(kept).fit(rows, FOUR)) == bits(fitted)
    again = clone(kept).fit(rows, FOUR)
    assert again.fit_time_ == clone(kept).fit(rows, FOUR).fit_time_
    assert bits(again) == bits(fitted)


@pytest.mark.parametrize("n", [0, -1, 1.5, None])
def test_the_number_of_fits_is_checked(n):
    match = "n must be a positive integer"
    with pytest.raises(ValueError, match=match), skmnist.lanes(n):
        pass


# ---- several epochs in one round ----------------------------------------------------


@pytest.fixture
def rounds(monkeypatch):
    """List how many epochs, or parts of one, each round has trained."""
    found, train = [], _array_fit.train_round

    def listed(trainings):
        found.append(len(trainings[0].parts))
        train(trainings)

    monkeypatch.setattr(_array_fit, "train_round", listed)
    return found


# 150 rows in batches of 32 are 5 steps an epoch; 192 steps are a round at most.
def test_epochs_that_nobody_watches_are_trained_together(rounds):
    make(activations=("relu",), epochs=40, batch_size=32).fit(X, FOUR)
    assert rounds == [38, 2]


@pytest.mark.parametrize(
    "watched", [{"early_stopping": True, "patience": 9}, {"verbose": 1}]
)
def test_epochs_that_somebody_watches_are_trained_one_by_one(rounds, watched):
    make(activations=("relu",), epochs=5, batch_size=32, **watched).fit(X, FOUR)
    assert rounds == [1] * 5


@pytest.mark.parametrize("values", [1, 3000])
def test_the_inputs_in_memory_change_no_bit(rows, monkeypatch, values):
    settings = {"activations": ("silu",), "epochs": 4, "batch_size": 32}
    data = [(rows, FOUR), (rows[:70], FOUR[:70])]
    fits = [make(**settings), make(**settings, random_state=1)]
    apart = [bits(one) for one in fit_together(fits, data)]
    monkeypatch.setattr(_arrays, "VALUES_AT_ONCE", values)
    monkeypatch.setattr(_arrays, "MOST_VALUES", values)  # rows without their ones
    with skmnist.lanes(n_processes=0):
        beside = [bits(one) for one in fit_together(fits, data)]
    assert beside == apart


@pytest.mark.parametrize("most", [1, 2, 7])
def test_the_sizes_of_rounds_change_no_bit_of_the_weights(monkeypatch, most):
    settings = {"activations": ("silu",), "epochs": 8, "batch_size": 32, "dropout": 0.2}
    together = make(**settings).fit(X, FOUR)
    monkeypatch.setattr(_arrays, "MOST_STEPS", most)
    apart = make(**settings).fit(X, FOUR)
    for one, other in zip(apart._arrays, together._arrays, strict=True):
        np.testing.assert_array_equal(one, other)
    # Sums of losses are rounded in another order.
    for name, curve in together.history_.items():
        np.testing.assert_allclose(apart.history_[name], curve, rtol=1e-6)


def test_a_loss_that_explodes_is_told_of_the_epoch_where_it_did():
    settings = {"activations": ("linear",), "learning_rate_schedule": "constant"}
    wrong = make(**settings, epochs=30, learning_rate=1e30, optimizer="sgd")
    with pytest.raises(FloatingPointError, match="in epoch 1;"):
        wrong.fit(X, FOUR)
