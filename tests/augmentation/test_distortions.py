"""Strengths of distortions, and the fields that make them."""

import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from skmnist import Distortions
from skmnist.augmentation._distortions import (
    AUGMENTATIONS,
    KEPT_VARIANCE,
    affine_fields,
    describe_augmentation,
    elastic_fields,
    square_side,
)


def test_equal_strengths_are_equal_and_hash_alike():
    one, two = Distortions(rotation=5), Distortions(rotation=5)
    assert one == two and len({one, two}) == 1


def test_strengths_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Distortions().rotation = 5


def test_strengths_survive_a_pickle():
    strengths = Distortions(rotation=5, elastic_strength=0.02)
    assert pickle.loads(pickle.dumps(strengths)) == strengths


@pytest.mark.parametrize(
    "name",
    ["rotation", "shift", "scale", "shear", "elastic_strength", "elastic_smoothness"],
)
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "1", None, True])
def test_a_strength_that_is_no_number_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be a number of at least 0"):
        Distortions(**{name: value})


@pytest.mark.parametrize(
    "values", [{"rotation": 181}, {"scale": 1}, {"elastic_smoothness": 0}], ids=str
)
def test_a_strength_out_of_range_is_refused(values):
    with pytest.raises(ValueError, match=r"^rotation must be at most 180 degrees"):
        Distortions(**values)


def test_the_names_differ_in_the_elastic_part_only():
    affine, both = AUGMENTATIONS["affine"], AUGMENTATIONS["affine+elastic"]
    assert replace(both, elastic_strength=0.0) == affine
    assert both.elastic_strength > 0 and affine.rotation > 0


# ---- what describes an augmentation ------------------------------------------------


def test_no_augmentation_asks_nothing_of_the_data():
    assert describe_augmentation(None, None, 30) is None


def test_a_name_and_its_strengths_are_described_alike():
    strengths = AUGMENTATIONS["affine"]
    by_name = describe_augmentation("affine", None, 64)
    assert by_name == describe_augmentation(strengths, (8, 8), 64)
    assert by_name["image_shape"] == [8, 8]


@pytest.mark.parametrize("shape", [(4, 9), [4, 9], np.array([4, 9])], ids=str)
def test_the_shape_of_the_images_may_be_any_sequence(shape):
    assert describe_augmentation("affine", shape, 36)["image_shape"] == [4, 9]


@pytest.mark.parametrize(
    ("shape", "n_features", "message"),
    [
        (None, 30, "30 features are not the pixels of a square one"),
        (None, 1, "1 features are not the pixels of a square one"),
        ((5, 5), 30, r"image_shape=\(5, 5\) means 25 pixels, but X has 30 features"),
        ((30,), 30, r"height and width, .* at least 2. Got \(30,\)"),
        ((1, 30), 30, r"height and width, .* at least 2. Got \(1, 30\)"),
        ((5.0, 6.0), 30, r"height and width, .* at least 2. Got \(5.0, 6.0\)"),
    ],
)
def test_data_that_are_no_such_images_are_refused(shape, n_features, message):
    with pytest.raises(ValueError, match=message):
        describe_augmentation("affine", shape, n_features)


def test_squares_are_told_from_other_numbers():
    sides = {n: square_side(n) for n in range(30) if square_side(n)}
    assert sides == {4: 2, 9: 3, 16: 4, 25: 5}
    assert square_side(1) is None and square_side(30) is None


# ---- fields ------------------------------------------------------------------------


def test_affine_fields_by_hand():
    # Two rows of three pixels: distances from the middle, down and to the right.
    np.testing.assert_array_equal(
        affine_fields((2, 3)),
        [
            [1, 1, 1, 1, 1, 1],
            [-0.5, -0.5, -0.5, 0.5, 0.5, 0.5],
            [-1, 0, 1, -1, 0, 1],
        ],
    )


# White noise that is smoothed by a Gaussian of deviation s has the correlation
# exp(-d^2 / (4 s^2)). To keep only a few fields changes it by about what is left out.
@pytest.mark.parametrize("shape", [(8, 8), (12, 7), (28, 28)], ids=str)
@pytest.mark.parametrize("smoothness", [1.5, 4.0])
def test_elastic_fields_have_the_covariance_of_smoothed_noise(shape, smoothness):
    fields = elastic_fields(shape, smoothness)
    y, x = np.indices(shape).reshape(2, -1)
    squares = np.subtract.outer(y, y) ** 2 + np.subtract.outer(x, x) ** 2
    expected = np.exp(-squares / (4 * smoothness**2))
    errors = np.abs(fields.T @ fields - expected)
    assert errors.mean() < 1 - KEPT_VARIANCE
    assert len(fields) < np.prod(shape)


def test_elastic_fields_have_one_variance_at_every_pixel():
    fields = elastic_fields((9, 6), 1.0)
    np.testing.assert_allclose(np.sum(fields**2, axis=0), 1, rtol=1e-12)
