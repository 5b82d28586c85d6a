"""How exact the accuracies of a study are: standard errors, leads."""

# SPDX-License-Identifier: BSD-3-Clause

import math
from typing import NamedTuple

from ..stats._compare import ALPHA
from ..stats._standard_error import binomial_standard_error
from ._columns import Candidate, is_failed
from ._records import StudyStage
from ._storage import Study


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

    The test is the one that the study made for its table, see
    `skmnist.stats.stage_verdict`; nothing is tested again.

    Attributes
    ----------
    winner : Candidate
        The candidate that the stage chose.
    rival : Candidate or None
        The best other candidate; None where no other has a score.
    difference : float
        Accuracy of the winner minus accuracy of the rival; negative where the rule
        has chosen a less accurate one. NaN without a rival.
    error : float
        Standard error of the difference by the paired test; NaN in a study from
        before it was kept.
    p_value : float or None
        Adjusted p-value of the difference; None likewise.
    """

    winner: Candidate
    rival: Candidate | None
    difference: float
    error: float
    p_value: float | None

    @property
    def is_significant(self) -> bool:
        """Whether winner and rival differ by more than chance."""
        return self.p_value is not None and self.p_value < ALPHA


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
        return Lead(winner, None, math.nan, math.nan, None)
    error = rival.difference_error
    return Lead(
        winner,
        rival,
        winner.accuracy - rival.accuracy,
        math.nan if error is None else error,
        rival.p_value,
    )


def n_tied(study: Study, stage: StudyStage) -> int:
    """Count the other candidates of a stage that cannot be told from its winner."""
    p_values = [row.p_value for row in study.rows_of(stage)]
    return sum(p is not None and p >= ALPHA for p in p_values)
