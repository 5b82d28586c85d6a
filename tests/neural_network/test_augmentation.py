"""Distorted images: what the layer draws, and how networks train on it."""

import copy
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import map_coordinates
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from training import SMALL

from skmnist import Distortions, KerasMLPClassifier
from skmnist.augmentation._distortions import AUGMENTATIONS
from skmnist.neural_network.engines._epochs import EpochOrder
from skmnist.neural_network.keras_side._compiled import engine_for
from skmnist.neural_network.keras_side._epoch_network import EpochNetwork
from skmnist.neural_network.keras_side._layers import DistortImages, sample_images
from skmnist.neural_network.keras_side._network import build_loss, build_network
from skmnist.neural_network.keras_side._optimizers import build_optimizer

STRONG = {
    "rotation": 30.0,
    "shift": 0.2,
    "scale": 0.2,
    "shear": 0.3,
    "elastic_strength": 0.05,
}
BOTH_KINDS = pytest.mark.parametrize("compiled", [False, True], ids=["graph", "XLA"])


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32)[:100], y[:100].astype(np.int32)


def distort(X, *, image_shape=(8, 8), seed=3, dtype="float32", **strengths):
    layer = DistortImages(image_shape, seed=seed, dtype=dtype, **strengths)
    return layer(X, training=True).numpy()


def assert_equal_weights(one, two):
    for a, b in zip(one.coefs_, two.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- sampling ----------------------------------------------------------------------


# SciPy uses another algorithm, image by image, and float64.
@pytest.mark.parametrize("shape", [(8, 8), (5, 9), (2, 3)], ids=str)
def test_sampling_equals_scipy(shape):
    generator = np.random.default_rng(0)
    images = generator.normal(size=(4, *shape))
    # Some places are outside the image, some exactly on pixels.
    places = generator.uniform(-2, max(shape) + 1, size=(4, 2, 50))
    places[:, :, ::5] = np.round(places[:, :, ::5])
    sampled = sample_images(tf.constant(images.reshape(4, -1)), shape, places)
    expected = [
        map_coordinates(image, place, order=1, mode="nearest")
        for image, place in zip(images, places, strict=True)
    ]
    np.testing.assert_allclose(sampled, expected, rtol=1e-9, atol=1e-12)


# One pixel down and half a pixel to the right, computed with slices.
def test_a_translation_worked_in_numpy():
    images = np.random.default_rng(0).random((2, 6, 6))
    y, x = np.indices((6, 6)).reshape(2, -1)
    places = np.broadcast_to(np.stack([y + 1.0, x + 0.5]), (2, 2, 36))
    sampled = sample_images(tf.constant(images.reshape(2, -1)), (6, 6), places)
    below = np.concatenate([images[:, 1:], images[:, -1:]], axis=1)
    beside = np.concatenate([below[:, :, 1:], below[:, :, -1:]], axis=2)
    expected = ((below + beside) / 2).reshape(2, -1)
    np.testing.assert_allclose(sampled, expected, rtol=1e-12)


# ---- the layer ---------------------------------------------------------------------


def test_outside_of_training_images_pass_unchanged(digits):
    layer = DistortImages((8, 8), **STRONG)
    np.testing.assert_array_equal(layer(digits[0], training=False), digits[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_strengths_of_zero_leave_every_bit(digits, dtype):
    X = digits[0].astype(dtype)
    np.testing.assert_array_equal(distort(X, dtype=dtype), X)


# Interpolation is a weighted mean of pixels, with weights from 0 to 1.
@pytest.mark.parametrize("seed", range(5))
def test_values_stay_in_the_range_of_the_image(digits, seed):
    X = digits[0] - 0.25
    distorted = distort(X, seed=seed, **STRONG)
    assert distorted.shape == X.shape and distorted.dtype == X.dtype
    assert np.all(distorted >= X.min(axis=1, keepdims=True) - 1e-6)
    assert np.all(distorted <= X.max(axis=1, keepdims=True) + 1e-6)


def test_every_image_is_distorted_in_its_own_way(digits):
    same = np.repeat(digits[0][:1], 20, axis=0)
    assert len(np.unique(distort(same, **STRONG), axis=0)) == 20


def test_every_call_draws_anew_and_a_seed_repeats_all(digits):
    X = digits[0]
    layers = [DistortImages((8, 8), seed=1, **STRONG) for _ in range(2)]
    first, second = ([layer(X, training=True) for _ in range(2)] for layer in layers)
    assert not np.allclose(first[0], first[1])
    np.testing.assert_array_equal(first, second)


def test_another_seed_distorts_otherwise(digits):
    one, two = (distort(digits[0], seed=seed, **STRONG) for seed in (1, 2))
    assert not np.allclose(one, two)


def drawn_places(n_images, image_shape=(8, 8), **strengths):
    """Return displacements from the pixels, of shape (n_images, 2, n_pixels)."""
    layer = DistortImages(image_shape, dtype="float64", **strengths)
    places = layer._draw_places(tf.zeros((n_images, np.prod(image_shape)), "float64"))
    return places.numpy() - np.indices(image_shape).reshape(2, -1)


# Lengths are fractions of the shorter side, 6 pixels here.
def test_shifts_are_the_same_everywhere_and_within_bounds():
    moved = drawn_places(500, (10, 6), shift=0.25)
    np.testing.assert_allclose(moved, moved[:, :, :1] * np.ones(60), atol=1e-12)
    assert np.abs(moved).max() <= 1.5
    # Both ways along both axes: of 500 draws some are near each end.
    assert np.all(moved.max(axis=(0, 2)) > 1.4) and np.all(moved.min((0, 2)) < -1.4)


def test_a_rotation_keeps_distances_from_the_centre():
    moved = drawn_places(50, rotation=180.0)
    y, x = np.indices((8, 8)).reshape(2, -1) - 3.5
    radius = np.hypot(moved[:, 0] + y, moved[:, 1] + x)
    np.testing.assert_allclose(radius, np.hypot(y, x) * np.ones((50, 1)), rtol=1e-12)


def test_a_rotation_stays_within_its_angle():
    moved = drawn_places(500, rotation=20.0)
    # The pixel in the corner lies at 45 degrees.
    turned = np.arctan2(moved[:, 1, 0] - 3.5, moved[:, 0, 0] - 3.5)
    angle = np.rad2deg((turned + 0.75 * np.pi + np.pi) % (2 * np.pi) - np.pi)
    assert 19 < np.abs(angle).max() <= 20


def test_a_change_of_size_moves_pixels_from_and_to_the_centre():
    moved = drawn_places(500, scale=0.5)
    steps = moved / (np.indices((8, 8)).reshape(2, -1) - 3.5)
    np.testing.assert_allclose(steps, steps[:, :, :1] * np.ones(64), atol=1e-12)
    assert 0.48 < np.abs(steps).max() <= 0.5


def test_a_slant_moves_rows_sideways_by_their_height():
    moved = drawn_places(500, shear=0.5)
    y = np.indices((8, 8)).reshape(2, -1)[0] - 3.5
    np.testing.assert_array_equal(moved[:, 0], 0)
    slants = moved[:, 1] / y
    np.testing.assert_allclose(slants, slants[:, :1] * np.ones(64), atol=1e-12)
    assert 0.48 < np.abs(slants).max() <= 0.5


# 4000 draws of 128 displacements: the standard error of a deviation is about 1 %.
def test_elastic_displacements_have_the_strength_asked_for():
    moved = drawn_places(4000, elastic_strength=0.1)
    np.testing.assert_allclose(moved.std(axis=0), 0.8, rtol=0.06)


def test_the_layer_survives_its_configuration(digits):
    layer = DistortImages((8, 8), seed=4, **STRONG)
    again = DistortImages.from_config(layer.get_config())
    X = digits[0]
    np.testing.assert_array_equal(again(X, training=True), layer(X, training=True))


# ---- networks ----------------------------------------------------------------------


def make(random_state=0, **strengths):
    """Make a network in float64 that distorts images, ready to train."""
    network = build_network(
        64,
        10,
        widths=(6,),
        augmentation={"image_shape": [8, 8], **strengths},
        dtype="float64",
        random_state=random_state,
        network_class=EpochNetwork,
    )
    network.compile(
        optimizer=build_optimizer("sgd", learning_rate=0.1),
        loss=build_loss(10, dtype="float64"),
        metrics=["accuracy"],
    )
    return network


class SeesBatches(keras.callbacks.Callback):
    """A callback with a hook for batches, for which Keras' own loop trains."""

    def on_train_batch_end(self, batch, logs=None):
        pass


# Batches of 32 in 100 rows: the last one is smaller.
def train(network, X, y, **kwargs):
    defaults = {"order": EpochOrder(5), "batch_size": 32, "epochs": 3}
    network.fit(X.astype(np.float64), y, **{**defaults, **kwargs})
    return network.get_weights()


@pytest.fixture(scope="module")
def trained_by_keras(digits):
    return train(make(**STRONG), *digits, callbacks=[SeesBatches()])


# That the images are not those without distortions, the next test shows.
@BOTH_KINDS
def test_compiled_epochs_and_keras_own_loop_see_the_same_images(
    digits, trained_by_keras, compiled
):
    fast = train(make(**STRONG), *digits, compiled=compiled)
    for a, b in zip(fast, trained_by_keras, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)


# The weights do not change, so only new distortions can change an epoch's loss.
@BOTH_KINDS
def test_every_epoch_has_distortions_of_its_own(digits, compiled):
    network = make(**STRONG)
    network.optimizer.learning_rate = 0.0
    train(network, *digits, order=EpochOrder(5, shuffle=False), compiled=compiled)
    assert len(set(network.history.history["loss"])) == 3


def test_networks_with_other_seeds_share_an_engine_and_other_strengths_do_not():
    first = engine_for(make(rotation=5.0), False, None)
    assert engine_for(make(random_state=1, rotation=5.0), False, None) is first
    assert engine_for(make(rotation=6.0), False, None) is not first


# ---- the classifier ----------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(digits):
    """A classifier trained on distorted images, which no test changes."""
    return KerasMLPClassifier(**SMALL, augmentation="affine+elastic").fit(*digits)


def test_the_same_seed_gives_the_same_weights(digits, fitted):
    assert_equal_weights(clone(fitted).fit(*digits), fitted)


def test_a_name_means_its_strengths(digits, fitted):
    strengths = AUGMENTATIONS["affine+elastic"]
    spelt = KerasMLPClassifier(**SMALL, augmentation=strengths, image_shape=(8, 8))
    assert_equal_weights(spelt.fit(*digits), fitted)


def test_strengths_of_zero_are_no_augmentation(digits):
    plain = KerasMLPClassifier(**SMALL).fit(*digits)
    still = KerasMLPClassifier(**SMALL, augmentation=Distortions()).fit(*digits)
    for a, b in zip(plain.coefs_, still.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_predictions_see_the_images_as_they_are(digits, fitted):
    X, _ = digits
    (W1, W2), (b1, b2) = fitted.coefs_, fitted.intercepts_
    scores = np.exp(np.maximum(X @ W1 + b1, 0) @ W2 + b2)
    expected = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-4)


# The same pixels as 4 rows of 16 and as 8 rows of 8 are different images.
def test_the_shape_of_the_images_counts(digits, fitted):
    wide = KerasMLPClassifier(
        **SMALL, augmentation="affine+elastic", image_shape=(4, 16)
    )
    assert not np.allclose(wide.fit(*digits).coefs_[0], fitted.coefs_[0])


@pytest.mark.parametrize("duplicate", ["pickle", "copy", "save"])
def test_a_copy_goes_on_with_the_distortions_that_follow(
    digits, fitted, tmp_path, duplicate
):
    if duplicate == "save":
        fitted.save(tmp_path / "model")
        twin = KerasMLPClassifier.load(tmp_path / "model")
    else:
        twin = pickle.loads(pickle.dumps(fitted))
    original = copy.deepcopy(fitted)
    assert_equal_weights(twin.partial_fit(*digits), original.partial_fit(*digits))
    # Two epochs and one more give the weights of three epochs.
    at_once = clone(fitted).set_params(epochs=3).fit(*digits)
    assert_equal_weights(twin, at_once)


def test_strengths_of_ones_own_are_saved(digits, tmp_path):
    given = Distortions(rotation=5, shift=0.02)
    KerasMLPClassifier(**SMALL, augmentation=given).fit(*digits).save(tmp_path / "m")
    assert KerasMLPClassifier.load(tmp_path / "m").augmentation == given


def test_a_kept_fit_is_found_by_its_strengths(digits, tmp_path):
    keeping = KerasMLPClassifier(**SMALL, memory=tmp_path, augmentation="affine")
    keeping.fit(*digits)
    for augmentation in (AUGMENTATIONS["affine"], Distortions(rotation=9), None):
        clone(keeping).set_params(augmentation=augmentation).fit(*digits)
    assert len(list(tmp_path.rglob("*.skmnist"))) == 3


def test_a_grid_can_hold_every_kind_of_augmentation(digits):
    grid = [None, "affine", Distortions(rotation=5)]
    search = GridSearchCV(
        KerasMLPClassifier(**SMALL), {"augmentation": grid}, cv=2, error_score="raise"
    )
    search.fit(*digits)
    assert list(search.cv_results_["param_augmentation"]) == grid
    assert search.best_params_["augmentation"] in grid


def test_strengths_are_a_parameter_like_any_other(digits):
    pipeline = make_pipeline(MinMaxScaler(), KerasMLPClassifier(**SMALL))
    pipeline.set_params(kerasmlpclassifier__augmentation=Distortions(shift=0.1))
    pipeline.fit(*digits)
    assert clone(pipeline)[-1].augmentation == Distortions(shift=0.1)


@pytest.mark.parametrize("value", ["elastic", 0.1, {"rotation": 5}], ids=str)
def test_another_augmentation_is_refused_at_fit(digits, value):
    with pytest.raises(ValueError, match="The 'augmentation' parameter"):
        KerasMLPClassifier(**SMALL, augmentation=value).fit(*digits)


def test_data_that_are_no_images_are_refused(digits):
    X, y = digits
    refusing = KerasMLPClassifier(**SMALL, augmentation="affine")
    with pytest.raises(ValueError, match="63 features are not the pixels of a square"):
        refusing.fit(X[:, :63], y)


# The test digits are turned: a classifier that has seen turned ones is better.
def test_it_helps_with_images_that_are_turned():
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    turned = distort(X[900:], rotation=30.0)
    settings = {**SMALL, "widths": 64, "epochs": 15, "learning_rate": 5e-3}
    plain = KerasMLPClassifier(**settings).fit(X[:900], y[:900])
    augmented = clone(plain).set_params(augmentation=Distortions(rotation=30.0))
    augmented.fit(X[:900], y[:900])
    assert augmented.score(turned, y[900:]) > plain.score(turned, y[900:]) + 0.05
