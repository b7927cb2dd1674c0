"""OpenVINO on the CPU: the fastest way to run bf16 and int8 graphs on Intel and AMD line PCs."""

from mvrec_edge.runtime.engines.openvino.openvino_engine import OpenVinoEngine
from mvrec_edge.runtime.engines.openvino.session import OpenVinoSession, load_openvino

__all__ = ["OpenVinoEngine", "OpenVinoSession", "load_openvino"]
