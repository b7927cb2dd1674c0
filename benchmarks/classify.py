"""What does `mvrec-edge classify` of one defect take as a process: memory, start, and what is not the encoder?

Each engine and precision classifies the same rendered defects in a process of its own, with a support cache that was
calibrated with the same precision. Peak memory is what the operating system says of the process; the baseline is the
size of the graph it runs with its weights. The engine's start is timed in the process that opens it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _machine import write_result
from _process import run_command

from mvrec_edge.runtime import Bundle
from mvrec_edge.testing.dataset import write_dataset

_OPEN = """
import sys, time
start = time.perf_counter()
from mvrec_edge.runtime import Bundle, open_engine
bundle = Bundle.load(sys.argv[1], graphs=[sys.argv[3]])
verified = time.perf_counter()
open_engine(sys.argv[2], bundle, precision=sys.argv[3])
print(verified - start, time.perf_counter() - start)
"""


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "classify.json")
    parser.add_argument("--engine", action="append", help="ENGINE/PRECISION", required=True)
    parser.add_argument("--view-recipe", default="mso", help="view recipe")
    arguments = parser.parse_args()
    bundle = Bundle.load(arguments.bundle)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_dataset(folder / "support", families=("scratch", "pit"), per_class=1, size=(480, 640), seed=0)
        write_dataset(folder / "parts", families=("scratch",), per_class=2, size=(480, 640), seed=9)
        for text in arguments.engine:
            rows.append(_measure(bundle, text, folder, arguments.view_recipe))
            print(rows[-1])
    figures = {"architecture": bundle.architecture.name, "views": arguments.view_recipe, "rows": rows}
    write_result(arguments.out, "Memory, start and stages of mvrec-edge classify", figures)


def _measure(bundle: Bundle, text: str, folder: Path, views: str) -> dict[str, Any]:
    engine, _, precision = text.partition("/")
    cache = folder / f"{engine}.{precision}.safetensors"
    common = ["--engine", engine, "--precision", precision]
    run_command(
        "calibrate", bundle.path, folder / "support", "--view-recipe", views, "--head", "zip", "--out", cache, *common
    )
    start = time.perf_counter()
    out, peak = run_command("classify", bundle.path, cache, folder / "parts", "--jsonl", *common)
    seconds = time.perf_counter() - start
    times = [json.loads(line)["ms"] for line in out.splitlines()]
    encode = sum(stages["encode"] for stages in times)
    rest = sum(value for stages in times for stage, value in stages.items() if stage != "encode")
    size = bundle.manifest.graph_bytes(precision)
    opening = subprocess.run(  # noqa: S603 (our own program)
        [sys.executable, "-c", _OPEN, str(bundle.path), engine, precision], capture_output=True, text=True, check=True
    ).stdout.split()
    return {
        "engine": engine,
        "precision": precision,
        "graph_mb": round(size / 1e6, 1),
        "peak_mb": round(peak / 1e6, 1),
        "peak_to_graph": round(peak / size, 2),
        "verify_s": round(float(opening[0]), 2),
        "verify_and_open_s": round(float(opening[1]), 2),
        "regions": len(times),
        "process_s": round(seconds, 2),
        "encode_ms_per_region": round(encode / len(times), 1),
        "not_the_encoder_ms_per_region": round(rest / len(times), 2),
        "not_the_encoder_share": round(rest / (rest + encode), 4),
    }


if __name__ == "__main__":
    main()
