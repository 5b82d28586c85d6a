"""The updates of Keras' optimizers, on arrays.

Each function changes weights and states in place, as the optimizer of that name in
Keras does. The arrays have a row for each of several networks; the learning rate and
the number of the update are columns.
"""

# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Update(NamedTuple):
    """What an update is made of, beside the optimizer's own numbers.

    Attributes
    ----------
    weights : ndarray of shape (n_networks, n_weights)
        Changed in place.
    slopes : ndarray of shape (n_networks, n_weights)
        The gradients; not needed afterwards.
    states : list of ndarray of shape (n_networks, n_weights)
        What the optimizer keeps for each weight; changed in place.
    product : ndarray of shape (n_networks, 1)
        What it keeps for each network: a product, of Nadam.
    work : (ndarray, ndarray)
        Memory of the same shape as the weights.
    rate, step_size : ndarray of shape (n_networks, 1)
        Learning rates, and what `step_sizes` makes of them.
    step : ndarray of shape (n_networks, 1)
        Number of the update, counted from 1.
    kept : ndarray of shape (n_networks, 1) or None
        The part of each weight that weight decay leaves, before the update.
    """

    weights: np.ndarray
    slopes: np.ndarray
    states: list
    product: np.ndarray
    work: tuple
    rate: np.ndarray
    step_size: np.ndarray
    step: np.ndarray
    kept: np.ndarray | None = None


def step_sizes(config, rates, steps):
    """Return learning rates, corrected where Adam corrects for its first steps.

    Parameters
    ----------
    config : dict
        As for `apply_update`.
    rates : ndarray
        Learning rates.
    steps : ndarray
        Numbers of the updates, counted from 1, of the same shape and type.

    Returns
    -------
    sizes : ndarray
        One for each rate.
    """
    if UPDATES[config["class_name"]] is not adam:
        return rates
    first, second = (_as(rates, config[name]) for name in ("beta_1", "beta_2"))
    return rates * np.sqrt(1 - second**steps) / (1 - first**steps)


def _towards(mean, values, part, work):
    """Move a running mean towards values, by a part of the distance."""
    np.subtract(values, mean, out=work)
    work *= part
    mean += work


def adam(config, update):
    """Kingma and Ba, ICLR 2015; with AMSGrad if the configuration says so."""
    weights, slopes, (mean, square, *largest), _, (work, other) = update[:5]
    _towards(mean, slopes, 1 - config["beta_1"], work)
    np.square(slopes, out=other)
    _towards(square, other, 1 - config["beta_2"], work)
    if largest:
        square = np.maximum(*largest, square, out=largest[0])
    np.sqrt(square, out=work)
    work += config["epsilon"]
    np.multiply(mean, update.step_size, out=other)
    other /= work
    weights -= other


def adamax(config, update):
    """Kingma and Ba, ICLR 2015, section 7."""
    weights, slopes, (mean, norm), _, (work, other), rate, _, step, _ = update
    _towards(mean, slopes, 1 - config["beta_1"], work)
    norm *= config["beta_2"]
    np.maximum(norm, np.abs(slopes, out=work), out=norm)
    np.add(norm, config["epsilon"], out=work)
    work *= 1 - _as(weights, config["beta_1"]) ** step
    np.multiply(mean, rate, out=other)
    other /= work
    weights -= other


def nadam(config, update):
    """Dozat, "Incorporating Nesterov Momentum into Adam", 2016."""
    weights, slopes, (mean, square), product, (work, other), rate, _, step, _ = update
    first, second = (_as(weights, config[name]) for name in ("beta_1", "beta_2"))
    decay = _as(weights, 0.96)
    now, later = (first * (1 - _as(weights, 0.5) * decay**t) for t in (step, step + 1))
    product *= now
    _towards(mean, slopes, 1 - first, work)
    np.square(slopes, out=other)
    _towards(square, other, 1 - second, work)
    np.multiply(mean, later / (1 - product * later), out=work)
    np.multiply(slopes, (1 - now) / (1 - product), out=other)
    work += other
    work *= rate
    np.divide(square, 1 - second**step, out=other)
    np.sqrt(other, out=other)
    other += config["epsilon"]
    work /= other
    weights -= work


def rmsprop(config, update):
    """Tieleman and Hinton, 2012; with momentum, and centered, if so configured."""
    weights, slopes, (square, *others), _, (work, other), rate, *_ = update
    rho = config["rho"]
    momentum = others.pop(0) if config["momentum"] > 0 else None
    np.square(slopes, out=other)
    _faded(square, other, rho)
    np.add(square, config["epsilon"], out=work)
    if config["centered"]:
        (mean,) = others
        np.copyto(other, slopes)
        _faded(mean, other, rho)
        work -= np.square(mean, out=other)
    np.sqrt(work, out=work)
    slopes *= rate
    slopes /= work
    if momentum is not None:
        momentum *= config["momentum"]
        momentum += slopes
        slopes = momentum
    weights -= slopes


def _faded(mean, values, rho):
    """Mix values into a running mean; the values are changed."""
    mean *= rho
    values *= 1 - rho
    mean += values


def sgd(config, update):
    """Gradient descent; with momentum, also Nesterov's, if so configured."""
    weights, slopes, states, _, (work, _), rate, *_ = update
    slopes *= rate
    if not config["momentum"]:
        weights -= slopes
        return
    (speed,) = states
    speed *= config["momentum"]
    speed -= slopes
    if not config["nesterov"]:
        weights += speed
        return
    np.multiply(speed, config["momentum"], out=work)
    work -= slopes
    weights += work


def adagrad(config, update):
    """Duchi, Hazan and Singer, JMLR 12, 2011."""
    weights, slopes, (total,), _, (work, _), rate, *_ = update
    total += np.square(slopes, out=work)
    np.add(total, config["epsilon"], out=work)
    np.sqrt(work, out=work)
    slopes *= rate
    slopes /= work
    weights -= slopes


def adadelta(config, update):
    """Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012."""
    weights, slopes, (square, moved), _, (work, other), rate, *_ = update
    rho, epsilon = config["rho"], config["epsilon"]
    np.square(slopes, out=other)
    _faded(square, other, rho)
    np.add(moved, epsilon, out=work)
    slopes *= np.sqrt(work, out=work)
    np.add(square, epsilon, out=work)
    slopes /= np.sqrt(work, out=work)
    np.square(slopes, out=other)
    _faded(moved, other, rho)
    slopes *= rate
    weights -= slopes


def lion(config, update):
    """Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023."""
    weights, slopes, (mean,), _, (work, other), rate, *_ = update
    np.multiply(mean, config["beta_1"], out=work)
    work += np.multiply(slopes, 1 - config["beta_1"], out=other)
    np.sign(work, out=work)
    work *= rate
    weights -= work
    _faded(mean, slopes, config["beta_2"])


def ftrl(config, update):
    """McMahan et al., KDD 2013, with the shrinkage of TensorFlow."""
    weights, slopes, (total, linear), _, (work, other), rate, *_ = update
    power = -config["learning_rate_power"]
    l1 = config["l1_regularization_strength"]
    l2 = config["l2_regularization_strength"] + config["beta"] / (2 * rate)
    before = total**power
    total += np.square(slopes, out=work)
    after = total**power
    np.subtract(after, before, out=work)
    work /= rate
    work *= weights
    np.multiply(weights, 2 * config["l2_shrinkage_regularization_strength"], out=other)
    linear += slopes
    linear += other
    linear -= work
    after /= rate
    after += 2 * l2
    np.clip(linear, -l1, l1, out=work)
    work -= linear
    np.divide(work, after, out=weights)


def _as(weights, number):
    """Return a number in the type of the weights."""
    return weights.dtype.type(number)


# By the name of the class in Keras.
UPDATES: dict[str, Callable] = {
    "Adadelta": adadelta,
    "Adagrad": adagrad,
    "Adam": adam,
    "AdamW": adam,
    "Adamax": adamax,
    "Ftrl": ftrl,
    "Lion": lion,
    "Nadam": nadam,
    "RMSprop": rmsprop,
    "SGD": sgd,
}


def apply_update(config, update):
    """Update weights, as Keras' optimizers of a configuration do.

    Parameters
    ----------
    config : dict
        From Keras' `get_config`, with the name of the class as ``"class_name"``.
    update : Update
        Weights, gradients and states.
    """
    limit = config["clipvalue"]
    if limit:
        np.clip(update.slopes, -limit, limit, out=update.slopes)
    if update.kept is not None:
        np.multiply(update.weights, update.kept, out=update.weights)
    UPDATES[config["class_name"]](config, update)
