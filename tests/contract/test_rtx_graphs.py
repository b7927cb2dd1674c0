"""NVIDIA's own parser and builder take every graph that the project exports, and compile it as the graph says.

The library is TensorRT for RTX, which builds without a GPU. `docs/tensorrt.md` lists what it takes and what it refuses.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvrec_edge.pocket import POCKET_BUNDLE
from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.bundle import EncoderArchitecture, LiteArchitecture
from tests.real_rtx import RTX, require_rtx, rtx_release

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "tensorrt.md"
ENCODERS = ("tiny", "pocket")
PRECISIONS = ("fp32", "fp16", "bf16", "int8")

#: Graphs for another engine, and what the parser says of them.
REFUSED = {
    "encoder.fp16.onnxruntime-cuda.onnx": "Q, K, and V inputs must have the same number of dimensions",
    "encoder.fp16.views-onnxruntime-cuda.onnx": "Q, K, and V inputs must have the same number of dimensions",
    "encoder.int8.onnxruntime-x86.onnx": "Non-zero zero point is not supported",
}

#: Element types by the names that the network gives them, and by those that the engine gives them.
NETWORK_TYPE = {"fp32": "FLOAT", "fp16": "HALF", "bf16": "BF16", "int8": "FLOAT"}
ENGINE_TYPE = {"fp32": "Float", "fp16": "Half", "bf16": "BFloat16", "int8": "Int8"}


@dataclasses.dataclass(frozen=True)
class Read:
    """A graph, and what NVIDIA's library made of it.

    Attributes:
        precision: That of the graph.
        architecture: Of the encoder.
        weights: Bytes of the graph's weights.
        answer: See `rtx_builder.built`.
    """

    precision: str
    architecture: EncoderArchitecture
    weights: int
    answer: dict[str, Any]

    def layers(self, kind: str) -> list[tuple[list[str], str, int]]:
        """Of a kind: the types that go in, the one that comes out, and the number."""
        return [(inputs, output, number) for name, inputs, output, number in self.answer["layers"] if name == kind]

    def products(self) -> list[dict[str, Any]]:
        """The parts of the engine that multiply matrices and nothing else but add a bias."""
        return [part for part in self.answer["parts"] if part["kind"] in ("gemm", "runtime_fusion")]

    def weighted_products(self) -> list[dict[str, Any]]:
        """The products whose second factor is a constant."""
        return [part for part in self.products() if part["kind"] == "runtime_fusion" or len(part["inputs"]) == 1]

    def attention_products(self) -> list[dict[str, Any]]:
        """The products of what comes in twice: queries with keys, and their weights with values."""
        return [part for part in self.products() if part["kind"] == "gemm" and len(part["inputs"]) == 2]

    def attentions(self) -> list[dict[str, Any]]:
        """The parts of the engine that are a whole attention."""
        return [part for part in self.answer["parts"] if "_mha_" in part["name"]]


def read_graphs(architecture: EncoderArchitecture, folder: Path, names: list[str]) -> dict[str, Read]:
    """Has the library parse and build the graphs of a folder, in a process of its own."""
    size = architecture.image_size
    result = subprocess.run(
        [sys.executable, Path(__file__).with_name("rtx_builder.py"), RTX],
        input=json.dumps([[str(folder / name), size] for name in names]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    answers = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    found = {}
    for name, answer in zip(names, answers, strict=True):
        precision = name.split(".")[1]
        weights = (folder / f"encoder.{precision}.weights").stat().st_size
        found[name] = Read(precision, architecture, weights, answer)
    return found


@pytest.fixture(scope="module")
def tiny(precisions_bundle_path: Path) -> dict[str, Read]:
    """Every graph of the bundle of the tiny encoder, by its file's name."""
    require_rtx()
    bundle = Bundle.load(precisions_bundle_path)
    names = [record.name for record in bundle.manifest.files if record.name.endswith(".onnx")]
    return read_graphs(bundle.architecture, precisions_bundle_path, names)


@pytest.fixture(scope="module")
def cutting(cutting_bundle_path: Path) -> dict[str, Read]:
    """The graphs of the tiny encoder that cut the views as well."""
    require_rtx()
    bundle = Bundle.load(cutting_bundle_path)
    names = [record.name for record in bundle.manifest.files if re.search(r"\.views\b.*\.onnx$", record.name)]
    assert names
    return read_graphs(bundle.architecture, cutting_bundle_path, names)


@pytest.fixture(scope="module")
def pocket(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Read]:
    """Every graph of the pocket encoder: the finished one, and what the export makes of it in other precisions."""
    require_rtx()
    for library in ("torch", "nncf"):
        pytest.importorskip(library, reason=f"{library} exports other precisions")
    from mvrec_edge.export.check import seeded_views
    from mvrec_edge.export.fusion import write_fused
    from mvrec_edge.export.joined_graphs import write_joined
    from mvrec_edge.export.precision import write_variant

    folder, bundle = tmp_path_factory.mktemp("pocket"), Bundle.load(POCKET_BUNDLE)
    for record in bundle.manifest.files:
        shutil.copyfile(POCKET_BUNDLE / record.name, folder / record.name)
    # Without the certificates of an export, which take most of its time; the graphs are the same.
    views = seeded_views(2, bundle.architecture.image_size, seed=0)
    for precision in PRECISIONS[1:]:
        graph = folder / f"encoder.{precision}.onnx"
        write_variant(precision, bundle.graph("fp32"), graph, views)
        write_fused(graph, precision)
    for precision in ("fp32", "fp16", "int8"):
        graph = folder / f"encoder.{precision}.onnx"
        write_joined(graph, graph.with_suffix(".views.onnx"), bundle.architecture.image_size)
    return read_graphs(bundle.architecture, folder, sorted(path.name for path in folder.glob("*.onnx")))


@pytest.fixture(scope="module")
def graphs(tiny: dict[str, Read], cutting: dict[str, Read], pocket: dict[str, Read]) -> dict[tuple[str, str], Read]:
    """All of them, by encoder and file name."""
    encoders = {"tiny": tiny | cutting, "pocket": pocket}
    return {(encoder, name): read for encoder, found in encoders.items() for name, read in found.items()}


@pytest.fixture(params=[(encoder, precision) for encoder in ENCODERS for precision in PRECISIONS], ids=" ".join)
def read(request: pytest.FixtureRequest, graphs: dict[tuple[str, str], Read]) -> Read:
    """One graph of standard operators, built."""
    encoder, precision = request.param
    found = graphs[encoder, f"encoder.{precision}.onnx"]
    assert found.answer["refused"] == ""
    return found


def test_every_graph_is_built_or_refused_as_the_page_says(graphs: dict[tuple[str, str], Read]) -> None:
    page = PAGE.read_text(encoding="utf-8").split("## What NVIDIA's builder takes\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    said = {cells[0].strip("`"): cells[1:] for cells in rows}
    assert {name for _, name in graphs} == set(said)
    for (_, name), found in graphs.items():
        reason = REFUSED.get(name, "")
        assert bool(found.answer["refused"]) == bool(reason), name
        assert reason in found.answer["refused"]
        assert said[name][0] == ("refused" if reason else "built")
        assert reason in said[name][1]


def test_the_finished_pocket_bundle_is_among_them(graphs: dict[tuple[str, str], Read]) -> None:
    listed = {record.name for record in Bundle.load(POCKET_BUNDLE).manifest.files if record.name.endswith(".onnx")}
    assert listed <= {name for encoder, name in graphs if encoder == "pocket"}


def test_inputs_and_outputs_are_those_of_the_bundle(read: Read) -> None:
    size, channels = read.architecture.image_size, read.architecture.embedding_dim
    assert read.answer["tensors"] == {"views": ["UINT8", [-1, size, size, 4]], "embedding": ["FLOAT", [-1, channels]]}


def test_the_engine_holds_the_profile(read: Read) -> None:
    assert read.answer["profile"] == [1, 27, 54]


@pytest.mark.parametrize(
    ("encoder", "precision"), [("tiny", "fp16"), *(("pocket", one) for one in ("fp32", "fp16", "int8"))]
)
def test_graphs_that_cut_views(graphs: dict[tuple[str, str], Read], encoder: str, precision: str) -> None:
    """The cutting is float32 throughout, and the encoder behind it is compiled as it is without."""
    read, plain = graphs[encoder, f"encoder.{precision}.views.onnx"], graphs[encoder, f"encoder.{precision}.onnx"]
    size, channels = read.architecture.image_size, read.architecture.embedding_dim
    tensors = read.answer["tensors"]
    assert tensors["patches"] == ["UINT8", [-1, -1, -1]]
    assert tensors["embedding"] == ["FLOAT", [-1, channels]]
    assert tensors["cut_views"] == ["UINT8", [-1, size, size, 4]]
    assert len(tensors) == 12
    for kind in ("SOFTMAX", "NORMALIZATION", "CONVOLUTION", "QUANTIZE"):
        assert read.layers(kind) == plain.layers(kind)
    products = collections.Counter(
        {(tuple(inputs), output): number for inputs, output, number in read.layers("MATRIX_MULTIPLY")}
    )
    products.subtract({(tuple(inputs), output): number for inputs, output, number in plain.layers("MATRIX_MULTIPLY")})
    # Two passes of two.
    assert +products == {(("FLOAT", "FLOAT"), "FLOAT"): 4}
    assert len(read.attentions()) == len(plain.attentions())
    # Its sums are exact in float32.
    cutting = [part for part in read.products() if any("cut/" in node for node in part["nodes"])]
    assert cutting
    assert {kind for part in cutting for kind in (*part["inputs"], *part["outputs"])} <= {"Float", "Int32"}
    # As docs/engines.md says; the memory that the encoder works in is part of it, and not added to it.
    assert read.answer["memory"]["Total Activation"] < 650_000_000


def test_one_part_of_the_engine_reads_the_pixels(read: Read) -> None:
    (first,) = (part for part in read.answer["parts"] if "UInt8" in part["inputs"])
    assert first["outputs"] == ["Float"]
    assert "Cast" in first["name"]


def test_the_network_has_the_types_of_the_graph(read: Read) -> None:
    blocks, narrow = read.architecture.layers, NETWORK_TYPE[read.precision]
    softmax = "BF16" if read.precision == "bf16" else "FLOAT"
    assert read.layers("SOFTMAX") == [([softmax], softmax, blocks)]
    # One before the blocks, two in each, and one after them.
    assert read.layers("NORMALIZATION") == [(["FLOAT"] * 3, "FLOAT", 2 * blocks + 2)]
    assert read.layers("CONVOLUTION") == [(["FLOAT"], "FLOAT", 1)]
    products = read.layers("MATRIX_MULTIPLY")
    if narrow == "FLOAT":
        assert [(inputs, output) for inputs, output, _ in products] == [(["FLOAT"] * 2, "FLOAT")]
    else:
        # The projection alone is float32.
        assert (["FLOAT"] * 2, "FLOAT", 1) in products
        assert {output for _, output, _ in products} == {"FLOAT", narrow}
    # The residual stream: the positions, and what each of the two halves of a block adds.
    sums = [
        number for inputs, output, number in read.layers("ELEMENTWISE") if (inputs, output) == (["FLOAT"] * 2, "FLOAT")
    ]
    assert sum(sums) >= 2 * blocks + 1
    quantised = bool(read.layers("QUANTIZE"))
    assert quantised == (read.precision == "int8")
    assert {output for _, output, _ in read.layers("QUANTIZE")} == ({"INT8"} if quantised else set())


def test_the_engine_keeps_the_types_of_the_network(read: Read) -> None:
    """The builder chooses kernels and fuses, and narrows or widens nothing."""
    kind, blocks = ENGINE_TYPE[read.precision], read.architecture.layers
    # Its inputs and its weights; queries, keys and values are one product, but in the last block, where the class token
    # alone has a query.
    found = collections.Counter((part["inputs"][0], part["constants"][0]) for part in read.weighted_products())
    assert found == collections.Counter({(kind, kind): 4 * blocks + 1}) + collections.Counter([("Float", "Float")])
    assert {part["outputs"][0] for part in read.weighted_products()} == {kind if kind != "Int8" else "Float", "Float"}


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_attention_is_fused(graphs: dict[tuple[str, str], Read], encoder: str, precision: str) -> None:
    read = graphs[encoder, f"encoder.{precision}.onnx"]
    assert len(read.attentions()) == read.architecture.layers
    assert {kind for part in read.attentions() for kind in part["inputs"]} == {ENGINE_TYPE[precision]}
    assert read.attention_products() == []


@pytest.mark.parametrize("encoder", ENCODERS)
def test_int8_is_more_than_narrow_weights(graphs: dict[tuple[str, str], Read], encoder: str) -> None:
    """What comes in is int8 too, also where queries meet keys; what softmax gives stays float32. Nothing is fused."""
    read = graphs[encoder, "encoder.int8.onnx"]
    found = collections.Counter(tuple(part["inputs"]) for part in read.attention_products())
    blocks = read.architecture.layers
    assert found == {("Int8", "Int8"): blocks, ("Float", "Float"): blocks}
    assert read.attentions() == []


def test_sizes(read: Read) -> None:
    """The engine carries the weights, in the type that the graph has them in; some kernels' source comes on top."""
    memory = read.answer["memory"]
    assert memory["Total Weights"] == pytest.approx(read.weights, rel=0.15)
    assert memory["Total Weights"] < read.answer["size"] < memory["Total Weights"] + 8_000_000
    assert memory["Max Scratch"] <= memory["Total Activation"] < 200_000_000


def test_the_engine_tells_its_release_and_its_size(read: Read) -> None:
    release = bytes(int(part) for part in rtx_release().split("."))
    header = bytes.fromhex(read.answer["header"])
    assert release in header
    assert read.answer["size"].to_bytes(8, "little") in header


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Read]:
    """The graphs of EfficientNet-Lite0 for views of 64 pixels, with drawn weights."""
    require_rtx()
    pytest.importorskip("torch", reason="the export stage needs PyTorch")
    from mvrec_edge.export import random_weights
    from mvrec_edge.export.graph import trace_graph
    from mvrec_edge.export.joined_graphs import write_joined
    from mvrec_edge.export.lite_encoder import LiteViewsEncoder
    from mvrec_edge.export.precision import write_variant

    architecture, folder = LiteArchitecture(64), tmp_path_factory.mktemp("lite")
    exact, half = folder / "encoder.fp32.onnx", folder / "encoder.fp16.onnx"
    trace_graph(LiteViewsEncoder(random_weights(architecture, seed=0)), exact)
    write_variant("fp16", exact, half, np.zeros((0, 64, 64, 4), np.uint8))
    for graph in (exact, half):
        write_joined(graph, graph.with_suffix(".views.onnx"), architecture.image_size)
    return read_graphs(architecture, folder, sorted(path.name for path in folder.glob("*.onnx")))


def test_every_graph_of_efficientnet_lite_is_built(lite: dict[str, Read]) -> None:
    assert len(lite) == 4
    for name, found in lite.items():
        assert found.answer["refused"] == "", name
        assert found.answer["tensors"]["embedding"] == ["FLOAT", [-1, 1280]]
        assert sum(number for *_, number in found.layers("CONVOLUTION")) == 49
        # The border of the first convolution is unequal, and a part of it.
        assert found.layers("PADDING") == []
        if found.precision == "fp16":
            assert {output: number for _, output, number in found.layers("CONVOLUTION")} == {"FLOAT": 1, "HALF": 48}
    assert lite["encoder.fp32.onnx"].answer["tensors"]["views"] == ["UINT8", [-1, 64, 64, 4]]


# Minutes, most of them PyTorch's; every smaller encoder goes the same way in the other tests.
@pytest.mark.slow
def test_vit_l_14_in_fp16(tmp_path: Path) -> None:
    require_rtx()
    pytest.importorskip("torch", reason="the export stage needs PyTorch")
    from mvrec_edge.export import drawn_weights
    from mvrec_edge.export.encoder import load_encoder
    from mvrec_edge.export.graph import trace_graph
    from mvrec_edge.export.precision import write_variant
    from mvrec_edge.export.views_encoder import ViewsEncoder

    weights = drawn_weights("ViT-L/14", seed=0)
    architecture, exact = weights.architecture, tmp_path / "encoder.fp32.onnx"
    trace_graph(ViewsEncoder(load_encoder(weights)), exact)
    del weights
    write_variant("fp16", exact, tmp_path / "encoder.fp16.onnx", np.zeros((0, 224, 224, 4), np.uint8))
    (read,) = read_graphs(architecture, tmp_path, ["encoder.fp16.onnx"]).values()
    assert read.answer["refused"] == ""
    test_inputs_and_outputs_are_those_of_the_bundle(read)
    test_the_network_has_the_types_of_the_graph(read)
    test_the_engine_keeps_the_types_of_the_network(read)
    assert len(read.attentions()) == architecture.layers == 24
    assert read.answer["memory"]["Total Weights"] == pytest.approx(read.weights, rel=0.02)
    assert read.answer["size"] < 1.1 * read.weights
    # The weights, parsed and serialised, are copied a few times.
    assert read.answer["peak"] < 4e9
