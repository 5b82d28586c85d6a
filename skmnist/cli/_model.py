"""``skmnist fit`` trains and saves a model, ``skmnist predict`` reads pictures."""

# SPDX-License-Identifier: BSD-3-Clause

import ast
import itertools
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._format import TOO_SHORT, visible
from .._memory import check_memory
from ..datasets._suffixes import is_table
from ._model_files import check_reads, find_model, read_forms
from ._options import (
    LARGEST_SEED,
    MOST_LAYERS,
    MOST_UNITS,
    Count,
    FilePath,
    Real,
    data_options,
)
from ._predict_tables import predict_tables
from ._terminal import console, echo, echo_json, echo_text, library_noise_apart

if TYPE_CHECKING:
    import numpy as np

    from ..datasets._pictures import PictureForm
    from ..neural_network import KerasMLPClassifier
    from ..neural_network._inference import SavedNetwork

    Lines = list[list[np.ndarray]]

# Heavy modules are imported where they are used, so that --help answers at once.

# From dark to light, as a terminal of light text on dark shows them.
INKS = " .:-=+*#%@"

# Parameters without an option of their own. All rows are trained on, and the learning
# rate falls to zero: on MNIST this helps more than any other parameter.
DEFAULTS = {
    "activations": "relu",
    "learning_rate": None,
    "learning_rate_schedule": "cosine",
    "input_scaling": None,
    "weight_decay": 0.0,
    "label_smoothing": 0.0,
    "early_stopping": False,
    "batch_normalization": True,
}
# A digit is unsure below this mean probability; docs/guide/command_line.md says why.
SURE = 0.7
# Many passes over few rows take as long as few passes over many rows.
EPOCHS, EPOCHS_IF_FEW, FEW = 12, 60, 10_000


def _layers(
    ctx: click.Context, param: click.Parameter, value: str
) -> int | tuple[int, ...]:
    """Read ``600,200`` as one width for each layer, and ``400`` as one for all."""
    try:
        widths = tuple(int(part) for part in value.split(","))
    except ValueError:
        widths = (0,)
    if min(widths) < 1 or max(widths) > MOST_UNITS or len(widths) > MOST_LAYERS:
        raise click.BadParameter(f"{value!r} is no width, nor widths such as 600,200")
    return widths if len(widths) > 1 else widths[0]


def _others(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, Any]:
    """Read ``NAME=VALUE`` pairs; a value that is no Python literal is text."""
    others = {}
    for pair in values:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{pair!r} is not of the form NAME=VALUE")
        try:
            others[name] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            others[name] = value
    return others


@click.command()
@data_options
@click.option(
    "--out",
    default="model.skmnist",
    show_default=True,
    type=FilePath(),
    metavar="MODEL",
    help="File to write; an older model there is replaced.",
)
@click.option(
    "--depth",
    type=Count(0, MOST_LAYERS),
    help="Number of hidden layers.  [default: as many as --widths has numbers, or 2]",
)
@click.option(
    "--widths",
    default="500",
    show_default=True,
    callback=_layers,
    metavar="N[,N...]",
    help="Units: one number for all hidden layers, or one for each, from input to "
    "output.",
)
@click.option(
    "--epochs",
    type=Count(1),
    help="Passes over the training data.  "
    f"[default: {EPOCHS}, or {EPOCHS_IF_FEW} below {FEW:,} samples]",
)
@click.option(
    "--batch-size",
    default=128,
    show_default=True,
    type=Count(1),
    help="Samples in one training step.",
)
@click.option(
    "--dropout",
    default=0.0,
    show_default=True,
    type=Real(0, 1, max_open=True),
    help="Part of each hidden layer's outputs to drop in training.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=Count(0, LARGEST_SEED),
    help="Seed of all that is random.",
)
@click.option(
    "--set",
    "others",
    multiple=True,
    callback=_others,
    metavar="NAME=VALUE",
    help="Any other parameter of KerasMLPClassifier; may be given several times.",
)
@click.option("--quiet", is_flag=True, help="Print nothing but the result.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def fit(out: str, quiet: bool, as_json: bool, **options: Any) -> None:
    """Train one classifier and save it.

    Prints its accuracy on the test data. skmnist predict then reads pictures with it.
    scikit-learn's digits are first scaled and centred as in MNIST, as skmnist predict
    does with pictures. The defaults below are for pictures. With a table, options that
    you do not give have the defaults of KerasMLPClassifier.

    \b
    Examples:
      skmnist fit
      skmnist fit --dataset mnist --data ~/mnist --out digits.skmnist
      skmnist fit --widths 600,200 --epochs 30 --dropout 0.2
      skmnist fit --dataset my-images.npz --set optimizer=sgd --set patience=3
      skmnist fit --dataset animals/           # a folder of pictures for each class
      skmnist fit --dataset titanic.csv --label survived
      skmnist fit --dataset fashion-mnist
    """
    check_memory()
    with library_noise_apart():
        from .._io import user_path
        from ..datasets._loaders import DataError

        try:
            _check_out(user_path(out))
            result = _fit_and_save(out, options, quiet, as_json)
        except MemoryError:
            raise  # the line of `main`
        except (DataError, ValueError, FloatingPointError, OSError) as error:
            raise click.ClickException(str(error)) from error
        except Exception as error:
            # Keras and TensorFlow have their own for what is too large or too odd.
            what = f"{type(error).__name__}: {error}"
            raise click.ClickException(f"the fit failed, {what}") from error
    if as_json:
        return echo_json(result)
    echo(
        f"Test accuracy {100 * result['test_accuracy']:.2f} % (standard error "
        f"{100 * result['standard_error']:.2f} pp), {result['n_parameters']:,} "
        f"parameters, {result['n_iter']} epochs, {result['seconds']:.1f} s",
        f"Written to {out}. {_how_to_predict(out, result)}",
    )


def _how_to_predict(out: str, result: dict[str, Any]) -> str:
    if result["reads"] == "tables":
        return f"To label rows: skmnist predict {out} TABLE"
    return f"To read pictures: skmnist predict {out} PICTURE..."


def _check_out(out: Path) -> None:
    """Raise an error if a model cannot be written there, before any time is spent."""
    from .._archive import read_archive
    from .._io import ModelFileError

    if out.is_dir():
        raise click.ClickException(f"{out} is a folder; name a file with --out")
    check_can_be_written(out)
    if out.exists():
        try:
            read_archive(out)
        except ModelFileError:
            raise click.ClickException(
                f"{out} is there and no model; name another file with --out"
            ) from None


def check_can_be_written(out: Path) -> None:
    """Raise an error unless a file can be written in its folder.

    Parameters
    ----------
    out : pathlib.Path
        The file; there may be one already.

    Raises
    ------
    click.ClickException
        If there is no folder, or it may not be written to, or the file is a link that
        leads nowhere.
    """
    from .._io import check_target, may_access

    if not out.parent.is_dir():
        raise click.ClickException(f"{out.parent} is no folder; make it first")
    if not may_access(out.parent, os.W_OK):
        raise click.ClickException(
            f"{out.parent} may not be written to; name another place with --out"
        )
    if not out.exists():
        try:
            check_target(out)
        except OSError as error:
            raise click.ClickException(f"{out}: {error.strerror}") from error


def _fit_and_save(
    out: str, options: dict[str, Any], quiet: bool, as_json: bool
) -> dict[str, Any]:
    """Load data, train, save; return the result as plain data."""
    from ..datasets._registry import is_like_mnist, load_dataset
    from ..reporting._text import describe_data
    from ..stats._standard_error import binomial_standard_error
    from ..study._artifacts import picture_shape
    from ..study._forms import keep_forms
    from ..study._records import StudyData
    from ._progress import fit_progress

    asked = options["dataset"]
    data = load_dataset(asked, options["data"], options["pixels"], options["label"])
    described = StudyData.of(data)
    if not quiet:
        echo_text(describe_data(described), err=as_json)
    if not is_like_mnist(asked, data.name):
        data.data = _placed_like_mnist(data.data)
    table = picture_shape(data) is None
    make = _table_classifier if table else _classifier
    classifier = make(options, data.train.stop)
    classifier.set_callbacks(*fit_progress(quiet))
    with warnings.catch_warnings():
        # `stop_reason` tells it, too.
        warnings.filterwarnings("ignore", TOO_SHORT)
        classifier.fit(data.data[data.train], data.target[data.train])
    accuracy = classifier.score(data.data[data.test], data.target[data.test])
    keep_forms(classifier, data)
    classifier.save(out)
    return {
        "model": str(out),
        "data": described.as_dict(),
        "reads": "tables" if table else "pictures",
        "test_accuracy": accuracy,
        "standard_error": float(binomial_standard_error(accuracy, described.n_test)),
        "n_parameters": classifier.n_parameters_,
        "n_iter": classifier.n_iter_,
        "stop_reason": classifier.stop_reason_,
        "seconds": classifier.fit_time_,
    }


def _placed_like_mnist(X: "np.ndarray") -> "np.ndarray":
    """Place digits of 28 x 28 in their square as `read_digit` does."""
    import numpy as np

    from ..preprocessing._digit import SIDE, place_digit

    return np.stack([place_digit(row.reshape(SIDE, SIDE)).ravel() for row in X])


def _classifier(options: dict[str, Any], n_samples: int) -> "KerasMLPClassifier":
    """Return the classifier that the options describe."""
    from ..neural_network._classifier import KerasMLPClassifier

    epochs = options["epochs"] or (EPOCHS if n_samples >= FEW else EPOCHS_IF_FEW)
    classifier = KerasMLPClassifier(
        depth="auto" if options["depth"] is None else options["depth"],
        widths=options["widths"],
        epochs=epochs,
        batch_size=options["batch_size"],
        dropout=options["dropout"],
        random_state=options["seed"],
        **DEFAULTS,
    )
    return classifier.set_params(**options["others"])


def _table_classifier(options: dict[str, Any], n_samples: int) -> "KerasMLPClassifier":
    """Return the classifier for a table: only the options that were given count.

    The defaults of the others suit pictures; those of the class suit tables.
    """
    from click.core import ParameterSource

    from ..neural_network._classifier import KerasMLPClassifier

    names = ("depth", "widths", "epochs", "batch_size", "dropout")
    source = click.get_current_context().get_parameter_source
    given = {n: options[n] for n in names if source(n) is not ParameterSource.DEFAULT}
    if isinstance(given.get("widths"), tuple):
        given.setdefault("depth", "auto")
    classifier = KerasMLPClassifier(**given, random_state=options["seed"])
    return classifier.set_params(**options["others"])


@click.command()
@click.argument("model", type=FilePath())
@click.argument("pictures", nargs=-1, required=True, metavar="FILE...", type=FilePath())
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option(
    "--show",
    is_flag=True,
    help="Also draw with characters what the network saw; with --json, on standard "
    "error.",
)
@click.option(
    "--save-seen",
    type=FilePath(file_okay=False),
    metavar="DIR",
    help="Save what the network saw as DIR/<name>-seen.png.",
)
@click.option(
    "--ink",
    type=Real(min=0, min_open=True),
    help="Value of full ink in the data that the model was trained on, if paper is 0: "
    "16 with scikit-learn's load_digits, 255 with bytes.  [default: the model knows]",
)
@click.option(
    "--digits",
    "several",
    is_flag=True,
    help="Read all digits of each picture, line by line.",
)
@click.option(
    "--sure",
    default=SURE,
    show_default=True,
    type=Real(0, 1),
    help="Say 'unsure' if the probability is below this. It is a mean over small "
    "changes of the picture. With 0, always name a digit.",
)
def predict(
    model: str,
    pictures: tuple[str, ...],
    as_json: bool,
    show: bool,
    save_seen: str | None,
    several: bool,
    **how: Any,
) -> int:
    """Read pictures of one digit each, or with --digits of several; or label tables.

    MODEL is a file that skmnist fit or skmnist study wrote, or a study's folder.

    The pictures are photographs or scans: PNG, JPEG, TIFF, WebP, GIF or BMP. The ink
    may be dark on light or light on dark. The digit may be anywhere in the picture. If
    a mark is hardly a digit, the answer is "unsure". A model that was trained with
    pictures of other things looks for no digit: it reads the whole picture.

    A model that was trained with a table takes tables with the same columns, CSV or
    Parquet, and prints the label of each row as CSV. If a table has the column of the
    labels too, the accuracy goes to standard error.

    If some pictures cannot be read, the others are, standard error names the bad ones,
    and the exit status is 1.

    \b
    Examples:
      skmnist predict model.skmnist seven.jpg
      skmnist predict my-study scans/*.png --json
      skmnist predict model.skmnist postcode.jpg --digits
      skmnist predict model.skmnist seven.jpg --show --save-seen seen
      skmnist predict model.skmnist passengers.csv > survived.csv
    """
    from .._io import user_path

    if any(map(is_table, pictures)):
        return predict_tables(user_path(model), pictures, as_json)
    with library_noise_apart():
        path, network = find_model(user_path(model))
        forms = read_forms(path, network)
        check_reads(path, network, forms, several)
        read, failed = _read_all(pictures, several, forms.pictures)
        digits = forms.pictures is None
        results = _predicted(network, read, digits=digits, **how) if read else []
        if several:
            results = [_as_number(file, results) for file in read]
        if save_seen is not None:
            _save_seen(user_path(save_seen), read, results)
    _print_results(model, pictures, results, failed, as_json)
    if show:
        _draw_seen(read, as_json)
    for reason in failed.values():
        echo(f"Error: {reason}", err=True)
    return 1 if failed else 0


def _print_results(
    model: str,
    pictures: tuple[str, ...],
    results: list[dict[str, Any]],
    failed: dict[str, str],
    as_json: bool,
) -> None:
    """Print what was predicted, as a table or as JSON."""
    if as_json:
        errors = [{"file": file, "error": reason} for file, reason in failed.items()]
        by_file = {entry["file"]: entry for entry in [*results, *errors]}
        ordered = [by_file[file] for file in dict.fromkeys(pictures)]
        echo_json({"model": model, "pictures": ordered})
    elif results:
        _print_table(results)


def _draw_seen(read: dict[str, "Lines"], err: bool) -> None:
    """Draw with characters what the network saw."""
    for file, lines in read.items():
        for digit in itertools.chain(*lines):
            echo("", file, *as_characters(digit).split("\n"), err=err)


def _read_all(
    pictures: tuple[str, ...], several: bool, form: "PictureForm | None" = None
) -> tuple[dict[str, "Lines"], dict[str, str]]:
    """Return the digits of pictures in lines, and why some cannot be read.

    A picture that is read in another form is alone in its line.
    """
    from ..datasets._files import DataError
    from ..preprocessing._binarize import PictureError
    from ..preprocessing._digit import read_digit, read_digits

    read, failed = {}, {}
    for file in dict.fromkeys(pictures):
        try:
            if form is not None:
                row = form.read(os.path.expanduser(file))
                read[file] = [[row.reshape(form.height, form.width)]]
            else:
                read[file] = read_digits(file) if several else [[read_digit(file)]]
        except (DataError, PictureError) as error:
            failed[file] = str(error)
    return read, failed


def _predicted(
    network: "SavedNetwork",
    read: dict[str, "Lines"],
    *,
    digits: bool,
    ink: float | None,
    sure: float,
) -> list[dict[str, Any]]:
    """Return what the model predicts for each picture, as plain data.

    Only of handwritten digits it is known how they may be moved, which shows whether
    the model is sure.
    """
    import numpy as np

    from ..datasets._pixels import paper_and_ink
    from ..preprocessing._digit import reduce_to_8x8
    from ..preprocessing._views import mean_over_views

    places = [
        (file, i, digit)
        for file, lines in read.items()
        for i, line in enumerate(lines)
        for digit in line
    ]
    pictures = [picture for *_, picture in places]
    if digits and network.n_features_in_ == 64:
        pictures = [reduce_to_8x8(picture) for picture in pictures]
    low, high = (0.0, ink) if ink else paper_and_ink(network)
    rows = low + (high - low) * np.stack([picture.ravel() for picture in pictures])
    labels = network.classes_.tolist()
    views = mean_over_views(network, rows) if digits else np.ones((len(rows), 1))
    return [
        {
            "file": file,
            "line": line,
            "digit": labels[probabilities.argmax()],
            "probability": float(probabilities.max()),
            "probabilities": dict(zip(labels, probabilities.tolist(), strict=True)),
            "unsure": bool(certain < sure),
        }
        for (file, line, _), probabilities, certain in zip(
            places,
            network.predict_proba(rows),
            views.max(axis=1),
            strict=True,
        )
    ]


def _as_number(file: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is read in a picture of several digits; "?" stands for unsure."""
    own = [entry for entry in entries if entry["file"] == file]
    lines = [
        "".join("?" if e["unsure"] else str(e["digit"]) for e in line)
        for _, line in itertools.groupby(own, key=lambda entry: entry["line"])
    ]
    return {
        "file": file,
        "digit": " ".join(lines),
        "lines": lines,
        "probability": min(entry["probability"] for entry in own),
        "unsure": False,
        "digits": [{k: v for k, v in entry.items() if k != "file"} for entry in own],
    }


def _save_seen(
    folder: Path, read: dict[str, "Lines"], results: list[dict[str, Any]]
) -> None:
    """Save what the network saw; no picture that was given is replaced."""
    from PIL import Image

    from .._io import atomic_write

    taken = {Path(file).stem for file in read}
    for (file, lines), entry in zip(read.items(), results, strict=True):
        digit = side_by_side(lines)
        stem = f"{Path(file).stem}-seen"
        names = itertools.chain([stem], (f"{stem}-{i}" for i in itertools.count(2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        entry["seen"] = str(folder / f"{name}.png")
        seen = Image.fromarray((digit * 255).round().astype("uint8"))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(entry["seen"], "wb") as picture:
                seen.save(picture, "PNG")
        except OSError as error:
            raise click.ClickException(str(error)) from error


def side_by_side(lines: "Lines") -> "np.ndarray":
    """Return the digits of a picture as one picture."""
    import numpy as np

    most = max(map(len, lines))
    blank = np.zeros_like(lines[0][0])
    return np.vstack(
        [np.hstack([*line, *[blank] * (most - len(line))]) for line in lines]
    )


def _print_table(results: list[dict[str, Any]]) -> None:
    """Print a line for each picture, with columns as wide as they must be."""
    from rich.text import Text

    classes = any(isinstance(label, str) for e in results for label in _labels_of(e))
    cells = [["file", "class" if classes else "digit", "probability"]]
    for entry in results:
        label = "unsure" if entry["unsure"] else visible(str(entry["digit"]))
        probability = f"{100 * entry['probability']:.1f} %"
        cells.append([visible(entry["file"]), label, probability])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    screen = console()
    for i, (file, digit, probability) in enumerate(cells):
        line = Text.assemble(
            f"{file:<{widths[0]}}  ",
            (f"{digit:>{widths[1]}}", "bold green" if i else ""),
            f"  {probability:>{widths[2]}}",
        )
        screen.print(line)


def _labels_of(entry: dict[str, Any]) -> list[Any]:
    """Return the labels that a picture could have; [] for one of several digits."""
    return list(entry.get("probabilities", {}))


def as_characters(picture: "np.ndarray") -> str:
    """Draw a picture with characters, two for each pixel.

    Parameters
    ----------
    picture : ndarray of shape (height, width)
        Grey values from 0 to 1.

    Returns
    -------
    text : str
        A line for each row of pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist.cli._model import as_characters
    >>> print(as_characters(np.array([[1.0, 0.0, 0.6], [0.0, 1.0, 0.1]])))
    @@  ++
      @@..
    """
    levels = (picture * (len(INKS) - 1)).round().astype(int)
    return "\n".join("".join(2 * INKS[i] for i in row).rstrip() for row in levels)
