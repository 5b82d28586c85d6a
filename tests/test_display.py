"""What notebooks show of searches and studies: words, escapes, a look in a browser."""

# SPDX-License-Identifier: BSD-3-Clause

import re
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from browsing import contrasts
from racing import X as RACING_X, Y as RACING_Y, two_stages
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

import skmnist
from skmnist import (
    FitCurveDisplay,
    GapDisplay,
    MisreadDigitsDisplay,
    Stage,
    StagedSearchCV,
    StageScoresDisplay,
)
from skmnist._display import MOST_ROWS, html_table
from skmnist.study import Study, StudyFolderError, read_study

RESULTS = Path(skmnist.__file__).parents[1] / "docs" / "results"
EVIL = "<script>alert('a')</script>\x1b[2J & \"b\""


def words(html):
    """Return the text of a page, without its style and its tags."""
    html = re.sub(r"<(style|script)>.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def a_search(*names):
    grids = [{"max_depth": [1, 3]}, {"min_samples_leaf": [1, 5]}]
    stages = [Stage(name, grid) for name, grid in zip(names, grids, strict=False)]
    return StagedSearchCV(DecisionTreeClassifier(random_state=0), stages)


@pytest.fixture(scope="module")
def fitted():
    return a_search("depth", "leaves").fit(*load_iris(return_X_y=True))


# ---- searches


def test_a_search_shows_stages_winners_and_reasons(fitted):
    shown = words(fitted._repr_html_())
    assert shown == words(fitted._repr_mimebundle_()["text/html"])
    best = f"{100 * fitted.best_score_:.2f} %"
    assert f"2 stages, 4 candidates. Best score: {best} with max_depth=3" in shown
    for stage in fitted.stages_:
        assert stage.name in shown
        assert (
            f"{next(iter(stage.params))}={next(iter(stage.params.values()))}" in shown
        )
        assert stage.reason in shown
    # scikit-learn's diagram is folded away.
    assert "DecisionTreeClassifier" in shown


def test_each_candidate_has_a_row_and_the_winner_says_so(fitted):
    folds = fitted._repr_html_().split("<details>")[1:3]
    for fold, stage in zip(folds, fitted.stages_, strict=True):
        rows = fold.split("<tr")[2:]
        assert len(rows) == len(stage.indices)
        place = stage.indices.index(stage.winner)
        assert ['class="winner"' in row for row in rows].index(True) == place
        assert "chosen" in rows[place]


def test_an_unfitted_search_shows_the_diagram_of_scikit_learn():
    search = a_search("depth")
    assert "skmnist-display" not in search._repr_html_()
    assert "sk-top-container" in search._repr_html_()
    assert "sk-top-container" in search._repr_mimebundle_()["text/html"]


def test_who_wants_text_gets_text(fitted):
    with config_context(display="text"):
        assert not hasattr(fitted, "_repr_html_")
        assert list(fitted._repr_mimebundle_()) == ["text/plain"]


def test_text_from_users_is_escaped():
    search = a_search(EVIL).fit(*load_iris(return_X_y=True))
    search.not_tried_ = [EVIL]
    html = search._repr_html_()
    assert "<script>alert" not in html and "\x1b" not in html
    assert html.count("&lt;script&gt;alert(&#x27;a&#x27;)") >= 3


def test_a_race_shows_who_left_and_after_how_many_replicates():
    search = two_stages().fit(RACING_X, RACING_Y)
    shown = search._repr_html_()
    assert "replicates" in shown and "<td>worse</td>" in shown
    assert search.stages_[0].reason in words(shown)


def test_a_long_table_ends_with_how_many_are_left_out():
    html = html_table(["n"], [[str(i)] for i in range(MOST_ROWS + 7)])
    assert html.count("<tr>") == MOST_ROWS + 2
    assert "and 7 more" in html


# ---- studies


@pytest.fixture(scope="module")
def study():
    return Study.from_folder(RESULTS / "report")


def test_a_study_is_read_from_its_folder(study):
    assert study == read_study(RESULTS / "report")
    assert study.folder == RESULTS / "report"
    with pytest.raises(StudyFolderError, match="holds no study"):
        Study.from_folder(RESULTS)


def test_a_study_shows_stages_winners_reasons_and_the_final_model(study):
    shown = words(study._repr_html_())
    for stage in study.stages:
        assert stage.title in shown
        assert " ".join(stage.reason.split()) in shown
        assert f"{100 * study.winner_of(stage).accuracy:.2f} %" in shown
    assert f"{100 * study.summary.final.test_accuracy:.2f} ±" in shown
    assert "not finished" not in shown


def test_a_study_under_way_says_so(study):
    begun = replace(study, stages=[], rows=[], summary=None)
    assert "not finished: 0 of" in words(begun._repr_html_())
    assert begun.best_params == {}


def test_text_of_a_study_is_escaped(study):
    stages = [replace(one, reason=EVIL, rule=EVIL) for one in study.stages]
    data = replace(study.header.data, name=EVIL)
    header = replace(study.header, data=data)
    html = replace(study, stages=stages, header=header)._repr_html_()
    assert "<script>alert" not in html and "\x1b" not in html
    assert html.count("&lt;script&gt;") == len(stages) + 1


def test_best_params_are_those_of_the_last_stage(study):
    assert study.best_params == study.stages[-1].best_params
    unfinished = replace(study, summary=None, stages=study.stages[:2])
    assert unfinished.best_params == study.stages[1].best_params


def test_a_study_at_a_prompt_is_one_line(study):
    folder = str(RESULTS / "report")
    assert repr(study) == (
        f"Study('mnist', preset='report', stages=8, candidates=48, folder={folder!r})"
    )


def test_a_frame_has_a_row_for_each_candidate(study):
    frame = study.frame()
    assert len(frame) == len(study.rows)
    assert frame.accuracy.tolist() == [row.accuracy for row in study.rows]
    assert list(frame) == list(study.columns())


def test_without_pandas_a_frame_says_what_to_do(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install pandas.* Study.columns\(\)"):
        study.frame()
    assert len(study.columns()["accuracy"]) == len(study.rows)


def test_displays_take_a_study_or_its_folder(study):
    folder = RESULTS / "report"
    for given in (study, folder, str(folder)):
        assert len(GapDisplay.from_study(given).scores) == len(study.rows)
        last = StageScoresDisplay.from_study(given)
        assert last.name == study.stages[-1].title
    first = study.stages[0]
    by_name = StageScoresDisplay.from_study(study, first.name)
    assert by_name.candidates == StageScoresDisplay.from_study(study, first).candidates
    with pytest.raises(ValueError, match="there is no stage 'other'; the stages are"):
        StageScoresDisplay.from_study(study, "other")


def test_curves_and_misread_digits_are_those_that_the_study_kept(tiny_study):
    found = Study.from_folder(tiny_study)
    final = FitCurveDisplay.from_study(found)
    assert len(final.history["loss"]) == found.summary.final.n_iter
    assert FitCurveDisplay.from_study(tiny_study, "shape").best_iter >= 1
    wrong = round((1 - found.summary.final.test_accuracy) * found.header.data.n_test)
    assert len(MisreadDigitsDisplay.from_study(found).rows) == wrong


def test_what_a_study_has_not_kept_is_an_error(study):
    with pytest.raises(ValueError, match="no learning curve of its final model"):
        FitCurveDisplay.from_study(study)
    with pytest.raises(ValueError, match="no predictions"):
        MisreadDigitsDisplay.from_study(study)
    with pytest.raises(ValueError, match="was not read from a folder"):
        FitCurveDisplay.from_study(replace(study, folder=None))


# ---- in a browser

GROUNDS = {"light": ("#fff", "#1d2329"), "dark": ("#111", "#e4e8ec")}


@pytest.mark.parametrize("theme", GROUNDS)
@pytest.mark.parametrize("shown", ["search", "study"])
def test_it_reads_well_on_light_and_on_dark(theme, shown, browser, fitted, study):
    ground, ink = GROUNDS[theme]
    html = {"search": fitted, "study": study}[shown]._repr_html_()
    tab = browser.new_page(viewport={"width": 800, "height": 600})
    tab.set_content(f"<body style='background:{ground};color:{ink}'>{html}</body>")
    for fold in tab.locator(".skmnist-display > details:not(:last-child)").all():
        fold.locator("summary").first.click()
    cells = ".skmnist-display > .scroll :is(td, th), .skmnist-display > p"
    assert min(contrasts(tab, cells)) >= 4.5
    assert tab.evaluate("document.documentElement.scrollWidth") <= 800
    tab.close()
