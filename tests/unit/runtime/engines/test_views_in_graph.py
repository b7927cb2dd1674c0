"""Engines that cut views themselves: the same answers, whatever is cut where."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

onnx = pytest.importorskip("onnx", reason="it changes graphs")
pytest.importorskip("onnxruntime", reason="it runs the graphs")
pytest.importorskip("torch", reason="the graphs are exported here")

from onnx import numpy_helper  # noqa: E402

from mvrec_edge.calib import encode_support, read_labelled  # noqa: E402
from mvrec_edge.runtime import ImageRegions, Region, ViewPlan, crop_views, open_engine  # noqa: E402
from mvrec_edge.runtime.bundle import Bundle, write_bundle  # noqa: E402
from mvrec_edge.runtime.classifier.classification import ClassifySettings, classify_source  # noqa: E402
from mvrec_edge.runtime.engines.encoding import encode_images, views_for  # noqa: E402
from mvrec_edge.runtime.engines.engine import Engine  # noqa: E402
from mvrec_edge.runtime.engines.onnxruntime import OnnxRuntimeEngine  # noqa: E402
from mvrec_edge.runtime.engines.verification import verify_bundle  # noqa: E402
from mvrec_edge.runtime.errors import EnvironmentUnfitError, IntegrityError, UsageError  # noqa: E402
from mvrec_edge.runtime.regions.opening import open_source  # noqa: E402
from mvrec_edge.runtime.views.patches import PatchViews, cut_patch  # noqa: E402
from tests.conftest import TINY  # noqa: E402
from tests.unit.runtime.engines.watching import check_forked, check_watched  # noqa: E402

SIZE = TINY.image_size


def picture(height: int = 90, width: int = 120, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def patch_of(region: Region, plan: ViewPlan) -> PatchViews:
    patch = cut_patch(picture(), region, plan)
    assert patch is not None
    return patch


REGION = Region.from_box((40, 30, 70, 60), (90, 120))
SMALL_PLAN = ViewPlan.by_name("ms", size=SIZE)


@pytest.fixture
def cutting(cutting_bundle: Bundle) -> Iterator[Engine]:
    with open_engine("onnxruntime", cutting_bundle, views_in_graph=True) as engine:
        yield engine


@pytest.fixture
def plain(cutting_bundle: Bundle) -> Iterator[Engine]:
    with open_engine("onnxruntime", cutting_bundle) as engine:
        yield engine


def test_the_bundle_lists_its_graphs_with_what_came_of_them(cutting_bundle: Bundle) -> None:
    graphs = cutting_bundle.manifest.graphs
    targets = {graph.precision: [variant.target for variant in graph.variants] for graph in graphs}
    assert targets == {"fp32": ["views"], "fp16": ["onnxruntime-cuda", "views", "views-onnxruntime-cuda"]}
    for graph in graphs:
        for variant in graph.variants:
            if variant.target.startswith("views"):
                assert variant.cut is not None
                assert (variant.cut.differing, variant.cut.largest_difference) == (0, 0)
                assert variant.cut.views >= 18
                assert [check.kind for check in variant.checks] == ["rendered defects"]
                assert variant.file == f"encoder.{graph.precision}.{variant.target}.onnx"


def test_embeddings_are_those_of_views_cut_before(cutting: Engine, plain: Engine) -> None:
    assert (cutting.cuts_views, plain.cuts_views) == (True, False)
    assert cutting.device == f"{plain.device}, views cut in the graph"
    assert cutting.fingerprint == plain.fingerprint
    regions = [REGION, Region.from_box((0, 0, 9, 5), (90, 120))]
    plans = [SMALL_PLAN, ViewPlan.by_name("mso_bbox", size=SIZE)]
    pieces = [patch_of(region, plan) for region, plan in zip(regions, plans, strict=True)]
    views = np.concatenate([crop_views(picture(), *pair) for pair in zip(regions, plans, strict=True)])
    seen: list[int] = []
    cut = np.zeros_like(views)
    embeddings = cutting.encode_patches(pieces, seen.append, cut=cut)
    np.testing.assert_array_equal(cut, views)
    np.testing.assert_array_equal(embeddings, plain.encode(views))
    assert seen == [9, 9, 9, 3]


def test_without_the_graph_or_when_closed_it_says_so(tiny_bundle: Bundle, plain: Engine, cutting: Engine) -> None:
    piece = patch_of(REGION, SMALL_PLAN)
    with pytest.raises(UsageError, match=r"does not cut views .*--views-in-graph"):
        plain.encode_patches([piece])
    with pytest.raises(UsageError, match=r"has no fp32 graph that cuts views .*--views-in-graph"):
        open_engine("onnxruntime", tiny_bundle, views_in_graph=True)
    with pytest.raises(UsageError, match="engine 'openvino' does not cut views"):
        open_engine("openvino", tiny_bundle, views_in_graph=True)
    assert cutting.encode_patches([]).shape == (0, TINY.embedding_dim)
    cutting.close()
    with pytest.raises(EnvironmentUnfitError, match="is closed"):
        cutting.encode_patches([piece])


def test_files_are_watched_and_a_forked_child_is_told(cutting_bundle: Bundle, cutting: Engine) -> None:
    check_watched(cutting_bundle, lambda bundle: OnnxRuntimeEngine(bundle, views_in_graph=True))
    check_forked(cutting)


def test_views_are_cut_here_where_the_graph_cannot(cutting: Engine, plain: Engine) -> None:
    def kind(engine: Engine, plan: ViewPlan, region: Region = REGION, side: int = 90) -> type:
        return type(views_for(engine, picture(side), region, plan))

    assert kind(cutting, SMALL_PLAN) is PatchViews
    assert kind(plain, SMALL_PLAN) is np.ndarray
    assert kind(cutting, ViewPlan.by_name("mf", size=SIZE)) is np.ndarray
    assert kind(cutting, ViewPlan.by_name("ms", size=SIZE, resample="fast")) is np.ndarray
    # Views of another size are refused, and not cut in that of the graph.
    wrong = views_for(cutting, picture(), REGION, ViewPlan.by_name("ms", size=SIZE + 1))
    with pytest.raises(UsageError, match="views must be"):
        cutting.encode(wrong)  # type: ignore[arg-type]


def test_both_kinds_of_views_share_a_batch(cutting: Engine, plain: Engine) -> None:
    """Boxes of which one needs windows that are larger than those of the graph."""
    height, width = 40, 1100
    image = picture(height, width)
    boxes = [(500, 10, 520, 30), (0, 0, 1099, 39), (20, 5, 60, 35)]
    regions = [Region.from_box(box, (height, width)) for box in boxes]
    plan = ViewPlan(name="own", scales=(1.0, 2.0), of_box=True, size=SIZE)
    kinds = [type(views_for(cutting, image, region, plan)) for region in regions]
    assert kinds == [PatchViews, np.ndarray, PatchViews]
    results = [next(encode_images(engine, plan, [ImageRegions(0, image, regions)])) for engine in (cutting, plain)]
    np.testing.assert_allclose(results[0].embeddings, results[1].embeddings, rtol=0, atol=1e-5)
    assert min(results[0].encode_ms) > 0


@pytest.mark.parametrize("views", ["all", "auto"])
def test_classify_gives_the_same_records(cutting: Engine, plain: Engine, views: str, parts: Path) -> None:
    cache = encode_support(plain, read_labelled(open_source(parts)), SMALL_PLAN)
    records = []
    for engine in (plain, cutting):
        classified = classify_source(engine, cache, open_source(parts), ClassifySettings(views=views), say=print)
        rows = [prediction.to_record() for image in classified for prediction in image.predictions]
        records.append([{key: value for key, value in row.items() if key != "ms"} for row in rows])
    assert len(records[0]) == 9
    assert records[0] == records[1]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mvrec_edge.testing.dataset import write_dataset

    folder = tmp_path_factory.mktemp("parts") / "parts"
    write_dataset(folder, families=("scratch", "stain", "pit"), per_class=3, size=(120, 160), seed=0)
    return folder


def test_verify_compares_the_views(cutting_bundle: Bundle) -> None:
    (verdict,) = verify_bundle(cutting_bundle, [("onnxruntime", None)], ["fp32"])
    assert (verdict.passed, verdict.cut_difference, verdict.cut_limit) == (True, 0, 0)
    assert verdict.cut_cosine == pytest.approx(1.0, abs=1e-6)


def _changed(bundle: Bundle, path: Path, name: str, change: Callable[[bytes], bytes]) -> Bundle:
    """A copy of a bundle with another file of that name, whole and with a manifest of its own."""
    with write_bundle(path) as draft:
        for record in bundle.manifest.files:
            shutil.copyfile(bundle.path / record.name, draft.folder / record.name)
        file = draft.folder / name
        file.write_bytes(change(file.read_bytes()))
        manifest = bundle.manifest
        draft.finish(
            created_by="test", architecture=manifest.architecture, weights=manifest.weights, graphs=manifest.graphs
        )
    return Bundle.load(path)


def _without_the_half(graph: bytes) -> bytes:
    """The graph with a number below the half that is added before values are cut off."""
    model = onnx.ModelProto.FromString(graph)
    for tensor in model.graph.initializer:
        if tensor.name.startswith("cut/") and numpy_helper.to_array(tensor).tolist() == 0.5:
            tensor.CopyFrom(numpy_helper.from_array(np.array(0.499, np.float32), tensor.name))
    return model.SerializeToString()


def test_a_graph_that_cuts_otherwise_fails(cutting_bundle: Bundle, tmp_path: Path) -> None:
    other = _changed(cutting_bundle, tmp_path / "other", "encoder.fp32.views.onnx", _without_the_half)
    (verdict,) = verify_bundle(other, [("onnxruntime", None)], ["fp32"])
    assert verdict.passed is False
    assert verdict.cut_difference is not None
    assert verdict.cut_difference >= 1


def test_a_graph_that_was_tampered_with_is_refused(cutting_bundle: Bundle, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(cutting_bundle.path, copy)
    loaded = Bundle.load(copy)
    file = copy / "encoder.fp32.views.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    for attempt in (lambda: Bundle.load(copy), lambda: open_engine("onnxruntime", loaded, views_in_graph=True)):
        with pytest.raises(IntegrityError, match="was changed after it was exported"):
            attempt()


def test_operators_of_onnx_runtime_are_refused_in_the_graph_of_standard_ones(
    cutting_bundle: Bundle, tmp_path: Path
) -> None:
    """Even where the manifest agrees with it."""
    fused = (cutting_bundle.path / "encoder.fp16.views-onnxruntime-cuda.onnx").read_bytes()
    bundle = _changed(cutting_bundle, tmp_path / "mixed", "encoder.fp16.views.onnx", lambda _: fused)
    assert bundle.variant("fp16", "views-onnxruntime-cuda") is not None
    with pytest.raises(IntegrityError, match=r"operators of the domain 'com\.microsoft'"):
        open_engine("onnxruntime", bundle, precision="fp16", views_in_graph=True)


def test_a_graph_that_takes_something_else_is_one_line(cutting_bundle: Bundle, tmp_path: Path) -> None:
    plain = (cutting_bundle.path / "encoder.fp32.onnx").read_bytes()
    swapped = _changed(cutting_bundle, tmp_path / "swapped", "encoder.fp32.views.onnx", lambda _: plain)
    with (
        open_engine("onnxruntime", swapped, views_in_graph=True) as engine,
        pytest.raises(EnvironmentUnfitError, match="failed on a graph that cuts views: "),
    ):
        engine.encode_patches([patch_of(REGION, SMALL_PLAN)])
