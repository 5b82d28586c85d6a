"""``skmnist study``, ``status``, ``report`` and ``tensorboard``."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import shlex
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .._format import visible
from .._memory import check_memory, said_of_memory
from ._options import LARGEST_SEED, MOST, Count, Duration, FilePath, Limit, data_options
from ._terminal import (
    console,
    echo,
    echo_json,
    echo_text,
    library_noise_apart,
    visible_lines,
    wrapped,
)

if TYPE_CHECKING:
    from rich.console import Console

    from ..study import Study, StudyConfig

# Heavy modules are imported by the commands that need them, so that --help and
# a mistyped option answer at once.


@click.command()
@data_options
@click.option(
    "--out",
    default="study",
    show_default=True,
    type=FilePath(),
    metavar="DIR",
    help="Folder to write: new, empty, or with the same study, which then goes on.",
)
@click.option(
    "--preset",
    type=click.Choice(["full", "report", "quick", "as-reported", "accuracy"]),
    default="full",
    show_default=True,
    help="full: the eight stages of the source report, then learning rate, "
    "regularization, distorted images and duration; candidates race over replicates. "
    "report: the eight stages as the source report ran them. quick: a small form of "
    "them. as-reported: each stage starts from what the source report chose, whatever "
    "the scores say. accuracy: learning rate, regularization, distorted images, "
    "epochs.",
)
@click.option(
    "--protocol",
    type=click.Choice(["holdout", "report"]),
    default="holdout",
    show_default=True,
    help="Judge candidates by a held-out part of the training data, or, as the source "
    "report did, by the test set. Then the accuracies are optimistic.",
)
@click.option(
    "--n-jobs",
    default=1,
    show_default=True,
    type=Count(-MOST),
    help="How many fits run at once; -1 for all cores.",
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
    help="Start no fit of the search after this time (90, 15m, 2h30m); finished stages "
    "are kept. With the preset full, it is the time of the whole study: the stages and "
    "the final network share it.",
)
@click.option(
    "--n-iter",
    type=Limit(),
    multiple=True,
    metavar="N|STAGE=N",
    help="Draw at most N candidates from the grid of every stage, or of one stage.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=Count(0, LARGEST_SEED),
    help="Seed of the folds and of every fit.",
)
@click.option(
    "--epochs",
    type=Count(1),
    help="Largest number of epochs of a fit. By default 20; with the preset full, as "
    "many as the data need.",
)
@click.option(
    "--baselines/--no-baselines",
    default=True,
    show_default=True,
    help="After the search, fit the untuned KerasMLPClassifier() and scikit-learn's "
    "MLPClassifier() once, and say what searching brought. On MNIST this takes about "
    "a minute more.",
)
@click.option(
    "--fresh",
    is_flag=True,
    help="Start over. If the folder exists, use a new one with a number at its end.",
)
@click.option("--quiet", is_flag=True, help="Print nothing but the result.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the study as JSON; all other output goes to standard error.",
)
def study(out: str, quiet: bool, fresh: bool, as_json: bool, **options: Any) -> None:
    """Run the staged search and write a report.

    Open DIR/report.html at any time: the page renews itself while the study runs.
    When the study is done, the report opens with what searching brought.

    If you stop the study, give the same command again. It goes on, and repeats no
    finished fit.

    \b
    Examples:
      skmnist study
      skmnist study --dataset mnist --data ~/mnist --out mnist-study
      skmnist study --dataset digits --preset quick --n-jobs 2
      skmnist study --preset report
      skmnist study --dataset my-images.npz --seed 1
      skmnist study --time-budget 8m
      skmnist study --backend dask --scheduler tcp://10.0.0.1:8786
    """
    check_memory()
    config = _config(options)
    asked, out = out, _fresh(out) if fresh else out
    with _resumable(out, asked), library_noise_apart():
        finished = _run_or_explain(config, out, quiet, as_json)
    if as_json:
        return echo_json({"folder": out, **finished.as_dict()})
    _print_result(finished, out)


def _print_result(finished: "Study", out: str) -> None:
    """Print what a study found; the last lines are the verdict."""
    from ..reporting._text import describe_final
    from ..reporting._verdict import describe_verdict

    echo_text(describe_final(finished.summary))
    names = sorted(name for name in os.listdir(out) if not name.startswith("."))
    echo_text(f"Written to {visible(out)}: {visible(', '.join(names))}")
    echo(f"To read: {os.path.join(out, 'report.html')}")
    echo_text("\n".join(["", *describe_verdict(finished)]))


@click.command()
@click.argument("folder", metavar="DIR", type=FilePath())
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON instead.")
def status(folder: str, as_json: bool) -> None:
    """Print the progress of a study, while it runs or afterwards.

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
    echo_text(describe_status(found))


@click.command()
@click.argument("folder", metavar="DIR", type=FilePath())
@click.argument("other", metavar="[OTHER]", type=FilePath(), required=False)
@click.option(
    "--html",
    type=FilePath(),
    metavar="FILE",
    help="Write the page to FILE, and nothing into DIR.",
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
def report(
    folder: str, other: str | None, html: str | None, reported: bool, as_json: bool
) -> None:
    """Write a study's page again, and print the study as Markdown.

    Writes DIR/report.html (for a browser) and DIR/report.md from the study's files, and
    for a study of digits DIR/draw.html, the page to draw on. With OTHER, the folder of
    another study, it only prints the differences of the two.

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
            echo_text(_comparison(folder, other))
        elif reported:
            echo_text(_reproduction(folder))
        elif as_json:
            _print_as_json(folder)
        else:
            _write_and_print(folder, html)
    except (StudyFolderError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def _comparison(*folders: str) -> str:
    from ..reporting._comparison import to_comparison
    from ..study._artifacts import read_evidence
    from ..study._storage import read_study

    studies = map(read_study, folders)
    return to_comparison(*studies, tuple(map(read_evidence, folders)), folders)


def _reproduction(folder: str) -> str:
    from ..reporting._source_report import to_reproduction
    from ..study._storage import read_study

    return to_reproduction(read_study(folder))


def _print_as_json(folder: str) -> None:
    from ..study._storage import read_study

    echo_json({"folder": folder, **read_study(folder).as_dict()})


def _write_and_print(folder: str, html: str | None) -> None:
    from ..reporting._html import write_report

    # The page to draw on needs the final model, which loads TensorFlow.
    with library_noise_apart():
        try:
            markdown, paths = write_report(folder, html)
        except OSError as error:
            hint = "" if html else "; name another place with --html FILE"
            raise click.ClickException(f"{error}{hint}") from error
    echo_text(markdown)
    echo(f"Written: {', '.join(map(str, paths))}", err=True)


@click.command()
@click.argument("folder", metavar="DIR", type=FilePath())
@click.argument("logdir", metavar="LOGDIR", type=FilePath())
def tensorboard(folder: str, logdir: str) -> None:
    """Write a study's candidates as runs for TensorBoard's HParams plugin.

    LOGDIR must be new or empty. Needs TensorBoard: pip install
    "skmnist[tensorboard]".

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
    echo(f"{len(runs)} runs written. See them: tensorboard --logdir {logdir}")


def _fresh(out: str) -> str:
    from ..study._storage import fresh_folder

    return str(fresh_folder(out))


def _config(options: dict[str, Any]) -> "StudyConfig":
    """Return the configuration that the options describe; raise if they cannot be."""
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


def _run_or_explain(
    config: "StudyConfig", out: str, quiet: bool, as_json: bool
) -> "Study":
    """Run a study; an expected error becomes one line that says what to do."""
    from ..datasets._loaders import DataError
    from ..model_selection._executors import ClusterError
    from ..model_selection._runner import AllFailedError
    from ..study._storage import StudyFolderError

    screen = console(quiet=quiet, stderr=as_json)
    # joblib replaces workers that have grown; nobody needs to know.
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
    except MemoryError as error:
        raise click.ClickException(
            f"{said_of_memory(error)}. Every finished fit is kept: with more memory "
            "the same command goes on"
        ) from error
    except OSError as error:
        raise click.ClickException(
            f"{error}. What {out} held before is as it was; the same command goes on "
            "from there"
        ) from error


@contextlib.contextmanager
def _resumable(out: str, asked: str) -> Iterator[None]:
    """Say on Ctrl-C or termination how to go on, and end with the usual status."""
    from ._signals import StoppedError, stoppable

    words = [word for word in sys.argv[1:] if word != "--fresh"]
    # The last --out counts.
    command = shlex.join(["skmnist", *words, *(["--out", out] if out != asked else [])])
    terminal = os.dup(2)

    def say() -> None:
        said = f"Stopped; every finished fit is kept. To go on:\n  {visible(command)}\n"
        # Standard error may be redirected at this moment, or have no reader.
        with contextlib.suppress(OSError):
            os.write(terminal, said.encode())

    try:
        with stoppable(say):
            yield
    except StoppedError as stopped:
        raise click.exceptions.Exit(stopped.status) from stopped
    except SystemExit as ended:
        # rich ends the program if nobody reads what it prints, as with `| head -1`.
        say()
        raise click.exceptions.Exit(2) from ended
    finally:
        os.close(terminal)


def _run(config: "StudyConfig", out: str, screen: "Console") -> "Study":
    """Run a study with its progress on the terminal, and write its pages."""
    from ..reporting._html import write_report
    from ..reporting._live import LivePage
    from ..reporting._text import OPTIMISTIC, describe_data, overview_table
    from ..study._run import run_study
    from ._progress import search_progress
    from ._tables import print_table

    counter, page = iter(range(1, 1000)), LivePage(out)

    def on_data(header):
        screen.print(visible_lines(describe_data(header.data)))
        if header.optimistic:
            screen.print(OPTIMISTIC)
        screen.print(visible(f"To read while it runs: {out}/report.html"))
        page()

    def on_stage(stage, rows):
        _print_stage(screen, next(counter), stage, rows, config.protocol)
        page()

    def on_baseline(name):
        if not screen.quiet:
            echo(f"For the verdict: fitting {name}", err=True)

    with page:
        finished = run_study(
            config,
            out,
            on_data=on_data,
            on_stage=on_stage,
            on_baseline=on_baseline,
            callbacks=search_progress(screen),
        )
    write_report(out)
    screen.print()
    print_table(screen, overview_table(finished), "All stages")
    return finished


def _print_stage(screen, number, stage, rows, protocol):
    from .._format import visible
    from ..reporting._text import stage_table
    from ._tables import print_table

    table = stage_table(stage, rows, protocol)
    screen.print()
    print_table(screen, table, f"{number}. {stage.title}")
    chosen = wrapped(visible(f"Chosen by {stage.rule}: {stage.reason}."), screen.stderr)
    screen.print(chosen)
