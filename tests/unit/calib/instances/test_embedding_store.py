"""Embeddings on disk: found again, and only where nothing has changed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.calib import LabelledRegion, LabelledSet
from mvrec_edge.calib.instances.embedding_store import EmbeddingStore
from mvrec_edge.calib.instances.encoding import encode_instances
from mvrec_edge.runtime import Region, ViewPlan
from mvrec_edge.runtime.errors import OutputError, UsageError
from mvrec_edge.testing import FakeEngine

PLAN = ViewPlan.by_name("ms", size=16, resample="fast")


@pytest.fixture
def labelled(tmp_path: Path) -> LabelledSet:
    made = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.random.default_rng(number).integers(0, 256, (60, 80, 3), dtype=np.uint8))
        for left in (10, 40):
            mask = np.zeros((60, 80), np.uint8)
            mask[20:30, left : left + 9] = 255
            mask[20, left] = 0
            made.append(LabelledRegion(path, Region(mask, label="a"), "a"))
    return LabelledSet(tuple(made))


def test_a_second_run_encodes_nothing(labelled: LabelledSet, tmp_path: Path) -> None:
    store, engine = EmbeddingStore(tmp_path / "store"), FakeEngine(image_size=16)
    seen: list[int] = []
    first = encode_instances(engine, labelled, PLAN, store=store, progress=seen.append)
    assert (store.found, sum(seen)) == (0, 18)
    quiet = FakeEngine(image_size=16)
    store = EmbeddingStore(tmp_path / "store")
    again = encode_instances(quiet, labelled, PLAN, store=store)
    assert (store.found, quiet.batches) == (6, [])
    np.testing.assert_array_equal(again, first)
    without = encode_instances(FakeEngine(image_size=16), labelled, PLAN)
    np.testing.assert_array_equal(without, first)


def test_only_what_is_missing_is_encoded_and_lands_in_its_place(labelled: LabelledSet, tmp_path: Path) -> None:
    store, engine = EmbeddingStore(tmp_path / "store"), FakeEngine(image_size=16)
    encode_instances(engine, labelled.with_instances(labelled.instances[1::2]), PLAN, store=store)
    mixed = encode_instances(engine, labelled, PLAN, store=store)
    assert store.found == 3
    want = encode_instances(engine, labelled, PLAN)
    np.testing.assert_array_equal(mixed, want)


def test_everything_an_embedding_depends_on_is_in_its_name(labelled: LabelledSet, tmp_path: Path) -> None:
    first, second = labelled.instances[:2]
    changed = labelled.with_region_input("box").instances[0].region
    cv2.imwrite(str(tmp_path / "other.png"), np.zeros((60, 80, 3), np.uint8))
    moved = Region(first.region.mask, box=(0, 0, 20, 20))
    store = EmbeddingStore(tmp_path / "store")
    keys = {
        store.key(first.image, first.region, PLAN, "x"),
        store.key(first.image, second.region, PLAN, "x"),
        store.key(first.image, changed, PLAN, "x"),
        store.key(first.image, moved, PLAN, "x"),
        store.key(tmp_path / "other.png", first.region, PLAN, "x"),
        store.key(first.image, first.region, ViewPlan.by_name("ms", size=16), "x"),
        store.key(first.image, first.region, PLAN, "y"),
    }
    assert len(keys) == 7
    assert store.key(first.image, first.region, PLAN, "x") in keys


@pytest.mark.parametrize("content", [b"", b"noise", b"\x93NUMPY\x01\x00", b"\x80\x04pickle"])
def test_a_damaged_file_is_encoded_again(labelled: LabelledSet, tmp_path: Path, content: bytes) -> None:
    store, engine = EmbeddingStore(tmp_path / "store"), FakeEngine(image_size=16)
    want = encode_instances(engine, labelled, PLAN, store=store)
    files = list((tmp_path / "store").rglob("*.f32"))
    assert len(files) == 6
    for file in files:
        file.write_bytes(content)
    got = encode_instances(engine, labelled, PLAN, store=store)
    assert store.found == 0
    np.testing.assert_array_equal(got, want)


def test_a_file_of_another_shape_or_name_is_not_taken(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path / "store")
    key = "ab" * 32
    store.put(key, np.zeros((3, 4), np.float32))
    assert store.get(key, (3, 4)) is not None
    assert store.get(key, (3, 5)) is None
    store.put("cd" * 32, np.zeros((3, 4), np.float32))
    store._path("cd" * 32).replace(store._path(key))
    assert store.get(key, (3, 4)) is None
    store.put(key, np.full((3, 4), np.nan, np.float32))
    assert store.get(key, (3, 4)) is None


@given(bit=st.integers(0, (32 + 48) * 8 - 1))
def test_no_flipped_bit_is_used(tmp_path_factory: pytest.TempPathFactory, bit: int) -> None:
    store = EmbeddingStore(tmp_path_factory.getbasetemp() / "flipped")
    key = "ab" * 32
    store.put(key, np.arange(12, dtype=np.float32).reshape(3, 4))
    content = bytearray(store._path(key).read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    store._path(key).write_bytes(content)
    assert store.get(key, (3, 4)) is None


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        EmbeddingStore(tmp_path / "file" / "store")


def test_region_inputs(labelled: LabelledSet) -> None:
    region = labelled.instances[0].region
    assert labelled.with_region_input("mask") == labelled
    box = labelled.with_region_input("box").instances[0].region
    assert box.area == 90 == region.area + 1
    full = labelled.with_region_input("full").instances[0].region
    assert full.area == 60 * 80
    assert full.box == box.box == region.box
    with pytest.raises(UsageError, match="mask, box, full"):
        labelled.with_region_input("depth")
