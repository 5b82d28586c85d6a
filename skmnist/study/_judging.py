"""What judges the candidates of a study, and which rows train those that race."""

# SPDX-License-Identifier: BSD-3-Clause

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model_selection._race import Race

# The part of the training data that judges candidates under "holdout": as many
# images as MNIST's test set has.
JUDGING_PART = 1 / 6
# Candidates train on at most so many rows. The final network trains on all.
CANDIDATE_ROWS = 8_000
# Up to so many training rows, candidates are judged by cross-validation: one part of
# them would be too few to judge by.
SMALL = 5_000
N_FOLDS = 5


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
    def samples(self) -> bool:
        """Whether candidates train on a sample of the rows that do not judge."""
        return self.n_train == CANDIDATE_ROWS

    @property
    def race(self) -> Race:
        """How the candidates race: each fold that chooses is used at least once."""
        if self.n_folds is None:
            ties = self.ties(Race.ties)
            return Race(max_replicates=6, min_replicates=3, ties=ties, n_fresh=1)
        return Race(min_replicates=N_FOLDS - 1, max_replicates=8, n_fresh=1)

    def ties(self, names: Sequence[str]) -> Sequence[str]:
        """Say what breaks ties: where candidates train on a part, the incumbent too.

        Short trainings on a part of the rows like high rates and weak regularization
        more than long ones on all rows do. So there, what is only as good changes
        nothing.

        Parameters
        ----------
        names : sequence of str
            What makes a candidate simple, as `Race` takes it.

        Returns
        -------
        names : sequence of str
        """
        return names if self.n_folds is not None else (*names, "incumbent")


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
    >>> from skmnist.study._judging import some_rows
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
    # Not at import: who reads a study needs no scikit-learn.
    from sklearn.model_selection import KFold, StratifiedKFold, StratifiedShuffleSplit

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
