"""What does it take to build each graph for TensorRT for RTX, without a GPU: time, memory, and the size of the plan?

Each graph is built by `mvrec-edge build --for rtx` as a process of its own, and once more by a process that tells the
parser's time from the builder's and what both took of the processor (`processor_s`, all cores together). The baseline
is OpenVINO, which compiles the same graph for the processor in the same run, in a process of its own as well.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _machine import write_result
from _process import run_command

from mvrec_edge.runtime import Bundle, open_engine
from mvrec_edge.runtime.bundle import GraphRecord, WeightsSource, write_bundle

if TYPE_CHECKING:
    from mvrec_edge.export import EncoderWeights

_ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "bundles",
        nargs="*",
        type=Path,
        help="by default the pocket encoder in every precision, and a ViT-L/14 of random weights in fp16",
    )
    parser.add_argument("--library", type=Path, default=_ROOT / ".tensorrt-rtx", help="folder with TensorRT for RTX")
    parser.add_argument("--rounds", type=int, default=3, help="the least of all rounds is kept")
    parser.add_argument("--batch", default="1:27:54")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "build_rtx.json")
    parser.add_argument("--child", nargs=3, metavar=("WAY", "BUNDLE", "PRECISION"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        way, path, precision = arguments.child
        if way == "write":
            _write(Path(path))
            return
        measure = {"plan": _plan, "openvino": _openvino}[way]
        print(json.dumps(measure(Bundle.load(path, graphs=()), precision, arguments.batch)))
        return
    load = os.getloadavg()[0]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(arguments.library), os.environ.get("PYTHONPATH", "")]).rstrip(":")
    with tempfile.TemporaryDirectory() as folder:
        # Not the user's plans.
        os.environ["MVREC_EDGE_CACHE"] = str(Path(folder) / "cache")
        bundles = arguments.bundles or _written(Path(folder))
        rows = []
        for path in bundles:
            bundle = Bundle.load(path)
            for precision in bundle.precisions:
                rows.append(_row(bundle, precision, arguments))
                print(rows[-1], flush=True)
    figures = {"batch": arguments.batch, "rounds": arguments.rounds, "least_of": "all rounds", "load_before": load}
    write_result(
        arguments.out,
        "Time, memory and size of a plan for TensorRT for RTX, built without a GPU",
        figures | {"rows": rows},
    )


def _written(folder: Path) -> list[Path]:
    """Two bundles; by a process of its own, since what this one holds would count as its children's memory."""
    subprocess.run([sys.executable, __file__, "--child", "write", str(folder), ""], check=True)  # noqa: S603 (our own)
    return sorted(folder.glob("*.bundle"))


def _write(folder: Path) -> None:
    """Without certificates, which take most of the time of an export; the graphs are those of an export."""
    from mvrec_edge.export import drawn_weights, read_checkpoint
    from mvrec_edge.pocket import POCKET_WEIGHTS

    encoders = {
        "pocket": (read_checkpoint(POCKET_WEIGHTS), ("fp32", "fp16", "bf16", "int8")),
        "vit-l-14": (drawn_weights("ViT-L/14", seed=0), ("fp16",)),
    }
    for name, encoder in encoders.items():
        _bundle(folder / f"{name}.bundle", *encoder)


def _bundle(path: Path, weights: EncoderWeights, precisions: tuple[str, ...]) -> None:
    from mvrec_edge.export.check import seeded_views
    from mvrec_edge.export.encoder import load_encoder
    from mvrec_edge.export.graph import trace_graph
    from mvrec_edge.export.graph_file import weights_of
    from mvrec_edge.export.precision import write_variant
    from mvrec_edge.export.views_encoder import ViewsEncoder

    architecture = weights.architecture
    views = seeded_views(2, architecture.image_size, seed=0)
    with write_bundle(path) as draft:
        graphs = {precision: draft.folder / f"encoder.{precision}.onnx" for precision in ("fp32", *precisions)}
        trace_graph(ViewsEncoder(load_encoder(weights)), graphs["fp32"])
        for precision in precisions:
            if precision != "fp32":
                write_variant(precision, graphs["fp32"], graphs[precision], views)
        if "fp32" not in precisions:
            for file in (graphs["fp32"], weights_of(graphs["fp32"])):
                file.unlink()
        draft.finish(
            created_by="benchmarks/build_rtx.py",
            architecture=architecture,
            weights=WeightsSource("random", weights.source_name, "", 0),
            graphs=tuple(GraphRecord(graphs[one].name, weights_of(graphs[one]).name, one) for one in precisions),
        )


def _row(bundle: Bundle, precision: str, arguments: argparse.Namespace) -> dict[str, Any]:
    least: dict[str, float] = {}
    for _ in range(arguments.rounds):
        start = time.perf_counter()
        _, peak = run_command(
            *("build", bundle.path, "--for", "rtx", "--precision", precision, "--batch", arguments.batch, "--force")
        )
        found = {"command_s": time.perf_counter() - start, "command_peak_mb": peak / 1e6}
        for way in ("plan", "openvino"):
            found |= _child(way, bundle, precision, arguments.batch)
        least = {name: min(value, least.get(name, value)) for name, value in found.items()}
    weights = bundle.manifest.file(f"encoder.{precision}.weights").size / 1e6
    return (
        {"encoder": bundle.architecture.name, "precision": precision, "weights_mb": round(weights, 1)}
        | {name: round(value, 2 if name.endswith("_s") else 1) for name, value in least.items()}
        | {
            "plan_to_weights": round(least["plan_mb"] / weights, 2),
            "build_to_openvino": round((least["parse_s"] + least["build_s"]) / least["openvino_s"], 2),
        }
    )


def _child(way: str, bundle: Bundle, precision: str, batch: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--batch", batch, "--child", way, str(bundle.path), precision]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 (our own program)
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def _plan(bundle: Bundle, precision: str, batch: str) -> dict[str, float]:
    """The builder's first word of its progress comes when the parser is done."""
    from mvrec_edge.runtime.engines.tensorrt.builder import build_plan
    from mvrec_edge.runtime.engines.tensorrt.flavour import TENSORRT_RTX
    from mvrec_edge.runtime.engines.tensorrt.profile import BatchProfile
    from mvrec_edge.runtime.engines.tensorrt.tensorrt_library import load_tensorrt

    load_tensorrt(TENSORRT_RTX)
    words: list[float] = []
    start, spent = time.perf_counter(), time.process_time()
    plan = build_plan(
        TENSORRT_RTX,
        bundle.graph(precision),
        bundle.architecture.image_size,
        BatchProfile.parse(batch),
        progress=lambda _phase, _step, _steps: words.append(time.perf_counter()),
    )
    end, spent = time.perf_counter(), time.process_time() - spent
    return {"parse_s": words[0] - start, "build_s": end - words[0], "processor_s": spent, "plan_mb": len(plan) / 1e6}


def _openvino(bundle: Bundle, precision: str, _: str) -> dict[str, float]:
    """Opens the graph; its hash is checked before, as it is where a plan is built."""
    bundle.graph(precision)
    __import__("openvino")
    start = time.perf_counter()
    with open_engine("openvino", bundle, precision=precision):
        return {"openvino_s": time.perf_counter() - start}


if __name__ == "__main__":
    main()
