"""`KerasMLPClassifier`: validate, encode, build, train, record."""

# SPDX-License-Identifier: BSD-3-Clause

import time

from sklearn.callback import with_callbacks

from .._compat import _fit_context
from ._data import draw_seeds
from ._fitting import NetworkFitting
from ._persistence import OF_THE_DATA
from ._predicting import NetworkPredicting
from ._spec import CONSTRAINTS, check_together


class KerasMLPClassifier(NetworkPredicting, NetworkFitting):
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
    warmup_epochs : float, default=0
        Epochs, of those, in which the learning rate rises along a line to
        `learning_rate`, before the schedule begins.
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
    refit_on_all : bool, default=False
        Whether to train fresh weights on training and validation data together,
        for `best_iter_` epochs, once early stopping has found that number. Each
        of those epochs has the learning rate that it had before: the schedule
        still spans `epochs`. What is learned about validation, `n_iter_`, the
        curves and `stop_reason_` remain those of the first training; those of
        the second are in `refit_history_`. Without early stopping nothing is
        held out, and this changes nothing.
    dropout : float or array-like of float of shape (depth,), default=0.0
        Fraction of the outputs of every hidden layer, or of each, that is
        dropped in training.
    input_dropout : float, default=0.0
        Fraction of the inputs that is dropped in training.
    batch_normalization : bool, default=False
        Whether hidden layers normalize their pre-activations.
    weight_decay : float, default=0.0
        Decoupled weight decay of the optimizer.
    label_smoothing : float, default=0.0
        Probability moved from the true class to all classes alike.
    augmentation : {"affine", "affine+elastic"}, Distortions or None, default=None
        How training images are distorted, anew in each epoch: by small
        rotations, shifts, changes of size and slants; by elastic displacements
        too; or with strengths of your own. None for data that are no images.
        Digits can be turned a little and remain what they are; where that is not
        so of your images, choose other strengths.
    image_shape : array-like of int of shape (2,), default=None
        Height and width of the images, whose pixels X has row by row; None for
        square ones. Read only for `augmentation`.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with the sample weights.
    callbacks : list of keras.callbacks.Callback, default=None
        Keras callbacks or classes of them; each fit works on copies.
    memory : str, path-like or joblib.Memory, default=None
        Folder that keeps finished fits, as in `Pipeline`: the same network on the
        same data, with an int `random_state`, is trained only once, in whatever
        search asks for it. Fits with `callbacks` of yours, those that go on from
        earlier weights, and `partial_fit` are not kept.
    warm_start : bool, default=False
        Whether `fit` goes on from the previous weights.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, the validation split, the order of the rows, the
        dropout and the distortions. No global random state is read or changed.
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
        Number of epochs trained, those of `refit_on_all` not counted.
    best_iter_ : int
        The epoch whose weights are kept, counted from 1; with `refit_on_all` the
        number of epochs of the second training.
    stop_reason_ : str
        Why training ended, in words.
    loss_ : float
        Training loss of the last epoch.
    best_loss_ : float or None
        Lowest training loss; None when stopping early.
    loss_curve_ : list of float of shape (n_iter_,)
        Training loss of each epoch, on distorted images where there is
        `augmentation`.
    validation_loss_curve_ : list of float of shape (n_iter_,) or None
        Validation loss of each epoch, NaN for one without validation data; None
        without any.
    validation_scores_ : list of float of shape (n_iter_,) or None
        Validation accuracy of each epoch, likewise.
    best_validation_score_ : float or None
        Validation accuracy of epoch `best_iter_`. With `refit_on_all` it is no
        estimate for the final weights, which are trained on these data too.
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
        Number of rows seen in training, each epoch of each training counted.
    fit_time_ : float
        Duration of the fit in seconds.
    history_ : dict of str to list of float
        All curves, under Keras' names.
    refit_history_ : dict of str to list of float, or None
        ``accuracy`` and ``loss`` of the second training; None without one.
    keras_classifier_ : scikeras.wrappers.KerasClassifier
        The wrapped classifier; it works on class numbers.
    model_ : keras.Model
        The fitted network.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : scikit-learn's own, with one
        activation for all layers.
    StagedSearchCV : Searches the parameters in stages.
    Distortions : Strengths for `augmentation`.

    Examples
    --------
    >>> from skmnist import KerasMLPClassifier, load_digits_28x28
    >>> X, y = load_digits_28x28(return_X_y=True)
    >>> classifier = KerasMLPClassifier(depth=1, widths=50, epochs=10, random_state=0)
    >>> classifier.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.9
    True
    """

    _parameter_constraints: dict = CONSTRAINTS

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
        warmup_epochs=0,
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
        refit_on_all=False,
        dropout=0.0,
        input_dropout=0.0,
        batch_normalization=False,
        weight_decay=0.0,
        label_smoothing=0.0,
        augmentation=None,
        image_shape=None,
        class_weight=None,
        callbacks=None,
        memory=None,
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
        self.input_dropout = input_dropout
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
        check_together(self.get_params(deep=False))
        resume = self.warm_start and hasattr(self, "_wrapper")
        rows = self._check_rows(X, y, sample_weight, reset=not resume)
        held_out = self._check_held_out(X_val, y_val, sample_weight_val)
        seeds = self._seeds if resume else draw_seeds(self.random_state)
        stop_early = self._stops_early(rows, held_out)
        everything = None
        if stop_early and self.refit_on_all:
            everything = rows if held_out is None else rows.and_also(held_out)
        if stop_early and held_out is None:
            rows, held_out = rows.hold_out(self.validation_split, seeds["split"])
        if not resume:
            self._describe(rows, seeds)
        cache = None if resume else self._cache()
        key = cache and self._key(rows, held_out, stop_early, everything)
        kept = cache and cache.read(key)
        if kept:
            self._become(*kept)
            return self
        if not resume:
            self._build()
        self._train(rows, held_out, stop_early, self.epochs, everything)
        self.fit_time_ = time.perf_counter() - started
        if cache:
            cache.write(key, *self._fitted_state(without=OF_THE_DATA))
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
        check_together(self.get_params(deep=False))
        resume = hasattr(self, "_wrapper")
        rows = self._check_rows(X, y, sample_weight, classes, reset=not resume)
        if not resume:
            self._describe(rows, draw_seeds(self.random_state))
            self._build()
        self._train(rows, None, False, 1)
        self.fit_time_ = time.perf_counter() - started
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
