"""What does it cost to open a graph: time, memory, and the time of 9 views afterwards?

Every engine and precision is opened in a process of its own, in turn by this installation, by the library alone with
the same settings, and, if one is named, by an earlier installation with its own bundle of the same encoder. The
machine may have other work: what is compared runs in turn, and the least of all rounds is kept. Hashes are checked
before the clock starts, so the files are in the page cache.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from _machine import write_result

CASES = (
    *(("onnxruntime", "fp32"), ("onnxruntime", "int8")),
    *(("openvino", "fp32"), ("openvino", "bf16"), ("openvino", "int8")),
)

# Run by an earlier installation as well, so it asks for nothing that is new.
_CHILD = """
import json, re, sys, time
import numpy as np
from mvrec_edge.runtime import Bundle, open_engine

way, name, precision, path, runs = sys.argv[1:]

def memory(file, field):
    return int(re.search(rf"{field}:\\s+(\\d+) kB", open(f"/proc/self/{file}").read())[1]) / 1024

def alone():
    graph = str(bundle.graph(precision))
    if name == "onnxruntime":
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        options.enable_mem_pattern = False
        if precision != "int8":
            options.add_session_config_entry("session.disable_prepacking", "1")
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        return lambda views: session.run(None, {"views": views})[0]
    import openvino
    core = openvino.Core()
    hint = "bf16" if precision == "int8" and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
    settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": 2, "NUM_STREAMS": 1}
    model = core.compile_model(core.read_model(graph), "CPU", settings | {"PERFORMANCE_HINT": "LATENCY"})
    request = model.create_infer_request()
    request.infer({"views": views[:1]})
    return lambda views: np.array(request.infer({"views": views})[model.output(0)])

bundle = Bundle.load(path, graphs=())
bundle.graph(precision)
size = bundle.architecture.image_size
views = np.random.default_rng(0).integers(0, 256, (9, size, size, 4), dtype=np.uint8)
__import__(name)
before = memory("smaps_rollup", "Anonymous")
start = time.perf_counter()
run = alone() if way == "library alone" else open_engine(name, bundle, precision=precision, threads=2).encode
opened = time.perf_counter() - start
figures = {"open_s": opened, "anonymous_mb": memory("smaps_rollup", "Anonymous") - before}
figures["peak_open_mb"] = memory("status", "VmHWM")
answers = run(views)
times = []
for _ in range(int(runs)):
    start = time.perf_counter()
    run(views)
    times.append(time.perf_counter() - start)
figures |= {"views_9_s": min(times), "peak_mb": memory("status", "VmHWM")}
print(json.dumps({"figures": figures, "answers": answers.tolist()}))
"""


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--earlier", nargs=2, metavar=("PYTHON", "BUNDLE"), help="another installation and its bundle")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=2, help="of 9 views, in each round")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "opening.json")
    arguments = parser.parse_args()
    ways = {name: (sys.executable, str(arguments.bundle)) for name in ("this installation", "library alone")}
    if arguments.earlier:
        ways["earlier installation"] = tuple(arguments.earlier)
    rows = []
    for engine, precision in CASES:
        least: dict[str, dict[str, float]] = {}
        answers: dict[str, np.ndarray] = {}
        for _ in range(arguments.rounds):
            for way, (python, bundle) in ways.items():
                child = [python, "-c", _CHILD, way, engine, precision, bundle, str(arguments.runs)]
                said = subprocess.run(child, capture_output=True, text=True, check=True).stdout  # noqa: S603 (our own)
                found: dict[str, Any] = json.loads(said.splitlines()[-1])
                before = least.get(way, found["figures"])
                least[way] = {name: min(value, before[name]) for name, value in found["figures"].items()}
                answers[way] = np.array(found["answers"])
        for way, figures in least.items():
            cosine = _worst_cosine(answers[way], answers["this installation"])
            rows.append(
                {"engine": engine, "precision": precision, "way": way}
                | {name: round(value, 3 if name.endswith("_s") else 0) for name, value in figures.items()}
                | {"worst_cosine_to_this_installation": round(cosine, 9)}
            )
            print(rows[-1], flush=True)
    figures = {"rounds": arguments.rounds, "least_of": "all rounds", "threads": 2, "rows": rows}
    write_result(arguments.out, "What does it cost to open a graph?", figures)


def _worst_cosine(left: np.ndarray, right: np.ndarray) -> float:
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return float(((left * right).sum(axis=1) / norms).min())


if __name__ == "__main__":
    main()
