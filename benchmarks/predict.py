"""Time predictions against scikit-learn's MLPClassifier, alternating in one run.

    python benchmarks/predict.py

Prints medians in milliseconds and their ratio for one row and for 10,000 rows of
the report's final network, 784-600-200-10.
"""

# SPDX-License-Identifier: BSD-3-Clause

import os
import statistics
import time
import warnings
from importlib.metadata import version

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from skmnist import KerasMLPClassifier

SIZES = {1: 200, 10_000: 15}  # rows: repetitions


def main():
    """Fit both for one epoch, then time them in turns."""
    rng = np.random.default_rng(0)
    X = rng.random((10_000, 784), dtype=np.float32)
    y = rng.integers(0, 10, len(X))
    warnings.simplefilter("ignore", ConvergenceWarning)
    models = {
        "skmnist": KerasMLPClassifier(widths=(600, 200), epochs=1),
        "MLPClassifier": MLPClassifier((600, 200), max_iter=1),
    }
    for model in models.values():
        model.fit(X[:1000], y[:1000])
    packages = ("skmnist", "scikit-learn", "keras", "tensorflow", "numpy")
    print(", ".join(f"{package} {version(package)}" for package in packages))
    print("| rows | skmnist, ms | MLPClassifier, ms | ratio |")
    print("| --- | --- | --- | --- |")
    for n_rows, repetitions in SIZES.items():
        ours, theirs = medians(models, X[:n_rows], repetitions).values()
        ratio = ours / theirs
        print(f"| {n_rows:,} | {1e3 * ours:.2f} | {1e3 * theirs:.2f} | {ratio:.2f} |")


def medians(models, X, repetitions):
    """Return the median seconds of each model's `predict`."""
    seconds = {name: [] for name in models}
    for _ in range(repetitions):
        for name, model in models.items():
            started = time.perf_counter()
            model.predict(X)
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in seconds.items()}


if __name__ == "__main__":
    main()
