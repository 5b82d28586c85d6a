"""Options of several commands: which data to read, kinds of values, completion."""

# SPDX-License-Identifier: BSD-3-Clause

import math
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..datasets._registry import AUTO, OPENML, describe_names
from ..datasets._suffixes import SUFFIXES

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Function = TypeVar("Function", bound=Callable[..., Any])


def complete_dataset(
    ctx: click.Context | None, param: click.Parameter | None, incomplete: str
) -> list["CompletionItem"]:
    """Complete the name of a data set, or the path of a file or folder.

    Parameters
    ----------
    ctx, param : click.Context, click.Parameter
        Not used.
    incomplete : str
        What is typed so far.

    Returns
    -------
    items : list of click.shell_completion.CompletionItem
        Names that begin so. If there are none, the shell completes files.
    """
    from click.shell_completion import CompletionItem

    names = [name for name in describe_names() if name.startswith(incomplete)]
    if incomplete and not names:
        return [CompletionItem(incomplete, type="file")]
    return [CompletionItem(name) for name in names]


def data_options(command: Function) -> Function:
    """Give a command the options that say which data to read.

    Parameters
    ----------
    command : callable
        The function of a command, with parameters ``dataset``, ``data``,
        ``pixels`` and ``label``.

    Returns
    -------
    command : callable
        The same function, with ``--dataset``, ``--data``, ``--pixels`` and ``--label``.
    """
    names = describe_names()
    folder = click.option(
        "--data",
        type=FilePath(),
        metavar="DIR",
        help="Folder with the files of a named data set. Then no other place is "
        "searched.",
    )
    pixels = click.option(
        "--pixels",
        default="auto",
        show_default=True,
        metavar="auto|keep|LOW..HIGH",
        help="Values of paper and of full ink in your own pictures. auto finds them "
        "from the training part; keep leaves the pixels as they are.",
    )
    label = click.option(
        "--label",
        metavar="COLUMN",
        help="Column of the labels in a table. By default, one with a usual name such "
        "as label, class or target.",
    )
    dataset = click.option(
        "--dataset",
        default=AUTO,
        show_default=True,
        metavar=f"NAME|PATH|{OPENML}NAME",
        shell_complete=complete_dataset,
        help="A name, a path, or a data set of OpenML. A path is a file ("
        f"{', '.join(SUFFIXES)}), or a folder: with IDX files like MNIST's, with "
        "train.csv and test.csv, or with a folder of pictures for each class. The "
        "names are "
        + ", ".join(f"{name} ({what})" for name, what in names.items())
        + ".",
    )
    return dataset(folder(pixels(label(command))))


# No fit and no machine comes near them; some libraries fail in odd ways beyond.
MOST_LAYERS, MOST_UNITS, MOST = 1000, 1_000_000, 2**31 - 1
LARGEST_SEED = 2**32 - 1
# Python itself does not read longer numbers.
_LONGEST = 30
# Bytes of a name on most systems, and folders that a path may go through.
_LONGEST_NAME, _MOST_FOLDERS = 255, 500


class Count(click.IntRange):
    """A whole number of at least 0 or 1, and not too large for what it counts.

    Parameters
    ----------
    min : int
        The smallest.
    max : int, default=MOST
        The largest.
    """

    name = "integer"

    def __init__(self, min: int, max: int = MOST) -> None:
        super().__init__(min=min, max=max)

    def _describe_range(self) -> str:
        """Say in help and errors which numbers are taken."""
        return super()._describe_range() if self.max != MOST else f"x>={self.min}"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the number."""
        if len(str(value)) > _LONGEST:
            self.fail(f"{str(value)[:_LONGEST]!r}... is too long", param, ctx)
        number: int = super().convert(value, param, ctx)
        return number


class Real(click.FloatRange):
    """A finite number of a range."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number", param, ctx)
        return number


class FilePath(click.Path):
    """A name that a file or a folder can have."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return the name."""
        if not str(value) or "\0" in str(value):
            self.fail(f"{value!r} is no name of a file", param, ctx)
        parts = os.fsencode(value).split(b"/")
        if len(parts) > _MOST_FOLDERS or max(map(len, parts)) > _LONGEST_NAME:
            self.fail(f"{str(value)[:_LONGEST]!r}... is too long", param, ctx)
        return super().convert(value, param, ctx)


class Duration(click.ParamType):
    """A time such as 90, 45s, 15m or 2h30m; its value is in seconds."""

    name = "duration"
    form = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the time in seconds."""
        found = self.form.fullmatch(str(value)) if len(str(value)) <= _LONGEST else None
        parts = [int(part or 0) for part in found.groups()] if found else []
        seconds = sum(n * unit for n, unit in zip(parts, (3600, 60, 1), strict=False))
        if not seconds:
            self.fail(f"{value!r} is no time such as 90, 15m or 2h30m", param, ctx)
        return float(seconds)


class Limit(click.ParamType):
    """A number of candidates: N for every stage, STAGE=N for one."""

    name = "limit"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str | None, int]:
        """Return the stage, or None for all, and the number."""
        stage, _, number = str(value).rpartition("=")
        if not (number.isdigit() and len(number) <= _LONGEST and int(number)):
            self.fail(f"{value!r} is neither N nor STAGE=N", param, ctx)
        return stage or None, int(number)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that makes a shell complete commands, options and files.

    \b
    Examples:
      eval "$(skmnist completion bash)"     # in this shell
      skmnist completion bash >> ~/.bashrc  # in every new one
      skmnist completion zsh >> ~/.zshrc
      skmnist completion fish > ~/.config/fish/completions/skmnist.fish
    """
    from click.shell_completion import get_completion_class

    program = ctx.find_root().command
    kind = get_completion_class(shell)
    assert kind is not None  # click knows these three
    click.echo(kind(program, {}, "skmnist", "_SKMNIST_COMPLETE").source())
