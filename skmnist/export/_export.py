"""Write a fitted model for other programs."""

# SPDX-License-Identifier: BSD-3-Clause

import os
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._io import atomic_write, temporary_path, user_path
from .._startup import quiet_import
from ._onnx import classifier_of, to_onnx

# What the name of each file ends in; a saved model is a folder.
FORMATS = {"onnx": ".onnx", "keras": ".keras", "saved-model": "", "numpy": ".npz"}


def export_model(
    model: Any,
    path: str | os.PathLike[str],
    to: Literal["onnx", "keras", "saved-model", "numpy"] = "onnx",
    *,
    X: ArrayLike | None = None,
) -> Path:
    """Write a fitted classifier, or a pipeline with one, for other programs.

    Parameters
    ----------
    model : KerasMLPClassifier or Pipeline
        A fitted one. A pipeline can be written as ONNX only, because the other formats
        hold the network alone.
    path : str or path-like
        The file to write, or for "saved-model" the folder, which must be new. An old
        file is replaced, all at once.
    to : {"onnx", "keras", "saved-model", "numpy"}, default="onnx"
        - "onnx": for ONNX Runtime and others; see `to_onnx`
        - "keras": a ``.keras`` file, for :func:`keras.models.load_model`
        - "saved-model": a folder for TensorFlow and TensorFlow Serving
        - "numpy": an ``.npz`` file with ``weights_0``, ``biases_0``, ..., with
          ``activations`` and ``classes``

        All of them load without this package: scaled inputs and a batch normalization
        are included in weights and biases.

    X : array-like or DataFrame, default=None
        Some rows of the data that a pipeline takes, see `to_onnx`.

    Returns
    -------
    path : pathlib.Path
        What was written.

    Raises
    ------
    ValueError
        If the model or the format cannot be exported.
    ImportError
        If the packages for ONNX are not installed.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skmnist import KerasMLPClassifier, export_model
    >>> X, y = np.eye(8, dtype=np.float32), np.arange(8) % 2
    >>> classifier = KerasMLPClassifier(widths=4, epochs=1).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = export_model(classifier, f"{folder}/model.npz", "numpy")
    ...     sorted(np.load(path))[:3]
    ['activations', 'biases_0', 'biases_1']
    """
    if to not in FORMATS:
        known = ", ".join(map(repr, FORMATS))
        raise ValueError(f"to must be one of {known}; got {to!r}")
    classifier = classifier_of(model)
    check_is_fitted(classifier)
    if isinstance(model, Pipeline) and to != "onnx":
        raise ValueError(f"a Pipeline can be exported to 'onnx' only; got {to!r}")
    path = user_path(path)
    if to == "onnx":
        content = to_onnx(model, X).SerializeToString()
        with atomic_write(path, "wb") as file:
            file.write(content)
    elif to == "numpy":
        with atomic_write(path, "wb") as file:
            np.savez(file, **_arrays(classifier))
    elif to == "keras":
        _write_keras(classifier, path)
    else:
        _write_saved_model(classifier, path)
    return path


def _arrays(classifier: Any) -> dict[str, np.ndarray]:
    layers = classifier._current_layers()
    classes = classifier.classes_
    if classes.dtype.kind == "O":
        # No pickle: labels of other types are written as text.
        classes = np.array([str(label) for label in classes])
    arrays = {"activations": np.array([layer.activation for layer in layers])}
    for i, layer in enumerate(layers):
        arrays |= {f"weights_{i}": layer.weights, f"biases_{i}": layer.biases}
    return {**arrays, "classes": classes}


def _write_keras(classifier: Any, path: Path) -> None:
    """Write Keras' own file. Keras looks at the name's end, and writes in place."""
    if path.suffix != ".keras":
        raise ValueError(f"{path}: Keras wants a name that ends in .keras")
    partial = temporary_path(path).with_suffix(".keras")
    try:
        with warnings.catch_warnings():
            # Of Keras, which copies its own variables to arrays.
            warnings.filterwarnings("ignore", "__array__", DeprecationWarning)
            _plain_network(classifier).save(partial)
        content = partial.read_bytes()
    finally:
        partial.unlink(missing_ok=True)
    with atomic_write(path, "wb") as file:
        file.write(content)


def _write_saved_model(classifier: Any, path: Path) -> None:
    if path.exists():
        raise FileExistsError(17, "is there; name a new folder", str(path))
    _plain_network(classifier).export(path, verbose=False)


def _plain_network(classifier: Any) -> Any:
    """Return a Keras model of dense layers only, which loads without this package."""
    with quiet_import():
        import keras

    layers = classifier._current_layers()
    n_features, dtype = layers[0].weights.shape[0], str(layers[0].weights.dtype)
    network = keras.Sequential([keras.Input((n_features,), dtype=dtype)])
    for layer in layers:
        n_units = layer.weights.shape[1]
        network.add(keras.layers.Dense(n_units, layer.activation, dtype=dtype))
        network.layers[-1].set_weights([layer.weights, layer.biases])
    return network
