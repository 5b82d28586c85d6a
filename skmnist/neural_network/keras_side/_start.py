"""TensorFlow starts: quietly, and in the process that uses it."""

# SPDX-License-Identifier: BSD-3-Clause

import os

import keras
import tensorflow as tf

from ..._startup import quiet_start
from .. import backend_needed

# The process in which TensorFlow has started.
_STARTED_IN = []


def start():
    """Start TensorFlow, and remember that it was in this process.

    Raises
    ------
    RuntimeError
        In a process that was forked after TensorFlow had started: its threads are not
        forked, and TensorFlow would wait for them for ever. Also if Keras computes with
        another backend than TensorFlow.
    """
    if keras.config.backend() != "tensorflow":
        raise RuntimeError(backend_needed(keras.config.backend()))
    if not _STARTED_IN:
        # This looks for a GPU, which says on standard error if there is none.
        with quiet_start():
            tf.config.list_physical_devices()
        _STARTED_IN.append(os.getpid())
    if _STARTED_IN[0] != os.getpid():
        raise RuntimeError(
            "this process was forked from one in which TensorFlow has started, and "
            "would wait for its threads for ever; start processes with 'loky', the "
            "default of joblib, or with the method 'spawn' of multiprocessing"
        )
