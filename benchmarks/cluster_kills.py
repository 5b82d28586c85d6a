"""Kill workers of a Dask cluster at random moments, many times in a row.

Each round runs twelve tasks on two workers, kills one of them (in every fifth round
both) before the data are sent, while they are sent, or at any moment after that, and
compares the results with those of one process. A round that takes too long counts as
one that hangs. With --search, a round is a small staged search.

Workers are forked by a process that has loaded what they need, so that a dead one is
replaced in a moment.

    python benchmarks/cluster_kills.py --rounds 50
    python benchmarks/cluster_kills.py --rounds 10 --search
"""

# SPDX-License-Identifier: BSD-3-Clause

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np

MOMENTS = ("before", "while", "after")
# Seconds after which a round hangs: several times as long as the longest deadline.
HANGS = 300
START_WITHIN = 300
N_FEATURES = 300  # enough for data that take a moment to send


def main():
    """Run the rounds and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--search", action="store_true")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    generator = random.Random(options.seed)
    run, opened = run_tasks, open_client
    if options.search:
        run, opened = run_search, open_cluster
    data = small_data()
    expected = run(data)
    wrong, took = 0, []
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder)) as address:
        for number in range(1, options.rounds + 1):
            moment = MOMENTS[number % len(MOMENTS)]
            n_killed = 2 if number % 5 == 0 else 1
            delay = generator.uniform(0, 0.05 if moment == "while" else 1.0)
            pids = generator.sample(processes_of(address), n_killed)
            started = time.monotonic()
            with ends_in_time(number), opened(address) as client:
                sendings = kill_soon(client, moment, pids, delay)
                same = np.array_equal(run(data, client), expected)
            took.append(time.monotonic() - started)
            wrong += not same
            print(
                f"{number:3d}  {n_killed} killed {delay:5.3f} s "
                f"{moment:6s} sending  {len(sendings):2d} values sent  "
                f"{took[-1]:5.1f} s  {'same results' if same else 'OTHER RESULTS'}",
                flush=True,
            )
    print(
        f"{options.rounds} rounds, 0 hang, {wrong} with other results; the longest "
        f"took {max(took):.1f} s, the median {float(np.median(took)):.1f} s"
    )
    return int(wrong > 0)


def small_data():
    """Return rows of two classes."""
    generator = np.random.default_rng(0)
    y = np.arange(2000) % 2
    return generator.normal(size=(2000, N_FEATURES)) + y[:, np.newaxis] * 0.1, y


def run_tasks(data, client=None):
    """Run twelve tasks, which need nothing of this package."""
    from skmnist.model_selection._executors import DaskWorkers

    def total(X, y, task):
        import time

        time.sleep(0.1)
        return float(X[y == task % 2].sum()) + task

    tasks = list(range(12))
    if client is None:
        return [total(*data, task) for task in tasks]
    found = dict(DaskWorkers(client).run(total, data, tasks))
    return [found[task] for task in tasks]


def run_search(data, client=None):
    """Run a search of twelve short fits, which need no TensorFlow."""
    import joblib
    from sklearn.tree import DecisionTreeClassifier

    from skmnist import Stage, StagedSearchCV

    stages = [
        Stage("depth", {"max_depth": [1, 2, 3]}),
        Stage("leaf", {"min_samples_leaf": [1, 5, 20]}),
    ]
    tree = DecisionTreeClassifier(random_state=0)
    search = StagedSearchCV(tree, stages, cv=2, refit=False)
    where = {} if client is None else {"backend": "dask", "client": client}
    with joblib.parallel_config(**where):
        return search.fit(*data).cv_results_["mean_test_score"]


def open_client(address):
    """Connect to the cluster."""
    from distributed import Client

    return Client(address, timeout=START_WITHIN, set_as_default=False)


def open_cluster(address):
    """Connect to the cluster as a study does."""
    from skmnist.model_selection import _dask, _evaluation

    return _dask.open_cluster(address, n_threads=1, expected=_evaluation.versions())


def processes_of(address):
    """Wait for both workers, which may have to start again; return their processes."""
    with open_client(address) as client:
        client.wait_for_workers(2, timeout=START_WITHIN)
        return sorted(client.run(os.getpid).values())


def kill_soon(client, moment, pids, delay):
    """Kill processes before, while or after a client sends; return what it counts."""
    send, sendings = client.scatter, []

    def kill():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def scatter(*args, **how):
        sendings.append(1)
        if moment == "before" and len(sendings) == 1:
            kill()
        elif moment == "while" and len(sendings) == 1:
            threading.Timer(delay, kill).start()
        sent = send(*args, **how)
        if moment == "after" and len(sendings) == 2:
            threading.Timer(delay, kill).start()
        return sent

    client.scatter = scatter
    return sendings


@contextlib.contextmanager
def ends_in_time(number):
    """End the whole run if a block hangs."""
    over = threading.Event()

    def watch():
        if not over.wait(HANGS):
            import faulthandler

            print(f"{number:3d}  HANGS", flush=True)
            faulthandler.dump_traceback()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()


# Keeps two workers alive. Nothing but this has run before a fork.
NURSERY = """
import asyncio, os, sys
import sklearn.tree
from distributed import Worker
import skmnist.model_selection._dask, skmnist.model_selection._evaluation

async def work():
    options = {"nthreads": 1, "memory_limit": 0, "dashboard": False}
    async with Worker(sys.argv[1], host="127.0.0.1", **options) as worker:
        await worker.finished()

n_alive = 0
while True:
    while n_alive < 2:
        if os.fork() == 0:
            asyncio.run(work())
            os._exit(0)
        n_alive += 1
    os.wait()
    n_alive -= 1
"""


@contextlib.contextmanager
def cluster(folder):
    """Start a scheduler and two workers, which are replaced when they die."""
    file, processes = folder / "scheduler.json", []
    try:
        options = ["--port", "0", "--no-dashboard", "--host", "127.0.0.1"]
        module = ["-m", "distributed.cli.dask_scheduler"]
        processes.append(start(folder, *module, "--scheduler-file", file, *options))
        while not file.exists():
            time.sleep(0.1)
        address = json.loads(file.read_text(encoding="utf-8"))["address"]
        processes.append(start(folder, "-c", NURSERY, address))
        yield address
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def start(folder, *arguments):
    """Start Python in a group of processes of its own."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=open(folder / "errors.log", "a"),
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        start_new_session=True,
    )


if __name__ == "__main__":
    sys.exit(main())
