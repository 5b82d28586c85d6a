"""
The staged search
=================

A few parameters at a time, each stage from the winner of the one before.
"""

# SPDX-License-Identifier: BSD-3-Clause

# %%
from skmnist import (
    KerasMLPClassifier,
    Stage,
    StagedSearchCV,
    load_digits_28x28,
    record_scoring,
    within_gap,
)

X, y = load_digits_28x28(return_X_y=True)

# %%
# The second stage's grid is a function of what the first has chosen: the same
# number of nodes, distributed differently.


def distributions(chosen):
    """Return widths of an equal total."""
    width = chosen["widths"]
    return {
        "widths": [width, (width // 2, width * 3 // 2), (width * 3 // 2, width // 2)]
    }


search = StagedSearchCV(
    KerasMLPClassifier(depth=2, epochs=10, early_stopping=True, random_state=0),
    [
        Stage("width", {"widths": [32, 64]}, rule=within_gap(0.01)),
        Stage("distribution", distributions, rule=within_gap(0.01)),
    ],
    scoring=record_scoring(),
    cv=2,
)
search.fit(X, y)

# %%
# Each stage says what it chose and why.
for stage in search.stages_:
    print(f"{stage.name}: {stage.params} because {stage.reason}")
