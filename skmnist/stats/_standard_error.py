"""The standard error of a proportion."""

# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from numpy.typing import ArrayLike, NDArray


def binomial_standard_error(
    proportion: ArrayLike, n: ArrayLike
) -> np.float64 | NDArray[np.float64]:
    """Return the standard error of an accuracy, or of any other proportion.

    Parameters
    ----------
    proportion : float or array-like of float
        The observed proportion, between 0 and 1; NaN gives NaN.
    n : int or array-like of int
        Number of rows that the proportion was computed on.

    Returns
    -------
    standard_error : float or ndarray of float
        ``sqrt(p * (1 - p) / n)``, in the unit of the proportion.

    References
    ----------
    A. Agresti, "Categorical Data Analysis", 3rd ed., 2013, section 1.3.

    Examples
    --------
    >>> from skmnist.stats import binomial_standard_error
    >>> round(float(binomial_standard_error(0.98, 10_000)), 4)
    0.0014
    """
    p = np.asarray(proportion, dtype=float)
    return np.sqrt(p * (1 - p) / np.asarray(n))
