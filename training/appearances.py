"""What a defect does to the surface under it: steps with numbers that a class keeps and an instance varies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from training.fields import Field, Random, coordinates, log_uniform, smooth_noise

__all__ = ["EFFECTS", "Appearance", "apply_appearance", "draw_appearance"]


@dataclass(frozen=True)
class Appearance:
    """One or two effects, with their numbers.

    Attributes:
        effects: Names from `EFFECTS`, each with what it takes.
        softness: Deviation of the edge's blur in pixels.
        spread: Deviation of an instance's strength, as a logarithm.
    """

    effects: tuple[tuple[str, dict[str, Any]], ...]
    softness: float
    spread: float


def draw_appearance(random: Random) -> Appearance:
    """Draws the appearance of a class."""
    count = 1 if random.random() < 0.6 else 2
    names = random.choice(EFFECTS, count, replace=False, p=_SHARES)
    effects = tuple((str(name), {what: draw(random) for what, draw in _NUMBERS[str(name)].items()}) for name in names)
    return Appearance(effects, log_uniform(random, 0.3, 7), float(random.uniform(0.03, 0.3)))


def apply_appearance(random: Random, appearance: Appearance, scene: Field, shape: Field) -> Field:
    """Applies a class's effects to a scene.

    Args:
        random: Decides how this instance varies.
        appearance: The class's.
        scene: float32 `[H, W, 3]`, grey levels; it is not changed.
        shape: float32 `[H, W]`, 0 to 1.

    Returns:
        float32 `[H, W, 3]`.
    """
    soft = cv2.GaussianBlur(shape, (0, 0), appearance.softness) if appearance.softness > 0.4 else shape
    amount = soft[..., None]
    for name, numbers in appearance.effects:
        strength = float(np.exp(random.normal(0, appearance.spread)))
        scene = _EFFECTS[name](random, scene, amount, strength, **numbers)
    return scene


def _shift(_: Random, scene: Field, amount: Field, strength: float, level: float, tint: Field) -> Field:
    """Darker or brighter, perhaps of another colour."""
    return scene + amount * (np.float32(level * strength) * tint)


def _absorb(_: Random, scene: Field, amount: Field, strength: float, factor: float) -> Field:
    """A film that takes part of the light, or adds to it."""
    return scene * (1 + amount * np.float32((factor - 1) * min(strength, 1.3)))


def _cover(
    random: Random, scene: Field, amount: Field, strength: float, level: Field, roughness: float, **grain: float
) -> Field:
    """Another material on top, or what is seen through a hole."""
    texture = _grain(random, scene, **grain) * np.float32(roughness * strength)
    return scene * (1 - amount) + amount * (level + texture)


def _roughen(random: Random, scene: Field, amount: Field, strength: float, roughness: float, **grain: float) -> Field:
    """More texture than around it, perhaps in one direction as where something was ground or rubbed off."""
    return scene + amount * _grain(random, scene, **grain) * np.float32(roughness * strength)


def _grain(random: Random, scene: Field, grain: float, ratio: float, angle: float, swing: float) -> Field:
    """Noise `[H, W, 1]` of unit deviation, longer in one direction, which an instance turns by about `swing`."""
    height, width = scene.shape[:2]
    turned = float(angle + random.normal(0, swing))
    return np.asarray(smooth_noise(random, height, width, grain * ratio, grain, turned)[..., None], np.float32)


def _smear(_: Random, scene: Field, amount: Field, __: float, reach: float) -> Field:
    """Less texture than around it."""
    smooth = np.asarray(cv2.blur(scene, (2 * round(reach) + 1,) * 2), np.float32)
    return scene + amount * (smooth - scene)


def _dent(random: Random, scene: Field, amount: Field, strength: float, level: float, angle: float) -> Field:
    """Bright on the side towards the light, dark on the other."""
    relief = cv2.GaussianBlur(amount, (0, 0), 2.5)
    turned = angle + random.normal(0, 0.2)
    slope = cv2.Sobel(relief, cv2.CV_32F, 1, 0) * np.cos(turned) + cv2.Sobel(relief, cv2.CV_32F, 0, 1) * np.sin(turned)
    return np.asarray(scene + np.asarray(slope[..., None], np.float32) * np.float32(level * strength), np.float32)


def _rim(_: Random, scene: Field, amount: Field, strength: float, level: float, reach: float) -> Field:
    """An edge that is brighter or darker than both sides."""
    wide = np.asarray(cv2.GaussianBlur(amount, (0, 0), reach)[..., None], np.float32)
    rim = np.float32(4) * wide * (1 - wide)
    return scene + rim * np.float32(level * strength)


def _gradient(random: Random, scene: Field, amount: Field, strength: float, level: float, angle: float) -> Field:
    """A change that grows towards one side."""
    height, width = scene.shape[:2]
    x, _ = coordinates(height, width, width / 2, height / 2, angle + random.normal(0, 0.2))
    ramp = x[..., None] / np.float32(max(height, width))
    return np.asarray(scene + amount * ramp * np.float32(level * strength * 2), np.float32)


def _misplace(random: Random, scene: Field, amount: Field, _: float) -> Field:
    """The surface's own texture, turned or taken from elsewhere."""
    other = np.roll(scene, tuple(int(step) for step in random.integers(20, 60, 2)), (0, 1))
    if random.random() < 0.5:
        other = other[::-1, ::-1]
    return scene + amount * (other - scene)


def _either(random: Random, low: float, high: float) -> float:
    return float(random.choice([-1.0, -1.0, 1.0])) * log_uniform(random, low, high)


def _tint(random: Random) -> Field:
    if random.random() < 0.65:
        return np.ones(3, np.float32)
    return random.uniform(0.1, 1.4, 3).astype(np.float32)


def _level(random: Random) -> Field:
    if random.random() < 0.65:
        return np.full(3, random.uniform(5, 250), np.float32)
    return random.uniform(5, 250, 3).astype(np.float32)


_EFFECTS: dict[str, Callable[..., Field]] = {
    "shift": _shift,
    "absorb": _absorb,
    "cover": _cover,
    "roughen": _roughen,
    "smear": _smear,
    "dent": _dent,
    "rim": _rim,
    "gradient": _gradient,
    "misplace": _misplace,
}
EFFECTS = tuple(_EFFECTS)
_SHARES = (0.26, 0.12, 0.16, 0.20, 0.04, 0.08, 0.08, 0.04, 0.02)

# Half of the textures have no direction; of the others, some have the same in all instances.
_DIRECTED: dict[str, Callable[[Random], Any]] = {
    "ratio": lambda random: log_uniform(random, 2, 12) if random.random() < 0.5 else 1.0,
    "angle": lambda random: random.uniform(0, np.pi),
    "swing": lambda random: float(random.choice([0.1, 3.0])),
}

_NUMBERS: dict[str, dict[str, Callable[[Random], Any]]] = {
    "shift": {"level": lambda random: _either(random, 18, 130), "tint": _tint},
    "absorb": {"factor": lambda random: float(random.choice([random.uniform(0.1, 0.78), random.uniform(1.2, 1.9)]))},
    "cover": {
        "level": _level,
        "roughness": lambda random: log_uniform(random, 1, 30),
        "grain": lambda random: log_uniform(random, 1, 15),
        **_DIRECTED,
    },
    "roughen": {
        "roughness": lambda random: log_uniform(random, 10, 60),
        "grain": lambda random: log_uniform(random, 1, 10),
        **_DIRECTED,
    },
    "smear": {"reach": lambda random: log_uniform(random, 2, 10)},
    "dent": {
        "level": lambda random: log_uniform(random, 30, 200),
        "angle": lambda random: random.uniform(0, 2 * np.pi),
    },
    "rim": {"level": lambda random: _either(random, 15, 100), "reach": lambda random: log_uniform(random, 1, 5)},
    "gradient": {
        "level": lambda random: log_uniform(random, 40, 160),
        "angle": lambda random: random.uniform(0, 2 * np.pi),
    },
    "misplace": {},
}
