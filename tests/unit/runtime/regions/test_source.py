"""What a source is built of, and what it says of itself."""

from __future__ import annotations

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions.annotation import Annotation, UnusableShape
from mvrec_edge.runtime.regions.shapes import BoxShape
from mvrec_edge.runtime.regions.source import RegionSource, SourceBuilder, SourceImage


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


def test_a_source_says_what_it_was_recognised_as(tmp_path):
    source = RegionSource(
        tmp_path,
        "boxes",
        tuple(
            SourceImage(
                f"{name}.png",
                tmp_path / f"{name}.png",
                tuple(Annotation(shape, label, f"b.csv#{name}", 0) for label in labels),
            )
            for name, shape, labels in (
                ("a", BoxShape((1, 1, 4, 4)), ("dent", None)),
                ("b", UnusableShape(AnnotationError("is bad")), ("pit",)),
                ("c", BoxShape((1, 1, 4, 4)), ()),
            )
        ),
        (),
        label_files=tuple(tmp_path / f"{name}.csv" for name in "abcde"),
    )

    assert source.describe() == (
        "read as boxes (a.csv, b.csv, c.csv and 2 more): 3 images, 2 regions, 2 labels; 1 image without a defect"
    )
