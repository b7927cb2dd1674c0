"""The mutators: trials that can be done again, and changes that reach what is behind a digest."""

from __future__ import annotations

import contextlib
import io
import json
import random

import pytest

from mvrec_edge.runtime import SupportCache
from mvrec_edge.runtime.bundle import Manifest
from mvrec_edge.runtime.bundle.protobuf import fields
from mvrec_edge.runtime.files.json_documents import canonical_json
from mvrec_edge.runtime.files.tensor_file import tensors_in
from tests.harness.parsers.mutation import LARGE, Raw, Seed, json_text, mutated
from tests.harness.parsers.own_seeds import cache, manifest, mutated_tensor_file, signed
from tests.harness.parsers.protobuf_mutation import GRAPH, mutated_protobuf

SEEDS = [
    Seed("bytes", bytes(range(256))),
    Seed("json", json.dumps({"a": [1, 2.5, {"b": "c"}], "d": None}).encode(), "json"),
    Seed("lines", b"name,x\nscratch,3\n", "lines"),
    Seed("xml", b'<?xml version="1.0"?><a b="1"><c>3</c></a>', "xml"),
]


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_a_trial_follows_from_its_number_and_stays_in_bounds(seed: Seed) -> None:
    first = [mutated(seed, random.Random(number), [b"another"]) for number in range(400)]
    assert first == [mutated(seed, random.Random(number), [b"another"]) for number in range(400)]
    assert len(set(first)) > 200
    assert max(map(len, first)) < 4 * (LARGE + len(seed.data))


def test_what_no_writer_of_json_writes_is_written() -> None:
    text = json_text({"a": Raw("1e400"), "b": [Raw("[[")], "c": 1, "c\x00twice": 2, "d": "\ud800"})
    assert text == '{\n  "a": 1e400,\n  "b": [\n    [[\n  ],\n  "c": 1,\n  "c": 2,\n  "d": "\ud800"\n}'
    plain = {"b": [1, {"x": None}], "a": "\u00e4"}
    assert json_text(plain).encode() + b"\n" == canonical_json(plain)


def test_a_digest_is_put_right() -> None:
    payload = json.loads(manifest().serialise())
    assert Manifest.parse(signed(payload)) == manifest()
    assert signed(payload | {"digest": "0" * 64}) == signed(payload)


def test_most_mutated_caches_are_refused_for_what_they_say(tmp_path: object) -> None:
    """Of those that are refused for their digest, the campaign would learn nothing."""
    data = cache().to_bytes()
    reached = 0
    for number in range(200):
        changed = mutated_tensor_file(data, random.Random(number))
        try:
            SupportCache._read(*tensors_in(io.BytesIO(changed), len(changed)), tmp_path)  # type: ignore[arg-type]
            reached += 1
        except Exception as error:
            reached += "was changed after" not in str(error)
    assert reached > 150


def test_protocol_buffers_keep_their_lengths() -> None:
    whole = 0
    for number in range(300):
        changed = mutated_protobuf(GRAPH, random.Random(number))
        with contextlib.suppress(ValueError, IndexError):
            whole += changed != GRAPH and len(list(fields(changed, 0, len(changed)))) > 0
    assert whole > 200
