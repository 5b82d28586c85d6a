"""Models for other programs: each computes what the classifier computes."""

# SPDX-License-Identifier: BSD-3-Clause

import subprocess
import sys

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

from skmnist import KerasMLPClassifier, export_model
from skmnist.cli import main
from skmnist.export._onnx import _activated, to_onnx

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("skl2onnx")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5)).astype(np.float32)
TEXT = np.array(["a", "b", "c"])[np.arange(40) % 3]
QUICK = {"widths": 6, "epochs": 1, "random_state": 0}


@pytest.fixture(scope="module")
def classifier():
    """Three classes by name, scaled inputs, batch normalization."""
    network = {"batch_normalization": True, "input_scaling": "standard"}
    return KerasMLPClassifier(**QUICK, **network).fit(X, TEXT)


def run_onnx(model, X):
    content = model.SerializeToString() if hasattr(model, "graph") else str(model)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    inputs = X if isinstance(X, dict) else {session.get_inputs()[0].name: X}
    return session.run(None, inputs)


def check_equal(model, found, X):
    labels, probabilities = found
    assert np.allclose(probabilities, model.predict_proba(X), atol=1e-5)
    assert labels.tolist() == model.predict(X).tolist()


def test_onnx_of_a_classifier(classifier, tmp_path):
    path = export_model(classifier, tmp_path / "model.onnx")
    check_equal(classifier, run_onnx(path, X), X)
    check_equal(classifier, run_onnx(path, X[:1]), X[:1])


def test_onnx_of_a_pipeline_with_two_classes():
    model = make_pipeline(MinMaxScaler(), KerasMLPClassifier(**QUICK))
    model.fit(X, np.arange(40) % 2 + 3)
    check_equal(model, run_onnx(to_onnx(model), X), X)


def test_onnx_in_double_precision():
    wide = X.astype(np.float64)
    model = KerasMLPClassifier(**QUICK).fit(wide, TEXT)
    labels, probabilities = run_onnx(to_onnx(model), wide)
    assert probabilities.dtype == np.float64
    assert np.allclose(probabilities, model.predict_proba(wide), atol=1e-12)


def test_onnx_of_a_pipeline_with_columns_of_text():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"n": X[:, 0], "kind": TEXT})
    encode = make_column_transformer(
        (MinMaxScaler(), ["n"]), (OneHotEncoder(sparse_output=False), ["kind"])
    )
    model = make_pipeline(encode, KerasMLPClassifier(**QUICK)).fit(frame, TEXT)
    inputs = {name: frame[[name]].to_numpy() for name in frame}
    check_equal(model, run_onnx(to_onnx(model, frame), inputs), frame)


@pytest.mark.parametrize(
    "activation",
    [
        "relu",
        "sigmoid",
        "tanh",
        "softmax",
        "softplus",
        "softsign",
        "exponential",
        "elu",
        "selu",
        "leaky_relu",
        "hard_sigmoid",
        "linear",
        "silu",
        "gelu",
        "mish",
        "relu6",
    ],
)
def test_activations_are_those_of_keras(activation):
    import keras
    from skl2onnx.algebra.onnx_ops import OnnxIdentity
    from skl2onnx.common.data_types import FloatTensorType

    z = np.linspace(-4, 8, 24, dtype=np.float32).reshape(4, 6)
    activated = _activated(activation, "z", z.dtype, 18)
    out = OnnxIdentity(activated, op_version=18, output_names=["out"])
    model = out.to_onnx({"z": z}, outputs=[("out", FloatTensorType([None, 6]))])
    expected = np.asarray(getattr(keras.activations, activation)(z))
    assert np.allclose(run_onnx(model, z)[0], expected, atol=1e-5)


def test_numpy_holds_what_ten_lines_need(classifier, tmp_path):
    path = export_model(classifier, tmp_path / "model.npz", "numpy")
    with np.load(path, allow_pickle=False) as network:
        assert network["classes"].tolist() == ["a", "b", "c"]
        values = X
        for i, name in enumerate(network["activations"]):
            z = values @ network[f"weights_{i}"] + network[f"biases_{i}"]
            if name == "silu":
                values = z / (1 + np.exp(-z))
            else:
                values = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    assert np.allclose(values, classifier.predict_proba(X), atol=1e-5)


# In a process of its own: neither file may need this package.
def test_keras_and_tensorflow_load_it_without_this_package(classifier, tmp_path):
    export_model(classifier, tmp_path / "model.keras", "keras")
    export_model(classifier, tmp_path / "saved", "saved-model")
    np.save(tmp_path / "X.npy", X)
    code = (
        "import sys, numpy as np, keras, tensorflow as tf;"
        "X = np.load('X.npy');"
        "a = keras.models.load_model('model.keras')(X);"
        "served = tf.saved_model.load('saved'); b = served.serve(X);"
        "assert 'skmnist' not in sys.modules;"
        "np.save('found.npy', np.stack([a, b]))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    for found in np.load(tmp_path / "found.npy"):
        assert np.allclose(found, classifier.predict_proba(X), atol=1e-5)


def test_what_cannot_be_exported(classifier, tmp_path):
    model = make_pipeline(MinMaxScaler(), classifier)
    with pytest.raises(ValueError, match="a Pipeline can be exported to 'onnx' only"):
        export_model(model, tmp_path / "m", "keras")
    with pytest.raises(ValueError, match="got LogisticRegression"):
        export_model(LogisticRegression(), tmp_path / "m")
    with pytest.raises(ValueError, match="to must be one of 'onnx', .*; got 'pmml'"):
        export_model(classifier, tmp_path / "m", "pmml")
    with pytest.raises(ValueError, match="wants a name that ends in .keras"):
        export_model(classifier, tmp_path / "m", "keras")
    with pytest.raises(FileExistsError, match="is there; name a new folder"):
        export_model(classifier, tmp_path, "saved-model")
    assert list(tmp_path.iterdir()) == []


def test_without_the_packages_of_onnx(classifier, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r"pip install skmnist\[onnx\]"):
        export_model(classifier, tmp_path / "m.onnx")


def test_the_command(classifier, tmp_path, capsys):
    classifier.save(tmp_path / "model.skmnist")
    assert main(["export", str(tmp_path / "model.skmnist")]) == 0
    assert capsys.readouterr().out == f"Written to {tmp_path / 'model.onnx'}\n"
    check_equal(classifier, run_onnx(tmp_path / "model.onnx", X), X)
    named = ["--to", "keras", "--out", str(tmp_path / "m.h5")]
    assert main(["export", str(tmp_path / "model.skmnist"), *named]) == 2
    assert main(["export", str(tmp_path / "absent")]) == 2


def test_skops_keeps_a_pipeline_without_pickle(tmp_path):
    io = pytest.importorskip("skops.io")
    model = make_pipeline(MinMaxScaler(), KerasMLPClassifier(**QUICK)).fit(X, TEXT)
    io.dump(model, tmp_path / "model.skops")
    trusted = io.get_untrusted_types(file=tmp_path / "model.skops")
    assert trusted == ["skmnist.neural_network._classifier.KerasMLPClassifier"]
    again = io.load(tmp_path / "model.skops", trusted=trusted)
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
