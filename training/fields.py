"""Random fields: the noise that surfaces, outlines and appearances are made of."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Field", "Random", "coordinates", "fractal_noise", "log_uniform", "smooth_noise"]

Field = npt.NDArray[np.float32]
Random = np.random.Generator

_SMALLEST_GRID = 4


def log_uniform(random: Random, low: float, high: float) -> float:
    """Draws a number whose logarithm is uniform."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def coordinates(height: int, width: int, x: float = 0.0, y: float = 0.0, angle: float = 0.0) -> tuple[Field, Field]:
    """Pixel coordinates from the point (x, y), turned by `angle` radians: two float32 fields `[H, W]`."""
    rows = np.arange(height, dtype=np.float32)[:, None] - np.float32(y)
    columns = np.arange(width, dtype=np.float32)[None] - np.float32(x)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return columns * cosine + rows * sine, rows * cosine - columns * sine


def smooth_noise(random: Random, height: int, width: int, along: float, across: float, angle: float = 0.0) -> Field:
    """Noise of zero mean and unit deviation that varies over `along` pixels in one direction, `across` in the other.

    Drawn on a coarse grid and enlarged, so that smooth noise costs less than fine noise.

    Args:
        random: Decides the noise.
        height: Height in pixels.
        width: Width in pixels.
        along: Length of a feature in the direction `angle`, in pixels, 1 or more.
        across: Its length across, in pixels, 1 or more.
        angle: Direction in radians.

    Returns:
        float32 `[H, W]`.
    """
    turned = abs(along - across) > 0.3 * min(along, across) and angle != 0.0
    # A turned field is cut out of a larger square one.
    side_x, side_y = (int(np.hypot(height, width)) + 2,) * 2 if turned else (width, height)
    grid = (max(_SMALLEST_GRID, round(side_y / across) + 3), max(_SMALLEST_GRID, round(side_x / along) + 3))
    coarse = random.standard_normal(grid, dtype=np.float32)
    if grid[0] >= side_y and grid[1] >= side_x:
        field = coarse[:side_y, :side_x]
    else:
        field = np.asarray(cv2.resize(coarse, (side_x, side_y), interpolation=cv2.INTER_CUBIC), np.float32)
    if turned:
        matrix = cv2.getRotationMatrix2D((side_x / 2, side_y / 2), -np.degrees(angle), 1.0)
        matrix[:, 2] += np.array([(width - side_x) / 2, (height - side_y) / 2])
        cut = cv2.warpAffine(field, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        field = np.asarray(cut, np.float32)
    mean, deviation = cv2.meanStdDev(field)
    return np.asarray((field - np.float32(mean[0, 0])) / np.float32(deviation[0, 0] + 1e-6), np.float32)


def fractal_noise(random: Random, height: int, width: int, largest: float, octaves: int, decay: float) -> Field:
    """Noise over several scales, each half as wide and `decay` times as strong as the one before; unit deviation."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        scale = max(1.0, largest / 2**octave)
        total += np.float32(decay**octave) * smooth_noise(random, height, width, scale, scale)
    return total / np.float32(total.std() + 1e-6)
