"""ONNX Runtime's own fused operators, in further graphs over the weights of a graph of standard ones.

A bundle's graph has standard operators alone, which every engine reads. Where ONNX Runtime does not see by itself what
they make up together, one of these modules does: each knows the patterns of our own export, and leaves anything else as
it is.
"""

from mvrec_edge.export.fusion.cpu_int8 import fuse_products
from mvrec_edge.export.fusion.cuda_half import fuse_attention
from mvrec_edge.export.fusion.fused_graphs import FUSED_PRECISIONS, FusedGraph, write_fused

__all__ = ["FUSED_PRECISIONS", "FusedGraph", "fuse_attention", "fuse_products", "write_fused"]
