"""Few-shot defect classification on the factory line: MVREC, from export to prediction.

The package is four parts. `mvrec_edge.export` turns a checkpoint into a bundle (it needs PyTorch),
`mvrec_edge.runtime` classifies with a bundle and a support cache (numpy and OpenCV), `mvrec_edge.calib`
makes a support cache from labelled samples (numpy), and `mvrec_edge.cli` is the command `mvrec-edge`.

Importing any of it switches the telemetry of the libraries off (`mvrec_edge.telemetry`).
"""

from __future__ import annotations

from mvrec_edge.telemetry import switch_off

__all__ = ["__version__"]

__version__ = "0.1.0"

# Here, since no part can be imported before it: the libraries look when they are loaded, and not again.
switch_off()
