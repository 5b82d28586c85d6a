"""Whole epochs in one program, compared with Keras' own steps and with NumPy."""

import gc
import weakref
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from skmnist import KerasMLPClassifier
from skmnist.neural_network import _inference as prediction
from skmnist.neural_network._inference import forward
from skmnist.neural_network._optimizer_params import OPTIMIZERS
from skmnist.neural_network._spec import ACTIVATIONS
from skmnist.neural_network.engines._epochs import EpochOrder
from skmnist.neural_network.keras_side import (
    _compiled as engine,
    _programs,
    _traced as programs,
)
from skmnist.neural_network.keras_side._compiled import (
    clear_engines,
    engine_for,
    pays_to_compile,
)
from skmnist.neural_network.keras_side._epoch_network import EpochNetwork
from skmnist.neural_network.keras_side._network import (
    build_loss,
    build_network,
    network_layers,
)
from skmnist.neural_network.keras_side._optimizers import build_optimizer
from skmnist.neural_network.keras_side._traced import flat_layout

# 100 rows in batches of 32: three full batches and a remainder of 4.
N_ROWS, BATCH, EPOCHS = 100, 32, 3

KINDS = {False: "graph", True: "XLA"}
BOTH_KINDS = pytest.mark.parametrize("compiled", KINDS, ids=KINDS.get)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:N_ROWS] / 16, y[:N_ROWS].astype(np.int32)


@pytest.fixture(scope="module")
def held_out():
    X, y = load_digits(return_X_y=True)
    return X[N_ROWS : 2 * N_ROWS] / 16, y[N_ROWS : 2 * N_ROWS].astype(np.int32)


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(0).uniform(0.1, 3, N_ROWS)


@pytest.fixture
def own_engines(monkeypatch):
    """An empty cache of engines for one test."""
    monkeypatch.setattr(engine, "_engines", OrderedDict())
    return engine._engines


class SeesBatches(keras.callbacks.Callback):
    """A callback with a hook for batches, for which Keras' own loop trains."""

    def on_train_batch_end(self, batch, logs=None):
        pass


def make(
    network_class=EpochNetwork,
    *,
    optimizer="sgd",
    schedule="constant",
    learning_rate=0.1,
    weight_decay=0.0,
    n_steps=4 * EPOCHS,
    n_warmup=0,
    n_outputs=10,
    dtype="float64",
    **kwargs,
):
    """Make a network that is ready to train, in float64 for narrow tolerances."""
    settings = {"widths": (6,), "dtype": dtype, "network_class": network_class}
    network = build_network(64, n_outputs, **{**settings, **kwargs})
    network.compile(
        optimizer=build_optimizer(
            optimizer,
            learning_rate=learning_rate,
            schedule=schedule,
            n_steps=n_steps,
            n_warmup=n_warmup,
            weight_decay=weight_decay,
        ),
        loss=build_loss(n_outputs, dtype=dtype),
        metrics=["accuracy"],
        run_eagerly=network_class is keras.Sequential,
    )
    return network


def train(network, X, y, epochs=EPOCHS, **kwargs):
    """Train by whole epochs; as a graph, unless asked for XLA."""
    defaults = {"order": EpochOrder(5), "batch_size": BATCH, "compiled": False}
    network.fit(X, y, epochs=epochs, **{**defaults, **kwargs})
    return network


def predict(network, X):
    return forward(network_layers(network), X)


def train_by_keras(network, X, y, sample_weight=None, batch_size=BATCH):
    """Train a plain network by Keras' own steps, on the same batches."""
    for epoch in range(EPOCHS):
        order = EpochOrder(5)(epoch, len(X))
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size]
            weights = None if sample_weight is None else sample_weight[rows]
            network.train_on_batch(X[rows], y[rows], sample_weight=weights)
    return network


def assert_close_weights(one, two, **tolerance):
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, **{"rtol": 1e-9, "atol": 1e-9, **tolerance})


def assert_equal_weights(one, two):
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- against Keras and NumPy -------------------------------------------------------


# Every optimizer as a graph; with XLA, which compiles the same graph, one of each kind
# of program: weights in one vector and apart, rows normalized together, two classes.
@pytest.mark.parametrize(
    ("settings", "compiled"),
    [
        ({"optimizer": "adam", "learning_rate": None}, False),
        ({"optimizer": "sgd", "widths": (6, 5)}, False),
        ({"optimizer": "rmsprop", "learning_rate": None}, False),
        ({"optimizer": "adagrad"}, False),
        ({"optimizer": "adamw", "learning_rate": None, "weight_decay": 0.1}, False),
        ({"optimizer": "nadam", "learning_rate": None}, False),
        ({"optimizer": "adadelta", "learning_rate": None}, False),
        ({"optimizer": "adamax", "learning_rate": None}, False),
        ({"optimizer": "ftrl", "learning_rate": None}, False),
        ({"optimizer": "lion", "learning_rate": None}, False),
        ({"batch_normalization": True}, False),
        ({"n_outputs": 1}, False),
        ({"optimizer": "adamw", "learning_rate": None, "weight_decay": 0.1}, True),
        ({"optimizer": "momentum and clipping"}, True),
        ({"batch_normalization": True}, True),
        ({"n_outputs": 1}, True),
    ],
    ids=lambda v: KINDS[v] if v in (True, False) else "-".join(map(str, v.values())),
)
def test_whole_epochs_give_the_weights_of_keras_own_steps(digits, settings, compiled):
    X, y = digits
    if settings.get("optimizer") == "momentum and clipping":
        settings = {"optimizer": keras.optimizers.SGD(momentum=0.9, clipnorm=0.1)}
    if settings.get("n_outputs") == 1:
        y = y % 2
    fast = train(make(**settings), X, y, compiled=compiled)
    plain = train_by_keras(make(keras.Sequential, **settings), X, y)
    assert_close_weights(fast, plain)


# In training, the weights of a small network lie in one vector; of a large one not.
# Nadam has a state that belongs to no variable.
def test_layer_by_layer_gives_the_weights_of_keras_own_steps(
    digits, own_engines, monkeypatch
):
    monkeypatch.setattr(programs, "MAX_FLAT", 0)
    fast = train(make(optimizer="nadam"), *digits)
    plain = train_by_keras(make(keras.Sequential, optimizer="nadam"), *digits)
    assert_close_weights(fast, plain)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_optimizers_by_name_work_on_one_vector(optimizer):
    network = make(optimizer=optimizer)
    network.optimizer.build(network.trainable_variables)
    assert flat_layout(network, network.optimizer) is not None


# Each depends on whole variables, or keeps more than its states.
@pytest.mark.parametrize(
    "option",
    [
        {"clipnorm": 0.1},
        {"global_clipnorm": 0.1},
        {"use_ema": True},
        {"gradient_accumulation_steps": 2},
    ],
    ids=str,
)
def test_an_optimizer_that_sees_whole_variables_keeps_them_apart(option):
    network = make(optimizer=keras.optimizers.Adam(**option))
    network.optimizer.build(network.trainable_variables)
    assert flat_layout(network, network.optimizer) is None


@pytest.mark.parametrize(
    "option", [{"use_ema": True}, {"gradient_accumulation_steps": 2}], ids=str
)
def test_what_an_optimizer_keeps_beside_its_states_goes_on(digits, option):
    optimizer = keras.optimizers.SGD(0.1, **option)
    fast = train(make(optimizer=optimizer), *digits)
    plain = train_by_keras(make(keras.Sequential, optimizer=optimizer), *digits)
    plain.optimizer.finalize_variable_values(plain.trainable_weights)
    assert_close_weights(fast, plain)


def test_the_optimizer_goes_on_from_its_own_state(digits):
    network = train(make(optimizer="adam"), *digits)
    momenta = [v for v in network.optimizer.variables if "momentum" in v.name]
    assert [v.shape for v in momenta] == [w.shape for w in network.get_weights()]
    assert all(np.any(v.numpy()) for v in momenta)
    assert int(network.optimizer.iterations) == 4 * EPOCHS


@keras.saving.register_keras_serializable(package="tests")
class LateVariables(keras.optimizers.SGD):
    """Creates a variable in its first update; a loop in a program forbids that."""

    def update_step(self, gradient, variable, learning_rate):
        if not hasattr(self, "late"):
            self.late = self.add_variable((), name="late")
        super().update_step(gradient, variable, learning_rate)


# TensorFlow 2.20 tells so with NumPy 2.1, where Keras' own loop makes arrays.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_what_cannot_be_one_program_trains_in_keras_own_loop(digits):
    with pytest.warns(UserWarning, match="Keras' own loop"):
        slow = train(make(optimizer=LateVariables()), *digits)
    assert_close_weights(slow, train(make(), *digits))


@keras.saving.register_keras_serializable(package="tests")
class Printing(keras.optimizers.SGD):
    """Calls Python from the program, which XLA cannot do."""

    def update_step(self, gradient, variable, learning_rate):
        gradient.set_shape(variable.shape)
        same = tf.py_function(lambda g: g, [gradient], gradient.dtype)
        same.set_shape(variable.shape)
        super().update_step(same, variable, learning_rate)


def test_what_xla_refuses_trains_as_a_graph(digits, own_engines):
    network = train(make(optimizer=Printing()), *digits, compiled=True)
    assert_close_weights(network, train(make(), *digits))
    assert [engine.shape for engine in own_engines.values()][:1] == [None]


@pytest.fixture(scope="module")
def weighted_by_keras(digits, weights):
    return train_by_keras(make(keras.Sequential), *digits, sample_weight=weights)


@BOTH_KINDS
def test_sample_weights_reach_the_epochs(digits, weights, weighted_by_keras, compiled):
    fast = train(make(), *digits, row_weight=weights, compiled=compiled)
    assert_close_weights(fast, weighted_by_keras)


# Keras computes a schedule in float32; XLA rounds it at another step.
def test_schedules_reach_the_epochs(digits):
    fast = train(make(schedule="cosine"), *digits, compiled=True)
    plain = train_by_keras(make(keras.Sequential, schedule="cosine"), *digits)
    assert_close_weights(fast, plain, rtol=1e-5, atol=1e-6)


def test_epochs_in_float32_are_close_to_keras_own_steps(digits):
    X, y = digits[0].astype(np.float32), digits[1]
    fast = train(make(dtype="float32"), X, y, compiled=True)
    plain = train_by_keras(make(keras.Sequential, dtype="float32"), X, y)
    assert_close_weights(fast, plain, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module", params=[25, 200], ids=["no remainder", "one batch"])
def batched_by_keras(request, digits):
    """A batch size, and a network that Keras has trained with it."""
    size = request.param
    return size, train_by_keras(make(keras.Sequential), *digits, batch_size=size)


@BOTH_KINDS
def test_batches_of_any_size_give_the_weights_of_keras_own_steps(
    digits, batched_by_keras, compiled
):
    batch_size, plain = batched_by_keras
    fast = train(make(), *digits, batch_size=batch_size, compiled=compiled)
    assert_close_weights(fast, plain)


# Softmax regression by gradient descent: W -= rate * X'(P - Y) / n for each batch.
def test_an_epoch_of_gradient_descent_worked_in_numpy(digits):
    X, y = digits
    network = make(learning_rate=0.5, widths=())
    W, b = network.get_weights()
    for rows in np.split(EpochOrder(5)(0, N_ROWS), [32, 64, 96]):
        scores = np.exp(X[rows] @ W + b)
        error = scores / scores.sum(axis=1, keepdims=True) - np.eye(10)[y[rows]]
        W, b = W - 0.5 * X[rows].T @ error / len(rows), b - 0.5 * error.mean(axis=0)
    train(network, X, y, epochs=1)
    np.testing.assert_allclose(network.get_weights()[0], W, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(network.get_weights()[1], b, rtol=1e-7, atol=1e-9)


@pytest.fixture(scope="module")
def two_histories(digits, held_out, weights):
    """The curves of one training, by whole epochs and in Keras' own loop."""
    data = {"row_weight": weights, "validation_data": held_out}
    fast = train(make(), *digits, **data)
    slow = train(make(), *digits, callbacks=[SeesBatches()], **data)
    return fast.history.history, slow.history.history


def test_history_has_the_keys_of_keras_own_loop_in_their_order(two_histories):
    fast, slow = two_histories
    assert list(fast) == list(slow)


# Keras sums its metrics in float32.
def test_history_has_the_values_of_keras_own_loop(two_histories):
    fast, slow = two_histories
    for name in fast:
        np.testing.assert_allclose(fast[name], slow[name], rtol=1e-5)


# ---- callbacks ---------------------------------------------------------------------


def test_a_callback_with_a_batch_hook_sees_every_batch(digits):
    seen = []
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(batch)
    )
    train(make(), *digits, epochs=2, callbacks=[callback])
    assert seen == [0, 1, 2, 3] * 2


def test_a_batch_hook_does_not_change_what_is_learned(digits):
    fast = train(make(), *digits)
    slow = train(make(), *digits, callbacks=[SeesBatches()])
    assert_close_weights(fast, slow)


# Keras' scheduler reads the rate in a way that NumPy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_callbacks_can_change_the_learning_rate(digits):
    off = keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)
    assert_equal_weights(train(make(), *digits, callbacks=[off]), make())


def test_callbacks_can_stop_the_training(digits):
    network = make()

    def stop(epoch, logs):
        network.stop_training = epoch == 1

    train(
        network, *digits, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=stop)]
    )
    assert len(network.history.history["loss"]) == 2


@BOTH_KINDS
def test_training_that_goes_on_equals_training_at_once(digits, compiled):
    at_once = train(make(), *digits, epochs=3, compiled=compiled)
    in_parts = train(make(), *digits, epochs=1, compiled=compiled)
    train(in_parts, *digits, epochs=3, initial_epoch=1, compiled=compiled)
    assert_equal_weights(at_once, in_parts)


# ---- dropout -----------------------------------------------------------------------


# The same for all: one program is made for them.
MASKED = {"dropout": 0.5, "input_dropout": 0.2}


@pytest.fixture(scope="module")
def trained_with_masks_by_keras(digits):
    return train(make(**MASKED), *digits, callbacks=[SeesBatches()])


@BOTH_KINDS
def test_keras_own_loop_draws_the_same_masks(
    digits, trained_with_masks_by_keras, compiled
):
    fast = train(make(**MASKED), *digits, compiled=compiled)
    assert_close_weights(fast, trained_with_masks_by_keras)


# The weights do not change and the order of the rows is the same. So only the masks can
# make the losses of the epochs differ.
@BOTH_KINDS
def test_dropout_draws_new_masks_in_each_epoch(digits, compiled):
    order = EpochOrder(5, shuffle=False)
    network = make(**MASKED, learning_rate=0.0)
    train(network, *digits, order=order, compiled=compiled)
    assert len(set(network.history.history["loss"])) == EPOCHS


# ---- engines -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [{"random_state": 1}, {"learning_rate": 0.2}, {"initializers": "zeros"}],
    ids=str,
)
def test_equal_networks_share_one_engine(own_engines, other):
    assert engine_for(make(), False, None) is engine_for(make(**other), False, None)


# Two trainings of one structure: all numbers differ.
TRAINING = {
    "dropout": 0.5,
    "input_dropout": 0.1,
    "optimizer": "adamw",
    "schedule": "cosine",
    "learning_rate": 0.01,
    "weight_decay": 0.1,
    "n_warmup": 2,
}
OTHER = {
    **TRAINING,
    "dropout": 0.2,
    "input_dropout": 0.3,
    "learning_rate": 0.02,
    "weight_decay": 0.3,
    "n_warmup": 3,
    "n_steps": 5 * EPOCHS,
}


# XLA's data are filled up with rows that no batch has; alone, they are not.
@BOTH_KINDS
def test_numbers_of_a_training_need_no_other_program_nor_rows_that_fill_up(
    digits, own_engines, compiled, monkeypatch
):
    X, y = digits
    train(make(**TRAINING), X, y, epochs=1, compiled=compiled)
    (shared,) = own_engines.values()
    programs_before = dict(shared._programs)
    after = train(make(**OTHER), X[:97], y[:97], epochs=5, compiled=compiled)
    assert list(own_engines.values()) == [shared]
    assert shared._programs == programs_before
    clear_engines()
    monkeypatch.setattr(engine, "MAX_FILLED_UP", 0)
    alone = train(make(**OTHER), X[:97], y[:97], epochs=5, compiled=compiled)
    assert_equal_weights(after, alone)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("n_warmup", [0, 2])
def test_schedules_of_other_lengths_share_one_engine(own_engines, schedule, n_warmup):
    first, second = (
        engine_for(make(schedule=schedule, n_steps=n, n_warmup=w), False, None)
        for n, w in [(10, n_warmup), (20, 2 * n_warmup)]
    )
    assert first is second


@keras.saving.register_keras_serializable(package="tests")
class OwnSchedule(keras.optimizers.schedules.CosineDecay):
    """May do anything with its numbers, such as ask whether one is small."""


def test_numbers_of_an_unknown_schedule_are_part_of_a_program(own_engines):
    optimizers = [keras.optimizers.SGD(OwnSchedule(0.1, n)) for n in (10, 20)]
    first, second = (
        engine_for(make(optimizer=optimizer, learning_rate=None), False, None)
        for optimizer in optimizers
    )
    assert first is not second


@pytest.mark.parametrize(
    "other",
    [
        {"widths": (7,)},
        {"activations": "tanh"},
        {"dropout": 0.5},
        {"input_dropout": 0.5},
        {"augmentation": {"image_shape": [8, 8], "shift": 0.1}},
        {"batch_normalization": True},
        {"dtype": "float32"},
        {"optimizer": "adam"},
        {"weight_decay": 0.1},
        {"schedule": "linear"},
        {"n_outputs": 9},
    ],
    ids=str,
)
def test_another_network_gets_another_engine(own_engines, other):
    first = engine_for(make(), False, None)
    assert engine_for(make(**other), False, None) is not first


def test_another_kind_of_training_gets_another_engine(own_engines):
    network = make()
    shapes = [None, (N_ROWS, BATCH), (N_ROWS, 25), (96, BATCH)]
    engines = {
        engine_for(network, weighted, shape)
        for weighted in (False, True)
        for shape in shapes
    }
    assert len(engines) == 8


def test_one_graph_serves_any_number_of_rows_and_batches(digits, own_engines):
    X, y = digits
    train(make(), X, y, epochs=1)
    train(make(random_state=1), X[:50], y[:50], epochs=1, batch_size=7)
    assert len(own_engines) == 1


def test_a_shared_engine_keeps_nothing_of_an_earlier_fit(digits):
    alone = train(make(**MASKED), *digits)
    train(make(**MASKED, random_state=1, learning_rate=0.5), *digits)
    assert_equal_weights(alone, train(make(**MASKED), *digits))


def test_the_least_recently_used_engine_is_dropped(own_engines, monkeypatch):
    monkeypatch.setattr(engine, "MAX_ENGINES", 2)
    network = make()
    first = engine_for(network, False, (1, BATCH))
    engine_for(network, False, (2, BATCH))
    assert engine_for(network, False, (1, BATCH)) is first
    third = engine_for(network, False, (3, BATCH))
    assert list(own_engines.values()) == [first, third]


# Weights in vectors, and by themselves; XLA's program and the graph's.
@pytest.mark.parametrize(("max_flat", "compiled"), [(10_000, False), (0, True)])
@pytest.mark.usefixtures("by_tensorflow")
def test_programs_keep_no_numbers(monkeypatch, own_engines, max_flat, compiled):
    # TensorFlow never frees the variables that a program was traced with: three times
    # the weights for each program.
    made = []

    class Remembered(engine.Programs):
        def release(self):
            super().release()
            made.append(self)

    monkeypatch.setattr(engine, "Programs", Remembered)
    monkeypatch.setattr(programs, "MAX_FLAT", max_flat)
    X, y = np.ones((50, 8)), np.arange(50) % 10
    classifier = KerasMLPClassifier(1, 8, epochs=1, early_stopping=True, random_state=0)
    monkeypatch.setattr(_programs, "pays_to_compile", lambda *_: compiled)
    classifier.fit(X, y)
    assert len(made) >= 2
    for one in made:
        assert (one.layout is None) == (max_flat == 0)
        lent = [v.value for v in one.variables]
        assert lent and all(tf.size(v) == 0 for v in lent)


def test_clear_engines_drops_all(own_engines):
    engine_for(make(), False, None)
    clear_engines()
    assert not own_engines


# An object that refers to the graph of a program keeps several MB.
@BOTH_KINDS
def test_a_dropped_engine_leaves_no_graph(own_engines, digits, compiled):
    network = make()
    train(network, *digits, epochs=1, compiled=compiled)
    (kept,) = own_engines.values()
    graphs = [weakref.ref(p.graph) for p in kept._programs.values()]
    assert graphs
    clear_engines()
    del kept
    gc.collect()
    assert [graph() for graph in graphs] == [None] * len(graphs)


def test_training_goes_on_after_the_engines_are_dropped(digits, monkeypatch):
    kept = train(make(), *digits, epochs=2)
    dropped = train(make(), *digits, epochs=1)
    monkeypatch.setattr(engine, "_engines", OrderedDict())
    train(dropped, *digits, epochs=2, initial_epoch=1)
    assert_equal_weights(kept, dropped)


# Fits in threads run the programs of one engine at the same time. They must not
# influence each other.
@BOTH_KINDS
def test_threads_that_share_an_engine_learn_what_each_learns_alone(digits, compiled):
    def learn(seed):
        network = make(**MASKED, random_state=seed)
        return train(network, *digits, epochs=10, compiled=compiled)

    alone = [learn(seed) for seed in range(4)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(learn, range(4)))
    for a, b in zip(alone, together, strict=True):
        assert_equal_weights(a, b)


def test_threads_can_make_different_engines_at_once(digits, own_engines):
    def learn(width):
        return train(make(widths=(width,)), *digits)

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(learn, (4, 5)))
    for a, b in zip(map(learn, (4, 5)), together, strict=True):
        assert_equal_weights(a, b)


def test_compiling_pays_for_the_report_and_not_for_a_toy():
    assert pays_to_compile(n_parameters=593_210, n_updates=20 * 844)
    assert not pays_to_compile(n_parameters=1210, n_updates=20 * 7)


@pytest.mark.parametrize(("compiling", "shape"), [(1e9, None), (0, (104, BATCH))])
@pytest.mark.usefixtures("by_tensorflow")
def test_the_classifier_compiles_where_it_pays(
    digits, own_engines, monkeypatch, compiling, shape
):
    monkeypatch.setattr(engine, "COMPILING", compiling)
    KerasMLPClassifier(0, optimizer="sgd", batch_size=BATCH, epochs=1).fit(*digits)
    assert [engine.shape for engine in own_engines.values()] == [shape]


# ---- the order of the rows ---------------------------------------------------------


def test_an_order_is_a_permutation():
    order = EpochOrder(0)(3, 50)
    np.testing.assert_array_equal(np.sort(order), np.arange(50))


def test_orders_differ_between_epochs():
    order = EpochOrder(0)
    assert np.any(order(0, 50) != order(1, 50))


def test_orders_differ_between_seeds():
    assert np.any(EpochOrder(0)(0, 50) != EpochOrder(1)(0, 50))


def test_an_order_depends_on_seed_and_epoch_only():
    used = EpochOrder(0)
    used(0, 50), used(7, 20)
    np.testing.assert_array_equal(used(3, 50), EpochOrder(0)(3, 50))


def test_an_order_without_shuffling_is_the_rows_as_they_are():
    order = EpochOrder(0, shuffle=False)(3, 5)
    np.testing.assert_array_equal(order, np.arange(5))


# ---- evaluation and prediction -----------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_predictions_equal_those_of_keras(digits, activation):
    X, _ = digits
    network = make(activations=("relu", activation), widths=(6, 5))
    expected = np.asarray(network(X, training=False))
    np.testing.assert_allclose(predict(network, X), expected, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_outputs", [1, 10])
def test_predictions_of_a_trained_network_equal_those_of_keras(
    digits, n_outputs, dtype
):
    X, y = digits[0].astype(dtype), digits[1] % n_outputs
    network = make(
        n_outputs=n_outputs, dtype=dtype, batch_normalization=True, dropout=0.5
    )
    train(network, X, y)
    predicted = predict(network, X)
    assert predicted.dtype == dtype
    np.testing.assert_allclose(predicted, network(X, training=False), rtol=1e-4)


def test_predicting_leaves_the_data_alone(digits):
    X = digits[0].copy()
    predict(make(widths=()), X)
    np.testing.assert_array_equal(X, digits[0])


def test_layers_as_arrays_do_not_change_with_the_network(digits):
    network = make()
    layers = network_layers(network)
    before = layers[0].weights.copy()
    train(network, *digits)
    np.testing.assert_array_equal(layers[0].weights, before)
    assert np.any(network_layers(network)[0].weights != before)


def test_predictions_in_parts_equal_those_at_once(digits, monkeypatch):
    network = make()
    at_once = predict(network, digits[0])
    monkeypatch.setattr(prediction, "CHUNK_ROWS", 7)
    in_parts = predict(network, digits[0])
    np.testing.assert_allclose(in_parts, at_once, rtol=1e-12)


# The parts have different weights, so the mean of their means would be wrong.
def test_a_weighted_validation_in_parts_is_the_weighted_mean(
    digits, held_out, weights, monkeypatch
):
    X, y = held_out
    monkeypatch.setattr(engine, "EVALUATION_ROWS", 30)
    data = {"row_weight": weights, "validation_data": (X, y, weights)}
    network = train(make(), *digits, epochs=1, **data)
    losses = -np.log(predict(network, X)[np.arange(N_ROWS), y])
    val_loss = network.history.history["val_loss"][0]
    assert val_loss == pytest.approx(np.average(losses, weights=weights))


# Validation rows may have weights if training rows have none.
def test_validation_rows_carry_weights_of_their_own(digits, held_out, weights):
    X, y = held_out
    network = train(make(), *digits, epochs=1, validation_data=(X, y, weights))
    losses = -np.log(predict(network, X)[np.arange(N_ROWS), y])
    val_loss = network.history.history["val_loss"][0]
    assert val_loss == pytest.approx(np.average(losses, weights=weights))


def test_validation_rows_without_weights_weigh_the_same(digits, held_out, weights):
    X, y = held_out
    data = {"row_weight": weights, "validation_data": (X, y)}
    network = train(make(), *digits, epochs=1, **data)
    losses = -np.log(predict(network, X)[np.arange(N_ROWS), y])
    assert network.history.history["val_loss"][0] == pytest.approx(losses.mean())


def test_validation_accuracy_counts_the_hits(digits, held_out):
    X, y = held_out
    network = train(make(), *digits, epochs=1, validation_data=(X, y))
    predicted = predict(network, X).argmax(axis=1)
    assert network.history.history["val_accuracy"][0] == np.mean(predicted == y)


@pytest.mark.parametrize("batch_normalization", [False, True])
def test_layers_as_arrays_are_all_that_a_prediction_needs(digits, batch_normalization):
    X, y = digits
    network = train(make(batch_normalization=batch_normalization), X, y)
    (W1, b1, first), (W2, b2, last) = network_layers(network)
    assert (first, last) == ("relu", "softmax")
    scores = np.exp(np.maximum(X @ W1 + b1, 0) @ W2 + b2)
    expected = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predict(network, X), expected, rtol=1e-9)
