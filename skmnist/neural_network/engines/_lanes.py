"""Lanes: fits of one structure meet, and train side by side.

A small network keeps no computer busy: most of an update is spent beside its products.
Some of them side by side take little longer than one. scikit-learn calls one fit at a
time, but it can do so in many threads. Here these threads meet.

A fit takes a *seat* in a *pack* of at most `MOST_LANES`. It asks for some updates, and
waits. When all that have a seat have asked, and no other fit is about to come, one of
them trains for all: a *round*, here or in another process, see `_places`. Then each
goes on by itself, with callbacks and validation, until it asks again. So fits need not
agree on epochs or numbers of rows, and one that ends makes room for another. Nobody
waits for a certain time: who is expected is counted.

Larger networks gain nothing from company on one core. Each has a pack for itself, and
there are as many of them at once as there are places.

Who is beside a fit changes none of its results, see `_arrays`.
"""

# SPDX-License-Identifier: BSD-3-Clause

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import NamedTuple

import joblib

from ._places import Places

# More lanes gain nothing more: their numbers would leave the cache.
MOST_LANES = 12

# Products of a weight and a row in all epochs of a fit. With fewer, fits part for two
# cores in vain: until a worker has started, they would be trained together.
FEWEST_TO_PART = 2**28
# One fit at a time trains without a lane.
_without_lane = threading.RLock()
# For changes of all that fits share here; and for who waits for one.
_lock = threading.RLock()
_changed = threading.Condition(_lock)
# After an error, a block waits so long for the fits that it has given up: threads
# that outlive a search surprise who begins the next one. A round takes some tenths of
# a second at most.
END_WITHIN = 1.0  # seconds
# Bytes of the data of all fits that train at once in a meeting. More fits wait.
DATA_AT_ONCE = 512 * 2**20
_meeting = None
# What is known of the fit that runs in this thread.
_own = threading.local()


@contextmanager
def lanes(n: int = 32, *, n_processes: int | None = None) -> Iterator[None]:
    """Train small networks side by side, inside a ``with`` block.

    scikit-learn's searches, cross-validations and ensembles then fit several estimators
    at once, in threads. Those `KerasMLPClassifier` that have the same layers, batch
    size, optimizer and precision train together, up to twelve of them, which takes
    little longer than one of them. Of larger networks, each core trains one.

    Parameters
    ----------
    n : int, default=32
        How many fits run at once.
    n_processes : int, default=None
        How many processes may help this one. None for one for each further core, up to
        three, and for 0 in a process that is itself a worker of joblib, Dask or
        `multiprocessing`. It holds for the outermost of several blocks.

    Yields
    ------
    None

    Raises
    ------
    ValueError
        If `n` is not a positive integer, or `n_processes` is negative.

    Notes
    -----
    The block changes no result, to the last bit.

    A search follows this block if its ``n_jobs`` is None. Side by side train fresh fits
    that NumPy trains: dense data, at most 131,072 weights, no `callbacks`, no output
    (``verbose``), no batch normalization, no distortions, and one of Keras' optimizers
    that treat each weight alone. All others train as they do outside. A network is
    larger if it has more than a million weights times rows of a batch.

    Each fit has its own copy of its rows. Fits whose data are more than 512 MB together
    wait for each other.

    Processes that help start when they are needed, take about 35 MB each, and end with
    the block. None starts on Windows.

    The block holds for the whole process, also for fits in other threads.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> import skmnist
    >>> X, y = load_iris(return_X_y=True)
    >>> network = skmnist.KerasMLPClassifier(1, 8, epochs=3, random_state=0)
    >>> search = GridSearchCV(network, {"learning_rate": [0.003, 0.01]}, cv=3)
    >>> outside = search.fit(X, y).cv_results_["mean_test_score"]
    >>> with skmnist.lanes():
    ...     inside = search.fit(X, y).cv_results_["mean_test_score"]
    >>> bool((inside == outside).all())
    True
    """
    if not isinstance(n, Integral) or n < 1:
        raise ValueError(f"n must be a positive integer, got {n!r}")
    if n_processes is not None and (
        not isinstance(n_processes, Integral) or n_processes < 0
    ):
        raise ValueError(
            f"n_processes must be None or an integer of at least 0, got {n_processes!r}"
        )
    with (
        meeting(n_processes),
        joblib.parallel_config(backend="threading", n_jobs=int(n)),
    ):
        yield


@contextmanager
def meeting(n_processes: int | None = None) -> Iterator[None]:
    """Let fits meet inside a ``with`` block; each thread brings its own.

    If the block ends with an error, the fits that wait end, too.

    Parameters
    ----------
    n_processes : int, default=None
        As for `lanes`.
    """
    global _meeting
    with _lock:
        before = _meeting
        opened = _meeting = before or _Meeting(n_processes)
    try:
        yield
    except BaseException:
        if before is None:
            opened.cancel()
            opened.wait_for_end(END_WITHIN)
        raise
    finally:
        with _lock:
            _meeting = before
        if before is None:
            opened.places.close()


def n_places():
    """Return how many rounds run at once in a meeting that opens now."""
    return Places().n


@contextmanager
def arriving(n_bytes=0):
    """Announce a fit that may take a seat, so that others wait for it.

    Parameters
    ----------
    n_bytes : int, default=0
        The size of its data. It waits until there is memory for them.
    """
    before = getattr(_own, "visit", None)
    _own.visit = visit = _Visit(_meeting, before)
    try:
        visit.wait_for_memory(n_bytes)
        yield
    finally:
        visit.end()
        _own.visit = before


def take_none():
    """Tell the others not to wait for the fit of this thread: it needs no lane.

    In a block of `lanes`, such fits train one after the other: each keeps all cores
    busy, and its memory counts.

    Returns
    -------
    waited : float
        Seconds that it has waited for the others.
    """
    visit, began = getattr(_own, "visit", None), time.perf_counter()
    if visit is not None:
        visit.settle()
        visit.wait_for_others()
    return time.perf_counter() - began


@contextmanager
def lane_for(key, train, n_products=0):
    """Give the fit of this thread a lane, if it began inside a block of `lanes`.

    Parameters
    ----------
    key : object or None
        Equal for fits that can train side by side; None for one that gains nothing. It
        waits for a free place, and keeps it until the fit ends.
    train : callable
        Trains a list of them for a round, in place.
    n_products : int, default=0
        Products of a weight and a row in all epochs.

    Yields
    ------
    lane : Seat or Alone
        The place of the fit. It is free for others afterwards.
    """
    visit = getattr(_own, "visit", None)
    if visit is None or visit.meeting is None:
        yield Alone(train)
        return
    if key is None:
        visit.settle()
        visit.wait_for_place()
    taken = visit.meeting.take(key, train, n_products)
    visit.settle()
    try:
        yield taken
    finally:
        visit.meeting.leave(taken)


class Alone(NamedTuple):
    """The place of a fit that meets nobody."""

    train_all: Callable

    def train(self, training):
        """Train a round, see `Seat.train`."""
        self.train_all([training])


class _Visit:
    """A fit, from its beginning until it has a seat or needs none."""

    def __init__(self, meeting, before=None):
        self.meeting, self._before = meeting, before
        self._is_alone = self._has_place = False
        self.n_bytes = 0
        self._expected = meeting is not None
        if self._expected:
            meeting.come(self)
            meeting.expect(1)

    def settle(self):
        """Tell the others not to wait for this one any more."""
        if self._expected:
            self._expected = False
            self.meeting.expect(-1)

    def wait_for_others(self):
        """Wait until no other fit trains without a lane."""
        if self.meeting is None or self._is_alone:
            return
        _without_lane.acquire()
        self._is_alone = True
        self.meeting.refuse_if_cancelled()

    def wait_for_memory(self, n_bytes):
        """Wait until the data of all fits that train are few enough."""
        if self.meeting is not None and not self._is_within(self.meeting):
            self.meeting.take_memory(self, n_bytes)

    def wait_for_place(self):
        """Wait until a place is free."""
        if self.meeting is None or self._has_place or self._is_within(self.meeting):
            return
        self.meeting.free_places.acquire()
        self._has_place = True
        self.meeting.refuse_if_cancelled()

    def _is_within(self, meeting):
        """Return whether a fit of this meeting runs in this thread already."""
        return self._before is not None and self._before.meeting is meeting

    def end(self):
        """Leave, after the fit."""
        self.settle()
        if self.meeting is not None:
            self.meeting.go(self)
        if self._has_place:
            self._has_place = False
            self.meeting.free_places.release()
        if self._is_alone:
            self._is_alone = False
            _without_lane.release()


class Pack:
    """Fits that train side by side.

    Parameters
    ----------
    train : callable
        Trains a list of them for a round, in place.
    most : int
        How many there may be.

    Attributes
    ----------
    seats : list of Seat
        The fits. Like `is_running`, they belong to the meeting.
    is_running : bool
        Whether a round runs, or somebody is called to run it.
    """

    def __init__(self, train, most):
        self.train, self._most = train, most
        self.seats, self.is_running = [], False

    @property
    def is_full(self):
        """Whether there is no seat for another fit."""
        return len(self.seats) >= self._most


class Seat:
    """The place of a fit in a pack.

    Parameters
    ----------
    meeting : _Meeting
        Where the fits meet.
    pack : Pack
        The pack.
    """

    def __init__(self, meeting, pack):
        self.pack, self._meeting = pack, meeting
        self.training = self.error = None
        self.asks = self.runs = False
        self.called = threading.Event()

    def train(self, training):
        """Train a round, when all others of the pack have asked, too.

        Parameters
        ----------
        training : Training
            What is trained, in place.
        """
        self.training = training
        self._meeting.ask(self)
        self.called.wait()
        self.called.clear()
        if self.runs:
            self._meeting.run(self.pack)
            self.called.clear()
        if self.error is not None:
            raise self.error


class _Meeting:
    """The packs of a block of `lanes`, and who is expected."""

    def __init__(self, n_processes=None):
        self.places = Places(n_processes)
        self.free_places = threading.Semaphore(self.places.n)
        self._visits = set()
        self._packs = {}
        self._n_expected = 0
        self._cancelled = False

    def come(self, visit):
        """Note that a fit has begun."""
        with _lock:
            self._visits.add(visit)

    def go(self, visit):
        """Note that it has ended."""
        with _changed:
            self._visits.discard(visit)
            _changed.notify_all()

    def take_memory(self, visit, n_bytes):
        """Wait until there is memory for the data of a fit, and take it."""

        def has_memory():
            n_now = sum(one.n_bytes for one in self._visits)
            return self._cancelled or not n_now or n_now + n_bytes <= DATA_AT_ONCE

        with _changed:
            if not has_memory():
                # Those that would free some do not wait for this one.
                visit.settle()
                _changed.wait_for(has_memory)
            self.refuse_if_cancelled()
            visit.n_bytes = n_bytes

    def wait_for_end(self, seconds):
        """Wait for the end of all fits, but not for long."""
        with _changed:
            _changed.wait_for(lambda: not self._visits, seconds)

    def expect(self, n):
        """Expect some fits more, or fewer."""
        with _lock:
            self._n_expected += n
            self._start_rounds()

    def take(self, key, train, n_products):
        """Return a seat in the emptiest pack of a key, or in a new one.

        As long as there are fewer packs than places, a long fit opens a new one: a
        place without a pack is idle.
        """
        most = MOST_LANES
        if key is None:
            key, most = object(), 1
        with _lock:
            is_long = n_products >= FEWEST_TO_PART
            opens = is_long and len(self._all_packs()) < self.places.n
            packs = self._packs.setdefault(key, [])
            free = [pack for pack in packs if not pack.is_full]
            if opens or not free:
                pack = Pack(train, most)
                packs.append(pack)
            else:
                pack = min(free, key=lambda pack: len(pack.seats))
            taken = Seat(self, pack)
            pack.seats.append(taken)
            return taken

    def leave(self, seat):
        """Free a seat."""
        with _lock:
            seat.pack.seats.remove(seat)
            if seat.runs:  # interrupted before it ran
                seat.pack.is_running = False
            self._drop_empty_packs()
            self._start_rounds()

    def ask(self, seat):
        """Ask for a round."""
        with _lock:
            self.refuse_if_cancelled()
            seat.asks, seat.error = True, None
            self._start_rounds()

    def run(self, pack):
        """Train all of a pack that have asked; called by one of them."""
        asking = [seat for seat in pack.seats if seat.asks]
        error = None
        try:
            self.places.train(pack.train, [seat.training for seat in asking])
        except Exception as raised:  # each of the fits ends with it
            error = raised
        except BaseException:
            error = RuntimeError(_GIVEN_UP)
            raise
        finally:
            with _lock:
                pack.is_running = False
                for seat in asking:
                    seat.asks = seat.runs = False
                    seat.error = error
                    seat.called.set()

    def refuse_if_cancelled(self):
        """Raise RuntimeError if the block has ended with an error."""
        if self._cancelled:
            raise RuntimeError(_GIVEN_UP)

    def cancel(self):
        """End the fits that wait, or will ask."""
        with _lock:
            self._cancelled = True
            _changed.notify_all()
            for seat in self._all_seats():
                if seat.asks and not seat.pack.is_running:
                    seat.asks, seat.error = False, RuntimeError(_GIVEN_UP)
                    seat.called.set()

    def _all_packs(self):
        return [pack for packs in self._packs.values() for pack in packs]

    def _all_seats(self):
        return [seat for pack in self._all_packs() for seat in pack.seats]

    def _drop_empty_packs(self):
        kept = {k: [p for p in packs if p.seats] for k, packs in self._packs.items()}
        self._packs = {key: packs for key, packs in kept.items() if packs}

    def _start_rounds(self):
        """Call somebody of each pack whose fits have all asked."""
        for pack in self._all_packs():
            waits = pack.is_running or (self._n_expected and not pack.is_full)
            if pack.seats and not waits and all(s.asks for s in pack.seats):
                pack.is_running = pack.seats[0].runs = True
                pack.seats[0].called.set()


_GIVEN_UP = "the fit was given up, because the block of skmnist.lanes() has ended"
