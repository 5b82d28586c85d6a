"""The classifier inside scikit-learn's tools, each used for real."""

import os
import signal
import subprocess
import sys
import time
import warnings

import joblib
import keras
import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    learning_curve,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from skmnist import KerasMLPClassifier, Stage, StagedSearchCV
from skmnist.neural_network.keras_side._compiled import Engine

N_TRAIN, N_TEST = 300, 200

# Grids of what needs no other program: most tests share that of `classifier`.
BATCHES = {"batch_size": [32, 64]}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    return X[:N_TRAIN], y[:N_TRAIN], X[N_TRAIN:][:N_TEST], y[N_TRAIN:][:N_TEST]


def classifier(**params):
    return KerasMLPClassifier(
        **{
            "depth": 1,
            "widths": 32,
            "learning_rate": 0.01,
            # Programs of a schedule are made for one number of updates.
            "learning_rate_schedule": "constant",
            "dropout": 0.0,
            "epochs": 20,
            "random_state": 0,
            **params,
        }
    )


def test_grid_search_over_layers(digits):
    X, y, X_test, y_test = digits
    grid = [
        {"depth": [1], "widths": [16, 32]},
        {"depth": [2], "widths": [(32, 16)], "activations": [("relu", "tanh")]},
    ]
    search = GridSearchCV(classifier(), grid, cv=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 3
    assert search.score(X_test, y_test) > 0.8


def test_a_staged_search_of_one_stage_is_a_grid_search(digits):
    X, y, *_ = digits
    grid = {"widths": [32, (32,)], "activations": ["relu", "silu"]}
    net = classifier(epochs=2)
    staged = StagedSearchCV(net, [Stage("only", grid)], cv=2, scoring="neg_log_loss")
    plain = GridSearchCV(net, grid, cv=2, scoring="neg_log_loss")
    found, expected = (search.fit(X, y).cv_results_ for search in (staged, plain))
    assert set(found) == {*expected, "stage"}
    for name in set(expected) - {n for n in expected if "time" in n}:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_randomized_search_over_the_learning_rate(digits):
    X, y, X_test, y_test = digits
    rates = {"learning_rate": loguniform(1e-3, 1e-1)}
    search = RandomizedSearchCV(classifier(), rates, n_iter=3, cv=2, random_state=0)
    assert search.fit(X, y).score(X_test, y_test) > 0.8


def test_halving_search_with_epochs_as_the_resource(digits):
    X, y, *_ = digits
    search = HalvingGridSearchCV(
        classifier(),
        {"batch_size": [16, 32, 64]},
        resource="epochs",
        min_resources=2,
        max_resources=8,
        factor=2,
        cv=2,
        random_state=0,
    ).fit(X, y)
    assert search.best_estimator_.n_iter_ == search.best_estimator_.epochs
    assert sorted(set(search.cv_results_["n_resources"])) == [2, 4]


def test_search_refits_with_early_stopping(digits):
    X, y, *_ = digits
    search = GridSearchCV(
        classifier(early_stopping=True, epochs=50), BATCHES, cv=2
    ).fit(X, y)
    best = search.best_estimator_
    assert best.best_validation_score_ == best.validation_scores_[best.best_iter_ - 1]


SEARCH_WITH_JOBS = """
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from skmnist import KerasMLPClassifier
X, y = load_digits(return_X_y=True)
net = KerasMLPClassifier(depth=1, epochs=2, random_state=0)
grid = {"widths": [16], "augmentation": [None, "affine+elastic"]}
for n_jobs in (1, 2):
    search = GridSearchCV(net, grid, cv=2, n_jobs=n_jobs, scoring="neg_log_loss")
    search.fit(X[:200], y[:200])
    print([float(s) for s in search.cv_results_["mean_test_score"]])
"""


@pytest.mark.long
def test_workers_give_what_one_process_gives():
    # With one thread per fit: another number of threads adds in another order.
    finished = subprocess.run(
        [sys.executable, "-c", SEARCH_WITH_JOBS],
        env={**os.environ, "TF_NUM_INTRAOP_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    alone, in_workers = finished.stdout.splitlines()
    assert in_workers == alone


def test_cross_validated_probabilities(digits):
    X, y, *_ = digits
    probabilities = cross_val_predict(classifier(), X, y, cv=2, method="predict_proba")
    assert probabilities.shape == (N_TRAIN, 10)
    assert np.mean(probabilities.argmax(axis=1) == y) > 0.8


@pytest.mark.parametrize(
    "ensemble",
    [
        VotingClassifier(
            [("net", classifier()), ("linear", LogisticRegression())], voting="soft"
        ),
        StackingClassifier([("net", classifier())], LogisticRegression(), cv=2),
        CalibratedClassifierCV(classifier(), cv=2),
        BaggingClassifier(classifier(), n_estimators=2, random_state=0),
        AdaBoostClassifier(classifier(), n_estimators=2, random_state=0),
    ],
    ids=lambda ensemble: type(ensemble).__name__,
)
def test_ensembles(ensemble, digits):
    X, y, X_test, y_test = digits
    assert ensemble.fit(X, y).score(X_test, y_test) > 0.8


def test_learning_curve_rises(digits):
    X, y, *_ = digits
    _, _, scores = learning_curve(
        classifier(), X, y, cv=2, train_sizes=[0.1, 1.0], shuffle=True, random_state=0
    )
    assert scores[1].mean() > scores[0].mean()


def test_permutation_importance_finds_the_constant_pixels(digits):
    X, y, X_test, y_test = digits
    fitted = classifier().fit(X, y)
    importances = permutation_importance(
        fitted, X_test, y_test, n_repeats=2, random_state=0
    ).importances_mean
    # A pixel that is the same in all images cannot matter, shuffled or not.
    assert np.all(importances[np.ptp(X_test, axis=0) == 0] == 0)
    assert importances.max() > 0


def test_columns_of_a_data_frame_take_their_own_way():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"size": rng.normal(size=200), "colour": rng.choice(["red", "blue"], 200)}
    )
    y = np.where((frame["size"] > 0) ^ (frame["colour"] == "red"), "yes", "no")
    columns = ColumnTransformer(
        [("size", StandardScaler(), ["size"]), ("colour", OneHotEncoder(), ["colour"])]
    )
    pipeline = make_pipeline(columns, classifier(epochs=40)).fit(frame, y)
    assert pipeline.score(frame, y) > 0.9


def test_pandas_output_reaches_the_classifier_with_its_names(digits):
    X, y, *_ = digits
    frame = pd.DataFrame(X, columns=[f"pixel_{i}" for i in range(X.shape[1])])
    pipeline = make_pipeline(MinMaxScaler(), classifier(epochs=1))
    pipeline.set_output(transform="pandas").fit(frame, y)
    assert list(pipeline[-1].feature_names_in_) == list(frame.columns)


def test_pipeline_transforms_the_validation_data(digits):
    X, y, X_test, y_test = digits
    with config_context(enable_metadata_routing=True):
        net = classifier().set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline(
            [("scale", StandardScaler()), ("net", net)], transform_input=["X_val"]
        )
        pipeline.fit(100 * X, y, X_val=100 * X_test, y_val=y_test)
        scaled = pipeline[0].transform(100 * X_test)
        alone = classifier().fit(
            pipeline[0].transform(100 * X), y, X_val=scaled, y_val=y_test
        )
    assert pipeline[-1].validation_loss_curve_ == alone.validation_loss_curve_


def test_sample_weights_are_routed_through_search_and_pipeline(digits):
    X, y, *_ = digits
    # Only two classes have weight, so no other class may be predicted.
    weights = np.isin(y, [0, 1]).astype(float)
    with config_context(enable_metadata_routing=True):
        net = classifier().set_fit_request(sample_weight=True)
        net.set_score_request(sample_weight=True)
        search = GridSearchCV(
            make_pipeline(MinMaxScaler(), net),
            {"kerasmlpclassifier__batch_size": [32, 64]},
            cv=2,
        ).fit(X, y, sample_weight=weights)
        predicted = search.predict(X)
    assert set(predicted) == {0, 1}


@pytest.mark.parametrize(("name", "meant"), [("width", "widths"), ("epoch", "epochs")])
def test_a_misspelt_parameter_is_suggested_right(name, meant):
    with pytest.raises(ValueError, match=f"{name}.*Did you mean {meant!r}"):
        classifier().set_params(**{name: 3})


def test_a_misspelt_name_in_a_grid_is_suggested_right(digits):
    search = GridSearchCV(classifier(), {"activatons": ["relu"]}, cv=2)
    with pytest.raises(ValueError, match="Did you mean 'activations'"):
        search.fit(*digits[:2])


def test_a_name_like_no_parameter_gets_scikit_learns_own_message():
    with pytest.raises(ValueError, match=r"(?s)Invalid parameter 'xyz'.*\]\.$"):
        classifier().set_params(xyz=1)


# Optuna's integration calls a part of Optuna that is deprecated.
@pytest.mark.filterwarnings("ignore:`optuna.terminator` module:FutureWarning")
def test_optuna_searches_it(digits):
    optuna = pytest.importorskip("optuna")
    integration = pytest.importorskip("optuna_integration.sklearn")
    X, y, X_test, y_test = digits
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        search = integration.OptunaSearchCV(
            classifier(),
            {
                "batch_size": optuna.distributions.IntDistribution(16, 64),
                "initializers": optuna.distributions.CategoricalDistribution(
                    ["he_normal", "glorot_uniform"]
                ),
            },
            cv=2,
            n_trials=3,
            random_state=0,
        )
    search.fit(X, y)
    assert len(search.trials_) == 3
    assert search.score(X_test, y_test) > 0.7


PREDICT_IN_ANOTHER_PROCESS = """
import sys
import joblib, numpy as np
X = np.load(sys.argv[1])
np.save(sys.argv[3], joblib.load(sys.argv[2]).predict_proba(X))
"""


@pytest.mark.slow
def test_a_pickled_pipeline_predicts_the_same_in_another_process(digits, tmp_path):
    X, y, *_ = digits
    pipeline = make_pipeline(MinMaxScaler(), classifier(epochs=2)).fit(X, y)
    data, model, found = (tmp_path / n for n in ("X.npy", "model.joblib", "p.npy"))
    np.save(data, X)
    joblib.dump(pipeline, model)
    subprocess.run(
        [sys.executable, "-c", PREDICT_IN_ANOTHER_PROCESS, data, model, found],
        check=True,
        capture_output=True,
        timeout=120,
    )
    # With another number of threads, sums are rounded otherwise.
    np.testing.assert_allclose(np.load(found), pipeline.predict_proba(X), atol=1e-6)


@pytest.mark.usefixtures("by_tensorflow")
def test_no_row_is_both_trained_on_and_validated_on_in_any_epoch(digits, monkeypatch):
    # The report drew a new validation set in each epoch. Here the first feature is a
    # different number in each row, and so identifies it.
    X, y = digits[0].copy(), digits[1]
    X[:, 0] = np.arange(len(X)) / len(X)
    trained, validated = [], []
    train_epoch, evaluate = Engine.train_epoch, Engine.evaluate

    def spy_train(self, network, vectors, rows, order, batch_size):
        trained.append(rows.data[0].numpy()[order, 0])
        return train_epoch(self, network, vectors, rows, order, batch_size)

    def spy_evaluate(self, network, rows):
        validated.append(rows.data[0].numpy()[:, 0])
        return evaluate(self, network, rows)

    monkeypatch.setattr(Engine, "train_epoch", spy_train)
    monkeypatch.setattr(Engine, "evaluate", spy_evaluate)
    classifier(early_stopping=True, patience=20, epochs=5).fit(X, y)
    assert len(trained) == len(validated) == 5
    seen, held_out = set(np.concatenate(trained)), set(np.concatenate(validated))
    assert not seen & held_out
    assert len(seen) + len(held_out) == len(X)


def test_one_tick_an_epoch(digits):
    X, y, *_ = digits
    monitor = ScoringMonitor(scoring="accuracy")
    fitted = classifier(epochs=4).set_callbacks(monitor).fit(X, y)
    rows = [r for r in monitor.get_logs().data if r["task_name"] == "epoch"]
    assert len(rows) == 4
    # The score of an epoch is the score of the weights after it.
    assert rows[-1]["accuracy"] == fitted.score(X, y)
    assert rows[0]["accuracy"] < rows[-1]["accuracy"]


def test_progress_bar_of_scikit_learn_through_a_search(digits, capsys):
    X, y, *_ = digits
    search = GridSearchCV(classifier(epochs=2), BATCHES, cv=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    assert "KerasMLPClassifier" in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_refuses_tensorflow_instead_of_waiting_for_ever(digits):
    X, y, *_ = digits
    net = classifier(epochs=1, callbacks=[keras.callbacks.Callback()]).fit(X, y)
    child = os.fork()
    if child == 0:
        status = 9
        try:
            net.fit(X, y)
        except RuntimeError as error:
            status = 7 if str(error).startswith("this process was forked") else 8
        finally:
            os._exit(status)
    deadline, ended = time.monotonic() + 60, 0
    while not ended:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
        ended, status = os.waitpid(child, os.WNOHANG)
    assert os.waitstatus_to_exitcode(status) == 7
