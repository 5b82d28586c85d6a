# SPDX-License-Identifier: BSD-3-Clause

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skmnist.model_selection import (
    best_score,
    explain,
    one_standard_error,
    prefer,
    record_scoring,
    smallest,
    within_gap,
)
from skmnist.model_selection._results import written

NAN = float("nan")
RULES = [
    best_score,
    within_gap(0.02),
    smallest("max_depth", tolerance=0.02),
    one_standard_error("max_depth"),
    prefer("max_depth", 2, tolerance=0.02),
]


def random_table(seed, n=12, k=5):
    """Draw a table in which every number is different."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(0.90, 0.95, n)
    splits = means + rng.normal(0, 0.01, (k, n))
    table = {f"split{i}_test_score": splits[i] for i in range(k)}
    return {
        **table,
        "mean_test_score": splits.mean(axis=0),
        "mean_train_score": splits.mean(axis=0) + rng.uniform(-0.01, 0.05, n),
        "param_max_depth": np.ma.masked_array(rng.permutation(n) + 1),
    }


def take(table, order):
    return {name: values[order] for name, values in table.items()}


# best_score


def test_best_score_is_the_first_of_the_highest():
    assert best_score({"mean_test_score": [0.1, 0.3, 0.3, 0.2]}) == 1


def test_best_score_reads_accuracy_among_several_metrics():
    table = {"mean_test_n_iter": [9, 1], "mean_test_accuracy": [0.1, 0.3]}
    assert best_score(table) == 1


def test_a_table_without_scores_is_refused_with_its_columns():
    with pytest.raises(ValueError, match="the columns are mean_test_f1, params"):
        best_score({"mean_test_f1": [0.5], "params": [{}]})


@pytest.mark.parametrize("rule", RULES, ids=written)
def test_a_nan_never_wins(rule):
    table = random_table(0)
    winner = rule(table)
    table["mean_test_score"][winner] = NAN
    assert not np.isnan(table["mean_test_score"][rule(table)])


@pytest.mark.parametrize("rule", RULES, ids=written)
def test_all_nan_means_that_all_failed(rule):
    table = random_table(0)
    table["mean_test_score"][:] = NAN
    with pytest.raises(ValueError, match="all candidates failed"):
        rule(table)


@pytest.mark.parametrize("rule", RULES, ids=written)
def test_the_order_of_the_candidates_does_not_matter(rule):
    for seed in range(50):
        table = random_table(seed)
        order = np.random.default_rng(seed).permutation(12)
        assert order[rule(take(table, order))] == rule(table)


@pytest.mark.parametrize("rule", RULES, ids=written)
def test_a_rule_returns_a_plain_int(rule):
    assert type(rule(random_table(1))) is int


# within_gap


def test_within_gap_leaves_out_who_overfits():
    table = {
        "mean_test_score": [0.970, 0.980, 0.985],
        "mean_test_validation_accuracy": [0.971, 0.989, 1.000],
    }
    assert within_gap(0.01)(table) == 1


def test_a_validation_accuracy_below_the_score_is_no_overfitting():
    table = {"mean_test_score": [0.97, 0.98], "mean_train_score": [0.97, 0.90]}
    assert within_gap(0.01)(table) == 1


def test_a_gap_of_exactly_the_limit_is_allowed():
    # In binary 0.99 - 0.98 is a little more than 0.01.
    table = {"mean_test_score": [0.97, 0.98], "mean_train_score": [0.97, 0.99]}
    assert within_gap(0.01)(table) == 1


def test_where_all_overfit_the_smallest_gap_wins():
    table = {"mean_test_score": [0.90, 0.85, 0.80], "mean_train_score": [1, 0.9, 0.95]}
    assert within_gap(0.01)(table) == 1


def test_the_recorded_validation_accuracy_comes_before_the_training_score():
    table = {
        "mean_test_score": [0.97, 0.98],
        "mean_train_score": [1.0, 0.98],
        "mean_test_validation_accuracy": [0.97, 1.0],
    }
    assert within_gap(0.01)(table) == 0


def test_a_row_without_validation_accuracy_cannot_be_chosen():
    table = {"mean_test_score": [0.97, 0.98], "mean_train_score": [0.97, NAN]}
    assert within_gap(0.01)(table) == 0


def test_within_gap_says_what_to_pass_to_the_search():
    with pytest.raises(ValueError, match=r"record_scoring\(\) or return_train_score"):
        within_gap()({"mean_test_score": [0.9]})


def test_within_gap_says_how_to_get_a_validation_accuracy():
    table = {"mean_test_score": [0.9], "mean_test_validation_accuracy": [NAN]}
    with pytest.raises(ValueError, match="early_stopping=True"):
        within_gap()(table)


def test_a_wider_gap_never_lowers_the_score():
    # A wider limit only adds candidates, if the narrower one allows any.
    for seed in range(50):
        table = random_table(seed)
        gaps = table["mean_train_score"] - table["mean_test_score"]
        limits = [limit for limit in (0.005, 0.01, 0.03, 1.0) if gaps.min() <= limit]
        scores = [table["mean_test_score"][within_gap(lim)(table)] for lim in limits]
        assert scores == sorted(scores)


# smallest


def test_smallest_takes_the_smallest_value_that_is_good_enough():
    table = {
        "mean_test_score": [0.9788, 0.9808, 0.9774, 0.9809, 0.9814],
        "param_batch_size": [32, 64, 128, 256, 512],
    }
    assert smallest("batch_size", tolerance=0.001)(table) == 1


def test_a_score_exactly_the_tolerance_below_counts():
    # In binary 0.9819 - 0.0015 is a little more than 0.9804.
    table = {"mean_test_score": [0.9804, 0.9819], "param_depth": [1, 2]}
    assert smallest("depth", tolerance=0.0015)(table) == 0


def test_ties_in_the_value_go_to_the_higher_score_then_to_the_first():
    table = {"mean_test_score": [0.90, 0.91, 0.91], "param_depth": [2, 2, 2]}
    assert smallest("depth", tolerance=0.1)(table) == 1


def test_the_smallest_gap_counts_an_accuracy_below_the_score_as_no_gap():
    table = {
        "mean_test_score": [0.90, 0.91, 0.92],
        "mean_train_score": [0.80, 0.91, 0.93],
    }
    assert smallest("gap", tolerance=0.05)(table) == 1


@pytest.mark.parametrize("key", ["mean_test_n_parameters", "n_parameters"])
def test_a_column_is_found_with_and_without_its_prefix(key):
    table = {"mean_test_score": [0.9, 0.9], "mean_test_n_parameters": [20.0, 10.0]}
    assert smallest(key)(table) == 1


def test_a_searched_parameter_comes_before_a_column():
    table = {
        "mean_test_score": [0.9, 0.9],
        "mean_test_n_iter": [1, 2],
        "param_n_iter": [2, 1],
    }
    assert smallest("n_iter")(table) == 1


def test_a_row_without_the_parameter_is_passed_over():
    values = np.ma.masked_array([1, 2], mask=[True, False])
    table = {"mean_test_score": [0.9, 0.9], "param_degree": values}
    assert smallest("degree")(table) == 1


def test_a_value_for_no_good_candidate_is_an_error():
    table = {"mean_test_score": [0.9, 0.1], "mean_test_n_parameters": [NAN, 3]}
    with pytest.raises(ValueError, match="has a value to compare"):
        smallest("n_parameters")(table)


def test_texts_cannot_be_compared_for_size():
    table = {"mean_test_score": [0.9, 0.9], "param_solver": ["sgd", "adam"]}
    with pytest.raises(TypeError, match="'solver' has the values 'sgd', 'adam'"):
        smallest("solver")(table)


def test_an_unknown_key_is_refused_with_the_columns():
    with pytest.raises(ValueError, match="'depht' is neither .* mean_test_score"):
        smallest("depht")({"mean_test_score": [0.9]})


def test_a_looser_tolerance_never_chooses_a_larger_value():
    # A looser tolerance only adds candidates, of which the rule takes the smallest.
    for seed in range(50):
        table = random_table(seed)
        depths = [
            table["param_max_depth"][smallest("max_depth", tolerance)(table)]
            for tolerance in (0, 0.005, 0.01, 0.02, 1)
        ]
        assert depths == sorted(depths, reverse=True)


# one_standard_error


def test_one_standard_error_by_hand():
    # The best row has the splits 0.94, 0.95, 0.96: std(ddof=1) = 0.01, so the
    # error is 0.01 / sqrt(3) = 0.00577 and 0.9443 is within it, 0.9441 is not.
    table = {
        "mean_test_score": [0.9441, 0.9443, 0.95],
        "split0_test_score": [0.9441, 0.9443, 0.94],
        "split1_test_score": [0.9441, 0.9443, 0.95],
        "split2_test_score": [0.9441, 0.9443, 0.96],
        "param_depth": [1, 2, 3],
    }
    assert one_standard_error("depth")(table) == 1


def test_one_split_has_the_error_of_a_proportion():
    # sqrt(0.9 * 0.1 / 100) = 0.03
    table = {
        "mean_test_score": [0.869, 0.871, 0.9],
        "split0_test_score": [0.869, 0.871, 0.9],
        "mean_test_n_test": [100.0, 100.0, 100.0],
        "param_depth": [1, 2, 3],
    }
    assert one_standard_error("depth")(table) == 1


def test_one_split_of_unknown_size_has_no_error():
    table = {
        "mean_test_score": [0.9],
        "split0_test_score": [0.9],
        "param_depth": [1],
    }
    with pytest.raises(ValueError, match="mean_test_n_test: pass scoring=record_sc"):
        one_standard_error("depth")(table)


def test_one_split_of_another_score_has_no_error():
    table = {
        "mean_test_score": [-3.0],
        "split0_test_score": [-3.0],
        "mean_test_n_test": [10.0],
        "param_depth": [1],
    }
    with pytest.raises(ValueError, match="only for an accuracy"):
        one_standard_error("depth")(table)


def test_noisier_splits_never_choose_a_costlier_model():
    # The same means with wider splits have a wider error, which only adds
    # candidates. Without any noise only the best candidate is left.
    for seed in range(50):
        table = random_table(seed)
        names = [f"split{i}_test_score" for i in range(5)]
        mean = table["mean_test_score"]
        depths = [table["param_max_depth"][best_score(table)]]
        for noise in (0.5, 1, 2, 4):
            wide = {n: mean + noise * (table[n] - mean) for n in names}
            chosen = one_standard_error("max_depth")({**table, **wide})
            depths.append(table["param_max_depth"][chosen])
        assert depths == sorted(depths, reverse=True)


# prefer


def test_the_recommended_value_wins_within_the_tolerance():
    table = {"mean_test_score": [0.97, 0.965], "param_solver": ["sag", "lbfgs"]}
    assert prefer("solver", "lbfgs", tolerance=0.01)(table) == 1


def test_the_recommended_value_loses_where_it_is_worse():
    table = {"mean_test_score": [0.97, 0.95], "param_solver": ["sag", "lbfgs"]}
    assert prefer("solver", "lbfgs", tolerance=0.01)(table) == 0


def test_the_best_of_several_recommended_candidates_wins():
    table = {"mean_test_score": [0.97, 0.96, 0.965], "param_tol": [0, 1, 1]}
    assert prefer("tol", 1, tolerance=0.02)(table) == 2


def test_a_function_tells_what_is_recommended():
    table = {"mean_test_score": [0.97, 0.96], "param_widths": [400, (600, 200)]}
    rule = prefer("widths", lambda widths: isinstance(widths, tuple), tolerance=0.1)
    assert rule(table) == 1


@pytest.mark.parametrize("value", [[600, 200], (600, 200), np.array([600, 200])])
def test_sequences_of_equal_values_are_equal(value):
    table = {"mean_test_score": [0.97, 0.96], "param_widths": [400, (600, 200)]}
    assert prefer("widths", value, tolerance=0.1)(table) == 1


def test_a_whole_number_is_found_in_a_column_of_floats():
    table = {"mean_test_score": [0.97, 0.96], "param_C": np.array([0.5, 1])}
    assert prefer("C", 1, tolerance=0.1)(table) == 1


def test_a_row_without_the_parameter_is_not_recommended():
    values = np.ma.masked_array(["l2", None], mask=[False, True], dtype=object)
    table = {"mean_test_score": [0.97, 0.96], "param_penalty": values}
    assert prefer("penalty", None, tolerance=0.1)(table) == 0


# what all rules have in common


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: within_gap(-0.01), "max_gap must not be negative; got -0.01"),
        (lambda: within_gap(NAN), "max_gap must not be negative"),
        (lambda: smallest("depth", -1), "tolerance must not be negative; got -1"),
        (lambda: prefer("depth", 1, -1), "tolerance must not be negative; got -1"),
        (lambda: smallest(3), "key must be a name; got 3"),
        (lambda: one_standard_error(""), "complexity must be a name; got ''"),
        (lambda: prefer(None, 1), "param must be a name; got None"),
    ],
)
def test_arguments_are_checked_when_a_rule_is_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("rule", RULES[1:], ids=written)
def test_a_rule_is_written_as_in_code(rule):
    assert eval(repr(rule)) == rule


def test_a_rule_with_a_function_is_written_without_its_address():
    assert repr(prefer("a", best_score)) == (
        "prefer(param='a', value=best_score, tolerance=0.0)"
    )


@pytest.mark.parametrize("rule", RULES, ids=written)
def test_a_rule_survives_pickling(rule):
    assert pickle.loads(pickle.dumps(rule)) == rule


@pytest.mark.parametrize("rule", RULES, ids=written)
def test_a_rule_is_a_refit_of_grid_search(rule):
    X, y = load_iris(return_X_y=True)
    search = GridSearchCV(
        DecisionTreeClassifier(random_state=0),
        {"max_depth": [1, 2, 3, 4]},
        refit=rule,
        return_train_score=True,
    ).fit(X, y)
    assert search.best_index_ == rule(search.cv_results_)


# explain

REPORTED = {
    "mean_test_accuracy": np.array([0.9763, 0.9814, 0.9791]),
    "mean_test_validation_accuracy": np.array([0.9847, 0.9873, 0.9905]),
    "mean_test_n_test": np.array([10_000.0] * 3),
    "split0_test_accuracy": np.array([0.9763, 0.9814, 0.9791]),
    "param_widths": np.ma.masked_array([200, 400, 500]),
}


@pytest.mark.parametrize(
    "rule, sentence",
    [
        (best_score, "98.14 % is the highest accuracy of 3 candidates"),
        (
            within_gap(0.01),
            "98.14 % is the highest accuracy among the 2 of 3 candidates whose "
            "validation accuracy exceeds it by at most 1 %",
        ),
        (
            within_gap(0.001),
            "98.14 % has the smallest gap (0.59 %) of 3 candidates; the validation "
            "accuracy of each exceeds it by more than 0.1 %",
        ),
        (
            smallest("widths", tolerance=0.01),
            "widths=200 is the smallest among the 3 of 3 candidates whose accuracy is "
            "at most 1 % below the best (98.14 %)",
        ),
        (
            smallest("gap", tolerance=0.003),
            "a gap of 0.59 % is the smallest among the 2 of 3 candidates whose "
            "accuracy is at most 0.3 % below the best (98.14 %)",
        ),
        (
            one_standard_error("widths"),
            "widths=400 is the only one of 3 candidates within one standard "
            "error (0.135 %) of the best accuracy (98.14 %)",
        ),
        (
            prefer("widths", 500, tolerance=0.003),
            "widths=500 is recommended, and its accuracy of 97.91 % is at most 0.3 % "
            "below the best (98.14 %)",
        ),
        (
            prefer("widths", 500, tolerance=0.001),
            "98.14 % is the highest accuracy, and no candidate with the recommended "
            "widths comes within 0.1 % of it",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else written(value),
)
def test_the_reason_has_the_numbers(rule, sentence):
    assert explain(rule, REPORTED, rule(REPORTED)) == sentence


def test_the_only_candidate_needs_no_comparison():
    table = {"mean_test_score": [0.5]}
    assert explain(smallest("depth"), table, 0) == (
        "50.00 % is the score of the only candidate"
    )


def test_another_function_is_explained_by_its_name():
    def last(cv_results):
        return 2

    assert explain(last, REPORTED, 2) == (
        "last chose candidate 3 of 3, whose accuracy is 97.91 %; the best is 98.14 %"
    )


def test_scores_that_are_no_accuracies_are_not_per_cent():
    table = {"mean_test_score": [-2.5, -1.25]}
    assert explain(best_score, table, 1) == "-1.25 is the highest score of 2 candidates"


# record_scoring


@pytest.fixture(scope="module")
def network():
    X, y = load_iris(return_X_y=True)
    network = MLPClassifier(
        4, early_stopping=True, max_iter=3, n_iter_no_change=5, random_state=0
    )
    with pytest.warns(UserWarning, match="Maximum iterations"):
        return network.fit(X, y), X, y


def test_records_read_the_fitted_classifier(network):
    model, X, y = network
    scoring = record_scoring()
    assert scoring["n_iter"](model, X, y) == 3
    assert scoring["validation_accuracy"](model, X, y) == model.best_validation_score_
    assert scoring["n_test"](model, X, y) == 150


def test_records_read_the_last_step_of_a_pipeline(network):
    model, X, y = network
    pipeline = make_pipeline(StandardScaler(), model)
    assert record_scoring()["n_iter"](pipeline, X, y) == 3


def test_a_record_of_nothing_is_nan():
    X, y = load_iris(return_X_y=True)
    model = DecisionTreeClassifier(max_depth=1).fit(X, y)
    assert np.isnan(record_scoring()["n_parameters"](model, X, y))


def test_a_record_of_none_is_nan():
    class Unstopped:
        best_validation_score_ = None

    assert np.isnan(record_scoring()["validation_accuracy"](Unstopped(), [], []))


def test_a_count_per_class_is_recorded_as_the_largest():
    class PerClass:
        n_iter_ = np.array([3, 7, 5])

    assert record_scoring()["n_iter"](PerClass(), [], []) == 7


@pytest.mark.parametrize(
    "scoring, names",
    [
        ("f1_macro", ["f1_macro"]),
        (best_score, ["score"]),
        ({"a": "accuracy", "b": "f1_macro"}, ["a", "b"]),
    ],
)
def test_the_metrics_come_before_the_records(scoring, names):
    assert list(record_scoring(scoring))[: -len(record_scoring()) + 1] == names


def test_records_survive_pickling():
    scoring = record_scoring()
    assert pickle.loads(pickle.dumps(scoring)) == scoring


def test_records_do_not_disturb_sample_weights():
    # scikit-learn asks every scorer whether it takes weights; warnings are errors.
    X, y = load_iris(return_X_y=True)
    scoring = {n: s for n, s in record_scoring().items() if n in ("accuracy", "n_test")}
    search = GridSearchCV(
        DecisionTreeClassifier(), {"max_depth": [1]}, scoring=scoring, refit="accuracy"
    ).fit(X, y, sample_weight=np.ones(150))
    assert search.cv_results_["mean_test_n_test"].tolist() == [30]


# what is loaded


@pytest.mark.parametrize("module", ["_results", "_rules", "_significance"])
def test_reading_tables_loads_no_workers_and_no_data_sets(module):
    # Displays and reports read tables; they need neither processes nor Dask nor
    # scikit-learn for it.
    code = f"import sys, skmnist.model_selection.{module}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True)
    names = {name for name in loaded.stdout.split() if name.startswith("skmnist.")}
    tables = {f"skmnist.model_selection.{m}" for m in ("_results", "_rules")}
    tables |= {"skmnist.model_selection", "skmnist.model_selection._significance"}
    tables |= {"skmnist._format"}
    assert {n for n in names if not n.startswith("skmnist.stats")} <= tables
    heavy = {"sklearn", "scipy.stats", "joblib", "distributed", "pandas"}
    assert not heavy & set(loaded.stdout.split())
