"""The bars of a study, drawn into a text instead of a terminal."""

import io
import pickle
import re

import pytest
from rich.console import Console
from sklearn.datasets import load_digits

from skmnist import KerasMLPClassifier, Stage, StagedSearchCV
from skmnist._compat import close_listener, open_listener
from skmnist.cli._progress import StudyProgress


@pytest.fixture(scope="module")
def drawn():
    """What a search of two stages draws."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    X, y = load_digits(return_X_y=True)
    search = StagedSearchCV(
        KerasMLPClassifier(depth=1, epochs=3, random_state=0),
        [
            Stage("width", {"widths": [8, 16]}),
            Stage("batch", {"batch_size": [32]}),
        ],
        cv=2,
    )
    search.set_callbacks(StudyProgress(console)).fit(X[:200], y[:200])
    codes = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
    return codes.sub("", screen.getvalue()).replace("\r", "\n")


@pytest.mark.parametrize("bar", ["stages", "stage width", "stage batch", "epochs"])
def test_there_is_a_bar_for_each_level(drawn, bar):
    assert re.search(rf"^{bar} ", drawn, re.MULTILINE)


def test_bars_count_what_there_is_to_do(drawn):
    # Two stages; four fits in the first, and in the second those of its candidate
    # and of the incumbent; three epochs a fit.
    totals = {
        bar: set(re.findall(rf"^{bar} .*?\d+/(\d+)", drawn, re.MULTILINE))
        for bar in ("stages", "stage width", "stage batch", "epochs")
    }
    assert totals == {
        "stages": {"2"},
        "stage width": {"4"},
        "stage batch": {"4"},
        "epochs": {"3"},
    }


def test_a_tick_without_a_listener_is_dropped():
    progress = StudyProgress(Console(file=io.StringIO()))
    progress._handle = open_listener(lambda event: None)
    close_listener(progress._handle)
    # In another process the listener would be looked for and not be found.
    pickle.loads(pickle.dumps(progress))._send("tick", "epochs", None, None)


def test_the_copy_for_a_worker_has_no_screen():
    copy = pickle.loads(pickle.dumps(StudyProgress(Console(file=io.StringIO()))))
    assert set(vars(copy)) == {"_handle"}
