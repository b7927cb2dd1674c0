"""Labelled embeddings in one safetensors file: what `evaluate --features` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.evaluation.protocol import EvaluationSet
from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.files.json_documents import parse_json
from mvrec_edge.runtime.files.tensor_file import read_tensors

__all__ = ["read_features"]

_MOST_CLASSES = 10_000


def read_features(path: str | Path) -> EvaluationSet:
    """Reads cached features.

    The file holds `support_embeddings` float `[S, V, C]` and `support_labels` int `[S]`, optionally `query_embeddings`
    and `query_labels`, and in its metadata `class_names`, a JSON list. `support_images` int `[S]` and `query_images`
    may say which image each instance came from, by any number.

    Args:
        path: The file.

    Raises:
        InputError: The file cannot be read, or does not hold this.
    """
    path = Path(path)
    tensors, metadata = read_tensors(path, "a file of features")
    try:
        names = parse_json(metadata["class_names"])
    except (KeyError, ValueError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) > _MOST_CLASSES:
        raise InputError("has no list of class names in its metadata", where=path, fix="write 'class_names' as JSON")
    parts = {}
    for part in ("support", "query"):
        embeddings, labels = tensors.get(f"{part}_embeddings"), tensors.get(f"{part}_labels")
        if embeddings is None and labels is None and part == "query":
            continue
        if embeddings is None or labels is None:
            raise InputError(f"lacks '{part}_embeddings' or '{part}_labels'", where=path)
        if embeddings.ndim != 3 or not np.issubdtype(embeddings.dtype, np.floating):
            raise InputError(f"'{part}_embeddings' must be floats [instances, views, channels]", where=path)
        if labels.shape != embeddings.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
            raise InputError(f"'{part}_labels' must be {len(embeddings)} whole numbers", where=path)
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
            raise InputError(f"'{part}_labels' name a class that is not in the list of {len(names)}", where=path)
        parts[part] = (embeddings, labels.astype(np.int64))
    if "query" in parts and parts["query"][0].shape[2] != parts["support"][0].shape[2]:
        raise InputError("support and query embeddings have different channels", where=path)
    query, query_labels = parts.get("query", (None, None))
    images = {part: _images(path, tensors, part, len(labels)) for part, (_, labels) in parts.items()}
    if len({of is None for of in images.values()}) > 1:
        raise InputError("lacks 'support_images' or 'query_images'", where=path, fix="write both, or none")
    return EvaluationSet(tuple(names), *parts["support"], query, query_labels, images["support"], images.get("query"))


def _images(path: Path, tensors: Mapping[str, npt.NDArray[Any]], part: str, count: int) -> npt.NDArray[np.int64] | None:
    """Which image each instance came from; None where the file does not say."""
    images = tensors.get(f"{part}_images")
    if images is None:
        return None
    if images.shape != (count,) or not np.issubdtype(images.dtype, np.integer):
        raise InputError(f"'{part}_images' must be {count} whole numbers", where=path)
    return images.astype(np.int64)
