"""Predictions averaged over distorted copies of each image."""

# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, sparray, spmatrix
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import HasMethods, Interval, StrOptions, _fit_context
from ._distortions import (
    AUGMENTATIONS,
    N_AFFINE,
    N_AFFINE_FIELDS,
    Distortions,
    affine_coefficients,
    describe_augmentation,
    displacement_fields,
    largest_affine,
)

MatrixLike: TypeAlias = ArrayLike | sparray | spmatrix

DTYPES = (np.float64, np.float32)


class AugmentedPredictionClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Average a classifier's probabilities over distorted copies of each image.

    This is known as test-time augmentation. A classifier that was trained on distorted
    images gives slightly different probabilities for each distortion of an image. Their
    mean is correct more often than the probabilities for the image alone. The
    distortions (views) are drawn once, in `fit`, and are the same for all images. So
    the prediction for an image does not depend on the other images.

    Parameters
    ----------
    estimator : classifier
        A classifier with `predict_proba` whose features are the pixels of an image,
        row by row. It is cloned and fitted. To use a fitted classifier as it is, wrap
        it in `sklearn.frozen.FrozenEstimator`.
    augmentation : {"affine", "affine+elastic"}, Distortions or None, \
default="affine+elastic"
        Kinds and strengths of the distortions. None: predict from the images alone.
    strength : float, default=0.5
        Factor for all strengths. Views should be distorted less than training images,
        because the image itself is the most probable one.
    n_views : int, default=16
        Number of distorted copies, besides the image itself. They come in pairs of
        opposite distortions, so that their mean is not distorted.
    image_shape : (int, int), default=None
        Height and width of the images. None: the images are square.
    random_state : int, RandomState instance or None, default=None
        Seed for the views.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    views_ : list of `n_views` sparse arrays of shape (n_features, n_features)
        ``X @ view`` are the distorted images: a distortion is linear in the pixels.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of pixels.
    feature_names_in_ : ndarray of str
        Their names, if `X` had names.

    Raises
    ------
    ValueError
        In `fit`, if the features are not the pixels of such an image.

    See Also
    --------
    Distortions : The strengths of distortions.
    sklearn.ensemble.VotingClassifier : Averages several classifiers for one image.

    Notes
    -----
    Predictions take ``n_views + 1`` times as long. Training takes as long as without.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skmnist import AugmentedPredictionClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> averaged = AugmentedPredictionClassifier(
    ...     LogisticRegression(max_iter=1000), augmentation="affine", random_state=0)
    >>> averaged.fit(X[:500] / 16, y[:500]).predict(X[500:505] / 16)
    array([9, 2, 2, 5, 7])
    """

    estimator_: Any
    views_: list[csr_array]
    classes_: NDArray[Any]
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "augmentation": [StrOptions(set(AUGMENTATIONS)), Distortions, None],
        "strength": [Interval(Real, 0, None, closed="neither")],
        "n_views": [Interval(Integral, 1, None, closed="left")],
        "image_shape": ["array-like", None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        augmentation: Literal["affine", "affine+elastic"]
        | Distortions
        | None = "affine+elastic",
        strength: float = 0.5,
        n_views: int = 16,
        image_shape: Sequence[int] | NDArray[np.integer] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.augmentation = augmentation
        self.strength = strength
        self.n_views = n_views
        self.image_shape = image_shape
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: MatrixLike, y: ArrayLike, **params: Any) -> Self:
        """Fit the classifier and draw the views.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Images, row by row.
        y : array-like of shape (n_samples,)
            Their classes.
        **params : dict
            Passed to the classifier's `fit`. With metadata routing, only what it
            requests.

        Returns
        -------
        self : AugmentedPredictionClassifier
            The fitted classifier.
        """
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, "fit", **params).estimator.fit
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=DTYPES)
        described = describe_augmentation(
            self.augmentation, self.image_shape, self.n_features_in_
        )
        self.views_ = []
        if described is not None:
            strengths = weakened(described, self.strength)
            shape, generator = described["image_shape"], self.random_state
            self.views_ = draw_views(strengths, shape, self.n_views, generator)
        self.estimator_ = clone(self.estimator).fit(X, y, **params)
        self.classes_ = self.estimator_.classes_
        return self

    def predict_proba(self, X: MatrixLike) -> NDArray[np.floating]:
        """Predict the probability of each class: the mean over the views.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Images, row by row.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Each row sums to one. The columns have the order of `classes_`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=DTYPES, reset=False)
        total = self.estimator_.predict_proba(X)
        for view in self.views_:
            seen = X @ view.astype(X.dtype, copy=False)
            total = total + self.estimator_.predict_proba(seen)
        return total / (1 + len(self.views_))

    def predict(self, X: MatrixLike) -> NDArray[Any]:
        """Predict the class with the highest mean probability.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Images, row by row.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Class labels.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[np.argmax(probabilities, axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = get_tags(self.estimator).input_tags.sparse
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        """Return which arguments of `fit` go to the classifier.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRouter
            All that the classifier's `fit` requests.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self)
        return router.add(estimator=self.estimator, method_mapping=mapping)


def weakened(described: dict[str, Any], strength: float) -> Distortions:
    """Multiply all strengths; the smoothness of elastic displacements stays.

    Parameters
    ----------
    described : dict
        From `describe_augmentation`.
    strength : float
        The factor.

    Returns
    -------
    strengths : Distortions
        The products.
    """
    kept = {"image_shape", "elastic_smoothness"}
    values = {n: strength * v for n, v in described.items() if n not in kept}
    return Distortions(**values, elastic_smoothness=described["elastic_smoothness"])


def draw_views(
    strengths: Distortions,
    image_shape: Sequence[int],
    n_views: int,
    random_state: int | np.random.RandomState | None,
) -> list[csr_array]:
    """Draw distortions as sparse arrays that images are multiplied by.

    Parameters
    ----------
    strengths : Distortions
        The strengths.
    image_shape : sequence of two int
        Height and width.
    n_views : int
        Number of views. The second view of each pair is the opposite of the first.
    random_state : int, RandomState instance or None
        Seed of the views.

    Returns
    -------
    views : list of sparse arrays of shape (n_pixels, n_pixels)
        For images as rows: ``images @ view``.

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist import Distortions
    >>> from skmnist.augmentation._test_time import draw_views
    >>> (view,) = draw_views(Distortions(), (2, 2), 1, random_state=0)
    >>> (np.array([[1.0, 2.0, 3.0, 4.0]]) @ view).tolist()
    [[1.0, 2.0, 3.0, 4.0]]
    """
    elastic = strengths.elastic_strength, strengths.elastic_smoothness
    fields = displacement_fields(image_shape, *elastic)
    n_elastic = len(fields) - N_AFFINE_FIELDS
    shape = ((n_views + 1) // 2, N_AFFINE + 2 * n_elastic)
    half = check_random_state(random_state).uniform(-1, 1, shape)
    drawn = np.stack([half, -half], axis=1).reshape(-1, shape[1])[:n_views]
    affine = (drawn[:, :N_AFFINE] * largest_affine(strengths, image_shape)).T
    maps = np.array(affine_coefficients(affine, np.cos, np.sin)).transpose(2, 0, 1)
    # Their variance is one, as in training.
    bends = 3**0.5 * drawn[:, N_AFFINE:].reshape(n_views, 2, n_elastic)
    centre = (np.array(image_shape)[:, None] - 1) / 2
    places = np.concatenate([maps, bends], axis=2) @ fields + centre
    return [sampling(image_shape, place) for place in places]


def sampling(image_shape: Sequence[int], places: NDArray[np.floating]) -> csr_array:
    """Return bilinear interpolation as a sparse array.

    Parameters
    ----------
    image_shape : sequence of two int
        Height and width, at least 2 each.
    places : ndarray of shape (2, n_places)
        Rows and columns to take values from. Beyond the border the nearest pixel
        counts.

    Returns
    -------
    weights : sparse array of shape (n_pixels, n_places)
        ``images @ weights`` are the values there.
    """
    last = np.array(image_shape)[:, None] - 1
    places = np.clip(places, 0, last)
    corner = np.minimum(np.floor(places), last - 1).astype(int)
    below, right = places - corner
    first = corner[0] * image_shape[1] + corner[1]
    pixels = [first, first + 1, first + image_shape[1], first + image_shape[1] + 1]
    weights = [
        (1 - below) * (1 - right),
        (1 - below) * right,
        below * (1 - right),
        below * right,
    ]
    n_places = places.shape[1]
    where = np.concatenate(pixels), np.tile(np.arange(n_places), 4)
    shape = (image_shape[0] * image_shape[1], n_places)
    return csr_array((np.concatenate(weights), where), shape=shape)
