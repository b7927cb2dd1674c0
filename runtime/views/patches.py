"""Views that are cut where the engine runs: what goes up in the place of their pixels.

The part of the image under a region's windows goes up once, and with it, for each window, where it lies and how it is
resampled. A graph of the bundle cuts the views from that (`export/cutting_graph.py`), with the same result as
`crop_views`.

Each pass of the resampling is two products of float32. Pillow's weights have 22 bits, and a product with a byte would
need more than float32 holds; so they are cut into an upper part of 10 bits and a lower part of 12. Sums of bytes times
parts are exact in float32, in any order, and with inputs of 11 bits (TensorFloat-32, float16) as well.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.regions.region import Region
from mvrec_edge.runtime.views.crop import windows_to_cut
from mvrec_edge.runtime.views.kernels import WEIGHT_BITS, integer_weights
from mvrec_edge.runtime.views.plan import ViewPlan
from mvrec_edge.runtime.views.resample import INTERMEDIATE, Window

__all__ = [
    "LARGEST_PATCH",
    "LARGEST_WINDOW",
    "PATCH_INPUTS",
    "TAPS",
    "UPPER_STEP",
    "VIEWS_AT_ONCE",
    "PatchBatch",
    "PatchLimits",
    "PatchViews",
    "cut_patch",
    "input_shapes",
    "join_patches",
    "part_patches",
    "sums_are_exact",
    "weight_parts",
]

#: Most rows, and most columns, of a patch. The 27 windows of `mso` take 853 of each.
LARGEST_PATCH = 1024
#: Most rows, and most columns, of a window; it may reach beyond the image, and the patch does not.
LARGEST_WINDOW = 2048
#: Weights of a row of the first resize, of a window of any size up to the largest.
TAPS = 17
#: Most views of one call: those of one region with `mso`. A call takes about 40 MB for each.
VIEWS_AT_ONCE = 27

#: One in the lower part's sum counts so much.
UPPER_STEP = 2.0**-10

# Whole numbers up to here are exact in float32.
_MOST_EXACT = 1 << 24
# Patches are padded to a multiple, so that there are few shapes and products are fast.
_STEP = 32
# A weight may be larger than 1, where a tiny window is cut at its border, and an upper part shall have 11 bits at most.
_LOWER_BITS = 12
_UPPER_BITS = WEIGHT_BITS - _LOWER_BITS


#: The inputs of a graph that cuts views, which are the fields of `PatchBatch`: name, dtype and shape. A name in a shape
#: is a length that each call may choose; see `input_shapes`.
PATCH_INPUTS: tuple[tuple[str, str, tuple[str | int, ...]], ...] = (
    ("patches", "uint8", ("P", "four_H", "W")),
    ("columns", "float32", ("W",)),
    ("rows", "float32", ("H",)),
    ("taps", "float32", ("T", 2, INTERMEDIATE, TAPS + 2)),
    ("column_patch", "int32", ("U",)),
    ("column_taps", "int32", ("U",)),
    ("column_starts", "int32", ("U", INTERMEDIATE)),
    ("view_column", "int32", ("N",)),
    ("view_taps", "int32", ("N",)),
    ("view_starts", "int32", ("N", INTERMEDIATE)),
)


@dataclass(frozen=True)
class PatchLimits:
    """How much one call takes.

    Attributes:
        views: Most views.
        patches: Most patches.
        columns: Most distinct pairs of a patch and columns of it.
        sides: The rows, and as many columns, that patches are padded to, in order; by default each call has its own.
    """

    views: int = VIEWS_AT_ONCE
    patches: int = VIEWS_AT_ONCE
    columns: int = VIEWS_AT_ONCE
    sides: tuple[int, ...] = ()


@dataclass(frozen=True)
class PatchViews:
    """Some views of one region that are not cut yet.

    Attributes:
        patch: uint8 `[H, 4, W]`: red, green, blue and mask under the windows, as far as the image reaches.
        windows: One for each view, in pixels of the patch.
    """

    patch: npt.NDArray[np.uint8]
    windows: tuple[Window, ...]

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, views: slice) -> PatchViews:
        return PatchViews(self.patch, self.windows[views])


@dataclass(frozen=True)
class PatchBatch:
    """What goes into a graph that cuts views: N views of P patches. Names and order are those of the graph's inputs.

    Attributes:
        patches: uint8 `[P, 4 * H, W]`: rows of red, green, blue and mask in turn; zero beyond a patch.
        columns: float32 `[W]`: 0, 1, 2, ...
        rows: float32 `[H]`: 0, 1, 2, ...
        taps: float32 `[T, 2, 512, TAPS + 2]`: for each length of a window the weights, see `weight_parts`.
        column_patch: int32 `[U]`: for each distinct pair of a patch and columns of it, the patch.
        column_taps: int32 `[U]`: which of `taps`.
        column_starts: int32 `[U, 512]`: the first column of each sample; may lie beyond the patch.
        view_column: int32 `[N]`: for each view, which of the U pairs.
        view_taps: int32 `[N]`: which of `taps` its rows take.
        view_starts: int32 `[N, 512]`: the first row of each sample.
    """

    patches: npt.NDArray[np.uint8]
    columns: npt.NDArray[np.float32]
    rows: npt.NDArray[np.float32]
    taps: npt.NDArray[np.float32]
    column_patch: npt.NDArray[np.int32]
    column_taps: npt.NDArray[np.int32]
    column_starts: npt.NDArray[np.int32]
    view_column: npt.NDArray[np.int32]
    view_taps: npt.NDArray[np.int32]
    view_starts: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.view_column)

    def feeds(self) -> dict[str, npt.NDArray[np.generic]]:
        """The arrays by the names of the graph's inputs."""
        return dict(vars(self))


def cut_patch(
    image: npt.NDArray[np.uint8], region: Region, plan: ViewPlan, *, views: Sequence[int] | None = None
) -> PatchViews | None:
    """Takes the part of an image that a region's views are cut from.

    Args:
        image: uint8 `[H, W, 3]`, RGB.
        region: A region of this image.
        plan: Which views.
        views: Indices of the views, in the order wanted; by default all.

    Returns:
        None where a graph cannot cut them: where the plan turns or mirrors views, is not resampled exactly or averages
        pixels first, or where windows or patch are too large.

    Raises:
        ImageError: The image is not uint8 `[H, W, 3]`.
        AnnotationError: The region belongs to an image of another size, or its box is too large.
    """
    windows = windows_to_cut(image, region, plan, views)
    if plan.resample != "exact" or plan.turns_or_mirrors or not windows:
        return None
    if any(plan.reductions[view] > 1 for view in (range(plan.count) if views is None else views)):
        return None
    edges = np.array(windows)
    height, width = image.shape[:2]
    left, top = (int(value) for value in np.clip(edges[:, :2].min(axis=0), 0, (width - 1, height - 1)))
    right, bottom = (int(value) for value in np.clip(edges[:, 2:].max(axis=0), (left + 1, top + 1), (width, height)))
    longest = int((edges[:, 2:] - edges[:, :2]).max())
    if longest > LARGEST_WINDOW or max(right - left, bottom - top) > LARGEST_PATCH:
        return None
    patch = np.empty((bottom - top, 4, right - left), np.uint8)
    source = image[top:bottom, left:right]
    # OpenCV wants rows whose pixels follow one another; a crop of any ordinary array has them.
    if source.strides[1:] != (3, 1):
        source = np.ascontiguousarray(source)
    for channel in range(3):
        cv2.extractChannel(source, channel, dst=patch[:, channel])
    patch[:, 3] = region.mask_window(left, top, right, bottom)
    return PatchViews(patch, tuple((x1 - left, y1 - top, x2 - left, y2 - top) for x1, y1, x2, y2 in windows))


def input_shapes(lengths: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """The shapes of the inputs of a graph that cuts views, by name and in order.

    Args:
        lengths: P, U, T, N, H and W, see `PatchBatch`.
    """
    known = {**lengths, "four_H": 4 * lengths["H"]}
    return {
        name: tuple(known[length] if isinstance(length, str) else length for length in shape)
        for name, _, shape in PATCH_INPUTS
    }


def part_patches(pieces: Sequence[PatchViews], limits: PatchLimits) -> Iterator[list[PatchViews]]:
    """The pieces in order, cut and put together to lists that one call takes."""
    some: list[PatchViews] = []
    views, columns = 0, 0
    for piece in pieces:
        done = 0
        while done < len(piece):
            taken = 0
            if len(some) < limits.patches:
                taken, distinct = _leading(piece.windows[done:], limits.views - views, limits.columns - columns)
            if not taken:
                yield some
                some, views, columns = [], 0, 0
                continue
            some.append(piece[done : done + taken])
            done, views, columns = done + taken, views + taken, columns + distinct
    if some:
        yield some


def _leading(windows: Sequence[Window], most: int, columns: int) -> tuple[int, int]:
    """How many of the first windows have no more than `most` views and `columns`, and how many columns they have."""
    seen: set[tuple[int, int]] = set()
    for count, (x1, _, x2, _) in enumerate(windows):
        if count == most or len(seen | {(x1, x2)}) > columns:
            return count, len(seen)
        seen.add((x1, x2))
    return len(windows), len(seen)


def join_patches(pieces: Sequence[PatchViews], sides: Sequence[int] = ()) -> PatchBatch:
    """Puts views of several regions together for one call.

    Args:
        pieces: At least one view of each; together no more than `VIEWS_AT_ONCE`.
        sides: See `PatchLimits`.
    """
    height, width = (max(piece.patch.shape[axis] for piece in pieces) for axis in (0, 2))
    if sides:
        height = width = next(side for side in sides if side >= max(height, width))
    else:
        height, width = (-(-length // _STEP) * _STEP for length in (height, width))
    patches = np.zeros((len(pieces), height, 4, width), np.uint8)
    lengths: dict[int, int] = {}
    columns: dict[tuple[int, int, int], int] = {}
    views: list[tuple[int, int, int]] = []
    for place, piece in enumerate(pieces):
        rows, _, across = piece.patch.shape
        patches[place, :rows, :, :across] = piece.patch
        for x1, y1, x2, y2 in piece.windows:
            for length in (x2 - x1, y2 - y1):
                lengths.setdefault(length, len(lengths))
            column = columns.setdefault((place, x1, x2 - x1), len(columns))
            views.append((column, y1, y2 - y1))
    resizes = [_resize(length) for length in lengths]

    def starts(sides: Sequence[tuple[int, int, int]]) -> npt.NDArray[np.int32]:
        return np.stack([resizes[lengths[length]][0] + start for _, start, length in sides])

    def ints(values: Sequence[int]) -> npt.NDArray[np.int32]:
        return np.array(values, np.int32)

    return PatchBatch(
        patches=patches.reshape(len(pieces), 4 * height, width),
        columns=np.arange(width, dtype=np.float32),
        rows=np.arange(height, dtype=np.float32),
        taps=np.stack([taps for _, taps in resizes]),
        column_patch=ints([place for place, _, _ in columns]),
        column_taps=ints([lengths[length] for _, _, length in columns]),
        column_starts=starts(list(columns)),
        view_column=ints([column for column, _, _ in views]),
        view_taps=ints([lengths[length] for _, _, length in views]),
        view_starts=starts(views),
    )


@functools.lru_cache(maxsize=64)
def _resize(length: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """The first input sample of each of 512, int32 `[512]`, and their weights, float32 `[2, 512, TAPS + 2]`."""
    first, weights = weight_parts(length, INTERMEDIATE)
    taps = np.zeros((2, INTERMEDIATE, TAPS + 2), np.float32)
    taps[..., : weights.shape[2]] = weights
    return first, taps


def weight_parts(size_in: int, size_out: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """The weights of one resize, each in an upper and a lower part.

    With `u` and `l` the sums of the bytes times the upper and the lower parts, Pillow's value is
    `floor(u + floor(l) * UPPER_STEP + 1/2)`, clipped to 8 bits.

    Args:
        size_in: Input samples, at least 1.
        size_out: Output samples, at least 1.

    Returns:
        For every output sample the first input sample, int32 `[size_out]`; and float32 `[2, size_out, taps + 2]`, with
        a zero before the weights of each sample and one behind: multiples of 2^-10 below 2, and of 2^-12 up to 1/2.
    """
    first, weights = integer_weights(size_in, size_out)
    upper = (weights + (1 << (_LOWER_BITS - 1))) >> _LOWER_BITS
    parts = np.stack([np.ldexp(upper, -_UPPER_BITS), np.ldexp(weights - (upper << _LOWER_BITS), -_LOWER_BITS)])
    return first.astype(np.int32), np.pad(parts.astype(np.float32), ((0, 0), (0, 0), (1, 1)))


def sums_are_exact(parts: npt.NDArray[np.float32]) -> bool:
    """Whether float32 holds the sums of bytes times the parts that `weight_parts` gave, in any order."""
    largest = 255 * np.abs(parts).sum(axis=2).max(axis=1)
    return bool(largest[0] * (1 << _UPPER_BITS) < _MOST_EXACT and largest[1] * (1 << _LOWER_BITS) < _MOST_EXACT)
