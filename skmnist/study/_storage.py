"""A study's folder: claimed, held, read and written."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import csv
import fcntl
import itertools
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from platform import node

import numpy as np

LOCK = ".lock"
LOOKS = 5
# What the results of a study do not depend on: where its fits run and how many at
# once, the time it is given, where the data were found, and why others stand in.
MAY_DIFFER = (
    "config.n_jobs",
    "config.backend",
    "config.scheduler",
    "config.time_budget",
    "config.data",
    "data.note",
)

# The parameters that a row of results.csv names, those that it names besides where a
# study searches how the network learns, and the columns measured for it.
PARAMETERS = (
    "depth",
    "widths",
    "activations",
    "batch_size",
    "validation_split",
    "initializers",
    "output_initializer",
    "optimizer",
    "epochs",
)
LEARNING_PARAMETERS = (
    "learning_rate",
    "learning_rate_schedule",
    "warmup_epochs",
    "batch_normalization",
    "dropout",
    "input_dropout",
    "weight_decay",
    "label_smoothing",
    "augmentation",
)
MEASURED = {
    "validation_accuracy": "mean_test_validation_accuracy",
    "accuracy": "mean_test_accuracy",
    "n_iter": "mean_test_n_iter",
    "best_iter": "mean_test_best_iter",
    "seconds": "mean_test_fit_seconds",
    "n_parameters": "mean_test_n_parameters",
}
# Columns of results.csv that hold numbers, besides those measured.
DERIVED = ("gap", "standard_error", "p_value")


_FRACTIONS = (
    "validation_split",
    "learning_rate",
    "warmup_epochs",
    "dropout",
    "input_dropout",
    "weight_decay",
    "label_smoothing",
)


class StudyFolderError(ValueError):
    """A folder cannot take a study, or holds none."""


@dataclass(frozen=True)
class Study:
    """A study as its folder keeps it.

    Parameters
    ----------
    header : dict
        The content of ``study.json``: configuration, data, versions.
    rows : list of dict
        One for each candidate, as in ``results.csv``.
    stages : list of dict
        For each stage its name, rule and reason.
    summary : dict or None
        The content of ``summary.json``; None while the study is not finished.
    """

    header: dict
    rows: list
    stages: list
    summary: dict | None


def claim_folder(out):
    """Refuse a folder that holds something else than a study; create nothing.

    Parameters
    ----------
    out : path-like
        The folder of the study.

    Returns
    -------
    out : pathlib.Path
        The same folder.

    Raises
    ------
    StudyFolderError
        If it holds something that is no study, or is no folder.
    """
    out = Path(out)
    taken = out.exists() and (not out.is_dir() or any(out.iterdir()))
    if taken and not (out / "study.json").exists():
        raise StudyFolderError(f"{out} is not empty; name a new folder with --out")
    return out


def fresh_folder(out):
    """Name a folder that does not exist, for a study that starts over.

    Parameters
    ----------
    out : path-like
        The folder that was asked for.

    Returns
    -------
    out : pathlib.Path
        The same, or with the first free number behind it.

    Examples
    --------
    >>> from skmnist.study._storage import fresh_folder
    >>> fresh_folder("no-such-study").name
    'no-such-study'
    """
    out = Path(out)
    if not out.exists():
        return out
    numbered = (out.with_name(f"{out.name}-{i}") for i in itertools.count(2))
    return next(path for path in numbered if not path.exists())


@contextlib.contextmanager
def hold_folder(out):
    """Keep other processes from running a study in the same folder.

    Parameters
    ----------
    out : pathlib.Path
        The folder; made if there is none.

    Raises
    ------
    StudyFolderError
        If another process runs a study there.
    """
    out.mkdir(parents=True, exist_ok=True)
    with open(out / LOCK, "a") as lock:
        # Let go by the system, however the process ends.
        if not _lock(lock):
            raise StudyFolderError(
                f"{out}: another process runs this study ({holder(out)}); wait for it, "
                "or name a new folder with --out"
            )
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {node()}\n")
        lock.flush()
        yield


def _lock(lock):
    """Lock a file; whoever only looks at it lets go of it at once."""
    for _ in range(LOOKS):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.05)
    return False


def holder(out):
    """Tell which process runs a study in a folder now.

    Parameters
    ----------
    out : path-like
        The folder.

    Returns
    -------
    holder : str or None
        Its process and machine; None if there is none.
    """
    try:
        with open(Path(out) / LOCK) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read().strip() or "a process"
    except FileNotFoundError:
        pass
    return None


def check_same(out, header):
    """Make sure that a folder's study is the one that is to go on.

    Parameters
    ----------
    out : pathlib.Path
        A folder with a study.
    header : dict
        What the study would write now.

    Raises
    ------
    StudyFolderError
        If they differ in anything that a result depends on; names what.
    """
    kept = read_study(out).header
    there, here = flat(kept), flat(json.loads(json.dumps(header)))
    differing = [
        f"{name} is {there.get(name)!r} there and {here.get(name)!r} now"
        for name in dict.fromkeys([*there, *here])
        if there.get(name) != here.get(name) and name not in MAY_DIFFER
    ]
    if differing:
        raise StudyFolderError(
            f"{out} holds another study: {'; '.join(differing)}. Name a new folder "
            "with --out, or start over in one with --fresh"
        )


def flat(nested, prefix=""):
    """Bring a dict of dicts to one level, with the keys joined by dots."""
    level = {}
    for key, value in nested.items():
        inner = isinstance(value, dict)
        level |= flat(value, f"{prefix}{key}.") if inner else {prefix + key: value}
    return level


def read_study(folder):
    """Read a study's folder.

    Parameters
    ----------
    folder : path-like
        The folder.

    Returns
    -------
    study : Study
        What it holds so far.

    Raises
    ------
    StudyFolderError
        If there is no study in it.
    """
    folder = Path(folder)
    if not (folder / "study.json").is_file():
        raise StudyFolderError(f"{folder} holds no study (no study.json)")
    try:
        header = json.loads((folder / "study.json").read_text())
        stages, summary = (
            json.loads(path.read_text()) if path.is_file() else None
            for path in (folder / "stages.json", folder / "summary.json")
        )
        path = folder / "results.csv"
        rows = read_rows(path) if path.is_file() else []
    except (ValueError, KeyError) as error:
        raise StudyFolderError(f"{folder} holds a damaged study: {error}") from error
    return Study(header, rows, stages or [], summary)


def write_rows(path, rows):
    """Write rows as CSV; values of several layers are separated by spaces."""
    lines = [{name: _cell(value) for name, value in row.items()} for row in rows]
    temporary = Path(path).with_suffix(".tmp")
    with open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(lines)
    os.replace(temporary, path)


def read_rows(path):
    """Read what `write_rows` wrote."""
    with open(path, newline="") as file:
        return [
            {name: _value(name, text) for name, text in line.items()}
            for line in csv.DictReader(file)
        ]


def _cell(value):
    if isinstance(value, list):
        return " ".join(map(str, value))
    return repr(value) if isinstance(value, float) else value


def _value(name, text):
    """Read one cell of results.csv back."""
    if not text:
        return None
    if name in ("dataset", "augmentation", "learning_rate_schedule"):
        return text
    if name in ("winner", "incumbent", "batch_normalization"):
        return text == "True"
    if name in MEASURED or name in DERIVED or name in _FRACTIONS:
        return float(text)
    parts = [int(part) if part.isdigit() else part for part in text.split()]
    return parts[0] if len(parts) == 1 else parts


def write_json(path, content):
    """Write JSON; the file appears whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(temporary, path)


def plain(value):
    """Bring a parameter to JSON.

    Parameters
    ----------
    value : object
        The parameter.

    Returns
    -------
    value : None, bool, int, float, str or list
        Sequences and arrays become lists, NumPy's scalars Python's, anything else
        the text that describes it.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list | np.ndarray):
        return [plain(v) for v in value]
    return value if isinstance(value, str | int | float | None) else str(value)
