"""What a stage tells whoever started it: the phases of its work, and remarks on what it found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

__all__ = ["SILENT", "Advance", "Observer"]


class Advance(Protocol):
    """Tells that so many more items of a phase are done."""

    def __call__(self, count: int, /, note: str = "") -> None:
        """Counts items.

        Args:
            count: Items done since the last call.
            note: What to show beside the phase's title, such as a loss.
        """
        ...


class Observer(Protocol):
    """Watches a stage; a program shows bars and lines, a script gives none."""

    def phase(self, title: str, total: int | None, unit: str) -> AbstractContextManager[Advance]:
        """Begins a phase, which ends with the block.

        Args:
            title: What is done.
            total: Items in all; None where that is not known before.
            unit: What the items are, such as `"views"`.
        """
        ...

    def remark(self, line: str) -> None:
        """Takes one line on what was found or chosen."""
        ...


class _Silent:
    """Hears nothing."""

    @contextlib.contextmanager
    def phase(self, title: str, total: int | None, unit: str) -> Iterator[Advance]:
        del title, total, unit
        yield _nothing

    def remark(self, line: str) -> None:
        del line


def _nothing(count: int, /, note: str = "") -> None:
    del count, note


#: The observer of those who give none.
SILENT: Observer = _Silent()
