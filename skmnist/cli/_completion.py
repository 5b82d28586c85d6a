"""``skmnist completion``: what a shell needs to complete our commands."""

# SPDX-License-Identifier: BSD-3-Clause

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
