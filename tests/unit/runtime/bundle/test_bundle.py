"""Bundles: verified byte by byte, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from mvrec_edge.runtime.bundle import Bundle, EncoderArchitecture, GraphRecord, WeightsSource, write_bundle
from mvrec_edge.runtime.errors import InputError, IntegrityError, OutputError

ARCHITECTURE = EncoderArchitecture(56, 14, 128, 3, 64)


def make(path: Path, content: bytes = b"graph", *, overwrite: bool = False) -> Bundle:
    with write_bundle(path, overwrite=overwrite) as draft:
        (draft.folder / "encoder.fp32.onnx").write_bytes(content)
        draft.finish(
            created_by="test",
            architecture=ARCHITECTURE,
            weights=WeightsSource("random", "tiny", "", 0),
            graphs=(GraphRecord("encoder.fp32.onnx", "fp32", ()),),
        )
    return Bundle.load(path)


def test_written_and_loaded(tmp_path: Path) -> None:
    bundle = make(tmp_path / "b")
    assert bundle.graph().read_bytes() == b"graph"
    assert bundle.weights.is_random
    assert bundle.architecture == ARCHITECTURE
    assert len(bundle.fingerprint()) == 64
    assert [item.name for item in tmp_path.iterdir()] == ["b"]


def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), write_bundle(tmp_path / "b") as draft:
        (draft.folder / "encoder.fp32.onnx").write_bytes(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_draft_is_not_a_bundle(tmp_path: Path) -> None:
    with write_bundle(tmp_path / "b") as draft:
        (draft.folder / "x").write_bytes(b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", ["encoder.fp32.onnx", "manifest.json"])
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


def test_a_missing_or_short_file_is_refused(tmp_path: Path) -> None:
    bundle = make(tmp_path / "b")
    graph = bundle.graph()
    graph.write_bytes(b"gra")
    with pytest.raises(IntegrityError, match="3 bytes"):
        Bundle.load(bundle.path)
    graph.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        Bundle.load(bundle.path)


def test_a_link_is_refused(tmp_path: Path) -> None:
    bundle = make(tmp_path / "b")
    elsewhere = tmp_path / "elsewhere"
    bundle.graph().rename(elsewhere)
    bundle.graph().symlink_to(elsewhere)
    with pytest.raises(IntegrityError, match="plain file"):
        Bundle.load(bundle.path)


def test_what_is_no_bundle_is_bad_input(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="not a bundle"):
            Bundle.load(path)


def test_an_existing_place_is_kept_unless_asked(tmp_path: Path) -> None:
    make(tmp_path / "b", b"one")
    with pytest.raises(OutputError, match="exists already"):
        make(tmp_path / "b", b"two")
    assert Bundle.load(tmp_path / "b").graph().read_bytes() == b"one"
    assert make(tmp_path / "b", b"two", overwrite=True).graph().read_bytes() == b"two"
    assert [item.name for item in tmp_path.iterdir()] == ["b"]


def test_overwrite_never_removes_what_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="not a bundle"):
        make(tmp_path / "home", overwrite=True)
    assert (tmp_path / "home" / "thesis.txt").read_text() == "years of work"


def test_a_graph_is_hashed_before_it_is_handed_out(tmp_path: Path) -> None:
    """Whoever asks for some graphs only does not wait for the others, and still gets none that was changed."""
    make(tmp_path / "b")
    file = tmp_path / "b" / "encoder.fp32.onnx"
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(data)
    with pytest.raises(IntegrityError, match="was changed after it was exported"):
        Bundle.load(tmp_path / "b")
    bundle = Bundle.load(tmp_path / "b", graphs=())
    for _ in range(2):
        with pytest.raises(IntegrityError, match="was changed after it was exported"):
            bundle.graph("fp32")
