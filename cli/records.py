"""Where predictions go: a JSON Lines file or stdout, a table on a terminal, pictures in a folder."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mvrec_edge.cli.console import say_problems, say_warnings
from mvrec_edge.runtime import ClassifiedImage, Prediction
from mvrec_edge.runtime.errors import MvrecEdgeError, OutputError
from mvrec_edge.runtime.files import writing
from mvrec_edge.runtime.wording import counted

if TYPE_CHECKING:
    from mvrec_edge.cli.pictures import PictureFolder

__all__ = ["RecordSink", "open_sink", "short_names"]


class RecordSink:
    """Takes results image by image and writes them where they were asked for.

    Attributes:
        regions: Regions written so far.
        images: Images written so far.
        failures: Items that failed so far.
    """

    def __init__(
        self,
        lines: BinaryIO | None,
        *,
        keep_rows: bool,
        pictures: PictureFolder | None,
        done: frozenset[str] = frozenset(),
    ) -> None:
        self._lines = lines
        self._keep_rows = keep_rows
        self._rows: list[tuple[Path, Prediction]] = []
        self._pictures = pictures
        self._done = done
        self._milliseconds = {"crop": 0.0, "encode": 0.0, "classify": 0.0}
        self.regions = 0
        self.images = 0
        self.failures = 0

    def is_done(self, path: Path) -> bool:
        """Whether an earlier run has written this image already."""
        return str(path) in self._done

    def write(self, result: ClassifiedImage) -> None:
        """Writes all that came of one image."""
        self.images += 1
        self.regions += len(result.predictions)
        self.failures += len(result.problems)
        image = str(result.path)
        records = [{"image": image, **prediction.to_record()} for prediction in result.predictions]
        records += [_failure(problem, image) for problem in result.problems]
        self._put(records)
        say_problems(result.problems)
        say_warnings(result.warnings)
        for prediction in result.predictions:
            for stage in self._milliseconds:
                self._milliseconds[stage] += getattr(prediction.milliseconds, stage)
            if self._keep_rows:
                self._rows.append((result.path, prediction))
        if self._pictures is not None and result.image is not None and result.predictions:
            self._pictures.save(result.path, result.image, result.predictions)

    def write_problems(self, problems: Sequence[MvrecEdgeError]) -> None:
        """Writes what was wrong with a source beside its images, such as one unreadable label file."""
        self.failures += len(problems)
        say_problems(problems)
        # An earlier run that got as far as an image has these in the file already.
        if not self._done:
            self._put([_failure(problem, None) for problem in problems])

    def show_table(self) -> None:
        """Prints the table on stdout, where one was asked for."""
        if not self._keep_rows or not self._rows:
            return
        from rich.console import Console
        from rich.table import Table

        table = Table("image", "box", "class", "probability", "nearest support")
        names = short_names([path for path, _ in self._rows])
        for path, prediction in self._rows:
            nearest = prediction.nearest[0] if prediction.nearest else None
            table.add_row(
                names[path],
                " ".join(str(value) for value in prediction.region.box),
                prediction.label,
                f"{prediction.probability:.3f}" + (f" {prediction.nearest_class}" if prediction.unknown else ""),
                "" if nearest is None else f"{nearest.source} ({nearest.similarity:.3f})",
            )
        Console().print(table, markup=False)

    def summary(self) -> str:
        """One line about the whole run."""
        text = f"{counted(self.regions, 'region')} on {counted(self.images, 'image')}"
        if self.failures:
            text += f", {counted(self.failures, 'item')} failed"
        total = sum(self._milliseconds.values())
        if self.regions and total:
            shares = ", ".join(f"{stage} {100 * part / total:.1f}%" for stage, part in self._milliseconds.items())
            text += f"; {total / self.regions:.1f} ms a region ({shares})"
        return text

    def _put(self, records: list[dict[str, Any]]) -> None:
        if self._lines is None or not records:
            return
        # All lines of an image in one call, so that an interruption leaves whole images behind.
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        self._lines.write(text.encode(errors="surrogateescape"))
        self._lines.flush()


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


def _failure(error: MvrecEdgeError, image: str | None) -> dict[str, Any]:
    return {"image": image, "error": {"what": error.what, "where": error.where, "fix": error.fix}}


@contextlib.contextmanager
def open_sink(
    out: Path | None, *, overlay: Path | None, table: bool | None, resume: bool, overwrite: bool
) -> Iterator[RecordSink]:
    """Opens what `classify` writes to; the table is printed when the block ends.

    Args:
        out: JSON Lines file, or None for stdout.
        overlay: Folder for pictures, or None for none.
        table: Whether stdout shows a table; by default where it is a terminal and nothing else goes there.
        resume: Whether to go on with an unfinished `out`.
        overwrite: Whether to replace `out`.

    Raises:
        OutputError: Something exists already or cannot be written.
    """
    pictures = None
    if overlay is not None:
        from mvrec_edge.cli.pictures import PictureFolder

        pictures = PictureFolder(overlay)
    if out is None:
        show = sys.stdout.isatty() if table is None else table
        sink = RecordSink(None if show else sys.stdout.buffer, keep_rows=show, pictures=pictures)
        yield sink
        sink.show_table()
        return
    done: frozenset[str] = frozenset()
    if out.exists() and resume:
        from mvrec_edge.cli.resuming import set_torn_end_aside

        done = set_torn_end_aside(out)
    elif out.exists() and not overwrite:
        raise OutputError("exists already", where=out, fix="give --resume to go on with it, or --overwrite")
    with writing(out):
        stream = out.open("ab" if resume else "wb")
    with stream, writing(out):
        sink = RecordSink(stream, keep_rows=bool(table), pictures=pictures, done=done)
        yield sink
        os.fsync(stream.fileno())
    sink.show_table()
