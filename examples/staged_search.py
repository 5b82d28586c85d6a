# SPDX-License-Identifier: BSD-3-Clause

"""
The staged search in one call
=============================

`StagedSearchCV` runs the three stages of the lesson before. The winner of each stage
takes part in the next stage, and each stage gives the reason for its choice.
"""

# %%
# A `Stage` has a name and a grid. With ``n_iter`` it has distributions to draw from.
# Give it a rule if you do not want the highest score. `record_scoring` adds more
# columns about each fit to the table.
import matplotlib.pyplot as plt
from scipy.stats import loguniform
from sklearn.model_selection import StratifiedKFold

from skmnist import (
    KerasMLPClassifier,
    Stage,
    StagedSearchCV,
    StageScoresDisplay,
    load_digits_28x28,
    record_scoring,
    smallest,
)

X, y = load_digits_28x28(return_X_y=True)

search = StagedSearchCV(
    KerasMLPClassifier(epochs=32, random_state=0),
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
# Print the choice of each stage and its reason. The last stage has four candidates: the
# winner of the second stage takes part, so no stage can make the model worse.
for stage in search.stages_:
    print(f"{stage.name}: {stage.params} because {stage.reason}")

# %%
# One table has all stages. It has the columns of ``GridSearchCV`` and a column
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
# A display draws the candidates of a stage, with the winner marked.
fig, axes = plt.subplots(3, figsize=(7, 7), layout="constrained")
for ax, stage in zip(axes, search.stages_, strict=True):
    StageScoresDisplay.from_search(search, stage.name).plot(ax)
plt.show()

# %%
# The grid can be a function of the parameters chosen so far. Here it distributes the
# same number of nodes in different ways over two layers.


def distributions(chosen):
    """Return widths with the same sum."""
    width = chosen["widths"]
    return {
        "widths": [width, (width // 2, width * 3 // 2), (width * 3 // 2, width // 2)]
    }


search = StagedSearchCV(
    KerasMLPClassifier(depth=2, epochs=20, random_state=0),
    [Stage("width", {"widths": [32, 64]}), Stage("distribution", distributions)],
    cv=2,
)
print(search.fit(X, y).best_params_)
