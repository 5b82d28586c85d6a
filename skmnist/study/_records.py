"""The content of a study's files as records."""

# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

from .._format import visible
from ..stats._compare import ALPHA
from ._checks import (
    Count,
    Difference,
    Finite,
    Fraction,
    MisfitError,
    Parameter,
    Positive,
    Record,
    Rule,
    Said,
    Seconds,
    Threads,
)
from ._config import StudyConfig, judged_by
from ._judging import JUDGING_PART, Judging

if TYPE_CHECKING:
    from sklearn.utils import Bunch

# Version of the form of study.json. Raise it when older versions cannot read it.
SCHEMA = 1
_Schema = Annotated[
    int, Rule(f"a whole number from 1 to {SCHEMA}", lambda v: 1 <= v <= SCHEMA)
]
_CURVES = ("loss", "val_loss", "accuracy", "val_accuracy")


@dataclass(frozen=True)
class StudyData(Record):
    """Which data a study is about.

    Parameters
    ----------
    name : str
        Their name.
    note : str
        What a reader must know about them, for example that they replace others.
    fingerprint : str
        SHA-256 of the content.
    n_train, n_test : int
        Number of training rows and of test rows.
    n_features : int
        Number of columns.
    classes : list of str
        The names of the classes; empty in older studies.
    """

    name: str
    note: str
    fingerprint: str
    n_train: Positive
    n_test: Positive
    n_features: Positive
    classes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, data: "Bunch") -> Self:
        """Describe a data set.

        Parameters
        ----------
        data : Bunch
            A data set, from `skmnist.datasets.load_dataset`.

        Returns
        -------
        about : StudyData
            Its description.
        """
        return cls(
            name=data.name,
            note=data.note,
            fingerprint=data.fingerprint,
            n_train=data.train.stop,
            n_test=len(data.target) - data.train.stop,
            n_features=data.data.shape[1],
            classes=[visible(str(name)) for name in data.target_names],
        )


@dataclass(frozen=True, kw_only=True)
class StudyHeader(Record):
    """The content of ``study.json``: configuration, data, versions.

    Parameters
    ----------
    schema : int
        Version of the form of the file.
    config : StudyConfig
        What the study does.
    data : StudyData
        The data.
    stages : list of str
        Names of all its stages; empty in older studies.
    optimistic : bool
        Whether the test set judges the candidates.
    threads_per_fit : int
        Threads of each fit.
    versions : dict of str to str
        Versions of Python and of packages.
    candidate_epochs : int or None
        Most epochs of a candidate before the last stages, where the time budget leaves
        fewer than the rows need; else None.
    """

    schema: _Schema
    config: StudyConfig
    data: StudyData
    stages: list[str] = field(default_factory=list)
    optimistic: bool
    threads_per_fit: Threads
    versions: dict[str, str]
    candidate_epochs: Count | None = None

    @property
    def judging(self) -> Judging | None:
        """How candidates that race are judged; None where they do not race."""
        from .presets._presets import judging_of

        config, data = self.config, self.data
        return judging_of(config.preset, config.protocol, data.n_train, data.n_test)

    @property
    def n_judging(self) -> int:
        """Number of samples that judge each candidate."""
        if self.judging is not None:
            return self.judging.n_judging
        if self.config.protocol == "report":
            return self.data.n_test
        return math.ceil(self.data.n_train * JUDGING_PART)

    @property
    def judged_by(self) -> str:
        """Which samples judge the candidates: "held-out" or "test"."""
        return judged_by(self.config.protocol)


@dataclass(frozen=True)
class StudyStage(Record):
    """A stage that is done, as ``stages.json`` has it.

    Parameters
    ----------
    name : str
        Its name.
    rule : str
        The rule that chose, as it is written in code.
    reason : str
        Why it chose so, in one sentence.
    tried : list of str
        The parameters that it tried.
    best_params : dict
        All searched parameters after this stage.
    """

    name: str
    rule: str
    reason: str
    tried: list[str]
    best_params: dict[str, Parameter]

    @property
    def title(self) -> str:
        """Its heading in a report."""
        from .presets._presets import title_of

        return title_of(self.name)


@dataclass(frozen=True)
class FinalModel(Record):
    """How the final model was trained, and what it reached.

    Parameters
    ----------
    test_accuracy : float
        Accuracy on the test set.
    standard_error : float
        Standard error of the test accuracy.
    validation_accuracy : float or None
        Accuracy on the validation rows; None without validation.
    n_iter : int
        Epochs trained.
    best_iter : int
        The epoch whose weights are kept, counted from 1.
    stop_reason : str
        Why the training ended.
    n_parameters : int
        Number of weights.
    seconds : float
        Seconds of the fit.
    """

    test_accuracy: Fraction
    standard_error: Fraction
    validation_accuracy: Fraction | None
    n_iter: Count
    best_iter: Count
    stop_reason: str
    n_parameters: Count
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class BaselineFit(Record):
    """A classifier that nobody tuned, fitted once on all training data of a study.

    Parameters
    ----------
    name : str
        The classifier, as it is written in code.
    n_iter : int
        Epochs trained.
    seconds : float
        Seconds of the fit.
    misread : list of int
        The test rows that it classified wrongly, counted from 0.
    """

    name: str
    n_iter: Count
    seconds: Seconds
    misread: list[Count]


@dataclass(frozen=True)
class Baselines(Record):
    """The content of ``baselines.json``.

    Parameters
    ----------
    fits : list of BaselineFit
        The baselines that are fitted.
    """

    fits: list[BaselineFit]


@dataclass(frozen=True, kw_only=True)
class BaselineVerdict(Record):
    """Whether the final model is better than a classifier that nobody tuned.

    Parameters
    ----------
    name : str
        The classifier, as it is written in code.
    test_accuracy : float
        Its accuracy on the test set.
    n_iter : int
        Epochs trained.
    seconds : float
        Seconds of the fit.
    gain : float
        Test accuracy of the final model minus that of this classifier.
    gain_error : float
        Standard error of the gain.
    p_value : float
        Of the paired test on the test rows, adjusted after Holm.
    """

    name: str
    test_accuracy: Fraction
    n_iter: Count
    seconds: Seconds
    gain: Difference
    gain_error: Fraction
    p_value: Fraction

    @property
    def is_significant(self) -> bool:
        """Whether the two differ by more than chance."""
        return self.p_value < ALPHA


@dataclass(frozen=True, kw_only=True)
class StageFinding(Record):
    """What a stage was good for.

    Parameters
    ----------
    stage : str
        Name of the stage.
    gain : float or None
        Accuracy of the winner minus that of the candidate that the stage began with
        or, in a stage that began with none, of the best other candidate. None if there
        is nothing to compare with.
    p_value : float or None
        Adjusted p-value of this difference; None if it is not known, or if the winner
        is what the stage began with.
    made_difference : bool
        Whether the winner is better by more than chance.
    n_tied : int
        Number of other candidates that are tied with the winner.
    """

    stage: str
    gain: Difference | None
    p_value: Fraction | None
    made_difference: bool
    n_tied: Count


@dataclass(frozen=True, kw_only=True)
class StudyVerdict(Record):
    """What searching brought.

    Parameters
    ----------
    baselines : list of BaselineVerdict
        The final model against classifiers that nobody tuned.
    left_out : str
        Why baselines are missing, in a few words; empty if none is.
    stages : list of StageFinding
        What each stage was good for.
    """

    baselines: list[BaselineVerdict]
    left_out: str
    stages: list[StageFinding]


@dataclass(frozen=True, kw_only=True)
class StudySummary(Record):
    """The content of ``summary.json``: what a finished study found and cost.

    Parameters
    ----------
    data : StudyData
        The data.
    protocol : str
        What judged the candidates.
    best_params : dict
        The parameters that the last stage ended with.
    winners : dict of str to str
        Why each stage chose its winner, by the stage's name.
    final : FinalModel
        The final model.
    not_tried : list of str
        Stages for which there was no time.
    n_candidates : int
        Candidates of all stages.
    n_fits : int
        Fits, the final model included, baselines not.
    seconds : float
        Seconds that the last run of the study took.
    verdict : StudyVerdict or None
        What searching brought; None in a study from before this was kept.
    """

    data: StudyData
    protocol: str
    best_params: dict[str, Parameter]
    winners: dict[str, str]
    final: FinalModel
    not_tried: list[str] = field(default_factory=list)
    n_candidates: Count
    n_fits: Count
    seconds: Seconds
    verdict: StudyVerdict | None = None


def _is_moment(text):
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


Moment = Annotated[str, Rule("a time such as 2026-01-31T12:00:00+00:00", _is_moment)]


@dataclass(frozen=True)
class StudyTrial(Record):
    """A fit that is finished, as a line of ``trials.jsonl`` has it.

    Parameters
    ----------
    finished : str
        When the fit was finished, in ISO format with the time zone.
    stage : str
        Name of the stage.
    candidate : int
        Number of the candidate in the search, counted from 0.
    split : int
        Number of the split; in a race, of the replicate.
    first : int
        Number of the first candidate among those that run together.
    n_together : int
        Number of fits that run together.
    params : dict
        Parameters of the candidate.
    scores : dict of str to float or None
        Scores by their names; None for a score that is no number.
    fit_seconds, score_seconds : float
        Seconds that fitting and scoring took.
    error : str or None
        Last line of the error of a fit that failed.
    host : str or None
        Name of the machine.
    pid : int or None
        Process there.
    versions : dict of str to str
        Versions of Python and packages there.
    n_standing : int or None, default=None
        In a race, the number of candidates that stand.
    max_replicates : int or None, default=None
        In a race, the most replicates that choose; those with a number from here on
        only give the winner's score.
    """

    finished: Moment
    stage: str
    candidate: Count
    split: Count
    first: Count
    n_together: Count
    params: dict[str, Parameter]
    scores: dict[str, Finite | None]
    fit_seconds: Seconds
    score_seconds: Seconds
    error: str | None
    host: str | None
    pid: Count | None
    versions: dict[str, str]
    n_standing: Count | None = None
    max_replicates: Count | None = None

    @property
    def time(self) -> datetime:
        """When the fit was finished, in UTC."""
        return datetime.fromisoformat(self.finished).astimezone(UTC)


@dataclass(frozen=True, kw_only=True)
class FitCurve(Record):
    """The learning curve of a fit, as ``curves.json`` has it.

    Parameters
    ----------
    loss, val_loss, accuracy, val_accuracy : list of float or None
        Loss and accuracy on the training and the validation rows, a number for each
        epoch; None where it was not measured.
    best_iter : int
        The epoch whose weights are kept, counted from 1.
    stop_reason : str
        Why the training ended.
    """

    loss: list[float]
    val_loss: list[float] | None = None
    accuracy: list[float] | None = None
    val_accuracy: list[float] | None = None
    best_iter: Positive
    stop_reason: str

    @property
    def history(self) -> dict[str, list[float]]:
        """The curves that there are, by their names."""
        found = {name: getattr(self, name) for name in _CURVES}
        return {name: curve for name, curve in found.items() if curve is not None}

    def as_dict(self) -> dict[str, Any]:
        """Return the curve as plain data, as the file has it.

        Returns
        -------
        plain : dict
            Without the curves that were not measured.
        """
        missing = set(_CURVES) - set(self.history)
        return {n: v for n, v in asdict(self).items() if n not in missing}

    def _check_together(self, name: str) -> None:
        n_epochs = len(self.loss)
        for part, curve in self.history.items():
            if len(curve) != n_epochs:
                found = Said(f"of {len(curve)} epochs")
                raise MisfitError(f"{name}.{part}", found, f"{n_epochs}, as in loss")
        if self.best_iter > n_epochs:
            expected = f"an epoch from 1 to {n_epochs}"
            raise MisfitError(f"{name}.best_iter", self.best_iter, expected)


@dataclass(frozen=True)
class Curves(Record):
    """The content of ``curves.json``.

    Parameters
    ----------
    stages : dict of str to FitCurve
        The learning curve of each stage's winner by the stage's name.
    final : FitCurve or None
        The learning curve of the final model; None before there is one.
    """

    stages: dict[str, FitCurve]
    final: FitCurve | None

    @classmethod
    def empty(cls) -> Self:
        """Return the curves of a study without any."""
        return cls({}, None)

    def as_dict(self) -> dict[str, Any]:
        """Return the curves as plain data, as the file has them."""
        return {
            "stages": {name: curve.as_dict() for name, curve in self.stages.items()},
            "final": None if self.final is None else self.final.as_dict(),
        }
