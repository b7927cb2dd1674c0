"""A file of `classify --out` read back, line by line."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.files.json_documents import parse_json
from mvrec_edge.runtime.images.image_files import is_regular_file, why_no_file

__all__ = ["LONGEST_LINE", "conversion", "is_blank", "last_run", "other_encoding", "parsed_line", "read_results"]

#: Bytes of a line. A record of a hundred classes has 10 KB; a line that is longer is none.
LONGEST_LINE = 1 << 20


def read_results(path: Path) -> Iterator[tuple[str, Any]]:
    """The lines of a results file with their places, such as `results.jsonl, line 7`.

    Yields:
        The place and the parsed line, or the error that says why it is none.

    Raises:
        InputError: The file cannot be read, or is not UTF-8.
    """
    if not is_regular_file(path):
        raise InputError(why_no_file(path), where=path, fix="give the file that 'classify --out' wrote")
    try:
        with path.open("rb") as stream:
            number = 0
            while line := stream.readline(LONGEST_LINE):
                number += 1
                if number == 1 and (encoding := other_encoding(line)) is not None:
                    raise InputError(f"is {encoding}, and UTF-8 is wanted", where=path, fix=conversion(encoding))
                where = f"{path}, line {number}"
                if not is_blank(line):
                    yield where, _record(line, where)
                if not line.endswith(b"\n"):
                    # Torn at the end, or far too long: what follows is no line of its own.
                    return
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=path, fix="check its rights") from error


def _record(line: bytes, where: str) -> Any:
    try:
        parsed = parsed_line(line)
    except ValueError:
        return AnnotationError("is no line of JSON", where=where, fix="give a file of 'classify --out'")
    if not isinstance(parsed, dict):
        return AnnotationError("is no record", where=where, fix="give a file of 'classify --out'")
    return parsed


def parsed_line(line: bytes) -> Any:
    """Parses a line; before the first one an editor may have put a mark.

    Raises:
        ValueError: As for `parse_json`.
    """
    return parse_json(line.removeprefix(codecs.BOM_UTF8))


def is_blank(line: bytes) -> bool:
    """Whether nothing stands in a line, as an editor may have left it."""
    return not line.removeprefix(codecs.BOM_UTF8).strip()


def other_encoding(line: bytes) -> str | None:
    """UTF-16 or UTF-32 where a file begins as text does in it, as Windows PowerShell's `>` writes it.

    Args:
        line: The beginning of the file, up to its first byte of a line end.
    """
    # Zeros at the end are no letters.
    line = line.rstrip(b"\0\n")
    if line.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"{\0\0\0", b"\0\0\0{")):
        return "UTF-32"
    return "UTF-16" if line.startswith((b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{")) else None


def conversion(encoding: str) -> str:
    """How a file of another encoding becomes one that is read."""
    return f"convert it to UTF-8, such as by iconv -f {encoding} -t UTF-8"


def last_run(path: Path) -> dict[str, Any]:
    """What the last record that names its run says of it; empty where none does, as in files of older versions.

    Raises:
        InputError: The file cannot be read.
    """
    runs = (line.get("run") for _, line in read_results(path) if isinstance(line, dict))
    last: dict[str, Any] = {}
    for run in runs:
        last = run if isinstance(run, dict) else last
    return last
