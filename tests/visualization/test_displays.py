"""The displays: what they compute, exactly, and that it can be drawn."""

import math
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skmnist import (
    FirstLayerDisplay,
    FitCurveDisplay,
    GapDisplay,
    KerasMLPClassifier,
    MisreadDigitsDisplay,
    Stage,
    StagedSearchCV,
    StageScoresDisplay,
    record_scoring,
)
from skmnist.study import read_study
from skmnist.visualization._digits import mosaic


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X[:400] / 16).astype(np.float32), y[:400]


@pytest.fixture(scope="module")
def classifier(digits):
    return KerasMLPClassifier(
        depth=1, widths=12, epochs=4, early_stopping=True, random_state=0
    ).fit(*digits)


@pytest.fixture(scope="module")
def search():
    return StagedSearchCV(
        DecisionTreeClassifier(random_state=0),
        [
            Stage("depth", {"max_depth": [1, 2, 3]}),
            Stage("leaves", {"min_samples_leaf": [1, 40]}),
        ],
        cv=4,
        return_train_score=True,
    ).fit(*load_iris(return_X_y=True))


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def rows_of(frame):
    """Return the number of rows of a frame, whose columns are equally long."""
    (n_rows,) = {len(column) for column in frame.values()}
    return n_rows


def test_fit_curve_has_a_row_for_each_epoch_and_marks_the_best(classifier):
    frame = FitCurveDisplay.from_estimator(classifier).frame()
    assert rows_of(frame) == classifier.n_iter_
    assert frame["val_accuracy"].tolist() == classifier.validation_scores_
    assert frame["epoch"][frame["best"]].tolist() == [classifier.best_iter_]


def test_fit_curve_looks_into_pipelines_and_searches(digits):
    pipeline = make_pipeline(
        StandardScaler(), KerasMLPClassifier(depth=1, widths=4, epochs=1)
    )
    search = GridSearchCV(pipeline, {"kerasmlpclassifier__epochs": [2]}, cv=2)
    display = FitCurveDisplay.from_estimator(search.fit(*digits))
    assert display.frame()["epoch"].tolist() == [1, 2]


def test_fit_curve_without_validation_draws_the_training_alone():
    display = FitCurveDisplay(history={"loss": [2.0, 1.0]}, best_iter=2)
    ax = display.plot(metric="loss").ax_
    assert [line.get_label() for line in ax.get_lines()] == [
        "training",
        "best epoch, 2",
    ]
    with pytest.raises(ValueError, match="there is no curve 'accuracy'"):
        display.plot()


def test_fit_curve_of_something_else_is_refused(digits):
    with pytest.raises(NotFittedError):
        FitCurveDisplay.from_estimator(KerasMLPClassifier())
    with pytest.raises(TypeError, match="curves are in history_"):
        FitCurveDisplay.from_estimator(DummyClassifier().fit(*digits))


def test_stage_scores_are_the_rows_of_the_stage(search):
    frame = StageScoresDisplay.from_search(search, "depth").frame()
    of_stage = search.cv_results_["stage"] == "depth"
    means = search.cv_results_["mean_test_score"][of_stage]
    deviations = search.cv_results_["std_test_score"][of_stage]
    assert frame["candidate"].tolist() == ["1", "2", "3"]
    np.testing.assert_array_equal(frame["score"], means)
    # std_test_score divides by k; a standard error of the mean is
    # std(ddof=1) / sqrt(k) = std(ddof=0) / sqrt(k - 1).
    np.testing.assert_allclose(frame["standard_error"], deviations / math.sqrt(3))
    assert np.flatnonzero(frame["winner"]) == search.stages_[0].winner
    assert not frame["incumbent"].any()


def test_last_stage_is_shown_unless_another_is_named(search):
    display = StageScoresDisplay.from_search(search)
    assert display.name == "leaves"
    assert display.frame()["incumbent"].sum() == 1


def test_a_stage_that_is_not_there_is_named_with_those_that_are(search):
    with pytest.raises(
        ValueError, match="no stage 'width'; the stages are 'depth', 'leaves'"
    ):
        StageScoresDisplay.from_search(search, "width")


def test_one_split_has_the_standard_error_of_a_proportion():
    search = StagedSearchCV(
        DummyClassifier(),
        [Stage("strategy", {"strategy": ["prior"]})],
        scoring=record_scoring(),
        cv=[(np.arange(100), np.arange(100, 150))],
    ).fit(np.zeros((150, 1)), np.tile([0, 0, 0, 0, 1], 30))
    frame = StageScoresDisplay.from_search(search).frame()
    # 50 rows, four fifths of them right: sqrt(0.8 * 0.2 / 50).
    np.testing.assert_allclose(frame["standard_error"], [0.0565685], rtol=1e-5)


def test_a_grid_search_is_a_single_stage():
    grid = {"max_depth": [1, 2], "min_samples_leaf": [1]}
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), grid, cv=3)
    frame = StageScoresDisplay.from_search(search.fit(*load_iris(return_X_y=True)))
    # The parameter that is the same for all goes without saying.
    assert frame.frame()["candidate"].tolist() == ["1", "2"]
    assert frame.frame()["winner"].tolist() == [False, True]


def test_gap_is_validation_minus_score(search):
    frame = GapDisplay.from_search(search, max_gap=0.005).frame()
    trained = search.cv_results_["mean_train_score"]
    np.testing.assert_array_equal(frame["validation_score"], trained)
    np.testing.assert_array_equal(frame["gap"], trained - frame["score"])
    np.testing.assert_array_equal(frame["too_large"], frame["gap"] > 0.005)
    assert 0 < frame["too_large"].sum() < 5
    assert frame["winner"].sum() == 2


def test_a_gap_that_is_exactly_the_limit_is_not_too_large():
    # 0.99 - 0.98 is a little over 0.01 in binary.
    display = GapDisplay(scores=[0.98], validation_scores=[0.99], winners=[True])
    assert display.frame()["too_large"].tolist() == [False]


def test_gap_without_validation_says_how_to_get_it():
    search = GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1]}, cv=2)
    search.fit(*load_iris(return_X_y=True))
    with pytest.raises(ValueError, match="return_train_score=True"):
        GapDisplay.from_search(search)


def test_study_and_its_search_show_the_same(tiny_study):
    study = read_study(tiny_study)
    display = StageScoresDisplay.from_study(study, study.stages[0])
    frame = display.frame()
    rows = [row for row in study.rows if row.stage == "shape"]
    assert frame["score"].tolist() == [row.accuracy for row in rows]
    assert frame["candidate"][0] == "depth=1, widths=8"
    gaps = GapDisplay.from_study(study).frame()
    assert gaps["gap"].tolist() == [row.gap for row in study.rows]


def test_first_layer_is_one_picture_for_each_unit(classifier):
    frame = FirstLayerDisplay.from_estimator(classifier).frame()
    weights = classifier.coefs_[0]
    assert frame["weights"].shape == (12, 8, 8)
    np.testing.assert_array_equal(frame["weights"][5].ravel(), weights[:, 5])
    np.testing.assert_allclose(frame["norm"], np.sqrt((weights**2).sum(axis=0)))


def test_first_layer_of_a_network_of_scikit_learn(digits):
    network = MLPClassifier(5, solver="lbfgs", max_iter=1000, random_state=0)
    display = FirstLayerDisplay.from_estimator(network.fit(*digits))
    assert display.frame()["weights"].shape == (5, 8, 8)


def test_features_that_are_no_square_need_a_shape():
    weights = np.arange(12.0).reshape(6, 2)
    with pytest.raises(ValueError, match="6 features are not a square; set picture_"):
        FirstLayerDisplay(weights=weights).frame()
    with pytest.raises(ValueError, match="6 features are not 2 x 2 pixels"):
        FirstLayerDisplay(weights=weights, picture_shape=(2, 2)).frame()
    shaped = FirstLayerDisplay(weights=weights, picture_shape=(2, 3)).frame()
    assert shaped["weights"][1].tolist() == [[1, 3, 5], [7, 9, 11]]


def test_misread_digits_are_those_and_the_surest_come_first(classifier, digits):
    X, y = digits
    frame = MisreadDigitsDisplay.from_estimator(classifier, X, y).frame()
    assert sorted(frame["row"]) == np.flatnonzero(classifier.predict(X) != y).tolist()
    assert (np.diff(frame["probability"]) <= 0).all()
    assert (frame["true"] == y[frame["row"]]).all()
    row = frame["row"][0]
    np.testing.assert_array_equal(
        frame["picture"][0].ravel(), np.round(X[row] / X.max() * 255)
    )


def test_nothing_misread_is_an_empty_sheet():
    X, y = np.eye(4), np.zeros(4)
    display = MisreadDigitsDisplay.from_estimator(DummyClassifier().fit(X, y), X, y)
    assert display.frame()["picture"].shape == (0, 2, 2)
    assert display.plot().ax_.get_title() == "0 of 0 misread"


def test_mosaic_keeps_every_picture_whole():
    pictures = np.arange(5 * 2 * 3).reshape(5, 2, 3)
    sheet = mosaic(pictures, 3, margin=-1)
    assert sheet.shape == (6, 12)
    assert sheet[3:5, 4:7].tolist() == pictures[4].tolist()
    assert (sheet == -1).sum() == 6 * 12 - pictures.size


@pytest.fixture(params=["curve", "stage", "gap", "layer", "misread"])
def display(request, classifier, digits, search):
    return {
        "curve": lambda: FitCurveDisplay.from_estimator(classifier),
        "stage": lambda: StageScoresDisplay.from_search(search),
        "gap": lambda: GapDisplay.from_search(search),
        "layer": lambda: FirstLayerDisplay.from_estimator(classifier),
        "misread": lambda: MisreadDigitsDisplay.from_estimator(classifier, *digits),
    }[request.param]()


def test_drawing_takes_the_axes_that_are_given(display):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    assert display.plot(ax) is display
    assert display.ax_ is ax
    assert display.figure_ is figure
    # Finds labels and pictures that cannot be drawn.
    figure.canvas.draw()


def test_drawing_makes_axes_where_none_are_given(display):
    display.plot()
    assert display.ax_.figure is display.figure_


def test_only_drawing_needs_matplotlib(display, monkeypatch):
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)
    assert rows_of(display.frame()) > 0
    with pytest.raises(ImportError, match=r'pip install "skmnist\[plots\]"'):
        display.plot()
