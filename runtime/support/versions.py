"""A support cache and its earlier versions: every change keeps what was there, and can be taken back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mvrec_edge.runtime.errors import InputError, UsageError
from mvrec_edge.runtime.files import atomic_write, sync_folder, writing
from mvrec_edge.runtime.files.file_lock import locked
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.numbered_files import NumberedFiles

__all__ = ["KEPT", "SupportVersions", "Version"]

#: Versions kept beside a cache unless told otherwise.
KEPT = 20


@dataclass(frozen=True)
class Version:
    """One state of a cache.

    Attributes:
        name: `"present"`, the number of an earlier version, or `"undone.N"` for one that was taken back.
        path: Its file.
    """

    name: str
    path: Path


class SupportVersions:
    """The file of a support cache, `NAME`, with earlier versions beside: `NAME.1`, `NAME.2`, and so on.

    Taking a change back makes an earlier version the present one; what was taken back stays as `NAME.undone.1`, ....
    Every step leaves a whole cache under `NAME` at every moment, and a process that is killed at any point leaves all
    bytes under some name.

    Args:
        path: The cache; a link is followed.
        keep: The most versions, and the most taken-back ones, to keep; at least 1.

    Raises:
        UsageError: `keep` is below 1.
    """

    def __init__(self, path: str | Path, keep: int = KEPT) -> None:
        if keep < 1:
            raise UsageError(f"at least 1 version has to be kept, not {keep}")
        # Two names of one file share their versions and their lock.
        self.path = Path(path).resolve()
        self.keep = keep
        self._earlier = NumberedFiles(self.path)
        self._undone = NumberedFiles(self.path, "undone.")

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
        """
        data = cache.to_bytes()
        if not self.path.exists():
            with atomic_write(self.path) as stream:
                stream.write(data)
            return None
        self._settle()
        if self.path.read_bytes() == data:
            return None
        with atomic_write(self.path) as stream:
            stream.write(data)
            # A full disk ends the change here, before anything is kept twice.
            stream.flush()
            number = self._earlier.keep_present()
        self._earlier.prune(self.keep)
        return number

    def rollback(self, to: int | None = None) -> int:
        """Makes an earlier version the present one, byte for byte, within `change`.

        Args:
            to: Its number; by default the newest. Versions after it are taken back as well.

        Returns:
            The number of the version that is now the present one.

        Raises:
            InputError: There is no such version, or it is damaged; nothing changes.
            IntegrityError: The same.
        """
        self._settle()
        numbers = self._earlier.numbers()
        if not numbers:
            raise InputError("there is no earlier version", where=self.path)
        target = numbers[-1] if to is None else to
        if target not in numbers:
            raise InputError(
                f"there is no version {target}", where=self.path, fix="one of " + ", ".join(map(str, numbers))
            )
        SupportCache.load(self._earlier.at(target))
        later = [number for number in reversed(numbers) if number > target]
        with writing(self.path):
            self._undone.keep_present()
            # The newest first, so that taking the last one up again goes back step by step.
            for number in later:
                self._earlier.at(number).rename(self._undone.at(self._undone.next_number()))
            self._earlier.at(target).replace(self.path)
            sync_folder(self.path.parent)
        self._undone.prune(max(self.keep, 1 + len(later)))
        return target

    def redo(self) -> int:
        """Makes the version that was taken back last the present one again, within `change`.

        Returns:
            The number under which the version before is kept.

        Raises:
            InputError: Nothing was taken back, or it is damaged; nothing changes.
            IntegrityError: The same.
        """
        self._settle()
        numbers = self._undone.numbers()
        if not numbers:
            raise InputError("nothing was taken back", where=self.path)
        last = self._undone.at(numbers[-1])
        SupportCache.load(last)
        with writing(self.path):
            number = self._earlier.keep_present()
            last.replace(self.path)
            sync_folder(self.path.parent)
        self._earlier.prune(self.keep)
        return number

    def history(self) -> list[Version]:
        """All versions: the earlier ones from the oldest on, the present one, and those taken back, the last first."""
        earlier = [Version(str(number), self._earlier.at(number)) for number in self._earlier.numbers()]
        undone = [Version(f"undone.{number}", self._undone.at(number)) for number in reversed(self._undone.numbers())]
        return [*earlier, Version("present", self.path), *undone]

    def _settle(self) -> None:
        self._earlier.drop_double()
        self._undone.drop_double()
