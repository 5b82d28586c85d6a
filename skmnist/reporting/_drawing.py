"""The page to draw on: a fitted network in one HTML file, which reads as one draws."""

# SPDX-License-Identifier: BSD-3-Clause

import base64
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

from .._format import visible
from .._io import ModelFileError, atomic_write, user_path
from ..augmentation._distortions import square_side
from ..datasets._pixels import paper_and_ink
from ..preprocessing._digit import N_PIXELS, check_reads_digits
from ..study._artifacts import Evidence, Predictions, predict_pictures
from ..study._storage import Study
from ._templates import load_template, read_part

if TYPE_CHECKING:
    from ..neural_network import KerasMLPClassifier
    from ..neural_network._inference import SavedNetwork

DRAWING, MODEL = "draw.html", "model.skmnist"
# The page of a study, to which its page to draw on has a link.
PAGE = "report.html"
# Misread pictures to change: a screen of them.
MOST_TO_EDIT = 12
# By this, a page is known as one of ours.
GENERATOR = "skmnist draw"
_HEAD = 500


def write_drawing_page(
    classifier: "KerasMLPClassifier",
    path: str | os.PathLike[str],
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    ink: float | None = None,
) -> Path:
    """Write a page to draw on, where a fitted classifier reads what you draw.

    The page is one HTML file with the network in it. It needs no server and no network
    connection. It shows the picture that the network sees and the probabilities, which
    are those of `predict_proba` to 0.001.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A fitted one, with 784 features (28 x 28 pixels) or 64 (8 x 8).
    path : path-like
        The file to write. It replaces an existing file.
    X : array-like of shape (n_samples, n_features), default=None
        Test pictures. A few that the classifier misreads are on the page, to be
        changed.
    y : array-like of shape (n_samples,), default=None
        Their labels; needed with `X`.
    ink : float, default=None
        Value of full ink in the data that the classifier was trained on, if paper is
        0: 16 for :func:`sklearn.datasets.load_digits`, 255 for bytes. None for the
        values that the classifier was trained with if it knows them, else 1.

    Returns
    -------
    path : pathlib.Path
        The written file.

    Raises
    ------
    ValueError
        If the classifier has another number of features, or if only one of `X` and `y`
        is given.
    OSError
        If the file cannot be written; what was there before is as it was.

    Examples
    --------
    >>> import tempfile
    >>> from skmnist import KerasMLPClassifier, load_digits_28x28
    >>> from skmnist.reporting import write_drawing_page
    >>> X, y = load_digits_28x28(return_X_y=True)
    >>> classifier = KerasMLPClassifier(widths=16, epochs=2).fit(X[:200], y[:200])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/draw.html"
    ...     page = write_drawing_page(classifier, path, X[200:], y[200:])
    ...     page.read_text()[:15]
    '<!DOCTYPE html>'
    """
    if (X is None) != (y is None):
        raise ValueError("X and y belong together: give both, or neither")
    check_reads_digits(classifier.n_features_in_)
    predictions = None
    if X is not None:
        shape = 2 * (square_side(classifier.n_features_in_) or 0,)
        X, y = np.asarray(X), np.asarray(y)
        predictions = predict_pictures(classifier, X, y, shape, most=MOST_TO_EDIT)
    page, path = to_drawing_page(classifier, predictions, ink=ink), user_path(path)
    with atomic_write(path) as file:
        file.write(page)
    return path


def to_drawing_page(
    classifier: "KerasMLPClassifier | SavedNetwork",
    predictions: Predictions | None = None,
    *,
    ink: float | None = None,
    report: str = "",
) -> str:
    """Write a fitted classifier as a page to draw on.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A fitted one that reads digits.
    predictions : Predictions, default=None
        Its predictions of test pictures; the first misread ones are on the page.
    ink : float, default=None
        As in `write_drawing_page`.
    report : str, default=""
        Where the report of the study is, relative to the page; empty for no link.

    Returns
    -------
    page : str
        HTML that contains style, scripts and network.

    Raises
    ------
    ValueError
        If a layer has an activation that network.js does not know.
    """
    layers = classifier._current_layers()
    _check_activations(layers)
    network = _network(classifier, layers, ink)
    side = network["side"]
    network["misread"] = misread = _to_edit(predictions, side)
    style, script = (
        read_part("draw.css"),
        read_part("network.js") + read_part("draw.js"),
    )
    widths = [len(layers[0].weights), *(layer.weights.shape[1] for layer in layers)]
    content = {
        "generator": GENERATOR,
        "policy": _policy(style, script),
        "style": Markup(style),
        "script": Markup(script),
        "network": htmlsafe_json_dumps(network),
        "shape": "-".join(map(str, widths)),
        "side": side,
        "n_classes": len(network["classes"]),
        "n_misread": len(misread),
        "report": report,
    }
    return load_template("draw.html.jinja").render(content) + "\n"


def study_drawing_page(
    folder: str | os.PathLike[str], study: Study, evidence: Evidence
) -> str | None:
    """Write the final model of a study as a page to draw on.

    Parameters
    ----------
    folder : path-like
        The folder of the study.
    study : Study
        The study, finished or not.
    evidence : Evidence
        What its folder has besides.

    Returns
    -------
    page : str or None
        None if the rows of the data are no pictures of the size of digits, or if there
        is no final model that can be read.
    """
    path = Path(folder) / MODEL
    if study.summary is None or not path.is_file():
        return None
    if not _has_digits(study.header.data.n_features, evidence.predictions):
        return None
    # Not at import: most readers of a study need no network.
    from ..neural_network._classifier import KerasMLPClassifier

    try:
        classifier = KerasMLPClassifier.load(path)
    except ModelFileError:
        # The tables of the report do not need it.
        return None
    return to_drawing_page(classifier, evidence.predictions, report=PAGE)


def is_drawing_page(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is a page to draw on.

    Parameters
    ----------
    path : path-like
        A file that can be read.

    Returns
    -------
    ours : bool
        Whether `write_drawing_page`, or the command ``skmnist draw``, has written it.
    """
    with open(path, "rb") as file:
        return f'name="generator" content="{GENERATOR}"'.encode() in file.read(_HEAD)


def _has_digits(n_features: int, predictions: Predictions | None) -> bool:
    """Return whether the rows of a study's data are pictures of the size of digits."""
    side = square_side(n_features)
    pictures_fit = predictions is None or predictions.pictures.shape[1:] == (side, side)
    return n_features in N_PIXELS and pictures_fit


def _check_activations(layers: list[Any]) -> None:
    """Raise ValueError if a layer has an activation that network.js does not know."""
    # Not at import: most readers of a study need no network.
    from ..neural_network._inference import ACTIVATIONS

    # The network of `model_` may have been changed to any function.
    unknown = {layer.activation for layer in layers} - {*ACTIVATIONS, "softmax"}
    if unknown:
        names = ", ".join(sorted(map(str, unknown)))
        raise ValueError(f"the page to draw on cannot compute the activation {names}")


def _network(
    classifier: "KerasMLPClassifier | SavedNetwork",
    layers: list[Any],
    ink: float | None,
) -> dict[str, Any]:
    """Return a network as plain data, as network.js reads it."""
    paper, full = paper_and_ink(classifier) if ink is None else (0.0, ink)
    return {
        "side": square_side(len(layers[0].weights)),
        "paper": float(paper),
        "ink": float(full),
        "classes": [visible(str(label)) for label in classifier.classes_.tolist()],
        "layers": [
            {
                "activation": layer.activation,
                "weights": _encoded(layer.weights),
                "biases": _encoded(layer.biases),
            }
            for layer in layers
        ],
    }


def _encoded(numbers: NDArray[np.floating]) -> str:
    """Write numbers as base64: the upper three bytes of each float32, rounded.

    They have a relative error of at most 2**-16, over the whole range of float32. Two
    bytes, as float16 or as steps of an equal size, would be too coarse for a network
    that has very different weights.
    """
    bits = np.ascontiguousarray(numbers, "<f4").view("<u4").ravel()
    rounded = (bits + 0x80) >> 8
    upper = rounded.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3]
    return base64.b64encode(upper.tobytes()).decode()


def _to_edit(predictions: Predictions | None, side: int) -> list[dict[str, Any]]:
    """Return the first misread pictures as plain data, as draw.js reads them."""
    if predictions is None or predictions.pictures.shape[1:] != (side, side):
        return []
    rows = predictions.rows[:MOST_TO_EDIT]
    return [
        {
            "row": int(row),
            "true": visible(str(predictions.true[row])),
            "predicted": visible(str(predictions.predicted[row])),
            "picture": base64.b64encode(picture.tobytes()).decode(),
        }
        for row, picture in zip(rows, predictions.pictures[: len(rows)], strict=True)
    ]


def _policy(style: str, script: str) -> str:
    """Return a content security policy: this style and this script, nothing else."""
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (style, script)
    ]
    return (
        f"default-src 'none'; style-src {hashes[0]}; script-src {hashes[1]}; "
        "base-uri 'none'; form-action 'none'"
    )
