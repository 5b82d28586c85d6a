"""Write docs/study.md from the result files of studies with the default preset.

    python docs/study.py                   # write the page from the committed files
    python docs/study.py --run             # first make the runs without a file
    python docs/study.py --run --only mnist --seeds 0 1   # some runs of some data
    python docs/study.py --run --quick --out DIR   # small runs, in another folder

Runs of MNIST need its files, and a quiet machine of two cores: a study takes as much
time as it is given. Each run has a file; a finished run is never repeated. Two runs of
small data may go on at once, with TF_NUM_INTRAOP_THREADS=1.
"""

# SPDX-License-Identifier: BSD-3-Clause

import argparse
import importlib.util
import itertools
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

DOCS = Path(__file__).parent
PACKAGES = ("skmnist", "keras", "tensorflow", "scikit-learn", "numpy")
FIVE = (0, 1, 2, 3, 4)
# What scikit-learn's GridSearchCV tries, in a fixed order, as far as the time goes.
SIZES = [(100,), (256,), (256, 256), (512,), (100, 100)]
ALPHAS, RATES = [1e-4, 1e-2, 1.0], [1e-3, 5e-3]
PEERS = {"untuned": "KerasMLPClassifier()", "grid": "MLPClassifier, grid search"}


@dataclass(frozen=True)
class Data:
    """Data that a study searches on.

    Attributes
    ----------
    title : str
        Its name on the page.
    seconds : float
        Time budget of a study.
    seeds : tuple of int
        Seeds of the runs.
    goal, floor : float or None
        Accuracy to reach in the mean, and at least.
    grid : bool
        Whether to search the grid of `MLPClassifier` for as long as the study.
    """

    title: str
    seconds: float
    seeds: tuple = FIVE
    goal: float | None = None
    floor: float | None = None
    grid: bool = True


# The others are sets that judge in benchmarks/tables.py; nobody needs a package more.
DATA = {
    "mnist": Data("MNIST", 480, (0, 1, 2), 0.9945, 0.9940, grid=False),
    "digits_28x28": Data("digits, 28x28", 120, goal=0.983),
    "breast_cancer": Data("breast cancer", 60),
    "moons_700": Data("two moons", 60),
    "circles_600": Data("two circles", 60),
    "spirals_900": Data("three spirals", 60),
    "parity_3of8": Data("parity of 3 of 8", 60),
    "xor_20": Data("XOR with 18 useless columns", 60),
    "quantiles_10": Data("Gaussian quantiles", 60),
    "clusters_6": Data("clusters of 6 classes", 60),
    "classes_20": Data("20 classes", 60),
    "noise_60": Data("60 columns, 5 of use", 60),
    "scales_20": Data("columns of many scales", 60),
}


def load(name: str, seed: int) -> tuple:
    """Return training rows, test rows and their classes."""
    from skmnist.datasets import load_dataset

    if name in ("mnist", "digits_28x28"):
        data = load_dataset(name.partition("_")[0])
        parts = data.train, data.test
        return (*(data.data[p] for p in parts), *(data.target[p] for p in parts))
    tables = benchmark_tables()
    table = next(table for table in tables.TABLES if table.name == name)
    return tables.split(table, seed)


def benchmark_tables():
    """Return the module with the data sets of the benchmark of the defaults."""
    path = DOCS.parent / "benchmarks" / "tables.py"
    spec = importlib.util.spec_from_file_location("tables", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["tables"] = module
    spec.loader.exec_module(module)
    return module


def run_one(name: str, seed: int, options: argparse.Namespace) -> dict:
    """Run a study, fit its peers, and return what the page needs."""
    rows = load(name, seed)
    if options.quick:
        rows = [part[:200] for part in rows]
    X, X_test, y, y_test = rows
    seconds = options.seconds or DATA[name].seconds
    found = {"set": name, "seed": seed, "n_train": len(y), "n_test": len(y_test)}
    found |= {"budget": seconds, **run_study(rows, seed, seconds, name)}
    with warnings.catch_warnings(action="ignore"):
        peers = {"untuned": untuned(seed)}
        if DATA[name].grid:
            peers["grid"] = grid(X, y, seed, seconds, options)
        for peer, make in peers.items():
            started = time.perf_counter()
            classifier, about = make()
            classifier.fit(X, y)
            right = classifier.predict(X_test) == y_test
            found |= {f"{peer}_{n}": value for n, value in about.items()}
            found[peer] = float(right.mean())
            found[f"{peer}_seconds"] = round(time.perf_counter() - started, 1)
    return {**found, **environment()}


def run_study(rows: list, seed: int, seconds: float, name: str) -> dict:
    """Run a study of the default preset."""
    import numpy as np

    from skmnist import study

    X, X_test, y, y_test = rows
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/{name}.npz"
        np.savez(path, x_train=X, y_train=y, x_test=X_test, y_test=y_test)
        config = study.StudyConfig(path, pixels="keep", seed=seed, time_budget=seconds)
        started = time.perf_counter()
        finished = study.run_study(config, f"{folder}/study")
        taken = time.perf_counter() - started
    summary = finished.summary
    return {
        "study": summary.final.test_accuracy,
        "seconds": round(taken, 1),
        "final_seconds": round(summary.final.seconds, 1),
        "final_epochs": summary.final.n_iter,
        "n_parameters": summary.final.n_parameters,
        "n_candidates": summary.n_candidates,
        "n_fits": summary.n_fits,
        "not_tried": summary.not_tried,
        "best_params": summary.best_params,
    }


def untuned(seed: int) -> Callable:
    """Return a function that makes the classifier with its defaults."""
    from skmnist import KerasMLPClassifier
    from skmnist.neural_network import clear_engines

    def make():
        clear_engines()
        return KerasMLPClassifier(random_state=seed), {}

    return make


def grid(X, y, seed: int, seconds: float, options: argparse.Namespace) -> Callable:
    """Return a function that searches the grid of MLPClassifier for so long."""
    from sklearn.model_selection import GridSearchCV

    is_image = X.min() >= 0 and X.max() <= 1

    def make():
        started, best, n = time.perf_counter(), None, 0
        for sizes, alpha, rate in itertools.product(SIZES, ALPHAS, RATES):
            taken = time.perf_counter() - started
            # The fit of the winner on all rows takes about a third of a candidate.
            if n and taken + 1.3 * taken / n > seconds:
                break
            names = ("hidden_layer_sizes", "alpha", "learning_rate_init")
            values = zip(names, ([sizes], [alpha], [rate]), strict=True)
            search = GridSearchCV(
                mlp(seed, is_image),
                {f"mlpclassifier__{name}": value for name, value in values},
                cv=3,
                refit=False,
            ).fit(X, y)
            n += 1
            if best is None or search.best_score_ > best.best_score_:
                best = search
            if options.quick and n == 2:
                break
        classifier = mlp(seed, is_image).set_params(**best.best_params_)
        chosen = {name: str(value) for name, value in best.best_params_.items()}
        return classifier, {"n_candidates": n, "best_params": chosen}

    return make


def mlp(seed: int, is_image: bool):
    """Return scikit-learn's classifier, behind a scaler unless the rows are images."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scaler = "passthrough" if is_image else StandardScaler()
    return make_pipeline(scaler, MLPClassifier(random_state=seed))


def environment() -> dict:
    """Return the machine and the versions of a run."""
    return {
        "date": str(date.today()),
        "cores": os.cpu_count(),
        "threads": os.environ.get("TF_NUM_INTRAOP_THREADS"),
        "load": round(os.getloadavg()[0], 2),
        "versions": {package: version(package) for package in PACKAGES},
    }


def run(results: Path, options: argparse.Namespace) -> None:
    """Make the runs that have no file yet."""
    results.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        for seed in options.seeds or DATA[name].seeds:
            path = results / f"{name}-{seed}.json"
            if path.is_file():
                continue
            found = run_one(name, seed, options)
            temporary = path.with_suffix(".tmp")
            temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            os.replace(temporary, path)
            all_ = [f"{found[n]:.4f}" for n in ("study", *PEERS) if n in found]
            print(name, seed, *all_, f"{found['seconds']} s", flush=True)


def main(argv: list[str] | None = None) -> None:
    """Make missing runs with --run, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--run", action="store_true", help="make missing runs too")
    add("--only", nargs="+", choices=DATA, default=list(DATA), metavar="SET")
    add("--seeds", nargs="+", type=int, help="default: those of each set")
    add("--seconds", type=float, help="time budget; default: that of each set")
    add("--quick", action="store_true", help="small runs, for a test")
    add("--out", default=DOCS, type=Path, help="folder of the page")
    options = parser.parse_args(argv)
    if (options.quick or options.seconds) and options.out == DOCS:
        parser.error("--quick and --seconds need --out: they are not for docs/")
    results = options.out / "results" / "study"
    if options.run:
        run(results, options)
    from study_page import page, read

    text = page(read(results, DATA), DATA, PEERS)
    (options.out / "study.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
