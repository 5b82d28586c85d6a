"""How sure a model is of digits, and of pictures that show none.

Prints, for each threshold of ``skmnist predict --sure``, how many digits of MNIST's
test set are called unsure, how many are read wrong without a word, and how many
pictures that are no digit are called one.
Run: ``python benchmarks/unsure.py MODEL``; needs the MNIST files.
"""

# SPDX-License-Identifier: BSD-3-Clause

import string
import sys

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from skmnist import KerasMLPClassifier, fetch_mnist, normalize_digit
from skmnist.preprocessing._views import mean_over_views

FONTS = ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "STIXGeneralItalic", "cmr10")
# These look like 0, 1, 2, 5 or 9.
ALIKE = "OoQDIlijLZzSsgqB|"
THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def letters(alike):
    for name in FONTS:
        path = f"{matplotlib.get_data_path()}/fonts/ttf/{name}.ttf"
        font = ImageFont.truetype(path, 60)
        for letter in string.ascii_letters:
            if (letter in ALIKE) == alike:
                image = Image.new("L", (100, 100), 255)
                ImageDraw.Draw(image).text((50, 50), letter, 0, font, anchor="mm")
                yield np.asarray(image)


def blobs(n=150):
    for seed in range(n):
        rng = np.random.default_rng(seed)
        smooth = ndimage.gaussian_filter(rng.normal(size=(60, 60)), rng.uniform(3, 8))
        mask = smooth > np.quantile(smooth, rng.uniform(0.6, 0.85))
        marks, _ = ndimage.label(mask)
        largest = np.argmax(np.bincount(marks.ravel())[1:]) + 1
        yield np.pad(np.where(marks == largest, 30, 220), 30, constant_values=220)


def textures(n=150):
    """Noise as in photographs of no digit: grey values without paper and ink."""
    for seed in range(n):
        rng = np.random.default_rng(seed)
        sizes = rng.uniform(0.5, 12, 3)
        layers = [ndimage.gaussian_filter(rng.normal(size=(90, 90)), s) for s in sizes]
        grey = sum(layer / layer.std() for layer in layers)
        yield 255 * (grey - grey.min()) / np.ptp(grey)


def joined(X, n=150):
    """Two digits that touch, so that they are one mark."""
    for seed in range(n):
        pair = X[np.random.default_rng(seed).choice(len(X), 2)].reshape(2, 28, 28)
        both = np.zeros((28, 28 * 2))
        left = np.flatnonzero(pair[0].any(axis=0))[-1] + 1
        first = np.flatnonzero(pair[1].any(axis=0))[0]
        both[:, :28] = pair[0]
        shift = max(left - first - 2, 0)
        both[:, shift : shift + 28] = np.maximum(both[:, shift : shift + 28], pair[1])
        yield np.pad(both.repeat(2, 0).repeat(2, 1), 20)


def sure(classifier, digits):
    """Return the prediction and the sureness of each picture."""
    rows = np.array([digit.ravel() for digit in digits])
    return classifier.predict(rows), mean_over_views(classifier, rows).max(axis=1)


def normalized(pictures):
    """Return the pictures that are taken for one digit, and the number of all."""
    found, n = [], 0
    for picture in pictures:
        n += 1
        try:
            found.append(normalize_digit(picture))
        except ValueError:
            continue
    return found, n


def main():
    """Print the table."""
    mnist = fetch_mnist()
    classifier = KerasMLPClassifier.load(sys.argv[1])
    X, y = mnist.data[mnist.test], mnist.target[mnist.test]
    predicted, certain = sure(classifier, X)
    kinds = {
        "letters": letters(False),
        "letters like digits": letters(True),
        "blobs": blobs(),
        "textures": textures(),
        "two digits that touch": joined(X),
    }
    others = {}
    for name, pictures in kinds.items():
        found, n = normalized(pictures)
        scores = sure(classifier, found)[1] if found else np.zeros(0)
        others[name] = np.concatenate([scores, np.zeros(n - len(found))])
    print("| threshold | digits unsure | read wrong |", " | ".join(others), "|")
    print("|---" * (3 + len(others)) + "|")
    for threshold in THRESHOLDS:
        wrong = np.mean((certain >= threshold) & (predicted != y))
        cells = [np.mean(certain < threshold), wrong]
        cells += [np.mean(scores > max(threshold, 1e-9)) for scores in others.values()]
        print(f"| {threshold} |", " | ".join(f"{100 * c:.1f} %" for c in cells), "|")


if __name__ == "__main__":
    main()
