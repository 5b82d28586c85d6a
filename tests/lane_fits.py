"""Small fits of every kind that can train side by side."""

import keras
import numpy as np
from joblib import Parallel, delayed
from sklearn.datasets import load_digits

from skmnist import KerasMLPClassifier

X, Y = load_digits(return_X_y=True)
X = X[:150] / 16
Y = Y[:150]
FOUR = Y % 4
TWO = Y % 2

# Every activation, optimizer, schedule and loss that a lane has, in few programs.
MIXES = [
    {"activations": ("relu", "tanh"), "optimizer": "adam", "dropout": 0.2},
    {
        "activations": ("sigmoid", "silu"),
        "optimizer": "nadam",
        "n_classes": 2,
        "input_scaling": "learned",
        "weight_decay": 0.01,
    },
    {"activations": ("elu", "gelu", "selu"), "optimizer": "sgd", "dtype": "float64"},
    {"activations": ("softplus", "softsign"), "optimizer": "rmsprop", "n_classes": 2},
    {
        "activations": ("leaky_relu", "mish"),
        "optimizer": "lion",
        "label_smoothing": 0.1,
        "learning_rate_schedule": "linear",
    },
    {
        "activations": ("exponential", "swish"),
        "optimizer": "adamax",
        "input_dropout": 0.1,
        "warmup_epochs": 0.5,
    },
    {
        "activations": ("hard_sigmoid",),
        "optimizer": "adagrad",
        "input_scaling": "standard",
    },
    {
        "activations": ("relu6", "linear"),
        "optimizer": "adadelta",
        "dropout": 0.3,
        "dropout_mask": "update",
    },
    {
        "activations": ("tanh",),
        "optimizer": "ftrl",
        "learning_rate_schedule": "linear",
        "warmup_epochs": 0.5,
    },
    {"activations": (), "optimizer": "adamw", "weight_decay": 0.1},
]


def make(**params):
    """Return a classifier with small layers, one for each activation."""
    params = {"activations": ("tanh",), "epochs": 2, "random_state": 0, **params}
    widths = tuple(range(9, 9 + len(params["activations"])))
    common = {"widths": widths, "batch_size": 15, "early_stopping": False}
    return KerasMLPClassifier(len(widths), **{**common, **params})


def company(**params):
    """Return seven fits of one structure that differ in all else."""
    fitted = [make(**{**params, "random_state": seed}) for seed in range(1, 8)]
    fitted[0].set_params(learning_rate=0.1, epochs=1)
    fitted[1].set_params(early_stopping=True, patience=1, epochs=3)
    fitted[2].set_params(class_weight="balanced")
    if params.get("dropout"):
        fitted[3].set_params(dropout=0.6)
    return fitted


def fit_together(classifiers, data):
    """Fit in threads, on the same data or on those of each."""
    data = data if isinstance(data, list) else [data] * len(classifiers)
    fits = zip(classifiers, data, strict=True)
    return Parallel()(delayed(classifier.fit)(*own) for classifier, own in fits)


def bits(classifier):
    """Return all numbers of a fitted classifier."""
    arrays = [*classifier.coefs_, *classifier.intercepts_]
    curves = [np.array(curve) for curve in classifier.history_.values()]
    return [array.tobytes() for array in (*arrays, *curves)]


# The last ones say what Keras' names alone do not: options of the optimizers.
OPTIONS = [
    keras.optimizers.Adam(amsgrad=True),
    keras.optimizers.RMSprop(momentum=0.9, centered=True),
    keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.01),
    keras.optimizers.SGD(0.1, clipvalue=0.001),
    keras.optimizers.Ftrl(
        0.1,
        l1_regularization_strength=0.001,
        l2_regularization_strength=0.01,
        l2_shrinkage_regularization_strength=0.01,
        beta=0.1,
    ),
    keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.01, 5, 0.5)),
]
ALL = [*MIXES, *({"activations": ("relu",), "optimizer": one} for one in OPTIONS)]


def taken_apart(mix):
    """Return parameters, rows and classes of a mix."""
    params = dict(mix)
    y = TWO if params.pop("n_classes", 4) == 2 else FOUR
    return params, X.astype(params.pop("dtype", "float32")), y
