"""How far a study is, read from its folder by whoever wants to know."""

# SPDX-License-Identifier: BSD-3-Clause

from datetime import datetime
from pathlib import Path

from ._storage import holder, read_study
from ._trials import FILE, read_trials

# What judges a candidate, among the scores of a trial.
JUDGING = "accuracy"


def study_status(folder):
    """Read how far a study is; the study may be running.

    Parameters
    ----------
    folder : path-like
        Its folder.

    Returns
    -------
    status : dict
        Plain data: ``state`` ("running", "stopped" or "finished") and who runs it,
        the numbers of ``stages``, the fits of the stage that is running, its
        ``seconds_left`` (None where nothing can be said), trials and failures, the
        ``best`` trial so far, and of a finished study the test accuracy.

    Raises
    ------
    skmnist.study.StudyFolderError
        If there is no study in the folder.
    """
    study, running = read_study(folder), holder(folder)
    trials = read_trials(Path(folder) / FILE)
    finished = study.summary is not None
    return {
        "folder": str(folder),
        "state": "running" if running else "finished" if finished else "stopped",
        "holder": running,
        "data": study.header["data"]["name"],
        "stages": study.header["stages"],
        "n_stages_done": len(study.stages),
        "current": None if finished else _current(trials, study.stages),
        "n_trials": len(trials),
        "n_failed": sum(trial["error"] is not None for trial in trials),
        "best": _best(trials),
        "test_accuracy": study.summary["final"]["test_accuracy"] if finished else None,
        "not_tried": study.summary["not_tried"] if finished else [],
    }


def describe_status(status):
    """Put a status in words.

    Parameters
    ----------
    status : dict
        From `study_status`.

    Returns
    -------
    text : str
        A few lines.
    """
    state, n_stages = status["state"], len(status["stages"])
    by = f" by {status['holder']}" if status["holder"] else ""
    lines = [
        f"{status['folder']}: {state}{by}",
        f"Data: {status['data']}; {status['n_stages_done']} of {n_stages} stages done, "
        f"{status['n_trials']} trials"
        + (f", {status['n_failed']} of them failed" if status["n_failed"] else ""),
    ]
    if current := status["current"]:
        lines.append(
            f"Stage {current['stage']}: {current['n_done']} of {current['n_together']} "
            f"fits{_left(current['seconds_left'])}"
        )
    if best := status["best"]:
        given = ", ".join(f"{name}={value}" for name, value in best["params"].items())
        lines.append(f"Best so far: {best['score']:.2%} with {given}")
    if status["test_accuracy"] is not None:
        lines.append(f"Test accuracy of the final model: {status['test_accuracy']:.2%}")
    if status["not_tried"]:
        lines.append(f"Not tried for want of time: {', '.join(status['not_tried'])}")
    return "\n".join(lines)


def _current(trials, stages):
    """Describe the stage whose trials came last, unless it is done."""
    if not trials or trials[-1]["stage"] in {stage["name"] for stage in stages}:
        return None
    last = trials[-1]
    group = [t for t in trials if t["first"] == last["first"]]
    places = {(t["candidate"], t["split"]) for t in group}
    n_left = last["n_together"] - len(places)
    return {
        "stage": last["stage"],
        "n_done": len(places),
        "n_together": last["n_together"],
        "seconds_left": _seconds_left(group, n_left),
    }


def _seconds_left(group, n_left):
    """Say how long a stage takes if it goes on at the pace it had."""
    times = [datetime.fromisoformat(trial["finished"]) for trial in group]
    if len(times) < 2:
        return None
    # The first trial's own time is not known from the times at which trials end.
    pace = (max(times) - min(times)).total_seconds() / (len(times) - 1)
    return round(n_left * pace)


def _left(seconds):
    if not seconds:
        return ""
    minutes, seconds = divmod(seconds, 60)
    return f", about {f'{minutes} min ' if minutes else ''}{seconds} s left in it"


def _best(trials):
    """Find the trial with the highest score; of a candidate, its best split."""
    scored = [t for t in trials if t["scores"].get(JUDGING) is not None]
    if not scored:
        return None
    best = max(scored, key=lambda trial: trial["scores"][JUDGING])
    found = {name: best[name] for name in ("stage", "candidate", "params")}
    return {**found, "score": best["scores"][JUDGING]}
