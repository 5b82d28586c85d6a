"""Write a search as runs of TensorBoard's HParams plugin."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import fields
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._compat import last_step
from .._format import visible
from .._io import user_path
from ..model_selection._results import written
from ..study._artifacts import read_evidence
from ..study._columns import NUMBERS
from ..study._storage import Study, read_study

if TYPE_CHECKING:
    from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

    from ..model_selection import StagedSearchCV

# The runs and names that Keras' own callback uses for learning curves.
_CURVES = {
    "train": {"loss": "epoch_loss", "accuracy": "epoch_accuracy"},
    "validation": {"val_loss": "epoch_loss", "val_accuracy": "epoch_accuracy"},
}

# Event files hold single precision.
_LARGEST = float(np.finfo(np.float32).max)


class LoggedRun(NamedTuple):
    """A candidate as TensorBoard shows it.

    Parameters
    ----------
    name : str
        The run's folder below the log's, such as ``"02-batch_size/03"``.
    params : dict
        Its parameters by their names, and its stage.
    scores : dict of str to float
        Scores and other measured values; NaN is left out.
    step : int
        Number of its stage, counted from 1.
    winner : bool
        Whether the stage chose it.
    """

    name: str
    params: dict[str, Any]
    scores: dict[str, float]
    step: int
    winner: bool


def log_search(
    search: "StagedSearchCV | GridSearchCV | RandomizedSearchCV",
    logdir: str | os.PathLike[str],
) -> list[LoggedRun]:
    """Write a fitted search's candidates as runs of the HParams plugin.

    Each candidate is a run with its parameters and mean scores. The run ``winners``
    has the scores of each stage's winner, with a step for each stage. If the best
    estimator has learning curves, they are in ``best/train`` and
    ``best/validation``, with the names that Keras' own callback uses. This needs
    TensorBoard: ``pip install "skmnist[tensorboard]"``.

    Parameters
    ----------
    search : StagedSearchCV, GridSearchCV or RandomizedSearchCV
        A fitted search, of any estimator.
    logdir : path-like
        Folder to write: new or empty. ``tensorboard --logdir`` shows it.

    Returns
    -------
    runs : list of LoggedRun
        The written runs.

    Raises
    ------
    FileExistsError
        If the folder is not empty.
    ImportError
        If TensorBoard is not installed.
    sklearn.exceptions.NotFittedError
        If the search is not fitted.

    See Also
    --------
    log_study : The same for the folder of a study.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skmnist import log_search
    >>> search = GridSearchCV(
    ...     DecisionTreeClassifier(random_state=0), {"max_depth": [1, 3]}
    ... ).fit(*load_iris(return_X_y=True))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     runs = log_search(search, folder)
    >>> runs[1].name, runs[1].params, round(runs[1].scores["score"], 2)
    ('candidates/02', {'max_depth': 3}, 0.96)
    """
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(search, "cv_results_")
    best = last_step(getattr(search, "best_estimator_", None))
    curves = getattr(best, "history_", None)
    runs = _runs_of_search(search)
    _write(logdir, runs, {"best": curves} if isinstance(curves, dict) else {})
    return runs


def log_study(
    folder: str | os.PathLike[str], logdir: str | os.PathLike[str]
) -> list[LoggedRun]:
    """Write a study's candidates as runs of the HParams plugin.

    As `log_search`, from the files of a study, finished or not. Each candidate has
    all its parameters and all measured columns. The run ``final`` is the final model,
    judged by the test set, with its learning curve. No network is built.

    Parameters
    ----------
    folder : path-like
        Folder of a study.
    logdir : path-like
        Folder to write: new or empty. ``tensorboard --logdir`` shows it.

    Returns
    -------
    runs : list of LoggedRun
        The written runs.

    Raises
    ------
    skmnist.study.StudyFolderError
        If there is no study in the folder, or a damaged one.
    FileExistsError
        If `logdir` is not empty.
    ImportError
        If TensorBoard is not installed.
    """
    study = read_study(folder)
    runs, curves = _runs_of_study(study), {}
    if study.summary is not None:
        final = study.summary.final
        numbers = {f.name: getattr(final, f.name) for f in fields(final)}
        scores = _finite({n: v for n, v in numbers.items() if not isinstance(v, str)})
        params = {"stage": "final", **study.summary.best_params}
        runs.append(LoggedRun("final", params, scores, len(study.stages) + 1, False))
        curve = read_evidence(folder).final_curve
        curves = {} if curve is None else {"final": curve.history}
    judges = study.header.judged_by
    titles = {column.name: column.heading(judges) for column in NUMBERS}
    _write(logdir, runs, curves, titles)
    return runs


def _runs_of_search(search):
    """List the rows of ``cv_results_``, stage by stage where there are stages."""
    table = search.cv_results_
    n_rows = len(table["params"])
    # A search of scikit-learn's is one stage, and has no name.
    names = table.get("stage", np.full(n_rows, ""))
    stages = list(dict.fromkeys(names))
    winners = {s.winner for s in getattr(search, "stages_", ())}
    winners = winners or {getattr(search, "best_index_", None)}
    columns = {
        re.sub("^mean_(test_)?", "", name): values
        for name, values in table.items()
        if name.startswith("mean_")
    }
    runs, counts = [], dict.fromkeys(stages, 0)
    for row, stage in enumerate(names):
        counts[stage] += 1
        step = stages.index(stage) + 1
        folder = _folder(step, stage) if stage else "candidates"
        runs.append(
            LoggedRun(
                f"{folder}/{counts[stage]:02d}",
                {**({"stage": str(stage)} if stage else {}), **table["params"][row]},
                _finite({name: values[row] for name, values in columns.items()}),
                step,
                row in winners,
            )
        )
    return runs


def _runs_of_study(study: Study) -> list[LoggedRun]:
    """List the candidates of a study, stage by stage."""
    runs = []
    for step, stage in enumerate(study.stages, 1):
        runs += [
            LoggedRun(
                f"{_folder(step, stage.name)}/{number:02d}",
                {"stage": row.stage, **row.params},
                _finite({column.name: column.of(row) for column in NUMBERS}),
                step,
                row.winner,
            )
            for number, row in enumerate(study.rows_of(stage), 1)
        ]
    return runs


def _folder(step, stage):
    return f"{step:02d}-{re.sub(r'[^A-Za-z0-9_.-]+', '_', str(stage))}"


def _finite(scores):
    """Return the numbers among scores that fit into single precision."""
    return {
        name: float(value)
        for name, value in scores.items()
        if value is not None and abs(value) <= _LARGEST
    }


def _write(logdir, runs, curves, titles=None):
    """Write the event files of runs, and curves by the name of their run."""
    logdir = user_path(logdir)
    _import_tensorboard()
    if logdir.exists() and (not logdir.is_dir() or any(logdir.iterdir())):
        raise FileExistsError(f"{logdir} is not empty; name a new folder for the log")
    # TensorBoard's own error for a folder that cannot be written is no OSError.
    logdir.mkdir(parents=True, exist_ok=True)
    columns = _plain_columns([run.params for run in runs])
    with _events(logdir) as add:
        add(_experiment(columns, runs, titles or {}))
    for run, params in zip(runs, columns, strict=True):
        with _events(logdir / run.name) as add:
            _add_session(add, run, params)
    with _events(logdir / "winners") as add:
        for run in runs:
            if run.winner:
                _add_scalars(add, run.scores, run.step)
    for name, history in curves.items():
        _write_curves(logdir / name, history)


def _write_curves(folder, history):
    """Write the learning curve of a fit as Keras' own callback does."""
    for part, tags in _CURVES.items():
        if not tags.keys() & history.keys():
            continue
        with _events(folder / part) as add:
            for curve, tag in tags.items():
                for epoch, value in enumerate(history.get(curve, ())):
                    _add_scalars(add, _finite({tag: value}), epoch)


def _import_tensorboard():
    try:
        import tensorboard.plugins.hparams.api  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'this needs TensorBoard: pip install "skmnist[tensorboard]"'
        ) from error


@contextlib.contextmanager
def _events(folder: Path) -> Iterator[Any]:
    """Open an event file, without changing TensorFlow's default writer or graph."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))

    def add(summary, step=0):
        # TensorFlow and TensorBoard each have a class for the same message.
        summary = Summary.FromString(summary.SerializeToString())
        writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))

    try:
        yield add
    finally:
        writer.close()


def _experiment(columns, runs, titles):
    """Return the message that lists all parameters and scores."""
    from tensorboard.plugins.hparams import api

    names = dict.fromkeys(name for params in columns for name in params)
    scores = dict.fromkeys(name for run in runs for name in run.scores)
    return api.hparams_config_pb(
        [
            api.HParam(name, _domain([p[name] for p in columns if name in p]))
            for name in names
        ],
        [api.Metric(name, display_name=titles.get(name)) for name in scores],
    )


def _domain(values):
    from tensorboard.plugins.hparams import api

    if isinstance(values[0], bool | str):
        return api.Discrete(sorted(set(values)))
    return api.RealInterval(float(min(values)), float(max(values)))


def _add_session(add, run, params):
    from tensorboard.plugins.hparams import api
    from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
    from tensorboard.plugins.hparams.summary import session_end_pb

    # With an id, two runs with the same parameters stay two rows.
    add(api.hparams_pb(params, trial_id=run.name))
    _add_scalars(add, run.scores, run.step)
    add(session_end_pb(STATUS_SUCCESS if run.scores else STATUS_FAILURE))


def _add_scalars(add, scores, step):
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb

    for name, value in scores.items():
        add(scalar_pb(name, value), step)


def _plain_columns(rows):
    """Convert parameters to what the plugin knows, one type for each of them."""
    names = dict.fromkeys(name for row in rows for name in row)
    convert = {n: _converter([row[n] for row in rows if n in row]) for n in names}
    return [{name: convert[name](value) for name, value in row.items()} for row in rows]


def _converter(values):
    if all(isinstance(v, bool | np.bool_) for v in values):
        return bool
    if all(_is_number(v) for v in values):
        return float
    return _text


def _is_number(value):
    is_number = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    return is_number and abs(value) <= _LARGEST


def _text(value):
    if isinstance(value, list | np.ndarray):
        value = tuple(value)
    return visible(value if isinstance(value, str) else written(value))
