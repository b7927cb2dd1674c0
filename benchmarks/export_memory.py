"""What does an export of ViT-L/14 take in memory and time?

Runs `mvrec-edge export --random-weights` as a process of its own and asks the operating system what it took; the
size of the weights is the baseline for the memory.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _machine import write_result


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "export_memory.json")
    parser.add_argument("--architecture", default="ViT-L/14")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "b.bundle"
        command = [str(Path(sys.executable).with_name("mvrec-edge")), "export"]
        command += ["--random-weights", arguments.architecture, "--out", str(bundle)]
        start = time.perf_counter()
        subprocess.run(command, check=True)  # noqa: S603 (our own command)
        seconds = time.perf_counter() - start
        weights = sum(file.stat().st_size for file in bundle.iterdir())
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    figures = {
        "architecture": arguments.architecture,
        "seconds": round(seconds, 1),
        "peak_memory_gb": round(peak / 1e9, 2),
        "bundle_gb": round(weights / 1e9, 3),
        "ratio_to_bundle": round(peak / weights, 2),
    }
    print(figures)
    write_result(arguments.out, "Peak resident memory and seconds of one export with its check", figures)


if __name__ == "__main__":
    main()
