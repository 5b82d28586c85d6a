"""How numbers, parameters and names are written: alike in all tables and sentences."""

# SPDX-License-Identifier: BSD-3-Clause

import re
from collections.abc import Mapping, Sequence
from typing import Any

# How the warning of few epochs begins; a study and a command filter it by these words.
TOO_SHORT = "The training may be too short"

_MARKUP = re.compile(r"[\\`*_{}\[\]<>#|~&$]")
# What would begin a list, or make a heading or a rule of a line.
_LINE_START = re.compile(r"^ *(?=[-+](?: |$)|[-=]+ *$)|^ *\d+(?=[.)](?: |$))")


class OneLineError(ValueError):
    """An error whose message is one line, whatever file or user it quotes.

    Parameters
    ----------
    message : str
        What is wrong. Control characters in it are written as escapes.
    """

    def __init__(self, message: str) -> None:
        # Names of files and labels may hold control characters.
        super().__init__(visible(message))


def visible(text: str) -> str:
    r"""Write control characters as escapes, so that none acts on a terminal.

    Parameters
    ----------
    text : str
        A name, label or message from a file or a user.

    Returns
    -------
    line : str
        One line. What is not printable is written as in a Python string: new lines,
        control characters, marks that change the direction of writing, lone
        surrogates. All else is as it was, backslashes too.

    Examples
    --------
    >>> from skmnist._format import visible
    >>> print(visible("seven\x1b[2J\nOK"))
    seven\x1b[2J\nOK
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def escape_markdown(text: str) -> str:
    r"""Write text such that Markdown, and the HTML in it, shows it as it is.

    Parameters
    ----------
    text : str
        A name, label or message from a file or a user.

    Returns
    -------
    markdown : str
        One line, for a sentence, a heading or a cell of a table; see `visible`.

    Examples
    --------
    >>> from skmnist._format import escape_markdown
    >>> print(escape_markdown("<b> | a_b"))
    \<b\> \| a\_b
    """
    escaped = _MARKUP.sub(r"\\\g<0>", visible(text))
    return _LINE_START.sub(r"\g<0>\\", escaped)


def as_text(value: Any) -> str:
    """Write a parameter's value; spaces separate the values of several layers."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)


def as_number(value: float, form: str) -> str:
    """Write a number in a format; NaN becomes an empty text."""
    return "" if value != value else format(value, form)


def as_percent(value: float | None) -> str:
    """Write an accuracy in percent; None and NaN become an empty text."""
    return "" if value is None or value != value else f"{100 * value:.2f} %"


def as_score(value: float) -> str:
    """Write a score: in percent if it can be an accuracy; NaN as an empty text.

    Examples
    --------
    >>> from skmnist._format import as_score
    >>> as_score(0.9733), as_score(-0.25)
    ('97.33 %', '-0.25')
    """
    return as_percent(value) if 0 <= value <= 1 else as_number(value, ".5g")


def as_points(value: float) -> str:
    """Write a difference of accuracies in percentage points; NaN: an empty text."""
    return "" if value != value else f"{100 * value:.2f} pp"


def as_p_value(value: float, equals: str = "") -> str:
    """Write a p-value; `equals` stands before a number, but not before "<".

    Examples
    --------
    >>> from skmnist._format import as_p_value
    >>> as_p_value(0.0421), as_p_value(0.0421, "= "), as_p_value(1e-9, "= ")
    ('0.042', '= 0.042', '< 0.001')
    """
    return f"{equals}{value:.2g}" if value >= 0.001 else "< 0.001"


def with_error(text: str, error: float, unit: str) -> str:
    """Write a number with its standard error; an error of NaN makes an empty text.

    Parameters
    ----------
    text : str
        The number, in percent or percentage points.
    error : float
        The standard error, as a fraction.
    unit : str
        "%" or "pp".

    Examples
    --------
    >>> from skmnist._format import with_error
    >>> with_error("98.07", 0.0014, "%")
    '98.07 ± 0.14 %'
    """
    return "" if error != error else f"{text} ± {100 * error:.2f} {unit}"


def candidate_name(params: Mapping[str, Any]) -> str:
    """Write parameters in one line, such as ``depth=2, widths=600 200``."""
    return ", ".join(f"{name}={as_text(value)}" for name, value in params.items())


def candidate_names(candidates: Sequence[Mapping[str, Any]]) -> tuple[list[str], str]:
    """Name candidates by the parameters that differ among them.

    Parameters
    ----------
    candidates : list of dict
        Their parameters. All have the same names of parameters.

    Returns
    -------
    names : list of str
        ``name=value, ...``; only the value where a single parameter differs.
    common : str
        The name of that single parameter, else an empty text.

    Examples
    --------
    >>> from skmnist._format import candidate_names
    >>> candidate_names([{"a": 1, "b": [2, 3]}, {"a": 1, "b": [3, 2]}])
    (['2 3', '3 2'], 'b')
    >>> candidate_names([{"a": 1, "b": 2}])
    (['a=1, b=2'], '')
    """
    first = candidates[0]
    differing = [n for n in first if any(c[n] != first[n] for c in candidates)]
    if len(differing) == 1:
        return [as_text(c[differing[0]]) for c in candidates], differing[0]
    names = differing or list(first)
    return [candidate_name({n: c[n] for n in names}) for c in candidates], ""


def duration(seconds: float) -> str:
    """Write a duration in words.

    Parameters
    ----------
    seconds : float
        The duration.

    Returns
    -------
    text : str
        Below a minute in seconds, below an hour in minutes and seconds, else in hours
        and minutes.

    Examples
    --------
    >>> from skmnist._format import duration
    >>> duration(8.4), duration(200), duration(7300)
    ('8 s', '3 min 20 s', '2 h 1 min')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
