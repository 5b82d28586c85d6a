"""What the training of a network needs to know of its optimizer.

A description tells all of it, so neither Keras nor its optimizer is needed. Only a
schedule of Keras' own, which a user gave to an optimizer, is asked for its rates.
"""

# SPDX-License-Identifier: BSD-3-Clause

import threading
from collections import OrderedDict

import numpy as np

from .._door import load_keras
from .._optimizer_forms import serialized, treats_each_alone
from .._optimizer_params import is_scheduled
from ._plain import as_key
from ._updates import UPDATES

# Learning rates of a schedule of Keras' that are found and kept at once.
RATES_AT_ONCE = 2**13

# Descriptions whose facts are kept.
MOST_KEPT = 512
_kept = OrderedDict()
_lock = threading.Lock()


class Described:
    """What a fit needs to know of a described optimizer.

    Parameters
    ----------
    described : dict
        The arguments of `build_optimizer`.

    Attributes
    ----------
    elementwise : bool
        Whether it treats all numbers alike, one by one, so that its state is known
        before it has made an update. If not, nothing else is known.
    has_update : bool
        Whether `apply_update` does what it does.
    config : dict
        Its configuration, and the name of its class as ``"class_name"``.
    decay : float or None
        Weight decay.
    rate : ndarray of float32 of shape () or None
        The learning rate, if it is constant.
    fills : list of float
        How each kind of state begins.
    groups : list of int
        How many kinds of states lie beside each other for each variable.
    has_product : bool
        Whether it keeps a product for the whole network.
    """

    def __init__(self, described):
        numbers = {name: described[name] for name in ("learning_rate", "weight_decay")}
        form = serialized(described["optimizer"], **numbers)
        self._described = described
        self.elementwise = is_known(form) and treats_each_alone(form["config"])
        self.has_update = self.elementwise
        if not self.elementwise:
            return
        self.config = {**form["config"], "class_name": form["class_name"]}
        self.decay = self.config["weight_decay"]
        self._start = start = self.config["learning_rate"]
        # A schedule of the optimizer's own is a description, too.
        self._keras_rates = _KerasRates(described) if isinstance(start, dict) else None
        is_constant = self._keras_rates is None and not is_scheduled(described)
        self.rate = np.array(start, np.float32) if is_constant else None
        self.fills, self.groups, self.has_product = states_of(self.config)
        if self._keras_rates is not None:
            self.has_update = self._keras_rates.are_many

    def rates(self, updates):
        """Return the learning rates of some updates, counted from 0.

        Parameters
        ----------
        updates : ndarray of int
            Their numbers, one after the other.

        Returns
        -------
        rates : ndarray of float32
            One for each.
        """
        if self.rate is not None:
            return np.full(len(updates), self.rate)
        if self._keras_rates is not None:
            return self._keras_rates(updates)
        return scheduled_rates(self._described, self._start, updates)


def is_known(form):
    """Return whether an optimizer is one of Keras' own whose update we have.

    Parameters
    ----------
    form : dict
        Its JSON form. A class derived from one of Keras' may do anything.
    """
    return form["class_name"] in UPDATES and _is_of_keras(form)


def _is_of_keras(described):
    """Return whether all objects in a description are of Keras' own classes."""
    if isinstance(described, dict):
        own = str(described.get("module", "keras")).split(".")[0] == "keras"
        return own and all(map(_is_of_keras, described.values()))
    return not isinstance(described, list) or all(map(_is_of_keras, described))


def trains_plainly(spec):
    """Return whether a network can be trained without Keras' objects.

    Parameters
    ----------
    spec : dict
        From `describe`.

    Returns
    -------
    plainly : bool
        Whether the optimizer is one of Keras' own that treats all numbers alike.
    """
    return described_optimizer(spec["optimizer"]).elementwise


def scheduled_rates(described, start, updates):
    """Return learning rates that rise, then fall, in single precision as in Keras.

    Parameters
    ----------
    described : dict
        The arguments of `build_optimizer`.
    start : float
        The highest learning rate.
    updates : ndarray of int
        Numbers of the updates, counted from 0.

    Returns
    -------
    rates : ndarray of float32
        One for each.

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist.neural_network.engines._optimizer_facts import scheduled_rates
    >>> described = {"schedule": "linear", "n_steps": 6, "n_warmup": 2}
    >>> scheduled_rates(described, 1.0, np.arange(7))
    array([0.5 , 1.  , 1.  , 0.75, 0.5 , 0.25, 0.  ], dtype=float32)
    """
    n_warmup, peak = described["n_warmup"], np.float32(start)
    steps = np.asarray(updates, np.float32)
    later = np.maximum(steps - np.float32(n_warmup), np.float32(0))
    n_falling = np.float32(described["n_steps"] - n_warmup)
    part = np.minimum(later, n_falling) / n_falling
    if described["schedule"] == "constant":
        rates = np.full_like(steps, peak)
    elif described["schedule"] == "linear":
        rates = peak * (1 - part)
    else:
        rates = peak * (np.float32(0.5) * (1 + np.cos(np.float32(np.pi) * part)))
    if not n_warmup:
        return rates
    rising = peak * (steps + 1) / np.float32(n_warmup)
    return np.where(steps < n_warmup, rising, rates)


class _KerasRates:
    """The learning rates of a schedule of Keras'.

    Attributes
    ----------
    are_many : bool
        Whether it gives the rates of several updates at once.
    """

    def __init__(self, described):
        load_keras()
        from ..keras_side._optimizers import schedule_function

        self._schedule = schedule_function(described)
        self._known = 0, ()
        try:
            self.are_many = self(np.arange(2)).shape == (2,)
        except Exception:  # a user's schedule may raise anything
            self.are_many = False

    def __call__(self, updates):
        """Return the rates of some updates, one after the other."""
        # To ask Keras takes a millisecond, for one update or for thousands. Threads
        # share this object: so read and write both in one step.
        first, known = self._known
        if not first <= updates[0] <= updates[-1] < first + len(known):
            first = updates[0]
            known = np.asarray(self._schedule(first + np.arange(RATES_AT_ONCE)))
            self._known = first, known
        return known[updates - first]


def states_of(config):
    """Return what an optimizer of Keras keeps.

    Parameters
    ----------
    config : dict
        As `Described.config`.

    Returns
    -------
    fills : list of float
        How each kind of state begins.
    groups : list of int
        How many kinds lie beside each other for each variable.
    has_product : bool
        Whether there is a number for the whole network: a product, of Nadam.

    Examples
    --------
    >>> from skmnist.neural_network.engines._optimizer_facts import states_of
    >>> states_of({"class_name": "Adam", "amsgrad": True})
    ([0.0, 0.0, 0.0], [2, 1], False)
    """
    name = config["class_name"]
    fills, groups = [0.0, 0.0], [2]
    if name in ("Adam", "AdamW") and config["amsgrad"]:
        fills, groups = [0.0, 0.0, 0.0], [2, 1]
    elif name == "Adagrad":
        fills, groups = [config["initial_accumulator_value"]], [1]
    elif name == "Ftrl":
        fills = [config["initial_accumulator_value"], 0.0]
    elif name in ("Lion", "RMSprop", "SGD"):
        n_kinds = {"Lion": 1, "RMSprop": 1, "SGD": 0}[name]
        n_kinds += bool(config.get("momentum")) + bool(config.get("centered"))
        fills, groups = [0.0] * n_kinds, [1] * n_kinds
    return fills, groups, name == "Nadam"


def described_optimizer(described):
    """Return what a fit needs to know of a described optimizer; found out once."""
    key = as_key(described)
    with _lock:
        if key not in _kept:
            _kept[key] = Described(described)
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
        return _kept[key]
