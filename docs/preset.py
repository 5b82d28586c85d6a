"""Write docs/preset.md from the result files of studies with the preset "accuracy".

    python docs/preset.py                # write the page from the committed files
    python docs/preset.py --run          # first run the studies without a file
    python docs/preset.py --run --only digits_8x8    # run one study
    python docs/preset.py --run --quick --out DIR    # small studies, in another folder

`make preset` calls the second. The study on MNIST needs the MNIST files. The other data
ship with scikit-learn.
"""

# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
import math
import os
import tempfile
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path

DOCS = Path(__file__).parent

PACKAGES = ("skmnist", "keras", "tensorflow", "numpy")
# Descriptions on the page.
DATA = {
    "digits_28x28": "the handwritten digits of scikit-learn, enlarged to 28x28",
    "digits_8x8": "the same digits with their original 8x8 pixels, in an `.npz` file",
    "breast_cancer": "30 standardized measurements of 569 tumours, in an `.npz` file",
    "mnist": "MNIST",
}

INTRODUCTION = """\
# The preset `accuracy` on other data

`skmnist study --preset accuracy` was made for MNIST. Here the same preset searches on
other data, without changes. Held-out rows of the training data judge the candidates.
Only the final network reads the test data, once. The table compares it with the network
at the start of the search: the source report's network, trained with Adam at 0.001 for
{epochs} epochs on the same training data. To make this page, run

    make preset

It uses the results in `docs/results/preset/` and runs only missing studies. *p* is from
McNemar's test: if both networks were equally good, how often would chance alone make a
difference at least this large?

| data | rows | test rows | candidates | minutes | start, % | preset, % | p |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def write_npz(name, path):
    """Write one of scikit-learn's data sets as an `.npz` file."""
    import numpy as np
    from sklearn import datasets
    from sklearn.preprocessing import scale

    if name == "digits_8x8":
        X, y = datasets.load_digits(return_X_y=True)
        X = X / 16
    else:
        X, y = datasets.load_breast_cancer(return_X_y=True)
        X = scale(X)
    np.savez(path, X=X.astype(np.float32), y=y)


def run_one(name, epochs, n_iter=None):
    """Run a study on one data set; return the figures for the page."""
    from skmnist import mcnemar_test
    from skmnist.datasets import load_dataset
    from skmnist.study import StudyConfig, accuracy_base_params, run_study

    with tempfile.TemporaryDirectory() as folder:
        dataset = {"digits_28x28": "digits", "mnist": "mnist"}.get(name)
        if dataset is None:
            dataset = f"{folder}/{name}.npz"
            write_npz(name, dataset)
        config = StudyConfig(
            dataset=dataset,
            preset="accuracy",
            epochs=epochs,
            n_iter=n_iter,
            baselines=False,
        )
        study = run_study(config, f"{folder}/study")
        data = load_dataset(dataset)
        preset = right(read_final(f"{folder}/study"), data)
    start = {**accuracy_base_params(epochs), "early_stopping": False}
    start = right(train(start, data), data)
    summary = study.summary
    return {
        "n_train": data.train.stop,
        "n_test": len(data.target) - data.train.stop,
        "n_features": data.data.shape[1],
        "epochs": epochs,
        "n_candidates": summary.n_candidates,
        "seconds": round(summary.seconds, 1),
        "start": float(start.mean()),
        "preset": float(preset.mean()),
        "p_value": float(mcnemar_test(preset, start).p_value),
        "best_params": summary.best_params,
        "date": str(date.today()),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "versions": {package: version(package) for package in PACKAGES},
    }


def read_final(folder):
    """Read the final model of a study."""
    from skmnist import KerasMLPClassifier

    return KerasMLPClassifier.load(Path(folder) / "model.skmnist")


def train(params, data):
    """Train the network that the preset starts from."""
    from skmnist import KerasMLPClassifier

    classifier = KerasMLPClassifier(**params, random_state=0)
    return classifier.fit(data.data[data.train], data.target[data.train])


def right(classifier, data):
    """Return whether each test row is classified correctly."""
    return classifier.predict(data.data[data.test]) == data.target[data.test]


def run(results, only, epochs, n_iter=None):
    """Run the studies that have no result yet."""
    results.mkdir(parents=True, exist_ok=True)
    for name in only:
        path = results / f"{name}.json"
        if not path.is_file():
            found = run_one(name, epochs, n_iter)
            text = json.dumps(found, indent=1, default=asdict)
            path.write_text(text + "\n", encoding="utf-8")
            print(name, found["start"], found["preset"], found["seconds"], flush=True)


def read(results):
    """Read the finished results, in the order of the page."""
    paths = {name: results / f"{name}.json" for name in DATA}
    return {n: json.loads(p.read_text()) for n, p in paths.items() if p.is_file()}


def page(results):
    """Return the page's Markdown."""
    found = read(results)
    if not found:
        raise SystemExit(f"no results in {results}; --run makes them")
    rows = [row(name, one) for name, one in found.items()]
    some = next(iter(found.values()))
    text = INTRODUCTION.format(epochs=some["epochs"]) + "\n".join(rows)
    chosen = [f"- {DATA[name]}: {described(one)}" for name, one in found.items()]
    used = ", ".join(f"{n} {v}" for n, v in some["versions"].items())
    loads = [one["load"] for one in found.values()]
    made = (
        f"{some['date']}; {some['cores']} cores; load {min(loads):.1f} to "
        f"{max(loads):.1f} at the end of a study; {used}. One seed each."
    )
    return "\n\n".join([text, "## Chosen parameters", "\n".join(chosen), made]) + "\n"


def row(name, one):
    """Return a study's row of the table."""
    cells = [
        DATA[name],
        f"{one['n_train']:,}",
        f"{one['n_test']:,}",
        f"{one['n_candidates']}",
        f"{one['seconds'] / 60:.1f}",
        percent(one["start"], one["n_test"]),
        percent(one["preset"], one["n_test"]),
        f"{one['p_value']:.2g}",
    ]
    return f"| {' | '.join(cells)} |"


def percent(accuracy, n_rows):
    """Write an accuracy and its standard error in per cent."""
    error = math.sqrt(accuracy * (1 - accuracy) / n_rows)
    return f"{100 * accuracy:.2f} ± {100 * error:.2f}"


def described(one):
    """Write the chosen parameters; floats have three digits."""
    params = one["best_params"].items()
    return ", ".join(f"`{n}={short(v)}`" for n, v in sorted(params))


def short(value):
    """Write a value; a float has three digits."""
    return f"{value:.3g}" if isinstance(value, float) else repr(value)


def main(argv=None):
    """Run missing studies with --run, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", action="store_true", help="run missing studies too")
    parser.add_argument("--only", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--quick", action="store_true", help="small ones")
    parser.add_argument("--out", default=DOCS, type=Path, help="folder of the page")
    options = parser.parse_args(argv)
    if options.quick and options.out == DOCS:
        parser.error("--quick needs --out: its figures are not for docs/")
    results = options.out / "results" / "preset"
    if options.run:
        quick = {"epochs": 2, "n_iter": 1} if options.quick else {"epochs": 20}
        run(results, options.only, **quick)
    (options.out / "preset.md").write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
