"""What `classify` leaves behind: records that can be traced, a table, pictures, and runs that were ended and go on."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mvrec_edge.runtime import Bundle, SupportCache
from mvrec_edge.runtime.files.file_lock import claimed
from mvrec_edge.runtime.files.growing_file import GrowingFile
from tests.e2e.commands import MVREC_EDGE, run

FAST = ("--engine", "onnxruntime", "--threads", 1)
_NO_END = "the file is truncated: the JPEG data has no end marker; the image is used all the same"


def draw(path: Path, seed: int, defects: int = 1) -> None:
    """An image with a mask beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(60, 120, (64, 96, 3), np.uint8)
    mask = np.zeros((64, 96), np.uint8)
    for place in range(defects):
        mask[10 : 30 + seed % 7, 8 + 30 * place : 24 + 30 * place] = 255
    image[mask > 0] = 20 * (seed % 10)
    cv2.imwrite(str(path), image)
    cv2.imwrite(str(path.with_suffix(".png")), mask)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_bundle_path: Path) -> Path:
    """A folder with a bundle, a support cache and labelled images."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "b.bundle").symlink_to(tiny_bundle_path)
    for number in range(6):
        draw(folder / "labelled" / ("dent", "pit")[number % 2] / f"{number}.jpg", number)
    here = ("--view-recipe", "ms", "--resample", "fast", "--out", folder / "line.safetensors")
    run("calibrate", folder / "b.bundle", folder / "labelled", *here, *FAST)
    return folder


@pytest.fixture
def line(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder: the same, with three images to classify, one of which has two defects."""
    for name in ("b.bundle", "labelled"):
        (tmp_path / name).symlink_to(made / name)
    shutil.copy(made / "line.safetensors", tmp_path)
    for number, name in enumerate(("a/1.jpg", "a/2.jpg", "b/1.jpg")):
        draw(tmp_path / "in" / name, 10 + number, defects=2 if name == "a/2.jpg" else 1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def classify(*arguments: object, code: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
    return run("classify", "b.bundle", "line.safetensors", *arguments, *FAST, code=code, **options)


def records(path: str = "r.jsonl") -> list[dict[str, Any]]:
    return [json.loads(text) for text in Path(path).read_text().splitlines()]


def rows(path: str = "r.csv") -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def page(path: str = "r.html") -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', Path(path).read_text(), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_every_record_can_be_traced(line: Path) -> None:
    (line / "in" / "a" / "3.jpg").write_text("no image")
    shutil.copy(line / "in/a/1.png", line / "in/a/3.png")
    classify("in", "--out", "r.jsonl", "--overlay", "pictures", "--views", "auto", "--risk", "2%", code=1)
    found = records()
    assert [record["image"] for record in found] == [
        "in/a/1.jpg",
        "in/a/2.jpg",
        "in/a/2.jpg",
        "in/a/3.jpg",
        "in/b/1.jpg",
    ]
    digest = hashlib.sha256((line / "line.safetensors").read_bytes()).hexdigest()
    for record in found:
        assert record["run"] == {
            "version": "0.1.0",
            "cache": "line.safetensors",
            "cache_digest": digest,
            "bundle": "b.bundle",
            "encoder": Bundle.load("b.bundle").fingerprint(),
            "precision": "fp32",
            "engine": "onnxruntime",
            "device": "cpu, 1 thread",
            "views": "auto",
            "risk": 0.02,
            "budget_ms": None,
            "reject_rate": None,
            "min_area": None,
            "region_input": None,
        }
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", record["time"])
    regions = [record for record in found if "error" not in record]
    assert [record["picture"] for record in regions] == [f"pictures/{n}.jpg" for n in ("1", "2", "2", "1-2")]
    assert all(Path(record["picture"]).is_file() for record in regions)
    assert [record["region"] for record in regions] == ["in/a/1.jpg#0", "in/a/2.jpg#0", "in/a/2.jpg#1", "in/b/1.jpg#0"]
    shown = run("inspect", "line.safetensors").stdout
    assert f"digest           {digest}\n" in shown
    assert shown.count(digest) == 1
    assert json.loads(run("inspect", "line.safetensors", "--json").stdout)["digest"] == digest
    assert f", digest {digest[:16]}\n" in run("support", "history", "line.safetensors").stdout


def test_a_table_says_what_the_records_say(line: Path) -> None:
    (line / "in" / "alone.jpg").write_bytes((line / "in" / "a" / "1.jpg").read_bytes())
    ended = classify("in", "--out", "new/r.jsonl", "--csv", "other/r.csv", code=1)
    assert "table: other/r.csv\n" in ended.stderr
    found, table = records("new/r.jsonl"), rows("other/r.csv")
    assert [row["image"] for row in table] == [record["image"] for record in found]
    for row, record in zip(table, found, strict=True):
        assert row["label"] == record.get("label", "")
        assert row["run_cache_digest"] == record["run"]["cache_digest"]
        assert row["error_what"] == record.get("error", {}).get("what", "")
    classify("in", "--csv", "other/r.csv", code=6)


def test_the_image_without_a_mask_is_named(line: Path) -> None:
    (line / "in" / "alone.jpg").write_bytes((line / "in" / "a" / "1.jpg").read_bytes())
    classify("in", "--out", "r.jsonl", code=1)
    assert [record["image"] for record in records() if "error" in record] == ["in/alone.jpg"]


def test_an_input_among_several_costs_only_itself(line: Path) -> None:
    ended = classify("none", "in/a", "in/alone.jpg", "--out", "r.jsonl", code=1)
    assert "skipped: none: there is no such file or folder" in ended.stderr
    assert [(record["image"], "error" in record) for record in records()] == [
        (None, True),
        ("in/alone.jpg", True),
        ("in/a/1.jpg", False),
        ("in/a/2.jpg", False),
        ("in/a/2.jpg", False),
    ]
    ended = classify("none", "in/alone.jpg", code=3)
    assert "skipped: none: " in ended.stderr
    assert "error: in/alone.jpg: there is no such file" in ended.stderr
    assert ended.stdout == ""


def test_the_closing_line_counts_classes_unknown_and_errors(line: Path) -> None:
    (line / "in" / "alone.jpg").write_bytes((line / "in" / "a" / "1.jpg").read_bytes())
    ended = classify("in", "--out", "r.jsonl", "--reject-rate", "50%", code=1)
    found = [record for record in records() if "error" not in record]
    known = [record["label"] for record in found if not record["unknown"]]
    words = [f"{name} {known.count(name)}" for name in sorted(set(known), key=lambda name: -known.count(name))]
    words += [f"unknown {len(found) - len(known)}"] if len(known) < len(found) else []
    assert len(known) < len(found)
    assert f"4 regions on 3 of 4 images, 1 item failed; {', '.join(words)}; " in ended.stderr
    assert "1 region on 1 image; " in classify("in/a/1.jpg").stderr


@pytest.mark.parametrize("rate", [(), ("--reject-rate", "50%")])
def test_the_closing_line_compares_with_the_labels(line: Path, rate: tuple[str, ...]) -> None:
    """Labels that are right, that are wrong, and one that is no class of the cache; some defects are like no class."""
    shutil.copytree("in", "more/pit")
    for place, (name, number) in enumerate((("dent", 0), ("dent", 2), ("pit", 1), ("pit", 4), ("rust", 5))):
        draw(line / "more" / name / f"{place}.jpg", number)
    said = classify("more", "--out", "r.jsonl", *rate).stderr
    found = [record for record in records() if record["annotated"] != "rust"]
    unknown = sum(bool(record["unknown"]) for record in found)
    agree = sum(not record["unknown"] and record["annotated"] == record["label"] for record in found)
    assert 0 < agree < 8
    assert (unknown > 0) == bool(rate)
    words = f"{agree} agree, {8 - agree - unknown} differ" + (f", {unknown} unknown" if unknown else "")
    assert (
        f"; labels are known for 8 regions: {words} (and 1 region with a label that is no class of the cache); " in said
    )


def test_labels_that_are_all_no_classes_of_the_cache_are_named(line: Path) -> None:
    assert "; labels known for 0 of 4 regions: a, b are no classes of the cache; " in classify("in").stderr
    shutil.copytree("in/b", "one/b")
    assert "; labels known for 0 of 1 region: b is no class of the cache; " in classify("one").stderr
    for name in "cdefgh":
        shutil.copytree("in/b", f"in/{name}")
    assert "0 of 10 regions: a, b, c, d, e, 3 other labels are no classes of the cache; " in classify("in").stderr
    assert "labels known" not in classify("in/b").stderr


def test_stdout_by_its_name(line: Path) -> None:
    printed = classify("in", "--out", "-").stdout
    assert [json.loads(text)["image"] for text in printed.splitlines()] == [
        "in/a/1.jpg",
        "in/a/2.jpg",
        "in/a/2.jpg",
        "in/b/1.jpg",
    ]
    assert not Path("-").exists()


def test_a_table_in_a_file_is_not_cut(line: Path) -> None:
    long = "a very long name " * 10 + "[red]x.jpg"
    draw(line / "in" / long, 3)
    shown = classify("in", "--table").stdout
    assert long in shown
    assert "…" not in shown


@pytest.mark.parametrize("inputs", [("in",), ("in/a", "in/b"), ("in/a/1.jpg", "in/b/1.jpg")])
def test_a_table_tells_images_of_one_name_apart(line: Path, inputs: tuple[str, ...]) -> None:
    shown = classify(*inputs, "--table").stdout
    assert re.search(r"\ba/1\.jpg\b", shown)
    assert re.search(r"\bb/1\.jpg\b", shown)


def test_an_image_without_a_mask_may_be_marked_by_boxes(line: Path) -> None:
    (line / "in" / "a" / "1.png").unlink()
    said = classify("in/a/1.jpg", code=3).stderr
    assert "give --masks, or a CSV file of boxes with the columns image,x1,y1,x2,y2; where each image is" in said
    Path("boxes.csv").write_text("image,x1,y1,x2,y2\nin/a/1.jpg,8,10,20,30\n")
    assert "1 region on 1 image" in classify("boxes.csv").stderr


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_says_what_it_kept_and_goes_on(line: Path, name: signal.Signals) -> None:
    (line / "in" / "a" / "3.jpg").write_text("no image")
    shutil.copy(line / "in/a/1.png", line / "in/a/3.png")

    def end(text: str) -> None:
        if text.startswith("skipped: in/a/3.jpg"):
            os.kill(os.getpid(), name)

    whole = ("in", "--out", "r.jsonl", "--csv", "r.csv", "--report", "r.html", "--overlay", "p")
    said = classify(*whole, code=128 + name, on_line=end).stderr
    assert "interrupted: 3 images kept in r.jsonl; the same command with" in said
    assert "report: r.html, 3 regions, " in said
    assert any(re.match("The run was interrupted: . images? of 4 ", note) for note in page()["notes"])
    assert len(records()) == len(rows()) == 4

    said = classify(*whole, "--resume", code=1).stderr
    assert "1 region on 1 of 2 images (2 images of an earlier run kept), 1 item failed; " in said
    labels = [record["label"] for record in records() if "error" not in record]
    counts = ", ".join(f"{label} {count}" for label, count in Counter(labels).most_common())
    assert f"r.jsonl in all: 4 regions on 3 of 4 images, 1 item failed; {counts}\n" in said
    assert [record["image"] for record in records()] == [row["image"] for row in rows()]
    pictures = [record["picture"] for record in records() if "error" not in record]
    assert pictures == ["p/1.jpg", "p/2.jpg", "p/2.jpg", "p/1-2.jpg"]
    data = page()
    assert [region["image"] for region in data["regions"]] == ["in/a/1.jpg", "in/a/2.jpg", "in/a/2.jpg", "in/b/1.jpg"]
    assert data["notes"][-1] == "Read from records, with boxes for outlines and no place on the map: 3 regions."


def test_ended_without_a_file_it_says_how_to_keep(line: Path) -> None:
    def end(text: str) -> None:
        if "random weights" in text:
            os.kill(os.getpid(), signal.SIGINT)

    said = classify("in", "--jsonl", code=130, on_line=end).stderr
    assert "interrupted after 0 images; with --out FILE, a run can go on with --resume" in said


def test_a_reader_that_has_gone_ends_it_quietly(line: Path) -> None:
    command = [MVREC_EDGE, "classify", "b.bundle", "line.safetensors", "in", *map(str, FAST), "--report", "r.html"]
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert ended.returncode == 141
    said = ended.stderr.splitlines()
    assert all("random weights" in text or text.startswith("in: read as images with masks") for text in said)
    assert any("interrupted" in note for note in page()["notes"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("--views", "1"), "views all, not 1"),
        (("--budget-ms", "9"), "budget ms none, not 9.0"),
        (("--reject-rate", "5%"), "reject rate none, not 0.05"),
    ],
)
def test_resume_refuses_another_view_use(line: Path, change: tuple[str, ...], words: str) -> None:
    classify("in", "--out", "r.jsonl")
    before = Path("r.jsonl").read_bytes()
    assert words in classify("in", "--out", "r.jsonl", "--resume", *change, code=6).stderr
    assert Path("r.jsonl").read_bytes() == before


def test_resume_refuses_another_cache(line: Path) -> None:
    classify("in", "--out", "r.jsonl")
    before = Path("r.jsonl").read_bytes()
    run("support", "rename", "line.safetensors", "dent", "dint")
    said = classify("in", "--out", "r.jsonl", "--resume", code=6).stderr
    assert "its records were made otherwise, so nothing is appended: cache digest " in said
    assert Path("r.jsonl").read_bytes() == before
    # The way back that the message tells leads there.
    told = re.search(r"'support history line\.safetensors' shows .* the digest (\w{16}), and 'support rollback", said)
    assert told is not None
    listed = run("support", "history", "line.safetensors").stdout.splitlines()
    (version,) = (row.split()[0] for row in listed if f"digest {told[1]}" in row)
    run("support", "rollback", "line.safetensors", "--to", version)
    classify("in", "--out", "r.jsonl", "--resume")
    run("support", "rollback", "line.safetensors")
    classify("in", "--out", "r.jsonl", "--overwrite")
    assert {record["run"]["cache_digest"] for record in records()} == {SupportCache.load("line.safetensors").digest}


def test_a_cache_that_is_loaded_again_is_in_the_records_from_there_on(line: Path) -> None:
    first = SupportCache.load("line.safetensors")

    def change(text: str) -> None:
        # Said before the first image is classified: the first record is the new cache's.
        if "fixed order of views" in text or "stopping rule" in text or "views 1" in text:
            first.changed(class_names=("dint", "pit")).save("line.safetensors")
            os.kill(os.getpid(), signal.SIGHUP)

    classify("in", "--out", "r.jsonl", "--views", "auto", on_line=change)
    second = SupportCache.load("line.safetensors").digest
    assert second != first.digest
    digests = [record["run"]["cache_digest"] for record in records()]
    names = [set(record["probabilities"]) for record in records()]
    assert second in digests
    for digest, classes in zip(digests, names, strict=True):
        assert classes == ({"dint", "pit"} if digest == second else {"dent", "pit"})


def test_a_failed_input_is_written_once_however_often_a_run_goes_on(line: Path) -> None:
    arguments = ("none", "in", "--out", "r.jsonl")
    classify(*arguments, code=1)
    for _ in range(2):
        classify(*arguments, "--resume", code=1)
    assert [record["image"] for record in records()].count(None) == 1
    assert len(records()) == 5


def test_a_mask_that_is_read_is_not_replaced(line: Path) -> None:
    before = Path("in/a/1.png").read_bytes()
    for option in ("--out", "--csv", "--report"):
        said = classify("in", option, "in/a/1.png", "--overwrite", code=2).stderr
        assert f"in/a/1.png: {option} would be written over what is read, in" in said
    assert Path("in/a/1.png").read_bytes() == before


def test_what_failed_is_tried_again_and_counts_while_it_fails(line: Path) -> None:
    """Also a region alone: all records of its image are written anew, and the first record may be of a failure."""
    bad, good = line / "in" / "a" / "0.jpg", (line / "in" / "a" / "1.jpg").read_bytes()
    shutil.copy(line / "in/a/1.png", line / "in/a/0.png")
    bad.write_bytes(good[:40])
    Path("boxes.csv").write_text("image,x1,y1,x2,y2\nin/b/1.jpg,8,10,20,30\nin/b/1.jpg,900,10,990,30\n")
    arguments = ("in/a", "boxes.csv", "--out", "r.jsonl", "--csv", "r.csv", "--report", "r.html")
    classify(*arguments, code=1)
    for _ in range(2):
        said = classify(*arguments, "--resume", code=1).stderr
        assert "2 items failed" in said
        assert [row["image"] for row in rows()] == [record["image"] for record in records()]
        assert sum("error" in record for record in records()) == 2
        assert len(page()["problems"]) == 2
    whole = records()

    bad.write_bytes(good)
    Path("boxes.csv").write_text("image,x1,y1,x2,y2\nin/b/1.jpg,8,10,20,30\nin/b/1.jpg,30,10,40,30\n")
    said = classify(*arguments, "--resume").stderr
    assert "failed;" not in said
    assert not any("error" in record for record in records())
    assert sorted(record["image"] for record in records()) == sorted(record["image"] for record in whole)
    assert [row["image"] for row in rows()] == [record["image"] for record in records()]
    assert not page()["problems"]
    # What is whole stays whole.
    classify(*arguments, "--resume")
    assert len(records()) == len(whole)


def test_a_damaged_image_is_used_where_that_is_asked_for_and_its_record_says_so(line: Path) -> None:
    bad = line / "in" / "a" / "1.jpg"
    bad.write_bytes(bad.read_bytes()[:-40])
    refused = classify("in", "--out", "r.jsonl", code=1)
    assert "end marker (copy or save it again; or give --damaged warn to use it" in refused.stderr

    arguments = ("in", "--damaged", "warn", "--out", "r.jsonl", "--csv", "r.csv", "--report", "r.html")
    used = classify(*arguments, "--resume")
    assert (
        "warning: in/a/1.jpg: the file is truncated: the JPEG data has no end marker; the image is used" in used.stderr
    )
    told = {record["image"]: record["damaged"] for record in records()}
    assert told == {
        "in/a/1.jpg": f"{_NO_END}: no part of the picture is missing, as far as can be seen",
        "in/a/2.jpg": None,
        "in/b/1.jpg": None,
    }
    assert {row["image"]: row["damaged"] for row in rows()} == {name: what or "" for name, what in told.items()}
    assert any("Damaged and used all the same: 1 image, such as in/a/1.jpg" in note for note in page()["notes"])
    assert ", 1 image damaged and used all the same;" in used.stderr
    # The page of the records shows what the run saw.
    run("report", "r.jsonl", "--cache", "line.safetensors", "--out", "again.html")
    for name in ("r.html", "again.html"):
        more = {region["image"]: region.get("more", {}) for region in page(name)["regions"]}
        assert more["in/a/1.jpg"]["damaged"] == told["in/a/1.jpg"]
        assert not any("damaged" in more[name] for name in ("in/a/2.jpg", "in/b/1.jpg"))
        assert not any("item" in each for each in more.values())


def test_a_region_that_is_missing_is_a_failed_item_and_one_that_is_missing_in_part_says_so(line: Path) -> None:
    bad = line / "in" / "a" / "1.jpg"
    data = bad.read_bytes()
    bad.write_bytes(data[: len(data) * 45 // 100])
    table = ["image,x1,y1,x2,y2", "in/a/1.jpg,5,2,20,10", "in/a/1.jpg,5,2,20,63", "in/a/1.jpg,5,50,20,62"]
    Path("boxes.csv").write_text("\n".join(table))

    said = classify("boxes.csv", "--damaged", "warn", "--out", "r.jsonl", code=1).stderr

    there, part, gone = records()
    assert there["damaged"].startswith(f"{_NO_END}: rows ")
    assert re.search(r"; of this region \d\d% is missing$", part["damaged"])
    assert part["damaged"].startswith(there["damaged"])
    assert gone["error"]["what"] == "lies wholly in the part of the damaged image that is missing"
    assert "boxes.csv#" in gone["error"]["where"]
    assert "1 image damaged and used all the same, 1 item failed" in said


def test_what_learns_leaves_out_a_region_that_is_missing(line: Path) -> None:
    for number in range(4):
        draw(line / "set" / ("dent", "pit")[number % 2] / f"{number}.jpg", 20 + number)
    cut = line / "set" / "dent" / "0.jpg"
    data = cut.read_bytes()
    cut.write_bytes(data[: len(data) * 30 // 100])
    rows = [f"{name}.jpg,8,50,20,62,{name[:-2].rstrip('/')}" for name in ("dent/0", "dent/2", "pit/1", "pit/3")]
    Path("set/boxes.csv").write_text("\n".join(["image,x1,y1,x2,y2,label", *rows]))
    words = ("--view-recipe", "ms", "--damaged", "warn", *FAST)

    learnt = run("calibrate", "b.bundle", "set/boxes.csv", "--out", "new.safetensors", *words, code=1).stderr

    assert "lies wholly in the part of the damaged image that is missing" in learnt
    assert "3 instances" in learnt
    assert "among those read" not in learnt


@pytest.mark.parametrize("command", ["calibrate", "evaluate", "support add"])
def test_every_command_that_learns_takes_damaged_images_where_that_is_asked_for(line: Path, command: str) -> None:
    for number in range(4):
        draw(line / "set" / ("dent", "pit")[number % 2] / f"{number}.jpg", 20 + number)
    bad = line / "set" / "dent" / "0.jpg"
    bad.write_bytes(bad.read_bytes()[:-40])
    arguments = {
        "calibrate": ("b.bundle", "set", "--out", "new.safetensors", "--view-recipe", "ms"),
        "evaluate": (
            "b.bundle",
            "set",
            "--shots",
            1,
            "--draws",
            1,
            "--head",
            "zip",
            "--view-recipe",
            "ms",
            "--no-keep",
        ),
        "support add": ("line.safetensors", "set", "--bundle", "b.bundle", "--again", "--dry-run", "--force"),
    }[command]
    assert "is truncated" in run(*command.split(), *arguments, *FAST, code=1).stderr
    Path("new.safetensors").unlink(missing_ok=True)
    said = run(*command.split(), *arguments, "--damaged", "warn", *FAST).stderr
    assert "is used all the same" in said
    assert ("1 damaged image among those read" in said) is (command != "evaluate")


def test_an_option_that_takes_one_of_several_words_names_them_and_no_more(line: Path) -> None:
    said = classify("in", "--damaged", "ignore", code=2).stderr
    assert "Invalid value for '--damaged': 'ignore' is not one of 'refuse', 'warn'." in said


def test_a_failure_that_a_run_does_not_ask_for_stays_and_counts(line: Path) -> None:
    shutil.copy(line / "in/a/1.png", line / "in/a/0.png")
    (line / "in/a/0.jpg").write_text("no image")
    classify("in/a", "--out", "r.jsonl", code=1)
    draw(line / "in/b/2.jpg", 4)
    Path("link.jsonl").symlink_to("r.jsonl")
    classify("in/b", "--out", "link.jsonl", "--resume", code=1)
    assert Path("link.jsonl").is_symlink()
    said = classify("in/b", "--out", "link.jsonl", "--resume", code=1).stderr
    assert "tried again" not in said
    draw(line / "in/a/0.jpg", 5)
    said = classify("in/a", "--out", "link.jsonl", "--resume").stderr
    assert sum("error" in record for record in records()) == 0
    assert Path("link.jsonl").is_symlink()


def test_an_image_that_one_input_cannot_mark_is_done_from_another(line: Path) -> None:
    """Also where the run was interrupted after the failure was written."""
    alone = line / "in" / "a" / "0.jpg"
    alone.write_bytes((line / "in" / "a" / "1.jpg").read_bytes())
    Path("boxes.csv").write_text("image,x1,y1,x2,y2\nin/a/1.jpg,8,10,20,30\nin/a/0.jpg,8,10,20,30\n")
    arguments = ("boxes.csv", "in", "--out", "r.jsonl")
    classify(*arguments, code=1)
    whole = Path("r.jsonl").read_text().splitlines(keepends=True)
    assert [record["image"] for record in records()][:3] == ["in/a/0.jpg", "in/a/1.jpg", "in/a/0.jpg"]
    Path("r.jsonl").write_text("".join(whole[:2]))
    classify(*arguments, "--resume", code=1)
    assert [record["image"] for record in records()] == [json.loads(text)["image"] for text in whole]


#: Fields that differ from run to run.
OF_THE_RUN = ("ms", "time", "run", "picture")


def told(found: list[dict[str, Any]]) -> list[str]:
    """What records say of their items, in an order of its own."""
    return sorted(json.dumps({k: v for k, v in each.items() if k not in OF_THE_RUN}, sort_keys=True) for each in found)


def mark_twice(line: Path) -> tuple[str, ...]:
    """Inputs of which two mark the same images: two tables, two labelme files of one image, and masks."""
    Path("one.csv").write_text("image,x1,y1,x2,y2\nin/a/1.jpg,8,10,20,30\nin/a/2.jpg,8,10,20,30\n")
    Path("two.csv").write_text("image,x1,y1,x2,y2\nin/a/1.jpg,8,10,20,30\nin/a/1.jpg,30,10,40,30\n")
    folder = line / "labelme"
    folder.mkdir()
    shutil.copy("in/b/1.jpg", folder / "part.jpg")
    for name, left in (("p", 8), ("q", 30)):
        shape = {"label": "dent", "points": [[left, 10], [left + 12, 30]], "shape_type": "rectangle"}
        content = {"version": "5.0", "imagePath": "part.jpg", "imageHeight": 64, "imageWidth": 96, "shapes": [shape]}
        (folder / f"{name}.json").write_text(json.dumps(content))
    return ("one.csv", "two.csv", "labelme", "in/a")


def test_an_image_that_is_marked_twice_loses_nothing(line: Path) -> None:
    inputs = mark_twice(line)
    arguments = (*inputs, "--out", "r.jsonl", "--csv", "r.csv", "--overlay", "p", "--report", "r.html")
    classify(*arguments)
    whole, lines = records(), Path("r.jsonl").read_bytes().splitlines(keepends=True)
    assert len(whole) == 9
    assert len({record["item"]["key"] for record in whole}) == 7
    # No picture shows the regions of another item.
    assert len({(record["item"]["key"], record["picture"]) for record in whole}) == 7
    assert len({record["picture"] for record in whole}) == len(list(Path("p").iterdir())) == 7
    assert [record["region"] for record in whole][:4] == ["one.csv#0", "one.csv#1", "two.csv#0", "two.csv#1"]
    for kept in (9, 8, 3, 1, 0):
        if not kept:
            Path("r.csv").write_bytes(b"")
        Path("r.jsonl").write_bytes(b"".join(lines[:kept]) + (lines[kept][:90] if kept < 9 else b""))
        classify(*arguments, "--resume")
        assert told(records()) == told(whole)
        assert [row["source"] for row in rows()] == [record["source"] for record in records()]
        assert sorted(region["source"] for region in page()["regions"]) == sorted(r["source"] for r in whole)
        assert len({(record["item"]["key"], record["picture"]) for record in records()}) == 7


def test_an_item_that_lacks_records_in_the_middle_is_done_again(line: Path) -> None:
    inputs = mark_twice(line)
    classify(*inputs, "--out", "r.jsonl")
    whole, lines = records(), Path("r.jsonl").read_bytes().splitlines(keepends=True)
    for missing in (0, 2, 8):
        Path("r.jsonl").write_bytes(b"".join(lines[:missing] + lines[missing + 1 :]))
        classify(*inputs, "--out", "r.jsonl", "--resume")
        assert told(records()) == told(whole)


def test_other_inputs_take_nothing_away(line: Path) -> None:
    classify("in/b", "--out", "r.jsonl")
    before = Path("r.jsonl").read_bytes()
    classify("in/a", "--out", "r.jsonl", "--resume")
    assert Path("r.jsonl").read_bytes().startswith(before)
    # The same images, whichever folder above them is given.
    said = classify("in", "--out", "r.jsonl", "--resume").stderr
    assert "0 regions on 0 images (3 images of an earlier run kept)" in said
    assert len(records()) == 4


def test_what_is_marked_otherwise_is_done_again(line: Path) -> None:
    table = Path("boxes.csv")
    table.write_text("image,x1,y1,x2,y2\nin/a/1.jpg,8,10,20,30\nin/b/1.jpg,8,10,20,30\n")
    classify("boxes.csv", "--out", "r.jsonl")
    table.write_text("image,x1,y1,x2,y2\nin/a/1.jpg,8,10,25,30\nin/b/1.jpg,8,10,20,30\n")
    said = classify("boxes.csv", "--out", "r.jsonl", "--resume").stderr
    assert "done again: 1 image that was changed, or is marked otherwise, since" in said
    assert sorted((record["image"], record["box"][2]) for record in records()) == [
        ("in/a/1.jpg", 25),
        ("in/b/1.jpg", 20),
    ]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("told_input", [(), ("--input", "full")])
def test_what_was_replaced_under_its_name_is_done_again(line: Path, suffix: str, told_input: tuple[str, ...]) -> None:
    arguments = ("in", "--out", "r.jsonl", "--csv", "r.csv", "--overlay", "p", *told_input)
    classify(*arguments)
    before = {record["image"]: record for record in records()}
    draw(line / "new" / "x.jpg", 2)
    Path(f"new/x{suffix}").replace(f"in/b/1{suffix}")
    said = classify(*arguments, "--resume").stderr
    assert "done again: 1 image that was changed, or is marked otherwise, since" in said
    assert "1 region on 1 image (2 images of an earlier run kept)" in said
    after = {record["image"]: record for record in records()}
    assert len(records()) == len(rows()) == 4
    assert {name for name in after if after[name] != before[name]} == {"in/b/1.jpg"}
    assert {record["picture"] for record in records()} == {record["picture"] for record in before.values()}
    assert "done again" not in classify(*arguments, "--resume").stderr


def test_cut_out_defects_that_were_replaced_are_done_again(line: Path) -> None:
    for mask in line.glob("in/*/*.png"):
        mask.unlink()
    arguments = ("in", "--input", "full", "--out", "r.jsonl")
    classify(*arguments)
    draw(line / "in/b/1.jpg", 5)
    (line / "in/b/1.png").unlink()
    assert "done again: 1 image that was changed" in classify(*arguments, "--resume").stderr
    assert len(records()) == 3


def test_a_copy_of_a_folder_is_not_believed_to_be_the_same(line: Path) -> None:
    classify("in", "--out", "r.jsonl")
    Path("in").rename("before")
    shutil.copytree("before", "in", copy_function=shutil.copyfile)
    assert "done again: 3 images that were changed, or are" in classify("in", "--out", "r.jsonl", "--resume").stderr
    shutil.rmtree("in")
    # Copied with its times, it is.
    shutil.copytree("before", "in")
    classify("in", "--out", "r.jsonl", "--resume")
    assert "done again" not in classify("in", "--out", "r.jsonl", "--resume").stderr
    assert len(records()) == 4


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_in_another_encoding_is_refused_with_the_remedy(line: Path, encoding: str) -> None:
    classify("in", "--out", "r.jsonl")
    Path("r.jsonl").write_bytes(Path("r.jsonl").read_text().replace("\n", "\r\n").encode(encoding))
    before = Path("r.jsonl").read_bytes()
    said = classify("in", "--out", "r.jsonl", "--resume", code=6).stderr
    assert f"is {encoding[:6].upper()}, so nothing is appended to it (convert it to UTF-8, " in said
    assert Path("r.jsonl").read_bytes() == before


def test_a_mark_at_the_beginning_and_other_line_ends_do_no_harm(line: Path) -> None:
    classify("in", "--out", "r.jsonl")
    whole = Path("r.jsonl").read_bytes()
    Path("r.jsonl").write_bytes(b"\xef\xbb\xbf" + whole[: len(whole) // 2].replace(b"\n", b"\r\n"))
    classify("in", "--out", "r.jsonl", "--resume")
    text = Path("r.jsonl").read_text("utf-8-sig")
    assert told([json.loads(each) for each in text.splitlines()]) == told([json.loads(x) for x in whole.splitlines()])


def test_blank_lines_of_an_editor_are_gone_on_with(line: Path) -> None:
    classify("in", "--out", "r.jsonl")
    whole = Path("r.jsonl").read_text()
    Path("r.jsonl").write_text(whole.replace("\n", "\n\n") + "\n")
    classify("in", "--out", "r.jsonl", "--resume")
    assert Path("r.jsonl").read_text() == whole
    Path("r.jsonl").write_text("notes\n")
    assert "or --overwrite" in classify("in", "--out", "r.jsonl", "--resume", code=6).stderr


def test_a_stderr_that_takes_nothing_costs_no_results(line: Path) -> None:
    """A process of its own: the stream is made anew where the program begins."""
    command = [
        MVREC_EDGE,
        "classify",
        "b.bundle",
        "line.safetensors",
        "in",
        "nothing",
        *map(str, FAST),
        "--out",
        "r.jsonl",
    ]
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(command, stderr=full, check=False).returncode == 1
    assert [record["image"] for record in records() if record["image"]] == [
        *("in/a/1.jpg", "in/a/2.jpg", "in/a/2.jpg", "in/b/1.jpg")
    ]


def test_resume_wants_a_file(line: Path) -> None:
    os.mkfifo("pipe")
    # Somebody reads it, so that the command does not wait.
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    said = classify("in", "--out", "pipe", "--resume", code=6).stderr
    os.close(reader)
    assert "pipe: is no file, so no run can go on with it" in said
    assert "is no file" in classify("in", "--out", "/dev/null", "--resume", code=6).stderr


def test_a_second_run_on_the_same_file_is_refused(line: Path) -> None:
    """By every name that the file has, whatever it was told to do with it."""
    classify("in", "--out", "r.jsonl", "--csv", "r.csv")
    os.link("r.jsonl", "other.jsonl")
    Path("link.jsonl").symlink_to("r.jsonl")
    before = Path("r.jsonl").read_bytes(), Path("r.csv").read_bytes()
    with contextlib.closing(GrowingFile(Path("r.jsonl"))), contextlib.closing(GrowingFile(Path("r.csv"))):
        for name in ("r.jsonl", "other.jsonl", "link.jsonl"):
            for way in ((), ("--overwrite",), ("--resume",)):
                said = classify("in", "--out", name, *way, code=8).stderr
                assert f"error: {name}: another process is writing there (wait until it has ended, or" in said
        assert "r.csv: another process is writing there" in classify("in", "--csv", "r.csv", code=8).stderr
        assert "r.csv: another" in classify("in", "--out", "n.jsonl", "--csv", "r.csv", "--overwrite", code=8).stderr
    assert not Path("n.jsonl").exists()
    with claimed(Path("r.html")):
        assert "r.html: another" in classify("in", "--report", "r.html", code=8).stderr
    assert before == (Path("r.jsonl").read_bytes(), Path("r.csv").read_bytes())
    classify("in", "--out", "r.jsonl", "--csv", "r.csv", "--resume", "--report", "r.html")
    assert not list(line.glob(".*.claim"))


def test_an_engine_that_cannot_be_opened_leaves_files_as_they_were(line: Path) -> None:
    outputs = ("--out", "r.jsonl", "--csv", "r.csv")
    classify("in", *outputs)
    before = Path("r.jsonl").read_bytes(), Path("r.csv").read_bytes()
    command = ("classify", "b.bundle", "line.safetensors", "in", "--engine", "tensorrt")
    run(*command, *outputs, "--overwrite", code=5)
    assert before == (Path("r.jsonl").read_bytes(), Path("r.csv").read_bytes())
    run(*command, "--out", "n.jsonl", "--csv", "n.csv", code=5)
    assert not Path("n.jsonl").exists()
    assert not Path("n.csv").exists()


def test_a_report_of_a_results_file(line: Path) -> None:
    classify("in", "--out", "out/r.jsonl", "--report", "run.html")
    ended = run("report", "out/r.jsonl")
    assert "report: out/r.html, 4 regions" in ended.stderr
    made, of_run = page("out/r.html"), page("run.html")
    for key in ("classes", "views", "order", "add", "counts"):
        assert made[key] == of_run[key]
    assert [region["add"] for region in made["regions"]] == [region["add"] for region in of_run["regions"]]
    run("report", "out/r.jsonl", code=6)
    run("report", "out/r.jsonl", "--out", "new/x.html", "--cache", "line.safetensors", "--images", "in")
    assert len(page("new/x.html")["regions"]) == 4

    with Path("out/r.jsonl").open("a") as stream:
        stream.write('{"torn')
    ended = run("report", "out/r.jsonl", "--overwrite", code=1)
    assert "skipped: out/r.jsonl, line 5: is no line of JSON" in ended.stderr
    run("support", "rename", "line.safetensors", "dent", "dint")
    ended = run("report", "out/r.jsonl", "--overwrite", code=1)
    assert "warning: the records were made with another state of the support cache" in ended.stderr


def test_a_report_says_once_what_keeps_it_from_reading(line: Path) -> None:
    classify("in", "--out", "r.jsonl")
    Path("elsewhere").mkdir()
    said = run("report", "../r.jsonl", "--out", "a.html", cwd=line / "elsewhere", code=3).stderr
    assert said.splitlines()[-1] == (
        "error: line.safetensors: the records name this support cache, and it is not here "
        "(give --cache, or run 'report' in the folder in which 'classify' was run)"
    )
    Path("r.jsonl").write_bytes(Path("r.jsonl").read_text().encode("utf-16"))
    assert run("report", "r.jsonl", code=3).stderr == (
        "error: r.jsonl: is UTF-16, and UTF-8 is wanted (convert it to UTF-8, such as by iconv -f UTF-16 -t UTF-8)\n"
    )


@pytest.mark.parametrize("way", ["mask", "apart", "csv"])
def test_the_command_of_the_page_adds_the_region(line: Path, way: str) -> None:
    """Whatever its name holds; the words are those that the page puts together."""
    name = 'in/it\'s a "part"\n\udcff.jpg'
    draw(line / "in" / "plain.jpg", 5, defects=2)
    if way == "csv":
        image = Path("in/plain.jpg")
        Path("boxes.csv").write_text(f"image,x1,y1,x2,y2\n{image},8,10,20,30\n{image},38,10,53,29\n")
        place: tuple[str, ...] = ("boxes.csv",)
    else:
        os.rename(line / "in/plain.jpg", name)  # noqa: PTH104 - the name is no text
        target = Path(name).with_suffix(".png")
        if way == "apart":
            Path("masks").mkdir()
            target = Path("masks", target.name)
        os.rename(line / "in/plain.png", target)  # noqa: PTH104
        place = ("in", "--masks", "masks") if way == "apart" else (name,)
    classify(*place, "--out", "r.jsonl", "--report", "r.html", code=1 if way == "apart" else 0)
    data = page()
    region = data["regions"][1]
    assert region["add"][0] == ("boxes.csv#1" if way == "csv" else f"{name}#1")
    words = [*data["add"]["before"], *region["add"], *data["add"]["after"], "--label=-odd", *map(str, FAST)]
    said = run(*words[1:], "--force").stderr
    assert "added 1 instance of '-odd'" in said
    added = SupportCache.load("line.safetensors")
    assert added.counts["-odd"] == 1
    assert [record["region"] for record in records() if "error" not in record][1] == region["add"][0]
    again = run(*words[1:], "--force").stderr
    assert "nothing to add: the defect is in the cache already" in again


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("in/a/2.jpg#2", "in/a/2.jpg: there is no region 2: the image has 2 regions, from 0 on"),
        ("boxes.csv#5", "boxes.csv: there is no entry 5"),
        ("boxes.csv#1", "boxes.csv#1: the region (200, 10, 220, 30) lies outside the image"),
        ("in/none.jpg#0", "in/none.jpg#0: there is no such file"),
    ],
)
def test_a_region_that_is_not_there_is_said(line: Path, source: str, words: str) -> None:
    Path("boxes.csv").write_text("image,x1,y1,x2,y2\nin/a/1.jpg,8,10,20,30\nin/a/1.jpg,200,10,220,30\n")
    before = Path("line.safetensors").read_bytes()
    said = run("support", "add", "line.safetensors", source, "--bundle", "b.bundle", "--label", "x", *FAST, code=3)
    assert words in said.stderr
    assert Path("line.safetensors").read_bytes() == before


def test_an_image_that_a_label_file_beside_it_marks(line: Path) -> None:
    (line / "plain").mkdir()
    for name in ("1.jpg", "2.jpg"):
        shutil.copy(line / "in/a/1.jpg", line / "plain" / name)
    (line / "plain" / "boxes.csv").write_text("image,x1,y1,x2,y2,label\n1.jpg,8,10,20,30,dent\n2.jpg,8,10,20,30,pit\n")
    arguments = ("--bundle", "b.bundle", *FAST, "--force")
    said = run("support", "add", "line.safetensors", "plain/2.jpg#1", *arguments).stderr
    assert "added 1 instance of 'pit'" in said
    said = run("support", "add", "line.safetensors", "plain/2.jpg#0", *arguments, code=3).stderr
    assert "plain/2.jpg: there is no entry 0 for a region" in said


HOSTILE = "x\x1b[2J\u202e\x9by"


def test_labels_reach_no_terminal_raw(line: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    run("support", "rename", "line.safetensors", "dent", HOSTILE)
    everything = [
        classify("in", "--jsonl"),
        classify("in", "--table"),
        classify("in", "--out", "r.jsonl", "--csv", "r.csv", "--report", "r.html"),
        run("inspect", "line.safetensors"),
        run("inspect", "line.safetensors", "--json"),
        run("support", "list", "line.safetensors", "--check"),
        run("support", "list", "line.safetensors", "--json"),
        run("support", "history", "line.safetensors"),
        run("support", "rename", "line.safetensors", "none", "x", code=3),
        run("support", "remove", "line.safetensors", "0", "--dry-run", "--json", "--force"),
        run("report", "r.jsonl", "--overwrite"),
    ]
    shown = "".join(ended.stdout + ended.stderr for ended in everything)
    assert not {"\x1b", "\u202e", "\x9b"} & set(shown)
    assert "x\\x1b[2J\\u202e\\x9by" in shown
    assert {label for record in records() for label in record["probabilities"]} == {HOSTILE, "pit"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_console_that_is_not_utf8_ends_nothing(line: Path, encoding: str) -> None:
    run("support", "rename", "line.safetensors", "dent", "裂纹")
    os.rename("in/b/1.jpg", "in/b/1 \udcff.jpg")  # noqa: PTH104 - the name is no text
    os.rename("in/b/1.png", "in/b/1 \udcff.png")  # noqa: PTH104
    printed = classify("in", "--jsonl", encoding=encoding).stdout
    lines = [json.loads(text) for text in printed.splitlines()]
    assert lines[-1]["image"] == "in/b/1 \udcff.jpg"
    assert set(lines[0]["probabilities"]) == {"裂纹", "pit"}
    shown = classify("in", "--table", "--out", "r.jsonl", "--csv", "r.csv", "--report", "r.html", "--overlay", "p",
                     encoding=encoding).stdout  # fmt: skip
    assert "1 \\xff.jpg" in shown
    listed = run("support", "list", "line.safetensors", encoding=encoding).stdout
    assert "\\u88c2\\u7eb9" in listed
    assert json.loads(run("support", "list", "line.safetensors", "--json", encoding=encoding).stdout)
    for path in ("r.jsonl", "r.csv", "r.html"):
        assert Path(path).read_bytes().decode("utf-8")
    assert records()[-1]["picture"] == "p/1 \udcff.jpg"
    assert rows()[-1]["image"] == "in/b/1 \\udcff.jpg"
    assert page()["regions"][-1]["image"] == "in/b/1 \udcff.jpg"
    classify("in", "--resume", "--out", "r.jsonl")
    assert len(records()) == 4


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("classify", "b.bundle", "line.safetensors", "in", "--csv", "text.txt"), 6, "text.txt: exists already"),
        (("classify", "b.bundle", "line.safetensors", "in", "--csv", "-"), 2, "--csv - names no file"),
        (("classify", "b.bundle", "line.safetensors", "in", "--out", "-", "--table"), 2, "both want stdout"),
        (("classify", "b.bundle", "line.safetensors", "in", "--resume"), 2, "name it with --out"),
        (("classify", "b.bundle", "line.safetensors", "in", "--out", "-", "--resume"), 2, "name it with --out"),
        (("classify", "b.bundle", "line.safetensors", "in", "--report", "text.txt/r.html"), 6, "its folder is a file"),
        (("report", "text.txt", "--images", "none"), 3, "none: there is no such folder"),
        (("report", "none.jsonl"), 3, "none.jsonl: there is no such file"),
        (("report", "text.txt", "--cache", "line.safetensors"), 3, "text.txt, line 1: is no line of JSON"),
        (("report", "text.txt"), 2, "give it with --cache"),
        (
            ("support", "add", "line.safetensors", "text.txt#0", "--bundle", "b.bundle"),
            3,
            "text.txt: is of no known annotation format",
        ),
    ],
)
def test_bad_calls_say_what_to_do_and_leave_nothing(
    line: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    Path("text.txt").write_text("just text\n")
    before = sorted(line.glob("[!.]*"))
    assert words in run(*arguments, code=code).stderr
    assert sorted(line.glob("[!.]*")) == before
    assert Path("text.txt").read_text() == "just text\n"
