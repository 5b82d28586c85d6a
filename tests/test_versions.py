"""Which versions are installed."""

# SPDX-License-Identifier: BSD-3-Clause

import platform
from importlib.metadata import version

import numpy as np

from skmnist._versions import installed_versions


def test_versions_are_those_of_the_packages_in_their_order():
    found = installed_versions(["scikit-learn", "numpy"])
    assert list(found) == ["python", "scikit-learn", "numpy"]
    assert found["numpy"] == np.__version__
    assert found["scikit-learn"] == version("scikit-learn")
    assert found["python"] == platform.python_version()


def test_packages_that_are_not_installed_are_left_out():
    assert list(installed_versions(["no-such-package"])) == ["python"]
    assert list(installed_versions(iter(()))) == ["python"]
