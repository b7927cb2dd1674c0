"""What a person sees: progress bars and messages on stderr, never on stdout."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator

import typer

__all__ = ["Advance", "count_bar", "say", "say_problems", "view_bar"]

#: Advances a progress bar by so many items.
Advance = Callable[[int], None]

_MOST_PROBLEMS = 20


def say(message: str) -> None:
    """Prints a message for the reader on stderr."""
    typer.echo(message, err=True)


def say_problems(problems: Iterable[Exception]) -> None:
    """Prints what was not usable, one line each, and only counts the rest of a very long list."""
    listed = list(problems)
    for problem in listed[:_MOST_PROBLEMS]:
        say(f"skipped: {problem}")
    if len(listed) > _MOST_PROBLEMS:
        say(f"skipped: {len(listed) - _MOST_PROBLEMS} more")


def count_bar(title: str, total: int | None, unit: str) -> contextlib.AbstractContextManager[Advance]:
    """A bar that counts items, with the time left."""
    return _bar(title, total, unit, speed=False)


def view_bar(title: str, total: int | None) -> contextlib.AbstractContextManager[Advance]:
    """A bar that counts views, with views per second and the time left."""
    return _bar(title, total, "views", speed=True)


@contextlib.contextmanager
def _bar(title: str, total: int | None, unit: str, *, speed: bool) -> Iterator[Advance]:
    # In a log file a bar is noise, and on the line nobody looks: only a terminal gets one.
    if not sys.stderr.isatty():
        yield lambda _: None
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
        yield lambda count: progress.advance(task, count)
