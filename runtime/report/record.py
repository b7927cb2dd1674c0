"""What a report holds besides its pictures, and how it stands in the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mvrec_edge.runtime.errors import MvrecEdgeError

__all__ = [
    "AddCommand",
    "ReportLimits",
    "Section",
    "certainty_of",
    "problem_record",
    "region_record",
    "support_record",
]

# What a page shows in a place of its own; whatever else a prediction's record holds is listed as it is.
_PLACED = frozenset(
    {"image", "source", "box", "area", "label", "probability", "probabilities", "annotated", "nearest", "views", "ms"}
    # What a results file says beside that: the page has it once for all, or in the command that adds a region.
    | {"region", "mask", "picture", "time", "run", "item"}
)
_LONGEST_TEXT = 512
_LONGEST_PATH = 4096
_MOST_ITEMS = 1024
_NOTHING = object()


@dataclass(frozen=True)
class ReportLimits:
    """How large a report may become; what goes beyond is counted, and the page says so.

    Regions that are wrong, unknown, to be looked at or in doubt keep their pictures longest.

    Attributes:
        regions: Regions that are listed, the first ones.
        probabilities: Probabilities of the regions that are listed; each region has one of every class.
        pictures: Bytes of the pictures of regions.
        views: Bytes of the pictures of views.
        support: Bytes of the pictures of support instances; those that are named as nearest come first.
        instances: Support instances that are listed, the first ones, besides those that are named as nearest.
        problems: Failed items that are listed, the first ones.
    """

    regions: int = 20_000
    probabilities: int = 1 << 22
    pictures: int = 32 << 20
    views: int = 16 << 20
    support: int = 8 << 20
    instances: int = 5_000
    problems: int = 500


@dataclass(frozen=True)
class Section:
    """A table of the run's details.

    Attributes:
        title: Its heading.
        rows: Names and values.
    """

    title: str
    rows: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, title: str, values: Mapping[str, object]) -> Section:
        """Makes a section; values that are None are left out."""
        return cls(title, tuple((name, str(value)) for name, value in values.items() if value is not None))


@dataclass(frozen=True)
class AddCommand:
    """What the command that adds a region to the support needs besides the region and its class.

    Attributes:
        cache: Path of the support cache.
        bundle: Path of the bundle.
        min_area: The smallest defect of a mask that was asked for, as it decides which region has which number.
    """

    cache: str
    bundle: str
    min_area: int | None = None

    def to_page(self) -> dict[str, list[str]]:
        """The words before and after the region, as the page takes them."""
        least = [] if self.min_area is None else ["--min-area", str(self.min_area)]
        return {
            "before": ["mvrec-edge", "support", "add", _no_option(self.cache)],
            "after": ["--bundle", _no_option(self.bundle), *least],
        }


def certainty_of(record: Mapping[str, Any]) -> float:
    """How little a region needs to be looked at: the margin of its class, 0 to 1; -1 where it is wrong or unknown.

    Of a region that is to be looked at, it is the margin less 1.
    """
    wrong = record["annotated"] is not None and record["annotated"] != record["label"]
    if wrong or record.get("more", {}).get("unknown") is True:
        return -1.0
    first, second = [*sorted(record["p"], reverse=True)[:2], 0.0, 0.0][:2]
    return float(first - second) - (record.get("more", {}).get("review") is True)


def region_record(
    image: str, record: Mapping[str, Any], names: Sequence[str], nearest: Sequence[tuple[int, float]]
) -> dict[str, Any]:
    """A region as the page takes it, in plain JSON types.

    Args:
        image: The image's path as it was given.
        record: What was said about the region, as `Prediction.to_record` or a results file has it.
        names: The classes in the page's order.
        nearest: Places among the page's support instances, with their similarity.
    """
    kept = {
        "image": _short(image),
        "source": _short(record["source"] or ""),
        "box": record["box"],
        "area": record["area"],
        "label": record["label"],
        "annotated": record["annotated"],
        "p": [round(record["probabilities"].get(name, 0.0), 4) for name in names],
        "near": [[place, round(similarity, 4)] for place, similarity in nearest],
        "views": record["views"],
        "ms": [round(value, 2) for value in record["ms"].values()],
    }
    more = {key: _plain(value) for key, value in record.items() if key not in _PLACED and value is not None}
    usual = {"nearest_class": record["label"], "stopped": "all", "change_risk": 0.0}
    if more := {key: value for key, value in more.items() if value != usual.get(key, _NOTHING)}:
        kept["more"] = more
    if (named := record.get("region")) is not None and len(named) <= _LONGEST_PATH:
        mask = record.get("mask")
        kept["add"] = [_no_option(named), *([] if mask is None else ["--masks", _no_option(mask)])]
    return kept


def support_record(label: str, source: str) -> dict[str, Any]:
    """A support instance as the page takes it."""
    return {"label": label, "source": _short(source)}


def problem_record(image: str, problem: MvrecEdgeError) -> dict[str, Any]:
    """A failed item as the page takes it."""
    return {"image": _short(image), "what": _short(problem.what), "fix": _short(problem.fix or "")}


def _plain(value: Any) -> Any:
    """A value that JSON can hold and a page can show."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value[:_MOST_ITEMS]]
    if isinstance(value, float):
        return round(value, 6) if value == value and abs(value) != float("inf") else str(value)
    return _short(str(value))


def _no_option(path: str) -> str:
    """A path that a command does not take for an option."""
    return f"./{path}" if path.startswith("-") else path


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 3] + "..."
