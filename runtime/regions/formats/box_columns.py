"""What the columns of a table of boxes are called by the programs that write one, and what they mean."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.regions.formats.turning import is_turn

__all__ = ["CORNERS", "BoxColumns", "find_box_columns", "find_box_keys", "is_boxes_table", "is_outline"]

CORNERS = ("x1", "y1", "x2", "y2")
_OUTLINES = ("points", "polygon", "segmentation", "outline", "contour", "rle", "mask", "mask_path")

_SIZE = ("box_width", "box_height")
_MEANINGS = {
    "image": (
        "image",
        "filename",
        "file_name",
        "file",
        "img",
        "image_name",
        "image_path",
        "img_path",
        "path",
    ),
    "x1": ("x1", "xmin", "x_min", "left", "bbox_x", "bbox_left"),
    "y1": ("y1", "ymin", "y_min", "top", "bbox_y", "bbox_top"),
    "x2": ("x2", "xmax", "x_max", "right"),
    "y2": ("y2", "ymax", "y_max", "bottom"),
    "box_width": ("bbox_width", "bbox_w", "box_width"),
    "box_height": ("bbox_height", "bbox_h", "box_height"),
    "label": ("label", "class", "class_name", "classname", "category", "category_name", "label_name"),
    "part": ("part",),
    "image_width": ("image_width", "img_width", "imagewidth", "width"),
    "image_height": ("image_height", "img_height", "imageheight", "height"),
}
_MEANING_OF = {name: meaning for meaning, names in _MEANINGS.items() for name in names}
# These may be the box's own size, where others are said to be the image's.
_VAGUE = ("width", "height")

_LONGEST_KEPT = 64


@dataclass(frozen=True)
class BoxColumns:
    """Where the columns of a table of boxes stand.

    Attributes:
        places: Meaning to place: `image`, `x1`, `y1`, and `x2`, `y2` or `box_width`, `box_height`; perhaps `label`,
            `part`, `image_width` and `image_height`.
        names: Meaning to the name in the table, for messages.
        turns: Columns that would turn the box.
        outlines: Columns that hold an outline or a mask.
    """

    places: dict[str, int]
    names: dict[str, str]
    turns: tuple[int, ...]
    outlines: tuple[int, ...]

    @property
    def box(self) -> tuple[str, ...]:
        """The meanings that make a box: its corners, or its first corner and its size."""
        return CORNERS if "x2" in self.places else ("x1", "y1", *_SIZE)


def is_boxes_table(header: Sequence[str]) -> bool:
    """Whether a table's header is of this format."""
    meanings = {_MEANING_OF.get(_tidy(name)) for name in header}
    return {"image", *CORNERS} <= meanings or {"image", "x1", "y1", *_SIZE} <= meanings


def find_box_columns(header: Sequence[str], path: Path) -> BoxColumns:
    """The columns of a table of boxes, whatever the case of their names.

    Args:
        header: The names as they stand in the table.
        path: The table, for messages.

    Raises:
        InputError: A column is missing, or two have the same meaning.
    """
    tidy = [_tidy(name) for name in header]
    places: dict[str, int] = {}
    for place, meaning in _meanings(tidy):
        if meaning in places:
            raise InputError(
                f"the columns '{header[places[meaning]]}' and '{header[place]}' mean the same",
                where=path,
                fix="delete or rename one of them",
            )
        places[meaning] = place
    if not is_boxes_table(header):
        missing = ", ".join(name for name in ("image", *CORNERS) if name not in places)
        raise InputError(f"the table lacks the columns {missing}", where=path, fix="begin with image,x1,y1,x2,y2,label")
    return BoxColumns(
        places,
        {meaning: header[place] for meaning, place in places.items()},
        tuple(place for place, name in enumerate(header) if is_turn(name)),
        tuple(place for place, name in enumerate(header) if is_outline(name)),
    )


def find_box_keys(entry: Mapping[str, Any], source: str) -> dict[str, Any]:
    """What an object of JSON Lines says, whatever the case of its keys.

    Args:
        entry: The object. Its keys are called as the columns of a table; `box` holds four corners at once.
        source: Where it stands, for messages.

    Returns:
        Meaning to value, the meanings being those of `BoxColumns` and `box`.

    Raises:
        AnnotationError: Two keys have the same meaning.
    """
    keys = list(entry)
    tidy = [_tidy(key) for key in keys]
    found: dict[str, str] = {}
    for place, meaning in (*_meanings(tidy), *((place, "box") for place, name in enumerate(tidy) if name == "box")):
        other = found.get(meaning)
        if meaning == "box" and other is None:
            other = next((found[side] for side in (*CORNERS, *_SIZE) if side in found), None)
        if other is not None:
            what = f"the keys '{other}' and '{keys[place]}' mean the same"
            raise AnnotationError(what, where=source, fix="delete or rename one of them")
        found[meaning] = keys[place]
    return {meaning: entry[key] for meaning, key in found.items()}


def is_outline(name: str) -> bool:
    """Whether a column or key holds what would take the place of a box."""
    return _tidy(name) in _OUTLINES


def _meanings(tidy: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Place and meaning of each name that has one."""
    for place, name in enumerate(tidy):
        meaning = _MEANING_OF.get(name)
        if meaning is None or (name in _VAGUE and any(other in tidy for other in _MEANINGS[meaning] if other != name)):
            continue
        yield place, meaning


def _tidy(name: str) -> str:
    # The same few names stand in each of many lines; longer ones are not kept.
    return _tidied(name) if len(name) <= _LONGEST_KEPT else _tidied.__wrapped__(name)


@functools.lru_cache
def _tidied(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())
