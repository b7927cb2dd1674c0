"""Drift: whether what comes down the line still looks as it did at calibration."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from statistics import median

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.heads.student import student_quantile
from mvrec_edge.runtime.novelty.thresholds import KnownDistances

__all__ = ["FALSE_ALARMS", "Drift", "DriftMonitor", "DriftWarning", "check_window"]

#: Share of windows that a monitor is wrong about while nothing has changed, at most.
FALSE_ALARMS = 1e-3

_SMALLEST_WINDOW, _LARGEST_WINDOW = 10, 100_000


class DriftWarning(UserWarning):
    """A window of regions lies further from the support than calibration saw."""


@dataclass(frozen=True)
class Drift:
    """A window that departs from calibration.

    Attributes:
        window: Regions in the window.
        seen: Median of their novelty, in standard deviations of calibration's left-out instances.
        limit: What that median stays below in all but `FALSE_ALARMS` of the windows while nothing has changed.
    """

    window: int
    seen: float
    limit: float

    def __str__(self) -> str:
        return (
            f"the last {self.window} regions lie further from the support than calibration saw: the median is "
            f"{self.seen:.1f} standard deviations, and up to {self.limit:.1f} is expected. Has a lamp "
            "changed, is a lens dirty, or is this another kind of defect?"
        )


class DriftMonitor:
    """Watches the novelty of regions, window after window, and reports once.

    Windows do not overlap. Each is judged by its median, so that a few unknown defects among known ones are no drift.
    The limit is `t(1 - FALSE_ALARMS; degrees) * sqrt(pi / (2 N) + G / H)`: the variance of a median of N normal values,
    and that of a class's usual distance, which H left-out instances of G classes gave; Student's t since the spread is
    estimated from as few. Only growing distance is reported: known defects lie a little nearer than those left out.
    Several threads may share one.

    Args:
        window: Regions in a window, 10 to 100,000.
        known: What calibration saw; it must know left-out instances.

    Raises:
        UsageError: The window is of another size, or nothing is known.
    """

    def __init__(self, window: int, known: KnownDistances) -> None:
        check_window(window)
        if not known.measured:
            raise UsageError("drift cannot be measured, because calibration could leave no instance out")
        self._window = window
        self._values: list[float] = []
        self._reported = False
        self._turn = threading.Lock()
        count, groups = len(known.residuals), len(known.residuals) - known.degrees
        share = math.sqrt(math.pi / (2 * window) + groups / count)
        self.limit = student_quantile(1 - FALSE_ALARMS, known.degrees) * share

    def see(self, deviations: float) -> Drift | None:
        """Takes the next region.

        Args:
            deviations: Its novelty in standard deviations (`Novelty.deviations`).

        Returns:
            A drift when this region completes the first window that departs; afterwards None for ever.
        """
        with self._turn:
            if self._reported:
                return None
            self._values.append(deviations)
            if len(self._values) < self._window:
                return None
            seen = median(self._values)
            self._values.clear()
            if seen <= self.limit:
                return None
            self._reported = True
            return Drift(self._window, seen, self.limit)


def check_window(window: int) -> None:
    """Refuses a window that says too little, or would never be full.

    Raises:
        UsageError: It does not hold 10 to 100,000 regions.
    """
    if not _SMALLEST_WINDOW <= window <= _LARGEST_WINDOW:
        raise UsageError(f"a drift window holds {_SMALLEST_WINDOW} to {_LARGEST_WINDOW:,} regions, not {window}")
