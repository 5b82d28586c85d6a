"""Pictures of digits: drawn, photographed, damaged, or enlarged from MNIST."""

# SPDX-License-Identifier: BSD-3-Clause

import os
import struct
import zlib

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps
from scipy import ndimage
from sklearn.datasets import load_digits

from skmnist import (
    KerasMLPClassifier,
    fetch_mnist,
    load_digits_28x28,
    normalize_digit,
    read_digit,
    read_digits,
)
from skmnist.preprocessing._binarize import otsu_threshold, resized
from skmnist.preprocessing._digit import PictureError, place_digit, reduce_to_8x8

# Fonts that come with Matplotlib; None is the one that comes with Pillow.
FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSerif",
    "STIXGeneral",
    "STIXGeneralItalic",
    "cmr10",
    "cmtt10",
    None,
)
DIGITS = "0123456789"
SEEDS = range(3)


def font_of(name, size):
    if name is None:
        return ImageFont.load_default(size)
    return ImageFont.truetype(
        f"{matplotlib.get_data_path()}/fonts/ttf/{name}.ttf", size
    )


def drawn(text, font="DejaVuSans", size=120, at=(100, 100), shape=(200, 200)):
    """A picture of text, black on white, as grey values of type float."""
    image = Image.new("L", shape, 255)
    ImageDraw.Draw(image).text(at, text, 0, font_of(font, size), anchor="mm")
    return np.asarray(image, float)


def stroke(points, width, shape=(200, 200)):
    """A picture of one stroke of a pen."""
    image = Image.new("L", shape, 255)
    ImageDraw.Draw(image).line(points, 0, width, joint="curve")
    return np.asarray(image, float)


SEVEN = [(60, 50), (140, 50), (90, 160)]


def lit(grey, light):
    """The same picture under another light, on paper that is not quite white."""
    y, x = np.mgrid[0 : 1 : grey.shape[0] * 1j, 0 : 1 : grey.shape[1] * 1j]
    lights = {
        "from a corner": 0.35 + 0.32 * (x + y),
        "in the middle": 1 - 1.2 * ((x - 0.5) ** 2 + (y - 0.5) ** 2),
        "in half shadow": ndimage.gaussian_filter(
            np.where(x + 0.3 * y < 0.6, 0.45, 1), 3
        ),
    }
    return (40 + 0.7 * grey) * lights[light]


def noised(grey, sd, seed=0):
    noise = np.random.default_rng(seed).normal(0, sd, grey.shape)
    return np.clip(grey + noise, 0, 255).round().astype(np.uint8)


def saved(folder, grey, name="digit.png", **options):
    path = folder / name
    Image.fromarray(np.asarray(grey).round().astype(np.uint8)).save(path, **options)
    return path


def apart(a, b):
    """Return the fraction of two pictures' ink that is not in the same place.

    A centre of mass between two pixels may be rounded to either.
    """
    shifts = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    differences = [np.abs(a - np.roll(b, shift, (0, 1))).sum() for shift in shifts]
    return min(differences) / (a.sum() + b.sum())


def error_of(function, argument):
    """Return the message of the PictureError; check that it is one line."""
    with pytest.raises(PictureError) as caught:
        function(argument)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


# The form of MNIST


@pytest.mark.parametrize("font", FONTS)
def test_a_drawn_digit_gets_the_form_of_mnist(font):
    for text in DIGITS:
        digit = normalize_digit(drawn(text, font))
        assert (digit.shape, digit.dtype) == ((28, 28), np.float32)
        assert digit.min() == 0 and 0.9 < digit.max() <= 1, text
        rows, columns = (np.flatnonzero(digit.any(axis=axis)) for axis in (1, 0))
        extents = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert max(extents) == 20, text
        # MNIST's centres of mass are in the pixel below and right of the middle; a
        # tall digit with its ink at one end cannot be moved so far.
        for indices, axis in ((rows, 1), (columns, 0)):
            centre = (digit.sum(axis=axis) * (np.arange(28) + 0.5)).sum() / digit.sum()
            at_the_edge = indices[0] == 0 or indices[-1] == 27
            assert 14 - 1e-4 <= centre < 15 or at_the_edge, text


def test_proportions_are_kept():
    # A bar of 120 x 12 pixels is 20 x 2 when it fits the square of 20.
    picture = np.full((200, 100), 255)
    picture[40:160, 40:52] = 0
    digit = normalize_digit(picture)
    # Its centre is in the middle in both directions: no rounding error moves it.
    np.testing.assert_allclose(digit[4:24, 13:15], 1, atol=0.1)
    assert digit.sum() == pytest.approx(40, rel=0.05)


def test_a_picture_of_mnist_comes_back_as_it_was(mnist_home):
    mnist = fetch_mnist(mnist_home, download_if_missing=False)
    pictures = mnist.data[mnist.test][100:400].reshape(-1, 28, 28)
    differences = [np.abs(normalize_digit(p) - p).mean() for p in pictures]
    # A stroke that is broken may lose a piece, and the digit then fills the square.
    assert np.quantile(differences, 0.95) < 0.01


def test_position_and_size_do_not_matter():
    expected = normalize_digit(drawn("5"))
    for at, size in (((60, 140), 60), ((130, 70), 90), ((450, 320), 240)):
        picture = drawn("5", size=size, at=at, shape=(600, 500))
        assert apart(normalize_digit(picture), expected) < 0.08


@pytest.mark.parametrize("text", DIGITS)
def test_light_on_dark_is_the_same_as_dark_on_light(text):
    picture = drawn(text)
    np.testing.assert_allclose(
        normalize_digit(255 - picture), normalize_digit(picture), atol=0.05
    )


@pytest.mark.parametrize("scale", [1 / 255, 1, 257])
def test_the_scale_of_grey_values_does_not_matter(scale):
    picture = drawn("3")
    np.testing.assert_allclose(
        normalize_digit(picture * scale), normalize_digit(picture), atol=1e-3
    )


@pytest.mark.parametrize("width", [1, 2, 4, 40])
def test_strokes_get_widths_that_mnist_has(width):
    digit = normalize_digit(stroke(SEVEN, width))
    mask = np.pad(np.kron(digit > 0.5, np.ones((4, 4), bool)), 1)
    # In a bar of width w the distance to its edge is w / 4 on average.
    assert 1.3 < ndimage.distance_transform_edt(mask)[mask].mean() < 6


# Photographs


@pytest.mark.parametrize("light", ["from a corner", "in the middle", "in half shadow"])
def test_the_light_does_not_matter(light):
    picture = drawn("5")
    photographed = noised(lit(picture, light), 5)
    assert apart(normalize_digit(photographed), normalize_digit(picture)) < 0.06


@pytest.mark.parametrize("light", ["from a corner", "in the middle"])
def test_the_light_on_dark_paper_does_not_matter(light):
    picture = drawn("5")
    photographed = noised(lit(255 - picture, light), 5)
    assert apart(normalize_digit(photographed), normalize_digit(picture)) < 0.08


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_hardly_matters(seed):
    picture = drawn("8")
    noisy = noised(60 + picture * 0.55, 40, seed)
    assert apart(normalize_digit(noisy), normalize_digit(picture)) < 0.12


@pytest.mark.parametrize("seed", SEEDS)
def test_specks_are_removed(seed):
    picture = drawn("6")
    specked = picture.copy()
    rng = np.random.default_rng(seed)
    at = rng.random(picture.shape) < 0.01
    specked[at] = rng.choice([0, 255], at.sum())
    # Pairs of specks that touch the digit stay.
    assert apart(normalize_digit(specked), normalize_digit(picture)) < 0.1


def test_a_small_digit_in_a_large_picture_is_found():
    picture = drawn("3", size=60, at=(900, 650), shape=(1200, 900))
    photographed = noised(lit(picture, "from a corner"), 5)
    assert apart(normalize_digit(photographed), normalize_digit(drawn("3"))) < 0.15


def frame(picture):
    picture[20:180, [20, 21, 22, 177, 178, 179]] = 90
    picture[[20, 21, 22, 177, 178, 179], 20:180] = 90


def table(picture):
    picture[180:] = 40


def rules(picture):
    picture[::25] = 170


@pytest.mark.parametrize("add", [frame, table, rules])
def test_what_else_is_on_the_paper_is_removed(add):
    picture = drawn("4", size=100)
    expected = normalize_digit(picture)
    add(picture)
    assert apart(normalize_digit(picture), expected) < 0.05


@pytest.mark.parametrize("text", DIGITS)
def test_a_small_sheet_on_a_dark_table(text):
    picture = drawn(text)
    photographed = np.pad(picture, ((90, 110), (120, 80)), constant_values=50)
    digit = normalize_digit(noised(photographed, 5))
    assert apart(digit, normalize_digit(picture)) < 0.06


def test_a_stroke_that_broke_stays_one_digit():
    picture = drawn("5")
    expected = normalize_digit(picture)
    picture[:, 93:96] = 255
    assert apart(normalize_digit(picture), expected) < 0.08


# Files


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("png", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        *(("tif", mode) for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16")),
        *(("jpg", mode) for mode in ("L", "RGB", "CMYK")),
        *(("webp", mode) for mode in ("RGB", "RGBA")),
        *((kind, mode) for kind in ("gif", "bmp") for mode in ("1", "P", "RGB")),
    ],
)
def test_formats_and_modes(mode, kind, tmp_path):
    picture = drawn("2")
    if mode == "I;16":
        image = Image.fromarray((picture * 16).astype(np.uint16))  # 12 of 16 bits
    else:
        image = Image.fromarray(picture.astype(np.uint8)).convert(mode)
    path = tmp_path / f"digit.{kind}"
    image.save(path)
    assert apart(read_digit(path), normalize_digit(picture)) < 0.03


def test_a_photograph_is_turned_as_its_exif_says(tmp_path):
    picture = drawn("7", shape=(200, 260))
    sideways = Image.fromarray(picture.astype(np.uint8)).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter, clockwise
    sideways.save(tmp_path / "sideways.jpg", exif=exif, quality=95)
    assert apart(read_digit(tmp_path / "sideways.jpg"), normalize_digit(picture)) < 0.03


@pytest.mark.parametrize("ink", [0, 90, 255])
def test_transparent_pixels_are_paper(ink, tmp_path):
    picture = drawn("9")
    alpha = (255 - picture).astype(np.uint8)
    image = Image.merge("LA", [Image.new("L", (200, 200), ink), Image.fromarray(alpha)])
    image.save(tmp_path / "digit.png")
    assert apart(read_digit(tmp_path / "digit.png"), normalize_digit(picture)) < 0.03


def test_a_cut_out_with_transparent_corners(tmp_path):
    picture = drawn("9")
    cut_out = Image.new("L", (200, 200), 0)
    ImageDraw.Draw(cut_out).ellipse((0, 0, 200, 200), 255)
    image = Image.merge("LA", [Image.fromarray(picture.astype(np.uint8)), cut_out])
    image.save(tmp_path / "digit.png")
    assert apart(read_digit(tmp_path / "digit.png"), normalize_digit(picture)) < 0.03


def test_coloured_ink(tmp_path):
    image = Image.new("RGB", (200, 200), "lightyellow")
    ImageDraw.Draw(image).text((100, 100), "3", "blue", font_of(None, 120), anchor="mm")
    image.save(tmp_path / "digit.png")
    expected = normalize_digit(drawn("3", None))
    assert apart(read_digit(tmp_path / "digit.png"), expected) < 0.03


def test_a_large_photograph_is_read(tmp_path):
    image = ImageOps.scale(Image.fromarray(drawn("6").astype(np.uint8)), 20)
    image.save(tmp_path / "digit.jpg")
    assert apart(read_digit(tmp_path / "digit.jpg"), normalize_digit(drawn("6"))) < 0.03


# What cannot be read

BLANK = "shows no digit: it is blank or too faint"


def test_a_missing_file(tmp_path):
    path = tmp_path / "absent.png"
    assert error_of(read_digit, path) == f"{path}: no such file"


def test_a_folder(tmp_path):
    expected = f"{tmp_path}: is a folder; name the pictures in it"
    assert error_of(read_digit, tmp_path) == expected


# Nothing writes to the FIFO: to open it would be to wait for ever.
def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    for name, kind in (("fifo", "a pipe (FIFO)"), ("device", "a device")):
        path = tmp_path / f"{name}.png"
        assert error_of(read_digit, path) == f"{path}: is {kind}, not a file"


def test_a_path_with_a_file_for_a_folder(tmp_path):
    path = saved(tmp_path, drawn("1")) / "below.png"
    assert error_of(read_digit, path) == f"{path}: no such file"


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = saved(tmp_path, drawn("1"))

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    # The user of a test may be one whom no permission stops.
    monkeypatch.setattr(Image, "open", refuse)
    assert error_of(read_digit, path) == f"{path}: may not be read: permission denied"


@pytest.mark.parametrize(
    "content",
    [b"", b"7", b"GIF89a", b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n"],
    ids=["empty", "byte", "GIF", "PDF", "PNG"],
)
def test_no_picture(content, tmp_path):
    path = tmp_path / "digit.png"
    path.write_bytes(content)
    assert error_of(read_digit, path).startswith(f"{path}: ")


def test_text_is_no_picture(tmp_path):
    path = tmp_path / "digit.png"
    path.write_text("seven")
    expected = "no picture that can be read; PNG, JPEG, TIFF, WebP, GIF and BMP can"
    assert error_of(read_digit, path) == f"{path}: {expected}"


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "webp", "gif", "bmp"])
def test_half_a_picture(kind, tmp_path):
    path = saved(tmp_path, drawn("7"), f"digit.{kind}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert error_of(read_digit, path).startswith(f"{path}: damaged picture (")


def png(width, height):
    """Return a PNG of a few bytes whose header says any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + name
        + data
        + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


@pytest.mark.parametrize("side", [10_000, 50_000])
def test_a_decompression_bomb(side, tmp_path):
    path = tmp_path / "digit.png"
    path.write_bytes(png(side, side))
    expected = f"{path}: more than 89 million pixels; scale the picture down"
    assert error_of(read_digit, path) == expected


def test_a_picture_that_is_transparent_all_over(tmp_path):
    path = tmp_path / "digit.png"
    Image.new("RGBA", (50, 50), (0, 0, 0, 0)).save(path)
    assert error_of(read_digit, path) == f"{path}: {BLANK}"


@pytest.mark.parametrize(
    "picture",
    [
        np.full((100, 80), 255),
        np.zeros((100, 80)),
        noised(np.full((300, 400), 200.0), 8),
        noised(np.zeros((200, 200)), 2),
        noised(lit(np.full((300, 300), 255.0), "from a corner"), 3),
        noised(lit(np.full((300, 300), 255.0), "in the middle"), 3),
        np.random.default_rng(0).integers(0, 256, (200, 200)),
        np.full((6, 1000), 255),
    ],
    ids=["white", "black", "paper", "dark", "corner", "middle", "noise", "strip"],
)
def test_a_blank_picture(picture):
    assert error_of(normalize_digit, picture) == BLANK


@pytest.mark.parametrize("text", ["42", "11", "3 8"])
@pytest.mark.parametrize("font", ["DejaVuSans", "STIXGeneral", None])
def test_several_digits(text, font):
    message = error_of(normalize_digit, drawn(text, font, size=80))
    assert message == "shows 2 digits or other marks; cut out the one to be read"


def test_a_number_is_several_digits():
    message = error_of(normalize_digit, drawn("1978", size=60))
    assert message == "shows 4 digits or other marks; cut out the one to be read"


def test_one_digit_above_the_other():
    picture = np.vstack([drawn("8", size=80), drawn("3", size=80)])
    message = error_of(normalize_digit, picture)
    assert message == "shows 2 digits or other marks; cut out the one to be read"


def test_a_long_line_is_no_digit():
    message = error_of(normalize_digit, stroke([(20, 100), (180, 100)], 12))
    expected = (
        "shows several digits, or a mark that is none; cut out the one to be read"
    )
    assert message == expected


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((3, 9)), "9 x 3 pixels show no digit"),
        (np.zeros(784), "grey values of shape (784,), not (height, width)"),
        (np.zeros((0, 5)), "grey values of shape (0, 5), not (height, width)"),
        (np.full((9, 9), np.nan), "grey values that are not finite"),
    ],
)
def test_arrays_that_are_no_picture(picture, message):
    assert error_of(normalize_digit, picture) == message


# The parts


def within_variance(values, threshold):
    parts = values[values < threshold], values[values >= threshold]
    return sum(part.var() * len(part) for part in parts if len(part))


@pytest.mark.parametrize("seed", range(10))
def test_otsu_leaves_the_least_variance_within_the_classes(seed):
    # Otsu, 1979: the largest variance between two classes is the least within them.
    # Values in the middles of the bins, so that the histogram loses nothing.
    rng = np.random.default_rng(seed)
    values = rng.choice(64, p=rng.dirichlet(np.ones(64)), size=500) + 0.5
    values[:2] = 0.5, 63.5
    edges = np.linspace(0.5, 63.5, 65)
    centres = (edges[:-1] + edges[1:]) / 2
    binned = centres[np.clip(np.searchsorted(edges, values, "right") - 1, 0, 63)]
    best = min(within_variance(binned, edge) for edge in edges[1:-1])
    found = within_variance(binned, otsu_threshold(values, 64))
    assert found == pytest.approx(best)


def test_resizing_averages_the_areas():
    # Three pixels on two: the middle one is shared.
    row = np.array([[3.0, 6.0, 9.0]])
    np.testing.assert_allclose(resized(row, (1, 2)), [[4.0, 8.0]])
    np.testing.assert_allclose(resized(row, (2, 3)), [row[0], row[0]])


@pytest.mark.parametrize("seed", SEEDS)
def test_resizing_keeps_the_mean(seed):
    rng = np.random.default_rng(seed)
    picture = rng.random(rng.integers(1, 40, 2))
    other = resized(picture, tuple(rng.integers(1, 40, 2)))
    assert other.mean() == pytest.approx(picture.mean(), rel=1e-5)


def test_eight_by_eight_reverses_the_enlarging_of_the_digits():
    # Of digits in the middle of their square: the others are moved there.
    images = load_digits_28x28().data[:300].reshape(-1, 28, 28)
    inked = images.any(axis=1)
    centred = (inked == inked[:, ::-1]).all(axis=1) & (images[:, 4].any(axis=1))
    assert centred.sum() > 50
    originals = load_digits().data / 16
    for image in images[centred]:
        distances = np.abs(originals - reduce_to_8x8(image).ravel()).mean(axis=1)
        # Two digits of the same writer may be as near.
        assert distances.min() < 0.1 and np.median(distances) > 0.15


# Digits of test sets as pictures


def photographed(digit, seed):
    """Enlarge a digit, shift, invert, blur it a little, and add noise."""
    rng = np.random.default_rng(seed)
    side = int(rng.integers(60, 140))
    how = rng.choice([Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
    large = np.asarray(
        Image.fromarray(digit.astype(np.float32)).resize((side, side), how)
    )
    margins = [(int(rng.integers(0, side)), int(rng.integers(0, side))) for _ in (0, 1)]
    large = np.pad(np.clip(large, 0, 1), margins)
    paper, ink = rng.integers(180, 256), rng.integers(0, 80)
    if rng.random() < 0.5:
        paper, ink = ink, paper
    return noised(paper + (float(ink) - paper) * large, rng.uniform(0, 15), seed)


def read_as_pictures(classifier, X, y, folder):
    """Return the part of the digits correct as arrays that is correct as pictures."""
    right = np.flatnonzero(classifier.predict(X) == y)
    n_right = 0
    for i in right:
        kind = ("png", "jpg", "tif")[i % 3]
        path = saved(folder, photographed(X[i].reshape(28, 28), i), f"digit.{kind}")
        try:
            digit = read_digit(path)
        except PictureError:
            continue
        n_right += classifier.predict(digit.reshape(1, -1))[0] == y[i]
    return n_right / len(right)


def test_bundled_digits_are_read_as_pictures_as_they_are_as_arrays(tmp_path):
    digits = load_digits_28x28()
    # They are not placed as those of MNIST are; so the model sees them.
    data = np.stack([place_digit(row.reshape(28, 28)).ravel() for row in digits.data])
    classifier = KerasMLPClassifier(
        depth=1, widths=100, epochs=30, batch_size=32, random_state=0
    )
    classifier.fit(data[digits.train], digits.target[digits.train])
    X, y = data[digits.test][:100], digits.target[digits.test][:100]
    assert classifier.score(X, y) > 0.93
    assert read_as_pictures(classifier, X, y, tmp_path) >= 0.95


@pytest.fixture(scope="module")
def mnist(mnist_home):
    return fetch_mnist(mnist_home, download_if_missing=False)


@pytest.mark.long
def test_mnist_is_read_as_pictures_as_it_is_as_arrays(
    mnist, mnist_classifier, tmp_path
):
    X, y = mnist.data[mnist.test], mnist.target[mnist.test]
    assert mnist_classifier.score(X, y) > 0.96
    assert read_as_pictures(mnist_classifier, X[:250], y[:250], tmp_path) >= 0.95


@pytest.mark.long
def test_printed_digits_are_read_by_a_model_of_handwritten_ones(mnist_classifier):
    # A printed 1 with a foot, or a 6 and 9 with straight stems, are not in MNIST.
    fonts = [font for font in FONTS if font != "DejaVuSans-Bold"]
    X = [
        normalize_digit(drawn(text, font)).ravel() for font in fonts for text in DIGITS
    ]
    y = np.tile(np.arange(10), len(fonts))
    assert mnist_classifier.score(np.array(X), y) > 0.8


def test_pen_strokes_are_placed_alike_whatever_the_pen():
    digits = [normalize_digit(stroke(SEVEN, width)) for width in (2, 6, 12, 18)]
    for digit in digits[1:]:
        assert apart(digit, digits[0]) < 0.45


# Digits cut out by their box


def cut_out(picture, margin):
    """Cut a picture of light ink on black out by the box of its ink."""
    rows, columns = (np.flatnonzero(picture.any(axis=axis)) for axis in (1, 0))
    box = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.pad(box, margin)


def scaled(picture, scale):
    image = Image.fromarray((picture * 255).round().astype(np.uint8))
    return np.asarray(image.resize((28 * scale, 28 * scale)))


@pytest.mark.parametrize("margin", [0, 1, 2, 3])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_cut_out_is_read_as_the_whole_picture(margin, dark):
    for text in DIGITS:
        whole = 255 - drawn(text, size=40, at=(30, 30), shape=(60, 60))
        picture = cut_out(whole, margin)
        digit = normalize_digit(255 - picture if dark else picture)
        assert apart(digit, normalize_digit(whole)) < 0.1, text


@pytest.mark.parametrize("text", ["42", "1978"])
def test_several_digits_cut_out_are_still_several(text):
    picture = cut_out(255 - drawn(text, size=60), 0)
    assert "digits or other marks" in error_of(normalize_digit, picture)


@pytest.mark.parametrize("side", [12, 20, 40])
@pytest.mark.parametrize("seed", SEEDS)
def test_small_pictures_without_a_digit(side, seed):
    rng = np.random.default_rng(seed)
    for picture in (
        noised(np.full((side, side), 200.0), 4, seed),
        rng.integers(0, 256, (side, side)),
    ):
        error_of(normalize_digit, picture)


def part_read(classifier, X, y, scale, margin, dark):
    """Return the part of digits that is read correctly when they are cut out."""
    digits, labels = [], []
    for x, label in zip(X, y, strict=True):
        picture = cut_out(scaled(x.reshape(28, 28), scale), margin)
        try:
            digits.append(normalize_digit(255 - picture if dark else picture).ravel())
        except PictureError:
            continue
        labels.append(label)
    return np.sum(classifier.predict(np.array(digits)) == labels) / len(y)


@pytest.mark.long
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("margin", [0, 1, 2, 3])
def test_cut_out_digits_of_mnist(mnist, mnist_classifier, scale, margin):
    # Dark ink on light paper for every other pair: the test of printed digits above
    # has each margin with both.
    dark = (scale + margin) % 2 == 1
    # Pictures that are not enlarged are the hardest and the cheapest.
    rows = range(*mnist.test.indices(len(mnist.data)))[: 300 if scale == 1 else 50]
    X, y = mnist.data[rows], mnist.target[rows]
    right = mnist_classifier.predict(X) == y
    found = part_read(mnist_classifier, X[right], y[right], scale, margin, dark)
    assert found >= 0.95


# Several digits in one picture


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_digits_are_found_line_by_line(dark, tmp_path):
    lines = ["407", "3", "8925"]
    page = np.vstack([drawn(t, size=60, at=(150, 40), shape=(300, 80)) for t in lines])
    path = saved(tmp_path, page if dark else 255 - page)
    found = read_digits(path)
    assert [len(line) for line in found] == [3, 1, 4]
    for line, text in zip(found, lines, strict=True):
        for digit, character in zip(line, text, strict=True):
            expected = normalize_digit(drawn(character, size=60))
            assert apart(digit, expected) < 0.1, character


def test_several_digits_cut_out_are_found(tmp_path):
    page = 255 - cut_out(255 - drawn("407", size=60), 0)
    assert [len(line) for line in read_digits(saved(tmp_path, page))] == [3]


def test_marks_that_are_no_digits_are_left_out(tmp_path):
    page = drawn("4.07", size=60)
    page[150:152, 20:180] = 0
    page[20:23, 30:33] = 0
    assert sum(map(len, read_digits(saved(tmp_path, page)))) == 3


def test_a_blank_page(tmp_path):
    path = saved(tmp_path, np.full((90, 90), 255))
    assert error_of(read_digits, path) == f"{path}: {BLANK}"
    absent = tmp_path / "absent.png"
    assert error_of(read_digits, absent) == f"{absent}: no such file"
