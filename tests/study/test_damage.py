"""Damaged files of a study: one clear error, whoever reads the folder."""

import contextlib
import copy
import csv
import io
import itertools
import json
import math
import os
import random
import shutil
import sys
import warnings

import numpy as np
import pytest

from skmnist.cli import main
from skmnist.reporting import log_study, to_html, to_markdown
from skmnist.reporting._comparison import to_comparison
from skmnist.study import (
    StudyConfig,
    StudyFolderError,
    read_evidence,
    read_study,
    read_trials,
    run_study,
    study_status,
)
from skmnist.study._baselines import read_baselines
from skmnist.study._status import describe_status
from skmnist.study._storage import check_same
from skmnist.study._trials import TrialFile

JSON_FILES = (
    *("study.json", "stages.json", "summary.json", "curves.json"),
    "baselines.json",
)
FILES = (*JSON_FILES, "results.csv", "trials.jsonl", "predictions.npz")
LEFT_OUT = "damaged lines are left out"


@pytest.fixture(scope="module")
def original(tiny_study, tmp_path_factory):
    """The files of a study, without its fits."""
    folder = tmp_path_factory.mktemp("original")
    for name in FILES:
        shutil.copy(tiny_study / name, folder)
    return folder


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "study")


@pytest.fixture(scope="module")
def header(original):
    return read_study(original).header


def reports(folder, log):
    """Make every report of a study."""
    study, evidence = read_study(folder), read_evidence(folder)
    to_markdown(study, evidence)
    to_comparison(study, study, (evidence, evidence), ("a", "b"))
    to_html(study, evidence)
    shutil.rmtree(log, ignore_errors=True)
    log_study(folder, log)


def readers(folder, header, log):
    """List everything that reads a study's folder."""
    return {
        "status": lambda: describe_status(study_status(folder)),
        "trials": lambda: read_trials(folder / "trials.jsonl"),
        "resumed trials": lambda: TrialFile(folder / "trials.jsonl").__exit__(),
        "resume": lambda: check_same(folder, header),
        "evidence": lambda: read_evidence(folder),
        "study": lambda: read_study(folder),
        "baselines": lambda: read_baselines(folder, header.data.n_test),
        "reports": lambda: reports(folder, log),
    }


# What is the first to read each file; whatever it refuses, all others refuse.
FIRST = {
    "trials.jsonl": "trials",
    "curves.json": "evidence",
    "baselines.json": "baselines",
    "predictions.npz": "evidence",
}


def complaint(name, read, folder):
    """Read something; return what is no clear error, and whether it could be read."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", f".*{LEFT_OUT}")
            read()
    except StudyFolderError as error:
        clear = str(error).isprintable() and str(folder) in str(error)
        return ([] if clear else [f"{name}: {error!r}"]), False
    except Exception as error:
        return [f"{name}: {type(error).__name__}: {error}"], False
    return [], True


class Folder:
    """The folder of a study, to be damaged and read in every way."""

    def __init__(self, path, header, log):
        self.path = path
        self.readers = readers(path, header, log)

    def read(self, names=None):
        """Read the folder as it is; return what is no clear error."""
        found = []
        for name in names or self.readers:
            found += complaint(name, self.readers[name], self.path)[0]
        return found

    def with_file(self, name, content, *, draw=False):
        """Read the folder with another content of a file in every way."""
        with self._changed(name, content), drawing(draw):
            only = [n for n in self.readers if "trials" in n or n == "status"]
            return self.read(only if name == "trials.jsonl" else None)

    def refuses(self, name, content):
        """Read a file with another content; return whether it is refused clearly."""
        with self._changed(name, content):
            first = FIRST.get(name, "study")
            found, was_read = complaint(first, self.readers[first], self.path)
        assert found == []
        return not was_read

    @contextlib.contextmanager
    def _changed(self, name, content):
        path = self.path / name
        kept = path.read_bytes()
        path.write_bytes(content)
        yield
        path.write_bytes(kept)


@contextlib.contextmanager
def drawing(draw):
    """Do without figures, which take most of the time, unless they are wanted."""
    with pytest.MonkeyPatch.context() as patch:
        if not draw:
            for module in ("matplotlib", "matplotlib.style", "matplotlib.image"):
                patch.setitem(sys.modules, module, None)
        yield


@pytest.fixture
def study(folder, header, tmp_path):
    return Folder(folder, header, tmp_path / "log")


def test_the_files_as_they_are_give_no_error(study):
    for read in study.readers.values():
        read()


# Whole files

CONTENTS = {
    "empty": b"",
    "blank": b" \n",
    "not JSON": b"{",
    "null": b"null",
    "number": b"1",
    "text": b'"x"',
    "list": b"[]",
    "list of numbers": b"[1, 2]",
    "dict": b"{}",
    "no UTF-8": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "long number": b"1" * 10_000,
    "zip": b"PK\x05\x06" + bytes(18),
    "npy": b"\x93NUMPY",
}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", FILES)
def test_another_content(name, content, study):
    assert study.with_file(name, CONTENTS[content]) == []


@pytest.mark.parametrize("name", FILES)
def test_no_file_or_no_ordinary_one(name, study):
    path = study.path / name

    def read():
        with drawing(False):
            assert study.read() == []

    path.unlink()
    read()
    path.unlink(missing_ok=True)
    path.mkdir()
    read()
    path.rmdir()
    # Whoever opened it would wait for ever.
    os.mkfifo(path)
    read()
    path.unlink()
    path.symlink_to("/dev/zero")
    read()


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut_off_or_has_other_bytes(name, study):
    whole = (study.path / name).read_bytes()
    generator = random.Random(0)
    for _ in range(5):
        cut = generator.randrange(len(whole))
        assert study.with_file(name, whole[:cut]) == [], cut
        changed = bytearray(whole)
        changed[cut] = generator.randrange(256)
        assert study.with_file(name, bytes(changed)) == [], cut


# Values in JSON

VALUES = {
    "null": None,
    "true": True,
    "text": "x",
    "no text": "",
    "control": "\x1b[2J\nOK",
    "surrogate": "\ud800",
    "markup": "<script>|`$x$",
    "zero": 0,
    "negative": -1,
    "fraction": 0.5,
    "nan": math.nan,
    "infinite": math.inf,
    "huge": 1e308,
    "beyond": 10**400,
    "list": [],
    "nested": [[[[1]]]],
    "dict": {},
    "other dict": {"x": None},
}


def places(plain, path=()):
    """Yield the path of every value in plain data; of a list only its ends."""
    if path:
        yield path
    if isinstance(plain, dict):
        for key, value in plain.items():
            yield from places(value, (*path, key))
    elif isinstance(plain, list) and plain:
        for i in sorted({0, len(plain) - 1}):
            yield from places(plain[i], (*path, i))


def changed(plain, path, value):
    """Return plain data with another value in one place; the value may be missing."""
    result = copy.deepcopy(plain)
    inner = result
    for key in path[:-1]:
        inner = inner[key]
    if value is places:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return result


def is_leaf(plain, path):
    for key in path:
        plain = plain[key]
    return not isinstance(plain, dict | list)


def check_everywhere(study, name, plain, value, write):
    """Put a value in every place of a file, alone; then wherever it may stand."""
    allowed = []
    for path in places(plain):
        if not study.refuses(name, write(changed(plain, path, value))):
            if is_leaf(plain, path):
                allowed.append(path)
            else:
                everywhere = write(changed(plain, path, value))
                assert study.with_file(name, everywhere) == [], path
    # From the last on, so that no place is moved by what is taken out before it.
    for path in reversed(allowed):
        plain = changed(plain, path, value)
    assert study.with_file(name, write(plain)) == []


@pytest.mark.parametrize("value", ["missing", *VALUES])
@pytest.mark.parametrize("name", JSON_FILES)
def test_every_value_in_turn_is_another(name, value, study):
    plain = json.loads((study.path / name).read_text())
    value = VALUES.get(value, places)
    check_everywhere(study, name, plain, value, lambda p: json.dumps(p).encode())


@pytest.mark.parametrize("value", ["missing", *VALUES])
def test_every_value_of_a_trial_in_turn_is_another(value, study):
    lines = (study.path / "trials.jsonl").read_bytes().splitlines(keepends=True)
    value = VALUES.get(value, places)

    def write(trial):
        return b"".join([*lines[:-1], json.dumps(trial).encode() + b"\n"])

    check_everywhere(study, "trials.jsonl", json.loads(lines[-1]), value, write)


def test_a_line_of_another_shape_is_left_out_with_a_warning(folder):
    path = folder / "trials.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    trial = json.loads(lines[0])
    for line in (
        b"[]\n",
        b"{}\n",
        json.dumps({**trial, "split": "x"}).encode() + b"\n",
    ):
        path.write_bytes(lines[0] + line + lines[1])
        with pytest.warns(UserWarning, match=f"1 {LEFT_OUT}"):
            assert [t.candidate for t in read_trials(path)] == [0, 1]


# Figures of values that are possible, and far from all others


# Two values in each curve: to draw is most of the time.
def test_curves_of_any_values_can_be_drawn(study):
    curves = json.loads((study.path / "curves.json").read_text())
    drawn = [*curves["stages"].values(), curves["final"]]
    values = [(math.nan, math.inf), (0, -1), (1e30, 1e300)]
    for curve, (one, other) in zip(drawn, values, strict=True):
        n_epochs = len(curve["loss"])
        curve |= {"loss": [one] * n_epochs, "val_loss": [other] * n_epochs}
        curve["val_accuracy"][:2] = one, other
    assert study.with_file("curves.json", json.dumps(curves).encode(), draw=True) == []


def test_curves_of_another_length_are_named(folder):
    curves = json.loads((folder / "curves.json").read_text())
    curves["final"]["val_loss"].pop()
    (folder / "curves.json").write_text(json.dumps(curves))
    with pytest.raises(
        StudyFolderError,
        match=r"curves.json: final.val_loss is of 2 epochs; expected 3, as in loss",
    ):
        read_evidence(folder)


# Cells of the table

CELLS = {
    "empty": "",
    "text": "x",
    "nan": "nan",
    "infinite": "inf",
    "negative": "-1",
    "zero": "0",
    "huge": "1e308",
    "long": "9" * 5000,
    "true": "True",
    "two": "a b",
    "control": "\x1b[2J\nOK",
    "markup": "<script>|`$x$",
}


def table(folder):
    with open(folder / "results.csv", newline="") as file:
        return list(csv.reader(file))


def as_csv(rows):
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_in_turn_is_another(cell, study):
    rows = table(study.path)
    allowed = copy.deepcopy(rows)
    for column, row in itertools.product(range(len(rows[0])), (0, 1, len(rows) - 1)):
        other = copy.deepcopy(rows)
        other[row][column] = CELLS[cell]
        if row and not study.refuses("results.csv", as_csv(other)):
            allowed[row][column] = CELLS[cell]
    draw = cell in ("nan", "zero")
    assert study.with_file("results.csv", as_csv(allowed), draw=draw) == []


@pytest.mark.parametrize("cells", [("nan", "1e15"), ("0", "1e-300", "1")], ids=str)
def test_measured_values_far_from_the_others_can_be_drawn(cells, study):
    head, *rows = table(study.path)
    losers = [row for row in rows if row[head.index("winner")] == "False"]
    for row, cell in zip(losers, cells, strict=False):
        for name in ("seconds", "n_parameters", "accuracy", "n_iter"):
            allowed = cell != "1e15" or name != "accuracy"
            row[head.index(name)] = cell if allowed else "0.5"
    rows = [head, *rows]
    assert study.with_file("results.csv", as_csv(rows), draw=True) == []
    assert not study.refuses("results.csv", as_csv(rows))


def without(rows, column):
    return [[c for i, c in enumerate(row) if i != column] for row in rows]


def test_every_column_in_turn_is_missing_or_there_twice(study):
    rows = table(study.path)
    for i, name in enumerate(rows[0]):
        assert study.with_file("results.csv", as_csv(without(rows, i))) == [], name
        twice = [[*row, row[i]] for row in rows]
        assert study.with_file("results.csv", as_csv(twice)) == [], name


def rows_of(rows, **changes):
    """Return the rows of a table as dicts, and back."""
    return [dict(zip(rows[0], row, strict=True)) | changes for row in rows[1:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [row for row in rows if row["winner"] == "False"], "is there 0"),
        (lambda rows: [{**row, "winner": "True"} for row in rows], "is there 4 times"),
        (lambda rows: [row for row in rows if row["stage"] == "shape"], "is there 0"),
        (lambda rows: [{**row, "stage": "x"} for row in rows], "line 2: stage is 'x'"),
        (lambda rows: rows[1:], "number of rows is 6; expected 7, see summary.json"),
        (
            lambda rows: [{**r, "accuracy": "nan"} for r in rows],
            "the accuracy of the winner of stage 'shape' is nan",
        ),
        (
            lambda rows: [{**r, "gap": "x"} for r in rows],
            "line 2: gap is 'x'; expected a number",
        ),
        (
            lambda rows: [{**r, "accuracy": "1.5"} for r in rows],
            "line 2: accuracy is 1.5; expected a number from 0 to 1, or nan",
        ),
    ],
    ids=[
        "no winner",
        "all win",
        "a stage without rows",
        "unknown stage",
        "too few rows",
        "winner without accuracy",
        "no number",
        "out of range",
    ],
)
def test_rows_that_do_not_fit_are_named(change, message, folder):
    names = table(folder)[0]
    rows = [list(row.values()) for row in change(rows_of(table(folder)))]
    (folder / "results.csv").write_bytes(as_csv([names, *rows]))
    with pytest.raises(StudyFolderError) as error:
        read_study(folder)
    assert str(error.value).startswith(f"{folder} holds a damaged study: results.csv: ")
    assert message in str(error.value)


def test_rows_that_are_there_twice_do_no_harm(study):
    rows = table(study.path)
    assert study.with_file("results.csv", as_csv([*rows, rows[1]]), draw=True) == []


def test_rows_of_a_stage_that_was_about_to_be_written_are_left_out(folder):
    # The process may be killed between two files.
    stages = json.loads((folder / "stages.json").read_text())
    (folder / "stages.json").write_text(json.dumps(stages[:1]))
    (folder / "summary.json").unlink()
    study = read_study(folder)
    assert [stage.name for stage in study.stages] == ["shape"]
    assert {row.stage for row in study.rows} == {"shape"}


def test_columns_of_a_later_version_are_left_out(folder):
    rows = table(folder)
    rows = [[*row, "later" if i == 0 else "1"] for i, row in enumerate(rows)]
    before = read_study(folder).rows
    (folder / "results.csv").write_bytes(as_csv(rows))
    assert read_study(folder).rows == before


# The archive of predictions


def archive(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


CHANGES = {
    "shorter": lambda array: array[:-1],
    "longer": lambda array: np.concatenate([array, array[:1]]),
    "empty": lambda array: array[:0],
    "flat": lambda array: array.ravel()[:1],
    "a number": lambda array: np.array(1),
    "another dimension": lambda array: array[None],
    "text": lambda array: array.astype(str),
    "complex": lambda array: array.astype(complex),
    "negative": lambda array: array.astype(float) * -1000,
    "not a number": lambda array: array * np.nan,
    "64 bits": lambda array: array.astype("u8") + 2**63,
    "bytes": lambda array: array.astype("S"),
    "bool": lambda array: array.astype(bool),
    "hostile": lambda array: np.full(array.shape, "\x1b[2J<script>"),
    "times": lambda array: array.astype("M8[s]"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_arrays_of_another_shape_or_type(change, study):
    with np.load(study.path / "predictions.npz") as kept:
        arrays = dict(kept)
    for name, array in arrays.items():
        other = archive(**{**arrays, name: CHANGES[change](array)})
        assert study.with_file("predictions.npz", other) == [], name


def test_arrays_that_are_missing_or_pickled(study):
    with np.load(study.path / "predictions.npz") as kept:
        arrays = dict(kept)
    for name in arrays:
        fewer = {other: array for other, array in arrays.items() if other != name}
        assert study.with_file("predictions.npz", archive(**fewer)) == [], name
    pickled = {**arrays, "true": arrays["true"].astype(object)}
    assert study.with_file("predictions.npz", archive(**pickled)) == []
    assert (
        study.with_file("predictions.npz", archive(**arrays, another=np.ones(3))) == []
    )


# What users see


def test_the_error_names_file_field_value_and_what_was_expected(folder):
    header = json.loads((folder / "study.json").read_text())
    header["config"]["seed"] = "seven"
    (folder / "study.json").write_text(json.dumps(header))
    with pytest.raises(StudyFolderError) as error:
        read_study(folder)
    assert str(error.value) == (
        f"{folder} holds a damaged study: study.json: config.seed is 'seven'; "
        "expected a whole number from 0 to 4294967295"
    )


@pytest.mark.parametrize("command", ["status", "report", "tensorboard"])
def test_a_command_says_it_in_one_line(command, folder, tmp_path, capfd):
    stages = json.loads((folder / "stages.json").read_text())
    stages[0]["tried"] = "\x1b[2J"
    (folder / "stages.json").write_text(json.dumps(stages))
    log = [str(tmp_path / "log")] if command == "tensorboard" else []
    assert main([command, str(folder), *log]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err == (
        f"Error: {folder} holds a damaged study: stages.json: stage 1.tried is "
        "'\\x1b[2J'; expected a list of text\n"
    )


def test_a_damaged_study_does_not_go_on(folder):
    (folder / "results.csv").write_text("x\n")
    config = StudyConfig(dataset="digits", preset="report", epochs=3)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(
        StudyFolderError, match="results.csv: column dataset is missing"
    ):
        run_study(config, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_study_of_a_later_version_is_refused(folder):
    header = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({**header, "schema": 2}))
    with pytest.raises(StudyFolderError, match="schema is 2; expected"):
        read_study(folder)
    (folder / "study.json").write_text(json.dumps({**header, "later": 1}))
    read_study(folder)
