"""The verdict on a whole study, from plain data."""

from dataclasses import replace

import numpy as np
import pytest

from skmnist.stats import holm, mcnemar_test
from skmnist.study import (
    Candidate,
    Study,
    StudyConfig,
    StudyData,
    StudyHeader,
    StudyStage,
)
from skmnist.study._baselines import Fitted
from skmnist.study._records import BaselineFit
from skmnist.study._verdict import find_stage, judge_study

STAGE = StudyStage("width", "best_score", "best", ["widths"], {})
HEADER = StudyHeader(
    schema=1,
    config=StudyConfig(dataset="digits"),
    data=StudyData("digits", "", "abc", n_train=1437, n_test=200, n_features=784),
    optimistic=False,
    threads_per_fit=1,
    versions={},
)


def row(accuracy, p_value=None, **flags):
    return Candidate(
        dataset="digits",
        stage="width",
        params={"widths": 8},
        validation_accuracy=0.9,
        accuracy=accuracy,
        n_iter=1,
        best_iter=1,
        seconds=1,
        n_parameters=1,
        gap=0,
        p_value=p_value,
        **{"winner": False, "incumbent": False, **flags},
    )


def a_study(*rows):
    return Study(HEADER, list(rows), [STAGE], None)


def test_baselines_are_judged_by_the_paired_test_over_all_pairs():
    generator = np.random.default_rng(0)
    right = [generator.random(200) < share for share in (0.95, 0.80, 0.93)]
    fits = [
        BaselineFit(
            name=name, n_iter=5, seconds=2.0, misread=np.flatnonzero(~one).tolist()
        )
        for name, one in zip(("a()", "b()"), right[1:], strict=True)
    ]
    verdict = judge_study(a_study(row(0.9, winner=True)), right[0], Fitted(fits, ""))
    pairs = [mcnemar_test(right[i], right[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    adjusted = holm([pair.p_value for pair in pairs])
    for one, pair, p_value in zip(verdict.baselines, pairs, adjusted, strict=False):
        assert one.gain == pytest.approx(pair.difference)
        assert one.gain_error == pytest.approx(pair.standard_error)
        assert one.p_value == pytest.approx(p_value)
    assert [one.is_significant for one in verdict.baselines] == [True, False]
    assert [one.test_accuracy for one in verdict.baselines] == [
        right[1].mean(),
        right[2].mean(),
    ]


def test_equal_classifiers_gain_nothing():
    right = np.arange(200) > 3
    no_stages = replace(a_study(), stages=[])
    fit = BaselineFit(name="a()", n_iter=1, seconds=1, misread=[0, 1, 2, 3])
    (one,) = judge_study(no_stages, right, Fitted([fit], "")).baselines
    assert (one.gain, one.p_value) == (0, 1)
    assert str(one.gain) == "0.0"


BEGAN = {"incumbent": True}
WON = {"winner": True}


@pytest.mark.parametrize(
    ("rows", "gain", "made_difference", "n_tied"),
    [
        # Better than what it began with, and tied with another.
        ([row(0.90, 0.01, **BEGAN), row(0.94, **WON), row(0.93, 0.5)], 0.04, True, 1),
        # Better, but by no more than chance.
        ([row(0.90, 0.3, **BEGAN), row(0.94, **WON)], 0.04, False, 1),
        # It kept what it began with, which is clearly better than the rest.
        ([row(0.94, **BEGAN, **WON), row(0.9, 0.01)], 0, False, 0),
        # A rule chose what is less accurate.
        ([row(0.94, 0.01, **BEGAN), row(0.90, **WON)], -0.04, False, 0),
        # The first stage begins with nothing: the best other counts.
        ([row(0.94, **WON), row(0.8, 0.001), row(0.90, 0.01)], 0.04, True, 0),
        # What it began with failed.
        ([row(np.nan, **BEGAN), row(0.94, **WON), row(0.9, 0.01)], 0.04, True, 0),
        # A study from before p was kept.
        ([row(0.90, **BEGAN), row(0.94, **WON)], 0.04, False, 0),
        ([row(0.94, **WON)], None, False, 0),
    ],
)
def test_a_stage_is_judged_by_what_it_began_with(rows, gain, made_difference, n_tied):
    found = find_stage(a_study(*rows), STAGE)
    assert found.gain == (gain if gain is None else pytest.approx(gain))
    assert found.made_difference is made_difference
    assert found.n_tied == n_tied


def test_an_unfinished_study_has_a_verdict_on_its_stages():
    rows = [row(0.90, 0.01, **BEGAN), row(0.94, **WON)]
    verdict = judge_study(a_study(*rows))
    assert verdict.baselines == []
    assert verdict.stages == [find_stage(a_study(*rows), STAGE)]
    assert judge_study(replace(a_study(), stages=[])).stages == []
