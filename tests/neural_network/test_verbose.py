"""What a fit prints: nothing, a line for each epoch, or the lines of Keras."""

# SPDX-License-Identifier: BSD-3-Clause

import itertools
import re

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from training import SMALL

from skmnist import KerasMLPClassifier
from skmnist.neural_network.engines._hooks import epoch_line

CURVES = {"loss": 0.4321, "accuracy": 0.8765}
VALIDATION = {"val_loss": 0.3456, "val_accuracy": 0.9}


@pytest.mark.parametrize(
    ("number", "n_epochs", "loss", "accuracy", "seconds"),
    list(itertools.product((1, 20), (20, 400, 1200), (3e-5, 12.3), (0, 1), (0.1, 250))),
)
def test_a_line_fits_80_columns(number, n_epochs, loss, accuracy, seconds):
    logs = dict.fromkeys(("loss", "val_loss"), loss)
    logs |= dict.fromkeys(("accuracy", "val_accuracy"), accuracy)
    line = epoch_line(number, n_epochs, logs, 0.001, seconds)
    assert len(line) <= 80
    assert line.count("%") == 2 and line.endswith(" s")


@pytest.mark.parametrize("logs", [CURVES, CURVES | VALIDATION], ids=["train", "both"])
def test_lines_of_a_training_stand_below_each_other(logs):
    lines = [epoch_line(n, 400, logs, 0.0008, 0.3) for n in (1, 30, 400)]
    assert len({line.index("loss") for line in lines}) == 1
    assert len({len(line) for line in lines}) == 1


def test_what_a_user_has_not_compiled_is_left_out():
    assert epoch_line(1, 2, {"loss": 0.5}, 0.1, 1) == (
        "epoch 1/2  loss 0.500  rate 0.1  1.00 s"
    )


class CountsBatches(keras.callbacks.Callback):
    """Has a hook for batches, so Keras' own loop trains."""

    def on_train_batch_end(self, batch, logs=None):
        pass


@pytest.fixture(scope="module")
def data():
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    return (X[:200], y[:200]), {"X_val": X[200:300], "y_val": y[200:300]}


def numbers(line):
    found = re.fullmatch(
        r"(epoch|refit) (\d)/(\d)  loss (\S+)  accuracy +(\S+) %"
        r"(?:  validation (\S+)  +(\S+) %)?(?:  rate (\S+))?  \d+\.\d\d s",
        line,
    )
    assert found is not None, line
    return found.groups()


@pytest.mark.parametrize("callbacks", [None, [CountsBatches()]], ids=["ours", "Keras'"])
def test_a_line_for_each_epoch_has_what_the_curves_have(data, callbacks, capfd):
    given, held_out = data
    classifier = KerasMLPClassifier(
        **SMALL, callbacks=callbacks, early_stopping=False, verbose=1
    ).fit(*given, **held_out)
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert err == "" and "\r" not in out and "step" not in out
    assert len(lines) == classifier.n_iter_ == 2
    for i, line in enumerate(lines):
        title, number, total, loss, accuracy, val_loss, val_accuracy, _ = numbers(line)
        assert (title, number, total) == ("epoch", str(i + 1), "2")
        said = [float(v) for v in (loss, accuracy, val_loss, val_accuracy)]
        history = classifier.history_
        known = [history["loss"][i], 100 * history["accuracy"][i]]
        known += [history["val_loss"][i], 100 * history["val_accuracy"][i]]
        np.testing.assert_allclose(said, known, atol=6e-3)


def test_the_rate_is_that_of_the_epoch_and_the_second_training_says_so(data, capsys):
    settings = SMALL | {"learning_rate": 0.004, "learning_rate_schedule": "linear"}
    KerasMLPClassifier(
        **settings, early_stopping=True, refit_on_all=True, verbose=1
    ).fit(*data[0])
    lines = [numbers(line) for line in capsys.readouterr().out.splitlines()]
    assert {line[0] for line in lines} == {"epoch", "refit"}
    # Nothing is held out in the second training; half of the schedule is over in its
    # second epoch.
    again = [line for line in lines if line[0] == "refit"]
    assert {line[5] for line in again} == {None}
    assert [line[7] for line in again] == ["0.004", "0.002"][: len(again)]


def test_lines_go_on_where_a_training_does(data, capsys):
    classifier = KerasMLPClassifier(**SMALL, warm_start=True).fit(*data[0])
    classifier.set_params(verbose=True, epochs=1).fit(*data[0])
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("epoch 3/3  loss ")


def test_nothing_is_printed_by_default_and_2_prints_the_lines_of_keras(data, capsys):
    classifier = KerasMLPClassifier(**SMALL).fit(*data[0])
    assert capsys.readouterr().out == ""
    classifier.set_params(verbose=2).fit(*data[0])
    assert "Epoch 1/2" in capsys.readouterr().out
