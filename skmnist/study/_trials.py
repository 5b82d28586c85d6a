"""The trials of a study: a file with one line for each finished fit."""

# SPDX-License-Identifier: BSD-3-Clause

import errno
import json
import math
import os
import warnings
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from .._format import visible
from ._checks import MisfitError, read_record
from ._records import StudyTrial
from ._storage import naming, plain, read_text

if TYPE_CHECKING:
    from ..model_selection import Trial

FILE = "trials.jsonl"


class TrialFile:
    """The file of trials, open for more lines; a context manager.

    Each line is written with one call, and is on the disk when `add` returns. A last
    line that was cut off is removed when the file is opened: the study writes it
    again when it goes on. A trial that is in the file is not written twice.

    Parameters
    ----------
    path : path-like
        The file; made if there is none.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._known = {_identity(trial) for trial in read_trials(path)}
        # Windows would else write two bytes for the end of a line.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._file = os.open(self.path, flags, 0o666)
        try:
            self._heal()
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception) -> None:
        os.close(self._file)

    def _heal(self):
        """Remove a last line that is not complete."""
        content = self.path.read_bytes() if self.path.is_file() else b""
        complete = content.rfind(b"\n") + 1
        if complete < len(content):
            os.ftruncate(self._file, complete)
            os.fsync(self._file)

    def add(self, trial: "Trial") -> None:
        """Write a trial, unless it is in the file.

        Parameters
        ----------
        trial : skmnist.model_selection.Trial
            The trial.

        Raises
        ------
        OSError
            If it cannot be written; the lines before it stay as they are.
        """
        record = trial_record(trial, datetime.now(UTC))
        identity = _identity(record)
        if identity in self._known:
            return
        line = (json.dumps(record.as_dict(), allow_nan=False) + "\n").encode()
        try:
            if os.write(self._file, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        self._known.add(identity)


def trial_record(trial: "Trial", finished: datetime) -> StudyTrial:
    """Return what the file keeps of a trial.

    Parameters
    ----------
    trial : skmnist.model_selection.Trial
        The trial.
    finished : datetime
        When it was finished.

    Returns
    -------
    record : StudyTrial
        With the last line of an error. A score that is no number is None.
    """
    found = {f.name: getattr(trial, f.name, None) for f in fields(StudyTrial)}
    if trial.error is not None:
        found["error"] = trial.error.strip().splitlines()[-1]
    return StudyTrial(
        **{
            **found,
            "finished": finished.isoformat(timespec="seconds"),
            "params": {name: plain(value) for name, value in trial.params.items()},
            "scores": {name: _number(value) for name, value in trial.scores.items()},
        }
    )


def read_trials(path: str | os.PathLike[str]) -> list[StudyTrial]:
    """Read the complete lines of a file of trials.

    Parameters
    ----------
    path : path-like
        The file, perhaps of a study that is running; it may be missing.

    Returns
    -------
    trials : list of StudyTrial
        In the order in which they finished. Damaged lines are left out, with a
        warning.

    Raises
    ------
    StudyFolderError
        If the file cannot be read, or is no ordinary file.
    """
    path = Path(path)
    with naming(path):
        content = read_text(path, errors="replace") or ""
    trials, n_damaged = [], 0
    for line in content.split("\n")[:-1]:
        try:
            trials.append(read_record(StudyTrial, json.loads(line)))
        except (MisfitError, ValueError, RecursionError):
            n_damaged += 1
    if n_damaged:
        message = f"{path}: {n_damaged} damaged lines are left out"
        warnings.warn(visible(message), stacklevel=2)
    return trials


def _identity(trial):
    """Return what two lines of the same trial have in common."""
    params = json.dumps(trial.params, sort_keys=True)
    place = trial.stage, trial.candidate, trial.split
    return (*place, params, trial.error is None)


def _number(value):
    value = float(value)
    return value if math.isfinite(value) else None
