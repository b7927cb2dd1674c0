"""`classify --resume`: what an unfinished results file holds already, and its torn end set aside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from mvrec_edge.cli.run_facts import RunFacts
from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.files import writing

__all__ = ["NOTHING_KEPT", "Kept", "failure_key", "set_torn_end_aside"]


@dataclass(frozen=True)
class Kept:
    """What stays in a results file that a run goes on with.

    Attributes:
        images: The images that are finished, as the records name them.
        classified: Those of them that have a record of a region.
        failures: What `failure_key` says of the failed items.
        pictures: The images of the overlay pictures, by the pictures' paths.
    """

    images: frozenset[str] = frozenset()
    classified: frozenset[str] = frozenset()
    failures: frozenset[tuple[object, ...]] = frozenset()
    pictures: Mapping[str, str] = field(default_factory=dict)


#: A file that a run begins anew.
NOTHING_KEPT = Kept()


def failure_key(record: Mapping[str, Any]) -> tuple[object, ...] | None:
    """What tells the record of a failed item from others; None for the record of a region."""
    error = record.get("error")
    if not isinstance(error, dict):
        return None
    return tuple(str(value) for value in (record.get("image"), error.get("what"), error.get("where")))


def set_torn_end_aside(out: Path, run: RunFacts) -> Kept:
    """Cuts the last image off an unfinished results file and says what is before it.

    The last image may lack lines even where its last line is whole, so it is always done again; what was cut
    off is kept in a file beside, with `.torn` at the end of its name.

    Args:
        out: The results file.
        run: The run that goes on with it.

    Raises:
        OutputError: The file is not a results file, or another run's, or cannot be written; it stays as it is.
    """
    with writing(out), out.open("rb+") as stream:
        lines, facts = _lines(stream, out)
        if lines:
            _check_run(facts, run, out)
        images = [line.image for line in lines]
        last = next((image for image in reversed(images) if image is not None), None)
        whole = lines if last is None else lines[: images.index(last)]
        cut = sum(line.size for line in whole)
        stream.seek(cut)
        if torn := stream.read():
            with out.with_name(out.name + ".torn").open("ab") as aside:
                aside.write(torn)
        stream.truncate(cut)
    return Kept(
        frozenset(line.image for line in whole if line.image is not None),
        frozenset(line.image for line in whole if line.image is not None and line.failure is None),
        frozenset(line.failure for line in whole if line.failure is not None),
        {line.picture: line.image for line in whole if line.picture is not None and line.image is not None},
    )


@dataclass(frozen=True)
class _Line:
    """What is looked at of one record."""

    size: int
    image: str | None
    failure: tuple[object, ...] | None
    picture: str | None


def _lines(stream: BinaryIO, out: Path) -> tuple[list[_Line], object]:
    """All records of a file, of which the last line may be torn; and what the last record says of its run."""
    lines: list[_Line] = []
    facts: object = None
    torn = False
    for place, line in enumerate(stream):
        record = _record(line)
        if torn or (record is None and place == 0):
            raise OutputError(
                f"line {max(place, 1)} is not a record of a classification, so nothing is appended",
                where=out,
                fix="give another --out",
            )
        if record is None:
            torn = True
            continue
        picture = record.get("picture")
        lines.append(
            _Line(len(line), record["image"], failure_key(record), picture if isinstance(picture, str) else None)
        )
        # The last one counts: before it, the cache may have been loaded again on purpose.
        facts = record.get("run")
    return lines, facts


def _record(line: bytes) -> dict[str, Any] | None:
    """The record of one whole line, or None."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not line.endswith(b"\n") or not isinstance(record, dict) or "image" not in record:
        return None
    return record if record["image"] is None or isinstance(record["image"], str) else None


def _check_run(recorded: object, run: RunFacts, out: Path) -> None:
    if not isinstance(recorded, dict):
        raise OutputError(
            "its records do not say which support cache they were made with, so nothing is appended",
            where=out,
            fix="give another --out, or --overwrite to classify everything again",
        )
    if different := run.differences(recorded):
        raise OutputError(
            f"its records were made otherwise, so nothing is appended: {'; '.join(different)}",
            where=out,
            fix="go on as they were made, or give another --out, or --overwrite to classify everything again",
        )
