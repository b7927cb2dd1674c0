"""The engine for TensorRT for RTX over its stand-in: which plan it takes, what it keeps, and what it refuses.

Plans are put where they would lie: the stand-in builds none.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvrec_edge.runtime import Bundle, open_engine
from mvrec_edge.runtime.bundle import write_bundle
from mvrec_edge.runtime.engines.tensorrt import BatchProfile
from mvrec_edge.runtime.engines.tensorrt.building import BuiltPlan, ensure_plan
from mvrec_edge.runtime.engines.tensorrt.bundled_plans import store_plans
from mvrec_edge.runtime.engines.tensorrt.flavour import TENSORRT_RTX
from mvrec_edge.runtime.engines.tensorrt.plan_keys import Capabilities, PortablePlanKey
from mvrec_edge.runtime.engines.tensorrt.tensorrt_engine import TensorRtEngine
from mvrec_edge.runtime.errors import EnvironmentUnfitError, IntegrityError, MissingDependencyError, UsageError
from tests.fakes.putting import put_plan
from tests.unit.runtime.engines.sharing import check_shared_by_threads
from tests.unit.runtime.engines.watching import check_forked

SMALL = BatchProfile(1, 2, 4)
RELEASE = "1.7.1.116"
NO_BUILDER = r"building the plan ended with exit code 1: .*Builder"


@pytest.fixture(autouse=True)
def _nothing_is_held(stand_ins: Any) -> Iterator[None]:
    yield
    assert stand_ins.held == (0, 0, 0)


@pytest.fixture
def planned(stand_ins: Any, bundle: Bundle) -> None:
    """The plan of fp32 is in the test's cache folder."""
    build(bundle)


@pytest.fixture
def own_bundle(half_bundle_path: Path, tmp_path: Path) -> Bundle:
    """A bundle that a test may change."""
    return Bundle.load(shutil.copytree(half_bundle_path, tmp_path / "own.bundle"))


def engine(bundle: Bundle, **options: Any) -> TensorRtEngine:
    options.setdefault("precision", "fp32")
    return TensorRtEngine(bundle, flavour=TENSORRT_RTX, **options)


def build(bundle: Bundle, *chosen: str, profile: BatchProfile = SMALL) -> BuiltPlan:
    """A plan of fp32 in the cache folder, as if it had been built."""
    put_plan(bundle, "fp32", profile, target=Capabilities(chosen), release=RELEASE)
    return ensure_plan(bundle, "fp32", Capabilities(chosen), profile)


def stored(bundle: Bundle, *chosen: str, profile: BatchProfile = SMALL) -> Bundle:
    """The same bundle with a plan."""
    plan = build(bundle, *chosen, profile=profile)
    assert isinstance(plan.key, PortablePlanKey)
    store_plans(bundle, "fp32", {"": (plan.key, plan.data)})
    return Bundle.load(bundle.path)


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize("library", ["cuda-python", "pycuda"])
def test_the_embeddings_of_onnx_runtime(stand_ins: Any, bundle: Bundle, pixels: Any, library: str) -> None:
    if library == "pycuda":
        stand_ins.without("cuda")
    views = pixels(9)
    with open_engine("onnxruntime", bundle, precision="fp32") as reference:
        wanted = reference.encode(views)
    with open_engine("tensorrt-rtx", bundle, precision="fp32") as opened:
        # That of the plan which is there.
        assert opened.batch == 4
        assert opened.name == "tensorrt-rtx"
        assert opened.device == f"Fake GPU, TensorRT for RTX 1.7.1.116, {library}, its own CUDA graphs"
        for count in (9, 1, 3):
            np.testing.assert_allclose(opened.encode(views[:count]), wanted[:count], rtol=0, atol=2e-5)


@pytest.mark.usefixtures("planned")
def test_fp16_before_fp32(bundle: Bundle) -> None:
    put_plan(bundle, "fp16", SMALL, target=Capabilities(), release=RELEASE)
    with TensorRtEngine(bundle, flavour=TENSORRT_RTX, profile=SMALL) as opened:
        assert opened.precision == "fp16"


def test_a_plan_is_asked_for_on_first_use(stand_ins: Any, bundle: Bundle) -> None:
    said: list[str] = []
    with pytest.raises(EnvironmentUnfitError, match=NO_BUILDER):
        engine(bundle, profile=SMALL, say=said.append)
    assert len(said) == 1
    assert "building a TensorRT for RTX 1.7.1.116 plan of the fp32 graph" in said[0]
    assert "for NVIDIA GPUs of compute capability 8.0 and later, batch 1:2:4: this takes seconds, once" in said[0]
    assert stand_ins.files == []


@pytest.mark.usefixtures("planned")
def test_the_plan_of_the_bundle_is_taken_first(own_bundle: Bundle, stand_ins: Any) -> None:
    bundle = stored(own_bundle)
    shutil.rmtree(stand_ins.cache)
    said: list[str] = []
    with engine(bundle, say=said.append) as opened:
        assert str(opened.profile) == "1:2:4"
    assert said == []
    # Nothing is built, and what was compiled is kept.
    assert stand_ins.files == [".jit", ".json", ".lock"]


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize(
    ("chosen", "mode", "options", "reason"),
    [
        ((), {"FAKE_TENSORRT_RTX_VERSION": "1.8.0"}, {}, "it was built with TensorRT for RTX 1.7.1.116, and 1.8.0 is"),
        (("8.6", "12.0"), {}, {}, "it is for NVIDIA GPUs of compute capability 8.6, 12.0, and Fake GPU has 8.7"),
        ((), {}, {"profile": BatchProfile(1, 2, 3)}, "it is for batch 1:2:4, and 1:2:3 is asked for"),
    ],
)
def test_a_plan_of_the_bundle_that_does_not_fit_is_said_and_another_one_taken(
    own_bundle: Bundle, stand_ins: Any, chosen: tuple[str, ...], mode: Any, options: Any, reason: str
) -> None:
    bundle = stored(own_bundle, *chosen)
    stand_ins.mode(**mode)
    said: list[str] = []
    with contextlib.nullcontext() if chosen else pytest.raises(EnvironmentUnfitError, match=NO_BUILDER):
        engine(bundle, say=said.append, **options).close()
    assert said[0].startswith("the plan in the bundle is not used: " + reason)
    # For the GPUs that were not named, the plan in the cache folder serves.
    assert [line.startswith("building a TensorRT for RTX") for line in said[1:]] == [True] * (not chosen)


def test_a_plan_for_this_gpu_alone_is_found(stand_ins: Any, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand_ins.gpu, "CAPABILITY", (7, 5))
    build(bundle, "7.5")
    said: list[str] = []
    engine(bundle, say=said.append).close()
    assert said == []


def test_a_gpu_that_no_plan_runs_on(stand_ins: Any, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand_ins.gpu, "CAPABILITY", (6, 1))
    message = "Fake GPU has the compute capability 6.1, and plans of TensorRT for RTX run on 8.0 and later"
    with pytest.raises(EnvironmentUnfitError, match=message):
        engine(bundle)
    assert stand_ins.files == []


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize("change", [lambda data: data[:-1] + b"x", lambda data: b"x" + data[1:]])
def test_a_changed_plan_in_the_bundle_never_reaches_the_library(own_bundle: Bundle, change: Any) -> None:
    bundle = stored(own_bundle)
    path = bundle.path / "encoder.fp32.tensorrt-rtx.plan"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(IntegrityError, match=r"encoder\.fp32\.tensorrt-rtx\.plan: was changed after it was"):
        Bundle.load(bundle.path)
    # Whoever runs one precision does not hash the others, nor plans, before they are used.
    with pytest.raises(IntegrityError, match=r"was changed after it was built: its hash differs from the manifest's"):
        engine(Bundle.load(bundle.path, graphs=("fp32",)))


@pytest.mark.usefixtures("planned")
def test_a_changed_plan_in_the_cache_is_said_and_built_again(bundle: Bundle) -> None:
    path = build(bundle).path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    said: list[str] = []
    with pytest.raises(EnvironmentUnfitError, match=NO_BUILDER):
        engine(bundle, profile=SMALL, say=said.append)
    assert "the plan is built again, because the one that is there cannot be loaded" in said[0]
    assert "was changed after it was built" in said[0]


@pytest.mark.usefixtures("planned")
def test_a_record_of_a_plan_that_cannot_be_read(own_bundle: Bundle) -> None:
    bundle = stored(own_bundle)
    manifest = bundle.manifest
    (record,) = manifest.plans
    fields = {**vars(record), "capabilities": "all of them"}
    with write_bundle(bundle.path, overwrite=True) as draft:
        for file in manifest.files:
            shutil.copyfile(bundle.path / file.name, draft.folder / file.name)
        draft.finish(
            created_by="test",
            architecture=manifest.architecture,
            weights=manifest.weights,
            graphs=manifest.graphs,
            plans=(type(record)(**fields),),
        )
    with pytest.raises(
        IntegrityError, match="the manifest's record of it cannot be read: 'all of them' is not a compu"
    ):
        engine(Bundle.load(bundle.path))


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize(
    ("diagnosis", "message"),
    [
        ("VERSION_MISMATCH", "it was built with another release"),
        (
            "UNSUPPORTED_CC",
            r"cannot run the plan on Fake GPU, compute capability 8\.7: it does not run on GPUs of this",
        ),
        ("OLD_CUDA_DRIVER", r"the NVIDIA driver is too old for it \(update the driver"),
        ("OLD_CUDA_RUNTIME", "the CUDA runtime is too old for it"),
        ("INSUFFICIENT_GPU_MEMORY", r"the GPU has too little memory for it \(close what else uses the GPU"),
        ("MALFORMED_ENGINE", "it is not a plan of this library and release"),
        ("CUDA_ERROR", r"CUDA does not work here \(run 'mvrec-edge doctor'"),
        ("silent", "cannot run the plan here: Error reading CUDA GPU properties"),
    ],
)
def test_what_the_library_says_before_it_loads_a_plan(
    stand_ins: Any, bundle: Bundle, diagnosis: str, message: str
) -> None:
    stand_ins.mode(FAKE_TENSORRT_RTX=diagnosis)
    with pytest.raises(EnvironmentUnfitError, match=message) as caught:
        engine(bundle, profile=SMALL)
    assert str(caught.value).startswith(str(stand_ins.cache))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("planned")
def test_kernels_are_compiled_once(stand_ins: Any, bundle: Bundle) -> None:
    compiled = __import__("tensorrt_rtx").compiled
    engine(bundle, profile=SMALL).close()
    assert compiled == [1, 2, 3, 4]
    (kept,) = (stand_ins.cache / "plans").glob("*.jit")
    assert kept.read_bytes() == b"kernels of 1.7.1.116: [1, 2, 3, 4]"
    before = kept.stat().st_mtime_ns
    engine(bundle, profile=SMALL).close()
    assert compiled == [1, 2, 3, 4]
    # What has not changed is not written again.
    assert kept.stat().st_mtime_ns == before


@pytest.mark.usefixtures("planned")
def test_kernels_that_were_changed_are_compiled_again(stand_ins: Any, bundle: Bundle) -> None:
    engine(bundle, profile=SMALL).close()
    (kept,) = (stand_ins.cache / "plans").glob("*.jit")
    right = kept.read_bytes()
    kept.write_bytes(right.replace(b"4", b"5"))
    said: list[str] = []
    engine(bundle, profile=SMALL, say=said.append).close()
    assert said == [
        "kernels are compiled again, because what was kept of them cannot be used: "
        f"{kept}: was changed after it was built (build it again)"
    ]
    assert kept.read_bytes() == right


@pytest.mark.usefixtures("planned")
def test_kernels_that_the_library_refuses_are_compiled_again(
    stand_ins: Any, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(bundle, profile=SMALL).close()
    monkeypatch.setattr(stand_ins.rtx.IRuntimeCache, "deserialize", lambda self, blob: False)
    compiled = stand_ins.rtx.compiled
    compiled.clear()
    engine(bundle, profile=SMALL).close()
    assert compiled == [1, 2, 3, 4]


@pytest.mark.usefixtures("planned")
def test_kernels_that_cannot_be_kept(stand_ins: Any, own_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = stored(own_bundle)
    (own_bundle.path.parent / "file").write_text("")
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(own_bundle.path.parent / "file"))
    said: list[str] = []
    engine(bundle, say=said.append).close()
    assert len(said) == 1
    assert said[0].startswith("compiled kernels are not kept for the next run: ")


@pytest.mark.usefixtures("planned")
def test_another_gpu_has_kernels_of_its_own(stand_ins: Any, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(bundle, profile=SMALL).close()
    monkeypatch.setattr(stand_ins.gpu, "NAME", "Another GPU")
    engine(bundle, profile=SMALL).close()
    assert stand_ins.files.count(".jit") == 2
    assert stand_ins.files.count(".plan") == 1


@pytest.mark.usefixtures("planned")
def test_a_failure_while_opening_is_one_line(stand_ins: Any, bundle: Bundle) -> None:
    stand_ins.mode(FAKE_TENSORRT="unloadable")
    with pytest.raises(EnvironmentUnfitError) as caught:
        engine(bundle, profile=SMALL)
    assert "\n" not in str(caught.value)
    assert "--workspace-gb" not in str(caught.value)


def test_no_library_and_no_bindings(stand_ins: Any, bundle: Bundle) -> None:
    stand_ins.without("tensorrt_rtx", "tensorrt_rtx_bindings")
    assert not TENSORRT_RTX.installed
    with pytest.raises(
        MissingDependencyError, match=r"'tensorrt-rtx' needs the library 'tensorrt_rtx'.*\[tensorrt-rtx\]"
    ):
        open_engine("tensorrt-rtx", bundle)


def test_only_the_bindings_are_installed(stand_ins: Any, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    module = stand_ins.rtx
    stand_ins.without("tensorrt_rtx")
    monkeypatch.setitem(__import__("sys").modules, "tensorrt_rtx_bindings", module)
    with pytest.raises(UsageError, match="int8"):
        engine(bundle, precision="int8")
    assert TENSORRT_RTX.modules == ("tensorrt_rtx", "tensorrt_rtx_bindings")


@pytest.mark.usefixtures("planned")
def test_threads_get_their_own_embeddings_and_a_forked_child_is_told(bundle: Bundle) -> None:
    with engine(bundle, profile=SMALL) as opened:
        check_shared_by_threads(opened)
        check_forked(opened)
