"""Classes on a page about several parts: `PART/CLASS`, since two parts may have a class of one name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from mvrec_edge.runtime.heads import Neighbour

__all__ = ["titled_neighbour", "titled_record"]


def titled_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with its classes as the page names them; the same where it is of no part.

    Args:
        record: What was said about a region, as `Prediction.to_record` or a results file has it.
    """
    part = record.get("part")
    if not isinstance(part, str):
        return dict(record)
    known = record["probabilities"]

    def titled(name: Any) -> Any:
        return f"{part}/{name}" if name in known else name

    changed = dict(record)
    if changed.get("unknown") is not True:
        changed["label"] = titled(changed["label"])
    if "nearest_class" in changed:
        changed["nearest_class"] = titled(changed["nearest_class"])
    # An annotation names no part; where the chosen part has no such class, it stays as it is, and differs.
    changed["annotated"] = titled(changed.get("annotated"))
    changed["probabilities"] = {titled(name): value for name, value in known.items()}
    changed["nearest"] = [each | {"label": f"{part}/{each['label']}"} for each in record["nearest"]]
    return changed


def titled_neighbour(item: Neighbour, part: str | None) -> Neighbour:
    """A neighbour with its class as the page names it."""
    return item if part is None else dataclasses.replace(item, label=f"{part}/{item.label}")
