"""A classifier takes a new support cache up between two images, whole or not at all."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.runtime import DefectClassifier, ImageRegions, Region, ReloadWarning, SupportCache, ViewPlan, ZipAdapter
from mvrec_edge.runtime.errors import FingerprintMismatchError, InputError, IntegrityError, UsageError
from mvrec_edge.testing import FakeEngine

PLAN = ViewPlan.by_name("ms", size=16, resample="fast")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 60, 80, 3), dtype=np.uint8)
REGION = Region.from_box((20, 10, 30, 22), (60, 80))


def support(classes: tuple[str, ...] = ("a", "b"), *, seed: int = 0, **changes: object) -> SupportCache:
    embeddings = np.random.default_rng(seed).standard_normal((2 * len(classes), PLAN.count, 32)).astype(np.float32)
    arguments: dict[str, object] = {"view_plan": PLAN, "encoder": "fake"} | changes
    labels = np.repeat(np.arange(len(classes)), 2)
    return SupportCache.from_embeddings(embeddings, labels, classes, **arguments)  # type: ignore[arg-type]


def engine(**changes: int) -> FakeEngine:
    return FakeEngine(image_size=16, **changes)


def names(classifier: DefectClassifier) -> list[str]:
    return list(classifier.classify(IMAGES[0], [REGION])[0].probabilities)


def test_reload_reads_the_file_again(tmp_path: Path) -> None:
    path = tmp_path / "line.safetensors"
    support().save(path)
    classifier = DefectClassifier(engine(), path)
    assert names(classifier) == ["a", "b"]
    support(("a", "b", "c")).save(path)
    assert names(classifier) == ["a", "b"]
    classifier.reload()
    assert names(classifier) == ["a", "b", "c"]
    assert classifier.cache is classifier.head.cache


def test_reload_takes_a_cache_or_another_path_and_remembers_the_path(tmp_path: Path) -> None:
    support(("c", "d")).save(tmp_path / "a")
    classifier = DefectClassifier(engine(), support())
    with pytest.raises(UsageError, match="no file"):
        classifier.reload()
    classifier.reload(tmp_path / "a")
    assert names(classifier) == ["c", "d"]
    classifier.reload(support(("e", "f")))
    assert names(classifier) == ["e", "f"]
    classifier.reload()
    assert names(classifier) == ["c", "d"]


@pytest.mark.parametrize(
    ("cache", "error", "message"),
    [
        (support(encoder="other"), FingerprintMismatchError, "another bundle"),
        (support(view_plan=None), UsageError, "no view plan"),
        (support(view_plan=ViewPlan.by_name("ms", size=16, resample="exact")), FingerprintMismatchError, "other views"),
        (support(view_plan=ViewPlan.by_name("ms", size=24, resample="fast")), UsageError, "24 pixels wide"),
    ],
)
def test_a_cache_that_does_not_fit_leaves_the_present_one(
    cache: SupportCache, error: type[Exception], message: str
) -> None:
    classifier = DefectClassifier(engine(), support())
    before = classifier.cache, classifier.head, classifier.plan
    with pytest.raises(error, match=message):
        classifier.reload(cache)
    assert (classifier.cache, classifier.head, classifier.plan) == before


def test_a_damaged_or_missing_file_leaves_the_present_one(tmp_path: Path) -> None:
    path = tmp_path / "line.safetensors"
    support().save(path)
    classifier = DefectClassifier(engine(), path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="changed"):
        classifier.reload()
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        classifier.reload()
    assert names(classifier) == ["a", "b"]


def test_a_head_of_ones_own_needs_another_one() -> None:
    classifier = DefectClassifier(engine(), support(), head=ZipAdapter(support(), beta=3.0))
    new = support(("c", "d"))
    with pytest.raises(UsageError, match="head of its own"):
        classifier.reload(new)
    classifier.reload(new, head=ZipAdapter(new, beta=5.0))
    assert (classifier.head.beta, names(classifier)) == (5.0, ["c", "d"])


def test_a_request_is_met_before_the_next_image(tmp_path: Path) -> None:
    """Also for images whose views wait for a full batch with those of an image before."""
    path = tmp_path / "line.safetensors"
    support().save(path)
    said: list[str] = []
    classifier = DefectClassifier(engine(batch=7), path, say=said.append)

    seen = []
    for item, (prediction,) in classifier.classify_many(ImageRegions(n, IMAGES[n], [REGION]) for n in range(6)):
        seen.append(list(prediction.probabilities))
        if item.key == 1:
            support(("c", "d", "e")).save(path)
            classifier.request_reload()
    assert seen == [["a", "b"]] * 2 + [["c", "d", "e"]] * 4
    assert said == ["the support cache was loaded again: 6 instances"]


def test_of_several_requests_the_last_counts(tmp_path: Path) -> None:
    said: list[str] = []
    classifier = DefectClassifier(engine(), support(), say=said.append)
    support(("c", "d")).save(tmp_path / "a")
    classifier.request_reload(tmp_path / "none")
    classifier.request_reload(tmp_path / "a")
    assert names(classifier) == ["c", "d"]
    assert len(said) == 1


def test_a_request_that_fails_is_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "line.safetensors"
    support().save(path)
    said: list[str] = []
    for say in (said.append, None):
        classifier = DefectClassifier(engine(), path, say=say)
        path.write_bytes(b"half")
        classifier.request_reload()
        if say is None:
            with pytest.warns(ReloadWarning, match=r"stays in use: .*is not a support cache"):
                assert names(classifier) == ["a", "b"]
        else:
            assert names(classifier) == ["a", "b"]
        assert names(classifier) == ["a", "b"]
        support().save(path)
    assert len(said) == 1
    assert "the present one stays in use" in said[0]


def test_no_prediction_sees_half_of_a_cache() -> None:
    """Two caches of different classes and sizes change places as fast as they can while images are classified."""
    first, second = support(("a", "b")), support(("c", "d", "e", "f"), seed=1)
    classifier = DefectClassifier(engine(), first)
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            classifier.reload(second)
            classifier.reload(first)

    def images() -> Iterator[ImageRegions[int]]:
        for count in range(300):
            yield ImageRegions(count, IMAGES[count % 6], [REGION])

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _, (prediction,) in classifier.classify_many(images()):
            classes = set(prediction.probabilities)
            assert classes in ({"a", "b"}, {"c", "d", "e", "f"})
            assert prediction.label in classes
            assert {neighbour.label for neighbour in prediction.nearest} <= classes
    finally:
        done.set()
        thread.join()


def test_the_views_stay_when_all_else_changes() -> None:
    classifier = DefectClassifier(engine(), support())
    plan = classifier.plan
    classifier.reload(dataclasses.replace(support(), view_plan=ViewPlan.by_name("ms", size=16, resample="fast")))
    assert classifier.plan == plan
