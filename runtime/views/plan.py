"""Which windows are cut around a region, and how they are resampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.views.reduction import on_blocks, reduction
from mvrec_edge.runtime.views.resample import Window
from mvrec_edge.runtime.views.window_sizes import LARGEST_WINDOW_SIZE, check_window_sizes
from mvrec_edge.runtime.wording import counted

__all__ = ["FLIPS", "RECIPES", "RESAMPLINGS", "View", "ViewPlan"]

#: Mirror images by name: what becomes of the axes of `[S, S, 4]`.
FLIPS = ("none", "horizontal", "vertical", "anti-diagonal", "diagonal")
RESAMPLINGS = ("exact", "fast")

_PIXEL_SIZES = (256, 384, 512)
# The released code writes the factors 1, 1.5 and 2 like this, so that none is taken for a size in pixels.
_BOX_FACTORS = (0.999, 1.4999, 1.999)
_CENTRED, _AROUND = (0,), (-1, 0, 1)
_UPRIGHT, _TURNED = (0,), (0, 90, 180, 270)
_PLAIN, _MIRRORED = ("none",), FLIPS

_LARGEST_SIZE = LARGEST_WINDOW_SIZE
_MOST_VIEWS = 1024


@dataclass(frozen=True)
class View:
    """One view of a plan.

    Attributes:
        scale: Side of the window in pixels, or as a factor of the region's box.
        dx: Shift to the right, in thirds of the window.
        dy: Shift down, in thirds of the window.
        rotation: 0, 90, 180 or 270 degrees counter-clockwise.
        flip: One of `FLIPS`, applied before the rotation.
    """

    scale: float
    dx: int
    dy: int
    rotation: int
    flip: str

    def turn(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Mirrors and turns a square window, uint8 `[S, S, 4]`, image and mask together."""
        if self.flip == "horizontal":
            pixels = pixels[:, ::-1]
        elif self.flip == "vertical":
            pixels = pixels[::-1]
        elif self.flip == "anti-diagonal":
            pixels = pixels[::-1, ::-1].transpose(1, 0, 2)
        elif self.flip == "diagonal":
            pixels = pixels.transpose(1, 0, 2)
        return np.rot90(pixels, self.rotation // 90)


@dataclass(frozen=True)
class ViewPlan:
    """Which views are cut around a region. Make one with `ViewPlan.mso()` or `ViewPlan.by_name(...)`.

    The order of views is: size, row shift, column shift, rotation, flip. Windows of the pixel recipes are fixed
    in source pixels, whatever the region's size (MVREC, section "Multi-view region context", and its table of
    augmentations).

    Attributes:
        name: Short name of the recipe.
        scales: Sides of the windows, in pixels or as factors of the region's box.
        of_box: Whether `scales` are factors of the box.
        shifts: Shifts of the window in both directions, in thirds of its side.
        rotations: Degrees, of 0, 90, 180, 270.
        flips: Names from `FLIPS`.
        size: Side S of a view in pixels.
        resample: `"exact"` follows the released code to the pixel, `"fast"` is one area resize.

    Raises:
        UsageError: A field is not usable.
    """

    name: str
    scales: tuple[float, ...]
    of_box: bool = False
    shifts: tuple[int, ...] = _CENTRED
    rotations: tuple[int, ...] = _UPRIGHT
    flips: tuple[str, ...] = _PLAIN
    size: int = 224
    resample: str = "exact"

    def __post_init__(self) -> None:
        if self.resample not in RESAMPLINGS:
            raise UsageError(f"there is no resampling '{self.resample}'", fix="one of " + ", ".join(RESAMPLINGS))
        if not 1 <= self.size <= _LARGEST_SIZE:
            raise UsageError(f"a view is 1 to {_LARGEST_SIZE} pixels wide, not {self.size}")
        largest = 64.0 if self.of_box else float(_LARGEST_SIZE)
        smallest = 1e-3 if self.of_box else 1.0
        if not all(smallest <= scale <= largest for scale in self.scales):
            raise UsageError(f"a window's size must lie between {smallest:g} and {largest:g}")
        if not self.of_box and not all(float(scale).is_integer() for scale in self.scales):
            raise UsageError("a window's size in pixels must be a whole number")
        fits = all(shift in _AROUND for shift in self.shifts) and all(turn in _TURNED for turn in self.rotations)
        if not fits or not all(flip in FLIPS for flip in self.flips):
            raise UsageError("a view plan has a shift, rotation or flip that does not exist")
        if not 1 <= self.count <= _MOST_VIEWS:
            raise UsageError(f"a view plan has 1 to {_MOST_VIEWS} views, not {self.count}")

    @classmethod
    def by_name(
        cls, name: str, *, size: int = 224, resample: str = "exact", window_sizes: Sequence[int] | None = None
    ) -> ViewPlan:
        """Makes the plan of one of the paper's recipes, or the same with windows of other sizes.

        Args:
            name: `none`, `ms`, `mo`, `mr`, `mf`, `mso`, `msr`, `msf`, `mor` or `mso_bbox`; see `RECIPES`.
            size: Side S of a view in pixels.
            resample: `"exact"` or `"fast"`.
            window_sizes: Sides of the windows in source pixels, see `check_window_sizes`; by default the paper's. A
                recipe of one size takes one, the others one to five, and each has the recipe's shifts, rotations and
                mirror images.

        Raises:
            UsageError: There is no such recipe or resampling, a size is not usable, or the recipe takes no sizes, or
                not so many.
        """
        if name not in RECIPES:
            raise UsageError(f"there is no view recipe '{name}'", fix="one of " + ", ".join(RECIPES))
        fields = RECIPES[name]
        if window_sizes is not None:
            check_window_sizes(window_sizes)
            _check_takes(name, len(window_sizes))
            fields = {**fields, "scales": tuple(window_sizes)}
        return cls(name=name, size=size, resample=resample, **fields)

    @classmethod
    def mso(cls, *, size: int = 224, resample: str = "exact") -> ViewPlan:
        """Three sizes, shifted in nine directions: 27 views. The paper's best, and the default."""
        return cls.by_name("mso", size=size, resample=resample)

    def with_window_sizes(self, sizes: Sequence[int]) -> ViewPlan:
        """The same recipe with windows of other sizes; see `by_name` for the sizes and what is raised."""
        return ViewPlan.by_name(self.name, size=self.size, resample=self.resample, window_sizes=sizes)

    @property
    def count(self) -> int:
        """V, the number of views."""
        return len(self.scales) * len(self.shifts) ** 2 * len(self.rotations) * len(self.flips)

    @cached_property
    def views(self) -> tuple[View, ...]:
        """The V views in order."""
        return tuple(
            View(scale, dx, dy, rotation, flip)
            for scale in self.scales
            for dy in self.shifts
            for dx in self.shifts
            for rotation in self.rotations
            for flip in self.flips
        )

    @property
    def centred(self) -> tuple[int, ...]:
        """Indices of the views that are neither shifted nor turned nor mirrored; 4, 13 and 22 for `mso`."""
        return tuple(
            index
            for index, view in enumerate(self.views)
            if (view.dx, view.dy, view.rotation, view.flip) == (0, 0, 0, "none")
        )

    @property
    def turns_or_mirrors(self) -> bool:
        """Whether some view is turned or mirrored."""
        return self.rotations != _UPRIGHT or self.flips != _PLAIN

    @cached_property
    def reductions(self) -> tuple[int, ...]:
        """For every view, the side of the blocks that its window is averaged in first; 1 where it is not.

        Above 1 for windows of fixed size that are larger than 2048 pixels; see `runtime/views/reduction.py`.
        """
        return tuple(1 if self.of_box else reduction(int(view.scale)) for view in self.views)

    def windows(self, box: Sequence[int]) -> tuple[Window, ...]:
        """The window of every view.

        Args:
            box: `(x1, y1, x2, y2)` of the region.

        Returns:
            V windows `(x1, y1, x2, y2)` in pixels, half-open, at least one pixel wide; they may reach beyond the
            image. Where `reductions` is above 1, all are multiples of it.
        """
        x1, y1, x2, y2 = box
        windows = []
        for view, factor in zip(self.views, self.reductions, strict=True):
            width: float = int(view.scale)
            height: float = int(view.scale)
            if self.of_box:
                width, height = abs(x2 - x1) * view.scale, abs(y2 - y1) * view.scale
            left, right = _side((x1 + x2) // 2, width, view.dx)
            top, bottom = _side((y1 + y2) // 2, height, view.dy)
            if factor > 1:
                left, right = on_blocks(left, right - left, factor)
                top, bottom = on_blocks(top, bottom - top, factor)
            windows.append((left, top, right, bottom))
        return tuple(windows)

    def to_dict(self) -> dict[str, Any]:
        """The plan in plain JSON types; `from_dict` reads it back."""
        return {
            "name": self.name,
            "scales": list(self.scales),
            "of_box": self.of_box,
            "shifts": list(self.shifts),
            "rotations": list(self.rotations),
            "flips": list(self.flips),
            "size": self.size,
            "resample": self.resample,
        }

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> ViewPlan:
        """Reads what `to_dict` wrote, trusting none of it.

        Raises:
            UsageError: It is no mapping, or a field is missing, of another type, or not usable.
        """
        if not isinstance(payload, Mapping):
            raise UsageError("a view plan must be a mapping of its fields")
        wanted = {"name": str, "scales": list, "of_box": bool, "shifts": list, "rotations": list, "flips": list}
        wanted |= {"size": int, "resample": str}
        if set(payload) != set(wanted) or not all(type(payload[key]) is kind for key, kind in wanted.items()):
            raise UsageError("a view plan lacks a field or has one of another type")
        lists = {key: payload[key] for key, kind in wanted.items() if kind is list}
        if any(len(values) > _MOST_VIEWS for values in lists.values()):
            raise UsageError("a view plan has too many views")
        numbers = [*lists["scales"], *lists["shifts"], *lists["rotations"]]
        if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
            raise UsageError("a view plan holds something that is no number")
        return cls(**{**payload, **{key: tuple(values) for key, values in lists.items()}})

    def __str__(self) -> str:
        sizes = ", ".join(f"{scale:g}" for scale in self.scales)
        text = f"{self.name}: {counted(self.count, 'view')} of {self.size} px, windows of {sizes} "
        text += "times the box" if self.of_box else "px"
        if len(self.shifts) > 1:
            text += f", {len(self.shifts) ** 2} shifts"
        if self.rotations != _UPRIGHT:
            text += f", {len(self.rotations)} rotations"
        if self.flips != _PLAIN:
            text += f", {len(self.flips)} mirror images"
        return f"{text}, {self.resample} resampling"


def _check_takes(name: str, count: int) -> None:
    """Refuses window sizes that a recipe has no place for."""
    recipe = RECIPES[name]
    if recipe.get("of_box", False):
        raise UsageError(
            f"the windows of '{name}' follow the box of each defect, so their sizes cannot be given",
            fix="leave out --window-sizes, or take --view-recipe mso",
        )
    if len(recipe["scales"]) == 1 and count > 1:
        raise UsageError(
            f"the view recipe '{name}' has windows of one size, and {count} sizes are given",
            fix="give one size, or take a recipe of several, such as --view-recipe mso",
        )


def _side(centre: int, length: float, shift: int) -> tuple[int, int]:
    """One side of a window, by the released code's arithmetic, whole numbers and floats alike."""
    start = centre + shift * length // 3 - length // 2
    first = int(start)
    return first, max(int(start + length), first + 1)


#: The paper's recipes by their short names: s, sizes; o, offsets; r, rotations; f, flips.
RECIPES: dict[str, dict[str, Any]] = {
    # One centred view of 256 pixels.
    "none": {"scales": _PIXEL_SIZES[:1]},
    # 3 views: 256, 384 and 512 pixels.
    "ms": {"scales": _PIXEL_SIZES},
    # 9 views: shifted in nine directions.
    "mo": {"scales": _PIXEL_SIZES[:1], "shifts": _AROUND},
    # 4 views: turned by quarters.
    "mr": {"scales": _PIXEL_SIZES[:1], "rotations": _TURNED},
    # 5 views: with its mirror images.
    "mf": {"scales": _PIXEL_SIZES[:1], "flips": _MIRRORED},
    # 27 views: the paper's best, and the default.
    "mso": {"scales": _PIXEL_SIZES, "shifts": _AROUND},
    # 12, 15 and 36 views.
    "msr": {"scales": _PIXEL_SIZES, "rotations": _TURNED},
    "msf": {"scales": _PIXEL_SIZES, "flips": _MIRRORED},
    "mor": {"scales": _PIXEL_SIZES[:1], "shifts": _AROUND, "rotations": _TURNED},
    # 27 views: 1, 1.5 and 2 times the region's box, shifted in nine directions.
    "mso_bbox": {"scales": _BOX_FACTORS, "of_box": True, "shifts": _AROUND},
}
