"""Where predictions go: JSON Lines, a CSV table, a table on stdout, pictures in a folder; and the closing line."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvrec_edge.cli.console import escaped, json_text, say, say_problems, say_warnings, show_table, speaks_utf8
from mvrec_edge.cli.results_file import read_results
from mvrec_edge.cli.resuming import (
    NOTHING_ASKED,
    NOTHING_KEPT,
    Asked,
    FailureKey,
    Kept,
    Unfinished,
    failure_key,
    image_of,
)
from mvrec_edge.cli.run_facts import RunFacts
from mvrec_edge.cli.tally import Tally, class_title
from mvrec_edge.runtime import ClassifiedImage, Prediction
from mvrec_edge.runtime.errors import MvrecEdgeError, OutputError, UsageError
from mvrec_edge.runtime.files.growing_file import GrowingFile
from mvrec_edge.runtime.prediction import UNKNOWN
from mvrec_edge.runtime.wording import counted

if TYPE_CHECKING:
    from mvrec_edge.cli.csv_file import CsvFile
    from mvrec_edge.cli.pictures import PictureFolder
    from mvrec_edge.runtime import SupportCache
    from mvrec_edge.runtime.regions.region_names import RegionName

__all__ = ["RecordSink", "ResultPlaces", "open_sink", "short_names"]

_STDOUT = Path("-")
_MOST_STRANGE = 5


class _Lines:
    """JSON Lines; all lines of an item go out in one call, so an interruption leaves whole items but for the last."""

    def __init__(self, put: Callable[[bytes], object], *, narrow: bool = False) -> None:
        self._put = put
        self._narrow = narrow

    def add(self, records: Sequence[Mapping[str, Any]]) -> None:
        self._put("".join(json_text(record, narrow=self._narrow) + "\n" for record in records).encode())


class _Labels:
    """Counts how regions that were labelled by their annotations were classified."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._strange: Counter[str] = Counter()
        self._regions = 0

    def add(self, prediction: Prediction) -> None:
        self._regions += 1
        label = prediction.region.label
        if label is None:
            return
        # A class that the chosen part lacks may be one of the part that it should have been.
        if label not in prediction.probabilities and prediction.part_given is not False:
            self._strange[label] += 1
        elif prediction.unknown:
            self._counts[UNKNOWN] += 1
        else:
            self._counts["agree" if prediction.label == label else "differ"] += 1

    def in_words(self) -> str:
        """Such as `; labels are known for 31 regions: 27 agree, 4 differ`; empty where nothing is labelled."""
        total = self._counts.total()
        if not total:
            return self._strange_alone()
        words = f"{self._counts['agree']} agree, {self._counts['differ']} differ"
        if unknown := self._counts[UNKNOWN]:
            words += f", {unknown} {UNKNOWN}"
        if strange := self._strange.total():
            words += f" (and {counted(strange, 'region')} with a label that is no class of the cache)"
        return f"; labels are known for {counted(total, 'region')}: {words}"

    def _strange_alone(self) -> str:
        """Such as `; labels known for 0 of 15 regions: Fray, Break are no classes of the cache`."""
        names = [name for name, _ in self._strange.most_common()]
        if not names:
            return ""
        shown = names[:_MOST_STRANGE]
        if rest := len(names) - len(shown):
            shown.append(counted(rest, "other label"))
        are = "are no classes" if len(names) > 1 else "is no class"
        return f"; labels known for 0 of {counted(self._regions, 'region')}: {', '.join(shown)} {are} of the cache"


class RecordSink:
    """Takes results image by image and writes them where they were asked for.

    Args:
        lines: Takes JSON Lines; None where none are written.
        table: Takes the rows of a CSV table; None where none is written.
        keep_rows: Whether `show_table` will be asked for the table on stdout.
        pictures: The folder of overlay pictures; None where none are drawn.
        run: The facts that each record names; `begin` completes them.
        out: The file that the lines go to, for messages.
        kept: What an earlier run has written already.

    Attributes:
        without_defect: How many images of this run show no defect, and so gave no record.
        damaged: How many of them are damaged, and were used all the same.
        failures: Items that failed so far, with those of an earlier run that this one does not try again.
    """

    def __init__(
        self,
        lines: _Lines | None,
        table: CsvFile | None = None,
        *,
        keep_rows: bool,
        pictures: PictureFolder | None,
        run: RunFacts,
        out: Path | None = None,
        kept: Kept = NOTHING_KEPT,
    ) -> None:
        self._outputs = [each for each in (lines, table) if each is not None]
        self._keep_rows = keep_rows
        self._rows: list[tuple[Path, Prediction]] = []
        self._pictures = pictures
        self._run = run
        self._out = out
        self._kept = kept
        # Of the cache in use; a region says which one it was compared with.
        self._digest = run.cache_digest
        self._milliseconds = {"crop": 0.0, "encode": 0.0, "classify": 0.0}
        self._tally = Tally()
        self._whole = kept.tally.copy()
        self._labels = _Labels()
        self.without_defect = 0
        self.damaged = 0
        self.failures = sum(kept.failures.values())

    def begin(self, run: RunFacts) -> None:
        """Takes the facts of the run as they are when an engine is open."""
        self._run = run

    @property
    def holds_records(self) -> bool:
        """Whether there are records of an image, of this run or an earlier one."""
        return bool(self._whole.images)

    def is_done(self, key: str) -> bool:
        """Whether an earlier run has finished the item of this key already, so that nothing of it failed."""
        return key in self._kept.items

    def kept_lines(self) -> Iterable[tuple[str, Any]]:
        """What an earlier run has written already, as `read_results` gives it; to be read before anything is added."""
        return () if self._out is None or self._kept is NOTHING_KEPT else read_results(self._out)

    def write(self, result: ClassifiedImage, key: str, names: Sequence[RegionName | None]) -> None:
        """Writes all that came of one item.

        Args:
            result: What came of it.
            key: The item's key.
            names: Of each prediction's region, the name by which it can be opened again.
        """
        self._tally.images.add(str(result.path))
        self.failures += len(result.problems)
        self.without_defect += not result.predictions and not result.problems
        self.damaged += result.damage is not None
        picture = None
        if self._pictures is not None and result.image is not None and result.predictions:
            picture = str(self._pictures.save(result.path, key, result.image, result.predictions))
        item = {"key": key, "records": len(result.predictions) + len(result.problems)}
        records = [
            self._record(result, prediction, name, picture, item)
            for prediction, name in zip(result.predictions, names, strict=True)
        ]
        records += [self._failure(problem, str(result.path), item) for problem in result.problems]
        self._put(records)
        say_problems(result.problems)
        say_warnings(result.warnings)
        for prediction in result.predictions:
            self._count(result.path, prediction)
            if self._keep_rows:
                self._rows.append((result.path, prediction))

    def write_problems(self, problems: Sequence[MvrecEdgeError]) -> list[MvrecEdgeError]:
        """Writes what was wrong with a source beside its images, such as one unreadable label file.

        Returns:
            Those of which an earlier run has not left a record.
        """
        say_problems(problems)
        recorded: Counter[FailureKey | None] = Counter(self._kept.failures)
        new, records = [], []
        for problem in problems:
            record = self._failure(problem, image_of(problem), None)
            key = failure_key(record)
            recorded[key] -= 1
            if recorded[key] < 0:
                new.append(problem)
                records.append(record)
        self.failures += len(new)
        self._put(records)
        return new

    def show_table(self) -> None:
        """Prints the table on stdout, where one was asked for."""
        if not self._keep_rows or not self._rows:
            return
        from rich.table import Table
        from rich.text import Text

        table = Table("image", "box", "class", "probability", "nearest support")
        names = short_names([path for path, _ in self._rows])
        for path, prediction in self._rows:
            nearest = prediction.nearest[0] if prediction.nearest else None
            cells = (
                names[path],
                " ".join(str(value) for value in prediction.region.box),
                _title(prediction),
                f"{prediction.probability:.3f}"
                + (f" {prediction.nearest_class}" if prediction.unknown else "")
                + (" (look)" if prediction.review else ""),
                "" if nearest is None else f"{nearest.source} ({nearest.similarity:.3f})",
            )
            table.add_row(*(Text(escaped(cell)) for cell in cells))
        show_table(table)

    def say_summary(self) -> None:
        """Says what this run did, and where it went on with a file, what that holds in all."""
        say(self._summary())
        if self._out is not None and self._kept is not NOTHING_KEPT:
            say(self._in_all())

    def _summary(self) -> str:
        """One line about what this run did: regions, images, failures, classes, time."""
        text = self._tally.places()
        if self._kept.images:
            text += f" ({counted(len(self._kept.images), 'image')} of an earlier run kept)"
        if self.without_defect:
            text += f", {counted(self.without_defect, 'image')} without a defect"
        if self.damaged:
            text += f", {counted(self.damaged, 'image')} damaged and used all the same"
        if self.failures:
            text += f", {counted(self.failures, 'item')} failed"
        regions = self._tally.regions
        if regions:
            text += f"; {self._tally.ranked()}{self._labels.in_words()}{self._tally.for_review()}"
        total = sum(self._milliseconds.values())
        if regions and total:
            shares = ", ".join(f"{stage} {100 * part / total:.1f}%" for stage, part in self._milliseconds.items())
            text += f"; {total / regions:.1f} ms a region ({shares})"
        return text

    def _in_all(self) -> str:
        """One line about all that the file holds, with what an earlier run wrote."""
        text = f"{self._out} in all: {self._whole.places()}"
        if self.failures:
            text += f", {counted(self.failures, 'item')} failed"
        return f"{text}; {self._whole.ranked()}{self._whole.for_review()}" if self._whole.regions else text

    def say_kept(self, ended: BaseException) -> None:
        """Says what a run leaves that ended early, and how to go on.

        Args:
            ended: What ended it: an interruption, or an error that is said after this.
        """
        interrupted = isinstance(ended, KeyboardInterrupt | SystemExit)
        if self._out is None:
            if interrupted:
                done = counted(len(self._tally.images), "image")
                say(f"interrupted after {done}; with --out FILE, a run can go on with --resume")
            return
        kept = f"{counted(len(self._whole.images), 'image')} kept in {self._out}"
        if interrupted or isinstance(ended, BrokenPipeError):
            say(f"interrupted: {kept}; the same command with --resume goes on")
        else:
            say(f"ended by an error: {kept}; when the cause is mended, the same command with --resume goes on")

    def _count(self, path: Path, prediction: Prediction) -> None:
        self._labels.add(prediction)
        for tally in (self._tally, self._whole):
            tally.add_region(str(path), _title(prediction), unknown=bool(prediction.unknown), review=prediction.review)
        for stage in self._milliseconds:
            self._milliseconds[stage] += getattr(prediction.milliseconds, stage)

    def _record(
        self,
        result: ClassifiedImage,
        prediction: Prediction,
        name: RegionName | None,
        picture: str | None,
        item: Mapping[str, object],
    ) -> dict[str, Any]:
        self._digest = prediction.cache or self._digest
        return {
            "image": str(result.path),
            **prediction.to_record(),
            "region": None if name is None else str(name),
            "mask": None if name is None or name.mask is None else str(name.mask),
            "picture": picture,
            "damaged": result.damage_at(prediction.region),
            **self._facts(item),
        }

    def _failure(self, error: MvrecEdgeError, image: str | None, item: Mapping[str, object] | None) -> dict[str, Any]:
        what = {"what": error.what, "where": error.where, "fix": error.fix}
        return {"image": image, "error": what, **self._facts(item)}

    def _facts(self, item: Mapping[str, object] | None) -> dict[str, Any]:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        return {"item": item, "time": now, "run": self._run.to_record(self._digest)}

    def _put(self, records: Sequence[Mapping[str, Any]]) -> None:
        if records:
            for output in self._outputs:
                output.add(records)
            images = {record["image"] for record in records if record["image"] is not None}
            for tally in (self._tally, self._whole):
                tally.images |= images


def _title(prediction: Prediction) -> str:
    """The class as lines and tables name it: `PART/CLASS` where there are parts."""
    return class_title(prediction.part, prediction.label, unknown=bool(prediction.unknown))


def short_names(paths: Sequence[Path]) -> dict[Path, str]:
    """The ends of paths, all of as few parts as tell every path from the others: `crack/0001.jpg`, `dent/0001.jpg`.

    Args:
        paths: Of images; one may be there several times.
    """
    different = set(paths)
    for count in range(1, max((len(path.parts) for path in different), default=1)):
        if len({path.parts[-count:] for path in different}) == len(different):
            return {path: str(Path(*path.parts[-count:])) for path in different}
    return {path: str(path) for path in different}


@dataclass(frozen=True)
class ResultPlaces:
    """Where results go.

    Attributes:
        out: JSON Lines file, `-` for stdout; None for stdout, too, where no table is shown there.
        csv: CSV file; None for none.
        overlay: Folder for pictures; None for none.
        table: Whether stdout shows a table; by default where it is a terminal and nothing else goes there.
        resume: Whether to go on with an unfinished `out`.
        overwrite: Whether to replace `out` and `csv`.
        parts: Whether the records name parts, for the columns of `csv`.

    Raises:
        UsageError: They contradict one another.
    """

    out: Path | None = None
    csv: Path | None = None
    overlay: Path | None = None
    table: bool | None = None
    resume: bool = False
    overwrite: bool = False
    parts: bool = False

    def __post_init__(self) -> None:
        if self.csv == _STDOUT:
            raise UsageError("--csv - names no file", fix="name a file, such as --csv results.csv")
        if self.out == _STDOUT and self.table:
            raise UsageError("--out - and --table both want stdout", fix="leave one of them out, or name a file")
        if self.resume and (self.out is None or self.out == _STDOUT):
            raise UsageError("--resume needs the file of the run that it goes on with", fix="name it with --out")

    def of(self, cache: SupportCache) -> ResultPlaces:
        """The same places for records of a run with a support cache."""
        return replace(self, parts=bool(cache.parts))

    @property
    def file(self) -> Path | None:
        """The JSON Lines file, or None where they go to stdout or nowhere."""
        return None if self.out == _STDOUT else self.out


@contextlib.contextmanager
def open_sink(places: ResultPlaces, run: RunFacts, asked: Asked = NOTHING_ASKED) -> Iterator[RecordSink]:
    """Opens what `classify` writes to; the table on stdout is printed when the block ends.

    Args:
        places: Where the results go; folders that are missing are made.
        run: The facts that each record names, as far as they are known.
        asked: What is classified; what of it failed in the run that this one goes on with is tried again.

    Raises:
        OutputError: Something exists already, or is of another run, or cannot be written.
    """
    sink = None
    try:
        with _opened_sink(places, run, asked) as sink:
            yield sink
    except (Exception, KeyboardInterrupt, SystemExit) as ended:
        # Where nothing is kept, the error is all that there is to say.
        if sink is not None and sink.holds_records:
            # The error itself is what counts, whether this can be said or not.
            with contextlib.suppress(OSError, ValueError):
                sink.say_kept(ended)
        raise
    sink.show_table()


@contextlib.contextmanager
def _opened_sink(places: ResultPlaces, run: RunFacts, asked: Asked) -> Iterator[RecordSink]:
    with contextlib.ExitStack() as stack:
        stream, unfinished, table = _opened_out(stack, places), None, None
        if stream is not None and stream.existed and places.resume:
            unfinished = Unfinished(stream.path, run, asked)
        if places.csv is not None:
            table = _opened_table(stack, places, places.csv, unfinished)
        # The table is known again by a record of the file, so it is made anew before one is taken out.
        kept = NOTHING_KEPT
        if stream is not None and unfinished is not None:
            unfinished.take_up(stream)
            kept = unfinished.kept
            _say_what_is_done_again(kept)
        pictures = None
        if places.overlay is not None:
            from mvrec_edge.cli.pictures import PictureFolder

            pictures = PictureFolder(places.overlay, taken=kept.pictures)
        lines = _lines_on_stdout(places) if stream is None else _Lines(stream.add)
        keep_rows = bool(places.table) if places.out is not None else lines is None
        # What is no file keeps nothing.
        out = places.file if stream is not None and stream.lasting else None
        yield RecordSink(lines, table, keep_rows=keep_rows, pictures=pictures, run=run, out=out, kept=kept)


def _opened_out(stack: contextlib.ExitStack, places: ResultPlaces) -> GrowingFile | None:
    out = places.file
    if out is None:
        return None
    stream = GrowingFile(out)
    _close_with(stack, stream)
    if stream.existed and not stream.lasting and places.resume:
        raise OutputError("is no file, so no run can go on with it", where=out, fix="leave --resume out")
    if stream.existed and stream.lasting and places.resume:
        # What an earlier process wrote may be in the memory alone, and its table may be on the disk already.
        stream.sync()
    elif stream.existed and not places.overwrite:
        raise OutputError("exists already", where=out, fix="give --resume to go on with it, or --overwrite")
    else:
        stream.begin()
    return stream


def _opened_table(
    stack: contextlib.ExitStack, places: ResultPlaces, path: Path, unfinished: Unfinished | None
) -> CsvFile:
    from mvrec_edge.cli.csv_file import CsvFile

    table = CsvFile(path, parts=places.parts)
    _close_with(stack, table)
    if unfinished is None:
        table.begin(overwrite=places.overwrite)
    else:
        table.go_on(unfinished.records(), unfinished.records(all_of_them=True), overwrite=places.overwrite)
    return table


def _close_with(stack: contextlib.ExitStack, stream: GrowingFile | CsvFile) -> None:
    """Closes a stream at the end, or gives it up after a failure."""

    def close(kind: object, _error: object, _trace: object) -> None:
        if kind is None:
            stream.close()
        else:
            stream.abandon()

    stack.push(close)


def _say_what_is_done_again(kept: Kept) -> None:
    if kept.tried_again:
        say(f"tried again: {counted(kept.tried_again, 'item')} that failed")
    if kept.changed:
        verbs = ("was", "is") if kept.changed == 1 else ("were", "are")
        which = f"that {verbs[0]} changed, or {verbs[1]} marked otherwise, since"
        say(f"done again: {counted(kept.changed, 'image')} {which}")


def _lines_on_stdout(places: ResultPlaces) -> _Lines | None:
    """JSON Lines on stdout, or None where a table is shown there."""
    shown = sys.stdout.isatty() if places.table is None else places.table
    if shown and places.out is None:
        return None

    def put(text: bytes) -> None:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()

    return _Lines(put, narrow=not speaks_utf8(sys.stdout))
