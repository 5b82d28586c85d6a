"""Measure the error rates of a race, and write docs/racing.md.

    python benchmarks/race.py            # simulate, and write the page
    python benchmarks/race.py --real     # also fit networks; needs the MNIST files
    python benchmarks/race.py --page     # write the page from the committed results

The simulation takes two minutes of one quiet core, and the networks one more.
"""

# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from skmnist.model_selection import Race
from skmnist.model_selection._race import (
    RaceState,
    Replicates,
    judge,
    next_replicates,
)

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "race"
PAGE = ROOT / "docs" / "racing.md"
RACE = Race()
N_SPLITS = 5

# One split: rows that are hard for all, rows that are hard for one candidate, and what
# one fit alone gets wrong. Chosen so that two fits differ in about as many rows as two
# real networks do.
SHARED, OWN = 4.0, 0.7
NULL_ROWS, LEAD_ROWS = 1000, 10_000
NULL_RACES, LEAD_RACES, FOLD_RACES = 800, 200, 300
SEED_SDS = (0.0005, 0.001, 0.002)
SIZES = (2, 4, 8)

# Several splits: small networks of random units, whose last layer is trained.
TINY_ROWS, TINY_FEATURES, TINY_UNITS, TINY_NOISE = 1500, 8, 16, 0.8

# Networks of Keras on MNIST.
TRAIN_ROWS, WIDTHS, N_FITS = 4000, (64, 96), (30, 20)
REAL_RACES = 500


def run_race(race, draw, n_candidates, simplicity=None, ratio=None):
    """Race over replicates that are drawn, by the rule that the search uses.

    Parameters
    ----------
    race : Race
        The rule.
    draw : callable
        ``draw(candidate, replicate)`` returns whether each row was classified
        correctly.
    n_candidates : int
        Number of candidates.
    simplicity : array-like, default=None
        Small numbers are simple; None makes the first candidate the simplest.
    ratio : float, default=None
        Judging rows over training rows, for replicates on several splits.

    Returns
    -------
    state : RaceState
        The race at its end.
    """
    state = RaceState.start(n_candidates)
    rows = [[] for _ in range(n_candidates)]
    keys = np.arange(n_candidates) if simplicity is None else np.asarray(simplicity)
    keys = keys.reshape(n_candidates, -1)
    while n_more := next_replicates(race, state):
        for replicate in range(state.n_replicates, state.n_replicates + n_more):
            for candidate in state.running:
                rows[candidate].append(draw(candidate, replicate))
        state = judge(race, state, _replicates(rows, state.running, ratio), keys)
    return state


def _replicates(rows, running, ratio):
    """Return what has been drawn, as the rule takes it."""
    right = np.array([rows[candidate] for candidate in running])
    left = [its for candidate, its in enumerate(rows) if candidate not in running]
    departed = np.full((len(left), right.shape[1]), np.nan)
    for row, its in zip(departed, left, strict=True):
        row[: len(its)] = np.mean(its, axis=1)
    seen = None if ratio else right
    return Replicates(right.mean(axis=2), seen, ratio, departed)


def stand_in(rng, accuracies, n_rows, seed_sds):
    """Return what draws rows of one split, right where a normal sum is above zero.

    Parameters
    ----------
    rng : Generator
        Source of chance.
    accuracies : array-like of float
        True accuracy of each candidate.
    n_rows : int
        Number of rows that judge.
    seed_sds : float or array-like of float
        Standard deviation of the accuracy from seed to seed.
    """
    accuracies = np.asarray(accuracies)
    scale = np.sqrt(SHARED**2 + OWN**2 + 1)
    z = ndtri(accuracies)
    slope = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) / scale
    luck_sds = np.broadcast_to(seed_sds, accuracies.shape) / slope
    level = OWN * rng.standard_normal((len(z), n_rows), dtype=np.float32)
    level += SHARED * rng.standard_normal(n_rows, dtype=np.float32)
    # The luck of seeds is part of the sum: the mean accuracy is as asked for.
    level += (z * np.hypot(scale, luck_sds))[:, None].astype(np.float32)

    def draw(candidate, replicate):
        luck = np.float32(luck_sds[candidate] * rng.standard_normal())
        noise = rng.standard_normal(n_rows, dtype=np.float32)
        return level[candidate] + luck + noise > 0

    return draw


def tiny_networks(rng, noises):
    """Return what trains small networks on folds of one data set, and judges them.

    Every candidate sees the features with noise of its own, so candidates with the
    same amount of noise are equal in truth: nothing but chance tells them apart.
    """
    features = rng.standard_normal((TINY_ROWS, TINY_FEATURES))
    truth = features @ rng.standard_normal(TINY_FEATURES)
    y = np.sign(truth + 0.5 * truth.std() * rng.standard_normal(TINY_ROWS))
    seen = np.asarray(noises)[:, None, None]
    seen = features + seen * rng.standard_normal((len(noises), *features.shape))
    folds = np.array_split(rng.permutation(TINY_ROWS), N_SPLITS)

    def draw(candidate, replicate):
        test = np.zeros(TINY_ROWS, dtype=bool)
        test[folds[replicate % N_SPLITS]] = True
        units = rng.standard_normal((TINY_FEATURES, TINY_UNITS))
        hidden = np.maximum(seen[candidate] @ units, 0)
        H = hidden[~test]
        weights = np.linalg.solve(H.T @ H + 0.01 * np.eye(TINY_UNITS), H.T @ y[~test])
        return np.sign(hidden[test] @ weights) == y[test]

    return draw


def rates(states, n_candidates, best=None):
    """Return how often a race chose what, and what it cost."""
    winners = np.array([state.winner for state in states])
    plain = n_candidates * RACE.max_replicates
    return {
        "n_candidates": n_candidates,
        "n_races": len(states),
        "not_simplest": float(np.mean(winners != 0)),
        "found": None if best is None else float(np.mean(winners == best)),
        "fits": float(np.mean([state.n_fits for state in states]) / plain),
        "replicates": float(np.mean([state.n_replicates for state in states])),
    }


def generators(n_races):
    """Yield a generator of random numbers for each race."""
    for number in range(n_races):
        yield np.random.default_rng([2026, number])


def simulate(kind, accuracies, n_rows, seed_sds, n_races, **told):
    """Race stand-ins on one split; a lead is that of the last candidate."""
    n, best = len(accuracies), None
    if accuracies[-1] > accuracies[0]:
        best = n - 1
    states = [
        run_race(RACE, stand_in(rng, accuracies, n_rows, seed_sds), n)
        for rng in generators(n_races)
    ]
    row = {"kind": kind, "n_rows": n_rows, **told, **rates(states, n, best)}
    print(row, flush=True)
    return row


def simulate_all(quick=False):
    """Return the rates of all stand-ins."""
    counts = (20, 5, 5) if quick else (NULL_RACES, LEAD_RACES, FOLD_RACES)
    n_null, n_lead, n_folds = counts
    rows = []
    for n in SIZES:
        for sd in SEED_SDS:
            told = {"seed_sd": sd}
            equal = [0.97] * n
            rows.append(simulate("equal", equal, NULL_ROWS, sd, n_null, **told))
            lead = [0.965] * (n - 1) + [0.97]
            rows.append(simulate("lead", lead, LEAD_ROWS, sd, n_lead, **told))
    noisy = [0.02] + [0.005] * 7
    for kind, sds in (("noisy", noisy), ("noisy last", noisy[::-1])):
        told = {"seed_sd": noisy[-1]}
        rows.append(simulate(kind, [0.97] * 8, NULL_ROWS, sds, n_null, **told))
    some = [0.97] * 3 + [0.95] * 5
    rows.append(simulate("some", some, NULL_ROWS, 0.001, n_null, seed_sd=0.001))
    ladder = np.linspace(0.95, 0.97, 8).tolist()
    rows.append(simulate("ladder", ladder, LEAD_ROWS, 0.001, n_lead, seed_sd=0.001))
    return rows + [
        simulate_folds(kind, n, noise, n_folds)
        for n in SIZES
        for kind, noise in (("folds equal", TINY_NOISE), ("folds lead", 0.0))
    ]


def simulate_folds(kind, n_candidates, noise, n_races):
    """Race small networks over folds; the last one sees `noise`."""
    noises = [TINY_NOISE] * (n_candidates - 1) + [noise]
    best = n_candidates - 1 if noise != TINY_NOISE else None
    states, leads = [], []
    for rng in generators(n_races):
        draw = tiny_networks(rng, noises)
        pair = [draw(i, r).mean() for i in (0, n_candidates - 1) for r in range(2)]
        leads.append(np.mean(pair[2:]) - np.mean(pair[:2]))
        ratio = 1 / (N_SPLITS - 1)
        states.append(run_race(RACE, draw, n_candidates, ratio=ratio))
    row = {"kind": kind, "n_rows": TINY_ROWS, "lead": float(np.mean(leads))}
    row |= rates(states, n_candidates, best)
    print(row, flush=True)
    return row


def differing_rows():
    """Return the shares of rows in which two fits differ, of one candidate and two."""
    draw = stand_in(np.random.default_rng(0), [0.97, 0.97], 100_000, 0.0)
    a, b, c = draw(0, 0), draw(0, 1), draw(1, 0)
    return {"within": float(np.mean(a != b)), "between": float(np.mean(a != c))}


def real_fits():
    """Fit networks of two widths with many seeds; return the rows each got right."""
    from skmnist import KerasMLPClassifier
    from skmnist.datasets import load_dataset

    data = load_dataset("mnist", os.environ.get("SKMNIST_DATA"))
    order = np.random.default_rng(0).permutation(data.train.stop)
    train, test = order[:TRAIN_ROWS], order[TRAIN_ROWS : TRAIN_ROWS + LEAD_ROWS]
    found = []
    for width, n_fits in zip(WIDTHS, N_FITS, strict=True):
        rows = []
        for seed in range(n_fits):
            classifier = KerasMLPClassifier(
                depth=1, widths=width, epochs=5, batch_size=64, random_state=seed
            ).fit(data.data[train], data.target[train])
            rows.append(classifier.predict(data.data[test]) == data.target[test])
            print(f"  width {width}, seed {seed}: {rows[-1].mean():.4f}", flush=True)
        found.append(np.array(rows))
    return found


def race_real(narrow, wide):
    """Return the rates of races whose replicates are drawn from real fits."""
    accuracies = [rows.mean(axis=1) for rows in (narrow, wide)]
    third = len(narrow) // 3

    def races(last):
        n, states = 3 if last is None else 4, []
        for rng in generators(REAL_RACES):
            order = rng.permutation(len(narrow))
            fits = [narrow[order[i * third : (i + 1) * third]] for i in range(3)]
            if last is not None:
                fits.append(last[rng.permutation(len(last))[: RACE.max_replicates]])
            states.append(run_race(RACE, lambda c, r, fits=fits: fits[c][r], n))
        return rates(states, n, None if last is None else 3)

    return {
        "accuracies": [float(one.mean()) for one in accuracies],
        "seed_sds": [float(one.std(ddof=1)) for one in accuracies],
        "within": float(np.mean(narrow[0] != narrow[1])),
        "between": float(np.mean(narrow[0] != wide[0])),
        "equal": races(None),
        "lead": races(wide),
    }


INTRODUCTION = """\
# The error rates of a race

A race ([how it works](guide/racing.md)) stops candidates of a search early. This
page shows how often that goes wrong, and what it saves. To make this page, run

    python benchmarks/race.py --real

The code of `StagedSearchCV` decides each race here, with the values of `Race()`: {min}
to {max} replicates, and an `alpha` of {alpha}. "Fits" compares the number of fits with
a grid in which every candidate has {max} replicates. "Other than the simplest" is how
often another candidate won than the simplest. If no candidate is better, this may be at
most 5 %.

A rate near 5 % from {null} races has a standard error of at most 0.8 points.
"""

STAND_INS = """\
## Simulated candidates on one split

Here we fit no networks, but draw at random which rows a candidate classifies correctly:
some rows are hard for all candidates, some for one, and each fit has its own luck. Two
fits of one candidate differ in {within:.1f} % of the rows, and fits of two candidates
in {between:.1f} %; with real networks it was {real}. "Seed" is the
standard deviation of an accuracy from seed to seed, in points.

**All candidates are equally good.** {null_rows:,} rows judge.

{equal}

**One candidate is truly 0.5 points better**, and is the most complex one. 10,000 rows
judge. "Found" is how often it won. To win it must beat every other candidate. If seeds
vary by 0.2 points, ten replicates are not always enough for four or more candidates,
and the races take longer. Seeds vary so much if training stops at the first rise of the
validation loss. Then train until the learning rate has fallen to zero, or raise
`max_replicates`.

{lead}

**Other stages of eight candidates.** "Noisy": one candidate varies by two points from
seed to seed, the others by half a point. "Three better": three equal candidates are two
points better than the five others. "Evenly rising": accuracies rise by two points in
all, in equal steps, and the most complex candidate is the best.

**When the error is above 5 %**: a complex candidate is mostly a little better than the
others, but sometimes much worse, so that its mean is the same. A few replicates may not
show its bad seeds. If you expect this, raise `min_replicates`.

{other}
"""

FOLDS = """\
## Small networks on five folds

Networks of {units} random units are trained on real folds of {rows:,} rows, so their
training sets overlap as in any cross-validation. Every candidate sees the features with
its own noise. If all have equally strong noise, the candidates are equally good. In the
other races, the last candidate sees no noise.

{folds}

The correction for training sets that overlap is strict. So a small lead takes more rows
to find on folds than on one split, and the error is far below 5 %.
"""

REAL = """\
## Real networks

`KerasMLPClassifier` was fitted to {train:,} images of MNIST with {n0} seeds at width
{w0} and {n1} at width {w1}, and judged by 10,000 other images. The accuracies are
{a0:.2f} % and {a1:.2f} %, a lead of {lead:.2f} points; from seed to seed they vary by
{s0:.2f} and {s1:.2f} points. Each race draws other fits. Candidates of the same width
are equally good.

{table}
"""


def percent(value):
    """Write a share in per cent."""
    return "" if value is None else f"{100 * value:.1f} %"


def table(rows, first, titles):
    """Write rates as a table; `first` returns the leading cells of a row."""
    heads = [*titles, "Candidates", "Other than the simplest", "Found", "Fits", "Races"]
    lines = [heads, ["---"] * len(heads)]
    for row in rows:
        measured = [percent(row[n]) for n in ("not_simplest", "found", "fits")]
        lines.append(
            [*first(row), str(row["n_candidates"]), *measured, str(row["n_races"])]
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


OTHER = {
    "noisy": "the simplest is noisy, all equal",
    "noisy last": "the most complex is noisy, all equal",
    "some": "three better",
    "ladder": "evenly rising",
}


def page(results):
    """Return the page that results give."""
    rows, real = results["simulated"], results["real"]
    by = {
        kind: [r for r in rows if r["kind"] == kind]
        for kind in dict.fromkeys(row["kind"] for row in rows)
    }

    def seed(row):
        return [f"{100 * row['seed_sd']:.2g}"]

    differing = results["differing"]
    shares = f"{100 * real['within']:.1f} % and {100 * real['between']:.1f} %"
    parts = [
        INTRODUCTION.format(
            min=RACE.min_replicates,
            max=RACE.max_replicates,
            alpha=RACE.alpha,
            null=by["equal"][0]["n_races"],
        ),
        STAND_INS.format(
            within=100 * differing["within"],
            between=100 * differing["between"],
            real=shares,
            null_rows=NULL_ROWS,
            equal=table(by["equal"], seed, ["Seed"]),
            lead=table(by["lead"], seed, ["Seed"]),
            other=table(
                [by[kind][0] for kind in OTHER],
                lambda row: [OTHER[row["kind"]]],
                ["Stage"],
            ),
        ),
        FOLDS.format(
            units=TINY_UNITS,
            rows=TINY_ROWS,
            folds=table(
                by["folds equal"] + by["folds lead"],
                lambda row: (
                    [f"{100 * max(row['lead'], 0):.1f}"]
                    if row["kind"] == "folds lead"
                    else ["none"]
                ),
                ["True lead, points"],
            ),
        ),
        REAL.format(
            train=TRAIN_ROWS,
            n0=N_FITS[0],
            n1=N_FITS[1],
            w0=WIDTHS[0],
            w1=WIDTHS[1],
            a0=100 * real["accuracies"][0],
            a1=100 * real["accuracies"][1],
            lead=100 * (real["accuracies"][1] - real["accuracies"][0]),
            s0=100 * real["seed_sds"][0],
            s1=100 * real["seed_sds"][1],
            table=table(
                [{"kind": name, **real[name]} for name in ("equal", "lead")],
                lambda row: [
                    {"equal": "all of one width", "lead": "the last one is wider"}[
                        row["kind"]
                    ]
                ],
                ["Stage"],
            ),
        ),
    ]
    return "\n".join(parts)


def read_results():
    """Return the committed results."""
    return {
        path.stem: json.loads(path.read_text())
        for path in sorted(RESULTS.glob("*.json"))
    }


def write_result(name, value):
    """Write one result."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(value, indent=1) + "\n")


def main():
    """Measure what is asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", action="store_true", help="also fit networks")
    parser.add_argument("--page", action="store_true", help="only write the page")
    options = parser.parse_args()
    started = time.perf_counter()
    if not options.page:
        write_result("simulated", simulate_all())
        write_result("differing", differing_rows())
        if options.real:
            write_result("real", race_real(*real_fits()))
        print(f"{time.perf_counter() - started:.0f} s")
    PAGE.write_text(page(read_results()))


if __name__ == "__main__":
    main()
