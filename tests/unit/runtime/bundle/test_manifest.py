"""The manifest: a round trip, and no changed byte goes unnoticed."""

from __future__ import annotations

import dataclasses
import json
import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.bundle import (
    CheckRecord,
    CutRecord,
    FileRecord,
    GraphRecord,
    LiteArchitecture,
    Manifest,
    TransformerArchitecture,
    VariantRecord,
    WeightsSource,
)
from mvrec_edge.runtime.errors import IntegrityError, UsageError
from mvrec_edge.runtime.files.json_documents import signed_json

MANIFEST = Manifest(
    created_by="mvrec-edge 0.1.0",
    architecture=TransformerArchitecture(56, 14, 128, 3, 64),
    weights=WeightsSource("checkpoint", "clip_l14.pth", "ab" * 32),
    graphs=(
        GraphRecord(
            "encoder.fp32.onnx",
            "encoder.fp32.weights",
            "fp32",
            checks=(CheckRecord("seeded noise", 27, 0.9999999, 0.99999995, 2e-6),),
        ),
        GraphRecord(
            "encoder.int8.onnx",
            "encoder.int8.weights",
            "int8",
            variants=(VariantRecord("encoder.int8.x.onnx", "onnxruntime-x86", "18 fused products", engine=""),),
        ),
    ),
    files=(
        FileRecord("encoder.fp32.onnx", 12, "cd" * 32),
        FileRecord("encoder.fp32.weights", 34, "ef" * 32),
        FileRecord("encoder.int8.onnx", 5, "01" * 32),
        FileRecord("encoder.int8.weights", 6, "23" * 32),
        FileRecord("encoder.int8.x.onnx", 7, "45" * 32),
    ),
)


def test_round_trip() -> None:
    assert Manifest.parse(MANIFEST.serialise()) == MANIFEST


def test_the_record_of_a_transformer_is_as_it_was_before_there_was_another() -> None:
    record = json.loads(MANIFEST.serialise())["architecture"]
    assert record == {"image_size": 56, "patch_size": 14, "width": 128, "layers": 3, "embedding_dim": 64}


def test_the_record_of_a_convolutional_network() -> None:
    manifest = dataclasses.replace(MANIFEST, architecture=LiteArchitecture())
    record = json.loads(manifest.serialise())["architecture"]
    assert record == {"family": "EfficientNet-Lite0", "image_size": 224, "embedding_dim": 1280}
    assert Manifest.parse(manifest.serialise()) == manifest
    assert manifest.fingerprint("fp32") != MANIFEST.fingerprint("fp32")


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


_GRAPH = json.loads(MANIFEST.serialise())["graphs"][1]
_VARIANT = _GRAPH["variants"][0]
_CUT = {"views": 27, "differing": 0, "largest_difference": 0}
_CUTTING = _VARIANT | {"target": "views", "cut": _CUT}


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "mvrec-edge/bundle/99"},
        {"architecture": {"image_size": -1}},
        {"architecture": "large"},
        {"architecture": {"family": "EfficientNet-Lite9", "image_size": 224, "embedding_dim": 1280}},
        {"architecture": {"family": "EfficientNet-Lite0", "image_size": 225, "embedding_dim": 1280}},
        {"architecture": {"family": "EfficientNet-Lite0", "image_size": 0, "embedding_dim": 1280}},
        {"architecture": {"family": None, "image_size": 224, "embedding_dim": 1280}},
        {"files": "all"},
        {"files": [{"name": "a", "size": True, "sha256": "00"}]},
        {"graphs": [{"file": "a", "weights": "b", "precision": "fp3", "checks": [], "variants": []}]},
        {"graphs": [_GRAPH | {"weights": None}]},
        {"graphs": [_GRAPH | {"variants": None}]},
        {"graphs": [_GRAPH | {"variants": [_VARIANT | {"target": "abacus"}]}]},
        {"graphs": [_GRAPH | {"variants": [_VARIANT] * 2}]},
        {"graphs": [_GRAPH | {"variants": [_VARIANT | {"target": "views"}]}]},
        {"graphs": [_GRAPH | {"variants": [_VARIANT | {"cut": _CUT}]}]},
        {"graphs": [_GRAPH | {"variants": [_VARIANT | {"target": "views", "cut": _CUT | {"views": 0}}]}]},
        {
            "graphs": [
                _GRAPH | {"variants": [_VARIANT | {"target": "views", "cut": _CUT | {"largest_difference": 256}}]}
            ]
        },
        {"graphs": [_GRAPH | {"variants": [_VARIANT] * 3}]},
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
    others = [
        dataclasses.replace(
            MANIFEST,
            files=tuple(
                dataclasses.replace(record, sha256="ee" * 32) if record.name == name else record
                for record in MANIFEST.files
            ),
        )
        for name in ("encoder.fp32.onnx", "encoder.fp32.weights")
    ]
    others.append(dataclasses.replace(MANIFEST, weights=WeightsSource("random", "ViT-L/14", "", 3)))
    assert len({manifest.fingerprint("fp32") for manifest in (MANIFEST, *others)}) == 4
    # What another precision consists of is nothing to it.
    assert len({manifest.fingerprint("int8") for manifest in (MANIFEST, *others[:2])}) == 1
    with pytest.raises(UsageError, match=r"no fp16 graph, it has fp32, int8 .*--precision fp32,int8,fp16"):
        MANIFEST.fingerprint("fp16")


@pytest.mark.parametrize(
    ("weights", "command"),
    [
        ({"kind": "checkpoint", "name": "clip_l14.pth"}, "mvrec-edge export clip_l14.pth --precision fp32,int8 --out"),
        ({"kind": "checkpoint", "name": "pocket.safetensors"}, "mvrec-edge export pocket --precision fp32,int8 --out"),
        ({"kind": "random", "name": "ViT-B/16", "seed": 7}, "mvrec-edge export --random-weights ViT-B/16 --seed 7 "),
    ],
)
def test_the_schema_before_is_refused_with_the_command_that_makes_it_anew(
    weights: dict[str, object], command: str
) -> None:
    data = _signed(schema="mvrec-edge/bundle/2", weights={"sha256": "", "seed": None} | weights)
    with pytest.raises(IntegrityError, match="earlier version, whose graphs held their weights") as caught:
        Manifest.parse(data, "line/encoder.bundle/manifest.json")
    assert f"export it again: {command}" in str(caught.value)
    assert "--out line/encoder.bundle --overwrite" in str(caught.value)
    assert "calibrate line/encoder.bundle SUPPORT --rebase CACHE" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_can_be_typed_and_leaves_no_graph_out() -> None:
    graphs = [_GRAPH | {"within_limits": False, "labels": {"instances": 3}}]
    weights = {"kind": "checkpoint", "name": "my pocket.safetensors", "sha256": "", "seed": None}
    data = _signed(schema="mvrec-edge/bundle/2", weights=weights, graphs=graphs)
    with pytest.raises(IntegrityError) as caught:
        Manifest.parse(data, "line 1/b'x/manifest.json")
    command = str(caught.value).partition("export it again: ")[2].partition("; then")[0]
    words = shlex.split(command)
    assert words[:3] == ["mvrec-edge", "export", "my pocket.safetensors"]
    assert words[words.index("--out") + 1] == "line 1/b'x"
    assert {"--accept", "--calibration"} <= set(words)


def test_a_variant_without_a_word_about_views_is_read() -> None:
    """As in bundles from before there were graphs that cut views."""
    variant = {key: value for key, value in _VARIANT.items() if key != "cut"}
    manifest = Manifest.parse(_signed(graphs=[_GRAPH | {"variants": [variant]}]))
    assert manifest.graphs[0].variants[0].cut is None
    views = Manifest.parse(_signed(graphs=[_GRAPH | {"variants": [_CUTTING]}]))
    assert views.graphs[0].variants[0].cut == CutRecord(27, 0, 0)
    assert Manifest.parse(views.serialise()) == views
