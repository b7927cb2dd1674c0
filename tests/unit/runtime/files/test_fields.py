"""Fields from outside: typed and bounded."""

from __future__ import annotations

import math

import pytest

from mvrec_edge.runtime.errors import IntegrityError
from mvrec_edge.runtime.files.fields import Fields, parse_json

FIELDS = Fields({"text": "a", "int": 3, "float": 0.5, "list": ["a"], "object": {"b": 1}, "null": None}, "file.json")


def test_right_fields_are_taken() -> None:
    assert FIELDS.text("text") == "a"
    assert FIELDS.optional_text("null") is None
    assert FIELDS.optional_text("absent") is None
    assert FIELDS.integer("int", 0, 3) == 3
    assert FIELDS.optional_integer("null", 0, 3) is None
    assert FIELDS.number("float", 0, 1) == 0.5
    assert FIELDS.number("int", 0, 3) == 3.0
    assert FIELDS.texts("list", most=1) == ("a",)
    assert FIELDS.object("object").integer("b", 0, 1) == 1
    assert FIELDS.choice("text", "a", "b") == "a"


@pytest.mark.parametrize(
    "take",
    [
        lambda: FIELDS.text("int"),
        lambda: FIELDS.text("absent"),
        lambda: Fields({"t": "x" * 11}, "f").text("t", longest=10),
        lambda: FIELDS.integer("float", 0, 9),
        lambda: FIELDS.integer("int", 0, 2),
        lambda: Fields({"b": True}, "f").integer("b", 0, 1),
        lambda: Fields({"b": True}, "f").number("b", 0, 1),
        lambda: Fields({"n": math.nan}, "f").number("n", 0, 1),
        lambda: FIELDS.number("float", 1, 2),
        lambda: FIELDS.choice("text", "b"),
        lambda: FIELDS.sequence("object", most=9),
        lambda: FIELDS.sequence("list", most=0),
        lambda: Fields({"l": [1]}, "f").texts("l", most=9),
        lambda: FIELDS.object("text"),
        lambda: Fields([], "f"),
        lambda: parse_json("{", "f"),
        lambda: parse_json("[" * 100_000, "f"),
        lambda: parse_json(b"\xff", "f"),
    ],
)
def test_wrong_fields_are_refused(take: object) -> None:
    with pytest.raises(IntegrityError) as caught:
        take()  # type: ignore[operator]
    assert caught.value.exit_code == 4
