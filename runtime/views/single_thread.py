"""Keeps matrix products on one thread while views are cut."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

__all__ = ["single_threaded_products"]

_lock = threading.Lock()
_users = 0
_limit: Any = None


@contextlib.contextmanager
def single_threaded_products() -> Iterator[None]:
    """Products of numpy and OpenCV take one thread inside, in the whole process; several threads may be inside at once.

    Those of a resize are small. Split over threads they gain nothing, and where other work keeps the cores busy the
    threads wait for one another: 27 views of 128 pixels took 1570 ms beside it instead of 42.
    """
    global _users, _limit
    with _lock:
        _users += 1
        if _users == 1:
            _limit = _products().limit(limits=1)
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
