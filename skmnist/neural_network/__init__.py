"""`KerasMLPClassifier`, and how its network is built, trained, stopped and kept."""

# SPDX-License-Identifier: BSD-3-Clause

import os

import lazy_loader


def backend_needed(name):
    """Return the error for a backend of Keras that cannot train our networks."""
    return (
        f"KerasMLPClassifier trains with TensorFlow, but Keras' backend is {name!r}. "
        "Set the environment variable KERAS_BACKEND=tensorflow before Python starts."
    )


def check_backend():
    """Raise ImportError if Keras is told to compute with something else.

    Call it before Keras is imported: Keras fails in its own words if the backend is not
    installed.
    """
    name = os.environ.get("KERAS_BACKEND", "tensorflow")
    if name != "tensorflow":
        raise ImportError(backend_needed(name))


# The names are listed in __init__.pyi; each is loaded when it is first used.
_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
# To load these is to load Keras.
_OF_KERAS = ("ValidationEarlyStopping", "clear_engines")


def __getattr__(name):
    if name not in _OF_KERAS:
        return _load(name)
    from .._startup import quiet_import

    with quiet_import():
        return _load(name)
