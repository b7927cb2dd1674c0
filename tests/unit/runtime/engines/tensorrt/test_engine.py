"""The engine over the stand-ins: the same embeddings as ONNX Runtime, and nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvrec_edge.runtime import Bundle, open_engine
from mvrec_edge.runtime.engines.tensorrt import BatchProfile
from mvrec_edge.runtime.engines.tensorrt.tensorrt_engine import TensorRtEngine
from mvrec_edge.runtime.errors import EnvironmentUnfitError, MissingDependencyError, UsageError
from tests.unit.runtime.engines.sharing import check_shared_by_threads
from tests.unit.runtime.engines.watching import check_forked

SMALL = BatchProfile(1, 2, 4)


@pytest.fixture(autouse=True)
def _nothing_is_held(stand_ins: Any) -> Iterator[None]:
    yield
    assert stand_ins.held == (0, 0, 0)


@pytest.fixture(scope="module")
def wanted(half_bundle_path: Path) -> Any:
    """Embeddings of ONNX Runtime, by precision and number of views."""
    views = np.random.default_rng(0).integers(0, 256, (60, 56, 56, 4), dtype=np.uint8)
    bundle = Bundle.load(half_bundle_path)
    answers = {}
    for precision in ("fp32", "fp16"):
        with open_engine("onnxruntime", bundle, precision=precision) as engine:
            answers[precision] = engine.encode(views)
    return views, answers


@pytest.mark.parametrize("library", ["cuda-python", "cuda-python without graphs", "pycuda"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_embeddings_of_onnx_runtime(
    stand_ins: Any, bundle: Bundle, wanted: Any, precision: str, library: str
) -> None:
    if library == "pycuda":
        stand_ins.without("cuda")
    if library == "cuda-python without graphs":
        stand_ins.mode(FAKE_CUDA="nograph")
    views, answers = wanted
    limit = {"fp32": 2e-5, "fp16": 1e-3}[precision]
    with open_engine("tensorrt", bundle, precision=precision) as engine:
        assert engine.batch == 54
        graphs = 5 if library == "cuda-python" else 0
        assert engine.device == f"Fake GPU, TensorRT 10.3.0, {library.split()[0]}, {graphs} CUDA graphs"
        # The longest first: what it leaves in the buffers must not be seen afterwards.
        for count in (60, 1, 2, 5, 27):
            got = engine.encode(views[:count])
            assert got.dtype == np.float32
            np.testing.assert_allclose(got, answers[precision][:count], rtol=0, atol=limit)
        # An answer that was given out does not change.
        kept = got.copy()
        engine.encode(views[27:54])
        np.testing.assert_array_equal(got, kept)


def test_what_it_says_of_itself(bundle: Bundle) -> None:
    with TensorRtEngine(bundle, profile=SMALL) as engine:
        assert (engine.name, engine.precision) == ("tensorrt", "fp16")
        assert engine.fingerprint == bundle.fingerprint("fp16")
        assert engine.random_weights
        assert engine.batch == 4


@pytest.mark.parametrize(("batch", "profile", "used"), [(3, "1:27:54", 3), (60, "1:27:60", 60), (None, "1:27:54", 54)])
def test_a_batch_size(bundle: Bundle, batch: int | None, profile: str, used: int) -> None:
    with TensorRtEngine(bundle, precision="fp32", batch=batch) as engine:
        assert str(engine.profile) == profile
        assert engine.batch == used
        # Sizes that are never used take no memory.
        run = [size for size in engine.profile.buckets if size <= engine.profile.bucket(used)]
        assert engine.device.endswith(f"{len(run)} CUDA graphs")


@pytest.mark.parametrize("batch", [None, 2, 100])
def test_a_plan_that_is_there_is_taken_whatever_its_batch_sizes(bundle: Bundle, batch: int | None) -> None:
    TensorRtEngine(bundle, profile=SMALL).close()
    said: list[str] = []
    with open_engine("tensorrt", bundle, batch=batch, say=said.append) as engine:
        assert said == []
        assert engine.batch == min(batch or 4, 4)


def test_the_usual_plan_before_a_newer_one(bundle: Bundle) -> None:
    for profile in (BatchProfile(1, 27, 54), SMALL):
        TensorRtEngine(bundle, profile=profile).close()
    with TensorRtEngine(bundle) as engine:
        assert str(engine.profile) == "1:27:54"


def test_only_a_precision_of_the_bundle(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="int8"):
        TensorRtEngine(bundle, precision="int8")


def test_built_on_first_use_and_found_afterwards(bundle: Bundle) -> None:
    said: list[str] = []
    phases: list[tuple[str, int, int]] = []
    for _ in range(2):
        options: Any = {"say": said.append, "progress": lambda *phase: phases.append(phase)}
        TensorRtEngine(bundle, profile=SMALL, **options).close()
    assert len(said) == 1
    assert len(phases) == 4


def test_another_gpu_builds_its_own(stand_ins: Any, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    TensorRtEngine(bundle, profile=SMALL, say=said.append).close()
    monkeypatch.setattr(stand_ins.gpu, "NAME", "Another GPU")
    TensorRtEngine(bundle, profile=SMALL, say=said.append).close()
    assert ["Fake GPU" in said[0], "Another GPU" in said[1]] == [True, True]


def test_closed_twice_and_not_used_again(bundle: Bundle, pixels: Any) -> None:
    engine = TensorRtEngine(bundle, profile=SMALL)
    engine.close()
    engine.close()
    with pytest.raises(EnvironmentUnfitError, match="the engine is closed"):
        engine.encode(pixels(1))


def test_a_failure_in_use_is_one_line(
    stand_ins: Any, bundle: Bundle, pixels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_ins.mode(FAKE_CUDA="nograph")
    with TensorRtEngine(bundle, profile=SMALL) as engine:
        monkeypatch.setattr(stand_ins.tensorrt.IExecutionContext, "execute_async_v3", lambda self, stream: False)
        with pytest.raises(EnvironmentUnfitError, match=r"could not run the plan: it does not say why.*--force"):
            engine.encode(pixels(1))


@pytest.mark.parametrize("mode", ["parser", "fail", "kill", "crash", "unloadable"])
def test_a_failure_while_opening_leaves_nothing(stand_ins: Any, bundle: Bundle, mode: str) -> None:
    stand_ins.mode(FAKE_TENSORRT=mode)
    with pytest.raises(EnvironmentUnfitError) as caught:
        TensorRtEngine(bundle, profile=SMALL)
    assert "\n" not in str(caught.value)
    if mode == "unloadable":
        assert "TensorRT cannot load the plan: Serialization assertion failed" in str(caught.value)
        assert "mvrec-edge build BUNDLE --force" in str(caught.value)


def _another(name: str, value: Any) -> Any:
    def change(tensorrt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tensorrt.ICudaEngine, name, value)

    return change


@pytest.mark.parametrize(
    "change",
    [
        _another("get_tensor_name", lambda self, index: ("images", "embedding")[index]),
        _another("get_tensor_name", lambda self, index: ("views", "logits")[index]),
        _another("num_io_tensors", 1),
        _another("get_tensor_mode", lambda self, name: 2),
        _another("get_tensor_dtype", lambda self, name: "half"),
        _another("get_tensor_shape", lambda self, name: (-1, 65)),
        _another("get_tensor_profile_shape", lambda self, name, index: [(1, 56, 56, 4)] * 3),
    ],
)
def test_a_plan_with_other_tensors_is_refused(
    stand_ins: Any, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    change(stand_ins.tensorrt, monkeypatch)
    with pytest.raises(EnvironmentUnfitError, match="inputs and outputs are not those of the bundle's graph"):
        TensorRtEngine(bundle, profile=SMALL)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("set_input_shape", False, "does not take a batch of 1"),
        ("set_tensor_address", False, "does not take a batch of 1"),
        ("execute_async_v3", False, "could not run the plan"),
    ],
)
def test_a_refusal_while_warming_up(
    stand_ins: Any, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, name: str, value: bool, message: str
) -> None:
    monkeypatch.setattr(stand_ins.tensorrt.IExecutionContext, name, lambda self, *_: value)
    with pytest.raises(EnvironmentUnfitError, match=message):
        TensorRtEngine(bundle, profile=SMALL)


def test_no_memory_for_a_context(stand_ins: Any, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand_ins.tensorrt.ICudaEngine, "create_execution_context", lambda self, strategy: None)
    with pytest.raises(EnvironmentUnfitError, match=r"cannot make a context.*smaller --batch"):
        TensorRtEngine(bundle, profile=SMALL)


@pytest.mark.parametrize("mode", ["full", "none"])
def test_no_gpu_memory_and_no_gpu(stand_ins: Any, bundle: Bundle, mode: str) -> None:
    stand_ins.mode(FAKE_CUDA=mode)
    with pytest.raises(EnvironmentUnfitError, match=r"CUDA: .* failed with cudaError"):
        TensorRtEngine(bundle, profile=SMALL)


def test_no_library(stand_ins: Any, bundle: Bundle) -> None:
    stand_ins.without("tensorrt")
    with pytest.raises(MissingDependencyError, match=r"\[tensorrt\]"):
        open_engine("tensorrt", bundle)


@pytest.mark.parametrize("library", ["cuda-python", "pycuda"])
def test_threads_get_their_own_embeddings(stand_ins: Any, bundle: Bundle, library: str) -> None:
    if library == "pycuda":
        stand_ins.without("cuda")
    with TensorRtEngine(bundle, profile=SMALL) as engine:
        check_shared_by_threads(engine)


def test_a_forked_child_is_told(bundle: Bundle) -> None:
    with TensorRtEngine(bundle, precision="fp32", profile=SMALL) as engine:
        check_forked(engine)
