"""Results files: resumed after a tear, by the run that they are of, never at the cost of what is not ours."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.cli.resuming import Asked, take_up
from mvrec_edge.cli.run_facts import RunFacts
from mvrec_edge.runtime.errors import OutputError

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


def lines(*images: str | None, run: RunFacts = RUN, **more: Any) -> bytes:
    facts = run.to_record(run.cache_digest)
    return b"".join(
        json.dumps({"image": image, "label": "x", "run": facts, **more}).encode() + b"\n" for image in images
    )


WHOLE = lines(None, "a", "a", "b", "c", "c", "c")


@settings(max_examples=80, deadline=None)
@given(cut=st.integers(0, len(WHOLE)))
def test_what_is_kept_is_whole_images_and_nothing_is_lost(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    out = tmp_path_factory.mktemp("r") / "results.jsonl"
    out.write_bytes(WHOLE[:cut])
    first_line = WHOLE.index(b"\n") + 1
    if 0 < cut < first_line:
        with pytest.raises(OutputError, match="not a record"):
            take_up(out, RUN)
        assert out.read_bytes() == WHOLE[:cut]
        return
    done = take_up(out, RUN).images
    kept = out.read_bytes()
    torn = out.with_name("results.jsonl.torn")
    assert kept + (torn.read_bytes() if torn.exists() else b"") == WHOLE[:cut]
    images = [json.loads(line)["image"] for line in kept.splitlines()]
    assert set(images) - {None} == done
    for image, count in {"a": 2, "b": 1, "c": 3}.items():
        assert images.count(image) in (0, count)
    # The image at the end may lack lines, so it never counts as done.
    assert "c" not in done


@pytest.mark.parametrize(
    "content",
    [
        b"notes\n",
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
    with pytest.raises(OutputError, match="not a record"):
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
    assert out.read_bytes() == content
    assert [item.name for item in tmp_path.iterdir()] == ["results.jsonl"]


def test_places_and_the_engine_may_differ(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    other = dataclasses.replace(RUN, cache="/else/where", bundle="/there", engine="openvino", device="cpu, 9 threads")
    out.write_bytes(lines("a", "b", run=other))
    assert take_up(out, RUN).images == {"a"}


def test_after_a_reload_the_cache_of_the_last_record_counts(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    before = dataclasses.replace(RUN, cache_digest="00" * 32)
    out.write_bytes(lines("a", run=before) + lines("b", "c"))
    with pytest.raises(OutputError, match="cache digest"):
        take_up(out, before)
    assert take_up(out, RUN).images == {"a", "b"}


def test_records_of_an_older_version_are_refused_with_the_remedy(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    content = b'{"image": "a", "label": "x"}\n{"image": "b", "label": "x"}\n'
    out.write_bytes(content)
    with pytest.raises(OutputError, match=r"do not say which support cache .*--overwrite to classify everything again"):
        take_up(out, RUN)
    assert out.read_bytes() == content


def test_pictures_and_failures_of_what_is_kept_are_known(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    failed = {"error": {"what": "is cut", "where": "a.csv#3", "fix": None}}
    out.write_bytes(lines(None, "f", **failed) + lines("x/1.jpg", "y/1.jpg", picture="p/1.jpg"))
    kept = take_up(out, RUN)
    assert kept.pictures == {"p/1.jpg": "x/1.jpg"}
    assert kept.failures == {("None", "is cut", "a.csv#3"), ("f", "is cut", "a.csv#3")}
    assert kept.images == {"f", "x/1.jpg"}


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
    asked = Asked.of([Path("in"), Path("boxes.csv")], [Path("else/b.jpg")])
    assert asked.covers(image, where) is covered


def test_what_is_tried_again_is_taken_out_with_all_lines_of_its_image(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    failed = {"error": {"what": "is cut", "where": "in/f.jpg", "fix": None}}
    elsewhere = {**failed["error"], "where": "else/f.jpg"}
    content = lines("in/f.jpg", "in/a.jpg") + lines("in/f.jpg", **failed) + lines("else/f.jpg", error=elsewhere)
    out.write_bytes(content + lines("in/z.jpg"))
    kept = take_up(out, RUN, Asked.of([Path("in")], []))
    assert out.read_bytes() == lines("in/a.jpg") + lines("else/f.jpg", error=elsewhere)
    assert (kept.images, kept.tried_again) == ({"in/a.jpg", "else/f.jpg"}, 1)
    assert kept.failures == {("else/f.jpg", "is cut", "else/f.jpg")}
    assert kept.first is not None
    assert kept.first["image"] == "in/f.jpg"


def test_a_file_without_records_is_gone_on_with(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    out.touch()
    assert take_up(out, RUN).images == set()
