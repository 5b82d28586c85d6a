"""What a fitted classifier answers: probabilities and classes."""

# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ._data import DTYPES
from ._inference import forward, network_layers


class NetworkPredicting(ClassifierMixin):
    """The answers of `KerasMLPClassifier`; never used by itself.

    A subclass has the layers of its network as `NetworkKeeping` has them.
    """

    def predict_proba(self, X):
        """Predict the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Rows sum to one; columns are ordered as `classes_`.
        """
        check_is_fitted(self, "_wrapper")
        X = validate_data(self, X, accept_sparse="csr", dtype=DTYPES, reset=False)
        X = X if isinstance(X, np.ndarray) else X.toarray()
        probabilities = forward(self._layers or network_layers(self._network), X)
        if self.n_outputs_ == 1:
            return np.hstack([1 - probabilities, probabilities])
        return probabilities

    def predict_log_proba(self, X):
        """Predict the logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Natural logarithms; columns are ordered as `classes_`.
        """
        probabilities = self.predict_proba(X)
        # The logarithm of the smallest number the type knows, not of zero.
        return np.log(np.maximum(probabilities, np.finfo(probabilities.dtype).tiny))

    def predict(self, X):
        """Predict the most probable class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Class labels.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[np.argmax(probabilities, axis=1)]
