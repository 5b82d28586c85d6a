"""Saved classifiers: they come back equal, and a bad file is named."""

import contextlib
import copy
import json
import os
import zipfile

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from skmnist import KerasMLPClassifier
from skmnist._archive import from_json, read_archive
from skmnist._io import FORMAT, VERSION, ModelFileError, to_json, write_archive


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32)[:200], y[:200]


@pytest.fixture(scope="module")
def fitted(digits):
    """A fitted classifier; tests that train it further take a copy."""
    X, y = digits
    return KerasMLPClassifier(
        1,
        (16,),
        epochs=2,
        batch_size=32,
        random_state=0,
        optimizer=keras.optimizers.Adam(0.01),
        class_weight={i: 1.0 + i for i in range(10)},
    ).fit(X, y)


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.skmnist"
    fitted.save(path)
    return path


@pytest.fixture(scope="module")
def loaded(saved):
    return KerasMLPClassifier.load(saved)


def back(value):
    return from_json(json.loads(json.dumps(to_json(value))))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        0.1,
        1e-300,
        "text",
        "Größe",
        [1, [2, None]],
        (1, ("a", 2.5)),
        (),
        {1: "int key", "1": "str key", (2, 3): "tuple key", True and 2: None},
        {"tuple": [1], "array": 2, "dict": 3},
        {"nested": {"params": (1, [2, {3: (4,)}])}},
    ],
    ids=str,
)
def test_plain_values_come_back_equal_and_of_the_same_type(value):
    assert repr(back(value)) == repr(value)


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a", "longer"]),
        np.array([True, False]),
        np.array([-3, 7]),
        np.array([1, 2], dtype=np.uint8),
        np.array([0.1, np.inf]),
        np.array([0.1], dtype=np.float32),
        np.array(["a", 1, None], dtype=object),
        np.array([[1, 2], [3, 4]]),
        np.array([], dtype=np.int64),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays_come_back_equal_and_of_the_same_type(array):
    again = back({"nested": [array]})["nested"][0]
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)


def test_nan_comes_back():
    assert np.isnan(back([np.nan])[0])


@pytest.mark.parametrize("value", [np.int64(3), np.float32(0.5), np.bool_(True)])
def test_numpy_scalars_come_back_as_python_values(value):
    assert back(value) == value and not isinstance(back(value), np.generic)


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), len])
def test_other_values_are_refused_by_name(value):
    with pytest.raises(TypeError) as error:
        to_json({"params": [value]})
    assert repr(value) in str(error.value)


def test_the_loaded_classifier_predicts_the_same(digits, fitted, loaded):
    X, _ = digits
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


def test_the_loaded_classifier_has_the_same_parameters(fitted, loaded):
    expected, params = fitted.get_params(), loaded.get_params()
    ours, theirs = expected.pop("optimizer"), params.pop("optimizer")
    assert params == expected
    assert ours.get_config() == theirs.get_config()


def test_the_loaded_classifier_has_the_same_learned_attributes(fitted, loaded):
    names = {n for n in vars(fitted) if n.endswith("_") and n != "keras_classifier_"}
    assert names <= set(vars(loaded))
    for name in names:
        np.testing.assert_equal(getattr(loaded, name), getattr(fitted, name))


# The moments of the optimizer are saved, too. Without them, the next epoch would take
# other steps.
def test_training_goes_on_as_if_nothing_had_been_saved(digits, saved, fitted):
    X, y = digits
    kept, loaded = copy.deepcopy(fitted), KerasMLPClassifier.load(saved)
    kept.partial_fit(X, y)
    loaded.partial_fit(X, y)
    for a, b in zip(kept.coefs_, loaded.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert loaded.loss_curve_ == kept.loss_curve_


def test_random_layers_and_normalizations_go_on_too(digits, tmp_path):
    X, y = digits
    kept = KerasMLPClassifier(
        1,
        16,
        epochs=1,
        batch_size=32,
        dropout=0.5,
        batch_normalization=True,
        random_state=0,
    ).fit(X, y)
    kept.save(tmp_path / "model")
    loaded = KerasMLPClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(X), kept.predict_proba(X))
    kept.partial_fit(X, y)
    loaded.partial_fit(X, y)
    np.testing.assert_array_equal(loaded.predict_proba(X), kept.predict_proba(X))


# The saved classifier had no validation curves; now there are some.
def test_a_loaded_classifier_can_be_validated_as_it_goes_on(digits, saved):
    X, y = digits
    loaded = KerasMLPClassifier.load(saved).set_params(warm_start=True, epochs=1)
    loaded.fit(X, y, X_val=X, y_val=y)
    np.testing.assert_equal(loaded.validation_scores_[:2], [np.nan, np.nan])
    assert loaded.best_validation_score_ == loaded.validation_scores_[2]


def test_labels_of_type_object_come_back(digits, tmp_path):
    X, y = digits
    labels = np.array([f"digit {i}" for i in y], dtype=object)
    classifier = KerasMLPClassifier(1, 16, epochs=1, batch_size=32, random_state=0)
    classifier.fit(X, labels).save(tmp_path / "model")
    loaded = KerasMLPClassifier.load(tmp_path / "model")
    assert loaded.classes_.dtype == object
    np.testing.assert_array_equal(loaded.predict(X), classifier.predict(X))


def test_an_archive_holds_only_json_and_plain_arrays(saved):
    with zipfile.ZipFile(saved) as archive:
        assert {name.rsplit(".")[-1] for name in archive.namelist()} == {"json", "npy"}
        for name in archive.namelist():
            if name.endswith(".npy"):
                with archive.open(name) as file:
                    assert np.load(file, allow_pickle=False).dtype != object


def one_line(error):
    return "\n" not in str(error.value)


@pytest.mark.parametrize("length", [0, 1, 100, 0.5, 0.99, -1])
def test_a_truncated_file_is_named_as_damaged(saved, tmp_path, length):
    whole = saved.read_bytes()
    length = int(length * len(whole)) if 0 < length < 1 else length
    path = tmp_path / "model"
    path.write_bytes(whole[:length])
    with pytest.raises(ModelFileError, match=str(path)) as error:
        KerasMLPClassifier.load(path)
    assert one_line(error)


# Some bytes of a zip archive, such as time stamps, are not used. So a flipped bit is
# either found, or it changes nothing.
def test_a_flipped_bit_is_found_or_harmless(saved, tmp_path):
    whole = saved.read_bytes()
    _, expected = read_archive(saved)
    path = tmp_path / "model"
    found = 0
    for position in range(0, len(whole), len(whole) // 200):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            _, arrays = read_archive(path)
        except ModelFileError:
            found += 1
        else:
            for a, b in zip(arrays, expected, strict=True):
                np.testing.assert_array_equal(a, b)
    assert found > 100


def foreign_text(path):
    path.write_text("not a zip archive")


def foreign_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<xml/>")


def foreign_json(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("description.json", json.dumps(["something", "else"]))


def foreign_format(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("description.json", json.dumps({"format": "else"}))


@pytest.mark.parametrize(
    "write", [foreign_text, foreign_zip, foreign_json, foreign_format]
)
def test_a_foreign_file_is_said_to_be_no_classifier(tmp_path, write):
    path = tmp_path / "model"
    write(path)
    with pytest.raises(ModelFileError, match="not a saved skmnist classifier") as error:
        KerasMLPClassifier.load(path)
    assert one_line(error)


def test_a_newer_format_is_said_to_be_newer(tmp_path):
    path = tmp_path / "model"
    header = {"format": FORMAT, "version": VERSION + 1, "content": {}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("description.json", json.dumps(header))
    with pytest.raises(ModelFileError, match="newer skmnist") as error:
        KerasMLPClassifier.load(path)
    assert one_line(error)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda description, arrays: description.pop("params"),
        lambda description, arrays: description.pop("spec"),
        lambda description, arrays: description["params"].update(unknown=1),
        lambda description, arrays: description["spec"]["network"].update(widths=[7]),
        lambda description, arrays: description["learned"].pop("history_"),
        lambda description, arrays: arrays.pop(),
    ],
    ids=["no params", "no spec", "unknown", "other shape", "no history", "no array"],
)
def test_contents_that_do_not_fit_are_named_as_damaged(saved, tmp_path, spoil):
    description, arrays = read_archive(saved)
    spoil(description, arrays)
    write_archive(tmp_path / "model", description, arrays)
    with pytest.raises(ModelFileError, match="damaged") as error:
        KerasMLPClassifier.load(tmp_path / "model")
    assert one_line(error)


# Anyone can write a file. Loading must not import and call what it names, even if the
# file is accepted.
@pytest.mark.parametrize("place", ["params", "spec"])
def test_loading_runs_nothing_that_a_file_names(saved, tmp_path, place):
    description, arrays = read_archive(saved)
    evil = {
        "module": "os",
        "class_name": "mkdir",
        "config": {"path": str(tmp_path / "made")},
        "registered_name": None,
    }
    home = description["params"] if place == "params" else description["spec"]
    (home if place == "params" else home["optimizer"])["optimizer"] = evil
    write_archive(tmp_path / "model", description, arrays)
    with contextlib.suppress(ModelFileError):
        KerasMLPClassifier.load(tmp_path / "model")
    assert not (tmp_path / "made").exists()


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        KerasMLPClassifier.load(tmp_path / "nowhere")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    fitted, tmp_path, monkeypatch
):
    path = tmp_path / "model"
    path.write_text("the old file")

    def full_disk(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "save", full_disk)
    with pytest.raises(OSError, match="no space"):
        fitted.save(path)
    assert os.listdir(tmp_path) == ["model"]
    assert path.read_text() == "the old file"


def test_saving_replaces_an_old_file(digits, fitted, tmp_path):
    path = tmp_path / "model"
    path.write_text("the old file")
    fitted.save(path)
    assert os.listdir(tmp_path) == ["model"]
    assert KerasMLPClassifier.load(path).n_iter_ == fitted.n_iter_


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("callbacks", [keras.callbacks.TerminateOnNaN()]),
        ("random_state", np.random.RandomState(0)),
    ],
)
def test_a_parameter_that_is_no_plain_data_is_named(fitted, tmp_path, name, value):
    classifier = copy.deepcopy(fitted).set_params(**{name: value})
    with pytest.raises(TypeError, match=f"'{name}' cannot be saved"):
        classifier.save(tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_an_unfitted_classifier_cannot_be_saved(tmp_path):
    with pytest.raises(ValueError, match="not fitted"):
        KerasMLPClassifier().save(tmp_path / "model")
