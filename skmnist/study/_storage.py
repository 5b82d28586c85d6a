"""A study's folder: claimed, held, read and written."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import errno
import itertools
import json
import os
import stat
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from platform import node
from typing import TYPE_CHECKING, Any, Self, TextIO

import numpy as np

from .._format import OneLineError
from .._io import atomic_write, sweep_temporary_files, user_path
from ._checks import MisfitError, Record, Said, read_record
from ._columns import Candidate, frame_of, is_failed, read_csv, write_csv
from ._notebook import study_html
from ._records import StudyHeader, StudyStage, StudySummary

if TYPE_CHECKING:
    import pandas as pd

HEADER, ROWS = "study.json", "results.csv"
STAGES, SUMMARY = "stages.json", "summary.json"
LOCK = ".lock"
LOOKS = 5
# A link is not followed, and nothing is waited for. Windows has no such flags.
_CAREFUL = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
# The search does not depend on these: where its fits run, how many run at once, the
# time limit, whether baselines follow, where the data are, and what is said of them.
MAY_DIFFER = (
    "config.n_jobs",
    "config.backend",
    "config.scheduler",
    "config.time_budget",
    "config.baselines",
    "config.data",
    "data.note",
    # The fingerprint has the labels; older studies do not name the classes.
    "data.classes",
)


class StudyFolderError(OneLineError):
    """A folder cannot take a study, holds none, or holds a damaged one.

    Parameters
    ----------
    message : str
        What is wrong. It is made one line without control characters.
    """


@dataclass(frozen=True, repr=False)
class Study:
    """A study as its folder keeps it.

    Parameters
    ----------
    header : StudyHeader
        The content of ``study.json``: configuration, data, versions.
    rows : list of Candidate
        The candidates, as in ``results.csv``.
    stages : list of StudyStage
        The stages that are done, as in ``stages.json``.
    summary : StudySummary or None
        The content of ``summary.json``; None while the study is not finished.
    folder : pathlib.Path or None, default=None
        Where it was read.

    See Also
    --------
    skmnist.StageScoresDisplay : Draws a stage of a study.
    skmnist.GapDisplay : Draws all candidates of a study.
    skmnist.FitCurveDisplay : Draws a learning curve of a study.
    skmnist.MisreadDigitsDisplay : Shows what the final model of a study misreads.

    Notes
    -----
    A notebook shows its stages, their winners and the reasons.

    Examples
    --------
    >>> from skmnist.study import Study
    >>> study = Study.from_folder("my-study")  # doctest: +SKIP
    >>> study.best_params["widths"]  # doctest: +SKIP
    [400, 100]
    >>> study.frame().groupby("stage").accuracy.max()  # doctest: +SKIP
    """

    header: StudyHeader
    rows: list[Candidate]
    stages: list[StudyStage]
    summary: StudySummary | None
    folder: Path | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        # All its records would fill pages.
        config, n = self.header.config, len(self.rows)
        where = "" if self.folder is None else f", folder={str(self.folder)!r}"
        return (
            f"Study({self.header.data.name!r}, preset={config.preset!r}, "
            f"stages={len(self.stages)}, candidates={n}{where})"
        )

    @classmethod
    def from_folder(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a study's folder, as `read_study` does.

        Parameters
        ----------
        folder : path-like
            The folder of a study, finished or not.

        Returns
        -------
        study : Study
            Its content so far.

        Raises
        ------
        StudyFolderError
            If there is no study in it, or if a file is damaged.
        """
        return _read(cls, user_path(folder))

    @property
    def best_params(self) -> dict[str, Any]:
        """The searched parameters that the last finished stage ended with."""
        if self.summary is not None:
            return dict(self.summary.best_params)
        return dict(self.stages[-1].best_params) if self.stages else {}

    def stage(self, name: str) -> StudyStage:
        """Return a stage by its name.

        Parameters
        ----------
        name : str
            Its name, or its heading in a report.

        Returns
        -------
        stage : StudyStage
            One of `stages`.

        Raises
        ------
        ValueError
            If no finished stage has this name.
        """
        for one in self.stages:
            if name in (one.name, one.title):
                return one
        names = ", ".join(repr(one.name) for one in self.stages) or "none"
        raise ValueError(f"there is no stage {name!r}; the stages are {names}")

    def rows_of(self, stage: StudyStage) -> list[Candidate]:
        """Return the candidates of one stage.

        Parameters
        ----------
        stage : StudyStage
            One of `stages`.

        Returns
        -------
        rows : list of Candidate
            In the order in which the stage listed them.
        """
        return [row for row in self.rows if row.stage == stage.name]

    def winner_of(self, stage: StudyStage) -> Candidate:
        """Return the candidate that a stage chose.

        Parameters
        ----------
        stage : StudyStage
            One of `stages`.

        Returns
        -------
        row : Candidate
            The winner.
        """
        return next(row for row in self.rows_of(stage) if row.winner)

    def columns(self) -> dict[str, list]:
        """Return the candidates as columns, without pandas.

        Returns
        -------
        columns : dict of str to list
            The columns of ``results.csv`` with the parameters, and a value for each
            candidate.
        """
        return frame_of(self.rows)

    def frame(self) -> "pd.DataFrame":
        """Return the candidates as a table.

        Returns
        -------
        frame : pandas.DataFrame
            A row for each candidate, with the columns of ``results.csv``.

        Raises
        ------
        ImportError
            If pandas is not installed; `columns` does without.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise ImportError(
                "Study.frame() returns a table of pandas, which is not installed: pip "
                "install pandas. Study.columns() returns the same as a dict of lists."
            ) from error
        return pd.DataFrame(self.columns())

    def _repr_html_(self) -> str:
        return study_html(self)

    def as_dict(self) -> dict[str, Any]:
        """Return the study as plain data: dicts, lists, text and numbers.

        Returns
        -------
        plain : dict
            ``header``, ``rows``, ``stages`` and ``summary`` with the names that the
            files have.
        """
        return {
            "header": self.header.as_dict(),
            "rows": [row.as_dict() for row in self.rows],
            "stages": [stage.as_dict() for stage in self.stages],
            "summary": self.summary and self.summary.as_dict(),
        }


def claim_folder(out: str | os.PathLike[str]) -> Path:
    """Raise StudyFolderError if a folder holds something else than a study.

    Nothing is created.

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
    out = user_path(out)
    taken = out.exists() and (not out.is_dir() or any(out.iterdir()))
    if taken and not (out / HEADER).exists() and not _holds_kept_fits_only(out):
        raise StudyFolderError(f"{out} is not empty; name a new folder with --out")
    return out


def _holds_kept_fits_only(out: Path) -> bool:
    """Return whether a folder is what a study leaves when it loses its own.

    A fit that runs when the folder is removed or renamed is kept in a new one.
    """
    from ..neural_network._cache import FOLDER

    return out.is_dir() and {path.name for path in out.iterdir()} == {FOLDER}


def fresh_folder(out: str | os.PathLike[str]) -> Path:
    """Return the name of a new folder, for a study that starts over.

    Parameters
    ----------
    out : path-like
        The folder that was asked for.

    Returns
    -------
    out : pathlib.Path
        `out`, if there is no such folder; else `out` with the first free number.

    Examples
    --------
    >>> from skmnist.study._storage import fresh_folder
    >>> fresh_folder("no-such-study").name
    'no-such-study'
    """
    out = user_path(out)
    if not out.exists():
        return out
    numbered = (out.with_name(f"{out.name}-{i}") for i in itertools.count(2))
    return next(path for path in numbered if not path.exists())


class HeldFolder:
    """A folder that this process has locked.

    Parameters
    ----------
    out : pathlib.Path
        The folder.
    lock : file object
        Its lock, open.
    """

    def __init__(self, out: Path, lock: TextIO) -> None:
        self.out, self._lock = out, lock

    def check(self) -> None:
        """Raise StudyFolderError if the folder or its lock was removed or renamed.

        Another process could then run the same study in a folder of that name.
        """
        own = os.fstat(self._lock.fileno())
        with contextlib.suppress(OSError):
            if os.path.samestat(own, os.lstat(self.out / LOCK)):
                return
        raise StudyFolderError(
            f"{self.out}: the folder or its file {LOCK} was removed or renamed while "
            "the study ran, so the study ends. What it holds stays: the same command "
            "goes on; if the folder has a new name, with that after --out"
        )


@contextlib.contextmanager
def hold_folder(out: Path) -> Iterator[HeldFolder]:
    """Keep other processes from running a study in the same folder.

    Unfinished files that killed processes have left are removed.

    Parameters
    ----------
    out : pathlib.Path
        The folder; made if there is none.

    Yields
    ------
    held : HeldFolder
        The locked folder.

    Raises
    ------
    StudyFolderError
        If another process runs a study there.
    """
    out.mkdir(parents=True, exist_ok=True)
    with _open_lock(out, os.O_RDWR | os.O_CREAT) as lock:
        # The system releases the lock, however the process ends.
        if not _lock_soon(lock):
            raise StudyFolderError(
                f"{out}: another process runs this study ({holder(out)}); wait for it, "
                "or name a new folder with --out"
            )
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {node()}\n")
        lock.flush()
        sweep_temporary_files(out)
        yield HeldFolder(out, lock)


def _open_lock(out, flags):
    """Open the lock of a folder."""
    mode = "w" if flags & os.O_CREAT else "r"

    def opener(path, _):
        return os.open(path, flags | _CAREFUL, 0o666)

    try:
        lock = open(out / LOCK, mode, errors="replace", opener=opener)  # noqa: SIM115
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        odd = error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR)
        reason = "is a link, or no file; remove it" if odd else error.strerror
        raise StudyFolderError(f"{out}: its file {LOCK}: {reason}") from error
    if stat.S_ISREG(os.fstat(lock.fileno()).st_mode):
        return lock
    lock.close()
    raise StudyFolderError(f"{out}: its file {LOCK}: is no file; remove it")


def _lock(lock, how="LOCK_EX"):
    """Lock a file without waiting; return whether that succeeded."""
    # Not at import: it takes longer than the rest of this module.
    import portalocker

    try:
        portalocker.lock(lock, getattr(portalocker, how) | portalocker.LOCK_NB)
    except portalocker.AlreadyLocked:
        return False
    except portalocker.LockException as error:
        raise StudyFolderError(
            f"{lock.name}: cannot be locked ({error}); a study needs a folder on a "
            "file system with locks"
        ) from error
    return True


def _lock_soon(lock):
    """Lock a file; wait a moment for a process that only looks at it."""
    for _ in range(LOOKS):
        if _lock(lock):
            return True
        time.sleep(0.05)
    return False


def holder(out: str | os.PathLike[str]) -> str | None:
    """Return which process runs a study in a folder now.

    Parameters
    ----------
    out : path-like
        The folder.

    Returns
    -------
    holder : str or None
        Its process and machine; None if there is none.

    Raises
    ------
    StudyFolderError
        If the lock is a link.
    """
    with (
        contextlib.suppress(FileNotFoundError),
        _open_lock(user_path(out), os.O_RDONLY) as lock,
    ):
        if not _lock(lock, "LOCK_SH"):
            return _name_in(lock) or "a process"
    return None


def _name_in(lock):
    """Return what a process has written into its lock; Windows lets nobody read it."""
    with contextlib.suppress(OSError):
        return lock.read(200).strip()
    return None


def check_same(out: Path, header: StudyHeader) -> None:
    """Raise StudyFolderError unless a folder holds the same study.

    Parameters
    ----------
    out : pathlib.Path
        A folder with a study.
    header : StudyHeader
        What the study would write now.

    Raises
    ------
    StudyFolderError
        If something differs that results depend on; the message says what.
    """
    there, here = (flat(one.as_dict()) for one in (read_study(out).header, header))
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


def flat(nested: dict, prefix: str = "") -> dict:
    """Return a dict of dicts as one level, with the keys joined by dots."""
    level = {}
    for key, value in nested.items():
        inner = isinstance(value, dict)
        level |= flat(value, f"{prefix}{key}.") if inner else {prefix + key: value}
    return level


def read_study(folder: str | os.PathLike[str]) -> Study:
    """Read a study's folder.

    Parameters
    ----------
    folder : path-like
        The folder.

    Returns
    -------
    study : Study
        Its content so far.

    Raises
    ------
    StudyFolderError
        If there is no study in it, or if a file is damaged. The message names the
        file, the field, what was found and what was expected.

    Examples
    --------
    >>> from skmnist.study import read_study
    >>> study = read_study("my-study")  # doctest: +SKIP
    >>> [row.accuracy for row in study.rows if row.winner]  # doctest: +SKIP
    [0.9808, 0.9814]
    """
    return _read(Study, user_path(folder))


def _read(cls: type[Study], folder: Path) -> Any:
    """Read a study's folder."""
    header = read_header(folder)
    if header is None:
        raise StudyFolderError(f"{folder} holds no study (no {HEADER})")
    stages = _read_stages(folder / STAGES)
    summary = read_file(folder / SUMMARY, StudySummary)
    with naming(folder / ROWS):
        text = read_text(folder / ROWS)
        rows = _of_stages(read_csv(text) if text is not None else [], header, stages)
        _check_winners(rows, stages)
        if summary is not None and len(rows) < summary.n_candidates:
            found, wanted = Said(len(rows)), f"{summary.n_candidates}, see {SUMMARY}"
            raise MisfitError("the number of rows", found, wanted)
    return cls(header, rows, stages, summary, folder)


def read_header(folder: Path) -> StudyHeader | None:
    """Read ``study.json`` of a folder; None if there is none."""
    return read_file(folder / HEADER, StudyHeader)


def _read_stages(path):
    """Read ``stages.json``; no stages if there is no such file."""
    with naming(path):
        plain = _plain_of(path)
        if plain is None:
            return []
        if not isinstance(plain, list):
            raise MisfitError("the content", plain, "a list")
        stages = [
            read_record(StudyStage, one, f"stage {i}") for i, one in enumerate(plain, 1)
        ]
        for name, n_times in Counter(stage.name for stage in stages).items():
            if n_times > 1:
                raise MisfitError(f"stage {name!r}", Said(f"there {n_times} x"), "one")
        return stages


def _of_stages(rows, header, stages):
    """Return the rows of the stages that are done.

    The rows of a stage are written before the stage itself. A process may be killed
    in between: then these rows are left out.
    """
    done = [stage.name for stage in stages]
    for i, row in enumerate(rows, 2):
        if row.stage not in (header.stages or done):
            known = ", ".join(map(repr, header.stages or done))
            raise MisfitError(f"line {i}: stage", row.stage, f"one of {known}")
    return [row for row in rows if row.stage in done]


def _check_winners(rows, stages):
    """Raise MisfitError unless each stage has one winner, and what it tried."""
    for stage in stages:
        among = [row for row in rows if row.stage == stage.name]
        winners = [row for row in among if row.winner]
        if len(winners) != 1:
            found = Said(f"there {len(winners)} times")
            raise MisfitError(f"a winner of stage {stage.name!r}", found, "one")
        if is_failed(winners[0]):
            where = f"the accuracy of the winner of stage {stage.name!r}"
            raise MisfitError(where, winners[0].accuracy, "a number from 0 to 1")
        for name in stage.tried:
            if name not in among[0].params:
                where = f"column {name}, which stage {stage.name!r} tried,"
                raise MisfitError(where, Said("missing"), "one such column")


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn a MisfitError into a StudyFolderError that names the file.

    Parameters
    ----------
    path : pathlib.Path
        The file that the block reads.
    """
    try:
        yield
    except MisfitError as error:
        raise StudyFolderError(
            f"{path.parent} holds a damaged study: {path.name}: {error}"
        ) from error


def read_text(path: Path, errors: str = "strict") -> str | None:
    """Read a file of text; None if there is none.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    errors : {"strict", "replace"}, default="strict"
        What to do with bytes that are no UTF-8.

    Returns
    -------
    text : str or None

    Raises
    ------
    MisfitError
        If it cannot be read, if it is no ordinary file, or if it is no text.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise MisfitError("it", Said("no ordinary file"), "a file")
        return path.read_bytes().decode("utf-8", errors)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        found = Said(f"not to be read ({error.strerror})")
        raise MisfitError("the file", found, "a file of text") from error
    except UnicodeDecodeError as error:
        found = Said(f"no UTF-8 at byte {error.start}")
        raise MisfitError("the content", found, "text") from error


def read_file(path: Path, cls: type[Record]) -> Any:
    """Read a file that holds one record.

    Parameters
    ----------
    path : pathlib.Path
        A JSON file.
    cls : type
        The record.

    Returns
    -------
    record : Record or None
        None if there is no such file.

    Raises
    ------
    StudyFolderError
        If the file does not hold such a record.
    """
    with naming(path):
        plain = _plain_of(path)
        return None if plain is None else read_record(cls, plain)


def _plain_of(path):
    """Read a JSON file; None if there is none."""
    text = read_text(path)
    if text is None:
        return None
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MisfitError("the content", Said(f"damaged ({error})"), "JSON") from None
    if plain is None:
        raise MisfitError("the content", None, "a dict or a list")
    return plain


def write_rows(path: Path, rows: Sequence[Candidate]) -> None:
    """Write candidates as CSV; values of several layers are separated by spaces."""
    with atomic_write(path, "wb") as file:
        file.write(write_csv(rows).encode())


def write_json(path: Path, content: Record | Sequence[Record]) -> None:
    """Write a record, or several, as JSON."""
    single = isinstance(content, Record)
    plain = content.as_dict() if single else [one.as_dict() for one in content]
    with atomic_write(path) as file:
        file.write(json.dumps(plain, indent=2) + "\n")


def plain(value: Any) -> Any:
    """Return a parameter as plain data.

    Parameters
    ----------
    value : object
        The parameter.

    Returns
    -------
    value : None, bool, int, float, str or list
        Sequences and arrays become lists, and NumPy's scalars become Python's.
        Anything else becomes text, by ``str``.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list | np.ndarray):
        return [plain(v) for v in value]
    return value if isinstance(value, str | int | float | None) else str(value)
