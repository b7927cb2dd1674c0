"""What do views of very large windows take, beside those of the paper's windows, and what does averaging first change?

Windows of several sizes at nine shifts, in turn in one process on one core, on an image of 20 megapixels: as
`crop_views` cuts them, and resampled at once, without averaging in blocks first.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from _machine import write_result
from crop import Pixels, distance, take_turns

from mvrec_edge.runtime import Region, ViewPlan, crop_views
from mvrec_edge.runtime.views.crop import _cut
from mvrec_edge.runtime.views.resample import resize_windows_exact

PAPER = "256,384,512"
SIZES = (1024, 2048, 2049, 4096, 8192, 16384)
AT_ONCE = (2049, 4096, 8192)
HEIGHT, WIDTH = 4000, 5000


def line_scan() -> tuple[Pixels, Region]:
    """A grained surface with hard edges, and a defect of 2,000 pixels in its middle."""
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 40, (HEIGHT, WIDTH, 3)).astype(np.float32)
    surface = cv2.GaussianBlur(grain, (0, 0), 1.5) * 3 + 120
    for _ in range(60):
        x, y, width, height = (int(value) for value in rng.integers(20, 4000, 4))
        colour = tuple(float(value) for value in rng.integers(0, 256, 3))
        cv2.rectangle(surface, (x, y), (x + width // 8, y + height // 8), colour, -1)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(mask, (WIDTH // 2, HEIGHT // 2), (1000, 300), 20, 0, 360, 1, -1)
    return np.clip(surface, 0, 255).astype(np.uint8), Region(mask)


def at_once(image: Pixels, region: Region, plan: ViewPlan) -> Pixels:
    """The views of the same windows without averaging first."""
    views = np.empty((plan.count, plan.size, plan.size, 4), np.uint8)
    resize_windows_exact(lambda *window: _cut(image, region, *window), plan.windows(region.box), plan.size, views)
    return views


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "large_windows.json")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    image, region = line_scan()
    plans = {str(size): ViewPlan.by_name("mo", window_sizes=(size,)) for size in SIZES}
    actions: dict[str, Callable[[], Pixels]] = {PAPER: lambda: crop_views(image, region, ViewPlan.mso())}
    for name, plan in plans.items():
        actions[name] = lambda plan=plan: crop_views(image, region, plan)  # type: ignore[misc]
    for size in AT_ONCE:
        actions[f"{size} at once"] = lambda plan=plans[str(size)]: at_once(image, region, plan)  # type: ignore[misc]
    load_before = os.getloadavg()[0]
    times = take_turns(dict(actions), arguments.rounds)
    rows: list[dict[str, Any]] = []
    print(f"{'windows':>14}{'ms a view':>11}{'of the paper':>14}")
    for name, seen in times.items():
        views = 27 if name == PAPER else 9
        # The ratio of each round is of neighbours in time, whatever else the machine does.
        ratios = [(time / views) / (base / 27) for time, base in zip(seen, times[PAPER], strict=True)]
        row = {
            "windows": name,
            "views": views,
            "ms_a_view": round(statistics.median(seen) / views, 2),
            "times_the_papers": round(statistics.median(ratios), 2),
        }
        if name in (str(size) for size in AT_ONCE):
            row["difference_from_at_once"] = distance(actions[name](), actions[f"{name} at once"]())
        rows.append(row)
        print(
            f"{name:>14}{row['ms_a_view']:>11}{row['times_the_papers']:>14}  {row.get('difference_from_at_once', '')}"
        )
    figures = {
        "image": [HEIGHT, WIDTH],
        "view": 224,
        "rounds": arguments.rounds,
        "threads": 1,
        "load_before": round(load_before, 2),
        "rows": rows,
    }
    write_result(arguments.out, "Cutting views of very large windows: time beside the paper's windows", figures)


if __name__ == "__main__":
    main()
