"""What a study keeps for its readers: learning curves, predictions of the test set."""

# SPDX-License-Identifier: BSD-3-Clause

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._io import atomic_write, user_path
from ..augmentation._distortions import square_side
from ._checks import MisfitError, Said
from ._records import Curves, FitCurve
from ._storage import naming, read_file, read_header

if TYPE_CHECKING:
    from sklearn.utils import Bunch

    from ..neural_network import KerasMLPClassifier

CURVES = "curves.json"
PREDICTIONS = "predictions.npz"
# More pictures than anybody looks at, and still a file of some 200 kB.
MOST_PICTURES = 200
# Height and width of the smallest square of columns that is taken for a picture.
SMALLEST_PICTURE = 8
_CURVES_OF_A_FIT = ("loss", "val_loss", "accuracy", "val_accuracy")


@dataclass(frozen=True)
class Predictions:
    """What a classifier predicted, and the pictures that it misread.

    Parameters
    ----------
    true : ndarray of shape (n_test,)
        The labels.
    predicted : ndarray of shape (n_test,)
        The labels that the classifier predicted.
    probability : ndarray of float of shape (n_test,)
        The probability that it gave to its prediction.
    rows : ndarray of int of shape (n_pictures,)
        The misread rows with a picture, the highest probability first.
    pictures : uint8 ndarray of shape (n_pictures, height, width)
        Their pictures. 255 is the largest value in the test set. Empty where the
        rows of the data are no pictures.
    """

    true: NDArray[Any]
    predicted: NDArray[Any]
    probability: NDArray[np.floating]
    rows: NDArray[np.integer]
    pictures: NDArray[np.uint8]


@dataclass(frozen=True)
class Evidence:
    """What a study's folder has besides its tables.

    Parameters
    ----------
    curves : dict of str to FitCurve
        The learning curve of each stage's winner by the stage's name; empty in a
        folder without them.
    final_curve : FitCurve or None
        The learning curve of the final model.
    predictions : Predictions or None
        What the final model predicted; None in a folder without it.
    """

    curves: dict[str, FitCurve] = field(default_factory=dict)
    final_curve: FitCurve | None = None
    predictions: Predictions | None = None


@dataclass(frozen=True)
class InspectedFit:
    """What a study records of each fit, in the process that made it.

    Parameters
    ----------
    right : ndarray of bool of shape (n_samples,)
        Whether each row that judges the candidates is classified correctly.
    curve : FitCurve
        The learning curve.
    """

    right: NDArray[np.bool_]
    curve: FitCurve


def fit_curve(classifier: "KerasMLPClassifier") -> FitCurve:
    """Return the learning curve of a fitted classifier.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A fitted one.

    Returns
    -------
    curve : FitCurve
        Its curves, with a number for each epoch.
    """
    return FitCurve(
        **{name: classifier.history_.get(name) for name in _CURVES_OF_A_FIT},
        best_iter=classifier.best_iter_,
        stop_reason=classifier.stop_reason_,
    )


def inspect_fit(
    classifier: "KerasMLPClassifier", X: NDArray[Any], y: NDArray[Any]
) -> InspectedFit:
    """Record what a study keeps of a fit; for `StagedSearchCV(inspect=...)`.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A fitted one.
    X : ndarray of shape (n_samples, n_features)
        The rows that judge it.
    y : ndarray of shape (n_samples,)
        Their labels.

    Returns
    -------
    found : InspectedFit
    """
    return InspectedFit(classifier.predict(X) == y, fit_curve(classifier))


def predict_test_set(classifier: "KerasMLPClassifier", data: "Bunch") -> Predictions:
    """Predict a data set's test part with a fitted classifier.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A fitted one.
    data : Bunch
        A data set as `skmnist.datasets.load_dataset` gives it.

    Returns
    -------
    predictions : Predictions
        With pictures of at most `MOST_PICTURES` misread rows.
    """
    X, y = data.data[data.test], data.target[data.test]
    return predict_pictures(classifier, X, y, picture_shape(data), most=MOST_PICTURES)


def predict_pictures(
    classifier: Any,
    X: NDArray[Any],
    y: NDArray[Any],
    shape: tuple[int, int] | None,
    *,
    most: int | None = None,
) -> Predictions:
    """Predict pictures with a fitted classifier, and keep the misread ones.

    Parameters
    ----------
    classifier : classifier with `predict_proba`
        A fitted one.
    X : ndarray of shape (n_samples, n_features)
        Pictures, row by row.
    y : ndarray of shape (n_samples,)
        Their labels.
    shape : tuple of (int, int) or None
        Height and width of a picture; None where the rows are no pictures.
    most : int, default=None
        Largest number of pictures to keep; None keeps all that are misread.

    Returns
    -------
    predictions : Predictions
    """
    probabilities = classifier.predict_proba(X)
    predicted = classifier.classes_[probabilities.argmax(axis=1)]
    probability = probabilities.max(axis=1)
    rows = np.flatnonzero(predicted != y)
    rows = rows[np.argsort(-probability[rows], kind="stable")]
    rows = rows[: most if shape else 0]
    pictures = _grey(X[rows], X.min(), X.max()).reshape(len(rows), *(shape or (0, 0)))
    return Predictions(y, predicted, probability, rows, pictures)


def picture_shape(data: "Bunch") -> tuple[int, int] | None:
    """Return the height and width of a data set's pictures.

    Parameters
    ----------
    data : Bunch
        Its `feature_names` are ``pixel_<row>_<column>``, or ``pixel_<number>`` for
        arrays that came as rows. Rows are taken for square pictures if they have at
        least 8 x 8 values, and none is negative: else they are columns of a table.

    Returns
    -------
    shape : tuple of (int, int) or None
        None where the rows are no pictures.

    Examples
    --------
    >>> from skmnist import load_digits_28x28
    >>> from skmnist.study._artifacts import picture_shape
    >>> picture_shape(load_digits_28x28())
    (28, 28)
    """
    last = str(data.feature_names[-1])
    if not re.fullmatch(r"pixel(_\d+){1,2}", last):
        return None
    sizes = [int(part) + 1 for part in last.split("_")[1:]]
    if len(sizes) == 2:
        return sizes[0], sizes[1]
    side = square_side(data.data.shape[1])
    if side is None or side < SMALLEST_PICTURE or data.data.min() < 0:
        return None
    return side, side


def _grey(rows: ArrayLike, lowest: float, highest: float) -> NDArray[np.uint8]:
    span = float(highest - lowest) or 1.0
    return np.round((rows - lowest) / span * 255).astype(np.uint8)


def write_predictions(path: str | os.PathLike[str], predictions: Predictions) -> None:
    """Write predictions as plain arrays."""
    with atomic_write(path, "wb") as file:
        np.savez_compressed(file, **vars(predictions))


def read_evidence(folder: str | os.PathLike[str]) -> Evidence:
    """Read what a study's folder has besides its tables.

    Parameters
    ----------
    folder : path-like
        The folder of a study.

    Returns
    -------
    evidence : Evidence
        Parts that an older study does not have are empty or None.

    Raises
    ------
    StudyFolderError
        If a file is damaged: the message names it, and what is wrong.
    """
    folder = user_path(folder)
    curves = read_file(folder / CURVES, Curves) or Curves.empty()
    header = read_header(folder)
    n_test = None if header is None else header.data.n_test
    with naming(folder / PREDICTIONS):
        predictions = _read_predictions(folder / PREDICTIONS, n_test)
    return Evidence(curves.stages, curves.final, predictions)


# The kinds of NumPy's types that each array may have, and its dimensions.
_ARRAYS = {
    "true": ("biufU", 1),
    "predicted": ("biufU", 1),
    "probability": ("f", 1),
    "rows": ("iu", 1),
    "pictures": ("u", 3),
}


def _read_predictions(path, n_test):
    """Read the arrays, each checked; None if there is no such file."""
    if not path.exists():
        return None
    if not path.is_file():
        raise MisfitError("it", Said("no ordinary file"), "a file")
    try:
        # NumPy leaves a file open that it opened and could not read.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in _ARRAYS if name in archive}
    except Exception as error:
        # zipfile, zlib and NumPy each have errors of their own for damaged bytes.
        found = Said(f"damaged ({error})")
        raise MisfitError("the content", found, "an archive of arrays") from error
    for name, (kinds, n_dimensions) in _ARRAYS.items():
        _check_array(name, arrays.get(name), kinds, n_dimensions)
    predictions = Predictions(**arrays)
    _check_together(predictions, n_test)
    return predictions


def _check_array(name, array, kinds, n_dimensions):
    if array is None:
        raise MisfitError(name, Said("missing"), "an array")
    if array.dtype.kind not in kinds or array.ndim != n_dimensions:
        found = Said(f"an array of {array.dtype} of shape {array.shape}")
        words = {"f": "float", "iu": "int", "u": "uint8"}.get(kinds, "labels")
        raise MisfitError(name, found, f"one of {words} of {n_dimensions} dimensions")


def _check_together(predictions, n_test):
    """Raise MisfitError if the arrays do not belong together."""
    n_rows = len(predictions.true) if n_test is None else n_test
    lengths = {
        "true": n_rows,
        "predicted": n_rows,
        "probability": n_rows,
        "pictures": len(predictions.rows),
    }
    for name, length in lengths.items():
        array = getattr(predictions, name)
        if len(array) != length:
            raise MisfitError(name, Said(f"of length {len(array)}"), str(length))
    kinds = {predictions.true.dtype.kind, predictions.predicted.dtype.kind}
    if "U" in kinds and len(kinds) > 1:
        found = Said(f"of {predictions.predicted.dtype}")
        raise MisfitError("predicted", found, f"labels of {predictions.true.dtype}")
    rows = predictions.rows
    if len(rows) and not 0 <= rows.min() <= rows.max() < n_rows:
        found = Said(f"from {rows.min()} to {rows.max()}")
        raise MisfitError("rows", found, f"numbers from 0 to {n_rows - 1}")
    pictures = predictions.pictures
    if pictures.dtype != np.uint8 or (len(pictures) and not pictures.size):
        found = Said(f"an array of {pictures.dtype} of shape {pictures.shape}")
        raise MisfitError("pictures", found, "pictures of uint8")
    probability = predictions.probability
    if not ((probability >= 0) & (probability <= 1 + 1e-6)).all():
        raise MisfitError("probability", Said("out of its range"), "0 to 1")
