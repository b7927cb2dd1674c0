"""Documents from outside: signed, of a known schema, and their fields typed and bounded."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.errors import IntegrityError
from mvrec_edge.runtime.files.json_documents import (
    Fields,
    canonical_json,
    parse_json,
    read_json,
    read_signed_json,
    signed_json,
)
from tests.harness.limits import cost_of, fault

FIELDS = Fields({"text": "a", "int": 3, "float": 0.5, "list": ["a"], "object": {"b": 1}, "null": None}, "file.json")


def test_right_fields_are_taken() -> None:
    assert FIELDS.text("text") == "a"
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
        lambda: read_json("{", "f", schema="s"),
        lambda: read_json("[" * 100_000, "f", schema="s"),
        lambda: read_json(b"\xff", "f", schema="s"),
    ],
)
def test_wrong_fields_are_refused(take: object) -> None:
    with pytest.raises(IntegrityError) as caught:
        take()  # type: ignore[operator]
    assert caught.value.exit_code == 4


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None)
@given(_PLAIN)
def test_canonical_json_is_a_fixed_point(payload: object) -> None:
    data = canonical_json(payload) if not _has_surrogates(payload) else b"null\n"
    assert canonical_json(json.loads(data)) == data


def test_a_name_that_is_no_text_is_signed_and_read_back() -> None:
    data = signed_json({"schema": SCHEMA, "source": "part \udcff.png#0"})
    assert b'"part \\udcff.png#0"' in data
    assert read_signed_json(data, "f", schema=SCHEMA).text("source") == "part \udcff.png#0"


def _has_surrogates(payload: object) -> bool:
    return any(0xD800 <= ord(letter) <= 0xDFFF for letter in repr(payload)) or "\\ud" in repr(payload)


SCHEMA = "mvrec-edge/thing/2"
SIGNED = signed_json({"schema": SCHEMA, "text": "a"}, [b"tensor"])


def test_what_was_signed_is_read() -> None:
    fields = read_signed_json(SIGNED, "f", schema=SCHEMA, covers=[b"ten", b"sor"])
    assert fields.text("text") == "a"
    assert read_json(SIGNED, "f", schema=SCHEMA).text("text") == "a"


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(SIGNED) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda byte: byte != SIGNED[place]))
    changed = SIGNED[:place] + bytes([value]) + SIGNED[place + 1 :]
    with pytest.raises(IntegrityError):
        read_signed_json(changed, "f", schema=SCHEMA, covers=[b"tensor"])


@pytest.mark.parametrize(
    "data",
    [
        SIGNED + b"\n",
        json.dumps(json.loads(SIGNED)).encode(),
        SIGNED.replace(b'"a"', b"NaN"),
        SIGNED.replace(b'"a"', b"-Infinity"),
        SIGNED.replace(b'"a"', rb'"\ud800"'),
        SIGNED.replace(b'"a"', b"[" * 900 + b"]" * 900),
    ],
)
def test_what_the_writer_would_not_write_was_changed(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="was changed after it was written"):
        read_signed_json(data, "f", schema=SCHEMA, covers=[b"tensor"])


def test_changes_of_what_is_covered_are_noticed() -> None:
    with pytest.raises(IntegrityError, match=r"was changed.*sign again"):
        read_signed_json(SIGNED, "f", schema=SCHEMA, again="sign again", covers=[b"tensors"])


def test_another_schema_is_refused() -> None:
    with pytest.raises(IntegrityError, match=r"'mvrec-edge/thing/2' is not known.*reads 'mvrec-edge/thing/1'"):
        read_signed_json(SIGNED, "f", schema="mvrec-edge/thing/1", covers=[b"tensor"])


_MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "data",
    [
        b"[" * _MEGABYTE,
        b'{"a":' * (_MEGABYTE // 5),
        b"[" + (b"[" * 900 + b"]" * 900 + b",") * 550 + b"0]",
        b"[" * 33 + b"]" * 33,
        b"[]," * 400_000,
        b'{"a":1,"a":2}',
        b'{"n":NaN}',
        b'{"n":-Infinity}',
        b'{"n":1e400}',
        b'{"n":1' + b"0" * 400 + b"}",
        b"9" * _MEGABYTE,
        '{"schema":"s"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"schema":"s"}',
        b'"' * _MEGABYTE,
        # Brackets that a hasty look would take for the inside of a text.
        b'["\\\\",' + b"[" * 40 + b'"',
    ],
)
def test_a_text_that_takes_much_or_says_two_things_is_not_parsed(data: bytes) -> None:
    cost = cost_of(lambda: read_json(data, "f", schema="s"))
    assert fault(cost) is None
    assert "is not valid JSON" in str(cost.refusal)


def test_brackets_and_commas_in_texts_are_no_depth() -> None:
    text = "[{" * 500 + '\\"' + "[" * 100
    assert read_json(json.dumps({"schema": "s", "text": text}), "f", schema="s").text("text") == text
    assert parse_json("[" * 32 + "]" * 32) is not None


@pytest.mark.parametrize("value", [10**399, -(10**399)])
def test_a_number_beyond_floats_is_out_of_every_range(value: int) -> None:
    with pytest.raises(IntegrityError, match="'n' is not a number from 0 to 1"):
        Fields({"n": value}, "f").number("n", 0, 1)


def test_a_document_of_another_digest_is_not_parsed() -> None:
    """The text is no JSON at all: had it been parsed, the message would say so."""
    data = SIGNED.replace(b'"a"', b'"a')
    with pytest.raises(IntegrityError, match="was changed after it was written"):
        read_signed_json(data, "f", schema=SCHEMA, covers=[b"tensor"])


def test_a_digest_that_is_right_does_not_open_the_bounds() -> None:
    payload = {"schema": SCHEMA, "deep": json.loads("[" * 200 + "]" * 200)}
    with pytest.raises(IntegrityError, match="is not valid JSON"):
        read_signed_json(signed_json(payload), "f", schema=SCHEMA)
