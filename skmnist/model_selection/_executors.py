"""Where fits run: in this process, in processes of joblib, on a Dask cluster.

Whatever it is, it is given tasks and yields their results as they finish, and it
survives workers that die.
"""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import sys
import threading
import time
import warnings
from collections import deque
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache

import joblib
from joblib.parallel import get_active_backend
from sklearn.utils.parallel import Parallel, delayed

# A task during which a worker dies so often is not tried again.
TRIES = 3
LOOK_EVERY = 0.5  # seconds
# Between sending data again; so long a scheduler may take to miss a worker.
PAUSES = (0.1, 0.5, 2)  # seconds


class ClusterError(ValueError):
    """A cluster cannot be reached, or its workers would give other results."""


@dataclass(frozen=True)
class GivenUp:
    """The result of a task whose workers have died.

    Parameters
    ----------
    reason : str
        What the last one left.
    """

    reason: str


def open_workers(n_jobs, pre_dispatch):
    """Open what joblib's configuration asks for.

    Parameters
    ----------
    n_jobs : int or None
        Tasks at once, as joblib counts them; on a Dask cluster each thread of its
        workers takes one.
    pre_dispatch : int or str
        Tasks that are sent ahead, as for `joblib.Parallel`.

    Returns
    -------
    workers : JoblibWorkers or DaskWorkers
        With ``run(function, shared, tasks)``, which yields the number and the result
        of each task, and ``close()``.

    Raises
    ------
    ValueError
        If joblib is to fork processes after TensorFlow has started in this one.
    """
    backend, _ = get_active_backend()
    if type(backend).__name__ == "MultiprocessingBackend":
        _refuse_forks(n_jobs)
    client = getattr(backend, "client", None)
    if client is not None:
        return DaskWorkers(client)
    return JoblibWorkers(n_jobs, pre_dispatch, backend.supports_return_generator)


def _refuse_forks(n_jobs):
    if "tensorflow" in sys.modules and joblib.effective_n_jobs(n_jobs) > 1:
        raise ValueError(
            "the backend 'multiprocessing' forks this process, and a forked "
            "TensorFlow waits for threads that were not forked: use 'loky', joblib's "
            "own choice"
        )


class JoblibWorkers:
    """Workers of joblib: this process, other processes, or threads.

    Parameters
    ----------
    n_jobs, pre_dispatch
        As for `joblib.Parallel`.
    streams : bool
        Whether results can come as they finish; else they come all together.
    """

    def __init__(self, n_jobs, pre_dispatch, streams):
        self._options = {
            "n_jobs": n_jobs,
            "pre_dispatch": pre_dispatch,
            # If a worker dies, few tasks can be the reason.
            "batch_size": 1,
            "return_as": "generator_unordered" if streams else "list",
        }
        self._n_workers = joblib.effective_n_jobs(n_jobs)
        self._open()

    def _open(self):
        self._parallel = Parallel(**self._options)
        self._parallel.__enter__()

    def close(self):
        """Let the processes go; joblib keeps them for the next search."""
        self._parallel.__exit__(None, None, None)

    def _open_again(self):
        """Leave the processes of which one has died, and what they were doing."""
        self.close()
        self._open()

    def run(self, function, shared, tasks):
        """Run tasks; those that were unfinished when a worker died run again.

        Parameters
        ----------
        function : callable
            ``function(*shared, task)``, importable by the workers.
        shared : tuple
            What all tasks need.
        tasks : list
            What each needs.

        Yields
        ------
        number : int
            Which task.
        result : object
            What it returned, or `GivenUp`.
        """
        waiting = dict(enumerate(tasks))
        while waiting:
            try:
                for number, result in self._stream(function, shared, waiting):
                    del waiting[number]
                    yield number, result
            except BrokenProcessPool:
                self._open_again()
                # The dead one fitted one of the first that are waiting.
                suspects = list(waiting)[: self._n_workers]
                _warn_of_death(len(suspects))
                for number in suspects:
                    task = waiting.pop(number)
                    yield number, self._alone(function, shared, number, task)

    def _stream(self, function, shared, waiting):
        # A copy: tasks are taken out while others are still to be sent.
        return self._parallel(
            delayed(_numbered)(number, function, shared, task, os.getpid())
            for number, task in list(waiting.items())
        )

    def _alone(self, function, shared, number, task):
        """Run a task with no other one beside it, so that a death is its own."""
        for _ in range(TRIES - 1):
            try:
                ((_, result),) = self._stream(function, shared, {number: task})
                return result
            except BrokenProcessPool as error:
                self._open_again()
                reason = str(error).strip().splitlines()[-1]
        return GivenUp(reason)


def _numbered(number, function, shared, task, starter):
    _end_with(starter)
    return number, function(*shared, task)


@lru_cache(maxsize=1)
def _end_with(starter):
    """Have a process that was started for the tasks end with the one that did so.

    A process of joblib's whose starter was killed would wait for five minutes.
    """
    if os.getppid() == starter:
        threading.Thread(target=_watch, args=(starter,), daemon=True).start()


def _watch(starter):
    while os.getppid() == starter:
        time.sleep(LOOK_EVERY)
    os._exit(1)


def _warn_of_death(n_suspects):
    warnings.warn(
        "A process that fitted a candidate was killed. Its fit is tried again, alone, "
        f"and so are those beside it: {n_suspects} in all.",
        RuntimeWarning,
        stacklevel=2,
    )


class DaskWorkers:
    """The workers of a Dask cluster.

    joblib's own way to Dask waits forever for a task whose worker has died too
    often, so tasks go to the cluster directly. Data are sent once; so many tasks are
    under way as the workers have threads, also while workers come and go.

    Parameters
    ----------
    client : distributed.Client
        The cluster.
    """

    def __init__(self, client):
        self._client = client
        self._sent = {}

    def close(self):
        """Let the cluster drop the data of this search."""
        self._sent.clear()

    def run(self, function, shared, tasks):
        """Run tasks; see `JoblibWorkers.run`."""
        from distributed import as_completed

        waiting = deque(enumerate(tasks))
        numbers = {}  # of the futures that are under way
        running = as_completed([], loop=self._client.loop)
        try:
            while waiting or numbers:
                while waiting and len(numbers) < self._n_threads():
                    number, task = waiting.popleft()
                    sent = [self._send(value) for value in shared]
                    future = self._client.submit(function, *sent, task, pure=False)
                    numbers[future] = number
                    running.add(future)
                future = next(running)
                number = numbers.pop(future)
                try:
                    result = _result(future)
                except CancelledError:
                    # Every worker that held the data is gone: they are sent again.
                    self._sent.clear()
                    waiting.appendleft((number, tasks[number]))
                else:
                    yield number, result
        finally:
            self._client.cancel(list(numbers))

    def _n_threads(self):
        return max(1, sum(self._client.ncores().values()))

    def _send(self, value):
        """Send what all tasks share to every worker, once."""
        key = id(value)
        if key not in self._sent:
            # The value is kept so that nothing else gets its id.
            self._sent[key] = value, self._scatter(value)
        return self._sent[key][1]

    def _scatter(self, value):
        """Send a value to every worker, again where one has died meanwhile."""
        for seconds in PAUSES:
            # A closed connection; or the scheduler misses the worker between two steps.
            with contextlib.suppress(OSError, KeyError, ValueError):
                return self._scatter_once(value)
            time.sleep(seconds)
        return self._scatter_once(value)

    def _scatter_once(self, value):
        (future,) = self._client.scatter([value], broadcast=True, hash=False)
        return future


def _result(future):
    """Return what a task returned, or that Dask has given it up."""
    from distributed import KilledWorker

    if future.cancelled():
        raise CancelledError
    error = future.exception()
    if isinstance(error, KilledWorker):
        return GivenUp(str(error).strip().splitlines()[0])
    if error is not None:
        raise error
    return future.result()
