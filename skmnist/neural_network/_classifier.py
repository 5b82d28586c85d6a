"""`KerasMLPClassifier`: its parameters, its fit, its predictions, its copies."""

# SPDX-License-Identifier: BSD-3-Clause

import functools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import joblib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted

from .._io import write_archive
from .._memory import memory_errors_named
from ..augmentation._distortions import Distortions
from . import _training
from ._data import MatrixLike, check_data
from ._door import load_keras
from ._inference import FixedLayers, class_probabilities
from ._optimizer_params import OptimizerParameter
from ._persistence import (
    fit_method,
    loaded,
    picklable,
    restore_network,
    spec_and_arrays,
    take_apart,
    to_plain,
    unpickled,
)
from ._spec import CONSTRAINTS, AdviceMixin, PerLayer, settled, with_advice
from .engines._lanes import lanes, meeting

if TYPE_CHECKING:
    import keras

    from .keras_side._callbacks import Callbacks
    from .keras_side._scikeras import KerasClassifier


class KerasMLPClassifier(
    AdviceMixin, CallbackSupportMixin, ClassifierMixin, BaseEstimator
):
    """Multilayer perceptron classifier, trained by Keras.

    Use it like scikit-learn's `MLPClassifier`: in a `Pipeline`, in `GridSearchCV`, in
    `cross_val_score`. Every part of the network and of its training is a parameter
    that a search can vary: depth, widths, activations, initializers, optimizer,
    learning rate, batch size, dropout and more.

    Parameters
    ----------
    depth : int or "auto", default="auto"
        Number of hidden layers; 0 for a linear model. "auto" means as many as
        `widths`, `activations`, `initializers` or `dropout` has values, where one of
        them is a sequence, and 2 where all are single values.
    widths : int, array-like of int of shape (depth,) or "auto", default="auto"
        Units of the hidden layers: one number for all layers, or one number per layer
        from input to output. ``depth=2, widths=400`` and ``widths=(400, 400)`` are the
        same network. "auto" means 128 for up to 5,000 training rows, and 256 for
        more.
    activations : str or array-like of str of shape (depth,), default="silu"
        Activation of the hidden layers, such as "relu", "tanh" or "gelu": one name
        for all layers, or one per layer. The error for a wrong name lists all names.
    initializers : str or array-like of str of shape (depth,), default="he_normal"
        Initial weights of the hidden layers, such as "he_normal" or "glorot_uniform":
        one name for all layers, or one per layer. Biases start at zero.
    output_initializer : str, default="glorot_uniform"
        Initial weights of the output layer.
    optimizer : str or keras.optimizers.Optimizer, default="adam"
        A name, such as "adam", "adamw" or "sgd", or a Keras optimizer. Each fit makes
        a new optimizer from its configuration.
    learning_rate : float, "auto" or None, default="auto"
        Learning rate. "auto" means, for "adam", "adamw" and "nadam", one over the width
        of the widest layer and at most 0.008; for others the optimizer's own. None for
        the optimizer's own: 0.001 for Adam, 0.01 for SGD.
    learning_rate_schedule : {"constant", "linear", "cosine"}, default="cosine"
        How the learning rate changes. "linear" and "cosine" lower it to zero at the
        end of all `epochs`. Each `fit` begins the schedule again, also with
        `warm_start`; then the optimizer is new, too. `partial_fit` cannot know how
        many calls will follow, so it keeps the learning rate constant.
    warmup_epochs : float, default=0
        Epochs at the start in which the learning rate rises linearly to
        `learning_rate`. They are part of `epochs`. The schedule begins after them.
    batch_size : int or "auto", default="auto"
        Rows per update of the weights. "auto" means 64 for up to 1,000 training rows,
        128 for up to 50,000, and 256 for more.
    epochs : int or "auto", default="auto"
        Largest number of passes over the training data. "auto" means as many as make
        2,500 updates of the weights; at least 12 and at most 400. It means fewer if
        `early_stopping` finds that more would learn noise by heart.
    validation_split : float, default=0.1
        Fraction of the training data to hold out for validation, if training can stop
        early and `fit` gets no `X_val`. The rows are drawn once, before training,
        stratified by class.
    early_stopping : bool or "auto", default="auto"
        Whether to stop when validation stops improving. "auto" means only if `fit`
        gets `X_val`. Without `X_val`, and with 200 to 5,000 training rows and
        ``epochs="auto"``, "auto" looks ahead: a quarter of the epochs are trained
        without a fifth of the rows. If the loss of these rows rises by a quarter, the
        network is trained on all rows for twice the epochs that had the lowest loss;
        otherwise for all epochs. False trains all epochs in any case.
    monitor : {"val_loss", "val_accuracy", "loss", "accuracy"}, default="val_loss"
        The curve that decides which epoch is best.
    patience : int, default=10
        Stop after this number of epochs without improvement.
    min_delta : float, default=0.0
        Smallest change of the monitored value that counts as an improvement.
    min_train_loss : float or None, default=1e-3
        With early stopping, also stop once the training loss is below this; None to
        ignore it.
    max_gap : float or None, default=None
        With early stopping, also stop once training accuracy exceeds validation
        accuracy by more than this fraction; None to ignore it.
    restore_best_weights : bool, default=True
        Whether early stopping keeps the weights of the best epoch. Otherwise the
        weights of the last epoch are kept.
    refit_on_all : bool, default=False
        Whether to train again after early stopping, on training and validation data
        together, from fresh weights. This second training takes `best_iter_` epochs,
        with the learning rates that these epochs had in the first training.
        `n_iter_`, the curves and `stop_reason_` describe the first training;
        `refit_history_` describes the second. No effect without early stopping.
    dropout : float, array-like of float of shape (depth,) or "auto", default="auto"
        Fraction of the outputs of the hidden layers that training sets to zero: one
        number for all layers, or one per layer. "auto" means 0.1.
    dropout_mask : {"row", "update", "auto"}, default="auto"
        Whether each row loses other outputs, or all rows of an update the same ones.
        With "update", a row of weight 2 is trained like two equal rows. "auto" means
        "update" if `dropout` is "auto", and "row" otherwise.
    input_dropout : float, default=0.0
        Fraction of the inputs that training sets to zero.
    input_scaling : {"auto", "standard", "learned"} or None, default="auto"
        How the network scales its inputs. "standard" takes off the mean of each
        feature and divides by its standard deviation, both weighted by
        `sample_weight`, as `StandardScaler` does. "learned" also multiplies each
        feature with a factor that training changes, so that features of no use lose
        their influence. None leaves the inputs as they are. "auto" means None if all
        training data are from 0 to 1, as the pixels of images, and "learned"
        otherwise. The scales are part of `coefs_` and `intercepts_`.
    batch_normalization : bool, default=False
        Whether to normalize the outputs of each hidden layer over the rows of a batch,
        before the activation.
    weight_decay : float or "auto", default="auto"
        Decoupled weight decay: each update takes this fraction, times the learning
        rate, off each weight. "auto" means 0.02, or what `optimizer` has itself if it
        is an object.
    label_smoothing : float, default=0.03
        Part of the target probability to move from the true class to all classes
        alike.
    augmentation : {"affine", "affine+elastic"}, Distortions or None, default=None
        How to distort the training images, differently in each epoch. "affine" turns,
        shifts, scales and slants them a little; "affine+elastic" also bends them. Both
        suit handwritten digits; for other images, choose strengths with `Distortions`.
        None for data that are not images.
    image_shape : array-like of int of shape (2,), default=None
        Height and width of the images, for `augmentation`. The columns of X are the
        pixels, row by row. None for square images.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, by label; they are multiplied with `sample_weight`.
        "balanced" gives each class the same total weight.
    callbacks : list of keras.callbacks.Callback, default=None
        Keras callbacks, or classes or functions that make them. Each fit works on
        copies. A callback that cannot be copied, because it has a file or a lock,
        serves one fit at a time, and no clone; give a function for that, such as
        ``functools.partial(keras.callbacks.TensorBoard, "logs")``.
    memory : str, path-like or joblib.Memory, default=None
        Folder that keeps finished fits, as in `Pipeline`. The same fit on the same
        data, in any search, is then read instead of trained. This needs an int
        `random_state`. Fits with `callbacks`, fits that continue from earlier weights,
        and `partial_fit` are not kept.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the previous fit.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the validation split, the order of the rows, the
        dropout and the distortions. With an int, each fit gives the same result (on
        one machine, with one number of threads). Global random generators are neither
        used nor changed.
    verbose : int, default=0
        0 prints nothing. 1 prints a line for each epoch: loss and accuracy on the
        training rows and on the validation rows, the learning rate if there is room,
        and the seconds. 2 prints the lines of Keras instead.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X has names that are all strings.
    input_range_ : tuple of two floats
        The lowest and the highest value of the training data.
    n_iter_ : int
        Number of epochs trained, without a second training by `refit_on_all`.
    best_iter_ : int
        The epoch whose weights are kept, counted from 1; the last one if the weights
        are of no single epoch, such as averages. With `refit_on_all`, the
        number of epochs of the second training.
    stop_reason_ : str
        Why training ended, in words.
    epochs_ : int
        The `epochs` of the last fit; what "auto" meant.
    batch_size_ : int
        The `batch_size` of the last training; what "auto" meant.
    overfits_after_ : int or None
        The epoch after which the loss of new rows rises, by a look ahead, see
        `early_stopping`. None if it does not rise, or if there was no look.
    learning_rate_ : float or None
        The `learning_rate` of the last training; what "auto" meant.
    loss_ : float
        Training loss of the last epoch.
    best_loss_ : float or None
        Lowest training loss of all epochs; None with early stopping.
    loss_curve_ : list of float of shape (n_iter_,)
        Training loss of each epoch, on distorted images if there is `augmentation`.
    validation_loss_curve_ : list of float of shape (n_iter_,) or None
        Validation loss of each epoch, NaN for an epoch without validation data; None
        if no epoch had any.
    validation_scores_ : list of float of shape (n_iter_,) or None
        Validation accuracy of each epoch, likewise.
    best_validation_score_ : float or None
        Validation accuracy of the weights that are kept. With `refit_on_all` it does
        not estimate the accuracy of the final weights: they are trained on these data
        too.
    coefs_ : list of ndarray of shape (n_units_in, n_units_out)
        Weights of each layer, with its batch normalization included.
    intercepts_ : list of ndarray of shape (n_units_out,)
        Biases of each layer, likewise.
    n_layers_ : int
        Number of layers, input and output included.
    n_outputs_ : int
        Number of output units; 1 for two classes.
    out_activation_ : {"logistic", "softmax"}
        Activation of the output layer; "logistic" for two classes.
    n_parameters_ : int
        Number of trained weights and biases.
    t_ : int
        Number of rows seen in training, summed over all epochs of all trainings.
    fit_time_ : float
        Duration of the fit in seconds; with others in `lanes`, about its own part.
    history_ : dict of str to list of float
        All curves, under Keras' names.
    refit_history_ : dict of str to list of float, or None
        ``accuracy`` and ``loss`` of the second training; None if there was none.
    keras_classifier_ : scikeras.wrappers.KerasClassifier
        The scikeras classifier inside. Its classes are the positions in `classes_`.
    model_ : keras.Model
        The fitted network. If you change its weights, predictions change with them.
        A classifier that was loaded or unpickled builds it when you ask for it, and
        then imports Keras; predictions do not need it.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : scikit-learn's own, with one activation.
    StagedSearchCV : Searches the parameters in stages.
    Distortions : Strengths for `augmentation`.

    Examples
    --------
    >>> from skmnist import KerasMLPClassifier, load_digits_28x28
    >>> X, y = load_digits_28x28(return_X_y=True)
    >>> classifier = KerasMLPClassifier(depth=1, widths=50, epochs=10, random_state=0)
    >>> classifier.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.9
    True

    Two layers of different widths and activations:

    >>> classifier = KerasMLPClassifier(
    ...     widths=(64, 32), activations=("relu", "tanh"), epochs=2)
    >>> [weights.shape for weights in classifier.fit(X, y).coefs_]
    [(784, 64), (64, 32), (32, 10)]
    """

    # What a fit learns, for static tools. `coefs_`, `intercepts_`, `model_` and
    # `keras_classifier_` are properties.
    classes_: NDArray[Any]
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    input_range_: tuple[float, float]
    n_iter_: int
    best_iter_: int
    stop_reason_: str
    epochs_: int
    overfits_after_: int | None
    batch_size_: int
    learning_rate_: float | None
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    validation_loss_curve_: list[float] | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    n_layers_: int
    n_outputs_: int
    out_activation_: Literal["logistic", "softmax"]
    n_parameters_: int
    t_: int
    fit_time_: float
    history_: dict[str, list[float]]
    refit_history_: dict[str, list[float]] | None

    _parameter_constraints: ClassVar[dict[str, list]] = CONSTRAINTS
    # Says to a search that the parameter `memory` keeps fits.
    keeps_fits: ClassVar[bool] = True

    # Says to a search what "auto" stands for.
    _settled_params = staticmethod(settled)

    # Built when it is read, if it comes from a file or a pickle.
    optimizer = OptimizerParameter()

    # A fitted classifier also has `_wrapper`, the scikeras classifier inside, or the
    # `_arrays` to build it from; `_spec` and `_seeds`, from which that was made; and
    # `_kept_layers` for predictions; during training that is None, or the network that
    # is trained without Keras' objects, see `_plain`. A fit works on a twin, which
    # has the classifier as `_origin`, see `fit_method`.

    @with_advice
    def __init__(  # noqa: PLR0913
        self,
        depth: int | Literal["auto"] = "auto",
        widths: PerLayer[int] | Literal["auto"] = "auto",
        *,
        activations: PerLayer[str] = "silu",
        initializers: PerLayer[str] = "he_normal",
        output_initializer: str = "glorot_uniform",
        optimizer: "str | keras.optimizers.Optimizer" = "adam",
        learning_rate: float | Literal["auto"] | None = "auto",
        learning_rate_schedule: Literal["constant", "linear", "cosine"] = "cosine",
        warmup_epochs: float = 0,
        batch_size: int | Literal["auto"] = "auto",
        epochs: int | Literal["auto"] = "auto",
        validation_split: float = 0.1,
        early_stopping: bool | Literal["auto"] = "auto",
        monitor: Literal["val_loss", "val_accuracy", "loss", "accuracy"] = "val_loss",
        patience: int = 10,
        min_delta: float = 0.0,
        min_train_loss: float | None = 1e-3,
        max_gap: float | None = None,
        restore_best_weights: bool = True,
        refit_on_all: bool = False,
        dropout: PerLayer[float] | Literal["auto"] = "auto",
        dropout_mask: Literal["auto", "row", "update"] = "auto",
        input_dropout: float = 0.0,
        input_scaling: Literal["auto", "standard", "learned"] | None = "auto",
        batch_normalization: bool = False,
        weight_decay: float | Literal["auto"] = "auto",
        label_smoothing: float = 0.03,
        augmentation: Literal["affine", "affine+elastic"] | Distortions | None = None,
        image_shape: Sequence[int] | NDArray[np.integer] | None = None,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        callbacks: "Callbacks" = None,
        memory: str | os.PathLike | joblib.Memory | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.depth = depth
        self.widths = widths
        self.activations = activations
        self.initializers = initializers
        self.output_initializer = output_initializer
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.warmup_epochs = warmup_epochs
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
        self.refit_on_all = refit_on_all
        self.dropout = dropout
        self.dropout_mask = dropout_mask
        self.input_dropout = input_dropout
        self.input_scaling = input_scaling
        self.batch_normalization = batch_normalization
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.augmentation = augmentation
        self.image_shape = image_shape
        self.class_weight = class_weight
        self.callbacks = callbacks
        self.memory = memory
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @fit_method
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. float32 data give a float32 network, float64 data a float64
            network. Other types are converted to float64.
        y : array-like of shape (n_samples,)
            Class labels of any type.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. A row of weight 2 counts as two equal rows, a row of
            weight 0 as absent.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation data. With them, no part of X is held out.
        y_val : array-like of shape (n_val,), default=None
            Labels of the validation data; each must be in y, too.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation data.

        Returns
        -------
        self : KerasMLPClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter, the data or the labels are not valid.
        FloatingPointError
            If the training loss or a weight becomes infinite or NaN.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If all `epochs` are trained, and "auto" means more than ten times as many.
        """
        validation = X_val, y_val, sample_weight_val
        with memory_errors_named("while a network was trained"):
            _training.fit(self, X, y, sample_weight, validation)
        return self

    @fit_method
    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train for one more epoch, from the present weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that this call and later calls may contain. The first call
            needs it, unless y has all labels; later calls need not repeat it.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        self : KerasMLPClassifier
            The classifier.

        Raises
        ------
        ValueError
            If a parameter, the data or the labels are not valid.
        FloatingPointError
            If the training loss or a weight becomes infinite or NaN.
        """
        with memory_errors_named("while a network was trained"):
            _training.partial_fit(self, X, y, classes, sample_weight)
        return self

    def predict(self, X: MatrixLike) -> NDArray[Any]:
        """Predict the most probable class of each row.

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

    def predict_proba(self, X: MatrixLike) -> NDArray[np.floating]:
        """Predict the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            One column per class, in the order of `classes_`. Rows sum to one.
        """
        check_is_fitted(self)
        X = check_data(self, X)
        return class_probabilities(self._current_layers(), X)

    def predict_log_proba(self, X: MatrixLike) -> NDArray[np.floating]:
        """Predict the logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Natural logarithms, one column per class, in the order of `classes_`. They
            are finite for a probability of zero, too.
        """
        probabilities = self.predict_proba(X)
        # The logarithm of the smallest number of the type, not of zero.
        return np.log(np.maximum(probabilities, np.finfo(probabilities.dtype).tiny))

    @property
    def keras_classifier_(self) -> "KerasClassifier":
        """The scikeras classifier inside; its classes are positions in `classes_`."""
        check_is_fitted(self)
        return _training.lend(self)

    @property
    def model_(self) -> "keras.Model":
        """The fitted network; predictions follow if you change its weights."""
        return self.keras_classifier_.model_

    @property
    def coefs_(self) -> list[NDArray[np.floating]]:
        """Weights of each layer, from input to output."""
        check_is_fitted(self)
        return [layer.weights.copy() for layer in self._current_layers()]

    @property
    def intercepts_(self) -> list[NDArray[np.floating]]:
        """Biases of each layer, from input to output."""
        check_is_fitted(self)
        return [layer.biases.copy() for layer in self._current_layers()]

    def save(self, path: str | os.PathLike) -> None:
        """Write the fitted classifier to one file.

        The file is a zip archive of JSON and plain arrays. Unlike a pickle, it
        contains nothing that could be executed.

        Parameters
        ----------
        path : path-like
            The file to write. It replaces an existing file, all at once.

        Raises
        ------
        TypeError
            If a parameter, such as `callbacks`, cannot be written as plain data.
        """
        check_is_fitted(self)
        # Not `get_params`, which would build an optimizer.
        params = to_plain({name: vars(self)[name] for name in CONSTRAINTS})
        described, arrays = take_apart(self)
        write_archive(path, {"params": params, **described}, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read a classifier that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        classifier : KerasMLPClassifier
            The fitted classifier. It predicts without Keras. `partial_fit` and
            `warm_start` continue its training as if it had not been saved.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        skmnist.neural_network.ModelFileError
            If the file is damaged, or not a saved classifier.
        """
        return loaded(cls, path)

    def __getstate__(self):
        return picklable(self, super().__getstate__())

    def __setstate__(self, state):
        super().__setstate__(unpickled(state))

    @classmethod
    @functools.cache
    def _get_param_names(cls) -> list[str]:
        # scikit-learn reads the signature each time, eight times in a fit.
        return super()._get_param_names()

    def __sklearn_clone__(self):
        if self.callbacks is not None:
            load_keras()
            from .keras_side._callbacks import refuse_uncopied

            refuse_uncopied(self.callbacks)
        return super().__sklearn_clone__()

    def __sklearn_is_fitted__(self):
        return "_kept_layers" in vars(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # ---- the network and its copies ------------------------------------------------

    @property
    def _wrapper(self):
        """The scikeras classifier inside; built when it is asked for."""
        if "_wrapper" not in vars(self):
            check_is_fitted(self)
            load_keras()
            restore_network(self)
        return vars(self)["_wrapper"]

    @_wrapper.setter
    def _wrapper(self, wrapper):
        vars(self)["_wrapper"] = wrapper

    @property
    def _network(self):
        return self._wrapper.model_

    def _current_layers(self):
        """Return the network's layers as arrays, as they are now."""
        if self._kept_layers is None:  # in the midst of a training
            from .keras_side._network import network_layers

            return network_layers(self._network)
        return self._kept_layers.current()

    # ---- what a staged search asks for ---------------------------------------------

    # Contexts in which fits meet, for a while; and train several at once.
    _meet, _together = staticmethod(meeting), staticmethod(lanes)

    def _n_together(self, X, y):
        """Return how many fits on such data gain by training at once; None for all."""
        return _training.n_together(self, X, y)

    def _snapshot(self):
        """Return the attributes that make a copy of this estimator a fitted one."""
        if "_wrapper" in vars(self):
            return {"_wrapper": self._wrapper, "_kept_layers": None}
        layers = FixedLayers(self._current_layers())
        return {"_arrays": spec_and_arrays(self)[1], "_kept_layers": layers}
