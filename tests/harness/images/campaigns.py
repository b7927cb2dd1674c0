"""Damaged images are refused or whole, and what an image looks like does not depend on those before it."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.runtime.images.reading import decode_image
from tests.harness.campaign import Campaign, Finding, Tally
from tests.harness.images.damage import DAMAGES, NOT_IN_JPEG, OF_PARTS, TO_BE_FOUND
from tests.harness.images.kinds import KINDS, PICTURES, whole

__all__ = ["DamagedImages", "ImageIndependence"]

# Above this share of its pixels an image is another one; one counts that differs by more than noise does, in 255.
_MOST_WRONG, _NOISE = 0.05, 8
# Of damage that must be found, so much may pass.
_MOST_TAKEN = 0.01
_SEVERAL_PARTS = tuple(
    kind for kind in KINDS if kind.startswith("TIFF") and kind not in ("TIFF stored 1", "TIFF Deflate palette")
)


class DamagedImages(Campaign):
    """Each trial is one file with one damage; kinds and damages take turns."""

    name = "damaged-images"
    goal = "a damaged image is refused or whole; of cuts and missing bytes at most 1 of 100 passes as another picture"
    short = 200 * len(KINDS)
    full = 2000 * len(KINDS)
    chunk = 200 * len(KINDS)

    def run(self, trials: range, folder: Path) -> Tally:
        """Counts for each kind and damage how many files are refused, whole, nearly whole, or taken though wrong."""
        cv2.setNumThreads(1)
        tally, seen, taken = Tally(), Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        last: dict[tuple[str, str], int] = {}
        for trial in trials:
            kind = list(KINDS)[trial % len(KINDS)]
            ways = DAMAGES | OF_PARTS if kind in _SEVERAL_PARTS else DAMAGES
            way = list(ways)[trial // len(KINDS) % len(ways)]
            rng = np.random.default_rng(trial)
            data = whole(kind, int(rng.integers(PICTURES)))
            outcome = _outcome(data, ways[way](data, rng))
            tally.trials += 1
            tally.counts[f"{kind}, {way}: {outcome}"] += 1
            if outcome.startswith("escape"):
                tally.findings.append(Finding(trial, f"{kind}, {way}: {outcome}"))
            if way in TO_BE_FOUND and (way, kind[:4]) != (NOT_IN_JPEG, "JPEG"):
                place = (kind.partition(" ")[0], way)
                seen[place] += 1
                if outcome == "wrong":
                    taken[place] += 1
                    last[place] = trial
        for place, count in taken.items():
            if count > 1 and count > _MOST_TAKEN * seen[place]:
                what = f"{count} of {seen[place]} are taken as whole, such as this one"
                tally.findings.append(Finding(last[place], f"{place[0]}, {place[1]}: {what}"))
        return tally


def _outcome(data: bytes, damaged: bytes) -> str:
    try:
        found = decode_image(damaged, "image")
    except ImageError:
        return "refused"
    except Exception as error:
        return f"escape {type(error).__name__}: {error}"
    picture = _decoded(data)
    if found.shape != picture.shape:
        return "wrong"
    apart = np.abs(found.astype(np.int16) - picture).max(axis=2)
    share = float((apart > _NOISE).mean())
    return "whole" if not apart.any() else "nearly whole" if share <= _MOST_WRONG else "wrong"


@functools.lru_cache(maxsize=512)
def _decoded(data: bytes) -> npt.NDArray[np.uint8]:
    return decode_image(data, "image")


class ImageIndependence(Campaign):
    """Each trial decodes some files, whole and damaged ones, twice: one after the other, and from threads otherwise."""

    name = "image-independence"
    goal = "what comes out of an image file depends on no file that was decoded before or at the same time"
    short = 200
    full = 2000
    chunk = 100

    def run(self, trials: range, folder: Path) -> Tally:
        """Compares digests of pixels, and the words of errors."""
        cv2.setNumThreads(1)
        tally = Tally()
        with ThreadPoolExecutor(4) as pool:
            for trial in trials:
                rng = np.random.default_rng(trial)
                files = [_some_file(rng) for _ in range(12)]
                first = [_digest(data) for data in files]
                order = rng.permutation(len(files))
                again = dict(zip(order.tolist(), pool.map(_digest, [files[place] for place in order]), strict=True))
                tally.trials += 1
                tally.counts["files"] += len(files)
                tally.counts["files that were decoded"] += sum(not each.startswith("refused") for each in first)
                tally.findings += [
                    Finding(trial, f"file {place}: {first[place]}, and then {again[place]}")
                    for place in range(len(files))
                    if first[place] != again[place]
                ]
        return tally


def _some_file(rng: np.random.Generator) -> bytes:
    data = whole(str(rng.choice(list(KINDS))), int(rng.integers(PICTURES)))
    return data if rng.random() < 0.4 else DAMAGES[str(rng.choice(list(DAMAGES)))](data, rng)


def _digest(data: bytes) -> str:
    """What comes out, also of what is damaged where that is asked for."""
    # Memory of other contents, so that pixels that nobody wrote show.
    np.full(1 << 16, data[-1] if data else 0, np.uint8)
    try:
        return hashlib.sha256(decode_image(data, "image", damaged="warn").tobytes()).hexdigest()[:16]
    except ImageError as error:
        return f"refused: {error}"
