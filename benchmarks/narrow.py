"""Stages of narrow networks on MNIST: side by side, and one after the other."""

# SPDX-License-Identifier: BSD-3-Clause

import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

from study import watch
from timing import compare, in_turns, say, spread, table, target

TITLE = "Narrow networks on MNIST"
N_ROWS = 20_000
EPOCHS = 5
REPEATS = 3
# A stage over widths, and replicates of one network: other seeds.
STAGES = {
    "widths of 50, 100 and 150, 3 folds": {"widths": [50, 100, 150]},
    "100 units, 4 seeds, 3 folds": {"random_state": [0, 1, 2, 3]},
}
BESIDE, AFTER = "side by side", "one after the other"
N_JOBS = {BESIDE: None, AFTER: 1}
LEAST, MOST_MEMORY = 1.5, 1.5


def measure(options):
    """Run each stage both ways, in turns, each run in a process of its own.

    A child that Python's `multiprocessing` starts would have no helpers.
    """
    samples = {}
    for stage in STAGES:
        found = samples[stage] = {mode: [] for mode in N_JOBS}
        for _, mode in in_turns(N_JOBS, 1 if options.quick else REPEATS):
            found[mode].append(run(stage, mode, 1 if options.quick else EPOCHS))
        say(f"  {stage}: {found}")
    return samples


def run(stage, mode, epochs):
    """Return the seconds of a search, and the most memory of its processes."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        result = watch([sys.executable, __file__, stage, mode, str(epochs)], log)
        seconds = float(log.read_text(encoding="utf-8").split()[-1])
    return {"seconds": seconds, "memory": result["peak_mb"]}


def search(stage, mode, epochs):
    """Print the seconds of a search over a stage; loading and imports do not count."""
    from skmnist import KerasMLPClassifier, Stage, StagedSearchCV, fetch_mnist

    X, y = (array[:N_ROWS].copy() for array in fetch_mnist(return_X_y=True))
    network = KerasMLPClassifier(
        depth=1,
        widths=100,
        activations="relu",
        batch_size=64,
        epochs=epochs,
        dropout=0,
        early_stopping=False,
        random_state=0,
    )
    network.fit(X[:500], y[:500])
    found = StagedSearchCV(
        network, [Stage("stage", STAGES[stage])], cv=3, refit=False, n_jobs=N_JOBS[mode]
    )
    started = time.perf_counter()
    found.fit(X, y)
    print(time.perf_counter() - started)


def summarize(samples):
    """Bring the samples to a table and targets."""
    rows, targets = [], []
    for stage, found in samples.items():
        seconds, memory = {}, {}
        for mode, runs in found.items():
            seconds[mode] = {turn: one["seconds"] for turn, one in enumerate(runs)}
            memory[mode] = statistics.median(one["memory"] for one in runs)
            rows.append(
                [stage, mode, spread(seconds[mode].values()), f"{memory[mode]:.0f}"]
            )
        ratio = compare(stage, AFTER, seconds[BESIDE], seconds[AFTER])["ratio"]
        more = memory[BESIDE] / memory[AFTER]
        targets += [
            target(f"{stage}: {AFTER} over {BESIDE}", ratio, least=LEAST),
            target(f"{stage}: most memory, {BESIDE}", more, most=MOST_MEMORY),
        ]
    columns = ("stage", "", "seconds", "most memory, MB")
    return {
        "tables": [table("KerasMLPClassifier in StagedSearchCV", columns, rows)],
        "comparisons": [],
        "targets": targets,
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    search(*sys.argv[1:3], int(sys.argv[3]))
