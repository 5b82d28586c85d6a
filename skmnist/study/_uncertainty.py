"""How far the accuracies of a study may be off: standard errors, leads."""

# SPDX-License-Identifier: BSD-3-Clause

import math
from typing import NamedTuple

from ..stats._standard_error import binomial_standard_error
from ._config import n_judging

# Two-sided, at the level of 5 %.
SIGNIFICANT = 1.96


def rows_of(study, stage):
    """Return the rows of one stage."""
    return [row for row in study.rows if row["stage"] == stage["name"]]


def standard_error(study, row):
    """Estimate the standard error of the accuracy that judged a candidate.

    Parameters
    ----------
    study : Study
    row : dict
        A row of the study.

    Returns
    -------
    standard_error : float
        That of a proportion, ``sqrt(p * (1 - p) / n)`` over the `n` samples that
        judged; NaN where there is no accuracy.
    """
    return float(binomial_standard_error(row["accuracy"], n_judging(study.header)))


class Lead(NamedTuple):
    """How far a stage's winner is before the best of the other candidates.

    Attributes
    ----------
    winner, rival : dict
        Their rows; no rival (None) where there is no other candidate with a score.
    difference : float
        Accuracy of the winner minus that of the rival; negative where the rule has
        chosen a less accurate one.
    error : float
        Standard error of the difference, as if the two had read different samples;
        they have read the same ones, so it errs on the side of "noise".
    """

    winner: dict
    rival: dict | None
    difference: float
    error: float

    @property
    def is_noise(self):
        """Whether the difference is none that could be told from chance."""
        return not abs(self.difference) > SIGNIFICANT * self.error


def lead_of(study, stage):
    """Compare a stage's winner with the best of the other candidates.

    Parameters
    ----------
    study : Study
    stage : dict
        One of its stages.

    Returns
    -------
    lead : Lead
    """
    rows = rows_of(study, stage)
    winner = next(row for row in rows if row["winner"])
    others = [r for r in rows if not r["winner"] and not math.isnan(r["accuracy"])]
    rival = max(others, key=lambda row: row["accuracy"], default=None)
    if rival is None:
        return Lead(winner, None, math.nan, math.nan)
    errors = (standard_error(study, row) for row in (winner, rival))
    return Lead(
        winner, rival, winner["accuracy"] - rival["accuracy"], math.hypot(*errors)
    )
