"""Ctrl-C and termination: an orderly end where there is time, else an end."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import signal
import socket
import sys
import threading
import time

import psutil

# Whoever asks a program to stop waits two seconds, and not three.
GRACE = 1.5  # seconds
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StoppedError(KeyboardInterrupt):
    """Somebody asked the program to stop.

    No failure that a search could score: it is no `Exception`.

    Parameters
    ----------
    number : int
        The signal.
    """

    def __init__(self, number):
        super().__init__(number)
        self.status = 128 + number


@contextlib.contextmanager
def stoppable(say):
    """Have SIGINT and SIGTERM raise `StoppedError` in the block, and end it in time.

    Python runs the handler of a signal between two of its own instructions, and a
    call of TensorFlow's can take longer than anybody waits. So a thread watches: if
    the block, and all that comes after it, is not through in `GRACE` seconds, the
    processes that were started from this one are killed, and it ends. What is on the
    disk by then is complete, as after any other end.

    Parameters
    ----------
    say : callable
        ``say()``, called once by whichever of the two ends the block.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may say what a signal does.
        yield
        return
    told = threading.Lock()

    def tell():
        if told.acquire(blocking=False):
            say()

    def stop(number, frame):
        # Once: a second signal must not disturb the clearing up.
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
        # Ends the watcher, unless a signal has come: then it watches the end.
        writing.close()


def _watch(reading, tell):
    """Wait for a signal's number; then see to it that the process ends."""
    number = next((n for n in reading.recv(1) if n in SIGNALS), None)
    if number is None:
        reading.close()
        return
    time.sleep(GRACE)
    tell()
    end_children()
    sys.stdout.flush()
    os._exit(128 + number)


def end_children():
    """Kill the processes that this one has started, and theirs."""
    for child in psutil.Process().children(recursive=True):
        # joblib's tracker removes what the others leave, and then ends by itself.
        if "resource_tracker" not in " ".join(_command(child)):
            with contextlib.suppress(psutil.Error):
                child.kill()


def _command(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []
