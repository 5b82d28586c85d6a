"""Tensors that share memory with arrays, and variables that give their memory back."""

# SPDX-License-Identifier: BSD-3-Clause

import math

import numpy as np

# TensorFlow is imported where it is used: `aligned_empty` does without.

# Bytes. TensorFlow's tensors start at a multiple of this, which the widest vector
# instructions need.
ALIGNMENT = 64


def aligned_empty(shape, dtype):
    """Return a new array that `as_tensor` does not need to copy.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtype : dtype
        Its type.

    Returns
    -------
    array : ndarray
        The array; its values are not set.

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
    """Return data as a tensor, without a copy where possible.

    No copy is made of an aligned, contiguous and writable array of the right type.

    Parameters
    ----------
    array : array-like
        Data. Do not change them while the tensor is in use: it may share their memory.
    dtype : dtype
        Type of the tensor.

    Returns
    -------
    tensor : tf.Tensor
        The data.
    """
    import tensorflow as tf

    array = np.asarray(array, dtype)
    flags, start = array.flags, array.ctypes.data
    if array.size and flags.c_contiguous and flags.writeable and start % ALIGNMENT == 0:
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    return tf.convert_to_tensor(array)


def read_variables(variables):
    """Return the present values of variables as arrays, without copying them.

    The arrays never change. While you hold one, TensorFlow writes new values of its
    variable to other memory.

    Parameters
    ----------
    variables : list of keras.Variable
        The variables.

    Returns
    -------
    arrays : list of ndarray
        Read-only. Copies, if the variables are in the memory of a GPU.
    """
    return read_tensors([variable.value for variable in variables])


def read_tensors(variables):
    """Do what `read_variables` does for TensorFlow's own variables."""
    import tensorflow as tf

    read = tf.raw_ops.ReadVariableOp
    return [np.asarray(read(resource=v.handle, dtype=v.dtype)) for v in variables]


def addresses(arrays):
    """Return where arrays begin in memory.

    Hold the arrays while you compare addresses: a freed array leaves its place to
    another. Two arrays of `read_variables` at one place are the same values.
    """
    return [array.__array_interface__["data"][0] for array in arrays]


def empty_variables(variables):
    """Free the memory of variables that nobody will read again.

    TensorFlow keeps each variable that a program was traced with until the process
    ends, even if no Python object refers to it.

    Parameters
    ----------
    variables : list of tf.Variable
        The variables; they stay, without elements.
    """
    import tensorflow as tf

    for variable in variables:
        tf.raw_ops.AssignVariableOp(
            resource=variable.handle,
            value=tf.zeros([0], variable.dtype),
            validate_shape=False,
        )
