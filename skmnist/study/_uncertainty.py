"""How far the accuracies of a study may be off: standard errors, leads."""

# SPDX-License-Identifier: BSD-3-Clause

import math
from typing import NamedTuple

from .._format import as_percent, as_points, candidate_name
from ._run import JUDGING_PART

# Two-sided, at the level of 5 %.
SIGNIFICANT = 1.96


def rows_of(study, stage):
    """Return the rows of one stage."""
    return [row for row in study.rows if row["stage"] == stage["name"]]


def judged_by(protocol):
    """Name the samples that judged the candidates."""
    return "test" if protocol == "report" else "held-out"


def n_judging(header):
    """Count the samples that judged each candidate of a study."""
    if header["config"]["protocol"] == "report":
        return header["data"]["n_test"]
    return math.ceil(header["data"]["n_train"] * JUDGING_PART)


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
    p = row["accuracy"]
    return math.sqrt(p * (1 - p) / n_judging(study.header))


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


def describe_lead(study, stage):
    """Say in one sentence whether a stage's winner differs from the best other."""
    lead = lead_of(study, stage)
    if lead.rival is None:
        return "There was no other candidate."
    name = candidate_name({n: lead.rival[n] for n in stage["tried"]})
    verdict = "no more than noise" if lead.is_noise else "more than noise (5 % level)"
    return (
        f"The best other candidate ({name}) has {as_percent(lead.rival['accuracy'])}: "
        f"the winner differs from it by {100 * lead.difference:+.2f} pp, with a "
        f"standard error of {as_points(lead.error)}: {verdict}."
    )


def describe_noise(header):
    """Say what the standard errors of a study are."""
    judges = judged_by(header["config"]["protocol"])
    return (
        f"Each candidate was judged by {n_judging(header):,} {judges} samples; the "
        "standard errors are those of a proportion of so many. What another seed "
        "would change comes on top."
    )


def error_column(study, stage):
    """Return the column of standard errors, for `stage_table`."""
    errors = [standard_error(study, row) for row in rows_of(study, stage)]
    return {"standard error": [as_points(error) for error in errors]}
