"""Find MNIST in a folder, under the names and in the forms of common downloads."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import gzip
import hashlib
import io
import itertools
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ._files import (
    FOUR_KEYS,
    Array,
    DataError,
    StrPath,
    check_file,
    read_npz,
    require,
)

# The names, shapes and checksums of the IDX files.
STEMS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
SHAPES = ((60000, 28, 28), (60000,), (10000, 28, 28), (10000,))
_SHA256 = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
# Most folders below one, and most names in all of them, that are searched.
_DEPTH, _MOST = 6, 20_000

# "train-images-idx3-ubyte.gz", "T10K-Labels.idx1-ubyte", "emnist-mnist-test-images",
# "train_labels.bin (1)"; what the parts of a name mean.
_PART = r"(?P<part>train(?:ing)?|t10k|test(?:ing)?)"
_IDX = re.compile(
    rf"(?:.*[^a-z])?{_PART}[-_. ]?(?P<what>image|img|label|lbl)s?"
    r"(?:[-_. ]?(?:idx[13]?|u?byte|bin|raw|data|gz(?:ip)?|\(\d+\)))*"
)
_NPZ = re.compile(r"(?:.*[^a-z])?mnist.*\.npz")
_NPY = re.compile(
    rf"(?:.*?[^a-z])??(?:(?P<first>[xy])[-_ ]?)?{_PART}"
    r"(?:[-_. ]?(?P<what>image|img|label|lbl)s?)?\.npy"
)
_CSV = re.compile(
    rf"(?:mnist[-_. ]?)?{_PART}(?:[-_. ]?(?:mnist|set|data))?\.csv(?:\.gz)?"
)
_PARQUET = re.compile(rf"(?:.*[^a-z])?{_PART}(?:[^a-z].*)?\.parquet")
_ARFF = re.compile(r"(?:mnist[-_]?784|52667|554)[^.]*(?:\.arff)?(?:\.gz)?")


class _Found(NamedTuple):
    """A set of files that may be MNIST.

    Parameters
    ----------
    paths : list of list of Path
        The files of each array; the first that fits is taken.
    read : callable
        ``read(path, i)`` returns the arrays in a file for the place `i` in `paths`.
    strict : bool
        Whether the files have MNIST's own names, in the folder itself.
    """

    paths: list[list[Path]]
    read: Any
    strict: bool


def find_mnist(
    place: Path, *, deep: bool = True
) -> tuple[list[Array] | None, list[tuple[bool, DataError]]]:
    """Read MNIST from a folder, or from a file that holds all of it.

    Parameters
    ----------
    place : Path
        The folder; or an ``.npz`` file, or OpenML's.
    deep : bool, default=True
        Whether to search in all forms, and in the folders below. If not, only IDX files
        and ``mnist.npz`` in the folder itself.

    Returns
    -------
    arrays : list of ndarray or None
        The four arrays of the first files whose content is MNIST as published.
    errors : list of (bool, DataError)
        Why other files are not MNIST, and whether they have its names.
    """
    errors = []
    for found in _candidates(place, deep):
        try:
            return _verified(found), []
        except DataError as error:
            errors.append((found.strict, error))
    return None, errors


def _candidates(place: Path, deep: bool) -> Iterator[_Found]:
    """Yield what may be MNIST, in the folder itself first."""
    if not place.is_dir():
        yield from _other_forms([place])
        return
    for folder in _folders(place) if deep else [place]:
        entries = _entries(folder)
        top = folder == place
        complete, partial = _idx_files(folder, entries)
        if complete:
            yield complete._replace(strict=top)
        exact = [path for path in entries if path.name.casefold() == "mnist.npz"]
        if exact:
            yield _Found([exact], _read_npz, top)
        if deep:
            yield from _other_forms([path for path in entries if path not in exact])
        if partial and top:
            yield partial


def _folders(place: Path) -> Iterator[Path]:
    """Yield a folder and those below, the nearest first, and MNIST's own names first.

    Beside MNIST may be its kin, such as FashionMNIST: their content is another.
    """
    level, seen = [place], 0
    for _ in range(_DEPTH + 1):
        yield from level
        below = []
        for folder in level:
            try:
                names = sorted(os.listdir(folder))
            except OSError:
                continue
            seen += len(names)
            if seen > _MOST:
                return
            below += [folder / name for name in names if (folder / name).is_dir()]
        level = sorted(below, key=lambda path: path.name.casefold() not in _OWN)


_OWN = ("mnist", "raw", "openml", "openml.org")
_NAMES = (_IDX, _NPZ, _NPY, _CSV, _PARQUET, _ARFF)


def _entries(folder: Path) -> list[Path]:
    """Return what a folder holds: files first.

    An archive may unpack to a folder of the name of the file that is in it; such a
    file counts as if it were beside its folder.
    """
    try:
        paths = sorted(folder.iterdir())
        files = [path for path in paths if path.is_file()]
        others = [path for path in paths if path not in set(files)]
        named = [path for path in others if _has_name(path) and path.is_dir()]
        inside = [path for inner in named for path in sorted(inner.iterdir())]
        return files + [path for path in inside if path.is_file()] + others
    except OSError:
        return []


def _has_name(path: Path) -> bool:
    return any(name.fullmatch(path.name.casefold()) for name in _NAMES)


def _by_role(entries: list[Path], name: re.Pattern[str]) -> dict[str, list[Path]]:
    """Group paths by the array that they hold, as their names say."""
    roles: dict[str, list[Path]] = {}
    for path in entries:
        match = name.fullmatch(path.name.casefold())
        if match:
            found = match.groupdict()
            part = "train" if found["part"].startswith("train") else "t10k"
            labels = found.get("first") == "y" or (found.get("what") or "i")[0] == "l"
            what = f"-{'labels' if labels else 'images'}" if "what" in found else ""
            roles.setdefault(f"{part}{what}", []).append(path)
    return roles


def _idx_files(
    folder: Path, entries: list[Path]
) -> tuple[_Found | None, _Found | None]:
    """Return four IDX files, or else what makes an error of fewer."""
    roles = _by_role(entries, _IDX)
    if all(stem in roles for stem in STEMS):
        return _Found([roles[stem] for stem in STEMS], _read_idx, False), None
    files = any(not path.is_dir() for paths in roles.values() for path in paths)
    if not files:
        return None, None

    def lacking(path: Path, i: int) -> list[Array]:
        lacks = ", ".join(stem for stem in STEMS if stem not in roles)
        raise DataError(f"{folder}: incomplete, lacks {lacks}")

    return None, _Found([[folder]] * 4, lacking, True)


def _other_forms(entries: list[Path]) -> Iterator[_Found]:
    """Yield the forms of MNIST that are not its own."""
    for path in entries:
        if _NPZ.fullmatch(path.name.casefold()):
            yield _Found([[path]], _read_npz, False)
        elif _ARFF.fullmatch(path.name.casefold()) and path.is_file():
            yield _Found([[path]], _read_arff, False)
    arrays = _by_role(entries, _NPY)
    if all(stem in arrays for stem in STEMS):
        yield _Found([arrays[stem] for stem in STEMS], _read_npy, False)
    for name, read in ((_CSV, _read_csv), (_PARQUET, _read_parquet)):
        parts = _by_role(entries, name)
        if len(parts) == 2:
            yield _Found([parts["train"], parts["t10k"]], read, False)


def _verified(found: _Found) -> list[Array]:
    """Return four arrays if they are MNIST; take the first file of several that is."""
    n_each = len(STEMS) // len(found.paths)
    arrays: list[Array] = []
    for i, paths in enumerate(found.paths):
        part = slice(i * n_each, (i + 1) * n_each)
        errors = []
        for path in paths:
            try:
                arrays += check_mnist(path, found.read(path, i), part)
                break
            except DataError as error:
                errors.append(error)
        else:
            raise errors[0]
    return arrays


def check_mnist(
    where: StrPath, arrays: Sequence[Array], part: slice = slice(None)
) -> list[Array]:
    """Return arrays if they are MNIST as published.

    Parameters
    ----------
    where : str or path-like
        Where they come from, for the error.
    arrays : sequence of ndarray
        Some of x_train, y_train, x_test and y_test.
    part : slice, default=slice(None)
        Which of the four they are.
    """
    found = [_in_shape(x, shape) for x, shape in zip(arrays, SHAPES[part], strict=True)]
    for x, shape, sha256 in zip(found, SHAPES[part], _SHA256[part], strict=True):
        is_, due = f"{x.dtype} {x.shape}", f"uint8 {shape}"
        require(is_ == due, where, f"size mismatch, {is_} instead of {due}")
        require(x.ndim > 1 or x.max() <= 9, where, "labels outside 0-9")
        # The digest of the IDX file's bytes, also if the array comes from another.
        digest = hashlib.sha256(_header(shape))
        digest.update(np.ascontiguousarray(x))
        require(digest.hexdigest() == sha256, where, "wrong checksum, not MNIST")
    return found


def _in_shape(x: Array, shape: tuple[int, ...]) -> Array:
    """Return pictures without a channel or in rows, and larger integers, as MNIST's."""
    if x.size == np.prod(shape) and len(x) == shape[0]:
        x = x.reshape(shape)
    if x.dtype.kind in "iu" and x.size and x.min() >= 0 and x.max() <= 255:
        return x.astype(np.uint8, copy=False)
    return x


def _header(shape: tuple[int, ...]) -> bytes:
    """Return the first bytes of an IDX file: its type, dimensions and sizes."""
    return bytes((0, 0, 8, len(shape))) + np.array(shape, ">u4").tobytes()


def _read_idx(path: Path, i: int) -> list[Array]:
    """Read the IDX file of an array, plain or gzip; its content says which."""
    check_file(path)
    shape = SHAPES[i]
    header = _header(shape)
    size = len(header) + int(np.prod(shape))
    try:
        with _open(path) as file:
            content = file.read(size + 1)  # one more byte shows trailing garbage
    except (OSError, EOFError, zlib.error) as error:
        what = "truncated" if isinstance(error, EOFError) else "cannot be read"
        raise DataError(f"{path}: {what}, {error!r}") from error
    start, magic, n = content[: len(header)], content[:4], len(content)
    require(header.startswith(magic), path, f"foreign magic number 0x{magic.hex()}")
    require(header.startswith(start), path, f"size mismatch, not {shape}")
    require(n >= size, path, f"truncated, {n} bytes instead of {size}")
    require(n <= size, path, f"trailing garbage after {size} bytes")
    return [np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)]


def _open(path: Path) -> IO[bytes]:
    """Open a file, plain or gzip; its content says which."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else open(path, "rb")


@contextlib.contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Make an error of what is wrong in a file one that names the file."""
    try:
        yield
    except Exception as error:  # gzip, NumPy, Arrow and Pillow have their own
        raise DataError(f"{path}: cannot be read, {error!r}") from error


def _read_npz(path: Path, i: int) -> list[Array]:
    return read_npz(path, FOUR_KEYS)


def _read_npy(path: Path, i: int) -> list[Array]:
    check_file(path)
    with _errors_of(path):
        return [np.load(path, allow_pickle=False)]


def _read_csv(path: Path, i: int) -> list[Array]:
    """Read a table with a label and 784 pixels in each row, with or without a head."""
    check_file(path)
    with _errors_of(path), _open(path) as file:
        first = file.readline().decode("utf-8-sig")
        lines = (
            file
            if re.search("[A-Za-z]", first)
            else itertools.chain([first.encode()], file)
        )
        last = first.strip().rsplit(",", 1)[-1].strip("\"' ").casefold()
        return _columns(lines, -1 if last in ("label", "class", "target") else 0)


def _read_arff(path: Path, i: int) -> list[Array]:
    """Read OpenML's table: 784 pixels and a label in each row."""
    check_file(path)
    with _errors_of(path), _open(path) as file:
        for line in itertools.islice(file, 10_000):
            if line.strip().lower() == b"@data":
                x, y = _columns(file, -1)
                n_train = SHAPES[0][0]
                return [x[:n_train], y[:n_train], x[n_train:], y[n_train:]]
        raise ValueError("no table of OpenML")


def _columns(lines: Any, label: int) -> list[Array]:
    """Return the pixels and the labels of lines of a table."""
    table = np.loadtxt(lines, np.uint8, delimiter=",", quotechar="'", ndmin=2)
    if table.shape[1] != 785:
        raise ValueError(f"{table.shape[1]} columns instead of 784 pixels and a label")
    pixels = table[:, 1:] if label == 0 else table[:, :-1]
    return [pixels.reshape(-1, 28, 28), table[:, label]]


def _read_parquet(path: Path, i: int) -> list[Array]:
    """Read a table of Hugging Face: a PNG file and a label in each row."""
    check_file(path)
    try:
        from pyarrow import parquet
    except ImportError:
        raise DataError(
            f"{path}: needs the package pyarrow; install it with 'pip install pyarrow'"
        ) from None
    with _errors_of(path):
        table = parquet.read_table(path, columns=["image", "label"]).to_pydict()
        pictures = [_decoded(image["bytes"]) for image in table["image"]]
        return [np.stack(pictures), np.array(table["label"])]


def _decoded(content: bytes) -> Array:
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
        return np.asarray(image)
