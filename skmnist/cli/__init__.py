"""The command line: one command each for what the library does."""

# SPDX-License-Identifier: BSD-3-Clause

import os

import click

from ._model import fit, predict
from ._options import completion
from ._study import report, status, study, tensorboard
from ._terminal import one_line

INTERRUPTED = 130


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments without the program's name; None for those of the process.

    Returns
    -------
    status : int
        0, 1 where some of several pictures could not be read, 2 for wrong use or
        bad data, 130 for Ctrl-C, 143 for a termination.
    """
    # TensorFlow reports the instructions of the processor unless told not to.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        # The status of a command that ends early, else nothing.
        status = _commands.main(args=argv, prog_name="skmnist", standalone_mode=False)
    except click.ClickException as error:
        click.echo(one_line(error), err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        return INTERRUPTED
    return status if isinstance(status, int) else 0


@click.group(
    epilog="""\b
    Examples:
      skmnist study --dataset mnist --out my-study
      skmnist fit --out model.skmnist
      skmnist predict model.skmnist photograph.jpg""",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="skmnist", prog_name="skmnist")
def _commands():
    """Search the parameters of a multilayer perceptron in stages."""


for _command in (study, status, report, tensorboard, fit, predict, completion):
    _commands.add_command(_command)
