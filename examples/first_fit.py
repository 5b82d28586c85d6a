"""
First fit
=========

Train a network on the digits that ship with scikit-learn, watch when it stops, and
look at what it learned. Runs in a few seconds, without a network connection.
"""

# SPDX-License-Identifier: BSD-3-Clause

# %%
# The data come as scikit-learn gives its own: a matrix, labels, and which rows are
# meant for training.
from skmnist import KerasMLPClassifier, load_digits_28x28

digits = load_digits_28x28()
X_train, y_train = digits.data[digits.train], digits.target[digits.train]
X_test, y_test = digits.data[digits.test], digits.target[digits.test]

# %%
# Below 10,000 samples nothing is held out unless asked for; here it is.
classifier = KerasMLPClassifier(
    depth=2, widths=(64, 32), early_stopping=True, epochs=40, random_state=0
)
classifier.fit(X_train, y_train)
print(f"Stopped after {classifier.n_iter_} epochs: {classifier.stop_reason_}")
print(f"Validation accuracy there: {classifier.best_validation_score_:.3f}")
print(f"Test accuracy: {classifier.score(X_test, y_test):.3f}")

# %%
# The weights are plain arrays, one per layer.
print([weights.shape for weights in classifier.coefs_])
