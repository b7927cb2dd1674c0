"""The part of a damaged JPEG picture that is not in its file: libjpeg fills it with one gray, as no camera does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import DamageWarning, InputWarning
from mvrec_edge.runtime.images.exif import upright

__all__ = ["MissingPart", "SalvageWarning", "filled_cells", "missing_of"]


@dataclass(frozen=True, eq=False, repr=False)
class MissingPart:
    """Which pixels of an image are missing.

    Attributes:
        cells: bool, the units that a picture is coded in, in the file's rows and columns; True where one is missing.
        row_of: int `[H, W]`, of each pixel of the upright image the row of its cell.
        column_of: int `[H, W]`, the column of its cell.
    """

    cells: npt.NDArray[np.bool_]
    row_of: npt.NDArray[np.intp]
    column_of: npt.NDArray[np.intp]

    @classmethod
    def of(
        cls, cells: npt.NDArray[np.bool_], cell_size: tuple[int, int], size: tuple[int, int], orientation: int
    ) -> MissingPart:
        """Makes one.

        Args:
            cells: As the attribute.
            cell_size: Height and width of a cell in pixels.
            size: `(H, W)` of the picture as stored.
            orientation: How it is turned to be upright, 1 to 8.
        """
        rows = upright(np.arange(size[0])[:, np.newaxis] // cell_size[0], orientation)
        columns = upright(np.arange(size[1])[np.newaxis] // cell_size[1], orientation)
        # Views: neither takes memory for the pixels.
        shape = np.broadcast_shapes(rows.shape, columns.shape)
        return cls(cells, np.broadcast_to(rows, shape), np.broadcast_to(columns, shape))

    def share_of(self, patch: npt.NDArray[np.uint8], origin: tuple[int, int]) -> float:
        """What share of a region is missing, 0 to 1.

        Args:
            patch: uint8 `[h, w]`, above 0 for the region.
            origin: `(x, y)` of its first pixel in the upright image.
        """
        (x, y), (height, width) = origin, patch.shape
        window = slice(y, y + height), slice(x, x + width)
        return float(self.cells[self.row_of[window], self.column_of[window]][patch > 0].mean())

    def in_words(self) -> str:
        """Such as `rows 97 to 328 of 328 are missing`, counted from 1 in the upright image."""
        if not self.cells.any():
            return "no part of the picture is missing, as far as can be seen"
        turned = bool(self.row_of[0, 0] != self.row_of[0, -1])
        lines = self.row_of[0] if turned else self.row_of[:, 0]
        some = np.flatnonzero(np.asarray(self.cells.any(axis=1))[lines])
        words = f"{'columns' if turned else 'rows'} {some[0] + 1} to {some[-1] + 1} of {len(lines)} are missing"
        whole = np.asarray(self.cells.all(axis=1))[lines][some[0] : some[-1] + 1]
        return words if whole.all() else words + (", some of them in part" if whole.any() else " in part")


@dataclass(frozen=True)
class SalvageWarning(DamageWarning):
    """A JPEG that is damaged, and is used as far as it can be decoded.

    Attributes:
        missing: The part of the picture that is missing.
    """

    missing: MissingPart = field(repr=False, compare=False)


def filled_cells(
    pixels: npt.NDArray[np.uint8], cell_size: tuple[int, int], fills: Iterable[int]
) -> npt.NDArray[np.bool_]:
    """Which cells of a picture are of one of the grays that stand for nothing.

    Args:
        pixels: uint8 `[H, W, C]`, as stored.
        cell_size: Height and width of a cell in pixels.
        fills: The grays, 0 to 255.

    Returns:
        bool, a value for each cell, those that reach over the edge of the picture with them.
    """
    height, width = cell_size
    beyond = -pixels.shape[1] % width
    rows = []
    for top in range(0, pixels.shape[0], height):
        # The colours of a neighbour, which are coded more coarsely, reach one pixel into a cell.
        band = pixels[top : top + height]
        band = band[1:-1] if len(band) > 2 else band[-1:]
        found = np.zeros(pixels.shape[1], bool)
        for fill in fills:
            found |= (band == fill).all(axis=(0, 2))
        rows.append(np.pad(found, (0, beyond), mode="edge").reshape(-1, width)[:, 1:-1].all(axis=1))
    return np.array(rows)


def missing_of(warnings: Iterable[InputWarning]) -> MissingPart | None:
    """The missing part of the image that warnings are about; None where nothing is damaged."""
    return next((each.missing for each in warnings if isinstance(each, SalvageWarning)), None)
