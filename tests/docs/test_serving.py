"""The service of the guide: a real server, several clients, no TensorFlow."""

# SPDX-License-Identifier: BSD-3-Clause

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from skmnist import KerasMLPClassifier, export_model

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "serving.md"
X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)

pytest.importorskip("onnxruntime")
pytest.importorskip("skl2onnx")
pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")


def service_code():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (code,) = [block for block in blocks if "FastAPI()" in block]
    return code


def ask(url, rows):
    body = json.dumps({"rows": rows}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def model():
    y = np.where(X[:, 0] > 0, "up", "down")
    return KerasMLPClassifier(widths=8, epochs=20, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    """The service of the page on a free port; what it printed, if it fails."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "service.py").write_text(
        f"{service_code()}\nimport sys\n"
        "@app.get('/heavy')\n"
        "def heavy() -> bool:\n    return 'tensorflow' in sys.modules\n"
    )
    export_model(model, folder / "model.onnx")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "service:app", "--port", str(port)]
    log = folder / "log.txt"
    with (
        log.open("w") as file,
        subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "MODEL": "model.onnx"},
            stdout=file,
            stderr=file,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + 60
            while "Uvicorn running" not in log.read_text():
                assert process.poll() is None and time.monotonic() < deadline, (
                    log.read_text()
                )
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def test_the_server_answers_many_clients_rightly(server, model):
    def rows_of(i):
        return X[i % 40 : i % 40 + 1 + i % 3]

    def one(i):
        return ask(f"{server}/predict", rows_of(i).tolist())

    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(one, range(200)))
    for i, answer in enumerate(answers):
        assert answer["labels"] == model.predict(rows_of(i)).tolist()
        expected = model.predict_proba(rows_of(i))
        assert np.allclose(answer["probabilities"], expected, atol=1e-5)


def test_the_server_loads_no_tensorflow(server):
    with urllib.request.urlopen(f"{server}/heavy", timeout=20) as answer:
        assert json.load(answer) is False


@pytest.mark.parametrize("rows", [[], [[1, 2]], [[1, 2, 3, 4], [1]], [["x"] * 4], "x"])
def test_the_server_refuses_what_fits_no_model(server, rows):
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(f"{server}/predict", rows)
    with caught.value as error:
        assert error.code == 422


def test_the_service_is_twenty_lines():
    lines = [line for line in service_code().splitlines() if line.strip()]
    assert len(lines) <= 22
