"""The batch sizes that a plan is built for, and what else its graph leaves open."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.views.patches import PatchBatch, PatchLimits, input_shapes

__all__ = ["DEFAULT_PROFILE", "AnyProfile", "BatchProfile", "CuttingProfile", "Shape", "parse_profile"]

Shape: TypeAlias = tuple[int, ...]

_MOST_VIEWS = 1024


@dataclass(frozen=True)
class BatchProfile:
    """Smallest, usual and largest number of views in a batch.

    TensorRT chooses its kernels for the usual one, and reserves memory for the largest.

    Attributes:
        smallest: 1 or more.
        usual: No less.
        largest: No less; 1024 at most.

    Raises:
        UsageError: They are not in order, or not from 1 to 1024.
    """

    variant: ClassVar[str] = ""
    smallest: int
    usual: int
    largest: int

    def __post_init__(self) -> None:
        if not 1 <= self.smallest <= self.usual <= self.largest <= _MOST_VIEWS:
            raise UsageError(
                f"the batch sizes {self} are not in order, or not from 1 to {_MOST_VIEWS}",
                fix="example: --batch 1:27:54",
            )

    def __str__(self) -> str:
        return f"{self.smallest}:{self.usual}:{self.largest}"

    @classmethod
    def parse(cls, text: str) -> BatchProfile:
        """Reads `SMALLEST:USUAL:LARGEST`.

        Raises:
            UsageError: It is not three whole numbers in order.
        """
        parts = text.split(":")
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
            raise UsageError(f"'{text[:64]}' is not SMALLEST:USUAL:LARGEST", fix="example: --batch 1:27:54")
        smallest, usual, largest = (int(part) for part in parts)
        return cls(smallest, usual, largest)

    @property
    def buckets(self) -> tuple[int, ...]:
        """The batch sizes that are run; a batch in between is filled up to the next.

        A few more than the three of the profile, so that one view never costs as much as twenty-seven.
        """
        steps = {self.smallest, self.usual, self.largest}
        size = 1
        while size < self.largest:
            steps.add(size)
            size *= 3
        return tuple(sorted(step for step in steps if step >= self.smallest))

    def bucket(self, count: int) -> int:
        """The smallest batch size that holds `count` views, 1 to `largest`."""
        return next(size for size in self.buckets if size >= count)

    def shapes(self, image_size: int) -> dict[str, tuple[Shape, Shape, Shape]]:
        """By the name of an input, its smallest, usual and largest shape.

        Args:
            image_size: Side S of a view in pixels.
        """
        smallest, usual, largest = (
            self.shapes_of(count, image_size)["views"] for count in (self.smallest, self.usual, self.largest)
        )
        return {"views": (smallest, usual, largest)}

    @staticmethod
    def shapes_of(count: int, image_size: int) -> dict[str, Shape]:
        """The shapes of the inputs for a number of views, by their names."""
        return {"views": (count, image_size, image_size, 4)}


DEFAULT_PROFILE = BatchProfile(1, 27, 54)

# One region of `mso` has 27 views, 9 columns and 3 lengths of windows, and a patch of 853 x 853. The library reserves
# memory for the most columns and views at once: 0.6 GB for these, and about twice as much for 27 columns.
_PATCHES, _COLUMNS = (1, 3), (1, 3, 9)
# Widths of the columns and heights of the views may all differ; those of one region of `mso_bbox` are 6.
_USUAL_LENGTHS = 6
_SMALLEST_SIDE = 32


@dataclass(frozen=True)
class CuttingProfile:
    """What a plan that cuts views is built for: numbers of views, of patches, and of what else goes into its graph.

    Each length is padded to the next of a few, since the library prepares each combination that is run.

    Attributes:
        views: How many views, as for a plan that takes them; no more than `VIEWS_AT_ONCE`.
    """

    variant: ClassVar[str] = "views"
    limits: ClassVar[PatchLimits] = PatchLimits(patches=_PATCHES[-1], columns=_COLUMNS[-1], sides=(512, 864, 1024))
    views: BatchProfile

    @classmethod
    def beside(cls, profile: BatchProfile) -> CuttingProfile:
        """The profile beside that of the plan that takes views."""
        most = cls.limits.views
        return cls(BatchProfile(*(min(n, most) for n in (profile.smallest, profile.usual, profile.largest))))

    def __str__(self) -> str:
        limits = self.limits
        return f"{self.views} from {limits.patches} patches up to {limits.sides[-1]}, {limits.columns} columns"

    def shapes(self, image_size: int) -> dict[str, tuple[Shape, Shape, Shape]]:  # noqa: ARG002 (views do not go in)
        """By the name of an input, its smallest, usual and largest shape."""
        views, most, sides = self.views, _COLUMNS[-1], self.limits.sides
        smallest = input_shapes(self._lengths(views.smallest, 1, 1, 1, _SMALLEST_SIDE))
        usual = input_shapes(self._lengths(views.usual, 1, min(views.usual, most), _USUAL_LENGTHS, sides[1]))
        largest = input_shapes(self._lengths(views.largest, _PATCHES[-1], most, self._most_taps, sides[-1]))
        return {name: (smallest[name], usual[name], largest[name]) for name in smallest}

    def padded(self, batch: PatchBatch) -> dict[str, Shape]:
        """The shapes that a batch is filled up to, by the names of the inputs; its sides are those of `limits`."""
        patches, height, width = batch.patches.shape
        return input_shapes(
            {
                "N": self.views.bucket(len(batch)),
                "P": _next(_PATCHES, patches),
                "U": _next(_COLUMNS, len(batch.column_patch)),
                "T": _next((_USUAL_LENGTHS, self._most_taps), len(batch.taps)),
                "H": height // 4,
                "W": width,
            }
        )

    @property
    def first(self) -> dict[str, Shape]:
        """The smallest shapes that are run."""
        lengths = self._lengths(self.views.buckets[0], _PATCHES[0], _COLUMNS[0], _USUAL_LENGTHS, self.limits.sides[0])
        return input_shapes(lengths)

    @property
    def _most_taps(self) -> int:
        return _COLUMNS[-1] + self.limits.views

    @staticmethod
    def _lengths(views: int, patches: int, columns: int, taps: int, side: int) -> dict[str, int]:
        return {"N": views, "P": patches, "U": columns, "T": taps, "H": side, "W": side}


AnyProfile: TypeAlias = BatchProfile | CuttingProfile


def parse_profile(text: str) -> AnyProfile:
    """Reads what `str` of either profile writes.

    Raises:
        UsageError: It is something else.
    """
    sizes = re.match(r"[0-9:]+(?= from )", text, re.ASCII)
    if sizes is None:
        return BatchProfile.parse(text)
    found = CuttingProfile(BatchProfile.parse(sizes[0]))
    if str(found) != text:
        raise UsageError(f"'{text[:64]}' is not what this version cuts views from")
    return found


def _next(ladder: Sequence[int], length: int) -> int:
    return next(step for step in ladder if step >= length)
