"""The steps of a fit: describe the network, build it, train it, record what happened.

Each function works on the classifier that it gets: in a fit, a twin of the user's (see
`_persistence`). Keras and TensorFlow are loaded where they train or lend the network.
"""

# SPDX-License-Identifier: BSD-3-Clause

import math
import time
import warnings
from collections import defaultdict

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ._cache import fit_key, open_cache
from ._data import (
    center_and_scale,
    check_training,
    check_validation,
    draw_seeds,
)
from ._door import load_keras
from ._early_stopping import STOPPING_PARAMETERS
from ._inference import FixedLayers, forward, layer_variables
from ._optimizer_params import STEADY
from ._persistence import (
    OF_THE_DATA,
    go_on,
    put_together,
    replace,
    resumed_spec,
    spec_and_arrays,
    take_apart,
    with_network,
)
from ._spec import (
    advice_on_epochs,
    check_partial_fit,
    check_together,
    describe,
    fitted_to,
    is_auto,
    with_numbers,
)
from ._tensors import read_variables
from .engines._array_fit import ArrayNetwork, gains_in_company, trains_as_arrays
from .engines._epochs import EpochOrder, fill_curves
from .engines._hooks import (
    EarlyStopping,
    EpochLines,
    EpochTicks,
    FiniteLoss,
    WeightsSeen,
    check_finite,
    hook_data,
)
from .engines._lanes import arriving, n_places, take_none
from .engines._look_ahead import (
    LOOK_ROWS,
    HeldOutLosses,
    OrderOfOthers,
    epochs_before,
    epochs_of_look,
    held_out_rows,
    turning_point,
)
from .engines._optimizer_facts import trains_plainly
from .engines._plain import PlainNetwork

# A warning in a fit is told of the line that calls it, above the method and its four
# decorators.
_TO_THE_CALLER = 7


def fit(classifier, X, y, sample_weight, validation):
    """Train a network; see `KerasMLPClassifier.fit`.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        The classifier; changed in place.
    X, y, sample_weight
        As for `KerasMLPClassifier.fit`.
    validation : tuple
        Its arguments ``X_val``, ``y_val`` and ``sample_weight_val``.
    """
    # Here, and not around a function: warnings count the frames up to the caller.
    with arriving(getattr(X, "nbytes", 0)):
        started = time.perf_counter()
        classifier._waited = 0.0
        check_together(classifier.get_params(deep=False))
        resume = classifier.warm_start and classifier.__sklearn_is_fitted__()
        rows, weights = check_training(
            classifier, X, y, sample_weight, reset=not resume
        )
        held_out = check_validation(classifier, *validation, weights)
        seeds = draw_seeds(
            classifier.random_state, classifier._seeds if resume else None
        )
        stop_early = _stops_early(classifier, held_out)
        everything = None
        if stop_early and classifier.refit_on_all:
            everything = rows if held_out is None else rows.and_also(held_out)
        if stop_early and held_out is None:
            rows, held_out = rows.hold_out(classifier.validation_split, seeds["split"])
        settings = _settle(classifier, rows, resume)
        cache, looks = None, False
        if not resume:
            _describe(classifier, rows, seeds, settings)
            looks = _looks_ahead(classifier, rows, held_out)
            cache = open_cache(
                classifier.memory, classifier.callbacks, classifier.random_state
            )
        key = cache and _key(classifier, rows, held_out, stop_early, everything, looks)
        kept = cache and cache.read(key, classifier._spec)
        if kept:
            put_together(classifier, *kept)
            warn_if_short(classifier, len(rows.y))
            return
        if looks:
            _look_ahead(classifier, rows, settings)
        if resume:
            _go_on(classifier, rows, seeds, settings)
        else:
            _build(classifier, rows)
        again = None if everything is None else (everything, settings)
        _train(classifier, rows, held_out, stop_early, classifier.epochs_, again)
        classifier.fit_time_ = time.perf_counter() - started - classifier._waited
        if cache:
            cache.write(key, *take_apart(classifier, without=OF_THE_DATA))
        warn_if_short(classifier, len(rows.y))


def n_together(classifier, X, y):
    """Return how many fits on some data gain by training at once, see `lanes`.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        The classifier; it stays as it is.
    X : array-like of shape (n_samples, n_features)
        Training data.
    y : array-like of shape (n_samples,)
        Their labels.

    Returns
    -------
    n : int or None
        1 if in doubt; None for as many as there are.

    Raises
    ------
    TypeError, ValueError
        If there is no such network; a fit will say so.
    """
    if getattr(X, "ndim", None) != 2 or getattr(X, "dtype", None) is None:
        return 1
    params = with_numbers(classifier.get_params(deep=False), X.shape[0])
    # How the inputs are scaled is not known, and does not matter.
    params["input_scaling"] = None
    n_samples, n_classes = X.shape[0], len(np.unique(y))
    spec = describe(params, X, n_classes=n_classes, random_state=0)
    if not _trains_by_numpy(classifier, spec, n_samples):
        return 1
    return None if gains_in_company(spec, n_samples) else n_places()


def partial_fit(classifier, X, y, classes, sample_weight):
    """Train for one more epoch; see `KerasMLPClassifier.partial_fit`.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        The classifier; changed in place.
    X, y, classes, sample_weight
        As for `KerasMLPClassifier.partial_fit`.
    """
    started = time.perf_counter()
    classifier._waited = 0.0
    check_partial_fit(classifier.get_params(deep=False))
    resume = classifier.__sklearn_is_fitted__()
    rows, _ = check_training(classifier, X, y, sample_weight, classes, reset=not resume)
    # Nobody knows how many calls will follow. So the learning rate never falls.
    constant = {"learning_rate_schedule": "constant", "warmup_epochs": 0}
    settings = _settle(classifier, rows, resume) | constant
    seeds = draw_seeds(classifier.random_state, classifier._seeds if resume else None)
    if resume:
        _go_on(classifier, rows, seeds, settings)
    else:
        _describe(classifier, rows, seeds, settings)
        _build(classifier, rows)
    _train(classifier, rows, None, False, 1)
    classifier.fit_time_ = time.perf_counter() - started - classifier._waited


def lend(classifier):
    """Return the scikeras classifier inside, for its user to change what he likes.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A fitted classifier.

    Returns
    -------
    wrapper : scikeras.wrappers.KerasClassifier
        Predictions follow it from now on.
    """
    load_keras()
    from .keras_side._scikeras import renew_optimizer

    wrapper = classifier._wrapper
    in_training = classifier._kept_layers is None
    spec = classifier._spec
    if not in_training and spec["optimizer"]["schedule"] != "constant":
        # At the end of its schedule the rate is zero: Keras' own `fit` would change
        # nothing.
        described = {**spec["optimizer"], **STEADY}
        renew_optimizer(wrapper, described)
        classifier._spec = {**spec, "optimizer": described}
    # Its holder may change the weights, and predictions have to follow.
    wrapper.model_.is_lent = True
    return wrapper


# ---- steps -------------------------------------------------------------------------


def _stops_early(classifier, held_out):
    """Return whether validation decides when to stop."""
    auto = classifier.early_stopping == "auto"
    return held_out is not None if auto else classifier.early_stopping


def _settle(classifier, rows, resume=False):
    """Return the parameters, with numbers that suit the rows in place of "auto"."""
    params = classifier.get_params(deep=False)
    if resume:
        params = with_network(params, classifier._spec["network"])
    settings = fitted_to(params, rows.X)
    if resume and _decides_how_long(classifier):
        # Models that an older version saved have not looked ahead.
        turning = getattr(classifier, "overfits_after_", None)
        settings["epochs"] = epochs_before(turning, settings["epochs"])
    classifier.epochs_ = settings["epochs"]
    classifier.batch_size_ = settings["batch_size"]
    classifier.learning_rate_ = settings["learning_rate"]
    return settings


def _describe(classifier, rows, seeds, settings):
    """Describe the network to build, and forget what an earlier one learned."""
    classifier._seeds = seeds
    classifier._spec = _spec_for(classifier, rows, settings)
    classifier.input_range_ = rows.input_range()
    network = classifier._spec["network"]
    classifier.n_outputs_ = network["n_outputs"]
    classifier.out_activation_ = "logistic" if network["n_outputs"] == 1 else "softmax"
    classifier.n_layers_ = len(network["widths"]) + 2
    classifier.t_ = classifier.n_iter_ = 0
    classifier.overfits_after_ = None
    classifier.history_, classifier.refit_history_ = {}, None


def _spec_for(classifier, rows, settings):
    """Describe the network that trains on some rows."""
    return describe(
        settings,
        rows.X,
        n_classes=len(classifier.classes_),
        random_state=classifier._seeds["layers"],
    )


def _decides_how_long(classifier):
    """Return whether the classifier itself decides for how many epochs it trains."""
    return is_auto(classifier.epochs) and is_auto(classifier.early_stopping)


def _looks_ahead(classifier, rows, held_out):
    """Return whether a short training decides for how long to train."""
    fewest, most = LOOK_ROWS
    decides = held_out is None and _decides_how_long(classifier)
    few = fewest <= len(rows.y) <= most
    return decides and few and trains_plainly(classifier._spec)


def _look_ahead(classifier, rows, settings):
    """Find out for how many epochs to train, and describe that training."""
    left_out = held_out_rows(rows, classifier._seeds["split"])
    if left_out is None:
        return
    losses = HeldOutLosses(rows.take(np.flatnonzero(left_out)))
    network = _plain_network(classifier, rows)
    network.fit(
        rows,
        None,
        callbacks=[losses],
        batch_size=min(classifier.batch_size_, len(rows.y)),
        epochs=epochs_of_look(classifier.epochs_),
        order=OrderOfOthers(classifier._seeds["order"], left_out),
    )
    classifier._waited += network.waited
    classifier.overfits_after_ = turning_point(losses.losses_)
    epochs = epochs_before(classifier.overfits_after_, classifier.epochs_)
    classifier.epochs_ = epochs
    classifier._spec = _spec_for(classifier, rows, {**settings, "epochs": epochs})


def _key(classifier, rows, held_out, stop_early, everything, looks):
    """Return the name of this fit, made of all that it depends on."""
    parts = {
        "spec": classifier._spec,
        "seeds": classifier._seeds,
        "classes": [repr(label) for label in classifier.classes_.tolist()],
        "stopping": stop_early and _stopping_params(classifier),
    }
    if looks:
        parts["looks_ahead"] = True
    data = [rows, held_out, everything]
    arrays = [array for part in data for array in part or [None]]
    return fit_key(parts, arrays, _n_threads(classifier, rows))


def _n_threads(classifier, rows):
    """Return the number of threads on which the results depend; 0 if on none."""
    if _trains_by_numpy(classifier, classifier._spec, len(rows.y)):
        return 0
    load_keras()
    from .keras_side._compiled import n_threads

    return n_threads()


def _stopping_params(classifier):
    return {name: getattr(classifier, name) for name in STOPPING_PARAMETERS}


def _build(classifier, rows):
    """Build the network that is described, for some rows."""
    spec = classifier._spec
    if _is_unwatched(classifier, spec, len(rows.y)) and trains_plainly(spec):
        network = _plain_network(classifier, rows)
        replace(classifier, {"_kept_layers": network}, ["_wrapper", "_arrays"])
        return
    load_keras()
    from .keras_side._scikeras import make_wrapper

    classifier._wrapper = make_wrapper(spec, scaling=_scaling(spec, rows))
    classifier._kept_layers = None


def _plain_network(classifier, rows):
    """Return the network that is described, without Keras' objects."""
    spec, scaling = classifier._spec, _scaling(classifier._spec, rows)
    if trains_as_arrays(spec, len(rows.y)):
        return ArrayNetwork(spec, scaling)
    load_keras()
    from .keras_side._programs import ProgramNetwork

    return ProgramNetwork(spec, scaling)


def _scaling(spec, rows):
    """Return center and scale of the inputs, if the network scales them."""
    scales = spec["network"]["input_scaling"] is not None
    return center_and_scale(rows) if scales else None


def _trains_by_numpy(classifier, spec, n_samples):
    """Return whether NumPy trains a network, because nobody wants Keras' network."""
    unwatched = _is_unwatched(classifier, spec, n_samples)
    return unwatched and trains_as_arrays(spec, n_samples)


def _is_unwatched(classifier, spec, n_samples):
    """Return whether nobody can ask for Keras' network while it is trained."""
    hooks = getattr(classifier, "_skl_callbacks", [])
    # Those of scikit-learn, and our own, ask for predictions at most.
    known = all(type(hook).__module__.startswith(_OURS) for hook in hooks)
    silent = not classifier.verbose
    if classifier.verbose == 1:
        silent = trains_as_arrays(spec, n_samples)
    return known and silent and not classifier.callbacks


_OURS = ("sklearn.", "skmnist.")


def _trained(classifier):
    """Return what is trained: a plain network, or scikeras' classifier."""
    kept = classifier._kept_layers
    return kept if isinstance(kept, PlainNetwork) else classifier._wrapper


def _go_on(classifier, rows, seeds, settings):
    """Take over the network of the earlier fit, with the parameters of now."""
    classifier._seeds = seeds
    # Models that an older version saved do not know theirs.
    before = getattr(classifier, "input_range_", ())
    classifier.input_range_ = rows.input_range(before)
    spec = _spec_for(classifier, rows, settings)
    new = resumed_spec(classifier._spec, spec)
    if not _goes_on_as_arrays(classifier, new, rows):
        load_keras()
        go_on(classifier, spec)
        return
    old, arrays = spec_and_arrays(classifier)
    again = ArrayNetwork.after(old, new, arrays, classifier.history_)
    replace(classifier, {"_kept_layers": again, "_spec": new}, ["_arrays"])


def _goes_on_as_arrays(classifier, new, rows):
    """Return whether NumPy trains the network on: nobody has Keras' network of it."""
    old = classifier._spec
    if "_wrapper" in vars(classifier) or old.get("frozen"):
        return False
    # Models of which somebody took the optimizer away have the weights only.
    complete = len(classifier._arrays) > len(layer_variables(old["network"]))
    return complete and _trains_by_numpy(classifier, new, len(rows.y))


def _train(classifier, rows, held_out, stop_early, epochs, again=None):
    """Train, and record the training; then train again, on rows with settings."""
    stopping = None
    if stop_early:
        stopping = EarlyStopping(**_stopping_params(classifier))
    most = epochs if again is None else 2 * epochs
    context = classifier._init_callback_context(max_subtasks=most)
    data = hook_data(rows, classifier.classes_)
    context.call_on_fit_task_begin(estimator=classifier, **data)
    ticks = EpochTicks(classifier, context, classifier._snapshot, data)
    seen = WeightsSeen(bool(classifier.callbacks))
    own = [seen, FiniteLoss(), *([stopping] if stopping else []), ticks]
    trained = _run_epochs(classifier, rows, held_out, own, epochs)
    before = classifier.n_iter_
    record(classifier, trained, own, epochs, held_out)
    classifier.t_ += len(rows.y) * (classifier.n_iter_ - before)
    if again is not None:
        data = hook_data(again[0], classifier.classes_)
        ticks = EpochTicks(classifier, context, classifier._snapshot, data)
        _train_again(classifier, *again, [FiniteLoss(), ticks])
    context.call_on_fit_task_end(
        estimator=classifier, reconstruction_attributes=classifier._snapshot, **data
    )


def _train_again(classifier, rows, settings, callbacks):
    """Train fresh weights on some rows for as many epochs as the best one took."""
    curves = {name: list(curve) for name, curve in classifier.history_.items()}
    # The settings of the first training, also where "auto" would now mean others: so
    # the schedule of the learning rate spans as many epochs as before.
    classifier._spec = _spec_for(classifier, rows, settings)
    _build(classifier, rows)
    epochs = classifier.best_iter_
    trained = _run_epochs(classifier, rows, None, callbacks, epochs, title="refit")
    again = trained.history_
    classifier.refit_history_ = {n: list(map(float, c)) for n, c in again.items()}
    # A later training continues the curves of the first one.
    trained.history_ = defaultdict(list, curves)
    classifier.t_ += len(rows.y) * len(classifier.refit_history_["loss"])


def _run_epochs(classifier, rows, held_out, hooks, epochs, title="epoch"):
    """Train the network for some epochs; return what was trained."""
    trained = _trained(classifier)
    if not isinstance(trained, ArrayNetwork):
        classifier._waited += take_none()
    lines = [EpochLines(title)] if classifier.verbose == 1 else []
    settings = {
        "batch_size": min(classifier.batch_size_, len(rows.y)),
        "epochs": epochs,
        "order": EpochOrder(classifier._seeds["order"]),
    }
    if isinstance(trained, PlainNetwork):
        trained.fit(rows, held_out, callbacks=[*hooks, *lines], **settings)
        classifier._waited += trained.waited
        arrays = trained.arrays()
        check_finite(arrays)
        kept = FixedLayers(trained.current())
        replace(classifier, {"_arrays": arrays, "_kept_layers": kept})
    else:
        _train_by_keras(classifier, rows, held_out, hooks, lines, settings)
    return trained


def _train_by_keras(classifier, rows, held_out, hooks, lines, settings):
    """Train the network of a scikeras classifier, with callbacks of the user's."""
    from .keras_side._callbacks import lent_callbacks
    from .keras_side._network import KeptLayers
    from .keras_side._scikeras import train_wrapper

    classifier._kept_layers = None
    with lent_callbacks(classifier.callbacks) as given:
        train_wrapper(
            classifier._wrapper,
            rows,
            held_out,
            callbacks=[*hooks, *given, *lines],
            verbose=0 if lines else classifier.verbose,
            **settings,
        )
    network = classifier._wrapper.model_
    check_finite(read_variables(network.weights))
    classifier._kept_layers = KeptLayers(network)


# ---- what is recorded ---------------------------------------------------------------


def record(classifier, trained, hooks, epochs, held_out):
    """Record the curves, the epoch whose weights are kept, and why training ended.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A classifier that was just trained; changed in place.
    trained : KerasClassifier or PlainNetwork
        What was trained.
    hooks : list of Hook
        The hooks of this training.
    epochs : int
        The number of epochs to train.
    held_out : Rows or None
        Rows that the network was evaluated on.
    """
    seen, *_, ticks = hooks
    stopping = next((c for c in hooks if hasattr(c, "best_epoch_")), None)
    before, curves = classifier.n_iter_, trained.history_
    curves.update(fill_curves(curves, known=classifier.history_))
    history = {name: list(map(float, curve)) for name, curve in curves.items()}
    classifier.history_, classifier.loss_curve_ = history, history["loss"]
    classifier.validation_loss_curve_ = history.get("val_loss")
    scores = classifier.validation_scores_ = history.get("val_accuracy")
    n_epochs = classifier.n_iter_ = len(classifier.loss_curve_)
    expected = n_epochs - before - 1
    if stopping and stopping.best_epoch_ is not None and stopping.restore_best_weights:
        expected = stopping.best_epoch_
    kept = seen.kept_epoch(expected)
    classifier.best_iter_ = n_epochs if kept is None else before + kept + 1
    classifier.loss_ = classifier.loss_curve_[-1]
    classifier.best_loss_ = None if stopping else min(classifier.loss_curve_)
    score = scores and scores[classifier.best_iter_ - 1]
    if kept is None and held_out is not None:
        score = _accuracy(classifier._current_layers(), held_out)
    classifier.best_validation_score_ = score
    weights = trained.model_.trainable_weights
    classifier.n_parameters_ = sum(math.prod(w.shape) for w in weights)
    classifier.stop_reason_ = stop_reason(stopping, ticks, epochs)


def _accuracy(layers, rows):
    """Return the part of rows that a network classifies correctly."""
    outputs = forward(layers, rows.X)
    single = outputs.shape[1] == 1
    predicted = outputs[:, 0] > 0.5 if single else np.argmax(outputs, axis=1)
    return float(np.mean(predicted == rows.y))


def stop_reason(stopping, ticks, epochs):
    """Return why a training ended, in words.

    Parameters
    ----------
    stopping : EarlyStopping or None
        The hook that may have stopped the training.
    ticks : EpochTicks
        A hook that knows the network.
    epochs : int
        The number of epochs to train.

    Returns
    -------
    reason : str
        One line.
    """
    if stopping and stopping.stop_reason_:
        return stopping.stop_reason_
    if ticks.stopped_ or ticks.model.stop_training:
        return "a callback asked to stop"
    return all_trained(epochs)


def all_trained(epochs):
    """Return the reason to stop that no one has asked for."""
    return f"all {epochs} epochs are trained"


def warn_if_short(classifier, n_samples):
    """Warn if a classifier trained all epochs, and they were few.

    Parameters
    ----------
    classifier : KerasMLPClassifier
        A classifier at the end of its `fit`. With "auto" it trained long enough.
    n_samples : int
        Number of training rows.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If the training is too short, see `advice_on_epochs`.
    """
    ended = classifier.stop_reason_ == all_trained(classifier.epochs_)
    if ended and classifier.epochs != "auto":
        # Earlier calls of a training that goes on count, too.
        n_epochs, batch_size = classifier.n_iter_, classifier.batch_size_
        advice = advice_on_epochs(n_epochs, n_samples, batch_size)
        if advice:
            warnings.warn(advice, ConvergenceWarning, stacklevel=_TO_THE_CALLER)
