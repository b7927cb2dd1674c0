"""`classify --resume`: what an unfinished results file holds already; its torn end and what failed are taken out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from mvrec_edge.cli.run_facts import RunFacts
from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.files import atomic_write, writing

__all__ = ["NOTHING_ASKED", "NOTHING_KEPT", "Asked", "Kept", "failure_key", "take_up"]


@dataclass(frozen=True)
class Asked:
    """What a run is asked to classify; of this, what failed in an earlier run is tried again.

    Attributes:
        inputs: The places that were given.
        images: The images that were found there.
    """

    inputs: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()

    @classmethod
    def of(cls, inputs: Iterable[Path], images: Iterable[Path]) -> Asked:
        """Makes it of paths, in the words of the records."""
        return cls(frozenset(map(str, inputs)), frozenset(map(str, images)))

    def covers(self, image: str | None, where: object) -> bool:
        """Whether this run says anew whether an item fails.

        Args:
            image: The image of its record.
            where: The place that the record names, such as `boxes.csv#3`.
        """
        if image in self.images:
            return True
        places = [place for place in (image, where) if isinstance(place, str)]
        return any(
            place == given or place.startswith(tuple(given + mark for mark in (os.sep, "#", ",", ":")))
            for place in places
            for given in (each.rstrip(os.sep) or os.sep for each in self.inputs)
        )


#: A run that asks for nothing that is in the file.
NOTHING_ASKED = Asked()


@dataclass(frozen=True)
class Kept:
    """What stays in a results file that a run goes on with.

    Attributes:
        images: The images that are finished, as the records name them.
        failures: What `failure_key` says of the failed items that this run does not ask for.
        tried_again: How many failed items were taken out, because this run tries them again.
        pictures: The images of the overlay pictures, by the pictures' paths.
        first: The first record of the file before anything was taken out, by which its CSV table is known again.
    """

    images: frozenset[str] = frozenset()
    failures: frozenset[tuple[object, ...]] = frozenset()
    tried_again: int = 0
    pictures: Mapping[str, str] = field(default_factory=dict)
    first: Mapping[str, Any] | None = None


#: A file that a run begins anew.
NOTHING_KEPT = Kept()


def failure_key(record: Mapping[str, Any]) -> tuple[object, ...] | None:
    """What tells the record of a failed item from others; None for the record of a region."""
    error = record.get("error")
    if not isinstance(error, dict):
        return None
    return tuple(str(value) for value in (record.get("image"), error.get("what"), error.get("where")))


def take_up(out: Path, run: RunFacts, asked: Asked = NOTHING_ASKED) -> Kept:
    """Cuts the last image off an unfinished results file, takes out what is tried again, and says what stays.

    The last image may lack lines even where its last line is whole, so it is always done again; what was cut
    off is kept in a file beside, with `.torn` at the end of its name. Of an image of which something failed, all
    lines are taken out: the run writes them anew.

    Args:
        out: The results file.
        run: The run that goes on with it.
        asked: What that run is asked to classify.

    Raises:
        OutputError: The file is not a results file, or another run's, or cannot be written; it stays as it is.
    """
    with writing(out), out.open("rb+") as stream:
        lines, facts, first = _lines(stream, out)
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
    again = [line for line in whole if line.failure is not None and asked.covers(line.image, line.where)]
    redone = {line.image for line in again} - {None}
    failed = {id(line) for line in again}
    stays = [id(line) not in failed and line.image not in redone for line in whole]
    if not all(stays):
        _keep_lines(out, stays)
    kept = [line for line, stay in zip(whole, stays, strict=True) if stay]
    return Kept(
        frozenset(line.image for line in kept if line.image is not None),
        frozenset(line.failure for line in kept if line.failure is not None),
        len(again),
        {line.picture: line.image for line in kept if line.picture is not None and line.image is not None},
        first,
    )


def _keep_lines(out: Path, stays: Iterable[bool]) -> None:
    """Writes a file anew with some of its lines, whole or not at all."""
    # A link stays one.
    target = out.resolve()
    with writing(out), target.open("rb") as stream, atomic_write(target) as anew:
        for line, stay in zip(stream, stays, strict=True):
            if stay:
                anew.write(line)


@dataclass(frozen=True)
class _Line:
    """What is looked at of one record."""

    size: int
    image: str | None
    failure: tuple[object, ...] | None
    where: object
    picture: str | None


def _lines(stream: BinaryIO, out: Path) -> tuple[list[_Line], object, Mapping[str, Any] | None]:
    """All records of a file, of which the last line may be torn; what the last one says of its run; the first one."""
    lines: list[_Line] = []
    facts: object = None
    first: Mapping[str, Any] | None = None
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
        first = first or record
        picture, error = record.get("picture"), record.get("error")
        lines.append(
            _Line(
                len(line),
                record["image"],
                failure_key(record),
                error.get("where") if isinstance(error, dict) else None,
                picture if isinstance(picture, str) else None,
            )
        )
        # The last one counts: before it, the cache may have been loaded again on purpose.
        facts = record.get("run")
    return lines, facts, first


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
