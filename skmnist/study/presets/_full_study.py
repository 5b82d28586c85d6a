"""The default study: the report's stages as races, then how the network learns."""

# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...augmentation._distortions import AUGMENTATIONS
from ...model_selection._race import Race
from ...model_selection._stage import Stage
from .._judging import Judging
from ._source_experiment import activation_pairs, node_distributions

# A third of the updates of the classifier's "auto". The stage `duration` tries more.
UPDATES, FEWEST_EPOCHS, MOST_EPOCHS = 833, 4, 133

# Where candidates train on a sample, the final network trains long on more than so many
# rows, often distorted: it has use for wider layers.
MANY_ROWS, WIDER = 20_000, 2.0

# Activations of the first and of the last hidden layer.
PAIRS = (
    ("silu", "silu"),
    ("relu", "relu"),
    ("tanh", "tanh"),
    ("sigmoid", "sigmoid"),
    ("relu", "tanh"),
)
SLOPES = (0.0, 0.25, -0.25, 0.5, -0.5)


def full_base_params(judging: Judging, epochs: int | None = None) -> dict[str, Any]:
    """Return the parameters before the first stage of `full_stages`.

    Parameters
    ----------
    judging : Judging
        How many rows train a candidate.
    epochs : int, default=None
        Most epochs of a fit before the last stage; None for as many as the rows
        need.

    Returns
    -------
    params : dict
        The defaults of `KerasMLPClassifier` in numbers, with a third of its epochs.
    """
    from ...neural_network._spec import auto_batch_size, auto_learning_rate, auto_width

    n = judging.n_train
    batch, width = auto_batch_size(n), auto_width(n)
    enough = math.ceil(UPDATES * batch / n)
    enough = min(max(enough, FEWEST_EPOCHS), MOST_EPOCHS)
    return {
        "depth": 2,
        "widths": width,
        "activations": "silu",
        "initializers": "he_normal",
        "output_initializer": "glorot_uniform",
        "optimizer": "adam",
        "learning_rate": auto_learning_rate(width),
        "learning_rate_schedule": "cosine",
        "batch_size": batch,
        "dropout": 0.1,
        "input_dropout": 0.0,
        "batch_normalization": False,
        "weight_decay": 0.02,
        "label_smoothing": 0.03,
        "augmentation": None,
        "validation_split": 0.1,
        "early_stopping": False,
        "monitor": "val_accuracy",
        # Longer than any training: so none stops early.
        "patience": 100_000,
        "min_train_loss": None,
        "epochs": enough if epochs is None else min(enough, epochs),
    }


# Widths that are tied compete by their means, and so does normalization: it has a few
# weights more, which nobody means by a larger network.
SHALLOW, BY_MEAN = Race(ties=("depth",)), Race(ties=("n_iter",))
# Rows are held out only if that is better.
ALL_ROWS = Race(ties=("early_stopping",))


def full_stages(*, sampled: bool = False) -> list[Stage]:
    """List the stages of the default study.

    Parameters
    ----------
    sampled : bool, default=False
        Whether candidates train on a sample of the rows, and so for a small part of the
        final network's updates. Then no stage tries higher learning rates: the shorter
        a training, the higher is the rate that suits it.

    Returns
    -------
    stages : list of Stage
        For a `StagedSearchCV` with a `Race` on a `KerasMLPClassifier` with the
        parameters of `full_base_params`. Leave out the stage ``augmentation`` for data
        that are no square images.

    Notes
    -----
    The report's eight stages, in its order:

    1. ``depth_width``: two and three layers of three widths; a layer more as long as it
       wins.
    2. ``activations``: four activations, and one pair of two.
    3. ``node_distribution``: the same number of nodes, more of them in the first or
       in the last layer.
    4. ``batch_size``: half, once and twice the size so far.
    5. ``validation_split``: train on all rows; or hold some out, and keep the epoch
       that reads them best.
    6. ``initializers``: three.
    7. ``optimizer``: the report's four.
    8. ``epochs``: half the epochs, if that is as good.

    Then how the network learns:

    9. ``learning_rate``: three rates, or with `sampled` two, with two schedules.
    10. ``regularization``: seven settings of dropout, weight decay and smoothing.
    11. ``augmentation``: for images, none and two distortions, with twice the epochs:
        what distortions bring shows late.
    12. ``normalization``: with and without batch normalization, at two rates, or with
        `sampled` at one. It comes so late because it helps most where training is long.
    13. ``duration``: the epochs so far, twice and four times as many; without
        distortions twice and eight times as many.

    Each stage lists first what mattered most on other data: where time is short, only
    its first candidates are tried. Where it is too short for a race in each stage,
    those that mattered least are left out (``priority`` of `Stage`).

    Ties go to the smallest network, then to the fewest epochs, then to the highest
    mean. Only among widths that are tied, and with or without batch normalization, does
    the highest mean win at once: no race can show a difference of 0.1 points, and a
    wider network costs time but no accuracy. On more than 5,000 rows, where candidates
    train on a part, a tie stays with what the stages before have chosen, before the
    means count.

    Examples
    --------
    >>> from skmnist.study import full_stages
    >>> [stage.name for stage in full_stages()][8:]
    ['learning_rate', 'regularization', 'augmentation', 'normalization', 'duration']
    """
    starts = ["he_normal", "glorot_uniform", "lecun_normal"]
    normalizing = normalized_at_one_rate if sampled else normalized
    return [
        Stage("depth_width", sizes, grow="depth", max_grow=3, race=SHALLOW, cost=2.0),
        Stage("activations", pairs_of_activations, priority=3.0),
        Stage("node_distribution", unequal_widths, race=BY_MEAN),
        Stage("batch_size", batch_sizes, priority=2.0),
        Stage("validation_split", VALIDATIONS, race=ALL_ROWS, priority=2.0),
        Stage("initializers", {"initializers": starts}),
        Stage("optimizer", optimizers),
        Stage("epochs", shorter),
        Stage("learning_rate", lower_rates if sampled else rates, priority=3.0),
        Stage("regularization", REGULARIZATIONS, priority=3.0),
        Stage("augmentation", distortions, cost=2.5, priority=5.0),
        Stage("normalization", normalizing, cost=2.5, race=BY_MEAN, priority=4.0),
        Stage("duration", longer, cost=5.0, priority=2.0),
    ]


def sizes(chosen: Mapping[str, Any]) -> list[dict[str, list]]:
    """List depths with the width so far, half and twice as much."""
    from ...neural_network._spec import auto_learning_rate as rate

    width = chosen["widths"]
    return [
        {"depth": [2, 3], "widths": [one], "learning_rate": [rate(one)]}
        for one in (width, max(1, width // 2), 2 * width)
    ]


def pairs_of_activations(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List activations for the chosen depth."""
    return activation_pairs(chosen, PAIRS)


def unequal_widths(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List widths with the chosen total."""
    return node_distributions(chosen, SLOPES)


def batch_sizes(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List the batch size so far, twice and half as much."""
    size = chosen["batch_size"]
    return {"batch_size": [size, 2 * size, max(1, size // 2)]}


VALIDATIONS = [
    {"early_stopping": [False], "validation_split": [0.1]},
    {"early_stopping": [True], "validation_split": [0.1, 0.2]},
]


def optimizers(chosen: Mapping[str, Any]) -> list[dict[str, list]]:
    """List the report's four optimizers, each with a rate that suits it."""
    rate = chosen["learning_rate"]
    # In a wide layer, plain descent at 0.1 ends in NaN.
    sgd = min(0.1, 12 * rate)
    found = {"adam": rate, "rmsprop": rate / 3, "sgd": sgd, "adagrad": 0.03}
    return [
        {"optimizer": [name], "learning_rate": [value]} for name, value in found.items()
    ]


def shorter(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List half the epochs, and all."""
    epochs = chosen["epochs"]
    return {"epochs": list(dict.fromkeys([max(1, epochs // 2), epochs]))}


def rates(chosen: Mapping[str, Any]) -> list[dict[str, list]]:
    """List learning rates around the chosen one, with two schedules."""
    return _rates(chosen, 1, 2, 1 / 2)


def lower_rates(chosen: Mapping[str, Any]) -> list[dict[str, list]]:
    """List the chosen learning rate and half of it, with two schedules."""
    return _rates(chosen, 1, 1 / 2)


def _rates(chosen: Mapping[str, Any], *times: float) -> list[dict[str, list]]:
    tried = [one * chosen["learning_rate"] for one in times]
    return [
        {"learning_rate": tried, "learning_rate_schedule": [name]}
        for name in ("cosine", "linear")
    ]


def normalized(chosen: Mapping[str, Any]) -> list[dict[str, list]]:
    """List networks with and without normalization, at two learning rates."""
    rate = chosen["learning_rate"]
    pairs = (False, rate), (True, 2 * rate), (True, rate), (False, 2 * rate)
    return [
        {"batch_normalization": [normalizes], "learning_rate": [one]}
        for normalizes, one in pairs
    ]


def normalized_at_one_rate(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List networks without and with normalization."""
    return {"batch_normalization": [False, True]}


def _regularization(dropout=0.1, decay=0.02, smoothing=0.03, of_inputs=0.0):
    return {
        "dropout": [dropout],
        "input_dropout": [of_inputs],
        "weight_decay": [decay],
        "label_smoothing": [smoothing],
    }


REGULARIZATIONS = [
    _regularization(),
    _regularization(0.0, 0.0, 0.0),
    _regularization(0.0),
    _regularization(0.3),
    _regularization(0.2, of_inputs=0.1),
    _regularization(decay=0.1),
    _regularization(smoothing=0.1),
]


def distortions(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List distortions of images, and none, with twice the epochs so far."""
    # None comes second: without the second half of the epochs it races in any case.
    strongest, *others = reversed(AUGMENTATIONS)
    return {
        "augmentation": [strongest, None, *others],
        "epochs": [2 * chosen["epochs"]],
    }


def longer(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List the epochs so far and more; distorted images have had twice as many."""
    times = (1, 2, 8) if chosen["augmentation"] is None else (1, 2, 4)
    return {"epochs": [n * chosen["epochs"] for n in times]}


def scaled_up(best: Mapping[str, Any], judging: Judging) -> dict[str, Any]:
    """Return what the final network has for training on all rows.

    Parameters
    ----------
    best : dict
        All parameters that the search has chosen.
    judging : Judging
        How many rows trained the candidates.

    Returns
    -------
    params : dict
        ``widths``, ``batch_size``, ``learning_rate`` and ``epochs``. With more than
        20,000 rows the layers are twice as wide, but by their mean at most twice as
        wide as "auto", and the rate is lower by the same factor. The batches grow as
        "auto" does, and the rate with their square root. There are fewer epochs, and
        yet more updates. Nothing changes where candidates train on all rows.
    """
    from ...neural_network._spec import auto_batch_size

    widths, larger = best["widths"], 1
    times = wider_by(judging, widths)
    if judging.samples:
        larger = auto_batch_size(judging.n_rows) // auto_batch_size(judging.n_train)
    part = judging.n_train / judging.n_rows if judging.samples else 1.0
    if isinstance(widths, list | tuple):
        wider: Any = tuple(round(times * width) for width in widths)
    else:
        wider = round(times * widths)
    return {
        "widths": wider,
        "batch_size": larger * best["batch_size"],
        "learning_rate": best["learning_rate"] * math.sqrt(larger) / times,
        "epochs": max(1, round(best["epochs"] * math.sqrt(part))),
    }


def wider_by(judging: Judging, widths: int | Sequence[int]) -> float:
    """Return how many times as wide the final network is as a candidate.

    Layers that the search has made wider than "auto" are wide already: those of 1,024
    units take too long to train.
    """
    from ...neural_network._spec import auto_width

    if not judging.samples or judging.n_rows <= MANY_ROWS:
        return 1.0
    wide = auto_width(judging.n_train)
    return min(WIDER, max(1.0, WIDER * wide / float(np.mean(widths))))
