"""How far a study is, read from its folder."""

# SPDX-License-Identifier: BSD-3-Clause

import os
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal

from .._format import as_text, visible
from .._io import user_path
from ._checks import Parameter, Record
from ._records import StudyTrial
from ._storage import holder, read_study
from ._trials import FILE, read_trials

# What judges a candidate, among the scores of a trial.
JUDGING = "accuracy"


@dataclass(frozen=True)
class RunningStage(Record):
    """The stage that runs now, or in which the study was stopped.

    Parameters
    ----------
    stage : str
        Its name.
    n_done, n_together : int
        Number of finished fits, and of all fits that run together.
    seconds_left : int or None
        Seconds until the others are finished, if they take as long as the first
        ones; None after fewer than two fits. In a race, the most that it can take.
    n_candidates, n_standing : int or None, default=None
        In a race, how many candidates have started, and how many stand.
    replicate, max_replicates : int or None, default=None
        In a race, how many replicates have been started, and the most that choose.
    """

    stage: str
    n_done: int
    n_together: int
    seconds_left: int | None
    n_candidates: int | None = None
    n_standing: int | None = None
    replicate: int | None = None
    max_replicates: int | None = None


@dataclass(frozen=True)
class BestTrial(Record):
    """The trial with the highest score.

    Parameters
    ----------
    stage : str
        Name of its stage.
    candidate : int
        Number of the candidate in the search, counted from 0.
    params : dict
        Its parameters.
    score : float
        Its accuracy; with several splits, the accuracy of the best split.
    """

    stage: str
    candidate: int
    params: dict[str, Parameter]
    score: float


@dataclass(frozen=True)
class StudyStatus(Record):
    """How far a study is.

    Parameters
    ----------
    folder : str
        Its folder.
    state : {"running", "stopped", "finished"}
        What the study does now.
    holder : str or None
        Process and machine that run it; None if it does not run.
    data : str
        Name of the data.
    stages : list of str
        Names of all stages.
    n_stages_done : int
        Stages that are done.
    current : RunningStage or None
        The stage that runs now; None between two stages and after the last one.
    n_trials, n_failed : int
        Number of finished fits, and how many of them failed.
    best : BestTrial or None
        The best trial so far.
    test_accuracy : float or None
        Test accuracy of the final model; None until there is one.
    not_tried : list of str
        Stages that a finished study had no time for.
    """

    folder: str
    state: Literal["running", "stopped", "finished"]
    holder: str | None
    data: str
    stages: list[str]
    n_stages_done: int
    current: RunningStage | None
    n_trials: int
    n_failed: int
    best: BestTrial | None
    test_accuracy: float | None
    not_tried: list[str]


def study_status(folder: str | os.PathLike[str]) -> StudyStatus:
    """Read how far a study is; the study may be running.

    Parameters
    ----------
    folder : path-like
        Its folder.

    Returns
    -------
    status : StudyStatus
        How far it is. Its ``as_dict`` is plain data.

    Raises
    ------
    skmnist.study.StudyFolderError
        If there is no study in the folder, or a damaged one.
    """
    study, running = read_study(folder), holder(folder)
    trials = read_trials(user_path(folder) / FILE)
    summary = study.summary
    done = [stage.name for stage in study.stages]
    return StudyStatus(
        folder=str(folder),
        state="running" if running else "finished" if summary else "stopped",
        holder=running,
        data=study.header.data.name,
        stages=study.header.stages or done,
        n_stages_done=len(done),
        current=None if summary else _current(trials, done),
        n_trials=len(trials),
        n_failed=sum(trial.error is not None for trial in trials),
        best=_best(trials),
        test_accuracy=summary.final.test_accuracy if summary else None,
        not_tried=summary.not_tried if summary else [],
    )


def describe_status(status: StudyStatus) -> str:
    """Put a status in words.

    Parameters
    ----------
    status : StudyStatus
        From `study_status`.

    Returns
    -------
    text : str
        A few lines.
    """
    by = f" by {status.holder}" if status.holder else ""
    failed = f", {status.n_failed} of them failed" if status.n_failed else ""
    lines = [
        f"{status.folder}: {status.state}{by}",
        f"Data: {status.data}; {status.n_stages_done} of {len(status.stages)} stages "
        f"done, {status.n_trials} trials{failed}",
    ]
    if current := status.current:
        lines.append(_describe_stage(current))
    if best := status.best:
        given = ", ".join(f"{n}={as_text(v) or v}" for n, v in best.params.items())
        lines.append(f"Best so far: {best.score:.2%} with {given}")
    if status.test_accuracy is not None:
        lines.append(f"Test accuracy of the final model: {status.test_accuracy:.2%}")
    if status.not_tried:
        lines.append(f"Not tried for want of time: {', '.join(status.not_tried)}")
    return "\n".join(map(visible, lines))


def _describe_stage(current: RunningStage) -> str:
    if current.max_replicates is None:
        return (
            f"Stage {current.stage}: {current.n_done} of {current.n_together} fits"
            f"{_left(current.seconds_left)}"
        )
    most = _left(current.seconds_left, "at most")
    if current.replicate > current.max_replicates:
        return (
            f"Stage {current.stage}: the race is over; its winner is scored on fresh "
            f"replicates{most}"
        )
    return (
        f"Stage {current.stage}: {current.n_standing} of {current.n_candidates} "
        f"candidates stand, replicate {current.replicate} of at most "
        f"{current.max_replicates}; {current.n_done} fits are done{most}"
    )


def _race(trials: list[StudyTrial]) -> RunningStage:
    """Describe a stage that races, from its trials."""
    last = trials[-1]
    fits = {(trial.candidate, trial.split) for trial in trials}
    standing, most = last.n_standing, last.max_replicates
    newest = last.split
    n_newest = sum(split == newest for _, split in fits)
    n_left = max(0, standing - n_newest) + max(0, most - newest - 1) * standing
    return RunningStage(
        last.stage,
        len(fits),
        last.n_together,
        _seconds_left(trials, n_left),
        n_candidates=len({candidate for candidate, _ in fits}),
        n_standing=standing,
        replicate=newest + 1,
        max_replicates=most,
    )


def _current(trials: list[StudyTrial], done: list[str]) -> RunningStage | None:
    """Describe the stage of the last trials, unless it is done."""
    if not trials or trials[-1].stage in done:
        return None
    last = trials[-1]
    if last.max_replicates is not None:
        return _race([trial for trial in trials if trial.stage == last.stage])
    group = [trial for trial in trials if trial.first == last.first]
    n_done = len({(trial.candidate, trial.split) for trial in group})
    left = _seconds_left(group, max(0, last.n_together - n_done))
    return RunningStage(last.stage, n_done, last.n_together, left)


def _seconds_left(group, n_left):
    """Return the seconds that the other fits of a stage take at the same pace."""
    times = [trial.time for trial in group]
    if len(times) < 2:
        return None
    # Nothing says when the first trial began: so it does not count for the pace.
    pace = (max(times) - min(times)).total_seconds() / (len(times) - 1)
    return round(n_left * pace)


def _left(seconds, about="about"):
    if not seconds:
        return ""
    minutes, seconds = divmod(seconds, 60)
    return f", {about} {f'{minutes} min ' if minutes else ''}{seconds} s left in it"


def _best(trials: list[StudyTrial]) -> BestTrial | None:
    """Return the trial with the highest score; of a candidate, its best split."""
    found = [(trial.scores.get(JUDGING), trial) for trial in trials]
    scored = [(score, trial) for score, trial in found if score is not None]
    if not scored:
        return None
    score, best = max(scored, key=itemgetter(0))
    return BestTrial(best.stage, best.candidate, best.params, score)
