"""Start-up: the command line, and the bare import, in processes of their own."""

# SPDX-License-Identifier: BSD-3-Clause

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from timing import in_turns, quartiles, spread, table, target

TITLE = "Start-up"
RUNS = 15
MOST_SECONDS = {
    "skmnist --help": 0.3,
    "import skmnist": 0.2,
    "skmnist predict MODEL PICTURE": 1.0,
}
_SKMNIST = [str(Path(sys.executable).with_name("skmnist"))]


def measure(options):
    """Start each command in turns; the first round fills the disk cache."""
    with tempfile.TemporaryDirectory() as folder:
        return _measure(options, *_model_and_picture(Path(folder)))


def _model_and_picture(folder):
    """Make the network of the report, and a picture of a digit."""
    model, picture = folder / "model.skmnist", folder / "seven.png"
    settings = ["--dataset", "digits", "--widths", "600,200", "--epochs", "1"]
    command = [*_SKMNIST, "fit", *settings, "--out", str(model), "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    image = Image.new("L", (640, 480), 230)
    font = ImageFont.load_default(300)
    ImageDraw.Draw(image).text((320, 240), "7", 20, font, anchor="mm")
    image.save(picture)
    return str(model), str(picture)


def _measure(options, model, picture):
    commands = {
        "bare interpreter": [sys.executable, "-c", "pass"],
        "import skmnist": [sys.executable, "-c", "import skmnist"],
        "skmnist --help": [*_SKMNIST, "--help"],
        "skmnist predict MODEL PICTURE": [*_SKMNIST, "predict", model, picture],
    }
    seconds = {name: [] for name in commands}
    for turn, name in in_turns(commands, 1 + (2 if options.quick else RUNS)):
        started = time.perf_counter()
        subprocess.run(commands[name], check=True, stdout=subprocess.DEVNULL)
        if turn > 0:
            seconds[name].append(time.perf_counter() - started)
    return {"seconds": seconds}


def summarize(samples):
    """Bring the samples to a table and targets."""
    seconds = samples["seconds"]
    rows = [[f"`{name}`", spread(times, 1e3, 0)] for name, times in seconds.items()]
    targets = [
        target(f"`{name}`", quartiles(seconds[name])[1], most=most, unit="s", digits=3)
        for name, most in MOST_SECONDS.items()
        if name in seconds
    ]
    caption = f"{len(seconds['skmnist --help'])} starts of each"
    columns = ("process", "whole process, ms")
    tables = [table(caption, columns, rows)]
    return {"tables": tables, "comparisons": [], "targets": targets}
