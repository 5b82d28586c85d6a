"""What a study does: its configuration, and what judges its candidates."""

# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass

PROTOCOLS = ("holdout", "report")


# The part of the training data that judges candidates under "holdout": as many
# images as MNIST's test set has.
JUDGING_PART = 1 / 6


@dataclass(frozen=True)
class StudyConfig:
    """What a study does; equal configurations give equal studies.

    Parameters
    ----------
    dataset : str, default="auto"
        "mnist", "digits", "auto", or the path of an ``.npz`` file.
    data : str, default=None
        Folder with the MNIST files.
    preset : str, default="report"
        Which stages, a name in `PRESETS`.
    protocol : {"holdout", "report"}, default="holdout"
        What judges a candidate: a part of the training data that neither
        trained nor stopped it, or the test set, as the source report did, which
        makes the results optimistic.
    n_jobs : int, default=1
        Fits that run at once, on this machine.
    backend : {"loky", "dask"}, default="loky"
        Where they run: in processes of this machine, or on the workers of a Dask
        cluster, a fit on each.
    scheduler : str, default=None
        Address of the cluster's scheduler, as in ``"tcp://host:8786"``.
    time_budget : float, default=None
        Seconds after which no fit of the search starts.
    n_iter : int or dict of str to int, default=None
        Most candidates that are drawn from a stage's grid; a dict names stages.
    seed : int, default=0
        Seed of the folds, of every fit, and of candidates that are drawn.
    epochs : int, default=20
        Most epochs of a fit.
    """

    dataset: str = "auto"
    data: str | None = None
    preset: str = "report"
    protocol: str = "holdout"
    n_jobs: int = 1
    backend: str = "loky"
    scheduler: str | None = None
    time_budget: float | None = None
    n_iter: int | dict | None = None
    seed: int = 0
    epochs: int = 20


def judged_by(protocol):
    """Name the samples that judged the candidates."""
    return "test" if protocol == "report" else "held-out"


def n_judging(header):
    """Count the samples that judged each candidate of a study."""
    if header["config"]["protocol"] == "report":
        return header["data"]["n_test"]
    return math.ceil(header["data"]["n_train"] * JUDGING_PART)
