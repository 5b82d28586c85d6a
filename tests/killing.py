"""Starts a study, kills it, and starts it again, until it may end.

``python killing.py FILE MOMENTS ARGUMENT...``: `FILE` gets a line for each fit.
`MOMENTS` is a list in JSON of how many lines to wait for before each kill, and for how
many seconds more. The arguments are those of the study. Prints in JSON how each process
ended, and when each fit was written that a kill left.

TensorFlow is loaded once for all of them, which takes longer than their fits: each
process is a fork of this one, which computes nothing itself.
"""

# SPDX-License-Identifier: BSD-3-Clause

import json
import os
import signal
import sys
import time
from pathlib import Path


def n_lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def start(arguments):
    """Start a study in a process of its own; return its number."""
    import skmnist.neural_network.keras_side._compiled  # noqa: F401, loads TensorFlow
    from skmnist.cli import main

    pid = os.fork()
    if pid == 0:
        sys.exit(main(arguments))
    return pid


def kill(pid, path, n_wanted, pause):
    """Kill a study some time after a fit; return how it ended."""
    deadline = time.monotonic() + 300
    while n_lines(path) < n_wanted and time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    time.sleep(pause)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_often(path, moments, arguments):
    ends, kept = [], {}
    for n_wanted, pause in moments:
        ends.append(kill(start(arguments), path, n_wanted, pause))
        for fit in (path.parent / "skmnist-fits").rglob("*.skmnist"):
            kept[str(fit)] = fit.stat().st_mtime_ns
    _, status = os.waitpid(start(arguments), 0)
    ends.append(os.waitstatus_to_exitcode(status))
    print(json.dumps({"ends": ends, "kept": kept}))


if __name__ == "__main__":
    kill_often(Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:])
