"""Two studies side by side."""

import math
from dataclasses import replace

import numpy as np
import pytest

from skmnist import compare
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
    assert page.count("| +0.00 pp |") == len(study.stages)
    assert "+0.00 ± 0.00 pp: no more than chance (p = 1, exact McNemar test)" in page
    assert "0 samples are classified correctly by A only, 0 by B only." in page


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
    # Of 20 samples 8 only the first classifies correctly, 2 only the second, 5 both.
    first = np.repeat([True, False, True, False], [8, 2, 5, 5])
    second = np.repeat([False, True, True, False], [8, 2, 5, 5])
    found = compare_final(study, study, (reading(first), reading(second)))
    assert found.difference == pytest.approx(0.3)
    assert (found.counts["only_first"], found.counts["only_second"]) == (8, 2)
    # The same as the standard error of the mean of the paired differences.
    differences = first.astype(float) - second
    assert found.standard_error == pytest.approx(np.std(differences) / math.sqrt(20))
    # Two-sided: 2 * (1 + 10 + 45) / 2**10 ways of at most 2 of 10.
    assert found.p_value == pytest.approx(2 * 56 / 1024)


def test_it_is_the_test_that_every_other_comparison_makes(study):
    # With 30 samples on which the two differ, a second kind of McNemar's test would
    # give another p-value: the exact one 0.043, the mid-p one 0.029.
    first = np.repeat([True, False, True], [21, 9, 100])
    second = np.repeat([False, True, True], [21, 9, 100])
    pair = (reading(first), reading(second))
    finals = [reaching(study, right.mean()) for right in (first, second)]
    found = compare(first, second)
    assert compare_final(*finals, pair) == found
    page = to_comparison(*finals, pair, NAMES)
    assert f"more than chance (p = {found.p_value:.2g}, McNemar mid-p test)" in page


def test_without_predictions_nothing_is_tested(study, evidence):
    pair = (evidence, Evidence())
    assert compare_final(study, study, pair) is None
    page = to_comparison(study, study, pair, NAMES)
    assert "A folder lacks predictions.npz" in page
    assert "cannot be tested" in page


def test_accuracies_on_different_data_are_not_compared(study, evidence):
    data = replace(study.header.data, fingerprint="another")
    other = replace(study, header=replace(study.header, data=data))
    page = to_comparison(study, other, (evidence, evidence), NAMES)
    assert "different data: their accuracies cannot be compared." in page
    assert " pp" not in page
    with pytest.raises(ValueError, match="cannot be compared"):
        compare_final(study, other, (evidence, evidence))


def test_unfinished_studies_are_compared_by_their_stages(study, evidence):
    page = to_comparison(
        study, replace(study, summary=None), (evidence, evidence), NAMES
    )
    assert "At least one of the studies is not finished." in page
    assert "| Batch size |" in page
