"""A classifier with several parts: within a part as with the cache of that part alone, given or chosen."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from mvrec_edge.runtime import DefectClassifier, HeadSettings, ImageRegions, Region, SupportCache, ViewPlan, crop_views
from mvrec_edge.runtime.classifier.classification import ClassifySettings
from mvrec_edge.runtime.classifier.given_parts import check_given, of_known_parts
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.gradual import ViewUse
from mvrec_edge.runtime.heads import ZipAdapter
from mvrec_edge.runtime.support.parts import join_parts
from mvrec_edge.runtime.support.review_limits import ReviewLimits
from mvrec_edge.testing import FakeEngine

PLAN = ViewPlan.by_name("mso", size=16, resample="fast")
RNG = np.random.default_rng(0)
#: Of each part four images, two of each class.
IMAGES = {
    part: RNG.integers(low, low + 100, (4, 60, 80, 3), dtype=np.uint8) for part, low in (("tile", 0), ("knob", 150))
}
REGIONS = [Region.from_box((20 + 3 * n, 10, 30 + 3 * n, 22), (60, 80), source=f"r{n}") for n in range(3)]


def one(part: str) -> SupportCache:
    engine = FakeEngine(image_size=16)
    embeddings = np.stack([engine.encode(crop_views(image, REGIONS[0], PLAN)) for image in IMAGES[part]])
    return SupportCache.from_embeddings(
        embeddings,
        [0, 0, 1, 1],
        ["dent", "burr" if part == "knob" else "scratch"],
        sources=[f"{part}{n}" for n in range(4)],
        view_plan=PLAN,
        encoder="fake",
        head=HeadSettings("zip-w", 20.0, "mean", 4.0),
    )


OWN = {part: one(part) for part in IMAGES}
PARTED = join_parts(OWN)


def _classifier(cache: SupportCache, **arguments: Any) -> DefectClassifier:
    return DefectClassifier(FakeEngine(image_size=16, batch=7), cache, **arguments)


@pytest.mark.parametrize("views", ["all", "auto", 5])
@pytest.mark.parametrize("part", ["tile", "knob"])
def test_with_the_part_given_all_is_as_with_its_own_cache(part: str, views: str | int) -> None:
    use = ViewUse(views)
    given = [region.with_part(part) for region in REGIONS]
    for image in IMAGES[part]:
        alone = _classifier(OWN[part], views=use).classify(image, REGIONS)
        together = _classifier(PARTED, views=use).classify(image, given)
        for own, found in zip(alone, together, strict=True):
            assert (found.part, found.part_given) == (part, True)
            assert (found.label, found.views, found.stopped) == (own.label, own.views, own.stopped)
            assert list(found.probabilities) == list(own.probabilities)
            np.testing.assert_allclose(
                list(found.probabilities.values()), list(own.probabilities.values()), rtol=1e-4, atol=1e-6
            )
            assert [each.source for each in found.nearest] == [each.source for each in own.nearest]
            assert found.change_risk == pytest.approx(own.change_risk, abs=1e-6)


@pytest.mark.parametrize("views", ["all", "auto"])
def test_the_part_is_chosen_where_none_is_given(views: str) -> None:
    classifier = _classifier(PARTED, views=ViewUse(views))
    for part, images in IMAGES.items():
        for image in images:
            (prediction,) = classifier.classify(image, REGIONS[:1])
            assert (prediction.part, prediction.part_given) == (part, False)
            assert prediction.part_probability is not None
            assert 0.5 < prediction.part_probability <= 1
            assert set(prediction.probabilities) == set(OWN[part].class_names)
            # Places in the whole cache, and not within the part.
            assert all(PARTED.sources[near.index] == near.source for near in prediction.nearest)
            assert prediction.cache == PARTED.digest


def test_regions_of_several_parts_on_one_image_come_back_in_order() -> None:
    regions = [REGIONS[0].with_part("knob"), REGIONS[1], REGIONS[2].with_part("tile")]
    for views in ("all", "auto"):
        predictions = _classifier(PARTED, views=ViewUse(views)).classify(IMAGES["tile"][0], regions)
        assert [each.region.source for each in predictions] == ["r0", "r1", "r2"]
        assert [each.part for each in predictions][::2] == ["knob", "tile"]
        assert [each.part_given for each in predictions] == [True, False, True]


def test_the_record_names_the_part_only_where_there_are_parts() -> None:
    (prediction,) = _classifier(PARTED).classify(IMAGES["knob"][0], REGIONS[:1])
    record = prediction.to_record()
    assert (record["part"], record["part_given"]) == ("knob", False)
    assert 0 < record["part_probability"] <= 1
    (without,) = _classifier(OWN["knob"]).classify(IMAGES["knob"][0], [REGIONS[0].with_part("knob")])
    assert not {"part", "part_given", "part_probability"} & set(without.to_record())


def test_a_single_part_is_sure() -> None:
    classifier = _classifier(join_parts({"tile": OWN["tile"]}))
    (prediction,) = classifier.classify(IMAGES["tile"][0], REGIONS[:1])
    assert (prediction.part, prediction.part_given, prediction.part_probability) == ("tile", False, 1.0)


@pytest.mark.parametrize("views", ["all", "auto"])
def test_a_part_that_is_not_there_is_refused(views: str) -> None:
    with pytest.raises(UsageError, match="no part 'shaft'"):
        _classifier(PARTED, views=ViewUse(views)).classify(IMAGES["tile"][0], [REGIONS[0].with_part("shaft")])
    with pytest.raises(UsageError, match="no part 'shaft'"):
        check_given("shaft", PARTED)
    with pytest.raises(UsageError, match="has no parts"):
        check_given("tile", OWN["tile"])
    with pytest.raises(UsageError, match="no part 'shaft'"):
        ClassifySettings(part="shaft").check_cache(PARTED)


def test_regions_of_strange_parts_are_problems_of_their_own() -> None:
    regions = [REGIONS[0].with_part("shaft"), REGIONS[1], REGIONS[2].with_part("tile")]
    known, problems = of_known_parts(regions, PARTED)
    assert known == regions[1:]
    assert [problem.where for problem in problems] == ["r0"]
    assert of_known_parts(regions, OWN["tile"]) == (regions, [])


def test_a_head_of_ones_own_does_not_go_with_parts() -> None:
    with pytest.raises(UsageError, match="several parts"):
        _classifier(PARTED, head=ZipAdapter(OWN["tile"]))


def test_a_reload_keeps_the_parts_that_regions_may_be_of() -> None:
    classifier = _classifier(PARTED)
    with pytest.raises(UsageError, match="lacks the part 'knob'"):
        classifier.reload(join_parts({"tile": OWN["tile"]}))
    assert classifier.cache is PARTED
    classifier.reload(join_parts({**OWN, "shaft": OWN["tile"]}))
    assert classifier.cache.part_names == ("tile", "knob", "shaft")
    keys = [item.key for item, _ in classifier.classify_many([ImageRegions(1, IMAGES["tile"][0], REGIONS)])]
    assert keys == [1]


def test_the_views_that_the_cache_says_are_those_that_all_parts_say() -> None:
    assert ClassifySettings().view_use(PARTED).views == "all"


def _limited(limit: float | None, *parts: str) -> SupportCache:
    """Both parts, those named with a limit for review."""
    review = ReviewLimits(0.95, 0.9, (limit, limit), (False, False), 60, 60, 3)
    return join_parts(
        {name: dataclasses.replace(own, review=review) if name in parts else own for name, own in OWN.items()}
    )


def test_a_chosen_part_makes_the_class_as_doubtful_as_it_is() -> None:
    # Between the two parts, so that neither is certain.
    between = np.full((60, 80, 3), 150, np.uint8)
    (plain,) = _classifier(PARTED).classify(between, REGIONS[:1])
    assert (plain.review, plain.part_given) == (None, False)
    assert plain.part_probability is not None
    together = plain.probability * plain.part_probability
    assert together < plain.probability - 1e-6
    for limit, wanted in ((together, False), ((together + plain.probability) / 2, True), (0.0, False), (None, True)):
        (found,) = _classifier(_limited(limit, *OWN)).classify(between, REGIONS[:1])
        assert found.review is wanted
        assert (found.label, found.probability, found.part) == (plain.label, plain.probability, plain.part)
    # A part without a limit says nothing, whatever the other has.
    assert plain.part is not None
    (other,) = set(OWN) - {plain.part}
    assert _classifier(_limited(0.5, other)).classify(between, REGIONS[:1])[0].review is None


def test_a_given_part_is_doubted_only_where_another_is_more_probable() -> None:
    for part, image in ((part, images[0]) for part, images in IMAGES.items()):
        (other,) = set(OWN) - {part}
        right, wrong = (_classifier(PARTED).classify(image, [REGIONS[0].with_part(name)])[0] for name in (part, other))
        assert right.part_probability is not None
        assert wrong.part_probability is not None
        assert wrong.part_probability < 0.5 < right.part_probability
        # The line knows the part: its class is compared alone.
        limit = min(right.probability, wrong.probability)
        cache = _limited(limit, *OWN)
        given = [REGIONS[0].with_part(part), REGIONS[0].with_part(other)]
        assert [each.review for each in _classifier(cache).classify(image, given)] == [False, True]


def test_the_centre_of_a_single_part_follows_the_line() -> None:
    three = OWN["tile"].subset([0, 1, 0, 2, 3, 2])
    alone = dataclasses.replace(three, head=OWN["tile"].head)
    single = join_parts({"tile": alone})
    ClassifySettings(recentre=True).check_cache(single)
    moved: tuple[list[float], list[float]] = ([], [])
    for cache, found in zip((alone, single), moved, strict=True):
        classifier = _classifier(cache, recentre=True)
        for image in IMAGES["tile"]:
            (prediction,) = classifier.classify(image, REGIONS[:1])
            assert prediction.recentred is not None
            found.append(prediction.recentred.moved)
    assert moved[0] == moved[1]
    assert moved[0][-1] > 0
    for refused in (
        lambda: ClassifySettings(recentre=True).check_cache(PARTED),
        lambda: _classifier(PARTED, recentre=True),
    ):
        with pytest.raises(UsageError, match="several parts"):
            refused()
    few = join_parts({"tile": OWN["tile"]})
    with pytest.raises(UsageError, match="it takes 3 of every class"):
        ClassifySettings(recentre=True).check_cache(few)
