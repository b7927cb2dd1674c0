"""What a person sees: progress bars and messages on stderr, never on stdout."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from mvrec_edge.calib import Advance
    from mvrec_edge.runtime.errors import InputWarning

__all__ = ["ConsoleObserver", "count_bar", "phase_bar", "say", "say_problems", "say_warnings", "view_bar"]

_MOST_PROBLEMS = 20


def say(message: str) -> None:
    """Prints a message for the reader on stderr."""
    typer.echo(message, err=True)


def say_problems(problems: Iterable[Exception]) -> None:
    """Prints one line for each problem, and only counts the rest of a very long list."""
    _say_list("skipped", list(problems))


def say_warnings(warnings: Iterable[InputWarning]) -> None:
    """Prints one line for each thing that was used though it is odd, and only counts the rest of a very long list."""
    _say_list("warning", list(warnings))


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


@contextlib.contextmanager
def phase_bar(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar over the phases of a long work; it is given a phase, the steps done and the steps in all."""
    if not sys.stderr.isatty():
        yield lambda _phase, _step, _steps: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=None)

        def show(phase: str, step: int, steps: int) -> None:
            progress.update(task, completed=step, total=steps, description=f"{title}: {phase[:60]}")

        yield show


@contextlib.contextmanager
def _bar(title: str, total: int | None, unit: str, *, speed: bool) -> Iterator[Advance]:
    # In a log file a bar is noise, and on the line nobody looks: only a terminal gets one.
    if not sys.stderr.isatty():
        yield _count_nothing
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:.1f} {unit}/s")

    columns: list[str | ProgressColumn] = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
    ]
    columns += [Speed()] if speed else [TextColumn(unit)]
    columns += [TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)

        def advance(count: int, /, note: str = "") -> None:
            progress.update(task, advance=count, description=f"{title}, {note}" if note else title)

        yield advance


def _count_nothing(count: int, /, note: str = "") -> None:
    del count, note
