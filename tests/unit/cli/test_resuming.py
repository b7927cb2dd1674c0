"""Results files: resumed after a tear, by the run that they are of, never at the cost of what is not ours."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.cli.resuming import NOTHING_ASKED, Asked, Kept, Unfinished
from mvrec_edge.cli.run_facts import RunFacts
from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.files.growing_file import GrowingFile

RUN = RunFacts(
    version="1.2",
    cache="line.safetensors",
    cache_digest="ab" * 32,
    bundle="b",
    encoder="cd" * 32,
    precision="fp32",
    engine="onnxruntime",
    device="cpu",
    views="auto",
    risk=0.01,
    budget_ms=None,
    reject_rate=None,
    min_area=None,
    region_input=None,
)


def lines(*images: str | None, run: RunFacts = RUN, key: str | None = None, of: int = 0, **more: Any) -> bytes:
    """Records, of which those of one image in a row are an item, unless a key is given."""
    facts = run.to_record(run.cache_digest)
    counts = {image: images.count(image) for image in images}
    return b"".join(
        json.dumps(
            {
                "image": image,
                "label": "x",
                "item": None if image is None else {"key": key or key_of(image), "records": of or counts[image]},
                "run": facts,
                **more,
            }
        ).encode()
        + b"\n"
        for image in images
    )


def key_of(image: str, regions: str = "0" * 16) -> str:
    """A key as `run_items` makes it."""
    return f"{image.replace('-', '_')}-{regions}"


def asked_for(*images: str, inputs: tuple[str, ...] = (), **more: Any) -> Asked:
    """A run of one item for each image."""
    return Asked(frozenset(inputs), frozenset(images), frozenset(map(key_of, images)), **more)


def take_up(out: Path, run: RunFacts = RUN, asked: Asked = NOTHING_ASKED) -> Kept:
    unfinished = Unfinished(out, run, asked)
    with contextlib.closing(GrowingFile(out)) as stream:
        unfinished.take_up(stream)
    return unfinished.kept


def items(*images: str) -> set[str]:
    return set(map(key_of, images))


WHOLE = lines(None) + lines("a", "a") + lines("b") + lines("c", "c", "c")
ASKED = asked_for("a", "b", "c")


@settings(max_examples=80, deadline=None)
@given(cut=st.integers(0, len(WHOLE)), zeros=st.sampled_from([0, 7, 4096]))
def test_what_is_kept_is_whole_items_and_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, cut: int, zeros: int
) -> None:
    """Also where a power cut leaves zeros in the place of what the disk had not got yet."""
    out = tmp_path_factory.mktemp("r") / "results.jsonl"
    content = WHOLE[:cut] + bytes(zeros)
    out.write_bytes(content)
    done = take_up(out, asked=ASKED).items
    kept = out.read_bytes()
    torn = out.with_name("results.jsonl.torn")
    assert kept + (torn.read_bytes() if torn.exists() else b"") == content
    images = [json.loads(line)["image"] for line in kept.splitlines()]
    assert set(map(key_of, set(images) - {None})) == done
    for image, count in {"a": 2, "b": 1, "c": 3}.items():
        assert images.count(image) in (0, count)
    written = WHOLE[:cut].count(b"\n")
    assert done == items(*(image for image, end in (("a", 3), ("b", 4), ("c", 7)) if written >= end))


@pytest.mark.parametrize("place", [0, 1, 3, 6])
def test_a_hole_that_a_power_cut_left_is_done_again(tmp_path: Path, place: int) -> None:
    out = tmp_path / "results.jsonl"
    whole = WHOLE.splitlines(keepends=True)
    holed = [*whole[:place], bytes(50) + whole[place][50:], *whole[place + 1 :]]
    out.write_bytes(b"".join(holed))
    kept = take_up(out, asked=ASKED)
    assert kept.items == items("a", "b", "c") - items(*({1: "a", 3: "b", 6: "c"}[place] if place else ""))
    assert b"\0" not in out.read_bytes()
    assert bytes(50) in (tmp_path / "results.jsonl.torn").read_bytes()


@pytest.mark.parametrize("torn", [b"{", b'{"image": "in/a.j', lines("a")[:-1], bytes(300), WHOLE[:40] + bytes(9)])
def test_a_file_of_one_torn_record_is_gone_on_with(tmp_path: Path, torn: bytes) -> None:
    out = tmp_path / "results.jsonl"
    out.write_bytes(torn)
    assert take_up(out, asked=ASKED) == Kept()
    assert out.read_bytes() == b""
    assert (tmp_path / "results.jsonl.torn").read_bytes() == torn


@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b" \t\n"])
def test_blank_lines_are_taken_out_wherever_they_are(tmp_path: Path, blank: bytes) -> None:
    out = tmp_path / "results.jsonl"
    whole = WHOLE.splitlines(keepends=True)
    out.write_bytes(blank + b"".join(line + blank for line in whole) + b"  ")
    kept = take_up(out, asked=ASKED)
    assert kept.items == items("a", "b", "c")
    assert out.read_bytes() == WHOLE
    assert [item.name for item in tmp_path.iterdir()] == ["results.jsonl"]


@pytest.mark.parametrize(
    "content",
    [
        b"notes\n",
        b"notes",
        b"\x89PNG\r\n\x1a\n" + bytes(9),
        b"{" + b" " * (1 << 20),
        '{"image": "a"}\n'.encode("utf-16-le"),
        lines("a").replace(b"label", b"l\xe4bel"),
        b"[1]\n",
        b'{"other": 1}\n',
        b'{"image": ["a"]}\n',
        b"[" * 100_000 + b"\n",
        lines("a") + b"notes\n" + lines("b"),
        lines("a") + b'{"image": 3}\n' + lines("b"),
    ],
)
def test_another_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    out = tmp_path / "notes.txt"
    out.write_bytes(content)
    with pytest.raises(OutputError, match=r"(not a record|is UTF-16).*give another --out, or --overwrite"):
        take_up(out, RUN)
    assert out.read_bytes() == content
    assert [item.name for item in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cache_digest": "ef" * 32}, "cache digest efefefefefefefef..., not abababababababab..."),
        ({"views": "all", "risk": None}, "views all, not auto; risk none, not 0.01"),
        ({"risk": 0.05}, "risk 0.05, not 0.01"),
        ({"budget_ms": 40.0}, "budget ms 40.0, not none"),
        ({"version": "1.1"}, "version 1.1, not 1.2"),
        ({"precision": "int8"}, "precision int8, not fp32"),
        ({"reject_rate": 0.05}, "reject rate 0.05, not none"),
        ({"min_area": 4}, "min area 4, not none"),
        ({"region_input": "box"}, "region input box, not none"),
    ],
)
def test_a_file_of_another_run_is_refused_and_left_alone(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    out = tmp_path / "results.jsonl"
    content = lines("a", "b", run=dataclasses.replace(RUN, **change)) + b'{"image": "to'
    out.write_bytes(content)
    with pytest.raises(OutputError) as caught:
        take_up(out, RUN)
    assert words in str(caught.value)
    assert "--overwrite" in str(caught.value.fix)
    assert ("support rollback" in str(caught.value.fix)) == ("cache_digest" in change)
    assert out.read_bytes() == content
    assert [item.name for item in tmp_path.iterdir()] == ["results.jsonl"]


def test_places_and_the_engine_may_differ(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    other = dataclasses.replace(RUN, cache="/else/where", bundle="/there", engine="openvino", device="cpu, 9 threads")
    out.write_bytes(lines("a", "b", run=other))
    assert take_up(out, RUN).items == items("a", "b")


def test_after_a_reload_the_cache_of_the_last_record_counts(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    before = dataclasses.replace(RUN, cache_digest="00" * 32)
    out.write_bytes(lines("a", run=before) + lines("b", "c"))
    with pytest.raises(OutputError, match="cache digest"):
        take_up(out, before)
    assert take_up(out, RUN).items == items("a", "b", "c")


@pytest.mark.parametrize("facts", [{}, {"run": RUN.to_record("ab" * 32)}])
def test_records_of_an_older_version_are_refused_with_the_remedy(tmp_path: Path, facts: dict[str, Any]) -> None:
    out = tmp_path / "results.jsonl"
    content = b"".join(json.dumps({"image": image, "label": "x", **facts}).encode() + b"\n" for image in "ab")
    out.write_bytes(content)
    with pytest.raises(OutputError, match=r"do not say which support cache .*--overwrite to classify everything again"):
        take_up(out, RUN)
    assert out.read_bytes() == content


def test_pictures_and_failures_of_what_is_kept_are_known(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    failed = {"error": {"what": "is cut", "where": "a.csv#3", "fix": None}}
    out.write_bytes(lines(None, None, "f", **failed) + lines("x/1.jpg", picture="p/1.jpg") + lines("y/1.jpg"))
    kept = take_up(out, RUN)
    assert kept.pictures == {"p/1.jpg": key_of("x/1.jpg")}
    assert kept.failures == {("None", "is cut", "a.csv#3"): 2, ("f", "is cut", "a.csv#3"): 1}
    assert kept.images == {"f", "x/1.jpg", "y/1.jpg"}


def test_what_is_wrong_with_an_input_keeps_its_record_as_often_as_it_is(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    failed = {"error": {"what": "is missing", "where": "in/label.json", "fix": None}}
    out.write_bytes(lines(None, None, None, **failed) + lines("in/a"))
    problem = ("None", "is missing", "in/label.json")
    kept = take_up(out, RUN, asked_for("in/a", inputs=("in",), problems=(problem, problem)))
    assert kept.failures == {problem: 2}
    assert out.read_bytes() == lines(None, None, **failed) + lines("in/a")
    assert take_up(out, RUN, asked_for("in/a", inputs=("in",))).failures == {}


@pytest.mark.parametrize(
    ("image", "where", "covered"),
    [
        ("in/a.jpg", "in/a.png", True),
        ("else/b.jpg", "x", True),
        (None, "in", True),
        (None, "in/label.json", True),
        (None, "boxes.csv#3", True),
        (None, "boxes.csv, line 3", True),
        (None, "boxes.csv2", False),
        ("in2/a.jpg", "in2/a.jpg", False),
        (None, None, False),
    ],
)
def test_what_an_input_covers(image: str | None, where: str | None, covered: bool) -> None:
    asked = Asked(frozenset({"in", "boxes.csv"}), frozenset({"else/b.jpg"}))
    assert asked.covers(image, where) is covered


def test_what_is_tried_again_is_taken_out_with_all_lines_of_its_item(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    failed = {"error": {"what": "is cut", "where": "in/f.jpg", "fix": None}}
    elsewhere = {**failed["error"], "where": "else/f.jpg"}
    other = lines("in/f.jpg", key=key_of("another_input"))
    content = lines("in/f.jpg", of=2) + lines("in/f.jpg", of=2, **failed) + other + lines("in/a.jpg")
    out.write_bytes(content + lines("else/f.jpg", error=elsewhere) + lines("in/z.jpg"))
    unfinished = Unfinished(out, RUN, Asked(inputs=frozenset({"in"})))
    assert next(record["image"] for record in unfinished.records()) == "in/f.jpg"
    assert len(list(unfinished.records(all_of_them=True))) == 6
    kept = take_up(out, RUN, Asked(inputs=frozenset({"in"})))
    assert out.read_bytes() == other + lines("in/a.jpg") + lines("else/f.jpg", error=elsewhere) + lines("in/z.jpg")
    assert kept.items == items("another_input", "in/a.jpg", "else/f.jpg", "in/z.jpg")
    assert kept.tried_again == 1
    assert kept.failures == {("else/f.jpg", "is cut", "else/f.jpg"): 1}


def test_other_regions_on_an_image_take_the_place_of_those_before(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    old = lines("a", key=key_of("a", "f" * 16)) + lines("a", key=key_of("a", "f" * 16) + "-2")
    out.write_bytes(old + lines("b", key=key_of("b") + "-2"))
    kept = take_up(out, RUN, asked_for("a", "b"))
    assert kept.changed == 1
    # The same once more is nothing else.
    assert out.read_bytes() == lines("b", key=key_of("b") + "-2")


def test_what_stays_is_counted(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    failed = {"error": {"what": "is cut", "where": "else/f.jpg", "fix": None}}
    content = lines("a", "a", label="dent", unknown=False) + lines("b", label="unknown", unknown=True)
    out.write_bytes(content + lines("c", label="pit", of=2) + lines("else/f.jpg", **failed))
    tally = take_up(out, RUN, asked_for("a", "b", "c")).tally
    assert tally.places() == "3 regions on 2 of 3 images"
    assert tally.ranked() == "dent 2, unknown 1"
    assert tally.for_review() == ""


def test_what_a_human_looks_at_is_counted_over_all_runs(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    out.write_bytes(lines("a", review=True) + lines("b", review=False) + lines("c", review=None))
    tally = take_up(out, RUN, asked_for("a", "b", "c")).tally
    assert tally.for_review() == "; to be looked at by a human: 1 of 2 (50.0%), and 1 other region without a limit"


def test_what_is_not_asked_for_stays_even_where_records_are_missing(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    out.write_bytes(lines("a") + lines("b", of=2) + b'{"image": "to')
    kept = take_up(out, RUN, asked_for("a"))
    assert out.read_bytes() == lines("a") + lines("b", of=2)
    assert kept.items == items("a")
    assert take_up(out, RUN, asked_for("b")).items == items("a")


def test_a_file_without_records_is_gone_on_with(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    out.touch()
    assert take_up(out, RUN) == Kept()
