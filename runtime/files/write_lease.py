"""Files that are mapped into memory: whoever wants to write to them waits until nobody computes from them.

A mapped file that is cut ends the process with SIGBUS, in the middle of whatever it does, and one that is written to
changes what is computed. Linux can tell before: the owner of a file may hold a lease on it. Whoever opens the file for
writing then waits, the system tells the holder, and goes on when the lease is given back.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import struct
import threading
from collections.abc import Iterable, Iterator

__all__ = ["WriteLease"]

# Not in Python's module: tells one thread, and not the process.
_SET_OWNER, _THREAD = 15, 0
# What happens to a process that does not expect it: nothing.
_SIGNAL = signal.SIGURG
# Longer than a batch takes. Whoever writes from the thread that reads, as a test may, would wait for itself.
_LONGEST_WAIT_S = 10.0


class WriteLease:
    """Leases on files, and a thread that answers when another program wants to write to one.

    The thread waits for a signal that is sent to it alone, so it costs nothing until then, and the signals of the
    program are left as they are. Where the system or the file system has no leases, or the files belong to another
    user, there are none: `held` says so.

    Args:
        handles: Descriptors for reading; the caller keeps them open until after `give_back`.

    Attributes:
        held: Whether all files are leased.
        asked: The descriptor of a file that another program wants to write to, or has written to since; None without.
    """

    def __init__(self, handles: Iterable[int]) -> None:
        self.asked: int | None = None
        self.held = False
        self._handles = tuple(handles)
        self._process = os.getpid()
        self._reading = threading.Lock()
        self._gate = threading.Lock()
        self._ended = False
        if not hasattr(fcntl, "F_SETLEASE"):
            return
        ready = threading.Event()
        self._helper = threading.Thread(target=self._answer, args=(ready,), name="mvrec-edge-lease", daemon=True)
        self._helper.start()
        ready.wait()

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Inside, whoever wants to write waits, 10 s at most."""
        with self._reading:
            yield

    def give_back(self) -> None:
        """Ends the leases; may be called twice. In a forked child it does nothing: they are the parent's."""
        if os.getpid() != self._process or not self.held:
            return
        with self._gate:
            # Past the gate the thread may be gone, and its number another's.
            if not self._ended and self._helper.ident is not None:
                self._ended = True
                signal.pthread_kill(self._helper.ident, _SIGNAL)
        self._helper.join()
        self.held = False

    def _answer(self, ready: threading.Event) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {_SIGNAL})
        try:
            for handle in self._handles:
                fcntl.fcntl(handle, fcntl.F_SETSIG, _SIGNAL)
                fcntl.fcntl(handle, _SET_OWNER, struct.pack("ii", _THREAD, threading.get_native_id()))
                fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            self.held = True
        except OSError:
            self._release()
            return
        finally:
            ready.set()
        while not self._ended and self.asked is None:
            signal.sigwait({_SIGNAL})
            # First said, so that nobody begins to read again, then done when what is being read is read.
            self.asked = next((handle for handle in self._handles if _is_asked_for(handle)), None)
        waited = self._reading.acquire(timeout=_LONGEST_WAIT_S)
        self._release()
        if waited:
            self._reading.release()
        with self._gate:
            self._ended = True

    def _release(self) -> None:
        for handle in self._handles:
            with contextlib.suppress(OSError):
                fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def _is_asked_for(handle: int) -> bool:
    return fcntl.fcntl(handle, fcntl.F_GETLEASE) != fcntl.F_RDLCK
