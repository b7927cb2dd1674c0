"""Outlines of defects: processes with numbers of their own, which a class keeps and an instance varies.

Rings, evenly spaced marks, cracks that radiate from a point, loops and nets of cracks are left out on purpose: they are
what the encoder is tried on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from training.fields import Random, coordinates, log_uniform, smooth_noise

__all__ = ["PROCESSES", "Shape", "draw_shape", "render_shape"]

Mask = npt.NDArray[np.uint8]
_FRACTION_BITS = 4
_ONE = 1 << _FRACTION_BITS


@dataclass(frozen=True)
class Shape:
    """A process and its numbers.

    Attributes:
        process: One of `PROCESSES`.
        size: Extent in pixels.
        numbers: What else the process takes.
        angle: Direction in radians that all instances share; None where each has its own.
        spread: Deviation of an instance's size, as a logarithm.
    """

    process: str
    size: float
    numbers: dict[str, Any]
    angle: float | None
    spread: float


def draw_shape(random: Random) -> Shape:
    """Draws the shape of a class."""
    process = str(random.choice(PROCESSES))
    smallest, largest = _SIZES[process]
    return Shape(
        process=process,
        size=log_uniform(random, smallest, largest),
        numbers={name: draw(random) for name, draw in _NUMBERS[process].items()},
        angle=float(random.uniform(0, np.pi)) if random.random() < 0.25 else None,
        spread=float(random.uniform(0.05, 0.4)),
    )


def render_shape(random: Random, shape: Shape, height: int, width: int) -> Mask:
    """Renders an instance somewhere in an image: uint8 `[H, W]`, 0 to 255, smooth at its edges."""
    size = shape.size * float(np.exp(random.normal(0, shape.spread)))
    angle = random.uniform(0, 2 * np.pi) if shape.angle is None else shape.angle + random.normal(0, 0.12)
    margin = 0.15 if random.random() < 0.7 else 0.0
    x, y = random.uniform(margin, 1 - margin) * width, random.uniform(margin, 1 - margin) * height
    mask = np.zeros((height, width), np.uint8)
    return _PROCESS[shape.process](random, mask, float(x), float(y), size, float(angle), **shape.numbers)


def _near(random: Random, value: float, spread: float = 0.15) -> float:
    return float(value * np.exp(random.normal(0, spread)))


def _outline(
    random: Random, x: float, y: float, size: float, angle: float, ratio: float, roughness: float
) -> npt.NDArray[np.float64]:
    """A closed curve about (x, y): an ellipse whose radius wavers, float64 `[48, 2]`."""
    turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = np.ones_like(turns)
    for order in range(2, 8):
        radius += random.normal(0, roughness / order**0.7) * np.cos(order * turns + random.uniform(0, 2 * np.pi))
    radius = np.maximum(radius, 0.25) * size / 2
    along, across = radius * np.cos(turns) * np.sqrt(ratio), radius * np.sin(turns) / np.sqrt(ratio)
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([x + along * cosine - across * sine, y + along * sine + across * cosine], axis=1)


def _fill(mask: Mask, points: npt.NDArray[np.float64]) -> None:
    cv2.fillPoly(mask, [np.rint(points * _ONE).astype(np.int32)], (255,), cv2.LINE_AA, _FRACTION_BITS)


def _draw(mask: Mask, points: npt.NDArray[np.float64], thickness: float) -> None:
    """A line; one thinner than a pixel is drawn fainter."""
    level = (int(255 * min(1.0, max(0.35, thickness))),)
    wide = max(1, round(thickness))
    cv2.polylines(mask, [np.rint(points * _ONE).astype(np.int32)], False, level, wide, cv2.LINE_AA, _FRACTION_BITS)


def _blob(
    random: Random, mask: Mask, x: float, y: float, size: float, angle: float, ratio: float, roughness: float
) -> Mask:
    _fill(mask, _outline(random, x, y, size, angle, max(1.0, _near(random, ratio)), roughness))
    return mask


def _chip(
    random: Random, mask: Mask, x: float, y: float, size: float, angle: float, corners: int, ratio: float
) -> Mask:
    turns = np.sort(random.uniform(0, 2 * np.pi, corners)) + random.normal(0, 0.1, corners)
    along, across = np.cos(turns) * size / 2 * np.sqrt(ratio), np.sin(turns) * size / 2 / np.sqrt(ratio)
    cosine, sine = np.cos(angle), np.sin(angle)
    _fill(mask, np.stack([x + along * cosine - across * sine, y + along * sine + across * cosine], axis=1))
    return mask


def _stroke(
    random: Random,
    mask: Mask,
    x: float,
    y: float,
    size: float,
    angle: float,
    thickness: float,
    bend: float,
    strokes: float,
) -> Mask:
    for _ in range(1 + int(random.poisson(strokes))):
        along = np.linspace(-0.5, 0.5, 14)
        curve = bend * random.normal(0, 1) * (along * 2) ** 2 + 0.3 * bend * random.normal(0, 1) * np.sin(5 * along)
        length = _near(random, size, 0.2)
        turned = angle + random.normal(0, 0.25)
        cosine, sine = np.cos(turned), np.sin(turned)
        moved_x, moved_y = x + random.normal(0, 0.12 * size), y + random.normal(0, 0.12 * size)
        points = np.stack(
            [
                moved_x + length * (along * cosine - curve * sine),
                moved_y + length * (along * sine + curve * cosine),
            ],
            axis=1,
        )
        _draw(mask, points, _near(random, thickness))
    return mask


def _crack(
    random: Random,
    mask: Mask,
    x: float,
    y: float,
    size: float,
    angle: float,
    thickness: float,
    jitter: float,
    branches: float,
) -> Mask:
    steps = 16
    main = _walk(random, x, y, angle, size, steps, jitter)
    _draw(mask, main, _near(random, thickness))
    for _ in range(int(random.poisson(branches))):
        begin = main[int(random.integers(3, steps - 2))]
        side = angle + random.choice([-1, 1]) * random.uniform(0.4, 1.2)
        length = size * random.uniform(0.2, 0.5)
        _draw(mask, _walk(random, begin[0], begin[1], side, length, 8, jitter), 0.8 * thickness)
    return mask


def _walk(
    random: Random, x: float, y: float, angle: float, length: float, steps: int, jitter: float
) -> npt.NDArray[np.float64]:
    turns = angle + np.cumsum(random.normal(0, 0.3 * jitter, steps)) + random.normal(0, jitter, steps)
    path = np.cumsum(np.stack([np.cos(turns), np.sin(turns)], axis=1) * length / steps, axis=0)
    return np.vstack([(0.0, 0.0), path]) + (x, y)


def _cluster(
    random: Random,
    mask: Mask,
    x: float,
    y: float,
    size: float,
    angle: float,
    number: float,
    part: float,
    ratio: float,
    roughness: float,
) -> Mask:
    for _ in range(2 + int(random.poisson(number))):
        along, across = random.normal(0, size / 4 * np.sqrt(ratio)), random.normal(0, size / 4 / np.sqrt(ratio))
        place_x = x + along * np.cos(angle) - across * np.sin(angle)
        place_y = y + along * np.sin(angle) + across * np.cos(angle)
        extent = max(1.5, _near(random, part, 0.35))
        _fill(mask, _outline(random, place_x, place_y, extent, random.uniform(0, 6), 1.2, roughness))
    return mask


def _patch(
    random: Random, mask: Mask, x: float, y: float, size: float, angle: float, grain: float, cover: float, ratio: float
) -> Mask:
    height, width = mask.shape
    along, across = coordinates(height, width, x, y, angle)
    inside = 1 - ((along / np.sqrt(ratio)) ** 2 + (across * np.sqrt(ratio)) ** 2) / np.float32((size / 2) ** 2)
    field = smooth_noise(random, height, width, grain, grain)
    level = 128 + 110 * (1.2 * inside + field - np.float32(2 * (0.5 - cover)))
    level[inside < -0.6] = 0
    return np.asarray(np.clip(level, 0, 255), np.uint8)


def _band(random: Random, mask: Mask, x: float, y: float, size: float, angle: float, length: float) -> Mask:
    height, width = mask.shape
    along, across = coordinates(height, width, x, y, angle)
    waver = smooth_noise(random, height, width, 50, 50) * np.float32(0.12 * size)
    reach = np.float32(_near(random, length) / 2)
    level = np.minimum(np.float32(size / 2) - np.abs(across + waver), reach - np.abs(along))
    return np.asarray(np.clip(128 + 127 * level, 0, 255), np.uint8)


def _bite(random: Random, mask: Mask, x: float, y: float, size: float, angle: float, roughness: float) -> Mask:
    """Something that begins at the border of the image."""
    height, width = mask.shape
    side = int(random.integers(4)) if angle > np.pi else int(angle / np.pi * 4) % 4
    x, y = [(x, 0.0), (x, float(height)), (0.0, y), (float(width), y)][side]
    _fill(mask, _outline(random, x, y, size, random.uniform(0, 6), _near(random, 1.4, 0.3), roughness))
    return mask


def _scuff(
    random: Random,
    mask: Mask,
    x: float,
    y: float,
    size: float,
    angle: float,
    number: float,
    thickness: float,
    fan: float,
) -> Mask:
    """Many short strokes in a patch, near one direction or in all."""
    for _ in range(4 + int(random.poisson(number))):
        begin = np.array([x, y]) + random.normal(0, size / 4, 2)
        turned = angle + random.normal(0, fan)
        end = begin + random.uniform(0.1, 0.5) * size * np.array([np.cos(turned), np.sin(turned)])
        _draw(mask, np.stack([begin, end]), thickness)
    return mask


_PROCESS: dict[str, Callable[..., Mask]] = {
    "blob": _blob,
    "chip": _chip,
    "stroke": _stroke,
    "crack": _crack,
    "cluster": _cluster,
    "patch": _patch,
    "band": _band,
    "bite": _bite,
    "scuff": _scuff,
}
PROCESSES = tuple(_PROCESS)

# In pixels of the rendered image, of which a window of 256 pixels takes 128.
_SIZES = {
    "blob": (3.0, 110.0),
    "chip": (6.0, 110.0),
    "stroke": (14.0, 150.0),
    "crack": (16.0, 150.0),
    "cluster": (16.0, 120.0),
    "patch": (20.0, 160.0),
    "band": (4.0, 60.0),
    "bite": (14.0, 130.0),
    "scuff": (16.0, 110.0),
}

_NUMBERS: dict[str, dict[str, Callable[[Random], Any]]] = {
    "blob": {
        "ratio": lambda random: log_uniform(random, 1, 5),
        "roughness": lambda random: log_uniform(random, 0.01, 0.35),
    },
    "chip": {"corners": lambda random: int(random.integers(3, 8)), "ratio": lambda random: log_uniform(random, 1, 4)},
    "stroke": {
        "thickness": lambda random: log_uniform(random, 0.5, 7),
        "bend": lambda random: log_uniform(random, 0.01, 0.4),
        "strokes": lambda random: float(random.choice([0, 0, 0.7, 2])),
    },
    "crack": {
        "thickness": lambda random: log_uniform(random, 0.5, 3.5),
        "jitter": lambda random: log_uniform(random, 0.1, 0.8),
        "branches": lambda random: float(random.choice([0, 0.7, 2])),
    },
    "cluster": {
        "number": lambda random: log_uniform(random, 2, 30),
        "part": lambda random: log_uniform(random, 2, 14),
        "ratio": lambda random: log_uniform(random, 1, 4),
        "roughness": lambda random: log_uniform(random, 0.02, 0.3),
    },
    "patch": {
        "grain": lambda random: log_uniform(random, 2.5, 30),
        "cover": lambda random: random.uniform(0.25, 0.8),
        "ratio": lambda random: log_uniform(random, 1, 4),
    },
    "band": {"length": lambda random: log_uniform(random, 40, 600)},
    "bite": {"roughness": lambda random: log_uniform(random, 0.03, 0.35)},
    "scuff": {
        "number": lambda random: log_uniform(random, 4, 25),
        "thickness": lambda random: log_uniform(random, 0.5, 2.5),
        "fan": lambda random: float(random.choice([0.3, 0.8, 3.0])),
    },
}
