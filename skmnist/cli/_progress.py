"""Progress on a terminal: bars, or plain lines where the output is no terminal.

A search has `SearchBars` or `SearchLines`, a single fit `FitBar` or `FitLines`. All are
callbacks of scikit-learn.
"""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .._compat import close_listener, open_listener, send
from .._format import duration, visible
from ._terminal import echo

# Lines are read later, in a log: one in ten seconds says enough.
INTERVAL = 10.0  # seconds


def search_progress(screen: Console) -> list["SearchCallback"]:
    """Return the callbacks that show how far a staged search is.

    Parameters
    ----------
    screen : rich.console.Console
        Where the tables are printed. If it is a terminal, the bars are drawn there,
        below the tables: two consoles on one terminal would write over each other.
        Else bars or lines go to standard error. A quiet one shows nothing.

    Returns
    -------
    callbacks : list of SearchCallback
        For `set_callbacks`.
    """
    if screen.quiet:
        return []
    bars = screen if screen.is_terminal else Console(stderr=True)
    return [SearchBars(bars) if bars.is_terminal else SearchLines(_echo_error)]


def fit_progress(quiet: bool) -> list["FitCallback"]:
    """Return the callbacks that show on standard error how far one fit is.

    Parameters
    ----------
    quiet : bool
        Whether to show nothing.

    Returns
    -------
    callbacks : list of FitCallback
        For `set_callbacks`.
    """
    errors = Console(stderr=True)
    if quiet:
        return []
    return [FitBar(errors) if errors.is_terminal else FitLines(_echo_error)]


def _echo_error(line: str) -> None:
    # Progress is no result: that it cannot be printed ends nothing.
    with contextlib.suppress(OSError):
        echo(line, err=True)


class SearchCallback:
    """A callback that hears of the stages, candidates and epochs of a staged search.

    A subclass shows them; this class does not. The epochs are trained in the process
    that fits. Events come from there over a local socket, as for scikit-learn's own
    callbacks. An event that cannot be sent is dropped: it must not end a search.
    """

    # Also hear of the estimator that is searched: its tasks are the epochs.
    max_propagation_depth = 1

    def __init__(self) -> None:
        self._handle = None
        self._one_event = threading.Lock()  # each worker's events have a thread

    def __getstate__(self) -> dict[str, Any]:
        # A copy in a worker only sends.
        return {"_handle": self._handle}

    def setup(self, estimator: Any, context: Any) -> None:
        """Begin to show and to listen, before the search."""
        self._best: float | None = None  # validation accuracy
        self._open()
        self._handle = open_listener(self._receive)

    def teardown(self, estimator: Any, context: Any) -> None:
        """Stop listening and showing, also after an error."""
        close_listener(self._handle)
        self._close()

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Send that a task with parts begins."""
        level = _level(context)
        if level is not None and context.max_subtasks != 0:
            self._send("begin", level, _title(level, context), context.max_subtasks)

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Send that a part of a task has ended."""
        if context.parent is None:
            return
        level = _level(context.parent)
        score = getattr(estimator, "best_validation_score_", None)
        if level == "candidates" and score is not None:
            self._send("score", score)
        if level is not None:
            self._send("tick", level)

    def _send(self, *event: Any) -> None:
        try:
            send(self._handle, event)
        except (OSError, EOFError):
            # A worker on another machine does not reach this machine's socket.
            return

    def _receive(self, event: tuple[Any, ...]) -> None:
        kind, *facts = event
        with self._one_event:
            if kind == "begin":
                self._begin(*facts)
            elif kind == "tick":
                self._tick(*facts)
            else:
                self._score(*facts)

    def _open(self) -> None:
        """Begin to show the search."""

    def _close(self) -> None:
        """Show the search no more."""

    def _begin(self, level: str, title: str, total: int | None) -> None:
        """Show that something with `total` parts begins."""

    def _tick(self, level: str) -> None:
        """Show that one more part has ended."""

    def _score(self, score: float) -> None:
        """Keep the best validation accuracy."""
        self._best = score if self._best is None else max(self._best, score)


def _level(context: Any) -> str | None:
    """Return which parts a task has: stages, candidates or epochs; else None."""
    if context.task_name == "search":
        return "stages"
    if context.parent is None:
        return None
    if not context.sequential_subtasks:
        return "candidates"
    return "epochs" if context.source_estimator_name is not None else None


def _title(level: str, context: Any) -> str:
    """Name a task; a stage that grows has several tables of candidates."""
    if level != "candidates":
        return level
    parts = [context.parent.task_name, context.task_name]
    return " ".join(part for part in parts if part not in ("search", "grid"))


class SearchBars(SearchCallback):
    """A callback that draws three bars for a staged search.

    Parameters
    ----------
    console : rich.console.Console
        The terminal to draw on.
    """

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def _open(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description:<22}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._tasks = {
            level: self._bars.add_task(level, total=None, visible=False)
            for level in ("stages", "candidates", "epochs")
        }
        self._bars.start()

    def _close(self) -> None:
        self._bars.stop()

    def _begin(self, level: str, title: str, total: int | None) -> None:
        title, task = visible(title), self._tasks[level]
        self._bars.reset(task, total=total, description=title, visible=True)

    def _tick(self, level: str) -> None:
        self._bars.advance(self._tasks[level])

    def _score(self, score: float) -> None:
        super()._score(score)
        best = f"stages, best {100 * self._best:.2f} %"
        self._bars.update(self._tasks["stages"], description=best)


class SearchLines(SearchCallback):
    """A callback that writes a line about a staged search now and then.

    Parameters
    ----------
    write : callable
        ``write(line)``. It is called from other threads, but never twice at once.
    interval : float, default=10.0
        Fewest seconds between two lines.
    clock : callable, default=time.monotonic
        ``clock()`` returns the time in seconds.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._write = write
        self._interval = interval
        self._clock = clock

    def _open(self) -> None:
        self._stage = ""
        self._stage_began = self._last_line = self._clock()
        self._done: dict[str, int] = {}
        self._totals: dict[str, int | None] = {}

    def _begin(self, level: str, title: str, total: int | None) -> None:
        self._done[level], self._totals[level] = 0, total
        if level == "candidates":
            self._stage, self._stage_began = title, self._clock()

    def _tick(self, level: str) -> None:
        self._done[level] += 1
        if level == "candidates" and self._clock() - self._last_line >= self._interval:
            self._last_line = self._clock()
            self._write(self._line())

    def _line(self) -> str:
        done, total = self._done["candidates"], self._totals["candidates"]
        left = (self._clock() - self._stage_began) / done * (total - done)
        number = self._done.get("stages", 0) + 1
        line = (
            f"{self._stage} ({number} of {self._totals.get('stages', '?')}): "
            f"{done} of {total} fits, {duration(left)} left in it"
        )
        if self._best is None:
            return line
        return f"{line}, best validation accuracy so far {100 * self._best:.2f} %"


class FitCallback:
    """A callback that counts the epochs of one fit. A subclass shows them."""

    def setup(self, estimator: Any, context: Any) -> None:
        """Begin to show the fit; its number of epochs is known."""
        self._total: int = context.max_subtasks
        self._open()

    def teardown(self, estimator: Any, context: Any) -> None:
        """Show the fit no more, also after an error."""
        self._close()

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Show nothing: the epoch has only begun."""

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Show an epoch that has ended."""
        if context.parent is not None:
            self._show(context.task_id + 1)

    def _open(self) -> None:
        """Begin to show the epochs."""

    def _close(self) -> None:
        """Show the epochs no more."""

    def _show(self, done: int) -> None:
        """Show how many epochs are done."""


class FitBar(FitCallback):
    """A callback that draws a bar for the epochs of one fit.

    Parameters
    ----------
    console : rich.console.Console
        The terminal to draw on.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def _open(self) -> None:
        self._bar = Progress(console=self._console, transient=True)
        self._task = self._bar.add_task("epochs", total=self._total)
        self._bar.start()

    def _close(self) -> None:
        self._bar.stop()

    def _show(self, done: int) -> None:
        self._bar.update(self._task, completed=done)


class FitLines(FitCallback):
    """A callback that writes a line about the epochs of one fit now and then.

    Parameters
    ----------
    write : callable
        ``write(line)``.
    interval : float, default=10.0
        Fewest seconds between two lines.
    clock : callable, default=time.monotonic
        ``clock()`` returns the time in seconds.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._interval = interval
        self._clock = clock

    def _open(self) -> None:
        self._began = self._last_line = self._clock()

    def _show(self, done: int) -> None:
        now = self._clock()
        if now - self._last_line >= self._interval and done < self._total:
            self._last_line = now
            left = (now - self._began) / done * (self._total - done)
            self._write(f"epoch {done} of {self._total}, {duration(left)} left")
