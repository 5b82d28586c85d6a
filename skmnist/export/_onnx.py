"""A classifier, or a pipeline with one, as an ONNX model, through skl2onnx."""

# SPDX-License-Identifier: BSD-3-Clause

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline

if TYPE_CHECKING:
    from ..neural_network import KerasMLPClassifier

_MISSING = (
    "ONNX needs the packages skl2onnx and onnx; install them with "
    "'pip install skmnist[onnx]'"
)


def to_onnx(model: Any, X: ArrayLike | None = None) -> Any:
    """Convert a fitted classifier, or a pipeline with one, to an ONNX model.

    Parameters
    ----------
    model : KerasMLPClassifier or Pipeline
        A fitted one. skl2onnx must know the other steps of a pipeline, as it does most
        of scikit-learn's.
    X : array-like or DataFrame, default=None
        Some rows of the data that the model takes; needed if these are no matrix of
        numbers, such as the columns of a table.

    Returns
    -------
    onnx_model : onnx.ModelProto
        Its outputs are the labels and the probabilities, those of `predict_proba` to
        1e-5. Without `X` its input is a matrix of the network's precision, of any
        number of rows.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    ValueError
        If the model is no classifier of this package, nor a pipeline that ends with
        one, or if an activation is not known in ONNX.

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist import KerasMLPClassifier
    >>> from skmnist.export import to_onnx
    >>> X, y = np.eye(8, dtype=np.float32), np.arange(8) % 2
    >>> classifier = KerasMLPClassifier(widths=4, epochs=1).fit(X, y)
    >>> onnx_model = to_onnx(classifier)  # doctest: +SKIP
    """
    classifier = classifier_of(model)
    register_onnx_converter()
    import skl2onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    if X is None:
        dtype = classifier._current_layers()[0].weights.dtype
        kind = DoubleTensorType if dtype == np.float64 else FloatTensorType
        how: dict[str, Any] = {
            "initial_types": [("X", kind([None, model.n_features_in_]))]
        }
    else:
        how = {"X": X[:1]}
    # Else the probabilities are a list of dictionaries.
    options = {id(classifier): {"zipmap": False}}
    return skl2onnx.to_onnx(model, options=options, **how)


def classifier_of(model: Any) -> "KerasMLPClassifier":
    """Return a classifier, or the one at the end of a pipeline.

    Parameters
    ----------
    model : KerasMLPClassifier or Pipeline
        A fitted one.

    Returns
    -------
    classifier : KerasMLPClassifier

    Raises
    ------
    ValueError
        If it is something else.
    """
    # Not at import, which must not load TensorFlow.
    from ..neural_network._classifier import KerasMLPClassifier

    last = model.steps[-1][1] if isinstance(model, Pipeline) else model
    if not isinstance(last, KerasMLPClassifier):
        raise ValueError(
            "can export a KerasMLPClassifier, or a Pipeline that ends with one; got "
            f"{type(last).__name__}"
        )
    return last


def register_onnx_converter() -> None:
    """Let skl2onnx know `KerasMLPClassifier`, for its own functions.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise ImportError(_MISSING) from error
    from ..neural_network._classifier import KerasMLPClassifier

    update_registered_converter(
        KerasMLPClassifier,
        "SkmnistKerasMLPClassifier",
        _outputs,
        _convert,
        options={"zipmap": [False, True, "columns"], "nocl": [True, False]},
    )


def _outputs(operator: Any) -> None:
    """Set the types and shapes of the outputs: labels and probabilities."""
    from skl2onnx.common.data_types import (
        DoubleTensorType,
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

    classifier = operator.raw_operator
    n_rows = operator.inputs[0].get_first_dimension()
    text = classifier.classes_.dtype.kind not in "biu"
    label = StringTensorType if text else Int64TensorType
    double = classifier._current_layers()[0].weights.dtype == np.float64
    number = DoubleTensorType if double else FloatTensorType
    operator.outputs[0].type = label([n_rows])
    operator.outputs[1].type = number([n_rows, len(classifier.classes_)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the layers of a network to an ONNX graph."""
    from onnx import TensorProto
    from skl2onnx.algebra import onnx_ops as ops

    classifier, version = operator.raw_operator, container.target_opset
    layers = classifier._current_layers()
    dtype = layers[0].weights.dtype
    number = TensorProto.DOUBLE if dtype == np.float64 else TensorProto.FLOAT
    values = ops.OnnxCast(operator.inputs[0], to=number, op_version=version)
    for layer in layers:
        product = ops.OnnxMatMul(values, layer.weights, op_version=version)
        biases = layer.biases.astype(dtype)
        values = ops.OnnxAdd(product, biases, op_version=version)
        values = _activated(layer.activation, values, dtype, version)
    if classifier.n_outputs_ == 1:
        one = np.ones(1, dtype)
        other = ops.OnnxSub(one, values, op_version=version)
        values = ops.OnnxConcat(other, values, axis=1, op_version=version)
    probabilities = ops.OnnxIdentity(
        values, op_version=version, output_names=operator.outputs[1:]
    )
    best = ops.OnnxArgMax(probabilities, axis=1, keepdims=0, op_version=version)
    classes = classifier.classes_
    text = classes.dtype.kind not in "biu"
    known = np.array(list(map(str, classes))) if text else classes.astype(np.int64)
    labels = ops.OnnxArrayFeatureExtractor(known, best, op_version=1)
    flat = ops.OnnxReshape(
        labels,
        np.array([-1], np.int64),
        op_version=version,
        output_names=operator.outputs[:1],
    )
    flat.add_to(scope, container)
    probabilities.add_to(scope, container)


def _activated(name: str, z: Any, dtype: np.dtype, version: int) -> Any:
    """Return the ONNX operators of an activation, as Keras computes it."""
    from skl2onnx.algebra import onnx_ops as ops

    def op(kind: str, *inputs: Any, **attributes: Any) -> Any:
        return getattr(ops, f"Onnx{kind}")(*inputs, op_version=version, **attributes)

    def constant(value: float) -> Any:
        return np.array([value], dtype)

    simple = {
        "relu": ("Relu", {}),
        "sigmoid": ("Sigmoid", {}),
        "tanh": ("Tanh", {}),
        "softmax": ("Softmax", {"axis": 1}),
        "softplus": ("Softplus", {}),
        "softsign": ("Softsign", {}),
        "exponential": ("Exp", {}),
        "elu": ("Elu", {"alpha": 1.0}),
        "selu": ("Selu", {}),
        "leaky_relu": ("LeakyRelu", {"alpha": 0.2}),
        "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    }
    if name == "linear":
        return z
    if name in ("silu", "swish"):
        return op("Mul", z, op("Sigmoid", z))
    if name == "gelu":
        half = op("Mul", z, constant(0.5))
        erf = op("Erf", op("Mul", z, constant(np.sqrt(0.5))))
        return op("Mul", half, op("Add", erf, constant(1)))
    if name == "mish":
        return op("Mul", z, op("Tanh", op("Softplus", z)))
    if name == "relu6":
        return op("Clip", z, np.array(0, dtype), np.array(6, dtype))
    if name not in simple:
        raise ValueError(f"the activation {name!r} is not known in ONNX")
    kind, attributes = simple[name]
    return op(kind, z, **attributes)
