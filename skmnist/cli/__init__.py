"""The command line: a command for each thing that the library does."""

# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Sequence

import click

from .._memory import is_of_memory, said_of_memory
from ._draw import draw
from ._export import export
from ._model import fit, predict
from ._options import completion
from ._study import report, status, study, tensorboard
from ._terminal import drop_output, is_of_a_stream, one_line, open_streams, say_error

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, default=None
        Arguments without the program's name. None: the arguments of the process.

    Returns
    -------
    status : int
        0 for success, 1 if some pictures could not be read, 2 for wrong use or bad
        data, 130 after Ctrl-C, 143 after a termination.

    Examples
    --------
    >>> from skmnist.cli import main
    >>> main(["--version"])  # doctest: +ELLIPSIS
    skmnist, version ...
    0
    """
    # Else TensorFlow says which instructions the processor has.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    open_streams()
    try:
        # A command returns a status, or None for success.
        status = _commands.main(args=argv, prog_name="skmnist", standalone_mode=False)
    except click.ClickException as error:
        say_error(one_line(error))
        return 2
    except (click.Abort, KeyboardInterrupt):
        say_error("Stopped.")
        return INTERRUPTED
    except OSError as error:
        if not is_of_a_stream(error):
            raise
        drop_output()
        say_error(f"Error: the output cannot be written, {error.strerror}")
        return 2
    except Exception as error:
        if not is_of_memory(error):
            raise
        say_error(f"Error: {said_of_memory(error)}")
        return 2
    return status if isinstance(status, int) else 0


@click.group(
    epilog="""\b
    Examples:
      skmnist study --dataset mnist --out my-study
      skmnist fit --out model.skmnist
      skmnist predict model.skmnist photograph.jpg
      skmnist draw model.skmnist""",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="skmnist", prog_name="skmnist")
def _commands() -> None:
    """Search the parameters of a multilayer perceptron in stages."""


_ALL = (study, status, report, tensorboard, fit, predict, draw, export, completion)
for _command in _ALL:
    _commands.add_command(_command)
