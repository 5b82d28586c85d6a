"""Searches on a Dask cluster: real processes on this machine's loopback."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time

import joblib
import numpy as np
import psutil
import pytest
from racing import X, Y, make_stub, results_of, two_stages
from rich.console import Console
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from skmnist import KerasMLPClassifier, Stage, StagedSearchCV
from skmnist._compat import close_listener
from skmnist._startup import without_noise
from skmnist.cli._progress import SearchBars
from skmnist.model_selection._evaluation import versions
from skmnist.model_selection._executors import ClusterError, DaskWorkers, GivenUp
from skmnist.neural_network.keras_side._compiled import n_threads

distributed = pytest.importorskip("distributed")
dask_module = pytest.importorskip("skmnist.model_selection._dask")
SameResults, open_cluster = dask_module.SameResults, dask_module.open_cluster

ONE_THREAD = ["--nthreads", "1", "--no-dashboard", "--memory-limit", "0"]

# Dask leaves some sockets and loops to the garbage collector.
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def client(shared_cluster):
    with connected(shared_cluster) as client:
        yield client


@contextlib.contextmanager
def connected(cluster):
    with distributed.Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=180)
        yield client


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X[:300] / 16).astype(np.float32), y[:300]


def network(**params):
    return KerasMLPClassifier(depth=1, epochs=2, random_state=0, **params)


def staged(**params):
    stages = [
        Stage("width", {"widths": [8, 16]}),
        Stage("batch", {"batch_size": [32, 64]}),
    ]
    return StagedSearchCV(network(), stages, cv=2, refit=False, **params)


def staged_stub(**params):
    """Make a search of ten candidates, whose fits take no time."""
    stages = [
        Stage("quality", {"quality": [0, 0.5, 1, 2, 3, 4]}),
        Stage("width", {"width": [1, 2, 3, 4]}),
    ]
    stub = make_stub()(random_state=0)
    return StagedSearchCV(stub, stages, cv=2, refit=False, **params)


def test_a_staged_search_gives_the_results_of_one_process(client, digits):
    """Run both, and count how often the data are sent."""
    sent = []
    scatter = client.scatter

    def counted(values, **options):
        shapes = map(np.shape, values.values())
        sent.extend(shape for shape in shapes if len(shape) == 2)
        return scatter(values, **options)

    client.scatter = counted
    client.register_plugin(SameResults(n_threads(), versions()))
    told = []
    with joblib.parallel_config("dask", client=client):
        found = staged(on_trial_end=told.append).fit(*digits)
    expected = staged().fit(*digits)
    for name in ("mean_test_score", "split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(
            found.cv_results_[name], expected.cv_results_[name]
        )
    assert {trial.pid for trial in told}.isdisjoint({os.getpid()})
    assert len({trial.pid for trial in told}) == 2
    assert sent.count(digits[0].shape) == 2  # once to each worker


def test_workers_start_tensorflow_quietly(client, digits, shared_cluster):
    """Train on both; their logs have lines of Dask's, and none of TensorFlow's."""
    pids = set(client.run(os.getpid).values())
    told = []
    with joblib.parallel_config("dask", client=client):
        staged(on_trial_end=told.append).fit(*digits)
    assert {trial.pid for trial in told} == pids
    for name in ("one", "two"):
        log = (shared_cluster.folder / f"{name}.log").read_text()
        assert "distributed.worker" in log
        assert without_noise(log) == log


def test_a_race_gives_the_results_of_one_process(client):
    expected = results_of(two_stages().fit(X, Y))
    told = []
    raced = two_stages(estimator=make_stub()(), on_trial_end=told.append)
    with joblib.parallel_config("dask", client=client):
        assert results_of(raced.fit(X, Y)) == expected
    assert len({trial.pid for trial in told} - {os.getpid()}) == 2


def test_scikit_learns_own_search_runs_there_too(client, digits):
    grid = {"widths": [8, 16]}
    search = GridSearchCV(network(), grid, cv=2, refit=False)
    with joblib.parallel_config("dask", client=client):
        found = search.fit(*digits).cv_results_["mean_test_score"]
    # The number of threads differs between here and there, and so do the last bits.
    expected = search.fit(*digits).cv_results_["mean_test_score"]
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_progress_that_cannot_travel_does_not_stop_the_search(client, digits):
    """Close the socket that workers on this machine send their progress to."""
    progress = SearchBars(Console(file=io.StringIO(), force_terminal=True))

    def hide(trial):
        close_listener(progress._handle)

    with joblib.parallel_config("dask", client=client):
        found = staged(on_trial_end=hide).set_callbacks(progress).fit(*digits)
    assert len(found.cv_results_["params"]) == 4


def test_a_worker_joins_and_one_is_killed_on_the_way(shared_cluster, tmp_path):
    """Change the cluster while it works; the results are the same."""
    joined = tmp_path / "joined"

    def be_busy():
        deadline = time.monotonic() + 30
        while not joined.exists() and time.monotonic() < deadline:
            time.sleep(0.05)

    with connected(shared_cluster) as client, contextlib.ExitStack() as stack:
        told, busy, pids = [], [], client.run(os.getpid)

        def disturb(trial):
            told.append(trial)
            if len(told) == 1:
                stack.enter_context(shared_cluster.lent("three", *ONE_THREAD))
                client.wait_for_workers(3, timeout=180)
                # Keep the two busy, until the third has made a fit.
                busy.extend(
                    client.submit(be_busy, workers=[address], pure=False)
                    for address in pids
                )
            if trial.pid not in pids.values() and not joined.exists():
                joined.touch()
                os.kill(sorted(pids.values())[0], signal.SIGKILL)

        with joblib.parallel_config("dask", client=client):
            found = staged_stub(on_trial_end=disturb).fit(X, Y)
    assert joined.exists()
    expected = staged_stub().fit(X, Y)
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    # Six and four candidates, in two splits, each reported once.
    assert len({(t.stage, t.candidate, t.split) for t in told}) == len(told) == 20
    assert len({trial.pid for trial in told}) >= 3


def test_a_task_that_kills_every_worker_is_given_up(client):
    """Dask gives up a task if its worker has died four times."""

    def kills(task):
        if task == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return task

    found = dict(DaskWorkers(client).run(kills, (), list(range(5))))
    assert isinstance(found.pop(1), GivenUp)
    assert found == {0: 0, 2: 2, 3: 3, 4: 4}


def test_data_that_every_worker_has_lost_are_sent_again(client):
    """Kill all workers after the first result: what was sent is gone with them."""

    def total(values, task):
        return float(values.sum()) + task

    values = np.ones(1000)
    results = {}
    for number, result in DaskWorkers(client).run(total, (values,), list(range(6))):
        if not results:
            for pid in client.run(os.getpid).values():
                psutil.Process(pid).kill()
        results[number] = result
    assert results == {number: 1000.0 + number for number in range(6)}


# What a scheduler answered after a worker had just died.
@pytest.mark.parametrize("error", [OSError("Stream is closed"), KeyError("tcp://")])
def test_data_are_sent_again_where_a_worker_has_died_meanwhile(client, error):
    errors, scatter = [error, error], client.scatter

    def failing(values, **options):
        if errors:
            raise errors.pop()
        return scatter(values, **options)

    def total(values, task):
        return float(values.sum()) + task

    client.scatter = failing
    found = dict(DaskWorkers(client).run(total, (np.ones(1000),), [1, 2]))
    assert found == {0: 1001.0, 1: 1002.0}


def test_workers_with_several_threads_are_refused(shared_cluster):
    options = ["--nthreads", "2", "--no-dashboard"]
    with connected(shared_cluster) as client, shared_cluster.lent("wide", *options):
        client.wait_for_workers(3, timeout=180)
        with (
            pytest.raises(ClusterError, match="runs 2 fits at once.*--nthreads 1"),
            open_cluster(shared_cluster.address, n_threads=1, expected=versions()),
        ):
            pass


def test_workers_with_other_versions_are_refused(shared_cluster):
    expected = {**versions(), "keras": "2.0"}
    found = versions()["keras"]
    with (
        pytest.raises(ClusterError, match=f"keras is {found} there and 2.0 here"),
        open_cluster(shared_cluster.address, n_threads=1, expected=expected),
    ):
        pass


def test_nobody_at_the_address_is_one_line(tmp_path):
    finished = subprocess.run(
        [
            *[sys.executable, "-m", "skmnist", "study", "--dataset", "digits"],
            *["--out", tmp_path / "study", "--backend", "dask"],
            *["--scheduler", "tcp://127.0.0.1:1"],
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 2
    last = finished.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: no Dask scheduler answers at tcp://127.0.0.1:1")
    assert json.loads((tmp_path / "study/study.json").read_text())
