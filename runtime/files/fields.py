"""Reading fields out of JSON that came from outside: every value has a type and a bound."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from mvrec_edge.runtime.errors import IntegrityError

__all__ = ["Fields", "parse_json"]

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

    def optional_text(self, key: str) -> str | None:
        """A string, or None where the field is null or absent."""
        return None if self.payload.get(key) is None else self.text(key)

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


def parse_json(data: bytes | str, where: str) -> Any:
    """Parses JSON from outside.

    Raises:
        IntegrityError: It is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise IntegrityError("is not valid JSON", where=where, fix="make the file anew") from error
