"""What all commands share: help, errors in one line, JSON, completion."""

# SPDX-License-Identifier: BSD-3-Clause

import json
import math
import os
import stat
import subprocess
import sys

import click
import pytest

from skmnist.cli import _commands, main
from skmnist.cli._terminal import echo_json

COMMANDS = sorted(_commands.commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command, capsys):
    assert main([command, "--help"]) == 0
    page = capsys.readouterr().out
    assert "Example" in page
    assert f"\n    skmnist {command}" in page or f"(skmnist {command}" in page


def test_the_help_of_the_whole_names_every_command(capsys):
    assert main(["--help"]) == 0
    page = capsys.readouterr().out
    assert all(f"\n  {command} " in page for command in COMMANDS)


@pytest.mark.parametrize("command", ["fit", "predict", "completion"])
def test_help_needs_no_heavy_import(command):
    heavy = {"numpy", "sklearn", "keras", "tensorflow", "rich", "PIL"}
    code = (
        f"import sys; from skmnist.cli import main; main(['{command}', '--help']); "
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert finished.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["dance"], "Error: No such command 'dance'; see skmnist --help"),
        (["report"], "Error: Missing argument 'DIR'; see skmnist report --help"),
        (
            ["predict", "m"],
            "Error: Missing argument 'FILE...'; see skmnist predict --help",
        ),
        (["report", "absent"], "Error: absent holds no study (no study.json)"),
    ],
)
def test_wrong_use_is_one_line_that_says_what_to_do(arguments, line, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err == line + "\n"


def test_json_has_null_for_what_is_no_number(capsys):
    echo_json({1: [math.nan, -math.inf, 0.5], "b": (True, None, "x")})
    expected = {"1": [None, None, 0.5], "b": [True, None, "x"]}
    assert json.loads(capsys.readouterr().out) == expected


# Completion, by the shell itself


@pytest.fixture
def program(tmp_path):
    """An environment with a program named skmnist, for the shell to complete."""
    path = tmp_path / "bin" / "skmnist"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -m skmnist "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {**os.environ, "PATH": f"{path.parent}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["p"], ["predict"]),
        (["study", "--pre"], ["--preset"]),
        (["study", "--preset", "q"], ["quick"]),
        (["fit", "--dataset", "m"], ["mnist"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
    ],
)
def test_bash_completes(words, expected, program):
    line = " ".join(["skmnist", *words])
    script = (
        'eval "$(skmnist completion bash)"\n'
        f"COMP_WORDS=(skmnist {' '.join(words[:-1])} '{words[-1]}')\n"
        f"COMP_CWORD={len(words)} COMP_LINE='{line}'\n"
        "_skmnist_completion skmnist\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    finished = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, env=program
    )
    assert finished.stdout.split() == expected, finished.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_asks_our_program(shell, capsys):
    assert main(["completion", shell]) == 0
    assert f"_SKMNIST_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_an_error_of_a_command_has_no_hint_at_help(capsys):
    @click.command()
    def fail():
        raise click.ClickException("two\nlines")

    _commands.add_command(fail)
    try:
        assert main(["fail"]) == 2
    finally:
        del _commands.commands["fail"]
    assert capsys.readouterr().err == "Error: two lines\n"
