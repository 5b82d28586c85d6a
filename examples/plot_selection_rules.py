# SPDX-License-Identifier: BSD-3-Clause

"""
Selection rules
===============

Which candidate of a search is the best? The one with the highest score is one answer.
Other rules also consider its size, its uncertainty, or overfitting.
"""

# %%
# Search six widths with three folds. ``refit=False``, because all rules read the same
# table afterwards. The rule `within_gap` needs the training scores.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV

from skmnist import (
    KerasMLPClassifier,
    best_score,
    load_digits_28x28,
    one_standard_error,
    prefer,
    smallest,
    within_gap,
)
from skmnist.model_selection import explain

X, y = load_digits_28x28(return_X_y=True)
search = GridSearchCV(
    KerasMLPClassifier(depth=1, epochs=25, random_state=0),
    {"widths": [8, 16, 32, 64, 128, 256]},
    cv=3,
    refit=False,
    return_train_score=True,
)
search.fit(X, y)

# %%
# A rule is a function that takes ``cv_results_`` and returns a row. `explain` gives the
# reason for the choice in one sentence.
rules = {
    "best_score": best_score,
    "one_standard_error": one_standard_error("widths"),
    "smallest": smallest("widths", tolerance=0.01),
    "within_gap": within_gap(0.01),
    "prefer": prefer("widths", 64, tolerance=0.02),
}
chosen = {name: rule(search.cv_results_) for name, rule in rules.items()}
for name, row in chosen.items():
    print(f"{name}: {explain(rules[name], search.cv_results_, row)}.")

# %%
# Draw the accuracy of each width with its standard error over the folds. Arrows show
# the choice of each rule.
widths = search.cv_results_["param_widths"].astype(int)
accuracy = search.cv_results_["mean_test_score"]
error = search.cv_results_["std_test_score"] / np.sqrt(search.n_splits_ - 1)

fig, ax = plt.subplots(figsize=(8, 5), layout="constrained")
ax.errorbar(widths, accuracy, error, marker="o", capsize=3)
for row in set(chosen.values()):
    names = [name for name, index in chosen.items() if index == row]
    ax.annotate(
        "\n".join(names),
        (widths[row], accuracy[row]),
        xytext=(0, -40),
        textcoords="offset points",
        ha="center",
        va="top",
        arrowprops={"arrowstyle": "->"},
    )
ax.set_xscale("log", base=2)
ax.set_xticks(widths, widths)
ax.margins(x=0.15)
ax.set(xlabel="width of the hidden layer", ylabel="mean accuracy of three folds")
plt.show()

# %%
# A rule can choose the model that a search fits at its end
# (``GridSearchCV(refit=rule)``), or the winner of a stage (``Stage(rule=rule)``). You
# can write your own rule. This one chooses the fastest fit above 90 %.


def fastest_above_90_percent(cv_results):
    """Return the row with the shortest fit among the accurate ones."""
    accurate = cv_results["mean_test_score"] > 0.9
    return int(np.argmin(np.where(accurate, cv_results["mean_fit_time"], np.inf)))


row = fastest_above_90_percent(search.cv_results_)
print(explain(fastest_above_90_percent, search.cv_results_, row))
