"""Bundles: verified byte by byte, written whole or not at all."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mvrec_edge.doctor.tiny_graph import tiny_graph
from mvrec_edge.runtime.bundle import (
    Bundle,
    GraphRecord,
    TransformerArchitecture,
    VariantRecord,
    WeightsSource,
    write_bundle,
)
from mvrec_edge.runtime.errors import InputError, IntegrityError, OutputError

ARCHITECTURE = TransformerArchitecture(56, 14, 128, 3, 64)


#: A graph without weights of its own, which the screen lets through.
GRAPH = tiny_graph("fp32")
FILES = ("encoder.fp32.onnx", "encoder.fp32.weights", "encoder.fp32.x.onnx")


def make(path: Path, content: bytes = b"weights", *, graph: bytes = GRAPH, overwrite: bool = False) -> Bundle:
    with write_bundle(path, overwrite=overwrite) as draft:
        for name, data in zip(FILES, (graph, content, graph), strict=True):
            (draft.folder / name).write_bytes(data)
        draft.finish(
            created_by="test",
            architecture=ARCHITECTURE,
            weights=WeightsSource("random", "tiny", "", 0),
            graphs=(GraphRecord(*FILES[:2], "fp32", variants=(VariantRecord(FILES[2], "onnxruntime-x86", "1 x"),)),),
        )
    return Bundle.load(path)


def test_written_and_loaded(tmp_path: Path) -> None:
    bundle = make(tmp_path / "b")
    assert bundle.graph().read_bytes() == GRAPH
    path, record = bundle.variant("fp32", "onnxruntime-x86") or pytest.fail("it is listed")
    assert (path.name, record.summary) == ("encoder.fp32.x.onnx", "1 x")
    assert bundle.variant("fp32", "onnxruntime-cuda") is None
    assert bundle.manifest.graph_bytes("fp32") == len(GRAPH) + len(b"weights")
    assert bundle.weights.is_random
    assert bundle.architecture == ARCHITECTURE
    assert len(bundle.fingerprint()) == 64
    assert [item.name for item in tmp_path.iterdir()] == ["b"]


def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), write_bundle(tmp_path / "b") as draft:
        (draft.folder / "encoder.fp32.onnx").write_bytes(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [("x" * 5000, "'name' is not a text"), ("x" * (1 << 20), "it is too large")],
)
def test_a_manifest_that_nothing_could_read_is_not_written(tmp_path: Path, name: str, said: str) -> None:
    with (
        pytest.raises(OutputError, match=f"manifest.json: is not written, since nothing could read it: {said}"),
        write_bundle(tmp_path / "b") as draft,
    ):
        draft.finish(
            created_by="test", architecture=ARCHITECTURE, weights=WeightsSource("checkpoint", name, ""), graphs=()
        )
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_draft_is_not_a_bundle(tmp_path: Path) -> None:
    with write_bundle(tmp_path / "b") as draft:
        (draft.folder / "x").write_bytes(b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", [*FILES, "manifest.json"])
def test_every_changed_byte_is_noticed(tmp_path: Path, file: str) -> None:
    bundle = make(tmp_path / "b")
    path = bundle.path / file
    original = path.read_bytes()
    for place in range(len(original)):
        path.write_bytes(original[:place] + bytes([original[place] ^ 1]) + original[place + 1 :])
        with pytest.raises(IntegrityError):
            Bundle.load(bundle.path)
    path.write_bytes(original)
    Bundle.load(bundle.path)


def test_a_stranger_is_refused(tmp_path: Path) -> None:
    bundle = make(tmp_path / "b")
    (bundle.path / "plugin.so").write_bytes(b"")
    with pytest.raises(IntegrityError, match=r"plugin\.so"):
        Bundle.load(bundle.path)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_short_file_is_refused(tmp_path: Path, name: str) -> None:
    bundle = make(tmp_path / "b")
    file = bundle.path / name
    file.write_bytes(b"gra")
    with pytest.raises(IntegrityError, match="3 bytes"):
        Bundle.load(bundle.path)
    file.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        Bundle.load(bundle.path)


@pytest.mark.parametrize("name", FILES)
def test_a_link_is_refused(tmp_path: Path, name: str) -> None:
    bundle = make(tmp_path / "b")
    elsewhere = tmp_path / "elsewhere"
    (bundle.path / name).rename(elsewhere)
    (bundle.path / name).symlink_to(elsewhere)
    with pytest.raises(IntegrityError, match="plain file"):
        Bundle.load(bundle.path)


def test_what_is_no_bundle_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, said in (
        (tmp_path, "not a bundle"),
        (tmp_path / "file", "not a bundle"),
        (tmp_path / "none", "there is no such folder"),
    ):
        with pytest.raises(InputError, match=said):
            Bundle.load(path)


def test_an_existing_place_is_kept_unless_asked(tmp_path: Path) -> None:
    make(tmp_path / "b", b"one")
    with pytest.raises(OutputError, match="exists already"):
        make(tmp_path / "b", b"two")
    assert (tmp_path / "b" / "encoder.fp32.weights").read_bytes() == b"one"
    make(tmp_path / "b", b"two", overwrite=True)
    assert (tmp_path / "b" / "encoder.fp32.weights").read_bytes() == b"two"
    assert [item.name for item in tmp_path.iterdir()] == ["b"]


def test_overwrite_never_removes_what_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="not a bundle"):
        make(tmp_path / "home", overwrite=True)
    assert (tmp_path / "home" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("name", FILES)
def test_a_graph_is_hashed_before_it_is_handed_out(tmp_path: Path, name: str) -> None:
    """Whoever asks for some graphs only does not wait for the others, and still gets none that was changed."""
    make(tmp_path / "b")
    file = tmp_path / "b" / name
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(data)
    with pytest.raises(IntegrityError, match="was changed after it was exported"):
        Bundle.load(tmp_path / "b")
    bundle = Bundle.load(tmp_path / "b", graphs=())
    for _ in range(2):
        with pytest.raises(IntegrityError, match="was changed after it was exported"):
            bundle.graph("fp32")
            bundle.variant("fp32", "onnxruntime-x86")


def test_a_graph_is_screened_before_it_is_handed_out(tmp_path: Path) -> None:
    for number, graph in enumerate((b"no graph", GRAPH.replace(b"Cast", b"\xff\xff\xff\xff\xff"))):
        bundle = make(tmp_path / str(number), graph=graph)
        for _ in range(2):
            with pytest.raises(IntegrityError, match="not a well-formed ONNX file"):
                bundle.graph()
        with pytest.raises(IntegrityError, match="not a well-formed ONNX file"):
            bundle.variant("fp32", "onnxruntime-x86")


def test_operators_of_onnx_runtime_are_allowed_in_its_variants_alone(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx makes the graph")
    model = onnx.load_from_string(GRAPH)
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    model.graph.node[1].domain = "com.microsoft"
    bundle = make(tmp_path / "b", graph=model.SerializeToString())
    assert bundle.variant("fp32", "onnxruntime-x86") is not None
    with pytest.raises(IntegrityError, match=r"operators of the domain 'com\.microsoft'"):
        bundle.graph()


def test_a_graph_without_its_weights_is_no_bundle(tmp_path: Path) -> None:
    with write_bundle(tmp_path / "b") as draft:
        (draft.folder / FILES[0]).write_bytes(GRAPH)
        draft.finish(
            created_by="test",
            architecture=ARCHITECTURE,
            weights=WeightsSource("random", "tiny", "", 0),
            graphs=(GraphRecord(*FILES[:2], "fp32"),),
        )
    with pytest.raises(IntegrityError, match=r"'encoder\.fp32\.weights' is not listed"):
        Bundle.load(tmp_path / "b")


def test_a_bundle_that_is_replaced_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    make(tmp_path / "b", b"one")
    done = threading.Event()

    def replace() -> None:
        for number in range(20):
            make(tmp_path / "b", b"%03d" % number, overwrite=True)
        done.set()

    with ThreadPoolExecutor(1) as pool:
        replacing = pool.submit(replace)
        while not done.is_set() and not replacing.done():
            Bundle.load(tmp_path / "b")
        replacing.result()
    assert Bundle.load(tmp_path / "b").manifest.graph_bytes("fp32") == len(GRAPH) + 3
