"""The worker's side of the conversation, in this process, and what it can be asked to time."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mvrec_edge.bench.openvino_product import OpenVinoProduct
from mvrec_edge.bench.stages import STAGES, StagesWorkload, recipe_of
from mvrec_edge.bench.worker import open_subject, peak_memory, serve
from mvrec_edge.bench.workloads import EngineWorkload, NumpyProduct, Workload, noise_views
from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.testing import FakeEngine


def talk(*requests: dict[str, Any], engine: FakeEngine | None = None) -> list[dict[str, Any]]:
    def opener(request: dict[str, Any], verified: Callable[[], None]) -> Workload:
        verified()
        return EngineWorkload(engine or FakeEngine(image_size=8, batch=4))

    replies = io.StringIO()
    serve(io.StringIO("".join(json.dumps(request) + "\n" for request in requests)), replies, opener)
    ready, *answers = [json.loads(line) for line in replies.getvalue().splitlines()]
    assert ready == {"ready": True}
    return answers


def test_opens_runs_and_embeds() -> None:
    engine = FakeEngine(image_size=8, batch=4)
    opened, run, embedded, memory = talk(
        {"do": "open"},
        {"do": "run", "part": "encode", "amount": 3, "times": 2},
        {"do": "embed", "amount": 2},
        {"do": "memory"},
        engine=engine,
    )
    assert opened["device"] == "no device"
    assert opened["verify_s"] >= 0
    assert opened["open_s"] >= 0
    assert len(run["seconds"]) == 2
    assert engine.batches == [3, 3, 2]
    again = FakeEngine(image_size=8, batch=4).encode(noise_views(2, 8))
    np.testing.assert_allclose(embedded["embeddings"], again, rtol=1e-6)
    assert memory["peak"] > 1 << 20


def test_what_cannot_be_done_is_an_answer_and_the_worker_goes_on() -> None:
    first, *rest = talk(
        {"do": "run", "part": "encode", "amount": 1, "times": 1},
        {"do": "open"},
        {"do": "run", "part": "encode", "amount": 5, "times": 1},
        {"do": "run", "part": "sing", "amount": 1, "times": 1},
        {"do": "dance"},
        {"do": "run"},
        {"do": "run", "part": "encode", "amount": 1, "times": 1},
    )
    assert "nothing was opened" in first["error"]
    assert "batches of 4 views, not 5" in rest[1]["error"]
    assert "no part 'sing'" in rest[2]["error"]
    assert "cannot do 'dance'" in rest[3]["error"]
    assert "KeyError" in rest[4]["error"]
    assert len(rest[5]["seconds"]) == 1


def test_views_are_the_same_in_every_process() -> None:
    np.testing.assert_array_equal(noise_views(5, 8)[:2], noise_views(2, 8))


def test_every_kind_of_subject_opens(tiny_bundle: Bundle) -> None:
    marks: list[bool] = []
    request = {"kind": "engine", "bundle": str(tiny_bundle.path), "engine": "onnxruntime", "precision": "fp32"}
    engine = open_subject({**request, "batch": 2, "threads": 1}, lambda: marks.append(True))
    assert engine.device == "cpu, 1 thread"
    assert np.shape(engine.prepare("encode", 2)()) == (2, tiny_bundle.architecture.embedding_dim)
    engine.close()
    assert marks == [True]
    assert isinstance(open_subject({"kind": "numpy product"}, lambda: None), NumpyProduct)
    sizes = {"image_size": 56, "embedding_dim": 64, "views": 3}
    stages = open_subject({"kind": "stages", "threads": 1, **sizes}, lambda: None)
    assert isinstance(stages, StagesWorkload)
    stages.close()


def test_stages_do_what_they_are_called() -> None:
    stages = StagesWorkload(image_size=32, embedding_dim=16, views=9)
    results: dict[str, Any] = {stage: stages.prepare(stage, 1)() for stage in STAGES}
    assert results["decode"].shape == (480, 640, 3)
    assert results["crop exact"].shape == results["crop fast"].shape == (9, 32, 32, 4)
    assert results["crop exact"][..., 3].any()
    assert results["classify"][0].label.startswith("class ")
    with pytest.raises(UsageError, match="no stage 'encode'"):
        stages.prepare("encode", 1)
    stages.close()


@pytest.mark.parametrize(
    ("views", "recipe"), [(1, "none"), (3, "ms"), (9, "mo"), (27, "mso"), (36, "mor"), (50, "mso")]
)
def test_the_recipe_that_is_cut(views: int, recipe: str) -> None:
    assert recipe_of(views) == recipe


def test_numpys_product_is_a_product() -> None:
    result = np.asarray(NumpyProduct().prepare("product", 8)())
    random = np.random.default_rng(20)
    left, right = (random.standard_normal((8, 8), dtype=np.float32) for _ in range(2))
    np.testing.assert_allclose(result, left @ right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("precision", "error"), [("fp32", 1e-5), ("bf16", 0.02), ("int8", 0.05)])
def test_openvinos_product_is_a_product_of_that_precision(precision: str, error: float) -> None:
    pytest.importorskip("openvino", reason="OpenVINO multiplies")
    result: Any = OpenVinoProduct(precision, 1).prepare("product", 64)()
    random = np.random.default_rng(20)
    left, right = (random.standard_normal((64, 64), dtype=np.float32) for _ in range(2))
    wanted = left @ right
    assert np.abs(next(iter(result.values())) - wanted).max() <= error * np.abs(wanted).max()


def test_this_process_holds_memory() -> None:
    peak = peak_memory()
    assert peak is not None
    assert peak > 1 << 20
