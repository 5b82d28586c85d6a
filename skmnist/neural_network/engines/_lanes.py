"""Lanes: fits of one structure meet, and train side by side in one program.

A small network keeps no computer busy: most of an update is spent beside its products.
Eight of them side by side take little longer than one. scikit-learn calls one fit at a
time, but it can do so in many threads. Here these threads meet.

A fit takes a *seat* in a *pack* of `N_LANES` lanes. It asks for some updates, and
waits. When all that have a seat have asked, and no other fit is about to come, one of
them runs the program for all: a *round*. Then each goes on by itself, with callbacks
and validation, until it asks again. So lanes need not agree on epochs or numbers of
rows, and one that ends makes room for another. Nobody waits for a certain time: who is
expected is counted.

A program has always as many lanes; those without a fit are empty. So a fit has the same
results in any company.
"""

# SPDX-License-Identifier: BSD-3-Clause

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral

import joblib

# More lanes gain little more, and a fit that is alone pays for all of them.
N_LANES = 8

# For changes of all that fits share here.
_lock = threading.RLock()
_meeting = None
# What is known of the fit that runs in this thread.
_own = threading.local()


@contextmanager
def lanes(n: int = 2 * N_LANES) -> Iterator[None]:
    """Train small networks side by side, inside a ``with`` block.

    scikit-learn's searches, cross-validations and ensembles then fit several estimators
    at once, in threads. Those `KerasMLPClassifier` that have the same layers, batch
    size, optimizer and precision train together in one program, which takes little
    longer than one of them.

    Parameters
    ----------
    n : int, default=16
        How many fits run at once. It does not change results.

    Yields
    ------
    None

    Raises
    ------
    ValueError
        If `n` is not a positive integer.

    Notes
    -----
    Results do not depend on who trains beside, nor on `n`. But in their last digits
    they are not those of a fit outside the block, which another program trains. The
    attribute `n_lanes_` of a fitted classifier tells which it was. Kept fits
    (``memory=``) are kept apart.

    A search follows this block if its ``n_jobs`` is None. Side by side train fresh fits
    on dense data, of networks with at most 16,384 weights, without `callbacks`, without
    output (``verbose``), without batch normalization and distortions, and with one of
    Keras' optimizers that treat each weight alone. All others train as they do outside.

    The block holds for the whole process, also for fits in other threads.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> import skmnist
    >>> X, y = load_iris(return_X_y=True)
    >>> network = skmnist.KerasMLPClassifier(1, 8, epochs=3, random_state=0)
    >>> search = GridSearchCV(network, {"learning_rate": [0.003, 0.01]}, cv=3)
    >>> with skmnist.lanes():
    ...     search = search.fit(X, y)
    >>> search.best_estimator_.n_lanes_
    8
    """
    if not isinstance(n, Integral) or n < 1:
        raise ValueError(f"n must be a positive integer, got {n!r}")
    with _opened(), joblib.parallel_config(backend="threading", n_jobs=int(n)):
        yield


@contextmanager
def _opened():
    """Let fits meet; if the block ends with an error, end those that wait."""
    global _meeting
    with _lock:
        before = _meeting
        meeting = _meeting = before or _Meeting()
    try:
        yield
    except BaseException:
        if before is None:
            meeting.cancel()
        raise
    finally:
        with _lock:
            _meeting = before


@contextmanager
def arriving():
    """Announce a fit that may take a seat, so that others wait for it."""
    before = getattr(_own, "visit", None)
    _own.visit = visit = _Visit(_meeting)
    try:
        yield
    finally:
        visit.settle()
        _own.visit = before


def in_lanes():
    """Return whether the fit of this thread began inside a block of `lanes`."""
    visit = getattr(_own, "visit", None)
    return visit is not None and visit.meeting is not None


def take_none():
    """Tell the others not to wait for the fit of this thread: it needs no lane."""
    visit = getattr(_own, "visit", None)
    if visit is not None:
        visit.settle()


@contextmanager
def seat(key, make_pack):
    """Give the fit of this thread a lane.

    Parameters
    ----------
    key : object
        Equal for fits that can share a program.
    make_pack : callable
        Returns a new `LanePack` for them.

    Yields
    ------
    seat : Seat
        The place of the fit. It is free for others afterwards.
    """
    visit = _own.visit
    taken = visit.meeting.take(key, make_pack)
    visit.settle()
    try:
        yield taken
    finally:
        visit.meeting.leave(taken)


class _Visit:
    """A fit, from its beginning until it has a seat or needs none."""

    def __init__(self, meeting):
        self.meeting = meeting
        self._expected = meeting is not None
        if self._expected:
            meeting.expect(1)

    def settle(self):
        """Tell the others not to wait for this one any more."""
        if self._expected:
            self._expected = False
            self.meeting.expect(-1)


class Seat:
    """The place of a fit: a lane of a pack.

    Attributes
    ----------
    pack : LanePack
        The pack.
    lane : int
        Its number.
    """

    def __init__(self, meeting, pack, lane):
        self.pack, self.lane = pack, lane
        self._meeting = meeting
        self.asks = self.runs = False
        self.error = self.result = None
        self.called = threading.Event()

    def train(self):
        """Train on the rows that lie in this lane, when all others have asked, too.

        Returns
        -------
        result : object
            From `LanePack.run`.
        """
        self._meeting.ask(self)
        self.called.wait()
        self.called.clear()
        if self.runs:
            self._meeting.run(self.pack)
            self.called.clear()
        if self.error is not None:
            raise self.error
        return self.result


class _Meeting:
    """The packs of a block of `lanes`, and who is expected."""

    def __init__(self):
        self._packs = {}
        self._n_expected = 0
        self._cancelled = False

    def expect(self, n):
        """Expect some fits more, or fewer."""
        with _lock:
            self._n_expected += n
            self._start_rounds()

    def take(self, key, make_pack):
        """Return a seat in the first pack that has a free lane, or in a new one."""
        with _lock:
            packs = self._packs.setdefault(key, [])
            pack = next((pack for pack in packs if pack.free), None)
            if pack is None:
                self._drop_empty_packs()
                pack = make_pack()
                self._packs.setdefault(key, []).append(pack)
            taken = Seat(self, pack, pack.free.pop(0))
            pack.seats.append(taken)
            return taken

    def leave(self, seat):
        """Free a seat."""
        with _lock:
            seat.pack.seats.remove(seat)
            seat.pack.free.append(seat.lane)
            seat.pack.free.sort()
            if seat.runs:  # interrupted before it ran
                seat.pack.is_running = False
            self._start_rounds()

    def ask(self, seat):
        """Ask for a round."""
        with _lock:
            if self._cancelled:
                raise RuntimeError(_GIVEN_UP)
            seat.asks, seat.error, seat.result = True, None, None
            self._start_rounds()

    def run(self, pack):
        """Train all lanes of a pack that have asked; called by one of them."""
        asking = [seat for seat in pack.seats if seat.asks]
        error = result = None
        try:
            result = pack.run([seat.lane for seat in asking])
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
                    seat.error, seat.result = error, result
                    seat.called.set()

    def cancel(self):
        """End the fits that wait, or will ask."""
        with _lock:
            self._cancelled = True
            for seat in self._all_seats():
                if seat.asks and not seat.pack.is_running:
                    seat.asks, seat.error = False, RuntimeError(_GIVEN_UP)
                    seat.called.set()

    def _all_packs(self):
        return [pack for packs in self._packs.values() for pack in packs]

    def _all_seats(self):
        return [seat for pack in self._all_packs() for seat in pack.seats]

    def _drop_empty_packs(self):
        """Free the memory of packs that nobody uses."""
        kept = {k: [p for p in packs if p.seats] for k, packs in self._packs.items()}
        self._packs = {key: packs for key, packs in kept.items() if packs}

    def _start_rounds(self):
        """Call somebody of each pack whose fits have all asked."""
        for pack in self._all_packs():
            waits = pack.is_running or (self._n_expected and pack.free)
            if pack.seats and not waits and all(s.asks for s in pack.seats):
                pack.is_running = pack.seats[0].runs = True
                pack.seats[0].called.set()


_GIVEN_UP = "the fit was given up, because the block of skmnist.lanes() has ended"
