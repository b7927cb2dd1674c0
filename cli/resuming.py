"""`classify --resume`: what an unfinished results file holds already, and its torn end set aside."""

from __future__ import annotations

import json
from pathlib import Path

from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.files import writing

__all__ = ["set_torn_end_aside"]

_TORN = object()


def set_torn_end_aside(out: Path) -> frozenset[str]:
    """Cuts the last image off an unfinished results file and names the images before it.

    The last image may lack lines even where its last line is whole, so it is always done again; what was cut
    off is kept in a file beside, with `.torn` at the end of its name.

    Raises:
        OutputError: The file is not a results file, or cannot be written.
    """
    first_line_of: dict[str, int] = {}
    position = 0
    last: str | None = None
    with writing(out), out.open("rb+") as stream:
        lines = stream.readlines()
        for place, line in enumerate(lines):
            image = _image_of(line)
            if image is _TORN:
                if place + 1 < len(lines) or place == 0:
                    raise OutputError(
                        f"line {place + 1} is not a record of a classification, so nothing is appended",
                        where=out,
                        fix="give another --out",
                    )
                break
            if isinstance(image, str):
                last = image
                first_line_of.setdefault(image, position)
            position += len(line)
        cut = position if last is None else first_line_of.pop(last)
        stream.seek(cut)
        if torn := stream.read():
            with out.with_name(out.name + ".torn").open("ab") as aside:
                aside.write(torn)
        stream.truncate(cut)
    return frozenset(first_line_of)


def _image_of(line: bytes) -> object:
    """The image a line of a results file is about, None where it is about none, `_TORN` where it is no record."""
    try:
        record = json.loads(line)
    except ValueError:
        return _TORN
    if not line.endswith(b"\n") or not isinstance(record, dict) or "image" not in record:
        return _TORN
    return record["image"]
