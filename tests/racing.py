"""A cheap classifier for searches whose candidates race, and its data."""

import json
import os
import signal
from pathlib import Path

import joblib
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from skmnist import Race, Stage, StagedSearchCV


def make_stub():
    """Return a class that is sent to other processes: they cannot import the tests."""

    class Stub(ClassifierMixin, BaseEstimator):
        """Reads the classes in the first column, with errors; keeps its fits."""

        keeps_fits = True

        def __init__(
            self, quality=0, width=1, epochs=8, random_state=None, memory=None
        ):
            self.quality = quality
            self.epochs = epochs
            self.width = width
            self.random_state = random_state
            self.memory = memory

        def fit(self, X, y):
            if self.quality == "bad":
                raise RuntimeError("quality is bad")
            self.classes_ = np.unique(y)
            self.n_parameters_ = self.width
            self.n_iter_ = self.epochs
            self.seed_ = int(self._kept(X))
            return self

        def _kept(self, X):
            """Return the result of a fit, from `memory` if it has been made before."""
            if self.memory is None:
                return self.random_state or 0
            given = self.quality, self.width, self.epochs, self.random_state
            key = joblib.hash([given, X])
            path = Path(self.memory, key)
            if not path.exists():
                if len(os.listdir(self.memory)) == int(os.environ.get("KILL_AT", -1)):
                    os.kill(os.getpid(), signal.SIGKILL)
                path.write_text(str(self.random_state))
            return path.read_text()

        def predict(self, X):
            luck = np.random.default_rng([self.seed_, self.width]).standard_normal
            level = 1 + self.quality + 2 * X[:, 1] + luck(len(X)) > 0
            return np.where(level, X[:, 0], 1 - X[:, 0]).astype(int)

    return Stub


def make_data(n_rows=600):
    """Return rows with their class, and how hard each is."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=n_rows)
    return np.column_stack([y, rng.standard_normal(n_rows)]), y


X, Y = make_data()
Stub = make_stub()
ONE_SPLIT = [(np.arange(200), np.arange(200, 600))]
QUALITIES = {"quality": [0, 0.1, 4, 0.2]}


def search(stages=None, estimator=None, race=Race(), **options):  # noqa: B008
    stages = stages or [Stage("quality", QUALITIES)]
    options = {"random_state": 0, "cv": 5, "refit": False, **options}
    return StagedSearchCV(estimator or Stub(), stages, race=race, **options)


def two_stages(**options):
    """Return a search that grows, in which some leave, at a rung too, or are tied."""
    rungs = Race(rungs=[0.5])
    stages = [
        Stage("q", {"quality": [0, 1]}, grow="quality", max_grow=2, race=rungs),
        Stage("w", {"width": [2, 1]}),
    ]
    return search(stages, **options)


def results_of(fitted):
    """Return the table and the reasons of a search as text, without the times."""
    table = {
        name: np.asarray(values, dtype=object).tolist()
        for name, values in fitted.cv_results_.items()
        if "time" not in name
    }
    reasons = [stage.reason for stage in fitted.stages_]
    return json.dumps([table, reasons, fitted.best_score_], default=str)
