"""What a caller passes, as the network needs it: rows, class numbers, seeds."""

# SPDX-License-Identifier: BSD-3-Clause

import warnings
from numbers import Integral
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, issparse, sparray, spmatrix, vstack
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from .._compat import _check_sample_weight
from ._early_stopping import split_validation
from ._tensors import aligned_empty

MatrixLike: TypeAlias = ArrayLike | sparray | spmatrix

# Other types are converted to the first, as in MLPClassifier.
DTYPES = (np.float64, np.float32)

# Sparse training data that take no more bytes than the first number are made dense as a
# whole. Other data stay sparse, and as many rows as take the second number are made
# dense at a time.
DENSE_BYTES = 2**26
CHUNK_BYTES = 2**25

# Below this part of nonzero values, SciPy's sparse product takes less time than a dense
# one; measured with two cores for the latter.
SPARSE_PRODUCT = 1 / 64


class Rows(NamedTuple):
    """Checked rows: data, class numbers, and weights if there are any.

    Attributes
    ----------
    X : ndarray or csr_array of shape (n_samples, n_features)
        Data, float32 or float64. A sparse array names each place once, and no zeros.
    y : ndarray of int32 of shape (n_samples,)
        Class numbers.
    sample_weight : ndarray of shape (n_samples,) or None
        Positive weights.
    """

    X: np.ndarray | csr_array
    y: np.ndarray
    sample_weight: np.ndarray | None

    def take(self, indices):
        """Return some of the rows, copied to memory that tensors can share."""
        weights = None if self.sample_weight is None else self.sample_weight[indices]
        if issparse(self.X):
            return Rows(self.X[indices], self.y[indices], weights)
        X = aligned_empty((len(indices), *self.X.shape[1:]), self.X.dtype)
        # "clip" lets NumPy write into the array itself; no index is out of range.
        np.take(self.X, indices, axis=0, out=X, mode="clip")
        return Rows(X, self.y[indices], weights)

    def and_also(self, other):
        """Return these rows followed by others, in the type of these rows."""
        weights = None
        if self.sample_weight is not None or other.sample_weight is not None:
            weights = np.concatenate([self._weights(), other._weights()])
            weights = weights.astype(self.X.dtype, copy=False)
        parts = [self.X, other.X.astype(self.X.dtype, copy=False)]
        if any(map(issparse, parts)):
            X = vstack([csr_array(part) for part in parts], format="csr")
        else:
            X = np.concatenate(parts)
        return Rows(X, np.concatenate([self.y, other.y]), weights)

    def _weights(self):
        given = self.sample_weight is not None
        return self.sample_weight if given else np.ones(len(self.y), self.X.dtype)

    def input_range(self, before=()):
        """Return the lowest and the highest value of these rows and of those before."""
        values = (*before, float(self.X.min()), float(self.X.max()))
        return min(values), max(values)

    def weighted_by_class(self, weights):
        """Return the rows with the weight of its class multiplied into each weight."""
        if weights is None:
            return self
        weights = weights.astype(self.X.dtype)[self.y]
        # A new array: the caller's weights stay as they are.
        given = 1 if self.sample_weight is None else self.sample_weight
        return self._replace(sample_weight=weights * given)

    def without_weightless(self):
        """Return the rows without those of weight zero, which count as absent."""
        if self.sample_weight is None or np.all(self.sample_weight > 0):
            return self
        if np.any(self.sample_weight < 0):
            raise ValueError("sample_weight must not be negative.")
        return self.take(np.flatnonzero(self.sample_weight))

    def hold_out(self, validation_split, random_state):
        """Return training rows and validation rows, see `split_validation`."""
        parts = split_validation(self.y, validation_split, random_state=random_state)
        return tuple(self.take(part) for part in parts)


def check_data(estimator, X, *, reset=False, **options):
    """Check data with `sklearn.utils.validation.validate_data`.

    Parameters
    ----------
    estimator : estimator
        The estimator that gets the data.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The data.
    reset : bool, default=False
        Whether to learn number and names of the features, or to compare with them.
    **options : dict
        More arguments of `validate_data`, such as ``y``.

    Returns
    -------
    X : ndarray or csr_array, or with y (ndarray or csr_array, ndarray)
        float32 or float64.
    """
    checked = validate_data(
        estimator, X, accept_sparse="csr", dtype=DTYPES, reset=reset, **options
    )
    if isinstance(checked, tuple):
        return _as_array(checked[0]), checked[1]
    return _as_array(checked)


def _as_array(X):
    return csr_array(X) if issparse(X) else X


def dense_if_small(X):
    """Return data for training: dense, or sparse in a form that has no duplicates.

    Parameters
    ----------
    X : ndarray or csr_array of shape (n_samples, n_features)
        Data.

    Returns
    -------
    X : ndarray or csr_array of shape (n_samples, n_features)
        A dense array if it takes at most `DENSE_BYTES`.
    """
    if not issparse(X):
        return X
    if X.shape[0] * X.shape[1] * X.dtype.itemsize <= DENSE_BYTES:
        return X.toarray()
    if not X.has_canonical_format or not X.data.all():
        # A copy: the caller's data stay as they are.
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
    return X


def dense_rows(X, multiple=1):
    """Return how many rows of sparse data may be dense at once.

    Parameters
    ----------
    X : csr_array of shape (n_samples, n_features)
        Data.
    multiple : int, default=1
        The number is a multiple of this.

    Returns
    -------
    n_rows : int
        As many rows as take `CHUNK_BYTES`, or as there are; and at least `multiple`.
    """
    fitting = CHUNK_BYTES // (X.shape[1] * X.dtype.itemsize)
    needed = -(-X.shape[0] // multiple)
    return min(needed, max(1, fitting // multiple)) * multiple


def multiply(X, weights, out):
    """Multiply data with weights.

    Parameters
    ----------
    X : ndarray or csr_array of shape (n_samples, n_features)
        Data.
    weights : ndarray of shape (n_features, n_out)
        Weights.
    out : ndarray of shape (n_samples, n_out)
        The array for the product.

    Returns
    -------
    out : ndarray of shape (n_samples, n_out)
        The same array.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from skmnist.neural_network._data import multiply
    >>> X = np.array([[0.0, 2.0]])
    >>> multiply(csr_array(X), np.array([[1.0], [3.0]]), np.empty((1, 1)))
    array([[6.]])
    """
    if not issparse(X):
        return np.matmul(X, weights, out=out)
    if X.nnz < SPARSE_PRODUCT * X.shape[0] * X.shape[1]:
        out[:] = X @ weights
        return out
    n_rows = dense_rows(X)
    for start in range(0, X.shape[0], n_rows):
        part = slice(start, start + n_rows)
        np.matmul(X[part].toarray(), weights, out=out[part])
    return out


def check_training(estimator, X, y, sample_weight, classes=None, *, reset):
    """Check training data; learn the classes, or compare with those learned.

    Parameters
    ----------
    estimator : KerasMLPClassifier
        The classifier. Its `classes_` and what `validate_data` learns are set if
        `reset` is true.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Data.
    y : array-like of shape (n_samples,)
        Labels.
    sample_weight : array-like of shape (n_samples,) or None
        Weights of the rows.
    classes : array-like of shape (n_classes,), default=None
        All labels; None for the labels in y.
    reset : bool
        Whether the classifier begins anew.

    Returns
    -------
    rows : Rows
        The rows without those of weight zero.
    class_weights : ndarray of shape (n_classes,) or None
        The weight of each class, which is part of the weights of the rows.

    Raises
    ------
    ValueError
        If the data are not valid, there is only one class, or the classes are not
        those learned.
    """
    X, y = check_data(estimator, X, y=y, order="C", reset=reset)
    check_classification_targets(y)
    if reset:
        estimator.classes_ = np.unique(y if classes is None else classes)
        if len(estimator.classes_) < 2:
            raise ValueError(
                "KerasMLPClassifier needs at least two classes; the data "
                f"contain only one class: {estimator.classes_[0]!r}"
            )
    elif classes is not None and not _are_equal(classes, estimator.classes_):
        raise ValueError(
            f"classes={classes!r} are not those of the first call: "
            f"{estimator.classes_!r}. Leave them out, or begin with a clone."
        )
    rows = _make_rows(estimator, X, y, sample_weight)
    weights = class_weights(rows, estimator.classes_, estimator.class_weight)
    return rows.weighted_by_class(weights).without_weightless(), weights


def check_validation(estimator, X_val, y_val, sample_weight_val, weights=None):
    """Check the caller's validation data.

    Parameters
    ----------
    estimator : KerasMLPClassifier
        The classifier, which knows its classes.
    X_val : {array-like, sparse matrix} of shape (n_val, n_features) or None
        Data.
    y_val : array-like of shape (n_val,) or None
        Labels.
    sample_weight_val : array-like of shape (n_val,) or None
        Weights of the rows.
    weights : ndarray of shape (n_classes,), default=None
        Weights of the classes, from `check_training`.

    Returns
    -------
    rows : Rows or None
        None if there are no validation data.

    Raises
    ------
    ValueError
        If the data are not valid, or only one of `X_val` and `y_val` is given.
    """
    if X_val is None and y_val is None:
        return None
    if X_val is None or y_val is None:
        raise ValueError("X_val and y_val must be given together.")
    X_val, y_val = check_data(estimator, X_val, y=y_val)
    rows = _make_rows(estimator, X_val, y_val, sample_weight_val)
    return rows.weighted_by_class(weights).without_weightless()


def _make_rows(estimator, X, y, sample_weight):
    """Encode labels, check weights, and leave out the rows of weight zero."""
    X = dense_if_small(X)
    if sample_weight is not None:
        sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype)
    rows = Rows(X, encode_labels(y, estimator.classes_), sample_weight)
    return rows.without_weightless()


def _are_equal(classes, learned):
    classes = np.unique(classes)
    return classes.shape == learned.shape and bool(np.all(classes == learned))


def class_weights(rows, classes, class_weight):
    """Return the weight of each class.

    Parameters
    ----------
    rows : Rows
        Training rows, weighted by `sample_weight` only.
    classes : ndarray of shape (n_classes,)
        The labels.
    class_weight : dict, "balanced" or None
        The parameter. A class that a dict does not name has weight 1.

    Returns
    -------
    weights : ndarray of shape (n_classes,) or None
        None for no weights. With "balanced", classes with the same total weight: a row
        of weight 2 counts as two rows, and one of weight 0 as none. A class without
        rows has weight 1.

    Raises
    ------
    ValueError
        If a weight is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist.neural_network._data import Rows, class_weights
    >>> rows = Rows(np.zeros((3, 1)), np.array([0, 1, 1]), np.array([1.0, 2.0, 3.0]))
    >>> class_weights(rows, np.array(["a", "b"]), "balanced")
    array([3. , 0.6])
    """
    if class_weight is None:
        return None
    if not isinstance(class_weight, str):
        weights = _weights_of_labels(classes, class_weight)
    else:
        totals = np.bincount(rows.y, rows.sample_weight, minlength=len(classes))
        present = totals > 0
        weights = np.ones(len(classes))
        weights[present] = totals.sum() / (present.sum() * totals[present])
    if np.any(weights < 0):
        raise ValueError(f"class_weight must not be negative. Got {class_weight!r}.")
    return weights


def _weights_of_labels(classes, class_weight):
    labels = classes.tolist()
    named = [label for label in labels if label in class_weight]
    if len(named) < min(len(labels), len(class_weight)):
        rest = [label for label in class_weight if label not in labels]
        warnings.warn(
            f"class_weight names labels that are not among the classes: {rest}. They "
            "have no effect.",
            stacklevel=9,
        )
    return np.array([class_weight.get(label, 1.0) for label in labels], dtype=float)


def encode_labels(y, classes):
    """Return the position of each label in `classes`.

    Raises
    ------
    ValueError
        If a label is not among the classes.
    """
    positions = np.searchsorted(classes, y)
    positions[positions == len(classes)] = 0
    known = classes[positions] == y
    if not np.all(known):
        unknown = sorted({str(label) for label in y[~known]})
        raise ValueError(
            f"y contains labels that are not among the classes: {', '.join(unknown)}"
        )
    return positions.astype(np.int32)


def center_and_scale(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each feature.

    Parameters
    ----------
    rows : Rows
        Training rows; a row of weight 2 counts as two.

    Returns
    -------
    center, scale : ndarray of shape (n_features,)
        The scale of a constant feature is 1.
    """
    # Of sparse data, scikit-learn finds the means too if it is not to subtract them.
    scaler = StandardScaler(with_mean=not issparse(rows.X))
    scaler.fit(rows.X, sample_weight=rows.sample_weight)
    return scaler.mean_, scaler.scale_


def draw_seeds(random_state, earlier=None):
    """Derive one seed for each purpose.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        With None, fresh entropy comes from the system. NumPy's global generator is
        not used.
    earlier : dict of str to int, default=None
        Seeds of a training that goes on. They stay, unless `random_state` is an int.

    Returns
    -------
    seeds : dict of str to int
        ``layers``, ``split`` and ``order``.
    """
    if earlier is not None and not isinstance(random_state, Integral):
        return earlier
    entropy = random_state
    if isinstance(random_state, np.random.RandomState):
        entropy = int(check_random_state(random_state).randint(2**31 - 1))
    state = SeedSequence(entropy).generate_state(3)
    return dict(zip(("layers", "split", "order"), map(int, state), strict=True))
