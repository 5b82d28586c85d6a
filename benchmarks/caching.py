"""What `memory=` costs a fit: finding it by its content, keeping it, reading it."""

# SPDX-License-Identifier: BSD-3-Clause

import time
from dataclasses import replace

import peers
from timing import Worker, say, spread, table, target

TITLE = "Keeping fits"
N_ROWS = 54_000
EPOCHS = 5
ROUNDS = 5
MOST_PERCENT = 3


def measure(options):
    """Fit without a cache, with an empty one, and with one that has the fit."""
    with Worker() as worker:
        return worker(fit_all, 1 if options.quick else ROUNDS, options.quick)


def fit_all(n_rounds, quick):
    """Time them in turns, and the digest of the data by itself."""
    import tempfile

    from skmnist import fetch_mnist
    from skmnist.neural_network._cache import digest

    n_rows = 1000 if quick else N_ROWS
    X, y = (array[:n_rows].copy() for array in fetch_mnist(return_X_y=True))
    setting = replace(peers.REPORT, epochs=1 if quick else EPOCHS)
    network = peers.make("skmnist", setting).set_params(random_state=0)
    network.fit(X, y)  # compiles
    seconds = {"digest": [], "without": [], "keeping": [], "reading": []}
    for _ in range(n_rounds):
        with tempfile.TemporaryDirectory() as folder:
            keeping = {"memory": folder}
            for name, memory in (
                ("without", {"memory": None}),
                ("keeping", keeping),
                ("reading", keeping),
            ):
                started = time.perf_counter()
                network.set_params(**memory).fit(X, y)
                seconds[name].append(time.perf_counter() - started)
        started = time.perf_counter()
        digest(X)
        seconds["digest"].append(time.perf_counter() - started)
        say(f"  {seconds['without'][-1]:.1f} s a fit")
    return {"seconds": seconds, "n_rows": n_rows, "epochs": setting.epochs}


def summarize(samples):
    """Bring the samples to a table and a target."""
    seconds = samples["seconds"]
    shares = [
        100 * hashing / fit
        for hashing, fit in zip(seconds["digest"], seconds["without"], strict=True)
    ]
    rows = [
        ["a fit without `memory`", spread(seconds["without"])],
        ["the same, kept", spread(seconds["keeping"])],
        ["the same again, read", spread(seconds["reading"])],
        ["digest of the data alone", spread(seconds["digest"], digits=3)],
    ]
    caption = f"{samples['n_rows']:,} rows, {samples['epochs']} epochs"
    share = sorted(shares)[len(shares) // 2]
    text = f"digest of the data, part of a fit of {samples['epochs']} epochs"
    return {
        "tables": [table(caption, ["", "seconds"], rows)],
        "comparisons": [],
        "targets": [target(text, share, most=MOST_PERCENT, unit="%")],
        "remarks": [],
    }
