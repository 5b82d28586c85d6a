"""Progress of a search: bars on a terminal, lines in a notebook, a log or a pipe."""

# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._compat import close_listener, open_listener, send
from .._format import as_score, candidate_name, duration, visible

if TYPE_CHECKING:
    from rich.console import Console

    from ._stage import StageResult

# Lines are read later, in a log: one in ten seconds says enough.
INTERVAL = 10.0  # seconds


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
        """Begin to show and to listen, before the search.

        Parameters
        ----------
        estimator : estimator
            The search.
        context : sklearn.callback.CallbackContext
            The context of its fit.
        """
        self._best: float | None = None  # of the scores that judge
        self._open()
        self._handle = open_listener(self._receive)

    def teardown(self, estimator: Any, context: Any) -> None:
        """Stop listening and showing, also after an error.

        Parameters
        ----------
        estimator : estimator
            The search.
        context : sklearn.callback.CallbackContext
            The context of its fit.
        """
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
        if level is not None:
            self._send("tick", level)

    def on_best_score(self, score: float) -> None:
        """Take the score of the best candidate so far; the search itself calls this."""
        with self._one_event:
            self._score(score)

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
            else:
                self._tick(*facts)

    def _open(self) -> None:
        """Begin to show the search."""

    def _close(self) -> None:
        """Show the search no more."""

    def _begin(self, level: str, title: str, total: int | None) -> None:
        """Show that something with `total` parts begins."""

    def _tick(self, level: str) -> None:
        """Show that one more part has ended."""

    def _score(self, score: float) -> None:
        """Keep the score; in a race the leader's can fall, when more fits judge it."""
        self._best = score


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
        # Not at import: a search that shows nothing needs no drawing.
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

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
        best = f"stages, best {as_score(score)}"
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
        return f"{line}, best so far {as_score(self._best)}"


class SearchProgress(SearchLines):
    """A callback that prints how far a staged search is, in plain lines.

    It suits notebooks, logs and pipes: nothing is overwritten, and each stage ends with
    what it chose, and why.

    Parameters
    ----------
    interval : float, default=10.0
        Fewest seconds between two lines while a stage runs.

    See Also
    --------
    sklearn.callback.ProgressBar : Bars for a terminal.

    Notes
    -----
    The best score is the mean of those that judge the candidates. In a race it is that
    of the leader, which can fall when more replicates judge it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skmnist import Stage, StagedSearchCV
    >>> from skmnist.model_selection import SearchProgress
    >>> search = StagedSearchCV(
    ...     DecisionTreeClassifier(random_state=0),
    ...     [Stage("depth", {"max_depth": [1, 3]}),
    ...      Stage("leaves", {"min_samples_leaf": [1, 5]})])
    >>> search = search.set_callbacks(SearchProgress())
    >>> search = search.fit(*load_iris(return_X_y=True))
    stage depth (1 of 2) chose max_depth=3: 96.00 % is the highest score of 2 candidates
    stage leaves (2 of 2) chose min_samples_leaf=1: 96.00 % is the highest score of 2 \
candidates
    """

    # No epochs are shown; so the estimator that is searched need not tell of them.
    max_propagation_depth = 0

    def __init__(self, interval: float = INTERVAL) -> None:
        super().__init__(_print, interval)

    def on_stage_result(self, result: StageResult, number: int, n_stages: int) -> None:
        """Print what a stage chose; the search itself calls this."""
        chosen = candidate_name(result.params)
        line = f"stage {result.name} ({number} of {n_stages}) chose {chosen}: "
        with self._one_event:
            self._write(line + result.reason)


def _print(line: str) -> None:
    # Names of stages may hold control characters.
    print(visible(line), flush=True)
