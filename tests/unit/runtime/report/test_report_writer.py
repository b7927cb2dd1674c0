"""Collecting a run into a page: whole or not at all, bounded, and plain about what was left out."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvrec_edge.runtime import DefectClassifier, Neighbour, Prediction, Region, SupportCache, ViewPlan
from mvrec_edge.runtime.errors import ImageError, OutputError
from mvrec_edge.runtime.regions.region_names import RegionName
from mvrec_edge.runtime.report import AddCommand, ReportLimits, ReportWriter, Section, check_record
from mvrec_edge.runtime.report.record import certainty_of
from mvrec_edge.runtime.report.report_writer import is_report
from mvrec_edge.runtime.views.schedule import default_schedule
from mvrec_edge.testing import FakeEngine

NAMES = ("pit", "dent", "crack")
IMAGE = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
REGIONS = [
    Region.from_box((10, 10, 30, 30), (96, 128), "pit", "a.csv#0"),
    Region.from_box((60, 40, 90, 60), (96, 128), None, "a.csv#1"),
    Region.from_box((100, 70, 120, 90), (96, 128), "rust", "a.csv#2"),
]


@pytest.fixture(scope="module")
def cache() -> SupportCache:
    engine = FakeEngine(image_size=32)
    plan = ViewPlan.by_name("ms", size=32)
    views = np.random.default_rng(1).integers(0, 255, (6 * 3, 32, 32, 4), np.uint8)
    embeddings = engine.encode(views).reshape(6, 3, -1)
    return SupportCache.from_embeddings(embeddings, [0, 1, 2, 0, 1, 2], NAMES, view_plan=plan, encoder="fake")


@pytest.fixture(scope="module")
def predictions(cache: SupportCache) -> list[Prediction]:
    return DefectClassifier(FakeEngine(image_size=32), cache).classify(IMAGE, REGIONS)


def read(path: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def blocks(path: Path, kind: str) -> dict[str, str]:
    found = re.findall(rf'<script type="application/json" id="{kind}-\d+">(.*?)</script>', path.read_text(), re.DOTALL)
    return {key: value for text in found for key, value in json.loads(text).items()}


def test_a_page_holds_every_region(tmp_path: Path, cache: SupportCache, predictions: list[Prediction]) -> None:
    out = tmp_path / "report.html"
    with ReportWriter(out, cache, title="line 1", details=[Section.of("Run", {"a": 1, "b": None})]) as report:
        report.add(Path("a.png"), IMAGE, predictions, [ImageError("is cut", where="a.png#3", fix="copy it again")])
        report.add(Path("b.png"), None, [], [ImageError("is no image", where="b.png")])
    data = read(out)
    assert [region["source"] for region in data["regions"]] == [region.source for region in REGIONS]
    assert [region["annotated"] for region in data["regions"]] == ["pit", None, "rust"]
    assert [item["name"] for item in data["classes"]] == [*NAMES, "rust"]
    assert data["known"] == 3
    for region, prediction in zip(data["regions"], predictions, strict=True):
        assert region["label"] == prediction.label
        np.testing.assert_allclose(region["p"], list(prediction.probabilities.values()), atol=1e-4)
        assert [near[0] for near in region["near"]] == [item.index for item in prediction.nearest]
        assert len(region["xy"]) == 2
    assert data["counts"] == {"regions": 3, "images": 2, "problems": 2}
    assert data["order"] == list(default_schedule(ViewPlan.by_name("ms", size=32)).order)
    assert len(data["views"]) == 3
    assert [item["what"] for item in data["problems"]] == ["is cut", "is no image"]
    assert data["details"] == [{"title": "Run", "rows": [["a", "1"]]}]
    assert set(blocks(out, "crop")) == set(blocks(out, "views")) == {"0", "1", "2"}
    assert report.summary is not None
    assert report.summary.size == out.stat().st_size
    assert all("more" not in region for region in data["regions"])
    assert any("calibrate again" in sentence for sentence in report.summary.left_out)


def test_what_a_record_gains_is_shown_without_a_change_here(
    tmp_path: Path, cache: SupportCache, predictions: list[Prediction], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Prediction.to_record
    more = {"unknown": True, "novelty": float("inf"), "spots": [0, 2], "drawn": None, "note": "x" * 9999}
    monkeypatch.setattr(Prediction, "to_record", lambda self: {**plain(self), **more})
    with ReportWriter(tmp_path / "a.html", cache, title="a") as report:
        report.add(Path("a.png"), IMAGE, predictions)
    extra = read(tmp_path / "a.html")["regions"][0]["more"]
    assert extra == {"unknown": True, "novelty": "inf", "spots": [0, 2], "note": "x" * 509 + "..."}


def test_an_unknown_region(tmp_path: Path, cache: SupportCache, predictions: list[Prediction]) -> None:
    import dataclasses

    unknown = dataclasses.replace(
        predictions[0], label="unknown", nearest_class=predictions[0].label, novelty=2.5, unknown=True
    )
    with ReportWriter(tmp_path / "a.html", cache, title="a") as report:
        report.add(Path("a.png"), IMAGE, [unknown, dataclasses.replace(predictions[1], novelty=0.5, unknown=False)])
    first, second = read(tmp_path / "a.html")["regions"]
    assert first["label"] == "unknown"
    assert first["more"] == {"nearest_class": predictions[0].label, "novelty": 2.5, "unknown": True}
    assert second["more"] == {"novelty": 0.5, "unknown": False}


def test_a_region_to_look_at_keeps_its_picture_longer(
    tmp_path: Path, cache: SupportCache, predictions: list[Prediction]
) -> None:
    import dataclasses

    looked_at = [dataclasses.replace(each, review=place == 2) for place, each in enumerate(predictions)]
    limits = ReportLimits(pictures=1, views=1)
    with ReportWriter(tmp_path / "a.html", cache, title="a", limits=limits) as report:
        report.add(Path("a.png"), IMAGE, looked_at)
    regions = read(tmp_path / "a.html")["regions"]
    assert [region["more"]["review"] for region in regions] == [False, False, True]
    sure = {"annotated": None, "label": "a", "p": [0.9, 0.1]}
    assert certainty_of(sure) == pytest.approx(0.8)
    assert certainty_of({**sure, "more": {"review": True}}) == pytest.approx(-0.2)
    assert certainty_of({**sure, "more": {"review": True, "unknown": True}}) == -1


def test_a_prediction_made_against_another_cache(
    tmp_path: Path, cache: SupportCache, predictions: list[Prediction]
) -> None:
    """As after a reload in a process that runs on."""
    import dataclasses

    near = (Neighbour(1, "rust", "new.png", 0.9), Neighbour(99, "rust", "newer.png", 0.8), predictions[0].nearest[0])
    other = dataclasses.replace(
        predictions[0], label="rust", probabilities={"dent": 0.2, "rust": 0.7, "pit": 0.1}, nearest=near
    )
    with ReportWriter(tmp_path / "a.html", cache, title="a") as report:
        report.add(Path("a.png"), IMAGE, [predictions[1], other, other])
    data = read(tmp_path / "a.html")
    assert [item["name"] for item in data["classes"]] == [*NAMES, "rust"]
    assert data["regions"][1]["p"] == [0.1, 0.2, 0.0, 0.7]
    assert [near[0] for near in data["regions"][2]["near"]] == [6, 7, predictions[0].nearest[0].index]
    assert [item["source"] for item in data["support"][6:]] == ["new.png", "newer.png"]
    assert all("xy" in item for item in data["support"][:6])
    assert not any("xy" in item for item in data["support"][6:])


def test_limits_are_kept_and_said(tmp_path: Path, cache: SupportCache, predictions: list[Prediction]) -> None:
    limits = ReportLimits(regions=5, pictures=60_000, views=3000, problems=1)
    out = tmp_path / "report.html"
    with ReportWriter(out, cache, title="a", limits=limits) as report:
        for number in range(4):
            report.add(Path(f"{number}.png"), IMAGE, predictions, [ImageError("is cut")])
    data = read(out)
    assert len(data["regions"]) == 5
    assert len(data["problems"]) == 1
    assert data["counts"]["regions"] == 12
    assert 0 < len(blocks(out, "crop")) < 5
    text = " ".join(data["left_out"])
    assert "Not listed: 7 regions after the first 5" in text
    assert f"Listed without picture: {5 - len(blocks(out, 'crop'))} region" in text
    assert "Not listed: 3 failed items after the first 1." in text


def test_of_a_large_support_the_first_and_the_nearest_are_listed(
    tmp_path: Path, cache: SupportCache, predictions: list[Prediction]
) -> None:
    import dataclasses

    import cv2

    plain = [cv2.imencode(".jpg", np.full((16, 16, 3), 40 * number, np.uint8))[1].tobytes() for number in range(6)]
    pictured = dataclasses.replace(cache, thumbnails=tuple(plain))
    near = tuple(Neighbour(index, NAMES[int(cache.labels[index])], cache.sources[index], 0.9) for index in (5, 1, 4))
    limits = ReportLimits(instances=2, support=sum(len(plain[index]) for index in (5, 1, 4)))
    with ReportWriter(tmp_path / "a.html", pictured, title="a", limits=limits) as report:
        report.add(Path("a.png"), IMAGE, [dataclasses.replace(predictions[0], nearest=near)])
    data = read(tmp_path / "a.html")
    assert [item["source"] for item in data["support"]] == [cache.sources[index] for index in (0, 1, 5, 4)]
    assert all(len(item["xy"]) == 2 for item in data["support"])
    assert [place for place, _ in data["regions"][0]["near"]] == [2, 1, 3]
    shown = {int(place): base64.b64decode(text) for place, text in blocks(tmp_path / "a.html", "support").items()}
    assert shown == {1: plain[1], 2: plain[5], 3: plain[4]}
    assert "Not on the map: 2 support instances; those named as nearest are." in data["left_out"]


def test_nothing_is_written_after_an_error(tmp_path: Path, cache: SupportCache) -> None:
    with pytest.raises(RuntimeError), ReportWriter(tmp_path / "a.html", cache, title="a"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_kept(tmp_path: Path, cache: SupportCache) -> None:
    (tmp_path / "a.html").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        ReportWriter(tmp_path / "a.html", cache, title="a")
    assert (tmp_path / "a.html").read_text() == "mine"
    with ReportWriter(tmp_path / "a.html", cache, title="a", overwrite=True):
        pass
    assert read(tmp_path / "a.html")["regions"] == []


def test_a_folder_that_cannot_be_is_found_at_once(tmp_path: Path, cache: SupportCache) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="its folder is a file"):
        ReportWriter(tmp_path / "file" / "none" / "a.html", cache, title="a")
    with pytest.raises(OutputError, match="its folder is a file"):
        ReportWriter(tmp_path / "file" / "a.html", cache, title="a")
    with pytest.raises(OutputError, match="is a folder"):
        ReportWriter(tmp_path, cache, title="a", overwrite=True)


def test_its_own_folders_are_made(tmp_path: Path, cache: SupportCache) -> None:
    with ReportWriter(tmp_path / "results" / "today" / "a.html", cache, title="a"):
        assert list(tmp_path.iterdir()) == []
    assert read(tmp_path / "results" / "today" / "a.html")["regions"] == []


def test_records_make_the_page_that_predictions_made(
    tmp_path: Path, cache: SupportCache, predictions: list[Prediction]
) -> None:
    """But for the map, and for outlines that are no boxes."""
    records = [check_record({"image": "a.png", **each.to_record()}, "a") for each in predictions]
    for name, add in (
        ("run", lambda page: page.add(Path("a.png"), IMAGE, predictions)),
        ("file", lambda page: page.add_records(Path("a.png"), IMAGE, records)),
    ):
        with ReportWriter(tmp_path / name, cache, title="a") as page:
            add(page)
    run, file = read(tmp_path / "run"), read(tmp_path / "file")
    assert all("xy" in region for region in run["regions"])
    assert not any("xy" in region for region in file["regions"])
    kept = [{key: value for key, value in region.items() if key != "xy"} for region in run["regions"]]
    assert file["regions"] == kept
    assert file["counts"] == run["counts"]
    assert file["times"] == pytest.approx(run["times"], abs=0.01)
    for kind in ("crop", "views"):
        assert blocks(tmp_path / "file", kind) == blocks(tmp_path / "run", kind)


def test_records_whose_image_is_another_one_by_now_have_no_picture(
    tmp_path: Path, cache: SupportCache, predictions: list[Prediction]
) -> None:
    records = [check_record({"image": "a.png", **each.to_record()}, "a") for each in predictions]
    with ReportWriter(tmp_path / "a.html", cache, title="a") as page:
        page.add_records(Path("a.png"), IMAGE[:40, :50], records)
    assert len(read(tmp_path / "a.html")["regions"]) == 3
    assert set(blocks(tmp_path / "a.html", "crop")) == {"0"}


def test_a_page_has_what_the_command_that_adds_a_region_needs(
    tmp_path: Path, cache: SupportCache, predictions: list[Prediction]
) -> None:
    names = [RegionName(Path("-a b.png"), 0), None, RegionName(Path("a.png"), 2, Path("masks/a.png"))]
    command = AddCommand("-line", "b.bundle", 4)
    with ReportWriter(tmp_path / "a.html", cache, title="a", command=command) as page:
        page.add(Path("a.png"), IMAGE, predictions, names=names)
    data = read(tmp_path / "a.html")
    assert data["add"] == {
        "before": ["mvrec-edge", "support", "add", "./-line"],
        "after": ["--bundle", "b.bundle", "--min-area", "4"],
    }
    assert [region.get("add") for region in data["regions"]] == [
        ["./-a b.png#0"],
        None,
        ["a.png#2", "--masks", "masks/a.png"],
    ]


def test_a_page_is_told_from_other_files(tmp_path: Path, cache: SupportCache) -> None:
    with ReportWriter(tmp_path / "a.html", cache, title="a"):
        pass
    (tmp_path / "b.html").write_text("<html>mine</html>")
    found = {path.name: is_report(path) for path in (tmp_path / "a.html", tmp_path / "b.html", tmp_path / "c.html")}
    assert found == {"a.html": True, "b.html": False, "c.html": False}


def test_a_cache_without_plan_and_regions_without_pixels(
    tmp_path: Path, cache: SupportCache, predictions: list[Prediction]
) -> None:
    import dataclasses

    with ReportWriter(tmp_path / "a.html", dataclasses.replace(cache, view_plan=None), title="a") as report:
        report.add(Path("a.png"), IMAGE, predictions)
    assert read(tmp_path / "a.html")["views"] == []
    with ReportWriter(tmp_path / "b.html", cache, title="a") as report:
        report.add(Path("a.png"), None, [dataclasses.replace(each, embedding=None) for each in predictions])
    assert blocks(tmp_path / "b.html", "crop") == {}
    assert "xy" not in read(tmp_path / "b.html")["regions"][0]


def test_records_that_each_name_classes_of_their_own_do_not_multiply(tmp_path: Path, cache: SupportCache) -> None:
    record = {"image": "a.png", "label": "pit", "box": [1, 2, 3, 4]}
    records = [check_record({**record, "probabilities": {f"{number}": 1.0}}, f"line {number}") for number in range(30)]
    limits = ReportLimits(probabilities=4 + 5 + 6 + 7)
    with ReportWriter(tmp_path / "r.html", cache, title="", limits=limits) as report:
        report.add_records(Path("a.png"), None, records)
    page = read(tmp_path / "r.html")
    assert [len(region["p"]) for region in page["regions"]] == [4, 5, 6, 7]
    assert "Not listed: 26 regions after the first 4." in page["left_out"]
    assert [each["name"] for each in page["classes"]] == [*NAMES, "0", "1", "2", "3"]
