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


# Before Keras is imported: it fails in its own words if the backend is not installed.
if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
    raise ImportError(backend_needed(os.environ["KERAS_BACKEND"]))

# The names are listed in __init__.pyi; each is loaded when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
