"""What a study does: its configuration, and what judges its candidates."""

# SPDX-License-Identifier: BSD-3-Clause

import os
from dataclasses import dataclass
from typing import Any, Literal, Self

from ._checks import (
    Budget,
    Jobs,
    MisfitError,
    Positive,
    Record,
    Seed,
    checked,
    types_of,
)

# The most epochs of a fit where candidates do not race.
EPOCHS = 20


class ConfigError(ValueError):
    """A parameter of a study has a value that is not allowed.

    Parameters
    ----------
    name : str
        The parameter.
    found : str
        Its value, as it is written in code.
    expected : str
        What it must be, in words.
    """

    def __init__(self, name: str, found: str, expected: str) -> None:
        super().__init__(f"{name} must be {expected}; got {found}")
        self.name = name


@dataclass(frozen=True)
class StudyConfig(Record):
    """What a study does; equal configurations give equal studies.

    Parameters
    ----------
    dataset : str or path-like, default="auto"
        What `skmnist.datasets.load_dataset` takes: a name such as "mnist", the path of
        a file or folder, or "openml:NAME".
    data : str or path-like, default=None
        Folder with the files of a data set that has a name. No other place is searched
        then.
    pixels : str, default="auto"
        The scale of the pixels of your own pictures: "auto", "keep", or the values of
        paper and of full ink, as in ``"0..255"``.
    label : str, default=None
        The column of the labels in a table.
    preset : str, default="full"
        Which stages to run, a name in `PRESETS`.
    protocol : {"holdout", "report"}, default="holdout"
        What judges a candidate. "holdout" is a part of the training data that the
        candidate neither trained nor stopped with. "report" is the test set, as in
        the source report; it makes the results optimistic.
    n_jobs : int, default=1
        Fits that run at once, on this machine; -1 for one on each core. With 1, small
        networks train side by side all the same, see `lanes`.
    backend : {"loky", "dask"}, default="loky"
        Where the fits run: in processes of this machine, or on the workers of a
        Dask cluster, one fit on each.
    scheduler : str, default=None
        Address of the cluster's scheduler, as in ``"tcp://host:8786"``.
    time_budget : float, default=None
        Seconds after which no fit of the search starts. If the candidates race, seconds
        for the whole study: the stages share them, and a part is kept for the final
        network.
    n_iter : int or dict of str to int, default=None
        Draw at most so many candidates from each stage's grid; a dict gives numbers
        for some stages by their names.
    seed : int, default=0
        Seed of the folds, of every fit, and of drawn candidates; from 0 to
        2**32 - 1.
    epochs : int, default=None
        Largest number of epochs of a fit; with the preset "full", before its last
        stage. None means 20, and with that preset as many as the rows need.
    baselines : bool, default=True
        Whether to fit `KerasMLPClassifier()` and scikit-learn's `MLPClassifier()` once
        after the search, to say what searching brought. On MNIST this takes about a
        minute.

    Raises
    ------
    ValueError
        If a parameter has another type, is out of its range, or names a preset or a
        stage that does not exist.

    Examples
    --------
    >>> from skmnist.study import StudyConfig
    >>> StudyConfig(protocol="hold-out")
    Traceback (most recent call last):
        ...
    skmnist.study._config.ConfigError: protocol must be one of 'holdout', 'report'; \
got 'hold-out'
    """

    dataset: str = "auto"
    data: str | None = None
    pixels: str = "auto"
    label: str | None = None
    preset: str = "full"
    protocol: Literal["holdout", "report"] = "holdout"
    n_jobs: Jobs = 1
    backend: Literal["loky", "dask"] = "loky"
    scheduler: str | None = None
    time_budget: Budget | None = None
    n_iter: Positive | dict[str, Positive] | None = None
    seed: Seed = 0
    epochs: Positive | None = None
    baselines: bool = True

    def __post_init__(self) -> None:
        for name, kind in types_of(StudyConfig).items():
            value = getattr(self, name)
            if name in ("dataset", "data") and isinstance(value, os.PathLike):
                value = os.fspath(value)
            try:
                value = checked(kind, value, name)
            except MisfitError as error:
                raise ConfigError(error.name, error.found, error.expected) from None
            object.__setattr__(self, name, value)
        self._check_names()
        if self.epochs is None and not self.races:
            object.__setattr__(self, "epochs", EPOCHS)

    @property
    def races(self) -> bool:
        """Whether the candidates of the preset race."""
        from .presets._presets import RACING

        return self.preset in RACING

    def _check_names(self) -> None:
        """Raise ConfigError for values that do not fit the other parameters."""
        from .presets._presets import PRESETS

        if self.preset not in PRESETS:
            known = f"one of {', '.join(map(repr, PRESETS))}"
            raise ConfigError("preset", repr(self.preset), known)
        if self.scheduler is not None and self.backend != "dask":
            raise ConfigError(
                "scheduler", repr(self.scheduler), "None unless backend is 'dask'"
            )
        if isinstance(self.n_iter, dict):
            stages = [stage.name for stage in PRESETS[self.preset]()]
            for name in self.n_iter.keys() - set(stages):
                known = f"by stages of the preset, {', '.join(map(repr, stages))}"
                raise ConfigError("n_iter", repr(name), known)

    @classmethod
    def _recorded(cls, values: dict[str, Any]) -> Self:
        """Make the configuration that a study recorded.

        Its preset may be one that another script has added to `PRESETS`.
        """
        config = object.__new__(cls)
        for name in types_of(cls):
            default = cls.__dataclass_fields__[name].default
            object.__setattr__(config, name, values.get(name, default))
        return config


def judged_by(protocol: str) -> str:
    """Return which samples judge the candidates: "held-out" or "test"."""
    return "test" if protocol == "report" else "held-out"
