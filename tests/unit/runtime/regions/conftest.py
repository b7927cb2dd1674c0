"""Small images and masks for the readers' tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

HEIGHT, WIDTH = 40, 60


@pytest.fixture
def save_image() -> Callable[[Path], Path]:
    """Writes a gray image of 60 x 40 pixels, and the folders above it."""

    def save(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)).save(path)
        return path

    return save


@pytest.fixture
def save_mask() -> Callable[..., Path]:
    """Writes a mask of 60 x 40 pixels with filled boxes (x1, y1, x2, y2)."""

    def save(path: Path, *boxes: Sequence[int], size: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = np.zeros(size, np.uint8)
        for x1, y1, x2, y2 in boxes:
            mask[y1 : y2 + 1, x1 : x2 + 1] = 255
        Image.fromarray(mask).save(path)
        return path

    return save
