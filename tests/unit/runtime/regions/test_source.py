"""What a source is built of, and what it says of itself."""

from __future__ import annotations

from mvrec_edge.runtime.regions.annotation import Annotation
from mvrec_edge.runtime.regions.shapes import BoxShape
from mvrec_edge.runtime.regions.source import SourceBuilder


def test_an_image_without_annotations_is_a_part_without_regions(tmp_path):
    builder = SourceBuilder(tmp_path, "coco")
    builder.add_image("good.png", tmp_path / "good.png")
    builder.add_image("bad.png", tmp_path / "bad.png")
    builder.add("bad.png", tmp_path / "bad.png", Annotation(BoxShape((1, 1, 4, 4)), "dent", "a.json#0", 0))
    builder.add_image("bad.png", tmp_path / "bad.png")

    source = builder.build("nothing", "add something")

    assert [(image.id, len(image.annotations)) for image in source] == [("good.png", 0), ("bad.png", 1)]
    reading = source.images[0].regions((10, 10))
    assert (reading.regions, reading.problems) == ([], ())
