"""Which positional arguments the command line means, and which the file stands in for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.cli.config.command import place_arguments

CLASSIFY = {"bundle": False, "cache": False, "inputs": True}


def parsed(*texts: str) -> dict[str, Any]:
    """What click makes of so many arguments, as if they were meant from the left."""
    rest = list(texts)
    found: dict[str, Any] = {"bundle": rest.pop(0) if rest else None, "cache": rest.pop(0) if rest else None}
    return {**found, "inputs": tuple(rest), "out": "o"}


@pytest.mark.parametrize(
    ("typed", "in_file", "from_file", "placed"),
    [
        ((), "bundle cache inputs", "bundle cache inputs", {}),
        (("i",), "bundle cache inputs", "bundle cache", {"inputs": ("i",)}),
        (("c", "i"), "bundle cache inputs", "bundle", {"cache": "c", "inputs": ("i",)}),
        (("b", "c", "i"), "bundle cache inputs", "", {"bundle": "b", "cache": "c", "inputs": ("i",)}),
        (("b", "c", "i", "j"), "bundle cache", "", {"bundle": "b", "cache": "c", "inputs": ("i", "j")}),
        (("i",), "bundle cache", "bundle cache", {"inputs": ("i",)}),
        (("b", "c"), "inputs", "inputs", {"bundle": "b", "cache": "c"}),
        (("b", "i"), "cache", "cache", {"bundle": "b", "inputs": ("i",)}),
        (("c",), "bundle", "bundle", {"cache": "c"}),
        (("b",), "", "", {"bundle": "b"}),
        ((), "", "", {}),
    ],
)
def test_what_is_missing_comes_from_the_file(
    typed: tuple[str, ...], in_file: str, from_file: str, placed: dict[str, Any]
) -> None:
    given_now = parsed(*typed)
    assert place_arguments(CLASSIFY, given_now, dict.fromkeys(in_file.split(), "x")) == set(from_file.split())
    assert {name: value for name, value in given_now.items() if value} == {**placed, "out": "o"}


@pytest.mark.parametrize(
    ("arguments", "typed", "in_file", "from_file", "placed"),
    [
        # What takes all that are left and never comes from a file has all words that the file does not give.
        ({"cache": False, "instances": True}, ("3",), "cache", "cache", {"instances": ("3",)}),
        ({"cache": False, "instances": True}, ("3", "17"), "cache", "cache", {"instances": ("3", "17")}),
        ({"cache": False, "instances": True}, ("c", "3"), "", "", {"cache": "c", "instances": ("3",)}),
        ({"cache": False, "instances": True}, (), "cache", "cache", {}),
        # Of a known number of words, what is missing comes from the file.
        ({"cache": False, "old": False, "new": False}, ("a", "b"), "cache", "cache", {"old": "a", "new": "b"}),
        (
            {"cache": False, "old": False, "new": False},
            ("c", "a", "b"),
            "cache",
            "",
            {"cache": "c", "old": "a", "new": "b"},
        ),
    ],
)
def test_words_that_never_come_from_a_file(
    arguments: dict[str, bool], typed: tuple[str, ...], in_file: str, from_file: str, placed: dict[str, Any]
) -> None:
    rest = list(typed)
    given_now: dict[str, Any] = {
        name: tuple(rest) if takes_all else rest.pop(0) if rest else None for name, takes_all in arguments.items()
    }
    own = set(arguments) - {"cache"}
    assert place_arguments(arguments, given_now, dict.fromkeys(in_file.split(), "x"), own) == set(from_file.split())
    assert {name: value for name, value in given_now.items() if value} == placed


@given(st.lists(st.text(min_size=1), max_size=6), st.sets(st.sampled_from(list(CLASSIFY))))
def test_no_word_of_the_command_line_is_lost_or_moved(typed: list[str], in_file: set[str]) -> None:
    given_now = parsed(*typed)
    from_file = place_arguments(CLASSIFY, given_now, dict.fromkeys(in_file))
    words: list[str] = []
    for name in CLASSIFY:
        value = given_now.get(name)
        assert not (value and name in from_file)
        words += [value] if isinstance(value, str) else list(value or ())
    assert words == typed
    assert from_file <= in_file
