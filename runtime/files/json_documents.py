"""The project's own JSON: written in one form, signed with a digest of itself, and read back trusting nothing.

What is read back is taken field by field, and every value has a type and a bound.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from mvrec_edge.runtime.errors import IntegrityError
from mvrec_edge.runtime.files.writing import sha256_bytes

__all__ = ["Fields", "canonical_json", "read_json", "read_signed_json", "signed_json"]

_MAX_TEXT = 4096


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

    def text(self, key: str, *, longest: int = _MAX_TEXT) -> str:
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
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise self._wrong(key, "a finite number")
        if not low <= value <= high:
            raise self._wrong(key, f"a number from {low} to {high}")
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
        if not all(isinstance(item, str) and len(item) <= _MAX_TEXT for item in value):
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


def read_json(data: bytes | str, where: str, *, schema: str, again: str = "make the file anew") -> Fields:
    """Reads a document of one schema.

    Args:
        data: What the file holds.
        where: The file, for messages.
        schema: The one schema that is read, the document's field `schema`.
        again: What to do where the document cannot be read, for messages.

    Raises:
        IntegrityError: It is no JSON object, is nested too deeply, or is of another schema.
    """
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise IntegrityError("is not valid JSON", where=where, fix="make the file anew") from error
    fields = Fields(payload, where)
    found = fields.text("schema")
    if found != schema:
        raise IntegrityError(
            f"the schema '{found[:64]}' is not known to this version, which reads '{schema}'",
            where=where,
            fix=f"{again} with this version",
        )
    return fields


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


def signed_json(payload: Mapping[str, Any], covers: Iterable[bytes] = ()) -> bytes:
    """Serialises an object with one more field, `digest`: SHA-256 over its canonical form and what it covers.

    Args:
        payload: The object; a `digest` that it has is replaced.
        covers: Other bytes that must not change either, such as the tensors that the object describes.
    """
    signed = {key: value for key, value in payload.items() if key != "digest"}
    signed["digest"] = sha256_bytes(canonical_json(signed), *covers)
    return canonical_json(signed)


def read_signed_json(
    data: bytes, where: str, *, schema: str, again: str = "make the file anew", covers: Iterable[bytes] = ()
) -> Fields:
    """Reads what `signed_json` wrote. The arguments that `read_json` has as well mean the same.

    Raises:
        IntegrityError: It is not a JSON object, of another schema, or a byte of it or of what it covers was changed.
    """
    fields = read_json(data, where, schema=schema, again=again)
    fields.text("digest")
    try:
        # All bytes are compared: a digest of what was parsed alone would not notice another blank.
        unchanged = signed_json(fields.payload, covers) == data
    except (ValueError, RecursionError):
        # NaN, or nesting that the parser takes and the writer would not.
        unchanged = False
    if not unchanged:
        raise IntegrityError("was changed after it was written", where=where, fix=again)
    return fields
