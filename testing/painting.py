"""What rendered surfaces and defects are painted with: noise, places, lines, outlines, and change under a shape."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Canvas", "Mask", "Points", "Random", "draw_curve", "draw_outline", "paint", "pick_place", "smooth_noise"]

#: float32, grey levels: `[H, W]`, or `[H, W, 3]` in RGB.
Canvas = npt.NDArray[np.float32]
#: uint8 `[H, W]`, 0 to 255.
Mask = npt.NDArray[np.uint8]
#: float64 `[N, 2]`, x and y in pixels.
Points = npt.NDArray[np.float64]
Random = np.random.Generator


def smooth_noise(random: Random, height: int, width: int, sigma_x: float, sigma_y: float) -> Canvas:
    """Draws smooth noise of zero mean and unit deviation, float32 `[H, W]`; the sigmas are in pixels."""
    grain = random.standard_normal((height, width), dtype=np.float32)
    field = cv2.GaussianBlur(grain, (0, 0), sigmaX=max(sigma_x, 0.1), sigmaY=max(sigma_y, 0.1))
    return np.asarray((field - field.mean()) / (field.std() + 1e-6), np.float32)


def pick_place(random: Random, canvas: Canvas) -> tuple[float, float, float]:
    """Picks a middle well inside the image: x, y, and the image's shorter side, which shapes are scaled by."""
    height, width = canvas.shape[:2]
    scale = min(height, width)
    return float(random.uniform(0.3, 0.7) * width), float(random.uniform(0.3, 0.7) * height), float(scale)


def paint(canvas: Canvas, shape: Mask, change: float | Canvas, softness: float, tint: Canvas | None = None) -> Mask:
    """Adds `change` under a soft version of `shape`.

    Args:
        canvas: float32 `[H, W, 3]`; it is changed.
        shape: Where; between 0 and 255, in part.
        change: Grey levels, one for all pixels or `[H, W]`.
        softness: Deviation of the blur of the shape's edge in pixels.
        tint: Factors of red, green and blue; by default 1.

    Returns:
        uint8 `[H, W]`, 255 where a fifth of the change or more was added.
    """
    soft = cv2.GaussianBlur(shape.astype(np.float32) / 255, (0, 0), max(softness, 0.3))
    amount = (soft * change)[..., None]
    canvas += amount if tint is None else amount * tint
    return np.where(soft > 0.2, np.uint8(255), np.uint8(0))


def draw_curve(shape: Mask, points: Points, thickness: int) -> None:
    """Draws a line through points."""
    cv2.polylines(shape, [np.rint(points * 16).astype(np.int32)], False, (255,), thickness, cv2.LINE_AA, 4)


def draw_outline(random: Random, canvas: Canvas, radius: float, roughness: float) -> Mask:
    """Draws a round shape with an uneven outline; its radius is in parts of the image's shorter side."""
    x, y, scale = pick_place(random, canvas)
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
