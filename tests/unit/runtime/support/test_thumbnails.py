"""Pictures in a support cache: kept to the byte, bounded, and refused where they are no pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.runtime import SupportCache
from mvrec_edge.runtime.errors import IntegrityError, SupportError
from mvrec_edge.runtime.support.thumbnails import LARGEST_THUMBNAIL, check_thumbnails, pack, unpack


def jpeg(side: int = 32, value: int = 90) -> bytes:
    return cv2.imencode(".jpg", np.full((side, side, 3), value, np.uint8))[1].tobytes()


def make(thumbnails: list[bytes]) -> SupportCache:
    embeddings = np.random.default_rng(0).standard_normal((4, 3, 8)).astype(np.float32)
    return SupportCache.from_embeddings(embeddings, [0, 1, 0, 1], ["crack", "dent"], thumbnails=thumbnails)


def test_a_cache_gives_back_its_pictures(tmp_path: Path) -> None:
    pictures = [jpeg(value=10), b"", jpeg(48), jpeg(value=200)]
    make(pictures).save(tmp_path / "a")
    assert SupportCache.load(tmp_path / "a").thumbnails == tuple(pictures)


def test_a_cache_without_pictures_holds_no_tensor_of_them(tmp_path: Path) -> None:
    make([b""] * 4).save(tmp_path / "a")
    assert set(safetensors.numpy.load_file(tmp_path / "a")) == {"embeddings", "labels"}
    assert SupportCache.load(tmp_path / "a").thumbnails == ()


def test_a_subset_keeps_the_pictures_of_its_instances() -> None:
    pictures = [jpeg(value=value) for value in (10, 60, 110, 160)]
    assert make(pictures).subset([3, 0]).thumbnails == (pictures[3], pictures[0])
    assert make([]).subset([3, 0]).thumbnails == ()


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=12))
def test_packing_and_unpacking(pictures: list[bytes]) -> None:
    assert unpack(pack(pictures)) == tuple(pictures)


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ([jpeg()] * 3, "4 instances but 3"),
        ([b"\x89PNG\r\n\x1a\n" + bytes(50)] * 4, "no JPEG"),
        ([b"<svg onload=alert(1)>"] * 4, "no JPEG"),
        ([jpeg()[:-2]] * 4, "damaged"),
        ([jpeg()[:20]] * 4, "damaged"),
        ([jpeg(600)] * 4, "600 x 600"),
        ([jpeg() + bytes(LARGEST_THUMBNAIL)] * 4, "at most 32 KiB"),
    ],
)
def test_what_is_no_thumbnail_is_refused(pictures: list[bytes], message: str) -> None:
    with pytest.raises(SupportError, match=message):
        make(pictures)


def test_all_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mvrec_edge.runtime.support.thumbnails.LARGEST_THUMBNAILS", 1 << 20)
    with pytest.raises(SupportError, match="1 MiB"):
        check_thumbnails([jpeg(512)] * 4 + [jpeg()] * 4000, 4004)


def _save_forged(path: Path, **changes: np.ndarray | None) -> None:
    """A cache whose digest is right and whose thumbnails are not what they should be."""
    from mvrec_edge.runtime.support import cache as cache_module

    cache = make([jpeg()] * 4)
    tensors = {**pack(cache.thumbnails), **{f"thumbnails.{name}": value for name, value in changes.items()}}
    forged = {name: value for name, value in tensors.items() if value is not None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_module, "pack", lambda _: forged)
        path.write_bytes(cache.to_bytes())


_SIZE = len(jpeg())


@pytest.mark.parametrize(
    "changes",
    [
        {"data": None},
        {"offsets": None},
        {"data": np.zeros((2, _SIZE * 2), np.uint8)},
        {"data": np.zeros(_SIZE * 4, np.int8)},
        {"offsets": np.array([0, 1, 2, 3], np.int64) * _SIZE},
        {"offsets": np.array([0, 1, 2, 3, 5], np.int64) * _SIZE},
        {"offsets": np.array([0, 3, 2, 3, 4], np.int64) * _SIZE},
        {"offsets": np.array([1, 1, 2, 3, 4], np.int64) * _SIZE},
        {"offsets": np.array([0, -(2**62), 2**62, 3 * _SIZE, 4 * _SIZE], np.int64)},
        {"offsets": np.array([0, 2**63 - 1, -(2**63), 0, 4 * _SIZE], np.int64)},
        {"offsets": np.array([0, 1, 2, 3, 4], np.float64) * _SIZE},
        {"offsets": np.array([4 * _SIZE], np.int64)},
    ],
)
def test_forged_thumbnails_are_refused(tmp_path: Path, changes: dict[str, np.ndarray | None]) -> None:
    _save_forged(tmp_path / "a", **changes)
    with pytest.raises(IntegrityError):
        SupportCache.load(tmp_path / "a")


def test_a_changed_byte_of_a_thumbnail_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    make([jpeg()] * 4).save(path)
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"\xff\xd8\xff") + 200] ^= 1
    path.write_bytes(whole)
    with pytest.raises(IntegrityError, match="changed"):
        SupportCache.load(path)
