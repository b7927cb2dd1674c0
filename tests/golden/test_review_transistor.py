"""What a human looks at, on real AlphaCLIP features: the promise is kept in both directions."""

from __future__ import annotations

from pathlib import Path

import pytest

from mvrec_edge.calib import EvaluationSet, Protocol, evaluate_review, read_features


@pytest.mark.parametrize("turned", [False, True])
def test_what_is_promised_of_a_few_shots_is_kept(shared_data: Path, turned: bool) -> None:
    """20 instances are left out, of which 80% takes 11 and 95% takes 45."""
    data = read_features(shared_data / "alphaclip_features_transistor" / "features.safetensors")
    if turned:
        assert data.query is not None
        assert data.query_labels is not None
        data = EvaluationSet(data.class_names, data.query, data.query_labels, data.support, data.support_labels)
    (result,) = evaluate_review(data, Protocol(shots=(5,), draws=5, heads=("zip-c",)), 0.8)
    kept, tried = result.kept
    assert tried == 5
    assert kept == 5
    assert result.accuracy >= 0.8
    assert result.to_review < 0.5
    (nothing,) = evaluate_review(data, Protocol(shots=(5,), draws=2, heads=("zip-c",)), 0.95)
    assert nothing.to_review == 1
