"""Which engines are asked for, and what cannot be opened."""

from __future__ import annotations

import pytest

from mvrec_edge.bench.candidates import (
    EngineCandidate,
    default_candidates,
    open_candidate,
    parse_candidates,
)
from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.engines import engine_names
from mvrec_edge.runtime.errors import MvrecEdgeError, UsageError


def names(*texts: str, precisions: tuple[str, ...] = ("fp32", "int8")) -> list[str]:
    return [candidate.name for candidate in parse_candidates(texts, precisions)]


def test_names_round_trip_in_order_and_once() -> None:
    text = "onnxruntime/bf16,onnxruntime:cuda/fp16"
    assert names(text, "onnxruntime/bf16") == ["onnxruntime/bf16", "onnxruntime:cuda/fp16"]
    (candidate,) = parse_candidates(["onnxruntime:cuda/fp16"], ())
    assert candidate == EngineCandidate("onnxruntime", "fp16", "cuda", required=True)


def test_without_a_precision_all_of_the_bundle_are_meant() -> None:
    assert names("onnxruntime:cpu") == ["onnxruntime:cpu/fp32", "onnxruntime:cpu/int8"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abacus/fp32", "no engine 'abacus'.*onnxruntime"),
        ("torch/fp32", "measured with --torch"),
        ("auto/fp32", "no engine 'auto'"),
        ("onnxruntime/fp64", "fp32, fp16, bf16, int8"),
        ("onnxruntime/", "NAME"),
        ("onnxruntime:/fp32", "NAME"),
        (" , ", "not 0"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        names(text)


def test_by_default_every_engine_with_every_precision() -> None:
    found = default_candidates(("fp32", "int8"))
    assert {candidate.engine for candidate in found} == set(engine_names()) - {"auto"}
    assert len({candidate.name for candidate in found}) == len(found)
    assert not any(candidate.required for candidate in found)


def test_opens_float32_and_refuses_what_it_cannot_open(tiny_bundle: Bundle) -> None:
    with open_candidate(EngineCandidate("onnxruntime", "fp32"), tiny_bundle, batch=4, threads=1) as engine:
        assert (engine.name, engine.batch) == ("onnxruntime", 4)
    with pytest.raises(MvrecEdgeError):
        open_candidate(EngineCandidate("onnxruntime", "fp16", "nowhere"), tiny_bundle, batch=1, threads=1)
