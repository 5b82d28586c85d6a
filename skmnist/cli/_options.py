"""Options of several commands, and kinds of values that options take."""

# SPDX-License-Identifier: BSD-3-Clause

import re

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx, shell):
    """Print a shell's completion script: for commands, options and files.

    \b
    Examples:
      eval "$(skmnist completion bash)"     # in this shell
      skmnist completion bash >> ~/.bashrc  # from the next one on
      skmnist completion zsh >> ~/.zshrc
      skmnist completion fish > ~/.config/fish/completions/skmnist.fish
    """
    from click.shell_completion import get_completion_class

    program = ctx.find_root().command
    script = get_completion_class(shell)(program, {}, "skmnist", "_SKMNIST_COMPLETE")
    click.echo(script.source())


def complete_dataset(ctx, param, incomplete):
    """Complete the name of a data set, or the path of an ``.npz`` file.

    Parameters
    ----------
    ctx, param : click.Context, click.Parameter
        Not used.
    incomplete : str
        What is typed so far.

    Returns
    -------
    items : list of click.shell_completion.CompletionItem
        Names that begin so; where there are none, files.
    """
    from click.shell_completion import CompletionItem

    names = [n for n in ("auto", "mnist", "digits") if n.startswith(incomplete)]
    if incomplete and not names:
        return [CompletionItem(incomplete, type="file")]
    return [CompletionItem(name) for name in names]


class Duration(click.ParamType):
    """A time such as 90, 45s, 15m or 2h30m, in seconds."""

    name = "duration"
    form = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")

    def convert(self, value, param, ctx):
        """Read the time."""
        found = self.form.fullmatch(str(value))
        parts = [int(part or 0) for part in found.groups()] if found else []
        seconds = sum(n * unit for n, unit in zip(parts, (3600, 60, 1), strict=False))
        if not seconds:
            self.fail(f"{value!r} is no time such as 90, 15m or 2h30m", param, ctx)
        return float(seconds)


class Limit(click.ParamType):
    """A number of candidates, of every stage or, as STAGE=N, of one."""

    name = "limit"

    def convert(self, value, param, ctx):
        """Read the limit as (stage or None, number)."""
        stage, _, number = str(value).rpartition("=")
        if not (number.isdigit() and int(number)):
            self.fail(f"{value!r} is neither N nor STAGE=N", param, ctx)
        return stage or None, int(number)


def data_options(command):
    """Give a command the options that say which data to read.

    Parameters
    ----------
    command : callable
        The function of a command, with parameters ``dataset`` and ``data``.

    Returns
    -------
    command : callable
        The same, with ``--dataset`` and ``--data``.
    """
    folder = click.option("--data", metavar="DIR", help="Folder with the MNIST files.")
    dataset = click.option(
        "--dataset",
        default="auto",
        show_default=True,
        metavar="auto|mnist|digits|FILE.npz",
        shell_complete=complete_dataset,
        help="auto is MNIST where it is found or can be fetched, else the digits "
        "that ship with scikit-learn.",
    )
    return dataset(folder(command))
