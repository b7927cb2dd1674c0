"""`classify` for a long time in one process: memory, descriptors and threads stay what they were."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import itertools
import re
import shutil
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mvrec_edge.pocket import POCKET_BUNDLE
from mvrec_edge.runtime import Bundle, SupportCache, ViewPlan, classify_source, open_engine, open_source, read_image
from mvrec_edge.runtime.views import crop_views
from tests.e2e.commands import run as run_command
from tests.harness.campaign import Campaign, Finding, Tally
from tests.harness.children import in_a_child

__all__ = ["Soak"]

#: Engine and seconds of each trial: CI does the first one, `make harness` all.
_RUNS = (("onnxruntime", 60.0), ("openvino", 600.0), ("onnxruntime", 3600.0))
_MOST_GROWTH_MB = 8.0
# The first tenth of the time is for what is loaded and kept once.
_BEGINNING = 0.1
_PLAN = "ms"
_C_LIBRARY = ctypes.CDLL(None)
_KINDS = 3


class Soak(Campaign):
    """A trial is one process that classifies images of several sizes and formats, and damaged ones, for a while."""

    name = "soak"
    goal = "between a tenth of the time and its end memory grows by at most 8 MB, descriptors and threads by nothing"
    short = 1
    full = len(_RUNS)
    chunk = 1
    at_once = 1

    def run(self, trials: range, folder: Path) -> Tally:
        """Notes images, growth and peaks."""
        tally = Tally()
        for trial in trials:
            engine, seconds = _RUNS[trial]
            place = folder / str(trial)
            found, ended = in_a_child(
                lambda engine=engine, seconds=seconds, place=place: _soak(engine, seconds, place), seconds + 240
            )
            tally.trials += 1
            name = f"{engine} for {seconds:.0f} s"
            if ended is not None:
                tally.findings.append(Finding(trial, f"{name}: {ended}"))
                continue
            tally.counts[f"{name}: images"] += found.pop("images")
            tally.counts[f"{name}: of them refused"] += found.pop("refused")
            for what, value in found.items():
                tally.peak(f"{name}: {what}", value)
            tally.findings += [Finding(trial, f"{name}: {what}") for what in _too_much(found)]
        return tally


def _too_much(found: dict[str, float]) -> list[str]:
    limits = {"growth in MB": _MOST_GROWTH_MB, "more descriptors": 0, "more threads": 0}
    return [f"{what}: {found[what]:g}, at most {most:g}" for what, most in limits.items() if found[what] > most]


@dataclass(frozen=True)
class _Sample:
    resident_mb: float
    descriptors: int
    threads: int

    @classmethod
    def now(cls) -> _Sample:
        # What was freed goes back to the system first: how much of it the allocator keeps changes by 30 MB from round
        # to round, and no leak is given back.
        gc.collect()
        _C_LIBRARY.malloc_trim(0)
        status = Path("/proc/self/status").read_text("utf-8")
        resident, threads = (int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1]) for name in ("VmRSS", "Threads"))
        return cls(resident / 1024, len(list(Path("/proc/self/fd").iterdir())), threads)


def _soak(name: str, seconds: float, folder: Path) -> dict[str, Any]:
    cv2.setNumThreads(1)
    table, cache = _images(folder), folder / "line.safetensors"
    count = refused = 0
    with open_engine(name, Bundle.load(POCKET_BUNDLE), threads=1) as engine, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _support(engine, folder).save(cache)
        rounds = _rounds(engine, name, cache, table, folder)
        # Each kind of round once, before anything counts.
        for _ in range(_KINDS):
            next(rounds)
        samples: list[_Sample] = []
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            # After all kinds, since one leaves more behind than the other.
            for images, problems in itertools.islice(rounds, _KINDS):
                count, refused = count + images, refused + problems
            samples.append(_Sample.now())
    first, window = int(_BEGINNING * len(samples)), max(1, len(samples) // 3)
    early, late = samples[first : first + window], samples[-window:]
    return {
        "images": count,
        "refused": refused,
        "growth in MB": max(each.resident_mb for each in late) - max(each.resident_mb for each in early),
        "largest memory in MB": max(sample.resident_mb for sample in samples),
        "more descriptors": max(each.descriptors for each in late) - max(each.descriptors for each in early),
        "more threads": max(each.threads for each in late) - max(each.threads for each in early),
    }


def _rounds(engine: Any, name: str, cache: Path, table: Path, folder: Path) -> Iterator[tuple[int, int]]:
    """One round after the other: by the stage, with the open engine, and by the command, which opens its own."""
    for number in itertools.count():
        if number % _KINDS == _KINDS - 1:
            _command(name, cache, table, folder)
            yield 0, 0
            continue
        found = list(classify_source(engine, cache, open_source(table), say=lambda _: None))
        yield len(found), sum(bool(image.problems) for image in found)


def _command(name: str, cache: Path, table: Path, folder: Path) -> None:
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    pages = ("--report", out / "page.html", "--overlay", out / "pictures", "--csv", out / "r.csv")
    words = ("classify", POCKET_BUNDLE, cache, table, "--out", out / "r.jsonl", "--engine", name, "--threads", 1)
    with contextlib.redirect_stdout(io.StringIO()):
        # Two images are damaged, which is said by the code.
        run_command(*words, *pages, code=1)


def _images(folder: Path) -> Path:
    """Images of several sizes and formats, two of which are damaged, and a table of the defects on them."""
    place = folder / "images"
    place.mkdir(parents=True)
    lines = ["image,x1,y1,x2,y2,label"]
    sizes = ((120, 160), (480, 640), (300, 200), (750, 1000))
    suffixes = (".jpg", ".png", ".bmp", ".tif", ".webp")
    for number, (suffix, (height, width)) in enumerate(zip(suffixes * 2, itertools.cycle(sizes), strict=False)):
        picture = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        file = place / f"{number}{suffix}"
        cv2.imwrite(str(file), cv2.GaussianBlur(picture, (0, 0), 2))
        lines.append(f"images/{file.name},10,12,26,{40 + number},a")
        if number in (5, 6):
            file.write_bytes(file.read_bytes()[:-200])
    table = folder / "defects.csv"
    table.write_text("\n".join(lines) + "\n", "utf-8")
    return table


def _support(engine: Any, folder: Path) -> SupportCache:
    plan = ViewPlan.by_name(_PLAN, size=engine.image_size, resample="fast")
    found = [image for image in open_source(folder / "defects.csv").images if image.path.stem in ("0", "1", "2", "3")]
    embeddings = []
    for image in found:
        pixels = read_image(image.path)
        embeddings += [
            engine.encode(crop_views(pixels, each, plan)) for each in image.regions(pixels.shape[:2]).regions
        ]
    labels = np.arange(len(embeddings)) % 3
    return SupportCache.from_embeddings(
        np.stack(embeddings), labels, ["a", "b", "c"], view_plan=plan, encoder=engine.fingerprint
    )
