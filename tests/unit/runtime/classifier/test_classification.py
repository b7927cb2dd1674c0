"""The stage over a source: settings that refuse what is wrong, and one bad image among good ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mvrec_edge.calib import encode_support, read_labelled
from mvrec_edge.runtime import (
    ClassifySettings,
    DefectClassifier,
    SupportCache,
    ViewPlan,
    classify_source,
    open_source,
    read_image,
)
from mvrec_edge.runtime.errors import FingerprintMismatchError, InputError, UsageError
from mvrec_edge.runtime.regions.kinds import KindWarning
from mvrec_edge.runtime.views.schedule import ViewSchedule
from mvrec_edge.testing import FakeEngine
from mvrec_edge.testing.dataset import write_dataset

PLAN = ViewPlan.by_name("ms", size=16, resample="fast")
DEFAULT = ClassifySettings()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("parts")
    write_dataset(made / "parts", families=("scratch", "pit"), per_class=2, size=(120, 160), seed=0)
    return made / "parts"


@pytest.fixture(scope="module")
def cache(folder: Path) -> SupportCache:
    return encode_support(FakeEngine(image_size=16), read_labelled(open_source(folder)), PLAN)


def engine() -> FakeEngine:
    return FakeEngine(image_size=16)


def test_a_source_gives_what_the_classifier_gives_image_by_image(folder: Path, cache: SupportCache) -> None:
    source = open_source(folder)
    classifier = DefectClassifier(engine(), cache)
    seen: list[int] = []
    results = list(classify_source(engine(), cache, source, progress=seen.append))
    assert [result.path for result in results] == [image.path for image in source]
    for image, result in zip(source, results, strict=True):
        pixels = read_image(image.path)
        assert result.problems == ()
        assert result.image is not None
        assert np.array_equal(result.image, pixels)
        alone = classifier.classify(pixels, image.regions(pixels.shape[:2]).regions)
        assert [found.probabilities for found in result.predictions] == [found.probabilities for found in alone]
    assert sum(seen) == PLAN.count * sum(len(result.predictions) for result in results)


def test_an_image_that_cannot_be_read_costs_only_itself(folder: Path, cache: SupportCache, tmp_path: Path) -> None:
    source = open_source(folder)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 and no more")
    first, second = source.images[:2]
    images = [first, type(second)(second.id, broken, second.annotations), *source.images[2:]]
    results = list(classify_source(engine(), cache, images))
    assert [len(result.predictions) for result in results] == [1, 0, 1, 1]
    assert results[1].image is None
    (problem,) = results[1].problems
    assert isinstance(problem, InputError)


def test_what_is_wrong_with_the_cache_is_said_by_the_call_and_not_by_the_loop(
    folder: Path, cache: SupportCache
) -> None:
    other = FakeEngine(image_size=16, fingerprint="other")
    with pytest.raises(FingerprintMismatchError):
        classify_source(other, cache, open_source(folder))


def test_the_cache_may_be_a_path_and_the_classifier_is_shown_first(
    folder: Path, cache: SupportCache, tmp_path: Path
) -> None:
    path = tmp_path / "line.safetensors"
    cache.save(path)
    shown: list[DefectClassifier] = []
    results = classify_source(engine(), path, open_source(folder), opened=shown.append)
    assert shown[0].cache.fingerprint == cache.fingerprint
    assert all(result.predictions for result in results)


@pytest.mark.parametrize(("views", "used"), [("cache", 2), ("all", 3), (1, 1)])
def test_views_are_those_of_the_cache_where_nothing_else_is_said(
    folder: Path, cache: SupportCache, views: str | int, used: int
) -> None:
    import dataclasses

    chosen = dataclasses.replace(cache, schedule=ViewSchedule(((0,), (1,), (2,)), use=2))
    for result in classify_source(engine(), chosen, open_source(folder), ClassifySettings(views=views)):
        assert [prediction.views for prediction in result.predictions] == [used]


def test_auto_names_the_order_of_views(folder: Path, cache: SupportCache) -> None:
    said: list[str] = []
    list(classify_source(engine(), cache, open_source(folder), ClassifySettings(views="auto"), say=said.append))
    assert said[0].startswith("views 3")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"views": "many"}, "not a number of views"),
        ({"risk": 0.9}, "a risk lies between"),
        ({"risk": 0.9, "views": "cache"}, "a risk lies between"),
        ({"budget_ms": 0.0}, "a budget is above 0"),
        ({"reject_rate": 0.9}, "the reject rate must be"),
        ({"drift_window": 3}, "window"),
        ({"neighbours": -1}, "neighbours"),
        ({"min_area": 0}, "smallest defect"),
        ({"region_input": "outline"}, "no region input"),
    ],
)
def test_settings_refuse_bad_values_when_they_are_made(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ClassifySettings(**changes)  # type: ignore[arg-type]


def test_a_cache_that_cannot_serve_a_rate_is_refused_before_an_engine_is_there(cache: SupportCache) -> None:
    DEFAULT.check_cache(cache)
    with pytest.raises(UsageError, match="rate"):
        ClassifySettings(reject_rate=0.05).check_cache(cache)


def test_regions_of_another_kind_than_the_cache_learned_from_are_told_once(folder: Path, cache: SupportCache) -> None:
    source = open_source(folder)
    assert cache.region_input == "mask"
    boxes = ClassifySettings(region_input="box")
    with pytest.warns(KindWarning, match=r"learned from outlines, but the regions to classify are boxes \(\d of \d so"):
        results = list(classify_source(engine(), cache, source, boxes))
    assert {found.region.kind for result in results for found in result.predictions} == {"box"}
    said: list[str] = []
    list(classify_source(engine(), cache, source, boxes, say=said.append))
    assert [line.startswith("warning: the support cache learned from outlines") for line in said] == [True]
    said.clear()
    list(classify_source(engine(), cache, source, say=said.append))
    assert said == []


def test_an_image_without_a_defect_has_neither_predictions_nor_problems(tmp_path: Path, cache: SupportCache) -> None:
    cv2.imwrite(str(tmp_path / "good.jpg"), np.zeros((40, 50, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "good.png"), np.zeros((40, 50), np.uint8))
    (result,) = classify_source(engine(), cache, open_source(tmp_path))
    assert (list(result.predictions), list(result.problems)) == ([], [])
    (result,) = classify_source(engine(), cache, open_source(tmp_path, empty="error"))
    assert "shows no defect" in str(result.problems[0])
