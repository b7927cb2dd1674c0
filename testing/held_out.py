"""Defects that the pocket encoder is tried on: made in ways that nothing in its training is made.

None is an outline that was filled, a stroke or a branching walk: a ring is left by a drop that dried from its edge,
marks stand at an even pitch, cracks radiate from a point, a thread curls over itself, cracks close into a net. Each may
be darker or brighter than the surface, so that its tone does not give it away; on one line it has one tone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np

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

__all__ = ["HELD_OUT", "Tone"]

#: Whether a defect is brighter or darker than the surface; None leaves it to chance.
Tone = Literal["bright", "dark"] | None


def _tone(random: Random, weakest: float, strongest: float, bright: float, tone: Tone) -> float:
    """A change in grey levels: as `tone` says, else up with the probability `bright`, and down otherwise."""
    change, up = float(random.uniform(weakest, strongest)), random.random() < bright
    return change if (up if tone is None else tone == "bright") else -change


def _tint(random: Random, spread: float) -> Canvas:
    return (1 + random.uniform(-spread, spread, 3)).astype(np.float32)


def _pixels(length: float) -> int:
    return max(1, round(length))


def _ring_stain(random: Random, canvas: Canvas, tone: Tone) -> Mask:
    """A drop that dried: what it carried lies along its edge, in one ring or two."""
    height, width = canvas.shape[:2]
    scale = min(height, width)
    shape = draw_outline(random, canvas, float(random.uniform(0.05, 0.12)), float(random.uniform(0.04, 0.12)))
    depth = cv2.distanceTransform(np.where(shape > 127, np.uint8(1), np.uint8(0)), cv2.DIST_L2, 5)
    rim = max(1.2, float(random.uniform(0.005, 0.012)) * scale)
    profile = np.exp(-((depth / rim - 1) ** 2))
    if random.random() < 0.4:
        # It dried in two steps: a fainter ring within.
        profile += random.uniform(0.3, 0.6) * np.exp(-((depth / rim - random.uniform(3.5, 5.5)) ** 2))
    uneven = np.clip(1 + 0.35 * smooth_noise(random, height, width, 0.05 * scale, 0.05 * scale), 0.35, 1.6)
    film = float(random.uniform(0.1, 0.3))
    change = np.asarray(_tone(random, 38, 70, 0.3, tone) * (film + profile * uneven), np.float32)
    return paint(canvas, shape, change, float(random.uniform(0.6, 1.4)), _tint(random, 0.25))


def _chatter(random: Random, canvas: Canvas, tone: Tone) -> Mask:
    """Marks of a tool that vibrates: side by side at an even pitch, alike in length and bend."""
    x, y, scale = pick_place(random, canvas)
    pitch = max(4.0, float(random.uniform(0.018, 0.036)) * scale)
    length = float(random.uniform(0.07, 0.16)) * scale
    angle, bend = random.uniform(0, 2 * np.pi), random.uniform(-0.25, 0.25)
    forward, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    count = int(random.integers(5, 11))
    along = np.linspace(-0.5, 0.5, 16)[:, None]
    marks, region = np.zeros(canvas.shape[:2], np.uint8), np.zeros(canvas.shape[:2], np.uint8)
    thickness = float(random.uniform(0.2, 0.42)) * pitch
    for number in range(count):
        place = (number - (count - 1) / 2 + random.normal(0, 0.05)) * pitch
        reach = length * random.uniform(0.85, 1.1)
        points = (x, y) + place * forward + reach * (along * across + bend * (4 * along**2 - 0.5) * forward)
        draw_curve(marks, points, _pixels(thickness))
        # The gaps belong to it: whoever marks chatter marks the patch.
        draw_curve(region, points, _pixels(pitch) + 3)
    tint, softness = _tint(random, 0.1), float(random.uniform(0.6, 1.3))
    change = _tone(random, 35, 65, 0.4, tone)
    mask = paint(canvas, marks, change, softness, tint)
    if random.random() < 0.5:
        # The burr beside each groove catches the light.
        beside = np.array([[1, 0, forward[0] * thickness], [0, 1, forward[1] * thickness]])
        burr = np.asarray(cv2.warpAffine(marks, beside, (canvas.shape[1], canvas.shape[0])), np.uint8)
        mask = np.maximum(mask, paint(canvas, burr, -0.6 * change, softness, tint))
    return np.where(np.maximum(region, mask) > 60, np.uint8(255), np.uint8(0))


def _star_crack(random: Random, canvas: Canvas, tone: Tone) -> Mask:
    """Cracks that radiate from where something struck."""
    x, y, scale = pick_place(random, canvas)
    middle = np.array([x, y])
    shape = np.zeros(canvas.shape[:2], np.uint8)
    rays = int(random.integers(5, 10))
    longest, wide = float(random.uniform(0.07, 0.16)) * scale, float(random.uniform(0.005, 0.009)) * scale
    headings = random.uniform(0, 2 * np.pi) + (np.arange(rays) + random.uniform(-0.28, 0.28, rays)) * 2 * np.pi / rays
    for heading in headings:
        reach = longest * random.uniform(0.45, 1)
        ray = _jagged(random, middle, float(heading), float(reach))
        _taper(shape, ray, wide)
        if random.random() < 0.3:
            turn = heading + random.choice([-1, 1]) * random.uniform(0.35, 0.7)
            _taper(shape, _jagged(random, ray[len(ray) // 2], float(turn), float(0.45 * reach)), 0.6 * wide)
    cv2.circle(shape, (round(x), round(y)), _pixels(wide * random.uniform(0.8, 2)), (255,), -1, cv2.LINE_AA)
    return paint(canvas, shape, _tone(random, 50, 90, 0.35, tone), float(random.uniform(0.5, 1.1)), _tint(random, 0.08))


def _jagged(random: Random, begin: Points, heading: float, length: float) -> Points:
    """A nearly straight line in short steps, `[N, 2]`."""
    turns = heading + random.normal(0, 0.22, 9)
    steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * length / 9
    return np.vstack([begin, begin + np.cumsum(steps, axis=0)])


def _taper(shape: Mask, points: Points, thickness: float) -> None:
    """A line that ends thinner than it begins."""
    for part in range(3):
        draw_curve(shape, points[3 * part : 3 * part + 4], _pixels(thickness * (1 - 0.3 * part)))


def _fibre(random: Random, canvas: Canvas, tone: Tone) -> Mask:
    """A thread that lies on the surface, curled."""
    x, y, scale = pick_place(random, canvas)
    count, length = 90, float(random.uniform(0.3, 0.65)) * scale
    along = np.linspace(0, 1, count)
    # Its curvature swings slowly about a mean: curls of one hand, with bends of the other between them.
    turning = random.uniform(4, 9) * random.choice([-1, 1]) + sum(
        random.normal(0, 8) * np.cos(2 * np.pi * (order * along + random.uniform(0, 1))) for order in (0.7, 1.3, 2.2)
    )
    headings = random.uniform(0, 2 * np.pi) + np.cumsum(turning) / count
    path = np.cumsum(np.stack([np.cos(headings), np.sin(headings)], axis=1) * length / count, axis=0)
    shape = np.zeros(canvas.shape[:2], np.uint8)
    thickness = _pixels(float(random.uniform(0.004, 0.009)) * scale)
    draw_curve(shape, path - path.mean(axis=0) + (x, y), thickness)
    change = _tone(random, 50, 90, 0.5, tone)
    return paint(canvas, shape, change, float(random.uniform(0.5, 1.1)), _tint(random, 0.35))


def _craquelure(random: Random, canvas: Canvas, tone: Tone) -> Mask:
    """A patch where the surface has shrunk: fine cracks between cells, a net with gaps."""
    height, width = canvas.shape[:2]
    scale = min(height, width)
    patch = draw_outline(random, canvas, float(random.uniform(0.07, 0.13)), 0.12)
    left, top, wide, high = cv2.boundingRect(patch)
    cell = max(5.0, float(random.uniform(0.022, 0.042)) * scale)
    rows, columns = np.mgrid[:high, :wide].astype(np.float32)
    rows += smooth_noise(random, high, wide, 0.3 * cell, 0.3 * cell) * np.float32(0.07 * cell)
    columns += smooth_noise(random, high, wide, 0.3 * cell, 0.3 * cell) * np.float32(0.07 * cell)
    nearest = np.full((high, wide), np.inf, np.float32)
    second = nearest.copy()
    for row in np.arange(-0.5, high / cell + 1):
        for column in np.arange(-0.5, wide / cell + 1):
            shift_x, shift_y = random.uniform(-0.42, 0.42, 2)
            distance = np.hypot(columns - (column + shift_x) * cell, rows - (row + shift_y) * cell)
            second = np.minimum(second, np.maximum(nearest, distance))
            nearest = np.minimum(nearest, distance)
    # Between two cells the distances differ by about twice the distance to the border.
    half = max(0.6, float(random.uniform(0.0018, 0.0036)) * scale)
    cracks = np.clip(1.5 - (second - nearest) / (2 * half), 0, 1)
    cracks *= np.clip(1.6 + smooth_noise(random, high, wide, 0.8 * cell, 0.8 * cell), 0.0, 1.0)
    net = np.zeros((height, width), np.uint8)
    net[top : top + high, left : left + wide] = np.rint(255 * cracks).astype(np.uint8)
    edge = 2 * _pixels(0.004 * scale) + 1
    net[cv2.erode(patch, np.ones((edge, edge), np.uint8)) < 128] = 0
    paint(canvas, net, _tone(random, 45, 85, 0.3, tone), float(random.uniform(0.5, 1.0)), _tint(random, 0.08))
    return np.where(patch > 60, np.uint8(255), np.uint8(0))


#: What draws each defect onto a canvas and returns where it is.
HELD_OUT: dict[str, Callable[[Random, Canvas, Tone], Mask]] = {
    "ring_stain": _ring_stain,
    "chatter": _chatter,
    "star_crack": _star_crack,
    "fibre": _fibre,
    "craquelure": _craquelure,
}
