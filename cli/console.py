"""What a person sees: progress bars and messages on stderr, never on stdout."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from mvrec_edge.calib import HeadFit

__all__ = ["Advance", "count_bar", "loss_bar", "phase_bar", "say", "say_problems", "say_selection", "view_bar"]

#: Advances a progress bar by so many items.
Advance = Callable[[int], None]

_MOST_PROBLEMS = 20
_MOST_CANDIDATES = 8


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


def say_selection(fit: HeadFit) -> None:
    """Prints which head was chosen, from what, and what its probabilities are worth."""
    selection = fit.selection
    if selection is not None:
        if selection.candidates:
            say(f"{'head':<8}{'beta':>6}  {'aggregate':<13}{'accuracy':>9}{'log-loss':>10}")
            for candidate in selection.candidates[:_MOST_CANDIDATES]:
                head = candidate.head
                accuracy = f"{100 * candidate.accuracy:.1f}%"
                say(f"{head.name:<8}{head.beta:>6g}  {head.aggregate:<13}{accuracy:>9}{candidate.loss:>10.3f}")
            if len(selection.candidates) > _MOST_CANDIDATES:
                say(f"... and {len(selection.candidates) - _MOST_CANDIDATES} more")
        chosen = fit.cache.head
        say(f"head: {chosen.name}, beta {chosen.beta:g}, {chosen.aggregate} ({selection.reason})")
    if fit.temperature is not None:
        before, after = fit.temperature.error_before, fit.temperature.error_after
        say(
            f"temperature {fit.cache.head.temperature:.3g}: expected calibration error {100 * before:.1f}% before, "
            f"{100 * after:.1f}% after, by leaving each instance out"
        )


def count_bar(title: str, total: int | None, unit: str) -> contextlib.AbstractContextManager[Advance]:
    """A bar that counts items, with the time left."""
    return _bar(title, total, unit, speed=False)


def view_bar(title: str, total: int | None) -> contextlib.AbstractContextManager[Advance]:
    """A bar that counts views, with views per second and the time left."""
    return _bar(title, total, "views", speed=True)


@contextlib.contextmanager
def loss_bar(title: str, steps: int | None) -> Iterator[Callable[[int, float], None]]:
    """A bar over training steps that shows the loss; None for no training, and no bar."""
    if steps is None or not sys.stderr.isatty():
        yield lambda _step, _loss: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=steps)
        yield lambda step, loss: progress.update(task, completed=step, description=f"{title}, loss {loss:.4f}")


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
