"""The page to draw on as text: what is in it, what it escapes, who gets one."""

# SPDX-License-Identifier: BSD-3-Clause

import base64
import hashlib
import json
import re
import shutil
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from skmnist.neural_network._inference import Layer
from skmnist.reporting import to_html, write_drawing_page, write_report
from skmnist.reporting._drawing import (
    MOST_TO_EDIT,
    _encoded,
    is_drawing_page,
    study_drawing_page,
    to_drawing_page,
)
from skmnist.study import Predictions, read_evidence, read_study

HOSTILE = ["</script><script>alert(1)</script>", "<b>\"'&", "\x1b[2J\n\u202e", "é 数"]


def network(widths, classes, **others):
    """A stand-in for a fitted classifier, with random weights."""
    rng = np.random.default_rng(0)
    pairs = list(zip(widths[:-1], widths[1:], strict=True))
    layers = [
        Layer(
            rng.normal(0, (2 / n_in) ** 0.5, (n_in, n_out)).astype(np.float32),
            rng.normal(0, 0.1, n_out).astype(np.float32),
            "relu" if i + 1 < len(pairs) else "softmax",
        )
        for i, (n_in, n_out) in enumerate(pairs)
    ]
    return SimpleNamespace(
        n_features_in_=widths[0],
        classes_=np.array(classes),
        _current_layers=lambda: layers,
        **others,
    )


def data_of(page):
    """Return the data that the page holds for its script."""
    found = re.search(r'<script type="application/json" .*?>(.*?)</script>', page)
    return json.loads(found[1])


def misread(labels, side=28, n=30):
    """Predictions of which all are wrong, with pictures."""
    pictures = np.random.default_rng(1).integers(0, 256, (n, side, side), np.uint8)
    true, predicted = np.resize(labels, n), np.resize(np.roll(labels, 1), n)
    return Predictions(true, predicted, np.full(n, 0.9), np.arange(n), pictures)


@pytest.mark.parametrize("widths", [(784, 600, 200, 10), (784, 400, 400, 10)])
def test_page_of_the_report_s_network_is_smaller_than_3_mb(widths):
    page = to_drawing_page(network(widths, range(10)), misread(np.arange(10)))
    assert len(page.encode()) < 3e6


@pytest.fixture(scope="module")
def page():
    return to_drawing_page(network((784, 5, 4), HOSTILE), misread(np.array(HOSTILE)))


def test_page_asks_for_nothing_from_elsewhere(page):
    without_data = page.replace(json.dumps(data_of(page)), "")
    assert not re.search(r"https?:|//\w+\.|\b(src|href|action)=|@import|url\(", page)
    assert "fetch(" not in without_data


def test_policy_allows_the_page_s_own_style_and_script_only(page):
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)[1]
    policy = policy.replace("&#39;", "'")
    parts = [
        re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[1]
        for tag in ("style", "script")
    ]
    hashes = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in parts
    ]
    assert policy.split("; ")[:3] == [
        "default-src 'none'",
        f"style-src 'sha256-{hashes[0]}'",
        f"script-src 'sha256-{hashes[1]}'",
    ]


def test_names_of_classes_are_text_and_nothing_else(page):
    shown = [HOSTILE[0], HOSTILE[1], "\\x1b[2J\\n\\u202e", HOSTILE[3]]
    assert data_of(page)["classes"] == shown
    assert page.count("<script") == 2 and "<b>" not in page
    assert not set("\x1b\u202e") & set(page)
    assert {one["true"] for one in data_of(page)["misread"]} == set(shown)


def test_the_first_misread_pictures_are_there_to_be_changed(page):
    predictions = misread(np.array(HOSTILE))
    found = data_of(page)["misread"]
    assert len(found) == MOST_TO_EDIT
    for one, picture in zip(found, predictions.pictures, strict=False):
        assert base64.b64decode(one["picture"]) == picture.tobytes()


def test_pictures_of_another_size_are_left_out():
    page = to_drawing_page(network((784, 3), [0, 1, 2]), misread(np.arange(3), side=8))
    assert data_of(page)["misread"] == [] and 'id="misread"' not in page


def test_numbers_are_exact_to_five_digits_over_the_whole_range():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=5000) * 10.0 ** rng.integers(-35, 37, 5000)
    numbers = np.concatenate([numbers, [0, 1, -1]]).astype(np.float32)
    upper = np.frombuffer(base64.b64decode(_encoded(numbers)), np.uint8).reshape(-1, 3)
    full = np.concatenate([np.zeros((len(upper), 1), np.uint8), upper], axis=1)
    decoded = full.copy().view("<f4").ravel()
    np.testing.assert_allclose(decoded, numbers, rtol=2**-16, atol=0)


@pytest.mark.parametrize(
    ("known", "ink", "expected"),
    [
        ({}, None, (0, 1)),
        ({}, 16.0, (0, 16)),
        ({"input_range_": (-0.5, 0.5)}, None, (-0.5, 0.5)),
        ({"input_range_": (-0.5, 0.5)}, 255.0, (0, 255)),
    ],
)
def test_scale_of_the_pixels(known, ink, expected):
    page = to_drawing_page(network((64, 3), [0, 1, 2], **known), ink=ink)
    data = data_of(page)
    assert (data["side"], data["paper"], data["ink"]) == (8, *expected)


def test_what_reads_no_digits_is_refused(tmp_path):
    path = tmp_path / "draw.html"
    with pytest.raises(ValueError, match="the classifier takes 100 features"):
        write_drawing_page(network((100, 3), [0, 1, 2]), path)
    with pytest.raises(ValueError, match="X and y belong together"):
        write_drawing_page(network((64, 3), [0, 1, 2]), path, X=np.zeros((1, 64)))
    assert not path.exists()


def test_an_unknown_activation_is_refused():
    classifier = network((64, 3), [0, 1, 2])
    (layer,) = classifier._current_layers()
    layers = [layer._replace(activation="sparsemax")]
    classifier._current_layers = lambda: layers
    with pytest.raises(ValueError, match="cannot compute the activation sparsemax"):
        to_drawing_page(classifier)


def test_page_of_a_classifier_with_its_test_pictures(tmp_path):
    classifier = network((64, 2), ["no", "yes"])
    classifier.predict_proba = lambda X: np.tile([0.2, 0.8], (len(X), 1))
    X = np.random.default_rng(0).random((3, 64))
    written = write_drawing_page(
        classifier, tmp_path / "draw.html", X, ["yes", "no", "yes"]
    )
    (one,) = data_of(written.read_text())["misread"]
    assert (one["row"], one["true"], one["predicted"]) == (1, "no", "yes")
    assert is_drawing_page(written)


# Studies


@pytest.fixture
def folder(tiny_study, tmp_path, monkeypatch):
    """A study without its fits, whose report has no figures: they take long."""
    for name in ("matplotlib", "matplotlib.style", "matplotlib.image"):
        monkeypatch.setitem(sys.modules, name, None)
    left_out = shutil.ignore_patterns("skmnist-fits")
    return shutil.copytree(tiny_study, tmp_path / "study", ignore=left_out)


def test_a_study_of_digits_gets_a_page_that_its_report_links(folder):
    _, paths = write_report(folder)
    report, drawing = paths[1:]
    assert drawing == folder / "draw.html" and is_drawing_page(drawing)
    assert report.read_text().count('href="draw.html"') == 2
    assert 'href="report.html"' in drawing.read_text()
    kept, found = read_evidence(folder).predictions, data_of(drawing.read_text())
    rows = [one["row"] for one in found["misread"]]
    assert rows == kept.rows[:MOST_TO_EDIT].tolist()


def test_a_study_of_other_data_gets_none(folder):
    study, evidence = read_study(folder), read_evidence(folder)
    table = replace(study.header.data, n_features=30)
    other = replace(study, header=replace(study.header, data=table))
    assert study_drawing_page(folder, other, evidence) is None
    # 784 features, but of pictures that are no squares.
    wide = replace(evidence.predictions, pictures=np.zeros((0, 14, 56), np.uint8))
    assert (
        study_drawing_page(folder, study, replace(evidence, predictions=wide)) is None
    )
    assert study_drawing_page(folder, replace(study, summary=None), evidence) is None


@pytest.mark.parametrize(
    "damage", [lambda path: path.write_text("?"), lambda p: p.unlink()]
)
def test_a_study_without_its_model_has_a_report_without_a_link(folder, damage):
    damage(folder / "model.skmnist")
    _, paths = write_report(folder)
    assert [path.name for path in paths] == ["report.md", "report.html"]
    assert "draw.html" not in paths[1].read_text()


def test_a_report_elsewhere_has_no_link(folder):
    assert "draw.html" not in to_html(read_study(folder), read_evidence(folder))
