"""How many views of a defect are wanted, as a user says it."""

from __future__ import annotations

from dataclasses import dataclass

from mvrec_edge.runtime.errors import UsageError

__all__ = ["DEFAULT_RISK", "ViewUse", "parse_risk", "parse_views"]

#: Highest probability, at a stop, that all views would say otherwise.
DEFAULT_RISK = 0.01

_LOWEST_RISK, _HIGHEST_RISK = 1e-6, 0.5


@dataclass(frozen=True)
class ViewUse:
    """How many views a classifier uses.

    Attributes:
        views: `"all"`; `"auto"`, as many as the decision takes; or a fixed number.
        risk: For `"auto"`: highest probability that all views would say otherwise, 0.000001 to 0.5.
        budget_ms: Most milliseconds for the views of one region, as measured on the engine; None for no limit. One
            group of views is always encoded.

    Raises:
        UsageError: A value is not usable.
    """

    views: str | int = "all"
    risk: float = DEFAULT_RISK
    budget_ms: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.views, str) and self.views not in ("all", "auto"):
            raise UsageError(f"'{self.views}' is not a number of views", fix="give --views 3, all or auto")
        if not _LOWEST_RISK <= self.risk <= _HIGHEST_RISK:
            raise UsageError(f"a risk lies between {_LOWEST_RISK:.6f} and {_HIGHEST_RISK}, not {self.risk}")
        if self.budget_ms is not None and not self.budget_ms > 0:
            raise UsageError(f"a budget is above 0 milliseconds, not {self.budget_ms}")

    @property
    def at_once(self) -> bool:
        """Whether all views are encoded without a look in between."""
        return self.views == "all" and self.budget_ms is None


def parse_views(text: str) -> str | int:
    """Reads how many views are wanted: a number such as `3`, or a word, which `ViewUse` knows or refuses."""
    return int(text) if text.isascii() and text.isdigit() else text


def parse_risk(text: str) -> float:
    """Reads a probability such as `0.01` or `1%`; `ViewUse` says which ones are usable.

    Raises:
        UsageError: It is none.
    """
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is not a probability", fix="give --risk 1% or 0.01") from error
