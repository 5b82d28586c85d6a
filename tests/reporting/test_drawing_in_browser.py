"""The page to draw on as somebody meets it: in a real browser, from a file."""

# SPDX-License-Identifier: BSD-3-Clause

import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from browsing import contrasts

from skmnist import fetch_mnist
from skmnist.neural_network._inference import Layer, forward
from skmnist.neural_network._spec import ACTIVATIONS
from skmnist.preprocessing._digit import place_digit, reduce_to_8x8
from skmnist.reporting import write_drawing_page
from skmnist.reporting._drawing import _network, to_drawing_page
from skmnist.study import Predictions

NAMES = ["<b>no</b>", "perhaps", "\x1b[2J"]
SHOWN = ["<b>no</b>", "perhaps", "\\x1b[2J"]


def layers_of(widths, activations, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return [
        Layer(
            rng.normal(0, (2 / n_in) ** 0.5, (n_in, n_out)).astype(dtype),
            rng.normal(0, 0.3, n_out).astype(dtype),
            activation,
        )
        for n_in, n_out, activation in zip(
            widths[:-1], widths[1:], activations, strict=True
        )
    ]


def stand_in(layers, classes):
    """What the page needs of a fitted classifier."""
    return SimpleNamespace(
        n_features_in_=len(layers[0].weights),
        classes_=np.array(classes),
        _current_layers=lambda: layers,
    )


@pytest.fixture(scope="module")
def misread():
    """A picture as MNIST has them, which is in no way symmetrical."""
    picture = np.zeros((1, 28, 28), np.uint8)
    picture[0, 6:22, 9:12] = 255
    picture[0, 18:21, 9:19] = 130
    true, predicted = np.array(NAMES[:1]), np.array(NAMES[2:])
    return Predictions(true, predicted, np.array([0.8]), np.array([0]), picture)


@pytest.fixture(scope="module")
def small(misread):
    """Layers of a small network, and the page of it."""
    layers = layers_of((784, 20, 3), ("tanh", "softmax"))
    return layers, to_drawing_page(stand_in(layers, NAMES), misread)


@pytest.fixture(scope="module")
def tab(browser, small, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "draw.html"
    path.write_text(small[1], encoding="utf-8")
    context = browser.new_context(has_touch=True)
    page = context.new_page()
    page.complaints, page.requests, page.path = [], [], path.as_uri()
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    yield page
    context.close()


@pytest.fixture
def view(tab):
    """A freshly opened page."""
    tab.complaints.clear()
    tab.requests.clear()
    tab.emulate_media(color_scheme="light")
    tab.set_viewport_size({"width": 1200, "height": 900})
    tab.goto(tab.path)
    return tab


def shown(view):
    """Wait for the next frame; return the answer that it shows."""
    view.evaluate("() => new Promise(requestAnimationFrame)")
    return view.inner_text("#answer")


def n_ink(view):
    return view.evaluate("ink.filter(value => value > 0).length")


def draw(view, *strokes):
    """Draw strokes with the mouse; their points are fractions of the sheet."""
    box = view.locator("#sheet").bounding_box()
    for stroke in strokes:
        points = [
            (box["x"] + x * box["width"], box["y"] + y * box["height"])
            for x, y in stroke
        ]
        view.mouse.move(*points[0])
        view.mouse.down()
        for point in points[1:]:
            view.mouse.move(*point)
        view.mouse.up()


# What the page computes is what Python computes


def pictures():
    """Ink of many sizes, widths and places, soft and hard."""
    rng = np.random.default_rng(0)
    for i in range(18):
        height, width = rng.integers(12, 100, 2)
        y, x = np.mgrid[:height, :width] + 0.5
        ink = np.zeros((height, width))
        points = rng.uniform(0.1, 0.9, (4, 2)) * (width, height)
        radius = rng.choice([0.6, 2.0, 5.0, 12.0])
        for a, b in zip(points[:-1], points[1:], strict=True):
            along = ((x - a[0]) * (b - a)[0] + (y - a[1]) * (b - a)[1]) / (
                (b - a) ** 2
            ).sum()
            t = np.clip(along, 0, 1)
            away = np.hypot(x - a[0] - t * (b - a)[0], y - a[1] - t * (b - a)[1])
            ink = np.maximum(ink, np.clip(radius + 0.5 - away, 0, 1))
        yield (ink * rng.choice([1.0, 0.4])).astype(np.float32) if i else ink
    for shape in ((30, 30), (31, 17)):  # all symmetrical
        yield np.pad(np.ones(shape), 9)


def test_digits_are_placed_as_in_python(view):
    given = [picture for picture in pictures() if picture.max() > 0.1]
    assert len(given) > 16
    plain = [
        {"height": h, "width": w, "values": p.ravel().tolist()}
        for p in given
        for h, w in [p.shape]
    ]
    placed, reduced = view.evaluate(
        """given => {
          const placed = given.map(({ height, width, values }) => placeDigit(
            { height, width, values: Float64Array.from(values) }));
          const plain = pictures => pictures.map(one => [...one.values]);
          return [plain(placed), plain(placed.map(reduceTo8x8))];
        }""",
        plain,
    )
    for picture, digit, small in zip(given, placed, reduced, strict=True):
        expected = place_digit(picture)
        np.testing.assert_allclose(
            np.reshape(digit, (28, 28)), expected, rtol=0, atol=1e-4
        )
        np.testing.assert_allclose(
            np.reshape(small, (8, 8)), reduce_to_8x8(expected), rtol=0, atol=1e-4
        )


def networks():
    """Networks with every activation, of several depths, of one output and of many."""
    for name in ACTIVATIONS:
        activation = keras.activations.get(name).__name__  # "swish" is "silu"
        yield layers_of((64, 30, 20, 10), (activation, activation, "softmax"))
    for seed, hidden in enumerate([(), (9,), (30, 20, 10, 5)]):
        names = ["relu"] * len(hidden)
        yield layers_of((64, *hidden, 1), (*names, "sigmoid"), seed)
        yield layers_of((64, *hidden, 7), (*names, "softmax"), seed, np.float64)


def test_networks_give_the_probabilities_of_python(view):
    X = np.random.default_rng(1).random((5, 64)) * (np.arange(64) % 3 > 0)
    given = list(networks())
    n_classes = [max(2, layers[-1].weights.shape[1]) for layers in given]
    plain = [
        _network(stand_in(layers, range(n)), layers, ink=2.0)
        for layers, n in zip(given, n_classes, strict=True)
    ]
    found = view.evaluate(
        """([networks, rows]) => networks.map(network => rows.map(row => probabilities(
          { ...network, layers: decodeLayers(network.layers) },
          { height: 8, width: 8, values: Float64Array.from(row) })))""",
        [plain, X.tolist()],
    )
    for layers, probabilities in zip(given, found, strict=True):
        expected = forward(layers, 2 * X)
        if expected.shape[1] == 1:
            expected = np.hstack([1 - expected, expected])
        np.testing.assert_allclose(
            probabilities, expected, rtol=0, atol=1e-3, err_msg=layers[0].activation
        )
        # Else the test would say nothing.
        assert np.ptp(expected, axis=1).min() > 0.01


# The page as one uses it


def test_page_opens_without_complaint_and_asks_for_nothing(view):
    view.wait_for_load_state("networkidle")
    assert view.complaints == []
    assert view.requests == [view.path]
    assert view.inner_text("#answer") == "Nothing drawn yet"


def test_names_of_classes_are_shown_as_they_are(view):
    assert view.locator("#chances tbody th").all_inner_texts() == SHOWN
    assert view.locator("b").count() == 0
    (button,) = view.locator("#misread button").all_inner_texts()
    assert button.strip() == f"{SHOWN[0]} read as {SHOWN[2]}"


def test_a_misread_picture_comes_as_the_network_saw_it(view, small, misread):
    layers, _ = small
    view.locator("#misread button").click()
    (expected,) = forward(layers, misread.pictures.reshape(1, -1) / 255)
    best = expected.argmax()
    assert shown(view) == f"Read as {SHOWN[best]}, {100 * expected[best]:.1f}\xa0%"
    seen = view.evaluate("[...seen().values]")
    np.testing.assert_allclose(seen, misread.pictures.ravel() / 255, atol=1e-9)
    assert view.inner_text("#about").startswith(f"Test picture no. 0 is {SHOWN[0]}")
    # A line on it, and it is another picture.
    draw(view, [(0.1, 0.1), (0.9, 0.2)])
    assert not np.allclose(view.evaluate("[...seen().values]"), seen)
    view.click("#clear")
    assert view.is_checked("#place") and view.inner_text("#about") == ""


def test_bars_move_while_one_draws(view):
    draw(view, [(0.3, 0.2), (0.5, 0.8)])
    first = shown(view)
    table = view.locator("#chances tbody")
    percents = [
        float(t.split()[0]) for t in table.locator("td:last-child").all_inner_texts()
    ]
    assert sum(percents) == pytest.approx(100, abs=0.2)
    widths = table.locator("div").evaluate_all(
        "all => all.map(one => parseFloat(one.style.width))"
    )
    np.testing.assert_allclose(widths, percents, atol=0.06)
    draw(view, [(0.2, 0.5), (0.9, 0.5)])
    assert shown(view) != first


def test_bars_get_the_room_that_names_and_figures_leave(view):
    row = view.locator("#chances tbody tr").first
    name, bar, figure = (
        cell.bounding_box()["width"] for cell in row.locator("th, td").all()
    )
    assert bar > 1.5 * (name + figure)
    # The longest name, of nine letters, is on one line.
    assert row.bounding_box()["height"] < 32


def test_undo_takes_back_each_step_and_the_eraser_erases(view):
    steps = [0]
    draw(view, [(0.2, 0.5), (0.8, 0.5)])
    steps.append(n_ink(view))
    view.click("#eraser")
    assert view.get_attribute("#eraser", "aria-pressed") == "true"
    draw(view, [(0.5, 0.2), (0.5, 0.8)])
    steps.append(n_ink(view))
    assert 0 < steps[2] < steps[1]
    view.click("#clear")
    assert n_ink(view) == 0
    view.keyboard.press("Control+z")
    view.click("#undo")
    assert n_ink(view) == steps[1]
    view.click("#undo")
    assert n_ink(view) == 0 and view.is_disabled("#undo")


def test_one_can_draw_with_the_keyboard(view):
    view.focus("#sheet")
    for key in ["ArrowRight"] * 3 + ["Space"] + ["ArrowDown"] * 6 + ["Space"]:
        view.keyboard.press(key)
    box = view.evaluate("boxAbove({ height: SHEET, width: SHEET, values: ink }, 0.5)")
    # A line of six pixels of the network, as wide as the pen, with round ends.
    assert (box["width"], box["height"]) == (22, 82)
    assert (box["left"], box["top"]) == (170 - 11, 140 - 11)
    assert view.inner_text("#pen") == "Pen lifted"
    drawn = n_ink(view)
    view.keyboard.press("ArrowDown")
    assert n_ink(view) == drawn
    view.keyboard.press("Delete")
    assert n_ink(view) == 0
    # The keys that draw do not scroll the page.
    assert view.evaluate("scrollY") == 0


def test_one_can_draw_with_a_finger(view):
    view.set_viewport_size({"width": 360, "height": 640})
    box = view.locator("#sheet").bounding_box()
    touch = view.context.new_cdp_session(view)

    def send(kind, *at):
        points = [{"x": box["x"] + x, "y": box["y"] + y} for x, y in at]
        event = {"type": kind, "touchPoints": points}
        touch.send("Input.dispatchTouchEvent", event)

    send("touchStart", (60, 60))
    for i in range(1, 9):
        send("touchMove", (60, 60 + 15 * i))
    send("touchEnd")
    assert shown(view).startswith("Read as")
    drawn = view.evaluate("boxAbove({ height: SHEET, width: SHEET, values: ink }, 0.5)")
    assert drawn["height"] == pytest.approx(22 + 120 * 280 / box["width"], abs=3)
    assert view.evaluate("scrollY") == 0


def test_the_answer_is_said_once_all_is_quiet(view):
    draw(view, [(0.3, 0.2), (0.5, 0.8)])
    answer = shown(view)
    assert view.get_attribute("#said", "aria-live") == "polite"
    view.locator("#said", has_text="Read as").wait_for(state="attached")
    assert view.text_content("#said") == view.text_content("#answer") != ""
    assert answer.startswith("Read as")


def test_every_control_has_a_name(view):
    names = view.eval_on_selector_all(
        "button, input, canvas:not([aria-hidden])",
        """all => all.map(one => one.ariaLabel || one.labels?.[0]?.textContent.trim()
          || one.textContent.trim())""",
    )
    assert len(names) == 8 and all(names)


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_page_is_no_wider_than_the_window(view, width):
    view.set_viewport_size({"width": width, "height": 844})
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    if width == 390:  # the answer and all bars are on the screen of a phone
        bars = view.locator("#chances").bounding_box()
        assert bars["y"] + bars["height"] <= 844


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(view, scheme):
    view.emulate_media(color_scheme=scheme)
    draw(view, [(0.3, 0.2), (0.5, 0.8)])
    shown(view)
    assert min(contrasts(view, "h1, h2, p, th, td, a, label, button, span, kbd")) >= 4.5
    paper = view.eval_on_selector(
        "#sheet", "one => one.getContext('2d').getImageData(2, 2, 1, 1).data[0]"
    )
    assert paper == {"light": 255, "dark": 11}[scheme]


# All ten digits


def arc(x, y, across, down, start, stop, n=10):
    """Points of an ellipse; 0 degrees is to the right, 90 below."""
    angles = [math.radians(start + (stop - start) * i / n) for i in range(n + 1)]
    return [(x + across * math.cos(a), y + down * math.sin(a)) for a in angles]


DIGITS = {
    0: [arc(0.5, 0.5, 0.2, 0.3, -80, 280)],
    1: [[(0.53, 0.18), (0.49, 0.82)]],
    2: [[*arc(0.48, 0.34, 0.2, 0.16, 190, 395), (0.28, 0.8), (0.74, 0.78)]],
    3: [
        [
            *arc(0.46, 0.34, 0.19, 0.16, 200, 440),
            *arc(0.46, 0.66, 0.22, 0.17, -80, 160),
        ]
    ],
    4: [[(0.36, 0.2), (0.28, 0.55), (0.72, 0.53)], [(0.64, 0.22), (0.6, 0.84)]],
    5: [
        [
            (0.68, 0.2),
            (0.38, 0.2),
            (0.34, 0.46),
            *arc(0.47, 0.63, 0.21, 0.19, -110, 150),
        ]
    ],
    6: [
        [(0.6, 0.16), (0.42, 0.38), (0.34, 0.6), *arc(0.5, 0.65, 0.16, 0.17, 180, -190)]
    ],
    7: [[(0.28, 0.22), (0.7, 0.22), (0.48, 0.82)]],
    8: [[*arc(0.5, 0.34, 0.15, 0.15, 90, 450), *arc(0.5, 0.66, 0.19, 0.17, -90, 270)]],
    9: [[*arc(0.48, 0.36, 0.18, 0.17, -20, 340), (0.66, 0.3), (0.6, 0.84)]],
}
# A digit may be anywhere on the sheet, and of any size.
PLACES = {
    "middle": (1, 0, 0),
    "small, top left": (0.55, 0, 0.02),
    "low": (0.7, 0.3, 0.2),
}


@pytest.fixture(scope="module")
def trained(mnist_home, mnist_classifier):
    """A classifier of handwritten digits, and test digits."""
    mnist = fetch_mnist(mnist_home, download_if_missing=False)
    test = slice(60_000, 60_500)
    return mnist_classifier, mnist.data[test], mnist.target[test]


@pytest.fixture(scope="module")
def of_mnist(browser, trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("mnist") / "draw.html"
    page = browser.new_page()
    page.goto(write_drawing_page(trained[0], path, *trained[1:]).as_uri())
    yield page
    page.close()


@pytest.mark.long
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("digit", DIGITS)
def test_digits_drawn_with_the_mouse_are_read_right(of_mnist, digit, place):
    scale, right, down = PLACES[place]
    strokes = [
        [(right + scale * x, down + scale * y) for x, y in stroke]
        for stroke in DIGITS[digit]
    ]
    of_mnist.click("#clear")
    draw(of_mnist, *strokes)
    assert shown(of_mnist).startswith(f"Read as {digit}, ")


@pytest.mark.long
def test_a_trained_network_gives_the_probabilities_of_python(of_mnist, trained):
    classifier, X, _ = trained
    found = of_mnist.evaluate(
        """rows => rows.map(row => probabilities(
          network, { height: 28, width: 28, values: Float64Array.from(row) }))""",
        X[:100].tolist(),
    )
    np.testing.assert_allclose(found, classifier.predict_proba(X[:100]), atol=1e-3)
