"""What all benchmarks share: fresh processes, medians, targets, the environment."""

# SPDX-License-Identifier: BSD-3-Clause

import logging
import multiprocessing
import os
import platform
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "skmnist",
    "scikit-learn",
    "keras",
    "tensorflow",
    "scikeras",
    "skorch",
    "torch",
    "numpy",
    "joblib",
)

# Whatever limits the threads of a library used here.
THREAD_VARIABLES = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)


@dataclass(frozen=True)
class Options:
    """How thorough a run is.

    Parameters
    ----------
    quick : bool, default=False
        Whether to try the machinery only, on next to no data.
    sample : int or None, default=None
        Candidates of the study that plain scikeras is timed on; None for all.
    """

    quick: bool = False
    sample: int | None = None


class Worker:
    """A fresh process that answers calls until it is closed.

    A function that calls `pause` can be run piece by piece: so the epochs of several
    fits take turns, each in its own process.

    Nothing that an earlier measurement compiled, cached or left in memory is in
    it, and its environment holds from its first import on: TensorFlow and the
    BLAS libraries read their number of threads only once.

    Parameters
    ----------
    environment : dict of str to str, default=None
        Variables to set before anything is imported.
    """

    def __init__(self, environment=None):
        context = multiprocessing.get_context("spawn")
        self._go, self._stopped = context.Semaphore(0), context.Semaphore(0)
        self._running = None
        self._pool = ProcessPoolExecutor(
            1,
            mp_context=context,
            initializer=_begin,
            initargs=(environment or {}, self._go, self._stopped),
        )

    def __call__(self, function, *args):
        """Return what a module's function returns for these arguments there."""
        return self._pool.submit(function, *args).result()

    def start(self, function, *args):
        """Let a function run to its first `pause`."""
        self._running = self._pool.submit(function, *args)
        self._wait()

    def resume(self):
        """Let it run on to the next `pause` or its end; tell whether it is there."""
        self._go.release()
        self._wait()
        return not self._running.done()

    def _wait(self):
        while not self._stopped.acquire(timeout=0.05):
            if self._running.done():
                return

    def result(self):
        """Return what it returned."""
        return self._running.result()

    def close(self):
        """End the process."""
        self._pool.shutdown()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# The semaphores of a worker's process; nothing in others.
_TURNS = []


def _begin(variables, go, stopped):
    os.environ.update(variables)
    # Keras' networks of many shapes in one process make TensorFlow warn of each.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    _TURNS[:] = go, stopped


def pause():
    """Wait, in a worker's process, until it is resumed."""
    go, stopped = _TURNS
    stopped.release()
    go.acquire()


def side_by_side(calls):
    """Run functions that call `pause`, each in a fresh process, in turns.

    Whatever else slows the machine down meanwhile then meets all of them.

    Parameters
    ----------
    calls : dict of str to tuple
        A module's function and its arguments, by name.

    Returns
    -------
    results : dict of str to object
        What each returned, by name.
    """
    with ExitStack() as stack:
        workers = {name: stack.enter_context(Worker()) for name in calls}
        for name, call in calls.items():
            workers[name].start(*call)
        running = list(calls)
        while running:
            running = [name for name in running if workers[name].resume()][::-1]
        return {name: worker.result() for name, worker in workers.items()}


def in_turns(names, n_rounds):
    """Yield (round, name), every other round in reverse.

    So a machine that becomes slower or faster meanwhile favours nobody.
    """
    names = list(names)
    for turn in range(n_rounds):
        yield from ((turn, name) for name in (names[::-1] if turn % 2 else names))


def quartiles(values):
    """Return the lower quartile, the median and the upper quartile."""
    values = list(values)
    if len(values) == 1:
        return (values[0],) * 3
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


def compare(case, peer, ours, theirs, *, bound=False):
    """Compare seconds, or anything of which less is better.

    Parameters
    ----------
    case, peer : str
        What was done, and who else did it.
    ours, theirs : dict of key to float
        The medians by round, or the sums by group. The ratio is the median over
        the common keys, because those were measured at nearly the same time.
    bound : bool, default=False
        Whether the peer is a lower bound of the work and no classifier.

    Returns
    -------
    comparison : dict
        A ratio above 1 means that ours is faster.
    """
    common = sorted(ours.keys() & theirs.keys())
    low, ratio, high = quartiles(theirs[key] / ours[key] for key in common)
    return {
        "case": case,
        "peer": peer,
        "ours": statistics.median(ours.values()),
        "theirs": statistics.median(theirs.values()),
        "ratio": ratio,
        "ratio_quartiles": [low, high],
        "n": len(common),
        "bound": bound,
    }


def target(text, value, *, least=None, most=None, unit="x", digits=2):
    """Set a measured value against the limit asked for.

    Parameters
    ----------
    text : str
        What was asked for.
    value : float or None
        What was measured; None where nothing was.
    least, most : float, default=None
        The limit, one of the two.
    unit : str, default="x"
        Follows both numbers.
    digits : int, default=2
        Decimal places of the measured one.

    Returns
    -------
    target : dict
        With ``met`` None where nothing was measured.
    """
    word, limit = ("at least", least) if least is not None else ("at most", most)
    if value is None:
        met, measured = None, "not measured"
    else:
        met = bool(value >= least if least is not None else value <= most)
        measured = f"{value:.{digits}f}{_spaced(unit)}"
    limit = f"{word} {limit:g}{_spaced(unit)}"
    return {"text": text, "limit": limit, "measured": measured, "met": met}


def _spaced(unit):
    return unit if unit in ("x", "%", "") else f" {unit}"


def table(caption, columns, rows):
    """Return a table as the result files keep it: a caption and cells of text."""
    return {"caption": caption, "columns": list(columns), "rows": [*map(list, rows)]}


def spread(values, scale=1.0, digits=2):
    """Write a median with its quartiles, as "1.20 (1.10-1.31)"."""
    values = list(values)
    low, middle, high = (f"{scale * value:.{digits}f}" for value in quartiles(values))
    return f"{middle} ({low}-{high})" if len(values) > 1 else middle


def environment():
    """Describe what a measurement ran on: versions, processor, threads.

    Returns
    -------
    environment : dict
    """
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "cpu": _cpu(),
        "cores": usable_cores(),
        "threads": {n: os.environ[n] for n in THREAD_VARIABLES if n in os.environ},
    }


def usable_cores():
    """Return the number of cores this process may use, as joblib counts them."""
    import joblib

    return joblib.cpu_count()


def load():
    """Return the load of the last minute: what else kept the machine busy."""
    return round(os.getloadavg()[0], 2)


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu():
    try:
        with open("/proc/cpuinfo") as file:
            names = [line for line in file if line.startswith("model name")]
        return names[0].partition(":")[2].strip()
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def say(text):
    """Tell the terminal how far a run is, apart from the tables."""
    print(text, file=sys.stderr, flush=True)
