"""CPU threads: how many this process may use, and how many a matrix product takes."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

__all__ = ["limited_products", "usable_cpus"]

_lock = threading.Lock()
_users = 0
_limit: Any = None


def usable_cpus() -> int:
    """The CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def limited_products(threads: int) -> Iterator[None]:
    """Products of numpy and OpenCV take at most `threads` threads inside, in the whole process; never more than before.

    Several threads may be inside at once; the limit of the first one in holds until the last one is out.

    Where other work keeps the cores busy, the threads of a product wait for one another: 27 views of 128 pixels took
    1570 ms to resize on all cores beside it instead of 42 on one, and fine-tuning many times longer.
    """
    global _users, _limit
    with _lock:
        _users += 1
        if _users == 1:
            products = _products()
            usual = max((library.num_threads or 1 for library in products.lib_controllers), default=1)
            _limit = products.limit(limits=max(1, min(threads, usual)))
            _limit.__enter__()
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            # The last one out restores: were each to do so, one would restore what another had set.
            if _users == 0:
                _limit.__exit__(None, None, None)
                _limit = None


@cache
def _products() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
