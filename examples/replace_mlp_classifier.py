# SPDX-License-Identifier: BSD-3-Clause

"""
Replace MLPClassifier in a grid search
======================================

scikit-learn's own ``MLPClassifier`` and ours in the same `GridSearchCV`. A script
that has the one needs little change for the other, and can search more.
"""

# %%
# A grid search with scikit-learn's network, as it is found in many scripts. It warns
# where ``max_iter`` epochs do not bring it to the end; here that is intended.
import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier

from skmnist import KerasMLPClassifier, load_digits_28x28

X, y = load_digits_28x28(return_X_y=True)

theirs = GridSearchCV(
    MLPClassifier(max_iter=10, batch_size=64, random_state=0),
    {"hidden_layer_sizes": [(64,), (64, 32)], "learning_rate_init": [0.002]},
    cv=2,
)
with warnings.catch_warnings(category=ConvergenceWarning, action="ignore"):
    theirs.fit(X, y)
print(theirs.best_params_, round(theirs.best_score_, 3))

# %%
# The same with ours. ``hidden_layer_sizes`` is `depth` and `widths`,
# ``learning_rate_init`` is `learning_rate` and ``max_iter`` is `epochs`; ``fit``,
# ``predict``, ``predict_proba``, ``score``, ``classes_``, ``coefs_``,
# ``loss_curve_`` and the rest keep name and meaning.
ours = GridSearchCV(
    KerasMLPClassifier(epochs=10, batch_size=64, random_state=0),
    [
        {"depth": [1], "widths": [64], "learning_rate": [0.002]},
        {"depth": [2], "widths": [(64, 32)], "learning_rate": [0.002]},
    ],
    cv=2,
)
ours.fit(X, y)
print(ours.best_params_, round(ours.best_score_, 3))

# %%
# What ``MLPClassifier`` has as one setting for the whole network, or not at all, is
# a parameter of each layer: activations, initializers, dropout. A layer's own value
# stands in a tuple, from input to output; a single value is for all layers.
more = GridSearchCV(
    ours.best_estimator_,
    {
        "activations": ["relu", "tanh"],
        "initializers": ["he_normal", "glorot_uniform"],
    },
    cv=2,
)
more.fit(X, y)
for params, score in zip(
    more.cv_results_["params"], more.cv_results_["mean_test_score"], strict=True
):
    print(f"{score:.3f}  {params}")
