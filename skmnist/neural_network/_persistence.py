"""A fitted classifier as plain data and arrays: saved, copied, kept, and read again."""

# SPDX-License-Identifier: BSD-3-Clause

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._io import ModelFileError, read_archive, write_archive
from ._inference import network_layers
from ._scikeras import restore_wrapper, wrapper_arrays
from ._spec import from_plain, to_plain

# Learned from the data as they are given: a kept fit leaves them to each fit.
OF_THE_DATA = ("classes_", "feature_names_in_", "n_features_in_")


class NetworkKeeping(BaseEstimator):
    """What a fitted `KerasMLPClassifier` holds; never used by itself.

    That is the scikeras classifier (``_wrapper``), the plain data it was made from
    (``_spec``), the seeds of the fit (``_seeds``), and copies of the layers for
    predictions (``_layers``).
    """

    @property
    def keras_classifier_(self):
        """The wrapped scikeras classifier."""
        # Its holder may change the weights: from now on predictions read them
        # from the network, and not from the arrays kept for speed.
        wrapper = self._wrapper
        self._layers, self._shared = None, True
        return wrapper

    @property
    def model_(self):
        """The fitted `keras.Model`."""
        return self.keras_classifier_.model_

    @property
    def _network(self):
        return self._wrapper.model_

    def _keep_layers(self):
        """Keep the network's layers as arrays, while nobody else can change it."""
        self._layers = None if self._shared else network_layers(self._network)

    @property
    def coefs_(self):
        """Weights of each layer, from input to output."""
        return [layer.weights for layer in network_layers(self._network)]

    @property
    def intercepts_(self):
        """Biases of each layer, from input to output."""
        return [layer.biases for layer in network_layers(self._network)]

    def save(self, path):
        """Write the fitted classifier to one file; nothing in it is executable.

        Parameters
        ----------
        path : path-like
            The file to write; an existing one is replaced as a whole.

        Raises
        ------
        TypeError
            If a parameter, such as a callback, cannot be written as plain data.
        """
        check_is_fitted(self, "_wrapper")
        params = to_plain(self.get_params(deep=False))
        described, arrays = self._fitted_state()
        write_archive(path, {"params": params, **described}, arrays)

    @classmethod
    def load(cls, path):
        """Read a classifier that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        classifier : KerasMLPClassifier
            The fitted classifier; its training can go on.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        skmnist._io.ModelFileError
            If the file is foreign or damaged.
        """
        description, arrays = read_archive(path)
        try:
            classifier = cls(**from_plain(description["params"]))
            classifier._become(description, arrays)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"{path}: damaged, or of another version ({error})"
            ) from error
        return classifier

    def _fitted_state(self, without=()):
        """Return what makes this a fitted classifier: plain data, and numbers."""
        learned = {
            name: value
            for name, value in vars(self).items()
            if name.endswith("_") and name not in without
        }
        described = {"learned": learned, "spec": self._spec, "seeds": self._seeds}
        return described, wrapper_arrays(self._wrapper)

    def _become(self, described, arrays):
        """Take over what `_fitted_state` returned."""
        vars(self).update(described["learned"])
        self._spec, self._seeds = described["spec"], described["seeds"]
        self._restore(arrays)

    def _restore(self, arrays):
        self._wrapper = restore_wrapper(self._spec, arrays, self.history_)
        self._shared = False
        self._keep_layers()

    def __getstate__(self):
        # Keras networks do not pickle; plain arrays do, into any process.
        state = super().__getstate__().copy()
        wrapper = state.pop("_wrapper", None)
        state.pop("_layers", None)
        # A network in its first training, or one that failed there, stays behind.
        if wrapper is not None and self.n_iter_:
            state["_arrays"] = wrapper_arrays(wrapper)
        return state

    def __setstate__(self, state):
        state = dict(state)
        arrays = state.pop("_arrays", None)
        super().__setstate__(state)
        if arrays is not None:
            self._restore(arrays)
