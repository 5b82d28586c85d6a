"""Progress on a terminal: bars, or plain lines where the output is no terminal.

A search has `SearchBars` or `SearchLines`, a single fit `FitBar` or `FitLines`. All are
callbacks of scikit-learn.
"""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import Progress

from .._format import duration
from ..model_selection._progress import (
    INTERVAL,
    SearchBars,
    SearchCallback,
    SearchLines,
)
from ._terminal import echo


def search_progress(screen: Console) -> list[SearchCallback]:
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
