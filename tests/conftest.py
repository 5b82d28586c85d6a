"""What all tests share: a quiet TensorFlow, few threads, small real data."""

import contextlib
import gc
import os
import shutil
import subprocess
import uuid
from pathlib import Path

import psutil
import pytest
from processes import Cluster, processes_of, study_command, study_environment

# Nothing that is loaded while tests are collected is garbage; see the last function.
gc.disable()
# Before TensorFlow is imported anywhere, here or in a worker process.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# With it the scikit-learn checks that need array API support run, not skip; SciPy
# reads it once.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# Processes that test side by side share the cores: one thread for each of them.
if "PYTEST_XDIST_WORKER" in os.environ:
    for library in ("TF_NUM_INTRAOP", "OMP_NUM", "OPENBLAS_NUM"):
        os.environ.setdefault(f"{library}_THREADS", "1")


BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser():
    """A real browser without a window, or a skip that says why."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def by_tensorflow(monkeypatch):
    """Let TensorFlow train the small networks that NumPy would train."""
    from skmnist.neural_network import _training

    monkeypatch.setattr(_training, "trains_as_arrays", lambda *_: False)


@pytest.fixture(scope="session")
def mnist_home():
    """The folder with the real MNIST files, or a skip that says why."""
    home = os.environ.get("SKMNIST_DATA")
    if not home or not Path(home).is_dir():
        pytest.skip("SKMNIST_DATA names no folder with the MNIST files")
    return Path(home)


def made_once(tmp_path_factory, name, make):
    """Return the path of what is made once for all processes that test side by side."""
    import fcntl  # not on Windows

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    path = folder / name
    with open(folder / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            make(folder / f"{name}.part")
            os.rename(folder / f"{name}.part", path)
    return path


@pytest.fixture(scope="session")
def mnist_classifier(mnist_home, tmp_path_factory):
    """A classifier that is good enough to tell what it is shown."""
    from skmnist import KerasMLPClassifier, fetch_mnist

    def make(path):
        mnist = fetch_mnist(mnist_home, download_if_missing=False)
        # A third of the training data.
        X, y = mnist.data[mnist.train][::3], mnist.target[mnist.train][::3]
        classifier = KerasMLPClassifier(widths=256, epochs=6, random_state=0)
        classifier.fit(X, y).save(path)

    return KerasMLPClassifier.load(made_once(tmp_path_factory, "mnist.skmnist", make))


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory):
    """A finished study of 15 candidates on the bundled digits, as quick as can be.

    Its fits have one thread, as everywhere where two of them run side by side.
    """
    out = tmp_path_factory.mktemp("finished") / "study"
    subprocess.run(study_command(out), env=study_environment(), check=True)
    return out


@pytest.fixture
def mark():
    """A mark for the processes of a test; none of them outlives it."""
    mark = uuid.uuid4().hex
    yield mark
    for process in processes_of(mark):
        with contextlib.suppress(psutil.Error):
            process.kill()


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory):
    """A Dask cluster of two workers, for tests that leave it so.

    As elsewhere nobody has told its TensorFlow to be quiet.
    """
    pytest.importorskip("distributed")
    spoken = {"TF_CPP_MIN_LOG_LEVEL": None}
    cluster = Cluster(tmp_path_factory.mktemp("dask"), environment=spoken)
    try:
        for name in ("one", "two"):
            cluster.add_worker(name)
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory):
    """The folder of a finished study of the bundled digits: two stages, seven fits."""
    from skmnist import Stage, smallest, within_gap
    from skmnist.study import PRESETS, StudyConfig, run_study

    shapes = {"depth": [1, 2], "widths": [8, 16]}
    batches = {"batch_size": [32, 128]}
    stages = [
        Stage("shape", shapes, rule=within_gap(0.01)),
        Stage("batch_size", batches, rule=smallest("batch_size", tolerance=1.0)),
    ]
    out = tmp_path_factory.mktemp("shown") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "tiny-shown", lambda: stages)
        make_baselines_small(patch)
        run_study(StudyConfig(dataset="digits", preset="tiny-shown", epochs=3), out)
    return out


def make_baselines_small(patch):
    """Let the baselines of studies be small networks, which train in no time."""
    from sklearn.neural_network import MLPClassifier

    from skmnist import KerasMLPClassifier
    from skmnist.study import _baselines

    small = {
        "KerasMLPClassifier()": lambda seed: KerasMLPClassifier(
            widths=8, epochs=2, random_state=seed
        ),
        "MLPClassifier()": lambda seed: MLPClassifier(8, max_iter=2, random_state=seed),
    }
    patch.setattr(_baselines, "BASELINES", small)


@pytest.fixture
def small_baselines(monkeypatch):
    """Baselines of studies that train in no time."""
    make_baselines_small(monkeypatch)


# The files that take more than ten seconds, the longest first. What is not named here
# comes later: that costs a while at the end, in which one of two processes waits.
LONGEST = (
    *("test_faults.py", "test_examples.py", "test_sklearn_checks.py", "test_dask.py"),
    *("test_interrupted.py", "test_epochs.py", "test_digit.py", "test_study_page.py"),
    *("test_drawing_in_browser.py", "test_cli.py", "test_damage.py", "test_docs.py"),
    *("test_search_methods.py", "test_with_sklearn.py", "test_model.py"),
    *("test_defaults.py", "test_typing.py", "test_classifier.py", "test_sparse.py"),
    *("test_keras.py", "test_accuracy_page.py", "test_findings.py", "test_screen.py"),
    *("test_model_file.py", "test_depth.py", "test_executors.py", "test_search.py"),
    *("test_lanes.py", "test_lane_processes.py"),
    *("test_options.py", "test_odd_files.py", "test_streams.py", "test_own.py"),
    *("test_export.py", "test_presets.py", "test_loaders.py", "test_cache.py"),
    *("test_run.py", "test_augmentation.py", "test_evaluation.py", "test_html.py"),
    *("test_html_in_browser.py", "test_portability.py", "test_tensorboard.py"),
    *("test_defaults_page.py", "test_distribution.py"),
)


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, so that two processes end together."""
    slow = {
        item.path.name
        for item in items
        if item.get_closest_marker("slow") or item.get_closest_marker("long")
    }
    order = dict.fromkeys([*LONGEST, *sorted(slow)])
    order = {name: i for i, name in enumerate(order)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop():
    """Count what is loaded by now as there for ever.

    TensorFlow is more than a million objects. To look through them again and again for
    garbage takes time, and has each fork copy them.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
