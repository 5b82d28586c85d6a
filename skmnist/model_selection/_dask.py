"""A Dask cluster whose workers give the results that this machine would."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import sys

import joblib
from distributed import Client, WorkerPlugin

from ._evaluation import versions
from ._executors import ClusterError

PLUGIN = "skmnist-same-results"
ANSWER_WITHIN = 30  # seconds


class SameResults(WorkerPlugin):
    """Refuse workers whose weights would differ in their last bits.

    Set on a cluster it meets the workers that are there and those that join later.

    Parameters
    ----------
    n_threads : int
        Threads of each fit.
    expected : dict of str to str
        Versions of Python and packages.
    """

    name = PLUGIN

    def __init__(self, n_threads, expected):
        self.n_threads = n_threads
        self.expected = expected

    def setup(self, worker):
        """Check a worker, and set its threads before TensorFlow starts there."""
        trouble = self._trouble(worker.state.nthreads)
        if trouble:
            raise ClusterError(f"worker {worker.address}: {trouble}")
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(self.n_threads)
        os.environ["TF_NUM_INTEROP_THREADS"] = "1"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    def _trouble(self, n_slots):
        """Say what is wrong with a worker, or nothing."""
        if n_slots != 1:
            return (
                f"it runs {n_slots} fits at once, which would share the threads of one "
                "TensorFlow; start workers with --nthreads 1 and more --nworkers"
            )
        now = os.environ.get("TF_NUM_INTRAOP_THREADS")
        if "tensorflow" in sys.modules and now != str(self.n_threads):
            return (
                f"TensorFlow has started there with {now or 'all'} threads, and a fit "
                f"of this study has {self.n_threads}; restart the worker"
            )
        found = versions()
        differing = [
            f"{name} is {found.get(name)} there and {wanted} here"
            for name, wanted in self.expected.items()
            if found.get(name) != wanted
        ]
        return "; ".join(differing)


@contextlib.contextmanager
def open_cluster(scheduler, *, n_threads, expected):
    """Have joblib and the staged search fit on a cluster.

    Parameters
    ----------
    scheduler : str or None
        Address of the scheduler; None for the one that Dask's own configuration
        names.
    n_threads : int
        Threads of each fit.
    expected : dict of str to str
        Versions that every worker must have.

    Yields
    ------
    client : distributed.Client
        The connection.

    Raises
    ------
    ClusterError
        If nobody answers, if there is no worker, or if one is refused.
    """
    try:
        client = Client(scheduler, timeout=ANSWER_WITHIN, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {scheduler}: {error}; start one with "
            "'dask scheduler' and name its address with --scheduler"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=ANSWER_WITHIN)
            client.register_plugin(SameResults(n_threads, expected))
        except TimeoutError:
            raise ClusterError(
                f"the cluster at {scheduler} has no worker; start some with "
                f"'dask worker --nthreads 1 {scheduler}'"
            ) from None
        try:
            with joblib.parallel_config(backend="dask", client=client):
                yield client
        finally:
            # A cluster that is gone has no plugin any more.
            with contextlib.suppress(OSError, ValueError):
                client.unregister_worker_plugin(PLUGIN)
