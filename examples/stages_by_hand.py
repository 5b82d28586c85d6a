# SPDX-License-Identifier: BSD-3-Clause

"""
The staged search by hand
=========================

Search a few parameters at a time, and start each stage from the winner of the stage
before. Here you need only scikit-learn's ``GridSearchCV`` and ``RandomizedSearchCV``.
The next lesson does the same in one call.
"""

# %%
# Three widths, three batch sizes and three learning rates have 27 combinations. Three
# stages have only nine candidates. But a staged search can miss values that are good
# only in combination.
import matplotlib.pyplot as plt
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedKFold

from skmnist import KerasMLPClassifier, load_digits_28x28, smallest

X, y = load_digits_28x28(return_X_y=True)

# All stages use the same folds.
folds = StratifiedKFold(2, shuffle=True, random_state=0)
classifier = KerasMLPClassifier(epochs=32, random_state=0)

# %%
# First stage: the width. Set the winner's parameters on a copy of the classifier. The
# second stage starts from this copy.
width = GridSearchCV(classifier, {"widths": [16, 32, 64]}, cv=folds, refit=False)
width.fit(X, y)
print(width.best_params_, width.cv_results_["mean_test_score"].round(3))
classifier = clone(classifier).set_params(**width.best_params_)

# %%
# Second stage: the batch size. Here we do not want the highest score. We want the
# smallest batch that loses at most one percent of accuracy. A selection rule is a
# function of ``cv_results_``; pass it as `refit`.
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
# Third stage: the learning rate. It is continuous, so we draw three values. Networks of
# one shape share one compiled program, so the second and third candidates need only a
# fraction of the time of the first.
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
# All drawn learning rates may be worse than the default, which was not among the
# candidates. If you write a staged search by hand, you can easily forget three things:
# to include the winner of the stage before, to use the same folds, and to keep the
# parameters of the winner.
print(
    f"Before the last stage {batch.cv_results_['mean_test_score'].max():.3f},", end=" "
)
print(f"after it {rate.best_score_:.3f}")

# %%
# Draw all candidates of the three stages, and the path of the winners.
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
stages = {"width": width, "batch size": batch, "learning rate": rate}
for name, stage in stages.items():
    scores = 100 * stage.cv_results_["mean_test_score"]
    ax.plot([name] * len(scores), scores, "o", color="0.7", markersize=8)
won = [100 * s.cv_results_["mean_test_score"][s.best_index_] for s in stages.values()]
ax.plot(list(stages), won, "o-", markersize=8, label="winner of the stage")
ax.margins(x=0.2)
ax.set_ylabel("mean accuracy of two folds, %")
ax.legend()
plt.show()
