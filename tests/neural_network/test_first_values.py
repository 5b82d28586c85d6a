"""Kernels, optimizers and schedules as Keras has them, without Keras."""

import json

import keras
import numpy as np
import pytest

from skmnist.neural_network._optimizer_forms import serialized
from skmnist.neural_network._optimizer_params import OPTIMIZERS
from skmnist.neural_network._spec import INITIALIZERS
from skmnist.neural_network.engines import _first_values
from skmnist.neural_network.engines._first_values import (
    draw_kernel,
    normal,
    truncated_normal,
    uniform,
)
from skmnist.neural_network.engines._optimizer_facts import (
    described_optimizer,
    scheduled_rates,
    states_of,
)
from skmnist.neural_network.keras_side._optimizers import build_optimizer

# Two numbers beyond Keras' own limits: it takes seeds modulo 2**31 - 2.
SEEDS = (0, 3, 2**31 + 7, 2**32 - 1)
SHAPES = ((64, 50), (1, 1), (3, 300), (300, 3), (5, 1))
DTYPES = ("float32", "float64")


# ---- kernels -----------------------------------------------------------------------


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_kernels_are_those_of_keras(name, dtype):
    for seed in SEEDS:
        for shape in SHAPES:
            config = {} if name == "zeros" else {"seed": seed}
            described = {"class_name": name, "config": config}
            theirs = keras.initializers.deserialize(described)(shape, dtype=dtype)
            found, expected = draw_kernel(name, seed, shape, dtype), np.asarray(theirs)
            assert found.dtype == expected.dtype and found.flags.c_contiguous
            if "uniform" in name or name == "zeros":
                np.testing.assert_array_equal(found, expected)
            # Functions of NumPy and of C round differently, and so do products.
            rounding = 8 * np.finfo(dtype).eps * np.abs(expected).max()
            np.testing.assert_allclose(found, expected, rtol=0, atol=rounding)


# Few numbers are drawn a second or a third time; among so many there are some.
@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_that_are_drawn_again_are_those_of_keras(dtype):
    shape = (500, 400)
    found = truncated_normal(11, shape, np.dtype(dtype))
    expected = np.asarray(keras.random.truncated_normal(shape, seed=11, dtype=dtype))
    np.testing.assert_allclose(found, expected, rtol=0, atol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_have_the_moments_of_their_distributions(dtype):
    dtype, shape = np.dtype(dtype), (400, 500)
    # A mean of n numbers is known to four of its standard errors.
    error = 4 / np.sqrt(400 * 500)
    for draw, mean, deviation in (
        (uniform, 0.5, 12**-0.5),
        (normal, 0.0, 1.0),
        (truncated_normal, 0.0, _first_values._TRUNCATED),
    ):
        drawn = draw(5, shape, dtype)
        assert drawn.mean() == pytest.approx(mean, abs=error)
        assert drawn.std() == pytest.approx(deviation, abs=error)
        assert len(np.unique(drawn)) > 0.95 * drawn.size


# Philox-4x32-10 of counter and key zero: from the known answers of Salmon's Random123.
def test_hashes_are_the_known_ones():
    words = np.zeros((4, 1), np.uint64)
    hashes = [f"{int(word[0]):08x}" for word in _first_values._philox(words, (0, 0))]
    assert hashes == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]


# ---- optimizers --------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_name_means_what_keras_means(name):
    expected = keras.optimizers.serialize(keras.optimizers.get(name))
    found = serialized(name)
    for form in (expected, found):
        form["config"]["name"] = ""
        # Keras reads it back from a variable, in single precision.
        form["config"]["learning_rate"] = np.float32(form["config"]["learning_rate"])
    assert found == expected


OPTIONS = {
    **{name: {} for name in OPTIMIZERS},
    "adam amsgrad": {"amsgrad": True},
    "adamw amsgrad": {"amsgrad": True},
    "adagrad start": {"initial_accumulator_value": 0.25},
    "ftrl start": {"initial_accumulator_value": 0.25},
    "rmsprop centered": {"centered": True},
    "rmsprop momentum": {"momentum": 0.9},
    "rmsprop both": {"momentum": 0.9, "centered": True},
    "sgd momentum": {"momentum": 0.9},
    "sgd nesterov": {"momentum": 0.9, "nesterov": True},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_optimizer_keeps_what_it_keeps_in_keras(name):
    form = serialized(name.split()[0])
    form["config"] |= OPTIONS[name]
    optimizer = keras.saving.deserialize_keras_object(form)
    optimizer.build([keras.Variable(np.zeros(2), name=letter) for letter in "ab"])
    first, *own = [v for v in optimizer.variables if v.name != "learning_rate"]
    assert first.name == "iteration"
    config = {**form["config"], "class_name": form["class_name"]}
    fills, groups, has_product = states_of(config)
    assert has_product == any(len(v.shape) == 0 for v in own)
    kept = [v for v in own if len(v.shape)]
    # First all of one group for "a", then for "b"; then the next group.
    fills = iter(fills)
    expected = []
    for size in groups:
        group = [next(fills) for _ in range(size)]
        expected += [("a", fill) for fill in group] + [("b", fill) for fill in group]
    found = [(v.name[0], float(np.asarray(v)[0])) for v in kept]
    assert [owner for owner, _ in found] == [owner for owner, _ in expected]
    assert [f for _, f in found] == pytest.approx([f for _, f in expected], rel=1e-7)


# ---- learning rates ----------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("n_warmup", [0, 1, 7])
def test_rates_are_those_of_keras(schedule, n_warmup):
    described = {
        "optimizer": "adam",
        "learning_rate": 0.003,
        "schedule": schedule,
        "n_steps": 40,
        "n_warmup": n_warmup,
        "weight_decay": 0.0,
    }
    updates = np.arange(45)
    optimizer = build_optimizer(**described)
    expected = []
    for update in updates:
        optimizer.iterations.assign(update)
        expected.append(float(np.asarray(optimizer.learning_rate)))
    found = described_optimizer(described).rates(updates)
    assert found.dtype == np.float32
    # A cosine near -1 has lost digits.
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_the_rates_of_a_schedule_of_keras_are_asked_for():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    form = keras.optimizers.serialize(keras.optimizers.SGD(schedule))
    described = {
        "optimizer": json.loads(json.dumps(form)),
        "learning_rate": None,
        "schedule": "cosine",
        "n_steps": 5,
        "n_warmup": 0,
        "weight_decay": 0.0,
    }
    facts = described_optimizer(described)
    assert facts.has_update and facts.rate is None
    found = facts.rates(np.arange(10, 20))
    np.testing.assert_allclose(found, 0.1 * 0.5 ** np.arange(1, 2, 0.1), rtol=1e-6)


# The rates fall for one update at least, also where rounding leaves none.
def test_a_warm_up_of_nearly_all_epochs_has_a_rate_to_the_end():
    described = {"schedule": "cosine", "n_steps": 3, "n_warmup": 2}
    rates = scheduled_rates(described, 1.0, np.arange(3))
    np.testing.assert_array_equal(rates, np.float32([0.5, 1, 1]))
