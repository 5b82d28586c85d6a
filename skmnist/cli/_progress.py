"""Progress of a study on a terminal: stages, candidates, epochs."""

# SPDX-License-Identifier: BSD-3-Clause

import time

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .._compat import close_listener, open_listener, send
from .._format import duration


class StudyProgress:
    """A scikit-learn callback that draws three bars for a staged search.

    The epochs happen in the process that fits; their ticks come here over a
    local socket that scikit-learn's own callbacks use. A tick that cannot be
    delivered is dropped: a missing tick must not end a search.

    Parameters
    ----------
    console : rich.console.Console
        Where to draw.
    """

    # Into the estimator that is searched, for its epochs.
    max_propagation_depth = 1

    def __init__(self, console):
        self._console = console
        self._handle = None

    def __getstate__(self):
        # The copy in a worker only sends.
        return {"_handle": self._handle}

    def setup(self, estimator, context):
        """Open the bars before the search."""
        self._bars = Progress(
            TextColumn("{task.description:<22}"),
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
        self._best = 0.0  # validation accuracy
        self._handle = open_listener(self._draw)
        self._bars.start()

    def teardown(self, estimator, context):
        """Close the bars, whether the search ended well or not."""
        close_listener(self._handle)
        self._bars.stop()

    def on_fit_task_begin(self, estimator, context):
        """Start the bar of a task that has parts."""
        level = _level(context)
        if level is not None and context.max_subtasks != 0:
            self._send("begin", level, _title(level, context), context.max_subtasks)

    def on_fit_task_end(self, estimator, context):
        """Tick the bar of the task that this one is a part of."""
        if context.parent is not None:
            level = _level(context.parent)
            score = getattr(estimator, "best_validation_score_", None)
            if level == "candidates" and score is not None:
                self._send("score", level, score, None)
            if level is not None:
                self._send("tick", level, None, None)

    def _send(self, *event):
        try:
            send(self._handle, event)
        except (OSError, EOFError):
            # A worker on another machine has no way to this one's socket.
            return

    def _draw(self, event):
        kind, level, title, total = event
        task = self._tasks[level]
        if kind == "score":
            self._best = max(self._best, title)
            best = f"stages, best {100 * self._best:.2f} %"
            self._bars.update(self._tasks["stages"], description=best)
        elif kind == "tick":
            self._bars.advance(task)
        else:
            self._bars.reset(task, total=total, description=title, visible=True)


def _level(context):
    """Name the bar that counts the parts of a task; None for other tasks."""
    if context.task_name == "search":
        return "stages"
    if context.parent is None:
        return None
    if not context.sequential_subtasks:
        return "candidates"
    return "epochs" if context.source_estimator_name is not None else None


def _title(level, context):
    """Describe a bar: a stage that grows has several tables, one after the other."""
    if level != "candidates":
        return level
    parts = [context.parent.task_name, context.task_name]
    return " ".join(part for part in parts if part not in ("search", "grid"))


# A log is read later: a line in ten seconds says enough.
INTERVAL = 10.0


class StudyLines(StudyProgress):
    """A scikit-learn callback that writes a line about a staged search now and then.

    Parameters
    ----------
    write : callable
        ``write(line)``; called from another thread.
    interval : float, default=10.0
        Fewest seconds between two lines.
    clock : callable, default=time.monotonic
        ``clock()`` gives the time in seconds.
    """

    def __init__(self, write, interval=INTERVAL, clock=time.monotonic):
        self._write = write
        self._interval = interval
        self._clock = clock
        self._handle = None

    def setup(self, estimator, context):
        """Begin to count before the search."""
        self._title, self._began = "", self._clock()
        self._done, self._totals = {}, {}
        self._best = None
        self._last = self._began
        self._handle = open_listener(self._draw)

    def teardown(self, estimator, context):
        """Stop listening, whether the search ended well or not."""
        close_listener(self._handle)

    def _draw(self, event):
        kind, level, value, total = event
        if kind == "score":
            self._best = value if self._best is None else max(self._best, value)
            return
        if kind == "begin":
            self._done[level], self._totals[level] = 0, total
            if level == "candidates":
                self._title, self._began = value, self._clock()
            return
        self._done[level] += 1
        if level == "candidates" and self._clock() - self._last >= self._interval:
            self._last = self._clock()
            self._write(self._line())

    def _line(self):
        done, total = self._done["candidates"], self._totals["candidates"]
        left = (self._clock() - self._began) / done * (total - done)
        number = self._done.get("stages", 0) + 1
        line = (
            f"{self._title} ({number} of {self._totals.get('stages', '?')}): "
            f"{done} of {total} fits, {duration(left)} left in it"
        )
        if self._best is None:
            return line
        return f"{line}, best validation accuracy so far {100 * self._best:.2f} %"


class EpochProgress:
    """A scikit-learn callback that tells how far one fit of a classifier is.

    Parameters
    ----------
    show : callable
        ``show(done, total)``, called after each epoch with the numbers of epochs.
    """

    def __init__(self, show):
        self._show = show
        self._total = 0

    def setup(self, estimator, context):
        """Learn how many epochs there will be."""
        self._total = context.max_subtasks

    def teardown(self, estimator, context):
        """Nothing is held open."""

    def on_fit_task_begin(self, estimator, context):
        """Nothing is to be said yet."""

    def on_fit_task_end(self, estimator, context):
        """Tell of an epoch that ended."""
        if context.parent is not None:
            self._show(context.task_id + 1, self._total)


def epoch_lines(write, interval=INTERVAL, clock=time.monotonic):
    """Return what writes a line about the epochs of a fit now and then.

    Parameters
    ----------
    write : callable
        ``write(line)``.
    interval : float, default=10.0
        Fewest seconds between two lines.
    clock : callable, default=time.monotonic
        ``clock()`` gives the time in seconds.

    Returns
    -------
    show : callable
        ``show(done, total)``, for `EpochProgress`.

    Examples
    --------
    >>> seconds = iter([0, 4, 12])
    >>> show = epoch_lines(print, clock=lambda: next(seconds))
    >>> show(1, 6)
    >>> show(3, 6)
    epoch 3 of 6, 12 s left
    """
    began = last = clock()

    def show(done, total):
        nonlocal last
        now = clock()
        if now - last >= interval and done < total:
            last = now
            left = (now - began) / done * (total - done)
            write(f"epoch {done} of {total}, {duration(left)} left")

    return show
