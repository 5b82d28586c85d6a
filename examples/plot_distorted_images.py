"""
Distorted images, in training and in prediction
===============================================

A digit that is shifted or turned a little is the same digit. A network of plain layers
does not know that. It can be shown: in training, by distorting every image anew in each
epoch; and in prediction, by asking it about several distortions of one image.
"""

# SPDX-License-Identifier: BSD-3-Clause

# %%
# The digits that ship with scikit-learn, at the size of MNIST's.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator

from skmnist import (
    AugmentedPredictionClassifier,
    KerasMLPClassifier,
    compare,
    load_digits_28x28,
)

digits = load_digits_28x28()
X, y = digits.data[digits.train], digits.target[digits.train]
X_test, y_test = digits.data[digits.test], digits.target[digits.test]

# %%
# Two networks that differ in nothing but ``augmentation``. Distorted images are harder
# to learn, so they need more epochs than plain ones; here both get the same.
settings = {
    "widths": (128, 64),
    "epochs": 60,
    "learning_rate": 3e-3,
    "learning_rate_schedule": "cosine",
    "batch_normalization": True,
    "random_state": 0,
}
plain = KerasMLPClassifier(**settings).fit(X, y)
distorted = KerasMLPClassifier(augmentation="affine+elastic", **settings).fit(X, y)
print(f"plain images:     {plain.score(X_test, y_test):.3f}")
print(f"distorted images: {distorted.score(X_test, y_test):.3f}")

# %%
# The second network is asked again, about each image and 16 distorted copies of it.
# ``FrozenEstimator`` says that it is fitted already. The copies are lighter distortions
# than those of the training, because the image itself is the likeliest one.
averaged = AugmentedPredictionClassifier(FrozenEstimator(distorted), random_state=0)
averaged.fit(X, y)
print(f"in 17 views:      {averaged.score(X_test, y_test):.3f}")

# %%
# With 360 test images one more or less right is 0.3 points, so it is worth asking
# whether a difference is more than chance.
print(compare(plain, averaged, X=X_test, y=y_test))

# %%
# What the network is shown: a digit, and some of its views. Each view is the same
# distortion for all images, so that the answer for one does not depend on the others.
image = X_test[:1]
shown = [image, *(image @ view for view in averaged.views_[:6])]
figure, axes = plt.subplots(1, len(shown), figsize=(9, 1.8), layout="constrained")
for ax, view in zip(axes, shown, strict=True):
    probabilities = distorted.predict_proba(view)[0]
    ax.imshow(view.reshape(28, 28), cmap="gray_r", vmin=0, vmax=1)
    ax.set_title(f"{np.argmax(probabilities)}: {probabilities.max():.3f}", fontsize=9)
    ax.set_axis_off()
figure.suptitle("the image, and six of its views")
plt.show()
