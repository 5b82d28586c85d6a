"""Write docs/accuracy.md from the result files of training runs on MNIST.

    python docs/accuracy.py                   # write the page from the committed files
    python docs/accuracy.py --run             # first make the runs without a file
    python docs/accuracy.py --run --only wide --seeds 0 1  # some runs of one setting
    python docs/accuracy.py --run --quick --out DIR  # small runs, in another folder

`make accuracy` calls the second. Runs need the MNIST files. The quick runs use the
digits that ship with scikit-learn. A run that was stopped starts again; a finished run
is never repeated.
"""

# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
import math
import os
import time
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path

from accuracy_page import page

from skmnist import Distortions

DOCS = Path(__file__).parent
RESULTS = DOCS / "results" / "accuracy"
SEEDS = (0, 1, 2, 3, 4)
# Candidates train on this part of the training data; the rest judges them.
PART_THAT_TRAINS = 0.9
PACKAGES = ("skmnist", "keras", "tensorflow", "numpy")

# The report's final network, with Adam's default learning rate.
NETWORK = {
    "depth": 2,
    "widths": (600, 200),
    "activations": "relu",
    "initializers": "he_normal",
    "optimizer": "adam",
    "batch_size": 64,
    "early_stopping": False,
}
NORMALIZED = {**NETWORK, "batch_normalization": True}
# Keep the networks of these settings, for the ensemble and the several views.
KEPT = ("augmented", "wide")
# These parameters make epochs and compiling faster.
PLAIN = {"batch_normalization": False, "weight_decay": 0.0}


@dataclass(frozen=True)
class Setting:
    """Parameters whose accuracy is measured, and how they were chosen.

    Attributes
    ----------
    title : str
        Its description on the page.
    params : dict
        Parameters of `KerasMLPClassifier`.
    candidates : list of dict
        Changes of `params` to try; the validation rows choose one.
    goal : float or None
        Accuracy to reach.
    seconds : float or None
        Time limit for a fit, in seconds.
    fastest : bool
        Whether to choose the fastest candidate that exceeds the goal by one standard
        error, and to fit twice. False chooses the most accurate candidate. With
        `seconds`, the most accurate candidate within the limit is chosen.
    """

    title: str
    params: dict
    candidates: list = field(default_factory=lambda: [{}])
    goal: float | None = None
    seconds: float | None = None
    fastest: bool = False


SETTINGS = {
    "plain": Setting(
        "the report's network, as the report trains it",
        {**NETWORK, "early_stopping": True, "patience": 1, "epochs": 20},
    ),
    "decay": Setting(
        "the same, with a learning rate that falls to zero",
        {**NETWORK, "epochs": 10, "learning_rate": 1e-3},
        [{"learning_rate_schedule": "cosine"}, {"learning_rate_schedule": "linear"}],
    ),
    "fast-98": Setting(
        "the report's 98.14 %, as fast as can be",
        {**NORMALIZED, "learning_rate_schedule": "linear", "weight_decay": 0.02},
        [
            {"epochs": 2, "batch_size": 128, "learning_rate": 5e-3},
            {"epochs": 2, "batch_size": 256, "learning_rate": 8e-3},
            {"epochs": 3, "batch_size": 256, "learning_rate": 8e-3},
            {**PLAIN, "epochs": 3, "batch_size": 256, "learning_rate": 3e-3},
            {**PLAIN, "epochs": 3, "batch_size": 128, "learning_rate": 2e-3},
        ],
        goal=0.9814,
        seconds=4,
        fastest=True,
    ),
    "fast-99": Setting(
        "99.0 %, as fast as can be",
        {
            **NORMALIZED,
            "learning_rate_schedule": "linear",
            "batch_size": 128,
            "learning_rate": 5e-3,
            "augmentation": "affine",
        },
        [{"epochs": 6}, {"epochs": 9}],
        goal=0.99,
        fastest=True,
    ),
    "regularized": Setting(
        "decay, batch normalization, label smoothing, weight decay; no distortions",
        {
            **NORMALIZED,
            "learning_rate_schedule": "cosine",
            "learning_rate": 2e-3,
            "label_smoothing": 0.1,
            "weight_decay": 0.02,
            "epochs": 15,
        },
        [
            {},
            {"batch_size": 128, "learning_rate": 4e-3, "weight_decay": 0.05},
        ],
        goal=0.9875,
    ),
    "augmented": Setting(
        "decay, batch normalization, distorted images",
        {
            **NORMALIZED,
            "learning_rate_schedule": "cosine",
            "learning_rate": 4e-3,
            "warmup_epochs": 1,
            "batch_size": 128,
            "augmentation": "affine+elastic",
        },
        [
            {"epochs": 60},
            {"epochs": 80},
            {"epochs": 90},
            {"epochs": 100, "batch_size": 256, "learning_rate": 6e-3},
        ],
        goal=0.9945,
        seconds=180,
    ),
    "wide": Setting(
        "a wider network, distorted images",
        {
            **NORMALIZED,
            "widths": (1200, 1000),
            "learning_rate_schedule": "cosine",
            "learning_rate": 4e-3,
            "warmup_epochs": 1,
            "batch_size": 256,
            "epochs": 350,
            # Stronger than "affine+elastic", for many weights and epochs.
            "augmentation": Distortions(
                rotation=12, shift=0.05, scale=0.12, shear=0.12, elastic_strength=0.04
            ),
        },
        goal=0.996,
        seconds=1800,
    ),
}


def small(setting):
    """Return a small form of a setting, whose runs take a second."""
    params = {**setting.params, "epochs": 2, "widths": (16, 16), "warmup_epochs": 0}
    candidates = [
        {name: value for name, value in candidate.items() if name != "epochs"}
        for candidate in setting.candidates[:2]
    ]
    return Setting(**{**vars(setting), "params": params, "candidates": candidates})


class Runs:
    """The runs of some settings, and the folder with their results.

    Parameters
    ----------
    settings : dict of str to Setting
    out : pathlib.Path
        The folder, with one JSON file for each run.
    load : callable
        Returns the data, as `fetch_mnist` does.
    seeds : sequence of int
        Seeds of the final runs.
    """

    def __init__(self, settings, out, load, seeds=SEEDS):
        self.settings, self.out, self.seeds = settings, out, seeds
        self._load, self._data = load, None

    @property
    def data(self):
        """The data, loaded at the first use."""
        if self._data is None:
            self._data = self._load()
        return self._data

    def read(self, name):
        """Return a run's result, or None if there is none yet."""
        path = self.out / f"{name}.json"
        return json.loads(path.read_text()) if path.is_file() else None

    def candidates(self, name):
        """Return the validation runs of a setting's candidates."""
        numbers = range(len(self.settings[name].candidates))
        return self._made(f"{name}-candidate-{i}" for i in numbers)

    def finals(self, name):
        """Return the final runs of a setting."""
        return self._made(f"{name}-{seed}" for seed in self.seeds)

    def in_views(self, name):
        """Return the runs of a setting that average over distorted copies."""
        return self._made(f"{name}-views-{seed}" for seed in self.seeds)

    def _made(self, names):
        """Return the results of the finished runs."""
        return [run for run in map(self.read, names) if run]

    def chosen(self, name):
        """Return the chosen parameters, or None if a validation run is missing."""
        setting, runs = self.settings[name], self.candidates(name)
        if len(setting.candidates) == 1:
            return {**setting.params, **setting.candidates[0]}
        if len(runs) < len(setting.candidates):
            return None
        best = choose(setting, runs)
        return {**setting.params, **setting.candidates[best]}

    def run(self, only=None, seeds=None):
        """Make the runs that have no result yet."""
        for name in self.settings:
            if only is None or name in only:
                self._run_candidates(name)
                for seed in self.seeds if seeds is None else seeds:
                    self._once(f"{name}-{seed}", self._final, name, seed)
        if only is None or "views" in only:
            for name in KEPT:
                for seed in [run["seed"] for run in self.finals(name)]:
                    self._once(f"{name}-views-{seed}", self._in_views, name, seed)
        complete = len(self.finals("augmented")) == len(self.seeds)
        if complete and (only is None or "ensemble" in only):
            self._once("ensemble", self._ensemble)

    def _run_candidates(self, name):
        setting = self.settings[name]
        if len(setting.candidates) > 1:
            for i, changes in enumerate(setting.candidates):
                params = {**setting.params, **changes}
                self._once(f"{name}-candidate-{i}", self._validate, params)

    def _once(self, name, run, *args):
        if self.read(name) is None:
            result = {**run(*args), **environment()}
            self.out.mkdir(parents=True, exist_ok=True)
            temporary = self.out / f".{name}.tmp"
            temporary.write_text(one_line_each(result))
            os.replace(temporary, self.out / f"{name}.json")
            print(name, result["accuracy"], round(result["seconds"], 1), flush=True)

    def _validate(self, params):
        """Train on a part of the training data and score on the rest."""
        from skmnist.neural_network import split_validation

        X, y = self._rows("train")
        train, judging = split_validation(y, 1 - PART_THAT_TRAINS, random_state=0)
        _, result = fit(params, 0, X[train], y[train], X[judging], y[judging])
        return {**result, "n_judged": len(judging)}

    def _rows(self, part):
        """Return images and labels of the part "train" or "test"."""
        rows = self.data[part]
        return self.data.data[rows], self.data.target[rows]

    def _kept_params(self, name):
        """Return the chosen parameters with the folder that keeps the fits."""
        return {**self.chosen(name), "memory": str(self.out / ".fits")}

    def _final(self, name, seed):
        """Train on all training data and score on the test data."""
        params = self._kept_params(name) if name in KEPT else self.chosen(name)
        train = self._rows("train")
        classifier, result = fit(params, seed, *train, *self._rows("test"))
        result["n_parameters"] = classifier.n_parameters_
        if self.settings[name].fastest:
            result["seconds_again"] = classifier.fit(*train).fit_time_
        return result

    def _in_views(self, name, seed):
        """Average a kept network's predictions over distorted copies."""
        from skmnist import AugmentedPredictionClassifier, KerasMLPClassifier

        # Trained above and kept: nothing is trained again.
        params = params_of(self._kept_params(name))
        network = KerasMLPClassifier(**params, random_state=seed)
        averaged = AugmentedPredictionClassifier(network, random_state=seed)
        averaged.fit(*self._rows("train"))
        before = time.perf_counter()
        judged = judge(averaged, *self._rows("test"))
        return {"seed": seed, **judged, "seconds": time.perf_counter() - before}

    def _ensemble(self):
        """Average the probabilities of the augmented networks."""
        from sklearn.ensemble import VotingClassifier

        from skmnist import KerasMLPClassifier

        # These fits are kept, too: nothing is trained again.
        params = self._kept_params("augmented")
        members = [
            (f"seed{seed}", KerasMLPClassifier(**params_of(params), random_state=seed))
            for seed in self.seeds
        ]
        voting = VotingClassifier(members, voting="soft").fit(*self._rows("train"))
        seconds = sum(run["seconds"] for run in self.finals("augmented"))
        return {**judge(voting, *self._rows("test")), "seconds": seconds}


def params_of(setting):
    """Return all parameters of a setting: its own, and the source report's."""
    from skmnist.study import report_base_params

    return {**report_base_params(), **setting}


def fit(params, seed, X, y, X_judging, y_judging):
    """Compile and train one network, and score it."""
    from skmnist import KerasMLPClassifier
    from skmnist.neural_network import clear_engines

    clear_engines()
    classifier = KerasMLPClassifier(**params_of(params), random_state=seed)
    before = time.process_time()
    classifier.fit(X, y)
    cpu_seconds = time.process_time() - before
    return classifier, {
        "params": {n: v for n, v in params.items() if n != "memory"},
        "seed": seed,
        "n_train": len(y),
        "epochs": classifier.n_iter_,
        **judge(classifier, X_judging, y_judging),
        "seconds": classifier.fit_time_,
        "cpu_seconds": cpu_seconds,
    }


def one_line_each(result):
    """Write a dict as JSON with one line for each key."""
    lines = [
        f"{json.dumps(name)}: {json.dumps(value, default=asdict)}"
        for name, value in result.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def judge(classifier, X, y):
    """Return the accuracy on some rows, and which rows are misread."""
    predicted = classifier.predict(X)
    wrong = [i for i, (a, b) in enumerate(zip(predicted, y, strict=True)) if a != b]
    return {"accuracy": 1 - len(wrong) / len(y), "wrong": wrong}


def environment():
    """Return the machine and the versions of a run."""
    return {
        "date": str(date.today()),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "versions": {package: version(package) for package in PACKAGES},
    }


def choose(setting, runs):
    """Return the position of the best candidate by the validation runs."""
    accuracies = [run["accuracy"] for run in runs]
    if setting.seconds is not None:
        # The final run has more rows and takes longer.
        most = setting.seconds * PART_THAT_TRAINS
        allowed = [i for i, run in enumerate(runs) if run["seconds"] <= most]
        return max(allowed or range(len(runs)), key=accuracies.__getitem__)
    best = accuracies.index(max(accuracies))
    if not setting.fastest:
        return best
    margin = math.sqrt(setting.goal * (1 - setting.goal) / runs[0]["n_judged"])
    # Use processor time: other work on the machine may have delayed the clock time.
    good = [i for i, a in enumerate(accuracies) if a >= setting.goal + margin]
    return min(good, key=lambda i: runs[i]["cpu_seconds"], default=best)


def committed():
    """Return the runs whose results are committed."""
    from skmnist import fetch_mnist

    return Runs(SETTINGS, RESULTS, fetch_mnist)


def quick(out):
    """Return small runs, on the digits that ship with scikit-learn."""
    from skmnist import load_digits_28x28

    settings = {name: small(setting) for name, setting in SETTINGS.items()}
    return Runs(settings, Path(out) / "results", load_digits_28x28, SEEDS[:2])


def main(argv=None):
    """Make missing runs with --run, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", action="store_true", help="make missing runs too")
    parser.add_argument("--only", nargs="+", metavar="SETTING", help="settings to run")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="SEED", choices=SEEDS)
    parser.add_argument("--quick", action="store_true", help="small, on the digits")
    parser.add_argument("--out", default=DOCS, type=Path, help="folder of the page")
    options = parser.parse_args(argv)
    if options.quick and options.out == DOCS:
        parser.error("--quick needs --out: its figures are not for docs/")
    runs = quick(options.out) if options.quick else committed()
    if options.run:
        runs.run(options.only, options.seeds)
    (options.out / "accuracy.md").write_text(page(runs), encoding="utf-8")


if __name__ == "__main__":
    main()
