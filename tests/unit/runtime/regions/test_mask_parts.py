"""Components found band by band are those of the whole mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions import mask_parts, regions_of_mask
from mvrec_edge.runtime.regions.mask_parts import label_parts


def _spiral(side: int) -> np.ndarray:
    """A part that meets each band many times."""
    mask = np.zeros((side, side), np.uint8)
    for inset in range(0, side // 2, 2):
        cv2.rectangle(mask, (inset, inset), (side - 1 - inset, side - 1 - inset), (255,), 1)
        mask[side // 2, inset : inset + 2] = 255
    return mask


def _patches(mask: np.ndarray) -> dict[tuple[int, ...], bytes]:
    parts = label_parts(mask)
    everything = np.arange(len(parts.areas))
    found = {
        (*parts.boxes[number].tolist(), int(parts.areas[number])): patch for number, patch in parts.patches(everything)
    }
    assert len(found) == len(everything)
    return {key: np.packbits(patch).tobytes() for key, patch in found.items()}


@pytest.mark.parametrize("rows", [1, 2, 7])
@pytest.mark.parametrize("kind", ["noise", "specks", "spiral", "rings", "white", "diagonal"])
def test_bands_change_nothing(rows: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    mask = {
        "noise": (random.random((31, 40)) < 0.4).astype(np.uint8),
        "specks": (random.random((31, 40)) < 0.05).astype(np.uint8),
        "spiral": _spiral(31),
        "rings": np.kron(np.ones((6, 6), np.uint8), np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]])),
        "white": np.full((9, 5), 255, np.uint8),
        "diagonal": np.eye(23, dtype=np.uint8)[:, ::-1].copy(),
    }[kind].astype(np.uint8)
    whole = _patches(mask)

    monkeypatch.setattr(mask_parts, "_BAND", rows * mask.shape[1])

    assert _patches(mask) == whole
    again = regions_of_mask(mask, min_area=1)
    np.testing.assert_array_equal(np.any([region.mask for region in again], axis=0), mask > 0)


def test_noise_is_refused_before_it_is_labelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_parts, "_MOST_RUNS", 100)
    mask = np.zeros((20, 40), np.uint8)
    mask[::2, ::2] = 255

    with pytest.raises(AnnotationError, match="200 runs of pixels, more than 100") as caught:
        label_parts(mask, "m.png")
    assert caught.value.where == "m.png"
