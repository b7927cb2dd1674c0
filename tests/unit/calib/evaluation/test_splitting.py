"""Which queries a draw leaves: none that is a shot as well."""

from __future__ import annotations

import numpy as np
import pytest

from mvrec_edge.calib.evaluation.splitting import KnownPlaces, check_queries, most_left_out, split_places
from mvrec_edge.runtime.errors import InputError


def test_a_query_that_is_a_shot_is_left_out() -> None:
    labels, regions = np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3])
    known = KnownPlaces(labels, labels, regions, regions, regions, regions)
    for seed in range(3):
        split = split_places(known, 1, seed)
        assert not set(split.queries.tolist()) & set(split.drawn.tolist())
        assert len(split.queries) == 2
    assert most_left_out(known, (1,), 3, "region") == 2
    with pytest.raises(InputError, match="none is left to classify"):
        check_queries(known, (2,), 1, "region", ())
    others = KnownPlaces(labels, labels, regions, regions, regions, regions + 4)
    assert len(split_places(others, 2, 0).queries) == 4
    assert most_left_out(others, (2,), 1, "region") == 0
