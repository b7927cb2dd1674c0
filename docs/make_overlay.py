"""Draws the picture of the README: predictions on surfaces that the project renders itself.

    python docs/make_overlay.py

Runs `mvrec-edge demo` into a temporary folder and lays six of its overlays side by side. The encoder of the demo
has random weights, and the classes and probabilities on the picture are what it said.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

_TARGET = Path(__file__).parent / "images" / "overlay.jpg"
_COLUMNS, _ROWS = 3, 2


def main() -> None:
    """Makes the picture."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "demo"
        command = [str(Path(sys.executable).with_name("mvrec-edge")), "demo", "--out", str(out)]
        subprocess.run(command, check=True)  # noqa: S603 (our own command)
        files = sorted((out / "pictures").glob("*.jpg"))[: _COLUMNS * _ROWS]
        pictures = [cv2.imread(str(file)) for file in files]
    rows = [np.hstack(pictures[start : start + _COLUMNS]) for start in range(0, len(pictures), _COLUMNS)]
    sheet = cv2.resize(np.vstack(rows), None, fx=0.66, fy=0.66, interpolation=cv2.INTER_AREA)
    _TARGET.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(_TARGET), sheet, [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
