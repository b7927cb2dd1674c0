"""Label files from outside: read whole, bounded, and parsed as data only."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.images.image_files import read_bytes

__all__ = ["check_values", "clean_label", "load_json", "nfc", "parse_json", "read_label_bytes", "read_text"]

MAX_LABEL = 256
# A photo of 50 megapixels in base64, as labelme keeps it, has 200 MB.
_MOST_BYTES = 1 << 28
# What Python takes for values that are parsed, by the characters that begin or part them: an object, a list, a number.
_BYTES_OF_JSON = {"{": 800, "[": 64, ",": 36}
# An object counts as one of so many names; a name beyond them takes more than a value.
_NAMES_OF_OBJECT, _BYTES_OF_NAME = 32, 170
#: So much all values of one file may take: 10,000 outlines of 140 points.
_MOST_PARSED = 192 << 20
# What Python makes a number of by default.
_MOST_DIGITS = 4300
# Deeper than any label file is, and far less than what Python refuses.
_DEEP = 100
_BRACKET_OR_TEXT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def read_label_bytes(path: Path) -> bytes:
    """Reads a label file; raises `AnnotationError` where it cannot be read or is larger than 256 MiB."""
    return read_bytes(path, error=AnnotationError, kind="an annotation", limit=_MOST_BYTES)


def check_values(text: str, bytes_of: Mapping[str, int], where: object, more: int = 0) -> None:
    """Refuses a text with so many values that parsing it would take all memory; asked before it is parsed.

    Args:
        text: The text.
        bytes_of: What a value takes in memory, by the character that it begins with or that parts it from the next.
        where: The file, for messages.
        more: What it takes beside, in bytes.

    Raises:
        AnnotationError: It holds too many values.
    """
    if more + sum(text.count(mark) * size for mark, size in bytes_of.items()) > _MOST_PARSED:
        raise AnnotationError("holds more values than are read from one file", where=where, fix="split it")


def read_text(path: Path) -> str:
    """Reads a label file in the encoding that its first bytes give away: UTF-8, or UTF-16 or UTF-32.

    A byte order mark may lead. Without one, zeros among the first four bytes tell the wide encodings, since a label
    file begins with a character of ASCII.

    Raises:
        AnnotationError: The file cannot be read, is larger than 256 MiB, or is not text in one of these encodings.
    """
    data = read_label_bytes(path)
    encoding = json.detect_encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        wide = "" if encoding.startswith("utf-8") else f" nor {encoding[:6].upper()}, as its first bytes say"
        raise AnnotationError(
            f"is not UTF-8 text{wide}: byte {error.start} does not belong there", where=path, fix="save it as UTF-8"
        ) from error
    if "\0" in text:
        raise AnnotationError("is not UTF-8 text: it holds a zero byte", where=path, fix="save it as UTF-8")
    return text


def nfc(text: str) -> str:
    """A name in its composed Unicode form, so that names that look the same are the same."""
    return unicodedata.normalize("NFC", text)


def parse_json(text: str, where: object) -> Any:
    """Parses JSON.

    Raises:
        AnnotationError: It is not JSON, is nested too deeply, or holds too many values.
    """
    names = max(0, text.count(":") - _NAMES_OF_OBJECT * text.count("{"))
    check_values(text, _BYTES_OF_JSON, where, _BYTES_OF_NAME * names)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise AnnotationError(f"is not valid JSON: {error}", where=where, fix="export it again") from error
    except ValueError as error:
        # All that Python refuses of JSON that is valid; the time for it grows with the square of the digits.
        what = f"has a number of more than {_most_digits()} digits{_line_of_digits(text)}"
        raise AnnotationError(what, where=where, fix="correct the number, or export it again") from error
    except RecursionError as error:
        what = f"is nested too deeply{_deepest_line(text)}"
        raise AnnotationError(what, where=where, fix="export it again") from error


def _most_digits() -> int:
    return int(getattr(sys, "get_int_max_str_digits", lambda: _MOST_DIGITS)()) or _MOST_DIGITS


def _line_of_digits(text: str) -> str:
    """Where the number with too many digits is, for a message."""
    found = re.search(rf"(?<![\d.eE+])\d{{{_most_digits() + 1}}}\d*(?![\d.eE])", text)
    return "" if found is None else _line_at(text, found.start())


def _deepest_line(text: str) -> str:
    """Where objects and lists are nested deeper than any label file needs, for a message."""
    depth = 0
    for found in _BRACKET_OR_TEXT.finditer(text):
        mark = found[0]
        depth += (mark in "[{") - (mark in "]}")
        if depth > _DEEP:
            return _line_at(text, found.start())
    return ""


def _line_at(text: str, place: int) -> str:
    # Of a text of one line, such as a cell of a table, whoever gave it says where it is.
    return f" in line {text.count(chr(10), 0, place) + 1}" if "\n" in text.rstrip() else ""


def load_json(path: Path) -> Any:
    """Reads and parses a JSON file; raises `AnnotationError` as `read_text` and `parse_json` do."""
    return parse_json(read_text(path), path)


def clean_label(value: Any, where: str) -> str | None:
    """A class name as a label file gives it: a text or a whole number; blank or null means unknown.

    Returns:
        The name in composed form (NFC), without blanks at its ends. Control characters are kept: what prints a name
        escapes them.

    Raises:
        AnnotationError: It is something else, longer than 256 characters, or no text that could be written.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise AnnotationError("the label is not a text", where=where, fix="give the class as a text")
    # A number of more than 4,300 digits would refuse to become a text.
    text = "" if isinstance(value, int) and value.bit_length() > 512 else nfc(str(value)).strip()
    if (isinstance(value, int) and not text) or len(text) > MAX_LABEL:
        raise AnnotationError(
            f"the label is longer than {MAX_LABEL} characters", where=where, fix="give a shorter class name"
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise AnnotationError(
            "the label holds half a character, which no file could store", where=where, fix="correct the class name"
        )
    return text or None
