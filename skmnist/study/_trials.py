"""The trials of a study: a file with one line for each, written as they finish."""

# SPDX-License-Identifier: BSD-3-Clause

import errno
import json
import math
import os
import warnings
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from ._storage import plain

FILE = "trials.jsonl"


class TrialFile:
    """The file, open for more lines; a context manager.

    A line is written with one call and brought to the disk before the next fit is
    waited for. What a cut-off left of a last line is removed when the file is opened:
    the trial it told of is told again when the study goes on. Trials that are in the
    file already are not written again.

    Parameters
    ----------
    path : path-like
        The file; made if there is none.
    """

    def __init__(self, path):
        self.path = Path(path)
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            self._heal()
            self._known = {_identity(row) for row in read_trials(path)}
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        os.close(self._file)

    def _heal(self):
        """Cut off what was written of a line that never was complete."""
        content = self.path.read_bytes() if self.path.is_file() else b""
        complete = content.rfind(b"\n") + 1
        if complete < len(content):
            os.ftruncate(self._file, complete)
            os.fsync(self._file)

    def add(self, trial):
        """Write a trial, unless it is there.

        Parameters
        ----------
        trial : skmnist.model_selection._evaluation.Trial
            The trial.

        Raises
        ------
        OSError
            If it cannot be written; the lines before it stay as they are.
        """
        row = trial_row(trial, datetime.now(UTC))
        identity = _identity(row)
        if identity in self._known:
            return
        line = (json.dumps(row, allow_nan=False) + "\n").encode()
        try:
            if os.write(self._file, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        self._known.add(identity)


def trial_row(trial, finished):
    """Bring a trial to plain data, as a line of the file has it.

    Parameters
    ----------
    trial : skmnist.model_selection._evaluation.Trial
        The trial.
    finished : datetime
        When it was finished.

    Returns
    -------
    row : dict
        The fields of the trial; ``error`` is its last line only, and a score that is
        no number is None.
    """
    row = asdict(replace(trial, inspected=None))
    del row["inspected"]
    row["params"] = {name: plain(value) for name, value in trial.params.items()}
    row["scores"] = {name: _number(value) for name, value in trial.scores.items()}
    if trial.error is not None:
        row["error"] = trial.error.strip().splitlines()[-1]
    return {"finished": finished.isoformat(timespec="seconds"), **row}


def read_trials(path):
    """Read the complete lines of a file of trials.

    Parameters
    ----------
    path : path-like
        The file, perhaps of a study that is running; it may be missing.

    Returns
    -------
    rows : list of dict
        The trials in the order in which they finished. Lines that are damaged are
        left out, with a warning.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    rows, damaged = [], 0
    for line in lines:
        try:
            row = json.loads(line)
            _identity(row)
            rows.append(row)
        except (ValueError, KeyError, TypeError):
            damaged += 1
    if damaged:
        warnings.warn(f"{path}: {damaged} damaged lines are left out", stacklevel=2)
    return rows


def _identity(row):
    """Return what makes a line one that is there already."""
    params = json.dumps(row["params"], sort_keys=True)
    place = row["stage"], row["candidate"], row["split"]
    return (*place, params, row["error"] is None)


def _number(value):
    value = float(value)
    return value if math.isfinite(value) else None
