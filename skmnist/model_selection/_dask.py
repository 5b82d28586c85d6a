"""A Dask cluster whose workers give the same results as this machine."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping

import joblib
from distributed import Client, Worker, WorkerPlugin

from ._evaluation import versions
from ._executors import ClusterError

PLUGIN = "skmnist-same-results"
ANSWER_WITHIN = 30  # seconds


class SameResults(WorkerPlugin):
    """A plugin that refuses workers whose fits would differ in the last bits.

    Dask runs it on all workers of the cluster, and on each worker that joins later.

    Parameters
    ----------
    n_threads : int
        Threads of each fit.
    expected : dict of str to str
        Versions of Python and packages.
    """

    name = PLUGIN

    def __init__(self, n_threads: int, expected: Mapping[str, str]):
        self.n_threads = n_threads
        self.expected = expected

    def setup(self, worker: Worker) -> None:
        """Check a worker, and set its threads before TensorFlow starts there.

        Parameters
        ----------
        worker : distributed.Worker
            The worker that this runs on.

        Raises
        ------
        ClusterError
            If the worker would give other results.
        """
        trouble = self._trouble(worker.state.nthreads)
        if trouble:
            raise ClusterError(f"worker {worker.address}: {trouble}")
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(self.n_threads)
        os.environ["TF_NUM_INTEROP_THREADS"] = "1"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    def _trouble(self, n_slots: int) -> str:
        """Return what is wrong with a worker; an empty text if nothing is."""
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
def open_cluster(
    scheduler: str | None, *, n_threads: int, expected: Mapping[str, str]
) -> Iterator[Client]:
    """Let joblib and the staged search fit on a cluster, inside a ``with`` block.

    Parameters
    ----------
    scheduler : str or None
        Address of the scheduler; None for the one in Dask's own configuration.
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
        If no scheduler answers, if there is no worker, or if a worker is refused.
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
            # If the cluster is gone, so is the plugin.
            with contextlib.suppress(OSError, ValueError):
                client.unregister_worker_plugin(PLUGIN)
