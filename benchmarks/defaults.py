r"""Compare our defaults with other classifiers, and try other settings of ours.

    python benchmarks/defaults.py                    # all that has no result yet: hours
    python benchmarks/defaults.py --only mlp realmlp --role judge
    python benchmarks/defaults.py --only ours --role choose --seeds 2 --sets iris wine
    python benchmarks/defaults.py --only ours --role choose --seeds 2 \
        --params '{"epochs": 100}' --out /tmp/epochs-100.jsonl
    python benchmarks/defaults.py --show /tmp/epochs-100.jsonl --role choose
    python benchmarks/defaults.py --seconds          # on a machine without other work

The fourth and fifth try a setting of our classifier, and print its means beside the
committed ones. Finished fits are never repeated: a file with results can be continued.
Without `--out`, results go to `docs/results/defaults/`, one file for each classifier,
and `python benchmarks/defaults_page.py` makes docs/defaults.md from them.

The data sets are in tables.py. Each classifier gets a process of its own, and fits run
one after the other. A seed sets the split of the data and the classifier's random
state. Seconds are the seconds of `fit`, with the building and the compiling of
networks. The imports and a first fit on a few rows do not count.

Accuracies do not depend on other work of the machine, but seconds do. `--seconds` fits
the first seed of each set once more, into `docs/results/defaults/seconds/`. The page
takes the seconds from there if it can.
"""

# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
import logging
import os
import subprocess
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import mean

import timing
from tables import ROLES, TABLES, load, split

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results" / "defaults"
SEEDS = 5
# Probabilities of exactly 0 would make the log loss infinite. 2^-23 is the resolution
# of float32, and the same bound holds for all.
SMALLEST_PROBABILITY = 2.0**-23

# TensorFlow reports the instructions of the processor unless told not to.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@dataclass(frozen=True)
class Peer:
    """A classifier with the settings of its documentation.

    Parameters
    ----------
    title : str
        Its name on the page.
    make : callable
        Takes the seed, the number of columns and the number of classes; returns the
        classifier. Ours takes keyword arguments, too.
    package : str
        The package that must be installed.
    scaled : bool, default=True
        Whether a `StandardScaler` stands before it, except for images.
    network : bool, default=True
        Whether it is a neural network. The others are for orientation.
    """

    title: str
    make: Callable
    package: str
    scaled: bool = True
    network: bool = True


def ours(seed, n_features, n_classes, **params):
    """Return our classifier; no earlier fit has compiled anything for it."""
    from skmnist import KerasMLPClassifier
    from skmnist.neural_network import clear_engines

    clear_engines()
    return KerasMLPClassifier(**params, random_state=seed)


def mlp(seed, n_features, n_classes):
    """Return scikit-learn's classifier with its defaults."""
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(random_state=seed)


def mlp_stopping(seed, n_features, n_classes):
    """Return scikit-learn's classifier with early stopping."""
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(early_stopping=True, random_state=seed)


def scikeras(seed, n_features, n_classes):
    """Return the classifier of scikeras' quick start, which trains one epoch."""
    from scikeras.wrappers import KerasClassifier

    return KerasClassifier(
        scikeras_network,
        loss="sparse_categorical_crossentropy",
        hidden_layer_dim=100,
        random_state=seed,
        verbose=0,
    )


def scikeras_network(hidden_layer_dim, meta):
    """Build the network of scikeras' quick start."""
    import keras

    return keras.Sequential(
        [
            keras.layers.Input(meta["X_shape_"][1:]),
            keras.layers.Dense(meta["n_features_in_"], "relu"),
            keras.layers.Dense(hidden_layer_dim, "relu"),
            keras.layers.Dense(meta["n_classes_"], "softmax"),
        ]
    )


def skorch(seed, n_features, n_classes):
    """Return the classifier of skorch's quick start."""
    import torch
    from skorch import NeuralNetClassifier

    torch.manual_seed(seed)
    return NeuralNetClassifier(
        skorch_network(n_features, n_classes),
        max_epochs=10,
        lr=0.1,
        iterator_train__shuffle=True,
        verbose=0,
    )


def skorch_network(n_features, n_classes):
    """Build the network of skorch's quick start."""
    from torch import nn

    return nn.Sequential(
        nn.Linear(n_features, 10),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(10, 10),
        nn.ReLU(),
        nn.Linear(10, n_classes),
        nn.Softmax(dim=-1),
    )


def realmlp(seed, n_features, n_classes):
    """Return RealMLP-TD-S on the CPU."""
    from pytabkit import RealMLP_TD_S_Classifier

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    return RealMLP_TD_S_Classifier(
        device="cpu", random_state=seed, n_threads=n_threads()
    )


def logistic(seed, n_features, n_classes):
    """Return a linear model."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


def boosting(seed, n_features, n_classes):
    """Return boosted trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(random_state=seed)


PEERS = {
    "ours": Peer("KerasMLPClassifier", ours, "skmnist", scaled=False),
    "ours_scaled": Peer("KerasMLPClassifier, columns scaled", ours, "skmnist"),
    "mlp": Peer("MLPClassifier", mlp, "sklearn"),
    "mlp_stopping": Peer("MLPClassifier with early stopping", mlp_stopping, "sklearn"),
    "scikeras": Peer("scikeras' quick start", scikeras, "scikeras"),
    "skorch": Peer("skorch's quick start", skorch, "skorch"),
    "realmlp": Peer("RealMLP-TD-S", realmlp, "pytabkit", scaled=False),
    "logistic": Peer("LogisticRegression", logistic, "sklearn", network=False),
    "boosting": Peer("HistGradientBoosting", boosting, "sklearn", network=False),
}
DISTRIBUTIONS = {"sklearn": "scikit-learn"}

# Slow fits run with fewer seeds; the page says so.
FEWER_SEEDS = {
    ("realmlp", "mnist_60000"): 1,
    ("realmlp", "rows_100000"): 1,
    ("realmlp", "rows_30000"): 2,
    ("boosting", "mnist_60000"): 1,
    ("boosting", "mnist_10000"): 2,
    ("mlp", "rows_100000"): 3,
    ("logistic", "mnist_60000"): 2,
}


def n_threads():
    """Return the number of threads of this process."""
    return int(os.environ.get("OMP_NUM_THREADS", timing.usable_cores()))


def n_seeds(peer, table):
    """Return how many seeds a complete result has."""
    if peer == "ours_scaled" and not table.name.startswith("scales"):
        return 0  # it shows what a scaler brings where scales differ
    return FEWER_SEEDS.get((peer, table.name), SEEDS)


def run_peer(name, wanted, path, params=None):
    """Run the fits of a peer that have no result yet.

    Parameters
    ----------
    name : str
        A key of `PEERS`.
    wanted : list of (Table, seed)
        The fits.
    path : Path
        A file with one JSON record in each line; new ones are appended.
    params : dict, default=None
        Parameters of our classifier.
    """
    params = params or {}
    done = {(r["set"], r["peer"], r["seed"], str(r["params"])) for r in records(path)}
    wanted = [
        (table, seed)
        for table, seed in wanted
        if (table.name, name, seed, str(params)) not in done
    ]
    if not wanted:
        return
    warm_up(name, params)
    path.parent.mkdir(parents=True, exist_ok=True)
    for table, seed in wanted:
        found = {
            "set": table.name,
            "peer": name,
            "seed": seed,
            "params": params,
            **run_one(name, split(table, seed), seed, table.image, params),
            "n_features": load(table)[0].shape[1],
            **environment(PEERS[name].package),
        }
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
        line = "{set}, seed {seed}, {peer}: {accuracy:.4f}, {log_loss:.4f}, {seconds} s"
        print(line.format(**found), flush=True)


def run_one(name, data, seed, image, params):
    """Fit a classifier, and score it on the test rows."""
    import numpy as np

    X, X_test, y, y_test = data
    if name in ("scikeras", "skorch"):
        # Their quick starts cast to float32, too.
        X, X_test = np.float32(X), np.float32(X_test)
    n_classes = int(y.max()) + 1
    classifier = PEERS[name].make(seed, X.shape[1], n_classes, **params)
    if PEERS[name].scaled and not image:
        classifier = behind_a_scaler(classifier)
    with quiet():
        before = time.perf_counter()
        classifier.fit(X, y)
        seconds = time.perf_counter() - before
        probabilities = classifier.predict_proba(X_test)
    return {
        **judged(probabilities, y_test),
        "seconds": round(seconds, 3),
        "n_train": len(y),
        "n_test": len(y_test),
        "n_classes": n_classes,
    }


def judged(probabilities, y):
    """Return the accuracy and the log loss."""
    import numpy as np

    probabilities = np.asarray(probabilities, dtype=float)
    right = probabilities.argmax(axis=1) == y
    of_true = probabilities[np.arange(len(y)), y]
    # A probability that is not a number is as bad as 0.
    of_true = np.clip(np.nan_to_num(of_true), SMALLEST_PROBABILITY, 1)
    loss = -np.log(of_true).mean()
    return {"accuracy": float(right.mean()), "log_loss": round(float(loss), 6)}


def behind_a_scaler(classifier):
    """Return the classifier with a `StandardScaler` before it."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), classifier)


def warm_up(name, params):
    """Fit a few rows, so that imports and first calls are not timed."""
    from sklearn.datasets import make_classification

    X, y = make_classification(200, 5, random_state=0)
    run_one(name, (X, X, y, y), 0, image=False, params={**params})


def quiet():
    """Return a context without warnings that a fit has not converged."""
    return warnings.catch_warnings(action="ignore")


def environment(package):
    """Return the machine and the version of a fit."""
    return {
        "date": str(date.today()),
        "version": version(DISTRIBUTIONS.get(package, package)),
        "cores": timing.usable_cores(),
        "threads": n_threads(),
        "load": timing.load(),
    }


def records(path):
    """Read the records of a file; there may be none."""
    path = Path(path)
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def committed(results=RESULTS):
    """Read the records of all peers."""
    return [found for name in PEERS for found in records(results / f"{name}.jsonl")]


def chosen_tables(options):
    """Return the data sets that were asked for, small ones first."""
    chosen = [
        table
        for table in TABLES
        if table.role in options.role and table.name in options.sets
    ]
    return sorted(chosen, key=lambda table: table.rows)


def show(runs, options):
    """Print the mean accuracy, log loss and seconds of each set and classifier."""
    cells = defaultdict(list)
    for one in runs:
        label = one["peer"] if not one["params"] else json.dumps(one["params"])
        cells[one["set"], label].append(one)
    labels = list(dict.fromkeys(label for _, label in cells))
    head = [f"({i})" for i in range(len(labels))]
    for mark, label in zip(head, labels, strict=True):
        print(mark, label)
    print_row("accuracy %, log loss, s", head)
    for table in chosen_tables(options):
        print_row(table.name, [summary(cells[table.name, label]) for label in labels])


def print_row(name, cells):
    """Print a row of a table in columns."""
    print(f"{name:24}", *(f"{cell:>18}" for cell in cells))


def summary(runs):
    """Return the means of some runs as text."""
    if not runs:
        return "-"
    accuracy, loss, seconds = (
        mean(one[name] for one in runs) for name in ("accuracy", "log_loss", "seconds")
    )
    return f"{100 * accuracy:.2f} {loss:.3f} {seconds:.1f}"


def main(argv=None):
    """Run what was asked for, one process for each classifier."""
    options = parser().parse_args(argv)
    if options.show is not None:
        tried = [one for path in options.show for one in records(path)]
        show(committed() + tried, options)
        return 0
    if options.params and (options.only != ["ours"] or not options.out):
        parser().error("--params needs --only ours and --out")
    if options.here:
        run_here(options.only[0], options)
        return 0
    failed = []
    argv = sys.argv[1:] if argv is None else argv
    for name in options.only:
        if find_spec(PEERS[name].package) is None:
            print(f"{name}: {PEERS[name].package} is not installed", file=sys.stderr)
        elif code := run_in_a_process(name, options, argv):
            failed.append(f"{name} (exit status {code})")
    if failed:
        print(f"Failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def run_in_a_process(name, options, argv):
    """Run one classifier with the same options; libraries read the threads at start."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    threads = dict.fromkeys(names if options.threads else (), str(options.threads))
    command = [sys.executable, __file__, *argv, "--here", "--only", name]
    return subprocess.run(command, env=os.environ | threads).returncode


def run_here(name, options):
    """Run the fits of one classifier in this process."""
    folder = RESULTS / "seconds" if options.seconds else RESULTS
    path = Path(options.out or folder / f"{name}.jsonl")
    most = 1 if options.seconds else options.seeds
    wanted = []
    for table in chosen_tables(options):
        if table.present:
            seeds = min(most, n_seeds(name, table))
            wanted += [(table, seed) for seed in range(seeds)]
        else:
            print(f"{table.name}: {table.package} is not installed", file=sys.stderr)
    run_peer(name, wanted, path, json.loads(options.params or "{}"))


def parser():
    """Return the parser of the command line."""
    names = [table.name for table in TABLES]
    result = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = result.add_argument
    add("--only", nargs="+", choices=PEERS, default=list(PEERS), metavar="PEER")
    add("--role", nargs="+", choices=ROLES, default=ROLES, metavar="ROLE")
    add("--sets", nargs="+", choices=names, default=names, metavar="SET")
    add("--seeds", type=int, default=SEEDS, help="how many; the first is 0")
    add("--threads", type=int, help="default: what each library takes")
    add("--seconds", action="store_true", help="fit the first seed again, for its time")
    add("--params", help="JSON with parameters of our classifier")
    add("--out", help="file for the records")
    add("--show", nargs="*", metavar="FILE", help="print means; run nothing")
    add("--here", action="store_true", help=argparse.SUPPRESS)
    return result


if __name__ == "__main__":
    sys.exit(main())
