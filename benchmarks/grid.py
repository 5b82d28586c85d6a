"""Many small fits: searches of 60 candidates on the 8x8 digits, and bagged networks."""

# SPDX-License-Identifier: BSD-3-Clause

import itertools
import math
import random
import statistics
import time
from contextlib import ExitStack, nullcontext
from dataclasses import replace

import peers
from timing import Worker, compare, say, spread, table, target, usable_cores

TITLE = "Many small fits"
EPOCHS = 20
FOLDS = 3
WIDTHS = ((50,), (100,), (100, 50))
ACTIVATIONS = ("relu", "tanh")
BATCH_SIZES = (32, 64)
LEARNING_RATES = (0.0003, 0.001, 0.002, 0.005, 0.01)
N_ARCHITECTURES = 60
# Networks of 30-20-2 on the tumours, each on its own bootstrap sample.
BAGGED = peers.Setting((20,), batch_size=32, epochs=EPOCHS)
N_BAGGED = 1000
# So often ours and a quick peer search in turns; each search is a whole one.
REPEATS = 3
LANES = "skmnist, lanes"
# With two processes of joblib.
TWO = {"skmnist, n_jobs=2": "skmnist", "MLPClassifier, n_jobs=2": "MLPClassifier"}
SLOW = ("scikeras", "skorch", "SKLearnClassifier")
PEERS = ("skmnist", "MLPClassifier", *TWO, *SLOW)
# The part of the candidates that a slow peer is timed on, once. A fit of scikeras takes
# seconds, and all 180 of the first grid ten minutes. 0 leaves a peer out.
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
# How many fits of one network run at once, in as many lanes; and that network.
N_AT_ONCE = tuple(2**i for i in range(9))
ALIKE = peers.Setting((50,), batch_size=32, epochs=10)
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


def measure(options):
    """Let ours and each peer in turn search the grids and bag networks."""
    present = peers.present(sorted({TWO.get(name, name) for name in PEERS}))
    names = [name for name in PEERS if TWO.get(name, name) in present]
    samples = {"skipped": sorted(set(PEERS) - set(names))}
    kinds = {"grid": grid_groups(), "architectures": architecture_groups()}
    kinds["bagging"] = [(BAGGED, (0,))]
    for kind, groups in kinds.items():
        if options.quick:
            groups = [(replace(s, epochs=2), rates[:1]) for s, rates in groups[:3]]
        samples[kind] = {}
        for name in names:
            part = _part(groups, PARTS[kind].get(name, 1))
            if part:
                n = 1 if name in SLOW or options.quick else REPEATS
                run = bag if kind == "bagging" else search
                n_bagged = 10 if options.quick else N_BAGGED
                samples[kind][name] = in_turns(name, run, part, n, n_bagged)
                said = samples[kind][name]
                say(f"  {kind}, {name}: {said['theirs']}, ours {said['ours']}")
    samples["at_once"] = at_once(N_AT_ONCE[: 2 if options.quick else None])
    return samples


def at_once(numbers):
    """Return the seconds of some fits at once, by their number."""
    seconds = {}
    with Worker() as worker:
        worker(prepare, LANES)
        for _ in range(REPEATS):
            for n in numbers:
                seconds.setdefault(str(n), []).append(worker(fit_at_once, n))
            say(f"  at once: {seconds}")
    return seconds


def fit_at_once(n):
    """Time some fits of one network that differ in their seeds."""
    import joblib

    import skmnist

    networks = [
        peers.make("skmnist", ALIKE).set_params(random_state=seed) for seed in range(n)
    ]
    started = time.perf_counter()
    with skmnist.lanes(n, n_processes=usable_cores() - 1):
        fit = joblib.delayed(lambda one: one.fit(_DATA["X"], _DATA["y"]))
        joblib.Parallel()(map(fit, networks))
    return time.perf_counter() - started


def in_turns(name, run, groups, n_repeats, n_bagged):
    """Return the seconds of a peer and of ours in lanes, which take turns.

    Each keeps one process, as a notebook would.
    """
    seconds = {LANES: {}, name: {}}
    with ExitStack() as stack:
        workers = {one: stack.enter_context(Worker()) for one in seconds}
        for one, worker in workers.items():
            worker(prepare, one)
        for repeat in range(n_repeats):
            for one in list(seconds)[:: -1 if repeat % 2 else 1]:
                seconds[one][str(repeat)] = workers[one](run, one, groups, n_bagged)
    ours, theirs = seconds.values()
    return {"n_groups": len(groups), "ours": ours, "theirs": theirs}


def _part(groups, part):
    """Draw a part of the groups, the same in every run."""
    if part == 1:
        return groups
    return random.Random(0).sample(groups, math.ceil(part * len(groups)))


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
    peers.make(_peer(name), peers.REPORT)


def search(name, groups, n_bagged):
    """Time a search over the grids of some groups."""
    if name == "SKLearnClassifier" and len(groups) > 1:
        # Its batch size is an argument of `fit`, so a search has one.
        return sum(search(name, [group], n_bagged) for group in groups)
    from sklearn.model_selection import GridSearchCV

    found = [parameters(name, *group) for group in groups]
    whole = GridSearchCV(
        peers.make(_peer(name), groups[0][0]),
        [grid for grid, _ in found],
        cv=FOLDS,
        n_jobs=_n_jobs(name),
        refit=False,
        error_score="raise",
    )
    with peers.quiet():
        started = time.perf_counter()
        with _lanes(name):
            whole.fit(_DATA["X"], _DATA["y"], **found[0][1])
        seconds = time.perf_counter() - started
    if name in TWO:
        _end_processes()
    return seconds


def bag(name, groups, n_bagged):
    """Time the fit of bagged networks."""
    from sklearn.ensemble import BaggingClassifier

    network = peers.make(_peer(name), groups[0][0])
    bagging = BaggingClassifier(network, n_bagged, n_jobs=_n_jobs(name), random_state=0)
    with peers.quiet():
        started = time.perf_counter()
        with _lanes(name):
            bagging.fit(*_DATA["tumours"])
        seconds = time.perf_counter() - started
    if name in TWO:
        _end_processes()
    return seconds


def _peer(name):
    """Return who trains, under the name that `peers` knows."""
    return "skmnist" if name == LANES else TWO.get(name, name)


def _n_jobs(name):
    return None if name == LANES else 1 + (name in TWO)


def _end_processes():
    """End those of joblib: the next search starts its own, and a worker can end."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _lanes(name):
    """Return the block in which a search runs."""
    if name != LANES:
        return nullcontext()
    import skmnist

    # This process is a child, where none would start by itself.
    return skmnist.lanes(n_processes=usable_cores() - 1)


def parameters(name, setting, rates):
    """Return a group's grid under the peer's own names, and arguments of `fit`."""
    name = _peer(name)
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
        ratios, rows = {}, []
        for name, pair in samples[kind].items():
            comparison = compare(caption, name, pair["ours"], pair["theirs"])
            ratios[name] = comparison["ratio"]
            comparisons += [] if _peer(name) == "skmnist" else [comparison]
            rows.append(_row(name, pair, comparison))
        tables.append(table(caption, COLUMNS, rows))
        targets += [
            target(f"{caption}: {name} over ours", ratios.get(name), least=least)
            for name, least in TARGETS[kind].items()
        ]
    tables.append(_growth(samples["at_once"]))
    return {"tables": tables, "comparisons": comparisons, "targets": targets}


def _growth(seconds):
    """Bring the seconds of fits at once to a table."""
    medians = {int(n): statistics.median(times) for n, times in seconds.items()}
    rows = []
    for n, median in medians.items():
        slope = ""
        if n // 2 in medians:
            slope = f"{math.log2(median / medians[n // 2]):.2f}"
        each = f"{1000 * median / n:.1f}"
        rows.append([str(n), spread(seconds[str(n)]), each, slope])
    columns = ("fits at once", "seconds", "ms a fit", "slope since the row above")
    return table("64-50-10, batches of 32, 10 epochs, in lanes", columns, rows)


COLUMNS = ("", "groups of the grid", "seconds", "ours in lanes, s", "slower than ours")


def _row(name, pair, comparison):
    seconds = (spread(pair[who].values()) for who in ("theirs", "ours"))
    return [name, str(pair["n_groups"]), *seconds, f"{comparison['ratio']:.2f}x"]
