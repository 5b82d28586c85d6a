"""The templates of the pages, and what all pages do with text."""

# SPDX-License-Identifier: BSD-3-Clause

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from .._format import visible


@cache
def load_template(name: str) -> Template:
    """Load a template of this package.

    Parameters
    ----------
    name : str
        Name of the file.

    Returns
    -------
    template : jinja2.Template
        It escapes what is put in, control characters too.
    """
    environment = Environment(
        autoescape=True,
        finalize=_printable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(read_part(name))


def read_part(name: str) -> str:
    """Read a file of this package, such as a template, a style sheet or a script.

    Parameters
    ----------
    name : str
        Name of the file.

    Returns
    -------
    text : str
        Its content.
    """
    return files("skmnist.reporting").joinpath(name).read_text("utf-8")


def _printable(value: Any) -> Any:
    """Write control characters as escapes, but keep non-breaking spaces."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "\u00a0".join(map(visible, value.split("\u00a0")))
