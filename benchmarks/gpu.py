"""What does an encoder take on this GPU, beside the fastest that PyTorch does, and beside the card's own product rate?

    mvrec-edge export --random-weights ViT-L/14 --precision fp32,fp16,bf16 --views-in-graph --out BUNDLE
    python benchmarks/gpu.py BUNDLE

It ends within 8 minutes (`--minutes`). The most valuable figures come first, and each is written when it is there, so
that a run that is cut short has them. Every candidate is measured in a process of its own, in rounds with the reference
(ONNX Runtime on CUDA in fp16) and with a large fp16 product of matrices. What cannot be measured is in the result with
the reason. The result is `results/gpu_CARD.json`. It says whether the aims are reached: at least as fast as PyTorch
compiled, and half of the product rate at 27 views.

docs/bench.md says how to take the libraries along to a machine without a network.

`--dry` takes the same steps on the processor, as far as they go there, and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _gpu_parts import Part, parts_for
from _gpu_run import Clock, GpuRun, card_slug
from _machine import describe

from mvrec_edge.doctor.cuda import ask_cuda
from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.errors import MvrecEdgeError

#: Small matrices and short visits: on the processor the steps are tried, and nothing is learned.
_DRY: dict[str, Any] = {"side": 256, "visit_s": 0.02}


def main(words: Sequence[str] | None = None) -> int:
    """Measures, prints, and writes the result; 1 where there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--minutes", type=float, default=8.0, help="the run ends within this time")
    parser.add_argument("--only", action="append", help="a part by its name; may be given several times")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="the folder of the result")
    parser.add_argument("--dry", action="store_true", help="on the processor, without a result")
    arguments = parser.parse_args(words)
    clock = Clock(arguments.minutes * 60)
    devices = () if arguments.dry else ask_cuda().devices
    if not devices and not arguments.dry:
        print("there is no GPU that CUDA offers: nothing was measured, and no result is written (try --dry)")
        return 1
    file = arguments.out / f"gpu_{card_slug(devices[0].name)}.json" if devices else None
    bundle = Bundle.load(arguments.bundle)
    question = f"{bundle.architecture.name} on {devices[0].name if devices else 'the processor'}"

    machine = describe()

    def write(record: dict[str, Any]) -> None:
        if file is None:
            return
        card = {"name": devices[0].name, "compute_capability": devices[0].compute_capability}
        payload = {"question": question, "machine": machine, "figures": {"card": card, **record}}
        # Whole at every moment: the run may be ended while it writes.
        file.parent.mkdir(parents=True, exist_ok=True)
        made = file.with_suffix(".tmp")
        made.write_text(json.dumps(payload, indent=2, ensure_ascii=False) + "\n")
        made.replace(file)

    run = GpuRun(bundle, clock, write, **({} if devices else _DRY))
    try:
        measure(run, [*parts_for(on_gpu=bool(devices))], arguments.only)
    finally:
        run.close()
    write(run.record())
    for name, value in [*run.notes.items(), *run.record()["aims"].items()]:
        print(f"{name}: {value}")
    if not devices:
        skipped = [part.name for part in parts_for(on_gpu=True)][len([*parts_for(on_gpu=False)]) :]
        print(f"left out, since they need a GPU: {', '.join(skipped)}")
    return 0


def measure(run: GpuRun, parts: Sequence[Part], only: Sequence[str] | None = None) -> None:
    """Measures parts in order, as far as the time goes; one that fails is noted, and the next one is begun."""
    for part in parts:
        if only and part.name not in only:
            continue
        why_not = run.skipped[part.name] = part.why_not(run) or ""
        if not why_not and run.clock.left < part.least_s:
            run.skipped[part.name] = f"{run.clock.left:.0f} s were left, and it takes {part.least_s:.0f}"
        if not run.skipped[part.name]:
            del run.skipped[part.name]
            before = len(run.cells)
            try:
                part.measure(run, part)
            except MvrecEdgeError as error:
                run.skipped[part.name] = str(error)
            for cell in run.cells[before:]:
                print(_line(cell))
        if part.name in run.skipped:
            print(f"{part.name}: skipped: {run.skipped[part.name]}")
        run.write(run.record())


def _line(cell: dict[str, Any]) -> str:
    ratio, share = cell["times_faster_than_reference"], cell["share_of_product_rate"]
    words = [f"{cell['candidate']}, batch {cell['batch']}: {cell['ms']:g} ms"]
    words += [] if ratio is None else [f"{ratio:g} times the reference's speed"]
    words += [] if share is None else [f"{share:.0%} of the product rate"]
    return ", ".join(words)


if __name__ == "__main__":
    sys.exit(main())
