"""A labelled data set of rendered defects, in the folder layout of the magnetic tile data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.files import writing
from mvrec_edge.testing.held_out import Tone
from mvrec_edge.testing.surfaces import DEFECT_FAMILIES, HELD_OUT_FAMILIES, SURFACES, render_defect

__all__ = ["write_dataset", "write_demo_line"]

_JPEG_QUALITY = 95
_DEMO_SIZE = (960, 1280)
_TONES = 71
_TONE_NAMES: tuple[Tone, Tone] = ("dark", "bright")


def write_dataset(
    folder: str | Path,
    *,
    families: Sequence[str] = DEFECT_FAMILIES,
    per_class: int = 8,
    size: tuple[int, int] = (480, 640),
    seed: int = 0,
    surface: str | None = None,
) -> None:
    """Writes `<folder>/<family>/Imgs/0001.jpg` with its mask `0001.png`, and so on.

    Surfaces take turns, so that a class cannot be told by its background, and a family of `HELD_OUT_FAMILIES` is now
    darker and now brighter. With `surface`, the images are those of one line: all have this surface, and each such
    family has one tone, which the seed decides.

    Args:
        folder: Folder to make; it must not exist, or be empty.
        families: Defect families, one class each.
        per_class: Images for each class.
        size: `(H, W)` of the images in pixels.
        seed: Decides every image.
        surface: One of `SURFACES`, for all images.

    Raises:
        OutputError: The folder is not empty or cannot be written.
        UsageError: There is no such family or surface, or the size is out of range.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise OutputError("is not empty", where=folder, fix="choose another folder")
    random = np.random.Generator(np.random.PCG64([seed, _TONES]))
    tones = {family: _TONE_NAMES[int(random.integers(2))] for family in HELD_OUT_FAMILIES}
    for order, family in enumerate(families):
        place = folder / family / "Imgs"
        with writing(place):
            place.mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            material = surface or SURFACES[(number + order) % len(SURFACES)]
            tone = tones.get(family) if surface else None
            sample = render_defect(family, material, size=size, seed=seed * 100_003 + number, tone=tone)
            name = place / f"{number + 1:04d}"
            _write(name.with_suffix(".jpg"), cv2.cvtColor(sample.image, cv2.COLOR_RGB2BGR))
            _write(name.with_suffix(".png"), sample.mask)


def write_demo_line(folder: str | Path, *, per_class: int, seed: int) -> None:
    """Writes the labelled set of `mvrec-edge demo`: `HELD_OUT_FAMILIES` on castings, 960 x 1280.

    Fewer images a class are the first of more.

    Args:
        folder: Folder to make; it must not exist, or be empty.
        per_class: Images for each class.
        seed: Decides every image.

    Raises:
        OutputError: The folder is not empty or cannot be written.
    """
    write_dataset(
        folder, families=HELD_OUT_FAMILIES, per_class=per_class, size=_DEMO_SIZE, seed=seed, surface="casting"
    )


def _write(path: Path, pixels: np.ndarray) -> None:
    flags = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix == ".jpg" else []
    _, data = cv2.imencode(path.suffix, pixels, flags)
    with writing(path):
        path.write_bytes(data.tobytes())
