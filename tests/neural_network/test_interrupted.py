"""A fit that is refused or interrupted: the classifier stays as it was, whole."""

import copy
import os
import pickle
import sys
import traceback

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from training import SMALL

from skmnist import KerasMLPClassifier
from skmnist._archive import read_archive
from skmnist.neural_network import (
    _classifier,
    _data,
    _early_stopping,
    _persistence,
    _training,
)
from skmnist.neural_network.engines import _array_fit, _epochs, _hooks, _plain
from skmnist.neural_network.keras_side import _callbacks, _programs, _scikeras

# Where a fit changes something.
MODULES = (
    _array_fit,
    _callbacks,
    _classifier,
    _data,
    _early_stopping,
    _epochs,
    _hooks,
    _persistence,
    _plain,
    _programs,
    _scikeras,
    _training,
)
FILES = {module.__file__ for module in MODULES}
SETTINGS = {**SMALL, "widths": 8, "dropout": 0.2}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32)[:100], y[:100]


@pytest.fixture(scope="module")
def fitted(digits):
    """A fitted classifier; tests that change it take a copy."""
    return KerasMLPClassifier(**SETTINGS).fit(*digits)


def fit(classifier, X, y):
    classifier.fit(X, y)


def refit(classifier, X, y):
    classifier.set_params(widths=9).fit(X[:90], [f"digit {i}" for i in y[:90]])


def warm_fit(classifier, X, y):
    classifier.set_params(warm_start=True, learning_rate=0.01).fit(X, y)


def warm_fit_with_other_layers(classifier, X, y):
    classifier.set_params(warm_start=True, dropout=0.5).fit(X, y)


def fit_of_a_network_that_its_user_has(classifier, X, y):
    classifier.model_.summary(print_fn=lambda line: None)
    classifier.set_params(warm_start=True, learning_rate=0.01).fit(X, y)


def partial_fit(classifier, X, y):
    classifier.partial_fit(X, y)


WAYS = (
    fit,
    refit,
    warm_fit,
    warm_fit_with_other_layers,
    fit_of_a_network_that_its_user_has,
    partial_fit,
)
EVERY_WAY = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


def before(way, fitted):
    """Return the classifier that a way begins with."""
    return KerasMLPClassifier(**SETTINGS) if way is fit else copy.deepcopy(fitted)


def said_by(classifier, X, path):
    """Return what a classifier says of itself, and what it saves; check they agree."""
    learned = {n: v for n, v in vars(classifier).items() if n.endswith("_")}
    try:
        check_is_fitted(classifier)
    except NotFittedError:
        assert learned == {}
        with pytest.raises(NotFittedError):
            classifier.predict(X)
        return None
    probabilities = classifier.predict_proba(X)
    assert len(classifier.loss_curve_) == classifier.n_iter_
    assert set(classifier.predict(X)) <= set(classifier.classes_)
    classifier.save(path)
    description, arrays = read_archive(path)
    np.testing.assert_equal(description["learned"], learned)
    parts = description["spec"], description["seeds"], arrays
    return copy.deepcopy((learned, probabilities, parts))


def all_of(classifier, X, path):
    """Return the same, and what comes of the network; check that it agrees, too."""
    said = said_by(classifier, X, path)
    if said is None:
        return None
    for twin in pickle.loads(pickle.dumps(classifier)), KerasMLPClassifier.load(path):
        np.testing.assert_array_equal(twin.predict_proba(X), said[1])
    return said, classifier.coefs_, classifier.model_.get_weights()


class Interrupt(KeyboardInterrupt):
    """Somebody presses Ctrl-C."""


def is_step(code):
    """Return whether it is a function of this package that changes something."""
    return code.co_filename in FILES and not code.co_name.startswith("<")


def interrupted(run, step):
    """Run, and raise where a step begins."""

    def trace(frame, event, arg):
        if frame.f_code is step:
            raise Interrupt

    with pytest.raises(Interrupt):
        traced(run, trace)


def interrupted_everywhere(run, check):
    """Run; where each step begins, raise in a fork, and check what that leaves there.

    Returns
    -------
    steps : list of code
        In their order.
    """
    steps, failed = {}, []

    def trace(frame, event, arg):
        if frame.f_code in steps or not is_step(frame.f_code):
            return
        steps.setdefault(frame.f_code)
        child = os.fork()
        if child == 0:
            raise Interrupt
        if os.waitpid(child, 0)[1] != 0:
            failed.append(frame.f_code.co_name)

    parent = os.getpid()
    try:
        traced(run, trace)
    except Interrupt:
        check()
        os._exit(0)
    finally:
        if os.getpid() != parent:  # it was not interrupted, or left something else
            traceback.print_exc()
            os._exit(1)
    assert failed == []
    return list(steps)


def traced(run, trace):
    earlier = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(earlier)


# To begin anew for each step takes three times as long. A fork needs no TensorFlow:
# what has been learned predicts with NumPy.
@EVERY_WAY
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_an_exception_at_each_step_leaves_what_was_there(digits, fitted, tmp_path, way):
    X, y = digits
    way(before(way, fitted), X, y)  # its programs are made now
    classifier = before(way, fitted)
    expected = said_by(classifier, X, tmp_path / "model")

    def check():
        np.testing.assert_equal(said_by(classifier, X, tmp_path / "model"), expected)

    found = interrupted_everywhere(lambda: way(classifier, X, y), check)
    assert {"publish", "_run_epochs", "on_epoch_end"} <= {s.co_name for s in found}
    # After a failure the same classifier must do for the next one.
    classifier = before(way, fitted)
    for step in found[:: len(found) // 4]:
        interrupted(lambda: way(classifier, X, y), step)
        check()
    fresh = all_of(before(way, fitted), X, tmp_path / "model")
    np.testing.assert_equal(all_of(classifier, X, tmp_path / "model"), fresh)


HOOKS = (
    "on_train_begin",
    "on_epoch_begin",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_end",
    "on_epoch_end",
    "on_train_end",
)


class Raises(keras.callbacks.Callback):
    """Raises in one of its hooks."""

    def __init__(self, hook):
        super().__init__()
        setattr(self, hook, self.interrupt)

    def interrupt(self, *args, **kwargs):
        raise Interrupt


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("way", [fit, warm_fit], ids=lambda way: way.__name__)
def test_an_exception_in_a_hook_of_keras_leaves_what_was_there(
    digits, fitted, tmp_path, way, hook
):
    X, y = digits
    classifier = before(way, fitted)
    expected = all_of(classifier, X, tmp_path / "model")
    classifier.set_params(callbacks=[Raises(hook)], warm_start=way is warm_fit)
    with pytest.raises(Interrupt):
        classifier.fit(X, y, X_val=X, y_val=y)
    classifier.set_params(callbacks=None)
    np.testing.assert_equal(all_of(classifier, X, tmp_path / "model"), expected)


class Ticks:
    """A callback of scikit-learn that raises in one of its hooks."""

    def __init__(self, hook):
        self.hook = hook

    def setup(self, estimator, context):
        self.reach("setup")

    def teardown(self, estimator, context):
        self.reach("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.reach("on_fit_task_begin")

    def on_fit_task_end(self, estimator, context):
        self.reach("on_fit_task_end")

    def reach(self, hook):
        if hook == self.hook:
            raise RuntimeError(hook)


@pytest.mark.parametrize(
    "hook", ["setup", "on_fit_task_begin", "on_fit_task_end", "teardown"]
)
@pytest.mark.parametrize("way", [refit, partial_fit], ids=lambda way: way.__name__)
def test_an_exception_in_a_hook_of_scikit_learn_leaves_what_was_there(
    digits, fitted, tmp_path, way, hook
):
    X, y = digits
    classifier = before(way, fitted)
    expected = all_of(classifier, X, tmp_path / "model")
    with pytest.raises(RuntimeError, match=hook):
        way(classifier.set_callbacks(Ticks(hook)), X, y)
    classifier.set_callbacks()
    np.testing.assert_equal(all_of(classifier, X, tmp_path / "model"), expected)


REFUSED = {
    "a validation set without labels": lambda c, X, y: c.fit(X, y, X_val=X),
    "other columns to validate on": lambda c, X, y: c.fit(
        X, y, X_val=X[:, 1:], y_val=y
    ),
    "a single class": lambda c, X, y: c.fit(X, 0 * y),
    "negative weights": lambda c, X, y: c.fit(X, y, -np.ones(len(y))),
    "a wrong parameter": lambda c, X, y: c.set_params(dropout=(0.1, 0.2)).fit(X, y),
    "another label": lambda c, X, y: c.partial_fit(X, y + 1),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_a_refused_fit_leaves_what_was_there(digits, fitted, tmp_path, refused):
    X, y = digits
    classifier = copy.deepcopy(fitted)
    expected = all_of(classifier, X, tmp_path / "model")
    with pytest.raises(ValueError):
        refused(classifier, X[:, ::-1], y)
    classifier.set_params(dropout=0.2)
    np.testing.assert_equal(all_of(classifier, X, tmp_path / "model"), expected)


def test_training_goes_on_after_an_interruption(digits, fitted):
    classifier, expected = (copy.deepcopy(fitted) for _ in range(2))
    classifier.set_params(callbacks=[Raises("on_epoch_end")])
    with pytest.raises(Interrupt):
        classifier.partial_fit(*digits)
    classifier.set_params(callbacks=None).partial_fit(*digits)
    expected.partial_fit(*digits)
    np.testing.assert_equal(classifier.coefs_, expected.coefs_)
    assert classifier.history_ == expected.history_


def test_the_network_of_the_user_is_put_back(digits, fitted):
    classifier = copy.deepcopy(fitted)
    network = classifier.model_
    weights, optimizer = network.get_weights(), network.optimizer
    n_updates = int(optimizer.iterations)
    classifier.set_params(callbacks=[Raises("on_epoch_end")], learning_rate=0.1)
    with pytest.raises(Interrupt):
        classifier.partial_fit(*digits)
    assert classifier.model_ is network
    assert network.optimizer is optimizer
    assert int(optimizer.iterations) == n_updates
    np.testing.assert_equal(network.get_weights(), weights)


def test_during_a_fit_the_classifier_is_as_before(digits, fitted):
    X, y = digits
    classifier = copy.deepcopy(fitted)
    expected, seen = classifier.predict_proba(X), []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(classifier.predict_proba(X))
    )
    classifier.set_params(callbacks=[note]).partial_fit(X, y)
    np.testing.assert_array_equal(seen, [expected])
    assert not np.allclose(classifier.predict_proba(X), expected)
