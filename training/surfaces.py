"""Surfaces of a production line: one material, one light, and every part of it a little different."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from training.fields import Field, Random, coordinates, fractal_noise, log_uniform, smooth_noise

__all__ = ["Line", "draw_line", "photograph", "render_surface"]


@dataclass(frozen=True)
class _Layer:
    """One component of a texture: its pattern, the pattern's numbers, and how strong it is in grey levels."""

    pattern: str
    strength: float
    numbers: dict[str, Any]


@dataclass(frozen=True)
class Line:
    """What all parts of a line have in common.

    Attributes:
        base: Grey level of the material, 0 to 255.
        tint: Factor of red, green and blue.
        layers: The texture.
        edge: Whether parts show an edge to another material or to the background.
        light: Strength of the light's unevenness, 0 to 0.5.
        noise: Deviation of the camera's noise in grey levels.
        blur: Deviation of the lens's blur in pixels.
        contrast: Factor of all differences from the middle grey level: exposure and sharpening by the camera.
        height: Height of the images in pixels.
        width: Width of the images in pixels.
        cut_out: Whether images are cut out about the defect, each of its own size, rather than all alike.
    """

    base: float
    tint: tuple[float, float, float]
    layers: tuple[_Layer, ...]
    edge: bool
    light: float
    noise: float
    blur: float
    contrast: float
    height: int
    width: int
    cut_out: bool


def draw_line(random: Random) -> Line:
    """Draws a material, a light and a camera."""
    colour = random.random() < 0.45
    tint = 1 + random.uniform(-0.35, 0.35, 3) * colour if random.random() < 0.9 else random.uniform(0.3, 1.3, 3)
    layers = tuple(_draw_layer(random) for _ in range(int(random.integers(1, 4))))
    # Half of the lines give images smaller than the view plan's windows: their views have black about the image.
    large = random.random() < 0.5
    smallest, largest = np.log([44, 240])
    height, width = random.integers(230, 361, 2) if large else np.exp(random.uniform(smallest, largest, 2))
    return Line(
        base=float(random.uniform(45, 205)),
        tint=(float(tint[0]), float(tint[1]), float(tint[2])),
        layers=layers,
        edge=random.random() < 0.3,
        light=float(random.uniform(0, 0.55)),
        noise=log_uniform(random, 0.3, 9),
        blur=float(max(0.0, random.uniform(-0.8, 1.0))),
        contrast=log_uniform(random, 0.75, 2.2),
        height=int(height),
        width=int(width),
        cut_out=bool(random.random() < 0.4),
    )


def render_surface(random: Random, line: Line) -> Field:
    """Renders one part of a line without a defect, before the camera: float32 `[H, W, 3]` in grey levels."""
    height, width = line.height, line.width
    grey = np.full((height, width), line.base * random.uniform(0.92, 1.08), np.float32)
    for layer in line.layers:
        strength = np.float32(layer.strength * random.uniform(0.8, 1.25))
        grey += strength * _PATTERNS[layer.pattern](random, height, width, **layer.numbers)
    if line.edge:
        _add_edge(random, grey)
    x, y = coordinates(height, width, width / 2, height / 2, random.uniform(0, 2 * np.pi))
    reach = np.float32(max(height, width))
    light = 1 + np.float32(line.light * random.uniform(0.3, 1)) * (x / reach)
    if random.random() < 0.5:
        spot_x, spot_y = random.uniform(-0.4, 0.4, 2)
        spot = ((x / reach - spot_x) ** 2 + (y / reach - spot_y) ** 2) / random.uniform(0.03, 0.2)
        light = light + np.float32(line.light * random.uniform(-0.6, 0.9)) * np.exp(-spot)
    shaded = grey * light
    return np.asarray(shaded[..., None] * np.asarray(line.tint, np.float32), np.float32)


def _add_edge(random: Random, grey: Field) -> None:
    """Another level beyond a straight edge: the end of a part, a seam, a background."""
    height, width = grey.shape
    x, _ = coordinates(height, width, random.uniform(0, width), random.uniform(0, height), random.uniform(0, 2 * np.pi))
    far = x > random.uniform(0.1, 0.4) * max(height, width)
    grey[far] = grey[far] * np.float32(random.uniform(0.1, 0.7)) + np.float32(random.uniform(0, 130))


def _draw_layer(random: Random) -> _Layer:
    pattern = str(random.choice(list(_PATTERNS)))
    numbers = {name: draw(random) for name, draw in _NUMBERS[pattern].items()}
    return _Layer(pattern, log_uniform(random, 1.5, 26), numbers)


def _angle(random: Random) -> float:
    return float(random.uniform(0, np.pi))


def _grain(random: Random, height: int, width: int, along: float, ratio: float, angle: float) -> Field:
    return smooth_noise(random, height, width, along * ratio, along, angle)


def _fractal(random: Random, height: int, width: int, largest: float, octaves: int, decay: float) -> Field:
    return fractal_noise(random, height, width, largest, octaves, decay)


def _waves(random: Random, height: int, width: int, pitch: float, angle: float, hardness: float) -> Field:
    x, _ = coordinates(height, width, random.uniform(0, pitch), 0, angle)
    bend = smooth_noise(random, height, width, 60, 60) * np.float32(0.15 * pitch)
    return np.asarray(np.tanh(np.float32(hardness) * np.sin((x + bend) * np.float32(2 * np.pi / pitch))), np.float32)


def _weave(random: Random, height: int, width: int, pitch: float, angle: float) -> Field:
    x, y = coordinates(height, width, random.uniform(0, pitch), random.uniform(0, pitch), angle)
    turn = np.float32(2 * np.pi / pitch)
    across = np.sin(x * turn) * np.sign(np.sin(y * turn / 2))
    return np.asarray(across + np.sin(y * turn) * np.sign(np.cos(x * turn / 2)), np.float32)


def _tiles(random: Random, height: int, width: int, pitch: float, angle: float, joint: float) -> Field:
    x, y = coordinates(height, width, random.uniform(0, pitch), random.uniform(0, pitch), angle)
    column, row = np.floor(x / pitch), np.floor(y / pitch)
    levels = np.sin(column * 12.9898 + row * 78.233 + random.uniform(0, 6))
    seam = (np.mod(x, pitch) < joint) | (np.mod(y, pitch) < joint)
    return np.where(seam, np.float32(-1.5), 0.5 * levels).astype(np.float32)


def _turned(random: Random, height: int, width: int, pitch: float) -> Field:
    x, y = coordinates(height, width, random.uniform(-1, 2) * width, random.uniform(-1, 2) * height)
    radius = np.hypot(x, y) + 2 * smooth_noise(random, height, width, 40, 40)
    return np.asarray(np.sin(radius * np.float32(2 * np.pi / pitch)), np.float32)


def _flakes(random: Random, height: int, width: int, size: float, share: float) -> Field:
    field = smooth_noise(random, height, width, size, size)
    return (field > np.quantile(field[::3, ::3], 1 - share)).astype(np.float32) * 2


_PATTERNS: dict[str, Callable[..., Field]] = {
    "grain": _grain,
    "brushed": _grain,
    "fractal": _fractal,
    "waves": _waves,
    "weave": _weave,
    "tiles": _tiles,
    "turned": _turned,
    "flakes": _flakes,
}

_NUMBERS: dict[str, dict[str, Callable[[Random], Any]]] = {
    "grain": {
        "along": lambda random: log_uniform(random, 1, 14),
        "ratio": lambda random: log_uniform(random, 1, 2),
        "angle": _angle,
    },
    "brushed": {
        "along": lambda random: log_uniform(random, 1, 3),
        "ratio": lambda random: log_uniform(random, 6, 60),
        "angle": _angle,
    },
    "fractal": {
        "largest": lambda random: log_uniform(random, 8, 120),
        "octaves": lambda random: int(random.integers(2, 6)),
        "decay": lambda random: random.uniform(0.45, 0.9),
    },
    "waves": {
        "pitch": lambda random: log_uniform(random, 4, 60),
        "angle": _angle,
        "hardness": lambda random: log_uniform(random, 0.6, 5),
    },
    "weave": {"pitch": lambda random: log_uniform(random, 4, 16), "angle": _angle},
    "tiles": {
        "pitch": lambda random: log_uniform(random, 12, 90),
        "angle": _angle,
        "joint": lambda random: random.uniform(1, 4),
    },
    "turned": {"pitch": lambda random: log_uniform(random, 3, 14)},
    "flakes": {
        "size": lambda random: log_uniform(random, 1.5, 10),
        "share": lambda random: random.uniform(0.03, 0.3),
    },
}


def photograph(random: Random, scene: Field, line: Line) -> np.ndarray:
    """What the camera makes of a scene: blur, exposure, noise and 8 bits, uint8 `[H, W, 3]`."""
    if line.blur > 0.25:
        scene = np.asarray(cv2.GaussianBlur(scene, (0, 0), line.blur), np.float32)
    gain = np.float32(random.uniform(0.9, 1.12) * line.contrast)
    noise = random.standard_normal(scene.shape[:2], dtype=np.float32) * np.float32(line.noise)
    noise += np.float32(110 + random.normal(0, 6)) - 110 * gain
    scene = scene * gain
    scene += noise[..., None]
    return cv2.convertScaleAbs(np.maximum(scene, 0, out=scene))
