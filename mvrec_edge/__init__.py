"""Few-shot defect classification on the factory line: MVREC, from export to prediction.

The package is four parts. `mvrec_edge.export` turns a checkpoint into a bundle (it needs PyTorch),
`mvrec_edge.runtime` classifies with a bundle and a support cache (numpy and OpenCV), `mvrec_edge.calib`
makes a support cache from labelled samples (numpy), and `mvrec_edge.cli` is the command `mvrec-edge`.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
