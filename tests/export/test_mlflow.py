"""MLflow keeps a classifier, or a pipeline with one, and gives it back unchanged."""

# SPDX-License-Identifier: BSD-3-Clause

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skmnist import KerasMLPClassifier
from skmnist.export import to_onnx

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "serving.md"
X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
TEXT = np.array(["a", "b", "c"])[np.arange(40) % 3]

# When MLflow is imported, it warns of a type hint in its own code.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType")


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    """MLflow with a folder of its own in place of a server, and nothing sent home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        patch.chdir(tmp_path_factory.mktemp("mlflow"))
        mlflow = pytest.importorskip("mlflow")
        mlflow.set_tracking_uri("file:runs")
        yield mlflow


@pytest.fixture(scope="module", params=["classifier", "pipeline"])
def model(request):
    classifier = KerasMLPClassifier(widths=6, epochs=2, random_state=0)
    if request.param == "classifier":
        return classifier.fit(X, TEXT)
    return make_pipeline(MinMaxScaler(), classifier).fit(X, TEXT)


def check_same(mlflow, model, uri):
    again = mlflow.sklearn.load_model(uri)
    assert type(again) is type(model)
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    served = mlflow.pyfunc.load_model(uri)
    assert served.predict(X).tolist() == model.predict(X).tolist()


def test_the_lines_of_the_guide(mlflow, model):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (code,) = [block for block in blocks if "import mlflow" in block]
    names = {"model": model, "X": X, "y": TEXT}
    exec(code, names)
    assert np.array_equal(names["again"].predict_proba(X), model.predict_proba(X))
    check_same(mlflow, model, names["kept"].model_uri)
    run = mlflow.get_run(names["kept"].run_id)
    assert run.data.metrics == {"accuracy": model.score(X, TEXT)}


def test_a_pickle(mlflow, model):
    with mlflow.start_run():
        # Without the list, MLflow starts a process to find out what the model imports.
        kept = mlflow.sklearn.log_model(
            model,
            name="model",
            serialization_format="cloudpickle",
            pip_requirements=["skmnist"],
        )
    check_same(mlflow, model, kept.model_uri)


def test_onnx(mlflow, model):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("skl2onnx")
    with mlflow.start_run():
        kept = mlflow.onnx.log_model(
            to_onnx(model), name="model", pip_requirements=["onnxruntime"]
        )
    labels, found = mlflow.pyfunc.load_model(kept.model_uri).predict(X).values()
    assert np.allclose(found, model.predict_proba(X), atol=1e-5)
    assert labels.tolist() == model.predict(X).tolist()
