"""As many views as a decision takes, on real AlphaCLIP features: few, and no worse than all 27."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mvrec_edge.calib import Protocol, read_features
from mvrec_edge.calib.evaluation.views import evaluate_views
from mvrec_edge.runtime import ViewUse


def test_six_views_on_average_say_what_all_say(shared_data: Path) -> None:
    data = read_features(shared_data / "alphaclip_features_transistor" / "features.safetensors")
    for result in evaluate_views(data, Protocol(shots=(3, 5), draws=5, heads=("auto",)), ViewUse("auto", risk=0.01)):
        assert result.fitted == 5
        assert result.decisions == 105
        assert np.mean(result.views) <= 6
        assert abs(np.mean(result.accuracies) - np.mean(result.all_views)) <= 0.005
        # One in 105 is what a risk of 1% allows.
        assert result.differing <= 1
        assert result.promised / result.decisions <= 0.01


def test_one_shot_takes_the_cautious_default(shared_data: Path) -> None:
    data = read_features(shared_data / "alphaclip_features_transistor" / "features.safetensors")
    (result,) = evaluate_views(data, Protocol(shots=(1,), draws=5, heads=("zip-c",)), ViewUse("auto"))
    assert result.fitted == 0
    assert result.differing <= 1
    assert np.mean(result.views) < 27
