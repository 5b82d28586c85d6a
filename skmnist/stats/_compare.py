"""Is the difference real? One answer for two classifiers, one bound for many."""

# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from ._standard_error import binomial_standard_error
from ._tests import as_bools, mcnemar_test, require, runs_test, two_proportions_test


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


def stage_significance(accuracies, reference, *, n_test, right=None):
    """Tell of each candidate of a stage whether it differs from the winner.

    Parameters
    ----------
    accuracies : array-like of float of shape (n_candidates,)
        Accuracies on the rows that judged; NaN for a candidate that failed.
    reference : int
        Position of the candidate to compare with, say the winner.
    n_test : int
        Number of rows that judged.
    right : array-like of bool of shape (n_candidates, n_test), default=None
        Whether each candidate read each row right: then `mcnemar_test` compares,
        else `two_proportions_test`.

    Returns
    -------
    columns : list of dict
        For each candidate ``standard_error`` of its accuracy, the binomial one
        ``sqrt(p * (1 - p) / n_test)``, and ``p_value``, two-sided and adjusted after
        Holm over the stage's comparisons; None for the reference itself and for what
        failed.

    Notes
    -----
    The winner was chosen because it came out best, so even an adjusted p-value
    against it is somewhat too small where the candidates are many and equal. Read it
    the other way round: a candidate with a large one is as good as the winner as far
    as these rows can tell.

    Examples
    --------
    >>> from skmnist.stats import stage_significance
    >>> columns = stage_significance([0.9814, 0.9791, 0.9667], 0, n_test=10_000)
    >>> [column["p_value"] for column in columns]  # doctest: +ELLIPSIS
    [None, 0.24..., 1.2...e-10]
    """
    accuracies = np.asarray(accuracies, dtype=float)
    p_values = np.full(len(accuracies), np.nan)
    for i, accuracy in enumerate(accuracies):
        if i == reference or np.isnan([accuracy, accuracies[reference]]).any():
            continue
        if right is None:
            counts = np.array([accuracy, accuracies[reference]]) * n_test
            p_values[i] = two_proportions_test(*counts, n=n_test).p_value
        else:
            p_values[i] = mcnemar_test(right[i], right[reference]).p_value
    errors = binomial_standard_error(accuracies, n_test)
    return [
        {
            "standard_error": None if np.isnan(error) else float(error),
            "p_value": None if np.isnan(p) else float(p),
        }
        for error, p in zip(errors, holm(p_values), strict=True)
    ]
