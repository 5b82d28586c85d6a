"""``skmnist fit`` and ``skmnist predict``, with real processes and files."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits

from skmnist import KerasMLPClassifier
from skmnist.cli import main
from skmnist.cli._model import as_characters

SKMNIST = [sys.executable, "-m", "skmnist"]
QUICK = ["--dataset", "digits", "--widths", "100", "--epochs", "20"]


def run(*arguments, **options):
    return subprocess.run(
        [*SKMNIST, *map(str, arguments)], capture_output=True, text=True, **options
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a small model, and the process that made it."""
    out = tmp_path_factory.mktemp("fit") / "model.skmnist"
    return out, run("fit", *QUICK, "--out", out)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder with pictures that can be read, and others."""
    folder = tmp_path_factory.mktemp("pictures")
    for text in ("0", "3", "42", ""):
        image = Image.new("L", (120, 90), 230)
        font = ImageFont.load_default(60)
        ImageDraw.Draw(image).text((60, 45), text, 20, font, anchor="mm")
        image.save(folder / f"{text or 'blank'}.png")
    (folder / "text.jpg").write_text("no picture")
    return folder


# skmnist fit


def test_fit_says_what_came_of_it_and_keeps_library_noise_apart(trained):
    out, finished = trained
    assert (finished.returncode, finished.stderr) == (0, "")
    data, result, written = finished.stdout.splitlines()
    assert data.startswith("Data: digits, 1,437 training and 360 test samples of 784")
    accuracy = float(re.match(r"Test accuracy (\d+\.\d\d) %", result)[1])
    assert accuracy > 90
    expected = f"Written to {out}. To read pictures: skmnist predict {out} PICTURE..."
    assert written == expected


def test_the_model_of_fit_is_what_the_options_say(trained):
    model = KerasMLPClassifier.load(trained[0])
    params = model.get_params()
    assert (model.n_layers_, params["widths"], params["epochs"]) == (4, 100, 20)
    assert params["random_state"] == 0


@pytest.fixture(scope="module")
def tiny_data(tmp_path_factory):
    """A file with 40 samples of 4 features, for fits that take no time."""
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    X = np.random.default_rng(0).random((40, 4))
    np.savez(path, X=X, y=np.arange(40) % 2)
    return str(path)


@pytest.mark.parametrize(
    ("options", "depth", "widths"),
    [
        (["--widths", "9,8,7"], 3, (9, 8, 7)),
        (["--widths", "9"], 2, 9),
        (["--depth", "1", "--widths", "9"], 1, 9),
    ],
)
def test_fit_takes_depth_from_the_widths(
    options, depth, widths, tiny_data, tmp_path, capsys
):
    out = tmp_path / "m.skmnist"
    quick = ["--dataset", tiny_data, "--epochs", "1", "--set", "activations=tanh"]
    assert main(["fit", *quick, *options, "--out", str(out), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["n_iter"] == 1 and result["model"] == str(out)
    model = KerasMLPClassifier.load(out)
    params = model.get_params()
    assert (model.n_layers_, params["widths"]) == (depth + 2, widths)
    assert params["activations"] == "tanh"


def test_fit_again_replaces_the_model(trained, tiny_data, tmp_path):
    out = tmp_path / "model.skmnist"
    out.write_bytes(trained[0].read_bytes())
    quick = ["--dataset", tiny_data, "--widths", "9", "--epochs", "1", "--quiet"]
    assert main(["fit", *quick, "--out", str(out)]) == 0
    assert KerasMLPClassifier.load(out).get_params()["widths"] == 9


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--widths", "0"], "'0' is no width, nor widths such as 600,200"),
        (["--widths", "wide"], "'wide' is no width, nor widths such as 600,200"),
        (["--depth", "3", "--widths", "5,5"], "depth"),
        (["--dropout", "1"], "--dropout"),
        (["--epochs", "0"], "--epochs"),
        (["--set", "optimizer"], "'optimizer' is not of the form NAME=VALUE"),
        (["--set", "optimiser=sgd"], "Did you mean 'optimizer'?"),
        (["--set", "patience=-1"], "patience"),
        (["--dataset", "absent.npz"], "absent.npz: no such file"),
        (["--out", "no/such/place"], "no/such is no folder; make it first"),
        (["--out", "."], ". is a folder; name a file with --out"),
        (["--out", "thesis.txt"], "thesis.txt is there and no model; name another"),
    ],
)
def test_fit_refuses_in_one_line_and_writes_nothing(
    options, complaint, tiny_data, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thesis.txt").write_text("four years of work")
    assert main(["fit", "--dataset", tiny_data, *options]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and captured.err.startswith("Error: ")
    assert complaint in captured.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert (tmp_path / "thesis.txt").read_text() == "four years of work"


# skmnist predict


def test_predict_prints_a_table(trained, pictures):
    paths = pictures / "0.png", pictures / "3.png"
    # Printed digits are hardly any to a model of handwritten ones.
    finished = run("predict", trained[0], *paths, "--sure", "0")
    assert (finished.returncode, finished.stderr) == (0, "")
    head, *rows = finished.stdout.splitlines()
    assert head.split() == ["file", "digit", "probability"]
    assert [row.split()[:2] for row in rows] == [
        [str(paths[0]), "0"],
        [str(paths[1]), "3"],
    ]
    assert all(row.endswith(" %") for row in rows)


# They take seconds to import.
def test_predict_and_draw_load_neither_tensorflow_nor_scikit_learn(
    trained, pictures, tmp_path
):
    picture, page = pictures / "0.png", tmp_path / "draw.html"
    code = (
        "import sys\n"
        "from skmnist.cli import main\n"
        f"main(['predict', {str(trained[0])!r}, {str(picture)!r}])\n"
        f"main(['draw', {str(trained[0])!r}, '--out', {str(page)!r}])\n"
        "print('loaded', *{name.split('.')[0] for name in sys.modules})"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert page.exists() and "numpy" in loaded
    heavy = {"keras", "matplotlib", "pandas", "scikeras", "sklearn", "tensorflow"}
    assert not loaded & heavy


def test_what_cannot_be_read_is_named_and_the_others_go_on(
    trained, pictures, monkeypatch, capsys
):
    monkeypatch.chdir(pictures)
    names = ["absent.png", "0.png", "text.jpg", "42.png", "blank.png", "3.png"]
    assert main(["predict", str(trained[0]), *names]) == 1
    out, err = capsys.readouterr()
    rows = out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["0.png", "3.png"]
    can = "PNG, JPEG, TIFF, WebP, GIF and BMP can"
    assert err.splitlines() == [
        "Error: absent.png: no such file",
        f"Error: text.jpg: no picture that can be read; {can}",
        "Error: 42.png: shows 2 digits or other marks; cut out the one to be read",
        "Error: blank.png: shows no digit: it is blank or too faint",
    ]


def test_predict_as_json(trained, pictures, monkeypatch, capsys):
    monkeypatch.chdir(pictures)
    names = ["0.png", "absent.png", "3.png"]
    assert main(["predict", str(trained[0]), *names, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["model"] == str(trained[0])
    entries = document["pictures"]
    assert [entry["file"] for entry in entries] == names
    assert entries[1] == {"file": "absent.png", "error": "absent.png: no such file"}
    for entry, digit in ((entries[0], 0), (entries[2], 3)):
        assert entry["digit"] == digit
        probabilities = entry["probabilities"]
        assert list(probabilities) == list("0123456789")
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert max(probabilities.values()) == entry["probability"]


def test_nothing_but_errors_is_status_1(trained, pictures, capsys):
    assert main(["predict", str(trained[0]), str(pictures / "blank.png")]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1


def test_show_draws_what_the_network_saw(trained, pictures, capsys):
    assert main(["predict", str(trained[0]), str(pictures / "0.png"), "--show"]) == 0
    drawing = capsys.readouterr().out.split("\n\n", 1)[1].splitlines()[1:]
    assert len(drawing) == 28
    assert max(map(len, drawing)) <= 56
    inked = [bool(line.strip()) for line in drawing]
    assert sum(inked) == 20
    # The hole of a 0 is in the middle, and its strokes are at both sides.
    assert drawing[14][27:29] == "  "
    assert "@@" in drawing[14][:27] and "@@" in drawing[14][29:]


def test_save_seen_keeps_the_pictures_and_touches_no_others(
    trained, pictures, tmp_path
):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes((pictures / "0.png").read_bytes())
    both = [tmp_path / name / "0.png" for name in ("a", "b")]
    before = [path.read_bytes() for path in both]
    save = ["--save-seen", str(tmp_path / "a"), "--json"]
    assert main(["predict", str(trained[0]), *map(str, both), *save]) == 0
    assert [path.read_bytes() for path in both] == before
    seen = [Image.open(tmp_path / "a" / f"0-seen{n}.png") for n in ("", "-2")]
    for image in seen:
        assert (image.size, image.mode) == ((28, 28), "L")
        assert np.asarray(image).max() > 230


@pytest.fixture(scope="module")
def small_model(tmp_path_factory):
    """A model of the 8 x 8 digits, in their own scale from 0 to 16."""
    path = tmp_path_factory.mktemp("small") / "small.skmnist"
    X, y = load_digits(return_X_y=True)
    classifier = KerasMLPClassifier(1, 50, epochs=20, batch_size=32, random_state=0)
    classifier.fit(X[:1000], y[:1000]).save(path)
    return path


def test_a_model_of_8_by_8_digits_reads_pictures(small_model, pictures, capsys):
    paths = [str(pictures / f"{text}.png") for text in "03"]
    command = ["predict", str(small_model), *paths, "--ink", "16", "--json"]
    assert main(command) == 0
    entries = json.loads(capsys.readouterr().out)["pictures"]
    assert [entry["digit"] for entry in entries] == [0, 3]


SCALES = {
    "255": lambda X: X * 255 / 16,
    "-1..1": lambda X: X / 8 - 1,
    "standardized": lambda X: (X - 4.9) / 6,
}


@pytest.mark.parametrize("scale", SCALES)
def test_predict_uses_the_scale_that_the_model_was_trained_with(
    scale, tmp_path, pictures, capsys
):
    X, y = load_digits(return_X_y=True)
    given = SCALES[scale](X)
    classifier = KerasMLPClassifier(1, 50, epochs=15, batch_size=32, random_state=0)
    classifier.fit(given[:1000], y[:1000]).save(tmp_path / "m.skmnist")
    assert classifier.input_range_ == (given[:1000].min(), given[:1000].max())
    paths = [str(pictures / f"{text}.png") for text in "03"]
    assert main(["predict", str(tmp_path / "m.skmnist"), *paths, "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)["pictures"]
    assert [entry["digit"] for entry in entries] == [0, 3]


def test_a_file_of_pixels_up_to_16_is_fitted_and_reads_pictures(
    tmp_path, pictures, capsys
):
    X, y = load_digits(return_X_y=True)
    np.savez(tmp_path / "own.npz", X=X.astype(np.uint8), y=y[:, None])
    out = str(tmp_path / "m.skmnist")
    quick = ["--dataset", str(tmp_path / "own.npz"), "--widths", "50", "--epochs", "15"]
    assert main(["fit", *quick, "--out", out]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert "Pixels from 0 to 16, scaled from 0..16 to 0..1" in first
    paths = [str(pictures / f"{text}.png") for text in "03"]
    assert main(["predict", out, *paths, "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)["pictures"]
    assert [entry["digit"] for entry in entries] == [0, 3]


def test_a_model_of_other_data_is_refused(tmp_path, pictures, capsys):
    X = np.random.default_rng(0).random((40, 5))
    classifier = KerasMLPClassifier(1, 4, epochs=1, random_state=0)
    classifier.fit(X, np.arange(40) % 2).save(tmp_path / "other.skmnist")
    model = str(tmp_path / "other.skmnist")
    assert main(["predict", model, str(pictures / "0.png")]) == 2
    expected = (
        f"Error: {model} takes 5 features; pictures are read by models of 784 "
        "(28 x 28 pixels) or 64 (8 x 8)\n"
    )
    assert capsys.readouterr().err == expected


def test_a_folder_with_a_model_stands_for_it(trained, pictures, tmp_path, capsys):
    (tmp_path / "model.skmnist").write_bytes(trained[0].read_bytes())
    assert main(["predict", str(tmp_path), str(pictures / "3.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"][0]["digit"] == 3


def test_models_that_cannot_be_used(tmp_path, pictures, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.json").write_text("{}")
    (tmp_path / "text").write_text("no model")
    complaints = {
        "absent": "absent: no such file; skmnist fit --out absent makes one",
        "empty": "empty holds no model.skmnist",
        "study": "study holds a study that is not finished; give its command again",
        "text": "text: not a saved skmnist classifier, a damaged one",
    }
    for model, complaint in complaints.items():
        assert main(["predict", model, str(pictures / "0.png")]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"Error: {complaint}") and error.count("\n") == 1


def on_a_terminal(arguments, monkeypatch):
    """Run a command with a terminal for its output; return what it wrote there."""
    controller, terminal = pty.openpty()
    written = []

    def read():
        # It ends with an error when the other end is closed.
        with contextlib.suppress(OSError):
            while part := os.read(controller, 4096):
                written.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    # The bar is drawn by the file descriptor, which is that of the process.
    kept = os.dup(2)
    os.dup2(terminal, 2)
    try:
        with monkeypatch.context() as patch, open(terminal, "w") as screen:
            patch.setenv("TERM", "xterm-256color")
            patch.setattr(sys, "stdout", screen)
            patch.setattr(sys, "stderr", screen)
            status = main(arguments)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
    reader.join(60)
    os.close(controller)
    assert status == 0
    return b"".join(written).decode()


COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7])[;m]")


def test_colours_only_on_a_terminal_that_wants_them(
    trained, pictures, monkeypatch, capsys
):
    command = ["predict", str(trained[0]), str(pictures / "0.png")]
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert main(command) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert COLOUR.search(on_a_terminal(command, monkeypatch))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not COLOUR.search(on_a_terminal(command, monkeypatch))


def test_fit_draws_a_bar_on_a_terminal(tiny_data, tmp_path, monkeypatch):
    quick = ["--dataset", tiny_data, "--widths", "9", "--epochs", "3"]
    command = ["fit", *quick, "--out", str(tmp_path / "m.skmnist")]
    assert "epochs" in on_a_terminal(command, monkeypatch)


def test_pictures_as_text():
    picture = np.array([[1.0, 0.0, 0.6], [0.0, 1.0, 0.1]])
    assert as_characters(picture) == "@@  ++\n  @@.."


# Several digits, and what is none


def test_several_digits_are_read_line_by_line(trained, pictures, tmp_path, capsys):
    one = np.asarray(Image.open(pictures / "3.png"))
    zero = np.asarray(Image.open(pictures / "0.png"))
    page = np.vstack([np.hstack([one, zero, zero]), np.hstack([zero, one, one])])
    Image.fromarray(page).save(tmp_path / "page.png")
    command = ["predict", str(trained[0]), str(tmp_path / "page.png"), "--digits"]
    assert main([*command, "--sure", "0", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["pictures"]
    assert entry["lines"] == ["300", "033"]
    assert [digit["line"] for digit in entry["digits"]] == [0, 0, 0, 1, 1, 1]
    assert main([*command, "--sure", "0", "--save-seen", str(tmp_path)]) == 0
    row = capsys.readouterr().out.splitlines()[1]
    assert row.split()[1:3] == ["300", "033"]
    with Image.open(tmp_path / "page-seen.png") as seen:
        assert seen.size == (84, 56)


def test_what_is_hardly_a_digit_is_unsure(trained, pictures, capsys):
    command = ["predict", str(trained[0]), str(pictures / "0.png"), "--sure", "1"]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1] == "unsure"
    assert main([*command, "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["pictures"]
    assert (entry["digit"], entry["unsure"]) == (0, True)
    assert main([*command, "--digits"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1] == "?"
