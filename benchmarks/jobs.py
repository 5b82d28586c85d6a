"""Fits side by side against one after another, with the cores shared out."""

# SPDX-License-Identifier: BSD-3-Clause

import time
from dataclasses import replace

import peers
from timing import Worker, compare, in_turns, say, spread, table, target, usable_cores

TITLE = "Workers and threads"
N_ROWS = 20_000
EPOCHS = 5
FITS = 6
ROUNDS = 3
LEAST = 1.1


def settings(n_cores):
    """List (workers, threads of each): all ways to use every core, and one thread.

    Examples
    --------
    >>> settings(2)
    [(1, 2), (2, 1), (1, 1)]
    """
    shares = [n for n in range(1, n_cores + 1) if n_cores % n == 0]
    found = [(workers, n_cores // workers) for workers in shares]
    return list(dict.fromkeys([*found, (1, 1)]))


def measure(options):
    """Time all settings in turns, each in fresh processes."""
    found = settings(usable_cores())
    runs = []
    for turn, (workers, threads) in in_turns(found, 1 if options.quick else ROUNDS):
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
        limits |= {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": 1}
        with Worker({name: str(value) for name, value in limits.items()}) as worker:
            result = worker(fit_all, workers, options.quick)
        key = {"round": turn, "workers": workers, "threads": threads}
        runs.append({**key, **result})
        say(f"  {workers} x {threads}: {result['seconds']:.1f} s")
    return {"runs": runs, "cores": usable_cores(), "epochs": EPOCHS}


def fit_all(n_workers, quick):
    """Time some fits in as many processes, all of which have compiled already."""
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    from skmnist import fetch_mnist

    n_rows = 3000 if quick else N_ROWS
    X, y = (array[:n_rows].copy() for array in fetch_mnist(return_X_y=True))
    n_fits = 2 if quick else FITS

    def run(n):
        return Parallel(n_workers)(delayed(fit_one)(X, y, i, quick) for i in range(n))

    # Twice as many as workers, so that none is left out.
    warm = run(2 * n_workers if n_workers > 1 else 1)
    started = time.perf_counter()
    fits = run(n_fits)
    seconds = time.perf_counter() - started
    # Idle workers would keep this process from ending, for minutes.
    get_reusable_executor().shutdown()
    return {
        "seconds": seconds,
        "fits": n_fits,
        "seconds_per_fit": seconds / n_fits,
        "mapped": sum(fit["mapped"] for fit in fits),
        # More than 0 would mean that the time has a compilation in it.
        "cold": len({f["process"] for f in fits} - {w["process"] for w in warm}),
        "threads_set": sorted({fit["threads"] for fit in fits}),
    }


def fit_one(X, y, seed, quick):
    """Fit once; say how the data came and what the environment allows."""
    import os

    import numpy as np

    setting = replace(peers.REPORT, epochs=2 if quick else EPOCHS)
    peers.make("skmnist", setting).set_params(random_state=seed).fit(X, y)
    return {
        "mapped": isinstance(X, np.memmap),
        "process": os.getpid(),
        "threads": os.environ["TF_NUM_INTRAOP_THREADS"],
    }


def summarize(samples):
    """Bring the samples to a table, a target and a rule."""
    runs, cores = samples["runs"], samples["cores"]
    per_setting = {}
    for run in runs:
        key = (run["workers"], run["threads"])
        per_setting.setdefault(key, {})[run["round"]] = run["seconds_per_fit"]
    one = per_setting[1, cores]
    gains = {
        key: compare("", "", seconds, one)["ratio"]
        for key, seconds in per_setting.items()
    }
    rows = [
        [
            str(workers),
            str(threads),
            spread([60 / s for s in per_setting[workers, threads].values()], digits=1),
            f"{gain:.2f}x",
            _mapped(runs, workers, threads),
        ]
        for (workers, threads), gain in gains.items()
    ]
    columns = (
        "workers",
        "threads of each",
        "fits per minute",
        f"against one fit on {cores} threads",
        "fits on memory-mapped data",
    )
    best = max(gains, key=gains.get)
    text = f"{cores} workers of one thread against one fit on {cores} threads"
    gain = gains[cores, 1] if cores > 1 else None
    return {
        "tables": [table(f"{cores} cores, {samples['epochs']} epochs", columns, rows)],
        "comparisons": [],
        "targets": [target(text, gain, least=LEAST)],
        "remarks": [rule(cores, best, gains[best])],
    }


def rule(cores, best, gain):
    """Say which setting is best on so many cores."""
    workers, threads = best
    if workers == 1:
        return f"On {cores} cores best: `n_jobs=1`, one fit on {threads} thread(s)."
    return (
        f"On {cores} cores best for a search: `n_jobs={workers}` with "
        f"TF_NUM_INTRAOP_THREADS={threads}, {gain:.2f}x the fits of `n_jobs=1` on all "
        "threads. `skmnist study --n-jobs` sets the threads so by itself."
    )


def _mapped(runs, workers, threads):
    mine = [r for r in runs if (r["workers"], r["threads"]) == (workers, threads)]
    if workers == 1:
        return "same process"
    return f"{sum(r['mapped'] for r in mine)} of {sum(r['fits'] for r in mine)}"
