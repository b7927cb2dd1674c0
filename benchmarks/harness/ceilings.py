"""What the machine can do at most: large matrix products, measured between the candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mvrec_edge.bench.round_robin import RoundRobin
from mvrec_edge.bench.statistics import median

__all__ = ["Ceilings"]


@dataclass(frozen=True)
class _Ceiling:
    dtype: str
    on_gpu: bool
    library: str
    side: int
    # GFLOP/s by round: the best of a few products for each visit.
    rates: Mapping[int, Sequence[float]]

    @property
    def all_rates(self) -> list[float]:
        return [rate for rates in self.rates.values() for rate in rates]


@dataclass(frozen=True)
class Ceilings:
    """The matrix products of a run.

    Attributes:
        known: What was measured.
        missing: Why something was not, by dtype or library.
    """

    known: tuple[_Ceiling, ...]
    missing: Mapping[str, str]

    @classmethod
    def of(cls, schedule: RoundRobin) -> Ceilings:
        """Takes them out of a schedule that has run."""
        known, missing = [], {}
        for case in schedule.cases:
            if not case.dtype:
                continue
            samples, library = schedule.samples[case.name], case.name.removeprefix("product ").split("/")[0]
            for (_, side), rounds in samples.times.items():
                work = 2.0 * side**3
                rates = {number: [work / seconds / 1e9 for seconds in times] for number, times in rounds.items()}
                known.append(_Ceiling(case.dtype, case.on_gpu, library, side, rates))
            if samples.error is not None:
                missing[f"{case.dtype} by {library}{_place(case.on_gpu)}"] = samples.error
        wanted = {(item.candidate.precision, item.on_gpu) for item in schedule.cases if item.candidate is not None}
        for dtype, on_gpu in sorted(wanted - {(ceiling.dtype, ceiling.on_gpu) for ceiling in known}):
            missing[f"{dtype}{_place(on_gpu)}"] = "not measured: no library at hand multiplies this type"
        return cls(tuple(known), missing)

    def _highest(self, dtype: str, on_gpu: bool) -> _Ceiling | None:
        fitting = [ceiling for ceiling in self.known if (ceiling.dtype, ceiling.on_gpu) == (dtype, on_gpu)]
        return max(fitting, key=lambda ceiling: median(ceiling.all_rates) or 0.0, default=None)

    def share(self, dtype: str, on_gpu: bool, work: float, rounds: Mapping[int, Sequence[float]]) -> float | None:
        """The share of the ceiling that a cell reaches: the median over rounds of the share in a round.

        Args:
            dtype: What the products are computed in, such as `"bf16"`.
            on_gpu: Whether they are computed on a GPU.
            work: Floating point operations of one run.
            rounds: Seconds of the cell's runs by round.

        Returns:
            The share; None where the type was not measured.
        """
        ceiling = self._highest(dtype, on_gpu)
        if ceiling is None:
            return None
        shares = []
        for number, times in rounds.items():
            seconds, rate = median(times), median(ceiling.rates.get(number, ()))
            if seconds and rate:
                shares.append(work / seconds / 1e9 / rate)
        return median(shares)

    def to_record(self) -> dict[str, Any]:
        """Plain JSON types: a row for each type and library, and what is missing."""
        rows = []
        for ceiling in self.known:
            middle = median(ceiling.all_rates)
            rows.append(
                {
                    "dtype": ceiling.dtype,
                    "on_gpu": ceiling.on_gpu,
                    "library": ceiling.library,
                    "side": ceiling.side,
                    "visits": len(ceiling.all_rates),
                    "median_gflop_per_s": None if middle is None else round(middle, 1),
                    "best_gflop_per_s": round(max(ceiling.all_rates), 1),
                    "used_for_shares": ceiling is self._highest(ceiling.dtype, ceiling.on_gpu),
                }
            )
        return {"rows": rows, "not_measured": dict(self.missing)}


def _place(on_gpu: bool) -> str:
    return " on the GPU" if on_gpu else ""
