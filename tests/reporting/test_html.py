"""The report page as text: what it says, what it escapes, what it does without."""

import os
import re
import shutil
import stat
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from skmnist.reporting import (
    describe_final,
    overview_table,
    to_html,
    to_markdown,
    write_report,
)
from skmnist.reporting._comparison import to_comparison
from skmnist.reporting._html import MOST_CLASSES
from skmnist.reporting._text import (
    describe_data,
    describe_lead,
    describe_misread,
    stage_table,
)
from skmnist.reporting._verdict import describe_verdict
from skmnist.study import StudyConfig, read_study
from skmnist.study._artifacts import Evidence, Predictions, read_evidence
from skmnist.study._columns import MEASURED

RESULTS = Path(__file__).parents[2] / "docs" / "results"
NO_END = {"meta", "img", "wbr"}


class Elements(HTMLParser):
    """The elements of a page in order, each with its tag, attributes and text."""

    def __init__(self, page):
        super().__init__()
        self.found, self.open = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", **dict(attrs)}
        self.found.append(element)
        if tag not in NO_END:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.found.append({"tag": tag, "text": "", **dict(attrs)})

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, **attributes):
        return [
            one
            for one in self.found
            if one["tag"] == tag
            and all(one.get(name) == value for name, value in attributes.items())
        ]


@pytest.fixture(scope="module")
def study(tiny_study):
    return read_study(tiny_study)


@pytest.fixture(scope="module")
def evidence(tiny_study):
    return read_evidence(tiny_study)


@pytest.fixture(scope="module")
def page(study, evidence):
    return to_html(study, evidence)


@pytest.fixture
def no_figures(monkeypatch):
    """Pages without figures, which take most of the time."""
    for name in ("matplotlib", "matplotlib.style", "matplotlib.image"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture(scope="module")
def elements(page):
    return Elements(page)


def test_page_is_well_formed_and_names_are_unique(elements):
    assert elements.open == []
    ids = [one["id"] for one in elements.found if "id" in one]
    assert len(ids) == len(set(ids))


def test_page_needs_nothing_from_elsewhere(elements):
    for one in elements.found:
        for name in ("src", "href", "xlink:href", "data", "action"):
            assert (one.get(name) or "#").startswith(("#", "data:image/png;base64,"))
    assert not elements.all("link")
    policy = next(
        m["content"]
        for m in elements.all("meta")
        if "content" in m and "'none'" in m["content"]
    )
    assert policy.startswith("default-src 'none'")


def test_every_figure_says_what_it_shows(elements):
    # Path, gap, two of the costs; of each stage its scores and the winner's curve;
    # the final model's curve.
    drawings = elements.all("svg")
    assert len(drawings) == 9
    assert all(one["role"] == "img" and one["aria-label"] for one in drawings)
    assert len({one["aria-label"] for one in drawings}) == len(drawings)
    assert all(one["alt"] for one in elements.all("img"))


def test_every_heading_of_a_table_says_what_it_heads(elements):
    headings = elements.all("th")
    assert headings
    assert {one["scope"] for one in headings} == {"col", "row"}
    assert len(elements.all("caption")) == len(elements.all("table"))


def test_each_stage_has_its_table_with_one_winner_and_the_reason(elements, study):
    tables = elements.all("table", **{"class": "sortable"})
    assert len(tables) == len(study.stages)
    assert len(elements.all("tr", **{"class": "winner"})) == len(study.stages)
    paragraphs = [one["text"] for one in elements.all("p")]
    for stage in study.stages:
        assert f"Chosen by {stage.rule}: {stage.reason}." in paragraphs


def test_stage_of_two_parameters_has_a_heat_map(elements, study):
    (heat,) = elements.all("table", **{"class": "shaded cool"})
    accuracies = [row.accuracy for row in study.rows if row.stage == "shape"]
    for accuracy in accuracies:
        assert f"{100 * accuracy:.2f} %" in heat["text"]
    shares = [
        float(one["style"].removeprefix("--share:"))
        for one in elements.all("td")
        if "style" in one
    ][: len(accuracies)]
    # The highest accuracy has the fullest colour, the lowest has none.
    assert shares[int(np.argmax(accuracies))] == max(shares) == 1
    assert shares[int(np.argmin(accuracies))] == min(shares) == 0


def test_a_curve_is_drawn_once(study, evidence):
    same = dict.fromkeys(evidence.curves, evidence.curves["shape"])
    found = Elements(to_html(study, replace(evidence, curves=same)))
    assert len(found.all("svg")) == 8
    assert "The winner is the network that won stage 1" in found.all("main")[0]["text"]


def test_confusion_matrix_counts_the_test_set(page, evidence):
    kept = evidence.predictions
    (matrix,) = re.findall('<table class="shaded confusion">(.*?)</table>', page, re.S)
    lines = re.findall("<tr>(.*?)</tr>", matrix, re.S)[1:]
    for true, line in enumerate(lines):
        cells = [0 if c == "·" else int(c) for c in re.findall(r">(\d+|·)</td>", line)]
        read_as = [kept.predicted[kept.true == true] == label for label in range(10)]
        assert cells == [int(found.sum()) for found in read_as]
    assert len(lines) == 10


def test_sheet_has_every_misread_digit(elements, evidence):
    kept = evidence.predictions
    row = kept.rows[0]
    assert len(elements.all("img")) == min(len(kept.rows), 100)
    assert elements.all("img")[0]["alt"] == (
        f"Test sample {row}: {kept.true[row]}, read as {kept.predicted[row]}"
    )


HOSTILE = "<script>alert('x')</script>\"'&$x$"
# Clears the terminal, begins a line, and cannot be encoded.
CONTROL = "\x1b[2J\nOK\ud800"


def hostile_verdict(text, verdict):
    """Return a verdict with some text wherever a classifier or a file may have it."""
    return replace(
        verdict,
        left_out=text,
        baselines=[replace(one, name=text) for one in verdict.baselines],
        stages=[replace(one, stage=one.stage + text) for one in verdict.stages],
    )


def full_of(text, study, evidence):
    """Return a study with some text wherever a file or the data may have it."""
    header, summary = study.header, study.summary
    header = replace(
        header,
        data=replace(header.data, name=text, note=text),
        config=StudyConfig._recorded({**header.config.as_dict(), "preset": text}),
        versions={**header.versions, text: text},
    )
    summary = replace(
        summary,
        data=replace(summary.data, name=text),
        final=replace(summary.final, stop_reason=text),
        best_params={**summary.best_params, "optimizer": text},
        not_tried=[text],
        verdict=hostile_verdict(text, summary.verdict),
    )
    stages = [
        replace(stage, rule=text, reason=text, name=stage.name + text)
        for stage in study.stages
    ]
    rows = [
        replace(row, stage=row.stage + text, params={**row.params, "widths": text})
        for row in study.rows
    ]
    labels = evidence.predictions.true.astype("U40")
    labels[:3] = text
    full = Evidence(
        {name + text: curve for name, curve in evidence.curves.items()},
        replace(evidence.final_curve, stop_reason=text),
        replace(evidence.predictions, true=labels, predicted=labels[::-1]),
    )
    study = replace(study, header=header, stages=stages, rows=rows, summary=summary)
    return study, full


def test_what_comes_from_data_is_escaped(study, evidence):
    changed, hostile = full_of(HOSTILE, study, evidence)
    found = Elements(to_html(changed, hostile))
    assert len(found.all("script")) == 1
    assert "alert" not in found.all("script")[0]["text"]
    assert found.all("title")[0]["text"] == f"Staged search on {HOSTILE}"
    assert found.all("img")[0]["alt"].endswith(
        f"read as {hostile.predictions.predicted[evidence.predictions.rows[0]]}"
    )


def test_control_characters_are_written_as_escapes(study, evidence):
    changed, hostile = full_of(CONTROL, study, evidence)
    page = to_html(changed, hostile)
    page.encode()
    assert r"Staged search on \x1b[2J\nOK\ud800" in page
    assert not [c for c in page if not c.isprintable() and c not in "\n\xa0"]


def test_markdown_shows_text_as_it_is(study, evidence):
    changed, hostile = full_of(HOSTILE, study, evidence)
    page = to_markdown(changed, hostile)
    assert "<script" not in page.replace(r"\<script", "")
    page = to_comparison(changed, study, (hostile, hostile), (HOSTILE, "<script>"))
    assert "<script" not in page.replace(r"\<script", "")


def test_text_cannot_break_markdown(study, evidence):
    before = to_markdown(study, evidence).splitlines()
    for text in (CONTROL, "a|b", "a\\|b", "`x` | *y*", "# x", "a\n\n# b"):
        changed, hostile = full_of(text, study, evidence)
        page = to_markdown(changed, hostile)
        page.encode()
        assert page.replace("\n", "").isprintable()
        assert len(page.splitlines()) == len(before)
        for line, other in zip(page.splitlines(), before, strict=True):
            bars = re.findall(r"(?<!\\)(?:\\\\)*\|", line)
            assert len(bars) == other.count("|")
            assert line.startswith("#") == other.startswith("#")


def test_terminals_are_told_nothing_raw(study, evidence):
    changed, hostile = full_of(CONTROL, study, evidence)
    said = [
        describe_data(changed.header.data),
        describe_final(changed.summary),
        *describe_verdict(changed),
        describe_misread(hostile.predictions),
        describe_lead(changed, changed.stages[0]),
        *stage_table(
            changed.stages[0], changed.rows_of(changed.stages[0]), "holdout"
        ).rows[0],
        *overview_table(changed).rows[0],
    ]
    assert all(text.isprintable() for text in said)


def test_an_old_folder_says_what_it_lacks(study, no_figures):
    page = to_html(study, Evidence())
    assert "no learning curves (no curves.json)" in page
    assert "no predictions of the test set (no predictions.npz)" in page
    assert "Learning curve of" not in page
    assert "Confusion matrix" not in page


def test_a_study_that_has_just_begun_has_a_page(study):
    begun = replace(study, rows=[], stages=[], summary=None)
    assert "the study is not finished" in to_html(begun, Evidence())


def test_a_study_that_was_stopped_has_a_page_of_its_stages(study, evidence, no_figures):
    stopped = replace(study, summary=None)
    found = Elements(to_html(stopped, replace(evidence, predictions=None)))
    assert len(found.all("table", **{"class": "sortable"})) == 2
    assert not [one for one in found.found if one.get("id") == "final"]


def test_a_candidate_that_failed_has_empty_cells(study, evidence):
    failed = {column.name: np.nan for column in MEASURED}
    rows = [row if row.winner else replace(row, **failed) for row in study.rows]
    found = Elements(to_html(replace(study, rows=rows), evidence))
    assert not any("nan" in one["text"] for one in found.all("td"))


def test_without_validation_there_is_no_gap_to_draw(study, evidence):
    none = {"validation_accuracy": np.nan, "gap": np.nan}
    rows = [replace(row, **none) for row in study.rows]
    found = Elements(to_html(replace(study, rows=rows), evidence))
    assert len(found.all("svg")) == 8


def test_many_classes_have_no_matrix(study, evidence, no_figures):
    labels = np.arange(len(evidence.predictions.true)) % (MOST_CLASSES + 1)
    many = replace(evidence, predictions=replace(evidence.predictions, true=labels))
    assert "Confusion matrix" not in to_html(study, many)


def test_nothing_misread_needs_no_sheet(study, evidence):
    labels = evidence.predictions.true
    empty = np.zeros(0, int)
    right = Predictions(
        labels, labels, np.ones(len(labels)), empty, np.zeros((0, 8, 8))
    )
    page = to_html(study, replace(evidence, predictions=right))
    assert "It misreads 0 of 360 test samples." in page
    assert "<img" not in page


def test_without_matplotlib_the_page_has_no_figures_and_says_why(
    study, evidence, no_figures
):
    page = to_html(study, evidence)
    assert "<svg" not in page
    assert "<img" not in page
    assert "pip install &#34;skmnist[plots]&#34;" in page
    assert len(Elements(page).all("table", **{"class": "sortable"})) == 2


def test_committed_study_of_mnist_stands_beside_the_report(no_figures):
    page = to_html(read_study(RESULTS / "as-reported"), Evidence())
    # Eight headings, one of each stage, and the sentence over all rows.
    assert page.count("reported test accuracy</button>") == 8
    assert "Over all 48 rows the measured test accuracy is" in page


def test_writing_the_report_leaves_three_files(
    study, evidence, tiny_study, tmp_path, no_figures
):
    folder = shutil.copytree(tiny_study, tmp_path / "study")
    before = {path.name for path in folder.iterdir()}
    markdown, paths = write_report(folder)
    names = ["report.md", "report.html", "draw.html"]
    assert [path.name for path in paths] == names
    assert {path.name for path in folder.iterdir()} == {*before, *names}
    assert paths[0].read_text(encoding="utf-8") == markdown
    page = to_html(study, evidence, drawing="draw.html")
    assert paths[1].read_text(encoding="utf-8") == page


def test_a_page_elsewhere_is_written_and_never_replaces_what_is_no_file(
    tiny_study, study, evidence, tmp_path, no_figures
):
    page = to_html(study, evidence)
    aside, link = tmp_path / "aside.html", tmp_path / "link.html"
    aside.write_text("before")
    aside.chmod(0o600)
    link.symlink_to(aside)
    write_report(tiny_study, link)
    assert link.is_symlink()
    assert aside.read_text(encoding="utf-8") == page
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    null = tmp_path / "null"
    null.symlink_to("/dev/null")
    write_report(tiny_study, null)
    assert stat.S_ISCHR(os.stat(null).st_mode)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match=r"is a pipe \(FIFO\), not a file"):
        write_report(tiny_study, tmp_path / "fifo")


def test_page_elsewhere_leaves_the_folder_alone(tiny_study, tmp_path, no_figures):
    before = sorted(path.name for path in tiny_study.iterdir())
    _, paths = write_report(tiny_study, tmp_path / "elsewhere.html")
    assert paths == [tmp_path / "elsewhere.html"]
    assert "</html>" in paths[0].read_text(encoding="utf-8")
    assert sorted(path.name for path in tiny_study.iterdir()) == before


def test_labels_that_no_file_can_hold(tiny_study, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(tiny_study, folder)
    with np.load(folder / "predictions.npz") as archive:
        arrays = dict(archive)
    names = np.array(["a\ud800", "\x1b[2J", *"bcdefghi"])
    for name in ("true", "predicted"):
        arrays[name] = names[arrays[name]]
    np.savez(folder / "predictions.npz", **arrays)
    write_report(folder)
    pages = [(folder / name).read_text() for name in ("report.html", "report.md")]
    assert not any("\x1b" in page for page in pages)
    assert '<th scope="col">a\\ud800</th>' in pages[0]
