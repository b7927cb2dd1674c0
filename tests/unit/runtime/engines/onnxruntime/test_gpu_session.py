"""The session on a GPU: a real one where there is one, and one that a stand-in for the library has on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnxruntime = pytest.importorskip("onnxruntime", reason="it runs the graphs")
pytest.importorskip("torch", reason="the graphs are exported here")

from mvrec_edge.bench.workloads import noise_views  # noqa: E402
from mvrec_edge.runtime import Bundle, open_engine  # noqa: E402
from mvrec_edge.runtime.engines.onnxruntime.gpu_session import FusedVariant, GpuSession  # noqa: E402
from mvrec_edge.runtime.errors import EnvironmentUnfitError  # noqa: E402
from tests.conftest import TINY  # noqa: E402

CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


@pytest.fixture
def bundle(half_bundle: Bundle) -> Bundle:
    return half_bundle


class StandIn:
    """ONNX Runtime with a GPU that is really the CPU.

    Args:
        refused: Ways that a session may not be opened in: `"fused"`, `"captured"`, `"plain"`.
        most: Views that fit into its memory.
    """

    __version__ = "1.99"
    __file__ = onnxruntime.__file__
    SessionOptions = onnxruntime.SessionOptions

    def __init__(self, refused: tuple[str, ...] = (), most: int = 1000) -> None:
        self.refused = refused
        self.most = most
        self.graph_numbers: list[str] = []
        self.RunOptions = self._run_options
        self.InferenceSession = self._session
        self.OrtValue = self

    def get_available_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def set_default_logger_severity(self, level: int) -> None:
        self.severity = level

    def ortvalue_from_numpy(self, values: np.ndarray, device: str, number: int) -> Any:
        assert (device, number) == ("cuda", 0)
        if len(values) > self.most:
            raise RuntimeError("CUDA failure 2: out of memory\nat line 1")
        return onnxruntime.OrtValue.ortvalue_from_numpy(values)

    def ortvalue_from_shape_and_type(self, shape: tuple[int, ...], kind: Any, device: str, number: int) -> Any:
        assert (device, number) == ("cuda", 0)
        return onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, kind)

    def _run_options(self) -> Any:
        stand_in = self

        class Options(onnxruntime.RunOptions):  # type: ignore[misc,name-defined,unused-ignore]
            def add_run_config_entry(self, name: str, value: str) -> None:
                assert name == "gpu_graph_id"
                stand_in.graph_numbers.append(value)

        return Options()

    def _session(self, path: str, options: Any, *, providers: list[Any], enable_fallback: int) -> Any:
        assert enable_fallback == 0
        (name, settings), *_ = providers
        ways = {"fused" if "onnxruntime-cuda" in path else "plain"}
        ways |= {"captured"} if settings.get("enable_cuda_graph") else set()
        if ways & {*self.refused}:
            raise RuntimeError(f"cannot be opened {sorted(ways)}")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        session.get_providers = lambda: [name, "CPUExecutionProvider"]
        return session


def session_of(bundle: Bundle, library: StandIn, precision: str = "fp16") -> GpuSession:
    found = bundle.variant(precision, "onnxruntime-cuda")
    variant = None if found is None else FusedVariant(found[0], found[1].summary)
    return GpuSession(library, bundle.graph(precision), precision, "cuda", variant)


@pytest.mark.parametrize(
    ("refused", "precision", "device"),
    [
        ((), "fp16", ", 2 fused attentions, captured launches"),
        (("captured",), "fp16", ", 2 fused attentions"),
        (("fused",), "fp16", ", captured launches"),
        (("fused", "captured"), "fp16", ""),
        ((), "fp32", ", captured launches"),
    ],
)
def test_what_the_library_cannot_do_is_left_out_and_said(
    bundle: Bundle, refused: tuple[str, ...], precision: str, device: str
) -> None:
    session = session_of(bundle, StandIn(refused), precision)
    assert session.device == f"gpu 0 through CUDAExecutionProvider{device}"
    views = noise_views(3, TINY.image_size)
    with open_engine("onnxruntime", bundle, precision="fp32") as engine:
        want = engine.encode(views)
    np.testing.assert_allclose(session.run(views), want, atol=0.02 * np.abs(want).max())
    session.close()


def test_answers_of_a_batch_size_do_not_share_their_memory(bundle: Bundle) -> None:
    session = session_of(bundle, StandIn())
    views = noise_views(4, TINY.image_size)
    first = session.run(views[:2])
    kept = first.copy()
    second = session.run(views[2:])
    np.testing.assert_array_equal(first, kept)
    assert np.abs(first - second).max() > 0.01


def test_only_so_many_batch_sizes_are_captured(bundle: Bundle) -> None:
    library = StandIn()
    session = session_of(bundle, library)
    views = noise_views(20, TINY.image_size)
    for count in (*range(1, 19), 1, 2):
        session.run(views[:count])
    assert library.graph_numbers == [*map(str, range(1, 17)), "-1", "-1"]


def test_too_many_views_for_its_memory_is_one_line(bundle: Bundle) -> None:
    session = session_of(bundle, StandIn(most=2))
    with pytest.raises(EnvironmentUnfitError, match=r"with 3 views: CUDA failure 2: out of memory.*smaller --batch"):
        session.run(noise_views(3, TINY.image_size))
    assert session.run(noise_views(2, TINY.image_size)).shape == (2, TINY.embedding_dim)


def test_a_graph_that_opens_in_no_way_is_an_error(bundle: Bundle) -> None:
    with pytest.raises(EnvironmentUnfitError, match=r"does not run on CUDAExecutionProvider|cannot load the graph"):
        session_of(bundle, StandIn(("fused", "plain")))


@pytest.mark.skipif(not CUDA, reason="this ONNX Runtime has no CUDA")
@pytest.mark.parametrize(("precision", "cosine"), [("fp32", 0.999999), ("fp16", 0.9999)])
def test_on_a_real_gpu(bundle: Bundle, precision: str, cosine: float) -> None:
    views = noise_views(5, TINY.image_size)
    with open_engine("onnxruntime", bundle, precision="fp32") as engine:
        want = engine.encode(views)
    with open_engine("onnxruntime", bundle, precision=precision, provider="cuda") as engine:
        assert engine.device.startswith("gpu 0")
        assert ("fused" in engine.device) == (precision == "fp16")
        # Twice: launches are captured in the first run, and replayed in the others.
        for part in (views, views[:2], views):
            got = engine.encode(part)
            near = want[: len(part)]
            found = (got * near).sum(axis=1) / (np.linalg.norm(got, axis=1) * np.linalg.norm(near, axis=1))
            assert found.min() > cosine
