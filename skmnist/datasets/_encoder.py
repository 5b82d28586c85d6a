"""Turn the columns of a table into numbers, the same ones in training and later."""

# SPDX-License-Identifier: BSD-3-Clause

import re
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ._files import Array

# Categories of a column that get a feature of their own; the rest is all zeros.
MOST_CATEGORIES = 50
# A text that nearly every row has to itself, such as a name, tells nothing.
_FREE_TEXT, _FEW = 0.9, 20
# "id", "PassengerId", "row_id"; "" and "Unnamed: 0" are the index of a DataFrame.
_ID = re.compile(r"^(?i:id|index|row|rownames|unnamed: 0|)$|_(?i:id)$|[a-z]I[dD]$")


class TableEncoder:
    """Encode tables: text as one feature for each category, numbers on one scale.

    It keeps scikit-learn's own transformers: numbers go through
    :class:`~sklearn.impute.SimpleImputer` (the median, with a feature that marks what
    was missing) and :class:`~sklearn.preprocessing.StandardScaler`, text goes through
    :class:`~sklearn.preprocessing.OneHotEncoder`. What is missing in a column of text
    is a category of its own. A category that was rare or unknown in training is all
    zeros.

    Attributes
    ----------
    numbers, texts : list of str
        The columns of numbers, and those of text.
    left_out : dict of str to str
        The columns that are not used, and why.
    imputer : SimpleImputer
        Fitted to the columns of numbers.
    scaler : StandardScaler
        Fitted to what the imputer returns.
    one_hot : OneHotEncoder
        Fitted to the columns of text.
    all_pixels : bool
        Whether the columns are the pixels of pictures.

    Examples
    --------
    >>> import numpy as np
    >>> from skmnist.datasets import TableEncoder
    >>> pets = {
    ...     "weight": np.array([4.0, 30.0, 5.0, np.nan]),
    ...     "colour": np.array(["black", "brown", "black", "white"], dtype=object),
    ... }
    >>> encoder = TableEncoder.fit(pets)
    >>> encoder.feature_names
    ['weight', 'weight is missing', 'colour=black', 'colour=brown', 'colour=white']
    >>> encoder.transform(pets)[:, 2:].tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """

    numbers: list[str]
    texts: list[str]
    left_out: dict[str, str]
    imputer: SimpleImputer
    scaler: StandardScaler
    one_hot: OneHotEncoder
    all_pixels: bool = False

    @classmethod
    def fit(cls, table: Mapping[str, Any]) -> Self:
        """Learn categories, medians and scales from the training part of a table.

        Parameters
        ----------
        table : dict of str to ndarray, or DataFrame
            The columns, without the labels.

        Returns
        -------
        encoder : TableEncoder

        Raises
        ------
        ValueError
            If no column can be used, or numbers are infinite.
        """
        columns = {str(name): as_column(name, table[name]) for name in table}
        left_out = {
            name: why for name, c in columns.items() if (why := _no_use(name, c))
        }
        kept = {n: c for n, c in columns.items() if n not in left_out}
        if not kept:
            said = "; ".join(f"{name!r} {why}" for name, why in left_out.items())
            raise ValueError(f"no column to learn from: {said or 'there is none'}")
        numbers = [name for name, column in kept.items() if column.dtype.kind == "f"]
        medians = [float(np.nanmedian(kept[name])) for name in numbers]
        gaps = [bool(np.isnan(kept[name]).any()) for name in numbers]
        texts = [name for name in kept if name not in numbers]
        categories = [_categories(kept[name]) for name in texts]
        encoder = cls._built(numbers, medians, gaps, texts, categories)
        encoder.left_out = left_out
        if numbers:
            filled = encoder.imputer.transform(encoder._stacked(kept, numbers))
            encoder.scaler.fit(filled)
        return encoder

    @classmethod
    def of_pixels(cls, names: list[str], low: float, high: float) -> Self:
        """Return the encoder of a table whose columns are all pixels of one scale.

        Parameters
        ----------
        names : list of str
            The columns.
        low, high : float
            The values of paper and of full ink.

        Returns
        -------
        encoder : TableEncoder
            It scales the pixels to 0..1.
        """
        encoder = cls._built(names, [low] * len(names), [False] * len(names), [], [])
        encoder.left_out, encoder.all_pixels = {}, True
        encoder.scaler = _scaler([low] * len(names), [high - low] * len(names))
        return encoder

    @classmethod
    def _built(
        cls,
        numbers: list[str],
        medians: list[float],
        gaps: list[bool],
        texts: list[str],
        categories: list[list[str]],
    ) -> Self:
        """Return an encoder with fitted transformers, all but the scaler."""
        encoder = cls()
        encoder.numbers, encoder.texts = numbers, texts
        encoder.imputer = SimpleImputer(strategy="median", add_indicator=True)
        encoder.scaler = StandardScaler()
        encoder.one_hot = OneHotEncoder(
            categories=[np.array(c, object) for c in categories],
            handle_unknown="ignore",
            sparse_output=False,
            dtype=np.float32,
        )
        if numbers:
            # Two rows that have these medians, and gaps in these columns.
            lacking = np.where(gaps, np.nan, medians)
            encoder.imputer.fit(np.array([medians, lacking], float))
        if texts:
            encoder.one_hot.fit(np.array([[c[0] for c in categories]], object))
        return encoder

    def transform(self, table: Mapping[str, Any]) -> NDArray[np.float32]:
        """Encode a table.

        Parameters
        ----------
        table : dict of str to ndarray, or DataFrame
            At least the columns of the training table; others are ignored.

        Returns
        -------
        X : float32 ndarray of shape (n_rows, n_features)
            The encoded columns.

        Raises
        ------
        ValueError
            If a column is missing, or has text where numbers are due.
        """
        here = {str(name): name for name in table}
        absent = [name for name in [*self.numbers, *self.texts] if name not in here]
        if absent:
            named = [*map(repr, absent[:5]), *(["..."] if len(absent) > 5 else [])]
            raise ValueError(f"lacks columns of the training: {', '.join(named)}")
        columns = {
            name: as_column(name, table[here[name]])
            for name in [*self.numbers, *self.texts]
        }
        parts = []
        if self.numbers:
            filled = self.imputer.transform(self._stacked(columns, self.numbers))
            parts.append(self.scaler.transform(filled))
        if self.texts:
            cells = [_filled(columns[name]) for name in self.texts]
            parts.append(self.one_hot.transform(np.stack(cells, axis=1)))
        return np.hstack(parts).astype(np.float32)

    def _stacked(self, columns: Mapping[str, Array], names: list[str]) -> Array:
        for name in names:
            if columns[name].dtype.kind != "f":
                # Text without a value is a column of numbers that are all missing.
                if any(value is not None for value in columns[name].tolist()):
                    raise ValueError(f"the column {name!r} holds text, and no numbers")
                columns = {**columns, name: np.full(len(columns[name]), np.nan)}
            if np.isinf(columns[name]).any():
                raise ValueError(f"the column {name!r} holds infinite numbers")
        return np.stack([columns[name] for name in names], axis=1)

    @property
    def feature_names(self) -> list[str]:
        """The names of the features, in their order."""
        names = list(self.numbers)
        if self.numbers and self.imputer.indicator_ is not None:
            gaps = self.imputer.indicator_.features_
            names += [f"{self.numbers[i]} is missing" for i in gaps]
        for name, categories in zip(self.texts, self._categories(), strict=True):
            names += [f"{name}={category or 'missing'}" for category in categories]
        return names

    def _categories(self) -> list[list[str]]:
        return [c.tolist() for c in self.one_hot.categories_] if self.texts else []

    def as_dict(self) -> dict[str, Any]:
        """Return the encoder as plain data, for `from_dict`.

        Returns
        -------
        described : dict
            Lists, texts and numbers.
        """
        described: dict[str, Any] = {
            "texts": self.texts,
            "categories": self._categories(),
            "numbers": self.numbers,
            "left_out": self.left_out,
            "all_pixels": self.all_pixels,
        }
        if self.numbers:
            described |= {
                "medians": self.imputer.statistics_.tolist(),
                "gaps": np.isin(
                    np.arange(len(self.numbers)), self.imputer.indicator_.features_
                ).tolist(),
                "mean": self.scaler.mean_.tolist(),
                "scale": self.scaler.scale_.tolist(),
            }
        return described

    @classmethod
    def from_dict(cls, described: Mapping[str, Any]) -> Self:
        """Return the encoder that `as_dict` described.

        Parameters
        ----------
        described : dict
            From `as_dict`.

        Returns
        -------
        encoder : TableEncoder
            One that encodes tables as the described one does.
        """
        encoder = cls._built(
            described["numbers"],
            described.get("medians", []),
            described.get("gaps", []),
            described["texts"],
            described["categories"],
        )
        encoder.left_out = dict(described["left_out"])
        encoder.all_pixels = bool(described["all_pixels"])
        if encoder.numbers:
            encoder.scaler = _scaler(described["mean"], described["scale"])
        return encoder


def _scaler(mean: list[float], scale: list[float]) -> StandardScaler:
    scaler = StandardScaler()
    scaler.mean_, scaler.scale_ = np.array(mean, float), np.array(scale, float)
    scaler.var_ = scaler.scale_**2
    scaler.n_features_in_ = len(mean)
    return scaler


def as_column(name: object, values: Any) -> Array:
    """Return a column as float64, or as str objects with None for what is missing.

    Parameters
    ----------
    name : object
        Its name, for errors.
    values : array-like
        The values.

    Returns
    -------
    column : ndarray

    Raises
    ------
    ValueError
        If the column holds something else, such as dates.
    """
    column = np.asarray(values)
    if column.ndim == 1 and column.dtype.kind in "biuf":
        return column.astype(float)
    if column.ndim != 1 or column.dtype.kind not in "OUST":
        raise ValueError(
            f"the column {name!r} holds {column.dtype}; needed are numbers or text"
        )
    values = column.tolist()
    if all(isinstance(v, bool | int | float) for v in values if v is not None):
        return np.array([np.nan if v is None else v for v in values], float)
    texts = np.empty(len(values), object)
    texts[:] = [None if _is_missing(v) else str(v) for v in values]
    return texts


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # the NA of pandas is neither equal nor unequal
        return True


def _filled(column: Array) -> Array:
    """Return text with "" in the place of what is missing; numbers become text."""
    values = column.tolist()
    filled = np.empty(len(values), object)
    filled[:] = ["" if _is_missing(value) else _written(value) for value in values]
    return filled


def _written(value: Any) -> str:
    # "1" in a column of codes such as "1", "A" is the number 1.0 in a table of "1"s.
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)


def _categories(column: Array) -> list[str]:
    """Return the most frequent categories of a column, sorted."""
    found, counts = np.unique(_filled(column).astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
    return sorted(found[order].tolist())


def _no_use(name: str, column: Array) -> str:
    """Return why a column is no use for learning; "" if it may be."""
    values = column.tolist()
    present = [value for value in values if not _is_missing(value)]
    if not present:
        return "is empty"
    distinct = len(set(present))
    if _ID.search(name) and distinct == len(values):
        return "numbers the rows"
    is_text = column.dtype.kind != "f"
    if is_text and distinct > max(_FEW, _FREE_TEXT * len(present)):
        return "has another text in almost every row"
    return ""
