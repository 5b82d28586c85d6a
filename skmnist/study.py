"""A study: one staged search on one data set, and the folder that keeps it."""

# SPDX-License-Identifier: BSD-3-Clause

import csv
import json
import math
import os
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from platform import python_version

import joblib
import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit

from .datasets import load_dataset
from .experiment import PRESETS, report_base_params
from .search import StagedSearchCV
from .selection import record_scoring

SCHEMA = 1
PROTOCOLS = ("holdout", "report")

# The part of the training data that judges candidates under "holdout": as many
# images as MNIST's test set has.
JUDGING_PART = 1 / 6

# The parameters a row of results.csv names, and the columns measured for it.
PARAMETERS = (
    "depth",
    "widths",
    "activations",
    "batch_size",
    "validation_split",
    "initializers",
    "output_initializer",
    "optimizer",
    "epochs",
)
MEASURED = {
    "validation_accuracy": "mean_test_validation_accuracy",
    "accuracy": "mean_test_accuracy",
    "n_iter": "mean_test_n_iter",
    "best_iter": "mean_test_best_iter",
    "seconds": "mean_test_fit_seconds",
    "n_parameters": "mean_test_n_parameters",
}
_PACKAGES = (
    "skmnist",
    "scikit-learn",
    "scikeras",
    "keras",
    "tensorflow",
    "numpy",
    "joblib",
)


class StudyFolderError(ValueError):
    """A folder cannot take a study, or holds none."""


@dataclass(frozen=True)
class StudyConfig:
    """What a study does; equal configurations give equal studies.

    Parameters
    ----------
    dataset : str, default="auto"
        "mnist", "digits", "auto", or the path of an ``.npz`` file.
    data : str, default=None
        Folder with the MNIST files.
    preset : str, default="report"
        Which stages, a name in `PRESETS`.
    protocol : {"holdout", "report"}, default="holdout"
        What judges a candidate: a part of the training data that neither
        trained nor stopped it, or the test set, as the source report did, which
        makes the results optimistic.
    n_jobs : int, default=1
        Fits that run at once.
    seed : int, default=0
        Seed of the folds and of every fit.
    epochs : int, default=20
        Most epochs of a fit.
    """

    dataset: str = "auto"
    data: str | None = None
    preset: str = "report"
    protocol: str = "holdout"
    n_jobs: int = 1
    seed: int = 0
    epochs: int = 20


@dataclass(frozen=True)
class Study:
    """A study as its folder keeps it.

    Parameters
    ----------
    header : dict
        The content of ``study.json``: configuration, data, versions.
    rows : list of dict
        One for each candidate, as in ``results.csv``.
    stages : list of dict
        For each stage its name, rule and reason.
    summary : dict or None
        The content of ``summary.json``; None while the study is not finished.
    """

    header: dict
    rows: list
    stages: list
    summary: dict | None


def pin_threads(n_jobs):
    """Give each fit its share of the cores, before TensorFlow starts.

    The sums inside a matrix product depend on the number of threads, and with
    them the last bits of every weight; so a study pins the number and records
    it. TensorFlow reads the environment once; loky's own limits do not bind it.

    Parameters
    ----------
    n_jobs : int
        Fits that run at once, as joblib counts them.

    Returns
    -------
    threads : int
        Threads of each fit. A number that the caller's environment sets stays.
    """
    share = max(1, (joblib.cpu_count() or 1) // joblib.effective_n_jobs(n_jobs))
    if "tensorflow" in sys.modules and "TF_NUM_INTRAOP_THREADS" not in os.environ:
        # Too late for this process, which uses all cores.
        share = joblib.cpu_count() if joblib.effective_n_jobs(n_jobs) == 1 else share
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(share))
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    return int(os.environ["TF_NUM_INTRAOP_THREADS"])


def claim_folder(out):
    """Refuse a folder that cannot take a new study; create nothing.

    Parameters
    ----------
    out : path-like
        The folder of the study.

    Returns
    -------
    out : pathlib.Path
        The same folder.

    Raises
    ------
    StudyFolderError
        If it holds something already, or is no folder.
    """
    out = Path(out)
    if (out / "study.json").exists():
        raise StudyFolderError(
            f"{out} holds another study; name a new folder with --out"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StudyFolderError(f"{out} is not empty; name a new folder with --out")
    return out


def run_study(config, out, *, on_data=None, on_stage=None, callbacks=()):
    """Run a study and write its folder.

    Parameters
    ----------
    config : StudyConfig
        What to do.
    out : path-like
        Folder to write; new or empty.
    on_data : callable, default=None
        ``on_data(header)``, called once the data are there.
    on_stage : callable, default=None
        ``on_stage(stage, rows)``, called after each stage.
    callbacks : sequence of scikit-learn callbacks, default=()
        Set on the search.

    Returns
    -------
    study : Study
        The finished study.

    Raises
    ------
    StudyFolderError
        If the folder is taken.
    skmnist.datasets.DataError
        If the data are not what they should be.
    """
    started = time.perf_counter()
    out = claim_folder(out)
    threads = pin_threads(config.n_jobs)
    data = load_dataset(config.dataset, config.data)
    header = _header(config, data, threads)
    out.mkdir(parents=True, exist_ok=True)
    _write_json(out / "study.json", header)
    if on_data is not None:
        on_data(header)
    rows, stages = [], []

    def record(result, cv_results):
        new = stage_rows(result, cv_results, base, data.name)
        stages.append(_stage(result))
        rows.extend(new)
        write_rows(out / "results.csv", rows)
        _write_json(out / "stages.json", stages)
        if on_stage is not None:
            on_stage(stages[-1], new)

    classifier, base = _classifier(config)
    search = _search(config, classifier, data, record)
    if callbacks:
        search.set_callbacks(*callbacks)
    judged = data.train if config.protocol == "holdout" else slice(None)
    search.fit(data.data[judged], data.target[judged])
    final = _final_model(classifier, search.best_params_, data)
    final.save(out / "model.skmnist")
    summary = _summary(search, final, data, header, time.perf_counter() - started)
    _write_json(out / "summary.json", summary)
    return Study(header, rows, stages, summary)


def read_study(folder):
    """Read a study's folder.

    Parameters
    ----------
    folder : path-like
        The folder.

    Returns
    -------
    study : Study
        What it holds so far.

    Raises
    ------
    StudyFolderError
        If there is no study in it.
    """
    folder = Path(folder)
    if not (folder / "study.json").is_file():
        raise StudyFolderError(f"{folder} holds no study (no study.json)")
    try:
        header = json.loads((folder / "study.json").read_text())
        stages, summary = (
            json.loads(path.read_text()) if path.is_file() else None
            for path in (folder / "stages.json", folder / "summary.json")
        )
        path = folder / "results.csv"
        rows = read_rows(path) if path.is_file() else []
    except (ValueError, KeyError) as error:
        raise StudyFolderError(f"{folder} holds a damaged study: {error}") from error
    return Study(header, rows, stages or [], summary)


def stage_rows(result, cv_results, base, dataset):
    """Bring a stage's part of ``cv_results_`` to plain rows.

    Parameters
    ----------
    result : StageResult
        The stage.
    cv_results : dict
        All rows so far.
    base : dict
        The parameters before the first stage.
    dataset : str
        Name of the data.

    Returns
    -------
    rows : list of dict
        One for each candidate: data, stage, parameters, measured columns, winner.
    """
    rows = []
    for i in result.indices:
        params = {**base, **cv_results["params"][i]}
        measured = {name: float(cv_results[c][i]) for name, c in MEASURED.items()}
        rows.append(
            {
                "dataset": dataset,
                "stage": result.name,
                **{name: _plain(params[name]) for name in PARAMETERS},
                **measured,
                "gap": measured["validation_accuracy"] - measured["accuracy"],
                "winner": i == result.winner,
                "incumbent": i == result.incumbent,
            }
        )
    return rows


def write_rows(path, rows):
    """Write rows as CSV; values of several layers are separated by spaces."""
    lines = [{name: _cell(value) for name, value in row.items()} for row in rows]
    temporary = Path(path).with_suffix(".tmp")
    with open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(lines)
    os.replace(temporary, path)


def read_rows(path):
    """Read what `write_rows` wrote."""
    with open(path, newline="") as file:
        return [
            {name: _value(name, text) for name, text in line.items()}
            for line in csv.DictReader(file)
        ]


def _classifier(config):
    """Return the classifier before the first stage, and its parameters."""
    from .classifier import KerasMLPClassifier

    base = {**report_base_params(), "epochs": config.epochs}
    return KerasMLPClassifier(**base, random_state=config.seed), base


def _search(config, classifier, data, on_stage_end):
    n_train = data.train.stop
    if config.protocol == "holdout":
        cv = StratifiedShuffleSplit(1, test_size=JUDGING_PART, random_state=config.seed)
    else:
        cv = [(np.arange(n_train), np.arange(n_train, len(data.target)))]
    return StagedSearchCV(
        classifier,
        PRESETS[config.preset](),
        scoring=record_scoring(),
        cv=cv,
        n_jobs=config.n_jobs,
        # The final model trains on the training data of either protocol, which
        # are not the data of the search under "report".
        refit=False,
        on_stage_end=on_stage_end,
    )


def _final_model(classifier, best_params, data):
    from sklearn.base import clone

    final = clone(classifier).set_params(**best_params)
    return final.fit(data.data[data.train], data.target[data.train])


def _header(config, data, threads):
    return {
        "schema": SCHEMA,
        "config": asdict(config),
        "data": {
            "name": data.name,
            "note": data.note,
            "fingerprint": data.fingerprint,
            "n_train": data.train.stop,
            "n_test": len(data.target) - data.train.stop,
            "n_features": data.data.shape[1],
        },
        "optimistic": config.protocol == "report",
        "threads_per_fit": threads,
        "versions": {
            "python": python_version(),
            **{package: version(package) for package in _PACKAGES},
        },
    }


def _stage(result):
    return {
        "name": result.name,
        "rule": result.rule,
        "reason": result.reason,
        "tried": sorted(result.params, key=_position),
        "best_params": {name: _plain(v) for name, v in result.best_params.items()},
    }


def _summary(search, final, data, header, seconds):
    X, y = data.data[data.test], data.target[data.test]
    accuracy = final.score(X, y)
    return {
        "data": header["data"],
        "protocol": header["config"]["protocol"],
        "best_params": {name: _plain(v) for name, v in search.best_params_.items()},
        "winners": {stage.name: stage.reason for stage in search.stages_},
        "final": {
            "test_accuracy": accuracy,
            "standard_error": math.sqrt(accuracy * (1 - accuracy) / len(y)),
            "validation_accuracy": final.best_validation_score_,
            "n_iter": final.n_iter_,
            "best_iter": final.best_iter_,
            "stop_reason": final.stop_reason_,
            "n_parameters": final.n_parameters_,
            "seconds": final.fit_time_,
        },
        "n_candidates": len(search.cv_results_["params"]),
        "n_fits": len(search.cv_results_["params"]) * search.n_splits_ + 1,
        "seconds": seconds,
    }


def _position(name):
    return PARAMETERS.index(name) if name in PARAMETERS else len(PARAMETERS)


def _plain(value):
    """Bring a parameter to JSON: layers become lists, NumPy's scalars Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list | np.ndarray):
        return [_plain(v) for v in value]
    return value if isinstance(value, str | int | float | None) else str(value)


def _cell(value):
    if isinstance(value, list):
        return " ".join(map(str, value))
    return repr(value) if isinstance(value, float) else value


def _value(name, text):
    """Read one cell of results.csv back."""
    if not text:
        return None
    if name == "dataset":
        return text
    if name in ("winner", "incumbent"):
        return text == "True"
    if name in MEASURED or name in ("gap", "validation_split"):
        return float(text)
    parts = [int(part) if part.isdigit() else part for part in text.split()]
    return parts[0] if len(parts) == 1 else parts


def _write_json(path, content):
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(temporary, path)
