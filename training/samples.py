"""Batches for training: lines, classes of defects on them, instances of a class, views of an instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from training.appearances import Appearance, apply_appearance, draw_appearance
from training.descriptors import DESCRIPTORS, GUIDES, describe
from training.fields import Random
from training.shapes import Shape, draw_shape, render_shape
from training.surfaces import Line, draw_line, photograph, render_surface

__all__ = ["Batch", "BatchPlan", "render_batch", "render_instance"]

# The windows of the view plan "mso", 256, 384 and 512 pixels, at the half resolution that instances are rendered in.
_WINDOWS = (128, 192, 256)
_ATTEMPTS = 4
_SMALLEST_AREA = 6
_SMALLEST_SIDE = 40


@dataclass(frozen=True)
class BatchPlan:
    """How many of what a batch holds.

    Attributes:
        lines: Groups of classes that are told apart on one line, or on many.
        classes: Classes of a group.
        instances: Instances of a class.
        views: Views of an instance.
        size: Side of a view in pixels.
        alike: Share of the groups whose classes all have one appearance and differ in shape alone. Tone is learned
            first and would do for most classes; these make the encoder look at shape.
    """

    lines: int = 2
    classes: int = 6
    instances: int = 3
    views: int = 2
    size: int = 96
    alike: float = 0.4


@dataclass(frozen=True)
class Batch:
    """What one step trains on, B views.

    Attributes:
        views: uint8 `[B, S, S, 4]`, red, green, blue and mask.
        classes: int64 `[B]`, the class, counted through the batch.
        instances: int64 `[B]`, the instance, counted through the batch.
        descriptors: float32 `[B, D + G]`, guides included; see `training.descriptors`.
    """

    views: npt.NDArray[np.uint8]
    classes: npt.NDArray[np.int64]
    instances: npt.NDArray[np.int64]
    descriptors: npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Annotation:
    """How exactly whoever marked the defects of a line has worked."""

    style: str
    reach: int


def render_batch(plan: BatchPlan, seed: int, step: int) -> Batch:
    """Renders the batch of a training step; the same for the same seed and step."""
    random = np.random.Generator(np.random.PCG64([seed, step]))
    per_class = plan.instances * plan.views
    count = plan.lines * plan.classes * per_class
    views = np.empty((count, plan.size, plan.size, 4), np.uint8)
    descriptors = np.empty((count, len(DESCRIPTORS) + len(GUIDES)), np.float32)
    place = 0
    for _ in range(plan.lines):
        one_line = random.random() < 0.5
        line, annotation = draw_line(random), _draw_annotation(random)
        common = draw_appearance(random) if random.random() < plan.alike else None
        for _ in range(plan.classes):
            shape, appearance = draw_shape(random), common or draw_appearance(random)
            for _ in range(plan.instances):
                if not one_line:
                    line, annotation = draw_line(random), _draw_annotation(random)
                image, mask = render_instance(random, line, shape, appearance, annotation)
                pixels = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), np.uint8)
                cv2.insertChannel(mask, pixels, 3)
                box = cv2.boundingRect(mask)
                for _ in range(plan.views):
                    views[place], inside = _cut_view(random, pixels, box, plan.size)
                    descriptors[place] = describe(views[place], inside)
                    place += 1
    numbers = np.arange(count)
    return Batch(views, numbers // per_class, numbers // plan.views, descriptors)


def render_instance(
    random: Random, line: Line, shape: Shape, appearance: Appearance, annotation: _Annotation | None = None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Renders one image with one defect: uint8 `[H, W, 3]`, and its mask uint8 `[H, W]`, 0 or 255."""
    if line.cut_out:
        height, width = (np.asarray([line.height, line.width]) * np.exp(random.normal(0, 0.25, 2))).astype(int).tolist()
        line = replace(line, height=max(height, _SMALLEST_SIDE), width=max(width, _SMALLEST_SIDE))
    surface = render_surface(random, line)
    for _ in range(_ATTEMPTS):
        outline = render_shape(random, shape, line.height, line.width)
        if cv2.countNonZero(outline) >= _SMALLEST_AREA:
            break
    else:
        cv2.circle(outline, (line.width // 2, line.height // 2), 4, (255,), -1)
    scene = apply_appearance(random, appearance, surface, outline.astype(np.float32) / np.float32(255))
    marked = np.where(outline > 90, np.uint8(255), np.uint8(0))
    if not marked.any():
        marked = np.where(outline > 0, np.uint8(255), np.uint8(0))
    return photograph(random, scene, line), _annotate(marked, annotation)


def _draw_annotation(random: Random) -> _Annotation:
    style = str(random.choice(["exact", "wide", "closed", "box"], p=[0.5, 0.25, 0.15, 0.1]))
    return _Annotation(style, int(random.integers(1, 5)))


def _annotate(mask: npt.NDArray[np.uint8], annotation: _Annotation | None) -> npt.NDArray[np.uint8]:
    if annotation is None or annotation.style == "exact":
        return mask
    if annotation.style == "box":
        x, y, width, height = cv2.boundingRect(mask)
        mask[y : y + height, x : x + width] = 255
        return mask
    side = 2 * annotation.reach + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    if annotation.style == "wide":
        return np.asarray(cv2.dilate(mask, kernel), np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3 * side, 3 * side))
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel), np.uint8)


def _cut_view(
    random: Random, pixels: npt.NDArray[np.uint8], box: Sequence[int], size: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """One of the plan's windows about the defect, a little larger or smaller, perhaps mirrored; black outside.

    Returns:
        uint8 `[S, S, 4]`, and uint8 `[S, S]`, 255 where the view shows the image and 0 outside of it.
    """
    x, y, width, height = box
    window = float(random.choice(_WINDOWS)) * random.uniform(0.85, 1.18)
    shift_x, shift_y = random.integers(-1, 2, 2) if random.random() < 0.6 else (0, 0)
    left = x + width / 2 + shift_x * window / 3 - window / 2
    top = y + height / 2 + shift_y * window / 3 - window / 2
    scale = size / window
    matrix: npt.NDArray[Any] = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]], np.float64)
    edges = np.array([-top, len(pixels) - top, -left, pixels.shape[1] - left]) * scale
    first_row, end_row, first_column, end_column = np.clip(np.rint(edges).astype(int), 0, size)
    inside = np.zeros((size, size), np.uint8)
    inside[first_row:end_row, first_column:end_column] = 255
    reach = round(1 / scale)
    if reach > 1:
        # Shrunk to as little as 0.32: blurred first, as an antialiased resize would.
        pixels = np.asarray(cv2.blur(pixels, (reach, reach)), np.uint8)
    view = cv2.warpAffine(pixels, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0, 0))
    turns, mirrored = int(random.integers(4)), random.random() < 0.5
    turned, inside = np.rot90(view, turns), np.rot90(inside, turns)
    if mirrored:
        turned, inside = turned[:, ::-1], inside[:, ::-1]
    return np.asarray(turned, np.uint8), np.ascontiguousarray(inside)
