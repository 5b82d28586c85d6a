"""A "~" at the beginning of a path is the home folder, wherever a path is given."""

# SPDX-License-Identifier: BSD-3-Clause

import shutil

import numpy as np
import pytest
from PIL import Image

from skmnist import KerasMLPClassifier, read_digit
from skmnist._io import user_path
from skmnist.cli import main
from skmnist.datasets import load_npz
from skmnist.neural_network._cache import open_cache
from skmnist.reporting._html import write_report
from skmnist.study import read_study


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, which is not the current one."""
    home = tmp_path / "home"
    (tmp_path / "here").mkdir()
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path / "here")
    yield home
    assert list((tmp_path / "here").iterdir()) == []


def test_only_a_tilde_at_the_beginning_is_replaced(home):
    assert user_path("~/a") == home / "a"
    assert str(user_path("a/~")) == "a/~"
    assert str(user_path("~no-such-user/a")) == "~no-such-user/a"


def test_data_pictures_and_kept_fits(home):
    np.savez(home / "own.npz", X=np.eye(12), y=[0, 1] * 6)
    assert load_npz("~/own.npz").data.shape == (12, 12)
    picture = np.full((40, 40), 255, np.uint8)
    picture[8:32, 18:22] = 0
    Image.fromarray(picture).save(home / "one.png")
    assert read_digit("~/one.png").shape == (28, 28)
    assert open_cache("~/kept").folder.parent == home / "kept"


def test_models(home):
    X = np.random.default_rng(0).random((40, 4))
    classifier = KerasMLPClassifier(1, 4, epochs=1, random_state=0, memory="~/kept")
    classifier.fit(X, np.arange(40) % 2).save("~/m.skmnist")
    assert (home / "m.skmnist").exists() and (home / "kept").is_dir()
    loaded = KerasMLPClassifier.load("~/m.skmnist")
    np.testing.assert_array_equal(loaded.predict(X), classifier.predict(X))


def test_studies(home, tiny_study, capsys):
    shutil.copytree(tiny_study, home / "study")
    assert read_study("~/study").summary is not None
    write_report("~/study")
    assert (home / "study" / "report.html").exists()
    assert main(["status", "~/study"]) == 0
