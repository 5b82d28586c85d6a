"""Kept fits equal trained fits, are not trained twice, and are never mixed up."""

import errno
import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import keras
import numpy as np
import pytest
from processes import leave_half_a_file
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skmnist import KerasMLPClassifier, Stage, StagedSearchCV
from skmnist._archive import read_archive
from skmnist._io import atomic_write, write_archive
from skmnist.neural_network import _training
from skmnist.neural_network._cache import FOLDER, FitCache, digest, fit_key
from skmnist.neural_network._persistence import OF_THE_DATA, take_apart


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X[:300] / 16).astype(np.float32), y[:300]


def classifier(memory=None, **params):
    # Programs of a schedule are made for one number of updates.
    defaults = {"depth": 1, "widths": 8, "learning_rate_schedule": "constant"}
    defaults |= {"epochs": 2, "random_state": 0}
    return KerasMLPClassifier(**{**defaults, **params}, memory=memory)


def files(folder):
    return sorted((folder / FOLDER).rglob("*.skmnist"))


@pytest.fixture
def no_training(monkeypatch):
    """Make every training fail from now on."""

    def forbid():
        def train(*args, **kwargs):
            raise AssertionError("trained again")

        monkeypatch.setattr(_training, "_run_epochs", train)

    return forbid


# ---- a kept fit is the fit ---------------------------------------------------------


def test_the_same_fit_is_not_trained_again(digits, tmp_path, no_training):
    trained = classifier(tmp_path).fit(*digits)
    no_training()
    kept = classifier(tmp_path).fit(*digits)
    X = digits[0]
    np.testing.assert_array_equal(kept.predict_proba(X), trained.predict_proba(X))


def test_a_kept_fit_has_all_that_was_learned(digits, tmp_path, no_training):
    settings = {"early_stopping": True, "epochs": 4, "dropout": 0.2}
    trained = classifier(tmp_path, **settings).fit(*digits)
    no_training()
    kept = classifier(tmp_path, **settings).fit(*digits)
    learned = {n: v for n, v in vars(trained).items() if n.endswith("_")}
    assert learned.keys() == {n for n in vars(kept) if n.endswith("_")}
    for name in learned.keys() - {"classes_"}:
        assert getattr(kept, name) == learned[name], name
    np.testing.assert_array_equal(kept.classes_, trained.classes_)


def test_training_goes_on_from_a_kept_fit(digits, tmp_path):
    at_once = classifier(tmp_path, optimizer="adam").fit(*digits).partial_fit(*digits)
    kept = classifier(tmp_path, optimizer="adam").fit(*digits).partial_fit(*digits)
    for a, b in zip(at_once.coefs_, kept.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_memory_changes_no_result(digits, tmp_path):
    with_memory = classifier(tmp_path).fit(*digits)
    without = classifier().fit(*digits)
    for a, b in zip(with_memory.coefs_, without.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_search_is_repeated_from_what_is_kept(digits, tmp_path, no_training):
    def search():
        grid = {"learning_rate": [0.001, 0.01], "activations": ["relu", "tanh"]}
        return GridSearchCV(classifier(tmp_path), grid, cv=2).fit(*digits)

    first = search()
    no_training()
    second = search()
    assert len(files(tmp_path)) == 4 * 2 + 1
    for name in ("split0_test_score", "split1_test_score", "mean_test_score"):
        np.testing.assert_array_equal(first.cv_results_[name], second.cv_results_[name])


@pytest.mark.parametrize(
    "memory",
    [str, lambda path: path, lambda path: joblib.Memory(path, verbose=0)],
    ids=["str", "path", "joblib.Memory"],
)
def test_memory_is_what_a_pipeline_takes(digits, tmp_path, no_training, memory):
    classifier(memory(tmp_path)).fit(*digits)
    no_training()
    classifier(memory(tmp_path)).fit(*digits)


def test_a_memory_without_a_place_keeps_nothing(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classifier(joblib.Memory(None)).fit(*digits)
    assert not list(tmp_path.iterdir())


# ---- in a staged search ------------------------------------------------------------


STAGES = [
    Stage("rate", {"learning_rate": [0.001, 0.01]}),
    Stage("width", {"widths": [8, 12]}),
]


def test_a_staged_search_is_repeated_from_what_is_kept(digits, tmp_path, no_training):
    def search():
        search = StagedSearchCV(classifier(), STAGES, cv=2, memory=tmp_path)
        return search.fit(*digits)

    first = search()
    no_training()
    second = search()
    np.testing.assert_array_equal(
        first.cv_results_["mean_test_score"], second.cv_results_["mean_test_score"]
    )
    assert second.best_params_ == first.best_params_
    assert second.memory == tmp_path
    assert second.estimator.memory is None


# The second stage tries the winner of the first stage again.
def test_a_staged_search_does_not_train_its_incumbent_again(digits, tmp_path):
    StagedSearchCV(classifier(), STAGES, cv=2, memory=tmp_path, refit=False).fit(
        *digits
    )
    assert len(files(tmp_path)) == (2 + 1) * 2


def test_a_staged_search_of_a_pipeline_keeps_its_fits(digits, tmp_path):
    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", classifier())])
    stages = [Stage("rate", {"mlp__learning_rate": [0.001, 0.01]})]
    search = StagedSearchCV(pipeline, stages, cv=2, memory=tmp_path).fit(*digits)
    assert len(files(tmp_path)) == 2 * 2 + 1
    assert search.best_estimator_["mlp"].memory == tmp_path
    assert pipeline["mlp"].memory is None


def test_a_staged_search_of_another_estimator_refuses_memory(digits, tmp_path):
    stages = [Stage("depth", {"max_depth": [1, 2]})]
    search = StagedSearchCV(DecisionTreeClassifier(), stages, memory=tmp_path)
    with pytest.raises(ValueError, match="there is none in DecisionTreeClassifier"):
        search.fit(*digits)


# ---- what makes another fit --------------------------------------------------------


# test_parameters.py tests which parameters make another fit.
def test_other_data_are_another_fit(digits, tmp_path):
    X, y = digits
    weights = np.ones(len(y))
    changed = X.copy()
    changed[7, 3] += 1e-6
    relabelled = np.where(y == 9, 8, y)
    relabelled[0] = 9
    classifier(tmp_path).fit(X, y)
    classifier(tmp_path).fit(changed, y)
    classifier(tmp_path).fit(X.astype(np.float64), y)
    classifier(tmp_path).fit(X, relabelled)
    classifier(tmp_path).fit(X, y, sample_weight=weights * 2)
    classifier(tmp_path).fit(X, y, X_val=X[:9], y_val=y[:9])
    classifier(tmp_path).fit(X, y, X_val=X[:9], y_val=y[1:10])
    assert len(files(tmp_path)) == 7


def test_labels_are_part_of_a_fit(digits, tmp_path):
    X, y = digits
    classifier(tmp_path).fit(X, y)
    named = classifier(tmp_path).fit(X, np.array(list("abcdefghij"))[y])
    assert len(files(tmp_path)) == 2
    assert set(named.predict(X)) <= set("abcdefghij")


# Sums in another order have other last bits.
def test_threads_are_part_of_a_fit():
    assert fit_key({}, [], n_threads=1) != fit_key({}, [], n_threads=2)


def test_versions_are_part_of_a_fit(monkeypatch):
    before = fit_key({}, [], n_threads=1)
    monkeypatch.setattr("skmnist._versions.version", lambda package: "0.0")
    assert fit_key({}, [], n_threads=1) != before


def test_a_digest_is_of_the_content_not_of_its_order_in_memory():
    array = np.arange(12.0).reshape(3, 4)
    assert digest(array) == digest(np.asfortranarray(array))
    assert digest(array) == digest(np.repeat(array, 2, axis=0)[::2])
    assert digest(array) != digest(array.reshape(4, 3))
    assert digest(array) != digest(array.view(np.int64))


def test_names_of_features_are_those_of_each_fit(digits, tmp_path):
    pandas = pytest.importorskip("pandas")
    X, y = digits
    named = pandas.DataFrame(X, columns=[f"pixel {i}" for i in range(X.shape[1])])
    assert classifier(tmp_path).fit(named, y).feature_names_in_[3] == "pixel 3"
    assert not hasattr(classifier(tmp_path).fit(X, y), "feature_names_in_")
    assert hasattr(classifier(tmp_path).fit(named, y), "feature_names_in_")
    assert len(files(tmp_path)) == 1


# ---- what is not kept --------------------------------------------------------------


def test_a_fit_that_never_comes_again_is_not_kept(digits, tmp_path):
    with pytest.warns(UserWarning, match="random_state is an int"):
        classifier(tmp_path, random_state=None).fit(*digits)
    assert not files(tmp_path)


def test_a_fit_with_the_callers_callbacks_is_not_kept(digits, tmp_path):
    seen = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(1))
    # Each fit works on a copy, which shares the list.
    for _ in range(2):
        classifier(tmp_path, callbacks=[callback]).fit(*digits)
    assert not files(tmp_path)


def test_fits_that_go_on_are_not_kept(digits, tmp_path):
    warm = classifier(tmp_path, warm_start=True).fit(*digits)
    assert len(files(tmp_path)) == 1
    warm.fit(*digits)
    warm.partial_fit(*digits)
    assert len(files(tmp_path)) == 1


def test_callbacks_of_scikit_learn_bear_a_kept_fit(digits, tmp_path):
    classifier(tmp_path).fit(*digits)
    monitor = ScoringMonitor(scoring="accuracy")
    kept = classifier(tmp_path).set_callbacks(monitor).fit(*digits)
    assert kept.n_iter_ == 2


def test_a_saved_classifier_leaves_its_memory_behind(digits, tmp_path):
    classifier(tmp_path).fit(*digits).save(tmp_path / "model")
    assert KerasMLPClassifier.load(tmp_path / "model").memory is None


# ---- many writers -----------------------------------------------------------------


def write_and_read(folder, fits, spec):
    """Keep and read fits in turn; whatever is warned of is an error."""
    warnings.simplefilter("error")
    for _ in range(3):
        for key, described, arrays in fits:
            FitCache(folder).write(key, described, arrays)
            kept, weights = FitCache(folder).read(key, spec)
            assert kept["key"] == key
            for a, b in zip(weights, arrays, strict=True):
                np.testing.assert_array_equal(a, b)


def fork(function, *args):
    """Call a function in a forked process, which ends with 0 if all is well."""
    if child := os.fork():
        return child
    status = 1
    try:
        function(*args)
        status = 0
    finally:
        os._exit(status)


def in_threads(function, *args):
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(function, *args) for _ in range(8)]:
            done.result()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a process that forks")
def test_threads_and_processes_of_equal_numbers_share_a_folder(
    digits, tmp_path, monkeypatch
):
    fitted = classifier().fit(*digits)
    described, arrays = take_apart(fitted, without=OF_THE_DATA)
    fits = [(f"aa{i}", described, [a + i for a in arrays]) for i in range(2)]
    # As in containers of one image, and on machines that are copies.
    monkeypatch.setattr(os, "getpid", lambda: 4242)
    children = [
        fork(in_threads, write_and_read, tmp_path, fits, described["spec"])
        for _ in range(4)
    ]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert [path.name for path in files(tmp_path)] == ["aa0.skmnist", "aa1.skmnist"]
    assert len(list((tmp_path / FOLDER / "aa").iterdir())) == 2


# ---- faults ------------------------------------------------------------------------


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def change_network(path):
    """Exchange a fit for a whole one, of another network."""
    described, arrays = read_archive(path)
    described["spec"]["network"]["activations"] = ["relu"]
    write_archive(path, described, arrays)


def change_key(path):
    described, arrays = read_archive(path)
    write_archive(path, {**described, "key": "0" * 64}, arrays)


def lose_a_key(path):
    described, arrays = read_archive(path)
    del described["learned"]["history_"]
    write_archive(path, described, arrays)


def lose_an_array(path):
    described, arrays = read_archive(path)
    write_archive(path, described, arrays[1:])


def forget_the_curves(path):
    described, arrays = read_archive(path)
    described["learned"].update(history_={}, loss_curve_=[])
    write_archive(path, described, arrays)


def lose_the_numbers(path):
    described, arrays = read_archive(path)
    write_archive(path, described, [a * np.nan for a in arrays])


def make_a_folder(path):
    path.unlink()
    path.mkdir()


def make_a_pipe(path):
    path.unlink()
    os.mkfifo(path)


# All parts of a fit one by one are in test_model_file.py.
DAMAGE = [
    truncate,
    flip_a_bit,
    empty,
    change_network,
    change_key,
    lose_a_key,
    lose_an_array,
    forget_the_curves,
    lose_the_numbers,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_fit_is_trained_again(digits, tmp_path, damage, no_training):
    trained = classifier(tmp_path).fit(*digits)
    (path,) = files(tmp_path)
    damage(path)
    with pytest.warns(UserWarning, match="trained again"):
        again = classifier(tmp_path).fit(*digits)
    np.testing.assert_array_equal(again.coefs_[0], trained.coefs_[0])
    no_training()
    classifier(tmp_path).fit(*digits)


@pytest.mark.parametrize("damage", [make_a_folder, make_a_pipe])
def test_what_is_no_file_costs_warnings(digits, tmp_path, damage):
    classifier(tmp_path).fit(*digits)
    (path,) = files(tmp_path)
    damage(path)
    with (
        pytest.warns(UserWarning, match="trained again: .* is a (folder|pipe)"),
        pytest.warns(UserWarning, match="could not be kept: .* is a (folder|pipe)"),
    ):
        classifier(tmp_path).fit(*digits)


# A fit that is copied over another one would end a search with other results.
def test_a_fit_in_the_place_of_another_is_trained_again(digits, tmp_path):
    first = classifier(tmp_path).fit(*digits)
    (path,) = files(tmp_path)
    content = path.read_bytes()
    wide = classifier(tmp_path, widths=9).fit(*digits)
    (other,) = set(files(tmp_path)) - {path}
    other.write_bytes(content)
    with pytest.warns(UserWarning, match="trained again: .*another fit"):
        again = classifier(tmp_path, widths=9).fit(*digits)
    assert again.coefs_[0].shape == wide.coefs_[0].shape != first.coefs_[0].shape
    np.testing.assert_array_equal(again.coefs_[0], wide.coefs_[0])


def test_a_full_disk_costs_a_warning_and_leaves_nothing(digits, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(UserWarning, match="could not be kept.*No space left"):
        fitted = classifier(tmp_path).fit(*digits)
    assert fitted.n_iter_ == 2
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# A fit sweeps the folder that it writes to.
def test_what_a_killed_process_left_is_removed(digits, tmp_path):
    classifier(tmp_path).fit(*digits)
    (path,) = files(tmp_path)
    path.unlink()
    left = leave_half_a_file(path)
    # A file that this process writes now stays.
    with atomic_write(path.with_name("other"), "wb"):
        (open_one,) = set(path.parent.iterdir()) - {left}
        classifier(tmp_path).fit(*digits)
        assert set(path.parent.iterdir()) == {open_one, path}


def test_a_place_that_is_none_costs_a_warning(digits, tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="could not be kept"):
        classifier(tmp_path / "file").fit(*digits)


def test_a_fit_that_fails_is_not_kept(digits, tmp_path):
    with warnings.catch_warnings(), pytest.raises(FloatingPointError):
        warnings.simplefilter("ignore")
        classifier(tmp_path, optimizer="sgd", learning_rate=1e30).fit(*digits)
    assert not files(tmp_path)
