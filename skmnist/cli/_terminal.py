"""What all commands do on a terminal: streams, JSON, durations, errors in one line."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import json
import math
import os
import sys
import tempfile

import click


def one_line(error):
    """Say what is wrong and what to do in one line.

    Parameters
    ----------
    error : click.ClickException
        What a command raised.

    Returns
    -------
    line : str
        For wrong use, with the command whose help says what is right.
    """
    line = f"Error: {' '.join(error.format_message().split())}"
    ctx = getattr(error, "ctx", None)
    if ctx is None:
        return line
    return f"{line.rstrip('.')}; see {ctx.command_path} --help"


def echo_json(document):
    """Print one JSON document; numbers that are not finite become null.

    Parameters
    ----------
    document : dict or list
        Plain data.
    """
    click.echo(json.dumps(_finite(document), indent=2, allow_nan=False))


def _finite(value):
    if isinstance(value, dict):
        return {str(key): _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@contextlib.contextmanager
def library_noise_apart():
    """Keep what TensorFlow's C++ code prints at its start off the terminal.

    It writes to the file descriptor, in this process and in its workers, before
    any setting can stop it. Python's own messages still reach the terminal; the
    rest is shown if the block ends in an unexpected error.
    """
    sys.stderr.flush()
    terminal, python_stderr = os.dup(2), sys.stderr
    with (
        tempfile.TemporaryFile() as noise,
        open(terminal, "w", encoding="utf-8", buffering=1) as sys.stderr,
    ):
        os.dup2(noise.fileno(), 2)
        try:
            yield
        except (click.ClickException, KeyboardInterrupt):
            raise
        except BaseException:
            noise.seek(0)
            sys.stderr.write(noise.read().decode(errors="replace"))
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            sys.stderr = python_stderr
