"""The door to Keras and TensorFlow: they are loaded when somebody needs them.

Small networks are trained, and all networks predict, without them; to load them takes
seconds.
"""

# SPDX-License-Identifier: BSD-3-Clause

from importlib.util import find_spec

from .._memory import check_memory, memory_errors_named
from .._startup import quiet_import
from . import check_backend

_NEEDED = ("keras", "tensorflow", "scikeras")


def load_keras():
    """Load Keras and TensorFlow, and start them; once, and quietly.

    Call it before any module of `keras_side` is imported.

    Raises
    ------
    ImportError
        If one of them is not installed, or Keras is told to compute with another
        backend.
    RuntimeError
        In a process that was forked after TensorFlow had started.
    TooLittleMemoryError
        If there is too little memory to load them.
    """
    check_backend()
    check_memory()
    for name in _NEEDED:
        if find_spec(name) is None:
            raise ImportError(
                "To train a large network, or one with callbacks, and the Keras "
                "network of a classifier (model_, keras_classifier_), need keras, "
                "tensorflow and scikeras; all else does not. "
                f"{name!r} is not installed."
            )
    with memory_errors_named("while TensorFlow was loaded"), quiet_import():
        from .keras_side import _start
    _start.start()
