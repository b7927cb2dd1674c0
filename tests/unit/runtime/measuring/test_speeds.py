"""The speeds file: what was measured is found again, and nothing in it is trusted."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.measuring.machine import cpu_model
from mvrec_edge.runtime.measuring.speeds import Speed, read_speeds, record_speeds, speeds_file


def speed(**changes: Any) -> Speed:
    one = Speed("f" * 64, "onnxruntime", "", "fp32", cpu_model(), 0, 9, 12.5, "2026-01-31")
    return dataclasses.replace(one, **changes)


def test_what_was_recorded_is_read_the_fastest_first(tmp_path: Path) -> None:
    file = tmp_path / "new" / "speeds.json"
    slow, fast = speed(), speed(precision="int8", views_per_second=40.0)
    assert record_speeds([slow, fast], path=file) == file
    assert read_speeds(path=file) == (fast, slow)
    assert read_speeds(path=file, fingerprints=["other"]) == ()
    assert read_speeds(path=file, fingerprints=["f" * 64]) == (fast, slow)


def test_a_later_speed_replaces_an_earlier_one_of_the_same_key(tmp_path: Path) -> None:
    file = tmp_path / "speeds.json"
    record_speeds([speed(), speed(threads=2)], path=file)
    record_speeds([speed(views_per_second=1.0)], path=file)
    assert {(one.threads, one.views_per_second) for one in read_speeds(path=file)} == {(0, 1.0), (2, 12.5)}


def test_another_processor_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "speeds.json"
    record_speeds([speed(cpu="another")], path=file)
    assert read_speeds(path=file) == ()


def test_of_very_many_the_oldest_go(tmp_path: Path) -> None:
    file = tmp_path / "speeds.json"
    record_speeds([speed(fingerprint=f"{number:064x}") for number in range(1001)], path=file)
    kept = {one.fingerprint for one in read_speeds(path=file)}
    assert len(kept) == 1000
    assert f"{0:064x}" not in kept


def test_where_it_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert speeds_file() == tmp_path / "own" / "speeds.json"
    monkeypatch.delenv("MVREC_EDGE_CACHE")
    assert speeds_file() == tmp_path / "shared" / "mvrec-edge" / "speeds.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert speeds_file() == tmp_path / ".cache" / "mvrec-edge" / "speeds.json"


def test_a_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        record_speeds([speed()], path=tmp_path / "file" / "speeds.json")


_WHOLE = json.dumps({"schema": "mvrec-edge/speeds/1", "speeds": [dataclasses.asdict(speed())]}).encode()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(_WHOLE) - 1), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_file_holds_sound_speeds_or_none(tmp_path: Path, place: int, byte: int, cut: bool) -> None:
    file = tmp_path / "speeds.json"
    file.write_bytes(_WHOLE[:place] if cut else _WHOLE[:place] + bytes([byte]) + _WHOLE[place + 1 :])
    for found in read_speeds(path=file):
        assert found.views_per_second >= 0
        assert found.precision in ("fp32", "fp16", "bf16", "int8")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"[" * 100_000, b'{"schema": "mvrec-edge/speeds/2"}', b" " * (2 << 20)]
)
def test_what_is_no_speeds_file_is_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "speeds.json"
    file.write_bytes(content)
    assert read_speeds(path=file) == ()
    record_speeds([speed()], path=file)
    assert read_speeds(path=file) == (speed(),)
