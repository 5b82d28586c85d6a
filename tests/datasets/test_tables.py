"""Tables: CSV and Parquet, labels, pixels, encoded columns, OpenML."""

# SPDX-License-Identifier: BSD-3-Clause

import gzip
import json

import numpy as np
import pytest
from sklearn.utils import Bunch

from skmnist.datasets import DataError, TableEncoder, _openml, load_dataset
from skmnist.datasets._columns import are_pixels, find_label
from skmnist.datasets._tables import read_table


def put(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def error_of(function, *args, **kwargs):
    """Return the message of the DataError; check that it is one line."""
    with pytest.raises(DataError) as caught:
        function(*args, **kwargs)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def values(table):
    return {name: column.tolist() for name, column in table.items()}


# reading


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter, tmp_path):
    lines = [delimiter.join(row) for row in (["a", "b"], ["1", "x"], ["2", "y"])]
    table = read_table(put(tmp_path / "t.csv", *lines))
    assert values(table) == {"a": [1, 2], "b": ["x", "y"]}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["label,0,1", "5,0,1"], {"label": [5], "0": [0], "1": [1]}),
        (
            ["5,0,1", "6,2,3"],
            {"column_0": [5, 6], "column_1": [0, 2], "column_2": [1, 3]},
        ),
        (["1.5,cat", "2,dog"], {"column_0": [1.5, 2], "column_1": ["cat", "dog"]}),
        (["\ufeffa,b", "", "1,2", ""], {"a": [1], "b": [2]}),
        (['"a, b",c', '"x, y","say ""no"""'], {"a, b": ["x, y"], "c": ['say "no"']}),
        (["a,b", "NA,x", "?,"], {"a": [None, None], "b": ["x", None]}),
        (["a,b", "1_000,x"], {"a": ["1_000"], "b": ["x"]}),
    ],
    ids=["numbers as heads", "no head", "text", "blank", "quotes", "missing", "score"],
)
def test_dialects_of_csv(lines, expected, tmp_path):
    (tmp_path / "t.csv").write_text("\n".join(lines), "utf-8")
    assert values(read_table(tmp_path / "t.csv")) == expected


def test_missing_numbers_are_nan(tmp_path):
    column = read_table(put(tmp_path / "t.csv", "a,b", "1,2", ",3", "nan,4"))["a"]
    assert column[0] == 1 and np.isnan(column[1:]).all()


def test_packed_csv(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert values(read_table(tmp_path / "t.csv.gz")) == {"a": [1], "b": [2]}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b"a,b\n", "has a head and no rows"),
        (b"a,b\n1,2\n3\n", "row 2 has 1 cells, and the first line 2"),
        (b"a,a\n1,2\n", "columns of one name: 'a'"),
        (b"a,b\n\xff\xfe,2\n", "is no text in UTF-8"),
        (b'a,b\n"1,2\n', "cannot be read as a table"),
    ],
)
def test_damaged_csv(content, complaint, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    message = error_of(read_table, tmp_path / "t.csv")
    assert message.startswith(f"{tmp_path / 't.csv'}: ") and complaint in message


def test_tables_that_are_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr("skmnist.datasets._tables.MOST_BYTES", 100)
    (tmp_path / "t.csv").write_text("a,b\n" + "1,2\n" * 50)
    assert "larger than 4 GiB" in error_of(read_table, tmp_path / "t.csv")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 5000))
    assert "unpacked" in error_of(read_table, tmp_path / "t.csv.gz")


def test_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = arrow.table(
        {
            "n": [1, None],
            "f": [0.5, 1.5],
            "yes": [True, None],
            "text": ["x", None],
            "kind": arrow.array(["a", "b"]).dictionary_encode(),
            "label": [0, 1],
        }
    )
    named = {"info": {"features": {"label": {"names": ["cat", "dog"]}}}}
    table = table.replace_schema_metadata({"huggingface": json.dumps(named)})
    parquet.write_table(table, tmp_path / "t.parquet")
    found = read_table(tmp_path / "t.parquet")
    assert np.isnan(found.pop("n")[1])
    assert values(found) == {
        "f": [0.5, 1.5],
        "yes": ["True", None],
        "text": ["x", None],
        "kind": ["a", "b"],
        "label": ["cat", "dog"],
    }
    dates = arrow.table({"when": arrow.array([0], arrow.timestamp("s"))})
    parquet.write_table(dates, tmp_path / "d.parquet")
    message = error_of(read_table, tmp_path / "d.parquet")
    assert "the column 'when' holds timestamp[" in message


def test_parquet_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    message = error_of(read_table, put(tmp_path / "t.parquet", "x"))
    assert message.endswith("install it with 'pip install skmnist[parquet]'")


# labels


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["x", "Label"], "Label"),
        (["target", "x", "class"], "class"),
        (["x", "Species"], "Species"),
    ],
)
def test_the_column_of_labels_is_found_by_its_name(names, found):
    table = {name: np.zeros(2) for name in names}
    assert find_label("t.csv", table) == found


def test_the_column_of_labels_of_a_table_without_head():
    text = np.array(["a", "b"], object)
    columns = [np.zeros(2)] * 16
    table = {f"column_{i}": c for i, c in enumerate([*columns, text])}
    assert find_label("t.csv", table) == "column_16"
    table = {f"column_{i}": c for i, c in enumerate([*columns, np.ones(2)])}
    assert find_label("t.csv", table) == "column_0"


def test_no_column_of_labels():
    message = error_of(find_label, "t.csv", {"a": np.zeros(2), "b": np.zeros(2)})
    assert message == (
        "t.csv: no column of labels, looked for label, labels, class, target, y, "
        "species, category; it has 2 columns: 'a', 'b'. Name it: --label COLUMN, or "
        "label= in Python"
    )
    message = error_of(find_label, "t.csv", {"a": np.zeros(2)}, "c")
    assert message == "t.csv: no column 'c'; it has 1 column: 'a'"


def test_labels_that_are_missing_or_no_classes(tmp_path):
    rows = [f"{i},{'x' if i % 2 else 'y'}" for i in range(12)]
    path = put(tmp_path / "t.csv", "n,label", *rows, "12,")
    message = error_of(load_dataset, path)
    assert "1 of 13 labels are missing in the column 'label'" in message
    path = put(tmp_path / "t.csv", "a,label", *[f"{i},{i / 7}" for i in range(12)])
    assert "classes are needed" in error_of(load_dataset, path)


# data sets


def digits_rows(n=24, side=4):
    generator = np.random.default_rng(0)
    return [
        ",".join(map(str, [i % 2, *generator.integers(0, 256, side * side)]))
        for i in range(n)
    ]


@pytest.mark.parametrize(
    "head",
    [
        ["label," + ",".join(f"pixel{i}" for i in range(16))],
        ["label," + ",".join(f"{i}x{j}" for i in range(4) for j in range(4))],
        ["class," + ",".join(map(str, range(16)))],
        [],
    ],
    ids=["Kaggle", "rows and columns", "numbers", "no head"],
)
def test_columns_that_are_pixels(head, tmp_path):
    own = load_dataset(put(tmp_path / "own.csv", *head, *digits_rows()))
    assert own.feature_names[-1] == "pixel_3_3"
    assert (own.data.min(), own.target_names.tolist()) == (0, ["0", "1"])
    table = read_table(tmp_path / "own.csv")
    encoded = own.encoder.transform(table)
    assert sorted(map(bytes, encoded)) == sorted(map(bytes, own.data))
    assert "scaled from 0..255 to 0..1" in own.note


def test_few_or_other_columns_are_no_pixels():
    assert not are_pixels({f"{i}": np.zeros(2) for i in range(9)})
    assert not are_pixels({f"{i}": np.full(2, -1.5) for i in range(16)})
    assert not are_pixels({f"{i}": np.zeros(2) for i in range(17)})


def pets(n=24):
    """Rows of a table: kind, weight with gaps, colour with gaps, name, id."""
    kinds, colours = ("cat", "dog"), ("black", "brown", "")
    return [
        f"{i + 1},{kinds[i % 2]},{'' if i % 5 == 0 else i},{colours[i % 3]},name {i}"
        for i in range(n)
    ]


HEAD = "PetId,kind,weight,colour,name"


@pytest.fixture
def pets_table(tmp_path):
    return load_dataset(put(tmp_path / "pets.csv", HEAD, *pets(30)), label="kind")


def test_columns_are_encoded(pets_table):
    assert pets_table.feature_names == [
        "weight",
        "weight is missing",
        "colour=missing",
        "colour=black",
        "colour=brown",
    ]
    assert pets_table.data.dtype == np.float32
    train = pets_table.data[pets_table.train]
    assert np.allclose(train[:, :2].mean(axis=0), 0, atol=1e-6)
    assert np.allclose(train[:, 0].std(), 1, atol=1e-6)
    assert set(np.unique(train[:, 2:])) == {0, 1}
    assert pets_table.label == "kind"


def test_what_becomes_of_the_columns_is_said(pets_table):
    assert pets_table.note == (
        "Labels from the column 'kind'. 1 columns of numbers, standardized, 1 of text, "
        "one feature for each category, medians where numbers are missing (weight), "
        "left out: PetId numbers the rows; name has another text in almost every row. "
        "A sixth of each class is the test part"
    )


def test_an_encoder_is_plain_data(pets_table, tmp_path):
    plain = json.loads(json.dumps(pets_table.encoder.as_dict()))
    again = TableEncoder.from_dict(plain)
    table = read_table(tmp_path / "pets.csv")
    table["colour"][0] = "a new one"
    expected = pets_table.encoder.transform(table)
    assert np.array_equal(again.transform(table), expected)
    assert again.feature_names == pets_table.encoder.feature_names
    assert not expected[0, 2:].any()


def test_an_encoder_takes_a_data_frame(pets_table, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(tmp_path / "pets.csv")
    expected = pets_table.encoder.transform(read_table(tmp_path / "pets.csv"))
    assert np.array_equal(pets_table.encoder.transform(frame), expected)


def test_tables_to_train_and_to_test(tmp_path):
    put(tmp_path / "pets_train.csv", HEAD, *pets())
    put(tmp_path / "pets_test.csv", HEAD, *pets(6))
    own = load_dataset(tmp_path, label="kind")
    assert (own.train, own.test) == (slice(0, 24), slice(24, 30))
    put(tmp_path / "pets_test.csv", "PetId,kind", "1,cat")
    assert "the test table lacks 'weight'" in error_of(
        load_dataset, tmp_path, label="kind"
    )


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"weight": np.ones(2)}, "lacks columns of the training: 'colour'"),
        (
            {"weight": np.array(["x", "y"], object), "colour": np.ones(2)},
            "the column 'weight' holds text, and no numbers",
        ),
        (
            {"weight": np.array([np.inf, 0]), "colour": np.ones(2)},
            "the column 'weight' holds infinite numbers",
        ),
    ],
)
def test_tables_that_do_not_fit(table, complaint, pets_table):
    with pytest.raises(ValueError, match=complaint):
        pets_table.encoder.transform(table)


def test_rare_categories_share_the_zeros():
    codes = np.array([f"c{i % 60}" for i in range(600)] + ["c1"] * 5, object)
    encoder = TableEncoder.fit({"code": codes, "n": np.arange(605.0)})
    assert len(encoder.feature_names) == 1 + 50
    encoded = encoder.transform({"code": codes, "n": np.zeros(605)})
    assert set(encoded[:, 1:].sum(axis=1)) == {0, 1}


def test_no_column_of_use():
    with pytest.raises(ValueError, match="no column to learn from: 'a' is empty"):
        TableEncoder.fit({"a": np.full(3, np.nan)})


# OpenML


@pytest.fixture
def openml(monkeypatch):
    """What fetch_openml was asked for; it returns an array with categories."""
    asked = []

    def fetch(**how):
        asked.append(how)
        return Bunch(
            data=np.array([[i, i % 2] for i in range(24)], float),
            target=np.array(["yes", "no"] * 12, object),
            feature_names=["n", "kind"],
            target_names=["bought"],
            categories={"kind": ["a", "b"]},
        )

    monkeypatch.setattr(_openml, "fetch_openml", fetch)
    monkeypatch.setattr(_openml, "find_spec", lambda name: None)
    return asked


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("openml:adult", {"name": "adult", "version": "active"}),
        ("openml:adult/2", {"name": "adult", "version": 2}),
        ("openml:1590", {"data_id": 1590}),
    ],
)
def test_openml_by_name_version_and_number(name, asked, openml):
    own = load_dataset(name)
    assert asked.items() <= openml[0].items()
    assert own.feature_names == ["n", "kind=a", "kind=b"]
    assert own.target_names.tolist() == ["no", "yes"]
    assert own.name == name.removeprefix("openml:")


def test_openml_as_a_data_frame(openml, monkeypatch):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"n": range(24), "c": pandas.Categorical(["3", "4"] * 12)})
    monkeypatch.setattr(_openml, "find_spec", lambda name: True)
    found = Bunch(frame=frame, target_names=["c"])
    monkeypatch.setattr(_openml, "fetch_openml", lambda **how: found)
    assert load_dataset("openml:any").target_names.tolist() == ["3", "4"]
    assert load_dataset("openml:any").target.dtype.kind == "i"


def test_openml_without_a_network(monkeypatch):
    def fail(**how):
        raise OSError("no network")

    monkeypatch.setattr(_openml, "fetch_openml", fail)
    message = error_of(load_dataset, "openml:adult")
    assert message.startswith("openml:adult cannot be fetched, OSError('no network')")
