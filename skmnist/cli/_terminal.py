"""What all commands do on a terminal: lines, errors, JSON, TensorFlow's noise."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import errno
import json
import math
import os
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .._format import visible

if TYPE_CHECKING:
    from rich.console import Console


# Errors of a stream: full, without a reader, closed, broken.
_OF_A_STREAM = {errno.ENOSPC, errno.EPIPE, errno.EBADF, errno.EIO, errno.EFBIG}


def echo(*lines: str, err: bool = False) -> None:
    """Print lines; nothing in them acts on the terminal.

    Names of files, labels and the like may hold control characters. Also a new line
    in them is written as an escape.

    Parameters
    ----------
    *lines : str
        One line each.
    err : bool, default=False
        Whether to print on standard error.
    """
    for line in lines:
        click.echo(visible(line), err=err)


def say_error(line: str) -> None:
    """Print a line on standard error, if that can be written."""
    with contextlib.suppress(OSError):
        echo(line, err=True)
        return
    drop_output()


def open_streams() -> None:
    """Open the standard streams that whoever started this process has closed.

    What is printed there is lost. Otherwise the first file that is opened would take
    the number of the stream, and get what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def is_of_a_stream(error: OSError) -> bool:
    """Return whether an error is that of an output that is full, or has no reader."""
    return error.filename is None and error.errno in _OF_A_STREAM


def drop_output() -> None:
    """Print nothing more on a standard stream that cannot be written.

    Python would try again at its end, and print an error of its own.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


def echo_text(text: str, err: bool = False) -> None:
    """Print a text of several lines; nothing else in it acts on the terminal.

    On a terminal, lines end between words.
    """
    click.echo(wrapped(visible_lines(text.removesuffix("\n")), err), err=err)


def wrapped(text: str, err: bool = False) -> str:
    """Break the lines of a text between words, if it goes to a terminal.

    Parameters
    ----------
    text : str
        Sentences.
    err : bool, default=False
        Whether it goes to standard error.

    Returns
    -------
    text : str
        Words that are longer than a line stay whole: a path can be copied.
    """
    if not (sys.stderr if err else sys.stdout).isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(
        textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )


def visible_lines(text: str) -> str:
    """Write control characters as escapes, but for new lines."""
    return "\n".join(map(visible, text.split("\n")))


def console(quiet: bool = False, stderr: bool = False) -> "Console":
    """Return the screen that tables are drawn on; no text on it is taken for markup.

    Parameters
    ----------
    quiet : bool, default=False
        Whether to print nothing.
    stderr : bool, default=False
        Whether to print on standard error.

    Returns
    -------
    screen : rich.console.Console
        It prints in colour where the output is a terminal that wants it.
    """
    from rich.console import Console

    return Console(
        quiet=quiet,
        stderr=stderr,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=True,
    )


def one_line(error: click.ClickException) -> str:
    """Say in one line what is wrong and what to do.

    Parameters
    ----------
    error : click.ClickException
        What a command raised.

    Returns
    -------
    line : str
        The message. For wrong use, it ends with the command whose help says more.
    """
    line = f"Error: {' '.join(error.format_message().split())}"
    ctx = getattr(error, "ctx", None)
    if ctx is not None:
        line = f"{line.rstrip('.')}; see {ctx.command_path} --help"
    return visible(line)


def echo_json(document: dict[str, Any] | list[Any]) -> None:
    """Print one JSON document; numbers that are not finite become null.

    Parameters
    ----------
    document : dict or list
        Plain data.
    """
    click.echo(json.dumps(_finite(document), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@contextlib.contextmanager
def library_noise_apart() -> Iterator[None]:
    """Keep off the terminal what TensorFlow's C++ code prints when it starts.

    It writes to the file descriptor, in this process and in its workers, before any
    setting can stop it. Python's own messages still reach the terminal. If the block
    ends in an unexpected error, the rest is shown. Where ``TF_CPP_MIN_LOG_LEVEL`` is
    "0", all of it reaches the terminal.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return
    sys.stderr.flush()
    terminal, python_stderr = os.dup(2), sys.stderr
    with (
        tempfile.TemporaryFile() as noise,
        open(
            terminal, "w", encoding="utf-8", errors="backslashreplace", buffering=1
        ) as sys.stderr,
    ):
        os.dup2(noise.fileno(), 2)
        try:
            yield
        except (click.ClickException, KeyboardInterrupt, MemoryError):
            raise
        except BaseException:
            noise.seek(0)
            sys.stderr.write(noise.read().decode(errors="replace"))
            raise
        finally:
            with contextlib.suppress(OSError):
                sys.stderr.flush()
            os.dup2(terminal, 2)
            sys.stderr = python_stderr
