"""Ctrl-C and termination: an orderly end, or a hard one if that takes too long."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import psutil

# People wait two seconds for a program to stop, but not three.
GRACE = 1.5  # seconds
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StoppedError(KeyboardInterrupt):
    """Somebody asked the program to stop.

    It is no `Exception`, so a search does not take it for a fit that failed.

    Parameters
    ----------
    number : int
        The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number


@contextlib.contextmanager
def stoppable(say: Callable[[], None]) -> Iterator[None]:
    """Make SIGINT and SIGTERM raise `StoppedError` in the block, and end it in time.

    Python runs a signal's handler between two of its own instructions, but a call of
    TensorFlow can take longer than people wait. So a thread watches. If the program
    has not ended `GRACE` seconds after the signal, the thread kills the processes that
    this one has started, and ends this one. What is on the disk by then is complete, as
    after any other end.

    Parameters
    ----------
    say : callable
        ``say()`` is called once: at the end of the block, or by the thread.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may set what a signal does.
        yield
        return
    told = threading.Lock()

    def tell() -> None:
        if told.acquire(blocking=False):
            say()

    def stop(number: int, frame: FrameType | None) -> None:
        # Only once: a second signal must not disturb the clearing up.
        for name in SIGNALS:
            signal.signal(name, signal.SIG_IGN)
        raise StoppedError(number)

    reading, writing = socket.socketpair()
    writing.setblocking(False)
    before = {name: signal.signal(name, stop) for name in SIGNALS}
    wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(reading, tell), daemon=True)
    watcher.start()
    try:
        yield
    except StoppedError:
        tell()
        raise
    finally:
        signal.set_wakeup_fd(wakeup)
        for name, handler in before.items():
            signal.signal(name, handler)
        # This ends the thread, unless a signal has come: then it still watches.
        writing.close()


def _watch(reading: socket.socket, tell: Callable[[], None]) -> None:
    """Wait for a signal; then make sure that the process ends."""
    number = next((n for n in reading.recv(1) if n in SIGNALS), None)
    if number is None:
        reading.close()
        return
    time.sleep(GRACE)
    tell()
    end_children()
    sys.stdout.flush()
    os._exit(128 + number)


def end_children() -> None:
    """Kill the processes that this one has started, and theirs."""
    for child in psutil.Process().children(recursive=True):
        # joblib's tracker removes what the others leave behind, and then ends.
        if "resource_tracker" not in " ".join(_command(child)):
            with contextlib.suppress(psutil.Error):
                child.kill()


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
