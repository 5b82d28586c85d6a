"""Progress of a study on a terminal: stages, candidates, epochs."""

# SPDX-License-Identifier: BSD-3-Clause

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .._compat import close_listener, open_listener, send


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
