"""The manifest: a round trip, and no changed byte goes unnoticed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.bundle import (
    CheckRecord,
    EncoderArchitecture,
    FileRecord,
    GraphRecord,
    Manifest,
    WeightsSource,
)
from mvrec_edge.runtime.errors import IntegrityError, UsageError
from mvrec_edge.runtime.files.json_documents import signed_json

MANIFEST = Manifest(
    created_by="mvrec-edge 0.1.0",
    architecture=EncoderArchitecture(56, 14, 128, 3, 64),
    weights=WeightsSource("checkpoint", "clip_l14.pth", "ab" * 32),
    graphs=(GraphRecord("encoder.fp32.onnx", "fp32", (CheckRecord("seeded noise", 27, 0.9999999, 0.99999995, 2e-6),)),),
    files=(FileRecord("encoder.fp32.onnx", 12, "cd" * 32),),
)


def test_round_trip() -> None:
    assert Manifest.parse(MANIFEST.serialise()) == MANIFEST


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    original = MANIFEST.serialise()
    place = data.draw(st.integers(0, len(original) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda byte: byte != original[place]))
    changed = original[:place] + bytes([value]) + original[place + 1 :]
    with pytest.raises(IntegrityError):
        Manifest.parse(changed)


def test_another_blank_is_noticed() -> None:
    with pytest.raises(IntegrityError, match="was changed"):
        Manifest.parse(MANIFEST.serialise() + b"\n")


def _signed(**changes: object) -> bytes:
    """A manifest with other fields whose digest is right, as someone with bad intentions would make it."""
    return signed_json(json.loads(MANIFEST.serialise()) | changes)


@pytest.mark.parametrize("name", ["../weights.onnx", "a/b", "", ".", "..", "manifest.json", "a\\b", "a\0b"])
def test_a_file_name_cannot_leave_the_bundle(name: str) -> None:
    with pytest.raises(IntegrityError, match="not allowed"):
        Manifest.parse(_signed(files=[{"name": name, "size": 1, "sha256": "00"}]))


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "mvrec-edge/bundle/99"},
        {"architecture": {"image_size": -1}},
        {"architecture": "large"},
        {"files": "all"},
        {"files": [{"name": "a", "size": True, "sha256": "00"}]},
        {"graphs": [{"file": "a", "precision": "fp3", "checks": []}]},
        {"weights": {"kind": "stolen", "name": "", "sha256": ""}},
        {"input": {"name": "views"}},
    ],
)
def test_fields_of_the_wrong_kind_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        Manifest.parse(_signed(**changes))


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        Manifest.parse(data)


def test_the_fingerprint_depends_on_graph_and_weights() -> None:
    other_graph = Manifest(
        MANIFEST.created_by,
        MANIFEST.architecture,
        MANIFEST.weights,
        MANIFEST.graphs,
        (FileRecord("encoder.fp32.onnx", 12, "ee" * 32),),
    )
    other_weights = Manifest(
        MANIFEST.created_by,
        MANIFEST.architecture,
        WeightsSource("random", "ViT-L/14", "", 3),
        MANIFEST.graphs,
        MANIFEST.files,
    )
    prints = {manifest.fingerprint("fp32") for manifest in (MANIFEST, other_graph, other_weights)}
    assert len(prints) == 3
    with pytest.raises(UsageError, match=r"no fp16 graph, it has fp32 .*--precision fp32,fp16"):
        MANIFEST.fingerprint("fp16")
