"""What was skipped in a run of the tests, and how to get what was missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

__all__ = ["skipped_lines"]

#: How to get what a test was missing, by a piece of the reason that it gives.
REMEDIES = {
    "Chromium": "make browser-tools (Debian, as root), or install Chromium with its driver",
    "alpha_clip": "pip install the AlphaCLIP repository (SunzeY/AlphaCLIP) into .venv",
    "shared/data": "put the reference data beside the repository, as ../shared/data",
    "CUDA": "a machine with an NVIDIA GPU, and the extra 'gpu' in the place of 'cpu'",
    "TensorRT for RTX": "rm -rf .tensorrt-rtx; make test, with a package index in reach",
    "bindings": "rm -rf .tensorrt-bindings; make test, with a package index in reach",
    "C compiler": "make harness-tools (Debian, as root), or install gcc",
    "PyTorch": "pip install '.[export]'",
    "OpenVINO": "pip install '.[openvino]'",
}


def skipped_lines(reasons: Iterable[str], deselected: int = 0) -> list[str]:
    """One line for each reason, with the number of tests and what would let them run.

    Args:
        reasons: Why each skipped test was skipped.
        deselected: Tests that were left out by their marker.
    """
    lines = []
    for reason, count in sorted(Counter(reasons).items()):
        remedy = next((how for piece, how in REMEDIES.items() if piece in reason), None)
        lines.append(f"{count} skipped: {reason}" + (f" -> {remedy}" if remedy else ""))
    if deselected:
        lines.append(f"{deselected} left out by their marker -> make test-slow runs all")
    return lines
