"""
Selection rules
===============

Which candidate of a search is the best? The highest score is one answer. Others
weigh it against its price, its uncertainty, or overfitting.
"""

# SPDX-License-Identifier: BSD-3-Clause

# %%
# One search, six widths, two folds. ``refit=False``: the rules read its table
# afterwards, each one the same.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV

from skmnist import (
    KerasMLPClassifier,
    best_score,
    load_digits_28x28,
    one_standard_error,
    prefer,
    record_scoring,
    smallest,
    within_gap,
)
from skmnist.selection import explain

X, y = load_digits_28x28(return_X_y=True)
search = GridSearchCV(
    KerasMLPClassifier(depth=1, epochs=8, early_stopping=True, random_state=0),
    {"widths": [4, 8, 16, 32, 64, 128]},
    scoring=record_scoring(),
    cv=3,
    refit=False,
)
search.fit(X, y)

# %%
# A rule is a function of ``cv_results_`` that returns a row; `explain` says in a
# sentence why it chose that one.
rules = {
    "best_score": best_score,
    "one_standard_error": one_standard_error("n_parameters"),
    "smallest": smallest("widths", tolerance=0.02),
    "within_gap": within_gap(0.01),
    "prefer": prefer("widths", 32, tolerance=0.01),
}
chosen = {name: rule(search.cv_results_) for name, rule in rules.items()}
for name, row in chosen.items():
    print(f"{name}: {explain(rules[name], search.cv_results_, row)}.")

# %%
# Accuracy over the width, with the standard error over the folds, and who chose what.
widths = search.cv_results_["param_widths"].astype(int)
accuracy = search.cv_results_["mean_test_accuracy"]
error = search.cv_results_["std_test_accuracy"] / np.sqrt(search.n_splits_ - 1)

fig, ax = plt.subplots(figsize=(7, 5), layout="constrained")
ax.errorbar(widths, accuracy, error, marker="o", capsize=3)
for row in set(chosen.values()):
    names = [name for name, index in chosen.items() if index == row]
    ax.annotate(
        "\n".join(names),
        (widths[row], accuracy[row]),
        xytext=(0, -70),
        textcoords="offset points",
        ha="center",
        va="top",
        arrowprops={"arrowstyle": "->"},
    )
ax.set_xscale("log", base=2)
ax.set_xticks(widths, widths)
ax.set(xlabel="width of the hidden layer", ylabel="mean accuracy of three folds")
plt.show()

# %%
# Any of them may choose the model that the search fits at its end
# (``GridSearchCV(refit=rule)``) or the winner of a stage (``Stage(rule=rule)``); so
# may a function of your own. This one wants the fastest fit above 90 %.


def fastest_above_90_percent(cv_results):
    """Return the row with the shortest fit among the accurate ones."""
    seconds = np.where(
        cv_results["mean_test_accuracy"] > 0.9, cv_results["mean_fit_time"], np.inf
    )
    return int(np.argmin(seconds))


row = fastest_above_90_percent(search.cv_results_)
print(explain(fastest_above_90_percent, search.cv_results_, row))
