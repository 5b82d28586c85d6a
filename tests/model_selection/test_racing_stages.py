"""Races of stages that grow or have a rule, and races that share their time."""

from dataclasses import replace

import numpy as np
import pytest
from racing import ONE_SPLIT, X, Y, results_of, search
from sklearn.exceptions import ConvergenceWarning

from skmnist import Race, Stage, smallest
from skmnist.model_selection._pace import Pace, Share, first_ones
from skmnist.model_selection._runner import StageRows


def growing(**options):
    """Return a race whose quality grows by steps that are worth it up to 3."""
    stage = Stage("q", {"quality": [0, 1], "width": [1, 2]}, grow="quality")
    return search([stage], **options)


@pytest.fixture(scope="module")
def grown():
    told = []
    return growing(on_trial_end=told.append).fit(X, Y), told


def test_a_race_grows_as_long_as_the_winner_has_the_largest_value(grown):
    fitted, _ = grown
    stage = fitted.stages_[0]
    tried = [params["quality"] for params in fitted.cv_results_["params"]]
    winner = stage.params["quality"]
    assert winner > 1 and max(tried) == winner + 1
    assert tried == [0, 0, 1, 1, *np.repeat(np.arange(2, winner + 2), 2)]
    assert f"; quality={winner + 1} is no significant gain" in stage.reason
    assert stage.race.n_candidates == len(tried)
    finishes = fitted.cv_results_["race_finish"].tolist()
    assert finishes.count("won") == 1
    assert finishes[stage.winner] == "won"


def test_fits_of_an_earlier_race_are_not_made_again(grown):
    fitted, told = grown
    assert len({(t.candidate, t.split) for t in told}) == len(told)
    n_fits = fitted.stages_[0].race.n_fits
    assert n_fits == fitted.cv_results_["race_replicates"].sum()
    assert len(told) == n_fits + fitted.race.n_fresh


def test_growth_ends_where_nothing_is_won_or_the_fits_are_used():
    stage = Stage("w", {"width": [1, 2]}, grow="width")
    level = search([stage]).fit(X, Y)
    assert level.best_params_ == {"width": 1}
    assert "; width=2 is no significant gain" in level.stages_[0].reason
    few = growing(race=Race(max_fits=16)).fit(X, Y)
    assert few.stages_[0].race.n_fits <= 16
    assert "; there was no time for quality=2" in few.stages_[0].reason


def test_growth_goes_on_where_it_was_and_ends_after_max_grow(tmp_path, grown):
    memory = growing(memory=str(tmp_path))
    assert results_of(memory.fit(X, Y)) == results_of(memory.fit(X, Y))
    assert results_of(memory) == results_of(grown[0])
    stage = Stage("q", {"quality": [0, 1]}, grow="quality", max_grow=1)
    assert (
        "growth ended after max_grow=1" in search([stage]).fit(X, Y).stages_[0].reason
    )


@pytest.mark.parametrize("cv", [5, ONE_SPLIT])
def test_a_rule_chooses_among_those_that_stand(cv):
    values = {"width": [5, 3, 1], "quality": [0, 4]}
    rule = smallest("width", tolerance=1.0)
    fitted = search([Stage("w", values, rule=rule)], cv=cv).fit(X, Y)
    stage = fitted.stages_[0]
    # Of all candidates the rule would have chosen the first one of width 1.
    assert fitted.best_params_ == {"width": 1, "quality": 4}
    assert "the rule chose among those that stand: " in stage.reason
    assert stage.rule.endswith("smallest(key='width', tolerance=1.0)")
    largest = search([Stage("w", values, rule=widest)], cv=cv).fit(X, Y)
    # Nobody has left for being more complex.
    assert largest.best_params_ == {"width": 5, "quality": 4}
    finishes = largest.cv_results_["race_finish"]
    assert finishes[largest.best_index_] == "won"
    assert np.isfinite(largest.cv_results_["mean_fresh_score"][largest.best_index_])
    assert "idle" not in finishes


def widest(table):
    """Choose the widest candidate."""
    return int(np.argmax([params["width"] for params in table["params"]]))


@pytest.fixture
def by_clock(monkeypatch):
    """Return a function that searches by a clock that each fit moves on by a second."""
    now = [1000.0]
    for clock in ("time", "monotonic"):
        monkeypatch.setattr(f"time.{clock}", lambda: now[0])

    def pass_a_second(trial):
        now[0] += 1.0

    def fit(priorities, seconds, n_first=2, n_fresh=3):
        stages = [
            Stage(f"s{i}", {"width": [2 * i + 1, 2 * i + 2]}, priority=priority)
            for i, priority in enumerate(priorities)
        ]
        first = replace(stages[0], params={"width": list(range(1, n_first + 1))})
        stages[0] = first
        # Each goes on to the end, unless time is over.
        race, started = Race(futility=0.0, n_fresh=n_fresh), now[0]
        fitted = search(
            stages, race=race, time_budget=seconds, on_trial_end=pass_a_second
        ).fit(X, Y)
        return fitted, now[0] - started

    return fit


def test_a_race_shares_its_time_and_tries_all_stages(by_clock):
    full, _ = by_clock([1.0] * 4, 1e6)
    n_full = full.cv_results_["race_replicates"].sum()
    for part in (0.8, 0.55):
        fitted, seconds = by_clock([1.0] * 4, part * n_full)
        assert fitted.not_tried_ == []
        assert seconds <= part * n_full + 5
        assert fitted.cv_results_["race_replicates"].sum() < part * n_full + 5
    assert any("is over" in stage.reason for stage in fitted.stages_)


@pytest.mark.parametrize(
    ("seconds", "replicates"),
    [
        (22.0, [2] * 6 + [3] * 3),  # fewer replicates: six would need 18 fits
        (10.0, [2] * 3 + [2] * 2),  # fewer candidates
    ],
)
def test_the_first_stage_leaves_time_for_the_others(by_clock, seconds, replicates):
    """Its first candidate tells how long a fit takes."""
    fitted, spent = by_clock([1.0] * 2, seconds, n_first=6, n_fresh=0)
    assert fitted.not_tried_ == []
    assert fitted.cv_results_["race_replicates"].tolist() == replicates
    assert spent <= seconds
    told = "of 6 candidates were tried for want of time" in fitted.stages_[0].reason
    assert told == (seconds < 12)


@pytest.mark.parametrize(
    ("priorities", "left_out"),
    [
        ([1, 1, 2, 3], ["s1"]),
        ([1, 2, 1, 3], ["s2"]),
        ([1, 3, 2, 1], ["s3"]),
        # Among equal ones, the first are tried.
        ([1, 1, 1, 1], ["s3"]),
    ],
)
def test_where_time_is_too_short_for_all_stages_what_matters_least_is_left_out(
    by_clock, priorities, left_out
):
    with pytest.warns(ConvergenceWarning, match=f"not tried: {left_out[0]}$"):
        fitted, _ = by_clock(priorities, 22.0)
    assert fitted.not_tried_ == left_out
    assert [stage.name for stage in fitted.stages_] == [
        f"s{i}" for i in range(4) if f"s{i}" not in left_out
    ]


@pytest.mark.parametrize(
    ("seconds", "n", "expected"),
    [
        (30.0, 10, (3, 10)),  # all fits
        (29.0, 10, (2, 10)),  # fewer replicates
        (12.0, 10, (2, 6)),  # fewer candidates
        (0.0, 10, (2, 2)),  # no fewer than two
        (-1.0, 1, (2, 1)),
    ],
)
def test_a_first_look_is_made_shorter_where_time_is_short(seconds, n, expected):
    race, n_tried = Share(seconds, 1.0).shortened(Race(), n)
    assert (race.min_replicates, n_tried) == expected
    assert Share(seconds, None).shortened(Race(), n) == (Race(), n)


def test_shares_follow_the_weights():
    assert Pace(None).share([1, 2]) is None
    import time

    pace = Pace(time.time() + 90)
    pace.keep(10.0, 5)
    share = pace.share([1, 1, 1], 3.0)
    assert share.seconds == pytest.approx(30, abs=1)
    assert share.seconds_per_fit == 6


@pytest.mark.parametrize("name", ["cost", "priority"])
@pytest.mark.parametrize("value", [0, -1, True, "much", float("inf"), float("nan")])
def test_a_cost_and_a_priority_are_positive_numbers(name, value):
    stage = Stage("w", {"width": [1, 2]}, **{name: value})
    with pytest.raises(
        ValueError, match=f"stage 'w': {name} must be a positive number"
    ):
        search([stage]).fit(X, Y)


def test_candidates_that_are_left_out_never_are_the_incumbent():
    rows = StageRows(Stage("s", {}), 0, [{"a": i} for i in range(9)])
    rows.incumbent = rows.added = 7
    rows.keep(first_ones(9, 3, 7))
    assert rows.tried == [{"a": 0}, {"a": 1}, {"a": 7}]
    assert rows.incumbent == rows.added == 2
