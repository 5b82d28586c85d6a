"""What a study keeps for its readers: learning curves, predictions of the test set."""

# SPDX-License-Identifier: BSD-3-Clause

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..augmentation._distortions import square_side
from ._storage import StudyFolderError

CURVES = "curves.json"
PREDICTIONS = "predictions.npz"
# More pictures than anybody looks at, and still a file of some 200 kB.
MOST_PICTURES = 200
_CURVES_OF_A_FIT = ("loss", "val_loss", "accuracy", "val_accuracy")


@dataclass(frozen=True)
class Predictions:
    """What a classifier read, and what it looked at where it was wrong.

    Parameters
    ----------
    true : ndarray of shape (n_test,)
        The labels.
    predicted : ndarray of shape (n_test,)
        What the model took them for.
    probability : ndarray of shape (n_test,)
        The probability that it gave to its answer.
    rows : ndarray of shape (n_pictures,)
        The misread rows with a picture, those it was most sure of first.
    pictures : uint8 ndarray of shape (n_pictures, height, width)
        Their pictures, 255 for the largest value in the test set; none where a row
        is no picture.
    """

    true: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray
    rows: np.ndarray
    pictures: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """What a study's folder has besides its tables.

    Parameters
    ----------
    curves : dict
        The learning curve, see `fit_curve`, of each stage's winner by the stage's
        name; empty in a folder without them.
    final_curve : dict or None
        That of the final model.
    predictions : Predictions or None
        None in a folder without them.
    """

    curves: dict
    final_curve: dict | None = None
    predictions: Predictions | None = None


def fit_curve(classifier):
    """Bring the learning curve of a fitted classifier to plain data.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A fitted one.

    Returns
    -------
    curve : dict
        ``loss``, ``accuracy`` and, where there was validation, ``val_loss`` and
        ``val_accuracy``, each a list with a number for each epoch; ``best_iter`` and
        ``stop_reason``.
    """
    kept = {n: classifier.history_.get(n) for n in _CURVES_OF_A_FIT}
    return {
        **{name: curve for name, curve in kept.items() if curve is not None},
        "best_iter": classifier.best_iter_,
        "stop_reason": classifier.stop_reason_,
    }


def inspect_fit(classifier, X, y):
    """Look at a candidate's fit where it was made, for `StagedSearchCV(inspect=...)`.

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
    found : dict
        ``right``, a bool for each row, and ``curve``, see `fit_curve`.
    """
    return {"right": classifier.predict(X) == y, "curve": fit_curve(classifier)}


def predict_test_set(classifier, data):
    """Read a data set's test part with a fitted classifier.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A fitted one.
    data : Bunch
        A data set as `skmnist.datasets.load_dataset` gives it.

    Returns
    -------
    predictions : Predictions
        With pictures of the misread rows, the first `MOST_PICTURES`.
    """
    X, y = data.data[data.test], data.target[data.test]
    return predict_pictures(classifier, X, y, picture_shape(data), most=MOST_PICTURES)


def predict_pictures(classifier, X, y, shape, *, most=None):
    """Read pictures with a fitted classifier, and keep those that it misreads.

    Parameters
    ----------
    classifier : classifier with `predict_proba`
        A fitted one.
    X : ndarray of shape (n_samples, n_features)
        Pictures, row by row.
    y : ndarray of shape (n_samples,)
        Their labels.
    shape : tuple of (int, int) or None
        Height and width of a picture; None where the rows are none.
    most : int, default=None
        Number of pictures to keep at most; None for all that are misread.

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


def picture_shape(data):
    """Return the height and width of a data set's pictures; None if they are none.

    Parameters
    ----------
    data : Bunch
        Its `feature_names` are ``pixel_<row>_<column>``, or ``pixel_<number>`` where
        the pictures came as rows: these are taken to be square.

    Examples
    --------
    >>> from skmnist import load_digits_28x28
    >>> from skmnist.study._artifacts import picture_shape
    >>> picture_shape(load_digits_28x28())
    (28, 28)
    """
    sizes = [int(part) + 1 for part in data.feature_names[-1].split("_")[1:]]
    if len(sizes) == 2:
        return tuple(sizes)
    side = square_side(data.data.shape[1])
    return None if side is None else (side, side)


def _grey(rows, lowest, highest):
    span = float(highest - lowest) or 1.0
    return np.round((rows - lowest) / span * 255).astype(np.uint8)


def write_predictions(path, predictions):
    """Write predictions as plain arrays; the file appears whole or not at all."""
    temporary = Path(path).with_suffix(".tmp")
    with open(temporary, "wb") as file:
        np.savez_compressed(file, **vars(predictions))
    os.replace(temporary, path)


def read_evidence(folder):
    """Read what a study's folder has besides its tables.

    Parameters
    ----------
    folder : path-like
        The folder of a study.

    Returns
    -------
    evidence : Evidence
        None in the place of what an older study does not have.

    Raises
    ------
    StudyFolderError
        If a file is damaged.
    """
    folder = Path(folder)
    curves, predictions = folder / CURVES, folder / PREDICTIONS
    try:
        kept = json.loads(curves.read_text()) if curves.is_file() else {}
        return Evidence(
            kept.get("stages", {}),
            kept.get("final"),
            _read_predictions(predictions) if predictions.is_file() else None,
        )
    except Exception as error:
        # zipfile, zlib, json and NumPy each have errors of their own.
        raise StudyFolderError(f"{folder} holds a damaged study: {error!r}") from error


def _read_predictions(path):
    with np.load(path, allow_pickle=False) as archive:
        return Predictions(**archive)
