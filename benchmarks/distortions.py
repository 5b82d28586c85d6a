"""What distorting the images costs an epoch: none, affine, affine and elastic."""

# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import replace

import peers
from timing import compare, pause, say, side_by_side, spread, table, target

TITLE = "Distorted images"
PLAIN = "none"
KINDS = (PLAIN, "affine", "affine+elastic")
BATCH_SIZES = (64, 128, 512)
EPOCHS = 8  # the first one is not counted
N_ROWS = 54_000
MOST = 2


def measure(options):
    """Train the report's network in each way, epoch by epoch in turns."""
    fits = []
    for batch_size in BATCH_SIZES[-1:] if options.quick else BATCH_SIZES:
        calls = {kind: (fit_once, kind, batch_size, options.quick) for kind in KINDS}
        for kind, seconds in side_by_side(calls).items():
            key = {"augmentation": kind, "batch_size": batch_size}
            fits.append({**key, "epoch_seconds": seconds})
            say(f"  batch {batch_size}, {kind}: {sum(seconds):.1f} s")
    return {"fits": fits, "n_rows": 1000 if options.quick else N_ROWS}


def fit_once(kind, batch_size, quick):
    """Return the seconds of each epoch but the first of a fit in this process."""
    from skmnist import fetch_mnist

    X, y = fetch_mnist(return_X_y=True)
    n_rows = 1000 if quick else N_ROWS
    X_train, y_train = X[:n_rows].copy(), y[:n_rows].copy()
    del X
    setting = replace(peers.REPORT, batch_size=batch_size, epochs=EPOCHS)
    classifier = peers.make("skmnist", setting, timed=True)
    classifier.set_params(augmentation=None if kind == PLAIN else kind)
    pause()
    times = peers.timed_fit("skmnist", classifier, X_train, y_train, pause)
    return times["epoch_seconds"]


def summarize(samples):
    """Bring the samples to a table and targets."""
    rows, targets = [], []
    for batch_size in sorted({fit["batch_size"] for fit in samples["fits"]}):
        seconds = {
            fit["augmentation"]: dict(enumerate(fit["epoch_seconds"]))
            for fit in samples["fits"]
            if fit["batch_size"] == batch_size
        }
        for kind, times in seconds.items():
            ratio = compare("", kind, seconds[PLAIN], times)["ratio"]
            said = "" if kind == PLAIN else f"{ratio:.2f}x"
            rows.append([f"{batch_size}", kind, spread(times.values()), said])
            if kind != PLAIN:
                text = f"batch {batch_size}: epoch with {kind} over one without"
                targets.append(target(text, ratio, most=MOST))
    columns = ("batch size", "distortions", "one epoch, s", "over the plain one")
    caption = f"Network 784-600-200-10, {samples['n_rows']:,} rows"
    tables = [table(caption, columns, rows)]
    return {"tables": tables, "comparisons": [], "targets": targets}
