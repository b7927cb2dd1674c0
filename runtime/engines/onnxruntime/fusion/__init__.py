"""ONNX Runtime's own fused operators, put into a graph of standard ones when it is opened.

A bundle's graph has standard operators alone, which every engine reads. Where ONNX Runtime does not see by itself what
they make up together, one of these modules does: each knows the patterns of our own export, and leaves anything else as
it is.
"""

from mvrec_edge.runtime.engines.onnxruntime.fusion.cpu_int8 import fuse_products
from mvrec_edge.runtime.engines.onnxruntime.fusion.cuda_half import write_fused

__all__ = ["fuse_products", "write_fused"]
