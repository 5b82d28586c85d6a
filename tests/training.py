"""Parameters of fits that several test modules make."""

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
