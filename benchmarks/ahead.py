"""What is gained by reading images and cutting their views while the engine computes?

Beside an engine on a GPU both are done in a thread of their own. Here the engine has one core, and the others are left
to that thread, as a GPU leaves them: the same engine classifies the same images with and without it, in turn. The
encoder is the pocket one, whose time is of the order of the cutting's, as that of a large encoder on a GPU is.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from _machine import write_result
from _pocket import pocket_bundle

from mvrec_edge.runtime import ImageRegions, Region, ViewPlan, open_engine, read_image
from mvrec_edge.runtime.engines.encoding import encode_images
from mvrec_edge.testing.dataset import write_dataset


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "ahead.json")
    parser.add_argument("--bundle", type=Path, help="by default the pocket encoder is exported")
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = pocket_bundle(arguments.bundle, folder)
        write_dataset(folder / "parts", families=("scratch",), per_class=arguments.images, size=(960, 1280), seed=0)
        images = sorted((folder / "parts").rglob("*.jpg"))
        with open_engine(arguments.engine, bundle, precision=arguments.precision, threads=1, batch=27) as engine:
            for resample in ("exact", "fast"):
                plan = ViewPlan.mso(size=engine.image_size, resample=resample)
                times: dict[bool, list[float]] = {False: [], True: []}
                for turn in range(arguments.rounds + 1):
                    for ahead in times:
                        engine.on_gpu = ahead
                        start = time.perf_counter()
                        regions = sum(len(item.embeddings) for item in encode_images(engine, plan, _read(images)))
                        if turn:
                            times[ahead].append((time.perf_counter() - start) / regions * 1e3)
                ratios = [one / other for one, other in zip(times[False], times[True], strict=True)]
                rows.append(
                    {
                        "views": f"{plan.count}, {resample}",
                        "one_after_another_ms": round(statistics.median(times[False]), 1),
                        "ahead_ms": round(statistics.median(times[True]), 1),
                        "times_faster": round(statistics.median(ratios), 3),
                    }
                )
                print(rows[-1])
        figures = {
            "bundle": bundle.architecture.name,
            "engine": f"{arguments.engine}, {arguments.precision}, {engine.device}",
            "images": len(images),
            "rows": rows,
        }
    write_result(arguments.out, "Milliseconds for a defect with its image, from file to embeddings", figures)


def _read(paths: Sequence[Path]) -> Iterator[ImageRegions[Path]]:
    """Each image with one region near its middle."""
    for path in paths:
        image = read_image(path)
        height, width = image.shape[:2]
        box = (width // 2 - 60, height // 2 - 40, width // 2 + 60, height // 2 + 40)
        yield ImageRegions(path, image, [Region.from_box(box, (height, width))])


if __name__ == "__main__":
    main()
