"""Write docs/search_methods.md and its plot from the results of search_methods.py.

python benchmarks/search_methods_page.py
"""

# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
import math
from pathlib import Path

import numpy as np
from search_methods import (
    ABOUT,
    FULL,
    METHODS,
    RESULTS,
    SEEDS,
    STAGES,
    UNTUNED,
    read_runs,
)

from skmnist import compare, holm
from skmnist._format import as_p_value
from skmnist.reporting import Table, markdown_table

DOCS = RESULTS.parents[1]
PAGE, PLOT, INDEX = "search_methods.md", "search-methods.svg", "results.md"
LEVEL = 0.05
NAMES = {
    "staged": "staged",
    "staged_race": "staged with races",
    "grid": "grid",
    "randomized": "randomized",
    "halving": "halving",
    "tpe": "Optuna's TPE",
    UNTUNED: "no search",
}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")

INTRODUCTION = """\
# Which way of searching is the best?

The report "MNIST Deep Learning" searched in stages and asked whether `GridSearchCV` or
`RandomizedSearchCV` would do better. Here each method searches the same space for the
same time: {seconds:g} seconds on {n_train:,} training rows of {data}, {n_seeds}.{small}

To make this page, run

    make search-methods

It uses the runs in `docs/results/search_methods/` and makes only missing runs.
`python benchmarks/search_methods_page.py` writes the page without training.

- **Space.** {space}. All other parameters are those of `KerasMLPClassifier()`, with
  {epochs} epochs.
- **Judging a candidate.** A fifth of the training rows judges, the same for all
  methods. A fit that ends after the time does not count.
- **Judging a method.** At each moment a method has a candidate that it would choose. We
  fit each of these again, on all {n_train:,} rows with {n_refits}, and read
  {n_test:,} test rows. No method sees them. So the luck of the fit that won does not
  count.
- **Time.** The wall-clock time of the search, with all that the method does. Each
  search runs in a process of its own with {threads}.

The methods:

- *Staged*: `StagedSearchCV` with the stages {stages}. It goes on from the middle of the
  space. A stage that is not finished in time chooses nothing.
- *Staged with races*: the same with `race=Race(ties=[])`, see
  [Racing](guide/racing.md). Of tied candidates, the highest mean wins: so do all other
  methods choose. A race fits the same candidate several times, on other splits, to know
  how sure a lead is.
- *Grid*: two values of each parameter, {n_grid} candidates, in random order: a grid of
  all {n_space:,} candidates cannot be finished.
- *Randomized*: candidates of `RandomizedSearchCV`.
- *Halving*: `HalvingRandomSearchCV` over epochs, 27 candidates for one epoch, 9 for
  three, 3 for nine; then with 27 others.
- *Optuna's TPE*: `TPESampler` with its defaults.
- *No search*: `KerasMLPClassifier(epochs={epochs})`, the rest as it comes.
"""

SMALL = """

**This is a small run**: {planned}. Take the figures for a first look only."""

VERDICT = """\
## Who wins

{sentences}

{table}

*Accuracy* is the mean over the seeds ± the standard deviation of one seed. *Best minus
this* is the difference to the most accurate method, with a 95 % confidence interval.
*p* is from the test over runs and rows (`skmnist.compare`), adjusted after Holm. It
includes other seeds and other test rows.

![Accuracy over time]({plot})

The lines are means over the seeds. A line begins when all seeds have a candidate.
"""


class Results:
    """The finished runs of a folder.

    Parameters
    ----------
    folder : path-like
        Where they are.
    """

    def __init__(self, folder):
        folder = Path(folder)
        self.about = json.loads((folder / ABOUT).read_text())
        self.runs = read_runs(folder)

    def of(self, method):
        """Return the runs of a method, sorted by seed."""
        return [self.runs[key] for key in sorted(self.runs) if key[0] == method]

    @property
    def methods(self):
        """The methods that have runs, in a fixed order."""
        return [name for name in (*METHODS, UNTUNED) if self.of(name)]

    def final(self, method):
        """Return the accuracy of each seed's last choice."""
        runs = self.of(method)
        return np.array([np.mean(run["incumbents"][-1]["test"]) for run in runs])

    def right(self, method):
        """Return whether each seed's last choice classified each test row correctly."""
        runs = self.of(method)
        right = np.ones((len(runs), self.about["n_test"]), dtype=bool)
        for row, run in zip(right, runs, strict=True):
            row[run["misread"]] = False
        return right

    def curve(self, method):
        """Return times, and the mean accuracy of what is chosen from then on."""
        runs = [
            [(one["elapsed"], np.mean(one["test"])) for one in run["incumbents"]]
            for run in self.of(method)
        ]
        start = max(run[0][0] for run in runs)
        times = sorted({t for run in runs for t, _ in run if t >= start} | {start})
        means = [
            float(np.mean([[a for t, a in run if t <= time][-1] for run in runs]))
            for time in times
        ]
        return times, means


def best_of(results):
    """Return the most accurate method; the first one on ties."""
    return max(results.methods, key=lambda name: results.final(name).mean())


def comparisons(results):
    """Compare the most accurate method with each other one.

    Returns
    -------
    found : dict of str to (Comparison, float)
        The comparison, and the p-value after Holm. Empty if a method has a single
        seed: then nothing is known about other seeds.
    """
    best = best_of(results)
    others = [name for name in results.methods if name != best]
    if min(len(results.of(name)) for name in results.methods) < 2:
        return {}
    right = results.right(best)
    found = [compare(right, results.right(name)) for name in others]
    adjusted = holm([one.p_value for one in found])
    return dict(zip(others, zip(found, adjusted, strict=True), strict=True))


def verdict(results):
    """Say who wins, in two or three sentences."""
    best, found = best_of(results), comparisons(results)
    name = f"{NAMES[best][0].upper()}{NAMES[best][1:]}"
    accuracy = 100 * results.final(best).mean()
    sentence = f"**{name} ends with the highest accuracy, {accuracy:.2f} %.**"
    if not found:
        return f"{sentence} One seed cannot show whether that is chance."
    beaten = [NAMES[name] for name, (_, p) in found.items() if p < LEVEL]
    tied = [NAMES[name] for name, (_, p) in found.items() if p >= LEVEL]
    if beaten:
        sentence += f" By more than chance it is better than {listed(beaten)}."
    if tied:
        sentence += f" It is tied with {listed(tied)}: with other seeds, another of "
        sentence += "these may be the first."
    return sentence


def answer(results):
    """Answer the report's question; empty where too few runs can tell."""
    needed, stages = ("staged", "grid", "randomized"), results.right("staged")
    if min(len(results.of(name)) for name in needed) < 2:
        return ""
    found = [compare(results.right(name), stages) for name in needed[1:]]
    adjusted = holm([one.p_value for one in found])
    parts = [
        f"`{name}` ends {abs(100 * one.difference):.2f} points "
        f"{'above' if one.difference > 0 else 'below'} the stages "
        f"(p {as_p_value(p, '= ')})"
        for name, one, p in zip(
            ("GridSearchCV", "RandomizedSearchCV"), found, adjusted, strict=True
        )
    ]
    said = "Neither difference is more than chance."
    if min(adjusted) < LEVEL:
        said = "So the way of searching makes a difference."
    return f"**The report's question.** {listed(parts)}. {said}"


def listed(words):
    """Join words as in a sentence."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def results_table(results):
    """Make the table of the methods, the most accurate first."""
    found, rows = comparisons(results), []
    order = sorted(results.methods, key=lambda name: -results.final(name).mean())
    for name in order:
        accuracies = 100 * results.final(name)
        spread = f" ± {accuracies.std(ddof=1):.2f}" if len(accuracies) > 1 else ""
        runs = results.of(name)
        cells = [
            NAMES[name],
            str(len(runs)),
            f"{accuracies.mean():.2f}{spread} %",
            f"{np.mean([run['n_fits'] for run in runs]):.0f}",
        ]
        if name in found:
            one, p = found[name]
            low, high = (100 * end for end in one.interval)
            cells += [
                f"{100 * one.difference:+.2f}",
                f"{low:+.2f} to {high:+.2f}",
                as_p_value(p),
            ]
        else:
            cells += [""] * 3
        rows.append(cells)
    columns = ["method", "seeds", "accuracy", "fits", "best minus this (points)"]
    return Table([*columns, "95 % interval", "p"], rows, 0)


def plot(results, path):
    """Draw accuracy over time; equal results give an equal file."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "search", "font.size": 11})
    import matplotlib.pyplot as plt

    seconds = results.about["seconds"]
    figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
    searched = [name for name in results.methods if name != UNTUNED]
    for name in searched:
        times, means = results.curve(name)
        points = [*times, seconds], [*(100 * m for m in means), 100 * means[-1]]
        colour = COLOURS[list(METHODS).index(name)]
        axis.step(*points, where="post", color=colour, label=NAMES[name])
    if results.of(UNTUNED):
        height = 100 * results.final(UNTUNED).mean()
        axis.axhline(height, color="#555", linestyle=":", label=NAMES[UNTUNED])
    axis.set(xlabel="seconds", ylabel="test accuracy of the choice (%)")
    axis.set_xlim(0, seconds)
    axis.grid(alpha=0.3)
    # Beside the lines, which may be anywhere.
    figure.legend(loc="outside right center", frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def small_note(results):
    """Say what is missing of the planned runs; empty if nothing is."""
    about = results.about
    missing = [f"{about[n]:g} {words}" for n, words in _SIZES if about[n] < FULL[n]]
    n_seeds = min(len(results.of(name)) for name in results.methods)
    if n_seeds < SEEDS:
        missing.append(f"{n_seeds} seed{'s' if n_seeds > 1 else ''}")
    absent = [NAMES[n] for n in (*METHODS, UNTUNED) if n not in results.methods]
    if absent:
        missing.append(f"nothing of {listed(absent)}")
    if not missing:
        return ""
    planned = (
        f"{', '.join(missing)}; planned are {FULL['seconds']:g} seconds, "
        f"{FULL['n_train']:,} rows and {SEEDS} seeds of all methods"
    )
    return SMALL.format(planned=planned)


_SIZES = (("seconds", "seconds"), ("n_train", "rows"), ("n_refits", "fresh fits"))


def n_combinations(space):
    """Count the combinations of all values."""
    return math.prod(map(len, space.values()))


def page(results):
    """Return the page's Markdown, from the finished runs."""
    about = results.about
    counts = sorted({len(results.of(name)) for name in results.methods})
    many = "one seed" if counts == [1] else f"{' to '.join(map(str, counts))} seeds"
    n_refits, threads = about["n_refits"], about["threads"]
    versions = ", ".join(f"{name} {v}" for name, v in about["versions"].items())
    parts = [
        INTRODUCTION.format(
            seconds=about["seconds"],
            n_train=about["n_train"],
            n_test=about["n_test"],
            data={"mnist": "MNIST"}.get(about["dataset"], about["dataset"]),
            n_seeds=many,
            small=small_note(results),
            space="; ".join(
                f"`{name}`: {', '.join(map(str, values))}"
                for name, values in about["space"].items()
            ),
            epochs=about["epochs"],
            n_refits="a fresh seed" if n_refits == 1 else f"{n_refits} fresh seeds",
            threads="one thread" if threads == 1 else f"{threads} threads",
            stages=listed([f"*{name}* ({listed(tried)})" for name, tried in STAGES]),
            n_grid=n_combinations(about["grid"]),
            n_space=n_combinations(about["space"]),
        ).rstrip(),
        VERDICT.format(
            sentences="\n\n".join(filter(None, (verdict(results), answer(results)))),
            table=markdown_table(results_table(results)),
            plot=PLOT,
        ).rstrip(),
        f"Versions: {versions}.",
    ]
    return "\n\n".join(parts) + "\n"


def link(index):
    """List the page among the results, unless it is there."""
    text = index.read_text(encoding="utf-8")
    name = PAGE.removesuffix(".md")
    if name not in text.split():
        text = text.replace("\nracing\n", f"\nracing\n{name}\n")
        index.write_text(text, encoding="utf-8")


def main():
    """Write the page and its plot; without results there is no page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    folder = parser.parse_args().results
    if not read_runs(folder):
        raise SystemExit(f"{folder} has no runs; make them with search_methods.py")
    results = Results(folder)
    target = DOCS if folder == RESULTS else folder
    (target / PAGE).write_text(page(results), encoding="utf-8")
    plot(results, target / PLOT)
    if target == DOCS:
        link(DOCS / INDEX)


if __name__ == "__main__":
    main()
