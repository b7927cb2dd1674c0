"""Engines in a forked child: they are not used there, and not taken apart either.

A child has none of the threads that a library's destructor waits for: one that was forked beside an open OpenVINO
engine would hang when it ends.
"""

from __future__ import annotations

import os
import weakref

__all__ = ["outlive_forked_children"]

_open: weakref.WeakSet[object] = weakref.WeakSet()


def outlive_forked_children(engine: object) -> None:
    """Lets an engine's library never be taken apart in a child that is forked from this process."""
    _open.add(engine)


def _keep_for_good() -> None:
    import ctypes

    for engine in tuple(_open):
        # A reference that nobody ever gives back.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_for_good)
