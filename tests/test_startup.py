"""What TensorFlow says of the machine when it starts is shown to nobody unasked."""

# SPDX-License-Identifier: BSD-3-Clause

import gc
import os
import re
import subprocess
import sys
import threading

import pytest

from skmnist import _startup
from skmnist._startup import LEVEL, quiet_import, quiet_start, without_noise

ABSL = (
    "WARNING: All log messages before absl::InitializeLog() is called are written to "
    "STDERR"
)
NOISE = {
    "absl": ABSL,
    "cudart": "I0000 00:00:1795803618.820306   19768 cudart_stub.cc:31] Could not find "
    "cuda drivers on your machine, GPU will not be used.",
    "cudart, in the form of earlier versions": "2025-10-02 10:00:00.123456: I "
    "external/local_xla/xla/tsl/cuda/cudart_stub.cc:32] Could not find cuda drivers",
    "oneDNN": "2025-10-02 10:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN "
    "custom operations are on.",
    "processor": "I0000 00:00:1795803623.640482   19768 cpu_feature_guard.cc:227] This "
    "TensorFlow binary is optimized to use available CPU instructions",
    "processor, its second line": "To enable the following instructions: AVX2 FMA, in "
    "other operations, rebuild TensorFlow with the appropriate compiler flags.",
    "no driver": "E0000 00:00:1795803785.255327   19768 cuda_platform.cc:52] failed "
    "call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)",
    "GPU hidden": "E0000 00:00:1.2   7 cuda_platform.cc:52] failed call to cuInit: "
    "INTERNAL: CUDA error: Failed call to cuInit: CUDA_ERROR_NO_DEVICE: no "
    "CUDA-capable device is detected",
    "a library twice": "E0000 00:00:1.2   7 cuda_dnn.cc:8579] Unable to register cuDNN "
    "factory: Attempting to register factory for plugin cuDNN when one has already "
    "been registered",
}
OTHERS = {
    "a user's error": "ERROR: the disk is full",
    "a user's own line": "I could not find cuda drivers",
    "a warning of Python": "script.py:9: UserWarning: epochs are few",
    "a library for the GPU that is missing": "W0000 00:00:1.2   7 gpu_device.cc:2342] "
    "Cannot dlopen some GPU libraries.",
    "a driver that is broken": "E0000 00:00:1.2   7 cuda_platform.cc:52] failed call "
    "to cuInit: INTERNAL: CUDA error: Failed call to cuInit: CUDA_ERROR_UNKNOWN: 999",
    "no memory": "E0000 00:00:1.2   7 bfc_allocator.cc:1] out of memory",
    "the end": "F0000 00:00:1.2   7 cpu_feature_guard.cc:42] The TensorFlow library "
    "was compiled to use AVX instructions, but these aren't available on your machine.",
}


@pytest.fixture
def unset(monkeypatch):
    monkeypatch.delenv(LEVEL, raising=False)


@pytest.mark.parametrize("line", NOISE.values(), ids=NOISE)
def test_noise_is_left_out(line):
    assert without_noise(f"before\n{line}\nafter") == "before\nafter"


@pytest.mark.parametrize("line", OTHERS.values(), ids=OTHERS)
def test_all_else_stays(line):
    assert without_noise(f"{ABSL}\n{line}\n") == f"{line}\n"


def write(*lines):
    os.write(2, "".join(f"{line}\n" for line in lines).encode())


@pytest.mark.usefixtures("unset")
def test_what_others_write_in_the_meantime_is_shown(capfd):
    with quiet_start():
        write(ABSL, "mine", NOISE["cudart"])
        thread = threading.Thread(target=write, args=["another thread's"])
        thread.start()
        thread.join()
        print("Python's", file=sys.stderr)
    write("afterwards")
    shown = set(capfd.readouterr().err.splitlines())
    assert shown == {"mine", "another thread's", "Python's", "afterwards"}


@pytest.mark.usefixtures("unset")
def test_after_an_error_all_is_shown(capfd):
    with pytest.raises(ImportError), quiet_start():
        write(NOISE["cudart"])
        raise ImportError("libcudart")
    assert "cudart_stub" in capfd.readouterr().err


def test_who_wants_to_see_all_does(capfd, monkeypatch):
    monkeypatch.setenv(LEVEL, "0")
    with quiet_start():
        write(NOISE["cudart"])
    assert "cudart_stub" in capfd.readouterr().err


@pytest.mark.parametrize("value", ["1", "2", "3"])
def test_what_a_user_has_set_stays(monkeypatch, value):
    monkeypatch.setenv(LEVEL, value)
    with quiet_start():
        assert os.environ[LEVEL] == value
    assert os.environ[LEVEL] == value


@pytest.mark.parametrize("was_on", [True, False])
def test_no_garbage_is_looked_for_while_keras_is_imported(monkeypatch, was_on):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    on_before = gc.isenabled()
    (gc.enable if was_on else gc.disable)()
    try:
        with pytest.raises(ImportError), quiet_import():
            assert not gc.isenabled()
            raise ImportError("a library is missing")
        assert gc.isenabled() == was_on
        monkeypatch.setitem(sys.modules, "tensorflow", sys)
        with quiet_import():
            assert gc.isenabled() == was_on
    finally:
        (gc.enable if on_before else gc.disable)()


# A warning says that a GPU lacks its libraries; without a GPU there is only noise.
@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize(("has_driver", "level"), [(True, "1"), (False, "2")])
def test_the_environment_is_as_it_was(monkeypatch, tmp_path, has_driver, level):
    driver = tmp_path / "version"
    if has_driver:
        driver.touch()
    monkeypatch.setattr(_startup, "_DRIVERS", (str(tmp_path / "none"), str(driver)))
    with quiet_start():
        assert os.environ[LEVEL] == level
    assert LEVEL not in os.environ


def test_a_closed_standard_error_does_no_harm():
    code = "import os; os.close(2)\nfrom skmnist._startup import quiet_start\n"
    code += "with quiet_start():\n    print('in it')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "in it\n")


SEARCH = """
import joblib, os, sys
from sklearn.datasets import load_digits
from skmnist import KerasMLPClassifier, Stage, StagedSearchCV
X, y = load_digits(return_X_y=True)
network = KerasMLPClassifier(depth=0, epochs=2, random_state=0)
search = StagedSearchCV(
    network, [Stage("rate", {"learning_rate": [0.01, 0.1]})], refit=False, n_jobs=2
)
with joblib.parallel_config("loky", inner_max_num_threads=1):
    search.fit(X[:100], y[:100])
print("fitted")
"""


# It looks ahead, which needs an optimizer before there is a network.
FIT = """
from sklearn.datasets import make_moons
from skmnist import KerasMLPClassifier
KerasMLPClassifier(random_state=0).fit(*make_moons(300, noise=0.2, random_state=0))
print("fitted")
"""


@pytest.mark.long
@pytest.mark.parametrize("code", [SEARCH, FIT], ids=["search", "fit"])
def test_a_script_says_nothing_of_the_machine(tmp_path, code):
    environment = {n: v for n, v in os.environ.items() if n != LEVEL}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert run.stdout == "fitted\n"
    # What is left is said by Python of the user's own code.
    assert not re.search(r"\.cc:\d+\]|absl|rebuild TensorFlow", run.stderr)
