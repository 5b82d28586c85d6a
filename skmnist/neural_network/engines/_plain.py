"""A network without Keras' objects, and what networks of one structure share.

To build Keras' network and optimizer takes longer than a small training. A training
needs their numbers only, and these begin in a way that the spec of the network tells.
"""

# SPDX-License-Identifier: BSD-3-Clause

import json
import math

from .._inference import STATE, described_layers, layer_variables
from ._first_values import initial_values

# Variables of layers that no training changes, or not by the optimizer.
_FIXED = (STATE, "centre", "scale", "mean", "variance")


class PlainNetwork:
    """A network as a spec and arrays, without Keras' objects.

    It has what hooks expect of a network, and what a fit expects of scikeras' wrapper
    around it. The classes derived from it train it.

    Parameters
    ----------
    spec : dict
        From `describe`, such that `trains_plainly`.
    scaling : (ndarray, ndarray), default=None
        Center and scale of the inputs, if the network scales them.

    Attributes
    ----------
    history_ : dict of str to list of float
        The curves of the training.
    stop_training : bool
        A callback sets it to end the training.
    waited : float
        Seconds of its training that other fits took; see `lanes`.
    """

    waited = 0.0

    # Our callbacks ask whether an optimizer averages weights. None of these does.
    optimizer = None

    def __init__(self, spec, scaling=None):
        self.spec = spec
        self.epochs = spec["epochs"]
        self.history_ = {}
        self.stop_training = False
        self._scaling = scaling
        self._named = layer_variables(spec["network"])
        self._arrays = None

    @property
    def model_(self):
        """The network itself."""
        return self

    @property
    def trainable_weights(self):
        """The arrays that the training changes."""
        named = zip(self._named, self.arrays(), strict=False)
        return [array for (name, _), array in named if name not in _FIXED]

    def count_params(self):
        """Return the number of weights, trained or not."""
        return sum(math.prod(shape) for name, shape in self._named if name != STATE)

    def arrays(self):
        """Return the variables as arrays, in the order of `wrapper_arrays`.

        Returns
        -------
        arrays : list of ndarray
            Those of now, if the network is in training; before it, those of the layers.
        """
        if self._arrays is not None:
            return self._arrays
        return initial_values(self.spec["network"], self._scaling)

    def current(self):
        """Return the layers as arrays, as they are now."""
        return described_layers(self.spec["network"], self.arrays())

    def get_weights(self):
        """Return the weights as they are now; the arrays never change."""
        named = zip(self._named, self.arrays(), strict=False)
        return [array for (name, _), array in named if name != STATE]

    def set_weights(self, weights):
        """Give the network other weights."""
        places = [i for i, (name, _) in enumerate(self._named) if name != STATE]
        arrays = list(self.arrays())
        for i, array in zip(places, weights, strict=True):
            arrays[i] = array
        self._arrays = arrays


def structure_key(spec):
    """Return a key that networks of one structure have in common.

    Parameters
    ----------
    spec : dict
        From `describe`.

    Returns
    -------
    key : str
        It leaves out seeds, and what is an argument of the programs.
    """
    return as_key(structure_of(spec))


def structure_of(spec):
    """Return a spec without seeds and without what is an argument of the programs."""
    own = ("random_state", "initializers", "output_initializer")
    network = {k: v for k, v in spec["network"].items() if k not in own}
    network["dropout"] = [bool(rate) for rate in network["dropout"]]
    network["input_dropout"] = bool(network["input_dropout"])
    described = spec["optimizer"]
    optimizer = {
        "optimizer": described["optimizer"],
        "schedule": described["schedule"],
        "n_warmup": described["n_warmup"] > 0,
        "weight_decay": described["weight_decay"] > 0,
    }
    return [network, optimizer, spec["loss"]]


def as_key(plain):
    """Return plain data as a string; equal data give equal ones."""
    return json.dumps(plain, sort_keys=True)
