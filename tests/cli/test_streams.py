"""Streams that are closed, full, narrow, or have no reader: no traceback."""

# SPDX-License-Identifier: BSD-3-Clause

import os
import subprocess
import sys

import click
import pytest

from skmnist.cli._progress import _echo_error
from skmnist.cli._study import _resumable

# Each prints something, and loads little.
COMMANDS = {
    "help": "--help",
    "status": "status {study}",
    "report": "report {study} --json",
}
SAID = "Error: the output cannot be written, No space left on device\n"
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module", params=COMMANDS)
def command(request, tiny_study):
    arguments = COMMANDS[request.param].format(study=tiny_study)
    return f"{sys.executable} -m skmnist {arguments}"


@pytest.fixture(scope="module")
def plain(command):
    """What a command answers where nothing is in its way."""
    return run(command)


def run(line, **environment):
    """Run a line of a shell; return its status and both streams."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        capture_output=True,
        env={**os.environ, **environment},
        timeout=120,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_closed_stream_changes_no_status(command, plain):
    status, out, err = plain
    assert run(f"{command} >&-") == (status, "", err)
    assert run(f"{command} 2>&-") == (status, out, "")
    assert run(f"{command} <&- >&- 2>&-") == (status, "", "")


def test_a_full_device_is_one_line(command, plain):
    status, out, err = plain
    assert run(f"{command} > /dev/full") == (
        (2, "", SAID) if out else (status, "", err)
    )
    assert run(f"{command} 2> /dev/full") == (status, out, "")
    assert run(f"{command} > /dev/full 2>&1") == (2, "", "")


def test_a_pipe_that_ends_is_no_error_to_tell(command, plain):
    # The reader is gone before anything is printed.
    status, out, err = run(f"{{ sleep 0.2; {command}; }} | true")
    assert (out, err) in (("", ""), ("", plain[2]))


def test_a_narrow_terminal_an_ascii_one_and_none(command, plain):
    status, out, err = plain
    found, *lines = run(command, **ASCII)
    assert found == status and "Traceback" not in lines[1]
    found, *lines = run(command, PYTHONIOENCODING="ascii")
    assert found == status and "Traceback" not in lines[1]
    found, *lines = run(f"setsid {command}", COLUMNS="20", TERM="dumb")
    assert (found, lines[1]) == (status, err)


@pytest.mark.parametrize("stream", ["> /dev/full", "| true"])
def test_a_study_that_cannot_print_says_how_to_go_on(stream, tmp_path):
    options = "--dataset digits --preset quick --epochs 1"
    line = f"{sys.executable} -m skmnist study {options} --out {tmp_path / 'study'}"
    status, out, err = run(f"{line} {stream}")
    assert status == 2 and out == "" and "Traceback" not in err
    assert "goes on from there" in err or f"To go on:\n  skmnist study {options}" in err


def test_a_study_without_a_reader_ends_with_its_command(capfd, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["skmnist", "study", "--seed", "3"])
    with pytest.raises(click.exceptions.Exit), _resumable("study", "study"):
        raise SystemExit(1)
    assert "To go on:\n  skmnist study --seed 3\n" in capfd.readouterr().err


def test_progress_that_cannot_be_printed_ends_nothing(monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        _echo_error("half done")
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space"):
            full.flush()
        # What is left in the buffer cannot be written, nor closed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
