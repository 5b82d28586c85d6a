"""The displays of a search: the scores of a stage, the gaps of all candidates."""

# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from .._format import candidate_names, visible
from ..model_selection._results import (
    ROUNDING,
    VALIDATION_COLUMNS,
    gaps,
    mean_scores,
    split_scores,
    take_rows,
)
from ..model_selection._significance import metric_of
from ..study._records import StudyStage
from ..study._uncertainty import standard_error
from ._matplotlib import BLUE, GREY, VERMILION, axes_of, legend_above
from ._studies import StudyLike, as_study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

    from ..model_selection import StagedSearchCV

    Search = StagedSearchCV | GridSearchCV | RandomizedSearchCV


class StageScoresDisplay:
    """Scores of a stage's candidates with their standard errors.

    Parameters
    ----------
    candidates : list of str of length n_candidates
        A name for each candidate.
    scores : array-like of float of shape (n_candidates,)
        Mean test scores.
    standard_errors : array-like of float of shape (n_candidates,)
        Standard errors of these scores; NaN where there is none.
    winner : int
        Position of the chosen candidate.
    parameter : str, default=""
        The only parameter that differs among the candidates, if there is only one.
        The names are then its values.
    incumbent : int, default=None
        Position of the candidate that the stage started from; None if it did not
        take part.
    name : str, default=""
        Name of the stage.
    metric : str, default="score"
        Name of the scores.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes with the drawing; there after `plot`.
    figure_ : matplotlib.figure.Figure
        The figure of these axes; there after `plot`.

    Notes
    -----
    With `k` splits the standard error is ``std(ddof=1) / sqrt(k)``. With one split it
    is ``sqrt(p * (1 - p) / n_test)``, which needs the column ``n_test`` of
    `record_scoring`. It says how far the score may be off because there are only so
    many test samples. It does not include what another seed would change.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skmnist import Stage, StagedSearchCV, StageScoresDisplay
    >>> search = StagedSearchCV(
    ...     DecisionTreeClassifier(random_state=0),
    ...     [Stage("depth", {"max_depth": [1, 2, 3]})])
    >>> search = search.fit(*load_iris(return_X_y=True))
    >>> StageScoresDisplay.from_search(search, "depth").frame()["candidate"].tolist()
    ['1', '2', '3']
    """

    ax_: "Axes"
    figure_: "Figure"

    def __init__(  # noqa: PLR0913
        self,
        *,
        candidates: Sequence[str],
        scores: ArrayLike,
        standard_errors: ArrayLike,
        winner: int,
        parameter: str = "",
        incumbent: int | None = None,
        name: str = "",
        metric: str = "score",
    ) -> None:
        self.candidates = candidates
        self.scores = scores
        self.standard_errors = standard_errors
        self.winner = winner
        self.parameter = parameter
        self.incumbent = incumbent
        self.name = name
        self.metric = metric

    @classmethod
    def from_search(cls, search: "Search", stage: str | None = None) -> Self:
        """Make a display of a stage of a fitted search.

        Parameters
        ----------
        search : StagedSearchCV, or another search of scikit-learn
            A fitted one. A search without stages is taken as a single stage.
        stage : str, default=None
            Name of a stage; None for the last one.

        Returns
        -------
        display : StageScoresDisplay
            Not drawn yet.
        """
        check_is_fitted(search, "cv_results_")
        rows, winner, incumbent, name, tried = _stage_of(search, stage)
        metric = metric_of(search)
        table = take_rows(search.cv_results_, rows, metric)
        defaults = search.estimator.get_params()
        names, parameter = candidate_names(
            [{n: {**defaults, **p}[n] for n in tried} for p in table["params"]]
        )
        return cls(
            candidates=names,
            parameter=parameter,
            scores=mean_scores(table),
            standard_errors=_standard_errors(table),
            winner=rows.index(winner),
            incumbent=None if incumbent is None else rows.index(incumbent),
            name=name,
            metric=metric,
        )

    @classmethod
    def from_study(
        cls, study: StudyLike, stage: StudyStage | str | None = None
    ) -> Self:
        """Make a display of a stage of a study.

        Parameters
        ----------
        study : skmnist.study.Study or path-like
            A study, or its folder.
        stage : skmnist.study.StudyStage or str, default=None
            One of its stages, or its name; None for the last one.

        Returns
        -------
        display : StageScoresDisplay
            Not drawn yet.

        Raises
        ------
        ValueError
            If there is no such stage.
        """
        study = as_study(study)
        if stage is None and study.stages:
            stage = study.stages[-1]
        if not isinstance(stage, StudyStage):
            stage = study.stage(str(stage))
        rows = study.rows_of(stage)
        names, parameter = candidate_names(
            [{name: row.params[name] for name in stage.tried} for row in rows]
        )
        incumbents = [i for i, row in enumerate(rows) if row.incumbent]
        return cls(
            candidates=names,
            parameter=parameter,
            scores=np.array([row.accuracy for row in rows]),
            standard_errors=np.array([standard_error(study, row) for row in rows]),
            winner=[row.winner for row in rows].index(True),
            incumbent=incumbents[0] if incumbents else None,
            name=stage.title,
            metric="accuracy",
        )

    def frame(self) -> dict[str, NDArray[Any]]:
        """Return the stage as columns, with one row for each candidate.

        Returns
        -------
        columns : dict of str to ndarray of shape (n_candidates,)
            ``candidate``, ``score``, ``standard_error``, ``winner`` and
            ``incumbent``. `pandas.DataFrame` takes it as it is.
        """
        places = np.arange(len(self.candidates))
        return {
            "candidate": np.array(self.candidates),
            "score": np.asarray(self.scores, dtype=float),
            "standard_error": np.asarray(self.standard_errors, dtype=float),
            "winner": places == self.winner,
            "incumbent": places == (-1 if self.incumbent is None else self.incumbent),
        }

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw a line for each candidate: its score, ± one standard error.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            The axes to draw in; None makes a new figure.

        Returns
        -------
        display : StageScoresDisplay
            This one, with `ax_` and `figure_`.
        """
        frame = self.frame()
        self.figure_, self.ax_ = axes_of(ax)
        groups = {
            "chosen": (frame["winner"], VERMILION, "D"),
            "carried in": (frame["incumbent"] & ~frame["winner"], BLUE, "s"),
            "other": (~frame["incumbent"] & ~frame["winner"], BLUE, "o"),
        }
        for label, (among, color, marker) in groups.items():
            if among.any():
                self.ax_.errorbar(
                    frame["score"][among],
                    np.flatnonzero(among),
                    xerr=np.nan_to_num(frame["standard_error"][among]),
                    label=label,
                    color=color,
                    marker=marker,
                    linestyle="none",
                    capsize=3,
                )
        labels = [fill(visible(name), 26) for name in self.candidates]
        self.ax_.set_yticks(range(len(labels)), labels)
        self.ax_.set_ylim(len(labels) - 0.5, -0.5)
        self.ax_.set(xlabel=f"{self.metric}, ± one standard error")
        self.ax_.set_ylabel(visible(self.parameter))
        self.ax_.set_title(visible(self.name), loc="left", pad=24)
        legend_above(self.ax_)
        return self


class GapDisplay:
    """Validation accuracy against the score, with a line for the largest gap.

    A candidate above the line overfits to its validation rows, or was trained on some
    of them.

    Parameters
    ----------
    scores : array-like of float of shape (n_candidates,)
        Accuracies on held-out data.
    validation_scores : array-like of float of shape (n_candidates,)
        Validation accuracies; NaN where there is none.
    winners : array-like of bool of shape (n_candidates,)
        Whether each candidate was chosen in its stage.
    max_gap : float, default=0.01
        Largest difference that is not too large.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes with the drawing; there after `plot`.
    figure_ : matplotlib.figure.Figure
        The figure of these axes; there after `plot`.

    See Also
    --------
    within_gap : The selection rule that uses the same line.

    Examples
    --------
    >>> from skmnist import GapDisplay
    >>> display = GapDisplay(scores=[0.98, 0.97], validation_scores=[0.985, 0.99],
    ...                      winners=[True, False])
    >>> display.frame()["too_large"].tolist()
    [False, True]
    """

    ax_: "Axes"
    figure_: "Figure"

    def __init__(
        self,
        *,
        scores: ArrayLike,
        validation_scores: ArrayLike,
        winners: ArrayLike,
        max_gap: float = 0.01,
    ) -> None:
        self.scores = scores
        self.validation_scores = validation_scores
        self.winners = winners
        self.max_gap = max_gap

    @classmethod
    def from_search(cls, search: "Search", *, max_gap: float = 0.01) -> Self:
        """Make a display of all candidates of a fitted search.

        Parameters
        ----------
        search : StagedSearchCV, or another search of scikit-learn
            A fitted one, with ``scoring=record_scoring()`` or
            ``return_train_score=True``.
        max_gap : float, default=0.01
            Largest difference that is not too large.

        Returns
        -------
        display : GapDisplay
            Not drawn yet.
        """
        check_is_fitted(search, "cv_results_")
        rows = list(range(len(search.cv_results_["params"])))
        table = take_rows(search.cv_results_, rows, metric_of(search))
        gaps(table)  # raises an error if there is no validation accuracy
        name = next(name for name in VALIDATION_COLUMNS if name in table)
        stages = getattr(search, "stages_", None)
        winners = {s.winner for s in stages} if stages else {search.best_index_}
        return cls(
            scores=mean_scores(table),
            validation_scores=np.asarray(table[name], dtype=float),
            winners=np.isin(rows, list(winners)),
            max_gap=max_gap,
        )

    @classmethod
    def from_study(cls, study: StudyLike, *, max_gap: float = 0.01) -> Self:
        """Make a display of all candidates of a study.

        Parameters
        ----------
        study : skmnist.study.Study or path-like
            A study, or its folder.
        max_gap : float, default=0.01
            Largest difference that is not too large.

        Returns
        -------
        display : GapDisplay
            Not drawn yet.
        """
        study = as_study(study)
        return cls(
            scores=np.array([row.accuracy for row in study.rows]),
            validation_scores=np.array(
                [row.validation_accuracy for row in study.rows], dtype=float
            ),
            winners=np.array([row.winner for row in study.rows], dtype=bool),
            max_gap=max_gap,
        )

    def frame(self) -> dict[str, NDArray[Any]]:
        """Return the accuracies as columns, with one row for each candidate.

        Returns
        -------
        columns : dict of str to ndarray of shape (n_candidates,)
            ``score``, ``validation_score``, ``gap``, ``too_large`` and ``winner``.
            `pandas.DataFrame` takes it as it is.
        """
        scores = np.asarray(self.scores, dtype=float)
        validation = np.asarray(self.validation_scores, dtype=float)
        return {
            "score": scores,
            "validation_score": validation,
            "gap": validation - scores,
            "too_large": validation - scores > self.max_gap + ROUNDING,
            "winner": np.asarray(self.winners, dtype=bool),
        }

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the candidates and the line.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            The axes to draw in; None makes a new figure.

        Returns
        -------
        display : GapDisplay
            This one, with `ax_` and `figure_`.
        """
        frame = self.frame()
        self.figure_, self.ax_ = axes_of(ax)
        for label, among, color, marker in (
            ("candidate", ~frame["winner"], BLUE, "o"),
            ("chosen in its stage", frame["winner"], VERMILION, "D"),
        ):
            points = (frame["score"][among], frame["validation_score"][among])
            self.ax_.scatter(*points, c=color, marker=marker, label=label, alpha=0.8)
        # Through a point among the candidates, so that the axes show only these.
        at = np.nanmedian(frame["score"])
        line = {"slope": 1, "color": GREY, "linewidth": 1}
        self.ax_.axline((at, at), **line, linestyle=":", label="no gap")
        limit = f"gap of {100 * self.max_gap:g} %"
        self.ax_.axline((at, at + self.max_gap), **line, label=limit)
        self.ax_.set(xlabel="held-out accuracy", ylabel="validation accuracy")
        legend_above(self.ax_, n_columns=2)
        return self


def _stage_of(search, name):
    """Return a stage's rows, winner, incumbent, name and tried parameters."""
    stages = getattr(search, "stages_", None)
    if stages is None:
        rows = list(range(len(search.cv_results_["params"])))
        tried = dict.fromkeys(n for p in search.cv_results_["params"] for n in p)
        return rows, int(search.best_index_), None, "", list(tried)
    found = [s for s in stages if name in (None, s.name)]
    if not found:
        names = ", ".join(repr(s.name) for s in stages)
        raise ValueError(f"there is no stage {name!r}; the stages are {names}")
    stage = found[-1]
    return list(stage.indices), stage.winner, stage.incumbent, stage.name, stage.params


def _standard_errors(table):
    """Return the standard error of each row's mean score; NaN if unknown."""
    scores = mean_scores(table)
    # A candidate that has left a race has fewer scores than others.
    splits = [split_scores(table, row) for row in range(len(scores))]
    if max(map(len, splits)) > 1:
        return np.array([np.std(s, ddof=1) / np.sqrt(len(s)) for s in splits])
    n_test = np.asarray(table.get("mean_test_n_test", np.nan), dtype=float)
    variances = scores * (1 - scores) / n_test
    return np.sqrt(np.where(variances >= 0, variances, np.nan))
