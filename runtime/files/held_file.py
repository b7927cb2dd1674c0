"""A file that stays open from its hash to the end of its use, so that it is known whether it is still the same."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from pathlib import Path
from typing import NamedTuple

from mvrec_edge.runtime.errors import IntegrityError

__all__ = ["FileState", "HeldFile"]

# How often a file is read whose times change under it while its bytes may not.
_READINGS = 3
_CHUNK = 1 << 20
# Kernels note times in steps of up to 10 ms: within one, a second change leaves the times as the first one set them.
_STEP_NS = 20_000_000


class FileState(NamedTuple):
    """What the system says of a file, but for its bytes.

    Attributes:
        device: The device that it lies on.
        inode: Its number there.
        size: Bytes.
        written_ns: When its bytes were last written, which a program may set as it likes.
        changed_ns: When anything of it was last changed, a name of it included; no program can set this one.
    """

    device: int
    inode: int
    size: int
    written_ns: int
    changed_ns: int

    @classmethod
    def of(cls, about: os.stat_result) -> FileState:
        """The state that `os.stat` or `os.fstat` found."""
        return cls(about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)


class HeldFile:
    """A file, opened once: what is hashed and what is watched is this very file, whatever happens to its name.

    Args:
        path: The file; a link is refused.

    Attributes:
        path: Where it was opened.
        handle: Its descriptor, for reading.
        state: What it was like when it was opened or hashed.
        sha256: What its bytes must have, once somebody has compared them; None before.

    Raises:
        IntegrityError: It cannot be opened, or is not a plain file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sha256: str | None = None
        try:
            # A pipe would hold up whoever opens it.
            self.handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise IntegrityError(
                f"cannot be opened: {error.strerror or error}", where=path, fix="copy or export the bundle again"
            ) from error
        about = os.fstat(self.handle)
        self.state = FileState.of(about)
        if not stat.S_ISREG(about.st_mode):
            self.close()
            raise IntegrityError("is missing or not a plain file", where=path, fix="export the bundle again")

    @property
    def settled(self) -> bool:
        """Whether the last change was long enough ago that any further one shows in the times."""
        return time.time_ns() - self.state.changed_ns > _STEP_NS

    def settle(self) -> None:
        """Waits, 20 ms at most, until any further change shows in the times; call it before `digest`."""
        if not self.settled:
            time.sleep(_STEP_NS / 1e9)
            self.state = FileState.of(os.fstat(self.handle))

    def digest(self) -> str:
        """SHA-256 of the bytes in hexadecimal, read through the descriptor.

        Raises:
            IntegrityError: The file was changed meanwhile.
        """
        # Another name for the file, as a backup by links gives it, changes its times as well: it is read once more.
        for _ in range(_READINGS):
            digest = hashlib.sha256()
            place = 0
            while chunk := os.pread(self.handle, _CHUNK, place):
                digest.update(chunk)
                place += len(chunk)
            state = FileState.of(os.fstat(self.handle))
            if state == self.state:
                return digest.hexdigest()
            if state._replace(changed_ns=self.state.changed_ns) != self.state:
                break
            self.state = state
        raise self.changed("while it was read")

    def check(self) -> None:
        """Makes sure that the bytes are those that were hashed; costs a microsecond.

        A file that lost its name, or got another, is still the same file: only then its bytes are hashed again.

        Raises:
            IntegrityError: It was written to, or cut, since.
        """
        state = FileState.of(os.fstat(self.handle))
        if state == self.state:
            return
        if state._replace(changed_ns=self.state.changed_ns) != self.state:
            raise self.changed("while it was in use")
        before, self.state = self.state, state
        try:
            same = self.digest() == self.sha256
        except IntegrityError:
            same = False
        if not same:
            # What was found once is found again, by whoever asks next.
            self.state = before
            raise self.changed("while it was in use")

    def check_place(self) -> None:
        """Makes sure that the path led to this very file all the time since it was hashed.

        Raises:
            IntegrityError: Another file lies there, or lay there meanwhile, or this one was changed.
        """
        try:
            state = FileState.of(os.lstat(self.path))
        except OSError:
            state = None
        if state != self.state:
            raise self.changed("while it was opened")

    def changed(self, when: str) -> IntegrityError:
        """The error that says that the file was changed or exchanged."""
        return IntegrityError(
            f"was changed or exchanged {when}",
            where=self.path,
            fix="start again; replace a bundle by renaming a whole new folder, never by writing into one",
        )

    def close(self) -> None:
        """Closes the descriptor; called once."""
        os.close(self.handle)
