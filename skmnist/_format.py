"""Numbers and parameters in words, the same in every table and sentence."""

# SPDX-License-Identifier: BSD-3-Clause

import re

_MARKUP = re.compile(r"[\\`*_{}\[\]<>#|~&]")


def visible(text: str) -> str:
    r"""Write control characters as escapes, so that none acts on a terminal.

    Parameters
    ----------
    text : str
        A name, label or message from a file or a user.

    Returns
    -------
    line : str
        One line. What is not printable, a new line and a lone surrogate among them,
        is written as Python writes it in a string.

    Examples
    --------
    >>> from skmnist._format import visible
    >>> print(visible("seven\x1b[2J\nOK"))
    seven\x1b[2J\nOK
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def escape_markdown(text: str) -> str:
    r"""Write text such that Markdown and the HTML in it show it as it is.

    Examples
    --------
    >>> from skmnist._format import escape_markdown
    >>> print(escape_markdown("<b> | a_b"))
    \<b\> \| a\_b
    """
    return _MARKUP.sub(r"\\\g<0>", visible(text))


def as_text(value):
    """Write a parameter; values of several layers are separated by spaces."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)


def as_number(value, form):
    """Write a number in a format; nothing where there is none."""
    return "" if value != value else format(value, form)


def as_percent(value):
    """Write an accuracy in percent; nothing where there is none."""
    return "" if value is None or value != value else f"{100 * value:.2f} %"


def as_points(value):
    """Write a difference of accuracies in percentage points, likewise."""
    return "" if value != value else f"{100 * value:.2f} pp"


def with_error(text, error, unit):
    """Write a number in percent with its standard error; nothing where there is none.

    Examples
    --------
    >>> from skmnist._format import with_error
    >>> with_error("98.07", 0.0014, "%")
    '98.07 ± 0.14 %'
    """
    return "" if error != error else f"{text} ± {100 * error:.2f} {unit}"


def candidate_name(params):
    """Write parameters in a line, as in ``depth=2, widths=600 200``."""
    return ", ".join(f"{name}={as_text(value)}" for name, value in params.items())


def candidate_names(candidates):
    """Name candidates by what differs among them, as short as can be.

    Parameters
    ----------
    candidates : list of dict
        Their parameters, the same names in each.

    Returns
    -------
    names : list of str
        ``name=value, ...``; the value alone where a single parameter differs.
    common : str
        The name of that parameter, or nothing.

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


def duration(seconds):
    """Write a duration as one says it.

    Parameters
    ----------
    seconds : float
        The duration.

    Returns
    -------
    text : str
        Seconds below a minute, minutes and seconds below an hour, else hours and
        minutes.

    Examples
    --------
    >>> duration(8.4), duration(200), duration(7300)
    ('8 s', '3 min 20 s', '2 h 1 min')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
