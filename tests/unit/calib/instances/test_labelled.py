"""From a labelled set to a support cache."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mvrec_edge.calib import encode_support, read_labelled
from mvrec_edge.calib.instances.kept_images import KeptImages
from mvrec_edge.calib.instances.thumbnails import draw_thumbnails
from mvrec_edge.runtime import ViewPlan, crop_views, open_source, read_image
from mvrec_edge.runtime.errors import SupportError, UsageError
from mvrec_edge.testing import FakeEngine

PLAN = ViewPlan.by_name("ms", size=16, resample="fast")


def write_pair(folder: Path, name: str, *, value: int, holes: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    image = np.full((60, 90, 3), value, np.uint8)
    mask = np.zeros((60, 90), np.uint8)
    for number in range(holes):
        mask[20:40, 10 + 30 * number : 25 + 30 * number] = 255
    image[mask > 0] = 255 - value
    cv2.imwrite(str(folder / f"{name}.jpg"), image)
    cv2.imwrite(str(folder / f"{name}.png"), mask)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    write_pair(tmp_path / "dark", "a", value=20)
    write_pair(tmp_path / "dark", "b", value=40, holes=2)
    write_pair(tmp_path / "light", "c", value=200)
    write_pair(tmp_path / "light", "d", value=220)
    return tmp_path


def test_reads_every_instance_in_order(labelled: Path) -> None:
    seen: list[int] = []
    support = read_labelled(open_source(labelled), progress=seen.append)
    assert [instance.label for instance in support.instances] == ["dark", "dark", "dark", "light", "light"]
    assert support.class_names == ("dark", "light")
    assert support.problems == ()
    assert sum(seen) == 4


def test_encodes_each_instance_where_it_belongs(labelled: Path) -> None:
    support = read_labelled(open_source(labelled))
    engine = FakeEngine(image_size=16, batch=4)
    order = [3, 1, 0, 4, 2]
    cache = encode_support(engine, support.with_instances(support.instances[index] for index in order), plan=PLAN)
    assert cache.class_names == ("light", "dark")
    assert cache.labels.tolist() == [0, 1, 1, 0, 1]
    for row, index in enumerate(order):
        instance = support.instances[index]
        want = engine.encode(crop_views(read_image(instance.image), instance.region, PLAN))
        np.testing.assert_array_equal(cache.embeddings[row], want.astype(np.float16))
        assert cache.sources[row] == instance.region.source
    assert (cache.encoder, cache.view_plan) == ("fake", PLAN)


def test_a_cache_keeps_pictures_unless_it_is_told_not_to(labelled: Path) -> None:
    support = read_labelled(open_source(labelled))
    engine = FakeEngine(image_size=16)
    cache = encode_support(engine, support, plan=PLAN)
    assert cache.thumbnails == draw_thumbnails(support, cache.class_names)
    shades = [cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_GRAYSCALE)[2, 2] for each in cache.thumbnails]
    assert np.abs(np.array(shades, int) - [20, 40, 40, 200, 220]).max() < 12
    assert encode_support(engine, support, plan=PLAN, pictures=False).thumbnails == ()


def test_draws_shots_and_all_of_a_short_class(labelled: Path) -> None:
    support = read_labelled(open_source(labelled))
    drawn = support.draw(3, seed=0)
    assert [instance.label for instance in drawn.instances] == ["dark"] * 3 + ["light"] * 2
    assert drawn.counts == {"dark": 3, "light": 2}


def test_bad_items_cost_only_themselves(labelled: Path) -> None:
    (labelled / "dark" / "a.jpg").write_bytes(b"no image")
    cv2.imwrite(str(labelled / "light" / "d.png"), np.zeros((60, 90), np.uint8))
    support = read_labelled(open_source(labelled))
    assert [instance.label for instance in support.instances] == ["dark", "dark", "light"]
    assert (len(support.problems), support.without_defect) == (1, 1)
    strict = read_labelled(open_source(labelled, empty="error"))
    assert (len(strict.problems), strict.without_defect) == (2, 0)
    assert "shows no defect" in str(strict.problems[1])


def test_unlabelled_regions_are_problems(labelled: Path) -> None:
    support = read_labelled(open_source(labelled / "dark"))
    assert support.instances == ()
    assert all("no label" in str(problem) for problem in support.problems)
    assert len(support.problems) == 3


def test_one_class_is_refused_before_the_encoder_runs(labelled: Path) -> None:
    support = read_labelled(open_source(labelled))
    engine = FakeEngine(image_size=16)
    with pytest.raises(SupportError, match="only one class, 'dark'"):
        encode_support(engine, support.with_instances(support.instances[:3]), plan=PLAN)
    with pytest.raises(SupportError, match="no labelled instance"):
        encode_support(engine, support.with_instances([]), plan=PLAN)
    assert engine.batches == []


def test_a_plan_of_another_size_is_refused(labelled: Path) -> None:
    support = read_labelled(open_source(labelled))
    with pytest.raises(UsageError, match="16 pixels wide"):
        encode_support(FakeEngine(image_size=24), support, plan=PLAN)


def test_a_damaged_image_that_was_not_kept_is_read_again_as_it_was_read_first(labelled: Path) -> None:
    bad = labelled / "dark" / "a.jpg"
    bad.write_bytes(bad.read_bytes()[:-20])
    assert [problem.where for problem in read_labelled(open_source(labelled)).problems] == [str(bad)]

    support = read_labelled(open_source(labelled, damaged="warn"), images=KeptImages(0))

    assert support.problems == ()
    assert [warning.where for warning in support.warnings] == [str(bad)]
    np.testing.assert_array_equal(support.images.read(bad), read_image(bad, damaged="warn"))
