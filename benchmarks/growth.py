"""Growth of an epoch's time with rows, width and depth, and its plot."""

# SPDX-License-Identifier: BSD-3-Clause

import math
import random
import statistics

import peers
from timing import Worker, say, spread, table, target

TITLE = "Growth"
BATCH_SIZE = 64
EPOCHS = 4  # the first one is not counted
ROUNDS = 2
N_ROWS = 10_000
N_FEATURES = 784
# What grows, and (rows, widths) of each point.
POINTS = {
    "rows": {
        n: (n, (600, 200)) for n in (1000, 2000, 4000, 8000, 15_000, 30_000, 60_000)
    },
    "width": {
        w: (N_ROWS, (w, w)) for w in (50, 100, 200, 350, 500, 750, 1000, 1500, 2000)
    },
    "depth": {d: (N_ROWS, (400,) * d) for d in range(1, 9)},
}
QUICK = {"rows": (1000, 2000, 4000), "width": (50, 100, 200), "depth": (1, 2, 3)}
MOST_SLOPE = 1.15  # "linear", within the scatter of points that span a factor of 8
WORK = "multiply-adds"
_DATA = {}


def measure(options):
    """Time all points in one process, each round in another order."""
    names = [
        (kind, size)
        for kind, points in POINTS.items()
        for size in points
        if not options.quick or size in QUICK[kind]
    ]
    points = []
    with Worker() as worker:
        worker(prepare)
        for turn in range(1 if options.quick else ROUNDS):
            for kind, size in random.Random(turn).sample(names, len(names)):
                n_rows, widths = POINTS[kind][size]
                seconds = worker(epochs, n_rows, widths)
                work = n_rows * peers.multiply_adds(N_FEATURES, widths)
                key = {"kind": kind, "size": size, "multiply_adds": work}
                points.append({**key, "round": turn, "epoch_seconds": seconds})
                say(f"  {kind} {size}: {statistics.median(seconds):.3f} s")
    return {"points": points}


def prepare():
    """Make the data of this process."""
    import numpy as np

    rng = np.random.default_rng(0)
    _DATA["X"] = rng.random((60_000, N_FEATURES), dtype=np.float32)
    _DATA["y"] = rng.integers(0, 10, 60_000)


def epochs(n_rows, widths):
    """Return the seconds of each epoch but the first."""
    setting = peers.Setting(widths, batch_size=BATCH_SIZE, epochs=EPOCHS)
    classifier = peers.make("skmnist", setting, timed=True)
    X, y = _DATA["X"][:n_rows], _DATA["y"][:n_rows]
    return peers.timed_fit("skmnist", classifier, X, y)["epoch_seconds"]


def curves(samples):
    """Return for each kind the sorted (size, multiply-adds, epoch seconds)."""
    found = {}
    for point in samples["points"]:
        key = (point["size"], point["multiply_adds"])
        seconds = found.setdefault(point["kind"], {}).setdefault(key, [])
        seconds += point["epoch_seconds"]
    return {
        kind: sorted((*key, seconds) for key, seconds in found[kind].items())
        for kind in POINTS
    }


def slope(xs, ys):
    """Return the slope of the upper half of a curve on log-log axes.

    Examples
    --------
    >>> round(slope([1, 2, 4, 8], [9, 9, 6, 12]), 2)
    1.0
    """
    pairs = sorted(zip(xs, ys, strict=True))
    upper = pairs[len(pairs) // 2 :]
    logs = [
        [math.log(value) for value in values] for values in zip(*upper, strict=True)
    ]
    return statistics.linear_regression(*logs).slope


def summarize(samples):
    """Bring the samples to tables and targets."""
    found = curves(samples)
    tables, slopes, against_work = [], {}, {}
    for kind, points in found.items():
        sizes, work, seconds = zip(*points, strict=True)
        medians = [statistics.median(values) for values in seconds]
        slopes[kind] = slope(sizes, medians)
        against_work[kind] = slope(work, medians)
        rows = [
            [f"{size:,}", f"{w / 1e9:.1f}", spread(values, digits=3)]
            for size, w, values in points
        ]
        columns = (kind, f"10^9 {WORK} an epoch", "one epoch, s")
        tables.append(table(kind.capitalize(), columns, rows))
    rows = [
        [kind, f"{slopes[kind]:.2f}", f"{against_work[kind]:.2f}"] for kind in slopes
    ]
    columns = ("what grows", "slope over its size", f"slope over {WORK}")
    tables.append(table("Slopes, log-log, upper half", columns, rows))
    targets = [
        target("slope over rows", slopes["rows"], most=MOST_SLOPE, unit=""),
        target("slope over depth", slopes["depth"], most=MOST_SLOPE, unit=""),
        target(
            f"slope over {WORK}, while width grows",
            against_work["width"],
            most=MOST_SLOPE,
            unit="",
        ),
    ]
    return {"tables": tables, "comparisons": [], "targets": targets}


def plot(result, path):
    """Draw the points and their slopes; equal results give an equal file."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "growth", "font.size": 11})
    import matplotlib.pyplot as plt

    found = curves(result["samples"])
    figure, axes = plt.subplots(2, 2, figsize=(9, 7), layout="constrained")
    panels = dict(zip(found, axes.flat, strict=False))
    for color, (kind, axis) in enumerate(panels.items()):
        sizes, work, seconds = zip(*found[kind], strict=True)
        medians = [statistics.median(values) for values in seconds]
        _panel(axis, sizes, medians, kind, f"C{color}")
        axes.flat[3].loglog(work, medians, "o-", color=f"C{color}", label=kind)
    _linear(axes.flat[3], [w for points in found.values() for _, w, _ in points])
    axes.flat[3].set(xlabel=f"{WORK} an epoch", ylabel="one epoch, s")
    axes.flat[3].legend()
    for axis in axes.flat:
        axis.grid(which="major", alpha=0.3)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _panel(axis, sizes, medians, kind, color):
    label = f"slope of the upper half {slope(sizes, medians):.2f}"
    axis.loglog(sizes, medians, "o-", color=color, label=label)
    _linear(axis, sizes)
    axis.set(xlabel=kind, ylabel="one epoch, s")
    if max(sizes) < 10 * min(sizes):
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.xaxis.minorticks_off()
    axis.legend()


def _linear(axis, xs):
    """Draw a line of slope 1 through the last point drawn on the axes."""
    last = max(
        (x, y) for line in axis.lines for x, y in zip(*line.get_data(), strict=True)
    )
    ends = [min(xs), last[0]]
    heights = [last[1] * x / last[0] for x in ends]
    axis.loglog(ends, heights, "--", color="0.5", zorder=0, label="slope 1")
