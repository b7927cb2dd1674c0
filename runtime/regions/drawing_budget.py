"""How much the regions of one image may take to draw, so that a small file cannot take minutes and all memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import AnnotationError

__all__ = ["OUTLINE_WORK", "POINT_WORK", "check_left", "drawing_budget", "outline_work", "take"]

# In steps of about a nanosecond, of which a pixel takes one: 20 masks of 50 megapixels, or 10,000 of 320 x 320 pixels.
_MOST = float(1 << 30)
# As measured with OpenCV's filling: a point, a row and a column that an edge crosses; and, since the edges of a row are
# kept in order by exchanging neighbours, two edges of one row that cross at worst.
_POINT, _ROW, _COLUMN, _PAIR = 50.0, 8.0, 1.3, 0.16
# A pixel inside an outline, which is one of many of the pixels that are allocated.
_INSIDE = 0.2
#: What any outline takes, however small, and each of its points before it is known what drawing it takes.
OUTLINE_WORK, POINT_WORK = 20_000.0, 150.0


class _Budget:
    """What is left for one image."""

    def __init__(self) -> None:
        self.left = _MOST


#: The image whose regions are drawn. Regions are made in many places, and a parameter that each hands on would be
#: forgotten by the next one.
_budget: ContextVar[_Budget | None] = ContextVar("budget", default=None)


@contextlib.contextmanager
def drawing_budget() -> Iterator[None]:
    """While this holds, all regions that are made share one budget; else each has one of its own."""
    token = _budget.set(_Budget())
    try:
        yield
    finally:
        _budget.reset(token)


def take(work: float, source: str | None) -> None:
    """Takes from the budget; asked before anything is allocated.

    Args:
        work: How much is drawn, in pixels.
        source: Where the region was read from, for messages.

    Raises:
        AnnotationError: No more is left; smaller regions may still be drawn.
    """
    budget = _budget.get() or _Budget()
    check_left(work, source)
    budget.left -= work


def check_left(work: float, source: str | None) -> None:
    """Raises `AnnotationError` where no more is left, and takes nothing."""
    if work > (_budget.get() or _Budget()).left:
        raise AnnotationError(
            "the region takes too much to draw, alone or with those before it on the image",
            where=source,
            fix="give a simpler outline, or cut the image into tiles",
        )


def outline_work(outline: npt.NDArray[np.int64], image_size: tuple[int, int]) -> float:
    """What it takes to fill a polygon into pixels that are there.

    Args:
        outline: int64 `[P, 2]`, whether or not its last point is its first.
        image_size: `(H, W)`.
    """
    before = np.roll(outline, 1, axis=0)
    across, down = np.abs(outline - before).sum(axis=0).tolist()
    first = outline.min(axis=0)
    width, height = (outline.max(axis=0) - first + 1).tolist()
    work = _POINT * len(outline) + _ROW * down + _COLUMN * across
    work += _INSIDE * min(width, image_size[1]) * min(height, image_size[0])
    # All edges in all rows: of most outlines that is little enough.
    if work > _MOST or float(len(outline)) ** 2 * height * _PAIR < 1e6:
        return float(work)
    # From one end of an edge to the next, the number of edges in a row stays: as many steps as there are points,
    # however far they reach.
    rows, rows_before = outline[:, 1], before[:, 1]
    ends = np.concatenate([np.minimum(rows, rows_before), np.maximum(rows, rows_before)])
    order = np.argsort(ends, kind="stable")
    edges = np.cumsum(np.where(order < len(rows), 1.0, -1.0))
    return float(work + _PAIR * (np.square(edges[:-1]) * np.diff(ends[order])).sum())
