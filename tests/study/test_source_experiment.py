# SPDX-License-Identifier: BSD-3-Clause

import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import ParameterGrid

from skmnist import KerasMLPClassifier, StagedSearchCV, record_scoring
from skmnist.model_selection._stage import check_stages
from skmnist.study.presets._source_experiment import (
    activation_pairs,
    as_reported_stages,
    has_he_normal,
    initializer_choices,
    node_distributions,
    quick_stages,
    report_base_params,
    report_stages,
)

RELU, SIGMOID, TANH = "relu", "sigmoid", "tanh"
HE, GLOROT = "he_normal", "glorot_uniform"

# The tables of the report: for each stage the candidates with their accuracies in
# validation and in test, and the candidate that the report chose. The report has
# no validation accuracies for initializers and optimizers.
REPORT = {
    "depth_width": (
        [
            ({"depth": 2, "widths": 50}, 0.9742, 0.9667),
            ({"depth": 2, "widths": 100}, 0.98, 0.9739),
            ({"depth": 2, "widths": 200}, 0.9847, 0.9763),
            ({"depth": 2, "widths": 400}, 0.9873, 0.9814),
            ({"depth": 2, "widths": 500}, 0.9905, 0.9791),
            ({"depth": 3, "widths": 50}, 0.9733, 0.9675),
            ({"depth": 3, "widths": 100}, 0.9845, 0.9763),
            ({"depth": 3, "widths": 200}, 0.9840, 0.9783),
            ({"depth": 3, "widths": 400}, 0.9835, 0.9753),
            ({"depth": 4, "widths": 50}, 0.9760, 0.9701),
            ({"depth": 4, "widths": 100}, 0.9787, 0.9741),
            ({"depth": 4, "widths": 200}, 0.9860, 0.9774),
            ({"depth": 4, "widths": 400}, 0.9853, 0.9755),
        ],
        {"depth": 2, "widths": 400},
    ),
    "activations": (
        [
            ({"activations": RELU}, 0.9873, 0.9814),
            ({"activations": SIGMOID}, 0.9730, 0.9693),
            ({"activations": TANH}, 0.9855, 0.9754),
            ({"activations": (RELU, SIGMOID)}, 0.9842, 0.9778),
            ({"activations": (SIGMOID, RELU)}, 0.9752, 0.9681),
            ({"activations": (TANH, SIGMOID)}, 0.9815, 0.9744),
            ({"activations": (SIGMOID, TANH)}, 0.9755, 0.9730),
            ({"activations": (RELU, TANH)}, 0.9895, 0.9772),
            ({"activations": (TANH, RELU)}, 0.9833, 0.9759),
        ],
        {"activations": RELU},
    ),
    "node_distribution": (
        [
            ({"widths": 400}, 0.9873, 0.9814),
            ({"widths": (300, 500)}, 0.9868, 0.9790),
            ({"widths": (500, 300)}, 0.9873, 0.9791),
            ({"widths": (200, 600)}, 0.9850, 0.9788),
            ({"widths": (600, 200)}, 0.9878, 0.9815),
            ({"widths": (100, 700)}, 0.9832, 0.9758),
            ({"widths": (700, 100)}, 0.9872, 0.9802),
        ],
        {"widths": (600, 200)},
    ),
    "batch_size": (
        [
            ({"batch_size": 32}, 0.9865, 0.9788),
            ({"batch_size": 64}, 0.9885, 0.9808),
            ({"batch_size": 128}, 0.9905, 0.9774),
            ({"batch_size": 256}, 0.9963, 0.9809),
            ({"batch_size": 512}, 0.9988, 0.9814),
        ],
        {"batch_size": 64},
    ),
    "validation_split": (
        [
            ({"validation_split": 0.05}, 0.9917, 0.9819),
            ({"validation_split": 0.075}, 0.9911, 0.9784),
            ({"validation_split": 0.1}, 0.9885, 0.9808),
            ({"validation_split": 0.125}, 0.9859, 0.9765),
            ({"validation_split": 0.15}, 0.9838, 0.9760),
            ({"validation_split": 0.175}, 0.9853, 0.9792),
            ({"validation_split": 0.2}, 0.9872, 0.9793),
        ],
        {"validation_split": 0.1},
    ),
    "initializers": (
        [
            ({"initializers": GLOROT, "output_initializer": GLOROT}, np.nan, 0.9816),
            ({"initializers": HE, "output_initializer": GLOROT}, np.nan, 0.9824),
        ],
        {"initializers": HE, "output_initializer": GLOROT},
    ),
    "optimizer": (
        [
            ({"optimizer": "adam"}, np.nan, 0.9808),
            ({"optimizer": "sgd"}, np.nan, 0.9498),
            ({"optimizer": "adagrad"}, np.nan, 0.9177),
            ({"optimizer": "rmsprop"}, np.nan, 0.9760),
        ],
        {"optimizer": "adam"},
    ),
    "epochs": ([({"epochs": 20}, 0.9893, 0.9814)], {"epochs": 20}),
}
STAGES = {stage.name: stage for stage in report_stages()}


def table_of(name):
    """Convert a table of the report to the form of ``cv_results_``."""
    rows, _ = REPORT[name]
    params, validation, test = zip(*rows, strict=True)
    table = {
        "mean_test_accuracy": np.array(test),
        "mean_test_validation_accuracy": np.array(validation),
        "params": list(params),
    }
    for key in params[0]:
        values = np.empty(len(rows), dtype=object)
        values[:] = [one[key] for one in params]
        table[f"param_{key}"] = values
    return table


def chosen_before(name):
    """Collect what the report had chosen before a stage."""
    chosen = report_base_params()
    for earlier, (_, choice) in REPORT.items():
        if earlier == name:
            return chosen
        chosen.update(choice)


def candidates(stage, chosen):
    params = stage.params(chosen) if callable(stage.params) else stage.params
    return list(ParameterGrid(params))


class Network(ClassifierMixin, BaseEstimator):
    """A network that is as accurate as a function of its parameters says."""

    def __init__(
        self,
        accuracies=None,
        depth=2,
        widths=400,
        activations="relu",
        initializers="glorot_uniform",
        output_initializer="glorot_uniform",
        optimizer="adam",
        learning_rate=None,
        learning_rate_schedule="constant",
        batch_size=64,
        dropout=0.0,
        input_scaling=None,
        weight_decay=0.0,
        label_smoothing=0.0,
        validation_split=0.1,
        early_stopping=True,
        patience=1,
        epochs=20,
    ):
        self.accuracies = accuracies
        self.depth = depth
        self.widths = widths
        self.activations = activations
        self.initializers = initializers
        self.output_initializer = output_initializer
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.dropout = dropout
        self.input_scaling = input_scaling
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.batch_size = batch_size
        self.validation_split = validation_split
        self.early_stopping = early_stopping
        self.patience = patience
        self.epochs = epochs

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.best_validation_score_, self.accuracy_ = self.accuracies(self)
        return self


def run(stages, accuracies):
    """Search the stages on one split of 10,000 test rows."""
    X, y = np.zeros((20_000, 1)), np.arange(20_000) % 10
    return StagedSearchCV(
        Network(accuracies, **report_base_params()),
        stages,
        scoring=record_scoring({"accuracy": lambda model, X, y: model.accuracy_}),
        cv=[(np.arange(10_000), np.arange(10_000, 20_000))],
        refit=False,
    ).fit(X, y)


def reported(network):
    """Look a network up in the report, where it comes first."""
    params = network.get_params()
    for name, (rows, _) in REPORT.items():
        for candidate, validation, test in rows:
            if all(
                params[key] == value
                for key, value in {**chosen_before(name), **candidate}.items()
            ):
                return (test if np.isnan(validation) else validation), test
    raise AssertionError(f"the report has no network with {params}")


# The report's own stages.


def test_the_stages_are_the_reports():
    assert list(STAGES) == list(REPORT)


@pytest.mark.parametrize("name", REPORT)
def test_a_stage_chooses_what_the_report_chose(name):
    table = table_of(name)
    assert table["params"][STAGES[name].rule(table)] == REPORT[name][1]


@pytest.mark.parametrize("name", REPORT)
def test_a_stage_tries_what_the_report_tried_in_its_order(name):
    tried = candidates(STAGES[name], chosen_before(name))
    assert tried == [candidate for candidate, *_ in REPORT[name][0]]


def test_the_search_walks_the_reports_path():
    # 48 rows: every incumbent is met under its own spelling and added nowhere,
    # and a fifth layer is not tried.
    search = run(report_stages(), reported)
    assert len(search.cv_results_["params"]) == 48
    assert search.best_params_ == {
        "depth": 2,
        "widths": (600, 200),
        "activations": "relu",
        "batch_size": 64,
        "validation_split": 0.1,
        "initializers": "he_normal",
        "output_initializer": "glorot_uniform",
        "optimizer": "adam",
        "epochs": 20,
    }


def test_the_depth_grows_while_layers_help():
    stage = report_stages()[0]
    search = run([stage], lambda network: (0.5, min(network.depth, 6) / 10))
    assert sorted(set(search.cv_results_["param_depth"])) == [2, 3, 4, 5, 6, 7]
    assert search.cv_results_["param_widths"][-4:].tolist() == [50, 100, 200, 400]


def test_the_reported_path_is_walked_whatever_the_scores_say():
    def against_the_report(network):
        return 0.5, 0.1 if network.optimizer == "adam" else 0.9

    search = run(as_reported_stages(), against_the_report)
    assert len(search.cv_results_["params"]) == 48
    assert search.best_params_["widths"] == (600, 200)
    assert search.best_params_["optimizer"] == "adam"


def test_he_initializers_lose_where_they_are_clearly_worse():
    rows = table_of("initializers")
    rows["mean_test_accuracy"] = np.array([0.9816, 0.9801])
    assert STAGES["initializers"].rule(rows) == 0


def test_he_initializers_win_within_one_standard_error():
    rows = table_of("initializers")
    rows["mean_test_accuracy"] = np.array([0.9816, 0.9803])
    assert STAGES["initializers"].rule(rows) == 1


@pytest.mark.parametrize("make", [report_stages, quick_stages, as_reported_stages])
def test_stages_are_data(make):
    # A search is cloned and sent to other processes with its stages.
    assert pickle.loads(pickle.dumps(make())) == make() == clone(make(), safe=False)


@pytest.mark.parametrize("make", [report_stages, quick_stages])
def test_the_stages_fit_the_classifier(make):
    from skmnist import KerasMLPClassifier

    classifier = KerasMLPClassifier(**report_base_params())
    check_stages(make(), classifier.get_params())


# Networks that the report did not come to.


def test_layers_between_have_the_first_activation():
    grid = activation_pairs({"depth": 4, "activations": RELU})
    assert grid["activations"][:4] == [RELU, SIGMOID, TANH, (RELU, RELU, RELU, SIGMOID)]
    assert len(grid["activations"]) == 9


def test_one_layer_has_one_activation():
    grid = activation_pairs({"depth": 1, "activations": RELU})
    assert grid == {"activations": [RELU, SIGMOID, TANH]}


@pytest.mark.parametrize("current", [(RELU, RELU), [RELU, RELU]])
def test_the_incumbents_spelling_is_kept(current):
    grid = activation_pairs({"depth": 2, "activations": current})
    assert grid["activations"][:2] == [(RELU, RELU), SIGMOID]


def test_nodes_are_only_moved():
    # The total is kept exactly, whatever is rounded, and no layer is left empty.
    for depth in range(1, 7):
        for width in (1, 2, 3, 5, 32, 50, 64, 333, 400):
            grid = node_distributions({"depth": depth, "widths": width})["widths"]
            for widths in grid[1:]:
                assert len(widths) == depth
                assert sum(widths) == depth * width
                assert min(widths) >= 1
                assert all(isinstance(n, int) for n in widths)
                assert widths[::-1] in grid
            assert grid[0] == width


def test_nodes_lie_on_a_straight_line():
    grid = node_distributions({"depth": 3, "widths": 100})["widths"]
    assert grid[1:3] == [(75, 100, 125), (125, 100, 75)]
    assert len(grid) == 7


def test_one_layer_has_one_distribution():
    assert node_distributions({"depth": 1, "widths": 400}) == {"widths": [400]}


def test_unequal_widths_are_levelled_first():
    grid = node_distributions({"depth": 2, "widths": (500, 300)})["widths"]
    assert grid[0] == 400
    assert (500, 300) in grid


@pytest.mark.parametrize(
    "depth, activations, initializers",
    [
        (2, RELU, [GLOROT, HE]),
        (2, (RELU, RELU), [GLOROT, HE]),
        (2, (RELU, TANH), [GLOROT, (HE, GLOROT)]),
        (3, (SIGMOID, SIGMOID, RELU), [GLOROT, (GLOROT, GLOROT, HE)]),
        (2, (SIGMOID, TANH), [GLOROT]),
        (2, TANH, [GLOROT]),
    ],
)
def test_initializers_follow_the_activations(depth, activations, initializers):
    chosen = {"depth": depth, "activations": activations, "initializers": GLOROT}
    assert initializer_choices(chosen) == {
        "initializers": initializers,
        "output_initializer": [GLOROT],
    }


@pytest.mark.parametrize(
    "initializers, expected",
    [(HE, True), ((HE, GLOROT), True), (GLOROT, False), ([GLOROT, GLOROT], False)],
)
def test_he_normal_is_found_in_any_layer(initializers, expected):
    assert has_he_normal(initializers) is expected


# The quick preset.


def test_the_quick_stages_have_the_names_and_rules_of_the_report():
    quick = [(stage.name, stage.rule) for stage in quick_stages()]
    assert quick == [(stage.name, stage.rule) for stage in report_stages()]


@pytest.mark.parametrize(
    "depth, n_candidates", [(1, 4 + 2 + 1 + 2 + 2 + 2 + 2 + 1), (2, 19)]
)
def test_the_quick_stages_are_few(depth, n_candidates):
    chosen = {**report_base_params(), "depth": depth, "widths": 32}
    stages = quick_stages()
    assert sum(len(candidates(stage, chosen)) for stage in stages) == n_candidates


def test_the_quick_search_evaluates_no_more_than_its_candidates():
    # With the values of the base among the candidates no incumbent is added.
    search = run(quick_stages(), lambda network: (0.9, 0.9 + network.depth / 1000))
    assert len(search.cv_results_["params"]) == 19


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_stages_know_how_many_layers_the_widths_make(layers):
    chosen = KerasMLPClassifier(widths=(60,) * layers).get_params()
    known = {**chosen, "depth": layers}
    for stage in (activation_pairs, node_distributions, initializer_choices):
        assert stage(chosen) == stage(known)
