"""Arrays that are tensors without being copied, and variables that give memory back."""

# SPDX-License-Identifier: BSD-3-Clause

import math

import numpy as np
import tensorflow as tf

# Bytes: what the widest vector instructions want data to begin at, and where
# TensorFlow's own tensors do.
ALIGNMENT = 64


def aligned_empty(shape, dtype):
    """Make an array that `as_tensor` need not copy.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtype : dtype
        Its type.

    Returns
    -------
    array : ndarray
        Not initialized.

    Examples
    --------
    >>> from skmnist.neural_network._tensors import ALIGNMENT, aligned_empty
    >>> aligned_empty((3, 5), "float32").ctypes.data % ALIGNMENT
    0
    """
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(n_bytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


def as_tensor(array, dtype):
    """Return data as a tensor: where they lie, if they lie well, and copied if not.

    Parameters
    ----------
    array : array-like
        Data. Whoever changes them while the tensor is used changes the tensor.
    dtype : dtype
        Type of the tensor.

    Returns
    -------
    tensor : tf.Tensor
    """
    array = np.asarray(array, dtype)
    flags, start = array.flags, array.ctypes.data
    if array.size and flags.c_contiguous and flags.writeable and start % ALIGNMENT == 0:
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    return tf.convert_to_tensor(array)


def empty_variables(variables):
    """Free the memory of variables that nobody reads any more.

    TensorFlow keeps a variable that a program was traced with for as long as the
    process lives, whether or not Python still has it.

    Parameters
    ----------
    variables : list of tf.Variable
        They stay, and have no elements.
    """
    for variable in variables:
        tf.raw_ops.AssignVariableOp(
            resource=variable.handle,
            value=tf.zeros([0], variable.dtype),
            validate_shape=False,
        )
