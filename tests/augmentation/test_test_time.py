"""Predictions averaged over distorted copies of each image."""

import pickle

import numpy as np
import pytest
import sklearn
from scipy.ndimage import map_coordinates
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmnist import AugmentedPredictionClassifier, Distortions
from skmnist.augmentation._distortions import AUGMENTATIONS
from skmnist.augmentation._test_time import draw_views, sampling, weakened
from skmnist.neural_network.keras_side._layers import DistortImages

STRONG = Distortions(
    rotation=30, shift=0.2, scale=0.2, shear=0.3, elastic_strength=0.05
)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16, y


@pytest.fixture(scope="module")
def fitted(digits):
    X, y = digits
    averaged = AugmentedPredictionClassifier(
        LogisticRegression(max_iter=1000), n_views=4, random_state=0
    )
    return averaged.fit(X[:400], y[:400])


@parametrize_with_checks(
    [
        AugmentedPredictionClassifier(
            DecisionTreeClassifier(random_state=0), augmentation=None
        )
    ]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


# ---- the views ---------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(8, 8), (5, 9), (2, 3)], ids=str)
def test_sampling_is_that_of_scipy(shape):
    generator = np.random.default_rng(0)
    images = generator.normal(size=(4, *shape))
    places = generator.uniform(-2, max(shape) + 1, size=(2, 50))
    places[:, ::5] = np.round(places[:, ::5])
    sampled = images.reshape(4, -1) @ sampling(shape, places)
    expected = [
        map_coordinates(image, places, order=1, mode="nearest") for image in images
    ]
    np.testing.assert_allclose(sampled, expected, rtol=1e-9, atol=1e-12)


class Drawn(DistortImages):
    """The layer of training, with numbers from -1 to 1 that the test sets."""

    def draw(self, numbers, images):
        import tensorflow as tf

        from skmnist.neural_network.keras_side import _layers as augmentation

        with pytest.MonkeyPatch.context() as patch:
            fixed = lambda seed, shape, dtype: tf.constant(numbers, dtype)  # noqa: E731
            patch.setattr(augmentation, "draw_uniform", fixed)
            return self(images, training=True).numpy()


# Equal numbers make equal distortions, in training and in prediction.
@pytest.mark.parametrize("strengths", [STRONG, AUGMENTATIONS["affine"]], ids=str)
def test_a_view_distorts_as_the_layer_does_in_training(strengths, digits):
    values = {name: getattr(strengths, name) for name in vars(strengths)}
    layer = Drawn((8, 8), dtype="float64", **values)
    n_numbers = 6 + 2 * (len(layer._fields) - 3)
    numbers = np.random.RandomState(5).uniform(-1, 1, (1, n_numbers))
    image = digits[0][:1]
    (view,) = draw_views(strengths, (8, 8), 1, random_state=5)
    np.testing.assert_allclose(image @ view, layer.draw(numbers, image), atol=1e-12)


# Opposite views have opposite shifts and bends. A ramp is an image whose value is the
# position itself. Away from the border, the mean of its opposite views is the ramp.
def test_the_views_of_a_pair_are_opposites():
    strengths = Distortions(shift=0.05, elastic_strength=0.02)
    ramp = np.indices((20, 20))[1].reshape(1, -1).astype(float)
    pair = [ramp @ view for view in draw_views(strengths, (20, 20), 2, 0)]
    assert np.abs(pair[0] - ramp).max() > 0.5
    mean = np.mean(pair, axis=0).reshape(20, 20)[4:-4, 4:-4]
    np.testing.assert_allclose(mean, ramp.reshape(20, 20)[4:-4, 4:-4], atol=1e-9)


def test_an_odd_number_of_views():
    assert len(draw_views(STRONG, (6, 6), 5, random_state=0)) == 5


def test_weakened_strengths_are_as_smooth_as_before():
    described = {**vars(AUGMENTATIONS["affine+elastic"]), "image_shape": [8, 8]}
    weak = weakened(described, 0.5)
    assert weak.rotation == AUGMENTATIONS["affine"].rotation / 2
    assert weak.elastic_strength == described["elastic_strength"] / 2
    assert weak.elastic_smoothness == described["elastic_smoothness"]


# ---- the predictions ---------------------------------------------------------------


def test_probabilities_are_the_mean_of_those_of_all_views(fitted, digits):
    X = digits[0][400:450]
    views = [X, *(X @ view for view in fitted.views_)]
    expected = np.mean([fitted.estimator_.predict_proba(v) for v in views], axis=0)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-12)
    assert len(views) == 5


def test_an_image_is_predicted_alike_alone_and_among_others(fitted, digits):
    X = digits[0][400:410]
    one_by_one = np.vstack([fitted.predict_proba(row[None]) for row in X])
    np.testing.assert_allclose(fitted.predict_proba(X), one_by_one, rtol=1e-12)


def test_float32_stays_float32(digits):
    X = digits[0].astype(np.float32)
    neighbours = AugmentedPredictionClassifier(Recording(), n_views=2).fit(
        X[:50], digits[1][:50]
    )
    neighbours.predict(X[:5])
    assert neighbours.estimator_.seen == {np.dtype("float32")}


class Recording(KNeighborsClassifier):
    """Notes which types of data it predicts for."""

    def predict_proba(self, X):
        vars(self).setdefault("seen", set()).add(X.dtype)
        return super().predict_proba(X)


# Test images are shifted by a pixel, training images are not. Some views undo that.
def test_views_help_where_images_vary_more_than_in_training(digits):
    X, y = digits
    nearest = KNeighborsClassifier(5).fit(X[:1000], y[:1000])
    moved = np.roll(X[1000:].reshape(-1, 8, 8), 1, axis=2).reshape(-1, 64)
    averaged = AugmentedPredictionClassifier(
        FrozenEstimator(nearest),
        augmentation=Distortions(shift=0.25),
        strength=1.0,
        random_state=0,
    ).fit(X[:1000], y[:1000])
    gain = averaged.score(moved, y[1000:]) - nearest.score(moved, y[1000:])
    # Two standard errors of a proportion on 797 images are at most 3.5 points.
    assert gain > 0.035


def test_equal_seeds_draw_equal_views(digits):
    X, y = digits[0][:100], digits[1][:100]
    pair = [
        AugmentedPredictionClassifier(DecisionTreeClassifier(), random_state=seed)
        for seed in (3, 3, 4)
    ]
    one, same, other = (e.fit(X, y).views_[0].toarray() for e in pair)
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0


def test_without_augmentation_predictions_are_those_of_the_estimator(digits):
    X, y = digits
    plain = AugmentedPredictionClassifier(
        DecisionTreeClassifier(random_state=0), augmentation=None
    ).fit(X, y)
    expected = plain.estimator_.predict_proba(X)
    np.testing.assert_array_equal(plain.predict_proba(X), expected)


def test_a_fitted_network_is_used_as_it_is(digits):
    from skmnist import KerasMLPClassifier

    X, y = digits
    network = KerasMLPClassifier(
        depth=1, widths=16, epochs=2, augmentation="affine", random_state=0
    ).fit(X[:300], y[:300])
    before = [w.copy() for w in network.coefs_]
    averaged = AugmentedPredictionClassifier(FrozenEstimator(network), random_state=0)
    averaged.fit(X[:300], y[:300])
    for kept, now in zip(before, averaged.estimator_.coefs_, strict=True):
        np.testing.assert_array_equal(kept, now)
    again = pickle.loads(pickle.dumps(averaged))
    np.testing.assert_array_equal(again.predict_proba(X), averaged.predict_proba(X))


# ---- in scikit-learn ---------------------------------------------------------------


def test_its_parameters_are_searched(digits):
    X, y = digits[0][:300], digits[1][:300]
    search = GridSearchCV(
        AugmentedPredictionClassifier(DecisionTreeClassifier(random_state=0)),
        {"augmentation": [None, "affine"], "estimator__max_depth": [2, 8]},
        cv=2,
        error_score="raise",
    ).fit(X, y)
    assert search.best_params_["estimator__max_depth"] == 8
    assert len(cross_val_score(clone(search.best_estimator_), X, y, cv=2)) == 2


@pytest.mark.parametrize("routing", [False, True])
def test_sample_weights_reach_the_estimator(digits, routing):
    X, y = digits[0][:200], digits[1][:200]
    weights = (y < 5).astype(float)
    with sklearn.config_context(enable_metadata_routing=routing):
        tree = DecisionTreeClassifier(random_state=0)
        if routing:
            tree.set_fit_request(sample_weight=True)
        averaged = AugmentedPredictionClassifier(tree, n_views=1)
        averaged.fit(X, y, sample_weight=weights)
        expected = clone(tree).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(
        averaged.estimator_.predict_proba(X), expected.predict_proba(X)
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_views": 0}, "n_views"),
        ({"strength": 0}, "strength"),
        ({"augmentation": "elastic"}, "augmentation"),
        ({"image_shape": (3, 3)}, "9 pixels, but X has 64"),
        ({"estimator": Distortions()}, "estimator"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(digits, params, message):
    averaged = AugmentedPredictionClassifier(DecisionTreeClassifier())
    with pytest.raises(ValueError, match=message):
        averaged.set_params(**params).fit(*digits)


def test_features_that_are_no_image_are_refused():
    averaged = AugmentedPredictionClassifier(DecisionTreeClassifier())
    with pytest.raises(ValueError, match="30 features are not the pixels"):
        averaged.fit(np.zeros((4, 30)), [0, 1, 0, 1])
