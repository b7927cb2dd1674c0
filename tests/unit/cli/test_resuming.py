"""Results files: resumed after a tear, never at the cost of what is not ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.cli.resuming import set_torn_end_aside
from mvrec_edge.runtime.errors import OutputError


def lines(*images: str | None) -> bytes:
    return b"".join(json.dumps({"image": image, "label": "x"}).encode() + b"\n" for image in images)


WHOLE = lines(None, "a", "a", "b", "c", "c", "c")


@settings(max_examples=80, deadline=None)
@given(cut=st.integers(0, len(WHOLE)))
def test_what_is_kept_is_whole_images_and_nothing_is_lost(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    out = tmp_path_factory.mktemp("r") / "results.jsonl"
    out.write_bytes(WHOLE[:cut])
    first_line = WHOLE.index(b"\n") + 1
    if 0 < cut < first_line:
        with pytest.raises(OutputError, match="not a record"):
            set_torn_end_aside(out)
        assert out.read_bytes() == WHOLE[:cut]
        return
    done = set_torn_end_aside(out)
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
    "content", [b"notes\n", b"[1]\n", b'{"other": 1}\n', b'{"image": "a"}\nnotes\n{"image": "b"}\n']
)
def test_another_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    out = tmp_path / "notes.txt"
    out.write_bytes(content)
    with pytest.raises(OutputError, match="not a record"):
        set_torn_end_aside(out)
    assert out.read_bytes() == content
    assert [item.name for item in tmp_path.iterdir()] == ["notes.txt"]
