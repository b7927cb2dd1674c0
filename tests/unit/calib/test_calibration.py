"""The stage `calibrate`: settings that hold together, everything in the cache, each image decoded once."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg

from mvrec_edge.calib import Advance, CalibrateSettings, FineTuning, LabelledSet, calibrate, read_labelled, rebase
from mvrec_edge.calib.evaluation.protocol import Protocol
from mvrec_edge.calib.evaluation.set_evaluation import EvaluateSettings, evaluate_sets
from mvrec_edge.calib.instances.kept_images import KeptImages
from mvrec_edge.runtime import open_source
from mvrec_edge.runtime.errors import InputError, SupportError, UsageError
from mvrec_edge.testing import FakeEngine
from mvrec_edge.testing.dataset import write_dataset

FAST = CalibrateSettings(views="ms", resample="fast")


class Notes:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.totals: dict[str, int | None] = {}
        self.notes: list[str] = []
        self.remarks: list[str] = []

    @contextlib.contextmanager
    def phase(self, title: str, total: int | None, unit: str) -> Iterator[Advance]:
        self.totals[f"{title}, {unit}"] = total

        def advance(count: int, /, note: str = "") -> None:
            self.done[f"{title}, {unit}"] += count
            self.notes.append(note)

        yield advance

    def remark(self, line: str) -> None:
        self.remarks.append(line)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibration") / "parts"
    write_dataset(folder, families=("pit", "scratch", "stain"), per_class=4, size=(96, 128), seed=0)
    return folder


@pytest.fixture(scope="module")
def labelled(parts: Path) -> LabelledSet:
    return read_labelled(open_source(parts))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(image_size=16)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[bytes]:
    """How often each file is decoded, by its content."""
    counts: Counter[bytes] = Counter()
    decode, decode_jpeg = cv2.imdecode, simplejpeg.decode_jpeg

    def counting(data: Any, flags: int) -> Any:
        counts[data.tobytes()] += 1
        return decode(data, flags)

    def counting_jpeg(data: bytes, **options: Any) -> Any:
        counts[data] += 1
        return decode_jpeg(data, **options)

    monkeypatch.setattr(cv2, "imdecode", counting)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", counting_jpeg)
    return counts


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shots": 0}, "at least 1 shot is needed, not 0"),
        ({"seed": -1}, "a seed is 0 or above"),
        ({"views": "all"}, "no view recipe 'all'"),
        ({"resample": "best"}, "resampling"),
        ({"head": "knn"}, "no head 'knn'"),
        ({"head": "zip", "beta": 0.0}, "beta must be from 1e-06 to 1e.06, not 0"),
        ({"head": "zip", "beta": 1e300}, "beta must be from 1e-06 to 1e"),
        ({"head": "zip", "beta": float("nan")}, "beta must be a finite number"),
        ({"head": "zip", "beta": 10**400}, "beta must be a finite number"),
        ({"shots": 10**5000}, "at most 1048576 shots can be drawn"),
        ({"seed": 10**5000}, "a seed is at most 9223372036854775808"),
        ({"head": "zip", "aggregate": "vote"}, "no aggregation 'vote'"),
        ({"beta": 2.0}, "the head 'auto' has neither beta nor aggregation"),
        ({"reject_rate": 0.9}, "0.9|90"),
        ({"shots": 1.5}, "the number of shots must be a whole number, not 1.5"),
        ({"shots": True}, "must be a whole number, not True"),
        ({"seed": "a"}, "a seed must be a whole number, not 'a'"),
        ({"reject_rate": "5%"}, "a reject rate must be a number, not '5%'"),
        ({"right_at_least": "95%"}, "a share of right answers must be a number, not '95%'"),
        ({"right_at_least": 1.0}, r"must be from 50% to 99\.99%, not 100%"),
        ({"right_at_least": 0.9, "head": "zip-f"}, "zip-f has learned from all"),
        ({"tuning": 500}, "tuning must be a FineTuning"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_when_they_are_made(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CalibrateSettings(**settings)


def test_everything_that_classify_goes_by_is_in_the_cache(labelled: LabelledSet, engine: FakeEngine) -> None:
    notes = Notes()
    settings = CalibrateSettings(shots=3, seed=1, views="mo", resample="fast", reject_rate=0.1)
    cache = calibrate(engine, labelled, settings, observer=notes)
    assert (cache.shots, cache.seed, cache.counts) == (3, 1, {"pit": 3, "scratch": 3, "stain": 3})
    assert cache.sources == tuple(instance.source for instance in labelled.draw(3, 1).instances)
    assert cache.schedule is not None
    assert cache.novelty is not None
    assert cache.novelty.reject_rate == 0.1
    assert cache.head.temperature != 1.0
    assert all(cache.thumbnails)
    assert cache.view_plan == settings.plan(16)
    assert notes.done == {"encoding, fp32, views": 81, "view schedule, instances": 9}
    assert notes.totals == {"encoding, fp32, views": 81, "view schedule, instances": 9}
    assert any(line.startswith("head: ") for line in notes.remarks)
    assert notes.remarks[-1].startswith("unknown defects: ")


def test_a_head_that_trains_shows_its_loss(labelled: LabelledSet, engine: FakeEngine) -> None:
    notes = Notes()
    settings = CalibrateSettings(views="ms", resample="fast", head="zip-f", tuning=FineTuning(steps=3))
    assert calibrate(engine, labelled, settings, observer=notes).adapter is not None
    # One training is kept, three others are for the temperature.
    assert notes.done["fine-tuning, steps"] == 4 * 3
    assert sum(note.startswith("loss ") for note in notes.notes) == 4 * 3


def test_a_class_with_too_few_instances_gives_all_and_is_named(labelled: LabelledSet, engine: FakeEngine) -> None:
    notes = Notes()
    settings = CalibrateSettings(shots=100, views="ms", resample="fast")
    cache = calibrate(engine, labelled, settings, observer=notes)
    assert len(cache.labels) == len(labelled.instances)
    assert notes.remarks[0] == "warning: the class 'pit' has fewer than 100 instances; all of them are used"


def test_rebasing_keeps_how_many_views_are_used(labelled: LabelledSet, engine: FakeEngine) -> None:
    cache = calibrate(engine, labelled, CalibrateSettings(views="ms", resample="fast", head="zip-c"))
    assert cache.schedule is not None
    cache = dataclasses.replace(cache, schedule=dataclasses.replace(cache.schedule, use=3))
    rebased = rebase(engine, labelled, cache).schedule
    assert rebased is not None
    assert rebased.use == 3


def test_rebasing_onto_the_same_encoder_gives_the_same_cache(labelled: LabelledSet, engine: FakeEngine) -> None:
    settings = CalibrateSettings(shots=3, views="ms", resample="fast", head="zip", beta=4.0, reject_rate=0.1)
    settings = dataclasses.replace(settings, right_at_least=0.6)
    cache = calibrate(engine, labelled, settings)
    assert cache.review is not None
    assert (cache.review.right_at_least, cache.review.instances) == (0.6, 9)
    assert rebase(engine, labelled, cache).to_bytes() == cache.to_bytes()
    with pytest.raises(UsageError, match="--rebase keeps"):
        rebase(engine, labelled, cache, CalibrateSettings(shots=2))
    with pytest.raises(SupportError, match="are not in the labelled set"):
        rebase(engine, labelled.with_instances(labelled.instances[:5]), cache)


@pytest.mark.parametrize("kind", ["box", "full"])
def test_a_cache_remembers_what_the_encoder_was_told(labelled: LabelledSet, engine: FakeEngine, kind: str) -> None:
    plain = calibrate(engine, labelled, FAST)
    told = calibrate(engine, labelled, CalibrateSettings(views="ms", resample="fast", region_input=kind))
    assert (plain.region_input, told.region_input) == ("mask", kind)
    assert told.embeddings.tobytes() != plain.embeddings.tobytes()
    assert rebase(engine, labelled, told).to_bytes() == told.to_bytes()
    with pytest.raises(UsageError, match="--rebase keeps"):
        rebase(engine, labelled, told, CalibrateSettings(region_input=kind))


def test_outlines_among_boxes_are_warned_of(labelled: LabelledSet, engine: FakeEngine) -> None:
    half = labelled.with_region_input("box").instances[::2]
    notes = Notes()
    cache = calibrate(engine, labelled.with_instances((*labelled.instances, *half)), FAST, observer=notes)
    assert cache.region_input == "mixed"
    assert any("some instances have outlines and others boxes" in remark for remark in notes.remarks)


@pytest.mark.parametrize("shots", [None, 2])
def test_each_image_is_decoded_once(
    parts: Path, engine: FakeEngine, decoded: Counter[bytes], shots: int | None
) -> None:
    labelled = read_labelled(open_source(parts))
    calibrate(engine, labelled, CalibrateSettings(shots=shots, views="ms", resample="fast"))
    assert len(decoded) == 24, "12 images and as many masks"
    assert set(decoded.values()) == {1}


def test_evaluating_decodes_each_image_once(parts: Path, engine: FakeEngine, decoded: Counter[bytes]) -> None:
    settings = EvaluateSettings(Protocol(shots=(1,), draws=1, heads=("zip",)), views="ms", resample="fast")
    evaluate_sets(engine, read_labelled(open_source(parts)), settings=settings)
    assert set(decoded.values()) == {1}


def test_no_more_pixels_are_kept_than_was_allowed(parts: Path, engine: FakeEngine, decoded: Counter[bytes]) -> None:
    """Room for three images: the others are decoded a second time, and the cache is the same."""
    images = KeptImages(3 * 96 * 128 * 3 + 100)
    cache = calibrate(engine, read_labelled(open_source(parts), images=images), FAST)
    assert images.kept_bytes == 3 * 96 * 128 * 3
    assert Counter(decoded.values()) == {1: 12 + 3, 2: 9}
    assert cache.to_bytes() == calibrate(engine, read_labelled(open_source(parts)), FAST).to_bytes()


def test_an_image_without_a_usable_region_is_checked_but_not_kept(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "dark").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "dark" / f"{name}.jpg"), np.zeros((40, 50, 3), np.uint8))
        cv2.imwrite(str(tmp_path / "dark" / f"{name}.png"), np.zeros((40, 50), np.uint8))
    mask = np.zeros((40, 50), np.uint8)
    mask[10:20, 10:20] = 255
    cv2.imwrite(str(tmp_path / "dark" / "a.png"), mask)
    images = KeptImages()
    labelled = read_labelled(open_source(tmp_path), images=images)
    assert (len(labelled.instances), labelled.problems, labelled.without_defect) == (1, (), 1)
    assert images.kept_bytes == 40 * 50 * 3


def test_an_image_that_was_not_kept_and_is_gone_is_an_error(tmp_path: Path, engine: FakeEngine) -> None:
    write_dataset(tmp_path / "parts", families=("pit", "scratch"), per_class=1, size=(96, 128), seed=0)
    labelled = read_labelled(open_source(tmp_path / "parts"), images=KeptImages(0))
    labelled.instances[1].image.unlink()
    with pytest.raises(InputError):
        calibrate(engine, labelled, FAST)
