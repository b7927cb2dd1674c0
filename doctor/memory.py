"""Main memory and swap."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mvrec_edge.doctor.cgroup import memory_limit
from mvrec_edge.doctor.reading import read_text

__all__ = ["Memory", "read_memory"]


@dataclass(frozen=True)
class Memory:
    """Main memory in bytes; None where the system does not say.

    Attributes:
        total: What is built in.
        available: What programs can have without swapping, by the kernel's estimate.
        swap_total: All swap.
        swap_free: What is free of it.
        swap_compressed: What of the swap is compressed main memory (zram), and so adds less than it seems to.
        cgroup_limit: What a container grants; None for no limit.
        cgroup_used: What is used of that.
    """

    total: int | None = None
    available: int | None = None
    swap_total: int | None = None
    swap_free: int | None = None
    swap_compressed: int = 0
    cgroup_limit: int | None = None
    cgroup_used: int | None = None

    @property
    def usable(self) -> int | None:
        """Bytes this process can still have: what is available, or less where a container grants less."""
        if self.cgroup_limit is None:
            return self.available
        left = max(0, self.cgroup_limit - (self.cgroup_used or 0))
        return left if self.available is None else min(left, self.available)

    @property
    def most(self) -> int | None:
        """Bytes this process could have on an idle machine."""
        sizes = [size for size in (self.total, self.cgroup_limit) if size is not None]
        return min(sizes, default=None)


def read_memory(root: Path = Path("/")) -> Memory:
    """Reads the memory from `/proc` and `/sys` below `root`; what is not there is left open."""
    fields = {}
    for line in (read_text(root, "proc/meminfo") or "").splitlines():
        key, _, value = line.partition(":")
        words = value.split()
        if words and words[0].isdigit():
            # The kernel writes "kB" and means 1024 bytes.
            fields[key] = int(words[0]) * 1024
    compressed = 0
    for line in (read_text(root, "proc/swaps") or "").splitlines()[1:]:
        words = line.split()
        if len(words) >= 3 and "zram" in words[0] and words[2].isdigit():
            compressed += int(words[2]) * 1024
    limit = memory_limit(root)
    return Memory(
        total=fields.get("MemTotal"),
        available=fields.get("MemAvailable"),
        swap_total=fields.get("SwapTotal"),
        swap_free=fields.get("SwapFree"),
        swap_compressed=compressed,
        cgroup_limit=None if limit is None else limit[0],
        cgroup_used=None if limit is None else limit[1],
    )
