# SPDX-License-Identifier: BSD-3-Clause

"""
The staged search by hand
=========================

A few parameters at a time, each stage from the winner of the one before, with
nothing but scikit-learn's ``GridSearchCV`` and ``RandomizedSearchCV``. The next
lesson does the same in one call.
"""

# %%
# All combinations of three widths, three batch sizes and three learning rates are 27
# candidates; three stages of them are nine. What a staged search gives up is a
# combination whose parts win only together.
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedKFold

from skmnist import KerasMLPClassifier, load_digits_28x28, smallest

X, y = load_digits_28x28(return_X_y=True)

# All stages are judged on the same folds.
folds = StratifiedKFold(2, shuffle=True, random_state=0)
classifier = KerasMLPClassifier(epochs=8, random_state=0)

# %%
# First stage: the width. Its winner's parameters are set on a copy of the
# classifier, which is where the second stage starts from.
width = GridSearchCV(classifier, {"widths": [16, 32, 64]}, cv=folds, refit=False)
width.fit(X, y)
print(width.best_params_, width.cv_results_["mean_test_score"].round(3))
classifier = clone(classifier).set_params(**width.best_params_)

# %%
# Second stage: the batch size. Here the highest score is not what we want, but the
# smallest batch that costs at most one percent of accuracy. A selection rule is a
# function of ``cv_results_``, and `refit` takes it.
batch = GridSearchCV(
    classifier,
    {"batch_size": [32, 64, 128]},
    cv=folds,
    refit=smallest("batch_size", tolerance=0.01),
)
batch.fit(X, y)
print(batch.best_params_, batch.cv_results_["mean_test_score"].round(3))
classifier = clone(classifier).set_params(**batch.best_params_)

# %%
# Third stage: the learning rate, a continuous parameter, of which three values are
# drawn. Networks of one shape share one compiled program, so that every further
# candidate costs a fraction of the first.
rate = RandomizedSearchCV(
    classifier,
    {"learning_rate": loguniform(3e-4, 1e-2)},
    n_iter=3,
    cv=folds,
    random_state=0,
)
rate.fit(X, y)
print(rate.cv_results_["mean_test_score"].round(3))
print(f"learning_rate={rate.best_params_['learning_rate']:.4f}")

# %%
# The drawn learning rates may all be worse than the one the stage started from: it
# was not among the candidates. This, the same folds everywhere, and carrying the
# parameters along is what is easily forgotten when a staged search is written by
# hand.
print(
    f"Before the last stage {batch.cv_results_['mean_test_score'].max():.3f},", end=" "
)
print(f"after it {rate.best_score_:.3f}")
