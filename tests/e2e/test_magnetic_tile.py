"""Real defects from export to prediction: the magnetic tile data, through the command line and from Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mvrec_edge.runtime import (
    Bundle,
    DefectClassifier,
    ImageRegions,
    SupportCache,
    open_engine,
    open_source,
    read_image,
)
from tests.e2e.commands import run

pytest.importorskip("torch", reason="the export stage needs PyTorch")

CLASSES = ["MT_Blowhole", "MT_Break", "MT_Crack", "MT_Fray", "MT_Uneven"]


#: What a record says of its run, and not of the region.
OF_THE_RUN = {"ms", "time", "run", "region", "mask", "picture", "item"}


def predictions_in(text: str) -> list[dict[str, object]]:
    records = [json.loads(line) for line in text.splitlines()]
    return [{key: value for key, value in record.items() if key not in OF_THE_RUN} for record in records]


@pytest.mark.slow
def test_every_region_of_every_image(shared_data: Path, tmp_path: Path) -> None:
    tiles = shared_data / "magnetic_tile"
    bundle, cache = tmp_path / "tiny.bundle", tmp_path / "line.safetensors"
    run("export", "--random-weights", "ViT-Ti/16", "--seed", 1, "--out", bundle)
    run("calibrate", bundle, tiles, "--shots", 5, "--seed", 0, "--resample", "fast", "--out", cache)
    loaded = SupportCache.load(cache)
    assert loaded.class_names == tuple(CLASSES)
    assert set(loaded.counts.values()) == {5}

    arguments = ("classify", bundle, cache, tiles)
    first = predictions_in(run(*arguments, "--overlay", tmp_path / "pictures").stdout)
    second = predictions_in(run(*arguments).stdout)
    assert first == second
    assert len(list((tmp_path / "pictures").glob("*.jpg"))) == 100
    assert len({record["image"] for record in first}) == 100
    assert {record["annotated"] for record in first} == set(CLASSES)
    for record in first:
        probabilities = record["probabilities"]
        assert isinstance(probabilities, dict)
        assert list(probabilities) == CLASSES
        assert sum(probabilities.values()) == pytest.approx(1.0, abs=1e-4)
        assert record["label"] in CLASSES
        assert "error" not in record

    made = []
    with open_engine("auto", Bundle.load(bundle)) as engine, pytest.warns(UserWarning, match="random"):
        classifier = DefectClassifier(engine, loaded)
        images = (
            ImageRegions(item.path, image, item.regions(image.shape[:2]).regions)
            for item in open_source(tiles)
            for image in [read_image(item.path)]
        )
        for item, predictions in classifier.classify_many(images):
            made += [json.dumps({"image": str(item.key), **prediction.to_record()}) for prediction in predictions]
    assert predictions_in("\n".join(made)) == first


@pytest.mark.parametrize("recipe", ["ms", pytest.param("mso", marks=pytest.mark.slow)])
def test_a_support_instance_is_classified_as_itself(shared_data: Path, tmp_path: Path, recipe: str) -> None:
    """Encoded again, each support instance of the transistor table finds itself as its nearest neighbour."""
    table = shared_data / "mvtec_fs_transistor/CONFIG/transistor_config1/train.csv"
    bundle, cache = tmp_path / "pocket.bundle", tmp_path / "line.safetensors"
    run("export", "pocket", "--out", bundle)
    run("calibrate", bundle, table, "--view-recipe", recipe, "--out", cache)
    records = predictions_in(run("classify", bundle, cache, table).stdout)
    assert len(records) == 22
    for record in records:
        nearest = record["nearest"]
        assert isinstance(nearest, list)
        assert nearest[0]["source"] == record["source"]
        assert nearest[0]["similarity"] == pytest.approx(1.0, abs=1e-3)
        assert nearest[0]["label"] == record["annotated"]
