"""Predictions drawn on the image they were made for."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.regions.region import Box, Region

__all__ = ["OverlayItem", "class_colour", "class_colour_at", "draw_outline", "draw_predictions"]

_Pixels = npt.NDArray[np.uint8]
_Colour = tuple[int, int, int]

# Okabe and Ito's palette without black: told apart with every common kind of colour blindness. RGB.
_PALETTE = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# OpenCV's font has no other letters; these do not come apart into a letter and a mark.
_SPELLED_OUT = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d"})
_LONGEST_TAG = 40
# A picture smaller than this is enlarged, so that a tag is legible and fits.
_SMALLEST_SIDE = 320


@dataclass(frozen=True)
class OverlayItem:
    """What is drawn for one region.

    Attributes:
        region: The region.
        label: Its class.
        probability: Its probability, or None to leave it out.
        review: Whether a human looks at it: a question mark stands behind its class.
    """

    region: Region
    label: str
    probability: float | None = None
    review: bool = False


def class_colour_at(place: int) -> tuple[int, int, int]:
    """The colour of the class at a place of the list of all classes, as `class_colour` gives it."""
    return _PALETTE[place % len(_PALETTE)]


def class_colour(label: str, classes: Sequence[str] = ()) -> tuple[int, int, int]:
    """The colour of a class, RGB; the same in every run and on every machine.

    Args:
        label: The class.
        classes: All classes, so that neighbours in the list differ; a class that is not listed gets a colour from
            its name.
    """
    if label in classes:
        return class_colour_at(list(classes).index(label))
    return _PALETTE[zlib.crc32(label.encode(errors="replace")) % len(_PALETTE)]


def draw_predictions(image: _Pixels, items: Sequence[OverlayItem], classes: Sequence[str] = ()) -> _Pixels:
    """Draws contour, class and probability of every region.

    An image whose shorter side is below 320 pixels is enlarged by a whole factor first, so that text is legible.

    Args:
        image: uint8 `[H, W, 3]`, RGB; not changed.
        items: What to draw.
        classes: All classes in a fixed order, so that each keeps its colour from image to image.

    Returns:
        uint8 `[f H, f W, 3]`, RGB, f = 1 for all but small images.
    """
    factor = max(1, -(-_SMALLEST_SIDE // min(image.shape[:2])))
    height, width = image.shape[0] * factor, image.shape[1] * factor
    canvas = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
    canvas = canvas.copy() if canvas is image else canvas
    thickness = max(1, round(min(height, width) / 400))
    for item in items:
        _draw_outline(canvas, item, factor, thickness, class_colour(item.label, classes))
    taken: list[Box] = [_scaled(item.region.box, factor) for item in items]
    for item in items:
        box = _scaled(item.region.box, factor)
        taken.append(_draw_tag(canvas, item, box, taken, class_colour(item.label, classes)))
    return canvas


def draw_outline(
    canvas: _Pixels, mask: _Pixels, colour: _Colour, *, origin: tuple[int, int] = (0, 0), thickness: int = 1
) -> None:
    """Draws a line around a mask, a little off it, with a dark edge.

    Args:
        canvas: uint8 `[H, W, 3]`, RGB; drawn on.
        mask: uint8 `[h, w]`; every value above 0 belongs to the defect.
        colour: RGB.
        origin: `(x, y)` of the mask's first pixel on the canvas.
        thickness: Width of the coloured line in pixels.
    """
    # Drawn around the defect, not on it: a thin scratch must stay visible inside its outline.
    reach = 2 * thickness + 3
    mask = np.asarray(cv2.copyMakeBorder(mask, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=(0,)), np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    contours, _ = cv2.findContours(
        cv2.dilate(mask, kernel),
        cv2.RETR_EXTERNAL,
        cv2.CHAIN_APPROX_SIMPLE,
        offset=(origin[0] - reach, origin[1] - reach),
    )
    # A dark edge under the colour: it is seen on bright and dark surfaces alike.
    cv2.drawContours(canvas, contours, -1, (0, 0, 0), thickness + 2, cv2.LINE_AA)
    cv2.drawContours(canvas, contours, -1, colour, thickness, cv2.LINE_AA)


def _draw_outline(canvas: _Pixels, item: OverlayItem, factor: int, thickness: int, colour: _Colour) -> None:
    patch = cv2.resize(item.region.patch, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    x, y = item.region.origin
    draw_outline(canvas, np.asarray(patch, np.uint8), colour, origin=(x * factor, y * factor), thickness=thickness)


def _draw_tag(canvas: _Pixels, item: OverlayItem, box: Box, taken: Sequence[Box], colour: _Colour) -> Box:
    """Writes class and probability near a box, off other boxes where there is room; returns where."""
    text = _ascii(item.label)
    if item.probability is not None:
        text += f" {item.probability:.2f}"
    if item.review:
        text += " ?"
    height, width = canvas.shape[:2]
    scale = max(0.45, min(height, width) / 1100)
    stroke = max(1, round(scale * 1.6))
    (text_width, text_height), baseline = cv2.getTextSize(text, _FONT, scale, stroke)
    if text_width + 12 > width:
        scale *= (width - 12) / text_width
        (text_width, text_height), baseline = cv2.getTextSize(text, _FONT, scale, stroke)
    margin = max(3, text_height // 3)
    size = (text_width + 2 * margin, text_height + baseline + 2 * margin)
    place = _free_place(box, size, (width, height), taken)
    x1, y1, x2, y2 = place
    cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, cv2.FILLED)
    brightness = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    ink = (0, 0, 0) if brightness > 110 else (255, 255, 255)
    cv2.putText(canvas, text, (x1 + margin, y2 - margin - baseline), _FONT, scale, ink, stroke, cv2.LINE_AA)
    return place


def _free_place(box: Box, size: tuple[int, int], image: tuple[int, int], taken: Sequence[Box]) -> Box:
    """The first of a few places around a box that is inside the image and covers nothing; else the least bad."""
    x1, y1, x2, y2 = box
    width, height = size
    gap = 4
    above, below = y1 - height - gap, y2 + gap
    corners = [(x1, above), (x1, below), (x2 - width, above), (x2 - width, below)]
    corners += [(x2 + gap, y1), (x1 - width - gap, y1), (x2 + gap, y2 - height), (x1 - width - gap, y2 - height)]
    corners += [(x1, above - step * height) for step in (1, 2)] + [(x1, below + step * height) for step in (1, 2)]
    places = []
    for left, top in corners:
        left = min(max(left, 0), max(image[0] - width - 1, 0))
        top = min(max(top, 0), max(image[1] - height - 1, 0))
        places.append((left, top, left + width, top + height))
    others = np.asarray(taken, np.int64).reshape(-1, 4)
    return min(places, key=lambda place: _overlap(place, others))


def _overlap(box: Box, others: npt.NDArray[np.int64]) -> int:
    """Pixels that a box shares with other boxes, int64 `[N, 4]`, each counted as often as it is shared."""
    across = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0]) + 1
    down = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1]) + 1
    return int((np.maximum(across, 0) * np.maximum(down, 0)).sum())


def _scaled(box: Box, factor: int) -> Box:
    return (box[0] * factor, box[1] * factor, (box[2] + 1) * factor - 1, (box[3] + 1) * factor - 1)


def _ascii(label: str) -> str:
    """Writes a label in the letters the font has: accents are dropped, other scripts are spelled as numbers."""
    plain = unicodedata.normalize("NFKD", label.translate(_SPELLED_OUT))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    text = plain.encode("ascii", "backslashreplace").decode()
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= _LONGEST_TAG else text[: _LONGEST_TAG - 3] + "..."
