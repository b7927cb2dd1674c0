"""The engine without a model behaves like one."""

from __future__ import annotations

import numpy as np

from mvrec_edge.runtime import Engine
from mvrec_edge.testing import FakeEngine


def test_similar_views_get_similar_embeddings() -> None:
    rng = np.random.default_rng(0)
    views = rng.integers(0, 200, (2, 24, 24, 4), dtype=np.uint8)
    engine = FakeEngine(image_size=24)
    assert isinstance(engine, Engine)
    first, second = engine.encode(views)
    (near,) = engine.encode(views[:1] + 2)

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert cosine(first, near) > 0.999
    assert cosine(first, near) > cosine(first, second)
