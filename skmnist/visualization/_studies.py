"""Which study a display is asked to show: a `Study`, or the folder of one."""

# SPDX-License-Identifier: BSD-3-Clause

import os

from ..study._artifacts import Evidence, read_evidence
from ..study._storage import Study, read_study

StudyLike = Study | str | os.PathLike[str]


def as_study(study: StudyLike) -> Study:
    """Return a study; read it if its folder is given.

    Parameters
    ----------
    study : Study or path-like
        A study, or its folder.

    Returns
    -------
    study : Study
    """
    return study if isinstance(study, Study) else read_study(study)


def evidence_of(study: StudyLike) -> Evidence:
    """Read what a study's folder has besides its tables.

    Parameters
    ----------
    study : Study or path-like
        A study, or its folder.

    Returns
    -------
    evidence : Evidence

    Raises
    ------
    ValueError
        If the study has not been read from a folder.
    """
    folder = study.folder if isinstance(study, Study) else study
    if folder is None:
        raise ValueError(
            "this study was not read from a folder, so it has neither learning curves "
            "nor predictions; read it by skmnist.study.read_study"
        )
    return read_evidence(folder)
