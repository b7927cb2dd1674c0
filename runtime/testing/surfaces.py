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

__all__ = ["DEFECT_FAMILIES", "SURFACES", "SurfaceSample", "render_defect"]

_Image = npt.NDArray[np.float32]
_Mask = npt.NDArray[np.uint8]
_Random = np.random.Generator


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
    mask: _Mask
    family: str
    surface: str


def render_defect(family: str, surface: str, *, size: tuple[int, int] = (480, 640), seed: int = 0) -> SurfaceSample:
    """Renders one defect on one surface.

    Args:
        family: One of `DEFECT_FAMILIES`.
        surface: One of `SURFACES`.
        size: `(H, W)` in pixels, 64 to 4096 each.
        seed: Decides texture, light, place, shape and contrast.

    Raises:
        UsageError: There is no such family or surface, or the size is out of range.
    """
    if family not in _FAMILIES or surface not in _SURFACES:
        raise UsageError(
            f"there is no defect '{family}' on a surface '{surface}'",
            fix=f"families: {', '.join(DEFECT_FAMILIES)}; surfaces: {', '.join(SURFACES)}",
        )
    height, width = size
    if not (64 <= height <= 4096 and 64 <= width <= 4096):
        raise UsageError(f"a surface is 64 to 4096 pixels high and wide, not {height} x {width}")
    random = np.random.Generator(np.random.PCG64([seed, SURFACES.index(surface), DEFECT_FAMILIES.index(family)]))
    canvas = _lit(_SURFACES[surface](random, height, width), random)
    mask = _FAMILIES[family](random, canvas)
    noisy = canvas + random.normal(0.0, 2.0, canvas.shape).astype(np.float32)
    return SurfaceSample(np.clip(np.rint(noisy), 0, 255).astype(np.uint8), mask, family, surface)


def _noise(random: _Random, height: int, width: int, sigma_x: float, sigma_y: float) -> _Image:
    """Smooth noise of zero mean and unit deviation, float32 `[H, W]`."""
    grain = random.standard_normal((height, width), dtype=np.float32)
    field = cv2.GaussianBlur(grain, (0, 0), sigmaX=max(sigma_x, 0.1), sigmaY=max(sigma_y, 0.1))
    return np.asarray((field - field.mean()) / (field.std() + 1e-6), np.float32)


def _coloured(grey: _Image, random: _Random, tint: float) -> _Image:
    colour = 1.0 + random.uniform(-tint, tint, 3).astype(np.float32)
    return grey[..., None] * colour


def _brushed_metal(random: _Random, height: int, width: int) -> _Image:
    grey = 150 + 16 * _noise(random, height, width, 40, 0.6) + 5 * _noise(random, height, width, 3, 0.5)
    return _coloured(grey, random, 0.03)


def _rolled_steel(random: _Random, height: int, width: int) -> _Image:
    grey = 105 + 10 * _noise(random, height, width, 6, 60) + 8 * _noise(random, height, width, 1.2, 1.2)
    return _coloured(grey, random, 0.05)


def _casting(random: _Random, height: int, width: int) -> _Image:
    grey = 120 + 14 * _noise(random, height, width, 1.5, 1.5) + 9 * _noise(random, height, width, 6, 6)
    return _coloured(grey, random, 0.04)


def _fabric(random: _Random, height: int, width: int) -> _Image:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    pitch = float(random.uniform(7, 11))
    weave = np.sin(2 * np.pi * x / pitch) * np.sign(np.sin(2 * np.pi * y / (2 * pitch)))
    weave += np.sin(2 * np.pi * y / pitch) * np.sign(np.cos(2 * np.pi * x / (2 * pitch)))
    grey = 140 + 14 * weave + 6 * _noise(random, height, width, 2, 2)
    return _coloured(grey.astype(np.float32), random, 0.2)


def _painted(random: _Random, height: int, width: int) -> _Image:
    grey = 165 + 4 * _noise(random, height, width, 2.5, 2.5) + 4 * _noise(random, height, width, 30, 30)
    return _coloured(grey, random, 0.25)


_SURFACES: dict[str, Callable[[_Random, int, int], _Image]] = {
    "brushed metal": _brushed_metal,
    "rolled steel": _rolled_steel,
    "casting": _casting,
    "fabric": _fabric,
    "painted": _painted,
}


def _lit(canvas: _Image, random: _Random) -> _Image:
    """Lets light fall from one side, with a faint bright spot."""
    height, width = canvas.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = float(random.uniform(0, 2 * np.pi))
    ramp = (np.cos(angle) * (x / width - 0.5) + np.sin(angle) * (y / height - 0.5)) * 0.3
    spot_x, spot_y = random.uniform(0.2, 0.8, 2)
    spot = np.exp(-((x / width - spot_x) ** 2 + (y / height - spot_y) ** 2) / 0.08) * 0.12
    return np.asarray(canvas * (1 + ramp + spot)[..., None], np.float32)


def _place(random: _Random, canvas: _Image) -> tuple[float, float, float]:
    """A middle well inside the image, and a scale that suits it."""
    height, width = canvas.shape[:2]
    scale = min(height, width)
    return float(random.uniform(0.3, 0.7) * width), float(random.uniform(0.3, 0.7) * height), float(scale)


def _paint(canvas: _Image, shape: _Mask, change: float | _Image, softness: float) -> _Mask:
    """Adds `change` under a soft version of `shape`, and returns the mask of what it changed."""
    soft = cv2.GaussianBlur(shape.astype(np.float32) / 255, (0, 0), max(softness, 0.3))
    amount = soft * change
    canvas += amount[..., None]
    return np.where(soft > 0.2, np.uint8(255), np.uint8(0))


def _contrast(random: _Random, low: float, high: float) -> float:
    return float(random.uniform(low, high))


def _curve(canvas: _Image, points: npt.NDArray[np.float64], thickness: int) -> _Mask:
    shape = np.zeros(canvas.shape[:2], np.uint8)
    cv2.polylines(shape, [np.rint(points * 16).astype(np.int32)], False, (255,), thickness, cv2.LINE_AA, 4)
    return shape


def _scratch(random: _Random, canvas: _Image) -> _Mask:
    x, y, scale = _place(random, canvas)
    angle, length = random.uniform(0, np.pi), random.uniform(0.18, 0.4) * scale
    bend = random.uniform(-0.15, 0.15) * length
    along = np.linspace(-0.5, 0.5, 40)
    direction, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    points = (x, y) + along[:, None] * length * direction + ((along * 2) ** 2)[:, None] * bend * across
    shape = _curve(canvas, points, max(1, round(scale / 320)))
    return _paint(canvas, shape, _contrast(random, 45, 85), 0.7)


def _crack(random: _Random, canvas: _Image) -> _Mask:
    x, y, scale = _place(random, canvas)
    shape = np.zeros(canvas.shape[:2], np.uint8)
    heading = random.uniform(0, 2 * np.pi)
    for branch in range(int(random.integers(2, 4))):
        steps = int(random.integers(14, 26)) // (1 + branch // 2)
        turns = np.cumsum(random.normal(0, 0.45, steps)) * 0.6 + heading + branch * random.uniform(0.5, 1.2)
        walk = np.cumsum(np.stack([np.cos(turns), np.sin(turns)], axis=1) * scale / 90, axis=0)
        shape = np.maximum(shape, _curve(canvas, np.vstack([(x, y), walk + (x, y)]), max(1, round(scale / 260))))
    return _paint(canvas, shape, -_contrast(random, 55, 90), 0.6)


def _blob(random: _Random, canvas: _Image, radius: float, roughness: float) -> _Mask:
    """A round shape with an uneven outline."""
    x, y, scale = _place(random, canvas)
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    waves = sum(
        random.normal(0, roughness / order) * np.cos(order * angles + random.uniform(0, 2 * np.pi))
        for order in range(2, 7)
    )
    reach = radius * scale * np.maximum(1 + waves, 0.35)
    stretch = random.uniform(0.7, 1.3)
    points = np.stack([x + reach * np.cos(angles) * stretch, y + reach * np.sin(angles) / stretch], axis=1)
    shape = np.zeros(canvas.shape[:2], np.uint8)
    cv2.fillPoly(shape, [np.rint(points).astype(np.int32)], (255,), cv2.LINE_AA)
    return shape


def _pit(random: _Random, canvas: _Image) -> _Mask:
    shape = _blob(random, canvas, float(random.uniform(0.015, 0.035)), 0.06)
    reach = max(2, round(min(canvas.shape[:2]) / 160))
    grown = cv2.dilate(shape, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    rim = np.asarray(cv2.subtract(grown, shape), np.uint8)
    mask = _paint(canvas, shape, -_contrast(random, 60, 95), 1.0)
    return np.maximum(mask, _paint(canvas, rim, _contrast(random, 25, 45), 1.0))


def _stain(random: _Random, canvas: _Image) -> _Mask:
    shape = _blob(random, canvas, float(random.uniform(0.05, 0.11)), 0.18)
    return _paint(canvas, shape, -_contrast(random, 28, 48), min(canvas.shape[:2]) / 90)


def _inclusion(random: _Random, canvas: _Image) -> _Mask:
    shape = _blob(random, canvas, float(random.uniform(0.02, 0.045)), 0.35)
    return _paint(canvas, shape, _contrast(random, 50, 85), 0.6)


def _dent(random: _Random, canvas: _Image) -> _Mask:
    x, y, scale = _place(random, canvas)
    radius = random.uniform(0.05, 0.09) * scale
    rows, columns = np.mgrid[: canvas.shape[0], : canvas.shape[1]].astype(np.float32)
    angle = random.uniform(0, 2 * np.pi)
    across = ((columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)) / radius
    distance = np.hypot(columns - x, rows - y) / radius
    shading = 2.3 * across * np.exp(-(distance**2))
    shape = np.where(distance < 1.45, np.uint8(255), np.uint8(0))
    return _paint(canvas, shape, np.asarray(shading * _contrast(random, 40, 65), np.float32), 1.0)


_FAMILIES: dict[str, Callable[[_Random, _Image], _Mask]] = {
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
