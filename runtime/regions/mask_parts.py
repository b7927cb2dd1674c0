"""The connected components of a mask, found in bands of rows, so that a large mask takes no more than a small one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import AnnotationError

__all__ = ["MaskParts", "label_parts"]

# Pixels that are labelled at once: four bytes of label each.
_BAND = 1 << 22
# More than any drawn mask has: a run for every 64th pixel of the largest image would be noise. Each may be a component.
_MOST_RUNS = 1 << 21
_Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class MaskParts:
    """The components of a mask.

    Attributes:
        boxes: int64 `[N, 4]`, `(x1, y1, x2, y2)` of each, half-open.
        areas: int64 `[N]`, the pixels of each.
    """

    boxes: npt.NDArray[np.int64]
    areas: npt.NDArray[np.int64]
    _mask: _Pixels
    _rows: int
    # The component of each label of each band; of the background, label 0, it is -1.
    _owners: tuple[npt.NDArray[np.int64], ...]
    # The labels where there is one band alone; else they are found once more, which takes less than keeping them.
    _labels: npt.NDArray[np.int32] | None

    def patches(self, kept: npt.NDArray[np.integer[Any]]) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
        """The part of the mask within the box of each of some components, where it belongs to that component.

        Args:
            kept: Numbers of components.

        Yields:
            Number and patch of each, in the order of their last rows.
        """
        wanted = np.zeros(len(self.areas), np.bool_)
        wanted[kept] = True
        # Those that reach over several bands, as bits: many may be as large as the mask.
        begun: dict[int, _Pixels] = {}
        for number, (top, labels) in enumerate(self._bands()):
            bottom = top + len(labels)
            by_owner = np.argsort(self._owners[number], kind="stable")
            owners = self._owners[number][by_owner]
            here = np.unique(owners[1:])
            for component in here[wanted[here]].tolist():
                x1, y1, x2, y2 = self.boxes[component].tolist()
                first, last = max(y1, top), min(y2, bottom)
                window = labels[first - top : last - top, x1:x2]
                its = by_owner[slice(*np.searchsorted(owners, (component, component + 1)))]
                inside = window == its[0] if len(its) == 1 else np.isin(window, its)
                if top <= y1 and y2 <= bottom:
                    yield component, inside
                    continue
                if component not in begun:
                    begun[component] = np.zeros((y2 - y1, -(-(x2 - x1) // 8)), np.uint8)
                begun[component][first - y1 : last - y1] = np.packbits(inside, axis=1)
                if y2 <= bottom:
                    yield component, np.unpackbits(begun.pop(component), axis=1, count=x2 - x1).view(np.bool_)

    def _bands(self) -> Iterator[tuple[int, npt.NDArray[np.int32]]]:
        """First row and labels of each band."""
        if self._labels is not None:
            yield 0, self._labels
        else:
            for top, labels, _ in _labelled(self._mask, self._rows):
                yield top, labels


def label_parts(mask: _Pixels, source: str | None = None) -> MaskParts:
    """Finds the components of a mask; pixels that touch at a corner are connected.

    Args:
        mask: uint8 `[H, W]`; every value above 0 belongs to a component.
        source: Where it was read from, for messages.

    Raises:
        AnnotationError: It has more runs of pixels than any drawn mask.
    """
    rows = max(1, _BAND // mask.shape[1])
    _refuse_noise(mask, rows, source)
    joined = _Joined()
    boxes, areas, firsts = [], [], []
    above: npt.NDArray[np.int64] | None = None
    labels: npt.NDArray[np.int32] | None = None
    for top, labels, stats in _labelled(mask, rows):
        first = joined.add(len(stats))
        firsts.append(first)
        x, y, width, height = (stats[:, place].astype(np.int64) for place in range(4))
        boxes.append(np.stack((x, y + top, x + width, y + top + height), axis=1))
        areas.append(stats[:, cv2.CC_STAT_AREA].astype(np.int64))
        if above is not None:
            joined.touch(above, _numbered(labels[0], first))
        above = _numbered(labels[-1], first)
    owners, count = joined.owners()
    every = np.concatenate(boxes)
    whole = np.empty((count, 4), np.int64)
    whole[:, :2], whole[:, 2:] = np.iinfo(np.int64).max, -1
    np.minimum.at(whole[:, :2], owners, every[:, :2])
    np.maximum.at(whole[:, 2:], owners, every[:, 2:])
    area = np.zeros(count, np.int64)
    np.add.at(area, owners, np.concatenate(areas))
    of_band = np.split(owners, firsts[1:])
    numbers = tuple(np.concatenate(([-1], each)) for each in of_band)
    return MaskParts(whole, area, mask, rows, numbers, labels if len(numbers) == 1 else None)


def _refuse_noise(mask: _Pixels, rows: int, source: str | None) -> None:
    runs = 0
    for top in range(0, len(mask), rows):
        band = mask[top : top + rows] != 0
        runs += int(np.count_nonzero(band[:, 1:] > band[:, :-1]) + np.count_nonzero(band[:, 0]))
    if runs > _MOST_RUNS:
        raise AnnotationError(
            f"the mask falls into {runs} runs of pixels, more than {_MOST_RUNS}: it looks like noise",
            where=source,
            fix="check that it is a mask",
        )


def _labelled(mask: _Pixels, rows: int) -> Iterator[tuple[int, npt.NDArray[np.int32], npt.NDArray[np.int32]]]:
    """First row, labels, and the statistics of each label but the background, of each band."""
    for top in range(0, len(mask), rows):
        band = np.ascontiguousarray(mask[top : top + rows])
        _, labels, stats, _ = cv2.connectedComponentsWithStats(band, connectivity=8)
        yield top, np.asarray(labels, np.int32), np.asarray(stats[1:], np.int32)


def _numbered(labels: npt.NDArray[np.int32], first: int) -> npt.NDArray[np.int64]:
    """A row of labels as numbers that count through all bands; -1 where there is background."""
    return np.where(labels > 0, labels.astype(np.int64) - 1 + first, -1)


class _Joined:
    """Parts of bands, of which some touch: a forest in which each part knows one that it belongs to."""

    def __init__(self) -> None:
        self._count = 0
        self._parent: dict[int, int] = {}

    def add(self, count: int) -> int:
        """Adds parts; returns the number of the first."""
        first = self._count
        self._count += count
        return first

    def touch(self, above: npt.NDArray[np.int64], below: npt.NDArray[np.int64]) -> None:
        """Joins the parts of two rows that touch, at a corner at least."""
        ends = len(above)
        for shift in (-1, 0, 1):
            pairs = np.stack(
                (above[max(0, -shift) : ends - max(0, shift)], below[max(0, shift) : ends - max(0, -shift)])
            )
            for one, other in np.unique(pairs[:, (pairs >= 0).all(axis=0)], axis=1).T.tolist():
                self._parent[max(self._root(one), self._root(other))] = min(self._root(one), self._root(other))

    def _root(self, part: int) -> int:
        while (parent := self._parent.get(part, part)) != part:
            part = parent
        return part

    def owners(self) -> tuple[npt.NDArray[np.int64], int]:
        """The component of each part, and how many components there are."""
        roots = np.arange(self._count)
        for part in self._parent:
            roots[part] = self._root(part)
        different, owners = np.unique(roots, return_inverse=True)
        return owners.astype(np.int64), len(different)
