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
