"""The columns of a study's candidates: the one list that everything reads.

A new measured column is one field of `Candidate`, made by `_measured`, with the
``attribute`` of the classifier or the ``source`` in ``cv_results_`` that it is from:
results.csv, JSON, the report page, report.md, TensorBoard and the terminal show it. A
parameter needs nothing: it is a column as soon as a stage tries it. An entry in
`PARAMETERS` says more about it.
"""

# SPDX-License-Identifier: BSD-3-Clause

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from .._format import as_number, as_p_value, as_percent, as_points, as_text
from ._checks import (
    Fraction,
    MaybeAmount,
    MaybeDifference,
    MaybeFraction,
    MisfitError,
    Parameter,
    Record,
    Said,
    checked,
    types_of,
)

if TYPE_CHECKING:
    from ..model_selection._scoring import FittedAttribute


# How a table writes numbers of a unit.
UNITS: dict[str, Callable[[float], str]] = {
    "": lambda value: as_number(value, ".3g"),
    "fraction": as_percent,
    "difference": as_points,
    "epochs": lambda value: as_number(value, ".0f"),
    "seconds": lambda value: as_number(value, ".1f"),
    "count": lambda value: as_number(value, ",.0f"),
    "p": as_p_value,
    "text": str,
}
# What stands in the title of a column in place of the samples that judged.
JUDGES = "{judges}"


@dataclass(frozen=True)
class Column:
    """What is known about a column.

    Parameters
    ----------
    name : str
        Its name in results.csv.
    kind : type
        ``str``, ``bool``, ``int`` or ``float``, perhaps with a rule.
    role : {"place", "parameter", "measured", "mark"}
        What the column says: where a candidate belongs, what was tried, what was
        measured, what was chosen.
    title : str
        Its heading in a table.
    unit : str, default=""
        A key of `UNITS`.
    source : str, default=None
        The column of ``cv_results_`` that it is taken from.
    attribute : str, default=None
        The learned attribute of a classifier that it is taken from, where
        `skmnist.record_scoring` does not record it; the name of the column must not be
        one that it records.
    rank : int, default=None
        Tables show the columns with a rank, in this order.
    on_terminal : bool, default=True
        Whether tables on a terminal show it. There is little room.
    axis : str, default=""
        Its name on the axis of a figure that shows accuracy against it. Without a
        name there is no such figure.
    needed : bool, default=True
        Whether a file must have the column.
    per_layer : bool, default=False
        Whether a parameter may have a value for each layer.
    """

    name: str
    kind: Any
    role: str
    title: str
    unit: str = ""
    source: str | None = None
    attribute: str | None = None
    rank: int | None = None
    on_terminal: bool = True
    axis: str = ""
    needed: bool = True
    per_layer: bool = False

    def of(self, row: "Candidate") -> Any:
        """Return what a candidate has in this column."""
        if self.role == "parameter":
            return row.params.get(self.name)
        return getattr(row, self.name)

    def text(self, row: "Candidate") -> str:
        """Write what a candidate has in this column; nothing where there is none."""
        value = self.of(row)
        if self.role != "measured":
            return as_text(value)
        return "" if value is None or value != value else UNITS[self.unit](value)

    def recorded(self, cv_results: Mapping[str, Any], index: int) -> float:
        """Return what a search has recorded of a candidate for this column."""
        source = self.source or f"mean_test_{self.name}"
        return float(cv_results[source][index])

    def heading(self, judges: str) -> str:
        """Return the title with the samples that judged, as in "held-out accuracy"."""
        return self.title.replace(JUDGES, judges)


def _parameter(name, kind, **about):
    return Column(name, kind, "parameter", name, **about)


def _optional(name, kind, **about):
    return _parameter(name, kind, needed=False, **about)


# Every candidate has the first nine. Others are there where a study searches them.
PARAMETERS = (
    _parameter("depth", int),
    _parameter("widths", int, per_layer=True),
    _parameter("activations", str, per_layer=True),
    _parameter("batch_size", int),
    _parameter("validation_split", float),
    _parameter("initializers", str, per_layer=True),
    _parameter("output_initializer", str),
    _parameter("optimizer", str),
    _parameter("epochs", int),
    _optional("learning_rate", float),
    _optional("learning_rate_schedule", str),
    _optional("warmup_epochs", float),
    _optional("batch_normalization", bool),
    _optional("dropout", float, per_layer=True),
    _optional("input_dropout", float),
    _optional("weight_decay", float),
    _optional("label_smoothing", float),
    _optional("early_stopping", bool),
    _optional("augmentation", str),
)


def _column(role, default=MISSING, **about):
    """Return a field of `Candidate` with what is known about its column."""
    about = {"role": role, "needed": default is MISSING, **about}
    return field(default=default, metadata=about)


def _measured(title, unit="", source=None, *, rank=100, **about):
    """Return a field for something measured. All tables show it, last by default.

    Files of earlier studies lack a new field, so give it a ``default``.
    """
    return _column(
        "measured", title=title, unit=unit, source=source, rank=rank, **about
    )


@dataclass(frozen=True, kw_only=True)
class Candidate(Record):
    """A candidate of a stage: what was tried and what was measured.

    Parameters
    ----------
    dataset : str
        Name of the data.
    stage : str
        Name of the stage.
    params : dict
        All parameters by their names, chosen in earlier stages or tried in this one.
        Values are plain data: a list where the layers have different values.
    validation_accuracy : float
        Accuracy on the validation rows, which stop the training; NaN without them.
    accuracy : float
        Accuracy on the rows that judge the candidates; NaN for one that failed.
    n_iter : float
        Epochs trained.
    best_iter : float
        The epoch whose weights are kept, counted from 1.
    seconds : float
        Seconds of the fit.
    n_parameters : float
        Number of weights.
    gap : float
        Validation accuracy minus accuracy.
    winner : bool
        Whether the stage chose this candidate.
    incumbent : bool
        Whether the stage started from this candidate.
    standard_error : float, default=None
        Standard error of the accuracy; None for a candidate that failed. Older
        studies have none.
    p_value : float, default=None
        The p-value of the difference from the stage's winner: McNemar's test on the
        rows that judge, adjusted after Holm, see `skmnist.stats.stage_verdict`. None
        for the winner and for a candidate that failed. Older studies have none.
    difference_error : float, default=None
        Standard error of the same difference, by the same test; None likewise.
    replicates : float, default=None
        Replicates that the candidate ran in its race; None where there was no race.
    race : str, default=None
        How the race ended for it: "worse", "idle", "failed", "stood" or "won".
    fresh_accuracy : float, default=None
        Accuracy on replicates that did not choose it; the winner of a race has one.
    """

    dataset: str = _column("place", title="data")
    stage: str = _column("place", title="stage")
    params: dict[str, Parameter]
    validation_accuracy: MaybeFraction = _measured(
        "validation accuracy", "fraction", "mean_test_validation_accuracy", rank=10
    )
    accuracy: MaybeFraction = _measured(
        f"{JUDGES} accuracy", "fraction", "mean_test_accuracy", rank=20
    )
    n_iter: MaybeAmount = _measured(
        "epochs trained", "epochs", "mean_test_n_iter", rank=70
    )
    best_iter: MaybeAmount = _measured(
        "best epoch", "epochs", "mean_test_best_iter", rank=None
    )
    seconds: MaybeAmount = _measured(
        "seconds",
        "seconds",
        "mean_test_fit_seconds",
        rank=80,
        axis="seconds of training",
    )
    n_parameters: MaybeAmount = _measured(
        "parameters", "count", "mean_test_n_parameters", rank=90, axis="parameters"
    )
    gap: MaybeDifference = _measured("gap", "difference", rank=60)
    winner: bool = _column("mark", title="chosen")
    incumbent: bool = _column("mark", title="carried in")
    standard_error: Fraction | None = _measured(
        "standard error", "difference", rank=30, on_terminal=False, default=None
    )
    p_value: Fraction | None = _measured(
        "p", "p", rank=40, on_terminal=False, default=None
    )
    difference_error: Fraction | None = _measured(
        "standard error of the difference", "difference", rank=None, default=None
    )
    replicates: MaybeAmount | None = _measured(
        "replicates", "count", rank=50, default=None
    )
    race: str | None = _measured("race", "text", rank=51, default=None)
    fresh_accuracy: Fraction | None = _measured(
        "fresh accuracy", "fraction", rank=52, on_terminal=False, default=None
    )

    def as_dict(self) -> dict[str, Any]:
        """Return the candidate as a row of results.csv.

        Returns
        -------
        row : dict
            A value for each column, parameters among them.
        """
        row = {}
        for one in fields(self):
            value = getattr(self, one.name)
            row |= value if one.name == "params" else {one.name: value}
        return row


def _columns_of_candidates():
    """List all columns in the order of results.csv."""
    kinds, found = types_of(Candidate), []
    for one in fields(Candidate):
        if one.name == "params":
            found += PARAMETERS
        else:
            found.append(Column(one.name, kinds[one.name], **one.metadata))
    return tuple(found)


COLUMNS = _columns_of_candidates()
BY_NAME = {column.name: column for column in COLUMNS}
MEASURED = tuple(column for column in COLUMNS if column.role == "measured")
# Those of them that are numbers.
NUMBERS = tuple(column for column in MEASURED if column.unit != "text")
# What a search records for them, some of it by `recorders`.
RECORDED = tuple(c for c in MEASURED if c.source or c.attribute)
# From the first of these on, a column is no parameter.
_FIRST_MEASURED = MEASURED[0].name


def recorders() -> "dict[str, FittedAttribute]":
    """Return what a search must record besides `skmnist.record_scoring`, by name."""
    # Who only reads a study needs no scikit-learn.
    from ..model_selection._scoring import FittedAttribute

    return {c.name: FittedAttribute(c.attribute) for c in MEASURED if c.attribute}


def shown_columns(*, on_terminal: bool = False) -> list[Column]:
    """List the measured columns that tables show, in their order.

    Parameters
    ----------
    on_terminal : bool, default=False
        Whether the table is for a terminal, where there is less room.

    Returns
    -------
    columns : list of Column
    """
    shown = [c for c in MEASURED if c.rank is not None]
    return sorted(
        (c for c in shown if c.on_terminal or not on_terminal), key=lambda c: c.rank
    )


def parameters_in_order(names: Iterable[str]) -> list[str]:
    """Sort names of parameters: first the names in `PARAMETERS`, then the others.

    Examples
    --------
    >>> from skmnist.study._columns import parameters_in_order
    >>> parameters_in_order(["patience", "epochs", "depth"])
    ['depth', 'epochs', 'patience']
    """
    names = list(dict.fromkeys(names))
    known = [column.name for column in PARAMETERS if column.name in names]
    return [*known, *(name for name in names if name not in known)]


def frame_of(rows: Sequence[Candidate]) -> dict[str, list]:
    """Return candidates as columns, in the order of results.csv."""
    params = parameters_in_order(name for row in rows for name in row.params)
    columns = {}
    for column in COLUMNS:
        if column is PARAMETERS[0]:
            columns |= {name: [row.params.get(name) for row in rows] for name in params}
        if column.role != "parameter":
            columns[column.name] = [getattr(row, column.name) for row in rows]
    return columns


def write_csv(rows: Sequence[Candidate]) -> str:
    """Write candidates as CSV; values of several layers are separated by spaces."""
    columns = frame_of(rows)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    for cells in zip(*columns.values(), strict=True):
        writer.writerow([_cell(value) for value in cells])
    return text.getvalue()


def read_csv(text: str) -> list[Candidate]:
    """Read what `write_csv` wrote.

    Parameters
    ----------
    text : str
        The content of a results.csv.

    Returns
    -------
    rows : list of Candidate

    Raises
    ------
    MisfitError
        If a column is missing or occurs twice, if a row has more or fewer cells than
        the header, or if a cell does not fit its column.
    """
    return [_candidate(cells, f"line {n}") for n, cells in read_table(text, COLUMNS)]


def read_table(text: str, columns: Iterable[Column]) -> list[tuple[int, dict]]:
    """Read a CSV whose columns are known.

    Parameters
    ----------
    text : str
        The content of the file.
    columns : iterable of Column
        The known columns; the file may have others too.

    Returns
    -------
    rows : list of (int, dict)
        The number of the line, and the values by the names of the columns.
    """
    known = {column.name: column for column in columns}
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        found = Said(f"damaged ({error})")
        raise MisfitError("the content", found, "a table (CSV)") from None
    names = lines[0][1] if lines else []
    _check_names(names, known)
    rows = []
    for number, cells in lines[1:]:
        if len(cells) != len(names):
            found = Said(f"of {len(cells)} cells")
            raise MisfitError(f"line {number}", found, str(len(names)))
        row = {
            name: read_cell(known.get(name), cell, f"line {number}: {name}")
            for name, cell in zip(names, cells, strict=True)
        }
        rows.append((number, row))
    return rows


def _check_names(names, known):
    for name, column in known.items():
        n_times = names.count(name)
        if n_times > 1 or (column.needed and not n_times):
            found = Said(f"there {n_times} times" if n_times else "missing")
            raise MisfitError(f"column {name}", found, "one such column")


def _candidate(row, where):
    """Make a candidate of the values of a row."""
    row = dict(row)
    about, params = {}, {}
    at_parameters = True
    for name, value in row.items():
        at_parameters = at_parameters and name != _FIRST_MEASURED
        column = BY_NAME.get(name)
        if column is not None and column.role != "parameter":
            about[name] = checked(column.kind, value, f"{where}: {name}")
        # A later version may measure more than this one knows.
        elif column is not None or at_parameters:
            params[name] = value
    return Candidate(params=params, **about)


def _cell(value):
    if isinstance(value, list):
        return " ".join(map(str, value))
    return repr(value) if isinstance(value, float) else value


def read_cell(column: Column | None, text: str, where: str) -> Any:
    """Read a cell.

    Parameters
    ----------
    column : Column or None
        Its column; None for an unknown one.
    text : str
        The cell.
    where : str
        The name of the cell for an error.

    Returns
    -------
    value : None, bool, int, float, str or list
        None for an empty cell.

    Raises
    ------
    MisfitError
        If the cell does not fit its column.
    """
    if not text:
        return "" if column is not None and column.role == "place" else None
    if column is None:
        return _guess(text)
    kind = _type_of(column.kind)
    parts = text.split(" ") if column.per_layer else [text]
    try:
        values = [_READ[kind](part) for part in parts]
    except (ValueError, KeyError):
        expected = {bool: "True or False", int: "a whole number", float: "a number"}
        raise MisfitError(where, text, expected[kind]) from None
    return values[0] if len(values) == 1 else values


_READ: dict[type, Callable[[str], Any]] = {
    str: str,
    bool: {"True": True, "False": False}.__getitem__,
    int: int,
    float: float,
}


def _type_of(kind):
    """Return the type of a kind, without its rule and without None."""
    while get_origin(kind) is Annotated or len(get_args(kind)) > 1:
        kind = get_args(kind)[0]
    return kind


def _guess(text):
    """Read a cell of an unknown column."""
    for read in (_READ[bool], int, float):
        try:
            return read(text)
        except (ValueError, KeyError):
            continue
    parts = text.split(" ")
    if len(parts) > 1:
        values = [_guess(part) for part in parts]
        if not any(isinstance(value, str) for value in values):
            return values
    return text


def is_failed(row: Candidate) -> bool:
    """Return whether a candidate has no accuracy."""
    return math.isnan(row.accuracy)
