"""Where fits run: in this process, in processes of joblib, or on a Dask cluster.

In this process, small networks train side by side.

Each kind of workers takes tasks, yields results as they finish, and goes on if a worker
dies.
"""

# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
import time
import uuid
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import joblib
from joblib.parallel import get_active_backend
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from .._compat import last_step
from . import _waiting
from ._waiting import ClusterError as ClusterError

if TYPE_CHECKING:
    from distributed import Client, Future, as_completed

# A task is given up after so many of its workers have died.
TRIES = 3
LOOK_EVERY = 0.5  # seconds
# Pauses before data are sent again: a scheduler needs time to notice a death.
PAUSES = (0.1, 0.5, 2)  # seconds
# Data are sent again after so many losses without a finished fit between them.
MOST_LOSSES = 5
LOOK_AT_RESULTS_EVERY = 0.05  # seconds
CANCEL_WITHIN = 5.0  # seconds


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
    streams = backend.supports_return_generator
    return_as = "generator_unordered" if streams else "list"
    return JoblibWorkers(n_jobs, pre_dispatch, return_as)


def _refuse_forks(n_jobs: int | None) -> None:
    if "tensorflow" in sys.modules and joblib.effective_n_jobs(n_jobs) > 1:
        raise ValueError(
            "the backend 'multiprocessing' forks this process, and a forked "
            "TensorFlow waits for threads that were not forked: use 'loky', joblib's "
            "default"
        )


# Bytes of all rows of fits that train at once in this process, and how many these are.
DATA_AT_ONCE = 512 * 2**20
MOST_AT_ONCE = 24


class SideBySide:
    """Small networks in threads of this process, where they train side by side.

    The last step of the estimator says how many gain, see `KerasMLPClassifier`. It
    opens a meeting for the whole search, and lanes for tasks that gain. Nothing is done
    if somebody has asked for processes, threads or a cluster.

    Parameters
    ----------
    estimator : estimator object
        What is searched.
    n_jobs : int or None
        As for `open_workers`.
    X, y : array-like
        The data of the search.
    """

    def __init__(self, estimator: Any, n_jobs: int | None, X: Any, y: Any):
        self._estimator, self._data = estimator, (X, y)
        asked = n_jobs is not None or joblib.effective_n_jobs(None) != 1
        self._meet = None if asked else getattr(last_step(estimator), "_meet", None)
        self._known: dict[str, int] = {}

    def meeting(self) -> contextlib.AbstractContextManager:
        """Return the context of the whole search."""
        return contextlib.nullcontext() if self._meet is None else self._meet()

    def groups(self, params: Sequence[Mapping[str, Any]]) -> list[range]:
        """Divide tasks, in their order, into those that gain and those that do not.

        Parameters
        ----------
        params : list of dict
            Parameters of the estimator, for each task.

        Returns
        -------
        groups : list of range
            Numbers of tasks; of one group where nobody gains.
        """
        if self._meet is None:
            return [range(len(params))]
        gain = [self._n_of_one(one) > 1 for one in params]
        changes = [i for i in range(1, len(gain)) if gain[i] != gain[i - 1]]
        ends = itertools.pairwise([0, *changes, len(gain)])
        return [range(*pair) for pair in ends]

    def n_together(self, params: Sequence[Mapping[str, Any]]) -> int:
        """Return how many tasks run at once, given the parameters of all; 1 for none.

        Parameters
        ----------
        params : list of dict
            Parameters of the estimator, for each task.
        """
        if self._meet is None:
            return 1
        n_bytes = getattr(self._data[0], "nbytes", DATA_AT_ONCE)
        most = min(len(params), DATA_AT_ONCE // max(n_bytes, 1))
        return max(1, min(most, *map(self._n_of_one, params)))

    def _n_of_one(self, params: Mapping[str, Any]) -> int:
        """Return how many fits with some parameters gain by running at once."""
        key = repr(sorted(params.items()))
        if key not in self._known:
            try:
                one = last_step(clone(self._estimator).set_params(**_cloned(params)))
                self._known[key] = one._n_together(*self._data) or MOST_AT_ONCE
            except Exception:  # its fit will tell
                self._known[key] = 1
        return self._known[key]

    @contextlib.contextmanager
    def workers(
        self, n_together: int, pre_dispatch: int | str
    ) -> Iterator[JoblibWorkers]:
        """Open threads for some tasks at once."""
        with last_step(self._estimator)._together(n_together):
            # In their order, so that two equal studies have equal files.
            workers = Threads(None, pre_dispatch, return_as="generator")
            try:
                yield workers
            finally:
                workers.close()


def _cloned(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: clone(value, safe=False) for name, value in params.items()}


class JoblibWorkers:
    """Workers of joblib: this process, other processes, or threads.

    There are never more of them than a search has had tasks at once: each process has a
    TensorFlow of its own, which takes half a gigabyte.

    Parameters
    ----------
    n_jobs, pre_dispatch
        As for `joblib.Parallel`.
    return_as : {"generator_unordered", "generator", "list"}
        When joblib returns a result: when it is there, when all before it are, or when
        all are.
    """

    # What scikit-learn adds: its configuration, and the filters of warnings.
    _parallel_class: type[joblib.Parallel] = Parallel
    _delayed = staticmethod(delayed)

    def __init__(self, n_jobs: int | None, pre_dispatch: int | str, return_as: str):
        self._options = {
            "pre_dispatch": pre_dispatch,
            # One task at a time: if a worker dies, few tasks can be the reason.
            "batch_size": 1,
            "return_as": return_as,
        }
        self._most = joblib.effective_n_jobs(n_jobs)
        self._n_workers = 0
        self._parallel: Parallel | None = None

    def _open(self) -> None:
        self._parallel = self._parallel_class(n_jobs=self._n_workers, **self._options)
        self._parallel.__enter__()

    def close(self) -> None:
        """Release the processes; joblib keeps them for the next search."""
        if self._parallel is not None:
            self._parallel.__exit__(None, None, None)
            self._parallel = None

    def _open_again(self) -> None:
        """Replace all processes, after one of them has died."""
        self.close()
        self._open()

    def _open_for(self, n_tasks: int) -> None:
        """Have a worker for each task, or as many as there may be.

        Those that are there stay: the next stage may have more tasks again, and a new
        process takes seconds to start.
        """
        n_wanted = min(n_tasks, self._most)
        if n_wanted > self._n_workers:
            self._n_workers = n_wanted
            self._open_again()

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
        self._open_for(len(waiting))
        while waiting:
            stream = self._stream(function, shared, waiting)
            try:
                for number, result in stream:
                    del waiting[number]
                    yield number, result
            except GeneratorExit:  # the search ends with an error
                _close(stream)
                raise
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
            self._delayed(_numbered)(number, function, shared, task, os.getpid())
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


class Threads(JoblibWorkers):
    """Threads of this process.

    scikit-learn's threads each set the filters of warnings, which are the process's,
    and set them back: the last one puts back what another one has set.
    """

    _parallel_class = joblib.Parallel

    @staticmethod
    def _delayed(function: Callable) -> Callable:
        config = get_config()

        def configured(*args):
            with config_context(**config):
                return function(*args)

        return joblib.delayed(configured)


def _close(stream: Iterator | list) -> None:
    """End a stream early, without joblib's warning that its tasks end, too."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\d+ tasks (which|have been)")
        if not isinstance(stream, list):
            stream.close()


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


@dataclass
class Sent:
    """Data that a cluster has.

    Parameters
    ----------
    value : object
        The data. They are kept, so that no other object gets their `id`.
    name : str
        Dask's name of them.
    at : dict of str to Future
        The addresses of the workers that they were sent to.
    """

    value: Any
    name: str
    at: dict[str, Future] = field(default_factory=dict)


@dataclass(frozen=True)
class Running:
    """A task that a cluster runs.

    Parameters
    ----------
    number : int
        Its position.
    worker : str
        The address of the worker that was idle for it; Dask may take another one.
    sending : int
        Which sending of the shared data it uses, from 0.
    """

    number: int
    worker: str
    sending: int


class DaskWorkers:
    """The workers of a Dask cluster.

    Tasks are sent to the cluster directly: joblib's own way waits forever for a task
    whose worker has died too often. Data are sent once. As many tasks run at once as
    the workers have threads, also while workers join and leave. All that waits for the
    cluster ends with a `ClusterError` when the cluster is gone; see `_waiting`.

    Parameters
    ----------
    client : distributed.Client
        The cluster.
    """

    def __init__(self, client: Client):
        self._client = client
        self._watch = _waiting.Watch(client)
        self._sent: dict[int, Sent] = {}
        self._n_sendings = self._n_losses = 0
        self._running: dict[Future, Running] = {}

    def close(self) -> None:
        """Let the cluster drop the data of this search."""
        self._sent.clear()

    def run(
        self, function: Callable, shared: tuple, tasks: Sequence[Any]
    ) -> Iterator[tuple[int, Any]]:
        """Run tasks; see `JoblibWorkers.run`."""
        from distributed import as_completed

        waiting = deque(range(len(tasks)))
        finished = as_completed([], loop=self._client.loop)
        try:
            while waiting or self._running:
                for worker in self._idle()[: len(waiting)]:
                    number = waiting.popleft()
                    finished.add(
                        self._submit(function, shared, number, tasks[number], worker)
                    )
                future = _wait_a_while(finished)
                if future is None:
                    continue
                running = self._running.pop(future)
                try:
                    result = self._result(future)
                except CancelledError:
                    self._lose(running)
                    waiting.appendleft(running.number)
                else:
                    self._n_losses = 0
                    yield running.number, result
        finally:
            unfinished, self._running = list(self._running), {}
            # If the cluster is gone, so are its tasks.
            with contextlib.suppress(Exception):
                _waiting.answered(CANCEL_WITHIN, self._client.cancel, unfinished)

    def _idle(self) -> list[str]:
        """Return the workers that have nothing to do, once for each of their threads.

        A worker's tasks go elsewhere when it dies. So there may be idle workers, and
        yet as many tasks as all workers have threads.
        """
        workers = self._watch.look()
        busy = Counter(running.worker for running in self._running.values())
        idle = [
            address
            for address, n_threads in workers.items()
            for _ in range(n_threads - busy[address])
        ]
        return idle[: max(0, sum(workers.values()) - len(self._running))]

    def _submit(
        self, function: Callable, shared: tuple, number: int, task: Any, worker: str
    ) -> Future:
        """Give a task to a cluster whose `worker` is idle."""
        # A task that names its worker waits for ever if no worker is left for a moment.
        # Without a name, Dask takes an idle one of those that have the data.
        sent = [self._send(value, worker) for value in shared]
        try:
            future = self._client.submit(function, *sent, task, pure=False)
        except Exception as error:
            if self._client.status in ("closing", "closed"):
                raise self._watch.gone(error) from error
            raise
        self._running[future] = Running(number, worker, self._n_sendings)
        return future

    def _lose(self, running: Running) -> None:
        """Have the data sent again: all workers that had them are gone."""
        if running.sending < self._n_sendings:
            return  # another task has noticed it before
        self._sent.clear()
        self._n_sendings += 1
        self._n_losses += 1
        if self._n_losses > MOST_LOSSES:
            raise ClusterError(
                f"the workers of the cluster at {self._watch.address} have lost the "
                f"data {self._n_losses} times, and no fit was finished between; do "
                "they have enough memory?"
            )

    def _send(self, value: Any, worker: str) -> Future:
        """Send a shared argument to a worker, once."""
        sent = self._sent.setdefault(
            id(value), Sent(value, f"skmnist-data-{uuid.uuid4().hex}")
        )
        if worker not in sent.at:
            self._scatter(sent, worker)
        return sent.at[worker] if worker in sent.at else next(iter(sent.at.values()))

    def _scatter(self, sent: Sent, worker: str) -> None:
        """Send data to a worker; if that dies meanwhile, to another one.

        Each worker gets them by itself, under one name. Dask's own broadcast goes on
        for ever if a worker dies in it, and then no client can send anything any more.
        """
        from dask.sizeof import sizeof

        seconds = _waiting.ANSWER_WITHIN + sizeof(sent.value) / _waiting.SLOWEST
        for pause in (*PAUSES, None):
            try:
                future = _waiting.answered(seconds, self._scatter_once, sent, worker)
            # Errors of a connection that is closed, or of a scheduler that notices
            # between two of its steps that the worker is gone.
            except (OSError, KeyError, ValueError) as error:
                if pause is None:
                    raise ClusterError(
                        f"data cannot be sent to the workers of {self._watch.address}: "
                        f"{type(error).__name__}: {error}"
                    ) from error
            else:
                sent.at[worker] = future
                return
            time.sleep(pause)
            workers = self._watch.look()
            if worker not in workers and sent.at:
                return  # another one has them
            worker = worker if worker in workers else next(iter(workers), worker)

    def _scatter_once(self, sent: Sent, worker: str) -> Future:
        found = self._client.scatter({sent.name: sent.value}, workers=[worker])
        return found[sent.name]

    def _result(self, future: Future) -> Any:
        """Return what a task returned, or `GivenUp` if Dask has given it up."""
        from distributed import KilledWorker

        if future.cancelled():
            raise CancelledError
        error = self._watch.wait_for(future.exception)
        if isinstance(error, KilledWorker):
            return GivenUp(str(error).strip().splitlines()[0])
        if error is not None:
            raise error
        return self._watch.wait_for(future.result)


def _wait_a_while(finished: as_completed) -> Future | None:
    """Return a future that is finished, or None if none is for a while."""
    deadline = time.monotonic() + _waiting.LOOK_EVERY
    while not finished.has_ready():
        if time.monotonic() > deadline:
            return None
        time.sleep(LOOK_AT_RESULTS_EVERY)
    return next(finished)
