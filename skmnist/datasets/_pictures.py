"""Read pictures of any kind: a folder for each class, or one at a time."""

# SPDX-License-Identifier: BSD-3-Clause

import io
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._files import Array, DataError, StrPath, check_file, require

if TYPE_CHECKING:
    from PIL import Image

PICTURE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff"),
    *(".webp", ".pgm", ".ppm", ".pbm", ".pnm"),
)
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
# Pictures of one size up to this stay as they are; others get the size of MNIST's.
LARGEST_SIDE, SIDE = 64, 28
# More pixels in a file are a mistake, or made to fill the memory.
MOST_PIXELS = 2**26
MOST_PICTURES = 2_000_000
TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "val", "valid", "validation")


@dataclass(frozen=True)
class PictureForm:
    """How a model's pictures were read, so that others are read in the same way.

    Parameters
    ----------
    height, width : int
        Size of the pictures in pixels.
    dark : bool
        Whether the ground of most pictures is dark. A picture on the other ground is
        inverted.
    """

    height: int
    width: int
    dark: bool

    @classmethod
    def of(cls, pictures: Array) -> "PictureForm":
        """Return the form of pictures that a model is trained with.

        Parameters
        ----------
        pictures : ndarray of shape (n, height, width)
            Grey values from 0 to 1.
        """
        return cls(*pictures.shape[1:], dark=bool(_ground(pictures) < 0.5))

    def read(self, path: StrPath) -> NDArray[np.float32]:
        """Read a picture from a file.

        Parameters
        ----------
        path : str or path-like
            A picture of any size.

        Returns
        -------
        row : float32 ndarray of shape (height * width,)
            Grey values from 0 to 1.

        Raises
        ------
        DataError
            If the file cannot be read.
        """
        grey = np.float32(_resized(open_grey(path), (self.width, self.height))) / 255
        if bool(_ground(grey[None]) < 0.5) is not self.dark:
            grey = 1 - grey
        return grey.ravel()

    def as_dict(self) -> dict[str, Any]:
        """Return the form as plain data."""
        return asdict(self)


def _ground(pictures: Array) -> float:
    """Return the usual value at the border of pictures."""
    edges = [pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1]]
    return float(np.median(np.concatenate([edge.ravel() for edge in edges])))


def open_grey(source: StrPath | bytes) -> "Image.Image":
    """Open a picture in grey, turned as its camera says.

    Parameters
    ----------
    source : str, path-like or bytes
        A file, or its content.

    Returns
    -------
    picture : PIL.Image.Image
        In mode "L"; what was transparent is white.

    Raises
    ------
    DataError
        If it is no picture, damaged or too large.
    """
    from PIL import Image, ImageOps

    where = "a picture" if isinstance(source, bytes) else source
    if not isinstance(source, bytes):
        check_file(source)
    try:
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            width, height = image.size
            require(width * height <= MOST_PIXELS, where, f"{width} x {height} pixels")
            # The size is read from the head: pixels are loaded only now.
            turned = ImageOps.exif_transpose(image)
            if turned.mode.startswith("I;16"):
                return Image.fromarray((np.asarray(turned) >> 8).astype(np.uint8))
            if turned.has_transparency_data:
                turned = turned.convert("RGBA")
                white = Image.new("RGBA", turned.size, "white")
                turned = Image.alpha_composite(white, turned)
            return turned.convert("L")
    except DataError:
        raise
    except Exception as error:  # Pillow has many
        raise DataError(f"{where}: cannot be read as a picture, {error}") from error


def _resized(picture: "Image.Image", size: tuple[int, int]) -> "Image.Image":
    """Return a picture of a size; bands of its ground keep its proportions."""
    from PIL import Image, ImageOps

    if picture.size == size:
        return picture
    ground = round(_ground(np.asarray(picture)[None]))
    return ImageOps.pad(picture, size, Image.Resampling.LANCZOS, color=ground)


def stack_pictures(pictures: Iterable["Image.Image"]) -> NDArray[np.uint8]:
    """Return pictures as one array, all of one size.

    Parameters
    ----------
    pictures : iterable of PIL.Image.Image
        In mode "L".

    Returns
    -------
    stacked : uint8 ndarray of shape (n, height, width)
        Of their own size if they all have one, and no side is larger than
        `LARGEST_SIDE`; else of 28 x 28 pixels.
    """
    own: list[Array] = []
    small: list[Array] = []
    same: tuple[int, int] | None = None
    for picture in pictures:
        same = picture.size if not small else same
        keeps = same == picture.size and max(same) <= LARGEST_SIDE
        same = same if keeps else None
        if same is None:
            own = []
        else:
            own.append(np.asarray(picture))
        small.append(np.asarray(_resized(picture, (SIDE, SIDE))))
    return np.stack(own if same is not None else small)


def find_class_folders(place: Path) -> list[list[Path]] | None:
    """Find a folder for each class, or two of these, to train and to test.

    Parameters
    ----------
    place : Path
        A folder.

    Returns
    -------
    parts : list of list of Path, or None
        The class folders of each part; None if there are no pictures.
    """
    below = _subfolders(place)
    by_name = {path.name.casefold(): path for path in below}
    train = next((by_name[n] for n in TRAIN_NAMES if n in by_name), None)
    test = next((by_name[n] for n in TEST_NAMES if n in by_name), None)
    if train and test:
        parts = [_with_pictures(train), _with_pictures(test)]
    elif train:
        parts = [_with_pictures(train)]
    else:
        parts = [_with_pictures(place)]
    if all(parts):
        return parts
    # An archive often unpacks to one folder with all the rest.
    alone = len(below) == 1 and len(_visible(place)) == 1
    return find_class_folders(below[0]) if alone else None


def _visible(place: Path) -> list[str]:
    return [name for name in os.listdir(place) if name[0] not in "._"]


def _subfolders(place: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(place))
    except OSError:
        return []
    return [place / n for n in names if n[0] not in "._" and (place / n).is_dir()]


def _with_pictures(place: Path) -> list[Path]:
    return [folder for folder in _subfolders(place) if _picture_files(folder)]


def _picture_files(folder: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [folder / name for name in names if is_picture(name) and name[0] != "."]


def is_picture(path: StrPath) -> bool:
    """Return whether the name of a file is one of a picture."""
    return os.fspath(path).casefold().endswith(PICTURE_SUFFIXES)


def read_class_folders(place: Path, parts: list[list[Path]]) -> list[Array]:
    """Read the pictures of class folders.

    Parameters
    ----------
    place : Path
        Where they are, for errors.
    parts : list of list of Path
        From `find_class_folders`.

    Returns
    -------
    arrays : list of ndarray
        Pictures and labels of each part. The labels are the names of the folders; whole
        numbers if all of them are.
    """
    labels, files, sizes = [], [], []
    for folders in parts:
        n_before = len(files)
        for folder in folders:
            found = _picture_files(folder)
            files += found
            labels += [folder.name] * len(found)
        sizes.append(len(files) - n_before)
    require(len(files) <= MOST_PICTURES, place, f"{len(files):,} pictures, too many")
    pictures = stack_pictures(open_grey(path) for path in files)
    numbers = all(label.isascii() and label.isdigit() for label in labels)
    y = np.array([int(label) for label in labels] if numbers else labels)
    if len(sizes) == 1:
        return [pictures, y]
    cut = sizes[0]
    return [pictures[:cut], y[:cut], pictures[cut:], y[cut:]]
