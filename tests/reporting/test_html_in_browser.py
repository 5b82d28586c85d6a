"""The report page as a reader meets it: in a real browser, from a file."""

import re
from pathlib import Path

import pytest
from browsing import contrasts

from skmnist.reporting import write_report

RESULTS = Path(__file__).parents[2] / "docs" / "results"
WIDTHS = (400, 1400)
# What does not depend on the size of the study is looked at on the small page, which
# has all.
SMALL_PAGE = pytest.mark.parametrize("report", ["digits"], indirect=True)
# The width of an A4 sheet in CSS pixels, less margins of 1 cm.
A4 = 718


@pytest.fixture(scope="module", params=["digits", "mnist"])
def report(request, tmp_path_factory, tiny_study):
    """Pages of two studies: a small one that has all, and the report's 48 rows."""
    folder = RESULTS / "as-reported" if request.param == "mnist" else tiny_study
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(folder, path)
    return path


@pytest.fixture(scope="module")
def tab(browser):
    """A tab of the browser; each test opens its page there anew."""
    page = browser.new_page()
    page.complaints, page.requests = [], []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    yield page
    page.close()


@pytest.fixture
def view(tab, report):
    """An open page, and everything that it complained of or asked for."""
    tab.complaints.clear()
    tab.requests.clear()
    tab.emulate_media(media="screen", color_scheme="light")
    tab.set_viewport_size({"width": 1280, "height": 720})
    tab.goto(report.as_uri())
    return tab


def test_page_opens_without_complaint_and_asks_for_nothing(view, report):
    view.wait_for_load_state("networkidle")
    assert view.complaints == []
    asked = [url for url in view.requests if not url.startswith("data:")]
    assert asked == [report.as_uri()]


def test_every_image_renders(view):
    sizes = view.evaluate(
        """() => Promise.all([...document.images].map(
            one => one.decode().then(() => one.naturalWidth, () => 0)))"""
    )
    boxes = view.eval_on_selector_all(
        "svg", "all => all.map(one => one.getBBox().width)"
    )
    assert all(size > 0 for size in [*sizes, *boxes])


def column(view, name):
    """Return the heading of a column of the first table that sorts, and its cells."""
    table = view.locator("table.sortable").first
    headings = table.locator("thead th")
    names = [text.strip() for text in headings.all_inner_texts()]
    place = names.index(name)
    cells = table.locator(f"tbody tr > :nth-child({place + 1})").all_inner_texts()
    return headings.nth(place), cells


def numbers(cells):
    return [float(re.match(r"[-+\d.,]+", cell)[0].replace(",", "")) for cell in cells]


@pytest.mark.parametrize("name", ["parameters", "gap", "validation accuracy"])
def test_a_click_on_a_heading_sorts_by_the_size_of_the_numbers(view, name):
    heading, before = column(view, name)
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert numbers(column(view, name)[1]) == sorted(numbers(before))
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert numbers(column(view, name)[1]) == sorted(numbers(before), reverse=True)


@SMALL_PAGE
@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_heading_sorts_by_the_keyboard(view, key):
    heading, before = column(view, "seconds")
    heading.locator("button").focus()
    view.keyboard.press(key)
    assert numbers(column(view, "seconds")[1]) == sorted(numbers(before))


@SMALL_PAGE
def test_sorting_keeps_the_rows_whole_and_one_column_marked(view):
    rows = view.locator("table.sortable").first.locator("tbody tr")
    before = rows.all_inner_texts()
    for name in ("seconds", "gap"):
        column(view, name)[0].locator("button").click()
    assert sorted(rows.all_inner_texts()) == sorted(before)
    assert view.locator("[aria-sort]").count() == 1
    column(view, "no.")[0].locator("button").click()
    assert rows.all_inner_texts() == before


@pytest.mark.parametrize("width", WIDTHS)
def test_page_is_no_wider_than_the_window(view, width):
    view.set_viewport_size({"width": width, "height": 900})
    assert view.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_no_text_is_tiny(view, width):
    view.set_viewport_size({"width": width, "height": 900})
    # The texts of a figure are as large as its own scale makes them.
    smallest = view.evaluate(
        """() => {
          const texts = [...document.querySelectorAll("svg text")].filter(
            text => text.textContent.trim());
          const sizes = texts.map(text => {
            const { a, b } = text.getScreenCTM();  // turned, perhaps
            return parseFloat(getComputedStyle(text).fontSize) * Math.hypot(a, b);
          });
          for (const one of document.querySelectorAll("main *:not(svg *)")) {
            if ([...one.childNodes].some(n => n.nodeType === 3 && n.data.trim())) {
              sizes.push(parseFloat(getComputedStyle(one).fontSize));
            }
          }
          return Math.min(...sizes);
        }"""
    )
    assert smallest >= 9


@SMALL_PAGE
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(view, scheme):
    view.emulate_media(color_scheme=scheme)
    assert min(contrasts(view, "p, td, th, a, .mark, figcaption, dt")) >= 4.5


def test_print_cuts_no_table(view):
    view.emulate_media(media="print")
    view.set_viewport_size({"width": A4, "height": 1000})
    widths = view.eval_on_selector_all(
        "table", "all => all.map(one => one.getBoundingClientRect().right)"
    )
    assert max(widths) <= A4


@SMALL_PAGE
def test_print_to_pdf(view):
    margin = dict.fromkeys(("top", "right", "bottom", "left"), "1cm")
    pdf = view.pdf(format="A4", margin=margin)
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 2
