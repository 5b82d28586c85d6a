"""Where fits run: in this process, in processes of joblib, or on a Dask cluster.

Each kind of workers takes tasks, yields results as they finish, and goes on if a worker
dies.
"""

# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import joblib
from joblib.parallel import get_active_backend
from sklearn.utils.parallel import Parallel, delayed

if TYPE_CHECKING:
    from distributed import Client, Future

# A task is given up after so many of its workers have died.
TRIES = 3
LOOK_EVERY = 0.5  # seconds
# Pauses before data are sent again: a scheduler needs time to notice a death.
PAUSES = (0.1, 0.5, 2)  # seconds


class ClusterError(ValueError):
    """No cluster answers, or its workers would give other results."""


@dataclass(frozen=True)
class GivenUp:
    """The result of a task that is given up because its workers died.

    Parameters
    ----------
    reason : str
        The last line of what joblib or Dask said about it.
    """

    reason: str


def open_workers(
    n_jobs: int | None, pre_dispatch: int | str
) -> JoblibWorkers | DaskWorkers:
    """Open the workers that joblib's configuration names.

    Parameters
    ----------
    n_jobs : int or None
        Number of tasks that run at once, as joblib counts them. On a Dask cluster
        each thread of a worker runs one task instead.
    pre_dispatch : int or str
        Number of tasks to send ahead, as for `joblib.Parallel`.

    Returns
    -------
    workers : JoblibWorkers or DaskWorkers
        Its ``run(function, shared, tasks)`` yields the number and the result of each
        task. Call ``close()`` at the end.

    Raises
    ------
    ValueError
        If joblib would fork this process and TensorFlow has started in it.
    """
    backend, _ = get_active_backend()
    if type(backend).__name__ == "MultiprocessingBackend":
        _refuse_forks(n_jobs)
    client = getattr(backend, "client", None)
    if client is not None:
        return DaskWorkers(client)
    return JoblibWorkers(n_jobs, pre_dispatch, backend.supports_return_generator)


def _refuse_forks(n_jobs: int | None) -> None:
    if "tensorflow" in sys.modules and joblib.effective_n_jobs(n_jobs) > 1:
        raise ValueError(
            "the backend 'multiprocessing' forks this process, and a forked "
            "TensorFlow waits for threads that were not forked: use 'loky', joblib's "
            "default"
        )


class JoblibWorkers:
    """Workers of joblib: this process, other processes, or threads.

    Parameters
    ----------
    n_jobs, pre_dispatch
        As for `joblib.Parallel`.
    streams : bool
        Whether joblib can return results as they finish; otherwise it returns all of
        them at the end.
    """

    def __init__(self, n_jobs: int | None, pre_dispatch: int | str, streams: bool):
        self._options = {
            "n_jobs": n_jobs,
            "pre_dispatch": pre_dispatch,
            # One task at a time: if a worker dies, few tasks can be the reason.
            "batch_size": 1,
            "return_as": "generator_unordered" if streams else "list",
        }
        self._n_workers = joblib.effective_n_jobs(n_jobs)
        self._open()

    def _open(self) -> None:
        self._parallel = Parallel(**self._options)
        self._parallel.__enter__()

    def close(self) -> None:
        """Release the processes; joblib keeps them for the next search."""
        self._parallel.__exit__(None, None, None)

    def _open_again(self) -> None:
        """Replace all processes, after one of them has died."""
        self.close()
        self._open()

    def run(
        self, function: Callable, shared: tuple, tasks: Sequence[Any]
    ) -> Iterator[tuple[int, Any]]:
        """Run tasks. Unfinished ones run again if a worker dies.

        Parameters
        ----------
        function : callable
            Called as ``function(*shared, task)``; workers must be able to import it.
        shared : tuple
            Arguments that are the same for all tasks.
        tasks : list
            The last argument, for each task.

        Yields
        ------
        number : int
            Position of the task.
        result : object
            What `function` returned, or `GivenUp`.
        """
        waiting = dict(enumerate(tasks))
        while waiting:
            try:
                for number, result in self._stream(function, shared, waiting):
                    del waiting[number]
                    yield number, result
            except BrokenProcessPool:
                self._open_again()
                # The dead worker ran one of the first unfinished tasks.
                suspects = list(waiting)[: self._n_workers]
                _warn_of_death(len(suspects))
                for number in suspects:
                    task = waiting.pop(number)
                    yield number, self._alone(function, shared, number, task)

    def _stream(self, function: Callable, shared: tuple, waiting: dict) -> Iterator:
        # A copy of the items: finished tasks leave while others are still to be sent.
        return self._parallel(
            delayed(_numbered)(number, function, shared, task, os.getpid())
            for number, task in list(waiting.items())
        )

    def _alone(self, function: Callable, shared: tuple, number: int, task: Any) -> Any:
        """Run a task alone: if the worker dies, this task is the reason."""
        for _ in range(TRIES - 1):
            try:
                ((_, result),) = self._stream(function, shared, {number: task})
                return result
            except BrokenProcessPool as error:
                self._open_again()
                reason = str(error).strip().splitlines()[-1]
        return GivenUp(reason)


def _numbered(
    number: int, function: Callable, shared: tuple, task: Any, parent: int
) -> tuple[int, Any]:
    _exit_with_parent(parent)
    return number, function(*shared, task)


@lru_cache(maxsize=1)
def _exit_with_parent(parent: int) -> None:
    """Exit when the parent process dies, if this is one of its child processes.

    Without this a process of joblib waits for five minutes.
    """
    if os.getppid() == parent:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    os._exit(1)


def _warn_of_death(n_suspects: int) -> None:
    warnings.warn(
        "A process that fitted a candidate was killed. Its fit is tried again, alone, "
        f"and so are the fits that ran beside it: {n_suspects} in all.",
        RuntimeWarning,
        stacklevel=2,
    )


class DaskWorkers:
    """The workers of a Dask cluster.

    Tasks are sent to the cluster directly: joblib's own way waits forever for a task
    whose worker has died too often. Data are sent once. As many tasks run at once as
    the workers have threads, also while workers join and leave.

    Parameters
    ----------
    client : distributed.Client
        The cluster.
    """

    def __init__(self, client: Client):
        self._client = client
        self._sent: dict[int, tuple[Any, Future]] = {}

    def close(self) -> None:
        """Let the cluster drop the data of this search."""
        self._sent.clear()

    def run(
        self, function: Callable, shared: tuple, tasks: Sequence[Any]
    ) -> Iterator[tuple[int, Any]]:
        """Run tasks; see `JoblibWorkers.run`."""
        from distributed import as_completed

        waiting = deque(enumerate(tasks))
        numbers = {}  # of the tasks that are running, by their futures
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
                    # All workers that held the data are gone: send them again.
                    self._sent.clear()
                    waiting.appendleft((number, tasks[number]))
                else:
                    yield number, result
        finally:
            self._client.cancel(list(numbers))

    def _n_threads(self) -> int:
        return max(1, sum(self._client.ncores().values()))

    def _send(self, value: Any) -> Future:
        """Send a shared argument to every worker, once."""
        key = id(value)
        if key not in self._sent:
            # Keep the value, so that no other object gets its id.
            self._sent[key] = value, self._scatter(value)
        return self._sent[key][1]

    def _scatter(self, value: Any) -> Future:
        """Send a value to every worker, and again if a worker dies meanwhile."""
        for seconds in PAUSES:
            # Errors of a connection that is closed, or of a scheduler that notices
            # between two of its steps that the worker is gone.
            with contextlib.suppress(OSError, KeyError, ValueError):
                return self._scatter_once(value)
            time.sleep(seconds)
        return self._scatter_once(value)

    def _scatter_once(self, value: Any) -> Future:
        (future,) = self._client.scatter([value], broadcast=True, hash=False)
        return future


def _result(future: Future) -> Any:
    """Return what a task returned, or `GivenUp` if Dask has given it up."""
    from distributed import KilledWorker

    if future.cancelled():
        raise CancelledError
    error = future.exception()
    if isinstance(error, KilledWorker):
        return GivenUp(str(error).strip().splitlines()[0])
    if error is not None:
        raise error
    return future.result()
