# SPDX-License-Identifier: BSD-3-Clause

"""
The staged search in one call
=============================

The three stages of the lesson before as a `StagedSearchCV`, which carries each
winner into the next stage, lets it take part there, and says why it was chosen.
"""

# %%
# A `Stage` has a name and a grid; with ``n_iter``, distributions to draw from; and a
# rule where the highest score is not what is wanted. `record_scoring` adds columns
# that say more about each fit than its accuracy.
from scipy.stats import loguniform
from sklearn.model_selection import StratifiedKFold

from skmnist import (
    KerasMLPClassifier,
    Stage,
    StagedSearchCV,
    load_digits_28x28,
    record_scoring,
    smallest,
)

X, y = load_digits_28x28(return_X_y=True)

search = StagedSearchCV(
    KerasMLPClassifier(epochs=8, random_state=0),
    [
        Stage("width", {"widths": [16, 32, 64]}),
        Stage(
            "batch size",
            {"batch_size": [32, 64, 128]},
            rule=smallest("batch_size", tolerance=0.01),
        ),
        Stage("learning rate", {"learning_rate": loguniform(3e-4, 1e-2)}, n_iter=3),
    ],
    scoring=record_scoring(),
    cv=StratifiedKFold(2, shuffle=True, random_state=0),
    random_state=0,
)
search.fit(X, y)

# %%
# Each stage says what it chose and why. The last one has four candidates: the winner
# of the second takes part, so that no stage can make the model worse.
for stage in search.stages_:
    print(f"{stage.name}: {stage.params} because {stage.reason}")

# %%
# There is one table for all stages, with the columns of ``GridSearchCV`` and a column
# ``stage``.
results = search.cv_results_
for stage, params, accuracy, n_parameters in zip(
    results["stage"],
    results["params"],
    results["mean_test_accuracy"],
    results["mean_test_n_parameters"],
    strict=True,
):
    print(f"{stage:<14}{accuracy:.3f} {n_parameters:8,.0f} parameters  {params}")

# %%
# A grid may be a function of what the stages before it have chosen: here the same
# number of nodes, distributed differently over two layers.


def distributions(chosen):
    """Return widths of an equal total."""
    width = chosen["widths"]
    return {
        "widths": [width, (width // 2, width * 3 // 2), (width * 3 // 2, width // 2)]
    }


search = StagedSearchCV(
    KerasMLPClassifier(depth=2, epochs=8, random_state=0),
    [Stage("width", {"widths": [32, 64]}), Stage("distribution", distributions)],
    cv=2,
)
print(search.fit(X, y).best_params_)
