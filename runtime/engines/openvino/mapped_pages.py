"""Pages of mapped weights, given back to the system while OpenVINO packs its own copy of them.

OpenVINO maps the file of a graph's weights and reads every page once, in compiling and in the first run. The system
counts pages that were read as memory of the process until it needs them for others, so without this the process would
seem to hold its weights twice: 2.5 times their size at most instead of 1.6 for a ViT-B/16 in float32.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["giving_back"]

_EVERY_S = 0.05
_MAPPINGS = Path("/proc/self/maps")


@contextlib.contextmanager
def giving_back(file: Path) -> Iterator[None]:
    """Inside, pages of this process's mappings of a file are given back again and again.

    What is read again comes from the page cache. Only mappings that cannot be written are touched, so nothing is lost.
    They are those that exist at the beginning, and the caller holds what holds them until the end: an address that was
    unmapped and taken for other memory meanwhile would lose what is there. Where the system has no list of mappings, as
    outside of Linux, nothing is done.

    Args:
        file: The file of the weights.
    """
    give_back = _giver(file)
    if give_back is None:
        yield
        return
    done = threading.Event()

    def again_and_again() -> None:
        while not done.wait(_EVERY_S):
            give_back()

    helper = threading.Thread(target=again_and_again, name="mvrec-edge-pages", daemon=True)
    helper.start()
    try:
        yield
    finally:
        done.set()
        helper.join()
        give_back()


def _giver(file: Path) -> Callable[[], None] | None:
    """What gives pages back; None where the system cannot."""
    if not _MAPPINGS.exists() or not hasattr(mmap, "MADV_DONTNEED"):
        return None
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    mappings = _read_only_mappings(file)

    def give_back() -> None:
        for begin, end in mappings:
            advise(begin, end - begin, mmap.MADV_DONTNEED)

    return give_back


def _read_only_mappings(file: Path) -> list[tuple[int, int]]:
    """Addresses where this process's mappings of a file begin and end, of those that cannot be written."""
    found = []
    # The list of mappings has paths without links.
    place = str(file.resolve())
    for line in _MAPPINGS.read_text(errors="replace").splitlines():
        # Addresses, permissions, offset, device, inode, path.
        parts = line.split(maxsplit=5)
        if len(parts) == 6 and parts[5] == place and "w" not in parts[1]:
            begin, _, end = parts[0].partition("-")
            found.append((int(begin, 16), int(end, 16)))
    return found
