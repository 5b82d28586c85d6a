"""``skmnist export``: a model for other programs."""

# SPDX-License-Identifier: BSD-3-Clause

import click

from ._model_files import find_model, read_forms
from ._options import FilePath
from ._terminal import echo, library_noise_apart

ENDINGS = {"onnx": ".onnx", "keras": ".keras", "saved-model": "", "numpy": ".npz"}


@click.command()
@click.argument("model", type=FilePath())
@click.option(
    "--to",
    type=click.Choice(list(ENDINGS)),
    default="onnx",
    show_default=True,
    help="onnx: for ONNX Runtime; keras: a .keras file; saved-model: a folder for "
    "TensorFlow Serving; numpy: an .npz file with the weights.",
)
@click.option(
    "--out",
    metavar="FILE",
    type=FilePath(),
    help="File to write; for saved-model a new folder.  [default: the model with "
    "another ending]",
)
def export(model: str, to: str, out: str | None) -> None:
    """Write a model for programs that do not have skmnist.

    MODEL is a file that skmnist fit or skmnist study wrote, or a study's folder.

    \b
    Examples:
      skmnist export model.skmnist                    # model.onnx
      skmnist export my-study --to keras --out digits.keras
      skmnist export model.skmnist --to saved-model
    """
    from .._io import ModelFileError, user_path

    with library_noise_apart():
        from ..export._export import export_model
        from ..neural_network._classifier import KerasMLPClassifier

        path, network = find_model(user_path(model))
        forms = read_forms(path, network)
        target = user_path(out) if out else path.with_suffix(ENDINGS[to])
        try:
            export_model(KerasMLPClassifier.load(path), target, to)
        except (ModelFileError, ValueError, ImportError, OSError) as error:
            raise click.ClickException(str(error)) from error
    echo(f"Written to {target}")
    if forms.encoder is not None and not forms.encoder.all_pixels:
        echo(
            "It takes the encoded columns: those that load_dataset makes of the table."
        )
