"""Plans that cut views, over the stand-ins: the records of `crop_views`, and what is left to it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("torch", reason="the graphs are exported here")

from mvrec_edge.calib import encode_support, read_labelled
from mvrec_edge.runtime import Bundle, Region, ViewPlan, crop_views, jetson, open_engine
from mvrec_edge.runtime.classifier.classification import ClassifySettings, classify_source
from mvrec_edge.runtime.engines.encoding import views_for
from mvrec_edge.runtime.engines.engine import Engine
from mvrec_edge.runtime.engines.tensorrt import BatchProfile, building, plan_runner
from mvrec_edge.runtime.engines.tensorrt.building import ensure_plan
from mvrec_edge.runtime.engines.tensorrt.bundled_plans import store_plans
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel
from mvrec_edge.runtime.engines.tensorrt.flavour import FLAVOURS, TENSORRT, TENSORRT_RTX, Flavour
from mvrec_edge.runtime.engines.tensorrt.plan_keys import Capabilities, PlanTarget, PortablePlanKey, plan_key
from mvrec_edge.runtime.engines.tensorrt.profile import AnyProfile, CuttingProfile
from mvrec_edge.runtime.engines.tensorrt.tensorrt_engine import TensorRtEngine
from mvrec_edge.runtime.engines.verification import verify_bundle
from mvrec_edge.runtime.errors import EnvironmentUnfitError, IntegrityError, UsageError
from mvrec_edge.runtime.regions.opening import open_source
from mvrec_edge.runtime.views.patches import PatchViews, cut_patch
from tests.conftest import TINY
from tests.fakes.putting import put_plan
from tests.unit.runtime.engines.watching import check_forked

SIZE = TINY.image_size
SMALL = BatchProfile(1, 2, 4)
CUTTING = CuttingProfile.beside(SMALL)
PLAN = ViewPlan.by_name("ms", size=SIZE)
RTX_RELEASE = "1.7.1.116"


@pytest.fixture(autouse=True)
def _nothing_is_held(stand_ins: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Patches of 512 x 512 pixels take a CPU about a second.
    limits = dataclasses.replace(CuttingProfile.limits, sides=(160, 288, 1024))
    monkeypatch.setattr(CuttingProfile, "limits", limits)
    yield
    assert stand_ins.held == (0, 0, 0)


def put(bundle: Bundle, flavour: Flavour, *profiles: AnyProfile) -> list[Path]:
    """Plans of fp32 in the cache folder, as if they had been built."""
    target: PlanTarget = Capabilities() if flavour.portable else GpuModel("Fake GPU", "8.7")
    release = RTX_RELEASE if flavour.portable else "10.3.0"
    return [put_plan(bundle, "fp32", profile, target=target, release=release) for profile in profiles]


@pytest.fixture
def planned(stand_ins: Any, cutting_bundle: Bundle) -> list[Path]:
    """Both plans of both libraries; those of TensorRT first."""
    return [path for flavour in FLAVOURS.values() for path in put(cutting_bundle, flavour, SMALL, CUTTING)]


def opened(bundle: Bundle, flavour: Flavour = TENSORRT, **options: Any) -> TensorRtEngine:
    return TensorRtEngine(bundle, flavour=flavour, precision="fp32", profile=SMALL, **options)


def picture(height: int = 90, width: int = 120, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pieces_of(image: npt.NDArray[np.uint8], *boxes: tuple[int, int, int, int], plan: ViewPlan = PLAN) -> Any:
    """The patches of regions, and their views."""
    regions = [Region.from_box(box, image.shape[:2]) for box in boxes]
    patches = [cut_patch(image, region, plan) for region in regions]
    return patches, np.concatenate([crop_views(image, region, plan) for region in regions])


def check_the_same(engine: Engine, patches: list[PatchViews], views: npt.NDArray[np.uint8]) -> None:
    cut = np.zeros_like(views)
    embeddings = engine.encode_patches(patches, cut=cut)
    np.testing.assert_array_equal(cut, views)
    np.testing.assert_allclose(embeddings, engine.encode(views), rtol=0, atol=2e-5)


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize(
    ("flavour", "library"),
    [
        *((TENSORRT, library) for library in ("cuda-python", "cuda-python without graphs", "pycuda")),
        (TENSORRT_RTX, "cuda-python"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.engine,
)
def test_views_are_those_of_crop_views(stand_ins: Any, cutting_bundle: Bundle, flavour: Flavour, library: str) -> None:
    if library == "pycuda":
        stand_ins.without("cuda")
    if library == "cuda-python without graphs":
        stand_ins.mode(FAKE_CUDA="nograph")
    with open_engine(flavour.engine, cutting_bundle, precision="fp32") as engine:
        assert engine.cuts_views
        assert engine.device.endswith(", views cut in the graph")
        assert (engine.patch_limits.views, engine.batch) == (4, 4)
        # The longer first: what it leaves in the buffers must not be seen afterwards.
        check_the_same(engine, *pieces_of(picture(), (40, 30, 70, 60), (0, 0, 9, 5)))
        check_the_same(engine, *pieces_of(picture(seed=1), (100, 70, 119, 89)))


@pytest.mark.usefixtures("planned")
def test_fewer_views_patches_and_columns_than_there_is_room_for(cutting_bundle: Bundle) -> None:
    """Indices that an earlier batch left behind must not lead beyond the shapes of a smaller one."""
    one = ViewPlan.by_name("none", size=SIZE)
    with opened(cutting_bundle) as engine:
        boxes = [(place, 10, place + 9, 20) for place in (5, 25, 45, 65)]
        check_the_same(engine, *pieces_of(picture(), *boxes, plan=one))
        patches, views = pieces_of(picture(seed=2), *boxes[:2], plan=one)
        check_the_same(engine, patches[:1], views[:1])
        check_the_same(engine, patches, views)


@pytest.mark.usefixtures("planned")
def test_what_the_graph_cannot_cut_goes_to_the_other_plan(cutting_bundle: Bundle) -> None:
    region = Region.from_box((40, 30, 70, 60), (90, 120))
    with opened(cutting_bundle) as engine:
        for plan in (ViewPlan.by_name("mf", size=SIZE), ViewPlan.by_name("ms", size=SIZE, resample="fast")):
            views = views_for(engine, picture(), region, plan)
            assert isinstance(views, np.ndarray)
            assert engine.encode(views[:2]).shape == (2, TINY.embedding_dim)
        assert isinstance(views_for(engine, picture(), region, PLAN), PatchViews)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mvrec_edge.testing.dataset import write_dataset

    folder = tmp_path_factory.mktemp("parts") / "parts"
    write_dataset(folder, families=("scratch", "pit"), per_class=2, size=(120, 160), seed=0)
    return folder


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize("flavour", FLAVOURS.values(), ids=lambda flavour: flavour.engine)
def test_classify_gives_the_same_records(cutting_bundle: Bundle, parts: Path, flavour: Flavour) -> None:
    records = []
    for in_graph in (False, True):
        with opened(cutting_bundle, flavour, views_in_graph=in_graph) as engine:
            assert engine.cuts_views is in_graph
            if not records:
                cache = encode_support(engine, read_labelled(open_source(parts)), PLAN)
            classified = classify_source(engine, cache, open_source(parts), ClassifySettings(), say=print)
            rows = [prediction.to_record() for image in classified for prediction in image.predictions]
            records.append([{key: value for key, value in row.items() if key != "ms"} for row in rows])
    assert len(records[0]) == 4
    assert records[0] == records[1]


@pytest.mark.usefixtures("planned")
def test_verify_compares_the_views(cutting_bundle: Bundle) -> None:
    (verdict,) = verify_bundle(cutting_bundle, [("tensorrt", None)], ["fp32"])
    assert (verdict.passed, verdict.cut_difference, verdict.cut_limit) == (True, 0, 1)


@pytest.mark.usefixtures("planned")
def test_both_plans_work_in_the_same_memory(stand_ins: Any, cutting_bundle: Bundle) -> None:
    with opened(cutting_bundle):
        sizes = sorted(len(memory) for memory in stand_ins.gpu.allocations.values())
    # The stand-in needs 4096 for the one plan, and 10 times as much for the other.
    assert sizes.count(40960) == 1
    # And nothing but the tensors of both, 2 and 12, in host memory and on the GPU.
    assert len(sizes) == 1 + 2 * 14


@pytest.mark.usefixtures("planned")
def test_rare_shapes_are_not_prepared(cutting_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_runner, "_MOST_PREPARED", 1)
    with opened(cutting_bundle) as engine:
        for boxes in ([(40, 30, 70, 60)], [(0, 0, 9, 5), (50, 30, 60, 40)], [(40, 30, 70, 60)]):
            check_the_same(engine, *pieces_of(picture(), *boxes))


@pytest.mark.usefixtures("planned")
def test_kernels_of_new_shapes_are_kept(stand_ins: Any, cutting_bundle: Bundle) -> None:
    patches, _ = pieces_of(picture(), (40, 30, 70, 60))
    for _ in range(2):
        with opened(cutting_bundle, TENSORRT_RTX) as engine:
            engine.encode_patches(patches)
    found = [size for size in stand_ins.rtx.compiled if isinstance(size, list)]
    # That of the opening and that of the region, both of them once.
    assert [size[-1] for size in found] == [[1, 512], [3, 512]]
    assert stand_ins.files.count(".jit") == 2


@pytest.mark.usefixtures("planned")
def test_on_a_jetson_views_are_cut_on_the_cpu(
    cutting_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = tmp_path / "board"
    (board / "etc").mkdir(parents=True)
    (board / "etc" / "nv_tegra_release").write_text("# R36 (release), REVISION: 4.3, GCID: 1\n")
    monkeypatch.setattr(jetson, "SYSTEM", board)
    said: list[str] = []
    with opened(cutting_bundle, say=said.append) as engine:
        assert not engine.cuts_views
    assert said == [
        "views are cut on the CPU, although the bundle has a graph that does it: on a Jetson it would take 0.6 GB"
    ]
    with opened(cutting_bundle, views_in_graph=True) as engine:
        assert engine.cuts_views


def test_a_plan_that_cannot_be_built_is_left_out_and_said(stand_ins: Any, cutting_bundle: Bundle) -> None:
    put(cutting_bundle, TENSORRT, SMALL)
    said: list[str] = []
    with opened(cutting_bundle, say=said.append) as engine:
        assert not engine.cuts_views
        assert "views cut" not in engine.device
        assert engine.encode(np.zeros((1, SIZE, SIZE, 4), np.uint8)).shape == (1, TINY.embedding_dim)
    assert said[0].startswith(
        "building a TensorRT 10.3.0 plan of the fp32 graph that cuts views for Fake GPU, batch "
        "1:2:4 from 3 patches up to 1024, 9 columns: this takes minutes"
    )
    assert said[1].startswith(
        "views are cut on the CPU, because the graph that cuts them does not run here: building the plan ended with"
    )
    with pytest.raises(EnvironmentUnfitError, match="building the plan ended"):
        opened(cutting_bundle, views_in_graph=True)
    # What failed is noted, and nothing else is left.
    assert stand_ins.files == [".failed", ".json", ".plan"]


def test_what_failed_to_build_is_not_tried_again_by_itself(
    stand_ins: Any, cutting_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cutting_bundle, TENSORRT, SMALL)
    for _ in range(2):
        said: list[str] = []
        opened(cutting_bundle, say=said.append).close()
    (line,) = said
    assert line.startswith(
        "views are cut on the CPU, because the graph that cuts them does not run here: its plan could not be built "
        "before: building the plan ended with"
    )
    assert line.endswith("(to try it again: mvrec-edge build BUNDLE --for this-gpu --precision fp32 --batch 1:2:4)")
    # It is of this very plan.
    other = BatchProfile(1, 2, 3)
    put(cutting_bundle, TENSORRT, other)
    said.clear()
    TensorRtEngine(cutting_bundle, precision="fp32", profile=other, say=said.append).close()
    assert said[0].startswith("building a TensorRT")
    # Whoever asks for the plan has it built; and where it is there, it is taken.
    gpu = GpuModel("Fake GPU", "8.7")
    monkeypatch.setattr(building, "_run", lambda _flavour, request, *_: Path(request["target"]).write_bytes(b"plan"))
    assert ensure_plan(cutting_bundle, "fp32", gpu, CUTTING).built
    assert stand_ins.files.count(".failed") == 1
    assert not ensure_plan(cutting_bundle, "fp32", gpu, CUTTING, dispensable=True).built


def test_a_note_that_is_not_ours_stops_no_build(stand_ins: Any, cutting_bundle: Bundle) -> None:
    put(cutting_bundle, TENSORRT, SMALL)
    opened(cutting_bundle).close()
    (note,) = (stand_ins.cache / "plans").glob("*.failed")
    whole = note.read_bytes()
    for broken in (b"", b"{}", whole[:-9], whole.replace(b"Fake GPU", b"Other GPU"), b"[" * 100_000):
        note.write_bytes(broken)
        said: list[str] = []
        opened(cutting_bundle, say=said.append).close()
        assert said[0].startswith("building a TensorRT")
        assert note.read_bytes() == whole


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_build_that_was_stopped_is_tried_again(
    stand_ins: Any, cutting_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "stopped.py").write_text(
        f"import os, signal\nsignal.signal(signal.{name}, signal.SIG_DFL)\nos.kill(os.getpid(), signal.{name})\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(building, "_MODULE", "stopped")
    put(cutting_bundle, TENSORRT, SMALL)
    said: list[str] = []
    opened(cutting_bundle, say=said.append).close()
    assert f"was ended by {name}" in said[1]
    assert stand_ins.files == [".json", ".plan"]


@pytest.mark.usefixtures("planned")
def test_no_memory_for_the_second_plan(stand_ins: Any, cutting_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = __import__("cuda.bindings.runtime").bindings.runtime
    real = runtime.cudaMalloc

    def full(size: int) -> Any:
        return (runtime.cudaError_t.cudaErrorMemoryAllocation, 0) if size == 40960 else real(size)

    monkeypatch.setattr(runtime, "cudaMalloc", full)
    said: list[str] = []
    with opened(cutting_bundle, say=said.append) as engine:
        assert not engine.cuts_views
        assert engine.encode(np.zeros((1, SIZE, SIZE, 4), np.uint8)).shape == (1, TINY.embedding_dim)
    assert "does not run here: CUDA: " in said[0]
    assert "cudaErrorMemoryAllocation" in said[0]


def test_a_bundle_without_the_graph(stand_ins: Any, tiny_bundle: Bundle) -> None:
    put(tiny_bundle, TENSORRT, SMALL)
    with opened(tiny_bundle) as engine:
        assert not engine.cuts_views
        with pytest.raises(UsageError, match=r"does not cut views .*--views-in-graph"):
            engine.encode_patches([])
    with pytest.raises(UsageError, match=r"has no fp32 graph that cuts views .*--views-in-graph"):
        opened(tiny_bundle, views_in_graph=True)


def test_a_changed_plan_in_the_cache_is_not_loaded(planned: list[Path], cutting_bundle: Bundle) -> None:
    plan = planned[1]
    plan.write_bytes(plan.read_bytes()[:-1] + b"x")
    said: list[str] = []
    with opened(cutting_bundle, say=said.append) as engine:
        assert not engine.cuts_views
    assert "the plan is built again, because the one that is there cannot be loaded" in said[0]
    assert "was changed after it was built" in said[0]


def test_a_plan_of_the_other_graph_is_refused(planned: list[Path], cutting_bundle: Bundle) -> None:
    """Whole, and with a record of its own, so that nothing but its tensors tells."""
    from mvrec_edge.runtime.engines.tensorrt.plans import record_plan

    plain, cutting = planned[:2]
    shutil.copyfile(plain, cutting)
    graph = cutting_bundle.manifest.graph_digest("fp32", "views")
    record_plan(plan_key(graph, "10.3.0", GpuModel("Fake GPU", "8.7"), CUTTING), cutting)
    with pytest.raises(EnvironmentUnfitError, match="inputs and outputs are not those of the bundle's graph"):
        opened(cutting_bundle, views_in_graph=True)


@pytest.fixture
def stored(planned: list[Path], cutting_bundle_path: Path, tmp_path: Path, stand_ins: Any) -> Bundle:
    """A bundle that holds both plans, and an empty cache folder."""
    bundle = Bundle.load(shutil.copytree(cutting_bundle_path, tmp_path / "own.bundle"))
    plans = {}
    for profile, path in zip((SMALL, CUTTING), planned[2:], strict=True):
        digest = bundle.manifest.graph_digest("fp32", profile.variant)
        key = plan_key(digest, RTX_RELEASE, Capabilities(), profile)
        assert isinstance(key, PortablePlanKey)
        plans[profile.variant] = key, path.read_bytes()
    store_plans(bundle, "fp32", plans)
    shutil.rmtree(stand_ins.cache)
    return Bundle.load(bundle.path)


def test_plans_of_the_bundle_are_taken(stored: Bundle) -> None:
    assert [(plan.variant, plan.file) for plan in stored.manifest.plans] == [
        ("", "encoder.fp32.tensorrt-rtx.plan"),
        ("views", "encoder.fp32.views.tensorrt-rtx.plan"),
    ]
    said: list[str] = []
    with open_engine("tensorrt-rtx", stored, precision="fp32", say=said.append) as engine:
        assert engine.cuts_views
        check_the_same(engine, *pieces_of(picture(), (40, 30, 70, 60)))
    assert said == []


def test_one_plan_is_replaced_and_the_other_stays(stored: Bundle) -> None:
    first, second = stored.manifest.plans
    key = PortablePlanKey(second.graph, second.library, "1.8.0", second.capabilities, second.profile)
    store_plans(stored, "fp32", {"views": (key, b"new")})
    again = Bundle.load(stored.path)
    assert again.manifest.plan("fp32", "tensorrt-rtx") == first
    assert again.manifest.plan("fp32", "tensorrt-rtx", "views").release == "1.8.0"  # type: ignore[union-attr]
    assert again.fingerprint("fp32") == stored.fingerprint("fp32")


def test_a_changed_plan_in_the_bundle_never_reaches_the_library(stored: Bundle) -> None:
    file = stored.path / "encoder.fp32.views.tensorrt-rtx.plan"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match=r"encoder\.fp32\.views\.tensorrt-rtx\.plan: was changed"):
        Bundle.load(stored.path)
    # Nor is it passed over for the CPU.
    with pytest.raises(IntegrityError, match="was changed after it was built"):
        opened(Bundle.load(stored.path, graphs=("fp32",)), TENSORRT_RTX)


@pytest.mark.usefixtures("planned")
def test_a_forked_child_is_told_and_a_closed_engine_cuts_nothing(cutting_bundle: Bundle) -> None:
    engine = opened(cutting_bundle)
    check_forked(engine)
    patches, _ = pieces_of(picture(), (40, 30, 70, 60))
    engine.close()
    with pytest.raises(EnvironmentUnfitError, match="the engine is closed"):
        engine.encode_patches(patches)
