"""A graph of a bundle with its weights, from the check of their hashes until an engine is closed."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

from mvrec_edge.runtime.bundle.certificate import VariantRecord
from mvrec_edge.runtime.errors import IntegrityError
from mvrec_edge.runtime.files.held_file import FileState, HeldFile
from mvrec_edge.runtime.files.write_lease import WriteLease

__all__ = ["HeldGraph", "folder_state"]


class HeldGraph:
    """A graph and its weights, checked, for a library that opens them by their paths and maps them into memory.

    The files that were hashed stay open here. `opening` makes sure that the library has opened those and no others, and
    `reading` that they are not changed while something is computed from them.

    Args:
        folder: The bundle's folder, without links.
        files: The open files, hashed.
        graph: The name of the graph of standard operators.
        variant: The record of the variant that an engine may run instead; None without.
        folder_before: The folder's state before a file was opened, see `folder_state`.

    Attributes:
        graph: The path of the graph of standard operators.
        variant: The path and the record of the variant; None without.
    """

    def __init__(
        self,
        folder: Path,
        files: Iterable[HeldFile],
        graph: str,
        variant: VariantRecord | None,
        folder_before: FileState | None,
    ) -> None:
        self.graph = folder / graph
        self.variant = None if variant is None else (folder / variant.file, variant)
        self._folder, self._folder_before = folder, folder_before
        self._files = tuple(files)
        self._lease: WriteLease | None = None
        self._end = weakref.finalize(self, _end, [], self._files)

    @contextlib.contextmanager
    def opening(self, *, mapped: bool = True) -> Iterator[None]:
        """Inside, a library opens the files by their paths.

        Args:
            mapped: Whether it will compute from them later, so that nobody may write to them until `close`.

        Raises:
            IntegrityError: What the library opened, or failed to open, may be other files than those that were hashed.
        """
        if mapped and self._lease is None:
            self._lease = WriteLease(file.handle for file in self._files)
            self._end.detach()
            self._end = weakref.finalize(self, _end, [self._lease], self._files)
        try:
            with contextlib.nullcontext() if self._lease is None else self._lease.reading():
                yield
        except Exception:
            # A library's own words about half a file help nobody.
            self._check_places()
            raise
        self._check_places()

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Inside, a library computes from the files; costs some microseconds.

        Raises:
            IntegrityError: A file was changed before or meanwhile, so what was computed is not to be used.
        """
        with contextlib.nullcontext() if self._lease is None else self._lease.reading():
            self.check()
            try:
                yield
            finally:
                self._check_files()

    def check(self) -> None:
        """Makes sure that nobody changed the files or wants to.

        Raises:
            IntegrityError: Somebody did, or does.
        """
        if self._lease is not None and self._lease.asked is not None:
            file = next(file for file in self._files if file.handle == self._lease.asked)
            raise file.changed("by another program while it was in use")
        self._check_files()

    def close(self) -> None:
        """Lets the files go; may be called twice."""
        self._end()

    def _check_files(self) -> None:
        for file in self._files:
            file.check()

    def _check_places(self) -> None:
        for file in self._files:
            file.check_place()
        if folder_state(self._folder) != self._folder_before:
            raise IntegrityError(
                "was changed or exchanged while a graph in it was opened", where=self._folder, fix="start again"
            )


def folder_state(folder: Path) -> FileState | None:
    """The state of a folder, which tells whether something in it was renamed; None where it cannot be looked at."""
    try:
        return FileState.of(folder.stat())
    except OSError:
        return None


def _end(leases: list[WriteLease], files: tuple[HeldFile, ...]) -> None:
    for lease in leases:
        lease.give_back()
    for file in files:
        file.close()
