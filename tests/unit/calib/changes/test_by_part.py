"""Changes of a support cache with parts: each touches its part alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mvrec_edge.calib import CalibrateSettings, fit_support
from mvrec_edge.calib.changes import (
    add_instances,
    class_of_part,
    merge_caches,
    merge_classes,
    other_classes,
    propose,
    read_left_out,
    remove_instances,
    rename_class,
)
from mvrec_edge.calib.changes.by_part import change_parts
from mvrec_edge.calib.fitting.part_fitting import count_parts_right, describe_parts, fit_parts
from mvrec_edge.calib.instances.encoding import EncodedInstances
from mvrec_edge.runtime import SupportCache, ViewPlan
from mvrec_edge.runtime.errors import SupportError
from mvrec_edge.runtime.support.parts import part_of, places_of

PLAN = ViewPlan.by_name("ms", size=16, resample="fast")


def one(draw: int, names: tuple[str, ...] = ("dent", "scratch")) -> SupportCache:
    rng = np.random.default_rng(draw)
    labels = np.arange(4 * len(names)) % len(names)
    centres = rng.standard_normal((len(names), 1, 8)) * 2 + 6 * np.eye(8)[draw]
    rows = rng.standard_normal((len(labels), PLAN.count, 8)) * 0.3 + centres[labels]
    sources = [f"{draw}-{place}.jpg" for place in range(len(labels))]
    cache = SupportCache.from_embeddings(rows, labels, names, view_plan=PLAN, encoder="fake", sources=sources)
    return fit_support(cache)


OWN = {"tile": one(1), "knob": one(2, ("dent", "burr", "pit"))}
PARTED = fit_parts(OWN)


def _new(part: str, label: str, draw: int = 7) -> EncodedInstances:
    rows = np.random.default_rng(draw).standard_normal((1, PLAN.count, 8)).astype(np.float16)
    return EncodedInstances(rows, (label,), (f"new{draw}.jpg",), parts=(part,))


def test_caches_of_parts_become_one_whose_parts_are_these() -> None:
    changed = merge_caches(OWN["tile"], [OWN["knob"]], ["tile", "knob"])
    proposal = propose(OWN["tile"], changed)
    assert proposal.cache.to_bytes() == PARTED.to_bytes()
    assert changed.origins.tolist() == [*range(8), *[-1] * 12]
    assert proposal.summary == "added the part 'knob'"
    assert proposal.comparison.after["knob/dent"][1] == 4
    assert "knob/dent" not in proposal.comparison.before
    proposal.check()


def test_a_part_that_is_in_both_takes_the_instances_of_both() -> None:
    changed = merge_caches(PARTED, [one(3)], ["tile"])
    assert part_of(changed.cache, "tile").counts == {"dent": 8, "scratch": 8}
    assert part_of(changed.cache, "knob").to_bytes() == OWN["knob"].to_bytes()
    proposal = propose(PARTED, changed)
    assert part_of(proposal.cache, "knob").to_bytes() == OWN["knob"].to_bytes()
    alone = propose(OWN["tile"], merge_caches(OWN["tile"], [one(3)]))
    assert part_of(proposal.cache, "tile").to_bytes() == alone.cache.to_bytes()


@pytest.mark.parametrize("parts", [[], ["tile", "knob", "shaft"]])
def test_each_cache_without_a_part_is_given_one(parts: list[str]) -> None:
    with pytest.raises(SupportError, match="without a part, but"):
        merge_caches(PARTED, [OWN["tile"], OWN["knob"]], parts)


def test_a_change_in_one_part_is_the_change_of_its_own_cache() -> None:
    place = int(places_of(PARTED, "knob")[3])
    proposal = propose(PARTED, remove_instances(PARTED, [place]))
    alone = propose(OWN["knob"], remove_instances(OWN["knob"], [3]))
    assert part_of(proposal.cache, "knob").to_bytes() == alone.cache.to_bytes()
    assert part_of(proposal.cache, "tile").to_bytes() == OWN["tile"].to_bytes()
    assert proposal.summary == f"part 'knob': {alone.summary}"


def test_added_instances_go_into_their_part() -> None:
    changed = add_instances(PARTED, _new("tile", "rust").join(_new("knob", "pit", 8)))
    assert part_of(changed.cache, "tile").counts == {"dent": 4, "scratch": 4, "rust": 1}
    assert part_of(changed.cache, "knob").counts == {"dent": 4, "burr": 4, "pit": 5}
    assert sorted(np.flatnonzero(changed.origins < 0)) == [8, 21]
    np.testing.assert_array_equal(
        changed.cache.embeddings[changed.origins >= 0], PARTED.embeddings[changed.origins[changed.origins >= 0]]
    )


def test_twins_count_within_a_part_alone() -> None:
    twin = EncodedInstances.of(PARTED).take(np.array([0]))
    with pytest.raises(SupportError, match="in the cache already"):
        add_instances(PARTED, twin)
    elsewhere = EncodedInstances(twin.embeddings, twin.labels, twin.sources, parts=("knob",))
    assert part_of(add_instances(PARTED, elsewhere).cache, "knob").counts["dent"] == 5


@pytest.mark.parametrize(
    ("cache", "part", "message"),
    [
        (PARTED, "shaft", "no part 'shaft'"),
        (PARTED, "", "it is not said of which one"),
        (OWN["tile"], "tile", "has no parts"),
    ],
)
def test_instances_of_no_known_part_are_refused(cache: SupportCache, part: str, message: str) -> None:
    with pytest.raises(SupportError, match=message):
        add_instances(cache, _new(part, "dent"))


def test_a_part_goes_with_its_last_instance_where_classes_may() -> None:
    everyone = places_of(PARTED, "tile").tolist()
    changed = remove_instances(PARTED, everyone, drop_classes=True)
    assert changed.cache.part_names == ("knob",)
    assert propose(PARTED, changed).cache.part_names == ("knob",)
    with pytest.raises(SupportError, match="would have no instance left"):
        remove_instances(PARTED, everyone)
    with pytest.raises(SupportError, match="no part would be left"):
        remove_instances(PARTED, range(20), drop_classes=True)


def test_renaming_back_gives_the_file_of_before() -> None:
    renamed = propose(PARTED, rename_class(PARTED, "tile/dent", "dimple")).cache
    assert renamed.class_titles[:2] == ("tile/dimple", "tile/scratch")
    assert "knob/dent" in renamed.class_titles
    assert propose(renamed, rename_class(renamed, "dimple", "dent")).cache.to_bytes() == PARTED.to_bytes()


def test_classes_are_named_by_part_where_that_is_needed() -> None:
    assert class_of_part(PARTED, "burr") == ("knob", "burr")
    assert class_of_part(PARTED, "knob/dent") == ("knob", "dent")
    assert other_classes(PARTED, "tile/dent") == ("scratch",)
    assert other_classes(OWN["knob"], "pit") == ("dent", "burr")
    with pytest.raises(SupportError, match="several parts have a class 'dent'"):
        class_of_part(PARTED, "dent")
    with pytest.raises(SupportError, match="no class 'tile/burr'"):
        class_of_part(PARTED, "tile/burr")


def test_classes_of_one_part_become_one() -> None:
    for into in ("burr", "knob/burr"):
        merged = merge_classes(PARTED, ["pit"], into).cache
        assert part_of(merged, "knob").counts == {"dent": 4, "burr": 8}
    assert part_of(merge_classes(PARTED, ["pit", "burr"], "hole").cache, "knob").class_names == ("dent", "hole")
    with pytest.raises(SupportError, match="a class belongs to one"):
        merge_classes(PARTED, ["pit", "scratch"], "hole")


def test_each_instance_is_read_by_its_own_part() -> None:
    assert read_left_out(PARTED) == [*read_left_out(OWN["tile"]), *read_left_out(OWN["knob"])]


def test_how_well_parts_are_told_apart_is_said() -> None:
    right, tried = count_parts_right(PARTED)
    assert (right, tried) == (20, 20)
    assert describe_parts(PARTED).endswith("the embedding chooses (20 of 20 examples rightly by the others, 100.0%)")
    assert describe_parts(fit_parts({"tile": OWN["tile"]})) == "part: tile"


def test_what_has_no_parts_is_not_changed_by_part() -> None:
    with pytest.raises(SupportError, match="has no parts"):
        change_parts(OWN["tile"], {})


def test_a_part_without_a_limit_for_review_beside_one_that_has_it_is_noted_once() -> None:
    limited = fit_support(OWN["tile"], CalibrateSettings(right_at_least=0.5))
    assert limited.review is not None
    note = "part 'knob' has no limit for review, so its records have no field 'review'"
    merged = propose(limited, merge_caches(limited, [OWN["knob"]], ["tile", "knob"]))
    assert [each for each in merged.notes if note in each]
    other = propose(OWN["knob"], merge_caches(OWN["knob"], [limited], ["knob", "tile"]))
    assert [each for each in other.notes if note in each]
    again = propose(merged.cache, rename_class(merged.cache, "pit", "hole"))
    assert not [each for each in again.notes if "no limit" in each]
    for one_of_both in (OWN["tile"], limited):
        both = [one_of_both, dataclasses.replace(one_of_both, sources=OWN["tile"].sources)]
        alike = propose(both[0], merge_caches(both[0], both[1:], ["tile", "knob"]))
        assert not [each for each in alike.notes if "no limit" in each]
