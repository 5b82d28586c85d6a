"""What searching brought: the verdict on a whole study."""

# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from numpy.typing import NDArray

from ..stats._compare import ALPHA, stage_verdict
from ._baselines import Fitted, right_rows
from ._columns import Candidate, is_failed
from ._records import (
    BaselineFit,
    BaselineVerdict,
    StageFinding,
    StudyStage,
    StudyVerdict,
)
from ._storage import Study
from ._uncertainty import lead_of, n_tied


def judge_study(
    study: Study, right: NDArray[np.bool_] | None = None, fitted: Fitted | None = None
) -> StudyVerdict:
    """Find out what searching brought.

    Parameters
    ----------
    study : Study
        The study, finished or not.
    right : ndarray of bool of shape (n_test,), default=None
        Whether the final model classifies each test row correctly.
    fitted : Fitted, default=None
        The baselines; None if none was fitted.

    Returns
    -------
    verdict : StudyVerdict
        From the paired tests of `skmnist.stats.stage_verdict`.
    """
    baselines = [] if fitted is None or right is None else _against(right, fitted.fits)
    left_out = "" if fitted is None else fitted.left_out
    stages = [find_stage(study, stage) for stage in study.stages]
    return StudyVerdict(baselines=baselines, left_out=left_out, stages=stages)


def _against(
    right: NDArray[np.bool_], fits: list[BaselineFit]
) -> list[BaselineVerdict]:
    """Compare the final model with all baselines by one verdict."""
    rows = [right, *(right_rows(fit, len(right)) for fit in fits)]
    accuracies = [float(one.mean()) for one in rows]
    verdict = stage_verdict(accuracies, 0, n_test=len(right), right=rows)
    return [
        BaselineVerdict(
            name=fit.name,
            test_accuracy=accuracies[i],
            n_iter=fit.n_iter,
            seconds=fit.seconds,
            # Not -0.0, which would be written as "-0.00".
            gain=0.0 - verdict.differences[i],
            gain_error=verdict.standard_errors[i],
            p_value=verdict.adjusted[i],
        )
        for i, fit in enumerate(fits, 1)
    ]


def find_stage(study: Study, stage: StudyStage) -> StageFinding:
    """Find out what a stage was good for.

    Parameters
    ----------
    study : Study
    stage : StudyStage
        One of its stages.

    Returns
    -------
    finding : StageFinding
        From the p-values that the study has kept; nothing is tested again.
    """
    winner = study.winner_of(stage)
    other = _began_with(study, stage) or lead_of(study, stage).rival
    gain = None if other is None else winner.accuracy - other.accuracy
    p_value = None if other is None else other.p_value
    better = gain is not None and gain > 0
    return StageFinding(
        stage=stage.name,
        gain=gain,
        p_value=p_value,
        made_difference=better and p_value is not None and p_value < ALPHA,
        n_tied=n_tied(study, stage),
    )


def _began_with(study: Study, stage: StudyStage) -> Candidate | None:
    """Return the candidate that a stage was handed; None if there is none."""
    rows = study.rows_of(stage)
    found = (row for row in rows if row.incumbent and not is_failed(row))
    return next(found, None)
