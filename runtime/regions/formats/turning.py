"""Fields of label files that turn a region, by the names that programs give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError

__all__ = ["TURNS", "refuse_turned"]

TURNS = ("angle", "rotation", "rotation_angle", "theta", "rot", "box_angle", "bbox_angle", "bbox_rotation")


def refuse_turned(fields: Mapping[str, Any], source: str) -> None:
    """Raises `AnnotationError` where one of the fields turns a region: is there, and neither blank nor zero.

    Args:
        fields: What the fields hold, by their names in the file.
        source: Where they stand, for messages.
    """
    for name, value in fields.items():
        if value is not None and str(value).strip(" +-0.,°"):
            raise AnnotationError(
                f"'{name}' turns the region, by an angle that is not read here",
                where=source,
                fix="give the outline instead, as labelme or COCO",
            )
