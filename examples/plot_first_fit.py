# SPDX-License-Identifier: BSD-3-Clause

"""
First fit
=========

Train a network on the digits that ship with scikit-learn, see when it stops, and look
at its weights.
"""

# %%
# As in scikit-learn, the data set has a matrix and labels. The slices ``train`` and
# ``test`` say which rows are for training and for testing. The images have the format
# of MNIST: 28 x 28 pixels from 0 to 1.
import matplotlib.pyplot as plt

from skmnist import KerasMLPClassifier, load_digits_28x28

digits = load_digits_28x28()
X_train, y_train = digits.data[digits.train], digits.target[digits.train]
X_test, y_test = digits.data[digits.test], digits.target[digits.test]
print(X_train.shape, X_train.dtype, y_train[:10])

# %%
# The network has two hidden layers with 64 and 32 units. By default it does not stop
# early. Here we turn early stopping on: a tenth of the rows is held out, and its loss
# decides which epoch is kept.
classifier = KerasMLPClassifier(
    widths=(64, 32), early_stopping=True, epochs=40, random_state=0
)
classifier.fit(X_train, y_train)
print(f"Stopped after {classifier.n_iter_} epochs: {classifier.stop_reason_}.")
print(f"Kept: epoch {classifier.best_iter_}.")
print(f"Validation accuracy there: {classifier.best_validation_score_:.3f}")
print(f"Test accuracy: {classifier.score(X_test, y_test):.3f}")

# %%
# The curves are plain lists with one number for each epoch.
epochs = range(1, classifier.n_iter_ + 1)
fig, ax = plt.subplots()
ax.plot(epochs, classifier.loss_curve_, label="training")
ax.plot(epochs, classifier.validation_loss_curve_, label="validation")
ax.axvline(classifier.best_iter_, color="gray", linestyle=":", label="kept")
ax.set(xlabel="epoch", ylabel="loss", yscale="log", title="A first fit")
ax.legend()
plt.show()

# %%
# The weights are plain matrices, one for each layer. You can draw the weights of the
# first layer as pictures: ink in red pixels activates a unit, ink in blue pixels does
# the opposite. Pixels without ink keep their random start weights: you see them as
# noise.
print([weights.shape for weights in classifier.coefs_])
fig, axes = plt.subplots(2, 8, figsize=(8, 2.2), layout="constrained")
limit = abs(classifier.coefs_[0]).max() / 2
for ax, weights in zip(axes.flat, classifier.coefs_[0].T, strict=False):
    ax.imshow(weights.reshape(28, 28), cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set_axis_off()
fig.suptitle("First-layer weights of 16 of the 64 units")
plt.show()
