"""
Distorted images, in training and in prediction
===============================================

If you shift or turn a digit a little, it is still the same digit. A network of plain
layers does not know this. You can teach it in training: distort every image again in
each epoch. You can also help it in prediction: average over several distortions of an
image.
"""

# SPDX-License-Identifier: BSD-3-Clause

# %%
# Load the digits that ship with scikit-learn, in the size of MNIST.
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
# Only ``augmentation`` differs between these two networks. Distorted images are harder
# to learn, so they usually need more epochs. Here both networks get the same number.
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
# Now the second network predicts each image and 16 distorted copies of it.
# ``FrozenEstimator`` keeps the fitted network as it is. The copies are distorted less
# than in training, because the undistorted image is the most likely one.
averaged = AugmentedPredictionClassifier(FrozenEstimator(distorted), random_state=0)
averaged.fit(X, y)
print(f"in 17 views:      {averaged.score(X_test, y_test):.3f}")

# %%
# One of 360 test images is 0.3 points. So test whether a difference is more than
# chance.
print(compare(plain, averaged, X=X_test, y=y_test))

# %%
# Here are a digit and some of its views. Each view is the same distortion for all
# images, so the prediction for one image does not depend on the other images.
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
