"""Check values from files and from users against the types of a record."""

# SPDX-License-Identifier: BSD-3-Clause

import math
import reprlib
from collections.abc import Callable
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    Self,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxlist, _BRIEF.maxdict, _BRIEF.maxstring = 2, 3, 3, 50
# A larger number means damage: floats cannot hold every larger whole number exactly,
# and so many seconds are more than thirty years.
LARGEST, LONGEST = 2**53, 1e9


class Said(str):
    """What was found, in words and not as a value."""


class MisfitError(ValueError):
    """A value does not fit its field.

    Parameters
    ----------
    name : str
        The field, such as ``"config.seed"``.
    found : object
        The value, or what there is, as `Said`.
    expected : str
        What fits, in words.
    """

    def __init__(self, name: str, found: Any, expected: str) -> None:
        self.name, self.expected = name, expected
        self.found = found if isinstance(found, Said) else brief(found)
        super().__init__(f"{name} is {self.found}; expected {expected}")


def brief(value: Any) -> str:
    """Return a short representation of a value, whatever it is.

    Examples
    --------
    >>> from skmnist.study._checks import brief
    >>> brief([1, 2, 3, 4])
    '[1, 2, 3, ...]'
    """
    try:
        return _BRIEF.repr(value)
    except ValueError:  # a whole number of too many digits to be written
        return f"a very large {type(value).__name__}"


class Rule(NamedTuple):
    """What a value must be besides its type.

    Attributes
    ----------
    expected : str
        What is allowed, in words, with the type.
    allows : callable
        ``allows(value)`` returns whether a value of the type is allowed.
    """

    expected: str
    allows: Callable[[Any], bool]


def at_least(low: int) -> Rule:
    """Return the rule for a whole number from `low` on."""
    return Rule(f"a whole number from {low}", lambda v: low <= v <= LARGEST)


def _missing_or(low: float, high: float) -> Callable[[float], bool]:
    return lambda value: value != value or low <= value <= high


Count = Annotated[int, at_least(0)]
Positive = Annotated[int, at_least(1)]
Seed = Annotated[
    int, Rule(f"a whole number from 0 to {2**32 - 1}", lambda v: 0 <= v < 2**32)
]
Jobs = Annotated[
    int, Rule("a whole number other than 0", lambda v: 0 < abs(v) <= LARGEST)
]
Threads = Annotated[
    int, Rule("a whole number from 1 to 10000", lambda v: 1 <= v <= 10_000)
]
Fraction = Annotated[float, Rule("a number from 0 to 1", lambda v: 0 <= v <= 1)]
Difference = Annotated[float, Rule("a number from -1 to 1", lambda v: -1 <= v <= 1)]
Seconds = Annotated[
    float, Rule("seconds, a number from 0", lambda v: 0 <= v <= LONGEST)
]
Budget = Annotated[float, Rule("seconds, a number above 0", lambda v: 0 < v <= LONGEST)]
Finite = Annotated[float, Rule("a number", math.isfinite)]
# NaN stands for what could not be measured.
MaybeFraction = Annotated[
    float, Rule("a number from 0 to 1, or nan", _missing_or(0, 1))
]
MaybeDifference = Annotated[
    float, Rule("a number from -1 to 1, or nan", _missing_or(-1, 1))
]
MaybeAmount = Annotated[float, Rule("a number from 0, or nan", _missing_or(0, LARGEST))]


def checked(kind: Any, value: Any, name: str) -> Any:
    """Return a value, converted to a type, or raise an error.

    Parameters
    ----------
    kind : type
        ``str``, ``bool``, ``int``, ``float``, ``Literal[...]``, a dataclass, a list
        or dict of these, a union of these, or ``Annotated[type, Rule]``.
    value : object
        The value; a whole number may stand for a float.
    name : str
        The field, for the error.

    Returns
    -------
    value : object
        A value of Python's own types, also where NumPy's was given.

    Raises
    ------
    MisfitError
        If the value has another type, or if its rule does not allow it.

    Examples
    --------
    >>> from skmnist.study._checks import Fraction, checked
    >>> checked(Fraction, 1, "accuracy")
    1.0
    >>> checked(Fraction, 2, "accuracy")
    Traceback (most recent call last):
        ...
    skmnist.study._checks.MisfitError: accuracy is 2; expected a number from 0 to 1
    """
    if is_dataclass(kind):
        return read_record(kind, value, name)
    if kind in _SCALARS:
        return _scalar(kind, value, name)
    return _GENERIC[get_origin(kind)](kind, value, name)


def described(kind: Any) -> str:
    """Say in words which values a type has."""
    if kind in _SCALARS:
        return _SCALARS[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return inner[1].expected
    if origin in (Union, UnionType):
        return " or ".join(map(described, inner))
    if origin is Literal:
        return f"one of {', '.join(map(repr, inner))}"
    if origin is list:
        return f"a list of {described(inner[0])}"
    return "a dict"


_SCALARS = {
    str: "text",
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    NoneType: "None",
}


def _scalar(kind, value, name):
    """Return a plain value as one of Python's own types."""
    if kind is int and isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if kind is float and isinstance(value, Real) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise MisfitError(name, value, _SCALARS[kind]) from None
    if kind in (str, bool, NoneType) and isinstance(value, kind):
        return value
    raise MisfitError(name, value, _SCALARS[kind])


def _annotated(kind, value, name):
    inner, rule = get_args(kind)
    try:
        found = checked(inner, value, name)
        if rule.allows(found):
            return found
    except MisfitError:
        pass
    raise MisfitError(name, value, rule.expected)


def _union(kind, value, name):
    """Return a value as the first type that it fits."""
    for one in get_args(kind):
        try:
            return checked(one, value, name)
        except MisfitError as error:
            # The value has this type, but something inside it is wrong.
            if error.name != name:
                raise
    raise MisfitError(name, value, described(kind))


def _literal(kind, value, name):
    if isinstance(value, str) and value in get_args(kind):
        return value
    raise MisfitError(name, value, described(kind))


def _list(kind, value, name):
    if not isinstance(value, list):
        raise MisfitError(name, value, described(kind))
    (inner,) = get_args(kind)
    return [checked(inner, one, f"{name}[{i}]") for i, one in enumerate(value)]


def _dict(kind, value, name):
    if not isinstance(value, dict):
        raise MisfitError(name, value, described(kind))
    _, inner = get_args(kind)
    return {
        checked(str, key, f"a key of {name}"): checked(inner, one, f"{name}.{key}")
        for key, one in value.items()
    }


_GENERIC = {
    Annotated: _annotated,
    Union: _union,
    UnionType: _union,
    Literal: _literal,
    list: _list,
    dict: _dict,
}

_Plain = bool | int | float | str | None
# A parameter of a candidate as a file has it.
Parameter = Annotated[
    _Plain | list[_Plain | list[_Plain]],
    Rule("text, a number, True, False, None or a list of these", lambda v: True),
]


@cache
def types_of(cls: type) -> dict[str, Any]:
    """Return the types of a dataclass's fields, with their rules."""
    return get_type_hints(cls, include_extras=True)


class Record:
    """Base of the records of a study: dataclasses that files hold as plain data."""

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain data, as a file has it.

        Returns
        -------
        plain : dict
            Dicts, lists, text and numbers.
        """
        return asdict(self)

    @classmethod
    def _recorded(cls, values: dict[str, Any]) -> Self:
        """Make a record of checked values."""
        return cls(**values)

    def _check_together(self, name: str) -> None:
        """Raise MisfitError if fields contradict each other."""


def read_record(cls: type[Record], plain: Any, name: str = "") -> Any:
    """Make a record of plain data.

    Parameters
    ----------
    cls : type
        A dataclass that is a `Record`.
    plain : object
        The content of a file, or a part of it. Unknown keys are left out.
    name : str, default=""
        The place of the data in the file.

    Returns
    -------
    record : Record
        Fields that are missing have their defaults.

    Raises
    ------
    MisfitError
        If `plain` is no dict, if a field without a default is missing, or if a value
        does not fit its field.
    """
    if not isinstance(plain, dict):
        raise MisfitError(name or "the content", plain, "a dict")
    values = {}
    for field in fields(cls):
        where = f"{name}.{field.name}" if name else field.name
        kind = types_of(cls)[field.name]
        if field.name in plain:
            values[field.name] = checked(kind, plain[field.name], where)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise MisfitError(where, Said("missing"), described(kind))
    record = cls._recorded(values)
    record._check_together(name)
    return record
