"""Two studies side by side."""

import math
from dataclasses import replace

import numpy as np
import pytest

from skmnist.reporting._comparison import compare_final, to_comparison
from skmnist.study import StudyConfig, read_study
from skmnist.study._artifacts import Evidence, Predictions, read_evidence

NAMES = ("here", "there")


@pytest.fixture(scope="module")
def study(tiny_study):
    return read_study(tiny_study)


@pytest.fixture(scope="module")
def evidence(tiny_study):
    return read_evidence(tiny_study)


def changed(study, **values):
    """Return a study with another configuration; its preset is none that is known."""
    config = StudyConfig._recorded({**study.header.config.as_dict(), **values})
    return replace(study, header=replace(study.header, config=config))


def reaching(study, accuracy):
    """Return a study whose final model has another test accuracy."""
    final = replace(study.summary.final, test_accuracy=accuracy)
    return replace(study, summary=replace(study.summary, final=final))


def reading(right):
    """Return evidence of a model that classifies some samples correctly."""
    true = np.zeros(len(right), int)
    predicted = np.where(right, 0, 1)
    empty = np.zeros(0, int)
    kept = Predictions(true, predicted, np.ones(len(right)), empty, empty)
    return Evidence(predictions=kept)


def test_a_study_differs_in_nothing_from_itself(study, evidence):
    page = to_comparison(study, study, (evidence, evidence), NAMES)
    assert "They have the same configuration, data and versions." in page
    assert page.count("| +0.00 ± ") == len(study.stages)
    assert "0 samples only A classifies correctly, 0 only B" in page
    assert "p = 1)" in page


def test_what_differs_in_the_configuration_is_named(study, evidence):
    other = changed(study, seed=7)
    page = to_comparison(study, other, (evidence, evidence), NAMES)
    assert "| config.seed | 0 | 7 |" in page
    assert page.count("| config.") == 1


def test_stages_are_matched_by_their_names(study, evidence):
    stage = replace(study.stages[1], name="another")
    rows = [
        replace(row, stage="another") if row.stage == "batch_size" else row
        for row in study.rows
    ]
    other = replace(study, stages=[study.stages[0], stage], rows=rows)
    page = to_comparison(study, other, (evidence, evidence), NAMES)
    lines = [
        line for line in page.splitlines() if line.startswith(("| Batch", "| ano"))
    ]
    assert [line.split(" | ")[1:3] for line in lines][1] == ["", ""]
    assert lines[0].endswith("|  |  |  |")


def test_paired_difference_and_its_test_by_hand(study):
    # Of 20 samples 8 are correct in the first only, 2 in the second only, 5 in both.
    first = np.repeat([True, False, True, False], [8, 2, 5, 5])
    second = np.repeat([False, True, True, False], [8, 2, 5, 5])
    finals = [reaching(study, right.mean()) for right in (first, second)]
    apart = compare_final(*finals, (reading(first), reading(second)))
    assert apart.value == pytest.approx(0.3)
    assert (apart.only_first, apart.only_second) == (8, 2)
    # The same as the standard error of the mean of the paired differences.
    differences = first.astype(float) - second
    assert apart.error == pytest.approx(np.std(differences) / math.sqrt(20))
    # Two-sided: 2 * (1 + 10 + 45) / 2**10 ways of at most 2 of 10.
    assert apart.p_value == pytest.approx(2 * 56 / 1024)


def test_without_predictions_the_two_are_taken_for_independent(study, evidence):
    pair = (evidence, Evidence())
    apart = compare_final(study, study, pair)
    error = study.summary.final.standard_error
    assert apart.p_value is None
    assert apart.error == pytest.approx(math.sqrt(2) * error)
    page = to_comparison(study, study, pair, NAMES)
    assert "for a folder lacks predictions.npz, that is no more than noise" in page


def test_different_test_sets_are_not_paired(study, evidence):
    data = replace(study.header.data, fingerprint="another")
    other = replace(study, header=replace(study.header, data=data))
    page = to_comparison(study, other, (evidence, evidence), NAMES)
    assert "Taken on different test sets" in page


def test_unfinished_studies_are_compared_by_their_stages(study, evidence):
    page = to_comparison(
        study, replace(study, summary=None), (evidence, evidence), NAMES
    )
    assert "At least one of the studies is not finished." in page
    assert "| Batch size |" in page
