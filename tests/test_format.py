"""Text from files and users on a terminal and in Markdown: nothing in it acts."""

# SPDX-License-Identifier: BSD-3-Clause

import math
import random
import string
import sys
import unicodedata

import pytest

from skmnist._format import (
    as_number,
    as_percent,
    as_points,
    as_text,
    candidate_name,
    candidate_names,
    duration,
    escape_markdown,
    visible,
    with_error,
)

SEEDS = range(5)

# What acts on a terminal, ends a line, turns the direction of writing, or cannot be
# encoded: each is far too rare among all characters to be drawn by chance.
NASTY = [
    *map(chr, (*range(32), *range(127, 160))),
    *"\u00a0\u00ad\u061c\u200b\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d",
    *"\u202e\u2060\u2066\u2067\u2068\u2069\ufeff\ufff9\ufffe\uffff\ud800\udcff\udfff",
    "\U000e0001",
    "\U0010ffff",
]
PRINTABLE = [*string.printable[:95], *"äß±µ数字ñ", "e\u0301", "😀"]
MARKUP = string.punctuation


def random_text(generator, *kinds, length=12):
    """Draw characters of some kinds. None is any character of Unicode."""
    drawn = []
    for _ in range(generator.randint(0, length)):
        kind = generator.choice(kinds)
        any_character = chr(generator.randrange(sys.maxunicode + 1))
        drawn.append(any_character if kind is None else generator.choice(kind))
    return "".join(drawn)


def texts(seed, *kinds, n=400, **options):
    generator = random.Random(seed)
    return [random_text(generator, *kinds, **options) for _ in range(n)]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_visible_is_one_printable_line(seed):
    for text in texts(seed, None, NASTY, PRINTABLE):
        line = visible(text)
        assert line.isprintable(), ascii(text)
        assert len(line.splitlines()) <= 1
        line.encode()  # no lone surrogate is left


def test_no_character_of_unicode_acts():
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        line = visible(character)
        if unicodedata.category(character)[0] in "CZ" and character != " ":
            assert line.startswith("\\") and line.isascii(), hex(point)
        else:
            assert line == character, hex(point)


@pytest.mark.parametrize("seed", SEEDS)
def test_printable_text_stays_as_it_is(seed):
    for text in texts(seed, PRINTABLE):
        assert visible(text) == text


@pytest.mark.parametrize("seed", SEEDS)
def test_text_without_backslashes_can_be_told_from_its_escapes(seed):
    for text in texts(seed, NASTY, PRINTABLE):
        if "\\" not in text:
            printed = visible(text).encode("latin-1", "backslashreplace")
            assert printed.decode("unicode_escape") == text


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_visible_is_not_changed_again(seed):
    for text in texts(seed, None, NASTY, PRINTABLE):
        assert visible(visible(text)) == visible(text)


@pytest.fixture(scope="module")
def parse():
    """A function that returns the text that Markdown shows, and its parts."""
    markdown_it = pytest.importorskip("markdown_it")
    markdown = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])

    def parse(source):
        tokens = markdown.parse(source)
        inner = [child for token in tokens for child in token.children or []]
        kinds = {token.type for token in [*tokens, *inner]}
        return "".join(child.content for child in inner), kinds

    return parse


# A place in the source, what stands around the text there, what else it shows.
PLACES = {
    "line": ("{}", ""),
    "sentence": ("word {} word", "word "),
    "heading": ("# word {}", "word "),
    "cell": ("| a |\n|---|\n| word {} |", "aword "),
    "after_a_line": ("word\n{}", "word"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("seed", SEEDS)
def test_markdown_shows_the_text_as_it_is(parse, place, seed):
    source, before = PLACES[place]
    _, plain = parse(source.format("text"))
    kinds = [MARKUP, ["-", "+", "=", "1", ".", ")", " "], PRINTABLE, NASTY]
    for text in texts(seed, *kinds, length=6):
        # Spaces at the ends are dropped, and four of them begin a block of code.
        text = visible(text).strip()
        if not text:
            continue
        shown, found = parse(source.format(escape_markdown(text)))
        after = " word" if place == "sentence" else ""
        assert shown == f"{before}{text}{after}", ascii(text)
        # A character that is escaped is text of another kind.
        assert found - {"text_special"} == plain, ascii(text)


@pytest.mark.parametrize("seed", SEEDS)
def test_escaped_markdown_is_one_printable_line(seed):
    for text in texts(seed, None, NASTY, PRINTABLE, MARKUP):
        line = escape_markdown(text)
        assert line.isprintable() and len(line.splitlines()) <= 1


def test_plain_text_needs_no_escapes_in_markdown():
    for text in ("widths = 600, 200", "98.07 ± 0.14 %", "stage 1: depth (2-3)", "-0.5"):
        assert escape_markdown(text) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), ([600, 200], "600 200"), (0.00012345, "0.000123"), ("adam", "adam")],
)
def test_values_of_parameters(value, text):
    assert as_text(value) == text


def test_numbers_that_are_there():
    assert as_number(0.125, ".2f") == "0.12"
    assert as_percent(0.98071) == "98.07 %"
    assert as_points(-0.0012) == "-0.12 pp"
    assert with_error("98.07", 0.0014, "%") == "98.07 ± 0.14 %"


def test_numbers_that_are_not_there():
    assert as_number(math.nan, ".2f") == as_points(math.nan) == ""
    assert as_percent(math.nan) == as_percent(None) == ""
    assert with_error("98.07", math.nan, "%") == ""


def test_names_of_candidates_say_what_differs():
    assert candidate_name({"depth": 2, "widths": [3, 4]}) == "depth=2, widths=3 4"
    two = [{"a": 1, "b": 2, "c": 0}, {"a": 2, "b": 3, "c": 0}]
    assert candidate_names(two) == (["a=1, b=2", "a=2, b=3"], "")
    assert candidate_names([{"a": 1, "b": 2}, {"a": 1, "b": 3}]) == (["2", "3"], "b")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (9000, "2 h 30 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
