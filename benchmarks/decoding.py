"""What does it cost to refuse damaged images: our decoding beside `cv2.imdecode`, which fills in and goes on.

Both in turn in one process on one thread, from bytes in memory to RGB. Counted is the time on the processor, as else
other work on the machine would count; the ratio of the medians is what says something.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from _machine import write_result

from mvrec_edge.runtime.images.pixels import to_rgb_uint8
from mvrec_edge.runtime.images.reading import decode_image

HEIGHT, WIDTH = 2048, 2448

Pixels = npt.NDArray[Any]


def surface(seed: int = 0) -> npt.NDArray[np.uint8]:
    """A grained surface of five megapixels, `[H, W, 3]`."""
    grain = np.random.default_rng(seed).normal(0, 40, (HEIGHT, WIDTH, 3)).astype(np.float32)
    return np.clip(cv2.GaussianBlur(grain, (0, 0), 1.5) * 3 + 120, 0, 255).astype(np.uint8)


def by_opencv(ending: str, picture: Pixels, *options: int) -> bytes:
    """An image file as OpenCV writes it."""
    written, data = cv2.imencode(ending, picture, options)
    if not written:
        raise RuntimeError(f"OpenCV cannot write {ending}")
    return data.tobytes()


def by_tifffile(picture: Pixels, **options: Any) -> bytes:
    """A TIFF file as tifffile writes it."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, picture, photometric="rgb", **options)
    return buffer.getvalue()


def files() -> dict[str, bytes]:
    """One file of each kind that is measured."""
    picture = surface()
    gray = np.ascontiguousarray(picture[:, :, 0])
    return {
        "JPEG, quality 90": by_opencv(".jpg", picture, cv2.IMWRITE_JPEG_QUALITY, 90),
        "JPEG, gray": by_opencv(".jpg", gray, cv2.IMWRITE_JPEG_QUALITY, 90),
        "JPEG, progressive": by_opencv(".jpg", picture, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "PNG": by_opencv(".png", picture),
        "PNG, gray": by_opencv(".png", gray),
        "PNG, 16 bits": by_opencv(".png", picture * np.uint16(257)),
        "BMP": by_opencv(".bmp", picture),
        "WebP, lossy": by_opencv(".webp", picture, cv2.IMWRITE_WEBP_QUALITY, 90),
        "TIFF, stored": by_tifffile(picture),
        "TIFF, Deflate": by_tifffile(picture, compression="deflate", rowsperstrip=64),
        "TIFF, LZW": by_tifffile(picture, compression="lzw", rowsperstrip=64),
    }


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "decoding.json")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    load_before = os.getloadavg()[0]
    rows = []
    print(f"{'':20}{'MB':>6}{'ours ms':>9}{'OpenCV ms':>11}{'ratio':>7}")
    for name, data in files().items():
        times = _in_turn(_actions(data), arguments.rounds)
        ours, theirs = (statistics.median(times[each]) for each in ("ours", "opencv"))
        rows.append(
            {
                "file": name,
                "file_bytes": len(data),
                "ours_ms": round(ours, 2),
                "opencv_ms": round(theirs, 2),
                "times_opencv": round(ours / theirs, 2),
            }
        )
        print(f"{name:20}{len(data) / 1e6:6.1f}{ours:9.1f}{theirs:11.1f}{ours / theirs:7.2f}")
    figures = {
        "image": [HEIGHT, WIDTH],
        "rounds": arguments.rounds,
        "threads": 1,
        "load_before": round(load_before, 2),
        "rows": rows,
    }
    write_result(arguments.out, "Decoding an image, damaged ones being refused, beside cv2.imdecode", figures)


def _in_turn(actions: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds on the processor of each action in each round, after one round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(rounds + 1):
        for name, action in actions.items():
            start = time.process_time()
            action()
            if turn:
                times[name].append((time.process_time() - start) * 1e3)
    return times


def _actions(data: bytes) -> dict[str, Callable[[], object]]:
    def opencv() -> Pixels:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        return to_rgb_uint8(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))

    return {"ours": lambda: decode_image(data, "image"), "opencv": opencv}


if __name__ == "__main__":
    main()
