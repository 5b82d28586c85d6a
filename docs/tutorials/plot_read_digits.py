# SPDX-License-Identifier: BSD-3-Clause

"""
Teach a network to read digits in 45 minutes
============================================

You will train a neural network that reads handwritten digits, see what it misreads,
stop its training in time, search for a better one, and find out whether "better" is
more than luck. You need some Python, and have seen ``fit`` and ``predict`` of
scikit-learn before.

1. Look at the data (5 minutes)
2. A first network (10 minutes)
3. What does it misread? (5 minutes)
4. Stop in time (5 minutes)
5. Search in stages (10 minutes)
6. Is the difference real? (10 minutes)

Each part ends with an exercise. The solutions are at the end; try first.

To run this lesson as a notebook, type ``pip install ".[plots]" notebook`` in a clone of
the repository, then ``jupyter notebook docs/tutorials/read_digits.ipynb``.
"""

# %%
# 1. Look at the data
# -------------------
#
# The data set has 1,797 digits of 8 x 8 pixels, from 0 for paper to 16 for ink. It
# ships with scikit-learn. We divide by 16, so that pixels are from 0 to 1, and keep a
# fifth of the digits for the end: these test digits judge the network, so it must not
# see them.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

N_ROWS, EPOCHS = 1797, 30  # smaller numbers are quicker, and less exact

X, y = load_digits(return_X_y=True)
X, y = (X / 16).astype("float32")[:N_ROWS], y[:N_ROWS]
SHAPE = (8, 8)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.2, stratify=y, random_state=0
)
print(X_train.shape, X_test.shape)

fig, axes = plt.subplots(2, 10, figsize=(8, 1.9), layout="constrained")
for ax, pixels, label in zip(axes.flat, X_train, y_train, strict=False):
    ax.imshow(pixels.reshape(SHAPE), cmap="gray_r")
    ax.set_title(label, fontsize=9)
    ax.set_axis_off()
plt.show()

# %%
# *To take MNIST instead*, 70,000 digits of 28 x 28 pixels, replace the lines that load
# the data by these, and read the rest as it is. MNIST is downloaded once, 11 MB; the
# searches below then take minutes, so begin with 5,000 rows.
#
# .. code-block:: python
#
#    from skmnist import fetch_mnist
#
#    X, y = fetch_mnist(return_X_y=True)
#    X, y, SHAPE = X[:5000], y[:5000], (28, 28)
#
# **Exercise 1.** Draw the mean picture of each class. For which classes is it blurred?

# %%
# 2. A first network
# ------------------
#
# A *multilayer perceptron* computes weighted sums of the pixels, bends them, and does
# so again, layer by layer; the last layer gives a probability for each digit. Training
# changes the weights so that the right digit gets a high probability. One pass over the
# training digits is an *epoch*.
#
# ``KerasMLPClassifier`` is such a network with the methods of scikit-learn. With
# ``verbose=1`` it prints a line for each epoch. Watch the *loss* fall: it is large
# where the network gives the right digit a low probability.
#
# A warning says that this training is short. It is: so the lesson stays quick, and
# something is left to gain.
from skmnist import KerasMLPClassifier

first = KerasMLPClassifier(
    depth=1, widths=32, epochs=min(EPOCHS, 8), random_state=0, verbose=1
)
first.fit(X_train, y_train)
print(f"Test digits that it reads right: {first.score(X_test, y_test):.1%}")

# %%
# The network has learned 32 patterns of ink. Red pixels speak for the pattern, blue
# ones against it.
from skmnist import FirstLayerDisplay

FirstLayerDisplay.from_estimator(first).plot()
plt.show()

# %%
# With nothing set, the classifier chooses layers, epochs and batches that suit the
# data. We compare it with a classifier without hidden layers, the logistic regression.
from sklearn.linear_model import LogisticRegression

plain = LogisticRegression(max_iter=1000).fit(X_train, y_train)
network = KerasMLPClassifier(epochs=2 * EPOCHS, random_state=0).fit(X_train, y_train)
print(f"logistic regression: {plain.score(X_test, y_test):.1%}")
print(f"network:             {network.score(X_test, y_test):.1%}")

# %%
# **Exercise 2.** Train networks with one hidden layer of 2, 8 and 32 units. How many
# units does it take to read nine of ten digits?

# %%
# 3. What does it misread?
# ------------------------
#
# An accuracy hides what goes wrong. The misread digits show it. Would you have read
# them?
from skmnist import MisreadDigitsDisplay

MisreadDigitsDisplay.from_estimator(first, X_test, y_test, picture_shape=SHAPE).plot()
plt.show()

# %%
# **Exercise 3.** Which two digits does the first network confuse most often? Use
# ``sklearn.metrics.confusion_matrix``.

# %%
# 4. Stop in time
# ---------------
#
# A network that trains for long learns its training digits by heart. To notice, hold
# out some of them: *validation* digits. With ``early_stopping=True`` a tenth is held
# out, training stops when their loss no longer falls, and the weights of the best epoch
# are kept.
from skmnist import FitCurveDisplay

stopped = KerasMLPClassifier(
    epochs=4 * EPOCHS, early_stopping=True, patience=5, random_state=0
)
stopped.fit(X_train, y_train)
print(
    f"{stopped.n_iter_} epochs, best was {stopped.best_iter_}: {stopped.stop_reason_}"
)
FitCurveDisplay.from_estimator(stopped).plot(metric="loss")
plt.show()

# %%
# **Exercise 4.** What do ``patience=1`` and ``patience=20`` change?

# %%
# 5. Search in stages
# -------------------
#
# How many units, which learning rate, which batch size? To try all combinations takes
# long. A *staged search* tries a few parameters at a time, keeps the best, and goes on.
# Each candidate is judged by cross-validation: three times, another third of the
# training digits judges.
#
# ``SearchProgress`` prints what each stage chose, and why. At the end the search itself
# is shown: its stages, winners and reasons. Open "Candidates of stage" to see the rest.
from skmnist import Stage, StagedSearchCV
from skmnist.model_selection import SearchProgress

search = StagedSearchCV(
    KerasMLPClassifier(depth=1, epochs=EPOCHS, random_state=0),
    [
        Stage("width", {"widths": [8, 32, 128]}),
        Stage("batch size", {"batch_size": [32, 128]}),
    ],
    cv=3,
)
search.set_callbacks(SearchProgress()).fit(X_train, y_train)
search

# %%
# The winner is fitted again on all training digits. Only now the test digits are used.
print(search.best_params_)
print(f"Test digits that it reads right: {search.score(X_test, y_test):.1%}")

# %%
# **Exercise 5.** Add a third stage that tries ``dropout`` of 0, 0.1 and 0.3. Does it
# make the network better?

# %%
# 6. Is the difference real?
# --------------------------
#
# The winner has the highest score. But scores differ by luck, too: other digits, or
# other first weights, would give others. ``compare_candidates`` asks how often chance
# alone makes a difference as large as this one. That is the *p-value*; below 0.05 we
# say that two candidates differ.
from skmnist import compare_candidates

for a, b in [(1, 0), (2, 1)]:
    print(compare_candidates(search, a, b).sentence)

# %%
# Three folds are few: only large differences are more than chance. That does not show
# that the candidates are equal, only that this search cannot tell them apart.
#
# Two networks that differ in their first weights alone make other mistakes. On a few
# hundred test digits, such differences can look like progress.
from skmnist import compare

again = KerasMLPClassifier(epochs=2 * EPOCHS, random_state=1).fit(X_train, y_train)
print(compare(again, network, X_test, y_test).sentence)

# %%
# **Exercise 6.** Compare the logistic regression with the network on the test digits.
# Is the network better by more than chance?

# %%
# Where to go from here
# ---------------------
#
# - The example "Distorted images": more training digits than you have.
# - The guide's page "Racing": a search that says when it cannot tell.
# - ``skmnist study --dataset mnist --time-budget 8m`` runs a whole study and writes a
#   report, with a page to draw digits on.

# %%
# Solutions
# ---------
#
# **Exercise 1.** Classes that people write in several ways, such as 1 and 8, are
# blurred. A 0 is much the same for all.
fig, axes = plt.subplots(1, 10, figsize=(8, 1), layout="constrained")
for digit, ax in enumerate(axes):
    ax.imshow(X_train[y_train == digit].mean(axis=0).reshape(SHAPE), cmap="gray_r")
    ax.set_axis_off()
plt.show()

# %%
# **Exercise 2.** Two sums are too few to tell ten digits apart; eight are enough for
# most.
for units in (2, 8, 32):
    small = KerasMLPClassifier(depth=1, widths=units, epochs=EPOCHS, random_state=0)
    accuracy = small.fit(X_train, y_train).score(X_test, y_test)
    print(f"{units:>3} units: {accuracy:.1%}")

# %%
# **Exercise 3.** The matrix has the true digits down and the predicted ones across. Its
# diagonal are the digits that are read right, so we leave it out.
from sklearn.metrics import confusion_matrix

mistakes = confusion_matrix(y_test, first.predict(X_test), labels=range(10))
np.fill_diagonal(mistakes, 0)
true, predicted = np.unravel_index(mistakes.argmax(), mistakes.shape)
print(f"{true} is read as {predicted} most often: {mistakes.max()} times")

# %%
# **Exercise 4.** With ``patience=1`` the first bad epoch ends the training, perhaps too
# early. With 20 it takes longer, and the best epoch may come later.
for patience in (1, 20):
    tried = KerasMLPClassifier(
        epochs=4 * EPOCHS, early_stopping=True, patience=patience, random_state=0
    ).fit(X_train, y_train)
    score = tried.best_validation_score_
    print(f"patience {patience}: best epoch {tried.best_iter_}, {score:.1%} validation")

# %%
# **Exercise 5.** ``dropout`` switches units off at random while the network trains. The
# third stage starts from the winners of the first two.
longer = StagedSearchCV(
    KerasMLPClassifier(depth=1, epochs=EPOCHS, random_state=0),
    [*search.stages, Stage("dropout", {"dropout": [0.0, 0.1, 0.3]})],
    cv=3,
).fit(X_train, y_train)
print(longer.stages_[-1].reason)
rows = longer.stages_[-1].indices
print(compare_candidates(longer, rows[-1], rows[0]).sentence)

# %%
# **Exercise 6.** Both judge the same test digits, so McNemar's test is right: it counts
# the digits that only one of the two reads. On a few hundred digits, a gain of a point
# or two can still be chance.
print(compare(network, plain, X_test, y_test).sentence)
