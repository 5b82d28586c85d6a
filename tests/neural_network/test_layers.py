"""Uniform numbers that are the same in every kind of program, and dropout."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from skmnist.neural_network.keras_side._layers import CheapDropout, draw_uniform

SEEDS = [[0, 0], [0, 1], [1, 0], [3_000_000_000, 7], [2**32 - 1, 2**31]]


def hashed(bits):
    """Hash one number, in Python's integers."""
    bits = (bits ^ bits >> 16) * 0x7FEB352D % 2**32
    bits = (bits ^ bits >> 15) * 0x846CA68B % 2**32
    return bits ^ bits >> 16


@pytest.mark.parametrize("seeds", SEEDS, ids=str)
def test_numbers_worked_in_python(seeds):
    seed, draw = seeds
    start = hashed(hashed(draw) ^ seed)
    key = hashed((start + 0x9E3779B9) % 2**32)
    hashes = [hashed(hashed((i + start) % 2**32) ^ key) for i in range(6)]
    expected = np.reshape([(h >> 8) / 2**23 - 1 for h in hashes], (2, 3))
    numbers = draw_uniform(tf.constant(seeds, tf.int64), [2, 3], "float64")
    np.testing.assert_array_equal(numbers, expected)


# The seeds are an argument: TensorFlow would compute with constants while tracing.
@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "XLA"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_kind_of_program_draws_the_same(compiled, dtype):
    def draw(seeds):
        return draw_uniform(seeds, [5, 7], dtype)

    program = tf.function(draw, jit_compile=compiled, autograph=False)
    for seeds in SEEDS:
        seeds = tf.constant(seeds, tf.int64)
        np.testing.assert_array_equal(program(seeds), draw(seeds))


# Uniform numbers give a p-value below 1e-4 once in 10,000 times. The seeds are fixed,
# so that a test that passes keeps passing.
@pytest.mark.parametrize("seeds", SEEDS, ids=str)
def test_numbers_are_uniform_and_unrelated(seeds):
    numbers = draw_uniform(tf.constant(seeds, tf.int64), [100_000], "float64").numpy()
    assert numbers.min() >= -1 and numbers.max() < 1
    assert stats.kstest(numbers, stats.uniform(-1, 2).cdf).pvalue > 1e-4
    for distance in (1, 2, 56, 64):
        assert stats.pearsonr(numbers[distance:], numbers[:-distance]).pvalue > 1e-4


def test_draws_are_unrelated():
    draws = np.stack(
        [draw_uniform(tf.constant([5, i], tf.int64), [20_000]) for i in range(20)]
    )
    correlations = np.corrcoef(draws) - np.eye(20)
    # The largest correlation of 190 pairs is usually about three standard deviations.
    assert np.abs(correlations).max() < 4.5 / np.sqrt(20_000)


# The other inputs are scaled up, so that the mean does not change.
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_the_fraction_that_was_asked_for(rate):
    dropped = CheapDropout(rate, seed=1)(np.ones((100, 1000)), training=True).numpy()
    assert np.unique(dropped) == pytest.approx([0, 1 / (1 - rate)])
    # Four standard errors of a fraction of 100,000 inputs.
    error = np.sqrt(rate * (1 - rate) / 100_000)
    assert np.mean(dropped == 0) == pytest.approx(rate, abs=4 * error)


def test_dropout_drops_others_each_time_and_none_outside_of_training():
    layer, X = CheapDropout(0.5, seed=1), np.ones((2, 100), np.float32)
    assert np.any(layer(X, training=True) != layer(X, training=True))
    np.testing.assert_array_equal(layer(X, training=False), X)
