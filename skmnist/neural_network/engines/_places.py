"""Where rounds run: one of them here, and one in a worker on each further core.

Two rounds in two threads take as long as one after the other: they are so many short
operations that both wait for Python's lock. A worker is a process, with a lock of its
own. It gets the networks and their rows, trains them, and sends back what has changed.
The same code computes the same bits there.

No worker starts before two rounds want to run at once, and then it starts in the
background. Until it is ready, and whenever it fails, rounds run here.
"""

# SPDX-License-Identifier: BSD-3-Clause

import multiprocessing
import os
import sys
import threading

import joblib
import numpy as np

from ._worker import LostError, Worker, can_start

# So many more rounds at once keep the threads busy that take part in them.
MOST_WORKERS = 3
# Smaller rounds end sooner than a worker would have them. In products of a weight and
# a row.
FEWEST_PRODUCTS = 2**20


def most_workers():
    """Return how many workers a block may have: one for each further core.

    Returns
    -------
    n : int
        At most `MOST_WORKERS`, and 0 in a process that is itself one of several that
        share the cores.
    """
    if multiprocessing.parent_process() is not None or _is_task_of_dask():
        return 0
    return min(joblib.cpu_count() - 1, MOST_WORKERS) if can_start() else 0


def _is_task_of_dask():
    """Return whether a worker of Dask's runs this thread."""
    distributed = sys.modules.get("distributed")
    try:
        return distributed is not None and distributed.get_worker() is not None
    except ValueError:  # there is none
        return False


class Places:
    """The places of a block of `lanes`."""

    def __init__(self):
        self._most, self._pid = most_workers(), os.getpid()
        # For all that follows.
        self._changed = threading.Condition()
        self._here_is_free = True
        self._workers, self._free = [], []
        self._starting = None

    def train(self, train, trainings):
        """Train a round in the first place that is free.

        Parameters
        ----------
        train : callable
            Trains them.
        trainings : list of Training
            Each is changed in place.
        """
        worker = self._take(_is_large(trainings))
        try:
            if worker is None:
                train(trainings)
            else:
                _train_away(worker, train, trainings)
            return
        except LostError:
            self.close()
        finally:
            self._release(worker)
        # Here, because no worker is left.
        self.train(train, trainings)

    def close(self):
        """End all workers; rounds run here from now on."""
        with self._changed:
            self._most, workers, starting = 0, self._workers, self._starting
            self._workers, self._free = [], []
        for worker in workers:
            worker.end()
        if starting is not None:
            starting.join()

    def _take(self, is_large):
        """Wait for a place; return its worker, or None for a place here.

        Workers come first: a round here holds the lock that all other fits need.
        """
        may_leave = is_large and os.getpid() == self._pid
        with self._changed:
            while True:
                if may_leave and self._free:
                    return self._free.pop()
                if self._here_is_free:
                    self._here_is_free = False
                    return None
                if may_leave:
                    self._start_one()
                self._changed.wait()

    def _release(self, worker):
        with self._changed:
            if worker is None:
                self._here_is_free = True
            elif worker in self._workers:
                self._free.append(worker)
            self._changed.notify_all()

    def _start_one(self):
        """Start one more worker, if there may be one and none is starting."""
        if self._starting is None and len(self._workers) < self._most:
            self._starting = threading.Thread(target=self._start, daemon=True)
            self._starting.start()

    def _start(self):
        """Start a worker, and let rounds have it when it is ready."""
        try:
            worker = Worker()
        except OSError:
            self._most = 0
            return
        with self._changed:
            if self._most:
                self._workers.append(worker)
        try:
            worker.call(os.getpid)
        except LostError:
            self._most = 0
        with self._changed:
            self._starting = None
        self._release(worker)


def _is_large(trainings):
    """Return whether a round takes longer than to send it."""
    n_products = sum(one.n_products for one in trainings)
    return n_products >= FEWEST_PRODUCTS and not _loses_small_numbers()


def _loses_small_numbers():
    """Return whether this thread computes with zero for numbers close to it.

    Some libraries tell the processor so. A worker does not know, and has other bits.
    """
    smallest = np.finfo(np.float32).tiny
    return bool(np.multiply(smallest, np.float32(0.5)) == 0)


def _train_away(worker, train, trainings):
    """Train a round in a worker."""
    parcels = [one.parcel() for one in trainings]
    changes = worker.call(_changes, train, parcels)
    for one, change in zip(trainings, changes, strict=True):
        one.take_over(change)


def _changes(train, parcels):
    """Train a round, and return what has changed; in the worker."""
    train(parcels)
    return [parcel.changes() for parcel in parcels]
