"""Region sources on real sets: the magnetic tile masks and the MVTec-FS transistor table."""

from __future__ import annotations

import csv
import json
from collections import Counter

import cv2
import numpy as np

from mvrec_edge.runtime.images import read_image
from mvrec_edge.runtime.regions import open_source


def test_every_magnetic_tile_has_a_region(shared_data):
    source = open_source(shared_data / "magnetic_tile")
    readings = {item.id: item.regions(read_image(item.path).shape) for item in source}

    assert (source.format, len(source), source.problems) == ("folders", 100, ())
    assert all(reading.regions and not reading.problems for reading in readings.values())
    assert Counter(item.annotations[0].label for item in source) == dict.fromkeys(
        ("MT_Blowhole", "MT_Break", "MT_Crack", "MT_Fray", "MT_Uneven"), 20
    )
    assert all(region.label == name.split("/")[0] for name, reading in readings.items() for region in reading.regions)


def test_the_transistor_table_row_by_row(shared_data):
    table = shared_data / "mvtec_fs_transistor" / "CONFIG" / "transistor_config1" / "train.csv"
    with table.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))

    source = open_source(table)
    indexed = {}
    for item in source:
        reading = item.regions(read_image(item.path).shape)
        assert reading.problems == ()
        indexed.update(dict(reading.indexed))

    assert (source.format, len(source), source.problems) == ("mvtec-fs", 20, ())
    assert sorted(indexed) == list(range(22)) == list(range(len(rows)))
    for number, row in enumerate(rows):
        region = indexed[number]
        assert region.label == row["label"]
        assert region.box == tuple(int(row[column]) for column in ("x1", "y1", "x2", "y2"))
        filled = np.zeros((1024, 1024), np.uint8)
        cv2.fillPoly(filled, [np.array(json.loads(row["points"]), np.int32)], (255,))
        np.testing.assert_array_equal(region.mask, filled)
