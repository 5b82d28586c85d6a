"""Let several methods search the same space for the same time.

    python benchmarks/search_methods.py                  # make the missing runs
    python benchmarks/search_methods.py --only staged tpe
    python benchmarks/search_methods.py --quick --results DIR   # seconds, on the digits
    python benchmarks/search_methods_page.py             # write the page

Each run is a process of its own, because a process keeps what it has compiled. With
six methods, five seeds and 60 seconds a search, all runs take 45 minutes on one core.
You can stop it; it goes on at the next call. Two calls with different methods may run
at once, on two cores. Needs the MNIST files.
"""

# SPDX-License-Identifier: BSD-3-Clause

import argparse
import contextlib
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from skmnist._format import TOO_SHORT
from skmnist._versions import installed_versions

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "search_methods"
RUNS, ABOUT = "runs.jsonl", "about.json"

EPOCHS, THREADS = 9, 1
# All methods choose from these values. Where time is short, a staged search tries the
# first ones: they are the usual ones. To the others their order means nothing.
SPACE = {
    "depth": [2, 1, 3],
    "widths": [256, 128, 512, 64],
    "learning_rate": [0.001, 0.003, 0.0003, 0.01],
    "batch_size": [64, 128, 32, 256],
    "dropout": [0.1, 0.0, 0.2, 0.4],
    "weight_decay": [0.003, 0.03, 0.0, 0.1],
}
# All combinations of all values are 3,072: a grid must do with fewer.
GRID = {
    "depth": [1, 2],
    "widths": [128, 512],
    "learning_rate": [0.001, 0.003],
    "batch_size": [32, 128],
    "dropout": [0.0, 0.2],
    "weight_decay": [0.0, 0.03],
}
STAGES = (
    ("shape", ("depth", "widths")),
    ("training", ("learning_rate", "batch_size")),
    ("regularization", ("dropout", "weight_decay")),
)
# Halving: 27 candidates for one epoch, 9 for three, 3 for nine; then 27 others.
N_HALVED, FACTOR = 27, 3

FULL = {"dataset": "mnist", "seconds": 60.0, "n_train": 2_000, "n_refits": 1}
QUICK = {"dataset": "digits-8x8", "seconds": 3.0, "n_train": 900, "n_refits": 1}
SEEDS, QUICK_SEEDS = 5, 1


class TimeIsUp(BaseException):
    """The time of a search is over; searches take no notice of an `Exception`."""


class Recorder:
    """Scores fits, and keeps which candidate a search would choose at each moment.

    Parameters
    ----------
    seconds : float
        Time of the search. A fit that ends later does not count.
    clock : callable, default=time.perf_counter
        Returns seconds.
    """

    def __init__(self, seconds, clock=time.perf_counter):
        self.seconds, self._clock = seconds, clock
        self._began = clock()
        self.n_fits, self.incumbents = 0, []
        self._scores = {}
        self.stages_end = False

    @property
    def elapsed(self):
        """Seconds since the search began."""
        return self._clock() - self._began

    def __call__(self, estimator, X, y):
        """Return the accuracy of a fit, as a scorer does."""
        score = float(estimator.score(X, y))
        self.add(estimator.get_params(), score)
        return score

    def add(self, params, score):
        """Keep a score; the fit ends now."""
        elapsed = self.elapsed
        if elapsed > self.seconds:
            raise TimeIsUp
        self.n_fits += 1
        key = json.dumps([{name: params[name] for name in SPACE}, params["epochs"]])
        self._scores.setdefault(key, []).append(score)
        if not self.stages_end:
            self._lead(elapsed)

    def _lead(self, elapsed):
        """Keep the leader: most epochs, most replicates, highest mean accuracy."""

        def rank(key):
            scores = self._scores[key]
            return json.loads(key)[1], len(scores), np.mean(scores)

        chosen, _ = json.loads(max(self._scores, key=rank))
        self.choose(chosen, elapsed)

    def choose(self, params, elapsed=None):
        """Keep that a search would choose these parameters from now on."""
        params = {name: params[name] for name in SPACE if name in params}
        if not self.incumbents or self.incumbents[-1]["params"] != params:
            elapsed = self.elapsed if elapsed is None else elapsed
            self.incumbents.append({"elapsed": elapsed, "params": params})


def staged(search, recorder, *, seed, race=None):
    """Search in stages; a stage that is not finished in time chooses nothing."""
    from skmnist import Stage, StagedSearchCV

    stages = [Stage(name, {n: SPACE[n] for n in tried}) for name, tried in STAGES]

    def on_stage_end(result, cv_results):
        recorder.stages_end = True
        recorder.choose({**MIDDLE, **result.best_params})

    estimator = search.estimator.set_params(**MIDDLE)
    StagedSearchCV(
        estimator,
        stages,
        scoring=recorder,
        cv=search.cv,
        refit=False,
        random_state=seed,
        race=race,
        on_stage_end=on_stage_end,
        # Races share it; without races it ends where it is over.
        time_budget=time_budget(recorder),
    ).fit(search.X, search.y)


def time_budget(recorder):
    """Return the seconds that a staged search may take."""
    return recorder.seconds


# What the parameters of later stages are until then.
MIDDLE = {
    "depth": 2,
    "widths": 256,
    "learning_rate": 0.001,
    "batch_size": 64,
    "dropout": 0.1,
    "weight_decay": 0.003,
}


def staged_race(search, recorder, *, seed):
    """Search in stages whose candidates race over replicates; ties go to the mean.

    All other methods choose by the highest score, too.
    """
    from skmnist.model_selection import Race

    staged(search, recorder, seed=seed, race=Race(ties=()))


def grid(search, recorder, *, seed):
    """Fit a grid of two values each, in random order, so that any part is fair."""
    from sklearn.model_selection import ParameterGrid

    candidates = list(ParameterGrid(GRID))
    for i in np.random.default_rng(seed).permutation(len(candidates)):
        search.try_one(candidates[i], recorder)


def randomized(search, recorder, *, seed):
    """Draw candidates, none of them twice."""
    from sklearn.model_selection import ParameterSampler

    for candidate in ParameterSampler(SPACE, 500, random_state=seed):
        search.try_one(candidate, recorder)


def halving(search, recorder, *, seed):
    """Halve candidates over epochs, again and again."""
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV

    # A search of the experiment is over before so many halvings are.
    for turn in range(100):
        HalvingRandomSearchCV(
            search.estimator,
            SPACE,
            n_candidates=N_HALVED,
            factor=FACTOR,
            resource="epochs",
            min_resources=1,
            max_resources=EPOCHS,
            scoring=recorder,
            cv=search.cv,
            refit=False,
            # Else the training rows are scored too.
            return_train_score=False,
            random_state=1000 * seed + turn,
        ).fit(search.X, search.y)


def tpe(search, recorder, *, seed):
    """Let Optuna's TPE suggest positions in the lists of values."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial):
        chosen = {
            name: values[trial.suggest_int(name, 0, len(values) - 1)]
            for name, values in SPACE.items()
        }
        return search.try_one(chosen, recorder)

    sampler = optuna.samplers.TPESampler(seed=seed)
    optuna.create_study(direction="maximize", sampler=sampler).optimize(objective)


METHODS = {
    "staged": staged,
    "staged_race": staged_race,
    "grid": grid,
    "randomized": randomized,
    "halving": halving,
    "tpe": tpe,
}
# Needs no search; it is what searching must beat.
UNTUNED = "untuned"


class Search:
    """What all methods are given: an estimator, rows, and the split that judges.

    Parameters
    ----------
    estimator : classifier
        The classifier.
    X : ndarray of shape (n_samples, n_features)
        Training rows.
    y : ndarray of shape (n_samples,)
        Their labels.
    seed : int
        Seed of the split.
    """

    def __init__(self, estimator, X, y, seed):
        from sklearn.model_selection import StratifiedShuffleSplit

        self.estimator, self.X, self.y = estimator, X, y
        splitter = StratifiedShuffleSplit(1, test_size=0.2, random_state=seed)
        self.cv = list(splitter.split(X, y))

    def try_one(self, params, recorder):
        """Fit a candidate, and return the accuracy on the rows that judge."""
        from sklearn.base import clone

        ((train, judging),) = self.cv
        fitted = clone(self.estimator).set_params(**params)
        fitted.fit(self.X[train], self.y[train])
        return recorder(fitted, self.X[judging], self.y[judging])


def load(dataset, n_train, seed):
    """Return training rows, drawn by the seed, and test rows."""
    if dataset == "digits-8x8":
        from sklearn.datasets import load_digits

        X, y = load_digits(return_X_y=True)
        X = (X / 16).astype(np.float32)
        n_all = 1200
    else:
        from skmnist.datasets import load_dataset

        data = load_dataset(dataset)
        X, y, n_all = data.data, data.target, data.train.stop
    rows = np.random.default_rng(seed).permutation(n_all)[:n_train]
    return X[rows], y[rows], X[n_all:], y[n_all:]


def run_one(method, seed, *, dataset, seconds, n_train, n_refits):
    """Search by a method, and judge what it would have chosen at each moment."""
    from skmnist import KerasMLPClassifier

    X, y, X_test, y_test = load(dataset, n_train, seed)
    record = {"method": method, "seed": seed}
    if method == UNTUNED:
        as_it_comes = KerasMLPClassifier(epochs=EPOCHS)
        judged = judge(as_it_comes, X, y, X_test, y_test, n_refits, seed)
        test, misread = judged
        incumbent = {"elapsed": 0.0, "params": {}, "test": test}
        return {**record, "n_fits": 0, "incumbents": [incumbent], "misread": misread}
    estimator = KerasMLPClassifier(epochs=EPOCHS, random_state=seed)
    search = Search(estimator, X, y, seed)
    # Imports and the first graph are not part of any search.
    KerasMLPClassifier(widths=8, epochs=1, random_state=0).fit(X[:256], y[:256])
    recorder = Recorder(seconds)
    # A staged search raises TimeoutError if its first stage is not finished in time.
    with contextlib.suppress(TimeIsUp, TimeoutError):
        METHODS[method](search, recorder, seed=seed)
    if not recorder.incumbents:
        raise SystemExit(f"{method} finished no fit in {seconds:g} s")
    for one in recorder.incumbents:
        best = KerasMLPClassifier(epochs=EPOCHS, **one["params"])
        one["test"], misread = judge(best, X, y, X_test, y_test, n_refits, seed)
    return {
        **record,
        "n_fits": recorder.n_fits,
        "incumbents": recorder.incumbents,
        "misread": misread,
    }


def judge(classifier, X, y, X_test, y_test, n_refits, seed):
    """Fit with fresh seeds on all training rows; return accuracies, wrong rows."""
    accuracies, misread = [], None
    for number in range(n_refits):
        fresh = 10_000 + 100 * seed + number
        fitted = classifier.set_params(random_state=fresh).fit(X, y)
        wrong = fitted.predict(X_test) != y_test
        accuracies.append(float(1 - wrong.mean()))
        misread = np.flatnonzero(wrong).tolist() if misread is None else misread
    return accuracies, misread


def read_runs(folder):
    """Return the finished runs by method and seed; skip an incomplete last line."""
    path = folder / RUNS
    lines = path.read_text().split("\n")[:-1] if path.is_file() else []
    return {(run["method"], run["seed"]): run for run in map(json.loads, lines)}


def describe(setup):
    """Return what all runs in a folder have in common."""
    packages = ("skmnist", "scikit-learn", "keras", "tensorflow", "numpy", "optuna")
    n_test = 597 if setup["dataset"] == "digits-8x8" else 10_000
    return {
        **setup,
        "n_test": n_test,
        "epochs": EPOCHS,
        "threads": THREADS,
        "space": SPACE,
        "grid": GRID,
        "versions": installed_versions(packages),
    }


def planned(n_seeds, methods):
    """List all runs; each seed begins with another method, as a machine may drift."""
    methods = [*methods]
    turned = (
        methods[s % len(methods) :] + methods[: s % len(methods)]
        for s in range(n_seeds)
    )
    return [(method, seed) for seed, some in enumerate(turned) for method in some]


def run_missing(folder, n_seeds, methods, setup):
    """Make the missing runs, each in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    about, path = describe(setup), folder / ABOUT
    if path.is_file() and json.loads(path.read_text()) != about:
        raise SystemExit(f"{folder} has runs of other data, times or versions")
    path.write_text(json.dumps(about, indent=1) + "\n")
    finished = read_runs(folder)
    # Drop an incomplete last line of a run that was stopped.
    kept = "".join(json.dumps(run) + "\n" for run in finished.values())
    (folder / "runs.tmp").write_text(kept)
    (folder / "runs.tmp").replace(folder / RUNS)
    for method, seed in planned(n_seeds, methods):
        if (method, seed) in finished:
            continue
        command = [sys.executable, __file__, "--one", method, str(seed)]
        made = subprocess.run(
            [*command, "--setup", json.dumps(setup)], stdout=subprocess.PIPE, text=True
        )
        if made.returncode:
            raise SystemExit(f"{method} with seed {seed} failed")
        run = json.loads(made.stdout.splitlines()[-1])
        with open(folder / RUNS, "a") as file:
            file.write(json.dumps(run) + "\n")
        last = run["incumbents"][-1]
        print(
            f"{method}, seed {seed}: {np.mean(last['test']):.2%} after "
            f"{run['n_fits']} fits",
            flush=True,
        )


def main():
    """Make missing runs, or a single one for them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    every = [*METHODS, UNTUNED]
    parser.add_argument("--only", nargs="+", choices=every, default=every)
    parser.add_argument("--seeds", type=int, help=f"default {SEEDS}")
    parser.add_argument("--seconds", type=float, help="time of each search")
    parser.add_argument("--quick", action="store_true", help="seconds, on the digits")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--setup", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        from skmnist.study import pin_threads

        pin_threads(1, THREADS)
        # Candidates for few epochs are what halving is about.
        warnings.filterwarnings("ignore", TOO_SHORT)
        method, seed = options.one
        print(json.dumps(run_one(method, int(seed), **options.setup)))
        return
    if options.quick and options.results == RESULTS:
        parser.error("--quick needs --results DIR, a folder of its own")
    setup = dict(QUICK if options.quick else FULL)
    if options.seconds:
        setup["seconds"] = options.seconds
    n_seeds = options.seeds or (QUICK_SEEDS if options.quick else SEEDS)
    run_missing(options.results, n_seeds, options.only, setup)


if __name__ == "__main__":
    main()
