"""The default study: the report's stages as races, then how the network learns."""

# SPDX-License-Identifier: BSD-3-Clause

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import KFold, StratifiedKFold, StratifiedShuffleSplit

from ..augmentation._distortions import AUGMENTATIONS, Distortions
from ..model_selection._race import Race
from ..model_selection._stage import Stage
from ._config import JUDGING_PART
from ._source_experiment import activation_pairs, node_distributions

# Candidates train on at most so many rows. The final network trains on all.
CANDIDATE_ROWS = 8_000
# Up to so many training rows, candidates are judged by cross-validation: one part of
# them would be too few to judge by.
SMALL = 5_000
N_FOLDS = 5
# A third of the updates of the classifier's "auto". The stage `duration` tries more.
UPDATES, FEWEST_EPOCHS, MOST_EPOCHS = 833, 4, 133
# How much longer each step of the last two stages trains.
LONGER = 3
LIGHT = Distortions(rotation=5.0, shift=0.02, scale=0.05, shear=0.05)
STRONG = Distortions(15.0, 0.08, 0.15, 0.2, elastic_strength=0.05)

# Activations of the first and of the last hidden layer.
PAIRS = (
    ("silu", "silu"),
    ("relu", "relu"),
    ("tanh", "tanh"),
    ("sigmoid", "sigmoid"),
    ("relu", "tanh"),
)
SLOPES = (0.0, 0.25, -0.25, 0.5, -0.5)
# No wider layers than these, where that is four times as wide as before.
MOST_WIDE = 768


@dataclass(frozen=True)
class Judging:
    """What judges the candidates of a study, and how many rows train them.

    Parameters
    ----------
    n_rows : int
        Number of training rows of the study.
    n_folds : int or None
        Number of folds of a cross-validation; None for one part of the rows.
    n_train : int
        Rows that a candidate trains on.
    n_judging : int
        Rows that judge it, over the folds that choose.
    """

    n_rows: int
    n_folds: int | None
    n_train: int
    n_judging: int

    @classmethod
    def of(cls, n_rows: int, n_test: int | None = None) -> "Judging":
        """Plan for a number of training rows.

        Parameters
        ----------
        n_rows : int
            Number of training rows.
        n_test : int, default=None
            Number of test rows, if these judge.

        Returns
        -------
        judging : Judging
        """
        if n_test is not None:
            return cls(n_rows, None, min(n_rows, CANDIDATE_ROWS), n_test)
        if n_rows <= SMALL:
            others = n_rows - n_rows // N_FOLDS
            # The last fold gives the winners' scores.
            return cls(n_rows, N_FOLDS, others, others)
        n_judging = math.ceil(n_rows * JUDGING_PART)
        return cls(n_rows, None, min(n_rows - n_judging, CANDIDATE_ROWS), n_judging)

    @property
    def race(self) -> Race:
        """How the candidates race: each fold that chooses is used at least once."""
        if self.n_folds is None:
            return Race(min_replicates=3, max_replicates=6, n_fresh=1)
        return Race(min_replicates=N_FOLDS - 1, max_replicates=8, n_fresh=1)


def full_base_params(judging: Judging, epochs: int | None = None) -> dict[str, Any]:
    """Return the parameters before the first stage of `full_stages`.

    Parameters
    ----------
    judging : Judging
        How many rows train a candidate.
    epochs : int, default=None
        Most epochs of a fit before the last two stages; None for as many as the rows
        need.

    Returns
    -------
    params : dict
        The defaults of `KerasMLPClassifier` in numbers, with a third of its epochs.
    """
    from ..neural_network._spec import auto_batch_size, auto_learning_rate, auto_width

    n, width = judging.n_train, auto_width(judging.n_rows)
    batch = auto_batch_size(n)
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


def full_stages() -> list[Stage]:
    """List the stages of the default study.

    Returns
    -------
    stages : list of Stage
        For a `StagedSearchCV` with a `Race` on a `KerasMLPClassifier` with the
        parameters of `full_base_params`. Leave out the stage ``augmentation`` for data
        that are no square images.

    Notes
    -----
    The report's eight stages, in its order:

    1. ``depth_width``: one and two layers of three widths; a layer more as long as it
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

    9. ``learning_rate``: three rates with two schedules.
    10. ``normalization``: with and without batch normalization, at two rates.
    11. ``regularization``: seven settings of dropout, weight decay and smoothing.
    12. ``augmentation``: for images, none and five distortions.
    13. ``size``: wider layers, and three times the epochs.
    14. ``duration``: again three times the epochs.

    Examples
    --------
    >>> from skmnist.study import full_stages
    >>> [stage.name for stage in full_stages()][8:]  # doctest: +NORMALIZE_WHITESPACE
    ['learning_rate', 'normalization', 'regularization', 'augmentation', 'size',
     'duration']
    """
    distortions = [None, LIGHT, *AUGMENTATIONS, STRONG]
    starts = ["he_normal", "glorot_uniform", "lecun_normal"]
    return [
        Stage("depth_width", sizes, grow="depth", max_grow=3),
        Stage("activations", pairs_of_activations),
        Stage("node_distribution", unequal_widths),
        Stage("batch_size", batch_sizes),
        Stage("validation_split", VALIDATIONS),
        Stage("initializers", {"initializers": starts}),
        Stage("optimizer", optimizers),
        Stage("epochs", shorter),
        Stage("learning_rate", rates),
        Stage("normalization", normalized),
        Stage("regularization", REGULARIZATIONS),
        Stage("augmentation", {"augmentation": distortions}),
        Stage("size", larger),
        Stage("duration", longer),
    ]


def sizes(chosen: Mapping[str, Any]) -> list[dict[str, list]]:
    """List depths with the width so far, half of it and a quarter."""
    from ..neural_network._spec import auto_learning_rate as rate

    widths = [max(1, chosen["widths"] // part) for part in (4, 2, 1)]
    return [
        {"depth": [1, 2], "widths": [width], "learning_rate": [rate(width)]}
        for width in dict.fromkeys(widths)
    ]


def pairs_of_activations(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List activations for the chosen depth."""
    return activation_pairs(chosen, PAIRS)


def unequal_widths(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List widths with the chosen total."""
    return node_distributions(chosen, SLOPES)


def batch_sizes(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List half the batch size, the same and twice as much."""
    size = chosen["batch_size"]
    return {"batch_size": [max(1, size // 2), size, 2 * size]}


VALIDATIONS = [
    {"early_stopping": [False], "validation_split": [0.1]},
    {"early_stopping": [True], "validation_split": [0.1, 0.2]},
]


def optimizers(chosen: Mapping[str, Any]) -> list[dict[str, list]]:
    """List the report's four optimizers, each with a rate that suits it."""
    rate = chosen["learning_rate"]
    found = {"adam": rate, "rmsprop": rate / 3, "sgd": 0.1, "adagrad": 0.03}
    return [
        {"optimizer": [name], "learning_rate": [value]} for name, value in found.items()
    ]


def shorter(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List half the epochs, and all."""
    epochs = chosen["epochs"]
    return {"epochs": list(dict.fromkeys([max(1, epochs // 2), epochs]))}


def rates(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List learning rates around the chosen one, with two schedules."""
    rate = chosen["learning_rate"]
    return {
        "learning_rate": [rate / 2, rate, 2 * rate],
        "learning_rate_schedule": ["cosine", "linear"],
    }


def normalized(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List networks with and without normalization, at two learning rates."""
    rate = chosen["learning_rate"]
    return {"batch_normalization": [False, True], "learning_rate": [rate, 2 * rate]}


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


def larger(chosen: Mapping[str, Any]) -> list[dict[str, list]]:
    """List wider networks, trained longer; a wider one takes smaller steps."""
    widths, rate = chosen["widths"], chosen["learning_rate"]
    epochs = [LONGER * chosen["epochs"]]
    found = []
    for times in (1, 2, 4):
        wider = (
            [times * width for width in widths]
            if isinstance(widths, list | tuple)
            else times * widths
        )
        if times <= 2 or np.max(wider) <= MOST_WIDE:
            wider = tuple(wider) if isinstance(wider, list) else wider
            found.append(
                {"widths": [wider], "learning_rate": [rate / times], "epochs": epochs}
            )
    return found


def longer(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List the epochs so far, and three times as many."""
    return {"epochs": [chosen["epochs"], LONGER * chosen["epochs"]]}


def some_rows(y: ArrayLike, n_wanted: int, seed: int) -> NDArray[np.intp]:
    """Draw rows with the same share of each class, and at least one of each.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        The classes.
    n_wanted : int
        How many rows to draw.
    seed : int
        Seed of the draw.

    Returns
    -------
    rows : ndarray of int
        Positions, in rising order.

    Examples
    --------
    >>> from skmnist.study._full_study import some_rows
    >>> y = ["a"] * 90 + ["b"] * 10
    >>> rows = some_rows(y, 20, seed=0)
    >>> [y[row] for row in rows].count("b"), len(rows)
    (2, 20)
    """
    _, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    if n_wanted >= len(codes):
        return np.arange(len(codes))
    shuffled = np.random.default_rng(seed).permutation(len(codes))
    order = shuffled[np.argsort(codes[shuffled], kind="stable")]
    even = np.linspace(0, len(codes), n_wanted, endpoint=False).astype(int)
    firsts = np.cumsum(counts) - counts
    return np.sort(order[np.union1d(even, firsts)])


def race_splits(
    judging: Judging, y: ArrayLike, seed: int, n_test: int | None = None
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Split the rows into those that train candidates and those that judge them.

    Parameters
    ----------
    judging : Judging
        What judges.
    y : array-like of shape (n_rows,)
        The classes; with `n_test` those of the test rows too, at the end.
    seed : int
        Seed of the splits.
    n_test : int, default=None
        Number of test rows, if these judge.

    Returns
    -------
    splits : list of (ndarray, ndarray)
        One split, or the folds.
    """
    y = np.asarray(y)
    rows = np.arange(len(y))
    if n_test is not None:
        train, test = rows[: len(y) - n_test], rows[len(y) - n_test :]
    elif judging.n_folds is None:
        draw = StratifiedShuffleSplit(1, test_size=judging.n_judging, random_state=seed)
        train, test = next(draw.split(y, y))
    else:
        largest = np.unique(y, return_counts=True)[1].max()
        kind = StratifiedKFold if largest >= judging.n_folds else KFold
        folds = kind(judging.n_folds, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            # A class with fewer rows than folds is missing in some of them.
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            return list(folds.split(y, y))
    return [(train[some_rows(y[train], judging.n_train, seed)], test)]
