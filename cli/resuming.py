"""`classify --resume`: what an unfinished results file holds already, and what of it is taken out and done again."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from mvrec_edge.cli.results_file import LONGEST_LINE, conversion, is_blank, other_encoding, parsed_line
from mvrec_edge.cli.run_facts import RunFacts
from mvrec_edge.cli.run_items import RunItem, place_of, without_number
from mvrec_edge.cli.tally import Tally, class_title
from mvrec_edge.runtime.errors import MvrecEdgeError, OutputError
from mvrec_edge.runtime.files import writing
from mvrec_edge.runtime.files.growing_file import GrowingFile
from mvrec_edge.runtime.images import IMAGE_SUFFIXES

__all__ = ["NOTHING_ASKED", "NOTHING_KEPT", "Asked", "FailureKey", "Kept", "Unfinished", "failure_key", "image_of"]

#: How every record begins.
_BEGINNING = b'{"image": '
_ANEW = "give another --out, or --overwrite to classify everything again"

#: What tells a failed item from others: image, what, where.
FailureKey = tuple[str, str, str]


def failure_key(record: Mapping[str, Any]) -> FailureKey | None:
    """What tells the record of a failed item from others; None for the record of a region."""
    error = record.get("error")
    if not isinstance(error, dict):
        return None
    return str(record.get("image")), str(error.get("what")), str(error.get("where"))


def image_of(problem: MvrecEdgeError) -> str | None:
    """The image that a problem of a source is about, where it is about one and not about a label file."""
    where = problem.where
    return where if where is not None and Path(where).suffix.lower() in IMAGE_SUFFIXES else None


@dataclass(frozen=True)
class Asked:
    """What a run is asked to classify; of this, what an earlier run did not finish is done again.

    Attributes:
        inputs: The places that were given.
        images: The images that were found there.
        items: The keys of the items.
        problems: What is wrong with the inputs, apart from the items; each may be there several times.
    """

    inputs: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()
    problems: tuple[FailureKey, ...] = ()

    @classmethod
    def of(cls, inputs: Iterable[Path], items: Iterable[RunItem], problems: Iterable[MvrecEdgeError]) -> Asked:
        """Makes it of what was opened, in the words of the records."""
        items = list(items)
        return cls(
            frozenset(map(str, inputs)),
            frozenset(str(item.image.path) for item in items),
            frozenset(item.key for item in items),
            tuple((str(image_of(problem)), problem.what, str(problem.where)) for problem in problems),
        )

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
        items: The keys of the items that are finished.
        failures: How often each failure stays.
        tried_again: How many failed items this run tries again.
        changed: How many images are done again, since they were changed or are marked otherwise.
        pictures: Whose the overlay pictures are, by their paths: the key of the item.
        tally: The counts of all that stays.
    """

    items: frozenset[str] = frozenset()
    failures: Mapping[FailureKey, int] = field(default_factory=dict)
    tried_again: int = 0
    changed: int = 0
    pictures: Mapping[str, str] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    @property
    def images(self) -> Set[str]:
        """The images that there are records of."""
        return self.tally.images


#: A file that a run begins anew.
NOTHING_KEPT = Kept()


@dataclass(frozen=True)
class _Line:
    """What is looked at of one record, or of what a power cut left in the place of one."""

    image: str | None = None
    key: str | None = None
    of: int = 1
    failure: FailureKey | None = None
    where: object = None
    picture: str | None = None
    label: str | None = None
    unknown: bool = False
    review: bool | None = None
    torn: bool = False
    blank: bool = False


@dataclass(frozen=True)
class _Verdict:
    """What becomes of a line: it stays, or is taken out, and then may be kept in the file of what was torn."""

    stays: bool
    aside: bool = False


_STAYS, _TAKEN_OUT, _SET_ASIDE = _Verdict(True), _Verdict(False), _Verdict(False, aside=True)


class Unfinished:
    """A results file that an earlier run left, read and judged; nothing is changed before `take_up`.

    All records of an item are written at once, and each says how many there are. So an item is finished where all of
    them are there. Of what this run asks for, all records of an item are taken out where some are missing, where
    something of it failed, and where the image was changed or is marked otherwise by now.

    Args:
        out: The results file.
        run: The run that goes on with it.
        asked: What that run is asked to classify.

    Attributes:
        kept: What stays.

    Raises:
        OutputError: The file is not a results file, or another run's, or cannot be read; it stays as it is.
    """

    def __init__(self, out: Path, run: RunFacts, asked: Asked = NOTHING_ASKED) -> None:
        self._out = out
        lines, facts = _read(out)
        if facts is not _NO_RECORD:
            _check_run(facts, run, out)
        self._verdicts, self.kept = _judge(lines, asked)

    def records(self, *, all_of_them: bool = False) -> Iterator[Mapping[str, Any]]:
        """The records that stay, or with those that are taken out, as they were before."""
        for line, verdict in zip(_raw_lines(self._out), self._verdicts, strict=True):
            if verdict.stays or all_of_them:
                record = _record(line)
                if record is not None:
                    yield record

    def take_up(self, stream: GrowingFile) -> None:
        """Takes out what does not stay; what was torn is kept in a file beside, with `.torn` at its name's end.

        Args:
            stream: The results file, open.

        Raises:
            OutputError: It cannot be written, and stays as it was.
        """
        if all(verdict.stays for verdict in self._verdicts):
            return
        torn = b"".join(self._chosen(lambda verdict: verdict.aside))
        if torn:
            aside = self._out.with_name(self._out.name + ".torn")
            with writing(aside), aside.open("ab") as beside:
                beside.write(torn)
        # In most cases the end alone, and the file may be large.
        staying = next(place for place, verdict in enumerate(self._verdicts) if not verdict.stays)
        if any(verdict.stays for verdict in self._verdicts[staying:]):
            stream.replace(self._chosen(lambda verdict: verdict.stays))
        else:
            raw = _raw_lines(self._out)
            stream.cut(sum(len(next(raw)) for _ in range(staying)))

    def _chosen(self, wanted: Any) -> Iterator[bytes]:
        for line, verdict in zip(_raw_lines(self._out), self._verdicts, strict=True):
            if wanted(verdict):
                yield line


def _judge(lines: list[_Line], asked: Asked) -> tuple[list[_Verdict], Kept]:
    verdicts: list[_Verdict] = []
    staying: list[_Line] = []
    still_wrong = Counter(asked.problems)
    places, contents = {place_of(key) for key in asked.items}, {without_number(key) for key in asked.items}
    tried_again, changed = 0, set()
    for key, together in groupby((line for line in lines if not line.blank), key=lambda line: line.key):
        group = list(together)
        if key is None:
            for line in group:
                again = line.failure is not None and asked.covers(line.image, line.where)
                tried_again += again
                stays = not line.torn
                if again and line.failure is not None:
                    # What is wrong with an input is known already: its record stays where it is as long as that is so.
                    stays = still_wrong[line.failure] > 0
                    still_wrong[line.failure] -= 1
                verdicts.append(_SET_ASIDE if line.torn else _STAYS if stays else _TAKEN_OUT)
                staying += [line] if stays else []
            continue
        ours = place_of(key) in places
        failed = sum(line.failure is not None for line in group)
        other = ours and without_number(key) not in contents
        if failed and (ours or any(asked.covers(line.image, line.where) for line in group)):
            verdict = _TAKEN_OUT
            tried_again += failed
        elif ours and (other or len(group) < group[0].of):
            verdict = _TAKEN_OUT if other else _SET_ASIDE
            changed |= {line.image for line in group if other}
        else:
            verdict = _STAYS
            staying += group
        verdicts += [verdict] * len(group)
    each = iter(verdicts)
    kept = _kept(staying, tried_again, len(changed))
    return [_TAKEN_OUT if line.blank else next(each) for line in lines], kept


def _kept(staying: list[_Line], tried_again: int, changed: int) -> Kept:
    counts, tally = Counter(line.key for line in staying), Tally()
    for line in staying:
        if line.image is None:
            continue
        tally.images.add(line.image)
        if line.failure is None and line.label is not None:
            tally.add_region(line.image, line.label, unknown=line.unknown, review=line.review)
    return Kept(
        frozenset(line.key for line in staying if line.key is not None and counts[line.key] >= line.of),
        Counter(line.failure for line in staying if line.failure is not None),
        tried_again,
        changed,
        {line.picture: line.key for line in staying if line.picture is not None and line.key is not None},
        tally,
    )


#: Stands for the facts of a run where there is no record.
_NO_RECORD = object()


def _read(out: Path) -> tuple[list[_Line], object]:
    """What is looked at of each line, and what the last record says of its run, or `_NO_RECORD`."""
    lines: list[_Line] = []
    facts: object = _NO_RECORD
    for place, raw in enumerate(_raw_lines(out)):
        record = _record(raw)
        if record is not None:
            # The last one counts: before it, the cache may have been loaded again on purpose.
            facts = record.get("run") if isinstance(record.get("item", ""), dict | None) else None
            lines.append(_line(record))
        elif is_blank(raw):
            # As an editor leaves it; it may stand between two records of an item, and is nothing of either.
            lines.append(_Line(blank=True))
        elif _is_torn(raw, first=place == 0):
            lines.append(_Line(torn=True))
        else:
            raise _no_record(raw, place, out)
    return lines, facts


def _raw_lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            while line := stream.readline(LONGEST_LINE):
                yield line
    except OSError as error:
        raise OutputError(f"cannot be read: {error.strerror or error}", where=path, fix="check its rights") from error


def _record(line: bytes) -> dict[str, Any] | None:
    """The record of one whole line, or None."""
    try:
        record = parsed_line(line)
    except ValueError:
        return None
    if not line.endswith(b"\n") or not isinstance(record, dict) or "image" not in record:
        return None
    item = record.get("item") or {"key": "", "records": 1}
    if not isinstance(item, dict) or not isinstance(item.get("key"), str) or type(item.get("records")) is not int:
        return None
    return record if record["image"] is None or isinstance(record["image"], str) else None


def _is_torn(line: bytes, *, first: bool) -> bool:
    """Whether a line is what an interruption left of a record."""
    # Of a file whose only line is torn, the beginning alone says whose it is.
    rest = line.rstrip(b"\0\n")
    ours = not first or line.startswith(_BEGINNING) or _BEGINNING.startswith(rest)
    # A power cut may leave zeros where the disk had not got the bytes yet, and nothing that we write holds one.
    if b"\0" in line and not (first and other_encoding(line)):
        return ours or (line.startswith(b"\0") and line.endswith(b"}\n"))
    return ours and not line.endswith(b"\n") and len(line) < LONGEST_LINE


def _line(record: Mapping[str, Any]) -> _Line:
    picture, error, item = record.get("picture"), record.get("error"), record.get("item") or {}
    label, unknown = record.get("label"), record.get("unknown") is True
    return _Line(
        record["image"],
        item.get("key"),
        item.get("records", 1),
        failure_key(record),
        error.get("where") if isinstance(error, dict) else None,
        picture if isinstance(picture, str) else None,
        class_title(record.get("part"), label, unknown=unknown) if isinstance(label, str) else None,
        unknown,
        review if isinstance(review := record.get("review"), bool) else None,
    )


def _no_record(line: bytes, place: int, out: Path) -> OutputError:
    encoding = other_encoding(line)
    if place == 0 and encoding is not None:
        return OutputError(
            f"is {encoding}, so nothing is appended to it",
            where=out,
            fix=f"{conversion(encoding)}, or {_ANEW}",
        )
    return OutputError(
        f"line {place + 1} is not a record of a classification, so nothing is appended",
        where=out,
        fix=_ANEW,
    )


def _check_run(recorded: object, run: RunFacts, out: Path) -> None:
    if not isinstance(recorded, dict):
        raise OutputError(
            "its records do not say which support cache they were made with, or which item of the inputs they are of, "
            "so nothing is appended",
            where=out,
            fix=_ANEW,
        )
    if different := run.differences(recorded):
        raise OutputError(
            f"its records were made otherwise, so nothing is appended: {'; '.join(different)}",
            where=out,
            fix=f"{_way_back(recorded, run)}, or {_ANEW}",
        )


def _way_back(recorded: Mapping[str, Any], run: RunFacts) -> str:
    digest = recorded.get("cache_digest")
    if not isinstance(digest, str) or digest == run.cache_digest:
        return "go on as they were made"
    cache = shlex.quote(run.cache)
    return (
        f"'support history {cache}' shows which version of the support cache has the digest {digest[:16]}, and "
        f"'support rollback {cache} --to N' goes back to it"
    )
