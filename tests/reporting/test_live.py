"""The page of a study that runs: there from the start, and at rest at the end."""

import shutil
from dataclasses import replace

import pytest

from skmnist.reporting import _html, write_report
from skmnist.reporting._live import LivePage
from skmnist.study import read_study
from skmnist.study._storage import STAGES, SUMMARY, hold_folder, write_json

REFRESH = f'<meta http-equiv="refresh" content="{_html.RENEWAL}">'
RUNS = "renews itself every"
MOVED = 500


@pytest.fixture
def folder(tiny_study, tmp_path):
    """A study that was killed in its second stage."""
    folder = shutil.copytree(tiny_study, tmp_path / "study")
    (folder / SUMMARY).unlink()
    write_json(folder / STAGES, read_study(folder).stages[:1])
    return folder


@pytest.fixture
def page(folder, monkeypatch):
    """A live page that has no time for figures."""
    page = LivePage(folder)
    monkeypatch.setattr(page, "_spent", 1e9)
    return page


def wait_for(condition, tab, seconds=20):
    """Return whether a condition comes true in time."""
    for _ in range(10 * seconds):
        if condition():
            return True
        tab.wait_for_timeout(100)
    return False


def text(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_of_a_study_that_runs_renews_itself(folder, page):
    with page:
        page("what", "listeners get")
    assert REFRESH in text(folder)
    assert RUNS in text(folder)
    assert "known when the study is finished" in text(folder)
    assert "1. Shape" in text(folder) or "1. shape" in text(folder)
    assert "2. Batch size" not in text(folder)


def test_a_study_that_has_just_begun_has_a_page(folder, page):
    write_json(folder / STAGES, [])
    page()
    assert "No stage is done yet." in text(folder)


def test_report_while_it_runs_and_after_it_was_killed(folder, monkeypatch):
    monkeypatch.setattr(_html._Drawer, "__call__", lambda *_: "")
    with hold_folder(folder):
        write_report(folder)
        assert REFRESH in text(folder)
        # Nobody writes a page elsewhere again.
        write_report(folder, folder / "elsewhere.html")
    assert 'http-equiv="refresh"' not in (folder / "elsewhere.html").read_text()
    write_report(folder)
    assert 'http-equiv="refresh"' not in text(folder)
    assert RUNS not in text(folder)
    assert "does not run now: 1 of 2 stages are done" in text(folder)


def test_a_finished_study_is_at_rest(tiny_study, tmp_path, monkeypatch):
    monkeypatch.setattr(_html._Drawer, "__call__", lambda *_: "")
    folder = shutil.copytree(tiny_study, tmp_path / "study")
    write_report(folder)
    assert 'http-equiv="refresh"' not in text(folder)
    assert "Searching" in text(folder) or "searching paid" in text(folder)


def test_a_study_that_ends_in_an_error_leaves_a_page_at_rest(folder, page):
    with pytest.raises(KeyboardInterrupt), page:
        page()
        raise KeyboardInterrupt
    assert 'http-equiv="refresh"' not in text(folder)
    assert "does not run now" in text(folder)
    assert "no figures: the study has been stopped" in text(folder)


def test_a_folder_that_holds_another_study_keeps_its_page(folder):
    (folder / "report.html").write_text("another study's")
    with pytest.raises(ValueError), LivePage(folder):
        raise ValueError
    assert text(folder) == "another study's"


def test_a_page_that_cannot_be_written_ends_no_study(folder, page):
    (folder / "report.html").mkdir()
    page()
    shutil.rmtree(folder)
    page()
    assert not folder.exists()


def test_figures_take_a_twentieth_of_the_time(folder, monkeypatch):
    clock = [0.0]
    drawn = []

    def write(page, *, running, figures):
        drawn.append(figures)
        clock[0] += 4 if figures else 0

    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr(LivePage, "_write", write)
    page = LivePage(folder)
    for _ in range(10):  # a stage takes ten seconds
        clock[0] += 10
        page()
    # After 10 s, and again when 80 s are over.
    assert [i for i, figures in enumerate(drawn) if figures] == [0, 7]


def title_of(tab):
    """Return the title of a page; none while it reloads."""
    from playwright.sync_api import Error

    try:
        return tab.title()
    except Error:
        return ""


def test_the_page_in_a_browser_renews_and_keeps_its_place(
    browser, folder, page, monkeypatch
):
    monkeypatch.setattr(_html, "RENEWAL", 1)
    page()
    tab = browser.new_page(viewport={"width": 500, "height": 300})
    complaints = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.goto((folder / "report.html").as_uri())
    tab.evaluate(f"window.scrollTo(0, {MOVED})")
    # What the study has done meanwhile.
    header = read_study(folder).header
    data = replace(header.data, name="renewed")
    write_json(folder / "study.json", replace(header, data=data))
    page()
    assert wait_for(lambda: title_of(tab).endswith("renewed"), tab)
    assert wait_for(lambda: tab.evaluate("window.scrollY") == MOVED, tab)
    assert complaints == []
    tab.close()
