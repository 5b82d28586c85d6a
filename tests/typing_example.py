"""What users write: every public name, used with the types that it should have.

`test_typing.py` runs mypy and pyright on this file, and then the file itself. The
function ``use_NAME`` uses the public name NAME; ``assert_type`` fails where a type is
unknown.
"""

# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

import skmnist
from skmnist import (
    AugmentedPredictionClassifier,
    Comparison,
    Distortions,
    FirstLayerDisplay,
    FitCurveDisplay,
    GapDisplay,
    KerasMLPClassifier,
    MisreadDigitsDisplay,
    Race,
    Stage,
    StagedSearchCV,
    StageScoresDisplay,
    ValidationEarlyStopping,
    best_score,
    compare,
    compare_candidates,
    corrected_resampled_t_test,
    fetch_mnist,
    find_overlap,
    holm,
    lanes,
    load_digits_28x28,
    log_search,
    log_study,
    mcnemar_test,
    normalize_digit,
    one_standard_error,
    prefer,
    read_digit,
    read_digits,
    record_scoring,
    report_stages,
    significantly_better,
    smallest,
    within_gap,
)


@dataclass
class Given:
    """What the functions work on."""

    X: NDArray[np.float32]
    y: NDArray[np.int64]
    picture: Path
    study: Path
    out: Path


TABLE = {
    "mean_test_score": [0.90, 0.94, 0.95],
    "std_test_score": [0.02, 0.02, 0.02],
    "split0_test_score": [0.88, 0.92, 0.93],
    "split1_test_score": [0.92, 0.96, 0.97],
    "mean_train_score": [0.90, 0.94, 1.0],
    "mean_test_n_train": [1000.0, 1000.0, 1000.0],
    "mean_test_n_test": [500.0, 500.0, 500.0],
    "param_depth": [1, 2, 3],
}
Rule = Callable[[Mapping[str, Any]], int]


def small() -> KerasMLPClassifier:
    return KerasMLPClassifier(1, 8, epochs=2, validation_split=0.2, random_state=0)


def small_search() -> StagedSearchCV:
    stages = [Stage("width", {"widths": [4, 8]}), Stage("batch", {"batch_size": [32]})]
    return StagedSearchCV(small(), stages, scoring=record_scoring(), cv=2)


# ---- classifier --------------------------------------------------------------------


def use_KerasMLPClassifier(given: Given) -> None:
    clf: KerasMLPClassifier = KerasMLPClassifier(
        depth=2,
        widths=(16, 8),
        activations=["relu", "tanh"],
        initializers="he_normal",
        output_initializer="glorot_uniform",
        optimizer="adam",
        learning_rate=0.01,
        learning_rate_schedule="cosine",
        warmup_epochs=0,
        batch_size=32,
        epochs=2,
        validation_split=0.1,
        early_stopping="auto",
        patience=1,
        max_gap=None,
        dropout=0.1,
        batch_normalization=False,
        augmentation=Distortions(rotation=5),
        image_shape=(28, 28),
        class_weight="balanced",
        memory=None,
        random_state=0,
    )
    assert_type(clf.fit(given.X, given.y), KerasMLPClassifier)
    fitted = small().fit(given.X, given.y, X_val=given.X, y_val=given.y)
    assert_type(fitted.n_layers_, int)
    assert_type(fitted.partial_fit(given.X, given.y), KerasMLPClassifier)
    accuracy: float = clf.score(given.X, given.y)
    labels: NDArray[Any] = clf.predict(given.X)
    probabilities: NDArray[np.floating[Any]] = clf.predict_proba(given.X)
    assert_type(clf.n_iter_, int)
    assert_type(clf.n_parameters_, int)
    assert_type(clf.n_features_in_, int)
    assert_type(clf.stop_reason_, str)
    assert_type(clf.fit_time_, float)
    history: dict[str, list[float]] = clf.history_
    classes: NDArray[Any] = clf.classes_
    weights: list[NDArray[Any]] = clf.coefs_
    biases: list[NDArray[Any]] = clf.intercepts_
    clf.save(given.out / "model.skmnist")
    again = KerasMLPClassifier.load(given.out / "model.skmnist")
    assert_type(again, KerasMLPClassifier)
    assert len(labels) == len(probabilities) and 0 <= accuracy <= 1 and history
    assert len(classes) == 10 and len(weights) == len(biases)


def use_ValidationEarlyStopping(given: Given) -> None:
    stopping: ValidationEarlyStopping = ValidationEarlyStopping(
        "val_loss", patience=2, min_delta=0.0, max_gap=0.1, restore_best_weights=True
    )
    assert_type(stopping.patience, int)


# ---- search ------------------------------------------------------------------------


def use_Race(given: Given) -> None:
    race: Race = Race(max_replicates=5, ties=["depth"], max_fits=40, rungs=[0.5])
    Stage("width", {"widths": [4, 8]}, race=race)
    Stage("width", {"widths": [4, 8]}, race=False)
    StagedSearchCV(small(), [Stage("depth", {"depth": [1, 2]})], race=race)


def use_Stage(given: Given) -> None:
    stage: Stage = Stage(
        "depth",
        {"depth": [1, 2]},
        n_iter=2,
        rule=smallest("depth"),
        max_grow=3,
        priority=2.0,
    )
    Stage("width", lambda chosen: {"widths": [8 * chosen["depth"]]})
    Stage("both", [{"depth": [1]}, {"depth": [2], "widths": [8]}])
    assert_type(stage.name, str)
    assert_type(stage.max_grow, int)


def use_StagedSearchCV(given: Given) -> None:
    search: StagedSearchCV = small_search()
    assert_type(search.fit(given.X, given.y), StagedSearchCV)
    best: dict[str, Any] = search.best_params_
    results: dict[str, Any] = search.cv_results_
    assert_type(search.best_score_, float)
    assert_type(search.best_index_, int)
    labels: NDArray[Any] = search.predict(given.X)
    accuracy: float = search.score(given.X, given.y)
    assert best and results and len(labels) and accuracy


def use_record_scoring(given: Given) -> None:
    scoring = record_scoring("accuracy")
    GridSearchCV(small(), {"widths": [4]}, scoring=scoring, refit=False)


def use_best_score(given: Given) -> None:
    rule: Rule = best_score
    assert_type(best_score(TABLE), int)
    assert rule(TABLE) == 2


def use_within_gap(given: Given) -> None:
    rule: Rule = within_gap(0.01)
    assert_type(within_gap(max_gap=0.01)(TABLE), int)
    assert_type(within_gap().explain(TABLE, 1), str)
    assert rule(TABLE) == 1


def use_smallest(given: Given) -> None:
    rule: Rule = smallest("depth", tolerance=0.02)
    assert_type(smallest("depth")(TABLE), int)
    assert_type(smallest("depth").explain(TABLE, 2), str)
    assert rule(TABLE) == 1


def use_one_standard_error(given: Given) -> None:
    rule: Rule = one_standard_error("depth")
    assert_type(one_standard_error("depth")(TABLE), int)
    assert_type(one_standard_error("depth").explain(TABLE, 1), str)
    assert rule(TABLE) in (0, 1, 2)


def use_prefer(given: Given) -> None:
    rule: Rule = prefer("depth", 2, tolerance=0.02)
    assert_type(prefer("depth", 2)(TABLE), int)
    assert_type(prefer("depth", 2).explain(TABLE, 2), str)
    assert rule(TABLE) == 1


def use_significantly_better(given: Given) -> None:
    rule: Rule = significantly_better("depth", alpha=0.05)
    assert_type(significantly_better("depth")(TABLE), int)
    assert_type(significantly_better("depth").explain(TABLE, rule(TABLE)), str)


def use_report_stages(given: Given) -> None:
    stages: Sequence[Stage] = report_stages()
    assert_type(report_stages()[0].name, str)
    assert len(stages) == 8


# ---- tests of a difference ---------------------------------------------------------


def use_Comparison(given: Given) -> None:
    found: Comparison = mcnemar_test([1, 1, 0], [1, 0, 1])
    assert_type(found.test, str)
    assert_type(found.difference, float)
    assert_type(found.standard_error, float)
    assert_type(found.interval, tuple[float, float])
    assert_type(found.p_value, float)
    assert_type(found.significant(0.05), bool)


def use_compare(given: Given) -> None:
    one, two = (small().fit(given.X[seed:], given.y[seed:]) for seed in range(2))
    assert_type(compare(one, two, given.X, given.y), Comparison)
    compare([one, two], [two, one], given.X, given.y, confidence=0.9)


def use_compare_candidates(given: Given) -> None:
    assert_type(compare_candidates(TABLE, 2, 0, test_size=0.2), Comparison)


def use_mcnemar_test(given: Given) -> None:
    right = np.array([True, False, True])
    assert_type(mcnemar_test(right, [True, True, False], confidence=0.9), Comparison)


def use_corrected_resampled_t_test(given: Given) -> None:
    found = corrected_resampled_t_test([0.9, 0.92], [0.9, 0.91], n_train=100, n_test=50)
    assert_type(found, Comparison)


def use_holm(given: Given) -> None:
    adjusted: NDArray[np.float64] = holm([0.01, 0.04, 0.03])
    assert len(adjusted) == 3


# ---- data and pictures -------------------------------------------------------------


def use_fetch_mnist(given: Given) -> None:
    try:
        X, y = fetch_mnist(given.out, download_if_missing=False, return_X_y=True)
        assert_type(X, NDArray[np.float32])
        assert_type(y, NDArray[np.int64])
        mnist = fetch_mnist(data_home=given.out, download_if_missing=False)
        print(mnist.DESCR, mnist.data[mnist.test])
    except skmnist.datasets.DataNotFoundError as error:
        print(error)


def use_load_digits_28x28(given: Given) -> None:
    X, y = load_digits_28x28(return_X_y=True)
    assert_type(X, NDArray[np.float32])
    assert_type(y, NDArray[np.int64])
    digits = load_digits_28x28()
    print(digits.DESCR, digits.target[digits.train])


def use_find_overlap(given: Given) -> None:
    overlap = find_overlap(given.X, given.X[:5])
    assert_type(bool(overlap), bool)
    assert_type(str(overlap), str)
    assert_type(overlap.train_rows, NDArray[np.intp])
    assert_type(overlap.n_validation, int)
    find_overlap([[1, 2]], [[2, 1]])


def use_read_digit(given: Given) -> None:
    assert_type(read_digit(given.picture), NDArray[np.float32])
    assert_type(read_digit(str(given.picture)), NDArray[np.float32])


def use_read_digits(given: Given) -> None:
    assert_type(read_digits(given.picture), list[list[NDArray[np.float32]]])


def use_normalize_digit(given: Given) -> None:
    paper = np.full((60, 90), 200)
    paper[10:40, 50:58] = 30
    assert_type(normalize_digit(paper), NDArray[np.float32])
    assert_type(normalize_digit(paper.tolist()), NDArray[np.float32])


def use_Distortions(given: Given) -> None:
    light: Distortions = Distortions(rotation=5, shift=0.04, elastic_strength=0.02)
    assert_type(light.rotation, float)
    assert_type(Distortions().elastic_smoothness, float)


def use_AugmentedPredictionClassifier(given: Given) -> None:
    averaged: AugmentedPredictionClassifier = AugmentedPredictionClassifier(
        LogisticRegression(max_iter=200),
        augmentation=Distortions(shift=0.04),
        strength=0.5,
        n_views=2,
        image_shape=(28, 28),
        random_state=0,
    )
    assert_type(averaged.fit(given.X, given.y), AugmentedPredictionClassifier)
    assert_type(averaged.n_features_in_, int)
    labels: NDArray[Any] = averaged.predict(given.X)
    classes: NDArray[Any] = averaged.classes_
    probabilities: NDArray[np.floating[Any]] = averaged.predict_proba(given.X)
    accuracy: float = averaged.score(given.X, given.y)
    AugmentedPredictionClassifier(small(), augmentation="affine")
    assert len(labels) == len(probabilities) and len(classes) == 10 and accuracy


# ---- displays ----------------------------------------------------------------------


def use_FitCurveDisplay(given: Given) -> None:
    fitted = small().fit(given.X, given.y)
    display: FitCurveDisplay = FitCurveDisplay.from_estimator(fitted)
    assert_type(display.plot(metric="loss"), FitCurveDisplay)
    epochs: Any = display.frame()["epoch"]
    assert len(epochs) == 2


def use_StageScoresDisplay(given: Given) -> None:
    search = small_search().fit(given.X, given.y)
    display: StageScoresDisplay = StageScoresDisplay.from_search(search, "width")
    assert_type(display.plot(), StageScoresDisplay)


def use_GapDisplay(given: Given) -> None:
    display: GapDisplay = GapDisplay(
        scores=[0.98, 0.97],
        validation_scores=[0.985, 0.99],
        winners=[True, False],
        max_gap=0.01,
    )
    assert_type(display.plot(), GapDisplay)


def use_FirstLayerDisplay(given: Given) -> None:
    fitted = small().fit(given.X, given.y)
    display: FirstLayerDisplay = FirstLayerDisplay.from_estimator(fitted)
    assert_type(display.plot(n_columns=4, most=8), FirstLayerDisplay)


def use_MisreadDigitsDisplay(given: Given) -> None:
    fitted = small().fit(given.X, given.y)
    display: MisreadDigitsDisplay = MisreadDigitsDisplay.from_estimator(
        fitted, given.X, given.y, picture_shape=(28, 28)
    )
    assert_type(display.plot(most=8), MisreadDigitsDisplay)


# ---- TensorBoard -------------------------------------------------------------------


def use_log_search(given: Given) -> None:
    search = small_search().fit(given.X, given.y)
    for run in log_search(search, given.out / "search"):
        assert_type(run.name, str)
        assert_type(run.scores, dict[str, float])


def use_log_study(given: Given) -> None:
    for run in log_study(given.study, given.out / "study"):
        assert_type(run.name, str)


# ---- packages: what is not among the names above -----------------------------------


def use_augmentation(given: Given) -> None:
    assert_type(skmnist.augmentation.Distortions(), Distortions)


def use_datasets(given: Given) -> None:
    from skmnist.datasets import (
        DataError,
        DataNotFoundError,
        check_digits,
        load_dataset,
        load_npz,
    )

    digits = load_dataset("digits", data_home=None)
    check_digits(digits)
    try:
        load_npz(given.out / "absent.npz")
    except DataNotFoundError as error:
        missing: DataError = error
        print(missing)


def use_preprocessing(given: Given) -> None:
    try:
        skmnist.preprocessing.read_digit("absent.png")
    except skmnist.preprocessing.PictureError as error:
        print(error)


def use_stats(given: Given) -> None:
    assert_type(skmnist.stats.holm([0.1]), NDArray[np.float64])
    skmnist.stats.stage_significance([0.98, 0.97], 0, n_test=1000)


def use_lanes(given: Given) -> None:
    with lanes(n=4) as block:
        small().fit(given.X, given.y)
    assert_type(block, None)


def use_neural_network(given: Given) -> None:
    from skmnist.neural_network import (
        ModelFileError,
        clear_engines,
        decide_stop,
        split_validation,
    )

    train, validation = split_validation(given.y, 0.2, random_state=0)
    decision = decide_stop({"loss": [0.5, 0.3], "val_loss": [0.4, 0.35]})
    clear_engines()
    try:
        KerasMLPClassifier.load(given.picture)
    except ModelFileError as error:
        print(error, decision.reason, len(train), len(validation))


def use_model_selection(given: Given) -> None:
    from skmnist.model_selection import explain, significant_gain

    assert_type(explain(best_score, TABLE, 2), str)
    gain: bool = significant_gain(0.98, 0.97, n_train=60_000, n_test=10_000)
    print(gain)


def use_export(given: Given) -> None:
    from skmnist.export import register_onnx_converter, to_onnx

    print(register_onnx_converter, to_onnx)


def use_export_model(given: Given) -> None:
    classifier = small().fit(given.X, given.y)
    path: Path = skmnist.export_model(classifier, given.out / "net.npz", "numpy")
    print(path)


def use_study(given: Given) -> None:
    from skmnist.study import StudyConfig, read_study, read_trials, study_status

    config: StudyConfig = StudyConfig(dataset="digits", epochs=3, seed=1)
    assert_type(config.epochs, int | None)
    print(read_study(given.study), study_status(given.study))
    print(read_trials(given.study / "trials.jsonl"))


def use_reporting(given: Given) -> None:
    from skmnist.reporting import to_markdown, write_drawing_page
    from skmnist.study import read_study

    assert_type(to_markdown(read_study(given.study)), str)
    classifier = KerasMLPClassifier.load(given.study / "model.skmnist")
    assert_type(write_drawing_page(classifier, given.out / "draw.html"), Path)


def use_visualization(given: Given) -> None:
    assert_type(skmnist.visualization.FirstLayerDisplay, type[FirstLayerDisplay])
