"""The project's own JSON: written in one form, signed with a digest of itself, and read back trusting nothing.

What is read back is taken field by field, and every value has a type and a bound.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from mvrec_edge.runtime.errors import IntegrityError
from mvrec_edge.runtime.files.writing import Buffer, sha256_bytes

__all__ = [
    "MAX_TEXT",
    "Fields",
    "canonical_json",
    "parse_json",
    "read_json",
    "read_signed_json",
    "schema_of",
    "signed_json",
]

#: Characters of a text in a document, unless its field says otherwise.
MAX_TEXT = 4096

_DEEPEST = 32
_MOST_VALUES = 1 << 20
_MOST_DIGITS = 400
# One of these stands before each value but the first.
_BEFORE_VALUES = (b",", b"[", b"{")
_TEXT = re.compile(rb'"[^"]*"')
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# As the canonical form writes them: fields of the document itself, and no last ones.
_DIGEST = re.compile(rb'^  "digest": "([0-9a-f]{64})",\n', re.MULTILINE)
_SCHEMA = re.compile(rb'^  "schema": "([ -!#-~]{1,64})"', re.MULTILINE)


class Fields:
    """A JSON object whose fields are taken one by one, checked.

    Args:
        payload: What was parsed.
        where: The file, and the place in it, for messages.

    Raises:
        IntegrityError: The payload is not a JSON object.
    """

    def __init__(self, payload: Any, where: str) -> None:
        if not isinstance(payload, Mapping):
            raise IntegrityError("a JSON object was expected", where=where, fix="make the file anew")
        self.payload: Mapping[str, Any] = payload
        self.where = where

    def _wrong(self, key: str, wanted: str) -> IntegrityError:
        return IntegrityError(f"'{key}' is not {wanted}", where=self.where, fix="make the file anew")

    def text(self, key: str, *, longest: int = MAX_TEXT) -> str:
        """A string of at most `longest` characters."""
        value = self.payload.get(key)
        if not isinstance(value, str) or len(value) > longest:
            raise self._wrong(key, f"a text of at most {longest} characters")
        return value

    def integer(self, key: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self.payload.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(key, f"a whole number from {low} to {high}")
        return value

    def optional_integer(self, key: str, low: int, high: int) -> int | None:
        """A whole number, or None where the field is null or absent."""
        return None if self.payload.get(key) is None else self.integer(key, low, high)

    def number(self, key: str, low: float, high: float) -> float:
        """A finite number from `low` to `high`."""
        value = self.payload.get(key)
        # Compared and not converted: a whole number may be too large for a float. NaN is not within any bounds.
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(key, f"a number from {low:g} to {high:g}")
        return float(value)

    def choice(self, key: str, *choices: str) -> str:
        """One of a few words."""
        value = self.payload.get(key)
        if value not in choices:
            raise self._wrong(key, "one of " + ", ".join(choices))
        return str(value)

    def texts(self, key: str, *, most: int) -> tuple[str, ...]:
        """A list of at most `most` strings."""
        value = self.sequence(key, most=most)
        if not all(isinstance(item, str) and len(item) <= MAX_TEXT for item in value):
            raise self._wrong(key, "a list of texts")
        return tuple(value)

    def sequence(self, key: str, *, most: int) -> list[Any]:
        """A list of at most `most` items."""
        value = self.payload.get(key)
        if not isinstance(value, list) or len(value) > most:
            raise self._wrong(key, f"a list of at most {most} items")
        return value

    def object(self, key: str) -> Fields:
        """A JSON object."""
        return Fields(self.payload.get(key), f"{self.where}: {key}")

    def objects(self, key: str, *, most: int) -> list[Fields]:
        """A list of at most `most` JSON objects."""
        items = self.sequence(key, most=most)
        return [Fields(item, f"{self.where}: {key} {place}") for place, item in enumerate(items, start=1)]


def read_json(data: bytes | str, where: str, *, schema: str, again: str = "make the file anew") -> Fields:
    """Reads a document of one schema.

    Args:
        data: What the file holds; whoever reads it bounds its size.
        where: The file, for messages.
        schema: The one schema that is read, the document's field `schema`.
        again: What to do where the document cannot be read, for messages.

    Raises:
        IntegrityError: It is no JSON object, is nested too deeply, holds too many values, a name twice or a number that
            is not finite, or is of another schema.
    """
    try:
        payload = parse_json(data)
    except ValueError as error:
        raise IntegrityError("is not valid JSON", where=where, fix="make the file anew") from error
    fields = Fields(payload, where)
    found = fields.text("schema")
    if found != schema:
        raise _other_schema(found, where, schema, again)
    return fields


def parse_json(data: bytes | str) -> Any:
    """Parses JSON as this program writes it, in time and memory that the size of the text bounds.

    Raises:
        ValueError: It is not JSON, is nested deeper than 32 levels, holds more than a million values, a name twice in
            one object, a number that is not finite, or one of more than 400 digits.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    # Before anything is parsed: a text of brackets takes a thousand times its size.
    if sum(map(raw.count, _BEFORE_VALUES)) > _MOST_VALUES or _is_too_deep(raw):
        raise ValueError("too many values, or nested too deeply")
    try:
        # UTF-8 and nothing that the library would guess: what was counted above is what is parsed.
        text = raw.decode("utf-8")
        return json.loads(
            text, parse_constant=_refuse, parse_float=_finite, parse_int=_whole, object_pairs_hook=_without_doubles
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _is_too_deep(data: bytes) -> bool:
    """Whether arrays and objects are nested too deeply; brackets in texts do not count."""
    if data.count(b"[") + data.count(b"{") <= _DEEPEST:
        return False
    # Steps that need no more memory than a few times the text: texts are taken out, then all but the brackets.
    unescaped = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    depth = 0
    for bracket in _TEXT.sub(b"", unescaped).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > _DEEPEST:
            return True
    return False


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is not finite")
    return value


def _whole(text: str) -> int:
    # Converting digits takes the square of their number in some versions of Python.
    if len(text) > _MOST_DIGITS:
        raise ValueError("a number has too many digits")
    return int(text)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _other_schema(found: str, where: str, schema: str, again: str) -> IntegrityError:
    return IntegrityError(
        f"the schema '{found[:64]}' is not known to this version, which reads '{schema}'",
        where=where,
        fix=f"{again} with this version",
    )


def canonical_json(payload: Any) -> bytes:
    """Serialises plain JSON types in the one form that the project's own files use.

    Keys are sorted, so equal payloads give equal bytes; a reader can serialise what it read once more and
    notice any byte that was changed.

    A byte of a file name that is no text stands in a text as half of a surrogate pair, which is written as an escape.

    Raises:
        ValueError: A number is NaN or infinite.
    """
    text = json.dumps(payload, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    # Python's escape for such a half is JSON's, too.
    return (text + "\n").encode("utf-8", "backslashreplace")


def signed_json(payload: Mapping[str, Any], covers: Iterable[Buffer] = ()) -> bytes:
    """Serialises an object with one more field, `digest`: SHA-256 over its canonical form and what it covers.

    Args:
        payload: The object, which has a `schema`; a `digest` that it has is replaced.
        covers: Other bytes that must not change either, such as the tensors that the object describes.
    """
    signed = {key: value for key, value in payload.items() if key != "digest"}
    signed["digest"] = sha256_bytes(canonical_json(signed), *covers)
    return canonical_json(signed)


def read_signed_json(
    data: bytes, where: str, *, schema: str, again: str = "make the file anew", covers: Iterable[Buffer] = ()
) -> Fields:
    """Reads what `signed_json` wrote. The arguments that `read_json` has as well mean the same.

    The bytes are hashed as they are before they are parsed, so that any change is noticed, and one by accident before
    anything else is done.

    Raises:
        IntegrityError: It is not a JSON object, of another schema, or a byte of it or of what it covers was changed.
    """
    found = schema_of(data)
    if found is not None and found != schema:
        raise _other_schema(found, where, schema, again)
    digest = _DIGEST.search(data)
    if digest is None or digest[1] != _digest_of(data, digest, covers):
        raise IntegrityError("was changed after it was written", where=where, fix=again)
    return read_json(data, where, schema=schema, again=again)


def schema_of(data: bytes) -> str | None:
    """What a document in the canonical form says of its schema, whatever else it holds; None where it says nothing."""
    found = _SCHEMA.search(data)
    return None if found is None else found[1].decode()


def _digest_of(data: bytes, line: re.Match[bytes], covers: Iterable[Buffer]) -> bytes:
    """The digest that `signed_json` writes: over the text without the line of the digest, and over what it covers."""
    digest = hashlib.sha256()
    view = memoryview(data)
    for part in (view[: line.start()], view[line.end() :], *covers):
        digest.update(part)
    return digest.hexdigest().encode()
