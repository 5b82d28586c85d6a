"""What a study shows on a real pseudo-terminal, read as a person reads the screen."""

# SPDX-License-Identifier: BSD-3-Clause

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest
from processes import study_command, study_environment

from skmnist.study import read_study

pyte = pytest.importorskip("pyte")

pytestmark = pytest.mark.long
LINES = 400


def shown(command, columns, cwd):
    """Run a command on a terminal; return the lines that stand there at its end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
    environment = {**study_environment(), "TERM": "xterm-256color"}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        environment.pop(name, None)
    screen = pyte.Screen(columns, LINES)
    stream = pyte.ByteStream(screen)
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment
    ) as process:
        os.close(theirs)
        while True:
            try:
                content = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not content:
                break
            stream.feed(content)
    os.close(ours)
    return process.returncode, [line.rstrip() for line in screen.display]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("screen")


# The second one finds all fits in the folder. Tables of other widths: test_tables.py.
@pytest.mark.parametrize("columns", [80, 140])
def test_each_stage_has_its_table_and_its_reason_on_the_screen(columns, folder):
    command = [word for word in study_command("study") if word != "--quiet"]
    status, lines = shown(command, columns, folder)
    text = "\n".join(lines)
    assert status == 0, text
    study = read_study(folder / "study")
    for number, stage in enumerate(study.stages, 1):
        assert f"{number}. {stage.title}" in lines
        reason = f"Chosen by {stage.rule}: {stage.reason}."
        assert " ".join(reason.split()) in " ".join(text.split())
    assert "…" not in text
    # No bar is left on the screen, and none has written over a table.
    assert "━" not in text
    accuracies = re.findall(r"\d+\.\d\d %", text)
    assert len(accuracies) >= 2 * len(study.rows)
