"""``skmnist fit`` and ``skmnist predict``: a model trained, and pictures read by it."""

# SPDX-License-Identifier: BSD-3-Clause

import ast
import contextlib
import itertools
import os
from functools import partial
from pathlib import Path

import click

from ._options import data_options
from ._terminal import echo_json, library_noise_apart

# Heavy modules are imported by what needs them, so that --help answers at once.

# From dark to light, as a terminal of light text on dark shows them.
INKS = " .:-=+*#%@"

# What is not asked for on the command line. All rows train, and the learning rate
# falls to zero: on MNIST that is worth more than any other parameter.
DEFAULTS = {
    "learning_rate_schedule": "cosine",
    "early_stopping": False,
    "batch_normalization": True,
}
# Many passes over few rows take as long as few over many.
EPOCHS, EPOCHS_IF_FEW, FEW = 12, 60, 10_000


def _layers(ctx, param, value):
    """Read ``600,200`` as one width a layer, and ``400`` as that of every layer."""
    try:
        widths = tuple(int(part) for part in value.split(","))
    except ValueError:
        widths = (0,)
    if min(widths) < 1:
        raise click.BadParameter(f"{value!r} is no width, nor widths such as 600,200")
    return widths if len(widths) > 1 else widths[0]


def _others(ctx, param, values):
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
    type=click.Path(),
    metavar="MODEL",
    help="File to write; a model that is there is replaced.",
)
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    help="Hidden layers.  [default: as many as --widths names, or 2]",
)
@click.option(
    "--widths",
    default="500",
    show_default=True,
    callback=_layers,
    metavar="N[,N...]",
    help="Units of every hidden layer, or of each from input to output.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="Passes over the training data.  "
    f"[default: {EPOCHS}, or {EPOCHS_IF_FEW} below {FEW:,} samples]",
)
@click.option(
    "--batch-size", default=128, show_default=True, type=click.IntRange(min=1)
)
@click.option(
    "--dropout",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1, max_open=True),
    help="Fraction of each hidden layer's outputs that is dropped in training.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
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
def fit(out, quiet, as_json, **options):
    """Train one classifier and save it.

    Its accuracy on the test data is printed; skmnist predict reads pictures with it.
    The digits of scikit-learn are placed as MNIST places its own, which is how
    pictures are read.

    \b
    Examples:
      skmnist fit
      skmnist fit --dataset mnist --data ~/mnist --out digits.skmnist
      skmnist fit --widths 600,200 --epochs 30 --dropout 0.2
      skmnist fit --dataset my-images.npz --set optimizer=sgd --set patience=3
    """
    with library_noise_apart():
        from ..datasets._loaders import DataError

        try:
            _check_out(Path(out))
            result = _fit_and_save(out, options, quiet, as_json)
        except (DataError, ValueError, FloatingPointError, OSError) as error:
            raise click.ClickException(str(error)) from error
    if as_json:
        return echo_json(result)
    click.echo(
        f"Test accuracy {100 * result['test_accuracy']:.2f} % (standard error "
        f"{100 * result['standard_error']:.2f} pp), {result['n_parameters']:,} "
        f"parameters, {result['n_iter']} epochs, {result['seconds']:.1f} s"
    )
    click.echo(f"Written to {out}. To read pictures: skmnist predict {out} PICTURE...")


def _check_out(out):
    """Refuse a place that cannot take a model, before any time is spent."""
    from .._io import ModelFileError, read_archive

    if out.is_dir():
        raise click.ClickException(f"{out} is a folder; name a file with --out")
    if not out.parent.is_dir():
        raise click.ClickException(f"{out.parent} is no folder; make it first")
    if not os.access(out.parent, os.W_OK):
        raise click.ClickException(f"{out.parent} may not be written to")
    if out.exists():
        try:
            read_archive(out)
        except ModelFileError:
            raise click.ClickException(
                f"{out} is there and no model; name another file with --out"
            ) from None


def _fit_and_save(out, options, quiet, as_json):
    """Load data, train, save; return what came of it as plain data."""
    from ..datasets._loaders import load_dataset
    from ..reporting._text import describe_data
    from ..stats._standard_error import binomial_standard_error
    from ..study._records import StudyData

    data = load_dataset(options["dataset"], options["data"])
    about = StudyData.of(data)
    if not quiet:
        click.echo(describe_data(about), err=as_json)
    if data.name == "digits":
        data.data = _placed_like_mnist(data.data)
    classifier = _classifier(options, data.train.stop)
    with _epochs_shown(quiet) as progress:
        classifier.set_callbacks(*progress)
        classifier.fit(data.data[data.train], data.target[data.train])
    accuracy = classifier.score(data.data[data.test], data.target[data.test])
    classifier.save(out)
    return {
        "model": str(out),
        "data": about.as_dict(),
        "test_accuracy": accuracy,
        "standard_error": float(binomial_standard_error(accuracy, about.n_test)),
        "n_parameters": classifier.n_parameters_,
        "n_iter": classifier.n_iter_,
        "stop_reason": classifier.stop_reason_,
        "seconds": classifier.fit_time_,
    }


def _placed_like_mnist(X):
    """Bring scikit-learn's digits to the form in which pictures are read."""
    import numpy as np

    from ..preprocessing._digit import SIDE, place_digit

    return np.stack([place_digit(row.reshape(SIDE, SIDE)).ravel() for row in X])


def _classifier(options, n_samples):
    """Return the classifier that the options describe."""
    from ..neural_network._classifier import KerasMLPClassifier

    widths, depth = options["widths"], options["depth"]
    if depth is None:
        depth = len(widths) if isinstance(widths, tuple) else 2
    epochs = options["epochs"] or (EPOCHS if n_samples >= FEW else EPOCHS_IF_FEW)
    classifier = KerasMLPClassifier(
        depth=depth,
        widths=widths,
        epochs=epochs,
        batch_size=options["batch_size"],
        dropout=options["dropout"],
        random_state=options["seed"],
        **DEFAULTS,
    )
    return classifier.set_params(**options["others"])


@contextlib.contextmanager
def _epochs_shown(quiet):
    """Give the callbacks that show the progress of a fit on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    from ._progress import EpochProgress, epoch_lines

    errors = Console(stderr=True)
    if quiet:
        yield []
    elif errors.is_terminal:
        with Progress(console=errors, transient=True) as bars:
            task = bars.add_task("epochs", total=None)
            yield [
                EpochProgress(
                    lambda done, total: bars.update(task, completed=done, total=total)
                )
            ]
    else:
        yield [EpochProgress(epoch_lines(partial(click.echo, err=True)))]


@click.command()
@click.argument("model", type=click.Path())
@click.argument(
    "pictures", nargs=-1, required=True, metavar="PICTURE...", type=click.Path()
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option(
    "--show",
    is_flag=True,
    help="Show what the network saw as characters; with --json, on standard error.",
)
@click.option(
    "--save-seen",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Keep what the network saw as DIR/<name>-seen.png.",
)
@click.option(
    "--ink",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Value of full ink in the data that the model was trained on: 1 for those "
    "of skmnist, 16 for scikit-learn's load_digits, 255 for bytes.",
)
def predict(model, pictures, as_json, show, save_seen, ink):
    """Read pictures of one digit each.

    They are photographs or scans: PNG, JPEG, TIFF, WebP, GIF or BMP. The ink may be
    dark on light or light on dark, anywhere in the picture. MODEL is a file that
    skmnist fit or skmnist study left, or a study's folder.

    What cannot be read is named on standard error, and the others are read; the exit
    status is then 1, else 0.

    \b
    Examples:
      skmnist predict model.skmnist seven.jpg
      skmnist predict my-study scans/*.png --json
      skmnist predict model.skmnist seven.jpg --show --save-seen seen
    """
    with library_noise_apart():
        path = _model_file(Path(model))
        read, failed = _read_all(pictures)
        results = _predicted(path, read, ink) if read else []
        if save_seen is not None:
            _save_seen(Path(save_seen), read, results)
    if as_json:
        errors = [{"file": file, "error": reason} for file, reason in failed.items()]
        by_file = {entry["file"]: entry for entry in [*results, *errors]}
        ordered = [by_file[file] for file in dict.fromkeys(pictures)]
        echo_json({"model": model, "pictures": ordered})
    elif results:
        _print_table(results)
    if show:
        for file, digit in read.items():
            click.echo(
                f"\n{click.format_filename(file)}\n{as_text(digit)}", err=as_json
            )
    for reason in failed.values():
        click.echo(f"Error: {reason}", err=True)
    return 1 if failed else 0


def _model_file(model):
    """Return the file of a model, or that in a study's folder, if it can be used."""
    from .._io import ModelFileError, read_archive

    path = model / "model.skmnist" if model.is_dir() else model
    if model.is_dir() and not path.exists():
        unfinished = (model / "study.json").exists()
        what = "a study that is not finished; give its command again"
        raise click.ClickException(
            f"{model} holds {what if unfinished else 'no model.skmnist'}"
        )
    try:
        described, _ = read_archive(path)
        n_features = described["learned"]["n_features_in_"]
    except FileNotFoundError:
        raise click.ClickException(
            f"{model}: no such file; skmnist fit --out {model} makes one"
        ) from None
    except (ModelFileError, KeyError, TypeError) as error:
        raise click.ClickException(str(error)) from error
    if n_features not in (784, 64):
        raise click.ClickException(
            f"{model} takes {n_features} features; pictures are read by models of 784 "
            "(28 x 28 pixels) or 64 (8 x 8)"
        )
    return path


def _read_all(pictures):
    """Read what can be read; return the digits, and the reasons of the others."""
    from ..preprocessing._digit import PictureError, read_digit

    read, failed = {}, {}
    for file in dict.fromkeys(pictures):
        try:
            read[file] = read_digit(file)
        except PictureError as error:
            failed[file] = str(error)
    return read, failed


def _predicted(path, read, ink):
    """Let the model read the digits; return an entry for each, as plain data."""
    import numpy as np

    from ..neural_network._classifier import KerasMLPClassifier
    from ..preprocessing._digit import reduce_to_8x8

    classifier = KerasMLPClassifier.load(path)
    digits = list(read.values())
    if classifier.n_features_in_ == 64:
        digits = [reduce_to_8x8(digit) for digit in digits]
    rows = ink * np.stack([digit.ravel() for digit in digits])
    labels = classifier.classes_.tolist()
    return [
        {
            "file": file,
            "digit": labels[probabilities.argmax()],
            "probability": float(probabilities.max()),
            "probabilities": dict(zip(labels, probabilities.tolist(), strict=True)),
        }
        for file, probabilities in zip(
            read, classifier.predict_proba(rows), strict=True
        )
    ]


def _save_seen(folder, read, results):
    """Save what the network saw, under names that no picture of the caller's has."""
    from PIL import Image

    taken = set()
    for (file, digit), entry in zip(read.items(), results, strict=True):
        stem = f"{Path(file).stem}-seen"
        names = itertools.chain([stem], (f"{stem}-{i}" for i in itertools.count(2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        entry["seen"] = str(folder / f"{name}.png")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray((digit * 255).round().astype("uint8")).save(entry["seen"])
        except OSError as error:
            raise click.ClickException(str(error)) from error


def _print_table(results):
    """Print a line for each picture, the columns as wide as they have to be."""
    from rich.console import Console
    from rich.text import Text

    cells = [["file", "digit", "probability"]]
    for entry in results:
        file = click.format_filename(entry["file"])
        cells.append([file, str(entry["digit"]), f"{100 * entry['probability']:.1f} %"])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    screen = Console(highlight=False, soft_wrap=True)
    for i, (file, digit, probability) in enumerate(cells):
        line = Text.assemble(
            f"{file:<{widths[0]}}  ",
            (f"{digit:>{widths[1]}}", "bold green" if i else ""),
            f"  {probability:>{widths[2]}}",
        )
        screen.print(line)


def as_text(digit):
    """Draw a picture with characters, two for each pixel.

    Parameters
    ----------
    digit : ndarray of shape (height, width)
        Grey values from 0 to 1.

    Returns
    -------
    text : str
        A line for each row of pixels.

    Examples
    --------
    >>> import numpy as np
    >>> print(as_text(np.array([[1.0, 0.0, 0.6], [0.0, 1.0, 0.1]])))
    @@  ++
      @@..
    """
    levels = (digit * (len(INKS) - 1)).round().astype(int)
    return "\n".join("".join(2 * INKS[i] for i in row).rstrip() for row in levels)
