"""What does an export of ViT-L/14 take in memory and time, alone and with every precision?

Runs `mvrec-edge export --random-weights` as a process of its own and asks the operating system what it took; the
size of the weights in float32 is the baseline for the memory.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from _machine import write_result
from _process import run_command

from mvrec_edge.runtime import Bundle


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "export_memory.json")
    parser.add_argument("--architecture", default="ViT-L/14")
    parser.add_argument("--precision", nargs="+", default=["fp32", "fp32,fp16,bf16,int8"], help="one export each")
    parser.add_argument("--calibration", type=Path, help="labelled defects, as for mvrec-edge export")
    parser.add_argument("--keep", type=Path, help="folder to keep the last bundle in")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "encoder.bundle"
        for precisions in arguments.precision:
            rows.append(_measure(bundle, arguments.architecture, precisions, arguments.calibration))
            print(rows[-1], flush=True)
        if arguments.keep is not None:
            shutil.move(bundle, arguments.keep)
    figures = {"architecture": arguments.architecture, "calibrated": arguments.calibration is not None, "rows": rows}
    write_result(arguments.out, "Peak resident memory and seconds of one export with its checks", figures)


def _measure(bundle: Path, architecture: str, precisions: str, calibration: Path | None) -> dict[str, Any]:
    options: list[object] = ["--random-weights", architecture, "--precision", precisions, "--out", bundle]
    options += [] if calibration is None else ["--calibration", calibration]
    start = time.perf_counter()
    _, peak = run_command("export", *options, "--overwrite")
    seconds = time.perf_counter() - start
    sizes = {record.name: record.size for record in Bundle.load(bundle).manifest.files}
    float32 = sizes["encoder.fp32.onnx"]
    return {
        "precisions": precisions,
        "seconds": round(seconds, 1),
        "peak_memory_gb": round(peak / 1e9, 2),
        "bundle_gb": round(sum(sizes.values()) / 1e9, 3),
        "peak_to_float32_weights": round(peak / float32, 2),
    }


if __name__ == "__main__":
    main()
