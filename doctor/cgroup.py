"""Limits that a container or a service manager puts on this process (control groups, version 1 and 2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mvrec_edge.doctor.reading import read_integer, read_text

__all__ = ["cpu_limit", "memory_limit"]

_MOUNT = "sys/fs/cgroup"
# Version 1 writes "no limit" as the largest multiple of a page.
_NO_LIMIT = 1 << 60


def cpu_limit(root: Path) -> float | None:
    """Cores that the control group grants, such as 1.5; None for no limit."""
    limits = []
    for folder in _folders(root, "cpu"):
        words = (read_text(root, f"{folder}/cpu.max") or "").split()
        if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]) > 0:
            limits.append(int(words[0]) / int(words[1]))
        quota = read_integer(root, f"{folder}/cpu.cfs_quota_us")
        period = read_integer(root, f"{folder}/cpu.cfs_period_us")
        if quota is not None and period is not None and quota > 0 and period > 0:
            limits.append(quota / period)
    return min(limits, default=None)


def memory_limit(root: Path) -> tuple[int, int] | None:
    """The tightest memory limit and what is used of it, in bytes; None for no limit."""
    found = []
    for folder in _folders(root, "memory"):
        for limit_name, used_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit = read_integer(root, f"{folder}/{limit_name}")
            if limit is not None and 0 < limit < _NO_LIMIT:
                found.append((limit, read_integer(root, f"{folder}/{used_name}") or 0))
    return min(found, default=None)


def _folders(root: Path, controller: str) -> Iterator[str]:
    """The folders of this process's group and of the groups around it; a limit of any of them holds."""
    for line in (read_text(root, "proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0" and not controllers:
            mount = _MOUNT
        elif controller in controllers.split(","):
            mount = f"{_MOUNT}/{controllers}"
        else:
            continue
        # Inside a container the path may be that of the host, which is not there; its root is.
        path = PurePosixPath("/" + group.lstrip("/"))
        for place in (path, *path.parents):
            if ".." not in place.parts:
                yield f"{mount}{place}".rstrip("/")
