"""Predictions of the report's final network, for one row and for 10,000."""

# SPDX-License-Identifier: BSD-3-Clause

import statistics
import time
from contextlib import ExitStack
from dataclasses import replace

import peers
from timing import Worker, compare, in_turns, spread, table

TITLE = "Predictions"
SIZES = {1: 10, 10_000: 1}  # rows: predictions in a turn
ROUNDS = 15
_FITTED = {}  # in the process of each peer


def measure(options):
    """Fit everyone for one epoch, then predict in turns, each in its own process."""
    present = peers.present(peers.PEERS)
    seconds = {str(n_rows): {name: [] for name in present} for n_rows in SIZES}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(Worker()) for name in present}
        for name, worker in workers.items():
            worker(prepare, name)
        for turn, name in in_turns(present, 1 + (1 if options.quick else ROUNDS)):
            for n_rows, repetitions in SIZES.items():
                median = workers[name](predict, n_rows, repetitions)
                if turn > 0:
                    seconds[str(n_rows)][name].append(median)
    return {"seconds": seconds, "skipped": sorted(set(peers.PEERS) - set(present))}


def prepare(name):
    """Fit this process' classifier."""
    import numpy as np

    rng = np.random.default_rng(0)
    X = rng.random((10_000, 784), dtype=np.float32)
    y = rng.integers(0, 10, 1000)
    with peers.quiet():
        classifier = peers.make(name, replace(peers.REPORT, epochs=1))
        _FITTED["classifier"] = classifier.fit(X[:1000], y)
    _FITTED["X"] = X


def predict(n_rows, repetitions):
    """Return the median seconds of `predict`."""
    X, classifier, seconds = _FITTED["X"][:n_rows], _FITTED["classifier"], []
    with peers.quiet():
        for _ in range(repetitions):
            started = time.perf_counter()
            classifier.predict(X)
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def summarize(samples):
    """Bring the samples to a table and comparisons."""
    rows, comparisons = [], []
    for n_rows, seconds in samples["seconds"].items():
        ours = dict(enumerate(seconds["skmnist"]))
        for name, times in seconds.items():
            comparison = compare(
                f"predict, {int(n_rows):,} row{'s' if n_rows != '1' else ''}",
                name,
                ours,
                dict(enumerate(times)),
            )
            ratio = ""
            if name != "skmnist":
                comparisons.append(comparison)
                ratio = f"{comparison['ratio']:.2f}x"
            rows.append([f"{int(n_rows):,}", name, spread(times, 1e3), ratio])
    columns = ("rows", "", "ms", "slower than ours")
    tables = [table("Network 784-600-200-10", columns, rows)]
    return {"tables": tables, "comparisons": comparisons, "targets": []}
