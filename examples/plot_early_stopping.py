# SPDX-License-Identifier: BSD-3-Clause

"""
Early stopping in slow motion
=============================

When should training stop? `ValidationEarlyStopping` decides after every epoch. This
lesson looks at each of its decisions.
"""

# %%
# Train a large network on a small training set, without early stopping. So it overfits
# soon. We pass a validation set, so all curves are recorded.
import keras
import matplotlib.pyplot as plt

from skmnist import KerasMLPClassifier, ValidationEarlyStopping, load_digits_28x28
from skmnist.neural_network import decide_stop

X, y = load_digits_28x28(return_X_y=True)
X_train, y_train, X_val, y_val = X[:200], y[:200], X[1000:], y[1000:]

classifier = KerasMLPClassifier(
    depth=2,
    widths=128,
    epochs=30,
    batch_size=16,
    # A training that does not come to rest by itself.
    learning_rate=0.003,
    learning_rate_schedule="constant",
    dropout=0,
    weight_decay=0,
    label_smoothing=0,
    patience=30,
    min_train_loss=None,
    random_state=0,
)
classifier.fit(X_train, y_train, X_val=X_val, y_val=y_val)
history = classifier.history_
print({name: len(curve) for name, curve in history.items()})

# %%
# The decision is a pure function of the curves so far. So you can call it for any epoch
# afterwards. With a patience of one epoch, training stops at the first rise of the
# validation loss.
stops = {}
for patience in (1, 3):
    for n_epochs in range(1, 31):
        so_far = {name: curve[:n_epochs] for name, curve in history.items()}
        decision = decide_stop(so_far, patience=patience)
        if patience == 1:
            print(
                f"epoch {n_epochs:2d}: validation loss {so_far['val_loss'][-1]:.4f}, "
                f"best so far in epoch {decision.best_epoch + 1:2d}: "
                f"{decision.reason or 'go on'}"
            )
        if decision.reason:
            stops[patience] = n_epochs, decision.best_epoch + 1, decision.reason
            break

# %%
# With a longer patience, training goes on after a small rise. In both cases the best
# epoch is kept, not the last.
epochs = range(1, 31)
fig, ax = plt.subplots(layout="constrained")
ax.plot(epochs, history["loss"], label="training")
ax.plot(epochs, history["val_loss"], label="validation")
for (patience, (stop, best, _)), color in zip(
    stops.items(), ("C3", "C4"), strict=False
):
    ax.axvline(stop, color=color, linestyle="--", label=f"patience={patience} stops")
    ax.plot(best, history["val_loss"][best - 1], "o", color=color, label="and keeps")
ax.set(xlabel="epoch", ylabel="loss", yscale="log")
ax.legend()
plt.show()

# %%
# There are two more reasons to stop. The training loss may be so small that there is
# nothing left to learn. Or the gap between the accuracies on training and validation
# data may be larger than you allow.
for reason in ({"min_train_loss": 0.05}, {"max_gap": 0.05}):
    for n_epochs in range(1, 31):
        so_far = {name: curve[:n_epochs] for name, curve in history.items()}
        decision = decide_stop(
            so_far, patience=30, **{"min_train_loss": None, **reason}
        )
        if decision.reason:
            print(f"epoch {n_epochs}: {decision.reason}")
            break

# %%
# The classifier has parameters for all these rules. The callback
# `ValidationEarlyStopping` works with any Keras model.
keras.utils.set_random_seed(0)
model = keras.Sequential(
    [keras.Input((784,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", loss, metrics=["accuracy"])
stopping = ValidationEarlyStopping(patience=2, min_train_loss=0.1)
model.fit(
    X_train,
    y_train,
    validation_data=(X_val, y_val),
    epochs=50,
    callbacks=[stopping],
    verbose=0,
)
print(f"{stopping.stop_reason_}; kept: epoch {stopping.best_epoch_ + 1}")
