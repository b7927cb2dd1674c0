"""Several threads with one engine, for the tests of every engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime import Engine

__all__ = ["check_shared_by_threads"]

_THREADS = 8
_ROUNDS = 6


def check_shared_by_threads(engine: Engine) -> None:
    """Asserts that each of many threads gets the embeddings of its own views.

    Every thread has views of its own, of another number, and starts when all are there.
    """
    size = engine.image_size
    draw = np.random.default_rng(3)
    views = [draw.integers(0, 256, (1 + which % 3, size, size, 4), dtype=np.uint8) for which in range(_THREADS)]
    wanted = [engine.encode(own) for own in views]
    together = Barrier(_THREADS)

    def encode(which: int) -> list[npt.NDArray[np.float32]]:
        together.wait()
        return [engine.encode(views[which]) for _ in range(_ROUNDS)]

    with ThreadPoolExecutor(_THREADS) as pool:
        for which, answers in enumerate(pool.map(encode, range(_THREADS))):
            for answer in answers:
                np.testing.assert_allclose(answer, wanted[which], rtol=0, atol=1e-6)
