"""What a study keeps besides its tables, written and read back."""

import dataclasses

import numpy as np
import pytest
from sklearn.utils import Bunch

from skmnist import KerasMLPClassifier, load_digits_28x28
from skmnist.study import StudyFolderError, read_study
from skmnist.study._artifacts import (
    Evidence,
    picture_shape,
    predict_pictures,
    read_evidence,
    write_predictions,
)


@pytest.fixture(scope="module")
def evidence(tiny_study):
    return read_evidence(tiny_study)


def test_curves_are_those_of_the_winners(tiny_study, evidence):
    rows = [row for row in read_study(tiny_study).rows if row.winner]
    assert list(evidence.curves) == [row.stage for row in rows]
    for row, curve in zip(rows, evidence.curves.values(), strict=True):
        # The same fit: not a number differs in its last digit.
        best = curve.val_accuracy[curve.best_iter - 1]
        assert best == row.validation_accuracy
        assert len(curve.loss) == row.n_iter


def test_final_curve_is_that_of_the_saved_model(tiny_study, evidence):
    model = KerasMLPClassifier.load(tiny_study / "model.skmnist")
    assert evidence.final_curve.loss == model.loss_curve_
    assert evidence.final_curve.stop_reason == model.stop_reason_


def test_no_fit_is_made_for_the_sake_of_the_curves(tiny_study):
    # Four shapes, two more batch sizes, the final model.
    assert len(list((tiny_study / "skmnist-fits").rglob("*.skmnist"))) == 7


def test_predictions_are_those_of_the_saved_model(tiny_study, evidence):
    digits = load_digits_28x28()
    model = KerasMLPClassifier.load(tiny_study / "model.skmnist")
    X, y = digits.data[digits.test], digits.target[digits.test]
    kept = evidence.predictions
    np.testing.assert_array_equal(kept.true, y)
    np.testing.assert_array_equal(kept.predicted, model.predict(X))
    assert sorted(kept.rows) == np.flatnonzero(kept.true != kept.predicted).tolist()
    first = kept.rows[0]
    assert kept.probability[first] == kept.probability[kept.rows].max()
    pixels = np.round(255 * X[first]).reshape(28, 28)
    np.testing.assert_array_equal(kept.pictures[0], pixels)


def test_a_folder_of_an_older_version_has_none(tmp_path):
    assert read_evidence(tmp_path) == Evidence()


@pytest.mark.parametrize("name", ["curves.json", "predictions.npz"])
def test_a_damaged_file_is_said_to_be_one(name, tmp_path):
    (tmp_path / name).write_bytes(b"{\x00")
    with pytest.raises(StudyFolderError, match="damaged study"):
        read_evidence(tmp_path)


def test_predictions_survive_writing_and_reading(tmp_path):
    class Reader:
        classes_ = np.array(["cat", "dog"])

        def predict_proba(self, X):
            return X

    X = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    kept = predict_pictures(Reader(), X, np.array(["cat", "cat", "dog"]), (1, 2))
    assert kept.rows.tolist() == [1, 2]
    # The lowest value of all, 0.1, is white and the highest, 0.9, black.
    assert kept.pictures.tolist() == [[[32, 223]], [[159, 96]]]
    write_predictions(tmp_path / "predictions.npz", kept)
    again = read_evidence(tmp_path).predictions
    for field in dataclasses.fields(kept):
        a, b = getattr(kept, field.name), getattr(again, field.name)
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


@pytest.mark.parametrize(
    ("last_name", "n_features", "shape"),
    [
        ("pixel_27_27", 784, (28, 28)),
        ("pixel_4_9", 50, (5, 10)),
        ("pixel_63", 64, (8, 8)),
        ("pixel_49", 50, None),
        ("pixel_24", 25, None),  # a table of 25 columns
        ("pixel_4_4", 25, (5, 5)),
    ],
)
def test_shape_of_pictures_is_told_by_their_features(last_name, n_features, shape):
    data = Bunch(feature_names=[last_name], data=np.zeros((2, n_features)))
    assert picture_shape(data) == shape
    data.data[1, 1] = -1  # as in a table whose columns are scaled
    assert picture_shape(data) == (None if last_name.count("_") == 1 else shape)
