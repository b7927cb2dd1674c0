"""Rendered batches: the same for the same seed, and what the losses rely on."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from training.appearances import EFFECTS, Appearance, apply_appearance, draw_appearance
from training.descriptors import DESCRIPTORS, GUIDES, describe
from training.samples import BatchPlan, render_batch
from training.shapes import PROCESSES, draw_shape, render_shape

SMALL = BatchPlan(lines=2, classes=3, instances=2, views=2, size=64)


def _random(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _numbers(view: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    return dict(zip(DESCRIPTORS + GUIDES, describe(view, inside).tolist(), strict=True))


def test_a_step_always_gives_the_same_batch() -> None:
    first, again, other = render_batch(SMALL, 0, 5), render_batch(SMALL, 0, 5), render_batch(SMALL, 0, 6)
    np.testing.assert_array_equal(first.views, again.views)
    np.testing.assert_array_equal(first.descriptors, again.descriptors)
    assert (first.views != other.views).any()


def test_a_batch_holds_what_the_plan_says() -> None:
    batch = render_batch(SMALL, 1, 0)
    assert batch.views.shape == (24, 64, 64, 4)
    assert batch.views.dtype == np.uint8
    assert np.bincount(batch.classes).tolist() == [4] * 6
    assert np.bincount(batch.instances).tolist() == [2] * 12
    assert (batch.classes == batch.instances // 2).all()
    assert batch.descriptors.shape == (24, len(DESCRIPTORS) + len(GUIDES))
    assert np.isfinite(batch.descriptors).all()
    # Every view shows its defect: the windows are shifted by a third at most.
    assert (batch.views[..., 3].reshape(24, -1).max(axis=1) > 0).all()


def test_classes_that_are_alike_differ_less_in_tone() -> None:
    tone = DESCRIPTORS.index("brighter in red")

    def spread(plan: BatchPlan) -> float:
        batches = [render_batch(plan, 0, step) for step in range(6)]
        tones = [batch.descriptors[:, tone].reshape(plan.lines, plan.classes, -1).mean(axis=2) for batch in batches]
        return float(np.mean([group.std() for batch in tones for group in batch]))

    assert spread(replace(SMALL, alike=1.0)) < 0.7 * spread(SMALL)


def test_every_process_is_drawn_and_renders_something() -> None:
    random = _random(0)
    seen = set()
    for _ in range(150):
        shape = draw_shape(random)
        mask = render_shape(random, shape, 160, 200)
        assert mask.shape == (160, 200)
        assert mask.dtype == np.uint8
        if mask.any():
            seen.add(shape.process)
    assert seen == set(PROCESSES)


@pytest.mark.parametrize("effect", EFFECTS)
def test_an_effect_changes_the_surface_under_the_shape_and_not_far_from_it(effect: str) -> None:
    random = _random(3)
    # Brighter towards one side, with grain: an effect that moves or smooths texture must find some.
    scene = np.tile(np.linspace(60, 180, 120, dtype=np.float32)[None, :, None], (120, 1, 3))
    scene += random.normal(0, 12, (120, 120, 1)).astype(np.float32)
    shape = np.zeros((120, 120), np.float32)
    cv2.circle(shape, (60, 60), 20, (1.0,), -1)
    numbers = next(
        dict(appearance.effects)[effect]
        for appearance in (draw_appearance(random) for _ in range(2000))
        if effect in dict(appearance.effects)
    )
    before = scene.copy()
    after = apply_appearance(random, Appearance(((effect, numbers),), 1.0, 0.1), scene, shape)
    np.testing.assert_array_equal(scene, before)
    change = np.abs(after - before).mean(axis=2)
    assert change[shape > 0].mean() > 1
    assert change[:15].max() < 0.5


def test_descriptors_tell_a_line_from_a_disc_and_dark_from_bright() -> None:
    view = np.full((128, 128, 4), 120, np.uint8)
    view[..., 3] = 0
    disc, line = view.copy(), view.copy()
    cv2.circle(disc, (64, 64), 12, (200, 200, 200, 255), -1)
    cv2.line(line, (20, 64), (100, 70), (60, 60, 60, 255), 2)
    whole = np.full((128, 128), 255, np.uint8)
    of_disc, of_line = (_numbers(each, whole) for each in (disc, line))
    assert of_line["log elongation"] > of_disc["log elongation"] + 1
    assert of_disc["brighter in red"] > 0 > of_line["brighter in red"]
    assert of_disc["log area"] > of_line["log area"]
    assert of_disc["log pieces"] == of_line["log pieces"]
    assert of_disc["compactness"] > of_line["compactness"]
    assert of_line["one direction of the outline"] > of_disc["one direction of the outline"] + 2


def test_descriptors_tell_a_ring_from_a_disc_and_one_piece_from_several() -> None:
    view = np.full((128, 128, 4), 120, np.uint8)
    view[..., 3] = 0
    disc, ring, dots = view.copy(), view.copy(), view.copy()
    cv2.circle(disc, (64, 64), 24, (90, 90, 90, 255), -1)
    cv2.circle(ring, (64, 64), 24, (90, 90, 90, 255), 3)
    for x in (40, 64, 88):
        cv2.circle(dots, (x, 64), 5, (90, 90, 90, 255), -1)
    whole = np.full((128, 128), 255, np.uint8)
    of_disc, of_ring, of_dots = (_numbers(each, whole) for each in (disc, ring, dots))
    assert of_ring["log holes"] > of_disc["log holes"]
    assert of_ring["emptiness of the middle"] > of_disc["emptiness of the middle"]
    assert of_disc["left after opening by 4"] > of_ring["left after opening by 4"]
    assert of_dots["log pieces"] > of_disc["log pieces"]
    assert of_disc["solidity"] > of_dots["solidity"]


def test_descriptors_do_not_depend_on_how_a_view_is_turned() -> None:
    view = render_batch(SMALL, 2, 0).views[0]
    whole = np.full(view.shape[:2], 255, np.uint8)
    as_it_is, turned = _numbers(view, whole), _numbers(np.ascontiguousarray(np.rot90(view)), whole)
    for name in DESCRIPTORS:
        # Convex hulls and contours begin elsewhere and round otherwise.
        assert turned[name] == pytest.approx(as_it_is[name], abs=0.1), name
    for name in GUIDES:
        # A quarter of a turn is half of one for the doubled angle.
        assert turned[name] == pytest.approx(-as_it_is[name], abs=0.1), name


def test_the_direction_of_a_grooved_patch_is_that_of_its_grooves() -> None:
    view = np.full((96, 96, 4), 120, np.uint8)
    view[..., 3] = 0
    cv2.circle(view, (48, 48), 25, (120, 120, 120, 255), -1)
    grooved, speckled = view.copy(), view.copy()
    grooved[24:72:4, 24:72, :3] = 180
    speckled[24:72:4, 24:72:4, :3] = 180
    whole = np.full((96, 96), 255, np.uint8)
    of_grooved, of_speckled = _numbers(grooved, whole), _numbers(speckled, whole)
    assert of_grooved["one direction of the texture"] > of_speckled["one direction of the texture"] + 1
    # Grooves along x have slopes along y.
    assert of_grooved["cosine of the texture"] < -1
    assert abs(of_grooved["sine of the texture"]) < 0.3


def test_what_lies_outside_the_image_does_not_count_as_surroundings() -> None:
    view = np.zeros((128, 128, 4), np.uint8)
    view[40:, :, :3] = 150
    view[36:60, 50:70, 3] = 255
    inside = np.zeros((128, 128), np.uint8)
    inside[40:] = 255
    numbers = _numbers(view, inside)
    inner = np.full((128, 128), 255, np.uint8)
    blurred = _numbers(view, inner)
    # 150 all around, where the black beyond the border is not taken for surroundings.
    assert numbers["level around"] > blurred["level around"]
    assert numbers["log deviation around"] < blurred["log deviation around"]
    assert numbers["share of the outline at the border"] > blurred["share of the outline at the border"]
    view[..., 3] = 255
    assert np.isfinite(describe(view, inside)).all()


def test_a_view_without_a_defect_has_descriptors_too() -> None:
    assert np.isfinite(describe(np.zeros((64, 64, 4), np.uint8), np.full((64, 64), 255, np.uint8))).all()
