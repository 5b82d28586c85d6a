"""Any data by a path: archives, IDX sets, .mat, folders of pictures, and errors."""

# SPDX-License-Identifier: BSD-3-Clause

import gzip
import os

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from skmnist.datasets import DataError, DataNotFoundError, load_dataset
from skmnist.datasets._families import FAMILIES, family_of
from skmnist.datasets._idx import read_idx
from skmnist.datasets._pictures import PictureForm, open_grey, stack_pictures

PICTURES = np.random.default_rng(0).integers(0, 256, (24, 28, 28)).astype(np.uint8)
LABELS = (np.arange(24) % 2).astype(np.uint8)


def error_of(*args, **kwargs):
    """Return the message of the DataError; check that it is one line."""
    with pytest.raises(DataError) as caught:
        load_dataset(*args, **kwargs)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def idx(array, code=8):
    head = bytes((0, 0, code, array.ndim)) + np.array(array.shape, ">u4").tobytes()
    return head + array.tobytes()


def put_set(folder, prefix="", labels=LABELS, test="t10k", code=8):
    """Write four IDX files; the test part has the first 12 rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, rows in (("train", slice(None)), (test, slice(12))):
        images = idx(PICTURES[rows])
        (folder / f"{prefix}{part}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(images, 1)
        )
        (folder / f"{prefix}{part}-labels-idx1-ubyte").write_bytes(
            idx(labels[rows], code)
        )
    return folder


# archives


@pytest.mark.parametrize(
    "order",
    [(0, 1, 2, 3), (0, 2, 1, 3)],
    ids=["part by part", "as train_test_split has them"],
)
def test_arrays_without_names(order, tmp_path):
    arrays = [PICTURES, LABELS, PICTURES[:12], LABELS[:12]]
    np.savez(tmp_path / "own.npz", *[arrays[i] for i in order])
    own = load_dataset(tmp_path / "own.npz")
    assert (own.train, own.test) == (slice(0, 24), slice(24, 36))
    assert own.target[own.test].tolist() == LABELS[:12].tolist()
    assert np.array_equal(own.data[own.train] * 255, PICTURES.reshape(24, -1))


def test_two_arrays_without_names_are_split(tmp_path):
    np.savez(tmp_path / "own.npz", PICTURES, LABELS)
    own = load_dataset(tmp_path / "own.npz")
    assert own.train == slice(0, 20)
    assert own.note.endswith("A sixth of each class is the test part")


def test_class_names_beside_the_arrays(tmp_path):
    np.savez(tmp_path / "own.npz", X=PICTURES, y=LABELS, class_names=["no", "yes"])
    assert load_dataset(tmp_path / "own.npz").target_names.tolist() == ["no", "yes"]


# sets of four files


def test_a_set_like_mnist(tmp_path):
    own = load_dataset(put_set(tmp_path / "mine" / "raw").parent)
    assert (own.name, own.target_names.tolist()) == ("mine", ["0", "1"])
    assert np.array_equal(own.data[own.train] * 255, PICTURES.reshape(24, -1))


def test_classes_in_a_text_file(tmp_path):
    put_set(tmp_path)
    (tmp_path / "classes.txt").write_text("circle\nsquare\n")
    assert load_dataset(tmp_path).target_names.tolist() == ["circle", "square"]


def test_fashion_is_known_by_its_folder_and_by_its_name(tmp_path):
    folder = put_set(tmp_path / "FashionMNIST" / "raw")
    own = load_dataset(folder)
    assert own.target_names.tolist() == ["T-shirt/top", "Trouser"]
    assert own.pictures is not None
    named = load_dataset("fashion-mnist", tmp_path)
    assert named.fingerprint == own.fingerprint and named.name == "fashion-mnist"


def test_a_named_set_in_a_folder_with_any_name(tmp_path):
    named = load_dataset("kmnist", put_set(tmp_path / "downloads"))
    assert named.target_names.tolist() == ["ki", "o"]
    assert named.pictures is None


def test_kmnist_as_arrays_of_numpy(tmp_path):
    for part, rows in (("train", slice(None)), ("test", slice(12))):
        np.savez(tmp_path / f"kmnist-{part}-imgs.npz", PICTURES[rows])
        np.savez(tmp_path / f"kmnist-{part}-labels.npz", LABELS[rows])
    own = load_dataset("kmnist", tmp_path)
    assert own.data.shape == (36, 784) and set(own.target.tolist()) == {"o", "ki"}


def test_emnist_is_upright_and_has_letters(tmp_path):
    put_set(tmp_path, "emnist-letters-", LABELS + np.uint8(1), test="test")
    own = load_dataset("emnist-letters", tmp_path)
    assert own.target[:2].tolist() == ["A", "B"]
    upright = PICTURES.transpose(0, 2, 1).reshape(24, -1)
    assert np.array_equal(own.data[own.train] * 255, upright)


def test_of_several_sets_one_must_be_named(tmp_path):
    put_set(tmp_path, "emnist-letters-", LABELS + np.uint8(1), test="test")
    put_set(tmp_path, "emnist-digits-", test="test")
    message = error_of(tmp_path)
    assert "holds several data sets (emnist-digits, emnist-letters)" in message
    assert f"--dataset emnist-letters --data {tmp_path}" in message
    assert load_dataset("emnist-digits", tmp_path).target_names.tolist() == ["0", "1"]


def test_the_classes_of_qmnist_are_the_first_of_its_labels(tmp_path):
    labels = np.zeros((24, 8), ">i4")
    labels[:, 0] = LABELS
    put_set(tmp_path, "qmnist-", labels, test="test", code=0x0C)
    assert load_dataset("qmnist", tmp_path).target[:2].tolist() == [0, 1]


def test_mnist_is_not_taken_for_its_kin(mnist_home):
    message = error_of("kmnist", mnist_home)
    assert message == f"{mnist_home}: holds MNIST itself, not kmnist"


def test_a_named_set_that_is_not_there(tmp_path):
    message = error_of("emnist-balanced", tmp_path)
    assert message.startswith(f"emnist-balanced is not there: looked into {tmp_path}.")
    assert "emnist-balanced-train-images-idx3-ubyte.gz" in message


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is no IDX file"),
        (b"\0\0\x08", "is no IDX file"),
        (b"\0\0\x07\x01\0\0\0\x01\0", "is no IDX file"),
        (b"\0\0\x08\x03\0\0\0\x01", "truncated in its head"),
        (b"\0\0\x08\x01\0\0\0\x02\0", "truncated, 1 bytes of values instead of 2"),
        (b"\0\0\x08\x01\0\0\0\x01\0\0", "trailing garbage after 1 bytes"),
        (b"\0\0\x0e\x02\xff\xff\xff\xff\xff\xff\xff\xff", "which are too many"),
        (gzip.compress(idx(PICTURES))[:-999], "truncated"),
    ],
)
def test_damaged_idx_files(content, complaint, tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        read_idx(path)


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(8, "u1"), (9, "i1"), (0x0B, ">i2"), (0x0D, ">f4"), (0x0E, ">f8")],
)
def test_idx_files_of_all_types(code, dtype, tmp_path):
    values = np.arange(6).reshape(2, 3).astype(dtype)
    (tmp_path / "x").write_bytes(idx(values, code))
    assert read_idx(tmp_path / "x").tolist() == values.tolist()


@pytest.mark.parametrize(
    ("names", "family"),
    [
        (["emnist-letters"], "emnist-letters"),
        (["gzip", "emnist_balanced"], "emnist-balanced"),
        (["", "raw", "FashionMNIST"], "fashion-mnist"),
        (["Kuzushiji-MNIST"], "kmnist"),
        (["old-fashioned"], None),
        (["mnist", "raw"], None),
    ],
)
def test_the_family_of_names(names, family):
    assert family_of(*names) == family


def test_as_many_names_as_classes():
    n_classes = {name: len(family.class_names) for name, family in FAMILIES.items()}
    assert n_classes == {
        "fashion-mnist": 10,
        "kmnist": 10,
        "qmnist": 0,
        "emnist-letters": 26,
        "emnist-balanced": 47,
        "emnist-byclass": 62,
        "emnist-bymerge": 47,
        "emnist-digits": 0,
    }


# MATLAB


def test_the_mat_of_emnist(tmp_path):
    # MATLAB writes pictures column by column.
    columns = PICTURES.transpose(0, 2, 1).reshape(24, -1)
    labels = LABELS[:, None] + 1
    content = {
        "train": {"images": columns, "labels": labels},
        "test": {"images": columns[:12], "labels": labels[:12]},
        "mapping": np.array([[1, 65, 97], [2, 66, 98]], np.uint8),
    }
    savemat(tmp_path / "emnist-letters.mat", {"dataset": content})
    own = load_dataset(tmp_path / "emnist-letters.mat")
    assert np.array_equal(own.data[own.train] * 255, PICTURES.reshape(24, -1))
    assert own.target_names.tolist() == ["A", "B"]
    assert load_dataset("emnist-letters", tmp_path).fingerprint == own.fingerprint


def test_other_mats(tmp_path):
    savemat(tmp_path / "own.mat", {"X": PICTURES, "y": LABELS})
    assert load_dataset(tmp_path / "own.mat").data.shape == (24, 784)
    savemat(tmp_path / "other.mat", {"speed": LABELS})
    message = error_of(tmp_path / "other.mat")
    assert message.endswith("neither EMNIST's 'dataset' nor X, y; holds speed")
    (tmp_path / "bad.mat").write_bytes(b"no file of MATLAB" * 20)
    assert "cannot be read" in error_of(tmp_path / "bad.mat")


# pictures


def put_pictures(folder, shapes=((9, 12),), mode="L"):
    """Write 12 pictures of each of two classes, one with a bar at the left."""
    for name, columns in (("bar", slice(2, 4)), ("none", slice(0, 0))):
        (folder / name).mkdir(parents=True)
        for i in range(12):
            picture = np.full(shapes[i % len(shapes)], 255, np.uint8)
            picture[2:-2, columns] = i
            Image.fromarray(picture).convert(mode).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_a_folder_for_each_class(mode, tmp_path):
    own = load_dataset(put_pictures(tmp_path / "shapes", mode=mode))
    assert own.data.shape == (24, 9 * 12) and own.feature_names[-1] == "pixel_8_11"
    assert (own.name, own.target_names.tolist()) == ("shapes", ["bar", "none"])
    assert own.pictures == PictureForm(9, 12, dark=False)


def test_folders_to_train_and_to_test(tmp_path):
    put_pictures(tmp_path / "train")
    put_pictures(tmp_path / "test")
    own = load_dataset(tmp_path)
    assert (own.train, own.test) == (slice(0, 24), slice(24, 48))


def test_pictures_of_several_sizes_become_those_of_mnist(tmp_path):
    own = load_dataset(put_pictures(tmp_path / "s", shapes=((9, 12), (80, 100))))
    assert own.data.shape == (24, 784)
    # The bands that keep the proportions have the colour of the ground.
    assert own.data.reshape(-1, 28, 28)[:, :2].min() == 1


def test_folders_named_by_digits_are_read_as_digits(tmp_path):
    put_pictures(tmp_path, shapes=((28, 28),))
    (tmp_path / "bar").rename(tmp_path / "3")
    (tmp_path / "none").rename(tmp_path / "10")
    assert load_dataset(tmp_path).target_names.tolist() == ["3", "10"]
    assert load_dataset(tmp_path).pictures is not None
    (tmp_path / "10").rename(tmp_path / "8")
    assert load_dataset(tmp_path).pictures is None


def test_a_picture_is_read_as_those_of_the_training(tmp_path):
    own = load_dataset(put_pictures(tmp_path / "s"))
    first = next((tmp_path / "s" / "bar").iterdir())
    row = own.pictures.read(first)
    assert any(np.array_equal(row, known) for known in own.data)
    inverted = Image.eval(Image.open(first), lambda value: 255 - value)
    inverted.save(tmp_path / "inverted.png")
    assert np.allclose(own.pictures.read(tmp_path / "inverted.png"), row)


def test_pictures_keep_their_size_up_to_a_limit():
    small, large = Image.new("L", (64, 10)), Image.new("L", (65, 10))
    assert stack_pictures([small, small]).shape == (2, 10, 64)
    assert stack_pictures([large, large]).shape == (2, 28, 28)
    assert stack_pictures([small, small, large]).shape == (3, 28, 28)
    assert stack_pictures([large, small, small]).shape == (3, 28, 28)


def test_sixteen_bits_and_transparency(tmp_path):
    Image.fromarray(np.full((4, 4), 65535, np.uint16)).save(tmp_path / "deep.png")
    assert np.asarray(open_grey(tmp_path / "deep.png")).max() == 255
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert np.asarray(open_grey(tmp_path / "clear.png")).min() == 255


def test_a_damaged_picture_is_named(tmp_path):
    put_pictures(tmp_path)
    (tmp_path / "bar" / "0.png").write_bytes(b"no picture")
    assert error_of(tmp_path).startswith(
        f"{tmp_path / 'bar' / '0.png'}: cannot be read"
    )


def test_a_picture_that_claims_to_be_huge_is_not_loaded(tmp_path):
    for side in (9_000, 100_000):
        head = f"P5 {side} {side} 255\n".encode()
        (tmp_path / "huge.pgm").write_bytes(head + bytes(10))
        with pytest.raises(DataError, match=r"9000 x 9000 pixels|Image size"):
            open_grey(tmp_path / "huge.pgm")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_among_the_pictures_is_an_error(tmp_path):
    put_pictures(tmp_path)
    os.mkfifo(tmp_path / "bar" / "z.png")
    assert "is a pipe" in error_of(tmp_path)


# what is not there


def test_a_folder_without_data_says_what_was_looked_for(tmp_path):
    (tmp_path / "notes.md").write_text("")
    message = error_of(tmp_path)
    assert "looked for four IDX files" in message
    assert message.endswith("it holds notes.md")


def test_a_single_file_in_a_folder_is_taken(tmp_path):
    np.savez(tmp_path / "own.npz", X=PICTURES, y=LABELS)
    assert load_dataset(tmp_path).data.shape == (24, 784)
    np.savez(tmp_path / "other.npz", X=PICTURES, y=LABELS)
    assert error_of(tmp_path).endswith("several files: name one of them")


def test_other_files(tmp_path):
    (tmp_path / "own.xlsx").write_text("")
    assert "no known form of data" in error_of(tmp_path / "own.xlsx")
    with pytest.raises(DataNotFoundError, match="no such file"):
        load_dataset(tmp_path / "absent.csv")
    assert "is not in a folder" in error_of(tmp_path, data_home=tmp_path)
    np.savez(tmp_path / "own.npz", X=PICTURES, y=LABELS)
    assert "is no table" in error_of(tmp_path / "own.npz", label="y")
