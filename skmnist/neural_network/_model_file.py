"""Saved and kept classifiers: all that a file says is checked before it is used.

A file comes from anywhere. Its values must pass the same lists as the parameters of
`KerasMLPClassifier`, its parts must agree with each other, and its arrays must be those
of the network that it describes. Only then is anything built. The checks themselves
need no Keras.
"""

# SPDX-License-Identifier: BSD-3-Clause

import math
import os
import re
import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._archive import Form, read_archive, require
from .._compat import validate_parameter_constraints
from ..augmentation._distortions import Distortions, describe_augmentation
from ._inference import STATE, check_numbers, layer_variables
from ._optimizer_params import OPTIMIZERS, SCHEDULES
from ._spec import ALLOWED, CONSTRAINTS, INITIALIZERS, is_per_layer

Rule: TypeAlias = Callable[[Any], bool]

# Classes of Keras that the description of an optimizer may name; see `keras.optimizers`
# and `keras.optimizers.schedules`.
OPTIMIZER_CLASSES = (
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "MultiOptimizer",
    "Muon",
    "Nadam",
    "RMSprop",
    "SGD",
    "ScheduleFreeAdamW",
)
SCHEDULE_CLASSES = (
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
)
_WARM_UP = "skmnist>WarmUp"

# Optimizers keep at most so many arrays for each weight, and so many besides.
_MOST_STATES, _MOST_OTHERS = 6, 10
_MOST_LAYERS = 1000
_LARGEST = 2**62
_LONGEST_TEXT = 10_000


def read_model(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Read a file of `KerasMLPClassifier.save`.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    described : dict
        ``params``, and what `take_apart` returns.
    arrays : list of ndarray
        Weights, and the state of the optimizer.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If it is no saved classifier, or anything in it is odd.
    """
    return _read(path, check_model)


def read_kept(
    path: str | os.PathLike[str], key: str, network: Mapping[str, Any]
) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Read a fit that a cache keeps.

    Parameters
    ----------
    path : path-like
        The file.
    key : str
        The key of the fit, which the file must hold.
    network : dict
        The network of the fit, which must be the one that was kept.

    Returns
    -------
    described : dict
        What `take_apart` returns, without what follows from the data.
    arrays : list of ndarray
        Weights, and the state of the optimizer.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If it is no kept fit, the one of another key, or anything in it is odd.
    """

    def check(described: dict[str, Any], forms: list[Form]) -> None:
        require(described.get("key") == key, "it is another fit")
        check_kept(described, forms)
        require(described["spec"]["network"] == network, "it is another network")

    return _read(path, check)


def _read(
    path: str | os.PathLike[str],
    check: Callable[[dict[str, Any], list[Form]], object],
) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    def check_all(described: dict[str, Any], forms: list[Form]) -> None:
        try:
            check(described, forms)
        except KeyError as error:
            raise ValueError(f"it has no {error}") from error

    def check_values(described: dict[str, Any], arrays: list[NDArray[Any]]) -> None:
        check_numbers(described["spec"]["network"], arrays)

    return read_archive(path, check_all, check_values)


def check_model(described: Mapping[str, Any], forms: Sequence[Form]) -> None:
    """Raise ValueError unless a description is that of a saved classifier.

    Parameters
    ----------
    described : dict
        From a file.
    forms : list of Form
        Types and shapes of the arrays in the file.

    Raises
    ------
    ValueError, TypeError, KeyError
        If something is missing, odd, or contradicts something else.
    """
    _check_keys("it", described, ("params", "learned", "spec", "seeds"), _SHAPES)
    check_params(described["params"])
    _check_fitted(described, forms)
    spec, learned = described["spec"], described["learned"]
    _check_classes(learned["classes_"], spec["network"]["n_outputs"])
    n_features = spec["network"]["n_features"]
    require(learned["n_features_in_"] == n_features, "its numbers of features differ")
    names = learned.get("feature_names_in_")
    require(
        names is None
        or (
            isinstance(names, np.ndarray)
            and names.shape == (n_features,)
            and all(isinstance(name, str) for name in names.tolist())
        ),
        "the names of its features are odd",
    )


def check_kept(described: Mapping[str, Any], forms: Sequence[Form]) -> None:
    """Raise ValueError unless a description is that of a kept fit.

    Parameters
    ----------
    described : dict
        From a file.
    forms : list of Form
        Types and shapes of the arrays in the file.

    Raises
    ------
    ValueError, TypeError, KeyError
        If something is missing, odd, or contradicts something else.
    """
    _check_keys("it", described, ("key", "learned", "spec", "seeds"), _SHAPES)
    _check_fitted(described, forms)


def _check_fitted(described: Mapping[str, Any], forms: Sequence[Form]) -> None:
    """Check what a saved classifier and a kept fit have both."""
    spec = described["spec"]
    _check_spec(spec)
    _check_record("the seeds", described["seeds"], _SEEDS)
    _check_learned(described["learned"], spec["network"])
    _check_forms(spec["network"], forms)
    shapes = [list(form.shape) for form in forms]
    require(described.get("shapes", shapes) == shapes, "its arrays have other shapes")


# Files of older versions do not have it.
_SHAPES = ("shapes",)


# ---- rules for single values ---------------------------------------------------------


def _count(value: Any, low: int = 0, high: int = _LARGEST) -> bool:
    return type(value) is int and low <= value <= high


def _is_number(value: Any, low: float = -math.inf, high: float = math.inf) -> bool:
    real = type(value) is int or type(value) is float
    return real and abs(value) < math.inf and low <= value <= high


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT


def _is_part(value: Any) -> bool:
    """Return whether a value is a number from 0 to below 1."""
    return _is_number(value, 0) and value < 1


def _or_none(rule: Rule) -> Rule:
    return lambda value: value is None or rule(value)


def _one_of(*names: object) -> Rule:
    # Not `in` alone: 1 equals True, and a list has no hash.
    return lambda v: v is None and None in names or isinstance(v, str) and v in names


def _each(rule: Rule) -> Rule:
    return lambda v: (
        isinstance(v, list) and len(v) <= _MOST_LAYERS and all(map(rule, v))
    )


_at_least_one = partial(_count, low=1)
_positive = partial(_is_number, low=math.ulp(0.0))
_not_negative = partial(_is_number, low=0)


def _is_curve(value: Any) -> bool:
    """Return whether a value is a curve; NaN stands for epochs without a value."""
    return isinstance(value, list) and all(type(v) in (int, float) for v in value)


def _are_curves(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_text(name) and _is_curve(curve) for name, curve in value.items()
    )


def _is_real(value: Any) -> bool:
    return type(value) in (int, float)


def _is_range(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(map(_is_number, value))
        and value[0] <= value[1]
    )


def _is_any(value: Any) -> bool:
    return True


# ---- parts of a description ----------------------------------------------------------

_SEEDS = dict.fromkeys(("layers", "split", "order"), partial(_count, high=2**64))

_NETWORK: dict[str, Rule] = {
    "n_features": _at_least_one,
    "n_outputs": _at_least_one,
    "widths": _each(ALLOWED["widths"].test),
    "activations": _each(ALLOWED["activations"].test),
    "initializers": _each(ALLOWED["initializers"].test),
    "output_initializer": _one_of(*INITIALIZERS),
    "dropout": _each(_is_part),
    "shared_dropout": _is_bool,
    "input_dropout": _is_part,
    "input_scaling": _one_of("standard", "learned", None),
    "augmentation": _is_any,  # see `_check_augmentation`
    "batch_normalization": _is_bool,
    "dtype": _one_of("float32", "float64"),
    "random_state": partial(_count, high=2**64),
}
_LOSS: dict[str, Rule] = {
    "n_outputs": _at_least_one,
    "label_smoothing": _is_part,
    "dtype": _one_of("float32", "float64"),
}
_OPTIMIZER: dict[str, Rule] = {
    "optimizer": _is_any,  # see `check_optimizer`
    "learning_rate": _or_none(_positive),
    "schedule": _one_of(*SCHEDULES),
    "n_steps": _at_least_one,
    "n_warmup": _count,
    "weight_decay": _not_negative,
}
_LEARNED: dict[str, Rule] = {
    "n_iter_": _at_least_one,
    "best_iter_": _at_least_one,
    "stop_reason_": _is_text,
    "epochs_": _at_least_one,
    "batch_size_": _at_least_one,
    "learning_rate_": _or_none(_positive),
    "loss_": _is_real,
    "best_loss_": _or_none(_is_real),
    "loss_curve_": _is_curve,
    "validation_loss_curve_": _or_none(_is_curve),
    "validation_scores_": _or_none(_is_curve),
    "best_validation_score_": _or_none(_is_real),
    "n_layers_": _count,
    "n_outputs_": _at_least_one,
    "out_activation_": _one_of("logistic", "softmax"),
    "n_parameters_": _count,
    "t_": _count,
    "fit_time_": _not_negative,
    "history_": _are_curves,
    "refit_history_": _or_none(_are_curves),
}
_OPTIONAL: dict[str, Rule] = {
    # Models that an older version saved have none of the first two.
    "input_range_": _is_range,
    "overfits_after_": _or_none(_at_least_one),
    "classes_": _is_any,  # see `check_model`, as for the next two
    "n_features_in_": _is_any,
    "feature_names_in_": _is_any,
}
# What a class derived from ours may have learned besides.
_OTHER_LEARNED = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*_")


def _check_keys(
    what: str, record: Any, keys: Collection[str], optional: Collection[str] = ()
) -> None:
    """Raise ValueError unless a value is a dict with these keys."""
    require(isinstance(record, dict), f"{what} is no record")
    missing = [key for key in keys if key not in record]
    require(not missing, f"{what} has no {missing[:1]}")
    unknown = [key for key in record if key not in keys and key not in optional]
    require(not unknown, f"{what} has an unknown {reprlib.repr(unknown[:1])}")


def _check_record(what: str, record: Any, rules: Mapping[str, Rule]) -> None:
    """Raise ValueError unless each value of a dict passes the rule of its key."""
    _check_keys(what, record, rules)
    for key, rule in rules.items():
        value = record[key]
        require(rule(value), f"{what} cannot have {key}={reprlib.repr(value)}")


def _check_spec(spec: Any) -> None:
    keys = ("network", "loss", "optimizer", "batch_size", "epochs")
    _check_keys("the spec", spec, keys, optional=("frozen",))
    network, loss, optimizer = spec["network"], spec["loss"], spec["optimizer"]
    _check_record("the network", network, _NETWORK)
    depth = len(network["widths"])
    require(
        all(
            len(network[name]) == depth
            for name in ("activations", "initializers", "dropout")
        ),
        "the layers of the network have other numbers of values",
    )
    _check_augmentation(network["augmentation"], network["n_features"])
    _check_record("the loss", loss, _LOSS)
    require(
        all(loss[name] == network[name] for name in ("n_outputs", "dtype")),
        "the loss is that of another network",
    )
    _check_record("the optimizer", optimizer, _OPTIMIZER)
    check_optimizer(optimizer["optimizer"])
    require(optimizer["n_warmup"] <= optimizer["n_steps"], "its warm-up is too long")
    for name in ("batch_size", "epochs"):
        require(_count(spec[name], 1), f"{name} is odd")
    frozen, names = spec.get("frozen", []), _layer_names(network)
    require(
        isinstance(frozen, list) and all(map(_one_of(*names), frozen)),
        "it freezes a layer that there is not",
    )


def _layer_names(network: Mapping[str, Any]) -> list[str]:
    hidden = [f"hidden_{i + 1}" for i in range(len(network["widths"]))]
    kinds = ("", "_normalization", "_activation", "_dropout")
    each = [f"{name}{kind}" for name in hidden for kind in kinds]
    return ["inputs", "images", "scaling", "inputs_dropout", *each, "output"]


def _check_augmentation(described: Any, n_features: int) -> None:
    """Raise ValueError unless `describe_augmentation` describes distortions so."""
    if described is None:
        return
    require(isinstance(described, dict), "the distortions are odd")
    rest = dict(described)
    shape = rest.pop("image_shape", None)
    require(isinstance(shape, list), "the shape of the images is odd")
    again = describe_augmentation(Distortions(**rest), shape, n_features)
    require(again == described, "the distortions are odd")


def check_optimizer(described: Any) -> None:
    """Raise ValueError unless a value names, or describes, an optimizer of Keras.

    Parameters
    ----------
    described : str or dict
        From `serialize_optimizer`, or from a file.

    Raises
    ------
    ValueError
        If it has or names anything but numbers, and classes of optimizers and learning
        rates of Keras.

    Examples
    --------
    >>> from skmnist.neural_network._model_file import check_optimizer
    >>> check_optimizer("adam")
    >>> check_optimizer({"module": "os", "class_name": "mkdir", "config": {}})
    Traceback (most recent call last):
        ...
    ValueError: 'mkdir' is no optimizer of Keras
    """
    if isinstance(described, str):
        require(described in OPTIMIZERS, f"{reprlib.repr(described)} is no optimizer")
        return
    config = _config(described, "keras.optimizers", OPTIMIZER_CLASSES, "optimizer")
    for name, value in config.items():
        if name == "inner_optimizer":
            require(isinstance(value, dict), "the inner optimizer is odd")
            check_optimizer(value)
        elif name == "optimizer_map":
            _check_map(value)
        elif name == "learning_rate" and isinstance(value, dict):
            _check_rate(value)
        elif name == "learning_rate":
            require(_not_negative(value), "the learning rate is odd")
        else:
            _check_argument(name, value)


# The names of weights that an optimizer is for. A pattern without groups, and with few
# repetitions, takes no time on a name.
_PATTERN = re.compile(r"[\w./ -]*([*+?][\w./ -]*){0,4}", re.ASCII)


def _check_map(described: Any) -> None:
    """Raise ValueError unless a value describes which weights have which optimizer."""
    config = _config(described, "keras.optimizers", ("OptimizerMap",), "optimizer")
    _check_keys("a map", config, ("default_optimizer", "optimizer_map"))
    by_pattern = config["optimizer_map"]
    require(isinstance(by_pattern, dict), "the map of optimizers is odd")
    for pattern, one in by_pattern.items():
        known = len(pattern) <= 100 and _PATTERN.fullmatch(pattern) is not None
        require(known, f"{reprlib.repr(pattern)} is no pattern for names of weights")
        check_optimizer(one)
    check_optimizer(config["default_optimizer"])


def _check_rate(described: dict[str, Any]) -> None:
    """Raise ValueError unless a dict describes a learning rate that changes."""
    if described.get("registered_name") == _WARM_UP:
        _check_keys("a warm-up", described, _OBJECT)
        config = described["config"]
        _check_keys("a warm-up", config, ("peak", "n_warmup", "after"))
        require(
            _positive(config["peak"]) and _count(config["n_warmup"], 1), "it is odd"
        )
        if config["after"] is not None:
            _check_rate(config["after"])
        return
    config = _config(
        described, "keras.optimizers.schedules", SCHEDULE_CLASSES, "learning rate"
    )
    for name, value in config.items():
        _check_argument(name, value)


_OBJECT = ("module", "class_name", "config", "registered_name")
_NAME = re.compile(r"[\w/.-]{0,200}", re.ASCII)


def _config(
    described: Any, module: str, classes: Collection[str], what: str
) -> dict[str, Any]:
    """Return the arguments of an object that is one of some classes of Keras."""
    require(isinstance(described, dict), f"the {what} is odd")
    name = described.get("class_name")
    known = isinstance(name, str) and name in classes
    require(known, f"{reprlib.repr(name)} is no {what} of Keras")
    _check_keys(f"the {what}", described, _OBJECT)
    # Under another registered name Keras would look for another class.
    require(
        described["module"] == module and described["registered_name"] in (None, name),
        f"the {what} is not Keras' own",
    )
    config = described["config"]
    require(isinstance(config, dict), f"the {what} is odd")
    return config


def _check_argument(name: Any, value: Any) -> None:
    """Raise ValueError unless an argument is a number, or a list of some."""
    plain = value is None or _is_bool(value) or _is_number(value)
    texts = isinstance(value, list) and all(map(_is_name, value))
    numbers = isinstance(value, list) and all(map(_is_number, value))
    named = name == "name" and _is_name(value)
    # Keras takes the texts for patterns. Names are patterns that take no time.
    texts = texts and name == "exclude_layers"
    require(
        _is_name(name) and (plain or numbers or texts or named),
        f"an optimizer cannot have {reprlib.repr(name)}={reprlib.repr(value)}",
    )


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def check_params(params: Any) -> None:
    """Raise ValueError unless parameters are such that `to_plain` returns them.

    Parameters
    ----------
    params : dict
        From a file.

    Raises
    ------
    ValueError, TypeError
        If a value is none that its parameter may have, or is no plain data.
    """
    require(
        isinstance(params, dict) and all(map(_is_name, params)),
        "the parameters are odd",
    )
    # They would be opened or called; `to_plain` writes none of them.
    require(params.get("memory") is None, "memory cannot come from a file")
    require(params.get("callbacks") in (None, [], ()), "nor can callbacks")
    check_optimizer(params["optimizer"])
    given = dict(params)
    if isinstance(given["optimizer"], dict):
        given["optimizer"] = "adam"
    if isinstance(given.get("augmentation"), dict):
        given["augmentation"] = Distortions(**given["augmentation"])
    validate_parameter_constraints(CONSTRAINTS, given, caller_name="KerasMLPClassifier")
    for name, allowed in ALLOWED.items():
        value = given.get(name)
        if is_per_layer(value):
            values = value.tolist() if isinstance(value, np.ndarray) else list(value)
            require(
                len(values) <= _MOST_LAYERS and all(map(allowed.test, values)),
                f"the parameter {name} is odd",
            )
    shape = given.get("image_shape")
    require(
        shape is None or len(shape) == 2 and all(_count(int(n), 2) for n in shape),
        "the parameter image_shape is odd",
    )
    weights = given.get("class_weight")
    if isinstance(weights, dict):
        require(
            all(map(_not_negative, weights.values())), "the weights of classes are odd"
        )


def _check_learned(learned: Any, network: Mapping[str, Any]) -> None:
    require(isinstance(learned, dict), "what it learned is odd")
    others = [n for n in learned if n not in _LEARNED and n not in _OPTIONAL]
    require(
        all(isinstance(n, str) and _OTHER_LEARNED.fullmatch(n) for n in others),
        "what it learned has an odd name",
    )
    known = {name: v for name, v in learned.items() if name in _LEARNED}
    _check_record("what it learned", known, _LEARNED)
    for name, rule in _OPTIONAL.items():
        require(name not in learned or rule(learned[name]), f"{name} is odd")
    depth, n_outputs = len(network["widths"]), network["n_outputs"]
    require(learned["n_layers_"] == depth + 2, "its numbers of layers differ")
    require(learned["n_outputs_"] == n_outputs, "its numbers of outputs differ")
    activation = "logistic" if n_outputs == 1 else "softmax"
    require(learned["out_activation_"] == activation, "its outputs differ")
    n_iter, history = learned["n_iter_"], learned["history_"]
    require(learned["best_iter_"] <= n_iter, "its best epoch is none of its epochs")
    curves = [
        learned["loss_curve_"],
        history.get("loss"),
        *history.values(),
        learned["validation_loss_curve_"] or [None] * n_iter,
        learned["validation_scores_"] or [None] * n_iter,
    ]
    require(
        all(curve is not None and len(curve) == n_iter for curve in curves),
        "its curves are not as long as its training",
    )


def _check_classes(classes: Any, n_outputs: int) -> None:
    """Raise ValueError unless labels are the sorted classes of so many outputs."""
    require(
        isinstance(classes, np.ndarray)
        and classes.ndim == 1
        and classes.dtype.kind in "biufUO",
        "its classes are odd",
    )
    labels = classes.tolist()
    due = 1 if len(labels) == 2 else len(labels)
    require(len(labels) >= 2 and due == n_outputs, "its classes are too few or many")
    require(
        all(a < b for a, b in zip(labels, labels[1:], strict=False)),
        "its classes are not in order",
    )


# ---- arrays --------------------------------------------------------------------------


def layer_forms(network: Mapping[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    """Return the names and shapes of the arrays of a network, in their order.

    Parameters
    ----------
    network : dict
        The network's part of a spec.

    Returns
    -------
    forms : list of (str, tuple of int)
        Names are "seed" for the state of a random generator, "scale" and "variance"
        for what is never negative, "mean" for other arrays that no optimizer changes,
        and "weight".

    Examples
    --------
    >>> from skmnist.neural_network._model_file import layer_forms
    >>> layer_forms({"n_features": 3, "n_outputs": 1, "widths": [2], "dropout": [0.1],
    ...              "input_dropout": 0.0, "input_scaling": None, "augmentation": None,
    ...              "batch_normalization": False})
    [('weight', (3, 2)), ('weight', (2,)), ('seed', (2,)), ('weight', (2, 1)), \
('weight', (1,))]
    """
    variables = layer_variables(network)
    return [(_KINDS.get(name, "weight"), shape) for name, shape in variables]


# Which numbers a variable may have; all others are weights.
_KINDS = {STATE: "seed", "scale": "scale", "variance": "variance"}
_KINDS |= {"centre": "mean", "mean": "mean"}


def _check_forms(network: Mapping[str, Any], forms: Sequence[Form]) -> None:
    """Raise ValueError unless arrays are those of a network and its optimizer."""
    due = layer_forms(network)
    require(len(forms) >= len(due), "it lacks arrays")
    for i, (form, (kind, shape)) in enumerate(zip(forms, due, strict=False)):
        dtype = form.dtype.newbyteorder("=")
        right = dtype.kind in "iu" if kind == "seed" else dtype == network["dtype"]
        require(
            right and form.shape == shape,
            f"array {i} is {dtype} {form.shape}, not of the network it describes",
        )
    weights = [shape for kind, shape in due if kind == "weight"]
    # An optimizer may keep sums of rows and columns in place of a whole matrix.
    known = {(), *weights, *(s[:1] for s in weights), *(s[1:] for s in weights)}
    rest = forms[len(due) :]
    require(
        len(rest) <= _MOST_STATES * len(weights) + _MOST_OTHERS
        and all(f.shape in known and f.dtype.kind in "iuf" for f in rest),
        "it has arrays that are not of the network it describes",
    )
