"""The display of one fit: its learning curve."""

# SPDX-License-Identifier: BSD-3-Clause

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from .._compat import last_step
from ._matplotlib import BLUE, GREY, VERMILION, axes_of, legend_above
from ._studies import StudyLike, as_study, evidence_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from sklearn.base import BaseEstimator


class FitCurveDisplay:
    """Learning curve of one fit: training and validation, epoch by epoch.

    scikit-learn's `LearningCurveDisplay` is something else: its axis is the number of
    training samples.

    Parameters
    ----------
    history : dict of str to list of float
        ``loss``, ``accuracy``, ``val_loss`` and ``val_accuracy``, with a number for
        each epoch, as in the ``history_`` of a `KerasMLPClassifier`. All but the loss
        may be missing.
    best_iter : int
        The epoch whose weights are kept, counted from 1.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes with the drawing; there after `plot`.
    figure_ : matplotlib.figure.Figure
        The figure of these axes; there after `plot`.

    See Also
    --------
    StageScoresDisplay : The scores of a search's candidates.

    Examples
    --------
    >>> from skmnist import FitCurveDisplay, KerasMLPClassifier, load_digits_28x28
    >>> X, y = load_digits_28x28(return_X_y=True)
    >>> classifier = KerasMLPClassifier(depth=1, widths=32, epochs=3,
    ...                                 early_stopping=True, random_state=0)
    >>> display = FitCurveDisplay.from_estimator(classifier.fit(X, y))
    >>> display.frame()["epoch"]
    array([1, 2, 3])
    """

    ax_: "Axes"
    figure_: "Figure"

    def __init__(self, *, history: dict[str, list[float]], best_iter: int) -> None:
        self.history = history
        self.best_iter = best_iter

    @classmethod
    def from_estimator(cls, estimator: "BaseEstimator") -> Self:
        """Make a display of a fitted classifier.

        Parameters
        ----------
        estimator : KerasMLPClassifier, or a pipeline or search with one
            A fitted one.

        Returns
        -------
        display : FitCurveDisplay
            Not drawn yet.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        TypeError
            If it has no `history_`.
        """
        check_is_fitted(estimator)
        classifier = last_step(estimator)
        if not hasattr(classifier, "history_"):
            raise TypeError(f"a fit's curves are in history_; {classifier!r} has none")
        return cls(history=classifier.history_, best_iter=classifier.best_iter_)

    @classmethod
    def from_study(cls, study: StudyLike, stage: str | None = None) -> Self:
        """Make a display of a learning curve that a study has kept.

        Parameters
        ----------
        study : skmnist.study.Study or path-like
            A study, or its folder.
        stage : str, default=None
            Name of a stage, for the curve of its winner; None for the final model.

        Returns
        -------
        display : FitCurveDisplay
            Not drawn yet.

        Raises
        ------
        ValueError
            If the study has not kept this curve.
        """
        evidence = evidence_of(study)
        if stage is None:
            curve = evidence.final_curve
        else:
            curve = evidence.curves.get(as_study(study).stage(stage).name)
        if curve is None:
            of = "its final model" if stage is None else f"the stage {stage!r}"
            raise ValueError(f"the study has kept no learning curve of {of}")
        return cls(history=curve.history, best_iter=curve.best_iter)

    def frame(self) -> dict[str, NDArray[Any]]:
        """Return the curves as columns, with one row for each epoch.

        Returns
        -------
        columns : dict of str to ndarray of shape (n_epochs,)
            ``epoch``, counted from 1; ``best``, true for the epoch whose weights are
            kept; and the curves. `pandas.DataFrame` takes it as it is.
        """
        epochs = np.arange(1, len(self.history["loss"]) + 1)
        curves = {name: np.array(curve) for name, curve in self.history.items()}
        return {"epoch": epochs, "best": epochs == self.best_iter, **curves}

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        metric: Literal["accuracy", "loss"] = "accuracy",
    ) -> Self:
        """Draw one of the metrics.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            The axes to draw in; None makes a new figure.
        metric : {"accuracy", "loss"}, default="accuracy"
            What to draw.

        Returns
        -------
        display : FitCurveDisplay
            This one, with `ax_` and `figure_`.

        Raises
        ------
        ValueError
            If there is no curve of the metric.
        """
        frame = self.frame()
        if metric not in frame:
            raise ValueError(f"there is no curve {metric!r}; got {sorted(frame)}")
        self.figure_, self.ax_ = axes_of(ax)
        names = {metric: "training", f"val_{metric}": "validation"}
        styles = [(BLUE, "o", "--"), (VERMILION, "s", "-")]
        for (name, label), (color, marker, line) in zip(
            names.items(), styles, strict=True
        ):
            if name in frame:
                drawn = {"color": color, "marker": marker, "linestyle": line}
                self.ax_.plot(
                    frame["epoch"], frame[name], label=label, markersize=4, **drawn
                )
        best = f"best epoch, {self.best_iter}"
        self.ax_.axvline(self.best_iter, color=GREY, linestyle=":", label=best)
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        self.ax_.set(xlabel="epoch", ylabel=metric)
        legend_above(self.ax_)
        return self
