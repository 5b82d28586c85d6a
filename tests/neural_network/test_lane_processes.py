"""Rounds of lanes in further processes: the same bits, whatever happens to them."""

import copy
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from joblib import Parallel, delayed
from lane_fits import ALL, FOUR, X, bits, fit_together, make, taken_apart
from processes import processes_of
from scipy.sparse import csr_array
from sklearn.model_selection import GridSearchCV

import skmnist
from skmnist.neural_network.engines import _arrays, _lanes, _places, _worker
from skmnist.neural_network.engines._arrays import train_round

ROWS = X.astype("float32")
# Fits of two structures, which meet in two packs: so rounds queue up.
GRID = {"widths": [9, 10], "learning_rate": [0.003, 0.01]}


@pytest.fixture(scope="module")
def away():
    """A place in a worker that is ready."""
    away = _places.Away()
    away.worker.call(os.getpid)
    yield away
    away.worker.end()


@pytest.fixture
def all_away(away, monkeypatch):
    """Let all rounds run there; fits must be of one structure."""
    monkeypatch.setattr(_places.Places, "_take", lambda *_: away)
    monkeypatch.setattr(_places.Places, "_release", lambda self, away: None)


@pytest.fixture
def calls(monkeypatch):
    """Let blocks have one worker, for rounds of any size; list who has run one."""
    calls, train = [], _places.Away.train

    def counted(self, *args):
        calls.append(self)
        train(self, *args)

    monkeypatch.setattr(_places, "most_workers", lambda: 1)
    monkeypatch.setattr(_places, "FEWEST_ROWS", 0)
    monkeypatch.setattr(_places, "FEWEST_PRODUCTS", 0)
    monkeypatch.setattr(_places.Away, "train", counted)
    return calls


@pytest.fixture(scope="module")
def scores():
    """The scores of a search outside."""
    return searched()


def searched():
    """Search, and return the scores."""
    search = GridSearchCV(make(epochs=10), GRID, cv=2, refit=False)
    return search.fit(ROWS, FOUR).cv_results_["mean_test_score"].tolist()


def search_until(condition, scores):
    """Search again and again; the results are always those outside."""
    deadline = time.monotonic() + 60
    while not condition():
        assert searched() == scores
        assert time.monotonic() < deadline


def children():
    """List the processes that this one has started."""
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize("mix", ALL)
def test_a_worker_computes_the_same_bits(mix, all_away):
    params, rows, y = taken_apart(mix)
    fits = [make(**params), make(**params, random_state=1).set_params(epochs=3)]
    outside = [bits(fit.fit(rows, y)) for fit in fits]
    with skmnist.lanes(n=2):
        inside = fit_together(fits, (rows, y))
    assert [bits(fit) for fit in inside] == outside


@pytest.mark.parametrize("kind", ["sparse", "many", "weighted"])
def test_rows_of_every_kind_travel(kind, all_away, monkeypatch):
    rows = csr_array(ROWS) if kind == "sparse" else ROWS
    if kind == "many":
        monkeypatch.setattr(_arrays, "MOST_VALUES", 2000)
    weights = 1 + FOUR if kind == "weighted" else None
    params = {"input_scaling": "standard", "optimizer": "nadam"}
    outside = make(**params).fit(rows, FOUR, sample_weight=weights)
    with skmnist.lanes():
        inside = make(**params).fit(rows, FOUR, sample_weight=weights)
    assert bits(inside) == bits(outside)


def test_large_arrays_travel_both_ways(away):
    sent = np.arange(3 * 2**18, dtype=np.float64).reshape(3, -1), np.arange(5), "small"
    returned = away.worker.call(copy.copy, sent)
    np.testing.assert_equal(returned, sent)
    returned[0][0, 0] = 7  # it can be changed


def test_a_worker_loads_numpy_only():
    away = _places.Away()
    found = away.worker.call(eval, "list(__import__('sys').modules)")
    away.worker.end()
    assert {"numpy", train_round.__module__} <= set(found)
    assert not {"scipy", "sklearn", "keras", "tensorflow"} & set(found)


def test_rows_that_are_many_stay_here_if_nobody_else_trains(monkeypatch):
    monkeypatch.setattr(_places, "FEWEST_PRODUCTS", 0)
    monkeypatch.setattr(_places, "FEWEST_ROWS", 0)
    places, away = _places.Places(1), _places.Away.__new__(_places.Away)
    away.n_rounds, places._ready = 0, [away]
    monkeypatch.setattr(
        away, "n_unknown", lambda _: _places.MOST_SENT + 1, raising=False
    )
    assert places._take([], may_leave=True) is None
    assert places._take([], may_leave=True) is away
    places._release(None)
    away.n_rounds = 0
    monkeypatch.setattr(away, "n_unknown", lambda _: _places.MOST_SENT)
    assert places._take([], may_leave=True) is away


def test_a_worker_keeps_rows_as_long_as_their_fit(away, all_away):
    n_kept = f"len(__import__('sys').modules[{_places.__name__!r}]._kept)"
    with skmnist.lanes():
        for seed in range(3):
            make(random_state=seed).fit(ROWS, FOUR)
    assert away.worker.call(eval, n_kept) == 1  # of the last fit: nobody came since


def test_a_search_has_the_same_results_with_a_worker_and_leaves_none(calls, scores):
    before = children()
    with skmnist.lanes():
        search_until(lambda: len(calls) > 10, scores)
        assert len(children() - before) == 1
    assert children() == before


def test_a_worker_that_dies_changes_nothing(calls, scores, monkeypatch):
    before, train = children(), _places.Away.train

    def killed(self, *args):
        if len(calls) == 2:
            os.kill(self.worker.call(os.getpid), signal.SIGKILL)
        train(self, *args)

    monkeypatch.setattr(_places.Away, "train", killed)
    with skmnist.lanes():
        search_until(lambda: len(calls) == 3, scores)
        assert children() == before
        assert searched() == scores
    assert len(calls) == 3


@pytest.mark.parametrize("executable", ["/no/such/file", "/bin/false"])
def test_a_worker_that_cannot_start_changes_nothing(
    executable, calls, scores, monkeypatch
):
    before = children()
    monkeypatch.setattr(sys, "executable", executable)
    with skmnist.lanes():
        places = _lanes._meeting.places
        search_until(lambda: places._most == 0, scores)
        assert searched() == scores
    assert not calls
    assert children() == before


def test_an_error_in_the_block_ends_the_worker(calls, scores):
    class Interrupted(BaseException):
        """What Ctrl-C does."""

    before = children()
    with pytest.raises(Interrupted), skmnist.lanes():
        search_until(lambda: calls, scores)
        raise Interrupted
    assert children() == before


def test_a_block_that_ends_at_once_ends_the_worker_that_starts(calls, scores):
    before = children()
    with skmnist.lanes():
        places = _lanes._meeting.places
        search_until(lambda: places._starting or places._workers, scores)
    assert children() == before


def test_one_fit_starts_no_worker(calls):
    with skmnist.lanes():
        make().fit(ROWS, FOUR)
        places = _lanes._meeting.places
        assert not places._starting
        assert not places._workers


def training():
    """Return a training of a round, from a fit that is given up."""
    found = []

    def take(self, one):
        found.append(one)
        raise InterruptedError

    before, _lanes.Alone.train = _lanes.Alone.train, take
    try:
        with pytest.raises(InterruptedError):
            make().fit(ROWS, FOUR)
    finally:
        _lanes.Alone.train = before
    return found[0]


@pytest.fixture
def places(calls):
    """Places, of which only that in a worker is free."""
    places = _places.Places()
    places._here_is_free = False
    places._start_one()
    places._starting.join()
    yield places
    places.close()


def test_an_error_of_the_training_is_raised_here(places):
    places._here_is_free = True
    with pytest.raises(TypeError, match="must be real number"):
        places.train(math.sqrt, [training()])
    assert not places._workers


def test_an_answer_to_an_interrupted_call_is_nobody_elses(places, calls, monkeypatch):
    first, second, expected = training(), training(), training()
    train_round([expected])
    before = first.weights.copy()

    def interrupted(connection):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(_worker, "_receive", interrupted)
        places.train(train_round, [first])
    assert np.array_equal(first.weights, before)
    places._here_is_free = True
    places.train(train_round, [second])
    assert np.array_equal(second.weights, expected.weights)
    assert len(calls) == 2


def test_processes_of_joblib_and_tasks_of_dask_have_no_worker(monkeypatch):
    monkeypatch.setattr(_places.joblib, "cpu_count", lambda: 8)
    assert _places.most_workers() == _places.MOST_WORKERS
    found = Parallel(n_jobs=2)(delayed(_places.most_workers)() for _ in range(2))
    assert found == [0, 0]
    distributed = pytest.importorskip("distributed")
    with distributed.Client(processes=False, dashboard_address=None) as client:
        assert client.submit(_places.most_workers).result(30) == 0


def test_one_core_has_no_worker(monkeypatch):
    monkeypatch.setattr(_places.joblib, "cpu_count", lambda: 1)
    assert _places.most_workers() == 0


# No guard: a worker does not run the program again.
PROGRAM = """
import sys, threading, time
sys.path[:0] = sys.argv[1:]
from lane_fits import FOUR, X, make
from sklearn.model_selection import GridSearchCV
import skmnist
from skmnist.neural_network.engines import _lanes, _places
_places.most_workers = lambda: 1
_places.FEWEST_ROWS = _places.FEWEST_PRODUCTS = 0

def tell():
    while not _lanes._meeting.places._ready:
        time.sleep(0.01)
    print("ready", flush=True)

with skmnist.lanes():
    threading.Thread(target=tell, daemon=True).start()
    while True:
        GridSearchCV(make(epochs=10), {"widths": [9, 10]}).fit(X, FOUR)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_program_that_ends_leaves_no_worker(number, tmp_path):
    mark = str(tmp_path)
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *sys.path],
        env={**os.environ, "SKMNIST_TEST": mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A test that runs in the background of a shell ignores it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with program:
        assert program.stdout.readline() == "ready\n"
        assert len(processes_of(mark)) == 2
        os.killpg(program.pid, number)  # what the terminal does
        _, said = program.communicate(timeout=20)
    assert said.count("Traceback") == (number == signal.SIGINT)
    deadline = time.monotonic() + 10
    while processes_of(mark):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_block_has_as_many_processes_as_it_is_told(calls, scores):
    before = children()
    with skmnist.lanes(n_processes=0):
        assert searched() == scores
        assert children() == before
    assert not calls
    with skmnist.lanes(n_processes=1):
        search_until(lambda: calls, scores)


@pytest.mark.parametrize("wrong", [-1, 1.5, "all"])
def test_a_wrong_number_of_processes_is_refused(wrong):
    block = skmnist.lanes(n_processes=wrong)
    with pytest.raises(ValueError, match="n_processes must be None or an integer"):
        block.__enter__()
