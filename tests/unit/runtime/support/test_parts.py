"""Support caches of several parts: each part comes out as it went in, and files hold nothing that does not fit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime import HeadSettings, SupportCache, ViewPlan
from mvrec_edge.runtime.errors import FingerprintMismatchError, IntegrityError, SupportError, UsageError
from mvrec_edge.runtime.heads import open_head
from mvrec_edge.runtime.support.cache import Adapter
from mvrec_edge.runtime.support.novelty_calibration import NoveltyCalibration
from mvrec_edge.runtime.support.part_fit import PartFit, PartFits
from mvrec_edge.runtime.support.parts import join_parts, part_of, parts_as_classes, parts_of, places_of
from mvrec_edge.runtime.views.schedule import default_schedule

PLAN = ViewPlan.by_name("ms", size=16, resample="fast")


def one(draw: int, names: tuple[str, ...] = ("dent", "scratch"), **changes: Any) -> SupportCache:
    """The cache of one part: three instances of each class."""
    rng = np.random.default_rng(draw)
    labels = np.arange(3 * len(names)) % len(names)
    arguments: dict[str, Any] = {"view_plan": PLAN, "encoder": "fake", "encoder_name": "fake"}
    return SupportCache.from_embeddings(
        rng.standard_normal((len(labels), PLAN.count, 8)), labels, names, **(arguments | changes)
    )


def fitted(draw: int, rate: float | None = 0.05) -> SupportCache:
    """One with all that calibration fits."""
    left_out = np.random.default_rng(draw).uniform(0, 2, 6).astype(np.float32)
    return one(
        draw,
        head=HeadSettings("zip-w", 20.0, "mean", 2.0 + draw),
        schedule=default_schedule(PLAN),
        novelty=NoveltyCalibration(left_out, rate),
        shots=3,
        seed=draw,
        region_input="mask",
        images=[f"{draw}-{place}" for place in range(6)],
    )


def test_each_part_is_the_cache_that_it_was(tmp_path: Path) -> None:
    own = {"tile": fitted(1), "knob": one(2, ("dent", "burr", "pit")), "shaft": fitted(3, None)}
    joined = join_parts(own)
    joined.save(tmp_path / "parts.safetensors")
    for cache in (joined, SupportCache.load(tmp_path / "parts.safetensors")):
        assert cache.part_names == ("tile", "knob", "shaft")
        assert {name: part.to_bytes() for name, part in parts_of(cache).items()} == {
            name: part.to_bytes() for name, part in own.items()
        }
        assert cache.to_bytes() == joined.to_bytes()
    assert cache.class_names == ("dent", "scratch", "dent", "burr", "pit", "dent", "scratch")
    assert cache.counts["knob/dent"] == 3
    assert (cache.region_input, cache.novelty, cache.schedule) == ("", None, None)


@given(draws=st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True), data=st.data())
@settings(max_examples=30, deadline=None)
def test_any_order_of_instances_gives_the_parts(draws: list[int], data: st.DataObject) -> None:
    own = {f"part {draw}": one(draw) for draw in draws}
    joined = join_parts(own)
    order = data.draw(st.permutations(range(len(joined.labels))))
    shuffled = joined.subset(order)
    for name, part in own.items():
        found = part_of(shuffled, name)
        places = places_of(shuffled, name)
        assert [part.sources.index(source) for source in found.sources] == [
            int(order[place]) - int(places_of(joined, name)[0]) for place in places
        ]
        assert sorted(found.counts.items()) == sorted(part.counts.items())


def test_a_cache_without_parts_is_written_as_before() -> None:
    data = one(1).to_bytes()
    assert b"support-cache/1" in data
    assert b"parts" not in data


def test_a_file_with_parts_says_so_to_versions_that_know_none() -> None:
    assert b"support-cache/2" in join_parts({"tile": one(1)}).to_bytes()


def test_parts_are_classes_for_the_head_that_tells_them_apart() -> None:
    joined = join_parts({"tile": one(1), "knob": one(2)})
    apart = parts_as_classes(joined)
    assert (apart.class_names, apart.labels.tolist()) == (("tile", "knob"), [0] * 6 + [1] * 6)
    assert open_head(apart).probabilities(joined.embeddings).shape == (12, 2)
    with pytest.raises(SupportError, match="fewer than two parts"):
        parts_as_classes(join_parts({"tile": one(1)}))
    with pytest.raises(UsageError, match="a head for each part"):
        open_head(joined)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({}, "there is no part"),
        ({"": one(1)}, "cannot be the name of a part"),
        ({"a/b": one(1)}, "cannot be the name of a part"),
        ({"tile": join_parts({"knob": one(1)})}, "has parts itself"),
    ],
)
def test_what_cannot_be_joined(own: dict[str, SupportCache], message: str) -> None:
    with pytest.raises(SupportError, match=message):
        join_parts(own)


def test_one_encoder_and_one_plan_serve_all_parts() -> None:
    with pytest.raises(FingerprintMismatchError, match="bundles or precisions"):
        join_parts({"tile": one(1), "knob": one(2, encoder="other")})
    other = dataclasses.replace(one(2), view_plan=ViewPlan.by_name("ms", size=32, resample="fast"))
    with pytest.raises(FingerprintMismatchError, match="different views"):
        join_parts({"tile": one(1), "knob": other})


def test_a_trained_head_has_no_place() -> None:
    adapter = Adapter(np.eye(8, dtype=np.float32), np.zeros(8, np.float32), np.zeros((6, 8), np.float32))
    with pytest.raises(SupportError, match="the trained head zip-f"):
        join_parts({"tile": one(1, adapter=adapter, head=HeadSettings("zip-f"))})


def _fits(*names: str) -> PartFits:
    return PartFits(tuple(PartFit(name, HeadSettings()) for name in names), HeadSettings())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parts": ("tile",) * 6}, "some instances have a part"),
        ({"part_fits": _fits("tile")}, "some instances have a part"),
        ({"parts": ("tile",) * 5, "part_fits": _fits("tile")}, "some instances have a part"),
        ({"parts": ("tile",) * 5 + ("",), "part_fits": _fits("tile")}, "some instances have a part"),
        ({"parts": ("tile",) * 6, "part_fits": _fits("knob")}, "not those that were calibrated"),
        ({"parts": ("tile",) * 6, "part_fits": _fits("tile", "tile")}, "not those that were calibrated"),
        ({"parts": ("tile",) * 5 + ("knob",), "part_fits": _fits("tile", "knob")}, "belongs to two parts"),
        ({"parts": ("tile", "knob") * 3, "part_fits": _fits("tile", "knob")}, "part 'tile': there is only one class"),
    ],
)
def test_parts_that_contradict_one_another(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SupportError, match=message):
        one(1).changed(**changes)


def test_a_part_needs_its_own_schedule_and_distances() -> None:
    short = default_schedule(ViewPlan.by_name("none", size=16, resample="fast"))
    joined = join_parts({"tile": fitted(1)})
    assert joined.part_fits is not None
    (fit,) = joined.part_fits.parts
    for changed, message in (
        (dataclasses.replace(fit, schedule=short), "view schedule of the part"),
        (dataclasses.replace(fit, novelty=NoveltyCalibration(np.zeros(2, np.float32))), "left-out distances"),
    ):
        with pytest.raises(SupportError, match=message):
            joined.changed(part_fits=PartFits((changed,), HeadSettings()))


def test_a_file_is_trusted_in_nothing(tmp_path: Path) -> None:
    joined = join_parts({"tile": fitted(1), "knob": one(2)})
    path = tmp_path / "parts.safetensors"
    data = joined.to_bytes()
    path.write_bytes(data.replace(b"tile", b"tale", 1))
    with pytest.raises(IntegrityError, match="was changed"):
        SupportCache.load(path)
    # Signed as it should be, and wrong all the same.
    strange = dataclasses.replace(joined, parts=("knob",) * 12)
    with pytest.raises(SupportError):
        strange.readable_bytes()
