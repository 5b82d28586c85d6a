"""The presets of a study, and the one that searches for accuracy."""

from dataclasses import replace

import numpy as np
import pytest

from skmnist import KerasMLPClassifier
from skmnist.model_selection._stage import candidates_of, check_stages
from skmnist.neural_network._spec import CONSTRAINTS
from skmnist.reporting import to_markdown
from skmnist.study import StudyConfig, read_study, run_study
from skmnist.study.presets._presets import (
    PRESETS,
    accuracy_base_params,
    accuracy_stages,
    base_params,
    final_params,
    judging_of,
    longer_trainings,
    nearby_rates,
    normalizations,
    stages_for,
)

N_OWN = [8, 4, 10, 4, 4, 3]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_starts_from_parameters_of_the_classifier(preset):
    judging = judging_of(preset, "holdout", 1000, 200)
    params = base_params(preset, epochs=7, judging=judging)
    assert set(params) <= set(CONSTRAINTS) and params["epochs"] == 7
    classifier = KerasMLPClassifier(**params, **final_params(preset))
    check_stages(PRESETS[preset](), classifier.get_params())


def test_the_accuracy_preset_has_the_candidates_it_says():
    chosen = KerasMLPClassifier(**accuracy_base_params()).get_params()
    generator = np.random.RandomState(0)
    found = [candidates_of(s, chosen, generator)[0] for s in accuracy_stages()]
    assert list(map(len, found)) == N_OWN
    # Those of `normalization` and `duration` that are the incumbent do not count.
    assert sum(N_OWN) - 2 == 31


@pytest.mark.parametrize("seed", range(3))
def test_every_candidate_of_the_accuracy_preset_is_allowed(seed):
    chosen = KerasMLPClassifier(**accuracy_base_params(1)).get_params()
    generator = np.random.RandomState(seed)
    for stage in accuracy_stages():
        for candidate in candidates_of(stage, chosen, generator)[0]:
            classifier = KerasMLPClassifier(**{**chosen, **candidate})
            classifier._validate_params()
            assert classifier.warmup_epochs < classifier.epochs


def test_grids_that_follow_from_what_was_chosen():
    chosen = {"learning_rate": 0.002, "epochs": 5}
    assert normalizations(chosen) == {
        "batch_normalization": [False, True],
        "learning_rate": [0.002, 0.006],
    }
    assert longer_trainings(chosen) == {"epochs": [5, 10, 20]}
    drawn = nearby_rates(chosen)["learning_rate"].rvs(1000, random_state=0)
    assert drawn.min() > 0.002 / 3 - 1e-12 and drawn.max() < 0.006 + 1e-12
    assert drawn.min() < 0.0007 and drawn.max() > 0.0058


@pytest.mark.parametrize(("n_features", "has_images"), [(64, True), (30, False)])
def test_images_are_distorted_only_where_there_are_any(n_features, has_images):
    names = [stage.name for stage in stages_for("accuracy", n_features)]
    assert ("augmentation" in names) == has_images


def few_draws():
    """The stages of the accuracy preset, with two candidates where they have more."""
    few = [replace(s, n_iter=s.n_iter and 2) for s in accuracy_stages()]
    few[1] = replace(few[1], params={"batch_normalization": [True]})
    few[3] = replace(few[3], params={"augmentation": ["affine", None]})
    few[5] = replace(few[5], params={"epochs": [2, 3]})
    return few


def small_base_params(epochs):
    return {**accuracy_base_params(epochs), "widths": (16, 16)}


def npz(folder, n_features):
    """Write rows of two classes that differ in their mean; 16 features are pictures."""
    generator = np.random.default_rng(0)
    y = np.arange(240) % 2
    X = generator.normal(size=(240, n_features)) + y[:, None]
    path = folder / "data.npz"
    X = X.reshape(-1, 4, 4) if n_features == 16 else X
    np.savez(path, X=X.astype(np.float32), y=y)
    return str(path)


@pytest.fixture(scope="module", params=[16, 10])
def of_accuracy(request, tmp_path_factory):
    """A study with few draws of the preset: features, the study, and its folder."""
    folder = tmp_path_factory.mktemp("accuracy")
    config = StudyConfig(
        npz(folder, request.param), preset="accuracy", epochs=2, baselines=False
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "accuracy", few_draws)
        base = "skmnist.study.presets._presets.accuracy_base_params"
        patch.setattr(base, small_base_params)
        study = run_study(config, folder / "study")
    return request.param, study, folder / "study"


def test_the_accuracy_preset_takes_any_data(of_accuracy):
    n_features, study, folder = of_accuracy
    named = [stage.name for stage in study.stages]
    assert ("augmentation" in named) == (n_features == 16)
    model = KerasMLPClassifier.load(folder / "model.skmnist")
    assert model.refit_on_all and model.refit_history_ is not None


def test_rows_of_an_accuracy_study_come_back_as_they_were(of_accuracy):
    n_features, study, folder = of_accuracy
    assert read_study(folder) == study
    assert ("Distorted images" in to_markdown(study)) == (n_features == 16)
