"""The projection in blocks gives the digits that its formula gives on whole arrays."""

from __future__ import annotations

import numpy as np
import pytest

from mvrec_edge.calib.fine_tuning.projection import Projection
from mvrec_edge.runtime import Adapter


# Fewer rows than a block, and several blocks with a rest.
@pytest.mark.parametrize(("count", "channels"), [(1, 24), (7, 24), (300, 768)])
def test_blocks_change_no_digit(count: int, channels: int) -> None:
    rng = np.random.default_rng(count)
    rows, by_unit = rng.standard_normal((2, count, channels)).astype(np.float32)
    weight = (rng.standard_normal((channels, channels)) / channels).astype(np.float32)
    bias = rng.standard_normal(channels).astype(np.float32)
    projection = Projection(count, channels)
    projection.project(rows, Adapter(weight, bias, rows[:1]))
    inner = rows @ weight.T + bias
    sigmoid = 1 / (1 + np.exp(-inner))
    projected = inner * sigmoid + rows
    length = np.linalg.norm(projected, axis=1, keepdims=True)
    unit = projected / length
    np.testing.assert_array_equal(projection.projected, projected)
    np.testing.assert_array_equal(projection.unit, unit)
    along = np.einsum("rc,rc->r", by_unit, unit)[:, None]
    by_projected = (by_unit - unit * along) / length
    projection.back_from_unit(by_unit)
    np.testing.assert_array_equal(by_unit, by_projected)
    slope = ((1 - sigmoid) * inner + 1) * sigmoid * by_projected
    np.testing.assert_array_equal(projection.back_to_inner(by_unit), slope)


def test_room_is_used_again() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((9, 24)).astype(np.float32)
    shapes = ((24, 24), (24,), (2, 24))
    adapters = [Adapter(*(rng.standard_normal(shape).astype(np.float32) for shape in shapes)) for _ in "ab"]
    kept, fresh = Projection(9, 24), Projection(9, 24)
    for adapter in adapters:
        kept.project(rows, adapter)
    fresh.project(rows, adapters[1])
    np.testing.assert_array_equal(kept.unit, fresh.unit)
