"""The command line: one command each for what the library does."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import sys
import tempfile

import click

# Heavy modules are imported by the commands that need them, so that --help and
# a mistyped option answer at once.

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
        0, 2 for wrong use or bad data, 130 for Ctrl-C.
    """
    # TensorFlow reports the instructions of the processor unless told not to.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        _commands.main(args=argv, prog_name="skmnist", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        return INTERRUPTED
    return 0


@click.group(
    epilog="Example: skmnist study --dataset mnist --out my-study",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="skmnist", prog_name="skmnist")
def _commands():
    """Search the parameters of a multilayer perceptron in stages."""


@_commands.command()
@click.option(
    "--dataset",
    default="auto",
    show_default=True,
    metavar="auto|mnist|digits|FILE.npz",
    help="auto is MNIST where it is found or can be fetched, else the digits "
    "that ship with scikit-learn.",
)
@click.option("--data", metavar="DIR", help="Folder with the MNIST files.")
@click.option(
    "--out",
    default="study",
    show_default=True,
    metavar="DIR",
    help="Folder to write: new or empty, or with the same study, which goes on.",
)
@click.option(
    "--preset",
    type=click.Choice(["report", "quick", "as-reported", "accuracy"]),
    default="report",
    show_default=True,
    help="The report's eight stages, a small form of them, the report's own path "
    "through its candidates whatever the scores say, or a search for accuracy: "
    "learning rate, regularization, distorted images, epochs.",
)
@click.option(
    "--protocol",
    type=click.Choice(["holdout", "report"]),
    default="holdout",
    show_default=True,
    help="Judge candidates by a held-out part of the training data, or by the "
    "test set as the report did, which is optimistic.",
)
@click.option(
    "--n-jobs", default=1, show_default=True, help="Fits at once; -1 for all cores."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option(
    "--epochs",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="Most epochs of a fit.",
)
@click.option(
    "--fresh",
    is_flag=True,
    help="Start over: where the folder exists, in a new one with a number behind.",
)
@click.option("--quiet", is_flag=True, help="Print the result only.")
def study(out, quiet, fresh, **options):
    """Run the staged search and leave a report.

    A study that was stopped goes on when the same command is given again: no fit
    that was finished is repeated.

    \b
    Examples:
      skmnist study
      skmnist study --dataset mnist --data ~/mnist --out mnist-study
      skmnist study --dataset digits --preset quick --n-jobs 2
      skmnist study --dataset my-images.npz --seed 1
    """
    from rich.console import Console

    with _library_noise_apart():
        from .datasets import DataError
        from .folder import StudyFolderError, fresh_folder
        from .study import StudyConfig

        out = str(fresh_folder(out)) if fresh else out
        if options["n_jobs"] == 0:
            raise click.BadParameter("0 fits at once never end", param_hint="--n-jobs")
        screen = Console(quiet=quiet, highlight=False, soft_wrap=True)
        try:
            finished = _run(StudyConfig(**options), out, screen)
        except (DataError, StudyFolderError) as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            raise click.ClickException(f"{error}") from error
    from .report import describe_final

    click.echo(describe_final(finished.summary))
    names = sorted(name for name in os.listdir(out) if not name.startswith("."))
    click.echo(f"Written to {out}: {', '.join(names)}")


@_commands.command()
@click.argument("folder", metavar="DIR")
@click.option(
    "--reported",
    is_flag=True,
    help="Set the source report's figures beside the measured ones; for studies "
    "with --preset as-reported.",
)
def report(folder, reported):
    """Print a study as Markdown.

    \b
    Example:
      skmnist report study > report.md
    """
    from .folder import StudyFolderError, read_study
    from .report import to_markdown, to_reproduction

    try:
        found = read_study(folder)
        page = to_reproduction(found) if reported else to_markdown(found)
    except (StudyFolderError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(page, nl=False)


def _run(config, out, screen):
    """Run a study with its progress on the terminal; write the page it leaves."""
    from rich.console import Console

    from .progress import StudyProgress
    from .report import OPTIMISTIC, describe_data, overview_table, to_markdown
    from .study import run_study

    errors = Console(stderr=True)
    progress = (
        [StudyProgress(errors)] if errors.is_terminal and not screen.quiet else []
    )
    counter = iter(range(1, 1000))

    def on_data(header):
        screen.print(describe_data(header), markup=False)
        if header["optimistic"]:
            screen.print(OPTIMISTIC, markup=False)

    def on_stage(stage, rows):
        _print_stage(screen, next(counter), stage, rows, config.protocol)

    finished = run_study(
        config, out, on_data=on_data, on_stage=on_stage, callbacks=progress
    )
    with open(os.path.join(out, "report.md"), "w", encoding="utf-8") as file:
        file.write(to_markdown(finished))
    screen.print()
    screen.print(_rich(overview_table(finished), "All stages"))
    return finished


def _print_stage(screen, number, stage, rows, protocol):
    from .report import stage_table, title

    table = stage_table(stage, rows, protocol)
    screen.print()
    screen.print(_rich(table, f"{number}. {title(stage)}"))
    screen.print(f"Chosen by {stage['rule']}: {stage['reason']}.", markup=False)


def _rich(table, heading):
    """Bring a table to the terminal's form."""
    from rich import box
    from rich.table import Table

    drawn = Table(title=heading, box=box.SIMPLE, title_justify="left")
    for column in table.columns:
        # One word a line: eight columns fit a terminal of 80 characters.
        words = column.replace("_", "_ ").split()
        narrowest = max(map(len, words))
        drawn.add_column("\n".join(words), justify="right", min_width=narrowest)
    for i, row in enumerate(table.rows):
        drawn.add_row(*row, style="bold green" if i == table.winner else None)
    return drawn


@contextlib.contextmanager
def _library_noise_apart():
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
