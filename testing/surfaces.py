"""Rendered surfaces with defects, for trying things out where no images are at hand.

Everything follows from a seed. The surfaces imitate common materials under uneven light with a little sensor noise; a
defect changes the pixels under its mask and casts no shadow beyond it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.testing.held_out import HELD_OUT, Tone
from mvrec_edge.testing.painting import (
    Canvas,
    Mask,
    Points,
    Random,
    draw_curve,
    draw_outline,
    paint,
    pick_place,
    smooth_noise,
)

__all__ = ["DEFECT_FAMILIES", "HELD_OUT_FAMILIES", "SURFACES", "SurfaceSample", "render_defect"]


# Apart from the others' numbers, so that either kind can grow without a change to the other's images.
_HELD_OUT_STREAM = 1000


@dataclass(frozen=True)
class SurfaceSample:
    """One rendered image.

    Attributes:
        image: uint8 `[H, W, 3]`, RGB.
        mask: uint8 `[H, W]`, 255 where the defect is.
        family: Its defect family.
        surface: Its surface.
    """

    image: npt.NDArray[np.uint8]
    mask: Mask
    family: str
    surface: str


def render_defect(
    family: str, surface: str, *, size: tuple[int, int] = (480, 640), seed: int = 0, tone: Tone = None
) -> SurfaceSample:
    """Renders one defect on one surface.

    Args:
        family: One of `DEFECT_FAMILIES` or `HELD_OUT_FAMILIES`.
        surface: One of `SURFACES`.
        size: `(H, W)` in pixels, 64 to 4096 each.
        seed: Decides texture, light, place, shape and contrast.
        tone: Whether a defect of `HELD_OUT_FAMILIES` is brighter or darker than the surface; by default the seed
            decides. The other families have a tone of their own.

    Raises:
        UsageError: There is no such family or surface, or the size is out of range.
    """
    families = DEFECT_FAMILIES + HELD_OUT_FAMILIES
    if family not in families or surface not in _SURFACES:
        raise UsageError(
            f"there is no defect '{family}' on a surface '{surface}'",
            fix=f"families: {', '.join(families)}; surfaces: {', '.join(SURFACES)}",
        )
    height, width = size
    if not (64 <= height <= 4096 and 64 <= width <= 4096):
        raise UsageError(f"a surface is 64 to 4096 pixels high and wide, not {height} x {width}")
    held_out = family in HELD_OUT
    stream = _HELD_OUT_STREAM + HELD_OUT_FAMILIES.index(family) if held_out else DEFECT_FAMILIES.index(family)
    random = np.random.Generator(np.random.PCG64([seed, SURFACES.index(surface), stream]))
    canvas = _lit(_SURFACES[surface](random, height, width), random)
    mask = HELD_OUT[family](random, canvas, tone) if held_out else _FAMILIES[family](random, canvas)
    noisy = canvas + random.normal(0.0, 2.0, canvas.shape).astype(np.float32)
    return SurfaceSample(np.clip(np.rint(noisy), 0, 255).astype(np.uint8), mask, family, surface)


def _coloured(grey: Canvas, random: Random, tint: float) -> Canvas:
    colour = 1.0 + random.uniform(-tint, tint, 3).astype(np.float32)
    return grey[..., None] * colour


def _brushed_metal(random: Random, height: int, width: int) -> Canvas:
    grey = 150 + 16 * smooth_noise(random, height, width, 40, 0.6) + 5 * smooth_noise(random, height, width, 3, 0.5)
    return _coloured(grey, random, 0.03)


def _rolled_steel(random: Random, height: int, width: int) -> Canvas:
    grey = 105 + 10 * smooth_noise(random, height, width, 6, 60) + 8 * smooth_noise(random, height, width, 1.2, 1.2)
    return _coloured(grey, random, 0.05)


def _casting(random: Random, height: int, width: int) -> Canvas:
    grey = 120 + 14 * smooth_noise(random, height, width, 1.5, 1.5) + 9 * smooth_noise(random, height, width, 6, 6)
    return _coloured(grey, random, 0.04)


def _fabric(random: Random, height: int, width: int) -> Canvas:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    pitch = float(random.uniform(7, 11))
    weave = np.sin(2 * np.pi * x / pitch) * np.sign(np.sin(2 * np.pi * y / (2 * pitch)))
    weave += np.sin(2 * np.pi * y / pitch) * np.sign(np.cos(2 * np.pi * x / (2 * pitch)))
    grey = 140 + 14 * weave + 6 * smooth_noise(random, height, width, 2, 2)
    return _coloured(grey.astype(np.float32), random, 0.2)


def _painted(random: Random, height: int, width: int) -> Canvas:
    grey = 165 + 4 * smooth_noise(random, height, width, 2.5, 2.5) + 4 * smooth_noise(random, height, width, 30, 30)
    return _coloured(grey, random, 0.25)


_SURFACES: dict[str, Callable[[Random, int, int], Canvas]] = {
    "brushed metal": _brushed_metal,
    "rolled steel": _rolled_steel,
    "casting": _casting,
    "fabric": _fabric,
    "painted": _painted,
}


def _lit(canvas: Canvas, random: Random) -> Canvas:
    """Lets light fall from one side, with a faint bright spot."""
    height, width = canvas.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = float(random.uniform(0, 2 * np.pi))
    ramp = (np.cos(angle) * (x / width - 0.5) + np.sin(angle) * (y / height - 0.5)) * 0.3
    spot_x, spot_y = random.uniform(0.2, 0.8, 2)
    spot = np.exp(-((x / width - spot_x) ** 2 + (y / height - spot_y) ** 2) / 0.08) * 0.12
    return np.asarray(canvas * (1 + ramp + spot)[..., None], np.float32)


def _contrast(random: Random, low: float, high: float) -> float:
    return float(random.uniform(low, high))


def _curve(canvas: Canvas, points: Points, thickness: int) -> Mask:
    shape = np.zeros(canvas.shape[:2], np.uint8)
    draw_curve(shape, points, thickness)
    return shape


def _scratch(random: Random, canvas: Canvas) -> Mask:
    x, y, scale = pick_place(random, canvas)
    angle, length = random.uniform(0, np.pi), random.uniform(0.18, 0.4) * scale
    bend = random.uniform(-0.15, 0.15) * length
    along = np.linspace(-0.5, 0.5, 40)
    direction, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    points = (x, y) + along[:, None] * length * direction + ((along * 2) ** 2)[:, None] * bend * across
    shape = _curve(canvas, points, max(1, round(scale / 320)))
    return paint(canvas, shape, _contrast(random, 45, 85), 0.7)


def _crack(random: Random, canvas: Canvas) -> Mask:
    x, y, scale = pick_place(random, canvas)
    shape = np.zeros(canvas.shape[:2], np.uint8)
    heading = random.uniform(0, 2 * np.pi)
    for branch in range(int(random.integers(2, 4))):
        steps = int(random.integers(14, 26)) // (1 + branch // 2)
        turns = np.cumsum(random.normal(0, 0.45, steps)) * 0.6 + heading + branch * random.uniform(0.5, 1.2)
        walk = np.cumsum(np.stack([np.cos(turns), np.sin(turns)], axis=1) * scale / 90, axis=0)
        shape = np.maximum(shape, _curve(canvas, np.vstack([(x, y), walk + (x, y)]), max(1, round(scale / 260))))
    return paint(canvas, shape, -_contrast(random, 55, 90), 0.6)


def _pit(random: Random, canvas: Canvas) -> Mask:
    shape = draw_outline(random, canvas, float(random.uniform(0.015, 0.035)), 0.06)
    reach = max(2, round(min(canvas.shape[:2]) / 160))
    grown = cv2.dilate(shape, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    rim = np.asarray(cv2.subtract(grown, shape), np.uint8)
    mask = paint(canvas, shape, -_contrast(random, 60, 95), 1.0)
    return np.maximum(mask, paint(canvas, rim, _contrast(random, 25, 45), 1.0))


def _stain(random: Random, canvas: Canvas) -> Mask:
    shape = draw_outline(random, canvas, float(random.uniform(0.05, 0.11)), 0.18)
    return paint(canvas, shape, -_contrast(random, 28, 48), min(canvas.shape[:2]) / 90)


def _inclusion(random: Random, canvas: Canvas) -> Mask:
    shape = draw_outline(random, canvas, float(random.uniform(0.02, 0.045)), 0.35)
    return paint(canvas, shape, _contrast(random, 50, 85), 0.6)


def _dent(random: Random, canvas: Canvas) -> Mask:
    x, y, scale = pick_place(random, canvas)
    radius = random.uniform(0.05, 0.09) * scale
    rows, columns = np.mgrid[: canvas.shape[0], : canvas.shape[1]].astype(np.float32)
    angle = random.uniform(0, 2 * np.pi)
    across = ((columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)) / radius
    distance = np.hypot(columns - x, rows - y) / radius
    shading = 2.3 * across * np.exp(-(distance**2))
    shape = np.where(distance < 1.45, np.uint8(255), np.uint8(0))
    return paint(canvas, shape, np.asarray(shading * _contrast(random, 40, 65), np.float32), 1.0)


_FAMILIES: dict[str, Callable[[Random, Canvas], Mask]] = {
    "scratch": _scratch,
    "crack": _crack,
    "pit": _pit,
    "stain": _stain,
    "inclusion": _inclusion,
    "dent": _dent,
}

#: The materials that can be rendered.
SURFACES = tuple(_SURFACES)
#: The kinds of defect that can be rendered.
DEFECT_FAMILIES = tuple(_FAMILIES)
#: Kinds of defect that the pocket encoder's training renders nothing like: what it is tried on.
HELD_OUT_FAMILIES = tuple(HELD_OUT)
