"""SIGHUP as a request: `kill -HUP` makes a running command read its files again instead of ending it."""

from __future__ import annotations

import signal
from collections.abc import Callable

__all__ = ["ReloadSignal"]


class ReloadSignal:
    """Takes SIGHUP for the rest of the process and passes it on; one that comes early is kept.

    Attributes:
        arrived: Whether one has come.
    """

    def __init__(self) -> None:
        self.arrived = False
        self._call: Callable[[], None] | None = None
        signal.signal(signal.SIGHUP, self._on_signal)

    def calls(self, function: Callable[[], None]) -> None:
        """Sets what a signal calls, and calls it where one has come already; it runs within the signal handler."""
        self._call = function
        if self.arrived:
            function()

    def _on_signal(self, *_: object) -> None:
        self.arrived = True
        if self._call is not None:
            self._call()
