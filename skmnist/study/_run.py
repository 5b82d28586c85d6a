"""A study: one staged search on one data set, and the folder that keeps it."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import sys
import time
from dataclasses import asdict

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.model_selection import StratifiedShuffleSplit

from .._versions import installed_versions
from ..datasets._loaders import load_dataset
from ..model_selection._evaluation import versions
from ..model_selection._executors import ClusterError
from ..model_selection._scoring import record_scoring
from ..model_selection._search import StagedSearchCV
from ..stats._compare import stage_significance
from ..stats._standard_error import binomial_standard_error
from ._artifacts import (
    CURVES,
    PREDICTIONS,
    fit_curve,
    inspect_fit,
    predict_test_set,
    write_predictions,
)
from ._config import JUDGING_PART
from ._presets import base_params, final_params, stages_of
from ._storage import (
    LEARNING_PARAMETERS,
    MEASURED,
    PARAMETERS,
    Study,
    check_same,
    claim_folder,
    hold_folder,
    plain,
    read_study,
    write_json,
    write_rows,
)
from ._trials import FILE as TRIALS, TrialFile

SCHEMA = 1


_PACKAGES = (
    "skmnist",
    "scikit-learn",
    "scikeras",
    "keras",
    "tensorflow",
    "numpy",
    "joblib",
)


def pin_threads(n_jobs, threads=None):
    """Give each fit its share of the cores, before TensorFlow starts.

    The sums inside a matrix product depend on the number of threads, and with
    them the last bits of every weight; so a study pins the number and records
    it. TensorFlow reads the environment once; loky's own limits do not bind it.

    Parameters
    ----------
    n_jobs : int
        Fits that run at once, as joblib counts them.
    threads : int, default=None
        Threads of a study that goes on; None for an equal share of the cores.

    Returns
    -------
    threads : int
        Threads of each fit. A number that the caller's environment sets stays.
    """
    share = max(1, (joblib.cpu_count() or 1) // joblib.effective_n_jobs(n_jobs))
    if "tensorflow" in sys.modules and "TF_NUM_INTRAOP_THREADS" not in os.environ:
        # Too late for this process, which uses all cores.
        share = joblib.cpu_count() if joblib.effective_n_jobs(n_jobs) == 1 else share
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads or share))
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    return int(os.environ["TF_NUM_INTRAOP_THREADS"])


def run_study(config, out, *, on_data=None, on_stage=None, callbacks=()):
    """Run a study and write its folder.

    Parameters
    ----------
    config : StudyConfig
        What to do.
    out : path-like
        Folder to write: new or empty, or with the same study, which then goes on
        where it was.
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
        If the folder is taken by something else, or by a process that runs the
        study now.
    skmnist.datasets._loaders.DataError
        If the data are not what they should be.
    skmnist.model_selection._executors.ClusterError
        If the cluster's workers would give other results, or none answers.
    TimeoutError
        If the time is over before the first stage is finished.
    """
    started = time.perf_counter()
    out = claim_folder(out)
    going_on = (out / "study.json").exists()
    kept = read_study(out).header["threads_per_fit"] if going_on else None
    # A worker of a cluster has one thread, and so has the final fit here.
    kept = kept or (1 if config.backend == "dask" else None)
    threads = pin_threads(config.n_jobs, kept)
    data = load_dataset(config.dataset, config.data)
    header = _header(config, data, threads)
    if going_on:
        check_same(out, header)
    with hold_folder(out):
        if not going_on:
            write_json(out / "study.json", header)
        if on_data is not None:
            on_data(header)
        with _workers(config, header), TrialFile(out / TRIALS) as trials:
            told = {"on_stage": on_stage, "on_trial": trials.add}
            study = _search_and_finish(config, out, data, header, told, callbacks)
        study.summary["seconds"] = time.perf_counter() - started
        write_json(out / "summary.json", study.summary)
    return study


@contextlib.contextmanager
def _workers(config, header):
    """Open the place where the fits run."""
    if config.backend != "dask":
        yield
        return
    try:
        from ..model_selection._dask import open_cluster
    except ImportError as error:
        raise ClusterError(
            f"a Dask cluster needs the package distributed ({error}); install it with "
            "'pip install skmnist[dask]'"
        ) from error
    with open_cluster(
        config.scheduler,
        n_threads=header["threads_per_fit"],
        expected=versions(),
    ):
        yield


def _search_and_finish(config, out, data, header, told, callbacks):
    """Run the stages and the final model; return the study, not yet timed."""
    rows, stages, curves, inspected = [], [], {}, {}
    n_kept = len(read_study(out).rows)

    def on_trial(trial):
        if trial.split == 0:
            inspected[trial.candidate] = trial.inspected
        told["on_trial"](trial)

    def record(result, cv_results):
        new = stage_rows(result, cv_results, base, data.name)
        add_significance(new, [inspected[row] for row in result.indices])
        stages.append(_stage(result))
        rows.extend(new)
        curves[result.name] = inspected[result.winner]["curve"]
        if len(rows) >= n_kept:  # what an earlier run wrote stays until then
            write_rows(out / "results.csv", rows)
            write_json(out / "stages.json", stages)
            write_json(out / CURVES, {"stages": curves, "final": None})
        if told["on_stage"] is not None:
            told["on_stage"](stages[-1], new)

    # Fits that an earlier run has finished are taken from there.
    classifier, base = _classifier(config, memory=str(out.resolve()))
    search = _search(config, classifier, data)
    search.set_params(on_stage_end=record, on_trial_end=on_trial)
    if callbacks:
        search.set_callbacks(*callbacks)
    judged = data.train if config.protocol == "holdout" else slice(None)
    X, y = data.data[judged], data.target[judged]
    search.fit(X, y)
    best = {**search.best_params_, **final_params(config.preset)}
    final = _final_model(classifier, best, data)
    final.save(out / "model.skmnist")
    write_json(out / CURVES, {"stages": curves, "final": fit_curve(final)})
    write_predictions(out / PREDICTIONS, predict_test_set(final, data))
    return Study(header, rows, stages, _summary(search, final, data, header))


def stage_rows(result, cv_results, base, dataset):
    """Bring a stage's part of ``cv_results_`` to plain rows.

    Parameters
    ----------
    result : StageResult
        The stage.
    cv_results : dict
        All rows so far.
    base : dict
        The parameters before the first stage. Rows have a column for each of
        `PARAMETERS`, and for those of `LEARNING_PARAMETERS` that are among them.
    dataset : str
        Name of the data.

    Returns
    -------
    rows : list of dict
        One for each candidate: data, stage, parameters, measured columns, winner.
    """
    named = [*PARAMETERS, *(name for name in LEARNING_PARAMETERS if name in base)]
    rows = []
    for i in result.indices:
        params = {**base, **cv_results["params"][i]}
        measured = {name: float(cv_results[c][i]) for name, c in MEASURED.items()}
        rows.append(
            {
                "dataset": dataset,
                "stage": result.name,
                **{name: plain(params[name]) for name in named},
                **measured,
                "gap": measured["validation_accuracy"] - measured["accuracy"],
                "winner": i == result.winner,
                "incumbent": i == result.incumbent,
            }
        )
    return rows


def add_significance(rows, inspected):
    """Add to the rows of a stage how sure their accuracies are.

    Parameters
    ----------
    rows : list of dict
        From `stage_rows`. Each gets ``standard_error``, that of its accuracy, and
        ``p_value``: whether it differs from the stage's winner, by McNemar's test
        and adjusted after Holm; see `skmnist.model_selection.stage_significance`.
    inspected : list of dict or None
        What `skmnist.study.inspect_fit` has found of each candidate; None for one
        that failed.
    """
    winner = [row["winner"] for row in rows].index(True)
    n_test = len(inspected[winner]["right"])
    nothing = np.zeros(n_test, dtype=bool)
    right = np.array([nothing if one is None else one["right"] for one in inspected])
    accuracies = [row["accuracy"] for row in rows]
    columns = stage_significance(accuracies, winner, n_test=n_test, right=right)
    for row, column in zip(rows, columns, strict=True):
        row.update(column)


def _classifier(config, memory):
    """Return the classifier before the first stage, and its parameters."""
    from ..neural_network._classifier import KerasMLPClassifier

    base = base_params(config.preset, config.epochs)
    classifier = KerasMLPClassifier(**base, random_state=config.seed, memory=memory)
    return classifier, base


def _search(config, classifier, data):
    n_train = data.train.stop
    if config.protocol == "holdout":
        cv = StratifiedShuffleSplit(1, test_size=JUDGING_PART, random_state=config.seed)
    else:
        cv = [(np.arange(n_train), np.arange(n_train, len(data.target)))]
    return StagedSearchCV(
        classifier,
        stages_of(config, data.data.shape[1]),
        scoring=record_scoring(),
        cv=cv,
        n_jobs=config.n_jobs,
        # The final model trains on the training data of either protocol, which
        # are not the data of the search under "report".
        refit=False,
        inspect=inspect_fit,
        random_state=config.seed,
        time_budget=config.time_budget,
    )


def _final_model(classifier, best_params, data):
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
        "stages": [s.name for s in stages_of(config, data.data.shape[1])],
        "optimistic": config.protocol == "report",
        "threads_per_fit": threads,
        "versions": installed_versions(_PACKAGES),
    }


def _stage(result):
    return {
        "name": result.name,
        "rule": result.rule,
        "reason": result.reason,
        "tried": sorted(result.params, key=_position),
        "best_params": {name: plain(v) for name, v in result.best_params.items()},
    }


def _summary(search, final, data, header):
    X, y = data.data[data.test], data.target[data.test]
    accuracy = final.score(X, y)
    return {
        "data": header["data"],
        "protocol": header["config"]["protocol"],
        "best_params": {name: plain(v) for name, v in search.best_params_.items()},
        "winners": {stage.name: stage.reason for stage in search.stages_},
        "final": {
            "test_accuracy": accuracy,
            "standard_error": float(binomial_standard_error(accuracy, len(y))),
            "validation_accuracy": final.best_validation_score_,
            "n_iter": final.n_iter_,
            "best_iter": final.best_iter_,
            "stop_reason": final.stop_reason_,
            "n_parameters": final.n_parameters_,
            "seconds": final.fit_time_,
        },
        "not_tried": search.not_tried_,
        "n_candidates": len(search.cv_results_["params"]),
        "n_fits": len(search.cv_results_["params"]) * search.n_splits_ + 1,
    }


def _position(name):
    known = [*PARAMETERS, *LEARNING_PARAMETERS]
    return known.index(name) if name in known else len(known)
