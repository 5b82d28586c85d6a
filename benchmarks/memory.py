"""Memory: what stays of many fits in one process."""

# SPDX-License-Identifier: BSD-3-Clause

import itertools
from contextlib import ExitStack

import peers
from timing import Worker, say, table, target

TITLE = "Memory"
# Twelve kinds of network, so that the first ten fits have not seen them all.
WIDTHS = ((50,), (100,), (100, 50), (64, 64, 64))
BATCH_SIZES = (32, 64, 128)
EPOCHS = 3
N_FITS = {"skmnist": 210, "scikeras": 40}
WARM = 10  # fits before the growth counts
MOST_MB = 50
MEGABYTE = 2**20
_DATA = {}


def measure(options):
    """Fit many times, ours and scikeras' in turns, each in one process."""
    present = peers.present(N_FITS)
    n_fits = {name: 14 if options.quick else N_FITS[name] for name in present}
    resident = {name: [] for name in present}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(Worker()) for name in present}
        for worker in workers.values():
            worker(prepare)
        for i in range(max(n_fits.values())):
            for name in (name for name in present if i < n_fits[name]):
                resident[name].append(workers[name](fit_once, name, i))
    for name, values in resident.items():
        say(f"  {name}: {values[0]:.0f} MB at first, {values[-1]:.0f} MB at last")
    return {"resident_mb": resident, "skipped": sorted(set(N_FITS) - set(present))}


def prepare():
    """Load the data of this process."""
    import numpy as np
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    _DATA["X"], _DATA["y"] = (X / 16).astype(np.float32), y


def fit_once(name, i):
    """Fit the i-th of the kinds and return the resident set in megabytes."""
    import psutil

    kinds = list(itertools.product(WIDTHS, BATCH_SIZES))
    widths, batch_size = kinds[i % len(kinds)]
    setting = peers.Setting(widths, batch_size=batch_size, epochs=EPOCHS)
    classifier = peers.make(name, setting)
    classifier.fit(_DATA["X"], _DATA["y"])
    classifier.predict(_DATA["X"][:100])
    del classifier
    return psutil.Process().memory_info().rss / MEGABYTE


def summarize(samples):
    """Bring the samples to a table and a target."""
    rows, growths = [], {}
    for name, resident in samples["resident_mb"].items():
        counted = len(resident) - WARM
        growths[name] = resident[-1] - resident[WARM - 1]
        rows.append(
            [
                name,
                str(len(resident)),
                f"{resident[WARM - 1]:.0f}",
                f"{resident[-1]:.0f}",
                f"{max(resident):.0f}",
                f"{growths[name]:+.1f}",
                f"{growths[name] / counted:+.2f}",
            ]
        )
    columns = (
        "",
        "fits",
        f"after {WARM} fits, MB",
        "after the last, MB",
        "most, MB",
        "growth, MB",
        "growth per fit, MB",
    )
    fits = len(samples["resident_mb"]["skmnist"]) - WARM
    text = f"growth over {fits} fits after the first {WARM}"
    grown = growths["skmnist"]
    return {
        "tables": [table("Resident set of one process", columns, rows)],
        "comparisons": [],
        "targets": [target(text, grown, most=MOST_MB, unit="MB", digits=1)],
    }
