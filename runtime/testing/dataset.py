"""A labelled data set of rendered defects, in the folder layout of the magnetic tile data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.files import writing
from mvrec_edge.runtime.testing.surfaces import DEFECT_FAMILIES, SURFACES, render_defect

__all__ = ["write_dataset"]

_JPEG_QUALITY = 95


def write_dataset(
    folder: str | Path,
    *,
    families: Sequence[str] = DEFECT_FAMILIES,
    per_class: int = 8,
    size: tuple[int, int] = (480, 640),
    seed: int = 0,
) -> None:
    """Writes `<folder>/<family>/Imgs/0001.jpg` with its mask `0001.png`, and so on.

    Surfaces take turns, so that a class cannot be told by its background.

    Args:
        folder: Folder to make; it must not exist, or be empty.
        families: Defect families, one class each.
        per_class: Images for each class.
        size: `(H, W)` of the images in pixels.
        seed: Decides every image.

    Raises:
        OutputError: The folder is not empty or cannot be written.
        UsageError: There is no such family, or the size is out of range.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise OutputError("is not empty", where=folder, fix="choose another folder")
    for order, family in enumerate(families):
        place = folder / family / "Imgs"
        with writing(place):
            place.mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            surface = SURFACES[(number + order) % len(SURFACES)]
            sample = render_defect(family, surface, size=size, seed=seed * 100_003 + number)
            name = place / f"{number + 1:04d}"
            _write(name.with_suffix(".jpg"), cv2.cvtColor(sample.image, cv2.COLOR_RGB2BGR))
            _write(name.with_suffix(".png"), sample.mask)


def _write(path: Path, pixels: np.ndarray) -> None:
    flags = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix == ".jpg" else []
    _, data = cv2.imencode(path.suffix, pixels, flags)
    with writing(path):
        path.write_bytes(data.tobytes())
