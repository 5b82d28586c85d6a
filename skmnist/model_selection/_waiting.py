"""Wait for a cluster, but never for ever: each question has a deadline."""

# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .._format import OneLineError

if TYPE_CHECKING:
    from distributed import Client

# docs/clusters.md states these numbers.
ANSWER_WITHIN = 30.0  # seconds that a scheduler has for its first answer
# The same for later ones: with the first task, the scheduler loads this package.
SILENT_AFTER = 120.0  # seconds
WORKERS_WITHIN = 120.0  # seconds that a cluster may be without a worker
CHECKED_WITHIN = 180.0  # seconds that all workers have to load this package
LOOK_EVERY = 2.0  # seconds between two looks at the cluster, while fits run
# Data may take as long as an answer, and a second more for so many bytes.
SLOWEST = 1e6

Answer = TypeVar("Answer")


class ClusterError(OneLineError):
    """No cluster answers, its workers are gone, or they would give other results.

    Parameters
    ----------
    message : str
        What is wrong. It is made one line without control characters.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def answered(
    seconds: float, function: Callable[..., Answer], *args: Any, **options: Any
) -> Answer:
    """Call a function that asks a scheduler, and wait for its answer for a while.

    Dask's own time limits do not hold for a scheduler that accepts a connection and
    then says nothing. So the function runs in a thread. After an error of time, the
    thread is left to itself; it does not keep the process from ending.

    Parameters
    ----------
    seconds : float
        How long to wait.
    function : callable
        What to call.
    *args, **options
        Its arguments.

    Returns
    -------
    answer : object
        What the function returns. What it raises is raised.

    Raises
    ------
    TimeoutError
        If it takes longer.

    Examples
    --------
    >>> from skmnist.model_selection._waiting import answered
    >>> answered(30, max, 3, 4)
    4
    """
    box = _ask(function, *args, **options)
    try:
        return _open(box.get(timeout=seconds))
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None


def _ask(function: Callable, *args: Any, **options: Any) -> queue.SimpleQueue:
    """Call a function in a thread; what it returns or raises is put into the queue."""
    box: queue.SimpleQueue = queue.SimpleQueue()

    def ask() -> None:
        try:
            box.put((function(*args, **options), None))
        except BaseException as error:
            box.put((None, error))

    threading.Thread(target=ask, name="skmnist-asks-dask", daemon=True).start()
    return box


def _open(content: tuple[Any, BaseException | None]) -> Any:
    answer, error = content
    if error is not None:
        raise error
    return answer


class Watch:
    """Looks at a cluster while a search waits for it.

    Parameters
    ----------
    client : distributed.Client
        The cluster.

    Attributes
    ----------
    address : str
        The address of its scheduler.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.address = client.scheduler.address
        self._without_since: float | None = None

    def look(self) -> dict[str, int]:
        """Return the workers that the cluster has now, with their threads.

        Returns
        -------
        workers : dict of str to int
            Threads by the worker's address; empty while there is no worker.

        Raises
        ------
        ClusterError
            If the scheduler does not answer, or if there has been no worker for
            `WORKERS_WITHIN` seconds.
        """
        workers = self.ask(SILENT_AFTER, self._client.ncores)
        if workers:
            self._without_since = None
        elif self._without_since is None:
            self._without_since = time.monotonic()
        elif time.monotonic() - self._without_since > WORKERS_WITHIN:
            raise ClusterError(
                f"the cluster at {self.address} has had no worker for "
                f"{WORKERS_WITHIN:g} s, so the search ends; start some with "
                f"'dask worker --nthreads 1 {self.address}'"
            )
        return workers

    def ask(self, seconds: float, function: Callable, *args: Any) -> Any:
        """Ask the scheduler; raise ClusterError if it does not answer in time."""
        if self._client.status in ("closing", "closed"):
            raise self.gone("the connection is closed")
        try:
            return answered(seconds, function, *args)
        except Exception as error:
            # Dask has several classes for a scheduler that is gone, and asks None for
            # its attributes when a client has given up.
            raise self.gone(error) from error

    def wait_for(self, function: Callable[[], Answer]) -> Answer:
        """Call a function that may take long, for as long as the cluster is there."""
        box = _ask(function)
        while True:
            try:
                return _open(box.get(timeout=LOOK_EVERY))
            except queue.Empty:
                self.look()

    def gone(self, why: object) -> ClusterError:
        """Return the error of a scheduler that does not answer."""
        return ClusterError(
            f"the Dask scheduler at {self.address} does not answer any more ({why}), "
            "so the search ends"
        )
