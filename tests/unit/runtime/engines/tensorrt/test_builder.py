"""The builder's timing cache. NVIDIA's TensorRT for RTX has one to be called, although it measures no kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.engines.tensorrt import BatchProfile, builder
from mvrec_edge.runtime.engines.tensorrt.builder import build_plan
from mvrec_edge.runtime.engines.tensorrt.flavour import TENSORRT, TENSORRT_RTX
from mvrec_edge.runtime.errors import OutputError

pytestmark = pytest.mark.filterwarnings("ignore:.*Timing cache operations are no-ops:DeprecationWarning")

PROFILE = BatchProfile(1, 2, 4)


def _build(bundle: Bundle, cache: Path) -> bytes:
    return build_plan(TENSORRT_RTX, bundle.graph("fp16"), 56, PROFILE, timing_cache=cache)


@pytest.mark.usefixtures("rtx_cache")
def test_timings_are_kept_and_given_to_the_next_build(half_bundle: Bundle, tmp_path: Path) -> None:
    cache = tmp_path / "my.cache"
    assert _build(half_bundle, cache)
    kept = cache.read_bytes()
    assert kept
    assert _build(half_bundle, cache)
    assert len(cache.read_bytes()) == len(kept)


@pytest.mark.usefixtures("rtx_cache")
@pytest.mark.parametrize("data", [b"", b"not timings at all"])
def test_what_is_no_timing_cache_is_replaced(half_bundle: Bundle, tmp_path: Path, data: bytes) -> None:
    cache = tmp_path / "my.cache"
    cache.write_bytes(data)
    assert _build(half_bundle, cache)
    assert len(cache.read_bytes()) > len(data)
    assert data not in cache.read_bytes() or not data


class _AnotherRelease:
    """What TensorRT's configuration answers where the timings are those of another release or GPU."""

    def __init__(self) -> None:
        self.cache = b"none"

    def create_timing_cache(self, data: bytes) -> bytes:
        return data

    def set_timing_cache(self, cache: bytes, *, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        if cache:
            return False
        self.cache = cache
        return True


def test_timings_of_another_release_are_replaced(tmp_path: Path) -> None:
    cache, config = tmp_path / "my.cache", _AnotherRelease()
    cache.write_bytes(b"timings of another release")
    assert builder._timing_cache(config, cache) == b""
    assert config.cache == b""


@pytest.mark.parametrize("flavour", [TENSORRT, TENSORRT_RTX], ids=lambda flavour: flavour.engine)
def test_a_timing_cache_that_cannot_be_written_is_refused_before_the_build(tmp_path: Path, flavour: Any) -> None:
    heard: list[Any] = []
    with pytest.raises(OutputError, match="cannot be written: its folder is missing"):
        build_plan(
            *(flavour, tmp_path / "encoder.fp16.onnx", 56, PROFILE),
            timing_cache=tmp_path / "missing" / "my.cache",
            progress=lambda *phase: heard.append(phase),
        )
    assert heard == []
