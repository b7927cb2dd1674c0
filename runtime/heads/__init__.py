"""Heads: what turns embeddings into classes. A new one is one file here and one line in the registry."""

from __future__ import annotations

from mvrec_edge.runtime.heads.averaged import AveragedHeads
from mvrec_edge.runtime.heads.centred import CentredZipAdapter
from mvrec_edge.runtime.heads.fine_tuned import FineTunedZipAdapter
from mvrec_edge.runtime.heads.head import Head, HeadPrediction, Neighbour
from mvrec_edge.runtime.heads.head_registry import head_class, head_names, open_head
from mvrec_edge.runtime.heads.whitened_means import WhitenedMeans
from mvrec_edge.runtime.heads.whitened_views import WhitenedViews
from mvrec_edge.runtime.heads.zip_adapter import ZipAdapter

__all__ = [
    "AveragedHeads",
    "CentredZipAdapter",
    "FineTunedZipAdapter",
    "Head",
    "HeadPrediction",
    "Neighbour",
    "WhitenedMeans",
    "WhitenedViews",
    "ZipAdapter",
    "head_class",
    "head_names",
    "open_head",
]
