"""`skmnist study`, `status`, `report` and `tensorboard`."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import functools
import os
import shlex
import sys
import warnings

import click

from ._options import Duration, Limit, data_options
from ._terminal import echo_json, library_noise_apart

# Heavy modules are imported by the commands that need them, so that --help and
# a mistyped option answer at once.


@click.command()
@data_options
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
@click.option(
    "--backend",
    type=click.Choice(["loky", "dask"]),
    default="loky",
    show_default=True,
    help="Fit in processes of this machine, or on the workers of a Dask cluster.",
)
@click.option(
    "--scheduler",
    metavar="tcp://HOST:PORT",
    help="The cluster's scheduler, for --backend dask.",
)
@click.option(
    "--time-budget",
    type=Duration(),
    metavar="TIME",
    help="Start no fit of the search after this time (90, 15m, 2h30m); the stages "
    "done stand.",
)
@click.option(
    "--n-iter",
    type=Limit(),
    multiple=True,
    metavar="N|STAGE=N",
    help="Draw at most N candidates from the grid of every stage, or of one.",
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
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the study as one JSON document, and all else to standard error.",
)
def study(out, quiet, fresh, as_json, **options):
    """Run the staged search and leave a report.

    A study that was stopped goes on when the same command is given again: no fit
    that was finished is repeated.

    \b
    Examples:
      skmnist study
      skmnist study --dataset mnist --data ~/mnist --out mnist-study
      skmnist study --dataset digits --preset quick --n-jobs 2
      skmnist study --dataset my-images.npz --seed 1
      skmnist study --time-budget 30m --n-iter depth_width=6
      skmnist study --backend dask --scheduler tcp://10.0.0.1:8786
    """
    config = _config(options)
    asked, out = out, _fresh(out) if fresh else out
    with _resumable(out, asked), library_noise_apart():
        finished = _run_or_explain(config, out, quiet, as_json)
    from ..reporting._text import describe_final

    if as_json:
        return echo_json({"folder": out, **finished.as_dict()})
    click.echo(describe_final(finished.summary))
    names = sorted(name for name in os.listdir(out) if not name.startswith("."))
    click.echo(f"Written to {out}: {', '.join(names)}")
    click.echo(f"To read: {os.path.join(out, 'report.html')}")


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON instead.")
def status(folder, as_json):
    """Tell how far a study is, while it runs or afterwards.

    \b
    Examples:
      skmnist status study
      watch -n 10 skmnist status study
    """
    from ..study._status import describe_status, study_status
    from ..study._storage import StudyFolderError

    try:
        found = study_status(folder)
    except StudyFolderError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        return echo_json(found.as_dict())
    click.echo(describe_status(found))


@click.command()
@click.argument("folder", metavar="DIR")
@click.argument("other", metavar="[OTHER]", required=False)
@click.option(
    "--html",
    metavar="FILE",
    help="Write the page there, and nothing into DIR.",
)
@click.option(
    "--reported",
    is_flag=True,
    help="Only print the source report's figures beside the measured ones; for "
    "studies with --preset as-reported.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Only print the study as JSON instead."
)
def report(folder, other, html, reported, as_json):
    """Write a study's page anew, and print the study as Markdown.

    DIR/report.html, to be opened in a browser, and DIR/report.md are made again
    from the study's files. With OTHER, another study, nothing is written: what
    differs between the two is printed.

    \b
    Examples:
      skmnist report study
      skmnist report study --html study.html
      skmnist report study --json > study.json
      skmnist report study other-study > comparison.md
    """
    if other and (html or reported or as_json):
        raise click.UsageError("--html, --reported and --json are for a single study")
    from ..study._storage import StudyFolderError

    try:
        if other:
            click.echo(_comparison(folder, other), nl=False)
        elif reported:
            click.echo(_reproduction(folder), nl=False)
        elif as_json:
            _print_as_json(folder)
        else:
            _write_and_print(folder, html)
    except (StudyFolderError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def _comparison(*folders):
    from ..reporting._comparison import to_comparison
    from ..study._artifacts import read_evidence
    from ..study._storage import read_study

    studies = map(read_study, folders)
    return to_comparison(*studies, tuple(map(read_evidence, folders)), folders)


def _reproduction(folder):
    from ..reporting._source_report import to_reproduction
    from ..study._storage import read_study

    return to_reproduction(read_study(folder))


def _print_as_json(folder):
    from ..study._storage import read_study

    echo_json({"folder": folder, **read_study(folder).as_dict()})


def _write_and_print(folder, html):
    from ..reporting._html import write_report

    try:
        markdown, paths = write_report(folder, html)
    except OSError as error:
        hint = "" if html else "; name another place with --html FILE"
        raise click.ClickException(f"{error}{hint}") from error
    click.echo(markdown, nl=False)
    click.echo(f"Written: {', '.join(map(str, paths))}", err=True)


@click.command()
@click.argument("folder", metavar="DIR")
@click.argument("logdir", metavar="LOGDIR")
def tensorboard(folder, logdir):
    """Write a study's candidates as runs of TensorBoard's HParams plugin.

    LOGDIR is new or empty. Needs TensorBoard: pip install "skmnist[tensorboard]".

    \b
    Example:
      skmnist tensorboard study study-log
      tensorboard --logdir study-log
    """
    with library_noise_apart():
        from ..reporting._tensorboard import log_study
        from ..study._storage import StudyFolderError

        try:
            runs = log_study(folder, logdir)
        except (StudyFolderError, OSError, ImportError) as error:
            raise click.ClickException(str(error)) from error
    click.echo(f"{len(runs)} runs written. See them: tensorboard --logdir {logdir}")


def _fresh(out):
    from ..study._storage import fresh_folder

    return str(fresh_folder(out))


def _config(options):
    """Return the configuration that was asked for, or say what cannot be."""
    limits = dict(options.pop("n_iter"))
    n_iter = limits.pop(None, None) if limits.keys() == {None} else limits or None
    if isinstance(n_iter, dict) and None in n_iter:
        raise click.BadParameter(
            "give one number for all stages, or STAGE=N for some", param_hint="--n-iter"
        )
    from ..study._config import ConfigError, StudyConfig

    try:
        return StudyConfig(**options, n_iter=n_iter)
    except ConfigError as error:
        option = f"--{error.name.partition('.')[0].replace('_', '-')}"
        raise click.BadParameter(str(error), param_hint=option) from error


def _run_or_explain(config, out, quiet, as_json):
    """Run a study; what can go wrong becomes a line that says what to do."""
    from rich.console import Console

    from ..datasets._loaders import DataError
    from ..model_selection._executors import ClusterError
    from ..model_selection._runner import AllFailedError
    from ..study._storage import StudyFolderError

    screen = Console(quiet=quiet, stderr=as_json, highlight=False, soft_wrap=True)
    # joblib replaces workers that have grown; that is no news.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given")
    try:
        return _run(config, out, screen)
    except TimeoutError as error:
        raise click.ClickException(
            f"{error}. The fits that are finished are kept: the same command with a "
            "larger --time-budget goes on"
        ) from error
    except (DataError, StudyFolderError, AllFailedError, ClusterError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(
            f"{error}. What {out} held before is as it was; the same command goes on "
            "from there"
        ) from error


@contextlib.contextmanager
def _resumable(out, asked):
    """Say on Ctrl-C or termination how to go on, and end with the usual status."""
    from ._signals import StoppedError, stoppable

    words = [word for word in sys.argv[1:] if word != "--fresh"]
    # The last --out counts.
    command = shlex.join(["skmnist", *words, *(["--out", out] if out != asked else [])])
    terminal = os.dup(2)

    def say():
        said = f"Stopped; every finished fit is kept. To go on:\n  {command}\n"
        # Standard error may be on its way to somewhere else.
        os.write(terminal, said.encode())

    try:
        with stoppable(say):
            yield
    except StoppedError as stopped:
        raise click.exceptions.Exit(stopped.status) from stopped
    finally:
        os.close(terminal)


def _run(config, out, screen):
    """Run a study with its progress on the terminal; write the page it leaves."""
    from rich.console import Console

    from ..reporting._html import write_report
    from ..reporting._text import OPTIMISTIC, describe_data, overview_table
    from ..study._run import run_study
    from ._progress import StudyLines, StudyProgress

    errors = Console(stderr=True)
    progress = []
    if not screen.quiet:
        lines = StudyLines(functools.partial(click.echo, err=True))
        progress = [StudyProgress(errors) if errors.is_terminal else lines]
    counter = iter(range(1, 1000))

    def on_data(header):
        screen.print(describe_data(header.data), markup=False)
        if header.optimistic:
            screen.print(OPTIMISTIC, markup=False)

    def on_stage(stage, rows):
        _print_stage(screen, next(counter), stage, rows, config.protocol)

    finished = run_study(
        config, out, on_data=on_data, on_stage=on_stage, callbacks=progress
    )
    write_report(out)
    screen.print()
    screen.print(_rich(overview_table(finished), "All stages"))
    return finished


def _print_stage(screen, number, stage, rows, protocol):
    from .._format import visible
    from ..reporting._text import stage_table

    table = stage_table(stage, rows, protocol)
    screen.print()
    screen.print(_rich(table, visible(f"{number}. {stage.title}")))
    reason = visible(f"Chosen by {stage.rule}: {stage.reason}.")
    screen.print(reason, markup=False)


def _rich(table, heading):
    """Return a table as the terminal draws it."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(title=escape(heading), box=box.SIMPLE, title_justify="left")
    for column in table.columns:
        # One word a line: eight columns fit a terminal of 80 characters.
        words = column.replace("_", "_ ").split()
        narrowest = max(map(len, words))
        heading = escape("\n".join(words))
        drawn.add_column(heading, justify="right", min_width=narrowest)
    for i, row in enumerate(table.rows):
        style = "bold green" if i == table.winner else None
        drawn.add_row(*map(escape, row), style=style)
    return drawn
