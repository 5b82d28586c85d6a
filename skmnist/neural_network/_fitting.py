"""How a network is fitted and recorded: the steps behind the classifier's `fit`."""

# SPDX-License-Identifier: BSD-3-Clause

import math
import warnings
from difflib import get_close_matches
from numbers import Integral

import numpy as np
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from .._compat import _check_sample_weight
from ._cache import fit_key, open_cache
from ._callbacks import EpochTicks, FiniteLoss, fresh_callbacks
from ._compiled import n_threads, pays_to_compile
from ._data import DTYPES, Rows, encode_labels
from ._early_stopping import ValidationEarlyStopping
from ._epochs import EpochOrder
from ._persistence import NetworkKeeping
from ._scikeras import make_wrapper, refuse_fork, train_wrapper
from ._spec import EARLY_STOPPING_FROM, describe


class NetworkFitting(CallbackSupportMixin, NetworkKeeping):
    """The fit of `KerasMLPClassifier` in its steps; never used by itself.

    A subclass has the parameters.
    """

    # Tells a search that there is a parameter `memory`, and what it means.
    keeps_fits = True

    def set_params(self, **params):
        """Set parameters, with a suggestion for a misspelt name.

        Parameters
        ----------
        **params : dict
            Parameters of this classifier.

        Returns
        -------
        self : NetworkFitting
            The classifier.

        Raises
        ------
        ValueError
            If there is no parameter of that name.
        """
        try:
            return super().set_params(**params)
        except ValueError as error:
            known = list(self.get_params(deep=False))
            wrong = next((name for name in params if name not in known), None)
            close = get_close_matches(wrong or "", known, n=1)
            if not close:
                raise
            raise ValueError(f"{error} Did you mean {close[0]!r}?") from None

    def _check_rows(self, X, y, sample_weight, classes=None, *, reset):
        """Check training data; learn the classes, or hold them to those learned."""
        refuse_fork()
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=DTYPES, order="C", reset=reset
        )
        check_classification_targets(y)
        if reset:
            self.classes_ = np.unique(y if classes is None else classes)
            if len(self.classes_) < 2:
                raise ValueError(
                    "KerasMLPClassifier needs at least two classes; the data "
                    f"contain only one class: {self.classes_[0]!r}"
                )
        return self._weighted(X, y, sample_weight).without_weightless()

    def _check_held_out(self, X_val, y_val, sample_weight_val):
        """Check the caller's validation data, if there are any."""
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val must be given together.")
        X_val, y_val = validate_data(
            self, X_val, y_val, accept_sparse="csr", dtype=DTYPES, reset=False
        )
        return self._weighted(X_val, y_val, sample_weight_val).without_weightless()

    def _weighted(self, X, y, sample_weight):
        """Encode the labels, and merge class weights into the sample weights."""
        if not isinstance(X, np.ndarray):
            X = X.toarray()
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype)
        if self.class_weight is not None:
            weights = compute_sample_weight(self.class_weight, y).astype(X.dtype)
            # A new array: the caller's weights stay as they are.
            sample_weight = weights * (1 if sample_weight is None else sample_weight)
        return Rows(X, encode_labels(y, self.classes_), sample_weight)

    def _stops_early(self, rows, held_out):
        """Tell whether validation decides when to stop."""
        if self.early_stopping == "auto":
            return held_out is not None or len(rows.y) >= EARLY_STOPPING_FROM
        return self.early_stopping

    def _describe(self, rows, seeds):
        """Describe the network to build, and forget what an earlier one learned."""
        self._seeds = seeds
        self._spec = self._spec_for(rows)
        self.n_outputs_ = self._spec["network"]["n_outputs"]
        self.out_activation_ = "logistic" if self.n_outputs_ == 1 else "softmax"
        self.n_layers_ = self.depth + 2
        self.t_ = self.n_iter_ = 0
        self.history_, self.refit_history_ = {}, None
        self._layers, self._shared = None, False

    def _spec_for(self, rows):
        """Describe the network that trains on some rows."""
        return describe(
            self.get_params(deep=False),
            n_features=self.n_features_in_,
            n_classes=len(self.classes_),
            n_samples=len(rows.y),
            dtype=str(rows.X.dtype),
            random_state=self._seeds["layers"],
        )

    def _build(self):
        """Make the wrapper of the network that is described."""
        self._wrapper = make_wrapper(self._spec, verbose=self.verbose)

    def _cache(self):
        """Return the cache of this fit; None where it cannot be kept."""
        cache = open_cache(self.memory)
        # What a callback of the caller's does cannot be kept.
        if cache is None or self.callbacks is not None:
            return None
        if not isinstance(self.random_state, Integral):
            warnings.warn(
                "memory keeps fits only where random_state is an int: other fits are "
                "never the same again.",
                stacklevel=4,
            )
            return None
        return cache

    def _key(self, rows, held_out, stop_early, everything):
        """Name this fit by all that it depends on."""
        parts = {
            "spec": self._spec,
            "seeds": self._seeds,
            "classes": [repr(label) for label in self.classes_.tolist()],
            "stopping": stop_early and self._stopping_params(),
        }
        data = [rows, held_out, everything]
        arrays = [array for part in data for array in part or [None]]
        return fit_key(parts, arrays, n_threads())

    def _train(self, rows, held_out, stop_early, epochs, everything=None):
        """Train the wrapped network, anew on everything if asked to; record how."""
        stopping = None
        if stop_early:
            stopping = ValidationEarlyStopping(**self._stopping_params())
        most = epochs if everything is None else 2 * epochs
        context = self._init_callback_context(max_subtasks=most)
        data = self._hook_data(rows)
        context.call_on_fit_task_begin(estimator=self, **data)
        ticks = EpochTicks(self, context, self._snapshot, data)
        callbacks = [FiniteLoss(), *([stopping] if stopping else []), ticks]
        self._run_epochs(rows, held_out, callbacks, epochs)
        before = self.n_iter_
        self._record(stopping, ticks, epochs)
        self.t_ += len(rows.y) * (self.n_iter_ - before)
        if everything is not None:
            data = self._hook_data(everything)
            ticks = EpochTicks(self, context, self._snapshot, data)
            self._train_again(everything, [FiniteLoss(), ticks])
        context.call_on_fit_task_end(
            estimator=self, reconstruction_attributes=self._snapshot, **data
        )

    def _train_again(self, rows, callbacks):
        """Train fresh weights on some rows for as long as the best epoch took."""
        curves = self._wrapper.history_
        # The schedule of the learning rate spans as many epochs as it did.
        self._spec = self._spec_for(rows)
        self._build()
        self._run_epochs(rows, None, callbacks, self.best_iter_)
        again = self._wrapper.history_
        self.refit_history_ = {name: list(map(float, c)) for name, c in again.items()}
        # Training that goes on from here counts on from the first one's curves.
        self._wrapper.history_ = curves
        self._keep_layers()
        self.t_ += len(rows.y) * len(self.refit_history_["loss"])

    def _run_epochs(self, rows, held_out, callbacks, epochs):
        """Train the wrapped network for some epochs."""
        self._layers = None
        n_weights = self._network.count_params()
        try:
            train_wrapper(
                self._wrapper,
                *rows,
                callbacks=callbacks + fresh_callbacks(self.callbacks),
                epochs=epochs,
                batch_size=self.batch_size,
                order=EpochOrder(self._seeds["order"]),
                compiled=pays_to_compile(n_weights, len(rows.y), self.batch_size),
                validation_data=held_out,
            )
        except BaseException:
            # Half-trained weights, NaN perhaps, are no fitted network.
            del self._wrapper
            raise

    def _hook_data(self, rows):
        """Return what the hooks of scikit-learn's callbacks are given."""
        return {
            "X": rows.X,
            "y": lambda: self.classes_[rows.y],
            "metadata": {"sample_weight": rows.sample_weight},
        }

    def _stopping_params(self):
        names = (
            "monitor",
            "patience",
            "min_delta",
            "min_train_loss",
            "max_gap",
            "restore_best_weights",
        )
        return {name: getattr(self, name) for name in names}

    def _snapshot(self):
        """Return what makes a copy of this estimator a fitted one as of now."""
        return {"_wrapper": self._wrapper, "_layers": None}

    def _record(self, stopping, ticks, epochs):
        """Keep the curves, the epoch whose weights are kept, and why it ended."""
        self._keep_layers()
        before, curves = self.n_iter_, self._wrapper.history_
        self.n_iter_ = len(curves["loss"])
        for name, curve in curves.items():
            # Epochs without validation data, before these or among these.
            gap = [math.nan] * (self.n_iter_ - len(curve))
            curves[name] = curve + gap if name in self.history_ else gap + curve
        self.history_ = {name: [float(v) for v in c] for name, c in curves.items()}
        self.loss_curve_ = self.history_["loss"]
        self.validation_loss_curve_ = self.history_.get("val_loss")
        self.validation_scores_ = self.history_.get("val_accuracy")
        self.best_iter_ = self.n_iter_
        if stopping and stopping.best_epoch_ is not None and self.restore_best_weights:
            self.best_iter_ = before + stopping.best_epoch_ + 1
        self.loss_ = self.loss_curve_[-1]
        self.best_loss_ = None if stopping else min(self.loss_curve_)
        self.best_validation_score_ = (
            None
            if self.validation_scores_ is None
            else self.validation_scores_[self.best_iter_ - 1]
        )
        weights = self._network.trainable_weights
        self.n_parameters_ = sum(math.prod(w.shape) for w in weights)
        if stopping and stopping.stop_reason_:
            self.stop_reason_ = stopping.stop_reason_
        elif ticks.stopped_ or self._network.stop_training:
            self.stop_reason_ = "a callback asked to stop"
        else:
            self.stop_reason_ = f"all {epochs} epochs are trained"
