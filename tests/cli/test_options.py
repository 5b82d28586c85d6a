"""Every option of every command, with odd values: one line, and nothing done."""

# SPDX-License-Identifier: BSD-3-Clause

import inspect
import os
import sys

import click
import numpy as np
import pytest
from click.testing import CliRunner
from training import write_tiny_model

from skmnist import KerasMLPClassifier
from skmnist.cli import _commands, main
from skmnist.cli._options import Count, Duration, FilePath, Limit, Real
from skmnist.neural_network import _training

LONG = "9" * 5000
# Values that no number, time, limit or choice can have.
NONE = ["", "nan", "NaN", "inf", "-inf", "1e400", "x", "é", "数", "None", "[]", LONG]
NONE += ["-", "--", "=", "a=", "1,,2", "0..inf", "0x10", "1\n2", "\udcff", "\0", "1j"]
# Values that some may have.
SOME = ["-1", "0", "0.5", "1.5", "-0.0", "1e3", "1_000", " 1", "+1", "=1", "٣", "true"]
SOME += ["2147483648", "4294967296", "18446744073709551616", "9" * 26]
ODD = [*NONE, *SOME]

# Kinds of options that take none of the first.
NUMBERS = (Count, Real, Duration, Limit, click.Choice)

# What a command needs besides; with it, each ends before it does anything.
NEEDED = {
    "completion": ["no-shell"],
    "draw": ["absent"],
    "export": ["absent"],
    "fit": ["--dataset", "absent.npz"],
    "predict": ["model.skmnist", "absent.png"],
    "report": ["absent"],
    "status": ["absent"],
    "study": ["--dataset", "absent.npz"],
    "tensorboard": ["absent", "log"],
}
OPTIONS = [
    (name, option)
    for name, command in sorted(_commands.commands.items())
    for option in command.params
    if isinstance(option, click.Option) and not option.is_flag
]


def run(*arguments):
    with CliRunner().isolation() as streams:
        status = main([*arguments])
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        return status, *(stream.getvalue().decode() for stream in streams[:2])


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a model's file and data, where nothing else must appear."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SKMNIST_DATA", raising=False)
    write_tiny_model("model.skmnist")
    X = np.random.default_rng(0).random((40, 4))
    np.savez("tiny.npz", X=X, y=[0, 1] * 20)
    before = set(os.listdir())
    yield tmp_path
    assert set(os.listdir()) == before


def check_one_line(arguments, status, out, err):
    assert (out, err.count("\n")) == ("", 1), (arguments, err)
    assert err.startswith("Error: ") and err[:-1].isprintable(), ascii(err)
    assert len(err) < 1000 + len(LONG)
    # Some pictures cannot be read: that is another status than wrong use.
    assert status == (1 if "absent.png: no such file" in err else 2)


def test_all_commands_are_tried():
    assert NEEDED.keys() == _commands.commands.keys()


@pytest.mark.parametrize(
    ("command", "option"), OPTIONS, ids=[f"{n} {o.opts[0]}" for n, o in OPTIONS]
)
def test_an_odd_value_is_one_line(command, option, place):
    for value in ODD:
        given = f"{option.opts[0]}={value}"
        needed = NEEDED[command]
        if option.name == "dataset":
            needed = []
        elif option.name == "data":
            needed = ["--dataset", "mnist"]
        elif option.name == "pixels":
            needed = ["--dataset", "tiny.npz"]
        arguments = [command, *needed, given]
        status, out, err = run(*arguments)
        check_one_line(arguments, status, out, err)
        numeric = isinstance(option.type, NUMBERS)
        if numeric and value in NONE:
            assert f"see skmnist {command} --help" in err, (arguments, err)


def test_every_number_and_name_of_a_file_is_of_our_kinds():
    """A plain float takes nan; a plain path takes a NUL."""
    kinds = (Count, Real, FilePath, Duration, Limit, click.Choice)
    texts = {"dataset", "label", "pixels", "widths", "others", "scheduler"}
    for command in _commands.commands.values():
        for parameter in command.params:
            flag = isinstance(parameter, click.Option) and parameter.is_flag
            if not flag and parameter.name not in texts:
                assert isinstance(parameter.type, kinds), parameter


@pytest.mark.parametrize("command", sorted(NEEDED))
def test_an_odd_argument_is_one_line(command, place):
    n_arguments = sum(
        isinstance(p, click.Argument) for p in _commands.commands[command].params
    )
    for value in ("", "\0", "a\0b", "\udcff", "x" * 5000, "\x1b[2J", "..", "/"):
        if n_arguments:
            check_one_line(value, *run(command, "--", *[value] * n_arguments))


VALUES = ["", "-1", "nan", "1e400", LONG, "1.5", "x", "\udcff", "None", "True", "[]"]
VALUES += ["{}", "[1]", "(1, 2)", "{'a': 1}", "b'x'", "[None]", "1j", "...", "{1}"]
VALUES += ["[" * 500, "[[1]]", "9" * 26]
PARAMETERS = [*inspect.signature(KerasMLPClassifier).parameters, "nonsense", "a__b"]


@pytest.mark.parametrize("name", PARAMETERS)
def test_an_odd_value_of_a_parameter_is_one_line_or_begins_to_train(
    name, place, monkeypatch
):
    def train(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(_training, "_run_epochs", train)
    for value in VALUES:
        arguments = ["fit", "--dataset", "tiny.npz", "--quiet", "--out", "new"]
        status, out, err = run(*arguments, "--set", f"{name}={value}")
        if (status, err.strip()) != (130, "Stopped."):
            check_one_line((name, value), status, out, err)
