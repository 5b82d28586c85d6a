"""Tensors that share memory with arrays, and variables that give their memory back."""

# SPDX-License-Identifier: BSD-3-Clause

import math

import numpy as np
import tensorflow as tf

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
    array = np.asarray(array, dtype)
    flags, start = array.flags, array.ctypes.data
    if array.size and flags.c_contiguous and flags.writeable and start % ALIGNMENT == 0:
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    return tf.convert_to_tensor(array)


def read_variables(variables):
    """Read variables without copying them.

    A tensor never changes. While you hold it, TensorFlow writes new values of its
    variable to other memory.

    Parameters
    ----------
    variables : list of keras.Variable
        The variables.

    Returns
    -------
    tensors : list of tf.Tensor
        Their present values.
    """
    handles = [variable.value for variable in variables]
    return [
        tf.raw_ops.ReadVariableOp(resource=v.handle, dtype=v.dtype) for v in handles
    ]


def share_memory(ones, others):
    """Return whether tensors lie at the same places in memory, pair by pair.

    Tensors that do are equal. Others may be equal too, but comparing their values
    would take longer.

    Parameters
    ----------
    ones, others : list of tf.Tensor
        The tensors.

    Returns
    -------
    share : bool
        False if the lists differ in length, or if the tensors are not in the memory
        of the processor.
    """
    # No copies, except of what a GPU holds. All arrays live until the comparison is
    # done: a freed one would leave its place to another.
    ones, others = (list(map(np.asarray, tensors)) for tensors in (ones, others))
    return [_address(a) for a in ones] == [_address(a) for a in others]


def _address(array):
    return array.__array_interface__["data"][0]


def empty_variables(variables):
    """Free the memory of variables that nobody will read again.

    TensorFlow keeps each variable that a program was traced with until the process
    ends, even if no Python object refers to it.

    Parameters
    ----------
    variables : list of tf.Variable
        The variables; they stay, without elements.
    """
    for variable in variables:
        tf.raw_ops.AssignVariableOp(
            resource=variable.handle,
            value=tf.zeros([0], variable.dtype),
            validate_shape=False,
        )
