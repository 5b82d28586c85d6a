"""How exact the accuracies of a study are: standard errors, leads."""

# SPDX-License-Identifier: BSD-3-Clause

import math
from typing import NamedTuple

from ..stats._standard_error import binomial_standard_error
from ._columns import Candidate, is_failed
from ._records import StudyStage
from ._storage import Study

# Two-sided, at the level of 5 %.
SIGNIFICANT = 1.96


def standard_error(study: Study, row: Candidate) -> float:
    """Estimate the standard error of the accuracy that judged a candidate.

    Parameters
    ----------
    study : Study
    row : Candidate
        One of its candidates.

    Returns
    -------
    standard_error : float
        ``sqrt(p * (1 - p) / n)`` for an accuracy `p` on the `n` samples that judged;
        NaN for a candidate that failed.
    """
    return float(binomial_standard_error(row.accuracy, study.header.n_judging))


class Lead(NamedTuple):
    """How much more accurate a stage's winner is than the best other candidate.

    Attributes
    ----------
    winner : Candidate
        The candidate that the stage chose.
    rival : Candidate or None
        The best other candidate; None where no other has a score.
    difference : float
        Accuracy of the winner minus accuracy of the rival; negative where the rule
        has chosen a less accurate one.
    error : float
        Standard error of the difference, as if the two had been judged by different
        samples. They were judged by the same ones, so the error is rather too large.
    """

    winner: Candidate
    rival: Candidate | None
    difference: float
    error: float

    @property
    def is_noise(self) -> bool:
        """Whether the difference may as well be chance."""
        return not abs(self.difference) > SIGNIFICANT * self.error


def lead_of(study: Study, stage: StudyStage) -> Lead:
    """Compare a stage's winner with the best of the other candidates.

    Parameters
    ----------
    study : Study
    stage : StudyStage
        One of its stages.

    Returns
    -------
    lead : Lead
    """
    winner = study.winner_of(stage)
    others = [r for r in study.rows_of(stage) if not r.winner and not is_failed(r)]
    rival = max(others, key=lambda row: row.accuracy, default=None)
    if rival is None:
        return Lead(winner, None, math.nan, math.nan)
    errors = (standard_error(study, row) for row in (winner, rival))
    return Lead(winner, rival, winner.accuracy - rival.accuracy, math.hypot(*errors))
