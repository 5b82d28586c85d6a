"""What all tests share: a quiet TensorFlow, few threads, small real data."""

import os
from pathlib import Path

import pytest

# Before TensorFlow is imported anywhere, here or in a worker process.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# With it the scikit-learn checks that need array API support run, not skip; SciPy
# reads it once.
os.environ.setdefault("SCIPY_ARRAY_API", "1")


@pytest.fixture(scope="session")
def mnist_home():
    """The folder with the real MNIST files, or a skip that says why."""
    home = os.environ.get("SKMNIST_DATA")
    if not home or not Path(home).is_dir():
        pytest.skip("SKMNIST_DATA names no folder with the MNIST files")
    return Path(home)


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory):
    """The folder of a finished study of the bundled digits: two stages, seven fits."""
    from skmnist import Stage, smallest, within_gap
    from skmnist.study import PRESETS, StudyConfig, run_study

    shapes = {"depth": [1, 2], "widths": [8, 16]}
    batches = {"batch_size": [32, 128]}
    stages = [
        Stage("shape", shapes, rule=within_gap(0.01)),
        Stage("batch_size", batches, rule=smallest("batch_size", tolerance=1.0)),
    ]
    PRESETS["tiny-shown"] = lambda: stages
    out = tmp_path_factory.mktemp("shown") / "study"
    try:
        run_study(StudyConfig(dataset="digits", preset="tiny-shown", epochs=3), out)
    finally:
        del PRESETS["tiny-shown"]
    return out
