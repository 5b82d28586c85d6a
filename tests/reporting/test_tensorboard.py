"""Searches in TensorBoard: event files read back, and a real server asked."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import csv
import json
import math
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skmnist import (
    KerasMLPClassifier,
    Stage,
    StagedSearchCV,
    load_digits_28x28,
    log_search,
    log_study,
)
from skmnist.cli import main
from skmnist.study import PRESETS, StudyConfig, read_study, run_study
from skmnist.study._columns import MEASURED

pytest.importorskip("tensorboard", reason="TensorBoard is not installed")

IRIS = load_iris(return_X_y=True)
TREE = DecisionTreeClassifier(random_state=0)


def read_run(folder):
    """Return a run's last scalars and steps, and its HParams messages, by name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    run = EventAccumulator(str(folder)).Reload()
    scalars = {
        tag: [(e.step, e.tensor_proto.float_val[0]) for e in run.Tensors(tag)]
        for tag in run.Tags()["tensors"]
        if run.SummaryMetadata(tag).plugin_data.plugin_name == "scalars"
    }
    plugin = {}
    with contextlib.suppress(KeyError):  # a run without parameters
        contents = run.PluginTagToContent("hparams")
        plugin = {n: HParamsPluginData.FromString(c) for n, c in contents.items()}
    return scalars, plugin


def params_of(plugin):
    """Return the parameters of a run as plain values."""
    values = plugin["_hparams_/session_start_info"].session_start_info.hparams
    return {name: getattr(v, v.WhichOneof("kind")) for name, v in values.items()}


def last(scalars):
    return {name: points[-1][1] for name, points in scalars.items()}


def test_each_candidate_of_a_grid_search_is_a_run_with_its_scores(tmp_path):
    search = GridSearchCV(TREE, {"max_depth": [1, 2, 3]}).fit(*IRIS)
    runs = log_search(search, tmp_path)
    assert [run.name for run in runs] == [f"candidates/{i:02d}" for i in (1, 2, 3)]
    for i, run in enumerate(runs):
        scalars, plugin = read_run(tmp_path / run.name)
        assert params_of(plugin) == {"max_depth": i + 1}
        assert set(scalars) == {"score", "fit_time", "score_time"}
        # The files hold single precision.
        score = search.cv_results_["mean_test_score"][i]
        assert last(scalars)["score"] == pytest.approx(score, rel=1e-6)


def staged_search():
    stages = [
        Stage("depth, at most", {"max_depth": [1, 3]}),
        Stage("leaves", {"min_samples_leaf": [1, 20]}),
    ]
    return StagedSearchCV(TREE, stages).fit(*IRIS)


def test_stages_are_folders_and_a_parameter(tmp_path):
    runs = log_search(staged_search(), tmp_path)
    names = [run.name for run in runs]
    assert names == [
        *("01-depth_at_most/01", "01-depth_at_most/02"),
        *("02-leaves/01", "02-leaves/02"),
    ]
    stages = [params_of(read_run(tmp_path / n)[1])["stage"] for n in names]
    assert stages == ["depth, at most"] * 2 + ["leaves"] * 2


def test_the_winners_are_a_path_with_the_stages_as_steps(tmp_path):
    search = staged_search()
    log_search(search, tmp_path)
    path = read_run(tmp_path / "winners")[0]["score"]
    scores = search.cv_results_["mean_test_score"]
    assert [step for step, _ in path] == [1, 2]
    assert [value for _, value in path] == pytest.approx(
        [scores[stage.winner] for stage in search.stages_], rel=1e-6
    )


def test_the_experiment_names_parameters_with_their_ranges_and_scores(tmp_path):
    log_search(staged_search(), tmp_path)
    experiment = read_run(tmp_path)[1]["_hparams_/experiment"].experiment
    infos = {info.name: info for info in experiment.hparam_infos}
    assert set(infos) == {"stage", "max_depth", "min_samples_leaf"}
    interval = infos["max_depth"].domain_interval
    assert (interval.min_value, interval.max_value) == (1, 3)
    stages = [v.string_value for v in infos["stage"].domain_discrete.values]
    assert stages == ["depth, at most", "leaves"]
    metrics = [info.name.tag for info in experiment.metric_infos]
    assert sorted(metrics) == ["fit_time", "score", "score_time"]


def test_a_parameter_has_one_type_in_all_runs(tmp_path):
    # The plugin shows no column whose values are numbers here and texts there.
    grid = {"max_depth": [None, 2], "splitter": ["best"], "min_samples_leaf": [1, 0.1]}
    runs = log_search(GridSearchCV(TREE, grid).fit(*IRIS), tmp_path)
    found = [params_of(read_run(tmp_path / run.name)[1]) for run in runs]
    assert {p["max_depth"] for p in found} == {"None", "2"}
    assert {p["min_samples_leaf"] for p in found} == {1.0, 0.1}


def test_layers_of_different_widths_are_text(tmp_path):
    search = GridSearchCV(TREE, {"max_depth": [1]}).fit(*IRIS)
    search.cv_results_["params"] = [{"widths": (64, 32), "bn": True}]
    (run,) = log_search(search, tmp_path)
    assert params_of(read_run(tmp_path / run.name)[1]) == {
        "widths": "(64, 32)",
        "bn": True,
    }


def test_a_candidate_that_failed_is_marked_so_and_has_no_score(tmp_path):
    from tensorboard.plugins.hparams import api_pb2

    search = GridSearchCV(TREE, {"max_depth": [1, 2]}).fit(*IRIS)
    for name in ("mean_test_score", "mean_fit_time", "mean_score_time"):
        search.cv_results_[name][0] = np.nan
    runs = log_search(search, tmp_path)
    status = []
    for run in runs:
        plugin = read_run(tmp_path / run.name)[1]
        status.append(plugin["_hparams_/session_end_info"].session_end_info.status)
    assert status == [api_pb2.STATUS_FAILURE, api_pb2.STATUS_SUCCESS]
    assert runs[0].scores == {}


@pytest.fixture(scope="module")
def network_search():
    """A search of two tiny networks in a pipeline, with validation curves."""
    X, y = load_digits_28x28(return_X_y=True)
    network = KerasMLPClassifier(
        1, 8, epochs=3, early_stopping=True, min_train_loss=None, random_state=0
    )
    pipeline = make_pipeline(StandardScaler(), network)
    grid = {"kerasmlpclassifier__batch_size": [32, 64]}
    return GridSearchCV(pipeline, grid, cv=2).fit(X[:300], y[:300])


def test_the_best_networks_curves_are_named_as_keras_does(network_search, tmp_path):
    log_search(network_search, tmp_path)
    network = network_search.best_estimator_[-1]
    for part, prefix in (("train", ""), ("validation", "val_")):
        scalars, _ = read_run(tmp_path / "best" / part)
        assert set(scalars) == {"epoch_loss", "epoch_accuracy"}
        for name in ("loss", "accuracy"):
            curve = network.history_[prefix + name]
            steps, values = zip(*scalars[f"epoch_{name}"], strict=True)
            assert steps == tuple(range(network.n_iter_))
            assert values == pytest.approx(curve, rel=1e-6)


def test_no_writer_is_left_behind(network_search, tmp_path):
    import threading

    import tensorflow as tf

    threads = threading.active_count()
    log_search(network_search, tmp_path)
    assert threading.active_count() == threads
    # With a default writer, this would write and be true.
    assert not tf.summary.scalar("nowhere", 1.0, step=0)


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    message = f"{tmp_path} is not empty; name a new folder for the log"
    with pytest.raises(FileExistsError, match=re.escape(message)):
        log_search(staged_search(), tmp_path)


def test_a_search_that_is_not_fitted_is_refused(tmp_path):
    with pytest.raises(NotFittedError, match="GridSearchCV instance is not fitted"):
        log_search(GridSearchCV(TREE, {"max_depth": [1]}), tmp_path / "log")
    assert not (tmp_path / "log").exists()


def test_without_tensorboard_the_error_names_what_to_install(tmp_path, monkeypatch):
    search = staged_search()
    monkeypatch.setitem(sys.modules, "tensorboard.plugins.hparams.api", None)
    with pytest.raises(ImportError, match=r'pip install "skmnist\[tensorboard\]"'):
        log_search(search, tmp_path / "log")
    assert not (tmp_path / "log").exists()


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory):
    """A finished study of two stages with tiny networks."""
    PRESETS["two"] = lambda: [
        Stage("width", {"widths": [8, (8, 4)]}),
        Stage("batch", {"batch_size": [64, 128]}),
    ]
    out = tmp_path_factory.mktemp("studies") / "study"
    config = StudyConfig(dataset="digits", preset="two", epochs=2, baselines=False)
    run_study(config, out)
    del PRESETS["two"]
    return out


def test_a_study_is_logged_with_its_final_model(study_folder, tmp_path):
    study = read_study(study_folder)
    runs = log_study(study_folder, tmp_path)
    assert [run.name for run in runs][-1] == "final"
    assert len(runs) == len(study.rows) + 1
    for row, run in zip(study.rows, runs, strict=False):
        scalars, plugin = read_run(tmp_path / run.name)
        assert last(scalars)["accuracy"] == pytest.approx(row.accuracy, rel=1e-6)
        assert params_of(plugin)["stage"] == row.stage
    final = last(read_run(tmp_path / "final")[0])
    accuracy = study.summary.final.test_accuracy
    assert final["test_accuracy"] == pytest.approx(accuracy, rel=1e-6)
    curve = read_run(tmp_path / "final" / "validation")[0]["epoch_loss"]
    assert len(curve) == study.summary.final.n_iter


def test_all_parameters_of_a_study_are_logged(study_folder, tmp_path):
    # As in a study of learning rates, or of whatever else.
    folder = shutil.copytree(study_folder, tmp_path / "study")
    more = {
        "learning_rate": "0.002",
        "learning_rate_schedule": "cosine",
        "batch_normalization": "True",
        "dropout": "0.25",
        "patience": "3",
    }
    with open(folder / "results.csv", newline="") as file:
        rows = [row | more for row in csv.DictReader(file)]
    # Parameters that the study does not have stand beside those that it has.
    names = [name for name in rows[0] if name not in more]
    after = names.index("epochs") + 1
    names = [*names[:after], *more, *names[after:]]
    with open(folder / "results.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    runs = log_study(folder, tmp_path / "log")
    for row, run in zip(read_study(folder).rows, runs, strict=False):
        logged = params_of(read_run(tmp_path / "log" / run.name)[1])
        assert set(logged) == {"stage", *row.params}
        assert logged["learning_rate"] == 0.002
        assert logged["learning_rate_schedule"] == "cosine"
        assert logged["batch_normalization"] is True
        assert (logged["dropout"], logged["patience"]) == (0.25, 3)
    experiment = read_run(tmp_path / "log")[1]["_hparams_/experiment"].experiment
    assert set(more) < {info.name for info in experiment.hparam_infos}


def test_measured_columns_have_the_titles_of_the_tables(study_folder, tmp_path):
    log_study(study_folder, tmp_path)
    experiment = read_run(tmp_path)[1]["_hparams_/experiment"].experiment
    titles = {info.name.tag: info.display_name for info in experiment.metric_infos}
    assert titles["accuracy"] == "held-out accuracy"
    assert titles["n_iter"] == "epochs trained"
    # Where nothing has raced, the columns of races are empty.
    rows = read_study(study_folder).rows
    assert {c.name for c in MEASURED if any(map(c.text, rows))} <= set(titles)


def test_an_unfinished_study_is_logged_as_far_as_it_came(study_folder, tmp_path):
    shutil.copytree(study_folder, tmp_path / "study")
    (tmp_path / "study" / "summary.json").unlink()
    runs = log_study(tmp_path / "study", tmp_path / "log")
    assert [run.name for run in runs if "/" not in run.name] == []
    assert len(runs) == len(read_study(study_folder).rows)


def test_the_command_says_how_to_see_the_log(study_folder, tmp_path, capfd):
    log = tmp_path / "log"
    assert main(["tensorboard", str(study_folder), str(log)]) == 0
    n_runs = len(read_study(study_folder).rows) + 1
    assert capfd.readouterr().out == (
        f"{n_runs} runs written. See them: tensorboard --logdir {log}\n"
    )
    assert main(["tensorboard", str(study_folder), str(log)]) == 2
    assert "is not empty" in capfd.readouterr().err
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert main(["tensorboard", str(study_folder), str(blocked / "log")]) == 2
    assert "Not a directory" in capfd.readouterr().err
    assert main(["tensorboard", str(tmp_path), str(tmp_path / "new")]) == 2
    assert "holds no study" in capfd.readouterr().err


@contextlib.contextmanager
def server(logdir):
    """Run a TensorBoard on a free port of this machine; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--load_fast=false"]
    options = ["--logdir", logdir, "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def ask(address, what, question):
    """Ask the HParams plugin something, and wait while the server starts."""
    request = urllib.request.Request(
        f"{address}/data/plugin/hparams/{what}",
        json.dumps(question).encode(),
        {"Content-Type": "application/json"},
    )
    patience = time.monotonic() + 90
    while True:
        with contextlib.suppress(urllib.error.URLError):
            with urllib.request.urlopen(request, timeout=10) as answer:
                content = json.load(answer)
            # Empty until the server has read the files.
            if content.get("sessionGroups"):
                return content
        assert time.monotonic() < patience, "TensorBoard does not answer"
        time.sleep(0.5)


@pytest.mark.slow
def test_a_real_server_lists_the_candidates_best_first(study_folder, tmp_path):
    runs = log_study(study_folder, tmp_path)
    by_accuracy = {"metric": {"group": "", "tag": "accuracy"}, "order": "ORDER_DESC"}
    question = {
        "experimentName": "",
        "allowedStatuses": ["STATUS_SUCCESS"],
        "colParams": [by_accuracy],
        "startIndex": 0,
        "sliceSize": 100,
    }
    with server(tmp_path) as address:
        groups = ask(address, "session_groups", question)["sessionGroups"]
    assert {group["name"] for group in groups} == {run.name for run in runs}
    found = [
        metric["value"]
        for group in groups
        for metric in group["metricValues"]
        if metric["name"]["tag"] == "accuracy"
    ]
    measured = [r.scores["accuracy"] for r in runs if "accuracy" in r.scores]
    assert found == pytest.approx(sorted(measured, reverse=True), rel=1e-6)
    best = groups[0]
    assert math.isclose(best["hparams"]["depth"], 2)
    assert best["hparams"]["optimizer"] == "adam"
