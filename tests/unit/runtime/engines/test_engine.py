"""What every engine checks, shown with the fake one, and the registry."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mvrec_edge.runtime import Engine, engine_names, open_engine
from mvrec_edge.runtime.errors import EnvironmentUnfitError, UsageError
from mvrec_edge.testing import FakeEngine
from tests.unit.runtime.engines.sharing import check_shared_by_threads
from tests.unit.runtime.engines.watching import check_forked


def views(count: int, size: int = 24, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 4), dtype=np.uint8)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 9])
def test_batches_never_change_an_embedding(count: int) -> None:
    pixels = views(count)
    whole = FakeEngine(image_size=24, batch=100)
    split = FakeEngine(image_size=24, batch=4)
    np.testing.assert_array_equal(split.encode(pixels), whole.encode(pixels))
    assert split.batches == [4] * (count // 4) + ([count % 4] if count % 4 else [])


def test_progress_counts_views() -> None:
    seen: list[int] = []
    FakeEngine(image_size=24, batch=4).encode(views(9), seen.append)
    assert seen == [4, 4, 1]


def test_strided_views_are_taken() -> None:
    pixels = views(8)
    engine = FakeEngine(image_size=24)
    np.testing.assert_array_equal(engine.encode(pixels[::2]), engine.encode(pixels[::2].copy()))


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 24, 24, 4), np.float32),
        np.zeros((2, 24, 24, 3), np.uint8),
        np.zeros((2, 25, 24, 4), np.uint8),
        np.zeros((24, 24, 4), np.uint8),
    ],
)
def test_other_views_are_refused(wrong: npt.NDArray[Any]) -> None:
    with pytest.raises(UsageError, match="views must be uint8"):
        FakeEngine(image_size=24).encode(wrong)


@pytest.mark.parametrize(
    "answer",
    [np.full((1, 3), np.nan, np.float32), np.zeros((1, 2), np.float32), np.zeros((2, 3), np.float32)],
)
def test_an_answer_that_is_no_embedding_is_refused(answer: npt.NDArray[np.float32]) -> None:
    class Broken(Engine):
        name = "broken"

        def _encode_batch(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
            return answer

    engine = Broken(image_size=24, embedding_dim=3, fingerprint="x")
    with pytest.raises(EnvironmentUnfitError, match="not 1 finite embeddings"):
        engine.encode(views(1))


def test_a_batch_of_none_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1 view"):
        FakeEngine(batch=0)


def test_an_unknown_engine_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="onnxruntime"):
        open_engine("abacus", None)  # type: ignore[arg-type]
    assert "onnxruntime" in engine_names()


@pytest.mark.parametrize("threads", [0, -1, 513, 99999])
def test_as_many_threads_as_no_machine_has_are_refused(threads: int) -> None:
    with pytest.raises(UsageError, match="runs on 1 to 512 threads"):
        open_engine("onnxruntime", None, threads=threads)  # type: ignore[arg-type]


def test_threads_get_their_own_embeddings() -> None:
    check_shared_by_threads(FakeEngine(image_size=24, batch=2))


def test_a_closed_engine_says_so() -> None:
    engine = FakeEngine(image_size=24)
    engine.close()
    engine.close()
    with pytest.raises(EnvironmentUnfitError, match="the engine is closed"):
        engine.encode(views(1))


def test_closing_waits_for_the_batch_that_is_computed() -> None:
    events: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    class Slow(FakeEngine):
        def _encode_batch(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
            inside.set()
            go_on.wait()
            events.append("encoded")
            return super()._encode_batch(views)

        def _close(self) -> None:
            events.append("closed")

    engine = Slow(image_size=24)
    with ThreadPoolExecutor(2) as pool:
        encoding = pool.submit(engine.encode, views(1))
        inside.wait()
        closing = pool.submit(engine.close)
        go_on.set()
        encoding.result()
        closing.result()
    assert events == ["encoded", "closed"]


def test_a_forked_child_is_told() -> None:
    check_forked(FakeEngine(image_size=24))
