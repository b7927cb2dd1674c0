"""A support cache and its other versions: every change keeps what was there, and can be taken back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mvrec_edge.runtime.errors import InputError, MvrecEdgeError, OutputError, UsageError
from mvrec_edge.runtime.files import atomic_write, writing
from mvrec_edge.runtime.files.file_lock import locked
from mvrec_edge.runtime.files.writing import confirm_rename
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.numbered_files import NumberedFiles

__all__ = ["KEPT", "SupportVersions", "Version"]

#: Versions kept beside a cache unless told otherwise.
KEPT = 20


@dataclass(frozen=True)
class Version:
    """One state of a cache.

    Attributes:
        name: `"present"`, or the number of another version.
        path: Its file.
    """

    name: str
    path: Path


class SupportVersions:
    """The file of a support cache, `NAME`, with other versions beside: `NAME.1`, `NAME.2`, and so on.

    The highest number is what was there before the last step, whether that was a change or a rollback: a rollback
    exchanges the present version for another and never removes one, so that another rollback undoes it. Every step
    leaves a whole cache under `NAME` at every moment, and a process that is killed at any point leaves all bytes under
    some name.

    Args:
        path: The cache; a link is followed.
        keep: The most versions that a change leaves beside it; at least 1.

    Raises:
        UsageError: `keep` is below 1.
    """

    def __init__(self, path: str | Path, keep: int = KEPT) -> None:
        if keep < 1:
            raise UsageError(f"at least 1 version has to be kept, not {keep}")
        # Two names of one file share their versions and their lock.
        self.path = Path(path).resolve()
        self.keep = keep
        self._others = NumberedFiles(self.path)

    def check_place(self) -> None:
        """Refuses a place where no cache can go; asked before any work is done for one.

        Raises:
            OutputError: A folder, a pipe or a device is there.
        """
        if self.path.exists() and not self.path.is_file():
            raise OutputError("is no file, so it is not replaced", where=self.path, fix="choose another name")

    @contextlib.contextmanager
    def change(self, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Keeps other changes of this cache out while the block reads, decides and writes.

        Args:
            waiting: Called once where another change is under way, which is waited for.

        Raises:
            OutputError: The folder cannot be written.
        """
        with locked(self.path, waiting):
            yield

    def write(self, cache: SupportCache) -> int | None:
        """Makes `cache` the present version, within `change`.

        Returns:
            The number under which the version before is kept; None where there was none, or nothing differs.

        Raises:
            OutputError: The folder cannot be written; the present version stays.
            SupportError: What would be written could not be read again; the same.
        """
        data = cache.readable_bytes()
        self.check_place()
        if not self.path.exists():
            with atomic_write(self.path) as stream:
                stream.write(data)
            return None
        self._others.drop_double()
        if self.path.stat().st_size == len(data) and self.path.read_bytes() == data:
            return None
        with atomic_write(self.path) as stream:
            stream.write(data)
            # A full disk ends the change here, before anything is kept twice.
            stream.flush()
            number = self._others.keep_present()
        self._others.prune(self.keep)
        return number

    def rollback(self, to: int | None = None) -> tuple[int, int]:
        """Makes another version the present one, byte for byte, within `change`.

        Args:
            to: Its number; by default the highest that can be read: what was there before the last change, or before
                the last rollback.

        Returns:
            The number of the version that is the present one now, and the number under which the one before is kept.

        Raises:
            InputError: There is no such version, or it is damaged; nothing changes.
            IntegrityError: The same.
        """
        self._others.drop_double()
        numbers = self._others.numbers()
        if not numbers:
            raise InputError("there is no earlier version", where=self.path)
        if to is not None and to not in numbers:
            raise InputError(
                f"there is no version {to}", where=self.path, fix="versions: " + ", ".join(map(str, numbers))
            )
        target = self._first_readable(numbers[::-1] if to is None else [to])
        with writing(self.path):
            kept = self._others.keep_present()
            self._others.at(target).replace(self.path)
        confirm_rename(self.path)
        return target, kept

    def _first_readable(self, numbers: Sequence[int]) -> int:
        """The first version that is a whole cache; a rollback from a damaged file keeps its bytes as a version, too."""
        failures: list[MvrecEdgeError] = []
        for number in numbers:
            try:
                SupportCache.load(self._others.at(number))
            except MvrecEdgeError as error:
                failures.append(error)
            else:
                return number
        raise failures[0]

    def history(self) -> list[Version]:
        """All versions, the present one last; the others in the order in which they were left."""
        others = [Version(str(number), self._others.at(number)) for number in self._others.numbers()]
        return [*others, Version("present", self.path)]
