"""Classifiers that nobody tuned, for the question what searching brought."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from .._format import visible
from .._io import user_path
from ._checks import MisfitError
from ._records import BaselineFit, Baselines
from ._storage import naming, read_file, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from sklearn.base import ClassifierMixin
    from sklearn.utils import Bunch

FILE = "baselines.json"
# Why baselines are missing, after a colon.
NOT_WANTED = "the study was told to fit no baselines"
NO_TIME = "the time budget was spent before all baselines were fitted"


def _ours(seed: int) -> "ClassifierMixin":
    from ..neural_network._classifier import KerasMLPClassifier

    return KerasMLPClassifier(random_state=seed)


def _theirs(seed: int) -> "ClassifierMixin":
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(random_state=seed)


# Each gets a seed, and nothing else: these are the classifiers as they come.
BASELINES: dict[str, Callable[[int], "ClassifierMixin"]] = {
    "KerasMLPClassifier()": _ours,
    "MLPClassifier()": _theirs,
}


class Fitted(NamedTuple):
    """The baselines of a study, as far as they are there.

    Attributes
    ----------
    fits : list of BaselineFit
        Those that are fitted.
    left_out : str
        Why some are missing, in a few words; empty if none is.
    """

    fits: list[BaselineFit]
    left_out: str


def fit_baselines(
    out: "Path",
    data: "Bunch",
    *,
    seed: int,
    n_threads: int,
    has_time: Callable[[], bool],
    on_baseline: Callable[[str], object] | None = None,
) -> Fitted:
    """Fit the baselines of a study that are not in its folder yet.

    Each one is kept as soon as it is fitted.

    Parameters
    ----------
    out : pathlib.Path
        The study's folder.
    data : Bunch
        Its data.
    seed : int
        Seed of each fit.
    n_threads : int
        Most threads of a fit.
    has_time : callable
        ``has_time()`` returns whether another fit may start.
    on_baseline : callable, default=None
        ``on_baseline(name)``, called before each fit.

    Returns
    -------
    fitted : Fitted
        A classifier that cannot take the data is left out.
    """
    n_test = len(data.target) - data.train.stop
    known = {fit.name: fit for fit in read_baselines(out, n_test)}
    left_out = ""
    for name, make in BASELINES.items():
        if name in known:
            continue
        if not has_time():
            left_out = NO_TIME
            break
        if on_baseline is not None:
            on_baseline(name)
        try:
            known[name] = _fit(name, make(seed), data, n_threads)
        # A search of hours must not be lost because another classifier fails.
        except Exception as error:
            left_out = visible(f"{name} could not be fitted ({_first_line(error)})")
            continue
        write_json(out / FILE, Baselines(list(known.values())))
    return Fitted([known[name] for name in BASELINES if name in known], left_out)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _fit(
    name: str, classifier: "ClassifierMixin", data: "Bunch", n_threads: int
) -> BaselineFit:
    X, y = data.data[data.train], data.target[data.train]
    model: Any = classifier
    if needs_scaling(name, X):
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(StandardScaler(), classifier)
    started = time.perf_counter()
    with _unconverged(), threadpool_limits(limits=n_threads):
        model.fit(X, y)
        seconds = time.perf_counter() - started
        wrong = model.predict(data.data[data.test]) != data.target[data.test]
    return BaselineFit(
        name=name,
        n_iter=int(getattr(classifier, "n_iter_", 0)),
        seconds=seconds,
        misread=np.flatnonzero(wrong).tolist(),
    )


def needs_scaling(name: str, X: NDArray[Any]) -> bool:
    """Return whether a baseline must stand behind a `StandardScaler`.

    `KerasMLPClassifier` scales by itself. `MLPClassifier` does not, and its
    documentation asks for scaled columns; pixels from 0 to 1 are.
    """
    return "Keras" not in name and not (X.min() >= 0 and X.max() <= 1)


@contextlib.contextmanager
def _unconverged():
    """Take a classifier as it comes, also where it would train for longer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def read_baselines(folder: str | os.PathLike[str], n_test: int) -> list[BaselineFit]:
    """Read the baselines of a study.

    Parameters
    ----------
    folder : path-like
        Its folder.
    n_test : int
        Number of its test rows.

    Returns
    -------
    fits : list of BaselineFit
        Those that are fitted.

    Raises
    ------
    StudyFolderError
        If the file is damaged.
    """
    path = user_path(folder) / FILE
    found = read_file(path, Baselines)
    fits = [] if found is None else found.fits
    with naming(path):
        for i, fit in enumerate(fits):
            if fit.misread and not _are_rows(fit.misread, n_test):
                where, expected = f"fits[{i}].misread", f"rising, below {n_test}"
                raise MisfitError(where, fit.misread, expected)
    return fits


def _are_rows(numbers: list[int], n_rows: int) -> bool:
    rising = all(a < b for a, b in zip(numbers, numbers[1:], strict=False))
    return rising and numbers[-1] < n_rows


def right_rows(fit: BaselineFit, n_test: int) -> NDArray[np.bool_]:
    """Return whether a baseline classified each test row correctly.

    Parameters
    ----------
    fit : BaselineFit
        The baseline.
    n_test : int
        Number of test rows.

    Returns
    -------
    right : ndarray of bool of shape (n_test,)
    """
    right = np.ones(n_test, dtype=bool)
    right[fit.misread] = False
    return right
