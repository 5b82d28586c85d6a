"""A study: one staged search on one data set, and the folder that keeps it."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedShuffleSplit

from .._format import TOO_SHORT, visible
from .._versions import installed_versions
from ..datasets._registry import load_dataset
from ..model_selection._evaluation import Trial, versions
from ..model_selection._executors import ClusterError
from ..model_selection._results import RACE_REPLICATES, take_rows
from ..model_selection._scoring import record_scoring
from ..model_selection._search import StagedSearchCV
from ..model_selection._significance import table_verdict
from ..model_selection._stage import Stage, StageResult
from ..stats._compare import stage_verdict
from ..stats._standard_error import binomial_standard_error
from ._artifacts import (
    CURVES,
    PREDICTIONS,
    InspectedFit,
    fit_curve,
    inspect_fit,
    picture_shape,
    predict_test_set,
    write_predictions,
)
from ._baselines import NOT_WANTED, Fitted, fit_baselines, read_baselines
from ._budget import StudyClock, affordable_epochs, longest_won
from ._columns import (
    PARAMETERS,
    RECORDED,
    Candidate,
    is_failed,
    parameters_in_order,
    recorders,
)
from ._config import StudyConfig
from ._forms import keep_forms
from ._judging import JUDGING_PART, race_splits
from ._records import (
    SCHEMA,
    Curves,
    FinalModel,
    FitCurve,
    StudyData,
    StudyHeader,
    StudyStage,
    StudySummary,
)
from ._storage import (
    HEADER,
    ROWS,
    STAGES,
    SUMMARY,
    Study,
    check_same,
    claim_folder,
    hold_folder,
    plain,
    read_study,
    write_json,
    write_rows,
)
from ._trials import FILE as TRIALS, TrialFile
from ._verdict import judge_study
from .presets._full_study import scaled_up
from .presets._presets import base_params, final_params, stages_for

if TYPE_CHECKING:
    from sklearn.utils import Bunch

    from ..neural_network import KerasMLPClassifier

# Epochs of the trial that says what an epoch of the final network takes.
TRIAL_EPOCHS = 2

_PACKAGES = (
    "skmnist",
    "scikit-learn",
    "scikeras",
    "keras",
    "tensorflow",
    "numpy",
    "joblib",
)


def pin_threads(n_jobs: int, threads: int | None = None) -> int:
    """Set the number of threads of each fit, before TensorFlow starts.

    The last bits of every weight depend on the number of threads. So a study sets
    this number and records it. TensorFlow reads it once from the environment; it does
    not respect the limits that loky sets.

    Parameters
    ----------
    n_jobs : int
        Fits that run at once, as joblib counts them.
    threads : int, default=None
        Number of threads of a study that goes on; None shares the cores equally.

    Returns
    -------
    threads : int
        Number of threads of each fit. A number in the environment takes precedence.
    """
    share = max(1, (joblib.cpu_count() or 1) // joblib.effective_n_jobs(n_jobs))
    if "tensorflow" in sys.modules and "TF_NUM_INTRAOP_THREADS" not in os.environ:
        # Too late for this process, which uses all cores.
        share = joblib.cpu_count() if joblib.effective_n_jobs(n_jobs) == 1 else share
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads or share))
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    return int(os.environ["TF_NUM_INTRAOP_THREADS"])


@dataclass(frozen=True)
class _Listeners:
    """What a study calls as it goes on."""

    on_data: Callable[[StudyHeader], None] | None
    on_stage: Callable[[StudyStage, list[Candidate]], None] | None
    on_baseline: Callable[[str], None] | None
    callbacks: Sequence[Any]


def run_study(
    config: StudyConfig,
    out: str | os.PathLike[str],
    *,
    on_data: Callable[[StudyHeader], None] | None = None,
    on_stage: Callable[[StudyStage, list[Candidate]], None] | None = None,
    on_baseline: Callable[[str], None] | None = None,
    callbacks: Sequence[Any] = (),
) -> Study:
    """Run a study and write its folder.

    Parameters
    ----------
    config : StudyConfig
        What to do.
    out : path-like
        Folder to write. It is new or empty, or holds the same study, which then goes
        on where it was.
    on_data : callable, default=None
        ``on_data(header)``, called once the data are there, with a `StudyHeader`.
    on_stage : callable, default=None
        ``on_stage(stage, rows)``, called after each stage, with a `StudyStage` and
        its candidates.
    on_baseline : callable, default=None
        ``on_baseline(name)``, called before each fit of a classifier that nobody
        tuned: after the search, before the final network. They are fitted once, and
        kept in the folder.
    callbacks : sequence of scikit-learn callbacks, default=()
        Set on the search.

    Returns
    -------
    study : Study
        The finished study.

    Raises
    ------
    StudyFolderError
        If the folder holds something else, another study or a damaged one, or if
        another process runs the study now. Also if the folder is removed or renamed
        while the study runs.
    skmnist.datasets.DataError
        If the data are not what they should be.
    skmnist.model_selection._executors.ClusterError
        If no worker of the cluster answers, or if workers would give other results.
    TimeoutError
        If the time is over before the first stage is finished.

    Examples
    --------
    >>> from skmnist.study import StudyConfig, run_study
    >>> config = StudyConfig(dataset="digits", preset="quick", epochs=3)
    >>> study = run_study(config, "my-study")  # doctest: +SKIP
    >>> study.summary.final.test_accuracy  # doctest: +SKIP
    0.9083
    """
    started = time.perf_counter()
    out = claim_folder(out)
    going_on = (out / HEADER).exists()
    before = read_study(out).header if going_on else None
    kept = None if before is None else before.threads_per_fit
    # A worker of a cluster has one thread, and so has the final fit here.
    kept = kept or (1 if config.backend == "dask" else None)
    threads = pin_threads(config.n_jobs, kept)
    data = load_dataset(config.dataset, config.data, config.pixels, config.label)
    header = _header(config, data, threads)
    judging = header.judging
    clock = StudyClock(
        config.time_budget,
        started,
        more_rows=judging is not None and judging.samples,
        pictures=_n_pixels(data) > 0,
    )
    if before is not None:
        header = replace(header, candidate_epochs=before.candidate_epochs)
        check_same(out, header)
        # A damaged file is an error now, and not after hours.
        read_baselines(out, header.data.n_test)
    listeners = _Listeners(on_data, on_stage, on_baseline, callbacks)
    with hold_folder(out) as held:
        if before is None:
            with _short_trainings():
                header = replace(header, candidate_epochs=_shorter(header, data, clock))
            write_json(out / HEADER, header)
        if on_data is not None:
            on_data(header)
        with _workers(header), TrialFile(out / TRIALS) as trials, _short_trainings():
            study = _Runner(held, header, data, trials, listeners).run(clock)
        seconds = time.perf_counter() - started
        study = replace(study, summary=replace(study.summary, seconds=seconds))
        write_json(out / SUMMARY, study.summary)
    return study


@contextlib.contextmanager
def _short_trainings():
    """Let candidates train for few epochs in silence: a study compares such choices."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", TOO_SHORT, ConvergenceWarning)
        yield


def _shorter(header: StudyHeader, data: "Bunch", clock: StudyClock) -> int | None:
    """Return the epochs of a candidate if there is no time for more, else None."""
    if header.judging is None or clock.of_search is None:
        return None
    X, y = _judged(header, data)
    rows = _splits(header, data)[0][0]
    # The second fit has the program that the first one compiles.
    first, second = (
        clone(_classifier(header, None)).fit(X[rows], y[rows]) for _ in range(2)
    )
    wanted = second.epochs
    epochs = affordable_epochs(
        wanted,
        clock.of_search,
        _stages(header, data),
        second.fit_time_ / wanted,
        max(first.fit_time_ - second.fit_time_, 0.0),
    )
    return epochs if epochs < wanted else None


@contextlib.contextmanager
def _workers(header):
    """Open the place where the fits run."""
    if header.config.backend != "dask":
        yield
        return
    try:
        from ..model_selection._dask import open_cluster
    except ImportError as error:
        raise ClusterError(
            f"a Dask cluster needs the package distributed ({error}); install it with "
            "'pip install skmnist[dask]'"
        ) from error
    with open_cluster(
        header.config.scheduler,
        n_threads=header.threads_per_fit,
        expected=versions(),
    ):
        yield


class _Runner:
    """A study that runs: it searches, trains the final model and writes the files."""

    def __init__(self, held, header, data, trials, listeners):
        self.held, self.out = held, held.out
        self.header, self.data = header, data
        self.trials, self.listeners = trials, listeners
        # Fits that an earlier run has finished are taken from there.
        self.classifier = _classifier(header, memory=str(self.out.resolve()))
        # The parameters of a candidate that tries nothing.
        base = _base(header)
        columns = {column.name for column in PARAMETERS}
        self.params = {n: plain(v) for n, v in base.items() if n in columns}
        self.n_kept = len(read_study(self.out).rows)
        self.rows: list[Candidate] = []
        self.stages: list[StudyStage] = []
        self.curves: dict[str, FitCurve] = {}
        self.inspected: dict[int, InspectedFit | None] = {}
        self.n_fits = 0

    def run(self, clock: StudyClock) -> Study:
        """Run the stages and train the final model; the seconds are not set yet."""
        started = time.perf_counter()
        config, data = self.header.config, self.data
        search = _search(self.header, self.classifier, data)
        if config.races:
            search.set_params(time_budget=clock.of_search)
        search.set_params(on_stage_end=self._on_stage, on_trial_end=self._on_trial)
        if self.listeners.callbacks:
            search.set_callbacks(*self.listeners.callbacks)
        try:
            search.fit(*_judged(self.header, data))
        except TimeoutError as error:
            raise clock.too_short(error) from None
        self.held.check()
        # Before the final network, which then trains for all the time that is left.
        # A study whose candidates race keeps time for both.
        out_of_time = bool(search.not_tried_) and not config.races
        fitted = self._fit_baselines(started, out_of_time)
        best = {**search.best_params_, **final_params(config.preset)}
        if config.races:
            best |= self._full_recipe(search, clock)
        final = _final_model(self.classifier, best, data)
        keep_forms(final, data)
        final.save(self.out / "model.skmnist")
        write_json(self.out / CURVES, Curves(self.curves, fit_curve(final)))
        predictions = predict_test_set(final, data)
        write_predictions(self.out / PREDICTIONS, predictions)
        summary = _summary(search, final, data, self.header)
        summary = replace(summary, n_fits=self.n_fits + 1)
        study = Study(self.header, self.rows, self.stages, summary, self.out)
        verdict = judge_study(study, predictions.predicted == predictions.true, fitted)
        return replace(study, summary=replace(summary, verdict=verdict))

    def _fit_baselines(self, started: float, out_of_time: bool) -> Fitted:
        """Fit what nobody tuned, for the question what searching brought."""
        config, budget = self.header.config, self.header.config.time_budget
        if not config.baselines:
            return Fitted([], NOT_WANTED)

        def has_time():
            if budget is None:
                return True
            return not out_of_time and time.perf_counter() - started < budget

        return fit_baselines(
            self.out,
            self.data,
            seed=config.seed,
            n_threads=self.header.threads_per_fit,
            has_time=has_time,
            on_baseline=self.listeners.on_baseline,
        )

    def _full_recipe(self, search: StagedSearchCV, clock: StudyClock) -> dict[str, Any]:
        """Return what the final network has for training on all rows, and its time."""
        last, tried = search.stages_[-1], search.cv_results_["params"]
        best = {**self.classifier.get_params(), **search.best_params_}
        if self.header.candidate_epochs is not None:
            # Candidates trained for less only because time was short.
            wanted = _base(replace(self.header, candidate_epochs=None))
            part = self.header.candidate_epochs / wanted["epochs"]
            best["epochs"] = max(1, round(best["epochs"] / part))
        recipe = scaled_up(best, self.header.judging)
        if clock.seconds is None:
            return recipe
        each = self._seconds_of_epoch(search, {**search.best_params_, **recipe})
        # Where no stage has said how long to train, the time that is left says it.
        more = search.stages[-1].name in search.not_tried_ or longest_won(
            search.best_params_, [tried[row] for row in last.indices]
        )
        distorted = best["augmentation"] is not None
        recipe["epochs"] = clock.final_epochs(
            recipe["epochs"], each, more=more, distorted=distorted
        )
        return recipe

    def _seconds_of_epoch(self, search: StagedSearchCV, params: dict) -> float:
        """Return what an epoch of the final network takes."""
        judging, table, i = self.header.judging, search.cv_results_, search.best_index_
        if not judging.samples:
            each = table["mean_test_fit_seconds"][i] / table["mean_test_n_iter"][i]
            # One that holds rows out trains once more, on all of them.
            trainings = 2 if params.get("early_stopping") else 1
            return each * trainings * judging.n_rows / judging.n_train
        # On many more rows, with wider layers: no candidate tells how long it takes.
        # The first fit compiles what all of them use.
        X, y = self.data.data[self.data.train], self.data.target[self.data.train]
        for n_epochs in (1, TRIAL_EPOCHS):
            trial = clone(self.classifier)
            trial.set_params(**{**params, "epochs": n_epochs, "memory": None})
            trial.fit(X, y)
        return trial.fit_time_ / TRIAL_EPOCHS

    def _on_trial(self, trial: Trial) -> None:
        self.n_fits += 1
        if trial.split == 0:
            self.inspected[trial.candidate] = trial.inspected
        self.held.check()
        self.trials.add(trial)

    def _on_stage(self, result: StageResult, cv_results: dict[str, Any]) -> None:
        """Write a stage that is done."""
        self._know_parameters(cv_results["params"][i] for i in result.indices)
        new = stage_rows(result, cv_results, self.params, self.data.name)
        if result.race is None:
            inspected = [self.inspected[row] for row in result.indices]
            new = with_significance(new, inspected)
        else:
            new = with_race(new, result, cv_results, self.header.n_judging)
        self.stages.append(_stage(result))
        self.rows.extend(new)
        self.curves[result.name] = self.inspected[result.winner].curve
        # An earlier run may have come further: its files stay until then.
        if len(self.rows) >= self.n_kept:
            write_rows(self.out / ROWS, self.rows)
            write_json(self.out / STAGES, self.stages)
            write_json(self.out / CURVES, Curves(self.curves, None))
        if self.listeners.on_stage is not None:
            self.listeners.on_stage(self.stages[-1], new)

    def _know_parameters(self, candidates):
        """Add parameters that no stage has tried before to all candidates."""
        defaults = self.classifier.get_params()
        names = dict.fromkeys(name for params in candidates for name in params)
        new = {n: plain(defaults[n]) for n in names if n not in self.params}
        self.params |= new
        self.rows[:] = [
            replace(row, params=_in_order({**new, **row.params})) for row in self.rows
        ]


def stage_rows(
    result: StageResult,
    cv_results: dict[str, Any],
    base: dict[str, Any],
    dataset: str,
) -> list[Candidate]:
    """Return a stage's part of ``cv_results_`` as candidates.

    Parameters
    ----------
    result : StageResult
        The stage.
    cv_results : dict
        All rows so far.
    base : dict
        The parameters that each candidate has, with their values where the candidate
        does not try others.
    dataset : str
        Name of the data.

    Returns
    -------
    rows : list of Candidate
        Their standard errors are still missing, see `with_significance`.
    """
    # Not at import: who only reads a study needs no Keras.
    from ..neural_network._spec import settled

    rows = []
    for i in result.indices:
        measured = {column.name: column.recorded(cv_results, i) for column in RECORDED}
        rows.append(
            Candidate(
                dataset=visible(dataset),
                stage=result.name,
                params=_in_order(settled({**base, **cv_results["params"][i]})),
                gap=measured["validation_accuracy"] - measured["accuracy"],
                winner=i == result.winner,
                incumbent=i == result.incumbent,
                **measured,
            )
        )
    return rows


def with_significance(
    rows: list[Candidate], inspected: list[InspectedFit | None]
) -> list[Candidate]:
    """Add standard errors and p-values to the candidates of a stage.

    Parameters
    ----------
    rows : list of Candidate
        From `stage_rows`.
    inspected : list of InspectedFit or None
        What `inspect_fit` has found for each candidate; None for one that failed.

    Returns
    -------
    rows : list of Candidate
        With ``standard_error``, and with ``p_value`` and ``difference_error`` of the
        verdict on the stage, see `skmnist.stats.stage_verdict`.
    """
    winner = [row.winner for row in rows].index(True)
    n_test = len(inspected[winner].right)
    right = [None if one is None else one.right for one in inspected]
    accuracies = [row.accuracy for row in rows]
    verdict = stage_verdict(accuracies, winner, n_test=n_test, right=right)
    return [
        replace(
            row,
            standard_error=None if is_failed(row) else _error(row.accuracy, n_test),
            p_value=p_value,
            difference_error=error,
        )
        for row, p_value, error in zip(
            rows, verdict.adjusted, verdict.standard_errors, strict=True
        )
    ]


def with_race(
    rows: list[Candidate],
    result: StageResult,
    cv_results: dict[str, Any],
    n_judging: int,
) -> list[Candidate]:
    """Add what a race found to the candidates of its stage.

    Parameters
    ----------
    rows : list of Candidate
        From `stage_rows`.
    result : StageResult
        The stage, which raced.
    cv_results : dict
        All rows so far.
    n_judging : int
        Number of samples that judged.

    Returns
    -------
    rows : list of Candidate
        With how the race ended for each, its verdict on each, and standard errors.
    """
    table = take_rows(cv_results, result.indices, "accuracy")
    verdict = table_verdict(table, result.indices.index(result.winner))
    found = []
    for i, row in enumerate(rows):
        fresh = float(table["mean_fresh_accuracy"][i])
        found.append(
            replace(
                row,
                standard_error=(
                    None if is_failed(row) else _error(row.accuracy, n_judging)
                ),
                p_value=verdict.adjusted[i],
                difference_error=verdict.standard_errors[i],
                replicates=float(table[RACE_REPLICATES][i]),
                race=table["race_finish"][i],
                fresh_accuracy=fresh if np.isfinite(fresh) else None,
            )
        )
    return found


def _error(accuracy: float, n_test: int) -> float:
    return float(binomial_standard_error(accuracy, n_test))


def _base(header: StudyHeader) -> dict[str, Any]:
    """Return the parameters before the first stage."""
    epochs = header.candidate_epochs or header.config.epochs
    return base_params(header.config.preset, epochs, header.judging)


def _classifier(header: StudyHeader, memory: str | None) -> "KerasMLPClassifier":
    """Return the classifier before the first stage."""
    from ..neural_network._classifier import KerasMLPClassifier

    return KerasMLPClassifier(
        **_base(header), random_state=header.config.seed, memory=memory
    )


def _search(header: StudyHeader, classifier: Any, data: "Bunch") -> StagedSearchCV:
    config, judging = header.config, header.judging
    return StagedSearchCV(
        classifier,
        _stages(header, data),
        scoring={**record_scoring(), **recorders()},
        cv=_splits(header, data),
        # None lets small networks train side by side.
        n_jobs=None if config.n_jobs == 1 else config.n_jobs,
        # The final model trains on the training data of either protocol, which
        # are not the data of the search under "report".
        refit=False,
        race=None if judging is None else judging.race,
        inspect=inspect_fit,
        random_state=config.seed,
        time_budget=config.time_budget,
    )


def _judged(header: StudyHeader, data: "Bunch") -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the search, and their classes."""
    rows = data.train if header.config.protocol == "holdout" else slice(None)
    return data.data[rows], data.target[rows]


def _splits(header: StudyHeader, data: "Bunch") -> Any:
    """Return how the rows of the search are split."""
    config, judging = header.config, header.judging
    n_train, n_rows = data.train.stop, len(data.target)
    n_test = n_rows - n_train if config.protocol == "report" else None
    if judging is not None:
        return race_splits(judging, _judged(header, data)[1], config.seed, n_test)
    if n_test is not None:
        return [(np.arange(n_train), np.arange(n_train, n_rows))]
    return StratifiedShuffleSplit(1, test_size=JUDGING_PART, random_state=config.seed)


def _stages(header: StudyHeader, data: "Bunch") -> list[Stage]:
    config = header.config
    return stages_for(config.preset, _n_pixels(data), config.n_iter, header.judging)


def _n_pixels(data: "Bunch") -> int:
    """Return the number of pixels of a row; 0 if the rows are no pictures."""
    return data.data.shape[1] if picture_shape(data) else 0


def _final_model(classifier, best_params, data):
    final = clone(classifier).set_params(**best_params)
    return final.fit(data.data[data.train], data.target[data.train])


def _header(config: StudyConfig, data: "Bunch", threads: int) -> StudyHeader:
    stages = stages_for(config.preset, _n_pixels(data), config.n_iter)
    return StudyHeader(
        schema=SCHEMA,
        config=config,
        data=StudyData.of(data),
        stages=[stage.name for stage in stages],
        optimistic=config.protocol == "report",
        threads_per_fit=threads,
        versions=installed_versions(_PACKAGES),
    )


def _stage(result: StageResult) -> StudyStage:
    return StudyStage(
        name=result.name,
        rule=result.rule,
        reason=result.reason,
        tried=parameters_in_order(result.params),
        best_params={name: plain(v) for name, v in result.best_params.items()},
    )


def _summary(
    search: StagedSearchCV,
    final: "KerasMLPClassifier",
    data: "Bunch",
    header: StudyHeader,
) -> StudySummary:
    X, y = data.data[data.test], data.target[data.test]
    accuracy = final.score(X, y)
    n_candidates = len(search.cv_results_["params"])
    return StudySummary(
        data=header.data,
        protocol=header.config.protocol,
        best_params={name: plain(v) for name, v in search.best_params_.items()},
        winners={stage.name: stage.reason for stage in search.stages_},
        final=FinalModel(
            test_accuracy=accuracy,
            standard_error=float(binomial_standard_error(accuracy, len(y))),
            validation_accuracy=final.best_validation_score_,
            n_iter=final.n_iter_,
            best_iter=final.best_iter_,
            stop_reason=final.stop_reason_,
            n_parameters=final.n_parameters_,
            seconds=final.fit_time_,
        ),
        not_tried=list(search.not_tried_),
        n_candidates=n_candidates,
        n_fits=n_candidates * search.n_splits_ + 1,
        seconds=0.0,
    )


def _in_order(params):
    """Return parameters as plain data, in the order of the columns."""
    return {name: plain(params[name]) for name in parameters_in_order(params)}
