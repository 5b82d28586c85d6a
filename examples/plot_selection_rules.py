# SPDX-License-Identifier: BSD-3-Clause

"""
Selection rules
===============

Which candidate of a search is the best? The highest score is one answer. Others
weigh it against its price, its uncertainty, or overfitting.
"""

# %%
# One search, six widths, three folds. ``refit=False``: the rules read its table
# afterwards, each one the same. The training scores are for `within_gap`.
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
    KerasMLPClassifier(depth=1, epochs=15, random_state=0),
    {"widths": [8, 16, 32, 64, 128, 256]},
    cv=3,
    refit=False,
    return_train_score=True,
)
search.fit(X, y)

# %%
# A rule is a function of ``cv_results_`` that returns a row; `explain` says in a
# sentence why it chose that one.
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
# Accuracy over the width, with the standard error over the folds, and who chose what.
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
# Any of them may choose the model that the search fits at its end
# (``GridSearchCV(refit=rule)``) or the winner of a stage (``Stage(rule=rule)``); so
# may a function of your own. This one wants the fastest fit above 90 %.


def fastest_above_90_percent(cv_results):
    """Return the row with the shortest fit among the accurate ones."""
    accurate = cv_results["mean_test_score"] > 0.9
    return int(np.argmin(np.where(accurate, cv_results["mean_fit_time"], np.inf)))


row = fastest_above_90_percent(search.cv_results_)
print(explain(fastest_above_90_percent, search.cv_results_, row))
