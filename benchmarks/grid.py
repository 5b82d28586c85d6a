"""Many small fits: searches of 60 candidates on the 8x8 digits, and bagged networks."""

# SPDX-License-Identifier: BSD-3-Clause

import itertools
import math
import random
import time
from contextlib import ExitStack, nullcontext
from dataclasses import replace

import peers
from timing import Worker, compare, say, spread, table, target

TITLE = "Many small fits"
EPOCHS = 20
FOLDS = 3
WIDTHS = ((50,), (100,), (100, 50))
ACTIVATIONS = ("relu", "tanh")
BATCH_SIZES = (32, 64)
LEARNING_RATES = (0.0003, 0.001, 0.002, 0.005, 0.01)
N_ARCHITECTURES = 60
# Networks of 30-20-2 on the tumours, each on its own bootstrap sample, in parts.
BAGGED = peers.Setting((20,), batch_size=32, epochs=EPOCHS)
N_BAGS, N_PER_BAG = 10, 100
LANES = "skmnist, lanes"
ORDER = ("skmnist", LANES, "MLPClassifier", "scikeras", "skorch", "SKLearnClassifier")
# The part of a grid's groups that a peer is timed on; what is not named, on all. A
# fit of scikeras takes seconds, and all 180 of the first grid ten minutes.
PARTS = {
    "grid": {"scikeras": 1 / 3, "skorch": 1 / 6, "SKLearnClassifier": 1 / 6},
    "architectures": {"scikeras": 1 / 6, "skorch": 0, "SKLearnClassifier": 0},
    "bagging": {"scikeras": 0, "skorch": 0, "SKLearnClassifier": 0},
}
CAPTIONS = {
    "grid": "60 candidates, 3 architectures",
    "architectures": "60 candidates, 60 architectures",
    "bagging": "1,000 bagged networks",
}
# How many times as long others take at least.
TARGETS = {
    "grid": {"MLPClassifier": 6, "scikeras": 50},
    "architectures": {"MLPClassifier": 2, "scikeras": 15},
    "bagging": {"MLPClassifier": 10},
}
_DATA = {}  # in the process of each peer


def grid_groups():
    """List the groups of the first grid; a group's candidates are its rates."""
    return [
        (peers.Setting(widths, activation, batch_size, epochs=EPOCHS), LEARNING_RATES)
        for widths, activation, batch_size in itertools.product(
            WIDTHS, ACTIVATIONS, BATCH_SIZES
        )
    ]


def architecture_groups():
    """List 60 different architectures of one to three layers, a group each."""
    rng, found = random.Random(0), {}
    while len(found) < N_ARCHITECTURES:
        depth = 1 + len(found) % 3
        found[tuple(rng.randint(16, 128) for _ in range(depth))] = None
    return [(peers.Setting(w, batch_size=32, epochs=EPOCHS), (0.001,)) for w in found]


def bagging_groups():
    """List the parts of the bagged networks; the number is the random state of each."""
    return [(BAGGED, (seed,)) for seed in range(N_BAGS)]


def measure(options):
    """Search both grids group by group and bag networks, the peers in turns."""
    present = peers.present(ORDER)
    samples = {"skipped": sorted(set(ORDER) - set(present))}
    kinds = {
        "grid": grid_groups(),
        "architectures": architecture_groups(),
        "bagging": bagging_groups(),
    }
    for kind, groups in kinds.items():
        if options.quick:
            groups = [(replace(s, epochs=2), rates[:1]) for s, rates in groups[:3]]
        run = bag if kind == "bagging" else search
        samples[kind] = run_in_turns(present, groups, PARTS[kind], run)
        for name, seconds in samples[kind].items():
            say(f"  {kind}, {name}: {sum(seconds.values()):.0f} s")
    return samples


def run_in_turns(names, groups, parts, run):
    """Return the seconds of each group, by name and number of the group.

    Each peer keeps one process, as a search with ``n_jobs=1`` would.
    """
    chosen = {name: _part(len(groups), parts.get(name, 1)) for name in names}
    seconds = {name: {} for name in names if chosen[name]}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(Worker()) for name in seconds}
        for name, worker in workers.items():
            worker(prepare, name)
        for number, (setting, rates) in enumerate(groups):
            turn = list(seconds)[:: -1 if number % 2 else 1]
            for name in (name for name in turn if number in chosen[name]):
                seconds[name][str(number)] = workers[name](run, name, setting, rates)
    return seconds


def _part(n_groups, part):
    """Draw a part of the groups, the same in every run.

    The first one is among them: what a process does once is then in everybody's.
    """
    if part == 0:
        return []
    rest = range(1, n_groups)
    return [0, *sorted(random.Random(0).sample(rest, math.ceil(part * n_groups) - 1))]


def prepare(name):
    """Load the data and import what the searches need."""
    import numpy as np
    from sklearn.datasets import load_breast_cancer, load_digits
    from sklearn.ensemble import BaggingClassifier  # noqa: F401
    from sklearn.model_selection import GridSearchCV  # noqa: F401
    from sklearn.preprocessing import StandardScaler

    X, y = load_digits(return_X_y=True)
    _DATA["X"], _DATA["y"] = (X / 16).astype(np.float32), y
    X, y = load_breast_cancer(return_X_y=True)
    _DATA["tumours"] = StandardScaler().fit_transform(X).astype(np.float32), y
    peers.make(name, peers.REPORT)


def search(name, setting, rates):
    """Time one group's search."""
    from sklearn.model_selection import GridSearchCV

    grid, fit_params = parameters(name, setting, rates)
    search = GridSearchCV(
        peers.make(name, setting),
        grid,
        cv=FOLDS,
        n_jobs=None if name == LANES else 1,
        refit=False,
        error_score="raise",
    )
    with peers.quiet(), _lanes(name):
        started = time.perf_counter()
        search.fit(_DATA["X"], _DATA["y"], **fit_params)
        return time.perf_counter() - started


def bag(name, setting, seeds):
    """Time the fit of bagged networks."""
    from sklearn.ensemble import BaggingClassifier

    n_jobs = None if name == LANES else 1
    (seed,) = seeds
    bagging = BaggingClassifier(
        peers.make(name, setting), N_PER_BAG, n_jobs=n_jobs, random_state=seed
    )
    with peers.quiet(), _lanes(name):
        started = time.perf_counter()
        bagging.fit(*_DATA["tumours"])
        return time.perf_counter() - started


def _lanes(name):
    """Return the block in which a search runs."""
    if name != LANES:
        return nullcontext()
    import skmnist

    return skmnist.lanes()


def parameters(name, setting, rates):
    """Return a group's grid under the peer's own names, and arguments of `fit`."""
    name = "skmnist" if name == LANES else name
    per_peer = {
        "skmnist": {
            "depth": [len(setting.widths)],
            "widths": [setting.widths],
            "activations": [setting.activation],
            "learning_rate": rates,
        },
        "scikeras": {
            "model__widths": [setting.widths],
            "model__activation": [setting.activation],
            "optimizer__learning_rate": rates,
        },
        "MLPClassifier": {
            "hidden_layer_sizes": [setting.widths],
            "activation": [setting.activation],
            "learning_rate_init": rates,
        },
        "skorch": {
            "module__widths": [setting.widths],
            "module__activation": [setting.activation],
            "module__n_features": [64],
            "lr": rates,
        },
        "SKLearnClassifier": {
            "model_kwargs": [
                {
                    "widths": setting.widths,
                    "activation": setting.activation,
                    "learning_rate": rate,
                }
                for rate in rates
            ]
        },
    }
    grid = {key: list(values) for key, values in per_peer[name].items()}
    if name == "SKLearnClassifier":
        # Its clones lose `fit_kwargs`, so a search must pass them itself.
        fitting = {"batch_size": setting.batch_size, "epochs": setting.epochs}
        return grid, {**fitting, "verbose": 0}
    return {**grid, "batch_size": [setting.batch_size]}, {}


def summarize(samples):
    """Bring the samples to tables, comparisons and targets."""
    tables, comparisons, targets = [], [], []
    for kind, caption in CAPTIONS.items():
        seconds, totals = samples[kind], {}
        rows = []
        for name, theirs in seconds.items():
            comparison = of_same_groups(caption, name, seconds[LANES], theirs)
            totals[name] = comparison["ratio"]
            comparisons += [comparison] if name not in ("skmnist", LANES) else []
            rows.append(_row(name, theirs, comparison))
        tables.append(table(caption, COLUMNS, rows))
        targets += [
            target(f"{caption}: {name} over ours", totals.get(name), least=least)
            for name, least in TARGETS[kind].items()
        ]
    return {"tables": tables, "comparisons": comparisons, "targets": targets}


def of_same_groups(caption, name, ours, theirs):
    """Compare sums: a grid takes as long as all its groups together."""
    comparison = compare(caption, name, ours, theirs)
    ours = sum(ours[group] for group in theirs)
    theirs = sum(theirs.values())
    return {**comparison, "ours": ours, "theirs": theirs, "ratio": theirs / ours}


COLUMNS = (
    "",
    "parts of the grid timed",
    "seconds, sum",
    "ours on the same parts, s",
    "slower than ours",
    "one part, s",
)


def _row(name, theirs, comparison):
    ratio = "" if name == LANES else f"{comparison['ratio']:.2f}x"
    sums = (f"{comparison['theirs']:.1f}", f"{comparison['ours']:.1f}")
    return [name, str(len(theirs)), *sums, ratio, spread(theirs.values())]
