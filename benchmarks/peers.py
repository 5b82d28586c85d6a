"""The classifiers that are compared: one network, one function for each library.

All train the same network in float32 with the same optimizer, batches and epochs,
and stop at nothing. Heavy packages are imported by the functions, so that a
process holds only the library that it measures.
"""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import io
import time
import warnings
from dataclasses import dataclass
from importlib.util import find_spec

# The clock of this process' fit. The libraries copy the callbacks they are given, so
# that a callback itself is no place to keep anything.
_CLOCK = {}


@dataclass(frozen=True)
class Setting:
    """What is trained, for how long.

    Parameters
    ----------
    widths : tuple of int
        Units of the hidden layers.
    activation : str, default="relu"
        Of all hidden layers.
    batch_size : int, default=64
        Rows per update.
    learning_rate : float, default=0.001
        Of Adam.
    epochs : int, default=10
        Passes over the data.
    """

    widths: tuple
    activation: str = "relu"
    batch_size: int = 64
    learning_rate: float = 0.001
    epochs: int = 10


REPORT = Setting((600, 200))


def tick():
    """Record that an epoch has ended; wait there if the epochs of fits take turns."""
    _CLOCK["pieces"].append(time.perf_counter() - _CLOCK["started"])
    _CLOCK["between"]()
    _CLOCK["started"] = time.perf_counter()


def skmnist(setting, timed=False):
    """Return our classifier."""
    from skmnist import KerasMLPClassifier

    return KerasMLPClassifier(
        depth=len(setting.widths),
        widths=setting.widths,
        activations=setting.activation,
        initializers="glorot_uniform",
        learning_rate=setting.learning_rate,
        learning_rate_schedule="constant",
        batch_size=setting.batch_size,
        epochs=setting.epochs,
        input_scaling=None,
        dropout=0.0,
        weight_decay=0.0,
        label_smoothing=0.0,
        early_stopping=False,
        min_train_loss=None,
        callbacks=_keras_ticks() if timed else None,
        random_state=0,
    )


def scikeras(setting, timed=False):
    """Return scikeras' classifier as its documentation builds one."""
    from scikeras.wrappers import KerasClassifier

    return KerasClassifier(
        model=scikeras_network,
        model__widths=setting.widths,
        model__activation=setting.activation,
        loss="sparse_categorical_crossentropy",
        optimizer="adam",
        optimizer__learning_rate=setting.learning_rate,
        batch_size=setting.batch_size,
        epochs=setting.epochs,
        callbacks=_keras_ticks() if timed else None,
        verbose=0,
    )


def scikeras_network(widths, activation, meta):
    """Build what scikeras compiles."""
    return _keras_network(
        meta["n_features_in_"], meta["n_classes_"], widths, activation
    )


def keras_wrapper(setting, timed=False):
    """Return Keras' own wrapper."""
    from keras.wrappers import SKLearnClassifier

    return SKLearnClassifier(
        model=keras_wrapper_network,
        model_kwargs={
            "widths": setting.widths,
            "activation": setting.activation,
            "learning_rate": setting.learning_rate,
        },
        fit_kwargs={
            "batch_size": setting.batch_size,
            "epochs": setting.epochs,
            "callbacks": _keras_ticks() if timed else None,
            "verbose": 0,
        },
    )


def keras_wrapper_network(X, y, widths, activation, learning_rate):
    """Build and compile a network for Keras' wrapper, which encodes y one-hot."""
    import keras

    network = _keras_network(X.shape[1], y.shape[1], widths, activation)
    network.compile(keras.optimizers.Adam(learning_rate), "categorical_crossentropy")
    return network


def mlp_classifier(setting, timed=False):
    """Return scikit-learn's classifier.

    It has no callbacks, but with `verbose` it prints one line per epoch.
    """
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(
        setting.widths,
        activation=setting.activation,
        alpha=0.0,
        batch_size=setting.batch_size,
        learning_rate_init=setting.learning_rate,
        max_iter=setting.epochs,
        tol=0.0,
        n_iter_no_change=1000,
        verbose=timed,
        random_state=0,
    )


def skorch(setting, timed=False):
    """Return skorch's classifier, with its default data loader."""
    import torch
    from skorch import NeuralNetClassifier
    from skorch.callbacks import Callback

    class Ticks(Callback):
        """Record the end of each epoch."""

        def on_epoch_end(self, net, **kwargs):
            tick()

    return NeuralNetClassifier(
        torch_network,
        module__widths=setting.widths,
        module__activation=setting.activation,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=setting.learning_rate,
        batch_size=setting.batch_size,
        max_epochs=setting.epochs,
        train_split=None,
        iterator_train__shuffle=True,
        # Without a held-out part there is nothing to score and nothing to print.
        callbacks__valid_acc=None,
        callbacks__print_log=None,
        callbacks=[Ticks()] if timed else None,
        verbose=0,
    )


def torch_network(widths, activation, n_features=784, n_classes=10):
    """Build a network that gives logits."""
    from torch import nn

    layer = {"relu": nn.ReLU, "tanh": nn.Tanh}[activation]
    sizes, layers = [n_features, *widths], []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(n_in, n_out), layer()]
    network = nn.Sequential(*layers, nn.Linear(sizes[-1], n_classes))
    # Begins as Keras' and scikit-learn's networks do.
    for parameter in network.parameters():
        if parameter.dim() == 2:
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)
    return network


# For each peer its name in tables, the function, and the package that may lack.
PEERS = {
    "skmnist": (skmnist, "skmnist"),
    # The same, in a block of `skmnist.lanes`.
    "skmnist, lanes": (skmnist, "skmnist"),
    "scikeras": (scikeras, "scikeras"),
    "SKLearnClassifier": (keras_wrapper, "keras"),
    "MLPClassifier": (mlp_classifier, "sklearn"),
    "skorch": (skorch, "skorch"),
}
PRODUCTS = "matrix products"


def present(names):
    """Return those of the named peers that are installed."""
    return [name for name in names if name == PRODUCTS or find_spec(PEERS[name][1])]


def make(name, setting, timed=False):
    """Return an unfitted classifier.

    Parameters
    ----------
    name : str
        A key of `PEERS`.
    setting : Setting
        What it trains.
    timed : bool, default=False
        Whether it records the ends of epochs; see `timed_fit`.

    Returns
    -------
    classifier : estimator
    """
    factory, _ = PEERS[name]
    return factory(setting, timed)


def timed_fit(name, classifier, X, y, between=lambda: None):
    """Fit a classifier made with ``timed=True``.

    Parameters
    ----------
    name : str
        A key of `PEERS`.
    classifier : estimator
        What `make` gave.
    X, y : ndarray
        The training data.
    between : callable, default=lambda: None
        Called after each epoch; its time does not count.

    Returns
    -------
    times : dict
        ``seconds`` of the whole fit, ``epoch_seconds`` of each epoch but the first,
        which also builds and compiles.
    """
    lines = contextlib.nullcontext()
    if name == "MLPClassifier":
        lines = contextlib.redirect_stdout(_TickingLines())
    with quiet(), lines:
        return clocked(lambda: classifier.fit(X, y), between)


def clocked(work, between=lambda: None):
    """Time some work piece by piece, as `tick` divides it."""
    _CLOCK.update(pieces=[], between=between, started=time.perf_counter())
    work()
    rest = time.perf_counter() - _CLOCK["started"]
    pieces = _CLOCK["pieces"]
    return {"seconds": sum(pieces) + rest, "epoch_seconds": pieces[1:]}


@contextlib.contextmanager
def quiet():
    """Silence `MLPClassifier`'s warnings that its epochs are over, and progress bars.

    Keras' wrapper has no parameter for those of its predictions.
    """
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


class _TickingLines:
    """Standard output of which each line says that an epoch has ended."""

    def write(self, text):
        """Count a line by its first part, not by the line break after it."""
        if text.startswith("Iteration"):
            tick()

    def flush(self):
        """Do nothing."""


def _keras_ticks():
    import keras

    class Ticks(keras.callbacks.Callback):
        """Record the end of each epoch."""

        def on_epoch_end(self, epoch, logs=None):
            tick()

    return [Ticks()]


def _keras_network(n_features, n_classes, widths, activation):
    import keras

    hidden = [keras.layers.Dense(width, activation) for width in widths]
    output = keras.layers.Dense(n_classes, "softmax")
    return keras.Sequential([keras.layers.Input((n_features,)), *hidden, output])


def multiply_adds(n_features, widths, n_classes=10):
    """Return the multiply-adds of one row's products, forward and backward.

    As the bare products are counted: every layer forward and for its weights'
    gradient, and all but the first for their input's gradient.
    """
    sizes = [n_features, *widths, n_classes]
    layers = [a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    return 3 * sum(layers) - layers[0]


def bare_products(X, widths, n_classes, batch_size, epochs):
    """Do nothing but the products of some epochs, and the gather of their rows.

    Into buffers made beforehand, on all cores: three products forward, three for
    the gradients of the weights, two for those of the layers' inputs.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32
        The training data.
    widths : sequence of int
        Units of the hidden layers.
    n_classes, batch_size, epochs : int
        Sizes.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    sizes = [X.shape[1], *widths, n_classes]
    shapes = list(zip(sizes[:-1], sizes[1:], strict=True))
    weights = [0.05 * rng.standard_normal(s, dtype=np.float32) for s in shapes]
    gradients = [np.empty_like(w) for w in weights]
    for _ in range(epochs):
        order = rng.permutation(len(X))
        values = _buffers(batch_size, sizes)
        errors = _buffers(batch_size, sizes)
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size]
            if len(rows) < batch_size:
                values, errors = (_buffers(len(rows), sizes) for _ in range(2))
            # "clip" lets NumPy write into the buffer itself.
            np.take(X, rows, axis=0, out=values[0], mode="clip")
            for i, weight in enumerate(weights):
                np.matmul(values[i], weight, out=values[i + 1])
            for i in reversed(range(len(weights))):
                np.matmul(values[i].T, errors[i + 1], out=gradients[i])
                if i > 0:
                    np.matmul(errors[i + 1], weights[i].T, out=errors[i])
        tick()


def _buffers(n_rows, sizes):
    import numpy as np

    return [np.full((n_rows, size), 0.01, dtype=np.float32) for size in sizes]
