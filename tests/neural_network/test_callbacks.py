"""Keras callbacks of users: files, locks, threads, and weights that they put back."""

import functools
import threading

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from training import SMALL

from skmnist import KerasMLPClassifier


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32)[:200], y[:200]


@pytest.fixture(scope="module")
def held_out():
    X, y = load_digits(return_X_y=True)
    return {"X_val": (X / 16).astype(np.float32)[200:400], "y_val": y[200:400]}


class Holds(keras.callbacks.Callback):
    """Holds something that cannot be copied, and counts its fits."""

    def __init__(self, held):
        super().__init__()
        self.held = held
        self.n_fits = 0

    def on_train_end(self, logs=None):
        self.n_fits += 1


def running_thread():
    return threading.Thread(target=print)


UNCOPIED = {
    "a file": lambda: open(__file__),  # noqa: SIM115
    "a lock": threading.Lock,
    "a thread": running_thread,
    "a generator": lambda: (i for i in range(3)),
    "a module": lambda: np,
}


@pytest.mark.parametrize("make", UNCOPIED.values(), ids=UNCOPIED)
def test_a_callback_that_cannot_be_copied_serves_fit_after_fit(digits, make):
    given = Holds(make())
    classifier = KerasMLPClassifier(**SMALL, callbacks=[given])
    classifier.fit(*digits).partial_fit(*digits)
    assert given.n_fits == 2
    with pytest.raises(
        TypeError, match="cannot be copied .*functools.partial"
    ) as error:
        clone(classifier)
    assert "Holds" in str(error.value)
    if hasattr(given.held, "close"):
        given.held.close()


# Keras' scheduler reads the rate in a way that NumPy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_tensorboard_logs_each_fit(digits, tmp_path):
    board = keras.callbacks.TensorBoard(tmp_path)
    classifier = KerasMLPClassifier(**SMALL, callbacks=[board]).fit(*digits)
    files = list(tmp_path.rglob("events.*"))
    assert files
    plain = KerasMLPClassifier(**SMALL).fit(*digits)
    for a, b in zip(classifier.coefs_, plain.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    # It can be copied until Keras has given it a network.
    assert board.model is None
    clone(classifier)
    board.set_model(plain.model_)
    with pytest.raises(TypeError, match="cannot be copied"):
        clone(classifier)
    classifier.fit(*digits)
    assert len(list(tmp_path.rglob("events.*"))) > len(files)
    # Its user has the network of that fit.
    board.model.set_weights([0 * w for w in board.model.get_weights()])
    np.testing.assert_allclose(classifier.predict_proba(digits[0]), 0.1, rtol=1e-6)


def test_a_function_makes_a_callback_for_each_fit_and_clone(digits):
    made = []

    def make(held):
        made.append(Holds(held))
        return made[-1]

    given = functools.partial(make, threading.Lock)
    classifier = KerasMLPClassifier(**SMALL, callbacks=[given])
    classifier.fit(*digits)
    clone(classifier).fit(*digits)
    assert [callback.n_fits for callback in made] == [1, 1]


def test_a_function_that_makes_no_callback_is_refused(digits):
    with pytest.raises(TypeError, match="must hold Keras callbacks, or classes or"):
        KerasMLPClassifier(**SMALL, callbacks=dict).fit(*digits)


def test_a_callback_that_cannot_be_copied_serves_one_fit_at_a_time(digits):
    other = KerasMLPClassifier(**SMALL)

    class Nested(Holds):
        def on_epoch_end(self, epoch, logs=None):
            other.set_params(callbacks=[self]).fit(*digits)

    given = Nested(threading.Lock())
    classifier = KerasMLPClassifier(**SMALL, callbacks=[given])
    with pytest.raises(RuntimeError, match="serves another fit"):
        classifier.fit(*digits)
    # The failed fits have let it go.
    Nested.on_epoch_end = keras.callbacks.Callback.on_epoch_end
    classifier.fit(*digits)
    assert given.n_fits == 1


# ---- which weights are kept --------------------------------------------------------


class PutsBack(keras.callbacks.Callback):
    """Puts the weights of one epoch back when the training ends."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            self.weights = self.model.get_weights()

    def on_train_end(self, logs=None):
        self.model.set_weights(self.weights)


class Averages(PutsBack):
    """Takes the mean of the last weights and of an epoch's."""

    def on_train_end(self, logs=None):
        pairs = zip(self.weights, self.model.get_weights(), strict=True)
        self.model.set_weights([(a + b) / 2 for a, b in pairs])


SEEN = {
    "another callback": ({"callbacks": [PutsBack(1)]}, 2),
    "another callback before ours": (
        {"callbacks": [PutsBack(1)], "early_stopping": True, "patience": 9},
        2,
    ),
    "early stopping of Keras": (
        {
            "callbacks": [
                keras.callbacks.EarlyStopping(
                    monitor="accuracy", mode="min", restore_best_weights=True
                )
            ]
        },
        1,
    ),
    "nobody": ({"callbacks": [keras.callbacks.History()]}, 4),
    "a mean": ({"callbacks": [Averages(1)]}, 4),
    "averages of the optimizer": (
        {"optimizer": keras.optimizers.Adam(0.05, use_ema=True)},
        4,
    ),
}


@pytest.mark.parametrize(("given", "best"), SEEN.values(), ids=SEEN)
@pytest.mark.parametrize("n_classes", [10, 2])
def test_what_is_said_is_said_of_the_weights_that_are_kept(
    digits, held_out, given, best, n_classes
):
    X, y = digits
    X_val, y_val = held_out["X_val"], held_out["y_val"]
    if n_classes == 2:
        y, y_val = y % 2, y_val % 2
    settings = {**SMALL, "epochs": 4, "early_stopping": False, "learning_rate": 0.05}
    classifier = KerasMLPClassifier(**{**settings, **given})
    classifier.fit(X, y, X_val=X_val, y_val=y_val)
    assert classifier.best_iter_ == best
    score = classifier.score(X_val, y_val)
    assert classifier.best_validation_score_ == pytest.approx(score)


def test_epochs_are_counted_from_the_first_fit(digits, held_out):
    classifier = KerasMLPClassifier(**SMALL, warm_start=True, early_stopping=False)
    classifier.fit(*digits).set_params(callbacks=[PutsBack(2)])
    classifier.fit(*digits, **held_out)
    assert (classifier.best_iter_, classifier.n_iter_) == (3, 4)
    score = classifier.score(*held_out.values())
    assert classifier.best_validation_score_ == pytest.approx(score)


def test_weights_that_are_no_numbers_are_an_error(digits):
    class Spoils(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            bias = self.model.layers[-1].bias
            bias.assign(np.full(bias.shape, np.nan))

    classifier = KerasMLPClassifier(**SMALL, callbacks=[Spoils()])
    with pytest.raises(FloatingPointError, match="Weights of the network became"):
        classifier.fit(*digits)
