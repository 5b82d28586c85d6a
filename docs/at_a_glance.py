"""Write the figures that README.md and docs/index.md open with, and their picture.

    python docs/at_a_glance.py                 # from the committed pages and results
    python docs/at_a_glance.py --study FOLDER  # with the verdict of a study of MNIST

The figures come from docs/defaults.md, docs/performance.md, docs/racing.md,
docs/results/mnist-study.json and docs/results/study/. Run this script after you change
one of them.
"""

# SPDX-License-Identifier: BSD-3-Clause

import argparse
import itertools
import json
import re
import textwrap
from pathlib import Path
from statistics import fmean

from study_page import compare, read as read_studies, small_tables

DOCS = Path(__file__).parent
ROOT = DOCS.parent
STUDY = DOCS / "results" / "mnist-study.json"
PICTURE = DOCS / "at-a-glance.png"
# The pages with the figures, and how a page names the folder of the others.
PAGES = {ROOT / "README.md": "docs/", DOCS / "index.md": ""}
BEGIN, END = (
    "<!-- figures: docs/at_a_glance.py writes them -->",
    "<!-- end of figures -->",
)
OURS = "KerasMLPClassifier"
# As docs/performance.md names the peers, and as the picture does.
PEERS = {
    "MLPClassifier": "MLPClassifier",
    "skorch": "skorch",
    "SKLearnClassifier": "Keras' wrapper",
    "scikeras": "scikeras",
}

ALT = (
    "Three bar charts; shorter is better. Errors with nothing set, mean of {sets} data "
    "sets: {errors}. Time of a grid search of 60 candidates, as a multiple of ours: "
    "{times}. Errors in 10,000 test digits of MNIST: {misread}."
)
POINTS = (
    "- **It is good with nothing set.** You need not scale your columns. "
    "`KerasMLPClassifier()` is {gain:.1f} points more accurate than `MLPClassifier()`, "
    "by the mean over [{sets} data sets]({docs}defaults.md) that judge its "
    "defaults: it wins on {won} and loses on {lost}. It notices noisy labels, and does "
    "not learn them by heart.",
    "- **A search pays, and says by how much.** `skmnist study` read {study:.2f} % of "
    "MNIST's test digits right after {minutes:.1f} minutes on two cores. Its verdict: "
    '"{verdict}", {over_untuned:+.2f} points over the classifier without a search '
    "({untuned:.2f} %) and {over_mlp:+.2f} over `MLPClassifier()` ({mlp:.2f} %). "
    "On [{study_sets} smaller data sets]({docs}study.md), a study of a minute brings "
    "{study_over_untuned:+.1f} points, by the mean, and {study_over_grid:+.1f} over a "
    "grid search of `MLPClassifier` for the same time. "
    "Candidates [race]({docs}guide/racing.md) until a test can tell them apart. Where "
    "eight were equal, at most [{chance:.0f} % of {races} races]({docs}racing.md) "
    "chose another one than the simplest.",
    "- **It is fast.** For the same grid of 60 candidates, `MLPClassifier` takes "
    "{mlp_time:.1f} times as long and scikeras [{scikeras_time:.0f} times]"
    "({docs}performance.md), if one line lets our networks train "
    "[side by side]({docs}guide/small_fits.md).",
    "Where others win, the pages say so. RealMLP, a network with tuned defaults, gets "
    "{realmlp:.1f} % of the same sets right by the mean, and we {ours:.1f} %. With "
    "nothing set, one fit takes {mlp_fit:.1f} times as long as that of "
    "`MLPClassifier()`, by the median.",
)


def cells(page: str, heading: str, first: str) -> dict[str, str]:
    """Return a row of a table in Markdown, by the names of its columns.

    Parameters
    ----------
    page : str
        The page.
    heading : str
        Text above the table.
    first : str
        The first cell of the row.
    """
    lines = page.partition(heading)[2].splitlines()
    lines = itertools.dropwhile(lambda line: not line.startswith("|"), lines)
    lines = itertools.takewhile(lambda line: line.startswith("|"), lines)
    table = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    row = next(row for row in table if row[0] == first)
    return dict(zip(table[0], row, strict=True))


def read() -> dict:
    """Collect the figures."""
    defaults = (DOCS / "defaults.md").read_text(encoding="utf-8")
    performance = (DOCS / "performance.md").read_text(encoding="utf-8")
    against = cells(defaults, "## Compared with each classifier", "MLPClassifier")
    won, lost = against["accuracy, won : lost"].split(" : ")
    names = [OURS, "MLPClassifier", "MLPClassifier with early stopping", "RealMLP-TD-S"]
    grid = {
        peer: cells(performance, "**60 candidates, 3 architectures**", peer)
        for peer in PEERS
    }
    races = json.loads((DOCS / "results" / "race" / "simulated.json").read_text())
    equal = [x for x in races if x["kind"] == "equal" and x["n_candidates"] == 8]
    return {
        "sets": int(against["sets"]),
        "gain": float(against["our accuracy minus its, points"]),
        "won": int(won),
        "lost": int(lost),
        "mlp_fit": float(against["our seconds / its, median"]),
        "accuracies": {
            name: float(cells(defaults, "## Mean ranks", name)["mean accuracy, %"])
            for name in names
        },
        "times": {
            peer: float(row["slower than ours"][:-1]) for peer, row in grid.items()
        },
        **small_studies(),
        "chance": max(x["not_simplest"] for x in equal),
        "races": equal[0]["n_races"],
        **json.loads(STUDY.read_text(encoding="utf-8")),
    }


def small_studies() -> dict:
    """Return what studies of small data bring, by the mean over the data sets."""
    results = DOCS / "results" / "study"
    names = dict.fromkeys(path.stem.rpartition("-")[0] for path in results.iterdir())
    runs = small_tables(read_studies(results, sorted(names)))
    over = {
        f"study_over_{peer}": round(
            fmean(compare(name, found, peer)[0] for name, found in runs.items()), 2
        )
        for peer in ("untuned", "grid")
    }
    return {"study_sets": len(runs), **over}


def errors(found: dict) -> dict[str, float]:
    """Return the errors of classifiers with nothing set, in percent."""
    return {name: 100 - accuracy for name, accuracy in found["accuracies"].items()}


def misread(found: dict) -> dict[str, int]:
    """Return the number of test digits that each classifier of the study misreads."""
    names = {"MLPClassifier": "mlp", OURS: "untuned", "skmnist study": "study"}
    return {name: round(10_000 * (1 - found[key])) for name, key in names.items()}


def block(found: dict, docs: str) -> str:
    """Return the picture and the figures in Markdown."""
    listed = {
        "errors": listing(errors(found), "{:.1f} %"),
        "times": listing({PEERS[p]: t for p, t in found["times"].items()}, "{:.1f}"),
        "misread": listing(misread(found), "{}"),
    }
    percent = {key: 100 * found[key] for key in ("study", "untuned", "mlp", "chance")}
    values = found | {
        **percent,
        "docs": docs,
        "minutes": found["seconds"] / 60,
        "over_untuned": 100 * (found["study"] - found["untuned"]),
        "over_mlp": 100 * (found["study"] - found["mlp"]),
        "mlp_time": found["times"]["MLPClassifier"],
        "scikeras_time": found["times"]["scikeras"],
        "ours": found["accuracies"][OURS],
        "realmlp": found["accuracies"]["RealMLP-TD-S"],
    }
    points = [wrapped(point.format(**values)) for point in POINTS]
    picture = f"![{ALT.format(**(found | listed))}]({docs}{PICTURE.name})"
    return "\n\n".join([BEGIN, picture, "\n".join(points[:-1]), points[-1], END])


def wrapped(text: str) -> str:
    """Break the lines of a paragraph or of a point of a list, between words."""
    indent = "  " if text.startswith("- ") else ""
    lines = textwrap.TextWrapper(88, subsequent_indent=indent)
    lines.break_long_words = lines.break_on_hyphens = False
    return lines.fill(text)


def listing(values: dict, form: str) -> str:
    """Write names and numbers in a row."""
    return ", ".join(f"{name} {form.format(value)}" for name, value in values.items())


def replaced(text: str, new: str) -> str:
    """Return a page with new figures in the place of the old ones."""
    old = re.escape(BEGIN) + ".*" + re.escape(END)
    if not re.search(old, text, re.DOTALL):
        raise ValueError(f"the page has no {BEGIN} ... {END}")
    return re.sub(old, lambda _: new, text, flags=re.DOTALL)


def draw(found: dict, path: Path) -> None:
    """Draw the figures; the file keeps them, so that a test can compare them."""
    import matplotlib.pyplot as plt

    times = {OURS: 1.0} | {PEERS[peer]: time for peer, time in found["times"].items()}
    sets = f"errors, mean of {found['sets']} data sets, %"
    panels = [
        (errors(found), OURS, "With nothing set", sets),
        (times, OURS, "A grid of 60 candidates", "time, as a multiple of ours"),
        (
            misread(found),
            "skmnist study",
            "A study of MNIST",
            "errors in 10,000 test digits",
        ),
    ]
    figure, axes = plt.subplots(1, 3, figsize=(11, 2.7), layout="constrained")
    for ax, (values, ours, title, unit) in zip(axes, panels, strict=True):
        # The best is on top.
        names = sorted(values, key=values.get, reverse=True)
        bars = ax.barh(
            [name.replace(" with ", "\nwith ") for name in names],
            [values[name] for name in names],
            color=["#b3560f" if name == ours else "#9aa5b1" for name in names],
        )
        whole = all(isinstance(value, int) for value in values.values())
        ax.bar_label(bars, fmt="%d" if whole else "%.1f", padding=3)
        ax.set_title(title, loc="left", fontweight="bold", fontsize=11)
        ax.set_xlabel(unit, loc="left")
        ax.set_xlim(right=1.2 * max(values.values()))
        ax.set_xticks([])
        ax.tick_params("y", length=0)
        ax.spines[:].set_visible(False)
    about = {"Description": json.dumps(found), "Software": None}
    figure.savefig(path, dpi=120, metadata=about)
    plt.close(figure)


def keep(folder: str) -> None:
    """Keep the verdict of a study of MNIST."""
    from datetime import date

    from skmnist.reporting._verdict import describe_verdict
    from skmnist.study import read_study

    study = read_study(folder)
    untuned, mlp = (one.test_accuracy for one in study.summary.verdict.baselines)
    found = {
        "date": str(date.today()),
        "version": study.header.versions["skmnist"],
        "seconds": round(study.summary.seconds),
        "study": study.summary.final.test_accuracy,
        "untuned": untuned,
        "mlp": mlp,
        "verdict": describe_verdict(study)[0].partition(":")[0],
    }
    STUDY.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> None:
    """Write the picture, and the figures into both pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", metavar="FOLDER", help="a finished study of MNIST")
    options = parser.parse_args(argv)
    if options.study:
        keep(options.study)
    found = read()
    draw(found, PICTURE)
    for path, docs in PAGES.items():
        text = replaced(path.read_text(encoding="utf-8"), block(found, docs))
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
