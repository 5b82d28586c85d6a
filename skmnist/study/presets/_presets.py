"""The presets of `skmnist study`: which stages it runs, and from where they start."""

# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from scipy.stats import loguniform, uniform

from ...augmentation._distortions import AUGMENTATIONS, Distortions, square_side
from ...model_selection._rules import smallest
from ...model_selection._stage import Stage
from .._judging import Judging
from ._full_study import full_base_params, full_stages
from ._source_experiment import (
    as_reported_stages,
    quick_stages,
    report_base_params,
    report_stages,
)

# Stages that distort images.
IMAGE_STAGES = ("augmentation",)
LIGHT = Distortions(rotation=5.0, shift=0.02, scale=0.05, shear=0.05)
STRONG = Distortions(15.0, 0.08, 0.15, 0.2, elastic_strength=0.05)
# Presets whose candidates race.
RACING = ("full",)


def accuracy_base_params(epochs: int = 20) -> dict[str, Any]:
    """Return the parameters before the first stage of `accuracy_stages`.

    Parameters
    ----------
    epochs : int, default=20
        Epochs of a fit, before the last stage tries more.

    Returns
    -------
    params : dict
        Parameters of the network that the report ends with. A schedule of the
        learning rate works best when it runs to its end. So no training stops early;
        the epoch with the highest validation accuracy is kept, and the final network
        trains on the validation data too.

    Examples
    --------
    >>> from skmnist.study.presets._presets import accuracy_base_params
    >>> accuracy_base_params(epochs=5)["widths"]
    (600, 200)
    """
    return {
        "depth": 2,
        "widths": (600, 200),
        "activations": "relu",
        "initializers": "he_normal",
        "output_initializer": "glorot_uniform",
        "optimizer": "adam",
        "learning_rate": 0.001,
        "learning_rate_schedule": "constant",
        "warmup_epochs": 0.0,
        "batch_size": 64,
        "dropout": 0.0,
        "input_dropout": 0.0,
        "input_scaling": None,
        "batch_normalization": False,
        "weight_decay": 0.0,
        "label_smoothing": 0.0,
        "augmentation": None,
        "validation_split": 0.1,
        "early_stopping": True,
        "monitor": "val_accuracy",
        # Longer than any training: so none stops early.
        "patience": 10_000,
        "min_train_loss": None,
        "epochs": epochs,
    }


def accuracy_stages() -> list[Stage]:
    """List stages that search for accuracy: how a network learns, not its shape.

    Returns
    -------
    stages : list of Stage
        For a `StagedSearchCV` on a `KerasMLPClassifier` with the parameters of
        `accuracy_base_params`. They have 31 candidates, without incumbents. Leave
        out the stage ``augmentation`` for data that are no square images.

    Notes
    -----
    1. ``learning_rate``: eight draws of the rate, with its schedule and warm-up.
    2. ``normalization``: with and without batch normalization, at the learning rate
       so far and at three times that rate, which normalization usually allows.
    3. ``regularization``: ten draws of weight decay with label smoothing, of dropout
       of inputs and hidden layers, or of both.
    4. ``augmentation``: four strengths of distortions, from light to strong.
    5. ``fine_tuning``: four draws of the learning rate, near the one so far.
    6. ``duration``: two and four times the epochs. It chooses the fewest epochs that
       are at most 0.05 % less accurate than the best.

    All other stages choose the most accurate candidate.

    Examples
    --------
    >>> from skmnist.study.presets._presets import accuracy_stages
    >>> [stage.name for stage in accuracy_stages()]  # doctest: +NORMALIZE_WHITESPACE
    ['learning_rate', 'normalization', 'regularization', 'augmentation',
     'fine_tuning', 'duration']
    """
    smoothing = {
        "weight_decay": loguniform(1e-3, 1e-1),
        "label_smoothing": uniform(0, 0.15),
    }
    dropping = {"dropout": uniform(0, 0.5), "input_dropout": uniform(0, 0.25)}
    rates = {
        "learning_rate": loguniform(3e-4, 1e-2),
        "learning_rate_schedule": ["linear", "cosine"],
        "warmup_epochs": [0.0, 0.5],
    }
    regularizations = [smoothing, dropping, {**smoothing, **dropping}]
    return [
        Stage("learning_rate", rates, n_iter=8),
        Stage("normalization", normalizations),
        Stage("regularization", regularizations, n_iter=10),
        Stage("augmentation", {"augmentation": [LIGHT, *AUGMENTATIONS, STRONG]}),
        Stage("fine_tuning", nearby_rates, n_iter=4),
        Stage("duration", longer_trainings, rule=smallest("epochs", tolerance=0.0005)),
    ]


def normalizations(chosen: dict[str, Any]) -> dict[str, list]:
    """List networks with and without normalization, at two learning rates."""
    rate = chosen["learning_rate"]
    return {"batch_normalization": [False, True], "learning_rate": [rate, 3 * rate]}


def nearby_rates(chosen: dict[str, Any]) -> dict[str, Any]:
    """Return a distribution of learning rates around the chosen one."""
    rate = chosen["learning_rate"]
    return {"learning_rate": loguniform(rate / 3, rate * 3)}


def longer_trainings(chosen: dict[str, Any]) -> dict[str, list]:
    """List the chosen number of epochs, twice and four times as many."""
    return {"epochs": [times * chosen["epochs"] for times in (1, 2, 4)]}


# Stages by the name of a preset. A script may add its own.
PRESETS: dict[str, Callable[..., list[Stage]]] = {
    "full": full_stages,
    "report": report_stages,
    "quick": quick_stages,
    "as-reported": as_reported_stages,
    "accuracy": accuracy_stages,
}


def judging_of(preset: str, protocol: str, n_train: int, n_test: int) -> Judging | None:
    """Return how the candidates of a preset are judged, if they race.

    Parameters
    ----------
    preset : str
        A name in `PRESETS`.
    protocol : {"holdout", "report"}
        What judges the candidates.
    n_train, n_test : int
        Number of training rows and of test rows.

    Returns
    -------
    judging : Judging or None
        None if they do not race.
    """
    if preset not in RACING:
        return None
    return Judging.of(n_train, n_test if protocol == "report" else None)


def base_params(
    preset: str, epochs: int | None, judging: Judging | None = None
) -> dict[str, Any]:
    """Return the parameters before a preset's first stage.

    Parameters
    ----------
    preset : str
        A name in `PRESETS`.
    epochs : int or None
        Largest number of epochs of a fit; None for what suits the rows, if the
        candidates race.
    judging : Judging, default=None
        From `judging_of`.

    Returns
    -------
    params : dict
        For `KerasMLPClassifier`.
    """
    if judging is not None:
        return full_base_params(judging, epochs)
    if preset == "accuracy":
        return accuracy_base_params(epochs)
    return {**report_base_params(), "epochs": epochs}


def final_params(preset: str) -> dict[str, Any]:
    """Return more parameters of a preset's final network."""
    return {"refit_on_all": True} if preset in ("accuracy", *RACING) else {}


def _with_race(stage: Stage, judging: Judging | None) -> Stage:
    """Return a stage whose own race, if it has one, has the study's replicates."""
    if judging is None or not stage.race:
        return stage
    ties = judging.ties(stage.race.ties)
    own = {name: getattr(stage.race, name) for name in ("rungs", "resource")}
    return replace(stage, race=replace(judging.race, ties=ties, **own))


def stages_for(
    preset: str,
    n_features: int,
    n_iter: int | dict[str, int] | None = None,
    judging: Judging | None = None,
) -> list[Stage]:
    """List the stages of a study.

    Parameters
    ----------
    preset : str
        A name in `PRESETS`.
    n_features : int
        Features of the data.
    n_iter : int or dict of str to int, default=None
        Draw at most so many candidates from each stage's grid; a dict gives numbers
        for some stages by their names.
    judging : Judging, default=None
        From `judging_of`.

    Returns
    -------
    stages : list of Stage
        The stages of the preset that suit the data.

    Examples
    --------
    >>> from skmnist.study.presets._presets import stages_for
    >>> [len(stages_for("accuracy", n_features)) for n_features in (784, 30)]
    [6, 5]
    """
    sampled = {"sampled": True} if judging is not None and judging.samples else {}
    stages = [_with_race(stage, judging) for stage in PRESETS[preset](**sampled)]
    if not square_side(n_features):
        stages = [stage for stage in stages if stage.name not in IMAGE_STAGES]
    most = n_iter
    if not isinstance(n_iter, dict):
        most = {} if n_iter is None else {stage.name: n_iter for stage in stages}
    return [
        replace(stage, n_iter=most[stage.name], grow=None)
        if stage.name in most
        else stage
        for stage in stages
    ]


TITLES = {
    "depth_width": "Depth and width",
    "activations": "Activation functions",
    "node_distribution": "Distribution of nodes",
    "batch_size": "Batch size",
    "validation_split": "Validation split",
    "initializers": "Initializers",
    "optimizer": "Optimizer",
    "epochs": "Number of epochs",
    "learning_rate": "Learning rate and its schedule",
    "normalization": "Batch normalization",
    "regularization": "Regularization",
    "augmentation": "Distorted images",
    "fine_tuning": "Learning rate, once more",
    "duration": "How long to train",
}


def title_of(name: str) -> str:
    """Return the heading of a stage. A stage without one keeps its name.

    Examples
    --------
    >>> from skmnist.study.presets._presets import title_of
    >>> title_of("batch_size"), title_of("my_stage")
    ('Batch size', 'my_stage')
    """
    return TITLES.get(name, name)
