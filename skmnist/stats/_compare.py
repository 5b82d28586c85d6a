"""Is the difference real? One answer for two classifiers, one bound for many."""

# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from ._tests import as_bools, mcnemar_test, require, runs_test


def compare(a, b, X=None, y=None, *, confidence=0.95):
    """Tell whether two classifiers differ by more than chance on the same rows.

    One classifier, or one run, of each is a matter for `mcnemar_test`: does the
    difference go beyond what other test rows would change? Several runs of each,
    which differ in their seeds, also say what another seed would change, see
    `runs_test`; only they tell whether one *choice* of parameters is better than
    another, and not just one network than another.

    Parameters
    ----------
    a, b : fitted classifier, list of them, or array-like
        Fitted classifiers, one or several runs of each. Or their predictions,
        where `y` is given, or whether each row was read right, where it is not: of
        shape (n_rows,) for one run, (n_runs, n_rows) for several.
    X : array-like of shape (n_rows, n_features), default=None
        The rows to judge by, for fitted classifiers: neither trained on, nor used
        to choose between them.
    y : array-like of shape (n_rows,), default=None
        True classes, for fitted classifiers and for predictions.
    confidence : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    found : Comparison
        The difference, how sure it is, and by which test.

    See Also
    --------
    skmnist.compare_candidates : Two candidates of a search.
    holm : Several comparisons at once.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skmnist import compare
    >>> X, y = load_digits(return_X_y=True)
    >>> small, large = (
    ...     DecisionTreeClassifier(max_depth=depth, random_state=0).fit(X[::2], y[::2])
    ...     for depth in (4, 8)
    ... )
    >>> compare(large, small, X[1::2], y[1::2]).significant()
    True
    """
    right_a, right_b = (_right(one, X, y) for one in (a, b))
    if right_a.shape[-1] != right_b.shape[-1]:
        raise ValueError(
            "both must be judged on the same rows; "
            f"got {right_a.shape[-1]} and {right_b.shape[-1]}"
        )
    if right_a.ndim == right_b.ndim == 1:
        return mcnemar_test(right_a, right_b, confidence=confidence)
    return runs_test(right_a, right_b, confidence=confidence)


def _right(given, X, y):
    """Tell of each row whether it was read right: one row of bools for each run."""
    if hasattr(given, "predict"):
        require(X is not None and y is not None, "fitted classifiers need X and y")
        return np.asarray(given.predict(X) == np.asarray(y))
    several = isinstance(given, list | tuple) and len(given) > 0
    if several and all(hasattr(one, "predict") for one in given):
        return np.stack([_right(one, X, y) for one in given])
    require(X is None, "X is for fitted classifiers; predictions need y alone")
    given = np.asarray(given)
    if y is not None:
        require(
            given.shape[-1:] == np.shape(y),
            f"predictions of shape {given.shape} do not fit y of shape {np.shape(y)}",
        )
        return given == np.asarray(y)
    return as_bools(given)


def holm(p_values):
    """Adjust p-values for being several, after Holm [1]_.

    Whoever makes twenty comparisons finds one below 0.05 by chance alone. The
    adjusted p-values below 0.05 are, all together, wrong with probability 0.05 at
    most, whatever the comparisons have in common.

    Parameters
    ----------
    p_values : array-like of float
        One for each comparison; NaN for one that was not made.

    Returns
    -------
    adjusted : ndarray of float
        In the same order; NaN where there was none.

    Notes
    -----
    In rising order the smallest of ``m`` is multiplied by ``m``, the next by
    ``m - 1`` and so on; none is below the one before it, or above 1.

    References
    ----------
    .. [1] S. Holm, "A simple sequentially rejective multiple test procedure",
       Scandinavian Journal of Statistics 6, 65-70, 1979.

    Examples
    --------
    >>> from skmnist import holm
    >>> holm([0.01, 0.04, 0.03, 0.005]).round(2).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    p_values = np.asarray(p_values, dtype=float)
    made = np.flatnonzero(~np.isnan(p_values))
    require(
        ((p_values[made] >= 0) & (p_values[made] <= 1)).all(),
        "p-values are between 0 and 1",
    )
    order = made[np.argsort(p_values[made], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted = np.full(p_values.shape, np.nan)
    rising = np.maximum.accumulate(p_values[order] * factors)
    adjusted[order] = np.minimum(rising, 1.0)
    return adjusted
