"""Differences in the table of a search: compared, asked for by a rule, explained."""

# SPDX-License-Identifier: BSD-3-Clause

import math

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier

from skmnist import Stage, StagedSearchCV
from skmnist.model_selection import (
    compare_candidates,
    explain,
    significant_gain,
    significantly_better,
    table_verdict,
)
from skmnist.stats import (
    corrected_resampled_t_test,
    mcnemar_test,
    stage_verdict,
    two_proportions_test,
)

NAN = float("nan")


def one_split(*accuracies, n=10_000, **columns):
    """Make the table of a search with one split of `n` test rows."""
    return {
        "mean_test_score": np.array(accuracies),
        "mean_test_n_test": np.full(len(accuracies), float(n)),
        **{name: np.array(values) for name, values in columns.items()},
    }


def kept(right, **columns):
    """Make the table of a search with one split that kept which rows are correct."""
    return one_split(
        *right.mean(axis=1), n=right.shape[1], right=list(right), **columns
    )


def candidates(seed, k=5, n=400, worst=0.06):
    """Draw which rows each candidate classifies correctly: not all equally good."""
    rng = np.random.default_rng(seed)
    difficult = rng.random(n) < 0.1
    return ~difficult ^ (rng.random((k, n)) < rng.uniform(0.01, worst, (k, 1)))


def splits(*candidates, **columns):
    """Make the table of a search from each candidate's scores."""
    scores = np.array(candidates, dtype=float)
    return {
        "mean_test_score": scores.mean(axis=1),
        **{f"split{i}_test_score": column for i, column in enumerate(scores.T)},
        **{name: np.array(values) for name, values in columns.items()},
    }


# compare_candidates


def test_several_splits_are_compared_by_the_corrected_t_test():
    a, b = [0.91, 0.92, 0.93], [0.90, 0.90, 0.90]
    # Three folds: a third of the rows judges.
    expected = corrected_resampled_t_test(a, b, n_train=2, n_test=1)
    assert compare_candidates(splits(a, b), 0, 1).p_value == pytest.approx(
        expected.p_value
    )


def test_other_parts_of_the_data_can_be_named():
    a, b = [0.91, 0.92, 0.93], [0.90, 0.90, 0.90]
    expected = corrected_resampled_t_test(a, b, n_train=90, n_test=10).p_value
    found = compare_candidates(splits(a, b), 0, 1, test_size=0.1)
    assert found.p_value == pytest.approx(expected)
    shown = splits(a, b, n_train=[90, 90], n_test=[10, 10])
    assert compare_candidates(shown, 0, 1).p_value == pytest.approx(expected)


def test_one_split_is_compared_by_its_counts():
    found = compare_candidates(one_split(0.9814, 0.9791), 0, 1)
    assert found == two_proportions_test(9814, 9791, n=10_000)


def test_one_split_is_compared_by_its_rows_if_they_are_known():
    right = candidates(0)
    assert compare_candidates(kept(right), 0, 1) == mcnemar_test(right[0], right[1])


@pytest.mark.parametrize("change", ["other metric", "one unknown"])
def test_rows_that_do_not_belong_to_the_scores_are_not_used(change):
    # The F1 score, or an accuracy with sample weights, is not the share of the rows.
    right = candidates(0)
    table = kept(right)
    if change == "other metric":
        table["mean_test_score"] = table["mean_test_score"] + 0.01
    else:
        table["right"] = [right[0], None, *right[2:]]
    found = compare_candidates(table, 0, 1)
    assert found.test == "test of two proportions"
    assert not table_verdict(table, 0).paired


def test_one_split_without_its_size_cannot_be_compared():
    with pytest.raises(ValueError, match="needs the column mean_test_n_test"):
        compare_candidates({"mean_test_score": [0.9, 0.8]}, 0, 1)


def test_a_failed_candidate_cannot_be_compared():
    with pytest.raises(ValueError, match="candidate 1 failed"):
        compare_candidates(splits([0.9, 0.8], [0.9, NAN]), 0, 1)


@pytest.mark.parametrize("test_size", [0, 1, -0.1, 10])
def test_a_part_of_the_data_is_between_0_and_1(test_size):
    with pytest.raises(ValueError, match="test_size must be between 0 and 1"):
        compare_candidates(splits([0.9, 0.8], [0.9, 0.7]), 0, 1, test_size=test_size)


# table_verdict


def test_the_verdict_on_a_table_is_that_on_its_numbers():
    right = candidates(0)
    sizes = {"n_test": 400}
    accuracies = right.mean(axis=1)
    assert table_verdict(kept(right), 2) == stage_verdict(
        accuracies, 2, right=right, **sizes
    )
    assert table_verdict(one_split(*accuracies, n=400), 2) == stage_verdict(
        accuracies, 2, **sizes
    )
    scores = np.random.default_rng(0).uniform(0.8, 0.9, (3, 5))
    assert table_verdict(splits(*scores), 1, alpha=0.1) == stage_verdict(
        scores, 1, n_train=0.8, n_test=0.2, alpha=0.1
    )


def test_a_pair_has_the_p_value_of_its_comparison():
    # Before it is adjusted; both come from the same test.
    for seed in range(10):
        right = candidates(seed)
        for table in (kept(right), one_split(*right.mean(axis=1), n=400)):
            verdict = table_verdict(table, 0)
            for i in range(1, 5):
                assert compare_candidates(table, i, 0).p_value == verdict.p_values[i]


# significantly_better


def test_the_simplest_stays_where_nobody_is_clearly_better():
    # The report: 98.14 % of 2 x 400 against 97.83 % of 3 x 200 has p = 0.12.
    table = one_split(0.9783, 0.9814, param_depth=[2, 3])
    assert significantly_better("depth")(table) == 0


def test_who_is_clearly_better_wins_however_complex():
    table = one_split(0.9667, 0.9739, 0.9814, param_depth=[2, 3, 4])
    assert significantly_better("depth")(table) == 2


def test_holm_over_all_candidates_keeps_who_a_single_test_would_replace():
    # 98.25 against 97.83 has a p of 0.032: below 0.05 alone, above it as the smallest
    # of three pairs.
    rule = significantly_better("depth")
    assert rule(one_split(0.9783, 0.9825, param_depth=[2, 3])) == 1
    assert rule(one_split(0.9783, 0.9825, 0.9790, param_depth=[2, 3, 4])) == 0


def test_rows_that_are_known_show_a_gain_that_two_proportions_cannot():
    right = np.ones((2, 10_000), dtype=bool)
    right[0, :200] = right[1, 40:210] = False
    rule = significantly_better("depth")
    assert rule(kept(right, param_depth=[1, 2])) == 1
    assert rule(one_split(*right.mean(axis=1), param_depth=[1, 2])) == 0


@pytest.mark.parametrize("rows", ["kept", "not kept"])
def test_what_the_rule_says_is_what_the_table_shows(rows):
    # The rule compares with the baseline before it chooses. The table of the stage
    # compares with the winner afterwards. Their pair has one adjusted p-value.
    replaced = 0
    for seed in range(60):
        right = candidates(seed, k=4, worst=0.2)
        table = kept(right, incumbent=[True, False, False, False])
        if rows == "not kept":
            del table["right"]
        winner = significantly_better()(table)
        verdict = table_verdict(table, winner)
        reason = explain(significantly_better(), table, winner)
        assert verdict.test in reason
        if winner != 0:
            replaced += 1
            assert 0 in verdict.differ and verdict.differences[0] < 0
            assert reason.endswith(f"p = {verdict.adjusted[0]:.2g}")
        else:
            better = [i for i in (1, 2, 3) if verdict.differences[i] > 0]
            assert not set(better) & set(verdict.differ)
            if better:
                nearest = min(verdict.adjusted[i] for i in better)
                assert reason.endswith(f"p = {nearest:.2g}")
    assert 0 < replaced < 60


def test_folds_are_compared_fold_by_fold():
    # Folds differ by more than the candidates do; the gain is the same in each.
    easy = np.array([0.80, 0.90, 0.95, 0.85])
    steady = splits(easy, easy + [0.010, 0.011, 0.009, 0.010], param_depth=[2, 3])
    shaky = splits(easy, easy + [0.100, -0.060, 0.090, -0.090], param_depth=[2, 3])
    assert significantly_better("depth")(steady) == 1
    assert significantly_better("depth")(shaky) == 0


def test_the_incumbent_is_the_baseline_without_a_complexity():
    table = one_split(0.97, 0.98, 0.9801, incumbent=[False, True, False])
    assert significantly_better()(table) == 1


def test_without_an_incumbent_the_first_is_the_baseline():
    assert significantly_better()(one_split(0.9801, 0.98, 0.9802)) == 0


def test_where_the_incumbent_failed_the_first_that_did_not_is_the_baseline():
    table = one_split(NAN, 0.9801, 0.9802, incumbent=[True, False, False])
    assert significantly_better()(table) == 1


@pytest.mark.parametrize(
    "rule", [significantly_better(), significantly_better("depth")]
)
def test_a_nan_never_wins(rule):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scores = rng.uniform(0.9, 0.99, 6)
        scores[rng.permutation(6)[:3]] = NAN
        table = one_split(*scores, param_depth=np.arange(6))
        assert not np.isnan(scores[rule(table)])


def test_all_nan_means_that_all_failed():
    with pytest.raises(ValueError, match="all candidates failed"):
        significantly_better()(one_split(NAN, NAN))


def test_the_level_decides():
    table = one_split(0.9783, 0.9814, param_depth=[2, 3])
    assert significantly_better("depth", alpha=0.12)(table) == 1


@pytest.mark.parametrize("alpha", [0, 1, NAN])
def test_an_impossible_level_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha must be between 0 and 1"):
        significantly_better(alpha=alpha)


def test_equal_candidates_replace_the_baseline_as_seldom_as_the_level_says():
    # Twenty candidates of 95 %, each on 2000 other rows. If the p-values were not
    # adjusted, the baseline would lose in most cases.
    rng = np.random.default_rng(0)
    rule, lost = significantly_better(), 0
    for _ in range(400):
        lost += rule(one_split(*rng.binomial(2000, 0.95, 20) / 2000, n=2000)) != 0
    # Three standard errors above the level.
    assert lost / 400 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_the_reason_of_who_stays_says_which_test_it_was():
    table = one_split(0.9783, 0.9814, 0.9780, param_depth=[2, 3, 4])
    assert explain(significantly_better("depth"), table, 0) == (
        "the simplest candidate, depth=2, with 97.83 % stays: none of the 2 others is "
        "significantly better at level 0.05 (test of two proportions on one split, "
        "adjusted after Holm); the nearest, 98.14 %, has p = 0.26"
    )


def test_the_reason_of_who_stays_where_all_others_are_worse():
    table = one_split(0.98, 0.97, 0.96, param_depth=[2, 3, 4])
    assert explain(significantly_better("depth"), table, 0).endswith(
        "adjusted after Holm); none has a higher score"
    )


def test_the_reason_of_who_replaces_the_incumbent_has_the_numbers():
    table = splits([0.90, 0.91, 0.90], [0.95, 0.96, 0.951], incumbent=[True, False])
    assert explain(significantly_better(), table, 1) == (
        "95.37 % is the only one of 2 candidates significantly better than the "
        "incumbent with 90.33 % at level 0.05 (corrected resampled t-test, adjusted "
        "after Holm); p = 0.00011"
    )


def test_the_reason_where_all_others_failed():
    assert explain(significantly_better(), one_split(NAN, 0.9), 1) == (
        "90.00 % is all there is: the other candidates failed"
    )


def test_it_serves_as_refit_of_a_grid_search():
    X, y = load_iris(return_X_y=True)
    search = GridSearchCV(
        DecisionTreeClassifier(random_state=0),
        {"max_depth": [2, 3, 4]},
        cv=10,
        refit=significantly_better("max_depth"),
    ).fit(X, y)
    # Depth 3 has the better score, but not by more than chance.
    assert search.best_params_ == {"max_depth": 2}
    assert search.cv_results_["mean_test_score"].argmax() > 0


def test_it_serves_as_rule_of_a_stage_where_it_knows_the_incumbent():
    X, y = load_iris(return_X_y=True)
    search = StagedSearchCV(
        DecisionTreeClassifier(random_state=0),
        [
            Stage("depth", {"max_depth": [2]}),
            Stage("leaf", {"min_samples_leaf": [2, 3]}, rule=significantly_better()),
        ],
        cv=5,
    ).fit(X, y)
    assert search.stages_[1].winner == search.stages_[1].incumbent
    assert search.stages_[1].reason.startswith("the incumbent with ")


def test_a_stage_knows_the_sizes_of_its_splits():
    X, y = load_iris(return_X_y=True)
    seen = {}

    def rule(cv_results):
        seen.update(cv_results)
        return 0

    StagedSearchCV(
        DummyClassifier(),
        [Stage("strategy", {"strategy": ["prior", "uniform"]}, rule=rule)],
        cv=5,
    ).fit(X, y)
    assert seen["n_train"].tolist() == [120, 120]
    assert seen["n_test"].tolist() == [30, 30]
    assert seen["incumbent"].tolist() == [False, False]


def test_one_split_of_a_stage_needs_no_recorded_size():
    X, y = load_iris(return_X_y=True)
    search = StagedSearchCV(
        DecisionTreeClassifier(random_state=0),
        [Stage("depth", {"max_depth": [1, 2]}, rule=significantly_better("max_depth"))],
        cv=[(np.arange(0, 150, 2), np.arange(1, 150, 2))],
    ).fit(X, y)
    assert search.best_params_ == {"max_depth": 2}


def correct(estimator, X, y):
    """Return what a search keeps of a fit."""
    return {"right": estimator.predict(X) == y}


HALVES = [(np.arange(0, 150, 2), np.arange(1, 150, 2))]


def test_a_search_keeps_which_rows_are_correct_and_compares_by_them():
    X, y = load_iris(return_X_y=True)
    rule = significantly_better("max_depth")
    search = StagedSearchCV(
        DecisionTreeClassifier(random_state=0),
        [
            Stage("depth", {"max_depth": [1, 2]}, rule=rule),
            Stage("leaf", {"min_samples_leaf": [40]}),
        ],
        cv=HALVES,
        inspect=correct,
    ).fit(X, y)
    table = search.cv_results_
    assert [np.mean(right) for right in table["right"]] == list(
        table["mean_test_score"]
    )
    assert "McNemar's test, adjusted after Holm" in search.stages_[0].reason
    found = compare_candidates(table, 1, 0)
    assert found == mcnemar_test(table["right"][1], table["right"][0])


@pytest.mark.parametrize("scoring", ["f1_macro", {"f1": "f1_macro"}])
def test_a_search_for_another_score_does_not_compare_rows(scoring):
    X, y = load_iris(return_X_y=True)
    stage = Stage("depth", {"max_depth": [1, 2]}, rule=significantly_better())
    search = StagedSearchCV(
        DecisionTreeClassifier(random_state=0),
        [stage],
        cv=HALVES,
        inspect=correct,
        scoring=scoring,
    ).fit(X, y)
    assert "test of two proportions on one split" in search.stages_[0].reason


@pytest.mark.parametrize(
    "inspect, cv",
    [
        (correct, 2),
        (lambda estimator, X, y: {"right": 3}, HALVES),
        (lambda estimator, X, y: {"curve": []}, HALVES),
        (lambda estimator, X, y: None, HALVES),
    ],
    ids=["several splits", "a number", "something else", "nothing"],
)
def test_a_search_without_rows_of_one_split_has_no_column_of_them(inspect, cv):
    X, y = load_iris(return_X_y=True)
    search = StagedSearchCV(
        DecisionTreeClassifier(random_state=0),
        [Stage("depth", {"max_depth": [1, 2]})],
        cv=cv,
        inspect=inspect,
    ).fit(X, y)
    assert "right" not in search.cv_results_


def test_a_rule_is_written_as_in_code():
    assert repr(significantly_better("depth", alpha=0.1)) == (
        "significantly_better(complexity='depth', alpha=0.1, test_size=None)"
    )


# significant_gain


def test_the_corrected_t_test_by_hand():
    # The gains 0.01, 0.02, 0.03 have mean 0.02 and variance 0.0001; with
    # n_test / n_train = 1/2 the t is 0.02 / sqrt(0.0001 * (1/3 + 1/2)) = 2.19, and
    # with two degrees of freedom p = 1/2 - t / (2 * sqrt(2 + t**2)) = 0.0799. The
    # uncorrected test would have p = 0.037.
    gain = {"n_train": 100, "n_test": 50}
    scores, baseline = [0.91, 0.92, 0.93], [0.90, 0.90, 0.90]
    assert significant_gain(scores, baseline, **gain, alpha=0.0800)
    assert not significant_gain(scores, baseline, **gain, alpha=0.0798)


def test_the_test_of_two_proportions_by_hand():
    # 98.14 % against 97.83 % of 10,000: pooled p = 0.97985, so
    # z = 0.0031 / sqrt(0.97985 * 0.02015 * 2 / 10000) = 1.5601, p = 0.0594.
    size = {"n_train": 60_000, "n_test": 10_000}
    assert significant_gain(0.9814, 0.9783, **size, alpha=0.0595)
    assert not significant_gain(0.9814, 0.9783, **size, alpha=0.0593)


@pytest.mark.parametrize("scores", [[0.9, 0.9, 0.9], [0.8, 0.9, 0.8], [0.9], [0.1]])
def test_no_gain_is_never_significant(scores):
    baseline = [0.9] * len(scores)
    assert not significant_gain(scores, baseline, n_train=90, n_test=10, alpha=0.999)


@pytest.mark.parametrize("scores", [[0.99, NAN], [NAN]])
def test_nan_is_never_a_gain(scores):
    baseline = [0.1] * len(scores)
    assert not significant_gain(scores, baseline, n_train=90, n_test=10)


def test_a_gain_is_tested_by_rows_if_they_are_known():
    right = np.ones((2, 10_000), dtype=bool)
    right[0, :200] = right[1, 40:210] = False
    better, baseline = right[::-1].mean(axis=1)
    sizes = {"n_train": 60_000, "n_test": 10_000}
    assert significant_gain(better, baseline, right=right[::-1], **sizes)
    assert not significant_gain(better, baseline, **sizes)


def test_no_significant_gain_never_contradicts_the_verdict():
    # The gain is one-sided and about one pair. A pair that is significant in the
    # verdict, two-sided and adjusted for several, has a smaller p-value here.
    for seed in range(50):
        right = candidates(seed)
        table = kept(right)
        verdict = table_verdict(table, 0)
        scores = table["mean_test_score"]
        for i in range(1, 5):
            if not significant_gain(
                scores[i], scores[0], n_train=1, n_test=400, right=(right[i], right[0])
            ):
                assert i in verdict.tied or verdict.differences[i] < 0


def test_the_same_gain_in_every_split_is_significant():
    assert significant_gain([0.75, 0.75], [0.5, 0.5], n_train=90, n_test=10)


def test_a_gain_and_its_reverse_are_never_both_significant():
    for seed in range(50):
        a, b = np.random.default_rng(seed).uniform(0.5, 1, (2, 5))
        forth = significant_gain(a, b, n_train=80, n_test=20, alpha=0.4)
        back = significant_gain(b, a, n_train=80, n_test=20, alpha=0.4)
        assert not (forth and back)


@pytest.mark.parametrize(
    "args, sizes, message",
    [
        (([0.9, 0.8], [0.9]), (90, 10), "got 2 and 1"),
        ((0.9, 0.8), (90, 0), "n_train=90 and n_test=0 must be positive"),
        ((-1.0, -2.0), (90, 10), "accuracies between 0 and 1; got -1 and -2"),
    ],
)
def test_a_gain_that_cannot_be_tested_is_refused(args, sizes, message):
    with pytest.raises(ValueError, match=message):
        significant_gain(*args, n_train=sizes[0], n_test=sizes[1])
