"""``skmnist draw`` writes a page to draw on, with a model in it."""

# SPDX-License-Identifier: BSD-3-Clause

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._model import check_can_be_written
from ._model_files import open_model
from ._options import FilePath, Real
from ._terminal import echo, echo_json, library_noise_apart

if TYPE_CHECKING:
    from ..neural_network._inference import SavedNetwork

# Heavy modules are imported where they are used, so that --help answers at once.


@click.command()
@click.argument("model", type=FilePath())
@click.option(
    "--out",
    type=FilePath(),
    metavar="FILE",
    help="Page to write. An older page there is replaced.  [default: draw.html beside "
    "the model]",
)
@click.option(
    "--ink",
    type=Real(min=0, min_open=True),
    help="Value of full ink in the data that the model was trained on, if paper is 0: "
    "16 with scikit-learn's load_digits, 255 with bytes.  [default: what the model "
    "knows, else 1]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def draw(model: str, out: str | None, ink: float | None, as_json: bool) -> None:
    """Write a page to draw on, which reads digits as you draw them.

    The page is one HTML file with the model in it. It needs no server and no network
    connection. MODEL is a file that skmnist fit or skmnist study wrote, or a study's
    folder. With a study, the page also has test pictures that the model misreads, to
    be changed.

    \b
    Examples:
      skmnist draw model.skmnist
      skmnist draw my-study
      skmnist draw model.skmnist --out ~/public/digits.html
    """
    from .._io import user_path

    with library_noise_apart():
        path, network = open_model(user_path(model))
        page = path.with_name("draw.html") if out is None else user_path(out)
        _check_page(page)
        result = {"model": model, **_write_page(path, network, page, ink)}
    if as_json:
        return echo_json(result)
    echo(f"Written to {page} ({result['bytes'] / 1e6:.1f} MB). Open it in a browser.")


def _check_page(page: Path) -> None:
    """Raise an error if the page cannot be written there, before any time is spent."""
    from .._io import check_readable_file
    from ..reporting._drawing import is_drawing_page

    if page.is_dir():
        raise click.ClickException(f"{page} is a folder; name a file with --out")
    check_can_be_written(page)
    if page.exists():
        try:
            check_readable_file(page)
            ours = is_drawing_page(page)
        except OSError as error:
            raise click.ClickException(f"{page}: {error.strerror}") from error
        if not ours:
            raise click.ClickException(
                f"{page} is there and no page to draw on; name another file with --out"
            )


def _write_page(
    path: Path, network: "SavedNetwork", page: Path, ink: float | None
) -> dict[str, Any]:
    """Write the page of a model; return what is in it, as plain data."""
    from .._io import atomic_write
    from ..reporting._drawing import MODEL, PAGE, to_drawing_page
    from ..study._artifacts import Evidence, read_evidence
    from ..study._storage import HEADER

    folder = path.parent
    of_study = path.name == MODEL and (folder / HEADER).is_file()
    linked = (folder / PAGE).is_file() and page.parent.resolve() == folder.resolve()
    try:
        evidence = read_evidence(folder) if of_study else Evidence()
        text = to_drawing_page(
            network,
            evidence.predictions,
            ink=ink,
            report=PAGE if of_study and linked else "",
        )
        with atomic_write(page) as file:
            file.write(text)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    return {
        "page": str(page),
        "bytes": len(text.encode()),
        "classes": network.classes_.tolist(),
    }
