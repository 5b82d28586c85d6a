"""What is no file, or may not be read, where a file is expected: one line, at once."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from training import write_tiny_model

from skmnist.cli import main

NOBODY = 65534  # a user who may read nothing of ours


def make_socket(path):
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as made:
        made.bind(str(path))


def make_closed(path):
    path.write_text("closed")
    path.chmod(0)


KINDS = {
    "pipe": os.mkfifo,
    "endless device": lambda path: path.symlink_to("/dev/zero"),
    "full device": lambda path: path.symlink_to("/dev/full"),
    "socket": make_socket,
    "folder": os.mkdir,
    "closed": make_closed,
    "loop": lambda path: path.symlink_to(path.name),
}


@pytest.fixture(scope="module")
def place():
    """A folder that every user may use, with a model, a picture, data and a study."""
    with tempfile.TemporaryDirectory(prefix="skm") as folder:
        place = Path(folder)
        # No whole model: what is wrong with the other file is found first.
        write_tiny_model(place / "model.skmnist")
        Image.new("L", (9, 9), 200).save(place / "picture.png")
        np.savez(place / "tiny.npz", X=np.eye(12), y=[0, 1] * 6)
        for path in place.iterdir():
            path.chmod(0o666)
        place.chmod(0o777)
        yield place


@contextlib.contextmanager
def nobody(wanted):
    """Make this process another user, if it is root and that is wanted."""
    switch = wanted and os.getuid() == 0
    if switch:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if switch:
            os.seteuid(0)


@contextlib.contextmanager
def at_once(seconds=60):
    """Fail if something waits; a busy machine needs some seconds for an import."""

    def fail(number, frame):
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run(arguments, closed=False):
    """Run a command; return its status and both streams."""
    with at_once(), nobody(closed), CliRunner().isolation() as streams:
        status = main(list(map(str, arguments)))
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        return status, *(stream.getvalue().decode() for stream in streams[:2])


# Each command with a path in each place where one may stand.
COMMANDS = {
    "predict MODEL": lambda path: ["predict", path, "picture.png"],
    "predict PICTURE": lambda path: ["predict", "model.skmnist", path],
    "draw MODEL": lambda path: ["draw", path],
    "draw --out": lambda path: ["draw", "model.skmnist", "--out", path],
    "fit --dataset": lambda path: ["fit", "--dataset", path, "--out", "new"],
    "fit --data": lambda path: ["fit", "--dataset", "mnist", "--data", path],
    "fit --out": lambda path: ["fit", "--dataset", "tiny.npz", "--out", path],
    "study --dataset": lambda path: ["study", "--dataset", path, "--out", "new"],
    "study --data": lambda path: ["study", "--dataset", "mnist", "--data", path],
    "study --out": lambda path: ["study", "--dataset", "tiny.npz", "--out", path],
    "status DIR": lambda path: ["status", path],
    "report DIR": lambda path: ["report", path],
    "report OTHER": lambda path: ["report", path, path],
    "report --json": lambda path: ["report", path, "--json"],
    "report --reported": lambda path: ["report", path, "--reported"],
    "tensorboard DIR": lambda path: ["tensorboard", path, "log"],
}
# A folder to write to, and one that holds nothing yet.
FINE = {("study --out", "folder")}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_path_that_is_no_file_is_one_line_at_once(place, kind, command, monkeypatch):
    if (command, kind) in FINE:
        pytest.skip("this is what is asked for")
    monkeypatch.chdir(place)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        os.chmod(folder, 0o777)
        suffix = {"--dataset": ".npz", "PICTURE": ".png"}.get(command.split()[1], "")
        path = Path(folder) / f"a{suffix}"
        KINDS[kind](path)
        status, out, err = run(COMMANDS[command](path), kind == "closed")
        assert (status, out) == (1 if "PICTURE" in command else 2, ""), err
        assert err.startswith("Error: ") and err.count("\n") == 1, err
        assert os.path.lexists(path)
        assert os.listdir(folder) == [path.name]


# In a folder of MNIST, and in that of a study.

FILES_OF_STUDY = (
    ".lock",
    "curves.json",
    "model.skmnist",
    "predictions.npz",
    "results.csv",
    "stages.json",
    "study.json",
    "summary.json",
    "trials.jsonl",
)
OF_A_STUDY = {
    "status": lambda folder: ["status", folder],
    "report --json": lambda folder: ["report", folder, "--json"],
    "report OTHER": lambda folder: ["report", folder, folder],
}
# Those that need no network are enough: all commands read a file by one function.
ODD = {
    kind: make for kind, make in KINDS.items() if kind in ("pipe", "folder", "closed")
}


@pytest.mark.parametrize("name", FILES_OF_STUDY)
@pytest.mark.parametrize("kind", ODD)
def test_a_file_of_a_study_that_is_none_is_one_line_or_left_out(
    place, tiny_study, kind, name
):
    with tempfile.TemporaryDirectory(dir=place) as folder:
        folder = Path(folder) / "study"
        shutil.copytree(
            tiny_study, folder, ignore=shutil.ignore_patterns("skmnist-fits")
        )
        for path in folder.parent, folder, *folder.iterdir():
            path.chmod(0o777)
        (folder / name).unlink(missing_ok=True)
        ODD[kind](folder / name)
        for command in OF_A_STUDY.values():
            status, out, err = run(command(folder), kind == "closed")
            if status == 0:
                assert out and name not in ("study.json", "results.csv")
            else:
                assert (status, out) == (2, "")
                assert err.startswith("Error: ") and err.count("\n") == 1, err


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_mnist_that_is_none_is_one_line(place, kind):
    with tempfile.TemporaryDirectory(dir=place) as folder:
        os.chmod(folder, 0o777)
        names = [
            f"{part}-{what}-ubyte"
            for part in ("train", "t10k")
            for what in ("images-idx3", "labels-idx1")
        ]
        for name in names:
            KINDS[kind](Path(folder) / name)
        arguments = ["fit", "--dataset", "mnist", "--data", folder]
        status, out, err = run(arguments, kind == "closed")
        assert (status, out) == (2, "")
        assert err.startswith("Error: ") and err.count("\n") == 1, err
