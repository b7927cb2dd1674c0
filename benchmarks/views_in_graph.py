"""From a decoded image to the embeddings of its 27 views: cut by `crop_views`, or in the graph of the engine.

Both in turn in one process, with one engine that has both. On a CPU it shows that the embeddings are the same and what
the graph costs there; what it is for is a GPU: `--provider cuda`, with a bundle exported with `--views-in-graph`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _machine import write_result
from crop import made_up_part

from mvrec_edge.runtime import Bundle, ViewPlan, crop_views, open_engine
from mvrec_edge.runtime.engines.encoding import views_for
from mvrec_edge.runtime.views.patches import PatchViews


def measure(
    bundle: Bundle, *, precision: str | None = None, provider: str | None = None, rounds: int = 15
) -> dict[str, Any]:
    """Times both ways on one engine.

    Args:
        bundle: A bundle with graphs that cut views.
        precision: Which graph.
        provider: ONNX Runtime's provider.
        rounds: How often each is done, after a first time that does not count.

    Returns:
        Milliseconds of each step, and how far the views and the embeddings of both ways are apart.
    """
    image, region = made_up_part(0)
    with open_engine("onnxruntime", bundle, precision=precision, provider=provider, views_in_graph=True) as engine:
        plan = ViewPlan.mso(size=engine.image_size)
        views = crop_views(image, region, plan)
        patch = views_for(engine, image, region, plan)
        if not isinstance(patch, PatchViews):
            raise TypeError("the engine cuts no views")
        steps: dict[str, Callable[[], object]] = {
            "crop_views": lambda: crop_views(image, region, plan),
            "encode": lambda: engine.encode(views),
            "patch": lambda: views_for(engine, image, region, plan),
            "encode_patches": lambda: engine.encode_patches([patch]),
        }
        times: dict[str, list[float]] = {name: [] for name in steps}
        for number in range(rounds + 1):
            for name, step in steps.items():
                start = time.perf_counter()
                step()
                if number:
                    times[name].append((time.perf_counter() - start) * 1e3)
        cut = np.zeros_like(views)
        embeddings, wanted = engine.encode_patches([patch], cut=cut), engine.encode(views)
        lengths = np.linalg.norm(embeddings, axis=1) * np.linalg.norm(wanted, axis=1)
        medians = {name: round(statistics.median(seen), 2) for name, seen in times.items()}
        return {
            "bundle": bundle.path.name,
            "device": engine.device,
            "precision": engine.precision,
            "views": plan.count,
            "image": list(image.shape[:2]),
            "rounds": rounds,
            "median_ms": medians,
            "min_ms": {name: round(min(seen), 2) for name, seen in times.items()},
            "cut_before_ms": round(medians["crop_views"] + medians["encode"], 2),
            "cut_in_graph_ms": round(medians["patch"] + medians["encode_patches"], 2),
            "uploaded_bytes": {"views": views.nbytes, "patch": patch.patch.nbytes},
            "largest_view_difference": int(np.abs(cut.astype(np.int16) - views).max()),
            "smallest_cosine": round(float(((embeddings * wanted).sum(axis=1) / lengths).min()), 7),
        }


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, help="by default the pocket encoder, exported here")
    parser.add_argument("--precision")
    parser.add_argument("--provider")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "views_in_graph.json")
    arguments = parser.parse_args()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        bundle = _pocket(Path(folder)) if arguments.bundle is None else Bundle.load(arguments.bundle)
        figures = measure(bundle, precision=arguments.precision, provider=arguments.provider, rounds=arguments.rounds)
    for key, value in figures.items():
        print(f"{key:<26}{value}")
    figures["load_before"] = round(load_before, 2)
    write_result(arguments.out, "A decoded image to 27 embeddings: views cut before, and in the graph", figures)


def _pocket(folder: Path) -> Bundle:
    from mvrec_edge.export import export_bundle, read_checkpoint
    from mvrec_edge.pocket import POCKET_WEIGHTS

    return export_bundle(read_checkpoint(POCKET_WEIGHTS), folder / "pocket.bundle", views_in_graph=True)


if __name__ == "__main__":
    main()
