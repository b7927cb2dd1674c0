"""The session on a GPU: a real one where there is one, and one that a stand-in for the library has on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnxruntime = pytest.importorskip("onnxruntime", reason="it runs the graphs")
pytest.importorskip("torch", reason="the graphs are exported here")

from mvrec_edge.bench.workloads import noise_views  # noqa: E402
from mvrec_edge.runtime import Bundle, Region, ViewPlan, crop_views, open_engine  # noqa: E402
from mvrec_edge.runtime.engines.onnxruntime.gpu_session import FusedVariant, GpuSession  # noqa: E402
from mvrec_edge.runtime.errors import EnvironmentUnfitError  # noqa: E402
from mvrec_edge.runtime.views.patches import cut_patch, join_patches  # noqa: E402
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


def cutting_session_of(bundle: Bundle, library: StandIn, target: str = "views-onnxruntime-cuda") -> GpuSession:
    found = bundle.variant("fp16", target)
    assert found is not None
    return GpuSession(library, found[0], "fp16", "cuda")


def test_views_are_cut_on_the_gpu(cutting_bundle: Bundle) -> None:
    library = StandIn()
    session = cutting_session_of(cutting_bundle, library)
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    region = Region.from_box((30, 30, 60, 50), (90, 120))
    plan = ViewPlan.by_name("ms", size=TINY.image_size)
    views = crop_views(image, region, plan)
    patch = cut_patch(image, region, plan)
    assert patch is not None
    want = session_of(cutting_bundle, StandIn()).run(views)
    cut = np.zeros_like(views)
    for filled in (None, cut, None):
        answer = session.run_patches(join_patches([patch]), filled)
        np.testing.assert_allclose(answer, want, rtol=0, atol=0.02 * np.abs(want).max())
    np.testing.assert_array_equal(cut, views)
    # What is asked for and of what shape is captured once.
    assert library.graph_numbers == ["1", "2"]


def test_only_so_many_shapes_of_patches_are_kept(cutting_bundle: Bundle) -> None:
    library = StandIn()
    session = cutting_session_of(cutting_bundle, library)
    image = np.random.default_rng(0).integers(0, 256, (40, 700, 3), dtype=np.uint8)
    plan = ViewPlan(name="own", scales=(1.0,), of_box=True, size=TINY.image_size)
    answers = []
    for side in (*range(10, 640, 33), 10, 637):
        patch = cut_patch(image, Region.from_box((0, 0, side, 20), (40, 700)), plan)
        assert patch is not None
        answers.append(session.run_patches(join_patches([patch]), None))
    assert len(session._bound) == 16
    assert library.graph_numbers == [*map(str, range(1, 17)), *["-1"] * 5]
    np.testing.assert_array_equal(answers[0], answers[-2])
    np.testing.assert_array_equal(answers[-3], answers[-1])


def test_a_failure_while_views_are_cut_is_one_line(cutting_bundle: Bundle) -> None:
    session = cutting_session_of(cutting_bundle, StandIn(most=2))
    image = np.zeros((40, 40, 3), np.uint8)
    patch = cut_patch(image, Region.from_box((5, 5, 9, 9), (40, 40)), ViewPlan.by_name("ms", size=TINY.image_size))
    assert patch is not None
    with pytest.raises(EnvironmentUnfitError, match=r"with 3 views: CUDA failure 2: out of memory.*smaller --batch"):
        session.run_patches(join_patches([patch]), None)
