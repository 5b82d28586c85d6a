"""The verdict on a stage: one answer for each pair, by hand and over simulations."""

# SPDX-License-Identifier: BSD-3-Clause

import json
import math
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict
from itertools import combinations

import numpy as np
import pytest

from skmnist.stats import (
    StageVerdict,
    compare_scores,
    corrected_resampled_t_test,
    holm,
    mcnemar_test,
    mcnemar_test_from_counts,
    stage_significance,
    stage_verdict,
    two_proportions_test,
)

NAN = float("nan")


def candidates(seed, k=5, n=400, spread=0.02):
    """Draw which rows each of several candidates classifies correctly.

    All of them find the same rows difficult, as networks do.
    """
    rng = np.random.default_rng(seed)
    difficult = rng.random(n) < 0.1
    flips = rng.random((k, n)) < rng.uniform(0.01, 0.01 + spread, (k, 1))
    return ~difficult ^ flips


def judged(right, winner, **given):
    return stage_verdict(
        right.mean(axis=1), winner, n_test=right.shape[1], right=right, **given
    )


# By hand


def test_a_verdict_by_hand():
    # Of 100 rows, A gets all right, B misses 12, C misses 4 of these 12 and 6 others.
    right = np.ones((3, 100), dtype=bool)
    right[1, :12] = False
    right[2, 8:18] = False
    found = judged(right, 0)
    # McNemar's counts. A and B: 12 against 0, p = 2 / 2**12. A and C: 10 against 0,
    # p = 2 / 2**10. B and C: B alone is right on 6 rows, C alone on 8, so
    # p = 2 * (1 + 14 + 91 + 364 + 1001 + 2002 + 3003) / 2**14 = 0.791.
    assert found.p_values == (None, 2 / 2**12, 2 / 2**10)
    # Holm over the three pairs: the smallest times 3, the next times 2.
    assert found.adjusted == pytest.approx((None, 6 / 2**12, 4 / 2**10))
    assert found.differences == pytest.approx((None, -0.12, -0.10))
    # sqrt(12 - 12**2 / 100) / 100 and sqrt(10 - 10**2 / 100) / 100
    assert found.standard_errors == pytest.approx((None, 0.032496, 0.03), abs=1e-6)
    assert (found.tied, found.differ, found.n_pairs) == ((), (1, 2), 3)
    assert (found.rival, found.lead) == (2, pytest.approx(0.10))
    assert found.lead_is_significant
    assert (found.test, found.paired) == ("McNemar's test", True)
    # Seen from B, the pair of B and C is the third in Holm's order.
    other = judged(right, 1)
    assert other.adjusted[2] == pytest.approx(2 * 6476 / 2**14)
    assert (other.tied, other.differ, other.rival) == ((2,), (0,), 0)
    assert other.lead == pytest.approx(-0.12)


def test_a_paired_verdict_sees_what_an_unpaired_one_calls_noise():
    # What a page once said of batch sizes: +0.35 points with an (unpaired) standard
    # error of 0.23 points, "no more than noise", beside a paired p = 0.019. Here 70
    # rows against 35 of 10,000, and 180 that both get wrong.
    right = np.ones((2, 10_000), dtype=bool)
    right[:, :180] = False
    right[0, 180:215] = right[1, 215:285] = False
    accuracies = right.mean(axis=1)
    paired = judged(right, 0)
    unpaired = stage_verdict(accuracies, 0, n_test=10_000)
    assert paired.lead == pytest.approx(0.0035)
    assert paired.lead_is_significant and not unpaired.lead_is_significant
    assert paired.standard_errors[1] < 0.6 * unpaired.standard_errors[1]
    assert not unpaired.paired and unpaired.test == "test of two proportions"


def test_without_rows_two_proportions_are_compared():
    found = stage_verdict([0.9814, 0.9791, 0.9667], 0, n_test=10_000)
    counts = [9814, 9791, 9667]
    p = [
        two_proportions_test(counts[i], counts[j], n=10_000).p_value
        for i, j in combinations(range(3), 2)
    ]
    assert found.p_values == (None, *p[:2])
    assert found.adjusted == (None, *holm(p)[:2])


def test_several_splits_are_compared_by_the_corrected_t_test():
    a, b = [0.91, 0.92, 0.93], [0.90, 0.90, 0.90]
    found = stage_verdict([a, b], 1, n_train=100, n_test=50)
    test = corrected_resampled_t_test(a, b, n_train=100, n_test=50)
    assert found.scores == pytest.approx((0.92, 0.90))
    assert found.p_values == (test.p_value, None)
    assert found.standard_errors == (test.standard_error, None)
    assert found.differences == pytest.approx((0.02, None))
    assert found.lead == pytest.approx(-0.02)
    assert found.test == "corrected resampled t-test"


def test_all_pairs_are_compared_as_one_pair_is():
    for seed in range(10):
        right = candidates(seed)
        for winner in range(5):
            found = judged(right, winner)
            for i in range(5):
                if i != winner:
                    one = mcnemar_test(right[i], right[winner])
                    assert found.p_values[i] == one.p_value
                    assert found.differences[i] == one.difference
                    assert found.standard_errors[i] == one.standard_error


# Properties


def test_a_pair_has_one_answer_whichever_of_the_two_wins():
    # The tests are symmetric, and Holm's family, all pairs, does not depend on the
    # winner. So a rule, which asks before it chooses, and a table, which asks after,
    # agree.
    for seed in range(20):
        right = candidates(seed)
        verdicts = [judged(right, winner) for winner in range(5)]
        for i, j in combinations(range(5), 2):
            there, back = verdicts[i], verdicts[j]
            assert there.differences[j] == -back.differences[i]
            assert there.standard_errors[j] == back.standard_errors[i]
            assert there.p_values[j] == back.p_values[i]
            assert there.adjusted[j] == back.adjusted[i]
            assert (j in there.tied) == (i in back.tied)


def test_the_order_of_the_rows_does_not_matter():
    # McNemar's test counts rows.
    for seed in range(20):
        right = candidates(seed)
        order = np.random.default_rng(seed).permutation(right.shape[1])
        assert judged(right[:, order], 2) == judged(right, 2)


def test_the_order_of_the_candidates_does_not_matter():
    for seed in range(20):
        right = candidates(seed)
        order = np.random.default_rng(seed).permutation(5)
        found, moved = judged(right, order[0]), judged(right[order], 0)
        assert moved.adjusted == tuple(found.adjusted[i] for i in order)
        assert moved.differences == tuple(found.differences[i] for i in order)


def test_adjusted_p_values_are_never_smaller():
    # Holm multiplies by 1 or more. Every candidate but the winner has both values.
    for seed in range(20):
        found = judged(candidates(seed), 0)
        pairs = list(zip(found.p_values, found.adjusted, strict=True))
        assert pairs[0] == (None, None)
        assert all(raw <= adjusted <= 1 for raw, adjusted in pairs[1:])


def test_a_candidate_is_the_winner_or_tied_or_differs():
    for seed in range(20):
        found = judged(candidates(seed, spread=0.2), 1)
        assert sorted([1, *found.tied, *found.differ]) == list(range(5))


def test_a_higher_level_finds_more_differences():
    # A p-value below the lower level is below the higher one.
    for seed in range(20):
        right = candidates(seed, spread=0.1)
        low, high = (set(judged(right, 0, alpha=a).differ) for a in (0.01, 0.2))
        assert low <= high


@pytest.mark.parametrize("choose", ["best", "first"])
def test_equal_candidates_are_told_apart_as_seldom_as_the_level_says(choose):
    # Eight candidates with the same probability of each row. Whether the winner was
    # named before or is the best of the eight, the probability of any difference is
    # at most 5 %; three standard errors on top for this number of simulations. (Holm
    # over the seven pairs with the winner only would find one in 12 % of the stages,
    # if the winner is the best.)
    rng = np.random.default_rng(7)
    wrong, n = 0, 400
    for _ in range(n):
        common = rng.random(500) < 0.95
        right = common ^ (rng.random((8, 500)) < 0.03)
        winner = int(right.mean(axis=1).argmax()) if choose == "best" else 0
        wrong += bool(judged(right, winner).differ)
    assert wrong / n < 0.05 + 3 * math.sqrt(0.05 * 0.95 / n)


def test_a_real_difference_is_found():
    # 3 % against 0.5 % of 2000 rows that only one of the two gets right: far from
    # chance, also among eight candidates.
    rng = np.random.default_rng(8)
    right = rng.random((8, 2000)) < 0.995
    right[7] &= rng.random(2000) < 0.97
    found = judged(right, 0)
    assert 7 in found.differ
    assert found.differences[7] < 0


# What failed, and what is wrong


def test_what_failed_is_left_out():
    right = candidates(0, k=3)
    scores = right.mean(axis=1)
    found = stage_verdict(
        [scores[0], NAN, scores[1], scores[2]],
        0,
        n_test=400,
        right=[right[0], None, right[1], right[2]],
    )
    without = judged(right, 0)
    assert found.n_pairs == without.n_pairs == 3
    for name in ("scores", "differences", "standard_errors", "p_values", "adjusted"):
        values = getattr(found, name)
        assert values[1] is None
        assert (values[0], *values[2:]) == getattr(without, name)


def test_a_winner_without_others_has_no_rival():
    found = stage_verdict([NAN, 0.9], 1, n_test=100)
    assert (found.rival, found.lead, found.lead_is_significant) == (None, None, False)
    assert (found.tied, found.differ, found.n_pairs) == ((), (), 0)


def test_a_winner_that_failed_is_compared_with_nothing():
    found = stage_verdict([NAN, 0.9, 0.8], 0, n_test=100)
    assert found.adjusted == (None, None, None)
    assert (found.rival, found.lead) == (1, None)


def test_no_difference_is_written_without_a_sign():
    # -0.0 would be written as "-0.00".
    right = np.array([[True, False], [False, True]])
    for winner in (0, 1):
        found = judged(right, winner)
        assert math.copysign(1, found.lead) == 1
        assert math.copysign(1, found.differences[1 - winner]) == 1


def test_the_first_of_equal_others_is_the_rival():
    assert stage_verdict([0.7, 0.8, 0.8], 0, n_test=10).rival == 1


@pytest.mark.parametrize(
    "scores, winner, given, message",
    [
        ([0.9, 0.8], 2, {"n_test": 10}, "winner=2 is not the position"),
        ([0.9, 0.8], -1, {"n_test": 10}, "winner=-1 is not the position"),
        ([0.9, 0.8], 0, {"n_test": 2, "right": [[1, 0]]}, "one entry for each of 2"),
        ([0.9, 0.8], 0, {"n_test": 2, "right": [[1, 0], None]}, "for candidate 1"),
        ([0.9, 0.8], 0, {"n_test": 2, "right": [[1, 0], [1]]}, "on the same rows"),
        ([0.9, 0.8], 0, {"n_test": 1, "right": [[3], [1]]}, "give booleans"),
        ([9, 8], 0, {"n_test": 10}, "accuracies between 0 and 1; got 9 and 8"),
        ([[0.9, 0.8], [0.8, 0.9]], 0, {"n_test": 10}, "need n_train"),
    ],
)
def test_what_cannot_be_judged_is_refused(scores, winner, given, message):
    with pytest.raises(ValueError, match=message):
        stage_verdict(scores, winner, **given)


# As a record


def test_a_verdict_is_plain_data_that_can_be_stored():
    found = judged(candidates(3), 2)
    kept = json.loads(json.dumps(asdict(found)))
    columns = {n: tuple(v) if isinstance(v, list) else v for n, v in kept.items()}
    again = StageVerdict(**columns)
    assert again == found
    assert (again.tied, again.differ, again.lead) == (
        found.tied,
        found.differ,
        found.lead,
    )


def test_a_verdict_does_not_change():
    with pytest.raises(FrozenInstanceError):
        judged(candidates(0), 0).winner = 1


# The columns of a table


def test_columns_of_a_stage_by_hand():
    columns = stage_significance([0.9814, 0.9791, 0.9667], 0, n_test=10_000)
    verdict = stage_verdict([0.9814, 0.9791, 0.9667], 0, n_test=10_000)
    assert tuple(column["p_value"] for column in columns) == verdict.adjusted
    # sqrt(0.9814 * 0.0186 / 10000)
    assert columns[0]["standard_error"] == pytest.approx(0.0013511, abs=1e-7)


def test_columns_of_a_stage_use_the_rows_if_they_are_known():
    right = candidates(0, k=3, spread=0.2)
    columns = stage_significance(right.mean(axis=1), 0, n_test=400, right=right)
    assert tuple(column["p_value"] for column in columns) == judged(right, 0).adjusted


def test_what_failed_has_no_significance():
    columns = stage_significance([0.9, NAN, 0.8], 0, n_test=100)
    assert columns[1] == {"standard_error": None, "p_value": None}
    assert columns[2]["p_value"] == two_proportions_test(90, 80, n=100).p_value


# One way to each test


def test_scores_are_compared_by_the_test_that_uses_most_of_what_is_known():
    a, b = candidates(1, k=2)
    kept = {"n_test": 400, "n_train": 1000}
    assert compare_scores(a.mean(), b.mean(), right=(a, b), **kept) == mcnemar_test(
        a, b
    )
    assert compare_scores(0.9, 0.8, **kept) == two_proportions_test(360, 320, n=400)
    splits = [0.9, 0.8], [0.8, 0.75]
    # Several splits also show what other training data would change.
    assert compare_scores(*splits, right=(a, b), **kept) == corrected_resampled_t_test(
        *splits, **kept
    )


def test_mcnemar_from_counts_is_mcnemar():
    for seed in range(20):
        a, b = candidates(seed, k=2, spread=0.3)
        counts = int((a & ~b).sum()), int((b & ~a).sum())
        assert mcnemar_test_from_counts(*counts, len(a)) == mcnemar_test(a, b)


@pytest.mark.parametrize("counts", [(-1, 2, 10), (0, 0, 0), (6, 5, 10)])
def test_counts_that_cannot_be_are_refused(counts):
    with pytest.raises(ValueError, match="cannot be parts of"):
        mcnemar_test_from_counts(*counts)


def test_the_mid_p_value_of_equal_counts_by_hand():
    # 15 against 15: one less half of P(X = 15) of 30 throws.
    found = mcnemar_test_from_counts(15, 15, 100)
    assert found.p_value == pytest.approx(1 - math.comb(30, 15) / 2**31)


def test_one_sided_counts_have_the_smallest_p_value():
    # 30 against 0: the tail is a single term, half of which counts on each side.
    assert mcnemar_test_from_counts(30, 0, 100).p_value == pytest.approx(1 / 2**30)


def test_what_tables_need_loads_neither_scikit_learn_nor_scipys_distributions():
    # Both take a second to load.
    code = (
        "import sys; from skmnist.stats import *;"
        "stage_verdict([0.9, 0.8], 0, n_test=100);"
        "print(*sys.modules)"
    )
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not {"sklearn", "scipy.stats", "pandas"} & set(loaded.stdout.split())
