"""What is odd about many entries of a source, said once."""

from __future__ import annotations

from collections import Counter

from mvrec_edge.runtime.errors import InputWarning

__all__ = ["WarningTally"]


class WarningTally:
    """Counts equal oddities of a source, so that each is one warning that names the first place."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], object] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, what: str, where: object, fix: str) -> None:
        """Notes an oddity; those with the same `what` and `fix` are counted together.

        Args:
            what: What is odd, without a trailing full stop.
            where: The item concerned; the first one is named.
            fix: What the reader can do about it.
        """
        self._first.setdefault((what, fix), where)
        self._counts[what, fix] += 1

    def warnings(self) -> list[InputWarning]:
        """One warning for each kind, in the order in which they were first seen."""
        found = []
        for (what, fix), where in self._first.items():
            more = self._counts[what, fix] - 1
            found.append(InputWarning(f"{what}; {more} more like this" if more else what, str(where), fix))
        return found
