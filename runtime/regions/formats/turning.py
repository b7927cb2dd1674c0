"""Fields of label files that turn a region, by the names that programs give them."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError

__all__ = ["is_turn", "refuse_turned", "turns_in"]

# Words of a name: `Rotation (deg)`, `angle_deg`, `bbox-theta`, `boxAngle`; no `rectangle`.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_TURN = re.compile(r"(rot(ation)?|b?box)?(angle|rotation|theta)s?(deg|degs|degrees?|rad|rads|radians?)?|rot(deg|rad)?")

_LONGEST_KEPT = 64


def is_turn(name: str) -> bool:
    """Whether a field of this name turns a region, going by the words in it."""
    # The same few names stand in each of many entries; longer ones are not kept.
    return _is_turn(name) if len(name) <= _LONGEST_KEPT else _is_turn.__wrapped__(name)


@functools.lru_cache
def _is_turn(name: str) -> bool:
    return "θ" in name.lower() or any(_TURN.fullmatch(word.lower()) for word in _WORD.findall(name))


def turns_in(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the fields that turn a region."""
    return {name: value for name, value in fields.items() if is_turn(name)}


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
