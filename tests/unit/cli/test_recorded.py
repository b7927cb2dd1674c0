"""Records out of a file onto a page: every line is one, or said to be none; images are where they are found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mvrec_edge.cli.recorded import add_recorded
from mvrec_edge.cli.results_file import last_run, read_results
from mvrec_edge.runtime import SupportCache, ViewPlan
from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.report import ReportWriter


def record(image: str, label: str = "dent", **more: Any) -> dict[str, Any]:
    box = {"box": [4, 4, 20, 20], "probabilities": {"dent": 0.9, "pit": 0.1}}
    return {"image": image, "source": f"{image}#0", "label": label, "annotated": None, **box, **more}


@pytest.fixture
def cache() -> SupportCache:
    embeddings = np.random.default_rng(0).normal(size=(4, 3, 8)).astype(np.float32)
    plan = ViewPlan.by_name("ms", size=32)
    return SupportCache.from_embeddings(embeddings, [0, 0, 1, 1], ["dent", "pit"], view_plan=plan)


def write(path: Path, *lines: dict[str, Any] | str) -> Path:
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return path


def page(path: Path, cache: SupportCache, results: Path, images: Path | None = None) -> tuple[str, list[InputError]]:
    with ReportWriter(path, cache, title="a", overwrite=True) as writer:
        wrong = add_recorded(writer, read_results(results), images)
    return path.read_text(), wrong


def test_lines_that_are_no_records_cost_only_themselves(
    tmp_path: Path, cache: SupportCache, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = {"image": "b.jpg", "error": {"what": "is cut <off>", "where": "b.jpg", "fix": None}}
    results = write(
        tmp_path / "r.jsonl", record("a.jpg"), "[1]\n", failed, "{\n", record("c.jpg", box=3), record("d.jpg"), '{"to'
    )
    text, wrong = page(tmp_path / "a.html", cache, results)
    assert [str(error).split(": is")[0] for error in wrong] == [f"{results}, line {number}" for number in (2, 4, 5, 7)]
    assert text.count('"source":"a.jpg#0"') == text.count('"source":"d.jpg#0"') == 1
    assert '"what":"is cut \\u003coff\\u003e"' in text
    assert "Read from records, with boxes for outlines and no place on the map: 2 regions." in text
    assert "images that are not there any more: 2, such as a.jpg" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("image", "moved"),
    [("a.jpg", "a.jpg"), ("/old/line/x/a.jpg", "x/a.jpg"), ("../x/a.jpg", "x/a.jpg"), ("x/y/a.jpg", "a.jpg")],
)
def test_images_are_found_where_they_were_moved_to(
    tmp_path: Path, cache: SupportCache, image: str, moved: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "images" / moved
    place.parent.mkdir(parents=True)
    cv2.imwrite(str(place), np.full((40, 40, 3), 90, np.uint8))
    results = write(tmp_path / "r.jsonl", record(image))
    text, _ = page(tmp_path / "a.html", cache, results, tmp_path / "images")
    assert 'id="crop-0"' in text
    assert capsys.readouterr().err == ""
    text, _ = page(tmp_path / "a.html", cache, results, tmp_path)
    assert ('id="crop-0"' in text) is False


def test_an_image_that_is_damaged_by_now_is_said(tmp_path: Path, cache: SupportCache) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no image")
    results = write(tmp_path / "r.jsonl", record(str(tmp_path / "a.jpg")))
    text, wrong = page(tmp_path / "a.html", cache, results)
    assert wrong == []
    assert '"problems":1' in text


def test_the_last_record_says_of_which_run_it_is(tmp_path: Path) -> None:
    results = write(tmp_path / "r.jsonl", record("a", run={"cache": "1"}), record("b", run={"cache": "2"}), record("c"))
    assert last_run(results) == {"cache": "2"}
    assert last_run(write(tmp_path / "old.jsonl", record("a"))) == {}


def test_a_line_without_end_is_not_read_for_ever(tmp_path: Path) -> None:
    results = write(tmp_path / "r.jsonl", record("a"), "x" * (3 << 20))
    assert len(list(read_results(results))) == 2
    with pytest.raises(InputError, match="is a folder"):
        list(read_results(tmp_path))


@pytest.mark.parametrize("depth", [40, 480, 700, 900, 100_000])
def test_a_record_that_is_nested_deeply_costs_only_itself(tmp_path: Path, cache: SupportCache, depth: int) -> None:
    """What is parsed may be nested deeper than what is made of it can go."""
    deep = json.dumps(record("a.png"))[:-1] + ',"more":' + "[" * depth + "]" * depth + "}\n"
    text, wrong = page(tmp_path / "r.html", cache, write(tmp_path / "r.jsonl", deep, record("b.png")))
    assert [str(each.where) for each in wrong] == [f"{tmp_path / 'r.jsonl'}, line 1"]
    assert "b.png" in text
