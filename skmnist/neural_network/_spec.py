"""The parameters of `KerasMLPClassifier`: names, values, and the spec made of them.

A *spec* is a dict of JSON values that describes a network, its loss and its optimizer,
but not their numbers. The optimizer's own part of it is in `_optimizer_params`.
"""

# SPDX-License-Identifier: BSD-3-Clause

import functools
import inspect
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar

import numpy as np
from sklearn.base import BaseEstimator

from .._compat import HasMethods, Interval, StrOptions
from .._format import TOO_SHORT
from ..augmentation._distortions import (
    AUGMENTATIONS,
    Distortions,
    describe_augmentation,
)
from ._inference import ACTIVATIONS
from ._optimizer_params import (
    CONSTRAINTS as OPTIMIZER_CONSTRAINTS,
    KerasInstance,
    check_optimizer,
    describe_optimizer,
)

_T = TypeVar("_T")
_Init = TypeVar("_Init", bound=Callable[..., None])
# One value for all hidden layers, or a sequence of one value per layer.
PerLayer: TypeAlias = _T | Sequence[_T] | np.ndarray

INITIALIZERS = (
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "variance_scaling",
    "zeros",
)

# They take one value for all hidden layers, or one for each.
PER_LAYER = ("widths", "activations", "initializers", "dropout")
# Hidden layers with depth="auto", where none of these is a sequence.
DEFAULT_DEPTH = 2

# With "auto": batch sizes and widths, each with the largest number of rows for which it
# is; how many updates; the fewest and the most epochs; dropout and decay.
_BATCHES = ((64, 1000), (128, 50_000), (256, math.inf))
_WIDTHS = ((128, 5000), (256, math.inf))
AUTO_UPDATES = 2500
AUTO_EPOCHS = (12, 400)
# A fit with a smaller part of the epochs that "auto" means warns. See docs/defaults.md.
ENOUGH_EPOCHS = 0.1
AUTO_DROPOUT = 0.1
AUTO_WEIGHT_DECAY = 0.02
# The highest learning rate of Adam with "auto". Keras' own is 0.001.
AUTO_LEARNING_RATE = 0.008
_LIKE_ADAM = ("adam", "adamw", "nadam")

CONSTRAINTS = {
    "depth": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
    "widths": [
        Interval(Integral, 1, None, closed="left"),
        "array-like",
        StrOptions({"auto"}),
    ],
    "activations": [StrOptions(set(ACTIVATIONS)), "array-like"],
    "initializers": [StrOptions(set(INITIALIZERS)), "array-like"],
    "output_initializer": [StrOptions(set(INITIALIZERS))],
    **OPTIMIZER_CONSTRAINTS,
    "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "validation_split": [Interval(Real, 0, 1, closed="neither")],
    "early_stopping": ["boolean", StrOptions({"auto"})],
    "monitor": [StrOptions({"val_loss", "val_accuracy", "loss", "accuracy"})],
    "patience": [Interval(Integral, 1, None, closed="left")],
    "min_delta": [Interval(Real, 0, None, closed="left")],
    "min_train_loss": [Interval(Real, 0, None, closed="left"), None],
    "max_gap": [Interval(Real, 0, 1, closed="both"), None],
    "restore_best_weights": ["boolean"],
    "refit_on_all": ["boolean"],
    "dropout": [
        Interval(Real, 0, 1, closed="left"),
        "array-like",
        StrOptions({"auto"}),
    ],
    "dropout_mask": [StrOptions({"auto", "row", "update"})],
    "input_dropout": [Interval(Real, 0, 1, closed="left")],
    "input_scaling": [StrOptions({"auto", "standard", "learned"}), None],
    "batch_normalization": ["boolean"],
    "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    "augmentation": [StrOptions(set(AUGMENTATIONS)), Distortions, None],
    "image_shape": ["array-like", None],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "callbacks": [
        list,
        tuple,
        KerasInstance("callbacks.Callback"),
        callable,
        None,
    ],
    "memory": [str, os.PathLike, HasMethods(["cache"]), None],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


def check_together(params: Mapping[str, Any]) -> None:
    """Raise ValueError if parameters contradict each other.

    Parameters
    ----------
    params : dict
        All parameters of a `KerasMLPClassifier`.

    Raises
    ------
    ValueError
        If two values, each allowed by itself, cannot be used together. The message
        names the parameters.
    """
    check_optimizer(params)
    if params["refit_on_all"] and params["warm_start"]:
        raise ValueError(
            "refit_on_all starts from fresh weights and warm_start from the previous "
            "ones; only one of them can be true."
        )


def check_partial_fit(params: Mapping[str, Any]) -> None:
    """Raise ValueError if `partial_fit` cannot work with the parameters.

    Parameters
    ----------
    params : dict
        All parameters of a `KerasMLPClassifier`.

    Raises
    ------
    ValueError
        If the classes are to be balanced: a batch does not know their proportions.
    """
    balanced = params["class_weight"]
    if isinstance(balanced, str):
        raise ValueError(
            f"class_weight {balanced!r} is not supported for partial_fit: one batch "
            "does not tell how frequent the classes are. Pass a dict as class_weight; "
            "sklearn.utils.class_weight.compute_class_weight('balanced', "
            "classes=classes, y=y) computes weights from a large sample of labels."
        )


class Allowed(NamedTuple):
    """Which values one layer may have.

    Attributes
    ----------
    what : str
        The allowed values, in words.
    test : callable
        Returns whether a value is allowed.
    """

    what: str
    test: Callable[[Any], bool]


def is_per_layer(value: PerLayer[Any]) -> bool:
    """Return whether a value is a sequence with one value per hidden layer."""
    return not isinstance(value, str) and np.ndim(value) > 0


def n_hidden_layers(params: Mapping[str, Any]) -> int:
    """Return the number of hidden layers.

    Parameters
    ----------
    params : dict
        Parameters of a `KerasMLPClassifier`: `depth`, and those of `PER_LAYER`.
        Missing ones count as single values.

    Returns
    -------
    depth : int
        The `depth`. For "auto" the number of values of a sequence in `PER_LAYER`, or
        `DEFAULT_DEPTH` if there is none.

    Raises
    ------
    ValueError
        If `depth` is "auto" and two sequences have different lengths.

    Examples
    --------
    >>> from skmnist.neural_network._spec import n_hidden_layers
    >>> n_hidden_layers({"depth": "auto", "widths": (100, 50, 25)})
    3
    >>> n_hidden_layers({"depth": "auto", "widths": 100})
    2
    >>> n_hidden_layers({"depth": 1, "widths": 100})
    1
    """
    if not isinstance(params["depth"], str):
        return int(params["depth"])
    given = {n: params[n] for n in PER_LAYER if is_per_layer(params.get(n, 0))}
    (first, values), *others = given.items() or [("", (None,) * DEFAULT_DEPTH)]
    for name, other in others:
        if len(other) != len(values):
            raise ValueError(
                f"The {first!r} parameter of KerasMLPClassifier has {len(values)} "
                f"values and the {name!r} parameter has {len(other)}; both need one "
                f"value per hidden layer. Got {first}={values!r} and {name}={other!r}."
            )
    return len(values)


def settled(params: Mapping[str, Any], n_samples: int | None = None) -> dict[str, Any]:
    """Return parameters with numbers in place of "auto".

    Parameters
    ----------
    params : dict
        As for `n_hidden_layers`.
    n_samples : int, default=None
        Number of training rows. None for the number of hidden layers only.

    Returns
    -------
    params : dict
        A copy. `depth` stays "auto" if the lengths of two sequences differ, because
        there is no such network.

    Examples
    --------
    >>> from skmnist.neural_network._spec import settled
    >>> settled({"depth": "auto", "widths": (100, 50, 25)})
    {'depth': 3, 'widths': (100, 50, 25)}
    """
    found = dict(params) if n_samples is None else with_numbers(params, n_samples)
    with suppress(ValueError):
        found["depth"] = n_hidden_layers(params)
    return found


def auto_batch_size(n_samples: int) -> int:
    """Return the rows per update that "auto" means.

    Parameters
    ----------
    n_samples : int
        Number of training rows.

    Returns
    -------
    batch_size : int
        A power of two: large enough to keep the processor busy, and small enough for
        many updates.

    Examples
    --------
    >>> from skmnist.neural_network._spec import auto_batch_size
    >>> [auto_batch_size(n) for n in (100, 1000, 10_000, 100_000)]
    [64, 64, 128, 256]
    """
    return next(size for size, most in _BATCHES if n_samples <= most)


def auto_epochs(n_samples: int, batch_size: int) -> int:
    """Return the passes over the training data that "auto" means.

    Parameters
    ----------
    n_samples : int
        Number of training rows.
    batch_size : int
        Rows per update.

    Returns
    -------
    epochs : int
        As many as make `AUTO_UPDATES` updates, and within `AUTO_EPOCHS`.

    Examples
    --------
    >>> from skmnist.neural_network._spec import auto_epochs
    >>> [auto_epochs(n, 128) for n in (100, 1000, 10_000, 100_000)]
    [400, 313, 32, 12]
    """
    steps = -(-n_samples // batch_size)
    fewest, most = AUTO_EPOCHS
    return min(max(-(-AUTO_UPDATES // steps), fewest), most)


def advice_on_epochs(epochs: int, n_samples: int, batch_size: int) -> str:
    """Return advice if a training was so short that accuracy is lost.

    Parameters
    ----------
    epochs : int
        Number of epochs trained.
    n_samples : int
        Number of training rows.
    batch_size : int
        Rows per update.

    Returns
    -------
    advice : str
        One line. Empty if the epochs are at least a tenth of those that "auto" means.

    Examples
    --------
    >>> from skmnist.neural_network._spec import advice_on_epochs
    >>> advice_on_epochs(10, 1000, 64)[:52]
    'The training may be too short: 10 epochs made 160 up'
    >>> advice_on_epochs(50, 1000, 64)
    ''
    """
    needed = auto_epochs(n_samples, batch_size)
    if epochs >= ENOUGH_EPOCHS * needed:
        return ""
    n_updates = epochs * -(-n_samples // batch_size)
    trained = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    return (
        f"{TOO_SHORT}: {trained} made {n_updates} updates of the weights. "
        f"epochs='auto' would train {needed} epochs."
    )


def auto_width(n_samples: int) -> int:
    """Return the units of each hidden layer that "auto" means.

    Parameters
    ----------
    n_samples : int
        Number of training rows.

    Returns
    -------
    width : int
        A power of two; more for more rows.

    Examples
    --------
    >>> from skmnist.neural_network._spec import auto_width
    >>> [auto_width(n) for n in (100, 1000, 10_000, 100_000)]
    [128, 128, 256, 256]
    """
    return next(width for width, most in _WIDTHS if n_samples <= most)


def auto_learning_rate(width: int) -> float:
    """Return the learning rate of Adam that "auto" means.

    Parameters
    ----------
    width : int
        Units of the widest hidden layer.

    Returns
    -------
    learning_rate : float
        One over the width, and at most `AUTO_LEARNING_RATE`: in a wider layer more
        weights change each output.

    Examples
    --------
    >>> from skmnist.neural_network._spec import auto_learning_rate
    >>> [round(auto_learning_rate(width), 4) for width in (16, 128, 512)]
    [0.008, 0.0078, 0.002]
    """
    return min(1 / width, AUTO_LEARNING_RATE)


def with_numbers(params: Mapping[str, Any], n_samples: int) -> dict[str, Any]:
    """Return parameters with numbers in place of "auto", for some number of rows.

    Parameters
    ----------
    params : dict
        All parameters of a `KerasMLPClassifier`.
    n_samples : int
        Number of training rows.

    Returns
    -------
    params : dict
        A copy. What does not follow from the number of rows stays as it is.
    """
    found = dict(params)
    if is_auto(found["widths"]):
        found["widths"] = auto_width(n_samples)
    if is_auto(found["batch_size"]):
        found["batch_size"] = auto_batch_size(n_samples)
    if is_auto(found["epochs"]):
        found["epochs"] = auto_epochs(n_samples, found["batch_size"])
    if is_auto(found["dropout_mask"]):
        found["dropout_mask"] = "update" if is_auto(found["dropout"]) else "row"
    if is_auto(found["dropout"]):
        found["dropout"] = AUTO_DROPOUT
    if is_auto(found["learning_rate"]):
        like_adam = str(found["optimizer"]) in _LIKE_ADAM
        widest = _widest(found["widths"])
        found["learning_rate"] = auto_learning_rate(widest) if like_adam else None
    if is_auto(found["weight_decay"]):
        # An optimizer object has a decay of its own.
        named = isinstance(found["optimizer"], str)
        found["weight_decay"] = AUTO_WEIGHT_DECAY if named else 0.0
    return found


def fitted_to(params: Mapping[str, Any], X: np.ndarray) -> dict[str, Any]:
    """Return parameters with numbers in place of "auto", for some training data.

    Parameters
    ----------
    params : dict
        All parameters of a `KerasMLPClassifier`.
    X : ndarray or csr_array of shape (n_samples, n_features)
        Training data.

    Returns
    -------
    params : dict
        A copy. `depth` and `early_stopping` stay as they are.
    """
    found = with_numbers(params, X.shape[0])
    if is_auto(found["input_scaling"]):
        found["input_scaling"] = None if _within_one(X) else "learned"
    return found


def _widest(widths):
    values = list(widths) if is_per_layer(widths) else [widths]
    # `per_layer` complains about the others.
    return max((w for w in values if isinstance(w, Integral)), default=1)


def is_auto(value: object) -> bool:
    """Return whether a value is "auto"."""
    return isinstance(value, str) and value == "auto"


def _within_one(X):
    """Return whether all values are from 0 to 1, as those of pixels."""
    return X.min() >= 0 and X.max() <= 1


def per_layer(
    name: str, value: PerLayer[Any], depth: int, allowed: Allowed | None = None
) -> list[Any]:
    """Return one value per hidden layer.

    Parameters
    ----------
    name : str
        The parameter's name, for messages.
    value : scalar or array-like of shape (depth,)
        One value for all layers, or one value per layer.
    depth : int
        Number of hidden layers.
    allowed : Allowed, default=None
        Which values a layer may have; None for any.

    Returns
    -------
    values : list of length depth
        Plain Python values, from input to output.

    Raises
    ------
    ValueError
        If the number of values is not the depth, or a value is not allowed.

    Examples
    --------
    >>> from skmnist.neural_network._spec import per_layer
    >>> per_layer("widths", 400, 2), per_layer("widths", (600, 200), 2)
    ([400, 400], [600, 200])
    """
    values = list(value) if is_per_layer(value) else [value] * depth
    if len(values) != depth:
        raise ValueError(
            f"The {name!r} parameter of KerasMLPClassifier has {len(values)} values "
            f"for depth={depth} hidden layers. Got {value!r}."
        )
    values = [v.item() if isinstance(v, np.generic) else v for v in values]
    for v in values:
        if allowed and not allowed.test(v):
            raise ValueError(
                f"The {name!r} parameter of KerasMLPClassifier must hold "
                f"{allowed.what} for each layer. Got {v!r} in {value!r}."
            )
    return values


def did_you_mean(names: Iterable[str], known: Iterable[str]) -> str:
    """Suggest a parameter for the first of some names that is not known.

    Examples
    --------
    >>> from skmnist.neural_network._spec import did_you_mean
    >>> did_you_mean(["depth", "width"], ["depth", "widths"])
    " Did you mean 'widths'?"
    >>> did_you_mean(["xyz"], ["depth", "widths"])
    ''
    """
    known = list(known)
    wrong = next((name for name in names if name not in known), "")
    close = get_close_matches(wrong, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def describe(
    params: Mapping[str, Any], X: np.ndarray, *, n_classes: int, random_state: int
) -> dict[str, Any]:
    """Describe a classifier's network, loss and optimizer as plain data.

    Parameters
    ----------
    params : dict
        All parameters of a `KerasMLPClassifier`, as `fitted_to` returns them.
    X : ndarray of shape (n_samples, n_features)
        Training data. Only their shape and their type are used.
    n_classes : int
        Number of classes.
    random_state : int
        Seed of the layers.

    Returns
    -------
    spec : dict
        JSON values, see `make_wrapper`.

    Raises
    ------
    ValueError
        If the number of values per layer is not the depth, or differs between two
        parameters, or a layer's value is not allowed; or if `augmentation` is given
        and the features are not an image.
    """
    depth = n_hidden_layers(params)

    def layers(name, allowed):
        return per_layer(name, params[name], depth, allowed)

    n_samples, n_features = X.shape
    dtype = str(X.dtype)
    n_outputs = 1 if n_classes == 2 else n_classes
    augmentation = describe_augmentation(
        params["augmentation"], params["image_shape"], n_features
    )
    return {
        "network": {
            "n_features": n_features,
            "n_outputs": n_outputs,
            "widths": layers("widths", _WIDTH),
            "activations": layers("activations", _ACTIVATION),
            "initializers": layers("initializers", _INITIALIZER),
            "output_initializer": params["output_initializer"],
            "dropout": layers("dropout", _RATE),
            "shared_dropout": _shares_masks(params),
            "input_dropout": float(params["input_dropout"]),
            "input_scaling": params["input_scaling"],
            "augmentation": augmentation,
            "batch_normalization": bool(params["batch_normalization"]),
            "dtype": dtype,
            "random_state": random_state,
        },
        "loss": {
            "n_outputs": n_outputs,
            "label_smoothing": float(params["label_smoothing"]),
            "dtype": dtype,
        },
        "optimizer": describe_optimizer(params, n_samples),
        "batch_size": int(params["batch_size"]),
        "epochs": int(params["epochs"]),
    }


def _shares_masks(params):
    """Return whether all rows of an update lose the same outputs."""
    # Without dropout the mask is of no matter; equal networks have equal specs.
    return bool(np.any(params["dropout"])) and params["dropout_mask"] == "update"


def _is_width(width):
    return isinstance(width, int) and not isinstance(width, bool) and width >= 1


def _is_rate(rate):
    return isinstance(rate, int | float) and 0 <= rate < 1


def _one_of(names):
    return Allowed(f"one of {', '.join(names)}", names.__contains__)


_WIDTH = Allowed("a whole number of at least 1", _is_width)
_RATE = Allowed("a number from 0 to below 1", _is_rate)
_ACTIVATION = _one_of(ACTIVATIONS)
_INITIALIZER = _one_of(INITIALIZERS)
# Which values a layer may have, of the parameters in `PER_LAYER`.
ALLOWED = {
    "widths": _WIDTH,
    "activations": _ACTIVATION,
    "initializers": _INITIALIZER,
    "dropout": _RATE,
}


# ---- answers to who gives the parameters of scikit-learn's MLPClassifier -----------

# Parameters of MLPClassifier that have another name here.
OUR_NAMES = {
    "hidden_layer_sizes": "widths",
    "activation": "activations",
    "solver": "optimizer",
    "alpha": "weight_decay",
    "learning_rate_init": "learning_rate",
    "max_iter": "epochs",
    "tol": "min_delta",
    "validation_fraction": "validation_split",
    "n_iter_no_change": "patience",
}

# What else to know about some of them.
_DIFFERENCES = {
    "solver": "It takes 'adam', 'sgd' and other names of Keras; there is no 'lbfgs'.",
    "alpha": "It is a decoupled decay and no L2 penalty, so it needs another value.",
    "tol": "It has an effect with early stopping only.",
    "n_iter_no_change": "It has an effect with early stopping only.",
}

_SGD = "Pass a Keras optimizer: optimizer=keras.optimizers.SGD(momentum=0.9{})."
_ADAM = "Pass a Keras optimizer: optimizer=keras.optimizers.Adam({})."

# The other parameters of MLPClassifier that we do not have.
_INSTEAD = {
    "power_t": "KerasMLPClassifier has no 'invscaling'. Set learning_rate_schedule to "
    "'linear' or 'cosine' for a learning rate that falls.",
    "shuffle": "KerasMLPClassifier always shuffles the rows. Leave it out.",
    "momentum": _SGD.format(""),
    "nesterovs_momentum": _SGD.format(", nesterov=True"),
    "beta_1": _ADAM.format("beta_1=0.9"),
    "beta_2": _ADAM.format("beta_2=0.999"),
    "epsilon": _ADAM.format("epsilon=1e-8"),
    "max_fun": "KerasMLPClassifier has no 'lbfgs', to which this belongs. Set epochs "
    "to limit the training.",
}

_SCHEDULE = (
    "Here learning_rate is a number, which MLPClassifier calls 'learning_rate_init'. "
    "Set learning_rate_schedule to choose how it changes: 'constant', 'linear' or "
    "'cosine'."
)
# Values that MLPClassifier takes for a name that we have too, and we do not.
_VALUES = {
    ("learning_rate", "constant"): _SCHEDULE,
    ("learning_rate", "invscaling"): _SCHEDULE,
    ("learning_rate", "adaptive"): _SCHEDULE,
}


def advice_on_name(name: str) -> str:
    """Return what to write in place of a parameter of `MLPClassifier`.

    Parameters
    ----------
    name : str
        The name of a parameter that `KerasMLPClassifier` does not have.

    Returns
    -------
    advice : str
        One or two sentences; empty if `MLPClassifier` has no such parameter.

    Examples
    --------
    >>> from skmnist.neural_network._spec import advice_on_name
    >>> advice_on_name("hidden_layer_sizes")
    "KerasMLPClassifier calls this 'widths'."
    """
    if name in OUR_NAMES:
        ours = f"KerasMLPClassifier calls this {OUR_NAMES[name]!r}."
        return " ".join([ours, *([_DIFFERENCES[name]] if name in _DIFFERENCES else [])])
    return _INSTEAD.get(name, "")


def advice_on_names(names: Iterable[str], known: Iterable[str]) -> str:
    """Return advice on the first of some names that is not known.

    Parameters
    ----------
    names : iterable of str
        The names that were given.
    known : iterable of str
        The names of all parameters.

    Returns
    -------
    advice : str
        Begins with a space: what to write in place of a parameter of `MLPClassifier`,
        or a parameter with a similar name. Empty if there is neither.
    """
    names, known = list(names), list(known)
    advice = advice_on_name(next((n for n in names if n not in known), ""))
    return f" {advice}" if advice else did_you_mean(names, known)


def advice_on_value(message: str, params: Mapping[str, Any]) -> str:
    """Return advice on a value that only `MLPClassifier` takes.

    Parameters
    ----------
    message : str
        The message of scikit-learn, which names the wrong parameter.
    params : dict
        All parameters.

    Returns
    -------
    advice : str
        Begins with a space; empty if there is no advice.
    """
    for (name, value), advice in _VALUES.items():
        given = params[name]
        if isinstance(given, str) and given == value and f"The {name!r} " in message:
            return f" {advice}"
    return ""


class AdviceMixin(BaseEstimator):
    """Gives advice where a name or a value is `MLPClassifier`'s."""

    # Says the same to a search.
    _advice_on_name = staticmethod(advice_on_name)

    def set_params(self, **params: Any) -> Self:
        """Set parameters, and suggest a name if there is none of that name.

        Parameters
        ----------
        **params : dict
            Parameters of this classifier.

        Returns
        -------
        self : KerasMLPClassifier
            The classifier.

        Raises
        ------
        ValueError
            If there is no parameter of that name.
        """
        try:
            return super().set_params(**params)
        except ValueError as error:
            advice = advice_on_names(params, self.get_params(deep=False))
            raise ValueError(f"{error}{advice}") from None

    def _validate_params(self):
        try:
            super()._validate_params()
        except ValueError as error:
            advice = advice_on_value(str(error), self.get_params(deep=False))
            raise type(error)(f"{error}{advice}") from None


def with_advice(init: _Init) -> _Init:
    """Let a constructor give advice on a name that is not one of its parameters.

    Parameters
    ----------
    init : callable
        An ``__init__``. Its signature stays.

    Returns
    -------
    init : callable
        Raises TypeError with advice on a wrong name, else does the same.
    """
    known = inspect.signature(init).parameters

    @functools.wraps(init)
    def advising(self, *args, **kwargs):
        advice = advice_on_names(kwargs, known)
        if advice:
            wrong = next(name for name in kwargs if name not in known)
            raise TypeError(
                f"{type(self).__name__}.__init__() got an unexpected keyword argument "
                f"{wrong!r}.{advice}"
            )
        init(self, *args, **kwargs)

    return advising
