"""What does cutting the 27 views of a region take, and how far are the pixels from Pillow's?

Exact, fast and Pillow in turn in one process, one core each, on a 1024 x 1024 image; Pillow is the baseline. With
`--bundle`, also the cosine between the embeddings of exact and of fast views.
"""

from __future__ import annotations

import os

# Read when numpy loads its library, so it must come before.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from _machine import write_result
from PIL import Image

from mvrec_edge.runtime import Region, ViewPlan, crop_views

SIDE = 1024
INTERMEDIATE = 512

Pixels = npt.NDArray[np.uint8]


def made_up_part(seed: int) -> tuple[Pixels, Region]:
    """A grained surface with hard edges and a ragged defect near its middle."""
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 40, (SIDE, SIDE, 3)).astype(np.float32)
    surface = cv2.GaussianBlur(grain, (0, 0), 1.5) * 3 + 120
    for _ in range(30):
        x, y, width, height = (int(value) for value in rng.integers(20, 900, 4))
        colour = tuple(float(value) for value in rng.integers(0, 256, 3))
        cv2.rectangle(surface, (x, y), (x + width // 8, y + height // 8), colour, -1)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radii = rng.uniform(30, 70, len(angles))
    outline = np.stack([512 + radii * np.cos(angles), 512 + radii * np.sin(angles)], axis=1)
    return np.clip(surface, 0, 255).astype(np.uint8), Region.from_polygon(outline, (SIDE, SIDE))


def pillow_views(image: Pixels, mask: Pixels, windows: tuple[tuple[int, int, int, int], ...], size: int) -> Pixels:
    """The two resizes of the released code, image and mask apart, uint8 `[V, S, S, 4]`."""
    planes = Image.fromarray(image), Image.fromarray(mask)
    views = np.empty((len(windows), size, size, 4), np.uint8)
    for target, window in zip(views, windows, strict=True):
        rgb, alpha = (plane.crop(window).resize((INTERMEDIATE, INTERMEDIATE)).resize((size, size)) for plane in planes)
        target[..., :3] = rgb
        target[..., 3] = alpha
    return views


def take_turns(actions: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each action in each round, taken in turn, after one round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(rounds + 1):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            if turn:
                times[name].append((time.perf_counter() - start) * 1e3)
    return times


def distance(views: Pixels, reference: Pixels) -> dict[str, float]:
    """Mean and largest difference in steps of 255, and the share of values that differ."""
    difference = np.abs(views.astype(np.int16) - reference)
    return {
        "mean": round(float(difference.mean()), 5),
        "max": int(difference.max()),
        "share_differing": round(float((difference > 0).mean()), 6),
    }


def cosines(bundle_path: Path, seeds: range) -> dict[str, Any]:
    """Cosine between the embeddings of exact and of fast views, over several made-up parts."""
    from mvrec_edge.runtime import Bundle, open_engine

    bundle = Bundle.load(bundle_path)
    found = []
    with open_engine("onnxruntime", bundle) as engine:
        exact, fast = (ViewPlan.mso(size=engine.image_size, resample=how) for how in ("exact", "fast"))
        for seed in seeds:
            image, region = made_up_part(seed)
            a, b = (engine.encode(crop_views(image, region, plan)) for plan in (exact, fast))
            lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
            found.append((a * b).sum(axis=1) / lengths)
    values = np.concatenate(found)
    return {
        "bundle": bundle_path.name,
        "views": len(values),
        "cosine_mean": round(float(values.mean()), 6),
        "cosine_min": round(float(values.min()), 6),
    }


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "crop.json")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--bundle", type=Path, help="also compare embeddings of exact and fast views")
    arguments = parser.parse_args()
    if arguments.rounds < 15:
        parser.error("--rounds must be at least 15, or the median says little")
    cv2.setNumThreads(1)
    # Views are cut on all CPUs that the process may use, Pillow's on one.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    image, region = made_up_part(0)
    mask = region.mask
    exact, fast = ViewPlan.mso(), ViewPlan.mso(resample="fast")
    windows = exact.windows(region.box)
    actions: dict[str, Callable[[], Pixels]] = {
        "exact": lambda: crop_views(image, region, exact),
        "fast": lambda: crop_views(image, region, fast),
        "pillow": lambda: pillow_views(image, mask, windows, exact.size),
    }
    load_before = os.getloadavg()[0]
    times = take_turns(dict(actions), arguments.rounds)
    reference = actions["pillow"]()
    baseline = statistics.median(times["pillow"])
    rows = []
    print(f"{'':8}{'median ms':>10}{'min ms':>9}{'vs Pillow':>11}{'mean diff':>11}{'max diff':>10}")
    for name, seen in times.items():
        median = statistics.median(seen)
        row = {
            "resampling": name,
            "median_ms": round(median, 2),
            "min_ms": round(min(seen), 2),
            "times_faster_than_pillow": round(baseline / median, 2),
            "difference_from_pillow": distance(actions[name](), reference),
        }
        rows.append(row)
        apart = row["difference_from_pillow"]
        print(f"{name:8}{median:10.2f}{min(seen):9.2f}{baseline / median:11.2f}{apart['mean']:11.5f}{apart['max']:10}")
    figures: dict[str, Any] = {
        "views": exact.count,
        "image": [SIDE, SIDE],
        "rounds": arguments.rounds,
        "threads": 1,
        "load_before": round(load_before, 2),
        "rows": rows,
    }
    if arguments.bundle is not None:
        figures["embeddings"] = cosines(arguments.bundle, range(2))
        print(figures["embeddings"])
    write_result(arguments.out, "Cutting 27 mso views of one region: time and distance from Pillow", figures)


if __name__ == "__main__":
    main()
