"""Tests of a difference: by hand, with published examples, and with simulations."""

# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_iris, make_moons
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skmnist import compare, holm
from skmnist.stats._tests import (
    corrected_resampled_t_test,
    mcnemar_test,
    runs_test,
    two_proportions_test,
)


def pair(only_first, only_second, n):
    """Make two rows of bools with these counts; both get all other rows wrong."""
    a, b = np.zeros((2, n), dtype=bool)
    a[:only_first] = True
    b[only_first : only_first + only_second] = True
    return a, b


def rejections(p_values, level=0.05):
    """Return the share below the level, and what it may reach by chance."""
    # Three standard errors of the share: another seed would hardly give more.
    p_values = np.asarray(p_values)
    reach = 3 * math.sqrt(level * (1 - level) / len(p_values))
    return np.mean(p_values < level), level - reach, level + reach


# McNemar


def test_exact_mcnemar_is_that_of_the_published_example():
    # Airway hyper-responsiveness (Bentur et al.), the example of Fagerland, Lydersen
    # and Laake 2013: 7 against 1 of 21. By hand 2 * (1 + 8) / 2**8 = 0.0703.
    found = mcnemar_test(*pair(7, 1, 21))
    assert found.p_value == pytest.approx(18 / 256)
    assert found.test == "exact McNemar test"
    assert found.counts == {"n_rows": 21, "only_first": 7, "only_second": 1}


def test_mcnemar_standard_error_and_interval_by_hand():
    # d = 6, m = 8, n = 21: sqrt(8 - 36/21) / 21 = 0.11938. Bonett and Price: center
    # 6/23 = 0.26087, sqrt(10 - 36/23) / 23 = 0.12627, times 1.95996 is 0.24749.
    found = mcnemar_test(*pair(7, 1, 21))
    assert found.difference == pytest.approx(6 / 21)
    assert found.standard_error == pytest.approx(0.11938, abs=1e-5)
    assert found.interval == pytest.approx((0.01338, 0.50836), abs=1e-5)


def test_mid_p_takes_half_of_the_observed_count():
    # 5 of 25: the exact one-sided value is
    # (1 + 25 + 300 + 2300 + 12650 + 53130) / 2**25; the mid-p value counts the last
    # term half.
    found = mcnemar_test(*pair(20, 5, 1000))
    assert found.p_value == pytest.approx(2 * (15276 + 53130 / 2) / 2**25)
    assert found.test == "McNemar mid-p test"


def test_mid_p_is_near_the_chi_square_of_large_counts():
    # 70 against 50: chi-square 20**2 / 120 = 3.33.
    p = mcnemar_test(*pair(70, 50, 314)).p_value
    assert p == pytest.approx(stats.chi2.sf(20**2 / 120, 1), rel=0.05)


@pytest.mark.parametrize("count", [0, 3, 40])
def test_equal_counts_are_no_difference(count):
    found = mcnemar_test(*pair(count, count, 200))
    assert found.difference == 0
    assert found.p_value > 0.9
    low, high = found.interval
    assert low == pytest.approx(-high)


def test_the_standard_error_is_that_of_the_paired_differences():
    for seed in range(20):
        a, b = np.random.default_rng(seed).random((2, 300)) < 0.8
        differences = a.astype(float) - b
        expected = differences.std(ddof=0) / math.sqrt(300)
        assert mcnemar_test(a, b).standard_error == pytest.approx(expected)


def test_comparing_the_other_way_round_changes_the_sign_only():
    for seed in range(20):
        a, b = np.random.default_rng(seed).random((2, 300)) < [[0.9], [0.85]]
        there, back = mcnemar_test(a, b), mcnemar_test(b, a)
        assert there.difference == -back.difference
        assert there.p_value == back.p_value
        assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]))
        assert there.p_better == pytest.approx(1 - back.p_better)


@pytest.mark.parametrize("n_rows, right", [(100, 0.95), (2000, 0.98)])
def test_mcnemar_rejects_equal_classifiers_at_most_as_often_as_its_level(n_rows, right):
    # The two agree on most rows. So with 100 rows only few differ, and the test is the
    # exact one, which rejects too seldom.
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(2000):
        common = rng.random(n_rows) < right
        flips = rng.random((2, n_rows)) < 0.03
        p_values.append(mcnemar_test(common ^ flips[0], common ^ flips[1]).p_value)
    share, low, high = rejections(p_values)
    assert share < high
    if n_rows == 2000:
        assert share > low


def test_mcnemar_interval_covers_the_true_difference():
    # On 2 % of 1000 rows only the first is right, on 1 % only the second: the true
    # difference is 0.01.
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(1000):
        kind = rng.random(1000)
        found = mcnemar_test(kind < 0.02, (kind >= 0.02) & (kind < 0.03))
        covered += found.interval[0] <= 0.01 <= found.interval[1]
    assert 0.93 < covered / 1000 < 0.97


def test_mcnemar_sees_what_the_unpaired_test_cannot():
    # 98.00 and 98.30 % of 10,000, wrong on nearly the same rows.
    a, b = np.ones((2, 10_000), dtype=bool)
    a[:200] = b[40:210] = False
    assert mcnemar_test(b, a).significant()
    assert not two_proportions_test(b.sum(), a.sum(), n=10_000).significant()


# two proportions


def test_two_proportions_by_hand():
    # 98.14 % against 97.83 % of 10,000: pooled p = 0.97985,
    # z = 0.0031 / sqrt(0.97985 * 0.02015 * 2 / 10000) = 1.5601, p = 0.1187;
    # SE = sqrt((0.9814 * 0.0186 + 0.9783 * 0.0217) / 10000) = 0.0019870.
    found = two_proportions_test(9814, 9783, n=10_000)
    assert found.p_value == pytest.approx(0.1187, abs=1e-4)
    assert found.standard_error == pytest.approx(0.0019870, abs=1e-7)


def test_agresti_and_caffo_interval_by_hand():
    # 10 of 10 against 5 of 10: 11/12 and 6/12, SE = sqrt((11/144 + 36/144) / 12)
    # = 0.16492, times 1.95996 is 0.32324 around 5/12.
    found = two_proportions_test(10, 5, n=10)
    assert found.interval == pytest.approx((0.09343, 0.73991), abs=1e-5)


def test_two_perfect_classifiers_do_not_differ():
    assert two_proportions_test(50, 50, n=50).p_value == 1


def test_two_proportions_keep_their_level():
    rng = np.random.default_rng(2)
    right = rng.binomial(2000, 0.95, (4000, 2))
    share, low, high = rejections(
        [two_proportions_test(a, b, n=2000).p_value for a, b in right]
    )
    assert low < share < high


# corrected resampled t


def test_corrected_t_by_hand():
    # The gains 0.01, 0.02, 0.03 have mean 0.02 and variance 0.0001; with
    # n_test / n_train = 1/2 the error is sqrt(0.0001 * (1/3 + 1/2)) = 0.0091287 and
    # t = 2.1909. With two degrees of freedom p = 1 - t / sqrt(2 + t**2) = 0.15983,
    # and the interval reaches 4.30265 errors.
    found = corrected_resampled_t_test(
        [0.91, 0.92, 0.93], [0.9, 0.9, 0.9], n_train=100, n_test=50
    )
    assert found.p_value == pytest.approx(0.15983, abs=1e-5)
    assert found.standard_error == pytest.approx(0.0091287, abs=1e-7)
    assert found.interval == pytest.approx((-0.019278, 0.059278), abs=1e-6)
    assert found.counts == {"n_splits": 3}


def test_corrected_t_is_that_of_scikit_learns_example():
    # "Statistical comparison of models using grid search" prints a corrected t of
    # 0.750 and a one-sided p of 0.227 for the best two kernels; uncorrected 2.611.
    X, y = make_moons(noise=0.352, random_state=1, n_samples=100)
    cv = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    rbf, linear = (
        cross_val_score(SVC(kernel=k, random_state=0), X, y, scoring="roc_auc", cv=cv)
        for k in ("rbf", "linear")
    )
    found = corrected_resampled_t_test(rbf, linear, n_train=90, n_test=10)
    assert found.difference / found.standard_error == pytest.approx(0.750, abs=5e-4)
    assert found.p_better == pytest.approx(0.227, abs=5e-4)


def test_corrected_t_keeps_its_level_where_the_plain_one_does_not():
    # Scores of ten random splits of one data set share most training rows: their
    # correlation is about n_test / (n_train + n_test), which is what the correction
    # assumes. The plain t-test assumes that they are independent.
    rng = np.random.default_rng(3)
    common, own = math.sqrt(0.1), math.sqrt(0.9)
    gains = common * rng.normal(size=(2000, 1)) + own * rng.normal(size=(2000, 10))
    corrected = [
        corrected_resampled_t_test(g, np.zeros(10), n_train=90, n_test=10).p_value
        for g in gains
    ]
    share, low, high = rejections(corrected)
    assert low < share < high
    plain, _, _ = rejections(stats.ttest_1samp(gains, 0, axis=1).pvalue)
    assert plain > 0.1


def test_without_correction_it_is_the_paired_t_test():
    # As n_test / n_train goes to 0.
    for seed in range(20):
        a, b = np.random.default_rng(seed).normal(size=(2, 7))
        found = corrected_resampled_t_test(a, b, n_train=1e12, n_test=1)
        assert found.p_value == pytest.approx(stats.ttest_rel(a, b).pvalue)


@pytest.mark.parametrize("gain, p_value", [(0.0, 1.0), (0.25, 0.0)])
def test_the_same_gain_in_every_split_leaves_nothing_to_chance(gain, p_value):
    a = np.array([0.5, 0.75, 0.5])
    found = corrected_resampled_t_test(a + gain, a, n_train=2, n_test=1)
    assert found.p_value == p_value
    assert found.interval == (gain, gain)


# runs and rows


def simulated_runs(rng, n_runs, n_rows, *, rows=1.0, runs=0.3):
    """Draw the correctness of several runs: rows and runs differ in difficulty."""
    logit = (
        3 + rows * rng.normal(size=(1, n_rows)) + runs * rng.normal(size=(n_runs, 1))
    )
    return rng.random((n_runs, n_rows)) < 1 / (1 + np.exp(-logit))


def test_runs_test_by_hand():
    # Two runs of each on four rows. Accuracies 1, 3/4 and 1/2, 1/4, so that each
    # variance is 1/32, over two runs 1/64. Mean columns differ by
    # (1/2, 1/2, 0, 1): variance 1/6, over four rows 1/24.
    a = [[1, 1, 1, 1], [1, 1, 0, 1]]
    b = [[1, 0, 1, 0], [0, 1, 0, 0]]
    # Residuals of a: +-1/8 in three rows, +-3/8 in the other: 24/64 / 3 = 1/8. Of b:
    # +-3/8, +-5/8, +-3/8, +-1/8 = (18 + 50 + 18 + 2)/64 / 3 = 11/24. Over two runs
    # and four rows (1/8 + 11/24) / 8 = 7/96.
    found = runs_test(a, b)
    assert found.difference == 0.5
    # 1/24 - 7/96 is below zero and counts as nothing.
    assert found.standard_error == pytest.approx(math.sqrt(2 / 64))
    # Satterthwaite: (1/32)**2 / (2 * (1/64)**2 + (1/24)**2 / 3) = 0.91526.
    assert found.p_value == pytest.approx(
        2 * stats.t.sf(0.5 / math.sqrt(1 / 32), 0.91526), rel=1e-3
    )
    assert found.counts == {"n_rows": 4, "runs_first": 2, "runs_second": 2}


def test_the_variance_over_runs_and_rows_is_estimated_without_bias():
    # Both kinds are equally good. So on average the squared standard error should be
    # the variance of the difference.
    rng = np.random.default_rng(4)
    found = [
        runs_test(simulated_runs(rng, 5, 400), simulated_runs(rng, 5, 400))
        for _ in range(1500)
    ]
    true = np.var([one.difference for one in found])
    estimated = np.mean([one.standard_error**2 for one in found])
    assert estimated == pytest.approx(true, rel=0.1)


@pytest.mark.parametrize("share_of_rows, share_of_runs", [(1.0, 0.05), (0.3, 0.5)])
def test_the_test_over_runs_and_rows_keeps_its_level(share_of_rows, share_of_runs):
    # Some rows are difficult for both kinds; others suit one of them. The second part
    # is what a new test set would change.
    rng = np.random.default_rng(5)
    p_values = []
    for _ in range(1000):
        suits = rng.normal(size=(2, 1, 300)) * share_of_rows
        common = 2.5 + rng.normal(size=300)
        runs = rng.normal(size=(2, 5, 1)) * share_of_runs
        logit = common + suits + runs
        a, b = rng.random(logit.shape) < 1 / (1 + np.exp(-logit))
        p_values.append(runs_test(a, b).p_value)
    share, low, high = rejections(p_values)
    assert low - 0.02 < share < high


def test_more_runs_on_the_same_rows_do_not_make_the_rows_more():
    # Two kinds that differ on 40 of 400 rows by chance alone, and always there:
    # a hundred runs of each cannot tell whether other rows would agree.
    a, b = np.ones((2, 100, 400), dtype=bool)
    a[:, :15] = b[:, 15:40] = False
    assert runs_test(a, b).p_value == pytest.approx(
        mcnemar_test(a[0], b[0]).p_value, abs=0.03
    )


# Holm


def test_holm_by_hand():
    # In rising order 0.005 * 4, 0.01 * 3, 0.03 * 2, and 0.04 * 1 raised to 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_out_what_was_not_tested():
    found = holm([0.03, np.nan, 0.01])
    assert np.isnan(found[1])
    assert found[[0, 2]] == pytest.approx([0.03, 0.02])


def test_holm_never_exceeds_one_and_keeps_the_order():
    for seed in range(50):
        p = np.random.default_rng(seed).random(8)
        adjusted = holm(p)
        assert (adjusted >= p).all()
        assert adjusted.max() <= 1
        assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()


def test_holm_of_nothing_is_nothing():
    assert holm([]).shape == (0,)


def test_holm_bounds_the_chance_of_any_false_alarm():
    rng = np.random.default_rng(6)
    smallest = [holm(rng.random(10)).min() for _ in range(2000)]
    share, low, high = rejections(smallest)
    assert low < share < high


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_holm_refuses_what_is_no_p_value(p):
    with pytest.raises(ValueError, match="p-values are between 0 and 1"):
        holm([0.5, p])


# compare


@pytest.fixture(scope="module")
def trees():
    X, y = load_iris(return_X_y=True)
    fitted = [
        DecisionTreeClassifier(max_depth=depth, random_state=seed).fit(X[::2], y[::2])
        for depth in (1, 3)
        for seed in (0, 1)
    ]
    return fitted, X[1::2], y[1::2]


def test_compare_takes_classifiers_predictions_or_correctness(trees):
    (small, _, large, _), X, y = trees
    found = compare(large, small, X, y)
    assert found == compare(large.predict(X), small.predict(X), y=y)
    assert found == compare(large.predict(X) == y, small.predict(X) == y)
    assert found.difference == pytest.approx(large.score(X, y) - small.score(X, y))
    assert "McNemar" in found.test


def test_compare_takes_several_runs_of_each(trees):
    fitted, X, y = trees
    found = compare(fitted[2:], fitted[:2], X, y)
    right = np.array([tree.predict(X) == y for tree in fitted])
    assert found == runs_test(right[2:], right[:2])


def test_compare_takes_labels_that_are_text():
    y = np.array(["cat", "dog", "dog"])
    found = compare(y, np.array(["cat", "cat", "cat"]), y=y)
    assert found.counts["only_first"] == 2


@pytest.mark.parametrize(
    "a, b, given, message",
    [
        ([1, 0], [1, 0, 1], {}, "on the same rows; got 2 and 3"),
        ([1, 2], [1, 0], {}, "without y, give booleans: whether each row"),
        (
            [1, 0],
            [1, 0],
            {"y": [1, 0, 1]},
            r"shape \(2,\) do not fit y of shape \(3,\)",
        ),
        ([1, 0], [1, 0], {"X": [[1], [2]], "y": [1, 0]}, "X is for fitted classifiers"),
        ([[1, 0]], [[1, 0]], {}, "give two or more runs of each"),
        ([[1, 0], [1, 1]], [1, 0], {}, "give two or more runs of each"),
        ([], [], {}, "give one row of booleans for each run"),
    ],
)
def test_what_cannot_be_compared_is_refused(a, b, given, message):
    with pytest.raises(ValueError, match=message):
        compare(a, b, **given)


def test_fitted_classifiers_need_data(trees):
    fitted, X, _ = trees
    with pytest.raises(ValueError, match="fitted classifiers need X and y"):
        compare(fitted[0], fitted[1], X)


@pytest.mark.parametrize(
    "test, message",
    [
        (lambda: two_proportions_test(3, 2, n=0), "n=0 must be positive"),
        (lambda: two_proportions_test(3, 2, n=2), "must be between 0 and 2"),
        (
            lambda: corrected_resampled_t_test([0.1], [0.2], n_train=1, n_test=1),
            "two or more splits",
        ),
        (
            lambda: corrected_resampled_t_test(
                [0.1, np.nan], [0.2, 0.1], n_train=1, n_test=1
            ),
            "a score is not finite",
        ),
        (
            lambda: corrected_resampled_t_test(
                [0.1, 0.1], [0.2, 0.1], n_train=0, n_test=1
            ),
            "n_train=0 and n_test=1 must be positive",
        ),
        (lambda: mcnemar_test([1, 0], [1]), "two rows of booleans, equally long"),
        (
            lambda: runs_test(np.ones((2, 3)), np.ones((2, 4))),
            "both must be judged on the same rows",
        ),
    ],
)
def test_bad_input_is_refused(test, message):
    with pytest.raises(ValueError, match=message):
        test()


# What a comparison says


def test_the_sentence_has_all_numbers():
    assert str(mcnemar_test(*pair(20, 5, 1000))) == (
        "difference +0.0150 (standard error 0.0050, 95 % confidence interval +0.0048 "
        "to +0.0251), p = 0.0025 by the McNemar mid-p test (n_rows=1,000, "
        "only_first=20, only_second=5): significant at 0.05"
    )


def test_significance_depends_on_the_level():
    found = mcnemar_test(*pair(7, 1, 21))
    assert found.significant(0.1)
    assert not found.significant()


def test_a_wider_confidence_is_a_wider_interval():
    narrow, wide = (
        mcnemar_test(*pair(20, 5, 1000), confidence=level) for level in (0.9, 0.99)
    )
    assert wide.interval[0] < narrow.interval[0] < narrow.interval[1] < wide.interval[1]


def test_a_comparison_does_not_change():
    with pytest.raises(FrozenInstanceError):
        mcnemar_test([1, 0], [0, 1]).p_value = 0
