"""OpenCV's own messages, kept off the standard error stream while a file is decoded."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import cv2

__all__ = ["quiet_opencv"]

_lock = threading.Lock()
_depth = 0
_level_before = 0
# OpenCV 5 has the two functions here, OpenCV 4 at the top.
_logging: Any = getattr(cv2.utils, "logging", cv2)


@contextlib.contextmanager
def quiet_opencv() -> Iterator[None]:
    """Silences OpenCV's log within the block, for all threads, and puts the user's level back after it.

    OpenCV has one level for the whole process, so the blocks of several threads are counted: the first one in
    turns the log off, and the last one out turns it on.
    """
    global _depth, _level_before
    with _lock:
        if _depth == 0:
            _level_before = _logging.getLogLevel()
            _logging.setLogLevel(0)
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                _logging.setLogLevel(_level_before)
