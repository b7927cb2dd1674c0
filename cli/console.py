"""What a person sees: messages, tables and bars, with nothing in them that a terminal would obey."""

from __future__ import annotations

import contextlib
import json
import sys
import time
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress, ProgressColumn
    from rich.table import Table

    from mvrec_edge.calib import Advance
    from mvrec_edge.runtime.errors import InputWarning

__all__ = [
    "ConsoleObserver",
    "ImageProgress",
    "count_bar",
    "escaped",
    "image_bar",
    "json_text",
    "phase_bar",
    "say",
    "say_damaged",
    "say_problems",
    "say_warnings",
    "show",
    "show_json",
    "show_table",
    "speaks_utf8",
    "spell_out_what_is_missing",
    "view_bar",
]

_MOST_PROBLEMS = 20

# Control characters, what is invisible or turns the direction of writing, halves of surrogate pairs, ends of lines.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Python keeps the bytes of a file name that are no text as U+DC80 to U+DCFF.
_LONE_BYTES = range(0xDC80, 0xDD00)


def escaped(text: str) -> str:
    r"""A text with whatever a terminal would obey or a reader not see spelled out: `\x1b`, `\n`, `\u202e`.

    Bytes of a file name that are no text become `\xff`. Everything else stays as it is, a backslash included.
    """
    # Nearly always, and quick.
    if text.isprintable():
        return text
    return "".join(_spelled(sign) if unicodedata.category(sign) in _UNSEEN else sign for sign in text)


def _spelled(sign: str) -> str:
    code = ord(sign)
    if code in _LONE_BYTES:
        return f"\\x{code - 0xDC00:02x}"
    return sign.encode("unicode_escape").decode()


def spell_out_what_is_missing() -> None:
    r"""Makes stdout and stderr spell out letters that their encoding lacks, as `\xe9`, where they would fail."""
    for stream in (sys.stdout, sys.stderr):
        # Whatever a program that calls us has put in their place takes text in its own way.
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def speaks_utf8(stream: Any) -> bool:
    """Whether a text stream takes every letter."""
    name = getattr(stream, "encoding", None) or "utf-8"
    return str(name).lower().replace("-", "").replace("_", "") == "utf8"


def say(message: str) -> None:
    """Prints a message for the reader on stderr, as one line."""
    _write(sys.stderr, escaped(message))


def show(line: str = "") -> None:
    """Prints one line of a result on stdout."""
    _write(sys.stdout, escaped(line))


def _write(stream: TextIO, line: str) -> None:
    # Not by typer, which writes UTF-8 to a console that has said ASCII.
    stream.write(line + "\n")
    stream.flush()


def json_text(value: Any, *, indent: int | None = None, narrow: bool = False) -> str:
    """A value as JSON that may go to a terminal as well as into a file.

    What `escaped` spells out is written as JSON spells it out, so a reader gets back what was there; a byte of a file
    name that is no text as half of a surrogate pair.

    Args:
        value: Plain JSON types.
        indent: Blanks for each level; by default all is one line.
        narrow: Whether everything outside ASCII is spelled out.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=narrow)
    if text.isprintable():
        return text
    # Outside its texts JSON is ASCII, and within them what is below a blank is spelled out already.
    return "".join(
        json.dumps(sign)[1:-1] if ord(sign) > ord("~") and unicodedata.category(sign) in _UNSEEN else sign
        for sign in text
    )


def show_json(value: Any) -> None:
    """Prints a value as indented JSON on stdout."""
    _write(sys.stdout, json_text(value, indent=2, narrow=not speaks_utf8(sys.stdout)))


def show_table(table: Table) -> None:
    """Prints a table on stdout; it fits the window of a terminal, and elsewhere is as wide as its cells.

    Args:
        table: Its cells are `rich.text.Text` of `escaped` texts, as a plain text would be searched for markup.
    """
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        # In a file nothing needs to fit a window, and what is cut off is lost.
        console.width = console.measure(table, options=console.options.update(width=1 << 20)).maximum + 1
    console.print(table)


def say_problems(problems: Iterable[Exception]) -> None:
    """Prints one line for each problem, and only counts the rest of a very long list."""
    _say_list("skipped", list(problems))


def say_warnings(warnings: Iterable[InputWarning]) -> None:
    """Prints one line for each thing that was used though it is odd, and only counts the rest of a very long list."""
    _say_list("warning", list(warnings))


def say_damaged(images: Collection[Path]) -> None:
    """Says how many images were damaged and used all the same, where any was."""
    if images:
        from mvrec_edge.runtime.wording import counted

        say(f"{counted(len(images), 'damaged image')} among those read")


def _say_list(kind: str, listed: Sequence[object]) -> None:
    for item in listed[:_MOST_PROBLEMS]:
        say(f"{kind}: {item}")
    if len(listed) > _MOST_PROBLEMS:
        say(f"{kind}: {len(listed) - _MOST_PROBLEMS} more")


class ConsoleObserver:
    """Shows a bar for each phase of a stage, and its remarks as lines.

    Args:
        remarks: Whether to show the remarks.
    """

    def __init__(self, *, remarks: bool = True) -> None:
        self._remarks = remarks

    def phase(self, title: str, total: int | None, unit: str) -> contextlib.AbstractContextManager[Advance]:
        """A bar with the time left; where views are counted, with views per second."""
        return _bar(title, total, unit, speed=unit == "views")

    def remark(self, line: str) -> None:
        """A line on stderr."""
        if self._remarks:
            say(line)


def count_bar(title: str, total: int | None, unit: str) -> contextlib.AbstractContextManager[Advance]:
    """A bar that counts items, with the time left."""
    return _bar(title, total, unit, speed=False)


def view_bar(title: str, total: int | None) -> contextlib.AbstractContextManager[Advance]:
    """A bar that counts views, with views per second and the time left."""
    return _bar(title, total, "views", speed=True)


class ImageProgress:
    """Counts the images of a run, and its views, for whoever shows them.

    Args:
        show: Given the views per second so far after each image; not called where nobody looks.
    """

    def __init__(self, show: Callable[[float], None] = lambda _: None) -> None:
        self._show = show
        self._views = 0
        self._start = time.perf_counter()

    def views(self, count: int) -> None:
        """Counts views that were encoded."""
        self._views += count

    def image(self) -> None:
        """Counts an image that is done."""
        self._show(self._views / max(time.perf_counter() - self._start, 1e-9))


@contextlib.contextmanager
def image_bar(title: str, total: int) -> Iterator[ImageProgress]:
    """A bar that counts images of a total, with views per second and the time left."""
    if not sys.stderr.isatty():
        yield ImageProgress()
        return
    with _progress("images", "{task.fields[speed]}") as progress:
        task = progress.add_task(escaped(title), total=total, speed="")
        yield ImageProgress(lambda speed: progress.update(task, advance=1, speed=f"{speed:.1f} views/s"))


@contextlib.contextmanager
def phase_bar(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar over the phases of a long work; it is given a phase, the steps done and the steps in all."""
    if not sys.stderr.isatty():
        yield lambda _phase, _step, _steps: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    description = TextColumn("{task.description}", markup=False)
    columns = [description, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(escaped(title), total=None)

        def show_phase(phase: str, step: int, steps: int) -> None:
            progress.update(task, completed=step, total=steps, description=escaped(f"{title}: {phase[:60]}"))

        yield show_phase


@contextlib.contextmanager
def _bar(title: str, total: int | None, unit: str, *, speed: bool) -> Iterator[Advance]:
    # In a log file a bar is noise, and on the line nobody looks: only a terminal gets one.
    if not sys.stderr.isatty():
        yield _count_nothing
        return
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:.1f} {unit}/s")

    with _progress(Speed() if speed else unit) as progress:
        task = progress.add_task(escaped(title), total=total)

        def advance(count: int, /, note: str = "") -> None:
            progress.update(task, advance=count, description=escaped(f"{title}, {note}" if note else title))

        yield advance


def _progress(*columns: str | ProgressColumn) -> Progress:
    """A bar on stderr with columns between what is done and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    # A title or note from outside may hold what the library would take for markup.
    between = [TextColumn(column, markup=False) if isinstance(column, str) else column for column in columns]
    description = TextColumn("{task.description}", markup=False)
    shown = (description, BarColumn(), MofNCompleteColumn(), *between, TimeRemainingColumn())
    return Progress(*shown, console=Console(stderr=True), transient=True)


def _count_nothing(count: int, /, note: str = "") -> None:
    del count, note
