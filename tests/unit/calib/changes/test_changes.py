"""Changes of a support cache: what stays, what goes, and that one undoes the other."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.calib import FineTuning, fit_head
from mvrec_edge.calib.changes import (
    Changed,
    add_instances,
    find_places,
    merge_caches,
    merge_classes,
    not_there_yet,
    refit,
    remove_instances,
    rename_class,
)
from mvrec_edge.calib.instances.encoding import EncodedInstances, encode_for_cache
from mvrec_edge.calib.instances.image_digests import image_digests
from mvrec_edge.calib.instances.labelled import LabelledRegion, LabelledSet
from mvrec_edge.runtime import Region, SupportCache, ViewPlan
from mvrec_edge.runtime.errors import FingerprintMismatchError, SupportError
from mvrec_edge.runtime.support.thumbnails import LARGEST_THUMBNAILS, within_room
from mvrec_edge.testing import FakeEngine

PLAN = ViewPlan.by_name("ms", size=16, resample="fast")


def support(counts: tuple[int, ...] = (3, 3, 3), draw: int = 0, **changes: object) -> SupportCache:
    rng = np.random.default_rng(draw)
    labels = np.repeat(np.arange(len(counts)), counts)
    embeddings = rng.standard_normal((len(labels), PLAN.count, 8)) + 3 * np.eye(8)[labels][:, None]
    arguments: dict[str, object] = {
        "sources": [f"{place}.jpg" for place in range(len(labels))],
        "view_plan": PLAN,
        "encoder": "fake",
        "shots": 3,
        "seed": 1,
    }
    names = [f"c{n}" for n in range(len(counts))]
    return SupportCache.from_embeddings(embeddings, labels, names, **(arguments | changes))  # type: ignore[arg-type]


def new(labels: tuple[str, ...], seed: int = 9) -> EncodedInstances:
    rows = np.random.default_rng(seed).standard_normal((len(labels), PLAN.count, 8)).astype(np.float16)
    return EncodedInstances(rows, labels, tuple(f"new{n}.jpg" for n in range(len(labels))))


def test_a_refit_leaves_the_images_of_the_cache_out_together() -> None:
    before = fit_head(support(images=[f"image {place // 2}" for place in range(9)]), "zip-c").cache
    added = EncodedInstances(new(("c1",)).embeddings, ("c1",), ("x",), images=("image 1",))
    changed = add_instances(before, added).cache
    assert changed.images == (*before.images, "image 1")
    assert changed.image_groups[9] == changed.image_groups[2]
    refitted = refit(changed, before).cache
    assert refitted.head.temperature == fit_head(changed, "zip-c").cache.head.temperature
    assert refitted.head.temperature != fit_head(changed.changed(images=()), "zip-c").cache.head.temperature


def test_added_instances_come_last_and_nothing_else_changes() -> None:
    before = support()
    changed = add_instances(before, new(("c1", "rust", "c1")))
    after = changed.cache
    assert after.class_names == ("c0", "c1", "c2", "rust")
    np.testing.assert_array_equal(after.embeddings[:9], before.embeddings)
    np.testing.assert_array_equal(after.embeddings[9:], new(("c1", "rust", "c1")).embeddings)
    assert after.labels[9:].tolist() == [1, 3, 1]
    assert after.sources == (*before.sources, "new0.jpg", "new1.jpg", "new2.jpg")
    assert (after.shots, after.seed, after.view_plan, after.encoder) == (None, None, PLAN, "fake")
    assert changed.origins.tolist() == [*range(9), -1, -1, -1]
    assert changed.summary == "added 2 instances of 'c1', 1 of 'rust'"
    assert changed.notes == ("the class 'rust' is new",)


def test_twins_are_left_out_and_equal_sources_named() -> None:
    before = support()
    twin = EncodedInstances.of(before).take(np.array([4]))
    with pytest.raises(SupportError, match="in the cache already"):
        add_instances(before, twin)
    changed = add_instances(before, twin.join(new(("c0", "c0"))).join(new(("c0",))))
    assert len(changed.cache.labels) == 11
    assert changed.notes[:2] == (
        "'4.jpg' is left out: it is the same as instance 4",
        "'new0.jpg' is left out: it is the same as instance 9",
    )
    again = add_instances(changed.cache, new(("c0",), seed=3))
    assert "has the source 'new0.jpg' too" in again.notes[0]
    relabelled = EncodedInstances(twin.embeddings, ("c0",), twin.sources)
    assert len(add_instances(before, relabelled).cache.labels) == 10


def test_instances_of_other_views_are_refused() -> None:
    wide = EncodedInstances(np.ones((1, PLAN.count, 9), np.float16), ("c0",), ("a",))
    with pytest.raises(SupportError, match="views and channels"):
        add_instances(support(), wide)


def test_removed_instances_go_and_the_others_stay() -> None:
    before = support()
    changed = remove_instances(before, [8, 0, 0])
    np.testing.assert_array_equal(changed.cache.embeddings, before.embeddings[1:8])
    assert changed.cache.sources == before.sources[1:8]
    assert changed.origins.tolist() == [*range(1, 8)]
    assert changed.summary == "removed 1 instance of 'c0', 1 of 'c2'"


@pytest.mark.parametrize(
    ("places", "message"),
    [([], "no instance is named"), ([9], "no instance 9: they are 0 to 8"), ([-1], "no instance -1")],
)
def test_what_is_not_there_is_not_removed(places: list[int], message: str) -> None:
    with pytest.raises(SupportError, match=message):
        remove_instances(support(), places)


def test_a_class_goes_with_its_last_instance_only_when_told() -> None:
    before = support((2, 1, 2))
    with pytest.raises(SupportError, match=r"'c1' would have no instance left .*--force"):
        remove_instances(before, [2])
    changed = remove_instances(before, [2], drop_classes=True)
    assert changed.cache.class_names == ("c0", "c2")
    assert changed.cache.labels.tolist() == [0, 0, 1, 1]
    assert changed.notes == ("the class 'c1' is gone",)
    for places in (range(3), range(5)):
        with pytest.raises(SupportError):
            remove_instances(before, places, drop_classes=True)


def test_places_are_found_by_number_or_source() -> None:
    cache = support(sources=["7", "a", "b", "b", "a/b", "é", "x", "8", "77"])
    assert find_places(cache, ["7", "a", "é", "77", "0"]) == [7, 1, 5, 8, 0]
    with pytest.raises(SupportError, match=r"2 instances have the source 'b' \(give the number: 2, 3\)"):
        find_places(cache, ["b"])
    for name in ("9", "-1", "none", "٣", ""):
        with pytest.raises(SupportError, match="no instance"):
            find_places(cache, [name])


def test_classes_renamed_and_made_one() -> None:
    before = support()
    renamed = rename_class(before, "c1", "oil")
    assert renamed.cache.class_names == ("c0", "oil", "c2")
    assert rename_class(renamed.cache, "oil", "c1").cache.to_bytes() == before.to_bytes()
    merged = merge_classes(before, ["c2"], "c0").cache
    assert (merged.class_names, merged.counts) == (("c0", "c1"), {"c0": 6, "c1": 3})
    assert merge_classes(before, ["c1", "c2"], "mark").cache.class_names == ("c0", "mark")
    np.testing.assert_array_equal(merged.embeddings, before.embeddings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: rename_class(support(), "x", "y"), "no class 'x'"),
        (lambda: rename_class(support(), "c0", "c1"), "--into 'c1'"),
        (lambda: rename_class(support(), "c0", " "), "needs a name"),
        (lambda: merge_classes(support(), ["c0", "x"], "c1"), "no class 'x'"),
        (lambda: merge_classes(support(), ["c0"], "c0"), "merging needs at least two classes"),
        (lambda: merge_classes(support(), ["c0"], "y"), "merging needs at least two classes"),
        (lambda: merge_classes(support(), ["c0", "c1"], ""), "needs a name"),
        (lambda: merge_classes(support(), ["c0", "c1", "c2"], "c0"), "only one class"),
    ],
)
def test_changes_of_classes_that_make_no_sense(change: object, message: str) -> None:
    with pytest.raises(SupportError, match=message):
        change()  # type: ignore[operator]


def test_caches_of_one_encoder_are_merged() -> None:
    first, second = support(), support((1, 2), draw=5, random_weights=True)
    changed = merge_caches(first, [second, support((1, 1), draw=6)])
    assert changed.cache.counts == {"c0": 5, "c1": 6, "c2": 3}
    assert changed.cache.random_weights
    for kinds, merged in ((("mask", "mask"), "mask"), (("mask", "box"), "mixed"), (("mask", ""), "")):
        one, other = (cache.changed(region_input=kind) for cache, kind in zip((first, second), kinds, strict=True))
        assert merge_caches(one, [other]).cache.region_input == merged
    for other in (support(encoder="other"), support(view_plan=ViewPlan.by_name("ms", size=24, resample="fast"))):
        with pytest.raises(FingerprintMismatchError, match="different"):
            merge_caches(first, [other])
    unknown = support(encoder="")
    with pytest.raises(FingerprintMismatchError, match="does not say with which"):
        merge_caches(unknown, [unknown])


@pytest.mark.parametrize("head", ["zip", "zip-c", "zip-f"])
def test_add_then_remove_gives_the_same_file(head: str) -> None:
    """Also the temperature, which is fitted to the same instances again; of a trained head W, b and all keys."""
    before = fit_head(support(shots=None, seed=None), head, tuning=FineTuning(steps=3)).cache
    added = refit(add_instances(before, new(("c1", "c2"))).cache, before).cache
    assert len(added.labels) == 11
    back = refit(remove_instances(added, [9, 10]).cache, added).cache
    assert back.to_bytes() == before.to_bytes()


def test_a_trained_head_keeps_what_it_learned_and_takes_the_mean_for_a_new_key() -> None:
    before = fit_head(support(), "zip-f", tuning=FineTuning(steps=3)).cache
    added = add_instances(before, new(("c1",))).cache
    assert before.adapter is not None
    assert added.adapter is not None
    np.testing.assert_array_equal(added.adapter.keys[:9], before.adapter.keys)
    np.testing.assert_array_equal(added.adapter.keys[9], added.keys[9])
    np.testing.assert_array_equal(added.adapter.weight, before.adapter.weight)
    removed = remove_instances(before, [2]).cache
    assert removed.adapter is not None
    np.testing.assert_array_equal(removed.adapter.keys, np.delete(before.adapter.keys, 2, axis=0))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_embeddings_go_along_with_their_class_and_source_through_any_changes(data: st.DataObject) -> None:
    """Each instance is known by its embeddings; classes are followed by hand."""
    cache = support((2, 3, 2))
    truth = {row.tobytes(): (cache.class_names[label], source) for row, label, source in _rows(cache)}
    for step in range(data.draw(st.integers(0, 6))):
        kind = data.draw(st.sampled_from(["add", "remove", "rename", "merge"]))
        before, changed = cache, None
        if kind == "add":
            name = data.draw(st.sampled_from([*cache.class_names, "z"]))
            more = EncodedInstances(new((name,), seed=100 + step).embeddings, (name,), (f"s{step}",))
            truth[more.embeddings[0].tobytes()] = (name, f"s{step}")
            changed = add_instances(cache, more)
        elif kind == "remove":
            place = data.draw(st.integers(0, len(cache.labels) - 1))
            if cache.counts[cache.class_names[cache.labels[place]]] > 1:
                del truth[cache.embeddings[place].tobytes()]
                changed = remove_instances(cache, [place])
        elif kind == "rename":
            old = data.draw(st.sampled_from(cache.class_names))
            truth = {row: (f"r{step}" if name == old else name, source) for row, (name, source) in truth.items()}
            changed = rename_class(cache, old, f"r{step}")
        elif len(cache.class_names) > 2:
            one, two = data.draw(st.permutations(cache.class_names))[:2]
            truth = {row: (two if name == one else name, source) for row, (name, source) in truth.items()}
            changed = merge_classes(cache, [one], two)
        if changed is not None:
            _check_origins(before, changed)
            cache = changed.cache
    assert {row.tobytes(): (cache.class_names[label], source) for row, label, source in _rows(cache)} == truth


def _rows(cache: SupportCache) -> list[tuple[np.ndarray, int, str]]:
    return list(zip(cache.embeddings, cache.labels, cache.sources, strict=True))


def _check_origins(before: SupportCache, changed: Changed) -> None:
    for place, origin in enumerate(changed.origins):
        if origin >= 0:
            np.testing.assert_array_equal(changed.cache.embeddings[place], before.embeddings[origin])
    assert len(changed.origins) == len(changed.cache.labels)


def test_only_new_instances_are_encoded(tmp_path: Path) -> None:
    engine = FakeEngine(image_size=16, embedding_dim=8)
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    regions = [Region.from_box((20 + place, 10, 30 + place, 22), (60, 80), source=f"a{place}") for place in range(2)]
    labelled = LabelledSet(tuple(LabelledRegion(tmp_path / "a.png", region, "c0") for region in regions))
    encoded = encode_for_cache(engine, labelled, PLAN)
    assert sum(engine.batches) == 2 * PLAN.count
    engine.batches.clear()
    added = refit(add_instances(support(), encoded).cache, support()).cache
    assert added.sources[9:] == ("a0", "a1")
    refit(remove_instances(added, [10]).cache, added)
    assert engine.batches == []


def test_thumbnails_go_along_and_an_instance_may_lack_one() -> None:
    pictures = tuple(cv2.imencode(".jpg", np.full((4, 4 + n, 3), n, np.uint8))[1].tobytes() for n in range(10))
    bare, pictured = support(), support(thumbnails=pictures[:9])
    one = EncodedInstances(new(("c1",)).embeddings, ("c1",), ("x",), pictures[9:])
    assert add_instances(bare, one).cache.thumbnails == (b"",) * 9 + pictures[9:]
    assert add_instances(pictured, new(("c1",))).cache.thumbnails == (*pictures[:9], b"")
    assert add_instances(bare, new(("c1",))).cache.thumbnails == ()
    assert remove_instances(pictured, [0, 4]).cache.thumbnails == pictures[1:4] + pictures[5:9]


def test_thumbnails_that_find_no_room_are_left_empty() -> None:
    full = b"x" * (LARGEST_THUMBNAILS // 2)
    assert within_room([full, full, b"y", b""]) == (full, full, b"", b"")
    assert within_room([full, b"y", full, b"z"]) == (full, b"y", b"", b"z")


def labelled_on(path: Path, source: str, label: str) -> LabelledRegion:
    return LabelledRegion(path, Region.from_box((0, 0, 2, 2), (9, 9), source=source), label)


def test_what_is_there_is_known_by_image_source_and_class(tmp_path: Path) -> None:
    """Two folders have files of one name, with other pixels or with the same."""
    images = [tmp_path / folder / "4.jpg" for folder in ("cam1", "cam2", "copy")]
    for image, content in zip(images, (b"one", b"two", b"one"), strict=True):
        image.parent.mkdir()
        image.write_bytes(content)
    one, two, copy = (labelled_on(image, "4.jpg", "c1") for image in images)
    others = (labelled_on(images[0], "4.jpg", "c0"), labelled_on(images[0], "x.jpg", "c1"))
    digests = image_digests(LabelledSet((one,))) * 9
    new_ones, unsure = not_there_yet(support(images=digests), LabelledSet((one, two, copy, *others)))
    assert new_ones.instances == (two, *others)
    assert unsure.instances == ()
    # One instance of the cache is of a known image, its namesake of an unknown one.
    half = support(images=(*digests[:5], "", *digests[6:]), sources=["4.jpg"] * 9)
    new_ones, unsure = not_there_yet(half, LabelledSet((one, two)))
    assert (new_ones.instances, unsure.instances) == ((), (two,))


def test_where_the_images_are_not_known_the_name_decides_and_says_so(tmp_path: Path) -> None:
    image = tmp_path / "4.jpg"
    image.write_bytes(b"x")
    given = tuple(labelled_on(image, *names) for names in (("4.jpg", "c1"), ("4.jpg", "c0"), ("x.jpg", "c1")))
    new_ones, unsure = not_there_yet(support(), LabelledSet(given))
    assert (new_ones.instances, unsure.instances) == (given[1:], given[:1])


@pytest.mark.parametrize(("image", "asked"), [("one", True), ("two", False), ("", True)])
def test_equal_sources_are_the_same_defect_only_on_one_image(image: str, asked: bool) -> None:
    before = support(images=["one"] * 9, sources=["new0.jpg"] * 9)
    changed = add_instances(before, dataclasses.replace(new(("c0",)), images=(image,)))
    assert any("are they the same defect?" in note for note in changed.notes) == asked
