"""The displays of pictures: the weights of a network, and what it misreads."""

# SPDX-License-Identifier: BSD-3-Clause

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from .._compat import last_step
from .._format import visible
from ..augmentation._distortions import square_side
from ..study._artifacts import Predictions, predict_pictures
from ._matplotlib import axes_of
from ._studies import StudyLike, evidence_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from sklearn.base import BaseEstimator


class FirstLayerDisplay:
    """Weights of the first layer as pictures, one for each unit.

    Ink at a pixel with a positive weight excites the unit; ink at a pixel with a
    negative weight calms it.

    Parameters
    ----------
    weights : ndarray of shape (n_features, n_units)
        Weights of the first layer, as in ``coefs_[0]``.
    picture_shape : tuple of (int, int), default=None
        Height and width of a picture; None for square pictures.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes with the drawing; there after `plot`.
    figure_ : matplotlib.figure.Figure
        The figure of these axes; there after `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist import FirstLayerDisplay
    >>> display = FirstLayerDisplay(weights=np.eye(4))
    >>> display.frame()["weights"][1].tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """

    ax_: "Axes"
    figure_: "Figure"

    def __init__(
        self, *, weights: ArrayLike, picture_shape: tuple[int, int] | None = None
    ) -> None:
        self.weights = weights
        self.picture_shape = picture_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: "BaseEstimator",
        *,
        picture_shape: tuple[int, int] | None = None,
    ) -> Self:
        """Make a display of the first layer of a fitted network.

        Parameters
        ----------
        estimator : KerasMLPClassifier or MLPClassifier, or a pipeline or search
            A fitted one. Any estimator with `coefs_`, a list of arrays, will do.
        picture_shape : tuple of (int, int), default=None
            Height and width of a picture; None for square pictures.

        Returns
        -------
        display : FirstLayerDisplay
            Not drawn yet.
        """
        check_is_fitted(estimator)
        weights = last_step(estimator).coefs_[0]
        return cls(weights=weights, picture_shape=picture_shape)

    def frame(self) -> dict[str, NDArray[Any]]:
        """Return the pictures as columns, with one row for each unit.

        Returns
        -------
        columns : dict of str to ndarray
            ``unit``, of shape (n_units,); ``norm``, the length of the unit's weights;
            and ``weights``, of shape (n_units, height, width).

        Raises
        ------
        ValueError
            If the number of features does not fit the shape.
        """
        pictures = to_pictures(np.asarray(self.weights).T, self.picture_shape)
        norms = np.linalg.norm(self.weights, axis=0)
        return {"unit": np.arange(len(pictures)), "norm": norms, "weights": pictures}

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        n_columns: int = 10,
        most: int = 100,
        cmap: "str | Colormap" = "RdBu_r",
    ) -> Self:
        """Draw the units with the largest weights, side by side.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            The axes to draw in; None makes a new figure.
        n_columns : int, default=10
            Pictures in a row.
        most : int, default=100
            Largest number of units to draw.
        cmap : str or Colormap, default="RdBu_r"
            Colours; the middle is 0. All units have the same scale.

        Returns
        -------
        display : FirstLayerDisplay
            This one, with `ax_` and `figure_`.
        """
        frame = self.frame()
        self.figure_, self.ax_ = axes_of(ax)
        order = np.argsort(-frame["norm"], kind="stable")[:most]
        largest = np.abs(frame["weights"]).max()
        sheet = mosaic(frame["weights"][order], n_columns, margin=np.nan)
        drawn = self.ax_.imshow(sheet, cmap=cmap, vmin=-largest, vmax=largest)
        self.figure_.colorbar(drawn, ax=self.ax_, label="weight", shrink=0.8)
        self.ax_.set_title(f"{len(order)} of {len(frame['unit'])} units")
        self.ax_.set_axis_off()
        return self


class MisreadDigitsDisplay:
    """The pictures that a classifier misreads, the highest probability first.

    Parameters
    ----------
    rows : ndarray of shape (n_misread,)
        Their rows in the data.
    true : ndarray of shape (n_misread,)
        The true labels.
    predicted : ndarray of shape (n_misread,)
        The predicted labels.
    probability : ndarray of shape (n_misread,)
        The probability that the classifier gave to its prediction.
    pictures : ndarray of shape (n_misread, height, width)
        The pictures. From an estimator they are uint8, and 255 is the largest value
        in the data.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes with the drawing; there after `plot`.
    figure_ : matplotlib.figure.Figure
        The figure of these axes; there after `plot`.

    See Also
    --------
    sklearn.metrics.ConfusionMatrixDisplay : How often classes are confused.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyClassifier
    >>> from skmnist import MisreadDigitsDisplay
    >>> X, y = np.eye(4), np.array([7, 7, 7, 1])
    >>> classifier = DummyClassifier(strategy="most_frequent").fit(X, y)
    >>> frame = MisreadDigitsDisplay.from_estimator(classifier, X, y).frame()
    >>> frame["row"].tolist(), frame["true"].tolist(), frame["predicted"].tolist()
    ([3], [1], [7])
    """

    ax_: "Axes"
    figure_: "Figure"

    def __init__(
        self,
        *,
        rows: NDArray[np.integer],
        true: NDArray[Any],
        predicted: NDArray[Any],
        probability: NDArray[np.floating],
        pictures: NDArray[Any],
    ) -> None:
        self.rows = rows
        self.true = true
        self.predicted = predicted
        self.probability = probability
        self.pictures = pictures

    @classmethod
    def from_estimator(
        cls,
        estimator: "BaseEstimator",
        X: ArrayLike,
        y: ArrayLike,
        *,
        picture_shape: tuple[int, int] | None = None,
    ) -> Self:
        """Predict pictures with a classifier, and keep the misread ones.

        Parameters
        ----------
        estimator : classifier with `predict_proba`
            A fitted one.
        X : ndarray of shape (n_samples, n_features)
            Pictures, row by row.
        y : array-like of shape (n_samples,)
            Their labels.
        picture_shape : tuple of (int, int), default=None
            Height and width of a picture; None for square pictures.

        Returns
        -------
        display : MisreadDigitsDisplay
            Not drawn yet.
        """
        check_is_fitted(estimator)
        X, y = np.asarray(X), np.asarray(y)
        shape = to_pictures(X[:1], picture_shape).shape[1:]
        return cls.from_predictions(predict_pictures(estimator, X, y, shape))

    @classmethod
    def from_study(cls, study: StudyLike) -> Self:
        """Make a display of the test samples that a study's final model misreads.

        Parameters
        ----------
        study : skmnist.study.Study or path-like
            A finished study, or its folder.

        Returns
        -------
        display : MisreadDigitsDisplay
            Not drawn yet.

        Raises
        ------
        ValueError
            If the study has kept no predictions.
        """
        predictions = evidence_of(study).predictions
        if predictions is None:
            raise ValueError("the study has kept no predictions of the test set")
        return cls.from_predictions(predictions)

    @classmethod
    def from_predictions(cls, predictions: Predictions) -> Self:
        """Make a display of predictions, such as those of a study's final model.

        Parameters
        ----------
        predictions : skmnist.study.Predictions
            Predictions, as in the result of `skmnist.study.read_evidence`.

        Returns
        -------
        display : MisreadDigitsDisplay
            Not drawn yet.
        """
        rows = predictions.rows
        return cls(
            rows=rows,
            true=predictions.true[rows],
            predicted=predictions.predicted[rows],
            probability=predictions.probability[rows],
            pictures=predictions.pictures,
        )

    def frame(self) -> dict[str, NDArray[Any]]:
        """Return the pictures and labels as columns, with one row for each.

        Returns
        -------
        columns : dict of str to ndarray
            ``row``, ``true``, ``predicted`` and ``probability``, of shape
            (n_misread,), and ``picture``, of shape (n_misread, height, width).
        """
        return {
            "row": np.asarray(self.rows),
            "true": np.asarray(self.true),
            "predicted": np.asarray(self.predicted),
            "probability": np.asarray(self.probability),
            "picture": np.asarray(self.pictures),
        }

    def plot(
        self, ax: "Axes | None" = None, *, n_columns: int = 8, most: int = 40
    ) -> Self:
        """Draw the pictures, each with its true and its predicted label.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            The axes to draw in; None makes a new figure.
        n_columns : int, default=8
            Pictures in a row.
        most : int, default=40
            Largest number of pictures to draw.

        Returns
        -------
        display : MisreadDigitsDisplay
            This one, with `ax_` and `figure_`.
        """
        frame = {name: column[:most] for name, column in self.frame().items()}
        self.figure_, self.ax_ = axes_of(ax)
        n_drawn, height, width = frame["picture"].shape
        self.ax_.set_title(f"{n_drawn} of {len(self.rows)} misread")
        self.ax_.set_axis_off()
        if not n_drawn:
            return self
        # Leave a third of a picture below each one for its two labels.
        pictures = np.pad(frame["picture"], ((0, 0), (0, height // 3 + 1), (0, 0)))
        self.ax_.imshow(mosaic(pictures, n_columns, margin=0), cmap="gray_r")
        labels = zip(frame["true"], frame["predicted"], strict=True)
        for i, (true, predicted) in enumerate(labels):
            top, left = _corner(i, n_columns, pictures.shape[1:])
            self.ax_.text(
                left + width / 2,
                top + height,
                visible(f"{true} → {predicted}"),
                horizontalalignment="center",
                verticalalignment="top",
                fontsize="small",
                color="black",  # the sheet is white in every style
                parse_math=False,
            )
        return self


def to_pictures(
    rows: NDArray[Any], shape: tuple[int, int] | None = None
) -> NDArray[Any]:
    """Turn rows of pixels into pictures.

    Parameters
    ----------
    rows : ndarray of shape (n, n_features)
        The rows.
    shape : tuple of (int, int), default=None
        Height and width; None for square pictures.

    Returns
    -------
    pictures : ndarray of shape (n, height, width)

    Raises
    ------
    ValueError
        If the number of features does not fit the shape.
    """
    n_features = rows.shape[1]
    side = square_side(n_features)
    height, width = shape or (side or 0, side or 0)
    if height * width != n_features:
        asked = f"{height} x {width} pixels" if shape else "a square; set picture_shape"
        raise ValueError(f"{n_features} features are not {asked}")
    return rows.reshape(-1, height, width)


def mosaic(pictures: NDArray[Any], n_columns: int, margin: float) -> NDArray[Any]:
    """Put pictures side by side, with lines between them.

    Parameters
    ----------
    pictures : ndarray of shape (n, height, width)
        One or more.
    n_columns : int
        Pictures in a row.
    margin : float
        The value of the lines, and of places without a picture.

    Returns
    -------
    sheet : ndarray of shape (n_rows * (height + 1), n_columns * (width + 1))

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist.visualization._digits import mosaic
    >>> mosaic(np.ones((3, 1, 1), int), 2, margin=0).tolist()
    [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    """
    height, width = pictures.shape[1:]
    n_rows = -(-len(pictures) // n_columns)
    shape = (n_rows * (height + 1), n_columns * (width + 1))
    sheet = np.full(shape, margin, dtype=np.result_type(pictures, margin))
    for i, picture in enumerate(pictures):
        top, left = _corner(i, n_columns, (height, width))
        sheet[top : top + height, left : left + width] = picture
    return sheet


def _corner(i, n_columns, shape):
    """Return the row and column where picture `i` of a mosaic starts."""
    return i // n_columns * (shape[0] + 1), i % n_columns * (shape[1] + 1)
