"""Rungs of a race: candidates that are worse leave after a part of their epochs."""

import numpy as np
import pytest
from racing import ONE_SPLIT, X, Y, results_of, search
from sklearn.exceptions import FitFailedWarning

from skmnist import Race, Stage
from skmnist.model_selection import compare_candidates, table_verdict
from skmnist.model_selection._pace import Share
from skmnist.model_selection._race import RaceState, Replicates, judge, judge_rung

RUNGS = Race(rungs=[0.25, 0.5])
STAGE = Stage("quality", {"quality": [0, 4, 0.1], "epochs": [8]}, race=RUNGS)


@pytest.fixture(scope="module")
def climbed():
    """Return a search with rungs, and the epochs of each fit of each candidate."""
    epochs = {0: [], 1: [], 2: []}

    def keep(trial):
        epochs[trial.candidate].append(trial.params["epochs"])

    return search([STAGE], on_trial_end=keep).fit(X, Y), epochs


def test_who_is_worse_at_a_rung_never_trains_to_the_end(climbed):
    fitted, epochs = climbed
    assert epochs[0] == epochs[2] == [2] * 3
    assert epochs[1] == [2] * 3 + [4] * 3 + [8] * (3 + Race().n_fresh)
    table = fitted.cv_results_
    assert table["race_part"].tolist() == [0.25, 1.0, 0.25]
    assert table["race_finish"].tolist() == ["worse", "won", "worse"]
    assert np.all(table["race_p_value"][[0, 2]].astype(float) < RUNGS.alpha)
    assert [one["epochs"] for one in table["params"]] == [8] * 3
    assert "2 significantly worse; 2 of them after 25% of the training" in (
        fitted.stages_[0].reason
    )


def test_shorter_trainings_are_compared_with_each_other_only(climbed):
    table = climbed[0].cv_results_
    verdict = table_verdict(table, 1)
    assert verdict.differ == (0, 2)
    assert verdict.differences[0] == -table["race_behind"][0] < 0
    with pytest.raises(ValueError, match="one left its race after 25% of the training"):
        compare_candidates(climbed[0], 0, 1)
    assert compare_candidates(climbed[0], 0, 2).difference == pytest.approx(
        table["mean_test_score"][0] - table["mean_test_score"][2]
    )


def test_the_winner_has_the_scores_that_it_has_without_rungs(climbed):
    """Replicates of full trainings have the seeds that they always have."""
    without = search([Stage("quality", {"quality": [4], "epochs": [8]})]).fit(X, Y)
    for name in ("split0_test_score", "split2_test_score", "mean_fresh_score"):
        assert climbed[0].cv_results_[name][1] == without.cv_results_[name][0]


def test_rows_of_one_split_decide_at_a_rung_too():
    fitted = search([STAGE], cv=ONE_SPLIT).fit(X, Y)
    assert fitted.cv_results_["race_part"].tolist() == [0.25, 1.0, 0.25]
    assert results_of(search([STAGE], cv=ONE_SPLIT).fit(X, Y)) == results_of(fitted)


def test_who_fails_at_a_rung_leaves():
    stage = Stage("quality", {"quality": ["bad", 0]}, race=RUNGS)
    with (
        pytest.warns(FitFailedWarning),
        pytest.warns(UserWarning, match="scores are non-finite in stage 'quality'"),
    ):
        fitted = search([stage]).fit(X, Y)
    assert fitted.cv_results_["race_finish"].tolist() == ["failed", "won"]
    assert fitted.cv_results_["race_part"].tolist() == [0.25, 1.0]


def test_without_time_there_are_no_rungs():
    race, n = Share(10.0, 1.0).shortened(RUNGS, 4)
    assert (race.rungs, n) == ((), 4)
    assert Share(100.0, 1.0).shortened(RUNGS, 4) == (RUNGS, 4)


def climb(rng, means):
    """Return who stands after a rung and a first look, with luck of one point."""
    race = Race(rungs=[0.5], max_replicates=3, futility=0.0)
    state, ratio = RaceState.start(len(means)), 0.25

    def run(standing):
        luck = rng.normal(0, 0.01, (len(standing), 3))
        return Replicates(luck + np.array(means)[list(standing), None], ratio=ratio)

    state = judge_rung(race, state, run(state.running), 0.5)
    simple = np.arange(len(means), dtype=float)[:, None]
    return judge(race, state, run(state.running), simple)


def test_equal_candidates_end_with_the_simplest_as_often_as_without_rungs():
    rng = np.random.default_rng(0)
    found = [climb(rng, [0.9] * 5) for _ in range(200)]
    # More than 18 of 200 have a probability of 1 % at a true rate of 5 %.
    assert sum(state.winner != 0 for state in found) <= 18


def test_what_is_clearly_worse_leaves_at_the_rung():
    state = climb(np.random.default_rng(0), [0.9, 0.5])
    assert state.finishes[0].part == 0.5
    assert state.winner == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rungs": 0.5}, "rungs of a race must be a list of numbers; got 0.5"),
        ({"rungs": ["a"]}, "rungs of a race must be a list of numbers"),
        ({"rungs": [0.5, 0.25]}, "rungs of a race must rise, between 0 and 1"),
        ({"rungs": [0.5, 0.5]}, "rungs of a race must rise"),
        ({"rungs": [0]}, "rungs of a race must rise"),
        ({"rungs": [1.0]}, "rungs of a race must rise"),
        ({"rungs": [float("nan")]}, "rungs of a race must rise"),
        ({"rungs": [0.5], "resource": ""}, "resource of a race must be a name"),
    ],
)
def test_rungs_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Race(**options)


@pytest.mark.parametrize(
    ("race", "params", "message"),
    [
        (
            Race(rungs=[0.5], resource="epoch"),
            {"width": [1, 2]},
            "stage 'w': resource of the race: the estimator has no parameter 'epoch'; "
            "did you mean 'epochs'\\?",
        ),
        (
            Race(rungs=[0.5], max_fits=11),
            {"width": [1, 2]},
            "stage 'w': max_fits=11 is too small for a race: the first look needs 12",
        ),
        (
            RUNGS,
            {"epochs": [4, None]},
            "stage 'w': resource of the race: epochs is None, and only numbers can",
        ),
    ],
)
def test_a_stage_that_cannot_have_rungs_says_so(race, params, message):
    with pytest.raises(ValueError, match=message):
        search([Stage("w", params, race=race)]).fit(X, Y)
