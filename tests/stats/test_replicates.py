"""The comparison of candidates that were fitted several times."""

import numpy as np
import pytest

from skmnist.stats import (
    compare_on_replicates,
    corrected_resampled_t_test,
    runs_test,
)


def test_two_candidates_on_splits_get_the_corrected_resampled_t_test():
    scores = np.random.default_rng(0).random((2, 6))
    expected = corrected_resampled_t_test(*scores, n_train=80, n_test=20)
    found = compare_on_replicates(scores, 0, ratio=0.25)
    p = found.p_better()[1]
    assert found.differences[1] == pytest.approx(expected.difference)
    assert np.sqrt(found.variances()[1]) == pytest.approx(expected.standard_error)
    assert 2 * min(p, 1 - p) == pytest.approx(expected.p_value)


def right_rows(rng, k, r, n, seed_sd=0.1, of_rows=0.5):
    """Draw whether rows are classified correctly, by a threshold model."""
    shared = rng.standard_normal(n) + of_rows * rng.standard_normal((k, 1, n))
    seeds = seed_sd * rng.standard_normal((k, r, 1))
    return shared + seeds + rng.standard_normal((k, r, n)) > -2


def test_two_candidates_on_one_split_get_about_the_test_over_runs_and_rows():
    # Both estimate the same variance, once with paired seeds and once without.
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(50):
        right = right_rows(rng, 2, 6, 800)
        found = compare_on_replicates(right.mean(axis=2), 0, right=right)
        expected = runs_test(*right)
        assert found.differences[1] == pytest.approx(expected.difference)
        ratios.append(np.sqrt(found.variances()[1]) / expected.standard_error)
    assert np.median(ratios) == pytest.approx(1, abs=0.1)


def test_the_standard_error_is_the_spread_of_the_difference():
    # Over new seeds and new rows; the estimate may be too large, by the larger of two
    # variances, but not too small.
    rng = np.random.default_rng(1)
    differences, variances = [], []
    for _ in range(300):
        right = right_rows(rng, 4, 5, 400, seed_sd=0.15)
        found = compare_on_replicates(right.mean(axis=2), 0, right=right)
        differences.append(found.differences[1])
        variances.append(found.variances()[1])
    ratio = np.mean(variances) / np.var(differences)
    assert 0.9 < ratio < 1.5


def test_more_replicates_do_not_reduce_what_the_rows_change():
    rng = np.random.default_rng(2)
    right = np.repeat(right_rows(rng, 3, 1, 500), 4, axis=1)  # seeds change nothing
    found = compare_on_replicates(right.mean(axis=2), 0, right=right)
    assert found.variances(1000)[1] == pytest.approx(found.variances()[1])
    assert (found.seed_variances == 0).all()


def test_one_candidate_that_diverges_does_not_hide_the_others():
    rng = np.random.default_rng(3)
    scores = 0.9 + 0.001 * rng.standard_normal((8, 4))
    calm = compare_on_replicates(scores[:7], 0, ratio=0.25).variances()[1]
    scores[7] = [0.9, 0.1, 0.9, 0.1]
    wild = compare_on_replicates(scores, 0, ratio=0.25)
    assert wild.variances()[1] < 4 * calm
    assert wild.variances()[7] > 1e4 * calm


def test_candidates_that_have_departed_add_degrees_of_freedom():
    scores = np.random.default_rng(4).random((2, 5))
    departed = [[0.1, 0.4, 0.3, np.nan, np.nan], [np.nan] * 5]
    alone = compare_on_replicates(scores, 0, ratio=0.25)
    both = compare_on_replicates(scores, 0, ratio=0.25, departed=departed)
    assert (alone.df, both.df) == (4, 6)


def test_the_same_scores_differ_by_nothing():
    right = np.ones((3, 3, 50), dtype=bool)
    found = compare_on_replicates(right.mean(axis=2), 0, right=right)
    assert found.p_better().tolist() == [0.5] * 3
    assert found.chance_to_be_better(10, 0.01).tolist() == [0.5] * 3


@pytest.mark.parametrize(
    "scores, options, message",
    [
        ([[1.0, 2.0]], {"ratio": 1}, "two or more candidates"),
        ([[1.0], [2.0]], {"ratio": 1}, "two or more replicates"),
        ([[1.0, np.nan], [2.0, 1.0]], {"ratio": 1}, "all finite"),
        ([[1.0, 2.0], [2.0, 1.0]], {}, "need the rows"),
        ([[1.0, 0.0], [1.0, 1.0]], {"right": [[1, 0], [1, 1]]}, "has the shape"),
    ],
)
def test_what_cannot_be_compared_is_refused(scores, options, message):
    with pytest.raises(ValueError, match=message):
        compare_on_replicates(scores, 0, **options)
