"""A Keras multilayer perceptron as a fully searchable scikit-learn classifier.

Public names are loaded on first use, so that ``import skmnist`` costs
milliseconds and starts neither TensorFlow nor scikit-learn.
"""

# SPDX-License-Identifier: BSD-3-Clause

import lazy_loader

# The names are listed in __init__.pyi; each is loaded when it is first used.
_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name):
    if name == "__version__":
        from importlib.metadata import version

        return version("skmnist")
    return _load(name)
