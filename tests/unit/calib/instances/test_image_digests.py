"""Which instances lie on one image."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mvrec_edge.calib import encode_support, read_labelled
from mvrec_edge.calib.instances.image_digests import image_digests, images_of_classes
from mvrec_edge.runtime import ViewPlan, open_source
from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.testing import FakeEngine


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """An image with two defects of one class and one of another, as class folders have it, and two more images."""
    rng = np.random.default_rng(0)
    for number, (folder, holes) in enumerate({"dent/a": 2, "scratch/same": 1, "dent/b": 1, "scratch/b": 1}.items()):
        place = tmp_path / folder
        place.parent.mkdir(exist_ok=True)
        mask = np.zeros((60, 90), np.uint8)
        for hole in range(holes):
            mask[10 + 8 * number : 16 + 8 * number, 10 + 30 * hole : 25 + 30 * hole] = 255
        cv2.imwrite(f"{place}.png", mask)
        cv2.imwrite(f"{place}.jpg", rng.integers(0, 255, (60, 90, 3), np.uint8))
    (tmp_path / "scratch/same.jpg").write_bytes((tmp_path / "dent/a.jpg").read_bytes())
    return tmp_path


def test_the_content_of_a_file_tells_images_apart(labelled: Path) -> None:
    found = read_labelled(open_source(labelled))
    assert [instance.label for instance in found.instances] == ["dent", "dent", "dent", "scratch", "scratch"]
    of_a, again, of_b, other_b, same = image_digests(found)
    assert of_a == again == same
    assert len({of_a, of_b, other_b}) == 3
    assert images_of_classes(found) == {"dent": 2, "scratch": 2}


def test_a_cache_knows_the_images_of_its_instances(labelled: Path) -> None:
    found = read_labelled(open_source(labelled))
    plan = ViewPlan.by_name("ms", size=16, resample="fast")
    cache = encode_support(FakeEngine(image_size=16), found, plan)
    assert cache.images == image_digests(found)
    assert cache.image_groups.tolist() == [0, 0, 1, 2, 0]


def test_an_image_that_is_gone_is_named(labelled: Path) -> None:
    found = read_labelled(open_source(labelled))
    (labelled / "dent/b.jpg").unlink()
    with pytest.raises(ImageError, match=r"b\.jpg: cannot be read any more"):
        image_digests(found)
