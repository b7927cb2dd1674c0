"""`--engine auto`: what is measured, what is remembered."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.runtime import Bundle, Engine, open_engine
from mvrec_edge.runtime.engines.choice import choose_engine, installed_engines
from mvrec_edge.runtime.engines.processor import read_processor
from mvrec_edge.runtime.engines.speeds import SpeedKey, read_speeds, record_speeds
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel
from mvrec_edge.runtime.errors import IntegrityError, MissingDependencyError, UsageError
from mvrec_edge.runtime.installing import install_extra
from mvrec_edge.runtime.threads import usable_cpus


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def _both_installed() -> None:
    pytest.importorskip("openvino", reason="there is nothing to choose without it")
    pytest.importorskip("onnxruntime", reason="there is nothing to choose without it")


def choose(
    bundle: Bundle, *, precision: str | None = None, say: Callable[[str], None] = lambda _: None
) -> tuple[str, str | None]:
    """The choice among engines that are opened as `open_engine` opens them."""

    def open_candidate(name: str, provider: str | None) -> Engine:
        return open_engine(name, bundle, precision=precision, provider=provider)

    return choose_engine(bundle, open_candidate, precision=precision, say=say)


def _key(bundle: Bundle, engine: str, precision: str = "fp32") -> SpeedKey:
    return SpeedKey(bundle.fingerprint(precision), engine, "", usable_cpus())


@pytest.mark.usefixtures("_both_installed")
def test_measures_once_and_remembers(tiny_bundle: Bundle) -> None:
    first: list[str] = []
    chosen = choose(tiny_bundle, say=first.append)
    assert "on this machine, once" in first[0]
    speeds = read_speeds([_key(tiny_bundle, "openvino"), _key(tiny_bundle, "onnxruntime")])
    assert chosen[0] == min(speeds, key=lambda key: speeds[key]).engine
    second: list[str] = []
    assert choose(tiny_bundle, say=second.append) == chosen
    assert len(first) == 2
    assert second == []


@pytest.mark.usefixtures("_both_installed")
@pytest.mark.parametrize("fast", ["openvino", "onnxruntime"])
def test_takes_the_faster_one(tiny_bundle: Bundle, fast: str) -> None:
    record_speeds({_key(tiny_bundle, name): 1.0 if name == fast else 2.0 for name in ("openvino", "onnxruntime")})
    with open_engine("auto", tiny_bundle) as engine:
        assert engine.name == fast


@pytest.mark.usefixtures("_both_installed")
def test_only_one_can(precisions_bundle: Bundle) -> None:
    said: list[str] = []
    assert choose(precisions_bundle, precision="bf16", say=said.append) == ("openvino", None)
    assert said == []


@pytest.mark.usefixtures("_both_installed")
def test_one_that_breaks_is_left_out(tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(
        "mvrec_edge.runtime.engines.choice.installed_engines", lambda: [("openvino", None), ("onnxruntime", None)]
    )
    said: list[str] = []
    assert choose(tiny_bundle, say=said.append) == ("onnxruntime", None)
    assert "openvino: cannot run it" in said[-1]
    # It may be mended by the next time.
    assert read_speeds([_key(tiny_bundle, "openvino")]) == {}


@pytest.mark.usefixtures("_both_installed")
def test_a_changed_file_is_said_and_not_passed_over(precisions_bundle_path: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.bundle"
    shutil.copytree(precisions_bundle_path, changed)
    (variant,) = changed.glob("encoder.int8.*x86.onnx")
    data = bytearray(variant.read_bytes())
    data[50] ^= 1
    variant.write_bytes(bytes(data))
    if not read_processor().is_x86:
        pytest.skip("the variant is run on x86 alone")
    with pytest.raises(IntegrityError, match="was changed"):
        choose(Bundle.load(changed, graphs=()), precision="int8")


AMPERE, PASCAL = GpuModel("A GPU", "8.6"), GpuModel("A GPU", "6.1")


class _Opened:
    """Which engines were opened, each as ONNX Runtime on the CPU; no machine of the tests has a GPU."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.names: list[str] = []

    def __call__(self, name: str, _: str | None) -> Engine:
        self.names.append(name)
        return open_engine("onnxruntime", self.bundle)


@pytest.mark.usefixtures("_both_installed")
@pytest.mark.parametrize(
    ("installed", "gpu", "takes_part"),
    [(True, AMPERE, True), (True, PASCAL, False), (True, None, False), (False, AMPERE, False)],
)
def test_tensorrt_for_rtx_takes_part_where_its_plans_run(
    tiny_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    installed: bool,
    gpu: GpuModel | None,
    takes_part: bool,
) -> None:
    for name in ("tensorrt_rtx", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    if installed:
        (tmp_path / "tensorrt_rtx_bindings.py").write_text("raise AssertionError('to look for it is enough')\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "tensorrt_rtx_bindings")
    said: list[str] = []
    opened = _Opened(tiny_bundle)
    choose_engine(tiny_bundle, opened, say=said.append, ask_gpu=lambda: gpu)
    assert ("tensorrt-rtx" in opened.names) == takes_part
    assert ("tensorrt-rtx on this machine, once, and builds a plan before" in said[0]) == takes_part
    assert ("; tensorrt-rtx: " in said[1]) == takes_part


@pytest.mark.usefixtures("_both_installed")
def test_tensorrt_for_rtx_is_taken_where_it_was_faster_on_this_gpu(
    tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorrt_rtx_bindings.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    fingerprint, count = tiny_bundle.fingerprint("fp32"), usable_cpus()
    known = {_key(tiny_bundle, name): 2.0 for name in ("openvino", "onnxruntime")}
    record_speeds(known | {SpeedKey(fingerprint, "tensorrt-rtx", "", count, AMPERE.name): 1.0})
    opened = _Opened(tiny_bundle)
    assert choose_engine(tiny_bundle, opened, ask_gpu=lambda: AMPERE) == ("tensorrt-rtx", None)
    assert choose_engine(tiny_bundle, opened, ask_gpu=lambda: None)[0] != "tensorrt-rtx"
    assert opened.names == []
    # It was measured on that GPU alone; the times of the others are known.
    choose_engine(tiny_bundle, opened, ask_gpu=lambda: GpuModel("Another GPU", "12.0"))
    assert opened.names == ["tensorrt-rtx"]


def test_nothing_is_installed(tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("openvino", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    assert installed_engines() == []
    with pytest.raises(MissingDependencyError, match=re.escape(install_extra("cpu"))):
        choose(tiny_bundle)


def test_nothing_that_is_installed_can(tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    if len(installed_engines()) != 1:
        pytest.skip("only ONNX Runtime's CPU provider cannot run bf16")
    with pytest.raises(UsageError, match="no installed engine runs a bf16 graph"):
        choose(tiny_bundle, precision="bf16")


@pytest.mark.parametrize(
    "damage", [b"", b"{", b'{"schema": "other"}', b'{"schema": "mvrec-edge/speeds/1"}', b"[" * 9999]
)
def test_a_damaged_file_counts_as_empty(tiny_bundle: Bundle, tmp_path: Path, damage: bytes) -> None:
    key = _key(tiny_bundle, "openvino")
    record_speeds({key: 3.0})
    assert read_speeds([key]) == {key: 3.0}
    (tmp_path / "cache" / "speeds.json").write_bytes(damage)
    assert read_speeds([key]) == {}
    record_speeds({key: 4.0})
    assert read_speeds([key]) == {key: 4.0}


def test_other_threads_are_another_key(tiny_bundle: Bundle) -> None:
    key = _key(tiny_bundle, "openvino")
    other = SpeedKey(key.fingerprint, key.engine, key.provider, key.threads + 1)
    record_speeds({key: 3.0})
    assert read_speeds([other]) == {}
    assert np.isfinite(read_speeds([key])[key])
