"""The rule of a race, without fits: its error rates, who leaves, when it ends."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri

from skmnist import Race
from skmnist.model_selection._race import (
    ALL_REPLICATES,
    BUDGET,
    ONE_STANDS,
    TIED,
    RaceState,
    Replicates,
    judge,
)


def load_benchmark():
    """Return benchmarks/race.py, which draws races and decides them by the rule."""
    path = Path(__file__).parents[2] / "benchmarks" / "race.py"
    spec = importlib.util.spec_from_file_location("race_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCHMARK = load_benchmark()
run = BENCHMARK.run_race


def races(n_races, accuracies, n_rows):
    return [
        run(Race(), BENCHMARK.stand_in(rng, accuracies, n_rows, 0.001), len(accuracies))
        for rng in BENCHMARK.generators(n_races)
    ]


# docs/racing.md has the same with many more races.


@pytest.mark.parametrize("n_candidates", [2, 6])
def test_equal_candidates_end_with_the_simplest(n_candidates):
    found = races(100, [0.97] * n_candidates, 500)
    # More than 10 of 100 have a probability of 1 % at a true rate of 5 %.
    assert sum(state.winner != 0 for state in found) <= 10
    share = np.mean([state.n_fits for state in found]) / (10 * n_candidates)
    assert share <= 0.5


def test_half_a_point_is_found_over_ten_thousand_rows():
    found = races(12, [0.965] * 5 + [0.97], 10_000)
    assert sum(state.winner == 5 for state in found) >= 11
    assert np.mean([state.n_fits for state in found]) / 60 <= 0.5


def test_the_better_and_simplest_wins():
    (state,) = races(1, [0.98, 0.95, 0.95], 5000)
    assert state.winner == 0
    assert state.ended == ONE_STANDS
    assert {finish.why for finish in state.finishes} == {"worse", "won"}


# What ends a race, with scores that are given.


def scored(table):
    """Draw rows whose means are the scores of a table (candidates x replicates)."""
    n = 1000

    def draw(candidate, replicate):
        scores = table[candidate]
        return np.arange(n) < round(n * scores[replicate % len(scores)])

    return draw


NOISY = [[0.90, 0.80, 0.85], [0.86, 0.84, 0.85], [0.84, 0.88, 0.84]]


def test_a_race_without_futility_goes_on_to_the_last_replicate():
    state = run(Race(futility=0, max_replicates=7), scored(NOISY), 3, ratio=0.25)
    assert (state.ended, state.n_replicates) == (ALL_REPLICATES, 7)
    assert state.winner == 0


def test_a_race_ends_when_the_others_cannot_win():
    state = run(Race(), scored(NOISY), 3, ratio=0.25)
    assert (state.ended, state.n_replicates, state.n_fits) == (TIED, 3, 9)
    assert [finish.why for finish in state.finishes] == ["won", "stood", "stood"]


def test_a_race_ends_before_its_limit_of_fits():
    race = Race(futility=0, max_fits=14)
    state = run(race, scored(NOISY), 3, ratio=0.25)
    assert (state.ended, state.n_fits) == (BUDGET, 12)


def test_who_fails_leaves_and_who_is_left_wins():
    table = [[0.9, np.nan, 0.9], [0.8, 0.8, 0.8]]
    race, state = Race(), RaceState.start(2)
    state = judge(race, state, Replicates(np.array(table), ratio=0.25), [[0], [1]])
    assert (state.winner, state.ended) == (1, ONE_STANDS)
    assert [(f.candidate, f.why) for f in state.finishes] == [(0, "failed"), (1, "won")]


def test_a_race_in_which_all_fail_has_no_winner():
    table = np.full((2, 3), np.nan)
    state = judge(Race(), RaceState.start(2), Replicates(table, ratio=1.0), [[0], [1]])
    assert state.ended
    assert state.winner is None


def test_the_simplest_wins_by_the_first_key_then_by_the_score():
    # Nobody is significantly worse, and candidate 0 is more complex.
    keys = [[2, 0], [1, 1], [1, 1]]
    state = run(Race(), scored(NOISY), 3, keys, ratio=0.25)
    assert state.winner == 2  # the higher mean of two that are equally simple


def test_a_complex_candidate_that_cannot_win_leaves_as_idle():
    # The second may still beat the first; the third is worse and more complex.
    table = [[0.70, 0.72, 0.71], [0.74, 0.78, 0.74], [0.70, 0.71, 0.72]]
    race = Race(futility=0.05)
    state = RaceState.start(3)
    seen = Replicates(np.array(table), ratio=0.25)
    state = judge(race, state, seen, [[0], [1], [2]])
    assert state.running == (0, 1)
    (left,) = state.finishes
    assert (left.candidate, left.why, left.leader, left.replicates) == (2, "idle", 1, 3)
    assert left.p_value >= race.alpha


@pytest.mark.parametrize("n_candidates", [2, 8])
@pytest.mark.parametrize("last", [3, 4, 10])
def test_the_level_spends_alpha_over_all_looks(n_candidates, last):
    # A walk of independent steps, looked at from the third step on.
    race = Race(alpha=0.2, max_replicates=last)
    rng = np.random.default_rng(0)
    sums = rng.standard_normal((40_000, last)).cumsum(axis=1)
    quantiles = (sums / np.sqrt(np.arange(1, last + 1)))[:, 2:].max(axis=1)
    crossed = (quantiles > -ndtri(race.level(n_candidates))).mean()
    assert crossed * (n_candidates - 1) == pytest.approx(0.2, abs=0.015)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"min_replicates": 1}, "min_replicates of a race must be .* from 2; got 1"),
        ({"max_replicates": 2}, "max_replicates of a race must be .* from 3; got 2"),
        ({"n_fresh": -1}, "n_fresh of a race must be a whole number from 0; got -1"),
        ({"max_fits": 1.5}, "max_fits of a race must be a whole number"),
        ({"alpha": 0}, "alpha of a race must be between 0 and 1; got 0"),
        ({"alpha": 1}, "alpha of a race must be between 0 and 1; got 1"),
        ({"futility": -0.5}, "futility of a race must be between 0 and 1"),
        ({"ties": "depth"}, "ties of a race must be a list of names; got 'depth'"),
        ({"ties": [3]}, "ties of a race must be a list of names"),
    ],
    ids=str,
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Race(**options)
