"""Write docs/findings.md: which of the report's decisions hold over many seeds.

    python docs/findings.py            # write the page from the committed runs
    python docs/findings.py --run      # first make the missing runs; needs MNIST
    python docs/findings.py --quick --results DIR    # a small page, on the digits

`make findings` calls the second. You can stop it; it goes on at the next call.
"""

# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from skmnist import compare, holm
from skmnist._format import as_p_value
from skmnist.datasets import load_dataset
from skmnist.reporting import Table, markdown_table, reported_rows
from skmnist.study import pin_threads, read_study, report_base_params

DOCS = Path(__file__).parent
RESULTS = DOCS / "results" / "findings"
N_SEEDS = 10
LEVEL = 0.05
# The number of threads changes the rounding, and so the runs.
THREADS = 1

# The parameters that the report had chosen before its later decisions.
SHAPED = {"widths": (600, 200)}
INITIALIZED = {**SHAPED, "initializers": "he_normal"}
# A fixed number of epochs, on the same training rows as under early stopping.
UNSTOPPED = {"patience": 1000, "min_train_loss": None, "restore_best_weights": False}


@dataclass(frozen=True)
class Decision:
    """One of the report's eight decisions.

    Parameters
    ----------
    stage : str
        The name of its stage.
    heading : str
        The report's choice, in words.
    reason : str
        The report's reason for it.
    candidates : dict of str to dict
        Parameters by name. The first candidate is the report's choice.
    """

    stage: str
    heading: str
    reason: str
    candidates: dict


DECISIONS = (
    Decision(
        "depth_width",
        "Two layers of 400",
        "the most accurate of 13 candidates. 500 units “seem to be overfitting”; three "
        "and four layers “don't have much improvement”.",
        {
            "2 x 400": {},
            "2 x 200": {"widths": 200},
            "2 x 500": {"widths": 500},
            "3 x 400": {"depth": 3},
            "4 x 400": {"depth": 4},
        },
    ),
    Decision(
        "activations",
        "ReLU in both layers",
        "the most accurate of nine pairs.",
        {
            "relu, relu": {},
            "relu, tanh": {"activations": ("relu", "tanh")},
            "tanh, tanh": {"activations": "tanh"},
            "sigmoid, sigmoid": {"activations": "sigmoid"},
        },
    ),
    Decision(
        "node_distribution",
        "600 and 200 rather than 400 and 400",
        "98.15 % against 98.14 %: “decreasing the number of nodes toward output works "
        "better”.",
        {
            "600, 200": SHAPED,
            "400, 400": {},
            "200, 600": {"widths": (200, 600)},
            "700, 100": {"widths": (700, 100)},
        },
    ),
    Decision(
        "batch_size",
        "Batches of 64",
        "“Low overfitting and high accuracy”; the most accurate small batch size.",
        {
            f"batch {size}": {**SHAPED, "batch_size": size}
            for size in (64, 32, 128, 256, 512)
        },
    ),
    Decision(
        "validation_split",
        "A tenth for validation",
        "“The number in the middle.”",
        {
            f"split {split}": {**SHAPED, "validation_split": split}
            for split in (0.1, 0.05, 0.2)
        },
    ),
    Decision(
        "initializers",
        "With initializers",
        "“No significant difference”, but He's normal initializer is recommended for "
        "ReLU. Keras' default is Glorot's uniform initializer.",
        {"he_normal": INITIALIZED, "glorot_uniform": SHAPED},
    ),
    Decision(
        "optimizer",
        "Adam",
        "the most accurate of four optimizers.",
        {
            name: {**INITIALIZED, "optimizer": name}
            for name in ("adam", "rmsprop", "sgd", "adagrad")
        },
    ),
    Decision(
        "epochs",
        "Seven epochs",
        "the validation loss began to rise there. But the network seems to have "
        "trained on these validation images. Below, *first rise* stops at the first "
        "rise on images that the network did not train on.",
        {
            "7 epochs": {**INITIALIZED, **UNSTOPPED, "epochs": 7},
            "first rise": INITIALIZED,
            "20 epochs": {**INITIALIZED, **UNSTOPPED, "epochs": 20},
        },
    ),
)
# Small enough for the tests.
QUICK = {
    "dataset": "digits",
    "n_seeds": 2,
    "stages": ("validation_split", "initializers"),
    "epochs": 2,
}

PLANNED = f"""

**Some runs are missing**: {N_SEEDS} runs of each candidate are planned. So few runs
show only large differences, and most questions stay open."""

INTRODUCTION = """\
# Which of the report's decisions stand

The report "MNIST Deep Learning" made eight decisions. For each decision it ran each
candidate once and compared accuracies with two decimals. Here each candidate runs
{n_runs} times. The runs of a candidate differ only in the seed of the weights, the
validation images and the order of the rows.{planned}

To make this page, run

    make findings

It uses the runs in `docs/results/findings/` and makes only missing runs. `python
docs/findings.py` writes the page without training.

Each run trains on {n_train:,} rows of {data}. The network holds out a tenth of them to
decide when to stop (patience 1). The {n_test:,} test rows then judge the run. They do
not choose anything here. All other parameters are as in the report at that stage.

**How to read the tables.**

- *Mean* is the mean accuracy over the runs ± the standard deviation of one run.
- *Chosen minus this* is the accuracy of the report's choice minus the accuracy of this
  candidate, with a 95 % confidence interval.
- *p* is adjusted after Holm over the comparisons of the decision. Both p and the
  interval include the effect of other seeds and other test images (`skmnist.compare`,
  the test over runs and rows).
- *Ahead in one run*: take one run of each candidate, as the report did. This is how
  often the report's choice is ahead. 50 % is the toss of a coin.

If p is below {level:g}, the two differ. The decision **stands** if the report's choice
is better; it is **wrong** if the other candidate is better. If p is larger, the runs
show no clear difference, and the interval says how large it can still be. This is
**noise** after {n_seeds} runs of each candidate, and **open** after fewer runs.

"""


def remarks(folder):
    """Return further remarks on the runs, if there are any."""
    path = folder / "remarks.md"
    return [path.read_text(encoding="utf-8").strip()] if path.is_file() else []


def every_run(n_seeds, decisions):
    """List all runs: all candidates with the first seed, then with the next seed."""
    candidates = {
        key_of(params): params
        for decision in decisions
        for params in decision.candidates.values()
    }
    return [(params, seed) for seed in range(n_seeds) for params in candidates.values()]


def key_of(params):
    """Return a key of all parameters; some decisions have the same candidates."""
    return json.dumps({**report_base_params(), **params}, sort_keys=True)


def read_runs(folder):
    """Read the finished runs, by candidate and seed; skip an incomplete last line."""
    path = folder / "runs.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.is_file() else []
    runs = map(json.loads, lines)
    return {(key_of(run["params"]), run["seed"]): run for run in runs}


def run_missing(folder, *, dataset, n_seeds, stages=None, epochs=None):
    """Make the missing runs, one after the other."""
    threads = pin_threads(1, THREADS)
    data = load_dataset(dataset)
    decisions = [d for d in DECISIONS if stages is None or d.stage in stages]
    folder.mkdir(parents=True, exist_ok=True)
    about = describe(data, decisions, threads)
    if (folder / "about.json").is_file():
        if json.loads((folder / "about.json").read_text()) != about:
            raise SystemExit(f"{folder} has runs of other data or other versions")
    else:
        (folder / "about.json").write_text(json.dumps(about, indent=2) + "\n")
    finished = read_runs(folder)
    # Drop an incomplete last line of a run that was stopped.
    kept = "".join(json.dumps(run) + "\n" for run in finished.values())
    (folder / "runs.tmp").write_text(kept)
    (folder / "runs.tmp").replace(folder / "runs.jsonl")
    with open(folder / "runs.jsonl", "a") as file:
        for params, seed in every_run(n_seeds, decisions):
            if (key_of(params), seed) in finished:
                continue
            started = time.perf_counter()
            run = train(params, seed, data, epochs)
            file.write(json.dumps(run) + "\n")
            file.flush()
            print(
                f"seed {seed}, {params}: {run['accuracy']:.2%} after {run['n_iter']} "
                f"epochs in {time.perf_counter() - started:.1f} s",
                flush=True,
            )


def describe(data, decisions, threads):
    """Return the data, the threads and the versions of the runs."""
    packages = ("skmnist", "scikit-learn", "keras", "tensorflow", "numpy")
    return {
        "stages": [decision.stage for decision in decisions],
        "data": data.name,
        "fingerprint": data.fingerprint,
        "n_train": data.train.stop,
        "n_test": len(data.target) - data.train.stop,
        "threads": threads,
        "versions": {package: version(package) for package in packages},
    }


def train(params, seed, data, epochs=None):
    """Train one network and score it on the test set."""
    from skmnist import KerasMLPClassifier

    settings = {**report_base_params(), **params}
    if epochs is not None:
        settings["epochs"] = epochs
    classifier = KerasMLPClassifier(**settings, random_state=seed)
    classifier.fit(data.data[data.train], data.target[data.train])
    right = classifier.predict(data.data[data.test]) == data.target[data.test]
    return {
        "params": params,
        "seed": seed,
        "accuracy": float(right.mean()),
        "validation_accuracy": classifier.best_validation_score_,
        "n_iter": classifier.n_iter_,
        "best_iter": classifier.best_iter_,
        "misread": np.flatnonzero(~right).tolist(),
    }


def runs_of(params, runs):
    """Return the finished runs of a candidate, sorted by seed."""
    key = key_of(params)
    return [runs[one] for one in sorted(runs) if one[0] == key]


def correctness(params, runs, n_test):
    """Return whether each run of a candidate classified each test row correctly."""
    finished = runs_of(params, runs)
    right = np.ones((len(finished), n_test), dtype=bool)
    for row, run in zip(right, finished, strict=True):
        row[run["misread"]] = False
    return right


def judge(decision, runs, n_test):
    """Compare the report's choice with each other candidate.

    Returns
    -------
    judged : dict of str to (Comparison, float, float)
        The comparison with each other candidate, the adjusted p-value, and how often
        the choice is ahead in one run.
    """
    right = {
        name: correctness(params, runs, n_test)
        for name, params in decision.candidates.items()
    }
    (_, chosen), *others = right.items()
    found = [compare(chosen, other) for _, other in others]
    adjusted = holm([one.p_value for one in found])
    ahead = [_ahead(chosen.mean(axis=1), other.mean(axis=1)) for _, other in others]
    judged = zip(found, adjusted, ahead, strict=True)
    return dict(zip((name for name, _ in others), judged, strict=True))


def _ahead(chosen, other):
    """Return how often the choice is ahead over all pairs of runs; a tie is half."""
    differences = chosen[:, None] - other[None, :]
    return float((differences > 0).mean() + (differences == 0).mean() / 2)


def verdict(judged):
    """Describe the result of a decision in one sentence."""
    kinds = {"wrong": [], "stands": [], "noise": [], "open": []}
    for name, (found, p, _) in judged.items():
        if p < LEVEL:
            kind = "wrong" if found.difference < 0 else "stands"
        else:
            n_runs = min(found.counts["runs_first"], found.counts["runs_second"])
            kind = "noise" if n_runs >= N_SEEDS else "open"
        kinds[kind].append(name)
    words = {
        "wrong": " against",
        "stands": " against",
        "noise": " against",
        "open": " (too few runs) against",
    }
    parts = [
        f"**{kind}**{words[kind]} {_listed(names)}"
        for kind, names in kinds.items()
        if names
    ]
    parts[0] = f"**{parts[0][2].upper()}{parts[0][3:]}"
    return "; ".join(parts) + "."


def _listed(names):
    return ", ".join(f"*{name}*" for name in names)


def decision_table(decision, runs, judged):
    """Make the table of a decision: each candidate, compared with the choice."""
    reported = _reported(decision)
    rows = []
    for name, params in decision.candidates.items():
        finished = runs_of(params, runs)
        accuracies = 100 * np.array([run["accuracy"] for run in finished])
        cells = [
            name,
            "" if reported[name] is None else f"{100 * reported[name]:.2f} %",
            str(len(finished)),
            f"{accuracies.mean():.2f} ± {accuracies.std(ddof=1):.2f} %",
            f"{np.mean([run['n_iter'] for run in finished]):.1f}",
        ]
        if name not in judged:
            rows.append([*cells, "", "", "", ""])
            continue
        found, p, ahead = judged[name]
        low, high = (100 * end for end in found.interval)
        rows.append(
            [
                *cells,
                f"{100 * found.difference:+.2f}",
                f"{low:+.2f} to {high:+.2f}",
                as_p_value(p),
                f"{100 * ahead:.0f} %",
            ]
        )
    columns = [
        "candidate",
        "report, one run",
        "our runs",
        "mean",
        "epochs",
        "chosen minus this (points)",
        "95 % interval",
        "p",
        "ahead in one run",
    ]
    return Table(columns, rows, 0)


def _reported(decision):
    """Return the report's accuracy of each candidate, or None."""
    theirs = reported_rows()
    rows = [row for row in theirs if row.stage == decision.stage]
    if decision.stage == "epochs":
        # The report has one row here: the network that trained for seven epochs.
        rest = dict.fromkeys(list(decision.candidates)[1:])
        return {"7 epochs": rows[0].reported_test_accuracy, **rest}
    # The study of the report's candidates has its rows in the report's order.
    ours = read_study(DOCS / "results" / "as-reported").rows
    names = list(ours[0].params)
    figures = {
        _settings(row.params, names): their.reported_test_accuracy
        for row, their in zip(ours, theirs, strict=True)
        if row.stage == decision.stage
    }
    base = report_base_params()
    return {
        name: figures.get(_settings({**base, **params}, names))
        for name, params in decision.candidates.items()
    }


def _settings(params, names):
    """Return a key of the parameters that the report's candidates have."""
    return json.dumps([params[name] for name in names])


def noise(decisions, runs):
    """Describe how much two runs of the same candidate differ."""
    spreads = [
        np.std([run["accuracy"] for run in runs_of(params, runs)], ddof=1)
        for decision in decisions
        for params in decision.candidates.values()
    ]
    spread = 100 * float(np.median(spreads))
    # A difference of two runs has sqrt(2) times the standard deviation of one run;
    # 5 % of the differences are larger than 1.96 times this.
    return (
        f"Over its seeds, the accuracy of a candidate has a standard deviation of "
        f"{spread:.2f} points (the median over the candidates). So two runs of the "
        f"same candidate differ by more than {1.96 * 2**0.5 * spread:.2f} points in "
        "one case of twenty. If single runs of two candidates differ by less, this can "
        "be chance."
    )


def page(results=RESULTS):
    """Return the page's Markdown, from the finished runs."""
    about = json.loads((results / "about.json").read_text())
    runs = read_runs(results)
    decisions = [d for d in DECISIONS if d.stage in about["stages"]]
    n_runs = [len(runs_of(p, runs)) for d in decisions for p in d.candidates.values()]
    if min(n_runs) < 2:
        raise SystemExit(f"{results} has fewer than two runs of a candidate")
    summary, sections = [], []
    for number, decision in enumerate(decisions, 1):
        judged = judge(decision, runs, about["n_test"])
        said = verdict(judged)
        summary.append([str(number), decision.heading, said])
        sections += [
            f"## {number}. {decision.heading}",
            f"The report: {decision.reason}",
            markdown_table(decision_table(decision, runs, judged)),
            said,
        ]
    most = max(n_runs)
    several = str(most) if min(n_runs) == most else f"{min(n_runs)} to {most}"
    planned = "" if min(n_runs) >= N_SEEDS else PLANNED
    versions = ", ".join(f"{name} {v}" for name, v in about["versions"].items())
    parts = [
        INTRODUCTION.format(
            n_runs=several,
            n_seeds=N_SEEDS,
            planned=planned,
            level=LEVEL,
            **about,
        ).rstrip(),
        "## At a glance",
        markdown_table(Table(["", "the report's choice", "result"], summary, None)),
        noise(decisions, runs),
        *sections,
        f"{len(runs)} runs with {about['threads']} thread each. Versions: {versions}.",
        *remarks(results),
    ]
    return "\n\n".join(parts) + "\n"


def main():
    """Make missing runs with --run, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", action="store_true", help="make the missing runs")
    parser.add_argument("--quick", action="store_true", help="a small page, on digits")
    parser.add_argument("--seeds", type=int, default=N_SEEDS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.quick:
        run_missing(options.results, **QUICK)
    elif options.run:
        run_missing(options.results, dataset="mnist", n_seeds=options.seeds)
    target = options.results if options.quick else DOCS
    (target / "findings.md").write_text(page(options.results), encoding="utf-8")


if __name__ == "__main__":
    main()
