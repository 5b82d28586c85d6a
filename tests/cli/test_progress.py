"""Progress of searches and fits: bars drawn into a text, and plain lines."""

import io
import pickle
import re
import threading

import numpy as np
import pytest
import racing
from rich.console import Console
from sklearn.datasets import load_digits, load_iris
from sklearn.tree import DecisionTreeClassifier

from skmnist import KerasMLPClassifier, Race, Stage, StagedSearchCV
from skmnist._compat import close_listener, open_listener
from skmnist.cli._progress import (
    FitBar,
    FitCallback,
    FitLines,
    SearchBars,
    SearchCallback,
    SearchLines,
    fit_progress,
    search_progress,
)
from skmnist.model_selection import SearchProgress

# One program serves all fits: they differ in numbers only.
SMALL = {"depth": 0, "learning_rate_schedule": "constant", "random_state": 0}


@pytest.fixture(scope="module")
def drawn():
    """What a search of two stages draws."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    X, y = load_digits(return_X_y=True)
    search = StagedSearchCV(
        KerasMLPClassifier(**SMALL, epochs=3),
        [
            Stage("rate", {"learning_rate": [0.01, 0.1]}),
            Stage("batch", {"batch_size": [32]}),
        ],
        cv=2,
    )
    search.set_callbacks(SearchBars(console)).fit(X[:200], y[:200])
    codes = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
    return codes.sub("", screen.getvalue()).replace("\r", "\n")


@pytest.mark.parametrize("bar", ["stages", "stage rate", "stage batch", "epochs"])
def test_there_is_a_bar_for_each_level(drawn, bar):
    assert re.search(rf"^{bar} ", drawn, re.MULTILINE)


def test_bars_count_what_there_is_to_do(drawn):
    # Two stages; four fits in the first, and in the second those of its candidate
    # and of the incumbent; three epochs a fit.
    totals = {
        bar: set(re.findall(rf"^{bar} .*?\d+/(\d+)", drawn, re.MULTILINE))
        for bar in ("stages", "stage rate", "stage batch", "epochs")
    }
    assert totals == {
        "stages": {"2"},
        "stage rate": {"4"},
        "stage batch": {"4"},
        "epochs": {"3"},
    }


def test_a_tick_without_a_listener_is_dropped():
    progress = SearchBars(Console(file=io.StringIO()))
    progress._handle = open_listener(lambda event: None)
    close_listener(progress._handle)
    # In another process the listener would be looked for and not be found.
    pickle.loads(pickle.dumps(progress))._send("tick", "epochs")


def test_the_copy_for_a_worker_has_no_screen():
    copy = pickle.loads(pickle.dumps(SearchBars(Console(file=io.StringIO()))))
    assert set(vars(copy)) == {"_handle"}


# Plain lines


class Clock:
    """A clock that goes forward by some seconds each time it is read."""

    def __init__(self, step):
        self.step, self.now = step, 0

    def __call__(self):
        self.now += self.step
        return self.now


def test_lines_of_a_search():
    X, y = load_digits(return_X_y=True)
    search = StagedSearchCV(
        KerasMLPClassifier(**SMALL, epochs=1, early_stopping=True),
        [
            Stage("rate", {"learning_rate": [0.01, 0.1]}),
            Stage("batch", {"batch_size": [32]}),
        ],
        cv=2,
    )
    lines = []
    search.set_callbacks(SearchLines(lines.append, 0, Clock(2))).fit(X[:200], y[:200])
    # Two stages of four fits each: the second has the incumbent, too. Each line is
    # about as many as are done; the clock is not read in between.
    starts = [line.split(" fits, ")[0] for line in lines]
    assert starts == [
        *(f"stage rate (1 of 2): {n} of 4" for n in (1, 2, 3, 4)),
        *(f"stage batch (2 of 2): {n} of 4" for n in (1, 2, 3, 4)),
    ]
    bests = [line.split("so far ")[1] for line in lines if "so far" in line]
    means = [f"{100 * mean:.2f} %" for mean in search.cv_results_["mean_test_score"]]
    assert bests and set(bests) <= set(means)
    assert lines[3].split(", ")[1] == "0 s left in it"


class Told(SearchCallback):
    """Keeps the best scores that the search tells."""

    max_propagation_depth = 0

    def __init__(self):
        super().__init__()
        self.bests = []

    def _score(self, score):
        self.bests.append(score)


def test_the_best_is_the_mean_of_the_scores_that_judge():
    X, y = load_iris(return_X_y=True)
    told = Told()
    search = StagedSearchCV(
        DecisionTreeClassifier(random_state=0),
        [
            Stage("depth", {"max_depth": [2, 1, 3]}),
            Stage("leaves", {"min_samples_leaf": [1, 60]}),
        ],
        cv=3,
    )
    search.set_callbacks(told).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) > 2
    rising = [s for i, s in enumerate(scores) if i == 0 or s > max(scores[:i])]
    assert told.bests == pytest.approx(rising)


@pytest.mark.parametrize("cv", [5, racing.ONE_SPLIT], ids=["five", "one"])
def test_the_best_of_a_race_is_the_leader(cv):
    told = Told()
    search = racing.search(cv=cv).set_callbacks(told).fit(racing.X, racing.Y)
    table = search.cv_results_
    n = table["race_replicates"]
    splits = [table[f"split{r}_test_score"] for r in range(max(n))]
    scores = np.array(splits).T
    # After each look, the highest mean of those that have run all replicates so far.
    looks = range(Race().min_replicates, max(n) + 1)
    leaders = [max(scores[n >= r, :r].mean(axis=1)) for r in looks]
    assert told.bests
    assert all(min(abs(best - np.array(leaders))) < 1e-12 for best in told.bests)
    assert told.bests[-1] == pytest.approx(max(scores[n == max(n), : max(n)].mean(1)))


def test_the_best_of_a_loss_is_written_as_it_is():
    lines = SearchLines(print, 0, Clock(1))
    lines.setup(None, None)
    lines._receive(("begin", "candidates", "stage", 2))
    lines._done["candidates"] = 1
    lines.on_best_score(-0.25)
    assert lines._line().endswith(", best so far -0.25")
    lines.on_best_score(0.975)
    assert lines._line().endswith(", best so far 97.50 %")
    lines.teardown(None, None)


def test_progress_in_a_notebook_is_plain_lines(capsys):
    X, y = load_iris(return_X_y=True)
    stages = [Stage("depth", {"max_depth": [1, 3]}), Stage("b\x1b", {"ccp_alpha": [0]})]
    search = StagedSearchCV(DecisionTreeClassifier(random_state=0), stages)
    search.set_callbacks(SearchProgress(interval=0)).fit(X, y)
    out = capsys.readouterr().out
    assert "\r" not in out and "\x1b" not in out
    first, second = [line for line in out.splitlines() if " chose " in line]
    assert first == (
        f"stage depth (1 of 2) chose max_depth=3: {search.stages_[0].reason}"
    )
    assert "stage depth (1 of 2): 10 of 10 fits, 0 s left in it" in out
    assert second.startswith(r"stage b\x1b (2 of 2) chose ccp_alpha=0: ")


def test_lines_of_a_search_are_few():
    X, y = load_digits(return_X_y=True)
    search = StagedSearchCV(
        KerasMLPClassifier(**SMALL, epochs=1),
        [Stage("rate", {"learning_rate": [0.001, 0.01, 0.1, 1.0]})],
        cv=2,
    )
    lines = []
    # Not a second passes by the clock.
    search.set_callbacks(SearchLines(lines.append, 10, Clock(0))).fit(X[:200], y[:200])
    assert lines == []


def fit_of_epochs(callback, n_epochs):
    X, y = load_digits(return_X_y=True)
    classifier = KerasMLPClassifier(**SMALL, epochs=n_epochs)
    classifier.set_callbacks(callback).fit(X[:100], y[:100])


def test_lines_of_a_fit():
    seconds = iter([0, 4, 12, 13, 30, 40])
    lines = []
    fit_of_epochs(FitLines(lines.append, 10, lambda: next(seconds)), 5)
    # After 12 s two of five epochs are done; after 30 s four; the last needs no line.
    assert lines == ["epoch 2 of 5, 18 s left", "epoch 4 of 5, 8 s left"]


def test_epochs_are_counted():
    class Counter(FitCallback):
        shown = []

        def _show(self, done):
            self.shown.append((done, self._total))

    fit_of_epochs(Counter(), 3)
    assert Counter.shown == [(1, 3), (2, 3), (3, 3)]


def test_a_bar_of_a_fit():
    screen = io.StringIO()
    fit_of_epochs(FitBar(Console(file=screen, force_terminal=True, width=80)), 3)
    assert "epochs" in screen.getvalue() and "100%" in screen.getvalue()


def test_events_of_several_workers_are_counted_one_at_a_time():
    lines = SearchLines(lambda line: None)
    lines.setup(None, None)
    lines._receive(("begin", "candidates", "stage", 4000))
    threads = [
        threading.Thread(
            target=lambda: [lines._receive(("tick", "candidates")) for _ in range(1000)]
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines.teardown(None, None)
    assert lines._done["candidates"] == 4000


def test_quiet_shows_nothing_and_a_log_gets_lines():
    assert search_progress(Console(quiet=True)) == []
    assert fit_progress(quiet=True) == []
    (of_a_search,), (of_a_fit,) = search_progress(Console()), fit_progress(quiet=False)
    assert isinstance(of_a_search, SearchLines)
    assert isinstance(of_a_fit, FitLines)


def test_bars_are_drawn_where_the_tables_are():
    screen = Console(force_terminal=True)
    (bars,) = search_progress(screen)
    assert isinstance(bars, SearchBars)
    assert bars._console is screen
