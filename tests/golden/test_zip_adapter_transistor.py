"""The training-free rows of the transistor table, from real AlphaCLIP features, digit for digit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from mvrec_edge.calib import sample_shots
from mvrec_edge.runtime import SupportCache, ZipAdapter

SHOTS = (1, 3, 5)
DRAWS = range(5)


def accuracies(folder: Path, aggregate: str, views: slice) -> list[float]:
    path = folder / "alphaclip_features_transistor" / "features.safetensors"
    tensors = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, "np") as file:
        names = json.loads(file.metadata()["class_names"])
    labels = tensors["support_labels"]
    means = []
    for shots in SHOTS:
        hits = []
        for seed in DRAWS:
            drawn = sample_shots(labels.tolist(), shots, seed)
            cache = SupportCache.from_embeddings(tensors["support_embeddings"][drawn], labels[drawn], names)
            predictions = ZipAdapter(cache, aggregate=aggregate).predict(tensors["query_embeddings"][:, views])
            right = [
                names.index(prediction.label) == label
                for prediction, label in zip(predictions, tensors["query_labels"], strict=True)
            ]
            hits.append(np.mean(right))
        means.append(round(100 * float(np.mean(hits)), 2))
    return means


@pytest.mark.parametrize(
    ("aggregate", "want"), [("uncertainty", [79.05, 98.10, 99.05]), ("mean", [77.14, 98.10, 98.10])]
)
def test_all_views(shared_data: Path, aggregate: str, want: list[float]) -> None:
    assert accuracies(shared_data, aggregate, slice(None)) == want


def test_first_view_of_the_query_alone(shared_data: Path) -> None:
    """The released `womv`: keys from all views, queries from the first."""
    assert accuracies(shared_data, "mean", slice(0, 1)) == [64.76, 81.90, 86.67]
