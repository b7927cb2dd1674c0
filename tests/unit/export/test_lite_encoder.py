"""EfficientNet-Lite as an encoder: its folded module, its pooling, and its graphs in every precision."""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the export stage needs PyTorch")
onnx = pytest.importorskip("onnx", reason="the export stage needs onnx")

from torch import nn  # noqa: E402

from mvrec_edge.export import random_weights  # noqa: E402
from mvrec_edge.export.check import open_runner, reference_embeddings, seeded_views  # noqa: E402
from mvrec_edge.export.checkpoint import EncoderWeights  # noqa: E402
from mvrec_edge.export.encoder import load_encoder  # noqa: E402
from mvrec_edge.export.graph import trace_graph  # noqa: E402
from mvrec_edge.export.lite_encoder import MASK_FLOOR, Convolution, LiteViewsEncoder, lite_shapes  # noqa: E402
from mvrec_edge.export.precision import write_variant  # noqa: E402
from mvrec_edge.runtime.bundle import LiteArchitecture, limits_of  # noqa: E402
from mvrec_edge.runtime.errors import EnvironmentUnfitError, UsageError  # noqa: E402
from tests.conftest import TINY  # noqa: E402

# Two places a side in the last feature map.
SMALL = LiteArchitecture(64)
FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


def lively_weights(seed: int) -> EncoderWeights:
    """Weights whose normalisations do something, so that folding them wrongly is seen."""
    weights = random_weights(SMALL, seed)
    random = np.random.default_rng(seed)
    for name, tensor in weights.tensors.items():
        if tensor.ndim == 1:
            low, high = (0.5, 1.5) if name.endswith(("weight", "running_var")) else (-0.3, 0.3)
            weights.tensors[name] = torch.from_numpy(random.uniform(low, high, len(tensor)).astype(np.float32))
    return weights


@pytest.fixture(scope="module")
def module() -> LiteViewsEncoder:
    return LiteViewsEncoder(lively_weights(0))


@pytest.fixture(scope="module")
def exact(module: LiteViewsEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The float32 graph."""
    path = tmp_path_factory.mktemp("lite") / "encoder.fp32.onnx"
    trace_graph(module, path)
    return path


@pytest.fixture(scope="module")
def half(exact: Path) -> onnx.ModelProto:
    """The typed graph."""
    path = exact.with_name("encoder.fp16.onnx")
    write_variant("fp16", exact, path, np.zeros((0, 64, 64, 4), np.uint8))
    return onnx.load(path)


@settings(max_examples=40, deadline=None)
@given(
    kernel=st.sampled_from((1, 3, 5)),
    stride=st.sampled_from((1, 2)),
    half_side=st.integers(2, 9),
    seed=st.integers(0, 99),
)
def test_padding_is_that_of_tensorflow(kernel: int, stride: int, half_side: int, seed: int) -> None:
    """Place i of the output is the sum over the kernel laid at i * stride - before, zeros beyond the border."""
    if kernel == 1 and stride == 2:
        return
    side, random = 2 * half_side, np.random.default_rng(seed)
    weight, image = random.normal(size=(kernel, kernel)), random.normal(size=(side, side))
    convolution = Convolution(
        torch.from_numpy(weight)[None, None], torch.zeros(1, dtype=torch.float64), stride=stride, clipped=False
    )
    got = convolution(torch.from_numpy(image.astype(np.float32))[None, None])[0, 0].numpy()
    whole = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    padded = np.pad(image, (whole // 2, whole - whole // 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel))[::stride, ::stride]
    want = (windows * weight).sum(axis=(2, 3))
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_folding_keeps_what_convolution_and_normalisation_compute() -> None:
    """The first two convolutions step by step, in float64, with the normalisations as PyTorch has them."""
    weights = lively_weights(1)
    module = LiteViewsEncoder(weights)

    def normalised(planes: torch.Tensor, norm: str) -> torch.Tensor:
        names = ("running_mean", "running_var", "weight", "bias")
        parts = (weights.tensors[f"{norm}.{name}"].double() for name in names)
        return nn.functional.batch_norm(planes, *parts, eps=1e-3)

    image = torch.randint(0, 256, (2, 3, 64, 64), generator=torch.Generator().manual_seed(0)).float()
    planes = nn.functional.pad((image.double() - 127) / 128, (0, 1, 0, 1))
    planes = nn.functional.conv2d(planes, weights.tensors["_conv_stem.weight"].double(), stride=2)
    planes = normalised(planes, "_bn0").clamp(0, 6)
    each = nn.functional.conv2d(
        planes, weights.tensors["_blocks.0._depthwise_conv.weight"].double(), padding=1, groups=32
    )
    each = normalised(each, "_blocks.0._bn1").clamp(0, 6)
    want = nn.functional.conv2d(each, weights.tensors["_blocks.0._project_conv.weight"].double())
    want = normalised(want, "_blocks.0._bn2")
    got = module.blocks[0](module.first(image - 127.0))
    np.testing.assert_allclose(got.numpy(), want.numpy(), atol=1e-5)


def with_mask(mask: np.ndarray, seed: int = 0) -> np.ndarray:
    """A view of noise with a mask, uint8 `[1, 64, 64, 4]`."""
    view = seeded_views(1, 64, seed=seed)
    view[..., 3] = mask
    return view


def test_without_a_mask_and_with_a_full_one_it_is_the_plain_mean(module: LiteViewsEncoder) -> None:
    empty, full = (with_mask(np.full((64, 64), value, np.uint8)) for value in (0, 255))
    plain = module.features(torch.from_numpy(empty[..., :3]).permute(0, 3, 1, 2).float()).mean(dim=(2, 3)).numpy()
    for views in (empty, full):
        np.testing.assert_allclose(reference_embeddings(module, views), plain, rtol=1e-5, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**16))
def test_a_place_counts_by_how_much_of_it_the_mask_covers(module: LiteViewsEncoder, seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = (random.random((64, 64)) < random.random()).astype(np.uint8) * random.integers(0, 256, dtype=np.uint8)
    views = with_mask(mask, seed)
    features = module.features(torch.from_numpy(views[..., :3]).permute(0, 3, 1, 2).float())[0].double().numpy()
    counts = mask.reshape(2, 32, 2, 32).mean(axis=(1, 3)) / 255 + MASK_FLOOR
    want = (features * counts).sum(axis=(1, 2)) / counts.sum()
    np.testing.assert_allclose(reference_embeddings(module, views)[0], want, rtol=1e-4, atol=1e-5)


def test_the_graph_is_small_and_reads_the_pixels_in_one_place(exact: Path) -> None:
    graph = onnx.load(exact, load_external_data=False).graph
    counts = collections.Counter(node.op_type for node in graph.node)
    assert counts["Conv"] == 49
    assert counts["Clip"] == 33
    # Nine blocks add their input, and the mask has a floor; borders and normalisations are in the convolutions.
    assert counts["Add"] == 10
    assert not counts.keys() & {"Pad", "BatchNormalization", "Resize"}
    assert [node.op_type for node in graph.node if "views" in node.input] == ["Cast"]
    first = next(node for node in graph.node if node.op_type == "Conv")
    assert [list(item.ints) for item in first.attribute if item.name == "pads"] == [[0, 0, 1, 1]]


@pytest.mark.parametrize("batch", [1, 3])
def test_the_graph_computes_what_the_module_computes(module: LiteViewsEncoder, exact: Path, batch: int) -> None:
    views = seeded_views(batch, 64, seed=4)
    with open_runner(exact, "fp32") as run:
        got = run(views)
    want = reference_embeddings(module, views)
    np.testing.assert_allclose(got, want, atol=1e-5 * np.linalg.norm(want, axis=1).max())


def test_types_stand_in_the_fp16_graph(half: onnx.ModelProto) -> None:
    """Convolutions are narrow but the first, which reads pixels; what is added to and averaged is not."""
    inferred = onnx.shape_inference.infer_shapes(half, strict_mode=True).graph
    types = {item.name: item.type.tensor_type.elem_type for item in (*inferred.value_info, *inferred.output)}
    types |= {item.name: item.data_type for item in inferred.initializer}
    kinds = [types[node.output[0]] for node in half.graph.node if node.op_type == "Conv"]
    assert kinds == [FLOAT] + [HALF] * 48
    assert {types[node.output[0]] for node in half.graph.node if node.op_type in {"Add", "Mul", "ReduceSum"}} == {FLOAT}
    assert types["embedding"] == FLOAT


def test_the_fp16_graph_keeps_its_limits(module: LiteViewsEncoder, exact: Path, half: onnx.ModelProto) -> None:
    views = seeded_views(3, 64, seed=5)
    with open_runner(exact.with_name("encoder.fp16.onnx"), "fp16") as run:
        got = run(views).astype(np.float64)
    want = reference_embeddings(module, views)
    cosine = (got * want).sum(axis=1) / np.linalg.norm(got, axis=1) / np.linalg.norm(want, axis=1)
    assert cosine.min() >= limits_of("fp16").cosine


def test_bf16_is_refused_plainly(exact: Path, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnfitError, match=r"no convolution in bf16 .*leave bf16 out"):
        write_variant("bf16", exact, tmp_path / "encoder.bf16.onnx", np.zeros((0, 64, 64, 4), np.uint8))


def test_int8_is_of_all_convolutions_but_the_first(exact: Path, tmp_path: Path) -> None:
    """With what is meant for transformers it would be of none, and would keep its limits for that reason."""
    pytest.importorskip("nncf", reason="nncf makes int8")
    path = tmp_path / "encoder.int8.onnx"
    write_variant("int8", exact, path, seeded_views(4, 64, seed=6))
    graph = onnx.load(path).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    kinds = [{makers.get(name) for name in node.input[:2]} for node in graph.node if node.op_type == "Conv"]
    assert kinds[0] == {"Sub", None}
    assert kinds[1:] == [{"DequantizeLinear"}] * 48
    assert {makers[name] for node in graph.node if node.op_type == "Mul" for name in node.input} == {"Div", "Clip"}


def test_weights_of_another_encoder_are_refused() -> None:
    with pytest.raises(UsageError, match="is no EfficientNet-Lite"):
        LiteViewsEncoder(random_weights(TINY, seed=0))
    with pytest.raises(UsageError, match="is no AlphaCLIP encoder"):
        load_encoder(random_weights(SMALL, seed=0))


def test_drawn_weights_are_the_same_for_a_seed() -> None:
    one, other, third = (random_weights(SMALL, seed) for seed in (3, 3, 4))
    assert {name: tuple(tensor.shape) for name, tensor in one.tensors.items()} == lite_shapes(SMALL)
    assert all(torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)
    assert not torch.equal(one.tensors["_conv_stem.weight"], third.tensors["_conv_stem.weight"])
