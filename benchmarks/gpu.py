"""What does ViT-L/14 take on a GPU, with ONNX Runtime beside PyTorch, and what is left of a defect's time around it?

One run of `mvrec-edge bench`, by the same functions, on candidates that run on the GPU; PyTorch runs eagerly, with
autocast, and compiled. The bundle: `mvrec-edge export --random-weights ViT-L/14 --precision fp32,fp16 --out BUNDLE`.
The result is a JSON file, and beside it the same as Markdown with the milliseconds for the 27 views of a defect.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from _machine import write_result

from mvrec_edge.bench.bench import measure_bundle
from mvrec_edge.bench.budget import Budget
from mvrec_edge.bench.candidates import parse_candidates
from mvrec_edge.bench.tables import markdown
from mvrec_edge.runtime import Bundle

_VIEWS = 27


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "gpu.json")
    parser.add_argument("--engine", default="onnxruntime:cuda/fp16,onnxruntime:cuda/fp32")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 3, 9, 27, 54, 108])
    parser.add_argument("--rounds", type=int, default=Budget.rounds)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each engine at each batch size")
    parser.add_argument("--starts", type=int, default=1)
    arguments = parser.parse_args()
    bundle = Bundle.load(arguments.bundle)
    record = measure_bundle(
        bundle,
        parse_candidates([arguments.engine], bundle.precisions),
        Budget(
            batches=tuple(arguments.batch), rounds=arguments.rounds, seconds=arguments.seconds, starts=arguments.starts
        ),
    )
    text = markdown(record) + "\n## Milliseconds for the 27 views of a defect\n\n" + _per_defect(record)
    print(text)
    arguments.out.with_suffix(".md").write_text(text)
    left_out = {"schema", "question", "created_by", "machine"}
    question = f"Latency over batch size of {bundle.architecture.name} on a GPU"
    write_result(arguments.out, question, {name: value for name, value in record.items() if name not in left_out})


def _per_defect(record: dict[str, Any]) -> str:
    batches = record["settings"]["batches"]
    rows = ["| candidate | " + " | ".join(f"batch {batch}" for batch in batches) + " |"]
    rows.append("| --- |" + " ---: |" * len(batches))
    for row in record["candidates"]:
        times = {cell["batch"]: cell["ms_per_view"] * _VIEWS for cell in row["cells"]}
        cells = (f"{times[batch]:.1f}" if batch in times else "-" for batch in batches)
        rows.append(f"| {row['candidate']} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
