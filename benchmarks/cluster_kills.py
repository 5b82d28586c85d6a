"""Kill workers of a Dask cluster at random moments, many times in a row.

Each round runs a small staged search on two workers, kills one of them (in every fifth
round both) before the data are sent, while they are sent, or at any moment after that,
and compares the results with those of one process. A round that takes too long counts
as one that hangs.

    python benchmarks/cluster_kills.py --rounds 50
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
ONE_FIT_AT_ONCE = ["--nthreads", "1", "--no-dashboard", "--memory-limit", "0"]


def main():
    """Run the rounds and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    generator = random.Random(options.seed)
    data = small_data()
    expected = search().fit(*data).cv_results_["mean_test_score"]
    wrong, took = 0, []
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder)) as address:
        for number in range(1, options.rounds + 1):
            moment = MOMENTS[number % len(MOMENTS)]
            n_killed = 2 if number % 5 == 0 else 1
            delay = generator.uniform(0, 0.05 if moment == "while" else 1.0)
            pids = generator.sample(processes_of(address), n_killed)
            started = time.monotonic()
            with ends_in_time(number):
                same, sendings = one_round(address, data, expected, moment, pids, delay)
            took.append(time.monotonic() - started)
            wrong += not same
            print(
                f"{number:3d}  {n_killed} killed {delay:5.3f} s "
                f"{moment:6s} sending  {sendings} values sent  "
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


def search():
    """Return a search of twelve short fits, which need no TensorFlow."""
    from sklearn.tree import DecisionTreeClassifier

    from skmnist import Stage, StagedSearchCV

    stages = [
        Stage("depth", {"max_depth": [1, 2, 3]}),
        Stage("leaf", {"min_samples_leaf": [1, 5, 20]}),
    ]
    tree = DecisionTreeClassifier(random_state=0)
    return StagedSearchCV(tree, stages, cv=2, refit=False)


def processes_of(address):
    """Wait for both workers, which may have to start again; return their processes."""
    from distributed import Client

    with Client(address, timeout=START_WITHIN, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=START_WITHIN)
        return sorted(client.run(os.getpid).values())


def one_round(address, data, expected, moment, pids, delay):
    """Search while workers are killed; return whether the results are the same."""
    import joblib

    from skmnist.model_selection._dask import open_cluster
    from skmnist.model_selection._evaluation import versions

    options = {"n_threads": 1, "expected": versions()}
    with open_cluster(address, **options) as client:
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
            if moment == "after" and len(sendings) == 4:
                threading.Timer(delay, kill).start()
            return sent

        client.scatter = scatter
        with joblib.parallel_config("dask", client=client):
            found = search().fit(*data).cv_results_["mean_test_score"]
    return np.array_equal(found, expected), len(sendings)


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


@contextlib.contextmanager
def cluster(folder):
    """Start a scheduler and two workers, which are started again when they die."""
    file = folder / "scheduler.json"
    processes = [start("scheduler", file, folder, "--port", "0", "--no-dashboard")]
    try:
        while not file.exists():
            time.sleep(0.1)
        processes += [
            start("worker", file, folder, *ONE_FIT_AT_ONCE, "--name", name)
            for name in ("one", "two")
        ]
        yield json.loads(file.read_text(encoding="utf-8"))["address"]
    finally:
        for process in processes:
            process.terminate()
        for process in reversed(processes):
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def start(kind, file, folder, *options):
    """Start a process of the cluster."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{kind}"]
    command += ["--scheduler-file", file, "--host", "127.0.0.1", *options]
    log = subprocess.DEVNULL
    return subprocess.Popen(
        command, stdout=log, stderr=log, cwd=folder, env={**os.environ}
    )


if __name__ == "__main__":
    sys.exit(main())
