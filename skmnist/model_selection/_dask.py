"""A Dask cluster whose workers give the same results as this machine."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping

import dask
import joblib
from distributed import Client, Worker, WorkerPlugin
from distributed.comm.addressing import parse_address
from distributed.comm.registry import get_backend

from . import _waiting
from ._evaluation import versions
from ._waiting import ClusterError, answered

PLUGIN = "skmnist-same-results"
CLOSE_WITHIN = 5.0  # seconds


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
    client = _connected(scheduler)
    address = client.scheduler.address
    with contextlib.ExitStack() as stack:
        stack.callback(_in_time, client.close)
        _wait_for_a_worker(client)
        try:
            plugin = SameResults(n_threads, expected)
            # The workers load this package, which can take long from a slow disk.
            answered(_waiting.CHECKED_WITHIN, client.register_plugin, plugin)
        except ClusterError:
            raise
        except Exception as error:
            raise ClusterError(
                f"the workers of {address} cannot be checked: {error}"
            ) from error
        # If the cluster is gone, so is the plugin.
        stack.callback(_in_time, client.unregister_worker_plugin, PLUGIN)
        stack.enter_context(joblib.parallel_config(backend="dask", client=client))
        yield client


def _connected(scheduler: str | None) -> Client:
    """Connect to a scheduler."""
    address = scheduler or dask.config.get("scheduler-address", None)
    if address is None:
        raise ClusterError("name the cluster's scheduler with --scheduler")
    within = _waiting.ANSWER_WITHIN
    try:
        _check_address(address)
        options = {"timeout": within, "set_as_default": False}
        return answered(1.5 * within, Client, address, **options)
    except ClusterError:
        raise
    except Exception as error:
        # Errors of sockets, certificates, names; of a server that speaks something
        # else; and Dask's own assertions about its answers.
        raise ClusterError(
            f"no Dask scheduler answers at {address}: {error}; start one with "
            "'dask scheduler' and name its address with --scheduler"
        ) from error


def _wait_for_a_worker(client: Client) -> None:
    """Wait until a cluster has a worker; raise ClusterError if it gets none."""
    watch = _waiting.Watch(client)
    deadline = time.monotonic() + _waiting.ANSWER_WITHIN
    while not watch.look():
        if time.monotonic() > deadline:
            raise ClusterError(
                f"the cluster at {watch.address} has no worker; start some with "
                f"'dask worker --nthreads 1 {watch.address}'"
            )
        time.sleep(0.1)


def _check_address(address: str) -> None:
    """Raise ClusterError for an address that nobody can connect to from here."""
    protocol, _ = parse_address(address)
    try:
        get_backend(protocol).get_connector()
    except Exception as error:
        raise ClusterError(f"{address}: {error}; use tcp:// or tls://") from error
    names = ("tls.ca-file", "tls.client.cert")
    missing = [n for n in names if not dask.config.get(f"distributed.comm.{n}", None)]
    others = dask.config.get("distributed.client.security-loader", None)
    if protocol == "tls" and missing and not others:
        raise ClusterError(
            f"{address}: an encrypted connection needs certificates; set "
            f"{' and '.join(f'distributed.comm.{n}' for n in missing)} in Dask's "
            "configuration"
        )


def _in_time(function: Callable[..., object], *args: object) -> None:
    """Take leave of a cluster, which need not be there any more."""
    with contextlib.suppress(Exception):
        answered(CLOSE_WITHIN, function, *args)
