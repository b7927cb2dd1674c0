"""What this program wrote itself: never an annotation and never an image to classify, wherever it lies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["PICTURE_MARK", "is_record", "is_record_table", "mark_jpeg", "own_output"]

#: Stands in each picture that is drawn of results: a comment of a JPEG, a text of a PNG.
PICTURE_MARK = "mvrec-edge: a picture of results"

_PICTURES = (".jpg", ".jpeg", ".png")
_LINES = (".json", ".jsonl", ".ndjson", ".txt")
# The mark stands before the pixels; a record is one line, a document of ours is short.
_PICTURE_HEAD = 1024
_LONGEST_LINE = 1 << 20
_DOCUMENT = re.compile(rb'^  "schema": "mvrec-edge/([a-z-]*)', re.MULTILINE)
#: What the documents are, by the word in their schema.
_DOCUMENTS = {
    "bundle": "the manifest of a bundle",
    "plan": "the description of a TensorRT plan",
    "runtime-cache": "the description of kernels that were compiled for a plan",
    "speeds": "the times of engines",
    "support-cache": "the description of a support cache",
}
_EVALUATION = tuple(re.compile(rb'^  "%s": \[' % key, re.MULTILINE) for key in (b"class_names", b"results"))


def own_output(path: Path) -> str | None:
    """What of ours a file is, told by its content.

    Args:
        path: A regular file; only its beginning is read.

    Returns:
        In words, such as `"results of 'mvrec-edge classify'"`; None for any other file, and one that cannot be read.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in _PICTURES:
            with path.open("rb") as stream:
                return "a picture of results" if PICTURE_MARK.encode() in stream.read(_PICTURE_HEAD) else None
        if suffix in _LINES or suffix == ".csv":
            with path.open("rb") as stream:
                first = stream.readline(_LONGEST_LINE).removeprefix(b"\xef\xbb\xbf")
                # The files that we write ourselves begin so; the rest is read for them alone.
                more = stream.read(_LONGEST_LINE) if first == b"{\n" and suffix == ".json" else b""
            return _of_table(first) if suffix == ".csv" else _of_text(first, more)
    except (OSError, ValueError):
        # Whoever reads the file says what is wrong with it.
        return None
    return None


def is_record(entry: Any) -> bool:
    """Whether a parsed line is a record of `classify`: a prediction, a failure, or the head of a results file."""
    if not isinstance(entry, dict):
        return False
    schema, error = entry.get("schema"), entry.get("error")
    if isinstance(schema, str) and schema.startswith("mvrec-edge/"):
        return True
    if "image" not in entry:
        return False
    if isinstance(error, Mapping):
        return {"what", "where", "fix"} <= set(error)
    return isinstance(entry.get("probabilities"), Mapping) and ("nearest" in entry or "annotated" in entry)


def is_record_table(header: Sequence[str]) -> bool:
    """Whether a table's header is that of predictions."""
    return {"image", "probability", "nearest_class"} <= {name.strip().lower() for name in header}


def mark_jpeg(data: bytes) -> bytes:
    """Puts the mark into a JPEG file.

    Args:
        data: A whole JPEG file that begins as JFIF does.
    """
    text = PICTURE_MARK.encode()
    comment = b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text
    # Behind the first segment, which JFIF wants right at the beginning.
    place = 4 + int.from_bytes(data[4:6], "big") if data[2:4] == b"\xff\xe0" else 2
    return data[:place] + comment + data[place:]


def _of_table(first: bytes) -> str | None:
    header = first.decode("utf-8", "replace").strip().replace(";", ",").replace('"', "").split(",")
    return "results of 'mvrec-edge classify'" if is_record_table(header) else None


def _of_text(first: bytes, more: bytes) -> str | None:
    if (document := _DOCUMENT.search(more)) is not None:
        return _document(document[1].decode())
    # One after the other: one expression for both would look from each of the first.
    if (names := _EVALUATION[0].search(more)) is not None and _EVALUATION[1].search(more, names.end()):
        return "an evaluation"
    if not first.lstrip().startswith(b"{"):
        return None
    try:
        entry = json.loads(first)
    except (ValueError, RecursionError):
        return None
    if not is_record(entry):
        return None
    # A document of ours may have been written anew on one line.
    kind = str(entry.get("schema", "")).removeprefix("mvrec-edge/").partition("/")[0]
    return _document(kind) if kind in _DOCUMENTS else "results of 'mvrec-edge classify'"


def _document(kind: str) -> str:
    return _DOCUMENTS.get(kind, "a file of mvrec-edge")
