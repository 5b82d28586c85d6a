"""
One stage by hand, with GridSearchCV and RandomizedSearchCV
===========================================================

Every part of the network is a parameter, so scikit-learn's own searches run any
single stage. A selection rule may choose the winner.
"""

# SPDX-License-Identifier: BSD-3-Clause

# %%
from scipy.stats import loguniform
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from skmnist import KerasMLPClassifier, load_digits_28x28, smallest

X, y = load_digits_28x28(return_X_y=True)
classifier = KerasMLPClassifier(widths=64, epochs=10, random_state=0)

# %%
# The smallest batch that costs at most one percent of accuracy.
search = GridSearchCV(
    classifier,
    {"batch_size": [32, 64, 128]},
    cv=3,
    refit=smallest("batch_size", tolerance=0.01),
)
search.fit(X, y)
print(search.best_params_, search.cv_results_["mean_test_score"].round(3))

# %%
# Samples of a continuous parameter. Networks of one shape share one compiled
# program, so that further samples cost a fraction of the first.
search = RandomizedSearchCV(
    classifier,
    {"learning_rate": loguniform(1e-4, 1e-2)},
    n_iter=5,
    cv=3,
    random_state=0,
)
search.fit(X, y)
print(search.best_params_, round(search.best_score_, 3))
