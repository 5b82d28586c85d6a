"""The whole study of MNIST, against the same candidates over plain scikeras.

Takes the better part of an hour, so it keeps what it has in build/benchmarks/ and
goes on from there if it is cut off.
"""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from timing import Worker, say, spread, table, target, usable_cores

TITLE = "The whole study"
ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "build" / "benchmarks"
COMMAND = "study --preset {preset} --dataset {dataset} --protocol holdout --quiet"
COMMAND += " --no-baselines"
FULL = {"preset": "report", "dataset": "mnist"}
QUICK = {"preset": "quick", "dataset": "digits"}
N_JOBS = (1, 2)
# Ours before, between and after the halves of scikeras' candidates, so that no
# drift of the machine over an hour favours anybody.
SCHEDULE = ("ours", "first half", "ours", "second half", "ours")
# A sample is for when there is no hour.
SHORT_SCHEDULE = ("ours", "first half", "second half")
MEGABYTE = 2**20
MOST_MINUTES, MOST_GB, LEAST = 6, 2.5, 4


def measure(options):
    """Run our study and time the candidates of its first run on scikeras."""
    state = State("quick" if options.quick else "full")
    schedule = SHORT_SCHEDULE if options.sample else SCHEDULE
    schedule = schedule[:2] if options.quick else schedule
    for number, step in enumerate(schedule):
        if step == "ours":
            for n_jobs in N_JOBS:
                run_ours(state, number, n_jobs, options.quick)
        else:
            run_scikeras(state, step, options)
    samples = {
        "ours": list(state["ours"].values()),
        "scikeras": state["scikeras"],
        "candidates": candidates(state.study),
        "sampled": options.sample,
        "cores": usable_cores(),
    }
    state.remove()
    return samples


class State:
    """What has been measured so far, in a file.

    Runs of ours are dropped when our sources have changed since; the timings of
    scikeras stay and say when they were taken.
    """

    def __init__(self, name):
        self.folder = KEPT / f"study-{name}"
        self.study = self.folder / "study"  # of the first run
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / "state.json"
        self.values = {"sources": sources(), "ours": {}, "scikeras": {}}
        if self.path.exists():
            kept = json.loads(self.path.read_text())
            self.values["scikeras"] = kept["scikeras"]
            if kept["sources"] == self.values["sources"]:
                self.values["ours"] = kept["ours"]
            say(f"  Goes on from {self.path.relative_to(ROOT)}; remove it to restart.")

    def __getitem__(self, part):
        return self.values[part]

    def keep(self, part, key, value):
        """Add a measurement and write the file."""
        self.values[part][key] = value
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.values, indent=1))
        os.replace(temporary, self.path)

    def remove(self):
        """Remove the file: the next run starts anew."""
        self.path.unlink(missing_ok=True)


def sources():
    """Return a digest of the package's modules."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "skmnist").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def run_ours(state, number, n_jobs, quick):
    """Run the command and watch its memory."""
    from skmnist.study import read_study

    key = f"{number}-{n_jobs}"
    if key in state["ours"]:
        return
    first = number == 0 and n_jobs == 1
    out = state.study if first else state.folder / f"study-{key}"
    shutil.rmtree(out, ignore_errors=True)
    arguments = COMMAND.format(**(QUICK if quick else FULL)).split()
    arguments += ["--epochs", "2"] if quick else []
    arguments += ["--n-jobs", str(n_jobs), "--out", str(out)]
    result = watch([sys.executable, "-m", "skmnist", *arguments], f"{out}.log")
    say(f"  ours, n_jobs={n_jobs}: {result['seconds']:.0f} s")
    summary = read_study(out).summary
    found = {
        "n_jobs": n_jobs,
        **result,
        "n_candidates": summary.n_candidates,
        "test_accuracy": summary.final.test_accuracy,
        "date": today(),
    }
    state.keep("ours", key, found)
    if not first:
        shutil.rmtree(out)


def watch(command, log):
    """Run a command; return its seconds and the most memory of all its processes.

    Once with the pages that processes share counted in each (the sum of resident
    sets), once with each page counted once.
    """
    import psutil

    most, started = [0, 0], time.perf_counter()
    with open(log, "w") as file:
        running = psutil.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        while running.poll() is None:
            most = [*map(max, most, resident(running))]
            # Once a second: counting the pages of a process holds it up a little.
            with contextlib.suppress(psutil.TimeoutExpired):
                running.wait(1)
    seconds = time.perf_counter() - started
    if running.returncode:
        raise RuntimeError(f"{command} failed, see {log}")
    resident_mb, peak_mb = (value / MEGABYTE for value in most)
    return {"seconds": seconds, "resident_mb": resident_mb, "peak_mb": peak_mb}


def resident(process):
    """Return the bytes of a process and those it started: resident, proportional."""
    import psutil

    total, proportional = 0, 0
    for one in [process, *_children(process)]:
        # Processes end while they are counted.
        try:
            memory = one.memory_full_info()
        except psutil.NoSuchProcess:
            continue
        total += memory.rss
        # Only Linux shares a page out among the processes that have it.
        proportional += getattr(memory, "pss", memory.rss)
    return total, proportional


def _children(process):
    import psutil

    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def candidates(folder):
    """List the candidates of a study, stage by stage, and the final model.

    A candidate that a stage has from an earlier one is there again: a grid
    search of that stage would fit it again.
    """
    from skmnist.study import read_study

    study = read_study(folder)
    rows = [{"stage": row.stage, **row.params} for row in study.rows]
    last = next(stage for stage in study.stages if stage.name == "epochs")
    return [*rows, {"stage": "final", **study.winner_of(last).params}]


def run_scikeras(state, step, options):
    """Time half of the candidates, one after another, in one process."""
    known = candidates(state.study)
    search, final = list(range(len(known) - 1)), len(known) - 1
    if options.sample:
        # The final model is always among them: it is counted once, not scaled.
        chosen = sorted(random.Random(0).sample(search, options.sample))
    else:
        chosen = search[:2] if options.quick else search
    chosen = [*chosen, final]
    half = len(chosen) // 2
    chosen = chosen[:half] if step == "first half" else chosen[half:]
    if options.quick:
        chosen = [*chosen, final]
    missing = [i for i in chosen if key_of(i, known[i]) not in state["scikeras"]]
    if not missing:
        return
    dataset = (QUICK if options.quick else FULL)["dataset"]
    with Worker() as worker:
        worker(prepare, dataset)
        for i in missing:
            key, is_final = key_of(i, known[i]), i == final
            found = worker(fit_candidate, known[i], is_final)
            state.keep("scikeras", key, {**found, "date": today()})
            say(f"  scikeras, {i + 1} of {len(known)}: {found['seconds']:.1f} s")


def key_of(number, candidate):
    """Name a candidate; its parameters are in it, a winner may change them."""
    return json.dumps([number, candidate])


def today():
    """Return the date."""
    return datetime.now(UTC).date().isoformat()


_DATA = {}  # in scikeras' process


def prepare(dataset):
    """Load the data and import what the searches need."""
    import scikeras.wrappers  # noqa: F401
    from sklearn.model_selection import GridSearchCV  # noqa: F401

    from skmnist.datasets import load_dataset

    data = load_dataset(dataset)
    _DATA["X"], _DATA["y"] = data.data[data.train], data.target[data.train]


def fit_candidate(candidate, final):
    """Time a grid search of one candidate, or the fit of the final model."""
    import psutil
    from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit

    # The split of the study's "holdout" protocol.
    cv = StratifiedShuffleSplit(1, test_size=1 / 6, random_state=0)
    classifier = plain_scikeras(candidate)
    grid = {"batch_size": [candidate["batch_size"]]}
    search = GridSearchCV(
        classifier, grid, cv=cv, n_jobs=1, refit=False, error_score="raise"
    )
    started = time.perf_counter()
    (classifier if final else search).fit(_DATA["X"], _DATA["y"])
    seconds = time.perf_counter() - started
    accuracy = None if final else float(search.cv_results_["mean_test_score"][0])
    resident_mb = psutil.Process().memory_info().rss / MEGABYTE
    return {"seconds": seconds, "accuracy": accuracy, "resident_mb": resident_mb}


def plain_scikeras(candidate):
    """Return scikeras' classifier with a candidate's parameters."""
    import keras
    from scikeras.wrappers import KerasClassifier

    depth = candidate["depth"]
    layers = {
        name: _per_layer(candidate[name], depth)
        for name in ("widths", "activations", "initializers")
    }
    return KerasClassifier(
        model=network,
        **{f"model__{name}": values for name, values in layers.items()},
        model__output_initializer=candidate["output_initializer"],
        loss="sparse_categorical_crossentropy",
        optimizer=candidate["optimizer"],
        metrics=["accuracy"],
        batch_size=candidate["batch_size"],
        epochs=candidate["epochs"],
        validation_split=candidate["validation_split"],
        callbacks=keras.callbacks.EarlyStopping,
        callbacks__patience=1,
        callbacks__restore_best_weights=True,
        verbose=0,
    )


def network(widths, activations, initializers, output_initializer, meta):
    """Build what scikeras compiles."""
    import keras

    hidden = [
        keras.layers.Dense(width, activation, kernel_initializer=initializer)
        for width, activation, initializer in zip(
            widths, activations, initializers, strict=True
        )
    ]
    output = keras.layers.Dense(
        meta["n_classes_"], "softmax", kernel_initializer=output_initializer
    )
    inputs = keras.layers.Input((meta["n_features_in_"],))
    return keras.Sequential([inputs, *hidden, output])


def _per_layer(value, depth):
    return tuple(value) if isinstance(value, list | tuple) else (value,) * depth


def scikeras_total(samples):
    """Return the seconds of all candidates and the final model, and how many ran.

    Where only a sample of the candidates was timed, its mean stands for all.
    """
    known = samples["candidates"]
    timed = [
        samples["scikeras"][key]["seconds"]
        for key in (key_of(i, one) for i, one in enumerate(known[:-1]))
        if key in samples["scikeras"]
    ]
    final = samples["scikeras"][key_of(len(known) - 1, known[-1])]["seconds"]
    return (len(known) - 1) * sum(timed) / len(timed) + final, len(timed)


def summarize(samples):
    """Bring the samples to a table, comparisons and targets."""
    theirs, n_timed = scikeras_total(samples)
    n_candidates = len(samples["candidates"]) - 1
    rows, comparisons, targets = [], [], []
    for n_jobs in N_JOBS:
        mine = [run for run in samples["ours"] if run["n_jobs"] == n_jobs]
        seconds = sorted(run["seconds"] for run in mine)
        middle = seconds[len(seconds) // 2]
        ratio = theirs / middle
        comparison = {"case": f"study, n_jobs={n_jobs}", "peer": "scikeras"}
        comparison |= {"ours": middle, "theirs": theirs, "ratio": ratio}
        comparison |= {"ratio_quartiles": [ratio, ratio], "n": len(mine)}
        comparisons.append({**comparison, "bound": False})
        rows.append(_row(n_jobs, mine, ratio))
        on = f"n_jobs={n_jobs}, {samples['cores']} cores"
        peak = max(run["peak_mb"] for run in mine) / 1000
        targets += [
            target(f"{on}: scikeras over ours", ratio, least=LEAST),
            target(f"{on}: time", middle / 60, most=MOST_MINUTES, unit="min"),
            target(f"{on}: most memory", peak, most=MOST_GB, unit="GB"),
        ]
    rows.append(_scikeras_row(samples, theirs, n_timed, n_candidates))
    columns = ("", "runs", "minutes", *MEMORY, "scikeras takes")
    tables = [table(f"{n_candidates} candidates and the final model", columns, rows)]
    return {
        "tables": tables,
        "comparisons": comparisons,
        "targets": targets,
        "remarks": _remarks(samples, n_timed, n_candidates),
    }


MEMORY = ("most memory, GB", "sum of resident sets, GB")


def _row(n_jobs, runs, ratio):
    memory = [
        f"{max(run[which] for run in runs) / 1000:.2f}"
        for which in ("peak_mb", "resident_mb")
    ]
    minutes = spread((run["seconds"] for run in runs), 1 / 60)
    name = f"`skmnist study --n-jobs {n_jobs}`"
    return [name, str(len(runs)), minutes, *memory, f"{ratio:.2f}x"]


def _scikeras_row(samples, theirs, n_timed, n_candidates):
    peak = max(one["resident_mb"] for one in samples["scikeras"].values()) / 1000
    estimated = "" if n_timed == n_candidates else "~"
    name = "`GridSearchCV` over scikeras, `n_jobs=1`"
    return [name, "1", f"{estimated}{theirs / 60:.2f}", *[f"{peak:.2f}"] * 2, ""]


def _remarks(samples, n_timed, n_candidates):
    remarks = []
    if n_timed < n_candidates:
        remarks.append(
            f"scikeras was timed on {n_timed} candidates drawn at random; their mean "
            f"stands for all {n_candidates}."
        )
    dates = {one["date"] for one in samples["ours"]}
    dates |= {one["date"] for one in samples["scikeras"].values()}
    if len(dates) > 1:
        remarks.append(f"Measured in pieces, from {min(dates)} to {max(dates)}.")
    return remarks
