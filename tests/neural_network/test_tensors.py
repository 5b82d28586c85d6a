"""Arrays as tensors without a copy; variables without memory."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from skmnist.neural_network._tensors import (
    ALIGNMENT,
    addresses,
    aligned_empty,
    as_tensor,
    empty_variables,
    read_variables,
)


def aligned(values):
    array = aligned_empty(np.shape(values), np.asarray(values).dtype)
    array[...] = values
    return array


@pytest.fixture
def values():
    return np.random.default_rng(0).uniform(size=(7, 5)).astype(np.float32)


@pytest.mark.parametrize("shape", [(1,), (3, 5), (64, 784), (0, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32])
def test_aligned_arrays_begin_where_tensors_do(shape, dtype):
    array = aligned_empty(shape, dtype)
    assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
    assert not array.size or array.ctypes.data % ALIGNMENT == 0


def test_an_aligned_array_is_a_tensor_where_it_lies(values):
    array = aligned(values)
    tensor = as_tensor(array, "float32")
    np.testing.assert_array_equal(tensor, values)
    array[0, 0] = 7
    assert tensor[0, 0] == 7


def test_the_tensor_keeps_the_memory_of_an_array_that_is_gone(values):
    tensor = as_tensor(aligned(values), "float32")
    for _ in range(5):
        aligned(values + 1)  # would take the memory
    np.testing.assert_array_equal(tensor, values)


@pytest.mark.parametrize("kind", ["elsewhere", "read-only", "transposed", "other type"])
def test_what_cannot_lie_where_it_is_gets_copied(values, kind):
    memory = aligned(np.append(values.ravel(), values.ravel()))
    array = memory[1 : 1 + values.size].reshape(values.shape)
    if kind != "elsewhere":
        array = memory[: values.size].reshape(values.shape)
    if kind == "read-only":
        array.flags.writeable = False
    if kind == "transposed":
        array = array.T
    tensor = as_tensor(array, "float64" if kind == "other type" else "float32")
    before = tensor.numpy()
    np.testing.assert_array_equal(before, array)
    memory[:] = 7
    np.testing.assert_array_equal(tensor, before)


def in_place(variable):
    variable.value.assign_add(tf.ones_like(variable.value))


def as_a_whole(variable):
    variable.assign(variable + 1)


def in_a_program(variable):
    tf.function(lambda: in_place(variable))()


def by_xla(variable):
    tf.function(lambda: in_place(variable), jit_compile=True)()


@pytest.mark.parametrize(
    "change",
    [in_place, as_a_whole, in_a_program, by_xla],
    ids=lambda change: change.__name__,
)
def test_what_was_read_stays_and_a_change_goes_elsewhere(values, change):
    variables = [keras.Variable(values), keras.Variable(values)]
    before = read_variables(variables)
    assert addresses(read_variables(variables)) == addresses(before)
    change(variables[1])
    after = read_variables(variables)
    same = [a == b for a, b in zip(addresses(before), addresses(after), strict=True)]
    assert same == [True, False]
    np.testing.assert_array_equal(before[1], values)
    np.testing.assert_array_equal(after[1], values + 1)


def test_emptied_variables_have_no_elements(values):
    variable = tf.Variable(values)
    empty_variables([variable])
    assert tf.size(variable.read_value()) == 0
