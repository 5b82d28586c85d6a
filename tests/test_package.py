"""The package's names as a user meets them: dir, Tab in a REPL, ``import *``."""

# SPDX-License-Identifier: BSD-3-Clause

import inspect
import json
import rlcompleter
import subprocess
import sys

import pytest

import skmnist

# All others are there without TensorFlow.
NEED_KERAS = {"KerasMLPClassifier", "ValidationEarlyStopping"}
PACKAGES = [n for n in skmnist.__all__ if inspect.ismodule(getattr(skmnist, n))]


def answer_of(code):
    """Run code in a fresh Python; return what it prints last, as JSON."""
    command = [sys.executable, "-c", f"import json, sys\n{code}"]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(finished.stdout.splitlines()[-1])


def test_dir_lists_what_is_public_before_and_after_it_is_used():
    code = """
import skmnist
before = dir(skmnist)
for name in skmnist.__all__:
    getattr(skmnist, name)
print(json.dumps([before, dir(skmnist), skmnist.__all__]))
"""
    before, after, public = answer_of(code)
    assert before == after == sorted(public)
    assert not any(name.startswith("_") for name in public)


@pytest.mark.parametrize("package", PACKAGES)
def test_dir_of_a_package_lists_what_is_public(package):
    package = getattr(skmnist, package)
    assert dir(package) == sorted(package.__all__)
    assert not any(name.startswith("_") for name in package.__all__)
    for name in package.__all__:
        named = getattr(package, name)
        assert name.isupper() or named.__name__ == name


def completed(text):
    """What Python's own REPL offers for Tab."""
    matches = rlcompleter.Completer({"skmnist": skmnist}).attr_matches(text)
    return {match.rstrip("()") for match in matches}


def test_a_repl_completes_names_and_packages():
    assert completed("skmnist.Ker") == {"skmnist.KerasMLPClassifier"}
    assert completed("skmnist.data") == {"skmnist.datasets"}
    assert completed("skmnist.") == {f"skmnist.{name}" for name in skmnist.__all__}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_repl_completes_what_a_package_has(package):
    public = getattr(skmnist, package).__all__
    expected = {f"skmnist.{package}.{name}" for name in public}
    assert completed(f"skmnist.{package}.") == expected


def test_all_names_but_two_are_there_without_tensorflow():
    code = f"""
import skmnist
for name in set(skmnist.__all__) - {NEED_KERAS}:
    getattr(skmnist, name)
print(json.dumps(sorted({{"keras", "tensorflow", "matplotlib"}} & set(sys.modules))))
"""
    assert answer_of(code) == []


def test_a_star_import_has_every_name():
    namespace = {}
    exec("from skmnist import *", namespace)
    assert set(skmnist.__all__) <= namespace.keys()
