"""The displays of pictures: what a network looks for, and what it misreads."""

# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._compat import last_step
from .._format import visible
from ..augmentation._distortions import square_side
from ..study._artifacts import predict_pictures
from ._matplotlib import axes_of


class FirstLayerDisplay:
    """Weights of the first layer as pictures, one for each unit.

    What a unit sums up: it is excited by ink where its weights are positive, and
    calmed where they are negative.

    Parameters
    ----------
    weights : ndarray of shape (n_features, n_units)
        Weights of the first layer, as in ``coefs_[0]``.
    picture_shape : tuple of (int, int), default=None
        Height and width of a picture; None where it is square.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it was drawn; after `plot`.
    figure_ : matplotlib.figure.Figure
        The figure of the axes; after `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist import FirstLayerDisplay
    >>> display = FirstLayerDisplay(weights=np.eye(4))
    >>> display.frame()["weights"][1].tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """

    def __init__(self, *, weights, picture_shape=None):
        self.weights = weights
        self.picture_shape = picture_shape

    @classmethod
    def from_estimator(cls, estimator, *, picture_shape=None):
        """Take the first layer of a fitted network.

        Parameters
        ----------
        estimator : KerasMLPClassifier or MLPClassifier, or a pipeline or search
            A fitted one; anything with `coefs_`, a list of arrays.
        picture_shape : tuple of (int, int), default=None
            Height and width of a picture; None where it is square.

        Returns
        -------
        display : FirstLayerDisplay
            Not drawn yet.
        """
        check_is_fitted(estimator)
        weights = last_step(estimator).coefs_[0]
        return cls(weights=weights, picture_shape=picture_shape)

    def frame(self):
        """Return the pictures, with one row for each unit.

        Returns
        -------
        columns : dict of str to ndarray
            ``unit``, of shape (n_units,), ``norm``, the length of the unit's weights,
            and ``weights``, of shape (n_units, height, width).

        Raises
        ------
        ValueError
            If the features are no picture of that shape.
        """
        pictures = to_pictures(np.asarray(self.weights).T, self.picture_shape)
        norms = np.linalg.norm(self.weights, axis=0)
        return {"unit": np.arange(len(pictures)), "norm": norms, "weights": pictures}

    def plot(self, ax=None, *, n_columns=10, most=100, cmap="RdBu_r"):
        """Draw the units with the largest weights, side by side.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None for a new figure.
        n_columns : int, default=10
            Pictures in a row.
        most : int, default=100
            Number of units to draw.
        cmap : str or Colormap, default="RdBu_r"
            Its middle stands for 0; the scale is the same for all units.

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
    """The pictures that a classifier misreads, those it is most sure of first.

    Parameters
    ----------
    rows : ndarray of shape (n_misread,)
        Their rows in the data that were read.
    true : ndarray of shape (n_misread,)
        Their labels.
    predicted : ndarray of shape (n_misread,)
        What they were taken for.
    probability : ndarray of shape (n_misread,)
        The probability that the classifier gave to its answer.
    pictures : ndarray of shape (n_misread, height, width)
        What they look like; uint8, where they come from an estimator, with 255 for
        the largest value among all that it read.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it was drawn; after `plot`.
    figure_ : matplotlib.figure.Figure
        The figure of the axes; after `plot`.

    See Also
    --------
    sklearn.metrics.ConfusionMatrixDisplay : How often which is taken for which.

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

    def __init__(self, *, rows, true, predicted, probability, pictures):
        self.rows = rows
        self.true = true
        self.predicted = predicted
        self.probability = probability
        self.pictures = pictures

    @classmethod
    def from_estimator(cls, estimator, X, y, *, picture_shape=None):
        """Have a classifier read pictures, and keep those it misreads.

        Parameters
        ----------
        estimator : classifier with `predict_proba`
            A fitted one.
        X : ndarray of shape (n_samples, n_features)
            Pictures, row by row.
        y : array-like of shape (n_samples,)
            Their labels.
        picture_shape : tuple of (int, int), default=None
            Height and width of a picture; None where it is square.

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
    def from_predictions(cls, predictions):
        """Take what was misread, as by the final model of a study.

        Parameters
        ----------
        predictions : skmnist.study._artifacts.Predictions
            As `skmnist.study.read_evidence` returns them.

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

    def frame(self):
        """Return the pictures and how they were read, with one row for each.

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

    def plot(self, ax=None, *, n_columns=8, most=40):
        """Draw the pictures, and below each what it is and what it was read as.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None for a new figure.
        n_columns : int, default=8
            Pictures in a row.
        most : int, default=40
            Number of pictures to draw.

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
        # A third of a picture below each for its two labels.
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
                color="black",  # on the sheet's own white, whatever the style
                parse_math=False,
            )
        return self


def to_pictures(rows, shape=None):
    """Bring rows of pixels to pictures.

    Parameters
    ----------
    rows : ndarray of shape (n, n_features)
        The rows.
    shape : tuple of (int, int), default=None
        Height and width; None where they are equal.

    Returns
    -------
    pictures : ndarray of shape (n, height, width)

    Raises
    ------
    ValueError
        If the features are not that many.
    """
    n_features = rows.shape[1]
    side = square_side(n_features)
    height, width = shape or (side or 0, side or 0)
    if height * width != n_features:
        asked = f"{height} x {width} pixels" if shape else "a square; set picture_shape"
        raise ValueError(f"{n_features} features are not {asked}")
    return rows.reshape(-1, height, width)


def mosaic(pictures, n_columns, margin):
    """Put pictures side by side, with a line of `margin` between them.

    Parameters
    ----------
    pictures : ndarray of shape (n, height, width)
        One or more.
    n_columns : int
        Pictures in a row.
    margin : float
        What lies between them, and in the places that are left.

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
