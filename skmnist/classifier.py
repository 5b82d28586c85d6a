"""`KerasMLPClassifier`: validate, encode, build, train, record."""

# SPDX-License-Identifier: BSD-3-Clause

import math
import time
from numbers import Integral, Real

import keras
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ._compat import Interval, StrOptions, _check_sample_weight, _fit_context
from .encoding import Rows, draw_seeds, encode_labels
from .monitoring import EpochTicks, FiniteLoss, fresh_callbacks
from .network import ACTIVATIONS, INITIALIZERS, OPTIMIZERS, SCHEDULES
from .prediction import forward, network_layers
from .saving import ModelFileError, read_archive, write_archive
from .training import EpochOrder, pays_to_compile
from .validation import ValidationEarlyStopping
from .wrapping import (
    describe,
    deserialize_optimizer,
    make_wrapper,
    restore_wrapper,
    serialize_optimizer,
    train_wrapper,
    wrapper_arrays,
)

# From this many samples on, early_stopping="auto" stops early, as in
# scikit-learn's HistGradientBoostingClassifier.
EARLY_STOPPING_FROM = 10_000


class KerasMLPClassifier(ClassifierMixin, CallbackSupportMixin, BaseEstimator):
    """Multilayer perceptron trained by Keras, every part of it a parameter.

    A scikit-learn classifier around the `KerasClassifier` of scikeras: depth,
    widths, activations, initializers, optimizer, batch size and validation
    split can be searched by `GridSearchCV`, `RandomizedSearchCV` or
    `StagedSearchCV`.

    Parameters
    ----------
    depth : int, default=2
        Number of hidden layers.
    widths : int or array-like of int of shape (depth,), default=400
        Units of every hidden layer, or of each from input to output. ``depth=2,
        widths=400`` and ``depth=2, widths=(400, 400)`` build the same network.
    activations : str or array-like of str of shape (depth,), default="relu"
        Activation of every hidden layer, or of each.
    initializers : str or array-like of str of shape (depth,), default="he_normal"
        Initializer of the weights of every hidden layer, or of each.
    output_initializer : str, default="glorot_uniform"
        Initializer of the output layer's weights.
    optimizer : str or keras.optimizers.Optimizer, default="adam"
        Name of an optimizer, or one whose configuration each fit builds anew.
    learning_rate : float, default=None
        Learning rate; None for the optimizer's own (0.001 for Adam, 0.01 for
        SGD).
    learning_rate_schedule : {"constant", "linear", "cosine"}, default="constant"
        How the learning rate falls over all `epochs`, to zero at their end.
    batch_size : int, default=64
        Rows per update of the weights.
    epochs : int, default=20
        Passes over the training data, at most.
    validation_split : float, default=0.1
        Fraction of the training data that is held out to decide when to stop:
        stratified, drawn once before training, and only when stopping early
        without a validation set of the caller's.
    early_stopping : bool or "auto", default="auto"
        Whether to stop when validation says so; "auto" does from 10,000
        samples on and whenever a validation set is passed to `fit`.
    monitor : str, default="val_loss"
        The curve that says which epoch is best: "val_loss", "val_accuracy",
        "loss" or "accuracy".
    patience : int, default=1
        Number of epochs without improvement that stop training.
    min_delta : float, default=0.0
        Smallest change of the monitored value that counts as an improvement.
    min_train_loss : float or None, default=1e-3
        Training loss below which training stops; None for never.
    max_gap : float or None, default=None
        Stop once training accuracy exceeds validation accuracy by more than
        this fraction; None for never.
    restore_best_weights : bool, default=True
        Whether the best epoch's weights are kept, not the last one's.
    dropout : float or array-like of float of shape (depth,), default=0.0
        Fraction of the outputs of every hidden layer, or of each, that is
        dropped in training.
    batch_normalization : bool, default=False
        Whether hidden layers normalize their pre-activations.
    weight_decay : float, default=0.0
        Decoupled weight decay of the optimizer.
    label_smoothing : float, default=0.0
        Probability moved from the true class to all classes alike.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with the sample weights.
    callbacks : list of keras.callbacks.Callback, default=None
        Keras callbacks or classes of them; each fit works on copies.
    warm_start : bool, default=False
        Whether `fit` goes on from the previous weights.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, the validation split, the order of the rows and
        the dropout. No global random state is read or changed.
    verbose : int, default=0
        Keras' verbosity: 1 for a line per epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has string names.
    n_iter_ : int
        Number of epochs trained.
    best_iter_ : int
        The epoch whose weights are kept, counted from 1.
    stop_reason_ : str
        Why training ended, in words.
    loss_ : float
        Training loss of the last epoch.
    best_loss_ : float or None
        Lowest training loss; None when stopping early.
    loss_curve_ : list of float of shape (n_iter_,)
        Training loss of each epoch.
    validation_loss_curve_ : list of float of shape (n_iter_,) or None
        Validation loss of each epoch, NaN for one without validation data; None
        without any.
    validation_scores_ : list of float of shape (n_iter_,) or None
        Validation accuracy of each epoch, likewise.
    best_validation_score_ : float or None
        Validation accuracy of the epoch whose weights are kept.
    coefs_ : list of ndarray of shape (n_units_in, n_units_out)
        Weights of each layer. A batch normalization is folded in.
    intercepts_ : list of ndarray of shape (n_units_out,)
        Biases of each layer, likewise.
    n_layers_ : int
        Number of layers, input and output among them.
    n_outputs_ : int
        Number of output units: 1 for two classes.
    out_activation_ : {"logistic", "softmax"}
        Activation of the output layer.
    n_parameters_ : int
        Number of weights and biases.
    t_ : int
        Number of rows seen in training, each epoch counted.
    fit_time_ : float
        Duration of the fit in seconds.
    history_ : dict of str to list of float
        All curves, under Keras' names.
    keras_classifier_ : scikeras.wrappers.KerasClassifier
        The wrapped classifier; it works on class numbers.
    model_ : keras.Model
        The fitted network.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : scikit-learn's own, with one
        activation for all layers.
    StagedSearchCV : Searches the parameters in stages.

    Examples
    --------
    >>> from skmnist import KerasMLPClassifier, load_digits_28x28
    >>> X, y = load_digits_28x28(return_X_y=True)
    >>> classifier = KerasMLPClassifier(depth=1, widths=50, epochs=10, random_state=0)
    >>> classifier.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.9
    True
    """

    _parameter_constraints: dict = {
        "depth": [Interval(Integral, 0, None, closed="left")],
        "widths": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "activations": [StrOptions(set(ACTIVATIONS)), "array-like"],
        "initializers": [StrOptions(set(INITIALIZERS)), "array-like"],
        "output_initializer": [StrOptions(set(INITIALIZERS))],
        "optimizer": [StrOptions(set(OPTIMIZERS)), keras.optimizers.Optimizer],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
        "learning_rate_schedule": [StrOptions(set(SCHEDULES))],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "validation_split": [Interval(Real, 0, 1, closed="neither")],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "monitor": [StrOptions({"val_loss", "val_accuracy", "loss", "accuracy"})],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "min_delta": [Interval(Real, 0, None, closed="left")],
        "min_train_loss": [Interval(Real, 0, None, closed="left"), None],
        "max_gap": [Interval(Real, 0, 1, closed="both"), None],
        "restore_best_weights": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "batch_normalization": ["boolean"],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "callbacks": [list, tuple, keras.callbacks.Callback, type, None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(  # noqa: PLR0913
        self,
        depth=2,
        widths=400,
        *,
        activations="relu",
        initializers="he_normal",
        output_initializer="glorot_uniform",
        optimizer="adam",
        learning_rate=None,
        learning_rate_schedule="constant",
        batch_size=64,
        epochs=20,
        validation_split=0.1,
        early_stopping="auto",
        monitor="val_loss",
        patience=1,
        min_delta=0.0,
        min_train_loss=1e-3,
        max_gap=None,
        restore_best_weights=True,
        dropout=0.0,
        batch_normalization=False,
        weight_decay=0.0,
        label_smoothing=0.0,
        class_weight=None,
        callbacks=None,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.depth = depth
        self.widths = widths
        self.activations = activations
        self.initializers = initializers
        self.output_initializer = output_initializer
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.batch_size = batch_size
        self.epochs = epochs
        self.validation_split = validation_split
        self.early_stopping = early_stopping
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.min_train_loss = min_train_loss
        self.max_gap = max_gap
        self.restore_best_weights = restore_best_weights
        self.dropout = dropout
        self.batch_normalization = batch_normalization
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
    ):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. float32 stays float32 and gives a float32 network,
            float64 a float64 one.
        y : array-like of shape (n_samples,)
            Class labels of any type.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples; 2 counts as a repeated row, 0 as none.
        X_val : array-like of shape (n_val, n_features), default=None
            Validation data that decide when to stop, instead of a part of X.
        y_val : array-like of shape (n_val,), default=None
            Their labels, among those of y.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.

        Returns
        -------
        self : KerasMLPClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or the data are not what they should be.
        FloatingPointError
            If the training loss becomes infinite or NaN.
        """
        started = time.perf_counter()
        resume = self.warm_start and hasattr(self, "_wrapper")
        rows = self._check_rows(X, y, sample_weight, reset=not resume)
        held_out = self._check_held_out(X_val, y_val, sample_weight_val)
        seeds = draw_seeds(self.random_state)
        stop_early = self.early_stopping
        if stop_early == "auto":
            stop_early = held_out is not None or len(rows.y) >= EARLY_STOPPING_FROM
        if stop_early and held_out is None:
            rows, held_out = rows.hold_out(self.validation_split, seeds["split"])
        if not resume:
            self._prepare(rows, seeds)
        self._train(rows, held_out, seeds, stop_early, self.epochs)
        self.fit_time_ = time.perf_counter() - started
        return self

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch, from the present weights on.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that later calls may bring; the first call's own by
            default.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : KerasMLPClassifier
            The classifier.
        """
        started = time.perf_counter()
        resume = hasattr(self, "_wrapper")
        rows = self._check_rows(X, y, sample_weight, classes, reset=not resume)
        seeds = draw_seeds(self.random_state)
        if not resume:
            self._prepare(rows, seeds)
        self._train(rows, None, seeds, False, 1)
        self.fit_time_ = time.perf_counter() - started
        return self

    def _check_rows(self, X, y, sample_weight, classes=None, *, reset):
        """Check training data; learn the classes, or hold them to those learned."""
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=_DTYPES, order="C", reset=reset
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
            self, X_val, y_val, accept_sparse="csr", dtype=_DTYPES, reset=False
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

    def _prepare(self, rows, seeds):
        """Describe the network to build, and make its wrapper."""
        n_classes = len(self.classes_)
        self._spec = describe(
            self.get_params(deep=False),
            n_features=self.n_features_in_,
            n_classes=n_classes,
            n_samples=len(rows.y),
            dtype=str(rows.X.dtype),
            random_state=seeds["layers"],
        )
        self.n_outputs_ = self._spec["network"]["n_outputs"]
        self.out_activation_ = "logistic" if n_classes == 2 else "softmax"
        self.n_layers_ = self.depth + 2
        self.t_ = self.n_iter_ = 0
        self.history_ = {}
        self._wrapper = make_wrapper(self._spec, verbose=self.verbose)
        self._layers, self._shared = None, False

    def _train(self, rows, held_out, seeds, stop_early, epochs):
        """Train the wrapped network and record how it went."""
        stopping = self._stopping() if stop_early else None
        self._layers = None
        context = self._init_callback_context(max_subtasks=epochs)
        data = {
            "X": rows.X,
            "y": lambda: self.classes_[rows.y],
            "metadata": {"sample_weight": rows.sample_weight},
        }
        context.call_on_fit_task_begin(estimator=self, **data)
        ticks = EpochTicks(self, context, self._snapshot, data)
        callbacks = [FiniteLoss(), *([stopping] if stopping else []), ticks]
        train_wrapper(
            self._wrapper,
            *rows,
            callbacks=callbacks + fresh_callbacks(self.callbacks),
            epochs=epochs,
            batch_size=self.batch_size,
            order=EpochOrder(seeds["order"]),
            compiled=pays_to_compile(
                self._network.count_params(), len(rows.y), self.batch_size, self.epochs
            ),
            validation_data=held_out,
        )
        before = self.n_iter_
        self._record(stopping, ticks, epochs)
        self.t_ += len(rows.y) * (self.n_iter_ - before)
        context.call_on_fit_task_end(
            estimator=self, reconstruction_attributes=self._snapshot, **data
        )

    def _stopping(self):
        return ValidationEarlyStopping(
            self.monitor,
            patience=self.patience,
            min_delta=self.min_delta,
            min_train_loss=self.min_train_loss,
            max_gap=self.max_gap,
            restore_best_weights=self.restore_best_weights,
        )

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
        self.n_parameters_ = int(self._network.count_params())
        if stopping and stopping.stop_reason_:
            self.stop_reason_ = stopping.stop_reason_
        elif ticks.stopped_ or self._network.stop_training:
            self.stop_reason_ = "a callback asked to stop"
        else:
            self.stop_reason_ = f"all {epochs} epochs are trained"

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

    def predict_proba(self, X):
        """Predict the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Rows sum to one; columns are ordered as `classes_`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=_DTYPES, reset=False)
        X = X if isinstance(X, np.ndarray) else X.toarray()
        probabilities = forward(self._layers or network_layers(self._network), X)
        if self.n_outputs_ == 1:
            return np.hstack([1 - probabilities, probabilities])
        return probabilities

    def predict_log_proba(self, X):
        """Predict the logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Natural logarithms; columns are ordered as `classes_`.
        """
        probabilities = self.predict_proba(X)
        # The logarithm of the smallest number the type knows, not of zero.
        return np.log(np.maximum(probabilities, np.finfo(probabilities.dtype).tiny))

    def predict(self, X):
        """Predict the most probable class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Class labels.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[np.argmax(probabilities, axis=1)]

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
        check_is_fitted(self)
        params = {
            **self.get_params(deep=False),
            "optimizer": serialize_optimizer(self.optimizer),
        }
        learned = {
            name: value for name, value in vars(self).items() if name.endswith("_")
        }
        description = {"params": params, "learned": learned, "spec": self._spec}
        write_archive(path, description, wrapper_arrays(self._wrapper))

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
        skmnist.saving.ModelFileError
            If the file is foreign or damaged.
        """
        description, arrays = read_archive(path)
        try:
            params = description["params"]
            params["optimizer"] = deserialize_optimizer(params["optimizer"])
            classifier = cls(**params)
            vars(classifier).update(description["learned"], _spec=description["spec"])
            classifier._restore(arrays)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"{path}: damaged, or of another version ({error})"
            ) from error
        return classifier

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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


# The first is the one other types are brought to, as in MLPClassifier.
_DTYPES = (np.float64, np.float32)
