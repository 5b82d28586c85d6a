"""A staged search whose candidates race: its fits, its table, resuming, bad input."""

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from racing import (
    ONE_SPLIT,
    QUALITIES,
    Stub,
    X,
    Y,
    make_stub,
    results_of,
    search,
    two_stages,
)
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import RepeatedKFold, ShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skmnist import (
    Race,
    Stage,
    StagedSearchCV,
    StageScoresDisplay,
    best_score,
    compare_candidates,
    load_digits_28x28,
    record_scoring,
    smallest,
)
from skmnist.model_selection import AllFailedError, table_verdict

IRIS = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def raced():
    """A search whose third candidate is the best, in two stages."""
    stages = [
        Stage("quality", QUALITIES),
        Stage("width", {"width": [3, 1, 2]}),
    ]
    told = []
    fitted = search(stages, on_trial_end=told.append).fit(X, Y)
    return fitted, told


def test_the_best_wins_and_the_others_leave_as_worse(raced):
    fitted, _ = raced
    first = fitted.stages_[0]
    assert first.params == {"quality": 4}
    assert fitted.cv_results_["race_finish"][:4].tolist() == [
        "worse",
        "worse",
        "won",
        "worse",
    ]
    assert first.rule == str(fitted.race).replace("'", "'")
    assert "is the accuracy of the only one" in first.reason.replace(
        "score", "accuracy"
    )
    assert [finish.candidate for finish in first.race.finishes][-1] == 2


def test_ties_go_to_the_smallest_network(raced):
    fitted, _ = raced
    assert fitted.best_params_ == {"quality": 4, "width": 1}
    assert (
        "the simplest of the 3 of 3 candidates that stand" in fitted.stages_[1].reason
    )
    assert fitted.stages_[1].race.ended == "the candidates that stand are tied"


def test_the_means_are_over_the_replicates_that_were_run(raced):
    fitted, _ = raced
    table = fitted.cv_results_
    columns = [n for n in table if n.startswith("split") and n.endswith("test_score")]
    scores = np.array([table[name] for name in columns])
    for row, n in enumerate(table["race_replicates"]):
        assert np.isnan(scores[n:, row]).all()
        assert table["mean_test_score"][row] == pytest.approx(scores[:n, row].mean())
        assert table["std_test_score"][row] == pytest.approx(scores[:n, row].std())
    best = table["mean_test_score"].max()
    assert (table["rank_test_score"] == 1).tolist() == (
        table["mean_test_score"] == best
    ).tolist()
    assert np.isfinite(table["mean_fit_time"]).all()


def test_the_winners_score_is_from_rows_that_did_not_choose_it(raced):
    # The last split of five judges the winners only.
    fitted, told = raced
    first = fitted.race.max_replicates
    fresh = [t.scores["score"] for t in told if t.split >= first and t.stage == "width"]
    assert len(fresh) == fitted.race.n_fresh
    assert fitted.best_score_ == pytest.approx(np.mean(fresh))
    row = fitted.best_index_
    assert fitted.cv_results_["mean_fresh_score"][row] == fitted.best_score_
    others = np.delete(fitted.cv_results_["mean_fresh_score"], row)
    assert np.isnan(others).sum() == len(others) - 1  # the other stage's winner


def test_every_fit_is_told_and_counted_once(raced):
    fitted, told = raced
    assert len({(t.stage, t.candidate, t.split) for t in told}) == len(told)
    n_fits = sum(stage.race.n_fits for stage in fitted.stages_)
    assert n_fits == fitted.cv_results_["race_replicates"].sum()
    assert len(told) == n_fits + 2 * fitted.race.n_fresh


def seeds_of(estimator, names, **options):
    """Return the seeds of each replicate and candidate, by what the fits report."""
    seeds = {}

    def keep(fitted, X_test, y_test):
        return [fitted.get_params()[name] for name in names]

    def add(trial):
        seeds.setdefault((trial.stage, trial.split), []).append(trial.inspected)

    search(
        [Stage("a", {names[0].replace("random_state", "max_depth"): [1, 2]})] * 1
        + [Stage("b", {names[0].replace("random_state", "min_samples_leaf"): [1, 2]})],
        estimator,
        Race(max_replicates=4),
        inspect=keep,
        on_trial_end=add,
        **options,
    ).fit(*IRIS)
    return seeds


@pytest.mark.parametrize(
    "estimator, name",
    [
        (DecisionTreeClassifier(), "random_state"),
        (
            make_pipeline(StandardScaler(), DecisionTreeClassifier()),
            "decisiontreeclassifier__random_state",
        ),
    ],
    ids=["plain", "pipeline"],
)
def test_a_replicate_has_one_seed_and_each_has_another(estimator, name):
    seeds = seeds_of(estimator, [name])
    assert all(len({tuple(s) for s in its}) == 1 for its in seeds.values())
    # Another stage has other seeds too: a winner does not keep its lucky ones.
    assert len({tuple(its[0]) for its in seeds.values()}) == len(seeds)


def test_the_seed_of_the_estimator_is_used_if_the_search_has_none():
    tree = DecisionTreeClassifier(random_state=0)
    own = seeds_of(tree, ["random_state"], random_state=None)
    assert own == seeds_of(DecisionTreeClassifier(), ["random_state"], random_state=0)
    assert own != seeds_of(tree, ["random_state"], random_state=1)


def test_without_a_random_state_the_splits_are_the_replicates():
    stage = Stage("smoothing", {"var_smoothing": [1e-9, 1e-8]})
    race = Race(max_replicates=8, futility=0, ties=["var_smoothing"])
    fitted = search([stage], GaussianNB(), race, cv=10).fit(*IRIS)
    assert fitted.cv_results_["race_replicates"].tolist() == [8, 8]
    # Two splits give the winner's score, though n_fresh is 3.
    assert fitted.best_params_ == {"var_smoothing": 1e-9}
    assert 0.9 < fitted.best_score_ <= 1


def test_seeds_on_one_split_race_by_rows():
    fitted = search(cv=ONE_SPLIT).fit(X, Y)
    assert fitted.best_params_ == {"quality": 4}
    n = fitted.cv_results_["race_replicates"]
    assert [rows.shape for rows in fitted.cv_results_["right"]] == [(k, 400) for k in n]
    # Other rows can change a score too, which the seeds alone do not show.
    assert all(e > 0.005 for e in fitted.cv_results_["race_standard_error"] if e)


def test_the_verdict_on_the_stage_is_that_of_the_race():
    fitted = search(cv=ONE_SPLIT).fit(X, Y)
    verdict = table_verdict(fitted.cv_results_, 2)
    assert verdict.differ == (0, 1, 3)
    assert verdict.test == "race over replicates"
    assert not verdict.tied
    with pytest.raises(ValueError, match="candidate 0 did not win its race"):
        table_verdict(fitted.cv_results_, 0)


def test_the_verdict_on_the_leader_is_what_the_race_knew_of_the_winner():
    # All are equal, so the simplest wins, and often another one leads.
    found = []
    for seed in range(8):
        fitted = search([Stage("w", {"width": [1, 2, 3]})], random_state=seed)
        table = fitted.fit(X, Y).cv_results_
        winner = fitted.stages_[0].winner
        verdict = table_verdict(table, winner)
        for i in set(range(3)) - {winner}:
            if table["race_p_value"][i] is None:
                assert verdict.adjusted[i] == table["race_p_value"][winner]
                assert verdict.standard_errors[i] > 0
                found.append(seed)
    assert len(found) > 2


@pytest.mark.parametrize("cv", [5, ONE_SPLIT], ids=["five", "one"])
def test_a_pair_is_compared_as_its_race_did(cv):
    fitted = search(cv=cv).fit(X, Y)
    (stage,) = fitted.stages_
    left = [finish for finish in stage.race.finishes if finish.why == "worse"]
    assert left
    for finish in left:
        found = compare_candidates(fitted, finish.leader, finish.candidate)
        assert found.test == "paired test over replicates"
        assert found.n == finish.replicates
        assert found.difference == pytest.approx(finish.behind)
        assert found.standard_error == pytest.approx(finish.standard_error)
        # The race asks of all candidates and looks, so its p is larger.
        assert found.p_better < finish.p_value < 0.05
        low, high = found.interval
        assert 0 < low < found.difference < high
        turned = compare_candidates(fitted, finish.candidate, finish.leader)
        assert turned.difference == -found.difference
        assert turned.p_value == pytest.approx(found.p_value)


def test_candidates_of_different_races_are_not_compared():
    fitted = two_stages().fit(X, Y)
    with pytest.raises(ValueError, match="stages q and w, which raced with different"):
        compare_candidates(fitted, 3, 4)


def test_a_display_draws_candidates_that_have_left(raced):
    fitted, _ = raced
    display = StageScoresDisplay.from_search(fitted, stage="quality")
    assert np.isfinite(display.standard_errors).all()


@pytest.mark.parametrize(
    "options",
    [
        {"scoring": record_scoring(), "cv": ONE_SPLIT},
        {"scoring": ["f1_macro", "accuracy"], "refit": "f1_macro"},
        {
            "scoring": lambda fitted, X, y: {"right": fitted.score(X, y), "one": 1.0},
            "refit": "right",
        },
    ],
    ids=["recorded", "several", "function"],
)
def test_several_metrics_race_by_the_one_that_decides(options):
    raced = search(return_train_score=True, **{"refit": False, **options}).fit(X, Y)
    metric, table = raced.metric_, raced.cv_results_
    assert raced.best_params_["quality"] == 4
    row = raced.best_index_
    assert raced.best_score_ == table[f"mean_fresh_{metric}"][row]
    # The stand-in does not learn, so its training score is about the same.
    gap = table[f"mean_train_{metric}"] - table[f"mean_test_{metric}"]
    assert np.abs(gap).max() < 0.1


def test_a_stage_can_race_alone_or_not_at_all():
    plain = Stage("quality", QUALITIES, rule=smallest("quality", tolerance=1))
    other = Stage("width", {"width": [1, 2]}, race=Race(max_replicates=4))
    fitted = search([plain, other], race=None, estimator=Stub(random_state=0)).fit(X, Y)
    assert fitted.cv_results_["race_finish"][:4].tolist() == [None] * 4
    assert fitted.stages_[0].race is None
    # The plain stage has the results of a search without races.
    alone = search([plain], race=None, estimator=Stub(random_state=0)).fit(X, Y)
    for name in ("mean_test_score", "std_test_score", "split4_test_score"):
        assert fitted.cv_results_[name][:4].tolist() == alone.cv_results_[name].tolist()
    assert "race_finish" not in alone.cv_results_
    off = Stage("quality", QUALITIES, rule=plain.rule, race=False)
    same = search([off, other], estimator=Stub(random_state=0)).fit(X, Y)
    assert results_of(same) == results_of(fitted)


# ---- where fits run, and resuming ---------------------------------------------------


def test_threads_and_processes_give_the_same_results():
    expected = results_of(two_stages().fit(X, Y))
    local = two_stages(estimator=make_stub()(), n_jobs=2)
    with joblib.parallel_config("threading"):
        assert results_of(local.fit(X, Y)) == expected
    assert results_of(local.fit(X, Y)) == expected


def test_a_search_that_is_killed_goes_on_to_the_same_result(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    expected = results_of(two_stages(memory=whole).fit(X, Y))
    n_fits = len(os.listdir(whole))
    tests = Path(__file__).parents[1]
    code = (
        f"import sys; sys.path[:0] = [{str(tests)!r}]\n"
        "from racing import X, Y, two_stages\n"
        f"two_stages(memory={str(killed)!r}).fit(X, Y)"
    )
    environment = {**os.environ, "KILL_AT": str(n_fits // 2)}
    run = subprocess.run([sys.executable, "-c", code], env=environment)
    assert run.returncode == -signal.SIGKILL
    assert len(os.listdir(killed)) == n_fits // 2
    assert results_of(two_stages(memory=killed).fit(X, Y)) == expected
    assert len(os.listdir(killed)) == n_fits


def test_real_networks_race_and_are_read_from_memory_again(tmp_path):
    from skmnist import KerasMLPClassifier

    digits, targets = load_digits_28x28(return_X_y=True)
    given = (digits[:300], targets[:300])
    raced = search(
        [Stage("width", {"widths": [1, 24]})],
        KerasMLPClassifier(depth=1, epochs=4, batch_size=32),
        Race(max_replicates=3, n_fresh=1),
        cv=2,
        memory=tmp_path,
    )
    found = results_of(raced.fit(*given))
    assert raced.best_params_["widths"] == 24
    assert raced.cv_results_["race_finish"].tolist() == ["worse", "won"]
    n_kept = len(list(tmp_path.rglob("*")))
    assert results_of(raced.fit(*given)) == found
    assert len(list(tmp_path.rglob("*"))) == n_kept


def test_without_ties_the_highest_mean_wins():
    """The widest is a little luckier than the others, on the same rows."""
    stages = [Stage("w", {"width": [1, 2, 3]})]
    fitted = search(stages, race=Race(ties=())).fit(X, Y)
    means = fitted.cv_results_["mean_test_score"]
    assert len(set(fitted.cv_results_["race_replicates"])) == 1
    assert fitted.best_index_ == np.argmax(means)
    simplest = search(stages).fit(X, Y)
    assert simplest.best_index_ == 0 != fitted.best_index_


@pytest.mark.parametrize("carried", [1, 2, 3])
def test_a_tie_stays_with_the_incumbent_if_asked_to(carried):
    """The first stage carries a width into the second, where all widths are tied."""
    stages = [
        Stage("carry", {"width": [carried], "quality": [0, 3]}),
        Stage("tied", {"width": [1, 2, 3]}, race=Race(ties=("incumbent",))),
    ]
    fitted = search(stages).fit(X, Y)
    assert fitted.best_params_ == {"width": carried, "quality": 3}
    reason = fitted.stages_[1].reason
    assert "is the score of the candidate carried in, one of the " in reason


def test_an_incumbent_that_is_worse_leaves():
    stages = [
        Stage("carry", {"quality": [0], "width": [1, 2]}),
        Stage("better", {"quality": [0, 4]}, race=Race(ties=("incumbent",))),
    ]
    assert search(stages).fit(X, Y).best_params_["quality"] == 4


def test_a_first_stage_has_no_incumbent():
    stages = [Stage("w", {"width": [1, 2, 3]}, race=Race(ties=("incumbent",)))]
    fitted = search(stages).fit(X, Y)
    assert fitted.best_index_ == np.argmax(fitted.cv_results_["mean_test_score"])


# ---- what ends a race ---------------------------------------------------------------


def test_a_limit_of_fits_ends_the_race_with_who_stands():
    race = Race(max_fits=9, futility=0)
    fitted = search([Stage("w", {"width": [2, 1]})], race=race).fit(X, Y)
    assert fitted.stages_[0].race.n_fits == 8
    assert fitted.stages_[0].race.ended == "the budget is spent"
    assert fitted.best_params_ == {"width": 1}


def test_time_that_is_over_ends_the_race_with_who_stands(monkeypatch):
    clock = {"now": 0.0}
    monkeypatch.setattr(
        "skmnist.model_selection._evaluation.time.time", lambda: clock["now"]
    )

    def tick(trial):
        clock["now"] += 1

    raced = search(
        [Stage("w", {"width": [2, 1]}), Stage("q", QUALITIES)],
        race=Race(futility=0),
        time_budget=9,
        on_trial_end=tick,
    )
    with pytest.warns(ConvergenceWarning, match="is spent: .* not tried: q"):
        fitted = raced.fit(X, Y)
    (stage,) = fitted.stages_
    assert (stage.race.ended, stage.race.n_replicates) == ("the time is over", 4)
    assert fitted.best_params_ == {"width": 1}
    # No time for other replicates: the score is of those that chose.
    assert fitted.best_score_ == fitted.cv_results_["mean_test_score"][1]


def test_time_that_is_over_before_the_first_look_is_an_error():
    raced = search(time_budget=1e-9)
    with pytest.raises(
        TimeoutError, match="is spent: 0 of 8 fits .* nothing is chosen"
    ):
        raced.fit(X, Y)


def test_candidates_that_fail_leave():
    raced = search([Stage("q", {"quality": ["bad", 0, 4]})])
    with pytest.warns(FitFailedWarning), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One or more of the test scores")
        fitted = raced.fit(X, Y)
    assert fitted.best_params_ == {"quality": 4}
    assert fitted.cv_results_["race_finish"][0] == "failed"
    assert table_verdict(fitted.cv_results_, 2).scores[0] is None


@pytest.mark.parametrize("cv", [5, ONE_SPLIT], ids=["five", "one"])
def test_a_race_in_which_all_fail_is_one_error(cv):
    raced = search([Stage("q", {"quality": ["bad"]})], cv=cv)
    with pytest.raises(
        AllFailedError, match="stage 'q': all 1 candidates failed: .* bad"
    ):
        raced.fit(X, Y)


# ---- bad input ----------------------------------------------------------------------

FUNCTION = Stage("w", lambda chosen: {"width": [1, 2, 3, 4, 5]})


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"race": Race(max_fits=11)},
            "stage 'quality': max_fits=11 is too small for a race: the first look "
            "needs 12 fits",
        ),
        (
            {"race": Race(max_fits=11), "stages": [FUNCTION]},
            "stage 'w': max_fits=11 is too small for a race: the first look needs "
            "15 fits",
        ),
        (
            {"random_state": None},
            "stage 'quality': a race needs a random state, so that its replicates can "
            "be made again; pass random_state=0 to the search",
        ),
        (
            {
                "estimator": GaussianNB(),
                "stages": [Stage("s", {"var_smoothing": [1e-9, 1e-8]})],
            },
            "stage 's': 10 replicates on 4 splits need an estimator with a "
            "random_state: without one, every fit on a split is the same; give cv more "
            "splits, or set max_replicates of the race to 4 or less",
        ),
        (
            {"race": Race(ties=["withd"])},
            "stage 'quality': ties of the race: the estimator has no parameter "
            "'withd'; did you mean 'width'?",
        ),
        (
            {
                "race": Race(ties=["quality"]),
                "stages": [Stage("m", {"quality": ["x"]})],
            },
            "stage 'm': ties of the race: quality is 'x', and only numbers can be "
            "compared for size",
        ),
        (
            {"stages": [Stage("r", {"random_state": [1, 2]})]},
            "stage 'r': a race sets random_state itself, so no stage can search it",
        ),
        (
            {"stages": [Stage("q", QUALITIES, race="yes")]},
            "stage 'q': race must be a Race or False; got 'yes'",
        ),
        (
            {"cv": ONE_SPLIT, "scoring": "f1_macro"},
            "stage 'quality': a race on one split needs the accuracy of a classifier "
            "as its score: only the rows show then what other rows would change; give "
            "cv three or more splits",
        ),
        (
            {
                "cv": ONE_SPLIT,
                "estimator": LinearRegression(),
                "stages": [Stage("i", {"fit_intercept": [True, False]})],
                "race": Race(max_replicates=3),
            },
            "stage 'i': 3 replicates on 1 split need an estimator with a random_state: "
            "without one, every fit on a split is the same; give cv more splits, or "
            "set max_replicates of the race to 1 or less",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_one_line_before_the_first_fit(options, message):
    told = []
    raced = search(**options, on_trial_end=told.append)
    with pytest.raises(ValueError) as caught:
        raced.fit(X, Y)
    assert str(caught.value) == message
    assert not told


def test_another_score_on_one_split_is_refused_when_it_is_seen():
    def half(estimator, X, y):
        return (estimator.predict(X) == y).mean() / 2

    with pytest.raises(ValueError, match="stage 'quality': a race on one split needs"):
        search(cv=ONE_SPLIT, scoring=half).fit(X, Y)


def test_a_later_race_that_is_too_long_keeps_what_is_found():
    raced = search([Stage("q", {"quality": [0, 4]}), FUNCTION], race=Race(max_fits=13))
    with pytest.warns(
        ConvergenceWarning, match="'w': max_fits=13 is too small"
    ) as told:
        fitted = raced.fit(X, Y)
    assert len(told) == 1
    assert fitted.best_params_ == {"quality": 4}
    assert fitted.not_tried_ == ["w"]


@pytest.mark.parametrize(
    "cv", [3, ShuffleSplit(6, random_state=0), RepeatedKFold(n_splits=3, n_repeats=2)]
)
def test_any_splits_can_race(cv):
    raced = search([Stage("q", {"quality": [0, 4]})], cv=cv, refit=True)
    fitted = raced.fit(X, Y)
    assert fitted.best_params_ == {"quality": 4}
    assert fitted.score(X, Y) > 0.9


def test_a_plain_search_has_no_column_of_a_race():
    fitted = StagedSearchCV(
        Stub(random_state=0), [Stage("q", {"quality": [0, 4]}, rule=best_score)]
    ).fit(X, Y)
    assert not [
        name for name in fitted.cv_results_ if "race" in name or "fresh" in name
    ]
