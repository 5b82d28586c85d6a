# SPDX-License-Identifier: BSD-3-Clause

"""
Replace MLPClassifier in a grid search
======================================

Use scikit-learn's ``MLPClassifier`` and our classifier in the same `GridSearchCV`. You
have to change little in your script, and you can search more parameters.
"""

# %%
# This is a usual grid search with scikit-learn's network. The network warns if it has
# not converged after ``max_iter`` epochs. Here we want few epochs and ignore the
# warning.
import warnings

import matplotlib.pyplot as plt
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier

from skmnist import KerasMLPClassifier, load_digits_28x28

X, y = load_digits_28x28(return_X_y=True)

theirs = GridSearchCV(
    MLPClassifier(max_iter=25, batch_size=64, random_state=0),
    {"hidden_layer_sizes": [(64,), (64, 32)], "learning_rate_init": [0.002]},
    cv=2,
)
with warnings.catch_warnings(category=ConvergenceWarning, action="ignore"):
    theirs.fit(X, y)
print(theirs.best_params_, round(theirs.best_score_, 3))

# %%
# This is the same search with our classifier. ``hidden_layer_sizes`` becomes `widths`,
# ``learning_rate_init`` becomes `learning_rate`, and ``max_iter`` becomes `epochs`. The
# number of hidden layers follows from `widths`. ``fit``, ``predict``,
# ``predict_proba``, ``score``, ``classes_``, ``coefs_``, ``loss_curve_`` and other
# names stay the same.
ours = GridSearchCV(
    KerasMLPClassifier(epochs=25, batch_size=64, random_state=0),
    {"widths": [(64,), (64, 32)], "learning_rate": [0.002]},
    cv=2,
)
ours.fit(X, y)
print(ours.best_params_, round(ours.best_score_, 3))

# %%
# Our classifier has activations, initializers and dropout for each layer.
# ``MLPClassifier`` has one activation for the whole network, and no initializers or
# dropout. A single value is for all layers. A tuple has one value for each layer, from
# input to output.
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

# %%
# Draw all three searches. Each point is a candidate.
fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
searches = {"MLPClassifier": theirs, "ours, the same grid": ours, "ours, more": more}
for name, search in searches.items():
    scores = search.cv_results_["mean_test_score"]
    ax.plot(100 * scores, [name] * len(scores), "o", alpha=0.7, markersize=9)
ax.invert_yaxis()
ax.margins(y=0.3)
ax.set(xlabel="mean accuracy of two folds, %", title="One grid, two classifiers")
plt.show()
