"""One engine or classifier for several threads, and in a process that is forked."""

from __future__ import annotations

import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np

from mvrec_edge.runtime import Bundle, DefectClassifier, Engine, Region, SupportCache, ViewPlan, open_engine
from mvrec_edge.runtime.novelty import KnownDistances
from mvrec_edge.runtime.novelty.drift import DriftMonitor
from mvrec_edge.runtime.views import crop_views
from mvrec_edge.testing import FakeEngine

__all__ = ["forked", "one_drift", "opened", "same_answers"]

_THREADS = 8
_SIDE = 96


def same_answers(name: str, bundle: Path, precision: str, images: int = 10, rounds: int = 1) -> str:
    """Classifies images one after the other, and then by 8 threads with one classifier; compares all that comes out."""
    with opened(name, bundle, precision) as engine:
        classifier = DefectClassifier(engine, _support(engine))
        wanted = [_answer(classifier, number) for number in range(images)]
        together = Barrier(_THREADS)

        def classify(thread: int) -> int:
            order = np.random.default_rng(thread).permutation(np.repeat(np.arange(images), rounds))
            together.wait()
            return sum(_answer(classifier, int(number)) != wanted[number] for number in order)

        with ThreadPoolExecutor(_THREADS) as pool:
            wrong = sum(pool.map(classify, range(_THREADS)))
    return f"{wrong} of {_THREADS * rounds * images} answers are others than one thread gets" if wrong else ""


def forked(name: str, bundle: Path, precision: str) -> str:
    """Forks beside an open engine: the child is told that it cannot encode, and ends as any program does."""
    words = [sys.executable, "-c", _FORKING, name, str(bundle), precision]
    try:
        ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return "the child hangs"
    return "" if ended.returncode == 0 else f"exit code {ended.returncode}: {ended.stderr.strip()[-300:]}"


#: In a process of its own, since what libraries do when a program ends is part of it.
_FORKING = """
import os, sys
from pathlib import Path
import numpy as np
from tests.harness.sharing.threads import opened
from mvrec_edge.runtime.errors import EnvironmentUnfitError
engine = opened(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
views = np.zeros((2, engine.image_size, engine.image_size, 4), np.uint8)
wanted = engine.encode(views)
child = os.fork()
if child == 0:
    try:
        engine.encode(views)
    except EnvironmentUnfitError as error:
        assert "before this process was forked" in str(error)
        engine.close()
        del engine
        sys.exit(0)
    sys.exit("it encoded")
assert os.waitpid(child, 0)[1] == 0
assert np.array_equal(engine.encode(views), wanted)
engine.close()
"""


def one_drift(_: Path) -> str:
    """Many threads tell one monitor of regions that all depart: it reports one drift, and loses none of them."""
    known = KnownDistances.of(np.linspace(0.1, 0.2, 40), np.arange(40) % 2, 2)
    for _round in range(20):
        monitor = DriftMonitor(200, known)
        with ThreadPoolExecutor(_THREADS) as pool:
            drifts = list(pool.map(lambda _, monitor=monitor: monitor.see(1e6), range(200)))
        if sum(drift is not None for drift in drifts) != 1:
            return f"{sum(drift is not None for drift in drifts)} drifts were reported"
    return ""


def opened(name: str, bundle: Path, precision: str) -> Engine:
    """An engine with one thread for its products; `fake` needs no bundle."""
    if name == "fake":
        return FakeEngine(image_size=24, batch=4)
    return open_engine(name, Bundle.load(bundle, graphs=[precision]), precision=precision, threads=1)


def _image(number: int) -> Any:
    return np.random.default_rng(number).integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)


def _regions(number: int) -> list[Region]:
    """One to three, so that batches differ in size."""
    return [
        Region.from_box((10 + 20 * place, 12, 24 + 20 * place, 30 + number), (_SIDE, _SIDE))
        for place in range(1 + number % 3)
    ]


def _support(engine: Engine) -> SupportCache:
    plan = ViewPlan.by_name("ms", size=engine.image_size, resample="fast")
    views = [crop_views(_image(100 + number), _regions(0)[0], plan) for number in range(6)]
    embeddings = np.stack([engine.encode(each) for each in views])
    return SupportCache.from_embeddings(
        embeddings, np.arange(6) % 3, ["a", "b", "c"], view_plan=plan, encoder=engine.fingerprint
    )


def _answer(classifier: DefectClassifier, number: int) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = classifier.classify(_image(number), _regions(number))
    return [(each.label, each.probabilities, each.embedding.tobytes()) for each in found]
