"""Parameters of fits that several test modules make, and a model without a fit."""

import numpy as np

from skmnist._io import write_archive

# Most tests of the classifier share one shape, so that one program serves them: 200
# rows of 64 features, 10 classes, batches of 32.
# A plain training: each update has the same rate and the whole network, so that a
# training can be made of parts.
SMALL = {
    "depth": 1,
    "widths": 16,
    "activations": "relu",
    "learning_rate": None,
    "learning_rate_schedule": "constant",
    "batch_size": 32,
    "epochs": 2,
    "dropout": 0.0,
    "weight_decay": 0.0,
    "label_smoothing": 0.0,
    "random_state": 0,
}


def write_tiny_model(path, n_features=784, n_classes=10):
    """Write a model that `skmnist predict` reads: a network without a hidden layer."""
    network = {
        "n_features": n_features,
        "n_outputs": n_classes,
        "widths": [],
        "activations": [],
        "dropout": [],
        "input_dropout": 0.0,
        "batch_normalization": False,
        "dtype": "float32",
    }
    learned = {"n_features_in_": n_features, "classes_": np.arange(n_classes)}
    weights = np.zeros((n_features, n_classes), np.float32)
    arrays = [weights, np.zeros(n_classes, np.float32)]
    write_archive(path, {"learned": learned, "spec": {"network": network}}, arrays)
