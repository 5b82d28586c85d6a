"""Start-up: the command line's help and the bare import, in processes of their own."""

# SPDX-License-Identifier: BSD-3-Clause

import subprocess
import sys
import time
from pathlib import Path

from timing import in_turns, quartiles, spread, table, target

TITLE = "Start-up"
RUNS = 15
MOST_SECONDS = {"skmnist --help": 0.3, "import skmnist": 0.2}


def measure(options):
    """Start each command in turns; the first round fills the disk cache."""
    commands = {
        "bare interpreter": [sys.executable, "-c", "pass"],
        "import skmnist": [sys.executable, "-c", "import skmnist"],
        "skmnist --help": [str(Path(sys.executable).with_name("skmnist")), "--help"],
    }
    seconds = {name: [] for name in commands}
    for turn, name in in_turns(commands, 1 + (2 if options.quick else RUNS)):
        started = time.perf_counter()
        subprocess.run(commands[name], check=True, stdout=subprocess.DEVNULL)
        if turn > 0:
            seconds[name].append(time.perf_counter() - started)
    return {"seconds": seconds}


def summarize(samples):
    """Bring the samples to a table and targets."""
    seconds = samples["seconds"]
    rows = [[f"`{name}`", spread(times, 1e3, 0)] for name, times in seconds.items()]
    targets = [
        target(f"`{name}`", quartiles(seconds[name])[1], most=most, unit="s", digits=3)
        for name, most in MOST_SECONDS.items()
    ]
    caption = f"{len(seconds['skmnist --help'])} starts of each"
    columns = ("process", "whole process, ms")
    tables = [table(caption, columns, rows)]
    return {"tables": tables, "comparisons": [], "targets": targets}
