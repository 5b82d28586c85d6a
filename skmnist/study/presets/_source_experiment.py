"""The experiment of the report "MNIST Deep Learning" as data: its eight stages."""

# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...model_selection._rules import best_score, prefer, smallest, within_gap
from ...model_selection._stage import Stage

# "A 1% difference will be considered too much."
MAX_GAP = 0.01

# One standard error of an accuracy of 98.1 % on the 10,000 test images of MNIST.
ONE_STANDARD_ERROR = 0.0014

# Activations of the first and of the last hidden layer, in the report's order.
PAIRS = (
    ("relu", "relu"),
    ("sigmoid", "sigmoid"),
    ("tanh", "tanh"),
    ("relu", "sigmoid"),
    ("sigmoid", "relu"),
    ("tanh", "sigmoid"),
    ("sigmoid", "tanh"),
    ("relu", "tanh"),
    ("tanh", "relu"),
)

# How much wider than the mean the last layer is, as a fraction of the mean.
SLOPES = (0.0, 0.25, -0.25, 0.5, -0.5, 0.75, -0.75)


# A parameter with one value for all layers, or one for each.
PerLayer = int | str | Sequence[int] | Sequence[str]


def report_base_params() -> dict[str, Any]:
    """Return the parameters before the first stage, for `KerasMLPClassifier`.

    Returns
    -------
    params : dict
        Parameters of the report's network before any tuning. Where the report names
        no initializers, these are Keras' default: Glorot's uniform one.

    Examples
    --------
    >>> from skmnist.study import report_base_params
    >>> report_base_params()["initializers"]
    'glorot_uniform'
    """
    return {
        "depth": 2,
        "widths": 400,
        "activations": "relu",
        "initializers": "glorot_uniform",
        "output_initializer": "glorot_uniform",
        "optimizer": "adam",
        # The optimizer's own rate, which never falls.
        "learning_rate": None,
        "learning_rate_schedule": "constant",
        "batch_size": 64,
        "dropout": 0.0,
        "input_scaling": None,
        "weight_decay": 0.0,
        "label_smoothing": 0.0,
        "validation_split": 0.1,
        "early_stopping": True,
        "patience": 1,
        "epochs": 20,
    }


def report_stages() -> list[Stage]:
    """List the eight stages of the report.

    Returns
    -------
    stages : list of Stage
        For a `StagedSearchCV` with ``scoring=record_scoring()`` on a
        `KerasMLPClassifier` with the parameters of `report_base_params`. With the
        report's own choices they have 48 candidates.

    Notes
    -----
    1. ``depth_width``: sizes of the network; a layer more as long as it is a
       significant gain.
    2. ``activations``: all pairs of three activations, for the first and the last
       layer. In deeper networks the layers between have that of the first.
    3. ``node_distribution``: the same number of nodes, more of them in the first or
       in the last layer; in deeper networks along a straight line.
    4. ``batch_size``: the smallest that is at most 0.1 % less accurate.
    5. ``validation_split``: the smallest gap that costs at most 0.15 % of accuracy.
    6. ``initializers``: He's initializer, recommended for ReLU, unless it is worse
       by more than one standard error of an accuracy on 10,000 images.
    7. ``optimizer``: the most accurate.
    8. ``epochs``: the chosen network once more, until the training stops early.

    The first three stages choose the most accurate network whose validation accuracy
    exceeds its accuracy by at most 1 %.

    Examples
    --------
    >>> from skmnist import report_stages
    >>> [stage.name for stage in report_stages()]  # doctest: +NORMALIZE_WHITESPACE
    ['depth_width', 'activations', 'node_distribution', 'batch_size',
     'validation_split', 'initializers', 'optimizer', 'epochs']
    """
    shapes = [
        {"depth": [2], "widths": [50, 100, 200, 400, 500]},
        {"depth": [3, 4], "widths": [50, 100, 200, 400]},
    ]
    return _stages(
        Stage("depth_width", shapes, rule=within_gap(MAX_GAP), grow="depth"),
        activations=activation_pairs,
        distributions=node_distributions,
        batch_sizes=[32, 64, 128, 256, 512],
        splits=[0.05, 0.075, 0.1, 0.125, 0.15, 0.175, 0.2],
        optimizers=["adam", "sgd", "adagrad", "rmsprop"],
    )


def quick_stages() -> list[Stage]:
    """List the same eight stages with few candidates, for a first try.

    Returns
    -------
    stages : list of Stage
        As `report_stages`, with at most 19 candidates, without incumbents.
    """
    shapes = {"depth": [1, 2], "widths": [32, 64]}
    return _stages(
        Stage("depth_width", shapes, rule=within_gap(MAX_GAP)),
        activations=quick_pairs,
        distributions=quick_distributions,
        batch_sizes=[32, 64],
        splits=[0.1, 0.2],
        optimizers=["adam", "sgd"],
    )


# What the report chose in each stage.
REPORTED_CHOICES = {
    "depth_width": {"depth": 2, "widths": 400},
    "activations": {"activations": "relu"},
    "node_distribution": {"widths": (600, 200)},
    "batch_size": {"batch_size": 64},
    "validation_split": {"validation_split": 0.1},
    "initializers": {"initializers": "he_normal"},
    "optimizer": {"optimizer": "adam"},
    "epochs": {},
}


@dataclass(frozen=True)
class ReportedChoice:
    """A rule that makes the report's choice and ignores the scores.

    Parameters
    ----------
    stage : str
        Name of one of the report's stages.
    """

    stage: str

    def __call__(self, cv_results: Mapping[str, Any]) -> int:
        """Return the row with the report's choice."""
        wanted = REPORTED_CHOICES[self.stage].items()
        for row, params in enumerate(cv_results["params"]):
            if all(params[name] == value for name, value in wanted):
                return row
        raise ValueError(f"the report's choice {dict(wanted)} is not among the rows")


def as_reported_stages() -> list[Stage]:
    """List the report's stages with the report's own choices.

    Returns
    -------
    stages : list of Stage
        As `report_stages`, but each stage starts from what the report chose: so the
        48 candidates are the report's.
    """
    return [
        replace(stage, rule=ReportedChoice(stage.name), grow=None)
        for stage in report_stages()
    ]


def _stages(
    depth_width, *, activations, distributions, batch_sizes, splits, optimizers
):
    accurate = within_gap(MAX_GAP)
    return [
        depth_width,
        Stage("activations", activations, rule=accurate),
        Stage("node_distribution", distributions, rule=accurate),
        Stage(
            "batch_size",
            {"batch_size": batch_sizes},
            rule=smallest("batch_size", tolerance=0.001),
        ),
        Stage(
            "validation_split",
            {"validation_split": splits},
            rule=smallest("gap", tolerance=0.0015),
        ),
        Stage(
            "initializers",
            initializer_choices,
            rule=prefer("initializers", has_he_normal, tolerance=ONE_STANDARD_ERROR),
        ),
        Stage("optimizer", {"optimizer": optimizers}, rule=best_score),
        Stage("epochs", same_epochs, rule=best_score),
    ]


def activation_pairs(
    chosen: Mapping[str, Any], pairs: Sequence[tuple[str, str]] = PAIRS
) -> dict[str, list]:
    """List activations for the chosen depth.

    Parameters
    ----------
    chosen : dict
        The parameters so far.
    pairs : sequence of (str, str), default=PAIRS
        Activations of the first and of the last hidden layer. Layers between them
        have the activation of the first. A single layer tries the pairs of two equal
        names.

    Returns
    -------
    grid : dict
        Candidates for `activations`.

    Examples
    --------
    >>> from skmnist.study import activation_pairs
    >>> chosen = {"depth": 3, "activations": "relu"}
    >>> activation_pairs(chosen, [("relu", "relu"), ("relu", "tanh")])
    {'activations': ['relu', ('relu', 'relu', 'tanh')]}
    """
    depth = _depth(chosen)
    layers = [
        (first,) * (depth - 1) + (last,)
        for first, last in pairs
        if depth > 1 or first == last
    ]
    return {"activations": [_spell(names, chosen["activations"]) for names in layers]}


def node_distributions(
    chosen: Mapping[str, Any], slopes: Sequence[float] = SLOPES
) -> dict[str, list]:
    """List widths with the chosen total, from equal to very unequal.

    Parameters
    ----------
    chosen : dict
        The parameters so far.
    slopes : sequence of float, default=SLOPES
        How much wider the last layer is than the mean, as a fraction of the mean.
        The first layer is narrower by as much.

    Returns
    -------
    grid : dict
        Different candidates for `widths`.

    Examples
    --------
    >>> from skmnist.study import node_distributions
    >>> node_distributions({"depth": 2, "widths": 400}, [0.0, 0.25, -0.25])
    {'widths': [400, (300, 500), (500, 300)]}
    """
    depth, widths = _depth(chosen), chosen["widths"]
    total = sum(_per_layer(widths, depth))
    found = [_spell(_ramp(total, depth, slope), widths) for slope in slopes]
    return {"widths": list(dict.fromkeys(found))}


def quick_pairs(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List three of the nine `activation_pairs`."""
    return activation_pairs(chosen, [PAIRS[0], PAIRS[2], PAIRS[7]])


def quick_distributions(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List the three least unequal of the `node_distributions`."""
    return node_distributions(chosen, SLOPES[:3])


def initializer_choices(chosen: Mapping[str, Any]) -> dict[str, list]:
    """List Keras' default initializers, and the ones recommended for the activations.

    Parameters
    ----------
    chosen : dict
        The parameters so far.

    Returns
    -------
    grid : dict
        Candidates for `initializers`. He's normal initializer is recommended for
        ReLU, Glorot's uniform one for other layers and for the output. Without a ReLU
        there is one candidate only.

    Examples
    --------
    >>> from skmnist.study import initializer_choices
    >>> chosen = {"depth": 2, "activations": ("relu", "tanh"),
    ...           "initializers": "glorot_uniform"}
    >>> initializer_choices(chosen)["initializers"]
    ['glorot_uniform', ('he_normal', 'glorot_uniform')]
    """
    depth, current = _depth(chosen), chosen["initializers"]
    plain = ("glorot_uniform",) * depth
    recommended = tuple(
        "he_normal" if name == "relu" else "glorot_uniform"
        for name in _per_layer(chosen["activations"], depth)
    )
    choices = [_spell(names, current) for names in (plain, recommended)]
    return {
        "initializers": list(dict.fromkeys(choices)),
        "output_initializer": ["glorot_uniform"],
    }


def has_he_normal(initializers: PerLayer) -> bool:
    """Return whether a layer has He's normal initializer."""
    return "he_normal" in initializers


def same_epochs(chosen: Mapping[str, Any]) -> dict[str, list]:
    """Return the chosen number of epochs as the only candidate."""
    return {"epochs": [chosen["epochs"]]}


def _depth(chosen):
    """Return the number of hidden layers, also where `depth` is "auto"."""
    from ...neural_network._spec import n_hidden_layers

    return n_hidden_layers(chosen)


def _per_layer(value, depth):
    """Return a value for each layer."""
    # Not at import: only a running search, which has loaded TensorFlow, calls this.
    from ...neural_network._spec import per_layer

    return tuple(per_layer("value", value, depth))


def _spell(values, current):
    """Write values of the layers as the incumbent does, if they are equal to its.

    So the incumbent is recognized among the candidates. Otherwise equal values become
    a single one.
    """
    if _per_layer(current, len(values)) == values:
        return tuple(current) if isinstance(current, list) else current
    return values[0] if len(set(values)) == 1 else values


def _ramp(total, depth, slope):
    """Distribute nodes along a straight line, at least one for each layer."""
    if slope < 0:
        return _ramp(total, depth, -slope)[::-1]
    steps = (
        [2 * layer / (depth - 1) - 1 for layer in range(depth)] if depth > 1 else [0]
    )
    mean, ends, widths = total / depth, 0.0, []
    for step in steps:
        ends += mean * (1 + slope * step)
        widths.append(round(ends) - sum(widths))
    while min(widths) < 1:
        widths[widths.index(max(widths))] -= 1
        widths[widths.index(min(widths))] += 1
    return tuple(widths)
