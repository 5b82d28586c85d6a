"""Where rounds run: one of them here, and one in a worker on each further core.

Two rounds in two threads take as long as one after the other: they are so many short
operations that both wait for Python's lock. A worker is a process, with a lock of its
own. It gets the networks, trains them, and sends back what has changed. The same code
computes the same bits there.

A worker starts when a round is ready and has no place, in the background. Until it is
ready, and whenever it fails, rounds run here.
"""

# SPDX-License-Identifier: BSD-3-Clause

import itertools
import multiprocessing
import os
import sys
import threading
import weakref

import joblib
import numpy as np

from ._worker import LostError, Worker, can_start

# What threads do between rounds needs the lock of this process: it feeds no more.
MOST_WORKERS = 3
# Each weight is sent there and back, and computed with once for each row. With half as
# many rows, this process spends as much time to send networks as to train them. With
# twice as many, a third of it.
FEWEST_ROWS = 128
# Products of a weight and a row in a round. With fewer, it takes 2 ms here, and as long
# to wait for other threads and the answer: such searches were no faster with workers.
FEWEST_PRODUCTS = 2**22
# Values of rows that a worker does not have yet. To send more takes as long as to train
# for some epochs; so the round runs here, if nobody else does.
MOST_SENT = 2**22
# Rounds that a worker has at once: one trains while the next one is on its way.
MOST_ROUNDS = 2


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
    """Return whether this thread works for a cluster of Dask's."""
    distributed = sys.modules.get("distributed")
    try:
        return distributed is not None and distributed.get_worker() is not None
    except ValueError:  # there is none
        return False


class Places:
    """The places of a block of `lanes`.

    Parameters
    ----------
    n_workers : int or None
        Most workers; None for `most_workers`.
    """

    def __init__(self, n_workers=None):
        if n_workers is None:
            n_workers = most_workers()
        self._most, self._pid = n_workers if can_start() else 0, os.getpid()
        # For all that follows.
        self._changed = threading.Condition()
        self._here_is_free = True
        # All workers, those that are ready, and the thread that starts another one.
        self._workers, self._ready, self._starting = [], [], None

    @property
    def n(self):
        """How many there are."""
        return 1 + self._most

    def train(self, train, trainings):
        """Train a round in the first place that is free.

        Parameters
        ----------
        train : callable
            A function of a module; it trains them.
        trainings : list of Training
            Each is changed in place.
        """
        away = self._take(trainings, self._may_leave(trainings))
        try:
            if away is None:
                train(trainings)
            else:
                away.train(train, trainings)
            return
        except LostError:
            self.close()
        finally:
            self._release(away)
        # Here, because no worker is left. If the training failed, it fails here again.
        self.train(train, trainings)

    def close(self):
        """End all workers; rounds run here from now on."""
        with self._changed:
            workers, starting = self._workers, self._starting
            self._most, self._workers, self._ready = 0, [], []
        for away in workers:
            away.worker.end()
        if starting is not None:
            starting.join()

    def _may_leave(self, trainings):
        """Return whether a round may run in a worker, which changes no result."""
        n_rows = sum(one.n_rows for one in trainings)
        n_products = n_rows * len(trainings[0].weights)
        pays = n_products >= FEWEST_PRODUCTS
        pays = pays and n_rows >= FEWEST_ROWS * len(trainings)
        pays = pays and all(
            one.rows.are_kept or one.n_values_to_send <= MOST_SENT for one in trainings
        )
        is_fork = os.getpid() != self._pid  # the workers are another process's
        return pays and not is_fork and not _loses_small_numbers()

    def _take(self, trainings, may_leave):
        """Wait for a place; return one in a worker, or None for the one here."""
        with self._changed:
            while True:
                away = self._least_busy() if may_leave else None
                # An idle worker comes first: a round here holds the lock that all other
                # fits need.
                goes = away and away.is_idle and away.n_unknown(trainings) <= MOST_SENT
                if self._here_is_free and not goes:
                    self._here_is_free = False
                    return None
                if may_leave and not (away and away.is_idle):
                    self._start_one()
                if away:
                    away.n_rounds += 1
                    return away
                self._changed.wait()

    def _least_busy(self):
        """Return the worker with the fewest rounds, or None if none takes any more."""
        return min(
            (away for away in self._ready if away.n_rounds < MOST_ROUNDS),
            key=lambda away: away.n_rounds,
            default=None,
        )

    def _release(self, away):
        """Let others have a place."""
        with self._changed:
            if away is None:
                self._here_is_free = True
            else:
                away.n_rounds -= 1
            self._changed.notify_all()

    def _start_one(self):
        """Start one more worker, if there may be one and none is starting."""
        if self._starting is None and len(self._workers) < self._most:
            self._starting = threading.Thread(target=self._start, daemon=True)
            self._starting.start()

    def _start(self):
        """Start a worker, and let rounds have it when it is ready."""
        try:
            away = Away()
        except LostError:
            self._most = 0
            return
        with self._changed:
            if self._most:
                self._workers.append(away)
        try:
            away.worker.call(os.getpid)  # it answers when it is ready
        except LostError:
            self._most = 0
        with self._changed:
            self._starting = None
            if self._most:
                self._ready.append(away)
            else:  # the block has ended, or the worker
                away.worker.end()
            self._changed.notify_all()


def _loses_small_numbers():
    """Return whether this thread computes with zero in place of numbers close to it.

    Some libraries tell the processor to. A worker would not know, and get other bits.
    """
    with np.errstate(all="ignore"):
        return bool(np.float32(2**-126) * np.float32(0.5) == 0)


class Away:
    """Places in a worker.

    The rows of a fit are the same in each of its rounds. So the worker keeps them until
    the fit ends, and gets their name only; if they are sparse or very many, it gets
    those of each round.

    Raises
    ------
    LostError
        If the worker cannot start.
    """

    def __init__(self):
        self.worker = Worker()
        self.n_rounds = 0
        # The names of rows that it has, and those that it needs no more.
        self._names, self._gone = weakref.WeakKeyDictionary(), []
        self._lock = threading.Lock()

    @property
    def is_idle(self):
        """Whether it has nothing to train."""
        return not self.n_rounds

    def n_unknown(self, trainings):
        """Return how many values of rows would have to be sent."""
        with self._lock:
            unknown = [one for one in trainings if one.rows not in self._names]
        return sum(one.n_values_to_send for one in unknown)

    def train(self, train, trainings):
        """Train a round, see `Places.train`."""
        parcels = [one.parcel() for one in trainings]
        with self._lock:
            new, gone = self._name_rows(parcels), list(self._gone)
            del self._gone[: len(gone)]
        changes = self.worker.call(_changes, train, parcels, new, gone)
        for one, change in zip(trainings, changes, strict=True):
            one.take_over(change)

    def _name_rows(self, parcels):
        """Put names in place of rows, and return the rows that the worker lacks."""
        new = {}
        for parcel in parcels:
            rows = parcel.rows
            if rows.are_kept:
                if rows not in self._names:
                    self._names[rows] = name = next(_names)
                    weakref.finalize(rows, self._gone.append, name).atexit = False
                    new[name] = rows
                parcel.rows = self._names[rows]
        return new


_names = itertools.count()
# In a worker: the rows that it keeps.
_kept = {}


def _changes(train, parcels, new, gone):
    """Train a round, and return what has changed; in the worker."""
    for name in gone:
        del _kept[name]
    _kept.update(new)
    for parcel in parcels:
        if isinstance(parcel.rows, int):
            parcel.rows = _kept[parcel.rows]
    train(parcels)
    return [parcel.changes() for parcel in parcels]
